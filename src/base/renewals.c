/*-------------------------------------------------------------------------
 *
 * renewals.c
 *	  Renewals of sessions in shared memory.
 *
 * A call notes a renewal; the pre-commit callback pins the session's entry,
 * or raises 40001 if the session has ended; the commit callback stores the
 * time and unpins.  Who ends a session marks its entry, which stops new pins,
 * waits for those that are there, and removes the entry when it commits.
 *
 * Rules: a pin or a mark is set under the partition's lock, so that of the
 * two the first wins.  The commit and abort callbacks touch only entries that
 * were pinned or marked before, allocate nothing and raise nothing.  No
 * catalog is read and nothing is raised while a lock is held.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "base/renewals.h"
#include "base/settings.h"

#define PARTITIONS		32
#define TRANCHE_NAME	"atomix renewals"

typedef struct Key
{
	int64		session_id;
	Oid			database;
	Oid			extension;
} Key;

typedef struct Entry
{
	Key			key;
	int			ender;			/* pid whose transaction ends it, or 0;
								 * partition lock */
	bool		dropped;		/* with its database or extension; goes when
								 * nobody uses it any more */
	Oid			owner;
	int64		timeout;
	pg_atomic_uint64 renewed_at;
	pg_atomic_uint64 anchored_at;
	pg_atomic_uint32 pins;		/* raised under the partition lock */
} Entry;

typedef struct Header
{
	ConditionVariable unpinned; /* an entry that is being ended lost a pin */
} Header;

/* A renewal of this transaction. */
typedef struct Note
{
	Entry	   *entry;			/* while pinned, else NULL */
	Key			key;
	AtxTick		at;
	int			level;			/* of the subtransaction */
	bool		in_row;			/* the row is renewed as well */
} Note;

/* A session that this transaction ends. */
typedef struct Mark
{
	Entry	   *entry;
	Key			key;
	int			level;
} Mark;

static Header *header = NULL;
static HTAB *entries = NULL;
static LWLockPadded *locks = NULL;

/* Both arrays live in TopTransactionContext. */
static Note *notes = NULL;
static int	nnotes = 0;
static int	max_notes = 0;
static Mark *marks = NULL;
static int	nmarks = 0;
static int	max_marks = 0;

/*
 * Ask for the shared memory and the locks; in the request hook.
 */
void
atx_renewals_request(void)
{
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(Header)),
									hash_estimate_size(atx_shared_sessions, sizeof(Entry))));
	RequestNamedLWLockTranche(TRANCHE_NAME, PARTITIONS);
}

/*
 * Create the hash, or find it; under AddinShmemInitLock.
 */
void
atx_renewals_create(void)
{
	HASHCTL		info = {0};
	bool		found;

	if (atx_shared_sessions == 0)
		return;

	header = ShmemInitStruct("atomix renewals header", sizeof(Header), &found);
	if (!found)
		ConditionVariableInit(&header->unpinned);
	locks = GetNamedLWLockTranche(TRANCHE_NAME);

	info.keysize = sizeof(Key);
	info.entrysize = sizeof(Entry);
	info.num_partitions = PARTITIONS;
	entries = ShmemInitHash("atomix renewals", atx_shared_sessions,
							atx_shared_sessions, &info,
							HASH_ELEM | HASH_BLOBS | HASH_PARTITION | HASH_FIXED_SIZE);
}

/*
 * Is there shared memory to renew in?
 */
bool
atx_renewals_usable(void)
{
	return entries != NULL;
}

static Key
make_key(Oid extension, int64 session_id)
{
	Key			key;

	key.session_id = session_id;
	key.database = MyDatabaseId;
	key.extension = extension;
	return key;
}

static bool
same_key(const Key *a, const Key *b)
{
	return a->session_id == b->session_id && a->database == b->database &&
		a->extension == b->extension;
}

static LWLock *
lock_of(uint32 hash)
{
	return &locks[hash % PARTITIONS].lock;
}

