/*-------------------------------------------------------------------------
 *
 * message_types.c
 *	  Every protocol message, by its full name.
 *
 * A message that is missing from the table works as part of others but
 * cannot be named in SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "atomix/headers/headers.pb-c.h"
#include "atomix/multiraft/counter/v1/counter.pb-c.h"
#include "atomix/multiraft/election/v1/election.pb-c.h"
#include "atomix/multiraft/lock/v1/lock.pb-c.h"
#include "atomix/multiraft/map/v1/map.pb-c.h"
#include "atomix/multiraft/v1/events.pb-c.h"
#include "atomix/multiraft/v1/fsm.pb-c.h"
#include "atomix/multiraft/v1/headers.pb-c.h"
#include "atomix/multiraft/v1/partition.pb-c.h"
#include "atomix/primitive/primitive.pb-c.h"
#include "atomix/runtime/v1/primitive.pb-c.h"
#include "atomix/runtime/v1/session.pb-c.h"
#include "atomix/session/session.pb-c.h"
#include "base/message_types.h"
#include "base/nearest.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

const ProtobufCMessageDescriptor *const atx_message_types[] = {
	&atomix__election__close_session_request__descriptor,
	&atomix__election__close_session_response__descriptor,
	&atomix__election__keep_alive_request__descriptor,
	&atomix__election__keep_alive_response__descriptor,
	&atomix__election__open_session_request__descriptor,
	&atomix__election__open_session_response__descriptor,
	&atomix__headers__request_header__descriptor,
	&atomix__headers__response_header__descriptor,
	&atomix__headers__stream_header__descriptor,
	&atomix__multiraft__counter__v1__compare_and_set_input__descriptor,
	&atomix__multiraft__counter__v1__compare_and_set_output__descriptor,
	&atomix__multiraft__counter__v1__counter_input__descriptor,
	&atomix__multiraft__counter__v1__counter_output__descriptor,
	&atomix__multiraft__counter__v1__counter_snapshot__descriptor,
	&atomix__multiraft__counter__v1__decrement_input__descriptor,
	&atomix__multiraft__counter__v1__decrement_output__descriptor,
	&atomix__multiraft__counter__v1__event__descriptor,
	&atomix__multiraft__counter__v1__events_input__descriptor,
	&atomix__multiraft__counter__v1__events_output__descriptor,
	&atomix__multiraft__counter__v1__get_input__descriptor,
	&atomix__multiraft__counter__v1__get_output__descriptor,
	&atomix__multiraft__counter__v1__increment_input__descriptor,
	&atomix__multiraft__counter__v1__increment_output__descriptor,
	&atomix__multiraft__counter__v1__set_input__descriptor,
	&atomix__multiraft__counter__v1__set_output__descriptor,
	&atomix__multiraft__election__v1__anoint_input__descriptor,
	&atomix__multiraft__election__v1__anoint_output__descriptor,
	&atomix__multiraft__election__v1__demote_input__descriptor,
	&atomix__multiraft__election__v1__demote_output__descriptor,
	&atomix__multiraft__election__v1__enter_input__descriptor,
	&atomix__multiraft__election__v1__enter_output__descriptor,
	&atomix__multiraft__election__v1__evict_input__descriptor,
	&atomix__multiraft__election__v1__evict_output__descriptor,
	&atomix__multiraft__election__v1__get_term_input__descriptor,
	&atomix__multiraft__election__v1__get_term_output__descriptor,
	&atomix__multiraft__election__v1__leader_election_input__descriptor,
	&atomix__multiraft__election__v1__leader_election_output__descriptor,
	&atomix__multiraft__election__v1__promote_input__descriptor,
	&atomix__multiraft__election__v1__promote_output__descriptor,
	&atomix__multiraft__election__v1__term__descriptor,
	&atomix__multiraft__election__v1__watch_input__descriptor,
	&atomix__multiraft__election__v1__watch_output__descriptor,
	&atomix__multiraft__election__v1__withdraw_input__descriptor,
	&atomix__multiraft__election__v1__withdraw_output__descriptor,
	&atomix__multiraft__lock__v1__acquire_input__descriptor,
	&atomix__multiraft__lock__v1__acquire_output__descriptor,
	&atomix__multiraft__lock__v1__get_input__descriptor,
	&atomix__multiraft__lock__v1__get_output__descriptor,
	&atomix__multiraft__lock__v1__lock_input__descriptor,
	&atomix__multiraft__lock__v1__lock_output__descriptor,
	&atomix__multiraft__lock__v1__release_input__descriptor,
	&atomix__multiraft__lock__v1__release_output__descriptor,
	&atomix__multiraft__map__v1__clear_input__descriptor,
	&atomix__multiraft__map__v1__clear_output__descriptor,
	&atomix__multiraft__map__v1__entries_input__descriptor,
	&atomix__multiraft__map__v1__entries_output__descriptor,
	&atomix__multiraft__map__v1__entry__descriptor,
	&atomix__multiraft__map__v1__event__descriptor,
	&atomix__multiraft__map__v1__events_input__descriptor,
	&atomix__multiraft__map__v1__events_output__descriptor,
	&atomix__multiraft__map__v1__get_input__descriptor,
	&atomix__multiraft__map__v1__get_output__descriptor,
	&atomix__multiraft__map__v1__insert_input__descriptor,
	&atomix__multiraft__map__v1__insert_output__descriptor,
	&atomix__multiraft__map__v1__map_entry__descriptor,
	&atomix__multiraft__map__v1__map_input__descriptor,
	&atomix__multiraft__map__v1__map_key__descriptor,
	&atomix__multiraft__map__v1__map_listener__descriptor,
	&atomix__multiraft__map__v1__map_output__descriptor,
	&atomix__multiraft__map__v1__map_snapshot__descriptor,
	&atomix__multiraft__map__v1__map_value__descriptor,
	&atomix__multiraft__map__v1__put_input__descriptor,
	&atomix__multiraft__map__v1__put_output__descriptor,
	&atomix__multiraft__map__v1__remove_input__descriptor,
	&atomix__multiraft__map__v1__remove_output__descriptor,
	&atomix__multiraft__map__v1__size_input__descriptor,
	&atomix__multiraft__map__v1__size_output__descriptor,
	&atomix__multiraft__map__v1__update_input__descriptor,
	&atomix__multiraft__map__v1__update_output__descriptor,
	&atomix__multiraft__map__v1__value__descriptor,
	&atomix__multiraft__v1__close_service_input__descriptor,
	&atomix__multiraft__v1__close_service_output__descriptor,
	&atomix__multiraft__v1__close_session_input__descriptor,
	&atomix__multiraft__v1__close_session_output__descriptor,
	&atomix__multiraft__v1__close_session_request__descriptor,
	&atomix__multiraft__v1__close_session_response__descriptor,
	&atomix__multiraft__v1__command_request_headers__descriptor,
	&atomix__multiraft__v1__command_response_headers__descriptor,
	&atomix__multiraft__v1__create_service_input__descriptor,
	&atomix__multiraft__v1__create_service_output__descriptor,
	&atomix__multiraft__v1__keep_alive_input__descriptor,
	&atomix__multiraft__v1__keep_alive_output__descriptor,
	&atomix__multiraft__v1__keep_alive_request__descriptor,
	&atomix__multiraft__v1__keep_alive_response__descriptor,
	&atomix__multiraft__v1__leader_event__descriptor,
	&atomix__multiraft__v1__leader_updated_event__descriptor,
	&atomix__multiraft__v1__open_session_input__descriptor,
	&atomix__multiraft__v1__open_session_output__descriptor,
	&atomix__multiraft__v1__open_session_request__descriptor,
	&atomix__multiraft__v1__open_session_response__descriptor,
	&atomix__multiraft__v1__operation_request_headers__descriptor,
	&atomix__multiraft__v1__operation_response_headers__descriptor,
	&atomix__multiraft__v1__partition_event__descriptor,
	&atomix__multiraft__v1__partition_input__descriptor,
	&atomix__multiraft__v1__partition_output__descriptor,
	&atomix__multiraft__v1__partition_request_headers__descriptor,
	&atomix__multiraft__v1__partition_response_headers__descriptor,
	&atomix__multiraft__v1__query_request_headers__descriptor,
	&atomix__multiraft__v1__query_response_headers__descriptor,
	&atomix__multiraft__v1__service_input__descriptor,
	&atomix__multiraft__v1__service_output__descriptor,
	&atomix__multiraft__v1__service_request_headers__descriptor,
	&atomix__multiraft__v1__service_response_headers__descriptor,
	&atomix__multiraft__v1__session_input__descriptor,
	&atomix__multiraft__v1__session_output__descriptor,
	&atomix__multiraft__v1__session_request_headers__descriptor,
	&atomix__multiraft__v1__session_response_headers__descriptor,
	&atomix__multiraft__v1__watch_partition_request__descriptor,
	&atomix__multiraft__v1__watch_partition_response__descriptor,
	&atomix__primitive__name__descriptor,
	&atomix__runtime__v1__get_session_request__descriptor,
	&atomix__runtime__v1__get_session_response__descriptor,
	&atomix__runtime__v1__list_sessions_request__descriptor,
	&atomix__runtime__v1__list_sessions_response__descriptor,
	&atomix__runtime__v1__primitive_id__descriptor,
	&atomix__runtime__v1__session__descriptor,
	&atomix__runtime__v1__session_id__descriptor,
	&atomix__runtime__v1__session_meta__descriptor,
	&atomix__runtime__v1__session_spec__descriptor,
	&atomix__runtime__v1__session_status__descriptor,
	&google__protobuf__any__descriptor,
	&google__protobuf__duration__descriptor,
	&google__protobuf__timestamp__descriptor
};

const int	atx_message_type_count = lengthof(atx_message_types);

/*
 * The package of the first generation's sessions was first published under
 * the name of another, and is known by its own, too.
 */
