/*-------------------------------------------------------------------------
 *
 * supervise.c
 *	  lock and elect: run a command while something is held.
 *
 * Told early and ended late: SIGTERM goes out a grace before the lease's deadline, or
 * when the grant is taken away, SIGKILL after the grace and at the deadline in
 * any case.  The deadline lies before the time at which the server may hand
 * over.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define DEFAULT_GRACE	(5 * ATX_SECOND)
#define CLOSE_WITHIN	(3 * ATX_SECOND)
#define SHOW_EVERY		ATX_SECOND
#define FIRST_PAUSE		ATX_SECOND
#define LONGEST_PAUSE	(30 * ATX_SECOND)

/* A command that ran so long has not failed at once. */
#define RAN_WELL		(60 * ATX_SECOND)

typedef struct Supervisor
{
	Ctl		   *ctl;
	AtxSession *session;
	AtxClaim   *claim;
	CtlChild	child;
	bool		election;
	AtxTime		until;			/* give up waiting */
	AtxTime		term_at;		/* ATX_NEVER: has been told */
	AtxTime		kill_at;
	AtxTime		told_deadline;	/* that the guardian knows */
	AtxTime		started;
	AtxTime		enter_at;		/* election: stand again */
	AtxTime		pause;
	AtxTime		show_at;		/* who is waited for, on a terminal */
	bool		showing;
	bool		asking;
	bool		over;			/* the lock is lost: the command is to end */
	bool		held;
	int			status;			/* to exit with */
	int			signal;			/* that ended the waiting */
	bool		done;
} Supervisor;

/* An event for people or programs; standard output is the command's. */
static void
__attribute__((format(printf, 3, 4)))
say(Supervisor *supervisor, const char *event, const char *format,...)
{
	Ctl		   *ctl = supervisor->ctl;
	va_list		args;
	char		line[1024];

	if (supervisor->showing)
		fputs("\r\033[K", stderr);
	supervisor->showing = false;
	va_start(args, format);
	(void) vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	line[strcspn(line, "\n")] = '\0';
	if (ctl->json)
	{
		fprintf(stderr, "{\"event\": \"%s\", \"name\": ", event);
		ctl_json_string(stderr, ctl->args[0], strlen(ctl->args[0]));
		if (supervisor->claim != NULL && atx_claim_token(supervisor->claim) != 0)
			fprintf(stderr, ", \"session\": %lld, \"token\": %lld",
					(long long) atx_session_id(supervisor->session),
					(long long) atx_claim_token(supervisor->claim));
		fputs(", \"message\": ", stderr);
		ctl_json_string(stderr, line, strlen(line));
		fputs("}\n", stderr);
	}
	else if (!ctl->quiet && strcmp(event, "held") != 0 && strcmp(event, "ended") != 0 &&
			 strcmp(event, "waiting") != 0)
		fprintf(stderr, "atomixctl: %s\n", line);
}

static AtxTime
grace_of(const Supervisor *supervisor)
{
	AtxTime		timeout = atx_session_timeout(supervisor->session);
	AtxTime		grace = timeout / 6 < DEFAULT_GRACE ? timeout / 6 : DEFAULT_GRACE;

	grace = ctl_option_duration(supervisor->ctl, OPT_GRACE, grace);
	/* Not so long that a single renewal would have to be in time. */
	return grace < timeout / 2 ? grace : timeout / 2;
}

/* Keep the times of the session's lease, and tell the guardian. */
static void
note_deadline(Supervisor *supervisor)
{
	AtxTime		deadline = atx_session_deadline(supervisor->session);

	if (supervisor->over || deadline == supervisor->told_deadline)
		return;
	supervisor->told_deadline = deadline;
	supervisor->kill_at = deadline;
	supervisor->term_at = deadline - grace_of(supervisor);
	if (supervisor->child.pid > 0)
		ctl_guardian_tell(&supervisor->child, supervisor->term_at, supervisor->kill_at,
						  grace_of(supervisor));
}

/*
 * What is held is lost, or about to be: tell the command to end within the
 * grace, and not after the deadline.
 */
static void
stop_command(Supervisor *supervisor, AtxTime now)
{
	AtxTime		kill_at = now + grace_of(supervisor);

	if (supervisor->over)
		return;
	supervisor->over = true;
	supervisor->term_at = ATX_NEVER;
	supervisor->kill_at = kill_at < supervisor->told_deadline ? kill_at : supervisor->told_deadline;
	ctl_guardian_tell(&supervisor->child, ATX_NEVER, supervisor->kill_at,
					  grace_of(supervisor));
	ctl_child_signal(&supervisor->child, SIGTERM);
}

