/*-------------------------------------------------------------------------
 *
 * placement.c
 *	  Partitions on several servers: which a service belongs to, and
 *	  whether it is here.
 *
 * Clients choose the partition of a name by the hash of the protocol, and are
 * told where it is if they ask the wrong server.  Names that the protocol's
 * own messages give are not checked: its clients spread the keys of a map
 * over services of one name, one on each partition.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/spi.h"
#include "commands/placement.h"
#include "tables/partition.h"
#include "tables/placement.h"

#define FNV_OFFSET	0x811c9dc5
#define FNV_PRIME	0x01000193

/* FNV-1a of the bytes of a text in UTF-8. */
static uint32
hash_text(uint32 hash, const char *text)
{
	const char *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);

	for (const char *c = utf8; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * FNV_PRIME;
	return hash;
}

/*
 * The hash of the protocol is that of the name alone, so that services of one
 * name in all namespaces would be on one server.  A namespace comes before,
 * with a zero byte, which no name has; the empty one leaves the protocol's.
 */
static uint32
hash_name(const char *namespace, const char *name)
{
	uint32		hash = FNV_OFFSET;

	if (namespace[0] != '\0')
		hash = hash_text(hash, namespace) * FNV_PRIME;	/* the zero byte */
	return hash_text(hash, name);
}

static int32
partition_of(const AtxPlacement *placement, const char *namespace, const char *name)
{
	if (placement->count <= 1)
		return placement->here;
	return (int32) (hash_name(namespace, name) % (uint32) placement->count) + 1;
}

/*
 * The partition that a service of that name belongs to.
 */
int32
atx_partition_of(const char *namespace, const char *name)
{
	AtxPlacement placement = atx_placement();

	return partition_of(&placement, namespace, name);
}

static AtxAnswer
elsewhere(int32 partition_id)
{
	char	   *location = atx_placement_location(partition_id);
	AtxAnswer	answer = atx_answer(ATX_PARTITION_ELSEWHERE,
									psprintf("partition %d is elsewhere: %s", partition_id, location));

	/* Nothing but the place: programs read it. */
	answer.detail = location;
	answer.hint = psprintf("View atomix.partitions shows where each partition is.");
	return answer;
}

/*
 * Is the partition here?
 */
AtxAnswer
atx_check_partition(int64 partition_id)
{
	AtxPlacement placement = atx_placement();

	if (partition_id == placement.here)
		return ATX_ANSWER_DONE;
	if (partition_id >= 1 && partition_id <= placement.count)
		return elsewhere((int32) partition_id);
	return atx_answer(ATX_INVALID,
					  psprintf("partition " INT64_FORMAT " does not exist", partition_id));
}

/*
 * Is the partition here that the name belongs to?
 */
AtxAnswer
atx_check_name_here(const char *namespace, const char *name)
{
	AtxPlacement placement = atx_placement();
	int32		partition_id = partition_of(&placement, namespace, name);

	return partition_id == placement.here ? ATX_ANSWER_DONE : elsewhere(partition_id);
}

/*
 * Say where each of count partitions is, in an array of text, and which is
 * this database's.  Their number, and which is here, can be changed only while
 * there are neither services nor sessions: the names of services would belong
 * elsewhere.
 */
AtxAnswer
atx_place_partitions(int32 here, Datum locations, int count)
{
	AtxPlacement placement;
	AtxAnswer	answer = ATX_ANSWER_DONE;

	atx_placement_lock();
	placement = atx_placement();
	if (here < 1 || here > Max(count, 1))
		return atx_answer(ATX_INVALID, psprintf("partition %d is not among the %d", here, count));
	if ((here != placement.here || Max(count, 1) != Max(placement.count, 1)) &&
		atx_placement_in_use())
	{
		answer = atx_answer(ATX_SERVICE_NOT_OPEN,
							pstrdup("partitions cannot be divided anew while there are services or sessions"));
		answer.detail = psprintf("This database is partition %d of %d.",
								 placement.here, Max(placement.count, 1));
		answer.hint = pstrdup("Places of partitions can be changed at any time, in the same number.");
		return answer;
	}
	atx_placement_store(here, locations);
	return answer;
}