static Entry *
search(const Key *key, uint32 hash, HASHACTION action, bool *found)
{
	return (Entry *) hash_search_with_hash_value(entries, key, hash, action, found);
}

static void
raise_to(pg_atomic_uint64 *value, AtxTick tick)
{
	uint64		old = pg_atomic_read_u64(value);

	while (old < (uint64) tick &&
		   !pg_atomic_compare_exchange_u64(value, &old, (uint64) tick))
		;
}

/*
 * Look a session up; the copy is valid unless it is absent.
 */
AtxRenewalState
atx_renewal_find(Oid extension, int64 session_id, AtxRenewal *renewal)
{
	Key			key = make_key(extension, session_id);
	uint32		hash;
	Entry	   *entry;
	AtxRenewalState state = ATX_RENEWAL_ABSENT;

	if (entries == NULL)
		return state;
	hash = get_hash_value(entries, &key);
	LWLockAcquire(lock_of(hash), LW_SHARED);
	entry = search(&key, hash, HASH_FIND, NULL);
	/* What this transaction has ended itself is gone: its row says so. */
	if (entry != NULL && entry->ender != MyProcPid)
	{
		state = entry->ender != 0 ? ATX_RENEWAL_ENDING : ATX_RENEWAL_LIVE;
		renewal->owner = entry->owner;
		renewal->timeout = entry->timeout;
		renewal->renewed_at = (AtxTick) pg_atomic_read_u64(&entry->renewed_at);
		renewal->anchored_at = (AtxTick) pg_atomic_read_u64(&entry->anchored_at);
	}
	LWLockRelease(lock_of(hash));
	return state;
}

/*
 * Make an entry for a lease whose row is committed; false if there is no
 * room.  The caller holds the session's private lock, so that nobody ends it
 * between the reading of the row and now.
 */
bool
atx_renewal_fill(Oid extension, int64 session_id, const AtxRenewal *renewal)
{
	Key			key = make_key(extension, session_id);
	uint32		hash;
	Entry	   *entry;
	bool		found;

	if (entries == NULL)
		return false;
	hash = get_hash_value(entries, &key);
	LWLockAcquire(lock_of(hash), LW_EXCLUSIVE);
	entry = search(&key, hash, HASH_ENTER_NULL, &found);
	if (entry != NULL && !found)
	{
		entry->ender = 0;
		entry->dropped = false;
		entry->owner = renewal->owner;
		entry->timeout = renewal->timeout;
		pg_atomic_init_u64(&entry->renewed_at, (uint64) renewal->renewed_at);
		pg_atomic_init_u64(&entry->anchored_at, (uint64) renewal->anchored_at);
		pg_atomic_init_u32(&entry->pins, 0);
	}
	LWLockRelease(lock_of(hash));
	return entry != NULL;
}

/*
 * The note to store a renewal in: the latest one if it is of the same kind,
 * so that a session renewed again and again takes no more memory.
 */
static Note *
note_for(const Key *key, int level, bool in_row)
{
	Note	   *last = nnotes > 0 ? &notes[nnotes - 1] : NULL;

	if (last != NULL && same_key(&last->key, key) && last->level == level &&
		last->in_row == in_row)
		return last;
	if (nnotes == max_notes)
		notes = atx_array_grow(TopTransactionContext, notes, &max_notes, sizeof(Note));
	last = &notes[nnotes++];
	last->entry = NULL;			/* NOLINT: an array that has grown is there */
	last->key = *key;
	last->at = 0;
	last->level = level;
	last->in_row = in_row;
	return last;
}

/*
 * Note a renewal, to be stored when the transaction commits; false if the
 * session has no entry (any more): then only a renewal of the row counts.
 * In_row: the row is renewed by the same transaction.
 */
bool
atx_renewal_note(Oid extension, int64 session_id, AtxTick at, bool in_row)
{
	Key			key = make_key(extension, session_id);
	uint32		hash;
	bool		found;
	Note	   *note;

	if (entries == NULL)
		return false;
	hash = get_hash_value(entries, &key);
	LWLockAcquire(lock_of(hash), LW_SHARED);
	found = search(&key, hash, HASH_FIND, NULL) != NULL;
	LWLockRelease(lock_of(hash));
	if (!found)
		return false;

	note = note_for(&key, GetCurrentTransactionNestLevel(), in_row);
	note->at = Max(note->at, at);
	return true;
}

