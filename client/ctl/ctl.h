/*-------------------------------------------------------------------------
 *
 * ctl.h
 *	  What the files of atomixctl share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATOMIXCTL_H
#define ATOMIXCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../atomix.h"

#define CTL_VERSION	"1.0.0"

/*
 * Exit codes.  "lock" and "elect" give the command's own back, and keep theirs
 * where shells, env and timeout have them.
 */
typedef enum CtlExit
{
	CTL_OK = 0,
	CTL_ERROR = 1,				/* the server refused */
	CTL_USAGE = 2,				/* bad usage */
	CTL_NO_CONNECTION = 3,
	CTL_NO = 4,					/* the answer is no, or there is none */
	CTL_UNCERTAIN = 5,			/* it may have been done, or not */
	CTL_COMPACTED = 6,			/* watch: events are no longer kept */

	CTL_LOST = 123,				/* lock: lost while the command ran */
	CTL_NOT_ACQUIRED = 124,		/* lock: not in time */
	CTL_FAILED = 125,			/* lock, elect: an error of its own */
	CTL_NOT_EXECUTABLE = 126,
	CTL_NOT_FOUND = 127,
	CTL_SIGNALED = 128			/* plus the signal that ended the command */
} CtlExit;

/*
 * Options.  Their order is that in which help shows them.
 */
typedef enum CtlOption
{
	OPT_HOST, OPT_PORT, OPT_USER, OPT_DBNAME, OPT_NO_PASSWORD, OPT_PASSWORD,
	OPT_JSON, OPT_QUIET, OPT_HELP, OPT_VERSION,
	OPT_NAMESPACE, OPT_SESSION, OPT_NUMBER,
	OPT_TTL, OPT_TRY, OPT_TIMEOUT, OPT_SHARED, OPT_PERMITS, OPT_GRACE,
	OPT_CANDIDATE, OPT_PRIORITY, OPT_ONCE,
	OPT_NAME, OPT_KIND, OPT_LABELS,
	OPT_REASON, OPT_PREV_INDEX, OPT_HEX, OPT_AFTER, OPT_LIMIT, OPT_ALL,
	OPT_FROM, OPT_KEY, OPT_COUNT, OPT_POLL, OPT_CHECK,
	CTL_OPTIONS
} CtlOption;

#define OPT(option)		(UINT64_C(1) << (option))

typedef struct CtlOptionInfo
{
	const char *name;
	char		letter;			/* 0: none */
	enum
	{
		CTL_FLAG,
		CTL_TEXT,
		CTL_NUMBER,
		CTL_DURATION
	}			kind;
	const char *metavar;
	const char *help;
} CtlOptionInfo;

extern const CtlOptionInfo ctl_options[CTL_OPTIONS];

typedef struct Ctl Ctl;
typedef struct CtlCommand CtlCommand;

/* What a command line says. */
struct Ctl
{
	const char *program;
	const CtlCommand *command;
	const char *values[CTL_OPTIONS];	/* NULL: not given; flags: "" */
	const char **words;			/* all but options; to be freed */
	const char **args;			/* those of the command */
	int			nargs;
	char	  **run;			/* behind "--", NULL if there is none */
	bool		json;
	bool		quiet;
	char	   *password;
	AtxClient  *client;
};

typedef enum CtlFlags
{
	CTL_WRITES = 1,				/* needs the primary */
	CTL_SINGLE = 2,				/* one row: not a list */
	CTL_TELLS = 4,				/* false, null or no row: exit code 4 */
	CTL_RUNS = 8,				/* takes "-- COMMAND" */
	CTL_HIDDEN = 16				/* not in help */
} CtlFlags;

/* A row of the table of commands. */
struct CtlCommand
{
	const char *name;			/* of one or two words */
	const char *usage;			/* its arguments */
	const char *summary;		/* one line */
	const char *help;			/* more, may be NULL */
	const char *example;		/* without "atomixctl " */
	uint64_t	options;		/* besides the general ones */
	int			flags;
	int			least;			/* arguments */
	int			most;			/* -1: any number */
	int			(*run) (Ctl *ctl);
	const char *sql;			/* for ctl_run_sql */
};

