/*-------------------------------------------------------------------------
 *
 * help.c
 *	  Help and completion, from the table of commands.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static void
print_options(uint64_t options)
{
	for (int i = 0; i < CTL_OPTIONS; i++)
	{
		const CtlOptionInfo *info = &ctl_options[i];
		char text[	64];

		if (!(options & OPT(i)))
			continue;
		(void) snprintf(text, sizeof(text), "--%s%s%s", info->name,
						info->metavar != NULL ? "=" : "",
						info->metavar != NULL ? info->metavar : "");
		if (info->letter != 0)
			printf("  -%c, %-22s %s\n", info->letter, text, info->help);
		else
			printf("      %-22s %s\n", text, info->help);
	}
}

void
ctl_help_general(void)
{
	printf("atomixctl coordinates processes by the atomix extension of PostgreSQL.\n\n"
		   "Usage:\n  atomixctl [OPTION]... COMMAND [ARGUMENT]...\n\nCommands:\n");
	for (int i = 0; i < ctl_commands_count; i++)
	{
		const CtlCommand *command = &ctl_commands[i];

		if (!(command->flags & CTL_HIDDEN))
			printf("  %-24s %s\n", command->name, command->summary);
	}
	printf("\nOptions of all commands:\n");
	print_options(CTL_GENERAL);
	printf("\nTimes are numbers with a unit: us, ms, s (default), min, h, d.\n"
		   "The environment variables of libpq (PGHOST and so on) are honoured.\n\n"
		   "Exit codes: 0 done, 1 refused by the server, 2 bad usage, 3 no connection,\n"
		   "4 the answer is no, 5 it is not known whether it was done, 6 events are gone.\n"
		   "lock and elect: that of the command; 123 lost, 124 not acquired, 125 an error,\n"
		   "126 the command cannot be executed, 127 it is not there, 128+N signal N.\n\n"
		   "\"atomixctl help COMMAND\" tells more.\n");
}

void
ctl_help_command(const CtlCommand *command)
{
	printf("atomixctl %s - %s\n\nUsage:\n  atomixctl %s [OPTION]...%s%s\n",
		   command->name, command->summary, command->name,
		   command->usage[0] ? " " : "", command->usage);
	if (command->help != NULL)
		printf("\n%s\n", command->help);
	if (command->options != 0)
	{
		printf("\nOptions:\n");
		print_options(command->options);
	}
	printf("\nOptions of all commands:\n");
	print_options(CTL_GENERAL);
	printf("\nExample:\n  atomixctl %s\n", command->example);
}

/* All commands of a noun. */
static bool
help_noun(const char *noun)
{
	size_t		length = strlen(noun);
	bool		found = false;

	for (int i = 0; i < ctl_commands_count; i++)
	{
		const CtlCommand *command = &ctl_commands[i];

		if (strncmp(command->name, noun, length) != 0 || command->name[length] != ' ')
			continue;
		if (!found)
			printf("%sCommands of \"%s\":\n", ctl_find(noun, NULL) != NULL ? "\n" : "", noun);
		printf("  %-24s %s\n", command->name, command->summary);
		found = true;
	}
	return found;
}

int
ctl_help(Ctl *ctl)
{
	const CtlCommand *command;
	bool		found;

	if (ctl->nargs == 0)
	{
		ctl_help_general();
		return CTL_OK;
	}
	command = ctl_find(ctl->args[0], ctl->nargs > 1 ? ctl->args[1] : NULL);
	if (command != NULL)
		ctl_help_command(command);
	found = ctl->nargs == 1 && help_noun(ctl->args[0]);
	if (command != NULL || found)
		return CTL_OK;
	fprintf(stderr, "atomixctl: there is no command \"%s%s%s\"\n", ctl->args[0],
			ctl->nargs > 1 ? " " : "", ctl->nargs > 1 ? ctl->args[1] : "");
	return CTL_USAGE;
}

/* A word, if it begins like the last one. */
static void
offer(const char *word, size_t length, const char *last)
{
	if (strlen(last) <= length && strncmp(word, last, strlen(last)) == 0)
		printf("%.*s\n", (int) length, word);
}

/* Whether a command before this one has the same first word. */
static bool
is_repeated(int at, size_t length)
{
	for (int i = 0; i < at; i++)
	{
		if (strcspn(ctl_commands[i].name, " ") == length &&
			strncmp(ctl_commands[i].name, ctl_commands[at].name, length) == 0)
			return true;
	}
	return false;
}

/*
 * What may stand for the last of the words, one in each line.  The words
 * before it tell the command.
 */
int
ctl_complete(Ctl *ctl)
{
	const char *last = ctl->nargs > 0 ? ctl->args[ctl->nargs - 1] : "";
	const char *words[2] = {NULL, NULL};
	const CtlCommand *command;
	int			count = 0;

	for (int i = 0; i < ctl->nargs - 1; i++)
	{
		if (strcmp(ctl->args[i], "--") == 0)
			return CTL_OK;
		if (ctl->args[i][0] != '-' && count < 2)
			words[count++] = ctl->args[i];
	}
	command = count == 2 ? ctl_find(words[0], words[1]) : NULL;
	if (command == NULL && count > 0)
		command = ctl_find(words[0], NULL);

	if (last[0] == '-')
	{
		uint64_t	options = CTL_GENERAL | (command != NULL ? command->options : 0);
		char text[	64];

		for (int i = 0; i < CTL_OPTIONS; i++)
		{
			(void) snprintf(text, sizeof(text), "--%s", ctl_options[i].name);
			if (options & OPT(i))
				offer(text, strlen(text), last);
		}
		return CTL_OK;
	}
	for (int i = 0; count < 2 && i < ctl_commands_count; i++)
	{
		const char *name = ctl_commands[i].name;
		size_t		length = strcspn(name, " ");

		if (ctl_commands[i].flags & CTL_HIDDEN)
			continue;
		if (count == 0 && !is_repeated(i, length))
			offer(name, length, last);
		else if (count == 1 && name[length] == ' ' && strlen(words[0]) == length &&
				 strncmp(name, words[0], length) == 0)
			offer(name + length + 1, strlen(name + length + 1), last);
	}
	return CTL_OK;
}

int
ctl_completion(Ctl *ctl)
{
	(void) ctl;
	fputs("# bash completion for atomixctl\n"
		  "_atomixctl()\n"
		  "{\n"
		  "\tlocal IFS=$'\\n'\n"
		  "\n"
		  "\tCOMPREPLY=($(\"${COMP_WORDS[0]}\" complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
		  "}\n"
		  "complete -o default -F _atomixctl atomixctl\n", stdout);
	return CTL_OK;
}
