/*-------------------------------------------------------------------------
 *
 * driver.c
 *	  Drives the client library for tests and measurements:
 *
 *	  driver CONNINFO increment COUNTER TIMES TIMEOUT [SESSION NEXT]
 *	  driver CONNINFO sessions COUNT TIMEOUT SECONDS
 *
 * increment adds one to a counter so many times by numbered commands, each
 * after the last was answered, and prints the number and the answer of each;
 * a session that is given is resumed.  sessions keeps so many alive and prints
 * how many are, and the processor time that took, in seconds.  Timeouts in
 * milliseconds.  It sleeps on the client's file descriptor alone.
 *
 *-------------------------------------------------------------------------
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../../client/atomix.h"

typedef struct Incrementing
{
	AtxSession *session;
	const char *counter;
	int			left;
	int64_t		number;
} Incrementing;

static void increment(Incrementing *incrementing);

static void
fail(const char *what, const char *reason)
{
	fprintf(stderr, "driver: %s: %s\n", what, reason);
	exit(1);
}

/* One turn of a loop that waits for nothing but the descriptor. */
static void
turn(AtxClient *client, int fd)
{
	struct pollfd waited = {.fd = fd,.events = POLLIN};

	if (atx_client_due(client) > atx_now())
		(void) poll(&waited, 1, -1);
	atx_client_process(client);
	if (atx_client_fd(client) != fd)
		fail("file descriptor", "has changed");
}

static void
incremented(void *arg, const AtxReply *reply)
{
	Incrementing *incrementing = arg;

	if (reply->outcome == ATX_DONE)
		printf("%lld %s\n", (long long) incrementing->number,
			   reply->result != NULL ? PQgetvalue(reply->result, 0, 0) : "done");
	else
		printf("%lld %s %s\n", (long long) incrementing->number,
			   reply->outcome == ATX_FAILED ? "failed" : "uncertain", reply->sqlstate);
	fflush(stdout);
	incrementing->left--;
	increment(incrementing);
}

static void
increment(Incrementing *incrementing)
{
	const char *values[] = {incrementing->counter};

	if (incrementing->left == 0)
		return;
	incrementing->number =
		atx_command(incrementing->session, 0,
					"SELECT atomix.counter_increment($1::text,"
					" session_id => $2::bigint, sequence_num => $3::bigint)",
					1, values, incremented, incrementing);
	if (incrementing->number == 0)
		incrementing->left = 0;
}

static void
session_changed(void *arg, AtxSession *session, AtxSessionState state, const char *reason)
{
	Incrementing *incrementing = arg;

	if (state == ATX_SESSION_FAILED)
		fail("session", reason);
	if (state == ATX_SESSION_LOST)
		printf("lost: %s\n", reason);
	if (state == ATX_SESSION_CONNECTED && incrementing->number == 0)
	{
		printf("session %lld\n", (long long) atx_session_id(session));
		incrementing->session = session;
		increment(incrementing);
	}
	fflush(stdout);
}

static void
run_increments(AtxClient *client, int argc, char **argv)
{
	Incrementing incrementing = {.counter = argv[3],.left = atoi(argv[4])};
	AtxSessionOptions options = {.timeout = (AtxTime) atoi(argv[5]) * 1000,.name = "driver"};
	int			fd = atx_client_fd(client);

	if (argc > 7)
		(void) atx_session_resume(client, atoll(argv[6]), atoll(argv[7]), &options,
								  session_changed, &incrementing);
	else
		(void) atx_session_open(client, &options, session_changed, &incrementing);
	while (incrementing.left > 0)
		turn(client, fd);
	printf("next %lld\n", incrementing.session == NULL ? 0LL :
		   (long long) atx_next_number(incrementing.session));
}

static double
processor_time(void)
{
	struct rusage usage;

	(void) getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int
count_connected(AtxSession **sessions, int count)
{
	int			connected = 0;

	for (int i = 0; i < count; i++)
		connected += atx_session_state(sessions[i]) == ATX_SESSION_CONNECTED;
	return connected;
}

static void
run_sessions(AtxClient *client, char **argv)
{
	int			count = atoi(argv[3]);
	AtxSessionOptions options = {.timeout = (AtxTime) atoi(argv[4]) * 1000};
	AtxSession **sessions = calloc((size_t) count, sizeof(AtxSession *));
	AtxTime		end;
	double		before;

	if (sessions == NULL)
		fail("sessions", "out of memory");
	for (int i = 0; i < count; i++)
		sessions[i] = atx_session_open(client, &options, NULL, NULL);
	while (count_connected(sessions, count) < count)
		atx_client_wait(client, ATX_NEVER);

	before = processor_time();
	end = atx_now() + atoi(argv[5]) * ATX_SECOND;
	while (atx_now() < end)
		atx_client_wait(client, end);
	printf("%d %.6f\n", count_connected(sessions, count), processor_time() - before);

	for (int i = 0; i < count; i++)
		atx_session_close(sessions[i]);
	for (int i = 0; i < count; i++)
	{
		while (atx_session_state(sessions[i]) != ATX_SESSION_CLOSED)
			atx_client_wait(client, ATX_NEVER);
	}
	free(sessions);
}

int
main(int argc, char **argv)
{
	const char *keywords[] = {"dbname", "application_name", NULL};
	const char *values[] = {NULL, "driver", NULL};
	AtxClient  *client;

	if (argc < 6)
		fail("usage", "driver CONNINFO increment|sessions ...");
	values[0] = argv[1];
	client = atx_client_new(keywords, values, true);
	if (strcmp(argv[2], "increment") == 0)
		run_increments(client, argc, argv);
	else
		run_sessions(client, argv);
	atx_client_free(client);
	return 0;
}
