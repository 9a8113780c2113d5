/*-------------------------------------------------------------------------
 *
 * feeds.c
 *	  Watching services, and keeping their events for as long as promised.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"

#include "atomix.h"
#include "base/private_lock.h"
#include "base/settings.h"
#include "commands/feeds.h"
#include "commands/jump.h"
#include "commands/placement.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "services/feed.h"
#include "services/stream.h"
#include "tables/claim.h"
#include "tables/entry.h"
#include "tables/limit.h"
#include "tables/placement.h"

static int64
retention(void)
{
	return atx_event_retention * ATX_TICKS_PER_SEC;
}

static AtxAnswer
no_such_service(const AtxWatch *watch)
{
	AtxAnswer	answer = atx_answer(ATX_SERVICE_TYPE_UNKNOWN,
									psprintf("service \"%s\" does not exist", watch->name));

	answer.hint = pstrdup("A service comes into being with its first use.");
	return answer;
}

static AtxAnswer
find(const AtxWatch *watch, AtxService *service)
{
	AtxAnswer	answer = atx_check_service_name(watch->namespace, watch->name);

	if (answer.outcome == ATX_DONE)
		answer = atx_check_name_here(watch->namespace, watch->name);
	if (answer.outcome == ATX_DONE)
		atx_require_right(watch->namespace, ATX_PRIVILEGE_READ);
	/* The position must fit the state that the transaction reads. */
	atx_scope_read_on();
	if (answer.outcome == ATX_DONE &&
		!atx_service_find(atx_partition_here(), watch->namespace, watch->name, service))
		answer = no_such_service(watch);
	return answer;
}

/* Half of the time is enough, so that not each look has to write. */
static bool
must_register(const AtxService *service, const AtxMoment *moment)
{
	return !service->watched || service->watched_until < moment->now + retention() / 2;
}

/*
 * What a transaction with one snapshot reads of the state must be no older
 * than the position from which it watches: ERROR 40001 if it would be.
 */
static void
require_same_state(const AtxService *service)
{
	atx_service_require_unchanged(service->service_id);
	if (service->watched)
		return;
	atx_entry_require_unchanged(service->service_id, NULL);
	atx_claims_require_unchanged(service->service_id);
}

/*
 * Have the changes of a service be events from now on.  Whoever writes to it
 * has either committed by then, or waits until we have.
 */
AtxAnswer
atx_register_watch(const AtxWatch *watch, AtxService *service)
{
	AtxCall		call = {0};
	AtxAnswer	answer = atx_await_authority(&call.authority);

	if (answer.outcome == ATX_DONE)
		answer = find(watch, service);
	if (answer.outcome != ATX_DONE)
		return answer;
	call.moment = atx_moment(call.authority);
	if (!must_register(service, &call.moment))
		return answer;
	atx_lock_service(service->service_id, 0, ATX_ACCESS_EXCLUSIVE);
	if (!atx_service_load(service->service_id, &call.service))
		return no_such_service(watch);
	require_same_state(&call.service);
	call.moment = atx_moment(call.authority);
	if (must_register(&call.service, &call.moment))
		atx_feed_begin(&call, retention());
	*service = call.service;
	return answer;
}

static AtxAnswer
compacted(const AtxWatch *watch, const AtxEventPage *page)
{
	AtxAnswer	answer = atx_answer(ATX_COMPACTED,
									psprintf("events of service \"%s\" after revision " INT64_FORMAT " are no longer kept",
											 watch->name, watch->after));

	answer.detail = psprintf("The oldest position to go on from is " INT64_FORMAT ".", page->oldest);
	answer.hint = pstrdup("Read the present state, then watch from that revision.");
	return answer;
}

