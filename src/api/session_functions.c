/*-------------------------------------------------------------------------
 *
 * session_functions.c
 *	  The typed session functions: open_session, keep_alive, close_session,
 *	  end_session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "base/codec.h"
#include "base/duration.h"
#include "base/errors.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "google/protobuf/any.pb-c.h"
#include "tables/attachment.h"

PG_FUNCTION_INFO_V1(atomix_open_session);
PG_FUNCTION_INFO_V1(atomix_keep_alive);
PG_FUNCTION_INFO_V1(atomix_keep_alive_many);
PG_FUNCTION_INFO_V1(atomix_close_session);
PG_FUNCTION_INFO_V1(atomix_end_session);

/*
 * Labels are a flat object of strings, because the protocol's are a map of
 * strings; an empty one is stored as no labels.
 */
static Jsonb *
labels_argument(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *labels;
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;

	atx_refuse_null(PG_ARGISNULL(n), "labels");
	labels = PG_GETARG_JSONB_P(n);
	if (!JB_ROOT_IS_OBJECT(labels))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"labels\" must be a JSON object")));

	it = JsonbIteratorInit(&labels->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_VALUE && value.type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"labels\" must contain only strings")));
	return JB_ROOT_COUNT(labels) == 0 ? NULL : labels;
}

static char *
string_member(Jsonb *object, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&object->root, key, strlen(key), &value) == NULL)
		return NULL;
	if (value.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"services\" must contain only strings")));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

static void
check_declared_service(const JsonbValue *element)
{
	Jsonb	   *object;
	char	   *namespace;
	char	   *name;
	char	   *type;

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"services\" must be an array of objects"),
				 errhint("Each has a type, a name, and perhaps a namespace.")));
	object = JsonbValueToJsonb((JsonbValue *) element);
	type = string_member(object, "type");
	name = string_member(object, "name");
	namespace = string_member(object, "namespace");
	if (type == NULL || name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("every object in argument \"services\" must have a type and a name")));
	if (atx_service_type_find(type) == NULL)
		atx_raise_unless_done(atx_service_type_unknown(type));
	atx_raise_unless_done(atx_check_service_name(namespace ? namespace : "", name));
}

/* A serialised Any, or NULL: clients of the runtime's service get it as that. */
static bytea *
config_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return NULL;
	(void) atx_decode_datum(&google__protobuf__any__descriptor, PG_GETARG_DATUM(n));
	return PG_GETARG_BYTEA_PP(n);
}

/* The services that the session is going to open; NULL if none. */
static Jsonb *
services_argument(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *services;

	atx_refuse_null(PG_ARGISNULL(n), "services");
	services = PG_GETARG_JSONB_P(n);
	if (!JB_ROOT_IS_ARRAY(services) || JB_ROOT_IS_SCALAR(services))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"services\" must be a JSON array")));
	if (JB_ROOT_COUNT(services) > ATX_MAX_ATTACHMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("a session can open at most %d services", ATX_MAX_ATTACHMENTS)));
	for (uint32 i = 0; i < JB_ROOT_COUNT(services); i++)
		check_declared_service(getIthJsonbValueFromContainer(&services->root, i));
	return JB_ROOT_COUNT(services) == 0 ? NULL : services;
}

/*
 * open_session(timeout interval, name text, kind text, labels jsonb,
 * config bytea, services jsonb, partition_id int) returns bigint
 */
Datum
atomix_open_session(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	AtxSessionSpec spec;
	int64		session_id = 0;

	atx_require_writable("atomix.open_session()");
	spec.timeout = PG_ARGISNULL(0) ? ATX_DEFAULT_TIMEOUT :
		atx_duration_from_interval(PG_GETARG_INTERVAL_P(0), "timeout");
	spec.name = atx_text_argument(fcinfo, 1);
	spec.kind = atx_text_argument(fcinfo, 2);
	spec.labels = labels_argument(fcinfo, 3);
	spec.config = config_argument(fcinfo, 4);
	spec.services = services_argument(fcinfo, 5);
	atx_refuse_null(PG_ARGISNULL(6), "partition_id");
	spec.partition_id = PG_GETARG_INT32(6);

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_open_session(&scope, &spec, &session_id));
	atx_scope_leave(&scope);
	PG_RETURN_INT64(session_id);
}

/*
 * keep_alive(session_id bigint) returns interval
 */
Datum
atomix_keep_alive(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	int64		time_left = 0;

	atx_refuse_null(PG_ARGISNULL(0), "session_id");
	atx_require_writable("atomix.keep_alive()");

	if (!atx_keep_alive_in_memory(PG_GETARG_INT64(0), &time_left))
	{
		atx_scope_enter(&scope);
		atx_raise_unless_done(atx_keep_alive(&scope, PG_GETARG_INT64(0), &time_left));
		atx_scope_leave(&scope);
	}
	PG_RETURN_INTERVAL_P(atx_interval_from_ticks(time_left));
}

static const char *const member_states[] = {
	[ATX_MEMBER_OPENED] = "opened",
	[ATX_MEMBER_ENDING] = "ending",
	[ATX_MEMBER_CLOSING] = "closing",
	[ATX_MEMBER_CLOSED] = "closed",
	[ATX_MEMBER_EXPIRED] = "expired",
	[ATX_MEMBER_UNKNOWN] = "unknown"
};

static void
put_member(ReturnSetInfo *rsinfo, const AtxMember *member, const Datum *state_names)
{
	Interval	left = {0};
	Datum		values[3];
	bool		nulls[3] = {false, false, member->state != ATX_MEMBER_OPENED};

	left.time = member->time_left;
	values[0] = Int64GetDatum(member->session_id);
	values[1] = state_names[member->state];
	values[2] = IntervalPGetDatum(&left);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* The sessions of a batch, in the order in which they were given. */
static AtxMember *
members_argument(FunctionCallInfo fcinfo, int n, int *count)
{
	Datum	   *ids = atx_required_array(fcinfo, n, "session_ids", INT8OID, count);
	AtxMember  *members;

	members = palloc_extended(sizeof(AtxMember) * *count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < *count; i++)
		members[i].session_id = DatumGetInt64(ids[i]);
	return members;
}

/*
 * keep_alive_many(session_ids bigint[])
 * returns table (session_id bigint, state text, time_left interval)
 */
Datum
atomix_keep_alive_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		state_names[lengthof(member_states)];
	AtxMember  *members;
	int			count;

	members = members_argument(fcinfo, 0, &count);
	atx_require_writable("atomix.keep_alive_many()");
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < lengthof(member_states); i++)
		state_names[i] = CStringGetTextDatum(member_states[i]);

	atx_keep_alive_many(members, count);
	for (int i = 0; i < count; i++)
		put_member(rsinfo, &members[i], state_names);
	return (Datum) 0;
}

/*
 * close_session(session_id bigint) returns boolean
 */
Datum
atomix_close_session(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	bool		ended = false;

	atx_refuse_null(PG_ARGISNULL(0), "session_id");
	atx_require_writable("atomix.close_session()");

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_close_session(&scope, PG_GETARG_INT64(0), &ended));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(ended);
}

/*
 * end_session(session_id bigint, reason text) returns boolean
 */
Datum
atomix_end_session(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	bool		ended = false;
	char	   *reason;

	atx_refuse_null(PG_ARGISNULL(0), "session_id");
	atx_refuse_null(PG_ARGISNULL(1), "reason");
	atx_require_writable("atomix.end_session()");
	reason = text_to_cstring(PG_GETARG_TEXT_PP(1));

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_end_session(&scope, PG_GETARG_INT64(0), reason, &ended));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(ended);
}
