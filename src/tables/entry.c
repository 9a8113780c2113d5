/*-------------------------------------------------------------------------
 *
 * entry.c
 *	  Table entry: the entries of services that are collections.
 *
 * Writers of one entry are kept in order by its row: what a writer has seen
 * is repeated as a condition of its change, on the newest version of the row,
 * and a change that then affects no row is begun anew by the caller.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/spi.h"
#include "tables/entry.h"

/*
 * Does entry e count as gone?  $2 and $3 are epoch and now of a moment.  One
 * of another epoch is brought to this one by the jump before anybody looks.
 */
#define EXPIRED "COALESCE(e.expires_epoch = $2 AND e.expires_at <= $3, false)"

static AtxStatement find = {
	"SELECT e.value, e.index, e.expires_at, " EXPIRED " FROM atomix.entry e"
	" WHERE e.service_id = $1 AND e.key = $4",
	4, {INT8OID, INT4OID, INT8OID, TEXTOID}
};

static AtxStatement insert = {
	"INSERT INTO atomix.entry (service_id, key, value, index, expires_at,"
	" expires_epoch, ttl) VALUES ($1, $2, $3, $4, $5, $6, $7)"
	" ON CONFLICT DO NOTHING",
	7, {INT8OID, TEXTOID, BYTEAOID, INT8OID, INT8OID, INT4OID, INT8OID}
};

static AtxStatement replace = {
	"UPDATE atomix.entry SET value = $3, index = $4, expires_at = $5,"
	" expires_epoch = $6, ttl = $7"
	" WHERE service_id = $1 AND key = $2 AND index = $8",
	8, {INT8OID, TEXTOID, BYTEAOID, INT8OID, INT8OID, INT4OID, INT8OID, INT8OID}
};

static AtxStatement delete = {
	"DELETE FROM atomix.entry WHERE service_id = $1 AND key = $2 AND index = $3",
	3, {INT8OID, TEXTOID, INT8OID}
};

static AtxStatement count = {
	"SELECT pg_catalog.count(*) FROM atomix.entry e"
	" WHERE e.service_id = $1 AND NOT " EXPIRED,
	3, {INT8OID, INT4OID, INT8OID}
};

static AtxStatement clear = {
	"WITH gone AS (DELETE FROM atomix.entry e WHERE e.service_id = $1"
	" RETURNING " EXPIRED " AS expired)"
	" SELECT pg_catalog.count(*) FROM gone WHERE NOT expired",
	3, {INT8OID, INT4OID, INT8OID}
};

static AtxStatement page = {
	"SELECT e.key, e.value, e.index, e.expires_at FROM atomix.entry e"
	" WHERE e.service_id = $1 AND e.key > $4 AND NOT " EXPIRED
	" ORDER BY e.key LIMIT $5",
	5, {INT8OID, INT4OID, INT8OID, TEXTOID, INT8OID}
};

static AtxStatement first_page = {
	"SELECT e.key, e.value, e.index, e.expires_at FROM atomix.entry e"
	" WHERE e.service_id = $1 AND NOT " EXPIRED
	" ORDER BY e.key LIMIT $4",
	4, {INT8OID, INT4OID, INT8OID, INT8OID}
};

static AtxStatement versions_of_one = {
	"SELECT pg_catalog.count(*),"
	" COALESCE(pg_catalog.sum(e.xmin::pg_catalog.text::pg_catalog.int8), 0)::pg_catalog.int8"
	" FROM atomix.entry e WHERE e.service_id = $1 AND e.key = $2",
	2, {INT8OID, TEXTOID}
};

static AtxStatement versions_of_all = {
	"SELECT pg_catalog.count(*),"
	" COALESCE(pg_catalog.sum(e.xmin::pg_catalog.text::pg_catalog.int8), 0)::pg_catalog.int8"
	" FROM atomix.entry e WHERE e.service_id = $1",
	1, {INT8OID}
};

