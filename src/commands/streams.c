/*-------------------------------------------------------------------------
 *
 * streams.c
 *	  Reading and acknowledging the outputs of commands.
 *
 * Reading changes nothing: the same outputs come until they are acknowledged.
 * A position that is acknowledged in a transaction stands with its other
 * effects, or not at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/arrays.h"
#include "commands/jump.h"
#include "commands/rights.h"
#include "commands/sessions.h"
#include "commands/streams.h"
#include "services/service_type.h"
#include "compat.h"

/* Outputs on their way to the caller. */
typedef struct Outputs
{
	AtxOutput  *all;
	int			count;
	int			room;
	int			limit;
	int64		sequence_num;	/* of the command at hand */
} Outputs;

/* Another output that goes well; NULL if there is no room. */
static AtxOutput *
add(Outputs *outputs, AtxOutputKind kind, int64 output_num, int64 index, bytea *bytes)
{
	AtxOutput  *output;

	if (outputs->count == outputs->limit)
		return NULL;
	if (outputs->count == outputs->room)
		outputs->all = atx_array_grow(CurrentMemoryContext, outputs->all, &outputs->room,
									  sizeof(AtxOutput));
	output = &outputs->all[outputs->count++];
	output->sequence_num = outputs->sequence_num;
	output->kind = kind;
	output->output_num = output_num;
	output->index = index;
	output->bytes = bytes;
	output->status = ATX_STATUS_OK;
	output->of_stream = true;
	return output;
}

static void
add_close(Outputs *outputs, int64 output_num, int64 index, AtxStatus status, bytea *reason)
{
	AtxOutput  *output = add(outputs, ATX_OUTPUT_CLOSE, output_num, index, reason);

	if (output != NULL)
		output->status = status;
}

static bytea *
text_or_null(const char *string)
{
	return string ? (bytea *) cstring_to_text(string) : NULL;
}

/* A command that is no stream has one output, once it is complete. */
static void
add_outcome(Outputs *outputs, const AtxCommand *command)
{
	if (command->state == ATX_COMMAND_RUNNING)
		return;
	if (command->status == ATX_STATUS_OK)
		(void) add(outputs, ATX_OUTPUT_RESPONSE, 1, command->index, command->output);
	else
		add_close(outputs, 1, command->index, command->status, text_or_null(command->message));
	if (outputs->count > 0)
		outputs->all[outputs->count - 1].of_stream = false;
}

static AtxAnswer
not_continued(int64 session_id, int64 sequence_num, const char *detail, const char *hint)
{
	AtxAnswer	answer = atx_answer(ATX_COMPACTED,
									psprintf("stream " INT64_FORMAT " of session " INT64_FORMAT " cannot be continued",
											 sequence_num, session_id));

	answer.detail = pstrdup(detail);
	answer.hint = pstrdup(hint);
	return answer;
}

/* Have its client's events gone, or were they never written? */
static bool
is_broken(const AtxStreamPage *page)
{
	return page->stream.closed == 0 &&
		(!page->watched || page->stream.revision < page->oldest);
}

/*
 * Events are those of one history, the time between two changes of the
 * server's identity: in the next one the last of them may be missing, and
 * others come in their place.  Only the client knows what it has received.
 */
static AtxAnswer
check_history(const AtxStreamPage *page)
{
	const AtxStream *stream = &page->stream;

	if (stream->closed != 0 ||
		(page->continues && !is_broken(page) && atx_history_is(stream->history)))
		return ATX_ANSWER_DONE;
	return not_continued(stream->session_id, stream->sequence_num,
						 "The server was promoted or restored since it was opened, and may lack events that were sent.",
						 is_broken(page) ? "Open a new stream, with replay." :
						 "Call atomix.resume_stream() with the last output that was received; if that fails, open a new stream, with replay.");
}

static void
add_stream(Outputs *outputs, const AtxStreamPage *page, int64 opened_at)
{
	const AtxStream *stream = &page->stream;
	const AtxServiceType *type = atx_service_type_get(stream->type);
	bool		lost = stream->closed != 0 && stream->status != ATX_STATUS_OK;

	if (stream->acked < 1 && !lost)
		(void) add(outputs, ATX_OUTPUT_OPEN, 1, opened_at, type->output(stream->kind, NULL));
	for (int i = 0; i < page->count; i++)
		(void) add(outputs, ATX_OUTPUT_RESPONSE, page->events[i].output_num,
				   page->events[i].event.index,
				   type->output(stream->kind, &page->events[i].event));
	if (stream->closed > stream->acked)
		add_close(outputs, stream->closed, atx_index_newest(), stream->status,
				  text_or_null(stream->reason));
}

