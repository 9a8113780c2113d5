/*-------------------------------------------------------------------------
 *
 * limit.c
 *	  Table namespace_limit: how much there may be, of all or in a namespace.
 *
 * A limit is what was set for the namespace, else what was set for all, else
 * its default.  What has none is not counted.  What has one is counted in
 * shared memory, where there is room, else in the tables each time; and before
 * anything is refused the tables are asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "base/clock.h"
#include "base/spi.h"
#include "base/usage.h"
#include "tables/limit.h"

/* A counter is corrected so long after it was counted, if it has changed. */
#define CORRECT_AFTER	(60 * ATX_TICKS_PER_SEC)

/* Who goes on asking for what is used up is refused without a count for so long. */
#define TRUST_FULL_FOR	ATX_TICKS_PER_SEC

typedef struct Definition
{
	const char *name;
	const char *what;			/* as an error calls it */
	int64		value;			/* where none is set */
	int64		greatest;		/* that can be set */
} Definition;

static const Definition definitions[] = {
	[ATX_LIMIT_NAME_LENGTH] = {"name_length", "bytes of a name", 512, 512},
	[ATX_LIMIT_KEY_LENGTH] = {"key_length", "bytes of a key", 1024, 1024},
	[ATX_LIMIT_VALUE_SIZE] = {"value_size", "bytes of a value", 1048576, ATX_NO_LIMIT},
	[ATX_LIMIT_SERVICES] = {"services", "services", ATX_NO_LIMIT, ATX_NO_LIMIT},
	[ATX_LIMIT_ENTRIES] = {"entries", "entries", ATX_NO_LIMIT, ATX_NO_LIMIT},
	[ATX_LIMIT_BYTES] = {"bytes", "bytes of entries", ATX_NO_LIMIT, ATX_NO_LIMIT},
	[ATX_LIMIT_CLAIMS] = {"claims", "claims on a service", 10000, ATX_NO_LIMIT},
	[ATX_LIMIT_SESSIONS] = {"sessions", "sessions", ATX_NO_LIMIT, ATX_NO_LIMIT},
	[ATX_LIMIT_ROLE_SESSIONS] = {"role_sessions", "sessions of a role", ATX_NO_LIMIT, ATX_NO_LIMIT},
	[ATX_LIMIT_LABELS_SIZE] = {"labels_size", "bytes of labels", 65536, ATX_NO_LIMIT},
	[ATX_LIMIT_SESSION_SERVICES] = {"session_services", "services open in a session", 10000, ATX_NO_LIMIT},
	[ATX_LIMIT_SESSION_COMMANDS] = {"session_commands", "commands of a session that are not acknowledged", 10000, 10000},
	[ATX_LIMIT_SESSION_OUTPUT] = {"session_output", "bytes of outputs of a session that are not acknowledged", 67108864, ATX_NO_LIMIT},
	[ATX_LIMIT_SESSION_STREAMS] = {"session_streams", "streams of a session", 1000, ATX_NO_LIMIT},
	[ATX_LIMIT_SESSION_CLAIMS] = {"session_claims", "claims of a session", 10000, ATX_NO_LIMIT}
};

/* A limit that was set. */
typedef struct SetLimit
{
	AtxLimit	limit;
	int64		value;
	char	   *namespace;		/* NULL: of all */
} SetLimit;

static SetLimit *set_limits = NULL;
static int	nset = 0;
static MemoryContext set_memory = NULL;
static Oid	limit_table = InvalidOid;
static uint64 changes = 1;		/* news that came */
static uint64 changes_known = 0;	/* when set_limits was read */

static AtxStatement read_all = {
	"SELECT l.name, l.is_default, l.namespace, l.value FROM atomix.namespace_limit l",
	0
};

static AtxStatement put = {
	"INSERT INTO atomix.namespace_limit (name, is_default, namespace, value)"
	" VALUES ($1, $2, $3, $4) ON CONFLICT (namespace, is_default, name)"
	" DO UPDATE SET value = excluded.value",
	4, {TEXTOID, BOOLOID, TEXTOID, INT8OID}
};

