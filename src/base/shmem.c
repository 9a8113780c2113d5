/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Shared memory: the slots of the databases served, and signals.
 *
 * One LWLock protects all of it.  While it is held there is no catalog
 * access, no allocation and no error: it is taken in commit callbacks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "base/doorbell.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/usage.h"
#include "compat.h"

#define TRANCHE_NAME	"atomix"

AtxShared  *atx_shared = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size
shared_size(void)
{
	return add_size(offsetof(AtxShared, slots),
					mul_size(atx_worker_limit, sizeof(AtxSlot)));
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
	atx_renewals_request();
	atx_usage_request();
	atx_doorbell_request();
}

static void
clear_slot(AtxSlot *slot)
{
	/* The condition variable and the atomic are initialised once. */
	slot->database = InvalidOid;
	slot->state = ATX_WORKER_NONE;
	slot->pid = 0;
	slot->procno = 0;
	slot->failures = 0;
	slot->restart_at = 0;
	slot->grace_from = 0;
	slot->grace_served = 0;
	slot->last_beat = 0;
	slot->confirmed_beat = 0;
	slot->idle = false;
	slot->last_cycle = 0;
	slot->lag = 0;
	slot->last_error[0] = '\0';
	slot->sql_version[0] = '\0';
}

static void
initialise_shared(AtxShared *shared)
{
	memset(shared, 0, shared_size());
	shared->lock = &(GetNamedLWLockTranche(TRANCHE_NAME))->lock;
	if (!pg_strong_random(&shared->start_id, sizeof(shared->start_id)))
		shared->start_id = MyStartTimestamp;
	pg_atomic_init_u64(&shared->clock_offset, 0);
	pg_atomic_init_u32(&shared->rescan, 0);
	pg_atomic_init_u32(&shared->unserved, 0);
	shared->nslots = atx_worker_limit;
	for (int i = 0; i < shared->nslots; i++)
	{
		clear_slot(&shared->slots[i]);
		ConditionVariableInit(&shared->slots[i].changed);
		pg_atomic_init_u32(&shared->slots[i].work, 0);
		pg_atomic_init_u32(&shared->slots[i].hold_ended, 0);
		pg_atomic_init_u32(&shared->slots[i].jump_wanted, 0);
	}
}

static void
startup_shmem(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	/* A crash restart runs this again within one postmaster. */
	atx_shared = NULL;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	atx_shared = ShmemInitStruct("atomix", shared_size(), &found);
	if (!found)
		initialise_shared(atx_shared);
	atx_renewals_create();
	atx_usage_create();
	atx_doorbell_create();
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Ask for shared memory; to be called while libraries are preloaded.
 */
void
atx_shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

/*
 * By how much tests have moved the lease clock.
 */
int64
atx_shmem_clock_offset(void)
{
	return atx_shared == NULL ? 0 :
		(int64) pg_atomic_read_u64(&atx_shared->clock_offset);
}

/*
 * Move the lease clock, for tests; needs shared memory.
 *
 * Beats move along, as if the workers had lived through the span, unless it
 * shall look like a stall.
 */
void
atx_shmem_advance_clock(int64 ticks, bool stalled)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	pg_atomic_fetch_add_u64(&atx_shared->clock_offset, ticks);
	for (int i = 0; i < atx_shared->nslots; i++)
	{
		AtxSlot    *slot = &atx_shared->slots[i];

		if (!stalled && slot->last_beat != 0)
			slot->last_beat += ticks;
	}
	LWLockRelease(atx_shared->lock);

	for (int i = 0; i < atx_shared->nslots; i++)
		atx_slot_wake_worker(&atx_shared->slots[i]);
}

static AtxSlot *
find_slot_locked(Oid database)
{
	for (int i = 0; i < atx_shared->nslots; i++)
		if (atx_shared->slots[i].database == database)
			return &atx_shared->slots[i];
	return NULL;
}

/*
 * The slot of a database, or NULL.
 *
 * A slot may be given to another database once its own no longer has the
 * extension; the caller that changes one checks again under the lock.
 */
AtxSlot *
atx_slot_find(Oid database)
{
	AtxSlot    *slot;

	if (atx_shared == NULL)
		return NULL;
	LWLockAcquire(atx_shared->lock, LW_SHARED);
	slot = find_slot_locked(database);
	LWLockRelease(atx_shared->lock);
	return slot;
}

/*
 * The slot of a database, taking a free one if it has none; NULL if none is
 * left or there is no shared memory.  A slot taken here wants a worker.
 */
AtxSlot *
atx_slot_obtain(Oid database)
{
	AtxSlot    *slot;

	if (atx_shared == NULL)
		return NULL;
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	slot = find_slot_locked(database);
	if (slot == NULL)
	{
		slot = find_slot_locked(InvalidOid);
		if (slot != NULL)
		{
			clear_slot(slot);
			slot->database = database;
			slot->state = ATX_WORKER_WANTED;
		}
	}
	LWLockRelease(atx_shared->lock);
	return slot;
}

static void
wake_process(int procno)
{
	/* At worst another process wakes up for nothing. */
	SetLatch(&ProcGlobal->allProcs[procno].procLatch);
}

/*
 * Tell the database's worker that there is something to do.
 *
 * Safe in a commit callback.  Only the first of many commits sets the latch:
 * the worker clears the flag before it looks.  A worker that starts looks
 * without being told.
 */
void
atx_slot_wake_worker(AtxSlot *slot)
{
	if (slot == NULL)
		return;
	if (pg_atomic_exchange_u32(&slot->work, 1) == 0 && slot->pid != 0)
		wake_process(slot->procno);
}

/*
 * Set the latch of the database's worker whether or not it was told before.
 */
void
atx_slot_nudge_worker(AtxSlot *slot)
{
	pg_atomic_write_u32(&slot->work, 1);
	if (slot->pid != 0)
		wake_process(slot->procno);
}

/*
 * Keep the latest trouble of a database for the view, where there is one.
 */
void
atx_slot_report(AtxSlot *slot, const char *message)
{
	if (slot == NULL)
		return;
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	strlcpy(slot->last_error, message, sizeof(slot->last_error));
	LWLockRelease(atx_shared->lock);
}

/*
 * Tell the launcher that slots, holds or pg_database changed.
 */
void
atx_launcher_wake(void)
{
	if (atx_shared == NULL)
		return;
	pg_atomic_write_u32(&atx_shared->rescan, 1);
	pg_write_barrier();
	if (atx_shared->launcher_pid != 0)
		wake_process(atx_shared->launcher_procno);
}
