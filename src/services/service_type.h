/*-------------------------------------------------------------------------
 *
 * service_type.h
 *	  Types of services: one file and one line of the table for each.
 *
 * A type is a state machine over the tables.  Its callbacks run in the
 * caller's transaction, in an open scope (base/spi.h), with the service's
 * lock held as the operation asked for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SERVICE_TYPE_H
#define ATX_SERVICE_TYPE_H

#include <protobuf-c/protobuf-c.h>

#include "base/status.h"
#include "tables/authority.h"
#include "tables/service.h"
#include "tables/stream.h"

/* What an operation needs of its service, in ascending order. */
typedef enum AtxAccess
{
	ATX_ACCESS_NONE,			/* it is no operation of the type */
	ATX_ACCESS_READ,			/* changes nothing: a query */
	ATX_ACCESS_SHARED,			/* beside others of its kind */
	ATX_ACCESS_EXCLUSIVE,
	ATX_ACCESS_WATCH,			/* the same, to be told of changes */
	ATX_ACCESS_RELEASE,			/* the same, to end the session's own claims */
	ATX_ACCESS_MOVE				/* the same, to end or move any claim */
} AtxAccess;

/* An operation on its way through a service. */
typedef struct AtxCall
{
	AtxService	service;
	const struct AtxServiceType *type;
	const AtxAuthority *authority;
	AtxMoment	moment;
	int64		session_id;		/* 0: none */
	int64		sequence_num;	/* 0: none */
	int64		index;			/* of the change; 0 while none was drawn */
	bool		changed;		/* by this operation */
	bool		dirty;			/* the service's own row is to be saved */
	int64		queue_from;		/* nobody waits for it up to that position */
	bool		knows_granted;	/* what of it is granted: */
	struct AtxClaim *granted;
	int			ngranted;
} AtxCall;

/* What came of it, in the protocol's terms. */
typedef struct AtxReply
{
	AtxStatus	status;
	char	   *message;		/* NULL: none */
	bytea	   *output;			/* NULL: none */
	bool		running;		/* the rest is still to come */
} AtxReply;

struct AtxClaimRules;

typedef struct AtxServiceType
{
	const char *name;
	const ProtobufCMessageDescriptor *input;	/* of its operations; NULL: it
												 * has none in bytes */

	AtxAccess	(*access) (const ProtobufCMessage *input);

	/* The key that an operation with shared access changes; NULL: no keys. */
	const char *(*key) (const ProtobufCMessage *input);
	void		(*apply) (AtxCall *call, const ProtobufCMessage *input, AtxReply *reply);

	/* An event as the output of a stream, or, of NULL, what opens it. */
	bytea	   *(*output) (AtxStreamKind kind, const AtxEvent *event);

	/* Tell those who watch what all changes of a call have come to. */
	void		(*sum_up) (AtxCall *call);

	int64		initial_value;	/* of a new service */
	const struct AtxClaimRules *claims; /* NULL: nobody claims it */
} AtxServiceType;

extern const AtxServiceType atx_counter_type;
extern const AtxServiceType atx_map_type;
extern const AtxServiceType atx_lock_type;
extern const AtxServiceType atx_semaphore_type;
extern const AtxServiceType atx_election_type;

extern const AtxServiceType *atx_service_type_find(const char *name);
extern const AtxServiceType *atx_service_type_get(const char *name);
extern AtxAnswer atx_service_type_unknown(const char *name);

extern int64 atx_call_index(AtxCall *call);
extern void atx_reply_refused(AtxReply *reply, AtxStatus status, char *message);
extern void atx_reply_message(AtxReply *reply, const ProtobufCMessage *output);

#endif							/* ATX_SERVICE_TYPE_H */
