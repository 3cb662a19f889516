# Lists of events: by filter, of a window, and what changed in a window since
# (delta).  All in pages; what a link says is known here alone.
package FakeGraph::Views;

use Mojo::Base 'FakeGraph::Events', -signatures;
use FakeGraph::Rules qw(parse_filter preferences property_id);
use FakePeer::Answer qw(answer random_word);
use FakePeer::Rules qw(local_instant);
use Mojo::URL;

has links => sub { {} };    # token => what it stands for
has delta_epoch => 0;       # tokens of an earlier one are dead
has delta_dies_at => 0;     # the page at which the next round dies

my $FAR = 30 * 365 * 86400;

sub want_of ($req, $q)
{
	my $prefer = preferences($req);
	my ($id) = ($q->{'$expand'} // '') =~ /id eq '([^']+)'/;

	return { %$prefer, expand => defined $id ? property_id($id) : undef };
}

# A copy with the fields of $select only
sub selected ($e, $select)
{
	return $e if !defined $select;
	my %keep = map { $_ => 1 } 'id', '@odata.etag', 'singleValueExtendedProperties', split /,/, $select;
	return { map { $_ => $e->{$_} } grep { $keep{$_} } keys %$e };
}

# Where a link leads: this server, unless an option says otherwise
sub link_to ($self, $req, %query)
{
	my $base = $self->options->{link_base} || $self->base;
	my $url = Mojo::URL->new($base)->path($req->url->path->to_string);

	$url->query(%query) if %query;
	return $url->to_string;
}

sub page_answer ($req, %more)
{
	my $prefer = preferences($req)->{text};

	return answer(
		200,
		{ '@odata.context' => 'https://graph.microsoft.com/v1.0/$metadata#Collection(event)', %more },
		length $prefer ? ('Preference-Applied' => $prefer) : ());
}

# A page of instances by $top and $skip
sub listed ($self, $req, $want, @all)
{
	my $q = $req->url->query->to_hash;
	my $n = $q->{'$top'} // $want->{page_size} // 10;
	my $skip = $q->{'$skip'} // 0;
	my @page = grep { defined } @all[ $skip .. ($skip + $n > @all ? $#all : $skip + $n - 1) ];

	return page_answer(
		$req,
		value => [ map { selected($self->shape($_, $want), $q->{'$select'}) } @page ],
		$skip + $n < @all ? ('@odata.nextLink' => $self->link_to($req, %$q, '$skip' => $skip + $n)) : ());
}

sub facts_of ($i)
{
	return { %{ $i->{ev} }{qw(properties ical_uid)}, start => $i->{start}, end => $i->{end} };
}

sub list_events ($self, $box, $calendar, $req, $json = undef)
{
	my $q = $req->url->query->to_hash;
	my $is_wanted = defined $q->{'$filter'} ? parse_filter($q->{'$filter'}) : sub ($e) { 1 };
	my @all = grep { $_->{calendar} eq $calendar && !$_->{deleted} } @{ $box->{list} // [] };

	return $self->listed($req, want_of($req, $q),
		grep { $is_wanted->(facts_of($_)) } sort { $a->{start} <=> $b->{start} } map { FakeGraph::Events::self_of($_) } @all);
}

# Everything in a window, in order
sub in_window ($self, $box, $calendar, $from, $to)
{
	return sort { $a->{start} <=> $b->{start} || $a->{id} cmp $b->{id} }
	  grep { FakeGraph::Events::is_in($_, $from, $to) }
	  map { FakeGraph::Events::instances($_, $to) }
	  grep { $_->{calendar} eq $calendar } @{ $box->{list} // [] };
}

sub view ($self, $box, $calendar, $req, $json = undef)
{
	my $q = $req->url->query->to_hash;
	my ($from, $to) = map { local_instant($q->{$_}, 'UTC') } qw(startDateTime endDateTime);

	return $self->listed($req, want_of($req, $q), $self->in_window($box, $calendar, $from, $to));
}

# ---- delta

# The refusals that a client has to begin anew for
sub sync_lost ($self, $req)
{
	my $how = $self->options->{sync_lost};
	my $code = $how eq 'resync' ? 'resyncRequired' : 'SyncStateNotFound';

	return FakeGraph::Events::failure(
		$how eq 'bad_request' ? 400 : 410,
		$code,
		'The sync state generation is not found; continue with a full synchronization.',
		$how eq 'resync' ? (Location => $self->link_to($req)) : ());
}

# Items that changed in a calendar after a number: as they are if they are in
# the window, else as removed; a removed item may never have been told
sub changes ($self, $box, $s)
{
	my (%live, @items);

	for my $ev (grep { $_->{seq} > $s->{since} } @{ $box->{list} // [] })
	{
		next if $ev->{calendar} ne $s->{calendar} || $ev->{deleted};
		for my $i (FakeGraph::Events::instances($ev, $s->{to} > time + $FAR ? $s->{to} : time + $FAR))
		{
			$live{ $i->{id} } = 1;
			push @items,
			  {
				seq => $ev->{seq},
				FakeGraph::Events::is_in($i, $s->{from}, $s->{to}) ? (instance => $i) : (gone => $i)
			  };
		}
	}
	push @items, map { { seq => $_->{seq}, gone => $_ } }
	  grep { $_->{seq} > $s->{since} && $_->{calendar} eq $s->{calendar} && !$live{ $_->{id} }++ }
	  reverse @{ $box->{gone} };
	return sort { $a->{seq} <=> $b->{seq} } @items;
}

sub removed ($self, $i, $want)
{
	return {
		'@odata.type' => '#microsoft.graph.event',
		id => $want->{immutable} ? $i->{id} : $i->{regular},
		'@removed' => { reason => $i->{type} ? $self->options->{outside_reason} : 'deleted' }
	};
}

# All items of a round; series come with their master when occurrences are bare
sub round ($self, $box, $s, $want)
{
	my $o = $self->options;
	my @all = $s->{since} < 0
	  ? map { { instance => $_ } } $self->in_window($box, @$s{qw(calendar from to)})
	  : $self->changes($box, $s);
	my %series;

	@all = grep { $_->{instance} } @all if $o->{delta_forgets_removed};
	if ($o->{bare_occurrences})
	{
		$series{ $_->{instance}{ev}{id} } //= $_->{instance}{ev}
		  for grep { $_->{instance} && $_->{instance}{date} } @all;
		unshift @all, map { { instance => FakeGraph::Events::self_of($_) } } values %series;
		$want = { %$want, bare => 1 };
	}
	return map { $_->{instance} ? $self->shape($_->{instance}, $want) : $self->removed($_->{gone}, $want) } @all;
}

sub keep ($self, $what)
{
	my $token = random_word(60);

	$self->links->{$token} = { %$what, epoch => $self->delta_epoch };
	return $token;
}

# A new round is made whole at its first page; later pages are what it was
sub delta ($self, $box, $calendar, $req, $json = undef)
{
	my $o = $self->options;
	my $q = $req->url->query->to_hash;
	my $token = $q->{'$skiptoken'} // $q->{'$deltatoken'};
	my $want = want_of($req, {});
	my $s;

	if (defined $token)
	{
		$s = $self->links->{$token};
		return $self->sync_lost($req)
		  if !$s
		  || $s->{epoch} != $self->delta_epoch
		  || $s->{box} ne $box->{address}
		  || $s->{calendar} ne $calendar;
		$s = {%$s};
	}
	else
	{
		my ($from, $to) = map { local_instant($q->{$_}, 'UTC') } qw(startDateTime endDateTime);
		$s = { box => $box->{address}, calendar => $calendar, from => $from, to => $to, since => -1 };
	}
	if (!$s->{items})
	{
		$s->{items} = [ $self->round($box, $s, $want) ];
		unshift @{ $s->{items} }, (undef) x ($want->{page_size} // 10) if $o->{delta_empty_page};
		@$s{qw(since page at)} = ($box->{seq}, 0, 0);
	}
	return $self->delta_page($req, $s, $want);
}

sub delta_page ($self, $req, $s, $want)
{
	my $size = $want->{page_size} // 10;
	my $back = $s->{page} ? $self->options->{delta_repeats} : 0;
	my $begin = $s->{at} > $back ? $s->{at} - $back : 0;
	my $end = $s->{at} + $size;
	my $all = $s->{items};
	my %link;

	if ($self->delta_dies_at && $s->{page} + 1 >= $self->delta_dies_at)
	{
		$self->expire_delta({});
		return $self->sync_lost($req);
	}
	if ($end < @$all)
	{
		$link{'@odata.nextLink'} =
		  $self->link_to($req, '$skiptoken' => $self->keep({ %$s, page => $s->{page} + 1, at => $end }));
	}
	else
	{
		$link{'@odata.deltaLink'} =
		  $self->link_to($req, '$deltatoken' => $self->keep({ map { $_ => $s->{$_} } qw(box calendar from to since) }));
		$end = @$all;
	}
	return page_answer($req, value => [ grep { defined } @$all[ $begin .. $end - 1 ] ], %link);
}

# All links so far are dead; with at_page: those of the round that comes there
sub expire_delta ($self, $in)
{
	$self->delta_dies_at($in->{at_page} // 0);
	$self->delta_epoch($self->delta_epoch + 1) if !$in->{at_page};
	return { ok => 1 };
}

1;
