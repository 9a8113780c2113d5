/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  Tables stream and replay: streams of sessions, and what they begin with.
 *
 * Outputs that are events are not kept anew: they are found in table event,
 * from the stream's position on, each time they are asked for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/arrays.h"
#include "base/rows.h"
#include "base/spi.h"
#include "tables/service.h"
#include "tables/stream.h"

/* Is event e one of stream t? */
#define MATCHES \
	"e.service_id = t.service_id AND e.revision > t.revision" \
	" AND (t.key IS NULL OR e.key = t.key) AND (t.event IS NULL OR e.type = t.event)"

/* Columns by their position in the table. */
enum
{
	STREAM_SESSION_ID = 1,
	STREAM_SEQUENCE_NUM,
	STREAM_SERVICE_ID,
	STREAM_REVISION,
	STREAM_ACKED,
	STREAM_PREFACE,
	STREAM_CLOSED,
	STREAM_HISTORY,
	STREAM_STATUS,
	STREAM_KIND,
	STREAM_TYPE,
	STREAM_KEY,
	STREAM_EVENT,
	STREAM_REASON,
	STREAM_COLUMNS = STREAM_REASON
};

static const char *const kind_names[] = {
	[ATX_STREAM_EVENTS] = "events",
	[ATX_STREAM_ENTRIES] = "entries",
	[ATX_STREAM_TERM] = "term"
};

static AtxTable stream_table = {"stream", "stream_pkey"};
static AtxTable stream_of_service = {"stream", "stream_service"};

static AtxStatement insert = {
	"INSERT INTO atomix.stream (session_id, sequence_num, service_id, revision,"
	" preface, closed, history, status, kind, type, key, event)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
	12, {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT2OID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID}
};

static AtxStatement replay_entries = {
	"INSERT INTO atomix.replay (session_id, sequence_num, output_num, index, key, value)"
	" SELECT $1, $2, 1 + pg_catalog.row_number() OVER (ORDER BY e.key), e.index, e.key, e.value"
	" FROM atomix.entry e WHERE e.service_id = $3 AND ($4 IS NULL OR e.key = $4)"
	" AND NOT COALESCE(e.expires_epoch = $5 AND e.expires_at <= $6, false)"
	" ORDER BY e.key LIMIT $7",
	7, {INT8OID, INT8OID, INT8OID, TEXTOID, INT4OID, INT8OID, INT8OID}
};

static AtxStatement replay_value = {
	"INSERT INTO atomix.replay (session_id, sequence_num, output_num, index, key, value)"
	" VALUES ($1, $2, 2, $3, $4, $5)",
	5, {INT8OID, INT8OID, INT8OID, TEXTOID, BYTEAOID}
};

