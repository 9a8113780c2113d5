/*-------------------------------------------------------------------------
 *
 * restore.c
 *	  What an administrator does after a restore.
 *
 * A server cannot tell a copy of its files that was put in the place of newer
 * ones from a restart, nor a restore to an earlier time from a promotion.  The
 * sessions in it are those of another time: their clients may have closed
 * them, and others may have been granted what they held.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "base/extension.h"
#include "base/renewals.h"
#include "base/transaction.h"
#include "commands/jump.h"
#include "commands/restore.h"
#include "tables/lease.h"
#include "tables/session.h"

/* The extension whose renewals in memory end with this transaction. */
static Oid	restored = InvalidOid;

/*
 * Leases are locked until all of this is over, so that nobody brings back
 * into memory what he read before.
 */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && OidIsValid(restored))
		atx_renewals_forget_extension(restored);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		restored = InvalidOid;
}

static void
watch_transactions(void)
{
	static bool watched = false;

	if (!watched)
		RegisterXactCallback(at_end_of_transaction, NULL);
	watched = true;
}

/*
 * End all sessions, and begin a new history and term; returns how many
 * sessions there were.  Their claims are released by the worker, or by whoever
 * comes first.  Needs an open scope, in a transaction that will end at once.
 */
int64
atx_after_restore(void)
{
	AtxMoment	moment;
	int64		ended;

	atx_lease_lock_all();
	atx_jump_to_new_history();
	moment = atx_moment(atx_authority_current());
	ended = atx_session_end_all(&moment, "restored");
	watch_transactions();
	restored = atx_extension()->oid;
	atx_transaction_used_session();
	atx_transaction_wakes_worker();
	return ended;
}
