/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  Operations of services, as sessions ask for them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/hsearch.h"

#include "base/codec.h"
#include "base/private_lock.h"
#include "commands/claiming.h"
#include "commands/dispatch.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "services/claims.h"

/* Types of services this process remembers before it begins anew. */
#define MAX_CACHED_TYPES	4096

/* An operation with what its type knows of it. */
typedef struct Operation
{
	const AtxServiceType *type; /* NULL: there is no such service */
	const ProtobufCMessage *input;
	AtxAccess	access;
	int64		entry;			/* the lock of the one it changes; 0: none */
} Operation;

typedef struct CachedType
{
	int64		service_id;
	const AtxServiceType *type;
} CachedType;

/*
 * Types of services in namespace '', where anybody may know of them.  A type
 * never changes and no id is given out twice, so they may be remembered.
 */
static CachedType *
cached_type(int64 service_id, HASHACTION action)
{
	static HTAB *cache = NULL;

	if (cache != NULL && hash_get_num_entries(cache) >= MAX_CACHED_TYPES)
	{
		hash_destroy(cache);
		cache = NULL;
	}
	if (cache == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int64),.entrysize = sizeof(CachedType)};

		cache = hash_create("atomix types of services", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	return hash_search(cache, &service_id, action, NULL);
}

/*
 * The type of a service that the caller's session has open, NULL if it has
 * not; *namespace is the one in which the caller has to have rights, or NULL.
 * What others have open is not even decoded for, or waited for: by that one
 * would know of it.
 */
static const AtxServiceType *
type_of_service(int64 session_id, int64 service_id, const char **namespace)
{
	CachedType *cached = cached_type(service_id, HASH_FIND);
	const AtxServiceType *type;
	AtxAdmission admission;

	*namespace = NULL;
	if (cached != NULL)
		return cached->type;
	if (!atx_command_admit(session_id, 0, service_id, atx_scope_caller(), &admission) ||
		!admission.attached)
		return NULL;
	type = atx_service_type_get(admission.service.type);
	if (admission.service.namespace[0] != '\0')
		*namespace = admission.service.namespace;
	else
		cached_type(service_id, HASH_ENTER)->type = type;
	return type;
}

static int64
entry_lock(int64 service_id, const char *key)
{
	return (int64) hash_bytes_extended((const unsigned char *) key, strlen(key),
									   (uint64) service_id);
}

/*
 * The operation of a service of that type (NULL: of none), which is in a
 * namespace where the caller must have rights, or in one where he need not
 * (NULL).  ERROR 42501 if he may not do that.
 */
static Operation
decode_as(const AtxServiceType *type, int64 service_id, const char *namespace,
		  const AtxPayload *payload)
{
	Operation	operation = {.type = type};

	if (operation.type != NULL && operation.type->input != NULL)
	{
		operation.input = atx_decode(operation.type->input, payload->data, payload->len);
		operation.access = operation.type->access(operation.input);
		if (operation.access == ATX_ACCESS_SHARED && operation.type->key != NULL)
			operation.entry = entry_lock(service_id, operation.type->key(operation.input));
	}
	if (namespace != NULL)
		atx_require_right(namespace, atx_privilege_for(operation.access));
	return operation;
}

static Operation
decode(int64 session_id, int64 service_id, const AtxPayload *payload)
{
	const char *namespace;
	const AtxServiceType *type = type_of_service(session_id, service_id, &namespace);

	return decode_as(type, service_id, namespace, payload);
}

/*
 * What an operation needs of its service; none if it is not one.  *entry is
 * the lock of the entry that it changes, if it is the only one, else 0.
 */
AtxAccess
atx_payload_access(int64 session_id, int64 service_id, const AtxPayload *payload,
				   int64 *entry)
{
	Operation	operation = decode(session_id, service_id, payload);

	*entry = operation.entry;
	return operation.access;
}

static AtxFingerprint
fingerprint_of(int64 service_id, const AtxPayload *payload)
{
	StringInfoData request;
	AtxFingerprint fingerprint;

	initStringInfo(&request);
	atx_fingerprint_add(&request, &service_id, sizeof(service_id));
	atx_fingerprint_add(&request, &payload->operation_id, sizeof(payload->operation_id));
	atx_fingerprint_add(&request, payload->data, payload->len);
	fingerprint = atx_fingerprint(&request);
	pfree(request.data);
	return fingerprint;
}

