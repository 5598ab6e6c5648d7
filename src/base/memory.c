/* base/memory.c -- malloc behind a switch that tests use to make the n-th allocation fail. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local size_t fail_at;      /* 0: never */
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
