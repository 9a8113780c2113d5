/*-------------------------------------------------------------------------
 *
 * elections.c
 *	  Elections by name, and what administrators do to grants.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/private_lock.h"
#include "commands/elections.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "commands/sessions.h"
#include "services/feed.h"
#include "tables/intervention.h"
#include "tables/session.h"

/* The leader and the term, under the lock of the election. */
static void
read_term(AtxCall *call, AtxTerm *term)
{
	term->term = call->service.value;
	term->led = atx_claim_granted(call->service.service_id, &term->claim) &&
		term->claim.session_id != ATX_DELAY_SESSION;
}

/* Who stands if the caller does not say: the session, else the connection. */
static char *
default_candidate(int64 session_id)
{
	char	   *candidate = atx_session_candidate(session_id);

	if (candidate[0] == '\0')
		return psprintf(INT64_FORMAT, session_id);
	candidate[pg_mbcliplen(candidate, strlen(candidate), ATX_MAX_NAME)] = '\0';
	return candidate;
}

/* The claim a session has in the election, whatever its candidate's name. */
static bool
own_candidate(AtxCall *call, AtxClaim *claim)
{
	AtxClaim   *claims;

	if (atx_claims_of_session(call->session_id, call->service.service_id, &claims) == 0)
		return false;
	*claim = claims[0];
	return true;
}

/*
 * Stand in an election.  A session stands once: entering again finds its
 * candidate.  *result: none exists if another session stands under the name.
 */
AtxAnswer
atx_enter_election(AtxScope *scope, const AtxClaimed *claimed, AtxClaimRequest *request,
				   AtxClaimAnswer *result, AtxTerm *term)
{
	AtxCall		call;
	AtxAnswer	answer = atx_claimed_use(scope, claimed, request->session_id,
										 ATX_ACCESS_EXCLUSIVE, true, &call);

	if (answer.outcome != ATX_DONE)
		return answer;
	if (request->candidate == NULL)
		request->candidate = default_candidate(request->session_id);
	atx_claims_settle(&call);
	result->exists = own_candidate(&call, &result->claim) ||
		atx_election_enter(&call, request, &result->claim) == ATX_STATUS_OK;
	atx_save_service(&call);
	read_term(&call, term);
	/* It may have been granted, or moved, since it was made. */
	if (result->exists)
		(void) own_candidate(&call, &result->claim);
	return answer;
}

/*
 * Withdraw a session from an election; *withdrawn is false if it did not
 * stand.
 */
AtxAnswer
atx_withdraw_from_election(AtxScope *scope, const AtxClaimed *claimed, int64 session_id,
						   bool *withdrawn)
{
	AtxCall		call;
	AtxAnswer	answer = atx_claimed_use(scope, claimed, session_id,
										 ATX_ACCESS_RELEASE, false, &call);

	*withdrawn = false;
	if (answer.outcome != ATX_DONE || call.service.service_id == 0)
		return answer;
	*withdrawn = atx_election_withdraw(&call, NULL) > 0;
	atx_save_service(&call);
	return answer;
}

/* Remember who did what; a claim is noted as it was read. */
static void
note_intervention(AtxScope *scope, const AtxClaimed *claimed, const AtxCall *call,
				  const AtxClaim *claim, const char *action, const char *reason)
{
	AtxIntervention intervention = {
		.index = atx_index_draw(call->authority),
		.service_id = call->service.service_id,
		.namespace = claimed->namespace,
		.name = claimed->name,
		.actor = scope->caller,
		.action = action,
		.reason = reason
	};

	if (claim != NULL)
	{
		intervention.session_id = claim->session_id;
		intervention.ticket = claim->claim_id;
		intervention.token = ATX_CLAIM_GRANTED(claim) ? ATX_CLAIM_TOKEN(claim) : 0;
	}
	atx_intervention_insert(&intervention);
}

static const AtxClaim *
find_candidate(const AtxCandidates *candidates, const char *candidate)
{
	for (int i = 0; i < candidates->count; i++)
		if (strcmp(candidates->claims[i].candidate, candidate) == 0)
			return &candidates->claims[i];
	return NULL;
}

/*
 * Move or remove a candidate of any session, for an administrator; *found is
 * false if there is none of the name.
 */
AtxAnswer
atx_change_election(AtxScope *scope, const AtxClaimed *claimed, const char *candidate,
					const char *action, bool (*change) (AtxCall *call, const char *candidate),
					bool *found)
{
	AtxCall		call;
	AtxCandidates candidates;
	const AtxClaim *claim;
	AtxAnswer	answer = atx_claimed_manage(claimed, ATX_ACCESS_MOVE, false, &call);

	*found = false;
	if (answer.outcome != ATX_DONE || call.service.service_id == 0)
		return answer;
	/* Those whose sessions have ended do not stand any more. */
	atx_claims_settle_all(&call);
	candidates = atx_election_candidates(&call);
	claim = find_candidate(&candidates, candidate);
	*found = change(&call, candidate);
	/* Moving the first up, or the last down, changes nothing. */
	if (*found && claim != NULL && call.changed)
		note_intervention(scope, claimed, &call, claim, action, NULL);
	atx_save_service(&call);
	return answer;
}

