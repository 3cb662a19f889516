# What another process has in its memory.
package ProcessMemory;

use strict;
use warnings;
no warnings 'portable';
use Exporter 'import';

our @EXPORT_OK = qw(copies);

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

1;
