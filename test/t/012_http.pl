# The network side of the dispatcher: whom it talks to, how much it takes,
# and how long it waits.
use TelehealthTest;
use Time::HiRes qw(time);

my $good = FakeZoom->start(tls => 'good');

# Each has an authority of its own, and all of these are trusted: what is
# refused is refused for what is wrong with the certificate
my %tls = map { $_ => FakeZoom->start(tls => $_) } qw(expired wronghost selfsigned);
my $authorities = PostgreSQL::Test::Utils::tempdir . '/authorities.pem';
PostgreSQL::Test::Utils::append_to_file($authorities, PostgreSQL::Test::Utils::slurp_file($_->ca_file)) for $good, values %tls;

# A proxy that the server's environment names is asked for nothing: it is not there
local @ENV{qw(http_proxy https_proxy all_proxy)} = ('http://127.0.0.1:9') x 3;
my $t = TelehealthTest->node('http',
	conf => {
		'telehealth.ca_file' => $authorities,
		'telehealth.request_timeout_ms' => 1000,
		'telehealth.connect_timeout_ms' => 800,
		'telehealth.max_response_kb' => 64,
	});
$t->create_extension;

my $account = $t->connect_zoom($good);
my $first = $t->insert_visit;
ok($t->await($first)->{join_url}, 'a certificate of the configured authority is accepted');

# Points the account at another address and returns what the next visit ends with
sub try_at
{
	my ($api, $token) = @_;

	$t->sql("SELECT telehealth.configure_platform($account, "
		  . literal({ api_url => $api, token_url => $token }) . ')');
	return outcome();
}

# What the next visit ends with
sub outcome
{
	my $id = $t->insert_visit;
	$t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE subject_id = $id", 't', 15);
	my $job = $t->row("SELECT * FROM telehealth_private.job WHERE subject_id = $id");
	is($t->sql("SELECT join_url IS NULL FROM telehealth.appointment WHERE id = $id"), 't', '… no link is made up');
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $id");
	return $job;
}

