/*-------------------------------------------------------------------------
 *
 * bloom.c
 *	  The set of commands a client still waits for, as keep-alives carry it.
 *
 * A filter is a JSON document {"m":M,"k":K,"b":"..."}; b is base64 (URL
 * alphabet, padded) of the bit length and the words of a bit set, all
 * 64-bit big-endian.  What a filter does not contain is forgotten, so a wrong
 * "no" cancels commands that a client waits for, while a wrong "yes" only
 * delays the forgetting: every doubt about the content makes it malformed,
 * and every shortcut may err towards "yes" only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "base/base64.h"
#include "base/bloom.h"
#include "compat.h"

/*
 * Clients use 5 positions, or 2^63 in an empty filter.  After so many set
 * bits the rest would not change the answer.
 */
#define MAX_POSITIONS	64

/* A filter has one brace; more than this is an attempt on the parser's stack. */
#define MAX_BRACKETS	32

/* What the parser has seen of the document so far. */
typedef struct FilterDocument
{
	int			level;			/* objects and arrays that are open */
	char	   *key;			/* of the field being parsed at level 1 */
	char	   *m;				/* the fields as text, NULL when absent */
	char	   *k;
	char	   *b;
	const char *problem;		/* first one found, or NULL */
} FilterDocument;

static void
note_problem(FilterDocument *document, const char *problem)
{
	if (document->problem == NULL)
		document->problem = problem;
}

/*
 * Where to store the current field's value, NULL for a field that does not
 * concern us.
 */
static char **
current_field(FilterDocument *document)
{
	if (document->level != 1 || document->key == NULL)
		return NULL;
	if (pg_strcasecmp(document->key, "m") == 0)
		return &document->m;
	if (pg_strcasecmp(document->key, "k") == 0)
		return &document->k;
	if (pg_strcasecmp(document->key, "b") == 0)
		return &document->b;
	return NULL;
}

static void
open_container(FilterDocument *document, bool is_object)
{
	if (document->level == 0 && !is_object)
		note_problem(document, "it is not a JSON object");
	if (current_field(document) != NULL)
		note_problem(document, "m, k or b is an object or an array");
	document->level++;
}

