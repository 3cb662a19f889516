# Answers, and words nobody can guess.
package FakePeer::Answer;

use Mojo::Base -strict, -signatures;
use Exporter 'import';
use Mojo::JSON qw(encode_json);
use Mojo::Util qw(b64_encode);

our @EXPORT_OK = qw(answer random_text random_word);

# A hash of status, headers and body; nothing in it says how it is delivered
sub answer ($status, $json = undef, %headers)
{
	return {
		status => $status,
		headers => {
			defined $json ? ('Content-Type' => 'application/json;charset=UTF-8') : (),
			%headers
		},
		body => defined $json ? encode_json($json) : '',
		json => $json
	};
}

# Base64 of so many bytes
sub random_text ($bytes)
{
	state $fh = do
	{
		open(my $new, '<:raw', '/dev/urandom') or die "urandom: $!\n";
		$new;
	};
	my $raw;

	read $fh, $raw, $bytes;
	return b64_encode($raw, '');
}

# The same with letters and digits only
sub random_word ($bytes)
{
	return random_text($bytes) =~ tr{+/=}{AB}dr;
}

1;
