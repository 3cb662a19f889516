# The identity platform: tenants, apps, grants of users.  Each refresh gives a
# new refresh token; the one before goes on working, until it was idle for long.
package FakeGraph::Oauth;

use Mojo::Base 'FakePeer::Oauth', -signatures;
use FakePeer::Answer qw(answer random_word);
use FakePeer::Rules qw(iso_time);
use Mojo::Util qw(b64_decode url_unescape);
use Time::HiRes ();

has tokens => sub { {} };
has token_calls => 0;

my $RESOURCE = 'https://graph.microsoft.com/';

# of the numbers that FakePeer::Oauth says: those of this vendor
my %NUMBER = (4734 => 70000, 4733 => 70008, 4709 => 50011);

sub oauth_page_refusal ($self, $flaw)
{
	return answer(400, { error => 'invalid_request', error_description => "AADSTS900144: $flaw" });
}

sub oauth_refusal ($self, $error, $words, $number = 501481, $status = 400, %more)
{
	$number = $NUMBER{$number} // $number;
	return answer(
		$status,
		{
			error => $error,
			error_description => "AADSTS$number: $words. Trace ID: " . random_word(12),
			error_codes => [ 0 + $number ],
			timestamp => iso_time(time) =~ tr/T/ /r,
			trace_id => random_word(12),
			correlation_id => random_word(12),
			%more
		});
}

# The page of a tenant; whoever is meant by the hint, or sits there by option
sub ask_user ($self, $req, $tenant)
{
	my $hint = $req->url->query->param('login_hint');

	return $self->oauth_page_refusal("tenant '$tenant' not found") if !$self->has_tenant($tenant);
	return $self->authorize_page($req, $hint // ($self->options->{oauth_user} || undef));
}

sub has_tenant ($self, $tenant)
{
	return scalar grep { $_ eq $tenant } @{ $self->options->{tenants} };
}

# Words of a scope list that this vendor grants, short
sub granted ($self, $text)
{
	my %denied = map { $_ => 1 } @{ $self->options->{oauth_deny_scopes} };

	return grep { !$denied{$_} } map { s/^\Q$RESOURCE\E//r } split ' ', $text // '';
}

sub give_tokens ($self, $client, $user, @scopes)
{
	my $o = $self->options;
	my $now = Time::HiRes::time();
	my ($token, $refresh) = ('eyJ0' . random_word(600), '0.A' . random_word(300));
	my @own = grep { $_ ne 'offline_access' } @scopes;
	my $is_offline = @own < @scopes && !$o->{oauth_no_refresh};

	$self->tokens->{$token} = {
		client => $client,
		user => lc $user,
		expires => $now + $o->{expires_in},
		scopes => { map { $_ => 1 } @own }
	};
	$self->refresh_tokens->{$refresh} = { client => $client, user => lc $user, scopes => [@scopes], given => $now }
	  if $is_offline;
	return {
		token_type => 'Bearer',
		scope => join(' ', map { "$RESOURCE$_" } @own),
		expires_in => 0 + $o->{expires_in},
		ext_expires_in => 0 + $o->{expires_in},
		access_token => $token,
		$is_offline ? (refresh_token => $refresh) : ()
	};
}

sub oauth_grant ($self, $client, $code)
{
	return answer(200, $self->give_tokens($client, $code->{user}, $self->granted($code->{query}{scope})));
}

sub oauth_refresh ($self, $client, $form)
{
	my $o = $self->options;
	my $known = $self->refresh_tokens->{ $form->{refresh_token} // '' };

	return $self->oauth_refusal('invalid_grant', 'The provided refresh token is not valid', 9002313)
	  if !$known || $known->{client}{client_id} ne $client->{client_id};
	return $self->oauth_refusal('invalid_grant', 'The provided grant has been revoked', 50173, 400,
		suberror => 'bad_token')
	  if $known->{revoked};
	return $self->oauth_refusal('invalid_grant', 'The refresh token has expired due to inactivity', 700082)
	  if $known->{given} + $o->{refresh_life_s} < Time::HiRes::time();
	$known->{uses}++;
	$known->{revoked} = 1 if $o->{refresh_once};
	return answer(200, $self->give_tokens($client, $known->{user}, @{ $known->{scopes} }));
}

sub make_token ($self, $req, $tenant)
{
	my %form = %{ $req->body_params->to_hash };
	my ($basic) = ($req->headers->authorization // '') =~ /^Basic (\S+)/;
	my ($id, $secret) = @form{qw(client_id client_secret)};
	my $do = { authorization_code => 'oauth_exchange', refresh_token => 'oauth_refresh' }->{ $form{grant_type} // '' };
	my $client;

	$self->token_calls($self->token_calls + 1);
	($id, $secret) = map { url_unescape($_) } split /:/, b64_decode($basic), 2 if defined $basic;
	$client = $self->client_of($id);
	return $self->oauth_refusal('invalid_request', "Tenant '$tenant' not found", 90002) if !$self->has_tenant($tenant);
	return $self->oauth_refusal('unauthorized_client', 'Application was not found in the directory', 700016)
	  if !$client;
	return $self->oauth_refusal('invalid_client', 'The provided client secret keys are expired', 7000222, 401)
	  if $client->{is_expired};
	return $self->oauth_refusal('invalid_client', 'Invalid client secret provided', 7000215, 401)
	  if $client->{client_secret} ne ($secret // '');
	return $self->oauth_refusal('unsupported_grant_type', 'The grant type is not supported', 70003) if !$do;
	return $self->$do($client, \%form);
}

# ---- orders

# A grant without a browser, as one that the user had given elsewhere
sub grant ($self, $in)
{
	my $client = $in->{client_id} ? $self->client_of($in->{client_id}) : $self->options->{oauth_clients}[0];

	die "unknown client_id\n" if !$client;
	return $self->give_tokens($client, $in->{user} // $client->{user},
		$self->granted($in->{scope} // "offline_access ${RESOURCE}Calendars.ReadWrite"));
}

# All grants end, or those of one user; access tokens too
sub revoke_grants ($self, $in)
{
	my $n = 0;

	for my $t (values %{ $self->refresh_tokens }, values %{ $self->tokens })
	{
		next if defined $in->{user} && $t->{user} ne lc $in->{user};
		next if $in->{keep_access} && defined $t->{expires};
		$n++ if !$t->{revoked}++;
	}
	return { revoked => $n };
}

# Refresh tokens become so many days older
sub age_grants ($self, $in)
{
	$_->{given} -= 86400 * $in->{days} for values %{ $self->refresh_tokens };
	return { ok => 1 };
}

sub revoke_tokens ($self)
{
	$_->{revoked} = 1 for values %{ $self->tokens };
	return;
}

# The token of a request if it is good
sub token_of ($self, $req)
{
	my ($text) = ($req->headers->authorization // '') =~ /^Bearer (.+)$/;
	my $token = $self->tokens->{ $text // '' };

	return $token && !$token->{revoked} && $token->{expires} > Time::HiRes::time() ? $token : undef;
}

1;
