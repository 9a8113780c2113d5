/*-------------------------------------------------------------------------
 *
 * upkeep.c
 *	  The worker's whole job, done once, in one transaction.
 *
 * What tick() runs for servers without a worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/private_lock.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "commands/claiming.h"
#include "commands/feeds.h"
#include "commands/holding.h"
#include "commands/jump.h"
#include "commands/session_end.h"
#include "commands/upkeep.h"
#include "tables/entry.h"
#include "tables/limit.h"

#define MAX_ENTRIES		100000

/* Locks that must be left to go on with another service. */
#define LOCKS_TO_SETTLE	32

static int64
end_due_sessions(const AtxAuthority *authority)
{
	AtxExpiry	expiry;
	int64		ended = 0;

	/* Each session takes a lock until the transaction ends. */
	atx_expiry_start(&expiry, NULL, 0);
	while (expiry.more && ended + ATX_END_BATCH <= ATX_MAX_PRIVATE_LOCKS)
	{
		atx_expire_step(authority, &expiry);
		ended += expiry.ended;
	}
	return ended;
}

static void
forget_old_sessions(const AtxAuthority *authority)
{
	AtxMoment	moment = atx_moment(authority);
	int64		after = 0;

	if (atx_next_sweep() > moment.now)
		return;
	while (atx_sweep_step(authority, &after))
		;
}

/*
 * Those that somebody is using are left for the next call, and so are those
 * for which there is no room among the transaction's locks.  That the delay
 * after a promotion has ended since the last call is not known, so where there
 * is one all that wait are looked at.
 */
static void
settle_services(const AtxAuthority *authority)
{
	AtxWaiting	waiting = atx_failover_delay > 0 && authority->history != 0 ?
	ATX_WAITING_ANY : ATX_WAITING_IDLE;
	int64		service_ids[ATX_SETTLE_BATCH];
	int64		after = 0;

	do
	{
		int			count = atx_services_to_settle(authority, waiting, &after, service_ids);

		for (int i = 0; i < count && atx_private_locks_left() >= LOCKS_TO_SETTLE; i++)
		{
			CHECK_FOR_INTERRUPTS();
			(void) atx_settle_if_free(authority, service_ids[i], true);
		}
	} while (after != 0 && atx_private_locks_left() >= LOCKS_TO_SETTLE);
}

/* As many as one transaction can lock. */
static void
retire_events(const AtxAuthority *authority)
{
	AtxRetirement retirement = {0};

	atx_retire_events(authority, &retirement);
}

/* At most so many, in one transaction: the next call goes on. */
static void
remove_expired_entries(const AtxAuthority *authority)
{
	AtxMoment	moment = atx_moment(authority);
	AtxTick		next;

	if (atx_entry_next_expiry(&moment, &next) && next <= moment.now)
		(void) atx_expire_entries(authority, MAX_ENTRIES);
}

/*
 * Take over if that is due, end sessions, tell of changes, forget tombstones;
 * returns how many sessions were ended.  Needs an open scope, in a
 * transaction that will end at once: it holds back everybody else's jump.
 */
int64
atx_upkeep(void)
{
	const AtxAuthority *authority;
	int64		ended;
	bool		passed_over;

	if (atx_jump_is_due())
		atx_jump();
	authority = atx_authority_current();

	/* First, while this transaction has written nothing. */
	(void) atx_index_note_safe();
	ended = end_due_sessions(authority);
	settle_services(authority);
	while (atx_finish_step())
		;
	while (atx_number_step(&passed_over))
		;
	atx_hint_step();
	remove_expired_entries(authority);
	retire_events(authority);
	atx_holding_step(authority);
	forget_old_sessions(authority);
	while (atx_limits_recount())
		;

	/* Beats promise that the next one will come, so only a worker beats. */
	if (atx_slot_find(MyDatabaseId) == NULL)
		atx_beat(authority, true);
	return ended;
}
