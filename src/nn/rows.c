/* nn/rows.c -- see rows.h. Values are read as float32 and stored in the value's own type; loops are
 * plain, so that any compiler can vectorise them. */
#include "nn/rows.h"

#include <math.h>
#include <string.h>

void rows_affine(void *y, const void *x, int64_t rows, int64_t c, nn_dtype t, const float *scale, const float *shift)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < c; i++)
            nn_store(y, r * c + i, t, scale[i] * nn_load(x, r * c + i, t) + shift[i]);
}

void rows_relu(void *y, const void *x, int64_t count, nn_dtype t)
{
    for (int64_t i = 0; i < count; i++) {
        const float v = nn_load(x, i, t);
        nn_store(y, i, t, v > 0 ? v : 0);
    }
}

void rows_add(void *y, const void *a, const void *b, int64_t count, nn_dtype t)
{
    for (int64_t i = 0; i < count; i++)
        nn_store(y, i, t, nn_load(a, i, t) + nn_load(b, i, t));
}

/* Mean of the cells by channel, in float32 with one accumulator a channel. */
static void store_mean(void *y, int64_t y_at, const void *x, int64_t x_at, int64_t cells, int64_t c, nn_dtype t,
                       const float *position)
{
    enum { CHUNK = 256 };
    float sum[CHUNK];
    for (int64_t from = 0; from < c; from += CHUNK) {
        const int64_t width = c - from < CHUNK ? c - from : CHUNK;
        memset(sum, 0, sizeof sum);
        for (int64_t i = 0; i < cells; i++)
            for (int64_t j = 0; j < width; j++)
                sum[j] += nn_load(x, x_at + i * c + from + j, t);
        for (int64_t j = 0; j < width; j++)
            nn_store(y, y_at + from + j, t, sum[j] / (float)cells + position[from + j]);
    }
}

void rows_tokens(void *y, const void *x, int64_t n, int64_t cells, int64_t c, nn_dtype t, const float *first,
                 const float *position)
{
    for (int64_t b = 0; b < n; b++) {
        const int64_t out = b * (cells + 1) * c, in = b * cells * c;
        if (first) {
            for (int64_t j = 0; j < c; j++)
                nn_store(y, out + j, t, first[j] + position[j]);
        } else {
            store_mean(y, out, x, in, cells, c, t, position);
        }
        for (int64_t i = 0; i < cells * c; i++)
            nn_store(y, out + c + i, t, nn_load(x, in + i, t) + position[c + i]);
    }
}

void rows_lookup(void *y, const int32_t *id, int64_t count, int64_t c, nn_dtype t, const float *table)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < c; j++)
            nn_store(y, i * c + j, t, table[(int64_t)id[i] * c + j]);
}

void rows_position(void *y, const void *x, int64_t n, int64_t block, nn_dtype t, const float *position)
{
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < block; i++)
            nn_store(y, b * block + i, t, nn_load(x, b * block + i, t) + position[i]);
}

void rows_causal_mask(void *scores, int64_t count, int64_t length, nn_dtype t)
{
    for (int64_t m = 0; m < count; m++)
        for (int64_t row = 0; row < length; row++)
            for (int64_t col = row + 1; col < length; col++)
                nn_store(scores, (m * length + row) * length + col, t, -INFINITY);
}

void rows_edit(void *y, int64_t n, int64_t rows, int64_t c, nn_dtype t, const nn_edit *e)
{
    for (int64_t b = 0; b < n; b++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < c; i++) {
                const int64_t at = (b * rows + r) * c + i;
                nn_store(y, at, t, nn_edited(e, b, c, i, nn_load(y, at, t)));
            }
}
