/*-------------------------------------------------------------------------
 *
 * partition_service.c
 *	  Service atomix.multiraft.v1.Partition: OpenSession, KeepAlive,
 *	  CloseSession, in bytes.
 *
 * Whatever a well-formed request comes to is a status in the response's
 * headers, in the numbering of this generation, where 0 is UNKNOWN and
 * success is 1.  An ERROR means that nothing was decided: bytes that do not
 * decode, or a transaction that cannot go on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "api/partition_service.h"
#include "base/bloom.h"
#include "base/codec.h"
#include "base/duration.h"
#include "base/errors.h"
#include "base/status.h"
#include "commands/exactly_once.h"
#include "commands/placement.h"
#include "commands/sessions.h"
#include "tables/partition.h"

PG_FUNCTION_INFO_V1(atomix_partition_open_session);
PG_FUNCTION_INFO_V1(atomix_partition_keep_alive);
PG_FUNCTION_INFO_V1(atomix_partition_close_session);

typedef Atomix__Multiraft__V1__PartitionRequestHeaders RequestHeaders;
typedef Atomix__Multiraft__V1__PartitionResponseHeaders ResponseHeaders;
typedef Atomix__Multiraft__V1__OpenSessionRequest OpenSessionRequest;
typedef Atomix__Multiraft__V1__OpenSessionResponse OpenSessionResponse;
typedef Atomix__Multiraft__V1__OpenSessionOutput OpenSessionOutput;
typedef Atomix__Multiraft__V1__KeepAliveRequest KeepAliveRequest;
typedef Atomix__Multiraft__V1__KeepAliveResponse KeepAliveResponse;
typedef Atomix__Multiraft__V1__KeepAliveInput KeepAliveInput;
typedef Atomix__Multiraft__V1__KeepAliveOutput KeepAliveOutput;
typedef Atomix__Multiraft__V1__CloseSessionRequest CloseSessionRequest;
typedef Atomix__Multiraft__V1__CloseSessionResponse CloseSessionResponse;
typedef Atomix__Multiraft__V1__CloseSessionOutput CloseSessionOutput;

/*
 * Say in the headers what became of the request.
 */
void
atx_wire_fill_headers(ResponseHeaders *headers, int64 index, AtxAnswer answer)
{
	headers->index = (uint64) index;
	headers->status =
		(Atomix__Multiraft__V1__PartitionResponseHeaders__Status) atx_status_of(answer.outcome);
	if (answer.message != NULL)
		headers->message = atx_text_to_wire(answer.message);
}

/*
 * Encode in the caller's memory, which outlives the scope.
 */
bytea *
atx_wire_encode(const AtxScope *scope, const ProtobufCMessage *message)
{
	MemoryContext before = MemoryContextSwitchTo(scope->caller_memory);
	bytea	   *bytes = atx_encode(message);

	MemoryContextSwitchTo(before);
	return bytes;
}

/*
 * Is the partition here that a request names?
 */
AtxAnswer
atx_wire_check_partition(uint32 id)
{
	if (id == 0)
		return atx_answer(ATX_INVALID, pstrdup("the request names no partition"));
	return atx_check_partition(id);
}

static AtxAnswer
check_headers(const RequestHeaders *headers)
{
	return atx_wire_check_partition(headers == NULL ? 0 : headers->partition_id);
}

/*
 * A session id as it is kept; one that cannot have been given out is unknown.
 */
AtxAnswer
atx_wire_session_id(uint64 wire, int64 *session_id)
{
	*session_id = (int64) wire;
	if (wire > (uint64) PG_INT64_MAX)
		return atx_answer(ATX_SESSION_UNKNOWN,
						  psprintf("session " UINT64_FORMAT " is unknown", wire));
	return ATX_ANSWER_DONE;
}

static AtxAnswer
timeout_from_wire(const Google__Protobuf__Duration *duration, int64 *timeout)
{
	if (duration == NULL)
	{
		*timeout = ATX_DEFAULT_TIMEOUT;
		return ATX_ANSWER_DONE;
	}
	if (!atx_duration_from_wire(duration, timeout))
		return atx_answer(ATX_INVALID, pstrdup("the timeout is not a positive duration"));
	return ATX_ANSWER_DONE;
}

/*
 * Raise what is no status in any face: the client is wrong about its own
 * numbers, or a limit.
 */
void
atx_wire_raise_if_no_status(AtxAnswer answer)
{
	if (answer.outcome == ATX_NUMBER_ACKNOWLEDGED ||
		answer.outcome == ATX_NUMBER_REUSED || answer.outcome == ATX_LIMIT_REACHED)
		atx_raise_unless_done(answer);
}

