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

# ---- one that hangs while the dispatcher waits for it

$t->set_conf('telehealth.key_command' => "echo \$\$ >> $pids; exec tail -f /dev/null");
$t->restart;
$t->wait_dispatcher;
$t->insert_visit;
ok(patiently(sub { pids() >= 1 }, 20), 'the dispatcher asks for the keys');
my ($first) = pids();
ok($t->is_alive($first), 'the command hangs');
$t->restart_dispatcher;
ok(patiently(sub { !$t->is_alive($first) }, 3), 'a dispatcher that is terminated leaves no command behind');

finish;
