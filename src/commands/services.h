/*-------------------------------------------------------------------------
 *
 * services.h
 *	  Creating, opening, closing and deleting services.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_SERVICES_H
#define ATX_SERVICES_H

#include "base/spi.h"
#include "services/service_type.h"

extern AtxAnswer atx_check_service_name(const char *namespace, const char *name);
extern int64 atx_service_name_lock(const char *namespace, const char *name);
extern int64 atx_service_id(const char *namespace, const char *name);
extern void atx_lock_service(int64 service_id, int64 session_id, AtxAccess access);
extern void atx_lock_claims(int64 service_id, int64 session_id);
extern bool atx_needs_order(const AtxService *service, AtxAccess access);
extern void atx_unlock_service(int64 service_id, AtxAccess access);
extern AtxAnswer atx_use_service(AtxCall *call, const AtxServiceType *type,
								 const char *namespace, const char *name,
								 AtxAccess access);
extern AtxAnswer atx_use_existing_service(AtxCall *call, const AtxServiceType *type,
										  const char *namespace, const char *name,
										  AtxAccess access, bool *found);
extern AtxAnswer atx_find_service(AtxCall *call, const AtxServiceType *type,
								  const char *namespace, const char *name,
								  bool *found);
extern void atx_save_service(AtxCall *call);

extern AtxAnswer atx_attach_service(const AtxAuthority *authority, int64 session_id,
									const char *type, const char *namespace,
									const char *name, int64 *service_id);
extern bool atx_detach_service(AtxCall *call);
extern AtxAnswer atx_delete_service(const char *namespace, const char *name,
									bool *deleted);

#endif							/* ATX_SERVICES_H */
