#!/usr/bin/perl
# source.pl: the rules of the house that reading the sources can check.
#
# usage: source.pl FOLDER
# Prints "ok NAME" or, after what is wrong, "not ok NAME" for each rule.
use strict;
use warnings;

chdir($ARGV[0] // '.') or die "no folder $ARGV[0]\n";

# Which rooms a room may include besides itself; "*" is every room.
my %allowed = (
	base => [],
	json => ['base'],
	crypto => ['base'],
	http => ['base'],
	ical => [qw(base json crypto http)],
	platform => [qw(base json crypto http)],
	calendar => [qw(base json crypto http ical)],
	ehr => [qw(base json crypto http)],
	message => [qw(base json crypto http)],
	store => [qw(base json)],
	flow => [
		qw(base json crypto http ical platform calendar ehr message store)],
	worker => [
		qw(base json crypto http ical platform calendar ehr message store flow)
	],
	gateway => [
		qw(base json crypto http ical platform calendar ehr message store flow)
	],
	api => [
		qw(base json crypto http ical platform calendar ehr message store flow)
	],
);

# Single headers of rooms that are closed otherwise.
my %door = (
	api => [qw(worker/wake.h worker/mailbox.h worker/door.h worker/slot.h worker/tally.h)],
	gateway => [qw(worker/mailbox.h worker/door.h worker/process.h worker/slot.h worker/tally.h worker/transaction.h worker/wake.h)],
);

# Foreign headers and the only room that may see them: libical is a peer of
# the tests, and no part of the product.
my @foreign = (
	[qr{^curl/}, 'http'],
	[qr{^openssl/}, 'crypto'],
	[qr{^qrencode\.h}, 'ical'],
	[qr{^libical/}, 'nowhere'],
	[qr{^libxml/}, 'calendar'],
	[qr{^microhttpd\.h}, 'gateway'],
);
my %pure = map { $_ => 1 } qw(json crypto http ical platform calendar ehr message);

my (%text, @c, @sql);

sub slurp
{
	my ($file) = @_;
	open(my $in, '<:raw', $file) or die "$file: $!\n";
	local $/;
	return scalar <$in> // '';
}

# Blanks comments, and with $strings also the inside of string literals,
# keeping every line where it is.
sub without
{
	my ($source, $strings) = @_;
	$source =~ s{(/\*.*?\*/)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)*')}{
		my ($comment, $string, $char) = ($1, $2, $3);
		if (defined $comment) { $comment =~ s/[^\n]/ /g; $comment }
		elsif (defined $string && $strings) { '"' . ' ' x (length($string) - 2) . '"' }
		elsif (defined $char && $strings) { "'" . ' ' x (length($char) - 2) . "'" }
		else { $string // $char }
	}gse;
	return $source;
}

sub line_of
{
	my ($source, $offset) = @_;
	return 1 + (substr($source, 0, $offset) =~ tr/\n//);
}

sub room_of
{
	my ($file) = @_;
	return $file =~ m{^src/([^/]+)/} ? $1 : '';
}

my @wrong;

sub wrong
{
	my ($file, $line, $message) = @_;
	push @wrong, "#   $file" . ($line ? ":$line" : '') . ": $message";
	return;
}

sub rule
{
	my ($name, $check) = @_;
	@wrong = ();
	$check->();
	print "$_\n" for @wrong;
	print @wrong ? "not ok $name\n" : "ok $name\n";
	return;
}

my @files = sort grep { -f } split /\0/, slurp_list();

# The list that the copy of the sources came with, else what is there.
sub slurp_list
{
	return slurp('.sources') if -f '.sources';
	return join("\0",
		split /\n/, qx(find . -path ./.git -prune -o -type f -printf '%P\\n'));
}

for my $file (@files)
{
	next if $file !~ m{^src/.*\.([ch]|sql)$};
	$text{$file} = slurp($file);
	if ($1 eq 'sql') { push @sql, $file }
	else { push @c, $file }
}
my %code = map { $_ => without($text{$_}, 1) } @c;
my %with_strings = map { $_ => without($text{$_}, 0) } @c;

rule 'include direction' => sub {
	for my $file (@c)
	{
		my $room = room_of($file);
		while ($with_strings{$file} =~ /^[ \t]*#[ \t]*include[ \t]+"([^"]+)"/mg)
		{
			my ($include, $line) =
			  ($1, line_of($with_strings{$file}, $-[0]));
			next if $room eq '' or !-f "src/$include" && $include !~ m{\.\.};
			my ($other) = $include =~ m{^([^/]+)/};
			next
			  if defined $other
			  && ( $other eq $room
				|| grep { $_ eq $other } @{ $allowed{$room} // [] }
				or grep { $_ eq $include } @{ $door{$room} // [] });
			wrong($file, $line, "$room may not include $include");
		}
		wrong($file, 0, "room $room is not in the table of lint.d/source.pl")
		  if $room ne '' && !$allowed{$room};
	}
};

rule 'foreign headers stay in their room' => sub {
	for my $file (@c)
	{
		my $room = room_of($file);
		while ($with_strings{$file} =~
			/^[ \t]*#[ \t]*include[ \t]+[<"]([^>"]+)[>"]/mg)
		{
			my ($include, $line) =
			  ($1, line_of($with_strings{$file}, $-[0]));
			for my $pair (@foreign)
			{
				wrong($file, $line, "only src/$pair->[1] may include $include")
				  if $include =~ $pair->[0] && $room ne $pair->[1];
			}
		}
	}
};

rule 'no SPI in the pure rooms' => sub {
	for my $file (grep { $pure{ room_of($_) } } @c)
	{
		while ($with_strings{$file} =~ m{(executor/spi\.h|\bSPI_\w+)}g)
		{
			wrong($file, line_of($with_strings{$file}, $-[0]), $1);
		}
	}
};

rule 'SQL text only in src/store' => sub {
	for my $file (grep { room_of($_) ne 'store' } @c)
	{
		while ($with_strings{$file} =~
			/"\s*((?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH) [^"]*)"/g)
		{
			wrong($file, line_of($with_strings{$file}, $-[0]), $1);
		}
	}
};

rule 'files begin as they should' => sub {
	for my $file (@c)
	{
		wrong($file, 1, 'no comment saying what the file is')
		  if $text{$file} !~ m{\A/\*};
		my @includes =
		  $with_strings{$file} =~ /^[ \t]*#[ \t]*include[ \t]+[<"]([^>"]+)/mg;
		if ($file =~ /\.c$/)
		{
			wrong($file, 0, 'postgres.h is not the first include')
			  if ($includes[0] // '') ne 'postgres.h';
		}
		else
		{
			my ($room, $name) = $file =~ m{^src/([^/]+)/([^/]+)\.h$};
			wrong($file, 0, 'a header includes postgres.h')
			  if grep { $_ eq 'postgres.h' } @includes;
			next if !defined $room;
			(my $short = $name) =~ s/^(?:th|$room)_//;
			my $guard = 'TH_' . uc($room) . '_' . uc($short) . '_H';
			wrong($file, 0, "no guard $guard")
			  if $text{$file} !~ /^#ifndef $guard\n#define $guard$/m;
		}
	}
};

rule 'comments are /* */' => sub {
	for my $file (@c)
	{
		while ($code{$file} =~ m{//}g)
		{
			wrong($file, line_of($code{$file}, $-[0]), '// comment');
		}
	}
};

rule 'sizes of files and functions' => sub {
	for my $file (@c)
	{
		my $lines = ($text{$file} =~ tr/\n//);
		my $limit = $file =~ /\.h$/ ? 150 : 600;
		wrong($file, 0, "$lines lines, the limit is below $limit")
		  if $lines >= $limit;
		my @line = split /\n/, $code{$file}, -1;
		my ($start, $name);
		for my $i (0 .. $#line)
		{
			$name = $1
			  if !defined $start && $line[$i] =~ /^(?:[\w\s*]*[\s*])?(\w+)\(/;
			$start = $i if $line[$i] eq '{';
			next if $line[$i] ne '}' || !defined $start;
			my $length = $i - $start + 1;
			if ($length > 100)
			{
				wrong($file, $start + 1,
					"function $name has $length lines, the limit is 100");
			}
			elsif ($length > 60)
			{
				print "# note: $file: function $name has $length lines,",
				  " more than 60\n";
			}
			undef $start;
		}
	}
};

rule 'versions are asked only in compat.h' => sub {
	for my $file (grep { $_ ne 'src/base/compat.h' } @c)
	{
		while ($code{$file} =~
			/\b(PG_VERSION_NUM|LIBCURL_VERSION_NUM|OPENSSL_VERSION_NUMBER)\b/g)
		{
			wrong($file, line_of($code{$file}, $-[0]), $1);
		}
	}
};

rule 'every ereport has an errcode' => sub {
	for my $file (@c)
	{
		my $source = $code{$file};
		while ($source =~ /\bereport\s*(\((?:[^()]++|(?1))*\))/g)
		{
			my ($call, $line) = ($1, line_of($source, $-[0]));
			wrong($file, $line, 'ereport without errcode')
			  if $call !~ /\b\w*errcode\w*\s*\(/;
		}
	}
};

rule 'settings are sorted' => sub {
	my $file = 'src/base/th_guc.c';
	return if !exists $with_strings{$file};
	my ($table) = $with_strings{$file} =~ /^static const \w+ rows\[\] = \{(.*?)^\};/ms;
	return wrong($file, 0, 'no table "rows" found') if !defined $table;
	my @names = $table =~ /^\t[A-Z_]+\(\s*"(\w+)"/mg;
	wrong($file, 0, 'no rows found in the table') if !@names;
	for my $i (1 .. $#names)
	{
		wrong($file, 0, "$names[$i] comes after $names[$i - 1]")
		  if $names[$i] lt $names[ $i - 1 ];
	}
};

# SQL without its comments; string literals stay, for function bodies are ones.
sub sql_code
{
	my ($source) = @_;
	$source =~ s{(/\*.*?\*/|--[^\n]*)|('(?:[^']|'')*')}{
		my ($comment, $string) = ($1, $2);
		if (defined $comment) { $comment =~ s/[^\n]/ /g; $comment } else { $string }
	}gse;
	return $source;
}

my %sql_code = map { $_ => sql_code($text{$_}) } @sql;
my @install = grep { m{^src/schema/[^/]+\.sql$} } @sql;

rule 'install pieces adopt nothing' => sub {
	for my $file (@install)
	{
		while ($sql_code{$file} =~ /\b(OR\s+REPLACE|IF\s+NOT\s+EXISTS)\b/gi)
		{
			wrong($file, line_of($sql_code{$file}, $-[0]), $1);
		}
	}
};

rule 'security definer is pinned' => sub {
	for my $file (@install)
	{
		while ($sql_code{$file} =~
			/CREATE\s+(?:FUNCTION|PROCEDURE)\s+(\S+?)\s*\((.*?)(?=^CREATE\b|\z)/gsmi)
		{
			my ($name, $rest, $line) =
			  ($1, $2, line_of($sql_code{$file}, $-[0]));
			wrong($file, $line, "$name has no SET search_path = pg_catalog, pg_temp")
			  if $rest =~ /\bSECURITY\s+DEFINER\b/i
			  && $rest !~ /\bSET\s+search_path\s*(=|TO)\s*pg_catalog,\s*pg_temp\b/i;
		}
	}
};

# A statement of a piece ends at a semicolon outside of quotes; inside a
# function's body each semicolon ends one.
my $clinic = qr/\bcurrent_clinic\s*\(|telehealth\.clinic_id'/i;
my $after_where = qr/\b(?:WHERE|HAVING|ON|USING)\b[^;]*?(?:$clinic)/is;

rule 'the connection\'s clinic is in no view, policy, index or WHERE' => sub {
	for my $file (@install)
	{
		my $source = $sql_code{$file};
		my $offset = 0;
		while ($source =~
			/((?:\$(\w*)\$.*?\$\2\$|'(?:[^']|'')*'|[^;'\$]|\$)+);?/gs)
		{
			my ($statement, $line) = ($1, line_of($source, $-[0]));

			# granting the use of the function asks it nothing
			$statement =~ s/'[A-Z, ]+ ON [^']*'/''/g;
			next if $statement !~ $clinic;
			my $what = $statement =~
			  /\bCREATE\s+(?:MATERIALIZED\s+VIEW|(?:UNIQUE\s+)?INDEX|VIEW|POLICY)\b/i;
			my $body = $statement =~ /\bCREATE\s+(?:FUNCTION|PROCEDURE)\b/i;
			$line += ($statement =~ /\A(\s*)/ ? $1 =~ tr/\n// : 0);
			wrong($file, $line, 'the clinic of the connection decides here')
			  if $what || $body && grep { $_ =~ $after_where } split /;/, $statement;
			wrong($file, $line, 'the clinic of the connection decides here')
			  if !$what && !$body && $statement =~ /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b/
			  && $statement =~ $after_where;
		}
	}
	for my $file (grep { room_of($_) eq 'store' } @c)
	{
		while ($with_strings{$file} =~ /"[^"\n]*(?:current_clinic|telehealth\.clinic_id)[^"\n]*"/g)
		{
			wrong($file, line_of($with_strings{$file}, $-[0]),
				'current_clinic() in SQL text; pass the clinic as a parameter');
		}
	}
};

rule 'what is there is listed in the Makefile' => sub {
	my $make = slurp('Makefile');
	$make =~ s/\\\n/ /g;
	my %listed;
	while ($make =~ /^([A-Z]+)\s*=[ \t]*([^\n]*)/mg)
	{
		$listed{$1} = { map { $_ => 1 } split ' ', $2 };
	}
	for my $file (@files)
	{
		my ($variable, $name);
		if ($file =~ m{^src/([^/]+)/([^/]+)\.c$}) { ($variable, $name) = (uc $1, $2) }
		elsif ($file =~ m{^src/schema/([^/]+)\.sql$}) { ($variable, $name) = ('SCHEMA', $1) }
		elsif ($file =~ m{^sql/([^/]+)\.sql$}) { ($variable, $name) = ('REGRESS', $1) }
		elsif ($file =~ m{^test/isolation/specs/([^/]+)\.spec$}) { ($variable, $name) = ('ISOLATION', $1) }
		else { next }
		wrong($file, 0, "not listed in $variable") if !$listed{$variable}{$name};
	}
};

# Words that say something is unfinished, and paths of one machine. The
# patterns are put together so that this file does not match them.
my $words = join '|', 'TO' . 'DO', 'FIX' . 'ME', 'XX' . 'X', 'HA' . 'CK',
  'st' . 'ub(?:s|bed)?';

rule 'no words of unfinished work' => sub {
	for my $file (@files)
	{
		next if $file =~ m{^expected/} || -B $file;
		my $source = slurp($file);
		while ($source =~ /\b($words)\b/g)
		{
			wrong($file, line_of($source, $-[0]), $1);
		}
		while ($source =~ m{(?<![\w.])(/(?:work|home|root)/\w+)}g)
		{
			wrong($file, line_of($source, $-[0]), $1);
		}
	}
};

# Holding a session for at least half a minute is no timing; libraries may
# pause between two looks.
rule 'tests do not sleep for timing' => sub {
	for my $file (@files)
	{
		next
		  if $file !~ m{^(?:sql/|test/t/|test/unit/|test/isolation/specs/)};
		my $source = slurp($file);
		$source =~ s/^\s*#[^\n]*//mg if $file =~ m{\.pl$};
		while ($source =~ /\b(u?sleep|nanosleep|pg_sleep|pg_sleep_for)\b\s*\(?\s*(\d+)?/g)
		{
			next if $1 eq 'pg_sleep' && ($2 // 0) >= 30;
			wrong($file, line_of($source, $-[0]), $1);
		}
	}
};
