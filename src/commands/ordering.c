/*-------------------------------------------------------------------------
 *
 * ordering.c
 *	  The locks of a batch, taken in one order: sessions, numbers, services,
 *	  each ascending.
 *
 * Members then take the same locks again, which they have by then.  So two
 * batches over the same sessions and services wait for each other instead of
 * deadlocking.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "commands/ordering.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "tables/attachment.h"

typedef struct Member
{
	int64		session_id;
	int64		sequence_num;
	int64		service_id;
	AtxAccess	access;
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

/*
 * Add a member; payload is NULL if it is no operation of a service.
 */
void
atx_lock_plan_add(AtxLockPlan *plan, const AtxAddress *address, const AtxPayload *payload)
{
	Member	   *member = &plan->members[plan->count++];

	member->session_id = address->session_id;
	member->sequence_num = address->sequence_num;
	member->service_id = address->service_id;
	member->access = payload != NULL ? atx_payload_access(address->service_id, payload) :
		ATX_ACCESS_MOVE;
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

/* Of one service, the member that needs most comes first. */
static int
by_service(const void *a, const void *b)
{
	const Member *x = a;
	const Member *y = b;

	if (x->service_id != y->service_id)
		return x->service_id < y->service_id ? -1 : 1;
	return (int) y->access - (int) x->access;
}

static int
by_id(const void *a, const void *b)
{
	const int64 *x = a;
	const int64 *y = b;

	return *x < *y ? -1 : *x > *y;
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
	qsort(open, nopen, sizeof(int64), by_id);
	for (int i = 0; i < count; i++)
		if (bsearch(&members[i].service_id, open, nopen, sizeof(int64), by_id) == NULL)
			members[i].service_id = 0;
	pfree(open);
}

/*
 * Lock a session for its members from n on; returns how many they are.  What
 * they name is none of a session's business that cannot be used.
 */
static int
lock_session(AtxScope *scope, AtxLockPlan *plan, int n)
{
	int64		session_id = plan->members[n].session_id;
	const AtxAuthority *authority;
	int			count = 0;
	int			numbered = 0;

	while (n + count < plan->count && plan->members[n + count].session_id == session_id)
		numbered += plan->members[n + count++].sequence_num != 0;
	if (atx_use_session(scope, session_id, numbered > ATX_MAX_NUMBER_LOCKS,
						&authority).outcome != ATX_DONE)
		for (int i = n; i < n + count; i++)
		{
			plan->members[i].sequence_num = 0;
			plan->members[i].service_id = 0;
		}
	else
		skip_services_not_open(session_id, &plan->members[n], count);
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

/*
 * Take all locks of the plan.
 */
void
atx_lock_plan_take(AtxScope *scope, AtxLockPlan *plan)
{
	int64		latest = 0;

	qsort(plan->members, plan->count, sizeof(Member), by_session);
	for (int i = 0; i < plan->count;)
		i += lock_session(scope, plan, i);
	lock_numbers(plan);

	qsort(plan->members, plan->count, sizeof(Member), by_service);
	for (int i = 0; i < plan->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (plan->members[i].service_id != latest)
			atx_lock_service(plan->members[i].service_id, plan->members[i].session_id,
							 plan->members[i].access);
		latest = plan->members[i].service_id;
	}
}
