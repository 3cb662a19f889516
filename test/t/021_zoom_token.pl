# Tokens of an account: one at a time, one for all visits, none after a
# restart, an end to it when another system uses the same credentials; and the
# clock they are measured by.
use TelehealthTest;

my %ROOMY = (rate => { LIGHT => 0, MEDIUM => 0 }, host_daily => 100_000);
my $fake = FakeZoom->start(options => {%ROOMY});
my $t = TelehealthTest->node('token', conf => { max_worker_processes => 16 });

# A database with hosts and limits that are no part of this test
sub prepare
{
	my ($db) = @_;

	$t->create_extension($db);
	$t->widen_limits({ db => $db });
	$t->add_hosts(20, db => $db);
	return;
}

# Many visits in one statement; returns their number
sub insert_visits
{
	my ($n, %o) = @_;

	return $t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
		SELECT n, 1 + n % 20, 'VIDEO', '2031-01-01 08:00Z'::timestamptz
			+ interval '1 day' * " . state_day() . " + interval '1 hour' * (n / 20)
		FROM generate_series(1, $n) AS n", %o);
}

{
	my $day = 0;
	sub state_day { return $day++ }
}

sub linked
{
	my ($n, $name, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($t->drained(30, %o)
		  && $t->sql('SELECT count(*) FROM telehealth.appointment WHERE join_url IS NOT NULL', %o) == $n,
		$name);
}

sub status
{
	my ($account, %o) = @_;
	return $t->row("SELECT *, extract(epoch FROM token_expires_at - clock_timestamp()) AS life,
			extract(epoch FROM clock_skew) AS skew
		FROM telehealth.platform_status WHERE account_id = $account", %o);
}

sub health
{
	my ($check, %o) = @_;
	return $t->row("SELECT * FROM telehealth.health WHERE check_name = '$check'", %o);
}

sub token_calls { return $fake->state->{token_calls} }

# How often Zoom said 401 to a call
sub refusals
{
	my $answers = $fake->state->{answers};
	my $n = 0;

	$n += $answers->{$_} for grep { / 401$/ } keys %$answers;
	return $n;
}

# ---- one token for all

prepare('postgres');
my $account = $t->connect_zoom($fake);
insert_visits(60);
linked(60, 'sixty visits at once are made');
is(token_calls(), 1, 'Z5: they share one token');

ok($t->restart_dispatcher, 'the dispatcher is started again');
insert_visits(10);
linked(70, 'it goes on');
is(token_calls(), 1, 'Z5: a restart of the dispatcher asks for no token');

$t->restart;
$t->wait_dispatcher;
insert_visits(10);
linked(80, 'the server is started again');
is(token_calls(), 1, 'Z5: a restart of the server asks for no token');
is($t->sql(q{SELECT string_agg(CASE WHEN octet_length(envelope) > 150 AND position('eyJ'::bytea IN envelope) = 0
		THEN 'sealed' ELSE encode(envelope, 'escape') END, ' ') FROM telehealth_private.token_cache}),
	'sealed', 'Z5: it was kept, sealed');

# All of them are under way when the token dies
$fake->options(latency_ms => 50);
$fake->revoke_tokens;
insert_visits(40);
linked(120, 'a revoked token is got over');
is(token_calls(), 2, 'Z5: many refusals are one renewal');
ok(refusals() > 1, 'and there were many');
is($fake->duplicates + 0, 0, 'nothing was made twice');
is(scalar($fake->live_meetings), 120, 'nor something else');
is(status($account)->{status}, 'connected', 'the account is in order');
$fake->options(latency_ms => 0);

# ---- no end of refusals

my $before = token_calls();
$fake->faults({ match => { path_regex => '^/v2/' },
	fault => { kind => 'status', code => 401, body => { code => 124, message => 'Invalid access token.' } } });
$t->connect_zoom($fake);
my $visit = $t->insert_visit(provider_id => 3);
ok($t->poll("SELECT status FROM telehealth.platform_status WHERE account_id = $account", 'error'),
	'Z5: renewals that help nobody have an end');
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $visit", 'token_refused'), 'Z5: the work waits');
is(token_calls() - $before, 3, 'Z5: a token and two renewals, no more');
is(status($account)->{status}, 'error', 'Z5: and the account is in trouble');
like(status($account)->{last_error}, qr/another system/, 'Z5: the alarm says what it may be');
is(health('accounts')->{status}, 'error', 'Z5: health has it too');
$t->fails_ok("SELECT telehealth.await_meeting($visit, '100 ms')",
	{ sqlstate => '55000', detail => qr/^token_refused: .*another system/ },
	'Z5: await_meeting tells it');
my $wait_s = $t->sql("SELECT extract(epoch FROM due_at - clock_timestamp())::int FROM telehealth.job_status WHERE subject_id = $visit");
ok($wait_s > 200 && $wait_s <= 310, 'Z5: nothing is tried before the five minutes are over') or diag $wait_s;
my $asked = $fake->state->{requests_total};
$t->sql("SELECT telehealth.ensure_meeting($visit)");
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $visit", 'token_refused'), 'also when it is marked again');
is($fake->state->{requests_total}, $asked, 'Z5: that asks nobody');
$fake->faults;
$t->connect_zoom($fake);
linked(121, 'connecting again ends it');
is(status($account)->{last_error}, undef, 'and clears the trouble');

# ---- wrong credentials

$before = token_calls();
$t->connect_zoom($fake, client_secret => 'wrong-secret');
$visit = $t->insert_visit(provider_id => 4, starts_at => \"now() + interval '3 hours'");
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $visit", 'credentials_refused'),
	'a wrong secret makes the work wait');
is($t->sql("SELECT reason FROM telehealth.not_ready WHERE appointment_id = $visit"), 'credentials_refused',
	'M6: not_ready names the visit and the reason');
is(status($account)->{status}, 'error', 'and the account say error');
like(status($account)->{last_error}, qr/Invalid client_id or client_secret/, 'with the words of Zoom');
unlike($t->log_text . $t->sql("SELECT string_agg(h::text, ' ') FROM telehealth_private.job_history AS h"),
	qr/wrong-secret/, 'which do not have the secret in them');
insert_visits(5);
ok($t->poll("SELECT count(*) FROM telehealth.job_status WHERE waiting_for = 'credentials_refused'", 6), 'others wait with it');
is(token_calls() - $before, 1, 'one request was enough to know');
like($t->checks($account)->{token}{detail}, qr/Invalid client_id/, 'check_platform tells the same');
is(token_calls() - $before, 1, 'and does not ask again at once');
$t->connect_zoom($fake);
linked(127, 'the right secret ends it');

# ---- the clock

$fake->options(date_skew_s => 7200, expires_in => 3600);
$t->connect_zoom($fake);
insert_visits(1);
linked(128, 'a clock ahead of ours');
my $row = status($account);
ok(abs($row->{life} - 10800) < 60, 'Z6: the expiry is an instant of the Date header') or diag $row->{life};
ok(abs($row->{skew} - 7200) < 5, 'Z7: the skew is known') or diag $row->{skew};
my $check = $t->checks($account);
is($check->{clock}{status}, 'warning', 'Z7: check_platform warns of it');
like($check->{clock}{detail}, qr/7(?:19\d|20\d) s/, 'Z7: with its size');
ok($check->{token}{status} eq 'ok' && $check->{token}{detail} =~ /valid for (\d+) s/ && $1 > 3500 && $1 <= 3600,
	'Z7: a clock that differs is not an expired token') or diag $check->{token}{detail};

$fake->options(date_skew_s => -7200);
$t->connect_zoom($fake);
$before = token_calls();
my $n = 128;

# longer than any token is used at the least
sub visits_for
{
	my ($seconds) = @_;
	my $end = time + $seconds;

	while (time < $end)
	{
		insert_visits(1);
		$n++;
		$t->drained or return;
	}
	return;
}
visits_for(3);
linked($n, 'a clock behind ours');
is(token_calls() - $before, 1, 'Z7: behind ours, the token is not taken for expired');
$t->restart_dispatcher;
visits_for(3);
linked($n, 'the dispatcher starts anew');
is(token_calls() - $before, 1, 'Z7: nor by a new dispatcher');
is($t->checks($account)->{clock}{status}, 'warning', 'Z7: which knows of the clock too');

$fake->options(date_skew_s => 0);
$t->connect_zoom($fake);
insert_visits(1);
linked(++$n, 'a good clock');
is($t->checks($account)->{clock}{status}, 'ok', 'Z7: no warning without cause');

# A short life is seen to end, and is not asked for in a loop; by a clock
# ahead of ours it would seem to last for hours
$fake->options(expires_in => 4, date_skew_s => 7200);
$t->connect_zoom($fake);
my $refused = refusals();
$before = token_calls();
visits_for(6);
is($t->sql('SELECT count(*) FROM telehealth.appointment WHERE join_url IS NOT NULL'), $n, 'visits come while tokens run out');
is(refusals(), $refused, 'Z6, Z7: no token is used after its end, whatever the clock of the platform');
my $used = token_calls() - $before;
ok($used >= 2 && $used <= 4, 'Z6: each is used for its life') or diag "$used tokens";
$fake->options(expires_in => 3600, date_skew_s => 0);

# ---- two databases, one credential

is(health('credentials')->{status}, 'ok', 'no other database uses the credentials');
prepare('second');
$t->connect_zoom($fake);
insert_visits(1);
$n++;
linked($n, 'one database');
$t->connect_zoom($fake, db => 'second');
insert_visits(5, db => 'second');
linked(5, 'another with the same credentials', db => 'second');
for my $db ('postgres', 'second')
{
	ok($t->poll("SELECT status FROM telehealth.health WHERE check_name = 'credentials'", 'warning', 30, db => $db),
		"Z5: health of $db warns of shared credentials");
}
like(health('credentials')->{hint}, qr/app of its own/, 'Z5: and says what to do');

# Zoom may kill one database's token when the other asks for its own
$fake->options(new_token_revokes => 1);
$fake->revoke_tokens;
$before = token_calls();
for my $round (1 .. 6)
{
	for my $db ('postgres', 'second')
	{
		insert_visits(1, db => $db);
		$t->poll('SELECT count(*) FROM telehealth.job_status WHERE waiting_for IS NULL', 0, 30, db => $db);
	}
}
$used = token_calls() - $before;
ok($used <= 4, 'Z5: no ping-pong: at most two renewals in each database') or diag $used;
ok(patiently(
		sub {
			grep { $t->sql("SELECT status FROM telehealth.platform_status", db => $_) eq 'error' } qw(postgres second);
		},
		10),
	'Z5: the one that loses raises the alarm');

finish;
