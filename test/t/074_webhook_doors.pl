# The doors beside Zoom's: each verified in its vendor's way, recorded once,
# and closed to everybody else.
use TelehealthTest;
use HttpClient qw(http connected read_reply);
use Digest::SHA qw(hmac_sha1 hmac_sha256_hex sha256_hex);
use Mojo::JSON qw(encode_json);
use Mojo::Util qw(b64_encode url_escape);

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $t = TelehealthTest->node('main', log_min_messages => 'debug5', conf => {
	'telehealth.http_port' => $port, 'telehealth.public_url' => 'https://clinic.example/' });
$t->create_extension;
ok($t->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 20), 'the gateway listens');

my $account = 'AC0123456789abcdef0123456789abcdef';
my %secret = (twilio => 'twilio token', 'google-calendar' => 'google token', graph => 'graph state', 'provider-schedule' => 'schedule secret');
my %channel = (twilio => $account, 'google-calendar' => 'channel-1', graph => 'subscription-1', 'provider-schedule' => 'roster');

# nobody is known yet
sub post
{
	my ($source, $headers, $body, %o) = @_;
	return http($port, 'POST', "/api/webhooks/$source" . ($o{query} // ''), headers => [ @$headers ], body => $body // '');
}
sub status { return post(@_)->{status} }
sub events { return $t->sql('SELECT count(*) FROM telehealth.webhook_event' . ($_[0] ? " WHERE source = '$_[0]'" : '')) }
sub last_event { return $t->row('SELECT * FROM telehealth.webhook_event ORDER BY id DESC LIMIT 1') }

# ---- deliveries as the vendors make them

sub form { my (@f) = @_; my @t; while (my ($k, $v) = splice @f, 0, 2) { push @t, url_escape($k) . '=' . url_escape($v) =~ s/%20/+/gr } return join '&', @t }

sub twilio
{
	my ($fields, %o) = @_;
	my @pairs = @$fields;
	my %seen;
	my @sorted;

	while (my ($k, $v) = splice @pairs, 0, 2) { push @sorted, [ $k, $v ] if !$seen{"$k\0$v"}++ }
	my $text = ($o{url} // 'https://clinic.example/api/webhooks/twilio') . ($o{query} // '')
	  . join '', map { "$_->[0]$_->[1]" } sort { $a->[0] cmp $b->[0] || $a->[1] cmp $b->[1] } @sorted;
	return ([ 'X-Twilio-Signature' => b64_encode(hmac_sha1($text, $o{secret} // $secret{twilio}), ''),
		'Content-Type' => 'application/x-www-form-urlencoded' ], form(@$fields), query => $o{query});
}
my @room = (AccountSid => $account, RoomSid => 'RM5c1e41751a2169607f1cc0d3a9fb1dbb', RoomName => 'visit-42', RoomStatus => 'in-progress',
	ParticipantSid => 'PA2ce0', ParticipantIdentity => "Zo\xc3\xab & co", StatusCallbackEvent => 'participant-connected',
	SequenceNumber => 1, Timestamp => '2026-01-05T10:00:05.123Z');
my @sms = (MessageSid => 'SM0123', AccountSid => $account, From => '+15550101', To => '+15550100', MessageStatus => 'delivered', ApiVersion => '2010-04-01');

sub google
{
	my (%o) = @_;
	my %h = ('X-Goog-Channel-ID' => 'channel-1', 'X-Goog-Channel-Token' => $secret{'google-calendar'}, 'X-Goog-Resource-ID' => 'ret08u3',
		'X-Goog-Resource-URI' => 'https://www.googleapis.com/calendar/v3/calendars/somebody%40example.com/events?alt=json',
		'X-Goog-Resource-State' => 'exists', 'X-Goog-Message-Number' => 10, %o);
	return ([ map { ($_ => $h{$_}) } grep { defined $h{$_} } sort keys %h ], '');
}

sub item
{
	my (%o) = @_;
	return { subscriptionId => 'subscription-1', clientState => $secret{graph}, changeType => 'updated',
		resource => 'Users/u/Events/e', resourceData => { id => 'e', '@odata.etag' => 'W/"1"' }, %o };
}
sub graph { return ([ 'Content-Type' => 'application/json; charset=utf-8' ], encode_json({ value => [@_] })) }

sub schedule
{
	my ($json, %o) = @_;
	my $body = ref $json ? encode_json($json) : $json;
	my $at = $o{at} // time;
	return ([ 'X-Schedule-Sender' => $o{sender} // 'roster', 'X-Schedule-Timestamp' => $at,
		'X-Schedule-Signature' => 'sha256=' . hmac_sha256_hex("$at.$body", $o{secret} // $secret{'provider-schedule'}) ], $body);
}

my %good = (
	twilio => sub { twilio(\@room) },
	'google-calendar' => sub { google() },
	graph => sub { graph(item()) },
	'provider-schedule' => sub { schedule({ event => 'APPOINTMENT.BOOKED', id => 'n-1', slot => '2031-01-06T09:00:00Z' }) });

# A calendar's channel that was stopped goes on telling: it is answered, and not heard
my %stray = ('google-calendar' => 200, graph => 200, twilio => 401, 'provider-schedule' => 401);
is(status($_ => $good{$_}->()), $stray{$_}, "G4: $_: nobody may deliver before there is a secret") for sort keys %good;
$t->sql(sprintf "SELECT telehealth_private.put_push_channel(5, '%s', '%s', '%s')", $_, $channel{$_}, $secret{$_}) for sort keys %good;
is(events(), 0, 'and nothing is recorded');

for my $source (sort keys %good)
{
	my $r = post($source => $good{$source}->());
	is("$r->{status} $r->{body}", '200 {"status":"ok"}', "$source: a genuine delivery");
	is(events($source), 1, "$source: is recorded");
	is(last_event()->{clinic_id}, 5, "$source: for the clinic whose secret it is");
	is(status($source => $good{$source}->()), 200, "$source: again");
	is(events($source), 1, "H7: $source: is recorded once");
	$t->sql("SELECT telehealth_private.put_push_channel(5, '$source', '$channel{$source}', 'another secret')");
	is(status($source => $good{$source}->()), 401, "$source: refused once the secret is another");
	$t->sql("SELECT telehealth_private.put_push_channel(5, '$source', '$channel{$source}', '$secret{$source}', now() - interval '1 second')");
	is(status($source => $good{$source}->()), $stray{$source}, "$source: refused once the channel has expired");
	is(events($source), 1, "G4: $source: and nothing is recorded");
	$t->sql("SELECT telehealth_private.put_push_channel(5, '$source', '$channel{$source}', '$secret{$source}')");
	is(status($source => [], ''), $source eq 'graph' ? 400 : 401, "$source: nothing at all");
	is(http($port, 'GET', "/api/webhooks/$source")->{status}, 405, "$source: is not to be read");
}
is($t->sql("SELECT string_agg(DISTINCT outcome, ' ') FROM telehealth.webhook_event"), 'recorded', 'what they mean is for others to say');

# ---- Twilio

my $row = $t->row("SELECT * FROM telehealth.webhook_event WHERE source = 'twilio'");
is("$row->{event_name} $row->{meeting_id} $row->{participant_id} $row->{participant_name}",
	"participant-connected RM5c1e41751a2169607f1cc0d3a9fb1dbb PA2ce0 Zo\x{eb} & co", 'Twilio: what a room says');
is($t->sql("SELECT event_at FROM telehealth.webhook_event WHERE source = 'twilio'"), $t->sql("SELECT '2026-01-05T10:00:05.123Z'::timestamptz"), 'Twilio: and when');
is(status(twilio => twilio(\@room, url => "https://clinic.example:443/api/webhooks/twilio")), 200, 'Twilio: signed with the port');
is(status(twilio => twilio(\@room, url => $_)), 401, "Twilio: signed for another address: $_")
  for 'http://clinic.example/api/webhooks/twilio', 'https://clinic.example:80/api/webhooks/twilio', 'https://evil.example/api/webhooks/twilio', 'https://clinic.example/api/webhooks/twilio/';
is(status(twilio => twilio([ @room, b => 2, a => 1, b => 1, b => 2, '' => '' ], query => '?visit=1')), 200, 'Twilio: fields sorted, alike ones once, and the query');
{
	my ($h, $b, %o) = twilio(\@room, query => '?visit=1');
	is(status(twilio => $h, $b, query => '?visit=2'), 401, 'Twilio: another query');
	($h, $b) = twilio(\@room);
	is(status(twilio => $h, "$b&x=1"), 401, 'Twilio: one field more');
	is(status(twilio => $h, $b =~ s/visit-42/visit-43/r), 401, 'Twilio: another value');
	is(status(twilio => [ @$h, 'X-Twilio-Signature' => $h->[1] ], $b), 401, 'Twilio: two signatures');
	is(status(twilio => $h, $_), 400, 'Twilio: no form') for '', 'a=%', 'a=%zz', 'a=%00', 'a=1&' x 201;
	is(status(twilio => twilio([ AccountSid => 'AC9', MessageSid => 'x' ])), 401, 'Twilio: another account');
	is(status(twilio => twilio([ @room, AccountSid => 'AC9' ])), 401, 'Twilio: two accounts');
	is(status(twilio => twilio([ @sms, Body => "\xff" ])), 400, 'Twilio: a field that is no text');
}
is(status(twilio => twilio(\@sms)), 200, 'Twilio: a message');
is(last_event()->{event_name}, 'message.delivered', 'Twilio: its status');
is(status(twilio => twilio([ @sms[ 0 .. 7 ], Body => 'STOP' ])), 200, 'Twilio: one that came');
is(last_event()->{event_name}, 'message.received', 'Twilio: is told apart');
{
	my $body = encode_json({ AccountSid => $account, MessageSid => 'SM9' });
	my $query = '?bodySHA256=' . sha256_hex($body);
	my $sign = sub { b64_encode(hmac_sha1('https://clinic.example/api/webhooks/twilio' . $_[0], $secret{twilio}), '') };
	my @h = ('Content-Type' => 'application/json', 'X-Twilio-Signature');

	is(status(twilio => [ @h, $sign->($query) ], $body, query => $query), 200, 'Twilio: JSON, by the digest in the address');
	is(status(twilio => [ @h, $sign->($query) ], $body =~ s/SM9/SM8/r, query => $query), 401, 'Twilio: another body');
	is(status(twilio => [ @h, $sign->('') ], $body), 401, 'Twilio: JSON without a digest');
}

# ---- Google

$row = $t->row("SELECT * FROM telehealth.webhook_event WHERE source = 'google-calendar'");
is("$row->{event_name} $row->{account_ref}", 'calendar.exists channel-1', 'Google: what has changed, and of which channel');
is($t->sql("SELECT count(*) FROM telehealth.webhook_event AS e WHERE e::text ~ 'google token|somebody'"), 0, 'Google: neither the token nor an address is kept');
is(status('google-calendar' => google('X-Goog-Message-Number' => 11)), 200, 'Google: the next message');
is(events('google-calendar'), 2, 'Google: is another');
is(status('google-calendar' => google('X-Goog-Channel-Token' => $_)), 401, 'Google: a wrong token') for 'wrong', undef, '', 'google toke', 'google token2';
is(status('google-calendar' => google('X-Goog-Channel-ID' => $_)), 401, 'Google: no channel') for undef, '', 'x' x 300;
is(status('google-calendar' => google('X-Goog-Channel-ID' => 'channel-2')), 200, 'G4: Google: a channel that we do not know');
is(events('google-calendar'), 2, 'G4: ... is not heard');
$t->sql("SELECT telehealth_private.put_push_channel(6, 'google-calendar', 'channel-3', 'other token')");
is(status('google-calendar' => google('X-Goog-Channel-ID' => 'channel-3')), 401, "Google: another clinic's channel with the token of this one");
is(status('google-calendar' => google('X-Goog-Channel-Token' => 'other token')), 401, "Google: and with the other clinic's token this one");
is(status('google-calendar' => google('X-Goog-Resource-State' => $_, 'X-Goog-Message-Number' => 12)), 200, "Google: sync and what is not known") for 'sync', '<b>';

# ---- Graph

my $r = post(graph => [ 'Content-Type' => 'text/plain' ], '', query => '?validationToken=Validation%3A+Testing+%3Cscript%3E+Request-Id%3A%201b2c');
is("$r->{status} $r->{headers}{'content-type'} $r->{body}", '200 text/plain; charset=utf-8 Validation: Testing <script> Request-Id: 1b2c', 'Graph: the handshake');
is($r->{headers}{'x-content-type-options'}, 'nosniff', 'Graph: is nothing but text');
is(status(graph => [], '', query => "?validationToken=$_"), 400, 'Graph: no token') for '', 'x' x 5000;
like(status(graph => [], '', query => '?validationToken=' . 'x' x 1_000_000), qr/^4(?:00|14|31)$/, 'Graph: nor a megabyte of it');
my $n = events('graph');
is(status(graph => graph(map { item(resourceData => { id => 'e', '@odata.etag' => "W/\"$_\"" }) } 2, 2, 3)), 200, 'Graph: several at once');
is(events('graph') - $n, 2, 'Graph: each once');
$t->sql("SELECT telehealth_private.put_push_channel(6, 'graph', 'subscription-2', 'other state')");
$n = events('graph');
is(status(graph => graph(item(clientState => 'wrong', changeType => 'created'), item(subscriptionId => 'subscription-2', clientState => 'other state'))), 200,
	'Graph: of several subscriptions, one of them forged');
is(events('graph') - $n, 1, 'Graph: the genuine one counts');
is(last_event()->{clinic_id}, 6, 'Graph: for its own clinic');
is(status(graph => graph(item(subscriptionId => 'subscription-2'))), 401, "Graph: another subscription's state");
is(status(graph => graph(item(clientState => $_))), 401, 'Graph: a wrong state') for 'wrong', undef, '', 7, {}, [ $secret{graph} ];
is(status(graph => [], $_), 400, 'Graph: no notification') for '', '{', '[]', '{"value":[]}', '{"value":{}}', '{"value":7}', "{\"value\":[\"\\u0000\"]}", encode_json({ value => [ (item()) x 201 ] });
is(status(graph => [], $_), 401, 'Graph: a notification of nothing') for '{"value":[7]}', '{"value":[null]}', '{"value":[[]]}', '{"value":[{}]}';
$n = events('graph');
is(status(graph => graph({ subscriptionId => 'subscription-1', clientState => $secret{graph}, lifecycleEvent => $_ })), 200, "Graph: $_")
  for qw(missed missed reauthorizationRequired subscriptionRemoved);
is(events('graph') - $n, 4, 'Graph: life-cycle events have no number: none is lost');
is(last_event()->{event_name}, 'subscription.subscriptionRemoved', 'Graph: and are told apart');
is($t->sql("SELECT count(*) FROM telehealth.webhook_event AS e WHERE e::text ~ 'graph state|other state'"), 0, 'Graph: its proof is not kept');

# The handshake is answered while the database is busy
{
	my $busy = $t->background_psql('postgres');
	$busy->query_safe('BEGIN; LOCK TABLE telehealth.webhook_event, telehealth_private.push_channel IN ACCESS EXCLUSIVE MODE');
	$r = post(graph => [], '', query => '?validationToken=now');
	is("$r->{status} $r->{body}", '200 now', 'Graph: the handshake waits for nobody');
	is(status(graph => graph(item(changeType => 'deleted'))), 503, 'Graph: a notification is put off');
	$busy->query_safe('ROLLBACK');
	$busy->quit;
	is(status(graph => graph(item(changeType => 'deleted'))), 200, 'Graph: and taken when it comes again');
}

# ---- provider schedules

$t->sql(q{SELECT telehealth.connect_schedule('{"sender": "ward 7", "secret": "of the ward"}', 7)});
my @ward = (sender => 'ward 7', secret => 'of the ward');
is(status('provider-schedule' => schedule({ event => 'SCHEDULE.UPDATED', id => 'w-1' }, @ward)), 200, 'schedule: a sender that was connected');
is(last_event()->{clinic_id}, 7, '... is that clinic\'s');
$t->sql(q{SELECT telehealth.connect_schedule('{"sender": "ward 7", "secret": "another"}', 7)});
is(status('provider-schedule' => schedule({ event => 'SCHEDULE.UPDATED', id => 'w-2' }, @ward)), 401, '... connected again: the old secret is no more');
is(status('provider-schedule' => schedule({ event => 'SCHEDULE.UPDATED', id => 'w-2' }, @ward, secret => 'another')), 200, '... but the new one');
is($t->sql(q{SELECT telehealth.disconnect_schedule('ward 7', 8), telehealth.disconnect_schedule('ward 7', 7), telehealth.disconnect_schedule('ward 7', 7)}), 'f|t|f', '... and disconnected');
is(status('provider-schedule' => schedule({ event => 'SCHEDULE.UPDATED', id => 'w-3' }, @ward, secret => 'another')), 401, '... it is refused');
$t->fails_ok("SELECT telehealth.connect_schedule('$_')", '22023', "no schedule: $_")
	for '{"sender": "x"}', '{"sender": "", "secret": "y"}', '{"sender": "x", "secret": ""}', '{"sender": "x", "secret": "y", "z": "z"}', '{"sender": "ü", "secret": "y"}', '[]';
$t->sql(q{DELETE FROM telehealth.webhook_event WHERE clinic_id = 7});

is(status('provider-schedule' => schedule({ event => $_, id => "id-$_" })), 200, "schedule: $_") for qw(APPOINTMENT.BOOKED APPOINTMENT.CANCELLED SCHEDULE.UPDATED SOMETHING.NEW);
is($t->sql("SELECT string_agg(event_name, ' ' ORDER BY id) FROM telehealth.webhook_event WHERE source = 'provider-schedule'"),
	'APPOINTMENT.BOOKED APPOINTMENT.BOOKED APPOINTMENT.CANCELLED SCHEDULE.UPDATED SOMETHING.NEW', 'schedule: each as it is said');
$n = events('provider-schedule');
is(status('provider-schedule' => schedule({ event => 'SCHEDULE.UPDATED', n => 1 })), 200, 'schedule: without an id') for 1 .. 2;
is(events('provider-schedule') - $n, 1, 'schedule: the body is its identity');
is(status('provider-schedule' => schedule({ event => 'X' }, at => time + $_)), 200, "schedule: $_ s off") for -94 * 60, 4 * 60;
is(status('provider-schedule' => schedule({ event => 'X' }, at => $_)), 401, "schedule: at $_") for time - 96 * 60, time + 6 * 60, 0, '99999999999999', '-1', 'now', '';
is(status('provider-schedule' => schedule({ event => 'X' }, secret => 'wrong')), 401, 'schedule: a wrong signature');
is(status('provider-schedule' => schedule({ event => 'X' }, sender => $_)), 401, 'schedule: another sender') for 'other', '', 'x' x 300;
is(status('provider-schedule' => schedule($_)), 400, 'schedule: a body that says nothing') for '', '[]', '{}', '{"event":7.5e400}', '{"event":{}}', '{"event":""}', '{', "{\"event\":\"\xff\"}";
{
	my ($h, $body) = schedule({ event => 'X', id => 1 });
	my $refused = 0;

	# H3: every bit counts
	for my $bit (0 .. 8 * length($body) - 1)
	{
		my $other = $body;
		vec($other, $bit, 1) ^= 1;
		my $s = status('provider-schedule' => $h, $other);
		$refused++ if $s == 401 || $s == 400;
	}
	is($refused, 8 * length $body, 'H3: schedule: a delivery with one bit changed is refused');
}

# ---- the same without the gateway

my ($headers, $body) = google('X-Goog-Message-Number' => 99);
is($t->sql(sprintf "SELECT status FROM telehealth.receive_webhook('google-calendar', %s::jsonb, ''::text)", literal({ @$headers })), 200, 'by SQL');
($headers, $body) = schedule({ event => 'X', id => 'by PostgREST' });
is($t->sql(sprintf "BEGIN; SET LOCAL request.headers = %s; SELECT telehealth.provider_schedule_webhook(%s::json); SELECT current_setting('response.status'); COMMIT",
		literal({ @$headers }), literal($body)) =~ s/\n/ /gr, '{"status":"ok"} 200', 'as PostgREST does');
($headers, $body) = twilio(\@room);
is($t->sql(sprintf "BEGIN; SET LOCAL request.headers = %s; SELECT telehealth.twilio_webhook(%s::text); SELECT current_setting('response.status'); COMMIT",
		literal({ @$headers }), literal($body)) =~ s/\n/ /gr, '{"status":"ok"} 200', 'Twilio, under the address of the gateway');
($headers, $body) = graph(item());
is($t->sql(sprintf "SELECT (telehealth.receive_webhook('graph', '{}', %s::bytea)).status", literal($body =~ s/\\/\\\\/gr)), 200, 'Graph, by SQL');

# ---- secrets

my $log = $t->log_text;
is(scalar(grep { index($log, $_) >= 0 } values %secret), 0, 'no secret is in the log');
is($t->sql("SELECT count(*) FROM telehealth_private.push_channel AS c WHERE c::text ~ 'token|state|secret'"), 0, 'nor in a table');
$t->sql('SELECT telehealth.rotate_keys()');
is(status('google-calendar' => google()), 200, 'after keys were rotated');

finish;