static AtxStatement forget_replayed = {
	"DELETE FROM atomix.replay WHERE session_id = $1 AND sequence_num = $2 AND output_num <= $3",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement count = {
	"SELECT pg_catalog.count(*) FROM (SELECT FROM atomix.stream t WHERE t.session_id = $1"
	" LIMIT $2) k",
	2, {INT8OID, INT8OID}
};

static AtxStatement sessions = {
	"SELECT DISTINCT t.session_id FROM atomix.stream t WHERE t.service_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

/* In the order in which consumers write those of a session. */
static AtxStatement lock_to_close = {
	"SELECT FROM atomix.stream t WHERE t.service_id = $1 AND t.closed IS NULL"
	" AND ($2 = 0 OR t.session_id = $2) ORDER BY t.session_id, t.sequence_num FOR UPDATE",
	2, {INT8OID, INT8OID}
};

/*
 * Where a stream wants all events they need not be counted: each revision of a
 * history is one.
 */
static AtxStatement close_streams = {
	"WITH closed AS (UPDATE atomix.stream t SET closed = GREATEST(t.acked, t.preface) + 1"
	" + CASE WHEN t.key IS NULL AND t.event IS NULL AND t.revision > $7 THEN $6 - t.revision"
	" ELSE (SELECT pg_catalog.count(*) FROM atomix.event e WHERE " MATCHES ") END,"
	" status = $4, reason = $5"
	" WHERE t.service_id = $1 AND t.closed IS NULL AND ($2 = 0 OR t.session_id = $2)"
	" AND ($3 = 0 OR (t.revision < $3 AND EXISTS (SELECT FROM atomix.event e"
	" WHERE " MATCHES " AND e.revision <= $3)))"
	" RETURNING t.session_id, t.sequence_num),"
	" gone AS (DELETE FROM atomix.replay r USING closed c"
	" WHERE r.session_id = c.session_id AND r.sequence_num = c.sequence_num)"
	" SELECT c.session_id, c.sequence_num FROM closed c ORDER BY 1, 2",
	7, {INT8OID, INT8OID, INT8OID, INT2OID, TEXTOID, INT8OID, INT8OID}
};

/* The least position among those that are locked by somebody else. */
static AtxStatement lock_to_advance = {
	"WITH free AS (SELECT t.session_id, t.sequence_num FROM atomix.stream t"
	" WHERE t.service_id = $1 AND t.closed IS NULL AND t.revision < $2 FOR UPDATE SKIP LOCKED)"
	" SELECT COALESCE(pg_catalog.min(t.revision), $2) FROM atomix.stream t"
	" WHERE t.service_id = $1 AND t.closed IS NULL AND t.revision < $2"
	" AND NOT EXISTS (SELECT FROM free f WHERE f.session_id = t.session_id"
	" AND f.sequence_num = t.sequence_num)",
	2, {INT8OID, INT8OID}
};

static AtxStatement advance = {
	"UPDATE atomix.stream SET revision = $2"
	" WHERE service_id = $1 AND closed IS NULL AND revision < $2",
	2, {INT8OID, INT8OID}
};

static AtxStatement advance_idle = {
	"WITH idle AS (SELECT t.session_id, t.sequence_num FROM atomix.stream t"
	" WHERE t.service_id = $1 AND t.closed IS NULL AND t.revision < $2"
	" AND (t.key IS NOT NULL OR t.event IS NOT NULL)"
	" AND NOT EXISTS (SELECT FROM atomix.event e WHERE " MATCHES ") FOR UPDATE SKIP LOCKED)"
	" UPDATE atomix.stream t SET revision = $2 FROM idle i"
	" WHERE t.session_id = i.session_id AND t.sequence_num = i.sequence_num",
	2, {INT8OID, INT8OID}
};

static AtxStatement resume = {
	"UPDATE atomix.stream SET history = $3 WHERE session_id = $1 AND sequence_num = $2",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement forget = {
	"WITH gone AS (DELETE FROM atomix.replay"
	" WHERE session_id = $1 AND sequence_num = ANY ($2))"
	" DELETE FROM atomix.stream WHERE session_id = $1 AND sequence_num = ANY ($2)",
	2, {INT8OID, INT8ARRAYOID}
};

static AtxStatement forget_sessions = {
	"WITH gone AS (DELETE FROM atomix.replay WHERE session_id = ANY ($1)),"
	" streams AS (DELETE FROM atomix.stream WHERE session_id = ANY ($1)"
	" RETURNING session_id, sequence_num)"
	" UPDATE atomix.command c SET state = 'canceled', status = $2,"
	" message = 'the session has ended', output = NULL"
	" FROM streams t WHERE c.session_id = t.session_id AND c.sequence_num = t.sequence_num"
	" AND c.state = 'running'",
	2, {INT8ARRAYOID, INT2OID}
};

static AtxStreamKind
kind_of(const char *name)
{
	return (AtxStreamKind) atx_word_position("atomix.stream", kind_names,
											 lengthof(kind_names), name);
}

/*
 * Insert a stream, whose client has acknowledged nothing.
 */
void
atx_stream_insert(const AtxStream *stream)
{
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(stream->service_id),
		Int64GetDatum(stream->revision),
		Int64GetDatum(stream->preface),
		Int64GetDatum(stream->closed),
		Int64GetDatum(stream->history),
		Int16GetDatum((int16) stream->status),
		CStringGetTextDatum(kind_names[stream->kind]),
		CStringGetTextDatum(stream->type),
		stream->key ? CStringGetTextDatum(stream->key) : (Datum) 0,
		stream->event ? CStringGetTextDatum(stream->event) : (Datum) 0
	};
	char		nulls[] = "            ";

	if (stream->closed == 0)
		nulls[5] = 'n';
	if (stream->key == NULL)
		nulls[10] = 'n';
	if (stream->event == NULL)
		nulls[11] = 'n';
	(void) atx_execute(&insert, values, nulls);
}

/*
 * Have the outputs of a stream begin, after the first, with the entries that
 * match it; returns how many, counting to limit.
 */
int64
atx_stream_replay_entries(const AtxStream *stream, const AtxMoment *moment, int64 limit)
{
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(stream->service_id),
		stream->key ? CStringGetTextDatum(stream->key) : (Datum) 0,
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(limit)
	};

	return (int64) atx_execute(&replay_entries, values, stream->key ? NULL : "   n   ");
}

/*
 * Have them begin with one value.
 */
void
atx_stream_replay_value(const AtxStream *stream, const char *key, const bytea *value,
						int64 index)
{
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(index),
		key ? CStringGetTextDatum(key) : (Datum) 0,
		PointerGetDatum(value)
	};

	(void) atx_execute(&replay_value, values, key ? NULL : "   n ");
}

