/*-------------------------------------------------------------------------
 *
 * state_machine.c
 *	  A partition's state machine, in bytes: partition_command,
 *	  partition_query, partition_commands.
 *
 * Whatever a well-formed input comes to is a status in the headers, in the
 * numbering of this generation.  A numbered input is recorded with it, also
 * if it was refused.  An output number of 0 says that the command is accepted
 * and its output is still to come; the further outputs of a stream are fetched
 * by fetch_outputs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"

#include "api/arguments.h"
#include "api/partition_service.h"
#include "base/codec.h"
#include "commands/dispatch.h"
#include "commands/ordering.h"
#include "tables/partition.h"

PG_FUNCTION_INFO_V1(atomix_partition_command);
PG_FUNCTION_INFO_V1(atomix_partition_query);
PG_FUNCTION_INFO_V1(atomix_partition_commands);

typedef Atomix__Multiraft__V1__PartitionInput PartitionInput;
typedef Atomix__Multiraft__V1__PartitionOutput PartitionOutput;
typedef Atomix__Multiraft__V1__SessionInput SessionInput;
typedef Atomix__Multiraft__V1__SessionOutput SessionOutput;
typedef Atomix__Multiraft__V1__CommandRequestHeaders CommandRequestHeaders;
typedef Atomix__Multiraft__V1__QueryRequestHeaders QueryRequestHeaders;
typedef Atomix__Multiraft__V1__OperationRequestHeaders OperationRequestHeaders;

#define PARTITION_INPUT(name) \
	ATOMIX__MULTIRAFT__V1__PARTITION_INPUT__PAYLOAD_##name
#define PARTITION_OUTPUT(name) \
	ATOMIX__MULTIRAFT__V1__PARTITION_OUTPUT__PAYLOAD_##name
#define SESSION_INPUT(name) \
	ATOMIX__MULTIRAFT__V1__SESSION_INPUT__PAYLOAD_##name
#define SESSION_OUTPUT(name) \
	ATOMIX__MULTIRAFT__V1__SESSION_OUTPUT__PAYLOAD_##name

/* Identifiers of operations are a byte in the protocol. */
#define MAX_OPERATION_ID	255

/* A request, decoded, with what its headers and its input say put together. */
typedef struct Request
{
	PartitionInput *input;
	const OperationRequestHeaders *operation;	/* NULL: none */
	uint32		partition_id;
	uint64		number;
	AtxAddress	address;
	AtxPayload	payload;		/* of a service's operation */
	AtxAnswer	problem;		/* done if the request is in order */
} Request;

/* What is answered. */
typedef struct Response
{
	AtxAnswer	answer;
	AtxResult	result;			/* of a session's input */
	bool		has_result;
	int64		session_id;		/* opened */
	int64		service_id;		/* created */
} Response;

/*
 * Headers nest one level in the other, and any of them may be absent.  One
 * that names no partition at all means the first.
 */
static void
read_operation_headers(const OperationRequestHeaders *operation, Request *request,
					   uint64 *session_id, uint64 *service_id)
{
	const Atomix__Multiraft__V1__ServiceRequestHeaders *service =
	operation ? operation->session : NULL;
	const Atomix__Multiraft__V1__SessionRequestHeaders *session =
	service ? service->session : NULL;
	const Atomix__Multiraft__V1__PartitionRequestHeaders *partition =
	session ? session->partition : NULL;

	request->operation = operation;
	request->payload.operation_id = operation ? operation->operation_id : 0;
	*service_id = service ? service->service_id : 0;
	*session_id = session ? session->session_id : 0;
	request->partition_id = partition ? partition->partition_id : 1;
}

static AtxAnswer
invalid(const char *message)
{
	return atx_answer(ATX_INVALID, pstrdup(message));
}

/* An id that headers and input may both give, but not differently. */
static AtxAnswer
agree(const char *what, uint64 in_headers, uint64 in_input, int64 *id)
{
	uint64		given = in_input != 0 ? in_input : in_headers;

	if (in_headers != 0 && in_input != 0 && in_headers != in_input)
		return atx_answer(ATX_INVALID,
						  psprintf("%s differs between headers and input", what));
	if (given > (uint64) PG_INT64_MAX)
		return atx_answer(ATX_INVALID, psprintf("%s is out of range", what));
	*id = (int64) given;
	return ATX_ANSWER_DONE;
}

