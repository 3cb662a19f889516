# Where requests must never go, however the address is written and whatever a
# name server says of a name, now or later.
use TelehealthTest;
use File::Basename qw(dirname);

my $good = FakeZoom->start(tls => 'good');
my $port = $good->port;

my $source = dirname($INC{'TelehealthTest.pm'}) . '/resolver.c';
my $scratch = File::Temp->newdir('telehealth_ssrf_' . 'X' x 8, TMPDIR => 1);
my $answers = "$scratch/answers";
my $asked = "$scratch/asked";
chmod 0755, "$scratch";
plan skip_all => 'no compiler for a resolver of our own' if system("cc -shared -fPIC -o $scratch/resolver.so $source -ldl") != 0;
plan skip_all => 'an address sanitizer has to be loaded first' if $ENV{LD_PRELOAD};

my $t = TelehealthTest->node('ssrf', start => 0,
	conf => {
		'telehealth.ca_file' => $good->ca_file,
		'telehealth.request_timeout_ms' => 1500,
		'telehealth.connect_timeout_ms' => 800,
	});
{
	local @ENV{qw(LD_PRELOAD SSRF_ANSWERS SSRF_ASKED)} = ("$scratch/resolver.so", $answers, $asked);
	$t->start;
}
$t->create_extension;
my $account = $t->connect_zoom($good);
ok($t->await($t->insert_visit)->{join_url}, 'the server is there and answers');
$t->reload_conf('telehealth.allowed_hosts' => '');
$t->poll('SHOW telehealth.allowed_hosts', '', 10);

sub resolve
{
	open my $h, '>', $answers or die;
	print $h "@_\n";
	close $h;
	return;
}

sub point
{
	my ($host) = @_;
	return "SELECT telehealth.configure_platform($account, "
	  . literal({ api_url => "https://$host:$port/v2", token_url => "https://$host:$port/oauth/token" }) . ')';
}

# What a visit's job ends with when the platform is at that host
sub outcome
{
	my ($host) = @_;

	$t->sql(point($host));
	my $id = $t->insert_visit;
	$t->poll("SELECT failures > 0 FROM telehealth_private.job WHERE subject_id = $id", 't', 15);
	my $error = $t->sql("SELECT last_error FROM telehealth_private.job WHERE subject_id = $id");
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $id");
	return $error;
}
my $before = $good->state->{requests_total};

# ---- ways to write an address
my %NOTATION = (
	'decimal' => '2130706433', 'octal' => '0177.0.0.1', 'hexadecimal' => '0x7f000001', 'mixed' => '0x7f.1', 'short' => '127.1',
	'another loopback' => '127.8.9.10', 'percent escapes' => '%31%32%37.0.0.1', 'a dot at the end' => '127.0.0.1.',
	'a name' => 'localhost', 'a name with a dot' => 'localhost.', 'unspecified' => '0.0.0.0', 'a short zero' => '0',
	'decimal metadata' => '2852039166', 'octal metadata' => '0251.0376.0251.0376', 'metadata' => '169.254.169.254',
	'IPv6 loopback' => '[::1]', 'IPv6 unspecified' => '[::]', 'IPv4-mapped' => '[::ffff:127.0.0.1]',
	'IPv4-mapped, hexadecimal' => '[::ffff:7f00:1]', 'IPv4-mapped, written out' => '[0:0:0:0:0:ffff:a9fe:a9fe]',
	'IPv4-compatible' => '[::127.0.0.1]', 'NAT64' => '[64:ff9b::7f00:1]', 'NAT64 of metadata' => '[64:ff9b::169.254.169.254]',
	'NAT64 for local use' => '[64:ff9b:1::1]', '6to4' => '[2002:7f00:1::1]', 'Teredo' => '[2001:0:7f00:1::1]',
	'IPv6 link-local' => '[fe80::1]', 'IPv6 site-local' => '[fec0::1]', 'IPv6 private' => '[fd00:ec2::254]', 'IPv6 multicast' => '[ff02::1]',
	'private 10' => '10.0.0.1', 'private 172' => '172.31.255.255', 'private 192' => '192.168.0.1', 'carrier NAT' => '100.100.100.200',
	'a host agent' => '168.63.129.16', 'multicast' => '224.0.0.1', 'broadcast' => '255.255.255.255',
	'this network' => '0.255.255.255', 'the end of 10' => '10.255.255.255', 'the beginning of 172' => '172.16.0.0', 'the end of 192' => '192.168.255.255',
	'the beginning of carrier NAT' => '100.64.0.0', 'the end of carrier NAT' => '100.127.255.255', 'the end of loopback' => '127.255.255.255',
	'the beginning of link-local' => '169.254.0.0', 'protocols' => '192.0.0.192', 'documentation 1' => '192.0.2.1', 'documentation 2' => '198.51.100.255',
	'documentation 3' => '203.0.113.0', '6to4 relays' => '192.88.99.1', 'benchmarks' => '198.18.0.0', 'the end of benchmarks' => '198.19.255.255',
	'reserved' => '240.0.0.1', 'IPv6 documentation' => '[2001:db8::1]', 'new IPv6 documentation' => '[3fff:fff::1]', 'ORCHID' => '[2001:20::1]',
	'the end of IPv6 protocols' => '[2001:1ff::1]', 'below IPv6 unicast' => '[1fff::1]', 'above IPv6 unicast' => '[4000::1]', '6to4 of private 10' => '[2002:a00:1::1]',
	'IPv4-mapped private 10' => '[::ffff:10.0.0.1]');
