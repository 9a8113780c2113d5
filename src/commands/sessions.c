/*-------------------------------------------------------------------------
 *
 * sessions.c
 *	  Opening, renewing and closing sessions.
 *
 * Everything happens in the caller's transaction.  Rule: take the session's
 * lock first, then read the clock, then the tables; what was read before the
 * lock is worth nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/acl.h"

#include "base/duration.h"
#include "base/private_lock.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/transaction.h"
#include "commands/jump.h"
#include "commands/sessions.h"
#include "tables/lease.h"
#include "tables/partition.h"

static AtxAnswer
check_timeout(int64 timeout)
{
	int64		least = atx_min_session_timeout * ATX_TICKS_PER_MS;
	int64		greatest = atx_max_session_timeout * ATX_TICKS_PER_MS;
	AtxAnswer	answer;

	if (timeout >= least && timeout <= greatest)
		return ATX_ANSWER_DONE;

	answer = atx_answer(ATX_INVALID,
						psprintf("session timeout must be between %s and %s",
								 atx_duration_text(least), atx_duration_text(greatest)));
	answer.detail = psprintf("The timeout asked for is %s.", atx_duration_text(timeout));
	answer.hint = pstrdup("The bounds are atomix.min_session_timeout and atomix.max_session_timeout.");
	return answer;
}

static AtxAnswer
check_spec(AtxSessionSpec *spec)
{
	if (spec->timeout == ATX_DEFAULT_TIMEOUT)
		spec->timeout = atx_session_timeout * ATX_TICKS_PER_MS;
	if (!atx_partition_exists(spec->partition_id))
		return atx_answer(ATX_INVALID,
						  psprintf("partition %d does not exist", spec->partition_id));
	return check_timeout(spec->timeout);
}

/* Say once per connection what is missing without preload. */
static void
notice_without_preload(void)
{
	static bool said = false;

	if (said || atx_shared != NULL)
		return;
	said = true;
	ereport(NOTICE,
			(errmsg("sessions expire only when atomix.tick() is called"),
			 errdetail("Library \"atomix\" is not preloaded, so no worker runs."),
			 errhint("Add atomix to shared_preload_libraries and restart the server.")));
}

/*
 * Open a session that belongs to the caller's role.
 */
AtxAnswer
atx_open_session(AtxScope *scope, AtxSessionSpec *spec, int64 *session_id)
{
	const AtxAuthority *authority;
	AtxMoment	moment;
	AtxAnswer	answer = atx_await_authority(&authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	answer = check_spec(spec);
	if (answer.outcome != ATX_DONE)
		return answer;

	notice_without_preload();
	*session_id = atx_index_draw(authority);
	moment = atx_moment(authority);
	atx_session_insert(*session_id, spec, scope->caller, &moment);
	atx_transaction_used_session();
	atx_transaction_wakes_worker();
	return ATX_ANSWER_DONE;
}

/*
 * Why the role cannot use a session that has no lease for it.  One that is
 * another role's is as unknown as one that never was.
 */
static AtxAnswer
why_not_usable(int64 session_id, Oid role)
{
	Oid			owner;
	AtxOutcome	outcome = atx_session_outcome(session_id, &owner);

	if (outcome == ATX_DONE ||
		(role != ATX_ANY_ROLE && !has_privs_of_role(role, owner)))
		outcome = ATX_SESSION_UNKNOWN;
	return atx_answer_session(outcome, session_id);
}

/*
 * Renew a session; *time_left is how long it now lives at least (ticks).
 */
AtxAnswer
atx_keep_alive(AtxScope *scope, int64 session_id, int64 *time_left)
{
	const AtxAuthority *authority;
	AtxMoment	moment;
	AtxAnswer	answer = atx_await_authority(&authority);

	if (answer.outcome != ATX_DONE)
		return answer;

	atx_lock_shared(ATX_LOCK_SESSION, session_id);
	moment = atx_moment(authority);
	if (!atx_lease_renew(session_id, scope->caller, &moment, time_left))
	{
		answer = why_not_usable(session_id, scope->caller);
		atx_unlock_shared(ATX_LOCK_SESSION, session_id);
		return answer;
	}
	atx_transaction_used_session();
	return ATX_ANSWER_DONE;
}

/* May the role end the session, whether or not it still lives? */
static bool
is_usable(int64 session_id, Oid role)
{
	Oid			owner;

	return atx_session_outcome(session_id, &owner) != ATX_SESSION_UNKNOWN &&
		(role == ATX_ANY_ROLE || has_privs_of_role(role, owner));
}

/*
 * Lock a session to end it.  A role must not even wait for a session that is
 * none of its business: others would queue up behind it.
 */
static bool
lock_to_end(int64 session_id, Oid role)
{
	if (atx_try_lock_exclusive(ATX_LOCK_SESSION, session_id))
		return true;
	if (!is_usable(session_id, role))
		return false;
	atx_lock_exclusive(ATX_LOCK_SESSION, session_id);
	return true;
}

static AtxAnswer
end_now(int64 session_id, Oid role, const char *cause, const char *reason,
		bool *ended)
{
	const AtxAuthority *authority;
	AtxMoment	moment;
	AtxAnswer	answer = atx_await_authority(&authority);

	if (answer.outcome != ATX_DONE)
		return answer;

	if (!lock_to_end(session_id, role))
		return atx_answer_session(ATX_SESSION_UNKNOWN, session_id);
	moment = atx_moment(authority);
	*ended = atx_session_close(session_id, cause, reason, &moment, role);
	if (!*ended)
	{
		answer = why_not_usable(session_id, role);
		atx_unlock_exclusive(ATX_LOCK_SESSION, session_id);
		return answer.outcome == ATX_SESSION_UNKNOWN ? answer : ATX_ANSWER_DONE;
	}
	atx_transaction_used_session();
	atx_transaction_wakes_worker();
	return ATX_ANSWER_DONE;
}

/*
 * Close a session on behalf of its owner; *ended is false if it had ended
 * before.
 */
AtxAnswer
atx_close_session(AtxScope *scope, int64 session_id, bool *ended)
{
	return end_now(session_id, scope->caller, "closed", "closed", ended);
}

/*
 * End any role's session, for an administrator.
 */
AtxAnswer
atx_end_session(AtxScope *scope, int64 session_id, const char *reason, bool *ended)
{
	return end_now(session_id, ATX_ANY_ROLE, "ended", reason, ended);
}
