/*-------------------------------------------------------------------------
 *
 * watch_functions.c
 *	  The typed functions watch, listen_watch, session_events and
 *	  partition_events, and rpc Partition.Watch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "api/partition_service.h"
#include "base/codec.h"
#include "base/settings.h"
#include "commands/feeds.h"
#include "commands/hints.h"
#include "commands/placement.h"
#include "tables/partition.h"
#include "tables/session.h"

PG_FUNCTION_INFO_V1(atomix_watch);
PG_FUNCTION_INFO_V1(atomix_listen_watch);
PG_FUNCTION_INFO_V1(atomix_session_events);
PG_FUNCTION_INFO_V1(atomix_partition_events);
PG_FUNCTION_INFO_V1(atomix_partition_watch);

typedef Atomix__Multiraft__V1__WatchPartitionRequest WatchPartitionRequest;
typedef Atomix__Multiraft__V1__WatchPartitionResponse WatchPartitionResponse;

static void
put_event(ReturnSetInfo *rsinfo, const AtxEvent *event)
{
	Datum		values[7] = {0};
	bool		nulls[7] = {false};

	values[0] = Int64GetDatum(event->revision);
	values[1] = CStringGetTextDatum(event->type);
	nulls[2] = event->key == NULL;
	if (event->key != NULL)
		values[2] = CStringGetTextDatum(event->key);
	nulls[3] = event->value == NULL;
	values[3] = PointerGetDatum(event->value);
	nulls[4] = event->prev_value == NULL;
	values[4] = PointerGetDatum(event->prev_value);
	values[5] = Int64GetDatum(event->index);
	values[6] = TimestampTzGetDatum(event->at);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * watch(name text, from_revision bigint, key text, max_rows int,
 * namespace text) returns table (revision bigint, type text, key text,
 * value bytea, prev_value bytea, index bigint, at timestamptz)
 */
Datum
atomix_watch(PG_FUNCTION_ARGS)
{
	AtxWatch	watch = {
		.name = atx_required_text(fcinfo, 0, "name"),
		.after = PG_ARGISNULL(1) ? ATX_FROM_OLDEST : atx_number_argument(fcinfo, 1, "from_revision"),
		.key = atx_text_argument(fcinfo, 2),
		.limit = atx_rows_argument(fcinfo, 3),
		.namespace = atx_required_text(fcinfo, 4, "namespace")
	};
	AtxScope	scope;
	AtxEventPage page;

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_watch(&watch, &page));
	for (int i = 0; i < page.count; i++)
		put_event((ReturnSetInfo *) fcinfo->resultinfo, &page.events[i]);
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/*
 * listen_watch(name text, namespace text, OUT channel text,
 * OUT revision bigint)
 */
