# Webhooks through the gateway: many in one transaction, the bad one fails
# alone, who is told "taken" is stored, and who holds a lock stops nobody for
# long.
use TelehealthTest;
use HttpClient qw(connected http read_reply);
use Digest::SHA qw(hmac_sha256_hex);
use Stopwatch;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('gateway_batch', conf => { 'telehealth.http_port' => $port, 'telehealth.mock' => 'on', 'telehealth.http_workers' => 2 });
$t->create_extension;
ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, "listens at 127.0.0.1, port $port; processes: 2 of 2", 20), 'two processes listen');
$t->sql(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "c", "client_secret": "s", "webhook_secret": "hush"}')});

# on a watched server everything takes longer
my $patience = $ENV{TELEHEALTH_PATIENCE} // 1;
my $made_at = time * 1000;

sub status { my $r = shift; return $r ? $r->{status} : 'none' }

# As a test: a process that is told to end does
sub ends_at_once
{
	my ($pid, $name) = @_;
	my $watch = Stopwatch->start;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	kill 'TERM', $pid;
	patiently(sub { !$t->is_alive($pid) }, 10);
	my $took = $watch->seconds;
	return cmp_ok($took, '<', 1 * $patience, $name) && note sprintf '%.3f s', $took;
}

# A signed event as a request's text
sub event
{
	my ($meeting, %o) = @_;
	my $body = $o{body} // sprintf '{"event":"meeting.started","event_ts":%d,"payload":{"account_id":"acct-1","object":{"id":"%s","uuid":"u%s=="}}}',
	  $o{at} // $made_at, $meeting, $meeting;
	my $stamp = int time;
	my $signature = 'v0=' . hmac_sha256_hex("v0:$stamp:$body", $o{secret} // 'hush');
	my $path = $o{path} // '/zoom_events/events';

	return "POST $path HTTP/1.1\r\nHost: x\r\nx-zm-request-timestamp: $stamp\r\nx-zm-signature: $signature\r\n"
	  . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}

# Says each on a connection of its own, all at once; the statuses
sub say_all
{
	my (@texts) = @_;
	my @sockets = map { connected($port) } @texts;

	syswrite $sockets[$_], $texts[$_] for 0 .. $#texts;
	return map { my $s = $_; $s ? status(read_reply($s, limit => 20 * $patience)) : 'none' } @sockets;
}

sub say_one { my ($text) = @_; my $s = connected($port); syswrite $s, $text; return read_reply($s, limit => 10 * $patience) }
sub stored { return $t->sql('SELECT count(*) FROM telehealth.webhook_event') }
sub metric { my ($name) = @_; return http($port, 'GET', '/metrics')->{body} =~ /^telehealth_$name (\S+)/m ? $1 : undef }

# ---- answers

{
	my $r = say_one(event('1'));
	is(status($r), 202, 'an event, at the one door');
	is($r->{body}, '{"status":"accepted"}', '... with its body');
	is(stored(), 1, '... is stored when it is answered');
	is(status(say_one(event('2', path => '/api/v2/zoom/webhook'))), 200, 'and at the other one');
	is(status(say_one(event('1'))), 202, 'H5: said again, it is accepted');
	is(stored(), 2, '... and changes nothing');
	is(status(say_one(event('3', secret => 'hushed'))), 401, 'H3: signed by somebody else');
	is(status(http($port, 'POST', '/zoom_events/events', body => '{}')), 401, '... or by nobody');
	is(status(say_one(event('', body => '{"event":'))), 400, 'no JSON');
	is(stored(), 2, '... is not stored');
	my $challenge = '{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}';
	$r = say_one(event('', path => '/api/v2/zoom/webhook', body => $challenge));
	is(status($r), 200, 'H1: the challenge');
	is($r->{body} =~ /"encryptedToken": *"([0-9a-f]+)"/ ? $1 : '', hmac_sha256_hex('abc', 'hush'), '... is answered');
	$r = say_one(event('', body => $challenge));
	is(status($r), 200, '... at the other door as well');
	like($r->{body}, qr/encryptedToken/, '... with its answer');
	like(http($port, 'GET', '/zoom_events/health')->{body}, qr/"received":8,"inserted":2\b/, 'both numbers, over both processes');

	my ($head, $body) = split /\r\n\r\n/, event('1'), 2;
	$head =~ s/Content-Length: \d+/Transfer-Encoding: chunked/;
	$r = say_one(sprintf "%s\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", $head, length $body, $body);
	is(status($r), 202, 'one in chunks');
	is($r->{headers}{connection}, 'close', '... is the last of its connection, though others with this answer are not');
}

# ---- many at once

{
	my ($rows, $batches) = (metric('webhook_batch_rows_total'), metric('webhook_batches_total'));
	my %seen;
	$seen{$_}++ for map { say_all(map { event("1$_") } ($_ * 100 .. $_ * 100 + 99)) } 1 .. 5;
	is_deeply(\%seen, { 202 => 500 }, 'five hundred, a hundred at a time');
	is(stored(), 502, '... are stored');
	$rows = metric('webhook_batch_rows_total') - $rows;
	$batches = metric('webhook_batches_total') - $batches;
	is($rows, 500, '... and counted');
	cmp_ok($batches, '<', 400, '... in fewer transactions') and note "$batches transactions";

	# the same ones to both processes, in any order
	for my $round (1 .. 5)
	{
		my @same = map { event("2$round$_") } 1 .. 40;
		my @statuses = say_all(@same, reverse @same);
		is(scalar(grep { $_ eq '202' } @statuses), 80, 'the same ones twice at the same time, the other way round');
	}
	is(stored(), 702, '... are stored once');
	is($t->sql('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'), 0, '... without a deadlock');
}

# ---- metrics, as Prometheus reads them

{
	my $text = http($port, 'GET', '/metrics')->{body};
	my $file = $t->basedir . '/metrics.txt';
	my $parser = q{import sys
from prometheus_client.parser import text_string_to_metric_families as read
for family in read(open(sys.argv[1]).read()):
    assert family.documentation, family.name
    for s in family.samples:
        for label in s.labels.values(): assert label in sys.argv[2:], label
        print(s.name, s.value)
};
	my @labels = (qw(webhook feed callback health metrics page other none zoom twilio google_meet custom mock),
		qw(queued waiting running dead 200 202 302 304 400 401 404 405 413 500 503),
		split /\n/, $t->sql(q{SELECT unnest(enum_range(NULL::telehealth.session_status))::text UNION ALL SELECT DISTINCT status FROM telehealth.account}));

	PostgreSQL::Test::Utils::append_to_file($file, $text);
	SKIP:
	{
		skip 'no python3-prometheus-client', 3 if system('python3 -c "import prometheus_client" 2>/dev/null') != 0;
		open my $said, '-|', 'python3', '-c', $parser, $file, @labels or die $!;
		my %value = map { split ' ' } <$said>;
		ok(close $said, "metrics: read by Prometheus' own client, no label but those of fixed lists");
		is($value{telehealth_webhooks_inserted_total}, '702.0', '... with what was inserted');
		is($value{telehealth_dispatcher_up}, '1.0', '... that the dispatcher is up');
	}
	unlike($text, qr/acct-1|u1==|hush/, '... and nothing of an event or account');
	SKIP:
	{
		skip 'promtool is not here', 1 if !grep { -x "$_/promtool" } split /:/, $ENV{PATH};
		is(system("promtool check metrics < '$file' >/dev/null"), 0, 'promtool has nothing to say');
	}
}

# ---- one that the database refuses

$t->sql(q{ALTER TABLE telehealth.webhook_event ADD CONSTRAINT test_no_bad CHECK (meeting_id <> '666')});
SKIP:
{
	my $batches;
	$t->sql('ALTER DATABASE postgres SET telehealth.http_workers = 1');
	ok($t->poll(q{SELECT detail FROM telehealth.health WHERE check_name = 'gateway'}, "listens at 127.0.0.1, port $port; processes: 1 of 1", 20), 'one process, to have all in one batch');
	my $before = stored();
	my $offset = $t->log_size;
	my %seen;
	$seen{$_}++ for say_all(map { event($_ == 10 ? '666' : "3$_") } 1 .. 20);
	is_deeply(\%seen, { 202 => 19, 500 => 1 }, 'one of twenty is refused by the database: it fails alone');
	is(stored(), $before + 19, '... the others are stored');
	cmp_ok(metric('webhook_batch_failures_total'), '>', 0, '... after a second try');
	like($t->log_text($offset), qr/test_no_bad/, '... and the log says why');
	unlike($t->log_text($offset), qr/Failing row/, '... but not the row');
}
$t->sql('ALTER TABLE telehealth.webhook_event DROP CONSTRAINT test_no_bad');

# ---- a burst: more than a batch has room for, told twice, and some who do not wait for their answer

$t->sql(q{INSERT INTO telehealth.session (appointment_id, patient_id, provider_id, platform, account_clinic_id, account_id, meeting_id, marker)
	SELECT n, n, 1, 'zoom', x.clinic_id, x.id, 'b' || n, 'th-b' || n FROM telehealth.account AS x CROSS JOIN generate_series(1, 40) AS n WHERE x.platform = 'zoom'});
$t->sql(q{INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at, dead_at)
	SELECT 'session', clinic_id, id, 1, 'infinity', now() - interval '1 minute' FROM telehealth.session WHERE meeting_id = 'b7'});
{
	my $pid = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	my $before = stored();
	my $failures = metric('webhook_batch_failures_total');
	my ($again) = map { event("3$_") } 1;
	my @texts = ($again, (map { event("b$_") } 1 .. 40), (map { event("b$_") } 1 .. 20), map { event("9$_") } 1 .. 739);
	my @sockets = map { connected($port) } @texts;
	my %seen;

	kill 'STOP', $pid;
	syswrite $sockets[$_], $texts[$_] for 0 .. $#texts;
	close pop @sockets for 1 .. 25;
	kill 'CONT', $pid;
	for (1 .. 25)
	{
		my $socket = pop @sockets;
		setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0); # closed with a reset
		close $socket;
	}
	$seen{ status(read_reply($_, limit => 20 * $patience)) }++ for @sockets;
	is_deeply(\%seen, { 202 => 750 }, 'eight hundred in one moment, of which fifty went away: who stayed is answered');
	close $_ for @sockets;
	cmp_ok(stored() - $before, '>=', 40 + 689, '... and stored');
	is($t->sql('SELECT count(*) FROM (SELECT FROM telehealth.webhook_event GROUP BY meeting_id, meeting_uuid HAVING count(*) > 1) AS q'), 0, 'H5: ... once');
	is(metric('webhook_batch_failures_total'), $failures, '... without a second try');
	is($t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'}), $pid, '... by the same process');
	ok($t->poll(q{SELECT count(*) FROM telehealth.webhook_event WHERE session_id IS NOT NULL AND processed_at IS NULL}, 0, 30), 'H6: what came in a burst is put together');
	is($t->sql(q{SELECT count(*) FROM telehealth.session WHERE meeting_id LIKE 'b%' AND status = 'IN_PROGRESS'}), 40, '... of every session, that with a dead job too');
}

