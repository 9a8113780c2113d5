/*-------------------------------------------------------------------------
 *
 * sessions.c
 *	  Opening, renewing and closing sessions.
 *
 * Everything happens in the caller's transaction.  Rule: take the session's
 * lock first, then read the clock, then the tables; what was read before the
 * lock is worth nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "utils/acl.h"

#include "base/arrays.h"
#include "base/doorbell.h"
#include "base/duration.h"
#include "base/private_lock.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/transaction.h"
#include "commands/claiming.h"
#include "commands/jump.h"
#include "commands/placement.h"
#include "commands/sessions.h"
#include "tables/lease.h"
#include "tables/limit.h"
#include "tables/partition.h"
#include "compat.h"

/* Members of a batch that are renewed by their rows at once. */
#define MEMBERS_AT_ONCE	128

static AtxAnswer
check_timeout(int64 timeout)
{
	int64		least = atx_min_session_timeout * ATX_TICKS_PER_MS;
	int64		greatest = atx_max_session_timeout * ATX_TICKS_PER_MS;
	AtxAnswer	answer;

	if (timeout >= least && timeout <= greatest)
		return ATX_ANSWER_DONE;

	answer = atx_answer(ATX_INVALID,
						psprintf("session timeout must be between %s and %s",
								 atx_duration_text(least), atx_duration_text(greatest)));
	answer.detail = psprintf("The timeout asked for is %s.", atx_duration_text(timeout));
	answer.hint = pstrdup("The bounds are atomix.min_session_timeout and atomix.max_session_timeout.");
	return answer;
}

static AtxAnswer
check_spec(AtxSessionSpec *spec)
{
	AtxAnswer	answer;

	if (spec->timeout == ATX_DEFAULT_TIMEOUT)
		spec->timeout = atx_session_timeout * ATX_TICKS_PER_MS;
	answer = atx_check_partition(spec->partition_id);
	return answer.outcome != ATX_DONE ? answer : check_timeout(spec->timeout);
}

/* Say once per connection what is missing without preload. */
static void
notice_without_preload(void)
{
	static bool said = false;

	if (said || atx_shared != NULL)
		return;
	said = true;
	ereport(NOTICE,
			(errmsg("sessions expire only when atomix.tick() is called"),
			 errdetail("Library \"atomix\" is not preloaded, so no worker runs."),
			 errhint("Add atomix to shared_preload_libraries and restart the server.")));
}

/*
 * Open a session that belongs to the caller's role.
 */