static void
read_stream(AtxCursor *cursor, AtxStream *stream)
{
	bool		isnull;

	stream->session_id = atx_cursor_int64(cursor, STREAM_SESSION_ID);
	stream->sequence_num = atx_cursor_int64(cursor, STREAM_SEQUENCE_NUM);
	stream->service_id = atx_cursor_int64(cursor, STREAM_SERVICE_ID);
	stream->revision = atx_cursor_int64(cursor, STREAM_REVISION);
	stream->acked = atx_cursor_int64(cursor, STREAM_ACKED);
	stream->preface = atx_cursor_int64(cursor, STREAM_PREFACE);
	stream->closed = atx_cursor_int64(cursor, STREAM_CLOSED);
	stream->history = atx_cursor_int64(cursor, STREAM_HISTORY);
	stream->status = (AtxStatus) DatumGetInt16(atx_cursor_datum(cursor, STREAM_STATUS, &isnull));
	stream->kind = kind_of(atx_cursor_text(cursor, STREAM_KIND));
	stream->type = atx_cursor_text(cursor, STREAM_TYPE);
	stream->key = atx_cursor_text(cursor, STREAM_KEY);
	stream->event = atx_cursor_text(cursor, STREAM_EVENT);
	stream->reason = atx_cursor_text(cursor, STREAM_REASON);
	stream->row = atx_cursor_tid(cursor);
}

/*
 * The stream of that number in a snapshot; false if there is none.
 */
bool
atx_stream_find_in(Snapshot snapshot, int64 session_id, int64 sequence_num, AtxStream *stream)
{
	int64		key[] = {session_id, sequence_num};
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &stream_table, false);
	found = atx_cursor_find(&cursor, snapshot, key, 2);
	if (found)
		read_stream(&cursor, stream);
	atx_cursor_close(&cursor);
	return found;
}

/*
 * The streams of a session in a snapshot, in order of their numbers; returns
 * how many.
 */
int
atx_streams_in(Snapshot snapshot, int64 session_id, AtxStream **streams)
{
	int			room = 0;
	int			n = 0;
	AtxCursor	cursor;

	*streams = NULL;
	atx_cursor_open(&cursor, &stream_table, false);
	atx_cursor_begin(&cursor, snapshot, &session_id, 1);
	while (atx_cursor_next(&cursor))
	{
		if (n == room)
			*streams = atx_array_grow(CurrentMemoryContext, *streams, &room,
									  sizeof(AtxStream));
		read_stream(&cursor, &(*streams)[n++]);
	}
	atx_cursor_close(&cursor);
	return n;
}

/*
 * Lock a stream's row and read it; false if there is none, or if somebody else
 * has it locked and it is not to be waited for.
 */
bool
atx_stream_lock(int64 session_id, int64 sequence_num, bool wait, AtxStream *stream)
{
	int64		key[] = {session_id, sequence_num};
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &stream_table, true);
	found = atx_cursor_find(&cursor, snapshot, key, 2) && atx_cursor_lock(&cursor, wait);
	if (found)
		read_stream(&cursor, stream);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * ERROR 40001 if others have acknowledged outputs of a stream, whose row is
 * locked, since the snapshot of a transaction at REPEATABLE READ or above: it
 * may have read them once more.
 */
