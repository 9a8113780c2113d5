/*-------------------------------------------------------------------------
 *
 * claims.c
 *	  Claims on a service: who has it, who waits, who is next.
 *
 * A token is drawn under the service's lock at the moment of the grant, so it
 * grows from grant to grant whoever is granted, and in whatever order.
 *
 * What keeps a claim from ending is the claim's own lock, which guards hold
 * shared; what keeps it from being granted is the hold lock of the service.
 * Neither is waited for here, where the service's lock keeps everybody else
 * waiting.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/doorbell.h"
#include "base/private_lock.h"
#include "base/rows.h"
#include "base/transaction.h"
#include "services/claims.h"
#include "services/feed.h"
#include "tables/command.h"
#include "tables/lease.h"
#include "tables/session.h"

/* The limits are counted for one claim in so many. */
#define COUNT_EVERY		64

/* Those who have a part of the capacity, or all of it. */
typedef struct Holders
{
	AtxClaim   *claims;
	int			count;
	int64		used;
} Holders;

static bool
session_lives(int64 session_id)
{
	Snapshot	snapshot = atx_snapshot_take();
	int64		floor;
	bool		lives = atx_lease_floor_in(snapshot, session_id, ATX_ANY_ROLE, &floor);

	atx_snapshot_release(snapshot);
	return lives;
}

static bool
is_due(const AtxCall *call, const AtxClaim *claim)
{
	return claim->wait_until != ATX_WAIT_FOR_EVER && claim->wait_until <= call->moment.now;
}

/* What happens to a claim is news of its candidate, else of its session. */
static void
tell(AtxCall *call, const char *type, const AtxClaim *claim)
{
	if (call->service.watched && claim->session_id != ATX_DELAY_SESSION)
		atx_feed_add(call, type,
					 claim->candidate ? claim->candidate : psprintf(INT64_FORMAT, claim->session_id),
					 ATX_CLAIM_GRANTED(claim) ? atx_feed_number(ATX_CLAIM_TOKEN(claim)) : NULL,
					 NULL);
}

/* Wake whoever waits for something to happen to a claim. */
static void
ring(const AtxClaim *claim)
{
	if (claim->session_id != ATX_DELAY_SESSION)
		atx_doorbell_ring(claim->session_id);
}

/*
 * Answer the command that waits for a claim, with something else than a grant.
 */
void
atx_claim_cancel_command(AtxCall *call, const AtxClaim *claim, AtxStatus status,
						 const char *message)
{
	if (claim->sequence_num != 0)
		atx_command_complete(claim->session_id, claim->sequence_num, status, message,
							 NULL, atx_index_newest());
}

/*
 * After a session that expired the delay, if there is one, takes the place of
 * its claim: what the session did may still be under way.
 */
static void
leave_delay(AtxCall *call, const AtxClaim *claim)
{
	AtxClaim	delay = *claim;
	Oid			owner;

	if (call->service.delay == 0 || !ATX_CLAIM_GRANTED(claim) ||
		atx_session_outcome(claim->session_id, &owner) != ATX_SESSION_EXPIRED)
		return;
	delay.claim_id = atx_index_draw(call->authority);
	delay.position = -delay.claim_id;
	delay.session_id = ATX_DELAY_SESSION;
	delay.sequence_num = 0;
	delay.wait_until = call->moment.now + call->service.delay;
	delay.candidate = NULL;
	atx_claim_insert(&delay, &call->moment);
	atx_transaction_wakes_worker();
}

/*
 * End a claim, granted or waiting; false if a guard keeps it from ending.  The
 * caller settles the service afterwards.
 */
bool
atx_claim_end(AtxCall *call, const AtxClaim *claim)
{
	if (ATX_CLAIM_GRANTED(claim) &&
		!atx_try_lock_exclusive(ATX_LOCK_CLAIM, claim->claim_id))
		return false;
	atx_claim_delete(claim);
	tell(call, ATX_CLAIM_GRANTED(claim) ? "released" : "withdrawn", claim);
	ring(claim);
	/* Those who wait to hold the service look again. */
	atx_doorbell_wake(claim->service_id);
	call->changed = true;
	return true;
}

