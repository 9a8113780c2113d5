/*-------------------------------------------------------------------------
 *
 * usage.h
 *	  How much there is of what is limited, counted in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_USAGE_H
#define ATX_USAGE_H

typedef enum AtxUsageKind
{
	ATX_USAGE_SESSIONS,
	ATX_USAGE_ROLE_SESSIONS,
	ATX_USAGE_SERVICES,
	ATX_USAGE_ENTRIES,
	ATX_USAGE_BYTES
} AtxUsageKind;

/* Of whom it is: a role, or a namespace. */
#define ATX_USAGE_SUBJECT_LEN	513

typedef struct AtxUsage AtxUsage;

extern void atx_usage_request(void);
extern void atx_usage_create(void);
extern void atx_usage_init(void);

extern AtxUsage *atx_usage_find(AtxUsageKind kind, const char *subject, bool create);
extern bool atx_usage_is_counted(AtxUsage *usage);
extern int64 atx_usage_counted_ago(AtxUsage *usage);
extern int64 atx_usage_now(AtxUsage *usage);
extern void atx_usage_set(AtxUsage *usage, int64 counted);
extern bool atx_usage_reserve(AtxUsage *usage, int64 amount, int64 limit);
extern void atx_usage_release(AtxUsage *usage, int64 amount);
extern void atx_usage_doubt(AtxUsage *usage);
extern void atx_usage_limits_set(void);
extern AtxUsage *atx_usage_stale(int64 age, AtxUsageKind *kind, char *subject);
extern void atx_usage_forget_others(Oid database, Oid kept_extension);

#endif							/* ATX_USAGE_H */
