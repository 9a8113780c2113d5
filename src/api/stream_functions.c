/*-------------------------------------------------------------------------
 *
 * stream_functions.c
 *	  The typed functions fetch_outputs, fetch_outputs_many, take_outputs,
 *	  ack_many and resume_stream.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "commands/streams.h"

PG_FUNCTION_INFO_V1(atomix_fetch_outputs);
PG_FUNCTION_INFO_V1(atomix_fetch_outputs_many);
PG_FUNCTION_INFO_V1(atomix_take_outputs);
PG_FUNCTION_INFO_V1(atomix_ack_many);
PG_FUNCTION_INFO_V1(atomix_resume_stream);

static const char *const kind_names[] = {
	[ATX_OUTPUT_OPEN] = "open",
	[ATX_OUTPUT_RESPONSE] = "response",
	[ATX_OUTPUT_CLOSE] = "close"
};

/* A row for an output, after the number of its command if that is wanted. */
static void
put_output(ReturnSetInfo *rsinfo, const AtxOutput *output, bool with_command)
{
	Datum		values[5];
	bool		nulls[5] = {false};
	int			first = with_command ? 0 : 1;

	values[0] = Int64GetDatum(output->sequence_num);
	values[1] = Int64GetDatum(output->output_num);
	values[2] = CStringGetTextDatum(kind_names[output->kind]);
	nulls[3] = output->bytes == NULL;
	values[3] = PointerGetDatum(output->bytes);
	values[4] = Int64GetDatum(output->index);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values + first, nulls + first);
}

/*
 * fetch_outputs(session_id bigint, sequence_num bigint, max_rows int)
 * returns table (output_num bigint, kind text, output bytea, index bigint)
 */
Datum
atomix_fetch_outputs(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		sequence_num = atx_sequence_argument(fcinfo, 1);
	int			limit = atx_rows_argument(fcinfo, 2);
	AtxScope	scope;
	AtxOutput  *outputs;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_fetch_outputs(&scope, session_id, sequence_num, limit,
											&outputs, &count));
	for (int i = 0; i < count; i++)
		put_output((ReturnSetInfo *) fcinfo->resultinfo, &outputs[i], false);
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/* Outputs of all streams of a session, in one of the two ways to get them. */
static Datum
outputs_of_session(FunctionCallInfo fcinfo,
				   AtxAnswer (*get) (AtxScope *scope, int64 session_id, int limit,
									 AtxOutput **outputs, int *count))
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int			limit = atx_rows_argument(fcinfo, 1);
	AtxScope	scope;
	AtxOutput  *outputs;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter(&scope);
	atx_raise_unless_done(get(&scope, session_id, limit, &outputs, &count));
	for (int i = 0; i < count; i++)
		put_output((ReturnSetInfo *) fcinfo->resultinfo, &outputs[i], true);
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/*
 * fetch_outputs_many(session_id bigint, max_rows int) returns table (
 * sequence_num bigint, output_num bigint, kind text, output bytea,
 * index bigint)
 */
Datum
atomix_fetch_outputs_many(PG_FUNCTION_ARGS)
{
	return outputs_of_session(fcinfo, atx_fetch_all_outputs);
}

/*
 * take_outputs(session_id bigint, max_rows int) returns table (
 * sequence_num bigint, output_num bigint, kind text, output bytea,
 * index bigint)
 */
Datum
atomix_take_outputs(PG_FUNCTION_ARGS)
{
	atx_require_writable("atomix.take_outputs()");
	return outputs_of_session(fcinfo, atx_take_outputs);
}

/* Numbers that are not negative, or from least on; returns how many. */
static int
numbers_argument(FunctionCallInfo fcinfo, int n, const char *argument, int64 least,
				 Datum **numbers)
{
	int			count;

	*numbers = atx_required_array(fcinfo, n, argument, INT8OID, &count);
	for (int i = 0; i < count; i++)
		if (DatumGetInt64((*numbers)[i]) < least)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" is out of range", argument)));
	return count;
}

/*
 * ack_many(session_id bigint, sequence_nums bigint[], output_nums bigint[])
 * returns void
 */
Datum
atomix_ack_many(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	Datum	   *sequence_nums;
	Datum	   *output_nums;
	int			count = numbers_argument(fcinfo, 1, "sequence_nums", 1, &sequence_nums);
	AtxOutputAck *acks = palloc(sizeof(AtxOutputAck) * Max(count, 1));
	AtxScope	scope;

	if (numbers_argument(fcinfo, 2, "output_nums", 0, &output_nums) != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"%s\" and \"%s\" must be of the same length",
						"sequence_nums", "output_nums")));
	for (int i = 0; i < count; i++)
	{
		acks[i].sequence_num = DatumGetInt64(sequence_nums[i]);
		acks[i].output_num = DatumGetInt64(output_nums[i]);
	}
	atx_require_writable("atomix.ack_many()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_acknowledge_many(&scope, session_id, acks, count));
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * resume_stream(session_id bigint, sequence_num bigint, output_num bigint,
 * index bigint) returns void
 */
Datum
atomix_resume_stream(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		sequence_num = atx_sequence_argument(fcinfo, 1);
	int64		output_num = PG_ARGISNULL(2) ? 0 : atx_number_argument(fcinfo, 2, "output_num");
	int64		index = output_num == 0 ? 0 : atx_required_int64(fcinfo, 3, "index");
	AtxScope	scope;

	atx_require_writable("atomix.resume_stream()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_resume_stream(&scope, session_id, sequence_num, output_num, index));
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}
