/*-------------------------------------------------------------------------
 *
 * private_lock.h
 *	  Transaction-scoped locks out of reach of users' advisory functions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_PRIVATE_LOCK_H
#define ATX_PRIVATE_LOCK_H

#include "storage/lockdefs.h"

/* Locks one transaction may hold: the server's lock table is for all. */
#define ATX_MAX_PRIVATE_LOCKS	512

/* In the order in which one call takes them; ids within a class ascend. */
typedef enum AtxLockClass
{
	ATX_LOCK_JUMP,				/* id 0: taking over the database */
	ATX_LOCK_SESSION,			/* shared by its commands, exclusive by
								 * whoever ends it */
	ATX_LOCK_COMMAND,			/* a hash of session and number: one executes,
								 * the others wait for its outcome */
	ATX_LOCK_CLAIM,				/* shared by guards, exclusive by whoever ends
								 * or moves the grant */
	ATX_LOCK_NAME,				/* a hash of a name: creating that service */
	ATX_LOCK_SERVICE,			/* shared for independent keys of a
								 * collection, else exclusive */
	ATX_LOCK_HOLD,				/* exclusive by who holds the service for a
								 * transaction, shared by grants, which only
								 * try */
	ATX_LOCK_ENTRY				/* a hash of service and key: one of several
								 * that a batch changes */
} AtxLockClass;

extern void atx_private_lock_init(void);
extern int	atx_private_locks_left(void);
extern void atx_lock_shared(AtxLockClass class, int64 id);
extern void atx_lock_exclusive(AtxLockClass class, int64 id);
extern void atx_lock_all_exclusive(AtxLockClass class, int64 *ids, int count);
extern bool atx_try_lock_shared(AtxLockClass class, int64 id);
extern bool atx_try_lock_shared_briefly(AtxLockClass class, int64 id);
extern void atx_unlock_shared(AtxLockClass class, int64 id);
extern void atx_unlock_exclusive(AtxLockClass class, int64 id);
extern bool atx_try_lock_exclusive(AtxLockClass class, int64 id);
extern bool atx_locked_exclusive(AtxLockClass class, int64 id);
extern bool atx_locked_shared(AtxLockClass class, int64 id);

#endif							/* ATX_PRIVATE_LOCK_H */
