/* ---- grants that a user gives in a browser ---- */

COMMENT ON COLUMN telehealth.account.is_user_level IS 'The grant of one user, see authorize_platform(): every meeting is that user''s.';

COMMENT ON TABLE telehealth_private.oauth_client IS 'The application''s registrations at vendors whose users grant access in a browser, made by register_oauth_client().';
COMMENT ON COLUMN telehealth_private.oauth_client.clinic_id IS '0: of every clinic without its own.';
COMMENT ON COLUMN telehealth_private.oauth_client.id IS 'Number of the client, unique with clinic_id.';
COMMENT ON COLUMN telehealth_private.oauth_client.kind IS 'zoom, google or outlook.';
COMMENT ON COLUMN telehealth_private.oauth_client.settings IS 'As given to register_oauth_client().';
COMMENT ON COLUMN telehealth_private.oauth_client.registered_at IS 'A new value means new credentials; browsers on their way are turned back.';

COMMENT ON TABLE telehealth_private.oauth_client_secret IS 'Credentials of those clients, sealed.';
COMMENT ON COLUMN telehealth_private.oauth_client_secret.clinic_id IS 'Of the client.';
COMMENT ON COLUMN telehealth_private.oauth_client_secret.oauth_client_id IS 'The client.';
COMMENT ON COLUMN telehealth_private.oauth_client_secret.name IS 'client_id, client_secret and so on.';
COMMENT ON COLUMN telehealth_private.oauth_client_secret.envelope IS 'AES-256-GCM envelope.';

COMMENT ON TABLE telehealth_private.oauth_state IS 'Browsers on their way to a vendor and back. Never dumped.';
COMMENT ON COLUMN telehealth_private.oauth_state.clinic_id IS 'Whose account or connection it will be.';
COMMENT ON COLUMN telehealth_private.oauth_state.id IS 'Number of the state, unique with clinic_id.';
COMMENT ON COLUMN telehealth_private.oauth_state.state_hash IS 'SHA-256 of what the browser brings back.';
COMMENT ON COLUMN telehealth_private.oauth_state.kind IS 'The vendor.';
COMMENT ON COLUMN telehealth_private.oauth_state.purpose IS 'platform or calendar.';
COMMENT ON COLUMN telehealth_private.oauth_state.subject_id IS 'The calendar connection, if it is for one.';
COMMENT ON COLUMN telehealth_private.oauth_state.client_clinic_id IS 'Of the client.';
COMMENT ON COLUMN telehealth_private.oauth_state.client_id IS 'The client.';
COMMENT ON COLUMN telehealth_private.oauth_state.client_registered_at IS 'registered_at of the client when the browser left.';
COMMENT ON COLUMN telehealth_private.oauth_state.redirect_uri IS 'Where the vendor sends the browser.';
COMMENT ON COLUMN telehealth_private.oauth_state.verifier IS 'PKCE verifier, sealed; null once it is used.';
COMMENT ON COLUMN telehealth_private.oauth_state.created_by IS 'Who began it.';
COMMENT ON COLUMN telehealth_private.oauth_state.created_at IS 'When the browser left.';
COMMENT ON COLUMN telehealth_private.oauth_state.expires_at IS 'Until when it may come back.';
COMMENT ON COLUMN telehealth_private.oauth_state.used_at IS 'When it came back; it may not again.';

COMMENT ON TABLE telehealth_private.builtin_oauth IS 'Addresses and scopes of vendors as shipped; settings of a client override them.';
COMMENT ON COLUMN telehealth_private.builtin_oauth.kind IS 'The vendor.';
COMMENT ON COLUMN telehealth_private.builtin_oauth.auth_url IS 'Where browsers are sent; {tenant} stands for the client''s tenant.';
COMMENT ON COLUMN telehealth_private.builtin_oauth.token_url IS 'Where codes and refresh tokens are exchanged.';
COMMENT ON COLUMN telehealth_private.builtin_oauth.scopes IS 'What is asked for; null where the vendor keeps it with the app.';
COMMENT ON COLUMN telehealth_private.builtin_oauth.parameters IS 'Further parameters of auth_url.';
COMMENT ON COLUMN telehealth_private.builtin_oauth.callback IS 'Path under telehealth.public_url to which browsers return.';

