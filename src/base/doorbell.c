/*-------------------------------------------------------------------------
 *
 * doorbell.c
 *	  How a commit wakes those who wait for something.
 *
 * A transaction notes whom to ring for; its commit callback, which runs when
 * its changes are visible, rings.  There are two kinds of listeners.  Waiters
 * inside the server sleep on their latch, having put their process down in
 * the buckets that their channels fall into: sessions, services and others.  A
 * bucket remembers its latest rings, so that only those meant wake up for
 * good.  The database's worker takes the channels out of a queue and sends
 * notifications.
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
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "base/doorbell.h"
#include "base/shmem.h"
#include "compat.h"

#define TRANCHE_NAME	"atomix doorbell"
#define BUCKETS			1024
#define BUCKET_LOCKS	128
#define REMEMBERED		8		/* rings a bucket remembers */
#define QUEUE_LENGTH	ATX_DOORBELL_QUEUE

typedef struct Ring
{
	Oid			database;
	int64		channel;
} Ring;

typedef struct Bucket
{
	uint64		rings;			/* so far; latest[(rings - 1) % REMEMBERED] is
								 * the last */
	Ring		latest[REMEMBERED];
	LWLock	   *lock;			/* protects the above */
} Bucket;

typedef struct Doorbell
{
	LWLock	   *queue_lock;
	uint64		put;			/* rings put into the queue and ... */
	uint64		taken;			/* ... taken from it or lost, ever */
	Ring		queue[QUEUE_LENGTH];
	Bucket		buckets[BUCKETS];
	int			words;			/* for each bucket, of a bit for each process */
	pg_atomic_uint64 waiting[FLEXIBLE_ARRAY_MEMBER];
} Doorbell;

/* A ring of this transaction, in TopTransactionContext. */
typedef struct Noted
{
	int64		channel;
	int			level;			/* of the subtransaction */
	bool		told;			/* to listeners, by the worker */
} Noted;

static Doorbell *doorbell = NULL;
static Noted *noted = NULL;
static int	nnoted = 0;
static int	max_noted = 0;
static bool is_waiting = false; /* our process is put down somewhere */

/*
 * What this transaction has taken out of the queue, to be put back if it
 * fails; in TopTransactionContext.
 */
static Ring *taken = NULL;
static int	ntaken = 0;

/* Words that have a bit for each process that may wait. */
static int
words_of_processes(void)
{
	return (MaxBackends + 63) / 64;
}

static Size
doorbell_size(void)
{
	return add_size(offsetof(Doorbell, waiting),
					mul_size(sizeof(pg_atomic_uint64), (Size) BUCKETS * words_of_processes()));
}

/*
 * Ask for the shared memory and the locks; in the request hook.
 */
void
atx_doorbell_request(void)
{
	RequestAddinShmemSpace(doorbell_size());
	RequestNamedLWLockTranche(TRANCHE_NAME, BUCKET_LOCKS + 1);
}

/*
 * Create the doorbell, or find it; under AddinShmemInitLock.
 */
void
atx_doorbell_create(void)
{
	LWLockPadded *locks = GetNamedLWLockTranche(TRANCHE_NAME);
	bool		found;

	doorbell = ShmemInitStruct("atomix doorbell", doorbell_size(), &found);
	if (found)
		return;
	memset(doorbell, 0, sizeof(Doorbell));
	doorbell->queue_lock = &locks[BUCKET_LOCKS].lock;
	doorbell->words = words_of_processes();
	for (int i = 0; i < BUCKETS; i++)
		doorbell->buckets[i].lock = &locks[i % BUCKET_LOCKS].lock;
	for (int i = 0; i < BUCKETS * doorbell->words; i++)
		pg_atomic_init_u64(&doorbell->waiting[i], 0);
}

static int
bucket_of(Oid database, int64 channel)
{
	uint64		hash = hash_bytes_extended((unsigned char *) &channel,
										   sizeof(channel), database);

	return hash % BUCKETS;
}

static void
note_ring(int64 channel, bool told)
{
	if (doorbell == NULL)
		return;
	/* What is noted by now is kept at least as long as a new note would be. */
	if (nnoted > 0 && noted[nnoted - 1].channel == channel &&
		(noted[nnoted - 1].told || !told))
		return;
	if (nnoted == max_noted)
		noted = atx_array_grow(TopTransactionContext, noted, &max_noted, sizeof(Noted));
	noted[nnoted].channel = channel;
	noted[nnoted].told = told;
	noted[nnoted++].level = GetCurrentTransactionNestLevel();
}

/*
 * Ring for a session or a service when the transaction commits.
 */
void
atx_doorbell_ring(int64 id)
{
	note_ring(id, true);
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

/* Set the latches of those who wait on a bucket. */
static void
wake_processes(int bucket)
{
	for (int word = 0; word < doorbell->words; word++)
	{
		uint64		bits = pg_atomic_read_u64(&doorbell->waiting[bucket * doorbell->words + word]);

		for (; bits != 0; bits &= bits - 1)
			SetLatch(&ProcGlobal->allProcs[word * 64 + pg_rightmost_one_pos64(bits)].procLatch);
	}
}

static void
wake_waiters(const Ring *ring)
{
	int			n = bucket_of(ring->database, ring->channel);
	Bucket	   *bucket = &doorbell->buckets[n];

	LWLockAcquire(bucket->lock, LW_EXCLUSIVE);
	bucket->latest[bucket->rings % REMEMBERED] = *ring;
	bucket->rings++;
	LWLockRelease(bucket->lock);
	/* Whoever has not seen this ring was put down before it looked. */
	wake_processes(n);
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
		Ring		ring = {MyDatabaseId, noted[i].channel};

		wake_waiters(&ring);
		if (noted[i].told)
			queue_for_worker(&ring);
		told = told || noted[i].told;
	}
	if (told)
		atx_slot_wake_worker(atx_slot_find(MyDatabaseId));
}