/*
 * On a standby there is nothing a writing call could do.
 */
AtxAnswer
atx_wire_check_writable(const char *function)
{
	if (RecoveryInProgress())
		return atx_answer(ATX_UNAVAILABLE, atx_partition_not_here());
	PreventCommandIfReadOnly(function);
	return ATX_ANSWER_DONE;
}

/*
 * Open a session as the input says.
 */
AtxAnswer
atx_wire_open_session(AtxScope *scope, uint32 partition_id,
					  const Atomix__Multiraft__V1__OpenSessionInput *input,
					  int64 *session_id)
{
	AtxSessionSpec spec = {.partition_id = (int32) partition_id};
	AtxAnswer	answer = timeout_from_wire(input ? input->timeout : NULL, &spec.timeout);

	return answer.outcome == ATX_DONE ? atx_open_session(scope, &spec, session_id) : answer;
}

static AtxAnswer
do_open_session(AtxScope *scope, const OpenSessionRequest *request,
				int64 *session_id)
{
	AtxAnswer	answer = check_headers(request->headers);

	return answer.outcome != ATX_DONE ? answer :
		atx_wire_open_session(scope, request->headers->partition_id, request->input, session_id);
}

/*
 * partition_open_session(request bytea) returns bytea
 */
Datum
atomix_partition_open_session(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	OpenSessionRequest *request;
	OpenSessionResponse response = ATOMIX__MULTIRAFT__V1__OPEN_SESSION_RESPONSE__INIT;
	OpenSessionOutput output = ATOMIX__MULTIRAFT__V1__OPEN_SESSION_OUTPUT__INIT;
	ResponseHeaders headers = ATOMIX__MULTIRAFT__V1__PARTITION_RESPONSE_HEADERS__INIT;
	AtxAnswer	answer;
	int64		session_id = 0;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	request = (OpenSessionRequest *)
		atx_decode_datum(&atomix__multiraft__v1__open_session_request__descriptor,
						 PG_GETARG_DATUM(0));

	atx_scope_enter(&scope);
	answer = atx_wire_check_writable("atomix.partition_open_session()");
	if (answer.outcome == ATX_DONE)
		answer = do_open_session(&scope, request, &session_id);
	if (answer.outcome == ATX_DONE)
	{
		output.session_id = (uint64) session_id;
		response.output = &output;
	}
	atx_wire_fill_headers(&headers, session_id != 0 ? session_id : atx_index_newest(), answer);
	response.headers = &headers;
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}

/* The outputs that were received of commands that go on. */
static AtxAnswer
outputs_from_wire(const KeepAliveInput *input, AtxPending *pending)
{
	int			count = (int) input->n_output_stream_sequence_nums;
	AtxOutputAck *outputs = palloc(sizeof(AtxOutputAck) * Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		uint64		sequence_num = input->output_stream_sequence_nums[i]->key;
		uint64		output_num = input->output_stream_sequence_nums[i]->value;

		if (sequence_num > (uint64) PG_INT64_MAX || output_num > (uint64) PG_INT64_MAX)
			return atx_answer(ATX_INVALID, pstrdup("output_stream_sequence_nums is out of range"));
		outputs[i].sequence_num = (int64) sequence_num;
		outputs[i].output_num = (int64) output_num;
	}
	pending->outputs = outputs;
	pending->noutputs = count;
	return ATX_ANSWER_DONE;
}

/*
 * What the client still waits for.  It must be sound even where there is
 * nothing to acknowledge: who sends garbage shall hear of it now.  No filter:
 * nothing is pending.
 */
static AtxAnswer
pending_from_wire(const KeepAliveInput *input, AtxBloom *filter, AtxPending *pending)
{
	const ProtobufCBinaryData *bytes = &input->pending_commands_filter;
	const char *problem;

	if (input->last_command_sequence_num > (uint64) PG_INT64_MAX)
		return atx_answer(ATX_INVALID, pstrdup("last_command_sequence_num is out of range"));
	if (bytes->len > 0 && !atx_bloom_parse(bytes->data, bytes->len, filter, &problem))
		return atx_answer(ATX_INVALID,
						  psprintf("pending_commands_filter is malformed: %s", problem));
	pending->last = (int64) input->last_command_sequence_num;
	pending->filter = bytes->len > 0 ? filter : NULL;
	return outputs_from_wire(input, pending);
}

/*
 * Renew a session and acknowledge its commands.
 */
