/*-------------------------------------------------------------------------
 *
 * message_types.h
 *	  Every protocol message, by its full name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_MESSAGE_TYPES_H
#define ATX_MESSAGE_TYPES_H

#include <protobuf-c/protobuf-c.h>

extern const ProtobufCMessageDescriptor *const atx_message_types[];
extern const int atx_message_type_count;

extern const char *atx_published_name(const char *name);
extern const char *atx_own_name(const char *name);
extern const ProtobufCMessageDescriptor *atx_message_type_find(const char *name);
extern const ProtobufCMessageDescriptor *atx_message_type_get(const char *name);

#endif							/* ATX_MESSAGE_TYPES_H */
