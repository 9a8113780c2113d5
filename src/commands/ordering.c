/*-------------------------------------------------------------------------
 *
 * ordering.c
 *	  The locks of a batch, taken in one order: sessions, numbers, names,
 *	  services, entries, each ascending.
 *
 * Members then take the same locks again, which they have by then.  So two
 * batches over the same sessions and services wait for each other instead of
 * deadlocking.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/arrays.h"
#include "base/private_lock.h"
#include "commands/ordering.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "tables/attachment.h"
#include "tables/lease.h"

/* What a member does with its session. */
typedef enum SessionUse
{
	USE,
	ACKNOWLEDGE,				/* writes the lease */
	END
} SessionUse;

typedef struct Member
{
	int64		session_id;
	SessionUse	use;
	int64		sequence_num;
	int64		service_id;
	AtxAccess	access;
	int64		entry;			/* the lock of the one it changes; 0: none */
	const char *namespace;		/* of a service to open by name */
	const char *name;			/* or NULL */
} Member;

struct AtxLockPlan
{
	int			count;
	Member		members[FLEXIBLE_ARRAY_MEMBER];
};

/*
 * An empty plan for so many members.
 */
AtxLockPlan *
atx_lock_plan_create(int members)
{
	AtxLockPlan *plan = palloc(offsetof(AtxLockPlan, members) + sizeof(Member) * members);

	plan->count = 0;
	return plan;
}

static Member *
add(AtxLockPlan *plan, int64 session_id, SessionUse use)
{
	Member	   *member = &plan->members[plan->count++];

	memset(member, 0, sizeof(*member));
	member->session_id = session_id;
	member->use = use;
	return member;
}

/*
 * Add a command; payload is NULL if it is no operation of a service.
 */
void
atx_lock_plan_add(AtxLockPlan *plan, const AtxAddress *address, const AtxPayload *payload)
{
	Member	   *member = add(plan, address->session_id, USE);

	member->sequence_num = address->sequence_num;
	member->service_id = address->service_id;
	member->access = payload != NULL ?
		atx_payload_access(address->session_id, address->service_id, payload, &member->entry) :
		ATX_ACCESS_MOVE;
}

/*
 * Add a command that opens a service by its name.
 */
void
atx_lock_plan_add_open(AtxLockPlan *plan, const AtxAddress *address,
					   const char *namespace, const char *name)
{
	Member	   *member = add(plan, address->session_id, USE);

	member->sequence_num = address->sequence_num;
	member->access = ATX_ACCESS_SHARED;
	member->namespace = namespace;
	member->name = name;
}

/*
 * Add the end of a session, or an acknowledgement of its commands.
 */
void
atx_lock_plan_add_session(AtxLockPlan *plan, int64 session_id, bool ends)
{
	(void) add(plan, session_id, ends ? END : ACKNOWLEDGE);
}

static int
by_session(const void *a, const void *b)
{
	const Member *x = a;
	const Member *y = b;

	if (x->session_id != y->session_id)
		return x->session_id < y->session_id ? -1 : 1;
	return x->sequence_num < y->sequence_num ? -1 : x->sequence_num > y->sequence_num;
}

/*
 * Of one service, the member that needs most comes first, one that changes an
 * entry before one that only opens it.
 */
static int
by_service(const void *a, const void *b)
{
	const Member *x = a;
	const Member *y = b;

	if (x->service_id != y->service_id)
		return x->service_id < y->service_id ? -1 : 1;
	if (x->access != y->access)
		return (int) y->access - (int) x->access;
	return (y->entry != 0) - (x->entry != 0);
}

/*
 * Leave alone the services that a session's members name without having them
 * open: they are refused later on, and until the transaction ends nobody
 * shall wait for a stranger to his service.
 */
static void
skip_services_not_open(int64 session_id, Member *members, int count)
{
	int64	   *open = palloc(sizeof(int64) * count);
	int			nopen;

	for (int i = 0; i < count; i++)
		open[i] = members[i].service_id;
	nopen = atx_attachment_open_of(session_id, open, count);
	atx_ids_sort(open, nopen);
	for (int i = 0; i < count; i++)
		if (!atx_ids_contain(open, nopen, members[i].service_id))
			members[i].service_id = members[i].entry = 0;
	pfree(open);
}

/* How many members from n on are of one session, and what they need of it. */
static int
session_members(const AtxLockPlan *plan, int n, bool used[END + 1], int *numbered)
{
	int			count = 0;

	*numbered = 0;
	memset(used, false, sizeof(bool) * (END + 1));
	while (n + count < plan->count &&
		   plan->members[n + count].session_id == plan->members[n].session_id)
	{
		const Member *member = &plan->members[n + count++];

		used[member->use] = true;
		*numbered += member->sequence_num != 0;
	}
	return count;
}

