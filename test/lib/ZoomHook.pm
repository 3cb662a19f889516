# Webhooks as Zoom sends them: bodies, signatures made without telehealth, and
# a table to deliver many at once.
package ZoomHook;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Exporter qw(import);
use Mojo::JSON qw(encode_json);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(hook_sign hook_headers hook_event hook_samples hook_prepare hook_deliver hook_status);

# The signature of bytes at a time (text), by the secret
sub hook_sign
{
	my ($secret, $stamp, $body) = @_;

	return 'v0=' . hmac_sha256_hex("v0:$stamp:$body", $secret);
}

# Headers of a delivery; age => seconds, stamp => text
sub hook_headers
{
	my ($secret, $body, %o) = @_;
	my $stamp = $o{stamp} // int(time - ($o{age} // 0));

	return { 'x-zm-request-timestamp' => "$stamp", 'x-zm-signature' => hook_sign($secret, $stamp, $body) };
}

# A body; options: account, meeting, uuid, at (ms), person => {...}, object => {...}, more => {...} at the top
sub hook_event
{
	my ($name, %o) = @_;
	my $meeting = $o{meeting} // '1234567890';

	return encode_json({
		event => $name,
		event_ts => $o{at} // int(time * 1000),
		payload => {
			account_id => $o{account} // 'acct-1',
			object => {
				id => $meeting,
				uuid => $o{uuid} // "u$meeting==",
				host_id => 'host-1',
				topic => 'Telehealth visit',
				type => 2,
				start_time => '2026-01-05T10:00:00Z',
				timezone => 'America/New_York',
				duration => 30,
				($o{person} ? (participant => $o{person}) : ()),
				%{ $o{object} // {} } } },
		%{ $o{more} // {} } });
}

# One of every kind there is: { name => body }
sub hook_samples
{
	my (%o) = @_;
	my %person = (user_id => '167', user_name => 'Jo Sample', id => 'p-1', participant_uuid => 'pu-1', participant_user_id => 'p-1', email => 'jo@mail.example',
		registrant_id => 'r-1', customer_key => 'party-7', phone_number => '15550100');
	my %file = (id => 'file-1', meeting_id => 'u1==', recording_start => '2026-01-05T10:00:00Z', recording_end => '2026-01-05T10:30:00Z', recording_type => 'audio_only',
		file_type => 'M4A', file_size => 246560, file_extension => 'M4A', play_url => 'https://zoom.example/play/1', download_url => 'https://zoom.example/download/1', status => 'completed');
	my %of = (
		(map { ("meeting.$_" => {}) } qw(started ai_companion_started updated alert summary_completed)),
		'meeting.ended' => { object => { end_time => '2026-01-05T10:31:00Z' } },
		(map { ("meeting.$_" => { object => { operation => 'single' }, more => {} }) } qw(created deleted permanently_deleted recovered)),
		(map { ("meeting.participant_$_" => { person => { %person, date_time => '2026-01-05T10:00:05Z' } }) } qw(joined_waiting_room admitted put_in_waiting_room
			left_waiting_room waiting bind feedback joined_breakout_room)),
		'meeting.participant_joined' => { person => { %person, join_time => '2026-01-05T10:00:06Z' } },
		'meeting.participant_left' => { person => { %person, leave_time => '2026-01-05T10:30:00Z', leave_reason => 'Jo left.<br>Reason: left' } },
		'meeting.participant_role_changed' => { person => { %person, date_time => '2026-01-05T10:00:07Z', old_role => 'attendee', new_role => 'host' } },
		(map { ("meeting.participant_jbh_$_" => { person => { id => 'p-1', user_name => 'Jo Sample', customer_key => 'party-7' } }) } qw(waiting joined waiting_left)),
		(map { ("meeting.registration_$_" => { object => { registrant => { id => 'r-1', email => 'jo@mail.example', first_name => 'Jo' } } }) } qw(created approved cancelled denied)),
		'meeting.device_tested' => { object => { test_result => { user_id => '167', user_name => 'Jo Sample', camera_status => 0, microphone_status => 1 } } },
		'meeting.interpreter_requested' => { object => { interpreter_requested => Mojo::JSON::true } },
		(map { ("recording.$_" => { object => { recording_file => { recording_start => '2026-01-05T10:00:00Z', recording_end => undef } } }) } qw(started stopped paused resumed)),
		(map { ("recording.$_" => { object => { password => 'pass-canary', recording_play_passcode => 'play-canary', recording_files => [ \%file, { %file, id => 'file-2', file_type => 'MP4' } ] },
			more => { download_token => 'token-canary' } }) } qw(completed transcript_completed trashed deleted recovered renamed)),
		'clinical_notes.note_created' => { object => { meeting_id => 'u1==', meeting_number => '1234567890', note_id => 'n-1', note_title => 'Jo, F, 25' } });
	my %bodies = map { $_ => hook_event($_, %{ $of{$_} }, %o) } keys %of;

	$bodies{"user.$_"} = encode_json({ event => "user.$_", event_ts => int(time * 1000), payload => { account_id => $o{account} // 'acct-1', object => { id => 'u-1', email => 'doc@clinic.example' } } })
	  for qw(updated deactivated deleted);
	$bodies{app_deauthorized} = encode_json({ event => 'app_deauthorized', payload => { account_id => $o{account} // 'acct-1', user_id => 'u-1', client_id => 'client-1',
		deauthorization_time => '2026-01-05T10:00:00.632Z' } });
	return \%bodies;
}

# Where many deliveries are put, and a function that makes them one by one:
# the status of each, or the SQLSTATE of what was raised
sub hook_prepare
{
	my ($t) = @_;

	$t->sql(q{
		CREATE SCHEMA hook;
		CREATE TABLE hook.delivery (n int, headers jsonb, body bytea, answer text);
		CREATE FUNCTION hook.deliver() RETURNS void LANGUAGE plpgsql AS $$
		DECLARE
			d record;
			v_answer text;
		BEGIN
			FOR d IN SELECT * FROM hook.delivery WHERE answer IS NULL ORDER BY n LOOP
				BEGIN
					SELECT r.status INTO STRICT v_answer FROM telehealth.receive_webhook('zoom', d.headers, d.body) AS r;
				EXCEPTION WHEN OTHERS THEN
					v_answer := SQLSTATE;
				END;
				UPDATE hook.delivery SET answer = v_answer WHERE n = d.n;
			END LOOP;
		END $$});
	return;
}

# Delivers [headers, bytes]..., each in a transaction of its own if asked;
# the answers in their order
sub hook_deliver
{
	my ($t, @deliveries) = @_;
	my $file = $t->basedir . '/deliveries.sql';
	my $n = 0;

	open my $h, '>', $file or die;
	print $h "TRUNCATE hook.delivery;\nCOPY hook.delivery (n, headers, body) FROM stdin;\n";
	for my $d (@deliveries)
	{
		my $headers = encode_json($d->[0]) =~ s/\\/\\\\/gr;

		print $h join("\t", $n++, $headers, '\\\\x' . unpack('H*', $d->[1])), "\n";
	}
	print $h "\\.\nANALYZE hook.delivery;\nSELECT hook.deliver();\n";
	close $h;
	my ($rc, $out, $err) = $t->psql($t->db, "\\i $file", on_error_stop => 1);
	die $err if $rc != 0;
	return split /\n/, $t->sql('SELECT answer FROM hook.delivery ORDER BY n');
}

# The status of one genuine delivery
sub hook_status
{
	my ($t, $secret, $body, %o) = @_;

	return (hook_deliver($t, [ hook_headers($secret, $body, %o), $body ]))[0];
}

1;
