/* ---- feeds ---- */

CREATE FUNCTION telehealth.create_feed(
	provider_id bigint,
	name text,
	include_patient_names boolean DEFAULT false,
	include_meeting_links boolean DEFAULT true,
	sync_range_days integer DEFAULT 90,
	kind text DEFAULT 'owner',
	OUT feed_id bigint,
	OUT token text,
	OUT feed_url text,
	OUT webcal_url text
) RETURNS record
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'th_sql_create_feed';

CREATE FUNCTION telehealth.rotate_feed(
	feed_id bigint,
	OUT token text,
	OUT feed_url text,
	OUT webcal_url text
) RETURNS record
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_rotate_feed';

CREATE FUNCTION telehealth.revoke_feed(feed_id bigint) RETURNS void
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_revoke_feed';

/* Depends on the clock and is counted, hence not STABLE; it writes nothing. */
CREATE FUNCTION telehealth.feed_ics(token text) RETURNS text
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'th_sql_feed_ics';

CREATE FUNCTION telehealth.feed_qr(url text) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'th_sql_feed_qr';
