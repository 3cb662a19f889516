/*
 * fn_gateway.c
 *	  What views show of the gateway.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "worker/door.h"
#include "worker/slot.h"

#define DOOR_COLUMNS 12

TH_SQL_FUNCTION(th_sql_gateway_door);

static void
set_text(Datum *value, bool *is_null, const char *text)
{
	*is_null = text == NULL || text[0] == '\0';
	*value = *is_null ? (Datum) 0 : CStringGetTextDatum(text);
}

/* The database may be gone by now. */
static const char *
holder_of(const ThDoorStatus *door)
{
	if (!OidIsValid(door->holder))
		return NULL;
	return get_database_name(door->holder);
}

Datum
th_sql_gateway_door(PG_FUNCTION_ARGS)
{
	static const char *const states[] = {
		[TH_DOOR_OFF] = "off",       [TH_DOOR_STARTING] = "starting",
		[TH_DOOR_OPEN] = "open",     [TH_DOOR_IN_USE] = "in_use",
		[TH_DOOR_FAILED] = "failed",
	};
	ThDoorStatus *door = palloc0_object(ThDoorStatus);
	TupleDesc columns;
	Datum values[DOOR_COLUMNS];
	bool nulls[DOOR_COLUMNS] = { false };

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "gateway_door() must return a row");
	(void) th_door_read(MyDatabaseId, door);
	set_text(&values[0], &nulls[0],
			 th_slot_available() ? states[door->state] : "not_preloaded");
	set_text(&values[1], &nulls[1], door->listen);
	values[2] = Int32GetDatum(door->port);
	values[3] = Int32GetDatum(door->workers);
	values[4] = Int32GetDatum(door->running);
	values[5] = Int32GetDatum(door->connections);
	values[6] = TimestampTzGetDatum(door->opened_at);
	nulls[6] = door->opened_at == 0;
	values[7] = TimestampTzGetDatum(door->retry_at);
	nulls[7] = door->retry_at == 0;
	set_text(&values[8], &nulls[8], holder_of(door));
	set_text(&values[9], &nulls[9],
			 door->error_number == 0 ? NULL : strerror(door->error_number));
	values[10] = Int64GetDatum((int64) door->counts[TH_COUNT_RECEIVED]);
	values[11] = Int64GetDatum((int64) door->counts[TH_COUNT_INSERTED]);
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
