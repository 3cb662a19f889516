# What the fake Zoom remembers: accounts, users, tokens, meetings, quotas;
# and the answer of every operation.  An answer is a hash of status, headers
# and body; nothing here knows how it is delivered.
package FakeZoom::Store;

use Mojo::Base 'FakeZoom::Oauth', -signatures;
use FakePeer::Answer qw(answer random_text random_word);
use FakePeer::Rules qw(iso_time);
use FakeZoom::Rules qw(parse_start_time);
use Mojo::JSON qw(true false);
use Mojo::Util qw(b64_decode url_unescape);
use POSIX ();
use Time::HiRes ();

has options => sub { default_options() };
has base => 'http://127.0.0.1';
has meetings => sub { {} };
has runs => sub { {} };
has tokens => sub { {} };
has pages => sub { {} };
has token_calls => 0;
has last_id => 0;

my @SCOPES = qw(meeting:write:meeting:admin meeting:update:meeting:admin
  meeting:delete:meeting:admin meeting:read:meeting:admin
  meeting:read:list_meetings:admin meeting:read:past_meeting:admin
  user:read:user:admin);

sub default_options ()
{
	return {
		# credentials; users without account_id belong to the first account
		accounts => [
			{
				account_id => 'acct-1',
				client_id => 'client-1',
				client_secret => 'secret-1'
			}
		],
		users => [
			map {
				{
					id => "host-id-$_",
					email => "host$_\@clinic.example",
					pmi => 5_000_000_000 + $_
				}
			} 1 .. 20
		],
		# apps of users, see Oauth.pm
		oauth_clients => [
			{
				client_id => 'app-1',
				client_secret => 'app-secret-1',
				redirect_uris => ['https://clinic.example/api/zoom/callback'],
				account_id => 'acct-1',
				user => 'host1@clinic.example',
				is_admin => 0
			}
		],
		oauth_code_s => 300,
		oauth_deny => 0,
		oauth_no_refresh => 0,
		auto_users => '',
		allow_me => 0,
		account_timezone => 'UTC',
		# tokens
		expires_in => 3600,
		scopes => [@SCOPES],
		new_token_revokes => 0,
		# limits; 0 = none
		rate => { LIGHT => 0, MEDIUM => 0 },
		host_daily => 100,
		daily_reset_s => 0,
		host_concurrency => 0,
		rate_headers => 1,
		# answers
		locks => {},
		list_lag_ms => 0,
		latency_ms => 0,
		date_skew_s => 0,
		first_id => 81_000_000_001,
		# what is a misuse
		canaries => [],
		required_present => [qw(waiting_room)],
		required_false => [
			qw(use_pmi email_notification registrants_email_notification
			  registrants_confirmation_email
			  alternative_hosts_email_notification
			  auto_start_meeting_summary auto_start_ai_companion_questions)
		],
		log_limit => 50_000
	};
}

sub forget ($self)
{
	$self->meetings({})->runs({})->tokens({})->codes({})->refresh_tokens({})->pages({})->token_calls(0);
	delete @$self{qw(window quota busy)};
	return;
}

# ---- answers

sub failure ($status, $code, $message, %headers)
{
	return answer($status, { code => $code, message => $message }, %headers);
}

sub invalid ($bad)
{
	return answer(
		400,
		{
			code => 300,
			message => 'Validation Failed.',
			errors => [ map { { field => (split ' ')[0], message => $_ } } @$bad ]
		});
}

# ---- tokens

sub account_of ($self, $id)
{
	return (grep { $_->{account_id} eq $id } @{ $self->options->{accounts} })[0];
}

