# The gateway's page for people: who sees it, what is in it and what is not,
# and that it holds for every reader; and the dashboard over its metrics.
use TelehealthTest;
use File::Temp qw(tempdir);
use FindBin;
use HttpClient qw(http say_raw);
use JSON::PP qw(decode_json);

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('gateway_page', log_min_messages => 'debug5', conf => {
	'telehealth.http_port' => $port, 'telehealth.mock' => 'on', 'telehealth.http_listen' => '*' });
$t->create_extension;
$t->sql(q{
	INSERT INTO telehealth.provider (id, timezone, display_name, email) VALUES (1, 'America/New_York', 'Dr. Kanarie', 'kanarie@mail.example');
	INSERT INTO telehealth.patient (id, display_name, email, phone) VALUES (1, 'Kanarie Patient', 'kanarie@mail.example', '+1kanarie');
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration, title, reason)
		SELECT 1, 1, 'VIDEO', now() + n * interval '1 minute', 1, 'kanarie title', 'kanarie reason' FROM generate_series(1, 30, 2) AS n;
	SELECT telehealth.connect_platform('mock', '{}')});
ok($t->drained, 'the visits have their meetings');
ok($t->poll(q{SELECT detail LIKE 'listens at%' FROM telehealth.health WHERE check_name = 'gateway'}, 't', 20), 'it listens');

