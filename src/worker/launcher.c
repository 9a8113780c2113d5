/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The process that finds databases with the extension and has a worker
 *	  serve each.
 *
 * Only a process connected to a database can see whether the extension is in
 * it, so every database that comes into view gets a worker once; one that
 * finds nothing to serve goes again and gives its slot back.  Later, the
 * transaction that creates the extension asks for the worker.
 *
 * The launcher owns no state but what it has seen: it can be killed at any
 * time and its successor goes on from the slots.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "compat.h"
#include "worker/launcher.h"
#include "worker/lifecycle.h"

/* Databases can appear without a sign that reaches us; look now and then. */
#define SCAN_INTERVAL_MS	60000

PGDLLEXPORT void atomix_launcher_main(Datum arg);

static List *seen_databases = NIL;	/* that a worker has been to */
static bool scan_again = true;	/* some database got no slot */
static bool warned_full = false;
static BackgroundWorkerHandle **handles;	/* by slot, of workers starting */

/*
 * Have the postmaster run a launcher; while libraries are preloaded.
 */
void
atx_launcher_register(void)
{
	BackgroundWorker worker = {0};

	strlcpy(worker.bgw_name, "atomix launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "atomix launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "atomix", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "atomix_launcher_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

static void
forget_launcher(int code, Datum arg)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	atx_shared->launcher_pid = 0;
	LWLockRelease(atx_shared->lock);
}

/* Take the place of a predecessor: what it was starting may never come. */
static void
enter(void)
{
	before_shmem_exit(forget_launcher, (Datum) 0);
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	atx_shared->launcher_pid = MyProcPid;
	atx_shared->launcher_procno = AtxMyProcNumber();
	for (int i = 0; i < atx_shared->nslots; i++)
		if (atx_shared->slots[i].state == ATX_WORKER_STARTING)
			atx_shared->slots[i].state = ATX_WORKER_WANTED;
	LWLockRelease(atx_shared->lock);
	handles = MemoryContextAllocZero(TopMemoryContext,
									 sizeof(*handles) * atx_shared->nslots);
}

/*
 * All databases, and those that a worker could serve, in the current memory
 * context.
 */
static void
list_databases(List **all, List **served)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old = MemoryContextSwitchTo(context);

		*all = lappend_oid(*all, database->oid);
		if (!database->datistemplate && database->datallowconn)
			*served = lappend_oid(*served, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* The databases whose sessions have places in shared memory. */
static List *
list_renewing_databases(void)
{
	List	   *databases = NIL;
	Oid			database = InvalidOid;

	while (OidIsValid(database = atx_renewals_next_database(database)))
		databases = lappend_oid(databases, database);
	return databases;
}

/*
 * Give back the places of databases that are dropped.  They were listed
 * before the existing ones were, so none of them is new.
 */
static void
forget_dropped_databases(const List *renewing, const List *existing)
{
	ListCell   *lc;

	foreach(lc, renewing)
	{
		if (!list_member_oid(existing, lfirst_oid(lc)))
			atx_renewals_forget_others(lfirst_oid(lc), InvalidOid);
	}
}

static bool
slots_all_served(void)
{
	bool		all = true;

	LWLockAcquire(atx_shared->lock, LW_SHARED);
	for (int i = 0; i < atx_shared->nslots; i++)
		if (atx_shared->slots[i].last_cycle == 0)
			all = false;
	LWLockRelease(atx_shared->lock);
	return all;
}

/* A database found no slot; that is news only if the slots are in real use. */
static void
warn_full(void)
{
	if (warned_full || !slots_all_served())
		return;
	warned_full = true;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("atomix serves no further databases"),
			 errdetail("atomix.worker_limit is %d.", atx_shared->nslots),
			 errhint("Raise atomix.worker_limit, and max_worker_processes with it, if another database shall be served.")));
}

/* Give each database that has not been looked at a slot. */
static void
scan_databases(void)
{
	List	   *renewing = list_renewing_databases();
	List	   *existing = NIL;
	List	   *databases = NIL;
	List	   *seen = NIL;
	MemoryContext old;
	ListCell   *lc;

	list_databases(&existing, &databases);
	forget_dropped_databases(renewing, existing);
	scan_again = false;
	if (pg_atomic_exchange_u32(&atx_shared->unserved, 0) != 0)
	{
		/* One of those seen has the extension now; only a visit can tell. */
		list_free(seen_databases);
		seen_databases = NIL;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	foreach(lc, databases)
	{
		Oid			database = lfirst_oid(lc);

		if (list_member_oid(seen_databases, database) ||
			atx_slot_obtain(database) != NULL)
			seen = lappend_oid(seen, database);
		else
			scan_again = true;
	}
	list_free(seen_databases);
	seen_databases = seen;
	MemoryContextSwitchTo(old);
	if (scan_again)
		warn_full();

	for (int i = 0; i < atx_shared->nslots; i++)
	{
		Oid			database = atx_shared->slots[i].database;

		if (OidIsValid(database) && !list_member_oid(databases, database))
			atx_slot_free_if_gone(&atx_shared->slots[i], database);
	}
	list_free(renewing);
	list_free(existing);
	list_free(databases);
}

static void
register_worker(int i)
{
	AtxSlot    *slot = &atx_shared->slots[i];
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, "atomix worker for database %u", slot->database);
	strlcpy(worker.bgw_type, "atomix worker", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "atomix", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "atomix_worker_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;	/* the launcher does it */
	worker.bgw_main_arg = Int32GetDatum(i);
	worker.bgw_notify_pid = MyProcPid;

	if (handles[i] != NULL)
		pfree(handles[i]);
	handles[i] = NULL;
	if (RegisterDynamicBackgroundWorker(&worker, &handles[i]))
		return;

	handles[i] = NULL;
	if (slot->failures == 0)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker slot is free for the atomix worker of database %u",
						slot->database),
				 errhint("Raise max_worker_processes: atomix needs one and one more for each database.")));
	atx_worker_start_failed(slot);
}

/* A worker that the postmaster could not fork never claims its slot. */
static void
notice_failed_start(int i)
{
	pid_t		pid;

	if (handles[i] == NULL ||
		GetBackgroundWorkerPid(handles[i], &pid) != BGWH_STOPPED)
		return;
	pfree(handles[i]);
	handles[i] = NULL;
	atx_worker_start_failed(&atx_shared->slots[i]);
}

/* Start what is wanted; returns how long there is nothing to do. */
static long
start_workers(void)
{
	long		wait_ms = SCAN_INTERVAL_MS;

	for (int i = 0; i < atx_shared->nslots; i++)
	{
		notice_failed_start(i);
		if (atx_worker_start_is_due(&atx_shared->slots[i], &wait_ms))
			register_worker(i);
	}
	return wait_ms;
}

/*
 * The launcher's life.
 */
void
atomix_launcher_main(Datum arg)
{
	TimestampTz last_scan = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	enter();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	ereport(LOG, (errmsg("atomix launcher started")));

	for (;;)
	{
		long		wait_ms;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}

		if (pg_atomic_exchange_u32(&atx_shared->rescan, 0) != 0 || scan_again ||
			TimestampDifferenceExceeds(last_scan, atx_wall_now(), SCAN_INTERVAL_MS))
		{
			scan_databases();
			last_scan = atx_wall_now();
		}
		wait_ms = start_workers();

		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Max(wait_ms, 1), PG_WAIT_EXTENSION);
	}
}
