/*-------------------------------------------------------------------------
 *
 * command.c
 *	  Table command: numbered commands with their outcome.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/arrays.h"
#include "base/rows.h"
#include "base/spi.h"
#include "tables/attachment.h"
#include "tables/command.h"
#include "tables/lease.h"
#include "tables/stream.h"

static const char *const state_names[] = {
	[ATX_COMMAND_RUNNING] = "running",
	[ATX_COMMAND_COMPLETE] = "complete",
	[ATX_COMMAND_CANCELED] = "canceled",
	[ATX_COMMAND_ACKNOWLEDGED] = "acknowledged"
};

static const char *const operation_names[] = {
	[ATX_OPERATION_SERVICE] = "service",
	[ATX_OPERATION_CREATE] = "create",
	[ATX_OPERATION_CLOSE] = "close",
	[ATX_OPERATION_ONCE] = "once",
	[ATX_OPERATION_CALL] = "call"
};

#define COMMAND_COLUMNS \
	"c.sequence_num, c.service_id, c.index, c.at, c.status, c.state," \
	" c.operation, c.fingerprint, c.message, c.output"

/* Columns by their position in the table. */
enum
{
	COMMAND_SESSION_ID = 1,
	COMMAND_SEQUENCE_NUM,
	COMMAND_SERVICE_ID,
	COMMAND_INDEX,
	COMMAND_AT,
	COMMAND_STATUS,
	COMMAND_STATE,
	COMMAND_OPERATION,
	COMMAND_FINGERPRINT,
	COMMAND_MESSAGE,
	COMMAND_OUTPUT,
	COMMAND_TABLE_COLUMNS = COMMAND_OUTPUT
};

static AtxTable command_table = {"command", "command_pkey"};

