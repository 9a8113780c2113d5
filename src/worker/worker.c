/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The process that serves one database: it ends sessions on time and
 *	  tells of every change.
 *
 * Correctness never depends on it.  Rules: no snapshot and no transaction
 * while it waits; each step is a short transaction of its own; it waits for
 * no user's lock; an error is reported and the next cycle begins anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "atomix.h"
#include "base/duration.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/usage.h"
#include "base/spi.h"
#include "commands/jump.h"
#include "commands/session_end.h"
#include "tables/partition.h"
#include "tables/session.h"
#include "tables/session_change.h"
#include "worker/duties.h"
#include "worker/lifecycle.h"
#include "worker/process.h"

/* Longest sleep: a safety net, not the way anything is noticed. */
#define IDLE_WAIT_MS		60000
#define AFTER_ERROR_MS		1000
#define RETRY_BUSY_MS		100

/* How often renewals are looked at, and how many are written at once. */
#define ANCHOR_INTERVAL		(250 * ATX_TICKS_PER_MS)
#define ANCHOR_BATCH		1000

/* Sessions whose end raised an error, and for how long they are passed over. */
#define MAX_POISONED		1024
#define POISONED_FOR		(60 * ATX_TICKS_PER_SEC)

PGDLLEXPORT void atomix_worker_main(Datum arg);

/* What one look at the tables found. */
typedef struct Look
{
	bool		idle;			/* disabled, of another version, or unused */
	bool		jumped;
	AtxAuthority authority;		/* valid unless idle, as is what follows */
	AtxTick		next_check;		/* 0: no session lives */
	AtxTick		next_sweep;
	AtxDuties	duties;
} Look;

/* One pass over what is due. */
typedef struct Pass
{
	const AtxAuthority *authority;
	AtxExpiry	expiry;
	int64		one;			/* the session to end alone */
	int			ended;
	int			seen;
	int64		latest;
} Pass;

/* A pass over all sessions, to forget those that ended long ago. */
typedef struct Sweep
{
	const AtxAuthority *authority;
	int64		after;
	bool		more;
} Sweep;

/* Renewals of memory on their way to the rows. */
typedef struct Anchoring
{
	const AtxAuthority *authority;
	AtxAnchor	anchors[ANCHOR_BATCH];
	int			found;
	int			done;
} Anchoring;

static bool wanted = true;		/* shall another worker follow this one? */
static AtxTick last_beat = 0;
static AtxTick beat_began = 0;	/* not yet known to be committed; 0: none */
static AtxTick last_written = 0;	/* beat that was written to the row */
static AtxTick safe_noted = 0;	/* how far all can be seen, at the latest look */
static bool safe_pending = false;	/* and not all can be */
static const AtxAuthority *beating_for = NULL;	/* while sessions live */
static Oid	renewals_kept_for = InvalidOid;
static AtxTick expire_retry_at = 0; /* not tried before, after an error in it */
static AtxTick last_told = 0;
static AtxTick last_anchored = 0;
static AtxTick retry_at = 0;	/* not told before, after an error in it */
static AtxTick number_again_at = 0; /* what was passed over; 0: nothing was */
static bool finish_pending = true;
static bool tell_pending = true;
static int64 poisoned[MAX_POISONED];
static int	npoisoned = 0;
static AtxTick poisoned_until = 0;
static bool tells_between = false;	/* steps of a long pass */
static bool look_again = false; /* something came after the latest look */

static void tell_of_commits(void);

static void
leave(int code, Datum arg)
{
	atx_worker_leave(atx_worker_slot, wanted);
}

static void
note_safe_index(void)
{
	safe_noted = atx_now();
	safe_pending = !atx_index_note_safe();
}

/* The same where no beat does it: without sessions, too, the index moves. */
static void
note_safe_index_alone(void)
{
	if (atx_now() - safe_noted >= ATX_TICKS_PER_SEC)
		note_safe_index();
	else
		safe_pending = true;
}

/*
 * Show that we live.  Memory is told each time; the row once a second, or
 * each time where a standby has to confirm it.
 */
