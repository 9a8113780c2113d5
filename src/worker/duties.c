/*-------------------------------------------------------------------------
 *
 * duties.c
 *	  What the worker does for services: settle claims, remove entries and
 *	  events, end transactions that keep others waiting.
 *
 * Each step is a transaction of its own and waits for nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/settings.h"
#include "commands/claiming.h"
#include "commands/feeds.h"
#include "commands/holding.h"
#include "tables/claim.h"
#include "tables/entry.h"
#include "tables/limit.h"
#include "tables/session.h"
#include "worker/duties.h"
#include "worker/process.h"

#define RETRY_BUSY			(100 * ATX_TICKS_PER_MS)
#define RECOUNT_INTERVAL	(30 * ATX_TICKS_PER_SEC)

/* How long a pass over the feeds goes on before the worker looks around. */
#define RETIRE_TURN			(50 * ATX_TICKS_PER_MS)

/* Entries removed in one transaction. */
#define ENTRY_BATCH			1000

/* Services whose claims are to be brought up to date. */
typedef struct Settling
{
	const AtxAuthority *authority;
	AtxWaiting	waiting;		/* also where claims wait */
	bool		missed;			/* something was in use in this pass */
	bool		in_use;			/* the service at hand */
	int64		service_ids[ATX_SETTLE_BATCH];
	int			count;
	int64		one;			/* the service at hand */
	int64		after;			/* those up to this one were looked at */
} Settling;

/* A pass over the feeds, which may take several turns. */
typedef struct Retiring
{
	const AtxAuthority *authority;
	AtxRetirement pass;
	int			busy;			/* of those in use, the one to wait for next */
	bool		done;			/* all of that one is forgotten */
	bool		goes_on;
} Retiring;

/* Entries being removed. */
typedef struct Removal
{
	const AtxAuthority *authority;
	int			count;			/* by the latest step */
} Removal;

/*
 * The history after whose failover_delay all claims that wait were looked at;
 * 0: none.
 */
static int64 granting_in = 0;

static AtxTick entries_retry_at = 0;
static AtxTick claims_retry_at = 0;
static AtxTick last_retired = 0;
static AtxTick last_holding = 0;
static AtxTick last_recount = 0;
static Retiring retiring;

static void
expire_entries_step(void *state)
{
	Removal    *removal = (Removal *) state;

	removal->count = atx_expire_entries(removal->authority, ENTRY_BATCH);
}

static void
retire_step(void *state)
{
	atx_retire_events(retiring.authority, &retiring.pass);
}

static void
retire_in_turn_step(void *state)
{
	retiring.done = atx_retire_in_turn(retiring.authority,
									   retiring.pass.busy[retiring.busy]);
}

/* The next step of a pass: those that are always used after the others. */
static void
go_on_retiring(void)
{
	if (retiring.busy < retiring.pass.nbusy)
	{
		if (atx_run_in_turn(retire_in_turn_step, NULL, "forgetting events") != ATX_RUN_DONE ||
			retiring.done)
			retiring.busy++;
	}
	else
	{
		retiring.busy = 0;
		if (atx_run(retire_step, NULL, "forgetting events") != ATX_RUN_DONE)
		{
			retiring.pass.complete = true;
			retiring.pass.nbusy = 0;
		}
	}
	retiring.goes_on = !retiring.pass.complete || retiring.busy < retiring.pass.nbusy;
}

/*
 * Forget events that need not be kept any more.  Where there are many this is
 * left in between, so that sessions end on time, and gone on with soon.
 */
static void
retire_events(const AtxAuthority *authority)
{
	AtxTick		until = atx_now() + RETIRE_TURN;

	if (!retiring.goes_on)
		memset(&retiring, 0, sizeof(retiring));
	retiring.authority = authority;
	do
	{
		atx_worker_between_steps();
		go_on_retiring();
	} while (retiring.goes_on && atx_now() < until);
	if (!retiring.goes_on)
		last_retired = atx_now();
}

/* Often enough that events are kept hardly longer than promised. */
static int64
retire_interval(void)
{
	return Max(atx_event_retention * ATX_TICKS_PER_SEC / 64, ATX_TICKS_PER_SEC);
}

/* Remove entries whose time to live is over. */
static void
expire_entries(const AtxAuthority *authority)
{
	Removal		removal = {authority, ENTRY_BATCH};

	while (removal.count == ENTRY_BATCH)
	{
		atx_worker_between_steps();
		if (atx_run(expire_entries_step, &removal, "removing expired entries") != ATX_RUN_DONE)
			break;
	}
	/* What is locked is tried again, but not at once. */
	entries_retry_at = atx_now() + RETRY_BUSY;
}

static void
list_step(void *state)
{
	Settling   *settling = (Settling *) state;

	settling->count = atx_services_to_settle(settling->authority, settling->waiting,
											 &settling->after, settling->service_ids);
}

static void
settle_step(void *state)
{
	Settling   *settling = (Settling *) state;

	settling->in_use = !atx_settle_if_free(settling->authority, settling->one, true);
}

/*
 * Where claims that wait are to be looked for in the next part of a pass.  A
 * pass goes on as it began, but begins anew to look at them all.
 */
