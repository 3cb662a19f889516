# Grants of users as Zoom gives them: refresh tokens rotate, each works once.
package FakeZoom::Oauth;

use Mojo::Base 'FakePeer::Oauth', -signatures;
use FakePeer::Answer qw(answer random_word);
use Time::HiRes ();

sub oauth_page_refusal ($self, $flaw)
{
	return answer(400, { code => 4700, message => $flaw });
}

sub oauth_refusal ($self, $error, $words, $number = undef)
{
	return answer(400, { error => $error, reason => $words . (defined $number ? " ($number)" : '') });
}

# An access token and a refresh token; after a code the user's former ones end
# (4741)
sub oauth_grant ($self, $client, $code)
{
	my $o = $self->options;
	my $token = 'eyJ' . random_word(150);
	my $refresh = 'eyJ' . random_word(150);
	my @scopes = map { $client->{is_admin} ? $_ : s/:admin$//r } @{ $o->{scopes} };

	if ($code)
	{
		$_->{used}++ for grep { $_->{client}{user} eq $client->{user} } values %{ $self->refresh_tokens };
	}
	$self->refresh_tokens->{$refresh} = { client => $client, used => 0 };
	$self->tokens->{$token} = {
		account_id => $client->{account_id},
		$client->{is_admin} ? () : (user => $client->{user}),
		me => $client->{user},
		expires => Time::HiRes::time() + $o->{expires_in},
		scopes => { map { $_ => 1 } @scopes }
	};
	return answer(
		200,
		{
			access_token => $token,
			token_type => 'bearer',
			$o->{oauth_no_refresh} ? () : (refresh_token => $refresh),
			expires_in => 0 + $o->{expires_in},
			scope => join(' ', @scopes),
			api_url => $self->base
		});
}

sub oauth_refresh ($self, $client, $form)
{
	my $known = $self->refresh_tokens->{ $form->{refresh_token} // '' };

	return $self->oauth_refusal('invalid_grant', 'Invalid refresh token', 4737)
	  if !$known || $known->{client}{client_id} ne $client->{client_id};
	return $self->oauth_refusal('invalid_grant', 'The refresh token was used before', 4740)
	  if $known->{used}++;
	return $self->oauth_grant($client, undef);
}

# An answer, or nothing if the request is of another kind
sub oauth_answer ($self, $form, $id, $secret)
{
	my $do = { authorization_code => 'oauth_exchange', refresh_token => 'oauth_refresh' }->{ $form->{grant_type} // '' }
	  or return undef;
	my $client = $self->client_of($id);

	return answer(400, { code => 4702, error => 'invalid_client', reason => 'Invalid client_id or client_secret' })
	  if !$client || $client->{client_secret} ne ($secret // '');
	return $self->$do($client, $form);
}

1;
