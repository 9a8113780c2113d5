/*-------------------------------------------------------------------------
 *
 * holding.h
 *	  Ending transactions that keep others waiting for too long.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_HOLDING_H
#define ATX_HOLDING_H

#include "tables/authority.h"

/* How often to look, in ticks. */
extern int64 atx_holding_interval(void);
extern void atx_holding_step(const AtxAuthority *authority);

#endif							/* ATX_HOLDING_H */
