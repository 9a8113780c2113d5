/*-------------------------------------------------------------------------
 *
 * message_functions.c
 *	  The codec and the keep-alive filter as SQL functions, for tests.
 *
 * These functions give SQL no power it does not have: they look at their
 * arguments and nothing else, so they are immutable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/bloom.h"
#include "base/codec.h"
#include "base/errors.h"
#include "base/message_types.h"
#include "compat.h"

PG_FUNCTION_INFO_V1(atomix_recode);
PG_FUNCTION_INFO_V1(atomix_filter_contains);

/*
 * atomix._recode(message text, bytes bytea) returns bytea
 *
 * Decode the bytes as the named message and encode it again.
 */
Datum
atomix_recode(PG_FUNCTION_ARGS)
{
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *message;

	atx_refuse_null(PG_ARGISNULL(0), "message");
	atx_refuse_null(PG_ARGISNULL(1), "bytes");

	type = atx_message_type_get(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	message = atx_decode_datum(type, PG_GETARG_DATUM(1));
	PG_RETURN_BYTEA_P(atx_encode(message));
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
