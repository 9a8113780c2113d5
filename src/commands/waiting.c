/*-------------------------------------------------------------------------
 *
 * waiting.c
 *	  Waiting inside the server, in bounded time.
 *
 * Rule: take the doorbell's position first, then look at the tables, then
 * sleep.  What happens after the look rings, and what rang before it was seen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/acl.h"

#include "base/doorbell.h"
#include "base/settings.h"
#include "commands/waiting.h"
#include "tables/session.h"

/* Does the session still live, and is it the role's? */
static AtxOutcome
look_at(int64 session_id, Oid role)
{
	Oid			owner;
	AtxOutcome	outcome = atx_session_outcome(session_id, &owner);

	if (outcome != ATX_SESSION_UNKNOWN && !has_privs_of_role(role, owner))
		return ATX_SESSION_UNKNOWN;
	return outcome;
}

/*
 * Wait until something happens to a session, for at most timeout ticks and
 * atomix.max_wait.  *happened: something did, or the session has ended.
 */
AtxAnswer
atx_wait_events(AtxScope *scope, int64 session_id, int64 timeout, bool *happened)
{
	AtxTick		until = atx_now() + Min(timeout, atx_max_wait * ATX_TICKS_PER_MS);

	for (;;)
	{
		uint64		position = atx_doorbell_position(session_id);
		AtxOutcome	outcome = look_at(session_id, scope->caller);
		AtxTick		now = atx_now();

		if (outcome == ATX_SESSION_UNKNOWN)
			return atx_answer_session(outcome, session_id);
		*happened = outcome != ATX_DONE;
		if (!*happened && now < until)
			*happened = atx_doorbell_wait(session_id, &position,
										  Min(until, now + ATX_POLL_INTERVAL));
		if (*happened || now >= until)
			return ATX_ANSWER_DONE;
	}
}
