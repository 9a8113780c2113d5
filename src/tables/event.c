/*-------------------------------------------------------------------------
 *
 * event.c
 *	  Tables event and event_floor: changes of services that somebody watches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/rows.h"
#include "base/spi.h"
#include "base/transaction.h"
#include "tables/event.h"

/* Columns by their position in the table. */
enum
{
	EVENT_SERVICE_ID = 1,
	EVENT_REVISION,
	EVENT_INDEX,
	EVENT_TICK,
	EVENT_AT,
	EVENT_XID,
	EVENT_EPOCH,
	EVENT_DURABLE,
	EVENT_TYPE,
	EVENT_KEY,
	EVENT_VALUE,
	EVENT_PREV_VALUE,
	EVENT_COLUMNS = EVENT_PREV_VALUE
};

static AtxTable event_table = {"event", "event_pkey"};

/*
 * One statement, hence one snapshot: what the service says of its newest and
 * oldest revisions is true of the events beside it.  A row without an event
 * says that there is none.  Events of earlier histories are for streams, which
 * prove what they know of them.
 */
static AtxStatement page = {
	"SELECT s.revision, GREATEST(s.oldest, s.history + 1), s.watched_until IS NOT NULL,"
	" e.revision, e.index,"
	" e.at, e.type, e.key, e.value, e.prev_value, e.xid::pg_catalog.text::pg_catalog.int8,"
	" e.durable"
	" FROM atomix.service s"
	" LEFT JOIN LATERAL (SELECT * FROM atomix.event k WHERE k.service_id = $1"
	" AND k.revision > GREATEST($2, s.history) AND ($3 IS NULL OR k.key = $3)"
	" ORDER BY k.revision LIMIT $4) e ON true"
	" WHERE s.service_id = $1 ORDER BY e.revision",
	4, {INT8OID, INT8OID, TEXTOID, INT8OID}
};

/* Events of a service after what was forgotten before ($6): there may be dead rows. */
#define OLDEST \
	"(SELECT e.revision, e.tick, e.epoch FROM atomix.event e" \
	" WHERE e.service_id = $1 AND e.revision > $6 ORDER BY e.revision LIMIT 10000) k"

/*
 * The newest event that is too old; those of an earlier clock are when grace
 * has been so long ago.  They are the first ones, which are looked through up
 * to one that is not.
 */
static AtxStatement newest_retired = {
	"SELECT COALESCE(CASE WHEN young.revision IS NULL"
	" THEN (SELECT pg_catalog.max(k.revision) FROM " OLDEST ")"
	" ELSE (SELECT e.revision FROM atomix.event e WHERE e.service_id = $1"
	" AND e.revision > $6 AND e.revision < young.revision"
	" ORDER BY e.revision DESC LIMIT 1) END, 0)"
	" FROM (SELECT (SELECT k.revision FROM " OLDEST
	" WHERE NOT ((k.epoch = $2 AND k.tick <= $3 - $5) OR (k.epoch <> $2 AND $4 <= $3 - $5))"
	" ORDER BY k.revision LIMIT 1) AS revision OFFSET 0) young",
	6, {INT8OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID}
};

