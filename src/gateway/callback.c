/*
 * callback.c
 *	  Browsers that come back from a vendor with a code.
 */
#include "postgres.h"

#include <string.h>

#include "utils/timestamp.h"

#include "base/th_clock.h"
#include "flow/oauth_page.h"
#include "flow/oauth_state.h"
#include "gateway/callback.h"
#include "gateway/server.h"
#include "platform/form.h"
#include "store/environment.h"
#include "worker/mailbox.h"

/* Browsers that wait at once; the mailbox has places for others, too. */
#define MOST_WAITING 16

/* How often a waiting one is looked at. */
#define LOOK_MS 50

typedef struct Waiting
{
	ThHttpRequest *request; /* NULL: free */
	ThAsk ask;
	int64 deadline_ms;
} Waiting;

static Waiting waiting[MOST_WAITING];
static int n_waiting = 0;

static void
answer(ThHttpRequest *request, ThOauthPage page)
{
	const char *html = th_oauth_page_html(page);

	th_request_answer(request, th_oauth_page_status(page), TH_OAUTH_PAGE_TYPE,
					  html, strlen(html));
	th_request_add_reply_header(request, "Cache-Control", "no-store");
	th_request_add_reply_header(request, "Content-Security-Policy",
								TH_OAUTH_PAGE_POLICY);
	th_request_add_reply_header(request, "Referrer-Policy", "no-referrer");
	th_request_add_reply_header(request, "X-Frame-Options", "DENY");
}

/* ---- what the browser brings ---- */

typedef struct Brought
{
	const char *state;
	const char *code;  /* secret */
	const char *error; /* of the vendor; never shown */
} Brought;

static bool
is_there(const ThForm *form, const char *name)
{
	for (int i = 0; i < form->n; i++)
		if (strcmp(form->fields[i].name, name) == 0)
			return true;
	return false;
}

/* False for what is there twice or cannot be decoded; other parameters are passed over. */
static bool
read_query(const char *query, Brought *out)
{
	ThForm form;

	if (!th_form_read(query, strlen(query), &form))
		return false;
	out->state = th_form_value(&form, "state");
	out->code = th_form_value(&form, "code");
	out->error = th_form_value(&form, "error");
	return out->state != NULL &&
		   is_there(&form, "code") != is_there(&form, "error") &&
		   (out->code != NULL || out->error != NULL);
}

static bool
is_code(const char *code)
{
	size_t length = strlen(code);

	for (const char *p = code; *p != '\0'; p++)
	{
		if ((unsigned char) *p <= 0x20 || (unsigned char) *p >= 0x7f)
			return false;
	}
	return length > 0 && length < TH_MAILBOX_QUESTION;
}

/* ---- the exchange ---- */

static bool
wait_for(ThHttpRequest *request, const ThOauthState *state, const char *code)
{
	Waiting *place = NULL;

	for (int i = 0; i < MOST_WAITING && place == NULL; i++)
		if (waiting[i].request == NULL)
			place = &waiting[i];
	if (place == NULL)
		return false;
	memset(&place->ask, 0, sizeof(place->ask));
	place->ask.kind = TH_ASK_OAUTH;
	place->ask.clinic_id = state->clinic_id;
	place->ask.subject_id = state->id;
	if (!th_mailbox_post(&place->ask, code))
		return false;
	place->request = request;
	place->deadline_ms = th_clock_monotonic_ms() + TH_OAUTH_TIMEOUT_MS;
	n_waiting++;
	request->is_waiting = true;
	return true;
}

/*
 * A request for the head alone comes from something that looks at links: it
 * uses nothing up.
 */
static void
come_back(ThHttpRequest *request, const char *kind)
{
	TimestampTz now = th_clock_now();
	ThOauthState *state;
	Brought brought;

	if (request->is_head || request->query == NULL ||
		!read_query(request->query, &brought))
		answer(request, TH_OAUTH_PAGE_BAD_REQUEST);
	else if (brought.error != NULL)
		answer(request,
			   th_oauth_decline(brought.state, strlen(brought.state), kind, now)
				   ? TH_OAUTH_PAGE_DECLINED
				   : TH_OAUTH_PAGE_UNKNOWN);
	else if (!is_code(brought.code))
		answer(request, TH_OAUTH_PAGE_BAD_REQUEST);
	else if (th_environment_held(false) != NULL)
		answer(request, TH_OAUTH_PAGE_HELD);
	else
	{
		state = th_oauth_find(brought.state, strlen(brought.state));
		if (state == NULL || strcmp(state->kind, kind) != 0 || state->is_used ||
			state->expires_at <= now)
			answer(request, TH_OAUTH_PAGE_UNKNOWN);
		else if (!wait_for(request, state, brought.code))
			answer(request, TH_OAUTH_PAGE_BUSY);
	}
}

void
th_callback_answer_zoom(ThHttpRequest *request)
{
	come_back(request, "zoom");
}

void
th_callback_answer_google(ThHttpRequest *request)
{
	come_back(request, "google");
}

void
th_callback_answer_outlook(ThHttpRequest *request)
{
	come_back(request, "outlook");
}

/* ---- its end ---- */

static void
send_page(Waiting *place, ThOauthPage page)
{
	th_mailbox_give_up(&place->ask);
	answer(place->request, page);
	place->request->is_waiting = false;
	th_server_send(place->request);
	place->request = NULL;
	n_waiting--;
}

void
th_callback_poll(void)
{
	for (int i = 0; n_waiting > 0 && i < MOST_WAITING; i++)
	{
		Waiting *place = &waiting[i];
		int sqlstate;

		if (place->request == NULL)
			continue;
		switch (th_mailbox_poll(&place->ask, &sqlstate))
		{
			case TH_MAIL_DONE:
				send_page(place, th_oauth_page_of(sqlstate));
				break;
			case TH_MAIL_UNSERVED:
				send_page(place, TH_OAUTH_PAGE_BUSY);
				break;
			case TH_MAIL_PENDING:
				if (th_clock_monotonic_ms() >= place->deadline_ms)
					send_page(place, TH_OAUTH_PAGE_BUSY);
				break;
		}
	}
}

void
th_callback_end(void)
{
	th_callback_poll();
	for (int i = 0; i < MOST_WAITING; i++)
		if (waiting[i].request != NULL)
			send_page(&waiting[i], TH_OAUTH_PAGE_BUSY);
}

int
th_callback_wait_ms(int most)
{
	return n_waiting > 0 ? Min(most, LOOK_MS) : most;
}
