# Feeds by HTTP: whoever asks again is told in no time that nothing has
# changed, and always when something has; a token that is no more is as one
# that never was.
use TelehealthTest;
use Compress::Zlib qw(memGunzip);
use Digest::SHA qw(sha256_hex);
use HttpClient qw(connected http read_reply);
use POSIX qw(WNOHANG);
use Stopwatch;
use Time::HiRes qw(time);
use ZoomHook qw(hook_headers hook_event);

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('gateway_feeds', log_min_messages => 'debug5', conf => {
	max_prepared_transactions => 2, 'telehealth.http_port' => $port, 'telehealth.mock' => 'on', 'telehealth.public_url' => 'https://clinic.example/base' });
$t->create_extension;
$t->sql(q{
	INSERT INTO telehealth.provider (id, timezone, display_name) VALUES (1, 'America/New_York', 'Dr. One');
	INSERT INTO telehealth.patient (id, display_name) VALUES (1, 'Kanarie');
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
		SELECT 1, 1, 'PHONE', date_trunc('hour', now()) + n * interval '1 hour' FROM generate_series(1, 200) AS n});
$t->sql(q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "c", "client_secret": "s", "webhook_secret": "hush"}')});
ok($t->drained, 'nothing is left to do');
ok($t->poll(q{SELECT detail LIKE 'listens at%' FROM telehealth.health WHERE check_name = 'gateway'}, 't', 20), 'it listens');

my $path = '/api/calendar/ical';

sub create { my ($options) = @_; return $t->row("SELECT * FROM telehealth.create_feed($options)") }

