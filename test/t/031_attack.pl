# Roles try everything the catalogue has: every relation and every function of
# both schemas, with and without hostile surroundings. What is new fails here
# until the rules below say who may use it.
use TelehealthTest;
use Mojo::JSON qw(decode_json);

# Nothing but the roles moves: there is no dispatcher.
my $t = TelehealthTest->node('attack', preload => 0, conf => { 'telehealth.allowed_hosts' => '' });
$t->create_extension;

# ---- the rules

# Role => what it is: kind and clinic, none for who has no grant
my %ROLE = (nobody => undef, reader => 'reader', app => 'app', admin => 'admin');
my @ROLES = qw(nobody reader app admin);

# What a class of relations allows: r SELECT, a INSERT, w UPDATE, d DELETE,
# and nothing else (D TRUNCATE, x REFERENCES, t TRIGGER, U USAGE).
my %RELATION_CLASS = (
	booked => { app => 'adrw', admin => 'adrw' },
	configured => { app => 'r', admin => 'adrw' },
	shown => { app => 'r', admin => 'r' },
	audit => { admin => 'r' },
	view => { reader => 'r', app => 'r', admin => 'r' },
	inside => {});
my %RELATION = (
	(map { ("telehealth.$_" => 'booked') } qw(appointment appointment_series patient provider busy_time working_hours)),
	(map { ("telehealth.$_" => 'configured') } qw(clinic disclosure_policy vendor_limit)),
	(map { ("telehealth.$_" => 'shown') } qw(session account import_problem feed webhook_event participant waiting_room_entry recording
		calendar_connection calendar_event calendar_change)),
	'telehealth.audit_log' => 'audit',
	(map { ("telehealth.$_" => 'view') } qw(health platform_status worker_status periodic_tasks job_status dead_jobs upcoming_sessions
		not_ready calendar_status sync_metrics orphan_meetings duplicate_meetings series_conflict tz_drift webhook_metrics)),
	(map { ("telehealth.${_}_id_seq" => 'inside') } qw(clinic provider patient appointment appointment_series session account
		audit_log feed webhook_event waiting_room_entry calendar_connection calendar_event calendar_change working_hours)),
	(map { ("telehealth_private.$_" => 'inside') } qw(account_secret token_cache session_secret builtin_platform
		oauth_client oauth_client_secret oauth_state push_channel builtin_oauth oauth_client_id_seq oauth_state_id_seq push_channel_id_seq
		connection_secret connection_token calendar_cursor sync_count builtin_calendar
		builtin_vendor_limit builtin_disclosure_policy windows_zone role_grant job job_history job_history_done job_history_default
		job_failure job_failure_default history_hold quota environment installation
		pause dashboard_token claim_no_seq crowded_visit health_worker health_processes health_environment health_accounts health_visits health_roles
		health_gateway health_calendars)));

# Who may call it. of_clinic: for the caller's own clinic only; over_all: an
# administrator of every clinic; asked: says nothing of rows; signed: nothing
# happens without somebody's signature.
my %CALL_CLASS = (
	asked => [qw(reader app admin)],
	of_clinic => [qw(app admin)],
	signed => [qw(app admin)],
	of_admin => [qw(admin)],
	over_all => [],
	inside => []);
my %CALL = (
	(map { ("telehealth.$_" => 'asked') } qw(current_clinic may_see parse_ics vevent vcalendar ical_duration vtimezone feed_qr)),
	(map { ("telehealth.$_" => 'of_clinic') } qw(ensure_meeting cancel_meeting backfill_meetings await_meeting
		host_start_url appointment_ics import_ics import_csv explain_appointment refresh_series split_series
		create_feed rotate_feed revoke_feed feed_ics complete_oauth
		connect_calendar configure_calendar disconnect_calendar purge_remote sync_calendar is_free free_slots)),
	(map { ("telehealth.$_" => 'signed') } qw(receive_webhook zoom_webhook twilio_webhook google_calendar_webhook graph_webhook
		provider_schedule_webhook)),
	(map { ("telehealth.$_" => 'of_admin') } qw(connect_platform configure_platform disconnect_platform check_platform
		register_oauth_client authorize_platform connect_schedule disconnect_schedule
		retry_job retry_dead_jobs)),
	(map { ("telehealth.$_" => 'over_all') } qw(pause_outbound resume_outbound hold_history release_history rotate_keys set_dashboard_token drop_dashboard_token adopt_environment grant_role
		revoke_role)));

