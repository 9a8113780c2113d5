/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  What the calling role may do in a namespace.
 *
 * Namespace '' is open to everybody, all others to whom they were granted to,
 * to the extension's owner and to superusers.  A call asks before it looks
 * for anything in the namespace, so that its answer does not depend on what
 * there is.
 *
 * Answers are remembered by this process until a grant, a role or a
 * membership changes: a call in a granted namespace costs no statement
 * either.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/spi.h"
#include "commands/rights.h"

/* Answers this process remembers before it begins anew. */
#define MAX_KNOWN_RIGHTS	1024

typedef struct RightKey
{
	Oid			role;
	const char *namespace;
} RightKey;

typedef struct KnownRight
{
	RightKey	key;
	AtxPrivilege privilege;
} KnownRight;

static HTAB *known_rights = NULL;
static MemoryContext known_memory = NULL;
static Oid	grant_table = InvalidOid;
static uint64 changes = 0;		/* news that came */
static uint64 changes_known = 0;	/* when known_rights was begun */

static uint32
hash_key(const void *key, Size size)
{
	const RightKey *right = key;

	return hash_combine(hash_bytes_uint32(right->role),
						hash_bytes((const unsigned char *) right->namespace,
								   strlen(right->namespace)));
}

static int
compare_keys(const void *a, const void *b, Size size)
{
	const RightKey *x = a;
	const RightKey *y = b;

	return x->role != y->role || strcmp(x->namespace, y->namespace) != 0;
}

static void
on_relation_change(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || !OidIsValid(grant_table) || relation == grant_table)
		changes++;
}

static void
on_role_change(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

static void
watch_changes(void)
{
	static bool watching = false;

	if (watching)
		return;
	CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, on_role_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_role_change, (Datum) 0);
	watching = true;
}

/* Begin to remember anew. */
static void
forget_rights(void)
{
	HASHCTL		control = {
		.keysize = sizeof(RightKey),
		.entrysize = sizeof(KnownRight),
		.hash = hash_key,
		.match = compare_keys
	};

	if (known_memory == NULL)
		known_memory = AllocSetContextCreate(TopMemoryContext, "atomix rights",
											 ALLOCSET_SMALL_SIZES);
	known_rights = NULL;
	MemoryContextReset(known_memory);
	control.hcxt = known_memory;
	known_rights = hash_create("atomix rights", 64, &control,
							   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	changes_known = changes;
}

static bool
is_all_powerful(Oid role)
{
	return superuser_arg(role) || has_privs_of_role(role, atx_extension()->owner);
}

/* The greatest privilege a role has in all of these namespaces. */
static AtxPrivilege
read_privilege(Oid role, const AtxNamespaces *namespaces)
{
	AtxPrivilege greatest = ATX_PRIVILEGE_NONE;
	AtxGrant   *grants;
	int			count;

	if (is_all_powerful(role))
		return ATX_PRIVILEGE_ADMIN;
	count = atx_grants_about(namespaces, &grants);
	for (int i = 0; i < count; i++)
		if (!OidIsValid(grants[i].role) || has_privs_of_role(role, grants[i].role))
			greatest = Max(greatest, grants[i].privilege);
	return greatest;
}

/* Remember an answer, unless news came while it was found. */
static void
remember(const RightKey *key, AtxPrivilege privilege, uint64 before)
{
	KnownRight *known;
	bool		found;

	if (before != changes || known_rights == NULL || changes_known != changes)
		return;
	known = hash_search(known_rights, key, HASH_ENTER, &found);
	known->privilege = privilege;
	/* The key may not point to what the caller frees. */
	if (!found)
		known->key.namespace = MemoryContextStrdup(known_memory, key->namespace);
}

static AtxPrivilege
privilege_in(const char *namespace)
{
	RightKey	key = {atx_scope_caller(), namespace};
	AtxNamespaces namespaces = {namespace, false};
	KnownRight *known;
	AtxPrivilege privilege;
	uint64		before;

	watch_changes();
	/* What was revoked a moment ago must not count, even in a transaction. */
	AcceptInvalidationMessages();
	if (known_rights == NULL || changes_known != changes ||
		hash_get_num_entries(known_rights) >= MAX_KNOWN_RIGHTS)
		forget_rights();
	known = hash_search(known_rights, &key, HASH_FIND, NULL);
	if (known != NULL)
		return known->privilege;

	before = changes;
	grant_table = get_relname_relid("namespace_grant", atx_extension()->schema);
	privilege = read_privilege(key.role, &namespaces);
	remember(&key, privilege, before);
	return privilege;
}

/*
 * May the calling role do that in a namespace?  In namespace '' everybody may
 * do everything that he can execute.
 */
bool
atx_has_right(const char *namespace, AtxPrivilege privilege)
{
	return namespace[0] == '\0' || privilege_in(namespace) >= privilege;
}

static void
refuse(const char *namespace, bool is_prefix, AtxPrivilege privilege)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 is_prefix ? errmsg("permission denied for namespaces beginning with \"%s\"", namespace) :
			 errmsg("permission denied for namespace \"%s\"", namespace),
			 errdetail("This takes privilege \"%s\".", atx_privilege_name(privilege)),
			 errhint("It is granted by atomix.grant_namespace().")));
}

/*
 * ERROR 42501 unless the calling role may do that in a namespace.  To be
 * called before anything is looked up there.
 */
void
atx_require_right(const char *namespace, AtxPrivilege privilege)
{
	if (!atx_has_right(namespace, privilege))
		refuse(namespace, false, privilege);
}

/*
 * The privilege that an operation takes.  To end or move claims of others is
 * for administrators.
 */
AtxPrivilege
atx_privilege_for(AtxAccess access)
{
	switch (access)
	{
		case ATX_ACCESS_NONE:
		case ATX_ACCESS_READ:
		case ATX_ACCESS_WATCH:
			return ATX_PRIVILEGE_READ;
		case ATX_ACCESS_SHARED:
		case ATX_ACCESS_EXCLUSIVE:
		case ATX_ACCESS_RELEASE:
			return ATX_PRIVILEGE_WRITE;
		case ATX_ACCESS_MOVE:
			break;
	}
	return ATX_PRIVILEGE_ADMIN;
}

/*
 * May the calling role decide who else may do something there?  In namespace
 * '', too, only who was granted that.
 */
bool
atx_has_right_to_grant(const AtxNamespaces *namespaces)
{
	return read_privilege(atx_scope_caller(), namespaces) == ATX_PRIVILEGE_ADMIN;
}

/*
 * ERROR 42501 if it may not.
 */
void
atx_require_right_to_grant(const AtxNamespaces *namespaces)
{
	if (!atx_has_right_to_grant(namespaces))
		refuse(namespaces->name, namespaces->is_prefix, ATX_PRIVILEGE_ADMIN);
}