/* Add what a page has, of a stream that was opened at an index. */
static AtxAnswer
add_page(const AtxStreamPage *page, int64 opened_at, Outputs *outputs)
{
	AtxAnswer	answer;

	/* To read on is to read, whatever was allowed when it was opened. */
	if (page->namespace != NULL)
		atx_require_right(page->namespace, ATX_PRIVILEGE_READ);
	answer = check_history(page);
	if (answer.outcome != ATX_DONE)
		return answer;
	add_stream(outputs, page, opened_at);
	if (page->count > 0)
		atx_event_make_durable(&page->events[page->count - 1].event);
	return answer;
}

/* Read the outputs of a command that is known. */
static AtxAnswer
fetch(const AtxCommand *command, Outputs *outputs)
{
	AtxStreamPage page;

	if (atx_stream_page(command->session_id, command->sequence_num, outputs->limit, &page))
		return add_page(&page, command->index, outputs);
	add_outcome(outputs, command);
	return ATX_ANSWER_DONE;
}

/* The index of the answer to the command that opened a stream. */
static int64
opened_at(const AtxStream *stream)
{
	AtxCommand	command;

	return atx_command_find(stream->session_id, stream->sequence_num, &command) ?
		command.index : atx_index_newest();
}

static AtxAnswer
begin_to_read(AtxScope *scope, const AtxAuthority **authority)
{
	/* A transaction with one snapshot gets what fits the state it sees. */
	atx_scope_read_on();
	return RecoveryInProgress() ? ATX_ANSWER_DONE : atx_await_authority(authority);
}

/*
 * Read up to limit outputs of a command that are not acknowledged; none if it
 * has not been executed yet.
 */
