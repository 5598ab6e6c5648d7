/* What is behind texts as units: the fit of predicted cosines, sparse codes, non-negative factors, atlases; each against a computation of
 * its own. */
#include "base/memory.h"
#include "clipneuron/textunits.h"
#include "compose/lasso.h"
#include "compose/linfit.h"
#include "compose/nmf.h"
#include "study/product.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static double uniform(rng *r)
{
    return 2 * rng_unit(r) - 1;
}

/* ---- the fit ---- */

enum { PICTURES = 60, FIRST = 25, UNITS = 7, WIDTH = 5 };

static void a_linear_tower_is_predicted_exactly(void **state)
{
    (void)state;
    float values[UNITS * PICTURES], embedding[PICTURES * WIDTH], directions[UNITS * WIDTH], text[WIDTH] = {0.6f, 0, -0.8f, 0, 0};
    double length[PICTURES], predicted[PICTURES], seen[PICTURES], mean = 0;
    rng r = rng_stream(1, 0, 0);
    cn_error err = {0};
    for (int i = 0; i < UNITS * PICTURES; i++)
        values[i] = (float)uniform(&r);
    for (int i = 0; i < UNITS * WIDTH; i++)
        directions[i] = (float)uniform(&r);
    for (int i = 0; i < PICTURES; i++) {
        for (int k = 0; k < WIDTH; k++) {
            double sum = 0.5 * k; /* biases */
            for (int u = 0; u < UNITS; u++)
                sum += (double)values[u * PICTURES + i] * (double)directions[u * WIDTH + k];
            embedding[i * WIDTH + k] = (float)sum;
        }
        length[i] = product_normalise(embedding + i * WIDTH, embedding + i * WIDTH, WIDTH);
        mean += i < FIRST ? length[i] / FIRST : 0;
    }
    linfit_data data = {PICTURES, FIRST, UNITS, WIDTH, values, embedding, length, directions};
    linfit f;
    assert_int_equal(linfit_open(&f, &data, &err), CN_OK);
    assert_int_equal(f.n, PICTURES - FIRST);
    assert_true(fabs(f.length - mean) < 1e-9);
    linfit_products(&f, text, predicted, seen);
    for (int i = 0; i < PICTURES - FIRST; i++) {
        assert_true(fabs(predicted[i] - seen[i]) < 1e-5);
        assert_true(fabs(seen[i] - (0.6 * (double)embedding[(FIRST + i) * WIDTH] - 0.8 * (double)embedding[(FIRST + i) * WIDTH + 2])) < 1e-6);
    }
    const linfit_score score = linfit_compare(predicted, seen, f.n);
    assert_true(score.r > 0.999999 && score.r2 > 0.999999);
    linfit_free(&f);
    data.first = 3;
    assert_int_equal(linfit_open(&f, &data, &err), CN_EINVAL);
    linfit_free(&f);
}

static void scores_equal_the_textbook(void **state)
{
    (void)state;
    enum { N = 200 };
    double x[N], y[N], mx = 0, my = 0, xx = 0, yy = 0, xy = 0, errors = 0;
    rng r = rng_stream(2, 0, 0);
    for (int i = 0; i < N; i++) {
        x[i] = uniform(&r);
        y[i] = 0.5 * x[i] + 0.3 * uniform(&r) + 0.1;
        mx += x[i] / N, my += y[i] / N;
    }
    for (int i = 0; i < N; i++) {
        xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my), xy += (x[i] - mx) * (y[i] - my);
        errors += (y[i] - x[i]) * (y[i] - x[i]);
    }
    const linfit_score s = linfit_compare(x, y, N);
    assert_true(fabs(s.r - xy / sqrt(xx * yy)) < 1e-12);
    assert_true(fabs(s.r2 - (1 - errors / yy)) < 1e-12);
    linfit_interval a, b;
    cn_error err = {0};
    assert_int_equal(linfit_bootstrap(x, y, N, 400, 5, &a, &err), CN_OK);
    assert_int_equal(linfit_bootstrap(x, y, N, 400, 5, &b, &err), CN_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.low.r < s.r && s.r < a.high.r && a.low.r2 < s.r2 && s.r2 < a.high.r2);
    /* Fisher's interval is near the bootstrap's */
    assert_true(fabs(a.low.r - tanh(atanh(s.r) - 1.96 / sqrt(N - 3))) < 0.04);
    for (int i = 0; i < N; i++)
        y[i] = 1;
    assert_true(linfit_compare(x, y, N).r == 0);
}

