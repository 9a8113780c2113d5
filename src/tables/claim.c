/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Table claim: claims of sessions on services.
 *
 * The key's second column orders the claims of a service: granted ones come
 * first, by minus their tokens, then those that wait, in their order.  So the
 * holder and the next in the queue are found at once, however many wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/arrays.h"
#include "base/rows.h"
#include "base/spi.h"
#include "base/transaction.h"
#include "tables/claim.h"

/* Columns by their position in the table. */
enum
{
	CLAIM_SERVICE_ID = 1,
	CLAIM_POSITION,
	CLAIM_CLAIM_ID,
	CLAIM_SESSION_ID,
	CLAIM_SEQUENCE_NUM,
	CLAIM_WAIT_UNTIL,
	CLAIM_WAIT_FOR,
	CLAIM_SINCE,
	CLAIM_WEIGHT,
	CLAIM_PRIORITY,
	CLAIM_WAIT_EPOCH,
	CLAIM_CANDIDATE,
	CLAIM_QUEUE_FROM,
	CLAIM_COLUMNS = CLAIM_QUEUE_FROM
};

/*
 * A scan reads a page of the index as a whole, however long the queue is, but
 * no further than it may go.  The next in a busy queue is mostly this near.
 */
#define NEAR	32

static AtxTable by_service = {"claim", "claim_pkey"};
static AtxTable by_session = {"claim", "claim_session"};

/* Those that wait for nothing any more: the session is gone, or their time. */
static AtxStatement over = {
	"SELECT c.position FROM atomix.claim c WHERE c.service_id = $1 AND c.position > 0"
	" AND (c.wait_epoch = $2 AND c.wait_until <= $3"
	" OR NOT EXISTS (SELECT FROM atomix.lease l WHERE l.session_id = c.session_id))"
	" ORDER BY c.position LIMIT 1000",
	3, {INT8OID, INT4OID, INT8OID}
};

static AtxStatement versions = {
	"SELECT pg_catalog.count(*),"
	" COALESCE(pg_catalog.sum(c.xmin::pg_catalog.text::pg_catalog.int8), 0)::pg_catalog.int8"
	" FROM atomix.claim c WHERE c.service_id = $1",
	1, {INT8OID}
};

static AtxStatement services_of_session = {
	"SELECT DISTINCT c.service_id FROM atomix.claim c WHERE c.session_id = $1"
	" ORDER BY c.service_id LIMIT $2",
	2, {INT8OID, INT8OID}
};

static AtxStatement services_of_closing = {
	"SELECT DISTINCT c.service_id FROM atomix.session s"
	" JOIN atomix.claim c ON c.session_id = s.session_id"
	" WHERE s.state = 'closing' AND c.service_id > $2 ORDER BY c.service_id LIMIT $1",
	2, {INT8OID, INT8OID}
};

static AtxStatement services_due = {
	"SELECT DISTINCT c.service_id FROM atomix.claim c"
	" WHERE c.wait_epoch = $1 AND c.wait_until <= $2 AND c.service_id > $4"
	" ORDER BY c.service_id LIMIT $3",
	4, {INT4OID, INT8OID, INT8OID, INT8OID}
};

/* What hold() leaves: somebody waits, and nobody has it. */
static AtxStatement services_idle = {
	"SELECT DISTINCT c.service_id FROM atomix.claim c WHERE c.position > 0"
	" AND NOT EXISTS (SELECT FROM atomix.claim g"
	" WHERE g.service_id = c.service_id AND g.position < 0) AND c.service_id > $2"
	" ORDER BY c.service_id LIMIT $1",
	2, {INT8OID, INT8OID}
};

static AtxStatement services_waited_for = {
	"SELECT DISTINCT c.service_id FROM atomix.claim c"
	" WHERE c.position > 0 AND c.service_id > $2 ORDER BY c.service_id LIMIT $1",
	2, {INT8OID, INT8OID}
};

/* In order of the index, so that claims of an earlier epoch come first. */
static AtxStatement next_due = {
	"SELECT c.wait_until, c.wait_epoch FROM atomix.claim c"
	" WHERE c.wait_until IS NOT NULL ORDER BY c.wait_epoch, c.wait_until LIMIT 1"
};

/* They keep what remained at the last beat of their epoch. */
static AtxStatement enter_epoch = {
	"UPDATE atomix.claim c SET wait_epoch = $1,"
	" wait_until = $2 + GREATEST(0, LEAST(c.wait_for, c.wait_until - COALESCE(("
	"SELECT e.last_beat FROM atomix.clock_epoch e WHERE e.epoch = c.wait_epoch"
	"), 0)))"
	" WHERE c.wait_epoch <> $1",
	2, {INT4OID, INT8OID}
};

