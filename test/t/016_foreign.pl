# What libraries and the system give can fail at every call: it is an error,
# the next one works, and nothing of what was got before it is left.  Calls
# are made to fail by test/lib/fault.c.  TELEHEALTH_LONG=1: more often.
use TelehealthTest;
use File::Basename qw(dirname);

plan skip_all => 'sanitizers and valgrind bring their own allocator' if $ENV{TELEHEALTH_WATCHED};

my $repeats = $ENV{TELEHEALTH_LONG} ? 50 : 3;
my $folder = PostgreSQL::Test::Utils::tempdir;
my ($library, $file) = ("$folder/fault.so", "$folder/fault");
my @kinds = qw(ciphers exchanges multis lists urls memory);

PostgreSQL::Test::Utils::run_log([ $ENV{CC} // 'cc', qw(-O2 -fno-builtin -shared -fPIC -o), $library,
		dirname($INC{'TelehealthTest.pm'}) . '/fault.c', '-ldl' ])
  or BAIL_OUT('cannot compile fault.c');
open my $page, '+>', $file or die;
truncate $page, 64 + 4096 * 4 * (2 + @kinds);
binmode $page;

# "times" calls of a function fail, after so many that do not
sub order
{
	my ($pid, $name, $skip, $times) = @_;

	sysseek $page, 0, 0;
	syswrite $page, pack 'l4 Z48', 0, $skip // 0, $times // 1, 0, $name;
	sysseek $page, 0, 0;
	syswrite $page, pack 'l', $pid;
	return;
}

# No more of it; how many have failed
sub fired
{
	sysseek $page, 12, 0;
	sysread $page, my $fired, 4;
	return unpack 'l', $fired;
}

sub disarm
{
	sysseek $page, 0, 0;
	syswrite $page, pack 'l', 0;
	return fired();
}

# What a process holds: objects of libraries, descriptors but of tables, children
sub holds
{
	my ($t, $pid) = @_;
	my $data = $t->data_dir;
	my %is;

	sysseek $page, 64 + ($pid % 4096) * 4 * (2 + @kinds), 0;
	sysread $page, my $bytes, 4 * (2 + @kinds);
	my ($who, @counts) = unpack 'l*', $bytes;
	@is{@kinds} = $who == $pid ? @counts : (0) x @kinds;
	$is{made} = $who == $pid ? $counts[-1] : 0;
	$is{descriptors} = grep { defined && !/^\Q$data\E\/(?:base|global|pg_)/ } map { readlink } glob "/proc/$pid/fd/*";
	$is{children} = () = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/task/$pid/children") =~ /\d+/g;
	return \%is;
}

# Names of what is held more than before, with numbers; "" if nothing
sub more
{
	my ($before, $after) = @_;
	return join ' ', map { "$_ $before->{$_}>$after->{$_}" }
	  grep { $_ ne 'made' && $after->{$_} > $before->{$_} } sort keys %$before;
}

sub begin
{
	my ($t) = @_;
	local $ENV{LD_PRELOAD} = join ' ', grep { defined } $ENV{LD_PRELOAD}, $library;
	local $ENV{FAULT_FILE} = $file;
	$t->start;
	return;
}

# A session whose errors do not end it: function for a statement, and its pid
sub session
{
	my ($t) = @_;
	my $psql = $t->background_psql('postgres', on_error_stop => 0);
	my $run = sub {
		my ($statement) = @_;
		my $result = $psql->query($statement);
		my $error = $psql->{stderr};
		$psql->{stderr} = '';
		return ($result, $error);
	};
	my ($pid) = $run->('SELECT pg_backend_pid()');
	return ($run, $pid, $psql);
}

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('foreign', start => 0, conf => { 'telehealth.request_timeout_ms' => 1000 });
begin($t);
$t->create_extension;
$t->widen_limits;

# ---- the first key file

