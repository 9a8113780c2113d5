/*-------------------------------------------------------------------------
 *
 * json_reader.c
 *	  Protocol messages from JSON documents.
 *
 * A document is guided by the descriptor of its message: what the descriptor
 * does not know is refused where it stands, so no document is followed deeper
 * than its message goes.  The memory taken is bounded as it is for messages
 * in bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "base/base64.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/json_number.h"
#include "base/json_place.h"
#include "base/json_time.h"
#include "base/settings.h"
#include "compat.h"

/*
 * A document may be so many times as large as the largest message: names of
 * fields, and numbers as strings, make it larger than the message it means.
 */
#define DOCUMENT_FACTOR		16

typedef struct Reader
{
	const ProtobufCMessageDescriptor *root; /* what the caller asked for */
	Size		used;			/* memory taken by the message */
	Size		budget;
} Reader;

static ProtobufCMessage *read_message(Reader *reader, const ProtobufCMessageDescriptor *type,
									  const JsonbValue *value, const AtxJsonPlace *place,
									  int depth);

/*
 * Refuse the document.  "problem" continues a sentence that begins with the
 * place; values are never shown, they may be secret.
 */
pg_noreturn static void
refuse(const Reader *reader, const AtxJsonPlace *place, const char *problem,
	   const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("could not read message \"%s\" from JSON", reader->root->name),
			 errdetail("%s %s.", atx_json_place_text(place), problem),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* Zeroed memory for the message. */
static void *
take(Reader *reader, Size size)
{
	reader->used += size;
	if (reader->used > reader->budget)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message \"%s\" is too large", reader->root->name),
				 errdetail("Reading it from JSON would take too much memory."),
				 errhint("Send less at a time, or raise \"atomix.max_message_size\".")));
	return palloc0(size);
}

/* A string of the document, which ends with a NUL here. */
static char *
take_string(Reader *reader, const JsonbValue *value)
{
	char	   *text = take(reader, value->val.string.len + 1);

	memcpy(text, value->val.string.val, value->val.string.len);
	return text;
}

static bool
is_string(const JsonbValue *value, const char *text)
{
	size_t		len = strlen(text);

	return value->type == jbvString && (size_t) value->val.string.len == len &&
		memcmp(value->val.string.val, text, len) == 0;
}

static bool
is_container(const JsonbValue *value, bool array)
{
	return value->type == jbvBinary && (array ? JsonContainerIsArray(value->val.binary.data) :
										JsonContainerIsObject(value->val.binary.data));
}

/* The field that a key of an object means, in either spelling, or NULL. */
static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessageDescriptor *type, const JsonbValue *key)
{
	for (unsigned i = 0; i < type->n_fields; i++)
	{
		if (is_string(key, type->fields[i].name) ||
			is_string(key, atx_json_name(type->fields[i].name)))
			return &type->fields[i];
	}
	return NULL;
}

static char *
list_fields(const ProtobufCMessageDescriptor *type)
{
	StringInfoData list;

	if (type->n_fields == 0)
		return psprintf("Message \"%s\" has no fields.", type->name);
	initStringInfo(&list);
	appendStringInfo(&list, "Message \"%s\" has the fields", type->name);
	for (unsigned i = 0; i < type->n_fields; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : " ", atx_json_name(type->fields[i].name));
	appendStringInfoChar(&list, '.');
	return list.data;
}

static char *
list_values(const ProtobufCEnumDescriptor *type)
{
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfo(&list, "Enum \"%s\" has the names", type->name);
	for (unsigned i = 0; i < type->n_values; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : " ", type->values[i].name);
	appendStringInfoChar(&list, '.');
	return list.data;
}

