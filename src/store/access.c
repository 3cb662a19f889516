/*
 * access.c
 *	  Who may do what in which clinic: rows of role_grant, remembered.
 */
#include "postgres.h"

#include <string.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "store/access.h"
#include "store/owner.h"
#include "store/plans.h"

typedef struct Grant
{
	Oid role;
	ThAccessKind kind;
	int64 clinic_id; /* 0: every clinic */
} Grant;

static const char *const kind_names[] = {
	[TH_ACCESS_READER] = "reader",   [TH_ACCESS_APP] = "app",
	[TH_ACCESS_ADMIN] = "admin",     [TH_ACCESS_WORKER] = "worker",
	[TH_ACCESS_WEBHOOK] = "webhook",
};

static ThPlan renew_grants = {
	.text = "SELECT telehealth_private.apply_grants(q.role, q.kind) FROM ("
			"SELECT DISTINCT r.oid::regrole AS role, g.kind"
			" FROM telehealth_private.role_grant AS g"
			" JOIN pg_catalog.pg_roles AS r"
			" ON r.oid = g.grantee_oid AND r.rolname = g.grantee) AS q"
};

/* What is remembered, as of "known_as_of"; valid while nothing changed since. */
static MemoryContext grants_context = NULL;
static Grant *grants = NULL;
static int n_grants = 0;
static Oid grants_relation = InvalidOid;
static uint64 known_as_of = 0;
static uint64 changes = 1;

/* The last question of th_access_may_see_name(), and its answer. */
static struct
{
	uint64 as_of;
	int64 clinic_id;
	NameData role;
	bool answer;
} memo;

/* The user whom the outermost elevated function serves. */
static Oid elevated_caller = InvalidOid;

static void
forget_relation(Datum arg pg_attribute_unused(), Oid relation)
{
	if (!OidIsValid(relation) || relation == grants_relation)
		changes++;
}

static void
forget_role(Datum arg pg_attribute_unused(), int cache pg_attribute_unused(),
			uint32 hash pg_attribute_unused())
{
	changes++;
}

static void
watch_changes(void)
{
	static bool is_watching = false;

	if (is_watching)
		return;
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_role, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMMEMROLE, forget_role, (Datum) 0);
	is_watching = true;
}

bool
th_access_kind(const char *name, ThAccessKind *kind)
{
	for (size_t i = 0; i < lengthof(kind_names); i++)
	{
		if (strcmp(kind_names[i], name) == 0)
		{
			*kind = (ThAccessKind) i;
			return true;
		}
	}
	return false;
}

/*
 * The grant in a row; false if its role is gone. Its number counts, so that
 * another role of the name inherits nothing; there was none in version 0.1.
 */
static bool
read_grant(HeapTuple tuple, TupleDesc columns, const AttrNumber *numbers,
		   Grant *out)
{
	bool is_null;
	char *kind = TextDatumGetCString(
		heap_getattr(tuple, numbers[1], columns, &is_null));

	out->clinic_id = DatumGetInt64(
		heap_getattr(tuple, numbers[2], columns, &is_null));
	if (numbers[3] != InvalidAttrNumber)
		out->role = DatumGetObjectId(
			heap_getattr(tuple, numbers[3], columns, &is_null));
	else
	{
		Name grantee = DatumGetName(
			heap_getattr(tuple, numbers[0], columns, &is_null));

		out->role = get_role_oid(NameStr(*grantee), true);
	}
	return !is_null && OidIsValid(out->role) &&
		   th_access_kind(kind, &out->kind);
}

/* All rows of the relation, into "context". */
static int
scan_grants(Oid relation_id, MemoryContext context, Grant **out)
{
	Relation relation = table_open(relation_id, AccessShareLock);
	AttrNumber numbers[4] = {
		get_attnum(relation_id, "grantee"),
		get_attnum(relation_id, "kind"),
		get_attnum(relation_id, "clinic_id"),
		get_attnum(relation_id, "grantee_oid"),
	};
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0,
										  NULL);
	int room = 16;
	int n = 0;
	HeapTuple tuple;

	*out = MemoryContextAlloc(context, sizeof(Grant) * room);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (n == room)
		{
			room *= 2;
			*out = repalloc(*out, sizeof(Grant) * room);
		}
		if (read_grant(tuple, RelationGetDescr(relation), numbers, &(*out)[n]))
			n++;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return n;
}

/*
 * A change that arrives during the scan raises "changes", and the next call
 * reads again.
 */
