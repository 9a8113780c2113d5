/*-------------------------------------------------------------------------
 *
 * json_writer.c
 *	  Protocol messages as JSON documents.
 *
 * The mapping is the one that protobuf itself defines, with one exception: an
 * Any is an object of its type's URL and its bytes, because what it holds may
 * be of a type that is not known here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "base/base64.h"
#include "base/codec.h"
#include "base/json.h"
#include "base/json_place.h"
#include "base/json_time.h"
#include "compat.h"

/* What is being written, and where. */
typedef struct Writer
{
	const ProtobufCMessageDescriptor *root;
	JsonbParseState *state;
} Writer;

static JsonbValue *write_fields(Writer *writer, const ProtobufCMessage *message,
								const AtxJsonPlace *place);

/*
 * Are the field's messages the entries of a map?  protobuf-c does not say so;
 * protoc makes them of this form, and refuses to have a message of one's own
 * under their name.
 */
bool
atx_json_is_map(const ProtobufCMessageDescriptor *type,
				const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *entry = field->descriptor;
	char	   *name;

	if (field->label != PROTOBUF_C_LABEL_REPEATED ||
		field->type != PROTOBUF_C_TYPE_MESSAGE || entry->n_fields != 2)
		return false;
	name = atx_json_name(field->name);
	name[0] = pg_ascii_toupper((unsigned char) name[0]);
	return strcmp(entry->name, psprintf("%s.%sEntry", type->name, name)) == 0;
}

static JsonbValue
string_value(const char *text, size_t len)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = (int) len;
	return value;
}

static JsonbValue
text_value(const char *text)
{
	return string_value(text, strlen(text));
}

static JsonbValue
number_value(int64 number)
{
	JsonbValue	value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric(number);
	return value;
}

static JsonbValue
bytes_value(const ProtobufCBinaryData *bytes)
{
	size_t		len;
	char	   *text = atx_base64_encode(bytes->data, bytes->len, &len);

	return string_value(text, len);
}

static JsonbValue
enum_value(const ProtobufCFieldDescriptor *field, int number)
{
	const ProtobufCEnumValue *value =
	protobuf_c_enum_descriptor_get_value(field->descriptor, number);

	return value != NULL ? text_value(value->name) : number_value(number);
}

/* A value that is no message; "member" points to it. */
static JsonbValue
scalar_value(const ProtobufCFieldDescriptor *field, const void *member)
{
	JsonbValue	value = {.type = jbvBool};

	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT32:
			return number_value(*(const int32 *) member);
		case PROTOBUF_C_TYPE_UINT32:
			return number_value(*(const uint32 *) member);
		case PROTOBUF_C_TYPE_INT64:
			return text_value(psprintf(INT64_FORMAT, *(const int64 *) member));
		case PROTOBUF_C_TYPE_UINT64:
			return text_value(psprintf(UINT64_FORMAT, *(const uint64 *) member));
		case PROTOBUF_C_TYPE_ENUM:
			return enum_value(field, *(const int *) member);
		case PROTOBUF_C_TYPE_STRING:
			return text_value(atx_text_from_wire(*(char *const *) member));
		case PROTOBUF_C_TYPE_BYTES:
			return bytes_value(member);
		case PROTOBUF_C_TYPE_BOOL:
			value.val.boolean = *(const protobuf_c_boolean *) member;
			return value;
		default:
			/* The protocol has none of the other types. */
			elog(ERROR, "field \"%s\" is of type %d, which has no form in JSON",
				 field->name, (int) field->type);
	}
}

pg_noreturn static void
refuse(const Writer *writer, const AtxJsonPlace *place, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("could not write message \"%s\" as JSON", writer->root->name),
			 errdetail("%s would be %s, but its value is out of range.",
					   atx_json_place_text(place), what)));
}

/* Is it of a type that is a string in JSON?  Then "text" is that string. */
static bool
is_time(const Writer *writer, const ProtobufCMessage *message,
		const AtxJsonPlace *place, char **text)
{
	if (message->descriptor == &google__protobuf__duration__descriptor)
	{
		*text = atx_duration_to_json((const Google__Protobuf__Duration *) message);
		if (*text == NULL)
			refuse(writer, place, "a duration");
		return true;
	}
	if (message->descriptor == &google__protobuf__timestamp__descriptor)
	{
		*text = atx_timestamp_to_json((const Google__Protobuf__Timestamp *) message);
		if (*text == NULL)
			refuse(writer, place, "a timestamp");
		return true;
	}
	return false;
}

/* Write a value of a field, into an object or an array. */
static void
write_value(Writer *writer, const ProtobufCFieldDescriptor *field, const void *member,
			JsonbIteratorToken token, const AtxJsonPlace *place)
{
	JsonbValue	value;
	char	   *text;

	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		value = scalar_value(field, member);
	else if (is_time(writer, *(ProtobufCMessage *const *) member, place, &text))
		value = text_value(text);
	else
	{
		(void) write_fields(writer, *(ProtobufCMessage *const *) member, place);
		return;
	}
	(void) pushJsonbValue(&writer->state, token, &value);
}

