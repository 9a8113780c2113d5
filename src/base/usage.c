/*-------------------------------------------------------------------------
 *
 * usage.c
 *	  How much there is of what is limited, counted in shared memory.
 *
 * A counter is what was counted in the tables, with all that transactions
 * have reserved since.  Reserved is at once, so that transactions that run at
 * the same time do not exceed a limit together; what a rolled back one has
 * reserved is given back by its abort callback, what one frees is free when it
 * commits.  A count that is taken again lacks what others have reserved but
 * not committed: that is known, and added.
 *
 * All of it is a cache.  Without shared memory, or without room, who asks
 * counts in the tables; and what changed just while somebody counted is put
 * right by the next count.  So no counter is trusted to refuse anything before
 * the tables were asked, nor for long to allow it.
 *
 * The callbacks touch only counters that were found before, allocate nothing
 * and raise nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "base/clock.h"
#include "base/extension.h"
#include "base/usage.h"

#define COUNTERS		1024
#define TRANCHE_NAME	"atomix usage"

typedef struct Key
{
	Oid			database;
	Oid			extension;
	int64		subject;		/* a hash of its name */
	int64		kind;
} Key;

struct AtxUsage
{
	Key			key;
	pg_atomic_uint64 used;		/* with what is pending */
	pg_atomic_uint64 pending;	/* reserved by transactions that run */
	pg_atomic_uint64 counted_at;	/* tick of the latest count; 0: none holds */
	pg_atomic_uint64 generation;	/* of the limits, at that count */
	pg_atomic_uint64 changes;	/* since that count */
	char		subject[ATX_USAGE_SUBJECT_LEN];
};

/* What this transaction did to a counter. */
typedef struct Note
{
	AtxUsage   *usage;
	int64		reserved;
	int64		released;		/* at commit */
	bool		doubted;		/* at commit */
	int			level;			/* of the subtransaction */
} Note;

typedef struct Header
{
	pg_atomic_uint64 generation;	/* raised when limits are set: what has
									 * none is not counted */
} Header;

static Header *header = NULL;
static HTAB *counters = NULL;
static LWLock *lock = NULL;

/* Lives in TopTransactionContext. */
static Note *notes = NULL;
static int	nnotes = 0;
static int	max_notes = 0;
static bool limits_set = false; /* by this transaction */

/*
 * Ask for the shared memory and the lock; in the request hook.
 */
void
atx_usage_request(void)
{
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(Header)),
									hash_estimate_size(COUNTERS, sizeof(AtxUsage))));
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

/*
 * Create the counters, or find them; under AddinShmemInitLock.
 */
void
atx_usage_create(void)
{
	HASHCTL		info = {.keysize = sizeof(Key),.entrysize = sizeof(AtxUsage)};

	bool		found;

	header = ShmemInitStruct("atomix usage header", sizeof(Header), &found);
	if (!found)
		pg_atomic_init_u64(&header->generation, 1);
	lock = &(GetNamedLWLockTranche(TRANCHE_NAME))->lock;
	counters = ShmemInitHash("atomix usage", COUNTERS, COUNTERS, &info, HASH_ELEM | HASH_BLOBS);
}

static void
subtract(pg_atomic_uint64 *from, int64 amount)
{
	(void) pg_atomic_fetch_sub_u64(from, amount);
}

static void
note_commit(const Note *note)
{
	subtract(&note->usage->pending, note->reserved);
	subtract(&note->usage->used, note->released);
	if (note->doubted)
		pg_atomic_write_u64(&note->usage->counted_at, 0);
}

static void
note_abort(const Note *note)
{
	subtract(&note->usage->pending, note->reserved);
	subtract(&note->usage->used, note->reserved);
}

static void
forget_notes(void)
{
	notes = NULL;
	nnotes = max_notes = 0;
	limits_set = false;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			for (int i = 0; i < nnotes; i++)
				note_commit(&notes[i]);
			if (limits_set && header != NULL)
				(void) pg_atomic_fetch_add_u64(&header->generation, 1);
			forget_notes();
			break;
		case XACT_EVENT_ABORT:
			for (int i = 0; i < nnotes; i++)
				note_abort(&notes[i]);
			forget_notes();
			break;
		case XACT_EVENT_PREPARE:
			/* Nobody tells us of its end: the next count does. */
			for (int i = 0; i < nnotes; i++)
				subtract(&notes[i].usage->pending, notes[i].reserved);
			forget_notes();
			break;
		default:
			break;
	}
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine,
						 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (int i = nnotes - 1; i >= 0 && notes[i].level >= level; i--)
			notes[i].level = level - 1;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		while (nnotes > 0 && notes[nnotes - 1].level >= level)
			note_abort(&notes[--nnotes]);
}

/*
 * Register the callbacks; once per process.
 */
void
atx_usage_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
	RegisterSubXactCallback(at_end_of_subtransaction, NULL);
}

static AtxUsage *
look_up(const Key *key, HASHACTION action, const char *subject)
{
	AtxUsage   *usage;
	bool		found;

	LWLockAcquire(lock, action == HASH_FIND ? LW_SHARED : LW_EXCLUSIVE);
	usage = hash_search(counters, key, action, &found);
	if (usage != NULL && !found)
	{
		pg_atomic_init_u64(&usage->used, 0);
		pg_atomic_init_u64(&usage->pending, 0);
		pg_atomic_init_u64(&usage->counted_at, 0);
		pg_atomic_init_u64(&usage->generation, 0);
		pg_atomic_init_u64(&usage->changes, 0);
		strlcpy(usage->subject, subject, ATX_USAGE_SUBJECT_LEN);
	}
	LWLockRelease(lock);
	return usage;
}

