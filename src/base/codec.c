/*-------------------------------------------------------------------------
 *
 * codec.c
 *	  Protocol messages: bytes to structs and back.
 *
 * protobuf-c recurses without limit, turns two bytes of input into a hundred
 * of memory, accepts strings that are not UTF-8 and says nothing about what
 * is wrong with a message it refuses.  So the bytes are scanned first, guided
 * by the message's descriptor; only what the scan has approved is unpacked.
 * Whatever protobuf-c could choke on must be refused by the scan, and the
 * scan allocates nothing in proportion to the nesting or the number of
 * fields.
 *
 * Two deliberate deviations from the protobuf specification: a field whose
 * wire type does not fit is an error, not an unknown field, and so is a
 * second occurrence of a singular message field, because protobuf-c loses
 * data when it merges the two.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "atomix/multiraft/v1/fsm.pb-c.h"
#include "base/codec.h"
#include "base/settings.h"
#include "compat.h"

#define MAX_VARINT_BYTES		10
#define MAX_TAG_BYTES			5
#define MAX_LENGTH_BYTES		5

/* Wire types protobuf-c has no name for: the start and end of a group. */
#define WIRE_TYPE_START_GROUP	3
#define WIRE_TYPE_END_GROUP		4

/* Memory a message may take: this factor of its size, but at least so much. */
#define MEMORY_FACTOR			16
#define MEMORY_FLOOR			((Size) 16 * 1024 * 1024)

/*
 * protobuf-c keeps a record for every field occurrence while it unpacks a
 * message: the first 16 on the stack, the rest in arrays that double.
 */
#define FREE_MEMBERS			16
#define MEMBER_COST				((Size) 64)

/* Size of the pointer to one element in an array that may double. */
#define ELEMENT_COST			((Size) 16)

/* The two fields of KeepAliveInput that a later layout swaps. */
#define KEEP_ALIVE_LAST			2
#define KEEP_ALIVE_FILTER		3

typedef struct WireScan
{
	const ProtobufCMessageDescriptor *root; /* what the caller asked for */
	const uint8 *data;
	Size		len;
	Size		pos;			/* next byte to read */
	uint8	   *patched;		/* copy of data with tags rewritten, or NULL */
	bool		has_unknown;	/* met a field that no descriptor knows */
	Size		cost;			/* upper bound of what unpacking allocates */
	Size		budget;

	/* where we are, for error messages */
	const ProtobufCMessageDescriptor *type;
	const ProtobufCFieldDescriptor *field;	/* NULL between and for unknown */
	uint32		number;			/* field number; 0 between fields */
	Size		tag_at;			/* where the field's tag begins */
} WireScan;

/* What the allocator hands back to us besides memory. */
typedef struct DecodeMemory
{
	MemoryContext context;
	bool		exhausted;
} DecodeMemory;

pg_noreturn static void malformed(const WireScan *scan, Size at,
								  const char *problem);
static void scan_message(WireScan *scan, const ProtobufCMessageDescriptor *type,
						 Size end, int depth);

/*
 * Refuse the bytes.  "problem" continues a sentence that begins with the
 * field or message; contents are never shown, they may be secret.
 */
static void
malformed(const WireScan *scan, Size at, const char *problem)
{
	char	   *subject;

	if (scan->field != NULL)
		subject = psprintf("Field \"%s\" of message \"%s\"",
						   scan->field->name, scan->type->name);
	else if (scan->number != 0)
		subject = psprintf("Field number %u of message \"%s\"",
						   scan->number, scan->type->name);
	else
		subject = psprintf("Message \"%s\"", scan->type->name);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("could not decode message \"%s\"", scan->root->name),
			 errdetail("%s %s, at byte offset %zu of %zu.",
					   subject, problem, at, scan->len)));
}

/*
 * Refuse a message of more than atomix.max_message_size: ERROR 54000.
 */
void
atx_refuse_oversized(const ProtobufCMessageDescriptor *type, Size len)
{
	if (len <= (Size) atx_max_message_size)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("message \"%s\" is too large", type->name),
			 errdetail("The message has %zu bytes; the limit is %d bytes.",
					   len, atx_max_message_size),
			 errhint("Send less at a time, or raise \"atomix.max_message_size\".")));
}

/*
 * The memory that a message of so many bytes may take.
 */
Size
atx_decoding_budget(Size len)
{
	return Max(MEMORY_FLOOR, MEMORY_FACTOR * len);
}

static void
charge(WireScan *scan, Size amount)
{
	scan->cost += amount;
	if (scan->cost > scan->budget)
		malformed(scan, scan->pos, "would take too much memory");
}

/* What an allocation of this size really takes. */
static Size
chunk_cost(Size size)
{
	if (size <= ALLOCSET_SEPARATE_THRESHOLD)
		size = pg_nextpower2_32(Max((uint32) size, 8));
	return size + 16;
}

