# The processes: they come back, and do what is to be done once and in its order.
# Many at once and several databases are in 018_crowd.pl, what a network that
# hangs does in 044_hang_matrix.pl.
use TelehealthTest;
use Time::HiRes qw(time);

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 5000, MEDIUM => 5000 } });
my $t = TelehealthTest->node('worker',
	conf => {
		'telehealth.request_timeout_ms' => 30_000,
		'telehealth.connect_timeout_ms' => 30_000,
		'telehealth.lease_seconds' => 3,
	});
$t->create_extension;

$t->widen_limits;
$t->add_hosts(20);
$t->connect_zoom($fake);

sub creates { return $fake->count('POST /v2/users/{id}/meetings') // 0 }

# A dispatcher that has a call under way at a fake that hangs
sub hang_at
{
	my ($id) = @_;
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$' }, fault => { kind => 'hang' } });
	my $visit = $t->insert_visit;
	$fake->wait_for(sub { $_[0]{hanging} > 0 }, 15);
	return $visit;
}

# ---- W20: no snapshot, no transaction while the network is used
{
	my $id = hang_at();
	my ($looks, $clean) = (0, 0);

	ok($t->poll(q{SELECT phase = 'network' AND in_flight = 1 FROM telehealth.worker_status}, 't', 10), 'W20: a call is under way');

	# polls of the queue are transactions too, but short ones of their own
	my $sent = $t->sql('SELECT clock_timestamp()');
	my $old = 0;
	for (1 .. 20)
	{
		my $row = $t->row(qq{SELECT backend_xmin IS NULL AND backend_xid IS NULL AND xact_start IS NULL AS clean,
				coalesce(xact_start < '$sent', false) OR state = 'idle in transaction' AS old
			FROM pg_stat_activity WHERE backend_type = 'telehealth dispatcher'});
		$looks++;
		$clean++ if $row->{clean};
		$old++ if $row->{old};
	}
	is($old, 0, 'W20: no transaction is open across a wait for HTTP');
	cmp_ok($clean, '>=', 15, "W20: backend_xmin is NULL while HTTP is waited for ($clean of $looks looks)");
	my $oldest = $t->sql(q{SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) < 1
		FROM pg_stat_activity WHERE backend_type LIKE 'telehealth%'});
	is($oldest, 't', 'W20: no transaction of ours grows old');

	# ---- W16: what is marked again and again while it runs is one pending job
	my $run = "SELECT claim_no, attempts FROM telehealth_private.job WHERE subject_id = $id";
	my $claim = $t->sql($run);
	$t->sql("UPDATE telehealth.appointment SET duration = duration + 1 WHERE id = $id") for 1 .. 10;
	is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $id"), 1,
		'W16: ten marks during a run leave one pending run');
	# an edit is waited with for a second, these are not
	$t->sql("SELECT telehealth.ensure_meeting($id), telehealth.retry_job('meeting', $id)");
	my $cycles = $t->sql('SELECT cycles FROM telehealth.worker_status');
	$t->poll("SELECT cycles > $cycles + 3 FROM telehealth.worker_status", 't', 10);
	is($t->sql($run), $claim, 'W16: and none is begun beside the one that runs');
	my $before = creates();
	$fake->faults;
	$fake->release;
	$t->await_ok($id, 'W16: it ends');
	ok($t->poll('SELECT count(*) FROM telehealth_private.job', 0, 30), 'W16: and one more look brings it in line');
	is(creates(), $before, 'W16: without another create');
	is(($fake->live_meetings)[0]{duration}, 40, 'W16: all ten are in it');
	cmp_ok($fake->count('PATCH /v2/meetings/{id}'), '<=', 2, 'W16: in one change or two');
}

