/*-------------------------------------------------------------------------
 *
 * codec.h
 *	  Protocol messages: bytes to structs and back.
 *
 * Bytes from a client reach protobuf-c only through atx_decode, which scans
 * them first: the library itself has no limit on nesting or memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_CODEC_H
#define ATX_CODEC_H

#include <protobuf-c/protobuf-c.h>

/* How deep messages may be nested, the outermost counting as one. */
#define ATX_MAX_NESTING		32

extern ProtobufCMessage *atx_decode(const ProtobufCMessageDescriptor *type,
									const void *data, size_t len);
extern ProtobufCMessage *atx_decode_datum(const ProtobufCMessageDescriptor *type,
										  Datum value);
extern bytea *atx_encode(const ProtobufCMessage *message);
extern void atx_refuse_oversized(const ProtobufCMessageDescriptor *type, Size len);
extern Size atx_decoding_budget(Size len);
extern size_t atx_field_size(const ProtobufCFieldDescriptor *field);

extern char *atx_text_from_wire(const char *text);
extern char *atx_text_to_wire(const char *text);

#endif							/* ATX_CODEC_H */
