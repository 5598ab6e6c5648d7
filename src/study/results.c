/* study/results.c -- lists of rows with the strings and bytes they point to, in one allocation. */
#include "study/reader.h"

#include "base/memory.h"

#include <stdint.h>
#include <string.h>

void *results_add(results *r, size_t size)
{
    r->size = size;
    if (r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        char *grown = cn_reallocarray(r->data, room, size);
        if (!grown)
            return NULL;
        r->data = grown;
        r->room = room;
    }
    void *row = r->data + r->n++ * size;
    memset(row, 0, size);
    return row;
}

const void *results_keep(results *r, const void *data, size_t size, bool *ok)
{
    size_t at = (r->used + 7) / 8 * 8; /* floats and doubles may follow text */
    if (size > SIZE_MAX / 4 || at + size > r->bytes_room) {
        size_t room = r->bytes_room ? 2 * r->bytes_room : 4096;
        while (size <= SIZE_MAX / 4 && room < at + size)
            room *= 2;
        char *grown = size > SIZE_MAX / 4 ? NULL : cn_realloc(r->bytes, room);
        if (!grown) {
            *ok = false;
            return NULL;
        }
        r->bytes = grown;
        r->bytes_room = room;
    }
    if (size)
        memcpy(r->bytes + at, data, size);
    r->used = at + size;
    return (const void *)(uintptr_t)(at + 1);
}

const char *results_text(results *r, sqlite3_stmt *q, int column, bool *ok)
{
    const unsigned char *text = sqlite3_column_text(q, column);
    return results_keep(r, text ? (const char *)text : "", text ? strlen((const char *)text) + 1 : 1, ok);
}

cn_status results_finish(results *r, const size_t *pointers, size_t n_pointers, void **out, size_t *n,
                         cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    *n = r->n;
    if (r->n == 0)
        goto done;
    size_t table = (r->n * r->size + 15) / 16 * 16;
    char *block = cn_malloc(table + r->used);
    CN_CHECK(block, CN_ENOMEM, "out of memory for %zu rows of a study", r->n);
    memcpy(block, r->data, r->n * r->size);
    if (r->used)
        memcpy(block + table, r->bytes, r->used);
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < n_pointers; k++) {
            char *where = block + i * r->size + pointers[k];
            const char *pointer;
            memcpy(&pointer, where, sizeof pointer);
            if (pointer) {
                pointer = block + table + ((uintptr_t)pointer - 1);
                memcpy(where, &pointer, sizeof pointer);
            }
        }
    *out = block;
done:
    results_discard(r);
    return st;
}

void results_discard(results *r)
{
    cn_free(r->data);
    cn_free(r->bytes);
    memset(r, 0, sizeof *r);
}
