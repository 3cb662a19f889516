# Where requests must never go, however the address is written and whatever a
# name server says of a name, now or later.
use TelehealthTest;

my $good = FakeZoom->start(tls => 'good');
my $port = $good->port;

# A resolver of our own: *.rebind.example is what the file says just now; and
# no packet leaves this machine.
my $scratch = File::Temp->newdir('telehealth_ssrf_' . 'X' x 8, TMPDIR => 1);
my $answers = "$scratch/answers";
my $asked = "$scratch/asked";
{
	open my $h, '>', "$scratch/resolver.c" or die;
	print $h <<'END_C';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo numeric;
	char line[256] = "";
	char *rest = line;
	char *one;
	FILE *file;

	if (node == NULL || strstr(node, ".rebind.example") == NULL)
		return real(node, service, hints, out);
	file = fopen(getenv("SSRF_ASKED"), "a");
	fprintf(file, "%s\n", node);
	fclose(file);
	file = fopen(getenv("SSRF_ANSWERS"), "r");
	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		return EAI_NONAME;
	fclose(file);
	memset(&numeric, 0, sizeof(numeric));
	numeric.ai_socktype = SOCK_STREAM;
	numeric.ai_flags = AI_NUMERICHOST;
	*out = NULL;
	while ((one = strsep(&rest, " \n")) != NULL)
	{
		struct addrinfo **last = out;

		while (*last != NULL)
			last = &(*last)->ai_next;
		if (*one != '\0' && real(one, service, &numeric, last) != 0)
			return EAI_NONAME;
	}
	return *out == NULL ? EAI_NONAME : 0;
}

int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");

	if (address->sa_family == AF_INET && ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr) >> 24 != 127)
	{
		errno = ENETUNREACH;
		return -1;
	}
	return real(fd, address, length);
}
END_C
	close $h;
}
chmod 0755, "$scratch";
plan skip_all => 'no compiler for a resolver of our own' if system("cc -shared -fPIC -o $scratch/resolver.so $scratch/resolver.c -ldl") != 0;
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
	'a host agent' => '168.63.129.16', 'multicast' => '224.0.0.1', 'broadcast' => '255.255.255.255');
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
