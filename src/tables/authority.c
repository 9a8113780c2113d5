/*-------------------------------------------------------------------------
 *
 * authority.c
 *	  Tables authority and clock_epoch, the index sequence, and grace.
 *
 * One row says who served last: server, timeline, database, extension, and
 * which start of the server.  If that is not us, now, nothing may be drawn
 * from the index until a jump (commands/jump.c) has made the row ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/extension.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/spi.h"
#include "tables/authority.h"

/* A crash may lose this many draws whose commits were not yet on disk. */
#define INDEX_JUMP			(INT64CONST(1) << 32)

/*
 * What a promoted standby, or a restore, does not know of may be as many jumps
 * of the server it was copied from: 64 starts in short succession, of which
 * none is as old as the clock allows for.
 */
#define HISTORY_INDEX_JUMP	(INDEX_JUMP * 64)
#define INDEX_SECOND_SHIFT	20

static AtxStatement read_authority = {
	"SELECT system_identifier, timeline, database, extension, start_id,"
	" epoch, index_floor, grace_from, grace_served, served, history, history_served,"
	" COALESCE(xmin = pg_catalog.pg_current_xact_id_if_assigned()::xid, false)"
	" FROM atomix.authority"
};

/*
 * Versions of sessions go on above the history's number: the last ones of the
 * history before may be known to somebody, and lost here.
 */
static AtxStatement write_authority = {
	"INSERT INTO atomix.authority AS a (system_identifier, timeline, database,"
	" extension, start_id, epoch, index_floor, grace_from, grace_served, served,"
	" history, history_served, session_version)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)"
	" ON CONFLICT (only_row) DO UPDATE SET"
	" system_identifier = excluded.system_identifier,"
	" timeline = excluded.timeline, database = excluded.database,"
	" extension = excluded.extension, start_id = excluded.start_id,"
	" epoch = excluded.epoch, index_floor = excluded.index_floor,"
	" grace_from = excluded.grace_from, grace_served = excluded.grace_served,"
	" served = excluded.served, history = excluded.history,"
	" history_served = excluded.history_served,"
	" session_version = GREATEST(a.session_version, excluded.session_version),"
	" last_beat = NULL, swept_at = NULL,"
	" next_safe_index = NULL, next_safe_xid = NULL",
	12, {INT8OID, INT4OID, OIDOID, OIDOID, INT8OID,
	INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID}
};

static AtxStatement write_beat = {
	"UPDATE atomix.authority SET last_beat = $1, served = $2",
	2, {INT8OID, INT8OID}
};

static AtxStatement read_sweep = {
	"SELECT swept_at FROM atomix.authority"
};

static AtxStatement write_sweep = {
	"UPDATE atomix.authority SET swept_at = $1",
	1, {INT8OID}
};

static AtxStatement take_versions = {
	"UPDATE atomix.authority SET session_version = session_version + $1"
	" RETURNING session_version - $1",
	1, {INT8OID}
};

static AtxStatement read_epoch = {
	"SELECT epoch, boot_id = $1 AND time_namespace = $2"
	" FROM atomix.clock_epoch ORDER BY epoch DESC LIMIT 1",
	2, {TEXTOID, TEXTOID}
};

static AtxStatement end_epoch = {
	"UPDATE atomix.clock_epoch e SET last_beat = a.last_beat"
	" FROM atomix.authority a WHERE e.epoch = a.epoch"
};

static AtxStatement begin_epoch = {
	"INSERT INTO atomix.clock_epoch (epoch, boot_id, time_namespace)"
	" VALUES ($1, $2, $3)",
	3, {INT4OID, TEXTOID, TEXTOID}
};

static AtxStatement jump_index = {
	"SELECT pg_catalog.setval('atomix.index_seq',"
	" GREATEST(last_value + $1, $2, $3)) FROM atomix.index_seq",
	3, {INT8OID, INT8OID, INT8OID}
};

static AtxStatement read_safe_index = {
	"SELECT safe_index FROM atomix.authority"
};