/*
 * The counter of a kind for a role or a namespace, for this transaction; NULL
 * if there is none and, if it is to be created, no room.
 */
AtxUsage *
atx_usage_find(AtxUsageKind kind, const char *subject, bool create)
{
	Key			key = {
		.database = MyDatabaseId,
		.extension = atx_extension()->oid,
		.subject = (int64) hash_bytes_extended((const unsigned char *) subject,
											   strlen(subject), 0),
		.kind = kind
	};
	AtxUsage   *usage;

	if (counters == NULL)
		return NULL;
	usage = look_up(&key, HASH_FIND, subject);
	return usage == NULL && create ? look_up(&key, HASH_ENTER_NULL, subject) : usage;
}

bool
atx_usage_is_counted(AtxUsage *usage)
{
	return pg_atomic_read_u64(&usage->counted_at) != 0 &&
		pg_atomic_read_u64(&usage->generation) == pg_atomic_read_u64(&header->generation);
}

/* Ticks since the latest count. */
int64
atx_usage_counted_ago(AtxUsage *usage)
{
	return atx_now() - (AtxTick) pg_atomic_read_u64(&usage->counted_at);
}

int64
atx_usage_now(AtxUsage *usage)
{
	return (int64) pg_atomic_read_u64(&usage->used);
}

/* The transaction's note of a counter at its present level. */
static Note *
note_of(AtxUsage *usage)
{
	int			level = GetCurrentTransactionNestLevel();
	Note	   *note;

	for (int i = nnotes - 1; i >= 0 && notes[i].level == level; i--)
		if (notes[i].usage == usage)
			return &notes[i];
	if (nnotes == max_notes)
		notes = atx_array_grow(TopTransactionContext, notes, &max_notes, sizeof(Note));
	note = &notes[nnotes++];
	memset(note, 0, sizeof(*note));
	note->usage = usage;
	note->level = level;
	return note;
}

static int64
own_reserved(AtxUsage *usage)
{
	int64		reserved = 0;

	for (int i = 0; i < nnotes; i++)
		if (notes[i].usage == usage)
			reserved += notes[i].reserved;
	return reserved;
}

/*
 * Store what was counted in the tables, with what this transaction has done,
 * and without what others do.
 */
void
atx_usage_set(AtxUsage *usage, int64 counted)
{
	int64		pending = (int64) pg_atomic_read_u64(&usage->pending) - own_reserved(usage);

	pg_atomic_write_u64(&usage->generation, pg_atomic_read_u64(&header->generation));
	pg_atomic_write_u64(&usage->used, counted + pending);
	pg_atomic_write_u64(&usage->changes, 0);
	pg_atomic_write_u64(&usage->counted_at, atx_now());
}

/*
 * Take some, unless that would be beyond the limit.
 */
bool
atx_usage_reserve(AtxUsage *usage, int64 amount, int64 limit)
{
	Note	   *note = note_of(usage);
	uint64		used = pg_atomic_read_u64(&usage->used);

	do
	{
		if ((int64) used > limit - amount)
			return false;
	} while (!pg_atomic_compare_exchange_u64(&usage->used, &used, used + amount));
	(void) pg_atomic_fetch_add_u64(&usage->pending, amount);
	(void) pg_atomic_fetch_add_u64(&usage->changes, 1);
	note->reserved += amount;
	return true;
}

/*
 * Free some, when the transaction commits.
 */
void
atx_usage_release(AtxUsage *usage, int64 amount)
{
	note_of(usage)->released += amount;
	(void) pg_atomic_fetch_add_u64(&usage->changes, 1);
}

/*
 * Have the counter be counted anew once the transaction has committed.
 */
void
atx_usage_doubt(AtxUsage *usage)
{
	note_of(usage)->doubted = true;
}

/*
 * Have all be counted anew once the transaction has committed: it sets limits,
 * and what had none was not counted.
 */
void
atx_usage_limits_set(void)
{
	limits_set = true;
}

/*
 * A counter of this database that changed since it was counted so many ticks
 * ago, and of whom it is; NULL: there is none.
 */
AtxUsage *
atx_usage_stale(int64 age, AtxUsageKind *kind, char *subject)
{
	AtxUsage   *stale = NULL;
	AtxUsage   *usage;
	HASH_SEQ_STATUS scan;

	if (counters == NULL)
		return NULL;
	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&scan, counters);
	while ((usage = hash_seq_search(&scan)) != NULL)
	{
		if (stale != NULL || usage->key.database != MyDatabaseId ||
			!atx_usage_is_counted(usage) || pg_atomic_read_u64(&usage->changes) == 0 || atx_usage_counted_ago(usage) < age)
			continue;
		stale = usage;
		*kind = (AtxUsageKind) usage->key.kind;
		strlcpy(subject, usage->subject, ATX_USAGE_SUBJECT_LEN);
	}
	LWLockRelease(lock);
	return stale;
}

/*
 * Forget the counters of a database but for those of one extension.  No
 * transaction uses them any more: it would have the tables locked.
 */
void
atx_usage_forget_others(Oid database, Oid kept_extension)
{
	AtxUsage   *usage;
	HASH_SEQ_STATUS scan;

	if (counters == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, counters);
	while ((usage = hash_seq_search(&scan)) != NULL)
		if (usage->key.database == database && usage->key.extension != kept_extension)
			(void) hash_search(counters, &usage->key, HASH_REMOVE, NULL);
	LWLockRelease(lock);
}
