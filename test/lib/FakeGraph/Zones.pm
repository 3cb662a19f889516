# Names of time zones as Graph takes them: Windows' own, or IANA's.
package FakeGraph::Zones;

use Mojo::Base -strict, -signatures;
use Exporter 'import';
use FakePeer::Rules qw(zone_known);

our @EXPORT_OK = qw(zone_of);

my %WINDOWS = (
	'Dateline Standard Time' => 'Etc/GMT+12',
	'Hawaiian Standard Time' => 'Pacific/Honolulu',
	'Alaskan Standard Time' => 'America/Anchorage',
	'Pacific Standard Time' => 'America/Los_Angeles',
	'US Mountain Standard Time' => 'America/Phoenix',
	'Mountain Standard Time' => 'America/Denver',
	'Central Standard Time' => 'America/Chicago',
	'Eastern Standard Time' => 'America/New_York',
	'Atlantic Standard Time' => 'America/Halifax',
	'Newfoundland Standard Time' => 'America/St_Johns',
	'E. South America Standard Time' => 'America/Sao_Paulo',
	'GMT Standard Time' => 'Europe/London',
	'Greenwich Standard Time' => 'Atlantic/Reykjavik',
	'W. Europe Standard Time' => 'Europe/Berlin',
	'Romance Standard Time' => 'Europe/Paris',
	'Central Europe Standard Time' => 'Europe/Budapest',
	'Central European Standard Time' => 'Europe/Warsaw',
	'FLE Standard Time' => 'Europe/Kiev',
	'GTB Standard Time' => 'Europe/Bucharest',
	'South Africa Standard Time' => 'Africa/Johannesburg',
	'Israel Standard Time' => 'Asia/Jerusalem',
	'Russian Standard Time' => 'Europe/Moscow',
	'Arabian Standard Time' => 'Asia/Dubai',
	'India Standard Time' => 'Asia/Kolkata',
	'Nepal Standard Time' => 'Asia/Kathmandu',
	'China Standard Time' => 'Asia/Shanghai',
	'Singapore Standard Time' => 'Asia/Singapore',
	'Tokyo Standard Time' => 'Asia/Tokyo',
	'Cen. Australia Standard Time' => 'Australia/Adelaide',
	'AUS Eastern Standard Time' => 'Australia/Sydney',
	'Lord Howe Standard Time' => 'Australia/Lord_Howe',
	'New Zealand Standard Time' => 'Pacific/Auckland',
);

# The IANA name of either, or undefined
sub zone_of ($name)
{
	return $WINDOWS{$name} // (zone_known($name) ? $name : undef);
}

1;