/*
 * Pin the entry of a renewal; false if the session has ended or is being
 * ended by another transaction.  It is looked up again: the place in memory
 * where it was may serve another session by now.
 */
static bool
pin(Note *note)
{
	uint32		hash = get_hash_value(entries, &note->key);
	Entry	   *entry;

	LWLockAcquire(lock_of(hash), LW_SHARED);
	entry = search(&note->key, hash, HASH_FIND, NULL);
	if (entry != NULL && entry->ender == 0)
	{
		pg_atomic_fetch_add_u32(&entry->pins, 1);
		note->entry = entry;
	}
	LWLockRelease(lock_of(hash));
	return note->entry != NULL;
}

static bool
is_in_use(Entry *entry)
{
	return entry->ender != 0 || pg_atomic_read_u32(&entry->pins) != 0;
}

/* Remove an entry that was in use when it should have gone. */
static void
remove_dropped(const Key *key)
{
	uint32		hash = get_hash_value(entries, key);
	Entry	   *entry;

	LWLockAcquire(lock_of(hash), LW_EXCLUSIVE);
	entry = search(key, hash, HASH_FIND, NULL);
	if (entry != NULL && entry->dropped && !is_in_use(entry))
		(void) search(key, hash, HASH_REMOVE, NULL);
	LWLockRelease(lock_of(hash));
}

static void
unpin(Note *note)
{
	Entry	   *entry = note->entry;

	if (entry == NULL)
		return;
	note->entry = NULL;
	pg_atomic_fetch_sub_u32(&entry->pins, 1);
	/* Whoever ends or drops it said so before it read the pins. */
	pg_memory_barrier();
	if (entry->ender != 0)
		ConditionVariableBroadcast(&header->unpinned);
	if (entry->dropped)
		remove_dropped(&note->key);
}

static bool
ended_by_me(const Key *key)
{
	for (int i = 0; i < nmarks; i++)
		if (same_key(&marks[i].key, key))
			return true;
	return false;
}

/* Pin all that was renewed, or refuse to commit. */
static void
pin_all(void)
{
	for (int i = 0; i < nnotes; i++)
	{
		/* Renewed and then ended by this transaction: ended. */
		if (nmarks > 0 && ended_by_me(&notes[i].key))
			continue;
		if (!pin(&notes[i]))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("session " INT64_FORMAT " has ended since it was renewed",
							notes[i].key.session_id),
					 errhint("The transaction might succeed if retried.")));
	}
}

static void
store_all(void)
{
	for (int i = 0; i < nnotes; i++)
	{
		if (notes[i].entry == NULL)
			continue;
		raise_to(&notes[i].entry->renewed_at, notes[i].at);
		if (notes[i].in_row)
			raise_to(&notes[i].entry->anchored_at, notes[i].at);
	}
}

static void
remove_entry(const Mark *mark)
{
	uint32		hash = get_hash_value(entries, &mark->key);

	LWLockAcquire(lock_of(hash), LW_EXCLUSIVE);
	(void) search(&mark->key, hash, HASH_REMOVE, NULL);
	LWLockRelease(lock_of(hash));
}

static void
take_mark_back(const Mark *mark)
{
	LWLock	   *lock = lock_of(get_hash_value(entries, &mark->key));
	bool		dropped;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	mark->entry->ender = 0;
	dropped = mark->entry->dropped;
	LWLockRelease(lock);
	if (dropped)
		remove_dropped(&mark->key);
}