static AtxStatement delete = {
	"DELETE FROM atomix.namespace_limit l"
	" WHERE l.name = $1 AND l.is_default = $2 AND l.namespace = $3",
	3, {TEXTOID, BOOLOID, TEXTOID}
};

static AtxStatement count_sessions = {
	"SELECT pg_catalog.count(*) FROM atomix.lease",
	0
};

static AtxStatement count_role_sessions = {
	"SELECT pg_catalog.count(*) FROM atomix.lease l"
	" WHERE l.owner = $1::pg_catalog.int8::pg_catalog.oid",
	1, {TEXTOID}
};

static AtxStatement count_services = {
	"SELECT pg_catalog.count(*) FROM atomix.service s WHERE s.namespace = $1",
	1, {TEXTOID}
};

static AtxStatement count_entries = {
	"SELECT pg_catalog.count(*) FROM atomix.entry e"
	" JOIN atomix.service s ON s.service_id = e.service_id WHERE s.namespace = $1",
	1, {TEXTOID}
};

static AtxStatement count_bytes = {
	"SELECT COALESCE(pg_catalog.sum(pg_catalog.octet_length(e.key)"
	" + pg_catalog.octet_length(e.value)), 0)::pg_catalog.int8 FROM atomix.entry e"
	" JOIN atomix.service s ON s.service_id = e.service_id WHERE s.namespace = $1",
	1, {TEXTOID}
};

static AtxStatement *const counts[] = {
	[ATX_USAGE_SESSIONS] = &count_sessions,
	[ATX_USAGE_ROLE_SESSIONS] = &count_role_sessions,
	[ATX_USAGE_SERVICES] = &count_services,
	[ATX_USAGE_ENTRIES] = &count_entries,
	[ATX_USAGE_BYTES] = &count_bytes
};

/*
 * The limit of that name; false if there is none.
 */
bool
atx_limit_by_name(const char *name, AtxLimit *limit)
{
	for (int i = 0; i < ATX_LIMITS; i++)
		if (strcmp(definitions[i].name, name) == 0)
		{
			*limit = (AtxLimit) i;
			return true;
		}
	return false;
}

bool
atx_limit_is_of_namespace(AtxLimit limit)
{
	return limit <= ATX_LIMIT_CLAIMS;
}

/* The greatest value that can be set: what there is room for. */
int64
atx_limit_greatest(AtxLimit limit)
{
	return definitions[limit].greatest;
}

static void
on_relation_change(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || !OidIsValid(limit_table) || relation == limit_table)
		changes++;
}

static void
watch_changes(void)
{
	static bool watching = false;

	if (!watching)
		CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
	watching = true;
	limit_table = get_relname_relid("namespace_limit", atx_extension()->schema);
}

/* Keep what was read, unless news came meanwhile. */
static void
keep(int found, uint64 before)
{
	nset = 0;
	MemoryContextReset(set_memory);
	set_limits = MemoryContextAlloc(set_memory, sizeof(SetLimit) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		SetLimit   *set = &set_limits[nset];

		if (!atx_limit_by_name(atx_result_text(i, 1), &set->limit))
			continue;
		set->namespace = DatumGetBool(atx_result_datum(i, 2)) ? NULL :
			MemoryContextStrdup(set_memory, atx_result_text(i, 3));
		set->value = atx_result_int64(i, 4);
		nset++;
	}
	changes_known = before;
}

static void
read_limits(void)
{
	uint64		before;

	if (changes_known == changes)
		return;
	if (set_memory == NULL)
		set_memory = AllocSetContextCreate(TopMemoryContext, "atomix limits",
										   ALLOCSET_SMALL_SIZES);
	watch_changes();
	before = changes;
	keep((int) atx_execute_now(&read_all, NULL, NULL), before);
}

