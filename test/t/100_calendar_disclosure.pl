# What of a visit is in somebody's calendar: nothing but the link, until a row
# of the policy says so, and then that fact, in that kind of calendar.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Radicale;
use File::Find qw(find);
use Mojo::JSON qw(encode_json);
use PostgreSQL::Test::Utils qw(slurp_file);

# Facts of a visit by the words that are planted for them
my %word = (
	title => 'Qztitle', reason => 'Qzreason', location => 'Qzroom', patient_name => 'Qzpatient', provider_name => 'Qzprovider', email => 'qzmail@patient.example',
	phone => '+15550197391');
my @other = qw(Qznotes qzdoctor@clinic.example +15550198642 Qzoverbook Qzexternal);
my $any = join '|', map { quotemeta } values %word, @other;
my @facts = qw(title reason location patient_name provider_name email phone);
my @kinds = grep { $_ ne 'caldav' || Radicale->is_here } qw(google outlook caldav);

my $zoom = FakeZoom->start(options => { canaries => [ values %word, @other ] });
my $google = FakeGoogle->start;
my $graph = FakeGraph->start;
my $radicale = Radicale->is_here ? Radicale->start : undef;
my $path = $radicale ? $radicale->make_calendar('work') : undef;
my $t = TelehealthTest->node('told');
$t->create_extension;
$t->connect_zoom($zoom);
$t->widen_calendar_limits($_) for qw(google outlook caldav);
$t->sql("INSERT INTO telehealth.provider (id, display_name, email, phone, platform_user) VALUES (1, '$word{provider_name}', '$other[1]', '$other[2]', 'host1\@clinic.example');
	INSERT INTO telehealth.patient (id, display_name, email, phone, external_id) VALUES (1, '$word{patient_name}', '$word{email}', '$word{phone}', '$other[4]')");
$t->connect_google($google, options => { sync_direction => 'push' });
$t->connect_outlook($graph, options => { sync_direction => 'push' });
$t->sql("SELECT telehealth.connect_calendar(1, 'caldav', " . literal({ url => $radicale->url($path), username => 'alice', password => 'pass word', sync_direction => 'push' }) . ')') if $radicale;
ok($t->poll("SELECT count(*) FROM telehealth.calendar_connection WHERE status = 'CONNECTED'", scalar(@kinds), 20), 'calendars are connected');

sub settled
{
	return $t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('meeting', 'calendars', 'event', 'backfill', 'provider', 'clinic', 'patient')", 0, 40)
	  || diag explain [ $t->rows('SELECT * FROM telehealth_private.job') ];
}

# All of an event as that kind of calendar shows it
sub shown
{
	my ($kind) = @_;
	my $fake = { google => $google, outlook => $graph }->{$kind};

	return join "\n", map { my %now = %$_; delete $now{history}; encode_json(\%now) } $fake->live_events('user1@clinic.example') if $fake;
	return join '', map { my $text = $radicale->get($path . $_); $text =~ s/\r\n[ \t]//g; $text =~ s/\\([,;])/$1/g; $text } $radicale->names($path);
}
sub words { my ($text) = @_; return join ' ', grep { index(lc $text, lc $word{$_}) >= 0 } @facts }
sub others { my ($text) = @_; return join ' ', grep { index($text, $_) >= 0 } @other }

my $visit = $t->insert_visit(title => "$word{title}, first; of two", reason => $word{reason}, location => $word{location}, external_id => $other[4], overbook_reason => $other[3]);
settled();
my $link = $t->sql("SELECT join_url FROM telehealth.appointment WHERE id = $visit");
like($link, qr/^https:/, 'a visit has a link');
my %first = map { $_ => shown($_) } @kinds;
for my $kind (@kinds)
{
	like($first{$kind}, qr/Telehealth appointment/, "$kind, G8: a visit is called what it is");
	unlike($first{$kind}, qr/$any/i, 'P1: and nobody is named');
	like($first{$kind} =~ s{\\/}{/}gr, qr/\Q$link\E/, 'with the link');
	unlike($first{$kind}, qr/attendees":\[\{|ATTENDEE|ORGANIZER/, 'Y6: and no guest');
}

# ---- one fact each, another in each kind at a time

sub set
{
	my ($kind, $fact, $is_allowed) = @_;
	return sprintf "INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('%s', '%s', %s)", $kind, $fact, $is_allowed ? 'true' : 'false';
}
for my $round (0 .. $#facts)
{
	my %fact = map { $kinds[$_] => $facts[ ($round + 2 * $_) % @facts ] } 0 .. $#kinds;

	$t->sql(join '; ', 'DELETE FROM telehealth.disclosure_policy', map { set($_, $fact{$_}, 1) } @kinds);
	settled();
	for my $kind (@kinds)
	{
		# where to call somebody is no part of an event, a guest is asked for apart
		my $want = $fact{$kind} =~ /^(?:email|phone)$/ ? '' : $fact{$kind};
		my $text = shown($kind);

		is(words($text), $want, "$kind, P1: $fact{$kind} alone is allowed");
		is(others($text), '', '… and nothing else is told');
	}
}

# ---- everything, and everything but the link

$t->sql(join '; ', 'DELETE FROM telehealth.disclosure_policy', map { my $fact = $_; map { set($_, $fact, 1) } @kinds } @facts);
settled();
is(words(shown($_)), 'title reason location patient_name provider_name', "$_: all that has a place there") for @kinds;
is(others(shown($_)), '', '… and nothing that is no fact of the policy') for @kinds;
$t->sql(join '; ', 'DELETE FROM telehealth.disclosure_policy', map { set($_, 'join_url', 0) } @kinds);
settled();
for my $kind (@kinds)
{
	my $text = shown($kind);
	unlike($text =~ s{\\/}{/}gr, qr/\Q$link\E|pwd=|zoom/i, "$kind: no link where it is not allowed");
	like($text, qr/Telehealth appointment/, '… but the visit');
	is(words($text), '', '… and nothing of before');
}

# ---- guests, and what reminds of a visit

$_->options(allow_attendees => 1) for $google, $graph;
$t->sql("SELECT telehealth.configure_calendar(id, '{\"invite_patient\": true}') FROM telehealth.calendar_connection WHERE kind = '$_'") for @kinds;
for my $fact (grep { $_ ne 'email' } @facts)
{
	$t->sql(join '; ', 'DELETE FROM telehealth.disclosure_policy', map { set($_, $fact, 1) } @kinds);
	settled();
	for my $kind (@kinds)
	{
		my $text = shown($kind);

		is(words($text), $fact eq 'phone' ? '' : $fact, "$kind, Y6: $fact alone is allowed, and guests are wanted");
		unlike($text, qr/attendees":\[\{|ATTENDEE|ORGANIZER/, '… nobody is one');
	}
}
$t->sql(join '; ', 'DELETE FROM telehealth.disclosure_policy', map { set($_, 'email', 1) } @kinds);
settled();
for my $kind (@kinds)
{
	my $text = shown($kind);

	is(words($text), $kind eq 'caldav' ? '' : 'email', "$kind, Y6: the address alone makes a guest" . ($kind eq 'caldav' ? ', but not where nobody would send the invitation' : ''));
	is(others($text), '', '… and nothing else is told');
}
$t->sql(q{BEGIN; DELETE FROM telehealth.disclosure_policy; SELECT telehealth.configure_calendar(id, '{"invite_patient": false}') FROM telehealth.calendar_connection; COMMIT});
settled();
is(words(shown($_)), '', "$_, P1: both taken back at once, nobody is a guest any more") for @kinds;
$t->sql(join '; ', map { my $fact = $_; map { set($_, $fact, 1) } @kinds } @facts);
settled();
for my $kind (@kinds)
{
	my $sent = $kind eq 'caldav' ? shown($kind) : join '', map { $_->{body} // '' } { google => $google, outlook => $graph }->{$kind}->requests(path_regex => '/events');

	unlike($sent, qr/VALARM|"reminders"|"isReminderOn"|"reminderMinutes/, "$kind: a reminder is the owner's own, and says nothing of us");
}

# A policy of everywhere, which that of a clinic overrules
$t->sql("DELETE FROM telehealth.disclosure_policy; INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) SELECT 0, k, 'title', true FROM unnest('{google,outlook,caldav}'::text[]) AS k; "
	  . set('outlook', 'title', 0));
settled();
is(words(shown($_)), $_ eq 'outlook' ? '' : 'title', "$_: the clinic's own policy is asked first") for @kinds;

# ---- another clinic's policy, and the feed's, are somebody else's

$t->sql("DELETE FROM telehealth.disclosure_policy; INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed)
	SELECT c, k, f, true FROM unnest(ARRAY[77, telehealth.current_clinic()]) AS c, unnest('{google,outlook,caldav,feed,email,zoom}'::text[]) AS k, unnest('{title,reason,patient_name}'::text[]) AS f
	WHERE c = 77 OR k IN ('feed', 'email')");
settled();
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $visit");
settled();
is(words(shown($_)), '', "$_: what may go elsewhere does not go here") for @kinds;
$t->sql("DELETE FROM telehealth.appointment WHERE id = $visit");
settled();
is(shown($_), '', "$_: a visit that is gone leaves nothing") for @kinds;

# ---- all that ever left

my %sent = (google => $google, outlook => $graph);
for my $kind (sort keys %sent)
{
	my $text = join "\n", map { join ' ', $_->{method}, $_->{path}, $_->{query} // '', $_->{body} // '', %{ $_->{headers} // {} } } $sent{$kind}->requests;

	like($text, qr/$word{title}/, "$kind: what was allowed has left");
	is(join(' ', grep { index($text, $_) >= 0 } $word{phone}, @other), '', 'P1: what never was has not');
	unlike(join("\n", map { "$_->{path} " . ($_->{query} // '') } $sent{$kind}->requests), qr/$any/i, 'P1: nor anything in an address');
}
if ($radicale)
{
	my $text = '';

	find({ no_chdir => 1, wanted => sub { $text .= "$_\n" . (-f $_ ? slurp_file($_) : '') } }, $radicale->folder);
	is(join(' ', grep { index($text, $_) >= 0 } $word{email}, $word{phone}, @other), '', 'P1: Radicale has nothing of it in any file');
}
unlike($t->log_text, qr/$any/i, 'S1: nor has the log');

finish;