sub text { return $_[0]{last_error} // '' }

# ---- certificates: a handshake may take its time
$t->reload_conf('telehealth.request_timeout_ms' => 10_000, 'telehealth.connect_timeout_ms' => 10_000);
$t->poll('SHOW telehealth.connect_timeout_ms', '10s');
for my $kind (sort keys %tls)
{
	my $job = try_at($tls{$kind}->api_url, $tls{$kind}->token_url);

	like(text($job), qr/TLS failed/, "S4: a certificate that is $kind is refused");
	is($tls{$kind}->state->{requests_total}, 0, '… and no request goes out');
}
# the authority of another run
{
	my $other = FakeZoom->start(tls => 'good');
	my $job = try_at($other->api_url, $other->token_url);

	like(text($job), qr/TLS failed/, 'S4: so is one of an authority that is not in ca_file');
	is($other->state->{requests_total}, 0, '… and no request goes out');
}
$t->reload_conf('telehealth.request_timeout_ms' => 1000, 'telehealth.connect_timeout_ms' => 800);
$t->poll('SHOW telehealth.connect_timeout_ms', '800ms');

# ---- addresses
my $plain = FakeZoom->start;
{
	my $url = literal({ api_url => $plain->api_url, token_url => $plain->token_url });

	# what was set while it was allowed is checked again at each call
	$t->sql("SELECT telehealth.configure_platform($account, $url)");
	for my $list ('', '127.0.0.1:1')
	{
		$t->reload_conf('telehealth.allowed_hosts' => $list);
		$t->poll('SHOW telehealth.allowed_hosts', $list, 10);
		$t->fails_ok("SELECT telehealth.configure_platform($account, $url)", '22023',
			"S4: plain http is no setting with allowed_hosts '$list'");
		like(text(outcome()), qr/http is allowed only for hosts/,
			"S4: and no call is made with allowed_hosts '$list'");
	}
	is($plain->state->{requests_total}, 0, 'S4: nothing arrived');

	$t->reload_conf('telehealth.allowed_hosts' => '');
	$t->poll('SHOW telehealth.allowed_hosts', '', 10);
	my $before = $good->state->{requests_total};
	for my $host ('127.0.0.1:' . $good->port, 'localhost:' . $good->port,
		'[::ffff:127.0.0.1]:' . $good->port, '[::1]:' . $good->port, '10.0.0.1',
		'169.254.169.254', '192.168.1.1')
	{
		like(text(try_at("https://$host/v2", "https://$host/oauth/token")),
			qr/address is not public/, "S4: $host is refused");
	}
	is($good->state->{requests_total}, $before, 'S4: nothing arrived');
	$t->reload_conf('telehealth.allowed_hosts' => '127.0.0.1');
	$t->poll('SHOW telehealth.allowed_hosts', '127.0.0.1', 10);
}

# ---- answers
$t->sql("SELECT telehealth.configure_platform($account, "
	  . literal({ api_url => $plain->api_url, token_url => $plain->token_url }) . ')');

# What becomes of a visit whose create call is hurt once
sub hurt
{
	my ($fault, $pattern, $name) = @_;

	$plain->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => $fault });
	my $id = $t->insert_visit;
	ok($t->poll(qq{SELECT count(*) > 0 FROM telehealth_private.job_history WHERE subject_id = $id
		AND action = 'create' AND outcome <> 'ok'}, 't', 15), "$name: noticed");
	my $row = $t->row(qq{SELECT * FROM telehealth_private.job_history WHERE subject_id = $id
		AND action = 'create' AND outcome <> 'ok' ORDER BY at LIMIT 1});
	like($row->{message} // '', $pattern, $name);
	ok(patiently(sub {
		$t->sql("SELECT telehealth.retry_job('meeting', $id) FROM telehealth.job_status
			WHERE subject_id = $id AND state IN ('waiting', 'dead')");
		$t->sql("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id") eq 't';
	}, 20), "$name: the meeting is there in the end");
	return $row;
}

my $row = hurt({ kind => 'huge_body', bytes => 5_000_000 }, qr/^too_large/, 'S7: a body over the cap is cut off, too_large');
is($row->{outcome}, 'unknown', 'S7: after a create it is not known whether it acted');
cmp_ok($plain->duplicates, '==', 0, 'S7: and no second meeting was made');
is($t->dispatcher_pid ? 't' : 'f', 't', 'S7: the dispatcher lives on');

my $began = time;
$row = hurt({ kind => 'hang' }, qr/^timeout/, 'W4: an answer that does not come is a timeout');
ok($row->{total_ms} >= 900 && $row->{total_ms} < 3000, "W4: after request_timeout_ms ($row->{total_ms} ms)");
$plain->release;
$row = hurt({ kind => 'slow_body', interval_ms => 300 }, qr/^timeout/, 'W4: so is one that only drips');
ok($row->{total_ms} >= 900 && $row->{total_ms} < 3000, "W4: after request_timeout_ms ($row->{total_ms} ms)");
hurt({ kind => 'close_midway' }, qr/^cut/, 'half an answer is no answer');
hurt({ kind => 'cut_after' }, qr/^cut/, 'nor is none');
hurt({ kind => 'wrong_body', variant => 'html' }, qr/not readable/, 'nor is a web page');
hurt({ kind => 'wrong_body', variant => 'truncated' }, qr/not readable/, 'nor is broken JSON');
hurt({ kind => 'wrong_body', variant => 'empty' }, qr/not readable/, 'nor is an empty body');

# ---- redirects
{
	my $else = FakeZoom->start;

	for my $code (301, 302, 307, 308)
	{
		$plain->faults({ match => { path_regex => '/meetings' },
			fault => { kind => 'status', code => $code, body => '', headers => { Location => $else->api_url . '/users/me/meetings' } } });
		my $id = $t->insert_visit;
		ok($t->poll(qq{SELECT count(*) > 0 FROM telehealth_private.job_history WHERE subject_id = $id
			AND action = 'create' AND http_status = $code AND outcome <> 'ok'}, 't', 15), "S4: a redirect $code is an answer, no success");
		$t->sql("DELETE FROM telehealth.appointment WHERE id = $id");
	}
	is($else->state->{requests_total}, 0, 'S4: no redirect was followed');
	$plain->faults;
}

finish;
