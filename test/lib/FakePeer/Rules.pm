# What every fake asks of a request: routes, values, parameters, times, and
# nothing that must stay at home.
package FakePeer::Rules;

use Mojo::Base -strict, -signatures;
use B ();
use Exporter 'import';
use Mojo::Util qw(b64_decode url_unescape);
use POSIX ();
use Time::Local qw(timegm_modern);

our @EXPORT_OK = qw(find_route check_value check_parameters check_secrets
  check_canaries is_text is_int is_bool local_instant local_text iso_time
  zone_known $ZONEINFO);

our $ZONEINFO = '/usr/share/zoneinfo';

# Of [name, method, pattern of the path, label, scopes]...: a hash of name,
# label, scopes, arguments (percent-decoded; arg is the first)
sub find_route ($routes, $method, $path)
{
	for my $r (@$routes)
	{
		next if $r->[1] ne $method;
		my @args = $path =~ $r->[2] or next;
		@args = map { defined $_ ? url_unescape($_) : undef } $#+ > 0 ? @args : ();
		return {
			name => $r->[0],
			label => $r->[3] // '',
			scopes => $r->[4] // [],
			arg => $args[0],
			args => \@args
		};
	}
	return { name => "$method (unknown)", label => '', scopes => [], args => [] };
}

sub is_text ($v)
{
	return 0 if !defined $v || ref $v;
	return (B::svref_2object(\$v)->FLAGS & B::SVp_POK) ? 1 : 0;
}

sub is_int ($v)
{
	return 0 if !defined $v || ref $v || is_text($v);
	return $v == int($v) && "$v" =~ /^-?\d+$/ ? 1 : 0;
}

sub is_bool ($v)
{
	return ref($v) =~ /Bool/ ? 1 : 0;
}

# Check one value against its rule; push texts on @$bad
sub check_value ($name, $rule, $v, $bad)
{
	my ($what, $limit) = ref $rule ? %$rule : ($rule, undef);

	if ($what eq 'fields')
	{
		return push @$bad, "$name must be an object" if ref $v ne 'HASH';
		for my $k (sort keys %$v)
		{
			my $full = $name eq '' ? $k : "$name.$k";
			if ($limit->{$k}) { check_value($full, $limit->{$k}, $v->{$k}, $bad) }
			else { push @$bad, "unknown field $full" }
		}
	}
	elsif ($what eq 'text')
	{
		if (!is_text($v)) { push @$bad, "$name must be a string" }
		elsif ($limit && length $v > $limit)
		{
			push @$bad, "$name is longer than $limit characters";
		}
	}
	elsif ($what eq 'int')
	{
		if (!is_int($v)) { push @$bad, "$name must be an integer" }
		elsif ($limit && !grep { $_ == $v } @$limit)
		{
			push @$bad, "$name must be one of @$limit";
		}
	}
	elsif ($what eq 'word')
	{
		push @$bad, "$name must be one of @$limit"
		  if !is_text($v) || !grep { $_ eq $v } @$limit;
	}
	elsif ($what eq 'bool')
	{
		push @$bad, "$name must be a boolean" if !is_bool($v);
	}
	elsif ($what eq 'object')
	{
		push @$bad, "$name must be an object" if ref $v ne 'HASH';
	}
	elsif ($what eq 'map')
	{
		# of texts; limit is what an entry must be: sub ($key, $value)
		return push @$bad, "$name must be an object" if ref $v ne 'HASH';
		for my $k (sort keys %$v)
		{
			if (!is_text($v->{$k})) { push @$bad, "$name.$k must be a string" }
			elsif ($limit && !$limit->($k, $v->{$k})) { push @$bad, "$name.$k is too long" }
		}
	}
	elsif ($what eq 'match')
	{
		push @$bad, "$name has a wrong form" if !is_text($v) || $v !~ $limit;
	}
	elsif ($what eq 'list')
	{
		return push @$bad, "$name must be an array" if ref $v ne 'ARRAY';
		if ($limit) { check_value("${name}[]", $limit, $_, $bad) for @$v }
	}
	return;
}

