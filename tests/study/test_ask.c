/* Questions to a study against the same computed from its matrices: quantiles within their bounds, buckets, regions, pictures of
 * units, units of pictures; and studies that were damaged. */
#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/ask.h"
#include "fake.h"
#include "image/picture.h"
#include "study/finebins.h"
#include "study/float16.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 15, IMAGES = 2 * EACH };

static int setup(void **state)
{
    *state = tempdir_make();
    fake_collection(*state, EACH);
    fake_scan(*state, "study", NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    tempdir_remove(*state);
    return 0;
}

static cn_study *open_study(const char *dir, const char *name)
{
    cn_study *s;
    cn_error err = {0};
    if (cn_study_open(&s, tempdir_path(dir, name), &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

static void sql(const char *dir, const char *text)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", text, message);
    sqlite3_close(db);
}

static void read_means(const char *dir, const char *site, float values[IMAGES * FAKE_UNITS])
{
    char name[64];
    cn_arrays *a;
    snprintf(name, sizeof name, "study/%s.mean.npy", site);
    assert_int_equal(cn_arrays_open(&a, tempdir_path(dir, name), NULL), CN_OK);
    cn_tensor_read_f32(cn_arrays_at(a, 0), values);
    cn_arrays_close(a);
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One unit's values, sorted. */
static void column(const float *values, int unit, double out[IMAGES])
{
    for (int i = 0; i < IMAGES; i++)
        out[i] = values[i * FAKE_UNITS + unit];
    qsort(out, IMAGES, sizeof *out, rising);
}

static double rms_of(const double *x)
{
    double square = 0;
    for (int i = 0; i < IMAGES; i++)
        square += x[i] * x[i] / IMAGES;
    return sqrt(square);
}

/* ---- the histogram ---- */

static void quantiles_enclose_the_values_of_the_matrix(void **state)
{
    const char *dir = *state;
    static const double shares[] = {0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1};
    enum { N = sizeof shares / sizeof *shares };
    float values[IMAGES * FAKE_UNITS];
    double x[IMAGES];
    cn_study *s = open_study(dir, "study");
    read_means(dir, "layer4.0.add", values);
    for (int u = 0; u < FAKE_UNITS - 1; u++) {
        cn_quantile q[N];
        column(values, u, x);
        assert_int_equal(cn_study_quantiles(s, (cn_unit_ref){0, u}, shares, N, q, NULL), CN_OK);
        for (int i = 0; i < N; i++) {
            int k = (int)ceil(shares[i] * IMAGES - 1e-9);
            const double truth = x[k > 0 ? k - 1 : 0];
            assert_true(q[i].share == shares[i]);
            assert_true(q[i].low <= truth && truth <= q[i].high);
            assert_true(q[i].low <= q[i].value && q[i].value <= q[i].high);
            assert_true(q[i].high - q[i].low <= fmax(fabs(truth) / 127, ldexp(1, -13))); /* the bound of the manual */
            assert_true(fabs(q[i].sd - q[i].value / rms_of(x)) < 1e-6);
        }
        assert_true(q[0].value == x[0] && q[N - 1].value == x[IMAGES - 1]);
    }
    cn_study_close(s);
}

static void quantiles_of_a_dead_unit_are_its_value_and_bad_shares_are_refused(void **state)
{
    const char *dir = *state;
    const double half = 0.5, above = 1.5;
    cn_quantile q;
    cn_error err = {0};
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_quantiles(s, (cn_unit_ref){0, FAKE_UNITS - 1}, &half, 1, &q, NULL), CN_OK);
    assert_true(q.value == 0.25 && q.low == 0.25 && q.high == 0.25);
    assert_int_equal(cn_study_quantiles(s, (cn_unit_ref){0, 0}, &above, 1, &q, &err), CN_EINVAL);
    assert_int_equal(cn_study_quantiles(s, (cn_unit_ref){0, FAKE_UNITS}, &half, 1, &q, NULL), CN_EINVAL);
    cn_study_close(s);
}

static void bins_count_every_value_once(void **state)
{
    const char *dir = *state;
    float values[IMAGES * FAKE_UNITS];
    double x[IMAGES];
    cn_study *s = open_study(dir, "study");
    read_means(dir, "layer4.0.add", values);
    for (int u = 0; u < FAKE_UNITS; u++) {
        cn_bin *b;
        size_t n;
        int64_t total = 0;
        column(values, u, x);
        assert_int_equal(cn_study_bins(s, (cn_unit_ref){0, u}, &b, &n, NULL), CN_OK);
        for (size_t i = 0; i < n; i++) {
            int inside = 0;
            for (int k = 0; k < IMAGES; k++) {
                double low, high;
                finebins_edges(finebins_index((float)x[k]), &low, &high);
                inside += x[k] >= b[i].low && x[k] <= b[i].high && low <= b[i].low && b[i].high <= high;
            }
            assert_int_equal(b[i].count, inside);
            assert_true(i == 0 || b[i].low >= b[i - 1].high);
            total += b[i].count;
        }
        assert_int_equal(total, u == FAKE_UNITS - 1 ? 0 : IMAGES);
        cn_bins_free(b);
    }
    cn_study_close(s);
}

static void buckets_divide_the_range_and_count_the_pictures(void **state)
{
    const char *dir = *state;
    float values[IMAGES * FAKE_UNITS];
    double x[IMAGES];
    cn_bucket *b;
    size_t n;
    cn_study *s = open_study(dir, "study");
    read_means(dir, "layer4.0.add", values);
    for (int u = 0; u < FAKE_UNITS - 1; u++) {
        int64_t total = 0;
        column(values, u, x);
        assert_int_equal(cn_study_buckets(s, (cn_unit_ref){0, u}, &b, &n, NULL), CN_OK);
        assert_int_equal(n, 10);
        assert_true(b[0].low == x[0] && b[9].high == x[IMAGES - 1]);
        for (size_t i = 0; i < n; i++) {
            int64_t least = 0, most = 0; /* pictures certainly in it, and perhaps in it */
            for (int k = 0; k < IMAGES; k++) {
                const double slack = fmax(fabs(x[k]) * 0.008, 2e-4);
                const bool first = i == 0, last = i + 1 == n;
                least += (first || x[k] - slack >= b[i].low) && (last || x[k] + slack < b[i].high);
                most += (first || x[k] + slack >= b[i].low) && (last || x[k] - slack < b[i].high);
            }
            assert_in_range(b[i].images, least, most);
            assert_true(fabs(b[i].low_sd * rms_of(x) - b[i].low) < 1e-6);
            assert_true(i == 0 || b[i].low == b[i - 1].high);
            total += b[i].images;
        }
        assert_int_equal(total, IMAGES);
        cn_buckets_free(b);
    }
    assert_int_equal(cn_study_buckets(s, (cn_unit_ref){0, FAKE_UNITS - 1}, &b, &n, NULL), CN_OK);
    assert_null(b);
    assert_int_equal(n, 0);
    cn_study_close(s);
}

/* ---- regions ---- */

static void the_crop_box_undoes_resize_and_crop(void **state)
{
    (void)state;
    double left, top, right, bottom;
    picture_crop(200, 100, 50, &left, &top, &right, &bottom); /* halved, then the middle 50 of 100 */
    assert_true(left == 50 && right == 150 && top == 0 && bottom == 100);
    picture_crop(30, 120, 60, &left, &top, &right, &bottom);
    assert_true(left == 0 && right == 30 && top == 45 && bottom == 75);
    picture_crop(24, 24, 24, &left, &top, &right, &bottom);
    assert_true(left == 0 && right == 24 && top == 0 && bottom == 24);
    for (int w = 1; w < 40; w++)
        for (int h = 1; h < 40; h++) {
            double l, t, side;
            const cn_image image = {.width = w, .height = h};
            picture_crop(w, h, 32, &left, &top, &right, &bottom);
            cn_image_crop_box(&image, 32, &l, &t, &side);
            assert_true(fabs(left - l) < 1e-9 && fabs(top - t) < 1e-9);
            assert_true(left >= 0 && top >= 0 && right <= w + 1e-9 && bottom <= h + 1e-9);
            const double rounding = (double)(w < h ? w : h) / 32; /* the longer side was cut to whole pixels */
            assert_true(fabs(right - left - side) <= rounding && fabs(bottom - top - side) <= rounding);
        }
}

static void the_region_hangs_together_and_lies_where_the_picture_has_it(void **state)
{
    const char *dir = *state;
    /* (3, 3): the peak and a neighbour; a cell that is as strong but apart; the site's input is 24 px */
    const float map[] = {8, 5, 0, 0, 3, 0, -9, 0, 7};
    cn_example e = {.map = map, .width = 48, .height = 24};
    cn_region r;
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_example_region(s, 0, CN_EXAMPLE_TOP, &e, &r, NULL), CN_OK);
    assert_int_equal(r.cells, 2);
    assert_true(r.row == 0 && r.column == 0);
    assert_true(r.top == 0 && r.left == 0 && r.bottom == 1 && r.right == 2);
    assert_true(r.input.left == 0 && r.input.top == 0 && r.input.right == 16 && r.input.bottom == 8);
    assert_true(r.picture.left == 12 && r.picture.top == 0 && r.picture.right == 28 && r.picture.bottom == 8);
    assert_int_equal(cn_example_region(s, 0, CN_EXAMPLE_BOTTOM, &e, &r, NULL), CN_OK);
    assert_int_equal(r.cells, 1);
    assert_true(r.row == 2 && r.column == 0 && r.top == 2 && r.left == 0 && r.bottom == 3 && r.right == 1);
    e.width = 0; /* the study does not know */
    assert_int_equal(cn_example_region(s, 0, CN_EXAMPLE_TOP, &e, &r, NULL), CN_OK);
    assert_true(r.cells == 2 && r.picture.right == 0 && r.input.right == 16);
    e.map = NULL;
    assert_int_equal(cn_example_region(s, 0, CN_EXAMPLE_TOP, &e, &r, NULL), CN_OK);
    assert_int_equal(r.cells, 0);
    assert_int_equal(cn_example_region(s, 9, CN_EXAMPLE_TOP, &e, &r, NULL), CN_EINVAL);
    cn_study_close(s);
}

static void examples_know_the_size_of_their_picture(void **state)
{
    const char *dir = *state;
    cn_example *e;
    size_t n;
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_examples(s, (cn_unit_ref){0, 0}, CN_EXAMPLE_TOP, &e, &n, NULL), CN_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(e[i].width == FAKE_RESOLUTION && e[i].height == FAKE_RESOLUTION);
    cn_examples_free(e);
    cn_study_close(s);
}

/* ---- the study, units ---- */

static void the_summary_counts_duplicates_failures_and_bytes(void **state)
{
    const char *dir = *state;
    size_t size;
    cn_study_summary sum;
    cn_tally *t;
    cn_run *r;
    size_t n;
    free(tempdir_read(tempdir_path(dir, "study/study.sqlite"), &size));
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_summarise(s, &sum, NULL), CN_OK);
    assert_int_equal(sum.database_bytes, size);
    assert_true(sum.matrix_bytes > (int64_t)sizeof(float) * IMAGES * FAKE_UNITS * 6);
    assert_string_equal(sum.matrices, "f32");
    assert_int_equal(sum.dead, 3);
    assert_int_equal(sum.duplicates, 0);
    assert_true(sum.visualisations == 0 && sum.notes == 0);
    assert_int_equal(cn_study_tallies(s, CN_TALLY_LABEL, &t, &n, NULL), CN_OK);
    assert_int_equal(n, 2);
    assert_string_equal(t[0].name, "green");
    assert_int_equal(t[0].count, EACH);
    cn_tallies_free(t);
    assert_int_equal(cn_study_tallies(s, CN_TALLY_MEDIUM, &t, &n, NULL), CN_OK);
    assert_int_equal(n, 2);
    assert_int_equal(t[0].count + t[1].count, IMAGES);
    cn_tallies_free(t);
    assert_int_equal(cn_study_tallies(s, CN_TALLY_REASON, &t, &n, NULL), CN_OK);
    assert_int_equal(n, 1);
    assert_int_equal(t[0].count, 1);
    cn_tallies_free(t);
    assert_int_equal(cn_study_runs(s, &r, &n, NULL), CN_OK);
    assert_int_equal(n, 1);
    assert_int_equal(r[0].images, IMAGES);
    assert_int_equal(r[0].failed, 1);
    assert_string_equal(r[0].shard, "1/1");
    cn_runs_free(r);
    cn_study_close(s);
    sql(dir, "UPDATE images SET same_as = 0 WHERE id IN (3, 4); INSERT INTO failures VALUES ('a', 'x'), ('b', 'x')");
    s = open_study(dir, "study");
    assert_int_equal(cn_study_summarise(s, &sum, NULL), CN_OK);
    assert_int_equal(sum.duplicates, 2);
    assert_int_equal(cn_study_tallies(s, CN_TALLY_REASON, &t, &n, NULL), CN_OK);
    assert_int_equal(n, 2);
    assert_string_equal(t[0].name, "x"); /* the most frequent first */
    assert_int_equal(t[0].count, 2);
    cn_tallies_free(t);
    cn_study_close(s);
}

static void units_are_found_by_label_and_purity_in_every_order(void **state)
{
    const char *dir = *state;
    cn_unit_row *all, *r;
    size_t n_all, n;
    cn_error err = {0};
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_units(s, 0, CN_ORDER_UNIT, 0, &all, &n_all, NULL), CN_OK);
    for (cn_unit_order o = CN_ORDER_INTERESTING; o <= CN_ORDER_WORD; o++) {
        const cn_unit_query query = {.order = o, .label = "green", .min_purity = 0.9};
        size_t expected = 0;
        for (size_t i = 0; i < n_all; i++)
            expected += strcmp(all[i].label, "green") == 0 && all[i].purity >= 0.9 && (o == CN_ORDER_UNIT || !all[i].dead) &&
                        (o != CN_ORDER_INTERESTING || all[i].max > 0);
        assert_in_range(expected, 1, n_all - 1);
        assert_int_equal(cn_study_find_units(s, 0, &query, &r, &n, NULL), CN_OK);
        assert_int_equal(n, expected);
        for (size_t i = 1; i < n; i++) {
            assert_true(o != CN_ORDER_SD || r[i].sd <= r[i - 1].sd);
            assert_true(o != CN_ORDER_MEAN || r[i].mean <= r[i - 1].mean);
            assert_true(o != CN_ORDER_WORD || strcmp(r[i].word, r[i - 1].word) >= 0);
        }
        cn_unit_rows_free(r);
    }
    cn_unit_rows_free(all);
    assert_int_equal(cn_study_units(s, 0, CN_ORDER_SD, 0, &r, &n, NULL), CN_OK);
    assert_int_equal(n, FAKE_UNITS - 1);
    for (size_t i = 1; i < n; i++)
        assert_true(r[i].sd <= r[i - 1].sd);
    cn_unit_rows_free(r);
    assert_int_equal(cn_study_find_units(s, 0, &(cn_unit_query){.label = "blue"}, &r, &n, &err), CN_ENOTFOUND);
    assert_null(r);
    assert_non_null(strstr(err.text, "\"blue\""));
    assert_non_null(strstr(err.text, "green, red"));
    cn_error_clear(&err);
    assert_int_equal(cn_study_find_units(s, 0, &(cn_unit_query){.min_purity = 2}, &r, &n, &err), CN_EINVAL);
    assert_int_equal(cn_study_find_units(s, 7, NULL, &r, &n, NULL), CN_EINVAL);
    cn_study_close(s);
}

