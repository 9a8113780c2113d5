/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Locks, semaphores and elections.
 *
 * Asking is repeatable: a session has one claim of a kind on a name, and finds
 * it again.  Waiting is a statement that sleeps in the server until it is
 * our turn, but not beyond the next renewal, so that one connection does for
 * both.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define LONGEST_WAIT	(10 * ATX_SECOND)
#define SHARED_WAIT		(ATX_SECOND / 5)
#define SHORTEST_WAIT	(ATX_SECOND / 50)
#define TAKEN_AGAIN		ATX_SECOND
#define EARLY_AGAIN		(ATX_SECOND / 10)
#define LOOK_PATIENCE	(30 * ATX_SECOND)
#define LOOK_EVERY		ATX_SECOND

static bool
is_over(const AtxClaim *claim)
{
	return claim->state != ATX_CLAIM_ASKED && claim->state != ATX_CLAIM_WAITING &&
		claim->state != ATX_CLAIM_HELD;
}

static void
set_state(AtxClaim *claim, AtxClaimState state, const char *reason)
{
	if (claim->state == state)
		return;
	claim->state = state;
	if (state != ATX_CLAIM_HELD)
		claim->token = 0;
	if (claim->hook != NULL && !claim->freed)
		claim->hook(claim->arg, claim, state, reason);
}

AtxClaim *
atx_claim(AtxSession *session, const AtxClaimOptions *options, AtxClaimHook hook, void *arg)
{
	AtxClaim   *claim = atx_alloc(sizeof(AtxClaim));

	claim->session = session;
	claim->kind = options->kind;
	claim->name = atx_strdup(options->name);
	claim->name_space = atx_strdup(options->name_space != NULL ? options->name_space : "");
	claim->candidate = atx_strdup(options->candidate);
	claim->permits = Max(options->permits, 1);
	claim->priority = options->priority;
	claim->until = options->timeout == ATX_NEVER || options->kind == ATX_CLAIM_ELECTION ?
		ATX_NEVER : atx_now() + options->timeout;
	claim->hook = hook;
	claim->arg = arg;
	claim->next = session->claims;
	session->claims = claim;
	return claim;
}

/*
 * A request with the parameters that statements about claims have in common:
 * session, name, namespace, and a number or text of their own.
 */
static AtxRequest *
claim_request(AtxClaim *claim, const char *sql, int n, const char *fourth,
			  const char *fifth, AtxRequestHook hook)
{
	AtxSession *session = claim->session;
	char	   *id = atx_format("%lld", (long long) session->session_id);
	const char *values[] = {id, claim->name, claim->name_space, fourth, fifth};
	AtxRequest *request = atx_request(session->client, sql, n, values, hook, claim);

	free(id);
	request->repeatable = true;
	request->tries = -1;
	request->patience = LOOK_PATIENCE;
	claim->busy = true;
	return request;
}

/* After an error that a session which has ended explains: have it looked at. */
static bool
session_is_over(AtxClaim *claim, const AtxReply *reply)
{
	if (strcmp(reply->sqlstate, "MX001") != 0 && strcmp(reply->sqlstate, "MX002") != 0 &&
		strcmp(reply->sqlstate, "MX003") != 0)
		return false;
	claim->session->renew = 0;
	claim->again = atx_now() + EARLY_AGAIN;
	return true;
}

static void
fail(AtxClaim *claim, const AtxReply *reply)
{
	char	   *reason;

	if (session_is_over(claim, reply))
		return;
	reason = atx_format("%s%s%s", reply->message, reply->hint[0] ? "; " : "", reply->hint);
	set_state(claim, ATX_CLAIM_FAILED, reason);
	free(reason);
}

static void
hold(AtxClaim *claim, int64_t token)
{
	/* The session may have been lost while the answer was on its way. */
	if (!atx_session_alive(claim->session))
		return;
	claim->token = token;
	claim->looked = atx_now();
	set_state(claim, ATX_CLAIM_HELD, "");
}

