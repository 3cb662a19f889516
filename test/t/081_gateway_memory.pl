# The gateway's memory and descriptors stay as they are, however many requests
# it answered.  TELEHEALTH_LONG=1: 200,000 of them instead of 20,000.
use TelehealthTest;
use HttpClient qw(connected read_reply);
use ZoomHook qw(hook_event hook_headers);

# sanitizers and valgrind keep what was freed, and are slow
my $is_watched = $ENV{TELEHEALTH_WATCHED};
my $requests = $is_watched ? 1000 : $ENV{TELEHEALTH_LONG} ? 200_000 : 20_000;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('gateway_memory', conf => { 'telehealth.http_port' => $port, 'telehealth.mock' => 'on' });
$t->create_extension;
$t->sql(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "c", "client_secret": "s", "webhook_secret": "hush"}')});
$t->sql(q{INSERT INTO telehealth.provider (id) VALUES (1)});
ok($t->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 20), 'the gateway listens');
# what was left in the middle is cut in time
$t->reload_conf('telehealth.debug_http_deadline_ms' => 5000) if $t->is_debug;
my $pid = $t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'});
my $feed = $t->row('SELECT * FROM telehealth.create_feed(1, $$Dr. One$$)')->{token};
my $n = 0;

# Bytes in use in its memory contexts and of its own pages; descriptors
sub measure
{
	my $from = $t->log_size;
	my %is;

	$t->sql("SELECT pg_log_backend_memory_contexts($pid)");
	patiently(sub { ($is{contexts}) = $t->log_text($from) =~ /Grand total: \d+ bytes in .* (\d+) used/ }, 20)
	  or BAIL_OUT('no memory contexts are logged');
	($is{pages}) = map { $_ * 1024 } PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	# the server keeps files of tables open
	my $data = $t->data_dir;
	$is{descriptors} = grep { defined && !/^\Q$data\E\// } map { readlink } glob "/proc/$pid/fd/*";
	return \%is;
}

sub request
{
	my ($method, $path, $headers, $body) = @_;

	return "$method $path HTTP/1.1\r\nHost: x\r\n" . (join '', map { "$_: $headers->{$_}\r\n" } sort keys %{ $headers // {} })
	  . (defined $body ? 'Content-Length: ' . length($body) . "\r\n" : '') . "\r\n" . ($body // '');
}

# One of everything that is answered, many times; the answers that were wrong
sub ask
{
	my ($requests) = @_;
	my @wrong;

	while ($requests > 0)
	{
		my $socket = connected($port);
		my $again = hook_event('meeting.started', meeting => 'again');
		my (@texts, $rest);

		for (1 .. 10)
		{
			my $new = hook_event('meeting.started', meeting => 'new' . $n++);

			push @texts,
			  [ 200, request('POST', '/api/v2/zoom/webhook', hook_headers('hush', $new), $new) ],
			  [ 202, request('POST', '/zoom_events/events', hook_headers('hush', $again), $again) ],
			  [ 401, request('POST', '/zoom_events/events', hook_headers('none', $new), $new) ],
			  [ 400, request('POST', '/zoom_events/events', hook_headers('hush', '{'), '{') ],
			  [ 200, request('GET', "/api/calendar/ical/$feed", { 'Accept-Encoding' => $_ % 2 ? 'gzip' : 'identity' }) ],
			  [ 404, request('GET', '/api/calendar/ical/none') ], [ 200, request('GET', '/readyz') ], [ 200, request('GET', '/healthz') ],
			  [ 404, request('GET', '/nothing') ], [ 405, request('DELETE', '/metrics') ];
		}
		$requests -= @texts;
		# said at once, in two parts
		my $text = join '', map { $_->[1] } @texts;
		syswrite $socket, substr $text, 0, 5000, '';
		syswrite $socket, $text;
		for my $want (map { $_->[0] } @texts)
		{
			my $r = read_reply($socket, rest => \$rest, limit => 60);

			push @wrong, $want if !$r || $r->{status} != $want && !($is_watched && $r->{status} == 503);
		}
		# one that is never said to its end, one that is refused
		my $half = connected($port);
		syswrite $half, substr $texts[0][1], 0, int rand length $texts[0][1];
		close $half;
		my $bad = connected($port);
		syswrite $bad, "GET / HTTP/1.1\n\n";
		read_reply($bad);
	}
	return "@wrong";
}

my $idle = measure()->{descriptors} + 3;
is(ask($is_watched ? 500 : 3000), '', 'all kinds of requests');
my $before = measure();
is(ask($requests), '', "$requests requests");
ok(patiently(sub { measure()->{descriptors} <= $idle }, 60), '... leave no descriptor open');
my $after = measure();
note join ', ', map { "$_ $before->{$_} -> $after->{$_}" } sort keys %$before;
is($t->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'telehealth gateway'}), $pid, '... answered by the same process');
cmp_ok($after->{contexts} - $before->{contexts}, '<', 100_000, '... whose memory contexts are as large as before');
cmp_ok($after->{pages} - $before->{pages}, '<', 3_000_000, '... and so is its memory') if !$is_watched;

finish;
