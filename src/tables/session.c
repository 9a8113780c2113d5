/*-------------------------------------------------------------------------
 *
 * session.c
 *	  Table session: who opened each session, and what became of it.
 *
 * A row with version null has changed since the worker last numbered it.
 * Every statement that changes state sets it to null; only the numbering,
 * which sees committed rows alone, gives it a value again.
 *
 * A session lives as long as it has a lease, and whoever ends it deletes the
 * lease in the same statement: two enders cannot both succeed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "base/rows.h"
#include "base/spi.h"
#include "base/transaction.h"
#include "tables/attachment.h"
#include "tables/claim.h"
#include "tables/command.h"
#include "tables/lease.h"
#include "tables/session.h"
#include "tables/stream.h"

/* Columns by their position in the table. */
enum
{
	SESSION_ID = 1,
	SESSION_TIMEOUT,
	SESSION_VERSION,
	SESSION_OPENED_AT,
	SESSION_ENDED_AT,
	SESSION_ENDED_TICK,
	SESSION_ACK_FLOOR,
	SESSION_ENDED_EPOCH,
	SESSION_PARTITION_ID,
	SESSION_OWNER,
	SESSION_STATE,
	SESSION_CAUSE,
	SESSION_REASON,
	SESSION_NAME,
	SESSION_KIND,
	SESSION_APPLICATION_NAME,
	SESSION_CLIENT_ADDR,
	SESSION_LABELS,
	SESSION_CONFIG,
	SESSION_DECLARED,
	SESSION_ATTACHED,
	SESSION_COLUMNS = SESSION_ATTACHED
};

/* What is written by row has no version yet, which is the condition. */
static AtxTable session_table = {
	.name = "session",
	.key = "session_pkey",
	.indexed_whole = true
};

/* What a session's row says of its life. */
typedef struct Standing
{
	Oid			owner;
	bool		lives;
	bool		expired;
	bool		closing;
} Standing;

static AtxStatement leave_closing = {
	"UPDATE atomix.session SET state = 'closing' WHERE session_id = $1",
	1, {INT8OID}
};

static AtxStatement lock_opening = {
	"SELECT FROM atomix.session WHERE session_id = $1 AND state = 'opening'"
	" FOR NO KEY UPDATE",
	1, {INT8OID}
};

static AtxStatement opened_all = {
	"UPDATE atomix.session s SET state = 'opened', declared = NULL, version = NULL"
	" WHERE s.session_id = $1 AND s.state = 'opening' AND NOT EXISTS ("
	"SELECT FROM pg_catalog.jsonb_array_elements(s.declared) AS d"
	" WHERE NOT EXISTS (SELECT FROM atomix.attachment a"
	" JOIN atomix.service v ON v.service_id = a.service_id"
	" WHERE a.session_id = $1 AND v.type = d->>'type' AND v.name = d->>'name'"
	" AND v.namespace = COALESCE(d->>'namespace', '')))",
	1, {INT8OID}
};

static AtxStatement find_candidate = {
	"SELECT COALESCE(s.name, s.application_name || '@' ||"
	" COALESCE(pg_catalog.host(s.client_addr), 'local'))"
	" FROM atomix.session s WHERE s.session_id = $1",
	1, {INT8OID}
};

static AtxStatement find_floor = {
	"SELECT COALESCE(l.ack_floor, s.ack_floor) FROM atomix.session s"
	" LEFT JOIN atomix.lease l ON l.session_id = $1 WHERE s.session_id = $1",
	1, {INT8OID}
};

/*
 * Rows to be changed are named by an array: a plan that was saved while the
 * tables were small must not come to join them the wrong way round.
 *
 * $1 to $4 as in ATX_LEASE_DEADLINE, $5 the candidates, whose rows are locked
 * so that it need not wait.  The condition is evaluated on the newest version
 * of each row.
 */
static AtxStatement expire_leases = {
	"WITH gone AS (DELETE FROM atomix.lease l WHERE l.session_id = ANY ($5)"
	" AND " ATX_LEASE_DEADLINE " < $2"
	" RETURNING l.session_id, l.ack_floor, $2 - " ATX_LEASE_DEADLINE " AS late)"
	" SELECT session_id, ack_floor, late FROM gone ORDER BY session_id",
	5, {INT4OID, INT8OID, INT8OID, INT8OID, INT8ARRAYOID}
};

