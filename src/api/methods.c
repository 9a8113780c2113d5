/*-------------------------------------------------------------------------
 *
 * methods.c
 *	  Methods of the protocol's services, by their gRPC paths.
 *
 * What a method takes and returns is in the service's descriptor, which
 * protoc makes of the .proto file; the table here adds the SQL function that
 * serves it.  A call is an ordinary call of that function, by the executor:
 * with the caller's rights, the defaults of its other arguments, and whatever
 * it returns or raises.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "api/arguments.h"
#include "atomix.h"
#include "atomix/multiraft/v1/partition.pb-c.h"
#include "atomix/runtime/v1/session.pb-c.h"
#include "atomix/session/session.pb-c.h"
#include "base/errors.h"
#include "base/extension.h"
#include "base/message_types.h"
#include "base/nearest.h"
#include "compat.h"

PG_FUNCTION_INFO_V1(atomix_call);
PG_FUNCTION_INFO_V1(atomix_methods);

typedef struct Method
{
	const ProtobufCServiceDescriptor *service;
	const char *name;
	const char *function;		/* in our schema; its first argument is the
								 * request */
} Method;

/* To serve another method, add its line. */
static const Method methods[] = {
	{&atomix__election__session_service__descriptor, "OpenSession", "session_open_session"},
	{&atomix__election__session_service__descriptor, "KeepAlive", "session_keep_alive"},
	{&atomix__election__session_service__descriptor, "CloseSession", "session_close_session"},
	{&atomix__multiraft__v1__partition__descriptor, "OpenSession", "partition_open_session"},
	{&atomix__multiraft__v1__partition__descriptor, "KeepAlive", "partition_keep_alive"},
	{&atomix__multiraft__v1__partition__descriptor, "CloseSession", "partition_close_session"},
	{&atomix__multiraft__v1__partition__descriptor, "Watch", "partition_watch"},
	{&atomix__runtime__v1__session_service__descriptor, "GetSession", "runtime_get_session"},
	{&atomix__runtime__v1__session_service__descriptor, "ListSessions", "runtime_list_sessions"},
};

/* The method's path, palloc'd; the name of its package as it was published. */
static char *
path_of(const Method *method)
{
	return psprintf("/%s/%s", method->service->name, method->name);
}

/* Its path by the package's own name, palloc'd; NULL if it has no other. */
static char *
other_path_of(const Method *method)
{
	const char *service = atx_own_name(method->service->name);

	return service == NULL ? NULL : psprintf("/%s/%s", service, method->name);
}

pg_noreturn static void
refuse_unknown(const char *path)
{
	AtxNearest	nearest = atx_nearest_to(path);

	for (int i = 0; i < lengthof(methods); i++)
	{
		char	   *candidate = path_of(&methods[i]);

		atx_nearest_try(&nearest, candidate, candidate);
		atx_nearest_try(&nearest, candidate + 1, candidate);
		atx_nearest_try(&nearest, methods[i].name, candidate);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("method \"%s\" does not exist", path),
			 nearest.name != NULL ?
			 errhint("Perhaps you meant \"%s\".", nearest.name) :
			 errhint("View \"%s.methods\" shows those there are.", ATX_SCHEMA_NAME)));
}

/*
 * The method with this path, with a slash before it or without.
 */
static const Method *
find_method(const char *path)
{
	const char *published = atx_published_name(*path == '/' ? path + 1 : path);

	for (int i = 0; i < lengthof(methods); i++)
	{
		if (strcmp(path_of(&methods[i]) + 1, published) == 0)
			return &methods[i];
	}
	refuse_unknown(path);
}

/* A call of the method's function with this request. */
static Expr *
call_of(const Method *method, Datum request)
{
	List	   *name = list_make2(makeString(ATX_SCHEMA_NAME),
								  makeString(unconstify(char *, method->function)));
	Oid			function = LookupFuncName(name, -1, NULL, false);
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	List	   *arguments;
	FuncExpr   *call;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	arguments = list_make1(makeConst(BYTEAOID, -1, InvalidOid, -1, request, false, false));
	arguments = expand_function_arguments(arguments, false, form->prorettype, tuple);
	call = makeFuncExpr(function, form->prorettype, arguments,
						InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	call->funcretset = form->proretset;
	ReleaseSysCache(tuple);
	return &call->xpr;
}

/* Put what the call returns, a value or a set, into the result. */
static void
evaluate(const Method *method, Datum request, ReturnSetInfo *result)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext before = MemoryContextSwitchTo(estate->es_query_cxt);
	MemoryContext arguments = AllocSetContextCreate(estate->es_query_cxt,
													"atomix arguments of a method",
													ALLOCSET_SMALL_SIZES);
	ExprContext *context = GetPerTupleExprContext(estate);
	SetExprState *state = ExecInitTableFunctionResult(call_of(method, request), context, NULL);
	Tuplestorestate *rows = ExecMakeTableFunctionResult(state, context, arguments,
														result->expectedDesc, false);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(result->expectedDesc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(rows, true, false, slot))
		tuplestore_puttupleslot(result->setResult, slot);
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(rows);
	MemoryContextSwitchTo(before);
	FreeExecutorState(estate);
}

/*
 * call(method text, request bytea) returns setof bytea
 *
 * The rights, results and errors are those of the method's function.
 */
Datum
atomix_call(PG_FUNCTION_ARGS)
{
	char	   *path = atx_required_text(fcinfo, 0, "method");
	const Method *method;

	atx_refuse_null(PG_ARGISNULL(1), "request");
	(void) atx_extension();
	method = find_method(path);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	evaluate(method, PG_GETARG_DATUM(1), (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

static void
put_method(ReturnSetInfo *result, const char *path, const Method *method)
{
	const ProtobufCMethodDescriptor *descriptor =
	protobuf_c_service_descriptor_get_method_by_name(method->service, method->name);
	Datum		values[4];
	bool		nulls[4] = {false};

	if (descriptor == NULL)
		elog(ERROR, "service \"%s\" has no method \"%s\"", method->service->name, method->name);
	values[0] = CStringGetTextDatum(path);
	values[1] = CStringGetTextDatum(descriptor->input->name);
	values[2] = CStringGetTextDatum(descriptor->output->name);
	values[3] = CStringGetTextDatum(method->function);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * _methods() returns table (path text, request text, response text,
 * function text)
 */
Datum
atomix_methods(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(methods); i++)
	{
		char	   *other = other_path_of(&methods[i]);

		put_method(result, path_of(&methods[i]), &methods[i]);
		if (other != NULL)
			put_method(result, other, &methods[i]);
	}
	return (Datum) 0;
}
