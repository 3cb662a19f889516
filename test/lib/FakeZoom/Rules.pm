# What a request to Zoom must look like: fields, types, limits, query
# parameters, headers, and the rules a clinical client keeps on top of them.
package FakeZoom::Rules;

use Mojo::Base -strict, -signatures;
use Exporter 'import';
use FakePeer::Rules qw(find_route check_value check_parameters check_secrets
  check_canaries is_text is_int local_instant zone_known);

our @EXPORT_OK = qw(route_of check_request parse_start_time);

# name, method, path, rate label, scopes of which one must be present
my @ROUTES = (
	[
		'POST /oauth/token', 'POST', qr{^/oauth/token$}, '', []
	],
	[
		'GET /oauth/authorize', 'GET', qr{^/oauth/authorize$}, '', []
	],
	[
		'GET /v2/users/{id}', 'GET', qr{^/v2/users/([^/]+)$}, 'LIGHT',
		[qw(user:read:user user:read:user:admin user:read user:read:admin)]
	],
	[
		'GET /v2/users/{id}/meetings',
		'GET',
		qr{^/v2/users/([^/]+)/meetings$},
		'MEDIUM',
		[
			qw(meeting:read:list_meetings meeting:read:list_meetings:admin
			  meeting:read meeting:read:admin)
		]
	],
	[
		'POST /v2/users/{id}/meetings',
		'POST',
		qr{^/v2/users/([^/]+)/meetings$},
		'MEDIUM',
		[
			qw(meeting:write:meeting meeting:write:meeting:admin
			  meeting:write meeting:write:admin)
		]
	],
	[
		'GET /v2/meetings/{id}',
		'GET',
		qr{^/v2/meetings/([^/]+)$},
		'LIGHT',
		[
			qw(meeting:read:meeting meeting:read:meeting:admin
			  meeting:read meeting:read:admin)
		]
	],
	[
		'PATCH /v2/meetings/{id}',
		'PATCH',
		qr{^/v2/meetings/([^/]+)$},
		'LIGHT',
		[
			qw(meeting:update:meeting meeting:update:meeting:admin
			  meeting:write meeting:write:admin)
		]
	],
	[
		'DELETE /v2/meetings/{id}',
		'DELETE',
		qr{^/v2/meetings/([^/]+)$},
		'LIGHT',
		[
			qw(meeting:delete:meeting meeting:delete:meeting:admin
			  meeting:write meeting:write:admin)
		]
	],
	[
		'GET /v2/past_meetings/{id}',
		'GET',
		qr{^/v2/past_meetings/([^/]+)$},
		'LIGHT',
		[
			qw(meeting:read:past_meeting meeting:read:past_meeting:admin
			  meeting:read meeting:read:admin)
		]
	],
);

my %QUERY = (
	'POST /oauth/token' => { grant_type => 'any', account_id => 'any' },
	'GET /oauth/authorize' => {
		map { $_ => 'any' }
		  qw(response_type client_id redirect_uri state code_challenge
		  code_challenge_method scope)
	},
	'GET /v2/users/{id}/meetings' => {
		type => {
			map { $_ => 1 }
			  qw(scheduled live upcoming upcoming_meetings previous_meetings)
		},
		page_size => qr/^(?:[1-9]|[1-9]\d|[12]\d\d|300)$/,
		next_page_token => 'any',
		page_number => qr/^[1-9]\d{0,5}$/,
		from => qr/^\d{4}-\d\d-\d\d$/,
		to => qr/^\d{4}-\d\d-\d\d$/,
		timezone => 'any',
	},
	'GET /v2/meetings/{id}' => {
		occurrence_id => 'any',
		show_previous_occurrences => qr/^(?:true|false)$/
	},
	'PATCH /v2/meetings/{id}' => { occurrence_id => 'any' },
	# true would make Zoom send mail
	'DELETE /v2/meetings/{id}' => {
		occurrence_id => 'any',
		schedule_for_reminder => qr/^false$/,
		cancel_meeting_reminder => qr/^false$/
	},
);

