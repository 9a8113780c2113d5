/*-------------------------------------------------------------------------
 *
 * typed_call.c
 *	  Typed functions that change a service by its name: in the caller's
 *	  transaction, or, given a session and a number, exactly once.
 *
 * Their first argument is the service's name; their last three are
 * namespace, session_id and sequence_num.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/typed_call.h"
#include "base/settings.h"
#include "commands/dispatch.h"
#include "commands/jump.h"
#include "commands/rights.h"

/* What is looked up once per call site. */
typedef struct Signature
{
	TupleDesc	result;
	bool		is_row;
	Oid		   *argument_types;
	int			narguments;
} Signature;

static TupleDesc
describe_result(FunctionCallInfo fcinfo, bool *is_row)
{
	Oid			type;
	TupleDesc	result;

	*is_row = get_call_result_type(fcinfo, &type, &result) == TYPEFUNC_COMPOSITE;
	if (!*is_row)
	{
		result = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(result, 1, "result", type, -1, 0);
	}
	return BlessTupleDesc(result);
}

static const Signature *
signature_of(FunctionCallInfo fcinfo)
{
	FmgrInfo   *function = fcinfo->flinfo;
	MemoryContext old;
	Signature  *signature = function->fn_extra;

	if (signature != NULL)
		return signature;
	old = MemoryContextSwitchTo(function->fn_mcxt);
	signature = palloc(sizeof(Signature));
	signature->result = describe_result(fcinfo, &signature->is_row);
	(void) get_func_signature(function->fn_oid, &signature->argument_types,
							  &signature->narguments);
	function->fn_extra = signature;
	MemoryContextSwitchTo(old);
	return signature;
}

/*
 * Add an argument as it is in memory: its send form would depend on the
 * encoding of the client, which need not be the same in a retry.
 */
static void
add_argument(StringInfo request, Datum value, Oid type)
{
	int16		length;
	bool		by_value;

	get_typlenbyval(type, &length, &by_value);
	if (by_value)
		atx_fingerprint_add(request, &value, sizeof(value));
	else if (length == -1)
	{
		struct varlena *bytes = PG_DETOAST_DATUM_PACKED(value);

		atx_fingerprint_add(request, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
	else
		atx_fingerprint_add(request, DatumGetPointer(value), length);
}

/* Function and arguments, but for session and number. */
static AtxFingerprint
fingerprint_of(FunctionCallInfo fcinfo, const char *function, const Signature *signature)
{
	StringInfoData request;

	initStringInfo(&request);
	atx_fingerprint_add(&request, function, strlen(function));
	for (int i = 0; i < signature->narguments - 2; i++)
	{
		bool		isnull = PG_ARGISNULL(i);

		appendBinaryStringInfo(&request, (const char *) &isnull, sizeof(isnull));
		if (!isnull)
			add_argument(&request, fcinfo->args[i].value, signature->argument_types[i]);
	}
	return atx_fingerprint(&request);
}

/*
 * A row in the layout of its binary send form, but with text in the server's
 * encoding: whoever retries may use another one.
 */
static bytea *
pack_row(TupleDesc desc, const AtxRow *row)
{
	StringInfoData packed;

	pq_begintypsend(&packed);
	pq_sendint32(&packed, desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			type = TupleDescAttr(desc, i)->atttypid;

		pq_sendint32(&packed, type);
		if (row->nulls[i])
			pq_sendint32(&packed, (uint32) -1);
		else if (type == INT8OID)
		{
			pq_sendint32(&packed, sizeof(int64));
			pq_sendint64(&packed, DatumGetInt64(row->values[i]));
		}
		else if (type == BOOLOID)
		{
			pq_sendint32(&packed, 1);
			pq_sendbyte(&packed, DatumGetBool(row->values[i]));
		}
		else
		{
			struct varlena *bytes = PG_DETOAST_DATUM_PACKED(row->values[i]);

			Assert(type == BYTEAOID || type == TEXTOID);
			pq_sendint32(&packed, VARSIZE_ANY_EXHDR(bytes));
			pq_sendbytes(&packed, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
		}
	}
	return pq_endtypsend(&packed);
}

static Datum
unpack_value(StringInfo packed, Oid type, int length)
{
	struct varlena *bytes;

	if (type == INT8OID)
		return Int64GetDatum(pq_getmsgint64(packed));
	if (type == BOOLOID)
		return BoolGetDatum(pq_getmsgbyte(packed) != 0);
	bytes = palloc(VARHDRSZ + length);
	SET_VARSIZE(bytes, VARHDRSZ + length);
	pq_copymsgbytes(packed, VARDATA(bytes), length);
	return PointerGetDatum(bytes);
}

static void
unpack_row(TupleDesc desc, const bytea *output, AtxRow *row)
{
	StringInfoData packed;

	initStringInfo(&packed);
	appendBinaryStringInfo(&packed, VARDATA_ANY(output), VARSIZE_ANY_EXHDR(output));
	if (pq_getmsgint(&packed, 4) != desc->natts)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("recorded outcome does not fit the function")));
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			type = pq_getmsgint(&packed, 4);
		int			length = (int) pq_getmsgint(&packed, 4);

		row->nulls[i] = length < 0;
		if (!row->nulls[i])
			row->values[i] = unpack_value(&packed, type, length);
	}
}