static AtxStatement range = {
	"SELECT " COMMAND_COLUMNS " FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num BETWEEN $2 AND $3"
	" ORDER BY c.sequence_num",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement acknowledged_after = {
	"SELECT c.sequence_num, c.service_id, c.state FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num > $2 AND c.state = 'acknowledged'"
	" ORDER BY c.sequence_num LIMIT $3",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement complete = {
	"UPDATE atomix.command SET state = $3, status = $4, message = $5, output = $6,"
	" index = $7, at = $8"
	" WHERE session_id = $1 AND sequence_num = $2 AND state = 'running'",
	8, {INT8OID, INT8OID, TEXTOID, INT2OID, TEXTOID, BYTEAOID, INT8OID, TIMESTAMPTZOID}
};

static AtxStatement insert_many = {
	"INSERT INTO atomix.command (session_id, sequence_num, service_id, index, at,"
	" status, state, operation, fingerprint, message, output)"
	" SELECT $1, k.n, $2, k.index, $3, k.status::pg_catalog.int2, $4, $5, k.fingerprint,"
	" k.message, k.output FROM ROWS FROM (pg_catalog.unnest($6),"
	" pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9),"
	" pg_catalog.unnest($10), pg_catalog.unnest($11))"
	" AS k (n, index, status, fingerprint, message, output)",
	11, {INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8ARRAYOID,
	INT8ARRAYOID, INT8ARRAYOID, BYTEAARRAYOID, TEXTARRAYOID, BYTEAARRAYOID}
};

static AtxStatement count_range = {
	"SELECT pg_catalog.count(*) FROM (SELECT FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num > $2 AND c.sequence_num <= $3"
	" LIMIT $4) k",
	4, {INT8OID, INT8OID, INT8OID, INT8OID}
};

static AtxStatement remembered = {
	"SELECT pg_catalog.count(*) FROM (SELECT FROM atomix.command c"
	" WHERE c.session_id = $1 LIMIT $2) k",
	2, {INT8OID, INT8OID}
};

static AtxStatement output_size = {
	"SELECT COALESCE(pg_catalog.sum(pg_catalog.octet_length(c.output)), 0)::pg_catalog.int8"
	" FROM atomix.command c WHERE c.session_id = $1",
	1, {INT8OID}
};

static AtxStatement forget = {
	"DELETE FROM atomix.command WHERE session_id = $1 AND sequence_num = ANY ($2)",
	2, {INT8OID, INT8ARRAYOID}
};

static AtxStatement acknowledge = {
	"UPDATE atomix.command SET state = 'acknowledged', fingerprint = '',"
	" message = NULL, output = NULL"
	" WHERE session_id = $1 AND sequence_num = ANY ($2) AND state <> 'acknowledged'",
	2, {INT8OID, INT8ARRAYOID}
};

static AtxStatement forget_sessions = {
	"DELETE FROM atomix.command WHERE session_id = ANY ($1)",
	1, {INT8ARRAYOID}
};

static AtxFingerprint
fingerprint_of(const bytea *bytes)
{
	AtxFingerprint fingerprint = {{0}};

	if (VARSIZE_ANY_EXHDR(bytes) == sizeof(fingerprint.bytes))
		memcpy(fingerprint.bytes, VARDATA_ANY(bytes), sizeof(fingerprint.bytes));
	return fingerprint;
}

static AtxCommandState
state_of(char *name)
{
	return (AtxCommandState) atx_word_position("atomix.command", state_names, lengthof(state_names), name);
}

static AtxOperation
operation_of(char *name)
{
	return (AtxOperation) atx_word_position("atomix.command", operation_names, lengthof(operation_names), name);
}

/* Read COMMAND_COLUMNS. */
static void
read_command(uint64 row, int64 session_id, AtxCommand *command)
{
	command->session_id = session_id;
	command->sequence_num = atx_result_int64(row, 1);
	command->service_id = atx_result_int64(row, 2);
	command->index = atx_result_int64(row, 3);
	command->at = DatumGetTimestampTz(atx_result_datum(row, 4));
	command->status = (AtxStatus) DatumGetInt16(atx_result_datum(row, 5));
	command->state = state_of(atx_result_text(row, 6));
	command->operation = operation_of(atx_result_text(row, 7));
	command->fingerprint = fingerprint_of(atx_result_bytes(row, 8));
	command->message = atx_result_text(row, 9);
	command->output = atx_result_bytes(row, 10);
}

/* The same from a row that is found by its key. */
static void
read_row(AtxCursor *cursor, AtxCommand *command)
{
	bool		isnull;

	command->session_id = atx_cursor_int64(cursor, COMMAND_SESSION_ID);
	command->sequence_num = atx_cursor_int64(cursor, COMMAND_SEQUENCE_NUM);
	command->service_id = atx_cursor_int64(cursor, COMMAND_SERVICE_ID);
	command->index = atx_cursor_int64(cursor, COMMAND_INDEX);
	command->at = DatumGetTimestampTz(atx_cursor_datum(cursor, COMMAND_AT, &isnull));
	command->status = (AtxStatus) DatumGetInt16(atx_cursor_datum(cursor, COMMAND_STATUS, &isnull));
	command->state = state_of(atx_cursor_text(cursor, COMMAND_STATE));
	command->operation = operation_of(atx_cursor_text(cursor, COMMAND_OPERATION));
	command->fingerprint = fingerprint_of(DatumGetByteaPP(atx_cursor_datum(cursor, COMMAND_FINGERPRINT, &isnull)));
	command->message = atx_cursor_text(cursor, COMMAND_MESSAGE);
	command->output = atx_cursor_bytes(cursor, COMMAND_OUTPUT);
}

static bool
find_in(Snapshot snapshot, int64 session_id, int64 sequence_num, AtxCommand *command)
{
	int64		key[] = {session_id, sequence_num};
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &command_table, false);
	found = atx_cursor_find(&cursor, snapshot, key, 2);
	if (found)
		read_row(&cursor, command);
	atx_cursor_close(&cursor);
	return found;
}

static void
find_service(Snapshot snapshot, int64 session_id, int64 service_id, AtxAdmission *admission)
{
	AtxAttachmentState state = atx_attachment_find_in(snapshot, session_id, service_id);

	admission->deleted = state == ATX_WAS_ATTACHED;
	admission->attached = state == ATX_ATTACHED &&
		atx_service_load_in(snapshot, service_id, &admission->service);
}

/*
 * Read what a command depends on, under the locks of session, number and
 * service; false if the session does not live, or not for that role.
 *
 * All in one snapshot: a late duplicate finds either the row of its number or
 * the floor above it, whenever the acknowledgement that moves it from one to
 * the other commits.
 */
bool
atx_command_admit(int64 session_id, int64 sequence_num, int64 service_id,
				  Oid role, AtxAdmission *admission)
{
	Snapshot	snapshot = atx_snapshot_take();
	bool		usable = atx_lease_floor_in(snapshot, session_id, role, &admission->ack_floor);

	admission->known = usable && sequence_num != 0 &&
		find_in(snapshot, session_id, sequence_num, &admission->command);
	admission->attached = admission->deleted = false;
	if (usable && service_id != 0)
		find_service(snapshot, session_id, service_id, admission);
	atx_snapshot_release(snapshot);
	return usable;
}

/*
 * What is remembered of a number; false if nothing.
 */
bool
atx_command_find(int64 session_id, int64 sequence_num, AtxCommand *command)
{
	Snapshot	snapshot = atx_snapshot_take();
	bool		found = find_in(snapshot, session_id, sequence_num, command);

	atx_snapshot_release(snapshot);
	return found;
}

/*
 * What is remembered of the numbers from first to last, in order; returns
 * how many.
 */
int
atx_command_range(int64 session_id, int64 first, int64 last, AtxCommand **commands)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(first),
		Int64GetDatum(last)
	};
	int			found = (int) atx_execute(&range, values, NULL);

	*commands = palloc(sizeof(AtxCommand) * Max(found, 1));
	for (int i = 0; i < found; i++)
		read_command(i, session_id, &(*commands)[i]);
	return found;
}