AtxAnswer
atx_open_session(AtxScope *scope, AtxSessionSpec *spec, int64 *session_id)
{
	const AtxAuthority *authority;
	AtxMoment	moment;
	AtxAnswer	answer = atx_await_authority(&authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	answer = check_spec(spec);
	if (answer.outcome != ATX_DONE)
		return answer;

	notice_without_preload();
	if (spec->labels != NULL)
		atx_limit_check_size(ATX_LIMIT_LABELS_SIZE, ATX_EVERYWHERE, VARSIZE_ANY_EXHDR(spec->labels));
	atx_limit_take_session(scope->caller);
	*session_id = atx_index_draw(authority);
	moment = atx_moment(authority);
	atx_session_insert(*session_id, spec, scope->caller, &moment);
	atx_transaction_used_session();
	atx_transaction_wakes_worker();
	return ATX_ANSWER_DONE;
}

/*
 * Why the role cannot use a session that has no lease for it.  One that is
 * another role's is as unknown as one that never was.
 */
AtxAnswer
atx_why_not_usable(int64 session_id, Oid role)
{
	Oid			owner;
	AtxOutcome	outcome = atx_session_outcome(session_id, &owner);

	if (outcome == ATX_DONE ||
		(role != ATX_ANY_ROLE && !has_privs_of_role(role, owner)))
		outcome = ATX_SESSION_UNKNOWN;
	return atx_answer_session(outcome, session_id);
}

/* Is the session the role's, whether or not it still lives? */
static bool
is_usable(int64 session_id, Oid role)
{
	Oid			owner;

	return atx_session_outcome(session_id, &owner) != ATX_SESSION_UNKNOWN &&
		(role == ATX_ANY_ROLE || has_privs_of_role(role, owner));
}

/*
 * Lock a session to renew it.  A role must not even wait for a session that
 * is none of its business: by that it would know of it.
 */
static bool
lock_to_renew(int64 session_id, Oid role)
{
	if (atx_try_lock_shared(ATX_LOCK_SESSION, session_id))
		return true;
	if (!is_usable(session_id, role))
		return false;
	atx_lock_shared(ATX_LOCK_SESSION, session_id);
	return true;
}

/*
 * May a renewal be confirmed without asking the standby?  One that must
 * confirm commits would notice if this primary were cut off; the worker's
 * beats ask it, and one must have been answered lately.
 */
static bool
standby_has_confirmed(void)
{
	AtxSlot    *slot;

	if (SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0')
		return true;
	slot = atx_slot_find(MyDatabaseId);
	return slot != NULL && slot->confirmed_beat != 0 &&
		atx_now() - slot->confirmed_beat < atx_min_session_timeout * ATX_TICKS_PER_MS / 8;
}

/*
 * Is the row recent enough for renewals in memory?  After a restart a lease
 * goes on from its row with a quarter of the timeout on top, and with the
 * slack, which memory has no use for; so far may the row be behind.
 */
static bool
anchor_holds(const AtxRenewal *renewal, AtxTick now)
{
	return now - renewal->anchored_at <=
		renewal->timeout / 4 + ATX_LEASE_SLACK(renewal->timeout);
}

static bool
memory_serves(void)
{
	return atx_renewals_usable() && !atx_renew_in_rows && atx_enabled && !RecoveryInProgress() &&
		standby_has_confirmed();
}

static bool
note_renewal(Oid extension, int64 session_id, AtxTick at, bool in_row)
{
	atx_transaction_used_session();
	return atx_renewal_note(extension, session_id, at, in_row);
}

/*
 * Take a session whose row was read under its lock into memory and renew it
 * there; false if that cannot be.
 */
static bool
fill_and_note(Oid extension, int64 session_id, const AtxRenewal *renewal,
			  AtxTick now)
{
	return atx_renewal_fill(extension, session_id, renewal) &&
		anchor_holds(renewal, now) &&
		note_renewal(extension, session_id, now, false);
}

/*
 * Renew a session in shared memory: no row, no WAL, no transaction id.  Live:
 * it is renewed; absent: it has to go by its row; ending: somebody's
 * transaction is just ending it.
 */
AtxRenewalState
atx_renew_in_memory(Oid role, int64 session_id, int64 *time_left)
{
	Oid			extension = atx_extension()->oid;
	AtxTick		now = atx_now();
	AtxRenewal	renewal;
	AtxRenewalState state;

	if (!memory_serves())
		return ATX_RENEWAL_ABSENT;
	state = atx_renewal_find(extension, session_id, &renewal);
	if (state == ATX_RENEWAL_ABSENT || !has_privs_of_role(role, renewal.owner))
		return ATX_RENEWAL_ABSENT;
	if (state == ATX_RENEWAL_ENDING)
		return state;
	/* It may have ended since it was found. */
	if (!anchor_holds(&renewal, now) ||
		!note_renewal(extension, session_id, now, false))
		return ATX_RENEWAL_ABSENT;
	*time_left = renewal.timeout;
	return state;
}

/*
 * The same, but waits for whoever is just ending the session, so that there
 * is a definite answer; false if the session has to go by its row.
 */
bool
atx_keep_alive_in_memory(int64 session_id, int64 *time_left)
{
	AtxRenewalState state;

	while ((state = atx_renew_in_memory(GetUserId(), session_id, time_left)) ==
		   ATX_RENEWAL_ENDING)
	{
		CHECK_FOR_INTERRUPTS();
		atx_lock_shared(ATX_LOCK_SESSION, session_id);
		atx_unlock_shared(ATX_LOCK_SESSION, session_id);
	}
	return state == ATX_RENEWAL_LIVE;
}

/* Move a session to memory whose lock is held; false if that cannot be. */
static bool
move_to_memory(AtxScope *scope, int64 session_id, const AtxMoment *moment,
			   int64 *time_left)
{
	AtxRenewal	renewal;

	if (!memory_serves() ||
		!atx_lease_mirror(session_id, scope->caller, moment, &renewal) ||
		!fill_and_note(scope->extension->oid, session_id, &renewal, moment->now))
		return false;
	*time_left = renewal.timeout;
	return true;
}

/* Renew a session by its row, under a lock that is held. */
static AtxAnswer
renew_row(AtxScope *scope, int64 session_id, const AtxAuthority *authority,
		  int64 *time_left)
{
	AtxMoment	moment;
	bool		written;

	do
	{
		moment = atx_moment(authority);
		if (!atx_lease_renew(session_id, scope->caller, &moment, time_left, &written))
			return atx_why_not_usable(session_id, scope->caller);
		(void) note_renewal(scope->extension->oid, session_id, moment.now, written);

		/* If it waited for the row, what it wrote is late news by now. */
	} while (atx_now() - moment.now > ATX_LEASE_SLACK(*time_left));
	return ATX_ANSWER_DONE;
}

/* Renew a session whose shared lock is held; the lock stays if need be. */
static AtxAnswer
renew_locked(AtxScope *scope, int64 session_id, const AtxAuthority *authority,
			 int64 *time_left)
{
	AtxMoment	moment = atx_moment(authority);
	AtxAnswer	answer;

	if (move_to_memory(scope, session_id, &moment, time_left))
	{
		atx_unlock_shared(ATX_LOCK_SESSION, session_id);
		return ATX_ANSWER_DONE;
	}
	answer = renew_row(scope, session_id, authority, time_left);
	if (answer.outcome != ATX_DONE)
		atx_unlock_shared(ATX_LOCK_SESSION, session_id);
	return answer;
}

/*
 * Renew a session by its row, and have the next renewals go to memory;
 * *time_left is how long it now lives at least (ticks).
 */
AtxAnswer
atx_keep_alive(AtxScope *scope, int64 session_id, int64 *time_left)
{
	const AtxAuthority *authority;
	AtxAnswer	answer = atx_await_authority(&authority);

	if (answer.outcome != ATX_DONE)
		return answer;

	if (!lock_to_renew(session_id, scope->caller))
		return atx_answer_session(ATX_SESSION_UNKNOWN, session_id);
	return renew_locked(scope, session_id, authority, time_left);
}

static AtxBatchState
member_state(AtxScope *scope, int64 session_id)
{
	Oid			owner;
	AtxOutcome	outcome = atx_session_outcome(session_id, &owner);

	if (outcome == ATX_SESSION_UNKNOWN || outcome == ATX_DONE ||
		!has_privs_of_role(scope->caller, owner))
		return ATX_MEMBER_UNKNOWN;
	if (atx_session_is_closing(session_id))
		return ATX_MEMBER_CLOSING;
	return outcome == ATX_SESSION_EXPIRED ? ATX_MEMBER_EXPIRED : ATX_MEMBER_CLOSED;
}

static int
compare_members(const void *a, const void *b)
{
	return pg_cmp_s64(((const AtxMember *) a)->session_id,
					  ((const AtxMember *) b)->session_id);
}

static AtxMember *
find_member(AtxMember *members, int count, int64 session_id)
{
	AtxMember	key = {session_id};

	return bsearch(&key, members, count, sizeof(AtxMember), compare_members);
}

/* Lock those that nobody is just ending; returns how many. */
static int
lock_members(AtxScope *scope, AtxMember *members, int count, int64 *locked)
{
	int			nlocked = 0;

	for (int i = 0; i < count; i++)
	{
		int64		id = members[i].session_id;

		if (atx_try_lock_shared_briefly(ATX_LOCK_SESSION, id))
			locked[nlocked++] = id;
		else
			members[i].state = is_usable(id, scope->caller) ?
				ATX_MEMBER_ENDING : ATX_MEMBER_UNKNOWN;
	}
	return nlocked;
}

/*
 * Renew leases by their rows.  One that is locked is being renewed by somebody
 * else, since nobody is ending the session; whether that will count is open,
 * so what can be promised is what the session has in any case.
 */
static void
write_members(AtxScope *scope, const AtxMoment *moment, AtxMember *members,
			  int count, const AtxLeaseCopy *leases, int nleases)
{
	int64		ids[MEMBERS_AT_ONCE];
	int			nwritten;

	for (int i = 0; i < nleases; i++)
		ids[i] = leases[i].session_id;
	nwritten = atx_lease_renew_many(moment, ids, nleases);

	for (int i = 0; i < nleases; i++)
	{
		const AtxLeaseCopy *lease = &leases[i];
		AtxMember  *member = find_member(members, count, lease->session_id);
		bool		written = atx_ids_contain(ids, nwritten, lease->session_id);

		member->state = ATX_MEMBER_OPENED;
		member->time_left = written ? lease->renewal.timeout : lease->time_left;
		(void) note_renewal(scope->extension->oid, lease->session_id, moment->now,
							written);
	}
}

/*
 * Renew members whose locks are held for as long as this takes: it lets them
 * be filled into memory, and tells a row that is locked by a renewal from one
 * that is being deleted.  The rows that are written stay locked until the
 * transaction ends, which keeps the sessions from ending.
 */
static void
renew_locked_members(AtxScope *scope, const AtxAuthority *authority,
					 AtxMember *members, int count,
					 const int64 *locked, int nlocked)
{
	AtxLeaseCopy leases[MEMBERS_AT_ONCE];
	AtxMoment	moment = atx_moment(authority);
	bool		use_memory = memory_serves();
	int			nleases;
	int			nstale = 0;

	nleases = atx_lease_read_many(&moment, scope->caller, locked, nlocked, leases);
	for (int i = 0; i < nleases; i++)
	{
		AtxLeaseCopy *lease = &leases[i];
		AtxMember  *member = find_member(members, count, lease->session_id);

		member->state = ATX_MEMBER_OPENED;
		member->time_left = lease->renewal.timeout;
		if (use_memory && lease->committed &&
			fill_and_note(scope->extension->oid, lease->session_id,
						  &lease->renewal, moment.now))
			continue;
		if (lease->recent)
			(void) note_renewal(scope->extension->oid, lease->session_id,
								moment.now, false);
		else
			leases[nstale++] = *lease;
	}
	if (nstale > 0)
		write_members(scope, &moment, members, count, leases, nstale);
}

/* Renew members, in ascending order and no more than MEMBERS_AT_ONCE. */
static void
renew_members(AtxMember *members, int count)
{
	AtxScope	scope;
	const AtxAuthority *authority;
	int64		locked[MEMBERS_AT_ONCE];
	int			nlocked;

	/* What this allocates is freed with the scope: a batch may be long. */
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_await_authority(&authority));
	nlocked = lock_members(&scope, members, count, locked);
	renew_locked_members(&scope, authority, members, count, locked, nlocked);
	for (int i = 0; i < nlocked; i++)
		atx_unlock_shared(ATX_LOCK_SESSION, locked[i]);
	for (int i = 0; i < count; i++)
		if (members[i].state == ATX_MEMBER_UNDECIDED)
			members[i].state = member_state(&scope, members[i].session_id);
	atx_scope_leave(&scope);
}

/* Renew a member in memory, or leave it undecided. */
static void
renew_member_in_memory(Oid role, AtxMember *member)
{
	member->time_left = 0;
	switch (atx_renew_in_memory(role, member->session_id, &member->time_left))
	{
		case ATX_RENEWAL_LIVE:
			member->state = ATX_MEMBER_OPENED;
			break;
		case ATX_RENEWAL_ENDING:
			member->state = ATX_MEMBER_ENDING;
			break;
		case ATX_RENEWAL_ABSENT:
			member->state = ATX_MEMBER_UNDECIDED;
			break;
	}
}

/* Copy those that are undecided, each once and ascending; returns how many. */
static int
undecided_members(const AtxMember *members, int count, AtxMember *undecided)
{
	int			n = 0;
	int			distinct = 0;

	for (int i = 0; i < count; i++)
		if (members[i].state == ATX_MEMBER_UNDECIDED)
			undecided[n++] = members[i];
	qsort(undecided, n, sizeof(AtxMember), compare_members);
	for (int i = 0; i < n; i++)
		if (i == 0 || undecided[i].session_id != undecided[distinct - 1].session_id)
			undecided[distinct++] = undecided[i];
	return distinct;
}

/*
 * Renew a batch of sessions, in memory or else by their rows, and tell what
 * became of each.  It waits for nobody, and however many there are, it holds
 * no more than a few locks at a time.
 */
void
atx_keep_alive_many(AtxMember *members, int count)
{
	Oid			role = GetUserId();
	AtxMember  *rest = palloc_extended(sizeof(AtxMember) * count, MCXT_ALLOC_HUGE);
	int			nrest;

	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		renew_member_in_memory(role, &members[i]);
	}
	nrest = undecided_members(members, count, rest);
	for (int i = 0; i < nrest; i += MEMBERS_AT_ONCE)
	{
		CHECK_FOR_INTERRUPTS();
		renew_members(&rest[i], Min(nrest - i, MEMBERS_AT_ONCE));
	}
	for (int i = 0; nrest > 0 && i < count; i++)
		if (members[i].state == ATX_MEMBER_UNDECIDED)
			members[i] = *find_member(rest, nrest, members[i].session_id);
	pfree(rest);
}

