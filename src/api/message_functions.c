/*-------------------------------------------------------------------------
 *
 * message_functions.c
 *	  Messages as JSON and back, and the codec and the keep-alive filter as
 *	  SQL functions, for tests.
 *
 * These functions give SQL no power it does not have: they look at their
 * arguments and nothing else, so they are immutable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "base/bloom.h"
#include "base/codec.h"
#include "base/errors.h"
#include "base/json.h"
#include "base/message_types.h"
#include "compat.h"

PG_FUNCTION_INFO_V1(atomix_message_to_json);
PG_FUNCTION_INFO_V1(atomix_message_from_json);
PG_FUNCTION_INFO_V1(atomix_recode);
PG_FUNCTION_INFO_V1(atomix_filter_contains);

/* The message that the first argument names; the second is checked, too. */
static const ProtobufCMessageDescriptor *
type_argument(FunctionCallInfo fcinfo, const char *second)
{
	char	   *name = atx_required_text(fcinfo, 0, "message");

	atx_refuse_null(PG_ARGISNULL(1), second);
	return atx_message_type_get(name);
}

/*
 * message_to_json(message text, bytes bytea) returns jsonb
 */
Datum
atomix_message_to_json(PG_FUNCTION_ARGS)
{
	const ProtobufCMessageDescriptor *type = type_argument(fcinfo, "bytes");

	PG_RETURN_JSONB_P(atx_json_from_message(atx_decode_datum(type, PG_GETARG_DATUM(1))));
}

/*
 * message_from_json(message text, document jsonb) returns bytea
 */
Datum
atomix_message_from_json(PG_FUNCTION_ARGS)
{
	const ProtobufCMessageDescriptor *type = type_argument(fcinfo, "document");

	PG_RETURN_BYTEA_P(atx_encode(atx_json_to_message(type, PG_GETARG_DATUM(1))));
}

/*
 * atomix._recode(message text, bytes bytea) returns bytea
 *
 * Decode the bytes as the named message and encode it again.
 */
Datum
atomix_recode(PG_FUNCTION_ARGS)
{
	const ProtobufCMessageDescriptor *type = type_argument(fcinfo, "bytes");

	PG_RETURN_BYTEA_P(atx_encode(atx_decode_datum(type, PG_GETARG_DATUM(1))));
}

/*
 * atomix._filter_contains(filter bytea, sequence_num bigint) returns boolean
 *
 * Does the keep-alive filter contain the number?
 */
Datum
atomix_filter_contains(PG_FUNCTION_ARGS)
{
	bytea	   *bytes;
	AtxBloom	filter;
	const char *problem;

	atx_refuse_null(PG_ARGISNULL(0), "filter");
	atx_refuse_null(PG_ARGISNULL(1), "sequence_num");

	bytes = PG_GETARG_BYTEA_PP(0);
	if (!atx_bloom_parse((const uint8 *) VARDATA_ANY(bytes),
						 VARSIZE_ANY_EXHDR(bytes), &filter, &problem))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("the filter is malformed"),
				 errdetail("The filter is malformed: %s.", problem)));
	PG_RETURN_BOOL(atx_bloom_contains(&filter, (uint64) PG_GETARG_INT64(1)));
}