/* ---- pictures ---- */

static void pictures_of_units_equal_the_sums_of_the_matrix(void **state)
{
    const char *dir = *state;
    static float values[2][IMAGES * FAKE_UNITS];
    const cn_unit_ref units[] = {{0, 0}, {1, 2}, {0, 3}};
    double rms[3], x[IMAGES], total[IMAGES];
    cn_picture *p;
    size_t n;
    read_means(dir, "layer4.0.add", values[0]);
    read_means(dir, "tokens", values[1]);
    for (int k = 0; k < 3; k++) {
        column(values[units[k].site], (int)units[k].unit, x);
        rms[k] = rms_of(x);
    }
    for (int i = 0; i < IMAGES; i++) {
        total[i] = 0;
        for (int k = 0; k < 3; k++)
            total[i] += (double)values[units[k].site][i * FAKE_UNITS + units[k].unit] / rms[k];
    }
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_pictures_of_units(s, units, 3, 0, &p, &n, NULL), CN_OK);
    assert_int_equal(n, IMAGES);
    bool seen[IMAGES] = {false};
    for (size_t i = 0; i < n; i++) {
        assert_false(seen[p[i].image]);
        seen[p[i].image] = true;
        assert_true(fabs(p[i].total - total[p[i].image]) < 1e-9);
        assert_true(i == 0 || p[i].total < p[i - 1].total || (p[i].total == p[i - 1].total && p[i].image > p[i - 1].image));
        for (int k = 0; k < 3; k++)
            assert_true(fabs(p[i].sd[k] - (double)values[units[k].site][p[i].image * FAKE_UNITS + units[k].unit] / rms[k]) < 1e-9);
        assert_string_equal(p[i].label, strncmp(p[i].path, "red", 3) == 0 ? "red" : "green");
    }
    for (size_t limit = 1; limit < 9; limit++) { /* the first of the same list */
        cn_picture *first;
        size_t m;
        assert_int_equal(cn_study_pictures_of_units(s, units, 3, limit, &first, &m, NULL), CN_OK);
        assert_int_equal(m, limit);
        for (size_t i = 0; i < m; i++)
            assert_int_equal(first[i].image, p[i].image);
        cn_pictures_free(first);
    }
    cn_pictures_free(p);
    cn_study_close(s);
}