# options: method, gzip, tag, since
sub ask
{
	my ($what, %o) = @_;
	my @headers = (
		$o{gzip} ? ('Accept-Encoding' => $o{gzip}) : (),
		$o{tag} ? ('If-None-Match' => $o{tag}) : (),
		$o{since} ? ('If-Modified-Since' => $o{since}) : ());

	return http($port, $o{method} // 'GET', "$path/$what", headers => \@headers);
}

sub metric
{
	my ($name) = @_;

	return http($port, 'GET', '/metrics')->{body} =~ /^telehealth_$name (\d+)$/m ? $1 : undef;
}

# ---- what is told

my $feed = create(q{1, 'Dr. One'});
my $token = $feed->{token};
sub lines { my ($text) = @_; return $text =~ s/\r//gr =~ s/\s+\z//r }
sub feed_ics { return lines($t->sql("SELECT telehealth.feed_ics('$_[0]')")) }

my $text = feed_ics($token);
my $first = ask($token);
is($first->{status}, 200, 'a feed');
is(lines($first->{body}), $text, 'I7: the same as feed_ics()');
is(() = $first->{body} =~ /^BEGIN:VEVENT\r$/mg, 200, '... with every visit');
my $h = $first->{headers};
is($h->{'content-type'}, 'text/calendar; charset=utf-8', 'its type');
like($h->{etag}, qr/^"[0-9a-f]{32}"$/, 'a strong tag');
is($h->{etag}, '"' . substr(sha256_hex($first->{body}), 0, 32) . '"', '... of the bytes');
is($h->{'cache-control'}, 'private, no-cache', 'no shared cache keeps it, a private one asks again');
is($h->{vary}, 'Accept-Encoding', 'it depends on what the client takes');
is($h->{'x-content-type-options'}, 'nosniff', 'and is what it says');
is(ask("$token.ics")->{body}, $first->{body}, '.ics is the same');

my $head = ask($token, method => 'HEAD');
is("$head->{status} $head->{headers}{etag} $head->{headers}{'content-length'}", "200 $h->{etag} " . length $first->{body}, 'HEAD says the same without the body');

my $packed = ask($token, gzip => 'deflate, gzip;q=0.8');
is($packed->{headers}{'content-encoding'}, 'gzip', 'gzip for who takes it');
is(memGunzip($packed->{body}), $first->{body}, '... with the same in it');
cmp_ok(length $packed->{body}, '<', length($first->{body}) / 4, '... and much smaller');
isnt($packed->{headers}{etag}, $h->{etag}, '... has a tag of its own');
is(ask($token, gzip => $_)->{headers}{'content-encoding'}, undef, "no gzip for '$_'")
	for 'gzip;q=0', 'identity', 'br', 'gzip;q=0.000, *', '*;q=0', 'gzippy';
is(ask($token, gzip => $_)->{headers}{'content-encoding'}, 'gzip', "gzip for '$_'") for '*', 'GZIP', 'br,gzip', 'x-gzip;q=0.001';

# ---- nothing new

my $written = metric('feeds_written_total');
for my $tag ($h->{etag}, "W/$h->{etag}", "\"other\", $h->{etag}", '*', "\"a,b\" ,$h->{etag},")
{
	my $r = ask($token, tag => $tag);
	is($r->{status}, 304, "I7: nothing new for $tag");
	is($r->{headers}{etag}, $h->{etag}, '... says the tag');
	is($r->{headers}{'content-type'}, undef, '... and nothing of a body');
}
is(ask($token, tag => $_)->{status}, 200, "all of it for $_") for '"other"', $packed->{headers}{etag}, substr($h->{etag}, 0, 33), '"\\"' . substr($h->{etag}, 1), 'x';
is(ask($token, gzip => 'gzip', tag => $packed->{headers}{etag})->{status}, 304, 'nothing new for who has it packed');
is(ask($token, gzip => 'gzip', tag => $h->{etag})->{status}, 200, 'the tag of the other form is another');
{
	my $socket = connected($port);
	my $ok = grep { http($port, 'GET', "$path/$token", socket => $socket, headers => [ 'If-None-Match' => $h->{etag} ])->{status} == 304 } 1 .. 500;
	is($ok, 500, 'five hundred times');
}
is(metric('feeds_written_total'), $written, 'I7: and the feed was not written for any of these');

my ($date, $end) = (undef, time + 10);
$date = ask($token)->{headers}{'last-modified'} while !defined $date && time < $end;
like($date, qr/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT$/, 'Last-Modified, once its second is over');
is(ask($token, since => $date)->{status}, 304, 'If-Modified-Since with it');
is(ask($token, since => 'Fri, 01 Jan 2100 00:00:00 GMT')->{status}, 200, '... not with a date of the client');
is(ask($token, since => $date, tag => '"other"')->{status}, 200, '... and a tag goes before it');

# ---- something new: each is seen by the very next request

my %last = (etag => $h->{etag});
sub changed
{
	my ($name, $sql) = @_;

	is(ask($token, tag => $last{etag})->{status}, 304, "before: $name");
	$t->sql($sql);
	my $r = ask($token, tag => $last{etag});
	is($r->{status}, 200, "I6: a change is seen: $name");
	is(lines($r->{body}), feed_ics($token), '... as feed_ics() sees it');
	isnt($r->{headers}{etag}, $last{etag}, '... with another tag');
	$last{etag} = $r->{headers}{etag};
}
my $one = 'id = (SELECT min(id) FROM telehealth.appointment)';
changed('a visit moves', "UPDATE telehealth.appointment SET starts_at = starts_at + interval '10 minutes' WHERE id = (SELECT max(id) FROM telehealth.appointment)");
changed('a visit is cancelled', "UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE $one");
changed('a visit is deleted', "DELETE FROM telehealth.appointment WHERE $one");
changed('a visit more', q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 1, 'PHONE', now() + interval '40 days')});
changed('triggers off', "SET session_replication_role = replica; UPDATE telehealth.appointment SET type = 'IN_PERSON' WHERE $one");
changed('with another time zone', q{UPDATE telehealth.provider SET timezone = 'Europe/Berlin'});
changed('another name', "UPDATE telehealth.feed SET name = 'Dr. Uno'");
changed('names are let out', q{UPDATE telehealth.feed SET include_patient_names = true; INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('feed', 'patient_name', true)});
changed('a patient is renamed', q{UPDATE telehealth.patient SET display_name = 'Kanarie Bird'});
changed('names are not let out any more', 'DELETE FROM telehealth.disclosure_policy');
changed('in two phases', "BEGIN; UPDATE telehealth.appointment SET duration = 20 WHERE $one; PREPARE TRANSACTION 'first'; COMMIT PREPARED 'first'");

# The same, many times over, at the same moment as others write
{
	my $wrong = 0;
	my $socket = connected($port);
	for my $n (1 .. 25)
	{
		$t->sql("UPDATE telehealth.appointment SET duration = 10 + $n WHERE $one");
		my $r = http($port, 'GET', "$path/$token", socket => $socket, headers => [ 'If-None-Match' => $last{etag} ]);
		$wrong++ if $r->{status} != 200 || $r->{headers}{etag} eq $last{etag};
		$last{etag} = $r->{headers}{etag};
		$wrong++ if http($port, 'GET', "$path/$token", socket => $socket, headers => [ 'If-None-Match' => $last{etag} ])->{status} != 304;
	}
	is($wrong, 0, 'I6: twenty-five changes, and each is seen at once and told once');
}

