/*-------------------------------------------------------------------------
 *
 * watch.c
 *	  The changes of a service, as they come.
 *
 * Truth is what the server has written down after a position; notifications
 * only say when to look.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define PATIENCE		(10 * ATX_SECOND)
#define LOOK_ANYWAY		(10 * ATX_SECOND)
#define FAILED_AGAIN	(ATX_SECOND / 5)
#define PAGE			1000
#define PAGE_TEXT		"1000"

static bool
is_over(const AtxWatch *watch)
{
	return watch->state == ATX_WATCH_COMPACTED || watch->state == ATX_WATCH_FAILED;
}

static void
set_state(AtxWatch *watch, AtxWatchState state, const char *reason)
{
	if (watch->state == state)
		return;
	watch->state = state;
	if (watch->on_state != NULL && !watch->freed)
		watch->on_state(watch->arg, watch, state, reason);
}

AtxWatch *
atx_watch(AtxClient *client, const AtxWatchOptions *options, AtxEventHook on_event,
		  AtxWatchHook on_state, void *arg)
{
	AtxWatch   *watch = atx_alloc(sizeof(AtxWatch));

	watch->client = client;
	watch->name = atx_strdup(options->name);
	watch->name_space = atx_strdup(options->name_space != NULL ? options->name_space : "");
	watch->key = atx_strdup(options->key);
	watch->position = options->from;
	watch->poll = options->poll > 0 ? options->poll : ATX_SECOND;
	watch->on_event = on_event;
	watch->on_state = on_state;
	watch->arg = arg;
	watch->next = client->watches;
	client->watches = watch;
	return watch;
}

static void
push(AtxWatch *watch, const char *sql, int n, const char *third, bool listens,
	 AtxRequestHook hook)
{
	const char *values[] = {watch->name, watch->name_space, third, watch->key};
	AtxRequest *request = atx_request(watch->client, sql, n, values, hook, watch);

	request->listens = listens;
	request->repeatable = true;
	request->tries = -1;
	request->patience = PATIENCE;
	watch->busy = true;
	atx_request_push(watch->client, request);
}

/* Whether the answer is one to go on with. */
static bool
succeeded(AtxWatch *watch, const AtxReply *reply)
{
	char	   *reason;

	watch->busy = false;
	if (is_over(watch))
		return false;
	if (reply->outcome == ATX_DONE)
		return true;
	reason = atx_format("%s%s%s", reply->message, reply->detail[0] ? "; " : "", reply->detail);
	set_state(watch, strcmp(reply->sqlstate, "MX007") == 0 ?
			  ATX_WATCH_COMPACTED : ATX_WATCH_FAILED, reason);
	free(reason);
	return false;
}

/* Where it begins: after a revision that was given, or the present one. */
static void
begin(AtxWatch *watch, int64_t revision)
{
	watch->registered = true;
	watch->look = 0;
	if (watch->position < 0)
		watch->position = revision;
}

/* channel, revision, whether there is a worker */
static void
listen_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxWatch   *watch = owner;

	(void) sent;
	if (!succeeded(watch, reply))
		return;
	free(watch->channel);
	watch->channel = atx_strdup(atx_value(reply, 0, 0));
	watch->listening = client->links[0].connects;
	begin(watch, atx_value_int(reply, 0, 1));
	set_state(watch, atx_value_bool(reply, 0, 2) ? ATX_WATCH_LISTENING : ATX_WATCH_POLLING, "");
}

/* revision */
static void
position_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxWatch   *watch = owner;

	(void) client;
	(void) sent;
	if (!succeeded(watch, reply))
		return;
	begin(watch, atx_value_int(reply, 0, 0));
	set_state(watch, ATX_WATCH_POLLING, "");
}

static void
register_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxWatch   *watch = owner;

	(void) client;
	(void) sent;
	/* A statement of its own: it has to see what registering has changed. */
	if (succeeded(watch, reply))
		push(watch,
			 "SELECT revision FROM atomix.services WHERE name = $1::text AND namespace = $2::text",
			 2, NULL, false, position_answered);
}

static void
tell(AtxWatch *watch, const AtxReply *reply, int row)
{
	AtxEvent	event = {.revision = atx_value_int(reply, row, 2),
		.type = atx_value(reply, row, 3),
		.key = atx_value(reply, row, 4),
		.index = atx_value_int(reply, row, 7),
		.at = atx_value(reply, row, 8)
	};
	const char *value = atx_value(reply, row, 5);
	const char *prev_value = atx_value(reply, row, 6);
	unsigned char *bytes = NULL;
	unsigned char *prev_bytes = NULL;

	if (value != NULL)
		bytes = PQunescapeBytea((const unsigned char *) value, &event.value_length);
	if (prev_value != NULL)
		prev_bytes = PQunescapeBytea((const unsigned char *) prev_value,
									 &event.prev_value_length);
	event.value = bytes;
	event.prev_value = prev_bytes;
	watch->on_event(watch->arg, watch, &event);
	PQfreemem(bytes);
	PQfreemem(prev_bytes);
	watch->position = event.revision;
}