static AtxStatement lock_rows = {
	"SELECT FROM atomix.session WHERE session_id = ANY ($1)"
	" ORDER BY session_id FOR NO KEY UPDATE",
	1, {INT8ARRAYOID}
};

/* Who deletes a service has locked the rows of sessions that have it open. */
static AtxStatement lock_free = {
	"SELECT session_id FROM atomix.session WHERE session_id = ANY ($1)"
	" FOR NO KEY UPDATE SKIP LOCKED",
	1, {INT8ARRAYOID}
};

static AtxStatement expire_sessions = {
	"UPDATE atomix.session s SET state = 'closing', cause = 'expired',"
	" reason = 'expired', ended_at = $3, ended_epoch = $4, ended_tick = $5,"
	" ack_floor = ($2)[" ATX_PLACE_OF("s.session_id", "$1") "], version = NULL"
	" WHERE s.session_id = ANY ($1)",
	5, {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, INT4OID, INT8OID}
};

static AtxStatement end_all = {
	"WITH gone AS (DELETE FROM atomix.lease RETURNING session_id, ack_floor)"
	" UPDATE atomix.session s SET state = 'closing', cause = 'ended',"
	" reason = $1, ended_at = $2, ended_epoch = $3, ended_tick = $4,"
	" ack_floor = g.ack_floor, version = NULL"
	" FROM gone g WHERE s.session_id = g.session_id",
	4, {TEXTOID, TIMESTAMPTZOID, INT4OID, INT8OID}
};

static AtxStatement any_closing = {
	"SELECT FROM atomix.session WHERE state = 'closing' LIMIT 1"
};

static AtxStatement finish_sessions = {
	"UPDATE atomix.session s SET version = NULL,"
	" state = CASE s.cause WHEN 'expired' THEN 'expired' ELSE 'closed' END"
	" WHERE s.session_id = ANY (ARRAY(SELECT k.session_id FROM atomix.session k"
	" WHERE k.state = 'closing' AND NOT EXISTS (SELECT FROM atomix.claim c"
	" WHERE c.session_id = k.session_id) LIMIT $1 FOR UPDATE SKIP LOCKED))"
	" RETURNING s.session_id",
	1, {INT8OID}
};

/*
 * All states are named so that both columns of the index are used.  One whose
 * last service somebody is just opening is left until he has committed.
 */
static AtxStatement find_unnumbered = {
	"SELECT session_id FROM atomix.session WHERE version IS NULL"
	" AND state = ANY ('{opening,opened,closing,closed,expired}') LIMIT $1"
	" FOR NO KEY UPDATE SKIP LOCKED",
	1, {INT8OID}
};

/* What a session had open, for those who look at it after its end. */
static AtxStatement keep_attached = {
	"UPDATE atomix.session s SET attached = ("
	"SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
	"'type', v.type, 'namespace', v.namespace, 'name', v.name))"
	" FROM atomix.attachment a JOIN atomix.service v ON v.service_id = a.service_id"
	" WHERE a.session_id = s.session_id)"
	" WHERE s.session_id = ANY ($1) AND EXISTS ("
	"SELECT FROM atomix.attachment a WHERE a.session_id = s.session_id)",
	1, {INT8ARRAYOID}
};

/* No IS NULL: by the index for that, each batch would read all that wait. */
static AtxStatement number_sessions = {
	"WITH numbered AS (UPDATE atomix.session s"
	" SET version = $2 + " ATX_PLACE_OF("s.session_id", "$1")
	" WHERE s.session_id = ANY ($1) AND COALESCE(s.version, 0) = 0"
	" RETURNING s.session_id, s.version, s.state, s.reason)"
	" SELECT session_id, version, state, reason FROM numbered ORDER BY version",
	2, {INT8ARRAYOID, INT8OID}
};

static AtxStatement find_changes = {
	"SELECT s.version, s.session_id, s.state, s.reason,"
	" COALESCE(s.ended_at, s.opened_at) FROM atomix.session s"
	" WHERE s.version > $2 AND (pg_catalog.pg_has_role($1, s.owner::pg_catalog.oid, 'USAGE')"
	" OR pg_catalog.pg_has_role($1, 'pg_monitor', 'USAGE'))"
	" ORDER BY s.version LIMIT $3",
	3, {OIDOID, INT8OID, INT8OID}
};

