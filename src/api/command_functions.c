/*-------------------------------------------------------------------------
 *
 * command_functions.c
 *	  The typed functions command, commands, query, outcome, once and ack.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "commands/dispatch.h"
#include "commands/outcomes.h"

PG_FUNCTION_INFO_V1(atomix_command);
PG_FUNCTION_INFO_V1(atomix_commands);
PG_FUNCTION_INFO_V1(atomix_query);
PG_FUNCTION_INFO_V1(atomix_outcome);
PG_FUNCTION_INFO_V1(atomix_once);
PG_FUNCTION_INFO_V1(atomix_ack);

static AtxPayload
payload_of(const bytea *bytes)
{
	AtxPayload	payload = {
		.data = (const uint8 *) VARDATA_ANY(bytes),
		.len = VARSIZE_ANY_EXHDR(bytes)
	};

	return payload;
}

static AtxAddress
address_arguments(FunctionCallInfo fcinfo, const char *number_name)
{
	AtxAddress	address = {
		.session_id = atx_required_int64(fcinfo, 0, "session_id"),
		.service_id = atx_required_int64(fcinfo, 1, "service_id"),
		.sequence_num = atx_number_argument(fcinfo, 3, number_name)
	};

	return address;
}

static Datum
status_datum(const AtxResult *result)
{
	return CStringGetTextDatum(result->state == ATX_COMMAND_RUNNING ? "RUNNING" :
							   atx_status_name(result->reply.status));
}

/* Fill the output column and its null flag. */
static void
put_output(const bytea *output, Datum *value, bool *isnull)
{
	*isnull = output == NULL;
	*value = PointerGetDatum(output);
}

/*
 * command(session_id bigint, service_id bigint, payload bytea,
 * sequence_num bigint)
 * returns (status text, output bytea, replayed boolean, index bigint)
 */
Datum
atomix_command(PG_FUNCTION_ARGS)
{
	AtxAddress	address = address_arguments(fcinfo, "sequence_num");
	AtxPayload	payload = payload_of(atx_required_bytes(fcinfo, 2, "payload"));
	AtxScope	scope;
	AtxResult	result;
	Datum		values[4];
	bool		nulls[4] = {false};
	Datum		row;

	atx_require_writable("atomix.command()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_command(&scope, &address, &payload, &result));
	MemoryContextSwitchTo(scope.caller_memory);
	values[0] = status_datum(&result);
	put_output(result.reply.output, &values[1], &nulls[1]);
	values[2] = BoolGetDatum(result.replayed);
	values[3] = Int64GetDatum(result.index);
	row = atx_form_row(fcinfo, values, nulls);
	atx_scope_leave(&scope);
	return row;
}

static AtxPayload *
payloads_argument(FunctionCallInfo fcinfo, int n, int *count)
{
	Datum	   *elements = atx_required_array(fcinfo, n, "payloads", BYTEAOID, count);
	AtxPayload *payloads = palloc(sizeof(AtxPayload) * Max(*count, 1));

	for (int i = 0; i < *count; i++)
		payloads[i] = payload_of(DatumGetByteaPP(elements[i]));
	return payloads;
}

static void
put_member(ReturnSetInfo *rsinfo, int64 sequence_num, const AtxResult *result)
{
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = Int64GetDatum(sequence_num);
	values[1] = status_datum(result);
	put_output(result->reply.output, &values[2], &nulls[2]);
	values[3] = BoolGetDatum(result->replayed);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * commands(session_id bigint, service_id bigint, payloads bytea[],
 * first_sequence_num bigint)
 * returns table (sequence_num bigint, status text, output bytea,
 * replayed boolean)
 */
Datum
atomix_commands(PG_FUNCTION_ARGS)
{
	AtxAddress	address = address_arguments(fcinfo, "first_sequence_num");
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			count;
	AtxPayload *payloads = payloads_argument(fcinfo, 2, &count);
	AtxResult  *results = palloc(sizeof(AtxResult) * Max(count, 1));
	AtxScope	scope;
	int64		last;

	if (pg_add_s64_overflow(address.sequence_num, count, &last))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is out of range", "first_sequence_num")));
	atx_require_writable("atomix.commands()");
	InitMaterializedSRF(fcinfo, 0);
	if (count == 0)
		return (Datum) 0;

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_commands(&scope, &address, payloads, count, results));
	for (int i = 0; i < count; i++)
		put_member(rsinfo, address.sequence_num == 0 ? 0 : address.sequence_num + i, &results[i]);
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/*
 * query(session_id bigint, service_id bigint, payload bytea,
 * last_sequence_num bigint) returns (status text, output bytea, index bigint)
 */
Datum
atomix_query(PG_FUNCTION_ARGS)
{
	AtxAddress	address = address_arguments(fcinfo, "last_sequence_num");
	AtxPayload	payload = payload_of(atx_required_bytes(fcinfo, 2, "payload"));
	AtxScope	scope;
	AtxResult	result;
	Datum		values[3];
	bool		nulls[3] = {false};
	Datum		row;

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_query(&scope, &address, &payload, &result));
	MemoryContextSwitchTo(scope.caller_memory);
	values[0] = status_datum(&result);
	put_output(result.reply.output, &values[1], &nulls[1]);
	values[2] = Int64GetDatum(result.index);
	row = atx_form_row(fcinfo, values, nulls);
	atx_scope_leave(&scope);
	return row;
}

/*
 * outcome(session_id bigint, sequence_num bigint)
 * returns (state text, status text, output bytea, at timestamptz)
 */
Datum
atomix_outcome(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		sequence_num = atx_sequence_argument(fcinfo, 1);
	AtxScope	scope;
	AtxOutcomeReport report;
	Datum		values[4];
	bool		nulls[4] = {false, true, true, true};
	Datum		row;

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_outcome(&scope, session_id, sequence_num, &report));
	MemoryContextSwitchTo(scope.caller_memory);
	values[0] = CStringGetTextDatum(report.state);
	if (report.executed)
	{
		nulls[1] = nulls[3] = false;
		values[1] = CStringGetTextDatum(atx_status_name(report.command.status));
		put_output(report.command.output, &values[2], &nulls[2]);
		values[3] = TimestampTzGetDatum(report.command.at);
	}
	row = atx_form_row(fcinfo, values, nulls);
	atx_scope_leave(&scope);
	return row;
}

/*
 * once(session_id bigint, sequence_num bigint, request text) returns boolean
 */
Datum
atomix_once(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		sequence_num = atx_sequence_argument(fcinfo, 1);
	text	   *request = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	AtxScope	scope;
	bool		first = false;

	atx_require_writable("atomix.once()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_once(&scope, session_id, sequence_num, request, &first));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(first);
}

/*
 * ack(session_id bigint, sequence_num bigint, output_num bigint) returns void
 */
Datum
atomix_ack(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		sequence_num = atx_sequence_argument(fcinfo, 1);
	int64		output_num = PG_ARGISNULL(2) ? ATX_ALL_OUTPUTS :
	atx_number_argument(fcinfo, 2, "output_num");
	AtxScope	scope;

	atx_require_writable("atomix.ack()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_acknowledge_one(&scope, session_id, sequence_num, output_num));
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}
