/*-------------------------------------------------------------------------
 *
 * service_functions.c
 *	  The typed functions create_service, close_service, delete_service.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "commands/dispatch.h"
#include "commands/jump.h"
#include "commands/placement.h"
#include "commands/services.h"

PG_FUNCTION_INFO_V1(atomix_create_service);
PG_FUNCTION_INFO_V1(atomix_close_service);
PG_FUNCTION_INFO_V1(atomix_delete_service);

/*
 * create_service(session_id bigint, type text, name text, namespace text)
 * returns bigint
 */
Datum
atomix_create_service(PG_FUNCTION_ARGS)
{
	AtxAddress	address = {.session_id = atx_required_int64(fcinfo, 0, "session_id")};
	char	   *type = atx_required_text(fcinfo, 1, "type");
	char	   *name = atx_required_text(fcinfo, 2, "name");
	char	   *namespace = atx_required_text(fcinfo, 3, "namespace");
	AtxScope	scope;
	AtxResult	result;
	int64		service_id = 0;

	atx_require_writable("atomix.create_service()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_command_create(&scope, &address, type, namespace, name,
											 &result, &service_id));
	atx_scope_leave(&scope);
	PG_RETURN_INT64(service_id);
}

/*
 * close_service(session_id bigint, service_id bigint) returns boolean
 */
Datum
atomix_close_service(PG_FUNCTION_ARGS)
{
	AtxAddress	address = {
		.session_id = atx_required_int64(fcinfo, 0, "session_id"),
		.service_id = atx_required_int64(fcinfo, 1, "service_id")
	};
	AtxScope	scope;
	AtxResult	result;
	bool		detached = false;

	atx_require_writable("atomix.close_service()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_command_close(&scope, &address, &result, &detached));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(detached);
}

/*
 * delete_service(name text, namespace text) returns boolean
 */
Datum
atomix_delete_service(PG_FUNCTION_ARGS)
{
	char	   *name = atx_required_text(fcinfo, 0, "name");
	char	   *namespace = atx_required_text(fcinfo, 1, "namespace");
	const AtxAuthority *authority;
	AtxScope	scope;
	bool		deleted = false;

	atx_require_writable("atomix.delete_service()");
	atx_scope_enter(&scope);
	atx_raise_unless_done(atx_await_authority(&authority));
	atx_raise_unless_done(atx_check_name_here(namespace, name));
	atx_raise_unless_done(atx_delete_service(namespace, name, &deleted));
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(deleted);
}
