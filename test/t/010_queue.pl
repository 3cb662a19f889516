# The queue: an intent is never lost, never done twice, never given up without
# need, and no subject stands in another's way.
use TelehealthTest;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $VISIT = q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	VALUES (1, %d, '%s', date_trunc('hour', now()) + interval '%d hours')};

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('queue',
	conf => { 'telehealth.request_timeout_ms' => 1500, 'telehealth.lease_seconds' => 2 });
$t->create_extension;
$t->widen_limits(concurrent_requests => 1);
$t->add_hosts(100);
my $account = $t->connect_zoom($fake);

sub job
{
	my ($id) = @_;
	return $t->row(
		qq{SELECT *, extract(epoch FROM due_at) AS due FROM telehealth_private.job WHERE subject_id = $id});
}

sub creates { return $fake->count('POST /v2/users/{id}/meetings') // 0 }

# Makes the jobs due at once, as time would
sub hurry
{
	$t->sql('UPDATE telehealth_private.job SET due_at = now() WHERE attempts = 0 AND dead_at IS NULL');
	$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE failures > 0 AND state <> 'running'")
	  if $_[0];
}

# ---- W1: the inserting backend and the network

# A listener that never accepts: a full backlog swallows further packets
{
	my $hole = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp');
	my $url = 'http://127.0.0.1:' . $hole->sockport;

	$t->sql("SELECT telehealth.configure_platform($account, "
		  . literal({ api_url => "$url/v2", token_url => "$url/oauth/token" }) . ')');
	my $timed = sub {
		my ($type, $from) = @_;
		return $t->sql(sprintf <<'SQL', $type);
CREATE TEMP TABLE took (ms float8);
CREATE PROCEDURE pg_temp.go() LANGUAGE plpgsql AS $$
DECLARE began timestamptz;
BEGIN
	FOR n IN 1 .. 30 LOOP
		began := clock_timestamp();
		INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
		VALUES (1, 99, '%s', '2031-01-01Z'::timestamptz + (SELECT count(*) FROM telehealth.appointment) * interval '1 hour');
		COMMIT;
		INSERT INTO took VALUES (1000 * extract(epoch FROM clock_timestamp() - began));
		COMMIT;
	END LOOP;
END $$;
CALL pg_temp.go();
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM took;
SQL
	};
	my $person = $timed->('IN_PERSON');
	my $video = $timed->('VIDEO');
	cmp_ok($video - $person, '<', 20,
		"W1: with the platform black-holed an INSERT of a VIDEO visit commits within 20 ms of another one ($video, $person ms)");
	ok($t->poll(q{SELECT state = 'running' FROM telehealth.job_status WHERE state = 'running' LIMIT 1}, 't', 10),
		'W1: the dispatcher is in the black hole meanwhile');

	# the sockets of a backend before and after it inserts, read by the backend's own server
	my $sockets = $t->sql(<<'SQL');
CREATE TEMP TABLE seen (at int, links text);
CREATE FUNCTION pg_temp.look(at int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('COPY pg_temp.links FROM PROGRAM %L',
		format('readlink /proc/%s/fd/* 2>/dev/null | grep -F socket: | sort || true', pg_backend_pid()));
	INSERT INTO seen SELECT look.at, coalesce(string_agg(l, ',' ORDER BY l), '') FROM pg_temp.links;
	TRUNCATE pg_temp.links;
END $$;
CREATE TEMP TABLE links (l text);
SELECT pg_temp.look(0) \g /dev/null
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 98, 'VIDEO', '2031-01-01Z');
BEGIN;
INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 98, 'VIDEO', '2031-01-02Z');
SELECT pg_temp.look(1) \g /dev/null
COMMIT;
SELECT pg_temp.look(2) \g /dev/null
SELECT count(DISTINCT links) = 1 AND count(*) = 3 AND min(links) <> '' FROM seen;
SQL
	is($sockets, 't', 'W1: the inserting backend opens no socket');
	$t->sql('DELETE FROM telehealth.appointment');
	$t->sql("SELECT telehealth.configure_platform($account, "
		  . literal({ api_url => $fake->api_url, token_url => $fake->token_url }) . ')');
	hurry();
	ok($t->drained, 'the black hole is left behind');
}

