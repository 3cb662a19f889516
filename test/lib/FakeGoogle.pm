# A test's handle on a fake Google: OAuth and Calendar v3.
package FakeGoogle;

use strict;
use warnings;
use Mojo::Parameters;
use parent 'FakePeer';

sub api_url { return $_[0]->url . '/calendar/v3' }
sub token_url { return $_[0]->url . '/token' }
sub auth_url { return $_[0]->url . '/o/oauth2/v2/auth' }
sub revoke_url { return $_[0]->url . '/revoke' }

# What a user of the calendar does with their own hand, see
# FakeGoogle::Store::edit(); the event as Google shows it
sub edit_event { my ($self, %o) = @_; return $self->control(POST => 'edit_event', \%o) }

# create => { id, owner, summary, timeZone, access => { email => role } }, or
# id and delete => 1
sub edit_calendar { my ($self, %o) = @_; return $self->control(POST => 'edit_calendar', \%o) }

# A grant without a browser: refresh_token and access_token of a user
sub grant { my ($self, %o) = @_; return $self->control(POST => 'grant', \%o) }

# The user (or all) takes the grants back: invalid_grant from now on
sub revoke_grants { my ($self, %o) = @_; return $self->control(POST => 'revoke_grants', \%o) }

# Sync tokens (of a calendar) get 410; pages => 1: page tokens too
sub expire_sync { my ($self, %o) = @_; return $self->control(POST => 'expire_sync', \%o) }

# A notification by order: channel, and what differs from the truth: token,
# resource_id, state, number, address
sub push { my ($self, %o) = @_; return $self->control(POST => 'push', \%o) }

sub channels { my $self = shift; return @{ $self->control(GET => 'channels') } }

# Notifications sent: address, headers, status (undefined: not over)
sub deliveries { my $self = shift; return @{ $self->control(GET => 'deliveries') } }

# Events with their history; calendar => ..., live => 1
sub events
{
	my ($self, %o) = @_;

	return @{ $self->control(GET => 'events?' . Mojo::Parameters->new(%o)->to_string) };
}

# Those that are not deleted, of one calendar or of all
sub live_events
{
	my ($self, $calendar) = @_;

	return $self->events(live => 1, defined $calendar ? (calendar => $calendar) : ());
}

# Values of a private extended property carried by more than one live event
sub duplicates
{
	my ($self, $key) = @_;
	my %n;

	for my $e ($self->live_events)
	{
		my $p = $e->{extendedProperties}{private} // {};

		$n{"$_=$p->{$_}"}++ for defined $key ? grep { $_ eq $key } keys %$p : keys %$p;
	}
	return grep { $n{$_} > 1 } sort keys %n;
}

1;
