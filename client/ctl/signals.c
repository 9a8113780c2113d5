/*-------------------------------------------------------------------------
 *
 * signals.c
 *	  Signals, taken only while waiting.
 *
 * They are blocked but for the moment in which ppoll() sleeps, so none gets lost
 * between looking and sleeping.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* SIGCHLD is for us, the others are passed on. */
static const int caught[] = {
	SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH
};

#define CAUGHT	((int) (sizeof(caught) / sizeof(caught[0])))

static volatile sig_atomic_t pending[CAUGHT];
static struct sigaction before[CAUGHT];
static sigset_t mask_before;
static struct sigaction pipe_before;
static bool pipe_ignored;

static void
note(int signal)
{
	for (int i = 0; i < CAUGHT; i++)
	{
		if (caught[i] == signal)
			pending[i] = 1;
	}
}

/*
 * From now on they are noted.  What the caller ignores, as nohup has it, stays
 * ignored.
 */
void
ctl_signals_catch(void)
{
	struct sigaction action;
	sigset_t	mask;

	memset(&action, 0, sizeof(action));
	action.sa_handler = note;
	sigemptyset(&action.sa_mask);
	sigemptyset(&mask);
	for (int i = 0; i < CAUGHT; i++)
	{
		(void) sigaction(caught[i], NULL, &before[i]);
		if (before[i].sa_handler == SIG_IGN && caught[i] != SIGCHLD)
			continue;
		sigaddset(&mask, caught[i]);
		(void) sigaction(caught[i], &action, NULL);
	}
	(void) sigprocmask(SIG_BLOCK, &mask, &mask_before);
}

/* Writing to who is gone is an error then, not the end. */
void
ctl_signals_ignore_pipe(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_IGN;
	sigemptyset(&action.sa_mask);
	pipe_ignored = sigaction(SIGPIPE, &action, &pipe_before) == 0;
}

/* As they were, for the command that is run. */
void
ctl_signals_reset(void)
{
	if (pipe_ignored)
		(void) sigaction(SIGPIPE, &pipe_before, NULL);
	for (int i = 0; i < CAUGHT; i++)
		(void) sigaction(caught[i], &before[i], NULL);
	(void) sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

/* The next one that has come, 0 if none has. */
int
ctl_signal_next(void)
{
	for (int i = 0; i < CAUGHT; i++)
	{
		if (pending[i])
		{
			pending[i] = 0;
			return caught[i];
		}
	}
	return 0;
}

/* Sleep until a file descriptor is readable, a signal comes, or it is time. */
void
ctl_signals_wait(int fd, AtxTime until)
{
	struct pollfd waited = {.fd = fd,.events = POLLIN};
	struct timespec timeout;
	AtxTime		left = until == ATX_NEVER ? ATX_NEVER : until - atx_now();

	if (left < 0)
		left = 0;
	if (left > 3600 * ATX_SECOND)
		left = 3600 * ATX_SECOND;
	timeout.tv_sec = left / ATX_SECOND;
	timeout.tv_nsec = left % ATX_SECOND * 1000;
	(void) ppoll(&waited, 1, &timeout, &mask_before);
}
