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

#include "utils/snapshot.h"

/* The greatest length of a name or a namespace, in bytes. */
#define ATX_MAX_NAME	512

typedef struct AtxService
{
	int64		service_id;
	int32		partition_id;
	int64		value;			/* state of a type that has just a number */
	int64		revision;
	int64		delay;			/* ticks before the next grant after an expiry */
	char	   *type;
} AtxService;

extern bool atx_service_find(int32 partition_id, const char *namespace,
							 const char *name, AtxService *service);
extern bool atx_service_load_in(Snapshot snapshot, int64 service_id, AtxService *service);
extern bool atx_service_load(int64 service_id, AtxService *service);
extern bool atx_service_load_named(int64 service_id, const char *namespace,
								   const char *name, AtxService *service);
extern bool atx_service_insert(const AtxService *service, const char *namespace,
							   const char *name);
extern void atx_service_save(const AtxService *service);
extern void atx_service_delete(int64 service_id);
extern void atx_service_require_unchanged(int64 service_id);

#endif							/* ATX_SERVICE_TABLE_H */