static void pictures_of_one_unit_begin_as_its_examples_do(void **state)
{
    const char *dir = *state;
    cn_picture *p;
    cn_example *e;
    size_t n, m;
    cn_study *s = open_study(dir, "study");
    const cn_unit_ref unit = {0, 1};
    assert_int_equal(cn_study_pictures_of_units(s, &unit, 1, 24, &p, &n, NULL), CN_OK);
    assert_int_equal(cn_study_examples(s, unit, CN_EXAMPLE_TOP, &e, &m, NULL), CN_OK);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(p[i].image, e[i].image);
        assert_true(fabs(p[i].total - e[i].sd) < 1e-9);
    }
    cn_pictures_free(p);
    cn_examples_free(e);
    cn_study_close(s);
}

static void questions_about_pictures_that_cannot_be_answered_are_refused(void **state)
{
    const char *dir = *state;
    cn_picture *p;
    size_t n;
    cn_unit_ref units[CN_MAX_ASK_UNITS + 1] = {{0, 0}};
    cn_error err = {0};
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_pictures_of_units(s, units, 0, 0, &p, &n, NULL), CN_EINVAL);
    assert_int_equal(cn_study_pictures_of_units(s, units, CN_MAX_ASK_UNITS + 1, 0, &p, &n, NULL), CN_EINVAL);
    assert_int_equal(cn_study_pictures_of_units(s, units, CN_MAX_ASK_UNITS, 1, &p, &n, NULL), CN_OK);
    cn_pictures_free(p);
    units[0].unit = FAKE_UNITS - 1;
    assert_int_equal(cn_study_pictures_of_units(s, units, 1, 0, &p, &n, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "constant"));
    assert_null(p);
    units[0] = (cn_unit_ref){5, 0};
    assert_int_equal(cn_study_pictures_of_units(s, units, 1, 0, &p, &n, NULL), CN_EINVAL);
    cn_study_close(s);
    /* without matrices, and with those of another study */
    units[0] = (cn_unit_ref){0, 0};
    assert_int_equal(unlink(tempdir_path(dir, "study/layer4.0.add.mean.npy")), 0);
    s = open_study(dir, "study");
    cn_error_clear(&err);
    assert_int_equal(cn_study_pictures_of_units(s, units, 1, 0, &p, &n, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "without matrices"));
    static const float few[2 * FAKE_UNITS];
    const int64_t shape[] = {2, FAKE_UNITS};
    assert_int_equal(cn_npy_write(tempdir_path(dir, "study/layer4.0.add.mean.npy"), CN_DTYPE_F32, 2, shape, few, NULL), CN_OK);
    assert_int_equal(cn_study_pictures_of_units(s, units, 1, 0, &p, &n, NULL), CN_EFORMAT);
    static float bad[IMAGES * FAKE_UNITS];
    const int64_t whole[] = {IMAGES, FAKE_UNITS};
    bad[7 * FAKE_UNITS] = INFINITY;
    assert_int_equal(cn_npy_write(tempdir_path(dir, "study/layer4.0.add.mean.npy"), CN_DTYPE_F32, 2, whole, bad, NULL), CN_OK);
    cn_error_clear(&err);
    assert_int_equal(cn_study_pictures_of_units(s, units, 1, 0, &p, &n, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "not finite on picture 7"));
    tempdir_text(dir, "study/layer4.0.add.mean.npy", "rubbish");
    assert_int_equal(cn_study_pictures_of_units(s, units, 1, 0, &p, &n, NULL), CN_EFORMAT);
    cn_study_close(s);
}

