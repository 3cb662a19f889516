# Where the requests for a calendar must never go: whatever address somebody
# gives for it, and wherever a server that was found sends us then.
use TelehealthTest;
use File::Basename qw(dirname);
use MIME::Base64 qw(decode_base64);
use ScriptedPeer;

my $source = dirname($INC{'TelehealthTest.pm'}) . '/resolver.c';
my $scratch = File::Temp->newdir('telehealth_ssrf_' . 'X' x 8, TMPDIR => 1);
my ($answers, $asked) = ("$scratch/answers", "$scratch/asked");
chmod 0755, "$scratch";
plan skip_all => 'no compiler for a resolver of our own' if system("cc -shared -fPIC -o $scratch/resolver.so $source -ldl") != 0;
plan skip_all => 'an address sanitizer has to be loaded first' if $ENV{LD_PRELOAD};

# What is inside would gladly give a calendar
sub multi { my ($href, $prop) = @_; return [ 207, { 'Content-Type' => 'application/xml' }, "<?xml version=\"1.0\"?><multistatus xmlns=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><response><href>$href</href><propstat><prop>$prop</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>" ] }
my $calendar = '<resourcetype><collection/><C:calendar/></resourcetype><current-user-privilege-set><privilege><write/></privilege></current-user-privilege-set>';
my $trap = ScriptedPeer->start(sub { return multi($_[0]{path}, $calendar) });
my $inside = $trap->port;

my $t = TelehealthTest->node('ssrf', start => 0,
	conf => { 'telehealth.allowed_hosts' => '', 'telehealth.request_timeout_ms' => 1500, 'telehealth.connect_timeout_ms' => 800 });
{
	local @ENV{qw(LD_PRELOAD SSRF_ANSWERS SSRF_ASKED)} = ("$scratch/resolver.so", $answers, $asked);
	$t->start;
}
$t->create_extension;
$t->widen_calendar_limits('caldav');

sub resolve
{
	open my $h, '>', $answers or die;
	print $h "@_\n";
	close $h;
	return;
}

my $provider = 0;
sub begin_sql { my ($url, %o) = @_; return "SELECT telehealth.connect_calendar(@{[ ++$provider ]}, 'caldav', " . literal({ url => $url, username => 'alice', password => 'app-word-7391', %o }) . ") ->> 'connection_id'" }
sub begin { return $t->sql(begin_sql(@_)) }

# What came of a connection
sub outcome
{
	my ($id) = @_;
	my $end;

	$t->poll("SELECT status = 'CONNECTED' OR last_error IS NOT NULL FROM telehealth.calendar_connection WHERE id = $id", 't', 20);
	$end = $t->row("SELECT s.status, s.last_error, s.hint, x.calendar_id FROM telehealth.calendar_status AS s JOIN telehealth.calendar_connection AS x ON x.id = s.connection_id WHERE x.id = $id");
	return $end->{status} eq 'CONNECTED' ? "CONNECTED $end->{calendar_id}" : "$end->{last_error}" . ($end->{hint} ? '' : ', but no hint');
}

# ---- what is no address of a calendar server

for my $url ("https://caldav.example\@127.0.0.1:$inside/", "https://user:word\@127.0.0.1:$inside/", "https://127.0.0.1:$inside/?x=1", "https://127.0.0.1:$inside/#x",
	"http://127.0.0.1:$inside/", 'http://caldav.example/', 'ftp://127.0.0.1/', 'file:///etc/passwd', "gopher://127.0.0.1:$inside/", "//127.0.0.1:$inside/",
	"https://127.0.0.1:$inside\@caldav.example/", "https://caldav.example\\\@127.0.0.1/", 'https://127.0.0.1:0/', 'https://127.0.0.1:65536/', 'https://[::1/',
	'https://[fe80::1%25eth0]/', 'https://[fe80::1%eth0]/', 'https://[fe80::1%251]:8443/', 'https://[::1%25lo]/', 'https://[2606:2800:220:1::1%25eth0]/',
	"https://127.0.0.1:$inside/\r\nX: y", "https://127.0.0.1\t/", 'https://', 'calendar', '')
{
	my $shown = $url =~ s/[\r\n\t]/./gr;
	$t->fails_ok(begin_sql($url), { sqlstate => '22023', hint => qr/\S/ }, "S4: '$shown' is no url");
}
is($t->sql('SELECT count(*) FROM telehealth.calendar_connection'), 0, 'S4: and leaves nothing');

