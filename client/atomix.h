/*-------------------------------------------------------------------------
 *
 * atomix.h
 *	  Client library of atomix: sessions that are kept alive, locks,
 *	  elections, numbered commands and watches, over libpq.
 *
 * UNSTABLE: until version 2 names and structs may change with any release;
 * link statically, and build anew against each.
 *
 * One AtxClient stands for one database.  It owns a few connections, at most
 * three, and no thread: it works only while one of its functions is called,
 * and calls back only out of atx_client_process() and atx_client_wait().  Use
 * it from one thread at a time; different clients are independent of each
 * other, and nothing is global.
 *
 * Times are microseconds of CLOCK_BOOTTIME, which goes on while the machine
 * is suspended: atx_now() reads it.  Strings are in UTF-8 or whatever the
 * connection's client_encoding says; those given to the library are copied,
 * and those it gives stay its own.  A function that gets no memory ends the
 * process by abort().
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATOMIX_H
#define ATOMIX_H

#include <stdbool.h>
#include <stdint.h>

#include "libpq-fe.h"

typedef int64_t AtxTime;

#define ATX_SECOND	INT64_C(1000000)
#define ATX_NEVER	INT64_MAX

typedef struct AtxClient AtxClient;
typedef struct AtxSession AtxSession;
typedef struct AtxClaim AtxClaim;
typedef struct AtxWatch AtxWatch;

/* Now, in microseconds of CLOCK_BOOTTIME. */
extern AtxTime atx_now(void);

/*
 * Clients
 */

/*
 * A client for the database that the parameters name, as in
 * PQconnectdbParams(); dbname may be a connection string or URI.  Several hosts and
 * target_session_attrs mean what they mean to libpq; where the latter is not
 * said, here or in PGTARGETSESSIONATTRS, a client that is writable asks for
 * read-write.  Connects in atx_client_process(), at the first request, and again whenever
 * that is needed.  The arrays end with NULL and are copied.  Free it with
 * atx_client_free().
 */
extern AtxClient *atx_client_new(const char *const *keywords,
								 const char *const *values, bool writable);

/*
 * Close its connections and free it with all that was made of it, sessions and
 * claims included.  What it has asked for is not answered any more; sessions
 * stay open in the server until their timeout, see atx_session_close().  Not
 * to be called from a callback.
 */
extern void atx_client_free(AtxClient *client);

/*
 * A file descriptor that is readable when atx_client_process() has something
 * to do, be it input or the time.  It is the same as long as the client
 * lives, across reconnects, and stays the client's: wait for it to be
 * readable, nothing else.
 */
extern int	atx_client_fd(const AtxClient *client);

/*
 * When atx_client_process() wants to be called without input, ATX_NEVER if
 * not; in the past: at once.  Waiting for the file descriptor is enough; this is for loops
 * that would rather keep the time themselves.
 */
extern AtxTime atx_client_due(const AtxClient *client);

/*
 * Do what can be done without waiting: send, read, renew, give up what is
 * over; calls back.  Not to be called from a callback.
 */
extern void atx_client_process(AtxClient *client);

/*
 * Wait until there is something to do, but not longer than until the given time, then
 * do it: the blocking way.  Call it in a loop until what you wait for has
 * happened.  Returns also after a signal.
 */
extern void atx_client_wait(AtxClient *client, AtxTime until);

/* Whether a connection is ready for requests. */
extern bool atx_client_connected(const AtxClient *client);

/*
 * The latest reason why there was no connection, NULL if there was none since
 * it last succeeded.  Valid until the next call.
 */
extern const char *atx_client_error(const AtxClient *client);

/* How many attempts to connect have failed since the last success. */
extern int	atx_client_failures(const AtxClient *client);

/* Whether the server wants a password that the parameters do not have. */
extern bool atx_client_needs_password(const AtxClient *client);

/*
 * Questions and their answers
 */

typedef enum AtxOutcome
{
	ATX_DONE,					/* executed, result has its rows */
	ATX_FAILED,					/* refused by the server, nothing changed */
	ATX_UNCERTAIN				/* the answer was lost and cannot be had */
} AtxOutcome;

/* Valid while the callback runs. */
typedef struct AtxReply
{
	AtxOutcome	outcome;
	const PGresult *result;		/* rows, if done and they are known, else NULL */
	const char *sqlstate;		/* of the error, "" if done */
	const char *message;		/* in one line; "" if done */
	const char *detail;			/* may be "" */
	const char *hint;			/* may be "" */
} AtxReply;

typedef void (*AtxReplyHook) (void *arg, const AtxReply *reply);

/*
 * Have a statement with parameters ($1 and so on, as text, NULL for null)
 * executed, each in a transaction of its own, in no promised order.  Errors
 * that tell to try again (40001, 40P01, a server that is starting) are tried
 * again.  repeatable: it may also be sent again when the answer was lost with
 * the connection, because it reads only or does no harm twice; otherwise that
 * is ATX_UNCERTAIN.
 */
