/* study/product.c -- four sums of eight lanes at a time: two rows of either side stay in registers. */
#include "study/product.h"

#include "base/memory.h"

#include <math.h>

#define LANES 8
#define TILE 32 /* rows of b that stay in the cache while rows of a pass */

float *product_floats(int64_t a, int64_t b)
{
    size_t count, bytes;
    if (a < 0 || b < 0 || !cn_mul_size((size_t)a, (size_t)b, &count) || !cn_mul_size(count, sizeof(float), &bytes) ||
        !cn_add_size(bytes, 64, &bytes))
        return NULL;
    return cn_aligned_calloc(bytes);
}

double product_normalise(const float *from, float *to, int64_t width)
{
    double sum = 0;
    for (int64_t k = 0; k < width; k++)
        sum += (double)from[k] * (double)from[k];
    const double length = sqrt(sum);
    const float factor = length > 0 ? (float)(1 / length) : 0;
    for (int64_t k = 0; k < width; k++)
        to[k] = from[k] * factor;
    return length;
}

static float fold(const float lanes[LANES])
{
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/* out[0..3] = a0.b0, a0.b1, a1.b0, a1.b1 */
static void four(const float *a0, const float *a1, const float *b0, const float *b1, int64_t width, float out[4])
{
    float p[LANES] = {0}, q[LANES] = {0}, r[LANES] = {0}, s[LANES] = {0};
    int64_t k = 0;
    for (; k + LANES <= width; k += LANES)
        for (int j = 0; j < LANES; j++) {
            p[j] += a0[k + j] * b0[k + j];
            q[j] += a0[k + j] * b1[k + j];
            r[j] += a1[k + j] * b0[k + j];
            s[j] += a1[k + j] * b1[k + j];
        }
    for (; k < width; k++) {
        p[0] += a0[k] * b0[k];
        q[0] += a0[k] * b1[k];
        r[0] += a1[k] * b0[k];
        s[0] += a1[k] * b1[k];
    }
    out[0] = fold(p), out[1] = fold(q), out[2] = fold(r), out[3] = fold(s);
}

/* An odd row at the end is taken twice: every sum is made in the same order, wherever its rows stand. */
void product_rows(const float *a, int64_t n, const float *b, int64_t m, int64_t width, float *out, int64_t stride)
{
    for (int64_t tile = 0; tile < m; tile += TILE) {
        const int64_t end = m - tile < TILE ? m : tile + TILE;
        for (int64_t i = 0; i < n; i += 2) {
            const int64_t i1 = i + 1 < n ? i + 1 : i;
            for (int64_t j = tile; j < end; j += 2) {
                const int64_t j1 = j + 1 < end ? j + 1 : j;
                float sums[4];
                four(a + i * width, a + i1 * width, b + j * width, b + j1 * width, width, sums);
                out[i * stride + j] = sums[0];
                out[i * stride + j1] = sums[1];
                out[i1 * stride + j] = sums[2];
                out[i1 * stride + j1] = sums[3];
            }
        }
    }
}

void product_standardise(float *a, int64_t n, int64_t width)
{
    for (int64_t i = 0; i < n; i++) {
        float *row = a + i * width;
        double sum = 0, power = 0;
        for (int64_t k = 0; k < width; k++)
            sum += (double)row[k];
        const double mean = sum / (double)(width > 0 ? width : 1);
        for (int64_t k = 0; k < width; k++)
            power += ((double)row[k] - mean) * ((double)row[k] - mean);
        const int constant = !(sqrt(power / (double)(width > 0 ? width : 1)) > 1e-6 * fabs(mean));
        const double factor = constant ? 0 : 1 / sqrt(power);
        for (int64_t k = 0; k < width; k++)
            row[k] = (float)(((double)row[k] - mean) * factor);
    }
}

void product_transpose(const float *from, int64_t rows, int64_t columns, float *to)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
}
