/*-------------------------------------------------------------------------
 *
 * exactly_once.c
 *	  Numbered commands: executed once, answered as often as they are asked.
 *
 * Whoever executes number n of a session holds the lock of that number until
 * its transaction ends, and records the outcome in the same transaction.  So
 * a duplicate waits, and then finds either the outcome, which it replays, or
 * nothing, because the first attempt was rolled back.
 *
 * Number and acknowledgement floor are read in one snapshot, under that lock:
 * an acknowledgement that commits just now either has left the row or has
 * raised the floor above it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"

#include "base/clock.h"
#include "base/doorbell.h"
#include "base/private_lock.h"
#include "base/settings.h"
#include "commands/exactly_once.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "tables/lease.h"
#include "tables/limit.h"

/* Bytes of an output that is not counted: few, as the numbers are. */
#define SMALL_OUTPUT	1024

static int64
lock_id(int64 session_id, int64 sequence_num)
{
	return (int64) hash_combine64(hash_bytes_uint32_extended((uint32) session_id, session_id >> 32),
								  (uint64) sequence_num * UINT64CONST(0x9E3779B97F4A7C15));
}

/*
 * Wait until nobody else executes that number, and let nobody else until the
 * transaction ends.  The caller holds the session's lock; where that is
 * exclusive, nobody else can.
 */
void
atx_lock_number(int64 session_id, int64 sequence_num)
{
	if (!atx_locked_exclusive(ATX_LOCK_SESSION, session_id))
		atx_lock_exclusive(ATX_LOCK_COMMAND, lock_id(session_id, sequence_num));
}

static bool
is_locked(AtxLockClass class, int64 id)
{
	if (!atx_try_lock_shared_briefly(class, id))
		return true;
	atx_unlock_shared(class, id);
	return false;
}

/*
 * Is another transaction executing that number just now?  A long batch has
 * the session instead of its numbers, and so has whoever ends it.
 */
bool
atx_number_is_busy(int64 session_id, int64 sequence_num)
{
	return is_locked(ATX_LOCK_SESSION, session_id) ||
		is_locked(ATX_LOCK_COMMAND, lock_id(session_id, sequence_num));
}

/*
 * The answer to who asks for what came of a number that is over.
 */
AtxAnswer
atx_numbered_acknowledged(const AtxNumbered *numbered)
{
	AtxAnswer	answer = atx_answer(ATX_NUMBER_ACKNOWLEDGED,
									psprintf("command " INT64_FORMAT " of session " INT64_FORMAT " has been acknowledged",
											 numbered->sequence_num, numbered->session_id));

	answer.detail = pstrdup("It is not executed again, and its outcome is no longer kept.");
	return answer;
}

/*
 * Can the number, of which that is known, be answered by what is known?
 */
AtxAnswer
atx_numbered_check(const AtxNumbered *numbered, const AtxCommand *known)
{
	AtxAnswer	answer;

	if (known->state == ATX_COMMAND_ACKNOWLEDGED)
		return atx_numbered_acknowledged(numbered);
	if (known->operation == numbered->operation &&
		memcmp(&known->fingerprint, &numbered->fingerprint, sizeof(AtxFingerprint)) == 0)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_NUMBER_REUSED,
						psprintf("number " INT64_FORMAT " of session " INT64_FORMAT " belongs to another command",
								 numbered->sequence_num, numbered->session_id));
	answer.hint = pstrdup("A retry must repeat the command exactly; a new command needs a new number.");
	return answer;
}

/*
 * May the session have one more number outstanding, given its floor and how
 * many of this call are not in the table yet?  It must not pile up outcomes
 * that it never acknowledges.
 */
AtxAnswer
atx_numbered_limit(const AtxNumbered *numbered, int64 ack_floor, int unrecorded)
{
	int64		limit = atx_limit(ATX_LIMIT_SESSION_COMMANDS, ATX_EVERYWHERE);
	AtxAnswer	answer;

	/* Few numbers above the floor need not be counted. */
	if (numbered->sequence_num - ack_floor <= limit ||
		atx_command_remembered(numbered->session_id, limit) + unrecorded < limit)
		return ATX_ANSWER_DONE;
	answer = atx_answer(ATX_LIMIT_REACHED,
						psprintf("session " INT64_FORMAT " has too many commands that are not acknowledged",
								 numbered->session_id));
	answer.detail = psprintf("The limit is " INT64_FORMAT "; all are in use.", limit);
	answer.hint = pstrdup("Acknowledge first, by a keep-alive or by atomix.ack().");
	return answer;
}

/*
 * May a number of which nothing is known be executed, after so many of the
 * same call that are not in the table yet?
 */
AtxAnswer
atx_numbered_check_new(const AtxNumbered *numbered, int unrecorded)
{
	if (numbered->sequence_num <= numbered->admission.ack_floor)
		return atx_numbered_acknowledged(numbered);
	return atx_numbered_limit(numbered, numbered->admission.ack_floor, unrecorded);
}

