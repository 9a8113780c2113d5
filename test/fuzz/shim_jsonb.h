/*-------------------------------------------------------------------------
 *
 * shim_jsonb.h
 *	  As much of jsonb as the fuzzed sources call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SHIM_JSONB_H
#define SHIM_JSONB_H

#include "utils/jsonb.h"

extern Jsonb *shim_jsonb_parse(const char *text, size_t len);

#endif							/* SHIM_JSONB_H */
