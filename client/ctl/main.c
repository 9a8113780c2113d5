/*-------------------------------------------------------------------------
 *
 * main.c
 *	  atomixctl: coordination from the shell.
 *
 *-------------------------------------------------------------------------
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"

int
main(int argc, char **argv)
{
	Ctl			ctl = {0};
	int			status;

	(void) setlocale(LC_CTYPE, "");
	status = ctl_parse(&ctl, argc, argv);
	if (status != CTL_OK)
		;						/* has been said */
	else if (ctl.values[OPT_VERSION] != NULL)
		printf("atomixctl (atomix) %s\n", CTL_VERSION);
	else if (ctl.command == NULL)
		ctl_help_general();
	else if (ctl.values[OPT_HELP] != NULL)
		ctl_help_command(ctl.command);
	else
		status = ctl.command->run(&ctl);

	atx_client_free(ctl.client);
	free(ctl.password);
	free(ctl.words);
	if (fflush(stdout) != 0 || ferror(stdout))
	{
		perror("atomixctl: could not write");
		status = status == CTL_OK ? CTL_ERROR : status;
	}
	return status;
}
