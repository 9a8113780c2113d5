/*-------------------------------------------------------------------------
 *
 * election.c
 *	  Service type election: candidates in order, of which the first leads.
 *
 * The term, column value of the service's row, counts changes of leadership.
 * A candidate that comes with a greater priority than others that wait is put
 * before them; moving one by hand keeps it where it was put.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "atomix/multiraft/election/v1/election.pb-c.h"
#include "base/codec.h"
#include "base/doorbell.h"
#include "services/election.h"
#include "services/feed.h"
#include "services/stream.h"

#define OPERATION(name) \
	ATOMIX__MULTIRAFT__ELECTION__V1__LEADER_ELECTION_INPUT__INPUT_##name
#define RESULT(name) \
	ATOMIX__MULTIRAFT__ELECTION__V1__LEADER_ELECTION_OUTPUT__OUTPUT_##name

/* Where a claim is put while two of them change places. */
#define NO_POSITION		INT64CONST(0)

/* The type of the event that tells a term. */
#define TERM_EVENT		"term"

typedef Atomix__Multiraft__Election__V1__LeaderElectionInput ElectionInput;
typedef Atomix__Multiraft__Election__V1__LeaderElectionOutput ElectionOutput;
typedef Atomix__Multiraft__Election__V1__Term Term;

/*
 * The candidates of an election, in order.
 */
AtxCandidates
atx_election_candidates(AtxCall *call)
{
	AtxCandidates candidates;
	int			all = atx_claims_of_service(call->service.service_id, true, &candidates.claims);

	candidates.count = 0;
	for (int i = 0; i < all; i++)
		if (candidates.claims[i].session_id != ATX_DELAY_SESSION)
			candidates.claims[candidates.count++] = candidates.claims[i];
	candidates.led = candidates.count > 0 && ATX_CLAIM_GRANTED(&candidates.claims[0]);
	return candidates;
}

/* The same, without those who stand in vain. */
static AtxCandidates
live_candidates(AtxCall *call)
{
	atx_claims_settle_all(call);
	return atx_election_candidates(call);
}

/* The place of a candidate among them, or -1. */
static int
place_of(const AtxCandidates *candidates, const char *candidate)
{
	for (int i = 0; i < candidates->count; i++)
		if (strcmp(candidates->claims[i].candidate, candidate) == 0)
			return i;
	return -1;
}

static void
move(AtxCall *call, AtxClaim *claim, int64 position)
{
	atx_claim_change(claim, position, &call->moment);
	claim->position = position;
	call->changed = true;
	/* Those who watch are told of the order, too. */
	call->dirty = call->dirty || call->service.watched;
}

/* Put the last of the candidates, which has just come, where it belongs. */
static void
place_by_priority(AtxCall *call, AtxCandidates *candidates)
{
	AtxClaim   *claims = candidates->claims;
	int			last = candidates->count - 1;
	int			first_waiting = candidates->led ? 1 : 0;
	int			place = first_waiting;
	int64		position = claims[last].position;

	while (place < last && claims[place].priority >= claims[last].priority)
		place++;
	if (place == last)
		return;
	move(call, &claims[last], NO_POSITION);
	for (int i = last - 1; i >= place; i--)
	{
		int64		before = claims[i].position;

		move(call, &claims[i], position);
		position = before;
	}
	move(call, &claims[last], position);
}

/*
 * Stand as a candidate; one of the same session and name is found as it is.
 * ALREADY_EXISTS if another session stands under that name.
 */
AtxStatus
atx_election_enter(AtxCall *call, const AtxClaimRequest *request, AtxClaim *claim)
{
	AtxCandidates candidates;
	int			place;

	candidates = live_candidates(call);
	place = place_of(&candidates, request->candidate);
	if (place >= 0)
	{
		*claim = candidates.claims[place];
		return claim->session_id == request->session_id ? ATX_STATUS_OK :
			ATX_STATUS_ALREADY_EXISTS;
	}
	if (atx_claim_request(call, request, claim) && !ATX_CLAIM_GRANTED(claim))
	{
		candidates = atx_election_candidates(call);
		place_by_priority(call, &candidates);
	}
	return ATX_STATUS_OK;
}

