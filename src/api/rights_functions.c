/*-------------------------------------------------------------------------
 *
 * rights_functions.c
 *	  The typed functions grant_namespace and revoke_namespace, and what the
 *	  views ask about rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "commands/jump.h"
#include "commands/rights.h"
#include "commands/services.h"

PG_FUNCTION_INFO_V1(atomix_grant_namespace);
PG_FUNCTION_INFO_V1(atomix_revoke_namespace);
PG_FUNCTION_INFO_V1(atomix_may);
PG_FUNCTION_INFO_V1(atomix_namespace_grants);

static AtxNamespaces
namespaces_arguments(FunctionCallInfo fcinfo, int prefix_argument)
{
	AtxNamespaces namespaces = {.name = atx_required_text(fcinfo, 0, "namespace")};

	atx_refuse_null(PG_ARGISNULL(prefix_argument), "prefix");
	namespaces.is_prefix = PG_GETARG_BOOL(prefix_argument);
	/* Names are checked where there is one; this is a namespace alone. */
	atx_raise_unless_done(atx_check_service_name(namespaces.name, "any"));
	return namespaces;
}

/* The role of that name, InvalidOid for PUBLIC. */
static Oid
find_role(const char *name)
{
	return strcmp(name, ATX_PUBLIC_NAME) == 0 ? InvalidOid : get_role_oid(name, false);
}

static AtxPrivilege
privilege_argument(FunctionCallInfo fcinfo, int n)
{
	char	   *name = atx_required_text(fcinfo, n, "privileges");
	AtxPrivilege privilege;

	if (!atx_privilege_find(name, &privilege))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("privileges \"%s\" are not known", name),
				 errhint("They are one of read, write, which includes it, and admin, which includes both.")));
	return privilege;
}

/*
 * grant_namespace(namespace text, role text, privileges text, prefix boolean)
 * returns void
 */
Datum
atomix_grant_namespace(PG_FUNCTION_ARGS)
{
	AtxGrant	grant = {
		.namespaces = namespaces_arguments(fcinfo, 3),
		.role_name = atx_required_text(fcinfo, 1, "role"),
		.privilege = privilege_argument(fcinfo, 2)
	};
	const AtxAuthority *authority;
	AtxScope	scope;

	grant.role = find_role(grant.role_name);
	atx_require_writable("atomix.grant_namespace()");
	atx_scope_enter(&scope);
	atx_require_right_to_grant(&grant.namespaces);
	atx_raise_unless_done(atx_await_authority(&authority));
	(void) atx_grants_sweep();
	atx_grant_put(&grant);
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * revoke_namespace(namespace text, role text, prefix boolean) returns boolean
 */
Datum
atomix_revoke_namespace(PG_FUNCTION_ARGS)
{
	AtxNamespaces namespaces = namespaces_arguments(fcinfo, 2);
	Oid			role = find_role(atx_required_text(fcinfo, 1, "role"));
	const AtxAuthority *authority;
	AtxScope	scope;
	bool		revoked;

	atx_require_writable("atomix.revoke_namespace()");
	atx_scope_enter(&scope);
	atx_require_right_to_grant(&namespaces);
	atx_raise_unless_done(atx_await_authority(&authority));
	(void) atx_grants_sweep();
	revoked = atx_grant_delete(&namespaces, role);
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(revoked);
}

/*
 * _may(namespace text, privileges text) returns boolean
 */
Datum
atomix_may(PG_FUNCTION_ARGS)
{
	char	   *namespace = atx_required_text(fcinfo, 0, "namespace");
	AtxPrivilege privilege = privilege_argument(fcinfo, 1);
	AtxScope	scope;
	bool		may;

	atx_scope_enter(&scope);
	may = atx_has_right(namespace, privilege);
	atx_scope_leave(&scope);
	PG_RETURN_BOOL(may);
}

/* Whose grants does the role see: its own, and those it can give. */
static bool
may_see(Oid caller, const AtxGrant *grant)
{
	return !OidIsValid(grant->role) || has_privs_of_role(caller, grant->role) ||
		has_privs_of_role(caller, ROLE_PG_MONITOR) ||
		atx_has_right_to_grant(&grant->namespaces);
}

/*
 * _namespace_grants() returns setof record
 */
Datum
atomix_namespace_grants(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AtxGrant   *grants;
	AtxScope	scope;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	atx_scope_enter(&scope);
	count = atx_grants_all(&grants);
	for (int i = 0; i < count; i++)
	{
		Datum		values[] = {
			CStringGetTextDatum(grants[i].namespaces.name),
			BoolGetDatum(grants[i].namespaces.is_prefix),
			CStringGetTextDatum(grants[i].role_name),
			CStringGetTextDatum(atx_privilege_name(grants[i].privilege))
		};
		bool		nulls[4] = {false};

		CHECK_FOR_INTERRUPTS();
		if (may_see(scope.caller, &grants[i]))
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	atx_scope_leave(&scope);
	return (Datum) 0;
}
