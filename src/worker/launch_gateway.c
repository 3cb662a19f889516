/*
 * launch_gateway.c
 *	  Keeps the gateway processes that databases want.
 *
 * The crew of a door is what the launcher knows of its processes; doors and
 * crews have the same numbers. A crew whose order changes (address, port,
 * settings of the database) is stopped as a whole and started with the new
 * one; fewer workers stop the last ones, more start new ones.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

#include "worker/door_control.h"
#include "worker/launch_gateway.h"
#include "worker/process.h"

#define GATEWAY_TYPE "telehealth gateway"
#define LIBRARY "telehealth"

/* A process that ran so long has not failed at its start. */
#define STEADY_MS 10000

/* An address that is taken, or a place, may be given back any time. */
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS 10000

#define WARNING_INTERVAL_MS 60000

typedef struct Hand
{
	BackgroundWorkerHandle *handle; /* NULL: no process */
	int64 started_ms;
	bool is_stopping;
} Hand;

typedef struct Crew
{
	Oid database; /* InvalidOid: the door is free */
	uint64 rank;  /* who came first has the address */
	ThHttpWish wish;
	bool is_wanted;
	bool is_parked;
	bool is_changing; /* its processes leave, to begin anew */
	int failures;
	int64 retry_ms;
	int64 warned_ms;
	Hand hands[TH_MAX_HTTP_WORKERS];
} Crew;

static Crew crews[TH_MAX_DOORS];
static uint64 last_rank = 0;
static MemoryContext life_context = NULL;

void
th_launch_gateway_init(MemoryContext life)
{
	life_context = life;
	memset(crews, 0, sizeof(crews));
	th_door_enter_launcher();
}

/* ---- what is wanted ---- */

static bool
is_same_order(const ThHttpWish *a, const ThHttpWish *b)
{
	return a->port == b->port && a->settings == b->settings &&
		   strcmp(a->listen, b->listen) == 0;
}

static bool
is_everywhere(const char *listen)
{
	return strcmp(listen, "*") == 0 || strcmp(listen, "0.0.0.0") == 0 ||
		   strcmp(listen, "::") == 0;
}

static bool
is_same_address(const ThHttpWish *a, const ThHttpWish *b)
{
	return a->port == b->port &&
		   (strcmp(a->listen, b->listen) == 0 || is_everywhere(a->listen) ||
			is_everywhere(b->listen));
}

static bool
has_process(const Crew *crew)
{
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
		if (crew->hands[i].handle != NULL)
			return true;
	return false;
}

/* The database that has the crew's address, else InvalidOid. */
static Oid
find_holder(const Crew *crew)
{
	for (int i = 0; i < TH_MAX_DOORS; i++)
	{
		const Crew *other = &crews[i];

		if (other != crew && OidIsValid(other->database) &&
			is_same_address(&other->wish, &crew->wish) &&
			(has_process(other) || other->rank < crew->rank))
			return other->database;
	}
	return InvalidOid;
}

static Crew *
find_crew(Oid database)
{
	for (int i = 0; i < TH_MAX_DOORS; i++)
		if (crews[i].database == database)
			return &crews[i];
	return NULL;
}

static void
adopt_wish(Crew *crew, const ThHttpWish *wish)
{
	crew->wish = *wish;
	crew->rank = ++last_rank;
	crew->failures = 0;
	crew->retry_ms = 0;
	th_door_set_wish((int) (crew - crews), wish);
}

static void
open_door(const ThDoorWish *wanted)
{
	int door = th_door_claim(wanted->database);

	if (door < 0)
		return;
	memset(&crews[door], 0, sizeof(Crew));
	crews[door].database = wanted->database;
	crews[door].is_wanted = true;
	crews[door].is_parked = wanted->is_parked;
	crews[door].warned_ms = -WARNING_INTERVAL_MS;
	adopt_wish(&crews[door], &wanted->wish);
}

static void
stop_hand(Crew *crew, int worker)
{
	Hand *hand = &crew->hands[worker];

	if (hand->handle == NULL || hand->is_stopping)
		return;
	hand->is_stopping = true;
	th_door_stop((int) (crew - crews), worker);
}

