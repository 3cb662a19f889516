/*
 * calendar.c
 *	  The table of adapters, and the names of operations and verdicts.
 */
#include "postgres.h"

#include "calendar/calendar.h"

/* One line per vendor. */
static const ThCalendar *const adapters[] = {
	&th_calendar_caldav,
	&th_calendar_google,
	&th_calendar_outlook,
};

static const char *const op_names[] = {
	[TH_CALENDAR_CREATE] = "create",     [TH_CALENDAR_READ] = "read",
	[TH_CALENDAR_UPDATE] = "update",     [TH_CALENDAR_DELETE] = "delete",
	[TH_CALENDAR_FIND] = "find",         [TH_CALENDAR_LIST] = "list",
	[TH_CALENDAR_DISCOVER] = "discover", [TH_CALENDAR_WATCH] = "watch",
	[TH_CALENDAR_RENEW] = "renew",       [TH_CALENDAR_STOP] = "stop",
	[TH_CALENDAR_REVOKE] = "revoke",
};

static const char *const verdict_names[] = {
	[TH_CALENDAR_OK] = "ok",
	[TH_CALENDAR_GONE] = "gone",
	[TH_CALENDAR_EXISTS] = "exists",
	[TH_CALENDAR_CHANGED] = "changed",
	[TH_CALENDAR_RESET] = "reset",
	[TH_CALENDAR_TOKEN_EXPIRED] = "token_expired",
	[TH_CALENDAR_SCOPE_MISSING] = "scope_missing",
	[TH_CALENDAR_CREDENTIALS] = "credentials",
	[TH_CALENDAR_RATE_LIMITED] = "rate_limited",
	[TH_CALENDAR_RETRY] = "retry",
	[TH_CALENDAR_UNKNOWN] = "unknown",
	[TH_CALENDAR_PERMANENT] = "permanent",
};

StaticAssertDecl(lengthof(op_names) == TH_CALENDAR_OP_COUNT,
				 "every operation needs a name");
StaticAssertDecl(lengthof(verdict_names) == TH_CALENDAR_PERMANENT + 1,
				 "every verdict needs a name");

const ThCalendar *
th_calendar_at(int i)
{
	return i >= 0 && i < (int) lengthof(adapters) ? adapters[i] : NULL;
}

const ThCalendar *
th_calendar_find(const char *kind)
{
	for (size_t i = 0; i < lengthof(adapters); i++)
	{
		if (strcmp(adapters[i]->kind, kind) == 0)
			return adapters[i];
	}
	return NULL;
}

const char *
th_calendar_op_name(ThCalendarOp op)
{
	return op_names[op];
}

const char *
th_calendar_verdict_name(ThCalendarVerdict verdict)
{
	return verdict_names[verdict];
}
