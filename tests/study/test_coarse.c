/* Levels of activations: what a level says of a value is true, whatever the sizes, offsets and rounding; and the lists that are found by
 * levels are those that all rows give. */
#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/ask.h"
#include "fake.h"
#include "study/coarse.h"
#include "study/float16.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EACH = 40, IMAGES = 2 * EACH };

static int setup(void **state)
{
    *state = tempdir_make();
    return 0;
}

static int teardown(void **state)
{
    tempdir_remove(*state);
    return 0;
}

static uint64_t random_bits(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = *seed;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Units of very different scales and offsets, one constant, one with few values only. */
static float invented(int64_t unit, uint64_t *seed)
{
    const float x = (float)(random_bits(seed) >> 40) / (1 << 24);
    switch (unit % 6) {
    case 0: return x;
    case 1: return 1000 + x; /* halves are coarser than levels */
    case 2: return -3e-6f * x;
    case 3: return 7;
    case 4: return floorf(4 * x) - 2;
    default: return x < 0.9f ? 0 : 1e30f * x;
    }
}

static void check_levels(const char *dir, int64_t units, int64_t images)
{
    uint64_t seed = (uint64_t)(units * 7919 + images);
    float *values = calloc((size_t)(units * images), sizeof *values);
    float *low = calloc((size_t)units, sizeof *low), *high = calloc((size_t)units, sizeof *high);
    const char *path = tempdir_path(dir, "x.coarse.npy");
    coarse_writer w;
    cn_arrays *file;
    for (int64_t i = 0; i < images * units; i++) {
        const int64_t u = i % units;
        values[i] = invented(u, &seed);
        low[u] = i < units ? values[i] : fminf(low[u], values[i]);
        high[u] = i < units ? values[i] : fmaxf(high[u], values[i]);
    }
    assert_int_equal(coarse_open(&w, path, units, images, low, high, NULL), CN_OK);
    for (int64_t i = 0; i < images; i++)
        assert_int_equal(coarse_add(&w, values + i * units, NULL), CN_OK);
    assert_int_equal(coarse_finish(&w, NULL), CN_OK);
    coarse_close(&w);
    assert_int_equal(cn_arrays_open(&file, path, NULL), CN_OK);
    const cn_tensor *t = cn_arrays_at(file, 0);
    assert_int_equal(t->dtype, CN_DTYPE_U8);
    assert_int_equal(t->shape[0], units);
    assert_int_equal(t->shape[1], images);
    for (int half = 0; half < 2; half++) {
        for (int64_t u = 0; u < units; u++) {
            coarse_unit levels;
            const bool known = coarse_unit_of(&levels, file, u, (double)low[u], (double)high[u], half, 2.5);
            assert_int_equal(known, high[u] > low[u]);
            for (int64_t i = 0; i < images && known && !(half && fabsf(values[i * units + u]) > 60000); i++) {
                const float x = values[i * units + u], stored = half ? float16_to(float16_from(x)) : x;
                const double least = levels.value[levels.level[i]], scaled = (double)stored / 2.5;
                assert_true(least <= scaled && scaled <= least + levels.width);
                if (!half)
                    assert_true(levels.width <= 1.03 * ((double)high[u] - (double)low[u]) / 256 / 2.5);
            }
        }
    }
    cn_arrays_close(file);
    free(values);
    free(low);
    free(high);
}

static void a_level_encloses_its_value(void **state)
{
    check_levels(*state, 1, 1);
    check_levels(*state, 6, 9001); /* several blocks */
    check_levels(*state, 63, 64);
    check_levels(*state, 64, 5);
    check_levels(*state, 131, 4097);
    check_levels(*state, 3000, 3001);
}

static cn_picture *ask(const char *dir, const char *study, const cn_unit_ref *units, size_t n_units, size_t limit, size_t *n)
{
    cn_study *s;
    cn_picture *p;
    cn_error err = {0};
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, study), NULL), CN_OK);
    if (cn_study_pictures_of_units(s, units, n_units, limit, &p, n, &err) != CN_OK)
        fail_msg("%s", err.text);
    cn_study_close(s);
    return p;
}

static void same_pictures(const cn_picture *a, const cn_picture *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].image, b[i].image);
        assert_true(a[i].total == b[i].total);
        assert_string_equal(a[i].path, b[i].path);
    }
}

