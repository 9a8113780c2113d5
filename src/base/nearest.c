/*-------------------------------------------------------------------------
 *
 * nearest.c
 *	  Which of several names was probably meant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/varlena.h"

#include "base/nearest.h"

/* Longest name that is compared with ours. */
#define MAX_GUESS_LEN	255

/*
 * Begin to look for a name that was given, but does not exist.
 */
AtxNearest
atx_nearest_to(const char *given)
{
	AtxNearest	nearest = {.given = given};

	/* At least half of it must be right. */
	nearest.distance = (int) strlen(given) / 2 + 1;
	return nearest;
}

/*
 * Was perhaps this name meant, which may be spelled so?
 */
void
atx_nearest_try(AtxNearest *nearest, const char *spelling, const char *name)
{
	int			len = (int) strlen(nearest->given);
	int			distance;

	if (len > MAX_GUESS_LEN)
		return;
	distance = varstr_levenshtein(nearest->given, len, spelling, (int) strlen(spelling),
								  1, 1, 1, true);
	if (distance < nearest->distance)
	{
		nearest->name = name;
		nearest->distance = distance;
	}
}
