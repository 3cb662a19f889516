# A clinic's fallback platforms: where new meetings go while its own platform
# cannot make any, and what stays where it is.
use TelehealthTest;

my $fake = FakeZoom->start(
	options => { host_daily => 100_000, rate => { LIGHT => 1000, MEDIUM => 1000 } });
my $t = TelehealthTest->node('fallback');
$t->create_extension;
$t->widen_limits;
$t->add_hosts;
my $account = $t->connect_zoom($fake);
my @scopes = @{ $fake->control(GET => 'options')->{scopes} };
my @without = grep { !/^meeting:write/ } @scopes;

# Creates that were asked for at a host; others may wait for Zoom and ask now and then
sub creates { my ($n) = @_; return scalar $fake->requests(method => 'POST', path_regex => "/host$n(%40|\@).*/meetings\$") }

# The app loses its permission to create, or has it again; its tokens show it
sub may_create
{
	my ($may) = @_;
	$fake->options(scopes => $may ? \@scopes : \@without);
	$fake->revoke_tokens;
	return;
}

sub platform_of { my ($id) = @_; return $t->await($id)->{platform} }
sub account { return $t->row("SELECT * FROM telehealth.account WHERE id = $account") }

# ---- no fallback: it waits, and says for what

my $before = $t->insert_visit(starts_at => \"now() + interval '5 hours'", provider_id => 1);
is(platform_of($before), 'zoom', 'a visit is at the clinic\'s platform');
may_create(0);
my $waits = $t->insert_visit(starts_at => \"now() + interval '5 hours'", provider_id => 2);
ok($t->poll("SELECT reason FROM telehealth.not_ready WHERE appointment_id = $waits", 'scope_missing'),
	'Z15: without a fallback it waits for the scope');
my $scope = $t->sql("SELECT missing_scope FROM telehealth.platform_status WHERE account_id = $account");
like($scope, qr/^meeting:write:meeting\b/, 'Z15: platform_status names it');
like($t->sql(q{SELECT hint FROM telehealth.not_ready}), qr/platform_status/, 'Z15: not_ready points there');
my $health = $t->row(q{SELECT status, detail FROM telehealth.health WHERE check_name = 'accounts'});
is($health->{status}, 'error', 'Z15: health is red');
like($health->{detail}, qr/missing scope \Q$scope\E/, 'Z15: and names it');

# ---- with one: what waits goes there, and what comes

$t->sql(q{INSERT INTO telehealth.clinic (id, fallback_platforms) VALUES (1, '{twilio,mock}')});
$t->sql("SELECT telehealth.retry_job('meeting', $waits)");
is(platform_of($waits), 'mock', '4711: what waits goes to the first fallback there is an adapter for');
my $next = $t->insert_visit(provider_id => 3);
is(platform_of($next), 'mock', '4711: a new visit goes there');
is(creates(3), 0, '4711: without asking Zoom in vain');
my $story = $t->sql("SELECT string_agg(concat_ws(': ', what, result), E'\n') FROM telehealth.explain_appointment($next)");
like($story, qr/^take a fallback platform instead of zoom: it cannot be used \(missing scope \Q$scope\E\), mock can$/m, '4711: the story tells why')
  or diag $story;
like($story, qr/^create meeting at mock: done/m, '4711: and where it is');
is($t->sql('SELECT count(*) FROM telehealth.not_ready'), 0, '4711: nothing waits');
is($t->sql(q{SELECT status FROM telehealth.health WHERE check_name = 'accounts'}), 'error', '4711: health is as red as before');

# who names a platform gets it, or waits
my $named = $t->insert_visit(provider_id => 4, platform => 'zoom');
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $named", 'scope_missing'),
	'a visit that names its platform waits for it');
# and a clinic without fallbacks
my $other = $t->insert_visit({ clinic => 2 }, provider_id => 1);
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $other", 'scope_missing'),
	'so does one of a clinic without fallbacks');

# ---- meetings that are there stay: they can be changed, only not made

$t->sql("UPDATE telehealth.appointment SET duration = 45 WHERE id IN ($before, $next)");
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id IN ($before, $next)", 0), 'both are changed');
is($t->session($before)->{platform}, 'zoom', 'a meeting stays at Zoom');
is($t->session($before)->{duration}, 45, 'and follows');
is($t->session($next)->{platform}, 'mock', 'one at the fallback stays there');
ok(account()->{is_refused}, 'a change that works does not end the trouble of creating');

# ---- after a while Zoom is asked again

$t->sql("UPDATE telehealth.account SET last_error_at = now() - interval '6 minutes'");
my $asks = $t->insert_visit(provider_id => 5);
is(platform_of($asks), 'mock', 'refused again, it goes to the fallback again');
is(creates(5), 1, 'after one request');
ok($t->sql("SELECT last_error_at > now() - interval '1 minute' FROM telehealth.account") eq 't', 'and not again for a while');
is(join(' ', $fake->duplicates), '', 'nothing is there twice');

