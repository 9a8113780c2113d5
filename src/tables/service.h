/*-------------------------------------------------------------------------
 *
 * service.h
 *	  Services: named state, of a type, in a partition.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SERVICE_TABLE_H
#define ATX_SERVICE_TABLE_H

#include "storage/itemptr.h"
#include "utils/snapshot.h"

#include "base/rows.h"
#include "tables/authority.h"

/* The greatest length of a name or a namespace, in bytes. */
#define ATX_MAX_NAME	512

typedef struct AtxService
{
	int64		service_id;
	int32		partition_id;
	int64		value;			/* state of a type that has just a number */
	int64		revision;
	int64		delay;			/* ticks before the next grant after an expiry */
	bool		watched;		/* its changes are events */
	int64		history;		/* in which they are, or were */
	AtxTick		watched_until;
	int64		oldest;			/* events after this revision are kept */
	char	   *type;
	char	   *namespace;
	ItemPointerData row;		/* where it was read, if that is valid */
} AtxService;

/* How far a service has come. */
typedef struct AtxServiceRevision
{
	int64		service_id;
	int64		revision;
} AtxServiceRevision;

extern bool atx_service_find(int32 partition_id, const char *namespace,
							 const char *name, AtxService *service);
extern void atx_service_open(AtxCursor *cursor);
extern bool atx_service_at(AtxCursor *cursor, Snapshot snapshot, int64 service_id,
						   AtxService *service);
extern bool atx_service_load_in(Snapshot snapshot, int64 service_id, AtxService *service);
extern bool atx_service_load(int64 service_id, AtxService *service);
extern bool atx_service_load_named(int64 service_id, const char *namespace,
								   const char *name, AtxService *service);
extern bool atx_service_insert(const AtxService *service, const char *namespace,
							   const char *name);
extern void atx_service_save(const AtxService *service);
extern void atx_service_save_watch(const AtxService *service, int32 epoch);
extern int	atx_services_watched(int64 after, int limit, int64 *service_ids);
extern int	atx_service_revisions(const int64 *ids, int count, AtxServiceRevision *revisions);
extern void atx_service_enter_epoch(const AtxMoment *moment, int64 retention);
extern void atx_services_carry_on(int64 history, int64 next);
extern void atx_service_delete(int64 service_id);
extern void atx_service_require_unchanged(int64 service_id);

#endif							/* ATX_SERVICE_TABLE_H */
