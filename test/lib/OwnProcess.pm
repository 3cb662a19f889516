# What has a process of its own, in {pid}, which ends with it: in the process
# that started it, {owner}, and not in those forked from there.
package OwnProcess;

use strict;
use warnings;

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid};

	return if !$pid || $self->{owner} != $$;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);

	$self->stop;
	return;
}

1;
