/* Whole scans with invented activations: what the study says equals what the matrices hold, whatever the
 * threads, and a study appears complete or not at all. */
#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/image.h"
#include "dump.h"
#include "fake.h"
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
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 15, IMAGES = 2 * EACH };

static int setup(void **state)
{
    *state = tempdir_make();
    fake_collection(*state, EACH);
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

static const cn_tensor *matrix(cn_arrays **a, const char *dir, const char *name)
{
    cn_error err = {0};
    if (cn_arrays_open(a, tempdir_path(dir, name), &err) != CN_OK)
        fail_msg("%s", err.text);
    return cn_arrays_at(*a, 0);
}

static void a_scan_counts_what_it_met(void **state)
{
    const char *dir = *state;
    cn_scan_result r;
    fake_scan(dir, "study", NULL, &r);
    assert_int_equal(r.images, IMAGES);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.ignored, 1);
    assert_int_equal(r.labelled, IMAGES);
    assert_int_equal(r.labels, 2);
    assert_int_equal(r.media, 2);
    assert_int_equal(tempdir_count(dir), 3); /* pics, labels.csv, study: nothing temporary */

    cn_study *s = open_study(dir, "study");
    const cn_study_info *info = cn_study_get_info(s);
    assert_int_equal(info->images, IMAGES);
    assert_int_equal(info->failed, 1);
    assert_string_equal(info->fingerprint, "f00d");
    assert_string_equal(info->collection_name, "pics");
    assert_string_equal(info->word_template, "{}");
    assert_int_equal(info->resolution, FAKE_RESOLUTION);
    assert_int_equal(info->reduce, CN_REDUCE_MEAN);
    assert_true(info->unknown_words > 0); /* those with a z, says the fake */
    cn_failure *f;
    size_t n;
    assert_int_equal(cn_study_failures(s, &f, &n, NULL), CN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(f[0].path, "red/broken.png");
    assert_null(strstr(f[0].reason, "broken.png"));
    assert_true(strlen(f[0].reason) > 5);
    cn_failures_free(f);
    assert_int_equal(cn_study_site_count(s), 3);
    assert_string_equal(cn_study_site_at(s, 0)->short_name, "layer4.0.add");
    assert_int_equal(cn_study_site_at(s, 0)->dead, 1);
    assert_int_equal(cn_study_site_at(s, 1)->height, 2); /* the tokens without the class token */
    assert_int_equal(cn_study_site_at(s, 2)->height, 0);
    cn_study_close(s);
}

static void statistics_equal_those_of_the_matrix(void **state)
{
    const char *dir = *state;
    fake_scan(dir, "study", NULL, NULL);
    cn_study *s = open_study(dir, "study");
    cn_arrays *a;
    const cn_tensor *t = matrix(&a, dir, "study/layer4.0.add.mean.npy");
    assert_int_equal(t->shape[0], IMAGES);
    assert_int_equal(t->shape[1], FAKE_UNITS);
    float values[IMAGES * FAKE_UNITS];
    cn_tensor_read_f32(t, values);
    cn_unit_row *rows;
    size_t n;
    assert_int_equal(cn_study_units(s, 0, CN_ORDER_UNIT, 0, &rows, &n, NULL), CN_OK);
    assert_int_equal(n, FAKE_UNITS);
    for (int u = 0; u < FAKE_UNITS; u++) {
        double mean = 0, square = 0, max = -INFINITY;
        int positive = 0;
        for (int i = 0; i < IMAGES; i++) {
            double v = values[i * FAKE_UNITS + u];
            mean += v / IMAGES, square += v * v / IMAGES, max = fmax(max, v), positive += v > 0;
        }
        assert_true(fabs(rows[u].mean - mean) < 1e-9);
        assert_true(fabs(rows[u].rms - sqrt(square)) < 1e-9);
        assert_true(rows[u].max == max);
        assert_true(rows[u].share_positive == (double)positive / IMAGES);
        assert_int_equal(rows[u].dead, u == FAKE_UNITS - 1);
        int64_t counts[7], total = 0;
        assert_int_equal(cn_study_histogram(s, rows[u].ref, -3, 3, 7, counts, NULL), CN_OK);
        for (int b = 0; b < 7; b++)
            total += counts[b];
        assert_int_equal(total, rows[u].dead ? 0 : IMAGES);
    }
    cn_unit_rows_free(rows);
    cn_arrays_close(a);
    cn_study_close(s);
}

static void the_matrix_holds_what_the_pixels_give(void **state)
{
    const char *dir = *state;
    fake_scan(dir, "study", NULL, NULL);
    cn_study *s = open_study(dir, "study");
    static const char *const names[] = {"layer4.0.add", "tokens", "out"};
    for (size_t site = 0; site < 3; site++) {
        char name[64];
        cn_arrays *a;
        float values[IMAGES * FAKE_UNITS];
        snprintf(name, sizeof name, "study/%s.mean.npy", names[site]);
        cn_tensor_read_f32(matrix(&a, dir, name), values);
        cn_arrays_close(a);
        cn_example *e;
        size_t n;
        assert_int_equal(cn_study_examples(s, (cn_unit_ref){site, 0}, CN_EXAMPLE_TOP, &e, &n, NULL), CN_OK);
        for (size_t i = 0; i < n; i++) {
            cn_image *image;
            static uint8_t rgb[FAKE_RESOLUTION * FAKE_RESOLUTION * 3];
            static float pixels[3 * FAKE_RESOLUTION * FAKE_RESOLUTION];
            snprintf(name, sizeof name, "pics/%.40s", e[i].path);
            assert_int_equal(cn_image_load(&image, tempdir_path(dir, name), NULL, NULL), CN_OK);
            assert_int_equal(cn_image_preprocess(image, FAKE_RESOLUTION, rgb, NULL), CN_OK);
            cn_image_free(image);
            cn_pixels_normalise(rgb, 1, FAKE_RESOLUTION, NULL, NULL, pixels);
            float expected = fake_mean(site, 0, pixels);
            assert_true(values[e[i].image * FAKE_UNITS] == expected);
            assert_true(e[i].value == expected);
        }
        cn_examples_free(e);
    }
    cn_study_close(s);
}

static void examples_are_sorted_and_carry_place_map_and_thumbnail(void **state)
{
    const char *dir = *state;
    fake_scan(dir, "study", NULL, NULL);
    cn_study *s = open_study(dir, "study");
    for (size_t site = 0; site < 3; site++) {
        const cn_study_site *k = cn_study_site_at(s, site);
        cn_example *e;
        size_t n;
        assert_int_equal(cn_study_examples(s, (cn_unit_ref){site, 1}, CN_EXAMPLE_TOP, &e, &n, NULL), CN_OK);
        assert_int_equal(n, 24);
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || e[i].value < e[i - 1].value ||
                        (e[i].value == e[i - 1].value && strcmp(e[i].path, e[i - 1].path) > 0));
            assert_non_null(e[i].thumbnail);
            assert_string_equal(e[i].label, strncmp(e[i].path, "red", 3) == 0 ? "red" : "green");
            assert_true(strcmp(e[i].medium, "line") == 0 || strcmp(e[i].medium, "word") == 0);
            if (site == 2) {
                assert_null(e[i].map);
                assert_int_equal(e[i].row, -1);
            } else if (e[i].row >= 0) {
                int64_t at = e[i].row * k->width + e[i].column;
                assert_true(fabs(e[i].map[at] - e[i].peak) < 0.01);
                for (int64_t p = 0; p < k->height * k->width; p++)
                    assert_true(e[i].map[p] <= e[i].map[at]);
            } else {
                assert_int_equal(site, 1); /* only a class token is off the map */
            }
        }
        cn_examples_free(e);
        assert_int_equal(cn_study_examples(s, (cn_unit_ref){site, 1}, CN_EXAMPLE_BOTTOM, &e, &n, NULL),
                         CN_OK);
        assert_int_equal(n, 12);
        for (size_t i = 1; i < n; i++)
            assert_true(e[i].value >= e[i - 1].value);
        cn_examples_free(e);
    }
    cn_study_close(s);
}