static AtxStatement look_at_safe_index = {
	"SELECT a.safe_index, a.next_safe_index, a.next_safe_xid,"
	" pg_catalog.pg_snapshot_xmin(s)"
	" FROM atomix.authority a, pg_catalog.pg_current_snapshot() AS s"
};

static AtxStatement write_safe_index = {
	"UPDATE atomix.authority SET safe_index = $1, next_safe_index = $2,"
	" next_safe_xid = $3",
	3, {INT8OID, INT8OID, XID8OID}
};

/*
 * The row that is known to be ours.  Once it is, it stays so for the life of
 * this process, unless the extension or the row's table changes.
 */
static AtxAuthority current;
static bool current_known = false;
static uint64 current_generation;

/*
 * Which run of the server this is.  Without shared memory a crash restart is
 * not told apart, which is why ids are then handed out with forced commits.
 */
static int64
server_start_id(void)
{
	return atx_shared != NULL ? atx_shared->start_id : (int64) PgStartTime;
}

/*
 * The identity this process would serve under; the other fields are zero.
 */
AtxAuthority
atx_authority_identity(void)
{
	AtxAuthority identity = {0};

	identity.system_identifier = (int64) GetSystemIdentifier();
	identity.timeline = (int32) GetWALInsertionTimeLine();
	identity.database = MyDatabaseId;
	identity.extension = atx_extension()->oid;
	identity.start_id = server_start_id();
	return identity;
}

/*
 * Do both rows speak of the same history?  The start does not count: a
 * restart goes on with the history it finds.
 */
bool
atx_authority_same_identity(const AtxAuthority *a, const AtxAuthority *b)
{
	return a->system_identifier == b->system_identifier &&
		a->timeline == b->timeline &&
		a->database == b->database &&
		a->extension == b->extension;
}

/*
 * Do they speak of the same database, be it on another time line?  It is not a
 * copy then, but what a promotion or a restore in its place made of it.
 */
bool
atx_authority_same_database(const AtxAuthority *a, const AtxAuthority *b)
{
	return a->system_identifier == b->system_identifier &&
		a->database == b->database &&
		a->extension == b->extension;
}

/*
 * Read the row; false if nobody has served here yet.
 */
bool
atx_authority_read(AtxAuthority *authority)
{
	if (atx_execute(&read_authority, NULL, NULL) == 0)
		return false;

	authority->system_identifier = atx_result_int64(0, 1);
	authority->timeline = atx_result_int32(0, 2);
	authority->database = atx_result_oid(0, 3);
	authority->extension = atx_result_oid(0, 4);
	authority->start_id = atx_result_int64(0, 5);
	authority->epoch = atx_result_int32(0, 6);
	authority->index_floor = atx_result_int64(0, 7);
	authority->grace_from = atx_result_int64(0, 8);
	authority->grace_served = atx_result_int64(0, 9);
	authority->served = atx_result_int64(0, 10);
	authority->history = atx_result_int64(0, 11);
	authority->history_served = atx_result_int64(0, 12);
	authority->written_here = DatumGetBool(atx_result_datum(0, 13));
	return true;
}

/*
 * Make the row say this.
 */
void
atx_authority_write(const AtxAuthority *authority)
{
	Datum		values[] = {
		Int64GetDatum(authority->system_identifier),
		Int32GetDatum(authority->timeline),
		ObjectIdGetDatum(authority->database),
		ObjectIdGetDatum(authority->extension),
		Int64GetDatum(authority->start_id),
		Int32GetDatum(authority->epoch),
		Int64GetDatum(authority->index_floor),
		Int64GetDatum(authority->grace_from),
		Int64GetDatum(authority->grace_served),
		Int64GetDatum(authority->served),
		Int64GetDatum(authority->history),
		Int64GetDatum(authority->history_served)
	};

	(void) atx_execute(&write_authority, values, NULL);
}

/*
 * Read the row anew at the next call.
 */
void
atx_authority_forget(void)
{
	current_known = false;
}

/*
 * The row if it is ours for this run of the server; NULL if a jump is due,
 * and always during recovery.
 */
