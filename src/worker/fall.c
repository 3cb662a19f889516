/*
 * fall.c
 *	  Whether the dispatcher died by itself, or fell with the server.
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "access/xact.h"
#include "common/file_perm.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "worker/fall.h"

#define PREFIX "telehealth_fall."

/* Relative to the data directory; written before the handler is set. */
static char path[MAXPGPATH];

/* As SignalHandlerForCrashExit(), only with the file. */
static void
fall(SIGNAL_ARGS)
{
	int file = open(path, O_WRONLY | O_CREAT, PG_FILE_MODE_OWNER);

	(void) postgres_signal_arg;
	if (file >= 0)
		(void) close(file);
	_exit(2);
}

void
th_fall_watch(void)
{
	snprintf(path, sizeof(path), "%s/" PREFIX "%u", PG_STAT_TMP_DIR,
			 MyDatabaseId);
	pqsignal(SIGQUIT, fall);
}

bool
th_fall_was_pushed(void)
{
	return access(path, F_OK) == 0;
}

static void
forget(const char *file)
{
	if (unlink(file) != 0 && errno != ENOENT)
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not remove file \"%s\": %m", file)));
}

void
th_fall_forget(void)
{
	forget(path);
}

/* Zero if the name is not one of ours. */
static Oid
database_of(const char *name)
{
	size_t length = strlen(PREFIX);

	if (strncmp(name, PREFIX, length) != 0)
		return InvalidOid;
	return (Oid) strtoul(name + length, NULL, 10);
}

void
th_fall_sweep(void)
{
	DIR *folder;
	struct dirent *entry;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	folder = AllocateDir(PG_STAT_TMP_DIR);
	while ((entry = ReadDirExtended(folder, PG_STAT_TMP_DIR, LOG)) != NULL)
	{
		Oid database = database_of(entry->d_name);
		char file[MAXPGPATH];

		if (!OidIsValid(database) ||
			SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			continue;
		snprintf(file, sizeof(file), "%s/%s", PG_STAT_TMP_DIR, entry->d_name);
		forget(file);
	}
	if (folder != NULL)
		(void) FreeDir(folder);
	CommitTransactionCommand();
}
