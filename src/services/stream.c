/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  Operations whose outputs go on: streams of a service's events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/doorbell.h"
#include "base/settings.h"
#include "services/feed.h"
#include "services/stream.h"
#include "tables/command.h"
#include "tables/entry.h"
#include "tables/limit.h"

static void
check_limit(int64 session_id)
{
	int64		limit = atx_limit(ATX_LIMIT_SESSION_STREAMS, ATX_EVERYWHERE);
	int64		used = atx_stream_count(session_id, limit);

	if (used >= limit)
		atx_limit_refuse(ATX_LIMIT_SESSION_STREAMS, ATX_EVERYWHERE, used, 1);
}

/* Keep what the stream is to begin with; returns how many outputs that is. */
static int64
replay(AtxCall *call, const AtxStreamRequest *request, const AtxStream *stream)
{
	int64		count = 0;

	if (request->replay_entries)
	{
		atx_entry_require_unchanged(stream->service_id, stream->key);
		count = atx_stream_replay_entries(stream, &call->moment, ATX_MAX_REPLAY + 1);
	}
	else if (request->replay_value != NULL)
	{
		atx_stream_replay_value(stream, request->replay_key, request->replay_value,
								atx_index_newest());
		count = 1;
	}
	if (count > ATX_MAX_REPLAY)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("service has too many entries to be replayed"),
				 errdetail("The limit is %d.", ATX_MAX_REPLAY),
				 errhint("Open a stream without replay, then read the entries page by page.")));
	return count;
}

/*
 * Open a stream as the outcome of the call's command: what changes from now on
 * will be its outputs.  One that ends with what was there is complete.
 */
void
atx_stream_open(AtxCall *call, const AtxStreamRequest *request, AtxReply *reply)
{
	AtxStream	stream = {
		.session_id = call->session_id,
		.sequence_num = call->sequence_num,
		.service_id = call->service.service_id,
		.status = ATX_STATUS_OK,
		.kind = request->kind,
		.type = (char *) call->type->name,
		.key = (char *) request->key,
		.event = (char *) request->event
	};

	if (call->sequence_num == 0)
	{
		atx_reply_refused(reply, ATX_STATUS_INVALID,
						  pstrdup("a stream needs a sequence number"));
		return;
	}
	check_limit(call->session_id);
	if (!request->ends)
		atx_feed_begin(call, atx_event_retention * ATX_TICKS_PER_SEC);
	stream.revision = call->service.revision;
	stream.history = call->authority->history;
	stream.preface = 1 + replay(call, request, &stream);
	if (request->ends)
		stream.closed = stream.preface + 1;
	atx_stream_insert(&stream);
	/* Who waits for the session has a service more to attend to. */
	atx_doorbell_ring(call->session_id);
	reply->status = ATX_STATUS_OK;
	reply->output = call->type->output(request->kind, NULL);
	reply->running = !request->ends;
}

/*
 * Close streams and their commands, and tell their sessions.
 */
void
atx_streams_close(const AtxStreamsOf *which, AtxStatus status, const char *reason)
{
	AtxStream  *closed;
	int			count;

	if (!atx_stream_any_of_service(which->service_id))
		return;
	count = atx_stream_close(which, status, reason, &closed);
	for (int i = 0; i < count; i++)
	{
		atx_command_complete(closed[i].session_id, closed[i].sequence_num, status, reason,
							 NULL, atx_index_newest());
		atx_doorbell_ring(closed[i].session_id);
	}
}