# ---- ways to write an address

my %NOTATION = (
	'decimal' => '2130706433', 'octal' => '0177.0.0.1', 'hexadecimal' => '0x7f000001', 'mixed' => '0x7f.1', 'short' => '127.1', 'another loopback' => '127.8.9.10',
	'percent escapes' => '%31%32%37.0.0.1', 'a name' => 'localhost', 'unspecified' => '0.0.0.0', 'a short zero' => '0', 'metadata' => '169.254.169.254', 'decimal metadata' => '2852039166',
	'octal metadata' => '0251.0376.0251.0376', 'IPv6 loopback' => '[::1]', 'IPv6 unspecified' => '[::]', 'IPv4-mapped' => '[::ffff:127.0.0.1]', 'IPv4-mapped metadata' => '[0:0:0:0:0:ffff:a9fe:a9fe]',
	'IPv4-compatible' => '[::127.0.0.1]', 'NAT64 of metadata' => '[64:ff9b::169.254.169.254]', '6to4' => '[2002:7f00:1::1]', 'Teredo' => '[2001:0:7f00:1::1]', 'IPv6 link-local' => '[fe80::1]',
	'IPv6 private' => '[fd00:ec2::254]', 'private 10' => '10.0.0.1', 'private 172' => '172.31.255.255', 'private 192' => '192.168.0.1', 'carrier NAT' => '100.100.100.200', 'a host agent' => '168.63.129.16',
	'multicast' => '224.0.0.1', 'broadcast' => '255.255.255.255');
my %begun = map { $_ => begin("https://$NOTATION{$_}:$inside/dav/") } sort keys %NOTATION;
like(outcome($begun{$_}), qr/address is not public$/, "S4: $_: $NOTATION{$_}") for sort keys %NOTATION;

# ---- what a name server says

for my $answer ('127.0.0.1', '::ffff:127.0.0.1', '::1', '64:ff9b::7f00:1', '0.0.0.0', '169.254.169.254', '10.1.2.3')
{
	resolve($answer);
	like(outcome(begin('https://n' . $answer =~ s/[^0-9a-f]/-/gr . ".rebind.example:$inside/")), qr/address is not public$/, "S4: a name that is $answer");
}
resolve('93.184.216.34');
my $later = begin("https://later.rebind.example:$inside/");
like(outcome($later), qr/no connection|timeout/, 'S4: a public address passes, and is tried');
$t->restart_dispatcher;
resolve('127.0.0.1');
$t->sql("UPDATE telehealth.calendar_connection SET last_error = NULL WHERE id = $later; UPDATE telehealth_private.job SET due_at = now() WHERE subject_id = $later AND kind = 'connection'");
like(outcome($later), qr/address is not public$/, 'S4: the same name asked again leads nowhere else');

# ---- a server of ours that leads elsewhere, when elsewhere would be allowed

my %way = (
	(map { my $status = $_; ("a redirect ($status)" => sub { return [ $status, { Location => "$_[0]/x/" }, '' ] }) } 301, 302, 307, 308),
	'a redirect of the well-known address' => sub { return $_[1] =~ /well-known/ ? [ 301, { Location => "$_[0]/x/" }, '' ] : [ 404, {}, '' ] },
	'the principal' => sub { return multi($_[1], "<current-user-principal><href>$_[0]/x/</href></current-user-principal>") },
	'the home of calendars' => sub { return multi($_[1], "<C:calendar-home-set><href>$_[0]/x/</href></C:calendar-home-set>") },
	'a calendar at home' => sub { return $_[1] =~ /home/ ? multi("$_[0]/x/", $calendar) : multi($_[1], '<C:calendar-home-set><href>/home/</href></C:calendar-home-set>') });
