/*-------------------------------------------------------------------------
 *
 * jump.c
 *	  Taking over the authority of a database.
 *
 * After each start of shared memory, and whenever the database has another
 * identity than the one it was last served under, the index moves beyond
 * everything that may have been handed out, and grace begins.  That is the
 * jump: a short transaction of its own, never part of a user's transaction,
 * which could idle and stop everybody.  Calls that need it wait for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "base/extension.h"
#include "base/private_lock.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "commands/jump.h"
#include "tables/claim.h"
#include "tables/entry.h"
#include "tables/lease.h"
#include "tables/partition.h"
#include "tables/service.h"

/* More events than a service had in a history whose end we do not know. */
#define HISTORY_JUMP	(INT64CONST(1) << 32)

/*
 * Must a jump be made before the index is drawn again?  False where this
 * server may not write.
 */
bool
atx_jump_is_due(void)
{
	const AtxAuthority *authority;

	if (RecoveryInProgress())
		return false;
	authority = atx_authority_current();
	return authority == NULL || atx_index_newest() < authority->index_floor;
}

/* The epoch of the clock this machine has now, begun if it is a new one. */
static int32
enter_epoch(void)
{
	bool		same_clock;
	int32		epoch = atx_epoch_current(&same_clock);

	if (!same_clock)
		atx_epoch_begin(++epoch);
	return epoch;
}

/*
 * A number for the history that begins, above those of revisions in earlier
 * ones.  Copies of one dump jump to the same index, not at the same time.
 */
static int64
new_history(const AtxAuthority *before, const AtxAuthority *mine)
{
	return Max(atx_wall_now(), Max(mine->index_floor, before->history + HISTORY_JUMP));
}

static void
take_over(const AtxAuthority *before, AtxAuthority *mine, bool same_history)
{
	AtxMoment	moment;

	mine->epoch = enter_epoch();
	mine->index_floor = atx_index_jump(before->index_floor, same_history);
	mine->served = before->served;
	if (before->start_id == mine->start_id)
	{
		mine->grace_from = before->grace_from;
		mine->grace_served = before->grace_served;
	}
	else
	{
		mine->grace_from = atx_now();
		mine->grace_served = before->served;
		atx_grace_begin(mine->grace_from, mine->grace_served);
	}
	moment = atx_moment(mine);
	mine->history = same_history ? before->history : new_history(before, mine);
	mine->history_served = same_history ? before->history_served : moment.served;
	atx_authority_write(mine);

	atx_lease_correct_future(&moment);
	atx_entry_enter_epoch(&moment);
	atx_claim_enter_epoch(&moment);
}

/*
 * The index position must survive a crash from the moment it is used, hence
 * the forced commit.
 */
static void
jump(bool restored)
{
	AtxAuthority before = {0};
	AtxAuthority mine = atx_authority_identity();
	bool		served_before = atx_authority_read(&before);
	bool		same_identity = served_before && atx_authority_same_identity(&before, &mine);
	bool		same_history = !served_before || (same_identity && !restored);

	take_over(&before, &mine, same_history);
	if (!same_history && !restored && atx_authority_same_database(&before, &mine))
		atx_services_carry_on(before.history, mine.history);
	if (!same_identity || restored)
	{
		atx_partition_new_term();
		atx_partition_ensure();
	}
	ForceSyncCommit();
	atx_authority_forget();

	ereport(LOG,
			(errmsg("atomix serves database %u from index " INT64_FORMAT,
					MyDatabaseId, mine.index_floor),
			 !served_before ? errdetail("It is served for the first time.") :
			 !same_identity ? errdetail("It was last served under another identity; a new term begins.") :
			 restored ? errdetail("It was restored; a new term begins.") : 0));
}

/* Not a lock on a table: whoever jumps may have locked those already. */
static void
lock_to_jump(void)
{
	atx_lock_exclusive(ATX_LOCK_JUMP, 0);
	atx_authority_forget();
}

/*
 * Jump, unless another process just did.
 */
void
atx_jump(void)
{
	lock_to_jump();
	if (atx_jump_is_due())
		jump(false);
}

/*
 * Jump in any case, to a history of its own: what was restored is not what it
 * was copied from.
 */
void
atx_jump_to_new_history(void)
{
	lock_to_jump();
	jump(true);
	atx_extension_changed();
}

/*
 * Start a process that jumps and exits; NULL if the server has no room for
 * one.
 */
static BackgroundWorkerHandle *
start_jumper(void)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	strlcpy(worker.bgw_name, "atomix jump", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "atomix jump", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "atomix", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "atomix_jump_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	worker.bgw_notify_pid = MyProcPid;

	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

/* Wait for a jumper to be gone; false if the time is over first. */
static bool
await_jumper(BackgroundWorkerHandle *jumper, AtxTick until)
{
	pid_t		pid;

	while (GetBackgroundWorkerPid(jumper, &pid) != BGWH_STOPPED)
	{
		int64		left = (until - atx_now()) / ATX_TICKS_PER_MS;

		if (left <= 0)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/* Have the database's worker jump; false if there is none. */
static bool
worker_jumps(AtxSlot *slot, AtxTick until)
{
	if (slot == NULL || slot->pid == 0)
		return false;

	ConditionVariablePrepareToSleep(&slot->changed);
	while (slot->pid != 0 && atx_authority_current() == NULL && atx_now() < until)
	{
		/* Each round, in case somebody else jumped and nobody rang. */
		pg_atomic_write_u32(&slot->jump_wanted, 1);
		atx_slot_nudge_worker(slot);
		(void) ConditionVariableTimedSleep(&slot->changed, 100, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return atx_authority_current() != NULL;
}

/* Get somebody to jump, for at most max_wait. */
static const AtxAuthority *
have_jumped(void)
{
	AtxTick		now = atx_now();
	AtxTick		wait = atx_max_wait * ATX_TICKS_PER_MS;

	/* A worker that does not get to it leaves half of the time to a jumper. */
	if (!worker_jumps(atx_slot_find(MyDatabaseId), now + wait / 2))
	{
		BackgroundWorkerHandle *jumper = start_jumper();

		if (jumper == NULL || !await_jumper(jumper, now + wait))
			return NULL;
	}
	return atx_authority_current();
}

/*
 * The authority under which this call may change things; waits, bounded, for
 * a jump that is due.  The transaction that creates the extension jumps
 * itself, since nobody else can see its tables.
 */
AtxAnswer
atx_await_authority(const AtxAuthority **authority)
{
	AtxAnswer	answer;

	if (!atx_enabled)
	{
		answer = atx_answer(ATX_UNAVAILABLE, pstrdup("atomix is disabled on this server"));
		answer.hint = pstrdup("Set atomix.enabled to on if this server shall act.");
		return answer;
	}
	if (RecoveryInProgress())
		return atx_answer(ATX_UNAVAILABLE, pstrdup("this server is a standby"));

	*authority = atx_authority_current();
	if (*authority == NULL && atx_extension()->created_here)
	{
		atx_jump();
		*authority = atx_authority_current();
	}
	if (*authority == NULL)
		*authority = have_jumped();
	if (*authority != NULL)
		return ATX_ANSWER_DONE;

	answer = atx_answer(ATX_UNAVAILABLE,
						pstrdup("atomix has not yet taken over this database"));
	answer.detail = psprintf("A call waits for it at most atomix.max_wait, %d ms.", atx_max_wait);
	answer.hint = pstrdup("Try again; if it persists, look for errors of the atomix worker in the server log and raise max_worker_processes, or call atomix.tick().");
	return answer;
}