/* The bit of our process in a bucket. */
static pg_atomic_uint64 *
own_bit(int bucket, uint64 *mask)
{
	int			procno = AtxMyProcNumber();

	*mask = UINT64CONST(1) << (procno % 64);
	return &doorbell->waiting[bucket * doorbell->words + procno / 64];
}

/* Put our process down among those who wait on a bucket. */
static void
put_down(int bucket)
{
	uint64		mask;
	pg_atomic_uint64 *word = own_bit(bucket, &mask);

	is_waiting = true;
	pg_atomic_fetch_or_u64(word, mask);
}

static void
strike(int bucket)
{
	uint64		mask;
	pg_atomic_uint64 *word = own_bit(bucket, &mask);

	pg_atomic_fetch_and_u64(word, ~mask);
}

/* An error has ended our waiting, nobody knows for what. */
static void
strike_everywhere(void)
{
	for (int i = 0; i < BUCKETS; i++)
		strike(i);
	is_waiting = false;
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
		if (is_waiting)
			strike_everywhere();
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
		if (is_waiting)
			strike_everywhere();
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
 * Prepare to wait on channels, from now on.  Do so before looking at the
 * tables.
 */
void
atx_doorbell_attend(AtxAttention *channels, int count)
{
	for (int i = 0; i < count; i++)
	{
		channels[i].position = 0;
		if (doorbell != NULL)
		{
			Bucket	   *bucket = &doorbell->buckets[bucket_of(MyDatabaseId, channels[i].channel)];

			LWLockAcquire(bucket->lock, LW_SHARED);
			channels[i].position = bucket->rings;
			LWLockRelease(bucket->lock);
		}
	}
}

/*
 * The position from which to wait on one.
 */
uint64
atx_doorbell_position(int64 channel)
{
	AtxAttention attention = {channel};

	atx_doorbell_attend(&attention, 1);
	return attention.position;
}

/*
 * Was it rung on the channel since the position?  Moves the position on.  If
 * more was rung than the bucket remembers, it may have been.
 */
static bool
was_rung(AtxAttention *attention)
{
	Bucket	   *bucket = &doorbell->buckets[bucket_of(MyDatabaseId, attention->channel)];
	uint64		position = attention->position;
	bool		rung;

	LWLockAcquire(bucket->lock, LW_SHARED);
	rung = bucket->rings - position > REMEMBERED;
	for (; !rung && position < bucket->rings; position++)
	{
		const Ring *ring = &bucket->latest[position % REMEMBERED];

		rung = ring->channel == attention->channel && ring->database == MyDatabaseId;
	}
	attention->position = bucket->rings;
	LWLockRelease(bucket->lock);
	return rung;
}

/* The first that was rung, or -1; all positions move on. */
static int
first_rung(AtxAttention *channels, int count)
{
	int			first = -1;

	for (int i = count - 1; i >= 0; i--)
		if (was_rung(&channels[i]))
			first = i;
	return first;
}

/* Sleep until the latch is set, or until a time; false if that has come. */
static bool
sleep_until(AtxTick until)
{
	int64		left = (until - atx_now() + ATX_TICKS_PER_MS - 1) / ATX_TICKS_PER_MS;

	if (left <= 0)
		return false;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 left, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return true;
}

/*
 * Sleep until it is rung on one of the channels, counted from their positions,
 * or until a time; returns the first that was, or -1.  Without shared memory
 * nobody rings, and only the time ends the sleep.
 */
int
atx_doorbell_wait_any(AtxAttention *channels, int count, AtxTick until)
{
	int			rung;

	if (doorbell == NULL)
	{
		while (sleep_until(until))
			 /* until the time */ ;
		return -1;
	}
	for (int i = 0; i < count; i++)
		put_down(bucket_of(MyDatabaseId, channels[i].channel));
	while ((rung = first_rung(channels, count)) < 0 && sleep_until(until))
		 /* look again */ ;
	for (int i = 0; i < count; i++)
		strike(bucket_of(MyDatabaseId, channels[i].channel));
	is_waiting = false;
	return rung;
}

/*
 * The same on one channel.  Moves the position on.
 */
bool
atx_doorbell_wait(int64 channel, uint64 *position, AtxTick until)
{
	AtxAttention attention = {channel, *position};
	bool		rung = atx_doorbell_wait_any(&attention, 1, until) == 0;

	*position = attention.position;
	return rung;
}

/*
 * Take channels of this database that were rung out of the queue, for
 * good when the transaction commits, and at most once in it; returns how many.
 * Those of other databases are left, in order.
 */
int
atx_doorbell_take(int64 *channels, int limit)
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
			channels[count++] = ring.channel;
			taken[ntaken++] = ring;
		}
		else
			doorbell->queue[kept++ % QUEUE_LENGTH] = ring;
	}
	doorbell->put = kept;
	LWLockRelease(doorbell->queue_lock);
	return count;
}
