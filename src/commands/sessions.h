/*-------------------------------------------------------------------------
 *
 * sessions.h
 *	  Opening, renewing and closing sessions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SESSIONS_H
#define ATX_SESSIONS_H

#include "base/renewals.h"
#include "base/spi.h"
#include "tables/session.h"

/* What became of a member of a batch of keep-alives. */
typedef enum AtxBatchState
{
	ATX_MEMBER_OPENED,			/* renewed */
	ATX_MEMBER_ENDING,			/* somebody is ending it just now */
	ATX_MEMBER_CLOSING,
	ATX_MEMBER_CLOSED,
	ATX_MEMBER_EXPIRED,
	ATX_MEMBER_UNKNOWN,
	ATX_MEMBER_UNDECIDED		/* while the batch is being worked on */
} AtxBatchState;

typedef struct AtxMember
{
	int64		session_id;
	AtxBatchState state;
	int64		time_left;		/* ticks, if opened */
} AtxMember;

/* In AtxSessionSpec.timeout: the default of the server. */
#define ATX_DEFAULT_TIMEOUT		INT64CONST(-1)

extern AtxAnswer atx_open_session(AtxScope *scope, AtxSessionSpec *spec,
								  int64 *session_id);
extern AtxRenewalState atx_renew_in_memory(Oid role, int64 session_id, int64 *time_left);
extern bool atx_keep_alive_in_memory(int64 session_id, int64 *time_left);
extern AtxAnswer atx_keep_alive(AtxScope *scope, int64 session_id, int64 *time_left);
extern bool atx_lock_session(AtxScope *scope, int64 session_id, bool exclusive);
extern AtxAnswer atx_use_session(AtxScope *scope, int64 session_id, bool exclusive,
								 const AtxAuthority **authority);
extern AtxAnswer atx_why_not_usable(int64 session_id, Oid role);
extern void atx_keep_alive_many(AtxMember *members, int count);
extern AtxAnswer atx_close_session(AtxScope *scope, int64 session_id, bool *ended);
extern AtxAnswer atx_end_session(AtxScope *scope, int64 session_id,
								 const char *reason, bool *ended);

#endif							/* ATX_SESSIONS_H */
