/*-------------------------------------------------------------------------
 *
 * options.c
 *	  The command line.
 *
 * Options may stand anywhere before "--".  What is wrong with a command line
 * is said in one line, with where to read more.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

const CtlOptionInfo ctl_options[CTL_OPTIONS] = {
	[OPT_HOST] = {"host", 'h', CTL_TEXT, "HOST", "database server's host or socket directory"},
	[OPT_PORT] = {"port", 'p', CTL_TEXT, "PORT", "its port"},
	[OPT_USER] = {"username", 'U', CTL_TEXT, "NAME", "user to connect as"},
	[OPT_DBNAME] = {"dbname", 'd', CTL_TEXT, "DBNAME", "database, connection string or URI"},
	[OPT_NO_PASSWORD] = {"no-password", 'w', CTL_FLAG, NULL, "never ask for a password"},
	[OPT_PASSWORD] = {"password", 'W', CTL_FLAG, NULL, "ask for a password at once"},
	[OPT_JSON] = {"json", 'j', CTL_FLAG, NULL, "write JSON"},
	[OPT_QUIET] = {"quiet", 'q', CTL_FLAG, NULL, "no warnings, nothing about waiting"},
	[OPT_HELP] = {"help", '?', CTL_FLAG, NULL, "show this help"},
	[OPT_VERSION] = {"version", 'V', CTL_FLAG, NULL, "show the version"},
	[OPT_NAMESPACE] = {"namespace", 'n', CTL_TEXT, "NAME", "namespace of the service"},
	[OPT_SESSION] = {"session", 0, CTL_NUMBER, "ID", "session that does it, exactly once with --number"},
	[OPT_NUMBER] = {"number", 0, CTL_NUMBER, "N", "number of the command in the session"},
	[OPT_TTL] = {"ttl", 't', CTL_DURATION, "TIME", "timeout of the session, or time to live of the entry"},
	[OPT_TRY] = {"try", 0, CTL_FLAG, NULL, "do not wait"},
	[OPT_TIMEOUT] = {"timeout", 0, CTL_DURATION, "TIME", "wait so long at most; default: for ever"},
	[OPT_SHARED] = {"shared", 0, CTL_FLAG, NULL, "with others that share it"},
	[OPT_PERMITS] = {"permits", 0, CTL_NUMBER, "N", "take permits of a semaphore instead"},
	[OPT_GRACE] = {"grace", 0, CTL_DURATION, "TIME", "between SIGTERM and SIGKILL; default: a sixth of the timeout, 5 s at most"},
	[OPT_CANDIDATE] = {"candidate", 0, CTL_TEXT, "NAME", "name to stand under; default: the session's"},
	[OPT_PRIORITY] = {"priority", 0, CTL_NUMBER, "N", "goes before those that wait with a lesser one"},
	[OPT_ONCE] = {"once", 0, CTL_FLAG, NULL, "end with the command instead of standing again"},
	[OPT_NAME] = {"name", 0, CTL_TEXT, "NAME", "name of the session"},
	[OPT_KIND] = {"kind", 0, CTL_TEXT, "KIND", "kind of the session"},
	[OPT_LABELS] = {"labels", 0, CTL_TEXT, "JSON", "labels of the session, a JSON object of strings"},
	[OPT_REASON] = {"reason", 0, CTL_TEXT, "TEXT", "why, for the record"},
	[OPT_PREV_INDEX] = {"prev-index", 0, CTL_NUMBER, "N", "only if the entry's index is this one"},
	[OPT_HEX] = {"hex", 0, CTL_FLAG, NULL, "values are hexadecimal digits"},
	[OPT_AFTER] = {"after", 0, CTL_TEXT, "POSITION", "go on after this key or version"},
	[OPT_LIMIT] = {"limit", 0, CTL_NUMBER, "N", "rows at most; default: 1000"},
	[OPT_ALL] = {"all", 'a', CTL_FLAG, NULL, "also what has ended, or is free"},
	[OPT_FROM] = {"from", 0, CTL_NUMBER, "REVISION", "begin after this revision; default: now"},
	[OPT_KEY] = {"key", 0, CTL_TEXT, "KEY", "events of this key only"},
	[OPT_COUNT] = {"count", 0, CTL_NUMBER, "N", "end after so many events"},
	[OPT_POLL] = {"poll", 0, CTL_DURATION, "TIME", "look so often behind a pooler; default: 1 s"},
	[OPT_CHECK] = {"check", 0, CTL_FLAG, NULL, "exit with 4 if there is a warning"},
};

/* The command of one or two words, NULL if there is none. */
const CtlCommand *
ctl_find(const char *first, const char *second)
{
	for (int i = 0; i < ctl_commands_count; i++)
	{
		const char *name = ctl_commands[i].name;
		size_t		length = strlen(first);

		if (second == NULL ? strcmp(name, first) == 0 :
			strncmp(name, first, length) == 0 && name[length] == ' ' &&
			strcmp(name + length + 1, second) == 0)
			return &ctl_commands[i];
	}
	return NULL;
}

