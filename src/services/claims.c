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

#include "common/int.h"
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
#include "tables/limit.h"
#include "tables/session.h"

/*
 * Locks that must be left in a transaction for taking away one grant more: it
 * may have come for something else.
 */
#define LOCKS_NEEDED	(ATX_MAX_PRIVATE_LOCKS / 4)

/* The limits are counted for one claim in so many. */
#define COUNT_EVERY		256

/* Limits below this one are exact: counting up to them is quick. */
#define COUNT_ALWAYS	1000

/* Those who have a part of the capacity, or all of it. */
typedef struct Holders
{
	AtxClaim   *claims;			/* as they were read */
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

/* A time so far away that it cannot be told does not come. */
static AtxTick
tick_after(const AtxCall *call, int64 ticks)
{
	AtxTick		at;

	return pg_add_s64_overflow(call->moment.now, ticks, &at) ? PG_INT64_MAX : at;
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
	delay.wait_until = tick_after(call, call->service.delay);
	delay.candidate = NULL;
	atx_claim_insert(&delay, &call->moment);
	call->knows_granted = false;
	atx_transaction_wakes_worker();
}

/* Does a claim that is granted leave no room for any other? */
static bool
is_alone(const AtxCall *call, const AtxClaim *claim)
{
	return call->type->claims->fixed &&
		claim->weight >= call->type->claims->capacity(&call->service);
}

/*
 * To see that there are no other grants means to pass all that there were
 * since the table was last vacuumed, so it is not asked for where it is known:
 * the newest comes first, and is mostly the only one.
 */
static void
read_granted(AtxCall *call)
{
	AtxClaim   *first = palloc(sizeof(AtxClaim));

	call->granted = first;
	call->ngranted = atx_claim_granted(call->service.service_id, first) ? 1 : 0;
	if (call->ngranted > 0 && !is_alone(call, first))
		call->ngranted = atx_claims_of_service(call->service.service_id, false,
											   &call->granted);
	call->knows_granted = true;
}

/*
 * The granted claims of a service; returns how many.  They are read once: only
 * the call itself can change them.
 */
int
atx_claims_granted(AtxCall *call, AtxClaim **claims)
{
	if (!call->knows_granted)
		read_granted(call);
	*claims = call->granted;
	return call->ngranted;
}

/* A grant was ended, after which there may be others. */
static void
forget_granted(AtxCall *call, const AtxClaim *ended)
{
	call->queue_from = Max(call->queue_from, ended->queue_from);
	call->knows_granted = is_alone(call, ended);
	call->ngranted = 0;
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
	if (ATX_CLAIM_GRANTED(claim))
		forget_granted(call, claim);
	tell(call, ATX_CLAIM_GRANTED(claim) ? "released" : "withdrawn", claim);
	ring(claim);
	/* Those who wait to hold the service look again. */
	atx_doorbell_wake(claim->service_id);
	call->changed = true;
	return true;
}

/* ERROR 40001: the caller may try again when the guard is over. */
static void
refuse_guarded(int64 claim_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("claim " INT64_FORMAT " is guarded by another transaction", claim_id),
			 errhint("The transaction might succeed if retried.")));
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
		refuse_guarded(claim->claim_id);
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
	call->knows_granted = false;
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
read_holders(AtxCall *call)
{
	Holders		holders = {0};

	holders.count = atx_claims_granted(call, &holders.claims);
	for (int i = 0; i < holders.count; i++)
	{
		holders.used += holders.claims[i].weight;
		call->queue_from = Max(call->queue_from, holders.claims[i].queue_from);
	}
	return holders;
}

/*
 * Take the service from those who are gone; true if anything has changed.
 * There may be more of them than one transaction can lock: the others stay for
 * the next one.
 */
