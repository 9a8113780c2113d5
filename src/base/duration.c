/*-------------------------------------------------------------------------
 *
 * duration.c
 *	  Spans of time between SQL's interval and ticks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/duration.h"

/*
 * The ticks (microseconds) of an interval.
 *
 * Days count 24 hours.  Months have no length and are refused, and so is
 * what is negative or beyond the range of ticks: ERROR 22023.
 */
int64
atx_duration_from_interval(const Interval *span, const char *argument)
{
	int64		days;
	int64		ticks;

	if (span->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not contain months or years", argument),
				 errdetail("Months differ in length."),
				 errhint("Give the span in days or smaller units.")));

	if (pg_mul_s64_overflow(span->day, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, span->time, &ticks))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is out of range", argument)));

	if (ticks < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative", argument)));
	return ticks;
}

/*
 * An interval of that many ticks, palloc'd, without a days part.
 */
Interval *
atx_interval_from_ticks(int64 ticks)
{
	Interval   *span = (Interval *) palloc0(sizeof(Interval));

	span->time = ticks;
	return span;
}

/*
 * A span as a message shows it, palloc'd.
 */
char *
atx_duration_text(int64 ticks)
{
	if (ticks % USECS_PER_SEC == 0)
		return psprintf(INT64_FORMAT " s", ticks / USECS_PER_SEC);
	return psprintf("%.3f ms", (double) ticks / 1000.0);
}

/*
 * The ticks of a Duration of the protocol; false if it is negative or
 * malformed.  One of more than 68 years counts as that.
 */
bool
atx_duration_from_wire(const Google__Protobuf__Duration *duration, int64 *ticks)
{
	if (duration->seconds < 0 ||
		duration->nanos < 0 || duration->nanos > 999999999)
		return false;
	*ticks = Min(duration->seconds, ATX_LONGEST_DURATION / USECS_PER_SEC) * USECS_PER_SEC +
		duration->nanos / 1000;
	return true;
}

/*
 * A Duration of the protocol, palloc'd.
 */
Google__Protobuf__Duration *
atx_duration_to_wire(int64 ticks)
{
	Google__Protobuf__Duration *duration = palloc(sizeof(Google__Protobuf__Duration));

	google__protobuf__duration__init(duration);
	duration->seconds = ticks / USECS_PER_SEC;
	duration->nanos = (int32) (ticks % USECS_PER_SEC * 1000);
	return duration;
}
