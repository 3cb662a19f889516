# Fault rules: which request is hurt, and how its answer is (not) delivered.
package FakePeer::Fault;

use Mojo::Base -strict, -signatures;
use Exporter 'import';
use Mojo::IOLoop;
use Socket qw(SOL_SOCKET SO_LINGER);

our @EXPORT_OK = qw(new_rule pick deliver cut);

# What every fake knows; a fake adds its own.  passes: does not end the search
# for further faults; effect: does the store see the request when the rule does
# not say?
my %KINDS = (
	(map { $_ => { passes => 1, effect => 1 } } qw(delay revoke_tokens alter)),
	(map { $_ => {} } qw(hang cut_before status)),
	(map { $_ => { effect => 1 } } qw(cut_after wrong_body huge_body slow_body close_midway)));

my %MATCH = map { $_ => 1 } qw(method path_regex query_regex body_regex nth
  times skip probability seed);

sub new_rule ($spec, $own = {})
{
	my $match = $spec->{match} // {};
	my $fault = $spec->{fault} // {};

	my $kind = $own->{ $fault->{kind} // '' } // $KINDS{ $fault->{kind} // '' }
	  or die "unknown fault kind\n";
	for my $k (keys %$match) { die "unknown match key $k\n" if !$MATCH{$k} }
	return {
		match => $match,
		fault => $fault,
		path => defined $match->{path_regex} ? qr/$match->{path_regex}/ : undef,
		query => defined $match->{query_regex} ? qr/$match->{query_regex}/ : undef,
		body => defined $match->{body_regex} ? qr/$match->{body_regex}/ : undef,
		nth => defined $match->{nth}
		? { map { $_ => 1 } ref $match->{nth} ? @{ $match->{nth} } : $match->{nth} }
		: undef,
		effect => $fault->{effect} // $kind->{effect} // 0,
		passes => $kind->{passes} // 0,
		seen => 0,
		fired => 0,
		random => ($match->{seed} // 1) & 0x7fffffff
	};
}

# One step of a small generator of its own, so that a seed repeats a run
sub chance ($rule)
{
	$rule->{random} = ($rule->{random} * 1103515245 + 12345) & 0x7fffffff;
	return ($rule->{random} >> 8) / (0x7fffffff >> 8);
}

sub fires ($rule, $req, $now)
{
	my $m = $rule->{match};

	return 0 if defined $m->{method} && uc $m->{method} ne $req->method;
	return 0 if $rule->{path} && $req->url->path->to_string !~ $rule->{path};
	return 0 if $rule->{query} && $req->url->query->to_string !~ $rule->{query};
	return 0 if $rule->{body} && $req->body !~ $rule->{body};
	return 0 if defined $rule->{until} && $now >= $rule->{until};
	$rule->{seen}++;
	return 0 if $rule->{seen} <= ($m->{skip} // 0);
	return 0 if $rule->{nth} && !$rule->{nth}{ $rule->{seen} };
	return 0 if defined $m->{times} && $rule->{fired} >= $m->{times};
	return 0 if defined $m->{probability} && chance($rule) >= $m->{probability};
	$rule->{fired}++;
	return 1;
}

# The rules that hurt this request: any number of passing kinds, then at
# most one other
sub pick ($rules, $req, $now)
{
	my @hit;

	for my $rule (@$rules)
	{
		next if !fires($rule, $req, $now);
		push @hit, $rule;
		last if !$rule->{passes};
	}
	return @hit;
}

# Close a connection without an answer
sub cut ($tx, $fault)
{
	Mojo::IOLoop->next_tick(
		sub {
			my $stream = Mojo::IOLoop->stream($tx->connection // '') or return;
			setsockopt($stream->handle, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0))
			  if $fault->{rst};
			$stream->close;
		});
	return;
}

sub start_answer ($tx, $answer)
{
	my $res = $tx->res;

	$res->code($answer->{status});
	$res->headers->header($_ => $answer->{headers}{$_})
	  for keys %{ $answer->{headers} };
	return $res;
}

sub wrong_body ($variant, $body)
{
	return '<html><body>Service page</body></html>' if $variant eq 'html';
	return '' if $variant eq 'empty';
	return '[]' if $variant eq 'wrong_type';
	return '{}' if $variant eq 'no_id';
	return substr($body, 0, int(length($body) / 2));
}

sub send_huge ($tx, $answer, $fault)
{
	my $left = $fault->{bytes} // 10_000_000;
	my $res = start_answer($tx, $answer);
	my $open = '{"padding":"';
	my $piece = 'x' x 65536;
	my $more;

	$more = sub {
		return if $tx->is_finished;
		my $n = $left > 65536 ? 65536 : $left;
		$left -= $n;
		if ($n > 0)
		{
			$res->content->write_chunk($open . substr($piece, 0, $n) => $more);
			$open = '';
		}
		else { $res->content->write_chunk('"}')->write_chunk('') }
		$tx->resume;
	};
	$more->();
	return;
}

sub send_slowly ($tx, $answer, $fault)
{
	my $body = length $answer->{body} ? $answer->{body} : ' ';
	my $res = start_answer($tx, $answer);
	my $at = 0;
	my $timer;

	$res->headers->content_length(length $body);
	my $step = sub {
		if ($tx->is_finished || $at >= length $body)
		{
			Mojo::IOLoop->remove($timer) if $timer;
			return;
		}
		$res->content->write(substr($body, $at++, 1));
		$tx->resume;
	};
	$step->();
	$timer = Mojo::IOLoop->recurring(($fault->{interval_ms} // 1000) / 1000, $step);
	return;
}

sub send_half ($tx, $answer, $fault)
{
	my $body = length $answer->{body} ? $answer->{body} : '{"half":"of an answer"}';
	my $res = start_answer($tx, $answer);

	$res->code(200) if $res->code == 204;
	$res->headers->content_length(length $body);
	$res->content->write(
		substr($body, 0, int(length($body) / 2)) => sub { cut($tx, $fault) });
	$tx->resume;
	return;
}

# Send an answer as the fault (undefined: none) wants it
sub deliver ($tx, $answer, $fault)
{
	my $kind = $fault ? $fault->{kind} : '';

	return if $tx->is_finished;
	return cut($tx, $fault) if $kind =~ /^cut_/;
	return send_huge($tx, $answer, $fault) if $kind eq 'huge_body';
	return send_slowly($tx, $answer, $fault) if $kind eq 'slow_body';
	return send_half($tx, $answer, $fault) if $kind eq 'close_midway';

	my $res = start_answer($tx, $answer);
	$res->body(
		$kind eq 'wrong_body'
		? wrong_body($fault->{variant} // 'html', $answer->{body})
		: $answer->{body});
	$tx->resume;
	return;
}

1;
