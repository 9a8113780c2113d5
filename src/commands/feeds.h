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

/*
 * Services whose feeds one step looks at, and about how many events it forgets:
 * until it commits nobody can change the services.
 */
#define ATX_RETIRE_BATCH	64
#define ATX_RETIRE_EVENTS	5000

/* A pass over all services that are watched, which begins as zeroes. */
typedef struct AtxRetirement
{
	int64		after;			/* those up to it have been looked at */
	bool		complete;
	int64		busy[ATX_RETIRE_BATCH]; /* of the latest step, those that are
										 * in use, and overdue */
	int			nbusy;
} AtxRetirement;

extern AtxAnswer atx_watch(const AtxWatch *watch, AtxEventPage *page);
extern AtxAnswer atx_register_watch(const AtxWatch *watch, AtxService *service);

extern int	atx_expire_entries(const AtxAuthority *authority, int limit);
extern void atx_retire_events(const AtxAuthority *authority, AtxRetirement *retirement);
extern bool atx_retire_in_turn(const AtxAuthority *authority, int64 service_id);

#endif							/* ATX_FEEDS_H */
