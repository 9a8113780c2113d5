/*-------------------------------------------------------------------------
 *
 * fuzz_codec.c
 *	  Bytes as messages of every type: decoded, encoded, and again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/codec.h"
#include "base/settings.h"
#include "message_input.h"
#include "shim.h"

/* What the decoder promises, and two more copies of what it is given. */
#define MEMORY_FLOOR	((Size) 16 * 1024 * 1024)
#define MEMORY_FACTOR	(16 + 2)

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t len);

/*
 * A decoded message is encoded to bytes that mean the same: those are decoded
 * and encoded to themselves.
 */
static void
attempt(void *argument)
{
	const MessageInput *input = argument;
	ProtobufCMessage *message = atx_decode(input->type, input->data, input->len);
	bytea	   *first = atx_encode(message);
	bytea	   *second;

	if (VARSIZE_ANY_EXHDR(first) > atx_max_message_size)
		return;
	message = atx_decode(input->type, VARDATA_ANY(first), VARSIZE_ANY_EXHDR(first));
	second = atx_encode(message);
	if (VARSIZE_ANY(first) != VARSIZE_ANY(second) ||
		memcmp(first, second, VARSIZE_ANY(first)) != 0)
		shim_defect("what was encoded is not encoded the same again");
}

static void
judge(MessageInput *input)
{
	ShimResult	result = shim_run(attempt, input);

	if (result.sqlstate != 0 &&
		result.sqlstate != ERRCODE_INVALID_BINARY_REPRESENTATION &&
		result.sqlstate != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		shim_defect("an error that the decoder does not announce");
	if (result.peak > 2 * Max(MEMORY_FLOOR, MEMORY_FACTOR * input->len))
		shim_defect("more memory than the decoder allows itself");
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t len)
{
	message_input_try(data, len, judge);
	return 0;
}
