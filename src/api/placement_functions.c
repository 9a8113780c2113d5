/*-------------------------------------------------------------------------
 *
 * placement_functions.c
 *	  Functions on partitions that are on several servers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "base/spi.h"
#include "commands/jump.h"
#include "commands/placement.h"
#include "commands/services.h"

PG_FUNCTION_INFO_V1(atomix_partition_of);
PG_FUNCTION_INFO_V1(atomix_place_partitions);

/*
 * partition_of(namespace text, name text) returns int
 */
Datum
atomix_partition_of(PG_FUNCTION_ARGS)
{
	char	   *namespace = atx_required_text(fcinfo, 0, "namespace");
	char	   *name = atx_required_text(fcinfo, 1, "name");
	AtxScope	scope;
	int32		partition_id;

	atx_scope_enter_to_read(&scope);
	atx_raise_unless_done(atx_check_service_name(namespace, name));
	partition_id = atx_partition_of(namespace, name);
	atx_scope_leave(&scope);
	PG_RETURN_INT32(partition_id);
}

static void
refuse_empty(const Datum *locations, int count)
{
	for (int i = 0; i < count; i++)
		if (VARSIZE_ANY_EXHDR(DatumGetPointer(locations[i])) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must not contain empty strings", "locations")));
}

/*
 * place_partitions(here int, locations text[]) returns void
 */
Datum
atomix_place_partitions(PG_FUNCTION_ARGS)
{
	const AtxAuthority *authority;
	AtxScope	scope;
	Datum	   *locations;
	int			count;

	atx_refuse_null(PG_ARGISNULL(0), "here");
	locations = atx_required_array(fcinfo, 1, "locations", TEXTOID, &count);
	refuse_empty(locations, count);
	atx_require_writable("atomix.place_partitions()");
	atx_scope_enter(&scope);
	/* Whoever takes over makes the partition's row. */
	atx_raise_unless_done(atx_await_authority(&authority));
	atx_raise_unless_done(atx_place_partitions(PG_GETARG_INT32(0), PG_GETARG_DATUM(1), count));
	atx_scope_leave(&scope);
	PG_RETURN_VOID();
}
