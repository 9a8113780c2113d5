/*-------------------------------------------------------------------------
 *
 * child.c
 *	  The command that runs under a lock, and its guardian.
 *
 * The guardian is a process that has nothing to do but to know, from a pipe, when
 * the command must have ended.  If atomixctl is stopped, or killed, it is the
 * one to end the command: a lock must not be handed on while somebody works
 * under it because the one who should have stopped him was asleep.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"

/* How often to look whether a process group is gone. */
#define LOOK_EVERY_MS	10

/* atomixctl itself ends the command at the same times; it goes first. */
#define GUARDIAN_LATER	(ATX_SECOND / 20)

typedef struct GuardMessage
{
	pid_t		group;			/* 0: nothing to guard */
	AtxTime		term_at;
	AtxTime		kill_at;
	AtxTime		grace;
} GuardMessage;

static bool
group_lives(pid_t group)
{
	return kill(-group, 0) == 0 || errno == EPERM;
}

/* Nobody supervises any more: end the command. */
static void
end_group(const GuardMessage *message)
{
	AtxTime		kill_at = atx_now() + message->grace;

	if (kill_at > message->kill_at)
		kill_at = message->kill_at;
	(void) kill(-message->group, SIGTERM);
	(void) kill(-message->group, SIGCONT);
	while (group_lives(message->group) && atx_now() < kill_at)
		(void) poll(NULL, 0, LOOK_EVERY_MS);
	(void) kill(-message->group, SIGKILL);
}

/* Sleep until there is a message, or it is time, suspended or not. */
static void
sleep_until(int fd, int timer, AtxTime until)
{
	struct pollfd waited[] = {{.fd = fd,.events = POLLIN}, {.fd = timer,.events = POLLIN}};
	struct itimerspec spec = {{0, 0}, {0, 0}};

	if (until < ATX_NEVER)
	{
		until = until < 1 ? 1 : until;
		spec.it_value.tv_sec = until / ATX_SECOND;
		spec.it_value.tv_nsec = until % ATX_SECOND * 1000;
	}
	(void) timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
	(void) poll(waited, 2, -1);
}

static void
guard(int fd)
{
	GuardMessage message = {.group = 0,.term_at = ATX_NEVER,.kill_at = ATX_NEVER};
	int			timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);

	for (;;)
	{
		AtxTime		now = atx_now();
		AtxTime		next = message.term_at < message.kill_at ? message.term_at : message.kill_at;
		GuardMessage received;
		ssize_t		length;

		if (message.group != 0 && now >= message.kill_at)
		{
			(void) kill(-message.group, SIGKILL);
			message.term_at = message.kill_at = next = ATX_NEVER;
		}
		else if (message.group != 0 && now >= message.term_at)
		{
			(void) kill(-message.group, SIGTERM);
			(void) kill(-message.group, SIGCONT);
			message.term_at = ATX_NEVER;
			next = message.kill_at;
		}
		sleep_until(fd, timer, message.group == 0 ? ATX_NEVER : next);

		length = read(fd, &received, sizeof(received));
		if (length == (ssize_t) sizeof(received))
			message = received;
		else if (length == 0)
			break;
		else if (length < 0 && errno != EAGAIN && errno != EINTR)
			break;
	}
	if (message.group != 0)
		end_group(&message);
}

static void
to_null(int fd)
{
	int			null = open("/dev/null", O_RDWR);

	if (null >= 0 && null != fd)
	{
		(void) dup2(null, fd);
		(void) close(null);
	}
}

/*
 * Start the guardian, before there are any connections that it would inherit.
 */
void
ctl_guardian_start(CtlChild *child)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP};
	int			ends[2];

	if (pipe(ends) != 0)
	{
		perror("atomixctl: could not make a pipe");
		exit(CTL_FAILED);
	}
	child->guardian = fork();
	if (child->guardian < 0)
	{
		perror("atomixctl: could not fork");
		exit(CTL_FAILED);
	}
	if (child->guardian == 0)
	{
		/* What is sent to the group of atomixctl is not for us. */
		(void) setpgid(0, 0);
		(void) prctl(PR_SET_NAME, "atomixctl-guard");
		for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
			(void) signal(ignored[i], SIG_IGN);
		(void) close(ends[1]);
		(void) fcntl(ends[0], F_SETFL, O_NONBLOCK);
		for (int fd = 0; fd <= 2; fd++)
			to_null(fd);
		guard(ends[0]);
		_exit(0);
	}
	(void) close(ends[0]);
	child->guard_fd = ends[1];
	(void) fcntl(child->guard_fd, F_SETFD, FD_CLOEXEC);
	/* A guardian that is stopped keeps nobody from renewing. */
	(void) fcntl(child->guard_fd, F_SETFL, O_NONBLOCK);
}

/* When the command is to be told to end, and when it must have ended. */
void
ctl_guardian_tell(CtlChild *child, AtxTime term_at, AtxTime kill_at, AtxTime grace)
{
	GuardMessage message;

	memset(&message, 0, sizeof(message));
	message.group = child->pid;
	message.term_at = term_at == ATX_NEVER ? ATX_NEVER : term_at + GUARDIAN_LATER;
	message.kill_at = kill_at;
	message.grace = grace;
	/* A guardian that is gone is no reason to end the command. */
	if (write(child->guard_fd, &message, sizeof(message)) < 0)
		return;
}

