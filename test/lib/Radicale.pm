# A real CalDAV server for the tests: Radicale of the distribution, with a
# folder of its own, and what a person does with a calendar program there.
package Radicale;

use strict;
use warnings;
use parent 'OwnProcess';
use Carp qw(croak);
use File::Temp ();
use IO::Socket::IP;
use Mojo::UserAgent;
use Mojo::Util qw(xml_escape);
use POSIX ();
use Time::HiRes qw(time usleep);

# True if it is installed here
sub is_here
{
	return grep { -x "$_/radicale" } split /:/, $ENV{PATH};
}

# A started server.  users => { name => password }, default alice's
sub start
{
	my ($class, %o) = @_;
	my $dir = File::Temp->newdir('radicale_' . 'X' x 8, TMPDIR => 1);
	my $self = bless {
		dir => $dir,
		owner => $$,
		users => $o{users} // { alice => 'pass word' },
		ua => Mojo::UserAgent->new(max_redirects => 0) }, $class;

	_write("$dir/users", map { "$_:$self->{users}{$_}\n" } sort keys %{ $self->{users} });
	$self->{port} = _free_port();
	$self->_spawn;
	return $self;
}

sub _write
{
	my ($file, @lines) = @_;

	open my $out, '>', $file or croak "$file: $!";
	print $out @lines;
	close $out or croak "$file: $!";
	return;
}

sub _free_port
{
	my $socket = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1, Proto => 'tcp')
	  or croak "no port: $!";
	return $socket->sockport;
}

sub _spawn
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $end = time + 30;

	_write("$dir/config", <<"END");
[server]
hosts = 127.0.0.1:$self->{port}
max_connections = 50
[auth]
type = htpasswd
htpasswd_filename = $dir/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = $dir/collections
[logging]
level = warning
END
	$self->{pid} = fork // croak "fork: $!";
	if ($self->{pid} == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$dir/log";
		open STDERR, '>>', "$dir/log";
		{ exec 'radicale', '--config', "$dir/config" }
		POSIX::_exit(1);
	}
	while (!IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $self->{port}))
	{
		croak 'radicale did not start: ' . $self->log
		  if time > $end || waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
		usleep 20_000;
	}
	return;
}

# Another start over the same calendars, at the same port
sub restart
{
	my ($self) = @_;

	$self->stop;
	return $self->_spawn;
}

sub log
{
	my ($self) = @_;

	open my $in, '<', "$self->{dir}/log" or return '';
	local $/;
	return scalar <$in>;
}

sub port { return $_[0]{port} }
sub folder { return "$_[0]{dir}/collections" }
sub url { my ($self, $path) = @_; return "http://127.0.0.1:$self->{port}" . ($path // '/') }

# One request as a user, by default the one whose path it is; options: user,
# headers, body
sub ask
{
	my ($self, $method, $path, %o) = @_;
	my ($owner) = grep { $path =~ m{^/\Q$_\E/} } keys %{ $self->{users} };
	my $user = $o{user} // $owner // (sort keys %{ $self->{users} })[0];
	my $url = Mojo::URL->new($self->url($path))->userinfo("$user:$self->{users}{$user}");

	return $self->{ua}->start($self->{ua}->build_tx($method => $url, $o{headers} // {}, $o{body} // ''))->result;
}

sub _done
{
	my ($self, $what, $result) = @_;

	croak "$what: " . $result->code . ' ' . $result->body if !$result->is_success;
	return $result;
}

# A calendar at "/user/name/"; its path
sub make_calendar
{
	my ($self, $name, %o) = @_;
	my $user = $o{user} // (sort keys %{ $self->{users} })[0];
	my $component = $o{component} // 'VEVENT';
	my $display = xml_escape($o{display} // $name);
	my $path = "/$user/$name/";

	$self->_done("MKCALENDAR $path", $self->ask(MKCALENDAR => $path, user => $user, body => <<"END"));
<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>$display</D:displayname>
<C:supported-calendar-component-set><C:comp name="$component"/></C:supported-calendar-component-set>
</D:prop></D:set></C:mkcalendar>
END
	return $path;
}

# What a person puts into, takes out of and sees in the calendar
sub put
{
	my ($self, $path, $ics) = @_;

	return $self->_done("PUT $path",
		$self->ask(PUT => $path, headers => { 'Content-Type' => 'text/calendar; charset=utf-8' }, body => $ics));
}

sub get
{
	my ($self, $path) = @_;
	my $result = $self->ask(GET => $path);

	return $result->is_success ? $result->body : undef;
}

sub delete
{
	my ($self, $path) = @_;

	return $self->_done("DELETE $path", $self->ask(DELETE => $path));
}

# Names of all that is in a calendar, sorted
sub names
{
	my ($self, $path) = @_;
	my @question = (PROPFIND => $path, headers => { Depth => 1 }, body => '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>');
	my $answer;

	# it stumbles over what is removed while it lists
	for (1 .. 10)
	{
		$answer = $self->ask(@question);
		last if $answer->code != 500;
	}
	$self->_done("PROPFIND $path", $answer);

	return sort grep { length } map { m{^\Q$path\E([^/]+)$} ? $1 : '' } map { $_->text } $answer->dom->find('href')->each;
}

# An event as people have them.  start, end in UTC as in iCalendar; more =>
# further lines
sub event
{
	my ($self, $uid, $start, $end, %o) = @_;
	my $times = $o{times} // "DTSTART:$start\r\nDTEND:$end";
	my $more = join '', map { "$_\r\n" } @{ $o{more} // [] };
	my $summary = $o{summary} // 'Dentist';

	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:$uid\r\n"
	  . "DTSTAMP:20260101T000000Z\r\n$times\r\nSUMMARY:$summary\r\n${more}END:VEVENT\r\nEND:VCALENDAR\r\n";
}

1;
