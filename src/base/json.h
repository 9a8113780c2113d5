/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Protocol messages as JSON documents, and back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_JSON_H
#define ATX_JSON_H

#include <protobuf-c/protobuf-c.h>

#include "utils/jsonb.h"

extern Jsonb *atx_json_from_message(const ProtobufCMessage *message);
extern ProtobufCMessage *atx_json_to_message(const ProtobufCMessageDescriptor *type,
											 Datum document);

/*
 * Are the field's messages the entries of a map?  protobuf-c does not say so;
 * protoc makes them of this form, and refuses to have a message of one's own
 * under their name.
 */
extern bool atx_json_is_map(const ProtobufCMessageDescriptor *type,
							const ProtobufCFieldDescriptor *field);

#endif							/* ATX_JSON_H */
