/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  Streams of sessions: commands whose outputs are the events of a service.
 *
 * A stream has a first output that opens it, then what was there when it was
 * opened, if it asked for that, then the events of its service that match it,
 * and perhaps a last one that closes it.  They are numbered from 1 without
 * gaps, from the position that its client has acknowledged.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_STREAM_TABLE_H
#define ATX_STREAM_TABLE_H

#include "base/status.h"
#include "tables/event.h"

typedef enum AtxStreamKind
{
	ATX_STREAM_EVENTS,			/* changes */
	ATX_STREAM_ENTRIES,			/* what there is, perhaps with its changes */
	ATX_STREAM_TERM				/* the term of an election */
} AtxStreamKind;

typedef struct AtxStream
{
	int64		session_id;
	int64		sequence_num;	/* of the command that opened it */
	int64		service_id;
	int64		revision;		/* events up to it are acknowledged or none of
								 * its */
	int64		acked;			/* outputs that are acknowledged */
	int64		preface;		/* outputs that come before events */
	int64		closed;			/* number of its last output; 0: it goes on */
	int64		history;		/* in which its events are */
	AtxStatus	status;			/* of its end */
	AtxStreamKind kind;
	char	   *type;			/* of the service */
	char	   *key;			/* of the events; NULL: of all keys */
	char	   *event;			/* type of the events; NULL: all */
	char	   *reason;			/* of its end; NULL: none */
	ItemPointerData row;		/* where it was read, if that is valid */
} AtxStream;

/* An output that is an event, or something that was there before. */
typedef struct AtxStreamEvent
{
	int64		output_num;
	AtxEvent	event;
} AtxStreamEvent;

/* A stream with outputs that follow what is acknowledged. */
typedef struct AtxStreamPage
{
	AtxStream	stream;
	int64		newest;			/* revision of its service */
	int64		oldest;			/* revision after which events are kept */
	bool		watched;		/* its service's changes are events */
	bool		continues;		/* and have been in one history, or the stream
								 * was resumed */
	char	   *namespace;		/* of its service; NULL: it was deleted */
	AtxStreamEvent *events;
	int			count;
	int			room;
	bool		complete;		/* there were no more of them */
} AtxStreamPage;

/* The streams that an end of events is about. */
typedef struct AtxStreamsOf
{
	int64		service_id;
	int64		newest;			/* revision of the service */
	int64		history;		/* the number of its history, up to which
								 * revisions are of earlier ones */
	int64		session_id;		/* 0: of all sessions */
	int64		unread_to;		/* that have not read all up to that revision;
								 * 0: all */
} AtxStreamsOf;

/* The type of an event that tells of what was there before. */
#define ATX_EVENT_REPLAY	"replay"

extern void atx_stream_insert(const AtxStream *stream);
extern int64 atx_stream_replay_entries(const AtxStream *stream, const AtxMoment *moment,
									   int64 limit);
extern void atx_stream_replay_value(const AtxStream *stream, const char *key,
									const bytea *value, int64 index);
extern bool atx_stream_find_in(Snapshot snapshot, int64 session_id, int64 sequence_num,
							   AtxStream *stream);
extern int	atx_streams_in(Snapshot snapshot, int64 session_id, AtxStream **streams);
extern bool atx_stream_page(int64 session_id, int64 sequence_num, int limit,
							AtxStreamPage *page);
extern int	atx_stream_pages(int64 session_id, int limit, AtxStreamPage **pages);
extern bool atx_stream_lock(int64 session_id, int64 sequence_num, bool wait,
							AtxStream *stream);
extern void atx_stream_require_unchanged(const AtxStream *stream);
extern bool atx_stream_exists(int64 session_id, int64 sequence_num);
extern bool atx_stream_locate(const AtxStream *stream, int64 output_num, int64 *revision);
extern int64 atx_stream_index(const AtxStream *stream, int64 output_num);
extern void atx_stream_resume(const AtxStream *stream, int64 history);
extern void atx_stream_acknowledge(const AtxStream *stream, int64 output_num, int64 revision);
extern bool atx_stream_try_acknowledge(const AtxStream *stream, int64 output_num,
									   int64 revision);
extern int64 atx_stream_page_revision(const AtxStreamPage *page, int64 output_num);
extern bool atx_stream_any_of_session(int64 session_id);
extern int64 atx_stream_count(int64 session_id, int64 limit);
extern int	atx_stream_of_session(int64 session_id, AtxStream **streams);
extern bool atx_stream_any_pending(const AtxStream *streams, int count);
extern int	atx_stream_sessions(const int64 *service_ids, int count, int64 **session_ids);
extern bool atx_stream_any_of_service(int64 service_id);
extern int	atx_stream_close(const AtxStreamsOf *which, AtxStatus status, const char *reason,
							 AtxStream **closed);
extern int64 atx_stream_lock_to_advance(int64 service_id, int64 revision);
extern void atx_stream_advance(int64 service_id, int64 revision);
extern void atx_stream_advance_idle(int64 service_id, int64 revision);
extern void atx_stream_forget(int64 session_id, const int64 *numbers, int count);
extern void atx_stream_forget_sessions(const int64 *session_ids, int count);

#endif							/* ATX_STREAM_TABLE_H */