static uint64
session_id_of_input(const PartitionInput *input)
{
	switch (input->payload_case)
	{
		case PARTITION_INPUT(KEEP_ALIVE):
			return input->keep_alive->session_id;
		case PARTITION_INPUT(CLOSE_SESSION):
			return input->close_session->session_id;
		case PARTITION_INPUT(SESSION_INPUT):
			return input->session_input->session_id;
		default:
			return 0;
	}
}

static uint64
service_id_of_input(const PartitionInput *input)
{
	if (input->payload_case != PARTITION_INPUT(SESSION_INPUT))
		return 0;
	switch (input->session_input->payload_case)
	{
		case SESSION_INPUT(CLOSE_SERVICE):
			return input->session_input->close_service->service_id;
		case SESSION_INPUT(SERVICE_INPUT):
			return input->session_input->service_input->service_id;
		default:
			return 0;
	}
}

static AtxAnswer
check_number(const Request *request)
{
	if (request->number > (uint64) PG_INT64_MAX)
		return invalid("sequence number is out of range");
	if (request->number != 0 &&
		request->input->payload_case != PARTITION_INPUT(SESSION_INPUT))
		return invalid("only inputs of a session have a sequence number");
	if (request->payload.operation_id > MAX_OPERATION_ID)
		return invalid("operation_id is out of range");
	return ATX_ANSWER_DONE;
}

static void
take_payload(Request *request)
{
	const SessionInput *input = request->input->session_input;

	if (request->input->payload_case == PARTITION_INPUT(SESSION_INPUT) &&
		input->payload_case == SESSION_INPUT(SERVICE_INPUT))
	{
		request->payload.data = input->service_input->payload.data;
		request->payload.len = input->service_input->payload.len;
	}
}

/* Put headers and input together. */
static void
complete(Request *request, uint64 session_id, uint64 service_id)
{
	request->problem = atx_wire_check_partition(request->partition_id);
	if (request->problem.outcome == ATX_DONE)
		request->problem = check_number(request);
	if (request->problem.outcome == ATX_DONE)
		request->problem = agree("session_id", session_id,
								 session_id_of_input(request->input),
								 &request->address.session_id);
	if (request->problem.outcome == ATX_DONE)
		request->problem = agree("service_id", service_id,
								 service_id_of_input(request->input),
								 &request->address.service_id);
	request->address.sequence_num = (int64) request->number;
	request->address.record_refusals = true;
	take_payload(request);
}

static Request
decode_command(Datum headers, Datum input)
{
	Request		request = {0};
	uint64		session_id;
	uint64		service_id;
	CommandRequestHeaders *command = (CommandRequestHeaders *)
	atx_decode_datum(&atomix__multiraft__v1__command_request_headers__descriptor, headers);

	request.input = (PartitionInput *)
		atx_decode_datum(&atomix__multiraft__v1__partition_input__descriptor, input);
	request.number = command->command_sequence_num;
	read_operation_headers(command->operation, &request, &session_id, &service_id);
	complete(&request, session_id, service_id);
	return request;
}

/* Of a query the number is that of the last command it is to see. */
static Request
decode_query(Datum headers, Datum input)
{
	Request		request = {0};
	uint64		session_id;
	uint64		service_id;
	QueryRequestHeaders *query = (QueryRequestHeaders *)
	atx_decode_datum(&atomix__multiraft__v1__query_request_headers__descriptor, headers);

	request.input = (PartitionInput *)
		atx_decode_datum(&atomix__multiraft__v1__partition_input__descriptor, input);
	request.number = query->last_command_sequence_num;
	read_operation_headers(query->operation, &request, &session_id, &service_id);
	complete(&request, session_id, service_id);
	return request;
}

static AtxAnswer
apply_create_service(AtxScope *scope, const Request *request, Response *response)
{
	const Atomix__Multiraft__V1__CreateServiceInput *input =
	request->input->session_input->create_service;

	return atx_command_create(scope, &request->address,
							  atx_text_from_wire(input->service),
							  atx_text_from_wire(input->namespace_),
							  atx_text_from_wire(input->name),
							  &response->result, &response->service_id);
}

static AtxAnswer
apply_close_service(AtxScope *scope, const Request *request, Response *response)
{
	bool		detached;

	if (request->address.service_id == 0)
		return invalid("the request names no service");
	return atx_command_close(scope, &request->address, &response->result, &detached);
}

