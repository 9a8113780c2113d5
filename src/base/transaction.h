/*-------------------------------------------------------------------------
 *
 * transaction.h
 *	  What the running transaction has done, and what its end shall do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_TRANSACTION_H
#define ATX_TRANSACTION_H

extern void atx_transaction_init(void);
extern void atx_make_durable(uint64 xid);
extern bool atx_transaction_keeps_durable(void);

extern void atx_transaction_used_session(void);
extern void atx_transaction_wakes_worker(void);
extern void atx_transaction_was_on_hold(void);

#endif							/* ATX_TRANSACTION_H */
