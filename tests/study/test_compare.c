/* Two studies of one model against the same computed from their matrices. */
#include "clipneuron/array.h"
#include "clipneuron/ask.h"
#include "clipneuron/image.h"
#include "fake.h"
#include "study/finebins.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { EACH_A = 15, EACH_B = 20, MOST = 2 * EACH_B };

static void scan(const char *dir, const char *fingerprint, const cn_scan_options *options)
{
    source s;
    cn_error err = {0};
    fake_open(&s, fingerprint, 8);
    const cn_status st = scan_source(&s, tempdir_path(dir, "pics"), tempdir_path(dir, "study"), options, NULL, &err);
    s.close(&s);
    if (st != CN_OK)
        fail_msg("%s", err.text);
}

/* Two folders, each with a collection and its study; B's is the larger one. */
static int setup(void **state)
{
    char **dirs = calloc(2, sizeof *dirs);
    for (int i = 0; i < 2; i++) {
        dirs[i] = tempdir_make();
        fake_collection(dirs[i], i ? EACH_B : EACH_A);
        scan(dirs[i], "f00d", NULL);
    }
    *state = dirs;
    return 0;
}

static int teardown(void **state)
{
    char **dirs = *state;
    tempdir_remove(dirs[0]);
    tempdir_remove(dirs[1]);
    free(dirs);
    return 0;
}

static void open_both(char **dirs, cn_study *s[2])
{
    for (int i = 0; i < 2; i++) {
        cn_error err = {0};
        if (cn_study_open(&s[i], tempdir_path(dirs[i], "study"), &err) != CN_OK)
            fail_msg("%s", err.text);
    }
}

static void close_both(cn_study *s[2])
{
    cn_study_close(s[0]);
    cn_study_close(s[1]);
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct values {
    double x[MOST]; /* sorted */
    int n;
    double mean, variance, share;
} values;

static void read_values(const char *dir, const char *site, int64_t unit, values *v)
{
    char name[64];
    cn_arrays *a;
    static float all[MOST * FAKE_UNITS];
    snprintf(name, sizeof name, "study/%s.mean.npy", site);
    assert_int_equal(cn_arrays_open(&a, tempdir_path(dir, name), NULL), CN_OK);
    v->n = (int)cn_arrays_at(a, 0)->shape[0];
    cn_tensor_read_f32(cn_arrays_at(a, 0), all);
    cn_arrays_close(a);
    v->mean = v->variance = v->share = 0;
    for (int i = 0; i < v->n; i++) {
        v->x[i] = (double)all[i * FAKE_UNITS + unit];
        v->mean += v->x[i] / v->n;
        v->share += (v->x[i] > 0) / (double)v->n;
    }
    for (int i = 0; i < v->n; i++)
        v->variance += (v->x[i] - v->mean) * (v->x[i] - v->mean) / (v->n - 1); /* the sample's */
    qsort(v->x, (size_t)v->n, sizeof *v->x, rising);
}

static double below(const values *v, double x) /* the share of values up to x */
{
    int n = 0;
    for (int i = 0; i < v->n; i++)
        n += v->x[i] <= x;
    return (double)n / v->n;
}

static double true_ks(const values *a, const values *b)
{
    double most = 0;
    for (int i = 0; i < a->n; i++)
        most = fmax(most, fabs(below(a, a->x[i]) - below(b, a->x[i])));
    for (int i = 0; i < b->n; i++)
        most = fmax(most, fabs(below(a, b->x[i]) - below(b, b->x[i])));
    return most;
}

/* Groups as the manual has them: bins from below, a new group whenever another 32nd of both together is full. */
static double true_js(const values *a, const values *b, int *groups)
{
    double p = 0, q = 0, full_p = 0, full_q = 0, js = 0;
    *groups = 0;
    for (size_t bin = 0; bin < FINEBINS; bin++) {
        double x = 0, y = 0;
        for (int i = 0; i < a->n; i++)
            x += finebins_index((float)a->x[i]) == bin;
        for (int i = 0; i < b->n; i++)
            y += finebins_index((float)b->x[i]) == bin;
        if (x == 0 && y == 0)
            continue;
        p += x / a->n, q += y / b->n;
        if (p + q < 2.0 * (*groups + 1) / 32 - 1e-9)
            continue;
        const double g = p - full_p, h = q - full_q, m = (g + h) / 2;
        js += (g > 0 ? g * log(g / m) : 0) / 2 / log(2) + (h > 0 ? h * log(h / m) : 0) / 2 / log(2);
        full_p = p, full_q = q;
        ++*groups;
    }
    assert_true(fabs(full_p - 1) < 1e-9 && fabs(full_q - 1) < 1e-9);
    return js;
}

static void differences_equal_those_of_the_matrices(void **state)
{
    char **dirs = *state;
    cn_study *s[2];
    cn_unit_difference *d;
    size_t n;
    open_both(dirs, s);
    assert_int_equal(cn_studies_compare(s[0], s[1], NULL, CN_DIFFERENCE_UNIT, 0, &d, &n, NULL), CN_OK);
    assert_int_equal(n, 3 * (FAKE_UNITS - 1)); /* the last unit is dead in both */
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        values a, b;
        int groups;
        const char *site = cn_study_site_at(s[0], d[i].a.site)->short_name;
        assert_true(d[i].a.site == d[i].b.site && d[i].a.unit == d[i].b.unit);
        read_values(dirs[0], site, d[i].a.unit, &a);
        read_values(dirs[1], site, d[i].a.unit, &b);
        const double pooled = sqrt(((a.n - 1) * a.variance + (b.n - 1) * b.variance) / (a.n + b.n - 2));
        const double cohen = (b.mean - a.mean) / pooled, error = sqrt(1.0 / a.n + 1.0 / b.n + cohen * cohen / (2.0 * (a.n + b.n)));
        assert_true(fabs(d[i].d - cohen) < 1e-6);
        assert_true(fabs(d[i].d_error - error) < 1e-6);
        assert_true(fabs(d[i].z - cohen / error) < 1e-5);
        assert_true(fabs(d[i].share_a - a.share) < 1e-12 && fabs(d[i].share_b - b.share) < 1e-12);
        const double ks = true_ks(&a, &b), js = true_js(&a, &b, &groups);
        assert_true(d[i].ks <= ks + 1e-12 && ks <= d[i].ks_most + 1e-12);
        assert_true(fabs(d[i].js - js) < 1e-9);
        assert_true(fabs(d[i].js_chance - (groups - 1) * (1.0 / a.n + 1.0 / b.n) / 8 / log(2)) < 1e-12);
        most = fmax(most, ks);
    }
    assert_true(most > 0.05); /* the collections do differ */
    cn_unit_differences_free(d);
    close_both(s);
}

