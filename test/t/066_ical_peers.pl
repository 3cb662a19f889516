# What others read: parse_ics() finds the occurrences that python's
# recurring-ical-events and ical.js find in a calendar at random; feeds and
# calendars of single visits have the instants of the table for libical,
# python3-icalendar and ical.js, in zones of the server about this year's
# changes of their clocks. TELEHEALTH_LONG=1: 20,000 events and all zones.
# TELEHEALTH_SEED makes another calendar and other zones.
use TelehealthTest;
use CalendarReaders;
use Mojo::JSON qw(decode_json);

my $t = TelehealthTest->node('ical_peers', preload => 0);
$t->create_extension;
my $readers = CalendarReaders->new;
my $folder = $readers->folder;
my $is_long = $ENV{TELEHEALTH_LONG} && !$ENV{TELEHEALTH_WATCHED};
my $seed = $ENV{TELEHEALTH_SEED} //= 7;
my $year = q{'2026-01-01', '2027-01-01'};

sub slurp { my ($file) = @_; open my $h, '<:raw', $file or die "$file: $!"; local $/; return <$h> }
sub spew { my ($file, $text) = @_; open my $h, '>:raw', $file or die "$file: $!"; print $h $text; close $h; return $file }
sub lines_of { my ($text) = @_; my %lines; for (split /\n/, $text) { /^(\S+)/ and $lines{$1}{$_} = 1 } return \%lines }
sub some { my ($most, @list) = @_; return @list[ 0 .. ($#list < $most - 1 ? $#list : $most - 1) ] }

# ---- the occurrences of a calendar at random

# Where a peer finds something else, and why: by the rule of an event, and
# its lines behind. Nothing else may differ.
my %explained = (
	'recurring-ical-events' => [
		[ qr/BYDAY=(?:.*,)?-?\d\d[A-Z]/ => 'python3-icalendar before 5 takes one digit before a weekday, and drops the rule' ],
		[ qr/^RDATE[^:\n]*:(\d{8}).*^RECURRENCE-ID[^:\n]*:\1/ms => 'an RDATE on the day of an occurrence that is moved is replaced instead of that' ],
	],
	'ical.js' => [
		[ qr/^FREQ=DAILY;BYMONTHDAY=.*-/ => 'a DAILY rule does not count days of the month from the back, and may never return' ],
		[ qr/^FREQ=YEARLY;BYMONTHDAY=/ => 'BYMONTHDAY of a YEARLY rule without BYMONTH means the month of DTSTART only, not each' ],
		[ qr/^FREQ=YEARLY;BYDAY=/ => 'a weekday numbered in a year is missed, or each one is meant' ],
		[ qr/^FREQ=YEARLY;BYWEEKNO=/ => 'BYWEEKNO with BYDAY means the days of every week' ],
		[ qr/^FREQ=YEARLY;.*BYSETPOS=/ => 'BYSETPOS of a YEARLY rule is not heeded' ],
		[ qr/^FREQ=(?:MONTHLY|YEARLY);BYMONTH=.*BYMONTHDAY=(?:.*-|.*INTERVAL=)/ =>
			'days from the back of months are counted in another month; months between those of INTERVAL are not left out' ],
	]);

my $n_events = $is_long ? 20_000 : 500;
my ($made, undef, $why) = CalendarReaders::run('/usr/bin/python3', 'test/lib/ical_peer.py', $n_events, "$folder/calendar.ics", "$folder/python.tsv");
my $lacks_python = !$made && $why =~ /ModuleNotFoundError.*'(\w+)'/ ? "no python module $1" : '';
SKIP:
{
	if ($lacks_python) { diag("occurrences are not compared: $lacks_python"); skip($lacks_python, 4) }
	$made or die $why;
	chmod(0755, $folder);
	my $text = slurp("$folder/calendar.ics");
	my %rule = map { /^RRULE:(\S+)\r$/m ? ((/^UID:(\S+)\r$/m)[0] => (/^RRULE:(\S+)\r$/m)[0]) : () } $text =~ /BEGIN:VEVENT.*?END:VEVENT/gs;
	my %lines = %rule;
	$lines{ (/^UID:(\S+)\r$/m)[0] } .= "\n$_" for $text =~ /BEGIN:VEVENT.*?END:VEVENT/gs;
	my $ours = lines_of($t->sql(qq{SELECT concat_ws(' ', p.uid, extract(epoch FROM p.starts_at)::bigint, extract(epoch FROM p.ends_at)::bigint, p.problem)
		FROM telehealth.parse_ics(pg_read_file('$folder/calendar.ics'), $year, 'Europe/Berlin') AS p}));
	cmp_ok(scalar(keys %$ours), '>', $n_events / 2, "occurrences of $n_events events are read, seed $seed");

	my %seen;
	for my $peer ('recurring-ical-events', 'ical.js')
	{
	  SKIP:
		{
			my $found = "$folder/python.tsv";
			if ($peer eq 'ical.js')
			{
				skip($readers->lacks($peer), 1) if $readers->lacks($peer);
				$found = "$folder/js.tsv";
				my ($ok, undef, $err) = CalendarReaders::run('env', 'TZ=Europe/Berlin', 'node', 'test/lib/ical_peer_js.mjs', $readers->modules, "$folder/calendar.ics", $found);
				$ok or die $err;
			}
			my $theirs = lines_of(slurp($found));
			my (@unexplained, %count, $n);

			for my $uid (sort { substr($a, 1) <=> substr($b, 1) } keys %{ { %$ours, %$theirs } })
			{
				my ($x, $y) = map { join "\n", sort keys %{ $_->{$uid} // {} } } $ours, $theirs;

				$n += keys %{ $ours->{$uid} // {} };
				next if $x eq $y && ++$seen{$uid};
				my ($why) = grep { $lines{$uid} =~ $_->[0] } @{ $explained{$peer} };
				$count{ $why->[1] }++ if $why;
				push @unexplained, "$uid " . ($rule{$uid} // 'no rule') . ": only ours\n" . join("\n", grep { !$theirs->{$uid}{$_} } sort keys %{ $ours->{$uid} })
				  . "\nonly theirs\n" . join("\n", some(20, grep { !$ours->{$uid}{$_} } sort keys %{ $theirs->{$uid} })) if !$why;
			}
			note("$peer: $count{$_} events differ: $_") for sort keys %count;
			is(join("\n", some(10, @unexplained)), '', "T1: $n occurrences, the same as $peer but for what is explained");
		}
	}
	# What one of them cannot read the other confirms; numbers of two digits neither can
	my @alone = grep { !$seen{$_} && ($rule{$_} // '') !~ /BYDAY=(?:.*,)?-?\d\d[A-Z]/ } sort keys %$ours;
	is(join(' ', some(10, map { "$_ $rule{$_}" } @alone)), '', 'T1: each event is read by one of them as it is by us');

	# Series have the same rules
	my %once = map { (s/;UNTIL=.*//r => 1) } values %rule;
	my $rules = join ',', map { "'$_'" } sort keys %once;
	is($t->sql(qq{SELECT string_agg(r.rule, ' ') FROM unnest(ARRAY[$rules]) AS r (rule)
		WHERE ARRAY(SELECT d.occurrence::text FROM telehealth_private.series_days(r.rule, '2025-03-04', '09:00', 'UTC', '2026-01-01', '2026-12-31', 1000) AS d)
			IS DISTINCT FROM ARRAY(SELECT (p.starts_at AT TIME ZONE 'UTC')::date::text FROM telehealth.parse_ics(
				E'BEGIN:VCALENDAR\\nBEGIN:VEVENT\\nUID:x\\nDTSTART:20250304T090000Z\\nRRULE:' || r.rule || E'\\nEND:VEVENT\\nEND:VCALENDAR\\n', $year) AS p ORDER BY p.starts_at)}),
		'', 'T1: a series has the days that the reader reads, by ' . keys(%once) . ' rules');
}

# ---- feeds and single visits, in zones of the server

srand($seed);
my @zones = map { $_->{name} } $t->rows(q{SELECT name FROM pg_timezone_names WHERE name !~ '^((posix|right)/|posixrules$|localtime$|Factory$)' AND telehealth_private.is_timezone(name) ORDER BY name COLLATE "C"});
cmp_ok(scalar(@zones), '>', 300, 'the server has zones');
if (!$is_long)
{
	my @moving = map { $_->{name} } $t->rows(q{SELECT name FROM pg_timezone_names WHERE name !~ '^((posix|right)/|posixrules$|localtime$|Factory$)' AND telehealth_private.is_timezone(name)
		AND timezone(name, date_trunc('year', now()) + interval '14 days') - timezone(name, date_trunc('year', now()) + interval '195 days') <> interval '-181 days' ORDER BY name COLLATE "C"});
	my %take = map { ($_ => 1) } map { $moving[ rand @moving ] } 1 .. 40;
	$take{ $zones[ rand @zones ] } = 1 for 1 .. 10;
	@zones = sort keys %take;
}
my $names = join ',', map { "'$_'" } @zones;
# Each zone is a provider's; visits about each change of its clock and in each month
$t->sql(qq{
	INSERT INTO telehealth.patient (id) VALUES (1);
	INSERT INTO telehealth.provider (id, timezone) SELECT 100 + n, z FROM unnest(ARRAY[$names]) WITH ORDINALITY AS z (z, n);
	CREATE TABLE change AS
	WITH day AS (SELECT p.id, p.timezone AS name, d FROM telehealth.provider AS p, generate_series(date_trunc('year', now(), 'UTC'), date_trunc('year', now(), 'UTC') + interval '364 days', '1 day') AS d
		WHERE p.id > 100 AND timezone(p.timezone, d) + interval '1 day' <> timezone(p.timezone, d + interval '1 day'))
	SELECT day.id, t + interval '5 min' AS at FROM day, generate_series(d, d + interval '1 day' - interval '5 min', '5 min') AS t
	WHERE timezone(name, t) + interval '5 min' <> timezone(name, t + interval '5 min');
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration, location)
	SELECT 1, v.id, 'IN_PERSON', v.at, 20, 'Room ' || v.id FROM (
		SELECT c.id, c.at + o AS at FROM change AS c, unnest('{-26 h,-2 h,-90 min,-1 h,-30 min,0,30 min,1 h,2 h,26 h}'::interval[]) AS o
		UNION SELECT p.id, date_trunc('year', now(), 'UTC') + m * interval '30 days' + interval '13 hours' FROM telehealth.provider AS p, generate_series(0, 11) AS m WHERE p.id > 100) AS v
	WHERE NOT EXISTS (SELECT FROM change AS c WHERE c.id = v.id AND v.at > c.at - interval '27 h' AND v.at < c.at + interval '27 h' AND (extract(epoch FROM v.at - c.at)::int % 1800) <> 0);
	CREATE TABLE feed AS SELECT p.id, f.token FROM telehealth.provider AS p, telehealth.create_feed(p.id, 'Zone', sync_range_days => 370) AS f WHERE p.id > 100});
my $n_changes = $t->sql('SELECT count(*) FROM change');
cmp_ok($n_changes, '>', @zones / 2, @zones . " of them, seed $seed, with $n_changes changes of clocks this year");

# A zone's own name is known to the readers: they are to believe the file
sub renamed { my ($ics) = @_; $ics =~ s/\r\n //g; return $ics =~ s/\bTZID([:=])"?([^":;\r]+)"?/TZID${1}X-$2/gr =~ s/([^\r\n]{74})(?=[^\r])/$1\r\n /gr }
sub uid_of { my ($ics) = @_; return $ics =~ s/\r\n //gr =~ /^UID:([^\r]*)/m ? $1 : die 'no UID' }

my (%expected, @singles, @feeds);
for my $row (@{ decode_json($t->sql(q{SELECT json_agg(json_build_object('id', a.id, 's', extract(epoch FROM a.starts_at)::bigint, 'e', extract(epoch FROM a.ends_at)::bigint,
	'ics', telehealth.appointment_ics(a.id))) FROM telehealth.appointment AS a})) })
{
	$expected{ uid_of($row->{ics}) } = "$row->{s} $row->{e}";
	push @singles, spew("$folder/visit_$row->{id}.ics", renamed($row->{ics}));
}
push @feeds, spew("$folder/feed_$_->{id}.ics", renamed($_->{ics})) for @{ decode_json($t->sql(q{SELECT json_agg(json_build_object('id', f.id, 'ics', telehealth.feed_ics(f.token))) FROM feed AS f})) };
is(scalar(grep { slurp($_) =~ /^DTSTART;TZID=X-/m } @feeds), scalar(grep { !m{^(?:Etc/)?(?:UTC|UCT|Zulu|Universal|Greenwich|GMT[+-]?0?)$} } @zones), 'I1: all feeds speak of their zone, but for those of UTC');

for my $name ($readers->names)
{
	for my $kind ([ 'feeds', \@feeds ], [ 'single visits', \@singles ])
	{
	  SKIP:
		{
			skip($readers->lacks($name), 1) if $readers->lacks($name);
			my ($events, $problem) = $readers->events($name, @{ $kind->[1] });
			my %seen;
			my @wrong = grep { $seen{ $_->[0] }++; ($expected{ $_->[0] } // 'none') ne "$_->[1] $_->[2]" } @$events;

			is(join("\n", $problem || (), (map { "@$_[0 .. 2] instead of " . ($expected{ $_->[0] } // 'none') } some(10, @wrong)), some(10, grep { !$seen{$_} } sort keys %expected)), '',
				"I1: $name reads " . @{ $kind->[1] } . " $kind->[0] with the instants of the table");
		}
	}
}

finish;
