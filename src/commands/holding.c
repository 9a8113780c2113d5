/*-------------------------------------------------------------------------
 *
 * holding.c
 *	  Ending transactions that keep others waiting for too long.
 *
 * Whoever touches a session or a service keeps a lock on it until the
 * transaction ends.  A client that stops in the middle of one must not stop
 * all others: after atomix.max_hold its connection is terminated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#include "base/duration.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "commands/holding.h"
#include "tables/blocking.h"
#include "tables/lease.h"

/*
 * How often to look, so that nobody waits much longer than max_hold.
 */
int64
atx_holding_interval(void)
{
	int64		hold = atx_max_hold * ATX_TICKS_PER_MS;

	return hold == 0 ? PG_INT64_MAX / 2 :
		Max(ATX_TICKS_PER_SEC / 10, Min(hold / 4, 15 * ATX_TICKS_PER_SEC));
}

/*
 * Has anybody in this database waited that long, be it for us or not?  A look
 * at the processes is cheap, one at the lock table is not.
 */
static bool
somebody_waits(void)
{
	TimestampTz before = atx_wall_now() - atx_max_hold * ATX_TICKS_PER_MS;

	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[i];
		uint64		since = pg_atomic_read_u64(&proc->waitStart);

		if (proc->databaseId == MyDatabaseId && since != 0 && (TimestampTz) since < before)
			return true;
	}
	return false;
}

/* A prepared transaction is somebody's promise: we only tell of it. */
static void
report_prepared(int64 waited)
{
	ereport(LOG,
			(errmsg("a prepared transaction has kept others waiting for an atomix lock for %s",
					atx_duration_text(waited)),
			 errhint("See pg_prepared_xacts; commit it or roll it back.")));
	atx_slot_report(atx_slot_find(MyDatabaseId),
					"a prepared transaction keeps others waiting for an atomix lock");
}

static void
end_blocker(const AtxBlocker *blocker)
{
	PGPROC	   *proc;

	if (blocker->pid == ATX_PREPARED_TRANSACTION)
	{
		report_prepared(blocker->waited);
		return;
	}
	proc = BackendPidGetProc(blocker->pid);
	if (proc == NULL || blocker->pid == MyProcPid || proc->databaseId != MyDatabaseId)
		return;
	ereport(LOG,
			(errmsg("terminating process %d, for whose atomix locks others have waited %s",
					blocker->pid, atx_duration_text(blocker->waited)),
			 errdetail("The limit is atomix.max_hold, %d ms.", atx_max_hold)));
	if (kill(blocker->pid, SIGTERM) != 0)
		ereport(LOG, (errmsg("could not send signal to process %d: %m", blocker->pid)));
}

static void
end_blockers(const AtxBlocker *blockers, int count)
{
	for (int i = 0; i < count; i++)
		end_blocker(&blockers[i]);
}

/* Is a session's end overdue by that long? */
static bool
expiry_is_overdue(const AtxMoment *moment, int64 hold)
{
	AtxTick		check_at;

	return atx_lease_next_check(moment, &check_at) && check_at < moment->now - hold;
}

/*
 * End the transactions that keep others waiting for longer than
 * atomix.max_hold, or keep a session from ending.
 */
void
atx_holding_step(const AtxAuthority *authority)
{
	int64		hold = atx_max_hold * ATX_TICKS_PER_MS;
	AtxMoment	moment = atx_moment(authority);
	AtxBlocker *blockers;
	int			count;

	if (hold == 0)
		return;
	if (somebody_waits())
	{
		count = atx_blocking_waiters(hold, &blockers);
		end_blockers(blockers, count);
	}
	if (expiry_is_overdue(&moment, hold))
	{
		count = atx_blocking_expiry(&moment, hold, &blockers);
		end_blockers(blockers, count);
	}
}