/*
 * The limit that counts in a namespace, or ATX_NO_LIMIT.
 */
int64
atx_limit(AtxLimit limit, const char *namespace)
{
	int64		value = definitions[limit].value;

	read_limits();
	for (int i = 0; i < nset; i++)
	{
		if (set_limits[i].limit != limit)
			continue;
		if (set_limits[i].namespace == NULL)
			value = set_limits[i].value;
		else if (namespace != NULL && strcmp(set_limits[i].namespace, namespace) == 0)
			return set_limits[i].value;
	}
	return value;
}

static void
tell_of_change(void)
{
	watch_changes();
	CacheInvalidateRelcacheByRelid(limit_table);
	atx_usage_limits_set();
}

/*
 * Set a limit, of a namespace or of all.  All processes are told when the
 * transaction commits.
 */
void
atx_limit_put(AtxLimit limit, const char *namespace, int64 value)
{
	Datum		values[] = {
		CStringGetTextDatum(definitions[limit].name),
		BoolGetDatum(namespace == NULL),
		CStringGetTextDatum(namespace == NULL ? "" : namespace),
		Int64GetDatum(value)
	};

	(void) atx_execute(&put, values, NULL);
	tell_of_change();
}

/*
 * Let what is set for all count again, or the default.
 */
void
atx_limit_delete(AtxLimit limit, const char *namespace)
{
	Datum		values[] = {
		CStringGetTextDatum(definitions[limit].name),
		BoolGetDatum(namespace == NULL),
		CStringGetTextDatum(namespace == NULL ? "" : namespace)
	};

	(void) atx_execute(&delete, values, NULL);
	tell_of_change();
}

/*
 * ERROR 53400: there would be more than the limit.
 */
void
atx_limit_refuse(AtxLimit limit, const char *namespace, int64 used, int64 more)
{
	const Definition *definition = &definitions[limit];

	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 namespace == NULL || namespace[0] == '\0' ?
			 errmsg("too many %s", definition->what) :
			 errmsg("too many %s in namespace \"%s\"", definition->what, namespace),
			 errdetail("The limit \"%s\" is " INT64_FORMAT ", in use are " INT64_FORMAT
					   ", wanted " INT64_FORMAT " more.",
					   definition->name, atx_limit(limit, namespace), used, more),
			 errhint("What is deleted, released, closed or acknowledged makes room.")));
}

/*
 * ERROR 53400 if something is larger than the limit.
 */
void
atx_limit_check_size(AtxLimit limit, const char *namespace, int64 size)
{
	int64		value = atx_limit(limit, namespace);

	if (size <= value)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many %s", definitions[limit].what),
			 errdetail("They are " INT64_FORMAT "; the limit \"%s\" is " INT64_FORMAT ".",
					   size, definitions[limit].name, value)));
}

static int64
count_now(AtxUsageKind kind, const char *subject)
{
	Datum		value = CStringGetTextDatum(subject);

	(void) atx_execute_now(counts[kind], &value, NULL);
	return atx_result_int64(0, 1);
}

/*
 * Is a counter that says "full" to be believed?  The ends of sessions are not
 * noted, so theirs is never; the others' for a moment, because who is refused
 * may ask again and again.
 */
static bool
is_believed(AtxUsageKind kind, AtxUsage *usage)
{
	return kind >= ATX_USAGE_SERVICES && atx_usage_is_counted(usage) &&
		atx_usage_counted_ago(usage) < TRUST_FULL_FOR;
}