static void
beat(const AtxAuthority *authority)
{
	AtxTick		now = atx_now();
	bool		write = atx_standby_confirms() || last_written == 0 ||
	now - last_written >= ATX_TICKS_PER_SEC;

	if (write)
	{
		/* First, while this transaction has written nothing. */
		note_safe_index();
		beat_began = last_written = now;
	}
	atx_beat(authority, write);
	last_beat = atx_now();
}

static void
beat_step(void *state)
{
	beat((const AtxAuthority *) state);
}

/* The transaction of the latest beat has committed, here and on standbys. */
static void
confirm_beat(void)
{
	if (beat_began == 0)
		return;
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	atx_worker_slot->confirmed_beat = beat_began;
	LWLockRelease(atx_shared->lock);
	beat_began = 0;
}

static bool
beat_is_due(void)
{
	return last_beat == 0 || atx_now() - last_beat >= atx_beat_interval();
}

/*
 * What may not wait until a long pass is over: to be told to go, to leave the
 * database to somebody, to beat, and, while nothing is done that it were better
 * to tell of at once, to tell.
 */
void
atx_worker_between_steps(void)
{
	CHECK_FOR_INTERRUPTS();
	if (atx_database_is_held(MyDatabaseId))
		proc_exit(1);
	if (beating_for != NULL && beat_is_due())
	{
		beat_began = 0;
		if (atx_run_relaxed(beat_step, (void *) beating_for, "beating") == ATX_RUN_DONE)
			confirm_beat();
	}
	if (tells_between)
		tell_of_commits();
}

/* When sessions need us next, and a beat if one is due while any live. */
static void
look_at_sessions(Look *look)
{
	AtxMoment	moment = atx_moment(&look->authority);

	look->next_sweep = atx_next_sweep();
	/* COMMIT PREPARED wakes nobody. */
	tell_pending = tell_pending || atx_session_change_any();
	atx_duties_look(&look->duties, &look->authority, &moment);

	if (!atx_lease_next_check(&moment, &look->next_check))
	{
		look->next_check = 0;
		last_beat = 0;
		atx_beat_stop();
		note_safe_index_alone();
	}
	else if (beat_is_due())
		beat(&look->authority);
}

/*
 * May a restore be about to fill our tables?  It does so one by one and in
 * any order, and a row of ours would be in its way.
 */
static bool
restore_may_be_under_way(void)
{
	AtxAuthority row;
	AtxAuthority identity;
	bool		same_clock;

	if (!atx_authority_read(&row))
		return true;
	identity = atx_authority_identity();
	return !atx_authority_same_identity(&row, &identity) &&
		(atx_index_newest() < row.index_floor ||
		 atx_epoch_current(&same_clock) == 0 || !atx_partition_any());
}

/*
 * Take over the database if that is due; false if there is no need yet, that
 * is as long as nothing was ever opened and nobody asks.
 */
static bool
take_over_if_due(Look *look)
{
	if (!atx_jump_is_due())
		return true;
	if (pg_atomic_read_u32(&atx_worker_slot->jump_wanted) == 0 && restore_may_be_under_way())
		return false;
	atx_jump();
	look->jumped = true;
	return true;
}

/* Prove that we are to serve, take over if nobody has, and see what is next. */
static void
look_step(void *state)
{
	Look	   *look = (Look *) state;
	const AtxExtension *extension = atx_extension_lookup();

	/* What a dropped predecessor of the extension left. */
	if (renewals_kept_for != extension->oid)
	{
		atx_renewals_forget_others(MyDatabaseId, extension->oid);
		atx_usage_forget_others(MyDatabaseId, extension->oid);
	}
	renewals_kept_for = extension->oid;

	strlcpy(atx_worker_slot->sql_version, extension->version, sizeof(atx_worker_slot->sql_version));
	look->idle = true;
	if (strcmp(extension->version, ATX_LIBRARY_VERSION) != 0 || !extension->safe ||
		!atx_enabled || RecoveryInProgress())
		return;
	if (!take_over_if_due(look))
		return;

	look->idle = false;
	look->authority = *atx_authority_current();
	look_at_sessions(look);
}

static void
expire_step(void *state)
{
	Pass	   *pass = (Pass *) state;

	atx_expire_step(pass->authority, &pass->expiry);
}