/* granted, token, ticket, term */
static void
ask_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxClaim   *claim = owner;

	(void) client;
	(void) sent;
	claim->busy = false;
	if (is_over(claim))
		return;
	if (reply->outcome != ATX_DONE)
	{
		fail(claim, reply);
		return;
	}
	claim->ticket = atx_value_int(reply, 0, 2);
	claim->term = atx_value_int(reply, 0, 3);
	claim->again = 0;
	if (atx_value_bool(reply, 0, 0))
		hold(claim, atx_value_int(reply, 0, 1));
	else if (claim->ticket != 0)
		set_state(claim, ATX_CLAIM_WAITING, "");
	else if (claim->kind != ATX_CLAIM_ELECTION)
		set_state(claim, ATX_CLAIM_REFUSED, "");
	else
	{
		claim->again = atx_now() + TAKEN_AGAIN;
		set_state(claim, ATX_CLAIM_WAITING, "another session is a candidate of that name");
	}
}

static void
ask(AtxClaim *claim, AtxTime now)
{
	static const char *const sql[] = {
		[ATX_CLAIM_LOCK] =
		"SELECT granted, token, ticket, 0 FROM atomix.lock_acquire"
		"($1::bigint, $2::text, $4::interval, $3::text, false)",
		[ATX_CLAIM_SHARED_LOCK] =
		"SELECT granted, token, ticket, 0 FROM atomix.lock_acquire"
		"($1::bigint, $2::text, $4::interval, $3::text, true)",
		[ATX_CLAIM_SEMAPHORE] =
		"SELECT granted, token, ticket, 0 FROM atomix.semaphore_acquire"
		"($1::bigint, $2::text, $5::int, $4::interval, $3::text)",
		[ATX_CLAIM_ELECTION] =
		"SELECT is_leader, token, ticket, term FROM atomix.election_enter"
		"($1::bigint, $2::text, $4::text, $5::int, $3::text)",
	};
	bool		election = claim->kind == ATX_CLAIM_ELECTION;
	char	   *timeout = NULL;
	char	   *number = atx_format("%d", election ? claim->priority : claim->permits);

	if (claim->until != ATX_NEVER)
		timeout = atx_format("%lld microseconds", (long long) Max(claim->until - now, 0));
	atx_request_push(claim->session->client,
					 claim_request(claim, sql[claim->kind],
								   election || claim->kind == ATX_CLAIM_SEMAPHORE ? 5 : 4,
								   election ? claim->candidate : timeout, number,
								   ask_answered));
	free(timeout);
	free(number);
}

/* granted, token */
static void
wait_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxClaim   *claim = owner;
	AtxTime		now = atx_now();

	(void) client;
	claim->busy = false;
	if (is_over(claim))
		return;
	if (reply->outcome != ATX_DONE)
		fail(claim, reply);
	else if (atx_value_bool(reply, 0, 0) && claim->kind != ATX_CLAIM_ELECTION)
		hold(claim, atx_value_int(reply, 0, 1));
	else if (atx_value_bool(reply, 0, 0) || now < sent + claim->slice)
	{
		/*
		 * A leader asks for its term.  Who comes back too early may have no
		 * place in the queue any more, and asking tells.
		 */
		claim->ticket = 0;
		claim->again = atx_value_bool(reply, 0, 0) || now >= sent + EARLY_AGAIN ?
			now : now + EARLY_AGAIN;
	}
}

/* Whether others of the client wait for their turn, too. */
static bool
others_wait(const AtxClaim *claim)
{
	for (const AtxSession *session = claim->session->client->sessions; session != NULL;
		 session = session->next)
	{
		for (const AtxClaim *other = session->claims; other != NULL; other = other->next)
		{
			if (other != claim && other->state == ATX_CLAIM_WAITING)
				return true;
		}
	}
	return false;
}

static void
wait_for_turn(AtxClaim *claim, AtxTime now)
{
	AtxSession *session = claim->session;
	char	   *id = atx_format("%lld", (long long) session->session_id);
	char	   *ticket = atx_format("%lld", (long long) claim->ticket);
	char	   *timeout;
	const char *values[3];
	AtxRequest *request;

	claim->slice = Min(LONGEST_WAIT, Min(claim->until, session->renew) - now);
	if (others_wait(claim))
		claim->slice = Min(claim->slice, SHARED_WAIT);
	claim->slice = Max(claim->slice, SHORTEST_WAIT);
	timeout = atx_format("%lld microseconds", (long long) claim->slice);
	values[0] = id;
	values[1] = ticket;
	values[2] = timeout;
	request = atx_request(session->client,
						  "SELECT granted, token FROM atomix.wait_ticket"
						  "($1::bigint, $2::bigint, $3::interval)",
						  3, values, wait_answered, claim);
	request->urgency = ATX_WAIT;
	request->repeatable = true;
	request->tries = -1;
	request->patience = claim->slice + atx_sessions_patience(session->client);
	claim->busy = true;
	atx_request_push(session->client, request);
	free(id);
	free(ticket);
	free(timeout);
}