static void
read_row(AtxCursor *cursor, AtxClaim *claim)
{
	bool		isnull;
	Datum		value;

	claim->service_id = atx_cursor_int64(cursor, CLAIM_SERVICE_ID);
	claim->position = atx_cursor_int64(cursor, CLAIM_POSITION);
	claim->claim_id = atx_cursor_int64(cursor, CLAIM_CLAIM_ID);
	claim->session_id = atx_cursor_int64(cursor, CLAIM_SESSION_ID);
	claim->sequence_num = atx_cursor_int64(cursor, CLAIM_SEQUENCE_NUM);
	claim->since = DatumGetTimestampTz(atx_cursor_datum(cursor, CLAIM_SINCE, &isnull));
	claim->weight = DatumGetInt32(atx_cursor_datum(cursor, CLAIM_WEIGHT, &isnull));
	claim->priority = DatumGetInt32(atx_cursor_datum(cursor, CLAIM_PRIORITY, &isnull));
	claim->written_here = atx_cursor_written_here(cursor);
	value = atx_cursor_datum(cursor, CLAIM_WAIT_UNTIL, &isnull);
	claim->wait_until = isnull ? ATX_WAIT_FOR_EVER : DatumGetInt64(value);
	claim->wait_for = atx_cursor_int64(cursor, CLAIM_WAIT_FOR);
	claim->queue_from = atx_cursor_int64(cursor, CLAIM_QUEUE_FROM);
	claim->candidate = atx_cursor_text(cursor, CLAIM_CANDIDATE);
}

/*
 * Open the table to change claims.  COMMIT PREPARED would wake nobody who
 * waits for what becomes of them.
 */
static void
open_to_change(AtxCursor *cursor)
{
	atx_transaction_used_session();
	atx_cursor_open(cursor, &by_service, true);
}

/*
 * Insert a claim.
 */
void
atx_claim_insert(const AtxClaim *claim, const AtxMoment *moment)
{
	Datum		values[CLAIM_COLUMNS] = {0};
	bool		nulls[CLAIM_COLUMNS] = {false};
	bool		for_ever = claim->wait_until == ATX_WAIT_FOR_EVER;
	AtxCursor	cursor;

	values[CLAIM_SERVICE_ID - 1] = Int64GetDatum(claim->service_id);
	values[CLAIM_POSITION - 1] = Int64GetDatum(claim->position);
	values[CLAIM_CLAIM_ID - 1] = Int64GetDatum(claim->claim_id);
	values[CLAIM_SESSION_ID - 1] = Int64GetDatum(claim->session_id);
	values[CLAIM_SEQUENCE_NUM - 1] = Int64GetDatum(claim->sequence_num);
	values[CLAIM_WAIT_UNTIL - 1] = Int64GetDatum(claim->wait_until);
	values[CLAIM_WAIT_FOR - 1] = Int64GetDatum(claim->wait_until - moment->now);
	values[CLAIM_SINCE - 1] = TimestampTzGetDatum(atx_wall_now());
	values[CLAIM_WEIGHT - 1] = Int32GetDatum(claim->weight);
	values[CLAIM_PRIORITY - 1] = Int32GetDatum(claim->priority);
	values[CLAIM_WAIT_EPOCH - 1] = Int32GetDatum(moment->epoch);
	nulls[CLAIM_WAIT_UNTIL - 1] = nulls[CLAIM_WAIT_FOR - 1] =
		nulls[CLAIM_WAIT_EPOCH - 1] = for_ever;
	values[CLAIM_QUEUE_FROM - 1] = Int64GetDatum(claim->queue_from);
	nulls[CLAIM_QUEUE_FROM - 1] = claim->queue_from == 0;
	nulls[CLAIM_CANDIDATE - 1] = claim->candidate == NULL;
	if (claim->candidate != NULL)
		values[CLAIM_CANDIDATE - 1] = CStringGetTextDatum(claim->candidate);
	open_to_change(&cursor);
	atx_cursor_insert(&cursor, values, nulls);
	atx_cursor_close(&cursor);
}

/*
 * The claim at a position; false if there is none.
 */
bool
atx_claim_find(int64 service_id, int64 position, AtxClaim *claim)
{
	Snapshot	snapshot = atx_snapshot_take();
	int64		key[] = {service_id, position};
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &by_service, false);
	found = atx_cursor_find(&cursor, snapshot, key, 2);
	if (found)
		read_row(&cursor, claim);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/* Begin with the granted claims of a service: no others are looked at. */
static void
begin_granted(AtxCursor *cursor, Snapshot snapshot, int64 service_id)
{
	atx_cursor_begin_to(cursor, snapshot, service_id, -1);
}

/*
 * The claim on a service that was granted latest; false if there is none.
 */