/*
 * Read an election without a lock.
 */
AtxAnswer
atx_read_term(const AtxClaimed *claimed, AtxTerm *term)
{
	AtxCall		call = {0};
	bool		found;
	AtxAnswer	answer = atx_find_service(&call, claimed->type, claimed->namespace,
										  claimed->name, &found);

	term->led = false;
	if (answer.outcome == ATX_DONE && found)
		read_term(&call, term);
	return answer;
}

/*
 * Lock a service to end the grant with a token.  Guards of it are waited for
 * before that; those of others, who share the lock, are no concern.
 */
static AtxAnswer
use_to_end(const AtxClaimed *claimed, int64 token, AtxCall *call)
{
	AtxClaim	claim;
	bool		found;
	AtxAnswer	answer;

	atx_require_right(claimed->namespace, ATX_PRIVILEGE_ADMIN);
	answer = atx_find_service(call, claimed->type, claimed->namespace, claimed->name, &found);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (found && token > 0 && atx_claim_find(call->service.service_id, -token, &claim))
		atx_lock_exclusive(ATX_LOCK_CLAIM, claim.claim_id);
	return atx_claimed_manage(claimed, ATX_ACCESS_EXCLUSIVE, false, call);
}

/*
 * Take a grant away, for an administrator; *released is false if there is
 * none with that token.
 */
AtxAnswer
atx_force_release(AtxScope *scope, const AtxClaimed *claimed, int64 token,
				  const char *reason, bool *released)
{
	AtxCall		call;
	AtxClaim	claim;
	AtxAnswer	answer = use_to_end(claimed, token, &call);

	*released = false;
	if (answer.outcome != ATX_DONE || call.service.service_id == 0 || token <= 0 ||
		!atx_claim_find(call.service.service_id, -token, &claim))
		return answer;
	note_intervention(scope, claimed, &call, &claim, "force_release", reason);
	atx_claim_end_or_retry(&call, &claim);
	atx_claims_settle(&call);
	atx_save_service(&call);
	*released = true;
	return answer;
}

static bool
find_ticket(AtxCall *call, int64 ticket, AtxClaim *claim)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_service(call->service.service_id, true, &claims);

	for (int i = 0; i < count; i++)
		if (claims[i].claim_id == ticket && !ATX_CLAIM_GRANTED(&claims[i]))
		{
			*claim = claims[i];
			return true;
		}
	return false;
}

/*
 * Take a grant away and give it to a claim that waits, for an administrator;
 * *new_token is 0, and neither is touched, if one is not there or if others
 * share the grant and leave no room.
 */
AtxAnswer
atx_transfer(AtxScope *scope, const AtxClaimed *claimed, int64 token, int64 ticket,
			 const char *reason, int64 *new_token)
{
	AtxCall		call;
	AtxClaim	from;
	AtxClaim	to;
	AtxAnswer	answer = use_to_end(claimed, token, &call);

	*new_token = 0;
	if (answer.outcome != ATX_DONE || call.service.service_id == 0 || token <= 0)
		return answer;
	atx_claims_settle_all(&call);
	if (atx_claim_find(call.service.service_id, -token, &from) &&
		find_ticket(&call, ticket, &to) && atx_claim_fits_instead(&call, &from, &to))
	{
		note_intervention(scope, claimed, &call, &from, "transfer_from", reason);
		atx_claim_end_or_retry(&call, &from);
		atx_claim_grant(&call, &to);
		note_intervention(scope, claimed, &call, &to, "transfer_to", reason);
		atx_claims_settle(&call);
		*new_token = ATX_CLAIM_TOKEN(&to);
	}
	atx_save_service(&call);
	return answer;
}

/*
 * Set for how long after the expiry of a session its grant is not passed on.
 */
AtxAnswer
atx_set_delay(AtxScope *scope, const AtxClaimed *claimed, int64 delay)
{
	AtxCall		call;
	AtxAnswer	answer;

	atx_require_right(claimed->namespace, ATX_PRIVILEGE_ADMIN);
	answer = atx_claimed_manage(claimed, ATX_ACCESS_EXCLUSIVE, true, &call);
	if (answer.outcome != ATX_DONE)
		return answer;
	note_intervention(scope, claimed, &call, NULL, "set_lock_delay", NULL);
	call.service.delay = delay;
	call.dirty = true;
	atx_save_service(&call);
	return answer;
}

/*
 * Set how many permits a semaphore has.  Those granted beyond that stay so.
 */
AtxAnswer
atx_resize(AtxScope *scope, const AtxClaimed *claimed, int32 permits)
{
	AtxCall		call;
	AtxAnswer	answer;

	atx_require_right(claimed->namespace, ATX_PRIVILEGE_ADMIN);
	answer = atx_claimed_manage(claimed, ATX_ACCESS_EXCLUSIVE, true, &call);
	if (answer.outcome != ATX_DONE)
		return answer;
	if (call.service.value != permits)
		atx_feed_add(&call, "resized", NULL, atx_feed_number(permits),
					 atx_feed_number(call.service.value));
	call.service.value = permits;
	call.dirty = true;
	atx_claims_settle(&call);
	atx_save_service(&call);
	return answer;
}