static int
read_numbers(int found, AtxKnownNumber **numbers)
{
	*numbers = palloc(sizeof(AtxKnownNumber) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		(*numbers)[i].sequence_num = atx_result_int64(i, 1);
		(*numbers)[i].service_id = atx_result_int64(i, 2);
		(*numbers)[i].state = state_of(atx_result_text(i, 3));
	}
	return found;
}

static AtxKnownNumber
read_number(AtxCursor *cursor)
{
	AtxKnownNumber number;

	number.sequence_num = atx_cursor_int64(cursor, COMMAND_SEQUENCE_NUM);
	number.service_id = atx_cursor_int64(cursor, COMMAND_SERVICE_ID);
	number.state = state_of(atx_cursor_text(cursor, COMMAND_STATE));
	return number;
}

/*
 * The numbers up to last that are known, in order; returns how many.
 *
 * All that were forgotten since the last vacuum are passed on the way.  A scan
 * of the index marks them, so that the next one does not visit them; that of a
 * bitmap, which a statement may use, would not.
 */
int
atx_command_numbers(int64 session_id, int64 last, AtxKnownNumber **numbers)
{
	Snapshot	snapshot = atx_snapshot_take();
	int			room = 0;
	int			count = 0;
	AtxCursor	cursor;

	*numbers = NULL;
	atx_cursor_open(&cursor, &command_table, false);
	atx_cursor_begin_to(&cursor, snapshot, session_id, last);
	while (atx_cursor_next(&cursor))
	{
		if (count == room)
			*numbers = atx_array_grow(CurrentMemoryContext, *numbers, &room,
									  sizeof(AtxKnownNumber));
		(*numbers)[count++] = read_number(&cursor);
	}
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return count;
}

/*
 * Up to limit numbers above after that are acknowledged, in order; returns how
 * many.
 */