static AtxAnswer
apply_session_input(AtxScope *scope, const Request *request, Response *response)
{
	response->has_result = true;
	switch (request->input->session_input->payload_case)
	{
		case SESSION_INPUT(CREATE_SERVICE):
			return apply_create_service(scope, request, response);
		case SESSION_INPUT(CLOSE_SERVICE):
			return apply_close_service(scope, request, response);
		case SESSION_INPUT(SERVICE_INPUT):
			return atx_command(scope, &request->address, &request->payload, &response->result);
		default:
			return invalid("the session's input is empty");
	}
}

static AtxAnswer
apply_input(AtxScope *scope, const Request *request, Response *response)
{
	PartitionInput *input = request->input;

	switch (input->payload_case)
	{
		case PARTITION_INPUT(OPEN_SESSION):
			return atx_wire_open_session(scope, request->partition_id, input->open_session,
										 &response->session_id);
		case PARTITION_INPUT(KEEP_ALIVE):
			input->keep_alive->session_id = (uint64) request->address.session_id;
			return atx_wire_keep_alive(scope, input->keep_alive);
		case PARTITION_INPUT(CLOSE_SESSION):
			input->close_session->session_id = (uint64) request->address.session_id;
			return atx_wire_close_session(scope, input->close_session);
		case PARTITION_INPUT(SESSION_INPUT):
			return apply_session_input(scope, request, response);
		default:
			return invalid("the input is empty");
	}
}

static void
finish(Response *response)
{
	atx_wire_raise_if_no_status(response->answer);
	if (response->answer.outcome != ATX_DONE)
		response->has_result = false;
}

static void
apply(AtxScope *scope, const Request *request, Response *response)
{
	memset(response, 0, sizeof(*response));
	response->answer = request->problem;
	if (response->answer.outcome == ATX_DONE)
		response->answer = atx_wire_check_writable("atomix.partition_command()");
	if (response->answer.outcome == ATX_DONE)
		response->answer = apply_input(scope, request, response);
	finish(response);
}

static void
evaluate(AtxScope *scope, const Request *request, Response *response)
{
	const PartitionInput *input = request->input;

	memset(response, 0, sizeof(*response));
	response->answer = request->problem;
	if (response->answer.outcome == ATX_DONE &&
		(input->payload_case != PARTITION_INPUT(SESSION_INPUT) ||
		 input->session_input->payload_case != SESSION_INPUT(SERVICE_INPUT)))
		response->answer = invalid("a query must not change anything");
	if (response->answer.outcome == ATX_DONE)
	{
		response->has_result = true;
		response->answer = atx_query(scope, &request->address, &request->payload,
									 &response->result);
	}
	finish(response);
}

static void
fill_partition_headers(const Response *response,
					   Atomix__Multiraft__V1__PartitionResponseHeaders *headers)
{
	if (!response->has_result)
	{
		atx_wire_fill_headers(headers,
							  response->session_id != 0 ? response->session_id : atx_index_newest(),
							  response->answer);
		return;
	}
	headers->index = (uint64) response->result.index;
	headers->status = (Atomix__Multiraft__V1__PartitionResponseHeaders__Status)
		(response->result.state == ATX_COMMAND_RUNNING ? ATX_STATUS_OK :
		 response->result.reply.status);
	if (response->result.reply.message != NULL)
		headers->message = atx_text_to_wire(response->result.reply.message);
}

/* Encode the headers of a command's answer, or of a query's. */
static bytea *
encode_headers(const Response *response, bool is_query)
{
	Atomix__Multiraft__V1__PartitionResponseHeaders partition =
	ATOMIX__MULTIRAFT__V1__PARTITION_RESPONSE_HEADERS__INIT;
	Atomix__Multiraft__V1__SessionResponseHeaders session =
	ATOMIX__MULTIRAFT__V1__SESSION_RESPONSE_HEADERS__INIT;
	Atomix__Multiraft__V1__ServiceResponseHeaders service =
	ATOMIX__MULTIRAFT__V1__SERVICE_RESPONSE_HEADERS__INIT;
	Atomix__Multiraft__V1__OperationResponseHeaders operation =
	ATOMIX__MULTIRAFT__V1__OPERATION_RESPONSE_HEADERS__INIT;
	Atomix__Multiraft__V1__CommandResponseHeaders command =
	ATOMIX__MULTIRAFT__V1__COMMAND_RESPONSE_HEADERS__INIT;
	Atomix__Multiraft__V1__QueryResponseHeaders query =
	ATOMIX__MULTIRAFT__V1__QUERY_RESPONSE_HEADERS__INIT;

	fill_partition_headers(response, &partition);
	session.partition = &partition;
	service.session = &session;
	operation.session = &service;
	if (is_query)
	{
		query.operation = &operation;
		return atx_encode(&query.base);
	}
	command.operation = &operation;
	/* The first output of a stream is there at once. */
	command.output_sequence_num =
		response->has_result && response->result.state == ATX_COMMAND_RUNNING &&
		response->result.reply.output == NULL ? 0 : 1;
	return atx_encode(&command.base);
}

