/*-------------------------------------------------------------------------
 *
 * base64.c
 *	  Bytes as text, as documents carry them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/base64.h"

static int
digit_value(char c, AtxBase64Style style)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-' || (c == '+' && style == ATX_BASE64_ANY))
		return 62;
	if (c == '_' || (c == '/' && style == ATX_BASE64_ANY))
		return 63;
	return -1;
}

/*
 * Decode base64; "result" has room for 3/4 of the text.  Returns the number
 * of bytes, or -1.  Bits left over at the end do not matter.
 */
int64
atx_base64_decode(const char *text, size_t len, AtxBase64Style style, uint8 *result)
{
	size_t		padding = 0;
	uint32		bits = 0;
	int			nbits = 0;
	int64		n = 0;

	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	if (len % 4 != 0 &&
		(style != ATX_BASE64_ANY || padding != 0 || len % 4 == 1))
		return -1;

	for (size_t i = 0; i < len - padding; i++)
	{
		int			value = digit_value(text[i], style);

		if (value < 0)
			return -1;
		bits = (bits << 6) | (uint32) value;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			result[n++] = (uint8) (bits >> nbits);
		}
	}
	return n;
}

/*
 * The bytes in base64, palloc'd: the standard alphabet, padded.
 */
char *
atx_base64_encode(const uint8 *bytes, size_t len, size_t *text_len)
{
	static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char	   *text = palloc((len + 2) / 3 * 4 + 1);
	char	   *out = text;

	for (size_t i = 0; i < len; i += 3)
	{
		size_t		here = Min(len - i, 3);
		uint32		bits = (uint32) bytes[i] << 16;

		if (here > 1)
			bits |= (uint32) bytes[i + 1] << 8;
		if (here > 2)
			bits |= bytes[i + 2];
		*out++ = digits[bits >> 18];
		*out++ = digits[(bits >> 12) & 63];
		*out++ = here > 1 ? digits[(bits >> 6) & 63] : '=';
		*out++ = here > 2 ? digits[bits & 63] : '=';
	}
	*out = '\0';
	*text_len = out - text;
	return text;
}
