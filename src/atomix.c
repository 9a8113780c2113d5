/*-------------------------------------------------------------------------
 *
 * atomix.c
 *	  Loading of the extension's library.
 *
 * The library works without preload, then without shared memory and workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/doorbell.h"
#include "base/extension.h"
#include "base/private_lock.h"
#include "base/renewals.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/transaction.h"
#include "base/usage.h"
#include "commands/guards.h"
#include "worker/database_hooks.h"
#include "worker/launcher.h"
#include "compat.h"

PG_MODULE_MAGIC;

void
_PG_init(void)
{
	atx_settings_init();
	atx_extension_init();
	atx_transaction_init();
	atx_private_lock_init();
	atx_renewals_init();
	atx_usage_init();
	atx_doorbell_init();

	/* pg_upgrade moves catalogs under a server that must not act. */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	atx_shmem_init();
	atx_database_hooks_init();
	atx_launcher_register();
}
