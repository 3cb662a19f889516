# Whatever ends the dispatcher, the server or the extension, at whatever step
# of a job: no intent is lost, each visit has one meeting, made once, and
# nothing waits longer than a lease.  What the dispatcher's own death does is
# in 041_kill_points.pl; random moments are in 045_kill_rounds.pl.
use TelehealthTest;
use Survival;
use IPC::Run ();

my $LEASE_S = 2;

# A lease, the two request timeouts that a doubtful create waits, and a turn
my $WITHIN_S = $LEASE_S + 4;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('kill_matrix',
	conf => {
		'telehealth.request_timeout_ms' => 500,
		'telehealth.lease_seconds' => $LEASE_S,
		# what one process said
		log_line_prefix => '%m [%p] ',
	});
if (!$t->is_debug)
{
	plan skip_all => 'needs a build with TH_DEBUG=1';
}

sub set_up
{
	$t->create_extension;
	$t->widen_limits;
	$t->add_hosts(20);
	$t->connect_zoom($fake);
	return;
}
set_up();

edit_visits($t, 10, 0, 0);
settled_ok($t, $fake, 'visits to change are there');

# ---- each end at each step

for my $how ('kill -9 of the postmaster', 'immediate shutdown', 'SIGTERM', 'pg_terminate_backend')
{
	stand_by($t) if !is_cutting($how);
	for my $step (steps())
	{
		my $what = "$how when $step->[2]";

		ok(hold_at($t, $step, sub { edit_visits($t, 1, 1, 1) }), "held: $what");
		end_ok($t, $fake, $how, $what, $WITHIN_S);
	}
	go_away();
}

# ---- an update of the extension: another version, and a table changed

# Statements that end while the process is held; or, if so said, once its
# transaction has ended
sub ends_ok
{
	my ($text, $what, $waits) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $t->connstr('postgres'), '-c', $text ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(10));
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	if ($waits)
	{
		ok($t->poll(q{SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN
			(SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend')}, 1, 10),
			"$what: waits for the open transaction");
		let_go($t);
	}
	ok(eval { $run->finish }, $waits ? "$what: and for no more" : "$what: waits for nobody while the process is held")
	  or diag $err, $@;
	$run->kill_kill if $@;
	let_go($t);
	return;
}

my $version = $t->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'telehealth'});

stand_by($t);
for my $step (steps())
{
	my $what = "ALTER EXTENSION UPDATE when $step->[2]";
	my $pid = $t->wait_dispatcher;
	my $errors = $t->log_size;

	ok(hold_at($t, $step, sub { edit_visits($t, 1, 1, 1) }), "held: $what");
	ends_ok(q{BEGIN;
		ALTER EXTENSION telehealth UPDATE;
		ALTER TABLE telehealth_private.job ADD COLUMN of_the_next_version integer;
		UPDATE pg_extension SET extversion = 'next' WHERE extname = 'telehealth';
		COMMIT;}, $what);
	ok($t->poll('SELECT held_reason FROM telehealth_private.worker_slots()', 'version_mismatch', 10),
		"D6: $what: the worker waits");
	edit_visits($t, 1, 0, 0);
	$t->sql(qq{BEGIN;
		ALTER TABLE telehealth_private.job DROP COLUMN of_the_next_version;
		UPDATE pg_extension SET extversion = '$version' WHERE extname = 'telehealth';
		COMMIT});
	settled_ok($t, $fake, "W2, W22, D6: $what: all is there, within a lease, made once", within => $WITHIN_S);
	is($t->dispatcher_pid, $pid, "D6: $what: the process went on");
	unlike($t->log_text($errors), qr/ \[$pid\] (?:ERROR|FATAL|PANIC)/, "$what: without an error");
}
ok(undisturbed(), 'W8: no other session was disturbed by updates');

# ---- DROP EXTENSION: the workers leave, and it can be made again

for my $step (steps())
{
	my $what = "DROP EXTENSION when $step->[2]";
	my $pid = $t->wait_dispatcher;
	my $launcher = $t->launcher_pid;
	my $errors = $t->log_size;

	ok(hold_at($t, $step, sub { edit_visits($t, 1, 1, 1) }), "held: $what");
	ends_ok('DROP EXTENSION telehealth CASCADE', $what, $step->[1] eq 'held_known');
	ok(patiently(sub { !$t->is_alive($pid) }, 20), "W6: $what: the dispatcher leaves");
	is($t->launcher_pid, $launcher, "$what: the launcher stays");
	unlike($t->log_text($errors), qr/ \[$pid\] (?:ERROR|FATAL|PANIC)|terminated by signal|exited with exit code/,
		"$what: the dispatcher leaves without an error");
	ok(undisturbed(), "W8: $what: nobody is disconnected");

	$fake->reset;
	set_up();
	edit_visits($t, 3, 0, 0);
	settled_ok($t, $fake, "$what: made again it works", within => $WITHIN_S);
}

go_away();
finish;