# Says what is asked for with a Host and headers of its own; the answer
sub ask
{
	my (%o) = @_;
	my $host = $o{host} // "127.0.0.1:$port";
	my $fields = join '', map { "$_\r\n" } @{ $o{fields} // [] };

	return say_raw($port, ($o{method} // 'GET') . " / HTTP/1.1\r\nHost: $host\r\n$fields\r\n", is_head => ($o{method} // '') eq 'HEAD');
}
sub status { return ask(@_)->{status} }

sub put { my ($file, $text) = @_; open my $out, '>:raw', $file or die "$file: $!"; print {$out} $text; close $out or die "$file: $!" }

# ---- who sees it

my $none = http($port, 'GET', '/nothing');
my $r = ask();
is("$r->{status} $r->{body}", "404 $none->{body}", 'off: there is no such page');
is(status(method => 'POST'), 404, '... for any method');
my $db = $t->db;
$t->sql("ALTER DATABASE \"$db\" SET telehealth.http_dashboard = on");
my $end = time + 20;
select undef, undef, undef, 0.05 while time < $end && (eval { status() } // 0) != 200;
$r = ask();
is($r->{status}, 200, 'on: it is there, without a restart');
is(status(method => 'POST'), 405, '... to be looked at');
is(status(host => $_), 200, "seen as $_") for 'localhost', "LOCALHOST:$port", '[::1]';
is(status(host => $_), 401, "not as $_") for 'evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1';
is(status(fields => ["$_: 127.0.0.1"]), 401, "not through a proxy that says $_") for qw(X-Forwarded-For Forwarded X-Real-IP Via);
is(say_raw($port, "GET / HTTP/1.0\r\n\r\n")->{status}, 401, '... nor for who does not say what it asks for');
is(status(fields => ['Authorization: Bearer x']), 200, 'without a token the machine itself counts');
my ($address) = grep { !/^127\./ } split ' ', `hostname -I 2>/dev/null`;
SKIP:
{
	skip 'no other address', 1 if !defined $address || $address =~ /:/;
	is(say_raw($port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", host => $address)->{status}, 401, 'not from another address');
}

$t->sql(q{CREATE ROLE boss; CREATE ROLE admin; SELECT telehealth.grant_role('boss', 'admin', 0), telehealth.grant_role('admin', 'admin', 1)});
my $token = $t->sql('SET ROLE boss; SELECT telehealth.set_dashboard_token()');
like($token, qr/^[0-9a-f]{64}$/, 'a token');
is($t->sql("SELECT count(*) FROM telehealth_private.dashboard_token WHERE token_hash = sha256('$token')"), 1, '... kept as a digest alone');
my $bearer = ["Authorization: Bearer $token"];
is(status(fields => $bearer, host => 'clinic.example'), 200, 'with it from anywhere');
is(status(fields => [ @$bearer, 'X-Forwarded-For: 192.0.2.1' ]), 200, '... also through a proxy');
is(status(), 401, 'without it not even from this machine: a proxy there may not say that it is one');
is(ask()->{headers}{'www-authenticate'}, 'Bearer realm="telehealth"', '... and it is said what is missing');
is(status(fields => ["Authorization: $_"]), 401, 'not with something like it')
	for 'Bearer ' . uc $token, 'Bearer ' . substr($token, 0, 63), "Basic $token", "Bearer", 'Bearer ', $token;
my $next = $t->sql('SET ROLE boss; SELECT telehealth.set_dashboard_token()');
is(status(fields => $bearer), 401, 'the former token is no more');
is(status(fields => ["authorization: bearer $next"]), 200, '... the new one is');
is($t->sql('SET ROLE boss; SELECT telehealth.drop_dashboard_token()'), 't', 'none any more');
is($t->sql('SET ROLE boss; SELECT telehealth.drop_dashboard_token()'), 'f', '... once');
is(status(fields => ["Authorization: Bearer $next"], host => 'clinic.example') . status(), '401200', '... and this machine counts again');

# ---- what it says

$r = ask();
my $h = $r->{headers};
is($h->{'content-type'}, 'text/html; charset=utf-8', 'HTML');
is($h->{'cache-control'}, 'no-store', 'kept by nobody');
like($h->{'content-security-policy'}, qr/^default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'/, 'nothing may be loaded or run');
is("$h->{'x-frame-options'} $h->{'referrer-policy'} $h->{'x-content-type-options'}", 'DENY no-referrer nosniff', 'and it is nobody else\'s frame');
my $html = $r->{body} =~ s/<wbr>//gr;
unlike($html, qr/kanarie|join|https?:|<script|<link|<img|src=|href=|\son\w+=/i, 'P1: nothing of a person, no link, no script, nothing from elsewhere');
like($html, qr{<h2>\Q$_\E</h2>}, "it has: $_") for 'Health', 'Sessions of today', 'Queue', 'Connections to platforms', 'Webhooks of the last 24 hours', 'Gateway since its start';
my $today = $t->sql(q{SELECT count(*) FROM telehealth.session WHERE retired_at IS NULL AND scheduled_at::date = current_date AND status = 'SCHEDULED'});
like($html, qr{<th scope="row">SCHEDULED</th><td class="n">$today</td>}, "the sessions of today: $today");
like($html, qr{<th scope="row">mock, connected</th><td class="n">1</td>}i, 'the accounts');
$end = time + 10;
$t->sql(q{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, raw, business_key, outcome)
	VALUES (0, '<b>&"', 'meeting.started', '{"kanarie": "kanarie"}', 'x', 'unmatched')});
do { $html = ask()->{body} =~ s/<wbr>//gr } until ($html =~ /unmatched/ || time > $end);
like($html, qr{<th scope="row">&lt;b&gt;&amp;&quot;, unmatched</th><td class="n">1</td>}, 'what webhooks there were, and markup is text');
unlike($html, qr/kanarie/, 'P1: and nothing that they said');
is(length ask(method => 'HEAD')->{body}, 0, 'HEAD');

my $dir = tempdir(CLEANUP => 1);
put("$dir/page.html", ask()->{body});
put("$dir/check.py", <<'PYTHON');
import sys
from html.parser import HTMLParser
VOID = {'meta', 'wbr', 'br', 'hr', 'img', 'input', 'link'}
class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.seen, self.levels, self.rows = [], [], {}, [], []
    def handle_starttag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        attributes = dict(attributes)
        if tag == 'html' and not attributes.get('lang'): self.faults.append('no language')
        if tag == 'th' and attributes.get('scope') not in ('row', 'col'): self.faults.append('a heading of nothing')
        if tag in ('h1', 'h2', 'h3'): self.levels.append(int(tag[1]))
        if tag == 'tr': self.rows.append(0)
        if tag in ('td', 'th'): self.rows[-1] += 1
        if tag not in VOID: self.open.append(tag)
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: self.faults.append('badly nested: ' + tag)
page = Page()
page.feed(open(sys.argv[1], encoding='utf-8').read())
page.close()
if page.open: page.faults.append('not closed: ' + ' '.join(page.open))
for tag in ('html', 'head', 'title', 'main', 'h1', 'body'):
    if page.seen.get(tag) != 1: page.faults.append('not one ' + tag)
if page.levels[0] != 1 or any(b > a + 1 for a, b in zip(page.levels, page.levels[1:])): page.faults.append('headings jump')
if any(n not in (2, 3) for n in page.rows): page.faults.append('a row of another width')
if 'script' in page.seen: page.faults.append('a script')
print('\n'.join(page.faults) or 'good')
PYTHON
is(`python3 $dir/check.py $dir/page.html`, "good\n", 'well formed, with a language, one heading of all and one for each part, and tables that say what they are');

# ---- as a browser shows it

SKIP:
{
	my ($browser) = grep { -x } '/usr/bin/chromium', '/usr/bin/chromium-browser';
	skip 'a browser is for --long', 4 if !$ENV{TELEHEALTH_LONG};
	skip 'no browser', 4 if !$browser;
	for my $size ([ 1280, 1000 ], [ 390, 1400 ])
	{
		for my $theme (qw(light dark))
		{
			my $file = ($ENV{TELEHEALTH_SCREENSHOTS} // $dir) . "/page-$size->[0]-$theme.png";
			system("timeout 60 $browser --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir=$dir/profile"
				. ($theme eq 'dark' ? ' --blink-settings=preferredColorScheme=0' : '')
				. " --window-size=$size->[0],$size->[1] --screenshot=$file http://127.0.0.1:$port/ >$dir/browser.log 2>&1");
			cmp_ok(-s $file // 0, '>', 10000, "a picture of it, $size->[0] wide, $theme");
		}
	}
}

# ---- the dashboard over /metrics

my $board = decode_json(do { local (@ARGV, $/) = "$FindBin::RealBin/../grafana/telehealth.json"; <> });
my $metrics = http($port, 'GET', '/metrics')->{body};
my %known = map { $_ => 1 } $metrics =~ /^# TYPE (\w+)/mg;
my %named = map { $_ => 1 } map { /\b(telehealth_\w+)/g } map { $_->{expr} } map { @{ $_->{targets} } } @{ $board->{panels} };
is_deeply([ grep { !$known{$_} } sort keys %named ], [], 'the dashboard names metrics that there are');
is_deeply([ grep { !$named{$_} } sort keys %known ], [], '... and all of them');
my %labels = map { $_ => 1 } $metrics =~ /[{,](\w+)="/g;
my @by = map { split /,\s*/ } map { $_->{expr} =~ /\bby \(([^)]*)\)/g } map { @{ $_->{targets} } } @{ $board->{panels} };
is_deeply([ grep { !$labels{$_} } @by ], [], '... and labels');
my %ids = map { $_->{id} => 1 } @{ $board->{panels} };
is(scalar keys %ids, scalar @{ $board->{panels} }, '... each panel has a number of its own');

# ---- the log

my $log = $t->log_text;
unlike($log, qr/\Q$_\E/, 'no token is in the log') for $token, $next;
finish();
