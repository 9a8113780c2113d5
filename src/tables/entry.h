/*-------------------------------------------------------------------------
 *
 * entry.h
 *	  Entries of services that are collections.
 *
 * An entry past its time to live counts as gone, whether or not somebody has
 * removed its row.  All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ENTRY_H
#define ATX_ENTRY_H

#include "tables/authority.h"

/* The greatest length of a key, in bytes: an index holds it. */
#define ATX_MAX_KEY		1024

/* In AtxEntry.expires_at: never. */
#define ATX_NO_EXPIRY	INT64CONST(-1)

typedef struct AtxEntry
{
	char	   *key;
	bytea	   *value;
	int64		index;			/* of its last change */
	AtxTick		expires_at;		/* on the clock of now, or ATX_NO_EXPIRY */
	bool		expired;		/* counts as gone, but its row is there */
} AtxEntry;

extern bool atx_entry_find(int64 service_id, const char *key,
						   const AtxMoment *moment, AtxEntry *entry);
extern bool atx_entry_insert(int64 service_id, const AtxEntry *entry,
							 const AtxMoment *moment);
extern bool atx_entry_replace(int64 service_id, const AtxEntry *entry,
							  const AtxMoment *moment, int64 seen_index);
extern bool atx_entry_delete(int64 service_id, const char *key, int64 seen_index);
extern int64 atx_entry_count(int64 service_id, const AtxMoment *moment);
extern int64 atx_entry_clear(int64 service_id, const AtxMoment *moment);
extern int	atx_entry_page(int64 service_id, const char *after, int limit,
						   const AtxMoment *moment, AtxEntry **entries);
extern void atx_entry_require_unchanged(int64 service_id, const char *key);

extern int	atx_entry_services_due(const AtxMoment *moment, int limit, int64 *service_ids);
extern int	atx_entry_expire(int64 service_id, const AtxMoment *moment, int limit,
							 AtxEntry **entries);
extern bool atx_entry_next_expiry(const AtxMoment *moment, AtxTick *at);
extern void atx_entry_enter_epoch(const AtxMoment *moment);

#endif							/* ATX_ENTRY_H */
