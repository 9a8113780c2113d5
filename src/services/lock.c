/*-------------------------------------------------------------------------
 *
 * lock.c
 *	  Service types lock and semaphore.
 *
 * An exclusive claim on a lock takes all of its capacity, a shared one a unit
 * of it; one on a semaphore takes as many permits as it asks for.  A lock
 * speaks the protocol, where every acquire is a claim of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "atomix/multiraft/lock/v1/lock.pb-c.h"
#include "base/codec.h"
#include "base/duration.h"
#include "services/claims.h"

#define OPERATION(name) \
	ATOMIX__MULTIRAFT__LOCK__V1__LOCK_INPUT__INPUT_##name
#define RESULT(name) \
	ATOMIX__MULTIRAFT__LOCK__V1__LOCK_OUTPUT__OUTPUT_##name

typedef Atomix__Multiraft__Lock__V1__LockInput LockInput;
typedef Atomix__Multiraft__Lock__V1__LockOutput LockOutput;

static int64
whole_capacity(const AtxService *service)
{
	return ATX_WHOLE_CAPACITY;
}

static int64
permits(const AtxService *service)
{
	return service->value;
}

static bytea *
acquire_output(AtxCall *call, const AtxClaim *claim)
{
	LockOutput	output = ATOMIX__MULTIRAFT__LOCK__V1__LOCK_OUTPUT__INIT;
	Atomix__Multiraft__Lock__V1__AcquireOutput acquire =
	ATOMIX__MULTIRAFT__LOCK__V1__ACQUIRE_OUTPUT__INIT;

	acquire.index = (uint64) ATX_CLAIM_TOKEN(claim);
	output.output_case = RESULT(ACQUIRE);
	output.acquire = &acquire;
	return atx_encode(&output.base);
}

static AtxAccess
access_of(const ProtobufCMessage *message)
{
	switch (((const LockInput *) message)->input_case)
	{
		case OPERATION(GET):
			return ATX_ACCESS_READ;
		case OPERATION(ACQUIRE):
			return ATX_ACCESS_EXCLUSIVE;
		case OPERATION(RELEASE):
			return ATX_ACCESS_RELEASE;
		default:
			return ATX_ACCESS_NONE;
	}
}

static void
apply_acquire(AtxCall *call, const LockInput *input, AtxReply *reply)
{
	AtxClaimRequest request = {
		.session_id = call->session_id,
		.sequence_num = call->sequence_num,
		.weight = ATX_WHOLE_CAPACITY,
		.timeout = ATX_WAIT_FOR_EVER
	};
	AtxClaim	claim;

	if (input->acquire->timeout != NULL &&
		!atx_duration_from_wire(input->acquire->timeout, &request.timeout))
		atx_reply_refused(reply, ATX_STATUS_INVALID, pstrdup("timeout is not a positive duration"));
	else if (!atx_claim_request(call, &request, &claim))
		atx_reply_refused(reply, ATX_STATUS_CONFLICT, pstrdup(call->type->claims->held));
	else if (ATX_CLAIM_GRANTED(&claim))
	{
		reply->status = ATX_STATUS_OK;
		reply->output = acquire_output(call, &claim);
	}
	else if (call->sequence_num != 0)
		reply->running = true;
	else
	{
		(void) atx_claim_end(call, &claim);
		atx_reply_refused(reply, ATX_STATUS_INVALID,
						  pstrdup("a command that has to wait needs a sequence number"));
	}
}

/* The oldest grant of the session, if it has one. */
static bool
own_grant(AtxCall *call, AtxClaim *claim)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_session(call->session_id, call->service.service_id, &claims);
	bool		found = false;

	for (int i = 0; i < count; i++)
		if (ATX_CLAIM_GRANTED(&claims[i]) &&
			(!found || ATX_CLAIM_TOKEN(&claims[i]) < ATX_CLAIM_TOKEN(claim)))
		{
			*claim = claims[i];
			found = true;
		}
	return found;
}

static void
apply_release(AtxCall *call, AtxReply *reply)
{
	LockOutput	output = ATOMIX__MULTIRAFT__LOCK__V1__LOCK_OUTPUT__INIT;
	Atomix__Multiraft__Lock__V1__ReleaseOutput release =
	ATOMIX__MULTIRAFT__LOCK__V1__RELEASE_OUTPUT__INIT;
	AtxClaim	claim;

	if (!own_grant(call, &claim))
	{
		atx_reply_refused(reply, ATX_STATUS_CONFLICT, pstrdup("the session does not have the lock"));
		return;
	}
	atx_claim_end_or_retry(call, &claim);
	atx_claims_settle(call);
	output.output_case = RESULT(RELEASE);
	output.release = &release;
	atx_reply_message(reply, &output.base);
}

static void
apply_get(AtxCall *call, AtxReply *reply)
{
	LockOutput	output = ATOMIX__MULTIRAFT__LOCK__V1__LOCK_OUTPUT__INIT;
	Atomix__Multiraft__Lock__V1__GetOutput get = ATOMIX__MULTIRAFT__LOCK__V1__GET_OUTPUT__INIT;
	AtxClaim	claim;

	if (!atx_claim_granted(call->service.service_id, &claim) ||
		claim.session_id == ATX_DELAY_SESSION)
	{
		atx_reply_refused(reply, ATX_STATUS_NOT_FOUND, pstrdup("nobody has the lock"));
		return;
	}
	get.index = (uint64) ATX_CLAIM_TOKEN(&claim);
	output.output_case = RESULT(GET);
	output.get = &get;
	atx_reply_message(reply, &output.base);
}

static void
apply(AtxCall *call, const ProtobufCMessage *message, AtxReply *reply)
{
	const LockInput *input = (const LockInput *) message;

	switch (input->input_case)
	{
		case OPERATION(ACQUIRE):
			apply_acquire(call, input, reply);
			break;
		case OPERATION(RELEASE):
			apply_release(call, reply);
			break;
		default:
			apply_get(call, reply);
	}
}

static const AtxClaimRules lock_rules = {
	.capacity = whole_capacity,
	.fixed = true,
	.output = acquire_output,
	.held = "lock already held"
};

static const AtxClaimRules semaphore_rules = {
	.capacity = permits,
	.held = "no permits left"
};

const AtxServiceType atx_lock_type = {
	.name = "lock",
	.input = &atomix__multiraft__lock__v1__lock_input__descriptor,
	.access = access_of,
	.apply = apply,
	.claims = &lock_rules
};

const AtxServiceType atx_semaphore_type = {
	.name = "semaphore",
	.initial_value = 1,
	.claims = &semaphore_rules
};