/*
 * Make sure that no guard keeps a claim where it is.  Callers have taken its
 * lock before that of the service, if it was there to be seen: ERROR 40001 if
 * it was not, and is guarded.
 */
void
atx_claim_lock_or_retry(const AtxClaim *claim)
{
	if (ATX_CLAIM_GRANTED(claim) &&
		!atx_try_lock_exclusive(ATX_LOCK_CLAIM, claim->claim_id))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("claim " INT64_FORMAT " is guarded by another transaction",
						claim->claim_id),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * End a claim; ERROR 40001 as above.
 */
void
atx_claim_end_or_retry(AtxCall *call, const AtxClaim *claim)
{
	atx_claim_lock_or_retry(claim);
	(void) atx_claim_end(call, claim);
}

/*
 * Grant a claim that waits, and answer the command that waits for it.
 */
void
atx_claim_grant(AtxCall *call, AtxClaim *claim)
{
	const AtxClaimRules *rules = call->type->claims;
	int64		token = atx_index_draw(call->authority);

	atx_claim_change(claim, -token, &call->moment);
	claim->position = -token;
	call->changed = true;
	tell(call, "granted", claim);
	if (rules->granted != NULL)
		rules->granted(call, claim);
	if (claim->sequence_num != 0)
		atx_command_complete(claim->session_id, claim->sequence_num, ATX_STATUS_OK, NULL,
							 rules->output(call, claim), token);
	ring(claim);
}

/* A holder that is gone, or a delay that is over. */
static bool
is_over(const AtxCall *call, const AtxClaim *holder)
{
	return holder->session_id == ATX_DELAY_SESSION ? is_due(call, holder) :
		!session_lives(holder->session_id);
}

static Holders
read_holders(const AtxCall *call)
{
	Holders		holders = {0};

	holders.count = atx_claims_of_service(call->service.service_id, false, &holders.claims);
	for (int i = 0; i < holders.count; i++)
		holders.used += holders.claims[i].weight;
	return holders;
}

/* Take the service from those who are gone; true if anything has changed. */
static bool
remove_dead_holders(AtxCall *call, const Holders *holders)
{
	bool		removed = false;

	for (int i = 0; i < holders->count; i++)
	{
		const AtxClaim *holder = &holders->claims[i];

		CHECK_FOR_INTERRUPTS();
		if (!is_over(call, holder) || !atx_claim_end(call, holder))
			continue;
		if (holder->session_id != ATX_DELAY_SESSION)
			leave_delay(call, holder);
		removed = true;
	}
	return removed;
}

/* The first that waits and is still to be granted; false if there is none. */
static bool
next_in_queue(AtxCall *call, AtxClaim *claim)
{
	while (atx_claim_first_waiting(call->service.service_id, claim))
	{
		CHECK_FOR_INTERRUPTS();
		if (!session_lives(claim->session_id))
			atx_claim_cancel_command(call, claim, ATX_STATUS_CANCELED, "the session has ended");
		else if (is_due(call, claim))
			atx_claim_cancel_command(call, claim, ATX_STATUS_CONFLICT, call->type->claims->held);
		else
			return true;
		(void) atx_claim_end(call, claim);
	}
	return false;
}

/* May anything be granted, as far as hold() is concerned? */
static bool
not_on_hold(const AtxCall *call)
{
	return atx_try_lock_shared(ATX_LOCK_HOLD, call->service.service_id);
}

/*
 * Bring a service up to date: end what is over, and grant what can be.
 */
void
atx_claims_settle(AtxCall *call)
{
	Holders		holders;
	AtxClaim	next;

	if (!atx_claim_first(call->service.service_id, &next))
		return;
	holders = read_holders(call);
	if (remove_dead_holders(call, &holders))
		holders = read_holders(call);
	while (next_in_queue(call, &next) &&
		   holders.used + next.weight <= call->type->claims->capacity(&call->service) &&
		   not_on_hold(call))
	{
		atx_claim_grant(call, &next);
		holders.used += next.weight;
	}
}

/* Is there room for one more, with nobody before it? */
static bool
is_free(AtxCall *call, int32 weight)
{
	Holders		holders;
	AtxClaim	first;

	if (atx_claim_first(call->service.service_id, &first))
	{
		atx_claims_settle(call);
		if (atx_claim_first_waiting(call->service.service_id, &first))
			return false;
		holders = read_holders(call);
		if (holders.used + weight > call->type->claims->capacity(&call->service))
			return false;
	}
	else if (weight > call->type->claims->capacity(&call->service))
		return false;
	return not_on_hold(call);
}

static void
refuse_too_many(const char *what, int64 id)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many claims %s " INT64_FORMAT, what, id),
			 errdetail("The limit is %d.", ATX_MAX_CLAIMS)));
}

