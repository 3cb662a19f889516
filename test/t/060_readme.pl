# What the README promises, executed: its SQL blocks in order, in one
# database, with the mock. A block headed "sql no-run" is not for this test.
use TelehealthTest;
use FindBin;

my $path = "$FindBin::RealBin/../../README.md";
open my $h, '<', $path or die "cannot read $path: $!";
my @lines = <$h>;
close $h;

my (@blocks, $block);
for my $n (0 .. $#lines)
{
	if (!defined $block && $lines[$n] =~ /^```sql\s*$/) { $block = { line => $n + 1, text => '' } }
	elsif (defined $block && $lines[$n] =~ /^```\s*$/) { push @blocks, $block; undef $block }
	elsif (defined $block) { $block->{text} .= $lines[$n] }
}
cmp_ok(scalar(@blocks), '>', 10, 'the README has examples');

my ($line) = grep { /^sudo apt-get install / } @lines;
my $major = $line =~ /postgresql-(\d+) / ? $1 : '?';
is(join(' ', sort split / /, $line =~ s/^sudo apt-get install |\n//gr),
	join(' ', sort split /\n/, qx(TH_MAJOR=$major $FindBin::RealBin/../setup list demo)), 'its packages are those of test/setup');

my $t = TelehealthTest->node('readme');
for my $b (@blocks)
{
	my ($rc, undef, $err) = $t->psql('postgres', $b->{text}, on_error_stop => 1);

	is($rc, 0, "the example at line $b->{line} of the README works") or diag $err;
}
# Reasons to wait
my @reasons = map { /^\| (`[^|]+`) \|/ ? $1 =~ /`(\w+)`/g : () } @lines[ (grep { $lines[$_] =~ /^\| `waiting_for` / } 0 .. $#lines)[0] + 1 .. $#lines ];
cmp_ok(scalar(@reasons), '>', 15, 'the README tells why work waits');
is($t->sql("SELECT string_agg(w, ' ') FROM unnest('{" . join(',', @reasons) . "}'::text[]) AS w WHERE telehealth_private.hint(w) IS NULL OR telehealth_private.hint_reason(w) = w"),
	'', 'each of the reasons has its words and its hint');

like($t->sql('SELECT join_url FROM telehealth.appointment WHERE id = 7'), qr{^https://mock}, 'and the visit has its link');

finish;