/* The event of an earlier history that has so many newer ones there. */
static AtxStatement by_count = {
	"SELECT COALESCE(pg_catalog.max(k.revision), 0) FROM (SELECT e.revision"
	" FROM atomix.event e WHERE e.service_id = $1 AND e.revision <= $2"
	" ORDER BY e.revision DESC OFFSET $3 LIMIT 1) k",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement oldest_events = {
	"SELECT CASE WHEN pg_catalog.count(*) < $3 THEN $2 ELSE pg_catalog.max(k.revision) END"
	" FROM (SELECT e.revision"
	" FROM atomix.event e WHERE e.service_id = $1 AND e.revision > $4 AND e.revision <= $2"
	" ORDER BY e.revision LIMIT $3) k",
	4, {INT8OID, INT8OID, INT8OID, INT8OID}
};

/* By a quarter more than they need be: by their number, or by the oldest. */
static AtxStatement overdue = {
	"SELECT FROM atomix.service s WHERE s.service_id = $1 AND s.watched_until IS NOT NULL"
	" AND (s.revision - GREATEST(s.oldest, s.history + 1) > $5 + $5 / 4 OR EXISTS (SELECT FROM (SELECT e.tick, e.epoch"
	" FROM atomix.event e WHERE e.service_id = $1 AND e.revision > s.oldest"
	" ORDER BY e.revision LIMIT 1) k"
	" WHERE k.epoch = $2 AND k.tick <= $3 - $4 - $4 / 4))",
	5, {INT8OID, INT4OID, INT8OID, INT8OID, INT8OID}
};

static AtxStatement delete_events = {
	"DELETE FROM atomix.event WHERE service_id = $1 AND revision > $2 AND revision <= $3",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement floor_of_all = {
	"SELECT COALESCE(pg_catalog.max(f.revision), 0) FROM atomix.event_floor f"
};

static AtxStatement raise_floor = {
	"INSERT INTO atomix.event_floor (service_id, revision) VALUES ($1, $2)",
	2, {INT8OID, INT8OID}
};

static AtxStatement merge_floors = {
	"DELETE FROM atomix.event_floor f WHERE EXISTS (SELECT FROM atomix.event_floor g"
	" WHERE g.revision > f.revision OR (g.revision = f.revision AND g.service_id > f.service_id))"
};

/*
 * Insert an event, under the service's lock.
 */
void
atx_event_insert(const AtxEvent *event, const AtxMoment *moment)
{
	Datum		values[EVENT_COLUMNS] = {0};
	bool		nulls[EVENT_COLUMNS] = {false};
	AtxCursor	cursor;

	values[EVENT_SERVICE_ID - 1] = Int64GetDatum(event->service_id);
	values[EVENT_REVISION - 1] = Int64GetDatum(event->revision);
	values[EVENT_INDEX - 1] = Int64GetDatum(event->index);
	values[EVENT_TICK - 1] = Int64GetDatum(moment->now);
	values[EVENT_AT - 1] = TimestampTzGetDatum(atx_wall_now());
	values[EVENT_XID - 1] = UInt64GetDatum(U64FromFullTransactionId(GetTopFullTransactionId()));
	values[EVENT_EPOCH - 1] = Int32GetDatum(moment->epoch);
	values[EVENT_DURABLE - 1] = BoolGetDatum(atx_transaction_keeps_durable());
	values[EVENT_TYPE - 1] = CStringGetTextDatum(event->type);
	nulls[EVENT_KEY - 1] = event->key == NULL;
	if (event->key != NULL)
		values[EVENT_KEY - 1] = CStringGetTextDatum(event->key);
	nulls[EVENT_VALUE - 1] = event->value == NULL;
	values[EVENT_VALUE - 1] = PointerGetDatum(event->value);
	nulls[EVENT_PREV_VALUE - 1] = event->prev_value == NULL;
	values[EVENT_PREV_VALUE - 1] = PointerGetDatum(event->prev_value);
	atx_cursor_open(&cursor, &event_table, true);
	atx_cursor_insert(&cursor, values, nulls);
	atx_cursor_close(&cursor);
}

/*
 * Have the change be on disk, and with it all before it of the service, before
 * somebody outside hears of it.
 */
void
atx_event_make_durable(const AtxEvent *event)
{
	if (!event->durable)
		atx_make_durable(event->xid);
}

static void
read_event(uint64 row, int64 service_id, AtxEvent *event)
{
	event->service_id = service_id;
	event->revision = atx_result_int64(row, 4);
	event->index = atx_result_int64(row, 5);
	event->at = DatumGetTimestampTz(atx_result_datum(row, 6));
	event->type = atx_result_text(row, 7);
	event->key = atx_result_text(row, 8);
	event->value = atx_result_bytes(row, 9);
	event->prev_value = atx_result_bytes(row, 10);
	event->xid = (uint64) atx_result_int64(row, 11);
	event->durable = DatumGetBool(atx_result_datum(row, 12));
}

/*
 * Up to limit events of a service after a revision, of one key unless that is
 * NULL; false if there is no such service.
 */
bool
atx_event_page(int64 service_id, int64 after, const char *key, int limit,
			   AtxEventPage *result)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int64GetDatum(after),
		key ? CStringGetTextDatum(key) : (Datum) 0,
		Int64GetDatum(limit)
	};
	uint64		found = atx_execute(&page, values, key ? NULL : "  n ");

	if (found == 0)
		return false;
	result->newest = atx_result_int64(0, 1);
	result->oldest = atx_result_int64(0, 2);
	result->watched = DatumGetBool(atx_result_datum(0, 3));
	result->count = atx_result_isnull(0, 4) ? 0 : (int) found;
	result->events = palloc(sizeof(AtxEvent) * Max(result->count, 1));
	for (int i = 0; i < result->count; i++)
		read_event(i, service_id, &result->events[i]);
	return true;
}

/*
 * Open the table to go through events.
 */
void
atx_event_scan_open(AtxEventScan *scan)
{
	atx_cursor_open(&scan->cursor, &event_table, false);
}

/*
 * Begin to go through the events of a service after a revision.  The caller
 * then says which of them it wants.
 */
void
atx_event_scan_begin(AtxEventScan *scan, Snapshot snapshot, int64 service_id, int64 after)
{
	scan->key = scan->type = NULL;
	atx_cursor_begin_after(&scan->cursor, snapshot, service_id, after);
}