/* Session and number, the last two arguments. */
static void
number_arguments(FunctionCallInfo fcinfo, int session_argument, AtxNumbered *numbered)
{
	numbered->sequence_num = atx_number_argument(fcinfo, session_argument + 1, "sequence_num");
	if (numbered->sequence_num != 0)
		atx_refuse_null(PG_ARGISNULL(session_argument), "session_id");
	numbered->session_id = PG_ARGISNULL(session_argument) ? 0 :
		PG_GETARG_INT64(session_argument);
}

/*
 * Begin a call; false if it was executed before, and *row is what it returned
 * then.  Either way atx_typed_end follows.
 */
bool
atx_typed_begin(FunctionCallInfo fcinfo, const char *function,
				int namespace_argument, AtxTypedCall *typed, AtxRow *row)
{
	const Signature *signature = signature_of(fcinfo);
	AtxNumbered *numbered = &typed->numbered;
	int			session_argument = namespace_argument + 1;

	memset(typed, 0, sizeof(*typed));
	memset(row, 0, sizeof(*row));
	typed->result = signature->result;
	typed->is_row = signature->is_row;
	numbered->operation = ATX_OPERATION_CALL;
	number_arguments(fcinfo, session_argument, numbered);
	if (numbered->sequence_num != 0)
		numbered->fingerprint = fingerprint_of(fcinfo, function, signature);

	atx_require_writable(psprintf("atomix.%s()", function));
	atx_scope_enter(&typed->scope);
	/* Before an answer is repeated, too. */
	atx_require_right(atx_required_text(fcinfo, namespace_argument, "namespace"),
					  ATX_PRIVILEGE_WRITE);
	if (PG_ARGISNULL(session_argument))
		atx_raise_unless_done(atx_await_authority(&numbered->authority));
	else
		atx_raise_unless_done(atx_numbered_begin(&typed->scope, numbered, ATX_ACCESS_NONE));
	if (numbered->replay)
	{
		unpack_row(typed->result, numbered->admission.command.output, row);
		return false;
	}
	typed->call.authority = numbered->authority;
	typed->call.session_id = numbered->session_id;
	typed->call.sequence_num = numbered->sequence_num;
	return true;
}

/*
 * Lock and read the service that the arguments name; it is created if there
 * is none.
 */
void
atx_typed_use(FunctionCallInfo fcinfo, int namespace_argument,
			  const AtxServiceType *type, AtxAccess access, AtxTypedCall *typed)
{
	char	   *name = atx_required_text(fcinfo, 0, "name");
	char	   *namespace = atx_required_text(fcinfo, namespace_argument, "namespace");

	atx_raise_unless_done(atx_use_service(&typed->call, type, namespace, name, access));
	typed->call.moment = atx_moment(typed->call.authority);
}

static void
record(AtxTypedCall *typed, const AtxRow *row)
{
	AtxReply	reply = {.status = ATX_STATUS_OK};

	if (typed->numbered.sequence_num == 0)
		return;
	reply.output = pack_row(typed->result, row);
	atx_numbered_record(&typed->numbered, &reply,
						typed->call.index != 0 ? typed->call.index : atx_index_newest());
}

/*
 * End a call: save the service, record the outcome, and form the result.
 */
Datum
atx_typed_end(FunctionCallInfo fcinfo, AtxTypedCall *typed, AtxRow *row, bool executed)
{
	Datum		result;

	if (executed)
	{
		atx_save_service(&typed->call);
		record(typed, row);
	}
	MemoryContextSwitchTo(typed->scope.caller_memory);
	if (typed->is_row)
		result = HeapTupleGetDatum(heap_form_tuple(typed->result, row->values, row->nulls));
	else
	{
		/* A single value is of a type that is passed by value. */
		Assert(TupleDescAttr(typed->result, 0)->attbyval);
		result = row->values[0];
		fcinfo->isnull = row->nulls[0];
	}
	atx_scope_leave(&typed->scope);
	return result;
}

/*
 * Open a scope to read the service that the arguments name; false if there is
 * none.
 */
bool
atx_typed_find(FunctionCallInfo fcinfo, int namespace_argument,
			   const AtxServiceType *type, AtxScope *scope, AtxCall *call)
{
	char	   *name = atx_required_text(fcinfo, 0, "name");
	char	   *namespace = atx_required_text(fcinfo, namespace_argument, "namespace");
	bool		found;

	memset(call, 0, sizeof(*call));
	atx_scope_enter_to_read(scope);
	atx_raise_unless_done(atx_find_service(call, type, namespace, name, &found));
	call->authority = atx_authority_current();
	call->moment = atx_moment_to_read(call->authority);
	return found;
}
