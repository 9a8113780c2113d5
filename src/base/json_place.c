/*-------------------------------------------------------------------------
 *
 * json_place.c
 *	  Where in a JSON document something stands, for error messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/json.h"

#include "base/json_place.h"

/* Longest piece of a document that a message shows. */
#define MAX_SHOWN	64

/*
 * The name of a field in JSON, palloc'd: lowerCamelCase.
 */
char *
atx_json_name(const char *field)
{
	char	   *name = palloc(strlen(field) + 1);
	char	   *out = name;
	bool		raise = false;

	for (const char *c = field; *c != '\0'; c++)
	{
		if (*c != '_')
			*out++ = raise ? pg_ascii_toupper((unsigned char) *c) : *c;
		raise = (*c == '_');
	}
	*out = '\0';
	return name;
}

/*
 * A text from a document as messages show it, palloc'd: not at any length.
 */
char *
atx_json_clip(const char *text)
{
	int			len = strlen(text);

	if (len <= MAX_SHOWN)
		return pstrdup(text);
	return psprintf("%.*s...", pg_mbcliplen(text, len, MAX_SHOWN), text);
}

static void
append_place(StringInfo text, const AtxJsonPlace *place)
{
	if (place == NULL)
	{
		appendStringInfoChar(text, '$');
		return;
	}
	append_place(text, place->above);
	if (place->field != NULL)
		appendStringInfo(text, ".%s", atx_json_name(place->field));
	else if (place->key != NULL)
	{
		appendStringInfoChar(text, '.');
		escape_json(text, atx_json_clip(place->key));
	}
	else
		appendStringInfo(text, "[%d]", place->index);
}

/*
 * The place as a path of the jsonpath language, palloc'd.
 */
char *
atx_json_place_text(const AtxJsonPlace *place)
{
	StringInfoData text;

	initStringInfo(&text);
	append_place(&text, place);
	return text.data;
}
