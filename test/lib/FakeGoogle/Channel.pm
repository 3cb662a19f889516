# Push channels: watch, stop, and the notices Google sends to them.
package FakeGoogle::Channel;

use Mojo::Base -base, -signatures;
use FakePeer::Answer qw(answer random_word);
use FakePeer::Caller;
use Mojo::Date;
use Mojo::IOLoop;
use Mojo::URL;
use Mojo::Util qw(url_escape);
use Time::HiRes ();

has 'store';
has caller => sub { FakePeer::Caller->new };
has channels => sub { {} };
has lost => 0;

sub forget ($self)
{
	$self->channels({})->lost(0);
	$self->caller->deliveries([]);
	return;
}

sub is_live ($self, $ch)
{
	return !$ch->{stopped} && $ch->{expires} > Time::HiRes::time();
}

sub watch ($self, $c, $token, $json)
{
	my $o = $self->store->options;
	my $ttl = $o->{channel_ttl_s};
	my $now = Time::HiRes::time();
	my $asked = $json->{params}{ttl} // (defined $json->{expiration} ? $json->{expiration} / 1000 - $now : $ttl);
	my $known = $self->channels->{ $json->{id} };

	return FakeGoogle::Store::failure(400, 'channelIdNotUnique', "Channel id $json->{id} not unique") if $known;
	$ttl = $asked if $asked < $ttl;
	my $ch = $self->channels->{ $json->{id} } = {
		id => $json->{id},
		address => $json->{address},
		token => $json->{token},
		calendar => $c->{id},
		user => $token->{user},
		client_id => $token->{client}{client_id},
		resource_id => $self->{resources}{ $c->{id} } //= random_word(18),
		resource_uri => $self->store->base . '/calendar/v3/calendars/' . url_escape($c->{id}) . '/events?alt=json',
		expires => $now + $ttl,
		created => $now,
		stopped => 0,
		number => 0
	};
	$self->notify($ch, 'sync');
	return answer(
		200,
		{
			kind => 'api#channel',
			id => $ch->{id},
			resourceId => $ch->{resource_id},
			resourceUri => $ch->{resource_uri},
			defined $ch->{token} ? (token => $ch->{token}) : (),
			expiration => sprintf('%.0f', 1000 * $ch->{expires})
		});
}

# Only with the credentials that made it
sub stop ($self, $token, $json)
{
	my $ch = $self->channels->{ $json->{id} };

	return FakeGoogle::Store::failure(404, 'notFound', "Channel '$json->{id}' not found for project")
	  if !$ch || !$self->is_live($ch)
	  || $ch->{resource_id} ne $json->{resourceId}
	  || $ch->{user} ne $token->{user}
	  || $ch->{client_id} ne $token->{client}{client_id};
	$ch->{stopped} = Time::HiRes::time();
	return answer(204);
}

# Where a notice goes: to the address, or by push_via to a server that stands
# for its host
sub place_of ($self, $address)
{
	my $via = $self->store->options->{push_via};
	my $url = Mojo::URL->new($address);

	return $address if !length $via;
	my $to = Mojo::URL->new($via);
	return $url->scheme($to->scheme)->host($to->host)->port($to->port)->to_string;
}

# One notice; differ: what it says instead of the truth
sub notify ($self, $ch, $state, %differ)
{
	my $o = $self->store->options;

	$ch->{number} += 1 + ($ch->{number} > 0 ? int rand 3 : 0);
	if (!%differ && $o->{push_drop} > rand)
	{
		$self->lost($self->lost + 1);
		return;
	}
	my %headers = (
		'X-Goog-Channel-ID' => $differ{id} // $ch->{id},
		'X-Goog-Channel-Expiration' => Mojo::Date->new($ch->{expires})->to_string,
		'X-Goog-Resource-ID' => $differ{resource_id} // $ch->{resource_id},
		'X-Goog-Resource-URI' => $ch->{resource_uri},
		'X-Goog-Resource-State' => $state,
		'X-Goog-Message-Number' => $differ{number} // $ch->{number},
		'Content-Length' => 0,
		'User-Agent' => 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)');
	my $token = exists $differ{token} ? $differ{token} : $ch->{token};

	$headers{'X-Goog-Channel-Token'} = $token if defined $token;
	$self->send_to($self->place_of($differ{address} // $ch->{address}), \%headers, $o->{push_delay_ms} / 1000, 0)
	  for 1 .. $o->{push_repeat};
	return;
}

# Some codes make Google try again
sub send_to ($self, $address, $headers, $after, $attempt)
{
	$self->caller->post(
		$address, $headers, '',
		after => $after,
		note => { attempt => $attempt },
		on_end => sub ($status, $res) {
			return if $status && $status !~ /^50[0234]$/;
			$self->send_to($address, $headers, 0.2 * 2**$attempt, $attempt + 1) if $attempt < $self->store->options->{push_retries};
		});
	return;
}

# A calendar has changed: some changes at once make one notice
sub changed ($self, $c)
{
	my $o = $self->store->options;
	my @to = grep { $_->{calendar} eq $c->{id} && ($self->is_live($_) || ($_->{stopped} && $o->{push_after_stop})) } values %{ $self->channels };

	for my $ch (grep { !$_->{pending} } @to)
	{
		$ch->{pending} = 1;
		Mojo::IOLoop->timer(
			$o->{push_coalesce_ms} / 1000 => sub {
				$ch->{pending} = 0;
				$self->notify($ch, $c->{deleted} ? 'not_exists' : 'exists')
				  if $self->is_live($ch) || $self->store->options->{push_after_stop};
			});
	}
	return;
}

# By order: a notice for a channel, true or not
sub push ($self, $in)
{
	my $ch = $self->channels->{ $in->{channel} } or die "no such channel\n";
	my %differ = map { $_ => $in->{$_} } grep { exists $in->{$_} } qw(id token resource_id number address);

	$self->notify($ch, $in->{state} // 'exists', forced => 1, %differ);
	return { ok => 1 };
}

sub shown ($self)
{
	return [ map { { %$_, live => $self->is_live($_) ? 1 : 0 } } sort { $a->{created} <=> $b->{created} } values %{ $self->channels } ];
}

1;