# What does not show in the feed is looked at, and no reason to write
$written = metric('feeds_written_total');
my $checked = metric('feeds_checked_total');
for my $n (1 .. 10)
{
	$t->sql(q{INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, 2, 'PHONE', now() + interval '1 day' * 100 + interval '1 hour' * } . "$n)");
	is(ask($token, tag => $last{etag})->{status}, 304, 'another provider changes nothing');
}
is(metric('feeds_written_total'), $written, 'I7: what is no change is not written');
cmp_ok(metric('feeds_checked_total'), '>=', $checked + 10, '... but was looked at');

# The range moves with the clock: a visit leaves it, and another comes in;
# meanwhile nobody writes anything, so that nothing else gives a reason to look
{
	my $dispatcher = $t->dispatcher_pid;
	my $short = create(q{3, 'Short', sync_range_days => 1});
	$t->sql(q{SET session_replication_role = replica;
		INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration) VALUES
			(1, 3, 'PHONE', clock_timestamp() - interval '1 day' - interval '10 minutes' + interval '6 s', 10),
			(1, 3, 'PHONE', clock_timestamp() + interval '1 day' + interval '9 s', 10)});
	kill 'STOP', $dispatcher;
	my $r = ask($short->{token});
	my ($tag, $stop) = ($r->{headers}{etag}, time + 30);
	my @counts = (scalar(() = $r->{body} =~ /^BEGIN:VEVENT/mg));
	while (time < $stop && @counts < 3)
	{
		$r = ask($short->{token}, tag => $tag);
		next if $r->{status} == 304;
		$tag = $r->{headers}{etag};
		push @counts, scalar(() = $r->{body} =~ /^BEGIN:VEVENT/mg);
	}
	kill 'CONT', $dispatcher;
	is("@counts", '1 0 1', 'I6: a visit that leaves the range, and one that comes into it, are seen by the clock alone');
}

# ---- counted

{
	my $counted = create(q{1, 'Counted'});
	ask($counted->{token}, tag => '*') for 1 .. 7;
	ok($t->poll("SELECT access_count FROM telehealth.feed WHERE id = $counted->{feed_id}", 7, 30), 'whoever asks is counted, also when told that nothing is new');
}

# ---- no such feed

my @none = (
	'0' x 64, 'A' x 64, 'x', '.ics', '%00', '%2e%2e', "$token/", "$token/other", "$token.ics/qr.svg", "$token.ICS", uc $token, "$token.ics.ics", substr($token, 1),
	'a' x 4000);
my $other = http($port, 'GET', '/nothing');
for my $what (@none, "$none[0]/qr.svg")
{
	my $r = ask($what);
	is("$r->{status} $r->{body}", "404 $other->{body}", 'I8: no such feed: ' . substr($what, 0, 70) =~ s/$token/TOKEN/r);
}
is(http($port, 'GET', "$path/")->{status}, 404, 'no token is no feed');
my $gone = create(q{1, 'Gone'});
is(ask($gone->{token})->{status}, 200, 'a feed');
$t->sql("SELECT telehealth.revoke_feed($gone->{feed_id})");
for my $r (map { ask($gone->{token}, %$_) } {}, { tag => '*' }, { gzip => 'gzip' })
{
	is("$r->{status} $r->{body}", "404 $other->{body}", 'I8: none any more, at once');
	is_deeply([ sort keys %{ $r->{headers} } ], [ sort keys %{ $other->{headers} } ], '... with nothing that tells it from none');
}
is(ask("$gone->{token}/qr.svg")->{status}, 404, '... nor its code');
my $turned = $t->row("SELECT * FROM telehealth.rotate_feed($feed->{feed_id})");
is(ask($token)->{status} . ask($turned->{token})->{status}, '404200', 'I8: a token that was changed: the old one at once, the new one too');
$token = $turned->{token};
for my $method (qw(POST PUT DELETE OPTIONS PATCH))
{
	my $r = ask($token, method => $method);
	is("$r->{status} $r->{headers}{allow}", '405 GET, HEAD', "$method");
}
is(ask('x', method => 'POST')->{status}, 405, '... whatever the token');

# ---- its code

my $code = ask("$token/qr.svg");
is("$code->{status} $code->{headers}{'content-type'}", '200 image/svg+xml', 'a QR code');
ok(lines($code->{body}) eq lines($t->sql("SELECT telehealth.feed_qr('https://clinic.example/base/api/calendar/ical/$token.ics')")), '... of the feed\'s address');
like($code->{headers}{'cache-control'}, qr/no-store/, '... kept by nobody');

