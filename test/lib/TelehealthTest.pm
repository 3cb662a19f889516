# A test's server with telehealth in it: PostgreSQL's own test cluster, plus
# what every test of ours needs.  "use TelehealthTest;" also gives Test::More.
package TelehealthTest;

use strict;
use warnings;

use Carp qw(croak);
use Cwd ();
use File::Basename qw(dirname);
use File::Find qw(find);
use File::Temp ();
use lib dirname(Cwd::abs_path(__FILE__));

our (@ISA, $Scratch);

# The server's test modules come with its development files; pg_config says
# where.  TESTDIR, PG_REGRESS and PATH are what PGXS would have set.
BEGIN
{
	my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
	my $ask = sub {
		my $text = `"$pg_config" $_[0] 2>/dev/null` // '';
		chomp $text;
		die "cannot run $pg_config\n" if $text eq '';
		return $text;
	};
	my $bin = $ask->('--bindir');
	my $test = dirname($ask->('--pgxs')) . '/../test';

	die "no server can run as root: use another user\n" if $> == 0;
	unshift @INC, "$test/perl";
	$ENV{PATH} = "$bin:$ENV{PATH}";
	$ENV{PG_REGRESS} //= "$test/regress/pg_regress";
	if (!defined $ENV{TESTDIR})
	{
		$Scratch = File::Temp->newdir('telehealth_test_' . 'X' x 8, TMPDIR => 1);
		$ENV{TESTDIR} = "$Scratch";
	}
}

use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use FakeZoom;
use Mojo::JSON qw(decode_json encode_json);
use Time::HiRes qw(time usleep);

BEGIN { @ISA = ('PostgreSQL::Test::Cluster') }

# What tests want other than the defaults; conf => {...} of node() wins
our %FAST = (
	'telehealth.poll_interval_ms' => 200,
	'telehealth.connect_timeout_ms' => 2000,
	'telehealth.request_timeout_ms' => 3000,
	'telehealth.lease_seconds' => 10);

my $patience_s = $PostgreSQL::Test::Utils::timeout_default || 180;

# Test::More's functions and finish() for the caller
sub import
{
	my ($class) = @_;
	my $caller = caller;

	strict->import;
	warnings->import;
	Test::More->export_to_level(1, $class);
	no strict 'refs';
	*{"${caller}::finish"} = \&finish;
	*{"${caller}::literal"} = \&literal;
	*{"${caller}::patiently"} = \&patiently;
	return;
}

# Last line of a test: no fake was misused, and the plan
sub finish
{
	for my $fake (FakePeer->all)
	{
		my @bad = $fake->complaints;

		next if $fake->is_judged;
		is(join("\n", @bad), '', $fake->name . ' was not misused');
		$fake->is_judged(1);
	}
	return done_testing();
}

