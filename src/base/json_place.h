/*-------------------------------------------------------------------------
 *
 * json_place.h
 *	  Where in a JSON document something stands, for error messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_JSON_PLACE_H
#define ATX_JSON_PLACE_H

/* One step from the value above; the document itself is NULL. */
typedef struct AtxJsonPlace
{
	const struct AtxJsonPlace *above;
	const char *field;			/* as the .proto file spells it, or NULL */
	const char *key;			/* of a map, or NULL */
	int			index;			/* in an array, if there is neither */
} AtxJsonPlace;

extern char *atx_json_place_text(const AtxJsonPlace *place);
extern char *atx_json_name(const char *field);
extern char *atx_json_clip(const char *text);

#endif							/* ATX_JSON_PLACE_H */