/* Is a column the text that is wanted, if one is? */
static bool
is_wanted(AtxEventScan *scan, int column, const char *wanted)
{
	return wanted == NULL || atx_cursor_text_is(&scan->cursor, column, wanted);
}

static void
read_row(AtxCursor *cursor, AtxEvent *event)
{
	bool		isnull;

	event->key = atx_cursor_text(cursor, EVENT_KEY);
	event->service_id = atx_cursor_int64(cursor, EVENT_SERVICE_ID);
	event->revision = atx_cursor_int64(cursor, EVENT_REVISION);
	event->index = atx_cursor_int64(cursor, EVENT_INDEX);
	event->at = DatumGetTimestampTz(atx_cursor_datum(cursor, EVENT_AT, &isnull));
	event->xid = DatumGetUInt64(atx_cursor_datum(cursor, EVENT_XID, &isnull));
	event->durable = DatumGetBool(atx_cursor_datum(cursor, EVENT_DURABLE, &isnull));
	event->type = atx_cursor_text(cursor, EVENT_TYPE);
	event->value = atx_cursor_bytes(cursor, EVENT_VALUE);
	event->prev_value = atx_cursor_bytes(cursor, EVENT_PREV_VALUE);
}

/*
 * Go to the next that is wanted; false if there is none.
 */
bool
atx_event_scan_next(AtxEventScan *scan, AtxEvent *event)
{
	while (atx_cursor_next(&scan->cursor))
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_wanted(scan, EVENT_KEY, scan->key) || !is_wanted(scan, EVENT_TYPE, scan->type))
			continue;
		read_row(&scan->cursor, event);
		return true;
	}
	return false;
}

/*
 * Close it.
 */
void
atx_event_scan_close(AtxEventScan *scan)
{
	atx_cursor_close(&scan->cursor);
}

/* The newest revision of which there are most newer ones; 0 if there is none. */
static int64
retired_by_count(const AtxService *service, int64 most)
{
	int64		left = most - (service->revision - service->history - 1);
	Datum		values[] = {
		Int64GetDatum(service->service_id),
		Int64GetDatum(service->history),
		Int64GetDatum(left)
	};

	/* In one history each revision is an event, before it there is a gap. */
	if (left <= 0 || service->oldest > service->history)
		return service->revision - most;
	(void) atx_execute(&by_count, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * The newest revision whose event need not be kept: it is older than retention
 * (ticks), or there are most newer ones.  0 if there is none.
 */
int64
atx_event_retire(const AtxService *service, const AtxMoment *moment, int64 retention,
				 int64 most)
{
	int64		by_age;
	Datum		values[] = {
		Int64GetDatum(service->service_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(moment->grace_from),
		Int64GetDatum(retention),
		Int64GetDatum(service->oldest)
	};

	(void) atx_execute(&newest_retired, values, NULL);
	by_age = atx_result_int64(0, 1);
	return Max(by_age, retired_by_count(service, most));
}

/*
 * The revision up to which a service has limit events, or one up to which it
 * has fewer.
 */
int64
atx_event_some_to(const AtxService *service, int64 revision, int64 limit)
{
	Datum		values[] = {
		Int64GetDatum(service->service_id),
		Int64GetDatum(revision),
		Int64GetDatum(limit),
		Int64GetDatum(service->oldest)
	};

	if (revision - service->oldest <= limit)
		return revision;
	(void) atx_execute(&oldest_events, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * Are events of a service kept that should long be forgotten?
 */
bool
atx_event_overdue(int64 service_id, const AtxMoment *moment, int64 retention, int64 most)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(retention),
		Int64GetDatum(most)
	};

	return atx_execute(&overdue, values, NULL) > 0;
}

/*
 * Delete the events of a service after a revision up to another; returns how
 * many.
 */
int64
atx_event_delete(int64 service_id, int64 after, int64 last)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int64GetDatum(after),
		Int64GetDatum(last)
	};

	return (int64) atx_execute(&delete_events, values, NULL);
}

/*
 * The revision above which services that come to be watched begin: none that
 * was deleted had come further.
 */
int64
atx_event_floor(void)
{
	(void) atx_execute(&floor_of_all, NULL, NULL);
	return atx_result_int64(0, 1);
}

/*
 * Raise it to the revision of a service that is being deleted.
 */
void
atx_event_raise_floor(int64 service_id, int64 revision)
{
	Datum		values[] = {Int64GetDatum(service_id), Int64GetDatum(revision)};

	(void) atx_execute(&raise_floor, values, NULL);
}

/*
 * Keep the greatest of them.
 */
void
atx_event_merge_floors(void)
{
	(void) atx_execute(&merge_floors, NULL, NULL);
}
