# What tests that kill, stop and drop have in common: hold the dispatcher at a
# named step of a job, and see afterwards that the vendor has exactly what the
# tables ask for.  "use Survival;" after TelehealthTest.
package Survival;

use strict;
use warnings;
use Exporter 'import';
use Test::More;
use TelehealthTest ();
use Time::HiRes qw(time);

our @EXPORT = qw(die_at edit_visits end_it end_ok ends go_away hold_at is_cutting let_go settled_ok
	stand_by steps undisturbed wait_held);

# Steps of a job, in its order: [ where the process is held so that the job is
# at its next step, that step, what has happened ].  Between "claimed" and
# "settled" of a turn that claims nothing no job is at work, so those are
# reached by way of a point that only a job reaches, or of the turn that
# claims it.
sub steps
{
	return (
		[ 'before_settle', 'held_known', 'the claim is open' ],
		[ 'before_settle', 'claimed', 'the intent is committed' ],
		[ 'before_settle', 'settled', 'the claim is at work' ],
		[ undef, 'before_send', 'the call is built' ],
		[ undef, 'sent', 'the call is handed over' ],
		[ undef, 'answered', 'the answer is there' ],
		[ 'answered', 'before_settle', 'the answer was read' ],
		[ 'answered', 'held_known', 'the settling is open' ],
		[ 'answered', 'claimed', 'the result is committed' ],
		[ 'answered', 'settled', 'the result is forgotten' ]);
}

sub wait_held
{
	my ($t, $point, $offset) = @_;
	return TelehealthTest::patiently(
		sub { $t->log_text($offset) =~ /waitpoint "$point" reached/ }, 20);
}

sub _name_point
{
	my ($t, $point) = @_;

	$t->reload_conf('telehealth.debug_waitpoint' => $point);
	return $t->poll('SHOW telehealth.debug_waitpoint', $point);
}

# Runs an edit, and holds the dispatcher where the edit's job is at a step;
# true once it is there.
sub hold_at
{
	my ($t, $step, $edit) = @_;
	my ($before, $point) = @$step;
	my $offset = $t->log_size;

	if (defined $before)
	{
		_name_point($t, $before);
		# a turn without a job passes it too
		wait_held($t, $before, $offset) or return 0 if $before eq 'before_settle';
		$edit->();
		wait_held($t, $before, $offset) or return 0;
		$offset = $t->log_size;
		$t->reload_conf('telehealth.debug_waitpoint' => $point);
	}
	else
	{
		_name_point($t, $point);
		$edit->();
	}
	return wait_held($t, $point, $offset);
}

# No process waits any longer; now => 0 leaves those that run where they are,
# so that only the next server knows.
sub let_go
{
	my ($t, %o) = @_;

	$t->set_conf('telehealth.debug_waitpoint' => '', 'telehealth.debug_crash_at' => '');
	$t->reload if $o{now} // 1;
	return;
}

