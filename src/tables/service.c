/*-------------------------------------------------------------------------
 *
 * service.c
 *	  Table service: named state, of a type, in a partition.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/rows.h"
#include "base/spi.h"
#include "tables/service.h"

/* Columns by their position in the table. */
enum
{
	SERVICE_ID = 1,
	SERVICE_VALUE,
	SERVICE_REVISION,
	SERVICE_DELAY,
	SERVICE_OLDEST,
	SERVICE_WATCHED_UNTIL,
	SERVICE_HISTORY,
	SERVICE_WATCHED_EPOCH,
	SERVICE_PARTITION_ID,
	SERVICE_TYPE,
	SERVICE_NAMESPACE,
	SERVICE_NAME,
	SERVICE_COLUMNS = SERVICE_NAME
};

static AtxTable service_table = {"service", "service_pkey"};

#define COLUMNS \
	"s.service_id, s.partition_id, s.value, s.revision, s.type, s.delay," \
	" s.oldest, s.watched_until, s.history, s.namespace"

static AtxStatement find = {
	"SELECT " COLUMNS " FROM atomix.service s"
	" WHERE s.name = $3 AND s.namespace = $2 AND s.partition_id = $1",
	3, {INT4OID, TEXTOID, TEXTOID}
};

static AtxStatement insert = {
	"INSERT INTO atomix.service (service_id, partition_id, type, namespace, name,"
	" value) VALUES ($1, $2, $3, $4, $5, $6)"
	" ON CONFLICT (name, namespace, partition_id) DO NOTHING",
	6, {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
};

static AtxStatement delete = {
	"DELETE FROM atomix.service WHERE service_id = $1",
	1, {INT8OID}
};

static AtxStatement save_watch = {
	"UPDATE atomix.service SET watched_until = $2, watched_epoch = $3,"
	" oldest = $4, revision = $5, history = $6 WHERE service_id = $1",
	6, {INT8OID, INT8OID, INT4OID, INT8OID, INT8OID, INT8OID}
};

static AtxStatement watched = {
	"SELECT s.service_id FROM atomix.service s WHERE s.watched_until IS NOT NULL"
	" AND s.service_id > $1 ORDER BY s.service_id LIMIT $2",
	2, {INT8OID, INT8OID}
};

static AtxStatement find_revisions = {
	"SELECT s.service_id, s.revision FROM atomix.service s WHERE s.service_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

static AtxStatement enter_epoch = {
	"UPDATE atomix.service SET watched_epoch = $1, watched_until = $2"
	" WHERE watched_until IS NOT NULL AND watched_epoch <> $1",
	2, {INT4OID, INT8OID}
};

/* A row that is locked is one of a prepared transaction: it is not waited for. */
static AtxStatement carry_on = {
	"UPDATE atomix.service SET history = $2, revision = GREATEST(revision, $2) + 1"
	" WHERE service_id = ANY (ARRAY(SELECT s.service_id FROM atomix.service s"
	" WHERE s.watched_until IS NOT NULL AND s.history = $1 FOR UPDATE SKIP LOCKED))",
	2, {INT8OID, INT8OID}
};

static AtxStatement versions = {
	"SELECT pg_catalog.count(*),"
	" COALESCE(pg_catalog.sum(s.xmin::pg_catalog.text::pg_catalog.int8), 0)::pg_catalog.int8"
	" FROM atomix.service s WHERE s.service_id = $1",
	1, {INT8OID}
};

static bool
read_one(uint64 found, AtxService *service)
{
	if (found == 0)
		return false;
	service->service_id = atx_result_int64(0, 1);
	service->partition_id = atx_result_int32(0, 2);
	service->value = atx_result_int64(0, 3);
	service->revision = atx_result_int64(0, 4);
	service->type = atx_result_text(0, 5);
	service->delay = atx_result_int64(0, 6);
	service->oldest = atx_result_int64(0, 7);
	service->watched_until = atx_result_isnull(0, 8) ? 0 : atx_result_int64(0, 8);
	service->history = atx_result_int64(0, 9);
	service->namespace = atx_result_text(0, 10);
	service->watched = !atx_result_isnull(0, 8) && atx_history_is(service->history);
	ItemPointerSetInvalid(&service->row);
	return true;
}

/*
 * The service of that name; false if there is none.  What it tells of the
 * state is worth something only under the service's lock.
 */
bool
atx_service_find(int32 partition_id, const char *namespace, const char *name,
				 AtxService *service)
{
	Datum		values[] = {
		Int32GetDatum(partition_id),
		CStringGetTextDatum(namespace),
		CStringGetTextDatum(name)
	};

	return read_one(atx_execute(&find, values, NULL), service);
}

static void
read_row(AtxCursor *cursor, AtxService *service)
{
	bool		isnull;

	service->service_id = atx_cursor_int64(cursor, SERVICE_ID);
	service->delay = atx_cursor_int64(cursor, SERVICE_DELAY);
	service->oldest = atx_cursor_int64(cursor, SERVICE_OLDEST);
	service->history = atx_cursor_int64(cursor, SERVICE_HISTORY);
	service->watched_until = atx_cursor_int64(cursor, SERVICE_WATCHED_UNTIL);
	(void) atx_cursor_datum(cursor, SERVICE_WATCHED_UNTIL, &isnull);
	service->watched = !isnull && atx_history_is(service->history);
	service->partition_id = DatumGetInt32(atx_cursor_datum(cursor, SERVICE_PARTITION_ID, &isnull));
	service->value = atx_cursor_int64(cursor, SERVICE_VALUE);
	service->revision = atx_cursor_int64(cursor, SERVICE_REVISION);
	service->type = atx_cursor_text(cursor, SERVICE_TYPE);
	service->namespace = atx_cursor_text(cursor, SERVICE_NAMESPACE);
	service->row = atx_cursor_tid(cursor);
}

/*
 * Open the table, to read services one after the other.
 */
void
atx_service_open(AtxCursor *cursor)
{
	atx_cursor_open(cursor, &service_table, false);
}

/*
 * The service with that id in a snapshot; false if there is none (any more).
 */
bool
atx_service_at(AtxCursor *cursor, Snapshot snapshot, int64 service_id, AtxService *service)
{
	bool		found = atx_cursor_find(cursor, snapshot, &service_id, 1);

	if (found)
		read_row(cursor, service);
	return found;
}

/*
 * The same of one service.
 */
bool
atx_service_load_in(Snapshot snapshot, int64 service_id, AtxService *service)
{
	AtxCursor	cursor;
	bool		found;

	atx_service_open(&cursor);
	found = atx_service_at(&cursor, snapshot, service_id, service);
	atx_cursor_close(&cursor);
	return found;
}

/*
 * The service with that id, as it is now; false if there is none (any more).
 */
bool
atx_service_load(int64 service_id, AtxService *service)
{
	Snapshot	snapshot = atx_snapshot_take();
	bool		found = atx_service_load_in(snapshot, service_id, service);

	atx_snapshot_release(snapshot);
	return found;
}

/*
 * The same, if it has that name.
 */
bool
atx_service_load_named(int64 service_id, const char *namespace, const char *name,
					   AtxService *service)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &service_table, false);
	found = atx_cursor_find(&cursor, snapshot, &service_id, 1) &&
		atx_cursor_text_is(&cursor, SERVICE_NAME, name) &&
		atx_cursor_text_is(&cursor, SERVICE_NAMESPACE, namespace);
	if (found)
		read_row(&cursor, service);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * Insert a service with the state its type begins with.  False if the name
 * was taken, perhaps by a transaction it had to wait for.
 */
bool
atx_service_insert(const AtxService *service, const char *namespace,
				   const char *name)
{
	Datum		values[] = {
		Int64GetDatum(service->service_id),
		Int32GetDatum(service->partition_id),
		CStringGetTextDatum(service->type),
		CStringGetTextDatum(namespace),
		CStringGetTextDatum(name),
		Int64GetDatum(service->value)
	};

	return atx_execute(&insert, values, NULL) > 0;
}

/*
 * Write the state back; the caller holds the service's lock exclusive.
 */
void
atx_service_save(const AtxService *service)
{
	Snapshot	snapshot = atx_snapshot_take();
	Datum		values[SERVICE_COLUMNS] = {0};
	bool		nulls[SERVICE_COLUMNS] = {false};
	bool		replaced[SERVICE_COLUMNS] = {false};
	AtxCursor	cursor;

	values[SERVICE_VALUE - 1] = Int64GetDatum(service->value);
	values[SERVICE_REVISION - 1] = Int64GetDatum(service->revision);
	values[SERVICE_DELAY - 1] = Int64GetDatum(service->delay);
	replaced[SERVICE_VALUE - 1] = replaced[SERVICE_REVISION - 1] =
		replaced[SERVICE_DELAY - 1] = true;
	atx_cursor_open(&cursor, &service_table, true);
	/* Unless the call has written it before, it is where it was. */
	if (atx_cursor_fetch(&cursor, snapshot, service->row) ||
		atx_cursor_find(&cursor, snapshot, &service->service_id, 1))
		atx_cursor_replace(&cursor, values, nulls, replaced);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
}

/*
 * Write back that a service is watched until a tick, or is not watched any
 * more, and from which revision on its events are kept; under the same lock.
 */
void
atx_service_save_watch(const AtxService *service, int32 epoch)
{
	Datum		values[] = {
		Int64GetDatum(service->service_id),
		Int64GetDatum(service->watched_until),
		Int32GetDatum(epoch),
		Int64GetDatum(service->oldest),
		Int64GetDatum(service->revision),
		Int64GetDatum(service->history)
	};

	(void) atx_execute(&save_watch, values, service->watched ? NULL : " nn   ");
}

/*
 * Up to limit services that are watched, after an id; returns how many.
 */
int
atx_services_watched(int64 after, int limit, int64 *service_ids)
{
	Datum		values[] = {Int64GetDatum(after), Int64GetDatum(limit)};

	return atx_result_ids(atx_execute(&watched, values, NULL), service_ids);
}

/*
 * Revisions of services, for hints: those of the ids that are of services;
 * returns how many.
 */
int
atx_service_revisions(const int64 *ids, int count, AtxServiceRevision *revisions)
{
	Datum		values[] = {atx_int64_array(ids, count)};
	int			found = (int) atx_execute(&find_revisions, values, NULL);

	for (int i = 0; i < found; i++)
	{
		revisions[i].service_id = atx_result_int64(i, 1);
		revisions[i].revision = atx_result_int64(i, 2);
	}
	return found;
}

/* Count the time for which services are watched on the moment's clock. */
void
atx_service_enter_epoch(const AtxMoment *moment, int64 retention)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now + retention)
	};

	(void) atx_execute(&enter_epoch, values, NULL);
}

/*
 * Have services that are watched go on being watched in the next history: the
 * events that it has inherited stay, those to come have revisions above all
 * that were given out for events which may be missing.
 */
void
atx_services_carry_on(int64 history, int64 next)
{
	Datum		values[] = {Int64GetDatum(history), Int64GetDatum(next)};

	(void) atx_execute(&carry_on, values, NULL);
}

/*
 * Delete the service's own row; the caller holds its lock exclusive.
 */
void
atx_service_delete(int64 service_id)
{
	Datum		values[] = {Int64GetDatum(service_id)};

	(void) atx_execute(&delete, values, NULL);
}

/*
 * ERROR 40001 at REPEATABLE READ and above if others have changed the
 * service since the transaction's snapshot.
 */
void
atx_service_require_unchanged(int64 service_id)
{
	Datum		values[] = {Int64GetDatum(service_id)};

	atx_require_unchanged(&versions, values, NULL);
}
