/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  The feed of a service: its changes, as those who watch it see them.
 *
 * Revisions are taken under the service's exclusive lock, which is given back
 * after the commit is visible: so the order of revisions is the order of
 * commits, and there are no gaps.  Every switch from unwatched to watched
 * takes a revision, too, so that a position from before does not look like
 * one without news.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/doorbell.h"
#include "services/feed.h"
#include "tables/event.h"

/*
 * Tell those who watch the service of a change, once the transaction commits.
 */
void
atx_feed_add(AtxCall *call, const char *type, const char *key, const bytea *value,
			 const bytea *prev_value)
{
	AtxEvent	event = {
		.service_id = call->service.service_id,
		.type = type,
		.key = key,
		.value = value,
		.prev_value = prev_value
	};

	if (!call->service.watched)
		return;
	event.revision = ++call->service.revision;
	event.index = atx_call_index(call);
	atx_event_insert(&event, &call->moment);
	call->dirty = true;
	atx_doorbell_ring(call->service.service_id);
}

/*
 * A number as the value of an event: its digits.
 */
bytea *
atx_feed_number(int64 number)
{
	char	   *digits = psprintf(INT64_FORMAT, number);

	return (bytea *) cstring_to_text(digits);
}

/*
 * The number that is the value of an event; 0 if there is none.
 */
int64
atx_feed_number_of(const bytea *value)
{
	return value == NULL ? 0 : pg_strtoint64(text_to_cstring((const text *) value));
}

/*
 * Have the changes of the service be events for the next retention ticks.
 */
void
atx_feed_begin(AtxCall *call, int64 retention)
{
	AtxService *service = &call->service;

	if (!service->watched)
	{
		/*
		 * Elsewhere, its history may have come further than what we have, and
		 * so may another service of its name that was deleted.
		 */
		service->history = call->authority->history;
		service->revision = Max(Max(service->revision, service->history), atx_event_floor()) + 1;
		service->oldest = service->revision;
		(void) atx_event_delete(service->service_id, 0, service->revision);
	}
	service->watched = true;
	service->watched_until = call->moment.now + retention;
	atx_service_save_watch(service, call->moment.epoch);
}

/*
 * Have them be events no more; returns how many are forgotten.
 */
int64
atx_feed_end(AtxCall *call)
{
	int64		forgotten = atx_event_delete(call->service.service_id, 0, call->service.revision);

	call->service.watched = false;
	call->service.oldest = call->service.revision;
	atx_service_save_watch(&call->service, call->moment.epoch);
	return forgotten;
}
