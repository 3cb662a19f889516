# The dispatcher's memory and descriptors stay as they are, however many jobs
# went through it.  TELEHEALTH_LONG=1: 200,000 of them instead of 10,000.
use TelehealthTest;

my $jobs = $ENV{TELEHEALTH_LONG} ? 200_000 : 10_000;
my $calls = $ENV{TELEHEALTH_LONG} ? 20_000 : 600;

my $fake = FakeZoom->start(
	options => { host_daily => 1_000_000, rate => { LIGHT => 1000, MEDIUM => 1000 }, log_limit => 100 });
my $t = TelehealthTest->node('memory', conf => {
	'telehealth.mock' => 'on', 'telehealth.request_timeout_ms' => 500, 'telehealth.max_connections_per_host' => 8 });
$t->create_extension;
$t->widen_limits;
$t->add_hosts(20);
$t->connect_zoom($fake);
my $pid = $t->dispatcher_pid;
# sanitizers and valgrind keep what was freed
my $is_watched = $ENV{TELEHEALTH_WATCHED};

# Bytes in use in its memory contexts and of its own pages; works that are
# there; descriptors
sub measure
{
	my $from = $t->log_size;
	my %is;

	$t->sql("SELECT pg_log_backend_memory_contexts($pid)");
	patiently(sub { ($is{contexts}) = $t->log_text($from) =~ /Grand total: \d+ bytes in .* (\d+) used/ }, 20)
	  or BAIL_OUT('no memory contexts are logged');
	$is{works} = () = $t->log_text($from) =~ /telehealth (?:work|batch)[;:]/g;
	my $status = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status");
	($is{pages}) = map { $_ * 1024 } $status =~ /^RssAnon:\s+(\d+) kB/m;
	# the server keeps files of tables open
	my $data = $t->data_dir;
	$is{descriptors} = grep { defined && !/^\Q$data\E\// } map { readlink } glob "/proc/$pid/fd/*";
	return \%is;
}

# So many jobs: visits that are made, moved and gone, in turns
sub work
{
	my ($jobs, $visits, $provider) = @_;
	my $turn = sub {
		my ($statement) = @_;
		$t->sql($statement);
		$t->drained(120) or BAIL_OUT('the queue does not drain');
	};

	while ($jobs > 0)
	{
		$turn->("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
			SELECT n, $provider, 'VIDEO', date_trunc('day', now()) + n * interval '1 hour' + interval '1 day'
			FROM generate_series(1, $visits) AS n");
		$turn->(q{UPDATE telehealth.appointment SET duration = 31});
		$turn->('DELETE FROM telehealth.appointment');
		$jobs -= 3 * $visits;
	}
	return;
}

# As tests: what was measured does not grow by that work. What is done for the
# first time may keep something; a leak does so each time.
sub stays
{
	my ($work, $what) = @_;
	my ($before, $after) = (undef, measure());

	for (1 .. 3)
	{
		$before = $after;
		$work->();
		$after = measure();
		last if $after->{contexts} - $before->{contexts} < 100_000 && $after->{pages} - $before->{pages} < 1_500_000;
	}
	note "$what: ", join ', ', map { "$_ $before->{$_} -> $after->{$_}" } sort keys %$before;
	is($t->dispatcher_pid, $pid, "$what it is the same process");
	cmp_ok($after->{contexts} - $before->{contexts}, '<', 100_000, "$what its memory contexts are as large as before");
	# what malloc keeps for itself moves, but not up each time
	cmp_ok($after->{pages} - $before->{pages}, '<', 1_500_000, "$what so is its memory") if !$is_watched;
	cmp_ok($after->{descriptors}, '<', $before->{descriptors} + 4, "$what no descriptor is left open");
	is($after->{works}, 0, "$what no work is left");
	return;
}

# ---- jobs, without the network

work(6000, 2000, 'n + 1000');
# what is done now and then has been done once
ok($t->poll(q{SELECT to_regclass('telehealth_private.job_history_' || to_char((now() AT TIME ZONE 'UTC') + interval '1 day', 'YYYYMMDD')) IS NOT NULL
	AND NOT EXISTS (SELECT FROM telehealth.audit_log WHERE chain_hash IS NULL)}, 't', 40), 'the first housekeeping is over');
stays(sub { work($jobs, 2000, 'n + 1000') }, "after $jobs jobs");

# ---- calls, some of which fail in every way

$t->reload_conf('telehealth.mock' => 'off');
ok($t->poll(q{SELECT current_setting('telehealth.mock') = 'off' AND held_reason IS NULL FROM telehealth.worker_status}, 't', 20),
	'no mock from now on');
my $sometimes = sub {
	my ($method, $seed, %fault) = @_;
	return { match => { method => $method, path_regex => '/meetings', probability => 0.01, seed => $seed }, fault => \%fault };
};
$fake->faults(
	$sometimes->(POST => 1, kind => 'cut_after'),
	$sometimes->(POST => 2, kind => 'status', code => 500, body => '{"code":500,"message":"x"}'),
	$sometimes->(POST => 3, kind => 'wrong_body', variant => 'truncated'),
	$sometimes->(POST => 4, kind => 'huge_body', bytes => 3_000_000),
	$sometimes->(PATCH => 5, kind => 'close_midway'),
	$sometimes->(DELETE => 6, kind => 'cut_before'),
	$sometimes->(DELETE => 7, kind => 'hang'));
work(300, 100, 'n % 20 + 1');
stays(sub { work($calls, 200, 'n % 20 + 1') }, "after $calls calls");
cmp_ok($t->sql(q{SELECT count(*) FROM telehealth_private.job_history WHERE outcome IN ('retry', 'unknown')}), '>', 8, 'many of which failed');

finish;
