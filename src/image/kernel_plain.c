/* image/kernel_plain.c -- the bicubic resize in plain C: what every other kernel must equal, byte for byte,
 * and what runs where none of them can. First along x to a picture of bytes, then along y, as Pillow does. */
#include "image/resize.h"

#include "base/check.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>

static uint8_t clip8(int32_t sum)
{
    const int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Inlined for each number of channels, so that the sums stay in registers. */
static inline void filter_pixels(const uint8_t *row, const int channels, const resize_axis *x, uint8_t *out)
{
    for (int i = 0; i < x->count; i++, out += channels) {
        const uint8_t *from = row + (size_t)channels * (size_t)x->start[i];
        const int32_t *weight = x->weight + (size_t)i * (size_t)x->taps;
        int32_t sum[4] = {WEIGHT_HALF, WEIGHT_HALF, WEIGHT_HALF, WEIGHT_HALF};
        for (int t = 0; t < x->length[i]; t++, from += channels)
            for (int c = 0; c < channels; c++)
                sum[c] += from[c] * weight[t];
        for (int c = 0; c < channels; c++)
            out[c] = clip8(sum[c]);
    }
}

static void filter_row(const uint8_t *row, int channels, const resize_axis *x, uint8_t *out)
{
    switch (channels) {
    case 1: filter_pixels(row, 1, x, out); break;
    case 3: filter_pixels(row, 3, x, out); break;
    default: filter_pixels(row, 4, x, out);
    }
}

/* The source rows first .. end-1 are all that the outputs use. */
static void rows_in_use(const resize_axis *y, int *first, int *end)
{
    *first = INT32_MAX;
    *end = 0;
    for (int i = 0; i < y->count; i++) {
        *first = y->start[i] < *first ? y->start[i] : *first;
        *end = y->start[i] + y->length[i] > *end ? y->start[i] + y->length[i] : *end;
    }
}

cn_status resample_channels(const uint8_t *pixels, int channels, int width, int height, const resize_axis *x,
                            const resize_axis *y, uint8_t *out, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t columns = (size_t)x->count * (size_t)channels;
    uint8_t *rows = NULL;
    int first, end;
    rows_in_use(y, &first, &end);
    assert(channels >= 1 && channels <= 4 && end <= height);
    (void)height;
    size_t bytes = 0;
    if (cn_mul_size(columns, (size_t)(end - first), &bytes))
        rows = cn_malloc(bytes);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %d rows of %d px", end - first, x->count);
    for (int r = first; r < end; r++)
        filter_row(pixels + (size_t)r * (size_t)width * (size_t)channels, channels, x,
                   rows + (size_t)(r - first) * columns);
    for (int i = 0; i < y->count; i++) {
        const uint8_t *from = rows + (size_t)(y->start[i] - first) * columns;
        const int32_t *weight = y->weight + (size_t)i * (size_t)y->taps;
        for (size_t c = 0; c < columns; c++) {
            int32_t sum = WEIGHT_HALF;
            for (int t = 0; t < y->length[i]; t++)
                sum += from[(size_t)t * columns + c] * weight[t];
            *out++ = clip8(sum);
        }
    }
done:
    cn_free(rows);
    return st;
}

cn_status resample_plain(const uint8_t *rgb, int width, int height, const resize_axis *x,
                         const resize_axis *y, uint8_t *out, cn_error *err)
{
    return resample_channels(rgb, 3, width, height, x, y, out, err);
}

/* Pillow's ROUND_UP: halves away from zero. */
static int32_t round_half_away(double v)
{
    return (int32_t)(v >= 0.0 ? floor(v + 0.5) : -floor(-v + 0.5));
}

cn_status resample_grey16(const uint16_t *grey, int width, const resize_axis *x, const resize_axis *y,
                          int32_t *out, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t columns = (size_t)x->count;
    int32_t *rows = NULL;
    int first, end;
    rows_in_use(y, &first, &end);
    size_t samples = 0;
    if (cn_mul_size(columns, (size_t)(end - first), &samples))
        rows = cn_reallocarray(NULL, samples, sizeof *rows);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %d rows of %d px", end - first, x->count);
    for (int r = first; r < end; r++)
        for (size_t i = 0; i < columns; i++) {
            const uint16_t *from = grey + (size_t)r * (size_t)width + (size_t)x->start[i];
            const double *weight = x->exact + i * (size_t)x->taps;
            double sum = 0.0;
            for (int t = 0; t < x->length[i]; t++)
                sum += from[t] * weight[t];
            rows[(size_t)(r - first) * columns + i] = round_half_away(sum);
        }
    for (int i = 0; i < y->count; i++) {
        const int32_t *from = rows + (size_t)(y->start[i] - first) * columns;
        const double *weight = y->exact + (size_t)i * (size_t)y->taps;
        for (size_t c = 0; c < columns; c++) {
            double sum = 0.0;
            for (int t = 0; t < y->length[i]; t++)
                sum += from[(size_t)t * columns + c] * weight[t];
            *out++ = round_half_away(sum);
        }
    }
done:
    cn_free(rows);
    return st;
}

static bool always(void)
{
    return true;
}

const resize_kernel resize_plain = {.name = "plain C", .supported = always};
