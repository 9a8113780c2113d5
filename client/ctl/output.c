/*-------------------------------------------------------------------------
 *
 * output.c
 *	  Rows for people (aligned, on a terminal), for scripts (columns separated by tabs)
 *	  and for programs (JSON).
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "ctl.h"

/* Types of pg_type that are shown otherwise than as text. */
#define BOOL_TYPE	16
#define BYTEA_TYPE	17
#define INT8_TYPE	20
#define INT2_TYPE	21
#define INT4_TYPE	23
#define FLOAT8_TYPE	701
#define JSON_TYPE	114
#define JSONB_TYPE	3802

/* The length of the UTF-8 character that begins there, 0 if none does. */
static size_t
character(const unsigned char *bytes, size_t length)
{
	size_t		size = bytes[0] < 0x80 ? 1 : bytes[0] < 0xC2 ? 0 : bytes[0] < 0xE0 ? 2 :
	bytes[0] < 0xF0 ? 3 : bytes[0] < 0xF5 ? 4 : 0;

	if (size == 0 || size > length)
		return 0;
	for (size_t i = 1; i < size; i++)
	{
		if ((bytes[i] & 0xC0) != 0x80)
			return 0;
	}
	if ((bytes[0] == 0xE0 && bytes[1] < 0xA0) || (bytes[0] == 0xED && bytes[1] > 0x9F) ||
		(bytes[0] == 0xF0 && bytes[1] < 0x90) || (bytes[0] == 0xF4 && bytes[1] > 0x8F))
		return 0;
	return size;
}

/* Whether bytes are text in UTF-8, without a zero. */
bool
ctl_is_text(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	for (size_t i = 0, size; i < length; i += size)
	{
		size = character(at + i, length - i);
		if (size == 0 || at[i] == 0)
			return false;
	}
	return true;
}

/* "\x" and digits; to be freed. */
char *
ctl_hex(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	char	   *hex = malloc(length * 2 + 3);

	if (hex == NULL)
		abort();
	strcpy(hex, "\\x");
	for (size_t i = 0; i < length; i++)
		sprintf(hex + 2 + i * 2, "%02x", at[i]);
	return hex;
}

/* Text as it is, other bytes as digits. */
void
ctl_print_bytes(FILE *out, const void *bytes, size_t length)
{
	char	   *hex;

	if (ctl_is_text(bytes, length))
	{
		(void) fwrite(bytes, 1, length, out);
		return;
	}
	hex = ctl_hex(bytes, length);
	fputs(hex, out);
	free(hex);
}

void
ctl_json_string(FILE *out, const char *string, size_t length)
{
	const unsigned char *at = (const unsigned char *) string;

	fputc('"', out);
	for (size_t i = 0, size; i < length; i += size)
	{
		size = character(at + i, length - i);
		if (size == 0)
		{
			/* Not UTF-8: an encoding of the server's messages. */
			fputs("\\ufffd", out);
			size = 1;
		}
		else if (at[i] == '"' || at[i] == '\\')
			fprintf(out, "\\%c", at[i]);
		else if (at[i] == '\n')
			fputs("\\n", out);
		else if (at[i] < 0x20 || at[i] == 0x7F)
			fprintf(out, "\\u%04x", at[i]);
		else
			(void) fwrite(at + i, 1, size, out);
	}
	fputc('"', out);
}

/* "name": text, or "name_hex": digits. */
void
ctl_json_bytes(FILE *out, const char *name, const void *bytes, size_t length)
{
	bool text = ctl_is_text(bytes, length);
	char	   *hex;

	fprintf(out, "\"%s%s\": ", name, text ? "" : "_hex");
	if (text)
		ctl_json_string(out, bytes, length);
	else
	{
		hex = ctl_hex(bytes, length);
		fprintf(out, "\"%s\"", hex + 2);
		free(hex);
	}
}

/*
 * A value as text, to be freed: bytes that are text as such, true and false
 * as words, null as nothing.
 */
static char *
cell(const Ctl *ctl, const PGresult *result, int row, int column)
{
	const char *value = PQgetvalue(result, row, column);
	unsigned char *bytes;
	size_t		length;
	char	   *text = NULL;

	if (PQgetisnull(result, row, column))
		value = "";
	else if (PQftype(result, column) == BOOL_TYPE)
		value = value[0] == 't' ? "yes" : "no";
	else if (PQftype(result, column) == BYTEA_TYPE && ctl->values[OPT_HEX] == NULL)
	{
		bytes = PQunescapeBytea((const unsigned char *) value, &length);
		if (bytes != NULL && ctl_is_text(bytes, length))
			text = strndup((char *) bytes, length);

		PQfreemem(bytes);
	}
	if (text == NULL)
		text = strdup(value);

	if (text == NULL)
		abort();
	return text;
}

