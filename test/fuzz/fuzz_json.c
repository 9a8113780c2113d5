/*-------------------------------------------------------------------------
 *
 * fuzz_json.c
 *	  Messages from JSON documents, and documents from messages, both ways.
 *
 * The first byte of an input chooses the type, as message_input.h says; a brace or a
 * quote after it begins a document, anything else is a message in bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/codec.h"
#include "base/json.h"
#include "message_input.h"
#include "shim.h"
#include "shim_jsonb.h"

/* Documents, messages and texts of an input of a few kilobytes. */
#define MOST_MEMORY		((Size) 128 * 1024 * 1024)

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t len);

/* The bytes of the message that the document of a message means. */
static bytea *
there_and_back(const ProtobufCMessage *message)
{
	Jsonb	   *document = atx_json_from_message(message);

	return atx_encode(atx_json_to_message(message->descriptor, JsonbPGetDatum(document)));
}

/*
 * What a document means has a document, which means the same; only of equal
 * keys of maps one is left.  Without them it has the same bytes from there on.
 */
static void
attempt(void *argument)
{
	const MessageInput *input = argument;
	bool		is_text = input->len > 0 && strchr("{\"", input->data[0]) != NULL;
	ProtobufCMessage *message;
	Jsonb	   *document;
	bytea	   *first;
	bytea	   *second;

	if (is_text)
	{
		document = shim_jsonb_parse((const char *) input->data, input->len);
		if (document == NULL)
			return;
		message = atx_json_to_message(input->type, JsonbPGetDatum(document));
	}
	else
		message = atx_decode(input->type, input->data, input->len);

	first = there_and_back(message);
	message = atx_decode(input->type, VARDATA_ANY(first), VARSIZE_ANY_EXHDR(first));
	second = there_and_back(message);
	if (VARSIZE_ANY(first) != VARSIZE_ANY(second) ||
		memcmp(first, second, VARSIZE_ANY(first)) != 0)
		shim_defect("a message is not what its document means");
}

static void
judge(MessageInput *input)
{
	ShimResult	result = shim_run(attempt, input);

	if (result.sqlstate != 0 &&
		result.sqlstate != ERRCODE_INVALID_TEXT_REPRESENTATION &&
		result.sqlstate != ERRCODE_INVALID_BINARY_REPRESENTATION &&
		result.sqlstate != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		shim_defect("an error that is not announced");
	if (input->len <= 4096 && result.peak > MOST_MEMORY)
		shim_defect("more memory than such an input is worth");
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t len)
{
	message_input_try(data, len, judge);
	return 0;
}
