# What vcalendar() writes is read back by three readers that are not ours
# (libical's parser, python3-icalendar, ical.js) with equal instants, for all
# zones of the server and this year's changes of their clocks, by the file's
# own VTIMEZONE alone; and random calendars survive write, read, write byte
# for byte. TELEHEALTH_LONG=1: ten times as many.
use TelehealthTest;
use CalendarReaders;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(decode encode);

my $t = TelehealthTest->node('ical', preload => 0);
$t->create_extension;
my $readers = CalendarReaders->new;
my $folder = $readers->folder;

# ---- times: instants about each change of each clock, written and read

# A zone's own name is known to the readers: they are to believe the file
my $n_zones = $t->sql(q{
	CREATE TABLE zone AS SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/' AND name !~ '^(posixrules|localtime|Factory)$';
	CREATE TABLE change AS
	WITH year AS (SELECT date_trunc('year', now(), 'UTC') AS start),
	day AS (
		SELECT z.name, d FROM year, zone AS z, generate_series(start, start + interval '364 days', '1 day') AS d
		WHERE timezone(z.name, d) + interval '1 day' <> timezone(z.name, d + interval '1 day'))
	SELECT day.name, t FROM day, generate_series(d, d + interval '1 day' - interval '5 min', '5 min') AS t
	WHERE timezone(name, t) + interval '5 min' <> timezone(name, t + interval '5 min');
	CREATE TABLE event AS
	SELECT row_number() OVER (ORDER BY name, at, s) || '@x' AS uid, name, at AS starts_at, at + s AS ends_at, s FROM (
		SELECT c.name, c.t + interval '5 min' + o AS at, s FROM change AS c,
			unnest('{-26 h,-2 h,-1 h,-59 min,-1 s,0,1 s,29 min 59 s,30 min,59 min 59 s,1 h,2 h,26 h}'::interval[]) AS o, unnest('{1 s,90 min}'::interval[]) AS s
		UNION
		SELECT z.name, y.start + o, '45 min' FROM zone AS z, (SELECT date_trunc('year', now(), 'UTC') AS start) AS y, unnest('{1 h,100 d,200 d,364 d}'::interval[]) AS o) AS v;
	SELECT count(*) FROM zone});
cmp_ok($n_zones, '>', 300, 'the server has zones');
my $n_changes = $t->sql('SELECT count(*) FROM change');
cmp_ok($n_changes, '>', 50, 'and they have changes');

sub slurp { my ($file) = @_; open my $h, '<:raw', $file or die; local $/; return <$h> }
sub spew { my ($file, $text) = @_; open my $h, '>:raw', $file or die; print $h $text; close $h; return $file }