static void
stop_all(Crew *crew)
{
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
		stop_hand(crew, i);
}

/* Brings a crew nearer to what its database wants. */
static void
follow_wish(Crew *crew, const ThDoorWish *wanted)
{
	crew->is_wanted = true;
	crew->is_parked = wanted->is_parked;
	if (!is_same_order(&crew->wish, &wanted->wish))
	{
		stop_all(crew);
		crew->is_changing = has_process(crew);
		if (!crew->is_changing)
			adopt_wish(crew, &wanted->wish);
		return;
	}
	crew->is_changing = false;
	if (crew->wish.workers != wanted->wish.workers)
		adopt_wish(crew, &wanted->wish);
	for (int i = crew->wish.workers; i < TH_MAX_HTTP_WORKERS; i++)
		stop_hand(crew, i);
}

/* ---- what is there ---- */

/* Puts the next try off; true if it is time to warn. */
static bool
put_off(Crew *crew, int64 now, ThDoorState state)
{
	int64 wait = BACKOFF_FIRST_MS << Min(crew->failures, 4);

	crew->failures++;
	wait = Min(wait, BACKOFF_LAST_MS);
	crew->retry_ms = now + wait;
	th_door_set_state((int) (crew - crews), state, InvalidOid,
					  TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait));
	if (now - crew->warned_ms < WARNING_INTERVAL_MS)
		return false;
	crew->warned_ms = now;
	return true;
}

static void
note_failure(Crew *crew, int64 now, const ThDoorPlace *place)
{
	if (!put_off(crew, now,
				 place->error_number == EADDRINUSE ? TH_DOOR_IN_USE
												   : TH_DOOR_FAILED))
		return;
	errno = place->error_number;
	ereport(
		WARNING,
		(errcode(ERRCODE_CONNECTION_FAILURE),
		 place->error_number != 0
			 ? errmsg("telehealth gateway of database %u could not listen: %m",
					  crew->database)
			 : errmsg("telehealth gateway of database %u ended too early",
					  crew->database),
		 errhint("It is tried again at least every %d s. See "
				 "telehealth.http_listen and telehealth.http_port.",
				 BACKOFF_LAST_MS / 1000)));
}

/* The server has no place for another process; those that listen go on. */
static void
note_no_place(Crew *crew, int64 now, bool has_open)
{
	if (!put_off(crew, now, has_open ? TH_DOOR_OPEN : TH_DOOR_FAILED))
		return;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start telehealth gateway for database %u",
					crew->database),
			 errdetail("All background worker places are in use."),
			 errhint("Raise max_worker_processes, or lower "
					 "telehealth.http_workers.")));
}

static void
note_end(Crew *crew, int worker, int64 now)
{
	Hand *hand = &crew->hands[worker];
	ThDoorPlace place;

	th_door_read_place((int) (crew - crews), worker, &place);
	pfree(hand->handle);
	hand->handle = NULL;
	if (!hand->is_stopping && !place.was_asked &&
		now - hand->started_ms < STEADY_MS)
		note_failure(crew, now, &place);
	hand->is_stopping = false;
}

static void
review(Crew *crew, int64 now)
{
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
	{
		pid_t pid;

		if (crew->hands[i].handle != NULL &&
			GetBackgroundWorkerPid(crew->hands[i].handle, &pid) == BGWH_STOPPED)
			note_end(crew, i, now);
	}
}

/* ---- what is missing ---- */

