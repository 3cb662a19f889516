# The processes of the gateway: when they run, for whom, and how they end.
use TelehealthTest;
use HttpClient qw(connected http read_reply);
use IO::Socket::IP;
use Stopwatch;

my $t = TelehealthTest->node('gateway_life', streaming => 1);
my ($port, $other_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;

sub status { my $r = shift; return $r ? $r->{status} : 'none' }

sub pids
{
	my ($db) = @_;
	my $and = defined $db ? " AND datname = '$db'" : '';
	return split /\n/, $t->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'$and ORDER BY pid", db => 'postgres');
}

sub health { return $t->sql(q{SELECT status || ': ' || detail FROM telehealth.health WHERE check_name = 'gateway'}, db => $_[0]) }

# As a test: the check says so, within some seconds
sub health_ok
{
	my ($db, $want, $name) = @_;
	my $last;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok(patiently(sub { $last = health($db); ref $want ? $last =~ $want : $last eq $want }, 20), $name)
	  || diag "wanted: $want\nlast:   $last";
}

sub listens { my $p = shift; return "ok: listens at 127.0.0.1, port $p; processes: " . (shift // '1 of 1') }

sub is_closed { my $socket = connected(@_, timeout => 1); return !$socket }

# ---- off by default, on and off without a restart

$t->create_extension('one');
is(health('one'), 'ok: off', 'off by default');
is(scalar(pids()), 0, '... without a process');
$t->sql("ALTER DATABASE one SET telehealth.http_port = $port");
health_ok('one', listens($port), 'ALTER DATABASE starts it');
is(status(http($port, 'GET', '/readyz')), 200, '... and it answers');
is(scalar(pids('one')), 1, '... one process, in its database');

my ($own) = grep { $_ ne '127.0.0.1' && /^\d+(?:\.\d+){3}$/ } split ' ', `hostname -I 2>/dev/null` // '';
SKIP:
{
	skip 'this machine has no address but loopback', 2 if !$own;
	ok(is_closed($port, host => $own), 'on loopback alone by default');
	$t->sql(q{ALTER DATABASE one SET telehealth.http_listen = '*'});
	health_ok('one', "ok: listens at *, port $port; processes: 1 of 1", 'every address, if asked');
	is(status(http($port, 'GET', '/healthz', host => $own)), 200, '... answers there too');
	$t->sql('ALTER DATABASE one RESET telehealth.http_listen');
	health_ok('one', listens($port), '... and loopback again');
}
SKIP:
{
	skip 'this machine has no IPv6', 4 if !IO::Socket::IP->new(LocalHost => '::1', LocalPort => 0, Listen => 1);
	$t->sql(q{ALTER DATABASE one SET telehealth.http_listen = '::1'});
	health_ok('one', "ok: listens at ::1, port $port; processes: 1 of 1", 'an address of IPv6');
	is(status(http($port, 'GET', '/readyz', host => '::1')), 200, '... answers');
	ok(is_closed($port), '... and no other does');
	$t->sql('ALTER DATABASE one RESET telehealth.http_listen');
	health_ok('one', listens($port), '... and back');
}
$t->fails_ok("SET telehealth.http_listen = '$_'", '22023', "no address to listen at: $_") for 'localhost', '127.0.0.1:80', '';
$t->fails_ok("SET telehealth.http_listen = '$_'", { sqlstate => '22023', hint => qr/without the leading/ }, "IPv4 in a dress of IPv6: $_")
  for '::ffff:127.0.0.1', '::FFFF:7f00:1';
$t->fails_ok("SET telehealth.http_workers = 5", '22023', 'no more than four processes');

# ---- a database that wants what another one has

$t->create_extension('two');
$t->sql("ALTER DATABASE two SET telehealth.http_port = $port");
health_ok('two', qr/^error: http_port_in_use: 127\.0\.0\.1, port $port belongs to database one$/, 'two databases want one port: the second does not get it');
is(scalar(pids('two')), 0, '... and has no process');
is(health('one'), listens($port), '... and the first keeps it');
$t->sql("ALTER DATABASE two SET telehealth.http_port = $other_port");
health_ok('two', listens($other_port), 'a port of its own');
$t->sql("ALTER DATABASE two SET telehealth.http_port = $port");
health_ok('two', qr/http_port_in_use/, 'in use again');
$t->sql('ALTER DATABASE one RESET telehealth.http_port');
health_ok('two', listens($port), 'RESET in the first gives it to the second');
health_ok('one', 'ok: off', '... which has it off');
$t->sql('ALTER DATABASE two RESET telehealth.http_port');
health_ok('two', 'ok: off', 'and off');
ok(patiently(sub { !pids() }, 20), '... without processes');
ok(is_closed($port), '... nor a port');

{
	my $foreign = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Listen => 5, ReusePort => 1, ReuseAddr => 1, Proto => 'tcp')
	  or die "cannot listen: $!";
	$t->sql("ALTER DATABASE one SET telehealth.http_port = $port");
	health_ok('one', qr/^error: http_port_in_use: .* belongs to another program$/, 'the port of another program, though it would share');
	is($t->sql(q{SELECT count(*) FROM telehealth.health WHERE check_name = 'gateway' AND hint <> ''}, db => 'one'), 1, '... with a hint');
	close $foreign;
	health_ok('one', listens($port), '... is taken when it is free');
}

# ---- several processes

my $before = http($port, 'GET', '/healthz')->{body};
$t->sql('ALTER DATABASE one SET telehealth.http_workers = 3');
health_ok('one', listens($port, '3 of 3'), 'three processes share the port');
is(scalar(pids('one')), 3, '... in the database');
{
	my %seen;
	# the kernel spreads connections by their numbers
	for (1 .. 60) { $seen{ status(http($port, 'POST', '/zoom_events/events', body => '{}', close => 1)) }++ }
	ok(!$seen{none}, '... and each answers') or diag explain \%seen;
	ok(patiently(sub { http($port, 'GET', '/healthz')->{body} =~ /"received":60\b/ }, 20), '... what they count adds up')
	  or diag http($port, 'GET', '/healthz')->{body};
	my ($one) = pids('one');
	kill 'TERM', $one;
	ok(patiently(sub { my @p = pids('one'); @p == 3 && !grep { $_ == $one } @p }, 10), 'one that ends is replaced');
	like(http($port, 'GET', '/healthz')->{body}, qr/"received":60\b/, '... and the counters stay');
}
$t->sql('ALTER DATABASE one SET telehealth.http_workers = 1');
health_ok('one', listens($port), 'one process again');

# ---- SIGTERM in bad moments

sub ends_in
{
	my ($pid) = @_;
	my $watch = Stopwatch->start;

	kill 'TERM', $pid;
	patiently(sub { !$t->is_alive($pid) }, 20);
	return $watch->seconds;
}
{
	my @open = map { connected($port) } 1 .. 50;
	http($port, 'GET', '/healthz', socket => $_) for @open[0 .. 9];
	syswrite $_, "GET /healthz HTTP/1.1\r\nHost: x" for @open[10 .. 19];
	syswrite $_, "POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" for @open[20 .. 29];
	my ($pid) = pids('one');
	my $took = ends_in($pid);
	cmp_ok($took, '<', 1, 'SIGTERM with fifty connections open') and note sprintf '%.3f s', $took;
	health_ok('one', listens($port), '... and it is back');

	# somebody drops the extension and does not commit
	my $dropper = $t->background_psql('one', on_error_stop => 1);
	$dropper->query_safe('BEGIN');
	$dropper->query_safe('DROP EXTENSION telehealth');
	my $r = http($port, 'GET', '/readyz', limit => 15);
	is(status($r), 503, 'while the extension is locked it is not ready');
	like($r->{body}, qr/"db":"down"/, '... and says so');
	is(status(http($port, 'GET', '/healthz')), 200, '... but alive');
	$r = http($port, 'POST', '/zoom_events/events', body => '{}', limit => 15);
	is(status($r), 503, 'a webhook is put off');
	cmp_ok($r->{headers}{'retry-after'} // 0, '>', 0, '... and told to come again');
	my @waiting = map { connected($port) } 1 .. 20;
	syswrite $_, "POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" for @waiting;
	($pid) = pids('one');
	$took = ends_in($pid);
	cmp_ok($took, '<', 1, 'SIGTERM while it waits for a lock') and note sprintf '%.3f s', $took;
	$dropper->query_safe('ROLLBACK');
	$dropper->quit;
	health_ok('one', listens($port), '... and it is back');
}

# what came whole is answered before the end, also if none of it was looked at before
{
	my ($pid) = pids('one');
	kill 'STOP', $pid;
	my @whole = map { connected($port) } 1 .. 50;
	syswrite $_, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" for @whole;
	kill 'TERM', $pid;
	kill 'CONT', $pid;
	my @said = map { read_reply($_, limit => 15) } @whole;
	is(join(' ', map { status($_) } @said), join(' ', (200) x 50), 'what was asked before SIGTERM is answered');
	is(scalar(grep { ($_->{headers}{connection} // '') eq 'close' } grep { $_ } @said), 50, '... as the last of its connection');
	health_ok('one', listens($port), '... and it is back');
}

# ---- kill -9, of it and of others

{
	my ($pid) = pids('one');
	$t->kill9_and_wait_recovery($pid, db => 'one');
	health_ok('one', listens($port), 'after kill -9');
	$t->kill9_and_wait_recovery('launcher', db => 'one');
	health_ok('one', listens($port), 'after kill -9 of the launcher');
	$pid = (pids('one'))[0];
	my $launcher = $t->launcher_pid;
	$t->sql("SELECT pg_terminate_backend($launcher)");
	ok(patiently(sub { my ($p) = pids('one'); $p && $p != $pid && status(http($port, 'GET', '/readyz')) eq '200' }, 20), 'a new launcher makes a new process');
	$pid = (pids('one'))[0];
	$t->restart_dispatcher('one');
	is(status(http($port, 'GET', '/readyz')), 200, 'a new dispatcher');
	is((pids('one'))[0], $pid, '... leaves it alone');
}

# ---- DDL on the database

{
	$t->sql('ALTER DATABASE one RENAME TO uno', db => 'postgres');
	health_ok('uno', listens($port), 'RENAME: it is back');
	$t->sql('CREATE DATABASE copy TEMPLATE uno', db => 'postgres');
	health_ok('uno', listens($port), 'TEMPLATE: it is back');
	is(health('copy'), 'ok: off', '... and not in the copy, whose settings are its own');
	$t->sql('DROP DATABASE copy', db => 'postgres');
	my @kept = map { connected($port) } 1 .. 5;
	$t->sql('DROP DATABASE uno', db => 'postgres');
	ok(patiently(sub { is_closed($port) }, 20), '... and the port is closed');
	$t->sql("ALTER DATABASE two SET telehealth.http_port = $port");
	health_ok('two', listens($port), '... for another');
	$t->sql(q{SET statement_timeout = '20s'; DROP EXTENSION telehealth}, db => 'two');
	ok(patiently(sub { !pids() && is_closed($port) }, 10), '... and ends it');
	$t->sql('CREATE EXTENSION telehealth CASCADE', db => 'two');
	health_ok('two', listens($port), 'CREATE EXTENSION brings it back');
}

# ---- a standby has none; once promoted it has

{
	$t->backup('base');
	my $standby = TelehealthTest->node('gateway_standby', backup => [ $t, 'base' ], standby => 1, conf => { 'telehealth.poll_interval_ms' => 200 }, start => 0);
	$standby->start;
	$t->wait_for_catchup($standby);
	is($standby->sql(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, db => 'two'), 'a standby does not listen', 'D1: a standby has none');
	$t->stop('immediate');
	ok(is_closed($port), '... after the primary is gone');
	$standby->promote;
	ok($standby->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway' AND detail LIKE 'listens%'}, 'ok', 20, db => 'two'), 'D1: promotion starts it');
	is(status(http($port, 'GET', '/readyz')), 200, '... and it answers');

	# two launchers, the dispatcher and one process take all places there are
	$standby->set_conf(max_worker_processes => 4, max_logical_replication_workers => 4, 'telehealth.databases' => 'two');
	$standby->restart;
	my $check = q{SELECT status || ': ' || detail FROM telehealth.health WHERE check_name = 'gateway'};
	ok($standby->poll($check, listens($port), 20, db => 'two'), 'W7: a place for one process');
	$standby->sql('ALTER DATABASE two SET telehealth.http_workers = 2');
	ok(patiently(sub { $standby->log_text =~ /could not start telehealth gateway.*\n.*places are in use/ }, 20), 'W7: none for the second');
	my %said = map { $standby->sql($check, db => 'two') => 1 } 1 .. 20;
	is(join(', ', keys %said), "warning: listens at 127.0.0.1, port $port; processes: 1 of 2", '... which health says, and that the first one listens');
	is(status(http($port, 'GET', '/readyz')), 200, '... as it does');
	$standby->set_conf(max_worker_processes => 3);
	$standby->restart;
	ok($standby->poll($check, 'error: gateway_down: its process does not start, or ends early', 20, db => 'two'), 'W7: no place at all')
	  or diag $standby->sql($check, db => 'two');
}

unlike($t->log_text, qr/(?:PANIC|TRAP)/, 'no great trouble in the log');
finish();