/* A number, which may be written as a string. */
static uint64
read_integer(Reader *reader, const JsonbValue *value, int64 min, uint64 max,
			 const AtxJsonPlace *place)
{
	const char *problem;
	char	   *text;
	uint64		result;

	if (value->type == jbvNumeric)
		text = DatumGetCString(DirectFunctionCall1(numeric_out,
												   NumericGetDatum(value->val.numeric)));

	else if (value->type == jbvString)
		text = take_string(reader, value);

	else
		refuse(reader, place, "is not a number", NULL);
	problem = atx_json_parse_integer(text, min, max, &result);
	if (problem != NULL)
		refuse(reader, place, problem, NULL);

	/* A zero may have sixteen thousand decimals in few bytes of a document. */
	if (value->type == jbvNumeric)
		pfree(text);
	return result;
}

/* A value of an enum, by its name or number; the number may be unknown. */
static int32
read_enum(Reader *reader, const ProtobufCFieldDescriptor *field, const JsonbValue *value,
		  const AtxJsonPlace *place)
{
	const ProtobufCEnumDescriptor *type = field->descriptor;
	const ProtobufCEnumValue *known;

	if (value->type == jbvNumeric)
		return (int32) read_integer(reader, value, PG_INT32_MIN, PG_INT32_MAX, place);
	if (value->type != jbvString)
		refuse(reader, place, "is neither the name nor the number of an enum's value",
			   list_values(type));
	known = protobuf_c_enum_descriptor_get_value_by_name(type, take_string(reader, value));
	if (known == NULL)
		refuse(reader, place, "is not the name of an enum's value", list_values(type));
	return known->value;
}

static char *
read_string(Reader *reader, const JsonbValue *value, const AtxJsonPlace *place)
{
	if (value->type != jbvString)
		refuse(reader, place, "is not a string", NULL);
	return atx_text_to_wire(take_string(reader, value));
}

static ProtobufCBinaryData
read_bytes(Reader *reader, const JsonbValue *value, const AtxJsonPlace *place)
{
	ProtobufCBinaryData bytes;
	int64		len;

	if (value->type != jbvString)
		refuse(reader, place, "is not a string of base64", NULL);
	bytes.data = take(reader, (Size) value->val.string.len + 1);
	len = atx_base64_decode(value->val.string.val, value->val.string.len,
							ATX_BASE64_ANY, bytes.data);
	if (len < 0)
		refuse(reader, place, "is not base64", NULL);
	bytes.len = (size_t) len;
	return bytes;
}

static bool
read_bool(Reader *reader, const JsonbValue *value, const AtxJsonPlace *place)
{
	if (value->type != jbvBool)
		refuse(reader, place, "is neither true nor false", NULL);
	return value->val.boolean;
}

/* Read a value of a field to where "member" points. */
static void
read_value(Reader *reader, const ProtobufCFieldDescriptor *field, const JsonbValue *value,
		   void *member, const AtxJsonPlace *place, int depth)
{
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT32:
			*(int32 *) member = (int32) read_integer(reader, value, PG_INT32_MIN, PG_INT32_MAX, place);
			break;
		case PROTOBUF_C_TYPE_UINT32:
			*(uint32 *) member = (uint32) read_integer(reader, value, 0, PG_UINT32_MAX, place);
			break;
		case PROTOBUF_C_TYPE_INT64:
			*(int64 *) member = (int64) read_integer(reader, value, PG_INT64_MIN, PG_INT64_MAX, place);
			break;
		case PROTOBUF_C_TYPE_UINT64:
			*(uint64 *) member = read_integer(reader, value, 0, PG_UINT64_MAX, place);
			break;
		case PROTOBUF_C_TYPE_ENUM:
			*(int32 *) member = read_enum(reader, field, value, place);
			break;
		case PROTOBUF_C_TYPE_STRING:
			*(char **) member = read_string(reader, value, place);
			break;
		case PROTOBUF_C_TYPE_BYTES:
			*(ProtobufCBinaryData *) member = read_bytes(reader, value, place);
			break;
		case PROTOBUF_C_TYPE_BOOL:
			*(protobuf_c_boolean *) member = read_bool(reader, value, place);
			break;
		case PROTOBUF_C_TYPE_MESSAGE:
			*(ProtobufCMessage **) member = read_message(reader, field->descriptor, value,
														 place, depth + 1);
			break;
		default:
			/* The protocol has none of the other types. */
			elog(ERROR, "field \"%s\" is of type %d, which has no form in JSON",
				 field->name, (int) field->type);
	}
}

