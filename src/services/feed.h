/*-------------------------------------------------------------------------
 *
 * feed.h
 *	  The feed of a service: its changes, as those who watch it see them.
 *
 * The calls hold the service's lock exclusive, if it is watched.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_FEED_H
#define ATX_FEED_H

#include "services/service_type.h"

extern void atx_feed_add(AtxCall *call, const char *type, const char *key,
						 const bytea *value, const bytea *prev_value);
extern bytea *atx_feed_number(int64 number);
extern int64 atx_feed_number_of(const bytea *value);
extern void atx_feed_begin(AtxCall *call, int64 retention);
extern int64 atx_feed_end(AtxCall *call);

#endif							/* ATX_FEED_H */