# ---- a feed that takes too long keeps nobody waiting

{
	# some twenty milliseconds' work: the limit is a second, and machines stand still
	my $VISITS = 6000;
	$t->sql(qq{SET session_replication_role = replica;
		INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, duration, is_overbooked, overbook_reason)
			SELECT 1, 9, 'PHONE', now() + n * interval '3 minutes', 2, true, 'x' FROM generate_series(1, $VISITS) AS n});
	my $big = create(q{9, 'Big', sync_range_days => 3660});
	for my $o ({ method => 'HEAD' }, { method => 'HEAD', gzip => 'gzip' }, { tag => '*' })
	{
		my $begin = time;
		my $r = ask($big->{token}, %$o);
		note sprintf '%d visits: %d after %.0f ms, %d kB', $VISITS, $r->{status}, 1000 * (time - $begin), ($r->{headers}{'content-length'} // 0) / 1024;
		is($r->{status}, $o->{tag} ? 304 : 200, 'a large feed');
	}

	# feeds that were never written, all asked for at once, and webhooks beside them
	my @tokens = map { create(qq{9, 'Big $_', sync_range_days => 3660})->{token} } 1 .. 24;
	my $written = metric('feeds_written_total');
	my $reader = fork // die;
	if (!$reader)
	{
		my @all = map { connected($port) } @tokens;
		syswrite $all[$_], "GET $path/$tokens[$_] HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n" for 0 .. $#all;
		POSIX::_exit(scalar grep { my $r = read_reply($_, limit => 30); !$r || $r->{status} != 200 } @all);
	}
	my $socket = connected($port);
	my (@took, %said);
	while (waitpid($reader, WNOHANG) == 0)
	{
		my $body = hook_event('meeting.started', meeting => 1000 + @took);
		my $begin = time;
		my $r = http($port, 'POST', '/zoom_events/events', socket => $socket, headers => [ %{ hook_headers('hush', $body) } ], body => $body, limit => 10);
		push @took, time - $begin;
		$said{ $r ? $r->{status} : 'none' }++;
	}
	my $failed = $?;
	@took = sort { $a <=> $b } @took;
	note sprintf '%d webhooks beside %d large feeds: half %.1f ms, 99 of 100 %.0f ms, slowest %.0f ms', scalar(@took), metric('feeds_written_total') - $written,
	  map { 1000 * $took[$_ * $#took] } 0.5, 0.99, 1;
	is(metric('feeds_written_total') - $written . " $failed", '24 0', 'two dozen large feeds are written');
	is_deeply([ keys %said ], [202], '... and every webhook beside them is taken') or diag explain \%said;
	# in a turn for all the feeds they would have one answer or two
	cmp_ok(scalar(@took), '>', 5, '... while feeds still wait');
}

SKIP:
{
	skip 'needs TH_DEBUG', 9 if !$t->is_debug;
	my $stuck;
	is(ask($token)->{status}, 200, 'a feed is written');
	$t->reload_conf('telehealth.debug_waitpoint' => 'gateway_feed');
	ok($t->poll(q{SELECT current_setting('telehealth.debug_waitpoint')}, 'gateway_feed', 10), 'writing a feed gets stuck');
	my $r;
	my $stop = time + 10;
	# the gateway reads its settings in a turn of its own
	do { $stuck = create(q{1, 'Stuck'}); $r = ask($stuck->{token}) } while ($r->{status} == 200 && time < $stop);
	is($r->{status}, 503, '... its time is bounded');
	ok($r->{headers}{'retry-after'}, '... it is to be asked for later');
	is(ask($token)->{status}, 200, '... what was written before is still given');
	my $watch = Stopwatch->start;
	$r = ask($stuck->{token});
	is("$r->{status} $r->{headers}{'retry-after'}", '503 60', '... and it is not tried again for a while');
	cmp_ok($watch->seconds, '<', 0.8, '... but refused at once');
	$t->reload_conf('telehealth.debug_waitpoint' => '');
	ok($t->poll(q{SELECT current_setting('telehealth.debug_waitpoint')}, '', 10), '... other feeds go on');
	is(ask(create(q{1, 'Other'})->{token})->{status}, 200, '... also such as were never written');
}

# ---- nothing of it is in the log

my $log = $t->log_text;
unlike($log, qr/\Q$_\E/, 'no token, path or tag is in the log') for "$path/", $h->{etag} =~ s/"//gr, 'If-None-Match';
finish();