static uint64
read_varint(WireScan *scan, Size end, int max_bytes)
{
	Size		start = scan->pos;
	uint64		value = 0;

	for (int i = 0; i < max_bytes; i++)
	{
		uint8		byte;

		if (scan->pos >= end)
			malformed(scan, start, "ends inside a varint");
		byte = scan->data[scan->pos++];
		if (i == MAX_VARINT_BYTES - 1 && byte > 1)
			break;
		value |= (uint64) (byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0)
			return value;
	}
	malformed(scan, start, "has a varint that is too long");
}

/* Read a length; returns where the value ends. */
static Size
read_length(WireScan *scan, Size end)
{
	Size		start = scan->pos;
	uint64		length = read_varint(scan, end, MAX_LENGTH_BYTES);

	if (length > end - scan->pos)
		malformed(scan, start, "has a length beyond the end");
	return scan->pos + (Size) length;
}

/*
 * The number under which our layout of KeepAliveInput knows a field.  The
 * published layouts use the numbers 2 and 3 the other way around; the wire
 * type tells which one the client has.  The copy that protobuf-c will read is
 * changed accordingly.
 */
static uint32
keep_alive_number(WireScan *scan, uint32 number, int wire_type)
{
	uint32		ours;

	if (number == KEEP_ALIVE_LAST &&
		wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		ours = KEEP_ALIVE_FILTER;
	else if (number == KEEP_ALIVE_FILTER &&
			 wire_type == PROTOBUF_C_WIRE_TYPE_VARINT)
		ours = KEEP_ALIVE_LAST;
	else
		return number;

	if (scan->patched == NULL)
	{
		scan->patched = palloc(scan->len);
		memcpy(scan->patched, scan->data, scan->len);
	}

	/* Numbers below 16 fit into the tag's first byte, however long it is. */
	scan->patched[scan->tag_at] = (scan->data[scan->tag_at] & 0x80) |
		(ours << 3) | wire_type;
	return ours;
}

/* Read a tag and note which field it announces; returns the wire type. */
static int
read_tag(WireScan *scan, const ProtobufCMessageDescriptor *type, Size end)
{
	uint64		tag;
	int			wire_type;

	scan->type = type;
	scan->field = NULL;
	scan->number = 0;
	scan->tag_at = scan->pos;

	tag = read_varint(scan, end, MAX_TAG_BYTES);
	if (tag > PG_UINT32_MAX)
		malformed(scan, scan->tag_at, "has a tag of more than 32 bits");
	wire_type = tag & 7;
	scan->number = (uint32) (tag >> 3);
	if (scan->number == 0)
		malformed(scan, scan->tag_at, "has a field with number 0");

	if (type == &atomix__multiraft__v1__keep_alive_input__descriptor)
		scan->number = keep_alive_number(scan, scan->number, wire_type);
	scan->field = protobuf_c_message_descriptor_get_field(type, scan->number);

	if (wire_type == WIRE_TYPE_START_GROUP || wire_type == WIRE_TYPE_END_GROUP)
		malformed(scan, scan->tag_at, "is a group, which is not supported");
	if (wire_type > PROTOBUF_C_WIRE_TYPE_32BIT)
		malformed(scan, scan->tag_at, "has an undefined wire type");
	return wire_type;
}

/* Step over a value of any wire type. */
static void
skip_value(WireScan *scan, int wire_type, Size end)
{
	Size		width;

	switch (wire_type)
	{
		case PROTOBUF_C_WIRE_TYPE_VARINT:
			(void) read_varint(scan, end, MAX_VARINT_BYTES);
			return;
		case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
			scan->pos = read_length(scan, end);
			return;
		default:
			width = (wire_type == PROTOBUF_C_WIRE_TYPE_64BIT) ? 8 : 4;
			if (end - scan->pos < width)
				malformed(scan, scan->pos, "ends inside a fixed-size value");
			scan->pos += width;
	}
}

/*
 * protobuf-c keeps fields it does not know; they cost memory until we drop
 * them.
 */
static void
scan_unknown(WireScan *scan, int wire_type, Size end)
{
	Size		start = scan->pos;

	skip_value(scan, wire_type, end);
	charge(scan, sizeof(ProtobufCMessageUnknownField) +
		   chunk_cost(scan->pos - start));
	scan->has_unknown = true;
}

static int
wire_type_of(ProtobufCType type)
{
	switch (type)
	{
		case PROTOBUF_C_TYPE_STRING:
		case PROTOBUF_C_TYPE_BYTES:
		case PROTOBUF_C_TYPE_MESSAGE:
			return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
		case PROTOBUF_C_TYPE_FIXED32:
		case PROTOBUF_C_TYPE_SFIXED32:
		case PROTOBUF_C_TYPE_FLOAT:
			return PROTOBUF_C_WIRE_TYPE_32BIT;
		case PROTOBUF_C_TYPE_FIXED64:
		case PROTOBUF_C_TYPE_SFIXED64:
		case PROTOBUF_C_TYPE_DOUBLE:
			return PROTOBUF_C_WIRE_TYPE_64BIT;
		default:
			return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
}

static void
scan_string(WireScan *scan, Size end)
{
	Size		len = end - scan->pos;
	Size		valid;

	charge(scan, chunk_cost(len + 1));
	valid = pg_encoding_verifymbstr(PG_UTF8,
									(const char *) scan->data + scan->pos, len);
	scan->pos += valid;
	if (valid < len)
		malformed(scan, scan->pos, scan->data[scan->pos] == '\0' ?
				  "contains a NUL byte" : "is not valid UTF-8");
}

/* A value whose wire type is length-prefixed, as its field's type wants. */
static void
scan_length_prefixed(WireScan *scan, Size end, int depth)
{
	Size		value_end = read_length(scan, end);

	switch (scan->field->type)
	{
		case PROTOBUF_C_TYPE_STRING:
			scan_string(scan, value_end);
			break;
		case PROTOBUF_C_TYPE_BYTES:
			charge(scan, chunk_cost(value_end - scan->pos));
			scan->pos = value_end;
			break;
		default:
			Assert(scan->field->type == PROTOBUF_C_TYPE_MESSAGE);
			scan_message(scan, scan->field->descriptor, value_end, depth + 1);
	}
}

/* A repeated scalar whose values stand in one length-prefixed block. */
static void
scan_packed(WireScan *scan, int wire_type, Size end)
{
	Size		value_end = read_length(scan, end);

	charge(scan, sizeof(uint64) * (value_end - scan->pos));
	while (scan->pos < value_end)
		skip_value(scan, wire_type, value_end);
}

static void
scan_field(WireScan *scan, int wire_type, Size end, int depth)
{
	const ProtobufCFieldDescriptor *field = scan->field;
	bool		repeated = (field->label == PROTOBUF_C_LABEL_REPEATED);
	int			expected = wire_type_of(field->type);

	if (repeated)
		charge(scan, ELEMENT_COST);

	if (wire_type != expected)
	{
		if (!repeated || wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			malformed(scan, scan->tag_at,
					  psprintf("has wire type %d instead of %d",
							   wire_type, expected));
		scan_packed(scan, expected, end);
	}
	else if (wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		scan_length_prefixed(scan, end, depth);
	else
		skip_value(scan, wire_type, end);
}

/*
 * Scan one message, which ends where "end" says; "depth" is 1 for the
 * outermost.
 */
static void
scan_message(WireScan *scan, const ProtobufCMessageDescriptor *type,
			 Size end, int depth)
{
	uint64		seen = 0;		/* singular message fields, by position */
	uint64		members = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	Assert(type->n_fields <= 64);

	if (depth > ATX_MAX_NESTING)
		malformed(scan, scan->pos, "is nested too deeply");
	charge(scan, chunk_cost(type->sizeof_message));

	while (scan->pos < end)
	{
		int			wire_type = read_tag(scan, type, end);

		if (++members > FREE_MEMBERS)
			charge(scan, MEMBER_COST);

		if (scan->field == NULL)
		{
			scan_unknown(scan, wire_type, end);
			continue;
		}
		if (scan->field->type == PROTOBUF_C_TYPE_MESSAGE &&
			scan->field->label != PROTOBUF_C_LABEL_REPEATED)
		{
			uint64		bit = UINT64CONST(1) << (scan->field - type->fields);

			if (seen & bit)
				malformed(scan, scan->tag_at, "appears more than once");
			seen |= bit;
		}
		scan_field(scan, wire_type, end, depth);
	}
}

static void *
allocate(void *arg, size_t size)
{
	DecodeMemory *memory = arg;
	void	   *result = NULL;

	/* An ERROR here would jump across protobuf-c. */
	if (AllocSizeIsValid(size))
		result = MemoryContextAllocExtended(memory->context, size,
											MCXT_ALLOC_NO_OOM);
	if (result == NULL)
		memory->exhausted = true;
	return result;
}

static void
release(void *arg, void *pointer)
{
	if (pointer != NULL)
		pfree(pointer);
}

/*
 * Unpack approved bytes.  protobuf-c frees what it has built when it fails.
 */
static ProtobufCMessage *
unpack(const WireScan *scan)
{
	DecodeMemory memory = {CurrentMemoryContext, false};
	ProtobufCAllocator allocator = {allocate, release, &memory};
	const uint8 *bytes = scan->patched ? scan->patched : scan->data;
	ProtobufCMessage *message;

	message = protobuf_c_message_unpack(scan->root, &allocator,
										scan->len, bytes);
	if (message != NULL)
		return message;
	if (memory.exhausted)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while decoding message \"%s\".",
						   scan->root->name)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("could not decode message \"%s\"", scan->root->name),
			 errdetail("The protobuf library refuses its %zu bytes.",
					   scan->len)));
}

/* Forget fields we do not know, so that they are not sent on. */
static void
drop_unknown(ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	message->n_unknown_fields = 0;
	message->unknown_fields = NULL;

	for (unsigned i = 0; i < type->n_fields; i++)
	{
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		void	   *member = (char *) message + field->offset;
		void	   *quantifier = (char *) message + field->quantifier_offset;
		ProtobufCMessage **list = member;
		size_t		count = 1;

		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
		{
			list = *(ProtobufCMessage ***) member;
			count = *(size_t *) quantifier;
		}
		else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
				 *(uint32 *) quantifier != field->id)
			continue;

		for (size_t j = 0; j < count; j++)
		{
			if (list[j] != NULL)
				drop_unknown(list[j]);
		}
	}
}

