/*
 * policy.c
 *	  Which facts may leave to whom: rows of the disclosure policy.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "store/meeting.h"
#include "store/plans.h"

static ThPlan facts = {
	.text =
		"SELECT r.fact FROM ("
		"SELECT DISTINCT ON (x.fact) x.fact, x.is_allowed FROM ("
		"SELECT d.fact, d.is_allowed, CASE WHEN d.clinic_id = 0 THEN 2 ELSE 1 END"
		" FROM telehealth.disclosure_policy AS d"
		" WHERE d.clinic_id IN ($1, 0) AND d.target = $2"
		" UNION ALL SELECT b.fact, b.is_allowed, 3"
		" FROM telehealth_private.builtin_disclosure_policy AS b"
		" WHERE b.target = $2) AS x (fact, is_allowed, rank)"
		" ORDER BY x.fact, x.rank) AS r WHERE r.is_allowed",
	.n_args = 2,
	.types = { INT8OID, TEXTOID }
};

static const struct
{
	const char *name;
	uint32 bit;
} fact_names[] = {
	{ "patient_name", TH_FACT_PATIENT_NAME },
	{ "provider_name", TH_FACT_PROVIDER_NAME },
	{ "reason", TH_FACT_REASON },
	{ "title", TH_FACT_TITLE },
	{ "join_url", TH_FACT_JOIN_URL },
	{ "location", TH_FACT_LOCATION },
	{ "email", TH_FACT_EMAIL },
};

uint32
th_policy_facts(int64 clinic_id, const char *target)
{
	uint32 bits = 0;
	Datum values[2];

	th_store_connect();
	values[0] = Int64GetDatum(clinic_id);
	values[1] = CStringGetTextDatum(target);
	th_plan_run(&facts, values, NULL, false);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char *fact = th_row_text(row, 1, CurrentMemoryContext);

		for (size_t i = 0; i < lengthof(fact_names); i++)
			if (strcmp(fact, fact_names[i].name) == 0)
				bits |= fact_names[i].bit;
	}
	th_store_finish();
	return bits;
}