void
atx_stream_require_unchanged(const AtxStream *stream)
{
	AtxStream	seen;
	Snapshot	snapshot;

	if (!IsolationUsesXactSnapshot())
		return;
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	if (!atx_stream_find_in(snapshot, stream->session_id, stream->sequence_num, &seen) ||
		seen.acked != stream->acked)
		atx_refuse_changed();
	UnregisterSnapshot(snapshot);
}

/*
 * Is that command of the session a stream, be its row locked?
 */
bool
atx_stream_exists(int64 session_id, int64 sequence_num)
{
	int64		key[] = {session_id, sequence_num};

	return atx_row_exists(&stream_table, key, 2);
}

/* A later position of a stream, as columns of its row. */
typedef struct Position
{
	Datum		values[STREAM_COLUMNS];
	bool		nulls[STREAM_COLUMNS];
	bool		replaced[STREAM_COLUMNS];
} Position;

static void
set_position(Position *position, int64 output_num, int64 revision)
{
	memset(position, 0, sizeof(*position));
	position->values[STREAM_ACKED - 1] = Int64GetDatum(output_num);
	position->values[STREAM_REVISION - 1] = Int64GetDatum(revision);
	position->replaced[STREAM_ACKED - 1] = position->replaced[STREAM_REVISION - 1] = true;
}

/* Write it; the caller has the row locked. */
static void
save_position(const AtxStream *stream, int64 output_num, int64 revision)
{
	int64		key[] = {stream->session_id, stream->sequence_num};
	Snapshot	snapshot = atx_snapshot_take();
	Position	position;
	AtxCursor	cursor;

	set_position(&position, output_num, revision);
	atx_cursor_open(&cursor, &stream_table, true);
	/* Unless it was written in the same call, it is where it was locked. */
	if ((atx_cursor_fetch(&cursor, snapshot, stream->row) ||
		 atx_cursor_find(&cursor, snapshot, key, 2)) &&
		atx_cursor_int64(&cursor, STREAM_ACKED) < output_num)
		atx_cursor_replace(&cursor, position.values, position.nulls, position.replaced);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
}

/* The same where it is not locked; false if it was written since it was read. */
static bool
try_save_position(const AtxStream *stream, int64 output_num, int64 revision)
{
	Snapshot	snapshot = atx_snapshot_take();
	Position	position;
	AtxCursor	cursor;
	bool		saved;

	set_position(&position, output_num, revision);
	atx_cursor_open(&cursor, &stream_table, true);
	saved = atx_cursor_fetch(&cursor, snapshot, stream->row) &&
		atx_cursor_try_replace(&cursor, position.values, position.nulls, position.replaced);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return saved;
}

/*
 * Have a stream, whose row is locked, go on in a history.
 */
void
atx_stream_resume(const AtxStream *stream, int64 history)
{
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(history)
	};

	(void) atx_execute(&resume, values, NULL);
}

/* What it began with is kept until it is acknowledged. */
static void
forget_acknowledged(const AtxStream *stream, int64 output_num)
{
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(output_num)
	};

	if (stream->acked < stream->preface)
		(void) atx_execute(&forget_replayed, values, NULL);
}

/*
 * Move the position of a stream, whose row is locked, on to that, unless it is
 * there already.
 */
void
atx_stream_acknowledge(const AtxStream *stream, int64 output_num, int64 revision)
{
	save_position(stream, output_num, revision);
	forget_acknowledged(stream, output_num);
}

/*
 * Move the position of a stream on that was read without a lock.  False, and
 * nothing is done, if it was written since, perhaps by a transaction that was
 * waited for; at REPEATABLE READ and above this is ERROR 40001.  The caller
 * holds a snapshot that was taken before it was read, so that its place was
 * not given to another row.
 */
bool
atx_stream_try_acknowledge(const AtxStream *stream, int64 output_num, int64 revision)
{
	bool		saved = try_save_position(stream, output_num, revision);

	if (saved)
		forget_acknowledged(stream, output_num);
	return saved;
}

/*
 * Has the session any stream?
 */
