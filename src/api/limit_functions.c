/*-------------------------------------------------------------------------
 *
 * limit_functions.c
 *	  The typed function set_limit, and what the view limits asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "base/errors.h"
#include "commands/jump.h"
#include "commands/rights.h"
#include "commands/services.h"
#include "tables/limit.h"

PG_FUNCTION_INFO_V1(atomix_set_limit);
PG_FUNCTION_INFO_V1(atomix_limit);

static AtxLimit
limit_argument(FunctionCallInfo fcinfo)
{
	char	   *name = atx_required_text(fcinfo, 0, "name");
	AtxLimit	limit;

	if (!atx_limit_by_name(name, &limit))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("limit \"%s\" is not known", name),
				 errhint("View atomix.limits shows those that there are.")));
	return limit;
}

/* The namespace, or ATX_EVERYWHERE if it is null. */
static char *
namespace_argument(FunctionCallInfo fcinfo, int n, AtxLimit limit)
{
	char	   *namespace = atx_text_argument(fcinfo, n);

	if (namespace == NULL)
		return ATX_EVERYWHERE;
	if (!atx_limit_is_of_namespace(limit))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this limit is about no namespace")));
	atx_raise_unless_done(atx_check_service_name(namespace, "any"));
	return namespace;
}

static int64
value_argument(FunctionCallInfo fcinfo, int n, AtxLimit limit)
{
	int64		value = PG_GETARG_INT64(n);

	if (value < 0 || value > atx_limit_greatest(limit))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" is out of range", "value"),
				 errdetail("It must be between 0 and " INT64_FORMAT ".",
						   atx_limit_greatest(limit))));
	return value;
}

/*
 * set_limit(name text, value bigint, namespace text) returns void
 */
Datum
atomix_set_limit(PG_FUNCTION_ARGS)
{
	static const AtxNamespaces all = {"", true};
	AtxLimit	limit = limit_argument(fcinfo);
	bool		is_default = PG_ARGISNULL(1);
	int64		value = is_default ? 0 : value_argument(fcinfo, 1, limit);
	const AtxAuthority *authority;
	AtxScope	scope;
	char	   *namespace;

	atx_require_writable("atomix.set_limit()");
	atx_scope_enter(&scope);
	namespace = namespace_argument(fcinfo, 2, limit);
	/* Not who administers a namespace: limits are what he was given. */
	atx_require_right_to_grant(&all);
	atx_raise_unless_done(atx_await_authority(&authority));
	if (is_default)
		atx_limit_delete(limit, namespace);
	else
		atx_limit_put(limit, namespace, value);
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * _limit(name text, namespace text) returns bigint
 */
Datum
atomix_limit(PG_FUNCTION_ARGS)
{
	AtxLimit	limit = limit_argument(fcinfo);
	char	   *namespace = atx_text_argument(fcinfo, 1);
	AtxScope	scope;
	int64		value;

	atx_scope_enter(&scope);
	value = atx_limit(limit, namespace);
	atx_scope_leave(&scope);
	if (value == ATX_NO_LIMIT)
		PG_RETURN_NULL();
	PG_RETURN_INT64(value);
}
