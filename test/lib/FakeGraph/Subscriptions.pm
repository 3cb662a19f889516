# Subscriptions: both addresses are asked before one is made, changes are told
# in batches, life ends.  Deliveries are in caller.
package FakeGraph::Subscriptions;

use Mojo::Base -base, -signatures;
use FakeGraph::Rules qw(preferences);
use FakePeer::Answer qw(answer random_word);
use FakePeer::Caller;
use FakePeer::Rules qw(iso_time local_instant);
use Mojo::IOLoop;
use Mojo::JSON qw(encode_json);
use Mojo::Promise;
use Mojo::Util qw(url_escape url_unescape);
use Time::HiRes ();

has 'store';
has caller => sub { FakePeer::Caller->new };
has list => sub { {} };
has waiting => sub { {} };    # address => items not sent yet
has lost => 0;

sub failure { return FakeGraph::Events::failure(@_) }

sub forget ($self) { return $self->list({})->waiting({})->lost(0)->caller(FakePeer::Caller->new) }

# Where a test's receiver really is
sub real_address ($self, $address)
{
	my $map = $self->store->options->{callback_map};

	for my $public (keys %$map)
	{
		return $map->{$public} . substr $address, length $public if index($address, $public) == 0;
	}
	return $address;
}

# ---- calls of the client

