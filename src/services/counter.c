/*-------------------------------------------------------------------------
 *
 * counter.c
 *	  Service type counter: a signed 64-bit number, 0 at first.
 *
 * Its state is column value of the service's own row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"

#include "atomix/multiraft/counter/v1/counter.pb-c.h"
#include "base/codec.h"
#include "services/counter.h"
#include "services/feed.h"
#include "services/stream.h"

#define OPERATION(name) \
	ATOMIX__MULTIRAFT__COUNTER__V1__COUNTER_INPUT__PAYLOAD_##name
#define RESULT(name) \
	ATOMIX__MULTIRAFT__COUNTER__V1__COUNTER_OUTPUT__PAYLOAD_##name

typedef Atomix__Multiraft__Counter__V1__CounterInput CounterInput;
typedef Atomix__Multiraft__Counter__V1__CounterOutput CounterOutput;

/*
 * Assign a value.
 */
void
atx_counter_set(AtxCall *call, int64 value)
{
	if (call->service.value == value)
		return;
	atx_feed_add(call, "set", NULL, atx_feed_number(value), atx_feed_number(call->service.value));
	call->service.value = value;
	call->changed = call->dirty = true;
}

/*
 * Assign a value if the present one is as expected; false if not.
 */
bool
atx_counter_compare_and_set(AtxCall *call, int64 expected, int64 value)
{
	if (call->service.value != expected)
		return false;
	atx_counter_set(call, value);
	return true;
}

/*
 * Add to the value; false, and nothing is changed, if the sum is out of range.
 */
bool
atx_counter_add(AtxCall *call, int64 delta)
{
	int64		sum;

	if (pg_add_s64_overflow(call->service.value, delta, &sum))
		return false;
	atx_counter_set(call, sum);
	return true;
}

/*
 * Subtract from the value; false as above.
 */
bool
atx_counter_subtract(AtxCall *call, int64 delta)
{
	int64		difference;

	if (pg_sub_s64_overflow(call->service.value, delta, &difference))
		return false;
	atx_counter_set(call, difference);
	return true;
}

static AtxAccess
access_of(const ProtobufCMessage *message)
{
	switch (((const CounterInput *) message)->payload_case)
	{
		case OPERATION(GET):
			return ATX_ACCESS_READ;
		case OPERATION(SET):
		case OPERATION(COMPARE_AND_SET):
		case OPERATION(INCREMENT):
		case OPERATION(DECREMENT):
			return ATX_ACCESS_EXCLUSIVE;
		case OPERATION(EVENTS):
			return ATX_ACCESS_WATCH;
		default:
			return ATX_ACCESS_NONE;
	}
}

static void
refuse_overflow(AtxCall *call, AtxReply *reply)
{
	atx_reply_refused(reply, ATX_STATUS_INVALID,
					  psprintf("counter is out of range: it is " INT64_FORMAT,
							   call->service.value));
}

/* The output of each operation is one number, the value after it. */
static void
reply_value(CounterOutput *output, AtxCall *call, AtxReply *reply)
{
	Atomix__Multiraft__Counter__V1__SetOutput set =
	ATOMIX__MULTIRAFT__COUNTER__V1__SET_OUTPUT__INIT;
	Atomix__Multiraft__Counter__V1__CompareAndSetOutput compare_and_set =
	ATOMIX__MULTIRAFT__COUNTER__V1__COMPARE_AND_SET_OUTPUT__INIT;
	Atomix__Multiraft__Counter__V1__GetOutput get =
	ATOMIX__MULTIRAFT__COUNTER__V1__GET_OUTPUT__INIT;
	Atomix__Multiraft__Counter__V1__IncrementOutput increment =
	ATOMIX__MULTIRAFT__COUNTER__V1__INCREMENT_OUTPUT__INIT;
	Atomix__Multiraft__Counter__V1__DecrementOutput decrement =
	ATOMIX__MULTIRAFT__COUNTER__V1__DECREMENT_OUTPUT__INIT;

	set.value = compare_and_set.value = get.value = call->service.value;
	increment.value = decrement.value = call->service.value;
	switch (output->payload_case)
	{
		case RESULT(SET):
			output->set = &set;
			break;
		case RESULT(COMPARE_AND_SET):
			output->compare_and_set = &compare_and_set;
			break;
		case RESULT(GET):
			output->get = &get;
			break;
		case RESULT(INCREMENT):
			output->increment = &increment;
			break;
		default:
			output->decrement = &decrement;
			break;
	}
	atx_reply_message(reply, &output->base);
}