bool
atx_stream_any_of_session(int64 session_id)
{
	return atx_row_exists(&stream_table, &session_id, 1);
}

/*
 * Has the service any, be they closed?
 */
bool
atx_stream_any_of_service(int64 service_id)
{
	return atx_row_exists(&stream_of_service, &service_id, 1);
}

/*
 * How many streams the session has, counting to limit.
 */
int64
atx_stream_count(int64 session_id, int64 limit)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(limit)};

	(void) atx_execute(&count, values, NULL);
	return atx_result_int64(0, 1);
}

/* The ids that a statement has found; returns how many. */
static int
read_ids(uint64 found, int64 **ids)
{
	*ids = palloc(sizeof(int64) * Max(found, 1));
	return atx_result_ids(found, *ids);
}

/*
 * The streams of a session; returns how many.
 */
int
atx_stream_of_session(int64 session_id, AtxStream **streams)
{
	Snapshot	snapshot = atx_snapshot_take();
	int			n = atx_streams_in(snapshot, session_id, streams);

	atx_snapshot_release(snapshot);
	return n;
}

/*
 * The sessions that have streams of some services.
 */
int
atx_stream_sessions(const int64 *service_ids, int n, int64 **session_ids)
{
	Datum		values[] = {atx_int64_array(service_ids, n)};

	return read_ids(atx_execute(&sessions, values, NULL), session_ids);
}

/*
 * Close streams, with the status and the reason that their last output tells,
 * and as many numbers further as they have outputs now.  Returns how many;
 * (*closed)[i] has just their names.  The service's lock is held exclusive.
 */
int
atx_stream_close(const AtxStreamsOf *which, AtxStatus status, const char *reason,
				 AtxStream **closed)
{
	Datum		values[] = {
		Int64GetDatum(which->service_id),
		Int64GetDatum(which->session_id),
		Int64GetDatum(which->unread_to),
		Int16GetDatum((int16) status),
		CStringGetTextDatum(reason),
		Int64GetDatum(which->newest),
		Int64GetDatum(which->history)
	};
	int			found;

	/* Those that are late are locked, and no others are waited for. */
	if (which->unread_to == 0)
		(void) atx_execute(&lock_to_close, values, NULL);
	found = (int) atx_execute(&close_streams, values, NULL);
	*closed = palloc0(sizeof(AtxStream) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		(*closed)[i].session_id = atx_result_int64(i, 1);
		(*closed)[i].sequence_num = atx_result_int64(i, 2);
	}
	return found;
}

/*
 * Lock those of a service's streams that stand below a revision, without
 * waiting.  Returns up to which revision all are locked.
 */
int64
atx_stream_lock_to_advance(int64 service_id, int64 revision)
{
	Datum		values[] = {Int64GetDatum(service_id), Int64GetDatum(revision)};

	(void) atx_execute(&lock_to_advance, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * Move the positions of those that have no event up to a revision on to that.
 */
void
atx_stream_advance(int64 service_id, int64 revision)
{
	Datum		values[] = {Int64GetDatum(service_id), Int64GetDatum(revision)};

	(void) atx_execute(&advance, values, NULL);
}

/*
 * Move the positions of those that want only some events, and have none since,
 * on to a revision, the newest: they are not looked through again.
 */
void
atx_stream_advance_idle(int64 service_id, int64 revision)
{
	Datum		values[] = {Int64GetDatum(service_id), Int64GetDatum(revision)};

	(void) atx_execute(&advance_idle, values, NULL);
}

/*
 * Forget the streams among some commands of a session.
 */
void
atx_stream_forget(int64 session_id, const int64 *numbers, int n)
{
	Datum		values[2];

	if (n == 0 || !atx_stream_any_of_session(session_id))
		return;
	values[0] = Int64GetDatum(session_id);
	values[1] = atx_int64_array(numbers, n);
	(void) atx_execute(&forget, values, NULL);
}

/*
 * Forget the streams of sessions that have ended; their commands are canceled.
 */
void
atx_stream_forget_sessions(const int64 *session_ids, int n)
{
	Datum		values[] = {
		atx_int64_array(session_ids, n),
		Int16GetDatum((int16) ATX_STATUS_CANCELED)
	};

	(void) atx_execute(&forget_sessions, values, NULL);
}