for my $name (sort keys %NOTATION)
{
	like(outcome($NOTATION{$name}), $NOTATION{$name} =~ /\.$/ ? qr/address is not public|host not found/ : qr/address is not public/, "S4: $name: $NOTATION{$name}");
}
is($good->state->{requests_total}, $before, 'S4: nothing arrived');

# ---- what is no address of a platform
for my $url ("https://api.zoom.us\@127.0.0.1:$port/v2", "https://user:word\@127.0.0.1:$port/v2", "https://127.0.0.1:$port/v2?x=1",
	"https://127.0.0.1:$port/v2#x", "http://127.0.0.1:$port/v2", "ftp://127.0.0.1/v2", "file:///etc/passwd", "gopher://127.0.0.1:$port/v2",
	"//127.0.0.1:$port/v2", "https://127.0.0.1:$port\@zoom.us/v2", "https://zoom.us\\\@127.0.0.1/v2", 'https://127.0.0.1:0/v2',
	'https://[::1/v2', "https://127.0.0.1:$port/\r\nX: y", '')
{
	my $shown = $url =~ s/[\r\n]/./gr;
	for my $setting (qw(api_url token_url))
	{
		$t->fails_ok("SELECT telehealth.configure_platform($account, " . literal({ $setting => $url }) . ')', '22023', "S4: $setting '$shown' is no setting");
	}
}

# ---- what a name server says
for my $answer ('127.0.0.1', '::ffff:127.0.0.1', '::1', '64:ff9b::7f00:1', '0.0.0.0', '169.254.169.254', '10.1.2.3')
{
	my $name = 'n' . $answer =~ s/[^0-9a-f]/-/gr . '.rebind.example';

	resolve($answer);
	like(outcome($name), qr/address is not public/, "S4: a name that is $answer");
}

# first a public address, which passes and cannot be reached; then ours
resolve('93.184.216.34');
my $error = outcome('later.rebind.example');
unlike($error, qr/address is not public/, 'S4: a public address passes');
like($error, qr/no connection|timeout/, 'S4: and is tried');
$t->restart_dispatcher;
resolve('127.0.0.1');
like(outcome('later.rebind.example'), qr/address is not public/, 'S4: the same name asked again leads nowhere else');
resolve('93.184.216.34', '127.0.0.1');
unlike(outcome('both.rebind.example'), qr/TLS|answer/, 'S4: a public address first and ours second');
resolve('127.0.0.1', '93.184.216.34');
unlike(outcome('first.rebind.example'), qr/TLS|answer/, 'S4: ours first and a public one second');
is($good->state->{requests_total}, $before, 'S4: nothing arrived');
open my $h, '<', $asked or die;
my @asked = <$h>;
cmp_ok(scalar(grep { /^later/ } @asked), '>', 1, 'the name server was asked twice');

# ---- a connection kept from when it was allowed
$t->reload_conf('telehealth.allowed_hosts' => '127.0.0.1');
$t->poll('SHOW telehealth.allowed_hosts', '127.0.0.1', 10);
$t->sql(point('127.0.0.1'));
ok($t->await($t->insert_visit)->{join_url}, 'allowed, it works');
$before = $good->state->{requests_total};
$t->reload_conf('telehealth.allowed_hosts' => '');
$t->poll('SHOW telehealth.allowed_hosts', '', 10);
like(outcome('127.0.0.1'), qr/address is not public/, 'S4: a connection kept from before is not used');
is($good->state->{requests_total}, $before, 'S4: nothing arrived on it');

finish;
