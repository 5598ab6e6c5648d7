/* The solver of sparse probes: objectives against those of an independent solver in float64 (tools/referee/probe_reference.py), conditions
 * of optimality against sums in double, and whatever must not matter. */
#include "base/memory.h"
#include "clipneuron/array.h"
#include "compose/crew.h"
#include "compose/multinomial.h"
#include "compose/lanes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- kernels ---- */

static void products_and_exponentials_are_those_of_doubles(void **state)
{
    (void)state;
    enum { N = 7, M = 11, WIDTH = 77, STRIDE = 13 };
    static float a[N * 90], b[M * 80], out[N * STRIDE];
    const vector_kernels *all[] = {vector_kernels_get(), &vector_kernels_plain};
    for (int i = 0; i < N * 90; i++)
        a[i] = (float)(i * 37 % 23) - 11;
    for (int i = 0; i < M * 80; i++)
        b[i] = (float)(i * 29 % 17) - 8;
    for (int v = 0; v < 2; v++) {
        for (int i = 0; i < N * STRIDE; i++)
            out[i] = 5;
        all[v]->products(a, N, 90, b, M, 80, WIDTH, out, STRIDE);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < STRIDE; j++) {
                float sum = 5; /* small integers: exact */
                for (int k = 0; j < M && k < WIDTH; k++)
                    sum += a[i * 90 + k] * b[j * 80 + k];
                assert_true(out[i * STRIDE + j] == sum);
            }
        for (float z = -100; z < 80; z += 0.37f) {
            const float shift = 1.5f;
            float e;
            all[v]->exponentials(&z, &shift, 1, &e);
            const double right = exp(fmax((double)(z - shift), -87.0));
            assert_true(fabs((double)e - right) <= 4e-7 * right);
        }
    }
}

static void mark(void *job, int64_t task)
{
    ((int *)job)[task]++;
}

static void every_task_runs_once(void **state)
{
    (void)state;
    crew *c;
    static int seen[500];
    assert_int_equal(crew_create(&c, 3, NULL), CN_OK);
    for (int round = 0; round < 300; round++)
        crew_run(c, mark, seen, round % 7 == 0 ? 1 : 500 - round);
    for (int i = 0; i < 500; i++) {
        int right = 0;
        for (int round = 0; round < 300; round++)
            right += i < (round % 7 == 0 ? 1 : 500 - round);
        assert_int_equal(seen[i], right);
    }
    crew_free(c);
    crew_free(NULL);
}

/* ---- problems ---- */

typedef struct problem {
    cn_arrays *file;
    multinomial_data data;
    const double *strength, *mix, *objective;
    int64_t settings;
} problem;

