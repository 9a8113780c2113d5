/*-------------------------------------------------------------------------
 *
 * database_hooks.c
 *	  Keeping workers out of the way of statements on databases, and in step
 *	  with CREATE and DROP EXTENSION.
 *
 * DROP DATABASE, RENAME, SET TABLESPACE and CREATE DATABASE ... TEMPLATE are
 * refused while anybody is connected.  The hook holds the database before the
 * statement runs, which makes the worker go, and releases it when the
 * transaction ends, however it ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "atomix.h"
#include "base/renewals.h"
#include "base/shmem.h"
#include "compat.h"
#include "worker/database_hooks.h"
#include "worker/lifecycle.h"

/* After it the statement itself says that the database is in use. */
#define WORKER_GONE_MS	10000

static ProcessUtility_hook_type prev_process_utility = NULL;
static object_access_hook_type prev_object_access = NULL;

static bool databases_held = false; /* by this transaction */
static bool databases_changed = false;
static bool extension_changed = false;
static Oid	dropped_extension = InvalidOid; /* if it is ours */

static const char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* The name of the database a statement needs for itself, or NULL. */
static const char *
database_wanted_alone(Node *statement)
{
	if (IsA(statement, DropdbStmt))
		return ((DropdbStmt *) statement)->dbname;
	if (IsA(statement, RenameStmt) &&
		((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
		return ((RenameStmt *) statement)->subname;
	if (IsA(statement, AlterDatabaseStmt) &&
		option_value(((AlterDatabaseStmt *) statement)->options, "tablespace") != NULL)
		return ((AlterDatabaseStmt *) statement)->dbname;
	if (IsA(statement, CreatedbStmt))
	{
		const char *template =
		option_value(((CreatedbStmt *) statement)->options, "template");

		return template != NULL ? template : "template1";
	}
	return NULL;
}

/*
 * Send the worker away if the role could carry the statement out; one that
 * may not must not be able to disturb it.
 */
static void
send_worker_away(const char *name)
{
	Oid			database = get_database_oid(name, true);

	if (!OidIsValid(database) || !AtxDatabaseOwner(database, GetUserId()))
		return;
	atx_hold_database(database);
	databases_held = true;
	(void) atx_await_worker_gone(database, WORKER_GONE_MS);
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest,
				QueryCompletion *qc)
{
	const char *name = database_wanted_alone(pstmt->utilityStmt);

	if (name != NULL)
		send_worker_away(name);
	if (IsA(pstmt->utilityStmt, CreatedbStmt) ||
		IsA(pstmt->utilityStmt, AlterDatabaseStmt))
		databases_changed = true;

	if (prev_process_utility)
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params,
							 queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
								queryEnv, dest, qc);
}

/*
 * Remember ours if it is dropped.  Of several in one transaction the first is
 * it, unless its drop was undone: only that one has others known.
 */
static void
note_drop(Oid extension)
{
	const char *name = get_extension_name(extension);

	if (name != NULL && strcmp(name, ATX_EXTENSION_NAME) == 0 &&
		(!OidIsValid(dropped_extension) || get_extension_name(dropped_extension) != NULL))
		dropped_extension = extension;
}

/*
 * Any extension's creation, update or removal has the worker look; its name cannot
 * be read yet when it is being created.
 */
static void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);
	if (classId == ExtensionRelationId &&
		(access == OAT_POST_CREATE || access == OAT_POST_ALTER ||
		 access == OAT_DROP))
		extension_changed = true;
	if (classId == ExtensionRelationId && access == OAT_DROP)
		note_drop(objectId);
}

/*
 * A worker that was just leaving keeps its slot if it was told before, and
 * has given it back if it was not: hence the slot is asked for afterwards.
 */
static void
announce_extension(void)
{
	AtxSlot    *slot = atx_slot_find(MyDatabaseId);

	if (slot != NULL)
		atx_slot_nudge_worker(slot);
	if (atx_slot_obtain(MyDatabaseId) == NULL)
		pg_atomic_write_u32(&atx_shared->unserved, 1);
	atx_launcher_wake();
}

static void
at_end_of_transaction(XactEvent event, void *arg)
{
	/* The drop may have been rolled back to a savepoint. */
	if (event == XACT_EVENT_PRE_COMMIT && OidIsValid(dropped_extension) &&
		get_extension_name(dropped_extension) != NULL)
		dropped_extension = InvalidOid;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;

	if (databases_held)
		atx_release_databases();
	if (event != XACT_EVENT_ABORT && extension_changed)
		announce_extension();
	if (event != XACT_EVENT_ABORT && databases_changed)
		atx_launcher_wake();
	/* Where a worker serves it would do so, too; elsewhere nobody would. */
	if (event == XACT_EVENT_COMMIT && OidIsValid(dropped_extension))
		atx_renewals_forget_extension(dropped_extension);
	dropped_extension = InvalidOid;
	databases_held = extension_changed = databases_changed = false;
}

/*
 * Install the hooks; while libraries are preloaded.
 */
void
atx_database_hooks_init(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
	RegisterXactCallback(at_end_of_transaction, NULL);
}
