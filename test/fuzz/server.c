/*
 * server.c
 *	  What src/ical uses of the server, over malloc: for fuzzing it alone.
 */
#include "postgres.h"

#include <stddef.h>
#include <stdlib.h>

#include "server.h"

#undef qsort

/* A chunk, in the list of those that are not freed yet. */
typedef struct Chunk
{
	struct Chunk *before;
	struct Chunk *after;
	max_align_t memory[];
} Chunk;

static Chunk head = { &head, &head };

static Chunk *
chunk_of(void *pointer)
{
	return (Chunk *) ((char *) pointer - offsetof(Chunk, memory));
}

static void *
link_chunk(Chunk *chunk)
{
	if (chunk == NULL)
		abort();
	chunk->before = &head;
	chunk->after = head.after;
	head.after->before = chunk;
	head.after = chunk;
	return chunk->memory;
}

static Chunk *
unlink_chunk(void *pointer)
{
	Chunk *chunk = chunk_of(pointer);

	chunk->before->after = chunk->after;
	chunk->after->before = chunk->before;
	return chunk;
}

void
server_reset(void)
{
	while (head.after != &head)
		pfree(head.after->memory);
}

void *
palloc(Size size)
{
	return link_chunk(malloc(offsetof(Chunk, memory) + size));
}

void *
palloc0(Size size)
{
	void *chunk = palloc(size);

	memset(chunk, 0, size);
	return chunk;
}

void *
palloc_extended(Size size, int flags pg_attribute_unused())
{
	return palloc(size);
}

void *
repalloc(void *pointer, Size size)
{
	return link_chunk(
		realloc(unlink_chunk(pointer), offsetof(Chunk, memory) + size));
}

void
pfree(void *pointer)
{
	free(unlink_chunk(pointer));
}

void
pg_qsort(void *base, size_t nel, size_t elsize,
		 int (*cmp)(const void *, const void *))
{
	qsort(base, nel, elsize, cmp);
}
