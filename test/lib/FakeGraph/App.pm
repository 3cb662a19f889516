# The fake Graph with its identity platform: what it asks of requests, and who
# answers them.
package FakeGraph::App;

use Mojo::Base 'FakePeer::App', -signatures;
use FakeGraph::Rules ();
use FakeGraph::Store;
use FakeGraph::Subscriptions;
use Time::HiRes ();

has store => sub ($self)
{
	my $store = FakeGraph::Store->new;

	$store->on_change(sub ($box, $ev, $how) { $self->subscriptions->tell($box, $ev, $how) });
	return $store;
};
has subscriptions => sub ($self) { FakeGraph::Subscriptions->new(store => $self->store) };
has busy => sub { {} };    # mailbox => its requests in flight
has most => sub { {} };    # mailbox => the most there ever were

sub default_options ($self) { return FakeGraph::Store::default_options() }
sub route_of ($self, $method, $path) { return FakeGraph::Rules::route_of($method, $path) }
sub check_request ($self, $req, $route) { return FakeGraph::Rules::check_request($req, $route, $self->store->options) }
sub misuse_answer ($self, $bad) { return FakeGraph::Events::failure(400, 'ErrorInvalidRequest', join '; ', @$bad) }
sub failure_answer ($self, $text) { return FakeGraph::Events::failure(500, 'ErrorInternalServerError', $text) }

# Count what is in flight by mailbox, whatever becomes of it
sub handle ($self, $tx)
{
	my $token = $tx->req->url->path->to_string =~ m{^/v1\.0/(?:me|users)/} ? $self->store->token_of($tx->req) : undef;

	if ($token)
	{
		my ($busy, $most, $user) = ($self->busy, $self->most, $token->{user});

		$busy->{$user}++;
		$most->{$user} = $busy->{$user} if $busy->{$user} > ($most->{$user} // 0);
		$tx->on(finish => sub { $busy->{$user}-- });
	}
	return $self->SUPER::handle($tx);
}

sub unauthorized ()
{
	return FakeGraph::Events::failure(
		401, 'InvalidAuthenticationToken', 'Lifetime validation failed, the token is expired.',
		'WWW-Authenticate' => 'Bearer realm="", error="invalid_token"');
}

sub respond ($self, $job)
{
	my $store = $self->store;
	my $req = $job->{tx}->req;
	my $route = $job->{route};

	return $store->ask_user($req, $route->{arg}) if $route->{name} eq 'GET authorize';
	return $store->make_token($req, $route->{arg}) if $route->{name} eq 'POST token';

	my $token = $store->token_of($req) // return unauthorized();
	my $user = $route->{label} eq 'mailbox' ? $route->{args}[0] : undef;
	return FakeGraph::Events::failure(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.')
	  if !grep { $token->{scopes}{$_} } @{ $route->{scopes} };
	return FakeGraph::Events::failure(403, 'ErrorAccessDenied', 'Access is denied.')
	  if defined $user && lc $user ne $token->{user};
	return $self->subscriptions->perform($token, $route, $req, $job->{json}) if $route->{label} ne 'mailbox';

	my $box = $store->mailbox($token->{user});
	$job->{entry}{user} = $token->{user};
	return $store->throttle($box, $self->busy->{ $token->{user} } // 0)
	  // $store->perform($box, $route, $req, $job->{json});
}

sub reset ($self, $in)
{
	$self->most({});
	$self->subscriptions->forget;
	return $self->SUPER::reset($in);
}

# ---- control

sub count_of ($box)
{
	my $all = $box->{list} // [];
	my $deleted = grep { $_->{deleted} } @$all;

	return { live => @$all - $deleted, deleted => $deleted, changes => $box->{seq} };
}

sub state_of ($self, $q)
{
	my $s = $self->store;
	my $subs = $self->subscriptions;
	my $now = Time::HiRes::time();

	$subs->prune;
	return (
		mailboxes => { map { $_ => count_of($s->mailboxes->{$_}) } keys %{ $s->mailboxes } },
		calendars => { map { $_ => $s->mailboxes->{$_}{calendars} } keys %{ $s->mailboxes } },
		transaction_repeats => { map { $_ => $s->mailboxes->{$_}{repeats} // 0 } keys %{ $s->mailboxes } },
		mailbox_max => $self->most,
		throttled => $s->{throttled} // {},
		subscriptions => [ map { { %$_ } } values %{ $subs->list } ],
		deliveries => $subs->caller->deliveries,
		notifications_lost => $subs->lost,
		token_calls => $s->token_calls,
		tokens_live => scalar(grep { !$_->{revoked} && $_->{expires} > $now } values %{ $s->tokens }),
		refresh_tokens => scalar keys %{ $s->refresh_tokens });
}

sub control_calls ($self)
{
	return {
		'GET events' => sub ($app, $q, $in) { $app->store->events_of($q) },
		'POST edit_event' => sub ($app, $q, $in) { $app->store->edit($in) },
		'POST add_calendar' => sub ($app, $q, $in) { $app->store->add_calendar($in) },
		'POST grant' => sub ($app, $q, $in) { $app->store->grant($in) },
		'POST revoke_grants' => sub ($app, $q, $in) { $app->store->revoke_grants($in) },
		'POST age_grants' => sub ($app, $q, $in) { $app->store->age_grants($in) },
		'POST throttle' => sub ($app, $q, $in) { $app->store->set_throttle($in) },
		'POST expire_delta' => sub ($app, $q, $in) { $app->store->expire_delta($in) },
		'POST lifecycle' => sub ($app, $q, $in) { $app->subscriptions->lifecycle($in) },
		'POST end_subscriptions' => sub ($app, $q, $in) { $app->subscriptions->end($in) },
		'POST forge' => sub ($app, $q, $in) { $app->subscriptions->forge($in) },
	};
}

1;
