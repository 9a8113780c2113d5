/*-------------------------------------------------------------------------
 *
 * session_service.c
 *	  Service atomix.session.SessionService, the first generation's, in
 *	  bytes, and operations on services under its headers: session_command,
 *	  session_fetch.
 *
 * Clients of that generation know three statuses: OK, ERROR, NOT_LEADER.  So
 * these are what is answered; the message of an ERROR begins with the name of
 * the status that later generations have for it.  What is an SQL error in the
 * other faces is one here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/partition_service.h"
#include "atomix.h"
#include "atomix/session/session.pb-c.h"
#include "base/codec.h"
#include "commands/dispatch.h"
#include "commands/placement.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "commands/streams.h"
#include "commands/waiting.h"
#include "tables/placement.h"
#include "tables/partition.h"
#include "tables/stream.h"

PG_FUNCTION_INFO_V1(atomix_session_open_session);
PG_FUNCTION_INFO_V1(atomix_session_keep_alive);
PG_FUNCTION_INFO_V1(atomix_session_close_session);
PG_FUNCTION_INFO_V1(atomix_session_command);
PG_FUNCTION_INFO_V1(atomix_session_fetch);

typedef Atomix__Headers__RequestHeader RequestHeader;
typedef Atomix__Headers__ResponseHeader ResponseHeader;
typedef Atomix__Headers__StreamHeader StreamHeader;
typedef Atomix__Election__OpenSessionRequest OpenSessionRequest;
typedef Atomix__Election__OpenSessionResponse OpenSessionResponse;
typedef Atomix__Election__KeepAliveRequest KeepAliveRequest;
typedef Atomix__Election__KeepAliveResponse KeepAliveResponse;
typedef Atomix__Election__CloseSessionRequest CloseSessionRequest;
typedef Atomix__Election__CloseSessionResponse CloseSessionResponse;

#define STATUS(name)	ATOMIX__HEADERS__RESPONSE_STATUS__##name
#define TYPE(name)		ATOMIX__HEADERS__RESPONSE_TYPE__##name

/* Numbers of the messages of a stream whose command has just one output. */
enum
{
	OPENED = 1,
	ANSWERED,
	ENDED
};

/* What the header of a request says. */
typedef struct Request
{
	const RequestHeader *header;
	int64		session_id;
	int64		number;
	bool		is_named;
	AtxNamedService service;
	AtxAnswer	problem;		/* done if it is in order */
} Request;

/* What the header of a response says, but for what follows from the request. */
typedef struct Response
{
	int64		session_id;
	int64		index;
	int64		stream_id;
	int64		response_id;
	Atomix__Headers__ResponseType type;
	AtxStatus	status;
	char	   *message;
} Response;

static AtxAnswer
invalid(const char *message)
{
	return atx_answer(ATX_INVALID, pstrdup(message));
}

static AtxAnswer
read_name(Request *request)
{
	const Atomix__Primitive__Name *name = request->header->name;

	request->is_named = name != NULL && (name->name[0] != '\0' || name->namespace_[0] != '\0');
	request->service.name = request->is_named ? atx_text_from_wire(name->name) : "";
	request->service.namespace = request->is_named ? atx_text_from_wire(name->namespace_) : "";
	return request->is_named ?
		atx_check_service_name(request->service.namespace, request->service.name) :
		ATX_ANSWER_DONE;
}

/* The first clients name no partition. */
static AtxAnswer
check_partition(const RequestHeader *header)
{
	if (header->partition < 0)
		return atx_answer(ATX_INVALID,
						  psprintf("partition %d does not exist", header->partition));
	return atx_check_partition(header->partition == 0 ? ATX_DEFAULT_PARTITION : header->partition);
}

static AtxAnswer
check_numbers(const RequestHeader *header)
{
	if (header->request_id > (uint64) PG_INT64_MAX)
		return invalid("request_id is out of range");
	if (header->index > (uint64) PG_INT64_MAX)
		return invalid("index is out of range");
	for (size_t i = 0; i < header->n_streams; i++)
		if (header->streams[i]->stream_id > (uint64) PG_INT64_MAX ||
			header->streams[i]->response_id > (uint64) PG_INT64_MAX)
			return invalid("streams are out of range");
	return ATX_ANSWER_DONE;
}

