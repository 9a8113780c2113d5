/*-------------------------------------------------------------------------
 *
 * attachment.h
 *	  Attachments: which session has which service open.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_ATTACHMENT_H
#define ATX_ATTACHMENT_H

#include "utils/snapshot.h"

/* Services one session may have open. */
#define ATX_MAX_ATTACHMENTS		10000

typedef enum AtxAttachmentState
{
	ATX_NOT_ATTACHED,
	ATX_ATTACHED,
	ATX_WAS_ATTACHED			/* until the service was deleted */
} AtxAttachmentState;

extern AtxAttachmentState atx_attachment_find_in(Snapshot snapshot, int64 session_id,
												 int64 service_id);
extern bool atx_attachment_any(int64 session_id);
extern bool atx_attachment_insert(int64 session_id, int64 service_id);
extern int64 atx_attachment_count(int64 session_id);
extern int	atx_attachment_open_of(int64 session_id, int64 *service_ids, int count);
extern bool atx_attachment_delete(int64 session_id, int64 service_id);
extern void atx_attachment_delete_all(const int64 *session_ids, int count);
extern int	atx_attachment_service_deleted(int64 service_id, int64 **session_ids);

#endif							/* ATX_ATTACHMENT_H */
