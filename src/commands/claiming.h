/*-------------------------------------------------------------------------
 *
 * claiming.h
 *	  Locks, semaphores and elections, as sessions use them by name.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_CLAIMING_H
#define ATX_CLAIMING_H

#include "base/spi.h"
#include "services/claims.h"

/* Claims that close_session ends in the caller's transaction. */
#define ATX_MAX_RELEASES	64

/* Services one look at what is to be settled finds at most. */
#define ATX_SETTLE_BATCH	256

/* In place of a token: whichever it is. */
#define ATX_ANY_TOKEN		INT64CONST(-1)

/* A claimed service, by its name. */
typedef struct AtxClaimed
{
	const AtxServiceType *type;
	const char *namespace;
	const char *name;
} AtxClaimed;

/* Where those who wait are looked for. */
typedef enum AtxWaiting
{
	ATX_WAITING_NONE,
	ATX_WAITING_IDLE,			/* where nothing is granted */
	ATX_WAITING_ANY
} AtxWaiting;

typedef struct AtxClaimAnswer
{
	bool		exists;			/* then claim is it */
	AtxClaim	claim;
} AtxClaimAnswer;

extern void atx_prepare_claims(AtxCall *call);

extern AtxAnswer atx_claimed_use(AtxScope *scope, const AtxClaimed *claimed,
								 int64 session_id, AtxAccess access, bool create,
								 AtxCall *call);
extern AtxAnswer atx_claimed_manage(const AtxClaimed *claimed, AtxAccess access,
									bool create, AtxCall *call);
extern AtxAnswer atx_acquire(AtxScope *scope, const AtxClaimed *claimed,
							 const AtxClaimRequest *request, AtxClaimAnswer *answer);
extern AtxAnswer atx_release(AtxScope *scope, const AtxClaimed *claimed,
							 int64 session_id, int64 token, bool *released);
extern AtxAnswer atx_cancel(AtxScope *scope, const AtxClaimed *claimed,
							int64 session_id, int64 ticket, bool *canceled);
extern void atx_cancel_waiting(const AtxAuthority *authority, int64 session_id,
							   int64 service_id, int64 sequence_num);
extern AtxAnswer atx_wait_ticket(AtxScope *scope, int64 session_id, int64 ticket,
								 int64 timeout, AtxClaimAnswer *answer);

extern bool atx_release_session(const AtxAuthority *authority, int64 session_id);
extern int	atx_services_to_settle(const AtxAuthority *authority, AtxWaiting waiting,
								   int64 *after, int64 *service_ids);
extern bool atx_settle_if_free(const AtxAuthority *authority, int64 service_id, bool whole);

#endif							/* ATX_CLAIMING_H */
