/*-------------------------------------------------------------------------
 *
 * placement.h
 *	  Where the partitions are.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_PLACEMENT_H
#define ATX_PLACEMENT_H

/* How many partitions there are, and which is here. */
typedef struct AtxPlacement
{
	int32		count;			/* 0: none was ever placed, so all is here */
	int32		here;
} AtxPlacement;

extern AtxPlacement atx_placement(void);
extern int32 atx_partition_here(void);
extern char *atx_placement_location(int32 partition_id);
extern void atx_placement_lock(void);
extern bool atx_placement_in_use(void);
extern void atx_placement_store(int32 here, Datum locations);

#endif							/* ATX_PLACEMENT_H */
