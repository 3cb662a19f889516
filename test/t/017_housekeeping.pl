# What the dispatcher does by itself: it is seen to be done, and it is not much.
use TelehealthTest;

my $t = TelehealthTest->node('housekeeping', conf => {
	'telehealth.mock' => 'on', 'telehealth.poll_interval_ms' => 1000,
	shared_preload_libraries => 'telehealth, pg_stat_statements', 'pg_stat_statements.track' => 'all' });
$t->create_extension;
$t->sql('CREATE EXTENSION pg_stat_statements');
$t->await($t->insert_visit);
$t->drained;

sub pause
{
	my ($seconds) = @_;
	my $since = $t->sql('SELECT clock_timestamp()');
	return $t->poll("SELECT clock_timestamp() > '$since'::timestamptz + interval '$seconds seconds'", 't', $seconds + 60);
}

# ---- W19: what an idle dispatcher does, and shows

my $pid = $t->dispatcher_pid;
my $cycles = $t->sql('SELECT cycles FROM telehealth.worker_status');
my $began = Time::HiRes::time();
$t->sql('SELECT pg_stat_statements_reset()');
pause(3);
my @seen = $t->rows(q{SELECT calls, query FROM pg_stat_statements
	WHERE query ~ 'telehealth' AND query !~ 'keep_history|chain_audit|job_history|audit_log|pg_stat|worker_status'});
$cycles = $t->sql('SELECT cycles FROM telehealth.worker_status') - $cycles;
cmp_ok($cycles, '<=', Time::HiRes::time() - $began + 2, 'W19: an idle dispatcher looks once in poll_interval_ms');
is(scalar(@seen), 1, 'W19: with one statement');
cmp_ok($_->{calls}, '<=', $cycles, 'W19: each once') for @seen;
my $row = $t->row(qq{SELECT application_name, backend_type, state, wait_event, query, query_start > now() - interval '3 seconds' AS is_new
	FROM pg_stat_activity WHERE pid = $pid});
is("@$row{qw(application_name backend_type)}", 'telehealth dispatcher telehealth dispatcher', 'W19: pg_stat_activity names it');
is($row->{state}, 'idle', 'W19: with its state');
like($row->{wait_event}, qr/^(?:Extension|TelehealthNetwork)$/, 'W19: what it waits for');
is($row->{query}, 'claim and settle', 'W19: what it did last');
ok($row->{is_new}, 'W19: and when');
SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 2 if !$t->is_debug;
	$t->reload_conf('telehealth.debug_waitpoint' => 'held_known');
	ok($t->poll("SELECT state || ' ' || query FROM pg_stat_activity WHERE pid = $pid", 'active claim and settle', 20), 'W19: and what it does now');
	is($t->sql('SELECT phase FROM telehealth.worker_status'), 'claim', 'W19: so does worker_status');
	$t->reload_conf('telehealth.debug_waitpoint' => '');
}

# ---- W17: what is done now and then, and is not

my $health = q{SELECT status || ': ' || detail FROM telehealth.health WHERE check_name = 'housekeeping'};
my $overdue = q{SELECT COALESCE(string_agg(task, ', ' ORDER BY task), 'none') FROM telehealth.periodic_tasks WHERE is_overdue};
my $kept = 'ok: every task is done in time';
ok($t->poll($health, $kept, 60), 'W17: health says that housekeeping is done');
is($t->sql(q{SELECT string_agg(task || ' ' || extract(epoch FROM every_interval)::integer, ', ' ORDER BY task) FROM telehealth.periodic_tasks}),
	'audit_chain 10, claim 1, connections 10, events 10, feeds 10, full_scan 60, history 10, vendor_limits 10, visits 10', 'W17: a view has each task and its interval');
is($t->sql(q{SELECT count(*) FROM telehealth.periodic_tasks
	WHERE last_success_at > now() - every_interval - interval '2 seconds' AND next_due_at = last_success_at + every_interval AND NOT is_overdue}),
	9, 'W17: when each was done last, and when it is due');
SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 4 if !$t->is_debug;
	$t->reload_conf('telehealth.debug_waitpoint' => 'before_settle');
	ok($t->poll($overdue, 'claim', 9), 'W17: a dispatcher that hangs is late by two intervals');
	is($t->sql($health), 'error: overdue: claim', 'W17: health is red and names what');
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll($overdue, 'none', 10), 'W17: until it goes on');
	is($t->sql($health), $kept, 'W17: and health is green');
}

my $tomorrow = 'telehealth_private.job_history_' . $t->sql(q{SELECT to_char((now() AT TIME ZONE 'UTC') + interval '1 day', 'YYYYMMDD')});
$t->sql("ALTER FUNCTION telehealth_private.keep_history RENAME TO other;
	ALTER EXTENSION telehealth DROP TABLE $tomorrow; DROP TABLE $tomorrow");
my $logged = $t->log_size;
SKIP:
{
	skip 'in the first hour of a UTC day that may be late', 1 if $t->sql(q{SELECT extract(hour FROM now() AT TIME ZONE 'UTC')}) == 0;
	ok($t->poll($health, 'error: the log of attempts has no partition for tomorrow', 20), 'W17: one that does not succeed turns it red');
}
ok(patiently(sub { $t->log_text($logged) =~ /function telehealth_private.keep_history.* does not exist/ }, 30), 'W17: and the log says why');
$t->sql(q{SELECT telehealth.pause_outbound('x'); SELECT telehealth.resume_outbound()});
ok($t->poll('SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL', 0, 30), 'W17: another one goes on');
$t->await_ok($t->insert_visit, 'W17: and so does the work');
is($t->dispatcher_pid, $pid, 'W17: of the same process');
my $last = $t->sql(q{SELECT last_success_at FROM telehealth.periodic_tasks WHERE task = 'history'});
$t->sql(q{ALTER FUNCTION telehealth_private.chain_audit RENAME TO another; SELECT telehealth.pause_outbound('x'); SELECT telehealth.resume_outbound()});
$t->sql("SELECT pg_terminate_backend($pid)");
ok($t->poll("SELECT state = 'running' AND pid <> $pid FROM telehealth.worker_status", 't', 20), 'W17: the next process');
is($t->sql(q{SELECT last_success_at FROM telehealth.periodic_tasks WHERE task = 'history'}), $last, 'W17: knows when it was done last');
ok($t->poll("$overdue AND task = 'history'", 'history', 35), 'W17: a task that fails is late by two intervals');
like($t->sql($health), qr/^error: overdue: (?:audit_chain, )?history\b/, 'W17: health names it');
$t->sql('ALTER FUNCTION telehealth_private.other RENAME TO keep_history');
ok($t->poll("SELECT to_regclass('$tomorrow') IS NOT NULL", 't', 30), 'W17: it is made up for');
ok($t->poll("$overdue AND task = 'history'", 'none', 10), 'W17: and no more overdue');
ok($t->poll($health, 'error: overdue: audit_chain; rows of the audit log are not chained', 50), 'W17: an audit chain that stays behind turns health red');
$t->sql('ALTER FUNCTION telehealth_private.another RENAME TO chain_audit');
ok($t->poll($health, $kept, 30), 'W17: until it is made up for');

finish;
