/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  The installed extension in this database: its objects and version.
 *
 * The library may be newer or older than the SQL objects: a package is
 * replaced before ALTER EXTENSION UPDATE runs.  Every entry point goes
 * through atx_extension(), which refuses to touch tables it was not made for.
 *
 * pg_extension has no catalog cache, so the cached answer is dropped when
 * one of our relations, any function or any schema changes; every update script
 * therefore replaces at least one function.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "atomix.h"
#include "base/extension.h"

static AtxExtension cached;
static bool cached_valid = false;
static Oid	authority_table = InvalidOid;
static uint64 generation = 0;

static void
forget(void)
{
	cached_valid = false;
	generation++;
}

static void
on_relation_change(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == authority_table ||
		relation == cached.index_sequence)
		forget();
}

static void
on_catalog_change(Datum arg, int cacheid, uint32 hashvalue)
{
	forget();
}

/*
 * Watch for changes of the installed extension; once per process.
 */
void
atx_extension_init(void)
{
	CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, on_catalog_change, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_catalog_change, (Datum) 0);
}

/*
 * Changes whenever what atx_extension() answered may have changed.
 */
uint64
atx_extension_generation(void)
{
	return generation;
}

/*
 * Have all processes read anew what they know of the extension, and of who
 * serves, once the transaction has committed.
 */
void
atx_extension_changed(void)
{
	CacheInvalidateRelcacheByRelid(authority_table);
}

static void
read_version(HeapTuple tuple, TupleDesc desc, char *version)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion, desc, &isnull);

	strlcpy(version, isnull ? "" : TextDatumGetCString(value), ATX_VERSION_LEN);
}

/* Read our row of pg_extension; false if the extension is not installed. */
static bool
read_extension(AtxExtension *result)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(ATX_EXTENSION_NAME));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);

		result->oid = form->oid;
		result->schema = form->extnamespace;
		read_version(tuple, RelationGetDescr(rel), result->version);
		result->created_here =
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

static Oid
relation_owner(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Whoever owns the schema could put tables of his own in the place of ours,
 * and would then have our SQL meet them with the rights of our owner.
 */
static bool
schema_is_safe(Oid schema, Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			schema_owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		schema_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
		ReleaseSysCache(tuple);
	}
	return schema_owner == owner || superuser_arg(schema_owner);
}

/*
 * The extension as installed in this database, whatever its version; NULL if
 * it is not, or only half (while its script runs).
 */
const AtxExtension *
atx_extension_lookup(void)
{
	AtxExtension found;
	uint64		before;

	if (cached_valid)
		return &cached;

	/* Reading the catalog may itself process invalidations. */
	before = generation;
	if (!read_extension(&found))
		return NULL;
	authority_table = get_relname_relid("authority", found.schema);
	found.index_sequence = get_relname_relid("index_seq", found.schema);
	if (!OidIsValid(authority_table) || !OidIsValid(found.index_sequence))
		return NULL;
	found.owner = relation_owner(authority_table);
	found.safe = schema_is_safe(found.schema, found.owner);

	cached = found;
	/* "Created here" ends with the transaction, so it is not kept. */
	cached_valid = !found.created_here && before == generation;
	return &cached;
}

/*
 * The extension as installed in this database.
 *
 * ERROR 55000 if it is not installed, or if its SQL objects are of another
 * version than this library.
 */
const AtxExtension *
atx_extension(void)
{
	const AtxExtension *extension = atx_extension_lookup();

	if (extension == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is not installed in this database", ATX_EXTENSION_NAME),
				 errhint("Run CREATE EXTENSION %s.", ATX_EXTENSION_NAME)));

	if (strcmp(extension->version, ATX_LIBRARY_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" and its library are of different versions", ATX_EXTENSION_NAME),
				 errdetail("The SQL objects are of version %s, the loaded library is of version %s.",
						   extension->version, ATX_LIBRARY_VERSION),
				 errhint("Run ALTER EXTENSION %s UPDATE, or restart the server if the library was replaced.",
						 ATX_EXTENSION_NAME)));
	if (!extension->safe)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" belongs to a role that does not own extension \"%s\"",
						ATX_SCHEMA_NAME, ATX_EXTENSION_NAME),
				 errhint("Run ALTER SCHEMA %s OWNER TO the role that owns its tables, and look who has made the schema.",
						 ATX_SCHEMA_NAME)));
	return extension;
}

/*
 * The sequence of the index, locked as for drawing from it until the
 * transaction ends.  ERROR 42P01 if it has just gone with the extension.
 */
Oid
atx_extension_sequence(void)
{
	Oid			oid = atx_extension()->index_sequence;
	Relation	sequence = try_relation_open(oid, RowExclusiveLock);

	if (sequence == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the index of extension \"%s\" does not exist", ATX_EXTENSION_NAME)));
	relation_close(sequence, NoLock);
	return oid;
}
