/*-------------------------------------------------------------------------
 *
 * acknowledge.c
 *	  Forgetting the outcomes that a client needs no more.
 *
 * The floor of a session rises over numbers that will never be executed
 * again: those that are known, and those that the client is done with.  A
 * keep-alive may overtake a command, so it stops before the first number that
 * is neither.  What is done with above the floor is kept as a bare number.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/private_lock.h"
#include "commands/claiming.h"
#include "commands/exactly_once.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "commands/streams.h"
#include "tables/lease.h"
#include "compat.h"

/* Numbers one call moves the floor over. */
#define MAX_STEPS	100000

/* The numbers that are known, in order, on the way of a floor upwards. */
typedef struct Known
{
	const AtxKnownNumber *numbers;
	int			count;
	int			next;
} Known;

/* What a keep-alive leaves alone. */
typedef struct Kept
{
	const AtxPending *pending;
	int64	   *numbers;		/* ascending, where streams are listed */
	int			count;
} Kept;

/*
 * Read what is to be kept, after the numbers themselves: a command that has
 * made a claim since is not among these.
 */
static void
read_kept(int64 session_id, Kept *kept)
{
	const AtxPending *pending = kept->pending;
	AtxClaim   *claims;
	int			count;

	kept->count = 0;
	if (!pending->lists_streams)
		return;
	count = atx_claims_of_session(session_id, 0, &claims);
	kept->numbers = palloc(sizeof(int64) * Max(count + pending->noutputs, 1));
	for (int i = 0; i < count; i++)
		kept->numbers[kept->count++] = claims[i].sequence_num;
	for (int i = 0; i < pending->noutputs; i++)
		kept->numbers[kept->count++] = pending->outputs[i].sequence_num;
	atx_ids_sort(kept->numbers, kept->count);
}

static bool
is_pending(const Kept *kept, int64 number)
{
	if (kept->pending->lists_streams)
		return atx_ids_contain(kept->numbers, kept->count, number);
	return kept->pending->filter != NULL &&
		atx_bloom_contains(kept->pending->filter, (uint64) number);
}

/* Is a number that was never executed one that will not come any more? */
static bool
is_skipped(const Kept *kept, int64 number)
{
	return !kept->pending->lists_streams && !is_pending(kept, number);
}

static bool
is_known(Known *known, int64 number)
{
	while (known->next < known->count &&
		   known->numbers[known->next].sequence_num < number)
		known->next++;
	return known->next < known->count &&
		known->numbers[known->next].sequence_num == number;
}

static int64
advance(int64 floor, Known *known, const Kept *kept)
{
	for (int step = 0; step < MAX_STEPS && floor < kept->pending->last; step++)
	{
		if (!is_known(known, floor + 1) && !is_skipped(kept, floor + 1))
			break;
		floor++;
	}
	return floor;
}

/*
 * Sort what the client is done with into numbers to forget, because the floor
 * covers them, and numbers to keep bare.
 */
static void
release_outcomes(int64 session_id, int64 floor, const Known *known,
				 const Kept *kept)
{
	int64	   *covered = palloc(sizeof(int64) * Max(known->count, 1));
	int64	   *above = palloc(sizeof(int64) * Max(known->count, 1));
	int			ncovered = 0;
	int			nabove = 0;

	for (int i = 0; i < known->count; i++)
	{
		const AtxKnownNumber *number = &known->numbers[i];

		if (number->state != ATX_COMMAND_ACKNOWLEDGED &&
			(number->sequence_num > kept->pending->last ||
			 is_pending(kept, number->sequence_num)))
			continue;
		if (number->sequence_num <= floor)
			covered[ncovered++] = number->sequence_num;
		else if (number->state != ATX_COMMAND_ACKNOWLEDGED)
			above[nabove++] = number->sequence_num;
	}
	atx_command_forget(session_id, covered, ncovered);
	atx_command_acknowledge(session_id, above, nabove);
}

/* A command that still waits, and that the client gives up. */
static bool
is_given_up(const AtxKnownNumber *number, const Kept *kept)
{
	return number->state == ATX_COMMAND_RUNNING &&
		number->sequence_num <= kept->pending->last &&
		!is_pending(kept, number->sequence_num);
}