static void
refuse_null_within(const Reader *reader, const JsonbValue *value, const AtxJsonPlace *place)
{
	if (value->type == jbvNull)
		refuse(reader, place, "is null", NULL);
}

static ProtobufCMessage *
new_message(Reader *reader, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = take(reader, type->sizeof_message);

	protobuf_c_message_init(type, message);
	return message;
}

/* The object of a map: entries, which are messages of a key and a value. */
static void
read_map(Reader *reader, const ProtobufCFieldDescriptor *field, JsonbContainer *object,
		 ProtobufCMessage **entries, const AtxJsonPlace *place, int depth)
{
	const ProtobufCMessageDescriptor *type = field->descriptor;
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		AtxJsonPlace here = {.above = place,.key = take_string(reader, &key)};
		ProtobufCMessage *entry = new_message(reader, type);

		CHECK_FOR_INTERRUPTS();
		(void) JsonbIteratorNext(&it, &value, true);
		refuse_null_within(reader, &value, &here);
		read_value(reader, &type->fields[0], &key, (char *) entry + type->fields[0].offset,
				   &here, depth);
		read_value(reader, &type->fields[1], &value, (char *) entry + type->fields[1].offset,
				   &here, depth);
		*entries++ = entry;
	}
}

static void
read_array(Reader *reader, const ProtobufCFieldDescriptor *field, JsonbContainer *array,
		   char *elements, const AtxJsonPlace *place, int depth)
{
	JsonbIterator *it = JsonbIteratorInit(array);
	JsonbValue	value;
	AtxJsonPlace here = {.above = place};

	(void) JsonbIteratorNext(&it, &value, true);
	for (; JsonbIteratorNext(&it, &value, true) == WJB_ELEM; here.index++)
	{
		CHECK_FOR_INTERRUPTS();
		refuse_null_within(reader, &value, &here);
		read_value(reader, field, &value,
				   elements + here.index * atx_field_size(field), &here, depth);
	}
}

static void
read_repeated(Reader *reader, ProtobufCMessage *message,
			  const ProtobufCFieldDescriptor *field, const JsonbValue *value,
			  const AtxJsonPlace *place, int depth)
{
	bool		is_map = atx_json_is_map(message->descriptor, field);
	JsonbContainer *container = value->val.binary.data;
	size_t		count;
	char	   *elements;

	if (!is_container(value, !is_map))
		refuse(reader, place, is_map ? "is not an object" : "is not an array", NULL);
	count = JsonContainerSize(container);
	elements = take(reader, Max(count, 1) * atx_field_size(field));
	if (is_map)
		read_map(reader, field, container, (ProtobufCMessage **) elements, place, depth);
	else
		read_array(reader, field, container, elements, place, depth);
	*(size_t *) ((char *) message + field->quantifier_offset) = count;
	*(void **) ((char *) message + field->offset) = elements;
}

/* Of a oneof at most one member may be there. */
static void
choose(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
	   const AtxJsonPlace *place)
{
	uint32	   *chosen = (uint32 *) ((char *) message + field->quantifier_offset);

	if (*chosen != 0)
	{
		const ProtobufCFieldDescriptor *other =
		protobuf_c_message_descriptor_get_field(message->descriptor, *chosen);

		refuse(reader, place,
			   psprintf("excludes %s, which is there, too", atx_json_name(other->name)), NULL);
	}
	*chosen = field->id;
}

static void
read_field(Reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
		   const JsonbValue *value, const AtxJsonPlace *place, int depth)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
	{
		read_repeated(reader, message, field, value, place, depth);
		return;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		choose(reader, message, field, place);
	read_value(reader, field, value, (char *) message + field->offset, place, depth);
}

pg_noreturn static void
refuse_unknown(Reader *reader, const ProtobufCMessageDescriptor *type, const JsonbValue *key,
			   const AtxJsonPlace *place)
{
	AtxJsonPlace here = {.above = place,.key = take_string(reader, key)};

	refuse(reader, &here, psprintf("is not a field of message \"%s\"", type->name),
		   list_fields(type));
}

