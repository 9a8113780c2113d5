/*-------------------------------------------------------------------------
 *
 * intervention.h
 *	  What administrators did to locks and elections.
 *
 * All functions need an open scope (base/spi.h).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_INTERVENTION_H
#define ATX_INTERVENTION_H

typedef struct AtxIntervention
{
	int64		index;
	int64		service_id;
	const char *namespace;
	const char *name;
	Oid			actor;			/* the role that did it */
	const char *action;
	int64		session_id;		/* 0: none */
	int64		token;			/* 0: none */
	int64		ticket;			/* 0: none */
	const char *reason;			/* NULL: none given */
} AtxIntervention;

extern void atx_intervention_insert(const AtxIntervention *intervention);

#endif							/* ATX_INTERVENTION_H */