static void
forget_all(void)
{
	notes = NULL;
	nnotes = max_notes = 0;
	marks = NULL;
	nmarks = max_marks = 0;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT)
		pin_all();
	else if (event == XACT_EVENT_PREPARE)
	{
		/* All was rolled back to a savepoint, but the arrays are there. */
		Assert(nnotes == 0 && nmarks == 0);
		forget_all();
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
	{
		if (event == XACT_EVENT_COMMIT)
			store_all();
		for (int i = 0; i < nnotes; i++)
			unpin(&notes[i]);
		for (int i = 0; i < nmarks; i++)
			if (event == XACT_EVENT_COMMIT)
				remove_entry(&marks[i]);
			else
				take_mark_back(&marks[i]);
		forget_all();
	}
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine,
						 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = nnotes - 1; i >= 0 && notes[i].level >= level; i--)
			notes[i].level = level - 1;
		for (int i = nmarks - 1; i >= 0 && marks[i].level >= level; i--)
			marks[i].level = level - 1;
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (nnotes > 0 && notes[nnotes - 1].level >= level)
			nnotes--;
		while (nmarks > 0 && marks[nmarks - 1].level >= level)
			take_mark_back(&marks[--nmarks]);
	}
}

/*
 * Register the callbacks; once per process.
 */
void
atx_renewals_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
	RegisterSubXactCallback(at_end_of_subtransaction, NULL);
}

/* Room for one more mark, made before any lock is held. */
static Mark *
next_mark(const Key *key)
{
	if (nmarks == max_marks)
		marks = atx_array_grow(TopTransactionContext, marks, &max_marks, sizeof(Mark));
	marks[nmarks].key = *key;
	marks[nmarks].level = GetCurrentTransactionNestLevel();
	return &marks[nmarks];
}

/*
 * Does what memory knows allow to end the session?  A renewal from before
 * grace says nothing: then the row decides.  The caller holds the partition's
 * lock exclusive, so that no pin comes.  One that goes leaves its renewal
 * first, hence the order of reading.
 */
static bool
is_due(Entry *entry, AtxTick now, AtxTick grace_from)
{
	AtxTick		renewed_at;

	if (pg_atomic_read_u32(&entry->pins) != 0)
		return false;
	pg_read_barrier();
	renewed_at = (AtxTick) pg_atomic_read_u64(&entry->renewed_at);
	return renewed_at < grace_from ||
		renewed_at + entry->timeout + ATX_LEASE_SLACK(entry->timeout) < now;
}

/*
 * Mark a session as ending if its latest renewal allows that and none is
 * just being committed; true also if it has no entry.  The mark goes with the
 * transaction; if that commits without ending the session, the entry is lost
 * and the row is all there is.  The caller holds the session's private lock
 * exclusive.
 */
bool
atx_renewal_end_if_due(Oid extension, int64 session_id, AtxTick now,
					   AtxTick grace_from)
{
	Key			key = make_key(extension, session_id);
	uint32		hash;
	Mark	   *mark;
	bool		due;

	if (entries == NULL)
		return true;
	hash = get_hash_value(entries, &key);
	mark = next_mark(&key);

	LWLockAcquire(lock_of(hash), LW_EXCLUSIVE);
	mark->entry = search(&key, hash, HASH_FIND, NULL);
	due = mark->entry == NULL || is_due(mark->entry, now, grace_from);
	if (due && mark->entry != NULL)
	{
		mark->entry->ender = MyProcPid;
		nmarks++;
	}
	LWLockRelease(lock_of(hash));
	return due;
}

/*
 * Mark a session as ending whatever its renewals, and wait for those that
 * are just being committed; ERROR 40001 if they do not come to an end within
 * atomix.max_wait.  The caller holds the session's private lock exclusive.
 */