/* ---- codes ---- */

enum { ROWS = 12, COLUMNS = 30 };

static double objective(const float *x, const float *y, const double *c, double lambda)
{
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        double e = (double)y[i];
        for (int j = 0; j < COLUMNS; j++)
            e -= c[j] * (double)x[j * ROWS + i];
        sum += e * e / 2;
    }
    for (int j = 0; j < COLUMNS; j++)
        sum += lambda * fabs(c[j]);
    return sum;
}

/* Proximal gradient descent (FISTA) on the columns themselves: another algorithm for the same minimum. */
static void solve_otherwise(const float *x, const float *y, double lambda, double *c)
{
    double z[COLUMNS] = {0}, before[COLUMNS], t = 1;
    memset(c, 0, COLUMNS * sizeof *c);
    for (int step = 0; step < 20000; step++) {
        double e[ROWS];
        for (int i = 0; i < ROWS; i++) {
            e[i] = -(double)y[i];
            for (int j = 0; j < COLUMNS; j++)
                e[i] += z[j] * (double)x[j * ROWS + i];
        }
        memcpy(before, c, sizeof before);
        const double next = (1 + sqrt(1 + 4 * t * t)) / 2;
        for (int j = 0; j < COLUMNS; j++) {
            double slope = 0;
            for (int i = 0; i < ROWS; i++)
                slope += e[i] * (double)x[j * ROWS + i];
            const double v = z[j] - slope / COLUMNS; /* the columns have length 1: the curvature is below their number */
            c[j] = fabs(v) > lambda / COLUMNS ? v - copysign(lambda / COLUMNS, v) : 0;
            z[j] = c[j] + (t - 1) / next * (c[j] - before[j]);
        }
        t = next;
    }
}

static void a_lasso_finds_the_minimum(void **state)
{
    (void)state;
    float x[COLUMNS * ROWS], y[ROWS], gram[COLUMNS * COLUMNS];
    double c[COLUMNS] = {0}, other[COLUMNS], xy[COLUMNS];
    rng r = rng_stream(3, 0, 0);
    cn_error err = {0};
    for (int i = 0; i < COLUMNS * ROWS; i++)
        x[i] = i / ROWS == 4 ? 0 : (float)uniform(&r); /* column 4 is a dead unit's */
    for (int j = 0; j < COLUMNS; j++)
        product_normalise(x + j * ROWS, x + j * ROWS, ROWS);
    for (int i = 0; i < ROWS; i++)
        y[i] = (float)uniform(&r);
    product_rows(x, COLUMNS, x, COLUMNS, ROWS, gram, COLUMNS);
    const lasso_problem p = {gram, xy, lasso_target(x, COLUMNS, ROWS, y, xy), COLUMNS};
    for (double lambda = 0.5; lambda > 0.02; lambda /= 2) {
        assert_int_equal(lasso_solve(&p, lambda, 1e-9, c, &err), CN_OK);
        solve_otherwise(x, y, lambda, other);
        const double a = objective(x, y, c, lambda), b = objective(x, y, other, lambda);
        assert_true(fabs(a - b) < 1e-6 * b);
        assert_true(c[4] == 0);
    }
    double rest = 0, whole = 0;
    for (int i = 0; i < ROWS; i++) {
        double e = (double)y[i];
        for (int j = 0; j < COLUMNS; j++)
            e -= c[j] * (double)x[j * ROWS + i];
        rest += e * e, whole += (double)y[i] * (double)y[i];
    }
    assert_true(fabs(lasso_explained(&p, c) - (1 - rest / whole)) < 1e-5);
}

