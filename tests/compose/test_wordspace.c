/* Spaces of words made of numbers: neighbours, group cosines, the association test and regions, against counts of their own. */
#include "base/memory.h"
#include "compose/wordspace.h"
#include "study/product.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cn_word_space *make(const char *const *words, size_t n, int64_t units, const float *values)
{
    cn_error err = {0};
    cn_word_space *s = cn_calloc(1, sizeof *s);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(wordlist_add(&s->list, words[i], strlen(words[i]), &err), CN_OK);
    s->units = units;
    s->values = product_floats((int64_t)n, units);
    memcpy(s->values, values, n * (size_t)units * sizeof *values);
    assert_int_equal(wordspace_finish(s, &err), CN_OK);
    return s;
}

static cn_word_space *random_space(size_t n, int64_t units, uint64_t seed)
{
    const char *words[64];
    static char names[64][16];
    float values[64 * 16];
    rng r = rng_stream(seed, 1, 1);
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "w%02zu", i);
        words[i] = names[i];
    }
    for (size_t i = 0; i < n * (size_t)units; i++)
        values[i] = (float)rng_normal(&r);
    return make(words, n, units, values);
}

static void neighbours_and_analogies(void **state)
{
    (void)state;
    static const char *const words[] = {"king", "man", "queen", "woman", "x", "y"};
    static const float values[] = {1, 1, 1, -1, -1, 1, -1, -1, 0.1f, 0, -0.1f, 0}; /* mean 0 */
    cn_word_space *s = make(words, 6, 2, values);
    cn_error err = {0};
    cn_near_word near[6];
    size_t n = 6, man = 1, plus[2] = {0, 3};
    assert_true(fabs(cn_word_space_cosine(s, 0, 1)) < 1e-6 && fabs(cn_word_space_cosine(s, 0, 3) + 1) < 1e-6);
    assert_int_equal(cn_word_space_nearest(s, &man, 1, NULL, 0, near, &n, &err), CN_OK);
    assert_int_equal(n, 5);
    assert_int_equal(near[0].word, 4); /* "x": on the axis of "man" */
    assert_true(fabs(near[0].cosine - sqrt(0.5)) < 1e-6);
    n = 1;
    plus[0] = 0, plus[1] = 3; /* man is to king as woman is to (1,1) + (-1,-1) - (1,-1) = (-1,1): queen */
    assert_int_equal(cn_word_space_nearest(s, plus, 2, &man, 1, near, &n, &err), CN_OK);
    assert_int_equal(n, 1);
    assert_int_equal(near[0].word, 2);
    assert_int_equal(cn_word_space_find(s, "QUEEN"), 2);
    assert_int_equal(cn_word_space_find(s, "prince"), -1);
    cn_word_space_close(s);
}

/* s(w): difference of the mean cosines. */
static double score(const cn_word_space *s, size_t w, const size_t *a, const size_t *b)
{
    double sum = 0;
    for (int i = 0; i < 3; i++)
        sum += (cn_word_space_cosine(s, w, a[i]) - cn_word_space_cosine(s, w, b[i])) / 3;
    return sum;
}

static void associations_equal_a_count_of_all_divisions(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        cn_word_space *s = random_space(20, 8, seed);
        const size_t x[3] = {0, 1, 2}, y[3] = {3, 4, 5}, a[3] = {6, 7, 8}, b[3] = {9, 10, 11};
        const cn_word_group gx = {x, 3}, gy = {y, 3}, ga = {a, 3}, gb = {b, 3};
        cn_word_association w, again;
        cn_error err = {0};
        double v[6], mean = 0, squares = 0;
        int high = 0, all = 0;
        assert_int_equal(cn_word_space_associate(s, gx, gy, ga, gb, 0, 0, &w, &err), CN_OK);
        for (size_t i = 0; i < 6; i++)
            mean += (v[i] = score(s, i, a, b)) / 6;
        for (int i = 0; i < 6; i++)
            squares += (v[i] - mean) * (v[i] - mean);
        const double difference = (v[0] + v[1] + v[2] - v[3] - v[4] - v[5]) / 3;
        for (int mask = 0; mask < 64; mask++) {
            double d = 0;
            int bits = 0;
            for (int i = 0; i < 6; i++) {
                bits += mask >> i & 1;
                d += (mask >> i & 1 ? v[i] : -v[i]) / 3;
            }
            all += bits == 3;
            high += bits == 3 && d >= difference - 1e-9;
        }
        assert_true(w.exact);
        assert_int_equal(w.divisions, 20);
        assert_int_equal(all, 20);
        assert_true(fabs(w.p - high / 20.0) < 1e-12);
        assert_true(fabs(w.effect - difference / sqrt(squares / 5)) < 1e-9);
        assert_int_equal(cn_word_space_associate(s, gy, gx, ga, gb, 0, 0, &again, &err), CN_OK);
        assert_true(fabs(again.effect + w.effect) < 1e-9);
        assert_int_equal(cn_word_space_associate(s, gx, gx, ga, gb, 0, 0, &again, &err), CN_EINVAL);
        cn_word_space_close(s);
    }
}