const AtxAuthority *
atx_authority_current(void)
{
	AtxAuthority identity;

	if (current_known && current_generation == atx_extension_generation())
		return &current;
	if (RecoveryInProgress())
		return NULL;

	current_known = false;
	if (!atx_authority_read(&current))
		return NULL;
	identity = atx_authority_identity();
	if (current.start_id != identity.start_id ||
		!atx_authority_same_identity(&current, &identity))
		return NULL;

	/* What this transaction wrote may still be rolled back. */
	current_known = !current.written_here && !atx_extension()->created_here;
	current_generation = atx_extension_generation();
	return &current;
}

/*
 * Is that the history this database goes on with?  What is written of one
 * that ended elsewhere may have gone on there.  Where nobody may write it is.
 */
bool
atx_history_is(int64 history)
{
	return !current_known || current.history == history;
}

/*
 * For how many ticks nothing may be granted yet: the end of the history before
 * may be missing here, and those who were granted something in it must have
 * time to find out.  Time served is what counts, so that neither a restart nor
 * another boot of the machine ends the delay early.
 */
int64
atx_failover_delay_left(const AtxAuthority *authority, const AtxMoment *moment)
{
	if (authority->history == 0)
		return 0;
	return Max(0, authority->history_served + atx_failover_delay * ATX_TICKS_PER_SEC -
			   moment->served);
}

/*
 * The newest clock epoch, 0 if there is none, and whether it is the clock
 * this machine has now.
 */
int32
atx_epoch_current(bool *same_clock)
{
	Datum		values[] = {
		CStringGetTextDatum(atx_boot_id()),
		CStringGetTextDatum(atx_time_namespace())
	};

	*same_clock = false;
	if (atx_execute(&read_epoch, values, NULL) == 0)
		return 0;
	*same_clock = DatumGetBool(atx_result_datum(0, 2));
	return atx_result_int32(0, 1);
}

/*
 * Record that leases are now counted on this machine's clock, and how far
 * the clock before it had come.
 */
void
atx_epoch_begin(int32 epoch)
{
	Datum		values[] = {
		Int32GetDatum(epoch),
		CStringGetTextDatum(atx_boot_id()),
		CStringGetTextDatum(atx_time_namespace())
	};

	(void) atx_execute(&end_epoch, NULL, NULL);
	(void) atx_execute(&begin_epoch, values, NULL);
}

/*
 * How often the worker must show that it is alive while sessions live.
 */
int64
atx_beat_interval(void)
{
	return Min(ATX_TICKS_PER_SEC,
			   atx_min_session_timeout * ATX_TICKS_PER_MS / 16);
}

static bool
beat_overdue(const AtxSlot *slot, AtxTick now)
{
	return slot->last_beat != 0 &&
		now - slot->last_beat > 2 * atx_beat_interval() + ATX_TICKS_PER_SEC;
}

/*
 * Begin grace anew: after a stall clients get their full timeouts, but the
 * time until the last beat stays counted as served.
 */
static void
restart_grace_locked(AtxSlot *slot, AtxTick now)
{
	slot->grace_served += slot->last_beat - slot->grace_from;
	slot->grace_from = now;
	slot->last_beat = now;
}

/* The caller found the grace unset or the beat overdue, without the lock. */
static void
renew_grace(AtxSlot *slot, const AtxAuthority *authority, AtxTick now)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	if (slot->grace_from == 0)
	{
		slot->grace_served = authority->served;
		slot->grace_from = now;
	}
	else if (beat_overdue(slot, now))
		restart_grace_locked(slot, now);
	LWLockRelease(atx_shared->lock);
}

/*
 * Begin grace because the server has been started; served is the time served
 * before.  What an attempt that was rolled back left is overwritten.
 */
void
atx_grace_begin(AtxTick now, int64 served)
{
	AtxSlot    *slot = atx_slot_find(MyDatabaseId);

	if (slot == NULL)
		return;
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	slot->grace_from = now;
	slot->grace_served = served;
	slot->last_beat = 0;
	LWLockRelease(atx_shared->lock);
}

/*
 * The present moment with the grace that is in force.
 */
