# The fake Google: what it asks of requests, and who answers them.
package FakeGoogle::App;

use Mojo::Base 'FakePeer::App', -signatures;
use FakeGoogle::Channel;
use FakeGoogle::List;
use FakeGoogle::Rules ();
use FakeGoogle::Store;
use FakePeer::Answer qw(answer);
use Time::HiRes ();

has store => sub { FakeGoogle::Store->new };
has channel => sub ($self) { FakeGoogle::Channel->new(store => $self->store) };

sub new ($class, @args)
{
	my $self = $class->SUPER::new(@args);

	$self->store->on_change(sub ($c) { $self->channel->changed($c) });
	return $self;
}

sub default_options ($self) { return FakeGoogle::Store::default_options() }
sub route_of ($self, $method, $path) { return FakeGoogle::Rules::route_of($method, $path) }
sub check_request ($self, $req, $route) { return FakeGoogle::Rules::check_request($req, $route, $self->store->options) }
sub misuse_answer ($self, $bad) { return FakeGoogle::Store::invalid($bad) }
sub failure_answer ($self, $text) { return FakeGoogle::Store::failure(500, 'backendError', $text) }

sub respond ($self, $job)
{
	my $store = $self->store;
	my $req = $job->{tx}->req;
	my $route = $job->{route};

	return $store->consent($req) if $route->{name} eq 'GET /o/oauth2/v2/auth';
	return $store->oauth_token($req) if $route->{name} eq 'POST /token';
	return $store->oauth_revoke($req) if $route->{name} eq 'POST /revoke';
	my $token = $store->token_of($req)
	  or return FakeGoogle::Store::failure(401, 'authError', undef, 'WWW-Authenticate' => 'Bearer realm="https://accounts.google.com/", error="invalid_token"');
	return FakeGoogle::Store::failure(403, 'insufficientPermissions', undef,
		'WWW-Authenticate' => 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"')
	  if !grep { $token->{scopes}{$_} } @{ $route->{scopes} };
	$job->{entry}{user} = $token->{user};
	return $self->slow($token, $route) // FakeGoogle::List::partial($self->perform($job, $token), $req->url->query->param('fields'));
}

# A refusal when a user, the project or a calendar has had too much
sub slow ($self, $token, $route)
{
	my $o = $self->store->options;
	my $now = Time::HiRes::time();
	my %of = (
		user => [ $token->{user}, 'userRateLimitExceeded' ],
		project => [ $token->{client}{client_id}, 'rateLimitExceeded' ],
		$route->{label} eq 'write' ? (calendar_writes => [ "calendar $route->{arg} $token->{user}", 'rateLimitExceeded' ]) : ());

	for my $what (sort keys %of)
	{
		my $limit = $o->{rate}{$what} or next;
		my ($who, $reason) = @{ $of{$what} };
		my $times = $self->store->{window}{$who} //= [];

		shift @$times while @$times && $times->[0] <= $now - $o->{rate_window_s};
		return FakeGoogle::Store::failure($o->{rate_status}, $o->{rate_status} == 429 ? 'rateLimitExceeded' : $reason) if @$times >= $limit;
		push @$times, $now;
	}
	return undef;
}

# One checked request of a known user
sub perform ($self, $job, $token)
{
	my $store = $self->store;
	my ($route, $json, $req) = ($job->{route}, $job->{json}, $job->{tx}->req);
	my $name = $route->{name};
	my $q = $req->url->query->to_hash;
	my $complain = sub ($what) { $self->note_misuse($job->{seq}, $name, [$what]) };

	return $self->channel->stop($token, $json) if $name eq 'stop';
	return $self->calendar_list($token, $q) if $name eq 'calendarList';
	my ($c, $refusal) = $store->find_calendar($token->{user}, $route->{arg}, $route->{label} eq 'write');
	return $refusal if $refusal;
	return answer(200, FakeGoogle::Store::shown_calendar($c, $token->{user})) if $name =~ /^calendar/;
	return $self->channel->watch($c, $token, $json) if $name eq 'watch';
	return FakeGoogle::List::page($store, $c, $q, $complain) if $name eq 'list';
	return $store->insert($c, $json, $job->{seq}) if $name eq 'insert';
	my $id = $route->{args}[1];
	return $store->remove($c, $id, $req, $job->{seq}) if $name eq 'delete';
	return $store->change($c, $id, $req, $json, $name eq 'patch', $job->{seq}) if $name =~ /^(?:update|patch)$/;
	my $e = $store->find_event($c, $id) or return FakeGoogle::Store::failure(404, 'notFound');
	return answer(200, $store->shown($c, $e, $q->{timeZone}));
}

sub calendar_list ($self, $token, $q)
{
	my %rank = (freeBusyReader => 0, reader => 1, writer => 2, owner => 3);
	my $least = $rank{ $q->{minAccessRole} // 'freeBusyReader' };
	my @all = grep { $rank{ $_->{accessRole} } >= $least } $self->store->calendars_of($token->{user});
	my $from = $q->{pageToken} // 0;
	my $size = $q->{maxResults} // 100;
	my @now = grep { defined } @all[ $from .. $from + $size - 1 ];

	return answer(
		200,
		{
			kind => 'calendar#calendarList',
			etag => '"c1"',
			items => \@now,
			$from + $size < @all ? (nextPageToken => $from + $size . '') : (nextSyncToken => 'list')
		});
}

# ---- faults of Google alone

sub fault_kinds ($self)
{
	return {
		# code, reason, message, headers: an error as Google words it
		refuse => {},
		invalid_grant => {},
		# sync tokens (and with pages => 1 page tokens) end
		expire_sync => { passes => 1, effect => 1 },
		revoke_grants => { passes => 1, effect => 1 }
	};
}

sub act_on ($self, $job, $fault)
{
	return FakeGoogle::List::expire($self->store, $fault) if $fault->{kind} eq 'expire_sync';
	return $self->store->revoke_grants($fault->{user});
}

sub replaced_by ($self, $job, $rule)
{
	my $f = $rule->{fault};

	return $self->store->oauth_refusal('invalid_grant', 'Token has been expired or revoked.') if $f->{kind} eq 'invalid_grant';
	return FakeGoogle::Store::failure($f->{code} // 403, $f->{reason} // 'rateLimitExceeded', $f->{message}, %{ $f->{headers} // {} });
}

# ---- control

sub reset ($self, $in)
{
	$self->channel->forget;
	return $self->SUPER::reset($in);
}

sub state_of ($self, $q)
{
	my $s = $self->store;
	my %of;

	for my $c (values %{ $s->calendars })
	{
		my $gone = grep { $_->{deleted} } values %{ $c->{events} };

		$of{ $c->{id} } = { live => keys(%{ $c->{events} }) - $gone, deleted => $gone, change => $c->{change} };
	}
	return (
		calendars => \%of,
		channels_live => scalar(grep { $self->channel->is_live($_) } values %{ $self->channel->channels }),
		deliveries => scalar @{ $self->channel->caller->deliveries },
		pushes_lost => $self->channel->lost,
		token_calls => $s->token_calls,
		refresh_tokens_live => scalar(grep { !$_->{dead} } values %{ $s->refresh_tokens }));
}

sub events ($self, $q)
{
	my $s = $self->store;
	my @calendars = defined $q->{calendar} ? ($s->calendar($q->{calendar}) // ()) : sort { $a->{id} cmp $b->{id} } values %{ $s->calendars };

	return [
		map {
			my $c = $_;
			map { { %{ $s->shown($c, $_, 'UTC') }, %{ inner($_) } } }
			  grep { !$q->{live} || !$_->{deleted} }
			  sort { $a->{change} <=> $b->{change} } values %{ $c->{events} }
		} @calendars
	];
}

# What a test may know and a client may not
sub inner ($e)
{
	return { map { $_ => $e->{$_} } qw(calendar deleted start_epoch end_epoch change history) };
}

sub control_calls ($self)
{
	state $calls = {
		'POST edit_event' => sub ($app, $q, $in) { $app->store->edit($in) },
		'POST edit_calendar' => sub ($app, $q, $in) { $app->store->edit_calendar($in) },
		'POST grant' => sub ($app, $q, $in) { $app->store->give_grant($in) },
		'POST revoke_grants' => sub ($app, $q, $in) { $app->store->revoke_grants($in->{user}) },
		'POST expire_sync' => sub ($app, $q, $in) { FakeGoogle::List::expire($app->store, $in) },
		'POST push' => sub ($app, $q, $in) { $app->channel->push($in) },
		'GET channels' => sub ($app, $q, $in) { $app->channel->shown },
		'GET deliveries' => sub ($app, $q, $in) { $app->channel->caller->deliveries },
		'GET events' => sub ($app, $q, $in) { $app->events($q) }
	};
	return $calls;
}

1;
