/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Single rows by their key, without the executor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/extension.h"
#include "base/rows.h"
#include "base/spi.h"
#include "compat.h"

#define MAX_KEYS	3

/*
 * The snapshot in which statements of this scope read, to read several rows
 * in one; what this transaction has done so far is seen.
 */
Snapshot
atx_snapshot_take(void)
{
	CommandCounterIncrement();
	return RegisterSnapshot(atx_scope_snapshot());
}

void
atx_snapshot_release(Snapshot snapshot)
{
	UnregisterSnapshot(snapshot);
}

static void
look_up(AtxTable *table)
{
	Oid			schema = atx_extension()->schema;

	if (OidIsValid(table->heap_oid) && table->generation == atx_extension_generation())
		return;
	table->heap_oid = get_relname_relid(table->name, schema);
	table->key_oid = get_relname_relid(table->key, schema);
	table->generation = atx_extension_generation();
}

/* Open a relation that may just have been dropped with the extension. */
static Relation
open_or_refuse(const AtxTable *table, Oid oid, LOCKMODE mode)
{
	Relation	relation = OidIsValid(oid) ? try_relation_open(oid, mode) : NULL;

	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" of extension \"atomix\" does not exist", table->name)));
	return relation;
}

/*
 * Open the index of the key.  REINDEX CONCURRENTLY puts another one under its
 * name; the old one is no longer kept up to date soon after, and then dropped.
 */
static Relation
open_key(AtxTable *table, LOCKMODE mode)
{
	Relation	key = try_relation_open(table->key_oid, mode);

	if (key != NULL && key->rd_index->indisvalid)
		return key;
	if (key != NULL)
		relation_close(key, NoLock);
	table->key_oid = get_relname_relid(table->key, atx_extension()->schema);
	return open_or_refuse(table, table->key_oid, mode);
}

/*
 * Open a table; its locks stay until the transaction ends, as a statement's.
 */
void
atx_cursor_open(AtxCursor *cursor, AtxTable *table, bool to_write)
{
	LOCKMODE	mode = to_write ? RowExclusiveLock : AccessShareLock;

	look_up(table);
	cursor->table = table;
	cursor->heap = open_or_refuse(table, table->heap_oid, mode);
	cursor->key = open_key(table, mode);
	cursor->slot = table_slot_create(cursor->heap, NULL);
	cursor->scan = NULL;
}

static void
end_scan(AtxCursor *cursor)
{
	if (cursor->scan != NULL)
		index_endscan(cursor->scan);
	cursor->scan = NULL;
}

/* Who looks for one row after the other in one snapshot goes on with a scan. */
static void
begin_scan(AtxCursor *cursor, Snapshot snapshot, ScanKeyData *keys, int nkeys)
{
	if (cursor->scan == NULL || cursor->scan->xs_snapshot != snapshot ||
		cursor->scan->numberOfKeys != nkeys)
	{
		end_scan(cursor);
		cursor->scan = AtxIndexBeginScan(cursor->heap, cursor->key, snapshot, nkeys);
	}
	index_rescan(cursor->scan, keys, nkeys, NULL, 0);
}

/*
 * Begin to go through the rows whose first nkeys key columns, of type bigint,
 * have these values, in the order of the key.
 */
void
atx_cursor_begin(AtxCursor *cursor, Snapshot snapshot, const int64 *key, int nkeys)
{
	ScanKeyData keys[MAX_KEYS];

	Assert(nkeys <= MAX_KEYS);
	for (int i = 0; i < nkeys; i++)
		ScanKeyInit(&keys[i], i + 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key[i]));
	begin_scan(cursor, snapshot, keys, nkeys);
}

/*
 * The same of those whose first key column has a value and whose second is
 * greater than another.
 */
void
atx_cursor_begin_after(AtxCursor *cursor, Snapshot snapshot, int64 key, int64 after)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	begin_scan(cursor, snapshot, keys, 2);
}

/*
 * The same where the second is also no greater than a third value.
 */
void
atx_cursor_begin_between(AtxCursor *cursor, Snapshot snapshot, int64 key, int64 after,
						 int64 last)
{
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(last));
	begin_scan(cursor, snapshot, keys, 3);
}

/*
 * The same where the second is no greater than another.
 */
void
atx_cursor_begin_to(AtxCursor *cursor, Snapshot snapshot, int64 key, int64 last)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key));
	ScanKeyInit(&keys[1], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(last));
	begin_scan(cursor, snapshot, keys, 2);
}

/*
 * Go to the next of them; false if there is none.
 */
bool
atx_cursor_next(AtxCursor *cursor)
{
	if (!index_getnext_slot(cursor->scan, ForwardScanDirection, cursor->slot))
	{
		ExecClearTuple(cursor->slot);
		return false;
	}
	slot_getallattrs(cursor->slot);
	return true;
}

