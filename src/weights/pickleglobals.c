/* weights/pickleglobals.c -- the names that a pickle may use, and the plain values that stand for what Python
 * would build. This table is the whole of what a checkpoint can ask for. */
#include "weights/picklemachine.h"

#include <string.h>

static const struct {
    const char *module, *name;
    pickle_global which;
    cn_dtype dtype;
} globals[] = {
    {"collections", "OrderedDict", GLOBAL_DICT, 0},
    {"collections", "defaultdict", GLOBAL_DEFAULTDICT, 0},
    {"builtins", "dict", GLOBAL_DICT, 0},
    {"builtins", "set", GLOBAL_SET, 0},
    {"__builtin__", "set", GLOBAL_SET, 0},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR_V2, 0},
    {"torch._utils", "_rebuild_tensor", GLOBAL_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", GLOBAL_PARAMETER, 0},
    {"torch", "FloatStorage", GLOBAL_STORAGE, CN_DTYPE_F32},
    {"torch", "HalfStorage", GLOBAL_STORAGE, CN_DTYPE_F16},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, CN_DTYPE_BF16},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, CN_DTYPE_F64},
    {"torch", "LongStorage", GLOBAL_STORAGE, CN_DTYPE_I64},
    {"torch", "IntStorage", GLOBAL_STORAGE, CN_DTYPE_I32},
    {"torch", "ShortStorage", GLOBAL_STORAGE, CN_DTYPE_I16},
    {"torch", "CharStorage", GLOBAL_STORAGE, CN_DTYPE_I8},
    {"torch", "ByteStorage", GLOBAL_STORAGE, CN_DTYPE_U8},
    {"torch", "BoolStorage", GLOBAL_STORAGE, CN_DTYPE_BOOL},
    {"torch", "ComplexFloatStorage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch", "ComplexDoubleStorage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch", "QInt8Storage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch", "QUInt8Storage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch", "QInt32Storage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch.storage", "UntypedStorage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch.storage", "_UntypedStorage", GLOBAL_STORAGE_UNKNOWN, 0},
    {"torch", "Size", GLOBAL_SIZE, 0},
    /* What training scripts leave beside the state dict. */
    {"torch", "device", GLOBAL_OPAQUE, 0},
    {"torch.serialization", "_get_layout", GLOBAL_OPAQUE, 0},
    {"torch", "float32", GLOBAL_OPAQUE, 0},
    {"torch", "float16", GLOBAL_OPAQUE, 0},
    {"torch", "bfloat16", GLOBAL_OPAQUE, 0},
    {"torch", "float64", GLOBAL_OPAQUE, 0},
    {"torch", "int64", GLOBAL_OPAQUE, 0},
    {"argparse", "Namespace", GLOBAL_OPAQUE, 0},
    {"_codecs", "encode", GLOBAL_OPAQUE, 0},
    {"numpy", "dtype", GLOBAL_OPAQUE, 0},
    {"numpy", "ndarray", GLOBAL_OPAQUE, 0},
    {"numpy.core.multiarray", "scalar", GLOBAL_OPAQUE, 0},
    {"numpy.core.multiarray", "_reconstruct", GLOBAL_OPAQUE, 0},
    {"numpy._core.multiarray", "scalar", GLOBAL_OPAQUE, 0},
    {"numpy._core.multiarray", "_reconstruct", GLOBAL_OPAQUE, 0},
};

/* Names that only a TorchScript archive may use, besides its own classes. */
static const char *const script_functions[] = {
    "build_intlist",    "build_floatlist",  "build_boollist",
    "build_doublelist", "build_tensorlist", "restore_type_tag",
};

static bool equals(const char *text, size_t length, const char *known)
{
    return strlen(known) == length && memcmp(text, known, length) == 0;
}

