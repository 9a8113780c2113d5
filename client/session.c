/*-------------------------------------------------------------------------
 *
 * session.c
 *	  Sessions and their leases.
 *
 * A lease is counted from before the renewal was sent, so that its holder
 * stops before the server lets others go on.  What has been lost stays lost:
 * who has stopped for it cannot be told that it was not.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define BATCH_SIZE			1000
#define LEAST_PATIENCE		(ATX_SECOND / 2)
#define GREATEST_PATIENCE	(10 * ATX_SECOND)

/* Sessions that are renewed by one statement, in its order. */
struct AtxBatch
{
	int			count;
	AtxSession *sessions[BATCH_SIZE];	/* NULL: forgotten meanwhile */
};

bool
atx_session_alive(const AtxSession *session)
{
	return session->state == ATX_SESSION_CONNECTED ||
		session->state == ATX_SESSION_SUSPENDED;
}

void
atx_session_set_state(AtxSession *session, AtxSessionState state, const char *reason)
{
	if (session->state == state)
		return;
	session->state = state;
	if (!atx_session_alive(session))
		atx_claims_lost(session, reason);
	if (session->hook != NULL && !session->freed)
		session->hook(session->arg, session, state, reason);
}

/* How long to wait for the answer to a renewal. */
static AtxTime
patience_of(AtxTime timeout)
{
	return Max(LEAST_PATIENCE, Min(timeout / 4, GREATEST_PATIENCE));
}

/* The least of all sessions. */
AtxTime
atx_sessions_patience(const AtxClient *client)
{
	AtxTime		patience = GREATEST_PATIENCE;

	for (const AtxSession *session = client->sessions; session != NULL; session = session->next)
	{
		if (session->timeout > 0)
			patience = Min(patience, patience_of(session->timeout));
	}
	return patience;
}

static AtxRequest *
lease_request(AtxClient *client, const char *sql, int n, const char *const *values,
			  AtxRequestHook hook, void *owner)
{
	AtxRequest *request = atx_request(client, sql, n, values, hook, owner);

	request->urgency = ATX_LEASE;
	request->repeatable = true;
	request->patience = atx_sessions_patience(client);
	return request;
}

/* The server has confirmed what was sent then. */
static void
renewed(AtxSession *session, AtxTime sent, AtxTime left)
{
	session->renewed = sent;
	session->renew = sent + left / 4;
	session->deadline = sent + left - session->margin;
	if (atx_now() >= session->deadline)
	{
		atx_session_set_state(session, ATX_SESSION_LOST,
							  "the answer of the server came too late");
		return;
	}
	atx_session_set_state(session, ATX_SESSION_CONNECTED, "");
	atx_commands_acknowledge(session);
	atx_claims_renewed(session);
}

static void
set_timeout(AtxSession *session, AtxTime timeout)
{
	session->timeout = timeout;
	session->margin = session->margin_wanted > 0 ?
		Min(session->margin_wanted, timeout) : timeout / 16;
}

static void
close_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxSession *session = owner;

	(void) client;
	(void) sent;
	if (reply->outcome == ATX_DONE || strncmp(reply->sqlstate, "MX00", 4) == 0)
		atx_session_set_state(session, ATX_SESSION_CLOSED, "");
	else
		atx_session_set_state(session, ATX_SESSION_LOST, reply->message);
}

static void
send_close(AtxSession *session)
{
	char	   *id = atx_format("%lld", (long long) session->session_id);
	const char *values[] = {id};

	atx_request_push(session->client,
					 lease_request(session->client, "SELECT atomix.close_session($1::bigint)",
								   1, values, close_answered, session));
	free(id);
}

static void
open_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxSession *session = owner;

	(void) client;
	if (reply->outcome != ATX_DONE)
	{
		char	   *reason = atx_format("%s%s%s", reply->message,
										reply->hint[0] ? "; " : "", reply->hint);

		atx_session_set_state(session, ATX_SESSION_FAILED, reason);
		free(reason);
		return;
	}
	session->session_id = atx_value_int(reply, 0, 0);
	set_timeout(session, atx_value_int(reply, 0, 1));
	if (session->closing)
		send_close(session);
	else
		renewed(session, sent, session->timeout);
}

