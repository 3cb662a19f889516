# The key ring from a command: it is used, and nothing of one that hangs stays.
use TelehealthTest;

my $fake = FakeZoom->start;
my $t = TelehealthTest->node('keycommand',
	conf => { 'telehealth.key_command' => q{printf "k1:%064d\n" 7} });
my $pids = $t->data_dir . '/key_command_pids';

sub pids
{
	open(my $fh, '<', $pids) or return ();
	chomp(my @pids = <$fh>);
	return @pids;
}

$t->create_extension;
$t->connect_zoom($fake);
like($t->await($t->insert_visit)->{join_url}, qr/^https:/, 'a key of the command opens what it sealed');

# ---- a key that the dispatcher has not seen yet

$t->set_conf('telehealth.key_command' => "cat $pids.keys");
PostgreSQL::Test::Utils::append_to_file("$pids.keys", sprintf("k1:%064d\n", 7));
$t->restart;
$t->wait_dispatcher;
$t->await($t->insert_visit);
unlink "$pids.keys";
PostgreSQL::Test::Utils::append_to_file("$pids.keys", sprintf("k2:%064d\nk1:%064d\n", 8, 7));
$t->connect_zoom($fake);
like($t->await($t->insert_visit)->{join_url}, qr/^https:/, 'a key that is new to the dispatcher is found');
is($t->sql('SELECT status FROM telehealth.account'), 'connected', 'and its account was in no trouble');

# ---- one that hangs while the dispatcher waits for it

$t->set_conf('telehealth.key_command' => "echo \$\$ >> $pids; exec tail -f /dev/null");
$t->restart;
$t->wait_dispatcher;
$t->insert_visit;
ok(patiently(sub { pids() >= 1 }, 20), 'the dispatcher asks for the keys');
my ($first) = pids();
ok($t->is_alive($first), 'the command hangs');
is($t->sql(q{SELECT xact_start IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE backend_type = 'telehealth dispatcher'}), 't',
	'W20: no transaction is open while the keys are asked for');
$t->restart_dispatcher;
ok(patiently(sub { !$t->is_alive($first) }, 10), 'a dispatcher that is terminated leaves no command behind');

finish;
