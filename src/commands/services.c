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
#include "utils/hsearch.h"

#include "atomix.h"
#include "base/doorbell.h"
#include "base/private_lock.h"
#include "commands/jump.h"
#include "commands/placement.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "services/claims.h"
#include "services/stream.h"
#include "tables/attachment.h"
#include "tables/entry.h"
#include "tables/event.h"
#include "tables/limit.h"
#include "tables/placement.h"
#include "tables/session.h"
#include "tables/session_change.h"
#include "compat.h"

/* Names this process remembers before it begins anew. */
#define MAX_KNOWN_NAMES		4096

typedef struct KnownName
{
	uint64		hash;
	int64		service_id;
} KnownName;

static int
compare_claims(const void *a, const void *b)
{
	return pg_cmp_s64(((const AtxClaim *) a)->claim_id, ((const AtxClaim *) b)->claim_id);
}

static AtxAnswer
check_length(const char *what, const char *value, int64 limit)
{
	AtxAnswer	answer;

	if (strlen(value) <= limit)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_LIMIT_REACHED, psprintf("%s of a service is too long", what));
	answer.detail = psprintf("It has %zu bytes; the limit is " INT64_FORMAT ".", strlen(value), limit);
	return answer;
}

/*
 * Can a service be called that?
 */
AtxAnswer
atx_check_service_name(const char *namespace, const char *name)
{
	AtxAnswer	answer = check_length("name", name, ATX_MAX_NAME);

	if (answer.outcome == ATX_DONE)
		answer = check_length("namespace", namespace, ATX_MAX_NAME);
	if (answer.outcome == ATX_DONE && name[0] == '\0')
		answer = atx_answer(ATX_INVALID, pstrdup("name of a service must not be empty"));
	return answer;
}

/*
 * Lock the granted claims on a service, of a session or of all if that is 0,
 * or those of a session on all services, waiting for guards.  Before the service's lock, so that meanwhile others
 * can use the service.
 */
void
atx_lock_claims(int64 service_id, int64 session_id)
{
	AtxClaim   *claims;
	int			count = session_id != 0 ?
	atx_claims_of_session(session_id, service_id, &claims) :
	atx_claims_of_service(service_id, false, &claims);

	qsort(claims, count, sizeof(AtxClaim), compare_claims);
	for (int i = 0; i < count; i++)
		if (ATX_CLAIM_GRANTED(&claims[i]))
			atx_lock_exclusive(ATX_LOCK_CLAIM, claims[i].claim_id);
}

/*
 * Lock a service for an operation of a session (0: none), until the
 * transaction ends.
 */
void
atx_lock_service(int64 service_id, int64 session_id, AtxAccess access)
{
	if (access == ATX_ACCESS_RELEASE)
		atx_lock_claims(service_id, session_id);
	else if (access == ATX_ACCESS_MOVE)
		atx_lock_claims(service_id, 0);
	if (access == ATX_ACCESS_SHARED)
		atx_lock_shared(ATX_LOCK_SERVICE, service_id);
	else if (access >= ATX_ACCESS_EXCLUSIVE)
		atx_lock_exclusive(ATX_LOCK_SERVICE, service_id);
}

/*
 * Has an operation that would run beside others to be alone, because their
 * order is to be told?
 */
bool
atx_needs_order(const AtxService *service, AtxAccess access)
{
	return service->watched && access == ATX_ACCESS_SHARED;
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
	else if (access >= ATX_ACCESS_EXCLUSIVE)
		atx_unlock_exclusive(ATX_LOCK_SERVICE, service_id);
}

