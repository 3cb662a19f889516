# Which events of a calendar take its owner's time: one table, in the words of
# Google and of Microsoft Graph, for times and for whole days.
use TelehealthTest;
use FakeGoogle;
use FakeGraph;
use CalendarSides;

my ($google, $graph) = (FakeGoogle->start(options => CalendarSides::google_options(1)), FakeGraph->start);
my $t = TelehealthTest->node('rules');
$t->create_extension;
$t->widen_calendar_limits($_) for qw(google outlook);
my %id = (google => $t->connect_google($google, provider => 1), outlook => $t->connect_outlook($graph, provider => 2));
my $USER = CalendarSides::user(1);
my @day = map { $t->sql("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '$_ days', 'YYYY-MM-DD')") } 3, 4;

# How an event is shown, and what the owner has answered: the lesser counts
my @rank = ('free', 'TENTATIVE', 'BUSY');
my %rank = map { $rank[$_] => $_ } 0 .. $#rank;
sub lesser { my ($a, $b) = @_; return $rank{$a} < $rank{$b} ? $a : $b }
my %shown = (
	google => { opaque => 'BUSY', transparent => 'free' },
	outlook => { busy => 'BUSY', free => 'free', tentative => 'TENTATIVE', oof => 'BUSY', workingElsewhere => 'free', unknown => 'BUSY' });
my %answered = (
	google => { none => 'BUSY', accepted => 'BUSY', tentative => 'TENTATIVE', needsAction => 'TENTATIVE', declined => 'free' },
	outlook => { none => 'BUSY', organizer => 'BUSY', accepted => 'BUSY', tentativelyAccepted => 'TENTATIVE', notResponded => 'TENTATIVE', declined => 'free' });

# Of Google alone: whether the event itself is certain, and of what type it is
my %certain = (confirmed => 'BUSY', tentative => 'TENTATIVE');
my %type = (
	default => 'BUSY', focusTime => 'BUSY', outOfOffice => 'BUSY', fromGmail => 'BUSY', 'of tomorrow' => 'BUSY',
	birthday => 'free', workingLocation => 'free');

my (%want, %name);
sub note_event { my ($event, $want, $name) = @_; $want{ $event->{id} } = $want; $name{ $event->{id} } = $name; return }
sub at_google
{
	my ($is_day, $want, $name, %o) = @_;
	my %time = $is_day ? (start => { date => $day[0] }, end => { date => $day[1] })
	  : (start => { dateTime => "$day[0]T10:00:00Z" }, end => { dateTime => "$day[0]T11:00:00Z" });
	return note_event($google->edit_event(calendar => $USER, create => { summary => 'x', %time, %o }), $want, "google: $name" . ($is_day ? ', a whole day' : ''));
}
sub at_outlook
{
	my ($is_day, $want, $name, $response, %o) = @_;
	my %time = $is_day ? (start => "$day[0]T00:00:00Z", end => "$day[1]T00:00:00Z", isAllDay => \1) : (start => "$day[0]T10:00:00Z", end => "$day[0]T11:00:00Z");
	return note_event($graph->edit_event(user => $USER, raw => { responseStatus => { response => $response } }, create => { subject => 'x', %time, %o }), $want, "outlook: $name" . ($is_day ? ', a whole day' : ''));
}

for my $is_day (0, 1)
{
	for my $shown (sort keys %{ $shown{google} })
	{
		for my $certain (sort keys %certain)
		{
			for my $answer (sort keys %{ $answered{google} })
			{
				at_google($is_day, lesser(lesser($shown{google}{$shown}, $certain{$certain}), $answered{google}{$answer}), "$shown, $certain, $answer",
					transparency => $shown, status => $certain,
					$answer eq 'none' ? () : (attendees => [ { email => 'other@clinic.example', responseStatus => 'declined' }, { email => $USER, self => \1, responseStatus => $answer } ]));
			}
		}
		at_google($is_day, lesser($shown{google}{$shown}, $type{$_}), "$shown, $_", transparency => $shown, eventType => $_ eq 'of tomorrow' ? 'madeUpLater' : $_) for sort keys %type;
	}
	for my $shown (sort keys %{ $shown{outlook} })
	{
		at_outlook($is_day, lesser($shown{outlook}{$shown}, $answered{outlook}{$_}), "$shown, $_", $_, showAs => $shown) for sort keys %{ $answered{outlook} };
	}
	at_outlook($is_day, 'free', 'cancelled', 'accepted', showAs => 'busy', isCancelled => \1);
	at_google($is_day, 'BUSY', 'somebody else has declined', attendees => [ { email => 'other@clinic.example', responseStatus => 'declined' } ]);
}
$t->sql("SELECT telehealth.sync_calendar($_, '60 s')") for 1, 2;
my %got = map { $_->{external_id} => $_->{status} } $t->rows(q{SELECT external_id, status FROM telehealth.busy_time WHERE source LIKE 'connection:%'});
is($got{$_} // 'free', $want{$_}, "G9: $name{$_}") for sort { $name{$a} cmp $name{$b} } keys %want;
is($t->sql("SELECT count(*) FROM telehealth.import_problem"), 0, 'and none was not understood');
finish;