my @SETTING_FLAGS = qw(
  allow_host_control_participant_mute_state show_share_button
  registrants_confirmation_email allow_multiple_devices
  meeting_authentication alternative_host_update_polls device_testing
  participant_video in_meeting mute_upon_entry join_before_host
  host_save_video_order watermark close_registration
  push_change_to_calendar internal_meeting disable_participant_video
  focus_mode waiting_room cn_meeting registrants_email_notification
  alternative_hosts_email_notification use_pmi host_video
  auto_start_meeting_summary auto_start_ai_companion_questions
  participant_focused_meeting private_meeting email_in_attendee_report
  email_notification enforce_login);

my %SETTINGS = (
	(map { $_ => 'bool' } @SETTING_FLAGS),
	(
		map { $_ => 'text' }
		  qw(summary_template_id alternative_hosts authentication_domains
		  authentication_option authentication_name contact_email
		  contact_name enforce_login_domains)
	),
	(
		map { $_ => 'object' }
		  qw(breakout_room approved_or_denied_countries_or_regions
		  question_and_answer sign_language_interpretation
		  language_interpretation)
	),
	(
		map { $_ => 'list' }
		  qw(additional_data_center_regions global_dial_in_countries
		  global_dial_in_numbers authentication_exception meeting_invitees
		  resources custom_keys)
	),
	continuous_meeting_chat => {
		fields => {
			enable => 'bool',
			auto_add_invited_external_users => 'bool',
			auto_add_meeting_participants => 'bool',
			who_is_added => 'text',
			channel_id => 'text'
		}
	},
	audio_conference_info => { text => 2048 },
	calendar_type => { int => [ 1, 2 ] },
	approval_type => { int => [ 0, 1, 2 ] },
	registration_type => { int => [ 1, 2, 3 ] },
	jbh_time => { int => [ 0, 5, 10, 15 ] },
	who_will_receive_summary => { int => [ 1 .. 4 ] },
	who_can_ask_questions => { int => [ 1 .. 5 ] },
	encryption_type => { word => [qw(enhanced_encryption e2ee)] },
	audio => { word => [qw(both telephony voip thirdParty)] },
	auto_recording => { word => [qw(local cloud none)] },
);

my %MEETING = (
	topic => { text => 200 },
	agenda => { text => 2000 },
	password => { text => 10 },
	type => { int => [2] },
	duration => 'int',
	start_time => 'text',
	timezone => 'text',
	default_password => 'bool',
	pre_schedule => 'bool',
	schedule_for => 'text',
	template_id => 'text',
	recurrence => 'object',
	tracking_fields => 'list',
	settings => { fields => \%SETTINGS },
);

sub route_of ($method, $path)
{
	return find_route(\@ROUTES, $method, $path);
}