static AtxStatement find_versions = {
	"SELECT session_id, COALESCE(version, 0) FROM atomix.session"
	" WHERE session_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

/*
 * A part of a pass over all sessions, in the order of their ids: no index
 * is kept for it, since each open and close would pay for that.
 */
static AtxStatement look_at_sessions = {
	"SELECT session_id, COALESCE(ended_epoch = $3 AND ended_tick <= $4"
	" AND version IS NOT NULL, false), COALESCE(ended_epoch < $3, false),"
	" COALESCE(ended_epoch = $3 AND ended_tick <= $5, false)"
	" FROM atomix.session WHERE session_id > $1 ORDER BY session_id LIMIT $2",
	5, {INT8OID, INT8OID, INT4OID, INT8OID, INT8OID}
};

/* Without a floor nobody takes what was executed for what was not. */
static AtxStatement forget_outcomes = {
	"UPDATE atomix.session SET ack_floor = NULL"
	" WHERE session_id = ANY ($1) AND ack_floor IS NOT NULL",
	1, {INT8ARRAYOID}
};

static AtxStatement forget_sessions = {
	"DELETE FROM atomix.session WHERE session_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

static AtxStatement restamp_sessions = {
	"UPDATE atomix.session SET ended_epoch = $2, ended_tick = $3"
	" WHERE session_id = ANY ($1)",
	3, {INT8ARRAYOID, INT4OID, INT8OID}
};

/*
 * The peer's address as the view shows it; false on a local socket.  It
 * cannot change within a connection and is costly to make.
 */
static bool
client_address(Datum *address)
{
	static bool known = false;
	static bool isnull;
	static Datum value;

	if (!known)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		LOCAL_FCINFO(fcinfo, 0);

		InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
		value = MyProcPort == NULL ? (Datum) 0 : inet_client_addr(fcinfo);
		isnull = MyProcPort == NULL || fcinfo->isnull;
		known = true;
		MemoryContextSwitchTo(old);
	}
	*address = value;
	return !isnull;
}

/* Set a column that is null unless there is a value. */
static void
set_text(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column - 1] = value == NULL;
	if (value != NULL)
		values[column - 1] = CStringGetTextDatum(value);
}

static void
set_varlena(Datum *values, bool *nulls, int column, const void *value)
{
	nulls[column - 1] = value == NULL;
	values[column - 1] = PointerGetDatum(value);
}

/*
 * Insert a session that is open as of the moment, with its lease.
 */
void
atx_session_insert(int64 session_id, const AtxSessionSpec *spec, Oid owner,
				   const AtxMoment *moment)
{
	Datum		values[SESSION_COLUMNS] = {0};
	bool		nulls[SESSION_COLUMNS] = {false};
	AtxCursor	cursor;

	values[SESSION_ID - 1] = Int64GetDatum(session_id);
	values[SESSION_TIMEOUT - 1] = Int64GetDatum(spec->timeout);
	values[SESSION_OPENED_AT - 1] = TimestampTzGetDatum(atx_wall_now());
	values[SESSION_PARTITION_ID - 1] = Int32GetDatum(spec->partition_id);
	values[SESSION_OWNER - 1] = ObjectIdGetDatum(owner);
	nulls[SESSION_VERSION - 1] = nulls[SESSION_ENDED_AT - 1] = nulls[SESSION_ENDED_TICK - 1] =
		nulls[SESSION_ACK_FLOOR - 1] = nulls[SESSION_ENDED_EPOCH - 1] =
		nulls[SESSION_CAUSE - 1] = nulls[SESSION_REASON - 1] = true;
	set_text(values, nulls, SESSION_STATE, spec->services == NULL ? "opened" : "opening");
	set_text(values, nulls, SESSION_NAME, spec->name);
	set_text(values, nulls, SESSION_KIND, spec->kind);
	set_text(values, nulls, SESSION_APPLICATION_NAME, application_name ? application_name : "");
	nulls[SESSION_CLIENT_ADDR - 1] = !client_address(&values[SESSION_CLIENT_ADDR - 1]);
	set_varlena(values, nulls, SESSION_LABELS, spec->labels);
	set_varlena(values, nulls, SESSION_CONFIG, spec->config);
	set_varlena(values, nulls, SESSION_DECLARED, spec->services);
	set_varlena(values, nulls, SESSION_ATTACHED, NULL);
	atx_cursor_open(&cursor, &session_table, true);
	atx_cursor_insert(&cursor, values, nulls);
	atx_cursor_close(&cursor);
	atx_lease_insert(session_id, owner, spec->timeout, moment);
}

