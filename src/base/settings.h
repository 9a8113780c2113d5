/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The settings an administrator can change.
 *
 * Times are in milliseconds unless the name says otherwise.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SETTINGS_H
#define ATX_SETTINGS_H

extern bool atx_enabled;		/* off: a copy that must not act */
extern bool atx_log_sessions;	/* log every change of a session's state */
extern int	atx_session_timeout;	/* when the opener names none */
extern int	atx_min_session_timeout;
extern int	atx_max_session_timeout;
extern int	atx_tombstone_retention;	/* seconds an ended session is known */
extern int	atx_outcome_retention;	/* seconds outcomes outlive their session */
extern int	atx_event_retention;	/* seconds events are kept, and services
									 * watched after the latest look */
extern int	atx_event_retention_count;	/* events of a service that are kept */
extern char *atx_node_id;
extern int	atx_hint_interval;	/* least time between two rounds of hints */
extern int	atx_max_wait;		/* longest a call waits for others */
extern int	atx_max_hold;		/* longest anyone waits for one transaction's
								 * locks */
extern int	atx_failover_delay; /* seconds without grants in a new history */
extern int	atx_query_wait;		/* longest a query waits for commands */
extern int	atx_max_message_size;	/* bytes of one protocol message */
extern int	atx_worker_limit;	/* databases served by a worker */
extern int	atx_shared_sessions;	/* sessions renewed in shared memory */
extern char *atx_leader_name;
extern bool atx_renew_in_rows;	/* tests: as if there were no memory */
extern bool atx_coalesce_renewals;	/* tests and benchmarks turn it off */

extern void atx_settings_init(void);

#endif							/* ATX_SETTINGS_H */
