/*-------------------------------------------------------------------------
 *
 * sql.c
 *	  Commands that are one statement.
 *
 * The table of commands has it with the names of what the command line says:
 * :1 is the first argument, :ttl an option, :value the bytes of the last
 * argument.  They become parameters; nothing the user says becomes part of
 * the text.
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define MOST_PARAMETERS	12

typedef struct Statement
{
	Ctl		   *ctl;
	char	   *sql;
	size_t		length;
	int			n;
	char	   *values[MOST_PARAMETERS];
	bool		bad;
} Statement;

static char *
copy(const char *text)
{
	char	   *copied = text == NULL ? NULL : strdup(text);

	if (text !=NULL && copied == NULL)
		abort();
	return copied;
}

/* All of standard input. */
static char *
read_all(size_t *length)
{
	size_t		room = 65536;
	char	   *bytes = malloc(room);
	size_t		got;

	*length = 0;
	while (bytes != NULL && (got = fread(bytes + *length, 1, room - *length, stdin)) > 0)
	{
		*length += got;
		if (*length == room)
			bytes = realloc(bytes, room *= 2);
	}
	if (bytes == NULL)
		abort();
	return bytes;
}

/* The bytes that the last argument stands for, as the server reads them. */
static char *
value_of(Statement *statement)
{
	const char *text = statement->ctl->args[statement->ctl->nargs - 1];
	size_t		length = strlen(text);
	char	   *input = NULL;
	char	   *hex;

	if (strcmp(text, "-") == 0)
		text = input = read_all(&length);

	if (statement->ctl->values[OPT_HEX] != NULL)
	{
		hex = malloc(length + 3);
		if (hex == NULL)
			abort();
		(void) snprintf(hex, length + 3, "\\x%.*s", (int) length,
						length >= 2 && text[0] == '\\' && text[1] == 'x' ? text +2 : text);
	}
	else
		hex = ctl_hex(text, length);
	free(input);
	return hex;
}

/* What a name in the statement stands for; to be freed. */
static char *
named_value(Statement *statement, const char *name, size_t length)
{
	Ctl		   *ctl = statement->ctl;
	char		number[48];

	if (isdigit((unsigned char) name[0]))
	{
		int			at = atoi(name);

		return copy(at <= ctl->nargs ? ctl->args[at - 1] : NULL);
	}
	if (length == 5 && strncmp(name, "value", 5) == 0)
		return value_of(statement);
	if (length == 3 && strncmp(name, "all", 3) == 0)
		return copy(ctl->values[OPT_ALL] != NULL ? "true" : "false");
	if (length == 6 && strncmp(name, "shared", 6) == 0)
		return copy(ctl->values[OPT_SHARED] != NULL ? "true" : "false");
	if (length == 9 && strncmp(name, "namespace", 9) == 0)
		return copy(ctl_name_space(ctl));
	for (int i = 0; i < CTL_OPTIONS; i++)
	{
		if (strlen(ctl_options[i].name) != length || strncmp(ctl_options[i].name, name, length) != 0)
			continue;
		if (ctl_options[i].kind != CTL_DURATION || ctl->values[i] == NULL)
			return copy(ctl->values[i]);
		(void) snprintf(number, sizeof(number), "%lld microseconds",
						(long long) ctl_option_duration(ctl, i, 0));
		return copy(number);
	}
	abort();					/* the table of commands is wrong */
}

/* An argument may also be a duration: ":2!" in the statement. */
static char *
as_duration(Statement *statement, char *text)
{
	AtxTime		duration;
	char		number[48];

	if (text == NULL)
		return NULL;
	if (!ctl_duration(text, &duration))
	{
		fprintf(stderr, "atomixctl: \"%s\" is not a time such as 500ms, 30s, 5min or 1h\n", text);
		statement->bad = true;
		return text;
	}
	(void) snprintf(number, sizeof(number), "%lld microseconds", (long long) duration);
	free(text);
	return copy(number);
}

static void
append(Statement *statement, const char *text, size_t length)
{
	statement->sql = realloc(statement->sql, statement->length + length + 16);
	if (statement->sql == NULL)
		abort();
	memcpy(statement->sql + statement->length, text, length);
	statement->length += length;
	statement->sql[statement->length] = '\0';
}

static void
build(Statement *statement, const char *text)
{
	while (*text !='\0')
	{
		size_t		length = strcspn(text, ":");
		char		number[16];

		append(statement, text, length);
		text	  +=length;

		if (*text == '\0')
			return;
		if (text[1] == ':')
		{
			append(statement, "::", 2);
			text	  +=2;

			continue;
		}
		text	  ++;

		length = strspn(text, "abcdefghijklmnopqrstuvwxyz-0123456789");
		if (statement->n == MOST_PARAMETERS)
			abort();
		statement->values[statement->n] = named_value(statement, text, length);
		text	  +=length;

		if (*text == '!')
		{
			statement->values[statement->n] = as_duration(statement, statement->values[statement->n]);
			text	  ++;
		}
		statement->n++;
		(void) snprintf(number, sizeof(number), "$%d", statement->n);
		append(statement, number, strlen(number));
	}
}

static int
show(Ctl *ctl, const AtxReply *reply)
{
	const PGresult *result = reply->result;
	const CtlCommand *command = ctl->command;
	bool		is_no = PQntuples(result) == 0 || PQgetisnull(result, 0, 0) ||
	(PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "f") == 0);

	if (PQnfields(result) > 0 &&
		!(PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == '\0' &&
		  PQftype(result, 0) == 2278 /* void */ ))
		ctl_print(ctl, result, command->flags & CTL_SINGLE);
	return (command->flags & CTL_TELLS) && is_no ? CTL_NO : CTL_OK;
}

int
ctl_run_sql(Ctl *ctl)
{
	Statement	statement = {.ctl = ctl};
	bool		repeatable = !(ctl->command->flags & CTL_WRITES) ||
	ctl->values[OPT_NUMBER] != NULL;
	int			status = CTL_USAGE;

	build(&statement, ctl->command->sql);
	if (!statement.bad)
		status = ctl_query(ctl, repeatable, statement.sql, statement.n,
						   (const char *const *) statement.values, show);
	for (int i = 0; i < statement.n; i++)
		free(statement.values[i]);
	free(statement.sql);
	return status;
}