# Does an address answer as it has to?  A promise of nothing, or of what is wrong
sub validate ($self, $address)
{
	my $token = 'Validation: ' . random_word(20) . ' & more+' . random_word(4);
	my $promise = Mojo::Promise->new;
	my $to = $self->real_address($address);

	$to .= ($to =~ /\?/ ? '&' : '?') . 'validationToken=' . url_escape($token);
	$self->caller->post(
		$to, { 'Content-Type' => 'text/plain; charset=utf-8' }, '',
		note => { kind => 'validation' },
		on_end => sub ($status, $res)
		{
			my $is_good = $status == 200
			  && ($res->headers->content_type // '') =~ m{^text/plain\b}
			  && $res->body eq $token;

			$promise->resolve(
				$is_good ? undef : "the address answered $status instead of the token");
		});
	return $promise;
}

sub shape ($s)
{
	return {
		%{$s}{qw(id resource changeType clientState notificationUrl lifecycleNotificationUrl)},
		applicationId => 'app-1',
		creatorId => 'creator',
		includeResourceData => undef,
		latestSupportedTlsVersion => 'v1_2',
		expirationDateTime => iso_time($s->{expires})
	};
}

# The wanted end of life, or a refusal
sub lifetime ($self, $json)
{
	my $until = local_instant($json->{expirationDateTime}, 'UTC');
	my $max = $self->store->options->{subscription_max_minutes};

	return (undef, failure(400, 'ExtensionError', "Subscription expiration can only be $max minutes in the future."))
	  if $until > Time::HiRes::time() + 60 * $max + 5;
	return (undef, failure(400, 'ValidationError', 'Subscription expiration must be in the future.'))
	  if $until <= Time::HiRes::time();
	return ($until, undef);
}

sub create ($self, $token, $req, $json)
{
	my ($until, $refusal) = $self->lifetime($json);
	my ($user) = map { url_unescape($_) } $json->{resource} =~ m{^/?users/([^/]+)/};
	my ($calendar) = map { url_unescape($_) } $json->{resource} =~ m{/calendars/([^/]+)/};

	return $refusal if $refusal;
	return failure(403, 'ErrorAccessDenied', 'Access is denied.') if defined $user && lc $user ne $token->{user};
	my $box = $self->store->mailbox($token->{user});
	return failure(404, 'ErrorItemNotFound', 'The calendar does not exist.')
	  if defined $calendar && !FakeGraph::Events::calendar_of($box, $calendar);
	return Mojo::Promise->all(map { $self->validate($json->{$_}) } qw(notificationUrl lifecycleNotificationUrl))->then(
		sub (@got)
		{
			my ($bad) = grep { defined } map { $_->[0] } @got;
			my $s = {
				%$json,
				id => lc join('-', map { random_word(6) } 1 .. 4),
				user => $token->{user},
				calendar => $calendar,
				immutable => preferences($req)->{immutable},
				expires => $until
			};

			return failure(400, 'ValidationError', "Subscription validation request failed: $bad.") if defined $bad;
			$self->list->{ $s->{id} } = $s;
			return answer(201, shape($s));
		});
}

sub prune ($self)
{
	my $now = Time::HiRes::time();

	delete $self->list->{$_} for grep { $self->list->{$_}{expires} <= $now } keys %{ $self->list };
	return;
}

# The others
sub perform ($self, $token, $route, $req, $json)
{
	my $name = $route->{name};

	$self->prune;
	return $self->create($token, $req, $json) if $name eq 'POST subscriptions';
	return answer(200, { value => [ map { shape($_) } grep { $_->{user} eq $token->{user} } values %{ $self->list } ] })
	  if $name eq 'GET subscriptions';

	my $s = $self->list->{ $route->{arg} };
	return failure(404, 'ResourceNotFound', 'The object was not found.') if !$s || $s->{user} ne $token->{user};
	if ($name eq 'DELETE subscriptions/{id}')
	{
		delete $self->list->{ $s->{id} };
		return answer(204);
	}
	return answer(200, shape($s)) if $name =~ /^GET/;
	$s->{needs_reauthorization} = 0;
	return answer(204) if $name =~ /reauthorize/;
	my ($until, $refusal) = $self->lifetime($json);
	return $refusal if $refusal;
	$s->{expires} = $until;
	$s->{renewed}++;
	return answer(200, shape($s));
}

# ---- notifications

# An event changed: to all that want to know
sub tell ($self, $box, $ev, $how)
{
	my $o = $self->store->options;

	$self->prune;
	for my $s (grep { $_->{user} eq $box->{address} } values %{ $self->list })
	{
		my $id = $s->{immutable} ? $ev->{id} : $ev->{regular};

		next if defined $s->{calendar} && $s->{calendar} ne $ev->{calendar};
		next if $s->{needs_reauthorization};
		if ($o->{notify_lost})
		{
			$self->lost($self->lost + 1);
			next;
		}
		my $item = {
			subscriptionId => $s->{id},
			subscriptionExpirationDateTime => iso_time($s->{expires}),
			clientState => $s->{clientState},
			changeType => $how,
			tenantId => 'tenant-1',
			resource => "Users/$box->{address}/Events/$id",
			resourceData => {
				'@odata.type' => '#Microsoft.Graph.Event',
				'@odata.id' => "Users/$box->{address}/Events/$id",
				'@odata.etag' => "W/\"$ev->{change_key}\"",
				id => $id
			}
		};
		$self->post_later($s->{notificationUrl}, $item, $s->{id}) for 1 .. ($o->{notify_twice} ? 2 : 1);
	}
	return;
}

# Collect what goes to an address; several subscriptions share a delivery
sub post_later ($self, $address, $item, $id)
{
	my $o = $self->store->options;
	my $key = $o->{notify_together} ? $address : "$address $id";
	my $new = !$self->waiting->{$key};

	push @{ $self->waiting->{$key} }, $item;
	Mojo::IOLoop->timer(
		$o->{notify_delay_ms} / 1000 => sub
		{
			my $items = delete $self->waiting->{$key} // return;

			while (my @part = splice @$items, 0, $o->{notify_batch} || 1) { $self->deliver($address, \@part, 0) }
		}) if $new;
	return;
}

sub deliver ($self, $address, $items, $try)
{
	my $o = $self->store->options;

	$self->caller->post(
		$self->real_address($address),
		{ 'Content-Type' => 'application/json; charset=utf-8' },
		encode_json({ value => $items }),
		note => { kind => $items->[0]{lifecycleEvent} ? 'lifecycle' : 'change', items => scalar @$items, try => $try },
		on_end => sub ($status, $res)
		{
			return if $status >= 200 && $status < 300 || $try >= $o->{notify_retries};
			Mojo::IOLoop->timer($o->{notify_retry_ms} / 1000 * 2**$try => sub { $self->deliver($address, $items, $try + 1) });
		});
	return;
}

# ---- orders

# Subscriptions by id or user, or all
sub chosen ($self, $in)
{
	return grep { (!defined $in->{id} || $_->{id} eq $in->{id}) && (!defined $in->{user} || $_->{user} eq lc $in->{user}) }
	  values %{ $self->list };
}

# {event => reauthorizationRequired, subscriptionRemoved or missed}
sub lifecycle ($self, $in)
{
	my @chosen = $self->chosen($in);

	for my $s (@chosen)
	{
		delete $self->list->{ $s->{id} } if $in->{event} eq 'subscriptionRemoved';
		$s->{needs_reauthorization} = 1 if $in->{event} eq 'reauthorizationRequired';
		$self->post_later(
			$s->{lifecycleNotificationUrl},
			{
				subscriptionId => $s->{id},
				subscriptionExpirationDateTime => iso_time($s->{expires}),
				clientState => $s->{clientState},
				tenantId => 'tenant-1',
				lifecycleEvent => $in->{event}
			},
			$s->{id});
	}
	return { told => scalar @chosen };
}

# They end without a word
sub end ($self, $in)
{
	my @chosen = $self->chosen($in);

	delete $self->list->{ $_->{id} } for @chosen;
	return { ended => scalar @chosen };
}

# Any text to an address, as if it were a delivery
sub forge ($self, $in)
{
	$self->caller->post($self->real_address($in->{address}), { 'Content-Type' => 'application/json' },
		$in->{body} // encode_json({ value => $in->{value} }), note => { kind => 'forged' });
	return { ok => 1 };
}

1;