/* Drawings stay sharp; what a PNG could not hold in 6 kB is the smaller of both. */
static void a_thumbnail_is_a_png_unless_that_is_large(void **state)
{
    const char *dir = *state;
    enum { SIDE = 128 };
    static uint8_t noise[SIDE * SIDE * 3], flat[SIDE * SIDE * 3];
    uint32_t random = 1;
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        random = random * 1664525u + 1013904223u;
        noise[i] = (uint8_t)(random >> 24);
        flat[i] = (uint8_t)(i / 3 % SIDE / 16 * 30);
    }
    for (int k = 0; k < 2; k++) {
        void *png;
        size_t size;
        assert_int_equal(cn_image_encode(k ? noise : flat, SIDE, SIDE, CN_IMAGE_PNG, 0, &png, &size, NULL), CN_OK);
        tempdir_write(dir, k ? "pics/red/noise.png" : "pics/red/flat.png", png, size);
        cn_bytes_free(png);
    }
    fake_scan(dir, "study", &(cn_scan_options){.thumbnail = SIDE}, NULL);
    cn_study *s = open_study(dir, "study");
    int found[2] = {0, 0};
    for (int64_t u = 0; u < 4; u++)
        for (int kind = CN_EXAMPLE_TOP; kind <= CN_EXAMPLE_BUCKET; kind++) {
            cn_example *e;
            size_t n;
            assert_int_equal(cn_study_examples(s, (cn_unit_ref){0, u}, (cn_example_kind)kind, &e, &n, NULL), CN_OK);
            for (size_t i = 0; i < n; i++) {
                const bool is_noise = strcmp(e[i].path, "red/noise.png") == 0;
                assert_true(e[i].thumbnail && (is_noise || e[i].thumbnail_size <= 6144));
                assert_string_equal(e[i].thumbnail_type, is_noise ? "image/jpeg" : "image/png");
                found[is_noise] += is_noise || strcmp(e[i].path, "red/flat.png") == 0;
            }
            cn_examples_free(e);
        }
    assert_true(found[0] && found[1]);
    cn_study_close(s);
}