/* last revision read, how many were, and those asked for */
static void
fetch_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxWatch   *watch = owner;

	(void) client;
	(void) sent;
	if (!succeeded(watch, reply))
		return;
	for (int row = 0; row < PQntuples(reply->result) && !watch->freed; row++)
	{
		if (atx_value(reply, row, 2) != NULL)
			tell(watch, reply, row);
	}
	if (watch->freed)
		return;
	if (atx_value(reply, 0, 0) != NULL)
		watch->position = atx_value_int(reply, 0, 0);
	if (atx_value_int(reply, 0, 1) >= PAGE)
		watch->look = 0;
	else
		watch->look = atx_now() +
			(watch->state == ATX_WATCH_LISTENING ? LOOK_ANYWAY : watch->poll);
}

/*
 * All events are read and those of the key told, so that the position moves on
 * with the others, too.
 */
static void
fetch(AtxWatch *watch)
{
	char	   *position = atx_format("%lld", (long long) watch->position);

	watch->told = false;
	push(watch,
		 "WITH e AS MATERIALIZED (SELECT * FROM atomix.watch"
		 "($1::text, $3::bigint, NULL, " PAGE_TEXT ", $2::text)),"
		 " l AS (SELECT max(revision) AS last, count(*) AS n FROM e)"
		 " SELECT l.last, l.n, e.revision, e.type, e.key, e.value, e.prev_value, e.index, e.at"
		 " FROM l LEFT JOIN e ON $4::text IS NULL OR e.key = $4::text ORDER BY e.revision",
		 4, position, false, fetch_answered);
	free(position);
}

static void
process(AtxWatch *watch, AtxTime now)
{
	AtxClient  *client = watch->client;

	if (watch->busy || watch->freed || is_over(watch))
		return;
	if (client->pooled == ATX_POOLED_YES)
	{
		if (!watch->registered)
		{
			push(watch, "SELECT count(*) FROM atomix.watch($1::text, NULL, NULL, 0, $2::text)",
				 2, NULL, false, register_answered);
			return;
		}
		set_state(watch, ATX_WATCH_POLLING, "");
	}
	else if (watch->listening != client->links[0].connects || watch->listening == 0 ||
			 client->links[0].state == ATX_LINK_DOWN)
	{
		/* This also makes a connection anew. */
		if (atx_client_can_listen(client))
			push(watch,
				 "SELECT l.channel, l.revision, EXISTS (SELECT FROM atomix.workers"
				 " WHERE database = current_database() AND pid IS NOT NULL)"
				 " FROM atomix.listen_watch($1::text, $2::text) AS l",
				 2, NULL, true, listen_answered);
		return;
	}
	if (watch->told || now >= watch->look)
		fetch(watch);
}

void
atx_watches_process(AtxClient *client, AtxTime now)
{
	for (AtxWatch *watch = client->watches; watch != NULL; watch = watch->next)
		process(watch, now);
}

AtxTime
atx_watches_due(const AtxClient *client)
{
	AtxTime		due = ATX_NEVER;

	for (const AtxWatch *watch = client->watches; watch != NULL; watch = watch->next)
	{
		if (watch->busy || watch->freed || is_over(watch) ||
			client->pooled == ATX_POOLED_ASKED)
			continue;
		if (client->pooled == ATX_POOLED_UNKNOWN || watch->told || !watch->registered)
			due = 0;
		else if (client->pooled == ATX_POOLED_NO &&
				 (watch->listening != client->links[0].connects ||
				  client->links[0].state == ATX_LINK_DOWN))
			due = 0;
		else
			due = Min(due, watch->look);
	}
	return due;
}

void
atx_watches_notified(AtxClient *client, const char *channel)
{
	for (AtxWatch *watch = client->watches; watch != NULL; watch = watch->next)
	{
		if (watch->channel != NULL && strcmp(watch->channel, channel) == 0)
			watch->told = true;
	}
}

/* Free what has been given up. */
void
atx_watches_sweep(AtxClient *client)
{
	AtxWatch  **place = &client->watches;

	while (*place != NULL)
	{
		AtxWatch   *watch = *place;

		if (!watch->freed)
		{
			place = &watch->next;
			continue;
		}
		*place = watch->next;
		atx_requests_disown(client, watch);
		free(watch->name);
		free(watch->name_space);
		free(watch->key);
		free(watch->channel);
		free(watch);
	}
}

void
atx_watch_free(AtxWatch *watch)
{
	if (watch != NULL)
		watch->freed = true;
}

AtxWatchState
atx_watch_state(const AtxWatch *watch)
{
	return watch->state;
}

int64_t
atx_watch_position(const AtxWatch *watch)
{
	return watch->position;
}