static void
put_number(const char *name, int64_t number)
{
	char text[	32];

	(void) snprintf(text, sizeof(text), "%lld", (long long) number);
	(void) setenv(name, text, 1);
}

/* It is ours: run the command. */
static void
start_command(Supervisor *supervisor)
{
	Ctl		   *ctl = supervisor->ctl;

	put_number("ATOMIX_TOKEN", atx_claim_token(supervisor->claim));
	put_number("ATOMIX_SESSION", atx_session_id(supervisor->session));
	(void) setenv("ATOMIX_NAMESPACE", ctl_name_space(ctl), 1);
	if (supervisor->election)
	{
		(void) setenv("ATOMIX_ELECTION", ctl->args[0], 1);
		put_number("ATOMIX_TERM", atx_claim_term(supervisor->claim));
	}
	else
		(void) setenv("ATOMIX_LOCK", ctl->args[0], 1);

	supervisor->over = false;
	supervisor->told_deadline = 0;
	supervisor->started = atx_now();
	note_deadline(supervisor);
	supervisor->status = ctl_child_start(&supervisor->child, ctl->run, supervisor->term_at,
										 supervisor->kill_at, grace_of(supervisor));
	if (supervisor->status != 0)
		supervisor->done = true;
}

static void
claim_changed(void *arg, AtxClaim *claim, AtxClaimState state, const char *reason)
{
	Supervisor *supervisor = arg;
	const char *name = supervisor->ctl->args[0];

	switch (state)
	{
		case ATX_CLAIM_HELD:
			say(supervisor, "held", "\"%s\" is held with token %lld", name,
				(long long) atx_claim_token(claim));
			supervisor->held = true;
			start_command(supervisor);
			break;
		case ATX_CLAIM_WAITING:
			say(supervisor, "waiting", "waiting for \"%s\"%s%s", name, reason[0] ? ": " : "", reason);
			supervisor->show_at = 0;
			break;
		case ATX_CLAIM_REFUSED:
			say(supervisor, "refused", "\"%s\" was not to be had in time", name);
			supervisor->status = CTL_NOT_ACQUIRED;
			supervisor->done = true;
			break;
		case ATX_CLAIM_GONE:
		case ATX_CLAIM_LOST:
			supervisor->held = false;
			if (supervisor->child.pid > 0)
			{
				say(supervisor, "lost", "\"%s\" is lost: %s", name, reason);
				stop_command(supervisor, atx_now());
			}
			break;
		case ATX_CLAIM_FAILED:
			ctl_error(supervisor->ctl, "", reason, "", "");
			supervisor->status = CTL_FAILED;
			supervisor->done = true;
			break;
		case ATX_CLAIM_RELEASED:
			supervisor->held = false;
			break;
		case ATX_CLAIM_ASKED:
			break;
	}
}

/* Ask for the lock, or stand, with what is left of the time. */
static void
make_claim(Supervisor *supervisor)
{
	Ctl		   *ctl = supervisor->ctl;
	AtxClaimOptions options = {.name = ctl->args[0],.name_space = ctl_name_space(ctl),
		.candidate = ctl->values[OPT_CANDIDATE],
		.permits = (int) ctl_option_number(ctl, OPT_PERMITS, 1),
		.priority = (int) ctl_option_number(ctl, OPT_PRIORITY, 0),
		.timeout = ATX_NEVER
	};
	AtxTime		now = atx_now();

	options.kind = supervisor->election ? ATX_CLAIM_ELECTION :
		ctl->values[OPT_PERMITS] != NULL ? ATX_CLAIM_SEMAPHORE :
		ctl->values[OPT_SHARED] != NULL ? ATX_CLAIM_SHARED_LOCK : ATX_CLAIM_LOCK;
	if (supervisor->until != ATX_NEVER)
		options.timeout = supervisor->until > now ? supervisor->until - now : 0;
	atx_claim_free(supervisor->claim);
	supervisor->claim = atx_claim(supervisor->session, &options, claim_changed, supervisor);
}

