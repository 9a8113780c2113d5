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

#include "base/spi.h"
#include "tables/command.h"
#include "tables/lease.h"

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
#define N_COMMAND_COLUMNS	10

/*
 * One statement, so that number and floor are of one snapshot: a late
 * duplicate finds either the row or the floor above it, whenever the
 * acknowledgement that moves it from one to the other commits.
 */
static AtxStatement admit = {
	"SELECT " COMMAND_COLUMNS ", l.ack_floor, a.deleted,"
	" s.service_id, s.partition_id, s.value, s.revision, s.type"
	" FROM atomix.lease l"
	" LEFT JOIN atomix.command c ON c.session_id = $1 AND c.sequence_num = $2"
	" LEFT JOIN atomix.attachment a ON a.session_id = $1 AND a.service_id = $3"
	" LEFT JOIN atomix.service s ON s.service_id = a.service_id AND NOT a.deleted"
	" WHERE l.session_id = $1 AND " ATX_LEASE_USABLE_BY("$4"),
	4, {INT8OID, INT8OID, INT8OID, OIDOID}
};

static AtxStatement find = {
	"SELECT " COMMAND_COLUMNS " FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num = $2",
	2, {INT8OID, INT8OID}
};

static AtxStatement range = {
	"SELECT " COMMAND_COLUMNS " FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num BETWEEN $2 AND $3"
	" ORDER BY c.sequence_num",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement numbers_to = {
	"SELECT c.sequence_num, c.service_id, c.state FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num <= $2 ORDER BY c.sequence_num",
	2, {INT8OID, INT8OID}
};

static AtxStatement acknowledged_after = {
	"SELECT c.sequence_num, c.service_id, c.state FROM atomix.command c"
	" WHERE c.session_id = $1 AND c.sequence_num > $2 AND c.state = 'acknowledged'"
	" ORDER BY c.sequence_num LIMIT $3",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement insert = {
	"INSERT INTO atomix.command (session_id, sequence_num, service_id, index, at,"
	" status, state, operation, fingerprint, message, output)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	11, {INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT2OID, TEXTOID,
	TEXTOID, BYTEAOID, TEXTOID, BYTEAOID}
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

/* The position of a name; a row edited to something else is an error. */
static int
lookup_name(const char *const *names, int count, char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s\" contains the unexpected word \"%s\"",
					"atomix.command", name)));
}

static void
read_fingerprint(uint64 row, int column, AtxFingerprint * fingerprint)
{
	bytea	   *bytes = atx_result_bytes(row, column);

	memset(fingerprint, 0, sizeof(*fingerprint));
	if (VARSIZE_ANY_EXHDR(bytes) == sizeof(fingerprint->bytes))
		memcpy(fingerprint->bytes, VARDATA_ANY(bytes), sizeof(fingerprint->bytes));
}

/* Read COMMAND_COLUMNS, which are the first ones of a result. */
static void
read_command(uint64 row, int64 session_id, AtxCommand * command)
{
	command->session_id = session_id;
	command->sequence_num = atx_result_int64(row, 1);
	command->service_id = atx_result_int64(row, 2);
	command->index = atx_result_int64(row, 3);
	command->at = DatumGetTimestampTz(atx_result_datum(row, 4));
	command->status = (AtxStatus) DatumGetInt16(atx_result_datum(row, 5));
	command->state = (AtxCommandState)
		lookup_name(state_names, lengthof(state_names), atx_result_text(row, 6));
	command->operation = (AtxOperation)
		lookup_name(operation_names, lengthof(operation_names), atx_result_text(row, 7));
	read_fingerprint(row, 8, &command->fingerprint);
	command->message = atx_result_text(row, 9);
	command->output = atx_result_bytes(row, 10);
}