/*
 * Take back a candidate of the session, or all of them if that is NULL;
 * returns how many.
 */
int
atx_election_withdraw(AtxCall *call, const char *candidate)
{
	AtxClaim   *claims;
	int			count = atx_claims_of_session(call->session_id, call->service.service_id, &claims);
	int			withdrawn = 0;

	for (int i = 0; i < count; i++)
		if (candidate == NULL || strcmp(claims[i].candidate, candidate) == 0)
		{
			atx_claim_end_or_retry(call, &claims[i]);
			withdrawn++;
		}
	if (withdrawn > 0)
		atx_claims_settle(call);
	return withdrawn;
}

/*
 * Make the candidate at a place, which waits, the leader; the leader becomes
 * the first that waits.
 */
static void
lead(AtxCall *call, AtxCandidates *candidates, int place)
{
	AtxClaim   *claims = candidates->claims;
	int64		position = claims[place].position;

	/* The old leader makes room first: there must not be two, even here. */
	if (candidates->led)
	{
		AtxClaim   *leader = &claims[0];

		atx_claim_lock_or_retry(leader);
		move(call, leader, NO_POSITION);
		atx_feed_add(call, "deposed", leader->candidate, NULL, NULL);
		atx_doorbell_ring(leader->session_id);
	}
	atx_claim_grant(call, &claims[place]);
	if (!candidates->led)
		return;
	for (int i = place - 1; i >= 0; i--)
	{
		int64		before = claims[i].position;

		move(call, &claims[i], position);
		position = before;
	}
}

/* Exchange two that wait, the second of which follows the first. */
static void
swap(AtxCall *call, AtxClaim *first, AtxClaim *second)
{
	int64		a = first->position;
	int64		b = second->position;

	move(call, first, NO_POSITION);
	move(call, second, a);
	move(call, first, b);
}

/* The same, one place after the other, until it is the first. */
static void
put_first(AtxCall *call, AtxCandidates *candidates, int place)
{
	for (int i = place - 1; i >= 0; i--)
		swap(call, &candidates->claims[i], &candidates->claims[place]);
}

/*
 * Make a candidate that waits the leader, or, where nobody leads and nothing
 * is granted yet, the first that will; false if there is none of the name.
 */
bool
atx_election_anoint(AtxCall *call, const char *candidate)
{
	AtxCandidates candidates = live_candidates(call);
	int			place = place_of(&candidates, candidate);

	if (place >= 0 && !candidates.led && atx_claims_postponed(call))
		put_first(call, &candidates, place);
	else if (place > 0 || (place == 0 && !candidates.led))
		lead(call, &candidates, place);
	return place >= 0;
}

/* Let the candidate at a place change places with the one before it. */
static void
move_up(AtxCall *call, AtxCandidates *candidates, int place)
{
	if (place == 1 && candidates->led)
		lead(call, candidates, place);
	else
		swap(call, &candidates->claims[place - 1], &candidates->claims[place]);
}

/*
 * Move a candidate up by one; false if there is none of the name.
 */
bool
atx_election_promote(AtxCall *call, const char *candidate)
{
	AtxCandidates candidates = live_candidates(call);
	int			place = place_of(&candidates, candidate);

	if (place > 0)
		move_up(call, &candidates, place);
	return place >= 0;
}

/*
 * Move a candidate down by one; false if there is none of the name.
 */
bool
atx_election_demote(AtxCall *call, const char *candidate)
{
	AtxCandidates candidates = live_candidates(call);
	int			place = place_of(&candidates, candidate);

	if (place >= 0 && place + 1 < candidates.count)
		move_up(call, &candidates, place + 1);
	return place >= 0;
}

/*
 * Remove a candidate of any session; false if there is none of the name.
 */
bool
atx_election_evict(AtxCall *call, const char *candidate)
{
	AtxCandidates candidates = live_candidates(call);
	int			place = place_of(&candidates, candidate);

	if (place < 0)
		return false;
	atx_claim_end_or_retry(call, &candidates.claims[place]);
	atx_claims_settle(call);
	return true;
}