static void
json_value(const PGresult *result, int row, int column)
{
	const char *value = PQgetvalue(result, row, column);
	const char *name = PQfname(result, column);
	unsigned char *bytes;
	size_t		length;

	if (PQftype(result, column) == BYTEA_TYPE && !PQgetisnull(result, row, column))
	{
		bytes = PQunescapeBytea((const unsigned char *) value, &length);
		if (bytes == NULL)
			abort();
		ctl_json_bytes(stdout, name, bytes, length);
		PQfreemem(bytes);
		return;
	}
	printf("\"%s\": ", name);
	if (PQgetisnull(result, row, column))
		fputs("null", stdout);
	else
	{
		switch (PQftype(result, column))
		{
			case BOOL_TYPE:
				fputs(value[0] == 't' ? "true" : "false", stdout);
				break;
			case INT8_TYPE:
			case INT2_TYPE:
			case INT4_TYPE:
			case JSON_TYPE:
			case JSONB_TYPE:
				fputs(value, stdout);
				break;
			default:
				ctl_json_string(stdout, value, strlen(value));
				break;
		}
	}
}

static void
print_json(const PGresult *result, bool single)
{
	if (!single)
		fputs("[", stdout);
	for (int row = 0; row < PQntuples(result); row++)
	{
		fputs(row == 0 ? "{" : ",\n {", stdout);
		for (int column = 0; column < PQnfields(result); column++)
		{
			if (column > 0)
				fputs(", ", stdout);
			json_value(result, row, column);
		}
		fputs("}", stdout);
	}
	if (single && PQntuples(result) == 0)
		fputs("null", stdout);
	fputs(single ? "\n" : "]\n", stdout);
}

/* How many columns of the terminal a text takes. */
static int
width(const char *text)
{
	size_t		count = mbstowcs(NULL, text, 0);

	return (int) (count == (size_t) -1 ? strlen(text) : count);
}

static bool
is_numeric(const PGresult *result, int column)
{
	Oid			type = PQftype(result, column);

	return type == INT8_TYPE || type == INT4_TYPE || type == INT2_TYPE || type == FLOAT8_TYPE;
}

static void
pad(int count)
{
	for (int i = 0; i < count; i++)
		fputc(' ', stdout);
}

static void
print_cell(const char *text, int room, bool right, bool last)
{
	int			gap = room - width(text);

	if (right)
		pad(gap);
	fputs(text, stdout);
	if (!right && !last)
		pad(gap);
	fputs(last ? "\n" : "  ", stdout);
}

static void
print_aligned(const Ctl *ctl, const PGresult *result)
{
	int			columns = PQnfields(result);
	int		   *room = calloc((size_t) columns, sizeof(int));

	if (room == NULL)
		abort();
	for (int row = -1; row < PQntuples(result); row++)
	{
		for (int column = 0; column < columns; column++)
		{
			char	   *text = row < 0 ? strdup(PQfname(result, column)) :
			cell(ctl, result, row, column);

			if (width(text) > room[column])
				room[column] = width(text);
			free(text);
		}
	}
	for (int row = -1; row < PQntuples(result); row++)
	{
		for (int column = 0; column < columns; column++)
		{
			char	   *text = row < 0 ? strdup(PQfname(result, column)) :
			cell(ctl, result, row, column);

			print_cell(text, room[column], is_numeric(result, column), column == columns - 1);
			free(text);
		}
	}
	free(room);
}

/* One line for each column. */
static void
print_vertical(const Ctl *ctl, const PGresult *result)
{
	int			room = 0;

	for (int column = 0; column < PQnfields(result); column++)
	{
		if (width(PQfname(result, column)) > room)
			room = width(PQfname(result, column));
	}
	for (int column = 0; column < PQnfields(result); column++)
	{
		char	   *text = cell(ctl, result, 0, column);

		print_cell(PQfname(result, column), room, false, false);
		puts(text);
		free(text);
	}
}

/* Separated by tabs; what would break the lines is escaped. */
static void
print_plain(const Ctl *ctl, const PGresult *result)
{
	bool		scalar = PQnfields(result) == 1 && PQntuples(result) == 1;

	for (int row = 0; row < PQntuples(result); row++)
	{
		for (int column = 0; column < PQnfields(result); column++)
		{
			char	   *text = cell(ctl, result, row, column);

			if (column > 0)
				fputc('\t', stdout);
			for (const char *at = text; *at != '\0'; at++)
			{
				if (!scalar && (*at == '\t' || *at == '\n' || *at == '\\'))
					printf("\\%c", *at == '\t' ? 't' : *at == '\n' ? 'n' : '\\');
				else
					fputc(*at, stdout);
			}
			free(text);
		}
		fputc('\n', stdout);
	}
}

/* Show the rows of an answer; single: there is one at most, by nature. */
void
ctl_print(const Ctl *ctl, const PGresult *result, bool single)
{
	if (ctl->json)
		print_json(result, single);
	else if (!isatty(STDOUT_FILENO) || (single && PQnfields(result) == 1))
		print_plain(ctl, result);
	else if (single && PQntuples(result) == 1)
		print_vertical(ctl, result);
	else
		print_aligned(ctl, result);
}