static AtxSession *
new_session(AtxClient *client, const AtxSessionOptions *options,
			AtxSessionHook hook, void *arg)
{
	AtxSession *session = atx_alloc(sizeof(AtxSession));

	session->client = client;
	session->hook = hook;
	session->arg = arg;
	session->renew = ATX_NEVER;
	session->next_number = 1;
	session->margin_wanted = options == NULL ? 0 : options->margin;
	session->next = client->sessions;
	client->sessions = session;
	return session;
}

AtxSession *
atx_session_open(AtxClient *client, const AtxSessionOptions *options,
				 AtxSessionHook hook, void *arg)
{
	static const AtxSessionOptions defaults;
	AtxSession *session = new_session(client, options, hook, arg);
	char	   *timeout = NULL;
	const char *values[4];

	if (options == NULL)
		options = &defaults;
	if (options->timeout > 0)
		timeout = atx_format("%lld microseconds", (long long) options->timeout);
	values[0] = timeout;
	values[1] = options->name;
	values[2] = options->kind;
	values[3] = options->labels;
	atx_request_push(client, lease_request(client,
										   "SELECT s, (extract(epoch FROM coalesce($1::interval, atomix.keep_alive(s))) * 1000000)::bigint"
										   " FROM atomix.open_session(timeout => $1::interval, name => $2::text,"
										   " kind => $3::text, labels => coalesce($4::jsonb, '{}')) AS s",
										   4, values, open_answered, session));
	free(timeout);
	return session;
}

AtxSession *
atx_session_resume(AtxClient *client, int64_t session_id, int64_t next_number,
				   const AtxSessionOptions *options, AtxSessionHook hook, void *arg)
{
	AtxSession *session = new_session(client, options, hook, arg);

	session->session_id = session_id;
	session->next_number = Max(next_number, 1);
	session->renew = 0;
	return session;
}

/* What the server says of a session that was to be renewed. */
static void
session_answered(AtxSession *session, const char *state, AtxTime left, AtxTime sent)
{
	if (!atx_session_alive(session) && session->state != ATX_SESSION_OPENING)
		return;
	if (strcmp(state, "opened") == 0)
	{
		/* A resumed session: what it has left is its timeout. */
		if (session->timeout == 0)
			set_timeout(session, left);
		renewed(session, sent, left);
	}
	else if (strcmp(state, "ending") == 0)
		session->renew = atx_now() + LEAST_PATIENCE / 4;
	else
	{
		char	   *reason = atx_format("the server says that the session is %s", state);

		atx_session_set_state(session, ATX_SESSION_LOST, reason);
		free(reason);
	}
}

static void
batch_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxBatch   *batch = owner;

	(void) client;
	for (int i = 0; i < batch->count; i++)
	{
		AtxSession *session = batch->sessions[i];

		if (session == NULL)
			continue;
		session->batch = NULL;
		session->renew = atx_now() + patience_of(session->timeout) / 8;
		if (reply->outcome == ATX_DONE && session->session_id == atx_value_int(reply, i, 0))
			session_answered(session, atx_value(reply, i, 1), atx_value_int(reply, i, 2), sent);
		else if (atx_session_alive(session))
			atx_session_set_state(session, ATX_SESSION_SUSPENDED, reply->message);
		else if (session->state == ATX_SESSION_OPENING && reply->outcome == ATX_FAILED)
			atx_session_set_state(session, ATX_SESSION_FAILED, reply->message);
	}
}

static void
send_batch(AtxClient *client, AtxBatch *batch)
{
	size_t		room = (size_t) batch->count * 21 + 3;
	char	   *ids = atx_alloc(room);
	size_t		length = 0;
	const char *values[] = {ids};
	AtxRequest *request;

	for (int i = 0; i < batch->count; i++)
		length += (size_t) snprintf(ids + length, room - length, "%c%lld", i == 0 ? '{' : ',',
									(long long) batch->sessions[i]->session_id);
	(void) snprintf(ids + length, room - length, "}");
	request = lease_request(client,
							"SELECT session_id, state, (extract(epoch FROM time_left) * 1000000)::bigint"
							" FROM atomix.keep_alive_many($1::bigint[])",
							1, values, batch_answered, batch);
	request->release = free;
	request->tries = -1;
	atx_request_push(client, request);
	free(ids);
}