extern void atx_query(AtxClient *client, bool repeatable, const char *sql,
					  int n, const char *const *values,
					  AtxReplyHook hook, void *arg);

/*
 * Sessions
 */

typedef enum AtxSessionState
{
	ATX_SESSION_OPENING,		/* the server has not answered yet */
	ATX_SESSION_CONNECTED,		/* alive */
	ATX_SESSION_SUSPENDED,		/* alive, but the server does not answer */
	ATX_SESSION_LOST,			/* over: ended, or its deadline has passed */
	ATX_SESSION_CLOSED,			/* over: closed as asked */
	ATX_SESSION_FAILED			/* could not be opened */
} AtxSessionState;

/*
 * Called at each change of state, with a reason in words ("" if it needs
 * none).
 */
typedef void (*AtxSessionHook) (void *arg, AtxSession *session,
								AtxSessionState state, const char *reason);

/* All zero is a session with the server's timeout and no name. */
typedef struct AtxSessionOptions
{
	AtxTime		timeout;		/* microseconds; 0: the server's default */
	AtxTime		margin;			/* stop that long before the timeout is over,
								 * microseconds; 0: a 16th of the timeout */
	const char *name;			/* may be NULL */
	const char *kind;			/* may be NULL */
	const char *labels;			/* a JSON object, may be NULL */
} AtxSessionOptions;

/*
 * Open a session and keep it alive.  Renewals are sent every quarter of the
 * timeout, those of all sessions of a client in one statement.  The deadline
 * is timeout minus margin after the moment *before* the last confirmed renewal
 * was sent; once it has passed without another the session is LOST, whatever
 * the server may say later.  The server waits for the whole timeout at least,
 * counted from later: who stops at the deadline stops before it hands over.
 *
 * If the answer to the opening is lost it is opened again; the first one then
 * ends by its timeout.  Free it with atx_session_free().
 */
extern AtxSession *atx_session_open(AtxClient *client,
									const AtxSessionOptions *options,
									AtxSessionHook hook, void *arg);

/*
 * Go on with a session that was opened before, perhaps by another process of
 * a role that has the privileges of its owner.  next_number is the first number that was
 * not used for a command; write it down where commands are to be repeated
 * after a restart.  CONNECTED if it is still alive, else LOST.  Of the
 * options only the margin counts.
 */
extern AtxSession *atx_session_resume(AtxClient *client, int64_t session_id,
									  int64_t next_number,
									  const AtxSessionOptions *options,
									  AtxSessionHook hook, void *arg);

/*
 * Close it in the server, which hands on what it holds at once; the state is
 * CLOSED when that has been confirmed.  Also right for a session that is LOST:
 * it may be alive in the server, and others may wait for it.
 */
extern void atx_session_close(AtxSession *session);

/*
 * Forget it, with its claims; in the server it stays until its timeout.  No
 * callback of it or of its claims follows.
 */
extern void atx_session_free(AtxSession *session);

extern int64_t atx_session_id(const AtxSession *session);	/* 0 while opening */
extern AtxSessionState atx_session_state(const AtxSession *session);

/* Microseconds; 0 while opening. */
extern AtxTime atx_session_timeout(const AtxSession *session);

/* When it is LOST unless it is renewed before; 0 while opening. */
extern AtxTime atx_session_deadline(const AtxSession *session);

/*
 * Commands
 */

/*
 * Have a typed function executed exactly once.  The statement gets two more
 * parameters after the n given ones: the session and the number, to be passed on as
 * session_id and sequence_num, for example
 * "SELECT atomix.counter_increment($1, session_id => $2::bigint, sequence_num => $3::bigint)".
 * It is sent again, the same to the byte, across reconnects until its outcome
 * is known.  When the session ended meanwhile the server is asked what became of
 * it: ATX_DONE without a result if it was done, ATX_FAILED with MX002 or MX003
 * if it was not.  Number 0 takes the session's next one; another one is that
 * of a command to be repeated after a restart.  Returns the number, 0 if the
 * session is over (then nothing is called).
 *
 * Once the callback has returned the number is acknowledged with the next
 * keep-alive, and the server forgets the outcome.
 */
extern int64_t atx_command(AtxSession *session, int64_t number,
						   const char *sql, int n, const char *const *values,
						   AtxReplyHook hook, void *arg);

/* The number that the next command is going to get. */
extern int64_t atx_next_number(const AtxSession *session);

/*
 * Claims: locks, semaphores, elections
 */

typedef enum AtxClaimKind
{
	ATX_CLAIM_LOCK,
	ATX_CLAIM_SHARED_LOCK,
	ATX_CLAIM_SEMAPHORE,
	ATX_CLAIM_ELECTION
} AtxClaimKind;

