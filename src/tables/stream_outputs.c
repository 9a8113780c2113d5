/*-------------------------------------------------------------------------
 *
 * stream_outputs.c
 *	  The outputs of streams: what they begin with, then events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/arrays.h"
#include "base/rows.h"
#include "tables/service.h"
#include "tables/stream.h"

/* Columns of table replay by their position. */
enum
{
	REPLAY_OUTPUT_NUM = 3,
	REPLAY_INDEX,
	REPLAY_KEY,
	REPLAY_VALUE
};

static AtxTable replay_table = {"replay", "replay_pkey"};

/* Room for one output more, unless that is beyond the limit. */
static AtxStreamEvent *
next_event(AtxStreamPage *page, int limit)
{
	AtxStreamEvent *event;

	if (page->count == limit)
		return NULL;
	if (page->count == page->room)
		page->events = atx_array_grow(CurrentMemoryContext, page->events, &page->room,
									  sizeof(AtxStreamEvent));
	event = &page->events[page->count++];
	memset(event, 0, sizeof(*event));
	return event;
}

/* What there was when the stream was opened, and is not acknowledged. */
static void
add_replayed(Snapshot snapshot, AtxStreamPage *page, int limit)
{
	const AtxStream *stream = &page->stream;
	int64		key[] = {stream->session_id, stream->sequence_num};
	AtxCursor	cursor;

	if (stream->acked >= stream->preface)
		return;
	atx_cursor_open(&cursor, &replay_table, false);
	atx_cursor_begin(&cursor, snapshot, key, 2);
	while (page->count < limit && atx_cursor_next(&cursor))
	{
		AtxStreamEvent *event = next_event(page, limit);

		event->output_num = atx_cursor_int64(&cursor, REPLAY_OUTPUT_NUM);
		event->event.index = atx_cursor_int64(&cursor, REPLAY_INDEX);
		event->event.type = ATX_EVENT_REPLAY;
		event->event.key = atx_cursor_text(&cursor, REPLAY_KEY);
		event->event.value = atx_cursor_bytes(&cursor, REPLAY_VALUE);
	}
	atx_cursor_close(&cursor);
}

static void
scan_events(AtxEventScan *scan, Snapshot snapshot, const AtxStream *stream)
{
	atx_event_scan_begin(scan, snapshot, stream->service_id, stream->revision);
	scan->key = stream->key;
	scan->type = stream->event;
}

/* The events that have come since. */
static void
add_events(Snapshot snapshot, AtxStreamPage *page, int limit)
{
	int64		output_num = Max(page->stream.acked, page->stream.preface);
	AtxEventScan scan;
	AtxEvent	event;

	if (page->stream.closed != 0 || page->count == limit)
		return;
	scan_events(&scan, snapshot, &page->stream);
	while (page->count < limit && atx_event_scan_next(&scan, &event))
	{
		AtxStreamEvent *output = next_event(page, limit);

		output->output_num = ++output_num;
		output->event = event;
	}
	atx_event_scan_end(&scan);
}

/* Read the rest of a page, of which the stream is known. */
static void
fill_page(Snapshot snapshot, AtxStreamPage *page, int limit)
{
	AtxService	service;

	if (atx_service_load_in(snapshot, page->stream.service_id, &service))
	{
		page->watched = service.watched;
		page->continues = service.watched && service.history == page->stream.history;
		page->oldest = service.oldest;
		page->namespace = service.namespace;
	}
	add_replayed(snapshot, page, limit);
	/* Every revision of a service that is watched is an event. */
	if (!page->continues || service.revision > page->stream.revision)
		add_events(snapshot, page, limit);
}

/*
 * A stream with up to limit of the outputs between its first and its last
 * that are not acknowledged; false if there is none of that number.
 *
 * All in one snapshot: events that a retention has removed are not missing
 * without the stream's being closed.
 */
bool
atx_stream_page(int64 session_id, int64 sequence_num, int limit, AtxStreamPage *page)
{
	Snapshot	snapshot = atx_snapshot_take();
	bool		found;

	memset(page, 0, sizeof(*page));
	found = atx_stream_find_in(snapshot, session_id, sequence_num, &page->stream);
	if (found)
		fill_page(snapshot, page, limit);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * The same of all streams of a session, each with up to limit; returns how
 * many streams.
 */
int
atx_stream_pages(int64 session_id, int limit, AtxStreamPage **pages)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxStream  *streams;
	int			n = atx_streams_in(snapshot, session_id, &streams);

	*pages = palloc0(sizeof(AtxStreamPage) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*pages)[i].stream = streams[i];
		fill_page(snapshot, &(*pages)[i], limit);
	}
	atx_snapshot_release(snapshot);
	return n;
}

