/*-------------------------------------------------------------------------
 *
 * jump.h
 *	  Taking over the authority of a database.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_JUMP_H
#define ATX_JUMP_H

#include "base/errors.h"
#include "tables/authority.h"

extern bool atx_jump_is_due(void);
extern void atx_jump(void);
extern void atx_jump_to_new_history(void);
extern AtxAnswer atx_await_authority(const AtxAuthority **authority);

#endif							/* ATX_JUMP_H */