static bool
register_gateway(Crew *crew, int worker)
{
	int door = (int) (crew - crews);
	BackgroundWorker order;
	ThProcessOrder extra = { 0 };
	MemoryContext caller;
	bool is_registered;

	memset(&order, 0, sizeof(order));
	snprintf(order.bgw_name, BGW_MAXLEN, GATEWAY_TYPE " for database %u",
			 crew->database);
	strlcpy(order.bgw_type, GATEWAY_TYPE, BGW_MAXLEN);
	order.bgw_flags = BGWORKER_SHMEM_ACCESS |
					  BGWORKER_BACKEND_DATABASE_CONNECTION;
	order.bgw_start_time = BgWorkerStart_RecoveryFinished;
	order.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(order.bgw_library_name, LIBRARY, sizeof(order.bgw_library_name));
	strlcpy(order.bgw_function_name, "th_gateway_main", BGW_MAXLEN);
	order.bgw_main_arg = Int32GetDatum(door);
	order.bgw_notify_pid = MyProcPid;
	extra.database = crew->database;
	extra.generation = th_door_open_place(door, worker);
	extra.is_gateway = true;
	extra.worker = worker;
	memcpy(order.bgw_extra, &extra, sizeof(extra));

	caller = MemoryContextSwitchTo(life_context);
	is_registered =
		RegisterDynamicBackgroundWorker(&order, &crew->hands[worker].handle);
	MemoryContextSwitchTo(caller);
	if (!is_registered)
		crew->hands[worker].handle = NULL;
	return is_registered;
}

/* True if a process of the crew listens. */
static bool
is_open(const Crew *crew)
{
	for (int i = 0; i < TH_MAX_HTTP_WORKERS; i++)
	{
		ThDoorPlace place;

		if (crew->hands[i].handle == NULL)
			continue;
		th_door_read_place((int) (crew - crews), i, &place);
		if (place.is_listening)
			return true;
	}
	return false;
}

/*
 * The first process takes the address for all: the others share it, and start
 * when it listens.
 */
static void
start_missing(Crew *crew, int64 now)
{
	Oid holder = find_holder(crew);
	int door = (int) (crew - crews);
	bool is_shared = is_open(crew);

	if (OidIsValid(holder))
	{
		th_door_set_state(door, TH_DOOR_IN_USE, holder, 0);
		return;
	}
	if (is_shared)
		th_door_set_state(door, TH_DOOR_OPEN, InvalidOid, 0);
	if (crew->is_parked || crew->is_changing || crew->retry_ms > now)
		return;
	for (int i = 0; i < crew->wish.workers; i++)
	{
		Hand *hand = &crew->hands[i];

		if (hand->handle != NULL)
			continue;
		if (!is_shared && has_process(crew))
			return;
		hand->started_ms = now;
		hand->is_stopping = false;
		if (!register_gateway(crew, i))
		{
			note_no_place(crew, now, is_shared);
			return;
		}
		if (!is_shared && crew->failures == 0)
			th_door_set_state(door, TH_DOOR_STARTING, InvalidOid, 0);
	}
	if (is_shared)
		crew->failures = 0;
}

static void
close_door(Crew *crew)
{
	stop_all(crew);
	if (has_process(crew))
		return;
	th_door_free((int) (crew - crews));
	crew->database = InvalidOid;
}

static void
follow_wishes(void)
{
	static ThDoorWish wishes[TH_MAX_SLOTS];
	int n = th_door_read_wishes(wishes);

	for (int i = 0; i < TH_MAX_DOORS; i++)
		crews[i].is_wanted = false;
	for (int i = 0; i < n; i++)
	{
		Crew *crew = find_crew(wishes[i].database);

		if (wishes[i].wish.port == 0)
			continue;
		if (crew == NULL)
			open_door(&wishes[i]);
		else
			follow_wish(crew, &wishes[i]);
	}
}

void
th_launch_gateway_turn(int64 now)
{
	th_door_free_orphans();
	for (int i = 0; i < TH_MAX_DOORS; i++)
		if (OidIsValid(crews[i].database))
			review(&crews[i], now);
	follow_wishes();
	for (int i = 0; i < TH_MAX_DOORS; i++)
	{
		if (!OidIsValid(crews[i].database))
			continue;
		if (crews[i].is_wanted)
			start_missing(&crews[i], now);
		else
			close_door(&crews[i]);
	}
}

int64
th_launch_gateway_next(int64 now)
{
	int64 next = PG_INT64_MAX;

	for (int i = 0; i < TH_MAX_DOORS; i++)
		if (OidIsValid(crews[i].database) && crews[i].retry_ms > now)
			next = Min(next, crews[i].retry_ms);
	return next;
}