static bool
can_be_renewed(const AtxSession *session)
{
	return (atx_session_alive(session) ||
			(session->state == ATX_SESSION_OPENING && session->session_id != 0)) &&
		!session->closing && !session->freed && session->batch == NULL;
}

/*
 * Renew the sessions that are due, and with them those that will be soon, so
 * that they go together from then on.
 */
static void
renew(AtxClient *client, AtxTime now)
{
	AtxBatch   *batch = NULL;
	bool		due = false;

	for (AtxSession *session = client->sessions; session != NULL && !due; session = session->next)
		due = can_be_renewed(session) && session->renew <= now;
	if (!due)
		return;
	for (AtxSession *session = client->sessions; session != NULL; session = session->next)
	{
		if (!can_be_renewed(session) ||
			(session->renew > now && session->renewed + session->timeout / 8 > now))
			continue;
		if (batch == NULL)
			batch = atx_alloc(sizeof(AtxBatch));
		batch->sessions[batch->count++] = session;
		session->batch = batch;
		session->answer_due = now + patience_of(session->timeout);
		if (batch->count == BATCH_SIZE)
		{
			send_batch(client, batch);
			batch = NULL;
		}
	}
	if (batch != NULL)
		send_batch(client, batch);
}

/* Those whose deadline has passed are lost. */
void
atx_sessions_check(AtxClient *client, AtxTime now)
{
	for (AtxSession *session = client->sessions; session != NULL; session = session->next)
	{
		if (atx_session_alive(session) && now >= session->deadline)
			atx_session_set_state(session, ATX_SESSION_LOST,
								  client->error != NULL ? client->error :
								  "it was not renewed in time");
	}
}

void
atx_sessions_process(AtxClient *client, AtxTime now)
{
	atx_sessions_check(client, now);
	for (AtxSession *session = client->sessions; session != NULL; session = session->next)
	{
		if (session->state == ATX_SESSION_CONNECTED && session->batch != NULL &&
			(now >= session->answer_due || client->failures > 1))
			atx_session_set_state(session, ATX_SESSION_SUSPENDED,
								  client->error != NULL ? client->error :
								  "the server does not answer");
	}
	renew(client, now);
	for (AtxSession *session = client->sessions; session != NULL; session = session->next)
		atx_claims_process(session, now);
}

AtxTime
atx_sessions_due(const AtxClient *client)
{
	AtxTime		due = ATX_NEVER;

	for (const AtxSession *session = client->sessions; session != NULL; session = session->next)
	{
		if (can_be_renewed(session))
			due = Min(due, session->renew);
		if (atx_session_alive(session))
			due = Min(due, session->deadline);
		if (session->state == ATX_SESSION_CONNECTED && session->batch != NULL)
			due = Min(due, session->answer_due);
		due = Min(due, atx_claims_due(session));
	}
	return due;
}

void
atx_session_close(AtxSession *session)
{
	if (session->closing || session->state == ATX_SESSION_CLOSED)
		return;
	session->closing = true;
	if (session->session_id != 0)
		send_close(session);
}

void
atx_session_free(AtxSession *session)
{
	if (session != NULL)
		session->freed = true;
}

/* Free what has been given up by its owners. */
void
atx_sessions_sweep(AtxClient *client)
{
	AtxSession **place = &client->sessions;

	while (*place != NULL)
	{
		AtxSession *session = *place;

		if (session->freed)
		{
			for (AtxClaim *claim = session->claims; claim != NULL; claim = claim->next)
				claim->freed = true;
		}
		atx_claims_sweep(session);
		if (!session->freed)
		{
			place = &session->next;
			continue;
		}
		*place = session->next;
		if (session->batch != NULL)
		{
			for (int i = 0; i < session->batch->count; i++)
			{
				if (session->batch->sessions[i] == session)
					session->batch->sessions[i] = NULL;
			}
		}
		atx_requests_disown(client, session);
		free(session->acks);
		free(session);
	}
}

int64_t
atx_session_id(const AtxSession *session)
{
	return session->session_id;
}

AtxSessionState
atx_session_state(const AtxSession *session)
{
	return session->state;
}

AtxTime
atx_session_timeout(const AtxSession *session)
{
	return session->timeout;
}

AtxTime
atx_session_deadline(const AtxSession *session)
{
	return session->deadline;
}
