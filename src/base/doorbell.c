/*-------------------------------------------------------------------------
 *
 * doorbell.c
 *	  How a commit wakes those who wait for something.
 *
 * A transaction notes whom to ring for; its commit callback, which runs when
 * its changes are visible, rings.  There are two kinds of listeners.  Waiters
 * inside the server sleep on the condition variable of the bucket their
 * session falls into; a bucket remembers its latest rings, so that only those
 * meant wake up for good.  The database's worker takes the sessions out of a
 * queue and sends notifications.
 *
 * A queue that is full, a worker that is dead and a crash cost latency only:
 * waiters poll, and so must clients.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/doorbell.h"
#include "base/shmem.h"

#define TRANCHE_NAME	"atomix doorbell"
#define BUCKETS			128
#define REMEMBERED		8		/* rings a bucket remembers */
#define QUEUE_LENGTH	ATX_DOORBELL_QUEUE

typedef struct Ring
{
	Oid			database;
	int64		session_id;
} Ring;

typedef struct Bucket
{
	uint64		rings;			/* so far; latest[(rings - 1) % REMEMBERED] is
								 * the last */
	Ring		latest[REMEMBERED];
	ConditionVariable rung;
	LWLock	   *lock;			/* protects the above but the condition
								 * variable */
} Bucket;

typedef struct Doorbell
{
	LWLock	   *queue_lock;
	uint64		put;			/* rings put into the queue and ... */
	uint64		taken;			/* ... taken from it or lost, ever */
	Ring		queue[QUEUE_LENGTH];
	Bucket		buckets[BUCKETS];
} Doorbell;

/* A ring of this transaction, in TopTransactionContext. */
typedef struct Noted
{
	int64		session_id;
	int			level;			/* of the subtransaction */
	bool		told;			/* to listeners, by the worker */
} Noted;

static Doorbell *doorbell = NULL;
static Noted *noted = NULL;
static int	nnoted = 0;
static int	max_noted = 0;

/*
 * What this transaction has taken out of the queue, to be put back if it
 * fails; in TopTransactionContext.
 */
static Ring *taken = NULL;
static int	ntaken = 0;

/*
 * Ask for the shared memory and the locks; in the request hook.
 */
void
atx_doorbell_request(void)
{
	RequestAddinShmemSpace(sizeof(Doorbell));
	RequestNamedLWLockTranche(TRANCHE_NAME, BUCKETS + 1);
}

/*
 * Create the doorbell, or find it; under AddinShmemInitLock.
 */
void
atx_doorbell_create(void)
{
	LWLockPadded *locks = GetNamedLWLockTranche(TRANCHE_NAME);
	bool		found;

	doorbell = ShmemInitStruct("atomix doorbell", sizeof(Doorbell), &found);
	if (found)
		return;
	memset(doorbell, 0, sizeof(Doorbell));
	doorbell->queue_lock = &locks[BUCKETS].lock;
	for (int i = 0; i < BUCKETS; i++)
	{
		ConditionVariableInit(&doorbell->buckets[i].rung);
		doorbell->buckets[i].lock = &locks[i].lock;
	}
}

static Bucket *
bucket_of(Oid database, int64 session_id)
{
	uint64		hash = hash_bytes_extended((unsigned char *) &session_id,
										   sizeof(session_id), database);

	return &doorbell->buckets[hash % BUCKETS];
}

static void
note_ring(int64 session_id, bool told)
{
	if (doorbell == NULL)
		return;
	/* What is noted by now is kept at least as long as a new note would be. */
	if (nnoted > 0 && noted[nnoted - 1].session_id == session_id)
		return;
	if (nnoted == max_noted)
	{
		int			more = Max(16, max_noted * 2);

		noted = noted == NULL ?
			MemoryContextAlloc(TopTransactionContext, more * sizeof(Noted)) :
			repalloc(noted, more * sizeof(Noted));
		max_noted = more;
	}
	noted[nnoted].session_id = session_id;
	noted[nnoted].told = told;
	noted[nnoted++].level = GetCurrentTransactionNestLevel();
}

/*
 * Ring for a session when the transaction commits.
 */
void
atx_doorbell_ring(int64 session_id)
{
	note_ring(session_id, true);
}

/*
 * Wake those who wait inside the server on a channel, which is no session's
 * id, when the transaction commits; nobody is notified.
 */
void
atx_doorbell_wake(int64 channel)
{
	note_ring(channel, false);
}

static void
wake_waiters(const Ring *ring)
{
	Bucket	   *bucket = bucket_of(ring->database, ring->session_id);

	LWLockAcquire(bucket->lock, LW_EXCLUSIVE);
	bucket->latest[bucket->rings % REMEMBERED] = *ring;
	bucket->rings++;
	LWLockRelease(bucket->lock);
	ConditionVariableBroadcast(&bucket->rung);
}