/* The object of a message. A null is as if the field were not there. */
static void
read_fields(Reader *reader, ProtobufCMessage *message, JsonbContainer *object,
			const AtxJsonPlace *place, int depth)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	uint64		seen = 0;

	Assert(type->n_fields <= 64);
	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		const ProtobufCFieldDescriptor *field = find_field(type, &key);
		AtxJsonPlace here = {.above = place};
		uint64		bit;

		(void) JsonbIteratorNext(&it, &value, true);
		if (field == NULL)
			refuse_unknown(reader, type, &key, place);
		if (value.type == jbvNull)
			continue;
		here.field = field->name;
		bit = UINT64CONST(1) << (field - type->fields);
		if (seen & bit)
			refuse(reader, &here, psprintf("is there as %s, too", field->name), NULL);
		seen |= bit;
		read_field(reader, message, field, &value, &here, depth);
	}
}

static void
read_time(Reader *reader, ProtobufCMessage *message, const JsonbValue *value,
		  const AtxJsonPlace *place)
{
	bool		is_duration = message->descriptor == &google__protobuf__duration__descriptor;
	const char *problem = is_duration ? "is not a duration" : "is not a timestamp";
	const char *hint = is_duration ? "A duration is a string such as \"1.5s\"." :
	"A timestamp is a string such as \"2026-01-31T09:30:00.5Z\".";
	char	   *text;

	if (value->type != jbvString)
		refuse(reader, place, problem, hint);
	text = take_string(reader, value);

	if (!(is_duration ?
		  atx_duration_from_json(text, (Google__Protobuf__Duration *) message) :
		  atx_timestamp_from_json(text, (Google__Protobuf__Timestamp *) message)))
		refuse(reader, place, problem, hint);
}

static ProtobufCMessage *
read_message(Reader *reader, const ProtobufCMessageDescriptor *type, const JsonbValue *value,
			 const AtxJsonPlace *place, int depth)
{
	ProtobufCMessage *message = new_message(reader, type);

	check_stack_depth();
	if (depth > ATX_MAX_NESTING)
		refuse(reader, place, "is nested too deeply", NULL);
	if (type == &google__protobuf__duration__descriptor ||
		type == &google__protobuf__timestamp__descriptor)
		read_time(reader, message, value, place);
	else if (is_container(value, false))
		read_fields(reader, message, value->val.binary.data, place, depth);
	else
		refuse(reader, place, "is not an object", NULL);
	return message;
}

/*
 * The message of the given type that a jsonb document means, palloc'd.
 *
 * Understands what atx_json_from_message writes, and besides: the spelling of
 * the .proto files, numbers and strings of digits for any number, numbers for
 * values of enums, base64 of either alphabet and without padding, null for a
 * field that is not there.  Raises 22P02 with the place in the detail for what
 * does not fit the type, 54000 for a message of more than
 * atomix.max_message_size.
 */
ProtobufCMessage *
atx_json_to_message(const ProtobufCMessageDescriptor *type, Datum document)
{
	Reader		reader = {.root = type};
	Size		limit = (Size) atx_max_message_size * DOCUMENT_FACTOR;
	ProtobufCMessage *message;
	JsonbValue	value;
	Jsonb	   *jsonb;

	if (toast_raw_datum_size(document) > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("document of message \"%s\" is too large", type->name),
				 errdetail("The document has %zu bytes; the limit is %zu bytes.",
						   (size_t) toast_raw_datum_size(document), (size_t) limit),
				 errhint("Send less at a time, or raise \"atomix.max_message_size\".")));
	jsonb = DatumGetJsonbP(document);
	reader.budget = atx_decoding_budget(atx_max_message_size);

	if (!JsonbExtractScalar(&jsonb->root, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	}
	message = read_message(&reader, type, &value, NULL, 1);
	atx_refuse_oversized(type, protobuf_c_message_get_packed_size(message));
	return message;
}
