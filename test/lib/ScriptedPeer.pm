# An HTTP server that answers just what a test tells it to, byte for byte, and
# remembers all that arrived, in a process of its own.
package ScriptedPeer;

use strict;
use warnings;
use parent 'OwnProcess';

use Carp qw(croak);
use Fcntl qw(:flock);
use File::Temp ();
use IO::Select;
use IO::Socket::IP;
use JSON::PP ();
use POSIX ();

# Answers: a sub that is given a request { method, path, query, headers, body }
# and what tell() said last; it returns [ status, { headers }, body ], the body
# a text or a sub that is called with a sub to write by, or undef: no answer.
sub start
{
	my ($class, $answer, %o) = @_;
	my $socket = IO::Socket::IP->new(LocalHost => $o{host} // '127.0.0.1', Listen => 50, Proto => 'tcp', ReuseAddr => 1)
	  or croak "no port: $!";
	my $dir = File::Temp->newdir('scripted_' . 'X' x 8, TMPDIR => 1);
	my $self = bless { dir => $dir, owner => $$, port => $socket->sockport, answer => $answer }, $class;

	$self->tell;
	$self->{pid} = fork // croak "fork: $!";
	if ($self->{pid} == 0)
	{
		$SIG{CHLD} = 'IGNORE';
		$SIG{TERM} = sub { POSIX::_exit(0) };
		$self->_serve($socket);
		POSIX::_exit(0);
	}
	close $socket;
	return $self;
}

sub port { return $_[0]{port} }
sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}" . ($path // '') }

# What answers depend on, from now on
sub tell
{
	my ($self, %what) = @_;
	my $file = "$self->{dir}/told";

	open my $out, '>', "$file.new" or croak "$file: $!";
	print $out JSON::PP->new->encode(\%what);
	close $out or croak "$file: $!";
	rename "$file.new", $file or croak "$file: $!";
	return;
}

sub _told
{
	my ($self) = @_;

	open my $in, '<', "$self->{dir}/told" or return {};
	local $/;
	return JSON::PP->new->decode(<$in>);
}

# Requests in the order of their arrival; since => n leaves out the first n.
# What came and was no request has no method.
sub requests
{
	my ($self, %o) = @_;
	my @all;

	if (open my $in, '<', "$self->{dir}/log")
	{
		flock $in, LOCK_SH;
		@all = map { JSON::PP->new->decode($_) } <$in>;
	}
	return @all[ ($o{since} // 0) .. $#all ];
}

# How many there were
sub asked
{
	my ($self) = @_;
	my $n = 0;

	if (open my $in, '<', "$self->{dir}/log")
	{
		$n++ while <$in>;
	}
	return $n;
}

# ---- the server's process

sub _serve
{
	my ($self, $socket) = @_;

	while (1)
	{
		my $client = $socket->accept or next;
		my $pid = fork // 0;

		if ($pid == 0)
		{
			close $socket;
			local $SIG{PIPE} = 'IGNORE';
			alarm 60;
			$self->_talk($client);
			POSIX::_exit(0);
		}
		close $client;
	}
	return;
}

sub _note
{
	my ($self, $request) = @_;

	open my $out, '>>', "$self->{dir}/log" or return;
	flock $out, LOCK_EX;
	print $out JSON::PP->new->latin1->canonical->encode($request), "\n";
	close $out;
	return;
}

# One request a connection
sub _talk
{
	my ($self, $client) = @_;
	my ($text, $request) = ('');

	while (!$request)
	{
		if (!sysread $client, $text, 65536, length $text)
		{
			$self->_note({ raw => $text });
			return;
		}
		next if $text !~ /\A(\S+) (\S+) HTTP\S+\r\n(.*?)\r\n\r\n(.*)\z/s;
		my ($method, $target, $head, $body) = ($1, $2, $3, $4);
		my %headers = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } split /\r\n/, $head;
		my ($path, $query) = split /[?]/, $target, 2;

		$request = { method => $method, path => $path, query => $query, headers => \%headers, body => $body }
		  if length $body >= ($headers{'content-length'} // 0);
	}
	$self->_note($request);
	my $answer = $self->{answer}->($request, $self->_told) or return;
	my ($status, $headers, $body) = @$answer;

	_write($client, "HTTP/1.1 $status X\r\nConnection: close\r\n"
		  . (ref $body ? '' : 'Content-Length: ' . length($body) . "\r\n")
		  . join('', map { "$_: $headers->{$_}\r\n" } sort keys %$headers) . "\r\n")
	  or return;
	if (ref $body)
	{
		$body->(sub { _write($client, $_[0]) });
	}
	else
	{
		_write($client, $body);
	}
	return;
}

# False once nobody reads any more
sub _write
{
	my ($client, $text) = @_;
	my $offset = 0;

	while ($offset < length $text)
	{
		my $n = syswrite $client, $text, 65536, $offset;
		return 0 if !defined $n;
		$offset += $n;
	}
	return 1;
}

1;
