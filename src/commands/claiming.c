/*-------------------------------------------------------------------------
 *
 * claiming.c
 *	  Locks, semaphores and elections, as sessions use them by name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "base/doorbell.h"
#include "base/private_lock.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "commands/claiming.h"
#include "commands/jump.h"
#include "commands/services.h"
#include "commands/session_end.h"
#include "commands/sessions.h"
#include "tables/session.h"

/* Is the deadline of a session over, as far as can be told without its lock? */
static bool
looks_expired(const AtxCall *call, int64 session_id)
{
	AtxRenewal	renewal;

	if (atx_renewal_find(atx_extension()->oid, session_id, &renewal) == ATX_RENEWAL_LIVE)
		return call->moment.now > Max(renewal.renewed_at, call->moment.grace_from) +
			renewal.timeout + ATX_LEASE_SLACK(renewal.timeout);
	return atx_lease_is_due(session_id, &call->moment);
}

/*
 * Before a service is claimed: end the sessions of holders whose deadline is
 * over, so that nobody has to wait for the worker.  A session that is in use
 * by another transaction is left alone.
 */
void
atx_prepare_claims(AtxCall *call)
{
	AtxClaim   *holders;
	int			count;

	atx_claims_require_unchanged(call->service.service_id);
	count = atx_claims_granted(call, &holders);

	/* Each takes two locks, and there may be any number of them. */
	for (int i = 0; i < count && atx_private_locks_left() > ATX_MAX_PRIVATE_LOCKS / 2; i++)
	{
		AtxExpiry	expiry = {0};

		CHECK_FOR_INTERRUPTS();
		if (holders[i].session_id != ATX_DELAY_SESSION &&
			holders[i].session_id != call->session_id &&
			looks_expired(call, holders[i].session_id))
			atx_expire_one(call->authority, holders[i].session_id, &expiry);
	}
}

/* Lock a service by its name, given what became of its caller. */
static AtxAnswer
use_claimed(const AtxClaimed *claimed, AtxAccess access, bool create,
			AtxAnswer answer, AtxCall *call)
{
	bool		found = true;

	if (answer.outcome == ATX_DONE)
		answer = create ?
			atx_use_service(call, claimed->type, claimed->namespace, claimed->name, access) :
			atx_use_existing_service(call, claimed->type, claimed->namespace, claimed->name,
									 access, &found);
	if (answer.outcome != ATX_DONE || !found)
		return answer;
	call->moment = atx_moment(call->authority);
	/* Who releases need not know whether other holders have expired. */
	if (access == ATX_ACCESS_RELEASE)
		atx_claims_require_unchanged(call->service.service_id);
	else
		atx_prepare_claims(call);
	return answer;
}

/*
 * Lock and renew a session, and lock a service by its name.  If there is none
 * it is created, or, unless that is wanted, its id is 0.
 */
AtxAnswer
atx_claimed_use(AtxScope *scope, const AtxClaimed *claimed, int64 session_id,
				AtxAccess access, bool create, AtxCall *call)
{
	AtxAnswer	answer;

	memset(call, 0, sizeof(*call));
	/* Session 0 is where delays are kept: it is nobody's. */
	if (session_id == ATX_DELAY_SESSION)
		return atx_why_not_usable(session_id, scope->caller);
	call->session_id = session_id;
	answer = atx_use_session(scope, session_id, false, &call->authority);
	return use_claimed(claimed, access, create, answer, call);
}

/*
 * The same without a session, for what is done to the claims of all.
 */
AtxAnswer
atx_claimed_manage(const AtxClaimed *claimed, AtxAccess access, bool create,
				   AtxCall *call)
{
	AtxAnswer	answer;

	memset(call, 0, sizeof(*call));
	answer = atx_await_authority(&call->authority);
	return use_claimed(claimed, access, create, answer, call);
}

