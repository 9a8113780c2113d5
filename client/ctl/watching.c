/*-------------------------------------------------------------------------
 *
 * watching.c
 *	  watch: the changes of a service, one a line.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

typedef struct Watching
{
	Ctl		   *ctl;
	AtxWatch   *watch;
	int64_t		left;			/* events to print, -1: any number */
	bool		connected;
	bool		down;			/* that was said */
	bool		done;
	int			status;
} Watching;

static void
print_value(const void *bytes, size_t length)
{
	fputc('\t', stdout);
	if (bytes != NULL)
		ctl_print_bytes(stdout, bytes, length);
}

static void
print_json(const AtxEvent *event)
{
	printf("{\"revision\": %lld, \"type\": \"%s\"", (long long) event->revision, event->type);
	if (event->key != NULL)
	{
		fputs(", \"key\": ", stdout);
		ctl_json_string(stdout, event->key, strlen(event->key));
	}
	if (event->value != NULL)
	{
		fputs(", ", stdout);
		ctl_json_bytes(stdout, "value", event->value, event->value_length);
	}
	if (event->prev_value != NULL)
	{
		fputs(", ", stdout);
		ctl_json_bytes(stdout, "prev_value", event->prev_value, event->prev_value_length);
	}
	printf(", \"index\": %lld, \"at\": \"%s\"}\n", (long long) event->index, event->at);
}

static void
print_event(void *arg, AtxWatch *watch, const AtxEvent *event)
{
	Watching   *watching = arg;

	if (watching->done)
		return;
	if (watching->ctl->json)
		print_json(event);
	else
	{
		printf("%lld\t%s\t%s", (long long) event->revision, event->type,
			   event->key != NULL ? event->key : "");
		print_value(event->value, event->value_length);
		print_value(event->prev_value, event->prev_value_length);
		fputc('\n', stdout);
	}
	/* Each is for whoever reads them now. */
	if (fflush(stdout) != 0)
		watching->done = true;
	if (watching->left > 0 && --watching->left == 0)
	{
		watching->done = true;
		if (!watching->ctl->quiet && !watching->ctl->json)
			fprintf(stderr, "atomixctl: go on with --from %lld\n", (long long) event->revision);
		atx_watch_free(watch);
		watching->watch = NULL;
	}
}

static void
state_changed(void *arg, AtxWatch *watch, AtxWatchState state, const char *reason)
{
	Watching   *watching = arg;

	(void) watch;
	if (state != ATX_WATCH_COMPACTED && state != ATX_WATCH_FAILED)
		return;
	if (state == ATX_WATCH_COMPACTED)
		ctl_error(watching->ctl, "MX007", reason, "",
				  "Read the present state, then watch from now.");
	else
		ctl_error(watching->ctl, "", reason, "", "");
	watching->status = state == ATX_WATCH_COMPACTED ? CTL_COMPACTED : CTL_ERROR;
	watching->done = true;
}

/* Say once that the connection is gone, and that it is there again. */
static void
note_connection(Watching *watching)
{
	AtxClient  *client = watching->ctl->client;
	bool		down = atx_client_failures(client) > 0 && !atx_client_connected(client);

	if (down && !watching->down)
		ctl_warn(watching->ctl, "connection lost: %s", atx_client_error(client));
	else if (!down && watching->down && atx_client_connected(client))
		ctl_warn(watching->ctl, "connected again");
	else if (down != watching->down && !down)
		return;
	watching->down = down;
}

static int
finish(Watching *watching, int signal)
{
	if (watching->watch != NULL && watching->status == CTL_OK &&
		atx_watch_position(watching->watch) >= 0 && !watching->ctl->quiet)
	{
		if (watching->ctl->json)
			printf("{\"position\": %lld}\n", (long long) atx_watch_position(watching->watch));
		else
			fprintf(stderr, "atomixctl: go on with --from %lld\n",
					(long long) atx_watch_position(watching->watch));
	}
	return signal == 0 ? watching->status : signal == SIGINT || signal == SIGTERM ? CTL_OK :
		CTL_SIGNALED + signal;
}

int
ctl_watch(Ctl *ctl)
{
	Watching	watching = {.ctl = ctl,.left = ctl_option_number(ctl, OPT_COUNT, -1)};
	AtxWatchOptions options = {.name = ctl->args[0],.name_space = ctl_name_space(ctl),
		.key = ctl->values[OPT_KEY],.from = ctl_option_number(ctl, OPT_FROM, -1),
		.poll = ctl_option_duration(ctl, OPT_POLL, 0)
	};
	int			signal = 0;

	ctl_signals_catch();
	ctl_connect(ctl);
	watching.watch = atx_watch(ctl->client, &options, print_event, state_changed, &watching);
	while (!watching.done)
	{
		atx_client_process(ctl->client);
		if (watching.done)
			break;
		watching.connected = watching.connected || atx_client_connected(ctl->client);
		if (!watching.connected && atx_client_failures(ctl->client) > 0)
		{
			if (!ctl_prompt_again(ctl))
				return ctl_no_connection(ctl);
			watching.watch = atx_watch(ctl->client, &options, print_event, state_changed,
									   &watching);
			continue;
		}
		note_connection(&watching);
		ctl_signals_wait(atx_client_fd(ctl->client), atx_client_due(ctl->client));
		while ((signal = ctl_signal_next()) == SIGCHLD || signal == SIGWINCH)
			;
		if (signal != 0)
			break;
	}
	return finish(&watching, signal);
}
