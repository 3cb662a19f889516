/*
 * windows_zone.c
 *	  Zones by the names that Windows has for them, from CLDR.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "store/owner.h"
#include "store/plans.h"
#include "store/windows_zone.h"

static ThPlan find_zone = {
	.text = "SELECT z.zone FROM telehealth_private.windows_zone AS z"
			" WHERE pg_catalog.lower(z.name) = pg_catalog.lower($1)",
	.n_args = 1,
	.types = { TEXTOID },
};

char *
th_windows_zone_find(const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	Datum values[1] = { CStringGetTextDatum(name) };
	char *zone = NULL;
	ThOwnerScope scope;

	th_owner_enter(&scope);
	th_store_connect();
	th_plan_run(&find_zone, values, NULL, true);
	if (SPI_processed > 0)
		zone = th_row_text(0, 1, context);
	th_store_finish();
	th_owner_leave(&scope);
	return zone;
}