# ---- W6: terminations in a row
{
	# how many of so many ends in a row were made up for, and the longest wait
	my $terminate = sub {
		my ($times, $pid_of) = @_;
		my ($replaced, $slowest) = (0, 0);
		my $pid = patiently($pid_of, 10);

		while ($pid && $replaced < $times)
		{
			my $began = time;
			my $old = $pid;

			$t->sql("SELECT pg_terminate_backend($old)");
			$pid = patiently(sub { my $new = $pid_of->(); $new && $new != $old ? $new : undef }, 5) or last;
			$replaced++;
			$slowest = time - $began if time - $began > $slowest;
		}
		return ($replaced, sprintf '%.1f', $slowest);
	};
	my ($replaced, $slowest) = $terminate->(100, sub { $t->dispatcher_pid });
	is($replaced, 100, "W6: 100 terminations of the dispatcher in a row, each replaced within 5 s (slowest $slowest s)");
	($replaced, $slowest) = $terminate->(5, sub { $t->launcher_pid });
	is($replaced, 5, "W6: 5 terminations of the launcher in a row, each replaced within 5 s (slowest $slowest s)");
	if (!ok($t->wait_dispatcher(undef, limit => 10), 'W6: with a dispatcher in the end'))
	{
		diag 'without one the rest says nothing';
		finish;
		exit 1;
	}
	is($t->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telehealth dispatcher'}), 1, 'W6: and only one');
}

# ---- W11: a dispatcher that dies in the middle of a call
{
	# so long that no lease ends before the test does
	$t->reload_conf('telehealth.lease_seconds' => 300);
	$t->poll('SHOW telehealth.lease_seconds', '5min');
	my $id = hang_at();
	ok($t->poll("SELECT attempts = 1 AND due_at > now() + interval '1 minute' FROM telehealth_private.job WHERE subject_id = $id", 't', 10),
		'W11: a job is at work, with a long lease');
	$t->kill9_and_wait_recovery('dispatcher');
	my $began = time;
	$fake->faults;
	$fake->release(cut => 1);
	ok($t->poll("SELECT attempts > 1 OR failures > 0 OR waiting_for IS NOT NULL FROM telehealth_private.job WHERE subject_id = $id",
		't', 10), 'W11: the job of a killed dispatcher is claimed again');
	cmp_ok(time - $began, '<', 4, 'W11: at once, though its lease has not ended');
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $id");
	$t->reload_conf('telehealth.lease_seconds' => 3);
}

# ---- W3: max_attempts counts crashes only; dead, and retry_dead_jobs
SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 8 if !$t->is_debug;
	# one job alone: a create in doubt is waited out for two request timeouts
	$t->reload_conf('telehealth.request_timeout_ms' => 1000);
	ok(patiently(sub {
		$t->sql('SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status');
		$t->sql('SELECT count(*) FROM telehealth_private.job') == 0;
	}, 20), 'nothing else is left');
	$t->reload_conf('telehealth.max_attempts' => 2, 'telehealth.debug_crash_at' => 'before_send');
	my $from = $t->log_size;
	$t->poll('SHOW telehealth.debug_crash_at', 'before_send');

	# the crash may cut this session too, after its commit
	my $id = eval { $t->insert_visit(provider_id => 7) };
	my $dead = $t->poll('SELECT count(*) FROM telehealth.dead_jobs', 1, 30);
	my $crashes = () = $t->log_text($from) =~ /\(PID \d+\) was terminated by signal 9/g;
	is($crashes, 2, 'W15: it is begun max_attempts times, and no more');
	ok($dead, 'W3: a job that kills its worker max_attempts times is dead');
	$t->reload_conf('telehealth.max_attempts' => 5, 'telehealth.debug_crash_at' => '',
		'telehealth.request_timeout_ms' => 2000);
	$t->wait_ready;
	$id //= $t->sql('SELECT max(id) FROM telehealth.appointment');
	is($t->sql("SELECT attempts <= max_attempts FROM telehealth_private.job WHERE subject_id = $id"), 't', 'W15: attempts stay within max_attempts');
	is($t->sql('SELECT subject_id FROM telehealth.dead_jobs'), $id, 'W3: dead_jobs shows it');
	is($t->sql(q{SELECT status FROM telehealth.health WHERE check_name = 'dead_jobs'}), 'error', 'W3: health is red');
	is($t->sql('SELECT telehealth.retry_dead_jobs()'), 1, 'W3: one function queues the dead again');
	ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id", 't', 40), 'W3: and it is done')
	  or diag $t->sql("SELECT row_to_json(j) FROM telehealth_private.job AS j"), $t->sql("SELECT string_agg(x::text, E'\n') FROM telehealth.explain_appointment($id) AS x");
}

# ---- W3, W15: what was in work when the server restarted because of another process is not to blame
SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 7 if !$t->is_debug;
	my $from = $t->log_size;
	$t->reload_conf('telehealth.max_attempts' => 2, 'telehealth.debug_waitpoint' => 'claimed');
	my $held = sub { patiently(sub { $t->log_text($from) =~ /waitpoint "claimed" reached/ }, 20) };
	ok($held->(), 'the dispatcher is held after its claim');
	my $id = $t->insert_visit(provider_id => 8);
	my @attempts;
	# of a database that was dropped before its dispatcher came back, and of one that has none
	open my $h, '>', $t->data_dir . "/pg_stat_tmp/telehealth_fall.$_" or die for 4_000_000_000, 1;
	for (1 .. 5)
	{
		my $other = $t->background_psql('postgres');
		my $pid = $other->query_safe('SELECT pg_backend_pid()');

		$from = $t->log_size;
		kill 'KILL', $pid;
		patiently(sub { !$t->is_alive($pid) }, 30);
		eval { $other->quit };
		$t->wait_ready;
		push @attempts, $held->() ? $t->sql("SELECT attempts FROM telehealth_private.job WHERE subject_id = $id") : 'not held';
	}
	is("@attempts", '1 1 1 1 1', 'W15: five restarts of the server by others, and the job in work has one attempt');
	is($t->sql(q{SELECT string_agg(f, ' ') FROM pg_ls_dir('pg_stat_tmp') AS f WHERE f LIKE 'telehealth%'}), 'telehealth_fall.1', '... nothing of it is left, nor of a database that is gone');
	unlink $t->data_dir . '/pg_stat_tmp/telehealth_fall.1';
	$from = $t->log_size;
	$t->kill9_and_wait_recovery('dispatcher');
	ok($held->(), 'now it is the dispatcher that is killed');
	is($t->sql("SELECT attempts FROM telehealth_private.job WHERE subject_id = $id"), 2, 'W15: ... which counts');
	$t->reload_conf('telehealth.max_attempts' => 5, 'telehealth.debug_waitpoint' => '');
	is($t->await($id)->{error}, undef, 'W3: ... and in the end it is done');
	is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, '... none is dead');
}

