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

extern bool atx_partition_any(void);
extern bool atx_partition_exists(int64 partition_id);
extern char *atx_partition_not_here(void);
extern void atx_partition_ensure(void);
extern void atx_partition_new_term(void);

#endif							/* ATX_PARTITION_H */
