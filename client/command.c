/*-------------------------------------------------------------------------
 *
 * command.c
 *	  Numbered commands: each takes effect once, and its outcome gets known.
 *
 * A command is sent again, the same to the byte, until the server answers; it
 * knows by the number whether it has executed it.  Only when the session has
 * ended it does not take the number any more.  Then it is asked what became of
 * it, because an earlier attempt may have gone through.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define LEAST_PATIENCE		(2 * ATX_SECOND)
#define GREATEST_PATIENCE	(10 * ATX_SECOND)
#define ACKS_AT_ONCE		500

/*
 * How long to wait for an answer before sending it again over another
 * connection; if the first is still being executed the second waits for it.
 */
static AtxTime
patience_of(const AtxSession *session)
{
	return Max(LEAST_PATIENCE, Min(session->timeout / 2, GREATEST_PATIENCE));
}

/* Goes with the last of its requests. */
typedef struct Command
{
	int			requests;
	AtxSession *session;
	int64_t		session_id;
	int64_t		number;
	AtxReplyHook hook;
	void	   *arg;
	char		sqlstate[6];	/* why the server did not take it */
	char	   *message;
} Command;

static void
command_over(Command *command, const AtxReply *reply)
{
	AtxSession *session = command->session;

	command->hook(command->arg, reply);
	/* An error has recorded nothing, so there is nothing to forget. */
	if (reply->outcome == ATX_DONE && reply->result != NULL)
	{
		if (session->acks_count == session->acks_room)
		{
			session->acks_room = Max(16, session->acks_room * 2);
			session->acks = atx_realloc(session->acks,
										sizeof(int64_t) * (size_t) session->acks_room);
		}
		session->acks[session->acks_count++] = command->number;
		if (session->acks_count >= ACKS_AT_ONCE)
			atx_commands_acknowledge(session);
	}
}

static void
outcome_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	Command    *command = owner;
	AtxReply	final = {.outcome = ATX_FAILED,.sqlstate = command->sqlstate,
		.message = command->message,.detail = "",.hint = ""
	};
	const char *state = atx_value(reply, 0, 0);

	(void) client;
	(void) sent;
	if (reply->outcome != ATX_DONE || state == NULL ||
		strcmp(state, "forgotten") == 0)
		final.outcome = ATX_UNCERTAIN;
	else if (strcmp(state, "unknown") != 0)
	{
		final.outcome = ATX_DONE;
		final.sqlstate = final.message = "";
	}
	command_over(command, &final);
}

static void
release_command(void *owner)
{
	Command    *command = owner;

	if (--command->requests > 0)
		return;
	free(command->message);
	free(command);
}

static AtxRequest *
command_request(Command *command, const char *sql, int n, const char *const *values,
				AtxRequestHook hook)
{
	AtxRequest *request = atx_request(command->session->client, sql, n, values, hook, command);

	command->requests++;
	request->release = release_command;
	request->about = command->session;
	request->repeatable = true;
	request->tries = -1;
	request->patience = patience_of(command->session);
	return request;
}

static void
ask_outcome(Command *command)
{
	char	   *id = atx_format("%lld", (long long) command->session_id);
	char	   *number = atx_format("%lld", (long long) command->number);
	const char *values[] = {id, number};

	atx_request_push(command->session->client,
					 command_request(command,
									 "SELECT state FROM atomix.outcome($1::bigint, $2::bigint)",
									 2, values, outcome_answered));
	free(id);
	free(number);
}

static void
command_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	Command    *command = owner;

	(void) client;
	(void) sent;
	if (reply->outcome == ATX_FAILED &&
		(strcmp(reply->sqlstate, "MX001") == 0 || strcmp(reply->sqlstate, "MX002") == 0 ||
		 strcmp(reply->sqlstate, "MX003") == 0))
	{
		(void) snprintf(command->sqlstate, sizeof(command->sqlstate), "%s", reply->sqlstate);
		command->message = atx_strdup(reply->message);
		ask_outcome(command);
		return;
	}
	command_over(command, reply);
}

int64_t
atx_command(AtxSession *session, int64_t number, const char *sql, int n,
			const char *const *values, AtxReplyHook hook, void *arg)
{
	Command    *command;
	char	   *id;
	char	   *number_text;
	const char **all;

	if (!atx_session_alive(session))
		return 0;
	if (number == 0)
		number = session->next_number;
	session->next_number = Max(session->next_number, number + 1);

	command = atx_alloc(sizeof(Command));
	command->session = session;
	command->session_id = session->session_id;
	command->number = number;
	command->hook = hook;
	command->arg = arg;

	id = atx_format("%lld", (long long) session->session_id);
	number_text = atx_format("%lld", (long long) number);
	all = atx_alloc(sizeof(char *) * (size_t) (n + 2));
	if (n > 0)
		memcpy(all, values, sizeof(char *) * (size_t) n);
	all[n] = id;
	all[n + 1] = number_text;
	atx_request_push(session->client,
					 command_request(command, sql, n + 2, all, command_answered));
	free(all);
	free(id);
	free(number_text);
	return number;
}

int64_t
atx_next_number(const AtxSession *session)
{
	return session->next_number;
}

static void
acks_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxSession *session = owner;

	(void) client;
	(void) sent;
	session->acking = false;
	if (reply->outcome == ATX_DONE)
	{
		session->acks_count -= session->acks_sent;
		memmove(session->acks, session->acks + session->acks_sent,
				sizeof(int64_t) * (size_t) session->acks_count);
	}
}

/* Have the server forget the outcomes that have been passed on. */
void
atx_commands_acknowledge(AtxSession *session)
{
	char	   *id;
	char	   *numbers;
	size_t		room;
	size_t		length = 0;
	const char *values[2];
	AtxRequest *request;

	if (session->acking || session->acks_count == 0 || !atx_session_alive(session))
		return;
	id = atx_format("%lld", (long long) session->session_id);
	room = (size_t) session->acks_count * 21 + 3;
	numbers = atx_alloc(room);
	for (int i = 0; i < session->acks_count; i++)
		length += (size_t) snprintf(numbers + length, room - length, "%c%lld",
									i == 0 ? '{' : ',', (long long) session->acks[i]);
	(void) snprintf(numbers + length, room - length, "}");
	values[0] = id;
	values[1] = numbers;
	request = atx_request(session->client,
						  "SELECT count(atomix.ack($1::bigint, n)) FROM unnest($2::bigint[]) AS n",
						  2, values, acks_answered, session);
	request->repeatable = true;
	request->patience = patience_of(session);
	session->acking = true;
	session->acks_sent = session->acks_count;
	atx_request_push(session->client, request);
	free(id);
	free(numbers);
}
