/*-------------------------------------------------------------------------
 *
 * map_functions.c
 *	  The typed functions of maps, with bytes and with text as values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/typed_call.h"
#include "base/duration.h"
#include "services/map.h"

PG_FUNCTION_INFO_V1(atomix_map_put);
PG_FUNCTION_INFO_V1(atomix_map_put_text);
PG_FUNCTION_INFO_V1(atomix_map_insert);
PG_FUNCTION_INFO_V1(atomix_map_insert_text);
PG_FUNCTION_INFO_V1(atomix_map_update);
PG_FUNCTION_INFO_V1(atomix_map_update_text);
PG_FUNCTION_INFO_V1(atomix_map_get);
PG_FUNCTION_INFO_V1(atomix_map_get_text);
PG_FUNCTION_INFO_V1(atomix_map_remove);
PG_FUNCTION_INFO_V1(atomix_map_size);
PG_FUNCTION_INFO_V1(atomix_map_clear);
PG_FUNCTION_INFO_V1(atomix_map_entries);
PG_FUNCTION_INFO_V1(atomix_map_entries_text);

/* Entries read at once; the result itself may spill to disk. */
#define PAGE_ROWS	1000

/* Values are kept in UTF-8, as the protocol's strings are. */
static bytea *
bytes_of_text(const text *value)
{
	int			length = VARSIZE_ANY_EXHDR(value);
	char	   *utf8 = pg_server_to_any(VARDATA_ANY(value), length, PG_UTF8);

	return (bytea *) (utf8 == VARDATA_ANY(value) ? cstring_to_text_with_len(utf8, length) :
					  cstring_to_text(utf8));
}

/* ERROR 22021 or 22P05 if the bytes are no text. */
static text *
text_of_bytes(const bytea *value)
{
	int			length = VARSIZE_ANY_EXHDR(value);
	char	   *data = (char *) VARDATA_ANY(value);
	char	   *result = pg_any_to_server(data, length, PG_UTF8);

	return result == data ? cstring_to_text_with_len(data, length) : cstring_to_text(result);
}

static Datum
value_datum(const bytea *value, bool as_text)
{
	return as_text ? PointerGetDatum(text_of_bytes(value)) : PointerGetDatum(value);
}

/* One of more than 68 years counts as that, as in a message. */
static int64
ttl_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? ATX_NO_TTL :
		Min(atx_duration_from_interval(PG_GETARG_INTERVAL_P(n), "ttl"), ATX_LONGEST_DURATION);
}

/* Null and zero: whatever entry there is. */
static int64
prev_index_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? 0 : atx_number_argument(fcinfo, n, "prev_index");
}

static AtxMapWrite
write_arguments(FunctionCallInfo fcinfo, bool as_text, bool has_prev_index)
{
	AtxMapWrite write;

	write.key = atx_required_text(fcinfo, 1, "key");
	write.value = atx_required_bytes(fcinfo, 2, "value");
	if (as_text)
		write.value = bytes_of_text((text *) write.value);
	write.ttl = ttl_argument(fcinfo, 3);
	write.prev_index = has_prev_index ? prev_index_argument(fcinfo, 4) : 0;
	return write;
}

/* The index of the entry, null if the write was refused, and what it replaced. */
static void
fill_row(const AtxMapAnswer *answer, bool as_text, bool with_prev, AtxRow *row)
{
	bool		done = answer->status == ATX_STATUS_OK;

	row->nulls[0] = !done;
	row->values[0] = done ? Int64GetDatum(answer->entry.index) : (Datum) 0;
	if (!with_prev)
		return;
	row->nulls[1] = !done || !answer->existed;
	row->values[1] = row->nulls[1] ? (Datum) 0 : value_datum(answer->before.value, as_text);
}

