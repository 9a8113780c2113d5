/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  SQLSTATEs of our own and the errors raised in more than one place.
 *
 * Class MX is the extension's; standard codes are used wherever one fits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ERRORS_H
#define ATX_ERRORS_H

#define ERRCODE_ATX_SESSION_UNKNOWN		MAKE_SQLSTATE('M','X','0','0','1')
#define ERRCODE_ATX_SESSION_EXPIRED		MAKE_SQLSTATE('M','X','0','0','2')
#define ERRCODE_ATX_SESSION_CLOSED		MAKE_SQLSTATE('M','X','0','0','3')
#define ERRCODE_ATX_NUMBER_ACKNOWLEDGED MAKE_SQLSTATE('M','X','0','0','4')
#define ERRCODE_ATX_NUMBER_REUSED		MAKE_SQLSTATE('M','X','0','0','5')
#define ERRCODE_ATX_NOT_HOLDER			MAKE_SQLSTATE('M','X','0','0','6')
#define ERRCODE_ATX_COMPACTED			MAKE_SQLSTATE('M','X','0','0','7')
#define ERRCODE_ATX_SERVICE_TYPE		MAKE_SQLSTATE('M','X','0','0','8')
#define ERRCODE_ATX_SERVICE_DELETED		MAKE_SQLSTATE('M','X','0','0','9')
#define ERRCODE_ATX_PARTITION_ELSEWHERE	MAKE_SQLSTATE('M','X','0','1','0')

/* What came of a call. */
typedef enum AtxOutcome
{
	ATX_DONE,
	ATX_SESSION_UNKNOWN,		/* never existed, forgotten, or foreign */
	ATX_SESSION_EXPIRED,
	ATX_SESSION_CLOSED,
	ATX_INVALID,				/* the request itself is refused */
	ATX_UNAVAILABLE,			/* not now, or not here */
	ATX_PARTITION_ELSEWHERE,	/* on another server, which the detail names */
	ATX_NOT_SUPPORTED,
	ATX_SERVICE_NOT_OPEN,		/* by the session, or not there at all */
	ATX_SERVICE_DELETED,		/* while the session had it open */
	ATX_SERVICE_TYPE_DIFFERS,
	ATX_SERVICE_TYPE_UNKNOWN,
	ATX_COMPACTED,				/* what was asked for is no longer kept */
	ATX_NOT_HOLDER,				/* of the grant */
	ATX_NUMBER_ACKNOWLEDGED,
	ATX_NUMBER_REUSED,
	ATX_LIMIT_REACHED
} AtxOutcome;

/* An outcome with the text a person reads; detail may be NULL. */
typedef struct AtxAnswer
{
	AtxOutcome	outcome;
	char	   *message;		/* NULL when done */
	char	   *detail;
	char	   *hint;
} AtxAnswer;

#define ATX_ANSWER_DONE		((AtxAnswer) {ATX_DONE, NULL, NULL, NULL})

extern AtxAnswer atx_answer(AtxOutcome outcome, char *message);
extern AtxAnswer atx_answer_session(AtxOutcome outcome, int64 session_id);
extern void atx_raise_unless_done(AtxAnswer answer);
extern void atx_refuse_null(bool isnull, const char *argument);

#endif							/* ATX_ERRORS_H */
