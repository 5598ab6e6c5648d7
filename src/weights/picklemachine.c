/* weights/picklemachine.c -- memory, values and stack of the data-only pickle machine, with their limits. */
#include "weights/picklemachine.h"

#include "base/memory.h"

#include <string.h>

#define CHUNK ((size_t)64 << 10) /* bytes */
struct pickle_chunk {
    pickle_chunk *next;
    size_t fill, size;
    /* the bytes follow */
};

cn_status(pickle_bad)(const pickle *p, const char *reason, cn_error *err)
{
    return cn_fail(err, CN_EFORMAT, "%s: damaged pickle at byte %zu: %s", p->what,
                   (size_t)(p->opcode - p->data), reason);
}

const char *pickle_what(const pickle *p)
{
    return p->what;
}

pickle_value *pickle_root(const pickle *p)
{
    return p->root;
}

pickle_value *pickle_storages(const pickle *p)
{
    return p->storages;
}

bool pickle_is(const pickle_value *v, const char *text)
{
    return v->kind == PICKLE_STRING && v->as.string.length == strlen(text) &&
           memcmp(v->as.string.text, text, v->as.string.length) == 0;
}

/* ---- memory ---- */

void *pickle_bytes(pickle *p, size_t size, cn_status *st, cn_error *err)
{
    size = (size + 15) & ~(size_t)15;
    if (!p->chunks || p->chunks->size - p->chunks->fill < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        if (room > PICKLE_MAX_MEMORY - p->memory) {
            *st = cn_fail(err, CN_ELIMIT, "%s: the pickle needs more than %zu bytes", p->what,
                          PICKLE_MAX_MEMORY);
            return NULL;
        }
        pickle_chunk *c = cn_calloc(1, sizeof *c + 16 + room);
        if (!c) {
            *st = cn_fail(err, CN_ENOMEM, "%s: out of memory", p->what);
            return NULL;
        }
        c->size = room;
        c->next = p->chunks;
        p->chunks = c;
        p->memory += room;
    }
    uint8_t *base = (uint8_t *)(p->chunks + 1);
    base += -(uintptr_t)base & 15;
    void *bytes = base + p->chunks->fill;
    p->chunks->fill += size;
    return bytes;
}

pickle_value *pickle_new(pickle *p, pickle_kind kind, cn_status *st, cn_error *err)
{
    if (p->objects == PICKLE_MAX_OBJECTS) {
        *st = cn_fail(err, CN_ELIMIT, "%s: the pickle builds more than %zu values", p->what,
                      PICKLE_MAX_OBJECTS);
        return NULL;
    }
    pickle_value *v = pickle_bytes(p, sizeof *v, st, err);
    if (v) {
        v->kind = (uint8_t)kind;
        p->objects++;
    }
    return v;
}

cn_status pickle_append(pickle *p, pickle_value *list, pickle_value *item, cn_error *err)
{
    cn_status st = CN_OK;
    if (list->as.list.count == list->as.list.room) {
        /* The old items stay in their chunk: at most as much again as the new ones. */
        uint32_t room = list->as.list.room ? 2 * list->as.list.room : 4;
        pickle_value **grown = pickle_bytes(p, room * sizeof *grown, &st, err);
        if (!grown)
            return st;
        if (list->as.list.count)
            memcpy(grown, list->as.list.items, list->as.list.count * sizeof *grown);
        list->as.list.items = grown;
        list->as.list.room = room;
    }
    list->as.list.items[list->as.list.count++] = item;
    return st;
}

cn_status pickle_grow(pickle *p, pickle_value ***array, size_t *room, size_t need, size_t limit,
                      const char *name, cn_error *err)
{
    if (need <= *room)
        return CN_OK;
    if (need > limit)
        return cn_fail(err, CN_ELIMIT, "%s: the pickle's %s needs more than %zu entries", p->what, name,
                       limit);
    size_t size = *room ? *room : 256;
    while (size < need)
        size *= 2;
    pickle_value **grown = cn_reallocarray(*array, size, sizeof *grown);
    if (!grown)
        return cn_fail(err, CN_ENOMEM, "%s: out of memory", p->what);
    memset(grown + *room, 0, (size - *room) * sizeof *grown);
    *array = grown;
    *room = size;
    return CN_OK;
}

void pickle_free(pickle *p)
{
    if (!p)
        return;
    while (p->chunks) {
        pickle_chunk *next = p->chunks->next;
        cn_free(p->chunks);
        p->chunks = next;
    }
    cn_free(p->stack);
    cn_free(p->memo);
    cn_free(p);
}

/* ---- stack ---- */

cn_status pickle_push(pickle *p, pickle_value *v, cn_error *err)
{
    cn_status st =
        pickle_grow(p, &p->stack, &p->stack_room, p->stack_count + 1, PICKLE_MAX_STACK, "stack", err);
    if (st == CN_OK)
        p->stack[p->stack_count++] = v;
    return st;
}

cn_status pickle_top(pickle *p, pickle_value **v, cn_error *err)
{
    *v = NULL;
    if (p->stack_count == 0 || p->stack[p->stack_count - 1] == NULL)
        return pickle_bad(p, "the stack is empty", err);
    *v = p->stack[p->stack_count - 1];
    return CN_OK;
}

cn_status pickle_pop(pickle *p, pickle_value **v, cn_error *err)
{
    cn_status st = pickle_top(p, v, err);
    if (st == CN_OK)
        p->stack_count--;
    return st;
}

cn_status pickle_pop_mark(pickle *p, pickle_value ***items, size_t *count, cn_error *err)
{
    size_t at = p->stack_count;
    *count = 0;
    while (at > 0 && p->stack[at - 1] != NULL)
        at--;
    if (at == 0)
        return pickle_bad(p, "there is no mark on the stack", err);
    *items = p->stack + at;
    *count = p->stack_count - at;
    p->stack_count = at - 1;
    return CN_OK;
}
