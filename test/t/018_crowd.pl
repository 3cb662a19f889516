# One process for each database, which does what is due however much it is.
use TelehealthTest;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 5000, MEDIUM => 5000 } });
my $t = TelehealthTest->node('crowd', conf => { 'telehealth.poll_interval_ms' => 200 });
$t->create_extension;
$t->widen_limits;
$t->add_hosts(500);
$t->connect_zoom($fake);

sub creates { return $fake->count('POST /v2/users/{id}/meetings') // 0 }

# ---- W21: 500 due at once
{
	# visits that are due together under a bound; how many calls ran together
	my $together = sub {
		my ($n, $day, %limit) = @_;
		my $starts = "now() + interval '$day days'";

		$t->sql("UPDATE telehealth.vendor_limit SET value = $limit{account} WHERE name = 'concurrent_requests'");
		$t->reload_conf('telehealth.max_connections_per_host' => $limit{host}, 'telehealth.max_connections' => $limit{all});
		$t->poll('SHOW telehealth.max_connections', $limit{all});
		$t->restart_dispatcher;
		$fake->reset;
		$t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
			SELECT n, n, 'VIDEO', $starts FROM generate_series(1, $n) AS n");
		ok($t->poll("SELECT count(*) FROM telehealth.appointment WHERE starts_at > $starts - interval '1 hour'
			AND patient_id = provider_id AND join_url IS NOT NULL", $n, 60), "W21: $n due at once all get their meeting");
		my $most = $fake->state->{max_concurrent};
		return ($most <= 1 ? 0 : $most, "($most calls at once)");
	};
	$fake->options(latency_ms => 10);
	my ($most, $what) = $together->(500, 5, account => 12, host => 16, all => 256);
	ok($most && $most <= 12, "W21: not more at once than the account's concurrent_requests $what");
	is($t->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telehealth dispatcher'}), 1, 'W21: with one worker');
	($most, $what) = $together->(100, 10, account => 40, host => 5, all => 256);
	ok($most && $most <= 5, "W21: nor than max_connections_per_host $what");
	($most, $what) = $together->(100, 15, account => 40, host => 40, all => 4);
	ok($most && $most <= 4, "W21: nor than max_connections $what");
	is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'W21: none fails');
	$fake->options(latency_ms => 0);
}

# ---- W10, and settings of a database
{
	$t->create_extension('second');
	my ($one, $two) = ($t->dispatcher_pid, $t->dispatcher_pid('second'));
	if (!ok($one && $two && $one != $two, 'W10: two databases have a dispatcher each'))
	{
		diag 'without them the rest says nothing';
		finish;
		exit 1;
	}
	for my $place ([ 'postgres', $one ], [ 'second', $two ])
	{
		my ($db, $pid) = @$place;

		is($t->sql('SELECT pid FROM telehealth.worker_status', db => $db), $pid, "W10: worker_status in $db is of its own");
		is($t->sql(q{SELECT status FROM telehealth.health WHERE check_name = 'worker'}, db => $db), 'ok', "W10: health in $db too");
	}
	$t->sql('ALTER DATABASE second SET telehealth.mock = on');
	ok($t->poll(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'mock'}, 1, 10, db => 'second'), 'W10: health is of the database');
	is($t->sql(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'mock'}), 0, 'W10: the other one has its own');
	my $before = creates();
	my $id = $t->insert_visit({ db => 'second' });
	is($t->await($id, db => 'second')->{platform}, 'mock', 'ALTER DATABASE SET telehealth.mock takes effect without a restart');
	is(creates(), $before, '… and nothing goes out');
	is($t->sql('SELECT count(*) FROM telehealth_private.job_history', db => 'second'), 1, 'W10: the queue and history are of the database');
	$t->sql('ALTER DATABASE second RESET telehealth.mock');
	ok(patiently(sub {
		my $visit = $t->insert_visit({ db => 'second' });
		$t->poll("SELECT waiting_for FROM telehealth_private.job WHERE subject_id = $visit", 'no_account', 5, db => 'second');
	}, 20), '… and so does RESET');

	# ---- the extension comes and goes
	$t->sql('DROP EXTENSION telehealth CASCADE', db => 'second');
	ok(patiently(sub { !$t->dispatcher_pid('second') }, 10), 'DROP EXTENSION ends the dispatcher');
	$t->create_extension('second');
	ok($t->dispatcher_pid('second'), 'CREATE EXTENSION after DROP EXTENSION starts another');
	$t->sql('ALTER DATABASE second SET telehealth.mock = on');
	is($t->await($t->insert_visit({ db => 'second' }), db => 'second')->{platform}, 'mock', '… that works');

	# ---- another version
	my $from = $t->log_size;
	my $version = $t->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'telehealth'}, db => 'second');
	$t->sql(q{UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'telehealth'}, db => 'second');
	ok(patiently(sub { $t->log_text($from) =~ /worker is paused: the installed extension is of another version/ }, 15),
		'D6: with another version installed the worker says that it is paused');
	my ($rc, $out) = $t->psql('second', q{SELECT extversion FROM pg_extension WHERE extname = 'telehealth'; SELECT 1});
	is($out, "9.9\n1", 'D6: foreign queries are untouched');
	ok($t->poll(q{SELECT held_reason FROM telehealth_private.worker_slots()}, 'version_mismatch', 5, db => 'second')
		|| $t->sql_fails('SELECT * FROM telehealth.worker_status', db => 'second'), 'D6: its state says so, or one clear error does');
	$t->sql("UPDATE pg_extension SET extversion = '$version' WHERE extname = 'telehealth'", db => 'second');
	is($t->await($t->insert_visit({ db => 'second' }), db => 'second')->{platform}, 'mock', 'D6: with the right one it goes on');
}

finish;
