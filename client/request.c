/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Statements that wait for a connection, and what becomes of their
 *	  answers.
 *
 * Each is one transaction, as a transaction pooler wants it.  One connection does
 * for most clients.  Another one is made for renewals where the first
 * is kept busy, and for commands while the first waits in the server.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* How long a renewal waits for a busy connection before it gets another. */
#define LEASE_WAITS		(ATX_SECOND / 10)
#define RETRY_AFTER		(ATX_SECOND / 50)
#define DEFAULT_TRIES	20

/* A statement that is to be pushed, with everything at its default. */
AtxRequest *
atx_request(AtxClient *client, const char *sql, int n, const char *const *values,
			AtxRequestHook hook, void *owner)
{
	AtxRequest *request = atx_alloc(sizeof(AtxRequest));

	(void) client;
	request->urgency = ATX_COMMAND;
	request->patience = ATX_NEVER;
	request->tries = DEFAULT_TRIES;
	request->sql = atx_strdup(sql);
	request->n = n;
	request->values = atx_alloc(sizeof(char *) * (size_t) n);
	for (int i = 0; i < n; i++)
		request->values[i] = atx_strdup(values[i]);
	request->hook = hook;
	request->owner = owner;
	return request;
}

static void
free_request(AtxRequest *request)
{
	for (int i = 0; i < request->n; i++)
		free(request->values[i]);
	free(request->values);
	free(request->sql);
	if (request->release != NULL)
		request->release(request->owner);
	free(request);
}

/* Put it at the end. */
void
atx_request_push(AtxClient *client, AtxRequest *request)
{
	request->next = NULL;
	request->not_before = atx_now();
	*client->last = request;
	client->last = &request->next;
}

/* Put it at the front, where it came from. */
void
atx_request_requeue(AtxClient *client, AtxRequest *request)
{
	request->next = client->first;
	client->first = request;
	if (request->next == NULL)
		client->last = &request->next;
}

static void
unlink_request(AtxClient *client, AtxRequest **place)
{
	AtxRequest *request = *place;

	*place = request->next;
	if (*place == NULL)
		client->last = place;
	request->next = NULL;
}

/* An idle connection for it, NULL if there is none. */
static AtxLink *
idle_link(AtxClient *client, const AtxRequest *request)
{
	for (int i = 0; i < (request->listens ? 1 : ATX_MAX_LINKS); i++)
	{
		if (client->links[i].state == ATX_LINK_IDLE)
			return &client->links[i];
	}
	return NULL;
}

/* Whether a further connection should be made because the others are busy. */
static bool
deserves_another(const AtxClient *client, const AtxRequest *request, AtxTime now)
{
	if (request->urgency == ATX_LEASE)
		return now >= request->not_before + LEASE_WAITS;
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		if (client->links[i].state == ATX_LINK_BUSY &&
			client->links[i].request->urgency != ATX_WAIT)
			return false;
	}
	return request->urgency == ATX_COMMAND && !request->listens;
}

/* See to it that there will be a connection for it. */
static void
start_link(AtxClient *client, const AtxRequest *request, AtxTime now)
{
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		AtxLink    *link = &client->links[i];

		if (link->state == ATX_LINK_CONNECTING)
			return;
		if (link->state == ATX_LINK_DOWN)
		{
			if (now >= link->retry && (i == 0 || deserves_another(client, request, now)))
				atx_link_start(link);
			return;
		}
	}
}

/* Send one of the waiting requests; false if none can be. */
static bool
dispatch_one(AtxClient *client, AtxTime now, bool leases)
{
	for (AtxRequest **place = &client->first; *place != NULL; place = &(*place)->next)
	{
		AtxRequest *request = *place;
		AtxLink    *link;

		if ((request->urgency == ATX_LEASE) != leases || request->not_before > now)
			continue;
		link = idle_link(client, request);
		if (link == NULL)
			start_link(client, request, now);
		else
		{
			unlink_request(client, place);
			if (!atx_link_send(link, request))
				atx_request_requeue(client, request);
			return true;
		}
	}
	return false;
}

/* Send what can be sent, renewals first, and connect for what cannot. */
void
atx_requests_dispatch(AtxClient *client, AtxTime now)
{
	while (dispatch_one(client, now, true))
		;
	while (dispatch_one(client, now, false))
		;
}

/* When dispatching has something to do for a request, as start_link() has it. */
static AtxTime
request_due(const AtxClient *client, const AtxRequest *request)
{
	for (int i = 0; i < (request->listens ? 1 : ATX_MAX_LINKS); i++)
	{
		if (client->links[i].state == ATX_LINK_IDLE)
			return request->not_before;
	}
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		const AtxLink *link = &client->links[i];

		if (link->state == ATX_LINK_CONNECTING)
			return ATX_NEVER;
		if (link->state == ATX_LINK_DOWN)
		{
			AtxTime		at = Max(link->retry, request->not_before);

			if (i == 0)
				return at;
			if (request->urgency == ATX_LEASE)
				return Max(at, request->not_before + LEASE_WAITS);
			return deserves_another(client, request, at) ? at : ATX_NEVER;
		}
	}
	return ATX_NEVER;
}

