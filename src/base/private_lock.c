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

#include "miscadmin.h"
#include "storage/lock.h"

#include "base/private_lock.h"
#include "compat.h"

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

/*
 * Take the lock shared until the transaction ends, waiting as row locks do.
 */
void
atx_lock_shared(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	(void) LockAcquire(&tag, ShareLock, false, false);
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
	(void) LockRelease(&tag, ShareLock, false);
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
	if (LockAcquire(&tag, ExclusiveLock, false, upgrade) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not lock " INT64_FORMAT " exclusively", id),
				 errdetail("This transaction has used it already, and so has another one that is still running."),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * Take the lock exclusive until the transaction ends if that needs no wait.
 */
bool
atx_try_lock_exclusive(AtxLockClass class, int64 id)
{
	LOCKTAG		tag;

	set_tag(&tag, class, id);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}
