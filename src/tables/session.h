/*-------------------------------------------------------------------------
 *
 * session.h
 *	  Sessions: who opened them, and what became of them.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SESSION_H
#define ATX_SESSION_H

#include "utils/jsonb.h"

#include "base/errors.h"
#include "tables/authority.h"

/* What the opener says of a session; pointers may be NULL. */
typedef struct AtxSessionSpec
{
	int64		timeout;		/* ticks */
	int32		partition_id;
	char	   *name;
	char	   *kind;
	Jsonb	   *labels;
	bytea	   *config;
	Jsonb	   *services;		/* to open: [{type, name, namespace}] */
} AtxSessionSpec;

/* A change of a session's state that has got its version. */
typedef struct AtxSessionChange
{
	int64		session_id;
	int64		version;
	char	   *state;
	char	   *reason;			/* NULL while it lives */
	TimestampTz at;				/* filled by atx_session_changes */
} AtxSessionChange;

extern void atx_session_insert(int64 session_id, const AtxSessionSpec *spec,
							   Oid owner, const AtxMoment *moment);
extern bool atx_session_close(int64 session_id, const char *cause, const char *reason,
							  const AtxMoment *moment, Oid role, bool *has_claims);
extern void atx_session_leave_closing(int64 session_id);
extern void atx_session_service_opened(int64 session_id);
extern AtxOutcome atx_session_outcome(int64 session_id, Oid *owner);

extern char *atx_session_candidate(int64 session_id);
extern bool atx_session_ack_floor(int64 session_id, int64 *floor);
extern bool atx_session_is_closing(int64 session_id);
extern void atx_session_lock(const int64 *ids, int count);
extern int	atx_session_lock_free(int64 *ids, int count);
extern int	atx_session_expire(const AtxMoment *moment, int64 *ids, int count,
							   int64 *latest);
extern int64 atx_session_end_all(const AtxMoment *moment, const char *reason);
extern int	atx_session_finish(int limit);
extern bool atx_session_any_closing(void);
extern int	atx_session_unnumbered(int limit, int64 *ids);
extern int	atx_session_number(const int64 *ids, int count, AtxSessionChange **changes);
extern int	atx_session_versions(const int64 *ids, int count, AtxSessionChange **changes);
extern int	atx_session_changes(Oid role, int64 after, int limit, AtxSessionChange **changes);
extern int64 atx_session_sweep(const AtxMoment *moment, int64 retention,
							   int64 outcome_retention, int64 after, int limit);

#endif							/* ATX_SESSION_H */