# ---- W2: kill -9 of the postmaster between COMMIT and sending
SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 7 if !$t->is_debug;
	my $before = creates();

	$t->reload_conf('telehealth.debug_waitpoint' => 'before_send');
	ok($t->poll(q{SELECT current_setting('telehealth.debug_waitpoint')}, 'before_send', 10), 'a waitpoint is set');
	my $id = $t->insert_visit;
	ok(patiently(sub { $t->log_text =~ /before_send/ }, 20), 'W2: the dispatcher is about to send');
	is(creates(), $before, 'W2: nothing is sent before the crash');
	$t->set_conf('telehealth.debug_waitpoint' => '');
	ok($t->kill9_and_wait_recovery('postmaster'), 'W2: kill -9 of the postmaster, and recovery');
	hurry();
	ok($t->await($id)->{join_url}, 'W2: the visit gets its meeting');
	is(creates() - $before, 1, 'W2: exactly one create call goes out');
	is(scalar(grep { 1 } $fake->live_meetings), 1, 'W2: one meeting lives');
}

# ---- W3: retries
{
	# errors of a change: the distance between failures grows, with jitter
	my $id = $t->insert_visit;
	$t->await($id);
	$fake->faults({ match => { method => 'PATCH' },
		fault => { kind => 'status', code => 500, body => '{"code":500,"message":"x"}' } });
	$t->sql("UPDATE telehealth.appointment SET duration = 77 WHERE id = $id");
	for my $n (1 .. 7)
	{
		$t->poll("SELECT failures >= $n AND attempts = 0 FROM telehealth_private.job WHERE subject_id = $id", 't', 20);
		my $job = $t->row(qq{
			SELECT failures, extract(epoch FROM due_at - h.at) AS wait
			FROM telehealth_private.job AS j, LATERAL (SELECT max(at) AS at
				FROM telehealth_private.job_history WHERE subject_id = j.subject_id) AS h
			WHERE subject_id = $id});
		my $ceiling = 2**($job->{failures} - 1);
		ok($job->{failures} >= $n && $job->{wait} >= $ceiling / 4 - 0.2 && $job->{wait} <= $ceiling + 0.2,
			"W3: failure $job->{failures} waits between a quarter and all of $ceiling s ($job->{wait})");
		# not the wait of the next one, should that have come by itself
		$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE subject_id = $id AND failures = $job->{failures} AND attempts = 0");
	}
	is(job($id)->{dead_at}, undef, 'W3: more failures than max_attempts do not make a job dead');
	cmp_ok(job($id)->{attempts}, '<=', 1, 'W3: a refusal is no crash');

	# Retry-After in both forms
	my $later = time + 7;
	my @days = qw(Sun Mon Tue Wed Thu Fri Sat);
	my @months = qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);
	for my $form (qw(seconds date))
	{
		for my $code (429, 503)
		{
			my $at = int(time) + 40;
			my @g = gmtime $at;
			my $value = $form eq 'seconds' ? 40
			  : sprintf('%s, %02d %s %d %02d:%02d:%02d GMT', $days[ $g[6] ], $g[3],
				$months[ $g[4] ], $g[5] + 1900, @g[ 2, 1, 0 ]);

			$fake->faults({ match => { path_regex => '/meetings' },
				fault => { kind => 'status', code => $code, body => '{"code":429,"message":"slow down"}',
					headers => { 'Retry-After' => $value } } });
			my $visit = $t->insert_visit(provider_id => 2);
			$t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE subject_id = $visit", 't', 20);
			my $due = job($visit)->{due} - $at;
			ok($due > -2 && $due < 15, "W3: Retry-After as $form after $code is kept (off by $due s)");
			$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");
			$fake->faults;
			$t->sql('SELECT pg_terminate_backend(' . $t->dispatcher_pid . ')');
			hurry(1);
			$t->drained;
		}
	}
	$t->wait_dispatcher;
	hurry(1);
	ok($t->drained, 'W3: the refused change is made in the end');
	ok((grep { $_->{duration} == 77 } $fake->live_meetings) == 1, 'W3: as it was wanted');
}

# ---- W22: a create is repeated only after a look
{
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
		fault => { kind => 'status', code => 502, body => '', effect => 1 } });
	my $since = $fake->state->{requests_total};
	my $live = () = $fake->live_meetings;
	my $id = $t->insert_visit;
	my $tries = 0;
	ok(patiently(sub { hurry(); $t->sql("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id") eq 't' }, 30),
		'W22: a create answered with 502 ends in a meeting');
	my @seen = grep { $_->{path} =~ m{/meetings$} } @{ $fake->state(requests => 1)->{requests} };
	@seen = @seen[ grep { $seen[$_]{seq} > $since } 0 .. $#seen ] if @seen && defined $seen[0]{seq};
	my @methods = map { $_->{method} } @seen;
	is(scalar(grep { $_ eq 'POST' } @methods), 1, 'W22: it was created once');
	ok((grep { $_ eq 'GET' } @methods) >= 1, 'W22: the other call was a search');
	is((() = $fake->live_meetings) - $live, 1, 'W22: one meeting lives');

	# not created: the second POST comes only after the search
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 },
		fault => { kind => 'status', code => 502, body => '', effect => 0 } });
	$since = $fake->state->{requests_total};
	$id = $t->insert_visit;
	ok(patiently(sub { hurry(); $t->sql("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id") eq 't' }, 30),
		'W22: a create that did not act ends in a meeting');
	@seen = grep { $_->{path} =~ m{/users/.*/meetings$} && $_->{seq} > $since } @{ $fake->state(requests => 1)->{requests} };
	like(join(' ', map { $_->{method} } @seen), qr/^POST (GET )+POST$/, 'W22: POST, search, POST');
}

