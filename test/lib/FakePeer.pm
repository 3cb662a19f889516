# A test's handle on the fake of a vendor: starts the process, gives it orders,
# reads what it saw, ends it.  FakeZoom, FakeGoogle, … are this and what is
# theirs alone.
package FakePeer;

use strict;
use warnings;
use Carp qw(croak);
use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use IO::Select;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Parameters;
use Mojo::URL;
use Mojo::UserAgent;
use POSIX ();
use Time::HiRes qw(time usleep);

my $SCRIPT = dirname(Cwd::abs_path(__FILE__)) . '/fake_peer';
my @all;

# Start a fake.  tls => kind, raw => kind, options => {...},
# misuse_expected => 1 when the test itself breaks the rules.
sub start
{
	my ($class, %o) = @_;
	my $self = bless {
		tls => $o{tls},
		raw => $o{raw},
		misuse_expected => $o{misuse_expected} // 0,
		owner => $$
	}, $class;
	my @args = ('--watch-stdin');

	if (defined $o{tls})
	{
		$self->{dir} = File::Temp->newdir(lc(ref $self) . '_' . 'X' x 8, TMPDIR => 1);
		chmod 0755, "$self->{dir}";
		push @args, '--tls', $o{tls}, '--dir', "$self->{dir}";
	}
	push @args, '--raw', $o{raw} if defined $o{raw};
	push @args, '--port', $o{port} if defined $o{port};
	push @args, '--options', encode_json($o{options}) if $o{options};
	$self->_spawn(@args);
	$self->{ua} = Mojo::UserAgent->new(inactivity_timeout => 60, max_response_size => 0);
	push @all, $self;
	return $self;
}

sub _spawn
{
	my ($self, @args) = @_;

	pipe(my $in_read, my $in_write) or croak "pipe: $!";
	pipe(my $out_read, my $out_write) or croak "pipe: $!";
	my $pid = fork // croak "fork: $!";
	if ($pid == 0)
	{
		# below the Perl layer: tests may have tied STDOUT
		POSIX::dup2(fileno $in_read, 0);
		POSIX::dup2(fileno $out_write, 1);
		{ exec $^X, $SCRIPT, ref $self, @args }
		POSIX::_exit(1);
	}
	close $in_read;
	close $out_write;
	@$self{qw(pid leash)} = ($pid, $in_write);
	my $select = IO::Select->new($out_read);
	my $text = '';
	my $limit = time + 30;
	while ($text !~ /^ready$/m)
	{
		croak $self->name . " did not start: $text"
		  if time > $limit
		  || ($select->can_read(1) && !sysread $out_read, $text, 4096, length $text);
	}
	($self->{port}) = $text =~ /^listening (\d+)$/m;
	($self->{control_port}) = $text =~ /^control (\d+)$/m;
	($self->{ca_file}) = $text =~ /^ca (.+)$/m;
	return;
}

# How a test's words call it: the fake Zoom
sub name { my ($self) = @_; return ref($self) =~ s/^Fake/the fake /r }

