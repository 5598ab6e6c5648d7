/* image/resize.c -- Pillow's bicubic resize with antialiasing.
 * Weights follow Pillow's ImagingResample: Keys' cubic with a = -0.5, stretched when shrinking, normalised in double,
 * then rounded to integers; see docs/images.md. Only what the crop keeps is computed. Not: the inner loops. */
#include "image/resize.h"

#include "base/check.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define CUBIC_A (-0.5)
#define CUBIC_SUPPORT 2.0

static double cubic(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * CUBIC_A;
    return 0.0;
}

void axis_free(resize_axis *axis)
{
    cn_free(axis->start);
    cn_free(axis->length);
    cn_free(axis->weight);
    cn_free(axis->exact);
    *axis = (resize_axis){0};
}

static cn_status make(resize_axis *axis, int size, float in0, float in1, int64_t total, int64_t first,
                      int count, bool keep_exact, cn_error *err)
{
    cn_status st = CN_OK;
    const double scale = (double)(in1 - in0) / (double)total, stretch = scale < 1.0 ? 1.0 : scale;
    const double support = CUBIC_SUPPORT * stretch, shrink = 1.0 / stretch;
    double *scratch = NULL;
    size_t weights = 0;
    *axis = (resize_axis){.count = count, .taps = (int)ceil(support) * 2 + 1, .copied_from = -1};
    if (in1 - in0 == (float)total && in0 == floorf(in0))
        axis->copied_from = (int)in0 + (int)first;
    if (axis->taps > size) /* no window is longer than the picture */
        axis->taps = size;
    axis->start = cn_reallocarray(NULL, (size_t)count, sizeof(int));
    axis->length = cn_reallocarray(NULL, (size_t)count, sizeof(int));
    if (cn_mul_size((size_t)count, (size_t)axis->taps, &weights))
        axis->weight = cn_reallocarray(NULL, weights, sizeof(int32_t));
    scratch = cn_reallocarray(NULL, keep_exact ? weights : (size_t)axis->taps, sizeof(double));
    if (keep_exact)
        axis->exact = scratch;
    CN_CHECK(axis->start && axis->length && axis->weight && scratch, CN_ENOMEM,
             "out of memory for the resize weights");
    for (int i = 0; i < count; i++) {
        const double center = in0 + ((double)(first + i) + 0.5) * scale;
        int from = (int)(center - support + 0.5), to = (int)(center + support + 0.5);
        from = from < 0 ? 0 : from;
        to = to > size ? size : to;
        double sum = 0.0, *exact = keep_exact ? scratch + (size_t)i * (size_t)axis->taps : scratch;
        for (int t = 0; t < to - from; t++)
            sum += exact[t] = cubic((t + from - center + 0.5) * shrink);
        int32_t *weight = axis->weight + (size_t)i * (size_t)axis->taps;
        for (int t = 0; t < to - from; t++) {
            exact[t] = sum != 0.0 ? exact[t] / sum : exact[t];
            const double w = exact[t] * (1 << WEIGHT_BITS);
            weight[t] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        axis->start[i] = from;
        axis->length[i] = to - from;
    }
done:
    if (!keep_exact)
        cn_free(scratch);
    if (st != CN_OK)
        axis_free(axis);
    return st;
}

cn_status axis_make(resize_axis *axis, int size, float in0, float in1, int64_t total, int64_t first,
                    int count, cn_error *err)
{
    return make(axis, size, in0, in1, total, first, count, false, err);
}

cn_status axis_make_exact(resize_axis *axis, int size, float in0, float in1, int64_t total, int64_t first,
                          int count, cn_error *err)
{
    return make(axis, size, in0, in1, total, first, count, true, err);
}

static void quads_free(quad_axis *quads)
{
    cn_free(quads->first);
    cn_free(quads->quads);
    cn_free(quads->offset);
    cn_free(quads->words);
}

/* uniform: give all outputs as many quads, with weight 0 where they have no use for one, so that the inner loop
 * along x has one length; a length that changes from pixel to pixel costs more in mispredicted branches. */
static cn_status quads_make(quad_axis *quads, const resize_axis *axis, bool uniform,
                            const resize_kernel *kernel, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t count = (size_t)axis->count;
    size_t total = 0;
    *quads = (quad_axis){.count = axis->count, .lowest = INT32_MAX};
    quads->first = cn_reallocarray(NULL, count, sizeof(int));
    quads->quads = cn_reallocarray(NULL, count, sizeof(int));
    quads->offset = cn_reallocarray(NULL, count, sizeof(size_t));
    CN_CHECK(quads->first && quads->quads && quads->offset, CN_ENOMEM,
             "out of memory for the resize weights");
    for (size_t i = 0; i < count; i++) {
        const int last = (axis->start[i] + axis->length[i] - 1) / 4;
        quads->first[i] = axis->start[i] / 4;
        quads->quads[i] = last - quads->first[i] + 1;
        quads->lowest = quads->first[i] < quads->lowest ? quads->first[i] : quads->lowest;
        quads->highest = last > quads->highest ? last : quads->highest;
        quads->most = quads->quads[i] > quads->most ? quads->quads[i] : quads->most;
    }
    for (size_t i = 0; i < count; i++) {
        if (uniform) {
            quads->quads[i] = quads->most;
            if (quads->first[i] + quads->most > quads->highest + 1)
                quads->first[i] = quads->highest + 1 - quads->most;
        }
        quads->offset[i] = total;
        total += (size_t)quads->quads[i] * (size_t)kernel->words_per_quad;
    }
    quads->words = cn_reallocarray(NULL, total, sizeof(int32_t));
    CN_CHECK(quads->words, CN_ENOMEM, "out of memory for the resize weights");
    for (size_t i = 0; i < count; i++)
        for (int q = 0; q < quads->quads[i]; q++) {
            int32_t weight[4] = {0};
            for (int t = 0; t < 4; t++) {
                const int tap = (quads->first[i] + q) * 4 + t - axis->start[i];
                if (tap >= 0 && tap < axis->length[i])
                    weight[t] = axis->weight[i * (size_t)axis->taps + (size_t)tap];
            }
            kernel->pack_weights(weight, quads->words + quads->offset[i] +
                                             (size_t)q * (size_t)kernel->words_per_quad);
        }
done:
    return st;
}

/* Runs down the output rows; blocks of four source rows are filtered along x when the first output row needs them and
 * kept in a ring just long enough for the longest window. */
static cn_status resample_quads(const uint8_t *rgb, int width, int height, const resize_axis *x,
                                const resize_axis *y, uint8_t *out, const resize_kernel *kernel,
                                cn_error *err)
{
    cn_status st = CN_OK;
    quad_axis qx = {0}, qy = {0};
    uint8_t *scratch = NULL, *ring = NULL;
    const uint8_t **blocks = NULL;
    const size_t columns = (size_t)x->count * 3, block_bytes = columns * 4 + 64;
    CN_TRY(quads_make(&qx, x, true, kernel, err));
    CN_TRY(quads_make(&qy, y, false, kernel, err));
    scratch = cn_reallocarray(NULL, (size_t)qx.highest - (size_t)qx.lowest + 1, 64);
    ring = cn_calloc((size_t)qy.most, block_bytes); /* zeroed: kernels read a little past what is written */
    blocks = cn_reallocarray(NULL, (size_t)qy.most, sizeof *blocks);
    CN_CHECK(scratch && ring && blocks, CN_ENOMEM, "out of memory for the resize of %d columns", x->count);
    assert(qy.most > 0);    /* every output row has a block */
    int next = qy.first[0]; /* the first block not filtered yet */
    for (int i = 0; i < y->count; i++) {
        const int first = qy.first[i], end = first + qy.quads[i];
        for (next = next < first ? first : next; next < end; next++) {
            const uint8_t *row[4];
            for (int r = 0; r < 4; r++) { /* rows below the picture have weight 0: any will do */
                const int at = next * 4 + r < height ? next * 4 + r : height - 1;
                row[r] = rgb + (size_t)at * (size_t)width * 3;
            }
            kernel->rows(row, width, &qx, scratch, ring + (size_t)(next % qy.most) * block_bytes);
        }
        for (int b = first; b < end; b++)
            blocks[b - first] = ring + (size_t)(b % qy.most) * block_bytes;
        kernel->column(blocks, qy.quads[i], qy.words + qy.offset[i], (int)columns, out + (size_t)i * columns);
    }
done:
    cn_free(blocks);
    cn_free(ring);
    cn_free(scratch);
    quads_free(&qx);
    quads_free(&qy);
    return st;
}

cn_status resample(const uint8_t *rgb, int width, int height, const resize_axis *x, const resize_axis *y,
                   uint8_t *out, const resize_kernel *kernel, cn_error *err)
{
    if (!kernel && x->copied_from >= 0 && y->copied_from >= 0) { /* what the weights 0 1 0 0 would give */
        const size_t columns = (size_t)x->count * 3;
        for (int i = 0; i < y->count; i++)
            memcpy(out + (size_t)i * columns,
                   rgb + ((size_t)(y->copied_from + i) * (size_t)width + (size_t)x->copied_from) * 3,
                   columns);
        return CN_OK;
    }
    for (size_t i = 0; !kernel; i++)
        if (resize_kernels[i]->supported())
            kernel = resize_kernels[i];
    if (!kernel->rows)
        return resample_plain(rgb, width, height, x, y, out, err);
    return resample_quads(rgb, width, height, x, y, out, kernel, err);
}

cn_status check_output(int width, int height, cn_error *err)
{
    if (width < 1 || height < 1 || width > CN_MAX_IMAGE_SIDE || height > CN_MAX_IMAGE_SIDE ||
        (int64_t)width * height > CN_MAX_IMAGE_PIXELS)
        return cn_fail(err, CN_EINVAL, "cannot resize to %d x %d px", width, height);
    return CN_OK;
}

cn_status cn_image_crop(const cn_image *image, double left, double top, double width, double height,
                        int out_width, int out_height, uint8_t *rgb, cn_error *err)
{
    cn_status st = CN_OK;
    resize_axis x = {0}, y = {0};
    const float x0 = (float)left, x1 = (float)(left + width), y0 = (float)top, y1 = (float)(top + height);
    CN_TRY(check_output(out_width, out_height, err));
    CN_CHECK(x0 >= 0 && y0 >= 0 && x1 > x0 && y1 > y0 && x1 <= image->width && y1 <= image->height, CN_EINVAL,
             "the part %g,%g %g x %g px is not within the picture of %d x %d", left, top, width, height,
             image->width, image->height);
    CN_TRY(axis_make(&x, image->width, x0, x1, out_width, 0, out_width, err));
    CN_TRY(axis_make(&y, image->height, y0, y1, out_height, 0, out_height, err));
    CN_TRY(resample(image->rgb, image->width, image->height, &x, &y, rgb, NULL, err));
done:
    axis_free(&x);
    axis_free(&y);
    return st;
}

cn_status cn_image_resize(const cn_image *image, int width, int height, uint8_t *rgb, cn_error *err)
{
    return cn_image_crop(image, 0, 0, image->width, image->height, width, height, rgb, err);
}
