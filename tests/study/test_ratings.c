/* Raters' answers, how far they agree, and P(category | activation), against independent computations. */
#include "base/memory.h"
#include "clipneuron/card.h"
#include "clipneuron/image.h"
#include "clipneuron/rating.h"
#include "fake.h"
#include "file/sha256.h"
#include "study/raterstats.h"
#include "study/sample.h"
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

/* The font libraries keep their caches until the process ends. */
CN_API const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libpango\nleak:libglib\n";
}

#define NEAR(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))
#define BUCKETS 4
#define UNIT ((cn_unit_ref){0, 2}) /* its values are spread over its range */
static const char *const three[] = {"red & <warm>", "writing", "other"};

static char *dir;

/* 30 pictures; "study" has 4 buckets with 3 pictures of each, few extremes; "all" has every picture among the strongest. */
static int make_studies(void **state)
{
    (void)state;
    const cn_scan_options few = {.buckets = BUCKETS, .per_bucket = 3, .top = 9, .bottom = 2, .no_matrices = true},
                          all = {.buckets = BUCKETS, .per_bucket = 3, .top = 64, .bottom = 1, .no_matrices = true};
    dir = tempdir_make();
    fake_collection(dir, 15);
    fake_scan(dir, "study", &few, NULL);
    fake_scan(dir, "all", &all, NULL);
    return 0;
}