# Call code until it is true or the limit is over; its last value. A server
# that something watches is slow: TELEHEALTH_PATIENCE says how many times.
sub patiently
{
	my ($code, $limit_s) = @_;
	my $end = time + ($limit_s // $patience_s) * ($ENV{TELEHEALTH_PATIENCE} // 1);

	while (1)
	{
		my $got = $code->();
		return $got if $got || time > $end;
		usleep 20_000;
	}
}

# SQL literal of a value, in bytes; a reference to text stands for itself, a
# hash or array becomes JSON
sub literal
{
	my ($v) = @_;

	return 'NULL' if !defined $v;
	return $$v if ref $v eq 'SCALAR';
	$v = encode_json($v) if ref $v eq 'HASH' || ref $v eq 'ARRAY';
	utf8::encode($v) if utf8::is_utf8($v);
	my $e = $v =~ /\\/ ? 'E' : '';
	$v =~ s/\\/\\\\/g;
	$v =~ s/'/''/g;
	return "$e'$v'";
}

# ---- the server

# A started server with telehealth preloaded.  Options: preload => 0,
# start => 0, conf => { name => value }, conf_text => '...', streaming => 1,
# backup => [node, name] (+ standby => 1), fast => 0, initdb => [...],
# own_host, port, install_path as in PostgreSQL::Test::Cluster.
sub node
{
	my ($class, $name, %o) = @_;
	my %new = map { $_ => $o{$_} } grep { exists $o{$_} } qw(own_host port install_path);
	my $self = $class->new($name, %new);
	my %conf;

	@$self{qw(th_db th_visits)} = ($o{db} // 'postgres', 0);
	if ($o{backup})
	{
		$self->init_from_backup(@{ $o{backup} }, has_streaming => $o{standby} // 0);
	}
	else
	{
		$self->init(
			extra => [ '-E', 'UTF8', '--locale=C', @{ $o{initdb} // [] } ],
			allows_streaming => $o{streaming} // 0);
		%conf = (
			# the statements of a test have secrets in them
			log_statement => 'none',
			log_min_messages => $o{log_min_messages} // 'info',
			restart_after_crash => 'on',
			max_worker_processes => 16,
			max_connections => 50,
			shared_buffers => '16MB',
			'telehealth.allowed_hosts' => '127.0.0.1',
			($o{preload} // 1)
			? (shared_preload_libraries => 'telehealth')
			: (),
			($o{fast} // 1) ? %FAST : ());
	}
	%conf = (%conf, %{ $o{conf} // {} });
	$self->set_conf(%conf);
	$self->append_conf('postgresql.conf', $o{conf_text}) if defined $o{conf_text};
	$self->start if $o{start} // 1;
	return $self;
}

# A started server with the extension that tells all it can: a log of every
# statement at the lowest level, WAL for logical decoding, pg_stat_statements
# where it is installed.
sub telling_node
{
	my ($class, $name, %conf) = @_;
	my $self = $class->node($name, start => 0,
		conf => {
			log_statement => 'all',
			log_min_duration_statement => 0,
			log_min_messages => 'debug5',
			log_error_verbosity => 'verbose',
			log_parameter_max_length => 0,
			log_parameter_max_length_on_error => 0,
			debug_print_parse => 'on',
			wal_level => 'logical',
			track_activity_query_size => '64kB',
			%conf,
		});

	$self->{th_has_statements} = -f `pg_config --pkglibdir` =~ s/\n//r . '/pg_stat_statements.so';
	$self->set_conf(shared_preload_libraries => 'telehealth, pg_stat_statements', 'pg_stat_statements.track' => 'all')
	  if $self->{th_has_statements};
	$self->start;
	$self->create_extension;
	$self->sql('CREATE EXTENSION pg_stat_statements') if $self->{th_has_statements};
	return $self;
}

# True if pg_stat_statements looks on
sub has_statements { my ($self) = @_; return $self->{th_has_statements} }

# Settings into postgresql.conf; undefined leaves one out.  The server reads
# them at its next start or reload.
sub set_conf
{
	my ($self, %conf) = @_;

	$self->append_conf(
		'postgresql.conf',
		join '',
		map { "$_ = '" . $conf{$_} =~ s/'/''/gr . "'\n" }
		  grep { defined $conf{$_} } sort keys %conf);
	return;
}

# The same, seen by every process that reads its configuration again
sub reload_conf
{
	my ($self, %conf) = @_;

	$self->set_conf(%conf);
	$self->reload;
	return;
}

sub db
{
	my ($self, $db) = @_;

	$self->{th_db} = $db if defined $db;
	return $self->{th_db} // 'postgres';
}

# CREATE EXTENSION, in a database that is made when it is not there.
# options: wait => 0 does not wait for the dispatcher.
sub create_extension
{
	my ($self, $db, %o) = @_;

	$db //= $self->db;
	$self->sql("CREATE DATABASE $db", db => 'postgres')
	  if !$self->sql("SELECT count(*) FROM pg_database WHERE datname = '$db'",
		db => 'postgres');
	$self->sql('CREATE EXTENSION telehealth CASCADE', db => $db);
	return 1 if !($o{wait} // 1) || $self->sql('SHOW shared_preload_libraries') !~ /telehealth/;
	return $self->wait_dispatcher($db);
}

# ---- SQL

sub _wrapped
{
	my ($query, $o) = @_;
	my $head = '';

	$head .= "SET ROLE $o->{role};\n" if defined $o->{role};
	$head .= "SET telehealth.clinic_id = '$o->{clinic}';\n" if defined $o->{clinic};
	$head .= $query;
	utf8::encode($head) if utf8::is_utf8($head);
	return $head;
}

# Result of a query as unaligned text; dies on error.
# options: db, role, clinic, and those of PostgreSQL::Test::Cluster->psql
sub sql
{
	my ($self, $query, %o) = @_;
	my %psql = %o;

	delete @psql{qw(db role clinic)};
	return $self->safe_psql($o{db} // $self->db, _wrapped($query, \%o), %psql);
}

# Rows of a query as hashes
sub rows
{
	my ($self, $query, %o) = @_;
	my $text = $self->sql(
		"SELECT coalesce(json_agg(to_json(q)), '[]') FROM ($query) q", %o);

	return @{ decode_json($text) };
}

sub row { my @r = rows(@_); return $r[0] }

# Run a query that must fail.  Returns sqlstate, message, detail, hint,
# context, stderr; undefined when it succeeded.
sub sql_fails
{
	my ($self, $query, %o) = @_;
	my ($rc, $out, $err) = $self->psql(
		$o{db} // $self->db,
		_wrapped($query, \%o),
		extra_params => [ '-v', 'VERBOSITY=verbose', @{ $o{extra_params} // [] } ]);

	return undef if $rc == 0;
	my %e = (stderr => $err, sqlstate => '', message => $err, detail => '',
		hint => '', context => '');
	@e{qw(sqlstate message)} = ($1, $2)
	  if $err =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5}): (.*)/;
	for my $k (qw(detail hint context))
	{
		$e{$k} = $1 if $err =~ /^\U$k\E:\s+(.*)/m;
	}
	return \%e;
}

# As a test: SQLSTATE, and message and hint if given (text or pattern)
sub fails_ok
{
	my ($self, $query, $want, $name, %o) = @_;
	my $e = $self->sql_fails($query, %o);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return fail("$name (it succeeded)") if !$e;
	$want = { sqlstate => $want } if !ref $want;
	for my $k (sort keys %$want)
	{
		next
		  if ref $want->{$k} ? $e->{$k} =~ $want->{$k} : $e->{$k} eq $want->{$k};
		my $ok = fail($name);
		diag "wanted $k: $want->{$k}\n$e->{stderr}";
		return $ok;
	}
	return pass($name);
}

# A server that refuses psql is gone before it has read its statement: no
# reason to die while one waits for it.
sub _try_psql
{
	my ($self, @args) = @_;
	my @result = eval { $self->psql(@args) };

	return @result if $@ eq '';
	die $@ if $@ !~ /Broken pipe/;
	return (2, '', $@);
}

# Ask until the answer is the wanted one (default t); says what it got if not
sub poll
{
	my ($self, $query, $expected, $limit_s, %o) = @_;
	my $last = '';

	$expected //= 't';
	my $ok = patiently(
		sub {
			my ($rc, $out, $err) = $self->_try_psql($o{db} // $self->db, _wrapped($query, \%o));
			$last = $rc == 0 ? $out : "error: $err";
			return $last eq $expected;
		},
		$limit_s);
	diag "polled: $query\nwanted: $expected\nlast:   $last" if !$ok;
	return $ok ? 1 : 0;
}

# ---- telehealth

# Connect a fake Zoom; returns the account id.  Options: clinic (0), db,
# settings => {...}, and credentials that differ from the fake's own.
sub connect_zoom
{
	my ($self, $fake, %o) = @_;
	my %opt = map { $_ => delete $o{$_} } qw(db clinic settings role);
	my %credentials = (
		account_id => 'acct-1',
		client_id => 'client-1',
		client_secret => 'secret-1',
		%o);
	my %settings = (
		api_url => $fake->api_url,
		token_url => $fake->token_url,
		default_user => 'host1@clinic.example',
		%{ $opt{settings} // {} });

	delete $credentials{$_} for grep { !defined $credentials{$_} } keys %credentials;
	delete $settings{$_} for grep { !defined $settings{$_} } keys %settings;
	return $self->sql(
		sprintf(
			"SELECT telehealth.connect_platform('zoom', %s::jsonb, %s::jsonb, %s)",
			literal(\%credentials), literal(\%settings), $opt{clinic} // 0),
		(defined $opt{db} ? (db => $opt{db}) : ()),
		(defined $opt{role} ? (role => $opt{role}) : ()));
}

# Connect a provider's calendar at a fake Google or Graph by a grant of its
# user; returns the connection's id. Options: provider (1), user, clinic (the
# client's: 0), and options => {...} of the connection.
sub connect_google
{
	my ($self, $fake, %o) = @_;
	return $self->_connect_calendar($fake, 'google', { client_id => 'google-app-1', client_secret => 'google-secret-1' }, %o);
}

sub connect_outlook
{
	my ($self, $fake, %o) = @_;
	return $self->_connect_calendar($fake, 'outlook', { client_id => 'app-1', client_secret => 'app-secret-1' }, %o);
}

sub _connect_calendar
{
	my ($self, $fake, $kind, $client, %o) = @_;
	my %settings = map { $_ => $fake->can($_) ? $fake->$_ : undef } qw(api_url token_url auth_url revoke_url);
	my $provider = $o{provider} // 1;
	my $grant = $fake->grant(user => $o{user} // 'user1@clinic.example');

	delete $settings{$_} for grep { !defined $settings{$_} } keys %settings;
	$self->sql(sprintf("SELECT telehealth.register_oauth_client('%s', %s::jsonb, %s::jsonb)",
			$kind, literal($client), literal(\%settings)))
	  if !$self->{"th_client $kind " . $self->db}++;
	$self->sql(sprintf("SELECT telehealth.connect_calendar(%s, '%s', %s::jsonb)",
			$provider, $kind, literal({ refresh_token => $grant->{refresh_token}, %{ $o{options} // {} } })));
	my $id = $self->sql("SELECT id FROM telehealth.calendar_connection WHERE provider_id = $provider AND kind = '$kind'");

	$self->poll("SELECT status FROM telehealth.calendar_connection WHERE id = $id", 'CONNECTED', 30)
	  if $o{wait} // 1;
	return $id;
}

# A calendar of each vendor at a ScriptedPeer, below /google, /graph and /cal/;
# options by that name. Their ids: google, graph, dav.
sub connect_scripted
{
	my ($self, $peer, %options) = @_;
	my %vendor = (google => 'google', graph => 'outlook', dav => 'caldav');
	my %id;

	for my $kind (qw(google graph))
	{
		$self->sql(sprintf 'SELECT telehealth.register_oauth_client(%s, %s, %s)', literal($vendor{$kind}),
			literal({ client_id => 'app', client_secret => 'app-secret' }),
			literal({ auth_url => $peer->url('/auth'), token_url => $peer->url('/token'), api_url => $peer->url("/$kind") }));
		$options{$kind} = { refresh_token => 'refresh-1', %{ $options{$kind} // {} } };
	}
	$options{dav} = { url => $peer->url('/cal/'), username => 'u', password => 'word-1', %{ $options{dav} // {} } };
	$id{$_} = $self->sql(sprintf "SELECT telehealth.connect_calendar(1, %s, %s) ->> 'connection_id'", literal($vendor{$_}), literal($options{$_}))
	  for sort keys %vendor;
	return %id;
}

# Limits of a calendar vendor that are no part of the test, or those given
sub widen_calendar_limits
{
	my ($self, $vendor, %limits) = @_;

	%limits = (
		requests_per_minute => 600_000,
		requests_per_minute_per_calendar => 120_000,
		concurrent_requests => 20,
		%limits);
	return $self->sql('INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES '
		  . join(', ', map { "('$vendor', '$_', $limits{$_})" } sort keys %limits));
}

# Limits of Zoom that are no part of the test, or those given; a hash reference
# first is options: db.
sub widen_limits
{
	my ($self, @args) = @_;
	my %o = ref $args[0] ? %{ shift @args } : ();
	my %limits = (
		light_per_second => 2000,
		medium_per_second => 2000,
		concurrent_requests => 20,
		host_writes_per_day => 100_000,
		@args);

	return $self->sql(
		'INSERT INTO telehealth.vendor_limit (vendor, name, value) VALUES '
		  . join(', ', map { "('zoom', '$_', $limits{$_})" } sort keys %limits),
		%o);
}

# Providers 1 to n, whose hosts are the fake's twenty in turn
sub add_hosts
{
	my ($self, $n, %o) = @_;

	return $self->sql(
		'INSERT INTO telehealth.provider (id, platform_user)'
		  . " SELECT n, format('host%s\@clinic.example', (n - 1) % 20 + 1)"
		  . ' FROM generate_series(1, ' . ($n // 20) . ') AS n',
		%o);
}

# Insert a VIDEO appointment; returns its id.  Columns as given; visits of one
# node follow each other, so that they never overlap.  A hash reference first
# is options: db, role, clinic.
sub insert_visit
{
	my ($self, @args) = @_;
	my %o = ref $args[0] ? %{ shift @args } : ();
	my $n = $self->{th_visits}++;
	my %cols = (
		patient_id => 1,
		provider_id => 1,
		type => 'VIDEO',
		starts_at => \"date_trunc('hour', now()) + interval '1 day $n hours'",
		@args);
	my @names = sort keys %cols;

	return $self->sql(
		sprintf(
			'INSERT INTO telehealth.appointment (%s) VALUES (%s) RETURNING id',
			join(', ', @names),
			join(', ', map { literal($cols{$_}) } @names)),
		%o);
}

# The session once its link is there, as a hash
sub await
{
	my ($self, $id, %o) = @_;
	my $timeout = delete $o{timeout} // '30 s';
	my $text = $self->sql(
		'SELECT to_json(s) FROM telehealth.await_meeting('
		  . "$id, '$timeout'::interval) s",
		%o);

	return decode_json($text);
}

# Wait until no job is left
sub drained
{
	my ($self, $limit_s, %o) = @_;
	return $self->poll('SELECT count(*) FROM telehealth_private.job', 0, $limit_s // 30, %o);
}

# The live session of an appointment, as a hash
sub session
{
	my ($self, $id, %o) = @_;
	return $self->row(
		"SELECT * FROM telehealth.session WHERE appointment_id = $id AND retired_at IS NULL",
		%o);
}

# What check_platform() finds, by the name of the check
sub checks
{
	my ($self, $account, %o) = @_;
	return { map { $_->{check_name} => $_ }
		  $self->rows("SELECT * FROM telehealth.check_platform($account)", %o) };
}

# As a test: the appointment gets its link
sub await_ok
{
	my ($self, $id, $name, %o) = @_;
	my $e = $self->sql_fails("SELECT telehealth.await_meeting($id, '30 s')", %o);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	diag $e->{stderr} if $e;
	return ok(!$e, $name);
}

sub _worker_pid
{
	my ($self, $type, $db) = @_;
	my $and = defined $db ? " AND datname = '$db'" : '';
	my ($rc, $out) = $self->psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'$and LIMIT 1");

	return $rc == 0 && $out =~ /^(\d+)$/ ? $1 : undef;
}

sub launcher_pid { my $self = shift; return $self->_worker_pid('telehealth launcher') }

# End the dispatcher; the pid of the next one
sub restart_dispatcher
{
	my ($self, $db) = @_;
	my $pid = $self->dispatcher_pid($db);

	$self->sql("SELECT pg_terminate_backend($pid)");
	return $self->wait_dispatcher($db, other => $pid);
}

sub dispatcher_pid
{
	my ($self, $db) = @_;
	return $self->_worker_pid('telehealth dispatcher', $db // $self->db);
}

# Pid of the dispatcher once there is one; other => pid wants another one
sub wait_dispatcher
{
	my ($self, $db, %o) = @_;
	my $other = $o{other} // 0;
	my $pid = patiently(
		sub {
			my $now = $self->dispatcher_pid($db);
			return $now && $now != $other ? $now : undef;
		},
		$o{limit} // 60);

	diag 'no telehealth dispatcher in ' . ($db // $self->db) if !$pid;
	return $pid;
}

# Is a process there (and not a zombie)?
sub is_alive
{
	my ($self, $pid) = @_;
	my $stat = '';

	# it may end between any look and the next
	if (open my $file, '<', "/proc/$pid/stat")
	{
		local $/;
		$stat = <$file> // '';
	}
	return $stat =~ /^\d+ \(.*\) ([A-Z])/s && $1 ne 'Z' ? 1 : 0;
}

# kill -9 of a process (default the dispatcher; 'launcher', 'postmaster', or a
# pid), then wait until the server answers again and has a new dispatcher.
# The old dispatcher's pid is gone by then.  Returns the new one.
sub kill9_and_wait_recovery
{
	my ($self, $what, %o) = @_;
	my $old = $self->dispatcher_pid($o{db}) // 0;

	$what //= 'dispatcher';
	if ($what eq 'postmaster')
	{
		$self->_kill_postmaster;
		patiently(sub { delete $self->{_pid}; $self->start(fail_ok => 1) }, 60)
		  or return undef;
	}
	else
	{
		my $pid =
		    $what eq 'dispatcher' ? $old
		  : $what eq 'launcher' ? $self->launcher_pid
		  : $what;

		croak "no process to kill ($what)" if !$pid;
		kill 'KILL', $pid;
		patiently(sub { !$self->is_alive($pid) }, 30);
	}
	$self->wait_ready or return undef;
	return $self->wait_dispatcher($o{db}, other => $old, limit => $o{limit});
}

# The postmaster dies, then its children; its lock file holds until then
sub _kill_postmaster
{
	my ($self) = @_;
	my $pid = $self->{_pid};
	my @children = split /\n/,
	  $self->sql('SELECT pid FROM pg_stat_activity', db => 'postgres');

	$self->kill9;
	patiently(sub { !grep { $self->is_alive($_) } @children }, 60)
	  or diag 'children outlive the postmaster';

	# where nobody reaps orphans it stays a zombie, which the server's own
	# check takes for alive
	patiently(sub { !kill 0, $pid }, 10)
	  or $self->is_alive($pid)
	  or unlink $self->data_dir . '/postmaster.pid';
	return;
}

# Wait until the server takes connections
sub wait_ready
{
	my ($self, $limit_s) = @_;

	return patiently(
		sub { my ($rc) = $self->_try_psql('postgres', 'SELECT 1'); $rc == 0 },
		$limit_s // 60);
}

# Until its gateway listens
sub wait_gateway
{
	my ($self) = @_;

	return $self->poll(q{SELECT status FROM telehealth.health WHERE check_name = 'gateway'}, 'ok', 60);
}

# Text of the server's log from an offset, and its present size
sub log_text
{
	my ($self, $offset) = @_;
	return PostgreSQL::Test::Utils::slurp_file($self->logfile, $offset // 0);
}
sub log_size { return -s $_[0]->logfile }

# All bytes that the server keeps, but for the key: 'the WAL', 'the data directory'
sub stored_bytes
{
	my ($self) = @_;
	my %bytes = ('the WAL' => '', 'the data directory' => '');

	find({ no_chdir => 1, wanted => sub {
		return if !-f $_ || -l $_ || /telehealth\.key$/;
		$bytes{ m{/pg_wal/} ? 'the WAL' : 'the data directory' } .= PostgreSQL::Test::Utils::slurp_file($_);
	} }, $self->data_dir);
	return %bytes;
}

# Is the library a build with TH_DEBUG=1? Only that one has waitpoints.
sub is_debug
{
	my ($self) = @_;

	return defined $self->row(q{SELECT current_setting('telehealth.debug_waitpoint', true) AS it})->{it};
}

# Keep the scratch folder of a failed test
END
{
	my $status = $?;

	if ($Scratch && ($status || !PostgreSQL::Test::Utils::all_tests_passing()))
	{
		$Scratch->unlink_on_destroy(0);
		diag "the servers' folders are kept in $Scratch";
	}
	$? = $status;
}

1;
