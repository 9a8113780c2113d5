/*-------------------------------------------------------------------------
 *
 * json_number.c
 *	  Whole numbers of JSON documents.
 *
 * A number may be written with a fraction and an exponent as long as it is
 * whole: 1e3, 1.50e1.  It is read digit by digit, without arithmetic that
 * could be made to take long or to lose digits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/int.h"

#include "base/json_number.h"

/* Exponents beyond this make no difference any more. */
#define MAX_EXPONENT	100000000

/* The parts of a number as JSON spells it. */
typedef struct Number
{
	bool		negative;
	const char *whole;
	int			nwhole;
	const char *fraction;
	int			nfraction;
	int			exponent;
} Number;

static int
count_digits(const char *c)
{
	return (int) strspn(c, "0123456789");
}

static bool
take_exponent(const char *c, int *exponent)
{
	bool		negative = (*c == '-');
	int			digits;

	if (*c == '-' || *c == '+')
		c++;
	digits = count_digits(c);
	if (digits == 0 || c[digits] != '\0')
		return false;
	*exponent = 0;
	for (; *c != '\0' && *exponent < MAX_EXPONENT; c++)
		*exponent = *exponent * 10 + (*c - '0');
	if (negative)
		*exponent = -*exponent;
	return true;
}

/* Is the text a number by JSON's grammar? */
static bool
split(const char *text, Number *number)
{
	const char *c = text;

	memset(number, 0, sizeof(*number));
	number->negative = (*c == '-');
	if (number->negative)
		c++;
	number->whole = c;
	number->nwhole = count_digits(c);
	if (number->nwhole == 0 || (*c == '0' && number->nwhole > 1))
		return false;
	c += number->nwhole;
	if (*c == '.')
	{
		number->fraction = ++c;
		number->nfraction = count_digits(c);
		if (number->nfraction == 0)
			return false;
		c += number->nfraction;
	}
	if (*c == 'e' || *c == 'E')
		return take_exponent(c + 1, &number->exponent);
	return *c == '\0';
}

/* The number without its sign; as atx_json_parse_integer. */
static const char *
magnitude(const Number *number, uint64 *value)
{
	int			ndigits = number->nwhole + number->nfraction;
	int			end = number->nwhole + number->exponent;

	*value = 0;
	for (int i = 0; i < Max(ndigits, end); i++)
	{
		int			digit = i < number->nwhole ? number->whole[i] - '0' :
		i < ndigits ? number->fraction[i - number->nwhole] - '0' : 0;

		if (i >= ndigits && *value == 0)
			break;
		if (i >= end && digit != 0)
			return "is not a whole number";
		if (i < end && (pg_mul_u64_overflow(*value, 10, value) ||
						pg_add_u64_overflow(*value, digit, value)))
			return "is out of range";
	}
	return NULL;
}

/*
 * The whole number that a text means, negative ones in two's complement.
 * Returns NULL, or what is wrong with it, as the end of a sentence: it is
 * none, or not between min and max.
 */
const char *
atx_json_parse_integer(const char *text, int64 min, uint64 max, uint64 *value)
{
	Number		number;
	const char *problem;

	if (!split(text, &number))
		return "is not a number";
	problem = magnitude(&number, value);
	if (problem != NULL)
		return problem;
	/* -min would overflow, were it computed in the signed type. */
	if (*value > (number.negative ? -(uint64) min : max))
		return "is out of range";
	if (number.negative)
		*value = -*value;
	return NULL;
}
