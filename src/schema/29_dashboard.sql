/* Who else than programs of the server's own machine may see the gateway's page. */
CREATE TABLE telehealth_private.dashboard_token (
	is_only boolean NOT NULL DEFAULT true,
	token_hash bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by name NOT NULL,
	CONSTRAINT dashboard_token_pkey PRIMARY KEY (is_only),
	CONSTRAINT dashboard_token_is_only_check CHECK (is_only),
	CONSTRAINT dashboard_token_token_hash_check CHECK (length(token_hash) = 32)
);