static int remove_studies(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

static cn_study *open_study(const char *name)
{
    cn_study *s;
    cn_error err = {0};
    if (cn_study_open(&s, tempdir_path(dir, name), &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

/* Without answers and categories. */
static cn_study *fresh(void)
{
    sqlite3 *db;
    char file[512];
    snprintf(file, sizeof file, "%s/study/study.sqlite", dir);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    sqlite3_exec(db, "DROP TABLE IF EXISTS ratings; DROP TABLE IF EXISTS rating_categories", NULL, NULL, NULL);
    sqlite3_close(db);
    return open_study("study");
}

static void sql(const char *text)
{
    sqlite3 *db;
    char file[512], *why = NULL;
    snprintf(file, sizeof file, "%s/study/study.sqlite", dir);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(db);
}

#define OK(call)                     \
    do {                             \
        cn_error err = {0};          \
        cn_error *const e = &err;    \
        if ((call) != CN_OK)         \
            fail_msg("%s", e->text); \
    } while (0)
#define FAILS(call, status, words)                                  \
    do {                                                            \
        cn_error err = {0};                                         \
        cn_error *const e = &err;                                   \
        const cn_status got = (call);                               \
        assert_int_equal(got, status);                              \
        if (!strstr(e->text, words))                                \
            fail_msg("\"%s\" does not say \"%s\"", e->text, words); \
        assert_null(strchr(e->text, '\n'));                         \
    } while (0)

/* ---- arithmetic ---- */

static void wilson_intervals_are_those_of_the_tables(void **state)
{
    (void)state;
    double low, high;
    NEAR(stats_z(0.95), 1.959964, 1e-6);
    NEAR(stats_z(0.99), 2.575829, 1e-6);
    stats_wilson(0.5, 10, stats_z(0.95), &low, &high);
    NEAR(low, 0.2366, 1e-4);
    NEAR(high, 0.7634, 1e-4);
    stats_wilson(0, 10, stats_z(0.95), &low, &high);
    assert_true(low == 0); /* exactly */
    NEAR(high, 0.2775, 1e-4);
    stats_wilson(1, 1, stats_z(0.95), &low, &high);
    NEAR(low, 0.2065, 1e-4);
    assert_true(high == 1);
    stats_wilson(0.81, 263, stats_z(0.95), &low, &high); /* Newcombe (1998) has 81/263: 0.2553, 0.3662 */
    stats_wilson(81.0 / 263, 263, stats_z(0.95), &low, &high);
    NEAR(low, 0.2553, 5e-5);
    NEAR(high, 0.3662, 5e-5);
}

/* Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: four observers, twelve units. */
static const int krippendorff[12][4] = {{0, 0, -1, 0}, {1, 1, 2, 1}, {2, 2, 2, 2}, {2, 2, 2, 2},  {1, 1, 1, 1},   {0, 1, 2, 3},
                                        {3, 3, 3, 3},  {0, 0, 1, 0}, {1, 1, 1, 1}, {-1, 4, 4, 4}, {-1, -1, 0, 0}, {-1, 2, -1, -1}};

static void alpha_is_that_of_krippendorffs_example(void **state)
{
    (void)state;
    const stats_answers a = {krippendorff[0], 12, 4, 5};
    NEAR(stats_alpha(&a), 0.743, 5e-4);
    assert_int_equal(stats_shared(&a), 11); /* a unit with a single answer does not count */
    assert_true(isnan(stats_kappa(&a)));    /* of two raters only */
}

static void kappa_and_alpha_of_two_raters(void **state)
{
    (void)state;
    int answers[50][2];
    static const int cells[4][3] = {{20, 0, 0}, {5, 0, 1}, {10, 1, 0}, {15, 1, 1}};
    size_t n = 0;
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < cells[c][0]; i++, n++)
            answers[n][0] = cells[c][1], answers[n][1] = cells[c][2];
    const stats_answers a = {answers[0], n, 2, 2};
    NEAR(stats_percent(&a), 0.7, 1e-12);
    NEAR(stats_kappa(&a), 0.4, 1e-12); /* agreement 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 */
    /* 55 answers of the first category, 45 of the second: expected 2 * 55 * 45 / 99, observed 2 * 15 */
    NEAR(stats_alpha(&a), 1 - 30 / (2.0 * 55 * 45 / 99), 1e-12);
}

static void agreement_that_is_not_defined_is_not_a_number(void **state)
{
    (void)state;
    static const int same[3][2] = {{1, 1}, {1, 1}, {1, 1}}, apart[3][2] = {{1, -1}, {-1, 0}, {1, -1}};
    double low, high;
    const stats_answers a = {same[0], 3, 2, 2}, b = {apart[0], 3, 2, 2};
    NEAR(stats_percent(&a), 1, 0);
    assert_true(isnan(stats_alpha(&a)) && isnan(stats_kappa(&a)));
    assert_true(isnan(stats_percent(&b)) && isnan(stats_alpha(&b)) && isnan(stats_kappa(&b)));
    OK(stats_alpha_interval(&a, 0.95, 100, 1, &low, &high, e));
    assert_true(isnan(low) && isnan(high));
    OK(stats_alpha_interval(&b, 0.95, 100, 1, &low, &high, e));
    assert_true(isnan(low) && isnan(high));
}

static void bootstrap_holds_alpha_and_repeats_with_its_seed(void **state)
{
    (void)state;
    double low, high, low2, high2, wide, wider;
    const stats_answers a = {krippendorff[0], 12, 4, 5};
    OK(stats_alpha_interval(&a, 0.95, 1000, 7, &low, &high, e));
    OK(stats_alpha_interval(&a, 0.95, 1000, 7, &low2, &high2, e));
    assert_true(low == low2 && high == high2);
    assert_true(low < 0.743 && high > 0.743 && high <= 1 && low > 0.2);
    OK(stats_alpha_interval(&a, 0.95, 1000, 8, &low2, &high2, e));
    assert_true(low != low2);
    NEAR(low, low2, 0.1);
    OK(stats_alpha_interval(&a, 0.5, 1000, 7, &wide, &wider, e));
    assert_true(wide > low && wider < high);
}

/* ---- pictures ---- */

static int by_image(const void *a, const void *b)
{
    const int64_t x = ((const cn_rating_picture *)a)->image, y = ((const cn_rating_picture *)b)->image;
    return (x > y) - (x < y);
}

static void pictures_are_the_sample_and_complete_buckets(void **state)
{
    (void)state;
    cn_study *s = open_study("study"), *all = open_study("all");
    for (int unit = 0; unit < 4; unit++) {
        cn_rating_picture *p;
        cn_example *every, *sample, *top;
        cn_unit_row *row;
        const cn_unit_ref ref = {0, unit};
        size_t n, n_every, n_sample, n_top, expected = 0;
        OK(cn_study_rating_pictures(s, ref, NULL, &p, &n, e));
        OK(cn_study_examples(all, ref, CN_EXAMPLE_TOP, &every, &n_every, e));
        OK(cn_study_examples(s, ref, CN_EXAMPLE_BUCKET, &sample, &n_sample, e));
        OK(cn_study_examples(s, ref, CN_EXAMPLE_TOP, &top, &n_top, e));
        OK(cn_study_unit(s, ref, &row, e));
        assert_int_equal(n_every, 30);
        const int weakest = bucket_of((float)top[n_top - 1].value, (float)row->min, (float)row->max, BUCKETS);
        for (size_t i = 0; i < n_every; i++) {
            const int b = bucket_of((float)every[i].value, (float)row->min, (float)row->max, BUCKETS);
            bool wanted = b > weakest, found = false;
            for (size_t k = 0; k < n_sample; k++)
                wanted = wanted || sample[k].image == every[i].image;
            for (size_t k = 0; k < n; k++)
                if (p[k].image == every[i].image) {
                    assert_false(found); /* once */
                    found = true;
                    assert_int_equal(p[k].bucket, b);
                    assert_string_equal(p[k].path, every[i].path);
                    assert_string_equal(p[k].medium, every[i].medium);
                    assert_true(p[k].value == every[i].value);
                    assert_int_equal(p[k].thumbnail_size, every[i].thumbnail_size);
                    assert_memory_equal(p[k].thumbnail, every[i].thumbnail, p[k].thumbnail_size);
                }
            /* The two most inhibiting may complete the lowest bucket; the sample has all of so small a bucket anyway. */
            assert_int_equal(found, wanted);
            expected += wanted;
        }
        assert_int_equal(n, expected);
        for (size_t k = 1; k < n; k++)
            assert_true(p[k].bucket > p[k - 1].bucket || (p[k].bucket == p[k - 1].bucket && p[k].value >= p[k - 1].value));
        cn_rating_pictures_free(p);
        cn_examples_free(every);
        cn_examples_free(sample);
        cn_examples_free(top);
        cn_unit_rows_free(row);
    }
    cn_study_close(all);
    cn_study_close(s);
}

static void each_rater_has_an_order_that_stays(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    cn_rating_picture *plain, *anna, *again, *ben;
    size_t n, n2, n3, n4, same = 0, sorted = 0;
    OK(cn_study_rating_pictures(s, UNIT, NULL, &plain, &n, e));
    OK(cn_study_rating_pictures(s, UNIT, "anna", &anna, &n2, e));
    OK(cn_study_rating_pictures(s, UNIT, "anna", &again, &n3, e));
    OK(cn_study_rating_pictures(s, UNIT, "ben", &ben, &n4, e));
    assert_true(n > 9 && n == n2 && n == n3 && n == n4);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(anna[i].image, again[i].image);
        same += anna[i].image == ben[i].image;
        sorted += i > 0 && anna[i].value >= anna[i - 1].value;
    }
    assert_true(same < n / 2 && sorted < n - 2); /* neither each other's nor by activation */
    qsort(plain, n, sizeof *plain, by_image);
    qsort(anna, n, sizeof *anna, by_image);
    qsort(ben, n, sizeof *ben, by_image);
    for (size_t i = 0; i < n; i++)
        assert_true(anna[i].image == plain[i].image && ben[i].image == plain[i].image);
    cn_rating_pictures_free(plain);
    cn_rating_pictures_free(anna);
    cn_rating_pictures_free(again);
    cn_rating_pictures_free(ben);
    OK(cn_study_rating_pictures(s, (cn_unit_ref){0, FAKE_UNITS - 1}, "anna", &plain, &n, e)); /* dead */
    assert_true(n == 0 && !plain);
    FAILS(cn_study_rating_pictures(s, (cn_unit_ref){0, FAKE_UNITS}, "anna", &plain, &n, e), CN_EINVAL, "units 0 to 5");
    FAILS(cn_study_rating_pictures(s, UNIT, "a\033[31m", &plain, &n, e), CN_EINVAL, "control characters");
    cn_study_close(s);
}

/* ---- answers ---- */

static void answers_are_kept_replaced_and_taken_back(void **state)
{
    (void)state;
    cn_study *s = fresh(), *other = open_study("study");
    cn_rating_picture *p;
    cn_rating *r;
    cn_category *c;
    size_t n, n_pictures;
    int64_t removed;
    OK(cn_study_categories(s, UNIT, &c, &n, e));
    assert_true(n == 0 && !c);
    OK(cn_study_ratings(s, UNIT, NULL, &r, &n, e));
    assert_true(n == 0 && !r);
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    OK(cn_study_rating_pictures(s, UNIT, NULL, &p, &n_pictures, e));
    OK(cn_study_keep_rating(s, UNIT, p[1].image, "anna", "writing", e));
    OK(cn_study_keep_rating(s, UNIT, p[0].image, "ben", "other", e));
    OK(cn_study_keep_rating(s, UNIT, p[1].image, "anna", three[0], e)); /* in place of "writing" */
    OK(cn_study_ratings(other, UNIT, NULL, &r, &n, e));                 /* another reader sees it at once */
    assert_int_equal(n, 2);
    assert_true(r[0].image == p[1].image && r[1].image == p[0].image);
    assert_string_equal(r[0].category, three[0]);
    assert_string_equal(r[0].rater, "anna");
    assert_string_equal(r[0].path, p[1].path);
    assert_int_equal(strlen(r[0].created), 20);
    cn_ratings_free(r);
    OK(cn_study_ratings(s, UNIT, "ben", &r, &n, e));
    assert_int_equal(n, 1);
    cn_ratings_free(r);
    OK(cn_study_ratings(s, (cn_unit_ref){0, 1}, NULL, &r, &n, e)); /* of another unit */
    assert_int_equal(n, 0);
    OK(cn_study_categories(s, UNIT, &c, &n, e));
    assert_true(n == 3 && c[0].answers == 1 && c[1].answers == 0 && c[2].answers == 1);
    cn_categories_free(c);
    OK(cn_study_keep_rating(s, UNIT, p[1].image, "anna", NULL, e));
    OK(cn_study_ratings(s, UNIT, "anna", &r, &n, e));
    assert_int_equal(n, 0);
    OK(cn_study_remove_ratings(s, UNIT, "ben", &removed, e));
    assert_int_equal(removed, 1);
    OK(cn_study_remove_ratings(s, UNIT, NULL, &removed, e));
    assert_int_equal(removed, 0);
    cn_rating_pictures_free(p);
    cn_study_close(other);
    cn_study_close(s);
}

static void wrong_names_and_pictures_are_refused(void **state)
{
    (void)state;
    cn_study *s = fresh();
    static const char *const twice[] = {"a", "a"}, *const blank[] = {"a", " b"}, *const empty[] = {""}, *const odd[] = {"a\nb"},
                             *const bad[] = {"\xff"}, *const two[] = {"writing", "new"};
    char long_name[CN_MAX_RATING_NAME + 2];
    const char *const too_long[] = {long_name}, *many[CN_MAX_CATEGORIES + 1];
    char names[CN_MAX_CATEGORIES + 1][8];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (int i = 0; i <= CN_MAX_CATEGORIES; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        many[i] = names[i];
    }
    FAILS(cn_study_set_categories(s, UNIT, twice, 2, e), CN_EINVAL, "named twice");
    FAILS(cn_study_set_categories(s, UNIT, blank, 2, e), CN_EINVAL, "blank");
    FAILS(cn_study_set_categories(s, UNIT, empty, 1, e), CN_EINVAL, "empty name");
    FAILS(cn_study_set_categories(s, UNIT, odd, 1, e), CN_EINVAL, "control characters");
    FAILS(cn_study_set_categories(s, UNIT, bad, 1, e), CN_EINVAL, "no UTF-8");
    FAILS(cn_study_set_categories(s, UNIT, too_long, 1, e), CN_EINVAL, "the limit is 64");
    FAILS(cn_study_set_categories(s, UNIT, many, CN_MAX_CATEGORIES + 1, e), CN_EINVAL, "17 categories");
    FAILS(cn_study_set_categories(s, (cn_unit_ref){0, 99}, three, 3, e), CN_EINVAL, "units 0 to 5");
    OK(cn_study_set_categories(s, UNIT, many, CN_MAX_CATEGORIES, e));
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    FAILS(cn_study_keep_rating(s, UNIT, 4711, "anna", "other", e), CN_EINVAL, "image 4711 is none of the");
    cn_rating_picture *p;
    size_t n;
    OK(cn_study_rating_pictures(s, UNIT, NULL, &p, &n, e));
    FAILS(cn_study_keep_rating(s, UNIT, p[0].image, "anna", "cat", e), CN_EINVAL, "which has: red & <warm>, writing, other");
    FAILS(cn_study_keep_rating(s, UNIT, p[0].image, "", "other", e), CN_EINVAL, "rater");
    OK(cn_study_keep_rating(s, UNIT, p[0].image, "anna", "other", e));
    FAILS(cn_study_set_categories(s, UNIT, two, 2, e), CN_EINVAL, "the category \"other\" has 1 answers");
    cn_category *c;
    size_t n_categories;
    OK(cn_study_categories(s, UNIT, &c, &n_categories, e));
    assert_int_equal(n_categories, 3); /* as before */
    cn_categories_free(c);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

static void raters_have_a_limit(void **state)
{
    (void)state;
    cn_study *s = fresh();
    cn_rating_picture *p;
    size_t n;
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    OK(cn_study_rating_pictures(s, UNIT, NULL, &p, &n, e));
    sql("WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 63)"
        " INSERT INTO ratings SELECT 0, 2, (SELECT min(image) FROM examples WHERE site = 0 AND unit = 2 AND kind = 2), 'rater ' || i, "
        "'other', '' FROM k");
    OK(cn_study_keep_rating(s, UNIT, p[0].image, "the last", "other", e));
    FAILS(cn_study_keep_rating(s, UNIT, p[0].image, "one more", "other", e), CN_ELIMIT, "more than 64 raters");
    cn_category_table *t;
    OK(cn_study_category_table(s, UNIT, NULL, &t, e));
    assert_int_equal(t->n_raters, CN_MAX_RATERS);
    cn_category_table_free(t);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

/* ---- CSV and sheets ---- */

static void a_template_filled_in_comes_back(void **state)
{
    (void)state;
    cn_study *s = fresh();
    cn_rating_picture *p;
    cn_rating *r;
    cn_rating_import result;
    size_t n, size, at = 0, n_ratings;
    char file[512];
    static char filled[65536];
    snprintf(file, sizeof file, "%s", tempdir_path(dir, "anna.csv"));
    OK(cn_study_write_rating_template(s, UNIT, "anna", file, e));
    OK(cn_study_rating_pictures(s, UNIT, "anna", &p, &n, e));
    char *text = tempdir_read(file, &size), *line = strtok(text, "\n");
    assert_string_equal(line, "image,path,category");
    at += (size_t)snprintf(filled, sizeof filled, "\xef\xbb\xbf%s\r\n", line);
    for (size_t i = 0; i < n; i++) {
        char start[512];
        line = strtok(NULL, "\n");
        snprintf(start, sizeof start, "%lld,%s,", (long long)p[i].image, p[i].path);
        assert_string_equal(line, start); /* in the rater's order */
        at += (size_t)snprintf(filled + at, sizeof filled - at, "%s%s\r\n", line, i == 0 ? "" : i % 2 ? " \"odd, \"\"yes\"\"\" " : "even");
    }
    assert_null(strtok(NULL, "\n"));
    tempdir_text(dir, "filled.csv", filled);
    OK(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "filled.csv"), &result, e));
    assert_int_equal(result.added, n - 1);
    assert_int_equal(result.empty, 1);
    OK(cn_study_ratings(s, UNIT, "anna", &r, &n_ratings, e));
    assert_int_equal(n_ratings, n - 1);
    for (size_t i = 1; i < n; i++) {
        size_t k = 0;
        while (r[k].image != p[i].image)
            k++;
        assert_string_equal(r[k].category, i % 2 ? "odd, \"yes\"" : "even");
    }
    cn_category *c;
    size_t n_categories;
    OK(cn_study_categories(s, UNIT, &c, &n_categories, e)); /* taken from the file, in its order */
    assert_int_equal(n_categories, 2);
    assert_string_equal(c[0].name, "odd, \"yes\"");
    cn_categories_free(c);
    OK(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "filled.csv"), &result, e));
    assert_true(result.added == 0 && result.changed == 0 && result.same == (int64_t)n - 1);
    free(text);
    cn_ratings_free(r);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

static void a_csv_with_raters_and_paths_is_read(void **state)
{
    (void)state;
    cn_study *s = fresh();
    cn_rating_picture *p;
    cn_rating_import result;
    size_t n;
    char text[1024];
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    OK(cn_study_rating_pictures(s, UNIT, NULL, &p, &n, e));
    snprintf(text, sizeof text, "Rater,path,Category\nanna,%s,writing\nben,%s,other\nanna,%s,other\n", p[0].path, p[0].path, p[1].path);
    tempdir_text(dir, "both.csv", text);
    OK(cn_study_read_ratings(s, UNIT, NULL, tempdir_path(dir, "both.csv"), &result, e));
    assert_true(result.added == 3);
    snprintf(text, sizeof text, "rater,image,category\nanna,%lld,other\n", (long long)p[0].image);
    tempdir_text(dir, "change.csv", text);
    OK(cn_study_read_ratings(s, UNIT, NULL, tempdir_path(dir, "change.csv"), &result, e));
    assert_true(result.added == 0 && result.changed == 1);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

static void wrong_csvs_name_the_line_and_leave_nothing(void **state)
{
    (void)state;
    cn_study *s = fresh();
    cn_rating_picture *p;
    cn_rating *r;
    size_t n;
    char good[512], text[2048];
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    OK(cn_study_rating_pictures(s, UNIT, NULL, &p, &n, e));
    snprintf(good, sizeof good, "image,path,category\n%lld,%s,writing\n", (long long)p[0].image, p[0].path);
    const struct {
        const char *more, *words;
    } cases[] = {
        {"4711,,other\n", "line 3: image 4711 is none of the"},
        {",nowhere.png,other\n", "line 3: image nowhere.png is none of the"},
        {"1x,,other\n", "line 3: \"1x\" is no number of an image"},
        {",,other\n", "line 3: names no picture"},
        {"@1,red/none.png,other\n", "the file is of another study"},
        {"@0,,other\n", "line 3: image @0 of anna is on line 2 already"},
        {"@1,,cat\n", "line 3: \"cat\" is no category of layer4.0.add:2, which has: red & <warm>, writing, other"},
        {"@1,,\"other\n", "line 3: a quote is never closed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[256], words[256];
        const char *at = cases[i].more;
        int64_t image = at[1] == '0' ? p[0].image : p[1].image;
        if (*at == '@')
            snprintf(more, sizeof more, "%lld%s", (long long)image, at + 2);
        else
            snprintf(more, sizeof more, "%s", at);
        const char *mark = strchr(cases[i].words, '@');
        if (mark)
            snprintf(words, sizeof words, "%.*s%lld%s", (int)(mark - cases[i].words), cases[i].words, (long long)image, mark + 2);
        else
            snprintf(words, sizeof words, "%s", cases[i].words);
        snprintf(text, sizeof text, "%s%s", good, more);
        tempdir_text(dir, "wrong.csv", text);
        FAILS(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "wrong.csv"), NULL, e), (e->status), words);
        OK(cn_study_ratings(s, UNIT, NULL, &r, &n, e));
        assert_int_equal(n, 0);
    }
    tempdir_text(dir, "wrong.csv", "image,label\n1,x\n");
    FAILS(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "wrong.csv"), NULL, e), CN_EFORMAT, "line 1: no column \"category\"");
    tempdir_text(dir, "wrong.csv", "category,label\n1,x\n");
    FAILS(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "wrong.csv"), NULL, e), CN_EFORMAT, "no column \"image\" or \"path\"");
    tempdir_text(dir, "wrong.csv", good);
    FAILS(cn_study_read_ratings(s, UNIT, NULL, tempdir_path(dir, "wrong.csv"), NULL, e), CN_EFORMAT, "no column \"rater\"");
    snprintf(text, sizeof text, "image,category\n%lld,\n", (long long)p[0].image);
    tempdir_text(dir, "wrong.csv", text);
    FAILS(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "wrong.csv"), NULL, e), CN_EINVAL, "no row has a category");
    FAILS(cn_study_read_ratings(s, UNIT, "anna", tempdir_path(dir, "none.csv"), NULL, e), CN_ENOTFOUND, "none.csv");
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

