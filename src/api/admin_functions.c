/*-------------------------------------------------------------------------
 *
 * admin_functions.c
 *	  Functions for administrators and tests: tick, after_restore,
 *	  extension_version, the clock, and what the views show of shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "atomix.h"
#include "base/duration.h"
#include "base/errors.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/spi.h"
#include "commands/restore.h"
#include "commands/upkeep.h"
#include "tables/lease.h"

/* Ten years: far from any overflow, further than any test needs. */
#define MAX_ADVANCE		(INT64CONST(3653) * 86400 * ATX_TICKS_PER_SEC)

PG_FUNCTION_INFO_V1(atomix_tick);
PG_FUNCTION_INFO_V1(atomix_after_restore);
PG_FUNCTION_INFO_V1(atomix_extension_version);
PG_FUNCTION_INFO_V1(atomix_advance_clock);
PG_FUNCTION_INFO_V1(atomix_workers);
PG_FUNCTION_INFO_V1(atomix_lease_times);

/*
 * What does the worker's work, or takes over, is a transaction of its own:
 * else everybody would have to wait for the rest of the caller's.
 */
static void
require_own_transaction(const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventInTransactionBlock(true, function);
	if (!atx_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("atomix is disabled on this server"),
				 errhint("Set atomix.enabled to on if this server shall act.")));
}

/*
 * tick() returns bigint
 */
Datum
atomix_tick(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	int64		ended;

	require_own_transaction("atomix.tick()");
	atx_scope_enter(&scope);
	ended = atx_upkeep();
	atx_scope_leave(&scope);
	PG_RETURN_INT64(ended);
}

/*
 * after_restore() returns bigint
 */
Datum
atomix_after_restore(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	int64		ended;

	require_own_transaction("atomix.after_restore()");
	atx_scope_enter(&scope);
	ended = atx_after_restore();
	atx_scope_leave(&scope);
	PG_RETURN_INT64(ended);
}

/*
 * extension_version(OUT sql text, OUT library text)
 */
Datum
atomix_extension_version(PG_FUNCTION_ARGS)
{
	const AtxExtension *extension = atx_extension_lookup();
	Datum		values[2];
	bool		nulls[2] = {false, false};

	nulls[0] = extension == NULL;
	values[0] = extension == NULL ? (Datum) 0 : CStringGetTextDatum(extension->version);
	values[1] = CStringGetTextDatum(ATX_LIBRARY_VERSION);
	PG_RETURN_DATUM(atx_form_row(fcinfo, values, nulls));
}

/*
 * _advance_clock(by interval, stalled boolean) returns void
 */
