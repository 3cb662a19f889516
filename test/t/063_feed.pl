# Feeds: counted without a write a request, read on a standby, ended at once,
# right on both sides of every change of the clock, and silent about people.
use TelehealthTest;

my $t = TelehealthTest->node('feed', streaming => 1, conf => { 'telehealth.public_url' => 'https://clinic.example', 'telehealth.mock' => 'on' });
$t->create_extension;
$t->sql(q{
	CREATE ROLE app LOGIN;
	SELECT telehealth.grant_role('app', 'app', 1);
	INSERT INTO telehealth.provider (id, timezone, display_name) VALUES (1, 'America/New_York', 'Dr. Kanarie');
	INSERT INTO telehealth.patient (id, display_name, email, phone) VALUES (1, 'Kanarie Patient', 'kanarie@mail.example', '+1kanarie');
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, title, reason)
		SELECT 1, 1, 'VIDEO', date_trunc('hour', now()) + n * interval '1 hour', 'kanarie title', 'kanarie reason' FROM generate_series(1, 5) AS n});
ok($t->drained, 'the visits have their links');

# A new feed, by its options as SQL
sub create { my ($options) = @_; return $t->row("SELECT * FROM telehealth.create_feed($options)", role => 'app') }

# A feed's text, unfolded; undefined if it is refused
sub ics
{
	my ($token, %o) = @_;
	my $node = $o{node} // $t;
	my ($rc, $out) = $node->psql($node->db, "SELECT telehealth.feed_ics('$token')");

	return $rc == 0 ? $out =~ s/\r\n //gr =~ s/\r//gr : undef;
}

# ---- links

my $feed = create(q{1, 'Dr. One'});
like($feed->{token}, qr/^[0-9a-f]{64}$/, 'I8: the token has 256 random bits');
is($feed->{feed_url}, "https://clinic.example/api/calendar/ical/$feed->{token}.ics", 'the link');
is($feed->{webcal_url}, "webcal://clinic.example/api/calendar/ical/$feed->{token}.ics", 'the link for calendar programs');
isnt(create(q{1, 'Dr. One'})->{token}, $feed->{token}, 'I8: each feed has its own');
is($t->sql("SELECT count(*) FROM telehealth.feed AS f WHERE f::text LIKE '%$feed->{token}%'"), 0, 'I8: the token is stored nowhere');
is($t->sql("SELECT count(*) FROM telehealth.feed WHERE token_hash = sha256('$feed->{token}')"), 1, 'I8: its digest is');

# ---- what it says, and does not

my $text = ics($feed->{token});
is(() = $text =~ /^BEGIN:VEVENT$/mg, 5, 'five visits');
is(() = $text =~ /^URL:http/mg, 5, 'with their links');
like($text, qr/^REFRESH-INTERVAL;VALUE=DURATION:PT30M\nX-PUBLISHED-TTL:PT30M$/m, 'I7: programs are told how often to look');
unlike($text, qr/kanarie/i, 'P1: nothing of the patient, the reason, the title or the provider is in it');
my $named = create(q{1, 'Names', true});
unlike(ics($named->{token}), qr/kanarie/i, 'P1: the feed alone does not disclose a name');
$t->sql(q{INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (0, 'feed', 'patient_name', true)});
is(() = ics($named->{token}) =~ /^SUMMARY:Telehealth visit: Kanarie Patient$/mg, 5, 'P1: the feed and the policy do');
unlike(ics($feed->{token}), qr/kanarie/i, 'P1: the policy alone does not');
unlike(ics(create(q{1, 'Desk', kind => 'shared'})->{token}), qr/kanarie|https?:|URL|DESCRIPTION|LOCATION/i, 'I8: a shared feed says when, and nothing else');
$t->sql(q{INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('feed', 'patient_name', false)});
unlike(ics($named->{token}), qr/kanarie/i, 'P1: the clinic has the last word');

# ---- one UID, and the same bytes

my $id = $t->sql('SELECT id FROM telehealth.appointment ORDER BY starts_at LIMIT 1');
my ($uid) = $t->sql("SELECT telehealth.appointment_ics($id)") =~ /^(UID:[^\r]*)/m;
like(ics($feed->{token}), qr/^\Q$uid\E$/m, 'G8: the feed has the UID of appointment_ics()');
is(ics($feed->{token}), $text, 'I7: the same content is the same bytes');
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at, patient_id = patient_id WHERE id = $id");
is(ics($feed->{token}), $text, 'I6: a change of nothing changes no byte');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id");
my ($event) = grep { /\Q$uid\E\n/ } split /BEGIN:VEVENT\n/, ics($feed->{token});
like($event, qr/^STATUS:CANCELLED$/m, 'I5: a cancelled visit stays, and says so');
like($event, qr/^SEQUENCE:[1-9]/m, 'I6: with a higher sequence');
unlike($event, qr/^URL/m, 'and without its link');

