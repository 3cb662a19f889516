# What must not leave does not: a word is planted in every text the catalogue
# shows, and secrets are used, with every log and every statistic switched on.
# Nothing here says the word or a secret in a statement.
use TelehealthTest;
use ZoomHook qw(hook_event hook_headers hook_prepare hook_deliver);
use MIME::Base64 qw(encode_base64);

my $WORD = 'kanarie';
my %secret = (client_secret => 'S1-client-5ecret-77qX', webhook_secret => 'S1-webhook-5ecret-31zR');

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, canaries => [$WORD],
		accounts => [ { account_id => 'acct-1', client_id => 'client-1', client_secret => $secret{client_secret} } ] });
my $t = TelehealthTest->telling_node('canary', 'telehealth.request_timeout_ms' => 1000);

my %file = map { ($_ => $t->basedir . "/$_") } keys %secret;
for my $name (keys %file)
{
	open my $h, '>', $file{$name} or die;
	print $h "$secret{$name}\n";
	close $h;
	chmod 0600, $file{$name};
}
my $account = $t->connect_zoom($fake, map { ($_ => "file:$file{$_}") } keys %file);

# ---- planting

# Columns that the machine itself writes or that name what is no person's;
# every other text column is planted.
my %MACHINE = map { ($_ => 1) } qw(
	clinic.timezone clinic.platform clinic.fallback_platforms clinic.calendar_when_stale
	provider.timezone provider.platform_user provider.calendar_when_stale patient.timezone working_hours.timezone
	appointment.timezone appointment.platform appointment.meeting_id appointment.join_url
	session.platform session.meeting_id session.meeting_uuid session.join_url session.topic session.host session.marker
	session.intent session.wish_hash session.deviation
	account.platform account.status account.settings account.last_error account.missing_scope
	feed.kind feed.token_hash busy_time.status appointment_series.rule appointment_series.timezone appointment_series.platform
	vendor_limit.vendor vendor_limit.name disclosure_policy.target disclosure_policy.fact
	account.vendor_key webhook_event.source webhook_event.event_name webhook_event.account_ref webhook_event.meeting_id
	webhook_event.meeting_uuid webhook_event.participant_id webhook_event.business_key webhook_event.outcome
	participant.role waiting_room_entry.status webhook_event.signers
	calendar_connection.kind calendar_connection.calendar_id calendar_connection.status calendar_connection.sync_direction
	calendar_connection.remote_change_policy calendar_connection.settings calendar_connection.last_error calendar_connection.found_calendar calendar_connection.found_subject
	calendar_event.external_id calendar_event.uid calendar_event.etag calendar_event.wish_hash calendar_event.pushed_hash
	calendar_event.intent calendar_event.remote_state calendar_change.change calendar_change.action calendar_change.ours
	calendar_change.theirs
	audit_log.actor audit_log.action audit_log.object audit_log.detail);
my @columns = grep { !$MACHINE{ $_->{name} } } $t->rows(q{SELECT c.relname AS table, a.attname AS column, c.relname || '.' || a.attname AS name,
	a.atttypid::regtype::text AS type FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
	WHERE c.relnamespace = 'telehealth'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype, 'name'::regtype, 'json'::regtype, 'bytea'::regtype)
		AND a.attname NOT IN ('chain_hash')});
my %table;
push @{ $table{ $_->{table} } }, $_ for @columns;
cmp_ok(scalar(@columns), '>', 15, 'there are columns to plant in');

# The word reaches the server as data, never as text of a statement
$t->sql("CREATE TABLE public.word (word text); COPY public.word FROM STDIN;\n$WORD\n\\.\n");

# Assignments of the word to all columns of a table
sub planted
{
	my ($name) = @_;
	my %as = (text => "w.word || '-%s'", name => "w.word", 'text[]' => 'ARRAY[w.word]', jsonb => "jsonb_build_object('note', w.word)",
		json => "json_build_object('note', w.word)", bytea => 'w.word::bytea');

	return join ', ', map { "$_->{column} = " . sprintf $as{ $_->{type} }, $_->{column} } @{ $table{$name} };
}

