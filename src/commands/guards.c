/*-------------------------------------------------------------------------
 *
 * guards.c
 *	  Grants that cannot be taken away until a transaction has ended.
 *
 * A guard is the claim's own lock, held shared: whoever ends or moves the
 * grant needs it exclusive.  So what is written under a guard commits only
 * while the grant is valid.  The lock is the only memory of it, since a flag
 * would survive a rollback to a savepoint.
 *
 * To hold a service is to keep all others from being granted it; no session
 * is needed, and nothing is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/timeout.h"

#include "atomix.h"
#include "base/doorbell.h"
#include "base/private_lock.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/transaction.h"
#include "commands/guards.h"
#include "commands/jump.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "tables/placement.h"
#include "tables/session.h"

/*
 * A transaction that keeps others from what they wait for must not idle: the
 * waiters are not seen in pg_locks, so the server itself has to end it.
 */
static void
limit_idling(void)
{
	char		value[32];

	if (atx_max_hold == 0 ||
		(IdleInTransactionSessionTimeout != 0 &&
		 IdleInTransactionSessionTimeout <= atx_max_hold))
		return;
	snprintf(value, sizeof(value), "%d", atx_max_hold);
	(void) set_config_option("idle_in_transaction_session_timeout", value,
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

static AtxAnswer
not_the_holder(const AtxClaimed *claimed, int64 token)
{
	AtxAnswer	answer = atx_answer(ATX_NOT_HOLDER,
									psprintf("%s \"%s\" is not held with token " INT64_FORMAT,
											 claimed->type->name, claimed->name, token));

	answer.detail = pstrdup("It was released, or passed on, or its session has ended.");
	return answer;
}

/* Is there that grant now, and is it the role's? */
static bool
is_granted(Oid role, int64 service_id, int64 token, AtxClaim *claim)
{
	Oid			owner;

	return token > 0 && atx_claim_find(service_id, -token, claim) &&
		atx_session_outcome(claim->session_id, &owner) == ATX_DONE &&
		has_privs_of_role(role, owner);
}

/*
 * Make sure that a grant is held, and stays so until the transaction ends.
 */
AtxAnswer
atx_assert_grant(AtxScope *scope, const AtxClaimed *claimed, int64 token)
{
	AtxCall		call = {0};
	bool		found;
	AtxClaim	claim;
	AtxAnswer	answer;

	atx_require_right(claimed->namespace, ATX_PRIVILEGE_WRITE);
	answer = atx_find_service(&call, claimed->type, claimed->namespace, claimed->name,
							  &found);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (!found || !is_granted(scope->caller, call.service.service_id, token, &claim))
		return not_the_holder(claimed, token);
	atx_lock_shared(ATX_LOCK_CLAIM, claim.claim_id);
	/* It may have been taken away while we waited. */
	if (!is_granted(scope->caller, call.service.service_id, token, &claim))
	{
		atx_unlock_shared(ATX_LOCK_CLAIM, claim.claim_id);
		return not_the_holder(claimed, token);
	}
	atx_claims_require_unchanged(call.service.service_id);
	atx_transaction_used_session();
	limit_idling();
	return answer;
}

/*
 * Has the running transaction asserted a grant of that name, or holds it?
 */
bool
atx_is_guarded(const char *namespace, const char *name)
{
	AtxService	service;
	AtxClaim   *claims;
	int			count;

	if (!atx_service_find(atx_partition_here(), namespace, name, &service))
		return false;
	if (atx_locked_exclusive(ATX_LOCK_HOLD, service.service_id))
		return true;
	count = atx_claims_of_service(service.service_id, false, &claims);
	for (int i = 0; i < count; i++)
		if (atx_locked_shared(ATX_LOCK_CLAIM, claims[i].claim_id))
			return true;
	return false;
}

/* ERROR 55000 if the grant is one of this transaction: waiting would not help. */
static bool
is_claimed(int64 service_id)
{
	AtxClaim	claim;

	if (!atx_claim_granted(service_id, &claim))
		return false;
	if (claim.written_here)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot hold what was granted in the same transaction")));
	return true;
}

/* Is it too early after a promotion to take what looks free? */
static bool
is_postponed(const AtxAuthority *authority)
{
	AtxMoment	moment = atx_moment(authority);

	return atx_failover_delay_left(authority, &moment) > 0;
}

/* Row locks honour lock_timeout; so does waiting here. */
static AtxTick
wait_limit(void)
{
	return LockTimeout == 0 ? PG_INT64_MAX : atx_now() + LockTimeout * ATX_TICKS_PER_MS;
}

static void
refuse_to_wait_longer(const AtxClaimed *claimed)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not hold \"%s\" within lock_timeout", claimed->name)));
}

/*
 * Sleep until something happens to a service, with the look taken at position.
 * To take the service from a session that has expired is for others: the next
 * in the queue would be granted it, and nobody would see that before the end
 * of this transaction.
 */
static void
wait_for_service(int64 service_id, uint64 *position, AtxTick until)
{
	CHECK_FOR_INTERRUPTS();
	(void) atx_doorbell_wait(service_id, position, Min(until, atx_now() + ATX_POLL_INTERVAL));
}

/*
 * Hold a service until the transaction ends: nobody is granted it.  Waits as
 * row locks do while it is granted or held; *token is newer than any grant's.
 */
AtxAnswer
atx_hold(const AtxClaimed *claimed, int64 *token)
{
	AtxCall		call = {0};
	AtxTick		until = wait_limit();
	AtxAnswer	answer = atx_await_authority(&call.authority);

	if (answer.outcome != ATX_DONE)
		return answer;

	for (;;)
	{
		int64		service_id;
		uint64		position;

		/* Each time: while we waited it may have been deleted and made anew. */
		answer = atx_use_service(&call, claimed->type, claimed->namespace, claimed->name,
								 ATX_ACCESS_NONE);
		if (answer.outcome != ATX_DONE)
			return answer;
		service_id = call.service.service_id;
		position = atx_doorbell_position(service_id);
		atx_lock_exclusive(ATX_LOCK_HOLD, service_id);
		/* Even if it is given back at once: a grant may have met it. */
		atx_transaction_was_on_hold();
		if (!atx_service_load(service_id, &call.service))
		{
			atx_unlock_exclusive(ATX_LOCK_HOLD, service_id);
			continue;
		}
		if (!is_claimed(service_id) && !is_postponed(call.authority))
			break;
		atx_unlock_exclusive(ATX_LOCK_HOLD, service_id);
		if (atx_now() >= until)
			refuse_to_wait_longer(claimed);
		wait_for_service(service_id, &position, until);
	}
	*token = atx_index_draw(call.authority);
	atx_transaction_used_session();
	limit_idling();
	return answer;
}