# ---- counted without a write

is($t->sql("BEGIN; SELECT length(telehealth.feed_ics('$feed->{token}')) > 0; SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT"), "t\nt", 'I8: reading writes nothing');
my $other = create(q{1, 'Counted'});
ics($other->{token}) for 1 .. 4;
$t->sql("SELECT length(telehealth.feed_ics('$other->{token}')) FROM generate_series(1, 100)", role => 'app');
ok($t->poll("SELECT access_count FROM telehealth.feed WHERE id = $other->{feed_id}", 104, 40), 'accesses are added up');
is($t->sql("SELECT last_accessed_at BETWEEN now() - interval '2 minutes' AND now() FROM telehealth.feed WHERE id = $other->{feed_id}"), 't', 'and the last one is known');
is($t->sql("SELECT count(*) FROM telehealth.feed WHERE name = 'Dr. One' AND access_count = 0 AND last_accessed_at IS NULL"), 1, 'a feed that nobody reads is not counted');

# A row that somebody holds is counted later, and stops nobody
my $held = $t->background_psql($t->db);
$held->query_safe("BEGIN; UPDATE telehealth.feed SET name = 'held' WHERE id = $other->{feed_id}");
my $size = $t->log_size;
ics($_) for $other->{token}, $feed->{token};
my $before = $t->sql("SELECT access_count FROM telehealth.feed WHERE id = $feed->{feed_id}");
ok($t->poll("SELECT access_count > $before FROM telehealth.feed WHERE id = $feed->{feed_id}", 't', 40), 'W12: a locked feed does not delay the others');
is($t->sql("SELECT access_count FROM telehealth.feed WHERE id = $other->{feed_id}"), 104, 'its own count waits');
$held->query_safe('ROLLBACK');
$held->quit;
ok($t->poll("SELECT access_count FROM telehealth.feed WHERE id = $other->{feed_id}", 105, 40), 'and is not lost');
unlike($t->log_text($size), qr/ERROR/, 'all without an error');

# ---- ended at once

my $old = $feed->{token};
my $new = $t->row("SELECT * FROM telehealth.rotate_feed($feed->{feed_id})", role => 'app');
is(ics($old), undef, 'I8: the next request with the old token is refused');
ok(ics($new->{token}), 'I8: and the new one is good');
$t->sql("SELECT telehealth.revoke_feed($feed->{feed_id})", role => 'app');
my @refusals = map { $t->sql_fails("SELECT telehealth.feed_ics('$_')") } $old, $new->{token}, '0' x 64, 'x', "$other->{token} ";
is(join('|', map { "$_->{sqlstate} $_->{message} $_->{detail}$_->{hint}" } @refusals), join('|', ('P0002 feed does not exist ') x 5), 'I8: rotated, revoked, unknown or no token at all: one answer');
my $log = $t->log_text(0);
unlike($log, qr/$_/, 'S3: the log has no token') for $old, $new->{token};
is($t->sql(q{SELECT string_agg(action, ' ' ORDER BY id) FROM telehealth.audit_log WHERE object = 'feed' AND object_id = } . $feed->{feed_id}), 'create_feed rotate_feed revoke_feed', 'what was done is audited');

# ---- a standby answers

$t->backup('base');
my $standby = TelehealthTest->node('reader', backup => [ $t, 'base' ], standby => 1);
my $count = $t->sql("SELECT access_count FROM telehealth.feed WHERE id = $other->{feed_id}");
$t->wait_for_catchup($standby, 'replay', $t->lsn('insert'));
is(ics($other->{token}, node => $standby), ics($other->{token}), 'D1: a standby gives the same bytes');
is(ics($old, node => $standby), undef, 'D1: and refuses what the primary refuses');
$standby->fails_ok("SELECT telehealth.$_", '25006', "D1: a standby refuses $_") for q{create_feed(1, 'x')}, "rotate_feed($other->{feed_id})", "revoke_feed($other->{feed_id})";
ok($t->poll("SELECT access_count FROM telehealth.feed WHERE id = $other->{feed_id}", $count + 1, 40), 'it counts nothing');
$standby->stop;

# ---- the clock changes

