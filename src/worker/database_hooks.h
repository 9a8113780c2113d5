/*-------------------------------------------------------------------------
 *
 * database_hooks.h
 *	  Keeping workers out of the way of statements on databases, and in step
 *	  with CREATE and DROP EXTENSION.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_DATABASE_HOOKS_H
#define ATX_DATABASE_HOOKS_H

extern void atx_database_hooks_init(void);

#endif							/* ATX_DATABASE_HOOKS_H */