static void buckets_divide_the_range_and_sample_it(void **state)
{
    const char *dir = *state;
    cn_scan_options o = {.buckets = 5, .per_bucket = 3, .seed = 42};
    fake_scan(dir, "study", &o, NULL);
    cn_study *s = open_study(dir, "study");
    cn_unit_row *row;
    cn_example *e;
    size_t n;
    assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, 0}, &row, NULL), CN_OK);
    assert_int_equal(cn_study_examples(s, row->ref, CN_EXAMPLE_BUCKET, &e, &n, NULL), CN_OK);
    assert_true(n > 5 && n <= 15);
    int held[5] = {0};
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(e[i].bucket, bucket_of((float)e[i].value, (float)row->min, (float)row->max, 5));
        assert_true(i == 0 || e[i].bucket >= e[i - 1].bucket);
        if (i && e[i].bucket == e[i - 1].bucket)
            assert_true(sample_key(42, e[i].path) > sample_key(42, e[i - 1].path));
        held[e[i].bucket]++;
    }
    assert_true(held[0] > 0 && held[4] > 0); /* the extremes are in buckets of their own */
    cn_examples_free(e);
    cn_unit_rows_free(row);
    cn_study_close(s);
}

static void groups_equal_means_over_the_matrix(void **state)
{
    const char *dir = *state;
    fake_scan(dir, "study", NULL, NULL);
    cn_study *s = open_study(dir, "study");
    cn_arrays *a;
    float means[2 * FAKE_UNITS];
    const cn_tensor *t = matrix(&a, dir, "study/layer4.0.add.labels.npy");
    assert_int_equal(t->shape[0], 2);
    cn_tensor_read_f32(t, means); /* row 0: green, row 1: red */
    cn_arrays_close(a);
    cn_group *g;
    size_t n;
    assert_int_equal(cn_study_groups(s, (cn_unit_ref){0, 1}, CN_GROUP_LABEL, &g, &n, NULL), CN_OK);
    assert_int_equal(n, 2);
    assert_string_equal(g[0].name, "green"); /* unit 1 sees the green channel */
    assert_true(g[0].z > 3 && g[1].z < -3);
    assert_true(fabs(g[0].mean - means[1]) < 1e-6 && fabs(g[1].mean - means[FAKE_UNITS + 1]) < 1e-6);
    assert_int_equal(g[0].images, EACH);
    assert_true(g[0].share_positive == -1);
    cn_groups_free(g);
    assert_int_equal(cn_study_groups(s, (cn_unit_ref){0, 1}, CN_GROUP_MEDIUM, &g, &n, NULL), CN_OK);
    assert_int_equal(n, 2);
    assert_string_equal(g[0].name, "line");
    assert_int_equal(g[0].images + g[1].images, IMAGES);
    cn_groups_free(g);
    assert_int_equal(cn_study_groups(s, (cn_unit_ref){0, 1}, CN_GROUP_LABEL_MEDIUM, &g, &n, NULL), CN_OK);
    assert_int_equal(n, 2);
    assert_int_equal(g[0].images + g[1].images, EACH);
    cn_groups_free(g);
    cn_unit_row *row;
    assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, 1}, &row, NULL), CN_OK);
    assert_string_equal(row->label, "green");
    assert_true(row->purity > 0.9 && row->reads && row->media_count == 2);
    assert_string_equal(row->media, "line word");
    cn_unit_rows_free(row);
    cn_study_close(s);
}

/* ---- the same study from any threads ---- */

static void the_study_is_the_same_for_any_threads_and_batch(void **state)
{
    const char *dir = *state;
    static const int threads[] = {1, 2, 7}, batches[] = {8, 5, 64};
    char *first = NULL, *bytes = NULL;
    size_t first_size = 0;
    for (int i = 0; i < 3; i++) {
        char name[32], file[64];
        size_t size;
        snprintf(name, sizeof name, "study%d", i);
        cn_scan_options o = {.decode_threads = threads[i], .batch = batches[i]};
        fake_scan(dir, name, &o, NULL);
        char *d = dump_study(dir, name);
        snprintf(file, sizeof file, "%s/layer4.0.add.mean.npy", name);
        char *m = tempdir_read(tempdir_path(dir, file), &size);
        if (!first) {
            first = d, bytes = m, first_size = size;
            continue;
        }
        assert_string_equal(first, d);
        assert_int_equal(size, first_size);
        assert_memory_equal(bytes, m, size);
        free(d);
        free(m);
    }
    assert_true(strlen(first) > 10000);
    free(first);
    free(bytes);
}

/* ---- options ---- */

static void half_matrices_hold_rounded_values_and_none_leaves_them_out(void **state)
{
    const char *dir = *state;
    cn_arrays *a;
    float full[IMAGES * FAKE_UNITS], half[IMAGES * FAKE_UNITS];
    fake_scan(dir, "study", NULL, NULL);
    cn_scan_options o = {.matrices = CN_DTYPE_F16};
    fake_scan(dir, "half", &o, NULL);
    o = (cn_scan_options){.no_matrices = true, .no_words = true};
    fake_scan(dir, "none", &o, NULL);
    assert_int_equal(tempdir_count(tempdir_path(dir, "none")), 1);
    assert_int_equal(tempdir_count(tempdir_path(dir, "study")), 1 + 3 * 5 + 2);
    cn_tensor_read_f32(matrix(&a, dir, "study/layer4.0.add.mean.npy"), full);
    cn_arrays_close(a);
    const cn_tensor *t = matrix(&a, dir, "half/layer4.0.add.mean.npy");
    assert_int_equal(t->dtype, CN_DTYPE_F16);
    cn_tensor_read_f32(t, half);
    cn_arrays_close(a);
    for (int i = 0; i < IMAGES * FAKE_UNITS; i++)
        assert_true(fabsf(full[i] - half[i]) <= fabsf(full[i]) / 2048 + 1e-7f);
    cn_study *s = open_study(dir, "none");
    cn_word *w;
    size_t n;
    assert_int_equal(cn_study_words(s, (cn_unit_ref){0, 0}, &w, &n, NULL), CN_OK);
    assert_int_equal(n, 0);
    assert_null(cn_study_get_info(s)->word_template);
    cn_study_close(s);
}

