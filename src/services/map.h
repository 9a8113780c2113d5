/*-------------------------------------------------------------------------
 *
 * map.h
 *	  Service type map: bytes by key, each entry with the index of its last
 *	  change and perhaps a time to live.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_MAP_H
#define ATX_MAP_H

#include "services/service_type.h"
#include "tables/entry.h"

/* In place of a time to live (ticks): for ever. */
#define ATX_NO_TTL		INT64CONST(-1)

/* What an operation found and left; entries are valid where flagged. */
typedef struct AtxMapAnswer
{
	AtxStatus	status;
	bool		existed;
	AtxEntry	before;			/* if existed */
	AtxEntry	entry;			/* if done, but for remove */
} AtxMapAnswer;

/* What is to be written. */
typedef struct AtxMapWrite
{
	char	   *key;
	bytea	   *value;
	int64		ttl;			/* ticks, or ATX_NO_TTL */
	int64		prev_index;		/* of the entry to be replaced; 0: any */
} AtxMapWrite;

extern AtxMapAnswer atx_map_put(AtxCall *call, const AtxMapWrite *write);
extern AtxMapAnswer atx_map_insert(AtxCall *call, const AtxMapWrite *write);
extern AtxMapAnswer atx_map_update(AtxCall *call, const AtxMapWrite *write);
extern AtxMapAnswer atx_map_remove(AtxCall *call, const char *key, int64 prev_index);
extern int64 atx_map_clear(AtxCall *call);
extern bool atx_map_get(AtxCall *call, const char *key, AtxEntry *entry);

#endif							/* ATX_MAP_H */