static void
choose_waiting(Settling *settling, bool delay_is_over)
{
	bool		flagged = pg_atomic_exchange_u32(&atx_worker_slot->hold_ended, 0) != 0;

	if (delay_is_over && settling->waiting != ATX_WAITING_ANY)
		settling->after = 0;
	if (settling->after == 0)
	{
		settling->missed = false;
		settling->waiting = ATX_WAITING_NONE;
	}
	if (flagged && settling->waiting == ATX_WAITING_NONE)
		settling->waiting = ATX_WAITING_IDLE;
	if (delay_is_over)
		settling->waiting = ATX_WAITING_ANY;
}

/* Nothing but the flag tells of claims that wait for nobody. */
static void
look_again(Settling *settling)
{
	settling->missed = true;
	if (settling->waiting != ATX_WAITING_NONE)
		pg_atomic_write_u32(&atx_worker_slot->hold_ended, 1);
}

/*
 * Release the claims of sessions that have ended, and end those that waited
 * long enough, one service after the other, a batch at a time.
 */
static void
settle_services(const AtxAuthority *authority, bool delay_is_over)
{
	static Settling settling;

	choose_waiting(&settling, delay_is_over);
	settling.authority = authority;
	atx_worker_between_steps();
	if (atx_run(list_step, &settling, "looking for claims") != ATX_RUN_DONE)
	{
		settling.count = settling.after = 0;
		look_again(&settling);
	}
	for (int i = 0; i < settling.count; i++)
	{
		atx_worker_between_steps();
		settling.one = settling.service_ids[i];
		if (atx_run(settle_step, &settling, "settling claims") == ATX_RUN_DONE &&
			settling.in_use)
			look_again(&settling);
	}
	if (settling.after == 0 && settling.waiting == ATX_WAITING_ANY && !settling.missed)
		granting_in = authority->history;
	claims_retry_at = settling.after != 0 ? 0 : atx_now() + RETRY_BUSY;
}

static bool
hold_has_ended(void)
{
	return pg_atomic_read_u32(&atx_worker_slot->hold_ended) != 0;
}

static void
holding_step(void *state)
{
	atx_holding_step((const AtxAuthority *) state);
}

/* End transactions that keep others waiting, if it is time to look. */
static void
end_long_holders(const AtxAuthority *authority)
{
	if (atx_now() - last_holding < atx_holding_interval())
		return;
	atx_worker_between_steps();
	(void) atx_run(holding_step, (void *) authority, "looking for long waits");
	last_holding = atx_now();
}

static void
recount_step(void *state)
{
	*(bool *) state = atx_limits_recount();
}

/* Correct counters that may have gone wrong, if it is time to look. */
static void
correct_counters(void)
{
	bool		more = atx_now() - last_recount >= RECOUNT_INTERVAL;

	while (more)
	{
		last_recount = atx_now();
		atx_worker_between_steps();
		if (atx_run(recount_step, &more, "counting what is limited") != ATX_RUN_DONE)
			break;
	}
}

/* When claims that waited for the delay after a promotion are to be granted. */
static AtxTick
grants_begin(const AtxAuthority *authority, const AtxMoment *moment)
{
	int64		left = atx_failover_delay_left(authority, moment);

	/* The setting may have been raised since. */
	if (left > 0)
		granting_in = 0;
	return authority->history == granting_in ? 0 : moment->now + left;
}

/*
 * See what there is to do, in the transaction of the worker's look.
 */
void
atx_duties_look(AtxDuties *duties, const AtxAuthority *authority, const AtxMoment *moment)
{
	duties->authority = authority;
	if (!atx_entry_next_expiry(moment, &duties->next_expiry))
		duties->next_expiry = 0;
	if (!atx_claim_next_due(moment, &duties->next_claim))
		duties->next_claim = 0;
	duties->closing = atx_session_any_closing();
	duties->grants_begin = grants_begin(authority, moment);
}

/*
 * Settle claims, if that is due: before sessions are finished, which must
 * have none.  ended: sessions have just been ended; pending: some are still to
 * be finished.
 */
void
atx_duties_settle(const AtxDuties *duties, bool ended, bool pending)
{
	bool		delay_is_over = duties->grants_begin != 0 && duties->grants_begin <= atx_now();
	bool		due = pending || duties->closing || hold_has_ended() || delay_is_over ||
	(duties->next_claim != 0 && duties->next_claim <= atx_now());

	/* What could not be settled before must not keep new ends waiting. */
	if (ended)
		claims_retry_at = 0;
	if (due && claims_retry_at <= atx_now())
		settle_services(duties->authority, delay_is_over);
}

/*
 * Do the rest of what is due.
 */
void
atx_duties_serve(const AtxDuties *duties)
{
	AtxTick		now = atx_now();

	if (duties->next_expiry != 0 && duties->next_expiry <= now && entries_retry_at <= now)
		expire_entries(duties->authority);
	if (retiring.goes_on || now - last_retired >= retire_interval())
		retire_events(duties->authority);
	end_long_holders(duties->authority);
	correct_counters();
}

/*
 * When something is due next.
 */
AtxTick
atx_duties_next(const AtxDuties *duties)
{
	AtxTick		next = Min(retiring.goes_on ? 0 : last_retired + retire_interval(),
						   last_holding + atx_holding_interval());

	if (duties->next_expiry != 0)
		next = Min(next, Max(duties->next_expiry, entries_retry_at));
	if (duties->next_claim != 0)
		next = Min(next, Max(duties->next_claim, claims_retry_at));
	if (duties->grants_begin != 0)
		next = Min(next, Max(duties->grants_begin, claims_retry_at));
	if (duties->closing || hold_has_ended())
		next = Min(next, claims_retry_at);
	return next;
}