# Arguments that make sense, by "function.argument", name or type
my %ARGUMENT = (
	platform => q('mock'), credentials => q('{}'), settings => q('{}'), timeout => q('50 ms'), method => q('PUBLISH'), timezone => q('UTC'),
	since => q('2000-01-01Z'), reason => q('x'), 'retry_job.kind' => q('meeting'), 'grant_role.kind' => q('admin'),
	'revoke_role.kind' => q('admin'), 'vtimezone.timezone' => q('Europe/Berlin'), 'may_see.role' => '%role%', role => '%role%', clinic_id => '%clinic%',
	'receive_webhook.source' => q('zoom'), headers => q('{}'), body => q('{}'), json => q('{}'), series_id => '%id%', from_date => 'current_date', changes => q('{}'),
	'connect_calendar.kind' => q('apple'), 'disconnect_calendar.kind' => q('caldav'), options => q('{}'), purge => 'false', connection_id => '%id%',
	'register_oauth_client.kind' => q('zoom'), 'authorize_platform.platform' => q('zoom'), state => q('x'), code => q('x'),
	'connect_schedule.credentials' => q('{"sender": "x", "secret": "x"}'), sender => q('x'),
	'register_oauth_client.credentials' => q('{"client_id": "x", "client_secret": "x"}'), 'create_feed.kind' => q('owner'), feed_id => '%id%', provider_id => '%id%',
	appointment_id => '%id%', source => q('x'), confirm_deletions => 'true', 'sync_calendar.confirm_deletions' => 'false',
	ics => qq(E'BEGIN:VCALENDAR\\nVERSION:2.0\\nEND:VCALENDAR\\n'),
	window_start => q('2030-01-01Z'), 'is_free.starts_at' => q('2030-01-01Z'),
	window_end => q('2030-02-01Z'),
	csv => qq(E'start,minutes\\n2030-01-01 09:00,30\\n'), subject_id => '%id%', account_id => '%id%',
	# inside: what comes first in the way is the schema
	bigint => '1', integer => '1', text => q('x'), name => q('x'), boolean => 'true', jsonb => q('{}'), bytea => q('x'),
	'bigint[]' => q('{1}'), 'text[]' => q('{x}'), 'timestamp with time zone' => 'now()', regrole => q('app'),
	'telehealth.audit_log' => 'NULL', 'telehealth.appointment_type' => q('VIDEO'),
	'telehealth.appointment_status' => q('SCHEDULED'), 'telehealth.vevent' => 'NULL', internal => 'NULL',
	'telehealth.appointment_series' => 'NULL', date => 'current_date', 'time without time zone' => q('09:00'),
	'timestamp without time zone' => 'localtimestamp', 'date[]' => q('{}'),
	interval => q('1 h'), 'interval[]' => q('{1 h}'), 'timestamp with time zone[]' => q('{2000-01-01Z}'));

# ---- two clinics in every table