static AtxAnswer
check_number(AtxNumbered *numbered)
{
	AtxAdmission *admission = &numbered->admission;

	numbered->replay = false;
	if (numbered->sequence_num == 0)
		return ATX_ANSWER_DONE;
	if (admission->known)
	{
		numbered->replay = true;
		return atx_numbered_check(numbered, &admission->command);
	}
	return atx_numbered_check_new(numbered, 0);
}

static AtxAnswer
admit(AtxScope *scope, AtxNumbered *numbered)
{
	if (!atx_command_admit(numbered->session_id, numbered->sequence_num,
						   numbered->service_id, scope->caller, &numbered->admission))
		return atx_why_not_usable(numbered->session_id, scope->caller);
	return check_number(numbered);
}

/*
 * The service's lock is kept only by who is going to work on it.  Others would
 * keep its users waiting until their transaction ends, be it strangers.
 */
static bool
works_on_service(const AtxNumbered *numbered, AtxAnswer answer)
{
	return answer.outcome == ATX_DONE && !numbered->replay &&
		numbered->admission.attached;
}

/*
 * Lock the service and read what the command depends on; once more if the
 * service is watched, so that its changes have to come one after the other.
 */
static AtxAnswer
lock_and_admit(AtxScope *scope, AtxNumbered *numbered, AtxAccess *access)
{
	AtxAnswer	answer;

	atx_lock_service(numbered->service_id, numbered->session_id, *access);
	answer = admit(scope, numbered);
	if (answer.outcome != ATX_DONE || !numbered->admission.attached ||
		!atx_needs_order(&numbered->admission.service, *access))
		return answer;
	atx_unlock_service(numbered->service_id, *access);
	*access = ATX_ACCESS_EXCLUSIVE;
	atx_lock_service(numbered->service_id, numbered->session_id, *access);
	return admit(scope, numbered);
}

/*
 * Begin a command: lock and renew its session, lock its number and service,
 * and see whether it was executed before.  Unless numbered->replay is true
 * then, the caller executes it and records the outcome.
 */