# ---- W4, W15
{
	is($t->sql(q{SELECT count(*) FROM telehealth_private.job_history WHERE outcome IS NULL
		OR outcome NOT IN ('ok', 'adopted', 'nothing', 'gone', 'retry', 'unknown', 'waiting', 'dead')}),
		0, 'W4: every attempt has an outcome of the closed set');
	is($t->sql(q{SELECT count(*) FROM telehealth_private.job_history
		WHERE outcome IN ('ok', 'adopted') AND http_status IS NULL}),
		0, 'W4: no success lacks an HTTP status');
	ok($t->sql('SELECT count(DISTINCT outcome) > 2 FROM telehealth_private.job_history') eq 't',
		'W4: and several kinds were seen');
	my $row = q{INSERT INTO telehealth_private.job_history (at, kind, clinic_id, subject_id, claim_no, platform, action, outcome)
		VALUES (now(), 'meeting', 1, 1, 1, 'zoom', 'create', %s)};
	$t->fails_ok(sprintf($row, 'NULL'), '23514', 'W4: an attempt without an outcome is refused');
	$t->fails_ok(sprintf($row, q{'SUCCESS'}), '23514', 'W4: so is one outside the set');
	$t->fails_ok(sprintf($row, q{'ok'}), '23514', 'W4: and a success without a status');
	$t->fails_ok(q{INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, attempts, max_attempts)
		VALUES ('meeting', 1, 999999, 1, 'infinity', 6, 5)},
		{ sqlstate => '23514', message => qr/job_attempts_check/ }, 'W15: attempts above max_attempts are refused by a CHECK');
}

# ---- W12: one host that always fails
{
	$fake->faults({ match => { path_regex => '/users/host1@|/users/host1%40' },
		fault => { kind => 'status', code => 500, body => '{"code":500,"message":"x"}' } });
	$t->insert_visit(provider_id => 1) for 1 .. 5;
	ok($t->poll(q{SELECT count(*) FROM telehealth.job_status WHERE failures > 0}, 5, 20), 'W12: all of host A fails');
	my $began = time;
	my $id = $t->insert_visit(provider_id => 2);
	ok($t->await($id, timeout => '20 s')->{join_url}, 'W12: host B has its meeting');
	cmp_ok(time - $began, '<', 5, 'W12: without delay');
	$fake->faults;
	$t->sql(q{DELETE FROM telehealth.appointment WHERE provider_id = 1});
	patiently(sub { hurry(); $t->sql('SELECT count(*) FROM telehealth_private.job') == 0 }, 30);
}

# ---- W13: 10,000 others and a visit that starts soon, with one place
{
	$t->sql('DELETE FROM telehealth.appointment');
	patiently(sub { hurry(); $t->sql('SELECT count(*) FROM telehealth_private.job') == 0 }, 30);
	$fake->options(latency_ms => 100);
	$t->sql(q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
		SELECT n, n % 100 + 1, 'VIDEO', '2030-01-01Z'::timestamptz + n / 100 * interval '1 hour'
		FROM generate_series(1, 10000) AS n});
	$fake->wait_for(sub { grep({ !$_->{deleted} } @{ $_[0]{meetings} }) >= 3 }, 30);
	my $began = creates();
	my $id = $t->insert_visit(provider_id => 3, starts_at => \q{now() + interval '10 minutes'});
	ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id", 't', 10), 'W13: the near visit has its meeting')
	  or diag $t->sql("SELECT * FROM telehealth_private.job WHERE subject_id = $id; SELECT priority, waiting_for, count(*), min(due_at), max(due_at), now() FROM telehealth_private.job GROUP BY 1, 2");
	cmp_ok(creates() - $began, '<=', 10, 'W13: it ran next, before 10,000 others in one place');
	cmp_ok($fake->state->{max_concurrent}, '<=', 2, 'W13: with one place');
	$fake->options(latency_ms => 0);
	$t->sql('SELECT telehealth.pause_outbound($$done$$)');
}

finish;