static void half_matrices_answer_as_well(void **state)
{
    const char *dir = *state;
    const cn_scan_options o = {.matrices = CN_DTYPE_F16, .force = true};
    const cn_unit_ref unit = {0, 0};
    cn_picture *full, *half;
    size_t n, m;
    cn_study *s = open_study(dir, "study");
    assert_int_equal(cn_study_pictures_of_units(s, &unit, 1, 5, &full, &n, NULL), CN_OK);
    cn_study_close(s);
    fake_scan(dir, "half", &o, NULL);
    s = open_study(dir, "half");
    assert_int_equal(cn_study_pictures_of_units(s, &unit, 1, 5, &half, &m, NULL), CN_OK);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++)
        assert_true(fabs(full[i].total - half[i].total) <= fabs(full[i].total) / 1024);
    cn_pictures_free(full);
    cn_pictures_free(half);
    cn_study_close(s);
}

static void units_of_a_picture_equal_its_row(void **state)
{
    const char *dir = *state;
    float values[IMAGES * FAKE_UNITS];
    double x[IMAGES];
    cn_fired_unit *f;
    size_t n;
    bool complete;
    cn_study *s = open_study(dir, "study");
    read_means(dir, "layer4.0.add", values);
    for (int64_t image = 0; image < IMAGES; image += 7) {
        assert_int_equal(cn_study_units_of_picture(s, image, 0, 0, &f, &n, &complete, NULL), CN_OK);
        assert_true(complete);
        assert_int_equal(n, FAKE_UNITS - 1); /* not the dead one */
        for (size_t i = 0; i < n; i++) {
            const int unit = (int)f[i].ref.unit;
            const double value = values[image * FAKE_UNITS + unit];
            int above = 0, same = 0;
            column(values, unit, x);
            for (int k = 0; k < IMAGES; k++) {
                above += x[k] > value;
                same += x[k] > value && finebins_index((float)x[k]) == finebins_index((float)value);
            }
            assert_true(fabs(f[i].value - value) <= 1e-6 * fabs(value));
            assert_true(fabs(f[i].sd - value / rms_of(x)) < 1e-6);
            assert_true(i == 0 || f[i].sd <= f[i - 1].sd);
            assert_true(fabs(f[i].share_above - (double)(above - same) / IMAGES) < 1e-12);
            assert_true(f[i].rank == -1 || (f[i].rank >= above && f[i].rank < 24));
            assert_true(f[i].rank >= 0 || above >= 24);
        }
        cn_fired_units_free(f);
    }
    assert_int_equal(cn_study_units_of_picture(s, 3, 0, 2, &f, &n, &complete, NULL), CN_OK);
    assert_int_equal(n, 2);
    cn_fired_units_free(f);
    assert_int_equal(cn_study_units_of_picture(s, IMAGES, 0, 2, &f, &n, &complete, NULL), CN_EINVAL);
    assert_int_equal(cn_study_units_of_picture(s, 0, 3, 2, &f, &n, &complete, NULL), CN_EINVAL);
    cn_study_close(s);
    /* what the examples know is less */
    assert_int_equal(unlink(tempdir_path(dir, "study/layer4.0.add.mean.npy")), 0);
    s = open_study(dir, "study");
    for (int64_t image = 0; image < IMAGES; image++) {
        assert_int_equal(cn_study_units_of_picture(s, image, 0, 0, &f, &n, &complete, NULL), CN_OK);
        assert_false(complete);
        for (size_t i = 0; i < n; i++) {
            const double value = values[image * FAKE_UNITS + f[i].ref.unit];
            assert_true(f[i].rank >= 0 && fabs(f[i].value - value) <= 1e-6 * fabs(value));
        }
        cn_fired_units_free(f);
    }
    cn_study_close(s);
}