/*
 * Read a header, which may be absent, in an open scope; of_session: what is
 * asked for is about the session it names.  Its strings outlive what the scope
 * reads, and forgets while it waits.
 */
static Request
read_header(const AtxScope *scope, const RequestHeader *header, bool of_session)
{
	static RequestHeader nothing = ATOMIX__HEADERS__REQUEST_HEADER__INIT;
	Request		request = {.header = header != NULL ? header : &nothing};
	MemoryContext before;

	/* As it is in the header: so it stands in the response, too. */
	request.session_id = of_session ? (int64) request.header->session_id : 0;
	request.problem = check_partition(request.header);

	/* From here on, since who reads tables is back in the scope's memory. */
	before = MemoryContextSwitchTo(scope->caller_memory);
	if (request.problem.outcome == ATX_DONE)
		request.problem = check_numbers(request.header);
	if (request.problem.outcome == ATX_DONE)
		request.problem = read_name(&request);
	if (request.problem.outcome == ATX_DONE && of_session)
		request.problem = atx_wire_session_id(request.header->session_id, &request.session_id);
	request.number = (int64) request.header->request_id;
	MemoryContextSwitchTo(before);
	return request;
}

/*
 * May the request go on?  What it names must be the caller's to know of, and
 * what it is to see must be there.
 */
static AtxAnswer
admit(const Request *request)
{
	if (request->problem.outcome == ATX_DONE && request->is_named)
		atx_require_right(request->service.namespace, ATX_PRIVILEGE_READ);
	if (request->problem.outcome != ATX_DONE || request->header->index == 0)
		return request->problem;
	return atx_await_index((int64) request->header->index);
}

/* The same for one that changes something. */
static AtxAnswer
admit_change(const Request *request, const char *function)
{
	AtxAnswer	answer = atx_wire_check_writable(function);

	return answer.outcome == ATX_DONE ? admit(request) : answer;
}

static void
tell_answer(Response *response, AtxAnswer answer)
{
	atx_wire_raise_if_no_status(answer);
	response->status = atx_status_of(answer.outcome);
	response->message = answer.message;
}

/*
 * Encode a response's header.  What a standby cannot do is for the leader, if
 * it knows one: a client would try nobody again and again.
 */
static void
fill_header(ResponseHeader *header, const Response *response)
{
	char	   *leader = atx_partition_leader();

	header->session_id = (uint64) response->session_id;
	header->stream_id = (uint64) response->stream_id;
	header->response_id = (uint64) response->response_id;
	header->index = (uint64) response->index;
	header->type = response->type;
	if (leader != NULL)
		header->leader = atx_text_to_wire(leader);
	if (response->status == ATX_STATUS_OK)
		return;
	header->status = response->status == ATX_STATUS_UNAVAILABLE && leader != NULL &&
		RecoveryInProgress() ? STATUS(NOT_LEADER) : STATUS(ERROR);
	header->message = atx_text_to_wire(psprintf("%s: %s", atx_status_name(response->status),
												response->message ? response->message : ""));
}

/* The header of a response to a rpc of sessions. */
static ResponseHeader *
session_header(const Request *request, AtxAnswer answer, int64 opened)
{
	ResponseHeader *header = palloc(sizeof(ResponseHeader));
	Response	response = {.type = TYPE(RESPONSE)};

	atomix__headers__response_header__init(header);
	tell_answer(&response, answer);
	response.session_id = opened != 0 ? opened : request->session_id;
	response.index = opened != 0 ? opened : atx_index_newest();
	fill_header(header, &response);
	return header;
}

/*
 * session_open_session(request bytea) returns bytea
 */
