# Grants of users as Google gives them: a refresh token comes with consent, stays
# the same when it is used, and dies with the grant.
package FakeGoogle::Oauth;

use Mojo::Base 'FakePeer::Oauth', -signatures;
use FakePeer::Answer qw(answer random_word);
use Mojo::JSON qw(encode_json);
use Mojo::Util qw(b64_decode b64_encode);
use Time::HiRes ();

has tokens => sub { {} };
has token_calls => 0;

sub oauth_refusal ($self, $error, $words, $number = undef)
{
	return answer(400, { error => $error, error_description => $words });
}

sub oauth_page_refusal ($self, $flaw)
{
	return answer(400, { error => 'invalid_request', error_description => $flaw });
}

# Who sits at the browser: the one named by login_hint, else the app's own
sub consent ($self, $req)
{
	return $self->authorize_page($req, $req->url->query->param('login_hint'));
}

# Scopes given: what was asked, or what the user left of it
sub scopes_of ($self, $code)
{
	my @asked = split ' ', $code->{query}{scope} // join ' ', @{ $self->options->{scopes} };
	my $left = $self->options->{granted_scopes};

	return $left ? grep { my $s = $_; grep { $_ eq $s } @$left } @asked : @asked;
}

# A new refresh token; of too many the oldest dies without a word
sub new_refresh ($self, $client, $user, $scopes)
{
	my $refresh = '1//' . random_word(70);
	my $limit = $self->options->{refresh_tokens_max};
	my $all = $self->refresh_tokens;
	my @live = sort { $all->{$a}{n} <=> $all->{$b}{n} }
	  grep { !$all->{$_}{dead} && $all->{$_}{user} eq $user && $all->{$_}{client}{client_id} eq $client->{client_id} }
	  keys %$all;

	$all->{$_}{dead} = 1 for splice @live, 0, @live + 1 > $limit ? @live + 1 - $limit : 0;
	$all->{$refresh} = {
		client => $client,
		user => $user,
		scopes => $scopes,
		n => ++$self->{refresh_n},
		used => 0,
		given => Time::HiRes::time()
	};
	return $refresh;
}

sub new_access ($self, $client, $user, $scopes)
{
	my $token = 'ya29.' . random_word(120);

	$self->tokens->{$token} = {
		client => $client,
		user => $user,
		expires => Time::HiRes::time() + $self->options->{expires_in},
		scopes => { map { $_ => 1 } @$scopes }
	};
	return $token;
}

