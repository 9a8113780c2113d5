/*-------------------------------------------------------------------------
 *
 * grant.h
 *	  What roles may do in namespaces.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_GRANT_H
#define ATX_GRANT_H

/* Each includes those before it. */
typedef enum AtxPrivilege
{
	ATX_PRIVILEGE_NONE,
	ATX_PRIVILEGE_READ,
	ATX_PRIVILEGE_WRITE,
	ATX_PRIVILEGE_ADMIN
} AtxPrivilege;

/* Who grants to PUBLIC grants to every role. */
#define ATX_PUBLIC_NAME		"public"

/* Namespaces that a grant is about. */
typedef struct AtxNamespaces
{
	const char *name;
	bool		is_prefix;		/* all whose names begin like that */
} AtxNamespaces;

typedef struct AtxGrant
{
	AtxNamespaces namespaces;
	Oid			role;			/* InvalidOid: PUBLIC */
	char	   *role_name;
	AtxPrivilege privilege;
} AtxGrant;

extern const char *atx_privilege_name(AtxPrivilege privilege);
extern bool atx_privilege_find(const char *name, AtxPrivilege *privilege);

extern int	atx_grants_about(const AtxNamespaces *namespaces, AtxGrant **grants);
extern int	atx_grants_all(AtxGrant **grants);
extern void atx_grant_put(const AtxGrant *grant);
extern bool atx_grant_delete(const AtxNamespaces *namespaces, Oid role);
extern bool atx_grants_sweep(void);

#endif							/* ATX_GRANT_H */
