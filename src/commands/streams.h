/*-------------------------------------------------------------------------
 *
 * streams.h
 *	  Reading and acknowledging the outputs of commands.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_STREAMS_H
#define ATX_STREAMS_H

#include "base/spi.h"
#include "commands/exactly_once.h"
#include "tables/stream.h"

typedef enum AtxOutputKind
{
	ATX_OUTPUT_OPEN,			/* the first of a stream */
	ATX_OUTPUT_RESPONSE,
	ATX_OUTPUT_CLOSE			/* the last: output is the reason, if any */
} AtxOutputKind;

typedef struct AtxOutput
{
	int64		sequence_num;	/* of the command */
	int64		output_num;
	int64		index;
	AtxOutputKind kind;
	AtxStatus	status;
	bool		of_stream;		/* else it is the only one of its command */
	bytea	   *bytes;			/* NULL: none */
} AtxOutput;

extern AtxAnswer atx_fetch_outputs(AtxScope *scope, int64 session_id, int64 sequence_num,
								   int limit, AtxOutput **outputs, int *count);
extern AtxAnswer atx_fetch_all_outputs(AtxScope *scope, int64 session_id, int limit,
									   AtxOutput **outputs, int *count);
extern AtxAnswer atx_take_outputs(AtxScope *scope, int64 session_id, int limit,
								  AtxOutput **outputs, int *count);
extern AtxAnswer atx_acknowledge_many(AtxScope *scope, int64 session_id,
									  AtxOutputAck *acks, int count);
extern AtxAnswer atx_resume_stream(AtxScope *scope, int64 session_id, int64 sequence_num,
								   int64 output_num, int64 index);
extern AtxAnswer atx_acknowledge_outputs(int64 session_id, const AtxOutputAck *acks,
										 int count, bool wait);

#endif							/* ATX_STREAMS_H */