static size_t occurrences(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *c = text; (c = strstr(c, what)); c += strlen(what))
        n++;
    return n;
}

static void a_sheet_allows_its_script_and_hides_activations(void **state)
{
    (void)state;
    cn_study *s = fresh();
    cn_rating_picture *p;
    size_t n, size;
    char file[512], hex[65];
    snprintf(file, sizeof file, "%s", tempdir_path(dir, "sheet.html"));
    FAILS(cn_study_write_rating_sheet(s, UNIT, "anna", file, e), CN_EINVAL, "no categories yet");
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    OK(cn_study_write_rating_sheet(s, UNIT, "<b>\"anna\"", file, e));
    OK(cn_study_rating_pictures(s, UNIT, "<b>\"anna\"", &p, &n, e));
    char *page = tempdir_read(file, &size);
    assert_int_equal(occurrences(page, "<fieldset"), n);
    assert_int_equal(occurrences(page, "<img "), n);
    assert_int_equal(occurrences(page, "type=\"radio\""), 3 * n);
    assert_int_equal(occurrences(page, "value=\"red &amp; &lt;warm&gt;\""), n);
    assert_null(strstr(page, "<warm>"));
    assert_null(strstr(page, "<b>\""));
    const char *at = page;
    for (size_t i = 0; i < n; i++) { /* in the rater's order, without what it does to the unit */
        char image[64], value[32];
        snprintf(image, sizeof image, "data-image=\"%lld\"", (long long)p[i].image);
        at = strstr(at, image);
        assert_non_null(at);
        snprintf(value, sizeof value, "%.3f", p[i].sd);
        assert_null(strstr(page, value));
    }
    char *script = strstr(page, "<script>"), *end = strstr(page, "</script>");
    assert_true(script && end && !strstr(end + 1, "<script"));
    script += strlen("<script>");
    sha256 *sum;
    OK(sha256_open(&sum, e));
    OK(sha256_add(sum, script, (size_t)(end - script), e));
    OK(sha256_hex(sum, hex, e));
    sha256_close(sum);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *hash = strstr(page, "script-src 'sha256-");
    assert_non_null(hash);
    hash += strlen("script-src 'sha256-");
    for (int bit = 0; bit < 256; bit += 4) { /* base64 and hexadecimal digits, bit by bit */
        const int first = (int)(strchr(digits, hash[bit / 6]) - digits),
                  second = hash[bit / 6 + 1] == '=' ? 0 : (int)(strchr(digits, hash[bit / 6 + 1]) - digits);
        const int nibble = (first << 6 | second) >> (12 - bit % 6 - 4) & 15;
        assert_int_equal(hex[bit / 4], "0123456789abcdef"[nibble]);
    }
    assert_memory_equal(hash + 43, "='", 2);
    free(page);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

/* ---- shares ---- */

/* anna answers everything, ben what she has answered "other" and every third picture. */
static int anna_of(const cn_rating_picture *p)
{
    return strcmp(p->medium, "word") == 0 ? 1 : strcmp(p->label, "red") == 0 ? 0 : 2;
}

static int ben_of(const cn_rating_picture *p, size_t i)
{
    return anna_of(p) == 2 ? (i % 2 ? 2 : 0) : i % 3 ? -1 : 1;
}

static cn_study *rated(cn_rating_picture **p, size_t *n)
{
    cn_study *s = fresh();
    char text[8192];
    size_t at = (size_t)snprintf(text, sizeof text, "image,rater,category\n");
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    OK(cn_study_rating_pictures(s, UNIT, NULL, p, n, e));
    for (size_t i = 0; i < *n; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%lld,anna,%s\n", (long long)(*p)[i].image, three[anna_of(*p + i)]);
        if (ben_of(*p + i, i) >= 0)
            at += (size_t)snprintf(text + at, sizeof text - at, "%lld,ben,%s\n", (long long)(*p)[i].image, three[ben_of(*p + i, i)]);
    }
    tempdir_text(dir, "rated.csv", text);
    OK(cn_study_read_ratings(s, UNIT, NULL, tempdir_path(dir, "rated.csv"), NULL, e));
    return s;
}

/* Votes of a picture, averaged over who answered. */
static void vote(const cn_rating_picture *p, size_t i, double v[3])
{
    const int b = ben_of(p, i);
    v[0] = v[1] = v[2] = 0;
    v[anna_of(p)] += b < 0 ? 1 : 0.5;
    if (b >= 0)
        v[b] += 0.5;
}

static void shares_are_those_of_the_answers(void **state)
{
    (void)state;
    cn_rating_picture *p;
    size_t n;
    cn_study *s = rated(&p, &n);
    cn_category_table *t;
    cn_example *every;
    size_t n_every;
    cn_study *all = open_study("all");
    OK(cn_study_examples(all, UNIT, CN_EXAMPLE_TOP, &every, &n_every, e));
    OK(cn_study_category_table(s, UNIT, NULL, &t, e));
    assert_int_equal(t->n_bins, BUCKETS);
    assert_int_equal(t->n_categories, 3);
    assert_int_equal(t->pictures, n);
    assert_string_equal(t->categories[0], three[0]);
    assert_string_equal(t->unit, "layer4.0.add:2");
    NEAR(t->bins[0].low, every[n_every - 1].sd, 1e-6);
    NEAR(t->bins[BUCKETS - 1].high, every[0].sd, 1e-6);
    int64_t in_histogram = 0;
    for (int i = 0; i < CN_CATEGORY_HISTOGRAM; i++)
        in_histogram += t->histogram[i];
    assert_int_equal(in_histogram, 30);
    for (int b = 0; b < BUCKETS; b++) {
        double sums[3] = {0}, images = 0, below = 0;
        int64_t population = 0;
        for (size_t i = 0; i < n; i++) {
            double v[3];
            if (p[i].bucket != b)
                continue;
            vote(&p[i], i, v);
            for (int c = 0; c < 3; c++)
                sums[c] += v[c];
            images++;
        }
        for (size_t i = 0; i < n_every; i++)
            population += bucket_of((float)every[i].value, (float)every[n_every - 1].value, (float)every[0].value, BUCKETS) == b;
        assert_int_equal(t->bins[b].images, images);
        NEAR(t->bins[b].effective, images, 1e-9);
        assert_int_equal(t->bins[b].population, population);
        for (int c = 0; c < 3; c++) {
            const cn_category_share *x = &t->bins[b].shares[c];
            double low, high;
            below += sums[c];
            if (images == 0) {
                assert_true(isnan(x->share) && isnan(x->low) && isnan(x->below));
                continue;
            }
            NEAR(x->images, sums[c], 1e-12);
            NEAR(x->share, sums[c] / images, 1e-12);
            NEAR(x->below, below / images, 1e-12);
            stats_wilson(sums[c] / images, images, 1.959963985, &low, &high);
            NEAR(x->low, low, 1e-8);
            NEAR(x->high, high, 1e-8);
            stats_wilson(below / images, images, 1.959963985, &low, &high);
            NEAR(x->below_low, c == 2 ? x->below_low : low, 1e-8);
            assert_true(x->below_low <= x->below && x->below <= x->below_high && x->low <= x->share && x->share <= x->high);
        }
    }
    cn_category_table_free(t);
    cn_examples_free(every);
    cn_rating_pictures_free(p);
    cn_study_close(all);
    cn_study_close(s);
}

/* A bin over two buckets counts each by how many pictures it has, not by how many were rated. */
static void wider_bins_weigh_buckets_by_their_pictures(void **state)
{
    (void)state;
    cn_rating_picture *p;
    size_t n;
    cn_study *s = rated(&p, &n);
    cn_category_table *t, *four;
    OK(cn_study_category_table(s, UNIT, NULL, &four, e));
    OK(cn_study_category_table(s, UNIT, &(cn_category_options){.bins = 2}, &t, e));
    bool differs = false;
    for (int b = 0; b < 2; b++) {
        const cn_category_bin *x = &four->bins[2 * b], *y = &four->bins[2 * b + 1];
        const double left = (double)x->population, right = (double)y->population, nx = (double)x->images, ny = (double)y->images;
        assert_int_equal(t->bins[b].images, x->images + y->images);
        NEAR(t->bins[b].effective, (left + right) * (left + right) / ((nx > 0 ? left * left / nx : 0) + (ny > 0 ? right * right / ny : 0)),
             1e-9);
        for (int c = 0; c < 3; c++) {
            const double share = ((nx > 0 ? left * x->shares[c].share : 0) + (ny > 0 ? right * y->shares[c].share : 0)) /
                                 ((nx > 0 ? left : 0) + (ny > 0 ? right : 0));
            NEAR(t->bins[b].shares[c].share, share, 1e-12);
            differs = differs || fabs(share - (x->shares[c].images + y->shares[c].images) / (nx + ny)) > 0.01;
        }
    }
    assert_true(differs); /* plain counts would be another answer */
    cn_category_table_free(t);
    cn_category_table_free(four);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

static void agreement_is_that_of_the_answers(void **state)
{
    (void)state;
    cn_rating_picture *p;
    size_t n, shared = 0, same = 0, given;
    cn_study *s = rated(&p, &n);
    cn_category_table *t, *again;
    double first[3] = {0}, second[3] = {0}, chance = 0;
    for (size_t i = 0; i < n; i++) {
        const int a = anna_of(&p[i]), b = ben_of(&p[i], i);
        if (b < 0)
            continue;
        shared++;
        same += a == b;
        first[a]++, second[b]++;
    }
    given = n + shared;
    for (int c = 0; c < 3; c++)
        chance += first[c] * second[c] / (double)(shared * shared);
    OK(cn_study_category_table(s, UNIT, &(cn_category_options){.seed = 3}, &t, e));
    OK(cn_study_category_table(s, UNIT, &(cn_category_options){.seed = 3}, &again, e));
    assert_int_equal(t->n_raters, 2);
    assert_string_equal(t->raters[0], "anna");
    assert_string_equal(t->raters[1], "ben");
    assert_int_equal(t->agreement.answers, given);
    assert_int_equal(t->agreement.images, n);
    assert_int_equal(t->agreement.shared, shared);
    NEAR(t->agreement.percent, (double)same / (double)shared, 1e-12);
    NEAR(t->agreement.kappa, ((double)same / (double)shared - chance) / (1 - chance), 1e-12);
    assert_true(t->agreement.alpha_low <= t->agreement.alpha && t->agreement.alpha <= t->agreement.alpha_high);
    assert_true(t->agreement.alpha_low == again->agreement.alpha_low);
    cn_category_table_free(t);
    cn_category_table_free(again);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

static void media_and_labels_need_no_rater(void **state)
{
    (void)state;
    cn_study *s = fresh();
    cn_category_table *t;
    cn_rating_picture *p;
    size_t n;
    FAILS(cn_study_category_table(s, UNIT, NULL, &t, e), CN_ENOTFOUND, "nobody has rated the pictures of layer4.0.add:2");
    assert_null(t);
    OK(cn_study_rating_pictures(s, UNIT, NULL, &p, &n, e));
    for (int k = 0; k < 2; k++) {
        static const char *const names[2][2] = {{"line", "word"}, {"green", "red"}};
        OK(cn_study_category_table(s, UNIT, &(cn_category_options){.source = k ? CN_CATEGORIES_LABEL : CN_CATEGORIES_MEDIUM}, &t, e));
        assert_int_equal(t->n_categories, 2);
        assert_int_equal(t->n_raters, 0);
        assert_true(isnan(t->agreement.alpha));
        for (size_t b = 0; b < t->n_bins; b++)
            for (size_t c = 0; c < 2; c++) {
                double count = 0;
                for (size_t i = 0; i < n; i++)
                    count += p[i].bucket == (int)b && strcmp(k ? p[i].label : p[i].medium, t->categories[c]) == 0;
                NEAR(t->bins[b].shares[c].images, count, 0);
            }
        if (k == 0) /* by name */
            assert_true(strcmp(t->categories[0], names[0][0]) == 0 && strcmp(t->categories[1], names[0][1]) == 0);
        cn_category_table_free(t);
    }
    FAILS(cn_study_category_table(s, (cn_unit_ref){0, FAKE_UNITS - 1}, NULL, &t, e), CN_EINVAL, "is dead");
    FAILS(cn_study_category_table(s, UNIT, &(cn_category_options){.bins = 65}, &t, e), CN_EINVAL, "there may be 1 to 64");
    FAILS(cn_study_category_table(s, UNIT, &(cn_category_options){.confidence = 1}, &t, e), CN_EINVAL, "confidence");
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

/* Thirty labels, one a picture: seven are named, the rest is "other". */
static void many_labels_become_other(void **state)
{
    (void)state;
    sql("CREATE TABLE kept AS SELECT id, label FROM images; CREATE TABLE kept_labels AS SELECT * FROM labels;"
        "DELETE FROM labels; INSERT INTO labels SELECT id, 'label ' || id, 1 FROM images; UPDATE images SET label = id;"
        "UPDATE images SET label = NULL WHERE id = (SELECT image FROM examples WHERE site = 0 AND unit = 2 AND kind = 2 AND rank = 0)");
    cn_study *s = fresh();
    cn_category_table *t;
    OK(cn_study_category_table(s, UNIT, &(cn_category_options){.source = CN_CATEGORIES_LABEL}, &t, e));
    sql("UPDATE images SET label = (SELECT label FROM kept WHERE kept.id = images.id); DELETE FROM labels;"
        "INSERT INTO labels SELECT * FROM kept_labels; DROP TABLE kept; DROP TABLE kept_labels");
    assert_int_equal(t->n_categories, 9);
    bool other = false, none = false;
    double sum[BUCKETS] = {0};
    for (size_t c = 0; c < t->n_categories; c++) {
        other = other || (strcmp(t->categories[c], "other") == 0 && c >= 7);
        none = none || (strcmp(t->categories[c], "no label") == 0 && c >= 7);
        for (int b = 0; b < BUCKETS; b++)
            sum[b] += t->bins[b].images ? t->bins[b].shares[c].share : 0;
    }
    assert_true(other && none);
    for (int b = 0; b < BUCKETS; b++)
        NEAR(sum[b], t->bins[b].images ? 1 : 0, 1e-9);
    cn_category_table_free(t);
    cn_study_close(s);
}

/* ---- plots ---- */

/* Tags match, attributes are quoted, nothing is left open: what the XML of a plot may contain. */
static void check_xml(const char *text)
{
    char open[64][32];
    int depth = 0;
    assert_memory_equal(text, "<?xml", 5);
    for (const char *c = text; (c = strchr(c, '<')); c++) {
        const char *end = strchr(c, '>');
        assert_non_null(end);
        if (c[1] == '?')
            continue;
        char name[32];
        assert_int_equal(sscanf(c + 1 + (c[1] == '/'), "%31[a-zA-Z]", name), 1);
        if (c[1] == '/') {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/') {
            assert_true(depth < 64);
            strcpy(open[depth++], name);
        }
    }
    assert_int_equal(depth, 0);
    for (const char *c = text; (c = strchr(c, '&')); c++)
        assert_true(strncmp(c, "&amp;", 5) == 0 || strncmp(c, "&lt;", 4) == 0 || strncmp(c, "&gt;", 4) == 0 ||
                    strncmp(c, "&quot;", 6) == 0 || strncmp(c, "&#39;", 5) == 0);
}

static void plots_are_well_formed_and_name_their_categories(void **state)
{
    (void)state;
    cn_rating_picture *p;
    size_t n, size;
    cn_study *s = rated(&p, &n);
    cn_category_table *t;
    OK(cn_study_category_table(s, UNIT, NULL, &t, e));
    for (int theme = CN_PLOT_LIGHT; theme <= CN_PLOT_PRINT; theme++) {
        char file[512];
        snprintf(file, sizeof file, "%s", tempdir_path(dir, "plot.svg"));
        OK(cn_category_plot(t, (cn_plot_theme)theme, file, e));
        char *text = tempdir_read(file, &size);
        check_xml(text);
        assert_non_null(strstr(text, "<title>P(category | activation) of layer4.0.add:2</title>"));
        assert_non_null(strstr(text, "red &amp; &lt;warm&gt; "));
        assert_non_null(strstr(text, "writing "));
        assert_non_null(strstr(text, "2 raters on "));
        assert_non_null(strstr(text, "width=\"920px\""));
        assert_null(strstr(text, "nan"));
        free(text);
        snprintf(file, sizeof file, "%s", tempdir_path(dir, "plot.PNG"));
        OK(cn_category_plot(t, (cn_plot_theme)theme, file, e));
        cn_image *image;
        OK(cn_image_load(&image, file, NULL, e));
        assert_int_equal(image->width, 1840);
        assert_int_equal(image->height, 1096);
        assert_true((image->rgb[0] > 128) == (theme != CN_PLOT_DARK)); /* the page in the corner */
        cn_image_free(image);
    }
    FAILS(cn_category_plot(t, CN_PLOT_LIGHT, tempdir_path(dir, "plot.pdf"), e), CN_EINVAL, "ends in .svg or .png");
    FAILS(cn_category_plot(t, CN_PLOT_LIGHT, tempdir_path(dir, "nowhere/plot.svg"), e), CN_EIO, "nowhere");
    cn_category_table_free(t);
    for (int bins = 1; bins <= CN_MAX_CATEGORY_BINS; bins += 21) { /* also where many bins are empty */
        OK(cn_study_category_table(s, UNIT, &(cn_category_options){.bins = bins}, &t, e));
        OK(cn_category_plot(t, CN_PLOT_LIGHT, tempdir_path(dir, "plot.svg"), e));
        char *text = tempdir_read(tempdir_path(dir, "plot.svg"), &size);
        check_xml(text);
        assert_null(strstr(text, "nan"));
        free(text);
        cn_category_table_free(t);
    }
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

/* ---- where things stand in a plot: looked up in its pixels, two a point ---- */

enum { PLOT_LEFT = 70, PLOT_RIGHT = 744, PLOT_TOP = 76, PLOT_BOTTOM = 356, PLOT_BINS = 10 };

/* Ten levels with as many pictures as the string's digits say; two categories that divide them evenly, with this interval. */
typedef struct drawn {
    cn_category_table t;
    cn_category_bin bins[PLOT_BINS];
    cn_category_share shares[PLOT_BINS][2];
    const char *names[2];
} drawn;

static void make_drawn(drawn *d, const char *pictures, const char *first, const char *second, double low, double high)
{
    *d = (drawn){.names = {first, second}};
    for (int b = 0; b < PLOT_BINS; b++) {
        d->shares[b][0] = (cn_category_share){2, 0.5, low, high, 0.5, low, high};
        d->shares[b][1] = (cn_category_share){2, 0.5, low, high, 1, 1, 1};
        d->bins[b] = (cn_category_bin){.low = b, .high = b + 1, .population = 9, .images = pictures[b] - '0', .effective = 4, .shares = d->shares[b]};
    }
    d->t = (cn_category_table){.source = CN_CATEGORIES_MEDIUM, .unit = "u:1", .label = "", .model_file = "m", .collection_name = "c", .n_categories = 2,
                               .n_bins = PLOT_BINS, .categories = d->names, .bins = d->bins, .confidence = 0.95};
}

static cn_image *draw_drawn(const drawn *d)
{
    cn_image *image;
    OK(cn_category_plot(&d->t, CN_PLOT_LIGHT, tempdir_path(dir, "drawn.png"), e));
    OK(cn_image_load(&image, tempdir_path(dir, "drawn.png"), NULL, e));
    return image;
}

/* 0xrrggbb at a point. */
static unsigned colour_at(const cn_image *i, double x, double y)
{
    const uint8_t *p = i->rgb + 3 * ((size_t)(2 * y) * (size_t)i->width + (size_t)(2 * x));
    return (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
}

/* How many pixels of a box are not of this colour. */
static int others_in(const cn_image *i, double x1, double y1, double x2, double y2, unsigned colour)
{
    int n = 0;
    for (double y = y1; y < y2; y += 0.5)
        for (double x = x1; x < x2; x += 0.5)
            n += colour_at(i, x, y) != colour;
    return n;
}

#define LEVEL(b) (PLOT_LEFT + (b) * (PLOT_RIGHT - PLOT_LEFT) / (double)PLOT_BINS) /* where level b begins */
#define SHARE(s) (PLOT_BOTTOM - (s) * (PLOT_BOTTOM - PLOT_TOP))
enum { FIRST = 0xd55e00, SECOND = 0x56b4e9, PAGE = 0xffffff };

static void levels_without_pictures_say_none_once_on_a_clear_page(void **state)
{
    (void)state;
    drawn d;
    make_drawn(&d, "4440004404", "a", "b", 0.5, 0.5);
    cn_image *i = draw_drawn(&d);
    const double centre = (LEVEL(3) + LEVEL(6)) / 2, half = SHARE(0.5);
    assert_true(others_in(i, centre - 10, half - 6, centre + 10, half + 6, PAGE) > 40); /* letters */
    assert_int_equal(others_in(i, centre - 17.5, half - 1, centre - 15.5, half + 1, PAGE), 0); /* and no line to strike them out */
    assert_int_equal(others_in(i, LEVEL(3) + 10, half - 8, LEVEL(4) - 4, half - 2, PAGE), 0); /* not once for each level */
    assert_true(others_in(i, LEVEL(3) + 10, half - 1, LEVEL(4) - 10, half + 1, PAGE) > 0); /* where the grid is there */
    assert_true(others_in(i, LEVEL(8) + 20, half - 6, LEVEL(9) - 20, half + 6, PAGE) > 40); /* a gap of one level */
    cn_image_free(i);
}

static void names_that_are_wider_than_their_levels_are_left_to_the_legend(void **state)
{
    (void)state;
    drawn d;
    make_drawn(&d, "0004000000", "thin", "a name that is wider than one level", 0.5, 0.5);
    cn_image *i = draw_drawn(&d);
    /* Three quarters up is the middle of the second area, a quarter up that of the first. */
    assert_int_equal(others_in(i, LEVEL(3) + 2, SHARE(0.75) - 10, LEVEL(4) - 2, SHARE(0.75) + 10, SECOND), 0);
    assert_true(others_in(i, LEVEL(3) + 2, SHARE(0.4), LEVEL(4) - 2, SHARE(0.1), FIRST) > 200);
    assert_int_equal(others_in(i, PLOT_LEFT + 2, SHARE(0.74), LEVEL(3) - 2, SHARE(0.55), PAGE), 0); /* nothing beside the level */
    cn_image_free(i);
    /* With room there it stands, in a line that tells it from the page as well: blue is what page and area have, and the line has not. */
    make_drawn(&d, "4444444444", "thin", "a name that is wider than one level", 0.5, 0.5);
    i = draw_drawn(&d);
    for (double x = PLOT_LEFT + 30; x < PLOT_LEFT + 90; x += 0.5) {
        unsigned least = 0xff;
        for (double y = SHARE(0.75) - 11; y <= SHARE(0.75) - 9; y += 0.5)
            least = (colour_at(i, x, y) & 0xff) < least ? colour_at(i, x, y) & 0xff : least;
        assert_true(least < 0xa0);
        assert_int_equal(colour_at(i, x, SHARE(0.75) - 14), SECOND);
    }
    cn_image_free(i);
}

/* Intervals from 2% to 98% leave hardly a place that none crosses. */
static void intervals_stand_over_names(void **state)
{
    (void)state;
    drawn d;
    make_drawn(&d, "4444444444", "a", "b", 0.02, 0.98);
    cn_image *i = draw_drawn(&d);
    for (int b = 0; b < PLOT_BINS; b++)
        for (double share = 0.05; share < 0.95; share += 0.01)
            assert_true(others_in(i, LEVEL(b + 0.5) - 0.5, SHARE(share), LEVEL(b + 0.5) + 0.5, SHARE(share) + 0.5, 0x1c1b19) < 2); /* of two pixels */
    cn_image_free(i);
}

static void without_raters_no_line_is_left_for_what_they_agree_on(void **state)
{
    (void)state;
    drawn d;
    make_drawn(&d, "4444444444", "a", "b", 0.5, 0.5);
    cn_image *i = draw_drawn(&d);
    assert_true(others_in(i, PLOT_LEFT, 502, 400, 514, PAGE) > 500); /* the caption */
    assert_int_equal(others_in(i, PLOT_LEFT, 520, 900, 548, PAGE), 0);
    cn_image_free(i);
    const char *const raters[] = {"anna"};
    d.t.source = CN_CATEGORIES_RATED, d.t.n_raters = 1, d.t.raters = raters;
    i = draw_drawn(&d);
    assert_true(others_in(i, PLOT_LEFT, 502, 400, 514, PAGE) > 500);
    assert_true(others_in(i, PLOT_LEFT, 522, 400, 534, PAGE) > 500);
    cn_image_free(i);
}

static void cards_of_rated_units_show_the_plot(void **state)
{
    (void)state;
    cn_rating_picture *p;
    size_t n, size;
    cn_study *s = rated(&p, &n);
    const cn_unit_ref units[] = {{0, 2}, {0, 1}};
    for (int k = 0; k < 2; k++) {
        OK(cn_card_write_html(s, &units[k], 1, NULL, tempdir_path(dir, "card.html"), e));
        char *page = tempdir_read(tempdir_path(dir, "card.html"), &size);
        assert_int_equal(occurrences(page, "What people see"), k == 0);
        assert_int_equal(occurrences(page, "data:image/svg+xml;base64,"), k == 0 ? 2 : 0); /* light and dark */
        free(page);
    }
    OK(cn_card_write_html(s, units, 1, &(cn_card_options){.theme = CN_THEME_DARK}, tempdir_path(dir, "card.html"), e));
    char *page = tempdir_read(tempdir_path(dir, "card.html"), &size);
    assert_int_equal(occurrences(page, "data:image/svg+xml;base64,"), 1);
    free(page);
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

/* ---- strangers' studies, short memory ---- */

static void damaged_answers_are_errors(void **state)
{
    (void)state;
    cn_category_table *t;
    cn_rating *r;
    cn_category *c;
    size_t n;
    cn_study *s = fresh();
    sql("CREATE TABLE ratings (site, unit); CREATE TABLE rating_categories (site, unit, rank, category)");
    FAILS(cn_study_ratings(s, UNIT, NULL, &r, &n, e), CN_EFORMAT, "damaged");
    FAILS(cn_study_category_table(s, UNIT, NULL, &t, e), CN_EFORMAT, "damaged");
    FAILS(cn_study_keep_rating(s, UNIT, 0, "anna", NULL, e), (e->status), "");
    cn_study_close(s);
    s = fresh();
    OK(cn_study_set_categories(s, UNIT, three, 3, e));
    sql("INSERT INTO ratings VALUES (0, 2, 1, 'anna', hex(zeroblob(100)), '')");
    FAILS(cn_study_ratings(s, UNIT, NULL, &r, &n, e), CN_EFORMAT, "the limit is 64");
    sql("UPDATE ratings SET category = 'a' || char(27) || '[2J'");
    FAILS(cn_study_category_table(s, UNIT, NULL, &t, e), CN_EFORMAT, "control characters");
    sql("UPDATE ratings SET category = 'b', image = -5");
    OK(cn_study_category_table(s, UNIT, NULL, &t, e)); /* a picture that is not there: nothing is rated */
    assert_int_equal(t->agreement.images, 0);
    assert_int_equal(t->n_categories, 4);
    for (size_t b = 0; b < t->n_bins; b++)
        assert_int_equal(t->bins[b].images, 0);
    OK(cn_category_plot(t, CN_PLOT_LIGHT, tempdir_path(dir, "plot.svg"), e));
    cn_category_table_free(t);
    sql("DELETE FROM rating_categories; WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < 40)"
        " INSERT INTO rating_categories SELECT 0, 2, i, 'c' || i FROM k");
    FAILS(cn_study_categories(s, UNIT, &c, &n, e), CN_EFORMAT, "more than 16 categories");
    assert_true(n == 0 && !c);
    sql("UPDATE examples SET bucket = 77 WHERE kind = 2 AND site = 0 AND unit = 1");
    FAILS(cn_study_category_table(s, (cn_unit_ref){0, 1}, &(cn_category_options){.source = CN_CATEGORIES_MEDIUM}, &t, e), CN_EFORMAT,
          "bucket 77");
    cn_study_close(s);
}

static void short_memory_is_an_error_without_leaks(void **state)
{
    (void)state;
    cn_rating_picture *p;
    size_t n;
    cn_study *s = rated(&p, &n);
    char file[512];
    snprintf(file, sizeof file, "%s", tempdir_path(dir, "short.csv"));
    OK(cn_study_write_rating_template(s, UNIT, "eva", file, e));
    for (size_t at = 1;; at++) {
        cn_category_table *t;
        cn_memory_fail_at(at, true);
        cn_status st = cn_study_category_table(s, UNIT, &(cn_category_options){.resamples = 10}, &t, NULL);
        if (st == CN_OK)
            st = cn_category_plot(t, CN_PLOT_LIGHT, tempdir_path(dir, "short.svg"), NULL);
        cn_memory_fail_at(0, false);
        cn_category_table_free(t);
        if (st == CN_OK)
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_true(at < 500);
    }
    for (size_t at = 1;; at++) {
        cn_memory_fail_at(at, true);
        const cn_status st = cn_study_read_ratings(s, UNIT, "eva", file, NULL, NULL);
        cn_memory_fail_at(0, false);
        if (st == CN_EINVAL) /* no row has a category */
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_true(at < 500);
    }
    cn_rating_pictures_free(p);
    cn_study_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_intervals_are_those_of_the_tables),
        cmocka_unit_test(alpha_is_that_of_krippendorffs_example),
        cmocka_unit_test(kappa_and_alpha_of_two_raters),
        cmocka_unit_test(agreement_that_is_not_defined_is_not_a_number),
        cmocka_unit_test(bootstrap_holds_alpha_and_repeats_with_its_seed),
        cmocka_unit_test(pictures_are_the_sample_and_complete_buckets),
        cmocka_unit_test(each_rater_has_an_order_that_stays),
        cmocka_unit_test(answers_are_kept_replaced_and_taken_back),
        cmocka_unit_test(wrong_names_and_pictures_are_refused),
        cmocka_unit_test(raters_have_a_limit),
        cmocka_unit_test(a_template_filled_in_comes_back),
        cmocka_unit_test(a_csv_with_raters_and_paths_is_read),
        cmocka_unit_test(wrong_csvs_name_the_line_and_leave_nothing),
        cmocka_unit_test(a_sheet_allows_its_script_and_hides_activations),
        cmocka_unit_test(shares_are_those_of_the_answers),
        cmocka_unit_test(wider_bins_weigh_buckets_by_their_pictures),
        cmocka_unit_test(agreement_is_that_of_the_answers),
        cmocka_unit_test(media_and_labels_need_no_rater),
        cmocka_unit_test(many_labels_become_other),
        cmocka_unit_test(plots_are_well_formed_and_name_their_categories),
        cmocka_unit_test(levels_without_pictures_say_none_once_on_a_clear_page),
        cmocka_unit_test(names_that_are_wider_than_their_levels_are_left_to_the_legend),
        cmocka_unit_test(intervals_stand_over_names),
        cmocka_unit_test(without_raters_no_line_is_left_for_what_they_agree_on),
        cmocka_unit_test(cards_of_rated_units_show_the_plot),
        cmocka_unit_test(short_memory_is_an_error_without_leaks),
        cmocka_unit_test(damaged_answers_are_errors), /* the last: it damages the study */
    };
    return cmocka_run_group_tests(tests, make_studies, remove_studies);
}
