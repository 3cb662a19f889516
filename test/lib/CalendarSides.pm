# CalendarSides: calendars of clinicians at a fake Google and a fake Graph, and
# whether both sides are equal: one event a visit and calendar, nothing else
# of ours, somebody else's events as busy times.
#
#   my $sides = CalendarSides->new($t, google => $google, outlook => $graph);
#   my $id = $sides->connect(google => 1);       # user1's calendar
#   $sides->own(google => 1, 3);                 # user1 is busy in 3 hours
#   $sides->equal_ok('after that');
#
# Visits of the test are of type PHONE: no meeting is needed for them.
package CalendarSides;

use strict;
use warnings;
use Test::More;

sub user { my ($n) = @_; return "user$n\@clinic.example" }

# Options of the two fakes: many users, no rates
sub google_options { my ($n) = @_; return { users => [ map { { email => user($_) } } 1 .. $n ], rate => { user => 0, project => 0, calendar_writes => 0 } } }

sub new
{
	my ($class, $t, %fake) = @_;
	return bless { t => $t, fake => \%fake, connections => {} }, $class;
}

sub connect
{
	my ($self, $kind, $provider, %o) = @_;
	my $method = "connect_$kind";
	my $id = $self->{t}->$method($self->{fake}{$kind}, provider => $provider, user => user($provider), %o);

	$self->{connections}{$id} = { kind => $kind, provider => $provider };
	return $id;
}

sub forget { my ($self, $id) = @_; delete $self->{connections}{$id}; return }

# Events of the user's own: so many hours from tomorrow, as many as given
sub own
{
	my ($self, $kind, $provider, @hours) = @_;
	my $day = $self->{t}->sql("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYY-MM-DD')");
	my @events;

	for my $hour (@hours)
	{
		my ($from, $to) = split / /, $self->{t}->sql(q{SELECT to_char(w, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' ' || to_char(w + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')}
			  . " FROM (SELECT timestamp '$day' + interval '$hour hours' AS w) AS q");

		push @events, $kind eq 'google'
		  ? $self->{fake}{google}->edit_event(calendar => user($provider), create => { summary => 'Own', start => { dateTime => $from }, end => { dateTime => $to } })
		  : $self->{fake}{outlook}->edit_event(user => user($provider), create => { subject => 'Own', start => $from, end => $to });
	}
	return @events;
}

# What is in a calendar: of us, by visit; of others, in number
sub remote
{
	my ($self, $c) = @_;
	my (%ours, $others);

	$others = 0;
	for my $event ($self->{fake}{ $c->{kind} }->live_events(user($c->{provider})))
	{
		my ($key) = $c->{kind} eq 'google' ? $event->{extendedProperties}{private}{telehealthKey}
		  : grep { defined && /^th-/ } values %{ $event->{properties} };

		if (($key // '') =~ /-(\d+)$/) { push @{ $ours{$1} }, $event->{start_epoch} }
		else { $others++ }
	}
	return (\%ours, $others);
}

# Wait until nothing is under way or due; pulls and channels go on later
sub calm
{
	my ($self, $limit_s) = @_;
	my $t = $self->{t};
	my $busy = "telehealth_private.job WHERE kind NOT IN ('pull', 'channel', 'connection') OR attempts > 0 OR failures > 0 AND waiting_for IS DISTINCT FROM 'no_channel' OR due_at < now() + interval '20 s'";

	$t->poll("SELECT count(*) FROM $busy", 0, $limit_s // 30) or diag explain [ $t->rows("SELECT * FROM $busy ORDER BY due_at LIMIT 20") ];
	return;
}

# What differs
sub differences
{
	my ($self) = @_;
	my $t = $self->{t};
	my @bad;

	for my $id (sort { $a <=> $b } keys %{ $self->{connections} })
	{
		my $c = $self->{connections}{$id};
		my ($ours, $others) = $self->remote($c);
		my $name = "$c->{kind} of $c->{provider}";

		for my $visit ($t->rows("SELECT id, extract(epoch FROM starts_at)::bigint AS start FROM telehealth.appointment
			WHERE provider_id = $c->{provider} AND status = 'SCHEDULED' AND ends_at > now()"))
		{
			my $starts = join ' ', @{ delete $ours->{ $visit->{id} } // ['none'] };

			push @bad, "$name: visit $visit->{id} is at $starts, not $visit->{start}" if $starts ne $visit->{start};
		}
		push @bad, "$name: visit $_ is still there" for sort keys %$ours;
		my $busy = $t->sql("SELECT count(*) FROM telehealth.busy_time WHERE source = 'connection:$id'");
		push @bad, "$name: $busy busy times of $others events" if $busy != $others;
		push @bad, map { "$name: $_->{what}" } $t->rows("SELECT 'doubt about ' || appointment_id AS what FROM telehealth.calendar_event
			WHERE connection_id = $id AND intent IS NOT NULL
			UNION ALL SELECT 'event ' || e.id || ' of a row without a visit' FROM telehealth.calendar_event AS e WHERE connection_id = $id AND retired_at IS NOT NULL
			UNION ALL SELECT 'status ' || status || ' ' || COALESCE(last_error, '') FROM telehealth.calendar_connection WHERE id = $id AND status <> 'CONNECTED'
			UNION ALL SELECT 'no cursor' FROM telehealth.calendar_connection WHERE id = $id AND sync_direction <> 'push'
			AND NOT EXISTS (SELECT FROM telehealth_private.calendar_cursor WHERE connection_id = $id)");
	}
	push @bad, map { "twice: $_" } $self->{fake}{google}->duplicates('telehealthKey') if $self->{fake}{google};
	push @bad, map { "twice: $_" } $self->{fake}{outlook}->duplicates if $self->{fake}{outlook};
	return @bad;
}

# As a test: in the end both sides are equal
sub equal_ok
{
	my ($self, $name, %o) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$self->calm($o{limit});
	return is(join("\n", $self->differences), '', $name);
}

1;