static void group_cosines_have_the_null_that_all_choices_give(void **state)
{
    (void)state;
    cn_word_space *s = random_space(16, 6, 9);
    const size_t x[2] = {0, 1}, a[3] = {2, 3, 4};
    const cn_word_group gx = {x, 2}, ga = {a, 3};
    cn_group_cosine c, again;
    cn_error err = {0};
    double v[16], truth = 0, mean = 0;
    int high = 0, all = 0;
    for (size_t i = 0; i < 16; i++) {
        v[i] = 0;
        for (int k = 0; k < 3; k++)
            v[i] += cn_word_space_cosine(s, i, a[k]) / 3;
    }
    truth = (v[0] + v[1]) / 2;
    for (int i = 5; i < 16; i++)
        for (int k = i + 1; k < 16; k++) {
            all++;
            high += (v[i] + v[k]) / 2 >= truth;
            mean += (v[i] + v[k]) / 2;
        }
    assert_int_equal(cn_word_space_compare(s, gx, ga, 20000, 1, &c, &err), CN_OK);
    assert_true(fabs(c.cosine - truth) < 1e-9);
    assert_true(fabs(c.null_mean - mean / all) < 0.01 && fabs(c.p - (double)high / all) < 0.02);
    assert_int_equal(cn_word_space_compare(s, gx, ga, 20000, 1, &again, &err), CN_OK);
    assert_memory_equal(&c, &again, sizeof c);
    const cn_word_group empty = {x, 0};
    assert_int_equal(cn_word_space_compare(s, empty, ga, 0, 0, &c, &err), CN_EINVAL);
    cn_word_space_close(s);
}

static void regions_equal_a_count_of_pairs(void **state)
{
    (void)state;
    static const char *const words[] = {"france", "paris",  "italy", "rome",  "japan", "tokyo",  "kenya", "nairobi", "peru",  "lima",
                                        "apple",  "bottle", "chair", "drum",  "egg",   "feather", "glove", "hammer",  "ink", "jar"};
    float values[20 * 3];
    bool name[20];
    rng r = rng_stream(3, 3, 3);
    for (int i = 0; i < 20; i++) {
        name[i] = i < 10;
        values[3 * i] = (float)(i < 10) + (float)i / 100;           /* geographic */
        values[3 * i + 1] = (float)rng_below(&r, 4);         /* nothing, with ties */
        values[3 * i + 2] = -values[3 * i];
    }
    cn_word_space *s = make(words, 20, 3, values);
    cn_region_unit *list = NULL;
    cn_error err = {0};
    size_t n;
    assert_int_equal(cn_word_space_regions(s, &list, &n, &err), CN_OK);
    assert_int_equal(n, 3);
    assert_int_equal(list[0].unit, 0);
    assert_int_equal(list[0].top, 5);
    assert_true(list[0].auc == 1 && list[0].q < 0.01 && list[2].auc == 0 && list[2].top == 0);
    double wins = 0;
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 20; k++)
            if (name[i] && !name[k])
                wins += values[3 * i + 1] > values[3 * k + 1] ? 1 : values[3 * i + 1] == values[3 * k + 1] ? 0.5 : 0;
    assert_true(fabs(list[1].auc - wins / 100) < 1e-9);
    cn_region_units_free(list);
    assert_int_equal(cn_word_space_map(s, 0, "unit 0", "/tmp/x.gif", CN_PLOT_LIGHT, &err), CN_EINVAL);
    assert_int_equal(cn_word_space_map(s, 3, "unit 3", "/tmp/x.svg", CN_PLOT_LIGHT, &err), CN_EINVAL);
    cn_word_space_close(s);
    s = make(words, 12, 3, values); /* two other words only */
    assert_int_equal(cn_word_space_regions(s, &list, &n, &err), CN_EINVAL);
    assert_null(list);
    cn_word_space_close(s);
    size_t places;
    const cn_place *p = cn_places(&places);
    for (size_t i = 0; i < places; i++)
        assert_true(fabs(p[i].latitude) < 66 && fabs(p[i].longitude) <= 180 && *p[i].capital && (!i || strcmp(p[i - 1].country, p[i].country) < 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_and_analogies),
        cmocka_unit_test(associations_equal_a_count_of_all_divisions),
        cmocka_unit_test(group_cosines_have_the_null_that_all_choices_give),
        cmocka_unit_test(regions_equal_a_count_of_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