$t->sql(q{INSERT INTO telehealth.clinic (id) VALUES (1);
	INSERT INTO telehealth.provider (id, platform_user) VALUES (1, 'host1@clinic.example'), (2, 'host2@clinic.example');
	INSERT INTO telehealth.patient (id) VALUES (1);
	INSERT INTO telehealth.appointment_series (patient_id, provider_id, type, rule, first_date, start_time, timezone)
	VALUES (1, 2, 'VIDEO', 'FREQ=DAILY;COUNT=2', current_date + 40, '03:00', 'UTC');
	SELECT telehealth.create_feed(1, 'x') \g /dev/null
	SELECT telehealth.import_csv(1, 'roster', E'start,minutes,uid\n2031-06-02 09:00,60,a\nsoon,60,b', 'UTC', '2031-01-01Z', '2032-01-01Z') \g /dev/null
	INSERT INTO telehealth.participant (session_id, participant_id) VALUES (999999, 'x');
	INSERT INTO telehealth.waiting_room_entry (session_id, participant_id) VALUES (999999, 'x');
	INSERT INTO telehealth.recording (session_id, file_id) VALUES (999999, 'x');
	});
# external_id is unique: one row after the other keeps it apart
for my $name (qw(clinic provider patient feed busy_time import_problem appointment_series participant waiting_room_entry recording))
{
	my $set = planted($name);
	$set =~ s/(external_id = [^,]*)/$1 || x.id/ if $name !~ /^(busy_time|import_problem)$/;
	$t->sql("UPDATE telehealth.$name AS x SET $set FROM public.word AS w");
}

# ---- the flow