my %target = (
	'another port' => "http://127.0.0.1:$inside", 'another name' => "http://localhost:$inside", 'no scheme' => "//127.0.0.1:$inside", 'a name before it' => "http://127.0.0.1:PORT\@127.0.0.1:$inside",
	'an address in hexadecimal' => "http://0x7f000001:$inside", 'a path that looks like it' => "http:\\\\127.0.0.1:$inside", 'metadata' => 'http://169.254.169.254/latest', 'a file' => 'file:///etc', 'LDAP' => "ldap://127.0.0.1:$inside");
my @ways = sort keys %way;
my @targets = sort keys %target;
my $peer = ScriptedPeer->start(sub {
	my ($request, $told) = @_;
	my ($own) = $request->{headers}{host} =~ /:(\d+)/;

	return [ 307, { Location => "http://127.0.0.1:$inside$request->{path}" }, '' ] if $told->{redirects};
	# the user name says which way is wanted
	my ($way, $target) = decode_base64(($request->{headers}{authorization} // '') =~ s/^Basic //r) =~ /^way-(\d+)-(\d+):/
	  or return multi($request->{path}, $calendar);
	return $way{ $ways[$way] }->($target{ $targets[$target] } =~ s/PORT/$own/r, $request->{path});
});
$t->reload_conf('telehealth.allowed_hosts' => "127.0.0.1, localhost, 0x7f000001");
$t->poll('SHOW telehealth.allowed_hosts', '127.0.0.1, localhost, 0x7f000001', 10);
my $trapped = begin("http://127.0.0.1:$inside/dav/");
like(outcome($trapped), qr/^CONNECTED/, 'what is inside could be reached');
my @pairs = map { my $way = $_; map { [ $way, $_ ] } 0 .. $#targets } 0 .. $#ways;
$_->[2] = begin($peer->url('/'), username => "way-$_->[0]-$_->[1]") for @pairs;
for my $pair (@pairs)
{
	my ($way, $target, $id) = @$pair;
	unlike(outcome($id), qr/^CONNECTED (?!\Q@{[ $peer->url ]}\E)|no hint/, "S4: $ways[$way] leads nowhere: $targets[$target]");
}

# ---- one that is connected

$peer->tell;
my $connection = begin($peer->url('/'));
like(outcome($connection), qr/^CONNECTED/, 'a calendar is connected');
$peer->tell(redirects => 1);
my $visit = $t->insert_visit(type => 'PHONE', provider_id => $provider);
$t->sql("UPDATE telehealth_private.job SET due_at = now() WHERE kind = 'pull' AND subject_id = $connection; SELECT telehealth_private.wake()");
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection AND failures > 0", 1, 20), 'S4: a pull that is sent elsewhere fails');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE kind = 'event' AND (failures > 0 OR dead_at IS NOT NULL)", 1, 20), 'S4: and a visit');
is($t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE pushed_at IS NOT NULL"), 0, '… which is not taken for shown');
$peer->tell;
$t->reload_conf('telehealth.allowed_hosts' => '');
$t->poll('SHOW telehealth.allowed_hosts', '', 10);
my $heard = () = $peer->requests;
$t->sql("UPDATE telehealth_private.job SET due_at = now(), failures = 0, last_error = NULL WHERE kind = 'pull' AND subject_id = $connection; SELECT telehealth_private.wake()");
ok($t->poll("SELECT last_error = 'refused: http is allowed only for hosts in telehealth.allowed_hosts' FROM telehealth_private.job WHERE kind = 'pull' AND subject_id = $connection", 't', 20), 'S4: one that is not allowed any more is not asked')
  or diag $t->sql("SELECT j::text FROM telehealth_private.job AS j WHERE kind = 'pull' AND subject_id = $connection");
is(scalar(() = $peer->requests(since => $heard)), 0, '… at all');
is(scalar(grep { ($_->{path} // '') !~ m{^/dav/?$} } $trap->requests), 0, 'S4: nothing arrived inside but what was meant for it');
is(scalar(grep { ($_->{headers}{authorization} // '') ne '' && ($_->{path} // '') !~ m{^/dav/?$} } $trap->requests), 0, 'S4: and no password');
unlike($t->log_text, qr/app-word-7391|YWxpY2U6YXBw/, 'S1: the password is in no log');

finish;
