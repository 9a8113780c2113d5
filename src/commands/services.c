/*-------------------------------------------------------------------------
 *
 * services.c
 *	  Creating, opening, closing and deleting services.
 *
 * A service comes into being with its first use by name and stays until it
 * is deleted.  Rule as for sessions: the lock first, then the row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "atomix.h"
#include "base/doorbell.h"
#include "base/private_lock.h"
#include "commands/jump.h"
#include "commands/services.h"
#include "tables/attachment.h"
#include "tables/entry.h"
#include "tables/session.h"

static AtxAnswer
check_length(const char *what, const char *value)
{
	AtxAnswer	answer;

	if (strlen(value) <= ATX_MAX_NAME)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_LIMIT_REACHED, psprintf("%s of a service is too long", what));
	answer.detail = psprintf("It has %zu bytes; the limit is %d.", strlen(value), ATX_MAX_NAME);
	return answer;
}

/*
 * Can a service be called that?
 */
AtxAnswer
atx_check_service_name(const char *namespace, const char *name)
{
	AtxAnswer	answer = check_length("name", name);

	if (answer.outcome == ATX_DONE)
		answer = check_length("namespace", namespace);
	if (answer.outcome == ATX_DONE && name[0] == '\0')
		answer = atx_answer(ATX_INVALID, pstrdup("name of a service must not be empty"));
	return answer;
}

/*
 * Lock a service for an operation, until the transaction ends.
 */
void
atx_lock_service(int64 service_id, AtxAccess access)
{
	if (access == ATX_ACCESS_SHARED)
		atx_lock_shared(ATX_LOCK_SERVICE, service_id);
	else if (access == ATX_ACCESS_EXCLUSIVE)
		atx_lock_exclusive(ATX_LOCK_SERVICE, service_id);
}

/*
 * Give back a lock just taken, because the service turned out to be none of
 * the caller's business.
 */
void
atx_unlock_service(int64 service_id, AtxAccess access)
{
	if (access == ATX_ACCESS_SHARED)
		atx_unlock_shared(ATX_LOCK_SERVICE, service_id);
	else if (access == ATX_ACCESS_EXCLUSIVE)
		atx_unlock_exclusive(ATX_LOCK_SERVICE, service_id);
}

static AtxAnswer
check_type(const AtxService * service, const char *type, const char *namespace,
		   const char *name)
{
	AtxAnswer	answer;

	if (strcmp(service->type, type) == 0)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_SERVICE_TYPE_DIFFERS,
						namespace[0] == '\0' ?
						psprintf("service \"%s\" is of another type", name) :
						psprintf("service \"%s\" in namespace \"%s\" is of another type",
								 name, namespace));
	answer.detail = psprintf("Its type is \"%s\", not \"%s\".", service->type, type);
	return answer;
}

/*
 * Let nobody else create a service of that name until the transaction ends.
 * Without it others would wait for our row, where nobody could see why.
 */
static void
lock_name(const char *namespace, const char *name)
{
	uint64		first = hash_bytes_extended((const unsigned char *) namespace,
											strlen(namespace), ATX_DEFAULT_PARTITION);

	atx_lock_exclusive(ATX_LOCK_NAME,
					   (int64) hash_bytes_extended((const unsigned char *) name,
												   strlen(name), first));
}

/*
 * Find a service, or create it; it is not locked.
 */
static void
find_or_insert(const AtxAuthority *authority, const char *type,
			   const char *namespace, const char *name, AtxService * service)
{
	if (atx_service_find(ATX_DEFAULT_PARTITION, namespace, name, service))
		return;
	lock_name(namespace, name);
	while (!atx_service_find(ATX_DEFAULT_PARTITION, namespace, name, service))
	{
		CHECK_FOR_INTERRUPTS();
		service->service_id = atx_index_draw(authority);
		service->partition_id = ATX_DEFAULT_PARTITION;
		service->type = (char *) type;
		service->value = service->revision = 0;
		if (atx_service_insert(service, namespace, name))
			return;
	}
}

/*
 * Lock the service of that name for an operation and read it; it is created
 * if there is none.
 */
