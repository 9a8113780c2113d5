/*-------------------------------------------------------------------------
 *
 * map.c
 *	  Service type map: bytes by key, each entry with the index of its last
 *	  change and perhaps a time to live.
 *
 * Operations on one key are kept in order by the entry's row, so that those
 * on different keys do not wait for each other; all of them hold the
 * service's lock shared, and clear holds it exclusive.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"

#include "atomix/multiraft/map/v1/map.pb-c.h"
#include "base/codec.h"
#include "base/duration.h"
#include "base/transaction.h"
#include "compat.h"
#include "services/feed.h"
#include "services/map.h"
#include "tables/limit.h"
#include "services/stream.h"

/* Entries read at once to tell of their removal. */
#define TELL_ROWS	1000

#define OPERATION(name) \
	ATOMIX__MULTIRAFT__MAP__V1__MAP_INPUT__PAYLOAD_##name
#define RESULT(name) \
	ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__PAYLOAD_##name

typedef Atomix__Multiraft__Map__V1__MapInput MapInput;
typedef Atomix__Multiraft__Map__V1__MapOutput MapOutput;
typedef Atomix__Multiraft__Map__V1__Entry Entry;
typedef Atomix__Multiraft__Map__V1__Value Value;
typedef Atomix__Multiraft__Map__V1__Event Event;
typedef Atomix__Multiraft__Map__V1__Event__Type EventType;

/* Which present entries a write accepts, besides that with its prev_index. */
typedef enum Presence
{
	ANY,
	ABSENT,
	PRESENT
} Presence;

static bool
same_bytes(const bytea *a, const bytea *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static void
check_key(const char *key, int64 limit)
{
	if (strlen(key) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("key is too long"),
				 errdetail("It has %zu bytes; the limit is " INT64_FORMAT ".", strlen(key), limit)));
}

/*
 * Read an entry that is to be changed, as it is now; false if there is no
 * row.
 */
static bool
find_to_change(AtxCall *call, const char *key, AtxEntry *entry)
{
	CHECK_FOR_INTERRUPTS();
	atx_entry_require_unchanged(call->service.service_id, key);
	return atx_entry_find(call->service.service_id, key, &call->moment, entry);
}

/* A live entry for all but its row is none. */
static bool
find_live(AtxCall *call, const char *key, AtxEntry *entry, bool *has_row)
{
	*has_row = find_to_change(call, key, entry);
	return *has_row && !entry->expired;
}

static AtxTick
expiry_of(const AtxCall *call, int64 ttl)
{
	AtxTick		at;

	if (ttl == ATX_NO_TTL)
		return ATX_NO_EXPIRY;
	return pg_add_s64_overflow(call->moment.now, ttl, &at) ? PG_INT64_MAX : at;
}

/* Is the write to be refused, given what there is? */
static AtxStatus
check_presence(const AtxMapAnswer *answer, Presence wanted, int64 prev_index)
{
	if (wanted == ABSENT && answer->existed)
		return ATX_STATUS_ALREADY_EXISTS;
	if (wanted == PRESENT && !answer->existed)
		return ATX_STATUS_NOT_FOUND;
	if (prev_index != 0 && (!answer->existed || answer->before.index != prev_index))
		return ATX_STATUS_CONFLICT;
	return ATX_STATUS_OK;
}

/*
 * Write an entry if what there is may be replaced.  With keep_equal, one that
 * has these bytes already keeps its index; only its time to live becomes what
 * the write says.
 */