/*
 * A duration: a number, with a fraction if need be, and a unit, seconds if
 * none is given.
 */
bool
ctl_duration(const char *text, AtxTime *duration)
{
	static const struct
	{
		const char *name;
		double		length;
	}			units[] = {
		{"", 1e6}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"sec", 1e6}, {"m", 60e6},
		{"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}
	};
	char	   *end;
	double		number;

	errno = 0;
	number = strtod(text, &end);
	if (end == text ||errno != 0 || !(number >= 0))
		return false;
	end += strspn(end, " ");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strcmp(end, units[i].name) == 0 && number * units[i].length < 1e17)
		{
			*duration = (AtxTime) (number * units[i].length + 0.5);
			return true;
		}
	}
	return false;
}

static bool
is_number(const char *text)
{
	char	   *end;

	errno = 0;
	(void) strtoll(text, &end, 10);
	return end != text &&*end == '\0' && errno == 0;
}

AtxTime
ctl_option_duration(const Ctl *ctl, CtlOption option, AtxTime otherwise)
{
	AtxTime		duration;

	if (ctl->values[option] == NULL || !ctl_duration(ctl->values[option], &duration))
		return otherwise;
	return duration;
}

int64_t
ctl_option_number(const Ctl *ctl, CtlOption option, int64_t otherwise)
{
	return ctl->values[option] == NULL ? otherwise : strtoll(ctl->values[option], NULL, 10);
}

const char *
ctl_name_space(const Ctl *ctl)
{
	return ctl->values[OPT_NAMESPACE] != NULL ? ctl->values[OPT_NAMESPACE] : "";
}

/* Say what is wrong, and where to read more. */
static int
__attribute__((format(printf, 2, 3)))
bad(const Ctl *ctl, const char *format,...)
{
	va_list		args;

	fprintf(stderr, "%s: ", ctl->program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry \"%s help%s%s\" for more information.\n", ctl->program,
			ctl->command != NULL ? " " : "", ctl->command != NULL ? ctl->command->name : "");
	return ctl->command != NULL && (ctl->command->flags & CTL_RUNS) ? CTL_FAILED : CTL_USAGE;
}

/* Which option a word is; the value behind "=" or the letter, if any. */
static int
find_option(const char *word, const char **value)
{
	*value = NULL;
	for (int i = 0; i < CTL_OPTIONS; i++)
	{
		const CtlOptionInfo *info = &ctl_options[i];
		size_t		length = strlen(info->name);

		if (word[1] == '-')
		{
			if (strncmp(word + 2, info->name, length) != 0)
				continue;
			if (word[2 + length] == '=')
				*value = word + 3 + length;
			else if (word[2 + length] != '\0')
				continue;
			return i;
		}
		if (info->letter != 0 && word[1] == info->letter)
		{
			if (word[2] != '\0')
				*value = word + 2;
			return i;
		}
	}
	return -1;
}

static int
check_value(const Ctl *ctl, int option)
{
	const CtlOptionInfo *info = &ctl_options[option];
	AtxTime		duration;

	if (info->kind == CTL_NUMBER && !is_number(ctl->values[option]))
		return bad(ctl, "--%s takes a whole number, not \"%s\"", info->name, ctl->values[option]);
	if (info->kind == CTL_DURATION && !ctl_duration(ctl->values[option], &duration))
		return bad(ctl, "--%s takes a time such as 500ms, 30s, 5min or 1h, not \"%s\"",
				   info->name, ctl->values[option]);
	return CTL_OK;
}

