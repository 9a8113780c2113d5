/*-------------------------------------------------------------------------
 *
 * session_end.c
 *	  Ending sessions whose time is over, and telling of every change.
 *
 * The worker must never wait for a user's transaction: locks are tried, rows
 * that are locked are skipped, and what was skipped is met in the next pass.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/arrays.h"
#include "base/doorbell.h"
#include "base/duration.h"
#include "base/extension.h"
#include "base/private_lock.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "commands/hints.h"
#include "commands/session_end.h"
#include "tables/grant.h"
#include "tables/service.h"
#include "tables/session.h"
#include "tables/session_change.h"
#include "tables/stream.h"

/* Sessions finished, told of or looked at in one transaction. */
#define STEP_ROWS	1000
#define SWEEP_ROWS	5000

/*
 * Begin a pass over the leases that have come to their check, leaving those
 * sessions alone that are known to make it fail.
 */
void
atx_expiry_start(AtxExpiry *expiry, const int64 *skip, int nskip)
{
	memset(expiry, 0, sizeof(*expiry));
	expiry->more = true;
	expiry->skip = skip;
	expiry->nskip = nskip;
}

static bool
is_skipped(const AtxExpiry *expiry, int64 id)
{
	for (int i = 0; i < expiry->nskip; i++)
		if (expiry->skip[i] == id)
			return true;
	return false;
}

/* Keep those whose lock is free now; it is ours until the transaction ends. */
static int
lock_free_ones(const AtxExpiry *expiry, int64 *ids, int count)
{
	int			locked = 0;

	atx_ids_sort(ids, count);
	for (int i = 0; i < count; i++)
		if (!is_skipped(expiry, ids[i]) &&
			atx_try_lock_exclusive(ATX_LOCK_SESSION, ids[i]))
			ids[locked++] = ids[i];
	return locked;
}

/*
 * Keep those whose rows are due, and lock these.  A row that is locked is
 * being renewed, or somebody deletes a service of the session: who does so
 * with many sessions holds their rows, and no lock of ours.
 */
static int
lock_due_rows(const AtxMoment *moment, int64 *ids, int count)
{
	int64		tried[ATX_END_BATCH];
	int			due;

	memcpy(tried, ids, sizeof(int64) * count);
	due = atx_lease_lock_due(moment, ids, count);
	if (due > 0)
		due = atx_session_lock_free(ids, due);
	for (int i = 0; i < count; i++)
		if (!atx_ids_contain(ids, due, tried[i]))
			atx_unlock_exclusive(ATX_LOCK_SESSION, tried[i]);
	return due;
}

/*
 * Keep those that memory lets go, marked so that they cannot be renewed any
 * more; have the rows of the others say what memory knows.
 */
static int
mark_due_ones(const AtxMoment *moment, int64 *ids, int count)
{
	Oid			extension = atx_extension()->oid;
	AtxAnchor	renewed[ATX_END_BATCH];
	int			nrenewed = 0;
	int			due = 0;

	for (int i = 0; i < count; i++)
	{
		AtxRenewal	renewal;

		if (atx_renewal_end_if_due(extension, ids[i], moment->now, moment->grace_from))
			ids[due++] = ids[i];
		else if (atx_renewal_find(extension, ids[i], &renewal) == ATX_RENEWAL_LIVE)
		{
			renewed[nrenewed].session_id = ids[i];
			renewed[nrenewed++].renewed_at = renewal.renewed_at;
		}
		else
			atx_unlock_exclusive(ATX_LOCK_SESSION, ids[i]);
	}
	for (int i = 0; i < nrenewed; i++)
		atx_unlock_exclusive(ATX_LOCK_SESSION, renewed[i].session_id);
	if (nrenewed > 0)
		(void) atx_lease_anchor(moment, renewed, nrenewed);
	return due;
}

/* Decide the end of those that are past their deadline, by a fresh clock. */
static void
expire(const AtxAuthority *authority, int64 *ids, int count, AtxExpiry *expiry)
{
	AtxMoment	moment;

	count = lock_free_ones(expiry, ids, count);
	if (count == 0)
		return;
	moment = atx_moment(authority);

	/* The rows first, so that whatever is marked in memory does end. */
	count = lock_due_rows(&moment, ids, count);
	count = mark_due_ones(&moment, ids, count);
	if (count > 0)
		expiry->ended = atx_session_expire(&moment, ids, count, &expiry->latest);
	for (int i = 0; i < expiry->ended; i++)
		atx_doorbell_ring(ids[i]);
}

static int
list_length_of(const int64 *ids)
{
	int			count = 0;

	while (ids[count] != 0)
		count++;
	return count;
}

/*
 * One step of a pass: end what is due among the next leases in order of
 * their check, and raise the check of the others.
 */
void
atx_expire_step(const AtxAuthority *authority, AtxExpiry *expiry)
{
	AtxMoment	moment = atx_moment(authority);
	int64		early[ATX_END_BATCH + 1];
	int64		due[ATX_END_BATCH + 1];
	int			ndue;
	int			nearly;

	/* What an error in looking would leave: the pass is over. */
	expiry->ended = expiry->postponed = 0;
	expiry->latest = 0;
	expiry->more = false;
	expiry->candidates[0] = 0;

	ndue = atx_lease_due(&moment, &expiry->from, ATX_END_BATCH,
						 expiry->candidates, early);
	nearly = list_length_of(early);
	expiry->more = ndue + nearly == ATX_END_BATCH;
	if (nearly > 0)
		expiry->postponed = atx_lease_postpone(&moment, early, nearly);
	memcpy(due, expiry->candidates, sizeof(due));
	if (ndue > 0)
		expire(authority, due, ndue, expiry);
}