static AtxAnswer
not_open(const AtxAddress *address, bool deleted)
{
	AtxAnswer	answer;

	if (deleted)
		return atx_answer(ATX_SERVICE_DELETED,
						  psprintf("service " INT64_FORMAT " was deleted", address->service_id));
	answer = atx_answer(ATX_SERVICE_NOT_OPEN,
						psprintf("service " INT64_FORMAT " is not open in session " INT64_FORMAT,
								 address->service_id, address->session_id));
	answer.hint = pstrdup("Open it with atomix.create_service().");
	return answer;
}

static void
replay(const AtxCommand *command, AtxResult *result)
{
	result->reply.status = command->status;
	result->reply.message = command->message;
	result->reply.output = command->output;
	result->state = command->state;
	result->index = command->index;
	result->replayed = true;
}

/* Run an operation on a service that is locked for it. */
static void
run(AtxCall *call, const Operation *operation, AtxReply *reply)
{
	memset(reply, 0, sizeof(*reply));
	if (operation->access == ATX_ACCESS_NONE)
		atx_reply_refused(reply, ATX_STATUS_NOT_SUPPORTED,
						  psprintf("a %s does not support this operation", operation->type->name));
	else
		operation->type->apply(call, operation->input, reply);
}

static AtxCommandState
state_of(const AtxReply *reply)
{
	return reply->running ? ATX_COMMAND_RUNNING : ATX_COMMAND_COMPLETE;
}

/* The index of the answer: that of the change, or the newest there is. */
static int64
answer_index(AtxCall *call)
{
	return call->changed ? atx_call_index(call) : atx_index_newest();
}

static AtxCall
call_of(const AtxNumbered *numbered)
{
	AtxCall		call = {
		.service = numbered->admission.service,
		.type = atx_service_type_get(numbered->admission.service.type),
		.authority = numbered->authority,
		.moment = atx_moment(numbered->authority),
		.session_id = numbered->session_id,
		.sequence_num = numbered->sequence_num
	};

	return call;
}

/* The answer that a face may want recorded as the command's outcome. */
static AtxAnswer
refuse(const AtxNumbered *numbered, const AtxAddress *address, AtxAnswer answer,
	   AtxResult *result)
{
	if (!address->record_refusals)
		return answer;
	atx_reply_refused(&result->reply, atx_status_of(answer.outcome), answer.message);
	result->state = ATX_COMMAND_COMPLETE;
	result->index = atx_index_newest();
	result->replayed = false;
	atx_numbered_record(numbered, &result->reply, result->index);
	return ATX_ANSWER_DONE;
}

/* Execute a command that has begun and is no replay. */
static AtxAnswer
carry_out(const AtxNumbered *numbered, const AtxAddress *address,
		  const Operation *operation, AtxResult *result)
{
	AtxCall		call;

	if (!numbered->admission.attached || operation->type == NULL)
		return refuse(numbered, address, not_open(address, numbered->admission.deleted), result);

	if (operation->access >= ATX_ACCESS_EXCLUSIVE)
		atx_service_require_unchanged(numbered->service_id);
	call = call_of(numbered);
	if (call.type->claims != NULL && operation->access >= ATX_ACCESS_EXCLUSIVE)
		atx_prepare_claims(&call);
	run(&call, operation, &result->reply);
	atx_save_service(&call);
	result->state = state_of(&result->reply);
	result->index = answer_index(&call);
	result->replayed = false;
	atx_numbered_record(numbered, &result->reply, result->index);
	return ATX_ANSWER_DONE;
}

/*
 * Execute a command, or tell again what came of it.
 */
AtxAnswer
atx_command(AtxScope *scope, const AtxAddress *address, const AtxPayload *payload,
			AtxResult *result)
{
	AtxNumbered numbered = {
		.session_id = address->session_id,
		.sequence_num = address->sequence_num,
		.service_id = address->service_id,
		.operation = ATX_OPERATION_SERVICE,
		.fingerprint = fingerprint_of(address->service_id, payload)
	};
	Operation	operation = decode(address->session_id, address->service_id, payload);
	AtxAnswer	answer = atx_numbered_begin(scope, &numbered, operation.access);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (numbered.replay)
	{
		replay(&numbered.admission.command, result);
		return answer;
	}
	return carry_out(&numbered, address, &operation, result);
}

