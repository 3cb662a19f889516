/*
 * busy.c
 *	  Which events of a calendar take its owner's time.
 */
#include "postgres.h"

#include "calendar/busy.h"

/* By how it is shown, and by what the owner has answered: the lesser counts. */
static const ThBusy by_show[] = {
	[TH_SHOW_BUSY] = TH_BUSY_YES,
	[TH_SHOW_FREE] = TH_BUSY_NOT,
	[TH_SHOW_TENTATIVE] = TH_BUSY_TENTATIVE,
	[TH_SHOW_AWAY] = TH_BUSY_YES,
	[TH_SHOW_ELSEWHERE] = TH_BUSY_NOT,
};

static const ThBusy by_reply[] = {
	[TH_REPLY_NONE] = TH_BUSY_YES,
	[TH_REPLY_ACCEPTED] = TH_BUSY_YES,
	[TH_REPLY_TENTATIVE] = TH_BUSY_TENTATIVE,
	[TH_REPLY_DECLINED] = TH_BUSY_NOT,
	[TH_REPLY_OPEN] = TH_BUSY_TENTATIVE,
};

/* Events that are about somebody else's day, however they are shown. */
static const char *const other_types[] = { "birthday", "workingLocation" };

ThBusy
th_calendar_busy(const ThEventSeen *seen)
{
	if (seen->problem != NULL || seen->is_deleted || seen->is_cancelled ||
		seen->is_series)
		return TH_BUSY_NOT;
	for (size_t i = 0; i < lengthof(other_types); i++)
	{
		if (seen->type != NULL && strcmp(seen->type, other_types[i]) == 0)
			return TH_BUSY_NOT;
	}
	return Min(by_show[seen->show], by_reply[seen->reply]);
}