/* There is nothing to guard any more. */
void
ctl_guardian_stop(CtlChild *child)
{
	if (child->guardian <= 0)
		return;
	child->pid = 0;
	ctl_guardian_tell(child, ATX_NEVER, ATX_NEVER, 0);
	(void) close(child->guard_fd);
	while (waitpid(child->guardian, NULL, 0) < 0 && errno == EINTR)
		;
	child->guardian = 0;
}

/* Give the terminal to a process group; does not stop us if we do not have it. */
static void
give_terminal(pid_t group)
{
	sigset_t	blocked;
	sigset_t	mask;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTTOU);
	(void) sigprocmask(SIG_BLOCK, &blocked, &mask);
	(void) tcsetpgrp(STDIN_FILENO, group);
	(void) sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* The new process: wait until it is guarded, then become the command. */
static void
become(char **command, int go, int failed, bool has_terminal)
{
	char		byte;
	int			error;

	(void) setpgid(0, 0);
	if (has_terminal)
		give_terminal(getpid());
	/* End of file: atomixctl is gone, and nobody would guard us. */
	if (read(go, &byte, 1) != 1)
		_exit(CTL_FAILED);
	ctl_signals_reset();
	(void) execvp(command[0], command);
	error = errno;
	if (write(failed, &error, sizeof(error)) < 0)
		_exit(CTL_FAILED);
	_exit(CTL_NOT_FOUND);
}

/*
 * Whether the command is to be found.  execvp() tells of a directory in PATH that may
 * not be read as it does of a command that may not be executed.
 */
static bool
is_there(const char *command)
{
	const char *path = getenv("PATH");
	char		file[4096];

	if (strchr(command, '/') != NULL || path == NULL)
		return true;
	for (;; path++)
	{
		int			length = (int) strcspn(path, ":");

		if (snprintf(file, sizeof(file), "%.*s/%s", length, path, command) < (int) sizeof(file) &&
			access(file, F_OK) == 0)
			return true;
		path += length;
		if (*path == '\0')
			return false;
	}
}

/*
 * Start the command in a process group of its own.  0, or the exit code if it could not
 * be executed.
 */
int
ctl_child_start(CtlChild *child, char **command, AtxTime term_at, AtxTime kill_at,
				AtxTime grace)
{
	int			go[2];
	int			failed[2];
	int			error = 0;

	if (pipe(go) != 0 || pipe(failed) != 0)
	{
		perror("atomixctl: could not make a pipe");
		return CTL_FAILED;
	}
	for (int i = 0; i < 2; i++)
	{
		(void) fcntl(go[i], F_SETFD, FD_CLOEXEC);
		(void) fcntl(failed[i], F_SETFD, FD_CLOEXEC);
	}
	child->has_terminal = isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
	child->pid = fork();
	if (child->pid < 0)
	{
		perror("atomixctl: could not fork");
		child->pid = 0;
		return CTL_FAILED;
	}
	if (child->pid == 0)
	{
		(void) close(go[1]);
		become(command, go[0], failed[1], child->has_terminal);
	}
	(void) setpgid(child->pid, child->pid);
	ctl_guardian_tell(child, term_at, kill_at, grace);
	(void) close(go[0]);
	(void) close(failed[1]);
	if (write(go[1], "", 1) != 1)
		error = errno;
	(void) close(go[1]);
	/* Nothing comes if it has become the command. */
	if (read(failed[0], &error, sizeof(error)) != (ssize_t) sizeof(error))
		error = 0;
	(void) close(failed[0]);
	if (error == 0)
		return 0;

	if (error == EACCES && !is_there(command[0]))
		error = ENOENT;
	fprintf(stderr, "atomixctl: could not execute \"%s\": %s\n", command[0], strerror(error));
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (child->has_terminal)
		give_terminal(getpgrp());
	child->pid = 0;
	ctl_guardian_tell(child, ATX_NEVER, ATX_NEVER, 0);
	return error == ENOENT ? CTL_NOT_FOUND : CTL_NOT_EXECUTABLE;
}

/* Signal all of the command's processes. */
void
ctl_child_signal(const CtlChild *child, int signal)
{
	if (child->pid <= 0)
		return;
	(void) kill(-child->pid, signal);
	/* Who is stopped cannot end. */
	if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP)
		(void) kill(-child->pid, SIGCONT);
}

/*
 * Whether the command has ended, and with what exit code, as shells have it.
 * From the keyboard it cannot be suspended: that would keep the lock.
 */
bool
ctl_child_ended(CtlChild *child, int *status)
{
	int			how;

	if (child->pid <= 0 || waitpid(child->pid, &how, WNOHANG | WUNTRACED) != child->pid)
		return false;
	if (WIFSTOPPED(how))
	{
		if (WSTOPSIG(how) == SIGTSTP && child->has_terminal)
			(void) kill(-child->pid, SIGCONT);
		return false;
	}
	*status = WIFSIGNALED(how) ? CTL_SIGNALED + WTERMSIG(how) : WEXITSTATUS(how);
	if (child->has_terminal)
		give_terminal(getpgrp());
	child->pid = 0;
	ctl_guardian_tell(child, ATX_NEVER, ATX_NEVER, 0);
	return true;
}