sub pid { return $_[0]{pid} }
sub port { return $_[0]{port} }
sub ca_file { return $_[0]{ca_file} }
sub is_running { my $self = shift; return defined $self->{pid} }
sub misuse_expected { my ($self, $v) = @_; $self->{misuse_expected} = $v // 1; return }

# Base URL of the fake, without a path
sub url
{
	my ($self) = @_;
	my $is_tls = defined $self->{tls} || ($self->{raw} // '') eq 'tls_hang';

	return ($is_tls ? 'https' : 'http') . "://127.0.0.1:$self->{port}";
}

# A user opens an address and agrees (or not): the parameters that the browser
# brings back, and where to
sub browse
{
	my ($self, $address) = @_;
	my $res = $self->{ua}->get($address)->res;
	my $back = Mojo::URL->new($res->headers->location // '');

	croak 'the browser was not sent back: ' . $res->body if $res->code != 302;
	return { %{ $back->query->to_hash }, to => $back->clone->query('')->to_string };
}

# One control call
sub control
{
	my ($self, $method, $what, $body) = @_;

	croak $self->name . ' is not running' if !defined $self->{pid};
	my $tx = $self->{ua}->start($self->{ua}->build_tx(
		$method => "http://127.0.0.1:$self->{control_port}/_control/$what" => {} =>
		  defined $body ? encode_json($body) : ''));
	my $json = eval { decode_json($tx->res->body) };
	croak "control call $what: " . ($tx->error->{message} // '') . ' ' . $tx->res->body
	  if $tx->error || !defined $json;
	return $json;
}

# Fault rules replace the former ones; without arguments they are cleared
sub faults { my $self = shift; return $self->control(POST => 'faults', [@_]) }

sub add_faults
{
	my $self = shift;
	return $self->control(POST => 'faults', { append => \1, rules => [@_] });
}
sub options { my ($self, %o) = @_; return $self->control(POST => 'options', \%o) }
sub reset { my ($self, %o) = @_; return $self->control(POST => 'reset', \%o) }
sub release { my ($self, %o) = @_; return $self->control(POST => 'release', \%o)->{released} }
sub revoke_tokens { my $self = shift; return $self->control(POST => 'revoke_tokens', {}) }

# Everything but the request log (requests => 1 adds it)
sub state
{
	my ($self, %o) = @_;
	return $self->control(GET => 'state?requests=' . ($o{requests} ? 1 : 0));
}

# The request log; since => seq, method => ..., path_regex => ...
sub requests
{
	my ($self, %o) = @_;
	my $query = Mojo::Parameters->new(%o)->to_string;

	return @{ $self->control(GET => "requests?$query") };
}

sub misuse { my $self = shift; return @{ $self->state->{misuse} } }
sub count { my ($self, $route) = @_; return $self->state->{counters}{$route} // 0 }

# Wait until code says true of the state; returns what it said
sub wait_for
{
	my ($self, $code, $limit_s) = @_;
	my $end = time + ($limit_s // 30);

	while (1)
	{
		my $got = $code->($self->state);
		return $got if $got || time > $end;
		usleep 20_000;
	}
}

# A test that has looked at the complaints itself says so here
sub is_judged { my ($self, $v) = @_; $self->{is_judged} = $v if @_ > 1; return $self->{is_judged} }

# What the fake complains about, as text lines; none when that is expected
sub complaints
{
	my $self = shift;

	return () if $self->{misuse_expected};
	my @bad = defined $self->{pid}
	  ? eval { $self->misuse }
	  : @{ $self->{last_misuse} // [] };
	push @bad, { request => 0, route => '', what => "no control answer: $@" }
	  if defined $self->{pid} && $@;
	return map { "request $_->{request} $_->{route}: $_->{what}" } @bad;
}

# End the process; the misuse list is kept for complaints
sub stop
{
	my $self = shift;

	return if !defined $self->{pid} || $self->{owner} != $$;
	$self->{last_misuse} = eval { [ $self->misuse ] } // [];
	return $self->_end('TERM');
}

# End it without a word, as a crash of the vendor
sub kill9
{
	my $self = shift;
	return if !defined $self->{pid};
	$self->{last_misuse} = eval { [ $self->misuse ] } // [];
	return $self->_end('KILL');
}

sub _end
{
	my ($self, $signal) = @_;

	# the end of its standard input reaches an event loop sooner than a signal
	kill $signal, $self->{pid};
	close delete $self->{leash};
	waitpid $self->{pid}, 0;
	delete $self->{pid};
	return;
}

# All fakes of this test
sub all { return grep { $_->{owner} == $$ } @all }

# To where the test's user looks, also when a test library took over STDERR
sub complain
{
	my ($text) = @_;

	return Test::Builder->new->diag($text) if $INC{'Test/Builder.pm'};
	print STDERR "# $text\n";
	return;
}

# Ends what is left, and fails the test when a fake was misused
END
{
	my $status = $?;

	for my $fake (all())
	{
		my @bad = $fake->{is_judged} ? () : $fake->complaints;

		complain("misuse of " . $fake->name . ": $_") for @bad;
		$status ||= 1 if @bad;
		$fake->stop;
	}
	$? = $status;
}

1;
