/*-------------------------------------------------------------------------
 *
 * connect.c
 *	  Connecting as psql does, asking one question, and saying what went
 *	  wrong.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

/* How long a numbered command is tried again. */
#define RETRY_FOR	(60 * ATX_SECOND)

/* Ask at the terminal, without showing what is typed. */
static char *
ask_password(void)
{
	FILE	   *terminal = fopen("/dev/tty", "r+");
	struct termios before;
	struct termios silent;
	char		line[1024] = "";
	bool		shown;

	if (terminal == NULL)
		return NULL;
	/* First, since it throws away what has been typed before. */
	shown = tcgetattr(fileno(terminal), &before) == 0;
	if (shown)
	{
		silent = before;
		silent.c_lflag &= ~(tcflag_t) ECHO;
		(void) tcsetattr(fileno(terminal), TCSAFLUSH, &silent);
	}
	fputs("Password: ", terminal);
	fflush(terminal);
	if (fgets(line, sizeof(line), terminal) == NULL)
		line[0] = '\0';
	if (shown)
		(void) tcsetattr(fileno(terminal), TCSAFLUSH, &before);
	fputc('\n', terminal);
	fclose(terminal);
	line[strcspn(line, "\n")] = '\0';
	return strdup(line);
}

/* Make the client that the options describe. */
void
ctl_connect(Ctl *ctl)
{
	const char *keywords[] = {"fallback_application_name", "dbname", "host", "port",
	"user", "password", NULL};
	const char *values[] = {"atomixctl", ctl->values[OPT_DBNAME], ctl->values[OPT_HOST],
	ctl->values[OPT_PORT], ctl->values[OPT_USER], NULL, NULL};

	if (ctl->values[OPT_PASSWORD] != NULL && ctl->password == NULL)
		ctl->password = ask_password();
	values[5] = ctl->password;
	ctl->client = atx_client_new(keywords, values, ctl->command->flags & CTL_WRITES);
}

/*
 * Whether connecting failed for want of a password that has been given now:
 * there is a new client then.
 */
bool
ctl_prompt_again(Ctl *ctl)
{
	if (!atx_client_needs_password(ctl->client) || ctl->password != NULL ||
		ctl->values[OPT_NO_PASSWORD] != NULL)
		return false;
	ctl->password = ask_password();
	if (ctl->password == NULL)
		return false;
	atx_client_free(ctl->client);
	ctl_connect(ctl);
	return true;
}

static void
print_line(const char *label, const char *text)
{
	if (text !=NULL && text[0] != '\0')
		fprintf(stderr, "%s%.*s\n", label, (int) (strlen(text) - (text[strlen(text) - 1] == '\n')),
				text);
}

static void
json_field(const char *name, const char *text, bool first)
{
	fprintf(stderr, "%s\"%s\": ", first ? "" : ", ", name);
	ctl_json_string(stderr, text, strlen(text));
}

/* Say what went wrong, to people or programs. */
void
ctl_error(const Ctl *ctl, const char *sqlstate, const char *message,
		  const char *detail, const char *hint)
{
	if (ctl->json)
	{
		fputs("{\"error\": {", stderr);
		json_field("message", message, true);
		json_field("sqlstate", sqlstate, false);
		json_field("detail", detail, false);
		json_field("hint", hint, false);
		fputs("}}\n", stderr);
		return;
	}
	print_line("atomixctl: error: ", message);
	print_line("DETAIL:  ", detail);
	print_line("HINT:  ", hint);
}

void
ctl_reply_error(const Ctl *ctl, const AtxReply *reply)
{
	const char *hint = reply->hint;

	if (strcmp(reply->sqlstate, "3F000") == 0)
		hint = "CREATE EXTENSION atomix in this database.";
	else if (strcmp(reply->sqlstate, "42501") == 0 && strstr(reply->message, "schema") != NULL)
		hint = "GRANT USAGE ON SCHEMA atomix to this role.";
	ctl_error(ctl, reply->sqlstate, reply->message, reply->detail, hint);
}

void
ctl_warn(const Ctl *ctl, const char *format,...)
{
	va_list		args;
	char		line[1024];

	if (ctl->quiet)
		return;
	va_start(args, format);
	(void) vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	line[strcspn(line, "\n")] = '\0';
	if (ctl->json)
	{
		fputs("{\"warning\": ", stderr);
		ctl_json_string(stderr, line, strlen(line));
		fputs("}\n", stderr);
	}
	else
		fprintf(stderr, "atomixctl: %s\n", line);
}

int
ctl_no_connection(Ctl *ctl)
{
	const char *error = atx_client_error(ctl->client);

	ctl_error(ctl, "08001", error != NULL ? error : "no connection to the server", "", "");
	return CTL_NO_CONNECTION;
}

typedef struct Asked
{
	Ctl		   *ctl;
	CtlReplyHook hook;
	bool		answered;
	int			status;
} Asked;

static void
answered(void *arg, const AtxReply *reply)
{
	Asked	   *asked = arg;

	asked->answered = true;
	if (reply->outcome == ATX_UNCERTAIN)
	{
		ctl_error(asked->ctl, reply->sqlstate, reply->message,
				  "The answer is lost: it may have been done, or not.",
				  "With --session and --number it can be repeated safely.");
		asked->status = CTL_UNCERTAIN;
	}
	else if (reply->outcome == ATX_FAILED)
	{
		ctl_reply_error(asked->ctl, reply);
		asked->status = CTL_ERROR;
	}
	else
		asked->status = asked->hook(asked->ctl, reply);
}

/*
 * Ask one question and pass the answer on; the exit code.  Like psql it does
 * not wait for a server that is not there, unless the question has a number
 * and can be asked again.
 */
int
ctl_query(Ctl *ctl, bool repeatable, const char *sql, int n, const char *const *values,
		  CtlReplyHook hook)
{
	Asked		asked = {.ctl = ctl,.hook = hook};
	AtxTime		until = atx_now();
	bool		connected = false;

	if (ctl->values[OPT_NUMBER] != NULL)
		until += RETRY_FOR;
	if (ctl->client == NULL)
		ctl_connect(ctl);
	atx_query(ctl->client, repeatable, sql, n, values, answered, &asked);
	while (!asked.answered)
	{
		atx_client_wait(ctl->client, ATX_NEVER);
		connected = connected || atx_client_connected(ctl->client);
		if (asked.answered || atx_client_failures(ctl->client) == 0)
			continue;
		if (!connected && ctl_prompt_again(ctl))
			atx_query(ctl->client, repeatable, sql, n, values, answered, &asked);
		else if (!connected || atx_now() >= until)
			return ctl_no_connection(ctl);
	}
	return asked.status;
}
