# A stopwatch for limits of a second: time in which the machine stood still is
# not counted. A process that only sleeps measures by how much it overslept.
package Stopwatch;

use strict;
use warnings;
use parent 'OwnProcess';
use Carp qw(croak);
use File::Temp ();
use POSIX ();
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);

my $TICK_S = 0.01;
# what an idle machine is late by is far below
my $STALL_S = 0.05;

# A running stopwatch
sub start
{
	my ($class) = @_;
	my $file = File::Temp->new(TEMPLATE => 'stopwatch_' . 'X' x 8, TMPDIR => 1);
	my $self = bless { file => $file, owner => $$ }, $class;

	$self->{pid} = fork // croak "fork: $!";
	if ($self->{pid} == 0)
	{
		$SIG{TERM} = 'DEFAULT';
		_tick($file->filename, getppid);
		POSIX::_exit(0);
	}
	$self->{began} = $self->_now;
	return $self;
}

# Seconds since the start in which the machine ran
sub seconds { my ($self) = @_; return $self->_now - $self->{began} }

# Now, less all that the machine stood still: as of a tick that is not older
sub _now
{
	my ($self) = @_;
	my $now = clock_gettime(CLOCK_MONOTONIC);
	my ($at, $stalled) = (0, 0);

	while ($at < $now)
	{
		sysseek $self->{file}, 0, 0;
		($at, $stalled) = unpack 'dd', $_ if (sysread($self->{file}, $_, 16) // 0) == 16;
		croak 'the stopwatch stands' if clock_gettime(CLOCK_MONOTONIC) > $now + 60;
		usleep(1e6 * $TICK_S / 5);
	}
	return $now - $stalled;
}

sub _tick
{
	my ($name, $parent) = @_;
	my ($at, $stalled) = (clock_gettime(CLOCK_MONOTONIC), 0);

	# a position of its own in it
	open my $file, '>', $name or croak "$name: $!";
	while (getppid == $parent)
	{
		usleep(1e6 * $TICK_S);
		my $now = clock_gettime(CLOCK_MONOTONIC);
		$stalled += $now - $at - $TICK_S if $now - $at > $STALL_S;
		$at = $now;
		sysseek $file, 0, 0;
		syswrite $file, pack 'dd', $at, $stalled;
	}
	return;
}

1;