static AtxMapAnswer
write_entry(AtxCall *call, const AtxMapWrite *write, Presence wanted, bool keep_equal)
{
	int64		service_id = call->service.service_id;
	AtxMapAnswer answer;
	bool		has_row;
	bool		written;

	check_key(write->key, atx_limit(ATX_LIMIT_KEY_LENGTH, call->service.namespace));
	atx_limit_check_size(ATX_LIMIT_VALUE_SIZE, call->service.namespace,
						 VARSIZE_ANY_EXHDR(write->value));
	do
	{
		bool		keep;

		/* An index drawn before the change of somebody else is too low. */
		call->index = 0;
		call->changed = false;
		answer.existed = find_live(call, write->key, &answer.before, &has_row);
		answer.status = check_presence(&answer, wanted, write->prev_index);
		if (answer.status != ATX_STATUS_OK)
			return answer;

		answer.entry.key = write->key;
		answer.entry.value = write->value;
		answer.entry.expires_at = expiry_of(call, write->ttl);
		answer.entry.expired = false;
		keep = keep_equal && answer.existed && same_bytes(answer.before.value, write->value);
		if (keep && answer.before.expires_at == answer.entry.expires_at)
		{
			answer.entry = answer.before;
			return answer;
		}
		answer.entry.index = keep ? answer.before.index : atx_call_index(call);
		atx_limit_write_entry(call->service.namespace, write->key,
							  has_row ? answer.before.value : NULL, write->value);
		written = has_row ?
			atx_entry_replace(service_id, &answer.entry, &call->moment, answer.before.index) :
			atx_entry_insert(service_id, &answer.entry, &call->moment);
		if (!written)
			atx_limit_write_entry(call->service.namespace, write->key, write->value,
								  has_row ? answer.before.value : NULL);
	} while (!written);			/* somebody else was first: look again */
	if (has_row && !answer.existed)
		atx_feed_add(call, "expired", write->key, NULL, answer.before.value);
	if (answer.entry.index == call->index)
		atx_feed_add(call, answer.existed ? "updated" : "inserted", write->key, write->value,
					 answer.existed ? answer.before.value : NULL);
	if (write->ttl != ATX_NO_TTL)
		atx_transaction_wakes_worker();
	return answer;
}

/*
 * Write an entry; CONFLICT unless the present one has prev_index, if given.
 */
AtxMapAnswer
atx_map_put(AtxCall *call, const AtxMapWrite *write)
{
	return write_entry(call, write, ANY, true);
}

/*
 * Write an entry that is not there; ALREADY_EXISTS if it is.
 */
AtxMapAnswer
atx_map_insert(AtxCall *call, const AtxMapWrite *write)
{
	return write_entry(call, write, ABSENT, false);
}

/*
 * Replace an entry that is there; NOT_FOUND if it is not, CONFLICT as above.
 */
AtxMapAnswer
atx_map_update(AtxCall *call, const AtxMapWrite *write)
{
	return write_entry(call, write, PRESENT, false);
}

/*
 * Remove an entry; NOT_FOUND and CONFLICT as above.
 */
AtxMapAnswer
atx_map_remove(AtxCall *call, const char *key, int64 prev_index)
{
	AtxMapAnswer answer;
	bool		has_row;

	check_key(key, ATX_MAX_KEY);
	do
	{
		answer.existed = find_live(call, key, &answer.before, &has_row);
		answer.status = check_presence(&answer, PRESENT, prev_index);
		if (answer.status != ATX_STATUS_OK)
			return answer;
	} while (!atx_entry_delete(call->service.service_id, key, answer.before.index));
	(void) atx_call_index(call);
	atx_limit_write_entry(call->service.namespace, key, answer.before.value, NULL);
	atx_feed_add(call, "removed", key, NULL, answer.before.value);
	return answer;
}

/* Tell of each entry that is about to be removed, be it gone for readers. */
static void
tell_of_all(AtxCall *call)
{
	char	   *after = NULL;
	AtxEntry   *entries;
	int			count = atx_entry_expire(call->service.service_id, &call->moment, INT_MAX, &entries);

	for (int i = 0; i < count; i++)
		atx_feed_add(call, "expired", entries[i].key, NULL, entries[i].value);
	do
	{
		count = atx_entry_page(call->service.service_id, after, TELL_ROWS, &call->moment, &entries);
		for (int i = 0; i < count; i++)
			atx_feed_add(call, "removed", entries[i].key, NULL, entries[i].value);
		after = count > 0 ? entries[count - 1].key : NULL;
	} while (count == TELL_ROWS);
}

/*
 * Remove all entries; returns how many.  Needs the service's lock exclusive.
 */
int64
atx_map_clear(AtxCall *call)
{
	int64		count;

	atx_entry_require_unchanged(call->service.service_id, NULL);
	if (call->service.watched)
		tell_of_all(call);
	count = atx_entry_clear(call->service.service_id, &call->moment);
	atx_limit_cleared(call->service.namespace);
	if (count > 0)
		(void) atx_call_index(call);
	return count;
}

