/*-------------------------------------------------------------------------
 *
 * session_object.h
 *	  Sessions with their services, as they are shown to the outside.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SESSION_OBJECT_H
#define ATX_SESSION_OBJECT_H

#include "utils/jsonb.h"

/* A session with one of its services, as it is shown to the outside. */
typedef struct AtxSessionObject
{
	int64		session_id;
	char	   *name;			/* its own, else its id */
	char	   *kind;			/* NULL: none was given */
	Jsonb	   *labels;			/* NULL: none */
	bytea	   *config;			/* NULL: none */
	int64		version;		/* 0: not numbered yet */
	char	   *state;
	char	   *service_type;	/* NULL: it has no service */
	char	   *namespace;
	char	   *service;		/* its name, with the namespace if it has one */
} AtxSessionObject;

extern int	atx_session_objects(Oid role, int64 after, const char *kind,
								AtxSessionObject **objects);
extern int	atx_session_objects_named(Oid role, const char *name, int64 id,
									  AtxSessionObject **objects);

#endif							/* ATX_SESSION_OBJECT_H */