$t->sql(q{
	CREATE SCHEMA attack;
	GRANT USAGE ON SCHEMA attack TO PUBLIC;
	CREATE ROLE nobody; CREATE ROLE reader; CREATE ROLE app; CREATE ROLE admin; CREATE ROLE boss;
	SELECT telehealth.grant_role('reader', 'reader', 1), telehealth.grant_role('app', 'app', 1),
		telehealth.grant_role('admin', 'admin', 1), telehealth.grant_role('boss', 'admin', 0);

	CREATE VIEW attack.relation AS
		SELECT c.oid, c.oid::regclass::text AS name, c.relkind AS kind,
			CASE WHEN c.oid = 'telehealth.clinic'::regclass THEN 'id' ELSE (
				SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'clinic_id' AND a.attnum > 0)
			END AS clinic
		FROM pg_class AS c
		WHERE c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)
			AND c.relkind NOT IN ('i', 'I', 't', 'c');

	/* A row in each table with a clinic: what a check wants, else by type. */
	CREATE FUNCTION attack.plant(clinic bigint, number bigint, is_past boolean) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		v_table record;
	BEGIN
		FOR v_table IN
			SELECT r.name, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns,
				string_agg(CASE
					WHEN a.attname = r.clinic THEN plant.clinic::text
					WHEN a.attname = 'account_clinic_id' THEN plant.clinic::text
					WHEN a.attname = 'starts_at' THEN format('now() + %s * interval ''1 hour''', plant.number % 100)
					WHEN a.attname = 'host' THEN quote_literal('host of clinic ' || plant.clinic)
					WHEN a.attname ~ '^(retired_at|dead_at)$' THEN CASE WHEN is_past THEN 'now()' ELSE 'NULL' END
					WHEN a.attname = 'rule' THEN '''FREQ=DAILY;COUNT=300'''
					WHEN a.attname = 'timezone' THEN '''UTC'''
					WHEN a.attname = 'held_until' THEN 'NULL'
					WHEN a.attname = 'day' THEN 'current_date'
					WHEN c.literal IS NOT NULL THEN CASE WHEN a.atttypid = 'text[]'::regtype
						THEN format('ARRAY[%s]', c.literal) ELSE c.literal END
					WHEN a.attname = 'waiting_for' THEN '''no_account'''
					WHEN a.attname = 'chain_hash' THEN format('%L', 'h' || plant.clinic)
					WHEN a.atttypid = 'text'::regtype OR a.atttypid = 'name'::regtype
						THEN quote_literal('secret of clinic ' || plant.clinic || ' in ' || a.attname)
					WHEN a.atttypid = 'text[]'::regtype THEN format('ARRAY[%L]', 'secret of clinic ' || plant.clinic)
					WHEN a.atttypid = 'jsonb'::regtype THEN format('%L', jsonb_build_object('note', 'secret of clinic ' || plant.clinic))
					WHEN a.atttypid = 'bytea'::regtype THEN format('%L', 'secret of clinic ' || plant.clinic)
					WHEN a.atttypid = 'date'::regtype THEN format('current_date + %s', plant.number % 100)
					WHEN a.atttypid = 'date[]'::regtype THEN format('ARRAY[current_date + %s]', plant.number % 100)
					WHEN a.attname = 'to_time' THEN '''17:00'''
					WHEN a.atttypid = 'time'::regtype THEN '''09:00'''
					WHEN a.attname = 'local_start' THEN format('(now() + %s * interval ''1 hour'')::timestamp + interval ''1 hour''', plant.number % 100)
					WHEN a.atttypid = 'timestamptz'::regtype THEN 'now()'
					WHEN a.atttypid = 'tstzrange'::regtype THEN 'tstzrange(now(), now() + interval ''1 h'')'
					WHEN a.atttypid = 'interval'::regtype THEN '''1 s'''
					WHEN a.atttypid = 'boolean'::regtype THEN '(' || COALESCE(pg_get_expr(d.adbin, d.adrelid), 'true') || ')'
					WHEN a.atttypid = 'telehealth.appointment_type'::regtype THEN '''VIDEO'''
					WHEN t.typtype = 'e' THEN '''SCHEDULED'''
					WHEN a.attname ~ '^(rating|duration|weekday|attempts|max_attempts)$' THEN '5' WHEN a.attname = 'http_status' THEN '200'
					WHEN t.typcategory = 'N' THEN plant.number::text
					ELSE 'NULL' END, ', ' ORDER BY a.attnum) AS contents
			FROM attack.relation AS r
			JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
			JOIN pg_type AS t ON t.oid = a.atttypid
			LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
			LEFT JOIN LATERAL (
				SELECT (regexp_match(pg_get_constraintdef(k.oid), '(?:ARRAY\[| = )(''[^'']*'')'))[1] AS literal
				FROM pg_constraint AS k
				WHERE k.conrelid = r.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] AND a.atttypid <> 'jsonb'::regtype
				LIMIT 1) AS c ON true
			WHERE r.clinic IS NOT NULL AND r.kind IN ('p', 'r') AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = r.oid)
			GROUP BY r.name
		LOOP
			EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s) ON CONFLICT DO NOTHING', v_table.name, v_table.columns, v_table.contents);
		END LOOP;
	END $$;
	SET session_replication_role = replica;
	SELECT attack.plant(c, c * 11, false), attack.plant(c, c * 11 + 1, false), attack.plant(c, c * 11 + 2, true) FROM unnest('{1,2}'::bigint[]) AS c;
	SELECT setval(r.oid, 1000) FROM attack.relation AS r WHERE r.kind = 'S';

	/* All that is in a clinic's rows. */
	CREATE FUNCTION attack.digest(clinic bigint) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		v_table record;
		v_one text;
		v_all text := '';
	BEGIN
		FOR v_table IN SELECT r.* FROM attack.relation AS r WHERE r.kind = 'r' AND r.clinic IS NOT NULL ORDER BY r.name LOOP
			EXECUTE format('SELECT md5(string_agg(x::text, '' '' ORDER BY x::text)) FROM %s AS x WHERE x.%I = $1', v_table.name, v_table.clinic)
			INTO v_one USING clinic;
			v_all := v_all || COALESCE(v_one, '-');
		END LOOP;
		RETURN md5(v_all);
	END $$;

	/* One command as a role, undone: what was raised, what came back, what it did to clinic 2. */
	CREATE FUNCTION attack.try(role name, clinic text, command text, path text DEFAULT 'public') RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE
		v_before text := attack.digest(2);
		v_text text;
		is_query boolean := command LIKE 'SELECT%';
		v_message text;
		v_state text;
	BEGIN
		PERFORM set_config('telehealth.clinic_id', clinic, true);
		PERFORM set_config('role', role, true);
		PERFORM set_config('search_path', path, true);
		IF is_query THEN
			EXECUTE command INTO v_text;
		ELSE
			EXECUTE command;
		END IF;
		PERFORM pg_catalog.set_config('search_path', 'public', true);
		PERFORM set_config('role', 'none', true);
		RAISE EXCEPTION USING ERRCODE = 'TH999', MESSAGE = jsonb_build_object('state', '00000',
			'said', COALESCE(v_text, ''), 'changed', v_before <> attack.digest(2));
	EXCEPTION
		WHEN SQLSTATE 'TH999' THEN
			RETURN SQLERRM;
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT;
			RETURN jsonb_build_object('state', v_state, 'said', v_message, 'changed', false);
	END $$;
});

