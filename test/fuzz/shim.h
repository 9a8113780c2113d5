/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  As much of the server as the fuzzed sources call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SHIM_H
#define SHIM_H

#include "compat.h"

/* What became of one run of a target's code. */
typedef struct ShimResult
{
	int			sqlstate;		/* of the error it ended with, 0 without one */
	Size		peak;			/* most memory it had at a time */
} ShimResult;

extern ShimResult shim_run(void (*code) (void *argument), void *argument);
pg_noreturn extern void shim_defect(const char *what);

#endif							/* SHIM_H */
