/*-------------------------------------------------------------------------
 *
 * intervention.c
 *	  Table intervention: what administrators did to locks and elections.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/spi.h"
#include "tables/intervention.h"

static AtxStatement insert = {
	"INSERT INTO atomix.intervention (index, at, service_id, namespace, name, actor,"
	" action, session_id, token, ticket, reason)"
	" VALUES ($11, $1, $2, $3, $4, pg_catalog.pg_get_userbyid($5), $6, NULLIF($7, 0),"
	" NULLIF($8, 0), NULLIF($9, 0), $10)",
	11, {TIMESTAMPTZOID, INT8OID, TEXTOID, TEXTOID, OIDOID, TEXTOID, INT8OID, INT8OID,
	INT8OID, TEXTOID, INT8OID}
};

/*
 * Remember an intervention.
 */
void
atx_intervention_insert(const AtxIntervention *intervention)
{
	Datum		values[] = {
		TimestampTzGetDatum(atx_wall_now()),
		Int64GetDatum(intervention->service_id),
		CStringGetTextDatum(intervention->namespace),
		CStringGetTextDatum(intervention->name),
		ObjectIdGetDatum(intervention->actor),
		CStringGetTextDatum(intervention->action),
		Int64GetDatum(intervention->session_id),
		Int64GetDatum(intervention->token),
		Int64GetDatum(intervention->ticket),
		intervention->reason ? CStringGetTextDatum(intervention->reason) : (Datum) 0,
		Int64GetDatum(intervention->index)
	};
	char		nulls[] = "           ";

	if (intervention->reason == NULL)
		nulls[9] = 'n';
	(void) atx_execute(&insert, values, nulls);
}