static void pictures_are_found_by_text_and_path(void **state)
{
    const char *dir = *state;
    cn_picture *p;
    size_t n;
    int64_t image;
    cn_error err = {0};
    sql(dir, "UPDATE images SET caption = '100% Sure_thing' WHERE path = 'red/000.png'");
    sql(dir, "INSERT INTO fields SELECT id, 'photographer', 'Ada L.' FROM images WHERE path = 'red/000.png'");
    cn_study *s = open_study(dir, "study");
    static const struct {
        const char *text;
        size_t found;
    } cases[] = {{"RED/", EACH}, {"gree", EACH}, {".png", IMAGES}, {"sure_", 1}, {"100%", 1}, {"0%s", 0}, {"ada l", 1}, {"zzz", 0}, {"d_0", 0}, {"\\", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cn_study_search_pictures(s, cases[i].text, 0, &p, &n, NULL), CN_OK);
        if (n != cases[i].found)
            fail_msg("%s: %zu", cases[i].text, n);
        for (size_t k = 1; k < n; k++)
            assert_true(strcmp(p[k].path, p[k - 1].path) > 0);
        cn_pictures_free(p);
    }
    assert_int_equal(cn_study_search_pictures(s, "png", 4, &p, &n, NULL), CN_OK);
    assert_int_equal(n, 4);
    assert_null(p[0].sd);
    cn_pictures_free(p);
    assert_int_equal(cn_study_search_pictures(s, "", 4, &p, &n, NULL), CN_EINVAL);
    assert_int_equal(cn_study_find_picture(s, "red/000.png", &image, NULL), CN_OK);
    const int64_t red = image;
    assert_int_equal(cn_study_find_picture(s, "000.png", &image, NULL), CN_OK);
    assert_int_equal(image, red);
    assert_int_equal(cn_study_find_picture(s, "00.png", &image, &err), CN_ENOTFOUND); /* whole parts only */
    cn_study_close(s);
    sql(dir, "UPDATE images SET path = 'green/000.png' WHERE path = 'green/001.png'");
    s = open_study(dir, "study");
    cn_error_clear(&err);
    assert_int_equal(cn_study_find_picture(s, "000.png", &image, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "several pictures: "));
    cn_study_close(s);
}