static void
read_service(AtxAdmission * admission)
{
	const int	at = N_COMMAND_COLUMNS + 3;

	admission->attached = !atx_result_isnull(0, at);
	admission->deleted = !admission->attached && !atx_result_isnull(0, at - 1);
	if (!admission->attached)
		return;
	admission->service.service_id = atx_result_int64(0, at);
	admission->service.partition_id = atx_result_int32(0, at + 1);
	admission->service.value = atx_result_int64(0, at + 2);
	admission->service.revision = atx_result_int64(0, at + 3);
	admission->service.type = atx_result_text(0, at + 4);
}

/*
 * Read what a command depends on, under the locks of session, number and
 * service; false if the session does not live, or not for that role.
 */
bool
atx_command_admit(int64 session_id, int64 sequence_num, int64 service_id,
				  Oid role, AtxAdmission * admission)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(sequence_num),
		Int64GetDatum(service_id),
		ObjectIdGetDatum(role)
	};

	if (atx_execute(&admit, values, NULL) == 0)
		return false;
	admission->ack_floor = atx_result_int64(0, N_COMMAND_COLUMNS + 1);
	admission->known = !atx_result_isnull(0, 1);
	if (admission->known)
		read_command(0, session_id, &admission->command);
	read_service(admission);
	return true;
}

/*
 * What is remembered of a number; false if nothing.
 */
bool
atx_command_find(int64 session_id, int64 sequence_num, AtxCommand * command)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(sequence_num)};

	if (atx_execute(&find, values, NULL) == 0)
		return false;
	read_command(0, session_id, command);
	return true;
}

/*
 * What is remembered of the numbers from first to last, in order; returns
 * how many.
 */
int
atx_command_range(int64 session_id, int64 first, int64 last, AtxCommand * *commands)
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
read_numbers(int found, AtxKnownNumber * *numbers)
{
	*numbers = palloc(sizeof(AtxKnownNumber) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		(*numbers)[i].sequence_num = atx_result_int64(i, 1);
		(*numbers)[i].service_id = atx_result_int64(i, 2);
		(*numbers)[i].state = (AtxCommandState)
			lookup_name(state_names, lengthof(state_names), atx_result_text(i, 3));
	}
	return found;
}

/*
 * The numbers up to last that are known, in order; returns how many.
 */
int
atx_command_numbers(int64 session_id, int64 last, AtxKnownNumber * *numbers)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(last)};

	return read_numbers((int) atx_execute(&numbers_to, values, NULL), numbers);
}

/*
 * Up to limit numbers above after that are acknowledged, in order; returns how
 * many.
 */
int
atx_command_acknowledged(int64 session_id, int64 after, int limit,
						 AtxKnownNumber * *numbers)
{
	Datum		values[] = {
		Int64GetDatum(session_id),
		Int64GetDatum(after),
		Int64GetDatum(limit)
	};

	return read_numbers((int) atx_execute(&acknowledged_after, values, NULL), numbers);
}

static Datum
fingerprint_datum(const AtxCommand * command)
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
atx_command_insert(const AtxCommand * command)
{
	Datum		values[11];
	char		nulls[] = "           ";

	values[0] = Int64GetDatum(command->session_id);
	values[1] = Int64GetDatum(command->sequence_num);
	values[2] = Int64GetDatum(command->service_id);
	values[3] = Int64GetDatum(command->index);
	values[4] = TimestampTzGetDatum(command->at);
	values[5] = Int16GetDatum((int16) command->status);
	values[6] = CStringGetTextDatum(state_names[command->state]);
	values[7] = CStringGetTextDatum(operation_names[command->operation]);
	values[8] = fingerprint_datum(command);
	if (command->message != NULL)
		values[9] = CStringGetTextDatum(command->message);
	else
		nulls[9] = 'n';
	if (command->output != NULL)
		values[10] = PointerGetDatum(command->output);
	else
		nulls[10] = 'n';
	(void) atx_execute(&insert, values, nulls);
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
atx_command_insert_many(const AtxCommand * commands, int count)
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
	values[0] = atx_int64_array(session_ids, count);
	(void) atx_execute(&forget_sessions, values, NULL);
}

const char *
atx_command_state_name(AtxCommandState state)
{
	return state_names[state];
}