my $key = $t->data_dir . '/telehealth.key';
my $connect = sprintf q{SELECT telehealth.connect_platform('zoom', '{"account_id": "acct-1", "client_id": "client-1", "client_secret": "secret-1"}',
	'{"api_url": "%s", "token_url": "%s", "default_user": "host1@clinic.example"}')}, $fake->api_url, $fake->token_url;
{
	my ($run, $pid, $psql) = session($t);
	$run->('SELECT count(*) FROM telehealth.health');
	my $before = holds($t, $pid);
	for my $name (qw(open write fsync link))
	{
		order($pid, $name);
		my ($result, $error) = $run->($connect);
		is(disarm(), 1, "$name fails while the key file is made");
		like($error, qr/could not make the key file: Cannot allocate memory/, 'which is an error');
		is(join(' ', glob "$key*"), '', 'without a file');
		is(more($before, holds($t, $pid)), '', 'and nothing is left');
	}
	my ($result, $error) = $run->($connect);
	unlike($error, qr/ERROR/, 'then it works');
	is(join(' ', glob "$key*"), $key, 'with one file');
	$psql->quit;
}

# ---- a backend seals and opens secrets

my ($envelope, $place) = split /\|/, $t->sql(q{SELECT envelope, format('telehealth_private.account_secret.envelope/%s/%s/%s', clinic_id, account_id, name)
	FROM telehealth_private.account_secret WHERE name = 'client_secret'});
my $ring = PostgreSQL::Test::Utils::slurp_file($key);
PostgreSQL::Test::Utils::append_to_file("$key.new", 'k-new:' . '0123456789abcdef' x 4 . "\n$ring");
chmod 0600, "$key.new";
rename "$key.new", $key;
my $reseal = "SELECT length(telehealth_private.reseal('$envelope', '$place'))";
{
	my $failed = 0;
	my @left;
	for my $name (qw(EVP_CIPHER_CTX_new EVP_CIPHER_fetch EVP_EncryptInit_ex EVP_EncryptUpdate EVP_EncryptFinal_ex EVP_CIPHER_CTX_ctrl
		EVP_DecryptInit_ex EVP_DecryptUpdate EVP_DecryptFinal_ex open read fstat))
	{
		# each call of that function in a new session: what is found once is kept
		my ($run, $pid, $psql) = session($t);
		my ($times, $wrong, $error, $result) = (0, '');
		$run->('SELECT telehealth_private.forget_keys()');
		my $before = holds($t, $pid);
		for (my $skip = 0; ; $skip++)
		{
			$run->('SELECT telehealth_private.forget_keys()');
			order($pid, $name, $skip);
			($result, $error) = $run->($reseal);
			disarm() or last;
			$times++;
			$wrong .= "no error at call $skip. " if $error !~ /could not|ERROR/;
		}
		$wrong .= "then: $error" if $error ne '' || $result !~ /^\d+$/;
		my $left = more($before, holds($t, $pid));
		cmp_ok($times, '>', 0, "$name fails in a backend");
		is($wrong, '', 'each is an error, and the next one works');
		is($left, '', 'and nothing is left');
		cmp_ok(holds($t, $pid)->{made}, '>', 0, 'of what was got') if $name eq 'EVP_CIPHER_fetch';
		$psql->quit;
	}

	# any allocation of the process, one after another
	my ($run, $pid, $psql) = session($t);
	$run->($reseal);
	my $before = holds($t, $pid);
	my ($times, $wrong, $error, $result) = (0, '');
	for (my $skip = 0; $skip < 5000; $skip++)
	{
		$run->('SELECT telehealth_private.forget_keys()');
		order($pid, '*memory', $skip);
		($result, $error) = $run->($reseal);
		disarm() or last;
		$times++;
	}
	note "$times allocations";
	cmp_ok($times, '>', 0, 'every allocation fails in a backend');
	is($error, '', 'then it works');
	is(more($before, holds($t, $pid)), '', 'and nothing is left');
	$psql->quit;
}

# ---- the dispatcher: whatever fails, visits get their links

my $dispatcher = $t->dispatcher_pid;
my $provider = 100;

