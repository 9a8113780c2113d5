/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Arguments of SQL functions, checked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ARGUMENTS_H
#define ATX_ARGUMENTS_H

#include "fmgr.h"

extern void atx_require_writable(const char *function);
extern char *atx_text_argument(FunctionCallInfo fcinfo, int n);
extern char *atx_required_text(FunctionCallInfo fcinfo, int n, const char *argument);
extern int64 atx_required_int64(FunctionCallInfo fcinfo, int n, const char *argument);
extern int64 atx_number_argument(FunctionCallInfo fcinfo, int n, const char *argument);
extern bytea *atx_required_bytes(FunctionCallInfo fcinfo, int n, const char *argument);
extern Datum *atx_required_array(FunctionCallInfo fcinfo, int n, const char *argument,
								 Oid element, int *count);
extern int64 atx_sequence_argument(FunctionCallInfo fcinfo, int n);
extern int	atx_rows_argument(FunctionCallInfo fcinfo, int n);
extern int64 atx_wait_argument(FunctionCallInfo fcinfo, int n, int64 if_null);
extern Datum atx_form_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls);
extern Datum atx_bytes_in(MemoryContext context, const bytea *bytes);

#endif							/* ATX_ARGUMENTS_H */
