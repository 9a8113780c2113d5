/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The lease clock.
 *
 * No decision is ever taken by the wall clock; it only labels what people
 * read.  A tick must be read after the locks it is compared under have been
 * taken, never before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/shmem.h"

#define IDENTITY_LEN	64

/* 2026-01-01 00:00 UTC in seconds of the Unix epoch. */
#define SECONDS_TO_2026	INT64CONST(1767225600)

/*
 * The current tick.  Tests move it by an offset in shared memory.
 */
AtxTick
atx_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_BOOTTIME, &ts) != 0)
		elog(ERROR, "could not read CLOCK_BOOTTIME: %m");

	return (AtxTick) ts.tv_sec * ATX_TICKS_PER_SEC + ts.tv_nsec / 1000 +
		atx_shmem_clock_offset();
}

/*
 * Wall time: for labels, never for what is due.
 */
TimestampTz
atx_wall_now(void)
{
	return GetCurrentTimestamp();
}

/*
 * The wall time at which the lease clock shows the tick, for labels only.
 */
TimestampTz
atx_wall_of_tick(AtxTick tick)
{
	return GetCurrentTimestamp() + (tick - atx_now());
}

/*
 * Seconds since 2026-01-01, the part of a fresh index that grows by itself.
 */
int64
atx_seconds_since_2026(void)
{
	return (int64) time(NULL) - SECONDS_TO_2026;
}

static void
read_boot_id(char *result)
{
	int			fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	ssize_t		n = fd < 0 ? -1 : read(fd, result, IDENTITY_LEN - 1);

	if (fd >= 0)
		close(fd);
	result[Max(n, 0)] = '\0';
	result[strcspn(result, "\n")] = '\0';
}

/*
 * Which run of the operating system the clock belongs to.
 */
const char *
atx_boot_id(void)
{
	static char boot_id[IDENTITY_LEN];

	if (boot_id[0] == '\0')
		read_boot_id(boot_id);
	return boot_id;
}

/*
 * Which time namespace the clock belongs to: containers may shift it.
 */
const char *
atx_time_namespace(void)
{
	static char name[IDENTITY_LEN];

	if (name[0] == '\0')
	{
		ssize_t		n = readlink("/proc/self/ns/time", name, IDENTITY_LEN - 1);

		name[Max(n, 0)] = '\0';
	}
	return name;
}
