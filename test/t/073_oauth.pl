# A user grants access in a browser: from the address to meetings, and what an
# attacker may do with either.
use TelehealthTest;

my $fake = FakeZoom->start;
my $t = TelehealthTest->node('main', conf => { log_min_messages => 'debug1', 'telehealth.public_url' => 'https://clinic.example' });
$t->create_extension;
$t->widen_limits;

sub register
{
	my (%o) = @_;
	my $clinic = delete $o{clinic} // 0;
	my %settings = (
		auth_url => $fake->auth_url,
		token_url => $fake->token_url,
		api_url => $fake->api_url,
		%{ delete $o{settings} // {} });
	my %credentials = (client_id => 'app-1', client_secret => 'app-secret-1', %o);

	delete $settings{$_} for grep { !defined $settings{$_} } keys %settings;
	return $t->sql(sprintf "SELECT telehealth.register_oauth_client('zoom', %s::jsonb, %s::jsonb, %s)",
		literal(\%credentials), literal(\%settings), $clinic);
}

sub address
{
	my ($clinic, %o) = @_;
	return $t->sql('SELECT telehealth.authorize_platform(\'zoom\', ' . ($clinic // 0) . ')', %o);
}

# What a browser brings back from the vendor
sub leave { return $fake->browse(address(@_)) }

sub complete_sql { my ($b) = @_; return sprintf 'SELECT telehealth.complete_oauth(%s, %s)', literal($b->{state}), literal($b->{code}) }
sub complete { my ($b, %o) = @_; return $t->sql(complete_sql($b), %o) }

sub refused
{
	my ($b, $want, $name, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $t->fails_ok(complete_sql($b), $want, $name, %o);
}

sub accounts { return $t->sql('SELECT count(*) FROM telehealth.account') }
sub token_calls { return $fake->state->{token_calls} }

# ---- the address

$t->fails_ok("SELECT telehealth.authorize_platform('zoom')", { sqlstate => '55000', hint => qr/register_oauth_client/ },
	'nothing is authorized without a client');
register();
my $address = address();
my ($first) = $address =~ /state=([0-9a-f]{64})(?:&|$)/;
like($address, qr{^\Q@{[$fake->auth_url]}\E\?response_type=code&client_id=app-1&redirect_uri=https%3A%2F%2Fclinic\.example%2Fapi%2Fzoom%2Fcallback&},
	'the address leads to the vendor and back to the gateway');
ok(defined $first, 'the state has 256 bits');
like($address, qr/code_challenge=[A-Za-z0-9_-]{43}&code_challenge_method=S256/, 'and goes with a PKCE challenge');
unlike($address, qr/secret|verifier/, 'no secret is in it');
isnt(address(), $address, 'each has a state of its own');
is($t->sql("SELECT count(*) FROM telehealth_private.oauth_state AS s WHERE s::text LIKE '%$first%'"), 0, 'the state is kept nowhere');
is($t->sql("SELECT count(*) FROM telehealth_private.oauth_state WHERE state_hash = sha256('$first')"), 1, 'but its digest');
is($t->sql("SELECT bool_and(expires_at BETWEEN now() + interval '9 minutes' AND now() + interval '10 minutes') FROM telehealth_private.oauth_state"),
	't', 'for ten minutes');

# ---- a grant, and meetings with it

my $back = leave();
my $account = complete($back);
my $row = $t->row("SELECT * FROM telehealth.account WHERE id = $account");
is("$row->{platform} $row->{status} $row->{clinic_id} " . ($row->{is_user_level} ? 'user' : 'account'), 'zoom connected 0 user',
	'a user grants access: the account is connected');
is(token_calls(), 1, 'by one exchange');
is($t->sql("SELECT string_agg(name, ' ' ORDER BY name) FROM telehealth_private.account_secret WHERE account_id = $account"),
	'client_id client_secret refresh_token', 'with what renews it');
is($t->sql("SELECT count(*) FROM telehealth_private.oauth_state WHERE used_at IS NOT NULL AND verifier IS NULL"), 1, 'its verifier is gone');
is($t->sql("SELECT count(*) FROM telehealth.audit_log WHERE action = 'complete_oauth' AND object_id = $account
		AND detail ->> 'by' = current_user"), 1, 'the audit log says who began it');
$t->sql("INSERT INTO telehealth.provider (id, platform_user) VALUES (1, 'somebody\@else.example')");
my $session = $t->await($t->insert_visit);
is($session->{host}, 'me', 'its meetings are the user\'s, whoever the provider is');
is(scalar($fake->live_meetings(1)), 1, 'and are made');
is(token_calls(), 1, 'with the token of the exchange');
is($t->checks($account)->{credentials}{status}, 'ok', 'check_platform wants no account_id of it');
is($t->checks($account)->{host}{status}, 'ok', 'and sees its user');

# ---- deliveries that name its account find it

my $known = sub { return $t->sql(qq{SELECT coalesce(vendor_key = sha256('zoom:$_[0]'), false) FROM telehealth.account WHERE id = $account}) };
my $me = sub { return scalar grep { $_->{path} eq '/v2/users/me' } $fake->requests };
ok(patiently(sub { $known->('acct-1') eq 't' }, 20), 'H3: whose the account is has been asked for');
for my $fault ([ { kind => 'status', code => 400, body => { code => 4711, message => 'Invalid access token, does not contain scopes:[user:read:user].' } }, 'it may not be asked' ],
	[ { kind => 'alter', set => { account_id => undef } }, 'the answer does not say' ], [ { kind => 'cut_before' }, 'there is no answer' ])
{
	my $n = $me->();

	$fake->faults({ match => { path_regex => '^/v2/users/me$' }, fault => $fault->[0] });
	is(complete(leave()), $account, "H3: $fault->[1]: the account is connected");
	ok(patiently(sub { $me->() > $n }, 20), '... and asked');
	is($t->sql("SELECT status || ' ' || (vendor_key IS NULL) FROM telehealth.account WHERE id = $account"), 'connected true', '... as one whose number is not known');
	$fake->faults;
}

# ... and who grants it waits for nobody; what was connected anew meanwhile is another
$fake->faults({ match => { path_regex => '^/v2/users/me$', times => 1 }, fault => { kind => 'hang' } });
is(complete(leave()), $account, 'H3: the grant does not wait for that');
$fake->wait_for(sub { $_[0]{hanging} });
$t->sql("UPDATE telehealth.account SET connected_at = connected_at + interval '1 microsecond', vendor_key = sha256('zoom:other') WHERE id = $account");
$fake->faults;
$fake->release;
$t->checks($account); # the dispatcher has had that answer
is($known->('other'), 't', 'H3: an answer about what the account was says nothing');
is(complete(leave()), $account, 'granted once more');
ok(patiently(sub { $known->('acct-1') eq 't' }, 20), 'H3: and known again');

# ---- once

my %before = (accounts => accounts(), calls => token_calls());
refused($back, { sqlstate => '55000', message => 'OAuth state was used before' }, 'a state is good once');
refused({ %$back, code => 'another' }, '55000', 'also with another code');
is(token_calls(), $before{calls}, 'the vendor is not asked');
refused({ state => '0' x 64, code => 'x' }, { sqlstate => 'P0002', message => 'OAuth state is not known' }, 'a state that never was');
refused({ state => $_, code => 'x' }, 'P0002', 'what is no state') for '', 'x', '0' x 63, '0' x 65, 'g' x 64, "' OR 1=1 --", uc leave()->{state};
my $fresh = leave();
refused({ %$fresh, code => $_ }, '22023', 'what is no code') for '', 'a b', "a\nb", "a\xc3\xa9", 'x' x 4096;
is($t->sql("SELECT count(*) FROM telehealth_private.oauth_state WHERE state_hash = sha256('$fresh->{state}') AND used_at IS NULL"), 1,
	'does not use the state up');
is(complete($fresh), $account, 'which is good after that; granting again replaces');
is(accounts(), $before{accounts}, 'the account is the same');
$t->await_ok($t->insert_visit, 'and goes on');

# Two tabs: each has its own state
my ($one, $two) = (leave(), leave());
complete($one);
is(complete($two), $account, 'two tabs: the later one wins');
$t->await_ok($t->insert_visit, 'meetings are made by it');
is($t->checks($account)->{token}{status}, 'ok', 'its token is good');

# The same state from two sides at once
$back = leave();
$fake->options(latency_ms => 300);
my $in_two = complete_sql($back);
my @answers;
{
	my @running = map { IPC::Run::start([ 'psql', '-XAtq', '-d', $t->connstr('postgres'), '-c', $in_two ], '<', \undef, '>', \my $out, '2>', \my $err) } 1 .. 2;
	IPC::Run::finish($_) for @running;
	@answers = map { ($_->full_results)[0] == 0 ? 1 : 0 } @running;
}
is($answers[0] + $answers[1], 1, 'a state at two doors at once is exchanged once');
$fake->options(latency_ms => 0);

# ---- time, clinics, clients

$back = leave();
$t->sql("UPDATE telehealth_private.oauth_state SET expires_at = now() WHERE state_hash = sha256('$back->{state}')");
%before = (calls => token_calls());
refused($back, { sqlstate => '55000', message => 'OAuth state has expired' }, 'a state expires');

$t->sql("CREATE ROLE one LOGIN; CREATE ROLE two LOGIN; CREATE ROLE boss LOGIN;
	SELECT telehealth.grant_role('one', 'app', 1); SELECT telehealth.grant_role('two', 'admin', 2); SELECT telehealth.grant_role('boss', 'admin', 0)");
$back = $fake->browse(address(2, role => 'two'));
refused($back, { sqlstate => 'P0002', message => 'OAuth state is not known' }, 'a state of another clinic is not known', role => 'one');
$t->fails_ok("SELECT telehealth.authorize_platform('zoom', 1)", '42501', 'an admin of one clinic authorizes no other', role => 'two');
$t->fails_ok("SELECT telehealth.authorize_platform('zoom', 1)", '42501', 'nor does an app its own', role => 'one');
$t->fails_ok("SELECT telehealth.register_oauth_client('zoom', '{\"client_id\":\"a\",\"client_secret\":\"b\"}')", '42501',
	'nor registers it a client for all', role => 'two');
$t->fails_ok($_, '42501', "no role reads or writes: $_", role => 'boss')
  for 'SELECT * FROM telehealth_private.oauth_state', 'SELECT * FROM telehealth_private.oauth_client_secret',
  "SELECT telehealth_private.put_push_channel(1, 'graph', 'x', 'y')";
is(token_calls(), $before{calls}, 'none of that reached the vendor');
my $second = complete($back, role => 'two');
is($t->sql("SELECT clinic_id FROM telehealth.account WHERE id = $second"), 2, 'the clinic itself completes it');
is(accounts(), 2, 'as an account of its own');

$back = leave();
register();
refused($back, { sqlstate => '55000', message => qr/registered anew/ }, 'a client that was registered anew meanwhile');
$back = leave();
my $other = leave();
$t->sql("UPDATE telehealth_private.oauth_state AS s SET verifier = o.verifier FROM telehealth_private.oauth_state AS o
	WHERE s.state_hash = sha256('$back->{state}') AND o.state_hash = sha256('$other->{state}')");
refused($back, 'XX001', 'a verifier of another state does not open');
refused({ %$other, code => $fake->browse(address())->{code} }, { sqlstate => 'TH002', message => qr/verifier/ },
	'a code of another state does not fit the verifier');
$back = leave();
$t->sql(qq{BEGIN; DO \$\$ BEGIN PERFORM telehealth.complete_oauth('$back->{state}', 'wrong'); EXCEPTION WHEN OTHERS THEN NULL; END \$\$; ROLLBACK});
refused($back, '55000', 'an error, or a rollback, does not bring a state back');
$t->fails_ok("DO \$\$ DECLARE a text := telehealth.authorize_platform('zoom'); BEGIN PERFORM telehealth.complete_oauth(substring(a FROM 'state=([0-9a-f]+)'), 'x'); END \$\$",
	{ sqlstate => 'P0002' }, 'a state is not good before commit');

# ---- what the vendor does

my $kept = $t->sql("SELECT md5(string_agg(envelope::text, ',' ORDER BY name)) FROM telehealth_private.account_secret WHERE account_id = $account AND clinic_id = 0");
sub untouched
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($t->sql("SELECT md5(string_agg(envelope::text, ',' ORDER BY name)) FROM telehealth_private.account_secret WHERE account_id = $account AND clinic_id = 0"),
		$kept, $name);
	return;
}
for my $fault (
	[ { kind => 'cut_after' }, '08006', 'the answer is cut after the code was used' ],
	[ { kind => 'close_midway' }, '08006', 'half an answer' ],
	[ { kind => 'wrong_body', variant => 'html' }, '08006', 'a web page for an answer' ],
	[ { kind => 'huge_body', bytes => 3_000_000 }, '08006', 'an answer without an end' ],
	[ { kind => 'cut_before' }, '08006', 'no answer' ],
	[ { kind => 'status', code => 503, body => 'busy' }, 'TH002', 'the vendor is down' ],
	[ { kind => 'status', code => 429, body => { reason => 'slow down' } }, 'TH002', 'the vendor is busy' ],
	[ { kind => 'status', code => 302, headers => { Location => $fake->url . '/v2/users/me' } }, 'TH002', 'a redirect is not followed' ],
	[ { kind => 'alter', set => { access_token => undef } }, '08006', 'no token' ],
	[ { kind => 'alter', set => { access_token => "a b" } }, '08006', 'a token with a space' ],
	[ { kind => 'alter', set => { refresh_token => undef } }, 'TH002', 'nothing that lasts' ])
{
	my ($f, $state, $name) = @$fault;

	$back = leave();
	%before = (calls => token_calls());
	$fake->faults({ match => { path_regex => '^/oauth/token$', times => 1 }, fault => $f });
	refused($back, $state, "$name: one clear failure");
	$fake->faults;
	refused($back, { sqlstate => '55000', message => 'OAuth state was used before' }, "$name: the state is used up");
	ok(token_calls() - $before{calls} <= 1, "$name: the code is sent once");
	untouched("$name: no half account");
}
$fake->misuse_expected;
is($t->sql("SELECT status FROM telehealth.account WHERE id = $account AND clinic_id = 0"), 'connected', 'the account that was there is in order');

# ---- rotation

complete(leave());
my $short = sub { $fake->options(expires_in => $_[0]) };
$short->(3);
complete(leave());
my $refresh = sub { return scalar grep { $_->{body} =~ /grant_type=refresh_token/ } $fake->requests(path_regex => '^/oauth/token$') };
my $n = $refresh->();
my $n_visits = 0;
patiently(sub { $t->await_ok($t->insert_visit, 'visit ' . ++$n_visits . ' while tokens run out'); $refresh->() >= $n + 3 }, 30);
ok($refresh->() >= $n + 3, 'O7: refresh tokens are used one after the other');
is(scalar(grep { ($_->{status} // 0) == 400 } $fake->requests(path_regex => '^/oauth/token$')), 
	scalar(grep { ($_->{status} // 0) == 400 && $_->{body} =~ /authorization_code/ } $fake->requests(path_regex => '^/oauth/token$')),
	'O7: and none of them twice');
$short->(3600);
$fake->revoke_tokens;
$fake->options(latency_ms => 30);
$n = $refresh->();
$t->insert_visit for 1 .. 20;
ok($t->drained(30), 'many visits whose token was revoked');
is($refresh->() - $n, 1, 'O7: share one refresh');
$fake->options(latency_ms => 0);

# Nothing is sent with a token before its refresh token is committed
$t->sql("ALTER TABLE telehealth_private.account_secret ADD CONSTRAINT no_more CHECK (name <> 'refresh_token') NOT VALID");
my ($offset) = ($t->log_size);
$fake->revoke_tokens;
$n = $refresh->();
my $began = time;
my $at = (sort { $b <=> $a } map { $_->{seq} } $fake->requests)[0];
my $visit = $t->insert_visit;
ok(patiently(sub { $t->log_text($offset) =~ /no_more/ }, 30), 'a refresh token that cannot be stored');
is(scalar(grep { $_->{path} =~ m{^/v2/} && $_->{status} != 401 } $fake->requests(since => $at)), 0, 'O7: nothing is sent with the token that came with it');
is($refresh->() - $n, 1, 'O7: and the refresh token is kept, not spent again');
my $failures = sub { return scalar(() = $t->log_text($offset) =~ /ERROR: .*no_more/g) };
ok(patiently(sub { $failures->() >= 5 }, 30), 'O7: it is tried again');
$t->sql("SELECT telehealth.ensure_meeting($visit)") for 1 .. 20;
# two in a poll interval of 200 ms, with some room; not hundreds
cmp_ok($failures->(), '<', 20 + 20 * (time - $began), 'O7: now and then, however often the dispatcher is woken');
$t->sql('ALTER TABLE telehealth_private.account_secret DROP CONSTRAINT no_more');
$t->await_ok($visit, 'O7: once it can be, the work goes on');
is($refresh->() - $n, 1, 'O7: with the same one');

# Grants made while a refresh is under way win over it
$fake->revoke_tokens;
$fake->faults({ match => { path_regex => '^/oauth/token$', body_regex => 'refresh_token', times => 1 }, fault => { kind => 'hang' } });
$visit = $t->insert_visit;
$fake->wait_for(sub { $_[0]{hanging} });
complete(leave());
$fake->faults;
$fake->release;
$t->await_ok($visit, 'a grant wins over a refresh under way');
$t->restart_dispatcher;
$fake->revoke_tokens;
$t->await_ok($t->insert_visit, 'and lasts');

# A grant that has ended is the account's trouble
$fake->revoke_tokens;
$fake->faults({ match => { path_regex => '^/oauth/token$', body_regex => 'refresh_token' },
	fault => { kind => 'status', code => 400, body => { error => 'invalid_grant', reason => 'Token revoked by a later authorization (4741)' } } });
$visit = $t->insert_visit;
ok($t->poll("SELECT status FROM telehealth.account WHERE id = $account AND clinic_id = 0", 'error', 30), 'a grant that has ended');
like($t->sql("SELECT last_error FROM telehealth.account WHERE id = $account AND clinic_id = 0"), qr/revoked by a later/, 'is told');
$fake->faults;
complete(leave());
$t->await_ok($visit, 'granting again ends that');

# The client's secret is replaced without a browser
$fake->control(POST => 'options', { oauth_clients => [ map { { %$_, client_secret => 'app-secret-2' } } @{ $fake->control(GET => 'options')->{oauth_clients} } ] });
register(client_secret => 'app-secret-2');
$fake->revoke_tokens;
$t->await_ok($t->insert_visit, 'a new secret of the client reaches its accounts');

# An app of the whole account has hosts
$fake->control(POST => 'options', { oauth_clients => [ map { { %$_, is_admin => \1 } } @{ $fake->control(GET => 'options')->{oauth_clients} } ] });
complete(leave());
is($t->sql("SELECT is_user_level FROM telehealth.account WHERE id = $account AND clinic_id = 0"), 'f', 'scopes of an administrator');
$t->sql("UPDATE telehealth.provider SET platform_user = 'host7\@clinic.example'");
is($t->await($t->insert_visit)->{host}, 'host7@clinic.example', 'make meetings of any host');

# Connecting with an account's own credentials replaces the grant
is($t->connect_zoom($fake), $account, 'connect_platform takes its place');
is($t->sql("SELECT string_agg(name, ' ' ORDER BY name) FROM telehealth_private.account_secret WHERE account_id = $account AND clinic_id = 0"),
	'account_id client_id client_secret', 'without a refresh token');
$t->await_ok($t->insert_visit, 'and goes on');

# ---- held, and nobody there

$back = leave();
$t->sql("SELECT telehealth.pause_outbound('test')");
$t->fails_ok("SELECT telehealth.authorize_platform('zoom')", 'TH003', 'D7: no address while outward work is held');
%before = (calls => token_calls());
refused($back, 'TH003', 'D7: no exchange either');
is(token_calls(), $before{calls}, 'D7: the vendor hears nothing');
$t->sql('SELECT telehealth.resume_outbound()');
is(complete($back), $account, 'the state was not used up');

$t->sql("ALTER DATABASE postgres SET telehealth.environment = 'copy'");
$back->{state} = 0 x 64;
$t->fails_ok("SELECT telehealth.authorize_platform('zoom')", 'TH003', 'D7: nor in a clone');
$t->sql('ALTER DATABASE postgres RESET telehealth.environment');

# ---- secrets

my $log = $t->log_text;
my @secrets = ('app-secret-1', $first, $one->{state}, $one->{code});
my %tokens = map { (($_->{body} // '') =~ /refresh_token=([^&]+)/ ? ($1 => 1) : ()) } $fake->requests(path_regex => '^/oauth/token$');
push @secrets, keys %tokens;
cmp_ok(scalar(keys %tokens), '>', 3, 'refresh tokens were used');
is(scalar(grep { index($log, $_) >= 0 } @secrets), 0, 'no state, code or secret is in the log');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$t->command_ok([ 'pg_dump', '-d', $t->connstr('postgres'), '-f', $dump ], 'a dump');
my $text = PostgreSQL::Test::Utils::slurp_file($dump);
unlike($text, qr/COPY telehealth_private\.oauth_state/, 'carries no states');
like($text, qr/COPY telehealth_private\.oauth_client_secret/, 'but clients');
is(scalar(grep { index($text, $_) >= 0 } @secrets), 0, 'and no secret');
is($t->sql("SELECT telehealth.rotate_keys() IS NOT NULL"), 't', 'keys are rotated over them');

finish;
