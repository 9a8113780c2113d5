/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  Memory that is there, or the end of the process.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Zeroed memory. */
void *
atx_alloc(size_t size)
{
	void	   *block = calloc(1, Max(size, 1));

	if (block == NULL)
		abort();
	return block;
}

void *
atx_realloc(void *block, size_t size)
{
	block = realloc(block, Max(size, 1));
	if (block == NULL)
		abort();
	return block;
}

char *
atx_strdup(const char *string)
{
	char	   *copy;

	if (string == NULL)
		return NULL;
	copy = strdup(string);
	if (copy == NULL)
		abort();
	return copy;
}

/* A string of its own, as printf would write it. */
char *
atx_format(const char *format,...)
{
	va_list		args;
	char	   *string;
	int			length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		abort();
	string = atx_alloc((size_t) length + 1);
	va_start(args, format);
	(void) vsnprintf(string, (size_t) length + 1, format, args);
	va_end(args);
	return string;
}