/*
 * Read an entry; false if there is none.
 */
bool
atx_map_get(AtxCall *call, const char *key, AtxEntry *entry)
{
	return atx_entry_find(call->service.service_id, key, &call->moment, entry) &&
		!entry->expired;
}

static AtxAccess
access_of(const ProtobufCMessage *message)
{
	switch (((const MapInput *) message)->payload_case)
	{
		case OPERATION(SIZE):
		case OPERATION(GET):
			return ATX_ACCESS_READ;
		case OPERATION(PUT):
		case OPERATION(INSERT):
		case OPERATION(UPDATE):
		case OPERATION(REMOVE):
			return ATX_ACCESS_SHARED;
		case OPERATION(CLEAR):
			return ATX_ACCESS_EXCLUSIVE;
		case OPERATION(EVENTS):
		case OPERATION(ENTRIES):
			return ATX_ACCESS_WATCH;
		default:
			return ATX_ACCESS_NONE;
	}
}

static const char *
key_of(const ProtobufCMessage *message)
{
	const MapInput *input = (const MapInput *) message;

	switch (input->payload_case)
	{
		case OPERATION(PUT):
			return input->put->key;
		case OPERATION(INSERT):
			return input->insert->key;
		case OPERATION(UPDATE):
			return input->update->key;
		default:
			return input->remove->key;
	}
}

static bytea *
bytes_from_wire(const ProtobufCBinaryData *data)
{
	bytea	   *bytes = palloc(VARHDRSZ + data->len);

	SET_VARSIZE(bytes, VARHDRSZ + data->len);
	if (data->len > 0)
		memcpy(VARDATA(bytes), data->data, data->len);
	return bytes;
}

/* What a request wants written; false, with the reply, if it is malformed. */
static bool
write_from_wire(const char *key, const Value *value, uint64 index,
				AtxMapWrite *write, AtxReply *reply)
{
	static const ProtobufCBinaryData nothing = {0, NULL};

	write->key = atx_text_from_wire(key);
	write->value = bytes_from_wire(value ? &value->value : &nothing);
	write->ttl = ATX_NO_TTL;
	write->prev_index = (int64) index;
	if (index > (uint64) PG_INT64_MAX)
	{
		atx_reply_refused(reply, ATX_STATUS_INVALID, pstrdup("index is out of range"));
		return false;
	}
	if (value != NULL && value->ttl != NULL &&
		!atx_duration_from_wire(value->ttl, &write->ttl))
	{
		atx_reply_refused(reply, ATX_STATUS_INVALID, pstrdup("ttl is negative or malformed"));
		return false;
	}
	return true;
}

/* An entry as a message, palloc'd; without a value if it has none. */
static Entry *
entry_to_wire(const AtxCall *call, const AtxEntry *entry)
{
	Entry	   *message = palloc(sizeof(Entry));
	Value	   *value = palloc(sizeof(Value));

	atomix__multiraft__map__v1__entry__init(message);
	message->key = atx_text_to_wire(entry->key);
	message->index = (uint64) entry->index;
	if (entry->value == NULL)
		return message;
	atomix__multiraft__map__v1__value__init(value);
	message->value = value;
	value->value.len = VARSIZE_ANY_EXHDR(entry->value);
	value->value.data = (uint8 *) VARDATA_ANY(entry->value);
	if (entry->expires_at != ATX_NO_EXPIRY)
		value->ttl = atx_duration_to_wire(Max(0, entry->expires_at - call->moment.now));
	return message;
}

/* Reply why a write or a removal was refused. */
static void
reply_refused(const AtxMapAnswer *answer, const char *key, AtxReply *reply)
{
	char	   *message;

	switch (answer->status)
	{
		case ATX_STATUS_ALREADY_EXISTS:
			message = psprintf("key \"%s\" exists already", key);
			break;
		case ATX_STATUS_NOT_FOUND:
			message = psprintf("key \"%s\" does not exist", key);
			break;
		default:
			message = answer->existed ?
				psprintf("key \"%s\" was last changed at index " INT64_FORMAT, key, answer->before.index) :
				psprintf("key \"%s\" does not exist", key);
	}
	atx_reply_refused(reply, answer->status, message);
}

