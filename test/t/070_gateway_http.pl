# What the gateway reads: every request that two servers could read in two
# ways is refused, nothing waits for the slow, and a good client never notices.
use TelehealthTest;
use HttpClient qw(connected http say_raw read_reply read_to_end);
use IO::Select;
use Time::HiRes qw(time);

my $LONG = $ENV{TELEHEALTH_LONG} // 0;
my $port = PostgreSQL::Test::Cluster::get_free_port();

# everything that is said is logged, so that what must not be there is not
my $t = TelehealthTest->node('gateway_http', log_min_messages => 'debug5', conf => {
	'telehealth.http_port' => $port, 'telehealth.max_body_kb' => 64 });
$t->create_extension;
ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'},
	"listens at 127.0.0.1, port $port; processes: 1 of 1", 20), 'it listens where the file says');

sub status { my $r = shift; return $r ? $r->{status} : 'none' }

my $host = "Host: test.example\r\n";
sub raw { return status(say_raw($port, @_)) }

# ---- routes

for my $path (qw(/healthz /zoom_events/health /api/v2/zoom/webhook))
{
	my $r = http($port, 'GET', $path);
	is(status($r), 200, "GET $path");
	like($r->{body}, qr/^\{"status":"ok",.*"received":\d+,"inserted":\d+\}$/, "$path says how much has come");
	is($r->{headers}{'content-type'}, 'application/json', "$path is JSON");
	is($r->{headers}{'cache-control'}, 'no-store', "$path is not to be kept");
}
is(http($port, 'GET', '/readyz')->{body} =~ s/:\d+/:n/gr, '{"status":"ready","db":"ok","received":n,"inserted":n}', 'GET /readyz');
for my $path ('/', '/healthz/', '/healthz%20', '/HEALTHZ', '//healthz', '/api/v2/zoom', '/metrics.txt', '/%68ealthz', '/healthz/../metrics')
{
	is(status(http($port, 'GET', $path)), 404, "no such route: $path");
}
{
	my $r = http($port, 'DELETE', '/healthz');
	is(status($r), 405, 'a method that the path has not');
	is($r->{headers}{allow}, 'GET, HEAD', '... and those it has');
	is(http($port, 'PUT', '/api/v2/zoom/webhook')->{headers}{allow}, 'GET, HEAD, POST', '... of two routes');
	is(http($port, 'OPTIONS', '/zoom_events/events')->{headers}{allow}, 'POST', '... of a webhook');

	my $get = http($port, 'GET', '/readyz');
	$r = http($port, 'HEAD', '/readyz');
	is(status($r), 200, 'HEAD');
	is($r->{headers}{'content-length'}, $get->{headers}{'content-length'}, '... says the length of what GET gives');
	my $socket = connected($port);
	syswrite $socket, "HEAD /healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n";
	my ($text, $ended) = read_to_end($socket);
	ok($ended && $text =~ /\r\n\r\n\z/, '... and has no body');
}

# several requests on one connection, also said at once
{
	my $socket = connected($port);
	is(join(' ', map { status(http($port, 'GET', $_, socket => $socket)) } qw(/healthz /nothing /readyz /metrics /healthz)),
		'200 404 200 200 200', 'a connection is kept, also after 404');
	syswrite $socket, "GET /healthz HTTP/1.1\r\n$host\r\n" x 20;
	my $rest = '';
	is(join(' ', map { status(read_reply($socket, rest => \$rest)) } 1 .. 20), join(' ', (200) x 20), 'twenty requests said at once');
	my $r = http($port, 'GET', '/healthz', close => 1);
	is($r->{headers}{connection}, 'close', 'a connection is closed when asked');
	is(raw("GET /healthz HTTP/1.0\r\n\r\n"), 200, 'HTTP/1.0 needs no Host');
}

# ---- heads that could mean two things

