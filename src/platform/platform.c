/*
 * platform.c
 *	  The table of adapters, and the names of operations and verdicts.
 */
#include "postgres.h"

#include "platform/platform.h"

/* One line per vendor; th_platform_names() follows this order. */
static const ThPlatform *const adapters[] = {
	&th_platform_zoom,
	&th_platform_mock_table,
};

static const char *const op_names[] = {
	[TH_OP_TOKEN] = "token",   [TH_OP_CREATE] = "create", [TH_OP_READ] = "read",
	[TH_OP_UPDATE] = "update", [TH_OP_DELETE] = "delete", [TH_OP_FIND] = "find",
	[TH_OP_HOST] = "host",     [TH_OP_PAST] = "look",
};

static const char *const verdict_names[] = {
	[TH_VERDICT_OK] = "ok",
	[TH_VERDICT_GONE] = "gone",
	[TH_VERDICT_TOKEN_EXPIRED] = "token_expired",
	[TH_VERDICT_SCOPE_MISSING] = "scope_missing",
	[TH_VERDICT_CREDENTIALS] = "credentials",
	[TH_VERDICT_NO_HOST] = "no_host",
	[TH_VERDICT_RATE_LIMITED] = "rate_limited",
	[TH_VERDICT_QUOTA] = "quota",
	[TH_VERDICT_RETRY] = "retry",
	[TH_VERDICT_UNKNOWN] = "unknown",
	[TH_VERDICT_PERMANENT] = "permanent",
};

StaticAssertDecl(lengthof(op_names) == TH_OP_COUNT,
				 "every operation needs a name");
StaticAssertDecl(lengthof(verdict_names) == TH_VERDICT_PERMANENT + 1,
				 "every verdict needs a name");

const ThPlatform *
th_platform_find(const char *name)
{
	for (size_t i = 0; i < lengthof(adapters); i++)
	{
		if (strcmp(adapters[i]->name, name) == 0)
			return adapters[i];
	}
	return NULL;
}

const ThPlatform *
th_platform_mock(void)
{
	return &th_platform_mock_table;
}

/* Filled on first use; room for a dozen names. */
const char *
th_platform_names(void)
{
	static char names[128];

	if (names[0] == '\0')
	{
		for (size_t i = 0; i < lengthof(adapters); i++)
		{
			if (i > 0)
				strlcat(names, ", ", sizeof(names));
			strlcat(names, adapters[i]->name, sizeof(names));
		}
	}
	return names;
}

const char *
th_op_name(ThPlatformOp op)
{
	return op_names[op];
}

const char *
th_verdict_name(ThVerdict verdict)
{
	return verdict_names[verdict];
}
