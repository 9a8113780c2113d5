/*-------------------------------------------------------------------------
 *
 * partition_service.h
 *	  Inputs of a partition that open, renew and close sessions, and the
 *	  checks that all requests to a partition have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_PARTITION_SERVICE_H
#define ATX_PARTITION_SERVICE_H

#include "atomix/multiraft/v1/partition.pb-c.h"
#include "base/errors.h"
#include "base/spi.h"
#include "commands/exactly_once.h"

extern AtxAnswer atx_wire_check_partition(uint32 partition_id);
extern AtxAnswer atx_wire_check_writable(const char *function);
extern AtxAnswer atx_wire_session_id(uint64 wire, int64 *session_id);
extern void atx_wire_fill_headers(Atomix__Multiraft__V1__PartitionResponseHeaders *headers,
								  int64 index, AtxAnswer answer);

extern void atx_wire_raise_if_no_status(AtxAnswer answer);
extern bytea *atx_wire_encode(const AtxScope *scope, const ProtobufCMessage *message);

extern AtxAnswer atx_wire_renew(AtxScope *scope, int64 session_id, const AtxPending *pending);
extern AtxAnswer atx_wire_open_session(AtxScope *scope, uint32 partition_id,
									   const Atomix__Multiraft__V1__OpenSessionInput *input,
									   int64 *session_id);
extern AtxAnswer atx_wire_keep_alive(AtxScope *scope,
									 const Atomix__Multiraft__V1__KeepAliveInput *input);
extern AtxAnswer atx_wire_close_session(AtxScope *scope,
										const Atomix__Multiraft__V1__CloseSessionInput *input);

#endif							/* ATX_PARTITION_SERVICE_H */