static void on_orthogonal_columns_a_lasso_is_a_soft_threshold(void **state)
{
    (void)state;
    float x[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, gram[16], y[4] = {0.9f, -0.5f, 0.2f, 0.0f};
    double xy[4], c[4] = {0}, path[3 * 4], lambda[3];
    const int levels[3] = {1, 2, 4};
    cn_error err = {0};
    product_rows(x, 4, x, 4, 4, gram, 4);
    const lasso_problem p = {gram, xy, lasso_target(x, 4, 4, y, xy), 4};
    assert_int_equal(lasso_solve(&p, 0.3, 1e-9, c, &err), CN_OK);
    assert_true(fabs(c[0] - 0.6) < 1e-6 && fabs(c[1] + 0.2) < 1e-6 && c[2] == 0 && c[3] == 0);
    assert_int_equal(lasso_path(&p, levels, 3, path, lambda, &err), CN_OK);
    for (int l = 0; l < 3; l++) { /* as dense as allowed, at the smallest lambda of the grid above the next one's entry */
        int n = 0;
        for (int j = 0; j < 4; j++)
            n += path[l * 4 + j] != 0;
        assert_int_equal(n, l == 2 ? 3 : levels[l]);
    }
    assert_true(lambda[0] >= 0.5 && lambda[0] < 0.5 / 0.97 && lambda[1] >= 0.2 && lambda[1] < 0.2 / 0.97);
    memset(xy, 0, sizeof xy);
    assert_int_equal(lasso_path(&p, levels, 3, path, lambda, &err), CN_OK);
    assert_true(isnan(lambda[2]) && path[8] == 0);
}

/* ---- factors ---- */

static void the_error_of_factors_never_rises(void **state)
{
    (void)state;
    enum { N = 20, M = 35, STEPS = 200 };
    double v[N * M], w[N * 5], h[5 * M], errors[STEPS], error;
    int done;
    cn_error err = {0};
    rng r = rng_stream(4, 0, 0);
    for (int i = 0; i < N * M; i++)
        v[i] = rng_unit(&r) < 0.6 ? 0 : rng_unit(&r);
    for (int factors = 1; factors <= 5; factors++) {
        const nmf_problem p = {v, N, M, factors};
        const nmf_options o = {.iterations = STEPS, .tolerance = -1, .seed = (uint64_t)factors};
        assert_int_equal(nmf_fit(&p, &o, w, h, errors, &done, &error, &err), CN_OK);
        assert_int_equal(done, STEPS);
        for (int i = 1; i < STEPS; i++)
            assert_true(errors[i] <= errors[i - 1] * (1 + 1e-12));
        double sum = 0, size = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < M; j++) {
                double e = v[i * M + j];
                for (int k = 0; k < factors; k++) {
                    assert_true(w[i * factors + k] >= 0 && h[k * M + j] >= 0);
                    e -= w[i * factors + k] * h[k * M + j];
                }
                sum += e * e, size += v[i * M + j] * v[i * M + j];
            }
        assert_true(fabs(sqrt(sum / size) - error) < 1e-9);
    }
}

static void factors_that_are_there_are_found(void **state)
{
    (void)state;
    enum { N = 6, M = 4 };
    static const double parts[2][M] = {{1, 2, 0, 0}, {0, 0, 1, 3}}, loads[N][2] = {{1, 0}, {2, 0}, {0, 1}, {0, 3}, {1, 1}, {0.5, 2}};
    double v[N * M], w[N * 2], h[2 * M], error;
    int done;
    cn_error err = {0};
    for (int i = 0; i < N * M; i++)
        v[i] = loads[i / M][0] * parts[0][i % M] + loads[i / M][1] * parts[1][i % M];
    const nmf_problem p = {v, N, M, 2};
    const nmf_options o = {.iterations = 5000, .tolerance = 0, .seed = 1};
    assert_int_equal(nmf_fit(&p, &o, w, h, NULL, &done, &error, &err), CN_OK);
    assert_true(error < 1e-6);
    v[3] = -1;
    assert_int_equal(nmf_fit(&p, &o, w, h, NULL, &done, &error, &err), CN_EINVAL);
}

/* ---- the atlas ---- */

