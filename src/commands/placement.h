/*-------------------------------------------------------------------------
 *
 * placement.h
 *	  Partitions on several servers: which a service belongs to, and
 *	  whether it is here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_COMMANDS_PLACEMENT_H
#define ATX_COMMANDS_PLACEMENT_H

#include "base/errors.h"

extern int32 atx_partition_of(const char *namespace, const char *name);
extern AtxAnswer atx_check_partition(int64 partition_id);
extern AtxAnswer atx_check_name_here(const char *namespace, const char *name);
extern AtxAnswer atx_place_partitions(int32 here, Datum locations, int count);

#endif							/* ATX_COMMANDS_PLACEMENT_H */
