/*-------------------------------------------------------------------------
 *
 * event.h
 *	  Changes of services that somebody watches.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_EVENT_H
#define ATX_EVENT_H

#include "datatype/timestamp.h"

#include "base/rows.h"
#include "tables/service.h"

typedef struct AtxEvent
{
	int64		service_id;
	int64		revision;
	int64		index;			/* of the change */
	TimestampTz at;
	const char *type;
	const char *key;			/* NULL: the service itself */
	const bytea *value;			/* NULL: none */
	const bytea *prev_value;	/* NULL: none */
	uint64		xid;			/* of the transaction that made the change */
	bool		durable;		/* it was on disk before others could read it */
} AtxEvent;

/* Events of a service that follow a revision. */
typedef struct AtxEventPage
{
	int64		newest;			/* revision of the service */
	int64		oldest;			/* after which events are kept */
	bool		watched;
	AtxEvent   *events;
	int			count;
} AtxEventPage;

/* The events of a service one after the other. */
typedef struct AtxEventScan
{
	AtxCursor	cursor;
	const char *key;			/* NULL: of all keys */
	const char *type;			/* NULL: of all types */
} AtxEventScan;

extern void atx_event_scan_open(AtxEventScan *scan);
extern void atx_event_scan_begin(AtxEventScan *scan, Snapshot snapshot,
								 int64 service_id, int64 after);
extern bool atx_event_scan_next(AtxEventScan *scan, AtxEvent *event);
extern void atx_event_scan_close(AtxEventScan *scan);

extern void atx_event_insert(const AtxEvent *event, const AtxMoment *moment);
extern void atx_event_make_durable(const AtxEvent *event);
extern bool atx_event_page(int64 service_id, int64 after, const char *key, int limit,
						   AtxEventPage *page);
extern int64 atx_event_retire(const AtxService *service, const AtxMoment *moment,
							  int64 retention, int64 most);
extern bool atx_event_overdue(int64 service_id, const AtxMoment *moment, int64 retention,
							  int64 most);
extern int64 atx_event_some_to(const AtxService *service, int64 revision, int64 limit);
extern int64 atx_event_delete(int64 service_id, int64 after, int64 last);
extern int64 atx_event_floor(void);
extern void atx_event_raise_floor(int64 service_id, int64 revision);
extern void atx_event_merge_floors(void);

#endif							/* ATX_EVENT_H */
