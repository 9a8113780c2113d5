/*-------------------------------------------------------------------------
 *
 * json_time.h
 *	  Durations and timestamps of messages as JSON has them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_JSON_TIME_H
#define ATX_JSON_TIME_H

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

extern char *atx_duration_to_json(const Google__Protobuf__Duration *duration);
extern bool atx_duration_from_json(const char *text, Google__Protobuf__Duration *duration);
extern char *atx_timestamp_to_json(const Google__Protobuf__Timestamp *timestamp);
extern bool atx_timestamp_from_json(const char *text, Google__Protobuf__Timestamp *timestamp);

#endif							/* ATX_JSON_TIME_H */
