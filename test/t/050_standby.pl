# A standby sends nothing and reads everything; promoted, it goes on with the
# work by itself, and what was under way is done once.
use TelehealthTest;
use Time::HiRes qw(time);

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $primary = TelehealthTest->node('primary', streaming => 1);
$primary->create_extension;
$primary->widen_limits;
$primary->add_hosts(20);
my $account = $primary->connect_zoom($fake);
my $seen = $primary->insert_visit(provider_id => 1);
$primary->await($seen);
$primary->backup('base');
my $standby = TelehealthTest->node('standby', backup => [ $primary, 'base' ], standby => 1, start => 0);

sub health { return $_[0]->row("SELECT * FROM telehealth.health WHERE check_name = '$_[1]'") }

# the test's own way to copy a backup forgets modes; so may an administrator's
my $key = $standby->data_dir . '/telehealth.key';
chmod 0644, $key;
$standby->start;
is(health($standby, 'key_ring')->{status}, 'error', 'D1: a key file that cannot be used is seen on the standby, before it is needed');
chmod 0600, $key;
$standby->restart;
is(health($standby, 'key_ring')->{status}, 'ok', 'D1: with its mode it is good');

# ---- it reads

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
for my $query (
	"SELECT join_url ~ '^https' FROM telehealth.appointment WHERE id = $seen",
	"SELECT telehealth.appointment_ics($seen) ~ 'BEGIN:VEVENT'",
	"SELECT count(*) > 1 FROM telehealth.explain_appointment($seen)",
	"SELECT (telehealth.await_meeting($seen, '1 s')).join_url ~ '^https'",
	"SELECT telehealth.may_see(1, current_user)",
	map { "SELECT count(*) >= 0 FROM telehealth.$_" } qw(health worker_status periodic_tasks platform_status job_status dead_jobs
		upcoming_sessions not_ready orphan_meetings duplicate_meetings))
{
	is($standby->sql($query), 't', "D1: a standby answers $query");
}
is(health($standby, 'worker')->{detail}, 'a standby sends nothing', 'D1: health says what it is');
is($standby->sql(q{SELECT count(*) FROM telehealth.health WHERE status = 'error'}), 0, 'D1: and finds nothing wrong');
$standby->fails_ok($_, '25006', "D1: a standby refuses $_")
  for ("SELECT telehealth.host_start_url($seen)", "SELECT telehealth.ensure_meeting($seen)",
	q{SELECT telehealth.pause_outbound('x')}, "UPDATE telehealth.appointment SET duration = 5 WHERE id = $seen");
is($standby->checks($account)->{$_}{status}, 'error', "D1: the doctor says that nothing is sent: $_") for 'worker';

# ---- it sends nothing, whatever is due

$fake->faults({ match => { method => 'POST', path_regex => '/meetings$' }, fault => { kind => 'hang' } });
my @ids = map { $primary->insert_visit(provider_id => $_) } 2 .. 6;
$fake->wait_for(sub { $_[0]{hanging} >= 5 }, 15);
$primary->sql("UPDATE telehealth.appointment SET duration = 45 WHERE id = $seen");
ok($fake->wait_for(sub { grep { !$_->{deleted} && $_->{duration} == 45 } @{ $_[0]{meetings} } }, 15), 'the primary works meanwhile');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
my $requests = $fake->state->{requests_total};
is($standby->sql(q{SELECT count(*) FROM telehealth_private.job WHERE due_at < now() + interval '1 hour'}), 5, 'D1: five are due or under way');
$standby->poll(sprintf q{SELECT now() > '%s'::timestamptz + interval '3 seconds'}, $standby->sql('SELECT now()'));
is($standby->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'telehealth%'}), 0, 'D1: no process of ours runs on a standby');
is($fake->state->{requests_total}, $requests, 'D1: it made 0 outward calls');

# ---- promotion

$fake->faults;
$fake->release(cut => 1);
my $began = time;
$standby->promote;
my $new = $standby->insert_visit({}, provider_id => 7, starts_at => \q{now() + interval '9 days'});
ok($standby->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $new", 't', 20), 'D1: promoted, it works without a restart');
cmp_ok(time - $began, '<', 10, 'D1: within ten seconds');
ok($standby->poll(q{SELECT bool_and(join_url IS NOT NULL) FROM telehealth.appointment}, 't', 40), 'D1: what was under way at the failover is done');
ok($standby->drained, 'D1: nothing stays behind');
is(scalar(() = $fake->live_meetings), 7, 'D1: and done once');
is(join(' ', $fake->duplicates), '', 'Z1: no marker lives twice');
is(health($standby, $_)->{status}, 'ok', "D1: health of the promoted: $_") for qw(worker environment key_ring);

finish;