bool
atx_claim_granted(int64 service_id, AtxClaim *claim)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &by_service, false);
	begin_granted(&cursor, snapshot, service_id);
	found = atx_cursor_next(&cursor);
	if (found)
		read_row(&cursor, claim);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * ERROR 40001 at REPEATABLE READ and above if others have changed claims of
 * the service since the transaction's snapshot.
 */
void
atx_claims_require_unchanged(int64 service_id)
{
	Datum		values[] = {Int64GetDatum(service_id)};

	atx_require_unchanged(&versions, values, NULL);
}

/* Claims as they are found. */
typedef struct Found
{
	AtxClaim   *claims;
	int			count;
	int			room;
} Found;

static AtxClaim *
next_found(Found *found)
{
	if (found->count == found->room)
		found->claims = atx_array_grow(CurrentMemoryContext, found->claims, &found->room,
									   sizeof(AtxClaim));
	return &found->claims[found->count++];
}

/*
 * The granted claims of a service, latest grant first, or with the waiting
 * ones after them all in order; returns how many.
 */
int
atx_claims_of_service(int64 service_id, bool with_waiting, AtxClaim **claims)
{
	Snapshot	snapshot = atx_snapshot_take();
	Found		found = {0};
	AtxCursor	cursor;

	atx_cursor_open(&cursor, &by_service, false);
	if (with_waiting)
		atx_cursor_begin(&cursor, snapshot, &service_id, 1);
	else
		begin_granted(&cursor, snapshot, service_id);
	while (atx_cursor_next(&cursor))
		read_row(&cursor, next_found(&found));
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	*claims = found.claims;
	return found.count;
}

/*
 * Those that wait for a service although their session has ended, or their
 * time, the first thousand of them; returns how many.
 */
int
atx_claims_over(int64 service_id, const AtxMoment *moment, AtxClaim **claims)
{
	Datum		values[] = {
		Int64GetDatum(service_id),
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now)
	};
	int			count = (int) atx_execute(&over, values, NULL);
	int64	   *positions = palloc(sizeof(int64) * Max(count, 1));
	Found		found = {0};

	for (int i = 0; i < count; i++)
		positions[i] = atx_result_int64(i, 1);
	for (int i = 0; i < count; i++)
		if (!atx_claim_find(service_id, positions[i], next_found(&found)))
			found.count--;
	*claims = found.claims;
	return found.count;
}

/*
 * The first claim in the queue of a service, which is known to have nobody up
 * to the position queue_from; false if nobody waits.
 */
bool
atx_claim_first_waiting(int64 service_id, int64 queue_from, AtxClaim *claim)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	bool		found;

	atx_cursor_open(&cursor, &by_service, false);
	atx_cursor_begin_between(&cursor, snapshot, service_id, queue_from,
							 queue_from + NEAR);
	found = atx_cursor_next(&cursor);
	if (!found)
	{
		atx_cursor_begin_after(&cursor, snapshot, service_id, queue_from);
		found = atx_cursor_next(&cursor);
	}
	if (found)
		read_row(&cursor, claim);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return found;
}

/*
 * The claims of a session on a service, or on all if that is 0; returns how
 * many.
 */
int
atx_claims_of_session(int64 session_id, int64 service_id, AtxClaim **claims)
{
	Snapshot	snapshot = atx_snapshot_take();
	int64		key[] = {session_id, service_id};
	Found		found = {0};
	AtxCursor	cursor;

	atx_cursor_open(&cursor, &by_session, false);
	atx_cursor_begin(&cursor, snapshot, key, service_id == 0 ? 1 : 2);
	while (atx_cursor_next(&cursor))
		read_row(&cursor, next_found(&found));
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	*claims = found.claims;
	return found.count;
}

/*
 * Has the session any claim?
 */
bool
atx_claim_any_of_session(int64 session_id)
{
	return atx_row_exists(&by_session, &session_id, 1);
}

static int
count_rest(AtxCursor *cursor, int limit)
{
	int			count = 0;

	while (count < limit && atx_cursor_next(cursor))
		count++;
	return count;
}

/*
 * How many claims a session has, counting to limit.
 */
int
atx_claims_count_of_session(int64 session_id, int limit)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	int			count;

	atx_cursor_open(&cursor, &by_session, false);
	atx_cursor_begin(&cursor, snapshot, &session_id, 1);
	count = count_rest(&cursor, limit);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return count;
}

/*
 * How many claims wait for a service, which is known to have nobody up to the
 * position queue_from, counting to limit.
 */
int
atx_claims_count_waiting(int64 service_id, int64 queue_from, int limit)
{
	Snapshot	snapshot = atx_snapshot_take();
	AtxCursor	cursor;
	int			count;

	atx_cursor_open(&cursor, &by_service, false);
	atx_cursor_begin_after(&cursor, snapshot, service_id, queue_from);
	count = count_rest(&cursor, limit);
	atx_cursor_close(&cursor);
	atx_snapshot_release(snapshot);
	return count;
}