# ---- W5, W7, W14: no place for a worker
{
	$t->set_conf(max_worker_processes => 2, 'telehealth.poll_interval_ms' => 100,
		max_parallel_workers => 0, max_logical_replication_workers => 1);
	# launchers of logical replication and telehealth take both places
	my $from = $t->log_size;
	$t->restart;
	$t->wait_ready;
	ok($t->poll(q{SELECT state FROM telehealth.worker_status}, 'failed', 20), 'W7: with max_worker_processes exhausted there is no dispatcher');
	my @ids = map { $t->insert_visit } 1 .. 3;
	is(scalar(@ids), 3, 'W5: with the worker stopped INSERT succeeds');
	my $health = $t->row(q{SELECT status, detail FROM telehealth.health WHERE check_name = 'worker'});
	is($health->{status}, 'error', 'W5: health is red');
	like($health->{detail}, qr/^worker_down.* 3 jobs wait, the oldest for \d\d:\d\d:\d\d/, 'W5: and says worker_down, with the age of the backlog');
	my $runs = $t->sql('SELECT failures FROM telehealth.worker_status');
	my $history = $t->sql('SELECT count(*) FROM telehealth_private.job_history');
	my $began = time;
	patiently(sub { time - $began > 6 }, 8);
	my $recent = () = $t->log_text($from) =~ /could not start telehealth dispatcher/g;
	is($recent, 1, 'W14: one WARNING, and no more in a minute');
	is($t->sql('SELECT count(*) FROM telehealth_private.job_history'), $history, 'W14: no history row per attempt');
	$t->sql(q{UPDATE telehealth.vendor_limit SET value = 1 WHERE name = 'concurrent_requests'});
	$t->set_conf(max_worker_processes => 16, max_logical_replication_workers => 4);
	$t->restart;
	ok($t->wait_dispatcher, 'W7: with places the dispatcher is up');
	$t->await($_) for @ids;
	pass('W5: the backlog drains');
	my @order = map { $t->sql("SELECT meeting_id::bigint FROM telehealth.appointment WHERE id = $_") } @ids;
	is("@order", join(' ', sort { $a <=> $b } @order), 'W5: in its order');
	$t->sql(q{UPDATE telehealth.vendor_limit SET value = 20 WHERE name = 'concurrent_requests'});
}

# ---- W7: places come back while the launcher runs: no event tells it
{
	$t->set_conf(max_worker_processes => 4, 'telehealth.databases' => 'nothing', max_parallel_workers => 4,
		max_parallel_workers_per_gather => 4, min_parallel_table_scan_size => 0, parallel_setup_cost => 0, parallel_tuple_cost => 0);
	$t->restart;
	$t->sql(q{CREATE TABLE hog WITH (parallel_workers = 4) AS SELECT n FROM generate_series(1, 5000) AS n});
	my $hog = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $t->connstr('postgres') . ' application_name=hog',
			'-c', 'SELECT count(*) FROM hog WHERE pg_sleep(60) IS NULL' ],
		'<', \'', '>', \my $out, '2>', \my $err);
	if ($t->poll(q{SELECT count(*) >= 2 FROM pg_stat_activity WHERE backend_type = 'parallel worker'}, 't', 10))
	{
		$t->reload_conf('telehealth.databases' => '*');
		ok($t->poll(q{SELECT state FROM telehealth.worker_status}, 'failed', 15), 'W7: the launch fails while others use the places');
		$t->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hog' AND backend_type = 'client backend'});
		my $began = time;
		ok($t->wait_dispatcher(undef, limit => 15), 'W7: and succeeds once they are free');
		cmp_ok(time - $began, '<', 12, 'W7: within one interval');
	}
	else { fail('W7: no parallel workers to take the places') }
	$hog->kill_kill;
	$t->set_conf(max_worker_processes => 16, 'telehealth.databases' => '*', max_parallel_workers_per_gather => 0,
		'telehealth.poll_interval_ms' => 200);
	$t->restart;
	$t->wait_dispatcher;
}

finish;
