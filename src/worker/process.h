/*-------------------------------------------------------------------------
 *
 * process.h
 *	  What every background process of atomix does in the same way: connect,
 *	  and run steps in transactions of their own.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_PROCESS_H
#define ATX_PROCESS_H

#include "base/shmem.h"

/* How a step came out. */
typedef enum AtxRunResult
{
	ATX_RUN_DONE,
	ATX_RUN_FAILED,				/* reported, undone */
	ATX_RUN_ABSENT,				/* the extension is not in this database */
	ATX_RUN_BUSY				/* somebody is changing our tables */
} AtxRunResult;

typedef void (*AtxStep) (void *state);

/* The slot this process serves; NULL if it serves none. */
extern AtxSlot *atx_worker_slot;

extern bool atx_standby_confirms(void);
extern void atx_worker_connect(Oid database);
extern AtxRunResult atx_run(AtxStep step, void *state, const char *activity);
extern AtxRunResult atx_run_in_turn(AtxStep step, void *state, const char *activity);
extern AtxRunResult atx_run_relaxed(AtxStep step, void *state, const char *activity);

#endif							/* ATX_PROCESS_H */