#define OWN_PACKAGE			"atomix.session."
#define PUBLISHED_PACKAGE	"atomix.election."

static const char *
with_package(const char *name, const char *from, const char *to)
{
	size_t		len = strlen(from);

	return strncmp(name, from, len) == 0 ? psprintf("%s%s", to, name + len) : NULL;
}

/*
 * A name of a message, service or method as the .proto file has it, where it
 * is given with the package's own name.
 */
const char *
atx_published_name(const char *name)
{
	const char *published = with_package(name, OWN_PACKAGE, PUBLISHED_PACKAGE);

	return published != NULL ? published : name;
}

/*
 * The opposite, palloc'd; NULL if there is no such name.
 */
const char *
atx_own_name(const char *name)
{
	return with_package(name, PUBLISHED_PACKAGE, OWN_PACKAGE);
}

/*
 * The descriptor of the message with this full name, or NULL.
 */
const ProtobufCMessageDescriptor *
atx_message_type_find(const char *name)
{
	const char *published = atx_published_name(name);

	for (int i = 0; i < atx_message_type_count; i++)
	{
		if (strcmp(atx_message_types[i]->name, published) == 0)
			return atx_message_types[i];
	}
	return NULL;
}

/*
 * As atx_message_type_find, but raises 42704 for a name that is not known.
 */
const ProtobufCMessageDescriptor *
atx_message_type_get(const char *name)
{
	const ProtobufCMessageDescriptor *type = atx_message_type_find(name);
	AtxNearest	nearest;

	if (type != NULL)
		return type;

	nearest = atx_nearest_to(name);
	for (int i = 0; i < atx_message_type_count; i++)
	{
		type = atx_message_types[i];
		atx_nearest_try(&nearest, type->name, type->name);
		atx_nearest_try(&nearest, type->short_name, type->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("message \"%s\" does not exist", name),
			 nearest.name != NULL ?
			 errhint("Perhaps you meant \"%s\".", nearest.name) :
			 errhint("Name a message with its package, as in \"%s\".",
					 atomix__headers__request_header__descriptor.name)));
}
