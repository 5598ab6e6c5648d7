/* base/memory.c -- malloc behind a switch that tests use to make the n-th allocation fail. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Thread_local size_t fail_at; /* 0: never */
static _Thread_local bool fail_forever;
static _Thread_local size_t alloc_count;

void cn_memory_fail_at(size_t n, bool forever)
{
    fail_at = n;
    fail_forever = forever;
    alloc_count = 0;
}

size_t cn_memory_count(void)
{
    return alloc_count;
}

static bool must_fail(void)
{
    alloc_count++;
    if (fail_at == 0)
        return false;
    return fail_forever ? alloc_count >= fail_at : alloc_count == fail_at;
}

void *cn_malloc(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *cn_calloc(size_t count, size_t size)
{
    if (must_fail())
        return NULL;
    return count && size ? calloc(count, size) : calloc(1, 1);
}

void *cn_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : realloc(old, size ? size : 1);
}

void *cn_reallocarray(void *old, size_t count, size_t size)
{
    size_t total;
    return cn_mul_size(count, size, &total) ? cn_realloc(old, total) : NULL;
}

char *cn_strndup(const char *text, size_t length)
{
    char *copy = cn_malloc(length + 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *cn_strdup(const char *text)
{
    return cn_strndup(text, strlen(text));
}

void *cn_aligned_calloc(size_t size)
{
    if (must_fail() || size > SIZE_MAX - 64)
        return NULL;
    size_t rounded = size ? (size + 63) / 64 * 64 : 64;
    void *p = aligned_alloc(64, rounded);
    if (p)
        memset(p, 0, rounded);
    return p;
}

void cn_free(void *p)
{
    free(p);
}

/* The mapping's start and length, kept in the 64 bytes before the block. */
typedef struct pages_header {
    void *start;
    size_t length;
} pages_header;

#define PAGES_HEADER 64
#define HUGE_PAGE ((size_t)2 << 20)

void *cn_pages_calloc(size_t size)
{
    if (must_fail() || size > SIZE_MAX / 2)
        return NULL;
    const bool huge = size >= HUGE_PAGE;
    const size_t length = size + PAGES_HEADER + (huge ? HUGE_PAGE : 0);
    void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    uintptr_t block = (uintptr_t)start;
    if (huge) { /* so that every whole huge page of the block can be one */
        block = (block + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        madvise((void *)block, size + PAGES_HEADER, MADV_HUGEPAGE);
    }
    pages_header *header = (pages_header *)block;
    *header = (pages_header){start, length};
    return (char *)block + PAGES_HEADER;
}

void cn_pages_free(void *p)
{
    if (p) {
        const pages_header *header = (const pages_header *)((char *)p - PAGES_HEADER);
        munmap(header->start, header->length);
    }
}
