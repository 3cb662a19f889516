/*
 * fn_webhook.c
 *	  Webhooks that somebody else's HTTP server hands over.
 *
 * The right to call is all a caller needs: who told is proved by the
 * signature. Rights of the owner are taken to look up secrets and to store
 * what is genuine; nothing comes back but the answer.
 */
#include "postgres.h"

#include <string.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "api/call.h"
#include "base/compat.h"
#include "base/th_clock.h"
#include "flow/webhook.h"
#include "json/json_read.h"
#include "json/json_write.h"
#include "store/owner.h"
#include "worker/wake.h"

TH_SQL_FUNCTION(th_sql_receive_webhook);
TH_SQL_FUNCTION(th_sql_source_webhook);

#define MOST_HEADERS 200
#define DOOR_SUFFIX "_webhook"

typedef struct HeaderList
{
	ThWebhookHeader *headers;
	int n;
} HeaderList;

/* What is known of the function that is called. */
typedef struct Door
{
	Oid body_type; /* bytea, text or json */
	char *source;  /* by the function's name */
} Door;

/* ---- headers ---- */

static void
add_header(HeaderList *list, const char *name, const JsonbValue *value)
{
	ThWebhookHeader *header;
	char *text;

	if (value->type == jbvString)
		text = pnstrdup(value->val.string.val, value->val.string.len);
	else if (value->type == jbvNumeric)
		text = numeric_normalize(value->val.numeric);
	else if (value->type == jbvNull)
		return;
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("headers must be texts or arrays of texts")));
	if (list->n == MOST_HEADERS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many headers")));
	header = &list->headers[list->n++];
	header->name = name;
	header->value = text;
}

static char *
lower_name(const JsonbValue *key)
{
	char *name = pnstrdup(key->val.string.val, key->val.string.len);

	for (char *p = name; *p != '\0'; p++)
		*p = pg_ascii_tolower((unsigned char) *p);
	return name;
}

/* {"name": "value", "name": ["value", ...]}, names in any case. */
static void
read_headers(Jsonb *document, HeaderList *list)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	char *name = NULL;

	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("headers must be a JSON object")));
	iterator = JsonbIteratorInit(&document->root);
	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = lower_name(&value);
		else if (token == WJB_VALUE || token == WJB_ELEM)
			add_header(list, name, &value);
		else if (token == WJB_BEGIN_OBJECT && name != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("headers must be texts or arrays of texts")));
	}
}

/* Those that PostgREST sets for a request; none if nobody did. */
static Jsonb *
request_headers(void)
{
	const char *text = GetConfigOption("request.headers", true, false);
	Jsonb *document;

	if (text == NULL || *text == '\0' ||
		!th_json_parse(text, strlen(text), &document) ||
		!JB_ROOT_IS_OBJECT(document))
		return NULL;
	return document;
}

/* ---- the delivery ---- */