# Parameters of the query: name => 'any', pattern, or hash of words; those of
# the second hash may be there more than once
sub check_parameters ($req, $known, $repeats, $bad)
{
	my $pairs = $req->url->query->to_hash;

	for my $k (sort keys %$pairs)
	{
		my $rule = $known->{$k};
		my @v = ref $pairs->{$k} ? @{ $pairs->{$k} } : $pairs->{$k};

		if (!$rule)
		{
			push @$bad, "unknown query parameter $k";
			next;
		}
		push @$bad, "query parameter $k repeated" if @v > 1 && !$repeats->{$k};
		push @$bad, "query parameter $k has a wrong value"
		  if grep { ref $rule eq 'HASH' ? !$rule->{$_} : ref $rule && $_ !~ $rule } @v;
	}
	return;
}

# Nothing secret in the address, but for names that only sound so
sub check_secrets ($req, $harmless, $bad)
{
	push @$bad, map { "secret in the query string ($_)" }
	  grep { /token|secret|password|passcode/i && !$harmless->{$_} }
	  sort keys %{ $req->url->query->to_hash };
	push @$bad, 'Basic or Bearer text in the URL'
	  if $req->url->to_string =~ /basic |bearer |basic%20|bearer%20/i;
	return;
}

sub zone_known ($zone)
{
	return 1 if $zone eq 'UTC' || $zone eq 'GMT';
	return 0 if $zone !~ m{^[A-Za-z][A-Za-z0-9_+\-/]*$};
	return -f "$ZONEINFO/$zone" ? 1 : 0;
}

# Code with the clock of a zone
sub in_zone ($zone, $code)
{
	my $got;

	{
		local $ENV{TZ} = $zone;
		POSIX::tzset();
		$got = $code->();
	}
	POSIX::tzset();
	return $got;
}

# Instant of YYYY-MM-DDTHH:MM:SS[.f][Z|+hh:mm]; without an offset the time is
# local to the zone.  Undefined when the text has another form.
sub local_instant ($text, $zone)
{
	my ($y, $mo, $d, $h, $mi, $s, $f, $sign, $oh, $om) = $text =~
	  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))?$/
	  or return undef;
	my $utc = eval { timegm_modern($s, $mi, $h, $d, $mo - 1, $y) } // return undef;

	return $utc - "${sign}1" * (3600 * $oh + 60 * $om) if defined $sign;
	return $utc if $text =~ /Z$/ || $zone eq 'UTC' || $zone eq 'GMT';
	return in_zone($zone, sub { POSIX::mktime($s, $mi, $h, $d, $mo - 1, $y - 1900, 0, 0, -1) });
}

# The wall clock of a zone at an instant: YYYY-MM-DDTHH:MM:SS and the offset as
# +hh:mm
sub local_text ($epoch, $zone)
{
	my $text = in_zone($zone, sub { POSIX::strftime('%Y-%m-%dT%H:%M:%S %z', localtime $epoch) });
	my ($wall, $h, $m) = $text =~ /^(\S+) ([+-]\d\d)(\d\d)$/;

	return ($wall, "$h:$m");
}

sub iso_time ($epoch)
{
	return POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $epoch);
}

# Canary strings must not be in any byte, nor in its decoded forms
sub check_canaries ($req, $canaries, $bad)
{
	return if !@$canaries;
	my $raw = $req->to_string;
	my $plain = url_unescape($raw =~ tr/+/ /r);
	my $text = $raw =~ s/\\u([0-9a-fA-F]{4})/chr hex $1/ger;
	my $auth = ($req->headers->authorization // '') =~ /^Basic (\S+)/
	  ? b64_decode($1)
	  : '';

	for my $c (@$canaries)
	{
		my $bytes = $c;
		utf8::encode($bytes);
		for my $where ($raw, $plain, $auth)
		{
			next if index(lc $where, lc $bytes) < 0;
			push @$bad, "canary found: $c";
			last;
		}
		push @$bad, "canary found in escapes: $c"
		  if $text ne $raw && index($text, $c) >= 0 && index($raw, $c) < 0;
	}
	return;
}

1;