static void
expire_one_step(void *state)
{
	Pass	   *pass = (Pass *) state;

	atx_expire_one(pass->authority, pass->one, &pass->expiry);
}

static void
count_ended(Pass *pass)
{
	pass->ended += pass->expiry.ended;
	pass->latest = Max(pass->latest, pass->expiry.latest);
}

/* Pass over a session whose end fails; false if there are too many. */
static bool
pass_over(int64 session_id)
{
	if (npoisoned == MAX_POISONED)
		return false;
	poisoned[npoisoned++] = session_id;
	poisoned_until = atx_now() + POISONED_FOR;
	ereport(WARNING,
			(errmsg("could not end atomix session " INT64_FORMAT, session_id),
			 errdetail("It is tried again in a minute; others are not affected.")));
	return true;
}

/*
 * A batch failed: end its sessions one by one, and pass over those that fail
 * alone, so that one bad row delays nobody else.
 */
static void
expire_one_by_one(Pass *pass)
{
	const int64 *id = pass->expiry.candidates;

	for (; *id != 0; id++)
	{
		atx_worker_between_steps();
		pass->one = *id;
		if (atx_run(expire_one_step, pass, "ending one session") == ATX_RUN_DONE)
			count_ended(pass);
		else if (!pass_over(*id))
		{
			/* More than we can remember: leave them all alone for a while. */
			pass->expiry.more = false;
			expire_retry_at = poisoned_until;
			break;
		}
		pass->expiry.nskip = npoisoned;
	}
}

/* End every session that is due and can be locked. */
static void
expire_due(const AtxAuthority *authority, Pass *pass)
{
	memset(pass, 0, sizeof(*pass));
	pass->authority = authority;
	if (atx_now() >= poisoned_until)
		npoisoned = 0;

	atx_expiry_start(&pass->expiry, poisoned, npoisoned);
	while (pass->expiry.more)
	{
		AtxRunResult result;

		atx_worker_between_steps();
		result = atx_run(expire_step, pass, "ending sessions");
		if (result == ATX_RUN_FAILED && pass->expiry.candidates[0] == 0)
		{
			/* Not the ending failed, but the looking. */
			expire_retry_at = atx_now() + AFTER_ERROR_MS * ATX_TICKS_PER_MS;
			break;
		}
		if (result == ATX_RUN_FAILED)
			expire_one_by_one(pass);
		else if (result == ATX_RUN_DONE)
			count_ended(pass);
		else
			break;
		pass->seen += pass->expiry.ended + pass->expiry.postponed;
	}

	if (pass->ended > 0)
		ereport(LOG,
				(errmsg("atomix ended %d expired sessions", pass->ended),
				 errdetail("The latest of them came %.3f ms after its deadline.",
						   (double) pass->latest / ATX_TICKS_PER_MS)));
}

static void
anchor_step(void *state)
{
	Anchoring  *anchoring = (Anchoring *) state;
	AtxMoment	moment = atx_moment(anchoring->authority);

	anchoring->done = 0;
	anchoring->found = atx_renewals_to_anchor(atx_extension()->oid, moment.now,
											  anchoring->anchors, ANCHOR_BATCH);
	if (anchoring->found > 0)
		anchoring->done = atx_lease_anchor(&moment, anchoring->anchors, anchoring->found);
}

/*
 * Have the rows know the renewals of memory before these are too far ahead
 * of them.  Memory learns of it when it is committed.
 */
static void
anchor_renewals(const AtxAuthority *authority)
{
	static Anchoring anchoring;
	Oid			extension = authority->extension;

	anchoring.authority = authority;
	do
	{
		atx_worker_between_steps();
		if (atx_run(anchor_step, &anchoring, "writing renewals") != ATX_RUN_DONE)
			return;
		for (int i = 0; i < anchoring.done; i++)
			atx_renewal_anchored(extension, &anchoring.anchors[i]);
	} while (anchoring.found == ANCHOR_BATCH && anchoring.done > 0);
	last_anchored = atx_now();
}

static void
finish_step(void *state)
{
	*(bool *) state = atx_finish_step();
}

