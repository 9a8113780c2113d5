/*-------------------------------------------------------------------------
 *
 * dispatch.h
 *	  Operations of services, as sessions ask for them.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_DISPATCH_H
#define ATX_DISPATCH_H

#include "commands/exactly_once.h"

/* An operation in the service type's own encoding. */
typedef struct AtxPayload
{
	const uint8 *data;
	size_t		len;
	uint32		operation_id;	/* as the headers name it; 0: not at all */
} AtxPayload;

/* What came of a command or a query. */
typedef struct AtxResult
{
	AtxReply	reply;
	AtxCommandState state;
	int64		index;
	bool		replayed;
} AtxResult;

/* Which command of which session. */
typedef struct AtxAddress
{
	int64		session_id;
	int64		service_id;
	int64		sequence_num;	/* of a query: of the last command it is to
								 * see */
	bool		record_refusals;	/* a service that is not open is an
									 * outcome, too */
} AtxAddress;

/* A service by its name, for clients that know no ids. */
typedef struct AtxNamedService
{
	const char *type;			/* then it is opened if it is not; NULL: it
								 * has to be open */
	const char *namespace;
	const char *name;
} AtxNamedService;

extern AtxAnswer atx_command(AtxScope *scope, const AtxAddress *address,
							 const AtxPayload *payload, AtxResult *result);
extern AtxAnswer atx_commands(AtxScope *scope, const AtxAddress *address,
							  const AtxPayload *payloads, int count,
							  AtxResult *results);
extern AtxAnswer atx_query(AtxScope *scope, const AtxAddress *address,
						   const AtxPayload *payload, AtxResult *result);

extern bool atx_named_only_reads(const AtxNamedService *named, const AtxPayload *payload);
extern AtxAnswer atx_named_command(AtxScope *scope, const AtxAddress *address,
								   const AtxNamedService *named,
								   const AtxPayload *payload, AtxResult *result);
extern AtxAnswer atx_named_query(AtxScope *scope, const AtxAddress *address,
								 const AtxNamedService *named,
								 const AtxPayload *payload, AtxResult *result);

extern AtxMoment atx_moment_to_read(const AtxAuthority *authority);
extern AtxAccess atx_payload_access(int64 session_id, int64 service_id,
									const AtxPayload *payload, int64 *entry);
extern AtxAnswer atx_command_create(AtxScope *scope, const AtxAddress *address,
									const char *type, const char *namespace,
									const char *name, AtxResult *result,
									int64 *service_id);
extern AtxAnswer atx_command_close(AtxScope *scope, const AtxAddress *address,
								   AtxResult *result, bool *detached);

#endif							/* ATX_DISPATCH_H */
