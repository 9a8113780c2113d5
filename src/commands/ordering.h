/*-------------------------------------------------------------------------
 *
 * ordering.h
 *	  The locks of a batch, taken in one order.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ORDERING_H
#define ATX_ORDERING_H

#include "commands/dispatch.h"

typedef struct AtxLockPlan AtxLockPlan;

extern AtxLockPlan *atx_lock_plan_create(int members);
extern void atx_lock_plan_add(AtxLockPlan *plan, const AtxAddress *address,
							  const AtxPayload *payload);
extern void atx_lock_plan_add_open(AtxLockPlan *plan, const AtxAddress *address,
								   const char *namespace, const char *name);
extern void atx_lock_plan_add_session(AtxLockPlan *plan, int64 session_id, bool ends);
extern void atx_lock_plan_take(AtxScope *scope, AtxLockPlan *plan);

#endif							/* ATX_ORDERING_H */