static AtxAnswer
check_type(const AtxService *service, const char *type, const char *namespace,
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

static uint64
hash_name(const char *namespace, const char *name)
{
	uint64		seed = hash_bytes_extended((const unsigned char *) namespace,
										   strlen(namespace), ATX_DEFAULT_PARTITION);

	return hash_bytes_extended((const unsigned char *) name, strlen(name), seed);
}

/*
 * The id of the lock of a service's name.
 */
int64
atx_service_name_lock(const char *namespace, const char *name)
{
	return (int64) hash_name(namespace, name);
}

/*
 * The id of the service of that name, which is not locked; 0 if there is none.
 */
int64
atx_service_id(const char *namespace, const char *name)
{
	AtxService	service;

	return atx_service_find(atx_partition_here(), namespace, name, &service) ?
		service.service_id : 0;
}

/*
 * Ids by the hashes of their names, as this process last found them.  Whoever
 * uses one makes sure of the name once the service is locked.
 */
static KnownName *
known_name(uint64 hash, HASHACTION action)
{
	static HTAB *known = NULL;

	if (known != NULL && hash_get_num_entries(known) >= MAX_KNOWN_NAMES)
	{
		hash_destroy(known);
		known = NULL;
	}
	if (known == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(uint64),.entrysize = sizeof(KnownName)};

		known = hash_create("atomix names of services", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	return hash_search(known, &hash, action, NULL);
}

/*
 * Find a service, or create it; it is not locked.
 *
 * Only one transaction creates services of a name at a time: the others would
 * wait for its row, where nobody could see what they wait for.
 */
static void
find_or_insert(const AtxAuthority *authority, const AtxServiceType *type,
			   const char *namespace, const char *name, AtxService *service)
{
	if (atx_service_find(atx_partition_here(), namespace, name, service))
		return;
	atx_lock_exclusive(ATX_LOCK_NAME, atx_service_name_lock(namespace, name));
	while (!atx_service_find(atx_partition_here(), namespace, name, service))
	{
		CHECK_FOR_INTERRUPTS();
		atx_limit_check_size(ATX_LIMIT_NAME_LENGTH, namespace, strlen(name));
		atx_limit_take_service(namespace);
		service->service_id = atx_index_draw(authority);
		service->partition_id = atx_partition_here();
		service->type = (char *) type->name;
		service->namespace = (char *) namespace;
		service->value = type->initial_value;
		service->revision = service->delay = 0;
		if (atx_service_insert(service, namespace, name))
			return;
	}
}

/*
 * The id of a service by its name, which is to be made sure of; 0 if there is
 * none, and it is not to be created.
 */
static int64
id_of_name(AtxCall *call, const AtxServiceType *type, const char *namespace,
		   const char *name, uint64 hash, bool create)
{
	KnownName  *known = known_name(hash, HASH_FIND);

	if (known != NULL)
		return known->service_id;
	if (create)
		find_or_insert(call->authority, type, namespace, name, &call->service);
	else if (!atx_service_find(atx_partition_here(), namespace, name, &call->service))
		return 0;
	return call->service.service_id;
}

/* Lock the service of a name and read it; false if there is none. */
static bool
lock_by_name(AtxCall *call, const AtxServiceType *type, const char *namespace,
			 const char *name, AtxAccess access, bool create)
{
	uint64		hash = hash_name(namespace, name);
	int64		service_id;

	while ((service_id = id_of_name(call, type, namespace, name, hash, create)) != 0)
	{
		CHECK_FOR_INTERRUPTS();
		atx_lock_service(service_id, call->session_id, access);
		if (atx_service_load_named(service_id, namespace, name, &call->service))
		{
			if (atx_needs_order(&call->service, access))
			{
				/* It has come to be watched: changes one after the other. */
				atx_unlock_service(service_id, access);
				access = ATX_ACCESS_EXCLUSIVE;
				continue;
			}
			known_name(hash, HASH_ENTER)->service_id = service_id;
			return true;
		}
		/* It has been deleted since. */
		(void) known_name(hash, HASH_REMOVE);
	}
	return false;
}

static AtxAnswer
use_service(AtxCall *call, const AtxServiceType *type, const char *namespace,
			const char *name, AtxPrivilege privilege, AtxAccess access, bool create,
			bool *found)
{
	AtxAnswer	answer = atx_check_service_name(namespace, name);

	if (answer.outcome != ATX_DONE)
		return answer;
	atx_require_right(namespace, privilege);
	*found = lock_by_name(call, type, namespace, name, access, create);
	call->type = type;
	if (!*found)
		return answer;
	answer = check_type(&call->service, type->name, namespace, name);
	if (answer.outcome == ATX_DONE)
		atx_service_require_unchanged(call->service.service_id);
	return answer;
}

/* To lock a service by its name is to change it, or to keep others from it. */
static AtxPrivilege
privilege_to_use(AtxAccess access)
{
	return Max(ATX_PRIVILEGE_WRITE, atx_privilege_for(access));
}

/*
 * Lock the service of that name for an operation and read it; it is created
 * if there is none.
 */
AtxAnswer
atx_use_service(AtxCall *call, const AtxServiceType *type, const char *namespace,
				const char *name, AtxAccess access)
{
	AtxAnswer	answer = atx_check_name_here(namespace, name);
	bool		found;

	return answer.outcome != ATX_DONE ? answer :
		use_service(call, type, namespace, name, privilege_to_use(access), access, true,
					&found);
}

/*
 * The same if it exists; *found tells.
 */
AtxAnswer
atx_use_existing_service(AtxCall *call, const AtxServiceType *type, const char *namespace,
						 const char *name, AtxAccess access, bool *found)
{
	AtxAnswer	answer = atx_check_name_here(namespace, name);

	*found = false;
	return answer.outcome != ATX_DONE ? answer :
		use_service(call, type, namespace, name, privilege_to_use(access), access, false,
					found);
}

/*
 * Read the service of that name without a lock; *found is false if there is
 * none.
 */
AtxAnswer
atx_find_service(AtxCall *call, const AtxServiceType *type,
				 const char *namespace, const char *name, bool *found)
{
	AtxAnswer	answer = atx_check_service_name(namespace, name);

	*found = false;
	if (answer.outcome == ATX_DONE)
		answer = atx_check_name_here(namespace, name);
	if (answer.outcome != ATX_DONE)
		return answer;
	atx_require_right(namespace, ATX_PRIVILEGE_READ);
	*found = atx_service_find(atx_partition_here(), namespace, name, &call->service);
	return *found ? check_type(&call->service, type->name, namespace, name) : answer;
}

/*
 * Write back what an operation has changed of the service's own row.
 */
void
atx_save_service(AtxCall *call)
{
	if (!call->dirty)
		return;
	if (call->service.watched && call->type->sum_up != NULL)
		call->type->sum_up(call);
	/* Where somebody watches, each event is a revision. */
	if (!call->service.watched)
		call->service.revision++;
	atx_service_save(&call->service);
	call->dirty = false;
}

/* Does the session have no more services open than it may? */
static AtxAnswer
check_attachments(int64 session_id)
{
	int64		limit = atx_limit(ATX_LIMIT_SESSION_SERVICES, ATX_EVERYWHERE);
	AtxAnswer	answer;

	if (atx_attachment_count(session_id) <= limit)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_LIMIT_REACHED,
						psprintf("session " INT64_FORMAT " has too many services open",
								 session_id));
	answer.detail = psprintf("The limit is " INT64_FORMAT "; all are in use.", limit);
	answer.hint = pstrdup("Close services that are no longer needed.");
	return answer;
}

/*
 * Lock the service of that name to open it: shared, so that who deletes it
 * shall see all that have it open.  Who may only read does not create it.
 */
static AtxAnswer
use_to_open(AtxCall *call, const AtxServiceType *type, const char *namespace,
			const char *name)
{
	bool		may_create = atx_has_right(namespace, ATX_PRIVILEGE_WRITE);
	bool		found = false;
	AtxAnswer	answer = use_service(call, type, namespace, name, ATX_PRIVILEGE_READ,
									 ATX_ACCESS_SHARED, may_create, &found);

	if (answer.outcome == ATX_DONE && !found)
		atx_require_right(namespace, ATX_PRIVILEGE_WRITE);
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
	const AtxServiceType *known = atx_service_type_find(type);
	AtxCall		call = {.authority = authority};
	AtxAnswer	answer;

	if (known == NULL)
		return atx_service_type_unknown(type);

	answer = use_to_open(&call, known, namespace, name);
	if (answer.outcome != ATX_DONE)
		return answer;
	*service_id = call.service.service_id;
	/* A limit is an error in every face, so what was inserted is undone. */
	if (atx_attachment_insert(session_id, *service_id))
	{
		answer = check_attachments(session_id);
		atx_session_service_opened(session_id);
		atx_session_change_add(&session_id, 1);
	}
	return answer;
}

/*
 * Have a session close a service, which is locked with the session's claims on
 * it: these end.  False if it was not open.
 */
bool
atx_detach_service(AtxCall *call)
{
	AtxStreamsOf streams = {
		.service_id = call->service.service_id,
		.newest = call->service.revision,
		.history = call->service.history,
		.session_id = call->session_id
	};

	if (!atx_attachment_delete(call->session_id, call->service.service_id))
		return false;
	atx_streams_close(&streams, ATX_STATUS_CANCELED, "the service was closed");
	if (call->type->claims != NULL)
		atx_claims_detach_session(call);
	atx_session_change_add(&call->session_id, 1);
	return true;
}

/* End all claims on a service, and answer the commands that wait for them. */
static void
delete_claims(AtxCall *call)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_service(call->service.service_id, true, &claims);

	for (int i = 0; i < count; i++)
	{
		atx_claim_cancel_command(call, &claims[i], ATX_STATUS_CANCELED, "the service was deleted");
		atx_claim_end_or_retry(call, &claims[i]);
	}
}