void
atx_renewal_end(Oid extension, int64 session_id)
{
	Key			key = make_key(extension, session_id);
	AtxTick		until = atx_now() + atx_max_wait * ATX_TICKS_PER_MS;
	uint32		hash;
	Mark	   *mark;

	if (entries == NULL)
		return;
	hash = get_hash_value(entries, &key);
	mark = next_mark(&key);

	LWLockAcquire(lock_of(hash), LW_EXCLUSIVE);
	mark->entry = search(&key, hash, HASH_FIND, NULL);
	if (mark->entry != NULL)
	{
		mark->entry->ender = MyProcPid;
		nmarks++;
	}
	LWLockRelease(lock_of(hash));
	if (mark->entry == NULL)
		return;

	ConditionVariablePrepareToSleep(&header->unpinned);
	while (pg_atomic_read_u32(&mark->entry->pins) > 0)
	{
		int64		left = (until - atx_now()) / ATX_TICKS_PER_MS;

		if (left <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("session " INT64_FORMAT " is being renewed by a transaction that does not finish its commit",
							session_id),
					 errhint("The transaction might succeed if retried.")));
		(void) ConditionVariableTimedSleep(&header->unpinned, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

static bool
wants_anchor(Entry *entry, AtxTick now, AtxTick *renewed_at)
{
	AtxTick		anchored_at = (AtxTick) pg_atomic_read_u64(&entry->anchored_at);

	*renewed_at = (AtxTick) pg_atomic_read_u64(&entry->renewed_at);
	return *renewed_at > anchored_at && now - anchored_at >= entry->timeout / 8;
}

/*
 * Up to limit renewals of this database that its rows should know by now;
 * returns how many.
 */
int
atx_renewals_to_anchor(Oid extension, AtxTick now, AtxAnchor *anchors, int limit)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;
	int			count = 0;

	if (entries == NULL)
		return 0;

	/* No partition may change while a scan is under way. */
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&locks[i].lock, LW_SHARED);
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->key.database != MyDatabaseId ||
			entry->key.extension != extension || entry->ender != 0 ||
			!wants_anchor(entry, now, &anchors[count].renewed_at))
			continue;
		anchors[count++].session_id = entry->key.session_id;
		if (count == limit)
		{
			hash_seq_term(&scan);
			break;
		}
	}
	for (int i = PARTITIONS - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
	return count;
}

/*
 * The row knows this renewal now, and that is committed.
 */
void
atx_renewal_anchored(Oid extension, const AtxAnchor *anchor)
{
	Key			key = make_key(extension, anchor->session_id);
	uint32		hash = get_hash_value(entries, &key);
	Entry	   *entry;

	LWLockAcquire(lock_of(hash), LW_SHARED);
	entry = search(&key, hash, HASH_FIND, NULL);
	if (entry != NULL)
		raise_to(&entry->anchored_at, anchor->renewed_at);
	LWLockRelease(lock_of(hash));
}

/*
 * Remove the entries of a database: those of an extension, or those of all
 * but it.  One that is in use is left to whoever uses it.  Allocates nothing
 * and raises nothing: it may be called in a commit callback.
 */
static void
forget(Oid database, Oid extension, bool others)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;

	if (entries == NULL)
		return;
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (entry->key.database != database ||
			(entry->key.extension == extension) == others)
			continue;
		entry->dropped = true;
		pg_memory_barrier();
		if (!is_in_use(entry))
			(void) hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
	for (int i = PARTITIONS - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
}

/*
 * Forget all of a database but those of one extension (InvalidOid: all).
 */
void
atx_renewals_forget_others(Oid database, Oid kept_extension)
{
	forget(database, kept_extension, true);
}

/*
 * Forget those of an extension of this database that was dropped.
 */
void
atx_renewals_forget_extension(Oid extension)
{
	forget(MyDatabaseId, extension, false);
}

/*
 * The database with entries that comes next after one, InvalidOid at the end.
 */
Oid
atx_renewals_next_database(Oid after)
{
	HASH_SEQ_STATUS scan;
	Entry	   *entry;
	Oid			next = InvalidOid;

	if (entries == NULL)
		return next;
	for (int i = 0; i < PARTITIONS; i++)
		LWLockAcquire(&locks[i].lock, LW_SHARED);
	hash_seq_init(&scan, entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->key.database > after &&
			(!OidIsValid(next) || entry->key.database < next))
			next = entry->key.database;
	for (int i = PARTITIONS - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
	return next;
}
