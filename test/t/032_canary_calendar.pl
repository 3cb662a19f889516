# No secret of calendars and feeds is where it must not be: passwords, grants,
# codes, PKCE verifiers, channel secrets and feed tokens are used, with every
# log and statistic switched on. Nothing here says one in a statement.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use HttpClient qw(http);
use ScriptedPeer;
use MIME::Base64 qw(encode_base64 decode_base64);
use Mojo::JSON qw(decode_json);
use Mojo::Parameters;

my $port = PostgreSQL::Test::Cluster::get_free_port();
my %fake = (
	google => FakeGoogle->start(options => { push_via => "http://127.0.0.1:$port" }),
	outlook => FakeGraph->start(options => { callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" } }));
my $prefix = '<?xml version="1.0"?><multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">';
my $dav = ScriptedPeer->start(sub {
	my ($request) = @_;
	my $prop = $request->{body} =~ /current-user-privilege-set/ ? '<resourcetype><collection/><C:calendar/></resourcetype><current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>'
	  : $request->{body} =~ /getctag/ ? '<sync-token>urn:1</sync-token>'
	  : $request->{method} eq 'PROPFIND' ? '<resourcetype><collection/></resourcetype>' : '';
	return [ 201, { ETag => '"1"' }, '' ] if $request->{method} eq 'PUT';
	return [ 207, { 'Content-Type' => 'application/xml' }, $prefix . ($prop ? "<response><href>/cal/</href><propstat><prop>$prop</prop><status>HTTP/1.1 200 OK</status></propstat></response>" : '') . '</multistatus>' ];
});
my $t = TelehealthTest->telling_node('canary', 'telehealth.http_port' => $port, 'telehealth.public_url' => 'https://clinic.example');
$t->wait_gateway;
$t->widen_calendar_limits($_) for qw(google outlook caldav);

# What must be nowhere, by name; what a file has is read on the server
my %never;
sub from_file
{
	my ($name, $secret) = @_;
	my $file = $t->basedir . '/' . $name =~ s/\W/-/gr;

	$never{$name} = $secret;
	open my $h, '>', $file or die;
	print $h "$secret\n";
	close $h;
	chmod 0600, $file;
	return "file:$file";
}

my @activity;
sub look { push @activity, map { $_->{query} } $t->rows('SELECT DISTINCT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()'); return 1 }
sub connected { my ($id, $name) = @_; return ok(patiently(sub { look(); $t->sql("SELECT status = 'CONNECTED' AND last_sync_at IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id") eq 't' }, 30), $name) }

# ---- a password

my $password = 'S1-password-5ecret-91pQ';
my $file = from_file('a CalDAV password', $password);
my %id = (caldav => $t->sql('SELECT telehealth.connect_calendar(3, \'caldav\', ' . literal({ url => $dav->url('/cal/'), username => 'alice', password => $file }) . ") ->> 'connection_id'"));
connected($id{caldav}, 'a calendar is connected by a password');
$never{'the encoded password'} = encode_base64("alice:$password", '');

# ---- grants by a browser, and one that is brought along

my %app = (google => [ 'google-app-1', 'google-secret-1' ], outlook => [ 'app-1', 'app-secret-1' ]);
my $provider = 0;
for my $kind (sort keys %fake)
{
	my $f = $fake{$kind};
	my $path = "/api/calendar-sync/$kind/callback";

	$t->sql(sprintf 'SELECT telehealth.register_oauth_client(%s, %s, %s)', literal($kind),
		literal({ client_id => $app{$kind}[0], client_secret => from_file("the client secret ($kind)", $app{$kind}[1]) }),
		literal({ auth_url => $f->auth_url, token_url => $f->token_url, api_url => $f->api_url, $f->can('revoke_url') ? (revoke_url => $f->revoke_url) : () }));

	# an access token that is used once, refused and replaced
	$never{"an access token ($kind)"} = "S1-access-5ecret-of-$kind";
	$f->faults({ match => { path_regex => '/token$', times => 1 }, fault => { kind => 'alter', set => { access_token => $never{"an access token ($kind)"} } } });
	my $answer = decode_json($t->sql(sprintf "SELECT telehealth.connect_calendar(%d, '%s', '{}')", ++$provider, $kind));
	$id{$kind} = $answer->{connection_id};
	my $back = $f->browse($answer->{auth_url});
	@never{ "the state ($kind)", "the code ($kind)" } = @{$back}{qw(state code)};
	my $page = http($port, 'GET', "$path?" . Mojo::Parameters->new(state => $back->{state}, code => $back->{code})->to_string, close => 1);
	is($page->{status}, 200, "$kind: a browser comes back");
	unlike($page->{body}, qr/\Q$back->{code}\E|\Q$back->{state}\E/, '… and is not told what it brought');
	connected($id{$kind}, "$kind: a calendar is connected by a grant");
	my ($exchange) = grep { ($_->{body} // '') =~ /code_verifier=/ } $f->requests(path_regex => '/token$');
	my $form = Mojo::Parameters->new($exchange->{body})->to_hash;
	$never{"the verifier ($kind)"} = $form->{code_verifier};
	is($form->{code}, $back->{code}, '… for its code');
	$never{"a refresh token ($kind)"} = $f->grant(user => 'user2@clinic.example')->{refresh_token};
	my $brought = from_file("a refresh token ($kind)", $never{"a refresh token ($kind)"});
	connected($t->sql(sprintf "SELECT telehealth.connect_calendar(%d, '%s', %s) ->> 'connection_id'", 10 + $provider, $kind, literal({ refresh_token => $brought })), "$kind: and by a grant that is brought along");
}

# ---- channels

ok($t->poll('SELECT count(*) FROM telehealth_private.push_channel WHERE retired_at IS NULL', 4, 30), 'vendors will tell of changes');
for my $request ($fake{google}->requests(path_regex => '/events/watch$'))
{
	$never{"a channel's token " . keys %never} = decode_json($request->{body})->{token};
}
for my $request ($fake{outlook}->requests(method => 'POST', path_regex => '/subscriptions$'))
{
	$never{'a clientState ' . keys %never} = decode_json($request->{body})->{clientState};
}
my ($start, $end) = map { $t->sql("SELECT to_char((now() + interval '$_ hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')") } 48, 49;
$fake{google}->edit_event(calendar => 'user1@clinic.example', create => { summary => 'Own', start => { dateTime => $start }, end => { dateTime => $end } });
$fake{outlook}->edit_event(user => 'user1@clinic.example', create => { subject => 'Own', start => $start, end => $end });
ok(patiently(sub { look(); $t->sql('SELECT count(*) FROM telehealth.busy_time WHERE source IN (' . join(', ', map { "'connection:$id{$_}'" } sort keys %fake) . ')') == 2 }, 30), 'and do');

# ---- a feed

my ($token) = $t->sql("SELECT token FROM telehealth.create_feed(1, 'Visits')");
$never{'a feed\'s token'} = $token;
is(http($port, 'GET', "/api/calendar/ical/$token.ics", close => 1)->{status}, 200, 'a feed is read');
my $apple = decode_json($t->sql("SELECT telehealth.connect_calendar(1, 'apple', '{}')"));
$never{'a token of Apple\'s feed'} = $apple->{token};
is(http($port, 'GET', "/api/calendar/ical/$apple->{token}", close => 1)->{status}, 200, '… and one of Apple\'s');

# ---- visits, an error each, and ends

$t->insert_visit(type => 'PHONE', provider_id => $_) for 1 .. 3;
ok(patiently(sub { look(); $t->sql(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event')}) == 0 }, 30), 'visits are shown');
$_->faults({ match => { method => 'POST', path_regex => '/events$', times => 2 }, fault => { kind => 'status', code => 400, body => '{"error": {"code": 400, "message": "x"}}' } }) for values %fake;
$t->insert_visit(type => 'PHONE', provider_id => $_) for 1 .. 2;
ok($t->poll(q{SELECT count(*) > 0 FROM telehealth_private.job WHERE kind = 'event' AND last_error IS NOT NULL}, 't', 30), 'and refused');
$_->faults for values %fake;
http($port, 'GET', "/api/calendar-sync/google/callback?state=$never{'the state (google)'}&code=$never{'the code (google)'}", close => 1);
$t->sql(q{SELECT * FROM telehealth.calendar_status; SELECT * FROM telehealth.health; SELECT * FROM telehealth.explain_appointment(1)});
$t->sql("SELECT telehealth.disconnect_calendar($_->[0], '$_->[1]')") for [ 1, 'google' ], [ 2, 'outlook' ], [ 3, 'caldav' ];
ok($t->poll('SELECT count(*) FROM telehealth_private.connection_secret WHERE connection_id IN (' . join(', ', values %id) . ')', 0, 40), 'calendars are disconnected');
look();

# ---- where they must not be

is(scalar(grep { length($never{$_} // '') < 12 } keys %never), 0, 'every secret is known, and long enough to be looked for') or diag explain \%never;
cmp_ok(scalar(keys %never), '>=', 18, '… ' . keys(%never) . ' of them');
sub found { my ($text) = @_; return join ', ', grep { index($text, $never{$_}) >= 0 } sort keys %never }

my $log = $t->log_text(0);
like($log, qr/ DEBUG: /, 'S1: the log has everything');
like($log, qr/SELECT telehealth\.connect_calendar/, 'S1: statements too');
is(found($log), '', 'S1: but no secret');
is(found(join "\n", @activity), '', 'S1: nor has pg_stat_activity');
is(found($t->sql('SELECT string_agg(query, chr(10)) FROM pg_stat_statements')), '', 'S1: nor have pg_stat_statements') if $t->has_statements;
$t->sql('CHECKPOINT');
my %bytes = $t->stored_bytes;
like($bytes{'the WAL'}, qr/user1\@clinic\.example|connection:/, 'S3: the WAL has the rows');
is(found($bytes{$_}), '', "S3: but no secret is in $_") for sort keys %bytes;
my $dump = `pg_dump -Fp -h @{[ $t->host ]} -p @{[ $t->port ]} postgres`;
like($dump, qr/calendar_connection/, 'S3: a dump has the rows');
is(found($dump), '', 'S3: but no secret');

# to each only its own
my %sent = ((map { $_ => join "\n", map { join ' ', $_->{method}, $_->{path}, $_->{query} // '', $_->{body} // '', %{ $_->{headers} // {} } } $fake{$_}->requests } sort keys %fake),
	caldav => join "\n", map { join ' ', $_->{path}, $_->{query} // '', $_->{body}, %{ $_->{headers} } } $dav->requests);
my %own = (google => qr/\(google\)|channel/, outlook => qr/\(outlook\)|clientState/, caldav => qr/encoded/);
for my $kind (sort keys %sent)
{
	is(join(', ', grep { $_ !~ $own{$kind} } split /, /, found($sent{$kind})), '', "S1: $kind is told no secret of another");
}
is(found(join "\n", map { join '?', $_->{path}, $_->{query} // '' } grep { $_->{path} !~ m{/auth(?:orize)?$} } map { $_->requests } values %fake, $dav), '', 'S1: none is in an address but the state where a browser brings it');
is(found(http($port, 'GET', '/metrics', close => 1)->{body}), '', 'S1: nor in what the gateway tells of itself');
like(found($sent{google}), qr/the verifier \(google\)/, 'and they would have been found');
finish;
