/*-------------------------------------------------------------------------
 *
 * process.c
 *	  What every background process of atomix does in the same way.
 *
 * A step runs with the rights of the extension's owner, in a transaction of
 * its own, after all tables have been locked without waiting.  Its error is
 * reported and does not end the process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/settings.h"
#include "base/spi.h"
#include "commands/jump.h"
#include "worker/lifecycle.h"
#include "worker/process.h"

PGDLLEXPORT void atomix_jump_main(Datum arg);

#define RETRY_BUSY_MS	50

AtxSlot    *atx_worker_slot = NULL;

static const char *const our_tables[] = {
	"authority", "clock_epoch", "partition", "partition_term", "session", "lease",
	"service", "attachment", "command", "entry", "claim", "event",
	"event_floor", "stream", "replay", "namespace_grant", "namespace_limit", "placement"
};

/* How long a step that may wait waits for a lock, in milliseconds. */
#define TURN_TIMEOUT_MS	50

static bool takes_turn = false; /* the step that is run may wait */

/*
 * Must a standby confirm what is committed here?
 */
bool
atx_standby_confirms(void)
{
	return SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/*
 * Lock what the step works on without waiting; false if somebody is changing
 * or dropping it.  In a fixed order, and before anything else is locked, so
 * that DROP EXTENSION can neither deadlock with us nor wait long.
 */
static bool
lock_tables(Oid schema)
{
	for (int i = 0; i < lengthof(our_tables); i++)
	{
		Oid			relation = get_relname_relid(our_tables[i], schema);

		if (!OidIsValid(relation) ||
			!ConditionalLockRelationOid(relation, RowExclusiveLock))
			return false;
	}
	return true;
}

/* Report an error of a step, in the log and in the view, and go on. */
static void
recover_from_error(MemoryContext context)
{
	ErrorData  *error;
	bool		expected;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	expected = takes_turn && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
	if (!expected)
		EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(context);
	if (atx_worker_slot != NULL && !expected)
		atx_slot_report(atx_worker_slot, error->message);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
}

/*
 * Beats alone need not be on disk at once: what a crash loses of them is
 * less than the grace it brings.  A standby that must confirm them makes
 * them a proof that this primary is not cut off.
 */
static void
relax_commit(void)
{
	if (!atx_standby_confirms())
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * A process like ours begins as the superuser that made the cluster.  Once the
 * owner of our tables is known it goes on as that role, which need not be a
 * superuser, and follows if they change hands.  Not within a transaction,
 * whose abort would undo half of it.
 */
static void
become(Oid owner, bool is_superuser)
{
	if (OidIsValid(owner))
		SetSessionAuthorization(owner, is_superuser);
}

/*
 * One attempt; if *owner is valid then, nothing was done, because we have to
 * become that role first.
 */
static AtxRunResult
attempt(AtxStep step, void *state, bool relaxed, Oid *owner, bool *is_superuser)
{
	const AtxExtension *extension;
	AtxRunResult result = ATX_RUN_ABSENT;
	AtxScope	scope;

	*owner = InvalidOid;
	*is_superuser = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (relaxed)
		relax_commit();
	if (takes_turn && LockTimeout > TURN_TIMEOUT_MS)
		(void) set_config_option("lock_timeout", CppAsString2(TURN_TIMEOUT_MS), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	extension = atx_extension_lookup();
	if (extension != NULL && extension->owner != GetSessionUserId())
	{
		*owner = extension->owner;
		*is_superuser = superuser_arg(*owner);
	}
	else if (extension != NULL)
	{
		result = ATX_RUN_BUSY;
		if (lock_tables(extension->schema))
		{
			atx_scope_enter_as(&scope, extension);
			step(state);
			atx_scope_leave(&scope);
			result = ATX_RUN_DONE;
		}
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	return result;
}

static AtxRunResult
run_in_transaction(AtxStep step, void *state, bool relaxed)
{
	AtxRunResult result;
	Oid			owner;
	bool		is_superuser;

	do
	{
		result = attempt(step, state, relaxed, &owner, &is_superuser);
		become(owner, is_superuser);
	} while (OidIsValid(owner));
	return result;
}

static AtxRunResult
run(AtxStep step, void *state, const char *activity, bool relaxed)
{
	MemoryContext context = CurrentMemoryContext;
	volatile AtxRunResult result = ATX_RUN_FAILED;

	pgstat_report_activity(STATE_RUNNING, activity);
	PG_TRY();
	{
		result = run_in_transaction(step, state, relaxed);
	}
	PG_CATCH();
	{
		recover_from_error(context);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(context);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return result;
}

/*
 * Run a step in a transaction of its own.
 */
AtxRunResult
atx_run(AtxStep step, void *state, const char *activity)
{
	return run(step, state, activity, false);
}

/*
 * The same for one that need not be on disk when this returns.
 */
AtxRunResult
atx_run_relaxed(AtxStep step, void *state, const char *activity)
{
	return run(step, state, activity, true);
}

/*
 * The same for one that may wait for others, but not for long: if that is not
 * long enough, nothing is reported.
 */
AtxRunResult
atx_run_in_turn(AtxStep step, void *state, const char *activity)
{
	AtxRunResult result;

	takes_turn = true;
	result = run(step, state, activity, false);
	takes_turn = false;
	return result;
}

/*
 * What ALTER DATABASE or ALTER ROLE set for users must not reach us.
 */
static void
override_settings(void)
{
	static const char *const settings[][2] = {
		{"role", "none"},
		{"search_path", "pg_catalog, pg_temp"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"row_security", "off"},
		{"session_replication_role", "origin"},
		{"application_name", "atomix worker"},
		{"log_statement", "none"},
		{"log_min_duration_statement", "-1"},
	};

	char		lock_timeout[32];

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);

	/* We give way before the deadlock detector would choose a victim. */
	snprintf(lock_timeout, sizeof(lock_timeout), "%d", Max(1, Min(500, DeadlockTimeout / 2)));
	SetConfigOption("lock_timeout", lock_timeout, PGC_SUSET, PGC_S_OVERRIDE);

	/* A session's end that was told must not be undone by a crash. */
	if (synchronous_commit < SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Connect to a database, for good.
 */
void
atx_worker_connect(Oid database)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	override_settings();
}

static void
jump_step(void *state)
{
	if (atx_enabled && !RecoveryInProgress())
		atx_jump();
}

/*
 * The life of a process that takes over one database and goes; its argument
 * is the database.  It serves where no worker does.
 */
void
atomix_jump_main(Datum arg)
{
	AtxTick		until = atx_now() + atx_max_wait * ATX_TICKS_PER_MS;

	atx_worker_connect(DatumGetObjectId(arg));
	/* Whoever waits for us gives up at the same time. */
	while (run_in_transaction(jump_step, NULL, false) == ATX_RUN_BUSY && atx_now() < until)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 RETRY_BUSY_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	proc_exit(0);
}