/*
 * Lock a session to end it.  A role must not even wait for a session that is
 * none of its business: others would queue up behind it.
 */
static bool
lock_to_end(int64 session_id, Oid role)
{
	if (atx_try_lock_exclusive(ATX_LOCK_SESSION, session_id))
		return true;
	if (!is_usable(session_id, role))
		return false;
	atx_lock_exclusive(ATX_LOCK_SESSION, session_id);
	return true;
}

/* Renew a session whose lock is held and stays held, the cheapest way. */
static AtxAnswer
renew_in_use(AtxScope *scope, int64 session_id, const AtxAuthority *authority)
{
	int64		time_left;
	AtxMoment	moment;

	if (atx_renew_in_memory(scope->caller, session_id, &time_left) == ATX_RENEWAL_LIVE)
		return ATX_ANSWER_DONE;
	moment = atx_moment(authority);
	if (move_to_memory(scope, session_id, &moment, &time_left))
		return ATX_ANSWER_DONE;
	return renew_row(scope, session_id, authority, &time_left);
}

/*
 * Keep a session from ending until the transaction does, or, exclusive, others
 * from using it; false if the caller may not.
 */
bool
atx_lock_session(AtxScope *scope, int64 session_id, bool exclusive)
{
	return exclusive ? lock_to_end(session_id, scope->caller) :
		lock_to_renew(session_id, scope->caller);
}