AtxAnswer
atx_wire_renew(AtxScope *scope, int64 session_id, const AtxPending *pending)
{
	int64		time_left;

	if (pending->last > 0)
		return atx_acknowledge_pending(scope, session_id, pending);
	if (atx_renew_in_memory(scope->caller, session_id, &time_left) == ATX_RENEWAL_LIVE)
		return ATX_ANSWER_DONE;
	return atx_keep_alive(scope, session_id, &time_left);
}

/*
 * Renew a session and acknowledge its commands as the input says.
 */
AtxAnswer
atx_wire_keep_alive(AtxScope *scope, const KeepAliveInput *given)
{
	KeepAliveInput empty = ATOMIX__MULTIRAFT__V1__KEEP_ALIVE_INPUT__INIT;
	const KeepAliveInput *input = given ? given : &empty;
	AtxBloom	filter;
	AtxPending	pending = {0};
	AtxAnswer	answer = pending_from_wire(input, &filter, &pending);
	int64		session_id;

	if (answer.outcome == ATX_DONE)
		answer = atx_wire_session_id(input->session_id, &session_id);
	return answer.outcome == ATX_DONE ? atx_wire_renew(scope, session_id, &pending) : answer;
}

static AtxAnswer
do_keep_alive(AtxScope *scope, const KeepAliveRequest *request)
{
	AtxAnswer	answer = check_headers(request->headers);

	return answer.outcome == ATX_DONE ? atx_wire_keep_alive(scope, request->input) : answer;
}

/*
 * partition_keep_alive(request bytea) returns bytea
 */
Datum
atomix_partition_keep_alive(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	KeepAliveRequest *request;
	KeepAliveResponse response = ATOMIX__MULTIRAFT__V1__KEEP_ALIVE_RESPONSE__INIT;
	KeepAliveOutput output = ATOMIX__MULTIRAFT__V1__KEEP_ALIVE_OUTPUT__INIT;
	ResponseHeaders headers = ATOMIX__MULTIRAFT__V1__PARTITION_RESPONSE_HEADERS__INIT;
	AtxAnswer	answer;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	request = (KeepAliveRequest *)
		atx_decode_datum(&atomix__multiraft__v1__keep_alive_request__descriptor,
						 PG_GETARG_DATUM(0));

	atx_scope_enter(&scope);
	answer = atx_wire_check_writable("atomix.partition_keep_alive()");
	if (answer.outcome == ATX_DONE)
		answer = do_keep_alive(&scope, request);
	if (answer.outcome == ATX_DONE)
		response.output = &output;
	atx_wire_fill_headers(&headers, atx_index_newest(), answer);
	response.headers = &headers;
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}

/*
 * Close a session.  One that has ended already is no error: closing may be
 * repeated.
 */
AtxAnswer
atx_wire_close_session(AtxScope *scope, const Atomix__Multiraft__V1__CloseSessionInput *input)
{
	int64		session_id;
	bool		ended;
	AtxAnswer	answer = atx_wire_session_id(input ? input->session_id : 0, &session_id);

	return answer.outcome == ATX_DONE ? atx_close_session(scope, session_id, &ended) : answer;
}

static AtxAnswer
do_close_session(AtxScope *scope, const CloseSessionRequest *request)
{
	AtxAnswer	answer = check_headers(request->headers);

	return answer.outcome == ATX_DONE ? atx_wire_close_session(scope, request->input) : answer;
}

/*
 * partition_close_session(request bytea) returns bytea
 */
Datum
atomix_partition_close_session(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	CloseSessionRequest *request;
	CloseSessionResponse response = ATOMIX__MULTIRAFT__V1__CLOSE_SESSION_RESPONSE__INIT;
	CloseSessionOutput output = ATOMIX__MULTIRAFT__V1__CLOSE_SESSION_OUTPUT__INIT;
	ResponseHeaders headers = ATOMIX__MULTIRAFT__V1__PARTITION_RESPONSE_HEADERS__INIT;
	AtxAnswer	answer;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	request = (CloseSessionRequest *)
		atx_decode_datum(&atomix__multiraft__v1__close_session_request__descriptor,
						 PG_GETARG_DATUM(0));

	atx_scope_enter(&scope);
	answer = atx_wire_check_writable("atomix.partition_close_session()");
	if (answer.outcome == ATX_DONE)
		answer = do_close_session(&scope, request);
	if (answer.outcome == ATX_DONE)
		response.output = &output;
	atx_wire_fill_headers(&headers, atx_index_newest(), answer);
	response.headers = &headers;
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}