my @relations = $t->rows(q{SELECT r.name, r.kind, r.clinic, (SELECT a.attname FROM pg_attribute AS a
	WHERE a.attrelid = r.oid AND a.attnum > 0 AND a.attgenerated = '' LIMIT 1) AS col FROM attack.relation AS r ORDER BY r.name});

# One attempt for each command, all of them in one go: [role, clinic, command] => what came of it
sub tries
{
	my ($before, @attempts) = @_;
	my $file = $t->basedir . '/attempts.sql';

	open my $h, '>', $file or die;
	print $h $before;
	print $h "SELECT attack.try($_);\n" for map { join ', ', map { literal($_) } @$_ } @attempts;
	close $h;
	my ($rc, $out, $err) = $t->psql('postgres', "\\i $file");
	die $err if $rc != 0 || $err =~ /ERROR/;
	my @said = map { decode_json($_) } split /\n/, $out;
	die 'lost an answer' if @said != @attempts;
	return @said;
}

# What is wrong with what came of the attempts, by the caller's rule
sub judge
{
	my ($name, $rule, @attempts) = @_;
	my @said = tries('', map { $_->{try} } @attempts);
	my @bad;

	for my $i (0 .. $#attempts)
	{
		my $wrong = $rule->($attempts[$i], $said[$i]);
		push @bad, "$attempts[$i]{try}[0] (clinic $attempts[$i]{try}[1]): $attempts[$i]{try}[2]: $wrong ($said[$i]{state} $said[$i]{said})"
		  if $wrong;
	}
	cmp_ok(scalar(@attempts), '>', 0, "$name: there is something to try");
	is(join("\n", @bad), '', "$name (" . @attempts . ' attempts)');
	return @said;
}

# ---- relations

# A partition of a day is what the default partition is
sub class_of { my ($name) = @_; return $RELATION{ $name =~ s/^(telehealth_private\.job_(?:history|failure))_\d+$/${1}_default/r } }

is(join(' ', grep { !class_of($_) } map { $_->{name} } @relations), '', 'S2: the rules name every relation');
{
	my %there = map { ($_->{name} => 1) } @relations;
	is(join(' ', grep { !$there{$_} } sort keys %RELATION), '', 'S2: and none that is not there');
}
# attempts that went well and attempts that failed
$t->sql(q{INSERT INTO telehealth_private.job_history
	SELECT (jsonb_populate_record(h, '{"outcome": "dead"}')).* FROM telehealth_private.job_history AS h});
for my $r (grep { $_->{clinic} && $_->{kind} =~ /[rp]/ } @relations)
{
	is($t->sql("SELECT count(DISTINCT $r->{clinic}) FROM $r->{name} WHERE $r->{clinic} IN (1, 2)"),
		$r->{name} =~ /_\d{6,8}$/ ? 0 : 2, "two clinics have rows in $r->{name}");
}
is($t->sql(q{
	WITH given AS (
		SELECT r.name, a.grantee::regrole::text AS role, string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type) AS can
		FROM attack.relation AS r JOIN pg_class AS c ON c.oid = r.oid, aclexplode(c.relacl) AS a
		WHERE a.grantee <> c.relowner AND a.grantee <> (SELECT oid FROM pg_roles WHERE rolname = 'boss') GROUP BY r.name, a.grantee
	), ruled AS (SELECT * FROM json_to_recordset(} . literal([ map {
		my $r = $_;
		my %word = (a => 'INSERT', d => 'DELETE', r => 'SELECT', w => 'UPDATE');
		map { { name => $r->{name}, role => $_, can => join ' ', sort map { $word{$_} } split //, $RELATION_CLASS{ class_of($r->{name}) // 'inside' }{$_} } }
		  keys %{ $RELATION_CLASS{ class_of($r->{name}) // 'inside' } } } @relations ]) . q{) AS j (name text, role text, can text))
	SELECT coalesce(string_agg(format('%s %s: %s instead of %s', name, role, g.can, u.can), '; '), '')
	FROM given AS g FULL JOIN ruled AS u USING (name, role) WHERE g.can IS DISTINCT FROM u.can}), '',
	'S2: the privileges of relations are those of the rules, PUBLIC has none');
is($t->sql(q{SELECT count(*) FROM pg_attribute AS a JOIN attack.relation AS r ON r.oid = a.attrelid WHERE a.attacl IS NOT NULL}), 0,
	'S2: none is of a column alone');

my %WORD = (
	r => 'SELECT string_agg(x::text, chr(10)) FROM %s AS x',
	a => 'INSERT INTO %s DEFAULT VALUES',
	w => 'UPDATE %s SET %s = %s',
	d => 'DELETE FROM %s',
	D => 'TRUNCATE %s');
my @attempts;
for my $r (@relations)
{
	for my $role (@ROLES)
	{
		for my $can (qw(r a w d D))
		{
			my $column = '"' . $r->{col} . '"';

			next if $r->{kind} eq 'S' && $can =~ /[rD]/;
			push @attempts, { relation => $r, role => $role, can => $can,
				is_allowed => (($RELATION_CLASS{ class_of($r->{name}) // 'inside' }{$role} // '') =~ /$can/) ? 1 : 0,
				try => [ $role, $_, sprintf $WORD{$can}, $r->{name}, ($can eq 'w' ? ($column, $column) : ()) ] }
			  for ($can eq 'a' ? (1, 2) : 1);
		}
	}
}
my @said = judge('S2: every relation, every role, every command', sub {
	my ($a, $s) = @_;

	return 'clinic 2 changed' if $s->{changed};
	return 'clinic 2 is shown' if $s->{said} =~ /clinic 2/ || ($s->{said} =~ /^\(2,/m && $a->{relation}{clinic});
	return undef if $a->{is_allowed} && $s->{state} ne '42501';
	# an admin of one clinic may not change what is of all, nor a clinic's row elsewhere
	return undef if $a->{is_allowed} && ($a->{try}[1] == 2 || $a->{relation}{name} =~ /vendor_limit|telehealth\.clinic$/) && $a->{can} eq 'a';
	return 'it is not allowed' if $a->{is_allowed};
	return undef if $s->{state} eq '42501';
	# a view refuses before anybody's privileges are looked at
	return undef if $a->{role} ne 'nobody' && $a->{relation}{kind} eq 'v' && $a->{can} ne 'r' && $s->{state} =~ /^(55000|42809|0A000)$/;
	return 'it is allowed';
}, @attempts);

# What is not shown is not just empty
for my $i (grep { $attempts[$_]{can} eq 'r' && $attempts[$_]{is_allowed} && $attempts[$_]{relation}{clinic} } 0 .. $#attempts)
{
	my ($a, $s) = ($attempts[$i], $said[$i]);

	like($s->{said}, qr/^\(1,/m, "$a->{role} sees its own in $a->{relation}{name}");
}
# Rows put or moved into another clinic; the checks of a row come before its keys
@attempts = ();
for my $r (grep { $_->{clinic} && $_->{kind} =~ /[rp]/ } @relations)
{
	my @columns = map { $_->{c} } $t->rows("SELECT attname AS c FROM pg_attribute WHERE attrelid = '$r->{name}'::regclass
		AND attnum > 0 AND NOT attisdropped AND attgenerated = ''");
	my $list = join ', ', map { qq("$_") } @columns;
	my $copy = join ', ', map { $_ eq $r->{clinic} ? 99 : $_ eq 'id' ? 98 : qq("$_") } @columns;

	push @attempts, { try => [ $_, 1, "INSERT INTO $r->{name} ($list) OVERRIDING SYSTEM VALUE SELECT $copy FROM $r->{name} LIMIT 1" ] },
	  { try => [ $_, 99, "UPDATE $r->{name} SET $r->{clinic} = 99" ] } for @ROLES;
}
judge('S2: no row is put or moved into another clinic', sub { $_[1]{state} eq '42501' ? undef : 'it is allowed' }, @attempts);
judge('S2: sequences', sub { $_[1]{state} eq '42501' ? undef : 'it is allowed' },
	map { my $s = $_; map { { try => [ $_, 1, "SELECT nextval('$s')" ] }, { try => [ $_, 1, "SELECT setval('$s', 1)" ] },
		{ try => [ $_, 1, "SELECT last_value FROM $s" ] } } @ROLES } map { $_->{name} } grep { $_->{kind} eq 'S' } @relations);

# ---- functions

my @functions = $t->rows(q{SELECT p.oid::regprocedure::text AS signature, p.pronamespace::regnamespace::text || '.' || p.proname AS name, p.proname,
	p.prorettype = 'trigger'::regtype OR 'internal'::regtype = ANY (p.proargtypes) AS is_trigger, p.prokind = 'a' AS is_aggregate, coalesce(p.proargnames[1:p.pronargs], '{}') AS names,
	ARRAY(SELECT format_type(u.t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, n) ORDER BY u.n) AS types
	FROM pg_proc AS p WHERE p.pronamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace) ORDER BY 1});

# Everything of telehealth_private is inside
sub call_class { my ($f) = @_; return $CALL{ $f->{name} } // ($f->{name} =~ /^telehealth_private\./ ? 'inside' : undef) }

is(join(' ', grep { $_ } map { call_class($_) ? '' : $_->{signature} } @functions), '', 'S2: the rules name every function');
{
	my %there = map { ($_->{name} => 1) } @functions;
	is(join(' ', grep { !$there{$_} } sort keys %CALL), '', 'S2: and none that is not there');
}

# A call that the planner cannot answer by itself: the arguments come from a row
sub call_of
{
	my ($f, $value) = @_;
	my @values = map { $value->($f, $_) } 0 .. $#{ $f->{types} };
	my $row = join ', ', '1', map { "($values[$_])::$f->{types}[$_] AS a$_" } 0 .. $#values;
	my $arguments = join ', ', map { "v.a$_" } 0 .. $#values;

	return "SELECT $f->{name}()" if $f->{is_trigger};
	return "SELECT $f->{name}($arguments)::text FROM (SELECT $row OFFSET 0) AS v" if $f->{is_aggregate};
	return "SELECT string_agg(q::text, chr(10)) FROM (SELECT $row OFFSET 0) AS v, LATERAL $f->{name}($arguments) AS q";
}

my @missing;
sub argument
{
	my ($f, $i, %fill) = @_;
	my $value = $ARGUMENT{"$f->{proname}.$f->{names}[$i]"} // $ARGUMENT{ $f->{names}[$i] };

	$value = $ARGUMENT{ $f->{types}[$i] } if !defined $value || $f->{name} =~ /^telehealth_private/;
	push @missing, "$f->{signature}.$f->{names}[$i]" if !defined $value;
	$value //= 'NULL';
	$value =~ s/%(\w+)%/$fill{$1}/g;
	return $value;
}

@attempts = ();
for my $f (@functions)
{
	for my $role (@ROLES)
	{
		my $is_allowed = grep { $_ eq $role } @{ $CALL_CLASS{ call_class($f) // 'inside' } };
		my %of = (f => $f, role => $role, is_allowed => $is_allowed);
		my $with = sub {
			my ($clinic, $id) = @_;
			return call_of($f, sub { argument(@_, role => "'$role'", clinic => $clinic, id => $id) });
		};

		push @attempts, { %of, case => 'null', try => [ $role, 1, call_of($f, sub { 'NULL' }) ] },
		  { %of, case => 'own', try => [ $role, 1, $with->(1, 11) ] },
		  { %of, case => 'foreign', try => [ $role, 2, $with->(2, 22) ] },
		  { %of, case => 'lost', try => [ $role, 1, $with->(2, 22) ] };
	}
}
is(join(' ', @missing), '', 'every argument has a value that makes sense');
judge('S2: every function, every role', sub {
	my ($a, $s) = @_;
	my $class = call_class($a->{f}) // 'inside';

	return 'clinic 2 changed' if $s->{changed};
	return 'clinic 2 is shown' if $s->{said} =~ /of clinic 2|for clinic 2 in/;
	return $s->{state} eq '42501' ? undef : 'it is allowed' if !$a->{is_allowed};
	return undef if $class eq 'asked' || $class eq 'signed';
	return $s->{state} eq '42501' ? 'it is not allowed' : undef if $a->{case} eq 'own';
	# what may not be seen is not there
	return $s->{state} =~ /^(42501|P0002)$/ ? undef : 'another clinic\'s is allowed' if $a->{case} eq 'foreign';
	return $s->{state} =~ /^(42501|P0002|00000|55000)$/ ? undef : 'it is found' if $a->{case} eq 'lost';
	return undef;
}, @attempts);
# ---- a function of one's own sees no row that row security or a view hides

$t->sql(q{
	CREATE FUNCTION attack.leak(clinic bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
	BEGIN
		IF clinic = 2 THEN
			RAISE EXCEPTION 'seen' USING ERRCODE = 'TH666';
		END IF;
		RETURN true;
	END $$});
judge('S2: a leaky condition sees nothing more', sub { $_[1]{state} eq '00000' ? undef : 'it failed' }, map {
	my $r = $_;
	map { { try => [ $_, 1, "SELECT count(*) FROM $r->{name} AS x WHERE attack.leak(x.$r->{clinic})" ] } }
	  grep { ($RELATION_CLASS{ class_of($r->{name}) // 'inside' }{$_} // '') =~ /r/ } @ROLES;
} grep { $_->{clinic} } @relations);

# ---- hostile surroundings

# Operators, functions, types and tables that stand before the server's own.
# Each notes that it ran with another's rights; a sequence keeps the note
# whatever becomes of the transaction.
$t->sql(q{
	CREATE SCHEMA evil;
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
	CREATE SEQUENCE evil.ran_as_other MINVALUE 0 START 0;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA evil TO PUBLIC;
	SELECT nextval('evil.ran_as_other');
	CREATE FUNCTION evil.note() RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
	BEGIN
		IF current_user <> current_setting('role') THEN
			PERFORM nextval('evil.ran_as_other');
		END IF;
		RETURN true;
	END $$;

	CREATE VIEW attack.type AS SELECT t.oid FROM pg_type AS t
		WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY ('{bool,int2,int4,int8,text,name,timestamptz,interval,jsonb,json,
			oid,regclass,regrole,date,bytea,float8,numeric,xid,tstzrange,_int8,_text,_int4,_timestamptz,_name,char,regnamespace,timestamp}')
			OR t.oid IN ('telehealth.appointment_type'::regtype, 'telehealth.appointment_status'::regtype, 'telehealth.session_status'::regtype);
	DO $$
	DECLARE
		v record;
	BEGIN
		FOR v IN
			SELECT p.proname, string_agg(u.t::regtype::text, ', ' ORDER BY u.n) AS types, p.prorettype::regtype AS result
			FROM pg_proc AS p, unnest(p.proargtypes) WITH ORDINALITY AS u (t, n)
			WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0 AND NOT p.proretset
				AND p.prorettype IN (SELECT y.oid FROM attack.type AS y)
			GROUP BY p.oid, p.proname, p.prorettype HAVING bool_and(u.t IN (SELECT y.oid FROM attack.type AS y))
			UNION ALL
			SELECT p.proname, '', p.prorettype::regtype FROM pg_proc AS p
			WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('now', 'clock_timestamp', 'pg_is_in_recovery', 'current_database')
		LOOP
			EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(); RETURN NULL; END''',
				v.proname, v.types, v.result);
		END LOOP;
		FOR v IN
			WITH pair AS (
				SELECT o.oprname AS name, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result FROM pg_operator AS o
				WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft IN (SELECT y.oid FROM attack.type AS y)
					AND o.oprright IN (SELECT y.oid FROM attack.type AS y) AND o.oprresult IN (SELECT y.oid FROM attack.type AS y)
				UNION
				SELECT n, y.oid::regtype, y.oid::regtype, 'bool'::regtype FROM attack.type AS y, unnest('{=,<>,<,>,<=,>=}'::text[]) AS n)
			SELECT p.*, row_number() OVER () AS no FROM pair AS p
		LOOP
			EXECUTE format('CREATE FUNCTION evil.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(); RETURN NULL; END''',
				v.no, v.l, v.r, v.result);
			EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.operator_%s, LEFTARG = %s, RIGHTARG = %s)', v.name, v.no, v.l, v.r);
		END LOOP;
		FOR v IN SELECT unnest('{int8,int4,text,timestamptz}'::regtype[]) AS t LOOP
			EXECUTE replace('CREATE FUNCTION evil.unnest(a X[]) RETURNS SETOF X LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(); END''', 'X', v.t::text);
			EXECUTE replace('CREATE FUNCTION evil.cardinality(a X[]) RETURNS int LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(); RETURN 0; END''', 'X', v.t::text);
			EXECUTE replace('CREATE FUNCTION evil.collect(a X[], b X) RETURNS X[] LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(); RETURN a; END''', 'X', v.t::text);
			EXECUTE replace('CREATE AGGREGATE evil.array_agg(X) (SFUNC = evil.collect, STYPE = X[])', 'X', v.t::text);
		END LOOP;
		FOR v IN SELECT unnest('{text,name,jsonb,regclass,timestamptz,date,bytea,oid,regrole,xid}'::text[]) AS name LOOP
			EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (evil.note())', v.name, v.name);
		END LOOP;
	END $$;

	/* What everybody is warned of; shows that the traps work. */
	CREATE FUNCTION attack.careless(part int) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		RETURN CASE part WHEN 1 THEN 1::bigint = 2::bigint WHEN 2 THEN lower('x'::pg_catalog.text) IS NULL
			WHEN 3 THEN '1'::oid IS NULL WHEN 4 THEN (SELECT count(*) = 0 FROM role_grant) END;
	END $$;
});

my $PATH = 'pg_temp, evil, telehealth_private, telehealth, pg_catalog';
my $shadows = join '', map { "CREATE TEMP TABLE $_->{c} AS SELECT * FROM $_->{r} LIMIT 0;\nGRANT ALL ON pg_temp.$_->{c} TO PUBLIC;\n" }
  $t->rows(q{SELECT DISTINCT ON (c.relname) quote_ident(c.relname) AS c, c.oid::regclass::text AS r FROM pg_class AS c
	WHERE c.relkind IN ('r', 'v', 'p') AND (c.relnamespace IN ('telehealth'::regnamespace, 'telehealth_private'::regnamespace)
		OR c.relname IN ('pg_roles', 'pg_database', 'pg_class', 'pg_inherits', 'pg_proc', 'pg_namespace', 'pg_type'))});
$shadows .= "INSERT INTO pg_temp.role_grant VALUES ('app', 'admin', 0, pg_catalog.now()), ('reader', 'admin', 0, pg_catalog.now());\n";

# What came of the attempts in hostile surroundings, and how often another's rights were there to be had
sub hostile
{
	my (@attempts) = @_;
	my $before = $t->sql('SELECT last_value FROM evil.ran_as_other');
	my @said = tries($shadows, map { [ @$_, $PATH ] } @attempts);

	return ($t->sql('SELECT last_value FROM evil.ran_as_other') - $before, @said);
}

for my $part (1 .. 3)
{
	cmp_ok((hostile([ 'app', 1, "SELECT attack.careless($part)" ]))[0], '>', 0, "S5: a careless function falls into trap $part");
}

# The statement without any name of its own that could be another's
sub qualified
{
	my ($f, $role) = @_;
	my @values = map { '(' . argument($f, $_, role => "'$role'", clinic => 1, id => 11) . ')::' . $f->{types}[$_] =~ s/^(text|jsonb|regrole|name|bytea)/pg_catalog.$1/r }
	  0 .. $#{ $f->{types} };

	return "SELECT $f->{name}(" . join(', ', @values) . ')' if $f->{is_aggregate};
	return 'SELECT 1 FROM (SELECT ' . join(', ', 1, map { "$values[$_] AS a$_" } 0 .. $#values) . ' OFFSET 0) AS v, LATERAL '
	  . "$f->{name}(" . join(', ', map { "v.a$_" } 0 .. $#values) . ') AS q';
}

my @hostile;
for my $role (qw(reader app admin boss))
{
	push @hostile, map { [ $role, 1, qualified($_, $role) ] } grep { $_->{name} =~ /^telehealth\./ && !$_->{is_trigger} } @functions;
	push @hostile, map { [ $role, 1, "SELECT 1 FROM $_->{name}" ] } grep { (class_of($_->{name}) // 'inside') ne 'inside' } @relations;
}
my $book = 'INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at';
for my $role (qw(app boss))
{
	push @hostile, map { [ $role, 1, $_ ] } (
		"$book) VALUES (1, 1, 'VIDEO', '2032-01-01Z')",
		"$book) SELECT 1, g, 'VIDEO', '2032-01-01Z' FROM pg_catalog.generate_series(1, 3) AS g",
		"$book, is_overbooked, overbook_reason) VALUES (1, 1, 'VIDEO', '2032-01-01Z', true, 'x')",
		"$book, status, held_until) VALUES (1, 1, 'VIDEO', '2032-01-01Z', 'PENDING', '2031-01-01Z')",
		'UPDATE telehealth.appointment SET duration = 31',
		"UPDATE telehealth.appointment SET status = 'CANCELLED'",
		'DELETE FROM telehealth.appointment');
}
push @hostile, map { [ 'boss', 1, $_ ] } (
	"INSERT INTO telehealth.clinic (id, name) VALUES (77, 'x')",
	"INSERT INTO telehealth.disclosure_policy (target, fact, is_allowed) VALUES ('sms', 'title', true)",
	"INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES ('zoom', 'light_per_second', 5)",
	"UPDATE telehealth.clinic SET name = 'y'", 'DELETE FROM telehealth.disclosure_policy');
{
	my @calm = tries('', map { [ @$_, 'public' ] } @hostile);
	my ($ran, @said) = hostile(@hostile);
	# appointment_ics() reads with the caller's own rights, and is the caller's own trouble
	my @differ = map { "$hostile[$_][0]: $hostile[$_][2]: $calm[$_]{state} $calm[$_]{said}, hostile $said[$_]{state} $said[$_]{said}" }
	  grep { $hostile[$_][2] !~ /appointment_ics/ && ($calm[$_]{state} ne $said[$_]{state} || $hostile[$_][0] ne 'boss' && $said[$_]{changed}) } 0 .. $#hostile;

	if ($ran)
	{
		diag "with another's rights: $_->[0]: $_->[2]" for grep { (hostile($_))[0] } @hostile;
	}
	is($ran, 0, 'S5: nothing of a caller\'s making runs with another\'s rights (' . @hostile . ' attempts)');
	is(join("\n", @differ), '', 'S5: and what comes of a call is the same');
}

is($t->sql(q{SET search_path = telehealth, public;
	DO $$ BEGIN PERFORM telehealth.ensure_meeting(999); EXCEPTION WHEN no_data_found THEN NULL; END $$;
	SELECT telehealth.ensure_meeting(11) \g /dev/null
	SELECT current_user, current_setting('search_path')}, role => 'app'), 'app|telehealth, public', 'S5: the caller has its own again, also after an error');
is($t->sql(q{SET search_path = telehealth, public;
	BEGIN;
	SELECT telehealth.ensure_meeting(11) \g /dev/null
	SELECT current_user, current_setting('search_path');
	DO $$ BEGIN PERFORM telehealth.ensure_meeting(999); EXCEPTION WHEN no_data_found THEN NULL; END $$;
	SELECT current_user, current_setting('search_path');
	COMMIT}, role => 'app'), "app|telehealth, public\napp|telehealth, public", 'S5: and within its transaction');

finish;
