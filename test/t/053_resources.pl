# What the machine does to us: the clock is set back and forward, the disk of
# the history is full.  No place for a worker: see 011_worker.pl.
use TelehealthTest;
use File::Basename qw(dirname);
use IO::Socket::IP;
use Time::HiRes qw(time);

# ---- a server whose wall clock the test can step

my $folder = PostgreSQL::Test::Utils::tempdir;
my ($library, $step_file) = ("$folder/clock_step.so", "$folder/step");
my $source = dirname($INC{'TelehealthTest.pm'}) . '/clock_step.c';
PostgreSQL::Test::Utils::run_log([ $ENV{CC} // 'cc', '-O2', '-shared', '-fPIC', '-o', $library, $source, '-ldl' ])
  or BAIL_OUT('cannot compile clock_step.c');

my ($stepped, $passed) = (0, 0);

sub write_steps
{
	open my $file, '+<', $step_file or die;
	syswrite $file, pack('l!2', $stepped, $passed);
	return;
}

sub step_clock { my ($seconds) = @_; $stepped += $seconds; return write_steps() }

# As if so much time had gone by, though no clock on the wall says so
sub let_pass { my ($seconds) = @_; $passed += $seconds; return write_steps() }

open my $new, '>', $step_file or die;
print $new pack('l!2', 0, 0);
close $new;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('resources', start => 0,
	conf => { 'telehealth.request_timeout_ms' => 2000, 'telehealth.lease_seconds' => 5 });
{
	local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, $library;
	local $ENV{CLOCK_STEP_FILE} = $step_file;
	$t->start;
}
$t->create_extension;
$t->widen_limits;
$t->add_hosts(100);
$t->connect_zoom($fake);
$t->await($t->insert_visit);

sub now_s { return $t->sql('SELECT extract(epoch FROM clock_timestamp())') }

sub creates { return $fake->count('POST /v2/users/{id}/meetings') // 0 }

# Links of all visits; how long it took
sub seconds_until_done
{
	my ($name) = @_;
	my $began = time;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($t->poll(q{SELECT count(*) FROM telehealth.appointment WHERE type = 'VIDEO' AND status = 'SCHEDULED' AND join_url IS NULL}, 0, 40), $name)
	  or diag $t->sql('SELECT row_to_json(j) FROM telehealth_private.job AS j'), $t->sql('SELECT now()');
	return time - $began;
}

# ---- D8: back by eight hours

my $real = now_s();
step_clock(-8 * 3600);
my $behind = now_s() - time;
ok($behind < -28790 && $behind > -28810, 'the server is eight hours behind') or BAIL_OUT('no stepping of clocks here');
step_clock(8 * 3600);
$t->wait_dispatcher;

{
	# one that waits after failures, one that is due, one that comes later
	$fake->faults({ match => { method => 'POST', path_regex => '/host1%40|/host1@', times => 3 },
		fault => { kind => 'status', code => 503, body => '{"code":503,"message":"x"}', headers => { 'Retry-After' => 5 } } });
	my $refused = $t->insert_visit(provider_id => 1);
	ok($t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE subject_id = $refused", 't', 20), 'D8: one waits after a refusal');
	# asked for before the time that comes again: only its wait tells
	$t->sql("UPDATE telehealth_private.job SET marked_at = marked_at - interval '10 hours' WHERE subject_id = $refused");
	$fake->faults;
	$t->sql(q{SELECT telehealth.pause_outbound('x')});
	my $due = $t->insert_visit(provider_id => 2);
	$t->insert_visit(provider_id => 3);
	$t->sql("UPDATE telehealth.appointment SET duration = 31 WHERE id = $due");
	my $pid = $t->dispatcher_pid;
	step_clock(-8 * 3600);
	ok($t->wait_dispatcher(undef, other => $pid, limit => 10), 'D8: the clock set back, the dispatcher begins anew');
	like($t->log_text, qr/starts anew: the clock was set back by 2[89]\d\d\d s/, 'D8: and says why');
	$t->sql('SELECT telehealth.resume_outbound()');
	$t->insert_visit(provider_id => 5);
	my $hold = $t->insert_visit(provider_id => 4, status => 'PENDING', held_until => \q{now() + interval '1 second'});
	cmp_ok(seconds_until_done('D8: back by eight hours, all is done'), '<', 12, 'D8: and no job waited for the clock');
	ok($t->poll("SELECT status FROM telehealth.appointment WHERE id = $hold", 'CANCELLED', 10), 'D8: a hold runs out by the new clock');
}

# ---- back, with a create under way, whose answer never comes

{
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'hang' } });
	my $id = $t->insert_visit(provider_id => 6);
	$fake->wait_for(sub { $_[0]{hanging} > 0 }, 15);
	my $pid = $t->dispatcher_pid;
	step_clock(-8 * 3600);
	ok($t->wait_dispatcher(undef, other => $pid, limit => 10), 'D8: set back during a create');
	cmp_ok(seconds_until_done('D8: what was under way is looked up and done'), '<', 20, 'D8: soon');
}

# ---- back, while nobody is there to see it

{
	$t->reload_conf('telehealth.databases' => 'nothing');
	ok(patiently(sub { !$t->dispatcher_pid }, 20), 'no dispatcher');
	$t->insert_visit(provider_id => 7);
	step_clock(-8 * 3600);
	$t->reload_conf('telehealth.databases' => '*');
	cmp_ok(seconds_until_done('D8: set back while there was no dispatcher, the work is done'), '<', 15, 'D8: soon');
}

# ---- forward, with a create under way: its lease is over at once

{
	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'hang' } });
	my $before = creates();
	$t->reload_conf('telehealth.request_timeout_ms' => 20_000);
	$t->poll('SHOW telehealth.request_timeout_ms', '20s');
	my $id = $t->insert_visit(provider_id => 8);
	$fake->wait_for(sub { $_[0]{hanging} > 0 }, 15);
	my $claim = $t->sql("SELECT claim_no FROM telehealth_private.job WHERE subject_id = $id");
	step_clock(9 * 3600);
	my $other = $t->insert_visit(provider_id => 9);
	ok($t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $other", 't', 20), 'D8: set forward during a create, others go on');
	$t->poll(sprintf q{SELECT clock_timestamp() > '%s'::timestamptz + interval '3 seconds'}, $t->sql('SELECT now()'));
	is($t->sql("SELECT claim_no FROM telehealth_private.job WHERE subject_id = $id"), $claim, 'D8: what is under way is not claimed again');
	is(creates() - $before, 2, 'D8: nor sent again');
	$fake->faults;
	$fake->release;
	cmp_ok(seconds_until_done('D8: forward, all is done'), '<', 15, 'D8: soon');
}
is(join(' ', $fake->duplicates), '', 'Z1: no marker lives twice');
is(scalar(() = $fake->live_meetings), $t->sql('SELECT count(*) FROM telehealth.appointment WHERE join_url IS NOT NULL'), 'one meeting each');

