/*-------------------------------------------------------------------------
 *
 * client.c
 *	  The client as a whole: its file descriptor, its timer, and the loop.
 *
 * The descriptor is an epoll set of the connections' sockets and a timer.  So
 * it is the same for ever, and readable also when only the time has come.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "internal.h"

/* Whether the user says which servers to take. */
static bool
says_target(const char *const *keywords, const char *const *values)
{
	for (int i = 0; keywords[i] != NULL; i++)
	{
		if (values[i] == NULL)
			continue;
		if (strcmp(keywords[i], "target_session_attrs") == 0)
			return true;
		if (strcmp(keywords[i], "dbname") == 0 &&
			strstr(values[i], "target_session_attrs") != NULL)
			return true;
	}
	return getenv("PGTARGETSESSIONATTRS") != NULL;
}

/* Copy the parameters, with those of ours. */
static void
copy_parameters(AtxClient *client, const char *const *keywords,
				const char *const *values, bool writable)
{
	int			count = 0;
	int			n = 0;

	while (keywords[count] != NULL)
		count++;
	client->keywords = atx_alloc(sizeof(char *) * (size_t) (count + 2));
	client->values = atx_alloc(sizeof(char *) * (size_t) (count + 2));
	if (writable && !says_target(keywords, values))
	{
		client->keywords[n] = atx_strdup("target_session_attrs");
		client->values[n++] = atx_strdup("read-write");
	}
	for (int i = 0; i < count; i++)
	{
		client->keywords[n] = atx_strdup(keywords[i]);
		client->values[n++] = atx_strdup(values[i]);
	}
}

AtxClient *
atx_client_new(const char *const *keywords, const char *const *values, bool writable)
{
	AtxClient  *client = atx_alloc(sizeof(AtxClient));
	struct epoll_event event = {.events = EPOLLIN,.data.ptr = NULL};

	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->timer_fd = atx_timer_new();
	if (client->epoll_fd < 0 || client->timer_fd < 0 ||
		epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->timer_fd, &event) != 0)
		abort();
	copy_parameters(client, keywords, values, writable);
	client->last = &client->first;
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		client->links[i].client = client;
		client->links[i].number = i;
	}
	return client;
}

void
atx_client_free(AtxClient *client)
{
	if (client == NULL)
		return;
	while (client->watches != NULL)
	{
		atx_watch_free(client->watches);
		atx_watches_sweep(client);
	}
	while (client->sessions != NULL)
	{
		atx_session_free(client->sessions);
		atx_sessions_sweep(client);
	}
	for (int i = 0; i < ATX_MAX_LINKS; i++)
		atx_link_close(&client->links[i]);
	atx_requests_free(client);
	(void) close(client->timer_fd);
	(void) close(client->epoll_fd);
	for (int i = 0; client->keywords[i] != NULL; i++)
	{
		free(client->keywords[i]);
		free(client->values[i]);
	}
	free(client->keywords);
	free(client->values);
	free(client->error);
	free(client);
}

int
atx_client_fd(const AtxClient *client)
{
	return client->epoll_fd;
}

AtxTime
atx_client_due(const AtxClient *client)
{
	AtxTime		due = atx_requests_due(client);

	for (int i = 0; i < ATX_MAX_LINKS; i++)
		due = Min(due, atx_link_due(&client->links[i]));
	due = Min(due, atx_sessions_due(client));
	due = Min(due, atx_watches_due(client));
	return due;
}

/* Ask the sockets what they are ready for. */
static void
look_at_sockets(AtxClient *client)
{
	struct epoll_event events[ATX_MAX_LINKS + 1];
	int			count = epoll_wait(client->epoll_fd, events, ATX_MAX_LINKS + 1, 0);

	for (int i = 0; i < count; i++)
	{
		AtxLink    *link = events[i].data.ptr;

		if (link == NULL)
			atx_timer_clear(client->timer_fd);
		else
			link->ready = true;
	}
}

void
atx_client_process(AtxClient *client)
{
	/*
	 * The clock goes first: whoever was stopped for too long has lost its
	 * sessions, even if an answer that would renew them is in the socket.
	 */
	atx_sessions_check(client, atx_now());
	look_at_sockets(client);
	for (int i = 0; i < ATX_MAX_LINKS; i++)
		atx_link_process(&client->links[i]);
	atx_sessions_process(client, atx_now());
	atx_watches_process(client, atx_now());
	atx_requests_dispatch(client, atx_now());
	atx_watches_sweep(client);
	atx_sessions_sweep(client);
	atx_timer_set(client->timer_fd, atx_client_due(client));
}

void
atx_client_wait(AtxClient *client, AtxTime until)
{
	AtxTime		due = Min(until, atx_client_due(client));
	struct pollfd waited = {.fd = client->epoll_fd,.events = POLLIN};

	/* Something may have been asked for since the timer was set. */
	atx_timer_set(client->timer_fd, due);
	(void) poll(&waited, 1, atx_poll_timeout(due));
	atx_client_process(client);
}

bool
atx_client_connected(const AtxClient *client)
{
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		if (client->links[i].state == ATX_LINK_IDLE ||
			client->links[i].state == ATX_LINK_BUSY)
			return true;
	}
	return false;
}

const char *
atx_client_error(const AtxClient *client)
{
	return client->error;
}

int
atx_client_failures(const AtxClient *client)
{
	return client->failures;
}

bool
atx_client_needs_password(const AtxClient *client)
{
	return client->needs_password;
}

/* A connection has failed: note why, and see what that means for sessions. */
void
atx_client_failed(AtxClient *client, const char *reason)
{
	AtxTime		now = atx_now();

	client->failures++;
	free(client->error);
	client->error = atx_strdup(reason);
	client->pooled = ATX_POOLED_UNKNOWN;
	/* They want to know at once whether the server is still there. */
	for (AtxSession *session = client->sessions; session != NULL; session = session->next)
		session->renew = Min(session->renew, now);
}

/*
 * Anyone can send a notification, so it only makes us look.
 */
void
atx_client_notified(AtxClient *client, const PGnotify *notify)
{
	static const char prefix[] = "atomix_session_";

	atx_watches_notified(client, notify->relname);
	if (strncmp(notify->relname, prefix, sizeof(prefix) - 1) != 0)
		return;
	for (AtxSession *session = client->sessions; session != NULL; session = session->next)
	{
		if (session->session_id == strtoll(notify->relname + sizeof(prefix) - 1, NULL, 10))
			atx_claims_notified(session);
	}
}

static void
pooler_known(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	(void) owner;
	(void) sent;
	if (reply->outcome != ATX_DONE || client->links[0].conn == NULL)
		client->pooled = ATX_POOLED_UNKNOWN;
	else if (atx_value_int(reply, 0, 0) == PQbackendPID(client->links[0].conn))
		client->pooled = ATX_POOLED_NO;
	else
		client->pooled = ATX_POOLED_YES;
}

/*
 * Whether LISTEN makes sense.  A pooler gives clients process ids of its own
 * making; one that asks the server finds out.  False until that is known.
 */
bool
atx_client_can_listen(AtxClient *client)
{
	if (client->pooled == ATX_POOLED_UNKNOWN)
	{
		AtxRequest *request = atx_request(client, "SELECT pg_catalog.pg_backend_pid()",
										  0, NULL, pooler_known, client);

		request->listens = true;
		request->patience = 10 * ATX_SECOND;
		client->pooled = ATX_POOLED_ASKED;
		atx_request_push(client, request);
	}
	return client->pooled == ATX_POOLED_NO;
}