my @activity;
sub look
{
	push @activity, map { $_->{query} } $t->rows('SELECT DISTINCT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	return 1;
}
sub done { my ($name) = @_; return ok(patiently(sub { look(); $t->sql('SELECT count(*) FROM telehealth_private.job') eq '0' }, 20), $name) }

my $visit = 0;
sub book
{
	my (%o) = @_;
	my @own = @{ $table{appointment} };
	my $set = planted('appointment') =~ s/(external_id = [^,]*)/$1 || '-$visit'/r;
	my ($columns, $values) = (join(', ', map { $_->{column} } @own), join ', ', map { s/^\w+ = //r } split /, (?=\w+ = )/, $set);

	$visit++;
	return $t->sql("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, $columns)
		SELECT 1, 1, 'VIDEO', date_trunc('hour', now()) + interval '1 day $visit hours', $values FROM public.word AS w RETURNING id");
}

my $first = book();
ok($t->await($first)->{join_url}, 'a visit is booked');

# What is told of it comes as data too; its signature is no secret
hook_prepare($t);
my $meeting = $t->session($first)->{meeting_id};
my %who = (id => 'p1', user_name => "$WORD-name", email => "$WORD\@mail.example");
my @told = (
	hook_event('meeting.started', meeting => $meeting),
	hook_event('meeting.participant_joined_waiting_room', meeting => $meeting, person => { %who, date_time => '2026-01-05T10:00:01Z' }),
	hook_event('meeting.participant_joined', meeting => $meeting, person => { %who, join_time => '2026-01-05T10:00:06Z' }),
	hook_event('meeting.participant_joined', meeting => 'nobodys', person => { %who, join_time => '2026-01-05T10:00:06Z' }));
is(join(' ', hook_deliver($t, (map { [ hook_headers($secret{webhook_secret}, $_), $_ ] } @told), [ hook_headers('x', $told[0]), $told[0] ],
	map { [ hook_headers($secret{webhook_secret}, $_), $_ ] } "{\"$WORD\"", "{\"event\": \"$WORD\xff\"}")), '200 200 200 200 401 400 400', 'events come, and what is none');
done('they are put together');
$t->sql('UPDATE telehealth.session AS x SET ' . planted('session') . ' FROM public.word AS w');
$t->sql("UPDATE telehealth.appointment SET starts_at = starts_at + interval '20 days', duration = 40 WHERE id = $first");
done('moved');
$t->sql("UPDATE telehealth.appointment SET provider_id = 2, title = title || ' new', reason = reason || ' new' WHERE id = $first");
done('given to another');
my $start_url = $t->sql("SELECT telehealth.host_start_url($first)");
like($start_url, qr/zak=/, 'a start link is given');
$t->sql("SELECT * FROM telehealth.explain_appointment($first)");
# the name of a feed and the place of a visit are shown, and so are not looked for
my @calendars = $t->sql("SELECT token FROM telehealth.create_feed(2, 'Visits', true) \\gset\nSELECT telehealth.feed_ics(:'token')");
push @calendars, map { $t->sql("SELECT telehealth.appointment_ics($first, '$_')") } qw(PUBLISH REQUEST CANCEL);
# of the imported calendar, with the word in everything
for my $form ('ics', 'csv')
{
	my $from = $form eq 'ics'
	  ? q{'BEGIN:VCALENDAR' || E'\r\n' || 'BEGIN:VEVENT' || E'\r\nUID:' || w.word || E'\r\nDTSTART:20310603T090000Z\r\nDTEND:20310603T100000Z\r\nSUMMARY:' || w.word || E'\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:' || w.word || E'2\r\nDTSTART;TZID=' || w.word || E':20310603T090000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n', '2031-01-01Z', '2032-01-01Z'}
	  : q{E'start,minutes,uid,subject\n2031-06-02 09:00,60,' || w.word || ',' || w.word || E'\n' || w.word || ',60,b,c', 'UTC', '2031-01-01Z', '2032-01-01Z'};
	like($t->sql("SELECT i.created, i.quarantined FROM public.word AS w, telehealth.import_$form(1, w.word || '-$form', $from) AS i"), qr/^1\|1$/, "a calendar is imported ($form)");
	$t->fails_ok("SELECT telehealth.import_$form(1, w.word, w.word" . ($form eq 'csv' ? q{, 'UTC'} : '') . ') FROM public.word AS w', {}, "none is refused ($form)");
}
$t->sql("SELECT * FROM telehealth.check_platform($account)");
look();

my @fault = (
	[ 'no answer', { kind => 'cut_after' } ],
	[ 'a hang', { kind => 'hang' } ],
	[ 'status 500', { kind => 'status', code => 500, body => '{"code":500,"message":"x"}' } ],
	[ 'a web page', { kind => 'wrong_body', variant => 'html' } ],
	[ 'half an answer', { kind => 'wrong_body', variant => 'truncated' } ]);
for my $case (@fault)
{
	my ($name, $fault) = @$case;

	$fake->faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => $fault });
	my $id = book();
	ok(patiently(sub {
		look();
		$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE failures > 0 AND subject_id = $id");
		$t->sql("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id") eq 't';
	}, 25), "$name is got over");
	$fake->release;
	$fake->faults;
}

# A rule of the user's own that the dispatcher's write breaks: the row is in
# the server's message about it
$t->sql('ALTER TABLE telehealth.appointment ADD CONSTRAINT own_rule CHECK (join_url IS NULL OR duration <> 33) NOT VALID');
my $ruled = book();
$t->sql("UPDATE telehealth.appointment SET join_url = NULL, duration = 33 WHERE id = $ruled");
ok(patiently(sub { look(); $t->log_text(0) =~ /own_rule"$/m }, 20), 'a rule of the user\'s own is broken');
$t->sql('ALTER TABLE telehealth.appointment DROP CONSTRAINT own_rule');
$t->sql("SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status WHERE subject_id = $ruled");
ok($t->await($ruled)->{join_url}, 'and taken away');
$t->sql('UPDATE telehealth.session AS x SET ' . planted('session') . ' FROM public.word AS w');
$fake->revoke_tokens;
my $refused = book();
done('a token is refreshed');
$t->fails_ok("INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, title, reason)
	SELECT 1, a.provider_id, 'VIDEO', a.starts_at, a.title, a.reason FROM telehealth.appointment AS a WHERE a.id = $refused", '23P01', 'a double booking is refused');
$t->sql("UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $refused");
$t->sql("DELETE FROM telehealth.appointment WHERE id = $first");
done('one cancelled, one deleted');
$t->restart_dispatcher;
look();
cmp_ok($fake->count('PATCH /v2/meetings/{id}'), '>', 0, 'meetings were changed');
cmp_ok($fake->count('DELETE /v2/meetings/{id}'), '>', 1, 'and removed');

# ---- where it was planted

for my $c (@columns)
{
	is($t->sql("SELECT count(*) > 0 FROM telehealth.$c->{table} AS x, public.word AS w WHERE " . ($c->{type} eq 'bytea' ? "convert_from(x.$c->{column}, 'UTF8')" : "x.$c->{column}::text") . " LIKE '%' || w.word || '%'"),
		't', "$c->{name} was planted");
}

# ---- where it must not be

my @meetings = $fake->meetings;
my %never = (
	%secret,
	'an access token' => qr/eyJ[A-Za-z0-9_-]{20}/,
	'a start link' => $start_url =~ s/.*zak=//r,
	(map { ("a passcode $_" => $meetings[$_]{password}) } 0 .. $#meetings),
	(map { ("basic credentials $_->[0]" => $_->[1]) } [ 'encoded', encode_base64("client-1:$secret{client_secret}", '') ]));

# The secrets that stand in a text, by name; the word too if it must not
sub found
{
	my ($text, $with_word) = @_;
	my @found = grep { ref $never{$_} ? $text =~ $never{$_} : index($text, $never{$_}) >= 0 } sort keys %never;

	push @found, 'the word' if $with_word && $text =~ /\Q$WORD\E/i;
	return join ', ', @found;
}
is(scalar(grep { length($_->{password} // '') < 8 } @meetings), 0, 'every meeting has a passcode');

my $log = $t->log_text(0);
like($log, qr/ DEBUG: /, 'S1: the log has everything');
like($log, qr/SELECT telehealth\.host_start_url/, 'S1: statements too');
is(found($log, 1), '', 'S1: but no secret, token, passcode or start link, and nothing of a patient');
my @pwd = map { $_->{join_url} =~ /[?&]pwd=([^&]+)/ ? $1 : () } $t->rows('SELECT join_url FROM telehealth.session WHERE join_url IS NOT NULL');
cmp_ok(scalar(@pwd), '>', 0, 'join links have a part that lets in');
is(scalar(grep { index($log, $_) >= 0 } @pwd), 0, 'S1: nor a join link');

is(scalar(grep { /BEGIN:VEVENT/ } @calendars), 4, 'P1: calendars were made');
unlike(join("\n", map { s/\r\n //gr =~ s/^LOCATION:.*$//mgr } @calendars), qr/\Q$WORD\E/i, 'P1: and say nothing of a patient, visit or provider');
my $sent = join "\n", map { join ' ', $_->{method}, $_->{path}, $_->{query} // '', $_->{body} // '', %{ $_->{headers} // {} } } $fake->requests;
cmp_ok(length($sent), '>', 1000, 'P1: requests were captured');
unlike($sent, qr/\Q$WORD\E/i, 'P1: no name, number, reason or title has left');
is(scalar(grep { index($sent, $_) >= 0 } values %secret), 0, 'S1: nor a secret in a path, body or header other than its own');

SKIP:
{
	skip 'pg_stat_statements is not installed', 2 if !$t->has_statements;
	my $text = $t->sql('SELECT string_agg(query, chr(10)) FROM pg_stat_statements');

	like($text, qr/connect_platform/, 'S1: pg_stat_statements has the statements');
	is(found($text, 1), '', 'S1: and no secret');
}
cmp_ok(scalar(@activity), '>', 20, 'pg_stat_activity was looked at');
is(found(join("\n", @activity), 1), '', 'S1: it shows no secret, and nothing of a patient');

$t->sql('CHECKPOINT');
my %bytes = $t->stored_bytes;
like($bytes{'the WAL'}, qr/\Q$WORD\E/, 'S3: the WAL has the rows');
is(found($bytes{$_}, 0), '', "S3: but no secret is in $_") for sort keys %bytes;
for my $format ('p', 'c -Z0')
{
	my $dump = `pg_dump -F$format -h @{[ $t->host ]} -p @{[ $t->port ]} postgres`;

	like($dump, qr/\Q$WORD\E/, "S3: a dump ($format) has the rows");
	is(found($dump, 0), '', "S3: but no secret ($format)");
}
for my $r (map { $_->{r} } $t->rows(q{SELECT c.oid::regclass::text AS r FROM pg_class AS c
	WHERE c.relnamespace = 'telehealth_private'::regnamespace AND c.relkind IN ('r', 'v')
	UNION ALL SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace = 'telehealth'::regnamespace AND c.relkind = 'v'
	UNION ALL SELECT 'telehealth.audit_log'}))
{
	is(found($t->sql("SELECT coalesce(string_agg(r::text, chr(10)), '') FROM $r AS r"), 1), '', "P9: nothing of it in $r");
}

# ---- and the word would have been found

$fake->options(canaries => []);
$t->sql(q{INSERT INTO telehealth.disclosure_policy (clinic_id, target, fact, is_allowed) VALUES (1, 'zoom', 'title', true)});
my $told = book();
$t->await($told);
like(join(' ', map { $_->{topic} // '' } $fake->live_meetings), qr/\Q$WORD\E/, 'P1: it leaves when a policy row says so');

finish;