/* ---- damage ---- */

static void damaged_histograms_and_numbers_are_refused(void **state)
{
    const char *dir = *state;
    static const char *const damage[] = {
        "UPDATE histograms SET bins = x'00'",                                 /* no pairs */
        "UPDATE histograms SET bins = x'ffffffff01000000'",                   /* no such bin */
        "UPDATE histograms SET bins = x'01000000010000000100000001000000'",   /* one bin twice */
        "UPDATE histograms SET bins = x'0100000001000000'",                   /* too few pictures */
        "UPDATE histograms SET bins = 'text'",
        "DELETE FROM histograms",
        "UPDATE units SET min = max",
        "UPDATE units SET max = 9e999",
        "UPDATE units SET rms = 0",
    };
    const double half = 0.5;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        cn_quantile q;
        cn_bin *bins = NULL;
        cn_bucket *buckets = NULL;
        size_t n;
        cn_error err = {0};
        sql(dir, damage[i]);
        cn_study *s = open_study(dir, "study");
        assert_int_equal(cn_study_quantiles(s, (cn_unit_ref){0, 0}, &half, 1, &q, &err), CN_EFORMAT);
        assert_non_null(strstr(err.text, "damaged"));
        assert_int_equal(cn_study_bins(s, (cn_unit_ref){0, 0}, &bins, &n, NULL), CN_EFORMAT);
        assert_int_equal(cn_study_buckets(s, (cn_unit_ref){0, 0}, &buckets, &n, NULL), CN_EFORMAT);
        assert_true(!bins && !buckets);
        cn_study_close(s);
        const cn_scan_options again = {.force = true};
        fake_scan(dir, "study", &again, NULL);
    }
}

