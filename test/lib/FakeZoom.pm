# A test's handle on a fake Zoom.
package FakeZoom;

use strict;
use warnings;
use parent 'FakePeer';

sub api_url { return $_[0]->url . '/v2' }
sub token_url { return $_[0]->url . '/oauth/token' }
sub auth_url { return $_[0]->url . '/oauth/authorize' }
sub edit_meeting { my ($self, %o) = @_; return $self->control(POST => 'edit_meeting', \%o) }
sub meetings { my $self = shift; return @{ $self->state->{meetings} } }

# All of them, or those of host n
sub live_meetings
{
	my ($self, $n) = @_;

	return grep { !$_->{deleted} && (!defined $n || $_->{host_email} eq "host$n\@clinic.example") } $self->meetings;
}

# Markers carried by more than one live meeting
sub duplicates
{
	my $self = shift;
	my %n;

	$n{ $_->{marker} }++ for grep { defined $_->{marker} } $self->live_meetings;
	return grep { $n{$_} > 1 } sort keys %n;
}

1;
