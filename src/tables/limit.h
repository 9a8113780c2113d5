/*-------------------------------------------------------------------------
 *
 * limit.h
 *	  How much there may be: of all, or in a namespace.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_LIMIT_H
#define ATX_LIMIT_H

/* Those up to ATX_LIMIT_CLAIMS may differ between namespaces. */
typedef enum AtxLimit
{
	ATX_LIMIT_NAME_LENGTH,
	ATX_LIMIT_KEY_LENGTH,
	ATX_LIMIT_VALUE_SIZE,
	ATX_LIMIT_SERVICES,
	ATX_LIMIT_ENTRIES,
	ATX_LIMIT_BYTES,
	ATX_LIMIT_CLAIMS,
	ATX_LIMIT_SESSIONS,
	ATX_LIMIT_ROLE_SESSIONS,
	ATX_LIMIT_LABELS_SIZE,
	ATX_LIMIT_SESSION_SERVICES,
	ATX_LIMIT_SESSION_COMMANDS,
	ATX_LIMIT_SESSION_OUTPUT,
	ATX_LIMIT_SESSION_STREAMS,
	ATX_LIMIT_SESSION_CLAIMS,
	ATX_LIMITS
} AtxLimit;

#define ATX_NO_LIMIT	PG_INT64_MAX

/* In place of a namespace: what counts for those that have no limit. */
#define ATX_EVERYWHERE	NULL

extern bool atx_limit_by_name(const char *name, AtxLimit *limit);
extern bool atx_limit_is_of_namespace(AtxLimit limit);
extern int64 atx_limit_greatest(AtxLimit limit);

extern int64 atx_limit(AtxLimit limit, const char *namespace);
extern void atx_limit_put(AtxLimit limit, const char *namespace, int64 value);
extern void atx_limit_delete(AtxLimit limit, const char *namespace);

extern void atx_limit_refuse(AtxLimit limit, const char *namespace, int64 used, int64 more);
extern void atx_limit_check_size(AtxLimit limit, const char *namespace, int64 size);
extern void atx_limit_take_session(Oid role);
extern void atx_limit_take_service(const char *namespace);
extern void atx_limit_free_service(const char *namespace);
extern void atx_limit_cleared(const char *namespace);
extern void atx_limit_write_entry(const char *namespace, const char *key,
								  const bytea *before, const bytea *after);
extern bool atx_limits_recount(void);

#endif							/* ATX_LIMIT_H */
