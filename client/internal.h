/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the client library share.
 *
 * From the ground up: memory.c and clock.c; hosts.c and link.c, which is one
 * connection; request.c, the statements that wait for one; session.c,
 * command.c, claim.c and watch.c, which make statements; client.c, the loop.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATOMIX_INTERNAL_H
#define ATOMIX_INTERNAL_H

#include "atomix.h"

#define ATX_MAX_LINKS	3

#define Min(x, y)		((x) < (y) ? (x) : (y))
#define Max(x, y)		((x) > (y) ? (x) : (y))

typedef struct AtxLink AtxLink;
typedef struct AtxRequest AtxRequest;

/*
 * memory.c
 */
extern void *atx_alloc(size_t size);
extern void *atx_realloc(void *block, size_t size);
extern char *atx_strdup(const char *string);	/* NULL gives NULL */
extern char *atx_format(const char *format,...) __attribute__((format(printf, 1, 2)));

/*
 * clock.c
 */
extern int	atx_timer_new(void);
extern void atx_timer_set(int fd, AtxTime at);
extern void atx_timer_clear(int fd);
extern AtxTime atx_jitter(AtxTime time);
extern int	atx_poll_timeout(AtxTime until);

/*
 * hosts.c
 */
extern void atx_hosts_rotate(char ***keywords, char ***values, PGconn *conn);

/*
 * link.c: a connection and what is being executed on it.
 */
typedef enum AtxLinkState
{
	ATX_LINK_DOWN,
	ATX_LINK_CONNECTING,
	ATX_LINK_IDLE,
	ATX_LINK_BUSY
} AtxLinkState;

struct AtxLink
{
	AtxClient  *client;
	int			number;			/* 0 is the one that listens */
	AtxLinkState state;
	PGconn	   *conn;
	bool		ready;			/* there is something to read or to write */
	const char *trying;			/* the host, as libpq has it */
	AtxTime		give_up;		/* connecting, or waiting for an answer */
	AtxTime		retry;			/* down: not before */
	AtxTime		idle_since;
	int			failures;		/* since the last success */
	int64_t		connects;		/* tells connections apart */
	AtxRequest *request;		/* what it is busy with */
	PGresult   *result;			/* of that, so far; an error wins */
};

extern void atx_link_start(AtxLink *link);
extern bool atx_link_send(AtxLink *link, AtxRequest *request);
extern void atx_link_process(AtxLink *link);
extern void atx_link_break(AtxLink *link, const char *reason);
extern void atx_link_close(AtxLink *link);
extern AtxTime atx_link_due(const AtxLink *link);

/*
 * request.c: statements.
 */
typedef enum AtxUrgency
{
	ATX_LEASE,					/* goes first, and over a connection of its
								 * own if need be */
	ATX_COMMAND,
	ATX_WAIT					/* blocks in the server on purpose */
} AtxUrgency;

/*
 * Called with the answer.  sent is when the statement was given to the
 * connection.
 */
typedef void (*AtxRequestHook) (AtxClient *client, void *owner,
								const AtxReply *reply, AtxTime sent);

struct AtxRequest
{
	AtxRequest *next;
	AtxUrgency	urgency;
	bool		repeatable;
	bool		listens;		/* for link 0 only */
	bool		ambiguous;		/* sent before, without an answer */
	int			tries;			/* after answers that say so; -1: no limit */
	AtxTime		patience;		/* for an answer; ATX_NEVER */
	AtxTime		not_before;		/* also: since when it waits */
	AtxTime		sent;
	char	   *sql;
	int			n;
	char	  **values;
	AtxRequestHook hook;		/* NULL: nobody wants to know any more */
	void	   *owner;
	void		(*release) (void *owner);	/* called with the end of the
											 * request, may be NULL */
	const void *about;			/* goes with this, too; may be NULL */
};

extern AtxRequest *atx_request(AtxClient *client, const char *sql, int n,
							   const char *const *values,
							   AtxRequestHook hook, void *owner);
extern void atx_request_push(AtxClient *client, AtxRequest *request);
extern void atx_requests_dispatch(AtxClient *client, AtxTime now);
extern AtxTime atx_requests_due(const AtxClient *client);
extern void atx_requests_disown(AtxClient *client, const void *owner);
extern void atx_requests_free(AtxClient *client);
extern void atx_request_requeue(AtxClient *client, AtxRequest *request);
extern void atx_request_answered(AtxLink *link, PGresult *result);
extern void atx_request_lost(AtxLink *link);
extern const char *atx_value(const AtxReply *reply, int row, int column);
extern int64_t atx_value_int(const AtxReply *reply, int row, int column);
extern bool atx_value_bool(const AtxReply *reply, int row, int column);