static AtxAnswer
check_position(const AtxWatch *watch, const AtxEventPage *page)
{
	if (!page->watched)
	{
		AtxAnswer	answer = atx_answer(ATX_SERVICE_NOT_OPEN,
										psprintf("service \"%s\" is not watched", watch->name));

		answer.hint = pstrdup("Watch it in a transaction that can write.");
		return answer;
	}
	if (watch->after == ATX_FROM_OLDEST)
		return ATX_ANSWER_DONE;
	if (watch->after > page->newest)
		return atx_answer(ATX_INVALID,
						  psprintf("service \"%s\" has not reached revision " INT64_FORMAT,
								   watch->name, watch->after));
	return watch->after < page->oldest ? compacted(watch, page) : ATX_ANSWER_DONE;
}

/* The same for who cannot have it watched. */
static AtxAnswer
find_to_read(const AtxWatch *watch, AtxService *service)
{
	const AtxAuthority *authority;
	AtxAnswer	answer = ATX_ANSWER_DONE;

	/* Whose history this is, is known after the jump. */
	if (!RecoveryInProgress())
		answer = atx_await_authority(&authority);
	return answer.outcome == ATX_DONE ? find(watch, service) : answer;
}

/*
 * Read events of a service, which is watched from then on.
 */
AtxAnswer
atx_watch(const AtxWatch *watch, AtxEventPage *page)
{
	AtxService	service = {0};
	AtxAnswer	answer = RecoveryInProgress() || XactReadOnly ?
	find_to_read(watch, &service) : atx_register_watch(watch, &service);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (!atx_event_page(service.service_id, Max(watch->after, 0), watch->key, watch->limit, page))
		return no_such_service(watch);
	page->watched &= service.watched;
	if (page->count > 0)
		atx_event_make_durable(&page->events[page->count - 1]);
	return check_position(watch, page);
}

/* Lock a service and read it, without waiting; false if that cannot be. */
static bool
try_service(int64 service_id, AtxAccess access, AtxService *service)
{
	bool		locked = access == ATX_ACCESS_SHARED ?
	atx_try_lock_shared(ATX_LOCK_SERVICE, service_id) :
	atx_try_lock_exclusive(ATX_LOCK_SERVICE, service_id);

	if (locked && atx_service_load(service_id, service) && !atx_needs_order(service, access))
		return true;
	if (locked)
		atx_unlock_service(service_id, access);
	return false;
}

/* Begin a call on a service if nobody is in the way; false if somebody is. */
static bool
try_call(const AtxAuthority *authority, int64 service_id, AtxAccess access, AtxCall *call)
{
	memset(call, 0, sizeof(*call));
	if (!try_service(service_id, access, &call->service))
		return false;
	call->authority = authority;
	call->type = atx_service_type_get(call->service.type);
	call->moment = atx_moment(authority);
	return true;
}

static int
expire_service(const AtxAuthority *authority, int64 service_id, int limit)
{
	AtxCall		call;
	AtxEntry   *entries;
	int			count;

	/* Beside others where nobody watches: a busy map is never free. */
	if (!try_call(authority, service_id, ATX_ACCESS_SHARED, &call) &&
		!try_call(authority, service_id, ATX_ACCESS_EXCLUSIVE, &call))
		return 0;
	count = atx_entry_expire(service_id, &call.moment, limit, &entries);
	for (int i = 0; i < count; i++)
	{
		atx_limit_write_entry(call.service.namespace, entries[i].key, entries[i].value, NULL);
		atx_feed_add(&call, "expired", entries[i].key, NULL, entries[i].value);
	}
	atx_save_service(&call);
	return count;
}

/*
 * Remove up to limit entries whose time to live is over, of services that
 * nobody is using; returns how many.
 */
int
atx_expire_entries(const AtxAuthority *authority, int limit)
{
	AtxMoment	moment = atx_moment(authority);
	int64	   *service_ids = palloc(sizeof(int64) * limit);
	int			services = atx_entry_services_due(&moment, Min(limit, ATX_MAX_PRIVATE_LOCKS / 2),
												  service_ids);
	int			count = 0;

	for (int i = 0; i < services && count < limit; i++)
		count += expire_service(authority, service_ids[i], limit - count);
	return count;
}

