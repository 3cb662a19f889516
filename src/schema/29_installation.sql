/*
 * What tells this installation from others, in the UIDs of its events. A
 * restore brings the row of its origin beside the new one: the oldest counts,
 * and is the only one that is dumped. Visits with an id up to plain_until
 * were known to calendars before there was such a row.
 */
CREATE TABLE telehealth_private.installation (
	tag text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
	created_at timestamptz NOT NULL DEFAULT now(),
	plain_until bigint,
	CONSTRAINT installation_pkey PRIMARY KEY (tag),
	CONSTRAINT installation_tag_check CHECK (tag ~ '^[0-9a-f]{32}$')
);

INSERT INTO telehealth_private.installation DEFAULT VALUES;
