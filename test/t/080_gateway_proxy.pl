# The two ways to the Internet that README shows: nginx with its very
# configuration in front of the gateway, and PostgREST, whose statements are
# made here.
use TelehealthTest;
use HttpClient qw(http);
use ZoomHook qw(hook_event hook_headers);
use Digest::SHA qw(hmac_sha1_base64);
use FindBin;
use Mojo::JSON qw(encode_json);

my ($port, $tls_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
my $url = "https://clinic.example:$tls_port";
my $t = TelehealthTest->node('gateway_proxy', conf => {
	'telehealth.http_port' => $port, 'telehealth.mock' => 'on', 'telehealth.public_url' => $url });
$t->create_extension;
$t->sql(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "c", "client_secret": "s", "webhook_secret": "hush"}')});
ok($t->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 20), 'the gateway listens');

sub stored { my ($meeting) = @_; return $t->sql("SELECT count(*) FROM telehealth.webhook_event WHERE meeting_id = '$meeting'") }
sub event { my ($meeting) = @_; return hook_event('meeting.started', meeting => $meeting) }

# ---- PostgREST

$t->sql(q{
	CREATE ROLE authenticator LOGIN NOINHERIT;
	CREATE ROLE anon NOLOGIN;
	GRANT anon TO authenticator;
	SELECT telehealth.grant_role('anon', 'webhook')});

# What PostgREST says for a POST: a role of its own, the request as settings,
# the body as the parameter without a name; result, status and headers
sub postgrest
{
	my ($function, $type, $headers, $body) = @_;
	my $settings = join ', ', map { "set_config('$_->[0]', " . literal($_->[1]) . ', true)' } (
		[ 'search_path', '"telehealth", "public"' ], [ 'role', 'anon' ], [ 'request.jwt.claims', '{"role":"anon"}' ], [ 'request.method', 'POST' ],
		[ 'request.path', "/rpc/$function" ], [ 'request.headers', encode_json({ host => 'clinic.example', 'user-agent' => 'Zoom', %$headers }) ], [ 'request.cookies', '{}' ]);
	my ($rc, $out, $err) = $t->psql('postgres', sprintf(q{
		BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
		SELECT %s;
		PREPARE call(%s) AS WITH pgrst_source AS (SELECT "telehealth"."%s"($1) pgrst_scalar)
			SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce((json_agg(_postgrest_t.pgrst_scalar)->0)::text, 'null') AS body,
			nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status
			FROM (SELECT "%s".* FROM "pgrst_source" AS "%s") _postgrest_t;
		EXECUTE call(%s);
		COMMIT}, $settings, $type, ($function) x 3, $type eq 'bytea' ? "'\\x" . unpack('H*', $body) . "'" : literal($body)), extra_params => [ '-U', 'authenticator' ], on_error_stop => 1);
	return $rc == 0 ? join ' ', $out =~ /^\|1\|(.*)\|(?:.*)\|(\d+)$/m : $err;
}
for my $type (qw(json text bytea))
{
	my $body = event("1$type");
	my $headers = hook_headers('hush', $body);

	is(postgrest('zoom_webhook', $type, $headers, $body), '{"status":"ok"} 200', "PostgREST: $type, by a role that may hand webhooks over alone");
	is(stored("1$type"), 1, '... is stored');
	like(postgrest('zoom_webhook', $type, $headers, event("2$type")), qr/ 401$/, '... and what was not signed is refused');
	is(stored("2$type"), 0, '... and not stored');
}
for my $what ('telehealth.webhook_event', 'telehealth.session', 'telehealth_private.account_secret')
{
	my ($rc, undef, $err) = $t->psql('postgres', "SET ROLE anon; SELECT * FROM $what", extra_params => [ '-U', 'authenticator' ]);
	isnt($rc, 0, "PostgREST: anon reads no $what");
}

# ---- nginx

