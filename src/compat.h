/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the PostgreSQL versions atomix builds on.
 *
 * The only file that looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_COMPAT_H
#define ATX_COMPAT_H

#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#if PG_VERSION_NUM >= 170000
#include "common/int.h"
#endif
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000
#error "atomix needs PostgreSQL 15 or later"
#endif

/* Before the name of a function that does not return. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn	__attribute__((noreturn))
#endif

/* The library's entry point, which the server declares since 16. */
#if PG_VERSION_NUM < 160000
extern void _PG_init(void);
#endif

/* What the function is given that is called where an assertion fails. */
#if PG_VERSION_NUM >= 160000
#define AtxAssertParameters const char *condition, \
	const char *filename, int line
#else
#define AtxAssertParameters const char *condition, const char *type, \
	const char *filename, int line
#endif

/* The order of two numbers, for qsort. */
#if PG_VERSION_NUM < 170000
static inline int
pg_cmp_s64(int64 a, int64 b)
{
	return (a > b) - (a < b);
}
#endif

/* A process's place in ProcGlobal->allProcs. */
#if PG_VERSION_NUM >= 170000
#define AtxMyProcNumber()	MyProcNumber
#else
#define AtxMyProcNumber()	(MyProc->pgprocno)
#endif

/* Does this process hold the lock in just that mode? */
#if PG_VERSION_NUM >= 170000
#define AtxLockHeldByMe(tag, mode)	LockHeldByMe((tag), (mode), false)
#else
#define AtxLockHeldByMe(tag, mode)	LockHeldByMe((tag), (mode))
#endif

/* Does the role own the database? */
#if PG_VERSION_NUM >= 160000
#define AtxDatabaseOwner(db, role) \
	object_ownercheck(DatabaseRelationId, (db), (role))
#else
#define AtxDatabaseOwner(db, role)	pg_database_ownercheck((db), (role))
#endif

/*
 * Names are looked up in pg_catalog alone until the matching release, or
 * until the (sub)transaction aborts.
 */
typedef struct AtxSearchPathPin
{
	int			guc_level;		/* used where the pin is a setting */
} AtxSearchPathPin;

static inline void
AtxPinSearchPath(AtxSearchPathPin *pin)
{
#if PG_VERSION_NUM >= 170000
	pin->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
#else
	OverrideSearchPath path = {
		.schemas = NIL,
		.addCatalog = true,
		.addTemp = false
	};

	pin->guc_level = 0;
	PushOverrideSearchPath(&path);
#endif
}

static inline void
AtxUnpinSearchPath(AtxSearchPathPin *pin)
{
#if PG_VERSION_NUM >= 170000
	AtEOXact_GUC(true, pin->guc_level);
#else
	(void) pin;
	PopOverrideSearchPath();
#endif
}

/* An index scan without order by; 18 wants to be told of instrumentation. */
#if PG_VERSION_NUM >= 180000
#define AtxIndexBeginScan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), 0)
#else
#define AtxIndexBeginScan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), (nkeys), 0)
#endif

/* simple_heap_update() tells from 16 on which indexes want the new tuple. */
#if PG_VERSION_NUM >= 160000
#define AtxHeapUpdate(heap, tid, tuple) \
	do { \
		TU_UpdateIndexes which; \
		simple_heap_update((heap), (tid), (tuple), &which); \
	} while (0)
#else
#define AtxHeapUpdate(heap, tid, tuple) \
	simple_heap_update((heap), (tid), (tuple))
#endif

/* The same, but waits for whoever is changing the row, and tells the outcome. */
#if PG_VERSION_NUM >= 160000
#define AtxHeapUpdateOrTell(result, heap, tid, tuple, failure) \
	do { \
		TU_UpdateIndexes which; \
		LockTupleMode mode; \
		(result) = heap_update((heap), (tid), (tuple), GetCurrentCommandId(true), \
							   InvalidSnapshot, true, (failure), &mode, &which); \
	} while (0)
#else
#define AtxHeapUpdateOrTell(result, heap, tid, tuple, failure) \
	do { \
		LockTupleMode mode; \
		(result) = heap_update((heap), (tid), (tuple), GetCurrentCommandId(true), \
							   InvalidSnapshot, true, (failure), &mode); \
	} while (0)
#endif

/*
 * Actions of the JSON parser return a result from 16 on; the caller provides
 * the lexer's storage from 17 on.  The text is UTF-8, escapes are resolved.
 */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType AtxJsonResult;

#define ATX_JSON_GO_ON		JSON_SUCCESS
#else
typedef void AtxJsonResult;

#define ATX_JSON_GO_ON
#endif

#if PG_VERSION_NUM >= 170000
#define AtxMakeJsonLexer(text, len) \
	makeJsonLexContextCstringLen(NULL, (text), (len), PG_UTF8, true)
#else
#define AtxMakeJsonLexer(text, len) \
	makeJsonLexContextCstringLen((text), (len), PG_UTF8, true)
#endif

#endif							/* ATX_COMPAT_H */