# ---- W6: the launcher's waits

{
	my $pid = $t->dispatcher_pid;
	step_clock(-8 * 3600);
	ok($t->wait_dispatcher(undef, other => $pid, limit => 10), 'D8: once more back');
	$pid = $t->wait_dispatcher;
	my $began = time;
	$t->sql("SELECT pg_terminate_backend($pid)");
	ok($t->wait_dispatcher(undef, other => $pid, limit => 10), 'W6: and a terminated dispatcher is replaced');
	cmp_ok(time - $began, '<', 5, 'W6: within 5 s');
}

# ---- the disk of the history is full

{
	$t->sql(<<'SQL');
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device';
END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON telehealth_private.job_history FOR EACH ROW EXECUTE FUNCTION disk_full();
SQL
	my $from = $t->log_size;
	my $tried = $t->sql('SELECT count(*) FROM telehealth_private.job_history');
	my $before = creates();
	$t->insert_visit(provider_id => 10 + $_) for 1 .. 10;
	cmp_ok(seconds_until_done('with the disk of the history full, the work goes on'), '<', 10, 'at once');
	ok($t->drained, 'and settles');
	is(creates() - $before, 10, 'each once');
	is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'nothing is given up');
	$t->insert_visit(provider_id => 30 + $_) for 1 .. 5;
	cmp_ok(seconds_until_done('and again'), '<', 10, 'at once');
	is($t->sql('SELECT count(*) FROM telehealth_private.job_history'), $tried, 'without history');
	my $told = () = $t->log_text($from) =~ /does not record its attempts for a minute/g;
	is($told, 1, 'said once');
	my $errors = () = $t->log_text($from) =~ /No space left/g;
	is($errors, 1, 'with the reason');
	is($t->sql(q{SELECT status FROM telehealth.health WHERE check_name = 'worker'}), 'ok', 'the worker is up');
	$t->sql('DROP TRIGGER disk_full ON telehealth_private.job_history');
	$t->restart_dispatcher;
	$t->insert_visit(provider_id => 50);
	seconds_until_done('with room again');
	ok($t->poll("SELECT count(*) > $tried FROM telehealth_private.job_history", 't', 10), 'attempts are recorded');
}

