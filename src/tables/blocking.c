/*-------------------------------------------------------------------------
 *
 * blocking.c
 *	  Who keeps whom waiting on our locks: the view pg_locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "base/private_lock.h"
#include "base/spi.h"
#include "tables/blocking.h"
#include "tables/lease.h"

/*
 * Waiters for a private lock, or for a row of our tables: who waits for a row
 * holds, or waits for, a lock on the tuple.  Of those in their way only who
 * has the lock counts, not who is just ahead in the queue, nor who has waited
 * as long for somebody else.
 */
static AtxStatement waiters = {
	"WITH held AS (SELECT * FROM pg_catalog.pg_locks),"
	" waiting AS (SELECT w.* FROM held w WHERE NOT w.granted"
	" AND w.waitstart < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)"
	" AND ((w.locktype = 'userlock' AND w.database = $2)"
	" OR (w.locktype = ANY ('{transactionid,tuple}') AND EXISTS ("
	"SELECT FROM held t JOIN pg_catalog.pg_class c ON c.oid = t.relation"
	" WHERE t.pid = w.pid AND t.locktype = 'tuple' AND t.database = $2"
	" AND c.relnamespace = $3))))"
	" SELECT COALESCE(h.pid, 0), pg_catalog.max(pg_catalog.date_part('epoch',"
	" pg_catalog.clock_timestamp() - w.waitstart) * 1000000)::pg_catalog.int8"
	" FROM waiting w JOIN held h ON h.granted AND h.locktype = w.locktype"
	" AND h.database IS NOT DISTINCT FROM w.database"
	" AND h.relation IS NOT DISTINCT FROM w.relation"
	" AND h.page IS NOT DISTINCT FROM w.page"
	" AND h.tuple IS NOT DISTINCT FROM w.tuple"
	" AND h.transactionid IS NOT DISTINCT FROM w.transactionid"
	" AND h.classid IS NOT DISTINCT FROM w.classid"
	" AND h.objid IS NOT DISTINCT FROM w.objid"
	" AND h.objsubid IS NOT DISTINCT FROM w.objsubid"
	" WHERE COALESCE(h.pid, 0) = ANY (pg_catalog.pg_blocking_pids(w.pid))"
	" AND NOT EXISTS (SELECT FROM waiting b WHERE b.pid = h.pid)"
	" GROUP BY 1",
	3, {FLOAT8OID, OIDOID, OIDOID}
};

/*
 * Who holds the lock of a session that should have ended long ago, or has
 * its row, and has been running for as long.  $1 to $4 as in
 * ATX_LEASE_DEADLINE, $5 how long, $6 the lock's class.
 *
 * A row can say a number that is no transaction's, but of several that locked
 * it; so who is taken for one that has the row must have locked rows of the table.
 */
static AtxStatement expiry = {
	"WITH held AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks k WHERE k.granted),"
	" overdue AS (SELECT l.session_id, $2 - " ATX_LEASE_DEADLINE " AS late"
	" FROM atomix.lease l WHERE (l.check_epoch, l.check_at) <= ($1, $2)"
	" AND " ATX_LEASE_DEADLINE " < $2 - $5),"
	" keeping AS (SELECT k.pid, o.late FROM held k JOIN overdue o"
	" ON o.session_id = (k.classid::pg_catalog.int8 << 32) | k.objid::pg_catalog.int8"
	" WHERE k.locktype = 'userlock' AND k.database = $7 AND k.objsubid = $6"
	" UNION ALL SELECT k.pid, o.late FROM overdue o"
	" JOIN atomix.session s ON s.session_id = o.session_id"
	" JOIN held k ON k.locktype = 'transactionid' AND k.transactionid = s.xmax"
	" WHERE EXISTS (SELECT FROM held r WHERE r.virtualtransaction = k.virtualtransaction"
	" AND r.relation = s.tableoid AND r.mode = ANY ('{RowShareLock,RowExclusiveLock}')))"
	" SELECT COALESCE(h.pid, 0), pg_catalog.max(h.late) FROM keeping h"
	" WHERE (h.pid IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_stat_activity a"
	" WHERE a.pid = h.pid AND a.xact_start < pg_catalog.clock_timestamp()"
	" - pg_catalog.make_interval(secs => $5 / 1000000.0)))"
	" GROUP BY 1",
	7, {INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT2OID, OIDOID}
};

static int
read_blockers(int found, AtxBlocker **blockers)
{
	*blockers = palloc(sizeof(AtxBlocker) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		(*blockers)[i].pid = atx_result_int32(i, 1);
		(*blockers)[i].waited = atx_result_int64(i, 2);
	}
	return found;
}

/*
 * The transactions for whose locks somebody has waited longer than so many
 * ticks; returns how many.
 */
int
atx_blocking_waiters(int64 longer_than, AtxBlocker **blockers)
{
	Datum		values[] = {
		Float8GetDatum((double) longer_than / ATX_TICKS_PER_SEC),
		ObjectIdGetDatum(MyDatabaseId),
		ObjectIdGetDatum(atx_extension()->schema)
	};

	return read_blockers((int) atx_execute(&waiters, values, NULL), blockers);
}

/*
 * Those that hold a session whose deadline was longer than so many ticks ago;
 * returns how many.
 */
int
atx_blocking_expiry(const AtxMoment *moment, int64 longer_than, AtxBlocker **blockers)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(moment->grace_served),
		Int64GetDatum(longer_than),
		Int16GetDatum(ATX_LOCK_SESSION),
		ObjectIdGetDatum(MyDatabaseId)
	};

	return read_blockers((int) atx_execute(&expiry, values, NULL), blockers);
}
