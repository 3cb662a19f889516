# A proxy in front of a real HTTP server that loses what it is told to lose.
package LossyProxy;

use strict;
use warnings;
use parent 'OwnProcess';
use Carp qw(croak);
use File::Temp ();
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Time::HiRes qw(usleep);

# A started proxy to a port of this machine
sub start
{
	my ($class, $to) = @_;
	my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 50, Proto => 'tcp') or croak "no port: $!";
	my $dir = File::Temp->newdir('lossy_' . 'X' x 8, TMPDIR => 1);
	my $self = bless { dir => $dir, owner => $$, to => $to, port => $listener->sockport }, $class;

	$self->{pid} = fork // croak "fork: $!";
	if ($self->{pid} == 0)
	{
		$SIG{CHLD} = 'IGNORE';
		$SIG{TERM} = sub { POSIX::_exit(0) };
		POSIX::_exit(0) if !eval { $self->_serve($listener); 1 };
	}
	close $listener;
	return $self;
}

sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}" . ($path // '/') }

# What becomes of the next request of a method: "before" loses it, "after" loses
# its answer, "half" loses the second half of the answer, "etag" the entity tag
# in it, a number is an answer.
sub lose
{
	my ($self, $method, $how) = @_;
	my $file = "$self->{dir}/$method";

	open my $out, '>', "$file.new" or croak "$file: $!";
	print $out $how;
	close $out or croak "$file: $!";
	rename "$file.new", $file or croak "$file: $!";
	return;
}

# True once what was ordered has happened
sub is_lost { my ($self, $method) = @_; return !-e "$self->{dir}/$method" }

# The order for a request of this method, which is taken by one of them
sub _order
{
	my ($self, $method) = @_;
	my $file = "$self->{dir}/$method";
	my $mine = "$self->{dir}/taken.$$";

	rename $file, $mine or return '';
	open my $in, '<', $mine or return '';
	local $/;
	return scalar <$in>;
}

sub _serve
{
	my ($self, $listener) = @_;

	while (1)
	{
		my $client = $listener->accept or next;
		my $pid = fork;
		if (defined $pid && $pid == 0)
		{
			close $listener;
			eval { $self->_pass($client) };
			POSIX::_exit(0);
		}
		close $client;
	}
}

# A head and as much body as it says, or all there is
sub _read_message
{
	my ($socket) = @_;
	my $text = '';

	while (sysread $socket, $text, 65536, length $text)
	{
		next if $text !~ /\A(.*?\r\n\r\n)/s;
		my ($head, $length) = ($1, $text =~ /^Content-Length:\s*(\d+)/mi ? $1 : 0);
		last if length $text >= length($head) + $length;
	}
	return $text;
}

sub _pass
{
	my ($self, $client) = @_;
	my $request = _read_message($client);
	my ($method) = $request =~ /^([A-Z]+) /;
	my $how = defined $method ? $self->_order($method) : 'before';
	my $answer = '';

	return if $how eq 'before';
	if ($how =~ /^\d+$/)
	{
		syswrite $client, "HTTP/1.1 $how Ordered\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
		return;
	}
	$request =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/;
	my $server = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $self->{to}) or return;
	syswrite $server, $request;
	1 while sysread $server, $answer, 65536, length $answer;
	return if $how eq 'after';
	$answer =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/ if $answer !~ /^Connection:/mi;
	$answer = substr $answer, 0, length($answer) / 2 if $how eq 'half';
	$answer =~ s/^ETag:[^\n]*\n//mi if $how eq 'etag';
	syswrite $client, $answer;
	return;
}

1;