/*
 * Keep a session from ending until the transaction does, and renew it: what
 * every command begins with.  Exclusive if no other command of the session
 * may run beside.
 */
AtxAnswer
atx_use_session(AtxScope *scope, int64 session_id, bool exclusive,
				const AtxAuthority **authority)
{
	AtxAnswer	answer = atx_await_authority(authority);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (!atx_lock_session(scope, session_id, exclusive))
		return atx_answer_session(ATX_SESSION_UNKNOWN, session_id);
	answer = renew_in_use(scope, session_id, *authority);
	if (answer.outcome == ATX_DONE)
		atx_transaction_used_session();
	else if (exclusive)
		atx_unlock_exclusive(ATX_LOCK_SESSION, session_id);
	else
		atx_unlock_shared(ATX_LOCK_SESSION, session_id);
	return answer;
}

static AtxAnswer
end_now(int64 session_id, Oid role, const char *cause, const char *reason,
		bool *ended)
{
	const AtxAuthority *authority;
	AtxMoment	moment;
	bool		has_claims;
	AtxAnswer	answer = atx_await_authority(&authority);

	if (answer.outcome != ATX_DONE)
		return answer;

	if (!lock_to_end(session_id, role))
		return atx_answer_session(ATX_SESSION_UNKNOWN, session_id);
	moment = atx_moment(authority);
	*ended = atx_session_close(session_id, cause, reason, &moment, role, &has_claims);
	if (!*ended)
	{
		answer = atx_why_not_usable(session_id, role);
		atx_unlock_exclusive(ATX_LOCK_SESSION, session_id);
		return answer.outcome == ATX_SESSION_UNKNOWN ? answer : ATX_ANSWER_DONE;
	}
	atx_renewal_end(atx_extension()->oid, session_id);
	if (has_claims && !atx_release_session(authority, session_id))
		atx_session_leave_closing(session_id);
	atx_doorbell_ring(session_id);
	atx_transaction_used_session();
	atx_transaction_wakes_worker();
	return ATX_ANSWER_DONE;
}

/*
 * Close a session on behalf of its owner; *ended is false if it had ended
 * before.
 */
AtxAnswer
atx_close_session(AtxScope *scope, int64 session_id, bool *ended)
{
	return end_now(session_id, scope->caller, "closed", "closed", ended);
}

/*
 * End any role's session, for an administrator.
 */
AtxAnswer
atx_end_session(AtxScope *scope, int64 session_id, const char *reason, bool *ended)
{
	return end_now(session_id, ATX_ANY_ROLE, "ended", reason, ended);
}