static int
compare_services(const void *a, const void *b)
{
	return pg_cmp_s64(((const AtxKnownNumber *) a)->service_id,
					  ((const AtxKnownNumber *) b)->service_id);
}

/*
 * Lock the services on which commands wait that the client gives up: services
 * come before rows.
 */
static void
lock_services_of_given_up(int64 session_id, Kept *kept)
{
	AtxKnownNumber *numbers;
	int			count = atx_command_numbers(session_id, kept->pending->last, &numbers);
	int			n = 0;

	read_kept(session_id, kept);
	for (int i = 0; i < count; i++)
		if (is_given_up(&numbers[i], kept))
			numbers[n++] = numbers[i];
	qsort(numbers, n, sizeof(AtxKnownNumber), compare_services);
	for (int i = 0; i < n; i++)
		atx_lock_service(numbers[i].service_id, session_id, ATX_ACCESS_EXCLUSIVE);
}

/* Is somebody acknowledging outputs of the command just now? */
static bool
is_being_read(int64 session_id, int64 sequence_num)
{
	AtxStream	stream;

	return atx_stream_exists(session_id, sequence_num) &&
		!atx_stream_lock(session_id, sequence_num, false, &stream);
}

/*
 * Cancel the commands that the client gives up.  One whose service is not
 * locked has only just begun to wait: it is left for the next time.  So is a
 * stream whose consumer has its transaction open: everybody else would wait
 * for that one, too.
 */
static void
cancel_given_up(const AtxAuthority *authority, int64 session_id, AtxKnownNumber *numbers,
				int *count, const Kept *kept)
{
	int			left = 0;

	for (int i = 0; i < *count; i++)
	{
		AtxKnownNumber *number = &numbers[i];

		if (is_given_up(number, kept))
		{
			if (!atx_locked_exclusive(ATX_LOCK_SERVICE, number->service_id) ||
				is_being_read(session_id, number->sequence_num))
				continue;
			atx_cancel_waiting(authority, session_id, number->service_id, number->sequence_num);
		}
		numbers[left++] = *number;
	}
	*count = left;
}

/*
 * Acknowledge the outputs that have been received of commands that go on.  In
 * a keep-alive it is not waited for a consumer whose transaction is open.
 */
static AtxAnswer
acknowledge_received(int64 session_id, const Kept *kept)
{
	const AtxPending *pending = kept->pending;
	AtxOutputAck *acks = palloc(sizeof(AtxOutputAck) * Max(pending->noutputs, 1));
	int			count = 0;

	if (pending->noutputs == 0 || !atx_stream_any_of_session(session_id))
		return ATX_ANSWER_DONE;
	for (int i = 0; i < pending->noutputs; i++)
		if (pending->outputs[i].sequence_num <= pending->last &&
			is_pending(kept, pending->outputs[i].sequence_num) &&
			(!pending->lists_streams ||
			 atx_stream_exists(session_id, pending->outputs[i].sequence_num)))
			acks[count++] = pending->outputs[i];
	return atx_acknowledge_outputs(session_id, acks, count, false);
}

/*
 * Acknowledge all commands up to pending->last but those that are pending,
 * and of these the outputs that were received; renew the session.
 */
AtxAnswer
atx_acknowledge_pending(AtxScope *scope, int64 session_id, const AtxPending *pending)
{
	const AtxAuthority *authority;
	AtxAnswer	answer = atx_use_session(scope, session_id, false, &authority);
	Kept		kept = {.pending = pending};
	AtxKnownNumber *numbers;
	Known		known = {0};
	int64		floor;
	int64		raised;

	if (answer.outcome != ATX_DONE)
		return answer;
	lock_services_of_given_up(session_id, &kept);
	answer = acknowledge_received(session_id, &kept);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (!atx_lease_lock_floor(session_id, scope->caller, &floor))
		return atx_why_not_usable(session_id, scope->caller);
	known.count = atx_command_numbers(session_id, pending->last, &numbers);
	read_kept(session_id, &kept);
	cancel_given_up(authority, session_id, numbers, &known.count, &kept);
	known.numbers = numbers;

	raised = advance(floor, &known, &kept);
	release_outcomes(session_id, raised, &known, &kept);
	if (raised > floor)
	{
		atx_lease_set_floor(session_id, raised);
		atx_numbers_applied(session_id);
	}
	return answer;
}