static void
reply_put(const AtxCall *call, const AtxMapAnswer *answer, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__PutOutput put = ATOMIX__MULTIRAFT__MAP__V1__PUT_OUTPUT__INIT;

	put.entry = entry_to_wire(call, &answer->entry);
	output.payload_case = RESULT(PUT);
	output.put = &put;
	atx_reply_message(reply, &output.base);
}

static void
reply_insert(const AtxCall *call, const AtxMapAnswer *answer, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__InsertOutput insert = ATOMIX__MULTIRAFT__MAP__V1__INSERT_OUTPUT__INIT;

	insert.entry = entry_to_wire(call, &answer->entry);
	output.payload_case = RESULT(INSERT);
	output.insert = &insert;
	atx_reply_message(reply, &output.base);
}

static void
reply_update(const AtxCall *call, const AtxMapAnswer *answer, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__UpdateOutput update = ATOMIX__MULTIRAFT__MAP__V1__UPDATE_OUTPUT__INIT;

	update.entry = entry_to_wire(call, &answer->entry);
	output.payload_case = RESULT(UPDATE);
	output.update = &update;
	atx_reply_message(reply, &output.base);
}

static void
apply_put(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	AtxMapWrite write;
	AtxMapAnswer answer;

	if (!write_from_wire(input->put->key, input->put->value, input->put->index,
						 &write, reply))
		return;
	answer = atx_map_put(call, &write);
	if (answer.status == ATX_STATUS_OK)
		reply_put(call, &answer, reply);
	else
		reply_refused(&answer, write.key, reply);
}

static void
apply_insert(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	AtxMapWrite write;
	AtxMapAnswer answer;

	if (!write_from_wire(input->insert->key, input->insert->value, 0, &write, reply))
		return;
	answer = atx_map_insert(call, &write);
	if (answer.status == ATX_STATUS_OK)
		reply_insert(call, &answer, reply);
	else
		reply_refused(&answer, write.key, reply);
}

static void
apply_update(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	AtxMapWrite write;
	AtxMapAnswer answer;

	if (!write_from_wire(input->update->key, input->update->value, input->update->index,
						 &write, reply))
		return;
	answer = atx_map_update(call, &write);
	if (answer.status == ATX_STATUS_OK)
		reply_update(call, &answer, reply);
	else
		reply_refused(&answer, write.key, reply);
}

static void
apply_remove(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__RemoveOutput remove = ATOMIX__MULTIRAFT__MAP__V1__REMOVE_OUTPUT__INIT;
	AtxMapWrite write;
	AtxMapAnswer answer;

	if (!write_from_wire(input->remove->key, NULL, input->remove->index, &write, reply))
		return;
	answer = atx_map_remove(call, write.key, write.prev_index);
	if (answer.status != ATX_STATUS_OK)
	{
		reply_refused(&answer, write.key, reply);
		return;
	}
	remove.entry = entry_to_wire(call, &answer.before);
	output.payload_case = RESULT(REMOVE);
	output.remove = &remove;
	atx_reply_message(reply, &output.base);
}

static void
apply_get(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__GetOutput get = ATOMIX__MULTIRAFT__MAP__V1__GET_OUTPUT__INIT;
	AtxMapAnswer absent = {.status = ATX_STATUS_NOT_FOUND};
	char	   *key = atx_text_from_wire(input->get->key);
	AtxEntry	entry;

	if (!atx_map_get(call, key, &entry))
	{
		reply_refused(&absent, key, reply);
		return;
	}
	get.entry = entry_to_wire(call, &entry);
	output.payload_case = RESULT(GET);
	output.get = &get;
	atx_reply_message(reply, &output.base);
}

static void
apply_size(AtxCall *call, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__SizeOutput size = ATOMIX__MULTIRAFT__MAP__V1__SIZE_OUTPUT__INIT;

	size.size = (uint32) Min(atx_entry_count(call->service.service_id, &call->moment),
							 PG_UINT32_MAX);
	output.payload_case = RESULT(SIZE);
	output.size = &size;
	atx_reply_message(reply, &output.base);
}

static void
apply_clear(AtxCall *call, AtxReply *reply)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__ClearOutput clear = ATOMIX__MULTIRAFT__MAP__V1__CLEAR_OUTPUT__INIT;

	(void) atx_map_clear(call);
	output.payload_case = RESULT(CLEAR);
	output.clear = &clear;
	atx_reply_message(reply, &output.base);
}

