# A small HTTP/1.1 client for tests of the gateway: says exactly what it is told
# to say, and tells what came back.
package HttpClient;

use strict;
use warnings;

use Exporter qw(import);
use IO::Select;
use IO::Socket::IP;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(connected http say_raw read_reply read_to_end);

# A connection; options: host (127.0.0.1), local (the address to come from)
sub connected
{
	my ($port, %o) = @_;

	return IO::Socket::IP->new(
		PeerHost => $o{host} // '127.0.0.1',
		PeerPort => $port,
		Timeout => $o{timeout} // 5,
		($o{local} ? (LocalHost => $o{local}) : ()),
		Proto => 'tcp');
}

# What comes within a limit, up to the end: text and whether it ended
sub read_to_end
{
	my ($socket, $limit_s) = @_;
	my $end = time + ($limit_s // 10);
	my $text = '';

	while ((my $left = $end - time) > 0)
	{
		next if !IO::Select->new($socket)->can_read($left);
		my $n = sysread $socket, $text, 65536, length $text;
		return ($text, 1) if !$n;
	}
	return ($text, 0);
}

# One answer from a connection: { status, headers, body }, or undef if it
# ended before.  A HEAD request has no body, whatever the length says.
sub read_reply
{
	my ($socket, %o) = @_;
	my $end = time + ($o{limit} // 10);
	my $text = $o{rest} ? ${ $o{rest} } : '';

	while ((my $left = $end - time) > 0)
	{
		if ($text =~ /\A(.*?)\r\n\r\n/s)
		{
			my ($head, $offset) = ($1, $+[0]);
			my ($line, @fields) = split /\r\n/, $head;
			my %headers = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } @fields;
			my ($status) = $line =~ m{^HTTP/1\.\d (\d{3})};
			my $length = $o{is_head} || $status == 304 || $status == 204 ? 0 : $headers{'content-length'} // 0;

			if ($status == 100)
			{
				$text = substr $text, $offset;
				next;
			}
			if (length($text) >= $offset + $length)
			{
				${ $o{rest} } = substr $text, $offset + $length if $o{rest};
				return { status => $status, headers => \%headers, body => substr($text, $offset, $length), line => $line };
			}
		}
		next if !IO::Select->new($socket)->can_read($left);
		return undef if !sysread $socket, $text, 65536, length $text;
	}
	return undef;
}

# Bytes on a connection of their own; the answer as of read_reply()
sub say_raw
{
	my ($port, $bytes, %o) = @_;
	my $socket = connected($port, %o) or return undef;

	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, $bytes;
	return read_reply($socket, %o);
}

# A well-formed request. options: socket, headers => [name, value, ...],
# body, host, limit, close => 1
sub http
{
	my ($port, $method, $path, %o) = @_;
	my $socket = $o{socket} // connected($port, %o) // return undef;
	my @headers = @{ $o{headers} // [] };
	my $text = "$method $path HTTP/1.1\r\nHost: test.example\r\n";

	while (my ($name, $value) = splice @headers, 0, 2)
	{
		$text .= "$name: $value\r\n";
	}
	$text .= 'Content-Length: ' . length($o{body}) . "\r\n" if defined $o{body};
	$text .= "Connection: close\r\n" if $o{close};
	$text .= "\r\n" . ($o{body} // '');
	local $SIG{PIPE} = 'IGNORE';
	while (length $text)
	{
		my $n = syswrite $socket, $text;
		last if !$n;
		substr($text, 0, $n) = '';
	}
	return read_reply($socket, is_head => $method eq 'HEAD', limit => $o{limit});
}

1;