my @zones = qw(America/New_York Europe/Berlin Australia/Lord_Howe Asia/Kathmandu America/St_Johns Africa/Casablanca Pacific/Auckland America/Sao_Paulo);
my $provider = 100;
for my $zone (@zones)
{
	$provider++;
	$t->sql("INSERT INTO telehealth.provider (id, timezone) VALUES ($provider, '$zone');
		INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
			SELECT 1, $provider, 'PHONE', (date_trunc('day', now()) + n * interval '7 days' + interval '9 hours')::timestamp AT TIME ZONE '$zone'
			FROM generate_series(-50, 50) AS n");
	my $of_zone = create("$provider, 'Zone', sync_range_days => 370");
	my $said = ics($of_zone->{token});
	my @starts = $said =~ /^DTSTART;TZID=\Q$zone\E:(\d{8}T\d{6})$/mg;
	my $wanted = $t->sql("SELECT string_agg(to_char(starts_at AT TIME ZONE '$zone', 'YYYYMMDD\"T\"HH24MISS'), ' ' ORDER BY starts_at) FROM telehealth.appointment WHERE provider_id = $provider");

	is(join(' ', @starts), $wanted, "T1: in $zone nine o'clock is nine o'clock all the year");
	is(() = $said =~ /^BEGIN:VTIMEZONE\nTZID:\Q$zone\E$/mg, 1, "I1: $zone is described once");
	is($t->sql("SELECT count(*) FROM telehealth.parse_ics(telehealth.feed_ics('$of_zone->{token}'), now() - interval '400 days', now() + interval '400 days') AS p
		FULL JOIN (SELECT * FROM telehealth.appointment WHERE provider_id = $provider) AS a
			ON p.uid = format('appointment-%s.clinic-1\@%s.telehealth', a.id, (SELECT i.tag FROM telehealth_private.installation AS i)) AND p.starts_at = a.starts_at AND p.ends_at = a.ends_at AND p.problem IS NULL
		WHERE p.uid IS NULL OR a.id IS NULL"), 0, "I1: in $zone parse_ics() reads the instants that the table has");
	unlike($said, qr/^TZOFFSET(?:FROM|TO):[+-]\d{6}$/m, "I2: $zone without seconds");
}

# ---- a large one

$t->sql(q{INSERT INTO telehealth.provider (id, timezone) VALUES (200, 'Europe/Berlin');
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration, location, is_meeting_wanted, join_url)
		SELECT 1, 200, 'VIDEO', date_trunc('hour', now()) + n * interval '10 minutes', 10, repeat('room ', 20), false, 'https://video.example/j/' || n FROM generate_series(-10000, 9999) AS n;
	ANALYZE telehealth.appointment});
my $large = create(q{200, 'Large'});
my $peak = q{(regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::int};
my ($at_first, $length, $at_last) = split /\n/, $t->sql("SELECT length(telehealth.feed_ics('$other->{token}')) \\g /dev/null
	SELECT $peak; SELECT octet_length(telehealth.feed_ics('$large->{token}')); SELECT $peak");
is($t->sql("SELECT count(*) FROM regexp_matches(telehealth.feed_ics('$large->{token}'), 'BEGIN:VEVENT', 'g')"), 20_000, 'a feed of 20,000 visits');
note "$length bytes, $at_first kB before, $at_last kB at most";
cmp_ok($at_last - $at_first, '<', 64 * 1024, 'one such feed needs less than 64 MiB');
like($t->sql("EXPLAIN SELECT 1 FROM telehealth.appointment AS a WHERE a.clinic_id = 1 AND a.provider_id = 1 AND a.starts_at > now() AND a.starts_at < now() + interval '90 days'"),
	qr/appointment_provider_id_idx/, 'the visits of one provider are found by index');

# ---- the code of a link, back into modules

my $svg = $t->sql("SELECT telehealth.feed_qr('$large->{feed_url}')");
my ($side) = $svg =~ /viewBox="0 0 (\d+) \1"/;
my %dark;
while ($svg =~ /M(\d+) (\d+)h(\d+)v1h-\3z/g)
{
	$dark{"$_,$2"} = 1 for $1 .. $1 + $3 - 1;
}
my $finder = '1111111 1000001 1011101 1011101 1011101 1000001 1111111';
for my $corner ([ 4, 4 ], [ $side - 11, 4 ], [ 4, $side - 11 ])
{
	my ($x, $y) = @$corner;
	my $seen = join ' ', map { my $row = $_; join '', map { $dark{ ($x + $_) . ',' . ($y + $row) } ? 1 : 0 } 0 .. 6 } 0 .. 6;
	is($seen, $finder, "a code has its finder at $x, $y");
}
is(join('', map { $dark{"$_,10"} ? 1 : 0 } 12 .. $side - 13), join('', map { $_ % 2 ? 0 : 1 } 0 .. $side - 25), 'and its timing between them');

finish;
