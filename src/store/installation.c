/*
 * installation.c
 *	  What tells this installation from others.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/lsyscache.h"

#include "store/installation.h"
#include "store/owner.h"
#include "store/plans.h"

static ThPlan find_installation = {
	.text = "SELECT i.tag, COALESCE(i.plain_until, 0)"
			" FROM telehealth_private.installation AS i"
			" ORDER BY i.created_at, i.tag LIMIT 1",
};

void
th_installation_read(ThInstallation *out)
{
	Oid schema = get_namespace_oid("telehealth_private", true);
	ThOwnerScope scope;

	out->tag[0] = '\0';
	out->plain_until = PG_INT64_MAX;
	if (!OidIsValid(schema) ||
		!OidIsValid(get_relname_relid("installation", schema)))
		return;
	th_owner_enter(&scope);
	th_store_connect();
	th_plan_run(&find_installation, NULL, NULL, true);
	if (SPI_processed == 0)
		elog(ERROR, "this installation has no row");
	strlcpy(out->tag, th_row_text(0, 1, CurrentMemoryContext),
			sizeof(out->tag));
	out->plain_until = th_row_int64(0, 2);
	th_store_finish();
	th_owner_leave(&scope);
}