static cn_status ask_all(cn_study *s, cn_error *err)
{
    const cn_unit_ref units[] = {{0, 0}, {1, 1}};
    const double half = 0.5;
    cn_quantile q;
    cn_bucket *b = NULL;
    cn_picture *p = NULL;
    cn_fired_unit *f = NULL;
    cn_unit_row *r = NULL;
    cn_study_summary sum;
    size_t n;
    bool complete;
    cn_status st = cn_study_quantiles(s, units[0], &half, 1, &q, err);
    st = st ? st : cn_study_buckets(s, units[0], &b, &n, err);
    st = st ? st : cn_study_pictures_of_units(s, units, 2, 3, &p, &n, err);
    cn_pictures_free(p);
    p = NULL;
    st = st ? st : cn_study_search_pictures(s, "red", 3, &p, &n, err);
    st = st ? st : cn_study_units_of_picture(s, 0, 0, 3, &f, &n, &complete, err);
    st = st ? st : cn_study_find_units(s, 0, &(cn_unit_query){.label = "red"}, &r, &n, err);
    st = st ? st : cn_study_summarise(s, &sum, err);
    cn_buckets_free(b);
    cn_pictures_free(p);
    cn_fired_units_free(f);
    cn_unit_rows_free(r);
    return st;
}

static void each_failing_allocation_is_reported(void **state)
{
    const char *dir = *state;
    cn_study *s = open_study(dir, "study");
    for (size_t n = 1;; n++) {
        cn_error err = {0};
        cn_memory_fail_at(n, true);
        const cn_status st = ask_all(s, &err);
        cn_memory_fail_at(0, false);
        if (st == CN_OK && n > 10)
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_true(err.text[0] && n < 500);
    }
    cn_study_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(quantiles_enclose_the_values_of_the_matrix),
        T(quantiles_of_a_dead_unit_are_its_value_and_bad_shares_are_refused),
        T(bins_count_every_value_once),
        T(buckets_divide_the_range_and_count_the_pictures),
        cmocka_unit_test(the_crop_box_undoes_resize_and_crop),
        T(the_region_hangs_together_and_lies_where_the_picture_has_it),
        T(examples_know_the_size_of_their_picture),
        T(the_summary_counts_duplicates_failures_and_bytes),
        T(units_are_found_by_label_and_purity_in_every_order),
        T(pictures_of_units_equal_the_sums_of_the_matrix),
        T(pictures_of_one_unit_begin_as_its_examples_do),
        T(questions_about_pictures_that_cannot_be_answered_are_refused),
        T(half_matrices_answer_as_well),
        T(units_of_a_picture_equal_its_row),
        T(pictures_are_found_by_text_and_path),
        T(damaged_histograms_and_numbers_are_refused),
        T(each_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
