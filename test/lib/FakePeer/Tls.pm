# A certificate authority for one test run, and a server certificate of the
# wanted kind: good, expired, wronghost, selfsigned.
package FakePeer::Tls;

use Mojo::Base -strict, -signatures;
use IO::Socket::SSL::Utils;

sub create ($class, $kind, $dir)
{
	my $day = 86400;
	my $now = time;
	my ($ca, $ca_key) = CERT_create(
		CA => 1,
		key => KEY_create_ec(),
		subject => { commonName => 'telehealth test authority' },
		not_before => $now - 30 * $day,
		not_after => $now + 30 * $day);
	my $names =
	  $kind eq 'wronghost'
	  ? [ [ DNS => 'wrong.example' ] ]
	  : [ [ IP => '127.0.0.1' ], [ DNS => 'localhost' ] ];
	my ($cert, $key) = CERT_create(
		key => KEY_create_ec(),
		subject => { commonName => $names->[-1][1] },
		subjectAltNames => $names,
		purpose => 'server',
		not_before => $now - 20 * $day,
		not_after => $kind eq 'expired' ? $now - $day : $now + 20 * $day,
		$kind eq 'selfsigned' ? () : (issuer => [ $ca, $ca_key ]));
	my %file = (ca => "$dir/ca.pem", cert => "$dir/cert.pem", key => "$dir/key.pem");

	PEM_cert2file($ca, $file{ca});
	PEM_cert2file($cert, $file{cert});
	PEM_key2file($key, $file{key});
	chmod 0644, $file{ca}, $file{cert};
	chmod 0600, $file{key};
	return \%file;
}

1;