Datum
atomix_advance_clock(PG_FUNCTION_ARGS)
{
	int64		ticks;

	atx_refuse_null(PG_ARGISNULL(0), "by");
	atx_refuse_null(PG_ARGISNULL(1), "stalled");
	ticks = atx_duration_from_interval(PG_GETARG_INTERVAL_P(0), "by");

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to move the lease clock")));
	if (ticks > MAX_ADVANCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"by\" is out of range")));
	if (atx_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lease clock can be moved only where \"atomix\" is preloaded"),
				 errhint("Add atomix to shared_preload_libraries and restart the server.")));

	atx_shmem_advance_clock(ticks, PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

static Datum
wall_or_null(AtxTick tick, bool *isnull)
{
	*isnull = tick == 0;
	return tick == 0 ? (Datum) 0 : TimestampTzGetDatum(atx_wall_of_tick(tick));
}

static const char *
worker_state_name(const AtxSlot *slot)
{
	switch (slot->state)
	{
		case ATX_WORKER_NONE:
			return "none";
		case ATX_WORKER_WANTED:
			return "waiting";
		case ATX_WORKER_STARTING:
			return "starting";
		case ATX_WORKER_RUNNING:
			return slot->idle ? "idle" : "running";
	}
	return "unknown";
}

/* May the role see what concerns other databases and other roles? */
static bool
may_monitor(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
}

static void
put_worker(ReturnSetInfo *rsinfo, const AtxSlot *slot)
{
	Datum		values[8];
	bool		nulls[8] = {false};

	values[0] = ObjectIdGetDatum(slot->database);
	values[1] = Int32GetDatum(slot->pid);
	nulls[1] = slot->pid == 0;
	values[2] = CStringGetTextDatum(worker_state_name(slot));
	values[3] = wall_or_null(slot->last_cycle, &nulls[3]);
	values[4] = IntervalPGetDatum(atx_interval_from_ticks(slot->lag));
	values[5] = CStringGetTextDatum(slot->last_error);
	nulls[5] = slot->last_error[0] == '\0' || !may_monitor();
	values[6] = CStringGetTextDatum(ATX_LIBRARY_VERSION);
	values[7] = CStringGetTextDatum(slot->sql_version);
	nulls[7] = slot->sql_version[0] == '\0';
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * _workers() returns setof record: the slots in shared memory, that of this
 * database only unless the role is a member of pg_monitor
 */
Datum
atomix_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; atx_shared != NULL && i < atx_shared->nslots; i++)
	{
		AtxSlot		copy;

		LWLockAcquire(atx_shared->lock, LW_SHARED);
		memcpy(&copy, &atx_shared->slots[i], sizeof(copy));
		LWLockRelease(atx_shared->lock);
		if (OidIsValid(copy.database) &&
			(copy.database == MyDatabaseId || may_monitor()))
			put_worker(rsinfo, &copy);
	}
	return (Datum) 0;
}

/*
 * The present moment for the views; false where the lease clock says nothing
 * about the leases: on a standby, and until the server has taken over.
 */
static bool
moment_for_views(AtxMoment *moment)
{
	AtxScope	scope;
	const AtxAuthority *authority;

	atx_scope_enter(&scope);
	authority = atx_authority_current();
	if (authority != NULL)
		*moment = atx_moment(authority);
	atx_scope_leave(&scope);
	return authority != NULL;
}

/* A tick in wall time; null if a row was edited to something absurd. */
static Datum
label(AtxTick tick, bool *isnull)
{
	TimestampTz wall = atx_wall_of_tick(tick);

	*isnull = !IS_VALID_TIMESTAMP(wall);
	return TimestampTzGetDatum(wall);
}

/*
 * _lease_times(session_id bigint, epoch int, renewed_at bigint, served bigint, timeout bigint,
 * OUT last_renewed_at timestamptz, OUT deadline timestamptz)
 *
 * What the view sessions shows of a lease, in wall time.
 */
Datum
atomix_lease_times(PG_FUNCTION_ARGS)
{
	AtxMoment	moment;
	Datum		values[2] = {0, 0};
	bool		nulls[2] = {true, true};
	bool		complete = true;

	for (int i = 0; i < 5; i++)
		complete = complete && !PG_ARGISNULL(i);
	if (complete && moment_for_views(&moment))
	{
		int32		epoch = PG_GETARG_INT32(1);
		AtxTick		renewed_at = PG_GETARG_INT64(2);
		int64		timeout = PG_GETARG_INT64(4);
		AtxRenewal	renewal;
		AtxTick		deadline;

		/* Memory may know a later renewal than the row. */
		if (atx_renewal_find(atx_extension()->oid, PG_GETARG_INT64(0), &renewal) !=
			ATX_RENEWAL_ABSENT && renewal.renewed_at >= moment.grace_from &&
			(epoch != moment.epoch || renewal.renewed_at > renewed_at))
		{
			epoch = moment.epoch;
			renewed_at = renewal.renewed_at;
		}
		deadline = atx_lease_deadline(&moment, epoch, renewed_at,
									  PG_GETARG_INT64(3), timeout);

		nulls[0] = epoch != moment.epoch;
		if (!nulls[0])
			values[0] = label(renewed_at, &nulls[0]);
		values[1] = label(deadline, &nulls[1]);
	}
	PG_RETURN_DATUM(atx_form_row(fcinfo, values, nulls));
}