static bool known_global(const pickle *p, const char *module, size_t module_length, const char *name,
                         size_t name_length, pickle_global *which, cn_dtype *dtype)
{
    static const char script[] = "__torch__";
    *dtype = 0;
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        if (equals(module, module_length, globals[i].module) && equals(name, name_length, globals[i].name)) {
            *which = globals[i].which;
            *dtype = globals[i].dtype;
            return true;
        }
    }
    if (!p->script)
        return false;
    if (equals(module, module_length, "torch.jit._pickle")) {
        *which = GLOBAL_FIRST;
        for (size_t i = 0; i < sizeof script_functions / sizeof script_functions[0]; i++)
            if (equals(name, name_length, script_functions[i]))
                return true;
    }
    *which = GLOBAL_CLASS;
    return module_length >= sizeof script - 1 && memcmp(module, script, sizeof script - 1) == 0 &&
           (module_length == sizeof script - 1 || module[sizeof script - 1] == '.');
}

cn_status pickle_find_global(pickle *p, pickle_value **out, const char *module, size_t module_length,
                             const char *name, size_t name_length, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_global which;
    cn_dtype dtype;
    CN_CHECK(known_global(p, module, module_length, name, name_length, &which, &dtype), CN_EUNSUPPORTED,
             "%s: refused: the pickle asks for %.*s.%.*s; only state dicts are read "
             "(torch.save(model.state_dict(), ...))",
             p->what, module_length < 100 ? (int)module_length : 100, module,
             name_length < 100 ? (int)name_length : 100, name);
    *out = pickle_new(p, PICKLE_GLOBAL, &st, err);
    if (*out) {
        (*out)->as.global.which = (uint8_t)which;
        (*out)->as.global.dtype = dtype;
    }
done:
    return st;
}

/* A tuple or list of at most CN_MAX_TENSOR_DIMS whole numbers. */
static cn_status read_dims(pickle *p, const pickle_value *v, int64_t dims[CN_MAX_TENSOR_DIMS], int *ndim,
                           cn_error *err)
{
    cn_status st = CN_OK;
    if (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST)
        CN_TRY(pickle_bad(p, "a tensor's size or stride is no tuple", err));
    CN_CHECK(v->as.list.count <= CN_MAX_TENSOR_DIMS, CN_ELIMIT,
             "%s: a tensor has %u dimensions, more than %d", p->what, v->as.list.count, CN_MAX_TENSOR_DIMS);
    *ndim = (int)v->as.list.count;
    for (int i = 0; i < *ndim; i++) {
        if (v->as.list.items[i]->kind != PICKLE_INT)
            CN_TRY(pickle_bad(p, "a tensor's size or stride is no whole number", err));
        dims[i] = v->as.list.items[i]->as.integer;
    }
done:
    return st;
}

/* (storage, offset, size, stride, ...) */
static cn_status make_tensor(pickle *p, pickle_value **out, const pickle_value *arguments, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value **items = arguments->as.list.items;
    int strides = 0;
    if (arguments->as.list.count < 4 || items[1]->kind != PICKLE_INT ||
        (items[0]->kind != PICKLE_STORAGE && items[0]->kind != PICKLE_OPAQUE))
        CN_TRY(pickle_bad(p, "a tensor is not made from a storage, offset, size and stride", err));
    if (items[0]->kind == PICKLE_OPAQUE) {
        *out = pickle_new(p, PICKLE_OPAQUE, &st, err);
        goto done;
    }
    *out = pickle_new(p, PICKLE_TENSOR, &st, err);
    if (!*out)
        goto done;
    pickle_layout *layout = pickle_bytes(p, sizeof *layout, &st, err);
    if (!layout)
        goto done;
    (*out)->as.tensor.storage = items[0];
    (*out)->as.tensor.layout = layout;
    layout->offset = items[1]->as.integer;
    CN_TRY(read_dims(p, items[2], layout->shape, &layout->ndim, err));
    CN_TRY(read_dims(p, items[3], layout->stride, &strides, err));
    if (strides != layout->ndim)
        CN_TRY(pickle_bad(p, "a tensor has more or fewer strides than dimensions", err));
done:
    return st;
}