AtxAnswer
atx_use_service(AtxCall * call, const AtxServiceType * type, const char *namespace,
				const char *name, AtxAccess access)
{
	AtxAnswer	answer = atx_check_service_name(namespace, name);

	while (answer.outcome == ATX_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		find_or_insert(call->authority, type->name, namespace, name, &call->service);
		answer = check_type(&call->service, type->name, namespace, name);
		if (answer.outcome != ATX_DONE)
			break;
		atx_lock_service(call->service.service_id, access);
		/* It may have been deleted meanwhile. */
		if (!atx_service_load(call->service.service_id, &call->service))
			continue;
		atx_service_require_unchanged(call->service.service_id);
		break;
	}
	return answer;
}

/*
 * Read the service of that name without a lock; *found is false if there is
 * none.
 */
AtxAnswer
atx_find_service(AtxCall * call, const AtxServiceType * type,
				 const char *namespace, const char *name, bool *found)
{
	AtxAnswer	answer = atx_check_service_name(namespace, name);

	*found = false;
	if (answer.outcome != ATX_DONE)
		return answer;
	*found = atx_service_find(ATX_DEFAULT_PARTITION, namespace, name, &call->service);
	return *found ? check_type(&call->service, type->name, namespace, name) : answer;
}

/*
 * Write back what an operation has changed of the service's own row.
 */
void
atx_save_service(AtxCall * call)
{
	if (!call->dirty)
		return;
	call->service.revision++;
	atx_service_save(&call->service);
	call->dirty = false;
}

/* Does the session have no more services open than it may? */
static AtxAnswer
check_attachments(int64 session_id)
{
	AtxAnswer	answer;

	if (atx_attachment_count(session_id) <= ATX_MAX_ATTACHMENTS)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_LIMIT_REACHED,
						psprintf("session " INT64_FORMAT " has too many services open",
								 session_id));
	answer.detail = psprintf("The limit is %d.", ATX_MAX_ATTACHMENTS);
	answer.hint = pstrdup("Close services that are no longer needed.");
	return answer;
}

/*
 * Have a session open the service of that type and name, which is created if
 * there is none.  The caller holds the session's lock.
 */
AtxAnswer
atx_attach_service(const AtxAuthority *authority, int64 session_id,
				   const char *type, const char *namespace, const char *name,
				   int64 *service_id)
{
	const		AtxServiceType *known = atx_service_type_find(type);
	AtxCall		call = {.authority = authority};
	AtxAnswer	answer;

	if (known == NULL)
		return atx_service_type_unknown(type);

	/* Shared: who deletes the service shall see all that have it open. */
	answer = atx_use_service(&call, known, namespace, name, ATX_ACCESS_SHARED);
	if (answer.outcome != ATX_DONE)
		return answer;
	*service_id = call.service.service_id;
	/* A limit is an error in every face, so what was inserted is undone. */
	if (atx_attachment_insert(session_id, *service_id))
	{
		answer = check_attachments(session_id);
		atx_session_service_opened(session_id);
	}
	return answer;
}

/*
 * Have a session close a service; *detached is false if it was not open.
 */
AtxAnswer
atx_detach_service(int64 session_id, int64 service_id, bool *detached)
{
	*detached = atx_attachment_delete(session_id, service_id);
	return ATX_ANSWER_DONE;
}

/*
 * Delete a service with all its state, and tell the sessions that have it
 * open; *deleted is false if there is none.
 */
AtxAnswer
atx_delete_service(const char *namespace, const char *name, bool *deleted)
{
	AtxService	service;
	AtxMoment	moment = {0};
	AtxAnswer	answer = atx_check_service_name(namespace, name);
	int64	   *session_ids;
	int			count;

	*deleted = false;
	if (answer.outcome != ATX_DONE ||
		!atx_service_find(ATX_DEFAULT_PARTITION, namespace, name, &service))
		return answer;

	atx_lock_service(service.service_id, ATX_ACCESS_EXCLUSIVE);
	*deleted = atx_service_load(service.service_id, &service);
	if (!*deleted)
		return answer;
	(void) atx_entry_clear(service.service_id, &moment);
	count = atx_attachment_service_deleted(service.service_id, &session_ids);
	for (int i = 0; i < count; i++)
		atx_doorbell_ring(session_ids[i]);
	atx_service_delete(service.service_id);
	return answer;
}
