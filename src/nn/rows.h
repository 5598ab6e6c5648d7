/* nn/rows.h -- the small steps that need no library: element-wise and row-wise work on channels-last
 * values in float32 or bfloat16. Each is the fast program's version of an op of ops.h. */
#ifndef NN_ROWS_H
#define NN_ROWS_H

#include "nn/backend.h"
#include "nn/kernels.h"

static inline float nn_bf16_to_f32(uint16_t v)
{
    union { uint32_t u; float f; } bits = {(uint32_t)v << 16};
    return bits.f;
}

/* Round to nearest, ties to even; NaN stays NaN. */
static inline uint16_t nn_f32_to_bf16(float v)
{
    union { float f; uint32_t u; } bits = {v};
    if ((bits.u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits.u >> 16) | 0x40);
    return (uint16_t)((bits.u + 0x7fff + ((bits.u >> 16) & 1)) >> 16);
}

/* Value i of an array of type t. */
static inline float nn_load(const void *x, int64_t i, nn_dtype t)
{
    return t == NN_F32 ? ((const float *)x)[i] : nn_bf16_to_f32(((const uint16_t *)x)[i]);
}

static inline void nn_store(void *y, int64_t i, nn_dtype t, float v)
{
    if (t == NN_F32)
        ((float *)y)[i] = v;
    else
        ((uint16_t *)y)[i] = nn_f32_to_bf16(v);
}

/* y = scale[c] x + shift[c] over `rows` rows of c values; x may be y. */
void rows_affine(void *y, const void *x, int64_t rows, int64_t c, nn_dtype t, const float *scale, const float *shift);
/* In place or not: y may be x, and a. */
void rows_relu(void *y, const void *x, int64_t count, nn_dtype t);
void rows_add(void *y, const void *a, const void *b, int64_t count, nn_dtype t);
/* tokens (n, 1 + cells, c): first + position[0], then cells + position[1..]. first NULL: the mean of the cells. */
void rows_tokens(void *y, const void *x, int64_t n, int64_t cells, int64_t c, nn_dtype t, const float *first,
                 const float *position);
/* y[i] = table[id[i]] over `count` ids. */
void rows_lookup(void *y, const int32_t *id, int64_t count, int64_t c, nn_dtype t, const float *table);
/* y = x + position, repeated over n blocks of `block` values; y may be x. */
void rows_position(void *y, const void *x, int64_t n, int64_t block, nn_dtype t, const float *position);
/* Above the diagonal of each of `count` (length, length) matrices: a value that softmax turns to zero. */
void rows_causal_mask(void *scores, int64_t count, int64_t length, nn_dtype t);

/* y (n, rows, c) in place, as e says; e->values is not looked at. */
void rows_edit(void *y, int64_t n, int64_t rows, int64_t c, nn_dtype t, const nn_edit *e);

#endif
