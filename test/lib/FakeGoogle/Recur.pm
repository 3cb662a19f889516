# Simple recurrences: RRULE with FREQ, INTERVAL, COUNT, UNTIL and BYDAY (weekly),
# RDATE and EXDATE of instants; on the wall clock of a zone.
package FakeGoogle::Recur;

use Mojo::Base -strict, -signatures;
use Exporter 'import';
use FakePeer::Rules qw(local_instant local_text);
use Time::Local qw(timegm_modern);

our @EXPORT_OK = qw(starts_of);

my %DAY = (SU => 0, MO => 1, TU => 2, WE => 3, TH => 4, FR => 5, SA => 6);

# Instants of an iCalendar text: 20260105T100000Z, local, or a date
sub instant ($text, $zone)
{
	my ($y, $m, $d, $clock, $z) = $text =~ /^(\d{4})(\d\d)(\d\d)(?:T(\d{6})(Z?))?$/ or return undef;
	my ($h, $mi, $s) = ($clock // '000000') =~ /(\d\d)(\d\d)(\d\d)/;

	return local_instant("$y-$m-${d}T$h:$mi:$s" . ($z // ''), $zone);
}

# Days (as days since 1970) a rule names from the first on, one by one
sub day_after ($rule, $first, $n)
{
	my $every = $rule->{INTERVAL} // 1;
	my ($d, $m, $y) = (gmtime $first * 86400)[ 3 .. 5 ];

	return $first + $n * $every if $rule->{FREQ} eq 'DAILY';
	if ($rule->{FREQ} eq 'WEEKLY')
	{
		my @days = sort { $a <=> $b } map { ($DAY{$_} + 6) % 7 } split /,/, $rule->{BYDAY} // '';
		my $monday = $first - ($first + 3) % 7;

		@days = (($first + 3) % 7) if !@days;
		return $monday + 7 * $every * int($n / @days) + $days[ $n % @days ];
	}
	my $months = $rule->{FREQ} eq 'YEARLY' ? 12 * $every * $n : $every * $n;

	$m += $months;
	return (eval { timegm_modern(0, 0, 0, $d, $m % 12, $y + 1900 + int($m / 12)) } // -86400) / 86400;
}

# Starts of a recurring event that begin before a limit.  first: an instant;
# lines: of the event's recurrence
sub starts_of ($first, $zone, $lines, $limit)
{
	my ($wall) = local_text($first, $zone);
	my ($day, $clock) = $wall =~ /^(\S+)T(\S+)$/;
	my $first_day = local_instant("${day}T00:00:00Z", 'UTC') / 86400;
	my (%starts, %gone);

	for my $line (@$lines)
	{
		my ($what, $value) = $line =~ /^(\w+)[^:]*:(.*)$/ or next;
		my ($of) = $line =~ /TZID=([^:;]+)/;

		if ($what eq 'RRULE')
		{
			my %rule = map { split /=/ } split /;/, $value;
			my $until = defined $rule{UNTIL} ? instant($rule{UNTIL}, $zone) + (length $rule{UNTIL} == 8 ? 86399 : 0) : undef;
			my $left = $rule{COUNT} // 5000;

			for my $n (0 .. 20_000)
			{
				my $on = day_after(\%rule, $first_day, $n);
				next if $on < $first_day;
				my ($d, $m, $y) = (gmtime $on * 86400)[ 3 .. 5 ];
				my $at = local_instant(sprintf('%04d-%02d-%02dT%s', $y + 1900, $m + 1, $d, $clock), $zone);

				last if $left-- <= 0 || $at >= $limit || (defined $until && $at > $until);
				$starts{$at} = 1;
			}
		}
		elsif ($what eq 'RDATE') { $starts{ instant($_, $of // $zone) } = 1 for split /,/, $value }
		elsif ($what eq 'EXDATE') { $gone{ instant($_, $of // $zone) } = 1 for split /,/, $value }
	}
	return grep { !$gone{$_} && $_ < $limit } sort { $a <=> $b } keys %starts;
}

1;