/* Move the cursor, open to write, to a claim that was read before. */
static void
go_to(AtxCursor *cursor, const AtxClaim *claim)
{
	Snapshot	snapshot = atx_snapshot_take();
	int64		key[] = {claim->service_id, claim->position};

	open_to_change(cursor);
	if (!atx_cursor_find(cursor, snapshot, key, 2))
		elog(ERROR, "claim " INT64_FORMAT " is gone", claim->claim_id);
	atx_snapshot_release(snapshot);
}

/*
 * Give a claim another position: grant it, or move it in the queue.  A grant
 * waits for nothing any more.
 */
void
atx_claim_change(const AtxClaim *claim, int64 position, const AtxMoment *moment)
{
	Datum		values[CLAIM_COLUMNS] = {0};
	bool		nulls[CLAIM_COLUMNS] = {false};
	bool		replaced[CLAIM_COLUMNS] = {false};
	AtxCursor	cursor;

	values[CLAIM_POSITION - 1] = Int64GetDatum(position);
	replaced[CLAIM_POSITION - 1] = true;
	if (position < 0)
	{
		values[CLAIM_SINCE - 1] = TimestampTzGetDatum(atx_wall_now());
		replaced[CLAIM_SINCE - 1] = replaced[CLAIM_WAIT_UNTIL - 1] =
			replaced[CLAIM_WAIT_FOR - 1] = replaced[CLAIM_WAIT_EPOCH - 1] = true;
		nulls[CLAIM_WAIT_UNTIL - 1] = nulls[CLAIM_WAIT_FOR - 1] =
			nulls[CLAIM_WAIT_EPOCH - 1] = true;
	}
	values[CLAIM_QUEUE_FROM - 1] = Int64GetDatum(claim->queue_from);
	nulls[CLAIM_QUEUE_FROM - 1] = position >= 0 || claim->queue_from == 0;
	replaced[CLAIM_QUEUE_FROM - 1] = true;
	go_to(&cursor, claim);
	atx_cursor_replace(&cursor, values, nulls, replaced);
	atx_cursor_close(&cursor);
}

/*
 * Delete a claim.
 */
void
atx_claim_delete(const AtxClaim *claim)
{
	AtxCursor	cursor;

	go_to(&cursor, claim);
	atx_cursor_delete(&cursor);
	atx_cursor_close(&cursor);
}

/*
 * Up to limit services on which a session has claims, ascending; returns how
 * many.
 */
int
atx_claim_services_of_session(int64 session_id, int limit, int64 *service_ids)
{
	Datum		values[] = {Int64GetDatum(session_id), Int64GetDatum(limit)};

	return atx_result_ids(atx_execute(&services_of_session, values, NULL), service_ids);
}

/*
 * The same of all sessions whose end is decided but not finished; services
 * with ids above after.
 */
int
atx_claim_services_of_closing(int64 after, int limit, int64 *service_ids)
{
	Datum		values[] = {Int64GetDatum(limit), Int64GetDatum(after)};

	return atx_result_ids(atx_execute(&services_of_closing, values, NULL), service_ids);
}

/*
 * The same where a claim has waited long enough, or a delay is over.
 */
int
atx_claim_services_due(const AtxMoment *moment, int64 after, int limit,
					   int64 *service_ids)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now),
		Int64GetDatum(limit),
		Int64GetDatum(after)
	};

	return atx_result_ids(atx_execute(&services_due, values, NULL), service_ids);
}

/*
 * The same where claims wait although none is granted.
 */
int
atx_claim_services_idle(int64 after, int limit, int64 *service_ids)
{
	Datum		values[] = {Int64GetDatum(limit), Int64GetDatum(after)};

	return atx_result_ids(atx_execute(&services_idle, values, NULL), service_ids);
}

/*
 * The same wherever claims wait.
 */
int
atx_claim_services_waited_for(int64 after, int limit, int64 *service_ids)
{
	Datum		values[] = {Int64GetDatum(limit), Int64GetDatum(after)};

	return atx_result_ids(atx_execute(&services_waited_for, values, NULL), service_ids);
}

/*
 * The tick at which the next of them is due; false if none will be.
 */
bool
atx_claim_next_due(const AtxMoment *moment, AtxTick *at)
{
	if (atx_execute(&next_due, NULL, NULL) == 0)
		return false;
	*at = atx_result_int32(0, 2) < moment->epoch ? moment->now : atx_result_int64(0, 1);
	return true;
}

/*
 * Count the time that claims still wait on the moment's clock.
 */
void
atx_claim_enter_epoch(const AtxMoment *moment)
{
	Datum		values[] = {
		Int32GetDatum(moment->epoch),
		Int64GetDatum(moment->now)
	};

	(void) atx_execute(&enter_epoch, values, NULL);
}
