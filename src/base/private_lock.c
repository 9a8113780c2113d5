/*-------------------------------------------------------------------------
 *
 * private_lock.c
 *	  Transaction-scoped locks out of reach of users' advisory functions.
 *
 * They live in the server's lock table (LOCKTAG_USERLOCK: database, id,
 * class), cost no WAL and no transaction id, are seen in pg_locks, and the
 * deadlock detector knows them.  After taking one, read with a new snapshot:
 * what was read before may have changed while waiting.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "base/private_lock.h"
#include "compat.h"

/* How many locks were held when a live subtransaction began. */
typedef struct LevelCount
{
	int			held;
	struct LevelCount *outer;
} LevelCount;

static int	held = 0;			/* by this transaction */
static LevelCount *levels = NULL;	/* innermost first, in
									 * TopTransactionContext */

static void
set_tag(LOCKTAG *tag, AtxLockClass class, int64 id)
{
	tag->locktag_field1 = MyDatabaseId;
	tag->locktag_field2 = (uint32) ((uint64) id >> 32);
	tag->locktag_field3 = (uint32) id;
	tag->locktag_field4 = (uint16) class;
	tag->locktag_type = LOCKTAG_USERLOCK;
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
	{
		held = 0;
		levels = NULL;
	}
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId mine,
				  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_START_SUB)
	{
		LevelCount *level = MemoryContextAlloc(TopTransactionContext, sizeof(LevelCount));

		level->held = held;
		level->outer = levels;
		levels = level;
	}
	else if (levels != NULL &&
			 (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB))
	{
		LevelCount *level = levels;

		/* An abort gives back the locks taken since. */
		if (event == SUBXACT_EVENT_ABORT_SUB)
			held = level->held;
		levels = level->outer;
		pfree(level);
	}
}

/*
 * Register the callbacks that keep count; once per process.
 */
void
atx_private_lock_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
}

static bool
take_unlimited(const LOCKTAG *tag, LOCKMODE mode, bool dont_wait)
{
	LockAcquireResult result = LockAcquire(tag, mode, false, dont_wait);

	if (result == LOCKACQUIRE_OK)
		held++;
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * How many more locks the transaction may take.
 */
int
atx_private_locks_left(void)
{
	return Max(ATX_MAX_PRIVATE_LOCKS - held, 0);
}

/* Take a lock, or try to; ERROR 54000 beyond what a transaction may hold. */
static bool
take(const LOCKTAG *tag, LOCKMODE mode, bool dont_wait)
{
	if (held >= ATX_MAX_PRIVATE_LOCKS && !AtxLockHeldByMe(tag, mode))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many sessions, services and numbered commands are used in one transaction"),
				 errdetail("A transaction can use %d in all.", ATX_MAX_PRIVATE_LOCKS),
				 errhint("Split the work into several transactions.")));

	return take_unlimited(tag, mode, dont_wait);
}

static void
give_back(const LOCKTAG *tag, LOCKMODE mode)
{
	(void) LockRelease(tag, mode, false);
	if (!AtxLockHeldByMe(tag, mode))
		held--;
}

/*
 * Take the lock shared until the transaction ends, waiting as row locks do.
 */
void
atx_lock_shared(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	(void) take(&tag, ShareLock, false);
}

/*
 * The same if that needs no wait; false if it would.
 */
bool
atx_try_lock_shared(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	return take(&tag, ShareLock, true);
}

/*
 * The same for a lock that is given back at once, however many are held.
 */
bool
atx_try_lock_shared_briefly(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	return take_unlimited(&tag, ShareLock, true);
}

/*
 * Give back a lock just taken shared, because it turned out to be none of
 * the caller's business.
 */
void
atx_unlock_shared(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	give_back(&tag, ShareLock);
}

/*
 * The same for one just taken exclusive.
 */
void
atx_unlock_exclusive(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	give_back(&tag, ExclusiveLock);
}

/*
 * Take the lock exclusive until the transaction ends.
 *
 * Waits as row locks do, except when this transaction already has it shared
 * from an earlier call: then waiting could deadlock with another one in the
 * same position, so it is tried once, and ERROR 40001 if another holds it.
 */
void
atx_lock_exclusive(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;
	bool		upgrade;

	set_tag(&tag, class, id);
	upgrade = AtxLockHeldByMe(&tag, ShareLock) &&
		!AtxLockHeldByMe(&tag, ExclusiveLock);
	if (!take(&tag, ExclusiveLock, upgrade))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not lock " INT64_FORMAT " exclusively", id),
				 errdetail("This transaction has used it already, and so has another one that is still running."),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * Take several locks exclusive, in an order that is the same for everybody,
 * so that two who take common ones do not deadlock.  Sorts the ids.
 */
void
atx_lock_all_exclusive(AtxLockClass class, int64 *ids, int count)
{
	atx_ids_sort(ids, count);
	for (int i = 0; i < count; i++)
		atx_lock_exclusive(class, ids[i]);
}

/*
 * Take the lock exclusive until the transaction ends if that needs no wait.
 */
bool
atx_try_lock_exclusive(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	return take(&tag, ExclusiveLock, true);
}

/*
 * Does this transaction have the lock exclusive?
 */
bool
atx_locked_exclusive(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	return AtxLockHeldByMe(&tag, ExclusiveLock);
}

/*
 * Does this transaction have the lock shared?
 */
bool
atx_locked_shared(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	return AtxLockHeldByMe(&tag, ShareLock);
}