# A visit that is made and gone again; false if it does not get its link
sub visit
{
	my $id = $t->insert_visit(provider_id => $provider++);
	my $is_linked = $t->poll("SELECT join_url IS NOT NULL FROM telehealth.appointment WHERE id = $id", 't', 8);
	$t->sql("DELETE FROM telehealth.appointment WHERE id = $id");
	return $is_linked && $t->drained(8);
}

# As tests: calls of a function fail, one in each turn.  Connections are new
# after a reload.
sub fails_in_dispatcher
{
	my ($name, %o) = @_;
	my ($times, $wrong) = (0, '');

	visit();
	$dispatcher = $t->wait_dispatcher;
	my $before = holds($t, $dispatcher);
	for my $turn (0 .. 5 * $repeats)
	{
		$t->reload if $o{reload};
		order($dispatcher, $name, $turn % ($o{of} // 2));
		visit() or $wrong = "no end in turn $turn";
		$times += disarm();
		last if $wrong || $times >= $repeats;
	}
	my $dead = $t->sql(q{SELECT coalesce(string_agg(last_error, ' '), '') FROM telehealth.dead_jobs});
	$t->sql('DELETE FROM telehealth_private.job');
	my $now = $t->wait_dispatcher;
	cmp_ok($times, '>', 0, "$name fails in the dispatcher");
	is("$wrong$dead", '', 'and the work is done');
	is($now, $dispatcher, 'by the same process');
	is(more($before, holds($t, $now)), '', 'and nothing is left');
	return;
}

fails_in_dispatcher($_)
  for qw(calloc malloc strdup curl_slist_append curl_easy_setopt curl_multi_add_handle curl_multi_socket_action
  curl_url curl_url_set curl_url_get EVP_Digest);
fails_in_dispatcher($_, reload => 1, of => 1) for qw(curl_multi_init curl_multi_setopt socket epoll_ctl);

# every allocation between a visit and its end
{
	my ($times, $wrong, $step) = (0, '', $ENV{TELEHEALTH_LONG} ? 1 : 23);
	for (my $skip = 0; $skip < 20_000; $skip += $step)
	{
		order($t->wait_dispatcher, '*memory', $skip);
		visit() or $wrong .= "$skip ";
		disarm() or last;
		$times++;
		last if $wrong;
	}
	note "$times allocations of the dispatcher";
	is($wrong, '', 'whichever allocation fails, the work is done');
	is($t->sql('SELECT count(*) FROM telehealth.dead_jobs'), 0, 'and nothing is given up');
}

# ---- a dispatcher that cannot begin

for my $name (qw(curl_global_init_mem epoll_create1))
{
	my $pid = $t->dispatcher_pid;

	order(-1, $name);
	$t->sql("SELECT pg_terminate_backend($pid)");
	ok(patiently(sub { fired() }, 20), "$name fails at its start");
	ok($t->wait_dispatcher(undef, other => $pid, limit => 20), 'another one begins');
	disarm();
	ok(visit(), 'and works');
}

# ---- the key ring from a command

$t->set_conf('telehealth.key_command' => "cat $key");
$t->stop;
begin($t);
{
	my ($run, $pid, $psql) = session($t);
	$run->($reseal);
	my $before = holds($t, $pid);
	# the last is the server's, while it waits for the command
	for my $name (qw(pipe2 posix_spawn posix_spawn_file_actions_addopen posix_spawn_file_actions_adddup2 read *epoll_create1))
	{
		$run->('SELECT telehealth_private.forget_keys()');
		order($pid, $name);
		my ($result, $error) = $run->($reseal);
		is(disarm(), 1, "$name fails around the key command");
		like($error, qr/ERROR:  (?:key command could not be started|key command's output could not be read|epoll_create1 failed)/, 'which is an error');
		is(more($before, holds($t, $pid)), '', 'and nothing is left');
		($result, $error) = $run->($reseal);
		is($error, '', 'then it works');
	}
	$psql->quit;
}

finish;
