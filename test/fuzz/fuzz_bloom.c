/*-------------------------------------------------------------------------
 *
 * fuzz_bloom.c
 *	  Bytes as the filter of a keep-alive.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/bloom.h"
#include "shim.h"

typedef struct Attempt
{
	const uint8 *data;
	size_t		len;
} Attempt;

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t len);

/*
 * What is well-formed can be asked about any number; what is not has a reason.
 */
static void
attempt(void *argument)
{
	static const uint64 numbers[] = {0, 1, 2, 42, INT64CONST(1) << 32,
	PG_INT64_MAX, PG_UINT64_MAX};
	const Attempt *input = argument;
	const char *problem;
	AtxBloom	filter;
	int			found = 0;

	if (!atx_bloom_parse(input->data, input->len, &filter, &problem))
	{
		if (problem == NULL)
			shim_defect("a filter is refused without a reason");
		return;
	}
	for (int i = 0; i < lengthof(numbers); i++)
		found += atx_bloom_contains(&filter, numbers[i]);
	if (filter.k == 0 && found != lengthof(numbers))
		shim_defect("a filter without positions does not contain everything");
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t len)
{
	Attempt		input = {data, len};
	ShimResult	result = shim_run(attempt, &input);

	if (result.sqlstate != 0)
		shim_defect("the parser raises an error");
	if (result.peak > 64 * 1024 + 16 * len)
		shim_defect("more memory than the filter's size explains");
	return 0;
}
