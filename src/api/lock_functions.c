/*-------------------------------------------------------------------------
 *
 * lock_functions.c
 *	  The typed functions of locks and semaphores, and wait_ticket.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "base/clock.h"
#include "base/duration.h"
#include "commands/claiming.h"
#include "commands/elections.h"

PG_FUNCTION_INFO_V1(atomix_lock_try);
PG_FUNCTION_INFO_V1(atomix_lock_acquire);
PG_FUNCTION_INFO_V1(atomix_lock_release);
PG_FUNCTION_INFO_V1(atomix_lock_cancel);
PG_FUNCTION_INFO_V1(atomix_lock_force_release);
PG_FUNCTION_INFO_V1(atomix_lock_transfer);
PG_FUNCTION_INFO_V1(atomix_set_lock_delay);
PG_FUNCTION_INFO_V1(atomix_semaphore_try);
PG_FUNCTION_INFO_V1(atomix_semaphore_acquire);
PG_FUNCTION_INFO_V1(atomix_semaphore_release);
PG_FUNCTION_INFO_V1(atomix_semaphore_resize);
PG_FUNCTION_INFO_V1(atomix_wait_ticket);

static AtxClaimed
claimed_arguments(FunctionCallInfo fcinfo, const AtxServiceType *type,
				  int name_argument, int namespace_argument)
{
	AtxClaimed	claimed = {
		.type = type,
		.name = atx_required_text(fcinfo, name_argument, "name"),
		.namespace = atx_required_text(fcinfo, namespace_argument, "namespace")
	};

	return claimed;
}

/* granted, token and, if the function returns it, ticket. */
static Datum
form_grant(FunctionCallInfo fcinfo, const AtxClaimAnswer *answer)
{
	bool		granted = answer->exists && ATX_CLAIM_GRANTED(&answer->claim);
	Datum		values[3] = {0};
	bool		nulls[3];

	values[0] = BoolGetDatum(granted);
	nulls[0] = false;
	nulls[1] = !granted;
	if (granted)
		values[1] = Int64GetDatum(ATX_CLAIM_TOKEN(&answer->claim));
	nulls[2] = !answer->exists;
	if (answer->exists)
		values[2] = Int64GetDatum(answer->claim.claim_id);
	return atx_form_row(fcinfo, values, nulls);
}

static Datum
acquire(FunctionCallInfo fcinfo, const char *function, const AtxClaimed *claimed,
		AtxClaimRequest *request)
{
	AtxScope	scope;
	AtxClaimAnswer answer;
	Datum		row;

	request->session_id = atx_required_int64(fcinfo, 0, "session_id");
	atx_require_writable(function);
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_acquire(&scope, claimed, request, &answer));
	MemoryContextSwitchTo(scope.caller_memory);
	row = form_grant(fcinfo, &answer);
	atx_scope_leave(&scope);
	return row;
}

static int32
lock_weight(FunctionCallInfo fcinfo, int n)
{
	atx_refuse_null(PG_ARGISNULL(n), "shared");
	return PG_GETARG_BOOL(n) ? 1 : ATX_WHOLE_CAPACITY;
}

/*
 * lock_try(session_id bigint, name text, namespace text, shared boolean)
 * returns (granted boolean, token bigint)
 */
Datum
atomix_lock_try(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_lock_type, 1, 2);
	AtxClaimRequest request = {.weight = lock_weight(fcinfo, 3)};

	return acquire(fcinfo, "atomix.lock_try()", &claimed, &request);
}

/*
 * lock_acquire(session_id bigint, name text, timeout interval,
 * namespace text, shared boolean)
 * returns (granted boolean, token bigint, ticket bigint)
 */
Datum
atomix_lock_acquire(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_lock_type, 1, 3);
	AtxClaimRequest request = {
		.weight = lock_weight(fcinfo, 4),
		.timeout = atx_wait_argument(fcinfo, 2, ATX_WAIT_FOR_EVER)
	};

	return acquire(fcinfo, "atomix.lock_acquire()", &claimed, &request);
}

static Datum
release(FunctionCallInfo fcinfo, const char *function, const AtxServiceType *type)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, type, 1, 3);
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");

	/* Nothing is granted with a token below 1. */
	int64		token = PG_ARGISNULL(2) ? ATX_ANY_TOKEN : Max(PG_GETARG_INT64(2), 0);
	AtxScope	scope;
	bool		released = false;

	atx_require_writable(function);
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_release(&scope, &claimed, session_id, token, &released));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(released);
}

/*
 * lock_release(session_id bigint, name text, token bigint, namespace text)
 * returns boolean
 */
Datum
atomix_lock_release(PG_FUNCTION_ARGS)
{
	return release(fcinfo, "atomix.lock_release()", &atx_lock_type);
}

/*
 * lock_cancel(session_id bigint, name text, ticket bigint, namespace text)
 * returns boolean
 */