/* The claim of the same kind that the session has already, if any. */
static bool
own_claim(const AtxCall *call, const AtxClaimRequest *request, AtxClaim *claim)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_session(request->session_id, call->service.service_id, &claims);

	for (int i = 0; i < count; i++)
		if (claims[i].weight == request->weight)
		{
			*claim = claims[i];
			return true;
		}
	return false;
}

/*
 * Claim a service.  A session has at most one claim of a kind: asking again,
 * after a lost reply, finds it.
 */
AtxAnswer
atx_acquire(AtxScope *scope, const AtxClaimed *claimed, const AtxClaimRequest *request,
			AtxClaimAnswer *result)
{
	AtxCall		call;
	AtxAnswer	answer = atx_claimed_use(scope, claimed, request->session_id,
										 ATX_ACCESS_EXCLUSIVE, true, &call);

	if (answer.outcome != ATX_DONE)
		return answer;
	result->exists = own_claim(&call, request, &result->claim);
	if (result->exists && !ATX_CLAIM_GRANTED(&result->claim))
	{
		atx_claims_settle_all(&call);
		result->exists = own_claim(&call, request, &result->claim);
	}
	if (!result->exists)
		result->exists = atx_claim_request(&call, request, &result->claim);
	atx_save_service(&call);
	return answer;
}

static bool
matches(const AtxClaim *claim, int64 token)
{
	return ATX_CLAIM_GRANTED(claim) &&
		(token == ATX_ANY_TOKEN || ATX_CLAIM_TOKEN(claim) == token);
}

/*
 * Release the grant of a session with that token, or all it has on the
 * service; *released is false if there is none.
 */
AtxAnswer
atx_release(AtxScope *scope, const AtxClaimed *claimed, int64 session_id,
			int64 token, bool *released)
{
	AtxCall		call;
	AtxClaim   *claims;
	AtxAnswer	answer = atx_claimed_use(scope, claimed, session_id,
										 ATX_ACCESS_RELEASE, false, &call);
	int			count;

	*released = false;
	if (answer.outcome != ATX_DONE || call.service.service_id == 0)
		return answer;
	count = atx_claims_of_session(session_id, call.service.service_id, &claims);
	for (int i = 0; i < count; i++)
		if (matches(&claims[i], token))
		{
			atx_claim_end_or_retry(&call, &claims[i]);
			*released = true;
		}
	if (*released)
		atx_claims_settle(&call);
	atx_save_service(&call);
	return answer;
}

/*
 * Stop waiting with a ticket; *canceled is false if it does not wait (any
 * more): then it may have been granted.
 */
AtxAnswer
atx_cancel(AtxScope *scope, const AtxClaimed *claimed, int64 session_id,
		   int64 ticket, bool *canceled)
{
	AtxCall		call;
	AtxClaim   *claims;
	AtxAnswer	answer = atx_claimed_use(scope, claimed, session_id,
										 ATX_ACCESS_EXCLUSIVE, false, &call);
	int			count;

	*canceled = false;
	if (answer.outcome != ATX_DONE || call.service.service_id == 0)
		return answer;
	count = atx_claims_of_session(session_id, call.service.service_id, &claims);
	for (int i = 0; i < count; i++)
		if (claims[i].claim_id == ticket && !ATX_CLAIM_GRANTED(&claims[i]))
		{
			atx_claim_cancel_command(&call, &claims[i], ATX_STATUS_CANCELED,
									 "the claim was withdrawn");
			*canceled = atx_claim_end(&call, &claims[i]);
		}
	if (*canceled)
		atx_claims_settle(&call);
	atx_save_service(&call);
	return answer;
}

/* Make a call on a service whose lock was just taken; false if it is gone. */
static bool
begin_call(const AtxAuthority *authority, int64 service_id, AtxCall *call)
{
	memset(call, 0, sizeof(*call));
	call->authority = authority;
	if (!atx_service_load(service_id, &call->service))
		return false;
	call->type = atx_service_type_get(call->service.type);
	call->moment = atx_moment(authority);
	return call->type->claims != NULL;
}

