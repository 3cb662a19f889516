# The dispatcher dies after a CalDAV server has done what it was asked for and
# before that is recorded, and between the pages of a pull: afterwards the
# calendar has one event a visit, and busy times are those that are there.
use TelehealthTest;
use Survival;
use Radicale;

plan skip_all => 'radicale is not installed' if !Radicale->is_here;

my $radicale = Radicale->start;
my $path = $radicale->make_calendar('work');
my $t = TelehealthTest->node('caldav_kill', conf => { 'telehealth.lease_seconds' => 2, 'telehealth.poll_interval_ms' => 100 });
$t->create_extension;
plan skip_all => 'needs a build with TH_DEBUG=1' if !$t->is_debug;
$t->widen_calendar_limits('caldav', page_size => 4);
my $id = $t->sql("SELECT telehealth.connect_calendar(1, 'caldav', "
	  . literal({ url => $radicale->url($path), username => 'alice', password => 'pass word', sync_frequency_minutes => 1440 }) . ") ->> 'connection_id'");
ok($t->poll("SELECT status = 'CONNECTED' AND last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id", 't', 30), 'connected');

my $CALM = q{SELECT count(*) FROM telehealth_private.job WHERE kind NOT IN ('pull', 'connection', 'channel') OR attempts > 0 OR due_at < now() + interval '1 minute'};
$t->poll($CALM, 0, 30);

# Both sides are equal: visits by their start there, and others' events here
sub is_settled
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$t->poll($CALM, 0, 40) or diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
	my @names = $radicale->names($path);
	my @there = sort map { /^th-\w+-\d+-\d+-(\d+)-/ ? "$1 " . ($radicale->get("$path$_") =~ /^DTSTART[^:\r\n]*:(\w+)/m)[0] : () } @names;
	my $here = $t->sql(q{SELECT COALESCE(string_agg(id || ' ' || to_char(starts_at AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'), ', ' ORDER BY id::text COLLATE "C"), '')
		FROM telehealth.appointment WHERE status = 'SCHEDULED'});
	my $busy = $t->sql(q{SELECT COALESCE(string_agg(external_id, ' ' ORDER BY external_id COLLATE "C"), '') FROM telehealth.busy_time});
	my $doubt = $t->sql('SELECT count(*) FROM telehealth.calendar_event WHERE intent IS NOT NULL OR retired_at IS NOT NULL');

	return is(join(', ', @there) . " / $busy / $doubt", "$here / " . join(' ', grep { !/^th-/ } @names) . ' / 0', $name);
}

my @steps = ([ undef, 'answered', 'the answer is there' ], [ 'answered', 'before_settle', 'the answer was read' ], [ 'answered', 'held_known', 'the settling is open' ]);
for my $step (@steps)
{
	my ($hold, $at, $when) = @$step;
	my $visit;

	ok(die_at($t, $hold, $at, sub { $visit = $t->insert_visit(type => 'PHONE') }), "died: PUT of a new event, $when");
	$visit //= $t->sql('SELECT max(id) FROM telehealth.appointment');
	is_settled("W2, O5, G7: PUT of a new event, killed when $when: one event");
	ok(die_at($t, $hold, $at, sub { $t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 year' WHERE id = $visit") }), 'died: PUT of a change');
	is_settled("W2: PUT of a change, killed when $when: changed");
	ok(die_at($t, $hold, $at, sub { $t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $visit") }), 'died: DELETE');
	is_settled("W2, Y10: DELETE, killed when $when: gone");
}
is($t->sql('SELECT count(*) FROM telehealth.calendar_change'), 0, 'and nobody is said to have done it');

# ---- pulls

my $day = $t->sql(q{SELECT to_char(now() + interval '3 days', 'YYYYMMDD')});
my $n = 0;
sub pull { return $t->sql("SELECT telehealth_private.mark('pull', ARRAY[1::bigint], ARRAY[$id\::bigint], 2), telehealth_private.wake()") }
for my $step ([ undef, 'answered', 'its first page is there' ], [ 'answered', 'sent', 'its second page is asked for' ], @steps[ 1, 2 ])
{
	my ($hold, $at, $when) = @$step;
	my $cursor = $t->sql('SELECT md5(c::text) FROM telehealth_private.calendar_cursor AS c');

	$radicale->put("${path}e$n-$_.ics", $radicale->event("e$n-$_", "${day}T1${_}0000Z", "${day}T1${_}3000Z")) for 0 .. 9;
	$radicale->delete("${path}e@{[ $n - 1 ]}-$_.ics") for $n > 0 ? (0 .. 9) : ();
	$n++;
	ok(die_at($t, $hold, $at, \&pull), "died: a pull, $when");
	is_settled("O2, O3: a pull, killed when $when: all of it, or nothing, and then all");
	isnt($t->sql('SELECT md5(c::text) FROM telehealth_private.calendar_cursor AS c'), $cursor, 'with its cursor');
}
is($t->sql('SELECT count(*) FROM telehealth_private.job WHERE dead_at IS NOT NULL'), 0, 'nothing was given up');

finish;
