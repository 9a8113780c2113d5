/*-------------------------------------------------------------------------
 *
 * attachment.c
 *	  Table attachment: which session has which service open.
 *
 * Rows of a service that was deleted stay, marked, until the session ends:
 * so it learns what became of the service, which nobody else needs to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "base/rows.h"
#include "base/spi.h"
#include "tables/attachment.h"

/* Columns by their position in the table. */
enum
{
	ATTACHMENT_SESSION_ID = 1,
	ATTACHMENT_SERVICE_ID,
	ATTACHMENT_DELETED
};

static AtxTable attachment_table = {"attachment", "attachment_pkey"};

static AtxStatement insert = {
	"INSERT INTO atomix.attachment (session_id, service_id) VALUES ($1, $2)"
	" ON CONFLICT DO NOTHING",
	2, {INT8OID, INT8OID}
};

static AtxStatement count = {
	"SELECT pg_catalog.count(*) FROM atomix.attachment WHERE session_id = $1",
	1, {INT8OID}
};

static AtxStatement open_of = {
	"SELECT service_id FROM atomix.attachment"
	" WHERE session_id = $1 AND service_id = ANY ($2) AND NOT deleted",
	2, {INT8OID, INT8ARRAYOID}
};

static AtxStatement delete = {
	"DELETE FROM atomix.attachment"
	" WHERE session_id = $1 AND service_id = $2 AND NOT deleted",
	2, {INT8OID, INT8OID}
};

static AtxStatement delete_all = {
	"DELETE FROM atomix.attachment WHERE session_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

static AtxStatement mark_deleted = {
	"UPDATE atomix.attachment SET deleted = true"
	" WHERE service_id = $1 AND NOT deleted RETURNING session_id",
	1, {INT8OID}
};

/*
 * Has the session the service open, or had it until that was deleted?
 */
AtxAttachmentState
atx_attachment_find_in(Snapshot snapshot, int64 session_id, int64 service_id)
{
	int64		key[] = {session_id, service_id};
	AtxAttachmentState state = ATX_NOT_ATTACHED;
	AtxCursor	cursor;
	bool		isnull;

	atx_cursor_open(&cursor, &attachment_table, false);
	if (atx_cursor_find(&cursor, snapshot, key, 2))
		state = DatumGetBool(atx_cursor_datum(&cursor, ATTACHMENT_DELETED, &isnull)) ?
			ATX_WAS_ATTACHED : ATX_ATTACHED;
	atx_cursor_close(&cursor);
	return state;
}

/*
 * Has the session any service open, or had it?
 */
bool
atx_attachment_any(int64 session_id)
{
	return atx_row_exists(&attachment_table, &session_id, 1);
}

/*
 * Attach a session to a service; false if it was.
 */
bool
atx_attachment_insert(int64 session_id, int64 service_id)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(service_id)};

	return atx_execute(&insert, values, NULL) > 0;
}

/*
 * How many services the session has open, deleted ones included.
 */
int64
atx_attachment_count(int64 session_id)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	(void) atx_execute(&count, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * Which of some services the session has open: they are put in place of the
 * given ones, each once; returns how many.
 */
int
atx_attachment_open_of(int64 session_id, int64 *service_ids, int count)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		atx_int64_array(service_ids, count)
	};

	return atx_result_ids(atx_execute(&open_of, values, NULL), service_ids);
}

/*
 * Detach a session from a service; false if it was not attached.
 */
bool
atx_attachment_delete(int64 session_id, int64 service_id)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(service_id)};

	return atx_execute(&delete, values, NULL) > 0;
}

/*
 * Detach sessions, which have ended, from everything.
 */
void
atx_attachment_delete_all(const int64 *session_ids, int n)
{
	Datum		values[] = {atx_int64_array(session_ids, n)};

	(void) atx_execute(&delete_all, values, NULL);
}

/*
 * Mark a service as deleted for all that have it open; returns how many, and
 * which.
 */
int
atx_attachment_service_deleted(int64 service_id, int64 **session_ids)
{
	Datum		values[] = {Int64GetDatum(service_id)};
	int			found = (int) atx_execute(&mark_deleted, values, NULL);

	*session_ids = palloc(sizeof(int64) * Max(found, 1));
	for (int i = 0; i < found; i++)
		(*session_ids)[i] = atx_result_int64(i, 1);
	return found;
}
