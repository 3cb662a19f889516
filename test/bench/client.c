/*
 * client.c
 *	  The application's side of the benches.
 *
 * usage: client wake COUNTERS N      N visits, one after the other: time from
 *                                    the COMMIT's answer to the request at the
 *                                    vendor; prints p50, p99, worst in ms
 *        client drain STATEMENT      runs the statement, then prints the
 *                                    seconds until no meeting is queued
 */
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef struct Counters
{
	volatile int64_t creates;
	volatile int64_t last_at;
} Counters;

static PGconn *connection;

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, PQerrorMessage(connection));
	exit(1);
}

/* Runs a statement; true if its first value is 't'. */
static int
run(const char *statement)
{
	PGresult *result = PQexec(connection, statement);
	ExecStatusType status = PQresultStatus(result);
	int is_true;

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		fail(statement);
	is_true = PQntuples(result) == 1 &&
			  strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	PQclear(result);
	return is_true;
}

static int
is_drained(void)
{
	return run("SELECT NOT EXISTS (SELECT FROM telehealth_private.job"
			   " WHERE kind = 'meeting' AND dead_at IS NULL)");
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void
wake(const char *file, int n)
{
	int fd = open(file, O_RDONLY);
	Counters *counters = mmap(NULL, sizeof(Counters), PROT_READ, MAP_SHARED, fd,
							  0);
	double *ms = calloc(n, sizeof(double));

	if (fd < 0 || counters == MAP_FAILED || ms == NULL)
		fail(file);
	srand(1);
	for (int i = -20; i < n; i++)
	{
		int64_t before = counters->creates;
		int64_t committed, limit;
		char statement[256];

		snprintf(statement, sizeof(statement),
				 "INSERT INTO telehealth.appointment"
				 " (patient_id, provider_id, type, starts_at)"
				 " VALUES (1, %d, 'VIDEO', now() + interval '1 day')",
				 i + 1000);
		usleep(20000 + rand() % 20000);
		run(statement);
		committed = now_ns();
		limit = committed + INT64_C(10000000000);
		while (counters->creates == before && now_ns() < limit)
			usleep(50);
		if (counters->creates == before)
			fail("no request arrived within ten seconds");
		if (i >= 0)
			ms[i] = (double) (counters->last_at - committed) / 1e6;
	}
	qsort(ms, n, sizeof(double), compare);
	printf("%.3f %.3f %.3f\n", ms[n / 2], ms[n * 99 / 100], ms[n - 1]);
}

static void
drain(const char *statement)
{
	int64_t start;

	run(statement);
	start = now_ns();
	while (!is_drained())
		usleep(10000);
	printf("%.3f\n", (double) (now_ns() - start) / 1e9);
}

int
main(int argc, char **argv)
{
	connection = PQconnectdb("dbname=bench");
	if (PQstatus(connection) != CONNECTION_OK)
		fail("connecting");
	if (argc == 4 && strcmp(argv[1], "wake") == 0)
		wake(argv[2], atoi(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "drain") == 0)
		drain(argv[2]);
	else
		return 2;
	PQfinish(connection);
	return 0;
}
