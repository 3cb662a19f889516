# A test's handle on a fake Microsoft Graph and its identity platform.
package FakeGraph;

use strict;
use warnings;
use Mojo::Parameters;
use parent 'FakePeer';

sub api_url { return $_[0]->url . '/v1.0' }
sub login_url { return $_[0]->url . '/' . ($_[1] // 'common') . '/oauth2/v2.0' }
sub token_url { my ($self, $tenant) = @_; return $self->login_url($tenant) . '/token' }
sub auth_url { my ($self, $tenant) = @_; return $self->login_url($tenant) . '/authorize' }

# Orders, see README.md in this folder
for my $order (qw(edit_event add_calendar grant revoke_grants age_grants throttle expire_delta lifecycle
	end_subscriptions forge))
{
	no strict 'refs';
	*$order = sub { my ($self, %o) = @_; return $self->control(POST => $order, \%o) };
}

sub events { my ($self, %o) = @_; return @{ $self->control(GET => 'events?' . Mojo::Parameters->new(%o)->to_string) } }
sub subscriptions { my $self = shift; return @{ $self->state->{subscriptions} } }
sub deliveries { my $self = shift; return @{ $self->state->{deliveries} } }

# All of them, or those of a user
sub live_events
{
	my ($self, $user) = @_;

	return $self->events(live => 1, defined $user ? (user => $user) : ());
}

# Transactions and values of extended properties that live twice in a mailbox
sub duplicates
{
	my $self = shift;
	my %n;

	for my $e ($self->live_events)
	{
		my %own = map { $_ => 1 } grep { defined && length } $e->{transaction}, values %{ $e->{properties} };
		$n{"$e->{user} $_"}++ for keys %own;
	}
	return grep { $n{$_} > 1 } sort keys %n;
}

1;