/* The parts of an output, of which one is used. */
typedef struct SessionOutputs
{
	SessionOutput output;
	Atomix__Multiraft__V1__CreateServiceOutput create_service;
	Atomix__Multiraft__V1__CloseServiceOutput close_service;
	Atomix__Multiraft__V1__ServiceOutput service_output;
} SessionOutputs;

static SessionOutput *
fill_session_output(const Request *request, const Response *response,
					SessionOutputs *parts)
{
	SessionOutput *output = &parts->output;
	const bytea *bytes = response->result.reply.output;

	atomix__multiraft__v1__session_output__init(output);
	switch (request->input->session_input->payload_case)
	{
		case SESSION_INPUT(CREATE_SERVICE):
			atomix__multiraft__v1__create_service_output__init(&parts->create_service);
			parts->create_service.service_id = (uint64) response->service_id;
			output->payload_case = SESSION_OUTPUT(CREATE_SERVICE);
			output->create_service = &parts->create_service;
			break;
		case SESSION_INPUT(CLOSE_SERVICE):
			atomix__multiraft__v1__close_service_output__init(&parts->close_service);
			output->payload_case = SESSION_OUTPUT(CLOSE_SERVICE);
			output->close_service = &parts->close_service;
			break;
		default:
			atomix__multiraft__v1__service_output__init(&parts->service_output);
			parts->service_output.payload.data = (uint8 *) VARDATA_ANY(bytes);
			parts->service_output.payload.len = VARSIZE_ANY_EXHDR(bytes);
			output->payload_case = SESSION_OUTPUT(SERVICE_OUTPUT);
			output->service_output = &parts->service_output;
	}
	return output;
}

/* Is there an output to be encoded, beside the status? */
static bool
has_output(const Response *response)
{
	if (!response->has_result)
		return response->answer.outcome == ATX_DONE;
	return response->result.reply.status == ATX_STATUS_OK &&
		response->result.reply.output != NULL;
}

/* Encode the output; that of a refused input is empty. */
static bytea *
encode_output(const Request *request, const Response *response)
{
	PartitionOutput output = ATOMIX__MULTIRAFT__V1__PARTITION_OUTPUT__INIT;
	Atomix__Multiraft__V1__OpenSessionOutput open_session =
	ATOMIX__MULTIRAFT__V1__OPEN_SESSION_OUTPUT__INIT;
	Atomix__Multiraft__V1__KeepAliveOutput keep_alive =
	ATOMIX__MULTIRAFT__V1__KEEP_ALIVE_OUTPUT__INIT;
	Atomix__Multiraft__V1__CloseSessionOutput close_session =
	ATOMIX__MULTIRAFT__V1__CLOSE_SESSION_OUTPUT__INIT;
	SessionOutputs session_outputs;

	if (!has_output(response))
		return atx_encode(&output.base);
	switch (request->input->payload_case)
	{
		case PARTITION_INPUT(OPEN_SESSION):
			open_session.session_id = (uint64) response->session_id;
			output.payload_case = PARTITION_OUTPUT(OPEN_SESSION);
			output.open_session = &open_session;
			break;
		case PARTITION_INPUT(KEEP_ALIVE):
			output.payload_case = PARTITION_OUTPUT(KEEP_ALIVE);
			output.keep_alive = &keep_alive;
			break;
		case PARTITION_INPUT(CLOSE_SESSION):
			output.payload_case = PARTITION_OUTPUT(CLOSE_SESSION);
			output.close_session = &close_session;
			break;
		default:
			output.payload_case = PARTITION_OUTPUT(SESSION_OUTPUT);
			output.session_output = fill_session_output(request, response, &session_outputs);
	}
	return atx_encode(&output.base);
}

