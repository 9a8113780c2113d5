/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  Table lease: the durable anchor of each live session's deadline.
 *
 * A renewal changes no indexed column, so that it stays a HOT update: the
 * index is on check_at, a lower bound of the deadline that is raised only
 * when it is reached.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/arrays.h"
#include "base/rows.h"
#include "base/settings.h"
#include "base/spi.h"
#include "tables/lease.h"
#include "compat.h"

/* Columns by their position in the table. */
enum
{
	LEASE_SESSION_ID = 1,
	LEASE_TIMEOUT,
	LEASE_RENEWED_AT,
	LEASE_SERVED,
	LEASE_CHECK_AT,
	LEASE_ACK_FLOOR,
	LEASE_EPOCH,
	LEASE_CHECK_EPOCH,
	LEASE_OWNER,
	LEASE_COLUMNS = LEASE_OWNER
};

static AtxTable lease_table = {"lease", "lease_pkey"};

static AtxStatement renew = {
	"UPDATE atomix.lease l SET epoch = $2, renewed_at = $3, served = $4"
	" WHERE l.session_id = $1"
	" AND (l.epoch <> $2 OR l.renewed_at < $5"
	" OR l.renewed_at < $3 - l.timeout / $6)"
	" AND " ATX_LEASE_USABLE_BY("$7")
	" RETURNING l.timeout",
	7, {INT8OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, OIDOID}
};

static AtxStatement find = {
	"SELECT l.timeout FROM atomix.lease l WHERE l.session_id = $1"
	" AND " ATX_LEASE_USABLE_BY("$2"),
	2, {INT8OID, OIDOID}
};

static AtxStatement mirror = {
	"SELECT l.owner, l.timeout,"
	" CASE WHEN l.epoch = $3 AND l.renewed_at >= $4 THEN l.renewed_at ELSE 0 END,"
	" l.xmin"
	" FROM atomix.lease l WHERE l.session_id = $1"
	" AND " ATX_LEASE_USABLE_BY("$2"),
	4, {INT8OID, OIDOID, INT4OID, INT8OID}
};

static AtxStatement lock_floor = {
	"SELECT l.ack_floor FROM atomix.lease l WHERE l.session_id = $1"
	" AND " ATX_LEASE_USABLE_BY("$2") " FOR UPDATE",
	2, {INT8OID, OIDOID}
};

static AtxStatement set_floor = {
	"UPDATE atomix.lease SET ack_floor = $2 WHERE session_id = $1",
	2, {INT8OID, INT8OID}
};

/* $1 to $4 as in ATX_LEASE_DEADLINE. */
static AtxStatement read_many = {
	"SELECT l.session_id, l.owner, l.timeout,"
	" CASE WHEN l.epoch = $1 AND l.renewed_at >= $3 THEN l.renewed_at ELSE 0 END,"
	" l.xmin, GREATEST(0, LEAST(" ATX_LEASE_TIMEOUT ", " ATX_LEASE_DEADLINE " - $2))"
	" FROM atomix.lease l WHERE l.session_id = ANY ($5)"
	" AND " ATX_LEASE_USABLE_BY("$6"),
	6, {INT4OID, INT8OID, INT8OID, INT8OID, INT8ARRAYOID, OIDOID}
};

static AtxStatement renew_many = {
	"UPDATE atomix.lease l SET epoch = $2, renewed_at = $3, served = $4"
	" WHERE l.session_id = ANY (ARRAY(SELECT k.session_id FROM atomix.lease k"
	" WHERE k.session_id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED))"
	" RETURNING l.session_id",
	4, {INT8ARRAYOID, INT4OID, INT8OID, INT8OID}
};

/* The condition is evaluated on the newest version of each row. */
static AtxStatement lock_due = {
	"SELECT l.session_id FROM atomix.lease l WHERE l.session_id = ANY ($5)"
	" AND " ATX_LEASE_DEADLINE " < $2 FOR UPDATE SKIP LOCKED",
	5, {INT4OID, INT8OID, INT8OID, INT8OID, INT8ARRAYOID}
};