/*
 * End the claim that a command of a session waits for; the service is locked.
 * The command's own row is for the caller.
 */
void
atx_cancel_waiting(const AtxAuthority *authority, int64 session_id,
				   int64 service_id, int64 sequence_num)
{
	AtxCall		call;
	AtxClaim   *claims;
	int			count;

	if (!begin_call(authority, service_id, &call))
		return;
	count = atx_claims_of_session(session_id, service_id, &claims);
	for (int i = 0; i < count; i++)
		if (claims[i].sequence_num == sequence_num && !ATX_CLAIM_GRANTED(&claims[i]))
			(void) atx_claim_end(&call, &claims[i]);
	atx_claims_settle(&call);
	atx_save_service(&call);
}

/*
 * End all claims of a session that has ended in this transaction; false if
 * some are left, because there are too many or a guard is in the way.
 */
bool
atx_release_session(const AtxAuthority *authority, int64 session_id)
{
	int64		service_ids[ATX_MAX_RELEASES];
	AtxClaim   *claims;
	int			count = atx_claims_of_session(session_id, 0, &claims);
	bool		all = true;

	if (count > ATX_MAX_RELEASES || atx_private_locks_left() < ATX_MAX_PRIVATE_LOCKS / 2)
		return false;

	/* Before all services: others can use them while we wait for guards. */
	atx_lock_claims(0, session_id);
	count = atx_claim_services_of_session(session_id, ATX_MAX_RELEASES, service_ids);
	for (int i = 0; i < count; i++)
	{
		AtxCall		call;

		CHECK_FOR_INTERRUPTS();
		atx_lock_service(service_ids[i], session_id, ATX_ACCESS_EXCLUSIVE);
		if (!begin_call(authority, service_ids[i], &call))
			continue;
		all = atx_claims_release_session(&call, session_id) && all;
		atx_save_service(&call);
	}
	return all;
}

/*
 * Bring a service up to date if nobody is using it; false if somebody is.
 * whole: also where something is over in the middle of the queue.  The lock is
 * given back if there was nothing to do.
 */
bool
atx_settle_if_free(const AtxAuthority *authority, int64 service_id, bool whole)
{
	AtxCall		call;

	/* What is not the caller's own business must not make its call fail. */
	if (atx_private_locks_left() < ATX_MAX_PRIVATE_LOCKS / 4 ||
		!atx_try_lock_exclusive(ATX_LOCK_SERVICE, service_id))
		return false;
	if (begin_call(authority, service_id, &call))
	{
		atx_prepare_claims(&call);
		if (whole)
			atx_claims_settle_all(&call);
		else
			atx_claims_settle(&call);
		atx_save_service(&call);
	}
	if (!call.changed)
		atx_unlock_exclusive(ATX_LOCK_SERVICE, service_id);
	return true;
}

/*
 * A list of services came, the last of *count, after which the next one may
 * go on if there was no room for more.
 */
static void
go_on_after(const int64 *service_ids, int found, int limit, int64 *next)
{
	if (found == limit && (*next == 0 || service_ids[found - 1] < *next))
		*next = service_ids[found - 1];
}

/*
 * Services on which something has to be done that nobody may be waiting for:
 * claims of sessions that ended, claims that waited long enough, delays that
 * are over, and of claims that wait those that are asked for.  Returns how
 * many, at most ATX_SETTLE_BATCH; one may be there twice.
 *
 * They come in order, those above *after, which is moved on, or back to 0 if
 * there are no more: those that cannot be settled now must not be in the way
 * of the others.
 */
