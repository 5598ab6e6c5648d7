/* Eigenvectors by Jacobi's rotations, and the directions of spelling on made-up embeddings. */
#include "compose/spelling.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 40 };

static uint64_t state_of = 1;
static double number(void)
{
    state_of = state_of * 6364136223846793005u + 1442695040888963407u;
    return (double)(state_of >> 33) / 4294967296.0 - 0.25;
}

static void eigenvectors_satisfy_their_equation(void **state)
{
    (void)state;
    static double a[N * N], copy[N * N], values[N], v[N * N];
    double trace = 0, sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = i; j < N; j++)
            a[i * N + j] = a[j * N + i] = number();
    a[3 * N + 3] = a[4 * N + 4]; /* equal on the diagonal */
    memcpy(copy, a, sizeof copy);
    assert_int_equal(spelling_eigen(a, N, values, v, NULL), CN_OK);
    for (int k = 0; k < N; k++) {
        assert_true(k == 0 || values[k] <= values[k - 1]);
        trace += copy[k * N + k];
        sum += values[k];
        for (int i = 0; i < N; i++) {
            double is = 0, dot = 0;
            for (int j = 0; j < N; j++) {
                is += copy[i * N + j] * v[k * N + j];
                dot += v[i * N + j] * v[k * N + j];
            }
            assert_true(fabs(is - values[k] * v[k * N + i]) < 1e-10);
            assert_true(fabs(dot - (i == k)) < 1e-10);
        }
    }
    assert_true(fabs(trace - sum) < 1e-9);
    double two[4] = {2, 1, 1, 2}, values2[2], v2[4];
    assert_int_equal(spelling_eigen(two, 2, values2, v2, NULL), CN_OK);
    assert_true(fabs(values2[0] - 3) < 1e-12 && fabs(values2[1] - 1) < 1e-12);
    double bad[4] = {1, NAN, NAN, 1};
    assert_int_equal(spelling_eigen(bad, 2, values2, v2, NULL), CN_EFORMAT);
}

/* Words move embeddings along axis 0 (much) and 1 (little); pictures differ along axes 1 and 2. */
static void spelling_is_what_words_change_and_pictures_do_not(void **state)
{
    (void)state;
    enum { W = 5, M = 8 };
    static float d[M * W], clean[M * W], out[M * W];
    int64_t k = -1;
    for (int i = 0; i < M; i++) {
        const float sign = i & 1 ? -1 : 1, other = i & 2 ? -1 : 1;
        d[i * W] = 2 * sign;
        d[i * W + 1] = 0.5f * other;
        clean[i * W + 1] = sign;
        clean[i * W + 2] = i & 4 ? 1 : -1;
    }
    assert_int_equal(spelling_directions(d, M, clean, M, W, 1, out, &k, NULL), CN_OK);
    assert_int_equal(k, 1); /* along axis 1 pictures differ more than words change */
    assert_true(fabs(fabs((double)out[0]) - 1) < 1e-6);
    assert_int_equal(spelling_directions(d, M, clean, M, W, 0, out, &k, NULL), CN_OK);
    assert_int_equal(k, 2);
    assert_true(fabs(fabs((double)out[0]) - 1) < 1e-6 && fabs(fabs((double)out[W + 1]) - 1) < 1e-6);
    for (int i = 0; i < M; i++) { /* what was taken out is all of each difference */
        double rest = 0;
        for (int c = 0; c < W; c++) {
            double x = (double)d[i * W + c];
            for (int j = 0; j < 2; j++) {
                double dot = 0;
                for (int e = 0; e < W; e++)
                    dot += (double)d[i * W + e] * (double)out[j * W + e];
                x -= dot * (double)out[j * W + c];
            }
            rest += x * x;
        }
        assert_true(rest < 1e-10);
    }
    static float none[M * W];
    assert_int_equal(spelling_directions(none, M, clean, M, W, 1, out, &k, NULL), CN_OK);
    assert_int_equal(k, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(eigenvectors_satisfy_their_equation),
                                       cmocka_unit_test(spelling_is_what_words_change_and_pictures_do_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
