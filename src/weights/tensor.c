/* weights/tensor.c -- reads a tensor's numbers, and the fingerprint over all of them. */
#include "base/check.h"
#include "base/memory.h"
#include "file/sha256.h"
#include "weights/collection.h"
#include "weights/half.h"

#include <string.h>

/* n numbers that lie `stride` elements apart. */
static void read_run(float *dst, const uint8_t *src, cn_dtype dtype, size_t n, size_t stride)
{
#define CONVERT(type)                                                  \
    for (size_t i = 0; i < n; i++) {                                   \
        type value;                                                    \
        memcpy(&value, src + i * stride * sizeof value, sizeof value); \
        dst[i] = (float)value;                                         \
    }                                                                  \
    break
    switch (dtype) {
    case CN_DTYPE_F32:
        if (stride == 1) {
            memcpy(dst, src, n * sizeof *dst);
            break;
        }
        CONVERT(float);
    case CN_DTYPE_F16:
        if (stride == 1)
            half_to_f32(dst, src, n);
        else
            for (size_t i = 0; i < n; i++)
                half_to_f32_ref(dst + i, src + 2 * i * stride, 1);
        break;
    case CN_DTYPE_BF16:
        if (stride == 1)
            bf16_to_f32(dst, src, n);
        else
            for (size_t i = 0; i < n; i++)
                bf16_to_f32(dst + i, src + 2 * i * stride, 1);
        break;
    case CN_DTYPE_F64: CONVERT(double);
    case CN_DTYPE_I64: CONVERT(int64_t);
    case CN_DTYPE_I32: CONVERT(int32_t);
    case CN_DTYPE_I16: CONVERT(int16_t);
    case CN_DTYPE_I8: CONVERT(int8_t);
    case CN_DTYPE_U8: CONVERT(uint8_t);
    case CN_DTYPE_BOOL:
        for (size_t i = 0; i < n; i++)
            dst[i] = src[i * stride] != 0;
        break;
    }
#undef CONVERT
}

/* The number of trailing dimensions that lie densely in row-major order, and their elements. */
static int dense_dims(const cn_tensor *t, int64_t *elements)
{
    int dims = 0;
    *elements = 1;
    for (int i = t->ndim; i-- > 0 && (t->stride[i] == *elements || t->shape[i] == 1); dims++)
        *elements *= t->shape[i];
    return dims;
}

/* Steps the indices of the first `dims` dimensions like an odometer; *offset follows, in elements. */
static void step(const cn_tensor *t, int dims, int64_t *index, int64_t *offset)
{
    for (int i = dims; i-- > 0;) {
        *offset += t->stride[i];
        if (++index[i] < t->shape[i])
            return;
        *offset -= t->stride[i] * t->shape[i];
        index[i] = 0;
    }
}

void cn_tensor_read_f32(const cn_tensor *t, float *dst)
{
    if (t->count == 0)
        return;
    int64_t run, stride = 1;
    int outer = t->ndim - dense_dims(t, &run);
    if (run == 1 && outer > 0) { /* transposed: run along the last dimension with its stride */
        outer--;
        run = t->shape[outer];
        stride = t->stride[outer];
    }
    size_t element = cn_dtype_size(t->dtype);
    int64_t index[CN_MAX_TENSOR_DIMS] = {0}, offset = 0;
    for (int64_t done = 0; done < t->count; done += run) {
        read_run(dst + done, (const uint8_t *)t->data + (size_t)offset * element, t->dtype, (size_t)run,
                 (size_t)stride);
        step(t, outer, index, &offset);
    }
}

/* The bytes in row-major order, whatever the strides. */
static cn_status hash_bytes(sha256 *s, const cn_tensor *t, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t piece[4096];
    size_t element = cn_dtype_size(t->dtype), fill = 0;
    int64_t run, offset = 0, index[CN_MAX_TENSOR_DIMS] = {0};
    int outer = t->ndim - dense_dims(t, &run);
    for (int64_t done = 0; done < t->count; done += run) {
        const uint8_t *src = (const uint8_t *)t->data + (size_t)offset * element;
        size_t bytes = (size_t)run * element;
        if (bytes > sizeof piece - fill) {
            CN_TRY(sha256_add(s, piece, fill, err));
            fill = 0;
        }
        if (bytes > sizeof piece) {
            CN_TRY(sha256_add(s, src, bytes, err));
        } else {
            memcpy(piece + fill, src, bytes);
            fill += bytes;
        }
        step(t, outer, index, &offset);
    }
    CN_TRY(sha256_add(s, piece, fill, err));
done:
    return st;
}

static cn_status hash_number(sha256 *s, int64_t number, cn_error *err)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> 8 * i);
    return sha256_add(s, bytes, sizeof bytes, err);
}

cn_status cn_weights_fingerprint(const cn_weights *w, char hex[65], cn_error *err)
{
    cn_status st = CN_OK;
    sha256 *s = NULL;
    CN_TRY(sha256_open(&s, err));
    for (size_t i = 0; i < w->count; i++) {
        const cn_tensor *t = w->by_name[i];
        const char *dtype = cn_dtype_name(t->dtype);
        CN_TRY(sha256_add(s, t->name, strlen(t->name) + 1, err));
        CN_TRY(sha256_add(s, dtype, strlen(dtype) + 1, err));
        CN_TRY(hash_number(s, t->ndim, err));
        for (int k = 0; k < t->ndim; k++)
            CN_TRY(hash_number(s, t->shape[k], err));
        CN_TRY(hash_bytes(s, t, err));
    }
    CN_TRY(sha256_hex(s, hex, err));
done:
    sha256_close(s);
    return st;
}