/*
 * Go to the only row with that key; false if there is none.
 */
bool
atx_cursor_find(AtxCursor *cursor, Snapshot snapshot, const int64 *key, int nkeys)
{
	atx_cursor_begin(cursor, snapshot, key, nkeys);
	return atx_cursor_next(cursor);
}

/*
 * Go to a version of a row that was read before; false if it is not the
 * newest that the snapshot sees.
 */
bool
atx_cursor_fetch(AtxCursor *cursor, Snapshot snapshot, ItemPointerData tid)
{
	if (!ItemPointerIsValid(&tid) ||
		!table_tuple_fetch_row_version(cursor->heap, &tid, snapshot, cursor->slot))
		return false;
	slot_getallattrs(cursor->slot);
	return true;
}

/*
 * Where the row is that the cursor is at.
 */
ItemPointerData
atx_cursor_tid(AtxCursor *cursor)
{
	return cursor->slot->tts_tid;
}

/*
 * Is there a row, in its newest version, whose first key columns have these
 * values?
 */
bool
atx_row_exists(AtxTable *table, const int64 *key, int nkeys)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, table, false);
	found = atx_cursor_find(&cursor, snapshot, key, nkeys);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * The value of a column (from 1); if it is not passed by value it lives until
 * the cursor moves.
 */
Datum
atx_cursor_datum(AtxCursor *cursor, int column, bool *isnull)
{
	*isnull = cursor->slot->tts_isnull[column - 1];
	return cursor->slot->tts_values[column - 1];
}

/*
 * A column that is a number; 0 if it is null.
 */
int64
atx_cursor_int64(AtxCursor *cursor, int column)
{
	bool		isnull;
	Datum		value = atx_cursor_datum(cursor, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/*
 * A copy of a column that is text; NULL if it is null.
 */
char *
atx_cursor_text(AtxCursor *cursor, int column)
{
	bool		isnull;
	Datum		value = atx_cursor_datum(cursor, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * A copy of a column that is bytes; NULL if it is null.
 */
bytea *
atx_cursor_bytes(AtxCursor *cursor, int column)
{
	bool		isnull;
	Datum		value = atx_cursor_datum(cursor, column, &isnull);

	return isnull ? NULL : DatumGetByteaPCopy(value);
}

/*
 * Is that the text of a column?  Null is no text.
 */
bool
atx_cursor_text_is(AtxCursor *cursor, int column, const char *value)
{
	bool		isnull;
	Datum		datum = atx_cursor_datum(cursor, column, &isnull);
	text	   *found;

	if (isnull)
		return false;
	found = DatumGetTextPP(datum);
	return VARSIZE_ANY_EXHDR(found) == strlen(value) &&
		memcmp(VARDATA_ANY(found), value, VARSIZE_ANY_EXHDR(found)) == 0;
}

/*
 * Did the running transaction write the row?
 */
bool
atx_cursor_written_here(AtxCursor *cursor)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(cursor->slot, MinTransactionIdAttributeNumber, &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

static void
refuse_changed_row(const AtxCursor *cursor)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errdetail("A row of table \"%s\" was changed since the transaction began.",
					   RelationGetRelationName(cursor->heap)),
			 errhint("The transaction might succeed if retried.")));
}

/*
 * Lock the row the cursor is at as if to change it, in its newest version,
 * where the cursor then is.  False if it is gone, or if somebody else has it
 * locked and it is not to be waited for.  ERROR 40001 at REPEATABLE READ and
 * above if it was changed since the snapshot.
 */
bool
atx_cursor_lock(AtxCursor *cursor, bool wait)
{
	bool		fixed = IsolationUsesXactSnapshot();
	ItemPointerData tid = cursor->slot->tts_tid;
	TM_FailureData failure;

	switch (table_tuple_lock(cursor->heap, &tid, fixed ? GetTransactionSnapshot() : GetLatestSnapshot(),
							 cursor->slot, GetCurrentCommandId(false), LockTupleNoKeyExclusive,
							 wait ? LockWaitBlock : LockWaitSkip,
							 fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure))
	{
		case TM_Ok:
			slot_getallattrs(cursor->slot);
			return true;
		case TM_Updated:
		case TM_Deleted:
			if (fixed)
				refuse_changed_row(cursor);
			return false;
		default:
			return false;
	}
}

static void
insert_into_index(AtxCursor *cursor, Oid index_oid, TupleTableSlot *slot)
{
	Relation	index = index_open(index_oid, RowExclusiveLock);
	IndexInfo  *info = BuildIndexInfo(index);
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	Assert(info->ii_Expressions == NIL);
	FormIndexDatum(info, slot, NULL, values, nulls);

	/*
	 * One that is being built concurrently is not ready at first.
	 */
	if (info->ii_ReadyForInserts &&
		(info->ii_Predicate == NIL || cursor->table->indexed_whole ||
		 !nulls[info->ii_NumIndexKeyAttrs - 1]))
		(void) index_insert(index, values, nulls, &slot->tts_tid, cursor->heap,
							info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
							false, info);
	index_close(index, NoLock);
}

/* Enter a tuple that was just written into the indexes of its table. */
static void
insert_into_indexes(AtxCursor *cursor, HeapTuple tuple)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(cursor->heap),
													&TTSOpsHeapTuple);
	List	   *indexes = RelationGetIndexList(cursor->heap);
	ListCell   *cell;

	ExecStoreHeapTuple(tuple, slot, false);
	slot->tts_tid = tuple->t_self;
	foreach(cell, indexes)
		insert_into_index(cursor, lfirst_oid(cell), slot);
	list_free(indexes);
	ExecDropSingleTupleTableSlot(slot);
}