static Datum
write_entry(FunctionCallInfo fcinfo, const char *function, bool as_text, bool with_prev,
			AtxMapAnswer (*operation) (AtxCall *call, const AtxMapWrite *write))
{
	AtxMapWrite write = write_arguments(fcinfo, as_text, with_prev);
	int			namespace_argument = with_prev ? 5 : 4;
	AtxTypedCall typed;
	AtxRow		row;
	bool		execute = atx_typed_begin(fcinfo, function, namespace_argument, &typed, &row);

	if (execute)
	{
		AtxMapAnswer answer;

		atx_typed_use(fcinfo, namespace_argument, &atx_map_type, ATX_ACCESS_SHARED, &typed);
		answer = operation(&typed.call, &write);
		fill_row(&answer, as_text, with_prev, &row);
	}
	return atx_typed_end(fcinfo, &typed, &row, execute);
}

/*
 * map_put(name text, key text, value bytea, ttl interval, prev_index bigint,
 * namespace text, session_id bigint, sequence_num bigint)
 * returns (index bigint, prev_value bytea)
 */
Datum
atomix_map_put(PG_FUNCTION_ARGS)
{
	return write_entry(fcinfo, "map_put", false, true, atx_map_put);
}

/*
 * map_put_text(name text, key text, value text, ...)
 * returns (index bigint, prev_value text)
 */
Datum
atomix_map_put_text(PG_FUNCTION_ARGS)
{
	return write_entry(fcinfo, "map_put_text", true, true, atx_map_put);
}

/*
 * map_insert(name text, key text, value bytea, ttl interval, namespace text,
 * session_id bigint, sequence_num bigint) returns (index bigint)
 */
Datum
atomix_map_insert(PG_FUNCTION_ARGS)
{
	return write_entry(fcinfo, "map_insert", false, false, atx_map_insert);
}

/*
 * map_insert_text(name text, key text, value text, ...) returns (index bigint)
 */
Datum
atomix_map_insert_text(PG_FUNCTION_ARGS)
{
	return write_entry(fcinfo, "map_insert_text", true, false, atx_map_insert);
}

/*
 * map_update(name text, key text, value bytea, ttl interval,
 * prev_index bigint, namespace text, session_id bigint, sequence_num bigint)
 * returns (index bigint, prev_value bytea)
 */
Datum
atomix_map_update(PG_FUNCTION_ARGS)
{
	return write_entry(fcinfo, "map_update", false, true, atx_map_update);
}

/*
 * map_update_text(name text, key text, value text, ...)
 * returns (index bigint, prev_value text)
 */
Datum
atomix_map_update_text(PG_FUNCTION_ARGS)
{
	return write_entry(fcinfo, "map_update_text", true, true, atx_map_update);
}

/*
 * map_remove(name text, key text, prev_index bigint, namespace text,
 * session_id bigint, sequence_num bigint) returns boolean
 */
Datum
atomix_map_remove(PG_FUNCTION_ARGS)
{
	char	   *key = atx_required_text(fcinfo, 1, "key");
	int64		prev_index = prev_index_argument(fcinfo, 2);
	AtxTypedCall typed;
	AtxRow		row;
	bool		execute = atx_typed_begin(fcinfo, "map_remove", 3, &typed, &row);

	if (execute)
	{
		AtxMapAnswer answer;

		atx_typed_use(fcinfo, 3, &atx_map_type, ATX_ACCESS_SHARED, &typed);
		answer = atx_map_remove(&typed.call, key, prev_index);
		row.values[0] = BoolGetDatum(answer.status == ATX_STATUS_OK);
	}
	return atx_typed_end(fcinfo, &typed, &row, execute);
}

/*
 * map_clear(name text, namespace text, session_id bigint,
 * sequence_num bigint) returns bigint
 */
Datum
atomix_map_clear(PG_FUNCTION_ARGS)
{
	AtxTypedCall typed;
	AtxRow		row;
	bool		execute = atx_typed_begin(fcinfo, "map_clear", 1, &typed, &row);

	if (execute)
	{
		atx_typed_use(fcinfo, 1, &atx_map_type, ATX_ACCESS_EXCLUSIVE, &typed);
		row.values[0] = Int64GetDatum(atx_map_clear(&typed.call));
	}
	return atx_typed_end(fcinfo, &typed, &row, execute);
}

/*
 * map_size(name text, namespace text) returns bigint
 */
