/* weights/picklemachine.h -- the inside of the pickle machine, for pickle.c (opcodes), picklemachine.c (memory
 * and stack) and pickleglobals.c (what names mean). Everybody else uses pickle.h. */
#ifndef WEIGHTS_PICKLEMACHINE_H
#define WEIGHTS_PICKLEMACHINE_H

#include "weights/pickle.h"

typedef struct pickle_chunk pickle_chunk;

struct pickle {
    const char *what;
    const uint8_t *data, *at, *end, *opcode;
    bool script;
    pickle_chunk *chunks;
    size_t memory, objects;
    pickle_value **stack; /* NULL entries are marks */
    size_t stack_count, stack_room;
    pickle_value **memo;
    size_t memo_room, memoised; /* memoised: number of entries in use, the next index of MEMOIZE */
    pickle_value *root, *storages;
};

/* A new value, or NULL with *st and err set. */
pickle_value *pickle_new(pickle *p, pickle_kind kind, cn_status *st, cn_error *err);
/* Zeroed bytes that live as long as p, or NULL with *st and err set. */
void *pickle_bytes(pickle *p, size_t size, cn_status *st, cn_error *err);
CN_MUST_CHECK cn_status pickle_append(pickle *p, pickle_value *list, pickle_value *item, cn_error *err);
/* "FILE: damaged pickle at byte N: reason", N being the opcode at hand. */
cn_status pickle_bad(const pickle *p, const char *reason, cn_error *err);
#ifdef __clang_analyzer__ /* as in base/check.h: the result is no CN_OK */
#define pickle_bad(p, reason, err) ((void)(pickle_bad)((p), (reason), (err)), CN_EFORMAT)
#endif
/* Makes room for `need` entries, at most limit; new ones are NULL. */
CN_MUST_CHECK cn_status pickle_grow(pickle *p, pickle_value ***array, size_t *room, size_t need, size_t limit,
                                    const char *name, cn_error *err);

/* NULL pushes a mark. */
CN_MUST_CHECK cn_status pickle_push(pickle *p, pickle_value *v, cn_error *err);
/* The value on top; a mark there, or nothing, is damage. */
CN_MUST_CHECK cn_status pickle_top(pickle *p, pickle_value **v, cn_error *err);
CN_MUST_CHECK cn_status pickle_pop(pickle *p, pickle_value **v, cn_error *err);
/* Takes everything above the latest mark, and the mark, off the stack; the items stay readable in place until the
 * next push. */
CN_MUST_CHECK cn_status pickle_pop_mark(pickle *p, pickle_value ***items, size_t *count, cn_error *err);

CN_MUST_CHECK cn_status pickle_find_global(pickle *p, pickle_value **out, const char *module,
                                           size_t module_length, const char *name, size_t name_length,
                                           cn_error *err);
/* function(arguments), as the pickle's REDUCE asks; builds a value, never calls anything. */
CN_MUST_CHECK cn_status pickle_reduce(pickle *p, pickle_value **out, const pickle_value *function,
                                      const pickle_value *arguments, cn_error *err);
/* A persistent id ('storage', type, key, location, numel). */
CN_MUST_CHECK cn_status pickle_persistent(pickle *p, pickle_value **out, const pickle_value *id,
                                          cn_error *err);

#endif