Datum
atomix_lock_cancel(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_lock_type, 1, 3);
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		ticket = atx_required_int64(fcinfo, 2, "ticket");
	AtxScope	scope;
	bool		canceled = false;

	atx_require_writable("atomix.lock_cancel()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_cancel(&scope, &claimed, session_id, ticket, &canceled));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(canceled);
}

/*
 * lock_force_release(name text, token bigint, reason text, namespace text)
 * returns boolean
 */
Datum
atomix_lock_force_release(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_lock_type, 0, 3);
	int64		token = atx_required_int64(fcinfo, 1, "token");
	char	   *reason = atx_required_text(fcinfo, 2, "reason");
	AtxScope	scope;
	bool		released = false;

	atx_require_writable("atomix.lock_force_release()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_force_release(&scope, &claimed, token, reason, &released));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(released);
}

/*
 * lock_transfer(name text, token bigint, ticket bigint, reason text,
 * namespace text) returns bigint
 */
Datum
atomix_lock_transfer(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_lock_type, 0, 4);
	int64		token = atx_required_int64(fcinfo, 1, "token");
	int64		ticket = atx_required_int64(fcinfo, 2, "ticket");
	char	   *reason = atx_required_text(fcinfo, 3, "reason");
	AtxScope	scope;
	int64		new_token = 0;

	atx_require_writable("atomix.lock_transfer()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_transfer(&scope, &claimed, token, ticket, reason, &new_token));
	atx_scope_leave(&scope);
	if (new_token == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(new_token);
}

/*
 * set_lock_delay(name text, delay interval, namespace text) returns void
 */
Datum
atomix_set_lock_delay(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_lock_type, 0, 2);
	int64		delay;
	AtxScope	scope;

	atx_refuse_null(PG_ARGISNULL(1), "delay");
	delay = Min(atx_duration_from_interval(PG_GETARG_INTERVAL_P(1), "delay"),
				ATX_LONGEST_DURATION);
	atx_require_writable("atomix.set_lock_delay()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_set_delay(&scope, &claimed, delay));
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}

/* Permits to be asked for, at least 1. */
static int32
permits_argument(FunctionCallInfo fcinfo, int n, int32 least)
{
	atx_refuse_null(PG_ARGISNULL(n), "permits");
	if (PG_GETARG_INT32(n) < least)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be at least %d", "permits", least)));
	return PG_GETARG_INT32(n);
}

/*
 * semaphore_try(session_id bigint, name text, permits int, namespace text)
 * returns (granted boolean, token bigint)
 */
Datum
atomix_semaphore_try(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_semaphore_type, 1, 3);
	AtxClaimRequest request = {.weight = permits_argument(fcinfo, 2, 1)};

	return acquire(fcinfo, "atomix.semaphore_try()", &claimed, &request);
}

/*
 * semaphore_acquire(session_id bigint, name text, permits int,
 * timeout interval, namespace text)
 * returns (granted boolean, token bigint, ticket bigint)
 */
Datum
atomix_semaphore_acquire(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_semaphore_type, 1, 4);
	AtxClaimRequest request = {
		.weight = permits_argument(fcinfo, 2, 1),
		.timeout = atx_wait_argument(fcinfo, 3, ATX_WAIT_FOR_EVER)
	};

	return acquire(fcinfo, "atomix.semaphore_acquire()", &claimed, &request);
}

/*
 * semaphore_release(session_id bigint, name text, token bigint,
 * namespace text) returns boolean
 */
Datum
atomix_semaphore_release(PG_FUNCTION_ARGS)
{
	return release(fcinfo, "atomix.semaphore_release()", &atx_semaphore_type);
}

/*
 * semaphore_resize(name text, permits int, namespace text) returns int
 */
Datum
atomix_semaphore_resize(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = claimed_arguments(fcinfo, &atx_semaphore_type, 0, 2);
	int32		permits = permits_argument(fcinfo, 1, 0);
	AtxScope	scope;

	atx_require_writable("atomix.semaphore_resize()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_resize(&scope, &claimed, permits));
	atx_scope_leave(&scope);
	PG_RETURN_INT32(permits);
}

/*
 * wait_ticket(session_id bigint, ticket bigint, timeout interval)
 * returns (granted boolean, token bigint)
 */
Datum
atomix_wait_ticket(PG_FUNCTION_ARGS)
{
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	int64		ticket = atx_required_int64(fcinfo, 1, "ticket");
	int64		timeout = atx_wait_argument(fcinfo, 2, PG_INT64_MAX);
	AtxScope	scope;
	AtxClaimAnswer answer;
	Datum		row;

	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_wait_ticket(&scope, session_id, ticket, timeout, &answer));
	MemoryContextSwitchTo(scope.caller_memory);
	row = form_grant(fcinfo, &answer);
	atx_scope_leave(&scope);
	return row;
}