static void
look_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxClaim   *claim = owner;

	(void) client;
	claim->busy = false;
	claim->looked = sent;
	if (claim->state != ATX_CLAIM_HELD)
		return;
	if (reply->outcome == ATX_DONE ? atx_value(reply, 0, 0) == NULL :
		strcmp(reply->sqlstate, "MX006") == 0)
		set_state(claim, ATX_CLAIM_GONE, "it was taken away");
	else if (reply->outcome != ATX_DONE)
		(void) session_is_over(claim, reply);
}

/* Ask whether it is still held.  An answer that is a null: no. */
static void
look(AtxClaim *claim)
{
	static const char *const sql[] = {
		[ATX_CLAIM_LOCK] =
		"SELECT 1 FROM atomix.assert_lock($2::text, $4::bigint, $3::text), (SELECT $1::bigint) AS s",
		[ATX_CLAIM_SHARED_LOCK] =
		"SELECT 1 FROM atomix.assert_lock($2::text, $4::bigint, $3::text), (SELECT $1::bigint) AS s",
		[ATX_CLAIM_SEMAPHORE] =
		("SELECT max(1) FROM atomix.semaphores WHERE session_id = $1::bigint"
		 " AND name = $2::text AND namespace = $3::text AND token = $4::bigint"),
		[ATX_CLAIM_ELECTION] =
		"SELECT 1 FROM atomix.assert_leader($2::text, $4::bigint, $3::text), (SELECT $1::bigint) AS s",
	};
	char	   *token = atx_format("%lld", (long long) claim->token);
	AtxRequest *request = claim_request(claim, sql[claim->kind], 4, token, NULL, look_answered);

	/* Whoever is moving the grant may keep it waiting. */
	request->urgency = ATX_WAIT;
	claim->look = false;
	atx_request_push(claim->session->client, request);
	free(token);
}

static void
release_answered(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxClaim   *claim = owner;

	(void) client;
	(void) sent;
	claim->busy = false;
	if (is_over(claim))
		return;
	if (reply->outcome == ATX_DONE || strncmp(reply->sqlstate, "MX00", 4) == 0)
		set_state(claim, ATX_CLAIM_RELEASED, "");
	else
		fail(claim, reply);
}

static void
release(AtxClaim *claim)
{
	static const char *const sql[] = {
		[ATX_CLAIM_LOCK] =
		"SELECT atomix.lock_release($1::bigint, $2::text, $4::bigint, $3::text)",
		[ATX_CLAIM_SHARED_LOCK] =
		"SELECT atomix.lock_release($1::bigint, $2::text, $4::bigint, $3::text)",
		[ATX_CLAIM_SEMAPHORE] =
		"SELECT atomix.semaphore_release($1::bigint, $2::text, $4::bigint, $3::text)",
		[ATX_CLAIM_ELECTION] =
		"SELECT atomix.election_withdraw($1::bigint, $2::text, $3::text)",
	};

	/* It may be granted meanwhile. */
	static const char cancel[] =
	"SELECT atomix.lock_cancel($1::bigint, $2::text, $4::bigint, $3::text)"
	" OR atomix.lock_release($1::bigint, $2::text, NULL, $3::text)";
	bool		waits = claim->state == ATX_CLAIM_WAITING &&
	(claim->kind == ATX_CLAIM_LOCK || claim->kind == ATX_CLAIM_SHARED_LOCK);
	char	   *number = atx_format("%lld", (long long) (waits ? claim->ticket : claim->token));
	AtxRequest *request = claim_request(claim, waits ? cancel : sql[claim->kind],
										claim->kind == ATX_CLAIM_ELECTION ? 3 : 4,
										number, NULL, release_answered);

	atx_request_push(claim->session->client, request);
	free(number);
}