/* A batch of commands on its way through one service. */
typedef struct Batch
{
	AtxNumbered numbered;		/* of the member at hand */
	const AtxPayload *payloads;
	Operation  *operations;
	AtxCommand *known;			/* numbers that were executed before */
	int			nknown;
	int			next_known;
	AtxCommand *executed;
	int			nexecuted;
	int64	   *entries;		/* locks of those that members change */
	int			nentries;
} Batch;

static AtxAccess
decode_all(Batch *batch, const AtxAddress *address, int count)
{
	AtxAccess	access = ATX_ACCESS_NONE;

	batch->operations = palloc(sizeof(Operation) * count);
	batch->entries = palloc(sizeof(int64) * count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		batch->operations[i] = decode(address->session_id, address->service_id,
									  &batch->payloads[i]);
		access = Max(access, batch->operations[i].access);
		if (batch->operations[i].entry != 0)
			batch->entries[batch->nentries++] = batch->operations[i].entry;
	}
	return batch->nentries > ATX_MAX_ENTRY_LOCKS ? Max(access, ATX_ACCESS_EXCLUSIVE) : access;
}

/* What is known of the member's number, or NULL. */
static const AtxCommand *
known_member(Batch *batch)
{
	while (batch->next_known < batch->nknown &&
		   batch->known[batch->next_known].sequence_num < batch->numbered.sequence_num)
		batch->next_known++;
	if (batch->next_known < batch->nknown &&
		batch->known[batch->next_known].sequence_num == batch->numbered.sequence_num)
		return &batch->known[batch->next_known];
	return NULL;
}

static AtxAnswer
check_member(Batch *batch, const AtxCommand *known)
{
	AtxNumbered *numbered = &batch->numbered;

	if (numbered->sequence_num == 0)
		return ATX_ANSWER_DONE;
	if (known != NULL)
		return atx_numbered_check(numbered, known);
	return atx_numbered_check_new(numbered, batch->nexecuted);
}

/*
 * A command that waits for a claim must be there when the claim is granted,
 * perhaps by the next member; others are recorded together.
 */
static void
record_member(Batch *batch, const AtxCall *call, const AtxResult *result)
{
	if (call->type->claims != NULL)
		atx_numbered_record(&batch->numbered, &result->reply, result->index);
	else
	{
		atx_numbered_check_output(&batch->numbered, result->reply.output);
		atx_numbered_describe(&batch->numbered, &result->reply, result->index,
							  &batch->executed[batch->nexecuted++]);
	}
}

static AtxAnswer
run_member(Batch *batch, AtxCall *call, int i, AtxResult *result)
{
	AtxNumbered *numbered = &batch->numbered;
	const AtxCommand *known = known_member(batch);
	AtxAnswer	answer;

	numbered->fingerprint = fingerprint_of(numbered->service_id, &batch->payloads[i]);
	answer = check_member(batch, known);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (known != NULL)
	{
		replay(known, result);
		return answer;
	}
	call->index = 0;
	call->changed = false;
	call->sequence_num = numbered->sequence_num;
	run(call, &batch->operations[i], &result->reply);
	result->state = state_of(&result->reply);
	result->index = answer_index(call);
	result->replayed = false;
	record_member(batch, call, result);
	return answer;
}

static AtxAnswer
run_all(Batch *batch, int count, AtxResult *results)
{
	AtxCall		call = call_of(&batch->numbered);
	int			step = batch->numbered.sequence_num == 0 ? 0 : 1;

	batch->executed = palloc(sizeof(AtxCommand) * count);
	if (call.type->claims != NULL)
		atx_prepare_claims(&call);
	for (int i = 0; i < count; i++)
	{
		AtxAnswer	answer;

		CHECK_FOR_INTERRUPTS();
		answer = run_member(batch, &call, i, &results[i]);
		if (answer.outcome != ATX_DONE)
			return answer;
		batch->numbered.sequence_num += step;
	}
	atx_save_service(&call);
	if (step > 0 && batch->nexecuted > 0)
	{
		atx_command_insert_many(batch->executed, batch->nexecuted);
		atx_numbers_applied(batch->numbered.session_id);
	}
	return ATX_ANSWER_DONE;
}

/*
 * Read the floor after the numbers that are known: one that was acknowledged
 * between the two reads is either among these or below the floor.  Read the
 * other way round, it would be neither, and be executed again.
 */
