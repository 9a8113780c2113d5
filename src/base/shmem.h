/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  What processes of one server share without a table.
 *
 * Everything here is a cache or a signal: losing it must never lose a
 * promise.  Without preload there is no shared memory and atx_shared is NULL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SHMEM_H
#define ATX_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "base/clock.h"

#define ATX_LAST_ERROR_LEN	256
#define ATX_MAX_HOLDS		64

/* The life of a database's worker; legal successors in the comment. */
typedef enum AtxWorkerState
{
	ATX_WORKER_NONE,			/* slot free; -> WANTED */
	ATX_WORKER_WANTED,			/* launcher shall start it; -> STARTING, NONE */
	ATX_WORKER_STARTING,		/* registered; -> RUNNING, WANTED, NONE */
	ATX_WORKER_RUNNING			/* claimed; -> WANTED, NONE */
} AtxWorkerState;

/*
 * What the server knows of one database; lock is AtxShared.lock unless the
 * field says otherwise.
 */
typedef struct AtxSlot
{
	Oid			database;		/* InvalidOid: free */
	AtxWorkerState state;
	int			pid;			/* 0: no worker process */
	int			procno;			/* of the worker, valid while pid is set */
	int			failures;		/* exits in a row, for the back-off */
	TimestampTz restart_at;		/* wall time: not started before */
	ConditionVariable changed;	/* state or pid changed, or the jump is done */

	/* Grace: valid once grace_from is not 0. */
	AtxTick		grace_from;		/* leases count from here at the earliest */
	int64		grace_served;	/* time served when grace_from was set */
	AtxTick		last_beat;		/* 0: no beat is expected */
	AtxTick		confirmed_beat; /* beginning of the latest one that committed */

	/* What the view "workers" shows. */
	bool		idle;			/* disabled or of another version */
	AtxTick		last_cycle;
	int64		lag;			/* ticks the latest batch came after its
								 * deadline */
	char		last_error[ATX_LAST_ERROR_LEN];
	char		sql_version[16];

	pg_atomic_uint32 work;		/* set by commits, cleared by the worker */
	pg_atomic_uint32 hold_ended;	/* claims may wait that can be granted */
	pg_atomic_uint32 jump_wanted;	/* a call waits for the worker to jump */
} AtxSlot;

/* A statement that must not meet a worker in the database it works on. */
typedef struct AtxHold
{
	Oid			database;		/* InvalidOid: free */
	int			pid;
} AtxHold;

typedef struct AtxShared
{
	LWLock	   *lock;
	int64		start_id;		/* differs at each start of shared memory */
	pg_atomic_uint64 clock_offset;	/* ticks, moved by tests */
	int			launcher_pid;	/* 0: none */
	int			launcher_procno;
	pg_atomic_uint32 rescan;	/* the launcher shall look at pg_database */
	pg_atomic_uint32 unserved;	/* an extension was created, but no slot free */
	AtxHold		holds[ATX_MAX_HOLDS];
	int			nslots;
	AtxSlot		slots[FLEXIBLE_ARRAY_MEMBER];
} AtxShared;

extern AtxShared *atx_shared;

extern void atx_shmem_init(void);
extern int64 atx_shmem_clock_offset(void);
extern void atx_shmem_advance_clock(int64 ticks, bool stalled);
extern AtxSlot *atx_slot_find(Oid database);
extern AtxSlot *atx_slot_obtain(Oid database);
extern void atx_slot_wake_worker(AtxSlot *slot);
extern void atx_slot_nudge_worker(AtxSlot *slot);
extern void atx_slot_report(AtxSlot *slot, const char *message);
extern void atx_launcher_wake(void);

#endif							/* ATX_SHMEM_H */
