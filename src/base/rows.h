/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Single rows by their key, without the executor.
 *
 * For the few tables that every command touches: planning and starting a
 * statement costs several times what the row does.  Triggers and rules on
 * such a table are not run.  All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ROWS_H
#define ATX_ROWS_H

#include "executor/tuptable.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* A table of the extension and the unique index to find rows by. */
typedef struct AtxTable
{
	const char *name;
	const char *key;
	bool		indexed_whole;	/* rows written here meet the conditions of
								 * all indexes; else those that have one ask
								 * for their last column */

	/* Looked up at first use. */
	Oid			heap_oid;
	Oid			key_oid;
	uint64		generation;
} AtxTable;

/* A table that is open, perhaps at a row. */
typedef struct AtxCursor
{
	const AtxTable *table;
	Relation	heap;
	Relation	key;
	TupleTableSlot *slot;
	struct IndexScanDescData *scan; /* NULL: none has begun */
} AtxCursor;

extern Snapshot atx_snapshot_take(void);
extern void atx_snapshot_release(Snapshot snapshot);

extern void atx_cursor_open(AtxCursor *cursor, AtxTable *table, bool to_write);
extern bool atx_cursor_find(AtxCursor *cursor, Snapshot snapshot, const int64 *key, int nkeys);
extern bool atx_row_exists(AtxTable *table, const int64 *key, int nkeys);
extern bool atx_cursor_fetch(AtxCursor *cursor, Snapshot snapshot, ItemPointerData tid);
extern ItemPointerData atx_cursor_tid(AtxCursor *cursor);
extern void atx_cursor_begin(AtxCursor *cursor, Snapshot snapshot, const int64 *key, int nkeys);
extern void atx_cursor_begin_after(AtxCursor *cursor, Snapshot snapshot, int64 key,
								   int64 after);
extern void atx_cursor_begin_between(AtxCursor *cursor, Snapshot snapshot, int64 key,
									 int64 after, int64 last);
extern void atx_cursor_begin_to(AtxCursor *cursor, Snapshot snapshot, int64 key, int64 last);
extern bool atx_cursor_next(AtxCursor *cursor);
extern Datum atx_cursor_datum(AtxCursor *cursor, int column, bool *isnull);
extern int64 atx_cursor_int64(AtxCursor *cursor, int column);
extern char *atx_cursor_text(AtxCursor *cursor, int column);
extern bytea *atx_cursor_bytes(AtxCursor *cursor, int column);
extern bool atx_cursor_text_is(AtxCursor *cursor, int column, const char *value);
extern bool atx_cursor_written_here(AtxCursor *cursor);
extern bool atx_cursor_lock(AtxCursor *cursor, bool wait);
extern void atx_cursor_replace(AtxCursor *cursor, Datum *values, bool *nulls, bool *replaced);
extern bool atx_cursor_try_replace(AtxCursor *cursor, Datum *values, bool *nulls,
								   bool *replaced);
extern bool atx_cursor_try_delete(AtxCursor *cursor);
extern void atx_cursor_insert(AtxCursor *cursor, Datum *values, bool *nulls);
extern void atx_cursor_delete(AtxCursor *cursor);
extern void atx_cursor_close(AtxCursor *cursor);

#endif							/* ATX_ROWS_H */
