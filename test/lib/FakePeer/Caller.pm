# Calls that the vendor makes: notifications, to an address a client gave.  Each
# delivery is remembered with its outcome.
package FakePeer::Caller;

use Mojo::Base -base, -signatures;
use Mojo::IOLoop;
use Mojo::UserAgent;
use Time::HiRes ();

has ua => sub {
	Mojo::UserAgent->new(connect_timeout => 5, request_timeout => 10, max_connections => 20, insecure => 1);
};
has deliveries => sub { [] };

# after: seconds to wait first; on_end gets the status (0: none) and the answer
sub post ($self, $address, $headers, $body, %o)
{
	my $entry = {
		at => Time::HiRes::time(),
		address => $address,
		headers => $headers,
		body => $body,
		status => undef,
		%{ $o{note} // {} }
	};

	push @{ $self->deliveries }, $entry;
	my $send = sub {
		$self->ua->post(
			$address => $headers => $body => sub ($ua, $tx) {
				my $res = $tx->res;

				$entry->{status} = $tx->error && !$tx->error->{code} ? 0 : 0 + $res->code;
				$entry->{error} = $tx->error->{message} if !$entry->{status};
				$o{on_end}->($entry->{status}, $res) if $o{on_end};
			});
	};
	if ($o{after}) { Mojo::IOLoop->timer($o{after} => $send) }
	else { $send->() }
	return $entry;
}

1;