static void
open_events(AtxCall *call, const CounterInput *input, AtxReply *reply)
{
	AtxStreamRequest request = {.kind = ATX_STREAM_EVENTS};

	if (input->events->replay)
		request.replay_value = atx_feed_number(call->service.value);
	atx_stream_open(call, &request, reply);
}

static bytea *
output_of(AtxStreamKind kind, const AtxEvent *event)
{
	CounterOutput output = ATOMIX__MULTIRAFT__COUNTER__V1__COUNTER_OUTPUT__INIT;
	Atomix__Multiraft__Counter__V1__EventsOutput events =
	ATOMIX__MULTIRAFT__COUNTER__V1__EVENTS_OUTPUT__INIT;
	Atomix__Multiraft__Counter__V1__Event change = ATOMIX__MULTIRAFT__COUNTER__V1__EVENT__INIT;

	output.payload_case = RESULT(EVENTS);
	output.events = &events;
	if (event != NULL)
	{
		events.event = &change;
		change.type = strcmp(event->type, ATX_EVENT_REPLAY) == 0 ?
			ATOMIX__MULTIRAFT__COUNTER__V1__EVENT__TYPE__REPLAY :
			ATOMIX__MULTIRAFT__COUNTER__V1__EVENT__TYPE__UPDATE;
		change.value = atx_feed_number_of(event->value);
		change.prev_value = atx_feed_number_of(event->prev_value);
	}
	return atx_encode(&output.base);
}

static void
apply(AtxCall *call, const ProtobufCMessage *message, AtxReply *reply)
{
	const CounterInput *input = (const CounterInput *) message;
	CounterOutput output = ATOMIX__MULTIRAFT__COUNTER__V1__COUNTER_OUTPUT__INIT;
	bool		fits = true;

	switch (input->payload_case)
	{
		case OPERATION(EVENTS):
			open_events(call, input, reply);
			return;
		case OPERATION(SET):
			atx_counter_set(call, input->set->value);
			output.payload_case = RESULT(SET);
			break;
		case OPERATION(COMPARE_AND_SET):
			if (!atx_counter_compare_and_set(call, input->compare_and_set->compare,
											 input->compare_and_set->update))
			{
				atx_reply_refused(reply, ATX_STATUS_CONFLICT,
								  psprintf("the value is " INT64_FORMAT ", not " INT64_FORMAT,
										   call->service.value, input->compare_and_set->compare));
				return;
			}
			output.payload_case = RESULT(COMPARE_AND_SET);
			break;
		case OPERATION(INCREMENT):
			fits = atx_counter_add(call, input->increment->delta);
			output.payload_case = RESULT(INCREMENT);
			break;
		case OPERATION(DECREMENT):
			fits = atx_counter_subtract(call, input->decrement->delta);
			output.payload_case = RESULT(DECREMENT);
			break;
		default:
			output.payload_case = RESULT(GET);
			break;
	}
	if (fits)
		reply_value(&output, call, reply);
	else
		refuse_overflow(call, reply);
}

const AtxServiceType atx_counter_type = {
	.name = "counter",
	.input = &atomix__multiraft__counter__v1__counter_input__descriptor,
	.access = access_of,
	.apply = apply,
	.output = output_of
};
