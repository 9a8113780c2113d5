/*-------------------------------------------------------------------------
 *
 * grant.c
 *	  Table namespace_grant: what roles may do in namespaces.
 *
 * A row names its role by the role's id on the server where it was granted,
 * which neither a new name nor another role of the old name changes.  On
 * another server, to which a dump brought it, that number means nothing, and
 * the name counts until the row is rewritten.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/extension.h"
#include "base/spi.h"
#include "tables/grant.h"

static const char *const privilege_names[] = {
	[ATX_PRIVILEGE_NONE] = "none",
	[ATX_PRIVILEGE_READ] = "read",
	[ATX_PRIVILEGE_WRITE] = "write",
	[ATX_PRIVILEGE_ADMIN] = "admin"
};

#define COLUMNS \
	"g.namespace, g.is_prefix, g.server, g.role, g.role_name, g.privileges"

/* Those that cover all of a name, or all names with a prefix. */
static AtxStatement about = {
	"SELECT " COLUMNS " FROM atomix.namespace_grant g"
	" WHERE (g.namespace = $1 AND g.is_prefix = $2)"
	" OR (g.is_prefix AND pg_catalog.starts_with($1, g.namespace))",
	2, {TEXTOID, BOOLOID}
};

static AtxStatement all = {
	"SELECT " COLUMNS " FROM atomix.namespace_grant g ORDER BY 1, 2, 5",
	0
};

static AtxStatement put = {
	"INSERT INTO atomix.namespace_grant (server, role, is_prefix, namespace, role_name,"
	" privileges) VALUES ($1, $2, $3, $4, $5, $6)"
	" ON CONFLICT (namespace, is_prefix, server, role)"
	" DO UPDATE SET privileges = excluded.privileges, role_name = excluded.role_name",
	6, {INT8OID, OIDOID, BOOLOID, TEXTOID, TEXTOID, TEXTOID}
};

static AtxStatement delete = {
	"DELETE FROM atomix.namespace_grant g"
	" WHERE g.namespace = $1 AND g.is_prefix = $2 AND g.server = $3 AND g.role = $4",
	4, {TEXTOID, BOOLOID, INT8OID, OIDOID}
};

/* Rows that came from another server, as rows of this one. */
static AtxStatement adopt = {
	"INSERT INTO atomix.namespace_grant (server, role, is_prefix, namespace, role_name,"
	" privileges) SELECT $1, COALESCE(r.oid, 0::pg_catalog.oid), g.is_prefix, g.namespace,"
	" g.role_name, g.privileges FROM atomix.namespace_grant g"
	" LEFT JOIN pg_catalog.pg_roles r ON r.rolname = g.role_name::pg_catalog.name"
	" WHERE g.server <> $1 AND (r.oid IS NOT NULL OR g.role = 0::pg_catalog.oid)"
	" ON CONFLICT (namespace, is_prefix, server, role) DO NOTHING",
	1, {INT8OID}
};

/* Their originals, and those of roles that are no more. */
static AtxStatement forget = {
	"DELETE FROM atomix.namespace_grant g WHERE g.server <> $1"
	" OR (g.role <> 0::pg_catalog.oid"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = g.role))",
	1, {INT8OID}
};

static AtxStatement rename_roles = {
	"UPDATE atomix.namespace_grant g SET role_name = r.rolname::pg_catalog.text"
	" FROM pg_catalog.pg_roles r WHERE r.oid = g.role"
	" AND g.role_name <> r.rolname::pg_catalog.text",
	0
};

const char *
atx_privilege_name(AtxPrivilege privilege)
{
	return privilege_names[privilege];
}

/*
 * The privilege of that name; false if there is none.
 */
bool
atx_privilege_find(const char *name, AtxPrivilege *privilege)
{
	for (int i = ATX_PRIVILEGE_READ; i < lengthof(privilege_names); i++)
		if (strcmp(privilege_names[i], name) == 0)
		{
			*privilege = (AtxPrivilege) i;
			return true;
		}
	return false;
}

