/*-------------------------------------------------------------------------
 *
 * message_input.h
 *	  Inputs that are tried as messages.
 *
 * The first byte of an input chooses the type, by its place in the list.  With
 * ATOMIX_FUZZ_EVERY set the rest is tried as every type, so that inputs keep
 * their worth when the list changes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MESSAGE_INPUT_H
#define MESSAGE_INPUT_H

#include <protobuf-c/protobuf-c.h>

typedef struct MessageInput
{
	const ProtobufCMessageDescriptor *type;
	const uint8 *data;
	size_t		len;
} MessageInput;

extern void message_input_try(const uint8 *data, size_t len,
							  void (*attempt) (MessageInput *input));

#endif							/* MESSAGE_INPUT_H */
