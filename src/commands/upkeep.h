/*-------------------------------------------------------------------------
 *
 * upkeep.h
 *	  The worker's whole job, done once, in one transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_UPKEEP_H
#define ATX_UPKEEP_H

#include "base/spi.h"

extern int64 atx_upkeep(void);

#endif							/* ATX_UPKEEP_H */
