/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Outcomes of calls, and the errors that the typed functions make of them.
 *
 * A command reports what happened as an AtxAnswer; only the faces decide
 * whether that becomes an ERROR (typed functions) or a status (wire).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/errors.h"

static int
outcome_sqlstate(AtxOutcome outcome)
{
	switch (outcome)
	{
		case ATX_SESSION_UNKNOWN:
			return ERRCODE_ATX_SESSION_UNKNOWN;
		case ATX_SESSION_EXPIRED:
			return ERRCODE_ATX_SESSION_EXPIRED;
		case ATX_SESSION_CLOSED:
			return ERRCODE_ATX_SESSION_CLOSED;
		case ATX_UNAVAILABLE:
			return ERRCODE_CANNOT_CONNECT_NOW;
		case ATX_PARTITION_ELSEWHERE:
			return ERRCODE_ATX_PARTITION_ELSEWHERE;
		case ATX_NOT_SUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case ATX_SERVICE_NOT_OPEN:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case ATX_SERVICE_DELETED:
			return ERRCODE_ATX_SERVICE_DELETED;
		case ATX_SERVICE_TYPE_DIFFERS:
			return ERRCODE_ATX_SERVICE_TYPE;
		case ATX_SERVICE_TYPE_UNKNOWN:
			return ERRCODE_UNDEFINED_OBJECT;
		case ATX_COMPACTED:
			return ERRCODE_ATX_COMPACTED;
		case ATX_NOT_HOLDER:
			return ERRCODE_ATX_NOT_HOLDER;
		case ATX_NUMBER_ACKNOWLEDGED:
			return ERRCODE_ATX_NUMBER_ACKNOWLEDGED;
		case ATX_NUMBER_REUSED:
			return ERRCODE_ATX_NUMBER_REUSED;
		case ATX_LIMIT_REACHED:
			return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		case ATX_INVALID:
		case ATX_DONE:
			break;
	}
	return ERRCODE_INVALID_PARAMETER_VALUE;
}

/*
 * An outcome with its message, without detail and hint.
 */
AtxAnswer
atx_answer(AtxOutcome outcome, char *message)
{
	AtxAnswer	answer = {outcome, message, NULL, NULL};

	return answer;
}

/*
 * The answer about a session that cannot be used: unknown, expired or closed.
 */
AtxAnswer
atx_answer_session(AtxOutcome outcome, int64 session_id)
{
	const char *what = outcome == ATX_SESSION_EXPIRED ? "has expired" :
	outcome == ATX_SESSION_CLOSED ? "is closed" : "is unknown";
	AtxAnswer	answer = atx_answer(outcome,
									psprintf("session " INT64_FORMAT " %s", session_id, what));

	if (outcome == ATX_SESSION_EXPIRED || outcome == ATX_SESSION_CLOSED)
		answer.hint = pstrdup("Open a new session.");
	return answer;
}

/*
 * Raise what went wrong, as the typed functions answer; return if nothing did.
 */
void
atx_raise_unless_done(AtxAnswer answer)
{
	if (answer.outcome == ATX_DONE)
		return;

	ereport(ERROR,
			(errcode(outcome_sqlstate(answer.outcome)),
			 errmsg_internal("%s", answer.message),
			 answer.detail ? errdetail_internal("%s", answer.detail) : 0,
			 answer.hint ? errhint("%s", answer.hint) : 0));
}

/*
 * Refuse a null in a required argument: no function that changes anything is
 * STRICT, because a silent NULL result would look like success.
 */
void
atx_refuse_null(bool isnull, const char *argument)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", argument)));
}