AtxAnswer
atx_fetch_outputs(AtxScope *scope, int64 session_id, int64 sequence_num, int limit,
				  AtxOutput **all, int *count)
{
	AtxNumbered numbered = {.session_id = session_id,.sequence_num = sequence_num};
	Outputs		outputs = {.limit = limit,.sequence_num = sequence_num};
	AtxAdmission *admission = &numbered.admission;
	AtxAnswer	answer = begin_to_read(scope, &numbered.authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (!atx_command_admit(session_id, sequence_num, 0, scope->caller, admission))
		return atx_why_not_usable(session_id, scope->caller);
	if (admission->known && admission->command.state != ATX_COMMAND_ACKNOWLEDGED)
		answer = fetch(&admission->command, &outputs);
	else if (admission->known || sequence_num <= admission->ack_floor)
		answer = atx_numbered_acknowledged(&numbered);
	*all = outputs.all;
	*count = outputs.count;
	return answer;
}

/* Add up to limit outputs of one of a session's streams. */
static AtxAnswer
add_one_of_many(const AtxStreamPage *page, int limit, Outputs *outputs)
{
	const AtxStream *stream = &page->stream;

	outputs->sequence_num = stream->sequence_num;
	outputs->limit = outputs->count + limit;
	return add_page(page, stream->acked < 1 ? opened_at(stream) : 0, outputs);
}

/*
 * Read up to limit outputs of each stream of a session, in order of their
 * numbers.
 */
AtxAnswer
atx_fetch_all_outputs(AtxScope *scope, int64 session_id, int limit, AtxOutput **all,
					  int *count)
{
	Outputs		outputs = {0};
	AtxAdmission admission;
	AtxStreamPage *pages;
	const AtxAuthority *authority;
	AtxAnswer	answer = begin_to_read(scope, &authority);
	int			n;

	if (answer.outcome != ATX_DONE)
		return answer;
	if (!atx_command_admit(session_id, 0, 0, scope->caller, &admission))
		return atx_why_not_usable(session_id, scope->caller);
	n = atx_stream_pages(session_id, limit, &pages);
	for (int i = 0; i < n && answer.outcome == ATX_DONE; i++)
	{
		CHECK_FOR_INTERRUPTS();
		answer = add_one_of_many(&pages[i], limit, &outputs);
	}
	*all = outputs.all;
	*count = outputs.count;
	return answer;
}

/*
 * Take the outputs of a stream that are not acknowledged, which acknowledges
 * them.  Where somebody else has taken some since it was read, we take what
 * follows.
 */
static AtxAnswer
take_stream(AtxStreamPage *page, int limit, Outputs *outputs)
{
	int			before = outputs->count;
	AtxAnswer	answer;

	for (;;)
	{
		int64		last;

		CHECK_FOR_INTERRUPTS();
		answer = add_one_of_many(page, limit, outputs);
		if (answer.outcome != ATX_DONE || outputs->count == before)
			return answer;
		last = outputs->all[outputs->count - 1].output_num;
		if (atx_stream_try_acknowledge(&page->stream, last, atx_stream_page_revision(page, last)))
			return answer;
		outputs->count = before;
		if (!atx_stream_page(page->stream.session_id, page->stream.sequence_num, limit, page))
			return answer;
	}
}

/*
 * Read up to limit outputs of each stream of a session and acknowledge them:
 * the transaction has them, and if it fails nobody has.
 */
AtxAnswer
atx_take_outputs(AtxScope *scope, int64 session_id, int limit, AtxOutput **all, int *count)
{
	Outputs		outputs = {0};
	AtxStreamPage *pages;
	const AtxAuthority *authority;
	AtxAnswer	answer = atx_use_session(scope, session_id, false, &authority);
	Snapshot	before;
	int			n;

	if (answer.outcome != ATX_DONE)
		return answer;
	atx_scope_read_on();
	before = atx_snapshot_take();
	n = atx_stream_pages(session_id, limit, &pages);
	for (int i = 0; i < n && answer.outcome == ATX_DONE; i++)
		answer = take_stream(&pages[i], limit, &outputs);
	atx_snapshot_release(before);
	*all = outputs.all;
	*count = outputs.count;
	return answer;
}

static AtxAnswer
no_such_output(int64 session_id, const AtxOutputAck *ack)
{
	return atx_answer(ATX_INVALID,
					  psprintf("command " INT64_FORMAT " of session " INT64_FORMAT " has no output " INT64_FORMAT,
							   ack->sequence_num, session_id, ack->output_num));
}

/*
 * Does a command that is no stream have as many outputs?  A stream may, if
 * somebody else has it locked: it is left.
 */
static AtxAnswer
check_outcome(int64 session_id, const AtxOutputAck *ack)
{
	AtxCommand	command;

	if (atx_stream_exists(session_id, ack->sequence_num) ||
		!atx_command_find(session_id, ack->sequence_num, &command) ||
		command.state == ATX_COMMAND_ACKNOWLEDGED ||
		ack->output_num <= (command.state == ATX_COMMAND_RUNNING ? 0 : 1))
		return ATX_ANSWER_DONE;
	return no_such_output(session_id, ack);
}

/* Must its client say what it has received, before it goes on? */
static bool
must_resume(const AtxStream *stream)
{
	return stream->closed == 0 && !atx_history_is(stream->history);
}

/*
 * What is acknowledged of such a stream may have been another event, elsewhere:
 * a keep-alive leaves it.
 */
static AtxAnswer
leave_to_resume(AtxStream *stream, int64 output_num, bool is_asked)
{
	AtxAnswer	answer = ATX_ANSWER_DONE;

	if (is_asked && output_num > stream->acked)
		answer = not_continued(stream->session_id, stream->sequence_num,
							   "The server was promoted or restored since it was opened, and may lack what was received.",
							   "Call atomix.resume_stream() first.");
	stream->session_id = 0;
	return answer;
}

/*
 * Acknowledge outputs of streams of a session, whose lock is held: all of
 * them, or none if one does not exist.  What is acknowledged already, or no
 * stream (any more), stays as it is; so does, unless we are to wait, a stream
 * of which somebody else acknowledges outputs just now.
 */
AtxAnswer
atx_acknowledge_outputs(int64 session_id, const AtxOutputAck *acks, int count, bool wait)
{
	AtxStream  *streams;
	int64	   *revisions;

	if (count == 0)
		return ATX_ANSWER_DONE;
	streams = palloc0(sizeof(AtxStream) * count);
	revisions = palloc(sizeof(int64) * count);
	for (int i = 0; i < count; i++)
	{
		AtxAnswer	answer = ATX_ANSWER_DONE;

		CHECK_FOR_INTERRUPTS();
		if (!atx_stream_lock(session_id, acks[i].sequence_num, wait, &streams[i]))
			answer = check_outcome(session_id, &acks[i]);
		else if (must_resume(&streams[i]))
			answer = leave_to_resume(&streams[i], acks[i].output_num, wait);
		else if (!atx_stream_locate(&streams[i], acks[i].output_num, &revisions[i]))
			answer = no_such_output(session_id, &acks[i]);
		if (answer.outcome != ATX_DONE)
			return answer;
	}
	for (int i = 0; i < count; i++)
		if (streams[i].session_id != 0)
			atx_stream_require_unchanged(&streams[i]);
	for (int i = 0; i < count; i++)
		if (streams[i].session_id != 0)
			atx_stream_acknowledge(&streams[i], acks[i].output_num, revisions[i]);
	return ATX_ANSWER_DONE;
}

static int
by_sequence_num(const void *a, const void *b)
{
	return pg_cmp_s64(((const AtxOutputAck *) a)->sequence_num,
					  ((const AtxOutputAck *) b)->sequence_num);
}

/*
 * The same for an own call, which waits, and renews the session.  Streams are
 * locked in the order in which others take of them; acks is sorted for that.
 */
AtxAnswer
atx_acknowledge_many(AtxScope *scope, int64 session_id, AtxOutputAck *acks, int count)
{
	const AtxAuthority *authority;
	AtxNumberName *names = palloc(sizeof(AtxNumberName) * Max(count, 1));
	AtxAnswer	answer = atx_use_session(scope, session_id, count > ATX_MAX_NUMBER_LOCKS,
										 &authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	for (int i = 0; i < count; i++)
	{
		names[i].session_id = session_id;
		names[i].sequence_num = acks[i].sequence_num;
	}
	atx_lock_numbers(names, count);
	qsort(acks, count, sizeof(AtxOutputAck), by_sequence_num);
	return atx_acknowledge_outputs(session_id, acks, count, true);
}

/* Is what a client has received of a stream what we have? */
static bool
has_received(const AtxStream *stream, int64 output_num, int64 index)
{
	if (output_num <= stream->acked)
		return true;
	if (stream->closed != 0 && output_num > stream->preface)
		return output_num <= stream->closed;
	return index != 0 &&
		index == (output_num == 1 ? opened_at(stream) : atx_stream_index(stream, output_num));
}

/* The same for a stream whose row is locked. */
static AtxAnswer
check_received(const AtxStream *stream, int64 output_num, int64 index)
{
	AtxStreamPage page;

	if (has_received(stream, output_num, index) &&
		atx_stream_page(stream->session_id, stream->sequence_num, 0, &page) &&
		!is_broken(&page))
		return ATX_ANSWER_DONE;
	return not_continued(stream->session_id, stream->sequence_num,
						 "What was received is not what this server has, or what follows it is no longer kept.",
						 "Open a new stream, with replay.");
}

/*
 * Go on with a stream of which a client has received the outputs up to one
 * with an index, or if output_num is 0 goes by what is acknowledged.  Nothing
 * else says that both speak of the same events: others may have come in the
 * place of those that a promoted server lacks, and have their numbers, but no
 * index is given twice.
 */
AtxAnswer
atx_resume_stream(AtxScope *scope, int64 session_id, int64 sequence_num, int64 output_num,
				  int64 index)
{
	AtxStream	stream;
	AtxService	service;
	const AtxAuthority *authority;
	AtxAnswer	answer = atx_use_session(scope, session_id, false, &authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	atx_lock_number(session_id, sequence_num);
	if (!atx_stream_lock(session_id, sequence_num, true, &stream))
		return not_continued(session_id, sequence_num,
							 "There is no such stream: it was given up, or the commit that opened it was lost.",
							 "Open a new stream, with replay.");
	if (atx_service_load(stream.service_id, &service))
		atx_require_right(service.namespace, ATX_PRIVILEGE_READ);
	answer = check_received(&stream, output_num, index);
	if (answer.outcome != ATX_DONE)
		return answer;
	atx_stream_require_unchanged(&stream);
	if (must_resume(&stream))
		atx_stream_resume(&stream, authority->history);
	return answer;
}