static AtxAnswer
read_floor_anew(AtxScope *scope, AtxNumbered *numbered)
{
	AtxAdmission now;

	if (!atx_command_admit(numbered->session_id, 0, 0, scope->caller, &now))
		return atx_why_not_usable(numbered->session_id, scope->caller);
	numbered->admission.ack_floor = now.ack_floor;
	return ATX_ANSWER_DONE;
}

/*
 * Execute commands on one service in one go, with numbers in a row from that
 * of the address.  A member that is refused does not stop the others; a
 * number that cannot be used stops all.
 */
AtxAnswer
atx_commands(AtxScope *scope, const AtxAddress *address, const AtxPayload *payloads,
			 int count, AtxResult *results)
{
	Batch		batch = {
		.numbered = {
			.session_id = address->session_id,
			.sequence_num = address->sequence_num,
			.service_id = address->service_id,
			.operation = ATX_OPERATION_SERVICE,
			.fingerprint = fingerprint_of(address->service_id, &payloads[0])
		},
		.payloads = payloads
	};
	AtxAccess	access = decode_all(&batch, address, count);
	AtxAnswer	answer = atx_numbered_begin_many(scope, &batch.numbered, count, access);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (address->sequence_num != 0)
	{
		batch.nknown = atx_command_range(address->session_id, address->sequence_num,
										 address->sequence_num + count - 1, &batch.known);
		answer = read_floor_anew(scope, &batch.numbered);
		if (answer.outcome != ATX_DONE)
			return answer;
	}
	if ((!batch.numbered.admission.attached || batch.operations[0].type == NULL) &&
		batch.nknown < count)
		return not_open(address, batch.numbered.admission.deleted);
	if (access >= ATX_ACCESS_EXCLUSIVE)
		atx_service_require_unchanged(address->service_id);
	else if (batch.nentries > 1)
		atx_lock_all_exclusive(ATX_LOCK_ENTRY, batch.entries, batch.nentries);
	return run_all(&batch, count, results);
}

/*
 * The moment at which something is read.  Where the lease clock is not known,
 * as on a standby, nothing counts as expired.
 */
AtxMoment
atx_moment_to_read(const AtxAuthority *authority)
{
	AtxMoment	unknown = {.epoch = -1};

	return authority == NULL || RecoveryInProgress() ? unknown : atx_moment(authority);
}

/*
 * Evaluate an operation that only reads, after the commands of the session up
 * to the number in the address.
 */
AtxAnswer
atx_query(AtxScope *scope, const AtxAddress *address, const AtxPayload *payload,
		  AtxResult *result)
{
	AtxAnswer	answer = atx_await_numbers(scope, address->session_id, address->sequence_num);
	AtxCall		call = {.session_id = address->session_id};
	AtxAdmission admission;
	Operation	operation;

	if (answer.outcome != ATX_DONE)
		return answer;
	operation = decode(address->session_id, address->service_id, payload);
	result->state = ATX_COMMAND_COMPLETE;
	result->index = atx_index_newest();
	result->replayed = false;
	if (!atx_command_admit(address->session_id, 0, address->service_id, scope->caller, &admission))
		return atx_why_not_usable(address->session_id, scope->caller);
	if (!admission.attached || operation.type == NULL)
		return not_open(address, admission.deleted);
	if (operation.access > ATX_ACCESS_READ)
		return atx_answer(ATX_INVALID, pstrdup("a query must not change anything"));

	call.service = admission.service;
	call.type = operation.type;
	call.authority = atx_authority_current();
	call.moment = atx_moment_to_read(call.authority);
	run(&call, &operation, &result->reply);
	return answer;
}

static AtxFingerprint
fingerprint_of_service(const char *type, const char *namespace, const char *name)
{
	StringInfoData request;

	initStringInfo(&request);
	atx_fingerprint_add(&request, type, strlen(type));
	atx_fingerprint_add(&request, namespace, strlen(namespace));
	atx_fingerprint_add(&request, name, strlen(name));
	return atx_fingerprint(&request);
}

/* The outcome of opening or closing is the service's id. */
static void
reply_service_id(int64 service_id, AtxReply *reply)
{
	uint64		wire = pg_hton64((uint64) service_id);

	reply->status = ATX_STATUS_OK;
	reply->message = NULL;
	reply->output = palloc(VARHDRSZ + sizeof(wire));
	SET_VARSIZE(reply->output, VARHDRSZ + sizeof(wire));
	memcpy(VARDATA(reply->output), &wire, sizeof(wire));
}