/*
 * session.c
 */
typedef struct AtxBatch AtxBatch;

struct AtxSession
{
	AtxSession *next;
	AtxClient  *client;
	AtxSessionState state;
	bool		freed;			/* by its owner; goes when nothing runs */
	bool		closing;
	int64_t		session_id;
	AtxTime		timeout;
	AtxTime		margin;
	AtxTime		margin_wanted;	/* 0: from the timeout */
	AtxTime		deadline;
	AtxTime		renewed;		/* when the last confirmed renewal was sent */
	AtxTime		renew;			/* when to renew next */
	AtxTime		answer_due;		/* SUSPENDED if no answer by then */
	AtxBatch   *batch;			/* in which it is being renewed */
	int64_t		next_number;
	int64_t    *acks;			/* answered numbers, to be acknowledged */
	int			acks_count;
	int			acks_room;
	bool		acking;
	int			acks_sent;
	AtxClaim   *claims;
	AtxSessionHook hook;
	void	   *arg;
};

extern void atx_session_set_state(AtxSession *session, AtxSessionState state,
								  const char *reason);
extern void atx_sessions_process(AtxClient *client, AtxTime now);
extern void atx_sessions_check(AtxClient *client, AtxTime now);
extern AtxTime atx_sessions_due(const AtxClient *client);
extern AtxTime atx_sessions_patience(const AtxClient *client);
extern void atx_sessions_sweep(AtxClient *client);
extern bool atx_session_alive(const AtxSession *session);

/*
 * command.c
 */
extern void atx_commands_acknowledge(AtxSession *session);

/*
 * claim.c
 */
struct AtxClaim
{
	AtxClaim   *next;
	AtxSession *session;
	AtxClaimState state;
	bool		freed;
	bool		releasing;
	bool		busy;			/* a request of it is under way */
	bool		look;			/* ask whether it is still held */
	bool		confirming;		/* asked again what was granted */
	AtxClaimKind kind;
	char	   *name;
	char	   *name_space;
	char	   *candidate;
	int			permits;
	int			priority;
	AtxTime		until;			/* give up waiting */
	AtxTime		again;			/* ask or wait again, not before */
	AtxTime		looked;
	AtxTime		slice;			/* how long the server was asked to wait */
	int64_t		token;
	int64_t		ticket;
	int64_t		term;
	int64_t		listening;		/* link 0's connection, 0: not */
	AtxClaimHook hook;
	void	   *arg;
};

extern void atx_claims_process(AtxSession *session, AtxTime now);
extern AtxTime atx_claims_due(const AtxSession *session);
extern void atx_claims_lost(AtxSession *session, const char *reason);
extern void atx_claims_renewed(AtxSession *session);
extern void atx_claims_notified(AtxSession *session);
extern void atx_claims_sweep(AtxSession *session);

/*
 * watch.c
 */
struct AtxWatch
{
	AtxWatch   *next;
	AtxClient  *client;
	AtxWatchState state;
	bool		freed;
	bool		busy;
	bool		registered;		/* events are written down for us */
	bool		told;			/* notified since the last look */
	char	   *name;
	char	   *name_space;
	char	   *key;
	char	   *channel;
	int64_t		position;
	AtxTime		poll;
	AtxTime		look;			/* fetch next at */
	int64_t		listening;		/* link 0's connection, 0: not */
	AtxEventHook on_event;
	AtxWatchHook on_state;
	void	   *arg;
};

extern void atx_watches_process(AtxClient *client, AtxTime now);
extern AtxTime atx_watches_due(const AtxClient *client);
extern void atx_watches_notified(AtxClient *client, const char *channel);
extern void atx_watches_sweep(AtxClient *client);

/*
 * client.c
 */
typedef enum AtxPooled
{
	ATX_POOLED_UNKNOWN,
	ATX_POOLED_ASKED,
	ATX_POOLED_YES,
	ATX_POOLED_NO
} AtxPooled;

struct AtxClient
{
	char	  **keywords;
	char	  **values;
	int			epoll_fd;
	int			timer_fd;
	AtxLink		links[ATX_MAX_LINKS];
	AtxPooled	pooled;			/* is there a pooler in between */
	AtxRequest *first;			/* waiting requests, in order */
	AtxRequest **last;
	AtxSession *sessions;
	AtxWatch   *watches;
	int			failures;
	bool		needs_password;
	char	   *error;
};

extern void atx_client_failed(AtxClient *client, const char *reason);
extern void atx_client_notified(AtxClient *client, const PGnotify *notify);
extern bool atx_client_can_listen(AtxClient *client);

#endif							/* ATOMIX_INTERNAL_H */
