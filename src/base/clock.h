/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  The lease clock, and the only way to read any clock.
 *
 * A tick is a microsecond of CLOCK_BOOTTIME: it runs on while the machine is
 * suspended and is never set.  Ticks are comparable within one clock epoch
 * only, that is until the machine boots again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_CLOCK_H
#define ATX_CLOCK_H

#include "datatype/timestamp.h"

typedef int64 AtxTick;

#define ATX_TICKS_PER_MS	INT64CONST(1000)
#define ATX_TICKS_PER_SEC	INT64CONST(1000000)

extern AtxTick atx_now(void);
extern TimestampTz atx_wall_now(void);
extern TimestampTz atx_wall_of_tick(AtxTick tick);
extern int64 atx_seconds_since_2026(void);
extern const char *atx_boot_id(void);
extern const char *atx_time_namespace(void);

#endif							/* ATX_CLOCK_H */