COMMENT ON TABLE telehealth_private.push_channel IS 'Who may deliver webhooks that name no account, and the secret that proves it.';
COMMENT ON COLUMN telehealth_private.push_channel.clinic_id IS 'Whose events they are.';
COMMENT ON COLUMN telehealth_private.push_channel.id IS 'Number of the channel, unique with clinic_id.';
COMMENT ON COLUMN telehealth_private.push_channel.source IS 'As in receive_webhook().';
COMMENT ON COLUMN telehealth_private.push_channel.channel_id IS 'Google''s channel, Graph''s subscription, Twilio''s account, the name of a provider schedule''s sender.';
COMMENT ON COLUMN telehealth_private.push_channel.envelope IS 'The secret, sealed.';
COMMENT ON COLUMN telehealth_private.push_channel.created_at IS 'When it was made.';
COMMENT ON COLUMN telehealth_private.push_channel.expires_at IS 'Until when it is good; null: for ever.';

COMMENT ON SEQUENCE telehealth_private.oauth_client_id_seq IS 'Numbers of telehealth_private.oauth_client.';
COMMENT ON SEQUENCE telehealth_private.oauth_state_id_seq IS 'Numbers of telehealth_private.oauth_state.';
COMMENT ON SEQUENCE telehealth_private.push_channel_id_seq IS 'Numbers of telehealth_private.push_channel.';
COMMENT ON INDEX telehealth_private.oauth_state_state_hash_idx IS 'What a browser brings back.';
COMMENT ON INDEX telehealth_private.push_channel_source_idx IS 'Channels by what a delivery names.';
COMMENT ON POLICY oauth_client_policy ON telehealth_private.oauth_client IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY oauth_client_secret_policy ON telehealth_private.oauth_client_secret IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY oauth_state_policy ON telehealth_private.oauth_state IS 'Rows of clinics that the user has a grant for.';
COMMENT ON POLICY push_channel_policy ON telehealth_private.push_channel IS 'Rows of clinics that the user has a grant for.';

COMMENT ON FUNCTION telehealth.register_oauth_client(text, jsonb, jsonb, bigint) IS 'Stores the application''s client_id and client_secret at zoom, google or outlook (there also tenant), sealed, and returns the number of the client. A value may be file:/path or env:NAME, read on the server. Registering again replaces; of accounts authorized by the same client_id the secret is replaced too. Settings: auth_url, token_url, api_url, revoke_url, redirect_uri, scopes, timeout_ms. Errors: 22023, 42501. For admins.';
COMMENT ON FUNCTION telehealth.connect_schedule(jsonb, bigint) IS 'Lets the sender of provider schedules deliver: sender is what it says in X-Schedule-Sender, secret what it signs with, sealed here. Each may be file:/path or env:NAME, read on the server. Returns the number of the channel; connecting again replaces the secret. Errors: 22023, 42501. For admins.';
COMMENT ON FUNCTION telehealth.disconnect_schedule(text, bigint) IS 'Forgets the secret of a sender of provider schedules, whose deliveries are refused from then on; false if there was none. Errors: 22023, 42501. For admins.';
COMMENT ON FUNCTION telehealth.authorize_platform(text, bigint) IS 'The address to which an administrator''s browser is sent to grant access to a video platform; good once and for ten minutes, and after commit. The browser comes back to the gateway, or the application calls complete_oauth(). Errors: 55000 without a registered client or public_url, TH003 while outward work is held, 42501. For admins.';
COMMENT ON FUNCTION telehealth.complete_oauth(text, text) IS 'Exchanges the code that a browser brought back, through the dispatcher, and returns the number of the account that is connected now. Errors: P0002 for a state that is not known here, 55000 for one that was used, has expired or whose client changed, TH002 with the vendor''s words, 08006 if the answer was lost, TH003 while outward work is held.';
COMMENT ON FUNCTION telehealth_private.put_push_channel(bigint, text, text, text, timestamptz) IS 'Makes or replaces who may deliver webhooks of a source, and returns the number of the channel.';

COMMENT ON FUNCTION telehealth.twilio_webhook(bytea) IS 'receive_webhook() for Twilio as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.twilio_webhook(text) IS 'receive_webhook() for Twilio as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.twilio_webhook(json) IS 'receive_webhook() for Twilio as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.google_calendar_webhook(bytea) IS 'receive_webhook() for Google Calendar as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.google_calendar_webhook(text) IS 'receive_webhook() for Google Calendar as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.google_calendar_webhook(json) IS 'receive_webhook() for Google Calendar as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.graph_webhook(bytea) IS 'receive_webhook() for Microsoft Graph as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.graph_webhook(text) IS 'receive_webhook() for Microsoft Graph as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.graph_webhook(json) IS 'receive_webhook() for Microsoft Graph as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.provider_schedule_webhook(bytea) IS 'receive_webhook() for provider schedules as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.provider_schedule_webhook(text) IS 'receive_webhook() for provider schedules as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
COMMENT ON FUNCTION telehealth.provider_schedule_webhook(json) IS 'receive_webhook() for provider schedules as PostgREST calls it, see zoom_webhook(). For apps and the kind webhook.';