/* Take the option that a word is, perhaps with the next one as its value. */
static int
take_option(Ctl *ctl, char **words, int count, int *at)
{
	const char *word = words[*at];
	const char *value;
	int			option = find_option(word, &value);

	if (option < 0)
		return bad(ctl, "unknown option \"%s\"", word);
	if (ctl_options[option].kind == CTL_FLAG)
	{
		if (value != NULL)
			return bad(ctl, "option \"%s\" takes no value", word);
		value = "";
	}
	else if (value == NULL)
	{
		if (*at + 1 >= count)
			return bad(ctl, "option \"%s\" needs a value", word);
		value = words[++*at];
	}
	ctl->values[option] = value;
	return check_value(ctl, option);
}

/* Find the command that the words name; those left are its arguments. */
static int
find_command(Ctl *ctl)
{
	const char *second = ctl->nargs > 1 ? ctl->args[1] : NULL;
	int			words = 1;

	if (ctl->run == NULL && second != NULL &&
		(ctl->command = ctl_find(ctl->args[0], second)) != NULL)
		words = 2;
	else
		ctl->command = ctl_find(ctl->args[0], NULL);
	if (ctl->command == NULL)
	{
		if (second == NULL)
			return bad(ctl, "unknown command \"%s\"", ctl->args[0]);
		return bad(ctl, "unknown command \"%s %s\"", ctl->args[0], second);
	}
	ctl->args += words;
	ctl->nargs -= words;
	return CTL_OK;
}

/* Whether the command takes what it has been given. */
static int
check_command(Ctl *ctl)
{
	const CtlCommand *command = ctl->command;

	for (int i = 0; i < CTL_OPTIONS; i++)
	{
		if (ctl->values[i] != NULL && !((command->options | CTL_GENERAL) & OPT(i)))
			return bad(ctl, "\"%s\" has no option --%s", command->name, ctl_options[i].name);
	}
	if (ctl->values[OPT_HELP] != NULL)
		return CTL_OK;
	if (ctl->run != NULL && !(command->flags & CTL_RUNS))
		return bad(ctl, "\"%s\" runs no command", command->name);
	if ((command->flags & CTL_RUNS) && (ctl->run == NULL || ctl->run[0] == NULL))
		return bad(ctl, "\"%s\" needs a command behind \"--\"", command->name);
	if (ctl->nargs < command->least)
		return bad(ctl, "\"%s\" needs more: %s", command->name, command->usage);
	if (command->most >= 0 && ctl->nargs > command->most)
		return bad(ctl, "too much for \"%s\": \"%s\"", command->name, ctl->args[command->most]);
	if (ctl->values[OPT_TRY] != NULL && ctl->values[OPT_TIMEOUT] != NULL)
		return bad(ctl, "--try and --timeout exclude each other");
	if (ctl->values[OPT_SHARED] != NULL && ctl->values[OPT_PERMITS] != NULL)
		return bad(ctl, "--shared and --permits exclude each other");
	if (ctl->values[OPT_NUMBER] != NULL && (command->options & OPT(OPT_SESSION)) &&
		ctl->values[OPT_SESSION] == NULL)
		return bad(ctl, "--number needs --session");
	return CTL_OK;
}

/*
 * Read the command line.  Without any word but options ctl->command stays
 * NULL.
 */
int
ctl_parse(Ctl *ctl, int argc, char **argv)
{
	int			status;

	ctl->program = "atomixctl";
	ctl->words = ctl->args = calloc((size_t) argc + 1, sizeof(char *));
	if (ctl->words == NULL)
		abort();
	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--") == 0)
		{
			ctl->run = argv + i + 1;
			break;
		}
		/* A lone or leading number may be an argument: counter increment x -1 */
		if (argv[i][0] != '-' || argv[i][1] == '\0' || is_number(argv[i]))
		{
			ctl->args[ctl->nargs++] = argv[i];
			/* Words to complete are no options. */
			if (strcmp(ctl->args[0], "complete") == 0)
			{
				while (++i < argc)
					ctl->args[ctl->nargs++] = argv[i];
			}
			continue;
		}
		status = take_option(ctl, argv, argc, &i);
		if (status != CTL_OK)
			return status;
	}
	ctl->json = ctl->values[OPT_JSON] != NULL;
	ctl->quiet = ctl->values[OPT_QUIET] != NULL;
	if (ctl->nargs == 0)
	{
		if (ctl->values[OPT_HELP] != NULL || ctl->values[OPT_VERSION] != NULL)
			return CTL_OK;
		return bad(ctl, "no command given");
	}
	status = find_command(ctl);
	return status == CTL_OK ? check_command(ctl) : status;
}
