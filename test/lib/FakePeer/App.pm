# The server of a fake: one process, one event loop.  Counts and logs each
# request, checks it, applies faults, asks the store, and answers the control
# calls.  A fake's own App has this as a parent and says
#   store                      with options, base, forget, revoke_tokens
#   default_options            of the store
#   route_of(method, path)     see FakePeer::Rules::find_route
#   check_request(req, route)  what is wrong (a list), and the decoded body
#   misuse_answer(bad)         the refusal of a request with something wrong
#   failure_answer(text)       the answer when the fake itself fails
#   respond(job)               the answer, or a promise of one; job has tx, route,
#                              json, seq, and entry, its line in the log
#   state_of(query)            what its state has besides
#   control_calls              { 'POST name' => sub ($self, $query, $in) }
#   fault_kinds                { kind => { passes, effect } } of its own
#   act_on(job, fault)         a passing kind of its own
#   replaced_by(job, rule)     the answer that another kind of its own gives
package FakePeer::App;

use Mojo::Base -base, -signatures;
use FakePeer::Answer qw(answer);
use FakePeer::Fault qw(new_rule pick deliver cut);
use FakePeer::Tls;
use Getopt::Long qw(GetOptionsFromArray);
use Mojo::Date;
use Mojo::IOLoop;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Server::Daemon;
use Scalar::Util qw(blessed);
use Time::HiRes ();

has rules => sub { [] };
has misuse => sub { [] };
has log => sub { [] };
has counters => sub { {} };
has answers => sub { {} };
has fired => sub { [] };
has hanging => sub { [] };
has [qw(seq in_flight max_concurrent connections bytes)] => 0;

sub now () { return Time::HiRes::time() }

# ---- what a fake may leave out

sub failure_answer ($self, $text) { return answer(500, { error => $text }) }
sub state_of ($self, $q) { return () }
sub control_calls ($self) { return {} }
sub fault_kinds ($self) { return {} }
sub act_on ($self, $job, $fault) { return }

# ---- the vendor's side

sub note_misuse ($self, $seq, $name, $bad)
{
	push @{ $self->misuse },
	  { at => now(), request => $seq, route => $name, what => $_ }
	  for @$bad;
	return;
}

sub log_request ($self, $tx, $route)
{
	my $req = $tx->req;
	my %headers = %{ $req->headers->to_hash };
	my $body = $req->body;
	my $limit = $self->store->options->{log_limit};

	delete $headers{$_} for grep { lc eq 'authorization' } keys %headers;
	utf8::decode($body);
	push @{ $self->log },
	  {
		seq => $self->seq,
		at => now(),
		method => $req->method,
		path => $req->url->path->to_string,
		query => $req->url->query->to_string,
		route => $route->{name},
		headers => { map { lc($_) => $headers{$_} } keys %headers },
		body => $body
	  };
	splice @{ $self->log }, 0, $limit / 10 if @{ $self->log } > $limit;
	return $self->log->[-1];
}

sub handle ($self, $tx)
{
	my $req = $tx->req;
	my $route = $self->route_of($req->method, $req->url->path->to_string);
	my $entry;

	$self->seq($self->seq + 1);
	$self->in_flight($self->in_flight + 1);
	$self->max_concurrent($self->in_flight)
	  if $self->in_flight > $self->max_concurrent;
	$tx->on(finish => sub { $self->in_flight($self->in_flight - 1) });
	$self->counters->{ $route->{name} }++;
	$entry = $self->log_request($tx, $route);

	my ($bad, $json) = $self->check_request($req, $route);
	$self->note_misuse($self->seq, $route->{name}, $bad) if @$bad;

	my $job = {
		tx => $tx,
		route => $route,
		bad => $bad,
		json => $json,
		entry => $entry,
		seq => $self->seq
	};
	$self->apply_faults($job, pick($self->rules, $req, now()));
	return;
}

# The answer the vendor would give; made at most once per request
sub answer_of ($self, $job)
{
	$job->{answer} //= eval {
		@{ $job->{bad} } ? $self->misuse_answer($job->{bad}) : $self->respond($job);
	} // $self->failed($job, $@);
	return $job->{answer};
}

sub failed ($self, $job, $why)
{
	$self->note_misuse($job->{seq}, $job->{route}{name}, ["fault of the fake: $why"]);
	return $self->failure_answer("fault of the fake: $why");
}