sub check_times ($route, $json, $options, $bad)
{
	my $zone = $json->{timezone};

	if (defined $zone && is_text($zone) && !zone_known($zone))
	{
		push @$bad, 'timezone is not known';
		return;
	}
	if (!defined $json->{start_time})
	{
		push @$bad, 'start_time is missing' if $route->{name} =~ /^POST/;
		return;
	}
	return if !is_text($json->{start_time});
	push @$bad, 'start_time has a wrong form'
	  if !defined parse_start_time($json->{start_time},
		$zone // $options->{account_timezone});
	return;
}

# What a clinical client must send besides what Zoom itself asks for
sub check_policy ($route, $json, $options, $bad)
{
	my $settings = $json->{settings};
	my $is_create = $route->{name} =~ /^POST/;

	$settings = {} if ref $settings ne 'HASH';
	for my $k (@{ $options->{required_present} })
	{
		push @$bad, "settings.$k is missing"
		  if $is_create && !defined $settings->{$k};
	}
	for my $k (@{ $options->{required_false} })
	{
		if (!exists $settings->{$k})
		{
			push @$bad, "settings.$k is missing" if $is_create;
		}
		elsif ($settings->{$k}) { push @$bad, "settings.$k must be false" }
	}
	push @$bad, 'no passcode'
	  if exists $json->{default_password}
	  && !$json->{default_password}
	  && !length($json->{password} // '');
	push @$bad, 'topic is missing' if $is_create && !defined $json->{topic};
	push @$bad, 'type is missing' if $is_create && !defined $json->{type};
	push @$bad, 'duration is missing'
	  if $is_create && !defined $json->{duration};
	push @$bad, 'duration must be positive'
	  if is_int($json->{duration}) && $json->{duration} < 1;
	return;
}

# Instant of a start_time as Zoom reads it: with Z it is UTC, without it is
# local to the zone.  Undefined when the text has another form.
sub parse_start_time ($text, $zone)
{
	return $text =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?$/ ? local_instant($text, $zone) : undef;
}

sub check_headers ($req, $route, $bad)
{
	my $h = $req->headers;
	my $has_body = length $req->body;
	my $type = $h->content_type // '';

	return if $route->{name} eq 'GET /oauth/authorize';    # a browser
	push @$bad, 'User-Agent is missing' if !length($h->user_agent // '');
	if ($route->{name} eq 'POST /oauth/token')
	{
		push @$bad, 'Content-Type must be application/x-www-form-urlencoded'
		  if $has_body && $type !~ m{^application/x-www-form-urlencoded\b};
		push @$bad, 'Authorization must be Basic'
		  if ($h->authorization // '') !~ m{^Basic [A-Za-z0-9+/]+=*$};
		return;
	}
	push @$bad, 'Authorization must be Bearer'
	  if ($h->authorization // '') !~ m{^Bearer [\x21-\x7e]+$};
	if ($route->{name} =~ /^(?:POST|PATCH)/)
	{
		push @$bad, 'Content-Type must be application/json'
		  if $type !~ m{^application/json(?:\s*;\s*charset=utf-8)?$}i;
	}
	elsif ($has_body) { push @$bad, 'a body is not expected' }
	return;
}

sub check_token_form ($req, $bad)
{
	my %form = (%{ $req->url->query->to_hash }, %{ $req->body_params->to_hash });

	my %fields = (
		account_credentials => [qw(account_id)],
		authorization_code => [qw(code redirect_uri code_verifier)],
		refresh_token => [qw(refresh_token)]);
	my %known = map { $_ => 1 } 'grant_type',
	  @{ $fields{ $form{grant_type} // '' } // ['account_id'] };

	push @$bad, map { "unknown form field $_" } grep { !$known{$_} } sort keys %form;
	push @$bad, map { "$_ is missing" } grep { !defined $form{$_} } sort keys %known;
	return;
}

# All violations of a request, and its decoded body
sub check_request ($req, $route, $options)
{
	my @bad;
	my $json;

	push @bad, 'unknown route ' . $req->method . ' ' . $req->url->path
	  if $route->{name} =~ /unknown/;
	check_canaries($req, $options->{canaries}, \@bad);
	check_secrets($req, { next_page_token => 1 }, \@bad);
	check_parameters($req, $QUERY{ $route->{name} } // {}, {}, \@bad);
	check_headers($req, $route, \@bad);
	check_token_form($req, \@bad) if $route->{name} eq 'POST /oauth/token';
	push @bad, 'meeting id is not an integer'
	  if $route->{name} =~ m{/meetings/\{id\}$} && $route->{arg} !~ /^\d{1,19}$/;

	if ($route->{name} =~ m{^(?:POST|PATCH) /v2})
	{
		$json = eval { Mojo::JSON::decode_json($req->body) };
		if (ref $json ne 'HASH')
		{
			push @bad, 'body is not a JSON object';
			$json = {};
		}
		else
		{
			check_value('', { fields => \%MEETING }, $json, \@bad);
			check_times($route, $json, $options, \@bad);
			check_policy($route, $json, $options, \@bad);
		}
	}
	return (\@bad, $json);
}

1;
