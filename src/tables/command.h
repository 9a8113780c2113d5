/*-------------------------------------------------------------------------
 *
 * command.h
 *	  Numbered commands with their outcome, and what has to be known before
 *	  one is executed.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_COMMAND_H
#define ATX_COMMAND_H

#include "datatype/timestamp.h"

#include "base/fingerprint.h"
#include "base/status.h"
#include "tables/service.h"

typedef enum AtxCommandState
{
	ATX_COMMAND_RUNNING,		/* its outcome is still to come */
	ATX_COMMAND_COMPLETE,
	ATX_COMMAND_CANCELED,		/* by its session, while it was running */
	ATX_COMMAND_ACKNOWLEDGED	/* only the number is kept */
} AtxCommandState;

/* What was asked for. */
typedef enum AtxOperation
{
	ATX_OPERATION_SERVICE,		/* an operation of a service */
	ATX_OPERATION_CREATE,
	ATX_OPERATION_CLOSE,
	ATX_OPERATION_ONCE,
	ATX_OPERATION_CALL			/* a typed function */
} AtxOperation;

typedef struct AtxCommand
{
	int64		session_id;
	int64		sequence_num;
	int64		service_id;		/* 0: none */
	int64		index;			/* of the answer */
	TimestampTz at;
	AtxStatus	status;
	AtxCommandState state;
	AtxOperation operation;
	AtxFingerprint fingerprint;
	char	   *message;		/* NULL: none */
	bytea	   *output;			/* NULL: none */
} AtxCommand;

/* A number that is known, without what came of it. */
typedef struct AtxKnownNumber
{
	int64		sequence_num;
	int64		service_id;
	AtxCommandState state;
} AtxKnownNumber;

/* All that a command depends on, read in one snapshot. */
typedef struct AtxAdmission
{
	int64		ack_floor;		/* of the session */
	bool		known;			/* the number is; then command is filled */
	AtxCommand	command;
	bool		attached;		/* the session has the service open ... */
	bool		deleted;		/* ... or had, until it was deleted */
	AtxService	service;		/* valid if attached */
} AtxAdmission;

extern bool atx_command_admit(int64 session_id, int64 sequence_num,
							  int64 service_id, Oid role, AtxAdmission *admission);
extern bool atx_command_find(int64 session_id, int64 sequence_num, AtxCommand *command);
extern int	atx_command_range(int64 session_id, int64 first, int64 last,
							  AtxCommand **commands);
extern int	atx_command_numbers(int64 session_id, int64 last, AtxKnownNumber **numbers);
extern int	atx_command_acknowledged(int64 session_id, int64 after, int limit,
									 AtxKnownNumber **numbers);
extern void atx_command_insert(const AtxCommand *command);
extern void atx_command_insert_many(const AtxCommand *commands, int count);
extern void atx_command_complete(int64 session_id, int64 sequence_num, AtxStatus status,
								 const char *message, const bytea *output, int64 index);
extern int64 atx_command_count(int64 session_id, int64 after, int64 last, int64 limit);
extern int64 atx_command_remembered(int64 session_id, int64 limit);
extern int64 atx_command_output_size(int64 session_id);
extern void atx_command_forget(int64 session_id, const int64 *numbers, int count);
extern void atx_command_acknowledge(int64 session_id, const int64 *numbers, int count);
extern void atx_command_forget_sessions(const int64 *session_ids, int count);
extern const char *atx_command_state_name(AtxCommandState state);

#endif							/* ATX_COMMAND_H */