# Find out what the hit rules want, then answer now or later
sub apply_faults ($self, $job, @hit)
{
	my $wait = $self->store->options->{latency_ms} / 1000;
	my $effect_first = 1;
	my $last;

	for my $rule (@hit)
	{
		my $f = $rule->{fault};

		push @{ $self->fired }, { request => $job->{seq}, kind => $f->{kind} };
		if ($f->{kind} eq 'delay')
		{
			$wait += ($f->{ms} // 0) / 1000;
			$effect_first = 0 if ($f->{effect} // '') eq 'last';
		}
		elsif ($f->{kind} eq 'revoke_tokens') { $self->store->revoke_tokens }
		elsif ($f->{kind} eq 'alter') { push @{ $job->{alter} }, $f->{set} // {} }
		elsif ($rule->{passes}) { $self->act_on($job, $f) }
		else { $last = $rule }
	}
	return $self->finish($job, $last) if $wait <= 0;
	$self->answer_of($job) if $effect_first && (!$last || $last->{effect});
	Mojo::IOLoop->timer($wait => sub { $self->finish($job, $last) });
	return;
}

# Let the rule replace the answer
sub replaced ($self, $job, $rule)
{
	my $f = $rule->{fault};
	my $kind = $f->{kind};

	return $self->replaced_by($job, $rule) if $kind ne 'status';

	my $body = $f->{body} // '';
	my $is_json = ref $body;
	return {
		status => $f->{code} // 500,
		headers => {
			$is_json ? ('Content-Type' => 'application/json') : (),
			%{ $f->{headers} // {} }
		},
		body => $is_json ? encode_json($body) : $body
	};
}

sub finish ($self, $job, $rule)
{
	my $tx = $job->{tx};
	my $fault = $rule ? $rule->{fault} : undef;
	my $kind = $rule ? $fault->{kind} : '';
	my $answer;

	$self->answer_of($job) if !$rule || $rule->{effect};
	if (blessed $job->{answer})
	{
		# a promise: come again when it is kept
		$job->{answer}->then(
			sub ($got) { $job->{answer} = $got },
			sub ($why) { $job->{answer} = $self->failed($job, $why) }
		)->finally(sub { $self->finish($job, $rule) });
		return;
	}
	if ($kind eq 'hang')
	{
		push @{ $self->hanging }, $job;
		return;
	}
	$answer = $kind eq 'status' || ($kind ne '' && $self->fault_kinds->{$kind})
	  ? $self->replaced($job, $rule)
	  : ($job->{answer} // { status => 0, headers => {}, body => '' });
	$answer = altered($answer, $job->{alter}) if $job->{alter};
	if (my $skew = $self->store->options->{date_skew_s})
	{
		$answer->{headers}{Date} = Mojo::Date->new(time + $skew)->to_string;
	}
	my $outcome = $kind =~ /^cut/ ? $kind : $answer->{status};
	$self->answers->{"$job->{route}{name} $outcome"}++;
	$job->{entry}{status} = $kind =~ /^cut/ ? 0 : 0 + $answer->{status};
	$job->{entry}{fault} = $kind if $kind;
	deliver($tx, $answer, $fault);
	return;
}

# The answer with some fields changed (dots reach into objects)
sub altered ($answer, $sets)
{
	my $json = eval { decode_json($answer->{body}) };

	return $answer if ref $json ne 'HASH';
	for my $set (@$sets)
	{
		for my $k (keys %$set)
		{
			my @way = split /\./, $k;
			my $last = pop @way;
			my $at = $json;
			$at = $at->{$_} //= {} for @way;
			if (defined $set->{$k}) { $at->{$last} = $set->{$k} }
			else { delete $at->{$last} }
		}
	}
	return { %$answer, body => encode_json($json) };
}

# ---- control

sub requests ($self, $q)
{
	my @all = @{ $self->log };

	@all = grep { $_->{seq} > $q->{since} } @all if defined $q->{since};
	@all = grep { $_->{method} eq uc $q->{method} } @all if defined $q->{method};
	@all = grep { $_->{path} =~ /$q->{path_regex}/ } @all
	  if defined $q->{path_regex};
	return \@all;
}

sub state ($self, $q)
{
	$self->hanging([ grep { !$_->{tx}->is_finished } @{ $self->hanging } ]);
	return {
		now => now(),
		$self->state_of($q),
		counters => $self->counters,
		answers => $self->answers,
		misuse => $self->misuse,
		fired => $self->fired,
		rules => [
			map { { kind => $_->{fault}{kind}, seen => $_->{seen}, fired => $_->{fired} } }
			  @{ $self->rules }
		],
		requests_total => $self->seq,
		in_flight => $self->in_flight,
		max_concurrent => $self->max_concurrent,
		hanging => scalar @{ $self->hanging },
		connections => $self->connections,
		bytes => $self->bytes,
		($q->{requests} // 1) ? (requests => $self->log) : ()
	};
}

sub reset ($self, $in)
{
	$self->release({ cut => 1 });
	$self->store->forget;
	$self->store->options($self->default_options) if $in->{options};
	$self->rules([])->log([])->counters({})->answers({})->fired([])
	  ->max_concurrent(0);
	$self->misuse([]) if $in->{misuse};
	return { ok => 1 };
}

# Answer (or cut) the requests that hang
sub release ($self, $in)
{
	my @jobs = @{ $self->hanging };

	$self->hanging([]);
	for my $job (@jobs)
	{
		if ($in->{cut}) { cut($job->{tx}, {}) }
		else { $self->finish($job, undef) }
	}
	return { released => scalar @jobs };
}

sub set_options ($self, $in)
{
	my $o = $self->store->options;

	for my $k (keys %$in)
	{
		die "unknown option $k\n" if !exists $o->{$k};
		if (ref $o->{$k} eq 'HASH' && $k =~ /^rate/)
		{
			$o->{$k} = { %{ $o->{$k} }, %{ $in->{$k} } };
		}
		else { $o->{$k} = $in->{$k} }
	}
	return $o;
}

sub set_faults ($self, $in)
{
	my @rules = map { new_rule($_, $self->fault_kinds) } @{ ref $in eq 'HASH' ? $in->{rules} : $in };

	$self->rules(ref $in eq 'HASH' && $in->{append} ? [ @{ $self->rules }, @rules ] : \@rules);
	return { rules => scalar @{ $self->rules } };
}

my %CONTROL = (
	'GET state' => sub ($self, $q, $in) { $self->state($q) },
	'GET requests' => sub ($self, $q, $in) { $self->requests($q) },
	'GET options' => sub ($self, $q, $in) { $self->store->options },
	'POST options' => sub ($self, $q, $in) { $self->set_options($in) },
	'POST faults' => sub ($self, $q, $in) { $self->set_faults($in) },
	'POST reset' => sub ($self, $q, $in) { $self->reset($in) },
	'POST release' => sub ($self, $q, $in) { $self->release($in) },
	'POST revoke_tokens' => sub ($self, $q, $in)
	{
		$self->store->revoke_tokens;
		return { ok => 1 };
	},
);

sub control ($self, $tx)
{
	my $req = $tx->req;
	my ($what) = $req->url->path->to_string =~ m{^/_control/(\w+)$};
	my $call = $req->method . ' ' . ($what // '');
	my $do = $self->control_calls->{$call} // $CONTROL{$call};
	my ($status, $json) = (404, { error => 'unknown control call' });

	if ($do)
	{
		$json = eval {
			my $in = length $req->body ? decode_json($req->body) : {};
			$do->($self, $req->url->query->to_hash, $in);
		};
		$status = $json ? 200 : 400;
		$json //= { error => "$@" };
	}
	$tx->res->code($status);
	$tx->res->headers->content_type('application/json');
	$tx->res->body(encode_json($json));
	$tx->resume;
	return;
}

# ---- the process

sub daemon ($self, $listen, $handler)
{
	my $d = Mojo::Server::Daemon->new(
		listen => [$listen],
		silent => 1,
		inactivity_timeout => 0,
		keep_alive_timeout => 75,
		max_clients => 10_000,
		max_requests => 1_000_000);

	$d->app->log->level('fatal');
	$d->unsubscribe('request');
	$d->on(request => sub ($daemon, $tx) { $handler->($tx) });
	$d->start;
	return $d;
}

my $DRIP = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
  . "Content-Length: 100000\r\n\r\n" . ('{"a":1}' . ' ' x 93) x 1000;

my $ENDLESS = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
  . "Transfer-Encoding: chunked\r\n\r\n";

# Sockets that misbehave below HTTP: never answer, one byte a second, an answer
# that goes on for ever, or half a TLS record
sub raw_server ($self, $mode)
{
	return Mojo::IOLoop->server(
		{ address => '127.0.0.1', port => 0 } => sub ($loop, $stream, $id)
		{
			my $timer;
			my $at = 0;

			$self->connections($self->connections + 1);
			$self->in_flight($self->in_flight + 1);
			$self->max_concurrent($self->in_flight)
			  if $self->in_flight > $self->max_concurrent;
			$stream->timeout(0);
			$stream->on(read => sub ($s, $bytes)
			{
				$self->bytes($self->bytes + length $bytes);
				$s->write("\x16\x03\x03\x10") if $mode eq 'tls_hang' && !$at++;
				$timer //= $loop->recurring(
					1 => sub { $s->write(substr $DRIP, $at++, 1) })
				  if $mode eq 'drip';
				$timer //= $loop->recurring(0.05 => sub
				{
					$s->write(($at++ ? '' : $ENDLESS) . "f\r\n{\"a\": 1}       \r\n");
				})
				  if $mode eq 'endless';
			});
			$stream->on(close => sub
			{
				$loop->remove($timer) if $timer;
				$self->in_flight($self->in_flight - 1);
			});
		});
}

sub usage ()
{
	die "usage: fake_peer FakeNAME [--tls good|expired|wronghost|selfsigned --dir FOLDER]"
	  . " [--raw silent|drip|endless|tls_hang] [--port N] [--options JSON]"
	  . " [--watch-stdin]\n";
}

sub run ($class, @args)
{
	my %o = (port => 0);
	my $self = $class->new;
	my ($daemon, $port, $tls);

	GetOptionsFromArray(\@args, \%o, 'port=i', 'tls=s', 'dir=s', 'raw=s',
		'options=s', 'watch-stdin')
	  or usage();
	usage() if @args || (defined $o{tls} && !defined $o{dir});
	usage() if defined $o{tls} && $o{tls} !~ /^(?:good|expired|wronghost|selfsigned)$/;
	usage() if defined $o{raw} && $o{raw} !~ /^(?:silent|drip|endless|tls_hang)$/;
	$self->set_options(decode_json($o{options})) if defined $o{options};
	$SIG{PIPE} = 'IGNORE';
	$tls = FakePeer::Tls->create($o{tls}, $o{dir}) if defined $o{tls};

	my $control = $self->daemon('http://127.0.0.1:0', sub ($tx) { $self->control($tx) });
	if (defined $o{raw})
	{
		$port = Mojo::IOLoop->acceptor($self->raw_server($o{raw}))->port;
	}
	else
	{
		$daemon = $self->daemon(
			$tls
			? "https://127.0.0.1:$o{port}?cert=$tls->{cert}&key=$tls->{key}"
			: "http://127.0.0.1:$o{port}",
			sub ($tx)
			{
				return $self->control($tx)
				  if $tx->req->url->path->to_string =~ m{^/_control/};
				$self->handle($tx);
			});
		$port = $daemon->ports->[0];
	}
	$self->store->base(($tls ? 'https' : 'http') . "://127.0.0.1:$port");
	$self->announce($port, $control->ports->[0], $tls);
	$self->watch_stdin if $o{'watch-stdin'};
	local $SIG{TERM} = local $SIG{INT} = sub { Mojo::IOLoop->stop };
	Mojo::IOLoop->recurring(1 => sub { });
	Mojo::IOLoop->start;
	return 0;
}

sub announce ($self, $port, $control, $tls)
{
	local $| = 1;

	print "listening $port\ncontrol $control\n";
	print "ca $tls->{ca}\n" if $tls;
	print "ready\n";
	return;
}

# End when whoever started us is gone
sub watch_stdin ($self)
{
	Mojo::IOLoop->singleton->reactor->io(
		\*STDIN => sub {
			Mojo::IOLoop->stop if !sysread STDIN, my $buffer, 4096;
		})->watch(\*STDIN, 1, 0);
	return;
}

1;