/* Replace columns of a session; false if there is none. */
static bool
replace(int64 session_id, Datum *values, bool *nulls, bool *replaced)
{
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &session_table, true);
	do
	{
		Snapshot	snapshot = atx_snapshot_take();

		CHECK_FOR_INTERRUPTS();
		found = atx_cursor_find(&cursor, snapshot, &session_id, 1);
		atx_snapshot_release(snapshot);
		/* The worker may be numbering it, which has but the row. */
	} while (found && !atx_cursor_try_replace(&cursor, values, nulls, replaced));
	atx_cursor_close(&cursor);
	return found;
}

static bool
write_closed(int64 session_id, const char *cause, const char *reason,
			 const AtxMoment *moment, int64 floor)
{
	Datum		values[SESSION_COLUMNS] = {0};
	bool		nulls[SESSION_COLUMNS] = {false};
	bool		replaced[SESSION_COLUMNS] = {false};

	values[SESSION_ENDED_AT - 1] = TimestampTzGetDatum(atx_wall_now());
	values[SESSION_ENDED_TICK - 1] = Int64GetDatum(moment->now);
	values[SESSION_ACK_FLOOR - 1] = Int64GetDatum(floor);
	values[SESSION_ENDED_EPOCH - 1] = Int32GetDatum(moment->epoch);
	set_text(values, nulls, SESSION_STATE, "closed");
	set_text(values, nulls, SESSION_CAUSE, cause);
	set_text(values, nulls, SESSION_REASON, reason);
	nulls[SESSION_VERSION - 1] = true;
	replaced[SESSION_ENDED_AT - 1] = replaced[SESSION_ENDED_TICK - 1] =
		replaced[SESSION_ACK_FLOOR - 1] = replaced[SESSION_ENDED_EPOCH - 1] =
		replaced[SESSION_STATE - 1] = replaced[SESSION_CAUSE - 1] =
		replaced[SESSION_REASON - 1] = replaced[SESSION_VERSION - 1] = true;
	return replace(session_id, values, nulls, replaced);
}

/* Sessions that have ended have no services open, hence no streams of any. */
static void
detach_all(const int64 *session_ids, int count)
{
	Datum		values[] = {atx_int64_array(session_ids, count)};

	(void) atx_execute(&keep_attached, values, NULL);
	atx_stream_forget_sessions(session_ids, count);
	atx_attachment_delete_all(session_ids, count);
}

/*
 * End a live session at once; false if it has no lease (any more) that the
 * role may use.  Its claims, if it has any, are for the caller to end.  The
 * caller holds the session's lock exclusive.
 */
bool
atx_session_close(int64 session_id, const char *cause, const char *reason,
				  const AtxMoment *moment, Oid role, bool *has_claims)
{
	int64		floor;

	if (!atx_lease_delete(session_id, role, &floor) ||
		!write_closed(session_id, cause, reason, moment, floor))
		return false;
	*has_claims = atx_claim_any_of_session(session_id);
	if (atx_attachment_any(session_id))
		detach_all(&session_id, 1);
	return true;
}

/*
 * Leave it to the worker to finish the end of a session that was just closed.
 */
void
atx_session_leave_closing(int64 session_id)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	(void) atx_execute(&leave_closing, values, NULL);
}

/*
 * The session has opened a service: if it was the last of those declared, it
 * is no longer opening.
 */
void
atx_session_service_opened(int64 session_id)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	/* Of two that open the last ones, the second must see the first. */
	if (atx_execute(&lock_opening, values, NULL) > 0 &&
		atx_execute(&opened_all, values, NULL) > 0)
		atx_transaction_wakes_worker();
}

static bool
find_standing(int64 session_id, Standing *standing)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &session_table, false);
	found = atx_cursor_find(&cursor, snapshot, &session_id, 1);
	if (found)
	{
		bool		isnull;

		standing->owner = DatumGetObjectId(atx_cursor_datum(&cursor, SESSION_OWNER, &isnull));
		(void) atx_cursor_datum(&cursor, SESSION_ENDED_AT, &standing->lives);
		standing->expired = atx_cursor_text_is(&cursor, SESSION_CAUSE, "expired");
		standing->closing = atx_cursor_text_is(&cursor, SESSION_STATE, "closing");
	}
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * What a session is, and whose: done while it lives, else why it does not.
 */
AtxOutcome
atx_session_outcome(int64 session_id, Oid *owner)
{
	Standing	standing;

	*owner = InvalidOid;
	if (!find_standing(session_id, &standing))
		return ATX_SESSION_UNKNOWN;
	*owner = standing.owner;
	if (standing.lives)
		return ATX_DONE;
	return standing.expired ? ATX_SESSION_EXPIRED : ATX_SESSION_CLOSED;
}

