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

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "base/doorbell.h"
#include "base/settings.h"
#include "commands/waiting.h"
#include "tables/authority.h"
#include "tables/session.h"
#include "tables/stream.h"

/* How often a standby is looked at, where nobody rings for what is replayed. */
#define REPLAY_INTERVAL	(100 * ATX_TICKS_PER_MS)

/* In place of a channel: nobody rings there. */
#define SILENT_CHANNEL	PG_INT64_MIN

static AtxAnswer
await_replay(int64 index)
{
	AtxTick		until = atx_now() + atx_query_wait * ATX_TICKS_PER_MS;
	AtxTick		now;

	while (RecoveryInProgress())
	{
		uint64		position = atx_doorbell_position(SILENT_CHANNEL);

		if (atx_index_safe() >= index)
			return ATX_ANSWER_DONE;
		now = atx_now();
		if (now >= until)
			return atx_answer(ATX_UNAVAILABLE,
							  psprintf("this standby has not come to index " INT64_FORMAT, index));
		(void) atx_doorbell_wait(SILENT_CHANNEL, &position, Min(until, now + REPLAY_INTERVAL));
		atx_scope_forget();
	}
	return ATX_ANSWER_DONE;
}

/*
 * See to it that what was done up to an index can be seen: invalid if it was
 * not given out, unavailable if a standby does not come to it within
 * atomix.query_wait.  The caller has read nothing in its scope so far.
 */
AtxAnswer
atx_await_index(int64 index)
{
	AtxAnswer	answer = await_replay(index);

	if (answer.outcome == ATX_DONE && !RecoveryInProgress() && index > atx_index_newest())
		answer = atx_answer(ATX_INVALID,
							psprintf("index " INT64_FORMAT " has not been given out", index));
	return answer;
}

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

/* A session with its streams, and what there is to hear of them. */
typedef struct Attendance
{
	AtxStream  *streams;
	int			nstreams;
	AtxAttention *channels;		/* of the session, then of the streams'
								 * services */
	int			nchannels;
} Attendance;

static void
attend(int64 session_id, Attendance *attendance)
{
	attendance->nstreams = atx_stream_of_session(session_id, &attendance->streams);
	attendance->channels = palloc(sizeof(AtxAttention) * (attendance->nstreams + 1));
	attendance->channels[0].channel = session_id;
	attendance->nchannels = 1;
	for (int i = 0; i < attendance->nstreams; i++)
		if (attendance->streams[i].closed == 0)
			attendance->channels[attendance->nchannels++].channel = attendance->streams[i].service_id;
	atx_doorbell_attend(attendance->channels, attendance->nchannels);
}

/*
 * Look, and sleep until something may have happened, if nothing has.
 */
static AtxAnswer
look_and_sleep(AtxScope *scope, int64 session_id, AtxTick until, bool *happened)
{
	Attendance	attendance;
	AtxOutcome	outcome;

	attend(session_id, &attendance);
	outcome = look_at(session_id, scope->caller);
	if (outcome == ATX_SESSION_UNKNOWN)
		return atx_answer_session(outcome, session_id);
	*happened = outcome != ATX_DONE ||
		atx_stream_any_pending(attendance.streams, attendance.nstreams);
	if (!*happened)
		*happened = atx_doorbell_wait_any(attendance.channels, attendance.nchannels,
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
		CHECK_FOR_INTERRUPTS();
		/* What comes while we sleep until the end is seen once more. */
		last = atx_now() >= until;
		answer = look_and_sleep(scope, session_id, until, happened);
	} while (answer.outcome == ATX_DONE && !*happened && !last);
	return answer;
}