static int64
one(const AtxService *service)
{
	return 1;
}

static void
count_term(AtxCall *call, const AtxClaim *claim)
{
	call->service.value++;
	call->dirty = true;
}

/* The term as a message, palloc'd. */
static Term *
term_to_wire(AtxCall *call)
{
	AtxCandidates candidates = atx_election_candidates(call);
	Term	   *term = palloc(sizeof(Term));

	atomix__multiraft__election__v1__term__init(term);
	term->index = (uint64) call->service.value;
	term->candidates = palloc(sizeof(char *) * Max(candidates.count, 1));
	for (int i = 0; i < candidates.count; i++)
	{
		char	   *name = atx_text_to_wire(candidates.claims[i].candidate);

		if (i == 0 && candidates.led)
			term->leader = name;
		else
			term->candidates[term->n_candidates++] = name;
	}
	return term;
}

/*
 * Whatever has changed among the candidates is told as one term, beside the
 * single changes.
 */
static void
tell_term(AtxCall *call)
{
	Term	   *term = term_to_wire(call);

	atx_feed_add(call, TERM_EVENT,
				 term->leader[0] == '\0' ? NULL : atx_text_from_wire(term->leader),
				 atx_encode(&term->base), NULL);
}

static void
open_watch(AtxCall *call, AtxReply *reply)
{
	AtxStreamRequest request = {.kind = ATX_STREAM_TERM,.event = TERM_EVENT};
	Term	   *term = term_to_wire(call);

	if (term->index > 0)
	{
		request.replay_key = term->leader[0] == '\0' ? NULL : atx_text_from_wire(term->leader);
		request.replay_value = atx_encode(&term->base);
	}
	atx_stream_open(call, &request, reply);
}

static bytea *
output_of(AtxStreamKind kind, const AtxEvent *event)
{
	ElectionOutput output = ATOMIX__MULTIRAFT__ELECTION__V1__LEADER_ELECTION_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__WatchOutput watch =
	ATOMIX__MULTIRAFT__ELECTION__V1__WATCH_OUTPUT__INIT;

	output.output_case = RESULT(WATCH);
	output.watch = &watch;
	if (event != NULL)
		watch.term = (Term *) atx_decode_datum(&atomix__multiraft__election__v1__term__descriptor,
											   PointerGetDatum(event->value));
	return atx_encode(&output.base);
}

static AtxAccess
access_of(const ProtobufCMessage *message)
{
	switch (((const ElectionInput *) message)->input_case)
	{
		case OPERATION(GET_TERM):
			return ATX_ACCESS_READ;
		case OPERATION(ENTER):
			return ATX_ACCESS_EXCLUSIVE;
		case OPERATION(WATCH):
			return ATX_ACCESS_WATCH;
		case OPERATION(WITHDRAW):
			return ATX_ACCESS_RELEASE;
		case OPERATION(ANOINT):
		case OPERATION(PROMOTE):
		case OPERATION(DEMOTE):
		case OPERATION(EVICT):
			return ATX_ACCESS_MOVE;
		default:
			return ATX_ACCESS_NONE;
	}
}

/* All outputs are alike: a term, under the operation's own number. */
static void
reply_term(AtxCall *call, ElectionOutput *output, AtxReply *reply)
{
	Atomix__Multiraft__Election__V1__EnterOutput term =
	ATOMIX__MULTIRAFT__ELECTION__V1__ENTER_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__WithdrawOutput withdraw =
	ATOMIX__MULTIRAFT__ELECTION__V1__WITHDRAW_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__AnointOutput anoint =
	ATOMIX__MULTIRAFT__ELECTION__V1__ANOINT_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__PromoteOutput promote =
	ATOMIX__MULTIRAFT__ELECTION__V1__PROMOTE_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__DemoteOutput demote =
	ATOMIX__MULTIRAFT__ELECTION__V1__DEMOTE_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__EvictOutput evict =
	ATOMIX__MULTIRAFT__ELECTION__V1__EVICT_OUTPUT__INIT;
	Atomix__Multiraft__Election__V1__GetTermOutput get_term =
	ATOMIX__MULTIRAFT__ELECTION__V1__GET_TERM_OUTPUT__INIT;

	term.term = withdraw.term = anoint.term = promote.term = term_to_wire(call);
	demote.term = evict.term = get_term.term = term.term;
	switch (output->output_case)
	{
		case RESULT(ENTER):
			output->enter = &term;
			break;
		case RESULT(WITHDRAW):
			output->withdraw = &withdraw;
			break;
		case RESULT(ANOINT):
			output->anoint = &anoint;
			break;
		case RESULT(PROMOTE):
			output->promote = &promote;
			break;
		case RESULT(DEMOTE):
			output->demote = &demote;
			break;
		case RESULT(EVICT):
			output->evict = &evict;
			break;
		default:
			output->get_term = &get_term;
	}
	atx_reply_message(reply, &output->base);
}

