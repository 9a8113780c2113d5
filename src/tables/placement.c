/*-------------------------------------------------------------------------
 *
 * placement.c
 *	  Table placement.
 *
 * A database has one partition.  Where partitions have been placed, the table
 * has a row for each, the one that is here among them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "atomix.h"
#include "base/spi.h"
#include "tables/placement.h"

static AtxStatement read_placement = {
	"SELECT (SELECT pg_catalog.count(*) FROM atomix.placement)::pg_catalog.int4,"
	" COALESCE((SELECT pg_catalog.min(partition_id) FROM atomix.partition), $1)",
	1, {INT4OID}
};

static AtxStatement find_location = {
	"SELECT location FROM atomix.placement WHERE partition_id = $1",
	1, {INT4OID}
};

static AtxStatement lock_tables = {
	"LOCK TABLE atomix.partition, atomix.placement, atomix.session, atomix.service"
	" IN SHARE ROW EXCLUSIVE MODE"
};

static AtxStatement find_use = {
	"SELECT 1 WHERE EXISTS (SELECT 1 FROM atomix.service)"
	" OR EXISTS (SELECT 1 FROM atomix.lease) OR EXISTS (SELECT 1 FROM atomix.session"
	" WHERE state = 'closing')"
};

static AtxStatement store_locations = {
	"INSERT INTO atomix.placement AS p (partition_id, location)"
	" SELECT n, location FROM pg_catalog.unnest($1) WITH ORDINALITY AS l (location, n)"
	" ON CONFLICT (partition_id) DO UPDATE SET location = excluded.location,"
	" since = pg_catalog.clock_timestamp() WHERE p.location <> excluded.location",
	1, {TEXTARRAYOID}
};

static AtxStatement delete_others = {
	"DELETE FROM atomix.placement WHERE partition_id > pg_catalog.cardinality($1)",
	1, {TEXTARRAYOID}
};

static AtxStatement rename_partition = {
	"UPDATE atomix.partition SET partition_id = $1 WHERE partition_id <> $1",
	1, {INT4OID}
};

static AtxStatement rename_terms = {
	"UPDATE atomix.partition_term SET partition_id = $1 WHERE partition_id <> $1",
	1, {INT4OID}
};

/*
 * The placement of this database, as this process last read it; read anew
 * after atx_extension_changed().
 */
AtxPlacement
atx_placement(void)
{
	static AtxPlacement known;
	static bool is_known = false;
	static uint64 known_generation;
	uint64		generation;
	Datum		values[] = {Int32GetDatum(ATX_DEFAULT_PARTITION)};

	/* Looking the extension up may itself change the generation. */
	(void) atx_extension();
	generation = atx_extension_generation();
	if (is_known && known_generation == generation)
		return known;
	(void) atx_execute(&read_placement, values, NULL);
	known.count = atx_result_int32(0, 1);
	known.here = atx_result_int32(0, 2);
	known_generation = generation;
	is_known = true;
	return known;
}

/*
 * The partition that this database has.
 */
int32
atx_partition_here(void)
{
	return atx_placement().here;
}

/*
 * Where a partition is, palloc'd; NULL if that is not known.
 */
char *
atx_placement_location(int32 partition_id)
{
	Datum		values[] = {Int32GetDatum(partition_id)};

	return atx_execute(&find_location, values, NULL) == 0 ? NULL : atx_result_text(0, 1);
}

/*
 * Have nobody open sessions or create services until the transaction ends;
 * whoever is at it has committed.
 */
void
atx_placement_lock(void)
{
	(void) atx_execute(&lock_tables, NULL, NULL);
}

/*
 * Is there anything that belongs to a partition?
 */
bool
atx_placement_in_use(void)
{
	return atx_execute(&find_use, NULL, NULL) > 0;
}

/*
 * Store where each partition is, an array of text, and which is here.
 */
void
atx_placement_store(int32 here, Datum locations)
{
	Datum		partition[] = {Int32GetDatum(here)};

	(void) atx_execute(&delete_others, &locations, NULL);
	(void) atx_execute(&store_locations, &locations, NULL);
	(void) atx_execute(&rename_partition, partition, NULL);
	(void) atx_execute(&rename_terms, partition, NULL);
	atx_extension_changed();
}