/* Six words, three pairs on a unit each. */
static cn_code_term terms[6] = {{3, 0.8, 1}, {3, 0.7, 1}, {5, 0.9, 1}, {5, 0.5, 1}, {7, -0.6, 1}, {7, -0.9, 1}};
static cn_code codes_of[6];
static const char *names[8] = {"", "", "", "joy", "", "grief", "", "calm"};
static cn_codes fake_codes(void)
{
    static const char *const words[6] = {"glad", "merry", "sad", "low", "rage", "fury"};
    for (int i = 0; i < 6; i++) {
        codes_of[i].word = words[i];
        codes_of[i].level[CN_CODE_LEVELS - 1].terms = &terms[i];
        codes_of[i].level[CN_CODE_LEVELS - 1].n = 1;
    }
    return (cn_codes){.codes = codes_of, .n = 6, .names = names, .units = 8};
}

static void an_atlas_puts_words_of_one_factor_together(void **state)
{
    (void)state;
    const cn_codes codes = fake_codes();
    cn_atlas *a = NULL, *b = NULL;
    cn_error err = {0};
    const cn_atlas_options o = {.factors = 3, .seed = 2};
    assert_int_equal(cn_atlas_create(&a, &codes, &o, &err), CN_OK);
    assert_int_equal(cn_atlas_create(&b, &codes, &o, &err), CN_OK);
    assert_true(a->error < 1e-3);
    for (int i = 0; i < 6; i++) {
        assert_true(a->words[i].x == b->words[i].x && a->words[i].y == b->words[i].y);
        assert_true(fabs(hypot(a->words[i].x, a->words[i].y) - 1) < 1e-2);
        if (i % 2)
            assert_true(hypot(a->words[i].x - a->words[i - 1].x, a->words[i].y - a->words[i - 1].y) < 1e-2);
    }
    assert_true(hypot(a->words[0].x - a->words[2].x, a->words[0].y - a->words[2].y) > 1);
    bool calm = false; /* says "not": below zero */
    for (int k = 0; k < 3; k++)
        calm = calm || (a->factor[k].unit[0] == 7 && a->factor[k].weight[0] < 0);
    assert_true(calm);
    char path[] = "/tmp/clipneuron-atlas-XXXXXX.svg", bytes[1 << 16];
    const int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(cn_atlas_write(a, &codes, path, CN_PLOT_LIGHT, &err), CN_OK);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    bytes[fread(bytes, 1, sizeof bytes - 1, f)] = 0;
    fclose(f);
    remove(path);
    assert_non_null(strstr(bytes, "not calm (7): "));
    assert_non_null(strstr(bytes, "rage 1.00;"));
    assert_int_equal(cn_atlas_write(a, &codes, "atlas.txt", CN_PLOT_LIGHT, &err), CN_EINVAL);
    cn_atlas_free(a);
    cn_atlas_free(b);
    const cn_atlas_options many = {.factors = 9};
    memset(&err, 0, sizeof err);
    assert_int_equal(cn_atlas_create(&a, &codes, &many, &err), CN_EINVAL);
    assert_null(a);
}

static void a_failed_allocation_is_an_error(void **state)
{
    (void)state;
    const cn_codes codes = fake_codes();
    const cn_atlas_options o = {.factors = 2, .restarts = 1, .shuffles = 1};
    for (size_t i = 1;; i++) {
        cn_atlas *a = NULL;
        cn_error err = {0};
        cn_memory_fail_at(i, false);
        const cn_status st = cn_atlas_create(&a, &codes, &o, &err);
        cn_memory_fail_at(0, false);
        if (st == CN_OK) {
            cn_atlas_free(a);
            break;
        }
        assert_int_equal(st, CN_ENOMEM);
        assert_null(a);
        assert_true(i < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linear_tower_is_predicted_exactly),
        cmocka_unit_test(scores_equal_the_textbook),
        cmocka_unit_test(a_lasso_finds_the_minimum),
        cmocka_unit_test(on_orthogonal_columns_a_lasso_is_a_soft_threshold),
        cmocka_unit_test(the_error_of_factors_never_rises),
        cmocka_unit_test(factors_that_are_there_are_found),
        cmocka_unit_test(an_atlas_puts_words_of_one_factor_together),
        cmocka_unit_test(a_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