/*
 * The message of the given type that the bytes hold; no bytes are an empty
 * message.  All memory comes from CurrentMemoryContext.  Strings are UTF-8,
 * unknown fields are gone, and KeepAliveInput is in our layout whichever the
 * client uses.  Of a map's entries with equal keys, all are present; the last
 * one counts.  Raises 22P03, or 54000 above atomix.max_message_size.
 */
ProtobufCMessage *
atx_decode(const ProtobufCMessageDescriptor *type, const void *data, size_t len)
{
	static const uint8 nothing[1] = {0};
	WireScan	scan = {0};
	ProtobufCMessage *message;

	atx_refuse_oversized(type, len);

	scan.root = scan.type = type;
	scan.data = len > 0 ? data : nothing;
	scan.len = len;
	scan.budget = atx_decoding_budget(len);
	scan_message(&scan, type, len, 1);

	message = unpack(&scan);
	if (scan.has_unknown)
		drop_unknown(message);
	if (scan.patched != NULL)
		pfree(scan.patched);
	return message;
}

/*
 * As atx_decode, of a bytea that may be toasted.  One that is too large is
 * refused before it is fetched or decompressed.
 */
ProtobufCMessage *
atx_decode_datum(const ProtobufCMessageDescriptor *type, Datum value)
{
	bytea	   *bytes;

	atx_refuse_oversized(type, toast_raw_datum_size(value) - VARHDRSZ);
	bytes = DatumGetByteaPP(value);
	return atx_decode(type, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/*
 * The bytes of a message, palloc'd.  Its strings must be UTF-8 already.
 */
bytea *
atx_encode(const ProtobufCMessage *message)
{
	size_t		size = protobuf_c_message_get_packed_size(message);
	bytea	   *result;

	if (size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message \"%s\" is too large",
						message->descriptor->name),
				 errdetail("Encoded, it would have %zu bytes.", size)));

	result = palloc(VARHDRSZ + size);
	SET_VARSIZE(result, VARHDRSZ + size);
	protobuf_c_message_pack(message, (uint8_t *) VARDATA(result));
	return result;
}