# ---- a first visit soon after midnight in UTC: today's attempts have no partition of their own

{
	my $night = 'night';
	step_clock($t->sql(q{SELECT extract(epoch FROM date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') + interval '24 hours 10 minutes')::bigint
		- extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC')::bigint}));
	$t->create_extension($night);
	$t->sql("ALTER DATABASE $night SET telehealth.mock = on");
	$t->await($t->insert_visit({ db => $night }), db => $night);
	my $parts = q{SELECT string_agg(right(c.relname, 8), ' ' ORDER BY 1) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'telehealth_private.job_history_done'::regclass AND c.relname !~ 'default'};
	ok($t->poll($parts, $t->sql(q{SELECT to_char((clock_timestamp() AT TIME ZONE 'UTC') + interval '1 day', 'YYYYMMDD')}), 30, db => $night),
		'W17: soon after midnight only the next day gets a partition');
	my $health = q{SELECT status || ': ' || detail FROM telehealth.health WHERE check_name = 'housekeeping'};
	step_clock(60);
	is($t->sql($health, db => $night), 'ok: every task is done in time', 'W17: which is no trouble');
	step_clock(3600);
	is($t->sql($health, db => $night), 'ok: every task is done in time', 'W17: nor is it later');
}

# ---- what cannot be started: the launcher's pauses grow, to their end

# So many pauses, in seconds: "$state" tells when the next try is, and how far that is
sub pauses
{
	my ($times, $watcher, $state) = @_;
	my ($last, @pauses) = ('');

	for (1 .. $times)
	{
		my ($at, $left);
		patiently(sub { ($at, $left) = split /\|/, $watcher->query_safe("SELECT extract(epoch FROM q.retry_at), extract(epoch FROM q.retry_at - clock_timestamp()) FROM $state AS q"); $at && $at ne $last }, 20) or last;
		$last = $at;
		push @pauses, sprintf '%.0f', $left + 0.49;
		let_pass($left + 1);
		kill 'HUP', $t->launcher_pid; # nobody tells it that time has passed
	}
	return "@pauses";
}

{
	my $broken = 'broken';
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	$t->create_extension($broken);
	my $watcher = $t->background_psql($broken, on_error_stop => 1);
	my $version = $t->data_dir . '/base/' . $t->sql("SELECT oid FROM pg_database WHERE datname = '$broken'") . '/PG_VERSION';

	my $foreign = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Listen => 5, Proto => 'tcp') or die "cannot listen: $!";
	$t->sql("ALTER DATABASE $broken SET telehealth.http_port = $port");
	is(pauses(6, $watcher, 'telehealth_private.gateway_door()'), '1 2 4 8 10 10', 'an address that is taken is asked for again after ten seconds at most');
	$t->sql("ALTER DATABASE $broken RESET telehealth.http_port");
	close $foreign;
	ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, 'off', 20, db => $broken), '... and then no more');

	rename $version, "$version.away" or die;
	$watcher->query_safe(q{SELECT pg_terminate_backend(pid) FROM telehealth.worker_status});
	is(pauses(11, $watcher, 'telehealth.worker_status'), '1 2 4 8 16 32 64 128 256 300 300', 'W7: a dispatcher that ends at its start is started again after five minutes at most');
	rename "$version.away", $version or die;
	my $is_back;
	for (1 .. 10)
	{
		# the last try that failed may still be on its way, with a pause of its own
		let_pass(301);
		kill 'HUP', $t->launcher_pid;
		$is_back = $t->wait_dispatcher($broken, limit => 5) and last;
	}
	ok($is_back, '... until it can');
	$watcher->quit;
}
{
	local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, $library;
	local $ENV{CLOCK_STEP_FILE} = $step_file;
	# launchers of logical replication and telehealth take both places
	$t->set_conf(max_worker_processes => 2, max_parallel_workers => 0, max_logical_replication_workers => 1, 'telehealth.databases' => 'postgres');
	$t->restart;
	my $watcher = $t->background_psql('postgres', on_error_stop => 1);
	is(pauses(6, $watcher, 'telehealth.worker_status'), '1 2 4 8 10 10', 'W7: a place that is not there is asked for again after ten seconds at most');
	$watcher->quit;
}

finish;
