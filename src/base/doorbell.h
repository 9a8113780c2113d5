/*-------------------------------------------------------------------------
 *
 * doorbell.h
 *	  How a commit wakes those who wait for something.
 *
 * A ring says that something about a session or a service may have changed,
 * no more.  Whoever hears it looks at the tables, and looks now and then
 * anyway.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_DOORBELL_H
#define ATX_DOORBELL_H

#include "base/clock.h"

/* Longest time a waiter sleeps between two looks of its own. */
#define ATX_POLL_INTERVAL	ATX_TICKS_PER_SEC

/* Where it is rung for versions of sessions. */
#define ATX_CHANNEL_VERSIONS	INT64CONST(0)

/* Rings no worker has taken, of all databases. */
#define ATX_DOORBELL_QUEUE	4096

/* A channel that is waited on: the id of a session or service, or another. */
typedef struct AtxAttention
{
	int64		channel;
	uint64		position;		/* rings before it have been heard */
} AtxAttention;

extern void atx_doorbell_request(void);
extern void atx_doorbell_create(void);
extern void atx_doorbell_init(void);

extern void atx_doorbell_ring(int64 id);
extern void atx_doorbell_wake(int64 channel);
extern void atx_doorbell_attend(AtxAttention *channels, int count);
extern int	atx_doorbell_wait_any(AtxAttention *channels, int count, AtxTick until);
extern uint64 atx_doorbell_position(int64 channel);
extern bool atx_doorbell_wait(int64 channel, uint64 *position, AtxTick until);
extern int	atx_doorbell_take(int64 *channels, int limit);

#endif							/* ATX_DOORBELL_H */
