/*-------------------------------------------------------------------------
 *
 * session_object.c
 *	  Table session: sessions with their services, as they are shown to the
 *	  outside.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/spi.h"
#include "tables/session_object.h"

/*
 * Sessions that a role may see, each with the services it has open, is going
 * to open, or had open when it ended; with nulls if that is none.  A service
 * in a namespace is called namespace/name.
 */
#define SELECT_OBJECTS \
	"SELECT s.session_id, COALESCE(s.name, s.session_id::text), s.kind, s.labels," \
	" s.config, COALESCE(s.version, 0), s.state, p.type, p.namespace," \
	" CASE WHEN p.namespace = '' THEN p.name ELSE p.namespace || '/' || p.name END" \
	" FROM atomix.session s LEFT JOIN LATERAL (" \
	"SELECT v.type, v.namespace::text, v.name::text FROM atomix.attachment a" \
	" JOIN atomix.service v ON v.service_id = a.service_id" \
	" WHERE a.session_id = s.session_id" \
	" UNION SELECT d->>'type', COALESCE(d->>'namespace', ''), d->>'name'" \
	" FROM pg_catalog.jsonb_array_elements(COALESCE(s.attached, '[]')" \
	" || COALESCE(s.declared, '[]')) AS d) AS p ON true"

#define VISIBLE_TO_ROLE \
	"(pg_catalog.pg_has_role($1, s.owner::pg_catalog.oid, 'USAGE')" \
	" OR pg_catalog.pg_has_role($1, 'pg_monitor', 'USAGE'))"

static AtxStatement find_objects = {
	SELECT_OBJECTS " WHERE " VISIBLE_TO_ROLE " AND COALESCE(s.version, 0) > $2"
	" AND ($3 = '' OR COALESCE(s.kind, p.type) = $3)"
	" ORDER BY s.version, s.session_id, p.namespace, p.name",
	3, {OIDOID, INT8OID, TEXTOID}
};

static AtxStatement find_objects_of_session = {
	SELECT_OBJECTS " WHERE s.session_id = $1 ORDER BY p.namespace, p.name",
	1, {INT8OID}
};

static AtxStatement find_named_session = {
	"SELECT s.session_id FROM atomix.session s WHERE (s.name = $2"
	" OR (s.name IS NULL AND s.session_id = $3)) AND " VISIBLE_TO_ROLE
	" ORDER BY s.state = ANY ('{opening,opened}') DESC, s.session_id DESC LIMIT 1",
	3, {OIDOID, TEXTOID, INT8OID}
};

static void
read_objects(int count, AtxSessionObject **objects)
{
	*objects = palloc(sizeof(AtxSessionObject) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		AtxSessionObject *object = &(*objects)[i];

		object->session_id = atx_result_int64(i, 1);
		object->name = atx_result_text(i, 2);
		object->kind = atx_result_text(i, 3);
		object->labels = atx_result_isnull(i, 4) ? NULL :
			DatumGetJsonbP(atx_result_datum(i, 4));
		object->config = atx_result_bytes(i, 5);
		object->version = atx_result_int64(i, 6);
		object->state = atx_result_text(i, 7);
		object->service_type = atx_result_text(i, 8);
		object->namespace = atx_result_text(i, 9);
		object->service = atx_result_text(i, 10);
	}
}

/*
 * The sessions that a role may see and that have changed after a version (0:
 * also those whose change has none yet), of a kind or, if that is empty, of
 * all; a session is there once for each of its services.  Returns how many.
 */
int
atx_session_objects(Oid role, int64 after, const char *kind, AtxSessionObject **objects)
{
	Datum		values[] = {
		ObjectIdGetDatum(role),
		Int64GetDatum(after == 0 ? -1 : after),
		CStringGetTextDatum(kind)
	};
	int			count = (int) atx_execute(&find_objects, values, NULL);

	read_objects(count, objects);
	return count;
}

/*
 * The same of the session that bears a name, or has none and has that id: the
 * newest that is open, else the newest; 0 if the role may see none.
 */
int
atx_session_objects_named(Oid role, const char *name, int64 id, AtxSessionObject **objects)
{
	Datum		values[] = {
		ObjectIdGetDatum(role),
		CStringGetTextDatum(name),
		Int64GetDatum(id)
	};
	int			count;

	if (atx_execute(&find_named_session, values, NULL) == 0)
		return 0;
	values[0] = atx_result_datum(0, 1);
	count = (int) atx_execute(&find_objects_of_session, values, NULL);
	read_objects(count, objects);
	return count;
}