my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
SKIP:
{
	skip 'nginx is not here', 1 if !defined $nginx;

	my $folder = PostgreSQL::Test::Utils::tempdir_short;
	my $readme = PostgreSQL::Test::Utils::slurp_file("$FindBin::RealBin/../../README.md");
	my ($servers) = $readme =~ /^```nginx\n(.*?)^```$/ms or BAIL_OUT('README has no configuration of nginx');
	my $replaced = 0;

	# nothing but where things are
	$replaced += $servers =~ s/$_->[0]/$_->[1]/g for ([ '127\.0\.0\.1:8686', "127.0.0.1:$port" ], [ '\b443 ssl', "$tls_port ssl" ],
		[ '/etc/ssl/\S+\.pem', "$folder/cert.pem" ], [ '/etc/ssl/\S+\.key', "$folder/cert.key" ], [ '/var/log/nginx/', "$folder/" ]);
	is($replaced, 5, "README's configuration of nginx, with other places");
	PostgreSQL::Test::Utils::run_log([ 'openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
		'-subj', '/CN=clinic.example', '-addext', 'subjectAltName=DNS:clinic.example', '-keyout', "$folder/cert.key", '-out', "$folder/cert.pem" ]) or BAIL_OUT('no certificate');
	PostgreSQL::Test::Utils::append_to_file("$folder/nginx.conf", join '', "daemon off; pid $folder/pid; worker_processes 2; error_log $folder/main.log crit;\n",
		"events { worker_connections 256; }\nhttp {\n", (map { "${_}_temp_path $folder/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)), $servers, "}\n");
	my $pid = fork // die "cannot fork: $!";
	if (!$pid)
	{
		exec $nginx, '-p', $folder, '-e', "$folder/start.log", '-c', "$folder/nginx.conf" or die "no nginx: $!";
	}

	# curl as the vendor: status and body of a request through TLS
	my $asked = 0;
	my $curl = sub {
		my ($path, %o) = @_;
		my @command = ('curl', '-s', '-m', '20', '--cacert', "$folder/cert.pem", '--resolve', "clinic.example:$tls_port:127.0.0.1", '-w', '\n%{http_code}', @{ $o{more} // [] });

		push @command, map { ('-H', "$_: $o{headers}{$_}") } sort keys %{ $o{headers} // {} };
		if (defined $o{body})
		{
			my $file = "$folder/body" . $asked++;
			PostgreSQL::Test::Utils::append_to_file($file, $o{body});
			push @command, '--data-binary', "\@$file";
		}
		my $out = '';
		IPC::Run::run([ @command, "$url$path" ], '>', \$out);
		return $out =~ /\A(.*)\n(\d+)\z/s ? ($2, $1) : ('none', '');
	};
	ok(patiently(sub { ($curl->('/'))[0] ne '000' }, 20), 'nginx listens') or diag PostgreSQL::Test::Utils::slurp_file("$folder/start.log");

	my $body = event('31');
	is(($curl->('/api/v2/zoom/webhook', body => $body, headers => hook_headers('hush', $body)))[0], 200, 'nginx: a webhook, through TLS');
	is(stored('31'), 1, '... is stored');
	is(($curl->('/zoom_events/events', body => event('32'), headers => hook_headers('hush', $body)))[0], 401, '... and refused, if not signed');
	is(($curl->('/zoom_events/events', body => $body, headers => { %{ hook_headers('hush', $body) }, 'Transfer-Encoding' => 'chunked' }))[0], 202, '... in chunks as well');
	$t->sql(q{SELECT telehealth_private.put_push_channel(5, 'twilio', 'AC1', 'twilio token')});
	my $form = 'AccountSid=AC1&MessageSid=SM1&MessageStatus=sent';
	my $query = '/api/webhooks/twilio?visit=a%2Fb';
	is(($curl->($query, body => $form, headers => { 'X-Twilio-Signature' => hmac_sha1_base64("$url$query" . $form =~ tr/=&//dr, 'twilio token') . '=' }))[0],
		200, 'nginx: what Twilio signs is the address outside, to the letter');
	my $large = hook_event('meeting.started', meeting => '33', object => { topic => 'x' x 900_000 });
	is(($curl->('/api/v2/zoom/webhook', body => $large, headers => hook_headers('hush', $large)))[0], 200, 'nginx: what the gateway takes is not too large for it');
	$large = hook_event('meeting.started', meeting => '34', object => { topic => 'x' x 1_100_000 });
	is(($curl->('/api/v2/zoom/webhook', body => $large, headers => hook_headers('hush', $large)))[0], 413, '... what is, is refused');
	is(($curl->($_))[0], 404, "nginx: nobody outside sees $_") for qw(/ /metrics /healthz /readyz /api /apis/v2/zoom/webhook);

	$t->sql(q{INSERT INTO telehealth.provider (id) VALUES (1)});
	my $feed = $t->row('SELECT * FROM telehealth.create_feed(1, $$Dr. One$$)');
	my ($status, $text) = $curl->("/api/calendar/ical/$feed->{token}.ics", more => ['--compressed']);
	is($status, 200, 'nginx: a feed');
	like($text, qr/\ABEGIN:VCALENDAR\r\n.*END:VCALENDAR\r\n\z/s, '... as it is');
	is(http($port, 'GET', "/api/calendar/ical/$feed->{token}")->{status}, 200, '... as without it');
	like($feed->{feed_url}, qr/^\Q$url\E/, '... at the address that was given');

	my $old = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	kill 'TERM', $old;
	ok(patiently(sub { $body = event('35'); ($curl->('/zoom_events/events', body => $body, headers => hook_headers('hush', $body)))[0] eq '202' }, 20), 'nginx: goes on when the gateway is another process');
	$t->sql('ALTER DATABASE postgres SET telehealth.http_port = 0');
	ok(patiently(sub { ($curl->('/zoom_events/events', body => $body))[0] eq '502' }, 20), '... and says 502 while there is none, so that it is told again');
	$curl->("/api/calendar/ical/$feed->{token}");

	my $logs = join '', map { PostgreSQL::Test::Utils::slurp_file($_) } glob "$folder/*.log";
	unlike($logs, qr/\Q$feed->{token}\E/, 'S1: nginx logs no address of a feed');
	kill 'QUIT', $pid;
	waitpid $pid, 0;
}

finish;