int
atx_command_acknowledged(int64 session_id, int64 after, int limit,
						 AtxKnownNumber **numbers)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(after),
		Int64GetDatum(limit)
	};

	return read_numbers((int) atx_execute(&acknowledged_after, values, NULL), numbers);
}

static Datum
fingerprint_datum(const AtxCommand *command)
{
	Size		len = command->state == ATX_COMMAND_ACKNOWLEDGED ? 0 : ATX_FINGERPRINT_LEN;
	bytea	   *bytes = palloc(VARHDRSZ + len);

	SET_VARSIZE(bytes, VARHDRSZ + len);
	memcpy(VARDATA(bytes), command->fingerprint.bytes, len);
	return PointerGetDatum(bytes);
}

/*
 * Remember a command with its outcome.
 */
void
atx_command_insert(const AtxCommand *command)
{
	Datum		values[COMMAND_TABLE_COLUMNS] = {0};
	bool		nulls[COMMAND_TABLE_COLUMNS] = {false};
	AtxCursor	cursor;

	values[COMMAND_SESSION_ID - 1] = Int64GetDatum(command->session_id);
	values[COMMAND_SEQUENCE_NUM - 1] = Int64GetDatum(command->sequence_num);
	values[COMMAND_SERVICE_ID - 1] = Int64GetDatum(command->service_id);
	values[COMMAND_INDEX - 1] = Int64GetDatum(command->index);
	values[COMMAND_AT - 1] = TimestampTzGetDatum(command->at);
	values[COMMAND_STATUS - 1] = Int16GetDatum((int16) command->status);
	values[COMMAND_STATE - 1] = CStringGetTextDatum(state_names[command->state]);
	values[COMMAND_OPERATION - 1] = CStringGetTextDatum(operation_names[command->operation]);
	values[COMMAND_FINGERPRINT - 1] = fingerprint_datum(command);
	nulls[COMMAND_MESSAGE - 1] = command->message == NULL;
	if (command->message != NULL)
		values[COMMAND_MESSAGE - 1] = CStringGetTextDatum(command->message);
	nulls[COMMAND_OUTPUT - 1] = command->output == NULL;
	values[COMMAND_OUTPUT - 1] = PointerGetDatum(command->output);
	atx_cursor_open(&cursor, &command_table, true);
	atx_cursor_insert(&cursor, values, nulls);
	atx_cursor_close(&cursor);
}

/* An array parameter of a varlena type, with nulls. */
static Datum
varlena_array(Datum *elements, bool *nulls, int count, Oid type)
{
	int			lower = 1;

	return PointerGetDatum(construct_md_array(elements, nulls, 1, &count, &lower,
											  type, -1, false, TYPALIGN_INT));
}

/*
 * The same for several of one session, service, operation and moment.
 */
void
atx_command_insert_many(const AtxCommand *commands, int count)
{
	int64	   *numbers = palloc(sizeof(int64) * count);
	int64	   *indexes = palloc(sizeof(int64) * count);
	int64	   *statuses = palloc(sizeof(int64) * count);
	Datum	   *texts[3];
	bool	   *nulls[3];
	Datum		values[11];

	for (int i = 0; i < 3; i++)
	{
		texts[i] = palloc(sizeof(Datum) * count);
		nulls[i] = palloc0(sizeof(bool) * count);
	}
	for (int i = 0; i < count; i++)
	{
		numbers[i] = commands[i].sequence_num;
		indexes[i] = commands[i].index;
		statuses[i] = commands[i].status;
		texts[0][i] = fingerprint_datum(&commands[i]);
		nulls[1][i] = commands[i].message == NULL;
		texts[1][i] = nulls[1][i] ? (Datum) 0 : CStringGetTextDatum(commands[i].message);
		nulls[2][i] = commands[i].output == NULL;
		texts[2][i] = PointerGetDatum(commands[i].output);
	}
	values[0] = Int64GetDatum(commands[0].session_id);
	values[1] = Int64GetDatum(commands[0].service_id);
	values[2] = TimestampTzGetDatum(commands[0].at);
	values[3] = CStringGetTextDatum(state_names[commands[0].state]);
	values[4] = CStringGetTextDatum(operation_names[commands[0].operation]);
	values[5] = atx_int64_array(numbers, count);
	values[6] = atx_int64_array(indexes, count);
	values[7] = atx_int64_array(statuses, count);
	values[8] = varlena_array(texts[0], nulls[0], count, BYTEAOID);
	values[9] = varlena_array(texts[1], nulls[1], count, TEXTOID);
	values[10] = varlena_array(texts[2], nulls[2], count, BYTEAOID);
	(void) atx_execute(&insert_many, values, NULL);
}