extern const CtlCommand ctl_commands[];
extern const int ctl_commands_count;

#define CTL_GENERAL	(OPT(OPT_HOST) | OPT(OPT_PORT) | OPT(OPT_USER) | OPT(OPT_DBNAME) | \
	OPT(OPT_NO_PASSWORD) | OPT(OPT_PASSWORD) | OPT(OPT_JSON) | OPT(OPT_QUIET) | \
	OPT(OPT_HELP) | OPT(OPT_VERSION))

/* options.c */
extern int	ctl_parse(Ctl *ctl, int argc, char **argv);
extern const CtlCommand *ctl_find(const char *first, const char *second);
extern bool ctl_duration(const char *text, AtxTime *duration);
extern AtxTime ctl_option_duration(const Ctl *ctl, CtlOption option, AtxTime otherwise);
extern int64_t ctl_option_number(const Ctl *ctl, CtlOption option, int64_t otherwise);
extern const char *ctl_name_space(const Ctl *ctl);

/* help.c */
extern int	ctl_help(Ctl *ctl);
extern void ctl_help_general(void);
extern void ctl_help_command(const CtlCommand *command);
extern int	ctl_complete(Ctl *ctl);
extern int	ctl_completion(Ctl *ctl);

/* connect.c */
extern void ctl_connect(Ctl *ctl);
extern bool ctl_prompt_again(Ctl *ctl);
extern int	ctl_no_connection(Ctl *ctl);
extern void ctl_error(const Ctl *ctl, const char *sqlstate, const char *message,
					  const char *detail, const char *hint);
extern void ctl_reply_error(const Ctl *ctl, const AtxReply *reply);
extern void ctl_warn(const Ctl *ctl, const char *format,...) __attribute__((format(printf, 2, 3)));
typedef int (*CtlReplyHook) (Ctl *ctl, const AtxReply *reply);
extern int	ctl_query(Ctl *ctl, bool repeatable, const char *sql, int n,
					  const char *const *values, CtlReplyHook hook);

/* output.c */
extern void ctl_print(const Ctl *ctl, const PGresult *result, bool single);
extern void ctl_json_string(FILE *out, const char *string, size_t length);
extern void ctl_json_bytes(FILE *out, const char *name, const void *bytes, size_t length);
extern bool ctl_is_text(const void *bytes, size_t length);
extern void ctl_print_bytes(FILE *out, const void *bytes, size_t length);
extern char *ctl_hex(const void *bytes, size_t length);

/* sql.c */
extern int	ctl_run_sql(Ctl *ctl);

/* status.c, watching.c, supervise.c */
extern int	ctl_status(Ctl *ctl);
extern int	ctl_watch(Ctl *ctl);
extern int	ctl_lock(Ctl *ctl);
extern int	ctl_elect(Ctl *ctl);

/* child.c: the command that is run, and its guardian. */
typedef struct CtlChild
{
	pid_t		pid;			/* 0: none; also its process group */
	pid_t		guardian;
	int			guard_fd;
	bool		has_terminal;
} CtlChild;

extern void ctl_guardian_start(CtlChild *child);
extern void ctl_guardian_tell(CtlChild *child, AtxTime term_at, AtxTime kill_at,
							  AtxTime grace);
extern void ctl_guardian_stop(CtlChild *child);
extern int	ctl_child_start(CtlChild *child, char **command, AtxTime term_at,
							AtxTime kill_at, AtxTime grace);
extern void ctl_child_signal(const CtlChild *child, int signal);
extern bool ctl_child_ended(CtlChild *child, int *status);

/* signals.c */
extern void ctl_signals_catch(void);
extern void ctl_signals_ignore_pipe(void);
extern void ctl_signals_reset(void);
extern int	ctl_signal_next(void);
extern void ctl_signals_wait(int fd, AtxTime until);

#endif							/* ATOMIXCTL_H */