/* Take some of what a role or a namespace may have, or fail. */
static void
take(AtxLimit limit, const char *namespace, AtxUsageKind kind, const char *subject,
	 int64 amount)
{
	int64		value = atx_limit(limit, namespace);
	AtxUsage   *usage;

	if (value == ATX_NO_LIMIT || amount <= 0)
		return;
	usage = atx_usage_find(kind, subject, true);
	if (usage == NULL)
	{
		int64		used = count_now(kind, subject);

		if (used > value - amount)
			atx_limit_refuse(limit, namespace, used, amount);
		return;
	}
	if (atx_usage_is_counted(usage) && atx_usage_reserve(usage, amount, value))
		return;
	if (!is_believed(kind, usage))
	{
		atx_usage_set(usage, count_now(kind, subject));
		if (atx_usage_reserve(usage, amount, value))
			return;
	}
	atx_limit_refuse(limit, namespace, atx_usage_now(usage), amount);
}

/* Free some when the transaction commits. */
static void
free_some(AtxUsageKind kind, const char *subject, int64 amount)
{
	AtxUsage   *usage = atx_usage_find(kind, subject, false);

	if (usage != NULL && atx_usage_is_counted(usage))
		atx_usage_release(usage, amount);
}

static void
doubt(AtxUsageKind kind, const char *subject)
{
	AtxUsage   *usage = atx_usage_find(kind, subject, false);

	if (usage != NULL)
		atx_usage_doubt(usage);
}

/*
 * ERROR 53400 if there are as many sessions as there may be, or as many of
 * the role.
 */
void
atx_limit_take_session(Oid role)
{
	take(ATX_LIMIT_SESSIONS, ATX_EVERYWHERE, ATX_USAGE_SESSIONS, "all", 1);
	if (atx_limit(ATX_LIMIT_ROLE_SESSIONS, ATX_EVERYWHERE) != ATX_NO_LIMIT)
		take(ATX_LIMIT_ROLE_SESSIONS, ATX_EVERYWHERE, ATX_USAGE_ROLE_SESSIONS,
			 psprintf("%u", role), 1);
}

/*
 * ERROR 53400 if a namespace has as many services as it may.
 */
void
atx_limit_take_service(const char *namespace)
{
	take(ATX_LIMIT_SERVICES, namespace, ATX_USAGE_SERVICES, namespace, 1);
}

/*
 * A service was deleted, or, with all its entries, emptied.
 */
void
atx_limit_free_service(const char *namespace)
{
	free_some(ATX_USAGE_SERVICES, namespace, 1);
	atx_limit_cleared(namespace);
}

/*
 * Any number of entries of a namespace were deleted.
 */
void
atx_limit_cleared(const char *namespace)
{
	doubt(ATX_USAGE_ENTRIES, namespace);
	doubt(ATX_USAGE_BYTES, namespace);
}

static void
take_or_free(AtxLimit limit, const char *namespace, AtxUsageKind kind, int64 amount)
{
	if (amount > 0)
		take(limit, namespace, kind, namespace, amount);
	else if (amount < 0)
		free_some(kind, namespace, -amount);
}

/*
 * An entry is to be written; NULL before or after stands for none.  ERROR
 * 53400 beyond a limit of the namespace; to delete is always allowed.
 */
void
atx_limit_write_entry(const char *namespace, const char *key, const bytea *before,
					  const bytea *after)
{
	int64		entries = (after != NULL) - (before != NULL);
	int64		bytes = entries * (int64) strlen(key);

	if (after != NULL)
		bytes += VARSIZE_ANY_EXHDR(after);
	if (before != NULL)
		bytes -= VARSIZE_ANY_EXHDR(before);
	take_or_free(ATX_LIMIT_ENTRIES, namespace, ATX_USAGE_ENTRIES, entries);
	take_or_free(ATX_LIMIT_BYTES, namespace, ATX_USAGE_BYTES, bytes);
}

/*
 * Count one of the counters anew that may have gone wrong since it was counted
 * last; false if there is none.
 */
bool
atx_limits_recount(void)
{
	char		subject[ATX_USAGE_SUBJECT_LEN];
	AtxUsageKind kind;
	AtxUsage   *usage = atx_usage_stale(CORRECT_AFTER, &kind, subject);

	if (usage == NULL)
		return false;
	atx_usage_set(usage, count_now(kind, subject));
	return true;
}