/*
 * End one session if it is due: the way around a batch that failed.
 */
void
atx_expire_one(const AtxAuthority *authority, int64 session_id, AtxExpiry *expiry)
{
	int64		ids[] = {session_id};

	expiry->ended = 0;
	expiry->postponed = 0;
	expiry->latest = 0;
	expire(authority, ids, 1, expiry);
}

/*
 * Give closing sessions their final state; true if there may be more.
 */
bool
atx_finish_step(void)
{
	return atx_session_finish(STEP_ROWS) == STEP_ROWS;
}

static void
tell(const AtxSessionChange *change)
{
	atx_hint_session_change(change);
	/* Without shared memory no doorbell has rung for its end. */
	if (atx_shared == NULL && strcmp(change->state, "opened") != 0)
		atx_hint_session(change->session_id, change->version);
	if (atx_log_sessions)
		ereport(LOG,
				(errmsg("atomix session " INT64_FORMAT " is %s",
						change->session_id, change->state),
				 change->reason ? errdetail("Reason: %s.", change->reason) : 0));
}

/*
 * Have sessions numbered anew whose services have changed; true if there may
 * be more.
 */
static bool
take_service_changes(bool *passed_over)
{
	int64		ids[ATX_END_BATCH];
	int			found = atx_session_change_find(ATX_END_BATCH, ids);
	int			taken = found == 0 ? 0 : atx_session_change_take(ids, found);

	*passed_over = taken < found;
	return taken == ATX_END_BATCH;
}

/*
 * Number committed changes of sessions and tell of them; true if there may
 * be more.
 *
 * A session that somebody has to himself is passed over, and left for the
 * next time: its row is locked.  Nobody tells when that is, for what he does
 * may be undone, or be nothing to tell of.  Once our change is in the row,
 * that lock is enough.
 */
bool
atx_number_step(bool *passed_over)
{
	bool		more = take_service_changes(passed_over);
	int64		ids[ATX_END_BATCH];
	int			found = atx_session_unnumbered(ATX_END_BATCH, ids);
	int			count = 0;
	AtxSessionChange *changes;

	for (int i = 0; i < found; i++)
		if (atx_try_lock_shared_briefly(ATX_LOCK_SESSION, ids[i]))
			ids[count++] = ids[i];
	*passed_over = *passed_over || count < found;
	if (count == 0)
		return more;

	atx_ids_sort(ids, count);
	found = atx_session_number(ids, count, &changes);
	for (int i = 0; i < found; i++)
		tell(&changes[i]);
	atx_doorbell_wake(ATX_CHANNEL_VERSIONS);
	for (int i = 0; i < count; i++)
		atx_unlock_shared(ATX_LOCK_SESSION, ids[i]);
	return more || count == ATX_END_BATCH;
}

static void
tell_sessions(const int64 *ids, int count)
{
	AtxSessionChange *changes;

	for (int i = atx_session_versions(ids, count, &changes) - 1; i >= 0; i--)
		atx_hint_session(changes[i].session_id, changes[i].version);
}

/*
 * Tell listeners of single sessions and services that it was rung for these,
 * and those of sessions that have streams of the services, all in one
 * transaction, so that each is told of once.  What rings meanwhile, or could
 * not be told because the transaction failed, is for the next round.
 */
void
atx_hint_step(void)
{
	int64		ids[ATX_DOORBELL_QUEUE];
	int			count = atx_doorbell_take(ids, ATX_DOORBELL_QUEUE);
	AtxServiceRevision *revisions;
	int64	   *session_ids;

	if (count == 0)
		return;
	tell_sessions(ids, count);
	revisions = palloc(sizeof(AtxServiceRevision) * count);
	for (int i = atx_service_revisions(ids, count, revisions) - 1; i >= 0; i--)
		atx_hint_service(revisions[i].service_id, revisions[i].revision);
	count = atx_stream_sessions(ids, count, &session_ids);
	if (count > 0)
		tell_sessions(session_ids, count);
}

static int64
retention(void)
{
	return atx_tombstone_retention * ATX_TICKS_PER_SEC;
}

static int64
outcome_retention(void)
{
	return atx_outcome_retention * ATX_TICKS_PER_SEC;
}

/*
 * When ended sessions are to be looked at again.  They are known for up to a
 * 64th longer than atomix.tombstone_retention, or a second, and so are the
 * outcomes of their commands.
 */
AtxTick
atx_next_sweep(void)
{
	return atx_sweep_latest() + Max(Min(retention(), outcome_retention()) / 64, ATX_TICKS_PER_SEC);
}

/*
 * Forget sessions that ended long ago, a step of a pass over all: *after is 0
 * at its beginning and moved on; false when the pass is complete.
 */
bool
atx_sweep_step(const AtxAuthority *authority, int64 *after)
{
	AtxMoment	moment = atx_moment(authority);

	*after = atx_session_sweep(&moment, retention(), outcome_retention(),
							   *after, SWEEP_ROWS);
	if (*after == 0)
	{
		(void) atx_grants_sweep();
		atx_sweep_done(moment.now);
	}
	return *after != 0;
}
