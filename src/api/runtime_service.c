/*-------------------------------------------------------------------------
 *
 * runtime_service.c
 *	  Service atomix.runtime.v1.SessionService, in bytes: GetSession,
 *	  ListSessions.
 *
 * An object is a session with one of its services, or a session alone that has
 * none.  Its messages have no status, so what cannot be answered is an ERROR.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "api/partition_service.h"
#include "base/codec.h"
#include "base/doorbell.h"
#include "base/duration.h"
#include "base/errors.h"
#include "base/settings.h"
#include "base/spi.h"
#include "commands/rights.h"
#include "tables/session_object.h"
#include "atomix/runtime/v1/session.pb-c.h"

PG_FUNCTION_INFO_V1(atomix_runtime_get_session);
PG_FUNCTION_INFO_V1(atomix_runtime_list_sessions);

typedef Atomix__Runtime__V1__GetSessionRequest GetSessionRequest;
typedef Atomix__Runtime__V1__GetSessionResponse GetSessionResponse;
typedef Atomix__Runtime__V1__ListSessionsRequest ListSessionsRequest;
typedef Atomix__Runtime__V1__ListSessionsResponse ListSessionsResponse;
typedef Atomix__Runtime__V1__SessionMeta__LabelsEntry LabelsEntry;

#define STATE(name)	ATOMIX__RUNTIME__V1__SESSION_STATUS__STATE__##name

/* A session as a message, with the parts that it points to. */
typedef struct Object
{
	Atomix__Runtime__V1__Session session;
	Atomix__Runtime__V1__SessionMeta meta;
	Atomix__Runtime__V1__SessionId id;
	Atomix__Runtime__V1__PrimitiveId primitive;
	Atomix__Runtime__V1__SessionSpec spec;
	Atomix__Runtime__V1__SessionStatus status;
} Object;

static Atomix__Runtime__V1__SessionStatus__State
state_to_wire(const char *state)
{
	if (strcmp(state, "opening") == 0)
		return STATE(OPENING);
	if (strcmp(state, "opened") == 0)
		return STATE(OPENED);
	/* What became of one that is over is told by session_events(). */
	return strcmp(state, "closing") == 0 ? STATE(CLOSING) : STATE(CLOSED);
}

static char *
string_to_wire(const JsonbValue *value)
{
	return atx_text_to_wire(pnstrdup(value->val.string.val, value->val.string.len));
}

/* Labels are an object of strings, which open_session() has seen to. */
static void
fill_labels(Atomix__Runtime__V1__SessionMeta *meta, Jsonb *labels)
{
	JsonbIterator *it = JsonbIteratorInit(&labels->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	meta->labels = palloc(sizeof(LabelsEntry *) * Max(JB_ROOT_COUNT(labels), 1));
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			LabelsEntry *entry = palloc(sizeof(LabelsEntry));

			atomix__runtime__v1__session_meta__labels_entry__init(entry);
			entry->key = string_to_wire(&value);
			meta->labels[meta->n_labels++] = entry;
		}
		else if (token == WJB_VALUE && value.type == jbvString)
			meta->labels[meta->n_labels - 1]->value = string_to_wire(&value);
	}
}

static void
fill_meta(Object *object, const AtxSessionObject *from)
{
	atomix__runtime__v1__session_meta__init(&object->meta);
	atomix__runtime__v1__session_id__init(&object->id);
	atomix__runtime__v1__primitive_id__init(&object->primitive);
	object->meta.id = &object->id;
	object->meta.version = (uint64) from->version;
	object->id.name = atx_text_to_wire(from->name);
	object->id.primitive = &object->primitive;
	if (from->service != NULL)
		object->primitive.id = atx_text_to_wire(from->service);
	if (from->labels != NULL)
		fill_labels(&object->meta, from->labels);
}

static void
fill_spec(Object *object, const AtxSessionObject *from)
{
	const char *kind = from->kind != NULL ? from->kind : from->service_type;

	atomix__runtime__v1__session_spec__init(&object->spec);
	if (kind != NULL)
		object->spec.kind = atx_text_to_wire(kind);
	if (from->config != NULL)
		object->spec.config = (Google__Protobuf__Any *)
			atx_decode(&google__protobuf__any__descriptor, VARDATA_ANY(from->config),
					   VARSIZE_ANY_EXHDR(from->config));
}

static Object *
make_object(const AtxSessionObject *from)
{
	Object	   *object = palloc(sizeof(Object));

	atomix__runtime__v1__session__init(&object->session);
	fill_meta(object, from);
	fill_spec(object, from);
	atomix__runtime__v1__session_status__init(&object->status);
	object->status.state = from->state != NULL ? state_to_wire(from->state) : STATE(NONE);
	object->session.meta = &object->meta;
	object->session.spec = &object->spec;
	object->session.status = &object->status;
	return object;
}

static bool
may_show(Oid role, const AtxSessionObject *object)
{
	return object->service == NULL || object->namespace[0] == '\0' ||
		atx_has_right(object->namespace, ATX_PRIVILEGE_READ) ||
		has_privs_of_role(role, ROLE_PG_MONITOR);
}

/*
 * Leave out services that the role may not read (any more); a session that has
 * no others is left alone.  Returns how many objects remain.
 */