static void lists_by_levels_are_those_of_all_rows(void **state)
{
    const char *dir = *state;
    static const cn_unit_ref units[] = {{0, 0}, {1, 2}, {0, 3}, {0, 4}, {1, 0}};
    enum { UNITS = sizeof units / sizeof *units };
    static const cn_scan_options how[] = {{.force = true}, {.force = true, .matrices = CN_DTYPE_F16}, {.force = true, .reduce = CN_REDUCE_MAX}};
    fake_collection(dir, EACH);
    for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
        cn_picture *by_levels[UNITS][IMAGES / 2];
        size_t n, m;
        fake_scan(dir, "study", &how[h], NULL);
        for (size_t u = 0; u < UNITS; u++) {
            for (size_t k = 1; k < IMAGES / 2; k++) {
                by_levels[u][k] = ask(dir, "study", units, u + 1, k, &n);
                assert_int_equal(n, k);
            }
        }
        assert_int_equal(unlink(tempdir_path(dir, "study/layer4.0.add.coarse.npy")), 0);
        assert_int_equal(unlink(tempdir_path(dir, "study/tokens.coarse.npy")), 0);
        for (size_t u = 0; u < UNITS; u++) {
            cn_picture *all = ask(dir, "study", units, u + 1, 0, &m);
            assert_int_equal(m, IMAGES);
            for (size_t k = 1; k < IMAGES / 2; k++) {
                same_pictures(by_levels[u][k], all, k);
                cn_pictures_free(by_levels[u][k]);
            }
            cn_pictures_free(all);
        }
    }
}

/* That the few rows are what is asked: a level that says "nothing here" hides a picture. */
static void levels_are_what_decides_which_rows_are_read(void **state)
{
    const char *dir = *state;
    const cn_unit_ref unit = {0, 0};
    static uint8_t levels[FAKE_UNITS * IMAGES];
    const int64_t shape[] = {FAKE_UNITS, IMAGES}, other[] = {FAKE_UNITS, IMAGES - 1};
    size_t n;
    cn_picture *p;
    cn_study *s;
    cn_error err = {0};
    fake_collection(dir, EACH);
    fake_scan(dir, "study", NULL, NULL);
    levels[13] = levels[31] = levels[57] = 255;
    assert_int_equal(cn_npy_write(tempdir_path(dir, "study/layer4.0.add.coarse.npy"), CN_DTYPE_U8, 2, shape, levels, NULL), CN_OK);
    p = ask(dir, "study", &unit, 1, 3, &n);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        assert_true(p[i].image == 13 || p[i].image == 31 || p[i].image == 57);
    cn_pictures_free(p);
    /* of another study, and no array at all */
    assert_int_equal(cn_npy_write(tempdir_path(dir, "study/layer4.0.add.coarse.npy"), CN_DTYPE_U8, 2, other, levels, NULL), CN_OK);
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), NULL), CN_OK);
    assert_int_equal(cn_study_pictures_of_units(s, &unit, 1, 3, &p, &n, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "layer4.0.add.coarse.npy: the study is damaged: is not a (6, 80) array of uint8"));
    cn_error_clear(&err);
    tempdir_text(dir, "study/layer4.0.add.coarse.npy", "rubbish");
    assert_int_equal(cn_study_pictures_of_units(s, &unit, 1, 3, &p, &n, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "layer4.0.add.coarse.npy"));
    cn_error_clear(&err);
    cn_study_close(s);
}

static void levels_that_cannot_be_written_say_why(void **state)
{
    const char *dir = *state;
    const float low[2] = {0, 0}, high[2] = {1, 1};
    coarse_writer w;
    cn_error err = {0};
    assert_int_equal(coarse_open(&w, tempdir_path(dir, "no/such/x.npy"), 2, 1, low, high, &err), CN_EIO);
    assert_non_null(strstr(err.text, "no/such/x.npy: cannot be written: No such file"));
    coarse_close(&w);
    cn_error_clear(&err);
    for (size_t n = 1; n <= 4; n++) {
        cn_memory_fail_at(n, true);
        assert_int_equal(coarse_open(&w, tempdir_path(dir, "x.npy"), 2, 1, low, high, NULL), CN_ENOMEM);
        cn_memory_fail_at(0, false);
        coarse_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_level_encloses_its_value),
        T(lists_by_levels_are_those_of_all_rows),
        T(levels_are_what_decides_which_rows_are_read),
        T(levels_that_cannot_be_written_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
