/*-------------------------------------------------------------------------
 *
 * guards.h
 *	  Grants that cannot be taken away until a transaction has ended.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_GUARDS_H
#define ATX_GUARDS_H

#include "commands/claiming.h"

extern AtxAnswer atx_assert_grant(AtxScope *scope, const AtxClaimed *claimed, int64 token);
extern bool atx_is_guarded(const char *namespace, const char *name);
extern AtxAnswer atx_hold(const AtxClaimed *claimed, int64 *token);

#endif							/* ATX_GUARDS_H */