static Door *
door_of(FmgrInfo *self)
{
	MemoryContext old;
	HeapTuple tuple;
	Form_pg_proc function;
	Door *door;
	size_t length;

	if (self->fn_extra != NULL)
		return self->fn_extra;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(self->fn_oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", self->fn_oid);
	function = (Form_pg_proc) GETSTRUCT(tuple);
	old = MemoryContextSwitchTo(self->fn_mcxt);
	door = palloc0_object(Door);
	door->body_type = function->proargtypes.values[function->pronargs - 1];
	door->source = pstrdup(NameStr(function->proname));
	MemoryContextSwitchTo(old);
	ReleaseSysCache(tuple);

	/* google_calendar_webhook() is the door of "google-calendar" */
	length = strlen(door->source);
	if (length > strlen(DOOR_SUFFIX))
		door->source[length - strlen(DOOR_SUFFIX)] = '\0';
	for (char *p = door->source; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	self->fn_extra = door;
	return door;
}

/* The bytes as they came: text and json are in the database's encoding, the sender's is UTF-8. */
static void
take_body(ThWebhookDelivery *delivery, Datum value, Oid type)
{
	struct varlena *body = PG_DETOAST_DATUM_PACKED(value);

	delivery->body = VARDATA_ANY(body);
	delivery->body_length = VARSIZE_ANY_EXHDR(body);
	if (type != BYTEAOID && GetDatabaseEncoding() != PG_UTF8)
	{
		char *utf8 = pg_server_to_any(pnstrdup(delivery->body,
											   delivery->body_length),
									  (int) delivery->body_length, PG_UTF8);

		delivery->body = utf8;
		delivery->body_length = strlen(utf8);
	}
}

static void
receive(ThWebhookDelivery *delivery, const char *source, Jsonb *headers,
		const NullableDatum *body, Oid body_type)
{
	HeaderList list;
	ThOwnerScope scope;

	list.headers = palloc0_array(ThWebhookHeader, MOST_HEADERS);
	list.n = 0;
	if (headers != NULL)
		read_headers(headers, &list);
	memset(delivery, 0, sizeof(*delivery));
	delivery->source = source;
	delivery->headers = list.headers;
	delivery->n_headers = list.n;
	delivery->body = "";
	if (!body->isnull)
		take_body(delivery, body->value, body_type);
	delivery->received_at = th_clock_now();

	th_owner_enter(&scope);
	if (!th_webhook_receive(delivery, 1))
		th_wake_for_unmarked_at_commit();
	th_owner_leave(&scope);
	if (delivery->is_inserted)
		th_wake_at_commit();
	if (delivery->status == 200 && delivery->reply == NULL)
	{
		delivery->content_type = "application/json";
		delivery->reply = "{\"status\":\"ok\"}";
	}
}

static void
require_source(const char *source)
{
	if (!th_webhook_is_source(source))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown source of webhooks"),
						errhint("Sources are %s.", th_webhook_source_names())));
}

/* ---- answers ---- */

static Datum
reply_headers(const ThWebhookDelivery *delivery)
{
	ThJsonWriter writer;
	StringInfoData text;

	initStringInfo(&text);
	th_json_write_start(&writer, &text);
	th_json_write_object(&writer, NULL);
	if (delivery->content_type != NULL)
		th_json_write_text(&writer, "Content-Type", delivery->content_type);
	th_json_write_end_object(&writer);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

static Datum
receive_webhook(PG_FUNCTION_ARGS)
{
	ThWebhookDelivery delivery;
	TupleDesc columns;
	Datum values[3];
	bool nulls[3] = { false };
	char *source;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "receive_webhook() returns a row");
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("source must not be null")));
	source = text_to_cstring(PG_GETARG_TEXT_PP(0));
	require_source(source);
	receive(&delivery, source,
			PG_ARGISNULL(1) ? request_headers() : PG_GETARG_JSONB_P(1),
			&fcinfo->args[2], door_of(fcinfo->flinfo)->body_type);

	values[0] = Int32GetDatum(delivery.status);
	values[1] = reply_headers(&delivery);
	nulls[2] = delivery.reply == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(delivery.reply);
	return HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(columns), values, nulls));
}

Datum
th_sql_receive_webhook(PG_FUNCTION_ARGS)
{
	return th_call_hidden(receive_webhook, fcinfo);
}

/* What PostgREST takes for the status of its answer. */
static void
set_response_status(int status)
{
	(void) set_config_option("response.status", psprintf("%d", status),
							 superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

static Datum
source_webhook(PG_FUNCTION_ARGS)
{
	Door *door = door_of(fcinfo->flinfo);
	ThWebhookDelivery delivery;

	require_source(door->source);
	receive(&delivery, door->source, request_headers(), &fcinfo->args[0],
			door->body_type);
	set_response_status(delivery.status);
	if (delivery.reply == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(delivery.reply));
}

Datum
th_sql_source_webhook(PG_FUNCTION_ARGS)
{
	return th_call_hidden(source_webhook, fcinfo);
}
