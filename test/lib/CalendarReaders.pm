# CalendarReaders: readers of calendars that are not ours.
#
#   my $readers = CalendarReaders->new;
#   for my $name ($readers->names)
#     SKIP: skip $readers->lacks($name), 1 if $readers->lacks($name);
#     my ($events, $problem) = $readers->events($name, FILE..);
#
# An event is [uid, start, end, summary], times in seconds since 1970, the
# summary as octets. ical.js is what TELEHEALTH_NODE_MODULES holds (test/setup
# tells where it put it), else npm is asked for it.
package CalendarReaders;

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use IPC::Run ();

my $lib = dirname(abs_path(__FILE__));

# Whether it succeeded, and what it wrote
sub run
{
	my @command = @_;
	my ($out, $err) = ('', '');
	my $ok = eval { IPC::Run::run([@command], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(1800)) };

	return ($ok, $out, $err . ($@ // ''));
}

sub new
{
	my ($class) = @_;
	my $folder = File::Temp->newdir(TMPDIR => 1);
	my $self = bless { folder => $folder, command => {}, lacks => {} }, $class;
	my ($ok, $flags) = run(qw(pkg-config --cflags --libs libical));

	if ($ok)
	{
		($ok) = run('cc', '-Wall', '-o', "$folder/libical", "$lib/ical_read_libical.c", split ' ', $flags);
		$ok or die 'cannot compile ical_read_libical.c';
		$self->{command}{libical} = ["$folder/libical"];
	}
	else { $self->{lacks}{libical} = 'no libical-dev' }
	if ((run('/usr/bin/python3', '-c', 'import icalendar'))[0]) { $self->{command}{'python3-icalendar'} = [ '/usr/bin/python3', "$lib/ical_read_python" ] }
	else { $self->{lacks}{'python3-icalendar'} = 'no python3-icalendar' }
	my $modules = $self->_modules;
	$self->{command}{'ical.js'} = [ 'node', "$lib/ical_read_ical_js.mjs", $modules ] if $modules;
	Test::More::diag("calendars are not read by $_: $self->{lacks}{$_}") for sort keys %{ $self->{lacks} };
	return $self;
}

sub _modules
{
	my ($self) = @_;
	my $folder = "$self->{folder}/npm";

	if (!(run(qw(node --version)))[0]) { $self->{lacks}{'ical.js'} = 'no node'; return }
	return $self->{modules} = $ENV{TELEHEALTH_NODE_MODULES} if -d ($ENV{TELEHEALTH_NODE_MODULES} // '') . '/ical.js';
	if (!(run(qw(npm --version)))[0]) { $self->{lacks}{'ical.js'} = 'no npm'; return }
	mkdir $folder;
	local $ENV{HOME} = $folder;
	run(qw(timeout 90 npm install --prefix), $folder, qw(--ignore-scripts --no-audit --no-fund --silent --fetch-retries=0 ical.js@2.2.1));
	return $self->{modules} = "$folder/node_modules" if -d "$folder/node_modules/ical.js";
	$self->{lacks}{'ical.js'} = 'npm cannot install it: no registry?';
	return;
}

sub names { return qw(libical python3-icalendar ical.js) }
sub lacks { my ($self, $name) = @_; return $self->{lacks}{$name} }
sub modules { my ($self) = @_; return $self->{modules} }
sub folder { my ($self) = @_; return "$self->{folder}" }

# The events of files, and what went wrong, or ''
sub events
{
	my ($self, $name, @files) = @_;
	my @events;

	while (my @some = splice(@files, 0, 200))
	{
		my ($ok, $out, $err) = run(@{ $self->{command}{$name} }, @some);

		return (\@events, substr($out, -500) . substr($err, 0, 2000)) if !$ok || $out =~ /^unreadable/m;
		push @events, map { my @f = split /\t/, $_, -1; [ @f[ 0 .. 2 ], pack('H*', $f[3]) ] } split /\n/, $out;
	}
	return (\@events, '');
}

1;
