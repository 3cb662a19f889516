# A queue with much in it, and transactions that end late.
use TelehealthTest;

my $t = TelehealthTest->node('pressure', conf => {
	'telehealth.mock' => 'on', max_prepared_transactions => 5 });
$t->create_extension;

# How long a visit waits for its link
sub seconds_to_link
{
	my $since = Time::HiRes::time();

	$t->await($t->insert_visit);
	return Time::HiRes::time() - $since;
}

# ---- the dead do not slow the living

$t->sql(q{INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, dead_at, last_error)
	SELECT 'meeting', 1, 1000000 + g, g % 4, 'infinity', now(), 'x' FROM generate_series(1, 10000) AS g;
	INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at)
	SELECT 'meeting', 1, 2000000 + g, g % 4, now() + interval '1 day' FROM generate_series(1, 100000) AS g});
my $fastest = 10;
for (1 .. 5)
{
	my $seconds = seconds_to_link();
	$fastest = $seconds if $seconds < $fastest;
}
ok($fastest < 0.5, 'a visit does not wait behind 10,000 dead jobs and 100,000 of tomorrow') or diag $fastest;
is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 10000, 'the dead stay where they are');

# ---- commits that come long after their rows

my $late = $t->background_psql('postgres');
my $prepared = $t->background_psql('postgres');
my $visit = q{INSERT INTO telehealth.appointment (id, patient_id, provider_id, type, starts_at)
	VALUES (%d, 1, %d, 'VIDEO', '2031-07-01Z');};
$late->query_safe('BEGIN;' . sprintf $visit, 9000001, 9000001);
$prepared->query_safe('BEGIN;' . sprintf $visit, 9000002, 9000002);
$prepared->query_safe(q{PREPARE TRANSACTION 'late'});
# claims have moved on for longer than they look back
my $began = Time::HiRes::time();
seconds_to_link() while Time::HiRes::time() - $began < 3;
$late->query_safe('COMMIT');
my $linked = 'SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = %d';
ok($t->poll(sprintf($linked, 9000001), 't', 20), 'a transaction that was open for long is seen at its commit');
$prepared->query_safe(q{COMMIT PREPARED 'late'});
ok($t->poll(sprintf($linked, 9000002), 't', 20), 'so is a prepared one');
$late->quit;
$prepared->quit;

finish;
