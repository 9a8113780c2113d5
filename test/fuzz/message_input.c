/*-------------------------------------------------------------------------
 *
 * message_input.c
 *	  Inputs that are tried as messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/message_types.h"
#include "message_input.h"

/*
 * Have an input tried as the type it chooses, or as every one.
 */
void
message_input_try(const uint8 *data, size_t len, void (*attempt) (MessageInput *input))
{
	bool		every = getenv("ATOMIX_FUZZ_EVERY") != NULL;

	if (len == 0)
		return;
	for (int i = 0; i < atx_message_type_count; i++)
	{
		MessageInput input = {atx_message_types[i], data + 1, len - 1};

		if (every || i == data[0] % atx_message_type_count)
			attempt(&input);
	}
}
