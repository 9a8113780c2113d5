/*-------------------------------------------------------------------------
 *
 * spi.c
 *	  Running the extension's own SQL.
 *
 * Every statement runs with the latest snapshot, in every isolation level:
 * sessions, floors and grants are decided by what is true now, under the
 * locks already taken, not by what was true when the transaction began.  Only
 * functions that do nothing but read show a transaction its own snapshot.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "jit/jit.h"
#include "nodes/parsenodes.h"
#include "optimizer/cost.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/spi.h"

static bool own_snapshot = false;	/* in the present scope */
static Oid	scope_caller = InvalidOid;	/* of the present scope */

/*
 * Start running statements with the rights of the given extension's owner.
 *
 * An error in between needs no clean-up: transaction abort restores role,
 * search path and SPI.
 */
void
atx_scope_enter_as(AtxScope *scope, const AtxExtension *extension)
{
	scope->extension = extension;
	scope->caller_memory = CurrentMemoryContext;
	GetUserIdAndSecContext(&scope->caller, &scope->caller_context);
	SetUserIdAndSecContext(extension->owner,
						   scope->caller_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	AtxPinSearchPath(&scope->pin);
	SPI_connect();
	own_snapshot = false;
	scope->outer_caller = scope_caller;
	scope_caller = scope->caller;
}

/*
 * The same for the extension installed in this database; ERROR 55000 if it
 * is missing or of another version.
 */
void
atx_scope_enter(AtxScope *scope)
{
	atx_scope_enter_as(scope, atx_extension());
}

/*
 * The same, to show the caller what its transaction is to see: at REPEATABLE
 * READ and above that is one and the same from beginning to end.
 */
void
atx_scope_enter_to_read(AtxScope *scope)
{
	atx_scope_enter(scope);
	atx_scope_read_on();
}

/*
 * Have the present scope go on like that.
 */
void
atx_scope_read_on(void)
{
	own_snapshot = IsolationUsesXactSnapshot();
}

/*
 * Forget all that has been read in the present scope: for who stays in it and
 * reads again and again.
 */
void
atx_scope_forget(void)
{
	SPI_finish();
	SPI_connect();
}

/*
 * Return to the caller's rights, search path and memory.
 */
void
atx_scope_leave(AtxScope *scope)
{
	SPI_finish();
	AtxUnpinSearchPath(&scope->pin);
	SetUserIdAndSecContext(scope->caller, scope->caller_context);
	MemoryContextSwitchTo(scope->caller_memory);
	scope_caller = scope->outer_caller;
}

/*
 * The role that called us, in the present scope.
 */
Oid
atx_scope_caller(void)
{
	return scope_caller;
}

/*
 * The snapshot in which this scope reads.
 */
Snapshot
atx_scope_snapshot(void)
{
	return own_snapshot ? GetTransactionSnapshot() : GetLatestSnapshot();
}

static void
prepare(AtxStatement *statement)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql, statement->nargs,
										  statement->argtypes,
										  CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement->sql,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	statement->plan = plan;
}

static uint64
execute_in(Snapshot snapshot, AtxStatement *statement, const Datum *values,
		   const char *nulls)
{
	bool		seqscan = enable_seqscan;
	bool		jit = jit_enabled;
	volatile int result = 0;

	if (statement->plan == NULL)
		prepare(statement);

	PG_TRY();
	{
		enable_seqscan = false;
		jit_enabled = false;
		result = SPI_execute_snapshot((SPIPlanPtr) statement->plan,
									  (Datum *) values, nulls,
									  snapshot, InvalidSnapshot,
									  false, true, 0);
	}
	PG_FINALLY();
	{
		enable_seqscan = seqscan;
		jit_enabled = jit;
	}
	PG_END_TRY();

	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql,
			 SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * Execute a statement; returns the number of rows it processed, whose result
 * is read by atx_result_*.  nulls as in SPI: NULL, or 'n' for a null.
 *
 * The plan is made while tables may be empty and kept while they grow, so it
 * must use the indexes.  The settings are restored even on error: they are
 * the user's.  With seqscan discouraged, estimated costs mean nothing, and
 * they must not start the JIT compiler.
 */
uint64
atx_execute(AtxStatement *statement, const Datum *values, const char *nulls)
{
	return execute_in(atx_scope_snapshot(), statement, values, nulls);
}

/*
 * The same with the latest snapshot even in a scope that shows the caller its
 * own: for what must not be decided by what was true once.
 */
uint64
atx_execute_now(AtxStatement *statement, const Datum *values, const char *nulls)
{
	return execute_in(GetLatestSnapshot(), statement, values, nulls);
}

/*
 * ERROR 40001: what the transaction has seen is no longer true.
 */
void
atx_refuse_changed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent update"),
			 errhint("The transaction might succeed if retried.")));
}

/*
 * ERROR XX001: a row was edited to say something that no row of ours says.
 */
void
atx_refuse_word(const char *table, const char *word)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table \"%s\" contains the unexpected word \"%s\"", table, word)));
}

/*
 * The position of a word, which a row of the table contains, among those it
 * can contain.
 */
int
atx_word_position(const char *table, const char *const *words, int count, const char *word)
{
	for (int i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	atx_refuse_word(table, word);
}

/*
 * ERROR 40001 if a statement that yields two numbers yields others now than
 * in the snapshot of a transaction at REPEATABLE READ or above: that has
 * seen, or might have seen, what is no longer true.
 */
void
atx_require_unchanged(AtxStatement *statement, const Datum *values, const char *nulls)
{
	int64		now[2];

	if (!IsolationUsesXactSnapshot())
		return;
	(void) execute_in(GetLatestSnapshot(), statement, values, nulls);
	now[0] = atx_result_int64(0, 1);
	now[1] = atx_result_int64(0, 2);
	(void) execute_in(GetTransactionSnapshot(), statement, values, nulls);
	if (now[0] != atx_result_int64(0, 1) || now[1] != atx_result_int64(0, 2))
		atx_refuse_changed();
}

/*
 * The value at a row (from 0) and column (from 1) of the latest result; it
 * lives until the scope is left.
 */
Datum
atx_result_datum(uint64 row, int column)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, &isnull);
}

bool
atx_result_isnull(uint64 row, int column)
{
	bool		isnull;

	(void) SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, &isnull);
	return isnull;
}

int64
atx_result_int64(uint64 row, int column)
{
	return DatumGetInt64(atx_result_datum(row, column));
}

/*
 * Store the first column of the rows found, which are ids; returns how many.
 */
int
atx_result_ids(uint64 found, int64 *ids)
{
	for (uint64 i = 0; i < found; i++)
		ids[i] = atx_result_int64(i, 1);
	return (int) found;
}

int32
atx_result_int32(uint64 row, int column)
{
	return DatumGetInt32(atx_result_datum(row, column));
}

Oid
atx_result_oid(uint64 row, int column)
{
	return DatumGetObjectId(atx_result_datum(row, column));
}

/* A text column as a C string, or NULL if it is null. */
char *
atx_result_text(uint64 row, int column)
{
	return atx_result_isnull(row, column) ? NULL :
		TextDatumGetCString(atx_result_datum(row, column));
}

/* A bytea column, or NULL if it is null. */
bytea *
atx_result_bytes(uint64 row, int column)
{
	return atx_result_isnull(row, column) ? NULL :
		DatumGetByteaPP(atx_result_datum(row, column));
}

/*
 * A bigint[] parameter, palloc'd.
 */
Datum
atx_int64_array(const int64 *values, int count)
{
	Datum	   *datums = (Datum *) palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		datums[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, count, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
