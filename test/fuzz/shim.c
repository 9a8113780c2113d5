/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  As much of the server as the fuzzed sources call.
 *
 * Every palloc is a malloc of its own, so that the address sanitizer sees its
 * bounds; what a run has allocated is freed after it, as by a memory context.
 * An ERROR jumps back to shim_run(), after its texts have been formatted.
 * Internal errors, deep recursion and requests for memory that the server
 * would refuse are defects: no input may lead there.
 *
 * What is not the server's: conversion between encodings (this server's is
 * UTF8), and toasted values.  Character sets, the JSON parser, StringInfo and
 * formatting come from PostgreSQL's own libraries.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sanitizer/asan_interface.h>
#include <setjmp.h>

#include "access/detoast.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/settings.h"
#include "shim.h"

/* The server allows 2 MB; with sanitizers frames are several times larger. */
#define MAX_STACK	(512 * 1024)

/* Before the bytes of an allocation, out of reach of everything else. */
typedef struct Chunk
{
	struct Chunk *prev;
	struct Chunk *next;
	Size		size;
	Size		unused;			/* keeps what follows aligned */
} Chunk;

MemoryContext CurrentMemoryContext = NULL;
volatile sig_atomic_t InterruptPending = false;
int			atx_max_message_size = 1024 * 1024;

static Chunk *chunks = NULL;
static Size allocated;
static Size peak;
static char *stack_base;
static sigjmp_buf handler;
static int	sqlstate;
static int	level;

/*
 * Stop: this is what the fuzzer looks for.
 */
void
shim_defect(const char *what)
{
	fprintf(stderr, "defect: %s\n", what);
	abort();
}

/*
 * Run code that may raise an error; what it allocated is gone afterwards.
 */
ShimResult
shim_run(void (*code) (void *argument), void *argument)
{
	ShimResult	result;

	stack_base = __builtin_frame_address(0);
	allocated = peak = 0;
	sqlstate = 0;
	if (sigsetjmp(handler, 0) == 0)
		code(argument);

	result.sqlstate = sqlstate;
	result.peak = peak;
	while (chunks != NULL)
		pfree(chunks + 1);
	return result;
}

/* ---------------------------------------------------------------- memory */

static void
shut(Chunk *chunk)
{
	ASAN_POISON_MEMORY_REGION(chunk, sizeof(*chunk));
}

static void
open_up(Chunk *chunk)
{
	ASAN_UNPOISON_MEMORY_REGION(chunk, sizeof(*chunk));
}

static void
link_chunk(Chunk *chunk)
{
	chunk->prev = NULL;
	chunk->next = chunks;
	if (chunks != NULL)
	{
		open_up(chunks);
		chunks->prev = chunk;
		shut(chunks);
	}
	chunks = chunk;
	allocated += chunk->size;
	peak = Max(peak, allocated);
}

static void
unlink_chunk(Chunk *chunk)
{
	if (chunk->next != NULL)
	{
		open_up(chunk->next);
		chunk->next->prev = chunk->prev;
		shut(chunk->next);
	}
	if (chunk->prev == NULL)
		chunks = chunk->next;
	else
	{
		open_up(chunk->prev);
		chunk->prev->next = chunk->next;
		shut(chunk->prev);
	}
	allocated -= chunk->size;
}

void *
palloc_extended(Size size, int flags)
{
	Chunk	   *chunk;

	if (!AllocSizeIsValid(size) &&
		((flags & MCXT_ALLOC_HUGE) == 0 || !AllocHugeSizeIsValid(size)))
		shim_defect("invalid memory alloc request size");
	chunk = malloc(sizeof(Chunk) + size);
	if (chunk == NULL)
		shim_defect("out of memory");
	chunk->size = size;
	link_chunk(chunk);
	shut(chunk);
	if (flags & MCXT_ALLOC_ZERO)
		memset(chunk + 1, 0, size);
	return chunk + 1;
}

void
pfree(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	open_up(chunk);
	unlink_chunk(chunk);
	free(chunk);
}

void *
repalloc(void *pointer, Size size)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;
	void	   *result = palloc_extended(size, 0);

	open_up(chunk);
	size = Min(size, chunk->size);
	shut(chunk);
	memcpy(result, pointer, size);
	pfree(pointer);
	return result;
}

void *
palloc(Size size)
{
	return palloc_extended(size, 0);
}

void *
palloc0(Size size)
{
	return palloc_extended(size, MCXT_ALLOC_ZERO);
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return palloc_extended(size, 0);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return palloc_extended(size, MCXT_ALLOC_ZERO);
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	return palloc_extended(size, flags);
}

char *
pnstrdup(const char *in, Size len)
{
	char	   *out;

	len = strnlen(in, len);
	out = palloc(len + 1);
	memcpy(out, in, len);
	out[len] = '\0';
	return out;
}

char *
pstrdup(const char *in)
{
	return pnstrdup(in, strlen(in));
}

/* ---------------------------------------------------------------- errors */

bool
errstart(int elevel, const char *domain)
{
	level = elevel;
	sqlstate = ERRCODE_INTERNAL_ERROR;
	return elevel >= ERROR;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	if (level > ERROR)
		shim_defect("an error above ERROR");
	if (ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INTERNAL_ERROR)
		shim_defect("an internal error");
	siglongjmp(handler, 1);
}

int
errcode(int code)
{
	sqlstate = code;
	return 0;
}

/* The text is not kept, but every argument has been read. */
static int
format(const char *fmt, va_list args)
{
	char		formatted[1024];

	(void) vsnprintf(formatted, sizeof(formatted), fmt, args);
	return 0;
}

#define FORMATTER(name) \
int \
name(const char *fmt,...) \
{ \
	va_list		args; \
\
	va_start(args, fmt); \
	format(fmt, args); \
	va_end(args); \
	return 0; \
}

FORMATTER(errmsg)
FORMATTER(errmsg_internal)
FORMATTER(errdetail)
FORMATTER(errdetail_internal)
FORMATTER(errhint)

void
ExceptionalCondition(AtxAssertParameters)
{
	fprintf(stderr, "%s:%d: ", filename, line);
	shim_defect(condition);
}

/* ---------------------------------------------------------------- others */

void
ProcessInterrupts(void)
{
}

void
check_stack_depth(void)
{
	char	   *here = __builtin_frame_address(0);

	if (stack_base - here > MAX_STACK)
		shim_defect("recursion goes too deep");
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

char *
pg_any_to_server(const char *s, int len, int encoding)
{
	Assert(encoding == PG_UTF8);
	return unconstify(char *, s);
}

char *
pg_server_to_any(const char *s, int len, int encoding)
{
	Assert(encoding == PG_UTF8);
	return unconstify(char *, s);
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	return datum;
}

Size
toast_raw_datum_size(Datum value)
{
	return VARSIZE_ANY_EXHDR(DatumGetPointer(value)) + VARHDRSZ;
}

/* Good enough for a hint in a message. */
int
varstr_levenshtein(const char *source, int slen, const char *target, int tlen,
				   int ins_c, int del_c, int sub_c, bool trusted)
{
	return abs(slen - tlen);
}