/* Keep a number that was never executed from being so in future. */
static void
acknowledge_unknown(int64 session_id, int64 sequence_num)
{
	AtxCommand	command = {
		.session_id = session_id,
		.sequence_num = sequence_num,
		.index = atx_index_newest(),
		.at = atx_wall_now(),
		.status = ATX_STATUS_OK,
		.state = ATX_COMMAND_ACKNOWLEDGED,
		.operation = ATX_OPERATION_ONCE
	};

	atx_command_insert(&command);
}

/* Raise the floor over acknowledged numbers that follow it closely. */
static void
raise_over_acknowledged(int64 session_id, int64 floor)
{
	AtxKnownNumber *numbers;
	int64		raised = floor;
	int			count = atx_command_acknowledged(session_id, floor, MAX_STEPS, &numbers);
	int64	   *covered = palloc(sizeof(int64) * Max(count, 1));
	int			n;

	for (n = 0; n < count && numbers[n].sequence_num == raised + 1; n++)
		covered[n] = ++raised;
	if (raised == floor)
		return;
	atx_command_forget(session_id, covered, n);
	atx_lease_set_floor(session_id, raised);
}

/* Keep of a number, whose lock is held, no more than that it is over. */
static AtxAnswer
acknowledge_number(const AtxNumbered *numbered, int64 floor)
{
	AtxCommand	command;
	AtxAnswer	answer = ATX_ANSWER_DONE;

	if (atx_command_find(numbered->session_id, numbered->sequence_num, &command))
	{
		if (numbered->sequence_num <= floor)
			atx_command_forget(numbered->session_id, &numbered->sequence_num, 1);
		else
			atx_command_acknowledge(numbered->session_id, &numbered->sequence_num, 1);
	}
	else if (numbered->sequence_num > floor)
	{
		answer = atx_numbered_limit(numbered, floor, 0);
		if (answer.outcome == ATX_DONE)
			acknowledge_unknown(numbered->session_id, numbered->sequence_num);
	}
	return answer;
}

/* If the command is still waiting, make an end of it. */
static void
cancel_running(const AtxNumbered *numbered)
{
	AtxCommand	command;

	if (!atx_command_find(numbered->session_id, numbered->sequence_num, &command) ||
		command.state != ATX_COMMAND_RUNNING)
		return;
	atx_lock_service(command.service_id, numbered->session_id, ATX_ACCESS_EXCLUSIVE);
	atx_cancel_waiting(numbered->authority, numbered->session_id, command.service_id,
					   numbered->sequence_num);
}

/*
 * Acknowledge one command, and renew the session.  One that was never
 * executed will not be.  With output_num, just its outputs up to that number:
 * of a stream they do not come again, other commands keep their only one.
 */
AtxAnswer
atx_acknowledge_one(AtxScope *scope, int64 session_id, int64 sequence_num,
					int64 output_num)
{
	AtxNumbered numbered = {
		.session_id = session_id,
		.sequence_num = sequence_num
	};
	AtxOutputAck ack = {sequence_num, output_num};
	AtxAnswer	answer = atx_use_session(scope, session_id, false, &numbered.authority);
	int64		floor;

	if (answer.outcome != ATX_DONE)
		return answer;
	atx_lock_number(session_id, sequence_num);
	if (output_num != ATX_ALL_OUTPUTS)
		return atx_acknowledge_outputs(session_id, &ack, 1, true);
	cancel_running(&numbered);
	if (!atx_lease_lock_floor(session_id, scope->caller, &floor))
		return atx_why_not_usable(session_id, scope->caller);
	answer = acknowledge_number(&numbered, floor);
	if (answer.outcome != ATX_DONE)
		return answer;
	raise_over_acknowledged(session_id, floor);
	atx_numbers_applied(session_id);
	return answer;
}
