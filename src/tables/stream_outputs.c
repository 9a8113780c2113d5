/*-------------------------------------------------------------------------
 *
 * stream_outputs.c
 *	  The outputs of streams: what they begin with, then events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

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

/* The tables that streams are read from, in one snapshot. */
typedef struct Reading
{
	Snapshot	snapshot;
	AtxCursor	services;
	AtxEventScan events;
} Reading;

static void
begin_reading(Reading *reading)
{
	reading->snapshot = atx_snapshot_take();
	atx_service_open(&reading->services);
	atx_event_scan_open(&reading->events);
}

static void
end_reading(Reading *reading)
{
	atx_event_scan_close(&reading->events);
	atx_cursor_close(&reading->services);
	atx_snapshot_release(reading->snapshot);
}

/* The service of a stream; false if it was deleted. */
static bool
read_service(Reading *reading, const AtxStream *stream, AtxService *service)
{
	return atx_service_at(&reading->services, reading->snapshot, stream->service_id, service);
}

/*
 * Is each later revision of its service an event of the stream's?  So it is
 * where that is watched, in one history.
 */
static bool
wants_each_revision(const AtxStream *stream, const AtxService *service)
{
	return stream->key == NULL && stream->event == NULL &&
		service->watched && stream->revision > service->history;
}

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

/* Begin to go through the events of a stream that are not acknowledged. */
static void
scan_events(Reading *reading, const AtxStream *stream)
{
	AtxEventScan *events = &reading->events;

	atx_event_scan_begin(events, reading->snapshot, stream->service_id, stream->revision);
	events->key = stream->key;
	events->type = stream->event;
}

/* The events that have come since. */
static void
add_events(Reading *reading, AtxStreamPage *page, int limit)
{
	int64		output_num = Max(page->stream.acked, page->stream.preface);
	AtxEvent	event;

	if (page->stream.closed != 0 || page->count == limit)
		return;
	scan_events(reading, &page->stream);
	while (page->count < limit && atx_event_scan_next(&reading->events, &event))
	{
		AtxStreamEvent *output = next_event(page, limit);

		output->output_num = ++output_num;
		output->event = event;
	}
}

/* Read the rest of a page, of which the stream is known. */
static void
fill_page(Reading *reading, AtxStreamPage *page, int limit)
{
	AtxService	service;

	if (read_service(reading, &page->stream, &service))
	{
		page->watched = service.watched;
		page->continues = service.watched && service.history == page->stream.history;
		page->newest = service.revision;
		page->oldest = service.oldest;
		page->namespace = service.namespace;
	}
	add_replayed(reading->snapshot, page, limit);
	/* Every revision of a service that is watched is an event. */
	if (!page->continues || service.revision > page->stream.revision)
		add_events(reading, page, limit);
	page->complete = page->count < limit;
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
	Reading		reading;
	bool		found;

	begin_reading(&reading);
	memset(page, 0, sizeof(*page));
	found = atx_stream_find_in(reading.snapshot, session_id, sequence_num, &page->stream);
	if (found)
		fill_page(&reading, page, limit);
	end_reading(&reading);
	return found;
}

/*
 * The same of all streams of a session, each with up to limit; returns how
 * many streams.
 */
int
atx_stream_pages(int64 session_id, int limit, AtxStreamPage **pages)
{
	Reading		reading;
	AtxStream  *streams;
	int			n;

	begin_reading(&reading);
	n = atx_streams_in(reading.snapshot, session_id, &streams);
	*pages = palloc0(sizeof(AtxStreamPage) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(*pages)[i].stream = streams[i];
		fill_page(&reading, &(*pages)[i], limit);
	}
	end_reading(&reading);
	return n;
}

/*
 * The revision at which the stream of a page stands once its outputs up to
 * one that the page has are acknowledged.
 */
int64
atx_stream_page_revision(const AtxStreamPage *page, int64 output_num)
{
	const AtxStream *stream = &page->stream;
	int			last = page->count - 1;

	if (stream->closed != 0 || output_num <= Max(stream->acked, stream->preface))
		return stream->revision;
	if (page->complete)
		return page->newest;
	while (page->events[last].output_num != output_num)
		last--;
	return page->events[last].event.revision;
}

/*
 * The revision up to which a stream needs no events once count more of them
 * are acknowledged: all that follow up to the next one are none of its.  False
 * if there are not so many.
 */
static bool
revision_after(const AtxStream *stream, int64 count, int64 *revision)
{
	Reading		reading;
	AtxService	service = {0};
	AtxEvent	event = {0};
	int64		seen = 0;

	begin_reading(&reading);
	if (read_service(&reading, stream, &service) && wants_each_revision(stream, &service))
	{
		seen = Min(count + 1, service.revision - stream->revision);
		event.revision = stream->revision + seen;
	}
	else
	{
		scan_events(&reading, stream);
		while (seen <= count && atx_event_scan_next(&reading.events, &event))
			seen++;
	}
	end_reading(&reading);
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
event_index(Reading *reading, const AtxStream *stream, int64 count)
{
	AtxEvent	event = {0};

	scan_events(reading, stream);
	while (count > 0 && atx_event_scan_next(&reading->events, &event))
		count--;
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
	Reading		reading;
	int64		index = 0;

	begin_reading(&reading);
	if (output_num <= before)
		index = replayed_index(reading.snapshot, stream, output_num);
	else if (stream->closed == 0)
		index = event_index(&reading, stream, output_num - before);
	end_reading(&reading);
	return index;
}

static bool
has_event(Reading *reading, const AtxStream *stream)
{
	AtxEvent	event;

	scan_events(reading, stream);
	return atx_event_scan_next(&reading->events, &event);
}

/* Has a stream that is not closed events that are not acknowledged? */
static bool
has_news(Reading *reading, const AtxStream *stream)
{
	AtxService	service;

	if (!read_service(reading, stream, &service) ||
		!service.watched || service.history != stream->history)
		return true;
	return service.revision > stream->revision &&
		(wants_each_revision(stream, &service) || has_event(reading, stream));
}

static bool
is_pending(Reading *reading, const AtxStream *stream)
{
	if (stream->acked < Max(stream->closed, stream->preface))
		return true;
	return stream->closed == 0 && has_news(reading, stream);
}

/*
 * Has any of some streams, as they were read, outputs that are not
 * acknowledged?  One that cannot be continued has something to tell, too.
 */
bool
atx_stream_any_pending(const AtxStream *streams, int n)
{
	Reading		reading;
	bool		found = false;

	if (n == 0)
		return false;
	begin_reading(&reading);
	for (int i = 0; i < n && !found; i++)
		found = is_pending(&reading, &streams[i]);
	end_reading(&reading);
	return found;
}