static int64
service_id_of_reply(const AtxReply *reply)
{
	uint64		wire;

	if (reply->output == NULL || VARSIZE_ANY_EXHDR(reply->output) != sizeof(wire))
		return 0;
	memcpy(&wire, VARDATA_ANY(reply->output), sizeof(wire));
	return (int64) pg_ntoh64(wire);
}

/*
 * Have a session open the service of that type and name, as a command.
 */
AtxAnswer
atx_command_create(AtxScope *scope, const AtxAddress *address, const char *type,
				   const char *namespace, const char *name, AtxResult *result,
				   int64 *service_id)
{
	AtxNumbered numbered = {
		.session_id = address->session_id,
		.sequence_num = address->sequence_num,
		.operation = ATX_OPERATION_CREATE,
		.fingerprint = fingerprint_of_service(type, namespace, name)
	};
	AtxAnswer	answer = atx_numbered_begin(scope, &numbered, ATX_ACCESS_NONE);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (numbered.replay)
	{
		replay(&numbered.admission.command, result);
		*service_id = service_id_of_reply(&result->reply);
		return answer;
	}
	answer = atx_attach_service(numbered.authority, address->session_id, type,
								namespace, name, service_id);
	if (answer.outcome == ATX_LIMIT_REACHED)
		return answer;
	if (answer.outcome != ATX_DONE)
		return refuse(&numbered, address, answer, result);
	reply_service_id(*service_id, &result->reply);
	result->state = ATX_COMMAND_COMPLETE;
	result->index = atx_index_newest();
	result->replayed = false;
	atx_numbered_record(&numbered, &result->reply, result->index);
	return answer;
}

/*
 * Have a session close a service, as a command; *detached is false if it was
 * not open, which is no error: closing may be repeated.
 */
AtxAnswer
atx_command_close(AtxScope *scope, const AtxAddress *address, AtxResult *result,
				  bool *detached)
{
	AtxNumbered numbered = {
		.session_id = address->session_id,
		.sequence_num = address->sequence_num,
		.service_id = address->service_id,
		.operation = ATX_OPERATION_CLOSE
	};
	AtxAdmission admission;
	bool		attached;
	AtxAnswer	answer;

	memcpy(numbered.fingerprint.bytes, &address->service_id, sizeof(address->service_id));
	/* Who has not opened it does not wait for it. */
	attached = atx_command_admit(address->session_id, 0, address->service_id, scope->caller,
								 &admission) && admission.attached;
	answer = atx_numbered_begin(scope, &numbered,
								attached ? ATX_ACCESS_RELEASE : ATX_ACCESS_NONE);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (numbered.replay)
	{
		replay(&numbered.admission.command, result);
		return answer;
	}
	*detached = false;
	if (attached && numbered.admission.attached)
	{
		AtxCall		call = call_of(&numbered);

		*detached = atx_detach_service(&call);
		atx_save_service(&call);
	}
	reply_service_id(address->service_id, &result->reply);
	result->state = ATX_COMMAND_COMPLETE;
	result->index = atx_index_newest();
	result->replayed = false;
	atx_numbered_record(&numbered, &result->reply, result->index);
	return answer;
}

/*
 * A service by its name, and what of it is asked for.  What a number stands
 * for is the name: another service may bear it by the time of a retry.
 */
static AtxFingerprint
fingerprint_of_named(const AtxNamedService *named, const AtxPayload *payload)
{
	StringInfoData request;

	initStringInfo(&request);
	atx_fingerprint_add(&request, named->namespace, strlen(named->namespace));
	atx_fingerprint_add(&request, named->name, strlen(named->name));
	atx_fingerprint_add(&request, payload->data, payload->len);
	return atx_fingerprint(&request);
}

/* The id of the service that has the name, for who may know of it; 0: none. */
static int64
id_of_named(const AtxNamedService *named)
{
	atx_require_right(named->namespace, ATX_PRIVILEGE_READ);
	return atx_service_id(named->namespace, named->name);
}