static void
load_grants(void)
{
	uint64 as_of;
	Oid schema;
	Oid relation;
	MemoryContext context;
	MemoryContext scratch;
	MemoryContext old;
	Grant *list = NULL;
	int n = 0;

	watch_changes();
	if (known_as_of == changes)
		return;

	as_of = changes;
	schema = get_namespace_oid("telehealth_private", true);
	relation = OidIsValid(schema) ? get_relname_relid("role_grant", schema)
								  : InvalidOid;

	/* Under the present context until complete, so that an error leaks nothing. */
	context = AllocSetContextCreate(CurrentMemoryContext, "telehealth grants",
									ALLOCSET_SMALL_SIZES);
	scratch = AllocSetContextCreate(context, "telehealth grants scan",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scratch);
	if (OidIsValid(relation))
		n = scan_grants(relation, context, &list);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);

	MemoryContextSetParent(context, CacheMemoryContext);
	if (grants_context != NULL)
		MemoryContextDelete(grants_context);
	grants_context = context;
	grants = list;
	n_grants = n;
	grants_relation = relation;
	known_as_of = as_of;
}

static bool
may_do_everything(Oid role)
{
	return superuser_arg(role) || role == th_owner_role();
}

/*
 * Row security asks this for tables and views alike. Who may use tables
 * somewhere is not shown rows of clinics where it is a mere reader: the views
 * that hide a patient would not be in between.
 */
bool
th_access_may_see(int64 clinic_id, Oid role)
{
	bool is_reader_here = false;
	bool is_more_elsewhere = false;

	if (may_do_everything(role))
		return true;
	load_grants();
	for (int i = 0; i < n_grants; i++)
	{
		const Grant *grant = &grants[i];
		bool is_here = grant->clinic_id == 0 || grant->clinic_id == clinic_id;
		bool is_reader = grant->kind == TH_ACCESS_READER;

		if (grant->kind == TH_ACCESS_WEBHOOK || (is_reader && !is_here) ||
			!has_privs_of_role(role, grant->role))
			continue;
		if (!is_reader && is_here)
			return true;
		if (is_reader)
			is_reader_here = true;
		else
			is_more_elsewhere = true;
	}
	return is_reader_here && !is_more_elsewhere;
}

bool
th_access_may_see_name(int64 clinic_id, const char *role)
{
	Oid role_id;
	bool answer;
	uint64 as_of;

	watch_changes();
	if (memo.as_of == changes && memo.clinic_id == clinic_id &&
		strncmp(NameStr(memo.role), role, NAMEDATALEN) == 0)
		return memo.answer;

	as_of = changes;
	role_id = get_role_oid(role, true);
	answer = OidIsValid(role_id) && th_access_may_see(clinic_id, role_id);
	memo.clinic_id = clinic_id;
	namestrcpy(&memo.role, role);
	memo.answer = answer;
	memo.as_of = as_of;
	return answer;
}

bool
th_access_has_kind(ThAccessKind kind, int64 clinic_id, Oid role)
{
	if (may_do_everything(role))
		return true;
	load_grants();
	for (int i = 0; i < n_grants; i++)
	{
		const Grant *grant = &grants[i];
		bool includes = grant->kind == kind ||
						(grant->kind < TH_ACCESS_WORKER && grant->kind > kind);

		if (includes &&
			(grant->clinic_id == 0 || grant->clinic_id == clinic_id) &&
			has_privs_of_role(role, grant->role))
			return true;
	}
	return false;
}

void
th_access_changed(Oid relation)
{
	CacheInvalidateRelcacheByRelid(relation);
}

Oid
th_access_caller(void)
{
	return OidIsValid(elevated_caller) ? elevated_caller : GetUserId();
}

Oid
th_access_enter(void)
{
	Oid former = elevated_caller;

	if (!OidIsValid(former))
		elevated_caller = GetUserId();
	return former;
}

void
th_access_leave(Oid former)
{
	elevated_caller = former;
}

Oid
th_access_require(ThAccessKind kind, int64 clinic_id)
{
	Oid caller = th_access_caller();

	if (!th_access_has_kind(kind, clinic_id, caller))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for clinic " INT64_FORMAT,
						clinic_id),
				 errhint("A member of the role that owns the extension "
						 "can run SELECT telehealth.grant_role(%s, "
						 "'%s', " INT64_FORMAT ").",
						 quote_literal_cstr(GetUserNameFromId(caller, false)),
						 kind_names[kind], clinic_id)));
	return caller;
}

void
th_access_renew_grants(void)
{
	bool was_creating = creating_extension;

	th_store_connect();
	PG_TRY();
	{
		creating_extension = false;
		th_plan_run(&renew_grants, NULL, NULL, false);
	}
	PG_FINALLY();
	{
		creating_extension = was_creating;
	}
	PG_END_TRY();
	th_store_finish();
}
