/*-------------------------------------------------------------------------
 *
 * restore.h
 *	  What an administrator does after a restore.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_RESTORE_H
#define ATX_RESTORE_H

extern int64 atx_after_restore(void);

#endif							/* ATX_RESTORE_H */
