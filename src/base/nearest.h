/*-------------------------------------------------------------------------
 *
 * nearest.h
 *	  Which of several names was probably meant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_NEAREST_H
#define ATX_NEAREST_H

typedef struct AtxNearest
{
	const char *given;
	const char *name;			/* the best so far; NULL: none is much alike */
	int			distance;
} AtxNearest;

extern AtxNearest atx_nearest_to(const char *given);
extern void atx_nearest_try(AtxNearest *nearest, const char *spelling, const char *name);

#endif							/* ATX_NEAREST_H */
