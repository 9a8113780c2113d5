/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Definition of the settings an administrator can change.
 *
 * Nothing that another role's sessions depend on may be settable by an
 * ordinary role, and what a lease promises must not change under a running
 * transaction: hence PGC_SIGHUP for nearly all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/settings.h"

#define MS_PER_DAY	(24 * 60 * 60 * 1000)

bool		atx_enabled = true;
bool		atx_log_sessions = false;
int			atx_session_timeout = 30000;
int			atx_min_session_timeout = 1000;
int			atx_max_session_timeout = MS_PER_DAY;
int			atx_tombstone_retention = 3600;
int			atx_outcome_retention = 3600;
int			atx_event_retention = 3600;
int			atx_event_retention_count = 100000;
char	   *atx_node_id = NULL;
int			atx_hint_interval = 50;
int			atx_max_wait = 10000;
int			atx_max_hold = 60000;
int			atx_failover_delay = 0;
int			atx_query_wait = 5000;
int			atx_max_message_size = 1024 * 1024;
int			atx_worker_limit = 4;
int			atx_shared_sessions = 65536;
char	   *atx_leader_name = NULL;
bool		atx_coalesce_renewals = true;
bool		atx_renew_in_rows = false;

static void
define_session_settings(void)
{
	DefineCustomIntVariable("atomix.session_timeout",
							"Timeout of a session whose opener names none.",
							NULL, &atx_session_timeout,
							30000, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.min_session_timeout",
							"Least timeout a session may ask for.",
							"The worker proves that it is alive sixteen times in this span.",
							&atx_min_session_timeout,
							1000, 100, MS_PER_DAY,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.max_session_timeout",
							"Greatest timeout a session may ask for.",
							NULL, &atx_max_session_timeout,
							MS_PER_DAY, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.tombstone_retention",
							"How long an ended session is told from one that never existed.",
							NULL, &atx_tombstone_retention,
							3600, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.outcome_retention",
							"How long the outcomes of numbered commands are kept after their session ended.",
							"Not longer than atomix.tombstone_retention.",
							&atx_outcome_retention,
							3600, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomBoolVariable("atomix.log_sessions",
							 "Logs every change of a session's state.",
							 NULL, &atx_log_sessions, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("atomix._renew_in_rows",
							 "Renews sessions in their rows even where shared memory could serve.",
							 "For tests.",
							 &atx_renew_in_rows, false,
							 PGC_SUSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("atomix._coalesce_renewals",
							 "Skips writing a renewal shortly after another.",
							 "Tests and benchmarks turn it off to make every renewal write.",
							 &atx_coalesce_renewals, true,
							 PGC_SUSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);
}

/* Digits of a number of 64 bits, or nothing. */
static bool
check_node_id(char **newval, void **extra, GucSource source)
{
	errno = 0;
	(void) strtoull(*newval, NULL, 10);
	return errno == 0 && strspn(*newval, "0123456789") == strlen(*newval);
}

static void
define_server_settings(void)
{
	DefineCustomBoolVariable("atomix.enabled",
							 "Lets atomix act in this server.",
							 "When off, nothing expires and every call that would change something is refused.",
							 &atx_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.event_retention",
							"How long events are kept, and services watched after somebody last looked.",
							NULL, &atx_event_retention,
							3600, 1, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.event_retention_count",
							"Most events that are kept of one service.",
							NULL, &atx_event_retention_count,
							100000, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("atomix.node_id",
							   "Number by which events of a partition name this server.",
							   "When empty, a hash of the name under which it leads.",
							   &atx_node_id, "",
							   PGC_SIGHUP, 0, check_node_id, NULL, NULL);
	DefineCustomIntVariable("atomix.hint_interval",
							"Least time between two rounds of notifications.",
							NULL, &atx_hint_interval,
							50, 1, 60000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.max_wait",
							"Longest time a call waits for something to happen.",
							NULL, &atx_max_wait,
							10000, 0, 600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.max_hold",
							"Longest time anyone is kept waiting by one transaction's locks on sessions and services.",
							"Then that transaction's connection is terminated. 0: never.",
							&atx_max_hold,
							60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.failover_delay",
							"How long nothing is granted after a promotion, a restore or a copy.",
							"Holders that this server does not know of have that long to come to their end.",
							&atx_failover_delay,
							0, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.query_wait",
							"Longest time a query waits for commands that it is to see.",
							NULL, &atx_query_wait,
							5000, 0, 600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.max_message_size",
							"Largest protocol message that is decoded.",
							NULL, &atx_max_message_size,
							1024 * 1024, 1024, 256 * 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomStringVariable("atomix.leader_name",
							   "Name under which this server leads its partitions.",
							   "When empty, cluster_name, else the host name and port.",
							   &atx_leader_name, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_memory_settings(void)
{
	DefineCustomIntVariable("atomix.worker_limit",
							"Most databases that are served by a worker.",
							NULL, &atx_worker_limit,
							4, 1, 256,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("atomix.shared_sessions",
							"Most sessions, in all databases, that are renewed in shared memory.",
							"Further sessions are renewed in their rows. A session takes about 90 bytes.",
							&atx_shared_sessions,
							65536, 0, 100000000,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

/*
 * Define all settings; called once per process that loads the library.
 */
void
atx_settings_init(void)
{
	define_session_settings();
	define_server_settings();

	/* They size shared memory, so they exist only where there is some. */
	if (process_shared_preload_libraries_in_progress)
		define_memory_settings();

	MarkGUCPrefixReserved("atomix");
}
