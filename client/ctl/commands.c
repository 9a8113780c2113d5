/*-------------------------------------------------------------------------
 *
 * commands.c
 *	  The table of commands.
 *
 * Help, completion and the test of the manual are made from it.
 *
 *-------------------------------------------------------------------------
 */
#include "ctl.h"

#define NS			OPT(OPT_NAMESPACE)
#define SQ			(OPT(OPT_SESSION) | OPT(OPT_NUMBER))
#define SQ_SQL		"session_id => :session::bigint, sequence_num => coalesce(:number::bigint, 0)"
#define NS_SQL		"namespace => :namespace::text"

/* Arguments that have an order of their own stand last, for the usage. */
#define SQL(flags, least, most, sql)	flags, least, most, ctl_run_sql, sql

const CtlCommand ctl_commands[] = {
	{"lock", "NAME -- COMMAND [ARG ...]", "run a command while a lock is held",
		"The command runs in a process group of its own with ATOMIX_TOKEN, ATOMIX_SESSION,\n"
		"ATOMIX_LOCK and ATOMIX_NAMESPACE in its environment.  Signals are passed on to\n"
		"it, and its exit code is given back.  If the lock is about to be lost it gets\n"
		"SIGTERM, and after the grace SIGKILL, before anybody else can have the lock.\n"
		"Exit codes of its own: 123 lost, 124 not acquired, 125 an error, 126 the command\n"
		"cannot be executed, 127 it is not there.",
		"lock nightly --try -- /usr/local/bin/report",
		NS | OPT(OPT_TTL) | OPT(OPT_TRY) | OPT(OPT_TIMEOUT) | OPT(OPT_SHARED) |
		OPT(OPT_PERMITS) | OPT(OPT_GRACE) | OPT(OPT_NAME),
	CTL_WRITES | CTL_RUNS, 1, 1, ctl_lock, NULL},
	{"elect", "NAME -- COMMAND [ARG ...]", "run a command while leading an election",
		"As lock, with ATOMIX_ELECTION and ATOMIX_TERM in the environment.  When another\n"
		"one is made leader, or the lease is about to be lost, the command is ended, and\n"
		"atomixctl stays a candidate.  When the command ends by itself it steps down and\n"
		"stands again at the end of the queue; with --once it ends with the command.",
		"elect scheduler --candidate node-1 -- /usr/local/bin/scheduler",
		NS | OPT(OPT_TTL) | OPT(OPT_GRACE) | OPT(OPT_NAME) | OPT(OPT_CANDIDATE) |
		OPT(OPT_PRIORITY) | OPT(OPT_ONCE),
	CTL_WRITES | CTL_RUNS, 1, 1, ctl_elect, NULL},
	{"watch", "SERVICE", "print the changes of a service as they come",
		"One line for each event: revision, type, key, value and previous value; with\n"
		"--json an object each.  It ends by a signal, or after --count events, and says\n"
		"with which --from to go on.  Exit code 6: events after that revision are no longer\n"
		"kept; read the present state, then watch from now.",
		"watch prices --from 17 --key apple",
		NS | OPT(OPT_FROM) | OPT(OPT_KEY) | OPT(OPT_COUNT) | OPT(OPT_POLL),
	CTL_WRITES, 1, 1, ctl_watch, NULL},
	{"status", "", "show the server's role, its worker, limits and warnings",
		NULL, "status --check",
	OPT(OPT_CHECK), 0, 0, 0, ctl_status, NULL},

	{"lock list", "", "locks that are held or waited for, with --all also free ones",
		NULL, "lock list --json", NS | OPT(OPT_ALL),
		SQL(0, 0, 0,
			"SELECT namespace, name, CASE WHEN ticket IS NULL THEN 'free' WHEN granted THEN 'held' ELSE 'waiting' END AS state, shared,"
			" session_id, coalesce(session_name, application_name) AS session, owner::text AS owner, token, ticket,"
			" since FROM atomix.locks WHERE (:namespace = '' OR namespace = :namespace) AND (:all::boolean OR ticket IS NOT NULL)"
			" ORDER BY namespace, name, granted DESC, coalesce(token, ticket)")},
	{"lock show", "NAME", "who holds a lock and who waits for it",
		NULL, "lock show nightly", NS,
		SQL(CTL_TELLS, 1, 1,
			"SELECT CASE WHEN ticket IS NULL THEN 'free' WHEN granted THEN 'held' ELSE 'waiting' END AS state, shared, session_id,"
			" coalesce(session_name, application_name) AS session, host(client_addr) AS address, owner::text AS owner,"
			" token, ticket, since FROM atomix.locks WHERE name = :1 AND namespace = :namespace"
			" ORDER BY granted DESC, coalesce(token, ticket)")},
	{"lock try", "SESSION NAME", "take a lock for a session, or not",
		"The session is one of \"session open\", which you keep alive.  Exit code 4: not granted.",
		"lock try 29397494005761 nightly", NS | OPT(OPT_SHARED),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT granted, token FROM atomix.lock_try(:1::bigint, :2::text, :namespace::text, :shared::boolean)")},
	{"lock acquire", "SESSION NAME", "take a lock for a session, or a place in its queue",
		"Exit code 4: not granted yet; wait with \"ticket wait\".",
		"lock acquire 29397494005761 nightly --timeout 1min", NS | OPT(OPT_SHARED) | OPT(OPT_TIMEOUT),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT granted, token, ticket FROM atomix.lock_acquire(:1::bigint, :2::text, :timeout::interval,"
			" :namespace::text, :shared::boolean)")},
	{"lock release", "SESSION NAME [TOKEN]", "give a session's lock back",
		"Exit code 4: it did not have it.", "lock release 29397494005761 nightly", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 3,
			"SELECT atomix.lock_release(:1::bigint, :2::text, :3::bigint, :namespace::text) AS released")},
	{"lock cancel", "SESSION NAME TICKET", "leave the queue of a lock",
		"Exit code 4: it was not there, or has been granted.",
		"lock cancel 29397494005761 nightly 29397494005767", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 3, 3,
			"SELECT atomix.lock_cancel(:1::bigint, :2::text, :3::bigint, :namespace::text) AS canceled")},
	{"lock check", "NAME TOKEN", "whether a grant is still held",
		"Exit code 1 if not.  It may be lost right afterwards: a transaction that writes\n"
		"under the lock calls atomix.assert_lock() itself.",
		"lock check nightly \"$ATOMIX_TOKEN\"", NS,
		SQL(CTL_WRITES | CTL_SINGLE, 2, 2,
			"SELECT true AS held FROM atomix.assert_lock(:1::text, :2::bigint, :namespace::text)")},
	{"lock force-release", "NAME TOKEN", "take a lock away from its holder (administrators)",
		"What was done is kept in table atomix.intervention.  Exit code 4: there is no such grant.",
		"lock force-release nightly 29397494005765 --reason 'host is gone'", NS | OPT(OPT_REASON),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.lock_force_release(:1::text, :2::bigint,"
			" coalesce(:reason::text, 'by atomixctl'), :namespace::text) AS released")},
	{"lock transfer", "NAME TOKEN TICKET", "pass a lock on to one that waits (administrators)",
		"The new token; exit code 4 if there is no such grant or ticket.",
		"lock transfer nightly 29397494005765 29397494005767 --reason 'maintenance'", NS | OPT(OPT_REASON),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 3, 3,
			"SELECT atomix.lock_transfer(:1::text, :2::bigint, :3::bigint,"
			" coalesce(:reason::text, 'by atomixctl'), :namespace::text) AS token")},
	{"lock delay", "NAME TIME", "have a lock stay with nobody after its holder expired (administrators)",
		NULL, "lock delay nightly 10s", NS,
		SQL(CTL_WRITES | CTL_SINGLE, 2, 2,
			"SELECT atomix.set_lock_delay(:1::text, :2!::interval, :namespace::text)")},

	{"semaphore list", "", "permits that are held or waited for",
		NULL, "semaphore list", NS | OPT(OPT_ALL),
		SQL(0, 0, 0,
			"SELECT namespace, name, capacity, CASE WHEN ticket IS NULL THEN 'free' WHEN granted THEN 'held' ELSE 'waiting' END AS state, permits,"
			" session_id, coalesce(session_name, application_name) AS session, owner::text AS owner, token, ticket,"
			" since FROM atomix.semaphores WHERE (:namespace = '' OR namespace = :namespace) AND (:all::boolean OR ticket IS NOT NULL)"
			" ORDER BY namespace, name, granted DESC, coalesce(token, ticket)")},
	{"semaphore show", "NAME", "who holds permits and who waits for them",
		NULL, "semaphore show builds", NS,
		SQL(CTL_TELLS, 1, 1,
			"SELECT capacity, CASE WHEN ticket IS NULL THEN 'free' WHEN granted THEN 'held' ELSE 'waiting' END AS state, permits, session_id,"
			" coalesce(session_name, application_name) AS session, host(client_addr) AS address, owner::text AS owner,"
			" token, ticket, since FROM atomix.semaphores WHERE name = :1 AND namespace = :namespace"
			" ORDER BY granted DESC, coalesce(token, ticket)")},
	{"semaphore try", "SESSION NAME [PERMITS]", "take permits for a session, or not",
		"Exit code 4: not granted.", "semaphore try 29397494005761 builds 2", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 3,
			"SELECT granted, token FROM atomix.semaphore_try(:1::bigint, :2::text, coalesce(:3::int, 1),"
			" :namespace::text)")},
	{"semaphore acquire", "SESSION NAME [PERMITS]", "take permits for a session, or a place in the queue",
		"Exit code 4: not granted yet; wait with \"ticket wait\".",
		"semaphore acquire 29397494005761 builds --timeout 1min", NS | OPT(OPT_TIMEOUT),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 3,
			"SELECT granted, token, ticket FROM atomix.semaphore_acquire(:1::bigint, :2::text,"
			" coalesce(:3::int, 1), :timeout::interval, :namespace::text)")},
	{"semaphore release", "SESSION NAME [TOKEN]", "give a session's permits back",
		"Exit code 4: it did not have any.", "semaphore release 29397494005761 builds", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 3,
			"SELECT atomix.semaphore_release(:1::bigint, :2::text, :3::bigint, :namespace::text) AS released")},
	{"semaphore resize", "NAME PERMITS", "set how many permits there are",
		"How many there are now.", "semaphore resize builds 4", NS,
		SQL(CTL_WRITES | CTL_SINGLE, 2, 2,
			"SELECT atomix.semaphore_resize(:1::text, :2::int, :namespace::text) AS permits")},
	{"ticket wait", "SESSION TICKET", "wait for a turn in a queue",
		"At most atomix.max_wait.  Exit code 4: not granted.",
		"ticket wait 29397494005761 29397494005767 --timeout 10s", OPT(OPT_TIMEOUT),
		SQL(CTL_SINGLE | CTL_TELLS | CTL_WRITES, 2, 2,
			"SELECT granted, token FROM atomix.wait_ticket(:1::bigint, :2::bigint,"
			" coalesce(:timeout::interval, '10 s'))")},

	{"election list", "", "elections with their candidates",
		NULL, "election list", NS | OPT(OPT_ALL),
		SQL(0, 0, 0,
			"SELECT namespace, name, term, candidate, CASE WHEN ticket IS NULL THEN 'free' WHEN granted THEN 'leader' ELSE 'candidate' END AS state,"
			" priority, session_id, owner::text AS owner, token, since FROM atomix.elections"
			" WHERE (:namespace = '' OR namespace = :namespace) AND (:all::boolean OR ticket IS NOT NULL)"
			" ORDER BY namespace, name, granted DESC, queue_position")},
	{"election show", "NAME", "the leader and the candidates of an election",
		NULL, "election show scheduler", NS,
		SQL(CTL_TELLS, 1, 1,
			"SELECT candidate, CASE WHEN ticket IS NULL THEN 'free' WHEN granted THEN 'leader' ELSE 'candidate' END AS state, term, priority,"
			" session_id, owner::text AS owner, token, ticket, since FROM atomix.elections"
			" WHERE name = :1 AND namespace = :namespace"
			" ORDER BY granted DESC, queue_position")},
	{"election leader", "NAME", "who leads",
		"Exit code 4: nobody.", "election leader scheduler", NS,
		SQL(CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT leader, session_id, token, term, since FROM atomix.election_leader(:1::text, :namespace::text)")},
	{"election enter", "SESSION NAME", "have a session stand as a candidate",
		"Exit code 4: another one leads.",
		"election enter 29397494005761 scheduler --candidate node-1", NS | OPT(OPT_CANDIDATE) | OPT(OPT_PRIORITY),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT is_leader, token, term, leader, ticket FROM atomix.election_enter(:1::bigint, :2::text,"
			" :candidate::text, coalesce(:priority::int, 0), :namespace::text)")},
	{"election withdraw", "SESSION NAME", "have a session stand no more",
		"Exit code 4: it did not.", "election withdraw 29397494005761 scheduler", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.election_withdraw(:1::bigint, :2::text, :namespace::text) AS withdrawn")},
	{"election anoint", "NAME CANDIDATE", "make a candidate the leader",
		"Exit code 4: nothing changed.", "election anoint scheduler node-2", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.election_anoint(:1::text, :2::text, :namespace::text) AS changed")},
	{"election promote", "NAME CANDIDATE", "move a candidate one place forward",
		"Exit code 4: nothing changed.", "election promote scheduler node-2", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.election_promote(:1::text, :2::text, :namespace::text) AS changed")},
	{"election demote", "NAME CANDIDATE", "move a candidate one place back",
		"Exit code 4: nothing changed.", "election demote scheduler node-2", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.election_demote(:1::text, :2::text, :namespace::text) AS changed")},
	{"election evict", "NAME CANDIDATE", "remove a candidate, whoever's it is",
		"Exit code 4: there was none of that name.  \"atomixctl elect\" stands again, at the end.",
		"election evict scheduler node-2", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.election_evict(:1::text, :2::text, :namespace::text) AS changed")},
	{"election check", "NAME TOKEN", "whether a leadership is still held",
		"Exit code 1 if not.  As with locks, ask in the transaction that writes.",
		"election check scheduler \"$ATOMIX_TOKEN\"", NS,
		SQL(CTL_WRITES | CTL_SINGLE, 2, 2,
			"SELECT true AS held FROM atomix.assert_leader(:1::text, :2::bigint, :namespace::text)")},

	{"counter list", "", "counters and their values",
		NULL, "counter list", NS,
		SQL(0, 0, 0,
			"SELECT namespace, name, value, service_id FROM atomix.counters"
			" WHERE :namespace = '' OR namespace = :namespace ORDER BY namespace, name")},
	{"counter show", "NAME", "a counter",
		"Exit code 4: there is none of that name.", "counter show orders", NS,
		SQL(CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT namespace, name, value, service_id FROM atomix.counters WHERE name = :1 AND namespace = :namespace")},
	{"counter get", "NAME", "the value of a counter, 0 if there is none",
		NULL, "counter get orders", NS,
	SQL(CTL_SINGLE, 1, 1, "SELECT atomix.counter_get(:1::text, :namespace::text) AS value")},
	{"counter set", "NAME VALUE", "assign a counter",
		NULL, "counter set orders 100", NS | SQ,
		SQL(CTL_WRITES | CTL_SINGLE, 2, 2,
			"SELECT atomix.counter_set(:1::text, :2::bigint, " NS_SQL ", " SQ_SQL ") AS value")},
	{"counter increment", "NAME [DELTA]", "add to a counter, 1 by default",
		"The new value.", "counter increment orders 5", NS | SQ,
		SQL(CTL_WRITES | CTL_SINGLE, 1, 2,
			"SELECT atomix.counter_increment(:1::text, coalesce(:2::bigint, 1), " NS_SQL ", " SQ_SQL ") AS value")},
	{"counter decrement", "NAME [DELTA]", "subtract from a counter, 1 by default",
		"The new value.", "counter decrement orders", NS | SQ,
		SQL(CTL_WRITES | CTL_SINGLE, 1, 2,
			"SELECT atomix.counter_decrement(:1::text, coalesce(:2::bigint, 1), " NS_SQL ", " SQ_SQL ") AS value")},
	{"counter compare-and-set", "NAME EXPECTED VALUE", "assign a counter if its value is the expected one",
		"Exit code 4: it was another.", "counter compare-and-set orders 100 200", NS | SQ,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 3, 3,
			"SELECT atomix.counter_compare_and_set(:1::text, :2::bigint, :3::bigint, " NS_SQL ", "
			SQ_SQL ") AS changed")},

	{"map list", "", "maps and how many entries they have",
		NULL, "map list", NS,
		SQL(0, 0, 0,
			"SELECT namespace, name, entries, service_id FROM atomix.maps"
			" WHERE :namespace = '' OR namespace = :namespace ORDER BY namespace, name")},
	{"map show", "NAME", "a map",
		"Exit code 4: there is none of that name.", "map show prices", NS,
		SQL(CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT namespace, name, entries, service_id FROM atomix.maps WHERE name = :1 AND namespace = :namespace")},
	{"map get", "NAME KEY", "the value of an entry",
		"With --json also its index and expiry.  Exit code 4: there is no such entry.",
		"map get prices apple", NS | OPT(OPT_HEX),
		SQL(CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT value, index, expires_at FROM atomix.map_get(:1::text, :2::text, :namespace::text)")},
	{"map put", "NAME KEY VALUE", "write an entry",
		"Value \"-\" is read from standard input.  Exit code 4: the entry is not the one with\n"
		"--prev-index.", "map put prices apple 3 --ttl 1h",
		NS | SQ | OPT(OPT_TTL) | OPT(OPT_PREV_INDEX) | OPT(OPT_HEX),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 3, 3,
			"SELECT index, prev_value FROM atomix.map_put(:1::text, :2::text, :value::bytea, ttl => :ttl::interval,"
			" prev_index => :prev-index::bigint, " NS_SQL ", " SQ_SQL ")")},
	{"map insert", "NAME KEY VALUE", "write an entry if there is none",
		"Exit code 4: there is one.", "map insert prices apple 3",
		NS | SQ | OPT(OPT_TTL) | OPT(OPT_HEX),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 3, 3,
			"SELECT atomix.map_insert(:1::text, :2::text, :value::bytea, ttl => :ttl::interval, "
			NS_SQL ", " SQ_SQL ") AS index")},
	{"map update", "NAME KEY VALUE", "write an entry if there is one",
		"Exit code 4: there is none, or not the one with --prev-index.", "map update prices apple 4",
		NS | SQ | OPT(OPT_TTL) | OPT(OPT_PREV_INDEX) | OPT(OPT_HEX),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 3, 3,
			"SELECT index, prev_value FROM atomix.map_update(:1::text, :2::text, :value::bytea, ttl => :ttl::interval,"
			" prev_index => :prev-index::bigint, " NS_SQL ", " SQ_SQL ")")},
	{"map remove", "NAME KEY", "remove an entry",
		"Exit code 4: it was not there.", "map remove prices apple", NS | SQ | OPT(OPT_PREV_INDEX),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.map_remove(:1::text, :2::text, :prev-index::bigint, " NS_SQL ", " SQ_SQL ") AS removed")},
	{"map size", "NAME", "how many entries there are",
		NULL, "map size prices", NS,
	SQL(CTL_SINGLE, 1, 1, "SELECT atomix.map_size(:1::text, :namespace::text) AS entries")},
	{"map clear", "NAME", "remove all entries",
		"How many there were.", "map clear prices", NS | SQ,
	SQL(CTL_WRITES | CTL_SINGLE, 1, 1, "SELECT atomix.map_clear(:1::text, " NS_SQL ", " SQ_SQL ") AS entries")},
	{"map entries", "NAME", "the entries in order of their keys",
		"A page; go on with --after and the last key.", "map entries prices --after apple --limit 100",
		NS | OPT(OPT_AFTER) | OPT(OPT_LIMIT) | OPT(OPT_HEX),
		SQL(0, 1, 1,
			"SELECT key, value, index, expires_at FROM atomix.map_entries(:1::text, :after::text,"
			" coalesce(:limit::int, 1000), :namespace::text)")},

	{"session list", "", "sessions",
		NULL, "session list --all", OPT(OPT_ALL),
		SQL(0, 0, 0,
			"SELECT session_id, coalesce(name, application_name) AS name, kind, state, owner::text AS owner,"
			" host(client_addr) AS address, timeout, deadline, reason FROM atomix.sessions"
			" WHERE :all::boolean OR state IN ('opening', 'opened', 'closing') ORDER BY session_id")},
	{"session show", "SESSION", "a session",
		"Exit code 4: it is unknown.", "session show 29397494005761", 0,
		SQL(CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT session_id, partition_id, name, kind, labels, owner::text AS owner, application_name,"
			" host(client_addr) AS address, opened_at, last_renewed_at, deadline, timeout, state, reason"
			" FROM atomix.sessions WHERE session_id = :1::bigint")},
	{"session open", "", "open a session, which you keep alive",
		"The session.", "session open --ttl 10min --name deploy",
		OPT(OPT_TTL) | OPT(OPT_NAME) | OPT(OPT_KIND) | OPT(OPT_LABELS),
		SQL(CTL_WRITES | CTL_SINGLE, 0, 0,
			"SELECT atomix.open_session(timeout => :ttl::interval, name => :name::text, kind => :kind::text,"
			" labels => coalesce(:labels::jsonb, '{}')) AS session_id")},
	{"session keep-alive", "SESSION", "renew a session",
		"The time that is left.", "session keep-alive 29397494005761", 0,
	SQL(CTL_WRITES | CTL_SINGLE, 1, 1, "SELECT atomix.keep_alive(:1::bigint) AS time_left")},
	{"session close", "SESSION", "close a session",
		"Exit code 4: it had ended before.", "session close 29397494005761", 0,
	SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 1, 1, "SELECT atomix.close_session(:1::bigint) AS closed")},
	{"session end", "SESSION", "end a session, whoever's it is (administrators)",
		"Exit code 4: it had ended before.", "session end 29397494005761 --reason 'host is gone'", OPT(OPT_REASON),
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT atomix.end_session(:1::bigint, coalesce(:reason::text, 'by atomixctl')) AS ended")},
	{"session events", "", "changes of sessions, in order",
		"Go on with --after and the last version.", "session events --after 17",
		OPT(OPT_AFTER) | OPT(OPT_LIMIT),
		SQL(0, 0, 0,
			"SELECT version, session_id, state, reason, at FROM atomix.session_events("
			"coalesce(:after::bigint, 0), coalesce(:limit::int, 1000))")},
	{"session outcome", "SESSION NUMBER", "what became of a numbered command",
		NULL, "session outcome 29397494005761 3", OPT(OPT_HEX),
		SQL(CTL_SINGLE, 2, 2,
			"SELECT state, status, output, at FROM atomix.outcome(:1::bigint, :2::bigint)")},
	{"session once", "SESSION NUMBER [REQUEST]", "record a number: true the first time",
		"Exit code 4: it had been recorded.", "session once 29397494005761 3 'pay 7'", 0,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 3,
			"SELECT atomix.once(:1::bigint, :2::bigint, :3::text) AS first")},
	{"session ack", "SESSION NUMBER", "have the outcome of a number forgotten",
		NULL, "session ack 29397494005761 3", 0,
	SQL(CTL_WRITES | CTL_SINGLE, 2, 2, "SELECT atomix.ack(:1::bigint, :2::bigint)")},

	{"service list", "", "services of all types",
		NULL, "service list", NS,
		SQL(0, 0, 0,
			"SELECT namespace, name, type, revision, sessions, entries, service_id FROM atomix.services"
			" WHERE :namespace = '' OR namespace = :namespace ORDER BY namespace, name")},
	{"service show", "NAME", "a service",
		"Exit code 4: there is none of that name.", "service show prices", NS,
		SQL(CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT namespace, name, type, revision, sessions, entries, service_id, partition_id"
			" FROM atomix.services WHERE name = :1 AND namespace = :namespace")},
	{"service create", "SESSION TYPE NAME", "open a service in a session",
		"Its id.", "service create 29397494005761 counter orders", NS,
		SQL(CTL_WRITES | CTL_SINGLE, 3, 3,
			"SELECT atomix.create_service(:1::bigint, :2::text, :3::text, :namespace::text) AS service_id")},
	{"service close", "SESSION SERVICE", "close a service in a session, by its id",
		"Exit code 4: it was not open.", "service close 29397494005761 29397494005771", 0,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 2, 2,
			"SELECT atomix.close_service(:1::bigint, :2::bigint) AS closed")},
	{"service delete", "NAME", "delete a service with all its state",
		"Exit code 4: there was none of that name.", "service delete prices", NS,
		SQL(CTL_WRITES | CTL_SINGLE | CTL_TELLS, 1, 1,
			"SELECT atomix.delete_service(:1::text, :namespace::text) AS deleted")},

	{"help", "[COMMAND]", "this list, or more about a command",
	NULL, "help lock", 0, 0, 0, 2, ctl_help, NULL},
	{"completion", "", "the script for completion in bash",
	NULL, "completion > /etc/bash_completion.d/atomixctl", 0, 0, 0, 0, ctl_completion, NULL},
	{"complete", "[WORD ...]", "what may stand for the last word",
	NULL, "complete lo", 0, CTL_HIDDEN, 0, -1, ctl_complete, NULL},
};

const int	ctl_commands_count = (int) (sizeof(ctl_commands) / sizeof(ctl_commands[0]));
