/*-------------------------------------------------------------------------
 *
 * arrays.c
 *	  Arrays that grow, and arrays of ids in order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/arrays.h"
#include "compat.h"

/*
 * The array with room for more elements, which are not set; NULL stands for
 * one without room, which then is made in the context.
 */
void *
atx_array_grow(MemoryContext context, void *array, int *room, Size element)
{
	int			more = Max(16, *room * 2);

	array = array == NULL ? MemoryContextAllocHuge(context, more * element) :
		repalloc_huge(array, more * element);
	*room = more;
	return array;
}

static int
compare_ids(const void *a, const void *b)
{
	return pg_cmp_s64(*(const int64 *) a, *(const int64 *) b);
}

/*
 * Put ids in ascending order.
 */
void
atx_ids_sort(int64 *ids, int count)
{
	qsort(ids, count, sizeof(int64), compare_ids);
}

/*
 * Is the id among those, which are in ascending order?
 */
bool
atx_ids_contain(const int64 *ids, int count, int64 id)
{
	return bsearch(&id, ids, count, sizeof(int64), compare_ids) != NULL;
}
