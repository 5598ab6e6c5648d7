/* file/dtype.c -- sizes and names of element types. Lives below the weights room because numpy
 * arrays need them too. */
#include "clipneuron/weights.h"

static const struct {
    const char *name;
    size_t size; /* bytes */
} dtypes[] = {
    [CN_DTYPE_F32] = {"f32", 4},   [CN_DTYPE_F16] = {"f16", 2}, [CN_DTYPE_BF16] = {"bf16", 2},
    [CN_DTYPE_F64] = {"f64", 8},   [CN_DTYPE_I64] = {"i64", 8}, [CN_DTYPE_I32] = {"i32", 4},
    [CN_DTYPE_I16] = {"i16", 2},   [CN_DTYPE_I8] = {"i8", 1},   [CN_DTYPE_U8] = {"u8", 1},
    [CN_DTYPE_BOOL] = {"bool", 1},
};

size_t cn_dtype_size(cn_dtype dtype)
{
    return (size_t)dtype < sizeof dtypes / sizeof dtypes[0] ? dtypes[dtype].size : 0;
}

const char *cn_dtype_name(cn_dtype dtype)
{
    return (size_t)dtype < sizeof dtypes / sizeof dtypes[0] ? dtypes[dtype].name : "unknown";
}