/* The role that a row is about; false if there is none (any more). */
static bool
read_role(uint64 row, AtxGrant *grant)
{
	bool		is_ours = (uint64) atx_result_int64(row, 3) == GetSystemIdentifier();

	grant->role = atx_result_oid(row, 4);
	grant->role_name = atx_result_text(row, 5);
	if (!OidIsValid(grant->role))
		return true;
	if (!is_ours)
		grant->role = get_role_oid(grant->role_name, true);
	return OidIsValid(grant->role) &&
		SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(grant->role));
}

static int
read_all(int found, AtxGrant **grants)
{
	int			count = 0;

	*grants = palloc(sizeof(AtxGrant) * Max(found, 1));
	for (int i = 0; i < found; i++)
	{
		AtxGrant   *grant = &(*grants)[count];

		grant->namespaces.name = atx_result_text(i, 1);
		grant->namespaces.is_prefix = DatumGetBool(atx_result_datum(i, 2));
		if (atx_privilege_find(atx_result_text(i, 6), &grant->privilege) &&
			read_role(i, grant))
			count++;
	}
	return count;
}

/*
 * The grants that cover all of these namespaces, as they are now, in every
 * isolation level; returns how many.
 */
int
atx_grants_about(const AtxNamespaces *namespaces, AtxGrant **grants)
{
	Datum		values[] = {
		CStringGetTextDatum(namespaces->name),
		BoolGetDatum(namespaces->is_prefix)
	};

	return read_all((int) atx_execute_now(&about, values, NULL), grants);
}

/*
 * All grants, with the present names of their roles; returns how many.
 */
int
atx_grants_all(AtxGrant **grants)
{
	int			count = read_all((int) atx_execute_now(&all, NULL, NULL), grants);

	for (int i = 0; i < count; i++)
		if (OidIsValid((*grants)[i].role))
			(*grants)[i].role_name = GetUserNameFromId((*grants)[i].role, false);
	return count;
}

/* Have all processes look anew, once the transaction has committed. */
static void
tell_of_change(void)
{
	Oid			table = get_relname_relid("namespace_grant", atx_extension()->schema);

	if (OidIsValid(table))
		CacheInvalidateRelcacheByRelid(table);
}

/*
 * Grant, in place of what the role was granted on exactly these namespaces.
 */
void
atx_grant_put(const AtxGrant *grant)
{
	Datum		values[] = {
		Int64GetDatum((int64) GetSystemIdentifier()),
		ObjectIdGetDatum(grant->role),
		BoolGetDatum(grant->namespaces.is_prefix),
		CStringGetTextDatum(grant->namespaces.name),
		CStringGetTextDatum(grant->role_name),
		CStringGetTextDatum(atx_privilege_name(grant->privilege))
	};

	(void) atx_execute(&put, values, NULL);
	tell_of_change();
}

/*
 * Take back what a role was granted on exactly these namespaces; false if
 * that was nothing.
 */
bool
atx_grant_delete(const AtxNamespaces *namespaces, Oid role)
{
	Datum		values[] = {
		CStringGetTextDatum(namespaces->name),
		BoolGetDatum(namespaces->is_prefix),
		Int64GetDatum((int64) GetSystemIdentifier()),
		ObjectIdGetDatum(role)
	};
	bool		deleted = atx_execute(&delete, values, NULL) > 0;

	if (deleted)
		tell_of_change();
	return deleted;
}

/*
 * Remove the grants of roles that were dropped, note the new names of others,
 * and make those that came from another server our own; true if there was
 * anything to do.
 */
bool
atx_grants_sweep(void)
{
	Datum		server = Int64GetDatum((int64) GetSystemIdentifier());
	uint64		changed = atx_execute(&adopt, &server, NULL);

	changed += atx_execute(&forget, &server, NULL);
	changed += atx_execute(&rename_roles, NULL, NULL);
	if (changed > 0)
		tell_of_change();
	return changed > 0;
}