static void
session_changed(void *arg, AtxSession *session, AtxSessionState state, const char *reason)
{
	Supervisor *supervisor = arg;
	AtxTime		left = atx_session_deadline(session) - atx_now();

	/* A former one, which is only to be closed. */
	if (session != supervisor->session)
	{
		if (state == ATX_SESSION_CLOSED)
			atx_session_free(session);
		return;
	}
	switch (state)
	{
		case ATX_SESSION_CONNECTED:
			if (supervisor->claim == NULL)
				make_claim(supervisor);
			else
				say(supervisor, "connected", "connected again");
			break;
		case ATX_SESSION_SUSPENDED:
			say(supervisor, "suspended", "the lease ends in %.1f s: %s",
				(double) (left > 0 ? left : 0) / 1e6, reason);
			break;
		case ATX_SESSION_LOST:
			if (supervisor->child.pid == 0)
				say(supervisor, "lost", "the session is lost: %s", reason);
			break;
		case ATX_SESSION_FAILED:
			ctl_error(supervisor->ctl, "", reason, "", "");
			supervisor->status = CTL_FAILED;
			supervisor->done = true;
			break;
		case ATX_SESSION_CLOSED:
		case ATX_SESSION_OPENING:
			break;
	}
}

static void
open_session(Supervisor *supervisor)
{
	Ctl		   *ctl = supervisor->ctl;
	char		host[256] = "";
	char		name[512];
	AtxSessionOptions options = {.timeout = ctl_option_duration(ctl, OPT_TTL, 0),
		.name = ctl->values[OPT_NAME],.kind = "atomixctl"
	};

	if (options.name == NULL)
	{
		(void) gethostname(host, sizeof(host) - 1);
		(void) snprintf(name, sizeof(name), "%s:%d", host, (int) getpid());
		options.name = name;
	}
	supervisor->session = atx_session_open(ctl->client, &options, session_changed, supervisor);
}

/* Begin anew with another session, after the first was lost. */
static void
begin_anew(Supervisor *supervisor)
{
	AtxSession *former = supervisor->session;

	atx_claim_free(supervisor->claim);
	supervisor->claim = NULL;
	supervisor->held = false;
	open_session(supervisor);
	/* It may be alive in the server, and in the way. */
	atx_session_close(former);
}

/* holders, waiters before us, seconds, who */
static void
show_waiting(void *arg, const AtxReply *reply)
{
	Supervisor *supervisor = arg;
	const PGresult *result = reply->result;
	const char *who;

	supervisor->asking = false;
	if (reply->outcome != ATX_DONE || result == NULL || PQntuples(result) != 1 ||
		supervisor->claim == NULL || atx_claim_state(supervisor->claim) != ATX_CLAIM_WAITING)
		return;
	who = PQgetvalue(result, 0, 3);
	supervisor->showing = true;
	fprintf(stderr, "\r\033[Kwaiting for '%s'", supervisor->ctl->args[0]);
	if (PQgetvalue(result, 0, 0)[0] != '0')
		fprintf(stderr, ", held by %s%s since %s s", who[0] ? who : "another role",
				strcmp(PQgetvalue(result, 0, 0), "1") == 0 ? "" : " and others",
				PQgetvalue(result, 0, 2));
	fprintf(stderr, ", %s ahead", PQgetvalue(result, 0, 1));
	fflush(stderr);
}

/* On a terminal, say now and then what is waited for. */
static void
ask_whom(Supervisor *supervisor, AtxTime now)
{
	static const char lock_sql[] =
	"SELECT count(*) FILTER (WHERE granted), count(*) FILTER (WHERE NOT granted AND ticket < $3::bigint),"
	" floor(extract(epoch FROM clock_timestamp() - min(since) FILTER (WHERE granted)))::bigint,"
	" min(coalesce(session_name, application_name || coalesce('@' || host(client_addr), ''), 'session ' || session_id))"
	" FILTER (WHERE granted) FROM atomix.%s WHERE name = $1::text AND namespace = $2::text";
	static const char election_sql[] =
	"SELECT count(*) FILTER (WHERE granted),"
	" count(*) FILTER (WHERE NOT granted AND queue_position < (SELECT queue_position FROM atomix.elections"
	"  WHERE name = $1::text AND namespace = $2::text AND ticket = $3::bigint)),"
	" floor(extract(epoch FROM clock_timestamp() - min(since) FILTER (WHERE granted)))::bigint,"
	" min(candidate) FILTER (WHERE granted)"
	" FROM atomix.elections WHERE name = $1::text AND namespace = $2::text";
	Ctl		   *ctl = supervisor->ctl;
	char		sql[1024];
	char		ticket[32];
	const char *values[] = {ctl->args[0], ctl_name_space(ctl), ticket};

	if (!isatty(STDERR_FILENO) || ctl->quiet || ctl->json || supervisor->asking ||
		supervisor->claim == NULL || now < supervisor->show_at ||
		atx_claim_state(supervisor->claim) != ATX_CLAIM_WAITING ||
		atx_claim_ticket(supervisor->claim) == 0)
		return;
	supervisor->asking = true;
	supervisor->show_at = now + SHOW_EVERY;
	(void) snprintf(ticket, sizeof(ticket), "%lld", (long long) atx_claim_ticket(supervisor->claim));
	(void) snprintf(sql, sizeof(sql), lock_sql,
					ctl->values[OPT_PERMITS] != NULL ? "semaphores" : "locks");
	atx_query(ctl->client, true, supervisor->election ? election_sql : sql, 3, values,
			  show_waiting, supervisor);
}