Datum
atomix_session_open_session(PG_FUNCTION_ARGS)
{
	OpenSessionResponse response = ATOMIX__ELECTION__OPEN_SESSION_RESPONSE__INIT;
	Atomix__Multiraft__V1__OpenSessionInput input = ATOMIX__MULTIRAFT__V1__OPEN_SESSION_INPUT__INIT;
	OpenSessionRequest *wire;
	AtxScope	scope;
	Request		request;
	AtxAnswer	answer;
	int64		opened = 0;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	wire = (OpenSessionRequest *)
		atx_decode_datum(&atomix__election__open_session_request__descriptor, PG_GETARG_DATUM(0));
	input.timeout = wire->timeout;

	atx_scope_enter(&scope);
	request = read_header(&scope, wire->header, false);
	answer = admit_change(&request, "atomix.session_open_session()");
	if (answer.outcome == ATX_DONE)
		answer = atx_wire_open_session(&scope, (uint32) atx_partition_here(), &input, &opened);
	response.header = session_header(&request, answer, opened);
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}

/* What the client has received, and which streams it goes on to read. */
static AtxPending
read_pending(const Request *request)
{
	int			count = (int) request->header->n_streams;
	AtxOutputAck *outputs = palloc(sizeof(AtxOutputAck) * Max(count, 1));
	AtxPending	pending = {
		.last = request->number,
		.lists_streams = true,
		.outputs = outputs,
		.noutputs = count
	};

	for (int i = 0; i < count; i++)
	{
		outputs[i].sequence_num = (int64) request->header->streams[i]->stream_id;
		outputs[i].output_num = (int64) request->header->streams[i]->response_id;
	}
	return pending;
}

/*
 * session_keep_alive(request bytea) returns bytea
 */
Datum
atomix_session_keep_alive(PG_FUNCTION_ARGS)
{
	KeepAliveResponse response = ATOMIX__ELECTION__KEEP_ALIVE_RESPONSE__INIT;
	KeepAliveRequest *wire;
	AtxScope	scope;
	Request		request;
	AtxPending	pending;
	AtxAnswer	answer;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	wire = (KeepAliveRequest *)
		atx_decode_datum(&atomix__election__keep_alive_request__descriptor, PG_GETARG_DATUM(0));

	atx_scope_enter(&scope);
	request = read_header(&scope, wire->header, true);
	answer = admit_change(&request, "atomix.session_keep_alive()");
	if (answer.outcome == ATX_DONE)
	{
		pending = read_pending(&request);
		answer = atx_wire_renew(&scope, request.session_id, &pending);
	}
	response.header = session_header(&request, answer, 0);
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}

/*
 * Close a session and, if that is wanted, delete a service.  Only the close
 * that ends the session deletes: one that is repeated must not delete what
 * others have made anew under the name since.
 */
static AtxAnswer
close_and_delete(AtxScope *scope, const Request *request, bool delete)
{
	bool		ended = false;
	bool		deleted;
	AtxAnswer	answer;

	if (delete && !request->is_named)
		return invalid("the request names no service to delete");
	answer = atx_close_session(scope, request->session_id, &ended);
	if (answer.outcome != ATX_DONE || !delete)
		return answer;
	if (ended)
		/* Both or nothing. */
		atx_raise_unless_done(atx_delete_service(request->service.namespace,
												 request->service.name, &deleted));
	else
	{
		answer = atx_why_not_usable(request->session_id, scope->caller);
		if (answer.outcome == ATX_SESSION_CLOSED)
			answer = ATX_ANSWER_DONE;
	}
	return answer;
}

/*
 * session_close_session(request bytea) returns bytea
 */
Datum
atomix_session_close_session(PG_FUNCTION_ARGS)
{
	CloseSessionResponse response = ATOMIX__ELECTION__CLOSE_SESSION_RESPONSE__INIT;
	CloseSessionRequest *wire;
	AtxScope	scope;
	Request		request;
	AtxAnswer	answer;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	wire = (CloseSessionRequest *)
		atx_decode_datum(&atomix__election__close_session_request__descriptor, PG_GETARG_DATUM(0));

	atx_scope_enter(&scope);
	request = read_header(&scope, wire->header, true);
	answer = admit_change(&request, "atomix.session_close_session()");
	if (answer.outcome == ATX_DONE)
		answer = close_and_delete(&scope, &request, wire->delete_);
	response.header = session_header(&request, answer, 0);
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}