AtxMoment
atx_moment(const AtxAuthority *authority)
{
	AtxMoment	moment;
	AtxSlot    *slot = atx_slot_find(MyDatabaseId);

	moment.now = atx_now();
	moment.epoch = authority->epoch;
	moment.grace_from = authority->grace_from;
	moment.grace_served = authority->grace_served;

	if (slot != NULL)
	{
		LWLockAcquire(atx_shared->lock, LW_SHARED);
		if (slot->grace_from == 0 || beat_overdue(slot, moment.now))
		{
			LWLockRelease(atx_shared->lock);
			renew_grace(slot, authority, moment.now);
			LWLockAcquire(atx_shared->lock, LW_SHARED);
		}
		moment.grace_from = slot->grace_from;
		moment.grace_served = slot->grace_served;
		LWLockRelease(atx_shared->lock);
	}

	/* A concurrent reader may just have set it to a slightly later tick. */
	moment.now = Max(moment.now, moment.grace_from);
	moment.served = moment.grace_served + (moment.now - moment.grace_from);
	return moment;
}

/*
 * Show that the worker lives, in shared memory and, if wanted, in the row.
 */
void
atx_beat(const AtxAuthority *authority, bool write_row)
{
	AtxMoment	moment = atx_moment(authority);
	AtxSlot    *slot = atx_slot_find(MyDatabaseId);
	Datum		values[] = {Int64GetDatum(moment.now), Int64GetDatum(moment.served)};

	if (slot != NULL)
	{
		AtxTick		now;

		/*
		 * The clock is read again: a stall since the moment must not be
		 * passed over in silence.
		 */
		LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
		now = atx_now();
		if (beat_overdue(slot, now))
			restart_grace_locked(slot, now);
		slot->last_beat = now;
		LWLockRelease(atx_shared->lock);
	}
	if (write_row)
		(void) atx_execute(&write_beat, values, NULL);
}

/*
 * No beat is expected from now on: no sessions, or no worker.
 */
void
atx_beat_stop(void)
{
	AtxSlot    *slot = atx_slot_find(MyDatabaseId);

	if (slot == NULL)
		return;
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	slot->last_beat = 0;
	LWLockRelease(atx_shared->lock);
}

/*
 * Draw an index: a session id, a token, the index of a change.
 *
 * The transaction gets an id first, so that its commit is flushed and the
 * value cannot be lost and drawn again.  A value at or below the floor means
 * that the sequence was set back, by a restore or by hand: ERROR 57P03, and
 * the worker is told to look.
 */
int64
atx_index_draw(const AtxAuthority *authority)
{
	int64		index;

	(void) GetCurrentTransactionId();
	if (atx_shared == NULL)
		ForceSyncCommit();
	index = nextval_internal(atx_extension_sequence(), false);
	if (index <= authority->index_floor)
	{
		atx_slot_wake_worker(atx_slot_find(MyDatabaseId));
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("the index of extension \"atomix\" was set back"),
				 errdetail("It gave " INT64_FORMAT ", but " INT64_FORMAT " was passed already.",
						   index, authority->index_floor),
				 errhint("The worker makes it jump forward; without one, call atomix.tick(). Then try again.")));
	}
	return index;
}

/*
 * The index up to which all is over and can be seen here.
 */
int64
atx_index_safe(void)
{
	return atx_execute(&read_safe_index, NULL, NULL) == 0 ? 0 : atx_result_int64(0, 1);
}

/* The indexes that a look found to be safe, and to become so. */
typedef struct SafeIndex
{
	int64		safe;
	int64		next;			/* 0: none */
	FullTransactionId next_xid;
} SafeIndex;

static void
save_safe_index(const SafeIndex *now)
{
	Datum		values[] = {
		Int64GetDatum(now->safe),
		Int64GetDatum(now->next),
		FullTransactionIdGetDatum(now->next_xid)
	};

	(void) atx_execute(&write_safe_index, values, now->next == 0 ? " nn" : NULL);
}