/* The command has ended: what that means. */
static void
command_ended(Supervisor *supervisor, int status)
{
	AtxTime		now = atx_now();
	bool		stay = supervisor->election && supervisor->ctl->values[OPT_ONCE] == NULL;

	say(supervisor, "ended", "the command has ended with %d", status);

	/* Who was stopped does not know when it ended, and by whom: see guard(). */
	if (now >= supervisor->term_at)
		supervisor->over = true;
	if (!supervisor->election)
	{
		supervisor->status = supervisor->over ? CTL_LOST : status;
		supervisor->done = true;
		return;
	}
	if (!supervisor->over && !stay)
	{
		supervisor->status = status;
		supervisor->done = true;
		return;
	}

	/* Stand again; a command that ends at once is not started all the time. */
	if (supervisor->over || now > supervisor->started + RAN_WELL)
		supervisor->pause = FIRST_PAUSE;
	else
		supervisor->pause = supervisor->pause * 2 < LONGEST_PAUSE ? supervisor->pause * 2 : LONGEST_PAUSE;
	supervisor->enter_at = supervisor->over ? now : now + supervisor->pause;
	if (supervisor->held)
	{
		say(supervisor, "withdrawn", "the command ended with %d: stepping down, standing again in %.0f s",
			status, (double) supervisor->pause / 1e6);
		atx_claim_release(supervisor->claim);
	}
	supervisor->over = false;
}

/* Signals that have come in: of the command, and those to pass on to it. */
static void
take_signals(Supervisor *supervisor)
{
	int			status;
	int			signal;

	while ((signal = ctl_signal_next()) != 0)
	{
		if (signal == SIGCHLD)
		{
			if (ctl_child_ended(&supervisor->child, &status))
				command_ended(supervisor, status);
		}
		else if (supervisor->child.pid > 0)
		{
			ctl_child_signal(&supervisor->child, signal);
			/* Asked to end, it does not stand again. */
			if (supervisor->election && (signal == SIGTERM || signal == SIGINT || signal == SIGHUP))
				supervisor->signal = signal;
		}
		else if (signal != SIGWINCH && signal != SIGUSR1 && signal != SIGUSR2)
		{
			supervisor->signal = signal;
			supervisor->done = true;
		}
	}
	if (supervisor->signal != 0 && supervisor->child.pid == 0)
		supervisor->done = true;
}

/* What is due by the clock. */
static void
keep_time(Supervisor *supervisor)
{
	AtxTime		now = atx_now();

	if (supervisor->child.pid > 0)
	{
		note_deadline(supervisor);
		if (!supervisor->over && now >= supervisor->term_at)
		{
			say(supervisor, "losing", "the lease of \"%s\" could not be renewed: ending the command",
				supervisor->ctl->args[0]);
			stop_command(supervisor, now);
		}
		if (now >= supervisor->kill_at)
		{
			ctl_child_signal(&supervisor->child, SIGKILL);
			supervisor->kill_at = ATX_NEVER;
		}
		return;
	}
	if (supervisor->done)
		return;
	ask_whom(supervisor, now);
	if (atx_session_state(supervisor->session) == ATX_SESSION_LOST)
		begin_anew(supervisor);
	else if (supervisor->claim != NULL && now >= supervisor->enter_at &&
			 (atx_claim_state(supervisor->claim) == ATX_CLAIM_RELEASED ||
			  atx_claim_state(supervisor->claim) == ATX_CLAIM_GONE))
		make_claim(supervisor);
	else if (now >= supervisor->until && !supervisor->held &&
			 atx_client_failures(supervisor->ctl->client) > 0 &&
			 atx_session_state(supervisor->session) != ATX_SESSION_CONNECTED)
	{
		/* Nobody answers who could refuse it. */
		say(supervisor, "refused", "\"%s\" was not to be had in time", supervisor->ctl->args[0]);
		supervisor->status = CTL_NOT_ACQUIRED;
		supervisor->done = true;
	}
}

