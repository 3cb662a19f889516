# A connection that is connected again and leads to another calendar: of the
# former nothing is edited or believed any more, the other is filled.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Radicale;
use Mojo::JSON qw(encode_json);

my %fake = (google => FakeGoogle->start(options => { allow_http_push => 1 }), outlook => FakeGraph->start(options => { allow_http_callbacks => 1 }));
my $t = TelehealthTest->node('main', conf => { 'telehealth.public_url' => 'https://clinic.example' });
my $day = 'to_char(now() + interval \'5 days\', \'YYYY-MM-DD\')';

$t->create_extension;
$t->sql('INSERT INTO telehealth.provider (id) VALUES (1), (2), (3)');

sub register
{
	my ($kind, $client, $secret) = @_;
	my $f = $fake{$kind};
	my %settings = (auth_url => $f->auth_url, token_url => $f->token_url, api_url => $f->api_url);

	return $t->sql(sprintf "SELECT telehealth.register_oauth_client(%s, %s::jsonb, %s::jsonb)",
		literal($kind), literal({ client_id => $client, client_secret => $secret }), literal(\%settings));
}

sub connect_it
{
	my ($provider, $kind, %o) = @_;
	return $t->sql(sprintf "SELECT telehealth.connect_calendar(%s, %s, %s::jsonb) ->> 'connection_id'", $provider, literal($kind), literal(\%o));
}

# All that was to be pushed and pulled is, of a connection that works
sub calm
{
	my ($id) = @_;
	return $t->poll("SELECT (SELECT status || is_known || (last_sync_at > connected_at) FROM telehealth.calendar_connection WHERE id = $id)"
		  . " || (SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill') OR (kind = 'channel' AND due_at < now() + interval '1 minute'))",
		'CONNECTEDtruetrue0', 30);
}

sub busy { my ($id) = @_; return $t->sql("SELECT string_agg(to_char(lower(during) AT TIME ZONE 'UTC', 'HH24'), ' ') FROM telehealth.busy_time WHERE source = 'connection:$id'") }
sub move { my ($visit, $minutes) = @_; return $t->sql("UPDATE telehealth.appointment SET duration = $minutes WHERE id = $visit") }
sub names { my ($id) = @_; return $t->sql("SELECT string_agg(external_id, ' ' ORDER BY external_id) FROM telehealth.calendar_event WHERE connection_id = $id AND retired_at IS NULL") }
sub channels { my ($id) = @_; return $t->sql("SELECT count(*) FROM telehealth_private.push_channel WHERE connection_id = $id") }

# Channels that tell of a user's calendar at Google
sub told { my ($user) = @_; return scalar grep { !$_->{stopped} && $_->{expires} > time && $_->{calendar} eq $user } $fake{google}->channels }

# What is the same for every vendor. again: connects as somebody; ours: names
# of events of ours in somebody's calendar, each with its version
sub leaves_ok
{
	my ($kind, $id, $again, $ours, @visits) = @_;

	calm($id);
	my $former = names($id);
	is(busy($id), '10', "$kind: busy as the first calendar says");
	my @first = $ours->('first');
	is(scalar(@first), 2, "$kind: the visits are shown there");

	$again->('first');
	calm($id);
	is(names($id), $former, "$kind: connected again as the same, the events are the same");
	is(join("\n", $ours->('first')), join("\n", @first), "$kind: and were not touched");

	$again->('second');
	calm($id);
	is(busy($id), '14', "$kind: busy as the other calendar says, and not as the first");
	is(scalar(my @second = $ours->('second')), 2, "$kind: the visits are shown in the other");
	isnt(names($id), $former, "$kind: under names of its own");
	move($visits[0], 50);
	calm($id);
	isnt(join("\n", $ours->('second')), join("\n", @second), "$kind: a change is made there");
	is(scalar(@second = $ours->('second')), 2, "$kind: once each");
	is(join("\n", $ours->('first')), join("\n", @first), "$kind: what the first shows was left as it was");
	is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE connection_id = $id"), 0, "$kind: nobody is said to have deleted anything");
	is($t->sql("SELECT count(*) FROM telehealth_private.job WHERE dead_at IS NOT NULL"), 0, "$kind: nothing was given up");
	return;
}

# ---- Google and Microsoft: another user consents

