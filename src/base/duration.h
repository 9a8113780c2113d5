/*-------------------------------------------------------------------------
 *
 * duration.h
 *	  Spans of time as SQL and the protocol give them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_DURATION_H
#define ATX_DURATION_H

#include "datatype/timestamp.h"

#include "google/protobuf/duration.pb-c.h"

/*
 * What a client may ask for lasts at most so many ticks, 68 years: sums with
 * the clock then stay in range, and so do dates.
 */
#define ATX_LONGEST_DURATION	(PG_INT32_MAX * USECS_PER_SEC)

extern int64 atx_duration_from_interval(const Interval *span, const char *argument);
extern Interval *atx_interval_from_ticks(int64 ticks);
extern char *atx_duration_text(int64 ticks);
extern bool atx_duration_from_wire(const Google__Protobuf__Duration *duration,
								   int64 *ticks);
extern Google__Protobuf__Duration *atx_duration_to_wire(int64 ticks);

#endif							/* ATX_DURATION_H */
