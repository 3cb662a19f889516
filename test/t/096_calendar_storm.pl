# Many clinicians, three vendors of calendars, edits on both sides, answers
# that get lost, tokens and cursors that expire, notifications that do not
# arrive, a worker that is killed: in the end every calendar is what the rule
# of its connection says, and then nothing moves any more.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use Radicale;
use Mojo::DOM;
use Mojo::JSON qw(encode_json);

my $LONG = $ENV{TELEHEALTH_LONG};
my ($PROVIDERS, $VISITS, $ROUNDS, $KILLS) = $LONG ? (50, 200, 30, 10) : (9, 8, 6, 2);
my $SEED = $ENV{TELEHEALTH_SEED} // 20261121;
my @CANARIES = ('Quxington', 'canary reason', 'canary@patient.example');
my @POLICIES = qw(restore flag cancel);
my @KINDS = ('google', 'outlook', Radicale->is_here ? 'caldav' : ());

$SIG{__DIE__} = sub { diag "died: @_" if !$^S };
srand $SEED;
note "seed $SEED: TELEHEALTH_SEED repeats it";

sub user { return "user$_[0]\@clinic.example" }
sub kind_of { return $KINDS[ $_[0] % @KINDS ] }
sub policy_of { return $POLICIES[ int($_[0] / @KINDS) % 3 ] }
sub any { return $_[ rand @_ ] }

# ---- the vendors

my @mine = grep { kind_of($_) eq 'google' } 1 .. $PROVIDERS;
my %fake = (
	google => FakeGoogle->start(options => { users => [ map { { email => user($_), timeZone => 'Europe/Berlin' } } 1 .. $PROVIDERS + 10 ],
			canaries => \@CANARIES, refresh_tokens_max => 100_000, log_limit => 1_000_000 }),
	outlook => FakeGraph->start(options => { canaries => \@CANARIES, log_limit => 1_000_000 }));
my $radicale = @KINDS == 3 ? Radicale->start(users => { map { ("user$_" => "pass $_") } 1 .. $PROVIDERS + 10 }) : undef;
my %path;
my $port = PostgreSQL::Test::Cluster::get_free_port();

# Notifications find their way, but three in ten that Google sends; Graph's do
# not while notify_lost says so
$fake{google}->options(push_via => "http://127.0.0.1:$port", push_drop => 0.3);
$fake{outlook}->options(callback_map => { 'https://clinic.example' => "http://127.0.0.1:$port" });