static void a_study_does_not_differ_from_itself(void **state)
{
    char **dirs = *state;
    cn_study *s[2];
    cn_unit_difference *d;
    size_t n;
    char *same[2] = {dirs[0], dirs[0]};
    open_both(same, s);
    assert_int_equal(cn_studies_compare(s[0], s[1], NULL, CN_DIFFERENCE_D, 0, &d, &n, NULL), CN_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(d[i].d == 0 && d[i].z == 0 && d[i].ks < 1e-12 && d[i].js < 1e-12 && !d[i].label_changed && d[i].js_chance > 0);
    cn_unit_differences_free(d);
    close_both(s);
}

static void orders_and_limits_sort_differences(void **state)
{
    char **dirs = *state;
    cn_study *s[2];
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tempdir_path(dirs[1], "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE units SET label = 1 - label WHERE unit = 1 AND site = 0", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    open_both(dirs, s);
    for (cn_difference_order o = CN_DIFFERENCE_D; o <= CN_DIFFERENCE_UNIT; o++) {
        cn_unit_difference *d;
        size_t n, changed = 0;
        assert_int_equal(cn_studies_compare(s[0], s[1], "layer4.0.add", o, 4, &d, &n, NULL), CN_OK);
        assert_int_equal(n, 4);
        for (size_t i = 0; i < n; i++) {
            const cn_unit_difference *x = i ? &d[i - 1] : &d[i], *y = &d[i];
            changed += y->label_changed;
            assert_true(o != CN_DIFFERENCE_D || fabs(y->d) <= fabs(x->d));
            assert_true(o != CN_DIFFERENCE_Z || fabs(y->z) <= fabs(x->z));
            assert_true(o != CN_DIFFERENCE_SHARE || fabs(y->share_b - y->share_a) <= fabs(x->share_b - x->share_a));
            assert_true(o != CN_DIFFERENCE_KS || y->ks <= x->ks);
            assert_true(o != CN_DIFFERENCE_JS || y->js <= x->js);
            assert_true(o != CN_DIFFERENCE_LABEL || y->label_changed <= x->label_changed);
            assert_true(o != CN_DIFFERENCE_UNIT || y->a.unit == (int64_t)i);
            assert_true(y->label_changed == (strcmp(y->label_a, y->label_b) != 0));
        }
        assert_true(o != CN_DIFFERENCE_LABEL || (d[0].label_changed && changed > 0));
        cn_unit_differences_free(d);
    }
    close_both(s);
}

static void a_unit_that_is_dead_in_one_study_is_compared_as_a_single_value(void **state)
{
    char **dirs = *state;
    cn_study *s[2];
    cn_unit_difference *d;
    size_t n;
    sqlite3 *db;
    values b;
    assert_int_equal(sqlite3_open(tempdir_path(dirs[0], "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE units SET dead = 1, mean = 0.5, sd = 0, rms = 0.5, min = 0.5, max = 0.5 WHERE site = 0 AND unit = 2;"
                                  "DELETE FROM histograms WHERE site = 0 AND unit = 2",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    open_both(dirs, s);
    assert_int_equal(cn_studies_compare(s[0], s[1], "layer4.0.add", CN_DIFFERENCE_UNIT, 0, &d, &n, NULL), CN_OK);
    assert_int_equal(n, FAKE_UNITS - 1);
    read_values(dirs[1], "layer4.0.add", 2, &b);
    const double share = below(&b, 0.5), before = below(&b, 0.4999), ks = fmax(before, 1 - share);
    assert_true(d[2].dead_a && !d[2].dead_b);
    assert_true(d[2].ks <= ks + 1e-12 && ks <= d[2].ks_most + 1e-12);
    assert_true(d[2].d != 0 && isfinite(d[2].d));
    cn_unit_differences_free(d);
    close_both(s);
}

static void studies_that_cannot_be_compared_are_refused_with_the_reason(void **state)
{
    char **dirs = *state;
    cn_study *s[2];
    cn_unit_difference *d;
    size_t n;
    cn_error err = {0};
    open_both(dirs, s);
    assert_int_equal(cn_studies_compare(s[0], s[1], "layer3", CN_DIFFERENCE_D, 0, &d, &n, &err), CN_ENOTFOUND);
    cn_error_clear(&err);
    assert_int_equal(cn_studies_compare(s[0], s[1], "layer4:2", CN_DIFFERENCE_D, 0, &d, &n, &err), CN_EINVAL);
    assert_null(d);
    close_both(s);
    static const struct {
        const char *sql, *says;
        cn_status st;
    } cases[] = {
        {"UPDATE meta SET value = 'max' WHERE key = 'reduce'", "--reduce max: their numbers", CN_EMISMATCH},
        {"UPDATE meta SET value = 'mean' WHERE key = 'reduce'; UPDATE sites SET name = 'visual.elsewhere.' || id", "no site in common", CN_EMISMATCH},
        {"UPDATE sites SET name = 'visual.layer4.0.add', units = 5 WHERE id = 0", "5 in", CN_EMISMATCH},
        {"UPDATE sites SET units = 6 WHERE id = 0; DELETE FROM units WHERE site = 0 AND unit = 1", "damaged", CN_EFORMAT},
        {"INSERT INTO units SELECT site, 1, count, mean, 9e999, rms, min, max, positive, kurtosis, dead, label, label_hits, purity, surprise,"
         " label_z, media, media_count, reads, score FROM units WHERE site = 0 AND unit = 0",
         "damaged", CN_EFORMAT},
        {"UPDATE units SET sd = rms; UPDATE histograms SET bins = x'0000000001000000' WHERE unit = 3", "damaged", CN_EFORMAT},
        {"DELETE FROM histograms WHERE unit = 3", "damaged", CN_EFORMAT},
        {"UPDATE meta SET value = 'beef' WHERE key = 'fingerprint'", "(f00d and beef)", CN_EMISMATCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sqlite3 *db;
        char *message = NULL;
        assert_int_equal(sqlite3_open(tempdir_path(dirs[1], "study/study.sqlite"), &db), SQLITE_OK);
        if (sqlite3_exec(db, cases[i].sql, NULL, NULL, &message) != SQLITE_OK)
            fail_msg("%s", message);
        sqlite3_close(db);
        open_both(dirs, s);
        cn_error_clear(&err);
        assert_int_equal(cn_studies_compare(s[0], s[1], NULL, CN_DIFFERENCE_D, 0, &d, &n, &err), cases[i].st);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].sql, err.text);
        assert_null(d);
        close_both(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(differences_equal_those_of_the_matrices),
        T(a_study_does_not_differ_from_itself),
        T(orders_and_limits_sort_differences),
        T(a_unit_that_is_dead_in_one_study_is_compared_as_a_single_value),
        T(studies_that_cannot_be_compared_are_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
