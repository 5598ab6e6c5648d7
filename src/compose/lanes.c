/* compose/lanes.c -- one body, compiled for what CPUs there are. */
#include "compose/lanes.h"

#include <string.h>

#define LANES 16

#define BODY static inline __attribute__((always_inline))

BODY float fold(const float *lanes)
{
    float sum[8];
    for (int i = 0; i < 8; i++)
        sum[i] = lanes[i] + lanes[i + 8];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* rows x columns sums at once, so that each value that is loaded counts several times. */
BODY void block(const float *const *a, const float *const *b, int rows, int columns, int64_t width, float *out, int64_t stride)
{
    typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));
    lanes sum[4][4] = {{{0}}};
    int64_t k = 0;
    for (; k + LANES <= width; k += LANES) {
        lanes y[4];
        for (int j = 0; j < columns; j++)
            memcpy(&y[j], b[j] + k, sizeof y[j]);
        for (int i = 0; i < rows; i++) {
            lanes x;
            memcpy(&x, a[i] + k, sizeof x);
            for (int j = 0; j < columns; j++)
                sum[i][j] += x * y[j];
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            float lane[LANES];
            memcpy(lane, &sum[i][j], sizeof lane);
            float total = fold(lane);
            for (int64_t r = k; r < width; r++)
                total += a[i][r] * b[j][r];
            out[i * stride + j] += total;
        }
}

BODY void products(const float *a, int64_t n, int64_t lda, const float *b, int64_t m, int64_t ldb, int64_t width, float *out, int64_t stride,
                   const int rows, const int columns)
{
    const float *x[4], *y[4];
    int64_t j = 0;
    for (; j + columns <= m; j += columns) { /* the columns stay in the nearest cache while all rows pass */
        for (int c = 0; c < columns; c++)
            y[c] = b + (j + c) * ldb;
        int64_t i = 0;
        for (; i + rows <= n; i += rows) {
            for (int r = 0; r < rows; r++)
                x[r] = a + (i + r) * lda;
            block(x, y, rows, columns, width, out + i * stride + j, stride);
        }
        for (; i < n; i++) {
            x[0] = a + i * lda;
            block(x, y, 1, columns, width, out + i * stride + j, stride);
        }
    }
    for (; j < m; j++) {
        y[0] = b + j * ldb;
        for (int64_t i = 0; i < n; i++) {
            x[0] = a + i * lda;
            block(x, y, 1, 1, width, out + i * stride + j, stride);
        }
    }
}

/* exp(x) = 2^n exp(r), |r| <= ln 2 / 2, with ln 2 in two parts and Cephes's polynomial. */
BODY void exponentials(const float *z, const float *shift, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        float x = z[i] - shift[i];
        x = x < -87.0f ? -87.0f : x;
        x = x > 88.0f ? 88.0f : x;
        const float whole = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
        const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
        float p = 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = p * r * r + r + 1.0f;
        const int32_t bits = ((int32_t)whole + 127) * (1 << 23);
        float power;
        memcpy(&power, &bits, sizeof power);
        out[i] = p * power;
    }
}

static void products_plain(const float *a, int64_t n, int64_t lda, const float *b, int64_t m, int64_t ldb, int64_t width, float *out,
                           int64_t stride)
{
    products(a, n, lda, b, m, ldb, width, out, stride, 1, 2);
}
static void exponentials_plain(const float *z, const float *shift, int64_t n, float *out)
{
    exponentials(z, shift, n, out);
}
const vector_kernels vector_kernels_plain = {products_plain, exponentials_plain};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))

AVX2 static void products_avx2(const float *a, int64_t n, int64_t lda, const float *b, int64_t m, int64_t ldb, int64_t width, float *out,
                               int64_t stride)
{
    products(a, n, lda, b, m, ldb, width, out, stride, 2, 3); /* 6 sums of two registers each, of 16 */
}
AVX2 static void exponentials_avx2(const float *z, const float *shift, int64_t n, float *out)
{
    exponentials(z, shift, n, out);
}
AVX512 static void products_avx512(const float *a, int64_t n, int64_t lda, const float *b, int64_t m, int64_t ldb, int64_t width, float *out,
                                   int64_t stride)
{
    products(a, n, lda, b, m, ldb, width, out, stride, 4, 4);
}
AVX512 static void exponentials_avx512(const float *z, const float *shift, int64_t n, float *out)
{
    exponentials(z, shift, n, out);
}
static const vector_kernels avx2 = {products_avx2, exponentials_avx2}, avx512 = {products_avx512, exponentials_avx512};

const vector_kernels *vector_kernels_get(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return &avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2 : &vector_kernels_plain;
}
#else
const vector_kernels *vector_kernels_get(void)
{
    return &vector_kernels_plain;
}
#endif