/* Open the service, as a command with that number. */
static AtxAnswer
create(AtxScope *scope, const Request *request, int64 number, AtxResult *result)
{
	AtxAddress	address = {
		.session_id = request->session_id,
		.sequence_num = number,
		.record_refusals = number != 0
	};
	AtxAnswer	answer = ATX_ANSWER_DONE;
	int64		service_id;

	if (number != 0)
		answer = atx_await_turn(scope, request->session_id, number);
	if (answer.outcome == ATX_DONE)
		answer = atx_command_create(scope, &address, request->service.type,
									request->service.namespace, request->service.name,
									result, &service_id);
	if (answer.outcome == ATX_DONE)
		result->reply.output = NULL;
	return answer;
}

/*
 * Evaluate an operation that only reads.  A service that is to be opened is,
 * where that can be.
 */
static AtxAnswer
evaluate(AtxScope *scope, const Request *request, const AtxPayload *payload,
		 AtxResult *result)
{
	AtxAddress	address = {
		.session_id = request->session_id,
		.sequence_num = request->number
	};
	AtxAnswer	answer = admit(request);

	if (answer.outcome == ATX_DONE)
		answer = atx_named_query(scope, &address, &request->service, payload, result);
	if (answer.outcome != ATX_SERVICE_NOT_OPEN || request->service.type == NULL)
		return answer;
	answer = atx_wire_check_writable("atomix.session_command()");
	if (answer.outcome == ATX_DONE)
		answer = create(scope, request, 0, result);
	return answer.outcome == ATX_DONE ?
		atx_named_query(scope, &address, &request->service, payload, result) : answer;
}

static AtxAnswer
execute(AtxScope *scope, const Request *request, const AtxPayload *payload,
		AtxResult *result)
{
	AtxAddress	address = {
		.session_id = request->session_id,
		.sequence_num = request->number,
		.record_refusals = true
	};
	AtxAnswer	answer = admit_change(request, "atomix.session_command()");

	if (answer.outcome != ATX_DONE)
		return answer;
	if (payload->len == 0 && request->service.type != NULL)
		return create(scope, request, request->number, result);
	return atx_named_command(scope, &address, &request->service, payload, result);
}

/* Say in a response what came of a command, or of a query. */
static void
tell_result(const Request *request, const AtxResult *result, bool is_query, Response *response)
{
	bool		is_stream = !is_query && request->number != 0 &&
	atx_stream_exists(request->session_id, request->number);

	response->index = result->index;
	response->response_id = is_query ? 0 : 1;
	response->status = result->reply.status;
	response->message = result->reply.message;
	if (!is_stream && result->state != ATX_COMMAND_RUNNING)
		return;
	/* The end of a stream is one of its messages. */
	response->status = ATX_STATUS_OK;
	response->type = TYPE(OPEN_STREAM);
	response->stream_id = request->number;
	response->response_id = OPENED;
}

static Response
operate(AtxScope *scope, Request *request, const AtxPayload *payload, bytea **output)
{
	Response	response = {.session_id = request->session_id,.type = TYPE(RESPONSE)};
	AtxResult	result = {.index = 0};
	bool		is_query = false;
	AtxAnswer	answer = request->problem;

	*output = NULL;
	if (answer.outcome == ATX_DONE && !request->is_named)
		answer = invalid("the request names no service");
	if (answer.outcome == ATX_DONE)
	{
		is_query = payload->len > 0 && atx_named_only_reads(&request->service, payload);
		answer = is_query ? evaluate(scope, request, payload, &result) :
			execute(scope, request, payload, &result);
	}
	if (answer.outcome != ATX_DONE)
	{
		response.index = atx_index_newest();
		tell_answer(&response, answer);
		return response;
	}
	tell_result(request, &result, is_query, &response);
	if (response.type == TYPE(RESPONSE) && response.status == ATX_STATUS_OK)
		*output = result.reply.output;
	return response;
}

/* A header and a payload (NULL: none) as columns. */
static void
fill_columns(const AtxScope *scope, const Response *response, const bytea *payload,
			 Datum *values)
{
	ResponseHeader header = ATOMIX__HEADERS__RESPONSE_HEADER__INIT;
	bytea	   *empty;

	fill_header(&header, response);
	values[0] = PointerGetDatum(atx_wire_encode(scope, &header.base));
	if (payload != NULL)
		values[1] = atx_bytes_in(scope->caller_memory, payload);
	else
	{
		empty = MemoryContextAlloc(scope->caller_memory, VARHDRSZ);
		SET_VARSIZE(empty, VARHDRSZ);
		values[1] = PointerGetDatum(empty);
	}
}