sub iso { my @t = gmtime $_[0]; return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ] }
sub basic { return iso($_[0]) =~ tr/-://dr }
sub epoch_of_basic
{
	my ($text) = @_;
	my ($y, $mo, $d, $h, $mi, $s) = $text =~ /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/ or return undef;
	require Time::Local;
	return Time::Local::timegm($s, $mi, $h, $d, $mo - 1, $y);
}

# What is in a person's calendar, and what the person does there. An event is
# { id, start, end, visit (of ours), title }.
my %at = (
	google => {
		events => sub {
			my ($p) = @_;
			return map { { id => $_->{id}, start => $_->{start_epoch}, end => $_->{end_epoch}, title => $_->{summary} // '',
					visit => ($_->{extendedProperties}{private}{telehealthKey} // '') =~ /-(\d+)$/ ? $1 : undef } } $fake{google}->live_events(user($p));
		},
		create => sub {
			my ($p, $start, $end) = @_;
			return $fake{google}->edit_event(calendar => user($p),
				create => { summary => 'Own', start => { dateTime => iso($start) }, end => { dateTime => iso($end) } });
		},
		move => sub {
			my ($p, $id, $start, $end) = @_;
			return $fake{google}->edit_event(calendar => user($p), id => $id,
				set => { start => { dateTime => iso($start), timeZone => 'UTC' }, end => { dateTime => iso($end), timeZone => 'UTC' } });
		},
		title => sub { my ($p, $id) = @_; return $fake{google}->edit_event(calendar => user($p), id => $id, set => { summary => 'Mine' }) },
		delete => sub { my ($p, $id) = @_; return $fake{google}->edit_event(calendar => user($p), id => $id, delete => 1) },
	},
	outlook => {
		events => sub {
			my ($p) = @_;
			return map {
				my ($key) = grep { defined && /^th-/ } values %{ $_->{properties} };
				{ id => $_->{id}, start => $_->{start_epoch}, end => $_->{end_epoch}, title => $_->{subject} // '', visit => ($key // '') =~ /-(\d+)$/ ? $1 : undef }
			} $fake{outlook}->live_events(user($p));
		},
		create => sub { my ($p, $start, $end) = @_; return $fake{outlook}->edit_event(user => user($p), create => { subject => 'Own', start => iso($start), end => iso($end) }) },
		move => sub { my ($p, $id, $start, $end) = @_; return $fake{outlook}->edit_event(user => user($p), id => $id, set => { start => iso($start), end => iso($end) }) },
		title => sub { my ($p, $id) = @_; return $fake{outlook}->edit_event(user => user($p), id => $id, set => { subject => 'Mine' }) },
		delete => sub { my ($p, $id) = @_; return $fake{outlook}->edit_event(user => user($p), id => $id, delete => 1) },
	},
	caldav => {
		events => sub {
			my ($p) = @_;
			return map {
				my ($name, $ics) = @$_;
				my ($event) = $ics =~ /(BEGIN:VEVENT.*END:VEVENT)/s;
				my %when = map { ($_ => scalar when_of($event, $_)) } qw(DTSTART DTEND);
				{ id => $name, start => $when{DTSTART}, end => $when{DTEND}, title => $event =~ /^SUMMARY:(.*?)\r?$/m ? "$1" : '',
					visit => $name =~ /^th-\w+-\d+-\d+-(\d+)-/ ? $1 : undef }
			} resources($p);
		},
		create => sub {
			my ($p, $start, $end) = @_;
			my $uid = sprintf 'own%d-%d', $p, rand 1e9;
			return $radicale->put("$path{$p}$uid.ics", $radicale->event($uid, basic($start), basic($end)));
		},
		move => sub {
			my ($p, $id, $start, $end) = @_;
			return rewrite($p, $id, sub { s/^DTSTART.*?(?=\r?$)/'DTSTART:' . basic($start)/me; s/^DTEND.*?(?=\r?$)/'DTEND:' . basic($end)/me });
		},
		title => sub { my ($p, $id) = @_; return rewrite($p, $id, sub { s/^SUMMARY.*?(?=\r?$)/SUMMARY:Mine/m }) },
		delete => sub { my ($p, $id) = @_; return $radicale->delete("$path{$p}$id") },
	});

# All that is in a CalDAV calendar: [name, text]
sub resources
{
	my ($p) = @_;
	my $answer = $radicale->ask(REPORT => $path{$p}, headers => { Depth => 1 }, body => '<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
		  . '<D:prop><C:calendar-data/></D:prop><C:filter><C:comp-filter name="VCALENDAR"/></C:filter></C:calendar-query>');

	return map { [ $_->at('href')->text =~ s{.*/}{}r, $_->at('calendar-data, C\\:calendar-data')->text =~ s/\r?\n[ \t]//gr ] }
	  Mojo::DOM->new->xml(1)->parse($answer->body)->find('response')->each;
}

# The instant of a property; one with a zone is asked of the server under test
my %instant;
my $t;
sub when_of
{
	my ($event, $name) = @_;

	return epoch_of_basic($1) if $event =~ /^$name:(\d{8}T\d{6}Z)/m;
	my ($zone, $wall) = $event =~ /^$name;TZID=([^:;]+):(\d{8}T\d{6})/m or return undef;
	return $instant{"$zone $wall"} //= 0 + $t->sql("SELECT extract(epoch FROM telehealth_private.instant_of('$wall', '$zone'))::bigint");
}

# Only the part that is the event: a zone has its own DTSTART
sub rewrite
{
	my ($p, $id, $edit) = @_;
	my $ics = $radicale->get("$path{$p}$id") // return;
	my ($head, $event, $tail) = $ics =~ /^(.*?)(BEGIN:VEVENT.*END:VEVENT)(.*)$/s;

	$edit->() for $event;
	return $radicale->put("$path{$p}$id", "$head$event$tail");
}

# ---- the clinic

$t = TelehealthTest->node('calstorm',
	conf => {
		'telehealth.request_timeout_ms' => $LONG ? 10_000 : 1000,
		'telehealth.max_attempts' => 20,
		'telehealth.lease_seconds' => 5,
		'telehealth.public_url' => 'https://clinic.example',
		'telehealth.http_port' => $port,
		autovacuum => 'off',
		shared_buffers => '64MB',
	});
$t->create_extension;
$t->wait_gateway;
$t->sql(q{INSERT INTO telehealth.vendor_limit (vendor, name, value)
	SELECT v, n, 1000000 FROM unnest('{google,outlook,caldav}'::text[]) AS v, unnest('{requests_per_minute,requests_per_minute_per_calendar}'::text[]) AS n});
$t->sql("INSERT INTO telehealth.provider (id, timezone, display_name)
	SELECT n, 'Europe/Berlin', 'Dr. ' || n FROM generate_series(1, $PROVIDERS + 10) AS n");
$t->sql(sprintf 'INSERT INTO telehealth.patient (id, display_name, email) VALUES (1, %s, %s)', map { literal($_) } @CANARIES[ 0, 2 ]);

my %app = (google => { client_id => 'google-app-1', client_secret => 'google-secret-1' }, outlook => { client_id => 'app-1', client_secret => 'app-secret-1' });
for my $kind (qw(google outlook))
{
	my %s = map { ($_ => $fake{$kind}->$_) } qw(api_url token_url auth_url);

	$t->sql(sprintf "SELECT telehealth.register_oauth_client('%s', %s::jsonb, %s::jsonb)", $kind, literal($app{$kind}), literal(\%s));
}

# Connects a provider's calendar; its id
sub begin
{
	my ($p, $kind, %o) = @_;

	if ($kind eq 'caldav')
	{
		$path{$p} = $radicale->make_calendar('work', user => "user$p");
		%o = (%o, url => $radicale->url($path{$p}), username => "user$p", password => "pass $p");
	}
	else { $o{refresh_token} = $fake{$kind}->grant(user => user($p))->{refresh_token} }
	return $t->sql(sprintf "SELECT telehealth.connect_calendar(%d, '%s', %s::jsonb) ->> 'connection_id'", $p, $kind, literal(\%o));
}

my %connection = map { ($_ => begin($_, kind_of($_), remote_change_policy => policy_of($_))) } 1 .. $PROVIDERS;
ok($t->poll(q{SELECT count(*) FROM telehealth.calendar_connection WHERE status <> 'CONNECTED'}, 0, 60), "$PROVIDERS calendars of @KINDS are connected")
  or diag explain [ $t->rows('SELECT id, kind, status, last_error FROM telehealth.calendar_connection') ];

# An hour of each provider that was never used
my %hour;
my $day0 = int(time / 86400) * 86400 + 2 * 86400;
sub next_hour { my ($p) = @_; return $day0 + 3600 * $hour{$p}++ }
sub at_sql { return "to_timestamp($_[0])" }

for my $p (1 .. $PROVIDERS)
{
	$at{ kind_of($p) }{create}->($p, map { $_, $_ + 1800 } $day0 - 86400 + 3600 * $_) for 1 .. 3;
	my $from = $day0 + 3600 * ($hour{$p} // 0);
	$hour{$p} += $VISITS;
	$t->sql(sprintf "INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at, reason, title)
		SELECT 1, $p, 'PHONE', to_timestamp($from + n * 3600), %s, %s FROM generate_series(0, $VISITS - 1) AS n", map { literal($_) } @CANARIES[ 1, 0 ]);
}

# ---- calm: nothing to push, and everything pulled that there is

sub pending { return $t->sql(q{SELECT count(*) FROM telehealth_private.job WHERE kind IN ('calendars', 'event', 'backfill', 'provider', 'clinic', 'patient')}) }

sub pull
{
	my ($where) = @_;
	return $t->sql("SELECT telehealth_private.mark('pull', array_agg(clinic_id), array_agg(id), 2), telehealth_private.wake()
		FROM telehealth.calendar_connection WHERE status = 'CONNECTED' AND $where HAVING count(*) > 0");
}

# All calendars read once more, as by the next polling
sub pull_all
{
	my ($limit_s) = @_;
	my $since = $t->sql('SELECT clock_timestamp()');

	pull('true');
	return $t->poll(qq{SELECT count(*) FROM telehealth.calendar_connection
		WHERE status = 'CONNECTED' AND sync_direction <> 'push' AND COALESCE(last_sync_at, '-infinity') < '$since'}, 0, $limit_s);
}

# What failed waits; an operator, or time, brings it back
sub hurry
{
	$t->sql(q{SELECT telehealth.retry_job(kind, subject_id) FROM telehealth.job_status
		WHERE kind IN ('calendars', 'event', 'pull', 'connection') AND due_at > now() + interval '1 second' AND failures > 0});
	return;
}

# Calm is what a pull that comes after everything leaves as it is
sub settle
{
	my ($name, $limit_s) = @_;
	my $calm = 0;

	my $ok = patiently(sub {
		hurry();
		return 0 if pending() ne '0';
		my $before = digest();
		return 0 if !pull_all(20) || pending() ne '0' || digest() ne $before;
		return ++$calm >= 2;
	}, $limit_s);
	ok($ok, $name) or diag explain [ $t->rows(q{SELECT kind, subject_id, due_at - now() AS due_in, failures, last_error FROM telehealth_private.job ORDER BY failures DESC LIMIT 10}) ];
	return;
}

sub digest
{
	return $t->sql(q{SELECT md5(concat((SELECT string_agg(e::text, ' ' ORDER BY e.clinic_id, e.id) FROM telehealth.calendar_event AS e),
		(SELECT string_agg(b::text, ' ' ORDER BY b.provider_id, b.external_id, b.recurrence_id) FROM telehealth.busy_time AS b),
		(SELECT string_agg(a::text, ' ' ORDER BY a.id) FROM telehealth.appointment AS a)))});
}

# ---- the rule

# All that is known of a visit, for when it went wrong
sub story
{
	my ($kind, $id) = @_;

	diag explain [ $t->rows("SELECT * FROM telehealth.calendar_event WHERE appointment_id = $id"), $t->rows("SELECT change, action, seen_at, ours, theirs FROM telehealth.calendar_change WHERE appointment_id = $id"),
		map { my $r = $_; join ' ', map { $_ // '' } @$r{qw(at action outcome http_status code)} } $t->rows("SELECT h.* FROM telehealth_private.job_history AS h WHERE kind = 'event' AND subject_id IN (SELECT id FROM telehealth.calendar_event WHERE appointment_id = $id) ORDER BY at") ];
	return if $kind eq 'caldav';
	diag explain [ map { $_->{history} } grep { encode_json($_) =~ /-$id"/ } $fake{$kind}->events ];
	return;
}

sub compare
{
	my ($name) = @_;
	my (@missing, @twice, @wrong, @orphan, @busy);

	for my $p (1 .. $PROVIDERS)
	{
		my ($kind, $policy) = (kind_of($p), policy_of($p));
		my (%there, @own);
		for my $e ($at{$kind}{events}->($p))
		{
			if (defined $e->{visit}) { push @{ $there{ $e->{visit} } }, $e }
			else { push @own, $e }
		}
		for my $v ($t->rows("SELECT a.id, extract(epoch FROM a.starts_at)::bigint AS s, extract(epoch FROM a.ends_at)::bigint AS e, COALESCE(c.remote_state, 'none') AS state,
				(SELECT d.action FROM telehealth.calendar_change AS d WHERE d.calendar_event_id = c.id ORDER BY d.id DESC LIMIT 1) AS action
			FROM telehealth.appointment AS a
			LEFT JOIN telehealth.calendar_event AS c ON c.appointment_id = a.id AND c.connection_id = $connection{$p} AND c.retired_at IS NULL
			WHERE a.provider_id = $p AND a.status = 'SCHEDULED'"))
		{
			my @e = @{ delete $there{ $v->{id} } // [] };

			if (@e > 1) { push @twice, "$kind $v->{id}"; next }
			next if ($v->{action} // '') eq 'flag' && ($v->{state} eq 'deleted' ? !@e : $v->{state} eq 'changed' && @e);
			if (!@e) { push @missing, "$kind/$policy $v->{id} ($v->{state})"; next }
			push @wrong, "$kind/$policy $v->{id} ($v->{state}) $e[0]{start} for $v->{s}, $e[0]{title}"
			  if $e[0]{start} != $v->{s} || $e[0]{end} != $v->{e} || $e[0]{title} ne 'Phone appointment';
		}
		push @orphan, map { "$kind/$policy $_" } sort keys %there;
		my $theirs = join ' ', sort map { "$_->{start}-$_->{end}" } @own;
		my $ours = $t->sql("SELECT string_agg(x, ' ' ORDER BY x COLLATE \"C\") FROM (SELECT format('%s-%s', extract(epoch FROM lower(during))::bigint, extract(epoch FROM upper(during))::bigint) AS x
			FROM telehealth.busy_time WHERE provider_id = $p) AS q");
		push @busy, "$kind $p: [$ours] for [$theirs]" if $ours ne $theirs;
	}
	is("@missing", '', "$name: every visit is in its calendar, or the owner took it out where that stands");
	is(join('; ', @wrong), '', "$name: at its time, under its title");
	for my $w (@wrong) { my ($k, $id) = $w =~ m{(\w+)/\w+ (\d+)}; story($k, $id) }
	is("@twice", '', "$name: once");
	is("@orphan", '', "$name: no event without a visit");
	is(join('; ', @busy), '', "$name: what else is in the calendars is busy time, and nothing of ours");
	return;
}

settle('the first visits are in the calendars', $LONG ? 300 : 60);
compare('before');

# ---- the storm

my @errors = (
	{ match => { probability => 0.10, seed => 1 }, fault => { kind => 'cut_after' } },
	{ match => { probability => 0.03, seed => 2 }, fault => { kind => 'status', code => 500, body => '{}' } },
	{ match => { probability => 0.03, seed => 3 }, fault => { kind => 'status', code => 503, body => '' } },
	{ match => { probability => 0.02, seed => 4 }, fault => { kind => 'cut_before' } },
	{ match => { probability => 0.02, seed => 5 }, fault => { kind => 'delay', ms => 300 } },
	{ match => { probability => 0.01, seed => 6 }, fault => { kind => 'wrong_body', variant => 'truncated' } });

sub edit_visits
{
	my ($p) = @_;
	my $id = any(map { $_->{id} } $t->rows("SELECT id FROM telehealth.appointment WHERE provider_id = $p")) // return;
	my $q = 1 + int rand $PROVIDERS;

	return $t->sql(any(
		"UPDATE telehealth.appointment SET starts_at = @{[ at_sql(next_hour($p)) ]} WHERE id = $id",
		"UPDATE telehealth.appointment SET starts_at = @{[ at_sql(next_hour($p)) ]}, status = 'SCHEDULED' WHERE id = $id",
		"UPDATE telehealth.appointment SET duration = 20 + 5 * (random() * 6)::int WHERE id = $id",
		"UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id = $id",
		"UPDATE telehealth.appointment SET provider_id = $q, starts_at = @{[ at_sql(next_hour($q)) ]} WHERE id = $id",
		"DELETE FROM telehealth.appointment WHERE id = $id",
		"INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at) VALUES (1, $p, 'PHONE', @{[ at_sql(next_hour($p)) ]})"));
}

# The owner of a calendar at work; what is gone by then is no matter
sub edit_calendar
{
	my ($p) = @_;
	my $v = $at{ kind_of($p) };
	my @all = $v->{events}->($p);
	my ($own, $ours) = (any(grep { !defined $_->{visit} } @all), any(grep { defined $_->{visit} } @all));
	my $start = $day0 - 86400 + 900 * int rand 4000;
	my @do = (sub { $v->{create}->($p, $start, $start + 2700) });

	push @do, sub { $v->{move}->($p, $own->{id}, $start, $start + 1800) }, sub { $v->{delete}->($p, $own->{id}) } if $own;
	push @do, sub { $v->{move}->($p, $ours->{id}, $start, $start + 1800) }, sub { $v->{title}->($p, $ours->{id}) }, sub { $v->{delete}->($p, $ours->{id}) } if $ours;
	eval { any(@do)->(); 1 } or note "an edit came too late: $@";
	return;
}

ok($t->poll(q{SELECT count(*) FROM telehealth_private.job WHERE kind = 'channel' AND due_at < now() + interval '1 minute'}, 0, 30), 'changes are told');
$fake{$_}->faults(@errors) for keys %fake;
for my $round (1 .. $ROUNDS)
{
	for my $p (1 .. $PROVIDERS)
	{
		edit_visits($p) for 1 .. 2;
		edit_calendar($p);
	}
	pull('random() < 0.2');
	$fake{outlook}->options(notify_lost => $round % 2);
	$fake{ any(keys %fake) }->revoke_tokens if $round % 2;
	$fake{google}->expire_sync(calendar => user(any(@mine)), pages => 1) if $round % 3 == 1;
	$fake{outlook}->expire_delta if $round % 3 == 2;
	$radicale->restart if $radicale && $round % 3 == 0;
	$t->kill9_and_wait_recovery('dispatcher') if $round % int($ROUNDS / $KILLS) == 0;
}
my @unmet = map { my $k = $_; map { "$k $_->{fault}{kind}" } grep { !$_->{fired} } @{ $fake{$k}->state->{rules} } } sort keys %fake;
cmp_ok(scalar(@unmet), '<=', 4, 'answers were lost, late, wrong and refused') or diag "not met: @unmet";
cmp_ok(scalar(grep { ($_->{status} // 0) == 200 } $fake{google}->deliveries), '>', 0, 'Google told of changes');
cmp_ok(scalar(grep { $_->{kind} eq 'change' } $fake{outlook}->deliveries), '>', 0, 'and so did Graph');
cmp_ok($fake{outlook}->state->{notifications_lost}, '>', 0, 'though not of all');
$fake{$_}->faults for keys %fake;
settle('G7, O5, W2: the dust settles', $LONG ? 300 : 90);
compare('Y1 to Y3, Y10, G5, G7, O5');
is($t->sql('SELECT count(*) FROM telehealth_private.job WHERE dead_at IS NOT NULL'), 0, 'W3: nothing is given up');
is($t->sql(q{SELECT count(*) FROM telehealth.calendar_event WHERE intent IS NOT NULL OR retired_at IS NOT NULL}), 0, 'no doubt and no tombstone is left');

# ---- idle

{
	my $writes = sub {
		my %n;
		for my $kind (sort keys %fake)
		{
			my $counts = $fake{$kind}->state;
			$n{$kind} = grep { $_->{method} !~ /^(?:GET|HEAD)$/ && $_->{path} !~ m{/token$} } $fake{$kind}->requests;
		}
		return join ' ', map { "$_ $n{$_}" } sort keys %n;
	};
	my $rows = q{SELECT string_agg(format('%s %s', c.relname, s.n), ' ' ORDER BY c.relname)
		FROM (SELECT relid, n_tup_ins + n_tup_upd + n_tup_del AS n FROM pg_stat_user_tables) AS s JOIN pg_class AS c ON c.oid = s.relid
		WHERE c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)};
	# statistics come after a second or more
	my $quiet = sub {
		my ($last, $since) = ('', time);

		patiently(sub {
			my $now = $t->sql($rows);

			($last, $since) = ($now, time) if $now ne $last;
			return time - $since >= 3;
		}, 40);
		return $last;
	};

	# what is done now and then has been done once
	ok($t->poll(q{SELECT count(*) FROM telehealth.audit_log WHERE chain_hash IS NULL}, 0, 40), 'the audit log is chained');
	ok($t->poll(q{SELECT to_regclass('telehealth_private.job_history_' || to_char((now() AT TIME ZONE 'UTC') + interval '1 day', 'YYYYMMDD')) IS NOT NULL}, 't', 40), 'and the next partitions are there');
	$t->reload_conf('telehealth.poll_interval_ms' => 20);
	my ($before, $sent) = ($quiet->(), $writes->());
	my $cycles = $t->sql('SELECT cycles FROM telehealth.worker_status');
	ok($t->poll("SELECT cycles > $cycles + 100 FROM telehealth.worker_status", 't', 60), 'a hundred further cycles');
	is($quiet->(), $before, 'W20: write nothing here');
	is($writes->(), $sent, 'and nothing there');
	$t->reload_conf('telehealth.poll_interval_ms' => 200);
}

# ---- clocks that change
# (Radicale writes the rules of zones itself, and takes half an hour for a whole one)

my @ZONES = qw(Australia/Lord_Howe America/New_York Europe/Berlin Africa/Cairo America/Santiago);
for my $n (0 .. $#ZONES)
{
	my ($p, $kind, $zone) = ($PROVIDERS + 1 + $n, $KINDS[ $n % @KINDS ], $ZONES[$n]);

	$t->sql("UPDATE telehealth.provider SET timezone = '$zone' WHERE id = $p");
	$connection{$p} = begin($p, $kind, window_days_ahead => 420);
	my ($day) = $t->sql(qq{SELECT to_char(telehealth_private.wall_of(now(), '$zone') + interval '1 day', 'YYYY-MM-DD')});
	if ($kind eq 'google')
	{
		$fake{google}->edit_event(calendar => user($p), create => { summary => 'Own', start => { dateTime => "${day}T09:00:00", timeZone => $zone },
				end => { dateTime => "${day}T10:00:00", timeZone => $zone }, recurrence => ['RRULE:FREQ=WEEKLY;COUNT=52'] });
	}
	elsif ($kind eq 'outlook')
	{
		$fake{outlook}->edit_event(user => user($p), create => { subject => 'Own', zone => $zone, start => "${day}T09:00:00", end => "${day}T10:00:00",
				recurrence => { pattern => { type => 'weekly', interval => 1, daysOfWeek => [ lc $t->sql("SELECT to_char(date '$day', 'FMDay')") ] },
					range => { type => 'numbered', startDate => $day, numberOfOccurrences => 52, recurrenceTimeZone => $zone } } });
	}
	else
	{
		my $basic = $day =~ tr/-//dr;
		$radicale->put("$path{$p}weekly.ics", $radicale->event('weekly', '', '', times => "DTSTART;TZID=$zone:${basic}T090000\r\nDTEND;TZID=$zone:${basic}T100000\r\nRRULE:FREQ=WEEKLY;COUNT=52"));
	}
}
ok($t->poll(q{SELECT count(*) FROM telehealth.calendar_connection WHERE status <> 'CONNECTED'}, 0, 60), 'calendars of ' . @ZONES . ' zones are connected');

# each hour about every change of a year and more, and 09:00 of the days about it
my $first = $PROVIDERS + 1;
$t->sql(qq{
	INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
	SELECT DISTINCT 1, p.id, 'PHONE'::telehealth.appointment_type, v.at
	FROM telehealth.provider AS p
	CROSS JOIN LATERAL (
		SELECT h.at + interval '1 hour' AS change
		FROM generate_series(date_trunc('hour', now()) + interval '3 days', now() + interval '400 days', '30 minutes') AS h (at)
		WHERE telehealth_private.wall_of(h.at + interval '30 minutes', p.timezone) - telehealth_private.wall_of(h.at, p.timezone) <> interval '30 minutes'
	) AS c
	CROSS JOIN LATERAL (
		SELECT c.change + n * interval '30 minutes' FROM generate_series(-4, 4) AS n
		UNION ALL
		SELECT telehealth_private.instant_of(telehealth_private.wall_of(c.change, p.timezone)::date + n + time '09:00', p.timezone) FROM generate_series(-2, 2) AS n
	) AS v (at)
	WHERE p.id BETWEEN $first AND $first + $#ZONES});
settle('visits about changes of the clock are in the calendars', 60);
for my $n (0 .. $#ZONES)
{
	my ($p, $kind, $zone) = ($first + $n, $KINDS[ $n % @KINDS ], $ZONES[$n]);
	my $there = join ' ', sort map { "$_->{start}-$_->{end}" } grep { defined $_->{visit} } $at{$kind}{events}->($p);
	my $here = $t->sql(qq{SELECT string_agg(x, ' ' ORDER BY x COLLATE "C") FROM (SELECT format('%s-%s', extract(epoch FROM starts_at)::bigint, extract(epoch FROM ends_at)::bigint) AS x
		FROM telehealth.appointment WHERE provider_id = $p) AS q});

	is($there, $here, "T1, O8: $zone at $kind: every visit is where it was put");
	cmp_ok($here =~ tr/-//, '>=', 20, 'and there are some');
	is($t->sql(qq{SELECT count(*) >= 50, min(w)::time, max(w::time), min(w::time) FROM (SELECT telehealth_private.wall_of(lower(during), '$zone') AS w
		FROM telehealth.busy_time WHERE provider_id = $p) AS q}), 't|09:00:00|09:00:00|09:00:00', "T1: $zone at $kind: nine o'clock of every week is nine o'clock here");
	is($t->sql("SELECT count(*) FROM telehealth.calendar_change WHERE connection_id = $connection{$p}")
		  . $t->sql("SELECT count(*) FROM telehealth.calendar_event WHERE connection_id = $connection{$p} AND (remote_state <> 'unchanged' OR generation <> 0)"),
		'00', 'and read back it is what was written');
}

# ---- nothing of a patient is anywhere

if ($radicale)
{
	my $all = join '', map { $_->[1] } map { resources($_) } sort keys %path;

	cmp_ok(length $all, '>', 0, 'there is something in the calendars');
	is(join(' ', grep { $all =~ /\Q$_\E/ } @CANARIES), '', 'P1: and no patient in it');
}
is(join(' ', grep { $t->log_text(0) =~ /\Q$_\E/ } @CANARIES), '', 'P1: nor in the log');

finish;