/* What members name is none of the business of a session they cannot use. */
static void
skip_all(Member *members, int count)
{
	for (int i = 0; i < count; i++)
	{
		members[i].sequence_num = members[i].service_id = 0;
		members[i].entry = 0;
		members[i].name = NULL;
	}
}

/*
 * Lock a session for its members from n on; returns how many they are.
 */
static int
lock_session(AtxScope *scope, AtxLockPlan *plan, int n)
{
	int64		session_id = plan->members[n].session_id;
	const AtxAuthority *authority;
	bool		used[END + 1];
	int			numbered;
	int			count = session_members(plan, n, used, &numbered);
	bool		alone = used[END] || numbered > ATX_MAX_NUMBER_LOCKS;
	bool		locked;
	int64		floor;

	/* Only commands renew, before it is known whether they are in order. */
	locked = used[USE] ?
		atx_use_session(scope, session_id, alone, &authority).outcome == ATX_DONE :
		atx_lock_session(scope, session_id, alone);
	if (locked && used[ACKNOWLEDGE])
		(void) atx_lease_lock_floor(session_id, scope->caller, &floor);
	if (locked)
		skip_services_not_open(session_id, &plan->members[n], count);
	else
		skip_all(&plan->members[n], count);
	return count;
}

static void
lock_numbers(const AtxLockPlan *plan)
{
	AtxNumberName *numbers = palloc(sizeof(AtxNumberName) * Max(plan->count, 1));
	int			count = 0;

	for (int i = 0; i < plan->count; i++)
	{
		if (plan->members[i].sequence_num == 0)
			continue;
		numbers[count].session_id = plan->members[i].session_id;
		numbers[count++].sequence_num = plan->members[i].sequence_num;
	}
	atx_lock_numbers(numbers, count);
}

/* Find the services to open, and lock the names of those that do not exist. */
static void
lock_names(AtxLockPlan *plan)
{
	int64	   *ids = palloc(sizeof(int64) * Max(plan->count, 1));
	int			count = 0;

	for (int i = 0; i < plan->count; i++)
	{
		Member	   *member = &plan->members[i];

		if (member->name == NULL)
			continue;
		/* The member will be refused for that, and the whole batch with it. */
		atx_require_right(member->namespace, ATX_PRIVILEGE_READ);
		member->service_id = atx_service_id(member->namespace, member->name);
		if (member->service_id == 0)
			ids[count++] = atx_service_name_lock(member->namespace, member->name);
	}
	atx_lock_all_exclusive(ATX_LOCK_NAME, ids, count);

	/* Somebody else may have created one meanwhile. */
	for (int i = 0; count > 0 && i < plan->count; i++)
		if (plan->members[i].name != NULL && plan->members[i].service_id == 0)
			plan->members[i].service_id = atx_service_id(plan->members[i].namespace,
														 plan->members[i].name);
}

/* The locks of entries; returns how many. */
static int
collect_entries(const AtxLockPlan *plan, int64 *ids)
{
	int			count = 0;

	for (int i = 0; i < plan->count; i++)
		if (plan->members[i].entry != 0)
			ids[count++] = plan->members[i].entry;
	return count;
}

/* Changes of a watched service come one after the other. */
static bool
is_watched(const Member *member)
{
	AtxService	service;

	return member->access == ATX_ACCESS_SHARED &&
		atx_service_load(member->service_id, &service) && service.watched;
}

/*
 * Lock services, and then entries that are changed beside others.  A batch of
 * many entries has their services alone instead.
 */
static void
lock_services(AtxLockPlan *plan)
{
	int64	   *entries = palloc(sizeof(int64) * Max(plan->count, 1));
	int			nentries = collect_entries(plan, entries);
	bool		alone = nentries > ATX_MAX_ENTRY_LOCKS;
	int64		latest = 0;

	qsort(plan->members, plan->count, sizeof(Member), by_service);
	for (int i = 0; i < plan->count; i++)
	{
		const Member *member = &plan->members[i];

		CHECK_FOR_INTERRUPTS();
		if (member->service_id != latest)
			atx_lock_service(member->service_id, member->session_id,
							 (alone && member->entry != 0) || is_watched(member) ?
							 ATX_ACCESS_EXCLUSIVE : member->access);
		latest = member->service_id;
	}
	if (!alone && nentries > 1)
		atx_lock_all_exclusive(ATX_LOCK_ENTRY, entries, nentries);
}

/*
 * Take all locks of the plan.
 */
void
atx_lock_plan_take(AtxScope *scope, AtxLockPlan *plan)
{
	qsort(plan->members, plan->count, sizeof(Member), by_session);
	for (int i = 0; i < plan->count;)
		i += lock_session(scope, plan, i);
	lock_numbers(plan);
	lock_names(plan);
	lock_services(plan);
}
