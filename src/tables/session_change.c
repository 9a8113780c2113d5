/*-------------------------------------------------------------------------
 *
 * session_change.c
 *	  Table session_change: sessions whose services have changed.
 *
 * Who opens or closes a service adds a row, and does not touch that of the
 * session: others who do the same would have to wait for him.  The worker, who
 * sees rows once they are committed, has the sessions numbered anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "base/spi.h"
#include "base/transaction.h"
#include "tables/session_change.h"

static AtxStatement add = {
	"INSERT INTO atomix.session_change (session_id)"
	" SELECT pg_catalog.unnest($1) ON CONFLICT DO NOTHING",
	1, {INT8ARRAYOID}
};

static AtxStatement find = {
	"SELECT DISTINCT session_id FROM atomix.session_change LIMIT $1",
	1, {INT8OID}
};

/*
 * What is taken is what one snapshot has, and who sees the version that follows sees
 * that.  Rows of sessions that somebody has locked stay, and those of sessions
 * that are forgotten go.
 */
static AtxStatement take = {
	"WITH free AS (SELECT s.session_id FROM atomix.session s"
	" WHERE s.session_id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED),"
	" gone AS (DELETE FROM atomix.session_change c WHERE c.session_id = ANY ($1)"
	" AND (c.session_id IN (SELECT f.session_id FROM free f) OR NOT EXISTS ("
	"SELECT FROM atomix.session s WHERE s.session_id = c.session_id))),"
	" changed AS (UPDATE atomix.session s SET version = NULL FROM free f"
	" WHERE s.session_id = f.session_id AND s.session_id = ANY ($1)"
	" AND s.version IS NOT NULL)"
	" SELECT pg_catalog.count(*) FROM free",
	1, {INT8ARRAYOID}
};

/*
 * Services of sessions were opened, closed or deleted: the worker is to tell.
 */
void
atx_session_change_add(const int64 *session_ids, int count)
{
	Datum		values[] = {atx_int64_array(session_ids, count)};

	/* Of a transaction that does more of it there is a row already. */
	if (count > 0 && atx_execute(&add, values, NULL) > 0)
		atx_transaction_wakes_worker();
}

/*
 * Up to limit sessions of which that has been committed; returns how many.
 */
int
atx_session_change_find(int limit, int64 *session_ids)
{
	Datum		values[] = {Int64GetDatum(limit)};

	return atx_result_ids(atx_execute(&find, values, NULL), session_ids);
}

/*
 * Is there one?
 */
bool
atx_session_change_any(void)
{
	int64		session_id;

	return atx_session_change_find(1, &session_id) > 0;
}

/*
 * Have those of the sessions numbered anew that nobody is changing; returns
 * how many.
 */
int
atx_session_change_take(const int64 *session_ids, int count)
{
	Datum		values[] = {atx_int64_array(session_ids, count)};

	(void) atx_execute(&take, values, NULL);
	return (int) atx_result_int64(0, 1);
}
