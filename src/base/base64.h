/*-------------------------------------------------------------------------
 *
 * base64.h
 *	  Bytes as text, as documents carry them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ATX_BASE64_H
#define ATX_BASE64_H

typedef enum AtxBase64Style
{
	ATX_BASE64_URL_PADDED,		/* alphabet of URLs, padding required */
	ATX_BASE64_ANY				/* either alphabet, with padding or without */
} AtxBase64Style;

extern int64 atx_base64_decode(const char *text, size_t len,
							   AtxBase64Style style, uint8 *result);
extern char *atx_base64_encode(const uint8 *bytes, size_t len, size_t *text_len);

#endif							/* ATX_BASE64_H */
