# Grants of users: the page that asks them, codes with PKCE, and refresh tokens
# that rotate or stay.  A store that has this as a parent has options
# (oauth_clients, oauth_code_s, oauth_deny) and says
#   oauth_refusal(error, words, number)  the refusal of its vendor
#   oauth_page_refusal(words)            the same where a browser asks
#   oauth_grant(client, code or undef)   the answer that gives tokens
#   oauth_state_min                      how long a state must be
package FakePeer::Oauth;

use Mojo::Base -base, -signatures;
use Digest::SHA qw(sha256);
use FakePeer::Answer qw(answer random_word);
use Mojo::URL;
use Mojo::Util qw(b64_encode);
use Time::HiRes ();

has codes => sub { {} };
has refresh_tokens => sub { {} };
has oauth_state_min => 43;

sub client_of ($self, $id)
{
	return (grep { $_->{client_id} eq ($id // '') } @{ $self->options->{oauth_clients} })[0];
}

# What is wrong with a browser's request, if anything
sub flaw_of ($self, $client, $q)
{
	return 'unknown client_id' if !$client;
	return 'response_type must be code' if ($q->{response_type} // '') ne 'code';
	return 'redirect_uri is not one of the app'
	  if !grep { $_ eq ($q->{redirect_uri} // '') } @{ $client->{redirect_uris} };
	return 'state must be long' if length($q->{state} // '') < $self->oauth_state_min;
	return 'code_challenge must be S256'
	  if ($q->{code_challenge_method} // '') ne 'S256'
	  || ($q->{code_challenge} // '') !~ /^[A-Za-z0-9_-]{43}$/;
	return undef;
}

# The page where the user says yes; the browser is sent back at once.  who: the
# user who sits there, else the app's
sub authorize_page ($self, $req, $who = undef)
{
	my $q = $req->url->query->to_hash;
	my $client = $self->client_of($q->{client_id});
	my $flaw = $self->flaw_of($client, $q);

	return $self->oauth_page_refusal($flaw) if defined $flaw;
	my $back = Mojo::URL->new($q->{redirect_uri});
	if ($self->options->{oauth_deny})
	{
		$back->query({ error => 'access_denied', state => $q->{state} });
	}
	else
	{
		my $code = random_word(30);

		$self->codes->{$code} = {
			client => $client,
			user => $who // $client->{user},
			query => $q,
			redirect_uri => $q->{redirect_uri},
			challenge => $q->{code_challenge},
			expires => Time::HiRes::time() + $self->options->{oauth_code_s}
		};
		$back->query({ code => $code, state => $q->{state} });
	}
	return answer(302, undef, Location => $back->to_string);
}

sub oauth_exchange ($self, $client, $form)
{
	my $code = $self->codes->{ $form->{code} // '' };
	my $challenge = b64_encode(sha256($form->{code_verifier} // ''), '') =~ tr{+/=}{-_}dr;

	return $self->oauth_refusal('invalid_grant', 'Invalid authorization code', 4734)
	  if !$code || $code->{client}{client_id} ne $client->{client_id};
	if ($code->{used}++)
	{
		# as RFC 6749 wants: what was given for it ends
		$self->revoke_tokens;
		return $self->oauth_refusal('invalid_grant', 'Invalid authorization code', 4734);
	}
	return $self->oauth_refusal('invalid_grant', 'Authorization code is expired', 4733)
	  if $code->{expires} < Time::HiRes::time();
	return $self->oauth_refusal('invalid_request', 'Redirect URI mismatch', 4709)
	  if $code->{redirect_uri} ne ($form->{redirect_uri} // '');
	return $self->oauth_refusal('invalid_grant', 'Invalid code verifier')
	  if $code->{challenge} ne $challenge;
	return $self->oauth_grant($client, $code);
}

1;