Datum
atomix_map_size(PG_FUNCTION_ARGS)
{
	AtxScope	scope;
	AtxCall		call;
	int64		size = 0;

	if (atx_typed_find(fcinfo, 1, &atx_map_type, &scope, &call))
		size = atx_entry_count(call.service.service_id, &call.moment);
	atx_scope_leave(&scope);
	PG_RETURN_INT64(size);
}

/* Put an entry into the result, from the given column on. */
static void
put_entry(ReturnSetInfo *rsinfo, const AtxEntry *entry, bool with_key, bool as_text)
{
	Datum		values[4];
	bool		nulls[4] = {false};
	int			n = 0;

	if (with_key)
		values[n++] = CStringGetTextDatum(entry->key);
	values[n++] = value_datum(entry->value, as_text);
	values[n++] = Int64GetDatum(entry->index);
	nulls[n] = entry->expires_at == ATX_NO_EXPIRY;
	values[n] = nulls[n] ? (Datum) 0 : TimestampTzGetDatum(atx_wall_of_tick(entry->expires_at));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * map_get(name text, key text, namespace text)
 * returns table (value bytea, index bigint, expires_at timestamptz)
 */
Datum
atomix_map_get(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *key = atx_required_text(fcinfo, 1, "key");
	AtxScope	scope;
	AtxCall		call;
	AtxEntry	entry;

	InitMaterializedSRF(fcinfo, 0);
	if (atx_typed_find(fcinfo, 2, &atx_map_type, &scope, &call) &&
		atx_map_get(&call, key, &entry))
		put_entry(rsinfo, &entry, false, false);
	atx_scope_leave(&scope);
	return (Datum) 0;
}

/*
 * map_get_text(name text, key text, namespace text) returns text
 */
Datum
atomix_map_get_text(PG_FUNCTION_ARGS)
{
	char	   *key = atx_required_text(fcinfo, 1, "key");
	AtxScope	scope;
	AtxCall		call;
	AtxEntry	entry;
	text	   *value = NULL;

	if (atx_typed_find(fcinfo, 2, &atx_map_type, &scope, &call) &&
		atx_map_get(&call, key, &entry))
	{
		MemoryContextSwitchTo(scope.caller_memory);
		value = text_of_bytes(entry.value);
	}
	atx_scope_leave(&scope);
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(value);
}

/*
 * Put the next page into the result; returns how many entries it had, and in
 * *after the last one's key.
 */
static int
put_page(FunctionCallInfo fcinfo, char **after, int limit, bool as_text)
{
	AtxScope	scope;
	AtxCall		call;
	AtxEntry   *entries;
	int			count = 0;

	if (atx_typed_find(fcinfo, 3, &atx_map_type, &scope, &call))
		count = atx_entry_page(call.service.service_id, *after, limit, &call.moment, &entries);
	for (int i = 0; i < count; i++)
		put_entry((ReturnSetInfo *) fcinfo->resultinfo, &entries[i], true, as_text);
	if (count > 0)
		*after = MemoryContextStrdup(scope.caller_memory, entries[count - 1].key);
	atx_scope_leave(&scope);
	return count;
}

static Datum
put_entries(FunctionCallInfo fcinfo, bool as_text)
{
	char	   *after = atx_text_argument(fcinfo, 1);
	int			left = atx_rows_argument(fcinfo, 2);

	InitMaterializedSRF(fcinfo, 0);
	while (left > 0)
	{
		int			count;

		CHECK_FOR_INTERRUPTS();
		count = put_page(fcinfo, &after, Min(left, PAGE_ROWS), as_text);
		if (count < Min(left, PAGE_ROWS))
			break;
		left -= count;
	}
	return (Datum) 0;
}

/*
 * map_entries(name text, after_key text, max_rows int, namespace text)
 * returns table (key text, value bytea, index bigint, expires_at timestamptz)
 */
Datum
atomix_map_entries(PG_FUNCTION_ARGS)
{
	return put_entries(fcinfo, false);
}

/*
 * map_entries_text(name text, after_key text, max_rows int, namespace text)
 * returns table (key text, value text, index bigint, expires_at timestamptz)
 */
Datum
atomix_map_entries_text(PG_FUNCTION_ARGS)
{
	return put_entries(fcinfo, true);
}
