/*-------------------------------------------------------------------------
 *
 * lifecycle.c
 *	  The slots' way from wanted to running and back, and holds.
 *
 * Who may set which state is written beside the states in base/shmem.h; all
 * transitions of a worker happen here.  A hold is set before its worker is
 * told to go, and a worker looks for holds after it has claimed its slot, so
 * a worker that is just starting cannot slip through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/lifecycle.h"

#define FIRST_BACKOFF_MS	1000
#define MAX_BACKOFF_MS		60000

static bool
held_locked(Oid database)
{
	for (int i = 0; i < ATX_MAX_HOLDS; i++)
		if (atx_shared->holds[i].database == database)
			return true;
	return false;
}

/*
 * Shall the slot's worker be started now?  If so it counts as starting; else
 * *wait_ms is lowered to the time until it shall.
 */
bool
atx_worker_start_is_due(AtxSlot *slot, long *wait_ms)
{
	bool		due = false;

	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	if (slot->state == ATX_WORKER_WANTED && !held_locked(slot->database))
	{
		long		left = TimestampDifferenceMilliseconds(atx_wall_now(),
														   slot->restart_at);

		due = left <= 0;
		if (due)
			slot->state = ATX_WORKER_STARTING;
		else
			*wait_ms = Min(*wait_ms, left);
	}
	LWLockRelease(atx_shared->lock);
	return due;
}

/*
 * Enter a slot as its worker; false if it is not waiting for one, or its
 * database is held.
 */
bool
atx_worker_claim(AtxSlot *slot)
{
	bool		claimed;

	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	claimed = OidIsValid(slot->database) && slot->state == ATX_WORKER_STARTING &&
		!held_locked(slot->database);
	if (claimed)
	{
		slot->state = ATX_WORKER_RUNNING;
		slot->pid = MyProcPid;
		slot->procno = AtxMyProcNumber();
		slot->idle = false;
	}
	else if (slot->state == ATX_WORKER_STARTING)
		slot->state = ATX_WORKER_WANTED;
	LWLockRelease(atx_shared->lock);

	ConditionVariableBroadcast(&slot->changed);
	return claimed;
}

/* Not before it has waited longer after each failure. */
static void
back_off_locked(AtxSlot *slot)
{
	int			ms = FIRST_BACKOFF_MS << Min(slot->failures, 6);

	slot->failures++;
	slot->restart_at = TimestampTzPlusMilliseconds(atx_wall_now(), Min(ms, MAX_BACKOFF_MS));
}

/*
 * Leave a slot as its worker.  Wanted: another worker shall follow; else the
 * database has no need of one and the slot is free, unless somebody has told
 * us otherwise meanwhile.
 */
void
atx_worker_leave(AtxSlot *slot, bool wanted)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	slot->pid = 0;
	if (!slot->idle)
		slot->last_beat = 0;
	if (!wanted && pg_atomic_read_u32(&slot->work) == 0)
	{
		slot->database = InvalidOid;
		slot->state = ATX_WORKER_NONE;
	}
	else
	{
		slot->state = ATX_WORKER_WANTED;
		if (!wanted || held_locked(slot->database))
			slot->restart_at = 0;
		else
			back_off_locked(slot);
	}
	LWLockRelease(atx_shared->lock);

	ConditionVariableBroadcast(&slot->changed);
	atx_launcher_wake();
}

/*
 * The launcher could not start the worker; another try will follow.
 */
void
atx_worker_start_failed(AtxSlot *slot)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	if (slot->state == ATX_WORKER_STARTING)
	{
		slot->state = ATX_WORKER_WANTED;
		back_off_locked(slot);
	}
	LWLockRelease(atx_shared->lock);
	ConditionVariableBroadcast(&slot->changed);
}

/*
 * Free the slot of a database that no longer exists.
 */
void
atx_slot_free_if_gone(AtxSlot *slot, Oid database)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	if (slot->database == database && slot->state == ATX_WORKER_WANTED)
	{
		slot->database = InvalidOid;
		slot->state = ATX_WORKER_NONE;
	}
	LWLockRelease(atx_shared->lock);
}

/*
 * Does a statement want to be alone with the database?
 */
bool
atx_database_is_held(Oid database)
{
	bool		held;

	LWLockAcquire(atx_shared->lock, LW_SHARED);
	held = held_locked(database);
	LWLockRelease(atx_shared->lock);
	return held;
}

/*
 * Keep workers away from a database until atx_release_databases.
 */
void
atx_hold_database(Oid database)
{
	bool		placed = false;

	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ATX_MAX_HOLDS && !placed; i++)
	{
		AtxHold    *hold = &atx_shared->holds[i];

		if (OidIsValid(hold->database))
			continue;
		hold->database = database;
		hold->pid = MyProcPid;
		placed = true;
	}
	LWLockRelease(atx_shared->lock);

	if (!placed)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many commands that need a database for themselves run at once")));
}

/*
 * Let workers return to all databases this process holds; safe in a commit or
 * abort callback.
 */
void
atx_release_databases(void)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ATX_MAX_HOLDS; i++)
	{
		AtxHold    *hold = &atx_shared->holds[i];

		if (hold->pid == MyProcPid)
			hold->database = InvalidOid;
	}
	LWLockRelease(atx_shared->lock);
	atx_launcher_wake();
}

static bool
worker_is_gone(const AtxSlot *slot, Oid database)
{
	bool		gone;

	LWLockAcquire(atx_shared->lock, LW_SHARED);
	gone = slot->database != database ||
		(slot->pid == 0 && slot->state != ATX_WORKER_STARTING);
	LWLockRelease(atx_shared->lock);
	return gone;
}

/*
 * Tell the worker of a held database to go and wait for it; false if it is
 * still there after the time.
 */
bool
atx_await_worker_gone(Oid database, int timeout_ms)
{
	AtxSlot    *slot = atx_slot_find(database);
	AtxTick		until = atx_now() + timeout_ms * ATX_TICKS_PER_MS;

	if (slot == NULL)
		return true;

	ConditionVariablePrepareToSleep(&slot->changed);
	while (!worker_is_gone(slot, database) && atx_now() < until)
	{
		/* Each round, in case it was starting or had just looked. */
		atx_slot_nudge_worker(slot);
		(void) ConditionVariableTimedSleep(&slot->changed, 100, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return worker_is_gone(slot, database);
}