/* What the arrays of the next statement say of a session. */
#define RENEWED_AT	"($6)[" ATX_PLACE_OF("l.session_id", "$5") "]"

/*
 * $1 to $4 as in ATX_LEASE_DEADLINE.  A row that was renewed meanwhile is not
 * set back.
 */
static AtxStatement anchor = {
	"UPDATE atomix.lease l SET epoch = $1, renewed_at = " RENEWED_AT ","
	" served = $4 + (" RENEWED_AT " - $3), check_epoch = CASE"
	" WHEN (l.check_epoch, l.check_at) <= ($1, $2) THEN $1"
	" ELSE l.check_epoch END, check_at = CASE"
	" WHEN (l.check_epoch, l.check_at) <= ($1, $2)"
	" THEN " RENEWED_AT " + " ATX_LEASE_TIMEOUT " + " ATX_LEASE_TIMEOUT " / 8"
	" ELSE l.check_at END"
	" WHERE " RENEWED_AT " >= $3 AND (l.epoch <> $1 OR l.renewed_at <= " RENEWED_AT ")"
	" AND l.session_id = ANY (ARRAY(SELECT x.session_id FROM atomix.lease x"
	" WHERE x.session_id = ANY ($5) FOR UPDATE SKIP LOCKED))"
	" RETURNING l.session_id, l.renewed_at",
	6, {INT4OID, INT8OID, INT8OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID}
};

static AtxStatement lock_all = {
	"LOCK TABLE atomix.lease IN ACCESS EXCLUSIVE MODE"
};

static AtxStatement find_due = {
	"SELECT l.check_epoch, l.check_at, l.session_id, " ATX_LEASE_DEADLINE " < $2"
	" FROM atomix.lease l"
	" WHERE (l.check_epoch, l.check_at) <= ($1, $2)"
	" AND (l.check_epoch, l.check_at, l.session_id) > ($5, $6, $7)"
	" ORDER BY l.check_epoch, l.check_at, l.session_id LIMIT $8",
	8, {INT4OID, INT8OID, INT8OID, INT8OID, INT4OID, INT8OID, INT8OID, INT8OID}
};

static AtxStatement postpone = {
	"UPDATE atomix.lease l SET check_epoch = $1, check_at = " ATX_LEASE_DEADLINE
	" WHERE l.session_id = ANY (ARRAY(SELECT k.session_id FROM atomix.lease k"
	" WHERE k.session_id = ANY ($5) FOR UPDATE SKIP LOCKED))"
	" AND " ATX_LEASE_DEADLINE " >= $2",
	5, {INT4OID, INT8OID, INT8OID, INT8OID, INT8ARRAYOID}
};

static AtxStatement next_check = {
	"SELECT l.check_epoch, l.check_at FROM atomix.lease l"
	" ORDER BY l.check_epoch, l.check_at LIMIT 1"
};

static AtxStatement correct_future = {
	"UPDATE atomix.lease l SET renewed_at = $2, served = $3,"
	" check_at = LEAST(l.check_at, $2)"
	" WHERE l.epoch = $1 AND l.renewed_at > $2",
	3, {INT4OID, INT8OID, INT8OID}
};

/*
 * The tick after which the session may be ended by expiry.
 *
 * A renewal of this run of the server counts from when it was made.  One
 * from before counts from the beginning of grace, for what was left of the
 * timeout: neither a restart nor a crash loop may kill or prolong unduly.
 * An anchor may be a quarter of the timeout older than the last renewal.
 */
AtxTick
atx_lease_deadline(const AtxMoment *moment, int32 epoch, AtxTick renewed_at,
				   int64 served, int64 timeout)
{
	int64		remaining;

	if (epoch == moment->epoch && renewed_at >= moment->grace_from)
		return renewed_at + timeout + ATX_LEASE_SLACK(timeout);

	/* The slack is served once, too, not once in each run. */
	remaining = timeout / 4 * 5 + ATX_LEASE_SLACK(timeout) -
		(moment->grace_served - served);
	remaining = Min(timeout + ATX_LEASE_SLACK(timeout), Max(0, remaining));
	return moment->grace_from + remaining;
}

