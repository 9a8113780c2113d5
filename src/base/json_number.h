/*-------------------------------------------------------------------------
 *
 * json_number.h
 *	  Whole numbers of JSON documents.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_JSON_NUMBER_H
#define ATX_JSON_NUMBER_H

extern const char *atx_json_parse_integer(const char *text, int64 min, uint64 max,
										  uint64 *value);

#endif							/* ATX_JSON_NUMBER_H */
