/* compose/spelling.c -- an eigenvalue problem in the span of some hundred differences. */
#include "compose/spelling.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Jacobi ---- */

/* Turns rows and columns p and q so that a_pq becomes 0 (Golub and Van Loan, 8.5.2). */
static void rotate(double *a, double *v, int64_t n, int64_t p, int64_t q)
{
    const double apq = a[p * n + q];
    const double tau = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    const double t = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau)), c = 1 / sqrt(1 + t * t), s = t * c;
    for (int64_t k = 0; k < n; k++) { /* rows; the columns of a symmetric matrix are set behind */
        const double x = a[p * n + k], y = a[q * n + k], vx = v[p * n + k], vy = v[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        v[p * n + k] = c * vx - s * vy;
        v[q * n + k] = s * vx + c * vy;
    }
    const double pp = a[p * n + p], pq = a[p * n + q], qp = a[q * n + p], qq = a[q * n + q];
    a[p * n + p] = c * pp - s * pq;
    a[q * n + q] = s * qp + c * qq;
    a[p * n + q] = a[q * n + p] = 0;
    for (int64_t k = 0; k < n; k++)
        if (k != p && k != q)
            a[k * n + p] = a[p * n + k], a[k * n + q] = a[q * n + k];
}

typedef struct pair {
    double value;
    int64_t row;
} pair;

static int falling(const void *x, const void *y)
{
    const pair *a = x, *b = y;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

cn_status spelling_eigen(double *a, int64_t n, double *values, double *vectors, cn_error *err)
{
    enum { SWEEPS = 40 };
    cn_status st = CN_OK;
    double *v = cn_calloc((size_t)(n * n) + 1, sizeof *v);
    pair *order = cn_calloc((size_t)n + 1, sizeof *order);
    double all = 0;
    CN_CHECK(v && order, CN_ENOMEM, "out of memory for %" PRId64 " eigenvectors", n);
    for (int64_t i = 0; i < n; i++)
        v[i * n + i] = 1;
    for (int64_t i = 0; i < n * n; i++)
        all += a[i] * a[i];
    CN_CHECK(isfinite(all), CN_EFORMAT, "embeddings are not finite");
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                off += a[p * n + q] * a[p * n + q];
        if (off <= 1e-26 * all)
            break;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                if (a[p * n + q] * a[p * n + q] > 1e-30 * all / ((double)n * (double)n))
                    rotate(a, v, n, p, q);
    }
    for (int64_t i = 0; i < n; i++)
        order[i] = (pair){a[i * n + i], i};
    qsort(order, (size_t)n, sizeof *order, falling);
    for (int64_t i = 0; i < n; i++) {
        values[i] = order[i].value;
        memcpy(vectors + i * n, v + order[i].row * n, (size_t)n * sizeof *v);
    }
done:
    cn_free(v);
    cn_free(order);
    return st;
}

/* ---- directions ---- */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* An orthonormal basis (r, width) of the span of the differences, and S_word in it, which is diagonal: (r), its trace 1. */
static cn_status span(const double *d, int64_t n, int64_t width, double *basis, double *word, int64_t *r, cn_error *err)
{
    cn_status st = CN_OK;
    double *gram = cn_calloc((size_t)(n * n) + 1, sizeof *gram), *vectors = cn_calloc((size_t)(n * n) + 1, sizeof *vectors);
    double total = 0;
    CN_CHECK(gram && vectors, CN_ENOMEM, "out of memory for %" PRId64 " differences", n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            gram[i * n + j] = gram[j * n + i] = dot(d + i * width, d + j * width, width);
    for (int64_t i = 0; i < n; i++)
        total += gram[i * n + i];
    CN_TRY(spelling_eigen(gram, n, word, vectors, err));
    *r = 0;
    while (*r < n && *r < width && word[*r] > 1e-9 * total)
        ++*r;
    for (int64_t i = 0; i < *r; i++) {
        double *to = basis + i * width;
        memset(to, 0, (size_t)width * sizeof *to);
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < width; k++)
                to[k] += vectors[i * n + j] * d[j * width + k];
        const double length = sqrt(dot(to, to, width));
        for (int64_t k = 0; k < width; k++)
            to[k] /= length;
        word[i] /= total;
    }
done:
    cn_free(gram);
    cn_free(vectors);
    return st;
}

/* matrix (r, r) -= gamma times the covariance of the clean embeddings, in the basis, over its trace. */
static cn_status take_classes(double *matrix, const double *basis, int64_t r, const float *clean, int64_t m, int64_t width, double gamma,
                              cn_error *err)
{
    cn_status st = CN_OK;
    double *mean = cn_calloc((size_t)width, sizeof *mean), *row = cn_calloc((size_t)width, sizeof *row),
           *at = cn_calloc((size_t)(m * r) + 1, sizeof *at);
    double trace = 0;
    CN_CHECK(mean && row && at, CN_ENOMEM, "out of memory for %" PRId64 " embeddings", m);
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < width; k++)
            mean[k] += (double)clean[i * width + k] / (double)m;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t k = 0; k < width; k++)
            row[k] = (double)clean[i * width + k] - mean[k];
        trace += dot(row, row, width);
        for (int64_t j = 0; j < r; j++)
            at[i * r + j] = dot(row, basis + j * width, width);
    }
    for (int64_t i = 0; i < m && trace > 0; i++)
        for (int64_t j = 0; j < r; j++)
            for (int64_t k = 0; k < r; k++)
                matrix[j * r + k] -= gamma * at[i * r + j] * at[i * r + k] / trace;
done:
    cn_free(mean);
    cn_free(row);
    cn_free(at);
    return st;
}

cn_status spelling_directions(const float *differences, int64_t n, const float *clean, int64_t m, int64_t width, double gamma, float *directions,
                              int64_t *k, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t r = 0;
    double *d = cn_calloc((size_t)(n * width) + 1, sizeof *d), *basis = cn_calloc((size_t)(n * width) + 1, sizeof *basis),
           *word = cn_calloc((size_t)n + 1, sizeof *word), *matrix = NULL, *values = NULL, *vectors = NULL;
    *k = 0;
    CN_CHECK(n <= SPELLING_PAIRS, CN_ELIMIT, "at most %d differences", SPELLING_PAIRS);
    CN_CHECK(d && basis && word, CN_ENOMEM, "out of memory for %" PRId64 " differences", n);
    for (int64_t i = 0; i < n * width; i++)
        d[i] = (double)differences[i];
    CN_TRY(span(d, n, width, basis, word, &r, err));
    matrix = cn_calloc((size_t)(r * r) + 1, sizeof *matrix);
    values = cn_calloc((size_t)r + 1, sizeof *values);
    vectors = cn_calloc((size_t)(r * r) + 1, sizeof *vectors);
    CN_CHECK(matrix && values && vectors, CN_ENOMEM, "out of memory for %" PRId64 " directions", r);
    for (int64_t i = 0; i < r; i++)
        matrix[i * r + i] = word[i];
    CN_TRY(take_classes(matrix, basis, r, clean, m, width, gamma, err));
    CN_TRY(spelling_eigen(matrix, r, values, vectors, err));
    for (int64_t i = 0; i < r && values[i] > 0; i++) {
        float *to = directions + i * width;
        for (int64_t c = 0; c < width; c++) {
            double sum = 0;
            for (int64_t j = 0; j < r; j++)
                sum += vectors[i * r + j] * basis[j * width + c];
            to[c] = (float)sum;
        }
        ++*k;
    }
done:
    cn_free(d);
    cn_free(basis);
    cn_free(word);
    cn_free(matrix);
    cn_free(values);
    cn_free(vectors);
    return st;
}