# Whose grant it is: a number that stays when the address changes
sub id_token ($self, $client, $user)
{
	my $sub = $self->options->{subjects}{$user} // unpack 'H*', $user;
	my @parts = map { b64_encode($_, '') =~ tr{+/}{-_}r =~ s/=+$//r }
	  encode_json({ alg => 'RS256' }), encode_json({ iss => 'https://accounts.google.com', aud => $client->{client_id}, sub => $sub }), 'signature';

	return join '.', @parts;
}

sub token_answer ($self, $client, $user, $scopes, $refresh)
{
	my $o = $self->options;

	return answer(
		200,
		{
			access_token => $self->new_access($client, $user, $scopes),
			token_type => 'Bearer',
			expires_in => 0 + $o->{expires_in},
			scope => join(' ', @$scopes),
			(grep { $_ eq 'openid' } @$scopes) ? (id_token => $self->id_token($client, $user)) : (),
			defined $refresh ? (refresh_token => $refresh) : (),
			defined $refresh && $o->{refresh_expires_in} ? (refresh_token_expires_in => 0 + $o->{refresh_expires_in}) : ()
		});
}

# The answer to a code.  Google gives a refresh token only offline, and again
# only when the user consents anew.
sub oauth_grant ($self, $client, $code)
{
	my $q = $code->{query};
	my $user = $code->{user};
	my $is_first = !$self->{consented}{"$client->{client_id} $user"}++;
	my @scopes = $self->scopes_of($code);
	my $wants = ($q->{access_type} // '') eq 'offline' && ($is_first || ($q->{prompt} // '') =~ /consent/);

	return $self->token_answer($client, $user, \@scopes,
		$wants && !$self->options->{oauth_no_refresh} ? $self->new_refresh($client, $user, \@scopes) : undef);
}

sub oauth_refresh ($self, $client, $form)
{
	my $o = $self->options;
	my $known = $self->refresh_tokens->{ $form->{refresh_token} // '' };
	my $limit = $o->{refresh_expires_in};

	return $self->oauth_refusal('unauthorized_client', 'Unauthorized')
	  if $known && $known->{client}{client_id} ne $client->{client_id};
	return $self->oauth_refusal('invalid_grant', 'Token has been expired or revoked.')
	  if !$known || $known->{dead} || ($limit && $known->{given} + $limit < Time::HiRes::time());
	$known->{used}++;
	return $self->token_answer($client, $known->{user}, $known->{scopes}, undef) if !$o->{rotate_refresh};

	# the former one lives on for a number of further uses
	$known->{dead} = 1 if $known->{used} > $o->{rotate_grace};
	return $self->token_answer($client, $known->{user}, $known->{scopes}, $self->new_refresh($client, $known->{user}, $known->{scopes}));
}

sub oauth_token ($self, $req)
{
	my $form = $req->body_params->to_hash;
	my ($basic) = ($req->headers->authorization // '') =~ /^Basic (\S+)/;
	my ($id, $secret) = defined $basic ? split(/:/, b64_decode($basic), 2) : @$form{qw(client_id client_secret)};
	my $client = $self->client_of($id);
	my $type = $form->{grant_type} // '';

	$self->token_calls($self->token_calls + 1);
	return answer(401, { error => 'invalid_client', error_description => 'The OAuth client was not found.' }) if !$client;
	return answer(401, { error => 'invalid_client', error_description => 'Unauthorized' }) if $client->{client_secret} ne ($secret // '');
	return $self->oauth_exchange($client, $form) if $type eq 'authorization_code';
	return $self->oauth_refresh($client, $form) if $type eq 'refresh_token';
	return $self->oauth_refusal('unsupported_grant_type', "Invalid grant_type: $type");
}

# The whole grant of a user to an app ends, whichever of its tokens was named
sub end_grant ($self, $client, $user)
{
	for my $t (values %{ $self->tokens }, values %{ $self->refresh_tokens })
	{
		$t->{dead} = 1 if $t->{user} eq $user && $t->{client}{client_id} eq $client->{client_id};
	}
	delete $self->{consented}{"$client->{client_id} $user"};
	return;
}

sub oauth_revoke ($self, $req)
{
	my $word = $req->body_params->param('token') // '';
	my $t = $self->tokens->{$word} // $self->refresh_tokens->{$word};

	return answer(400, { error => 'invalid_token', error_description => 'Token expired or revoked' }) if !$t || $t->{dead};
	$self->end_grant($t->{client}, $t->{user});
	return answer(200, {});
}

# Access tokens end, grants stay
sub revoke_tokens ($self)
{
	$_->{dead} = 1 for values %{ $self->tokens };
	return;
}

# By order: users (or one) take their grants back
sub revoke_grants ($self, $user = undef)
{
	for my $t (values %{ $self->refresh_tokens }, values %{ $self->tokens })
	{
		$t->{dead} = 1 if !defined $user || $t->{user} eq $user;
	}
	return { ok => 1 };
}

# By order: what a browser would have brought
sub give_grant ($self, $in)
{
	my $client = $self->client_of($in->{client_id} // $self->options->{oauth_clients}[0]{client_id}) or die "no such client\n";
	my $user = $in->{user} // $client->{user};
	my $scopes = $in->{scopes} // $self->options->{scopes};

	return {
		user => $user,
		refresh_token => $self->new_refresh($client, $user, $scopes),
		access_token => $self->new_access($client, $user, $scopes)
	};
}

# The token of a request, or nothing
sub token_of ($self, $req)
{
	my ($word) = ($req->headers->authorization // '') =~ /^Bearer (.+)$/;
	my $t = $self->tokens->{ $word // '' };

	return !$t || $t->{dead} || $t->{expires} <= Time::HiRes::time() ? undef : $t;
}

1;