/*
 * ERROR 40001 while another transaction holds the service: a lock made anew
 * under its name could be granted beside it.
 */
static void
refuse_if_on_hold(int64 service_id, const char *name)
{
	if (!atx_try_lock_exclusive(ATX_LOCK_HOLD, service_id))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("service \"%s\" is held by another transaction", name),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * Delete a service with all its state, and tell the sessions that have it
 * open; *deleted is false if there is none.
 */
AtxAnswer
atx_delete_service(const char *namespace, const char *name, bool *deleted)
{
	AtxCall		call = {0};
	AtxAnswer	answer = atx_check_service_name(namespace, name);
	AtxStreamsOf streams = {0};
	int64		service_id;
	int64	   *session_ids;
	int			count;

	*deleted = false;
	if (answer.outcome == ATX_DONE)
		atx_require_right(namespace, ATX_PRIVILEGE_ADMIN);
	if (answer.outcome != ATX_DONE ||
		!atx_service_find(atx_partition_here(), namespace, name, &call.service))
		return answer;

	service_id = streams.service_id = call.service.service_id;
	atx_lock_service(service_id, 0, ATX_ACCESS_MOVE);
	*deleted = atx_service_load(service_id, &call.service);
	if (!*deleted)
		return answer;
	refuse_if_on_hold(service_id, name);
	call.type = atx_service_type_get(call.service.type);
	streams.newest = call.service.revision;
	streams.history = call.service.history;
	/* Its events go, so single changes are told to nobody any more. */
	call.service.watched = false;
	delete_claims(&call);
	atx_streams_close(&streams, atx_status_of(ATX_SERVICE_DELETED), "the service was deleted");
	(void) atx_entry_clear(service_id, &call.moment);
	(void) atx_event_delete(service_id, 0, PG_INT64_MAX);
	/* A position among its events must not pass for one of its successor. */
	if (call.service.oldest > 0)
		atx_event_raise_floor(service_id, call.service.revision);
	count = atx_attachment_service_deleted(service_id, &session_ids);
	atx_session_lock(session_ids, count);
	atx_session_change_add(session_ids, count);
	for (int i = 0; i < count; i++)
		atx_doorbell_ring(session_ids[i]);
	atx_service_delete(service_id);
	atx_limit_free_service(namespace);
	return answer;
}
