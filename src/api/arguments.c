/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Arguments of SQL functions, checked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "api/arguments.h"
#include "base/duration.h"
#include "base/errors.h"
#include "base/extension.h"
#include "compat.h"

/*
 * Refuse where the call could not be carried out: ERROR 25006.
 */
void
atx_require_writable(const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
}

/*
 * A text argument as a C string, or NULL if it is null.
 */
char *
atx_text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * A text argument that must not be null.
 */
char *
atx_required_text(FunctionCallInfo fcinfo, int n, const char *argument)
{
	atx_refuse_null(PG_ARGISNULL(n), argument);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * A bigint argument that must not be null.
 */
int64
atx_required_int64(FunctionCallInfo fcinfo, int n, const char *argument)
{
	atx_refuse_null(PG_ARGISNULL(n), argument);
	return PG_GETARG_INT64(n);
}

/*
 * One that must not be negative either: numbers, indexes, positions.
 */
int64
atx_number_argument(FunctionCallInfo fcinfo, int n, const char *argument)
{
	int64		value = atx_required_int64(fcinfo, n, argument);

	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative", argument)));
	return value;
}

/*
 * A bytea argument that must not be null.
 */
bytea *
atx_required_bytes(FunctionCallInfo fcinfo, int n, const char *argument)
{
	atx_refuse_null(PG_ARGISNULL(n), argument);
	return PG_GETARG_BYTEA_PP(n);
}

/*
 * The elements of an array of that type, none of which is null.
 */
Datum *
atx_required_array(FunctionCallInfo fcinfo, int n, const char *argument, Oid element,
				   int *count)
{
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *elements;
	bool	   *nulls;

	atx_refuse_null(PG_ARGISNULL(n), argument);
	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), element, length, by_value, align,
					  &elements, &nulls, count);
	for (int i = 0; i < *count; i++)
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain nulls", argument)));
	return elements;
}

/*
 * The number of a command, where one is needed: they begin at 1.
 */
int64
atx_sequence_argument(FunctionCallInfo fcinfo, int n)
{
	int64		sequence_num = atx_number_argument(fcinfo, n, "sequence_num");

	if (sequence_num == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be positive", "sequence_num")));
	return sequence_num;
}

/*
 * How many rows a function may return at most.
 */
int
atx_rows_argument(FunctionCallInfo fcinfo, int n)
{
	atx_refuse_null(PG_ARGISNULL(n), "max_rows");
	if (PG_GETARG_INT32(n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative", "max_rows")));
	return PG_GETARG_INT32(n);
}

/*
 * A timeout in ticks; if_null in place of a null.
 */
int64
atx_wait_argument(FunctionCallInfo fcinfo, int n, int64 if_null)
{
	return PG_ARGISNULL(n) ? if_null :
		Min(atx_duration_from_interval(PG_GETARG_INTERVAL_P(n), "timeout"),
			ATX_LONGEST_DURATION);
}

/* The type of the rows that a function returns. */
typedef struct RowType
{
	Oid			function;
	TupleDesc	desc;
} RowType;

static TupleDesc
copy_of_row_type(FunctionCallInfo fcinfo)
{
	MemoryContext before;
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "function must return a row");
	before = MemoryContextSwitchTo(TopMemoryContext);
	desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(before);
	return desc;
}

/*
 * The row type of the function that was called.  To make it from the catalog
 * costs as much as a row does that is read or written, so it is kept; no
 * function of the extension can change it but by going with the extension.
 */
static TupleDesc
row_type(FunctionCallInfo fcinfo)
{
	static HTAB *types = NULL;
	static uint64 generation = 0;
	Oid			function = fcinfo->flinfo->fn_oid;
	RowType    *type;

	if (types != NULL && generation != atx_extension_generation())
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, types);
		while ((type = hash_seq_search(&status)) != NULL)
			FreeTupleDesc(type->desc);
		hash_destroy(types);
		types = NULL;
	}
	if (types == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(RowType)};

		types = hash_create("atomix types of rows", 32, &control, HASH_ELEM | HASH_BLOBS);
		generation = atx_extension_generation();
	}
	type = hash_search(types, &function, HASH_FIND, NULL);
	if (type == NULL)
	{
		TupleDesc	desc = copy_of_row_type(fcinfo);

		type = hash_search(types, &function, HASH_ENTER, NULL);
		type->desc = desc;
	}
	return type->desc;
}

/*
 * The row that a function with several OUT arguments returns.
 */
Datum
atx_form_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	return HeapTupleGetDatum(heap_form_tuple(row_type(fcinfo), values, nulls));
}

/*
 * A copy of bytes, for a result that outlives the scope they were read in.
 */
Datum
atx_bytes_in(MemoryContext context, const bytea *bytes)
{
	void	   *copy = MemoryContextAlloc(context, VARSIZE_ANY(bytes));

	memcpy(copy, bytes, VARSIZE_ANY(bytes));
	return PointerGetDatum(copy);
}
