/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  What the calling role may do in a namespace.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_RIGHTS_H
#define ATX_RIGHTS_H

#include "services/service_type.h"
#include "tables/grant.h"

extern bool atx_has_right(const char *namespace, AtxPrivilege privilege);
extern void atx_require_right(const char *namespace, AtxPrivilege privilege);
extern AtxPrivilege atx_privilege_for(AtxAccess access);
extern bool atx_has_right_to_grant(const AtxNamespaces *namespaces);
extern void atx_require_right_to_grant(const AtxNamespaces *namespaces);

#endif							/* ATX_RIGHTS_H */