/*
 * session_command(header bytea, payload bytea, service_type text,
 * OUT header bytea, OUT payload bytea)
 */
Datum
atomix_session_command(PG_FUNCTION_ARGS)
{
	bool		nulls[2] = {false, false};
	Datum		values[2];
	AtxPayload	payload = {0};
	AtxScope	scope;
	RequestHeader *header;
	Request		request;
	Response	response;
	bytea	   *given;
	bytea	   *output;
	char	   *type;

	atx_refuse_null(PG_ARGISNULL(0), "header");
	given = atx_required_bytes(fcinfo, 1, "payload");
	payload.data = (const uint8 *) VARDATA_ANY(given);
	payload.len = VARSIZE_ANY_EXHDR(given);
	header = (RequestHeader *)
		atx_decode_datum(&atomix__headers__request_header__descriptor, PG_GETARG_DATUM(0));
	type = atx_text_argument(fcinfo, 2);

	atx_scope_enter(&scope);
	request = read_header(&scope, header, true);
	request.service.type = type;
	response = operate(&scope, &request, &payload, &output);
	fill_columns(&scope, &response, output, values);
	atx_scope_leave(&scope);
	return atx_form_row(fcinfo, values, nulls);
}

/* Messages on their way to the caller. */
typedef struct Messages
{
	AtxScope   *scope;
	ReturnSetInfo *rsinfo;
	int64		session_id;
	int			left;			/* of those that are wanted */
} Messages;

/* Put a message, unless the client has had it. */
static void
put_message(Messages *messages, const Response *response, const bytea *payload, int64 had)
{
	bool		nulls[2] = {false, false};
	Datum		values[2];

	if (messages->left == 0 || (response->response_id > 0 && response->response_id <= had))
		return;
	messages->left--;
	fill_columns(messages->scope, response, payload, values);
	tuplestore_putvalues(messages->rsinfo->setResult, messages->rsinfo->setDesc, values, nulls);
}

static const Atomix__Headers__ResponseType type_of_kind[] = {
	[ATX_OUTPUT_OPEN] = TYPE(OPEN_STREAM),
	[ATX_OUTPUT_RESPONSE] = TYPE(RESPONSE),
	[ATX_OUTPUT_CLOSE] = TYPE(CLOSE_STREAM)
};

/*
 * What a command that is no stream came to, as the stream that its client
 * takes it for.
 */
static void
put_outcome(Messages *messages, const AtxOutput *output, Response *response, int64 had)
{
	response->response_id = OPENED;
	response->type = TYPE(OPEN_STREAM);
	put_message(messages, response, NULL, had);
	if (output->kind == ATX_OUTPUT_RESPONSE)
	{
		response->response_id = ANSWERED;
		response->type = TYPE(RESPONSE);
		put_message(messages, response, output->bytes, had);
	}
	else
	{
		response->status = output->status;
		response->message = output->bytes ? text_to_cstring(output->bytes) : NULL;
	}
	response->response_id = output->kind == ATX_OUTPUT_RESPONSE ? ENDED : ANSWERED;
	response->type = TYPE(CLOSE_STREAM);
	put_message(messages, response, NULL, had);
}

/* Put an output, of which the client has had all up to a number. */
static void
put_output(Messages *messages, const AtxOutput *output, int64 had)
{
	Response	response = {
		.session_id = messages->session_id,
		.index = output->index,
		.stream_id = output->sequence_num,
		.response_id = output->output_num,
		.type = type_of_kind[output->kind],
		.status = ATX_STATUS_OK
	};

	if (!output->of_stream)
	{
		put_outcome(messages, output, &response, had);
		return;
	}
	if (output->kind == ATX_OUTPUT_CLOSE)
	{
		response.status = output->status;
		response.message = output->bytes ? text_to_cstring(output->bytes) : NULL;
	}
	put_message(messages, &response,
				output->kind == ATX_OUTPUT_RESPONSE ? output->bytes : NULL, had);
}

