/* base/memory.h -- allocation that tests can make fail, and size arithmetic that cannot wrap.
 * Everything that the library allocates goes through here; cn_free accepts NULL. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *cn_malloc(size_t size);
void *cn_calloc(size_t count, size_t size);
void *cn_realloc(void *old, size_t size);
/* realloc to count*size bytes; NULL (old untouched) when the product wraps or memory is short. */
void *cn_reallocarray(void *old, size_t count, size_t size);
char *cn_strdup(const char *text);
/* Exactly `length` bytes and a zero; unlike strndup it does not stop at a zero in between. */
char *cn_strndup(const char *text, size_t length);
void cn_free(void *p);

/* Zeroed memory on a 64-byte boundary, for tensors; release with cn_free. */
void *cn_aligned_calloc(size_t size);

/* Zeroed memory on a 64-byte boundary straight from the system, for tensors of any size: freeing gives
 * the pages back at once (malloc may keep them), untouched pages cost nothing, and large blocks ask for
 * huge pages, which spare the address translation of big weights. Release with cn_pages_free only. */
void *cn_pages_calloc(size_t size);
void cn_pages_free(void *p);

/* Tests: let the n-th allocation from now on fail (1 = the next one), and all after it when `forever`.
 * n = 0 turns failure off. Thread-local. */
void cn_memory_fail_at(size_t n, bool forever);
/* Number of allocations of this thread since the last cn_memory_fail_at. */
size_t cn_memory_count(void);

/* *out = a*b or a+b; false when the result does not fit. */
static inline bool cn_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool cn_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

#endif