static AtxTime
next_time(const Supervisor *supervisor)
{
	AtxTime		next = atx_client_due(supervisor->ctl->client);
	AtxTime		times[4] = {ATX_NEVER, ATX_NEVER, ATX_NEVER, ATX_NEVER};

	if (supervisor->child.pid > 0)
	{
		times[0] = supervisor->over ? ATX_NEVER : supervisor->term_at;
		times[1] = supervisor->kill_at;
	}
	else
	{
		times[0] = supervisor->enter_at > 0 ? supervisor->enter_at : ATX_NEVER;
		if (times[0] <= atx_now())
			times[0] = ATX_NEVER;
		if (!supervisor->held)
			times[1] = supervisor->until > atx_now() ? supervisor->until : ATX_NEVER;
		if (isatty(STDERR_FILENO) && supervisor->claim != NULL && !supervisor->asking &&
			atx_claim_state(supervisor->claim) == ATX_CLAIM_WAITING)
			times[2] = supervisor->show_at;
	}
	for (int i = 0; i < 4; i++)
		next = times[i] < next ? times[i] : next;
	return next;
}

/* Until the server can be reached for the first time there is no patience. */
static bool
cannot_begin(Supervisor *supervisor)
{
	Ctl		   *ctl = supervisor->ctl;

	if (atx_client_failures(ctl->client) == 0 || supervisor->claim != NULL ||
		atx_session_id(supervisor->session) != 0)
		return false;
	if (ctl_prompt_again(ctl))
	{
		open_session(supervisor);
		return false;
	}
	(void) ctl_no_connection(ctl);
	supervisor->status = CTL_FAILED;
	return true;
}

/* Give back what is held, at once if the server is there to hear it. */
static void
close_session(Supervisor *supervisor)
{
	AtxTime		until = atx_now() + CLOSE_WITHIN;
	AtxSession *session = supervisor->session;

	if (atx_session_id(session) == 0)
		return;
	atx_session_close(session);
	while (atx_session_state(session) != ATX_SESSION_CLOSED && atx_now() < until)
		atx_client_wait(supervisor->ctl->client, until);
	if (atx_session_state(session) != ATX_SESSION_CLOSED)
		ctl_warn(supervisor->ctl, "the server does not answer: \"%s\" becomes free when the timeout is over",
				 supervisor->ctl->args[0]);
}

static int
supervise(Ctl *ctl, bool election)
{
	Supervisor	supervisor = {.ctl = ctl,.election = election,.until = ATX_NEVER,
		.term_at = ATX_NEVER,.kill_at = ATX_NEVER,.pause = FIRST_PAUSE / 2
	};
	bool		begun = false;

	ctl_signals_catch();
	ctl_signals_ignore_pipe();
	ctl_guardian_start(&supervisor.child);
	if (ctl->values[OPT_TRY] != NULL)
		supervisor.until = atx_now();
	else if (ctl->values[OPT_TIMEOUT] != NULL)
		supervisor.until = atx_now() + ctl_option_duration(ctl, OPT_TIMEOUT, 0);
	ctl_connect(ctl);
	open_session(&supervisor);
	while (!supervisor.done)
	{
		atx_client_process(ctl->client);
		keep_time(&supervisor);
		if (supervisor.done)
			break;
		if (!begun && cannot_begin(&supervisor))
			break;
		begun = begun || supervisor.claim != NULL;
		/* What the turn of events has asked for goes out before we sleep. */
		if (next_time(&supervisor) > atx_now())
			ctl_signals_wait(atx_client_fd(ctl->client), next_time(&supervisor));
		else
			ctl_signals_wait(atx_client_fd(ctl->client), 0);
		take_signals(&supervisor);
	}
	if (supervisor.showing)
		fputs("\r\033[K", stderr);

	/*
	 * The next one waits for this; the guardian has nothing to guard any
	 * more.
	 */
	close_session(&supervisor);
	ctl_guardian_stop(&supervisor.child);
	if (supervisor.signal != 0 && !(election && supervisor.started != 0))
	{
		/* Whoever waits for us is to see what it was. */
		ctl_signals_reset();
		(void) signal(supervisor.signal, SIG_DFL);
		(void) raise(supervisor.signal);
	}
	return supervisor.signal != 0 ? CTL_SIGNALED + supervisor.signal : supervisor.status;
}

int
ctl_lock(Ctl *ctl)
{
	return supervise(ctl, false);
}

int
ctl_elect(Ctl *ctl)
{
	return supervise(ctl, true);
}
