/*-------------------------------------------------------------------------
 *
 * link.c
 *	  A connection: making it, executing one statement at a time, and giving
 *	  it up when it is silent.
 *
 * An answer counts only once the server is ready for the next statement: it
 * commits after it has sent the rows.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "internal.h"

#define CONNECT_PATIENCE	(5 * ATX_SECOND)
#define IDLE_FOR			(30 * ATX_SECOND)
#define FIRST_RETRY			(ATX_SECOND / 50)
#define LAST_RETRY			ATX_SECOND

/* Have the client's file descriptor tell of this connection. */
static void
watch_socket(AtxLink *link, uint32_t events)
{
	struct epoll_event event = {.events = events,.data.ptr = link};
	int			fd = PQsocket(link->conn);

	/*
	 * libpq may have closed the socket and opened another one of the same
	 * number, which is not in the set then.
	 */
	if (fd >= 0 &&
		epoll_ctl(link->client->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0 &&
		errno == ENOENT)
		(void) epoll_ctl(link->client->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* How long an attempt to reach one host may take. */
static AtxTime
connect_patience(AtxLink *link)
{
	AtxTime		patience = CONNECT_PATIENCE;
	PQconninfoOption *options = PQconninfo(link->conn);

	for (PQconninfoOption *option = options;
		 option != NULL && option->keyword != NULL; option++)
	{
		if (strcmp(option->keyword, "connect_timeout") == 0 &&
			option->val != NULL && atoi(option->val) > 0)
			patience = atoi(option->val) * ATX_SECOND;
	}
	PQconninfoFree(options);
	return Min(patience, atx_sessions_patience(link->client));
}

static void
close_connection(AtxLink *link)
{
	/* Closing a socket takes it out of the set. */
	PQfinish(link->conn);
	PQclear(link->result);
	link->conn = NULL;
	link->result = NULL;
	link->state = ATX_LINK_DOWN;
	link->ready = false;
}

/* Notices are not ours to show. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

/* Begin to connect. */
void
atx_link_start(AtxLink *link)
{
	AtxClient  *client = link->client;

	link->conn = PQconnectStartParams((const char *const *) client->keywords,
									  (const char *const *) client->values, 1);
	if (link->conn == NULL)
		abort();
	(void) PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
	link->state = ATX_LINK_CONNECTING;
	if (PQstatus(link->conn) == CONNECTION_BAD)
	{
		atx_link_break(link, NULL);
		return;
	}
	link->trying = NULL;
	link->give_up = atx_now() + connect_patience(link);
	watch_socket(link, EPOLLOUT);
}

/* The connection stands. */
static void
connected(AtxLink *link)
{
	AtxClient  *client = link->client;

	(void) PQsetnonblocking(link->conn, 1);
	link->state = ATX_LINK_IDLE;
	link->idle_since = atx_now();
	link->failures = 0;
	link->connects++;
	client->failures = 0;
	free(client->error);
	client->error = NULL;
	watch_socket(link, EPOLLIN);
}

static void
go_on_connecting(AtxLink *link)
{
	PostgresPollingStatusType polling = PQconnectPoll(link->conn);

	/* Each host has its own time. */
	if (link->trying != PQhost(link->conn))
	{
		link->trying = PQhost(link->conn);
		link->give_up = atx_now() + connect_patience(link);
	}
	switch (polling)
	{
		case PGRES_POLLING_OK:
			connected(link);
			break;
		case PGRES_POLLING_READING:
			watch_socket(link, EPOLLIN);
			break;
		case PGRES_POLLING_FAILED:
			atx_link_break(link, NULL);
			break;
		default:
			watch_socket(link, EPOLLOUT);
			break;
	}
}

/* Send what libpq has not yet given to the socket. */
static bool
flush(AtxLink *link)
{
	int			left = PQflush(link->conn);

	if (left < 0)
		return false;
	watch_socket(link, left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

/*
 * Execute a statement on an idle connection.  False: the connection has
 * broken, and the statement has not been sent.
 */
bool
atx_link_send(AtxLink *link, AtxRequest *request)
{
	/* Before it is sent: that is what leases are counted from. */
	request->sent = atx_now();
	if (!PQsendQueryParams(link->conn, request->sql, request->n, NULL,
						   (const char *const *) request->values, NULL, NULL, 0) ||
		!flush(link))
	{
		/* Not even the server can have all of it: it has no Sync. */
		atx_link_break(link, NULL);
		return false;
	}
	link->state = ATX_LINK_BUSY;
	link->request = request;
	link->give_up = request->patience == ATX_NEVER ? ATX_NEVER :
		request->sent + request->patience;
	return true;
}

/* Keep a result of the statement; an error wins. */
static void
keep_result(AtxLink *link, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (link->result == NULL ||
		(status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK))
	{
		PQclear(link->result);
		link->result = result;
	}
	else
		PQclear(result);
}

/* Take what has come, answers and notifications. */
static void
receive(AtxLink *link)
{
	bool		alive = PQconsumeInput(link->conn) == 1;
	PGnotify   *notify;

	while (alive && (notify = PQnotifies(link->conn)) != NULL)
	{
		atx_client_notified(link->client, notify);
		PQfreemem(notify);
	}
	if (alive && link->state == ATX_LINK_BUSY)
		alive = flush(link);
	while (alive && link->state == ATX_LINK_BUSY && !PQisBusy(link->conn))
	{
		PGresult   *result = PQgetResult(link->conn);

		if (result != NULL)
			keep_result(link, result);
		else
		{
			result = link->result;
			link->result = NULL;
			link->state = ATX_LINK_IDLE;
			link->idle_since = atx_now();
			atx_request_answered(link, result);
			PQclear(result);
			return;
		}
		alive = PQstatus(link->conn) == CONNECTION_OK;
	}
	if (!alive)
		atx_link_break(link, NULL);
}

/* Go on with what the socket is ready for, and give up what takes too long. */
void
atx_link_process(AtxLink *link)
{
	bool		ready = link->ready;

	link->ready = false;
	if (ready && link->state == ATX_LINK_CONNECTING)
		go_on_connecting(link);
	else if (ready && link->state != ATX_LINK_DOWN)
		receive(link);

	if (link->state == ATX_LINK_CONNECTING && atx_now() >= link->give_up)
	{
		atx_hosts_rotate(&link->client->keywords, &link->client->values, link->conn);
		atx_link_break(link, "the server does not answer");
	}
	else if (link->state == ATX_LINK_BUSY && atx_now() >= link->give_up)
		atx_link_break(link, "the server does not answer");
	else if (link->state == ATX_LINK_IDLE && link->number > 0 &&
			 atx_now() >= link->idle_since + IDLE_FOR)
		atx_link_close(link);
}

/*
 * Give a connection up, with a reason or the one libpq has; what it was busy
 * with is sent again elsewhere, or answered as uncertain.
 */
void
atx_link_break(AtxLink *link, const char *reason)
{
	AtxClient  *client = link->client;
	AtxTime		delay = FIRST_RETRY;
	char	   *copy;

	if (PQconnectionNeedsPassword(link->conn))
		client->needs_password = true;
	if (reason == NULL && link->result != NULL)
		reason = PQresultErrorMessage(link->result);
	if (reason == NULL || reason[0] == '\0')
		reason = PQerrorMessage(link->conn);
	copy = atx_strdup(reason);

	link->failures++;
	for (int i = 1; i < link->failures && delay < LAST_RETRY; i++)
		delay *= 2;
	link->retry = atx_now() + atx_jitter(Min(delay, LAST_RETRY));
	close_connection(link);
	atx_client_failed(client, copy);
	free(copy);
	if (link->request != NULL)
		atx_request_lost(link);
}

/* Close a connection that is not needed, without having failed. */
void
atx_link_close(AtxLink *link)
{
	if (link->conn != NULL)
		close_connection(link);
}

AtxTime
atx_link_due(const AtxLink *link)
{
	switch (link->state)
	{
		case ATX_LINK_CONNECTING:
		case ATX_LINK_BUSY:
			return link->give_up;
		case ATX_LINK_IDLE:
			return link->number > 0 ? link->idle_since + IDLE_FOR : ATX_NEVER;
		case ATX_LINK_DOWN:
			break;
	}
	return ATX_NEVER;
}
