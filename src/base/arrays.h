/*-------------------------------------------------------------------------
 *
 * arrays.h
 *	  Arrays that grow, and arrays of ids in order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ARRAYS_H
#define ATX_ARRAYS_H

extern void *atx_array_grow(MemoryContext context, void *array, int *room, Size element);
extern void atx_ids_sort(int64 *ids, int count);
extern bool atx_ids_contain(const int64 *ids, int count, int64 id);

#endif							/* ATX_ARRAYS_H */
