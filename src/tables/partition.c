/*-------------------------------------------------------------------------
 *
 * partition.c
 *	  Tables partition and partition_term.
 *
 * The term rises only when the database is served under another identity: a
 * promotion, a restore, a copy.  A restart keeps it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "catalog/pg_type.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "atomix.h"
#include "base/settings.h"
#include "base/spi.h"
#include "tables/partition.h"

static AtxStatement find_leader = {
	"SELECT leader FROM atomix.partition ORDER BY partition_id LIMIT 1"
};

static AtxStatement find_terms = {
	"SELECT t.term, t.leader, t.since FROM atomix.partition_term t"
	" WHERE t.partition_id = $1 AND t.term > $2 ORDER BY t.term",
	2, {INT4OID, INT8OID}
};

static AtxStatement find_any = {
	"SELECT 1 FROM atomix.partition, atomix.partition_term LIMIT 1"
};

static AtxStatement create_partition = {
	"WITH p AS (INSERT INTO atomix.partition (partition_id, term, leader)"
	" SELECT $1, 1, $2 WHERE NOT EXISTS (SELECT 1 FROM atomix.partition)"
	" RETURNING partition_id, term, leader, since)"
	" INSERT INTO atomix.partition_term (partition_id, term, leader, since)"
	" SELECT partition_id, term, leader, since FROM p",
	2, {INT4OID, TEXTOID}
};

static AtxStatement raise_terms = {
	"WITH p AS (UPDATE atomix.partition SET term = term + 1, leader = $1,"
	" since = pg_catalog.clock_timestamp()"
	" RETURNING partition_id, term, leader, since)"
	" INSERT INTO atomix.partition_term (partition_id, term, leader, since)"
	" SELECT partition_id, term, leader, since FROM p",
	1, {TEXTOID}
};

/* The name under which this server leads, palloc'd. */
static char *
leader_name(void)
{
	char		host[256];

	if (atx_leader_name != NULL && atx_leader_name[0] != '\0')
		return pstrdup(atx_leader_name);
	if (cluster_name[0] != '\0')
		return pstrdup(cluster_name);
	if (gethostname(host, sizeof(host)) != 0)
		strlcpy(host, "localhost", sizeof(host));
	host[sizeof(host) - 1] = '\0';
	return psprintf("%s:%d", host, PostPortNumber);
}

/*
 * Is there any partition, with its history?
 */
bool
atx_partition_any(void)
{
	return atx_execute(&find_any, NULL, NULL) > 0;
}

/*
 * Who leads, palloc'd; NULL where nothing was ever used.
 */
char *
atx_partition_leader(void)
{
	return atx_execute(&find_leader, NULL, NULL) == 0 ? NULL : atx_result_text(0, 1);
}

/*
 * What a standby answers to a call that would change something: who leads.
 */
char *
atx_partition_not_here(void)
{
	char	   *leader = atx_partition_leader();

	if (leader == NULL)
		return pstrdup("this server is a standby");
	return psprintf("this server is a standby; the leader is %s", leader);
}

/*
 * Create the partition, in its first term, if there is none.
 */
void
atx_partition_ensure(void)
{
	Datum		values[] = {
		Int32GetDatum(ATX_DEFAULT_PARTITION),
		CStringGetTextDatum(leader_name())
	};

	(void) atx_execute(&create_partition, values, NULL);
}

/*
 * Begin a new term of every partition, led by this server.
 */
void
atx_partition_new_term(void)
{
	Datum		values[] = {CStringGetTextDatum(leader_name())};

	(void) atx_execute(&raise_terms, values, NULL);
}

/*
 * The terms of a partition after one, in order; returns how many.
 */
int
atx_partition_terms(int32 partition_id, int64 after, AtxTermChange **terms)
{
	Datum		values[] = {Int32GetDatum(partition_id), Int64GetDatum(after)};
	int			count = (int) atx_execute(&find_terms, values, NULL);

	*terms = palloc(sizeof(AtxTermChange) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		(*terms)[i].term = atx_result_int64(i, 1);
		(*terms)[i].leader = atx_result_text(i, 2);
		(*terms)[i].since = DatumGetTimestampTz(atx_result_datum(i, 3));
	}
	return count;
}