typedef enum AtxClaimState
{
	ATX_CLAIM_ASKED,			/* the server has not answered yet */
	ATX_CLAIM_WAITING,			/* has a place in the queue */
	ATX_CLAIM_HELD,				/* granted, or leader */
	ATX_CLAIM_REFUSED,			/* not granted in time */
	ATX_CLAIM_GONE,				/* was held, and was taken away */
	ATX_CLAIM_RELEASED,			/* over as asked */
	ATX_CLAIM_FAILED,			/* refused by the server: see the reason */
	ATX_CLAIM_LOST				/* its session is over */
} AtxClaimState;

typedef void (*AtxClaimHook) (void *arg, AtxClaim *claim,
							  AtxClaimState state, const char *reason);

typedef struct AtxClaimOptions
{
	AtxClaimKind kind;
	const char *name;
	const char *name_space;		/* NULL: the one without a name */
	AtxTime		timeout;		/* microseconds to wait; 0: not at all,
								 * ATX_NEVER */
	int			permits;		/* of a semaphore; 0 is 1 */
	const char *candidate;		/* of an election, NULL: the session's name */
	int			priority;		/* of an election */
} AtxClaimOptions;

/*
 * Ask for a lock, permits or leadership with a session, and wait for it in the
 * server's queue.  Asking survives reconnects: the place in the queue belongs
 * to the session.  While it is held the server is asked after each renewal,
 * and when it hints at a change, whether it still is: GONE if an administrator
 * took it away, or another one was made leader.  A candidate that is no longer
 * leader but still stands is WAITING again.  An election has no timeout.  Free
 * it with atx_claim_free().
 */
extern AtxClaim *atx_claim(AtxSession *session, const AtxClaimOptions *options,
						   AtxClaimHook hook, void *arg);

/* Give it back, or leave the queue; RELEASED when that has been confirmed. */
extern void atx_claim_release(AtxClaim *claim);

/* Forget it; in the server it stays as long as the session does. */
extern void atx_claim_free(AtxClaim *claim);

extern AtxClaimState atx_claim_state(const AtxClaim *claim);

/* The fencing token, 0 unless held. */
extern int64_t atx_claim_token(const AtxClaim *claim);

/* The place in the queue, 0 if there is none. */
extern int64_t atx_claim_ticket(const AtxClaim *claim);

/* An election's term as last heard, 0 for others. */
extern int64_t atx_claim_term(const AtxClaim *claim);

/*
 * Watches
 */

/* A change, valid while the callback runs. */
typedef struct AtxEvent
{
	int64_t		revision;
	int64_t		index;
	const char *type;			/* "updated" and so on */
	const char *key;			/* NULL if there is none */
	const void *value;			/* bytes, NULL if there is none */
	size_t		value_length;
	const void *prev_value;
	size_t		prev_value_length;
	const char *at;				/* the server's timestamp, as text */
} AtxEvent;

typedef enum AtxWatchState
{
	ATX_WATCH_STARTING,
	ATX_WATCH_LISTENING,		/* is told of changes */
	ATX_WATCH_POLLING,			/* looks every poll interval */
	ATX_WATCH_COMPACTED,		/* over: events after the position are gone */
	ATX_WATCH_FAILED			/* over: see the reason */
} AtxWatchState;

typedef void (*AtxEventHook) (void *arg, AtxWatch *watch, const AtxEvent *event);
typedef void (*AtxWatchHook) (void *arg, AtxWatch *watch, AtxWatchState state,
							  const char *reason);

typedef struct AtxWatchOptions
{
	const char *name;
	const char *name_space;		/* NULL: the one without a name */
	const char *key;			/* events of this one only; NULL: all */
	int64_t		from;			/* events after this revision; -1: from now */
	AtxTime		poll;			/* microseconds between looks behind a pooler,
								 * or without a worker; 0: a second */
} AtxWatchOptions;

/*
 * Hear of the changes of a service, in order, without gaps or duplicates,
 * across reconnects.  Behind a transaction pooler, where LISTEN does not
 * work, it looks every poll interval, else when it is told, and every ten
 * seconds in any case.  on_state may be NULL.  Free it with atx_watch_free().
 */
extern AtxWatch *atx_watch(AtxClient *client, const AtxWatchOptions *options,
						   AtxEventHook on_event, AtxWatchHook on_state,
						   void *arg);

extern void atx_watch_free(AtxWatch *watch);

extern AtxWatchState atx_watch_state(const AtxWatch *watch);

/*
 * The revision to go on from later: all events up to it have been told.  -1
 * while it is not known.
 */
extern int64_t atx_watch_position(const AtxWatch *watch);

#endif							/* ATOMIX_H */