static bool
remove_dead_holders(AtxCall *call, const Holders *holders)
{
	bool		removed = false;

	for (int i = 0; i < holders->count; i++)
	{
		const AtxClaim *holder = &holders->claims[i];

		CHECK_FOR_INTERRUPTS();
		if (atx_private_locks_left() < LOCKS_NEEDED)
			break;
		if (!is_over(call, holder) || !atx_claim_end(call, holder))
			continue;
		if (holder->session_id != ATX_DELAY_SESSION)
			leave_delay(call, holder);
		removed = true;
	}
	return removed;
}

/*
 * End a claim that waits if its session has ended, or if it has waited long
 * enough; false if it goes on waiting.
 */
static bool
end_if_over(AtxCall *call, const AtxClaim *claim)
{
	if (!session_lives(claim->session_id))
		atx_claim_cancel_command(call, claim, ATX_STATUS_CANCELED, "the session has ended");
	else if (is_due(call, claim))
		atx_claim_cancel_command(call, claim, ATX_STATUS_CONFLICT, call->type->claims->held);
	else
		return false;
	(void) atx_claim_end(call, claim);
	return true;
}

/*
 * The first that waits and is still to be granted; false if there is none.
 *
 * Those before it that are gone stay in the index until a vacuum, and passing
 * them all each time would make a busy lock slow.  So each grant keeps where
 * the queue began when it was made: nobody comes in before that.
 */
static bool
next_in_queue(AtxCall *call, AtxClaim *claim)
{
	while (atx_claim_first_waiting(call->service.service_id, call->queue_from, claim))
	{
		CHECK_FOR_INTERRUPTS();
		if (!end_if_over(call, claim))
			return true;
	}
	return false;
}

/*
 * End what is over anywhere in the queue.  Whoever acquires or releases has no
 * need of it, since what is over goes when it has come to the front.
 */
static void
clear_queue(AtxCall *call)
{
	AtxClaim   *claims;
	int			count = atx_claims_over(call->service.service_id, &call->moment, &claims);

	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) end_if_over(call, &claims[i]);
	}
}

/* May anything be granted, as far as hold() is concerned? */
static bool
not_on_hold(const AtxCall *call)
{
	return atx_try_lock_shared(ATX_LOCK_HOLD, call->service.service_id);
}

/*
 * Is nothing granted yet, because this server has just been promoted?
 */
bool
atx_claims_postponed(const AtxCall *call)
{
	return atx_failover_delay_left(call->authority, &call->moment) > 0;
}

/*
 * Bring a service up to date: end what is over, and grant what can be.  True
 * if somebody still waits then; tells how many have it and how much of it.
 */
static bool
settle(AtxCall *call, Holders *holders)
{
	AtxClaim	next;

	*holders = read_holders(call);
	if (remove_dead_holders(call, holders))
		*holders = read_holders(call);
	while (next_in_queue(call, &next))
	{
		if (holders->used + next.weight > call->type->claims->capacity(&call->service))
			return true;
		if (atx_claims_postponed(call))
			return true;
		if (!not_on_hold(call))
		{
			atx_transaction_was_on_hold();
			return true;
		}
		call->queue_from = next.queue_from = next.position;
		atx_claim_grant(call, &next);
		holders->used += next.weight;
		holders->count++;
	}
	return false;
}

/*
 * The same.
 */
void
atx_claims_settle(AtxCall *call)
{
	Holders		holders;

	(void) settle(call, &holders);
}

/*
 * The same, and end what is over also in the middle of the queue.
 */
void
atx_claims_settle_all(AtxCall *call)
{
	clear_queue(call);
	atx_claims_settle(call);
}

/*
 * Would there be room for a claim in the place of one that is granted?
 */
bool
atx_claim_fits_instead(AtxCall *call, const AtxClaim *granted, const AtxClaim *claim)
{
	Holders		holders = read_holders(call);

	return holders.used - granted->weight + claim->weight <=
		call->type->claims->capacity(&call->service);
}

/*
 * Is there room for one more, with nobody before it?  *on_hold: there would be
 * if nobody held the service.
 */
