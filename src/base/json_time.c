/*-------------------------------------------------------------------------
 *
 * json_time.c
 *	  Durations and timestamps of messages as JSON has them.
 *
 * A Duration is "1.5s", a Timestamp as RFC 3339 says.  Both have ten
 * thousand years at most and nanoseconds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/datetime.h"

#include "base/json_time.h"

#define NANOS_PER_SEC	1000000000
#define NANOS_DIGITS	9

#define MAX_DURATION	INT64CONST(315576000000)	/* seconds */
#define FIRST_SECOND	INT64CONST(-62135596800)	/* 0001-01-01 */
#define LAST_SECOND	INT64CONST(253402300799)	/* 9999-12-31 */

/* A fraction of a second: none, or three, six or nine digits; palloc'd. */
static char *
fraction_text(int32 nanos)
{
	if (nanos == 0)
		return pstrdup("");
	if (nanos % 1000000 == 0)
		return psprintf(".%03d", nanos / 1000000);
	if (nanos % 1000 == 0)
		return psprintf(".%06d", nanos / 1000);
	return psprintf(".%09d", nanos);
}

/*
 * So many digits, moving on behind them; false if there are other characters.
 */
static bool
take_digits(const char **c, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++)
	{
		if (**c < '0' || **c > '9')
			return false;
		*value = *value * 10 + (*(*c)++ - '0');
	}
	return true;
}

static bool
take_char(const char **c, char expected)
{
	if (**c != expected)
		return false;
	(*c)++;
	return true;
}

/* A fraction, if there is one: up to nine digits. */
static bool
take_fraction(const char **c, int32 *nanos)
{
	int			digits = 0;

	*nanos = 0;
	if (!take_char(c, '.'))
		return true;
	for (; **c >= '0' && **c <= '9' && digits < NANOS_DIGITS; digits++)
		*nanos = *nanos * 10 + (*(*c)++ - '0');
	if (digits == 0)
		return false;
	for (; digits < NANOS_DIGITS; digits++)
		*nanos *= 10;
	return true;
}

/*
 * A Duration as JSON has it, palloc'd; NULL if it is none: too long, or parts
 * of different sign.
 */
char *
atx_duration_to_json(const Google__Protobuf__Duration *duration)
{
	int64		seconds = duration->seconds;
	int32		nanos = duration->nanos;

	if (seconds < -MAX_DURATION || seconds > MAX_DURATION ||
		nanos <= -NANOS_PER_SEC || nanos >= NANOS_PER_SEC ||
		(seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0))
		return NULL;
	return psprintf("%s" INT64_FORMAT "%ss", seconds < 0 || nanos < 0 ? "-" : "",
					seconds < 0 ? -seconds : seconds,
					fraction_text(nanos < 0 ? -nanos : nanos));
}

/*
 * The Duration that a text means; false if it means none.
 */
bool
atx_duration_from_json(const char *text, Google__Protobuf__Duration *duration)
{
	const char *c = text;
	bool		negative = take_char(&c, '-');
	const char *first = c;
	int64		seconds = 0;
	int32		nanos;

	for (; *c >= '0' && *c <= '9' && seconds <= MAX_DURATION; c++)
		seconds = seconds * 10 + (*c - '0');
	if (c == first || !take_fraction(&c, &nanos) || strcmp(c, "s") != 0 ||
		seconds > MAX_DURATION || (seconds == MAX_DURATION && nanos > 0))
		return false;
	duration->seconds = negative ? -seconds : seconds;
	duration->nanos = negative ? -nanos : nanos;
	return true;
}

/*
 * A Timestamp as JSON has it, in UTC, palloc'd; NULL if it is none.
 */
char *
atx_timestamp_to_json(const Google__Protobuf__Timestamp *timestamp)
{
	int64		seconds;
	int			year;
	int			month;
	int			day;
	int			of_day;

	if (timestamp->seconds < FIRST_SECOND || timestamp->seconds > LAST_SECOND ||
		timestamp->nanos < 0 || timestamp->nanos >= NANOS_PER_SEC)
		return NULL;
	seconds = timestamp->seconds - FIRST_SECOND;
	j2date((int) (seconds / SECS_PER_DAY) + date2j(1, 1, 1), &year, &month, &day);
	of_day = (int) (seconds % SECS_PER_DAY);
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d%sZ", year, month, day,
					of_day / SECS_PER_HOUR, of_day / SECS_PER_MINUTE % MINS_PER_HOUR,
					of_day % SECS_PER_MINUTE, fraction_text(timestamp->nanos));
}

static bool
take_date(const char **c, int64 *seconds)
{
	int			year;
	int			month;
	int			day;

	if (!take_digits(c, 4, &year) || !take_char(c, '-') ||
		!take_digits(c, 2, &month) || !take_char(c, '-') ||
		!take_digits(c, 2, &day) ||
		year < 1 || month < 1 || month > MONTHS_PER_YEAR ||
		day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	*seconds = (int64) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	return true;
}

static bool
take_hours_and_minutes(const char **c, int *seconds)
{
	int			hours;
	int			minutes;

	if (!take_digits(c, 2, &hours) || !take_char(c, ':') ||
		!take_digits(c, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE;
	return true;
}

/* The time zone: Z, or how far it is ahead of UTC. */
static bool
take_zone(const char **c, int *seconds)
{
	bool		behind = (**c == '-');

	*seconds = 0;
	if (take_char(c, 'Z'))
		return true;
	if ((!behind && **c != '+') || !take_char(c, **c) ||
		!take_hours_and_minutes(c, seconds))
		return false;
	if (behind)
		*seconds = -*seconds;
	return true;
}

/*
 * The Timestamp that a text means; false if it means none.
 */
bool
atx_timestamp_from_json(const char *text, Google__Protobuf__Timestamp *timestamp)
{
	const char *c = text;
	int64		date;
	int			minutes;
	int			seconds;
	int32		nanos;
	int			zone;

	if (!take_date(&c, &date) || !take_char(&c, 'T') ||
		!take_hours_and_minutes(&c, &minutes) || !take_char(&c, ':') ||
		!take_digits(&c, 2, &seconds) || seconds > 59 ||
		!take_fraction(&c, &nanos) || !take_zone(&c, &zone) || *c != '\0')
		return false;
	timestamp->seconds = date + minutes + seconds - zone;
	timestamp->nanos = nanos;
	return timestamp->seconds >= FIRST_SECOND && timestamp->seconds <= LAST_SECOND;
}