# Says each at once, to be found in one turn of the one process; the replies
sub say_in_one_turn
{
	my ($texts, %o) = @_;
	my ($pid) = split /\n/, $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	my @sockets = map { connected($port) } @$texts;

	kill 'STOP', $pid;
	syswrite $sockets[$_], $texts->[$_] for 0 .. $#$texts;
	kill $o{signal}, $pid if $o{signal};
	kill 'CONT', $pid;
	return map { read_reply($_, limit => 20 * $patience) // {} } @sockets;
}

{
	my $sweep = q{FROM telehealth.periodic_tasks WHERE task = 'visits'};
	my $last = $t->sql("SELECT last_success_at $sweep");
	$t->poll("SELECT last_success_at > '$last' $sweep", 't', 30);
	my $due = $t->sql("SELECT next_due_at $sweep");
	is(scalar(grep { status($_) eq '202' } say_in_one_turn([ map { event("b$_", at => $made_at + 1) } 1 .. 12 ])), 12, 'a small burst, of more sessions than are marked one by one');
	ok($t->poll(q{SELECT count(*) FROM telehealth.webhook_event WHERE session_id IS NOT NULL AND processed_at IS NULL}, 0, 30), '... is put together');
	is($t->sql("SELECT clock_timestamp() < '$due'"), 't', '... at once: the dispatcher is told, and does not find it by itself ten seconds later');
}

# ---- one that takes for ever

$t->sql(q{
	CREATE FUNCTION test_sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
	CREATE TRIGGER test_sleep BEFORE INSERT ON telehealth.webhook_event FOR EACH ROW WHEN (NEW.meeting_id = '667') EXECUTE FUNCTION test_sleep()});
{
	my $watch = Stopwatch->start;
	my %seen;
	$seen{$_}++ for say_all(map { event($_ == 5 ? '667' : "4$_") } 1 .. 10);
	ok($seen{503} && $seen{503} >= 1 && ($seen{202} // 0) + $seen{503} == 10, 'one that never ends is put off') or diag explain \%seen;
	my $took = $watch->seconds;
	cmp_ok($took, '<', 8 * $patience, '... in some seconds') and note sprintf '%.1f s', $took;
	is(status(say_one(event('4x'))), 202, '... and the next one is taken');
	my ($pid) = split /\n/, $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	my $socket = connected($port);
	syswrite $socket, event('667', at => 1);
	ok($t->poll("SELECT wait_event FROM pg_stat_activity WHERE pid = $pid", 'PgSleep', 20), 'while one sleeps');
	ends_at_once($pid, '... SIGTERM ends the process in a second');
}
$t->sql('DROP TRIGGER test_sleep ON telehealth.webhook_event');
ok(patiently(sub { status(http($port, 'GET', '/readyz')) eq '200' }, 20), 'it is back');

# ---- what a new process does with the same one twice, and at its end

{
	my $rows = q{SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'webhook_event'};
	my $before = $t->sql($rows);
	my $stored = stored();
	is(scalar(grep { status($_) eq '202' } say_in_one_turn([ map { event("4t$_") } 1 .. 20, 5 ])), 21, 'twenty in one batch, one of them twice');
	is(stored(), $stored + 20, '... are stored once');
	ok($t->poll("SELECT n_tup_ins > $before FROM ($rows) AS r", 't', 20), '... which is counted');
	is($t->sql($rows), $before + 20, '... and written once: the second one does not spoil the first try');

	my @said = say_in_one_turn([ map { event("4u$_") } 1 .. 20 ], signal => 'TERM');
	is(scalar(grep { status($_) eq '202' } @said), 20, 'what came before SIGTERM is taken');
	is(scalar(grep { ($_->{headers}{connection} // '') eq 'close' } @said), 20, '... and answered as the last of its connection');
	ok(patiently(sub { status(http($port, 'GET', '/readyz')) eq '200' }, 20), 'it is back');
}

# ---- more than a batch takes, and nobody waits for an answer

SKIP:
{
	skip 'needs a build with TH_DEBUG=1', 3 if !$t->is_debug;
	my ($pid) = split /\n/, $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	my @sockets = map { connected($port) } 1 .. 300;
	my $offset = $t->log_size;

	http($port, 'GET', '/healthz'); # who came before is let in
	kill 'STOP', $pid;
	syswrite $sockets[$_], event("4v$_") for 0 .. 299;
	$t->reload_conf('telehealth.debug_waitpoint' => 'gateway_batch');
	kill 'CONT', $pid;
	ok(patiently(sub { $t->log_text($offset) =~ /\[$pid\].*waitpoint "gateway_batch" reached/ }, 20), 'a batch is being stored, and others wait for the next');
	for (splice @sockets)
	{
		setsockopt $_, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
		close $_;
	}
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll(q{SELECT count(*) FROM telehealth.webhook_event WHERE meeting_id LIKE '4v%'}, 300, 20), '... who all leave: what they said is stored');
	is($t->sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), 1, '... by the same process');
}

# ---- somebody holds the table, or one row

{
	my $holder = $t->background_psql('postgres', on_error_stop => 1);
	my $failures = metric('webhook_batch_failures_total');
	$holder->query_safe('BEGIN');
	$holder->query_safe(q{UPDATE telehealth.webhook_event SET outcome = outcome WHERE meeting_id IN ('4t1', '4t2')});
	is(status(say_one(event('4t1'))), 202, 'H5: what is stored is known, also while somebody changes its row');
	is(metric('webhook_batch_failures_total'), $failures, '... which is not waited for');
	is(scalar(grep { status($_) eq '202' } say_in_one_turn([ event('4t2'), map { event("4w$_") } 1 .. 20 ])), 21, '... nor is it put off among others');
	$holder->query_safe('ROLLBACK');
	$holder->query_safe('BEGIN');
	$holder->query_safe('LOCK TABLE telehealth.webhook_event');
	my $watch = Stopwatch->start;
	my $r = say_one(event('5a'));
	my $took = $watch->seconds;
	is(status($r), 503, 'the table is locked: put off');
	cmp_ok($r->{headers}{'retry-after'} // 0, '>', 0, '... to come again');
	cmp_ok($took, '<', 1.5 * $patience, '... soon') and note sprintf '%.3f s', $took;
	$watch = Stopwatch->start;
	my @statuses = say_all(map { event("5b$_") } 1 .. 60);
	is(scalar(grep { $_ eq '503' } @statuses), 60, 'sixty at once');
	$took = $watch->seconds;
	cmp_ok($took, '<', 5 * $patience, '... also soon') and note sprintf '%.3f s', $took;
	is(status(http($port, 'GET', '/healthz')), 200, 'it is alive');
	my ($pid) = split /\n/, $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
	my @sockets = map { connected($port) } 1 .. 30;
	syswrite $_, event('5c') for @sockets;
	ends_at_once($pid, 'SIGTERM while the table is locked and thirty wait');
	$holder->query_safe('ROLLBACK');
	ok(patiently(sub { status(http($port, 'GET', '/readyz')) eq '200' }, 20), 'it is back');
	is(status(say_one(event('5a'))), 202, '... and takes what it had put off');

	# the same happening, told by somebody who does not commit
	my $body = sprintf '{"event":"meeting.started","event_ts":%d,"payload":{"account_id":"acct-1","object":{"id":"6a","uuid":"u6a=="}}}', $made_at;
	my $stamp = int time;
	$holder->query_safe('BEGIN');
	$holder->query_safe(sprintf q{SELECT (telehealth.receive_webhook('zoom', jsonb_build_object('x-zm-request-timestamp', '%s', 'x-zm-signature', 'v0=%s'), '%s'::text)).status},
		$stamp, hmac_sha256_hex("v0:$stamp:$body", 'hush'), $body);
	my %seen;
	$seen{$_}++ for say_all(event('6a'), map { event("6b$_") } 1 .. 10);
	ok($seen{503} && $seen{503} == 1 && $seen{202} == 10, 'a row is held by somebody: only that one is put off') or diag explain \%seen;
	$holder->query_safe('COMMIT');
	$holder->quit;
	is(status(say_one(event('6a'))), 202, '... and known, when told again');
}

# ---- as a role that is not the owner

$t->sql(q{CREATE ROLE gateway_role; SELECT telehealth.grant_role('gateway_role', 'worker')});
$t->reload_conf('telehealth.worker_role' => 'gateway_role');
ok($t->poll('SHOW telehealth.worker_role', 'gateway_role', 20), 'a role for the workers');
is(status(say_one(event('8a'))), 202, '... takes in webhooks');
is(status(http($port, 'GET', $_)), 200, "... and answers $_") for qw(/readyz /metrics);
$t->reload_conf('telehealth.worker_role' => '');

# ---- what was accepted is there, whatever happens

{
	my (@accepted, $kills);
	my $end = time + 4 * $patience;
	my $n = 0;
	my $killed = 0;

	local $SIG{PIPE} = 'IGNORE';
	while (time < $end)
	{
		my @names = map { '7' . $n++ } 1 .. 20;
		my @sockets = map { connected($port, timeout => 1) } @names;
		for my $i (0 .. $#names) { syswrite $sockets[$i], event($names[$i]) if $sockets[$i] }
		if (!$killed && time > $end - 3 * $patience)
		{
			$killed = 1;
			my $pid = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway' LIMIT 1});
			kill 'KILL', $pid;
		}
		for my $i (0 .. $#names)
		{
			push @accepted, $names[$i] if $sockets[$i] && status(read_reply($sockets[$i], limit => 5 * $patience)) eq '202';
		}
	}
	$t->wait_ready;
	my %there = map { $_ => 1 } split /\n/, $t->sql(q{SELECT meeting_id FROM telehealth.webhook_event WHERE meeting_id LIKE '7%'});
	is(join(' ', grep { !$there{$_} } @accepted), '', 'what was accepted around a kill -9 is there') and note scalar(@accepted) . " of $n accepted";
	cmp_ok(scalar(@accepted), '>', 20, '... and it was not nothing');
}

finish();