static Datum
answer_one(FunctionCallInfo fcinfo, bool is_query)
{
	AtxScope	scope;
	Request		request;
	Response	response;
	Datum		values[2];
	bool		nulls[2] = {false, false};
	Datum		row;

	atx_refuse_null(PG_ARGISNULL(0), "request_headers");
	atx_refuse_null(PG_ARGISNULL(1), "input");
	atx_scope_enter(&scope);
	request = is_query ? decode_query(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) :
		decode_command(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
	(is_query ? evaluate : apply) (&scope, &request, &response);
	values[0] = PointerGetDatum(encode_headers(&response, is_query));
	values[1] = PointerGetDatum(encode_output(&request, &response));
	MemoryContextSwitchTo(scope.caller_memory);
	row = atx_form_row(fcinfo, values, nulls);
	atx_scope_leave(&scope);
	return row;
}

/*
 * partition_command(request_headers bytea, input bytea,
 * OUT headers bytea, OUT output bytea)
 */
Datum
atomix_partition_command(PG_FUNCTION_ARGS)
{
	return answer_one(fcinfo, false);
}

/*
 * partition_query(request_headers bytea, input bytea,
 * OUT headers bytea, OUT output bytea)
 */
Datum
atomix_partition_query(PG_FUNCTION_ARGS)
{
	return answer_one(fcinfo, true);
}

static void
plan_session_input(AtxLockPlan *plan, const Request *request)
{
	const SessionInput *input = request->input->session_input;

	if (input->payload_case == SESSION_INPUT(CREATE_SERVICE))
		atx_lock_plan_add_open(plan, &request->address,
							   atx_text_from_wire(input->create_service->namespace_),
							   atx_text_from_wire(input->create_service->name));
	else
		atx_lock_plan_add(plan, &request->address,
						  input->payload_case == SESSION_INPUT(SERVICE_INPUT) ?
						  &request->payload : NULL);
}

static void
plan_input(AtxLockPlan *plan, const Request *request)
{
	const PartitionInput *input = request->input;

	switch (input->payload_case)
	{
		case PARTITION_INPUT(SESSION_INPUT):
			plan_session_input(plan, request);
			break;
		case PARTITION_INPUT(KEEP_ALIVE):
			/* One that acknowledges nothing may do without a lock. */
			if (input->keep_alive->last_command_sequence_num != 0)
				atx_lock_plan_add_session(plan, request->address.session_id, false);
			break;
		case PARTITION_INPUT(CLOSE_SESSION):
			atx_lock_plan_add_session(plan, request->address.session_id, true);
			break;
		default:
			break;
	}
}

/* Take all locks of a batch in one order, so that batches do not deadlock. */
static void
lock_all(AtxScope *scope, const Request *requests, int count)
{
	AtxLockPlan *plan = atx_lock_plan_create(count);

	for (int i = 0; i < count; i++)
		if (requests[i].problem.outcome == ATX_DONE)
			plan_input(plan, &requests[i]);
	atx_lock_plan_take(scope, plan);
}

static void
put_member(ReturnSetInfo *rsinfo, int n, const Request *request, const Response *response)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	values[0] = Int32GetDatum(n);
	values[1] = PointerGetDatum(encode_headers(response, false));
	values[2] = PointerGetDatum(encode_output(request, response));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * partition_commands(request_headers bytea[], inputs bytea[])
 * returns table (n int, headers bytea, output bytea)
 */
Datum
atomix_partition_commands(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			nheaders;
	int			count;
	Datum	   *headers = atx_required_array(fcinfo, 0, "request_headers", BYTEAOID, &nheaders);
	Datum	   *inputs = atx_required_array(fcinfo, 1, "inputs", BYTEAOID, &count);
	Request    *requests = palloc(sizeof(Request) * Max(count, 1));
	AtxScope	scope;

	if (nheaders != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"request_headers\" and \"inputs\" must be of the same length"),
				 errdetail("They have %d and %d elements.", nheaders, count)));
	InitMaterializedSRF(fcinfo, 0);

	atx_scope_enter(&scope);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		requests[i] = decode_command(headers[i], inputs[i]);
	}
	if (atx_wire_check_writable("atomix.partition_commands()").outcome == ATX_DONE)
		lock_all(&scope, requests, count);
	for (int i = 0; i < count; i++)
	{
		Response	response;

		CHECK_FOR_INTERRUPTS();
		apply(&scope, &requests[i], &response);
		put_member(rsinfo, i + 1, &requests[i], &response);
	}
	atx_scope_leave(&scope);
	return (Datum) 0;
}
