/*-------------------------------------------------------------------------
 *
 * typed_call.h
 *	  Typed functions that change a service by its name: in the caller's
 *	  transaction, or, given a session and a number, exactly once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_TYPED_CALL_H
#define ATX_TYPED_CALL_H

#include "access/tupdesc.h"
#include "fmgr.h"

#include "commands/exactly_once.h"
#include "commands/services.h"

typedef struct AtxTypedCall
{
	AtxScope	scope;
	AtxCall		call;
	AtxNumbered numbered;		/* session_id 0: none */
	TupleDesc	result;			/* a value that is no row is one of one column */
	bool		is_row;
} AtxTypedCall;

/* Columns of a result, as they are formed or were formed the first time. */
typedef struct AtxRow
{
	Datum		values[2];
	bool		nulls[2];
} AtxRow;

extern bool atx_typed_begin(FunctionCallInfo fcinfo, const char *function,
							int namespace_argument, AtxTypedCall *typed, AtxRow *row);
extern void atx_typed_use(FunctionCallInfo fcinfo, int namespace_argument,
						  const AtxServiceType *type, AtxAccess access,
						  AtxTypedCall *typed);
extern Datum atx_typed_end(FunctionCallInfo fcinfo, AtxTypedCall *typed, AtxRow *row,
						   bool executed);
extern bool atx_typed_find(FunctionCallInfo fcinfo, int namespace_argument,
						   const AtxServiceType *type, AtxScope *scope, AtxCall *call);

#endif							/* ATX_TYPED_CALL_H */
