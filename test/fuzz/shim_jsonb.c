/*-------------------------------------------------------------------------
 *
 * shim_jsonb.c
 *	  As much of jsonb as the fuzzed sources call.
 *
 * A document is a tree of containers that begin as jsonb's do; text is parsed
 * by PostgreSQL's own parser.  Strings have no byte more than they need, so
 * that the address sanitizer sees what reads beyond.  As in jsonb, of equal
 * keys the last one counts; otherwise they stay in the order of the text.  A
 * number stays as it is spelled.
 *
 * Besides, the little of numeric, dates and strings that JSON takes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "compat.h"
#include "shim.h"
#include "shim_jsonb.h"

/* The beginning is that of a Jsonb. */
typedef struct Tree
{
	int32		vl_len_;
	uint32		header;			/* where the JsonbContainer begins */
	int			count;
	int			room;
	JsonbValue *keys;			/* of an object */
	JsonbValue *values;
} Tree;

/* A container that is being built. */
typedef struct Level
{
	Tree	   *tree;
	JsonbValue	key;			/* of the value that comes next */
	struct Level *above;
} Level;

static Tree *
tree_of(JsonbContainer *container)
{
	return (Tree *) ((char *) container - offsetof(Tree, header));
}

static Tree *
new_tree(uint32 kind)
{
	Tree	   *tree = palloc0(sizeof(Tree));

	SET_VARSIZE(tree, sizeof(Tree));
	tree->header = kind;
	return tree;
}

static JsonbValue
string_copy(const char *text, int len)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = palloc(len);
	memcpy(value.val.string.val, text, len);
	value.val.string.len = len;
	return value;
}

static bool
same_string(const JsonbValue *a, const JsonbValue *b)
{
	return a->val.string.len == b->val.string.len &&
		memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0;
}

/* The place of the value that comes next. */
static JsonbValue *
place_in(Level *level)
{
	Tree	   *tree = level->tree;
	bool		is_object = (tree->header & JB_FOBJECT) != 0;

	for (int i = 0; is_object && i < tree->count; i++)
		if (same_string(&tree->keys[i], &level->key))
			return &tree->values[i];
	if (tree->count == tree->room)
	{
		tree->room = tree->room * 2 + 4;
		tree->values = tree->values == NULL ? palloc(tree->room * sizeof(JsonbValue)) :
			repalloc(tree->values, tree->room * sizeof(JsonbValue));
		tree->keys = tree->keys == NULL ? palloc(tree->room * sizeof(JsonbValue)) :
			repalloc(tree->keys, tree->room * sizeof(JsonbValue));
	}
	tree->keys[tree->count] = level->key;
	tree->header++;
	return &tree->values[tree->count++];
}

static JsonbValue *
tree_value(Tree *tree)
{
	JsonbValue *value = palloc0(sizeof(JsonbValue));

	value->type = jbvBinary;
	value->val.binary.data = (JsonbContainer *) &tree->header;
	return value;
}

/* ------------------------------------------------------------- functions */

JsonbValue *
pushJsonbValue(JsonbParseState **state, JsonbIteratorToken token, JsonbValue *value)
{
	Level	  **top = (Level **) state;
	Level	   *level = *top;
	JsonbValue	copy;

	switch (token)
	{
		case WJB_BEGIN_OBJECT:
		case WJB_BEGIN_ARRAY:
			level = palloc0(sizeof(Level));
			level->tree = new_tree(token == WJB_BEGIN_ARRAY ? JB_FARRAY : JB_FOBJECT);
			level->above = *top;
			*top = level;
			return NULL;
		case WJB_END_OBJECT:
		case WJB_END_ARRAY:
			*top = level->above;
			if (*top != NULL)
				*place_in(*top) = *tree_value(level->tree);
			return tree_value(level->tree);
		default:
			copy = value->type != jbvString ? *value :
				string_copy(value->val.string.val, value->val.string.len);
			if (token == WJB_KEY)
				level->key = copy;
			else
				*place_in(level) = copy;
			return NULL;
	}
}

Jsonb *
JsonbValueToJsonb(JsonbValue *value)
{
	Level		level = {NULL};

	if (value->type == jbvBinary)
		return (Jsonb *) tree_of(value->val.binary.data);
	level.tree = new_tree(JB_FARRAY | JB_FSCALAR);
	*place_in(&level) = *value;
	return (Jsonb *) level.tree;
}

bool
JsonbExtractScalar(JsonbContainer *container, JsonbValue *result)
{
	Tree	   *tree = tree_of(container);

	if ((tree->header & JB_FSCALAR) == 0)
		return false;
	*result = tree->values[0];
	return true;
}

JsonbIterator *
JsonbIteratorInit(JsonbContainer *container)
{
	JsonbIterator *it = palloc0(sizeof(JsonbIterator));

	it->container = container;
	it->state = (container->header & JB_FARRAY) ? JBI_ARRAY_START : JBI_OBJECT_START;
	return it;
}

