/*-------------------------------------------------------------------------
 *
 * counter.h
 *	  Service type counter: a signed 64-bit number, 0 at first.
 *
 * The calls hold the service's lock exclusive and save it afterwards.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_COUNTER_H
#define ATX_COUNTER_H

#include "services/service_type.h"

extern void atx_counter_set(AtxCall *call, int64 value);
extern bool atx_counter_compare_and_set(AtxCall *call, int64 expected, int64 value);
extern bool atx_counter_add(AtxCall *call, int64 delta);
extern bool atx_counter_subtract(AtxCall *call, int64 delta);

#endif							/* ATX_COUNTER_H */