static void
open_events(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	char	   *key = atx_text_from_wire(input->events->key);
	AtxStreamRequest request = {
		.kind = ATX_STREAM_EVENTS,
		.key = key[0] == '\0' ? NULL : key,
		.replay_entries = input->events->replay
	};

	check_key(key, ATX_MAX_KEY);
	atx_stream_open(call, &request, reply);
}

static void
open_entries(AtxCall *call, const MapInput *input, AtxReply *reply)
{
	AtxStreamRequest request = {
		.kind = ATX_STREAM_ENTRIES,
		.replay_entries = true,
		.ends = !input->entries->watch
	};

	atx_stream_open(call, &request, reply);
}

static EventType
event_type(const char *type)
{
	if (strcmp(type, "inserted") == 0)
		return ATOMIX__MULTIRAFT__MAP__V1__EVENT__TYPE__INSERT;
	if (strcmp(type, "updated") == 0)
		return ATOMIX__MULTIRAFT__MAP__V1__EVENT__TYPE__UPDATE;
	if (strcmp(type, ATX_EVENT_REPLAY) == 0)
		return ATOMIX__MULTIRAFT__MAP__V1__EVENT__TYPE__REPLAY;
	return ATOMIX__MULTIRAFT__MAP__V1__EVENT__TYPE__REMOVE;
}

/* The entry that an event is about, as a message; value: its bytes, or NULL. */
static Entry *
changed_entry(const AtxEvent *event, const bytea *bytes)
{
	AtxEntry	entry = {
		.key = (char *) event->key,
		.value = (bytea *) bytes,
		.index = event->index,
		.expires_at = ATX_NO_EXPIRY
	};

	return entry_to_wire(NULL, &entry);
}

static bytea *
output_event(const AtxEvent *event)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__EventsOutput events = ATOMIX__MULTIRAFT__MAP__V1__EVENTS_OUTPUT__INIT;
	Event		change = ATOMIX__MULTIRAFT__MAP__V1__EVENT__INIT;

	output.payload_case = RESULT(EVENTS);
	output.events = &events;
	if (event != NULL)
	{
		events.event = &change;
		change.type = event_type(event->type);
		change.entry = changed_entry(event, event->value ? event->value : event->prev_value);
	}
	return atx_encode(&output.base);
}

/* An entry that was removed has no value, which an update always has. */
static bytea *
output_entry(const AtxEvent *event)
{
	MapOutput	output = ATOMIX__MULTIRAFT__MAP__V1__MAP_OUTPUT__INIT;
	Atomix__Multiraft__Map__V1__EntriesOutput entries = ATOMIX__MULTIRAFT__MAP__V1__ENTRIES_OUTPUT__INIT;

	output.payload_case = RESULT(ENTRIES);
	output.entries = &entries;
	if (event != NULL)
		entries.entry = changed_entry(event, event->value);
	return atx_encode(&output.base);
}

static bytea *
output_of(AtxStreamKind kind, const AtxEvent *event)
{
	return kind == ATX_STREAM_ENTRIES ? output_entry(event) : output_event(event);
}

static void
apply(AtxCall *call, const ProtobufCMessage *message, AtxReply *reply)
{
	const MapInput *input = (const MapInput *) message;

	switch (input->payload_case)
	{
		case OPERATION(PUT):
			apply_put(call, input, reply);
			break;
		case OPERATION(INSERT):
			apply_insert(call, input, reply);
			break;
		case OPERATION(UPDATE):
			apply_update(call, input, reply);
			break;
		case OPERATION(REMOVE):
			apply_remove(call, input, reply);
			break;
		case OPERATION(CLEAR):
			apply_clear(call, reply);
			break;
		case OPERATION(EVENTS):
			open_events(call, input, reply);
			break;
		case OPERATION(ENTRIES):
			open_entries(call, input, reply);
			break;
		case OPERATION(GET):
			apply_get(call, input, reply);
			break;
		default:
			apply_size(call, reply);
	}
}

const AtxServiceType atx_map_type = {
	.name = "map",
	.input = &atomix__multiraft__map__v1__map_input__descriptor,
	.access = access_of,
	.key = key_of,
	.apply = apply,
	.output = output_of
};
