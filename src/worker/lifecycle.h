/*-------------------------------------------------------------------------
 *
 * lifecycle.h
 *	  The slots' way from wanted to running and back, and holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_LIFECYCLE_H
#define ATX_LIFECYCLE_H

#include "base/shmem.h"

extern bool atx_worker_start_is_due(AtxSlot *slot, long *wait_ms);
extern bool atx_worker_claim(AtxSlot *slot);
extern void atx_worker_leave(AtxSlot *slot, bool wanted);
extern void atx_worker_start_failed(AtxSlot *slot);
extern void atx_slot_free_if_gone(AtxSlot *slot, Oid database);

extern bool atx_database_is_held(Oid database);
extern void atx_hold_database(Oid database);
extern void atx_release_databases(void);
extern bool atx_await_worker_gone(Oid database, int timeout_ms);

#endif							/* ATX_LIFECYCLE_H */