may_create(1);
$t->sql("UPDATE telehealth.account SET last_error_at = now() - interval '6 minutes'");
my $again = $t->insert_visit(provider_id => 6);
is(platform_of($again), 'zoom', 'permitted again, it is used again');
ok($t->poll('SELECT status, is_refused, missing_scope FROM telehealth.account', 'connected|f|'), 'and nothing is held against it');
$t->sql("SELECT telehealth.retry_job('meeting', $named)");
$t->sql("SELECT telehealth.retry_job('meeting', $other)", clinic => 2);
is(platform_of($named), 'zoom', 'what waited for it goes on');
$t->await($other, clinic => 2);
is($t->session($next)->{platform}, 'mock', 'what went elsewhere stays there');

# ---- a permission that is not for creating is no reason

$fake->options(scopes => [ grep { !/^meeting:(update|write:admin)/ } @scopes ]);
$t->connect_zoom($fake);
$t->sql("UPDATE telehealth.appointment SET duration = 50 WHERE id = $before");
ok($t->poll('SELECT status FROM telehealth.account', 'error'), 'changing is refused');
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $before", 0), 'so the meeting is made anew');
is($t->session($before)->{platform}, 'zoom', 'at Zoom');
$fake->options(scopes => \@scopes);

# ---- credentials that are refused; busy or down is no reason

$t->connect_zoom($fake);
$fake->add_faults({ match => { method => 'POST', path_regex => '/meetings$', times => 2 }, fault => { kind => 'status', code => 500 } });
my $busy = $t->insert_visit(provider_id => 7);
is(platform_of($busy), 'zoom', 'a platform in trouble is waited for');
$t->connect_zoom($fake, client_secret => 'wrong');
my $refused = $t->insert_visit(provider_id => 8);
is(platform_of($refused), 'mock', 'refused credentials are a reason');
like($t->sql("SELECT result FROM telehealth.explain_appointment($refused) WHERE what ~ 'fallback'"),
	qr/^it cannot be used \(.*client_secret.*\), mock can$/, 'which the story tells');

# ---- the key is missing

$t->connect_zoom($fake);
my $key = $t->data_dir . '/telehealth.key';
rename $key, "$key.away" or die "$key: $!";
$t->restart_dispatcher;
my $keyless = $t->insert_visit(provider_id => 12);
is(platform_of($keyless), 'mock', 'S3: a key that is missing is a reason');
is(account()->{status}, 'key_missing', 'S3: platform_status says so');
rename "$key.away", $key or die "$key: $!";
$t->restart_dispatcher;
$t->sql("UPDATE telehealth.account SET last_error_at = now() - interval '6 minutes'");
is(platform_of($t->insert_visit(provider_id => 13)), 'zoom', 'S3: back, it is used again');
ok($t->poll('SELECT status FROM telehealth.account', 'connected'), 'S3: and platform_status says that');

# ---- no account

$t->connect_zoom($fake);
my $at_zoom = $t->insert_visit(provider_id => 9);
is(platform_of($at_zoom), 'zoom', 'connected, it is used');
$t->sql("SELECT telehealth.pause_outbound('a test')");
my $late = $t->insert_visit(provider_id => 10);
$t->sql("SELECT telehealth.disconnect_platform($account)");
$t->sql('SELECT telehealth.resume_outbound()');
is(platform_of($late), 'mock', 'disconnected, it is not');
$t->sql("UPDATE telehealth.appointment SET duration = 20 WHERE id = $at_zoom");
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $at_zoom", 'no_account'), 'a meeting there waits for its account');
is($t->session($at_zoom)->{platform}, 'zoom', 'and stays');

# ---- nothing can be used: the reason is the first platform's that could be

$t->sql(q{UPDATE telehealth.clinic SET platform = 'google_meet', fallback_platforms = '{zoom,twilio}'});
my $stuck = $t->insert_visit(provider_id => 11);
ok($t->poll("SELECT waiting_for FROM telehealth.job_status WHERE subject_id = $stuck", 'no_account'), 'nothing can be used: it waits');
$t->connect_zoom($fake);
is(platform_of($stuck), 'zoom', 'and goes on when an account is there');

# ---- an answer that was lost, then the account: one meeting in the end

$t->sql(q{UPDATE telehealth.clinic SET platform = NULL, fallback_platforms = '{mock}'});
ok($t->drained, 'all is done');
$fake->add_faults({ match => { method => 'POST', path_regex => '/meetings$', times => 1 }, fault => { kind => 'cut_after' } },
	{ match => { method => 'GET', path_regex => '/users/.*/meetings$' }, fault => { kind => 'status', code => 500 } });
my $lost = $t->insert_visit(provider_id => 14);
ok($t->poll("SELECT failures > 0 FROM telehealth.job_status WHERE subject_id = $lost"), 'an answer is lost');
is(scalar($fake->live_meetings(14)), 1, 'a meeting was made');
$t->connect_zoom($fake, client_secret => 'wrong');
is(platform_of($lost), 'mock', 'the account goes: the visit has its meeting elsewhere');
$fake->faults;
$t->connect_zoom($fake);
ok($t->poll("SELECT count(*) FROM telehealth_private.job WHERE subject_id = $lost", 0), 'with the account back');
is(scalar($fake->live_meetings(14)), 0, 'Z1: the lost one is removed');
is($t->session($lost)->{platform}, 'mock', 'Z1: and the link stays');

finish;
