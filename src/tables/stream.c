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

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/rows.h"
#include "base/spi.h"
#include "tables/stream.h"

/* Is event e one of stream t? */
#define MATCHES \
	"e.service_id = t.service_id AND e.revision > t.revision" \
	" AND (t.key IS NULL OR e.key = t.key) AND (t.event IS NULL OR e.type = t.event)"

#define COLUMNS \
	"t.service_id, t.revision, t.acked, t.preface, t.closed, t.history, t.status," \
	" t.kind, t.type, t.key, t.event, t.reason"

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

/*
 * One statement, hence one snapshot: events that a retention has removed are
 * not missing without the stream's being closed.
 */
static AtxStatement page = {
	"SELECT " COLUMNS ", s.oldest, s.watched_until IS NOT NULL AND s.history = t.history,"
	" o.num, o.index, o.type, o.key, o.value, o.prev_value, o.xid"
	" FROM atomix.stream t LEFT JOIN atomix.service s ON s.service_id = t.service_id"
	" LEFT JOIN LATERAL ("
	"(SELECT r.output_num AS num, r.index, '" ATX_EVENT_REPLAY "'::pg_catalog.text AS type,"
	" r.key, r.value, NULL::pg_catalog.bytea AS prev_value, 0::pg_catalog.int8 AS xid"
	" FROM atomix.replay r WHERE r.session_id = $1 AND r.sequence_num = $2"
	" AND r.output_num > t.acked ORDER BY r.output_num LIMIT $3)"
	" UNION ALL "
	"(SELECT GREATEST(t.acked, t.preface) + pg_catalog.row_number() OVER (ORDER BY e.revision),"
	" e.index, e.type, e.key, e.value, e.prev_value, e.xid::pg_catalog.text::pg_catalog.int8"
	" FROM atomix.event e WHERE " MATCHES " AND t.closed IS NULL"
	" ORDER BY e.revision LIMIT $3)"
	") o ON true WHERE t.session_id = $1 AND t.sequence_num = $2 ORDER BY o.num LIMIT $3",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement lock = {
	"SELECT " COLUMNS " FROM atomix.stream t WHERE t.session_id = $1 AND t.sequence_num = $2"
	" FOR UPDATE",
	2, {INT8OID, INT8OID}
};

static AtxStatement try_lock = {
	"SELECT " COLUMNS " FROM atomix.stream t WHERE t.session_id = $1 AND t.sequence_num = $2"
	" FOR UPDATE SKIP LOCKED",
	2, {INT8OID, INT8OID}
};

/*
 * The revision of the nth event from a stream's position, and that of the
 * next one, or else the newest revision of the service.
 */
static AtxStatement locate = {
	"SELECT k.found[1], COALESCE(k.found[2] - 1, k.newest) FROM (SELECT"
	" ARRAY(SELECT e.revision FROM atomix.event e WHERE " MATCHES
	" ORDER BY e.revision OFFSET $3 - 1 LIMIT 2) AS found, s.revision AS newest"
	" FROM atomix.stream t JOIN atomix.service s ON s.service_id = t.service_id"
	" WHERE t.session_id = $1 AND t.sequence_num = $2) k",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement acknowledge = {
	"WITH gone AS (DELETE FROM atomix.replay WHERE session_id = $1 AND sequence_num = $2"
	" AND output_num <= $3)"
	" UPDATE atomix.stream SET acked = $3, revision = $4"
	" WHERE session_id = $1 AND sequence_num = $2 AND acked < $3",
	4, {INT8OID, INT8OID, INT8OID, INT8OID}
};

static AtxStatement count = {
	"SELECT pg_catalog.count(*) FROM (SELECT FROM atomix.stream t WHERE t.session_id = $1"
	" LIMIT $2) k",
	2, {INT8OID, INT8OID}
};

static AtxStatement services = {
	"SELECT DISTINCT t.service_id FROM atomix.stream t"
	" WHERE t.session_id = $1 AND t.closed IS NULL",
	1, {INT8OID}
};

/*
 * Every revision of a service that has streams is an event; where a stream
 * wants only some of them, one of these has to be there.
 */
static AtxStatement pending = {
	"SELECT FROM atomix.stream t LEFT JOIN atomix.service s ON s.service_id = t.service_id"
	" WHERE t.session_id = $1 AND (t.acked < COALESCE(t.closed, t.preface)"
	" OR (t.closed IS NULL AND (s.history IS DISTINCT FROM t.history"
	" OR (s.revision > t.revision AND ((t.key IS NULL AND t.event IS NULL)"
	" OR EXISTS (SELECT FROM atomix.event e WHERE " MATCHES ")))))) LIMIT 1",
	1, {INT8OID}
};

static AtxStatement sessions = {
	"SELECT DISTINCT t.session_id FROM atomix.stream t WHERE t.service_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

/* A stream that was opened by the client's own count keeps what it has. */
static AtxStatement close_streams = {
	"WITH closed AS (UPDATE atomix.stream t SET closed = GREATEST(t.acked, t.preface) + 1"
	" + (SELECT pg_catalog.count(*) FROM atomix.event e WHERE " MATCHES "),"
	" status = $4, reason = $5"
	" WHERE t.service_id = $1 AND t.closed IS NULL AND ($2 = 0 OR t.session_id = $2)"
	" AND ($3 = 0 OR (t.revision < $3 AND EXISTS (SELECT FROM atomix.event e"
	" WHERE " MATCHES " AND e.revision <= $3)))"
	" RETURNING t.session_id, t.sequence_num),"
	" gone AS (DELETE FROM atomix.replay r USING closed c"
	" WHERE r.session_id = c.session_id AND r.sequence_num = c.sequence_num)"
	" SELECT c.session_id, c.sequence_num FROM closed c ORDER BY 1, 2",
	5, {INT8OID, INT8OID, INT8OID, INT2OID, TEXTOID}
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

/* The kind of a name; a row edited to something else is an error. */
static AtxStreamKind
kind_of(const char *name)
{
	for (int i = 0; i < lengthof(kind_names); i++)
		if (strcmp(kind_names[i], name) == 0)
			return (AtxStreamKind) i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s\" contains the unexpected word \"%s\"",
					"atomix.stream", name)));
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

/* Read COLUMNS. */
static void
read_stream(int64 session_id, int64 sequence_num, AtxStream *stream)
{
	stream->session_id = session_id;
	stream->sequence_num = sequence_num;
	stream->service_id = atx_result_int64(0, 1);
	stream->revision = atx_result_int64(0, 2);
	stream->acked = atx_result_int64(0, 3);
	stream->preface = atx_result_int64(0, 4);
	stream->closed = atx_result_isnull(0, 5) ? 0 : atx_result_int64(0, 5);
	stream->history = atx_result_int64(0, 6);
	stream->status = (AtxStatus) DatumGetInt16(atx_result_datum(0, 7));
	stream->kind = kind_of(atx_result_text(0, 8));
	stream->type = atx_result_text(0, 9);
	stream->key = atx_result_text(0, 10);
	stream->event = atx_result_text(0, 11);
	stream->reason = atx_result_text(0, 12);
}

static void
read_event(uint64 row, const AtxStream *stream, AtxStreamEvent *result)
{
	memset(result, 0, sizeof(*result));
	result->event.service_id = stream->service_id;
	result->output_num = atx_result_int64(row, 15);
	result->event.index = atx_result_int64(row, 16);
	result->event.type = atx_result_text(row, 17);
	result->event.key = atx_result_text(row, 18);
	result->event.value = atx_result_bytes(row, 19);
	result->event.prev_value = atx_result_bytes(row, 20);
	result->event.xid = (uint64) atx_result_int64(row, 21);
}

/*
 * A stream with up to limit of the outputs between its first and its last
 * that are not acknowledged; false if there is none of that number.
 */
bool
atx_stream_page(int64 session_id, int64 sequence_num, int limit, AtxStreamPage *result)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(sequence_num),
		Int64GetDatum(Max(limit, 1))
	};
	uint64		found = atx_execute(&page, values, NULL);

	if (found == 0)
		return false;
	read_stream(session_id, sequence_num, &result->stream);
	result->oldest = atx_result_isnull(0, 13) ? 0 : atx_result_int64(0, 13);
	result->watched = !atx_result_isnull(0, 14) && DatumGetBool(atx_result_datum(0, 14));
	result->count = atx_result_isnull(0, 15) ? 0 : (int) found;
	result->events = palloc(sizeof(AtxStreamEvent) * Max(result->count, 1));
	for (int i = 0; i < result->count; i++)
		read_event(i, &result->stream, &result->events[i]);
	return true;
}

