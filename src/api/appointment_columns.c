/*
 * appointment_columns.c
 *	  Where the columns of an appointment are, and the labels of its enums.
 */
#include "postgres.h"

#include "catalog/pg_enum.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "api/appointment_columns.h"

static const char *const names[] = {
	[TH_COLUMN_CLINIC_ID] = "clinic_id",
	[TH_COLUMN_ID] = "id",
	[TH_COLUMN_PATIENT_ID] = "patient_id",
	[TH_COLUMN_PROVIDER_ID] = "provider_id",
	[TH_COLUMN_TYPE] = "type",
	[TH_COLUMN_STATUS] = "status",
	[TH_COLUMN_STARTS_AT] = "starts_at",
	[TH_COLUMN_DURATION] = "duration",
	[TH_COLUMN_ENDS_AT] = "ends_at",
	[TH_COLUMN_TIMEZONE] = "timezone",
	[TH_COLUMN_TITLE] = "title",
	[TH_COLUMN_REASON] = "reason",
	[TH_COLUMN_LOCATION] = "location",
	[TH_COLUMN_PLATFORM] = "platform",
	[TH_COLUMN_MEETING_ID] = "meeting_id",
	[TH_COLUMN_JOIN_URL] = "join_url",
	[TH_COLUMN_SEQUENCE] = "sequence",
	[TH_COLUMN_IS_OVERBOOKED] = "is_overbooked",
	[TH_COLUMN_HELD_UNTIL] = "held_until",
	[TH_COLUMN_IS_MEETING_WANTED] = "is_meeting_wanted",
	[TH_COLUMN_CREATED_AT] = "created_at",
	[TH_COLUMN_UPDATED_AT] = "updated_at",
	[TH_COLUMN_CANCELLED_AT] = "cancelled_at",
};

StaticAssertDecl(lengthof(names) == TH_COLUMN_COUNT,
				 "every column needs its name");

/* Of the relation asked for last. */
static ThColumns known;

static void
forget(Datum arg pg_attribute_unused(), Oid relation)
{
	if (!OidIsValid(relation) || relation == known.relation)
		known.relation = InvalidOid;
}

static AttrNumber
find_column(TupleDesc columns, ThColumn column)
{
	const char *name = names[column];

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (!attribute->attisdropped &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return attribute->attnum;
	}
	if (column == TH_COLUMN_CANCELLED_AT)
		return InvalidAttrNumber;
	elog(ERROR, "an appointment has no column \"%s\"", name);
}

static Oid
find_label(Oid type, const char *label)
{
	Oid result = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
								 ObjectIdGetDatum(type),
								 CStringGetDatum(label));

	if (!OidIsValid(result))
		elog(ERROR, "type %u has no label \"%s\"", type, label);
	return result;
}

const ThColumns *
th_appointment_columns(Relation relation)
{
	static bool is_watching = false;
	TupleDesc columns = RelationGetDescr(relation);
	ThColumns found = { 0 };
	Oid type;
	Oid status;

	if (known.relation == RelationGetRelid(relation))
		return &known;

	if (!is_watching)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		is_watching = true;
	}
	for (int i = 0; i < TH_COLUMN_COUNT; i++)
	{
		found.number[i] = find_column(columns, (ThColumn) i);
		found.last = Max(found.last, found.number[i]);
	}
	type = TupleDescAttr(columns, found.number[TH_COLUMN_TYPE] - 1)->atttypid;
	status =
		TupleDescAttr(columns, found.number[TH_COLUMN_STATUS] - 1)->atttypid;
	found.video = find_label(type, "VIDEO");
	found.pending = find_label(status, "PENDING");
	found.scheduled = find_label(status, "SCHEDULED");
	found.confirmed = find_label(status, "CONFIRMED");
	found.checked_in = find_label(status, "CHECKED_IN");
	found.in_progress = find_label(status, "IN_PROGRESS");
	found.completed = find_label(status, "COMPLETED");
	found.cancelled = find_label(status, "CANCELLED");
	found.no_show = find_label(status, "NO_SHOW");

	/* The caller holds a lock on the relation: what was read stands. */
	found.relation = RelationGetRelid(relation);
	known = found;
	return &known;
}
