/*-------------------------------------------------------------------------
 *
 * transaction.c
 *	  What the running transaction has done, and what its end shall do.
 *
 * COMMIT PREPARED runs no callback of ours, so a transaction that opened,
 * renewed or ended a session cannot be prepared: nobody would hear of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"

#include "base/shmem.h"
#include "base/transaction.h"

/* More commits than the server ever has in memory alone. */
#define MAX_COMMITS_IN_MEMORY	1000000

/*
 * Nesting level of the outermost live subtransaction that used a session; 0
 * if none did, or if all that did were rolled back to a savepoint.
 */
static int	session_level = 0;
static bool wakes_worker = false;
static bool was_on_hold = false;
static bool keeps_durable = false;

/*
 * Have the commit of another transaction, of whose changes somebody outside is
 * about to hear, be on disk: one that was not waited for could be lost in a
 * crash, and something else take its place.  So old ones are long since.
 */
void
atx_make_durable(uint64 xid)
{
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());

	if (RecoveryInProgress() || xid == 0 || next - xid > MAX_COMMITS_IN_MEMORY)
		return;
	XLogFlush(TransactionIdGetCommitLSN(XidFromFullTransactionId(FullTransactionIdFromU64(xid))));
}

/*
 * Note that the transaction opened, renewed or ended a session.
 */
void
atx_transaction_used_session(void)
{
	int			level = GetCurrentTransactionNestLevel();

	session_level = session_level == 0 ? level : Min(session_level, level);
}

/*
 * Have the worker look once the transaction is over.
 */
void
atx_transaction_wakes_worker(void)
{
	wakes_worker = true;
}

/*
 * Note that the transaction kept others from a grant by holding a service, or
 * that somebody else's hold may have kept it from granting what could have
 * been: once it is over the worker looks for claims that wait for nobody.
 */
void
atx_transaction_was_on_hold(void)
{
	was_on_hold = true;
}

/* Nothing was written, so nobody else would grant to those who wait. */
static void
look_for_idle_claims(void)
{
	AtxSlot    *slot = atx_slot_find(MyDatabaseId);

	if (slot == NULL)
		return;
	pg_atomic_write_u32(&slot->hold_ended, 1);
	atx_slot_nudge_worker(slot);
}

/*
 * Is the transaction going to be on disk before others see what it did?  If it
 * says so now, it does so, whatever is set until it commits.
 */
bool
atx_transaction_keeps_durable(void)
{
	if (synchronous_commit > SYNCHRONOUS_COMMIT_OFF)
		keeps_durable = true;
	return keeps_durable;
}

static void
refuse_prepare(void)
{
	if (session_level != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has used an atomix session")));
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_PRE_COMMIT:
			if (keeps_durable && synchronous_commit <= SYNCHRONOUS_COMMIT_OFF)
				ForceSyncCommit();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			/* Rolled back, it may have hidden an older change so far. */
			if (wakes_worker)
				atx_slot_wake_worker(atx_slot_find(MyDatabaseId));
			if (was_on_hold)
				look_for_idle_claims();
			/* FALLTHROUGH */
		case XACT_EVENT_PREPARE:
			session_level = 0;
			wakes_worker = was_on_hold = keeps_durable = false;
			break;
		default:
			break;
	}
}

static void
at_end_of_subtransaction(SubXactEvent event, SubTransactionId mine,
						 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (session_level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		session_level = 0;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		session_level = level - 1;
}

/*
 * Register the callbacks; once per process.
 */
void
atx_transaction_init(void)
{
	RegisterXactCallback(at_end_of_transaction, NULL);
	RegisterSubXactCallback(at_end_of_subtransaction, NULL);
}
