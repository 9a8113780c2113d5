/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The process that finds databases with the extension.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_LAUNCHER_H
#define ATX_LAUNCHER_H

extern void atx_launcher_register(void);

#endif							/* ATX_LAUNCHER_H */
