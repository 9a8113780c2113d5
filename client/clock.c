/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The only clock of the client.
 *
 * CLOCK_BOOTTIME neither stops while the machine is suspended nor is it ever
 * set: a lease that ran out in between is seen to have.  Timeouts of poll()
 * do stop, so that the client's time is kept by a timer of the same clock.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

AtxTime
atx_now(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
		abort();
	return (AtxTime) now.tv_sec * ATX_SECOND + now.tv_nsec / 1000;
}

/* A timer that is not set; -1 if there is no file descriptor for it. */
int
atx_timer_new(void)
{
	return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

/* Have it become readable at a time; ATX_NEVER: not at all. */
void
atx_timer_set(int fd, AtxTime at)
{
	struct itimerspec timer = {{0, 0}, {0, 0}};

	if (at != ATX_NEVER)
	{
		/* All zero would switch it off. */
		at = Max(at, 1);
		timer.it_value.tv_sec = at / ATX_SECOND;
		timer.it_value.tv_nsec = at % ATX_SECOND * 1000;
	}
	(void) timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

/* It is not readable until it is set anew, and that time has come. */
void
atx_timer_clear(int fd)
{
	uint64_t	count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;					/* had not gone off */
}

/* The time, or up to a quarter less, so that clients do not come all at once. */
AtxTime
atx_jitter(AtxTime time)
{
	/* Nobody needs this to be hard to guess. */
	return time - time / 4 * (atx_now() / 7 % 64) / 64;
}

/* What poll() is to be told: milliseconds until a time, rounded up. */
int
atx_poll_timeout(AtxTime until)
{
	AtxTime		left;

	if (until == ATX_NEVER)
		return -1;
	left = until - atx_now();
	if (left <= 0)
		return 0;
	return (int) Min((left + 999) / 1000, INT64_C(3600000));
}
