# Zoom's webhooks: who signed, what is answered, stored once, matched later.
# Signatures are made here and by openssl, never by telehealth.
use TelehealthTest;
use ZoomHook qw(hook_sign hook_headers hook_event hook_samples hook_prepare hook_deliver hook_status);
use Digest::SHA qw(hmac_sha256_hex);
use Mojo::JSON qw(decode_json encode_json);
use Time::HiRes qw(time);

my $SECRET = 'hook-secret-canary';
my $fake = FakeZoom->start;
my $t = TelehealthTest->node('hooks');
$t->create_extension;
hook_prepare($t);
my $account = $t->connect_zoom($fake, webhook_secret => $SECRET);

sub events { my ($where) = @_; return $t->sql('SELECT count(*) FROM telehealth.webhook_event' . ($where ? " WHERE $where" : '')) }
sub forget { $t->sql('DELETE FROM telehealth.webhook_event; DELETE FROM telehealth_private.job WHERE kind = \'session\''); return }

# ---- what signs: three implementations agree

my $body = hook_event('meeting.started', meeting => '5551', at => 1767607200000);
my $stamp = int time;
my $file = $t->basedir . '/signed';
open my $h, '>:raw', $file or die;
print $h "v0:$stamp:$body";
close $h;
my ($by_openssl) = `openssl dgst -sha256 -hmac '$SECRET' '$file'` =~ /([0-9a-f]{64})/;
is('v0=' . $by_openssl, hook_sign($SECRET, $stamp, $body), 'H3: openssl and perl sign alike');
is((hook_deliver($t, [ { 'x-zm-request-timestamp' => "$stamp", 'x-zm-signature' => "v0=$by_openssl" }, $body ]))[0], 200, 'H3: and telehealth takes it');
is(events(), 1, 'H3: it is stored');

# ---- H3: every bit counts

my $headers = hook_headers($SECRET, $body, stamp => $stamp);
my @changed;
for my $bit (0 .. 8 * length($body) - 1)
{
	my $other = $body;
	vec($other, $bit, 1) ^= 1;
	push @changed, [ $headers, $other ];
}
for my $name (sort keys %$headers)
{
	for my $bit (0 .. 8 * length($headers->{$name}) - 1)
	{
		my $other = $headers->{$name};
		vec($other, $bit, 1) ^= 1;
		push @changed, [ { %$headers, $name => $other }, $body ] if $other !~ /\0/;
	}
}
forget();
my @answers = hook_deliver($t, @changed);
is(scalar(grep { !/^40[01]$/ } @answers), 0, 'H3: a change of one bit in body, time or signature is refused (' . @changed . ' of them)');
is(events(), 0, 'H3: and leaves nothing');
is(scalar(grep { $_ ne 401 } (hook_deliver($t, map { [ $_, $body ] } (
	{}, { 'x-zm-signature' => $headers->{'x-zm-signature'} }, { 'x-zm-request-timestamp' => "$stamp" },
	{ authorization => $SECRET, 'x-zm-request-timestamp' => "$stamp" }, { %$headers, 'x-zm-signature' => substr($headers->{'x-zm-signature'}, 3) },
	{ %$headers, 'x-zm-signature' => "$headers->{'x-zm-signature'} " }, { %$headers, 'x-zm-signature' => [ ($headers->{'x-zm-signature'}) x 2 ] },
	{ %$headers, 'x-zm-request-timestamp' => " $stamp" }, { %$headers, 'x-zm-request-timestamp' => "$stamp.0" }, { %$headers, 'x-zm-request-timestamp' => "+$stamp" },
	hook_headers('', $body), hook_headers("$SECRET ", $body), hook_headers('hook-secret', $body), hook_headers('client-1', $body), hook_headers('secret-1', $body))))), 0,
	'H3: nothing but the present signature of the secret is one');

# ---- H4: bytes, not their meaning

