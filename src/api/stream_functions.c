/*-------------------------------------------------------------------------
 *
 * stream_functions.c
 *	  The typed function fetch_outputs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "commands/streams.h"

PG_FUNCTION_INFO_V1(atomix_fetch_outputs);

static const char *const kind_names[] = {
	[ATX_OUTPUT_OPEN] = "open",
	[ATX_OUTPUT_RESPONSE] = "response",
	[ATX_OUTPUT_CLOSE] = "close"
};

static void
put_output(ReturnSetInfo *rsinfo, const AtxOutput *output)
{
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = Int64GetDatum(output->output_num);
	values[1] = CStringGetTextDatum(kind_names[output->kind]);
	nulls[2] = output->bytes == NULL;
	values[2] = PointerGetDatum(output->bytes);
	values[3] = Int64GetDatum(output->index);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
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
		put_output((ReturnSetInfo *) fcinfo->resultinfo, &outputs[i]);
	atx_scope_leave(&scope);
	return (Datum) 0;
}
