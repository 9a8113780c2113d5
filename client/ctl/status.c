/*-------------------------------------------------------------------------
 *
 * status.c
 *	  status: is it all as it should be?
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

/*
 * One row.  The setting that sizes shared memory exists only where the library
 * was loaded with the server; processes of others are not for everybody to see.
 */
static const char sql[] =
"WITH w AS (SELECT * FROM atomix.workers WHERE database = current_database() LIMIT 1),"
" p AS (SELECT * FROM atomix.partitions ORDER BY partition_id LIMIT 1),"
" s AS (SELECT name, setting FROM pg_catalog.pg_settings WHERE name LIKE 'atomix.%'),"
" x AS (SELECT * FROM atomix.extension_version())"
" SELECT current_database() AS database,"
" CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' ELSE 'primary' END AS role,"
" current_setting('server_version') AS server_version,"
" x.sql AS extension_version, x.library AS library_version,"
" (SELECT p.term FROM p) AS term, (SELECT p.leader FROM p) AS leader, (SELECT p.since FROM p) AS leader_since,"
" (SELECT w.pid FROM w) AS worker_pid, (SELECT w.state FROM w) AS worker_state,"
" (SELECT w.last_cycle FROM w) AS worker_last_cycle, (SELECT w.lag FROM w) AS worker_lag,"
" (SELECT w.last_error FROM w) AS worker_last_error,"
" (SELECT count(*) FROM atomix.sessions WHERE state IN ('opening', 'opened', 'closing')) AS sessions,"
" (SELECT setting::bigint FROM s WHERE name = 'atomix.shared_sessions') AS shared_sessions,"
" (SELECT count(*) FROM atomix.services) AS services,"
" (SELECT setting::bigint FROM s WHERE name = 'atomix.worker_limit') AS worker_limit,"
" (SELECT setting::bigint FROM s WHERE name = 'atomix.session_timeout') * interval '1 ms' AS session_timeout,"
" pg_catalog.to_json(ARRAY(SELECT t FROM (VALUES"
"  (1, 'the server is a standby: it answers queries only', pg_catalog.pg_is_in_recovery()),"
"  (2, 'not preloaded: sessions end late, see shared_preload_libraries', NOT pg_catalog.pg_is_in_recovery()"
"   AND NOT EXISTS (SELECT FROM s WHERE name = 'atomix.shared_sessions')),"
"  (3, 'no worker serves this database: see atomix.worker_limit and max_worker_processes',"
"   NOT pg_catalog.pg_is_in_recovery() AND NOT EXISTS (SELECT FROM w WHERE pid IS NOT NULL)"
"   AND EXISTS (SELECT FROM s WHERE name = 'atomix.shared_sessions')),"
"  (4, 'atomix.enabled is off: nothing expires and nothing can be changed',"
"   EXISTS (SELECT FROM s WHERE name = 'atomix.enabled' AND setting = 'off')),"
"  (5, 'the worker is late by ' || (SELECT w.lag FROM w), EXISTS (SELECT FROM w WHERE w.lag > '5 s')),"
"  (6, 'the worker reports: ' || (SELECT w.last_error FROM w), EXISTS (SELECT FROM w WHERE w.last_error IS NOT NULL)),"
"  (7, 'library and SQL objects are of different versions: ALTER EXTENSION atomix UPDATE',"
"   EXISTS (SELECT FROM x WHERE x.sql <> x.library)),"
"  (8, 'fsync is off: a crash of the machine may lose everything', current_setting('fsync') = 'off'),"
"  (9, 'more sessions than atomix.shared_sessions: the rest is renewed in rows',"
"   (SELECT count(*) FROM atomix.sessions WHERE state = 'opened') >"
"   (SELECT setting::bigint FROM s WHERE name = 'atomix.shared_sessions'))"
" ) AS v(n, t, holds) WHERE holds ORDER BY n)) AS warnings FROM x";

static int
show(Ctl *ctl, const AtxReply *reply)
{
	const PGresult *result = reply->result;
	int			warnings = PQfnumber(result, "warnings");
	bool		fine = strcmp(PQgetvalue(result, 0, warnings), "[]") == 0;

	ctl_print(ctl, result, true);
	return ctl->values[OPT_CHECK] != NULL && !fine ? CTL_NO : CTL_OK;
}

int
ctl_status(Ctl *ctl)
{
	return ctl_query(ctl, true, sql, 0, NULL, show);
}