/*
 * Whoever draws an index has a transaction id by then.  So once all are over
 * that had one when the newest index was read, that is those before next_xid,
 * whatever was done up to it is in every later snapshot, and on a standby
 * before the row that says so.
 *
 * A snapshot's xmax would not do for next_xid: it follows the latest that is
 * over, and those that run may be beyond.
 */
static SafeIndex
advance_safe_index(int64 newest, FullTransactionId next_xid)
{
	SafeIndex	now = {.safe = atx_result_int64(0, 1)};
	FullTransactionId oldest = DatumGetFullTransactionId(atx_result_datum(0, 4));

	if (!atx_result_isnull(0, 2))
	{
		now.next = atx_result_int64(0, 2);
		now.next_xid = DatumGetFullTransactionId(atx_result_datum(0, 3));
	}
	if (now.next != 0 && FullTransactionIdFollowsOrEquals(oldest, now.next_xid))
	{
		now.safe = Max(now.safe, now.next);
		now.next = 0;
	}
	if (FullTransactionIdFollowsOrEquals(oldest, next_xid))
	{
		now.safe = Max(now.safe, newest);
		now.next = 0;
	}
	else if (now.next == 0 && newest > now.safe)
	{
		now.next = newest;
		now.next_xid = next_xid;
	}
	return now;
}

/*
 * Take down how far what was done can be seen by all, if that has moved; true
 * if it has come to the newest index.  A transaction that has written nothing
 * yet sees more of it.
 */
bool
atx_index_note_safe(void)
{
	/* In this order, and both before the statement's snapshot is taken. */
	int64		newest = atx_index_newest();
	FullTransactionId next_xid = ReadNextFullTransactionId();
	SafeIndex	now;
	bool		changed;

	if (atx_execute(&look_at_safe_index, NULL, NULL) == 0)
		return true;
	now = advance_safe_index(newest, next_xid);
	changed = now.safe != atx_result_int64(0, 1) ||
		now.next != (atx_result_isnull(0, 2) ? 0 : atx_result_int64(0, 2));
	if (changed)
		save_safe_index(&now);
	return now.safe >= newest;
}

/*
 * The newest index known, without drawing one.  A standby's sequence is ahead
 * of what was given out, so there it is the newest that can be seen.
 */
int64
atx_index_newest(void)
{
	Datum		newest;

	LOCAL_FCINFO(fcinfo, 1);

	if (RecoveryInProgress())
		return atx_index_safe();

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(atx_extension_sequence());
	fcinfo->args[0].isnull = false;
	newest = pg_sequence_last_value(fcinfo);
	/* Null: none was drawn. */
	return fcinfo->isnull ? 0 : DatumGetInt64(newest);
}

/*
 * Move the index beyond everything that may ever have been handed out, also
 * if the sequence was set back behind the last floor; returns the new one.
 */
int64
atx_index_jump(int64 floor, bool same_history)
{
	int64		distance = same_history ? INDEX_JUMP : HISTORY_INDEX_JUMP;
	Datum		values[] = {
		Int64GetDatum(distance),
		Int64GetDatum(atx_seconds_since_2026() << INDEX_SECOND_SHIFT),
		Int64GetDatum(floor + distance)
	};

	(void) atx_execute(&jump_index, values, NULL);
	return atx_result_int64(0, 1);
}

/*
 * When all ended sessions were last looked at; 0 if not since the jump.
 */
AtxTick
atx_sweep_latest(void)
{
	if (atx_execute(&read_sweep, NULL, NULL) == 0 || atx_result_isnull(0, 1))
		return 0;
	return atx_result_int64(0, 1);
}

/*
 * All ended sessions have been looked at.
 */
void
atx_sweep_done(AtxTick now)
{
	Datum		values[] = {Int64GetDatum(now)};

	(void) atx_execute(&write_sweep, values, NULL);
}

/*
 * Take the next versions for that many changes of sessions; returns the one
 * before the first.  Only the worker and tick() call it.
 */
int64
atx_session_versions_take(int64 count)
{
	Datum		values[] = {Int64GetDatum(count)};

	if (atx_execute(&take_versions, values, NULL) == 0)
		elog(ERROR, "table atomix.authority is empty");
	return atx_result_int64(0, 1);
}