static void
number_step(void *state)
{
	bool		passed_over;

	*(bool *) state = atx_number_step(&passed_over);
	if (passed_over)
		number_again_at = atx_now() + RETRY_BUSY_MS * ATX_TICKS_PER_MS;
}

static void
hint_step(void *state)
{
	atx_hint_step();
	*(bool *) state = false;
}

static void
sweep_step(void *state)
{
	Sweep	   *sweep = (Sweep *) state;

	sweep->more = atx_sweep_step(sweep->authority, &sweep->after);
}

/* Repeat a step until it has nothing more to do; false if it failed. */
static bool
run_all(AtxStep step, const char *activity)
{
	bool		more = true;

	while (more)
	{
		atx_worker_between_steps();
		if (atx_run(step, &more, activity) != ATX_RUN_DONE)
			return false;
	}
	return true;
}

/* Forget sessions that ended long ago. */
static void
sweep(const AtxAuthority *authority)
{
	Sweep		state = {authority, 0, true};

	while (state.more)
	{
		atx_worker_between_steps();
		if (atx_run(sweep_step, &state, "forgetting sessions") != ATX_RUN_DONE)
			break;
	}
}

/* At once after a quiet time, else once per hint_interval. */
static bool
may_tell(void)
{
	AtxTick		now = atx_now();

	return now >= retry_at &&
		(now < last_told || now - last_told >= atx_hint_interval * ATX_TICKS_PER_MS);
}

/*
 * Take notice of commits, if it is time to tell of them.  The flag is taken
 * down before we look, so that what comes later wakes us; until then, of all
 * commits only the first sets our latch.
 */
static bool
take_notice(void)
{
	bool		noticed = may_tell() && pg_atomic_exchange_u32(&atx_worker_slot->work, 0) != 0;

	tell_pending = tell_pending || noticed;
	return noticed;
}

/* Number and tell what has changed. */
static void
tell_changes(void)
{
	bool		tells = tells_between;

	if (number_again_at != 0 && atx_now() >= number_again_at)
	{
		/* From here on it is told of when telling is due. */
		number_again_at = 0;
		tell_pending = true;
	}
	if (!tell_pending || !may_tell())
		return;
	number_again_at = 0;
	/* These steps are telling. */
	tells_between = false;
	tell_pending = !run_all(number_step, "telling of sessions") ||
		!run_all(hint_step, "telling listeners of single sessions");
	tells_between = tells;
	last_told = atx_now();
	if (tell_pending)
		retry_at = last_told + AFTER_ERROR_MS * ATX_TICKS_PER_MS;
}

/* The same of what was committed since we took notice, and looked. */
static void
tell_of_commits(void)
{
	look_again = take_notice() || look_again;
	tell_changes();
}

static bool
telling_is_due(void)
{
	return tell_pending || pg_atomic_read_u32(&atx_worker_slot->work) != 0;
}

/* How long until the next thing to do, in milliseconds, rounded up. */
static long
time_until_next(const Look *look)
{
	AtxTick		now = atx_now();
	AtxTick		next = now + IDLE_WAIT_MS * ATX_TICKS_PER_MS;

	if (look->next_check != 0)
	{
		next = Min(next, last_beat + atx_beat_interval());
		/* What is past its check but locked is tried again at the next beat. */
		if (look->next_check > now)
			next = Min(next, look->next_check);
	}
	next = Min(next, Max(look->next_sweep, now + ATX_TICKS_PER_SEC));
	next = Min(next, atx_duties_next(&look->duties));
	if (number_again_at != 0)
		next = Min(next, number_again_at);
	if (look->next_check == 0 && safe_pending)
		next = Min(next, safe_noted + ATX_TICKS_PER_SEC);
	if (finish_pending)
		next = Min(next, now + AFTER_ERROR_MS * ATX_TICKS_PER_MS);
	if (telling_is_due())
		next = Min(next, Max(retry_at,
							 last_told + atx_hint_interval * ATX_TICKS_PER_MS));
	return next <= now ? 0 : (long) ((next - now) / ATX_TICKS_PER_MS) + 1;
}

