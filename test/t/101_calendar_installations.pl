# Two installations show their visits in the same calendars, under the same
# numbers: neither takes the other's events for its own, or does anything to them.
use TelehealthTest;
use CalendarSides;
use FakeGoogle;
use FakeGraph;
use Radicale;

my @dbs = qw(postgres other);
my $radicale = Radicale->is_here ? Radicale->start : undef;
my $path = $radicale && $radicale->make_calendar('work');
my $google = FakeGoogle->start(options => CalendarSides::google_options(2));
my $graph = FakeGraph->start;
my $t = TelehealthTest->node('two', conf => { 'telehealth.poll_interval_ms' => 100 });
my %kind = (1 => 'google', 2 => 'google', 3 => 'outlook', 4 => 'outlook', $radicale ? (5 => 'caldav') : ());
my @blind = (2, 4);
my $none = "SELECT count(*) FROM telehealth_private.job WHERE kind NOT IN ('pull', 'channel') AND due_at < now() + interval '1 hour'";
my %visit;

sub calm
{
	for my $db (@dbs)
	{
		$t->poll($none, 0, 30, db => $db) or do { diag explain [ $t->rows('SELECT * FROM telehealth_private.job', db => $db) ]; die "not calm\n" };
	}
	return;
}

# The keys of what is in a provider's calendar
sub keys_of
{
	my ($provider) = @_;
	my $user = "user$provider\@clinic.example";

	return sort grep { /^th-/ } $kind{$provider} eq 'google' ? map { $_->{extendedProperties}{private}{telehealthKey} // '' } $google->live_events($user)
	  : $kind{$provider} eq 'outlook' ? map { values %{ $_->{properties} } } $graph->live_events($user)
	  : $radicale->names($path);
}

for my $db (@dbs)
{
	$t->create_extension($db);
	$t->db($db);
	$t->widen_calendar_limits($_) for qw(google outlook caldav);
	for my $provider (sort keys %kind)
	{
		my %options = (grep { $_ == $provider } @blind) ? (sync_direction => 'push') : ();
		my $connect = "connect_$kind{$provider}";

		if ($kind{$provider} eq 'caldav')
		{
			$t->sql("SELECT telehealth.connect_calendar($provider, 'caldav', " . literal({ url => $radicale->url($path), username => 'alice', password => 'pass word' }) . ')');
		}
		else
		{
			$t->$connect($kind{$provider} eq 'google' ? $google : $graph, provider => $provider, user => "user$provider\@clinic.example", options => \%options);
		}
		my $hours = 3 * ($db eq 'other') + 10 * $provider;
		$visit{$db}{$provider} = $t->insert_visit(type => 'PHONE', provider_id => $provider, starts_at => \"date_trunc('day', now()) + interval '5 days $hours hours'");
	}
}
calm();
for my $provider (sort keys %kind)
{
	my %rest = map { s/^th-[0-9a-f]+//r => 1 } keys_of($provider);
	is(join(' ', scalar(my @two = keys_of($provider)), scalar keys %rest), '2 1', "$kind{$provider}: both show a visit, under the same number");
}
my %there = map { $_ => join ' ', keys_of($_) } keys %kind;

# ---- everything is looked through, twice

for my $round (1, 2)
{
	for my $db (@dbs)
	{
		my $since = $t->sql('SELECT clock_timestamp()', db => $db);

		$t->sql(q{UPDATE telehealth_private.calendar_cursor SET compared_at = now() - interval '2 days';
			UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull'; SELECT telehealth_private.wake()}, db => $db);
		ok($t->poll("SELECT count(*) FROM telehealth.calendar_connection WHERE last_sync_at > '$since'", scalar keys %kind, 30, db => $db), "all is looked through ($db, $round)");
		calm();
	}
}
for my $provider (sort keys %kind)
{
	my $busy = (grep { $_ == $provider } @blind) ? 0 : 1;

	is(join(' ', keys_of($provider)), $there{$provider}, "Y1: $kind{$provider} ($provider): neither touches the other's event");
	is(join(' ', map { $t->sql("SELECT count(*) FROM telehealth.busy_time WHERE provider_id = $provider", db => $_) } @dbs), "$busy $busy", '… the other\'s is busy time, where that is read');
}
for my $db (@dbs)
{
	is($t->sql(q{SELECT (SELECT count(*) FROM telehealth.calendar_change) || ' ' || count(*) || ' ' || count(*) FILTER (WHERE remote_state = 'unchanged' AND generation = 0 AND retired_at IS NULL) FROM telehealth.calendar_event}, db => $db),
		join(' ', 0, (scalar keys %kind) x 2), "$db knows its own alone, as they were");
}

# ---- one of them empties the calendars

$t->sql('SELECT telehealth.purge_remote(id) FROM telehealth.calendar_connection', db => 'postgres');
ok($t->poll('SELECT count(*) FROM telehealth.calendar_status WHERE is_purging', 0, 30, db => 'postgres'), 'D10: one installation empties the calendars');
for my $provider (sort keys %kind)
{
	my $name = $t->sql("SELECT '-' || clinic_id || '-' || connection_id || '-' || appointment_id FROM telehealth.calendar_event WHERE appointment_id = $visit{other}{$provider}", db => 'other');
	my ($left, @more) = keys_of($provider);

	like($left // 'none', qr/\Q$name\E/, "D10: $kind{$provider} ($provider): the other's event is there");
	isnt(index($there{$provider}, $left // 'none'), -1, '… as it was');
	is(scalar(@more), 0, '… and nothing else');
}

finish;