JsonbIteratorToken
JsonbIteratorNext(JsonbIterator **iterator, JsonbValue *value, bool skipNested)
{
	JsonbIterator *it = *iterator;
	Tree	   *tree;

	Assert(skipNested);
	if (it == NULL)
		return WJB_DONE;
	tree = tree_of(it->container);
	switch (it->state)
	{
		case JBI_ARRAY_START:
			it->state = JBI_ARRAY_ELEM;
			return WJB_BEGIN_ARRAY;
		case JBI_OBJECT_START:
			it->state = JBI_OBJECT_KEY;
			return WJB_BEGIN_OBJECT;
		case JBI_OBJECT_VALUE:
			*value = tree->values[it->curIndex++];
			it->state = JBI_OBJECT_KEY;
			return WJB_VALUE;
		default:
			break;
	}
	if (it->curIndex == tree->count)
	{
		bool		is_array = (it->state == JBI_ARRAY_ELEM);

		*iterator = NULL;
		pfree(it);
		return is_array ? WJB_END_ARRAY : WJB_END_OBJECT;
	}
	if (it->state == JBI_ARRAY_ELEM)
	{
		*value = tree->values[it->curIndex++];
		return WJB_ELEM;
	}
	*value = tree->keys[it->curIndex];
	it->state = JBI_OBJECT_VALUE;
	return WJB_KEY;
}

/* --------------------------------------------------------------- parsing */

typedef struct Parsing
{
	JsonbParseState *state;
	JsonbValue	result;
} Parsing;

static AtxJsonResult
begin_object(void *parsing)
{
	(void) pushJsonbValue(&((Parsing *) parsing)->state, WJB_BEGIN_OBJECT, NULL);
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
begin_array(void *parsing)
{
	(void) pushJsonbValue(&((Parsing *) parsing)->state, WJB_BEGIN_ARRAY, NULL);
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
end_container(void *argument)
{
	Parsing    *parsing = argument;

	parsing->result = *pushJsonbValue(&parsing->state, WJB_END_OBJECT, NULL);
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
begin_field(void *parsing, char *name, bool isnull)
{
	JsonbValue	key = string_copy(name, strlen(name));

	(void) pushJsonbValue(&((Parsing *) parsing)->state, WJB_KEY, &key);
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
take_scalar(void *argument, char *token, JsonTokenType type)
{
	Parsing    *parsing = argument;
	JsonbValue	value = {.type = jbvNull};

	if (type == JSON_TOKEN_STRING)
		value = string_copy(token, strlen(token));
	else if (type == JSON_TOKEN_NUMBER)
	{
		value.type = jbvNumeric;
		value.val.numeric = (Numeric) pstrdup(token);
	}
	else if (type != JSON_TOKEN_NULL)
	{
		value.type = jbvBool;
		value.val.boolean = (type == JSON_TOKEN_TRUE);
	}
	if (parsing->state != NULL)
		(void) pushJsonbValue(&parsing->state, WJB_VALUE, &value);
	else
		parsing->result = value;
	return ATX_JSON_GO_ON;
}

/*
 * The document that a text is, or NULL if jsonb would not take it.
 */
Jsonb *
shim_jsonb_parse(const char *text, size_t len)
{
	Parsing		parsing = {NULL};
	JsonSemAction actions = {
		.semstate = &parsing,
		.object_start = begin_object,
		.object_end = end_container,
		.array_start = begin_array,
		.array_end = end_container,
		.object_field_start = begin_field,
		.scalar = take_scalar
	};
	char	   *copy;

	if (pg_encoding_verifymbstr(PG_UTF8, text, (int) len) != (int) len)
		return NULL;
	copy = pnstrdup(text, len);
	if (pg_parse_json(AtxMakeJsonLexer(copy, (int) len), &actions) != JSON_SUCCESS)
		return NULL;
	return JsonbValueToJsonb(&parsing.result);
}

/* ---------------------------------------------------------------- others */

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

Datum
DirectFunctionCall1Coll(PGFunction function, Oid collation, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;
	return function(fcinfo);
}

Datum
numeric_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup((char *) PG_GETARG_POINTER(0)));
}

Numeric
int64_to_numeric(int64 value)
{
	return (Numeric) psprintf(INT64_FORMAT, value);
}

void
escape_json(StringInfo buffer, const char *string)
{
	appendStringInfoChar(buffer, '"');
	for (; *string != '\0'; string++)
	{
		if (*string == '"' || *string == '\\' || (unsigned char) *string < ' ')
			appendStringInfo(buffer, "\\u%04x", *string);
		else
			appendStringInfoChar(buffer, *string);
	}
	appendStringInfoChar(buffer, '"');
}

int
pg_mbcliplen(const char *string, int len, int limit)
{
	int			end = 0;

	while (end < len && end + pg_utf_mblen((const unsigned char *) string + end) <= limit)
		end += pg_utf_mblen((const unsigned char *) string + end);
	return end;
}

const int	day_tab[2][13] = {
	{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
	{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0}
};

/* Days of the Gregorian calendar from a first of March to another. */
#define DAYS_BEFORE_YEAR(y)	((y) * 365 + (y) / 4 - (y) / 100 + (y) / 400)
#define DAYS_BEFORE_MONTH(m) ((153 * (m) + 2) / 5)	/* March is 0 */
#define JULIAN_OF_MARCH_1	1721120 /* of the year 0 */

int
date2j(int year, int month, int day)
{
	int			y = month > 2 ? year : year - 1;

	return JULIAN_OF_MARCH_1 + DAYS_BEFORE_YEAR(y) +
		DAYS_BEFORE_MONTH((month + 9) % 12) + day - 1;
}

void
j2date(int jd, int *year, int *month, int *day)
{
	int			days = jd - JULIAN_OF_MARCH_1;
	int			y = days / 365;
	int			m = 11;

	while (DAYS_BEFORE_YEAR(y) > days)
		y--;
	days -= DAYS_BEFORE_YEAR(y);
	while (DAYS_BEFORE_MONTH(m) > days)
		m--;
	*day = days - DAYS_BEFORE_MONTH(m) + 1;
	*month = (m + 2) % 12 + 1;
	*year = *month > 2 ? y : y + 1;
}