static AtxJsonResult
start_object(void *state)
{
	open_container(state, true);
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
start_array(void *state)
{
	open_container(state, false);
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
end_container(void *state)
{
	((FilterDocument *) state)->level--;
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
start_field(void *state, char *name, bool isnull)
{
	FilterDocument *document = state;

	if (document->level == 1)
		document->key = name;
	return ATX_JSON_GO_ON;
}

static AtxJsonResult
take_scalar(void *state, char *token, JsonTokenType type)
{
	FilterDocument *document = state;
	char	  **field = current_field(document);

	if (document->level == 0)
		note_problem(document, "it is not a JSON object");
	if (field == NULL)
		return ATX_JSON_GO_ON;

	if (field == &document->b && type != JSON_TOKEN_STRING)
		note_problem(document, "b is not a string");
	if (field != &document->b && type != JSON_TOKEN_NUMBER)
		note_problem(document, "m or k is not a number");

	/* Of fields with the same name the last one counts. */
	*field = token;
	return ATX_JSON_GO_ON;
}

/*
 * Is it safe to show this text to the JSON parser?  It throws when nested too
 * deeply for the stack, and for escapes the server's encoding has no
 * character for; and it takes valid characters for granted.
 */
static bool
check_text(const char *text, int len, const char **problem)
{
	int			brackets = 0;

	if (pg_encoding_verifymbstr(PG_UTF8, text, len) != len)
	{
		*problem = "it is not valid UTF-8";
		return false;
	}
	if (GetDatabaseEncoding() != PG_UTF8 && memchr(text, '\\', len) != NULL)
	{
		*problem = "it has escapes, which need a server encoding of UTF8";
		return false;
	}
	for (int i = 0; i < len; i++)
	{
		if (text[i] == '{' || text[i] == '[')
			brackets++;
	}
	if (brackets > MAX_BRACKETS)
	{
		*problem = "it has too many brackets";
		return false;
	}
	return true;
}

/* Split the document into its fields, as text. */
static bool
parse_document(const uint8 *data, size_t len, FilterDocument *document)
{
	JsonSemAction actions = {0};
	char	   *copy;

	if (len > MaxAllocSize / 2)
	{
		document->problem = "it is too long";
		return false;
	}
	if (!check_text((const char *) data, (int) len, &document->problem))
		return false;

	actions.semstate = document;
	actions.object_start = start_object;
	actions.object_end = end_container;
	actions.array_start = start_array;
	actions.array_end = end_container;
	actions.object_field_start = start_field;
	actions.scalar = take_scalar;

	/* The parser does not change its input, but does not say so. */
	copy = pnstrdup((const char *) data, len);
	if (pg_parse_json(AtxMakeJsonLexer(copy, (int) len), &actions) != JSON_SUCCESS)
		note_problem(document, "it is not valid JSON");
	return document->problem == NULL;
}

/* An unsigned 64-bit number in plain digits. */
static bool
parse_number(const char *digits, uint64 *value)
{
	uint64		result = 0;

	for (const char *c = digits; *c != '\0'; c++)
	{
		uint64		digit = (uint64) (*c - '0');

		if (digit > 9 || result > (PG_UINT64_MAX - digit) / 10)
			return false;
		result = result * 10 + digit;
	}
	*value = result;
	return *digits != '\0';
}

static uint64
read_uint64(const uint8 *bytes)
{
	uint64		value;

	memcpy(&value, bytes, sizeof(value));
	return pg_ntoh64(value);
}

/* Read the bit set; its length must be the one that m demands. */
static bool
parse_bits(const char *text, AtxBloom *filter, const char **problem)
{
	size_t		len = strlen(text);
	uint8	   *bytes = palloc(len + 1);
	int64		n = atx_base64_decode(text, len, ATX_BASE64_URL_PADDED, bytes);
	uint64		nwords;

	if (n < (int64) sizeof(uint64))
	{
		*problem = (n < 0) ? "b is not base64 of the URL alphabet" :
			"b has no bit length";
		return false;
	}
	filter->nbits = read_uint64(bytes);

	/* Only the filter of an empty set has fewer bits than m: none. */
	if (filter->nbits != filter->m && (filter->nbits != 0 || filter->m != 1))
	{
		*problem = "the bit length in b differs from m";
		return false;
	}

	/* Compare without rounding up first, which could overflow. */
	nwords = (uint64) n / sizeof(uint64) - 1;
	if (filter->nbits / 64 + (filter->nbits % 64 != 0) > nwords)
	{
		*problem = "b has fewer bits than it says";
		return false;
	}

	filter->words = palloc((nwords + 1) * sizeof(uint64));
	for (uint64 i = 0; i < nwords; i++)
		filter->words[i] = read_uint64(bytes + (i + 1) * sizeof(uint64));
	pfree(bytes);
	return true;
}

/*
 * Parse a filter as a keep-alive carries it.  Returns false for malformed
 * content, with the reason as the end of a sentence that begins "the filter is
 * malformed:"; raises no error but for lack of memory.  The result's words are
 * palloc'd in CurrentMemoryContext, and so are some leftovers of parsing.
 */
bool
atx_bloom_parse(const uint8 *data, size_t len, AtxBloom *filter,
				const char **problem)
{
	FilterDocument document = {0};
	uint64		k;

	memset(filter, 0, sizeof(*filter));
	*problem = NULL;

	if (!parse_document(data, len, &document))
		*problem = document.problem;
	else if (document.m == NULL && document.k == NULL && document.b == NULL)
	{
		/* k = 0: no position is looked at, so everything is contained. */
		return true;
	}
	else if (document.b == NULL)
		*problem = "b is missing";
	else if (document.m == NULL || document.k == NULL)
		*problem = "m or k is missing";
	else if (!parse_number(document.m, &filter->m) ||
			 !parse_number(document.k, &k))
		*problem = "m or k is not an unsigned 64-bit number";
	else if (filter->m == 0)
		*problem = "m is zero";
	else
	{
		filter->k = (int) Min(k, MAX_POSITIONS);
		return parse_bits(document.b, filter, problem);
	}
	return false;
}

static uint64
rotate_left(uint64 value, int bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static uint64
mix_final(uint64 h)
{
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return h;
}

/*
 * MurmurHash3, 128 bits for x64, seed 0, of a key of 8 to 15 bytes: there is
 * no whole block then.  "low" and "high" are the key's bytes, zero-extended,
 * as little-endian numbers.
 */
static void
hash_short_key(uint64 low, uint64 high, uint64 len, uint64 hash[2])
{
	const uint64 c1 = UINT64CONST(0x87c37b91114253d5);
	const uint64 c2 = UINT64CONST(0x4cf5ad432745937f);
	uint64		h1;
	uint64		h2;

	h1 = (rotate_left(low * c1, 31) * c2) ^ len;
	h2 = (rotate_left(high * c2, 33) * c1) ^ len;

	h1 += h2;
	h2 += h1;
	h1 = mix_final(h1);
	h2 = mix_final(h2);
	h1 += h2;
	h2 += h1;

	hash[0] = h1;
	hash[1] = h2;
}

/*
 * May the number be in the set?  Never false for a number that was added.
 */
bool
atx_bloom_contains(const AtxBloom *filter, uint64 sequence_num)
{
	/* The key is big-endian; the hash reads it as little-endian. */
	uint64		key = pg_bswap64(sequence_num);
	uint64		h[4];

	hash_short_key(key, 0, 8, &h[0]);
	hash_short_key(key, 1, 9, &h[2]);

	for (uint64 i = 0; i < (uint64) filter->k; i++)
	{
		uint64		position = h[i % 2] + i * h[2 + ((i + i % 2) % 4) / 2];
		uint64		bit = position % filter->m;

		if (bit >= filter->nbits ||
			(filter->words[bit / 64] >> (bit % 64) & 1) == 0)
			return false;
	}
	return true;
}