int
atx_services_to_settle(const AtxAuthority *authority, AtxWaiting waiting, int64 *after,
					   int64 *service_ids)
{
	AtxMoment	moment = atx_moment(authority);
	int			share = ATX_SETTLE_BATCH / 3;
	int			count = 0;
	int			found;
	int64		go_on = 0;
	AtxTick		next;

	if (atx_claim_next_due(&moment, &next) && next <= moment.now)
	{
		/* Some may have come from another clock. */
		atx_claim_enter_epoch(&moment);
		count = atx_claim_services_due(&moment, *after, share, service_ids);
		go_on_after(service_ids, count, share, &go_on);
	}
	found = atx_claim_services_of_closing(*after, share, service_ids + count);
	go_on_after(service_ids + count, found, share, &go_on);
	count += found;
	if (waiting != ATX_WAITING_NONE)
	{
		found = waiting == ATX_WAITING_ANY ?
			atx_claim_services_waited_for(*after, share, service_ids + count) :
			atx_claim_services_idle(*after, share, service_ids + count);
		go_on_after(service_ids + count, found, share, &go_on);
		count += found;
	}
	*after = go_on;
	return count;
}

/* Find the claim with a ticket; granted or gone, the waiting is over. */
static bool
look_at_ticket(int64 session_id, int64 ticket, AtxClaimAnswer *result)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_session(session_id, 0, &claims);

	result->exists = false;
	for (int i = 0; i < count && !result->exists; i++)
		if (claims[i].claim_id == ticket)
		{
			result->exists = true;
			result->claim = claims[i];
		}
	return !result->exists || ATX_CLAIM_GRANTED(&result->claim);
}

/* Has it waited for so long that, if a worker were there, it had ended? */
static bool
is_overdue(const AtxClaim *claim, AtxTick now)
{
	return claim->wait_until != ATX_WAIT_FOR_EVER && claim->wait_until <= now;
}

static void
refuse_own_ticket(const AtxClaim *claim)
{
	if (!ATX_CLAIM_GRANTED(claim) && claim->written_here)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot wait for ticket " INT64_FORMAT " in the transaction that took it",
						claim->claim_id),
				 errhint("Nobody else can see it before the transaction has committed.")));
}

static AtxAnswer
check_waiter(AtxScope *scope, int64 session_id)
{
	Oid			owner;
	AtxOutcome	outcome = atx_session_outcome(session_id, &owner);

	return outcome == ATX_DONE && has_privs_of_role(scope->caller, owner) ?
		ATX_ANSWER_DONE : atx_why_not_usable(session_id, scope->caller);
}

/*
 * Do what the worker would.  False if we may not write, or somebody is using
 * the service; at REPEATABLE READ and above changes of others, which we wait
 * for, would be an error.
 */
static bool
settle_for_waiter(const AtxClaim *claim, AtxTick now)
{
	const AtxAuthority *authority;

	if (XactReadOnly || RecoveryInProgress() || IsolationUsesXactSnapshot())
		return false;
	authority = atx_authority_current();
	return authority != NULL &&
		atx_settle_if_free(authority, claim->service_id, is_overdue(claim, now));
}

/*
 * Wait until a claim is granted, for at most timeout ticks and
 * atomix.max_wait.  It does not exist (any more) if it was released, canceled
 * or timed out.
 */
AtxAnswer
atx_wait_ticket(AtxScope *scope, int64 session_id, int64 ticket, int64 timeout,
				AtxClaimAnswer *result)
{
	AtxTick		until = atx_now() + Min(timeout, atx_max_wait * ATX_TICKS_PER_MS);
	bool		rung = true;

	for (;;)
	{
		uint64		position = atx_doorbell_position(session_id);
		AtxAnswer	answer = check_waiter(scope, session_id);
		AtxTick		now = atx_now();

		if (answer.outcome != ATX_DONE || look_at_ticket(session_id, ticket, result))
			return answer;
		refuse_own_ticket(&result->claim);
		/* Nobody rang for a while: perhaps there is nobody who would. */
		if (!rung && settle_for_waiter(&result->claim, now) &&
			look_at_ticket(session_id, ticket, result))
			return answer;
		if (now >= until)
			return answer;
		rung = atx_doorbell_wait(session_id, &position, Min(until, now + ATX_POLL_INTERVAL));
	}
}