/* OrderedDict(), or OrderedDict([(key, value), ...]) as Python 2 wrote it. */
static cn_status make_dict(pickle *p, pickle_value **out, const pickle_value *arguments, cn_error *err)
{
    cn_status st = CN_OK;
    *out = pickle_new(p, PICKLE_DICT, &st, err);
    if (!*out || arguments->as.list.count == 0)
        goto done;
    const pickle_value *pairs = arguments->as.list.items[0];
    if (pairs->kind != PICKLE_LIST && pairs->kind != PICKLE_TUPLE)
        CN_TRY(pickle_bad(p, "an OrderedDict is not made from a list", err));
    for (uint32_t i = 0; i < pairs->as.list.count; i++) {
        const pickle_value *pair = pairs->as.list.items[i];
        if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->as.list.count != 2)
            CN_TRY(pickle_bad(p, "an OrderedDict is not made from pairs", err));
        CN_TRY(pickle_append(p, *out, pair->as.list.items[0], err));
        CN_TRY(pickle_append(p, *out, pair->as.list.items[1], err));
    }
done:
    return st;
}

/* The first argument itself, where Python would wrap it. */
static cn_status first(pickle *p, pickle_value **out, const pickle_value *arguments, cn_error *err)
{
    if (arguments->as.list.count == 0)
        return pickle_bad(p, "an argument is missing", err);
    *out = arguments->as.list.items[0];
    return CN_OK;
}

cn_status pickle_reduce(pickle *p, pickle_value **out, const pickle_value *function,
                        const pickle_value *arguments, cn_error *err)
{
    cn_status st = CN_OK;
    switch ((pickle_global)function->as.global.which) {
    case GLOBAL_TENSOR_V2:
    case GLOBAL_TENSOR: return make_tensor(p, out, arguments, err);
    case GLOBAL_DICT: return make_dict(p, out, arguments, err);
    case GLOBAL_DEFAULTDICT: /* its argument is the factory of default values */
        *out = pickle_new(p, PICKLE_DICT, &st, err);
        return st;
    case GLOBAL_PARAMETER:
    case GLOBAL_FIRST: return first(p, out, arguments, err);
    case GLOBAL_SET:
    case GLOBAL_SIZE:
        if (arguments->as.list.count > 0)
            return first(p, out, arguments, err);
        *out = pickle_new(p, function->as.global.which == GLOBAL_SET ? PICKLE_LIST : PICKLE_TUPLE, &st, err);
        return st;
    case GLOBAL_CLASS: *out = pickle_new(p, PICKLE_OBJECT, &st, err); return st;
    case GLOBAL_OPAQUE: *out = pickle_new(p, PICKLE_OPAQUE, &st, err); return st;
    case GLOBAL_STORAGE:
    case GLOBAL_STORAGE_UNKNOWN: break;
    }
    return pickle_bad(p, "a storage type is called", err);
}

cn_status pickle_persistent(pickle *p, pickle_value **out, const pickle_value *id, cn_error *err)
{
    cn_status st = CN_OK;
    pickle_value **items = id->as.list.items;
    if (id->kind != PICKLE_TUPLE || id->as.list.count < 5 || !pickle_is(items[0], "storage") ||
        items[1]->kind != PICKLE_GLOBAL || items[2]->kind != PICKLE_STRING || items[4]->kind != PICKLE_INT ||
        (items[1]->as.global.which != GLOBAL_STORAGE && items[1]->as.global.which != GLOBAL_STORAGE_UNKNOWN))
        CN_TRY(pickle_bad(p, "a persistent id does not name a storage", err));
    if (items[4]->as.integer < 0)
        CN_TRY(pickle_bad(p, "a storage has a negative size", err));
    *out = pickle_new(p, PICKLE_STORAGE, &st, err);
    if (!*out)
        goto done;
    pickle_storage *storage = pickle_bytes(p, sizeof *storage, &st, err);
    if (!storage)
        goto done;
    storage->key = items[2]->as.string.text;
    storage->key_length = items[2]->as.string.length;
    storage->numel = items[4]->as.integer;
    storage->dtype = items[1]->as.global.dtype;
    storage->known = items[1]->as.global.which == GLOBAL_STORAGE;
    storage->view = id->as.list.count > 5 && items[5]->kind != PICKLE_NONE;
    (*out)->as.storage = storage;
    storage->next = p->storages;
    p->storages = *out;
done:
    return st;
}