# As a test: nothing is queued, and the vendor has what the tables want, each
# meeting made once.  within => seconds for it.
sub settled_ok
{
	my ($t, $fake, $name, %o) = @_;
	my (%live, %made, @bad);
	my $began = time;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$t->drained(30) or diag explain($t->rows('SELECT * FROM telehealth_private.job'));
	my $took = time - $began;
	push @bad, sprintf 'only after %.1f s', $took if $o{within} && $took > $o{within};

	for my $meeting ($fake->meetings)
	{
		$live{ $meeting->{id} } = $meeting if !$meeting->{deleted};
		push @bad, "made again: $meeting->{marker}"
		  if defined $meeting->{marker} && $made{ $meeting->{marker} }++;
	}
	for my $visit ($t->rows(q{
		SELECT id, meeting_id, join_url, extract(epoch FROM starts_at)::bigint AS start
		FROM telehealth.appointment WHERE status = 'SCHEDULED'}))
	{
		my $meeting = delete $live{ $visit->{meeting_id} // '' };

		push @bad, "visit $visit->{id}"
		  if !$meeting || $meeting->{start_epoch} != $visit->{start}
		  || $visit->{join_url} !~ m{/j/$visit->{meeting_id}\?};
	}
	push @bad, map { "meeting $_" } sort keys %live;
	return is("@bad", '', $name);
}

# ---- rounds

# In one transaction: visits are made, others moved, others cancelled
sub edit_visits
{
	my ($t, $creates, $moves, $cancels) = @_;
	my $n = $t->{th_visits};
	my $some = "SELECT id FROM telehealth.appointment
		WHERE status = 'SCHEDULED' AND join_url IS NOT NULL ORDER BY md5(id || ' $n')";

	$t->{th_visits} += $creates;
	return $t->sql(
		"BEGIN;
		UPDATE telehealth.appointment SET starts_at = starts_at + interval '1 year'
		WHERE id IN ($some LIMIT $moves);
		UPDATE telehealth.appointment SET status = 'CANCELLED' WHERE id IN ($some LIMIT $cancels);
		INSERT INTO telehealth.appointment (patient_id, provider_id, type, starts_at)
		SELECT 1, n % 20 + 1, 'VIDEO', date_trunc('hour', now()) + interval '1 day' + n * interval '1 hour'
		FROM generate_series($n, $n + $creates - 1) AS n;
		COMMIT");
}

# ---- sessions of others

my @bystanders;

sub stand_by
{
	my ($t) = @_;
	my $idle = $t->background_psql('postgres');
	my $busy = $t->background_psql('postgres');

	$busy->query_safe('BEGIN; CREATE TEMP TABLE mine (n integer); INSERT INTO mine VALUES (1)');
	@bystanders = map { [ $_, $_->query_safe('SELECT pg_backend_pid()') ] } $idle, $busy;
	return;
}

# Their transactions and processes are what they were
sub undisturbed
{
	my $n = 0;

	for my $one (@bystanders)
	{
		my ($session, $pid) = @$one;
		$n++ if (eval { $session->query_safe('SELECT pg_backend_pid()') } // '') eq $pid;
	}
	return $n == @bystanders
	  && (eval { $bystanders[1][0]->query_safe('SELECT n FROM mine') } // '') eq '1';
}

sub go_away { $_->[0]->quit for @bystanders; @bystanders = (); return }

# Runs an edit with a process that dies at a point, after it was held at
# another if one is given; true once there is another process
sub die_at
{
	my ($t, $hold, $point, $edit) = @_;
	my $old = $t->wait_dispatcher;
	my $offset = $t->log_size;

	if (!defined $hold)
	{
		$t->reload_conf('telehealth.debug_crash_at' => $point);
		$t->poll('SHOW telehealth.debug_crash_at', $point);
	}
	else
	{
		$t->reload_conf('telehealth.debug_waitpoint' => $hold);
		$t->poll('SHOW telehealth.debug_waitpoint', $hold);
	}
	eval { $edit->(); 1 } or note 'the server went down under the edit';
	if (defined $hold)
	{
		wait_held($t, $hold, $offset);
		$t->reload_conf('telehealth.debug_waitpoint' => '', 'telehealth.debug_crash_at' => $point);
	}
	my $died = TelehealthTest::patiently(sub { !$t->is_alive($old) }, 20);
	$t->reload_conf('telehealth.debug_waitpoint' => '', 'telehealth.debug_crash_at' => '');
	return $died && $t->wait_ready && $t->wait_dispatcher(undef, other => $old);
}

# ---- what happens to the process that is held

my %end = (
	'kill -9 of the dispatcher' => sub {
		my ($t, $pid) = @_;

		let_go($t, now => 0);
		kill 'KILL', $pid;
		TelehealthTest::patiently(sub { !$t->is_alive($pid) }, 20);
		$t->wait_ready;
		$t->reload;
	},
	'kill -9 of the postmaster' => sub {
		my ($t) = @_;

		let_go($t, now => 0);
		$t->_kill_postmaster;
		TelehealthTest::patiently(sub { delete $t->{_pid}; $t->start(fail_ok => 1) }, 60);
	},
	'immediate shutdown' => sub {
		my ($t) = @_;

		let_go($t, now => 0);
		$t->stop('immediate');
		$t->start;
	},
	'SIGTERM' => sub {
		my ($t, $pid) = @_;
		my $began = time;

		let_go($t, now => 0);
		kill 'TERM', $pid;
		TelehealthTest::patiently(sub { !$t->is_alive($pid) }, 20);
		$t->reload;
		return time - $began < 1;
	},
	'pg_terminate_backend' => sub {
		my ($t, $pid) = @_;

		let_go($t, now => 0);
		my $is_gone = $t->sql("SELECT pg_terminate_backend($pid, 1000)");
		$t->reload;
		return $is_gone eq 't';
	});

sub ends { return sort keys %end }

# The process that is held ends so
sub end_it { my ($t, $how) = @_; return $end{$how}->($t, $t->wait_dispatcher) }

# Does this end cut all sessions?
sub is_cutting { return $_[0] =~ /^(?:kill|immediate)/ }

# As tests: the dispatcher ends so, another does the work within so many
# seconds, and those who stand by notice nothing
sub end_ok
{
	my ($t, $fake, $how, $what, $within_s) = @_;
	my $old = $t->wait_dispatcher or return fail("$what: a dispatcher");
	my $is_prompt = $end{$how}->($t, $old);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($t->wait_dispatcher(undef, other => $old, limit => 5) ? 1 : 0, 1, "W6: $what: another dispatcher is there within 5 s");
	if (!is_cutting($how))
	{
		ok($is_prompt, "W6: $what: it left within a second");
		ok(undisturbed(), "W8: $what: no other session is disturbed");
	}
	return settled_ok($t, $fake, "W2, W11, W22: $what: all is there, within a lease, made once", within => $within_s);
}

1;
