/*-------------------------------------------------------------------------
 *
 * outcomes.c
 *	  Numbers for the caller's own work, and what became of any number.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/acl.h"

#include "commands/outcomes.h"
#include "tables/session.h"

static AtxFingerprint
fingerprint_of(const text *request)
{
	StringInfoData parts;

	initStringInfo(&parts);
	/* No request is something else than an empty one. */
	if (request != NULL)
		atx_fingerprint_add(&parts, VARDATA_ANY(request), VARSIZE_ANY_EXHDR(request));
	return atx_fingerprint(&parts);
}

/*
 * Record a number in the caller's transaction; *first is false if it was
 * recorded by an earlier one.  So work done in the same transaction takes
 * effect once, however often it is tried.
 */
AtxAnswer
atx_once(AtxScope *scope, int64 session_id, int64 sequence_num,
		 const text *request, bool *first)
{
	AtxNumbered numbered = {
		.session_id = session_id,
		.sequence_num = sequence_num,
		.operation = ATX_OPERATION_ONCE,
		.fingerprint = fingerprint_of(request)
	};
	AtxReply	reply = {.status = ATX_STATUS_OK,.output = (bytea *) request};
	AtxAnswer	answer = atx_numbered_begin(scope, &numbered, ATX_ACCESS_NONE);

	*first = answer.outcome == ATX_DONE && !numbered.replay;
	if (*first)
		atx_numbered_record(&numbered, &reply, atx_index_newest());
	return answer;
}

/*
 * What became of a number, also after its session has ended: the state of its
 * command, "unknown" if it was never executed, "pending" if another
 * transaction is executing it just now, "forgotten" if nobody knows any more.
 */
AtxAnswer
atx_outcome(AtxScope *scope, int64 session_id, int64 sequence_num,
			AtxOutcomeReport *report)
{
	Oid			owner;
	AtxOutcome	outcome = atx_session_outcome(session_id, &owner);
	int64		floor;
	bool		busy;

	report->executed = false;
	if (outcome == ATX_SESSION_UNKNOWN || !has_privs_of_role(scope->caller, owner))
		return atx_answer_session(ATX_SESSION_UNKNOWN, session_id);

	/* Before reading: who is done by now has left its row. */
	busy = atx_number_is_busy(session_id, sequence_num);
	if (atx_command_find(session_id, sequence_num, &report->command))
	{
		report->state = atx_command_state_name(report->command.state);
		report->executed = report->command.state != ATX_COMMAND_ACKNOWLEDGED;
	}
	else if (!atx_session_ack_floor(session_id, &floor))
		report->state = "forgotten";
	else if (sequence_num <= floor)
		report->state = "acknowledged";
	else
		report->state = busy ? "pending" : "unknown";
	return ATX_ANSWER_DONE;
}
