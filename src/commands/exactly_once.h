/*-------------------------------------------------------------------------
 *
 * exactly_once.h
 *	  Numbered commands: executed once, answered as often as they are asked.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_EXACTLY_ONCE_H
#define ATX_EXACTLY_ONCE_H

#include "base/bloom.h"
#include "base/spi.h"
#include "services/service_type.h"
#include "tables/command.h"

/* Numbers that a session may have outstanding, that is not acknowledged. */
#define ATX_MAX_OUTSTANDING		10000

/* Beyond so many numbers of one call, it locks out the session's others. */
#define ATX_MAX_NUMBER_LOCKS	64

/* Entries a batch locks one by one; with more it has the service alone. */
#define ATX_MAX_ENTRY_LOCKS		64

/* In place of a number of outputs: the command is over for its client. */
#define ATX_ALL_OUTPUTS			INT64CONST(-1)

/* A command of a session, on its way to being executed or replayed. */
typedef struct AtxNumbered
{
	int64		session_id;
	int64		sequence_num;	/* 0: not numbered, executed each time */
	int64		service_id;		/* that the session must have open; 0: none */
	AtxOperation operation;
	AtxFingerprint fingerprint;

	/* Known once it has begun. */
	const AtxAuthority *authority;
	AtxAdmission admission;
	bool		replay;			/* the answer is admission.command */
} AtxNumbered;

typedef struct AtxNumberName
{
	int64		session_id;
	int64		sequence_num;
} AtxNumberName;

/* An acknowledgement of the outputs of a command that goes on. */
typedef struct AtxOutputAck
{
	int64		sequence_num;
	int64		output_num;
} AtxOutputAck;

/*
 * What a client still waits for, as a keep-alive tells it.
 *
 * Clients of the first generation have no filter but list the streams that
 * go on, in outputs, and last is the greatest number they have an answer of.
 * They do not tell which numbers before it they have sent, nor do they list
 * claims: so numbers that are not executed, and claims that stand, are pending.
 */
typedef struct AtxPending
{
	int64		last;			/* all numbers up to it have been started */
	bool		lists_streams;
	const AtxBloom *filter;		/* those of them that are not over; NULL: none */
	const AtxOutputAck *outputs;	/* outputs it has received of them */
	int			noutputs;
} AtxPending;

extern AtxAnswer atx_numbered_begin(AtxScope *scope, AtxNumbered *numbered,
									AtxAccess access);
extern AtxAnswer atx_numbered_begin_many(AtxScope *scope, AtxNumbered *numbered,
										 int count, AtxAccess access);
extern AtxAnswer atx_numbered_acknowledged(const AtxNumbered *numbered);
extern AtxAnswer atx_numbered_check(const AtxNumbered *numbered, const AtxCommand *known);
extern AtxAnswer atx_numbered_check_new(const AtxNumbered *numbered, int unrecorded);
extern AtxAnswer atx_numbered_limit(const AtxNumbered *numbered, int64 ack_floor,
									int unrecorded);
extern void atx_numbered_check_output(const AtxNumbered *numbered, const bytea *output);
extern void atx_numbered_describe(const AtxNumbered *numbered, const AtxReply *reply,
								  int64 index, AtxCommand *command);
extern void atx_numbered_record(const AtxNumbered *numbered, const AtxReply *reply,
								int64 index);
extern void atx_lock_number(int64 session_id, int64 sequence_num);
extern void atx_lock_numbers(const AtxNumberName *numbers, int count);
extern bool atx_number_is_busy(int64 session_id, int64 sequence_num);
extern AtxAnswer atx_await_numbers(AtxScope *scope, int64 session_id, int64 last);
extern AtxAnswer atx_await_turn(AtxScope *scope, int64 session_id, int64 sequence_num);
extern void atx_numbers_applied(int64 session_id);

extern AtxAnswer atx_acknowledge_pending(AtxScope *scope, int64 session_id,
										 const AtxPending *pending);
extern AtxAnswer atx_acknowledge_one(AtxScope *scope, int64 session_id,
									 int64 sequence_num, int64 output_num);

#endif							/* ATX_EXACTLY_ONCE_H */