static AtxStatement expire = {
	"DELETE FROM atomix.entry e WHERE e.service_id = $1 AND e.key = ANY (ARRAY("
	"SELECT k.key FROM atomix.entry k WHERE k.service_id = $1 AND k.expires_epoch = $2"
	" AND k.expires_at <= $3 ORDER BY k.expires_at LIMIT $4 FOR UPDATE SKIP LOCKED))"
	" AND e.expires_epoch = $2 AND e.expires_at <= $3 RETURNING e.key, e.value",
	4, {INT8OID, INT4OID, INT8OID, INT8OID}
};

static AtxStatement services_due = {
	"SELECT DISTINCT k.service_id FROM (SELECT e.service_id FROM atomix.entry e"
	" WHERE e.expires_epoch = $1 AND e.expires_at <= $2 ORDER BY e.expires_at"
	" LIMIT $3) k",
	3, {INT4OID, INT8OID, INT8OID}
};

/* In order of the index, so that entries of an earlier epoch come first. */
static AtxStatement next_expiry = {
	"SELECT e.expires_at, e.expires_epoch FROM atomix.entry e"
	" WHERE e.expires_at IS NOT NULL"
	" ORDER BY e.expires_epoch, e.expires_at LIMIT 1"
};

/* Where the last beat of an epoch is not known, entries have all their time. */
static AtxStatement enter_epoch = {
	"UPDATE atomix.entry e SET expires_epoch = $1,"
	" expires_at = $2 + GREATEST(0, LEAST(e.ttl, e.expires_at - COALESCE(("
	"SELECT c.last_beat FROM atomix.clock_epoch c WHERE c.epoch = e.expires_epoch"
	"), 0)))"
	" WHERE e.expires_epoch <> $1",
	2, {INT4OID, INT8OID}
};

static AtxTick
expiry_column(uint64 row, int column)
{
	return atx_result_isnull(row, column) ? ATX_NO_EXPIRY : atx_result_int64(row, column);
}

/*
 * The row of an entry, be it expired or not; false if there is none.
 */
bool
atx_entry_find(int64 service_id, const char *key, const AtxMoment *moment,
			   AtxEntry *entry)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		CStringGetTextDatum(key)
	};

	if (atx_execute(&find, values, NULL) == 0)
		return false;
	entry->key = (char *) key;
	entry->value = atx_result_bytes(0, 1);
	entry->index = atx_result_int64(0, 2);
	entry->expires_at = expiry_column(0, 3);
	entry->expired = DatumGetBool(atx_result_datum(0, 4));
	return true;
}

static bool
write_entry(AtxStatement *statement, int64 service_id, const AtxEntry *entry,
			const AtxMoment *moment, int64 seen_index)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		CStringGetTextDatum(entry->key),
		PointerGetDatum(entry->value),
		Int64GetDatum(entry->index),
		Int64GetDatum(entry->expires_at),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(entry->expires_at - moment->now),
		Int64GetDatum(seen_index)
	};
	char		nulls[] = "        ";

	if (entry->expires_at == ATX_NO_EXPIRY)
		nulls[4] = nulls[5] = nulls[6] = 'n';
	return atx_execute(statement, values, nulls) > 0;
}

/*
 * Insert an entry; false if its key is taken.
 */
bool
atx_entry_insert(int64 service_id, const AtxEntry *entry, const AtxMoment *moment)
{
	return write_entry(&insert, service_id, entry, moment, 0);
}

/*
 * Replace the entry that was seen with that index; false if it is another
 * one by now, or none.
 */
bool
atx_entry_replace(int64 service_id, const AtxEntry *entry,
				  const AtxMoment *moment, int64 seen_index)
{
	return write_entry(&replace, service_id, entry, moment, seen_index);
}

/*
 * Delete the entry that was seen with that index; false as above.
 */
bool
atx_entry_delete(int64 service_id, const char *key, int64 seen_index)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		CStringGetTextDatum(key),
		Int64GetDatum(seen_index)
	};

	return atx_execute(&delete, values, NULL) > 0;
}

