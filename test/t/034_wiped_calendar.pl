# Codes, verifiers, secrets of channels and tokens of feeds have left nothing in
# the memory of the worker and the gateway once they were used.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use HttpClient qw(http);
use ProcessMemory qw(copies);
use Mojo::JSON qw(decode_json);
use Mojo::Parameters;

plan skip_all => 'sanitizers and valgrind keep what was freed' if $ENV{TELEHEALTH_WATCHED};

my $port = PostgreSQL::Test::Cluster::get_free_port();
my %fake = (
	google => FakeGoogle->start(options => { push_via => "http://127.0.0.1:$port" }),
	outlook => FakeGraph->start(options => { callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" } }));
my $t = TelehealthTest->node('wiped', conf => { 'telehealth.http_port' => $port, 'telehealth.public_url' => 'https://clinic.example' });
$t->create_extension;
$t->wait_gateway;
my %app = (google => [ 'google-app-1', 'google-secret-1' ], outlook => [ 'app-1', 'app-secret-1' ]);
my %secret;
my $provider = 0;
for my $kind (sort keys %fake)
{
	my $f = $fake{$kind};
	$t->sql(sprintf 'SELECT telehealth.register_oauth_client(%s, %s, %s)', literal($kind), literal({ client_id => $app{$kind}[0], client_secret => $app{$kind}[1] }),
		literal({ auth_url => $f->auth_url, token_url => $f->token_url, api_url => $f->api_url }));
	my $answer = decode_json($t->sql(sprintf "SELECT telehealth.connect_calendar(%d, '%s', '{}')", ++$provider, $kind));
	my $back = $f->browse($answer->{auth_url});
	@secret{ "$kind: the state", "$kind: the code" } = @{$back}{qw(state code)};
	http($port, 'GET', "/api/calendar-sync/$kind/callback?" . Mojo::Parameters->new(state => $back->{state}, code => $back->{code})->to_string, close => 1);
	ok($t->poll("SELECT last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $answer->{connection_id}", 't', 30), "$kind: connected");
	my ($exchange) = grep { ($_->{body} // '') =~ /code_verifier=/ } $f->requests(path_regex => '/token$');
	$secret{"$kind: the verifier"} = Mojo::Parameters->new($exchange->{body})->to_hash->{code_verifier};
}
ok($t->poll('SELECT count(*) FROM telehealth_private.push_channel WHERE retired_at IS NULL', 2, 30), 'channels');
$secret{'a channel token'} = decode_json(($fake{google}->requests(path_regex => '/events/watch$'))[0]{body})->{token};
$secret{'a clientState'} = decode_json(($fake{outlook}->requests(method => 'POST', path_regex => '/subscriptions$'))[0]{body})->{clientState};
my $feed = $t->sql("SELECT token FROM telehealth.create_feed(1, 'Visits')");
http($port, 'GET', "/api/calendar/ical/$feed.ics", close => 1);
$secret{'a feed token'} = $feed;
$t->insert_visit(type => 'PHONE', provider_id => 1);
$t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event')", 0, 30);
my %pid = (dispatcher => $t->dispatcher_pid, gateway => $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'}));

SKIP:
{
	skip 'the memory of the processes cannot be read here', 1 if grep { !defined copies($_, 'x') } values %pid;
	cmp_ok(copies($pid{dispatcher}, 'calendar'), '>', 0, 'words are there to be found');
	for my $name (sort keys %secret)
	{
		cmp_ok(length($secret{$name} // ''), '>=', 12, "$name is known");
		for my $process (sort keys %pid)
		{
			ok(patiently(sub { !copies($pid{$process}, $secret{$name}) }, 5), "S1: nothing of it is left in the $process ($name)");
		}
	}
}

finish;