/*
 * Insert the lease of a session that is opened at the moment.
 */
void
atx_lease_insert(int64 session_id, Oid owner, int64 timeout, const AtxMoment *moment)
{
	Datum		values[LEASE_COLUMNS];
	bool		nulls[LEASE_COLUMNS] = {false};
	AtxCursor	cursor;

	values[LEASE_SESSION_ID - 1] = Int64GetDatum(session_id);
	values[LEASE_TIMEOUT - 1] = Int64GetDatum(timeout);
	values[LEASE_RENEWED_AT - 1] = Int64GetDatum(moment->now);
	values[LEASE_SERVED - 1] = Int64GetDatum(moment->served);
	values[LEASE_CHECK_AT - 1] =
		Int64GetDatum(atx_lease_deadline(moment, moment->epoch, moment->now,
										 moment->served, timeout));
	values[LEASE_ACK_FLOOR - 1] = Int64GetDatum(0);
	values[LEASE_EPOCH - 1] = values[LEASE_CHECK_EPOCH - 1] = Int32GetDatum(moment->epoch);
	values[LEASE_OWNER - 1] = ObjectIdGetDatum(owner);
	atx_cursor_open(&cursor, &lease_table, true);
	atx_cursor_insert(&cursor, values, nulls);
	atx_cursor_close(&cursor);
}

/* May the role use the lease the cursor is at?  Tells its floor. */
static bool
is_usable(AtxCursor *cursor, Oid role, int64 *floor)
{
	bool		isnull;
	Oid			owner = DatumGetObjectId(atx_cursor_datum(cursor, LEASE_OWNER, &isnull));

	*floor = atx_cursor_int64(cursor, LEASE_ACK_FLOOR);
	return role == ATX_ANY_ROLE || has_privs_of_role(role, owner);
}

/*
 * Keep everybody from all leases until the transaction ends; waits for those
 * who have read or changed any.
 */
void
atx_lease_lock_all(void)
{
	(void) atx_execute(&lock_all, NULL, NULL);
}

/*
 * Delete the lease of a session, whose lock the caller has exclusive, and tell
 * its floor; false if there is none (any more) that the role may use.  Waits
 * for whoever is renewing it in a batch, which has but the row.
 */
bool
atx_lease_delete(int64 session_id, Oid role, int64 *floor)
{
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &lease_table, true);
	do
	{
		Snapshot	snapshot = atx_snapshot_take();

		CHECK_FOR_INTERRUPTS();
		found = atx_cursor_find(&cursor, snapshot, &session_id, 1) &&
			is_usable(&cursor, role, floor);
		atx_snapshot_release(snapshot);
	} while (found && !atx_cursor_try_delete(&cursor));
	atx_cursor_close(&cursor);
	return found;
}

/*
 * Renew a lease at the moment, and tell its timeout; false if there is none
 * that the role may use.  The caller holds the session's lock.
 *
 * A lease renewed less than an eighth of its timeout ago is left as it is:
 * the slack makes up for it.
 */
bool
atx_lease_renew(int64 session_id, Oid role, const AtxMoment *moment,
				int64 *timeout, bool *written)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->served),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(atx_coalesce_renewals ? 8 : PG_INT64_MAX),
		ObjectIdGetDatum(role)
	};
	Datum		key[] = {Int64GetDatum(session_id), ObjectIdGetDatum(role)};

	*written = atx_execute(&renew, values, NULL) > 0;
	if (!*written && atx_execute(&find, key, NULL) == 0)
		return false;

	*timeout = atx_result_int64(0, 1);
	return true;
}

/*
 * Read a lease for shared memory; false if there is none that the role may
 * use, or it is not committed.  A renewal from before grace counts as none.
 */
bool
atx_lease_mirror(int64 session_id, Oid role, const AtxMoment *moment,
				 AtxRenewal *renewal)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		ObjectIdGetDatum(role),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->grace_from)
	};

	if (atx_execute(&mirror, values, NULL) == 0)
		return false;
	/* Written here, or in a subtransaction of ours: it may be rolled back. */
	if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(atx_result_datum(0, 4))))
		return false;
	renewal->owner = atx_result_oid(0, 1);
	renewal->timeout = atx_result_int64(0, 2);
	renewal->renewed_at = renewal->anchored_at = atx_result_int64(0, 3);
	return true;
}