/* Counting each time would make a long queue slow. */
static void
check_limits(const AtxClaim *claim)
{
	if (claim->claim_id % COUNT_EVERY != 0)
		return;
	if (atx_claims_count_of_session(claim->session_id, ATX_MAX_CLAIMS) >= ATX_MAX_CLAIMS)
		refuse_too_many("of session", claim->session_id);
	if (atx_claims_count_of_service(claim->service_id, ATX_MAX_CLAIMS) >= ATX_MAX_CLAIMS)
		refuse_too_many("on service", claim->service_id);
}

static void
insert_granted(AtxCall *call, AtxClaim *claim)
{
	const AtxClaimRules *rules = call->type->claims;

	claim->position = -claim->claim_id;
	claim->wait_until = ATX_WAIT_FOR_EVER;
	atx_claim_insert(claim, &call->moment);
	tell(call, "granted", claim);
	if (rules->granted != NULL)
		rules->granted(call, claim);
}

static void
insert_waiting(AtxCall *call, const AtxClaimRequest *request, AtxClaim *claim)
{
	claim->position = claim->claim_id;
	claim->wait_until = request->timeout == ATX_WAIT_FOR_EVER ? ATX_WAIT_FOR_EVER :
		call->moment.now + request->timeout;
	claim->sequence_num = request->sequence_num;
	atx_claim_insert(claim, &call->moment);
	tell(call, "queued", claim);
	if (claim->wait_until != ATX_WAIT_FOR_EVER)
		atx_transaction_wakes_worker();
}

/*
 * Claim a service: *claim is granted or waits afterwards.  False if it could
 * not be granted and is not to wait; then there is none.
 */
bool
atx_claim_request(AtxCall *call, const AtxClaimRequest *request, AtxClaim *claim)
{
	bool		free = is_free(call, request->weight);

	if (!free && request->timeout == 0)
		return false;
	memset(claim, 0, sizeof(*claim));
	claim->service_id = call->service.service_id;
	claim->session_id = request->session_id;
	claim->weight = request->weight;
	claim->candidate = request->candidate;
	claim->priority = request->priority;
	claim->claim_id = atx_index_draw(call->authority);
	call->index = claim->claim_id;
	call->changed = true;
	check_limits(claim);
	if (free)
		insert_granted(call, claim);
	else
		insert_waiting(call, request, claim);
	return true;
}

/*
 * End all claims of a session on the service, as far as no guard keeps them
 * from ending, and grant what can be.
 */
void
atx_claims_release_session(AtxCall *call, int64 session_id)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_session(session_id, call->service.service_id, &claims);

	for (int i = 0; i < count; i++)
		if (atx_claim_end(call, &claims[i]))
		{
			atx_claim_cancel_command(call, &claims[i], ATX_STATUS_CANCELED,
									 "the claim was withdrawn");
			leave_delay(call, &claims[i]);
		}
	atx_claims_settle(call);
}