static void the_study_says_how_pictures_were_preprocessed(void **state)
{
    const char *dir = *state;
    const cn_scan_options o = {.rgb_first = true, .apply_orientation = true};
    fake_scan(dir, "study", NULL, NULL);
    fake_scan(dir, "rgb", &o, NULL);
    char *original = dump_study(dir, "study"), *rgb = dump_study(dir, "rgb");
    assert_non_null(strstr(original, "preprocessing|bicubic, centre crop, CLIP mean and sd\n"));
    assert_non_null(
        strstr(rgb, "preprocessing|orientation, RGB first, bicubic, centre crop, CLIP mean and sd\n"));
    free(original);
    free(rgb);
}

static void statistics_may_be_of_the_spatial_maximum(void **state)
{
    const char *dir = *state;
    cn_scan_options o = {.reduce = CN_REDUCE_MAX};
    fake_scan(dir, "study", &o, NULL);
    cn_study *s = open_study(dir, "study");
    cn_example *e;
    size_t n;
    assert_int_equal(cn_study_examples(s, (cn_unit_ref){0, 0}, CN_EXAMPLE_TOP, &e, &n, NULL), CN_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(e[i].value == e[i].peak);
    cn_examples_free(e);
    assert_int_equal(cn_study_get_info(s)->reduce, CN_REDUCE_MAX);
    cn_study_close(s);
}

static cn_status try_scan(const char *dir, const char *study, const char *fingerprint,
                          const cn_scan_options *o, int broken, cn_scan_result *result, cn_error *err)
{
    source s;
    memset(err, 0, sizeof *err);
    fake_open(&s, fingerprint, 8);
    fake_break_run(&s, broken);
    cn_status st = scan_source(&s, tempdir_path(dir, "pics"), tempdir_path(dir, study), o, result, err);
    s.close(&s);
    return st;
}

/* Both files have the same bytes. */
static void same_file(const char *dir, const char *a, const char *b)
{
    size_t n, m;
    char *x = tempdir_read(tempdir_path(dir, a), &n), *y = tempdir_read(tempdir_path(dir, b), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* What a table has about a site, as text. */
static char *rows_of_site(const char *dir, const char *study, const char *columns, const char *table, int site)
{
    char sql[512];
    sqlite3 *db;
    sqlite3_stmt *q;
    snprintf(sql, sizeof sql, "SELECT group_concat(row, ' ') FROM (SELECT %s AS row FROM %s WHERE site = %d ORDER BY row)", columns, table, site);
    assert_int_equal(sqlite3_open_v2(tempdir_path(dir, study), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    char *text = strdup((const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(db);
    return text;
}

/* The fake's site 2 has the values that its site 1 has at the class token, alone. */
static void statistics_may_be_of_the_class_token(void **state)
{
    static const struct {
        const char *columns, *table;
    } tables[] = {{"unit || ' ' || mean || ' ' || sd || ' ' || rms || ' ' || min || ' ' || max || ' ' || kurtosis || ' ' || dead || ' ' || score", "units"},
                  {"unit || hex(bins)", "histograms"},
                  {"unit || ' ' || kind || ' ' || rank || ' ' || image || ' ' || value", "examples"},
                  {"unit || ' ' || rank || ' ' || label || ' ' || mean || ' ' || z", "unit_labels"},
                  {"unit || ' ' || medium || ' ' || mean || ' ' || z", "unit_media"},
                  {"unit || ' ' || rank || ' ' || word || ' ' || score || ' ' || z", "unit_words"}};
    const char *dir = *state;
    for (int half = 0; half < 2; half++) {
        cn_scan_options o = {.force = true, .matrices = half ? CN_DTYPE_F16 : CN_DTYPE_F32};
        fake_scan(dir, "all", &o, NULL);
        o.reduce = CN_REDUCE_CLASS;
        fake_scan(dir, "study", &o, NULL);
        same_file(dir, "study/tokens.class.npy", "all/out.mean.npy");
        same_file(dir, "study/tokens.coarse.npy", "all/out.coarse.npy");
        same_file(dir, "study/tokens.labels.npy", "all/out.labels.npy");
        same_file(dir, "study/tokens.mean.npy", "all/tokens.mean.npy"); /* beside it, as ever */
        same_file(dir, "study/tokens.max.npy", "all/tokens.max.npy");
        same_file(dir, "study/tokens.argmax.npy", "all/tokens.argmax.npy");
        assert_int_equal(access(tempdir_path(dir, "all/tokens.class.npy"), F_OK), -1);
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char *a = rows_of_site(dir, "study/study.sqlite", tables[i].columns, tables[i].table, 0);
        char *b = rows_of_site(dir, "all/study.sqlite", tables[i].columns, tables[i].table, 2);
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
    cn_study *s = open_study(dir, "study");
    cn_example *e;
    size_t n;
    assert_int_equal(cn_study_get_info(s)->reduce, CN_REDUCE_CLASS);
    assert_int_equal(cn_study_examples(s, (cn_unit_ref){0, 0}, CN_EXAMPLE_TOP, &e, &n, NULL), CN_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(e[i].peak >= e[i].value); /* of all tokens */
        assert_non_null(e[i].map);            /* of the patches */
    }
    cn_examples_free(e);
    cn_study_close(s);
    fake_scan(dir, "study", &(cn_scan_options){.force = true}, NULL);
    assert_int_equal(access(tempdir_path(dir, "study/tokens.class.npy"), F_OK), -1); /* the older study's own file went with it */
}

static void sites_without_a_class_token_are_refused(void **state)
{
    const char *dir = *state;
    const cn_scan_options o = {.reduce = CN_REDUCE_CLASS};
    for (int site = 0; site < 3; site += 2) {
        source s;
        cn_error err = {0};
        fake_open(&s, "f00d", 8);
        s.sites[0] = s.sites[site];
        s.n_sites = 1;
        assert_int_equal(scan_source(&s, tempdir_path(dir, "pics"), tempdir_path(dir, "study"), &o, NULL, &err), CN_EINVAL);
        assert_string_equal(err.text, site ? "visual.out has no class token: only a ViT's visual.ln_pre and visual.transformer, with its blocks and what is in "
                                             "them, have one; scan those, or with --reduce mean"
                                           : "visual.layer4.0.add has no class token: only a ViT's visual.ln_pre and visual.transformer, with its blocks and what "
                                             "is in them, have one; scan those, or with --reduce mean");
        s.close(&s);
    }
    assert_int_equal(tempdir_count(dir), 2); /* pics, labels.csv */
}

static void a_study_of_an_unknown_kind_is_refused(void **state)
{
    const char *dir = *state;
    cn_study *s;
    cn_error err = {0};
    sqlite3 *db;
    fake_scan(dir, "study", &(cn_scan_options){.no_words = true}, NULL);
    assert_int_equal(sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE meta SET value = 'median' WHERE key = 'reduce'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "/study: a study with --reduce \"median\", which this program does not know"));
}

static void options_out_of_range_are_refused(void **state)
{
    const char *dir = *state;
    const cn_scan_options bad[] = {{.top = -1},
                                   {.bottom = 1000},
                                   {.buckets = 100, .per_bucket = 100},
                                   {.thumbnail = 5},
                                   {.decode_threads = -1},
                                   {.matrices = CN_DTYPE_U8},
                                   {.reduce = (cn_reduce)3},
                                   {.word_template = "no hole"},
                                   {.word_template = "{} {}"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cn_error err;
        assert_int_equal(try_scan(dir, "study", "f00d", &bad[i], 0, NULL, &err), CN_EINVAL);
        assert_true(err.text[0]);
    }
    assert_int_equal(tempdir_count(dir), 2);
}

/* ---- failures ---- */

static void values_that_are_not_finite_count_as_failures(void **state)
{
    const char *dir = *state;
    cn_scan_result r;
    cn_error err;
    assert_int_equal(try_scan(dir, "study", "f00d", NULL, 2, &r, &err), CN_OK);
    assert_int_equal(r.images, IMAGES - 1);
    assert_int_equal(r.failed, 2);
    cn_study *s = open_study(dir, "study");
    cn_failure *f;
    size_t n;
    assert_int_equal(cn_study_failures(s, &f, &n, NULL), CN_OK);
    assert_string_equal(f[0].reason, "the model's values at visual.layer4.0.add are not finite");
    cn_failures_free(f);
    cn_study_close(s);
}

static bool stop_in_phase(const cn_scan_progress *p, void *user)
{
    return p->phase != *(const cn_scan_phase *)user;
}

static void a_cancelled_scan_leaves_no_study(void **state)
{
    const char *dir = *state;
    for (cn_scan_phase phase = CN_SCAN_LISTING; phase <= CN_SCAN_WRITING; phase++) {
        cn_scan_options o = {.progress = stop_in_phase, .user = &phase};
        cn_error err;
        assert_int_equal(try_scan(dir, "study", "f00d", &o, 0, NULL, &err), CN_ECANCELED);
        /* Once all pictures are through, the work stays. */
        assert_int_equal(tempdir_count(dir), phase > CN_SCAN_IMAGES ? 3 : 2);
    }
}

static void only_a_study_of_the_same_model_is_replaced_and_only_by_force(void **state)
{
    const char *dir = *state;
    cn_error err;
    cn_scan_options force = {.force = true, .seed = 9};
    tempdir_text(dir, "other/mine.txt", "precious");
    assert_int_equal(try_scan(dir, "other", "f00d", &force, 0, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "is not empty and no study"));
    assert_int_equal(try_scan(dir, "labels.csv", "f00d", &force, 0, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "is not a folder"));
    assert_int_equal(try_scan(dir, "study", "f00d", NULL, 0, NULL, &err), CN_OK);
    assert_int_equal(try_scan(dir, "study", "f00d", NULL, 0, NULL, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "is a study of this model already"));
    assert_int_equal(try_scan(dir, "study", "beef", &force, 0, NULL, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another model"));
    tempdir_text(dir, "study/cards.html", "mine");
    tempdir_text(dir, "study/masks.npy", "mine, too");
    assert_int_equal(try_scan(dir, "study/", "f00d", &force, 0, NULL, &err), CN_OK);
    char *kept = tempdir_read(tempdir_path(dir, "study/cards.html"), NULL);
    assert_string_equal(kept, "mine"); /* the user's own file is in the new study */
    free(kept);
    kept = tempdir_read(tempdir_path(dir, "study/masks.npy"), NULL);
    assert_string_equal(kept, "mine, too"); /* not a matrix of the study's, whatever its ending */
    free(kept);
    char *precious = tempdir_read(tempdir_path(dir, "other/mine.txt"), NULL);
    assert_string_equal(precious, "precious");
    free(precious);
    assert_int_equal(tempdir_count(dir), 4); /* pics, labels.csv, other, study */
}

static cn_status scan_list(const char *dir, const char *study, int shard, int shards, int broken, cn_scan_result *r, cn_error *err)
{
    source s;
    memset(err, 0, sizeof *err);
    fake_open(&s, "f00d", 8);
    fake_break_run(&s, broken);
    const cn_scan_options o = {.shard = shard, .shards = shards};
    const cn_status st = scan_source(&s, tempdir_path(dir, "list.txt"), tempdir_path(dir, study), &o, r, err);
    s.close(&s);
    return st;
}

static void a_collection_that_cannot_be_read_gives_no_study(void **state)
{
    const char *dir = *state;
    cn_error err;
    cn_scan_result r;
    char *picture;
    size_t size;
    tempdir_text(dir, "list.txt", "pics/b.png\npics/a.png\npics/c.png\n");
    for (int again = 0; again < 2; again++) { /* nothing to go on from: it is tried again */
        assert_int_equal(scan_list(dir, "study", 0, 0, 0, &r, &err), CN_EFORMAT);
        assert_non_null(strstr(err.text, "none of 3 images could be read, first pics/a.png: "));
        assert_non_null(strstr(err.text, "study.part/work.sqlite has all)"));
        assert_null(strchr(err.text, '\n'));
        assert_int_equal(access(tempdir_path(dir, "study"), F_OK), -1);
        assert_int_equal(access(tempdir_path(dir, "study.part/work.sqlite"), F_OK), 0);
    }
    picture = tempdir_read(tempdir_path(dir, "pics/red/000.png"), &size);
    tempdir_write(dir, "pics/b.png", picture, size);
    assert_int_equal(scan_list(dir, "broken", 0, 0, 1, &r, &err), CN_EFORMAT); /* nor is a model that gives no numbers one */
    assert_non_null(strstr(err.text, "none of 3 images"));
    assert_int_equal(scan_list(dir, "study", 0, 0, 0, &r, &err), CN_OK);
    assert_int_equal(r.images, 1);
    assert_int_equal(r.failed, 2);
    assert_int_equal(access(tempdir_path(dir, "study.part"), F_OK), -1);
    unlink(tempdir_path(dir, "pics/b.png"));
    free(picture);
}

/* A part may be all bad where the others are not. */
static void parts_that_cannot_be_read_give_no_study(void **state)
{
    const char *dir = *state;
    cn_error err = {0};
    cn_scan_result r;
    source s;
    tempdir_text(dir, "list.txt", "pics/b.png\npics/a.png\npics/c.png\n");
    assert_int_equal(scan_list(dir, "part1", 1, 2, 0, &r, &err), CN_OK);
    assert_int_equal(r.failed, 2);
    assert_int_equal(scan_list(dir, "part2", 2, 2, 0, &r, &err), CN_OK);
    char first[1024], second[1024];
    snprintf(first, sizeof first, "%s/part1", dir);
    snprintf(second, sizeof second, "%s/part2", dir);
    const char *const parts[] = {first, second};
    fake_open(&s, "f00d", 8);
    assert_int_equal(merge_source(&s, parts, 2, tempdir_path(dir, "study"), NULL, NULL, &err), CN_EFORMAT);
    s.close(&s);
    assert_non_null(strstr(err.text, "none of 3 images could be read, first pics/a.png: "));
    assert_non_null(strstr(err.text, "part1/work.sqlite has all)"));
    assert_int_equal(access(tempdir_path(dir, "study"), F_OK), -1);
}

static void an_empty_collection_gives_an_empty_study(void **state)
{
    const char *dir = *state;
    cn_scan_result r;
    source s;
    tempdir_text(dir, "nothing/readme.txt", "no pictures");
    fake_open(&s, "f00d", 8);
    assert_int_equal(
        scan_source(&s, tempdir_path(dir, "nothing"), tempdir_path(dir, "study"), NULL, &r, NULL), CN_OK);
    s.close(&s);
    assert_int_equal(r.images, 0);
    cn_study *study = open_study(dir, "study");
    cn_unit_row *rows;
    size_t n;
    assert_int_equal(cn_study_units(study, 0, CN_ORDER_INTERESTING, 0, &rows, &n, NULL), CN_OK);
    assert_int_equal(n, 0);
    assert_int_equal(cn_study_site_at(study, 0)->dead, FAKE_UNITS);
    cn_study_close(study);
}

static void each_failing_allocation_ends_a_scan_cleanly(void **state)
{
    const char *dir = *state;
    char *small = tempdir_make();
    (void)dir;
    int stayed = 0;
    fake_collection(small, 1);
    tempdir_text(small, "words.txt", "cat\ndog\n");
    for (size_t n = 1;; n += n < 60 ? 1 : 7) {
        source s;
        cn_error err = {0};
        char words[1024];
        snprintf(words, sizeof words, "%s/words.txt", small);
        cn_scan_options o = {.words = words, .decode_threads = 1, .force = true, .restart = true, .top = 3, .bottom = 2};
        fake_open(&s, "f00d", 2);
        cn_memory_fail_at(n, true);
        cn_status st =
            scan_source(&s, tempdir_path(small, "pics"), tempdir_path(small, "study"), &o, NULL, &err);
        cn_memory_fail_at(0, false);
        s.close(&s);
        if (st == CN_OK)
            break;
        if (st != CN_ENOMEM)
            fail_msg("allocation %zu: %s", n, err.text);
        /* pics, labels.csv, words.txt; and the work, once all pictures are through */
        const bool work = access(tempdir_path(small, "study.part"), F_OK) == 0;
        assert_int_equal(tempdir_count(small), 3 + work);
        stayed += work;
        assert_true(n < 5000);
    }
    assert_true(stayed > 3);
    tempdir_remove(small);
}

/* ---- asking ---- */

static void units_are_named_in_several_ways(void **state)
{
    const char *dir = *state;
    fake_scan(dir, "study", NULL, NULL);
    cn_study *s = open_study(dir, "study");
    static const struct {
        const char *text;
        size_t site;
        int64_t unit;
        cn_status st;
    } cases[] = {{"3", 0, 3, CN_OK},
                 {"layer4.0.add:3", 0, 3, CN_OK},
                 {"visual.layer4.0.add:0", 0, 0, CN_OK},
                 {"layer4:5", 0, 5, CN_OK},
                 {"layer4_0_add:2", 0, 2, CN_OK},
                 {"tokens:1", 1, 1, CN_OK},
                 {"out", 2, -1, CN_OK},
                 {"6", 0, 0, CN_EINVAL},
                 {"layer4:99999999999999999999", 0, 0, CN_EINVAL},
                 {"layer4:", 0, 0, CN_EINVAL},
                 {"layer4:-1", 0, 0, CN_EINVAL},
                 {"layer3:1", 0, 0, CN_ENOTFOUND},
                 {"layer:1", 0, 0, CN_ENOTFOUND}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t site;
        int64_t unit;
        cn_error err = {0};
        assert_int_equal(cn_study_parse_unit(s, cases[i].text, &site, &unit, &err), cases[i].st);
        assert_int_equal(err.status, cases[i].st);
        if (cases[i].st != CN_OK)
            continue;
        assert_int_equal(site, cases[i].site);
        assert_int_equal(unit, cases[i].unit);
    }
    cn_error err = {0};
    cn_unit_row *row;
    assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, 6}, &row, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "layer4.0.add has units 0 to 5"));
    cn_study_close(s);
}

static void orders_sort_and_leave_dead_units_out(void **state)
{
    const char *dir = *state;
    fake_scan(dir, "study", NULL, NULL);
    cn_study *s = open_study(dir, "study");
    size_t fire = 0;
    for (int64_t u = 0; u < FAKE_UNITS; u++) {
        cn_unit_row *row;
        assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, u}, &row, NULL), CN_OK);
        fire += !row->dead && row->max > 0;
        cn_unit_rows_free(row);
    }
    assert_in_range(fire, 3, FAKE_UNITS - 2);
    for (cn_unit_order o = CN_ORDER_INTERESTING; o <= CN_ORDER_LABEL; o++) {
        cn_unit_row *r;
        size_t n;
        assert_int_equal(cn_study_units(s, 0, o, 0, &r, &n, NULL), CN_OK);
        size_t expected = o == CN_ORDER_UNIT ? FAKE_UNITS : o == CN_ORDER_INTERESTING ? fire : FAKE_UNITS - 1;
        if (o == CN_ORDER_INTERESTING)
            for (size_t i = 0; i < n; i++)
                assert_true(r[i].max > 0);
        assert_int_equal(n, expected);
        for (size_t i = 1; i < n; i++) {
            assert_true(o != CN_ORDER_UNIT || r[i].ref.unit > r[i - 1].ref.unit);
            assert_true(o != CN_ORDER_INTERESTING || r[i].score <= r[i - 1].score);
            assert_true(o != CN_ORDER_PEAK || r[i].peak_sd <= r[i - 1].peak_sd);
            assert_true(o != CN_ORDER_PURITY || r[i].purity <= r[i - 1].purity);
            assert_true(o != CN_ORDER_KURTOSIS || r[i].kurtosis <= r[i - 1].kurtosis);
            assert_true(o != CN_ORDER_SHARE || r[i].share_positive >= r[i - 1].share_positive);
            assert_true(o != CN_ORDER_LABEL || strcmp(r[i].label, r[i - 1].label) >= 0);
        }
        cn_unit_rows_free(r);
        assert_int_equal(cn_study_units(s, 0, o, 2, &r, &n, NULL), CN_OK);
        assert_int_equal(n, 2);
        cn_unit_rows_free(r);
    }
    cn_study_close(s);
}

/* A query's answer: how many rows, and the first of them as text. */
typedef struct answer {
    int rows;
    char first[256];
} answer;

static int take_row(void *user, int columns, char **values, char **names)
{
    answer *a = user;
    size_t at = 0;
    (void)names;
    for (int i = 0; i < columns && a->rows == 0 && at < sizeof a->first; i++)
        at += (size_t)snprintf(a->first + at, sizeof a->first - at, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    a->rows++;
    return 0;
}

/* Of thirty pictures, half of them red and half green, numbered from 0, with 0 to 4 stars in turn. Unit 0 sees the red of a picture, unit 4 the lack
 * of green, unit 3 the square of the red, which is large where there is none. */
static const struct {
    const char *about; /* what the query's comment begins with */
    int rows;
    const char *first; /* what its first row begins with */
} answers[] = {
    {"the most interesting units", 3, "3|green|1.0|line word|1.58"},
    {"units that answer to a label", 10, "0|4|5.37"},                /* sqrt(29) where a label is told by a unit without any spread */
    {"the strongest pictures of a unit", 24, "0|red/022.png|0.857"},
    {"units that a picture is an example of", 18, "0|3|0|20|1.03"},
    {"units that prefer writing", 10, "0|3|0.436"},
    {"nearest words", 12, "0|1|green|dog|0.999"},
    {"pictures that are in the collection more than once", 0, ""},
    {"pictures of a label that a unit is on for", 9, "red/022.png|9|0.857"}, /* the strongest, in the highest level */
    {"who worked on this study", 1, "2026-01-01T00:00:00Z|1/1|30|1|"},
    {"pictures by a column of one's own", 20, "green/009.png|4"}, /* of six with the most stars the first by its path */
    {"why pictures are missing", 1, "truncated PNG|1"},
};

static void queries_of_the_manual_have_answers(void **state)
{
    const char *dir = *state;
    sqlite3 *db;
    size_t queries = 0;
    char words[1024];
    tempdir_text(dir, "words.txt", "cat\ndog\nred\ngreen\nblack\nwhite\n");
    snprintf(words, sizeof words, "%s/words.txt", dir);
    setenv("SOURCE_DATE_EPOCH", "1767225600", 1);
    fake_scan(dir, "study", &(cn_scan_options){.words = words}, NULL);
    unsetenv("SOURCE_DATE_EPOCH");
    assert_int_equal(sqlite3_open_v2(tempdir_path(dir, "study/study.sqlite"), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    char *manual = tempdir_read(CN_SOURCE_DIR "/docs/study.md", NULL);
    for (char *p = manual; (p = strstr(p, "```sql\n")); queries++) {
        char *sql = p + 7, *end = strstr(sql, "```"), *message = NULL;
        answer got = {0};
        assert_non_null(end);
        *end = '\0';
        p = end + 1;
        if (sqlite3_exec(db, sql, take_row, &got, &message) != SQLITE_OK)
            fail_msg("%s: %s", sql, message);
        size_t k = 0;
        while (k < sizeof answers / sizeof *answers && strncmp(sql + 3, answers[k].about, strlen(answers[k].about)) != 0)
            k++;
        if (k == sizeof answers / sizeof *answers)
            fail_msg("no answer is expected of: %s", sql);
        if (got.rows != answers[k].rows || strncmp(got.first, answers[k].first, strlen(answers[k].first)) != 0)
            fail_msg("%d rows, the first of them %s: %s", got.rows, got.first, sql);
    }
    assert_int_equal(queries, sizeof answers / sizeof *answers);
    free(manual);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_scan_counts_what_it_met),
        T(statistics_equal_those_of_the_matrix),
        T(the_matrix_holds_what_the_pixels_give),
        T(examples_are_sorted_and_carry_place_map_and_thumbnail),
        T(a_thumbnail_is_a_png_unless_that_is_large),
        T(buckets_divide_the_range_and_sample_it),
        T(groups_equal_means_over_the_matrix),
        T(the_study_is_the_same_for_any_threads_and_batch),
        T(half_matrices_hold_rounded_values_and_none_leaves_them_out),
        T(the_study_says_how_pictures_were_preprocessed),
        T(statistics_may_be_of_the_spatial_maximum),
        T(statistics_may_be_of_the_class_token),
        T(sites_without_a_class_token_are_refused),
        T(a_study_of_an_unknown_kind_is_refused),
        T(options_out_of_range_are_refused),
        T(values_that_are_not_finite_count_as_failures),
        T(a_cancelled_scan_leaves_no_study),
        T(only_a_study_of_the_same_model_is_replaced_and_only_by_force),
        T(a_collection_that_cannot_be_read_gives_no_study),
        T(parts_that_cannot_be_read_give_no_study),
        T(an_empty_collection_gives_an_empty_study),
        T(each_failing_allocation_ends_a_scan_cleanly),
        T(units_are_named_in_several_ways),
        T(orders_sort_and_leave_dead_units_out),
        T(queries_of_the_manual_have_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