static int
hide_services(Oid role, AtxSessionObject *objects, int count)
{
	int			shown = 0;

	for (int first = 0, next; first < count; first = next)
	{
		int			before = shown;
		AtxSessionObject alone = objects[first];

		for (next = first; next < count && objects[next].session_id == alone.session_id; next++)
			if (may_show(role, &objects[next]))
				objects[shown++] = objects[next];
		if (shown == before)
		{
			alone.service = alone.service_type = NULL;
			objects[shown++] = alone;
		}
	}
	return shown;
}

/* The id in a name that an unnamed session could have; -1: it is none. */
static int64
id_of_name(const char *name)
{
	int64		id;

	if (name[0] < '1' || name[0] > '9' || strspn(name, "0123456789") != strlen(name))
		return -1;
	errno = 0;
	id = strtoll(name, NULL, 10);
	return errno == 0 ? id : -1;
}

/*
 * The object of a session, which is there with all its services, that is asked
 * for: with one of them, or the session alone.  Of a service that the session
 * has not to do with there is just that.
 */
static AtxSessionObject
choose_object(const AtxSessionObject *objects, int count, const char *service)
{
	AtxSessionObject chosen = objects[0];

	for (int i = 0; i < count; i++)
		if (service[0] != '\0' && objects[i].service != NULL &&
			strcmp(objects[i].service, service) == 0)
			return objects[i];
	chosen.service_type = NULL;
	chosen.service = (char *) service;
	if (service[0] != '\0')
		chosen.state = NULL;
	return chosen;
}

static AtxSessionObject
find_object(Oid role, const GetSessionRequest *request)
{
	const Atomix__Runtime__V1__SessionId *id = request->session_id;
	const char *name = id != NULL ? atx_text_from_wire(id->name) : "";
	const char *service = id != NULL && id->primitive != NULL ?
	atx_text_from_wire(id->primitive->id) : "";
	AtxSessionObject *objects;
	int			count = atx_session_objects_named(role, name, id_of_name(name), &objects);

	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ATX_SESSION_UNKNOWN),
				 errmsg("session \"%s\" is unknown", name)));
	return choose_object(objects, hide_services(role, objects, count), service);
}

/*
 * runtime_get_session(request bytea) returns bytea
 */
Datum
atomix_runtime_get_session(PG_FUNCTION_ARGS)
{
	GetSessionResponse response = ATOMIX__RUNTIME__V1__GET_SESSION_RESPONSE__INIT;
	GetSessionRequest *request;
	AtxSessionObject found;
	AtxScope	scope;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	request = (GetSessionRequest *)
		atx_decode_datum(&atomix__runtime__v1__get_session_request__descriptor, PG_GETARG_DATUM(0));

	atx_scope_enter_to_read(&scope);
	found = find_object(scope.caller, request);
	response.session = &make_object(&found)->session;
	result = atx_wire_encode(&scope, &response.base);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}

/* What is asked for, and how long it may take to come. */
typedef struct Listing
{
	const char *kind;
	int64		after;
	AtxTick		until;
	AtxSessionObject *found;
	int			count;
} Listing;

/*
 * Look for sessions, again and again until there are some or the time is over.
 */
static void
await_sessions(AtxScope *scope, Listing *listing)
{
	for (;;)
	{
		uint64		position = atx_doorbell_position(ATX_CHANNEL_VERSIONS);
		AtxTick		now = atx_now();

		CHECK_FOR_INTERRUPTS();
		listing->count = atx_session_objects(scope->caller, listing->after, listing->kind,
											 &listing->found);
		if (listing->count > 0 || now >= listing->until)
			break;
		(void) atx_doorbell_wait(ATX_CHANNEL_VERSIONS, &position,
								 Min(listing->until, now + ATX_POLL_INTERVAL));
		atx_scope_forget();
	}
}

static bytea *
encode_listing(AtxScope *scope, const Listing *listing)
{
	ListSessionsResponse response = ATOMIX__RUNTIME__V1__LIST_SESSIONS_RESPONSE__INIT;

	response.n_sessions = listing->count;
	response.sessions = palloc_extended(sizeof(*response.sessions) * Max(listing->count, 1),
										MCXT_ALLOC_HUGE);
	for (int i = 0; i < listing->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		response.sessions[i] = &make_object(&listing->found[i])->session;
	}
	return atx_wire_encode(scope, &response.base);
}

/*
 * runtime_list_sessions(request bytea, after_version bigint,
 * max_wait interval) returns bytea
 */
Datum
atomix_runtime_list_sessions(PG_FUNCTION_ARGS)
{
	int64		max_wait = atx_max_wait * ATX_TICKS_PER_MS;
	ListSessionsRequest *request;
	Listing		listing = {0};
	AtxScope	scope;
	bytea	   *result;

	atx_refuse_null(PG_ARGISNULL(0), "request");
	listing.after = atx_number_argument(fcinfo, 1, "after_version");
	if (!PG_ARGISNULL(2))
		max_wait = Min(max_wait, atx_duration_from_interval(PG_GETARG_INTERVAL_P(2), "max_wait"));
	request = (ListSessionsRequest *)
		atx_decode_datum(&atomix__runtime__v1__list_sessions_request__descriptor, PG_GETARG_DATUM(0));

	listing.kind = atx_text_from_wire(request->type);
	listing.until = request->watch ? atx_now() + max_wait : 0;
	atx_scope_enter(&scope);
	await_sessions(&scope, &listing);
	listing.count = hide_services(scope.caller, listing.found, listing.count);
	result = encode_listing(&scope, &listing);
	atx_scope_leave(&scope);
	PG_RETURN_BYTEA_P(result);
}