/*
 * The revision up to which a stream needs no events once count more of them
 * are acknowledged: all that follow up to the next one are none of its.  False
 * if there are not so many.
 */
static bool
revision_after(const AtxStream *stream, int64 count, int64 *revision)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxService	service = {0};
	AtxEventScan scan;
	AtxEvent	event = {0};
	int64		seen = 0;

	(void) atx_service_load_in(snapshot, stream->service_id, &service);
	scan_events(&scan, snapshot, stream);
	while (seen <= count && atx_event_scan_next(&scan, &event))
		seen++;
	atx_event_scan_end(&scan);
	atx_snapshot_release(snapshot);
	*revision = seen > count ? event.revision - 1 : service.revision;
	return seen >= count;
}

/*
 * The revision at which a stream, whose row is locked, stands once its outputs
 * up to output_num are acknowledged; false if there are not so many.
 */
bool
atx_stream_locate(const AtxStream *stream, int64 output_num, int64 *revision)
{
	int64		before = Max(stream->acked, stream->preface);

	*revision = stream->revision;
	if (stream->closed != 0 || output_num <= before)
		return output_num <= Max(stream->closed, before);
	return revision_after(stream, output_num - before, revision);
}

/* The index of something that was there when the stream was opened. */
static int64
replayed_index(Snapshot snapshot, const AtxStream *stream, int64 output_num)
{
	int64		key[] = {stream->session_id, stream->sequence_num, output_num};
	AtxCursor	cursor;
	int64		index = 0;

	atx_cursor_open(&cursor, &replay_table, false);
	if (atx_cursor_find(&cursor, snapshot, key, 3))
		index = atx_cursor_int64(&cursor, REPLAY_INDEX);
	atx_cursor_close(&cursor);
	return index;
}

static int64
event_index(Snapshot snapshot, const AtxStream *stream, int64 count)
{
	AtxEventScan scan;
	AtxEvent	event = {0};

	scan_events(&scan, snapshot, stream);
	while (count > 0 && atx_event_scan_next(&scan, &event))
		count--;
	atx_event_scan_end(&scan);
	return count == 0 ? event.index : 0;
}

/*
 * The index of an output, between the first and the last, that is not
 * acknowledged; 0 if it does not exist.
 */
int64
atx_stream_index(const AtxStream *stream, int64 output_num)
{
	int64		before = Max(stream->acked, stream->preface);
	Snapshot	snapshot = atx_snapshot_take();
	int64		index = 0;

	if (output_num <= before)
		index = replayed_index(snapshot, stream, output_num);
	else if (stream->closed == 0)
		index = event_index(snapshot, stream, output_num - before);
	atx_snapshot_release(snapshot);
	return index;
}

static bool
has_event(Snapshot snapshot, const AtxStream *stream)
{
	AtxEventScan scan;
	AtxEvent	event;
	bool		found;

	scan_events(&scan, snapshot, stream);
	found = atx_event_scan_next(&scan, &event);
	atx_event_scan_end(&scan);
	return found;
}

/*
 * Has a stream, as it was read, outputs that are not acknowledged?  One that
 * cannot be continued has something to tell, too.
 */
bool
atx_stream_pending(const AtxStream *stream)
{
	Snapshot	snapshot;
	AtxService	service;
	bool		found;

	if (stream->acked < Max(stream->closed, stream->preface))
		return true;
	if (stream->closed != 0)
		return false;
	snapshot = atx_snapshot_take();
	found = !atx_service_load_in(snapshot, stream->service_id, &service) ||
		!service.watched || service.history != stream->history;

	/*
	 * Every revision of a service that is watched, in its history, is an
	 * event.
	 */
	if (!found && service.revision > stream->revision)
		found = (stream->key == NULL && stream->event == NULL &&
				 stream->revision > service.history) || has_event(snapshot, stream);
	atx_snapshot_release(snapshot);
	return found;
}