static bool
is_free(AtxCall *call, int32 weight, Holders *holders, bool *on_hold)
{
	*on_hold = false;
	if (settle(call, holders) || atx_claims_postponed(call) ||
		holders->used + weight > call->type->claims->capacity(&call->service))
		return false;
	*on_hold = !not_on_hold(call);
	return !*on_hold;
}

/* Counting each time would make a long queue slow. */
static void
check_limits(const AtxCall *call, int holders, const AtxClaim *claim)
{
	int64		of_service = atx_limit(ATX_LIMIT_CLAIMS, call->service.namespace);
	int64		of_session = atx_limit(ATX_LIMIT_SESSION_CLAIMS, ATX_EVERYWHERE);
	bool		now = claim->claim_id % COUNT_EVERY == 0;
	int64		used;

	if (now || of_session < COUNT_ALWAYS)
	{
		used = atx_claims_count_of_session(claim->session_id, of_session);
		if (used >= of_session)
			atx_limit_refuse(ATX_LIMIT_SESSION_CLAIMS, ATX_EVERYWHERE, used, 1);
	}
	if (now || of_service < COUNT_ALWAYS)
	{
		used = holders + atx_claims_count_waiting(claim->service_id, call->queue_from, of_service);
		if (used >= of_service)
			atx_limit_refuse(ATX_LIMIT_CLAIMS, call->service.namespace, used, 1);
	}
}

static void
insert_granted(AtxCall *call, AtxClaim *claim)
{
	const AtxClaimRules *rules = call->type->claims;

	claim->position = -claim->claim_id;
	claim->queue_from = claim->claim_id;
	claim->wait_until = ATX_WAIT_FOR_EVER;
	atx_claim_insert(claim, &call->moment);
	call->knows_granted = false;
	tell(call, "granted", claim);
	if (rules->granted != NULL)
		rules->granted(call, claim);
}

static void
insert_waiting(AtxCall *call, const AtxClaimRequest *request, AtxClaim *claim)
{
	claim->position = claim->claim_id;
	claim->wait_until = request->timeout == ATX_WAIT_FOR_EVER ? ATX_WAIT_FOR_EVER :
		tick_after(call, request->timeout);
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
	Holders		holders;
	bool		on_hold;
	bool		free = is_free(call, request->weight, &holders, &on_hold);

	if (!free && request->timeout == 0)
		return false;
	/* Whoever holds the service cannot see who begins to wait just now. */
	if (on_hold)
		atx_transaction_was_on_hold();
	memset(claim, 0, sizeof(*claim));
	claim->service_id = call->service.service_id;
	claim->session_id = request->session_id;
	claim->weight = request->weight;
	claim->candidate = request->candidate;
	claim->priority = request->priority;
	claim->claim_id = atx_index_draw(call->authority);
	call->index = claim->claim_id;
	call->changed = true;
	check_limits(call, holders.count, claim);
	if (free)
		insert_granted(call, claim);
	else
		insert_waiting(call, request, claim);
	return true;
}

/*
 * End all claims of a session on the service and grant what can be; false if a
 * guard keeps one from ending.
 */
bool
atx_claims_release_session(AtxCall *call, int64 session_id)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_session(session_id, call->service.service_id, &claims);
	int			ended = 0;

	for (int i = 0; i < count; i++)
		if (atx_claim_end(call, &claims[i]))
		{
			atx_claim_cancel_command(call, &claims[i], ATX_STATUS_CANCELED,
									 "the claim was withdrawn");
			ended++;
		}
	atx_claims_settle(call);
	return ended == count;
}

/*
 * The same for a session that closes the service; ERROR 40001 if a guard keeps
 * a claim from ending, since nobody would end it later.
 */
void
atx_claims_detach_session(AtxCall *call)
{
	AtxClaim   *claims;

	if (!atx_claims_release_session(call, call->session_id) &&
		atx_claims_of_session(call->session_id, call->service.service_id, &claims) > 0)
		refuse_guarded(claims[0].claim_id);
}
