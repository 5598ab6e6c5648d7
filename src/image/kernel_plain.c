/* image/kernel_plain.c -- the bicubic resize in plain C: what every other kernel must equal, byte for byte,
 * and what runs where none of them can. First along x to a picture of bytes, then along y, as Pillow does. */
#include "image/resize.h"

#include "base/check.h"
#include "base/memory.h"

static uint8_t clip8(int32_t sum)
{
    const int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void filter_row(const uint8_t *row, const resize_axis *x, uint8_t *out)
{
    for (int i = 0; i < x->count; i++, out += 3) {
        const uint8_t *from = row + 3 * (size_t)x->start[i];
        const int32_t *weight = x->weight + (size_t)i * (size_t)x->taps;
        int32_t r = WEIGHT_HALF, g = WEIGHT_HALF, b = WEIGHT_HALF;
        for (int t = 0; t < x->length[i]; t++, from += 3) {
            r += from[0] * weight[t];
            g += from[1] * weight[t];
            b += from[2] * weight[t];
        }
        out[0] = clip8(r);
        out[1] = clip8(g);
        out[2] = clip8(b);
    }
}

cn_status resample_plain(const uint8_t *rgb, int width, int height, const resize_axis *x,
                         const resize_axis *y, uint8_t *out, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t columns = (size_t)x->count * 3;
    uint8_t *rows = NULL;
    int first = height, end = 0; /* the source rows that count */
    for (int i = 0; i < y->count; i++) {
        first = y->start[i] < first ? y->start[i] : first;
        end = y->start[i] + y->length[i] > end ? y->start[i] + y->length[i] : end;
    }
    size_t bytes = 0;
    if (cn_mul_size(columns, (size_t)(end - first), &bytes))
        rows = cn_malloc(bytes);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %d rows of %d px", end - first, x->count);
    for (int r = first; r < end; r++)
        filter_row(rgb + (size_t)r * (size_t)width * 3, x, rows + (size_t)(r - first) * columns);
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

static bool always(void)
{
    return true;
}

const resize_kernel resize_plain = {.name = "plain C", .supported = always};