/* Say why there is nothing: of a stream (0: of all) that is its end. */
static void
put_problem(Messages *messages, AtxAnswer answer, int64 stream_id)
{
	Response	response = {
		.session_id = messages->session_id,
		.stream_id = stream_id,
		.type = stream_id != 0 ? TYPE(CLOSE_STREAM) : TYPE(RESPONSE)
	};

	response.index = atx_index_newest();
	tell_answer(&response, answer);
	messages->left = Max(messages->left, 1);
	put_message(messages, &response, NULL, 0);
}

/* Fetch the messages of a stream that come after those the client has had. */
static AtxAnswer
fetch_stream(Messages *messages, int64 stream_id, int64 had)
{
	int			limit = messages->left + (int) Min(had, (int64) (PG_INT32_MAX - messages->left));
	AtxOutput  *outputs;
	int			count;
	AtxAnswer	answer = atx_fetch_outputs(messages->scope, messages->session_id, stream_id,
										   limit, &outputs, &count);

	if (answer.outcome == ATX_COMPACTED)
	{
		put_problem(messages, answer, stream_id);
		return ATX_ANSWER_DONE;
	}
	for (int i = 0; answer.outcome == ATX_DONE && i < count; i++)
		put_output(messages, &outputs[i], had);
	return answer;
}

/*
 * Fetch the messages of each stream by itself: the others go on when one
 * cannot be continued.
 */
static AtxAnswer
fetch_each(Messages *messages)
{
	AtxStream  *streams;
	int			count = atx_stream_of_session(messages->session_id, &streams);
	AtxAnswer	answer = ATX_ANSWER_DONE;

	for (int i = 0; answer.outcome == ATX_DONE && messages->left > 0 && i < count; i++)
	{
		answer = fetch_stream(messages, streams[i].sequence_num, 0);
		/* It was given up just now. */
		if (answer.outcome == ATX_NUMBER_ACKNOWLEDGED)
			answer = ATX_ANSWER_DONE;
	}
	return answer;
}

static AtxAnswer
fetch_all(Messages *messages)
{
	AtxOutput  *outputs;
	int			count;
	AtxAnswer	answer = atx_fetch_all_outputs(messages->scope, messages->session_id,
											   messages->left, &outputs, &count);

	if (answer.outcome == ATX_COMPACTED)
		return fetch_each(messages);
	for (int i = 0; answer.outcome == ATX_DONE && i < count; i++)
		put_output(messages, &outputs[i], 0);
	return answer;
}

/*
 * Fetch what the header asks for: the streams it lists, else that of the
 * command with its request_id, else all of the session.
 */
static AtxAnswer
fetch(Messages *messages, const Request *request)
{
	const RequestHeader *header = request->header;
	AtxAnswer	answer = admit(request);

	if (answer.outcome != ATX_DONE)
		return answer;
	for (size_t i = 0; i < header->n_streams; i++)
		if (header->streams[i]->stream_id == 0)
			return invalid("a stream has no stream_id");
	if (header->n_streams == 0)
		return request->number != 0 ? fetch_stream(messages, request->number, 0) :
			fetch_all(messages);
	for (size_t i = 0; answer.outcome == ATX_DONE && messages->left > 0 && i < header->n_streams; i++)
		answer = fetch_stream(messages, (int64) header->streams[i]->stream_id,
							  (int64) header->streams[i]->response_id);
	return answer;
}

/*
 * session_fetch(header bytea, max_rows int)
 * returns table (header bytea, payload bytea)
 */
Datum
atomix_session_fetch(PG_FUNCTION_ARGS)
{
	Messages	messages = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	RequestHeader *header;
	AtxScope	scope;
	Request		request;
	AtxAnswer	answer;

	atx_refuse_null(PG_ARGISNULL(0), "header");
	messages.left = atx_rows_argument(fcinfo, 1);
	header = (RequestHeader *)
		atx_decode_datum(&atomix__headers__request_header__descriptor, PG_GETARG_DATUM(0));

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter(&scope);
	request = read_header(&scope, header, true);
	messages.session_id = request.session_id;
	messages.scope = &scope;
	answer = fetch(&messages, &request);
	if (answer.outcome != ATX_DONE)
		put_problem(&messages, answer, 0);
	atx_scope_leave(&scope);
	return (Datum) 0;
}