my $odd = qq(\n\t{"payload" :{"object":{"topic":"\\u005a\\/\xc3\xab \xe6\x9d\x8e", "uuid":"odd==",\r\n"id":  1234.0e0}, "account_id":"acct-1"}, "event_ts":1767607200001,"event_ts": 1767607200002, "event":"meeting.started"}  );
is(hook_status($t, $SECRET, $odd), 200, 'H4: odd spacing, order, escapes and a member twice');
is($t->sql(q{SELECT meeting_uuid || ' ' || meeting_id || ' ' || (raw #>> '{payload,object,topic}') FROM telehealth.webhook_event}), "odd== 1234 Z/\x{c3}\x{ab} \x{e6}\x{9d}\x{8e}", 'H4: is read as it is meant');

# ---- H5, H7: late, and again

forget();
my $late = hook_event('meeting.started', meeting => '5552', at => 1767607200000);
is(hook_status($t, $SECRET, $late, age => 94.5 * 60), 200, 'H5: a delivery that is 94 minutes old is taken');
is(hook_status($t, $SECRET, $late, age => 94.5 * 60), 200, 'H5: once more is answered alike');
is(hook_status($t, $SECRET, $late), 200, 'H5: so is one with a new time and signature');
is(events(), 1, 'H5: it is stored once');
is(hook_status($t, $SECRET, $late, age => 95.5 * 60), 401, 'H5: 96 minutes are too old');
is(hook_status($t, $SECRET, $late, age => -16 * 60), 401, 'H5: so is what is of a quarter of an hour from now');
is((hook_deliver($t, [ hook_headers($SECRET, $late, stamp => int(time * 1000)), $late ]))[0], 200, 'H5: milliseconds are a time as well');

my $samples = hook_samples();
@answers = hook_deliver($t, map { [ hook_headers($SECRET, $samples->{$_}), $samples->{$_} ] } sort keys %$samples);
is(join(' ', grep { $_ ne 200 } @answers), '', 'every kind of event is answered with 200 (' . @answers . ' kinds)');
is(events("event_name = ANY ('{" . join(',', sort keys %$samples) . "}') AND business_key IS NOT NULL AND meeting_id IS DISTINCT FROM '5552'"), scalar(keys %$samples), 'and stored');
is($t->sql(q{SELECT string_agg(DISTINCT event_name, ' ') FROM telehealth.webhook_event WHERE event_at IS NULL}), 'app_deauthorized', 'with its time');
ok($t->poll(q{SELECT string_agg(event_name, ' ' ORDER BY event_name) FROM telehealth.webhook_event WHERE meeting_id IS NULL AND outcome = 'recorded' AND processed_at IS NOT NULL},
	'app_deauthorized user.deactivated user.deleted user.updated'), 'what is of no meeting is recorded');
is(events(q{raw::text ~ 'canary'}), 0, 'S1: no password and no token of a body is kept');
is($t->sql(q{SELECT interpreter_requested FROM telehealth.webhook_event WHERE event_name = 'meeting.interpreter_requested'}), 't', 'a request for an interpreter is seen');

# the same happening, with another time of making, twice in one transaction and in any case
my $again = hook_samples();
my $before = events();
hook_deliver($t, map { [ hook_headers($SECRET, $again->{$_}), $again->{$_} ] } grep { /participant_(joined|left|admitted|joined_waiting_room|left_waiting_room|put_in_waiting_room|role_changed)$|meeting\.(started|ended)$|recording\.(completed|started|stopped)/ } sort keys %$again);
is(events(), $before, 'H7: told with another event_ts it is no other happening');

# ---- H1, H2: the check of the URL

my $challenge = '{"event":"endpoint.url_validation","event_ts":1767607200000,"payload":{"plainToken":"plain-token-1"}}';
sub reply { my ($secret, $b) = @_; return $t->row("SELECT status, body FROM telehealth.receive_webhook('zoom', " . literal(encode_json(hook_headers($secret, $b))) . ", " . literal($b) . '::text)') }
my $exact = sub { '{"plainToken":"plain-token-1","encryptedToken":"' . hmac_sha256_hex('plain-token-1', $_[0]) . '"}' };
is(reply($SECRET, $challenge)->{body}, $exact->($SECRET), 'H1: the exact answer');
ok($t->poll(q{SELECT status || ' ' || detail FROM telehealth.health WHERE check_name = 'webhook_challenge'}, 'ok a platform last asked for proof of the secret 0.0 hours ago', 5), 'H1: its age is in health');
is(reply('another', $challenge)->{status}, 401, 'H1: nobody else is answered');
$t->sql(q{ALTER SYSTEM SET telehealth.databases = 'none'});
$t->reload;
ok($t->poll(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telehealth dispatcher'}, 0, 20), 'without a dispatcher');
is(reply($SECRET, $challenge)->{body}, $exact->($SECRET), 'H1: the answer is the same');
is(hook_status($t, $SECRET, hook_event('meeting.started', meeting => '5553')), 200, 'H1: and events are taken');

$t->connect_zoom($fake, webhook_secret => 'second-secret');
is(reply($_, $challenge)->{body}, $exact->($_), "H2: after a change $_ is proved with itself") for ($SECRET, 'second-secret');
is(hook_status($t, $_, hook_event('meeting.started', meeting => '5554')), 200, "H2: and $_ signs events") for ($SECRET, 'second-secret');
is(events(q{meeting_id = '5554'}), 1, 'H2: to the same effect');
$t->sql("UPDATE telehealth_private.account_secret SET expires_at = now() WHERE name = 'former_webhook_secret'");
is(hook_status($t, $SECRET, hook_event('meeting.started', meeting => '5554')), 401, 'H2: until the former one is over');
$t->sql("SELECT telehealth.disconnect_platform($account)");
is(hook_status($t, 'second-secret', hook_event('meeting.started', meeting => '5554')), 401, 'H2: a disconnected account takes nothing');
$t->connect_zoom($fake, webhook_secret => undef);
is(hook_status($t, $_, hook_event('meeting.started', meeting => '5554')), 401, 'H2: nor does one without a secret') for ('second-secret', '');
is($t->sql("SELECT count(*) FROM telehealth.health WHERE check_name = 'webhook_secret' AND status = 'warning'"), 1, 'H2: which health says');
$t->connect_zoom($fake, webhook_secret => $SECRET);

# many accounts: every live secret is tried, and it takes no time
$t->sql(q{SELECT telehealth.connect_platform('zoom', jsonb_build_object('account_id', 'many-' || c, 'client_id', 'c', 'client_secret', 's', 'webhook_secret', 'many-secret-' || c), clinic_id => c)
	FROM generate_series(1000, 1950) AS c});
is(reply("many-secret-$_", $challenge)->{body}, $exact->("many-secret-$_"), "H1: one secret of a thousand ($_)") for (1000, 1950);
# milliseconds of processor, which a busy machine does not stretch
my $CPU = q{(SELECT (f[14]::numeric + f[15]::numeric) * 10 FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', 'pid name '), ' ') AS f)};
sub took
{
	my ($secret, $b, $n) = @_;
	my $sql = $t->basedir . '/took.sql';
	my $call = 'PERFORM telehealth.receive_webhook(\'zoom\', ' . literal(encode_json(hook_headers($secret, $b))) . ', body);';
	open my $f, '>', $sql or die;
	print $f 'DO $$ DECLARE c numeric; body text := ' . literal($b) . "; BEGIN $call c := $CPU; FOR i IN 1 .. $n LOOP $call END LOOP; RAISE NOTICE 'took %', ($CPU - c) / $n; END \$\$";
	close $f;
	my (undef, undef, $err) = $t->psql($t->db, "\\i $sql");
	return $err =~ /took ([\d.]+)/ ? $1 : 9999;
}
my $ms = took('many-secret-1950', $challenge, 20);
note "a challenge among 952 secrets takes $ms ms";
cmp_ok($ms, '<', 50, 'H1: among a thousand secrets in less than 50 ms');
is(hook_status($t, 'many-secret-1500', hook_event('meeting.started', account => 'many-1500')), 200, 'the account that the body names');
is(hook_status($t, 'many-secret-1501', hook_event('meeting.started', account => 'many-1500')), 401, 'and no other');
# whoever asks for proof of any secret makes all of them be tried, over a body that is no longer than such a question
my $padded = sub { my ($n) = @_; my $b = substr($challenge, 0, -1) . ',"x":"'; return $b . 'x' x ($n - length($b) - 2) . '"}' };
is(reply($SECRET, $padded->(2048))->{status}, 200, 'H1: a challenge may be of 2 kB');
is(reply($SECRET, $padded->(2049))->{status}, 400, 'H1: and of no more, whoever signed');
# as accounts by OAuth: the application's secret is in all of them, and no number
$t->sql(q{SELECT telehealth.connect_platform('zoom', jsonb_build_object('account_id', 'many-' || c, 'client_id', 'c', 'client_secret', 's', 'webhook_secret', 'shared-secret'), clinic_id => c) FROM generate_series(1000, 1950) AS c;
	UPDATE telehealth.account SET vendor_key = NULL WHERE clinic_id >= 1000; DELETE FROM telehealth_private.account_secret WHERE clinic_id >= 1000 AND name = 'former_webhook_secret'});
my $big = hook_event('meeting.started', meeting => '5559', object => { topic => 'x' x 1_000_000 });
my $forged = took('not-the-secret', $big, 5);
note "a forged megabyte among 951 accounts of one secret takes $forged ms";
cmp_ok($forged, '<', 200, 'H3: a secret that many accounts share is tried once');
is(hook_status($t, 'shared-secret', $big), 200, 'H3: and signs');
$t->sql(q{DELETE FROM telehealth.account WHERE clinic_id >= 1000; ALTER SYSTEM RESET telehealth.databases});
$t->reload;
$t->wait_dispatcher;

# ---- H11: before its session, and of another's

forget();
my $visit = $t->insert_visit;
my $session = $t->await($visit);
my $meeting = $session->{meeting_id};
is(hook_status($t, $SECRET, hook_event('meeting.started', meeting => $meeting)), 200, 'an event of a meeting of ours');
is($t->sql(q{SELECT clinic_id || ' ' || session_id FROM telehealth.webhook_event}), "$session->{clinic_id} $session->{id}", 'is its session\'s, in its clinic');
# the fake's numbers have a step
my $next = 2 * $t->await($t->insert_visit)->{meeting_id} - $meeting;
my $soon = hook_event('meeting.created', meeting => "$next");
is(hook_status($t, $SECRET, $soon), 200, 'H11: an event of a meeting that is not there yet');
is($t->sql(q{SELECT clinic_id || ' ' || outcome FROM telehealth.webhook_event WHERE session_id IS NULL}), '0 unmatched', 'H11: is kept');
# long ago for the sweep: it is whoever writes the meeting's id that finds it
$t->sql("UPDATE telehealth.webhook_event SET received_at = now() - interval '2 hours' WHERE meeting_id = '$next'");
my $second = $t->await($t->insert_visit);
is($second->{meeting_id}, $next, 'the meeting that was spoken of');
ok($t->poll(qq{SELECT clinic_id || ' ' || session_id || ' ' || (outcome IS DISTINCT FROM 'unmatched') FROM telehealth.webhook_event WHERE meeting_id = '$next'}, "1 $second->{id} true", 10), 'H11: it goes to its session');
is(hook_status($t, $SECRET, $soon), 200, 'H11: told again');
is(events("meeting_id = '$next'"), 1, 'H11: it is the same event');
# the two transactions that saw nothing of each other: what the sweep is for
$t->sql(qq{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, account_clinic_id, account_id, meeting_id, raw, business_key, outcome)
	SELECT 0, 'zoom', 'meeting.lost', account_clinic_id, account_id, '$next', '{}', 'lost', 'unmatched' FROM telehealth.session WHERE id = $second->{id}});

# other meetings of the account are not ours to keep
$t->sql(q{SELECT telehealth.hold_history('an investigation')});
$t->sql(q{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, meeting_id, raw, business_key, outcome, received_at, session_id)
	SELECT CASE WHEN s THEN 1 ELSE 0 END, 'zoom', 'meeting.old', 'x', '{}', (o || d)::bytea, o, now() - d * interval '1 day', CASE WHEN s THEN 5 END
	FROM (VALUES ('unmatched', 29, false), ('recorded', 31, false), ('unmatched', 32, false), ('applied', 400, true)) AS v (o, d, s)});
my $held_since = $t->sql('SELECT clock_timestamp()');
ok($t->poll(q{SELECT clinic_id || ' ' || (session_id IS NOT NULL) || ' ' || (outcome IS DISTINCT FROM 'unmatched') FROM telehealth.webhook_event WHERE event_name = 'meeting.lost'}, '1 true true', 30), 'H11: the sweep finds what was missed');
ok($t->poll(qq{SELECT last_success_at > '$held_since' FROM telehealth.periodic_tasks WHERE task = 'events'}, 't', 30)
	&& events("event_name = 'meeting.old'") == 4, 'W18: held history is kept');
$t->sql('SELECT telehealth.release_history()');

# who has an account of their own speaks of their own meetings alone, whatever number they claim
$t->connect_zoom($fake, clinic => 2, account_id => $_, webhook_secret => 'evil-secret'), is(hook_status($t, 'evil-secret', hook_event('meeting.ended', meeting => $meeting, account => $_)), 200, "an event of an account of clinic 2, $_")
  for qw(acct-1 acct-2);
is($t->sql(q{SELECT string_agg(DISTINCT clinic_id || ' ' || outcome, ',') FROM telehealth.webhook_event WHERE event_name = 'meeting.ended'}), '0 unmatched', 'S4: does not touch a meeting of clinic 1');
is(hook_status($t, $SECRET, hook_event('meeting.ended', meeting => $meeting)), 200, 'S4: nor keep the genuine one out');
is(events(q{event_name = 'meeting.ended' AND clinic_id = 1}), 1, 'S4: which arrives');
is(hook_status($t, $_->[0], hook_event('meeting.started', meeting => '424242', at => 1767607200000, account => $_->[1])), 200, 'S4: the same words by both, before there is a session')
  for [ 'evil-secret', 'acct-2' ], [ $SECRET, 'acct-1' ];
is(events(q{meeting_id = '424242'}), 2, 'S4: are not the same event');

# ---- nobody waits for who is putting a visit together

my $alert = 'meeting.risk_alert';
my $processed = qq{SELECT count(*) FROM telehealth.webhook_event WHERE event_name = '$alert' AND processed_at IS NOT NULL};
for my $n (1 .. 3)
{
	my ($holder, $teller) = map { $t->background_psql('postgres') } 1, 2;

	$t->drained;
	$t->sql("INSERT INTO telehealth_private.job (kind, clinic_id, subject_id, priority, due_at) VALUES ('session', 1, $session->{id}, 2, now() + interval '1 hour')");
	$holder->query_safe("BEGIN; SELECT FROM telehealth_private.job WHERE kind = 'session' FOR UPDATE");
	$body = hook_event($alert, meeting => $meeting, at => 1767607299000 + $n);
	is($teller->query_safe("BEGIN; SET LOCAL statement_timeout = '5s'; SELECT status FROM telehealth.receive_webhook('zoom', " . literal(encode_json(hook_headers($SECRET, $body))) . ', ' . literal($body) . '::text)'),
		200, 'H8: a job that somebody holds keeps no delivery waiting');
	$holder->query_safe('ROLLBACK');
	$teller->query_safe('COMMIT');
	ok($t->poll($processed, $n, 20), 'H8: the event is looked at at once all the same, though the job was due much later');
	$_->quit for $holder, $teller;
}

# ... and meanwhile what was held is gone

ok($t->poll(q{SELECT string_agg(outcome, ' ' ORDER BY id) FROM telehealth.webhook_event WHERE event_name = 'meeting.old'}, 'unmatched applied', 30), 'P1: what is of no session goes after history_days, nothing else');

# ---- keys

my $key = $t->data_dir . '/telehealth.key';
rename $key, "$key.away" or die;
is(hook_status($t, $SECRET, hook_event('meeting.started', meeting => '777')), 503, 'without its key a secret cannot be looked at: the sender is to try again');
rename "$key.away", $key or die;
is(hook_status($t, $SECRET, hook_event('meeting.started', meeting => '777')), 200, 'and with it goes on');

# ---- what is no body

my %bad = (
	'no UTF-8' => "{\"event\":\"x\xff\",\"payload\":{\"account_id\":\"acct-1\"}}", 'half a character' => "{\"event\":\"x\xe6\x9d\",\"payload\":{\"account_id\":\"acct-1\"}}",
	'a surrogate in UTF-8' => "{\"event\":\"x\xed\xa0\x80\",\"payload\":{\"account_id\":\"acct-1\"}}", 'a zero byte' => "{\"event\":\"x\"}\0", 'only that' => "\0", 'nothing' => '',
	'10,000 levels' => '[' x 10000, 'levels in an event' => '{"event":"x","payload":{"account_id":"acct-1","object":' . '[' x 100 . ']' x 100 . '}}',
	'a number beyond numbers' => '{"event":"x","payload":{"account_id":"acct-1"},"a":1e1000000}', 'a part' => substr($body, 0, 50), 'two' => "$body$body", 'half an escape' => '{"event":"\\u12');
is(join(', ', grep { hook_status($t, $SECRET, $bad{$_}) ne 400 } sort keys %bad), '', 'a body that is none is refused with 400');

# the server writes numbers out: nine bytes would be 131 kB of text, and a body more than can be dumped
sub numbers { my ($n, $name) = @_; return qq({"event": "$name", "event_ts": 1767607200001, "payload": {"account_id": "acct-1", "object": {"many": [$n]}}}) }
my @long = map { numbers($_, 'numbers.long') } '1e100', '-1.5E-100', '0E+00100', '[2, 1e131071]', join(',', ('1e131071') x 100_000);
is(join(' ', hook_deliver($t, map { [ hook_headers($SECRET, $_), $_ ] } @long)), '400 400 400 400 400', 'nor are numbers longer than they look');
is(hook_status($t, $SECRET, numbers('1e99, -1.5E-99, 1e+0012, "1e100", "\\"1e100", true, 1767607200001', 'numbers.short')), 200, '... and others are fine');
is($t->sql(q{SELECT string_agg(event_name || ' ' || length(raw::text), ', ') FROM telehealth.webhook_event WHERE event_name LIKE 'numbers.%'}), 'numbers.short 375', '... as they are');
my $large = hook_event('meeting.started', meeting => '888', object => { topic => 'x' x 1_040_000 });
is(hook_status($t, $SECRET, $large), 200, 'a body of a megabyte');
is(hook_status($t, $SECRET, hook_event('meeting.started', meeting => '889', object => { topic => 'x' x 1_050_000 })), 413, 'and one of more');

# ---- H4, H11: whatever is in it

srand(my $seed = $ENV{TELEHEALTH_SEED} // int(time));
my @scalars = (undef, 0, -1, 1.5, 1e300, 9007199254740993, '', ' ', "\x{0}", "\x{d83d}", 'x' x 5000, "\x{1f600}" x 200, '2026-13-45T99:99:99Z', '-0', '1e5', '[]', [], {}, [ [] ], { a => { b => [1] } },
	Mojo::JSON::true, Mojo::JSON::false, '99999999999999999999', "a\nb", "\x{202e}", '{1/1,2/2}', "'; DROP TABLE x; --");
my @all = map { $samples->{$_} } sort keys %$samples;

# Some value of a document becomes another
sub mutate
{
	my ($node) = @_;
	my @places;
	my @queue = ($node);

	while (my $n = shift @queue)
	{
		my @keys = ref $n eq 'HASH' ? (sort keys %$n) : ref $n eq 'ARRAY' ? (0 .. $#$n) : ();
		push @places, map { [ $n, $_ ] } @keys;
		push @queue, grep { ref } map { ref $n eq 'HASH' ? $n->{$_} : $n->[$_] } @keys;
	}
	for (1 .. 1 + int rand 3)
	{
		my ($n, $k) = @{ $places[ rand @places ] };
		next if $k eq 'account_id';
		my $to = $scalars[ rand @scalars ];

		if (ref $n eq 'HASH' && rand() < 0.2) { delete $n->{$k} }
		elsif (ref $n eq 'HASH') { $n->{$k} = $to }
		else { $n->[$k] = $to }
	}
	return encode_json($node);
}
my $rounds = $ENV{TELEHEALTH_LONG} ? 20_000 : 3000;
my @mutants = map {
	my $one = $all[ rand @all ];
	if (rand() < 0.75) { $one = mutate(decode_json($one)) }
	else
	{
		for (1 .. 1 + int rand 4)
		{
			my $at = int rand length $one;
			my $how = int rand 4;

			if ($how == 0) { substr($one, $at, 1) = chr int rand 256 }
			elsif ($how == 1) { substr($one, $at, 1 + int rand 5) = '' }
			elsif ($how == 2) { substr($one, $at, 0) = ('\u0000', '\ud800', '{', '[', '"', '\\', ',', ':', '1e9', "\0", "\xc3", ' ')[ rand 12 ] }
			else { $one = substr($one, 0, $at) . $one }
			last if !length $one;
		}
	}
	$one } 1 .. $rounds;
my $log = $t->log_size;
@answers = hook_deliver($t, map { [ hook_headers($SECRET, $_), $_ ] } @mutants);
my %count;
$count{$_}++ for @answers;
note "seed $seed: " . join ', ', map { "$_: $count{$_}" } sort keys %count;
my @raised = grep { $answers[$_] !~ /^(200|400|401)$/ } 0 .. $#answers;
is(scalar(@raised), 0, "$rounds mutants: no crash and no error, seed $seed") or diag join "\n", map { "$answers[$_]: $mutants[$_]" } grep { defined } @raised[ 0 .. 2 ];
cmp_ok($count{200}, '>', $rounds / 2, 'most of them are events');
cmp_ok($count{400}, '>', $rounds / 50, 'some are none');
unlike($t->log_text($log), qr/Jo Sample|jo\@mail|PANIC|server process .* was terminated/, 'P1: nothing of them is in the log');
ok($t->drained(60), 'and the dispatcher looks at all of them');

# ---- H8: while much waits

$t->sql(q{ALTER SYSTEM SET telehealth.databases = 'none'});
$t->reload;
$t->poll(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telehealth dispatcher'}, 0, 20);
$t->sql(qq{INSERT INTO telehealth.webhook_event (clinic_id, source, event_name, session_id, meeting_id, raw, business_key)
	SELECT 1, 'zoom', 'meeting.alert', $session->{id}, '$meeting', '{}', sha256(n::text::bytea) FROM generate_series(1, 10000) AS n});
my $script = $t->basedir . '/h8.sql';
open $h, '>', $script or die;
print $h "\\o /dev/null\n\\timing on\n";
for my $n (1 .. 600)
{
	my $b = hook_event('meeting.alert', meeting => $meeting, at => 1767607200000 + $n);
	print $h "SELECT telehealth.receive_webhook('zoom', ", literal(encode_json(hook_headers($SECRET, $b))), ', ', literal($b), "::text);\n";
}
close $h;
my (undef, $out) = $t->psql($t->db, "\\i $script");
my @times = sort { $a <=> $b } $out =~ /Time: ([\d.]+) ms/g;
note sprintf 'H8: with 10,000 unprocessed: p50 %.2f ms, p99 %.2f ms, worst %.2f ms', @times[ @times / 2, @times * 0.99, -1 ];
is(scalar(@times), 600, 'H8: events are taken while 10,000 wait');
is(events(qq{event_name = 'meeting.alert' AND session_id = $session->{id} AND raw <> '{}'}), 600, 'H8: each is stored');

finish;
