/* weights/torchtensors.c -- names and checks the tensors of a PyTorch pickle. */
#include "weights/torchtensors.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Modules deeper than this are no CLIP; a cycle ends here too. */
#define MAX_MODULE_DEPTH 64
/* Attributes looked at in all; a few hundred modules with twenty each are usual. Stops "a billion laughs". */
#define MAX_ATTRIBUTES ((size_t)4 << 20)

typedef struct walk {
    cn_weights *w;
    const pickle *p;
    storage_finder find;
    void *context;
    size_t steps;
    char path[CN_MAX_TENSOR_NAME + 1]; /* of the module at hand, with a trailing point */
} walk;

/* Do all elements lie within `numel` elements of storage? */
static bool layout_fits(const pickle_layout *l, int64_t count, int64_t numel)
{
    if (l->offset < 0 || l->offset > numel)
        return false;
    if (count == 0)
        return true;
    int64_t last = l->offset;
    for (int i = 0; i < l->ndim; i++) {
        int64_t reach;
        if (l->stride[i] < 0 || __builtin_mul_overflow(l->shape[i] - 1, l->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return last < numel;
}

static cn_status add_tensor(walk *k, const char *name, size_t length, const pickle_value *v, cn_error *err)
{
    cn_status st = CN_OK;
    const pickle_layout *l = v->as.tensor.layout;
    const pickle_storage *s = v->as.tensor.storage->as.storage;
    const char *what = pickle_what(k->p);
    int shown = length < 100 ? (int)length : 100;
    CN_CHECK(s->known, CN_EUNSUPPORTED,
             "%s: tensor %.*s has a complex, quantised or untyped storage, which is not read", what, shown,
             name);
    CN_CHECK(
        !s->view, CN_EUNSUPPORTED,
        "%s: tensor %.*s is a view of another storage; load the file with PyTorch and torch.save it again",
        what, shown, name);
    cn_tensor t = {.dtype = s->dtype, .ndim = l->ndim};
    memcpy(t.shape, l->shape, sizeof t.shape);
    memcpy(t.stride, l->stride, sizeof t.stride);
    CN_TRY(weights_shape(&t, name, length, what, err));
    const uint8_t *data = NULL;
    size_t size = 0, bytes = cn_dtype_size(t.dtype);
    CN_TRY(k->find(k->context, s, &data, &size, err));
    CN_CHECK((uint64_t)s->numel <= size / bytes, CN_EFORMAT,
             "%s: storage %.*s of tensor %.*s claims %lld elements of %zu bytes, but has %zu bytes", what,
             s->key_length < 100 ? (int)s->key_length : 100, s->key, shown, name, (long long)s->numel, bytes,
             size);
    CN_CHECK(layout_fits(l, t.count, s->numel), CN_EFORMAT,
             "%s: tensor %.*s reaches beyond its storage of %lld elements", what, shown, name,
             (long long)s->numel);
    /* A small file must not claim a huge tensor by strides of zero: readers allocate what count says. */
    CN_CHECK(
        t.count <= s->numel, CN_EUNSUPPORTED,
        "%s: tensor %.*s is stretched over its storage (%lld elements from %lld); save a contiguous copy",
        what, shown, name, (long long)t.count, (long long)s->numel);
    if (t.count == 0)
        memset(t.stride, 0, sizeof t.stride);
    t.data = data + (size_t)l->offset * bytes;
    CN_TRY(weights_add(k->w, name, length, &t, what, err));
done:
    return st;
}

/* ---- state dicts ---- */

/* The value of a text key, or NULL. */
static const pickle_value *dict_find(const pickle_value *dict, const char *key)
{
    for (uint32_t i = 0; i + 1 < dict->as.list.count; i += 2)
        if (pickle_is(dict->as.list.items[i], key))
            return dict->as.list.items[i + 1];
    return NULL;
}

static bool has_tensor(const pickle_value *dict)
{
    for (uint32_t i = 1; i < dict->as.list.count; i += 2)
        if (dict->as.list.items[i]->kind == PICKLE_TENSOR)
            return true;
    return false;
}

/* The state dict itself, or the one inside a training checkpoint. */
static const pickle_value *find_state_dict(const pickle_value *root)
{
    static const char *const keys[] = {"state_dict", "model_state_dict", "model"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const pickle_value *inner = dict_find(root, keys[i]);
        if (inner && inner->kind == PICKLE_DICT && has_tensor(inner))
            return inner;
    }
    return root;
}

/* Entries that are no tensors (extra state, counters) are passed over. */
static cn_status add_dict(walk *k, const pickle_value *dict, cn_error *err)
{
    cn_status st = CN_OK;
    for (uint32_t i = 0; i + 1 < dict->as.list.count; i += 2) {
        const pickle_value *key = dict->as.list.items[i], *value = dict->as.list.items[i + 1];
        if (value->kind != PICKLE_TENSOR)
            continue;
        CN_CHECK(key->kind == PICKLE_STRING, CN_EFORMAT,
                 "%s: the state dict has a tensor whose key is no text", pickle_what(k->p));
        CN_TRY(add_tensor(k, key->as.string.text, key->as.string.length, value, err));
    }
done:
    return st;
}

/* ---- TorchScript ---- */

/* Depth is at most MAX_MODULE_DEPTH, so recursion is safe. */
static cn_status add_module(walk *k, const pickle_value *module, size_t prefix, int depth, cn_error *err)
{
    cn_status st = CN_OK;
    const char *what = pickle_what(k->p);
    CN_CHECK(depth < MAX_MODULE_DEPTH, CN_ELIMIT, "%s: modules are nested deeper than %d", what,
             MAX_MODULE_DEPTH);
    for (uint32_t i = 0; i + 1 < module->as.list.count; i += 2) {
        const pickle_value *key = module->as.list.items[i], *value = module->as.list.items[i + 1];
        CN_CHECK(++k->steps <= MAX_ATTRIBUTES, CN_ELIMIT, "%s: more than %zu module attributes", what,
                 MAX_ATTRIBUTES);
        if (value->kind != PICKLE_TENSOR && value->kind != PICKLE_OBJECT)
            continue;
        CN_CHECK(key->kind == PICKLE_STRING, CN_EFORMAT, "%s: a module's attribute has no name", what);
        size_t length = key->as.string.length;
        CN_CHECK(length < sizeof k->path - prefix - 1, CN_ELIMIT,
                 "%s: a tensor's name has more than %d bytes", what, CN_MAX_TENSOR_NAME);
        memcpy(k->path + prefix, key->as.string.text, length);
        if (value->kind == PICKLE_TENSOR) {
            CN_TRY(add_tensor(k, k->path, prefix + length, value, err));
        } else {
            k->path[prefix + length] = '.';
            CN_TRY(add_module(k, value, prefix + length + 1, depth + 1, err));
        }
    }
done:
    return st;
}

cn_status torchtensors_add(cn_weights *w, const pickle *p, storage_finder find, void *context, cn_error *err)
{
    cn_status st = CN_OK;
    walk *k = cn_calloc(1, sizeof *k);
    const pickle_value *root = pickle_root(p);
    CN_CHECK(k, CN_ENOMEM, "%s: out of memory", pickle_what(p));
    k->w = w;
    k->p = p;
    k->find = find;
    k->context = context;
    if (root->kind == PICKLE_DICT)
        CN_TRY(add_dict(k, find_state_dict(root), err));
    else if (root->kind == PICKLE_OBJECT)
        CN_TRY(add_module(k, root, 0, 0, err));
    else
        CN_CHECK(false, CN_EUNSUPPORTED,
                 "%s: the file holds no state dict; save one with torch.save(model.state_dict(), ...)",
                 pickle_what(p));
done:
    cn_free(k);
    return st;
}
