/*-------------------------------------------------------------------------
 *
 * feeds.h
 *	  Watching services, and keeping their events for as long as promised.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_FEEDS_H
#define ATX_FEEDS_H

#include "base/spi.h"
#include "services/service_type.h"
#include "tables/event.h"

/* In place of a revision: whatever is kept. */
#define ATX_FROM_OLDEST		INT64CONST(-1)

/* Events of a service that somebody asks for. */
typedef struct AtxWatch
{
	const char *namespace;
	const char *name;
	int64		after;			/* revision, or ATX_FROM_OLDEST */
	const char *key;			/* NULL: of all keys */
	int			limit;
} AtxWatch;

extern AtxAnswer atx_watch(const AtxWatch *watch, AtxEventPage *page);
extern AtxAnswer atx_register_watch(const AtxWatch *watch, AtxService *service);

extern int	atx_expire_entries(const AtxAuthority *authority, int limit);
extern int	atx_retire_events(const AtxAuthority *authority, int64 *after);

#endif							/* ATX_FEEDS_H */