Datum
atomix_listen_watch(PG_FUNCTION_ARGS)
{
	AtxWatch	watch = {
		.name = atx_required_text(fcinfo, 0, "name"),
		.namespace = atx_required_text(fcinfo, 1, "namespace")
	};
	char		channel[ATX_CHANNEL_LEN];
	AtxScope	scope;
	AtxService	service;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	atx_require_writable("atomix.listen_watch()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_register_watch(&watch, &service));
	atx_scope_leave(&scope);

	atx_service_channel(service.service_id, channel);
	Async_Listen(channel);
	values[0] = CStringGetTextDatum(channel);
	values[1] = Int64GetDatum(service.revision);
	return atx_form_row(fcinfo, values, nulls);
}

static void
put_change(ReturnSetInfo *rsinfo, const AtxSessionChange *change)
{
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	values[0] = Int64GetDatum(change->version);
	values[1] = Int64GetDatum(change->session_id);
	values[2] = CStringGetTextDatum(change->state);
	nulls[3] = change->reason == NULL;
	if (change->reason != NULL)
		values[3] = CStringGetTextDatum(change->reason);
	values[4] = TimestampTzGetDatum(change->at);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * session_events(after_version bigint, max_rows int) returns table (
 * version bigint, session_id bigint, state text, reason text, at timestamptz)
 */
Datum
atomix_session_events(PG_FUNCTION_ARGS)
{
	int64		after = atx_number_argument(fcinfo, 0, "after_version");
	int			limit = atx_rows_argument(fcinfo, 1);
	AtxScope	scope;
	AtxSessionChange *changes;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter_to_read(&scope);
	count = atx_session_changes(scope.caller, after, limit, &changes);
	for (int i = 0; i < count; i++)
		put_change((ReturnSetInfo *) fcinfo->resultinfo, &changes[i]);
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/*
 * partition_events(partition_id int, after_term bigint) returns table (
 * term bigint, leader text, at timestamptz)
 */
Datum
atomix_partition_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		after;
	AtxScope	scope;
	AtxTermChange *terms;
	int			count;

	atx_refuse_null(PG_ARGISNULL(0), "partition_id");
	after = atx_number_argument(fcinfo, 1, "after_term");
	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter_to_read(&scope);
	atx_raise_unless_done(atx_check_partition(PG_GETARG_INT32(0)));
	count = atx_partition_terms(PG_GETARG_INT32(0), after, &terms);
	for (int i = 0; i < count; i++)
	{
		Datum		values[] = {
			Int64GetDatum(terms[i].term),
			CStringGetTextDatum(terms[i].leader),
			TimestampTzGetDatum(terms[i].since)
		};
		bool		nulls[3] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/* The number by which the protocol names whoever leads. */
static uint64
leader_id(const char *leader)
{
	uint32		hash = 0x811c9dc5;	/* FNV-1a */

	if (atx_node_id[0] != '\0')
		return strtoull(atx_node_id, NULL, 10);
	for (const char *c = leader; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * 0x01000193;
	return hash;
}

static bytea *
encode_leader(uint32 partition_id, const AtxTermChange *term)
{
	Google__Protobuf__Timestamp timestamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Atomix__Multiraft__V1__PartitionEvent partition = ATOMIX__MULTIRAFT__V1__PARTITION_EVENT__INIT;
	Atomix__Multiraft__V1__LeaderEvent leader = ATOMIX__MULTIRAFT__V1__LEADER_EVENT__INIT;
	Atomix__Multiraft__V1__LeaderUpdatedEvent updated = ATOMIX__MULTIRAFT__V1__LEADER_UPDATED_EVENT__INIT;
	WatchPartitionResponse response = ATOMIX__MULTIRAFT__V1__WATCH_PARTITION_RESPONSE__INIT;
	int64		since = term->since + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	timestamp.seconds = since / USECS_PER_SEC;
	timestamp.nanos = (int32) (since % USECS_PER_SEC * 1000);
	partition.partition_id = partition_id;
	leader.partition = &partition;
	leader.term = (uint64) term->term;
	leader.leader = leader_id(term->leader);
	updated.leader = &leader;
	response.timestamp = &timestamp;
	response.event_case = ATOMIX__MULTIRAFT__V1__WATCH_PARTITION_RESPONSE__EVENT_LEADER_UPDATED;
	response.leader_updated = &updated;
	return atx_encode(&response.base);
}

/*
 * partition_watch(request bytea) returns setof bytea
 */
Datum
atomix_partition_watch(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	WatchPartitionRequest *request;
	uint32		partition_id;
	AtxScope	scope;
	AtxTermChange *terms;
	int			count;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	request = (WatchPartitionRequest *)
		atx_decode_datum(&atomix__multiraft__v1__watch_partition_request__descriptor,
						 PG_GETARG_DATUM(0));
	/* The first clients named none. */
	partition_id = request->partition_id == 0 ? 1 : request->partition_id;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	atx_scope_enter_to_read(&scope);
	atx_raise_unless_done(atx_check_partition(partition_id));
	count = atx_partition_terms((int32) partition_id, 0, &terms);
	if (count > 0)
	{
		Datum		value = PointerGetDatum(encode_leader(partition_id, &terms[count - 1]));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	atx_scope_leave(&scope);
	return (Datum) 0;
}
