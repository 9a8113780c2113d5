/*-------------------------------------------------------------------------
 *
 * service_type.c
 *	  The types of services there are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/codec.h"
#include "base/spi.h"
#include "services/service_type.h"

static const AtxServiceType *const types[] = {
	&atx_counter_type,
	&atx_map_type,
	&atx_lock_type,
	&atx_semaphore_type,
	&atx_election_type
};

/*
 * The type of that name, or NULL.
 */
const AtxServiceType *
atx_service_type_find(const char *name)
{
	for (int i = 0; i < lengthof(types); i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i];
	return NULL;
}

/*
 * The type that a service in the table has.
 */
const AtxServiceType *
atx_service_type_get(const char *name)
{
	const AtxServiceType *type = atx_service_type_find(name);

	if (type == NULL)
		atx_refuse_word("atomix.service", name);
	return type;
}

/*
 * The answer to who asks for a type that does not exist.
 */
AtxAnswer
atx_service_type_unknown(const char *name)
{
	AtxAnswer	answer = atx_answer(ATX_SERVICE_TYPE_UNKNOWN,
									psprintf("service type \"%s\" does not exist", name));
	StringInfoData hint;

	initStringInfo(&hint);
	appendStringInfoString(&hint, "The types are");
	for (int i = 0; i < lengthof(types); i++)
		appendStringInfo(&hint, "%s \"%s\"", i == 0 ? "" : ",", types[i]->name);
	appendStringInfoChar(&hint, '.');
	answer.hint = hint.data;
	return answer;
}

/*
 * The index of the change that the call is making.
 */
int64
atx_call_index(AtxCall *call)
{
	call->changed = true;
	if (call->index == 0)
		call->index = atx_index_draw(call->authority);
	return call->index;
}

/*
 * Reply that the operation is refused.
 */
void
atx_reply_refused(AtxReply *reply, AtxStatus status, char *message)
{
	reply->status = status;
	reply->message = message;
	reply->output = NULL;
}

/*
 * Reply that it is done, with its output.
 */
void
atx_reply_message(AtxReply *reply, const ProtobufCMessage *output)
{
	reply->status = ATX_STATUS_OK;
	reply->message = NULL;
	reply->output = atx_encode(output);
}