static int64
count_by(AtxStatement *statement, int64 service_id, const AtxMoment *moment)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now)
	};

	(void) atx_execute(statement, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * How many entries the service has.
 */
int64
atx_entry_count(int64 service_id, const AtxMoment *moment)
{
	return count_by(&count, service_id, moment);
}

/*
 * Delete all entries of a service; returns how many there were.  The caller
 * holds the service's lock exclusive.
 */
int64
atx_entry_clear(int64 service_id, const AtxMoment *moment)
{
	return count_by(&clear, service_id, moment);
}

/*
 * Up to limit entries in order of their keys' bytes, those after a key, or
 * from the first if that is NULL; returns how many.
 */
int
atx_entry_page(int64 service_id, const char *after, int limit,
			   const AtxMoment *moment, AtxEntry **entries)
{
	Datum		values[5];
	int			found;

	values[0] = Int64GetDatum(service_id);
	values[1] = Int32GetDatum(moment->epoch);
	values[2] = Int64GetDatum(moment->now);
	values[3] = after ? CStringGetTextDatum(after) : Int64GetDatum(limit);
	values[4] = Int64GetDatum(limit);
	found = (int) atx_execute(after ? &page : &first_page, values, NULL);

	*entries = palloc(sizeof(AtxEntry) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		AtxEntry   *entry = &(*entries)[i];

		entry->key = atx_result_text(i, 1);
		entry->value = atx_result_bytes(i, 2);
		entry->index = atx_result_int64(i, 3);
		entry->expires_at = expiry_column(i, 4);
		entry->expired = false;
	}
	return found;
}

/*
 * ERROR 40001 at REPEATABLE READ and above if others have changed the entry,
 * or any if key is NULL, since the transaction's snapshot.
 */
void
atx_entry_require_unchanged(int64 service_id, const char *key)
{
	Datum		values[2];

	if (!IsolationUsesXactSnapshot())
		return;
	values[0] = Int64GetDatum(service_id);
	values[1] = key ? CStringGetTextDatum(key) : (Datum) 0;
	atx_require_unchanged(key ? &versions_of_one : &versions_of_all, values, NULL);
}

/*
 * Services that have some of the limit entries which have counted as gone the
 * longest; returns how many, at most limit.
 */
int
atx_entry_services_due(const AtxMoment *moment, int limit, int64 *service_ids)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(limit)
	};

	return atx_result_ids(atx_execute(&services_due, values, NULL), service_ids);
}

/*
 * Delete up to limit rows of a service's entries that count as gone; returns
 * how many, and which.  Rows that are locked are left for the next time.
 */
int
atx_entry_expire(int64 service_id, const AtxMoment *moment, int limit, AtxEntry **entries)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(limit)
	};
	int			count = (int) atx_execute(&expire, values, NULL);

	*entries = palloc0(sizeof(AtxEntry) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		(*entries)[i].key = atx_result_text(i, 1);
		(*entries)[i].value = atx_result_bytes(i, 2);
	}
	return count;
}

/*
 * The tick at which the next entry expires; false if none will.
 *
 * Entries that came from a dump after the jump are of an earlier epoch.
 */
bool
atx_entry_next_expiry(const AtxMoment *moment, AtxTick *at)
{
	if (atx_execute(&next_expiry, NULL, NULL) == 0)
		return false;
	if (atx_result_int32(0, 2) < moment->epoch)
	{
		atx_entry_enter_epoch(moment);
		return atx_entry_next_expiry(moment, at);
	}
	*at = atx_result_int64(0, 1);
	return true;
}

/*
 * Count the time that entries have left on the moment's clock: they keep what
 * remained at the last beat of theirs.
 */
void
atx_entry_enter_epoch(const AtxMoment *moment)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now)
	};

	(void) atx_execute(&enter_epoch, values, NULL);
}
