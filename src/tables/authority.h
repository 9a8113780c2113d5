/*-------------------------------------------------------------------------
 *
 * authority.h
 *	  Under which identity, clock epoch and index range this database serves.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_AUTHORITY_H
#define ATX_AUTHORITY_H

#include "base/clock.h"

/* The row of table authority, as last written by a jump. */
typedef struct AtxAuthority
{
	int64		system_identifier;
	int32		timeline;
	Oid			database;
	Oid			extension;
	int64		start_id;
	int32		epoch;			/* of the lease clock */
	int64		index_floor;	/* indexes drawn since the jump are greater */
	int64		history;		/* its number; 0: the first */
	int64		history_served; /* time served when it began */
	AtxTick		grace_from;		/* used where there is no shared memory */
	int64		grace_served;	/* time served when grace began */
	int64		served;			/* time served at the last beat */
	bool		written_here;	/* by the running transaction */
} AtxAuthority;

/* A moment of the lease clock, with what a deadline is computed from. */
typedef struct AtxMoment
{
	AtxTick		now;
	int32		epoch;
	AtxTick		grace_from;
	int64		grace_served;
	int64		served;			/* by now */
} AtxMoment;

extern const AtxAuthority *atx_authority_current(void);
extern bool atx_history_is(int64 history);
extern int64 atx_failover_delay_left(const AtxAuthority *authority,
									 const AtxMoment *moment);
extern bool atx_authority_read(AtxAuthority *authority);
extern AtxAuthority atx_authority_identity(void);
extern bool atx_authority_same_identity(const AtxAuthority *a, const AtxAuthority *b);
extern bool atx_authority_same_database(const AtxAuthority *a, const AtxAuthority *b);
extern void atx_authority_write(const AtxAuthority *authority);
extern void atx_authority_forget(void);

extern int32 atx_epoch_current(bool *same_clock);
extern void atx_epoch_begin(int32 epoch);

extern void atx_grace_begin(AtxTick now, int64 served);
extern AtxMoment atx_moment(const AtxAuthority *authority);
extern int64 atx_beat_interval(void);
extern void atx_beat(const AtxAuthority *authority, bool write_row);
extern void atx_beat_stop(void);

extern int64 atx_index_draw(const AtxAuthority *authority);
extern int64 atx_index_newest(void);
extern int64 atx_index_safe(void);
extern bool atx_index_note_safe(void);
extern int64 atx_index_jump(int64 floor, bool same_history);
extern AtxTick atx_sweep_latest(void);
extern void atx_sweep_done(AtxTick now);
extern int64 atx_session_versions_take(int64 count);

#endif							/* ATX_AUTHORITY_H */
