# What an installed telehealth consists of, as lines of text, and whether two
# databases have the same.  The lines come from fingerprint.sql.
package CatalogueFacts;

use strict;
use warnings;

use Cwd ();
use Exporter qw(import);
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils ();
use Test::More;

our @EXPORT_OK = qw(facts same_facts_ok);

my $fingerprint =
  PostgreSQL::Test::Utils::slurp_file(dirname(Cwd::abs_path(__FILE__)) . '/fingerprint.sql');

# Array of the facts of a database of this server
sub facts
{
	my ($t, $db) = @_;

	return [ split /\n/, $t->sql($fingerprint, db => $db) ];
}

# As a test: both are equal; says what differs
sub same_facts_ok
{
	my ($got, $want, $name) = @_;
	my %got = map { $_ => 1 } @$got;
	my %want = map { $_ => 1 } @$want;
	my @odd = (
		(map { "  only there: $_" } grep { !$want{$_} } @$got),
		(map { "  missing:    $_" } grep { !$got{$_} } @$want));
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	diag substr($_, 0, 400) for @odd;
	return ok(!@odd && @$got == @$want, $name);
}

1;