sub make_token ($self, $req)
{
	my $o = $self->options;
	my %form = (%{ $req->url->query->to_hash }, %{ $req->body_params->to_hash });
	my ($basic) = ($req->headers->authorization // '') =~ /^Basic (\S+)/;
	my ($client, $secret) = split /:/, b64_decode($basic // ''), 2;

	$self->token_calls($self->token_calls + 1);
	my $granted = $self->oauth_answer(\%form, $client, $secret);
	return $granted if $granted;
	return answer(400,
		{ error => 'unsupported_grant_type', reason => 'unsupported grant type (4705)' })
	  if $form{grant_type} ne 'account_credentials';

	my ($account) = grep
	{
		$_->{client_id} eq ($client // '')
		  && $_->{client_secret} eq ($secret // '')
	} @{ $o->{accounts} };
	return answer(
		400,
		{
			code => 4702,
			error => 'invalid_client',
			reason => 'Invalid client_id or client_secret'
		}) if !$account;
	return answer(400, { error => 'invalid_request', reason => 'Bad Request' })
	  if $account->{account_id} ne $form{account_id};

	if ($o->{new_token_revokes})
	{
		for my $t (values %{ $self->tokens })
		{
			$t->{revoked} = 1 if $t->{account_id} eq $account->{account_id};
		}
	}
	my $token = 'eyJ' . random_word(150);
	$self->tokens->{$token} = {
		account_id => $account->{account_id},
		expires => Time::HiRes::time() + $o->{expires_in},
		scopes => { map { $_ => 1 } @{ $o->{scopes} } }
	};
	return answer(
		200,
		{
			access_token => $token,
			token_type => 'bearer',
			expires_in => 0 + $o->{expires_in},
			scope => join(' ', @{ $o->{scopes} }),
			api_url => $self->base
		});
}

sub revoke_tokens ($self)
{
	$_->{revoked} = 1 for values %{ $self->tokens };
	return;
}

# The account of a request, or a refusal
sub authorize ($self, $req, $route)
{
	my ($text) = ($req->headers->authorization // '') =~ /^Bearer (.+)$/;
	my $token = $self->tokens->{ $text // '' };

	return (undef, failure(401, 124, 'Invalid access token.'))
	  if !$token || $token->{revoked};
	return (undef, failure(401, 124, 'Access token is expired.'))
	  if $token->{expires} <= Time::HiRes::time();
	return (undef, scope_missing($route, 400))
	  if @{ $route->{scopes} } && !grep { $token->{scopes}{$_} } @{ $route->{scopes} };
	$self->{me} = $token->{me};
	return (undef, scope_missing({ scopes => ['meeting:write:meeting:admin'] }, 400))
	  if defined $token->{user}
	  && $route->{name} =~ m{/users/}
	  && $route->{arg} !~ /^(?:me|\Q$token->{user}\E)$/;
	return ($token->{account_id}, undef);
}

sub scope_missing ($route, $status, $scope = undef)
{
	my @all = grep { tr/:// >= 2 } @{ $route->{scopes} };
	my $names = $scope // join ', ', @all;

	return failure($status, 4711,
		"Invalid access token, does not contain scopes:[$names].");
}

# ---- limits

sub limit_headers ($self, $label, $type, $limit, $left)
{
	return () if !$self->options->{rate_headers} || $label eq '';
	return (
		'X-RateLimit-Category' => ucfirst lc $label,
		'X-RateLimit-Type' => $type,
		$limit
		? (
			'X-RateLimit-Limit' => $limit,
			'X-RateLimit-Remaining' => $left < 0 ? 0 : $left)
		: ());
}

# Per-second limit of a label: headers for the answer, or a refusal
sub rate ($self, $account_id, $label)
{
	my $limit = $self->options->{rate}{$label} // 0;
	my $now = Time::HiRes::time();
	my $times = $self->{window}{"$account_id $label"} //= [];

	shift @$times while @$times && $times->[0] <= $now - 1;
	if ($limit && @$times >= $limit)
	{
		my %h = $self->limit_headers($label, 'QPS', $limit, 0);

		$h{'X-RateLimit-Reset'} = int($times->[0] + 1) + 1 if %h;
		return (
			undef,
			failure(429, 429,
				'You have reached the maximum per-second rate limit for this '
				  . 'API. Try again later.',
				%h));
	}
	push @$times, $now if $limit;
	return ([ $self->limit_headers($label, 'QPS', $limit, $limit - @$times) ], undef);
}

sub daily_refusal ($self, $label, $limit, $until, $message)
{
	my %h = $self->limit_headers($label, 'Daily-limit', $limit, 0);

	$h{'Retry-After'} = iso_time(POSIX::ceil($until))
	  if $self->options->{rate_headers};
	return failure(429, 429, $message, %h);
}

# The daily creates and updates of one host; counts when allowed
sub host_quota ($self, $user, $label)
{
	my $o = $self->options;
	my $limit = $o->{host_daily} or return undef;
	my $now = Time::HiRes::time();
	my $span = $o->{daily_reset_s} || 86400;
	my $q = $self->{quota}{ $user->{id} };

	if (!$q || $now >= $q->{until})
	{
		my $until = $o->{daily_reset_s}
		  ? $now + $span
		  : (int($now / 86400) + 1) * 86400;
		$q = $self->{quota}{ $user->{id} } = { used => 0, until => $until };
	}
	return $self->daily_refusal(
		$label, $limit,
		$q->{until},
		"You have exceeded the daily rate limit ($limit) of Meetings "
		  . 'Create/Update API requests permitted for this particular user. '
		  . 'You can resend the request at GMT 00:00:00.')
	  if $q->{used} >= $limit;
	$q->{used}++;
	return undef;
}

# ---- users

sub find_user ($self, $account_id, $name)
{
	my $o = $self->options;
	my $first = $o->{accounts}[0]{account_id};

	if ($name eq 'me')
	{
		return (undef, failure(400, 1001, 'User does not exist: me.'))
		  if !$o->{allow_me} && !defined $self->{me};
		return $self->find_user($account_id, $self->{me}) if defined $self->{me};
		my ($owner) =
		  grep { ($_->{account_id} // $first) eq $account_id } @{ $o->{users} };
		$name = $owner->{id} if $owner;
	}
	for my $u (@{ $o->{users} })
	{
		next if ($u->{account_id} // $first) ne $account_id;
		return ($u, undef) if $u->{id} eq $name || lc $u->{email} eq lc $name;
	}
	if (length $o->{auto_users} && $name =~ /$o->{auto_users}/)
	{
		my $u = {
			id => 'auto-' . random_word(12),
			email => $name,
			account_id => $account_id
		};
		push @{ $o->{users} }, $u;
		return ($u, undef);
	}
	return (undef, failure(404, 1001, "User does not exist: $name."));
}

sub get_user ($self, $account_id, $name)
{
	my ($u, $refusal) = $self->find_user($account_id, $name);

	return $refusal if $refusal;
	return answer(
		200,
		{
			id => $u->{id},
			email => $u->{email},
			first_name => $u->{first_name} // 'Test',
			last_name => $u->{last_name} // 'Host',
			type => 0 + ($u->{type} // 2),
			timezone => $u->{timezone} // $self->options->{account_timezone},
			account_id => $account_id,
			status => $u->{status} // 'active',
			pmi => 0 + ($u->{pmi} // 5_100_000_000)
		});
}

# ---- meetings

sub marker_of ($agenda)
{
	return ($agenda // '') =~ /\b(th-[0-9a-f]{32})\b/ ? $1 : undef;
}

# Settings as Zoom would keep them: defaults, what was sent, account locks
sub apply_settings ($self, $m, $sent)
{
	my $s = $m->{settings} //= {
		host_video => false,
		participant_video => false,
		join_before_host => false,
		jbh_time => 0,
		mute_upon_entry => false,
		watermark => false,
		use_pmi => false,
		approval_type => 2,
		audio => 'both',
		auto_recording => 'none',
		waiting_room => false,
		encryption_type => 'enhanced_encryption',
		email_notification => true,
		registrants_email_notification => true,
		registrants_confirmation_email => true,
		alternative_hosts_email_notification => true,
		meeting_authentication => false
	};

	@$s{ keys %$sent } = values %$sent if $sent;
	@$s{ keys %{ $self->options->{locks} } } = values %{ $self->options->{locks} };
	$s->{join_before_host} = false if $s->{waiting_room};
	$s->{auto_recording} = 'none'
	  if $s->{encryption_type} eq 'e2ee' && $s->{auto_recording} eq 'cloud';
	return;
}

sub apply_body ($self, $m, $json)
{
	for my $k (qw(topic agenda password duration timezone tracking_fields recurrence))
	{
		$m->{$k} = $json->{$k} if defined $json->{$k};
	}
	if (defined $json->{start_time})
	{
		my $at = parse_start_time($json->{start_time}, $m->{timezone});

		# Zoom ignores a start in the past on updates, silently
		$m->{start_epoch} = $at
		  if !defined $m->{start_epoch} || $at >= time;
	}
	$self->apply_settings($m, $json->{settings});
	$m->{marker} = marker_of($m->{agenda});
	return;
}

sub remember ($m, $what, $seq, $body = undef)
{
	push @{ $m->{history} },
	  {
		at => Time::HiRes::time(),
		what => $what,
		request => $seq,
		defined $body ? (body => $body) : ()
	  };
	return;
}

# What POST and GET answer; a start_url is fresh each time
sub shown ($self, $m)
{
	my $pass = $m->{password};
	my $host = 'https://visit.zoom.example'; # as the real ones, whatever we listen on

	return {
		uuid => $m->{uuid},
		id => 0 + $m->{id},
		host_id => $m->{host_id},
		host_email => $m->{host_email},
		assistant_id => '',
		topic => $m->{topic},
		type => 2,
		status => 'waiting',
		start_time => iso_time($m->{start_epoch}),
		duration => 0 + $m->{duration},
		timezone => $m->{timezone},
		agenda => $m->{agenda},
		created_at => iso_time($m->{created}),
		start_url => "$host/s/$m->{id}?zak=" . random_word(60),
		join_url => "$host/j/$m->{id}?pwd=$m->{pwd}",
		password => $pass,
		h323_password => $m->{digits},
		pstn_password => $m->{digits},
		encrypted_password => $m->{pwd},
		settings => $m->{settings},
		creation_source => 'open_api',
		pre_schedule => false,
		$m->{tracking_fields} ? (tracking_fields => $m->{tracking_fields}) : ()
	};
}

sub add_meeting ($self, $user, $account_id, $json, $what, $seq)
{
	my $id = $self->last_id;

	$id = $id < $self->options->{first_id} ? $self->options->{first_id} : $id + 7;
	$self->last_id($id);
	my $m = $self->meetings->{$id} = {
		id => $id,
		uuid => random_text(16),
		host_id => $user->{id},
		host_email => $user->{email},
		account_id => $account_id,
		created => Time::HiRes::time(),
		topic => 'Zoom Meeting',
		agenda => '',
		duration => 60,
		timezone => $user->{timezone} // $self->options->{account_timezone},
		pwd => random_word(24) . '.1',
		digits => sprintf('%06d', int rand 1_000_000),
		password => '',
		deleted => 0,
		history => []
	};
	$m->{password} = random_word(4)
	  if !exists $json->{default_password} || $json->{default_password};
	$self->apply_body($m, $json);
	$m->{start_epoch} //= int $m->{created};
	remember($m, $what, $seq, $json);
	return $m;
}

sub create ($self, $account_id, $route, $json, $seq)
{
	my ($u, $refusal) = $self->find_user($account_id, $json->{schedule_for} // $route->{arg});

	return $refusal if $refusal;
	return failure(400, 3161, 'The host may not schedule meetings.')
	  if ($u->{status} // 'active') ne 'active';
	$refusal = $self->host_quota($u, $route->{label});
	return $refusal if $refusal;
	return answer(201,
		$self->shown($self->add_meeting($u, $account_id, $json, 'create', $seq)));
}

sub find_meeting ($self, $account_id, $id)
{
	my $m = $self->meetings->{$id};

	return ($m, undef)
	  if $m && !$m->{deleted} && $m->{account_id} eq $account_id;
	return (undef, failure(404, 3001, "Meeting does not exist: $id."));
}

sub get_meeting ($self, $account_id, $id)
{
	my ($m, $refusal) = $self->find_meeting($account_id, $id);

	return $refusal // answer(200, $self->shown($m));
}

# A run of a meeting is past once it has ended; a name that begins with a
# slash or has two in a row is only found when it was encoded twice.
sub get_past_meeting ($self, $account_id, $uuid)
{
	my $encoded = $uuid =~ m{^/|//} ? undef : url_unescape($uuid);
	my $run = defined $encoded ? $self->runs->{$encoded} : undef;
	my $m = $run ? $self->meetings->{ $run->{id} } : undef;

	return failure(404, 3001, "Meeting does not exist: $uuid.")
	  if !$m || !$run->{end} || $m->{account_id} ne $account_id;
	my $minutes = POSIX::ceil(($run->{end} - $run->{start}) / 60);
	return answer(
		200,
		{
			uuid => $encoded,
			id => 0 + $m->{id},
			host_id => $m->{host_id},
			type => 2,
			topic => $m->{topic},
			user_name => 'Host',
			user_email => $m->{host_email},
			start_time => iso_time($run->{start}),
			end_time => iso_time($run->{end}),
			duration => $minutes,
			total_minutes => 2 * $minutes,
			participants_count => 2
		});
}

sub update ($self, $account_id, $route, $json, $seq)
{
	my ($m, $refusal) = $self->find_meeting($account_id, $route->{arg});

	return $refusal if $refusal;
	$refusal = $self->host_quota({ id => $m->{host_id} }, $route->{label});
	return $refusal if $refusal;
	$self->apply_body($m, $json);
	remember($m, 'update', $seq, $json);
	return answer(204);
}

sub remove ($self, $account_id, $id, $seq)
{
	my ($m, $refusal) = $self->find_meeting($account_id, $id);

	return $refusal if $refusal;
	$m->{deleted} = Time::HiRes::time();
	remember($m, 'delete', $seq);
	return answer(204);
}

sub listed ($self, $user, $q)
{
	my $type = $q->{type} // 'scheduled';
	my $now = Time::HiRes::time();
	my $lag = $self->options->{list_lag_ms} / 1000;
	my @found;

	for my $m (values %{ $self->meetings })
	{
		my $is_over = $m->{start_epoch} + 60 * $m->{duration} <= $now;
		my $day = substr iso_time($m->{start_epoch}), 0, 10;

		next if $m->{deleted} || $m->{host_id} ne $user->{id};
		next if $lag && $m->{created} + $lag > $now;
		next if $type eq 'live';
		next if $type =~ /^upcoming/ && $is_over;
		next if $type eq 'previous_meetings' && !$is_over;
		next if defined $q->{from} && $day lt $q->{from};
		next if defined $q->{to} && $day gt $q->{to};
		push @found, $m;
	}
	return [ map { $_->{id} }
		  sort { $a->{start_epoch} <=> $b->{start_epoch} || $a->{id} <=> $b->{id} }
		  @found ];
}

sub list ($self, $account_id, $route, $req)
{
	my $q = $req->url->query->to_hash;
	my $size = $q->{page_size} // 30;
	my ($u, $refusal) = $self->find_user($account_id, $route->{arg});
	my ($ids, $total, $next) = (undef, undef, '');

	return $refusal if $refusal;
	if (length($q->{next_page_token} // ''))
	{
		my $page = $self->pages->{ $q->{next_page_token} };

		return failure(400, 300, 'The next page token is invalid or expired.')
		  if !$page || $page->{until} < time || $page->{host} ne $u->{id};
		($ids, $total) = ([ @{ $page->{ids} } ], $page->{total});
	}
	else
	{
		$ids = $self->listed($u, $q);
		$total = @$ids;
		splice @$ids, 0, $size * ($q->{page_number} - 1) if $q->{page_number};
	}
	my @now = splice @$ids, 0, $size;
	if (@$ids)
	{
		$next = random_word(24);
		$self->pages->{$next} = {
			ids => $ids,
			total => $total,
			host => $u->{id},
			until => time + 900
		};
	}
	return answer(
		200,
		{
			page_size => 0 + $size,
			total_records => $total,
			next_page_token => $next,
			meetings => [ map { $self->listed_entry($_) } @now ]
		});
}

sub listed_entry ($self, $id)
{
	my $all = $self->shown($self->meetings->{$id});
	my %some = map { $_ => $all->{$_} }
	  qw(id uuid host_id topic type start_time duration timezone created_at join_url);

	$some{agenda} = substr $all->{agenda}, 0, 250;
	return \%some;
}

# Do one checked request of a known account
sub perform ($self, $account_id, $route, $req, $json, $seq)
{
	my $name = $route->{name};

	return $self->get_user($account_id, $route->{arg})
	  if $name eq 'GET /v2/users/{id}';
	return $self->list($account_id, $route, $req)
	  if $name eq 'GET /v2/users/{id}/meetings';
	return $self->create($account_id, $route, $json, $seq)
	  if $name eq 'POST /v2/users/{id}/meetings';
	return $self->get_meeting($account_id, $route->{arg})
	  if $name eq 'GET /v2/meetings/{id}';
	return $self->update($account_id, $route, $json, $seq)
	  if $name eq 'PATCH /v2/meetings/{id}';
	return $self->remove($account_id, $route->{arg}, $seq)
	  if $name eq 'DELETE /v2/meetings/{id}';
	return $self->get_past_meeting($account_id, $route->{arg})
	  if $name eq 'GET /v2/past_meetings/{id}';
	return failure(404, 404, 'This API endpoint is not recognized.');
}

# A change nobody asked us for: the host's own hand at Zoom
sub edit ($self, $what)
{
	my $m;

	if ($what->{create})
	{
		my %body = %{ $what->{create} };
		my $account_id = delete $body{account_id}
		  // $self->options->{accounts}[0]{account_id};
		my ($u, $refusal) =
		  $self->find_user($account_id, delete $body{host} // 'host-id-1');

		die "no such host\n" if $refusal;
		$m = $self->add_meeting($u, $account_id, \%body, 'control create', 0);
		return $self->shown($m);
	}
	$m = $self->meetings->{ $what->{id} // '' } or die "no such meeting\n";
	if ($what->{delete})
	{
		$m->{deleted} = Time::HiRes::time();
		remember($m, 'control delete', 0);
	}
	if ($what->{undelete})
	{
		$m->{deleted} = 0;
		remember($m, 'control undelete', 0);
	}
	if (my $run = $what->{run})
	{
		# { uuid => ..., start => ..., end => ... }, seconds; without an end it runs
		$self->runs->{ $run->{uuid} } = { %$run, id => $m->{id} };
	}
	if (my $set = $what->{set})
	{
		delete $m->{start_epoch} if defined $set->{start_time};
		$self->apply_body($m, $set);
		remember($m, 'control set', 0, $set);
	}
	return $self->shown($m);
}

1;