for my $kind (qw(google outlook))
{
	my $provider = $kind eq 'google' ? 1 : 2;
	my %user = (first => 'user1@clinic.example', second => 'user2@clinic.example');
	my $f = $fake{$kind};
	my $again = sub { my ($who) = @_; return connect_it($provider, $kind, refresh_token => $f->grant(user => $user{$who})->{refresh_token}, remote_change_policy => 'cancel') };
	my $ours = sub {
		my ($who) = @_;
		return sort map { encode_json($_) }
		  grep { ($_->{summary} // $_->{subject} // '') =~ /ppointment/ } $f->live_events($user{$who});
	};
	my $at = $t->sql("SELECT $day");

	register($kind, $kind eq 'google' ? ('google-app-1', 'google-secret-1') : ('app-1', 'app-secret-1'));
	for ([ first => 10 ], [ second => 14 ])
	{
		my ($who, $hour) = @$_;
		my @times = map { "${at}T$_:00:00Z" } $hour, $hour + 1;

		$f->edit_event($kind eq 'google'
			? (calendar => $user{$who}, create => { summary => 'dentist', start => { dateTime => $times[0] }, end => { dateTime => $times[1] } })
			: (user => $user{$who}, create => { subject => 'dentist', start => $times[0], end => $times[1] }));
	}
	my $id = $again->('first');
	my @visits = map { $t->insert_visit(provider_id => $provider, type => 'IN_PERSON') } 1 .. 2;

	leaves_ok($kind, $id, $again, $ours, @visits);
	is(channels($id), $kind eq 'google' ? 1 : 0, "$kind: a channel of the former is not kept");
	next if $kind ne 'google';
	is(told('user1@clinic.example') . told('user2@clinic.example'), '01', 'G4: Google is told to stop it, by who asked for it');
	is($t->sql("SELECT count(*) FROM telehealth_private.connection_token WHERE connection_id = $id AND former_envelope IS NOT NULL"), 0, 'S3: whose token is not kept any longer');
}

# By a browser: not before it is known which calendar that is
$fake{google}->options(oauth_clients => [ { client_id => 'google-app-1', client_secret => 'google-secret-1', redirect_uris => ['https://clinic.example/api/calendar-sync/google/callback'], user => 'user3@clinic.example' } ]);
my $answer = $fake{google}->browse($t->sql("SELECT telehealth.connect_calendar(1, 'google') ->> 'auth_url'"));
my $google = $t->sql(sprintf 'SELECT telehealth.complete_oauth(%s, %s)', literal($answer->{state}), literal($answer->{code}));
calm($google);
is(scalar(grep { ($_->{summary} // '') =~ /ppointment/ } $fake{google}->live_events('user3@clinic.example')), 2, 'by a browser too: the visits are shown in the other');
is(busy($google), '', 'which has nothing else in it');
is(told('user2@clinic.example') . told('user3@clinic.example'), '01', 'G4: and the channel of the one before is stopped');

# An account is known by its number: its address may change, and then be another's
sub by_browser
{
	my ($user, $subject) = @_;
	my %client = (client_id => 'google-app-1', client_secret => 'google-secret-1', redirect_uris => ['https://clinic.example/api/calendar-sync/google/callback']);

	$fake{google}->options(oauth_clients => [ { %client, user => $user } ], subjects => { $user => $subject });
	my $brought = $fake{google}->browse($t->sql("SELECT telehealth.connect_calendar(1, 'google') ->> 'auth_url'"));
	$t->sql(sprintf 'SELECT telehealth.complete_oauth(%s, %s)', literal($brought->{state}), literal($brought->{code}));
	calm($google);
	return names($google);
}
my $names = names($google);
my $number = unpack 'H*', 'user3@clinic.example';
is($t->sql("SELECT found_calendar || ' ' || found_subject FROM telehealth.calendar_connection WHERE id = $google"), "user3\@clinic.example $number", 'an account is known by its number');
is(by_browser('user4@clinic.example', $number), $names, 'with another address it is the same');
is($t->sql("SELECT found_calendar FROM telehealth.calendar_connection WHERE id = $google"), 'user4@clinic.example', '… which is what is known from now on');
isnt(by_browser('user4@clinic.example', '4711'), $names, 'one that has got the address is another');
$names = names($google);
$t->sql("UPDATE telehealth.calendar_connection SET found_subject = NULL WHERE id = $google");
is(by_browser('user4@clinic.example', '4712'), $names, 'where no number is known the address tells');
$t->sql("UPDATE telehealth.calendar_connection SET found_subject = NULL WHERE id = $google");
isnt(by_browser('user5@clinic.example', '4712'), $names, '… as it did');
$fake{google}->options(subjects => {});

# ---- CalDAV: another address, or another calendar behind it

SKIP:
{
	skip 'radicale is not installed', 1 if !Radicale->is_here;
	my $radicale = Radicale->start(users => { alice => 'pass word', bob => 'secret:2' });
	my %path = (first => $radicale->make_calendar('work', user => 'alice'), second => $radicale->make_calendar('work', user => 'bob'));
	my %login = (first => { username => 'alice', password => 'pass word' }, second => { username => 'bob', password => 'secret:2' });
	my $again = sub { my ($who) = @_; return connect_it(3, 'caldav', url => $radicale->url($who eq 'first' ? '/alice/' : '/bob/'), %{ $login{$who} }, remote_change_policy => 'cancel') };
	my $ours = sub { my ($who) = @_; return map { $radicale->get($path{$who} . $_) } grep { /^th-/ } $radicale->names($path{$who}) };
	my $at = $t->sql("SELECT to_char(now() + interval '5 days', 'YYYYMMDD')");

	$radicale->put("$path{first}dentist.ics", $radicale->event('dentist', "${at}T100000Z", "${at}T110000Z"));
	$radicale->put("$path{second}dentist.ics", $radicale->event('dentist', "${at}T140000Z", "${at}T150000Z"));
	my $id = $again->('first');
	my @visits = map { $t->insert_visit(provider_id => 3, type => 'IN_PERSON') } 1 .. 2;

	leaves_ok('caldav', $id, $again, $ours, @visits);
	my $found = "SELECT found_calendar FROM telehealth.calendar_connection WHERE id = $id";
	like($t->sql($found), qr{^127\.0\.0\.1:\d+/bob/work/$}, 'a calendar is known by its place');
}

finish;