my $ics = decode_json($t->sql(q{SELECT to_json(telehealth.vcalendar(telehealth.vevent(uid, starts_at, ends_at, 'Grüße, ' || uid, timezone => name) ORDER BY uid)) FROM event}));
my %expected = map { my @f = split /\|/; ($f[0] => "$f[1]\t$f[2]") }
  split /\n/, $t->sql('SELECT uid, extract(epoch FROM starts_at)::bigint, extract(epoch FROM ends_at)::bigint FROM event');
{
	my @lines = split /\r\n/, encode('UTF-8', $ics), -1;
	my @long = grep { length > 75 } @lines;
	my @broken = grep { !defined decode('UTF-8', $_) } @lines;
	my %zones;
	my %used = map { ($_ => 1) } $ics =~ /^DT(?:START|END);TZID=([^:\r]+):/mg;

	is(scalar(@long), 0, 'I4: no line is longer than 75 octets');
	is(scalar(@broken), 0, 'I4: each is UTF-8 by itself');
	unlike($ics, qr/[^\r]\n|\r[^\n]/, 'I4: and ends in CRLF');
	$zones{$_}++ for $ics =~ /^TZID:(.*)\r$/mg;
	is(join(' ', grep { ($zones{$_} // 0) != 1 } sort keys %used), '', 'I1: each zone that is used has one VTIMEZONE (' . keys(%used) . ')');
	is(join(' ', grep { !$used{$_} } sort keys %zones), '', 'I1: and there is no other');
	unlike($ics, qr/^TZOFFSET(?:FROM|TO):(?![+-]\d{4}\r)/m, 'I2: no offset has seconds');
	cmp_ok(scalar(() = $ics =~ /^BEGIN:(?:STANDARD|DAYLIGHT)/mg), '<=', keys(%zones) + $n_changes * 2, 'I2: no observance that nothing uses');
}
(my $own = $ics) =~ s/\bTZID([:=])/TZID${1}X-/g;
$own =~ s/^(DT(?:START|END);TZID=X-[^\r]{60,})\r/length($1) > 75 ? substr($1, 0, 75) . "\r\n " . substr($1, 75) . "\r" : "$1\r"/meg;
my $file = spew("$folder/times.ics", encode('UTF-8', $own));

for my $name ($readers->names)
{
  SKIP:
	{
		skip($readers->lacks($name), 2) if $readers->lacks($name);
		my ($events, $problem) = $readers->events($name, $file);
		my (@wrong, %seen);

		for (@$events)
		{
			my ($uid, $start, $end, $summary) = @$_;
			my $want = $expected{$uid} // 'none';

			$seen{$uid}++;
			push @wrong, "$uid: $start $end instead of $want" if "$start\t$end" ne $want;
			push @wrong, "$uid: summary $summary" if $summary ne encode('UTF-8', "Grüße, $uid" =~ s/Gr.*e,/Gr\x{fc}\x{df}e,/r);
		}
		is($problem, '', "$name reads it");
		is(join("\n", (scalar(@wrong) . ' wrong') x !!@wrong, @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)], (keys %seen == keys %expected ? () : 'not all seen')), '',
			"I1: $name finds the instants of " . keys(%expected) . ' events');
	}
}

# ---- random calendars: write, read, write

srand($ENV{TELEHEALTH_SEED} // 4711);
my @letters = ('a' .. 'z', 'A' .. 'Z', 0 .. 9, split(//, ' ,;:\\"^\'=-/<>%&'), "\n", "\r\n", "\t", "\x01", "\x7f", "\x{85}", "\x{e9}", "\x{df}", "\x{6f22}", "\x{5b57}", "\x{1f600}", "\x{301}", "\x{feff}");
my @zones = (undef, qw(Europe/Berlin America/New_York Asia/Kolkata Australia/Lord_Howe America/St_Johns Africa/Casablanca Europe/Dublin Etc/UTC Pacific/Apia));

sub one { return $_[ rand @_ ] }
sub text { my ($most) = @_; return join '', map { one(@letters) } 1 .. rand($most // one(5, 40, 300)) + 1 }
sub maybe { my ($code) = @_; return rand() < 0.4 ? $code->() : undef }
sub instant { my ($hour) = @_; return sprintf '%04d-%02d-%02d %02d:%02d:%02dZ', 1995 + rand 60, 1 + rand 12, 1 + rand 28, $hour // rand 24, rand 60, rand 60 }
# What recurs is a wall time, and one that a clock shows twice is read as either: no clock is changed at these hours
sub calm { return instant(one(8 .. 12, 18 .. 23)) }

sub random_event
{
	my $rule = maybe(sub { one('FREQ=WEEKLY;BYDAY=MO,-1FR', 'FREQ=DAILY;COUNT=7', 'FREQ=MONTHLY;UNTIL=20400101T000000Z') });

	return {
		uid => text(40), starts_at => $rule ? calm() : instant(), summary => maybe(\&text), description => maybe(\&text), location => maybe(\&text),
		url => maybe(sub { 'https://x.example/' . text(200) }), status => maybe(sub { one(qw(TENTATIVE CONFIRMED CANCELLED)) }), sequence => int rand 1000,
		timezone => one(@zones), is_all_day => one(0, 0, 0, 1) ? \1 : \0, stamped_at => instant(), created_at => maybe(\&instant), updated_at => maybe(\&instant),
		conference => maybe(sub { 'https://x.example/' . text(30) }), organizer => maybe(sub { text(20) . '@x' }), organizer_name => text(20),
		attendees => maybe(sub { [ map { { address => text(20) . '@x', (rand() < .5 ? (name => text(90)) : ()), (rand() < .5 ? (role => 'CHAIR') : ()), rsvp => one(\1, \0) } } 1 .. rand 4 ] }),
		class => maybe(sub { one(qw(PUBLIC PRIVATE CONFIDENTIAL)) }), transparency => maybe(sub { one(qw(OPAQUE TRANSPARENT)) }),
		categories => maybe(sub { [ map { text(30) } 0 .. rand 3 ] }), rrule => $rule, exdates => maybe(sub { [ map { calm() } 0 .. rand 3 ] }),
		rdates => maybe(sub { [ map { calm() } 0 .. rand 3 ] }), recurrence_id => $rule ? undef : maybe(\&calm),
		alarms => maybe(sub { [ map { int(rand 200000) - 1000 . ' seconds' } 0 .. rand 2 ] }), color => maybe(sub { 'red' }) };
}

sub written
{
	my (@calendars) = @_;
	my $rows = join '', map {
		my $c = $_;
		my @events = @{ $calendars[$c] };
		map { my $json = encode_json($events[$_]); $json =~ s/\\/\\\\/g; "$c\t$_\t$json\n" } 0 .. $#events } 0 .. $#calendars;

	spew("$folder/rows", $rows);
	$t->sql("DROP TABLE IF EXISTS written; CREATE TABLE written (c integer, n integer, j jsonb)");
	my ($rc, $out, $err) = $t->psql('postgres', "\\copy written FROM '$folder/rows'");
	die $err if $rc != 0;
	return map { decode_json($_) } split /\n/, $t->sql(q{SELECT to_json(telehealth.vcalendar(jsonb_populate_record(NULL::telehealth.vevent, j) ORDER BY n)) FROM written GROUP BY c ORDER BY c});
}

sub plain { my ($text) = @_; return $text =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/gesr }
sub moment
{
	my ($value, %p) = @_;

	return "$1-$2-$3 00:00:00Z" if $value =~ /^(\d{4})(\d\d)(\d\d)$/;
	$value =~ /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(Z?)$/ or die "no time: $value";
	return "$1-$2-$3 $4:$5:$6" . ($7 || " $p{TZID}");
}

# The events of a calendar as arguments of vevent()
sub read_back
{
	my ($text) = @_;
	my (@events, $event, $alarm);
	my %text_of = (UID => 'uid', SUMMARY => 'summary', DESCRIPTION => 'description', LOCATION => 'location');
	my %raw_of = (URL => 'url', CONFERENCE => 'conference', STATUS => 'status', SEQUENCE => 'sequence', CLASS => 'class', TRANSP => 'transparency', RRULE => 'rrule', COLOR => 'color');
	my %time_of = (DTSTART => 'starts_at', DTEND => 'ends_at', DTSTAMP => 'stamped_at', CREATED => 'created_at', 'LAST-MODIFIED' => 'updated_at', 'RECURRENCE-ID' => 'recurrence_id');

	$text =~ s/\r\n //g;
	for my $line (split /\r\n/, $text)
	{
		$line =~ /^([A-Z-]+)((?:;[A-Z]+=(?:"[^"]*"|[^";:,]*))*):(.*)$/s or die "no content line: $line";
		my ($name, $value) = ($1, $3);
		my %p = map { my ($key, $v) = /^([A-Z]+)="?(.*?)"?$/s; ($key => $v =~ s/\^(.)/$1 eq 'n' ? "\n" : $1 eq "'" ? '"' : $1/gesr) } $2 =~ /;([A-Z]+=(?:"[^"]*"|[^";]*))/gs;

		if ($name eq 'BEGIN') { $event = {} if $value eq 'VEVENT'; $alarm = $value eq 'VALARM' }
		elsif ($name eq 'END') { push @events, $event if $value eq 'VEVENT'; undef $event if $value eq 'VEVENT'; $alarm = 0 }
		next if !$event;
		$event->{timezone} = $p{TZID} if $p{TZID};
		$event->{is_all_day} = \1 if ($p{VALUE} // '') eq 'DATE';
		if ($alarm && $name eq 'TRIGGER')
		{
			$value =~ /^(-?)PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$/ or die "no duration: $value";
			push @{ $event->{alarms} }, ($1 ? 1 : -1) * (($2 // 0) * 3600 + ($3 // 0) * 60 + ($4 // 0)) . ' seconds';
		}
		elsif ($alarm) { next }
		elsif ($text_of{$name}) { $event->{ $text_of{$name} } = plain($value) }
		elsif ($raw_of{$name}) { $event->{ $raw_of{$name} } = $value }
		elsif ($time_of{$name}) { $event->{ $time_of{$name} } = moment($value, %p) }
		elsif ($name =~ /^(EX|R)DATE$/) { push @{ $event->{ lc "${1}dates" } }, moment($value, %p) }
		elsif ($name eq 'ORGANIZER') { $event->{organizer} = $value; $event->{organizer_name} = $p{CN} }
		elsif ($name eq 'ATTENDEE') { push @{ $event->{attendees} }, { address => $value, (map { defined $p{ $$_[0] } ? ($$_[1] => $p{ $$_[0] }) : () } [ CN => 'name' ], [ ROLE => 'role' ]), rsvp => $p{RSVP} ? \1 : \0 } }
		elsif ($name eq 'CATEGORIES') { $event->{categories} = [ map { plain($_) } (",$value" =~ /,((?:[^\\,]|\\.)*)/gs) ] }
	}
	return \@events;
}

sub first_difference
{
	my ($x, $y) = map { [ split /\r\n/, $_ ] } @_;

	for (0 .. $#$x) { return ("line $_", $x->[$_], $y->[$_] // 'none') if $x->[$_] ne ($y->[$_] // '') }
	return 'length';
}

my $n_calendars = $ENV{TELEHEALTH_LONG} ? 20000 : 2000;
my @given = map { [ map { my $e = random_event(); $e->{ends_at} = $e->{starts_at}; $e } 0 .. rand 4 ] } 1 .. $n_calendars;
my @first = written(@given);
my @read = map { read_back($_) } @first;
my @second = written(@read);
my @differ = grep { $first[$_] ne $second[$_] } 0 .. $#first;
is(scalar(@first), $n_calendars, 'random calendars are written');
is(scalar(@differ), 0, "write, read, write: $n_calendars calendars are the same byte for byte")
  or diag(join "\n", map { encode('UTF-8', $_) } first_difference($first[ $differ[0] ], $second[ $differ[0] ]));
is(scalar(grep { !defined eval { decode('UTF-8', encode('UTF-8', $_)) } || /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]/ || grep { length(encode('UTF-8', $_)) > 75 } split /\r\n/ } @first), 0,
	'I4: none has a long line or a control character');

# What was read is what was given, less what may not stand in it
sub clean { my ($text) = @_; return $text =~ s/\r\n?/\n/gr =~ s/[\x00-\x08\x0b-\x1f\x7f-\x9f]//gr }
my @lost;
for my $c (0 .. $#given)
{
	for my $n (0 .. $#{ $given[$c] })
	{
		my ($g, $r) = ($given[$c][$n], $read[$c][$n]);

		push @lost, map { "$c/$n $_" } grep { clean($g->{$_} // '') ne ($r->{$_} // '') } qw(uid summary description location);
		push @lost, "$c/$n categories" if join("\0", map { clean($_) } @{ $g->{categories} // [] }) ne join("\0", @{ $r->{categories} // [] });
		push @lost, "$c/$n names" if join("\0", map { clean($_->{name} // '') } @{ $g->{attendees} // [] }) ne join("\0", map { $_->{name} // '' } @{ $r->{attendees} // [] });
	}
}
is(join(' ', @lost[0 .. ($#lost < 9 ? $#lost : 9)]), '', 'and no text is lost');

finish;
