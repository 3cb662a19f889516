# Vendors of calendars have a request of every kind at once and have given no
# answer when the dispatcher dies; half of the time they have done what was
# asked. Afterwards both sides are equal, and nothing is there twice.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;

my $google = FakeGoogle->start(options => CalendarSides::google_options(60));
my $graph = FakeGraph->start;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('calhang',
	conf => { 'telehealth.request_timeout_ms' => 500, 'telehealth.lease_seconds' => 2, 'telehealth.http_port' => $port,
		'telehealth.public_url' => 'https://clinic.example', 'telehealth.max_connections_per_host' => 100 });
$google->options(push_via => "http://127.0.0.1:$port");
$graph->options(callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" });
$t->create_extension;
$t->wait_gateway;
$t->widen_calendar_limits($_, page_size => 2, concurrent_requests => 100, concurrent_requests_per_calendar => 1) for qw(google outlook);

my $sides = CalendarSides->new($t, google => $google, outlook => $graph);
my %fake = (google => $google, outlook => $graph);

sub patience
{
	my ($ms, $shown) = @_;

	$t->reload_conf('telehealth.request_timeout_ms' => $ms);
	$t->poll('SHOW telehealth.request_timeout_ms', $shown);
	return;
}

# What a clinician's calendar is asked when the dispatcher dies: [ prepare,
# do, the request that hangs, what must be so afterwards ]. The first argument
# is the connection, the second the provider, the third the kind.
sub mark { my ($job, $id) = @_; return $t->sql("SELECT telehealth_private.mark('$job', ARRAY[1::bigint], ARRAY[$id\::bigint], 2), telehealth_private.wake()") }
sub visit { my ($provider, @o) = @_; return $t->insert_visit(provider_id => $provider, type => 'PHONE', @o) }
sub events { my ($kind) = @_; return $kind eq 'google' ? 'calendars/[^/]+/events' : '/events' }

my %case = (
	create => {
		do => sub { visit($_[1]) },
		hangs => sub { return { method => 'POST', path_regex => events($_[0]) . '$' } } },
	change => {
		before => sub { visit($_[1]) },
		do => sub { $t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '50 days' WHERE provider_id = $_[1]") },
		hangs => sub { return { method => 'PATCH', path_regex => events($_[0]) . '/[^/]+$' } } },
	removal => {
		before => sub { visit($_[1]) for 1 .. 2 },
		do => sub { $t->sql("DELETE FROM telehealth.appointment WHERE id = (SELECT min(id) FROM telehealth.appointment WHERE provider_id = $_[1])") },
		hangs => sub { return { method => 'DELETE', path_regex => events($_[0]) . '/[^/]+$' } } },
	page => {
		do => sub { $sides->own($_[2], $_[1], 1 .. 7); mark('pull', $_[0]) },
		hangs => sub { return { method => 'GET', query_regex => $_[0] eq 'google' ? 'pageToken=' : 'skiptoken=' } } },
	token => {
		before => sub { visit($_[1]) },
		connects => 1,
		hangs => sub { return { method => 'POST', path_regex => '/token$' } } },
	discovery => {
		before => sub { visit($_[1]) },
		connects => 1,
		hangs => sub { return { method => 'GET', path_regex => $_[0] eq 'google' ? 'calendars/[^/]+$' : '/me/calendar$' } } },
	channel => {
		connects => 1,
		hangs => sub { return { method => 'POST', path_regex => $_[0] eq 'google' ? '/events/watch$' : '/subscriptions$' } } },
	renewal => {
		do => sub { $t->sql("UPDATE telehealth_private.push_channel SET renew_at = now() WHERE connection_id = $_[0]"); mark('channel', $_[0]) },
		hangs => sub { return { method => 'PATCH', path_regex => '/subscriptions/' } },
		kinds => { outlook => 1 } },
	stop => {
		do => sub { $sides->forget($_[0]); $t->sql("SELECT telehealth.disconnect_calendar($_[1], '$_[2]')") },
		ended => 1,
		hangs => sub { return $_[0] eq 'google' ? { path_regex => '/channels/stop$' } : { method => 'DELETE', path_regex => '/subscriptions/' } } },
	revocation => {
		options => { sync_direction => 'push' },
		do => sub { $sides->forget($_[0]); $t->sql("SELECT telehealth.disconnect_calendar($_[1], '$_[2]')") },
		ended => 1,
		hangs => sub { return { path_regex => '/revoke$' } },
		kinds => { google => 1 } },
	search => {
		options => { sync_direction => 'push' },
		before => sub { visit($_[1]) for 1 .. 3 },
		do => sub { $sides->forget($_[0]); $t->sql("SELECT telehealth.purge_remote($_[0])") },
		emptied => 1,
		hangs => sub { return { method => 'GET', query_regex => $_[0] eq 'google' ? 'privateExtendedProperty' : 'filter=.*(?:Any|any)' } } });

my $provider = 0;

# Who was asked about the address before the gateway was back asks again minutes later, or when told to
sub tell_all { mark('channel', $_) for map { $_->{id} } $t->rows("SELECT id FROM telehealth.calendar_connection WHERE status = 'CONNECTED'"); return }

# All of it at once; the requests have acted or not
sub round
{
	my ($acts) = @_;
	my $how = $acts ? 'that has acted' : 'that has not acted';
	my (@open, %rules);

	for my $name (sort keys %case)
	{
		for my $kind (grep { !$case{$name}{kinds} || $case{$name}{kinds}{$_} } qw(google outlook))
		{
			my $o = { name => $name, kind => $kind, provider => ++$provider, case => $case{$name} };

			push @open, $o;
			$o->{case}{before}->(undef, $o->{provider}) if $o->{case}{before};
			$o->{id} = $sides->connect($kind, $o->{provider}, options => $o->{case}{options} // {}, wait => 0) if !$o->{case}{connects};
			push @{ $rules{$kind} }, { match => { %{ $o->{case}{hangs}->($kind) }, times => 1 }, fault => { kind => 'hang', effect => $acts } };
		}
	}
	$sides->equal_ok("calendars before requests $how");
	tell_all();
	ok($t->poll("SELECT count(*) FROM telehealth.calendar_connection AS x WHERE x.status = 'CONNECTED' AND x.sync_enabled AND x.sync_direction = 'both' AND NOT EXISTS
		(SELECT FROM telehealth_private.push_channel AS p WHERE p.connection_id = x.id)", 0, 20), 'all are told of changes');
	$sides->calm;
	patience(30_000, '30s');
	$fake{$_}->faults(@{ $rules{$_} }) for sort keys %rules;
	for my $o (@open)
	{
		if ($o->{case}{connects}) { $o->{id} = $sides->connect($o->{kind}, $o->{provider}, wait => 0) }
		else { $o->{case}{do}->(@$o{qw(id provider kind)}) }
	}
	for my $kind (sort keys %rules)
	{
		my $n = @{ $rules{$kind} };

		ok($fake{$kind}->wait_for(sub { $_[0]{hanging} == $n }, 20), "$kind: a request $how of each of $n kinds")
		  or diag join ' ', map { $_->{fired} // '?' } @{ $fake{$kind}->state->{rules} // [] };
	}
	patience(5000, '5s');
	$fake{$_}->faults for keys %fake;
	ok($t->kill9_and_wait_recovery, 'the dispatcher dies');
	$sides->equal_ok("W2, Z1, G2, O5, O7: killed with requests $how: one event a visit, all busy times, nothing else");
	for my $o (grep { $_->{case}{ended} } @open)
	{
		ok($t->poll("SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id = $o->{id}", 0, 10), "$o->{kind}: $o->{name}: ended");
		is($t->sql("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $o->{id}"), 0, "G3: $o->{kind}: $o->{name}: its channel is stopped");
	}
	for my $o (grep { $_->{case}{emptied} } @open)
	{
		ok($t->poll("SELECT is_purging FROM telehealth.calendar_status WHERE connection_id = $o->{id}", 'f', 10), "D10: $o->{kind}: emptied");
		is(scalar(keys %{ ($sides->remote($o))[0] }), 0, "D10: $o->{kind}: nothing of ours is left");
	}
	return;
}

round(1);
round(0);

# ---- channels: one each, and at the vendors what nobody knows of are those whose making was not answered

tell_all();
$sides->calm;
is($t->sql("SELECT string_agg(x.kind || ' ' || n, ', ') FROM (SELECT c.kind, count(p.id) AS n FROM telehealth.calendar_connection AS c
	LEFT JOIN telehealth_private.push_channel AS p ON p.clinic_id = c.clinic_id AND p.connection_id = c.id AND p.retired_at IS NULL
	WHERE c.status = 'CONNECTED' AND c.sync_enabled GROUP BY c.kind, c.id) AS x WHERE n <> 1"), '', 'G3: every calendar has one channel');
my %known = map { ($_->{channel_id} => 1) } $t->rows('SELECT channel_id FROM telehealth_private.push_channel');

# on a busy machine more may have taken too long
sub unanswered
{
	my ($kind) = @_;

	return 1 + $t->sql("SELECT count(*) FROM telehealth_private.job_history AS h JOIN telehealth.calendar_connection AS x ON x.id = h.subject_id
		WHERE h.kind = 'channel' AND h.action = 'watch' AND h.message LIKE 'timeout%' AND x.kind = '$kind'");
}

sub extra_ok
{
	my ($n, $kind, $name) = @_;

	return ok($n >= 1 && $n <= unanswered($kind), $name) || diag "$n of " . unanswered($kind);
}
extra_ok(scalar(grep { $_->{live} && !$known{ $_->{id} } } $google->channels), 'google', 'G3: Google has one more, whose making was not answered');
extra_ok(scalar(grep { !$known{ $_->{id} } } $graph->subscriptions), 'outlook', 'G3: so has Graph');

finish;