/*
 * Lock a stream's row and read it; false if there is none, or if somebody else
 * has it locked and it is not to be waited for.
 */
bool
atx_stream_lock(int64 session_id, int64 sequence_num, bool wait, AtxStream *stream)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(sequence_num)};

	if (atx_execute(wait ? &lock : &try_lock, values, NULL) == 0)
		return false;
	read_stream(session_id, sequence_num, stream);
	return true;
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

/*
 * The revision at which a stream, whose row is locked, stands once its outputs
 * up to output_num are acknowledged; false if there are not so many.
 */
bool
atx_stream_locate(const AtxStream *stream, int64 output_num, int64 *revision)
{
	int64		before = Max(stream->acked, stream->preface);
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(output_num - before)
	};

	*revision = stream->revision;
	if (stream->closed != 0 || output_num <= before)
		return output_num <= Max(stream->closed, before);
	if (atx_execute(&locate, values, NULL) == 0 || atx_result_isnull(0, 1))
		return false;
	*revision = atx_result_int64(0, 2);
	return true;
}

/*
 * Move the position of a stream, whose row is locked, on to that, unless it is
 * there already.
 */
void
atx_stream_acknowledge(const AtxStream *stream, int64 output_num, int64 revision)
{
	Datum		values[] = {
		Int64GetDatum(stream->session_id),
		Int64GetDatum(stream->sequence_num),
		Int64GetDatum(output_num),
		Int64GetDatum(revision)
	};

	(void) atx_execute(&acknowledge, values, NULL);
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
	for (uint64 i = 0; i < found; i++)
		(*ids)[i] = atx_result_int64(i, 1);
	return (int) found;
}

/*
 * The services whose events the session's streams still wait for.
 */
int
atx_stream_services(int64 session_id, int64 **service_ids)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	return read_ids(atx_execute(&services, values, NULL), service_ids);
}

/*
 * Has the session a stream with outputs that are not acknowledged?
 */
bool
atx_stream_pending(int64 session_id)
{
	Datum		values[] = {Int64GetDatum(session_id)};

	return atx_execute(&pending, values, NULL) > 0;
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
		CStringGetTextDatum(reason)
	};
	int			found = (int) atx_execute(&close_streams, values, NULL);

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