static void
write_key(Writer *writer, const char *name)
{
	JsonbValue	key = text_value(name);

	(void) pushJsonbValue(&writer->state, WJB_KEY, &key);
}

/* The key of a map's entry; keys are strings in JSON, whatever their type. */
static char *
map_key_text(const ProtobufCFieldDescriptor *field, const void *member)
{
	JsonbValue	value = scalar_value(field, member);

	if (value.type == jbvString)
		return pnstrdup(value.val.string.val, value.val.string.len);
	Assert(value.type == jbvNumeric);
	return DatumGetCString(DirectFunctionCall1(numeric_out,
											   NumericGetDatum(value.val.numeric)));
}

/* Of equal keys the last one counts, as objects of jsonb have it anyway. */
static void
write_map(Writer *writer, ProtobufCMessage **entries, size_t count,
		  const AtxJsonPlace *place)
{
	(void) pushJsonbValue(&writer->state, WJB_BEGIN_OBJECT, NULL);
	for (size_t i = 0; i < count; i++)
	{
		const ProtobufCFieldDescriptor *fields = entries[i]->descriptor->fields;
		char	   *key = map_key_text(&fields[0], (char *) entries[i] + fields[0].offset);
		AtxJsonPlace here = {.above = place,.key = key};

		write_key(writer, key);
		write_value(writer, &fields[1], (char *) entries[i] + fields[1].offset,
					WJB_VALUE, &here);
	}
	(void) pushJsonbValue(&writer->state, WJB_END_OBJECT, NULL);
}

static void
write_array(Writer *writer, const ProtobufCFieldDescriptor *field, const char *elements,
			size_t count, const AtxJsonPlace *place)
{
	(void) pushJsonbValue(&writer->state, WJB_BEGIN_ARRAY, NULL);
	for (size_t i = 0; i < count; i++)
	{
		AtxJsonPlace here = {.above = place,.index = (int) i};

		write_value(writer, field, elements + i * atx_field_size(field), WJB_ELEM, &here);
	}
	(void) pushJsonbValue(&writer->state, WJB_END_ARRAY, NULL);
}

/* Is the field there, that is, of a scalar, other than its default? */
static bool
is_set(const ProtobufCFieldDescriptor *field, const void *member, const void *quantifier)
{
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32 *) quantifier == field->id;
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *) quantifier > 0;
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_MESSAGE:
			return *(ProtobufCMessage *const *) member != NULL;
		case PROTOBUF_C_TYPE_STRING:
			return **(char *const *) member != '\0';
		case PROTOBUF_C_TYPE_BYTES:
			return ((const ProtobufCBinaryData *) member)->len > 0;
		case PROTOBUF_C_TYPE_BOOL:
			return *(const protobuf_c_boolean *) member;
		case PROTOBUF_C_TYPE_INT64:
		case PROTOBUF_C_TYPE_UINT64:
			return *(const uint64 *) member != 0;
		default:
			return *(const uint32 *) member != 0;
	}
}

static void
write_field(Writer *writer, const ProtobufCMessage *message,
			const ProtobufCFieldDescriptor *field, const AtxJsonPlace *place)
{
	const char *member = (const char *) message + field->offset;
	const char *quantifier = (const char *) message + field->quantifier_offset;

	if (!is_set(field, member, quantifier))
		return;
	write_key(writer, atx_json_name(field->name));
	if (atx_json_is_map(message->descriptor, field))
		write_map(writer, *(ProtobufCMessage **const *) member,
				  *(const size_t *) quantifier, place);
	else if (field->label == PROTOBUF_C_LABEL_REPEATED)
		write_array(writer, field, *(char *const *) member,
					*(const size_t *) quantifier, place);
	else
		write_value(writer, field, member, WJB_VALUE, place);
}

/* A message as an object. */
static JsonbValue *
write_fields(Writer *writer, const ProtobufCMessage *message, const AtxJsonPlace *place)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	(void) pushJsonbValue(&writer->state, WJB_BEGIN_OBJECT, NULL);
	for (unsigned i = 0; i < type->n_fields; i++)
	{
		AtxJsonPlace here = {.above = place,.field = type->fields[i].name};

		write_field(writer, message, &type->fields[i], &here);
	}
	return pushJsonbValue(&writer->state, WJB_END_OBJECT, NULL);
}

/*
 * A decoded message as JSON, palloc'd.
 *
 * Names are in lowerCamelCase, fields that have their default are left out,
 * numbers of 64 bits are strings, bytes are base64, an enum's value is its
 * name, or its number if it has none, a Duration is "1.5s", a Timestamp as RFC
 * 3339 says.  Raises 22P03 for a Duration or Timestamp out of range, 22P05
 * when the server's encoding lacks a character, 54000 beyond what jsonb holds.
 */
Jsonb *
atx_json_from_message(const ProtobufCMessage *message)
{
	Writer		writer = {.root = message->descriptor};
	JsonbValue	value;
	char	   *text;

	if (!is_time(&writer, message, NULL, &text))
		return JsonbValueToJsonb(write_fields(&writer, message, NULL));
	value = text_value(text);
	return JsonbValueToJsonb(&value);
}
