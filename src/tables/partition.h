/*-------------------------------------------------------------------------
 *
 * partition.h
 *	  Partitions, their leaders and terms.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_PARTITION_H
#define ATX_PARTITION_H

#include "datatype/timestamp.h"

/* A term of a partition, and who led in it. */
typedef struct AtxTermChange
{
	int64		term;
	char	   *leader;
	TimestampTz since;
} AtxTermChange;

extern int	atx_partition_terms(int32 partition_id, int64 after, AtxTermChange **terms);
extern bool atx_partition_any(void);
extern char *atx_partition_leader(void);
extern char *atx_partition_not_here(void);
extern void atx_partition_ensure(void);
extern void atx_partition_new_term(void);

#endif							/* ATX_PARTITION_H */