my $post = "POST /zoom_events/events HTTP/1.1\r\n$host";
my @refused = (
	'two lengths' => "${post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
	'two different lengths' => "${post}Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}",
	'a list of lengths' => "${post}Content-Length: 2, 2\r\n\r\n{}",
	'a signed length' => "${post}Content-Length: +2\r\n\r\n{}",
	'a negative length' => "${post}Content-Length: -2\r\n\r\n{}",
	'a length in hex' => "${post}Content-Length: 0x2\r\n\r\n{}",
	'an empty length' => "${post}Content-Length: \r\n\r\n",
	'chunks and a length' => "${post}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	'a length and chunks' => "${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	'chunks twice' => "${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	'chunks in HTTP/1.0' => "POST /zoom_events/events HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
	'bare LF after the request line' => "GET /healthz HTTP/1.1\n$host\r\n",
	'bare LF after a field' => "GET /healthz HTTP/1.1\r\nHost: test.example\nX-A: b\r\n\r\n",
	'bare LF after the last field' => "GET /healthz HTTP/1.1\r\nHost: test.example\n\r\n",
	'bare LF for the empty line' => "GET /healthz HTTP/1.1\r\n$host\n",
	'bare LF everywhere' => "GET /healthz HTTP/1.1\nHost: test.example\n\n",
	'bare LF, and space for what it lacks' => "GET /healthz HTTP/1.1\r\nHost:  test.example\nX-A:  b\r\n\r\n",
	'bare CR in a value' => "GET /healthz HTTP/1.1\r\n${host}X-A: b\rX-C: d\r\n\r\n",
	'no Host' => "GET /healthz HTTP/1.1\r\n\r\n",
	'two Hosts' => "GET /healthz HTTP/1.1\r\n$host$host\r\n",
	'a space before the colon' => "GET /healthz HTTP/1.1\r\nHost : test.example\r\n\r\n",
	'a tab before the colon' => "GET /healthz HTTP/1.1\r\nHost\t: test.example\r\n\r\n",
	'a field without a name' => "GET /healthz HTTP/1.1\r\n$host: x\r\n\r\n",
	'a field without a colon' => "GET /healthz HTTP/1.1\r\n${host}nothing\r\n\r\n",
	'a folded field' => "GET /healthz HTTP/1.1\r\n${host}X-A: b\r\n c\r\n\r\n",
	'a folded first field' => "GET /healthz HTTP/1.1\r\n X-A: b\r\n$host\r\n",
	'a zero byte in a value' => "GET /healthz HTTP/1.1\r\n${host}X-A: b\0c\r\n\r\n",
	'a zero byte in a name' => "GET /healthz HTTP/1.1\r\n${host}X\0A: b\r\n\r\n",
	'a zero byte in the path' => "GET /healthz\0 HTTP/1.1\r\n$host\r\n",
	'a control character in a value' => "GET /healthz HTTP/1.1\r\n${host}X-A: b\x01c\r\n\r\n",
	'a value that is no UTF-8' => "GET /healthz HTTP/1.1\r\n${host}X-A: \xff\xfe\r\n\r\n",
	'a path that is no ASCII' => "GET /health\xc3\xa9 HTTP/1.1\r\n$host\r\n",
	'a path with a space' => "GET /healthz x HTTP/1.1\r\n$host\r\n",
	'two spaces in the request line' => "GET  /healthz HTTP/1.1\r\n$host\r\n",
	'a space after the version' => "GET /healthz HTTP/1.1 \r\n$host\r\n",
	'an address instead of a path' => "GET http://test.example/healthz HTTP/1.1\r\n$host\r\n",
	'a path without a slash' => "GET healthz HTTP/1.1\r\n$host\r\n",
	'a body of GET' => "GET /healthz HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{}",
	'a chunk size that is none' => "${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
	'a method that is no token' => "G(T /healthz HTTP/1.1\r\n$host\r\n");

# libmicrohttpd 0.9.75 says the head of its refusal twice for a length that it
# cannot read; a later one hangs up on some without a word
my %WORDLESS = map { $_ => 1 } ('a zero byte in the path', 'a path with a space');
my $smuggled = "GET /metrics HTTP/1.1\r\n$host\r\n";

while (my ($name, $bytes) = splice @refused, 0, 2)
{
	my $socket = connected($port);
	syswrite $socket, "$bytes$smuggled";
	my ($text, $ended) = read_to_end($socket);
	my @statuses = $text =~ m{^HTTP/1\.1 (\d+)}mg;
	ok($ended && ("@statuses" eq '400' || ($name =~ /length/ && "@statuses" eq '400 400') || ($WORDLESS{$name} && !@statuses)), "refused, and nothing after it read: $name")
	  or diag "ended: $ended, said: " . substr($text, 0, 300);
}
for ([ '400|501', 'an unknown coding', "${post}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" ],
	[ '400|501', 'a coding with a comma', "${post}Transfer-Encoding: ,chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" ],
	[ 505, 'HTTP/2', "GET /healthz HTTP/2.0\r\n$host\r\n" ],
	[ 505, 'HTTP/1.2', "GET /healthz HTTP/1.2\r\n$host\r\n" ])
{
	my ($status, $name, $bytes) = @$_;
	like(raw($bytes), qr/^(?:$status)$/, "refused: $name");
}

# pieces make no difference
for my $size (1, 3, 17)
{
	my $socket = connected($port);
	my $text = "${post}X-Folded: no\r\nContent-Length: 11\r\n\r\n{\"a\": \"b\"} ";

	$socket->setsockopt(6, 1, 1);
	syswrite $socket, $_ for unpack "(a$size)*", $text;
	my $r = read_reply($socket);
	ok($r && $r->{status} != 400, "a request in pieces of $size") or diag status($r);
}

# ---- bodies

is(raw("${post}Content-Length: 3\r\n\r\n{\0}"), 400, 'a zero byte in a body');
is(raw("${post}Content-Length: 3\r\n\r\n{\xff}"), 400, 'a body that is no UTF-8');
is(raw("${post}Content-Length: " . (64 * 1024 + 1) . "\r\n\r\n"), 413, 'a body that would be too large is refused at once');
is(raw("${post}Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n"), 413, '... before it is asked for');
like(raw("${post}Content-Length: 99999999999999999999999\r\n\r\n"), qr/^4(?:00|13)$/, '... and one beyond numbers');
isnt(status(http($port, 'POST', '/zoom_events/events', body => ' ' x (64 * 1024))), 413, 'a body just as large as allowed');
isnt(raw("${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), 'none', 'chunks');
{
	my $socket = connected($port);
	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, "${post}Transfer-Encoding: chunked\r\n\r\n";
	my $sent = 0;
	while ($sent < 10_000_000 && syswrite $socket, "4000\r\n" . 'x' x 0x4000 . "\r\n") { $sent += 0x4000 }
	cmp_ok($sent, '<', 10_000_000, 'chunks without end are cut');
	is(status(http($port, 'GET', '/healthz')), 200, '... and others served');
}

# ---- heads that are too large

is(raw("GET /healthz HTTP/1.1\r\n${host}X-A: " . 'a' x 16000 . "\r\n\r\n"), 200, 'a head of almost 16 kB');
is(raw("GET /healthz HTTP/1.1\r\n${host}" . join('', map { "X-$_: " . 'a' x 150 . "\r\n" } 100 .. 195) . "\r\n"), 200, '... of many fields');
is(raw("GET /healthz HTTP/1.1\r\n${host}X-A: " . 'a' x 17000 . "\r\n\r\n"), 431, 'a larger one');
is(raw("GET /healthz HTTP/1.1\r\n${host}" . "a: b\r\n" x 2000 . "\r\n"), 431, 'too many fields');
is(raw("GET /" . 'a' x 9000 . " HTTP/1.1\r\n$host\r\n"), 414, 'a path that is too long');
{
	my $socket = connected($port);
	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, "GET /healthz HTTP/1.1\r\nX-A: ";
	my $sent = 0;
	while ($sent < 10_000_000 && syswrite $socket, 'a' x 16384) { $sent += 16384 }
	cmp_ok($sent, '<', 10_000_000, 'a head without end is cut');
}

# ---- settings are taken over, connections are kept

{
	my $socket = connected($port);
	is(status(http($port, 'GET', '/healthz', socket => $socket)), 200, 'a connection');
	$t->reload_conf('telehealth.max_body_kb' => 1);
	ok(patiently(sub { status(http($port, 'POST', '/zoom_events/events', body => ' ' x 2000)) eq '413' }, 10), 'a lower limit');
	$t->reload_conf('telehealth.max_body_kb' => 64);
	ok(patiently(sub { status(http($port, 'POST', '/zoom_events/events', body => ' ' x 2000)) ne '413' }, 10), '... and raised again');
	is(status(http($port, 'GET', '/healthz', socket => $socket)), 200, '... and the connection from before is served');
}

# ---- rubbish

my @shapes = (
	sub { join '', map { chr int rand 256 } 1 .. 1 + int rand 300 },
	sub { "GET /" . join('', map { chr(33 + int rand 94) } 1 .. int rand 60) . " HTTP/1.1\r\n$host\r\n" },
	sub { "POST /zoom_events/events HTTP/1.1\r\n${host}Content-Length: " . int(rand 50) . "\r\n\r\n" . join('', map { chr int rand 256 } 1 .. int rand 60) },
	sub { "${post}Transfer-Encoding: chunked\r\n\r\n" . join("\r\n", map { sprintf '%x', int rand 40 } 1 .. 5) . "\r\n\r\n" },
	sub { my $s = "GET /healthz HTTP/1.1\r\n${host}X-A: b\r\n\r\n"; substr($s, int rand length $s, 1) = chr int rand 256; $s },
	sub { "\r\n" x int rand 50 },
	sub { substr "${post}Content-Length: 2\r\n\r\n{}", 0, int rand 70 });
{
	my $n = $LONG ? 100_000 : 10_000;
	my $pid = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	my (@open, $slowest);
	my $good = connected($port);
	my ($answered, $asked) = (0, 0);

	srand 7;
	local $SIG{PIPE} = 'IGNORE';
	for my $i (1 .. $n)
	{
		my $socket = connected($port);
		if ($socket)
		{
			$socket->blocking(0);
			syswrite $socket, $shapes[$i % @shapes]->();
			push @open, $socket;
			shift @open if @open > 200;
		}
		next if $i % 100;
		my $start = time;
		$asked++;
		my $r = http($port, 'GET', '/readyz', socket => $good, limit => 15);
		$answered++ if status($r) eq '200';
		my $took = time - $start;
		$slowest = $took if !defined $slowest || $took > $slowest;
	}
	is($answered, $asked, "a good client is answered while $n requests of rubbish come");
	note sprintf 'slowest %.1f ms', $slowest * 1000;
	is($t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'}), $pid, '... by the same process');
}

# ---- deadlines and limits of connections

SKIP:
{
	skip 'needs a build with TH_DEBUG', 9 if !$t->is_debug;
	$t->reload_conf('telehealth.debug_http_deadline_ms' => 700);

	# the time in which a connection ends that says a byte now and then
	my $trickle = sub {
		my ($first, $piece) = @_;
		my $socket = connected($port);
		my $start = time;

		local $SIG{PIPE} = 'IGNORE';
		syswrite $socket, $first if length $first;
		while (time - $start < 8)
		{
			return time - $start if IO::Select->new($socket)->can_read(0.1) && !sysread $socket, my $gone, 1000;
			syswrite $socket, $piece if length $piece;
		}
		return 99;
	};
	ok(patiently(sub { $trickle->('', '') < 5 }, 30), 'cut: a connection that says nothing');
	cmp_ok($trickle->('', 'G'), '<', 5, 'cut: a request line that never ends');
	cmp_ok($trickle->("GET /healthz HTTP/1.1\r\n", 'X'), '<', 5, 'cut: a head that never ends');
	cmp_ok($trickle->("${post}Content-Length: 5000\r\n\r\n", 'x'), '<', 5, 'cut: a body that never ends');
	cmp_ok($trickle->("GET /healthz HTTP/1.1\r\n$host\r\n", ''), '<', 5, 'cut: a connection that is kept for nothing');
	cmp_ok($trickle->("GET /healthz HTTP/1.1\r\n$host\r\n", 'G'), '<', 5, 'cut: ... or for the next one, byte by byte');
	$t->reload_conf('telehealth.debug_http_deadline_ms' => 0);

	$t->reload_conf('telehealth.debug_http_per_address' => 20);
	ok(patiently(sub {
		my @many = map { connected($port) } 1 .. 30;
		my $n = grep { $_ && status(http($port, 'GET', '/healthz', socket => $_, limit => 2)) eq '200' } @many;
		note "$n of thirty are answered";
		return $n == 20;
	}, 60), 'one address has so many connections and no more');
	is(status(http($port, 'GET', '/healthz', local => '127.0.0.9')), 200, '... of another one it is not counted');
	like(http($port, 'GET', '/metrics', local => '127.0.0.9')->{body}, qr/^telehealth_http_connections_refused_total [1-9]/m, '... and said in metrics');
	$t->reload_conf('telehealth.debug_http_per_address' => 0);
}

# ---- more connections than there may be: the idlest make room
{
	my @idle = map { connected($port) } 1 .. 1100;
	# sooner than the first of them is cut for saying nothing
	is(status(http($port, 'GET', '/readyz', limit => 8)), 200, 'beyond a thousand idle connections');
	my $open = http($port, 'GET', '/metrics')->{body} =~ /^telehealth_http_connections (\d+)/m ? $1 : 0;
	cmp_ok($open, '<=', 1024, '... which do not grow for ever');
}

# ... and those who say half of something do not keep others out for as long
# as a slow line may take: ten seconds, or here a minute
{
	my $limit = $t->is_debug ? 30 : 8;
	my @halves = ([ 'half a head', "GET /healthz HTTP/1.1\r\nHost" ]);

	push @halves, [ 'half a body', "${post}Content-Length: 10\r\n\r\n{" ] if $t->is_debug; # a slow line: 30 s
	$t->reload_conf('telehealth.debug_http_deadline_ms' => 60_000) if $t->is_debug;
	for my $half (@halves)
	{
		my @half_open = map { connected($port) } 1 .. 1400;

		for my $socket (grep { $_ } @half_open)
		{
			syswrite $socket, $half->[1];
		}
		my $start = time;
		is(status(http($port, 'GET', '/readyz', limit => $limit)), 200, "beyond a thousand that say $half->[0]");
		note sprintf 'answered after %.1f s', time - $start;
	}
	$t->reload_conf('telehealth.debug_http_deadline_ms' => 0) if $t->is_debug;
}

# ---- nothing of a request is in the log, whatever is logged
{
	my @canaries = qw(canarytoken1 canaryquery2 canarybody3 canaryheader4 canaryagent5);
	http($port, 'GET', "/api/calendar/ical/$canaries[0]?x=$canaries[1]", headers => [ Authorization => "Bearer $canaries[3]", 'User-Agent' => $canaries[4] ]);
	http($port, 'POST', "/zoom_events/events?x=$canaries[1]", body => qq({"event":"$canaries[2]"}), headers => [ 'x-zm-signature' => $canaries[3] ]);
	raw("GET /$canaries[0] x HTTP/1.1\r\n$host\r\n");
	my $log = $t->log_text;
	like($log, qr/DEBUG/, 'the log has everything');
	unlike($log, qr/$_/, "... but nothing of a request: $_") for @canaries;
	unlike($log, qr/(?:PANIC|FATAL|TRAP)/, '... and no great trouble');
}

# ---- alone, with whatever comes

SKIP:
{
	skip 'what is fuzzed does not run on the watched server', 1 if $ENV{TELEHEALTH_WATCHED};
	skip 'clang has no libFuzzer here', 1
	  if system(q{echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' | clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null}) != 0;
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my $seconds = $LONG ? 60 : 4;
	my $said = `test/fuzz/run $seconds $folder http_request 2>&1`;

	is($?, 0, "the fuzzer finds nothing in $seconds s") or diag(substr($said, -3000));
}

finish();
