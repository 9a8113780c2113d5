/*-------------------------------------------------------------------------
 *
 * stream.h
 *	  Operations whose outputs go on: streams of a service's events.
 *
 * The calls hold the service's lock exclusive.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_STREAM_H
#define ATX_STREAM_H

#include "services/service_type.h"
#include "tables/stream.h"

/* Entries that a stream may begin with. */
#define ATX_MAX_REPLAY		100000

/* What a stream is to tell. */
typedef struct AtxStreamRequest
{
	AtxStreamKind kind;
	const char *key;			/* NULL: changes of all keys */
	const char *event;			/* type of events; NULL: all */
	bool		replay_entries; /* the entries that are there come first */
	const bytea *replay_value;	/* or this value does; NULL: none */
	const char *replay_key;
	bool		ends;			/* with what was there: no changes */
} AtxStreamRequest;

extern void atx_stream_open(AtxCall *call, const AtxStreamRequest *request, AtxReply *reply);
extern void atx_streams_close(const AtxStreamsOf *which, AtxStatus status, const char *reason);

#endif							/* ATX_STREAM_H */
