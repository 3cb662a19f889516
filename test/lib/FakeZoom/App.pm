# The fake Zoom: what it asks of requests, and who answers them.
package FakeZoom::App;

use Mojo::Base 'FakePeer::App', -signatures;
use FakePeer::Rules qw(iso_time);
use FakeZoom::Rules ();
use FakeZoom::Store;
use Time::HiRes ();

has store => sub { FakeZoom::Store->new };

sub default_options ($self) { return FakeZoom::Store::default_options() }
sub route_of ($self, $method, $path) { return FakeZoom::Rules::route_of($method, $path) }
sub check_request ($self, $req, $route) { return FakeZoom::Rules::check_request($req, $route, $self->store->options) }
sub misuse_answer ($self, $bad) { return FakeZoom::Store::invalid($bad) }
sub failure_answer ($self, $text) { return FakeZoom::Store::failure(500, 500, $text) }

sub respond ($self, $job)
{
	my $store = $self->store;
	my $req = $job->{tx}->req;
	my $route = $job->{route};

	return $store->authorize_page($req) if $route->{name} eq 'GET /oauth/authorize';
	return $store->make_token($req) if $route->{name} eq 'POST /oauth/token';
	my ($account_id, $refusal) = $store->authorize($req, $route);
	return $refusal if $refusal;
	my ($headers, $slow) = $store->rate($account_id, $route->{label});
	return $slow if $slow;
	return FakeZoom::Store::failure(429, 429, 'Too many concurrent requests for this user.') if $self->is_host_busy($job);
	my $a = $store->perform($account_id, $route, $req, $job->{json}, $job->{seq});
	$a->{headers} = { @$headers, %{ $a->{headers} } };
	return $a;
}

# More calls on one user at a time than the option allows?
sub is_host_busy ($self, $job)
{
	my $limit = $self->store->options->{host_concurrency} or return 0;
	my $host = $job->{route}{name} =~ m{/users/} ? $job->{route}{arg} : return 0;
	my $busy = $self->{busy} //= {};

	return 1 if ($busy->{$host} // 0) >= $limit;
	$busy->{$host}++;
	$job->{tx}->on(finish => sub { $busy->{$host}-- });
	return 0;
}

# ---- faults of Zoom alone

sub fault_kinds ($self) { return { scope_missing => {}, daily => {} } }

sub replaced_by ($self, $job, $rule)
{
	my $f = $rule->{fault};

	return FakeZoom::Store::scope_missing($job->{route}, $f->{code} // 400, $f->{scope})
	  if $f->{kind} eq 'scope_missing';
	$rule->{until} //= instant($f->{until} // 60);
	return $self->store->daily_refusal($job->{route}{label}, $f->{limit} // 6000,
		$rule->{until}, 'You have reached the maximum daily rate limit for this API.');
}

# Seconds from now, or an ISO instant
sub instant ($text)
{
	return $text =~ /T/ ? FakeZoom::Rules::parse_start_time($text, 'UTC') : Time::HiRes::time() + $text;
}

# ---- control

sub meeting_state ($m)
{
	return { %$m, id => 0 + $m->{id}, start_time => iso_time($m->{start_epoch}) };
}

sub state_of ($self, $q)
{
	my $s = $self->store;

	return (
		meetings => [ map { meeting_state($s->meetings->{$_}) } sort { $a <=> $b } keys %{ $s->meetings } ],
		token_calls => $s->token_calls,
		tokens_live => scalar(grep { !$_->{revoked} && $_->{expires} > Time::HiRes::time() } values %{ $s->tokens }));
}

sub control_calls ($self)
{
	return { 'POST edit_meeting' => sub ($app, $q, $in) { $app->store->edit($in) } };
}

1;