static void open_problem(problem *p, const char *name)
{
    char path[512];
    cn_error err = {0};
    snprintf(path, sizeof path, "%s/probe/%s.npz", CN_TEST_DATA, name);
    if (cn_arrays_open(&p->file, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    const cn_tensor *x = cn_arrays_find(p->file, "x"), *y = cn_arrays_find(p->file, "y"), *s = cn_arrays_find(p->file, "strength");
    p->data = (multinomial_data){.x = x->data, .y = y->data, .features = x->shape[0], .n = x->shape[1]};
    for (int64_t i = 0; i < p->data.n; i++)
        if (p->data.y[i] >= p->data.classes)
            p->data.classes = p->data.y[i] + 1;
    p->strength = s->data;
    p->settings = s->shape[0];
    p->mix = cn_arrays_find(p->file, "mix")->data;
    p->objective = cn_arrays_find(p->file, "objective")->data;
}

/* F and the worst violation in parts of s m, in double, from the weights alone. */
static double measure(const problem *p, const multinomial *m, double s, double mix, double *violation)
{
    const int64_t n = p->data.n, d = p->data.features, c = p->data.classes;
    double *w = calloc((size_t)(c * d), sizeof *w), *r = calloc((size_t)(n * c), sizeof *r), loss = 0, worst = 0;
    int32_t *f = calloc((size_t)d, sizeof *f);
    double *v = calloc((size_t)d, sizeof *v), penalty = 0;
    for (int64_t k = 0; k < c; k++) {
        const int64_t count = multinomial_weights(m, k, d, f, v);
        for (int64_t j = 0; j < count; j++)
            w[k * d + f[j]] = v[j];
    }
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, z[16] = {0};
        for (int64_t k = 0; k < c; k++) {
            z[k] = multinomial_intercept(m, k);
            for (int64_t j = 0; j < d; j++)
                z[k] += w[k * d + j] * (double)p->data.x[j * n + i];
            sum += exp(z[k]);
        }
        loss += log(sum) - z[p->data.y[i]];
        for (int64_t k = 0; k < c; k++)
            r[i * c + k] = exp(z[k]) / sum - (p->data.y[i] == k);
    }
    for (int64_t k = 0; k < c; k++) {
        double g = 0;
        for (int64_t i = 0; i < n; i++)
            g += r[i * c + k] / (double)n;
        worst = fmax(worst, fabs(g));
        for (int64_t j = 0; j < d; j++) {
            const double x = w[k * d + j];
            g = s * (1 - mix) * x;
            for (int64_t i = 0; i < n; i++)
                g += r[i * c + k] * (double)p->data.x[j * n + i] / (double)n;
            worst = fmax(worst, x > 0 ? fabs(g + s * mix) : x < 0 ? fabs(g - s * mix) : fmax(0, fabs(g) - s * mix));
            penalty += s * (mix * fabs(x) + (1 - mix) / 2 * x * x);
        }
    }
    free(w), free(r), free(f), free(v);
    if (violation)
        *violation = worst / (s * mix);
    return loss / (double)n + penalty;
}

static const char *const names[] = {"small", "two", "wide"};

static void objectives_are_those_of_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        problem p = {0};
        open_problem(&p, names[i]);
        for (int64_t k = 0; k < p.settings; k++) {
            multinomial *m;
            multinomial_fit_result r;
            double violation;
            assert_int_equal(multinomial_create(&m, &p.data, p.mix[k], 1, NULL), CN_OK);
            assert_int_equal(multinomial_fit(m, p.strength[k], 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK);
            const double right = p.objective[k], f = measure(&p, m, p.strength[k], p.mix[k], &violation);
            if (!r.converged || fabs(f - right) > 1e-6 * right || fabs(r.objective - f) > 1e-6 * right || violation > 1e-3)
                fail_msg("%s, strength %g, mix %g: %.10g (says %.10g), not %.10g: %.2g relative, violation %g, %d passes", names[i],
                         p.strength[k], p.mix[k], f, r.objective, right, (f - right) / right, violation, r.passes);
            multinomial_free(m);
        }
        cn_arrays_close(p.file);
    }
}

