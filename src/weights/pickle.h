/* weights/pickle.h -- a data-only machine for Python pickles (protocols 2 to 5).
 * It builds plain values: numbers, strings, tuples, lists, dicts, and descriptions of tensors and storages.
 * Nothing is imported or called: a global is a name from the table in pickleglobals.c that says which value the
 * machine builds in its place; every other name is refused, as is every opcode that state dicts do not use.
 * The machine does not recurse; values may form cycles, so who walks them must count steps. */
#ifndef WEIGHTS_PICKLE_H
#define WEIGHTS_PICKLE_H

#include "base/check.h"
#include "clipneuron/weights.h"

#include <stdbool.h>

/* Limits on what one pickle may build; docs/weights-formats.md says why each is enough. */
#define PICKLE_MAX_OBJECTS ((size_t)4 << 20)  /* values */
#define PICKLE_MAX_STACK ((size_t)1 << 20)    /* values and marks */
#define PICKLE_MAX_MEMO ((size_t)1 << 20)     /* entries, and the highest index */
#define PICKLE_MAX_MEMORY ((size_t)256 << 20) /* bytes for all values */

typedef struct pickle_value pickle_value;

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_LONG, /* more than 64 bits: its little-endian bytes are in text */
    PICKLE_FLOAT,
    PICKLE_STRING,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST, /* sets too */
    PICKLE_DICT, /* items alternate: key, value */
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_OBJECT, /* a TorchScript module: items are its attributes, key, value */
    PICKLE_OPAQUE  /* something harmless that no state dict needs, e.g. a device */
} pickle_kind;

typedef enum pickle_global {
    GLOBAL_DICT, /* collections.OrderedDict */
    GLOBAL_DEFAULTDICT,
    GLOBAL_SET,
    GLOBAL_TENSOR_V2,       /* torch._utils._rebuild_tensor_v2 */
    GLOBAL_TENSOR,          /* torch._utils._rebuild_tensor */
    GLOBAL_PARAMETER,       /* torch._utils._rebuild_parameter */
    GLOBAL_FIRST,           /* TorchScript's build_intlist and the like: the value is the first argument */
    GLOBAL_STORAGE,         /* torch.FloatStorage...; dtype says which */
    GLOBAL_STORAGE_UNKNOWN, /* torch.ComplexFloatStorage...: fine as long as no tensor of ours uses it */
    GLOBAL_SIZE,            /* torch.Size */
    GLOBAL_CLASS,           /* a TorchScript class */
    GLOBAL_OPAQUE
} pickle_global;

typedef struct pickle_storage {
    const char *key; /* borrowed from the pickle's bytes */
    size_t key_length;
    int64_t numel;
    cn_dtype dtype;
    bool known;          /* dtype is one that we have */
    bool view;           /* a window into another storage (very old files) */
    pickle_value *next;  /* all storages of a pickle, latest first */
    const uint8_t *data; /* for the reader of the container */
} pickle_storage;

struct pickle_value {
    uint8_t kind; /* pickle_kind */
    union {
        int64_t integer;
        double number;
        struct {
            const char *text; /* borrowed from the pickle's bytes; no zero at its end */
            size_t length;
        } string;
        struct {
            pickle_value **items;
            uint32_t count, room;
        } list;
        struct {
            uint8_t which; /* pickle_global */
            cn_dtype dtype;
        } global;
        pickle_storage *storage;
        struct {
            pickle_value *storage;
            struct pickle_layout *layout;
        } tensor;
    } as;
};

typedef struct pickle_layout {
    int64_t offset; /* in elements */
    int ndim;
    int64_t shape[CN_MAX_TENSOR_DIMS], stride[CN_MAX_TENSOR_DIMS];
} pickle_layout;

typedef struct pickle pickle;

/* Runs the pickle at data, whose bytes must outlive the values.
 * used: NULL, or where the number of bytes up to and including STOP goes.
 * script: whether TorchScript's own names are allowed. what: the file's name, borrowed while p lives. */
CN_MUST_CHECK cn_status pickle_run(pickle **out, const uint8_t *data, size_t size, size_t *used, bool script,
                                   const char *what, cn_error *err);
/* Accepts NULL. Frees all values. */
void pickle_free(pickle *p);
/* What STOP left; borrowed. */
pickle_value *pickle_root(const pickle *p);
/* The latest storage; the others hang on `next`. NULL when there is none. */
pickle_value *pickle_storages(const pickle *p);

/* The file name given to pickle_run. */
const char *pickle_what(const pickle *p);
bool pickle_is(const pickle_value *v, const char *text); /* a string equal to text? */

#endif
