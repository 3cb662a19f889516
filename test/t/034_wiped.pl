# What answers hold is gone from the dispatcher's memory once it was used.
use TelehealthTest;

plan skip_all => 'sanitizers and valgrind keep what was freed' if $ENV{TELEHEALTH_WATCHED};

my $fake = FakeZoom->start;
my $t = TelehealthTest->node('wiped');
$t->create_extension;
$t->connect_zoom($fake);

# Copies of a word in the writable memory of a process; undefined if it cannot
# be read
sub copies
{
	my ($pid, $word) = @_;
	my $n = 0;

	open my $maps, '<', "/proc/$pid/maps" or return;
	open my $memory, '<:raw', "/proc/$pid/mem" or return;
	while (my $line = <$maps>)
	{
		my ($from, $to) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw-p/ or next;
		my ($text, $got) = ('', 1);

		($from, $to) = (hex $from, hex $to);
		next if !sysseek $memory, $from, 0;
		$got = sysread $memory, $text, $to - $from - length $text, length $text
		  while $got && length $text < $to - $from;
		$n++ while $text =~ /\Q$word\E/g;
	}
	return $n;
}

# What stands beside a secret in an answer is parsed and copied like it
my ($beside_token, $beside_meeting, $passcode) = ('beside-the-token-7391', 'beside-the-meeting-7391', 'code7391');
$fake->faults(
	{ match => { path_regex => '/oauth/token' }, fault => { kind => 'alter', set => { note => $beside_token } } },
	{ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'hang' } },
	{ match => { path_regex => '/meetings' }, fault => { kind => 'alter', set => { note => $beside_meeting, password => $passcode, start_url => "https://zoom.example/s/1?zak=$passcode" } } });
my $visit = $t->insert_visit;
$fake->wait_for(sub { ($_[0]{hanging} // 0) >= 1 }, 20);
my $pid = $t->dispatcher_pid;

SKIP:
{
	skip 'the memory of the dispatcher cannot be read here', 6 if !defined copies($pid, 'x');
	cmp_ok(copies($pid, 'secret-1'), '>', 0, 'secrets in use are there to be found');
	is(copies($pid, $beside_token), 0, 'S1: nothing is left of the answer with the token');
	$fake->release;
	$t->await($visit);
	ok($t->drained, 'the meeting is made');
	is(copies($pid, $beside_meeting), 0, 'S1: nothing is left of the answer with the meeting');
	is(copies($pid, $passcode), 0, 'S1: nor of its passcode');
	$t->sql("SELECT telehealth.host_start_url($visit)");
	$fake->faults;
	$t->await($t->insert_visit);
	is(copies($pid, $passcode), 0, 'S1: nor of the start link');
}

finish;