/*
 * Answer a command that is running, if it still is.
 */
void
atx_command_complete(int64 session_id, int64 sequence_num, AtxStatus status,
					 const char *message, const bytea *output, int64 index)
{
	AtxCommandState state = status == ATX_STATUS_CANCELED ?
	ATX_COMMAND_CANCELED : ATX_COMMAND_COMPLETE;
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(sequence_num),
		CStringGetTextDatum(state_names[state]),
		Int16GetDatum((int16) status),
		message ? CStringGetTextDatum(message) : (Datum) 0,
		PointerGetDatum(output),
		Int64GetDatum(index),
		TimestampTzGetDatum(atx_wall_now())
	};
	char		nulls[] = "        ";

	if (message == NULL)
		nulls[4] = 'n';
	if (output == NULL)
		nulls[5] = 'n';
	(void) atx_execute(&complete, values, nulls);
}

/*
 * How many numbers above after and up to last are known, counting to limit.
 */
int64
atx_command_count(int64 session_id, int64 after, int64 last, int64 limit)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(after),
		Int64GetDatum(last),
		Int64GetDatum(limit)
	};

	(void) atx_execute(&count_range, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * Bytes of the outputs of a session that are kept.
 */
int64
atx_command_output_size(int64 session_id)
{
	Datum		value = Int64GetDatum(session_id);

	(void) atx_execute(&output_size, &value, NULL);
	return atx_result_int64(0, 1);
}

/*
 * How many numbers of the session are remembered, counting to limit.
 */
int64
atx_command_remembered(int64 session_id, int64 limit)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(limit)};

	(void) atx_execute(&remembered, values, NULL);
	return atx_result_int64(0, 1);
}

static void
change_some(AtxStatement *statement, int64 session_id, const int64 *numbers, int count)
{
	Datum		values[2];

	if (count == 0)
		return;
	/* The streams first: whoever closes one locks it before its command. */
	atx_stream_forget(session_id, numbers, count);
	values[0] = Int64GetDatum(session_id);
	values[1] = atx_int64_array(numbers, count);
	(void) atx_execute(statement, values, NULL);
}

/*
 * Forget numbers that are known to be acknowledged by the session's floor.
 */
void
atx_command_forget(int64 session_id, const int64 *numbers, int count)
{
	change_some(&forget, session_id, numbers, count);
}

/*
 * Keep of numbers above the floor no more than that they are acknowledged.
 */
void
atx_command_acknowledge(int64 session_id, const int64 *numbers, int count)
{
	change_some(&acknowledge, session_id, numbers, count);
}

/*
 * Forget all that is remembered of sessions that ended.
 */
void
atx_command_forget_sessions(const int64 *session_ids, int count)
{
	Datum		values[1];

	if (count == 0)
		return;
	/* Those it had closed itself, with the service they were of. */
	atx_stream_forget_sessions(session_ids, count);
	values[0] = atx_int64_array(session_ids, count);
	(void) atx_execute(&forget_sessions, values, NULL);
}

const char *
atx_command_state_name(AtxCommandState state)
{
	return state_names[state];
}