AtxTime
atx_requests_due(const AtxClient *client)
{
	AtxTime		due = ATX_NEVER;

	for (const AtxRequest *request = client->first; request != NULL; request = request->next)
		due = Min(due, request_due(client, request));
	return due;
}

/* Nobody wants to know what comes of requests of something, or about it. */
void
atx_requests_disown(AtxClient *client, const void *owner)
{
	AtxRequest **place = &client->first;

	while (*place != NULL)
	{
		AtxRequest *request = *place;

		if (request->owner == owner || request->about == owner)
		{
			unlink_request(client, place);
			free_request(request);
		}
		else
			place = &request->next;
	}
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		AtxRequest *request = client->links[i].request;

		if (request != NULL && (request->owner == owner || request->about == owner))
			request->hook = NULL;
	}
}

void
atx_requests_free(AtxClient *client)
{
	while (client->first != NULL)
	{
		AtxRequest *request = client->first;

		unlink_request(client, &client->first);
		free_request(request);
	}
	for (int i = 0; i < ATX_MAX_LINKS; i++)
	{
		if (client->links[i].request != NULL)
			free_request(client->links[i].request);
	}
}

/* Give the answer and be done. */
static void
answer(AtxClient *client, AtxRequest *request, const AtxReply *reply)
{
	if (request->hook != NULL)
		request->hook(client, request->owner, reply, request->sent);
	free_request(request);
}

/* The connection broke before there was an answer. */
void
atx_request_lost(AtxLink *link)
{
	AtxRequest *request = link->request;

	link->request = NULL;
	if (request->hook == NULL)
		free_request(request);
	else if (request->repeatable)
	{
		request->ambiguous = true;
		atx_request_requeue(link->client, request);
	}
	else
	{
		AtxReply	reply = {.outcome = ATX_UNCERTAIN,.sqlstate = "08006",
			.message = link->client->error ? link->client->error : "",
			.detail = "",.hint = ""
		};

		answer(link->client, request, &reply);
	}
}

static const char *
field(const PGresult *result, int code)
{
	const char *value = PQresultErrorField(result, code);

	return value == NULL ? "" : value;
}

/* An error that says nothing about the statement: the same may succeed. */
static bool
is_passing(const char *sqlstate)
{
	static const char *const passing[] = {
		"40001", "40P01", "57P03", "53300", "25006"
	};

	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
	{
		if (strcmp(sqlstate, passing[i]) == 0)
			return true;
	}
	return false;
}

/*
 * The server has answered; the result belongs to the caller.
 */
void
atx_request_answered(AtxLink *link, PGresult *result)
{
	AtxClient  *client = link->client;
	AtxRequest *request = link->request;
	ExecStatusType status = PQresultStatus(result);
	AtxReply	reply = {.outcome = ATX_DONE,.result = result,
		.sqlstate = "",.message = "",.detail = "",.hint = ""
	};

	link->request = NULL;
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
	{
		reply.outcome = ATX_FAILED;
		reply.result = NULL;
		reply.sqlstate = field(result, PG_DIAG_SQLSTATE);
		reply.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
		reply.detail = field(result, PG_DIAG_MESSAGE_DETAIL);
		reply.hint = field(result, PG_DIAG_MESSAGE_HINT);

		if (request->hook != NULL && request->tries != 0 && is_passing(reply.sqlstate))
		{
			bool		standby = strcmp(reply.sqlstate, "25006") == 0;

			if (request->tries > 0)
				request->tries--;
			request->not_before = atx_now() + atx_jitter(RETRY_AFTER * 4);
			atx_request_requeue(client, request);
			/* Perhaps another host is the primary by now. */
			if (standby)
				atx_link_break(link, reply.message);
			return;
		}
	}
	answer(client, request, &reply);
}

/* A value of the answer, NULL for null. */
const char *
atx_value(const AtxReply *reply, int row, int column)
{
	if (reply->result == NULL || row >= PQntuples(reply->result) ||
		column >= PQnfields(reply->result) ||
		PQgetisnull(reply->result, row, column))
		return NULL;
	return PQgetvalue(reply->result, row, column);
}

/* The same as a number, 0 for null. */
int64_t
atx_value_int(const AtxReply *reply, int row, int column)
{
	const char *value = atx_value(reply, row, column);

	return value == NULL ? 0 : strtoll(value, NULL, 10);
}

bool
atx_value_bool(const AtxReply *reply, int row, int column)
{
	const char *value = atx_value(reply, row, column);

	return value != NULL && value[0] == 't';
}

/* What atx_query() is to call. */
typedef struct Question
{
	AtxReplyHook hook;
	void	   *arg;
} Question;

static void
question_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	Question   *question = owner;

	(void) client;
	(void) sent;
	question->hook(question->arg, reply);
}

void
atx_query(AtxClient *client, bool repeatable, const char *sql, int n,
		  const char *const *values, AtxReplyHook hook, void *arg)
{
	Question   *question = atx_alloc(sizeof(Question));
	AtxRequest *request = atx_request(client, sql, n, values, question_answered, question);

	question->hook = hook;
	question->arg = arg;
	request->release = free;
	request->repeatable = repeatable;
	atx_request_push(client, request);
}