static const AtxServiceType *
type_of_named(const AtxNamedService *named, int64 service_id)
{
	AtxService	service;

	if (service_id != 0)
		return atx_service_load(service_id, &service) ? atx_service_type_get(service.type) : NULL;
	return named->type != NULL ? atx_service_type_find(named->type) : NULL;
}

/* Decode for the service that has the name, or for one that is to come. */
static Operation
decode_named(const AtxNamedService *named, int64 service_id, const AtxPayload *payload)
{
	return decode_as(type_of_named(named, service_id), service_id,
					 named->namespace, payload);
}

/*
 * Is that an operation that changes nothing?
 */
bool
atx_named_only_reads(const AtxNamedService *named, const AtxPayload *payload)
{
	Operation	operation = decode_named(named, id_of_named(named), payload);

	return operation.access == ATX_ACCESS_READ;
}

static AtxAnswer
named_not_open(const AtxAddress *address, const AtxNamedService *named)
{
	return atx_answer(ATX_SERVICE_NOT_OPEN,
					  psprintf("service \"%s\" is not open in session " INT64_FORMAT,
							   named->name, address->session_id));
}

/* Is the service of another type than it was called? */
static bool
type_differs(const AtxNamedService *named, const Operation *operation)
{
	return named->type != NULL && operation->type != NULL &&
		strcmp(named->type, operation->type->name) != 0;
}

/*
 * Open the service for a command that has begun, and begin it anew.  Who is
 * going to change it locks it for that first.
 */
static AtxAnswer
open_named(AtxScope *scope, AtxNumbered *numbered, const AtxNamedService *named,
		   const AtxPayload *payload, Operation *operation, AtxAnswer *refusal)
{
	int64		service_id = 0;

	if (numbered->service_id != 0 && !type_differs(named, operation))
		atx_lock_service(numbered->service_id, numbered->session_id, operation->access);
	*refusal = atx_attach_service(numbered->authority, numbered->session_id, named->type,
								  named->namespace, named->name, &service_id);
	if (refusal->outcome != ATX_DONE)
		return refusal->outcome == ATX_LIMIT_REACHED ? *refusal : ATX_ANSWER_DONE;
	numbered->service_id = service_id;
	*operation = decode(numbered->session_id, service_id, payload);
	return atx_numbered_begin(scope, numbered, operation->access);
}

/*
 * Execute a command on a service by its name, after all of its session with
 * lesser numbers: unavailable if one of these does not come within
 * atomix.query_wait.
 */
AtxAnswer
atx_named_command(AtxScope *scope, const AtxAddress *address, const AtxNamedService *named,
				  const AtxPayload *payload, AtxResult *result)
{
	AtxNumbered numbered = {
		.session_id = address->session_id,
		.sequence_num = address->sequence_num,
		.operation = ATX_OPERATION_SERVICE,
		.fingerprint = fingerprint_of_named(named, payload)
	};
	AtxAnswer	refusal = ATX_ANSWER_DONE;
	AtxAnswer	answer = ATX_ANSWER_DONE;
	Operation	operation;

	if (numbered.sequence_num != 0)
		answer = atx_await_turn(scope, address->session_id, address->sequence_num);
	if (answer.outcome != ATX_DONE)
		return answer;
	numbered.service_id = id_of_named(named);
	operation = decode_named(named, numbered.service_id, payload);
	answer = atx_numbered_begin(scope, &numbered, operation.access);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (numbered.replay)
	{
		replay(&numbered.admission.command, result);
		return answer;
	}

	if (named->type != NULL && (!numbered.admission.attached || type_differs(named, &operation)))
		answer = open_named(scope, &numbered, named, payload, &operation, &refusal);
	else if (!numbered.admission.attached)
		refusal = named_not_open(address, named);
	if (answer.outcome != ATX_DONE)
		return answer;
	return refusal.outcome == ATX_DONE ?
		carry_out(&numbered, address, &operation, result) :
		refuse(&numbered, address, refusal, result);
}

/*
 * Evaluate an operation of a service by its name that only reads.
 */
AtxAnswer
atx_named_query(AtxScope *scope, const AtxAddress *address, const AtxNamedService *named,
				const AtxPayload *payload, AtxResult *result)
{
	AtxAddress	found = *address;
	AtxAnswer	answer;

	found.service_id = id_of_named(named);
	answer = atx_query(scope, &found, payload, result);
	return answer.outcome == ATX_SERVICE_NOT_OPEN ? named_not_open(address, named) : answer;
}