/* The row the cursor is at with some columns replaced, palloc'd. */
static HeapTuple
changed_row(AtxCursor *cursor, Datum *values, bool *nulls, bool *replaced)
{
	HeapTuple	before = ExecCopySlotHeapTuple(cursor->slot);
	HeapTuple	after = heap_modify_tuple(before, RelationGetDescr(cursor->heap),
										  values, nulls, replaced);

	heap_freetuple(before);
	return after;
}

static void
finish_change(AtxCursor *cursor, HeapTuple after)
{
	if (!HeapTupleIsHeapOnly(after))
		insert_into_indexes(cursor, after);
	heap_freetuple(after);
	CommandCounterIncrement();
}

/*
 * Replace columns of the row the cursor is at.  The caller holds a lock that
 * keeps all others from changing it.
 */
void
atx_cursor_replace(AtxCursor *cursor, Datum *values, bool *nulls, bool *replaced)
{
	HeapTuple	after = changed_row(cursor, values, nulls, replaced);

	AtxHeapUpdate(cursor->heap, &cursor->slot->tts_tid, after);
	finish_change(cursor, after);
}

/*
 * Could a row be changed that was waited for?  False if it was changed by
 * another transaction since it was read: the caller reads it anew, in a new
 * snapshot.  As a statement would be, this is ERROR 40001 at REPEATABLE READ
 * and above.
 */
static bool
was_unchanged(const AtxCursor *cursor, TM_Result result)
{
	if (result == TM_Ok)
		return true;
	if (result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "unexpected state %d of a row of table \"%s\"", (int) result,
			 cursor->table->name);
	if (IsolationUsesXactSnapshot())
		refuse_changed_row(cursor);
	return false;
}

/*
 * The same where others may be changing the row, who are waited for; false if
 * they have, as above.
 */
bool
atx_cursor_try_replace(AtxCursor *cursor, Datum *values, bool *nulls, bool *replaced)
{
	HeapTuple	after = changed_row(cursor, values, nulls, replaced);
	TM_FailureData failure;
	TM_Result	result;

	AtxHeapUpdateOrTell(result, cursor->heap, &cursor->slot->tts_tid, after, &failure);
	if (!was_unchanged(cursor, result))
		return false;
	finish_change(cursor, after);
	return true;
}

/*
 * Delete the row in the same way.
 */
bool
atx_cursor_try_delete(AtxCursor *cursor)
{
	TM_FailureData failure;
	TM_Result	result = heap_delete(cursor->heap, &cursor->slot->tts_tid,
									 GetCurrentCommandId(true), InvalidSnapshot, true,
									 &failure, false);

	if (!was_unchanged(cursor, result))
		return false;
	CommandCounterIncrement();
	return true;
}

/*
 * Insert a row.
 */
void
atx_cursor_insert(AtxCursor *cursor, Datum *values, bool *nulls)
{
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(cursor->heap), values, nulls);

	simple_heap_insert(cursor->heap, tuple);
	insert_into_indexes(cursor, tuple);
	heap_freetuple(tuple);
	CommandCounterIncrement();
}

/*
 * Delete the row the cursor is at, under a lock as above.
 */
void
atx_cursor_delete(AtxCursor *cursor)
{
	simple_heap_delete(cursor->heap, &cursor->slot->tts_tid);
	CommandCounterIncrement();
}

/*
 * Close the table.
 */
void
atx_cursor_close(AtxCursor *cursor)
{
	end_scan(cursor);
	ExecDropSingleTupleTableSlot(cursor->slot);
	relation_close(cursor->key, NoLock);
	relation_close(cursor->heap, NoLock);
}