/* Enter; false, with the reply, if that is refused. */
static bool
apply_enter(AtxCall *call, const ElectionInput *input, AtxReply *reply)
{
	AtxClaimRequest request = {
		.session_id = call->session_id,
		.weight = 1,
		.timeout = ATX_WAIT_FOR_EVER,
		.candidate = atx_text_from_wire(input->enter->candidate)
	};
	AtxClaim	claim;

	if (request.candidate[0] == '\0' || strlen(request.candidate) > ATX_MAX_NAME)
		atx_reply_refused(reply, ATX_STATUS_INVALID,
						  psprintf("candidate must have 1 to %d bytes", ATX_MAX_NAME));
	else if (atx_election_enter(call, &request, &claim) != ATX_STATUS_OK)
		atx_reply_refused(reply, ATX_STATUS_ALREADY_EXISTS,
						  psprintf("another session stands as candidate \"%s\"", request.candidate));
	else
		return true;
	return false;
}

/* An empty name stands for all candidates of the session. */
static void
apply_withdraw(AtxCall *call, const ElectionInput *input)
{
	char	   *candidate = atx_text_from_wire(input->withdraw->candidate);

	(void) atx_election_withdraw(call, candidate[0] == '\0' ? NULL : candidate);
}

static void
apply(AtxCall *call, const ProtobufCMessage *message, AtxReply *reply)
{
	const ElectionInput *input = (const ElectionInput *) message;
	ElectionOutput output = ATOMIX__MULTIRAFT__ELECTION__V1__LEADER_ELECTION_OUTPUT__INIT;

	if (input->input_case == OPERATION(WATCH))
	{
		open_watch(call, reply);
		return;
	}
	/* The oneofs of input and output number their members alike. */
	output.output_case = (int) input->input_case;
	/* Those whose sessions have ended do not stand any more. */
	if (access_of(message) == ATX_ACCESS_MOVE)
		atx_claims_settle_all(call);
	switch (input->input_case)
	{
		case OPERATION(ENTER):
			if (!apply_enter(call, input, reply))
				return;
			break;
		case OPERATION(WITHDRAW):
			apply_withdraw(call, input);
			break;
		case OPERATION(ANOINT):
			(void) atx_election_anoint(call, atx_text_from_wire(input->anoint->candidate));
			break;
		case OPERATION(PROMOTE):
			(void) atx_election_promote(call, atx_text_from_wire(input->promote->candidate));
			break;
		case OPERATION(DEMOTE):
			(void) atx_election_demote(call, atx_text_from_wire(input->demote->candidate));
			break;
		case OPERATION(EVICT):
			(void) atx_election_evict(call, atx_text_from_wire(input->evict->candidate));
			break;
		default:
			break;
	}
	reply_term(call, &output, reply);
}

static const AtxClaimRules rules = {
	.capacity = one,
	.fixed = true,
	.granted = count_term,
	.held = "another candidate leads"
};

const AtxServiceType atx_election_type = {
	.name = "election",
	.input = &atomix__multiraft__election__v1__leader_election_input__descriptor,
	.access = access_of,
	.apply = apply,
	.output = output_of,
	.sum_up = tell_term,
	.claims = &rules
};