static bool
is_own_change(Datum xmin)
{
	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

/*
 * Read those of the leases that exist and that the role may use; returns how
 * many.
 */
int
atx_lease_read_many(const AtxMoment *moment, Oid role, const int64 *ids,
					int count, AtxLeaseCopy *leases)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(moment->grace_served),
		atx_int64_array(ids, count),
		ObjectIdGetDatum(role)
	};
	int			found = (int) atx_execute(&read_many, values, NULL);

	for (int i = 0; i < found; i++)
	{
		AtxLeaseCopy *lease = &leases[i];
		AtxRenewal *renewal = &lease->renewal;

		lease->session_id = atx_result_int64(i, 1);
		renewal->owner = atx_result_oid(i, 2);
		renewal->timeout = atx_result_int64(i, 3);
		renewal->renewed_at = renewal->anchored_at = atx_result_int64(i, 4);
		lease->committed = !is_own_change(atx_result_datum(i, 5));
		lease->recent = atx_coalesce_renewals && renewal->renewed_at != 0 &&
			renewal->renewed_at >= moment->now - renewal->timeout / 8;
		lease->time_left = atx_result_int64(i, 6);
	}
	return found;
}

/* Put the ids that a statement has returned first, ascending. */
static int
take_ids(int64 *ids, uint64 found)
{
	int			count = atx_result_ids(found, ids);

	atx_ids_sort(ids, count);
	return count;
}

/*
 * Renew leases at the moment but those whose rows are locked: it waits for
 * nobody.  Returns how many, which then stand first.
 */
int
atx_lease_renew_many(const AtxMoment *moment, int64 *ids, int count)
{
	Datum		values[] = {
		atx_int64_array(ids, count),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->served)
	};

	return take_ids(ids, atx_execute(&renew_many, values, NULL));
}

/*
 * Lock the rows of those that are past their deadline; those that are locked
 * are left out, as somebody is renewing them.  Returns how many, which then
 * stand first: until the transaction ends nobody can renew them.
 */
int
atx_lease_lock_due(const AtxMoment *moment, int64 *ids, int count)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(moment->grace_served),
		atx_int64_array(ids, count)
	};

	return take_ids(ids, atx_execute(&lock_due, values, NULL));
}

/*
 * The number up to which all commands of a session are acknowledged; false if
 * there is no lease that the role may use.
 */
bool
atx_lease_floor_in(Snapshot snapshot, int64 session_id, Oid role, int64 *floor)
{
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &lease_table, false);
	found = atx_cursor_find(&cursor, snapshot, &session_id, 1) &&
		is_usable(&cursor, role, floor);
	atx_cursor_close(&cursor);
	return found;
}

/*
 * Is the deadline of a session over, by its row?
 */
bool
atx_lease_is_due(int64 session_id, const AtxMoment *moment)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		due = false;
	bool		isnull;

	atx_cursor_open(&cursor, &lease_table, false);
	if (atx_cursor_find(&cursor, snapshot, &session_id, 1))
		due = moment->now >
			atx_lease_deadline(moment,
							   DatumGetInt32(atx_cursor_datum(&cursor, LEASE_EPOCH, &isnull)),
							   atx_cursor_int64(&cursor, LEASE_RENEWED_AT),
							   atx_cursor_int64(&cursor, LEASE_SERVED),
							   atx_cursor_int64(&cursor, LEASE_TIMEOUT));
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return due;
}

/*
 * The number up to which all commands are acknowledged, which nobody else can
 * change until the transaction ends; false if there is no lease that the role
 * may use.
 */
bool
atx_lease_lock_floor(int64 session_id, Oid role, int64 *floor)
{
	Datum		values[] = {Int64GetDatum(session_id), ObjectIdGetDatum(role)};

	if (atx_execute(&lock_floor, values, NULL) == 0)
		return false;
	*floor = atx_result_int64(0, 1);
	return true;
}

