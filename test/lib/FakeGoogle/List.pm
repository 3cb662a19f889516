# Lists of events: what a question matches, pages, sync tokens.
package FakeGoogle::List;

use Mojo::Base -strict, -signatures;
use FakePeer::Answer qw(answer random_word);
use FakePeer::Rules qw(local_instant);
use Time::HiRes ();

my $FAR_S = 2 * 366 * 86400;

sub many ($v)
{
	return defined $v ? ref $v ? @$v : $v : ();
}

# An instant of a question
sub at ($q, $name)
{
	return defined $q->{$name} ? local_instant($q->{$name}, 'UTC') : undef;
}

sub is_in_window ($e, $w)
{
	return 0 if defined $w->{min} && $e->{end_epoch} <= $w->{min} && $e->{start_epoch} < $w->{min};
	return 0 if defined $w->{max} && $e->{start_epoch} >= $w->{max};
	return 1;
}

sub has_properties ($e, $kind, @pairs)
{
	for my $pair (@pairs)
	{
		my ($k, $v) = split /=/, $pair, 2;
		return 0 if ($e->{extendedProperties}{$kind}{$k} // '') ne $v;
	}
	return 1;
}

sub is_asked_for ($e, $q)
{
	my $since = at($q, 'updatedMin');

	return 0 if defined $q->{iCalUID} && $e->{iCalUID} ne $q->{iCalUID};
	return 0 if defined $since && $e->{updated} < $since;
	return 0 if !has_properties($e, 'private', many($q->{privateExtendedProperty}));
	return 0 if !has_properties($e, 'shared', many($q->{sharedExtendedProperty}));
	return 0 if defined $q->{q} && !grep { index(lc($_ // ''), lc $q->{q}) >= 0 } @$e{qw(summary description location)};
	return 1;
}

# An event that is gone: Google promises no more than its id
sub tombstone ($store, $c, $e, $zone)
{
	return $store->shown($c, { %$e, status => 'cancelled' }, $zone) if !$store->options->{bare_tombstones};
	return {
		kind => 'calendar#event',
		etag => $e->{etag},
		id => $e->{id},
		status => 'cancelled',
		defined $e->{recurringEventId}
		? (recurringEventId => $e->{recurringEventId}, originalStartTime => $e->{originalStartTime})
		: ()
	};
}

# A recurring event as its occurrences: those there are, and those that were
# told before and are no more (again to whoever asks with an old token)
sub spread ($store, $c, $e, $w, $is_sync)
{
	my $known = $c->{known}{ $e->{id} } //= {};
	my @now = $e->{deleted} ? () : grep { is_in_window($_, $w) } $store->occurrences($c, $e, $w->{max} // time + $FAR_S);
	my %is_now = map { $_->{id} => 1 } @now;
	my @gone = $is_sync
	  ? map { { %{ $known->{$_} }, etag => $e->{etag}, deleted => 1 } }
	  grep { !$is_now{$_} && !$c->{events}{$_} && is_in_window($known->{$_}, $w) } sort keys %$known
	  : ();

	$known->{ $_->{id} } = $_ for @now;
	return (@now, @gone);
}

# All events of a calendar that the question means.  since: the change up to
# which the client knows (a sync), else undefined
sub matching ($store, $c, $q, $w, $since)
{
	my $is_sync = defined $since;
	my $is_single = ($q->{singleEvents} // '') eq 'true';
	my $shows_gone = $is_sync || ($q->{showDeleted} // '') eq 'true';
	my $lag = $store->options->{list_lag_ms} / 1000;
	my $upto = $c->{change};
	my @found;

	for my $e (sort { $a->{change} <=> $b->{change} } values %{ $c->{events} })
	{
		if ($lag && $e->{updated} + $lag > Time::HiRes::time())
		{
			$upto = $e->{change} - 1 if $upto >= $e->{change};
			next;
		}
		next if $is_sync && $e->{change} <= $since;
		if ($is_single && $e->{recurrence}) { push @found, spread($store, $c, $e, $w, $is_sync) }
		elsif ($is_sync && $store->options->{sync_outside} eq 'omit')
		{
			push @found, is_in_window($e, $w) ? $e : { %$e, deleted => 1 };
		}
		elsif ($is_sync || $e->{recurrence} || is_in_window($e, $w)) { push @found, $e }
	}
	@found = grep { ($shows_gone || !$_->{deleted}) && is_asked_for($_, $q) } @found;
	@found = sort { $a->{start_epoch} <=> $b->{start_epoch} } @found if ($q->{orderBy} // '') eq 'startTime';
	@found = sort { $a->{updated} <=> $b->{updated} } @found if ($q->{orderBy} // '') eq 'updated';
	return ($upto, map { $_->{deleted} ? tombstone($store, $c, $_, $q->{timeZone}) : few_guests($store->shown($c, $_, $q->{timeZone}), $q) } @found);
}

# Of more guests than wanted only the one whose calendar it is
sub few_guests ($shown, $q)
{
	my @all = @{ $shown->{attendees} // [] };

	return $shown if !defined $q->{maxAttendees} || @all <= $q->{maxAttendees};
	return { %$shown, attendees => [ grep { $_->{self} } @all ], attendeesOmitted => \1 };
}

# Parameters that a page or a sync must repeat
sub sameness ($q, @names)
{
	return join "\n", map { "$_=" . join ',', many($q->{$_}) } @names;
}

my @ON_PAGES = qw(iCalUID orderBy privateExtendedProperty q sharedExtendedProperty
  showDeleted showHiddenInvitations singleEvents timeMax timeMin timeZone updatedMin);
my @ON_SYNC = qw(singleEvents maxAttendees alwaysIncludeEmail);

# Begin a list: its pages, all but empty of promises
sub begin ($store, $c, $q, $complain)
{
	my $o = $store->options;
	my $w = { min => at($q, 'timeMin'), max => at($q, 'timeMax') };
	my $since;

	if (defined $q->{syncToken})
	{
		my $t = $store->{sync}{ $q->{syncToken} };
		my $life = $o->{sync_token_s};

		return (undef, FakeGoogle::Store::failure(410, 'fullSyncRequired'))
		  if !$t || $t->{dead} || ($life && $t->{given} + $life < Time::HiRes::time());
		$complain->('syncToken of another calendar') if $t->{calendar} ne $c->{id};
		$complain->('parameters are not those of the first sync') if $t->{same} ne sameness($q, @ON_SYNC);
		($since, $w) = @$t{qw(change window)};
	}
	my ($upto, @items) = matching($store, $c, $q, $w, $since);
	my $size = $q->{maxResults} // 250;
	my @pages;

	$size = $o->{page_size} if $size > $o->{page_size};
	while (@items)
	{
		push @pages, [] if $o->{empty_pages};
		push @pages, [ splice @items, 0, $size ];
	}
	push @pages, [] if !@pages || $o->{empty_pages};
	my $has_token = !defined $q->{orderBy} && !defined $q->{q} && !defined $q->{iCalUID} && !defined $q->{updatedMin}
	  && !many($q->{privateExtendedProperty}) && !many($q->{sharedExtendedProperty})
	  && ($o->{window_sync_token} || !(defined $q->{timeMin} || defined $q->{timeMax}));

	return (
		{
			calendar => $c->{id},
			pages => \@pages,
			same => sameness($q, @ON_PAGES),
			sync => $has_token
			? { calendar => $c->{id}, change => $upto, window => $w, same => sameness($q, @ON_SYNC) }
			: undef
		},
		undef);
}

# One page
sub page ($store, $c, $q, $complain)
{
	my ($list, $refusal);

	if (defined $q->{pageToken})
	{
		$list = $store->{pages}{ $q->{pageToken} };
		return FakeGoogle::Store::failure(410, 'fullSyncRequired') if $list && $list->{dead};
		return FakeGoogle::Store::failure(400, 'invalid', 'Invalid page token value.') if !$list;
		$complain->('pageToken of another calendar') if $list->{calendar} ne $c->{id};
		$complain->('parameters are not those of the first page') if $list->{same} ne sameness($q, @ON_PAGES);
	}
	else
	{
		($list, $refusal) = begin($store, $c, $q, $complain);
		return $refusal if $refusal;
	}
	my ($items, @rest) = @{ $list->{pages} };
	my %more;

	if (@rest)
	{
		$more{nextPageToken} = random_word(24);
		$store->{pages}{ $more{nextPageToken} } = { %$list, pages => \@rest };
	}
	elsif ($list->{sync})
	{
		$more{nextSyncToken} = random_word(24);
		$store->{sync}{ $more{nextSyncToken} } = { %{ $list->{sync} }, given => Time::HiRes::time() };
	}
	return answer(
		200,
		{
			kind => 'calendar#events',
			etag => '"p' . $c->{change} . '"',
			summary => $c->{summary},
			timeZone => $q->{timeZone} // $c->{timeZone},
			updated => FakeGoogle::Store::stamp(Time::HiRes::time()),
			accessRole => 'owner',
			defaultReminders => [],
			items => $items,
			%more
		});
}

# By order: sync tokens of a calendar (or all) are no longer good
sub expire ($store, $in)
{
	my $n = 0;

	for my $t (values %{ $store->{sync} }, $in->{pages} ? values %{ $store->{pages} } : ())
	{
		next if defined $in->{calendar} && $t->{calendar} ne $in->{calendar};
		$n++ if !$t->{dead}++;
	}
	return { expired => $n };
}

# ---- partial answers: fields=a,b(c,d),e/f

sub parse_fields ($text)
{
	my %tree;

	while ($$text =~ /\G([\w*]+)/gc)
	{
		my $at = $tree{$1} //= {};

		while ($$text =~ m{\G/([\w*]+)}gc) { $at = $at->{$1} //= {} }
		if ($$text =~ /\G\(/gc)
		{
			%$at = (%$at, %{ parse_fields($text) });
			$$text =~ /\G\)/gc or die "fields: no end\n";
		}
		last if $$text !~ /\G,/gc;
	}
	return \%tree;
}

sub only ($json, $tree)
{
	return $json if !%$tree || $tree->{'*'};
	return [ map { only($_, $tree) } @$json ] if ref $json eq 'ARRAY';
	return $json if ref $json ne 'HASH';
	return { map { $_ => only($json->{$_}, $tree->{$_}) } grep { exists $json->{$_} } keys %$tree };
}

# The part of an answer that was asked for, or a refusal
sub partial ($answer, $fields)
{
	return $answer if !defined $fields || $answer->{status} >= 300 || !$answer->{json};
	my $tree = eval { my $t = parse_fields(\$fields); (pos($fields) // 0) == length $fields ? $t : undef }
	  or return FakeGoogle::Store::failure(400, 'invalidParameter', 'Invalid field selection');

	return answer($answer->{status}, only($answer->{json}, $tree));
}

1;