AtxAnswer
atx_numbered_begin(AtxScope *scope, AtxNumbered *numbered, AtxAccess access)
{
	AtxAnswer	answer = atx_use_session(scope, numbered->session_id, false,
										 &numbered->authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (numbered->sequence_num != 0)
		atx_lock_number(numbered->session_id, numbered->sequence_num);
	if (numbered->service_id == 0)
		return admit(scope, numbered);
	answer = lock_and_admit(scope, numbered, &access);
	if (!works_on_service(numbered, answer))
		atx_unlock_service(numbered->service_id, access);
	return answer;
}

/*
 * Lock several numbers in one order, so that two batches with common numbers
 * do not deadlock.
 */
void
atx_lock_numbers(const AtxNumberName *numbers, int count)
{
	int64	   *ids = palloc(sizeof(int64) * Max(count, 1));
	int			n = 0;

	for (int i = 0; i < count; i++)
		if (!atx_locked_exclusive(ATX_LOCK_SESSION, numbers[i].session_id))
			ids[n++] = lock_id(numbers[i].session_id, numbers[i].sequence_num);
	atx_lock_all_exclusive(ATX_LOCK_COMMAND, ids, n);
}

static void
lock_row_of_numbers(const AtxNumbered *numbered, int count)
{
	AtxNumberName *numbers = palloc(sizeof(AtxNumberName) * count);

	for (int i = 0; i < count; i++)
	{
		numbers[i].session_id = numbered->session_id;
		numbers[i].sequence_num = numbered->sequence_num + i;
	}
	atx_lock_numbers(numbers, count);
}

/*
 * The same for count commands with numbers in a row, of which *numbered is the
 * first; it is checked, the others are not yet.
 */
AtxAnswer
atx_numbered_begin_many(AtxScope *scope, AtxNumbered *numbered, int count,
						AtxAccess access)
{
	bool		alone = numbered->sequence_num != 0 && count > ATX_MAX_NUMBER_LOCKS;
	AtxAnswer	answer = atx_use_session(scope, numbered->session_id, alone,
										 &numbered->authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (numbered->sequence_num != 0)
		lock_row_of_numbers(numbered, count);
	answer = lock_and_admit(scope, numbered, &access);
	if (answer.outcome == ATX_DONE && !numbered->admission.attached)
		atx_unlock_service(numbered->service_id, access);
	return answer;
}

/*
 * ERROR 53400 if a session would have too much output that is not acknowledged.
 * Small ones are bounded by their number alone.
 */
void
atx_numbered_check_output(const AtxNumbered *numbered, const bytea *output)
{
	int64		limit = atx_limit(ATX_LIMIT_SESSION_OUTPUT, ATX_EVERYWHERE);
	int64		size = output == NULL ? 0 : VARSIZE_ANY_EXHDR(output);
	int64		used;

	if (numbered->sequence_num == 0 || size <= SMALL_OUTPUT)
		return;
	used = atx_command_output_size(numbered->session_id);
	if (used > limit - size)
		atx_limit_refuse(ATX_LIMIT_SESSION_OUTPUT, ATX_EVERYWHERE, used, size);
}

/*
 * What is to be remembered of a command that was executed.
 */
void
atx_numbered_describe(const AtxNumbered *numbered, const AtxReply *reply,
					  int64 index, AtxCommand *command)
{
	command->session_id = numbered->session_id;
	command->sequence_num = numbered->sequence_num;
	command->service_id = numbered->service_id;
	command->index = index;
	command->at = atx_wall_now();
	command->status = reply->status;
	command->state = reply->running ? ATX_COMMAND_RUNNING : ATX_COMMAND_COMPLETE;
	command->operation = numbered->operation;
	command->fingerprint = numbered->fingerprint;
	command->message = reply->message;
	command->output = reply->output;
}

/*
 * Have those look again who wait for commands of the session, once the
 * transaction has committed.
 */
void
atx_numbers_applied(int64 session_id)
{
	/* Session ids are positive: that leaves a channel of our own. */
	atx_doorbell_wake(-session_id);
}

/*
 * Remember the outcome of a command, if it is numbered.
 */
void
atx_numbered_record(const AtxNumbered *numbered, const AtxReply *reply, int64 index)
{
	AtxCommand	command;

	if (numbered->sequence_num == 0)
		return;
	atx_numbered_check_output(numbered, reply->output);
	atx_numbered_describe(numbered, reply, index, &command);
	atx_command_insert(&command);
	atx_numbers_applied(numbered->session_id);
}

/* The numbers of a session up to which this process has seen all executed. */
typedef struct Applied
{
	int64		session_id;
	int64		last;
} Applied;

/*
 * What was counted is not counted again, lest each command of a session cost
 * as much as all before it.  What has been executed stays so, once it is
 * committed; ids are not given twice.
 */
static Applied *
applied_of(int64 session_id)
{
	static Applied known[64];
	Applied    *applied = &known[session_id % lengthof(known)];

	if (applied->session_id != session_id)
	{
		applied->session_id = session_id;
		applied->last = 0;
	}
	return applied;
}

/* Are all numbers up to last executed, or below the floor? */
static bool
all_applied(int64 session_id, int64 floor, int64 last)
{
	Applied    *applied = applied_of(session_id);
	int64		from = Max(floor, applied->last);
	int64		missing = last - from;

	if (missing <= 0)
		return true;
	if (missing > ATX_MAX_OUTSTANDING ||
		atx_command_count(session_id, from, last, missing) != missing)
		return false;
	/* What this transaction has written may be undone yet. */
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()) && !IsolationUsesXactSnapshot())
		applied->last = last;
	return true;
}

/*
 * Are all numbers up to last executed, or acknowledged?  Or is another one
 * (0: none) known already?
 */
static AtxAnswer
look_at_numbers(AtxScope *scope, int64 session_id, int64 last, int64 other, bool *applied)
{
	AtxAdmission admission;

	if (!atx_command_admit(session_id, other, 0, scope->caller, &admission))
		return atx_why_not_usable(session_id, scope->caller);
	*applied = (other != 0 && admission.known) ||
		all_applied(session_id, admission.ack_floor, last);
	return ATX_ANSWER_DONE;
}

static AtxAnswer
await_numbers(AtxScope *scope, int64 session_id, int64 last, int64 other)
{
	AtxTick		until = atx_now() + atx_query_wait * ATX_TICKS_PER_MS;

	for (;;)
	{
		uint64		position = atx_doorbell_position(-session_id);
		bool		applied = false;
		AtxAnswer	answer = look_at_numbers(scope, session_id, last, other, &applied);
		AtxTick		now = atx_now();

		if (answer.outcome != ATX_DONE || applied)
			return answer;
		if (now >= until)
			break;
		(void) atx_doorbell_wait(-session_id, &position, Min(until, now + ATX_POLL_INTERVAL));
	}
	return atx_answer(ATX_UNAVAILABLE,
					  psprintf("commands up to " INT64_FORMAT " of session " INT64_FORMAT " have not been executed",
							   last, session_id));
}

/*
 * Wait, at most atomix.query_wait, until all commands of the session up to a
 * number have been executed: else unavailable.
 */
AtxAnswer
atx_await_numbers(AtxScope *scope, int64 session_id, int64 last)
{
	return await_numbers(scope, session_id, last, 0);
}

/*
 * The same for a command that is to be executed after all with lesser
 * numbers; one that has been need not wait.
 */
AtxAnswer
atx_await_turn(AtxScope *scope, int64 session_id, int64 sequence_num)
{
	return await_numbers(scope, session_id, sequence_num - 1, sequence_num);
}
