/*-------------------------------------------------------------------------
 *
 * waiting_functions.c
 *	  The typed functions that wait: wait_events; and the doorbell for tests.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "base/doorbell.h"
#include "base/duration.h"
#include "base/errors.h"
#include "commands/waiting.h"

PG_FUNCTION_INFO_V1(atomix_wait_events);
PG_FUNCTION_INFO_V1(atomix_ring);

/*
 * wait_events(session_id bigint, timeout interval) returns boolean
 */
Datum
atomix_wait_events(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	int64		timeout;
	bool		happened = false;

	atx_refuse_null(PG_ARGISNULL(0), "session_id");
	timeout = PG_ARGISNULL(1) ? PG_INT64_MAX / 2 :
		atx_duration_from_interval(PG_GETARG_INTERVAL_P(1), "timeout");

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_wait_events(&scope, PG_GETARG_INT64(0), timeout, &happened));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(happened);
}

/*
 * _ring(session_id bigint) returns void
 */
Datum
atomix_ring(PG_FUNCTION_ARGS)
{
	atx_refuse_null(PG_ARGISNULL(0), "session_id");
	atx_doorbell_ring(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}