/*
 * Raise it; the caller has locked it.
 */
void
atx_lease_set_floor(int64 session_id, int64 floor)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(floor)};

	(void) atx_execute(&set_floor, values, NULL);
}

static int
by_session(const void *a, const void *b)
{
	return pg_cmp_s64(((const AtxAnchor *) a)->session_id,
					  ((const AtxAnchor *) b)->session_id);
}

/*
 * Write renewals of shared memory into their rows; returns how many it did,
 * which then stand first in the array.  It skips rows that are locked.
 */
int
atx_lease_anchor(const AtxMoment *moment, AtxAnchor *anchors, int count)
{
	int64	   *ids = palloc(sizeof(int64) * Max(count, 1));
	int64	   *ticks = palloc(sizeof(int64) * Max(count, 1));
	Datum		values[6];
	int			done;

	qsort(anchors, count, sizeof(AtxAnchor), by_session);
	for (int i = 0; i < count; i++)
	{
		ids[i] = anchors[i].session_id;
		ticks[i] = anchors[i].renewed_at;
	}
	values[0] = Int32GetDatum(moment->epoch);
	values[1] = Int64GetDatum(moment->now);
	values[2] = Int64GetDatum(moment->grace_from);
	values[3] = Int64GetDatum(moment->grace_served);
	values[4] = atx_int64_array(ids, count);
	values[5] = atx_int64_array(ticks, count);
	done = (int) atx_execute(&anchor, values, NULL);

	for (int i = 0; i < done; i++)
	{
		anchors[i].session_id = atx_result_int64(i, 1);
		anchors[i].renewed_at = atx_result_int64(i, 2);
	}
	return done;
}

/*
 * Sort up to limit leases that have come to their check into those past
 * their deadline (due) and those whose bound is to be raised (early).
 *
 * Starts after *from and moves it on, so that one pass meets each lease
 * once even if some cannot be ended.  Returns how many were due; the number
 * of early ones is told by zero as their end.  Both arrays hold limit + 1.
 */
int
atx_lease_due(const AtxMoment *moment, AtxLeasePosition *from, int limit,
			  int64 *due, int64 *early)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(moment->grace_served),
		Int32GetDatum(from->check_epoch),
		Int64GetDatum(from->check_at),
		Int64GetDatum(from->session_id),
		Int64GetDatum(limit)
	};
	uint64		found = atx_execute(&find_due, values, NULL);
	int			ndue = 0;
	int			nearly = 0;

	for (uint64 i = 0; i < found; i++)
	{
		from->check_epoch = atx_result_int32(i, 1);
		from->check_at = atx_result_int64(i, 2);
		from->session_id = atx_result_int64(i, 3);
		if (DatumGetBool(atx_result_datum(i, 4)))
			due[ndue++] = from->session_id;
		else
			early[nearly++] = from->session_id;
	}
	due[ndue] = 0;
	early[nearly] = 0;
	return ndue;
}

/*
 * Raise the check of leases that turned out not to be due; returns how many
 * it did.  One that is being renewed just now is met again in the next pass.
 */
int
atx_lease_postpone(const AtxMoment *moment, const int64 *ids, int count)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(moment->grace_served),
		atx_int64_array(ids, count)
	};

	return (int) atx_execute(&postpone, values, NULL);
}

/*
 * The tick of the earliest check; false if no session lives.
 */
bool
atx_lease_next_check(const AtxMoment *moment, AtxTick *check_at)
{
	if (atx_execute(&next_check, NULL, NULL) == 0)
		return false;
	/* One that was set on an earlier clock is overdue. */
	*check_at = atx_result_int32(0, 1) < moment->epoch ? moment->now :
		atx_result_int64(0, 2);
	return true;
}

/*
 * Let renewals from the future count as made now.  That happens only when
 * the clock of a virtual machine, or of a test, was set back.
 */
void
atx_lease_correct_future(const AtxMoment *moment)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->served)
	};

	(void) atx_execute(&correct_future, values, NULL);
}
