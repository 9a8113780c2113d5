/*-------------------------------------------------------------------------
 *
 * election_functions.c
 *	  The typed functions of elections.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "commands/elections.h"
#include "commands/services.h"

PG_FUNCTION_INFO_V1(atomix_election_enter);
PG_FUNCTION_INFO_V1(atomix_election_withdraw);
PG_FUNCTION_INFO_V1(atomix_election_anoint);
PG_FUNCTION_INFO_V1(atomix_election_promote);
PG_FUNCTION_INFO_V1(atomix_election_demote);
PG_FUNCTION_INFO_V1(atomix_election_evict);
PG_FUNCTION_INFO_V1(atomix_election_leader);

static AtxClaimed
election_arguments(FunctionCallInfo fcinfo, int name_argument, int namespace_argument)
{
	AtxClaimed	claimed = {
		.type = &atx_election_type,
		.name = atx_required_text(fcinfo, name_argument, "name"),
		.namespace = atx_required_text(fcinfo, namespace_argument, "namespace")
	};

	return claimed;
}

/* A candidate's name, or NULL for the default. */
static char *
candidate_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *candidate = atx_text_argument(fcinfo, n);

	if (candidate != NULL && (candidate[0] == '\0' || strlen(candidate) > ATX_MAX_NAME))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have 1 to %d bytes", "candidate", ATX_MAX_NAME)));
	return candidate;
}

static Datum
form_entry(FunctionCallInfo fcinfo, const AtxClaimAnswer *answer, const AtxTerm *term)
{
	bool		leads = answer->exists && ATX_CLAIM_GRANTED(&answer->claim);
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	values[0] = BoolGetDatum(leads);
	nulls[1] = !leads;
	if (leads)
		values[1] = Int64GetDatum(ATX_CLAIM_TOKEN(&answer->claim));
	values[2] = Int64GetDatum(term->term);
	nulls[3] = !term->led;
	if (term->led)
		values[3] = CStringGetTextDatum(term->claim.candidate);
	nulls[4] = !answer->exists;
	if (answer->exists)
		values[4] = Int64GetDatum(answer->claim.claim_id);
	return atx_form_row(fcinfo, values, nulls);
}

/*
 * election_enter(session_id bigint, name text, candidate text, priority int,
 * namespace text) returns (is_leader boolean, token bigint, term bigint,
 * leader text, ticket bigint)
 */
Datum
atomix_election_enter(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = election_arguments(fcinfo, 1, 4);
	AtxClaimRequest request = {
		.session_id = atx_required_int64(fcinfo, 0, "session_id"),
		.candidate = candidate_argument(fcinfo, 2),
		.weight = 1,
		.timeout = ATX_WAIT_FOR_EVER
	};
	AtxScope	scope;
	AtxClaimAnswer answer;
	AtxTerm		term;
	Datum		row;

	atx_refuse_null(PG_ARGISNULL(3), "priority");
	request.priority = PG_GETARG_INT32(3);
	atx_require_writable("atomix.election_enter()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_enter_election(&scope, &claimed, &request, &answer, &term));
	MemoryContextSwitchTo(scope.caller_memory);
	row = form_entry(fcinfo, &answer, &term);
	atx_scope_leave(&scope);
	return row;
}

/*
 * election_withdraw(session_id bigint, name text, namespace text)
 * returns boolean
 */
Datum
atomix_election_withdraw(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = election_arguments(fcinfo, 1, 2);
	int64		session_id = atx_required_int64(fcinfo, 0, "session_id");
	AtxScope	scope;
	bool		withdrawn = false;

	atx_require_writable("atomix.election_withdraw()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_withdraw_from_election(&scope, &claimed, session_id, &withdrawn));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(withdrawn);
}

static Datum
change(FunctionCallInfo fcinfo, const char *action,
	   bool (*operation) (AtxCall *call, const char *candidate))
{
	AtxClaimed	claimed = election_arguments(fcinfo, 0, 2);
	char	   *candidate = atx_required_text(fcinfo, 1, "candidate");
	AtxScope	scope;
	bool		found = false;

	atx_require_writable(psprintf("atomix.election_%s()", action));
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_change_election(&scope, &claimed, candidate, action,
											  operation, &found));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(found);
}

/*
 * election_anoint(name text, candidate text, namespace text) returns boolean
 */
Datum
atomix_election_anoint(PG_FUNCTION_ARGS)
{
	return change(fcinfo, "anoint", atx_election_anoint);
}

/*
 * election_promote(name text, candidate text, namespace text) returns boolean
 */
Datum
atomix_election_promote(PG_FUNCTION_ARGS)
{
	return change(fcinfo, "promote", atx_election_promote);
}

/*
 * election_demote(name text, candidate text, namespace text) returns boolean
 */
Datum
atomix_election_demote(PG_FUNCTION_ARGS)
{
	return change(fcinfo, "demote", atx_election_demote);
}

/*
 * election_evict(name text, candidate text, namespace text) returns boolean
 */
Datum
atomix_election_evict(PG_FUNCTION_ARGS)
{
	return change(fcinfo, "evict", atx_election_evict);
}

static void
put_leader(ReturnSetInfo *rsinfo, const AtxTerm *term)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(term->claim.candidate);
	values[1] = Int64GetDatum(term->claim.session_id);
	values[2] = Int64GetDatum(ATX_CLAIM_TOKEN(&term->claim));
	values[3] = Int64GetDatum(term->term);
	values[4] = TimestampTzGetDatum(term->claim.since);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * election_leader(name text, namespace text) returns table (leader text,
 * session_id bigint, token bigint, term bigint, since timestamptz)
 */
Datum
atomix_election_leader(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = election_arguments(fcinfo, 0, 1);
	AtxScope	scope;
	AtxTerm		term;

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter_to_read(&scope);
	atx_raise_unless_done(atx_read_term(&claimed, &term));
	if (term.led)
		put_leader((ReturnSetInfo *) fcinfo->resultinfo, &term);
	atx_scope_leave(&scope);
	return (Datum) 0;
}