/*
 * The size of a value of a field, as its message or an array of them holds it.
 */
size_t
atx_field_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type)
	{
		case PROTOBUF_C_TYPE_STRING:
		case PROTOBUF_C_TYPE_MESSAGE:
			return sizeof(void *);
		case PROTOBUF_C_TYPE_BYTES:
			return sizeof(ProtobufCBinaryData);
		case PROTOBUF_C_TYPE_BOOL:
			return sizeof(protobuf_c_boolean);
		case PROTOBUF_C_TYPE_INT64:
		case PROTOBUF_C_TYPE_SINT64:
		case PROTOBUF_C_TYPE_SFIXED64:
		case PROTOBUF_C_TYPE_UINT64:
		case PROTOBUF_C_TYPE_FIXED64:
		case PROTOBUF_C_TYPE_DOUBLE:
			return sizeof(uint64);
		default:
			return sizeof(uint32);
	}
}

/*
 * A string of a decoded message in the server's encoding.  The result is the
 * argument itself when nothing needs converting.  Raises 22P05 when the
 * server's encoding lacks a character.
 */
char *
atx_text_from_wire(const char *text)
{
	return pg_any_to_server(text, strlen(text), PG_UTF8);
}

/*
 * A string in the server's encoding as messages hold it; the counterpart of
 * atx_text_from_wire.
 */
char *
atx_text_to_wire(const char *text)
{
	return pg_server_to_any(text, strlen(text), PG_UTF8);
}