/*
 * Under which name a session stands in elections: its own, else that of the
 * connection that opened it.
 */
char *
atx_session_candidate(int64 session_id)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	return atx_execute(&find_candidate, values, NULL) == 0 ? pstrdup("") : atx_result_text(0, 1);
}

/*
 * The number up to which a session's commands are acknowledged, be it live or
 * not; false if it ended so long ago that its outcomes are forgotten.
 */
bool
atx_session_ack_floor(int64 session_id, int64 *floor)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	if (atx_execute(&find_floor, values, NULL) == 0 || atx_result_isnull(0, 1))
		return false;
	*floor = atx_result_int64(0, 1);
	return true;
}

/*
 * Has the session's end been decided, but not yet finished?
 */
bool
atx_session_is_closing(int64 session_id)
{
	Standing	standing;

	return find_standing(session_id, &standing) && standing.closing;
}

/*
 * Lock the rows of sessions, whose services are being taken away: until that
 * is committed or not their end cannot be finished, so it must not begin.
 */
void
atx_session_lock(const int64 *ids, int count)
{
	Datum		values[] = {atx_int64_array(ids, count)};

	if (count > 0)
		(void) atx_execute(&lock_rows, values, NULL);
}

/*
 * Lock the rows of those of the sessions whose rows nobody has locked; returns
 * how many, which then stand first, ascending.
 */
int
atx_session_lock_free(int64 *ids, int count)
{
	Datum		values[] = {atx_int64_array(ids, count)};
	int			found = atx_result_ids(atx_execute(&lock_free, values, NULL), ids);

	atx_ids_sort(ids, found);
	return found;
}

/*
 * Decide the end of those of the sessions that are past their deadline now:
 * their leases go and their state is closing.  Returns how many, which then
 * stand first in ids, and in *latest by how many ticks the latest came after
 * its deadline.
 */
int
atx_session_expire(const AtxMoment *moment, int64 *ids, int count,
				   int64 *latest)
{
	int64	   *floors = palloc(sizeof(int64) * Max(count, 1));
	Datum		conditions[5];
	Datum		changes[5];
	int			ended;

	conditions[0] = Int32GetDatum(moment->epoch);
	conditions[1] = Int64GetDatum(moment->now);
	conditions[2] = Int64GetDatum(moment->grace_from);
	conditions[3] = Int64GetDatum(moment->grace_served);
	conditions[4] = atx_int64_array(ids, count);
	ended = (int) atx_execute(&expire_leases, conditions, NULL);

	for (int i = 0; i < ended; i++)
	{
		ids[i] = atx_result_int64(i, 1);
		floors[i] = atx_result_int64(i, 2);
		*latest = Max(*latest, atx_result_int64(i, 3));
	}
	if (ended == 0)
		return 0;

	changes[0] = atx_int64_array(ids, ended);
	changes[1] = atx_int64_array(floors, ended);
	changes[2] = TimestampTzGetDatum(atx_wall_now());
	changes[3] = Int32GetDatum(moment->epoch);
	changes[4] = Int64GetDatum(moment->now);
	(void) atx_execute(&expire_sessions, changes, NULL);
	return ended;
}

/*
 * Decide the end of all sessions that live; returns how many.  The caller has
 * locked all leases.
 */
int64
atx_session_end_all(const AtxMoment *moment, const char *reason)
{
	Datum		values[] = {
		CStringGetTextDatum(reason),
		TimestampTzGetDatum(atx_wall_now()),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now)
	};

	return (int64) atx_execute(&end_all, values, NULL);
}

/*
 * Give up to limit closing sessions that have no claims (any more) their final
 * state; returns how many.
 */
int
atx_session_finish(int limit)
{
	Datum		values[] = {Int64GetDatum(limit)};
	int			count = (int) atx_execute(&finish_sessions, values, NULL);
	int64	   *ids = palloc(sizeof(int64) * Max(count, 1));

	(void) atx_result_ids(count, ids);
	if (count > 0)
		detach_all(ids, count);
	return count;
}

/*
 * Is there a session whose end is decided but not finished?
 */
bool
atx_session_any_closing(void)
{
	return atx_execute(&any_closing, NULL, NULL) > 0;
}

/*
 * Up to limit sessions with a committed change that is not numbered; returns
 * how many.
 */
