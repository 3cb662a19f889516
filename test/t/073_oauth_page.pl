# A user grants access in a browser: what the gateway shows it.
use TelehealthTest;
use HttpClient qw(http connected read_reply);
use Stopwatch;

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $fake = FakeZoom->start;
my $t = TelehealthTest->node('main', log_min_messages => 'debug5', conf => { 'telehealth.public_url' => 'https://clinic.example', 'telehealth.http_port' => $port });
$t->create_extension;
$t->widen_limits;
my %settings = (auth_url => $fake->auth_url, token_url => $fake->token_url, api_url => $fake->api_url);
$t->sql(sprintf "SELECT telehealth.register_oauth_client('zoom', %s::jsonb, %s::jsonb)",
	literal({ client_id => 'app-1', client_secret => 'app-secret-1' }), literal(\%settings));

# What a browser brings back from the vendor
sub leave { return $fake->browse($t->sql("SELECT telehealth.authorize_platform('zoom')")) }

my $back;

ok($t->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 20), 'the gateway listens');
my %pages;
sub callback
{
	my ($query, $status, $title, $name, %o) = @_;
	my $r = http($port, $o{method} // 'GET', ($o{path} // '/api/zoom/callback') . (defined $query ? "?$query" : ''));
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($r->{status}, $status, "$name: $status");
	return $r if ($o{method} // '') eq 'HEAD';
	like($r->{body}, qr{<title>\Q$title\E</title>}, "$name: $title");
	$pages{$title} //= $r;
	return $r;
}
my $count = sub { $t->sql('SELECT count(*) FROM telehealth_private.oauth_state WHERE used_at IS NULL') };
$back = leave();
my $unused = $count->();
callback("code=$back->{code}&state=$back->{state}", 400, 'This address is not complete', 'HEAD', method => 'HEAD');
callback("code=x&state=$back->{state}", 400, 'This address is no longer good', "another vendor's door",
	path => "/api/calendar-sync/$_/callback") for qw(google outlook);
callback($_, 400, 'This address is not complete', 'not what a vendor sends')
  for undef, '', 'code=x', "state=$back->{state}", "code=x&code=y&state=$back->{state}", "code=x&state=$back->{state}&state=x",
  "code=%&state=$back->{state}", "code=%0&state=$back->{state}", "code=%00&state=$back->{state}", "code=a%20b&state=$back->{state}",
  "code=%C3%A9&state=$back->{state}", "code=&state=$back->{state}", "code=x&error=y&state=$back->{state}", 'code=' . 'x' x 4096 . "&state=$back->{state}";
callback("code=x&state=$_", 400, 'This address is no longer good', 'a state that is none')
  for '', '0' x 64, '<script>alert(1)</script>', '%22%3E%3Csvg/onload=alert(1)%3E', "' OR 1=1 --" =~ s/ /%20/gr, uc $back->{state};
is($count->(), $unused, 'none of that uses a state up');
callback("error=access_denied&state=" . ('0' x 64), 400, 'This address is no longer good', 'a refusal of nothing');
my $page = callback("code=$back->{code}&state=$back->{state}&extra=%3Cscript%3E", 200, 'Connected', 'the browser comes back');
unlike($page->{body}, qr/$back->{code}|$back->{state}|script/, 'the page says nothing of what it brought');
callback("code=$back->{code}&state=$back->{state}", 400, 'This address is no longer good', 'again');
$t->await_ok($t->insert_visit, 'what was connected works');

$fake->options(oauth_deny => 1);
$back = leave();
is($back->{error}, 'access_denied', 'a user who says no');
callback("error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state=$back->{state}", 403, 'Access was not granted', 'is told so');
callback("error=access_denied&state=$back->{state}", 400, 'This address is no longer good', 'once');
$fake->options(oauth_deny => 0);
$fake->faults({ match => { path_regex => '^/oauth/token$', times => 1 }, fault => { kind => 'cut_after' } });
$back = leave();
callback("code=$back->{code}&state=$back->{state}", 502, 'The service did not answer', 'a lost answer');
$fake->faults;
callback('code=wrong&state=' . leave()->{state}, 502, 'The service refused', 'a wrong code');

# While the vendor takes its time others are served, and SIGTERM is not held up
$fake->faults({ match => { path_regex => '^/oauth/token$', times => 2 }, fault => { kind => 'hang' } });
$back = leave();
my $slow = connected($port);
syswrite $slow, "GET /api/zoom/callback?code=$back->{code}&state=$back->{state} HTTP/1.1\r\nHost: x\r\n\r\n";
$fake->wait_for(sub { $_[0]{hanging} });
is(http($port, 'GET', '/readyz')->{status}, 200, 'while one browser waits others are served');
$fake->faults;
$fake->release;
is(read_reply($slow)->{status}, 200, 'and then it has its page');
$fake->faults({ match => { path_regex => '^/oauth/token$', times => 1 }, fault => { kind => 'hang' } });
$back = leave();
$slow = connected($port);
syswrite $slow, "GET /api/zoom/callback?code=$back->{code}&state=$back->{state} HTTP/1.1\r\nHost: x\r\n\r\n";
$fake->wait_for(sub { $_[0]{hanging} });
my $pid = $t->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'");
my $watch = Stopwatch->start;
kill 'TERM', $pid;
like((read_reply($slow) // {})->{body} // '', qr/This takes longer than usual/, 'a gateway that ends says that it is not known yet');
ok(patiently(sub { !$t->is_alive($pid) }, 10), 'and ends');
cmp_ok($watch->seconds, '<', 1.5, 'soon');
$fake->faults;
$fake->release;
ok($t->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 20), 'another one listens');
$t->sql("SELECT telehealth.pause_outbound('test')");
callback("code=x&state=" . $back->{state}, 503, 'Not connected from here', 'D7: while outward work is held');
$t->sql('SELECT telehealth.resume_outbound()');

for my $title (sort keys %pages)
{
	my ($h, $html) = @{ $pages{$title} }{qw(headers body)};

	like($html, qr{^<!DOCTYPE html>\n<html lang="en">.*<main>\n<h1>\Q$title\E</h1>\n<p>[A-Z].*</p>\n</main>}s, "$title: a page for everybody");
	unlike($html, qr/script|src=|href=|url\(|https?:|<form|<img|<link/i, "$title: nothing from elsewhere");
	is(join(' ', map { $h->{$_} // '-' } qw(content-type cache-control referrer-policy x-content-type-options x-frame-options)),
		'text/html; charset=utf-8 no-store no-referrer nosniff DENY', "$title: not to be kept, framed or guessed at");
	like($h->{'content-security-policy'}, qr/^default-src 'none'/, "$title: nothing may be loaded");
}
is(scalar(keys %pages), 7, 'there are so many pages');
my $log = $t->log_text;
is(scalar(grep { index($log, $_) >= 0 } $back->{state}, $back->{code}), 0, 'no state and no code is in the log');

finish;