static void a_path_with_warm_starts_ends_at_the_same_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        problem p = {0};
        multinomial *m;
        multinomial_fit_result r;
        open_problem(&p, names[i]);
        const int64_t last = 1;
        assert_int_equal(multinomial_create(&m, &p.data, p.mix[last], 2, NULL), CN_OK);
        const double strongest = multinomial_strongest(m);
        assert_int_equal(multinomial_fit(m, strongest * 1.000001, 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK);
        assert_int_equal(r.weights, 0);
        assert_int_equal(multinomial_fit(m, strongest * 0.99, 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK);
        assert_true(r.weights > 0);
        for (double s = strongest; s > p.strength[last]; s *= 0.8)
            assert_int_equal(multinomial_fit(m, s, 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK);
        assert_int_equal(multinomial_fit(m, p.strength[last], 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK);
        assert_true(fabs(measure(&p, m, p.strength[last], p.mix[last], NULL) - p.objective[last]) < 1e-6 * p.objective[last]);
        assert_true(r.working < p.data.features * p.data.classes); /* the rule left something out */
        assert_int_equal(multinomial_fit(m, p.strength[0], 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK); /* and back up */
        assert_true(fabs(measure(&p, m, p.strength[0], p.mix[0], NULL) - p.objective[0]) < 1e-6 * p.objective[0]);
        multinomial_free(m);
        cn_arrays_close(p.file);
    }
}

/* More rows than a task has, made of the rows of a small problem over and over: the same objective. */
static void threads_do_not_matter_and_many_rows_are_summed_right(void **state)
{
    (void)state;
    problem p = {0};
    open_problem(&p, "small");
    enum { TIMES = 9 };
    const int64_t n = p.data.n, d = p.data.features;
    float *x = calloc((size_t)(n * d * TIMES), sizeof *x);
    int32_t *y = calloc((size_t)(n * TIMES), sizeof *y);
    for (int64_t i = 0; i < n * TIMES; i++) {
        y[i] = p.data.y[i % n];
        for (int64_t j = 0; j < d; j++)
            x[j * n * TIMES + i] = p.data.x[j * n + i % n];
    }
    const multinomial_data many = {x, y, n * TIMES, d, p.data.classes};
    double w[2][3][64];
    int32_t f[2][3][64];
    memset(w, 0, sizeof w), memset(f, 0, sizeof f);
    for (int threads = 1; threads <= 3; threads += 2) {
        multinomial *m;
        multinomial_fit_result r;
        assert_int_equal(multinomial_create(&m, &many, 1, threads, NULL), CN_OK);
        assert_int_equal(multinomial_fit(m, p.strength[1], 1e-4, 2000, NULL, NULL, &r, NULL), CN_OK);
        assert_true(fabs(r.objective - p.objective[1]) < 1e-6 * p.objective[1]);
        for (int64_t k = 0; k < 3; k++)
            multinomial_weights(m, k, 64, f[threads / 2][k], w[threads / 2][k]);
        multinomial_free(m);
    }
    assert_memory_equal(w[0], w[1], sizeof w[0]);
    assert_memory_equal(f[0], f[1], sizeof f[0]);
    free(x), free(y);
    cn_arrays_close(p.file);
}

/* Units that are off but for a few pictures, as behind a ReLU: curvatures are next to nothing, so the first steps tried go to scores of thousands, where
 * exponentials end. From a cold start at a small strength the fit must end where a path of falling strengths does. */
static void far_steps_are_not_taken(void **state)
{
    (void)state;
    enum { CLASSES = 24, EACH = 5, N = CLASSES * EACH, FEATURES = 60 };
    static float x[FEATURES * N];
    static int32_t y[N];
    uint32_t random = 7;
    for (int i = 0; i < N; i++)
        y[i] = i % CLASSES;
    for (int f = 0; f < FEATURES; f++)
        for (int i = 0; i < N; i++) {
            random = random * 1664525u + 1013904223u;
            const bool mine = y[i] == f % CLASSES && random >> 28 > 2;
            x[f * N + i] = mine ? 8 + (float)(random >> 20 & 7) : random >> 24 < 6 ? 20 : -0.2f;
        }
    const multinomial_data data = {x, y, N, FEATURES, CLASSES};
    double objective[2];
    for (int warm = 0; warm < 2; warm++) {
        multinomial *m;
        multinomial_fit_result r;
        assert_int_equal(multinomial_create(&m, &data, 1, 1, NULL), CN_OK);
        const double strongest = multinomial_strongest(m), least = 1e-4 * strongest;
        for (double s = 0.8 * strongest; warm && s > least; s *= 0.8)
            assert_int_equal(multinomial_fit(m, s, 1e-3, 3000, NULL, NULL, &r, NULL), CN_OK);
        assert_int_equal(multinomial_fit(m, least, 1e-3, 3000, NULL, NULL, &r, NULL), CN_OK);
        print_message("  %s start: objective %.9g, violation %.2g after %d passes\n", warm ? "warm" : "cold", r.objective, r.violation, r.passes);
        assert_true(r.converged);
        assert_true(r.violation <= 1e-3);
        objective[warm] = r.objective;
        multinomial_free(m);
    }
    assert_true(fabs(objective[0] - objective[1]) < 1e-4 * objective[1]);
}

static bool never(void *user)
{
    return --*(int *)user > 0;
}

static void it_stops_when_asked_and_when_memory_is_short(void **state)
{
    (void)state;
    problem p = {0};
    open_problem(&p, "two");
    multinomial *m;
    multinomial_fit_result r;
    int left = 2;
    assert_int_equal(multinomial_create(&m, &p.data, 1, 1, NULL), CN_OK);
    assert_int_equal(multinomial_fit(m, p.strength[1], 1e-6, 2000, never, &left, &r, NULL), CN_ECANCELED);
    multinomial_free(m);
    bool done = false;
    for (size_t at = 1; !done; at++) {
        cn_memory_fail_at(at, false);
        cn_status st = multinomial_create(&m, &p.data, 1, 1, NULL);
        if (st == CN_OK)
            st = multinomial_fit(m, p.strength[0], 1e-4, 100, NULL, NULL, &r, NULL);
        done = cn_memory_count() < at;
        cn_memory_fail_at(0, false);
        assert_true(done ? st == CN_OK : st == CN_ENOMEM);
        multinomial_free(m);
    }
    cn_arrays_close(p.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_exponentials_are_those_of_doubles),
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(objectives_are_those_of_the_reference),
        cmocka_unit_test(a_path_with_warm_starts_ends_at_the_same_place),
        cmocka_unit_test(threads_do_not_matter_and_many_rows_are_summed_right),
        cmocka_unit_test(far_steps_are_not_taken),
        cmocka_unit_test(it_stops_when_asked_and_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