/* Tell the view of a cycle; pass is NULL if it was an idle one. */
static void
record_cycle(const Pass *pass)
{
	LWLockAcquire(atx_shared->lock, LW_EXCLUSIVE);
	atx_worker_slot->last_cycle = atx_now();
	if (pass != NULL && pass->ended > 0)
		atx_worker_slot->lag = pass->latest;
	atx_worker_slot->idle = pass == NULL;
	atx_worker_slot->failures = 0;
	LWLockRelease(atx_shared->lock);
}

/* Do what there is to do, given a look; true if that calls for another look. */
static bool
serve(const Look *look)
{
	Pass		pass = {0};

	beating_for = look->next_check != 0 ? &look->authority : NULL;
	if (look->next_check != 0 && look->next_check <= atx_now() &&
		atx_now() >= expire_retry_at)
		expire_due(&look->authority, &pass);
	if (look->next_check != 0 && atx_now() - last_anchored >= ANCHOR_INTERVAL)
		anchor_renewals(&look->authority);
	if (pass.ended > 0)
		finish_pending = tell_pending = true;
	atx_duties_settle(&look->duties, pass.ended > 0, finish_pending);
	if (finish_pending || look->duties.closing)
		finish_pending = !run_all(finish_step, "finishing sessions");
	tells_between = true;
	atx_duties_serve(&look->duties);
	tell_changes();
	if (look->next_sweep <= atx_now())
		sweep(&look->authority);
	tells_between = false;
	beating_for = NULL;
	record_cycle(&pass);
	return pass.seen > 0;
}

/*
 * One cycle; returns for how many milliseconds nothing is due after it.
 */
static long
cycle(void)
{
	Look		look = {0};
	bool		noticed = take_notice();

	look_again = false;
	beat_began = 0;
	switch (atx_run_relaxed(look_step, &look, "looking for due sessions"))
	{
		case ATX_RUN_ABSENT:
			/* It may have been created just after we looked. */
			if (noticed || pg_atomic_exchange_u32(&atx_worker_slot->work, 0) != 0)
				return 0;
			wanted = false;
			atx_renewals_forget_others(MyDatabaseId, InvalidOid);
			atx_usage_forget_others(MyDatabaseId, InvalidOid);
			ereport(LOG, (errmsg("atomix worker ends: the extension is not in this database")));
			proc_exit(0);
		case ATX_RUN_FAILED:
			return AFTER_ERROR_MS;
		case ATX_RUN_BUSY:
			return RETRY_BUSY_MS;
		case ATX_RUN_DONE:
			break;
	}

	confirm_beat();
	if (!look.idle && pg_atomic_read_u32(&atx_worker_slot->jump_wanted) != 0)
	{
		pg_atomic_write_u32(&atx_worker_slot->jump_wanted, 0);
		ConditionVariableBroadcast(&atx_worker_slot->changed);
	}
	if (look.idle)
	{
		/*
		 * A beat stays expected: clients cannot renew while calls are
		 * refused, so grace begins anew afterwards.
		 */
		last_beat = 0;
		record_cycle(NULL);

		/* Told by a commit callback, before the catalog's news got here. */
		return noticed || pg_atomic_exchange_u32(&atx_worker_slot->work, 0) != 0 ?
			RETRY_BUSY_MS : IDLE_WAIT_MS;
	}
	return serve(&look) || look_again ? 0 : time_until_next(&look);
}

/* Take the slot we were started for; ends the process if it is not to be had. */
static void
enter_slot(int n)
{
	atx_worker_slot = &atx_shared->slots[n];
	if (!atx_worker_claim(atx_worker_slot))
		proc_exit(0);
	before_shmem_exit(leave, (Datum) 0);
}

/*
 * The worker's life; its argument is the number of a slot.
 */
void
atomix_worker_main(Datum arg)
{
	MemoryContext context;

	enter_slot(DatumGetInt32(arg));
	atx_worker_connect(atx_worker_slot->database);
	context = AllocSetContextCreate(TopMemoryContext, "atomix worker cycle",
									ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		long		wait_ms;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (atx_database_is_held(MyDatabaseId))
			proc_exit(1);

		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		wait_ms = cycle();
		if (wait_ms == 0)
			continue;
		if (wait_ms > AFTER_ERROR_MS)
			(void) pgstat_report_stat(true);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait_ms, PG_WAIT_EXTENSION);
	}
}