/* When the queue is full the oldest ring is lost: it may be nobody's. */
static void
queue_for_worker(const Ring *ring)
{
	LWLockAcquire(doorbell->queue_lock, LW_EXCLUSIVE);
	if (doorbell->put - doorbell->taken == QUEUE_LENGTH)
		doorbell->taken++;
	doorbell->queue[doorbell->put++ % QUEUE_LENGTH] = *ring;
	LWLockRelease(doorbell->queue_lock);
}

/*
 * Put back what a failed transaction has taken.  It is older than what came
 * meanwhile, so it is what is lost if the queue is full.
 */
static void
put_back(void)
{
	LWLockAcquire(doorbell->queue_lock, LW_EXCLUSIVE);
	for (int i = 0; i < ntaken && doorbell->put - doorbell->taken < QUEUE_LENGTH; i++)
		doorbell->queue[doorbell->put++ % QUEUE_LENGTH] = taken[i];
	LWLockRelease(doorbell->queue_lock);
	atx_slot_wake_worker(atx_slot_find(MyDatabaseId));
}

static void
ring_all(void)
{
	bool		told = false;

	for (int i = 0; i < nnoted; i++)
	{
		Ring		ring = {MyDatabaseId, noted[i].session_id};

		wake_waiters(&ring);
		if (noted[i].told)
			queue_for_worker(&ring);
		told = told || noted[i].told;
	}
	if (told)
		atx_slot_wake_worker(atx_slot_find(MyDatabaseId));
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && nnoted > 0)
		ring_all();
	if (event == XACT_EVENT_ABORT && ntaken > 0)
		put_back();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		noted = NULL;
		nnoted = max_noted = 0;
		taken = NULL;
		ntaken = 0;
	}
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine,
						 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = nnoted - 1; i >= 0 && noted[i].level >= level; i--)
			noted[i].level = level - 1;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (nnoted > 0 && noted[nnoted - 1].level >= level)
			nnoted--;
	}
}

/*
 * Register the callbacks; once per process.
 */
void
atx_doorbell_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
	RegisterSubXactCallback(at_end_of_subtransaction, NULL);
}

/*
 * The position from which to wait.  Take it before looking at the tables.
 */
uint64
atx_doorbell_position(int64 session_id)
{
	Bucket	   *bucket;
	uint64		position;

	if (doorbell == NULL)
		return 0;
	bucket = bucket_of(MyDatabaseId, session_id);
	LWLockAcquire(bucket->lock, LW_SHARED);
	position = bucket->rings;
	LWLockRelease(bucket->lock);
	return position;
}

/*
 * Was it rung for the session since the position?  Moves the position on.
 * If more was rung than the bucket remembers, it may have been.
 */
static bool
was_rung(Bucket *bucket, int64 session_id, uint64 *position)
{
	bool		rung;

	LWLockAcquire(bucket->lock, LW_SHARED);
	rung = bucket->rings - *position > REMEMBERED;
	for (; !rung && *position < bucket->rings; (*position)++)
	{
		const Ring *ring = &bucket->latest[*position % REMEMBERED];

		rung = ring->session_id == session_id && ring->database == MyDatabaseId;
	}
	*position = bucket->rings;
	LWLockRelease(bucket->lock);
	return rung;
}

/*
 * Sleep until it is rung for the session, counted from the position, or
 * until the time; true if it was.  Without shared memory nobody rings, and
 * only the time ends the sleep.
 */
bool
atx_doorbell_wait(int64 session_id, uint64 *position, AtxTick until)
{
	Bucket	   *bucket;
	bool		rung = false;

	if (doorbell == NULL)
	{
		int64		left = (until - atx_now()) / ATX_TICKS_PER_MS;

		if (left > 0)
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		return false;
	}

	bucket = bucket_of(MyDatabaseId, session_id);
	ConditionVariablePrepareToSleep(&bucket->rung);
	while (!(rung = was_rung(bucket, session_id, position)))
	{
		int64		left = (until - atx_now() + ATX_TICKS_PER_MS - 1) / ATX_TICKS_PER_MS;

		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&bucket->rung, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return rung;
}

/*
 * Take sessions of this database that were rung for out of the queue, for
 * good when the transaction commits, and at most once in it; returns how many.
 * Those of other databases are left, in order.
 */
int
atx_doorbell_take(int64 *session_ids, int limit)
{
	uint64		kept;
	int			count = 0;

	if (doorbell == NULL)
		return 0;
	Assert(ntaken == 0);
	taken = MemoryContextAlloc(TopTransactionContext, limit * sizeof(Ring));
	LWLockAcquire(doorbell->queue_lock, LW_EXCLUSIVE);
	kept = doorbell->taken;
	for (uint64 i = doorbell->taken; i < doorbell->put; i++)
	{
		Ring		ring = doorbell->queue[i % QUEUE_LENGTH];

		if (ring.database == MyDatabaseId && count < limit)
		{
			session_ids[count++] = ring.session_id;
			taken[ntaken++] = ring;
		}
		else
			doorbell->queue[kept++ % QUEUE_LENGTH] = ring;
	}
	doorbell->put = kept;
	LWLockRelease(doorbell->queue_lock);
	return count;
}
