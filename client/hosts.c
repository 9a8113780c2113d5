/*-------------------------------------------------------------------------
 *
 * hosts.c
 *	  The order in which hosts are tried.
 *
 * libpq tries them one after the other, but without blocking it goes on only
 * when one answers, if only to refuse: a host that is silent would keep it for
 * ever.  So who gives an attempt up has the next one begin with the host after
 * it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* "a,b,c" becomes "b,c,a"; what has no comma stays, NULL too. */
static char *
rotated(const char *list)
{
	const char *comma = list == NULL ? NULL : strchr(list, ',');

	if (comma == NULL)
		return atx_strdup(list);
	return atx_format("%s,%.*s", comma + 1, (int) (comma - list), list);
}

/*
 * Set a parameter so that it goes before what dbname, as a connection string,
 * says: that is, behind it.
 */
static void
set_parameter(char ***keywords, char ***values, const char *keyword, char *value)
{
	int			count = 0;
	int			found = -1;

	for (; (*keywords)[count] != NULL; count++)
	{
		if (strcmp((*keywords)[count], keyword) == 0)
			found = count;
		else if (strcmp((*keywords)[count], "dbname") == 0)
			found = -1;
	}
	if (found >= 0)
	{
		free((*values)[found]);
		(*values)[found] = value;
		return;
	}
	*keywords = atx_realloc(*keywords, sizeof(char *) * (size_t) (count + 2));
	*values = atx_realloc(*values, sizeof(char *) * (size_t) (count + 2));
	(*keywords)[count] = atx_strdup(keyword);
	(*values)[count] = value;
	(*keywords)[count + 1] = NULL;
	(*values)[count + 1] = NULL;
}

/*
 * Have the next attempt begin with the second host of a connection.
 */
void
atx_hosts_rotate(char ***keywords, char ***values, PGconn *conn)
{
	static const char *const lists[] = {"host", "hostaddr", "port"};
	PQconninfoOption *options = PQconninfo(conn);

	if (options == NULL)
		return;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
	{
		for (PQconninfoOption *option = options; option->keyword != NULL; option++)
		{
			if (strcmp(option->keyword, lists[i]) == 0 && option->val != NULL &&
				strchr(option->val, ',') != NULL)
				set_parameter(keywords, values, lists[i], rotated(option->val));
		}
	}
	PQconninfoFree(options);
}
