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
#include "tables/stream.h"

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
 * Attend to a session and to the services whose events its streams wait for;
 * returns how many channels that are, the session's first.
 */
static int
attend(int64 session_id, bool has_streams, AtxAttention **channels)
{
	int64	   *service_ids = NULL;
	int			count = has_streams ? atx_stream_services(session_id, &service_ids) : 0;

	*channels = palloc(sizeof(AtxAttention) * (count + 1));
	(*channels)[0].channel = session_id;
	for (int i = 0; i < count; i++)
		(*channels)[i + 1].channel = service_ids[i];
	atx_doorbell_attend(*channels, count + 1);
	return count + 1;
}

/*
 * Look, and sleep until something may have happened, if nothing has.
 */
static AtxAnswer
look_and_sleep(AtxScope *scope, int64 session_id, AtxTick until, bool *happened)
{
	bool		has_streams = atx_stream_any_of_session(session_id);
	AtxAttention *channels;
	int			count = attend(session_id, has_streams, &channels);
	AtxOutcome	outcome = look_at(session_id, scope->caller);

	if (outcome == ATX_SESSION_UNKNOWN)
		return atx_answer_session(outcome, session_id);
	*happened = outcome != ATX_DONE || (has_streams && atx_stream_pending(session_id));
	if (!*happened)
		*happened = atx_doorbell_wait_any(channels, count,
										  Min(until, atx_now() + ATX_POLL_INTERVAL)) == 0;
	/* Who attends to a busy service looks often. */
	atx_scope_forget();
	return ATX_ANSWER_DONE;
}

/*
 * Wait until something happens to a session, for at most timeout ticks and
 * atomix.max_wait.  *happened: something did, or it has streams with outputs
 * that are not acknowledged, or it has ended.
 */
AtxAnswer
atx_wait_events(AtxScope *scope, int64 session_id, int64 timeout, bool *happened)
{
	AtxTick		until = atx_now() + Min(timeout, atx_max_wait * ATX_TICKS_PER_MS);
	AtxAnswer	answer;
	bool		last;

	do
	{
		/* What comes while we sleep until the end is seen once more. */
		last = atx_now() >= until;
		answer = look_and_sleep(scope, session_id, until, happened);
	} while (answer.outcome == ATX_DONE && !*happened && !last);
	return answer;
}
