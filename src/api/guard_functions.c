/*-------------------------------------------------------------------------
 *
 * guard_functions.c
 *	  The typed functions assert_lock, assert_leader and hold, and the trigger
 *	  function fence.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "commands/guards.h"

PG_FUNCTION_INFO_V1(atomix_assert_lock);
PG_FUNCTION_INFO_V1(atomix_assert_leader);
PG_FUNCTION_INFO_V1(atomix_hold);
PG_FUNCTION_INFO_V1(atomix_fence);

static Datum
assert_grant(FunctionCallInfo fcinfo, const char *function, const AtxServiceType *type)
{
	AtxClaimed	claimed = {
		.type = type,
		.name = atx_required_text(fcinfo, 0, "name"),
		.namespace = atx_required_text(fcinfo, 2, "namespace")
	};
	int64		token = atx_required_int64(fcinfo, 1, "token");
	AtxScope	scope;

	atx_require_writable(function);
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_assert_grant(&scope, &claimed, token));
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * assert_lock(name text, token bigint, namespace text) returns void
 */
Datum
atomix_assert_lock(PG_FUNCTION_ARGS)
{
	return assert_grant(fcinfo, "atomix.assert_lock()", &atx_lock_type);
}

/*
 * assert_leader(name text, token bigint, namespace text) returns void
 */
Datum
atomix_assert_leader(PG_FUNCTION_ARGS)
{
	return assert_grant(fcinfo, "atomix.assert_leader()", &atx_election_type);
}

/*
 * hold(name text, namespace text) returns bigint
 */
Datum
atomix_hold(PG_FUNCTION_ARGS)
{
	AtxClaimed	claimed = {
		.type = &atx_lock_type,
		.name = atx_required_text(fcinfo, 0, "name"),
		.namespace = atx_required_text(fcinfo, 1, "namespace")
	};
	AtxScope	scope;
	int64		token = 0;

	atx_require_writable("atomix.hold()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_hold(&claimed, &token));
	atx_scope_leave(&scope);
	PG_RETURN_INT64(token);
}

static void
check_trigger(const TriggerData *trigger)
{
	if (trigger->tg_trigger->tgnargs < 1 || trigger->tg_trigger->tgnargs > 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must name a lock and perhaps its namespace",
						trigger->tg_trigger->tgname),
				 errhint("Create it as in EXECUTE FUNCTION atomix.fence('nightly-report').")));
}

static void
refuse_write(const TriggerData *trigger, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_ATX_NOT_HOLDER),
			 errmsg("table \"%s\" is fenced by lock \"%s\"",
					RelationGetRelationName(trigger->tg_relation), name),
			 errhint("Call atomix.assert_lock(), assert_leader() or hold() earlier in the transaction.")));
}

/*
 * fence() returns trigger: refuses writes of transactions that have not
 * asserted the lock or election that the trigger's arguments name.
 */
Datum
atomix_fence(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	AtxScope	scope;
	char	   *name;
	bool		guarded;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by a trigger", "atomix.fence")));
	check_trigger(trigger);
	name = trigger->tg_trigger->tgargs[0];

	atx_scope_enter(&scope);
	guarded = atx_is_guarded(trigger->tg_trigger->tgnargs > 1 ?
							 trigger->tg_trigger->tgargs[1] : "", name);
	atx_scope_leave(&scope);
	if (!guarded)
		refuse_write(trigger, name);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
						   trigger->tg_newtuple : trigger->tg_trigtuple);
}
