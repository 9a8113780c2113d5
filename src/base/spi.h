/*-------------------------------------------------------------------------
 *
 * spi.h
 *	  Running the extension's own SQL: prepare once, keep, execute.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SPI_H
#define ATX_SPI_H

#include "utils/snapshot.h"

#include "base/clock.h"
#include "base/extension.h"
#include "compat.h"

#define ATX_MAX_ARGS	16

/*
 * A statement of a table's file.  The text is a constant; what a user gives
 * enters only as a parameter.
 */
typedef struct AtxStatement
{
	const char *sql;
	int			nargs;
	Oid			argtypes[ATX_MAX_ARGS];
	void	   *plan;			/* saved, made at first use */
} AtxStatement;

/* Between enter and leave the owner's rights and a pinned search path hold. */
typedef struct AtxScope
{
	const AtxExtension *extension;
	Oid			caller;			/* the role that called us */
	Oid			outer_caller;	/* that of the scope around this one, if any */
	int			caller_context;
	AtxSearchPathPin pin;
	MemoryContext caller_memory;	/* for results that outlive the scope */
} AtxScope;

extern void atx_scope_enter(AtxScope *scope);
extern void atx_scope_enter_to_read(AtxScope *scope);
extern void atx_scope_read_on(void);
extern void atx_scope_enter_as(AtxScope *scope, const AtxExtension *extension);
extern void atx_scope_forget(void);
extern void atx_scope_leave(AtxScope *scope);
extern Oid	atx_scope_caller(void);

extern Snapshot atx_scope_snapshot(void);
extern uint64 atx_execute(AtxStatement *statement, const Datum *values, const char *nulls);
extern uint64 atx_execute_now(AtxStatement *statement, const Datum *values, const char *nulls);
extern void atx_refuse_changed(void);
extern pg_noreturn void atx_refuse_word(const char *table, const char *word);
extern int	atx_word_position(const char *table, const char *const *words, int count,
							  const char *word);
extern void atx_require_unchanged(AtxStatement *statement, const Datum *values, const char *nulls);
extern bool atx_result_isnull(uint64 row, int column);
extern Datum atx_result_datum(uint64 row, int column);
extern int64 atx_result_int64(uint64 row, int column);
extern int	atx_result_ids(uint64 found, int64 *ids);
extern int32 atx_result_int32(uint64 row, int column);
extern Oid	atx_result_oid(uint64 row, int column);
extern char *atx_result_text(uint64 row, int column);
extern bytea *atx_result_bytes(uint64 row, int column);

/*
 * In a statement, the place of an id in an array of ids that is ascending and
 * has it: what an array beside it says of the id is found without a join, for
 * which the planner, who does not know how long arrays are, would look at all
 * pairs.
 */
#define ATX_PLACE_OF(id, ids) "pg_catalog.width_bucket(" id ", " ids ")"

extern Datum atx_int64_array(const int64 *values, int count);

#endif							/* ATX_SPI_H */