/*
 * Nobody has asked for events for a while: they end, unless streams of live
 * sessions go on; false then.
 */
static bool
end_unless_streamed(AtxCall *call, int64 *forgotten)
{
	if (call->service.watched && atx_stream_any_of_service(call->service.service_id))
	{
		atx_feed_begin(call, retention());
		return false;
	}
	*forgotten += atx_feed_end(call);
	return true;
}

/*
 * Have the streams of a service not need the events up to a revision: those
 * that have not acknowledged all of theirs fall behind and are closed.  A
 * client that is acknowledging just now is left: returns the revision up to
 * which events can go.
 */
static int64
leave_behind(const AtxCall *call, int64 revision)
{
	AtxStreamsOf late = {
		.service_id = call->service.service_id,
		.newest = call->service.revision,
		.history = call->service.history
	};

	if (!atx_stream_any_of_service(late.service_id))
		return revision;
	revision = late.unread_to = atx_stream_lock_to_advance(late.service_id, revision);
	atx_streams_close(&late, atx_status_of(ATX_COMPACTED),
					  "events were not acknowledged for as long as they are kept");
	atx_stream_advance(late.service_id, revision);
	return revision;
}

/*
 * Forget events of a service that need not be kept, or all if nobody watches;
 * false if there are more of them than are forgotten at once.
 */
static bool
retire(AtxCall *call, int64 *forgotten)
{
	AtxService *service = &call->service;
	int64		last;
	int64		revision;

	if ((!service->watched || service->watched_until <= call->moment.now) &&
		end_unless_streamed(call, forgotten))
		return true;
	if (atx_stream_any_of_service(service->service_id))
		atx_stream_advance_idle(service->service_id, service->revision);
	last = atx_event_retire(service, &call->moment, retention(),
							atx_event_retention_count);
	revision = atx_event_some_to(service, last, ATX_RETIRE_EVENTS);
	if (revision > service->oldest)
		revision = leave_behind(call, revision);
	if (revision <= service->oldest)
		return true;
	*forgotten += atx_event_delete(service->service_id, service->oldest, revision);
	service->oldest = revision;
	atx_service_save_watch(service, call->moment.epoch);
	return revision == last;
}

/*
 * A step of a pass over all services that are watched.
 */
void
atx_retire_events(const AtxAuthority *authority, AtxRetirement *retirement)
{
	int64		service_ids[ATX_RETIRE_BATCH];
	AtxMoment	moment = atx_moment(authority);
	int64		forgotten = 0;
	int			count;
	int			i;

	if (retirement->after == 0)
		atx_event_merge_floors();
	atx_service_enter_epoch(&moment, retention());
	count = atx_services_watched(retirement->after, ATX_RETIRE_BATCH, service_ids);
	retirement->nbusy = 0;
	for (i = 0; i < count && forgotten < ATX_RETIRE_EVENTS; i++)
	{
		AtxCall		call;

		CHECK_FOR_INTERRUPTS();
		if (!try_call(authority, service_ids[i], ATX_ACCESS_EXCLUSIVE, &call))
		{
			if (atx_event_overdue(service_ids[i], &moment, retention(), atx_event_retention_count))
				retirement->busy[retirement->nbusy++] = service_ids[i];
		}
		else if (call.service.watched_until != 0 && !retire(&call, &forgotten))
			break;
		retirement->after = service_ids[i];
	}
	retirement->complete = i == count && count < ATX_RETIRE_BATCH;
}

/*
 * The same for one that somebody always uses, where trying never succeeds:
 * we wait our turn.  False if there is more to forget.
 */
bool
atx_retire_in_turn(const AtxAuthority *authority, int64 service_id)
{
	int64		forgotten = 0;
	AtxCall		call;

	atx_lock_service(service_id, 0, ATX_ACCESS_EXCLUSIVE);
	return !try_call(authority, service_id, ATX_ACCESS_EXCLUSIVE, &call) ||
		call.service.watched_until == 0 || retire(&call, &forgotten);
}