int
atx_session_unnumbered(int limit, int64 *ids)
{
	Datum		limits[] = {Int64GetDatum(limit)};

	return atx_result_ids(atx_execute(&find_unnumbered, limits, NULL), ids);
}

/*
 * Number the latest change of each of the sessions, whose ids are ascending;
 * returns how many, in order of their versions.  Only the worker and tick()
 * call it, and nobody is changing these sessions.
 */
int
atx_session_number(const int64 *ids, int count, AtxSessionChange **changes)
{
	Datum		values[2];

	values[0] = atx_int64_array(ids, count);
	values[1] = Int64GetDatum(atx_session_versions_take(count));
	count = (int) atx_execute(&number_sessions, values, NULL);

	*changes = palloc(sizeof(AtxSessionChange) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		(*changes)[i].session_id = atx_result_int64(i, 1);
		(*changes)[i].version = atx_result_int64(i, 2);
		(*changes)[i].state = atx_result_text(i, 3);
		(*changes)[i].reason = atx_result_text(i, 4);
	}
	return count;
}

/*
 * The versions of sessions, for hints; returns how many of them exist.  A
 * change that is not numbered yet counts as version 0.
 */
int
atx_session_versions(const int64 *ids, int count, AtxSessionChange **changes)
{
	Datum		values[] = {atx_int64_array(ids, count)};

	count = (int) atx_execute(&find_versions, values, NULL);
	*changes = palloc0(sizeof(AtxSessionChange) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		(*changes)[i].session_id = atx_result_int64(i, 1);
		(*changes)[i].version = atx_result_int64(i, 2);
	}
	return count;
}

/*
 * The latest changes of sessions that a role may see after a version, in
 * order, up to limit; returns how many.
 */
int
atx_session_changes(Oid role, int64 after, int limit, AtxSessionChange **changes)
{
	Datum		values[] = {
		ObjectIdGetDatum(role),
		Int64GetDatum(after),
		Int64GetDatum(limit)
	};
	int			count = (int) atx_execute(&find_changes, values, NULL);

	*changes = palloc(sizeof(AtxSessionChange) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		(*changes)[i].version = atx_result_int64(i, 1);
		(*changes)[i].session_id = atx_result_int64(i, 2);
		(*changes)[i].state = atx_result_text(i, 3);
		(*changes)[i].reason = atx_result_text(i, 4);
		(*changes)[i].at = DatumGetTimestampTz(atx_result_datum(i, 5));
	}
	return count;
}

static void
change_some(AtxStatement *statement, const int64 *ids, int count,
			const AtxMoment *moment)
{
	Datum		values[] = {
		atx_int64_array(ids, count),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now)
	};

	if (count > 0)
		(void) atx_execute(statement, values, NULL);
}

/*
 * Forget those that ended longer than retention (ticks) ago among the next
 * limit sessions after an id, and the outcomes of commands of those that
 * ended longer than outcome_retention ago; returns the id to go on after, 0 when all were
 * seen.
 *
 * Those that ended on an earlier clock are kept for a full retention on
 * this one.
 */
int64
atx_session_sweep(const AtxMoment *moment, int64 retention,
				  int64 outcome_retention, int64 after, int limit)
{
	Datum		values[] = {
		Int64GetDatum(after),
		Int64GetDatum(limit),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now - retention),
		Int64GetDatum(moment->now - Min(retention, outcome_retention))
	};
	int			seen = (int) atx_execute(&look_at_sessions, values, NULL);
	int64	   *old = palloc(sizeof(int64) * Max(seen, 1));
	int64	   *foreign = palloc(sizeof(int64) * Max(seen, 1));
	int			nold = 0;
	int64	   *over = palloc(sizeof(int64) * Max(seen, 1));
	int			nforeign = 0;
	int			nover = 0;
	int64		last = 0;

	for (int i = 0; i < seen; i++)
	{
		last = atx_result_int64(i, 1);
		if (DatumGetBool(atx_result_datum(i, 2)))
			old[nold++] = last;
		else if (DatumGetBool(atx_result_datum(i, 3)))
			foreign[nforeign++] = last;
		if (DatumGetBool(atx_result_datum(i, 4)))
			over[nover++] = last;
	}
	atx_command_forget_sessions(over, nover);
	change_some(&forget_outcomes, over, nover, moment);
	change_some(&forget_sessions, old, nold, moment);
	change_some(&restamp_sessions, foreign, nforeign, moment);
	return seen < limit ? 0 : last;
}
