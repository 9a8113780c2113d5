/*-------------------------------------------------------------------------
 *
 * counter_functions.c
 *	  The typed functions of counters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "api/typed_call.h"
#include "services/counter.h"

PG_FUNCTION_INFO_V1(atomix_counter_get);
PG_FUNCTION_INFO_V1(atomix_counter_set);
PG_FUNCTION_INFO_V1(atomix_counter_increment);
PG_FUNCTION_INFO_V1(atomix_counter_decrement);
PG_FUNCTION_INFO_V1(atomix_counter_compare_and_set);

/*
 * counter_get(name text, namespace text) returns bigint
 */
Datum
atomix_counter_get(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	AtxCall		call;
	int64		value;

	value = atx_typed_find(fcinfo, 1, &atx_counter_type, &scope, &call) ?
		call.service.value : 0;
	atx_scope_leave(&scope);
	PG_RETURN_INT64(value);
}

/*
 * counter_set(name text, value bigint, namespace text, session_id bigint,
 * sequence_num bigint) returns bigint
 */
Datum
atomix_counter_set(PG_FUNCTION_ARGS)
{
	int64		value = atx_required_int64(fcinfo, 1, "value");
	AtxTypedCall typed;
	AtxRow		row;
	bool		execute = atx_typed_begin(fcinfo, "counter_set", 2, &typed, &row);

	if (execute)
	{
		atx_typed_use(fcinfo, 2, &atx_counter_type, ATX_ACCESS_EXCLUSIVE, &typed);
		atx_counter_set(&typed.call, value);
		row.values[0] = Int64GetDatum(value);
	}
	return atx_typed_end(fcinfo, &typed, &row, execute);
}

static void
raise_overflow(const AtxCall *call)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("counter is out of range"),
			 errdetail("It is " INT64_FORMAT ".", call->service.value)));
}

static Datum
change(FunctionCallInfo fcinfo, const char *function,
	   bool (*operation) (AtxCall *call, int64 delta))
{
	int64		delta = atx_required_int64(fcinfo, 1, "delta");
	AtxTypedCall typed;
	AtxRow		row;
	bool		execute = atx_typed_begin(fcinfo, function, 2, &typed, &row);

	if (execute)
	{
		atx_typed_use(fcinfo, 2, &atx_counter_type, ATX_ACCESS_EXCLUSIVE, &typed);
		if (!operation(&typed.call, delta))
			raise_overflow(&typed.call);
		row.values[0] = Int64GetDatum(typed.call.service.value);
	}
	return atx_typed_end(fcinfo, &typed, &row, execute);
}

/*
 * counter_increment(name text, delta bigint, namespace text,
 * session_id bigint, sequence_num bigint) returns bigint
 */
Datum
atomix_counter_increment(PG_FUNCTION_ARGS)
{
	return change(fcinfo, "counter_increment", atx_counter_add);
}

/*
 * counter_decrement(name text, delta bigint, namespace text,
 * session_id bigint, sequence_num bigint) returns bigint
 */
Datum
atomix_counter_decrement(PG_FUNCTION_ARGS)
{
	return change(fcinfo, "counter_decrement", atx_counter_subtract);
}

/*
 * counter_compare_and_set(name text, expected bigint, value bigint,
 * namespace text, session_id bigint, sequence_num bigint) returns boolean
 */
Datum
atomix_counter_compare_and_set(PG_FUNCTION_ARGS)
{
	int64		expected = atx_required_int64(fcinfo, 1, "expected");
	int64		value = atx_required_int64(fcinfo, 2, "value");
	AtxTypedCall typed;
	AtxRow		row;
	bool		execute = atx_typed_begin(fcinfo, "counter_compare_and_set", 3, &typed, &row);

	if (execute)
	{
		atx_typed_use(fcinfo, 3, &atx_counter_type, ATX_ACCESS_EXCLUSIVE, &typed);
		row.values[0] = BoolGetDatum(atx_counter_compare_and_set(&typed.call, expected, value));
	}
	return atx_typed_end(fcinfo, &typed, &row, execute);
}
