/*-------------------------------------------------------------------------
 *
 * listen.c
 *	  Print notifications as they arrive, one a line: the payload and the
 *	  time of arrival in milliseconds of the Unix epoch.
 *
 * psql shows a notification only after its next command.  This waits for the
 * event itself, so the time it prints is the time a client would know.  The
 * first line is "listening".  Ends when the connection or the reader of its
 * output does; the connection comes from the usual PG variables.
 *
 *-------------------------------------------------------------------------
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "libpq-fe.h"

static void
fail(PGconn *conn)
{
	fprintf(stderr, "listen: %s", PQerrorMessage(conn));
	PQfinish(conn);
	exit(1);
}

static long long
epoch_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
listen_on(PGconn *conn, const char *channel)
{
	char		command[128];
	PGresult   *result;

	snprintf(command, sizeof(command), "LISTEN \"%s\"", channel);
	result = PQexec(conn, command);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail(conn);
	PQclear(result);
}

int
main(int argc, char **argv)
{
	PGconn	   *conn;

	if (argc != 2)
	{
		fprintf(stderr, "usage: listen CHANNEL\n");
		return 2;
	}

	conn = PQconnectdb("application_name=listen");
	if (PQstatus(conn) != CONNECTION_OK)
		fail(conn);
	listen_on(conn, argv[1]);

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("listening");

	for (;;)
	{
		struct pollfd waited = {.fd = PQsocket(conn),.events = POLLIN};
		PGnotify   *notify;

		if (poll(&waited, 1, -1) < 0 || !PQconsumeInput(conn))
			fail(conn);
		while ((notify = PQnotifies(conn)) != NULL)
		{
			printf("%s %lld\n", notify->extra, epoch_ms());
			PQfreemem(notify);
		}
	}
}