static void
listening(AtxClient *client, void *owner, const AtxReply *reply, AtxTime sent)
{
	AtxClaim   *claim = owner;

	(void) sent;
	if (reply->outcome != ATX_DONE)
		return;
	claim->listening = client->links[0].connects;
	/* What happened before is not told. */
	claim->look = true;
}

/* Hear of it at once when something happens to the session's claims. */
static void
listen_for(AtxClaim *claim)
{
	AtxClient  *client = claim->session->client;
	char	   *sql;
	AtxRequest *request;

	if (claim->listening == client->links[0].connects || !atx_client_can_listen(client))
		return;
	claim->listening = client->links[0].connects;
	sql = atx_format("LISTEN atomix_session_%lld", (long long) claim->session->session_id);
	request = atx_request(client, sql, 0, NULL, listening, claim);
	request->listens = true;
	request->repeatable = true;
	request->patience = LOOK_PATIENCE;
	atx_request_push(client, request);
	free(sql);
}

static bool
looks_by_itself(const AtxClaim *claim)
{
	return claim->state == ATX_CLAIM_HELD &&
		claim->session->client->pooled == ATX_POOLED_YES;
}

static void
process(AtxClaim *claim, AtxTime now)
{
	if (claim->busy || claim->freed || is_over(claim) || claim->again > now)
		return;
	if (claim->releasing)
		release(claim);
	else if (claim->state == ATX_CLAIM_HELD)
	{
		listen_for(claim);
		if (claim->look || (looks_by_itself(claim) && now >= claim->looked + LOOK_EVERY))
			look(claim);
	}
	else if (claim->state == ATX_CLAIM_WAITING && claim->ticket != 0 && now < claim->until)
		wait_for_turn(claim, now);
	else
		ask(claim, now);
}

void
atx_claims_process(AtxSession *session, AtxTime now)
{
	if (!atx_session_alive(session))
		return;
	for (AtxClaim *claim = session->claims; claim != NULL; claim = claim->next)
		process(claim, now);
}

AtxTime
atx_claims_due(const AtxSession *session)
{
	AtxTime		due = ATX_NEVER;

	if (!atx_session_alive(session))
		return due;
	for (const AtxClaim *claim = session->claims; claim != NULL; claim = claim->next)
	{
		if (claim->busy || claim->freed || is_over(claim))
			continue;
		if (claim->state != ATX_CLAIM_HELD || claim->look || claim->releasing)
			due = Min(due, claim->again);
		else if (looks_by_itself(claim))
			due = Min(due, claim->looked + LOOK_EVERY);
	}
	return due;
}

/* Their session is over. */
void
atx_claims_lost(AtxSession *session, const char *reason)
{
	for (AtxClaim *claim = session->claims; claim != NULL; claim = claim->next)
	{
		if (!is_over(claim))
			set_state(claim, ATX_CLAIM_LOST, reason);
	}
}

void
atx_claims_renewed(AtxSession *session)
{
	for (AtxClaim *claim = session->claims; claim != NULL; claim = claim->next)
		claim->look = claim->state == ATX_CLAIM_HELD;
}

void
atx_claims_notified(AtxSession *session)
{
	atx_claims_renewed(session);
}

/* Free what has been given up. */
void
atx_claims_sweep(AtxSession *session)
{
	AtxClaim  **place = &session->claims;

	while (*place != NULL)
	{
		AtxClaim   *claim = *place;

		if (!claim->freed)
		{
			place = &claim->next;
			continue;
		}
		*place = claim->next;
		atx_requests_disown(session->client, claim);
		free(claim->name);
		free(claim->name_space);
		free(claim->candidate);
		free(claim);
	}
}

void
atx_claim_release(AtxClaim *claim)
{
	claim->releasing = true;
}

void
atx_claim_free(AtxClaim *claim)
{
	if (claim != NULL)
		claim->freed = true;
}

AtxClaimState
atx_claim_state(const AtxClaim *claim)
{
	return claim->state;
}

int64_t
atx_claim_token(const AtxClaim *claim)
{
	return claim->token;
}

int64_t
atx_claim_ticket(const AtxClaim *claim)
{
	return claim->ticket;
}

int64_t
atx_claim_term(const AtxClaim *claim)
{
	return claim->term;
}
