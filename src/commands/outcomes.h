/*-------------------------------------------------------------------------
 *
 * outcomes.h
 *	  Numbers for the caller's own work, and what became of any number.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_OUTCOMES_H
#define ATX_OUTCOMES_H

#include "commands/exactly_once.h"

typedef struct AtxOutcomeReport
{
	const char *state;			/* a command's, or one of outcome()'s own */
	bool		executed;		/* then command tells how */
	AtxCommand	command;
} AtxOutcomeReport;

extern AtxAnswer atx_once(AtxScope *scope, int64 session_id, int64 sequence_num,
						  const text *request, bool *first);
extern AtxAnswer atx_outcome(AtxScope *scope, int64 session_id, int64 sequence_num,
							 AtxOutcomeReport *report);

#endif							/* ATX_OUTCOMES_H */
