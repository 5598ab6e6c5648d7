/* Spaces of words made of numbers: neighbours, group cosines, the association test, regions and flags, against counts of their own. */
#include "../study/fake.h"
#include "../study/tempdir.h"
#include "base/memory.h"
#include "base/rng.h"
#include "clipneuron/array.h"
#include "compose/regionflags.h"
#include "study/product.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
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
    for (uint64_t seed = 0; seed < 6; seed++) {
        cn_word_space *s = random_space(16, 6, seed);
        const size_t x[2] = {0, 1}, a[3] = {2, 3, 4};
        const cn_word_group gx = {x, 2}, ga = {a, 3}, empty = {x, 0};
        cn_group_cosine c, again;
        cn_error err = {0};
        double v[16], sum = 0, squares = 0;
        int high = 0, all = 0;
        for (size_t i = 0; i < 16; i++) {
            v[i] = 0;
            for (int k = 0; k < 3; k++)
                v[i] += cn_word_space_cosine(s, i, a[k]) / 3;
        }
        const double truth = (v[0] + v[1]) / 2;
        for (int i = 0; i < 16; i++)
            for (int k = i + 1; k < 16; k++) {
                if ((i >= 2 && i < 5) || (k >= 2 && k < 5))
                    continue;
                const double one = (v[i] + v[k]) / 2;
                all++;
                high += one >= truth - 1e-9;
                sum += one;
                squares += one * one;
            }
        assert_int_equal(cn_word_space_compare(s, gx, ga, 500, 1, &c, &err), CN_OK);
        assert_int_equal(all, 78); /* 13 words, 2 at a time */
        assert_true(c.exact);
        assert_int_equal(c.draws, 78);
        assert_true(fabs(c.cosine - truth) < 1e-9);
        assert_true(high >= 1 && fabs(c.p - high / 78.0) < 1e-12);
        assert_true(fabs(c.null_mean - sum / all) < 1e-9);
        assert_true(fabs(c.null_sd - sqrt(squares / all - sum / all * (sum / all))) < 1e-6);
        assert_int_equal(cn_word_space_compare(s, gx, ga, 500, 2, &again, &err), CN_OK);
        assert_memory_equal(&c, &again, sizeof c);
        assert_int_equal(cn_word_space_compare(s, empty, ga, 0, 0, &c, &err), CN_EINVAL);
        cn_word_space_close(s);
    }
}

/* The word that is nearest of 13 cannot be rarer than one in 13. */
static void group_cosines_of_few_words_are_not_rarer_than_their_choices(void **state)
{
    (void)state;
    cn_word_space *s = random_space(14, 6, 2);
    cn_error err = {0};
    cn_group_cosine c;
    const size_t a = 0;
    size_t best = 1;
    for (size_t i = 1; i < 14; i++)
        best = cn_word_space_cosine(s, i, a) > cn_word_space_cosine(s, best, a) ? i : best;
    assert_int_equal(cn_word_space_compare(s, (cn_word_group){&best, 1}, (cn_word_group){&a, 1}, 0, 0, &c, &err), CN_OK);
    assert_true(c.exact && c.draws == 13);
    assert_true(fabs(c.p - 1 / 13.0) < 1e-12);
    cn_word_space_close(s);
}

static void group_cosines_of_many_words_are_drawn(void **state)
{
    (void)state;
    cn_word_space *s = random_space(40, 6, 9);
    const size_t x[4] = {0, 1, 2, 3}, a[3] = {4, 5, 6};
    const cn_word_group gx = {x, 4}, ga = {a, 3};
    cn_group_cosine c, again;
    cn_error err = {0};
    double v[40], truth = 0, mean = 0;
    int high = 0, all = 0;
    for (size_t i = 0; i < 40; i++) {
        v[i] = 0;
        for (int k = 0; k < 3; k++)
            v[i] += cn_word_space_cosine(s, i < 4 ? i : i + 3, a[k]) / 3;
        if (i == 36)
            break; /* 37 words are not in the second group */
    }
    for (int i = 0; i < 4; i++)
        truth += v[i] / 4;
    for (int i = 0; i < 37; i++)
        for (int k = i + 1; k < 37; k++)
            for (int l = k + 1; l < 37; l++)
                for (int m = l + 1; m < 37; m++) {
                    all++;
                    high += (v[i] + v[k] + v[l] + v[m]) / 4 >= truth - 1e-9;
                    mean += (v[i] + v[k] + v[l] + v[m]) / 4;
                }
    assert_int_equal(cn_word_space_compare(s, gx, ga, 20000, 1, &c, &err), CN_OK);
    assert_int_equal(all, 66045);
    assert_false(c.exact);
    assert_int_equal(c.draws, 20000);
    assert_true(fabs(c.null_mean - mean / all) < 0.01 && fabs(c.p - (double)high / all) < 0.02);
    const double k = c.p * 20001 - 1; /* (1 + k)/(1 + n) */
    assert_true(k >= 0 && fabs(k - round(k)) < 1e-6);
    assert_int_equal(cn_word_space_compare(s, gx, ga, 20000, 1, &again, &err), CN_OK);
    assert_memory_equal(&c, &again, sizeof c);
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
    assert_int_equal(cn_word_space_map(s, NULL, 0, "unit 0", "/tmp/x.gif", CN_PLOT_LIGHT, &err), CN_EINVAL);
    assert_int_equal(cn_word_space_map(s, NULL, 3, "unit 3", "/tmp/x.svg", CN_PLOT_LIGHT, &err), CN_EINVAL);
    assert_int_equal(cn_word_space_map(s, NULL, -1, "", "/tmp/x.svg", CN_PLOT_LIGHT, &err), CN_EINVAL);
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

enum { EACH = 24, IMAGES = 2 * EACH };

/* A study of pictures of three countries and of nothing, a part of them writing. of: the place of each picture (0 iceland, 1 kenya, 2 peru, 3 none, -1
 * writing). matrix: what the units answer. */
static cn_study *flag_study(const char *dir, int of[IMAGES], float matrix[IMAGES][FAKE_UNITS])
{
    sqlite3 *db;
    sqlite3_stmt *q;
    cn_study *study = NULL;
    cn_error err = {0};
    rng r = rng_stream(11, 2, 3);
    fake_collection(dir, EACH);
    fake_scan(dir, "study", &(cn_scan_options){.no_words = true}, NULL);
    assert_int_equal(sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "UPDATE labels SET name = 'flags/Kenya' WHERE id = 0; UPDATE labels SET name = 'peru' WHERE id = 1;"
                                  "INSERT INTO labels VALUES (2, 'ICELAND', 12); UPDATE images SET label = CASE id / 2 % 4 WHEN 3 THEN NULL ELSE id / 2 % 4 END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT m.written FROM images i JOIN media m ON m.id = i.medium ORDER BY i.id", -1, &q, NULL);
    for (int i = 0; i < IMAGES; i++) {
        static const int place[4] = {1, 2, 0, 3};
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        of[i] = sqlite3_column_int(q, 0) ? -1 : place[i / 2 % 4];
        for (int u = 0; u < FAKE_UNITS; u++)
            matrix[i][u] = (float)rng_normal(&r) + (place[i / 2 % 4] == u ? 4.0f : 0.0f) + (float)(100 * u);
        matrix[i][FAKE_UNITS - 1] = -1;
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    const int64_t shape[2] = {IMAGES, FAKE_UNITS};
    assert_int_equal(cn_npy_write(tempdir_path(dir, "study/layer4.0.add.mean.npy"), CN_DTYPE_F32, 2, shape, matrix, NULL), CN_OK);
    if (cn_study_open(&study, tempdir_path(dir, "study"), &err) != CN_OK)
        fail_msg("%s", err.text);
    return study;
}

static void flags_and_names_meet_in_the_unit_that_answers_to_both(void **state)
{
    (void)state;
    static const char *const words[] = {"iceland", "kenya", "peru", "lima", "ink", "jar", "egg", "drum"};
    float values[8 * FAKE_UNITS], matrix[IMAGES][FAKE_UNITS];
    int of[IMAGES];
    cn_error err = {0};
    rng r = rng_stream(5, 5, 5);
    for (int i = 0; i < 8; i++)
        for (int u = 0; u < FAKE_UNITS; u++)
            values[i * FAKE_UNITS + u] = (float)rng_normal(&r) + (i == u ? 6.0f : 0.0f) + (i == 0 && u == 4 ? 30.0f : 0.0f); /* 4: iceland's name alone */
    char *dir = tempdir_make();
    cn_study *study = flag_study(dir, of, matrix);
    cn_word_space *s = make(words, 8, FAKE_UNITS, values);
    cn_region_flags *f = NULL;
    if (cn_word_space_flags(s, study, 0, &f, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(f->n, 3);

    double name[3][FAKE_UNITS], flag[3][FAKE_UNITS], best[3][3]; /* by sums of their own */
    for (int u = 0; u < FAKE_UNITS; u++) {
        double mean = 0, power = 0, count = 0, squares = 0;
        for (int i = 0; i < IMAGES; i++)
            count += of[i] >= 0, mean += of[i] >= 0 ? (double)matrix[i][u] : 0;
        mean /= count;
        for (int i = 0; i < IMAGES; i++)
            power += of[i] >= 0 ? pow((double)matrix[i][u] - mean, 2) / count : 0;
        for (int i = 0; i < 8; i++)
            squares += pow((double)cn_word_space_values(s)[i * FAKE_UNITS + u], 2) / 8;
        for (int c = 0; c < 3; c++) {
            double sum = 0, n = 0;
            for (int i = 0; i < IMAGES; i++)
                n += of[i] == c, sum += of[i] == c ? (double)matrix[i][u] : 0;
            flag[c][u] = power > 0 ? (sum / n - mean) / sqrt(power) : 0;
            name[c][u] = (double)cn_word_space_values(s)[c * FAKE_UNITS + u] / sqrt(squares);
            assert_true(fabs((double)flags_values(f)[c * FAKE_UNITS + u] - flag[c][u]) < 1e-4);
            assert_int_equal(f->countries[c].pictures, n);
        }
    }
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            best[a][b] = -INFINITY;
            for (int u = 0; u < FAKE_UNITS; u++)
                best[a][b] = fmax(best[a][b], fmin(name[a][u], flag[b][u]));
        }
    for (int c = 0; c < 3; c++) {
        const cn_region_country *k = &f->countries[c];
        int higher = 0;
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                higher += a != b && best[a][b] >= best[c][c];
        assert_string_equal(cn_places(&(size_t){0})[k->place].country, words[c]);
        assert_int_equal(k->unit, c);
        assert_int_equal(k->flag_unit, c);
        assert_true(fabs(fmin(k->name, k->flag) - best[c][c]) < 1e-4 && fabs(k->p - (1 + higher) / 7.0) < 1e-9);
    }
    assert_int_equal(f->countries[0].name_unit, 4);
    assert_true(isnan(f->countries[0].capital) && !isnan(f->countries[2].capital)); /* lima is in the space */
    assert_int_equal(f->both, 0); /* a quarter of the pictures each: no flag can be three deviations from the mean */
    assert_true(f->by_chance == 0);

    const char *map = tempdir_path(dir, "map.svg");
    assert_int_equal(cn_word_space_map(s, f, -1, "countries", map, CN_PLOT_DARK, &err), CN_OK);
    assert_int_equal(cn_word_space_map(s, f, 2, "unit 2", tempdir_path(dir, "unit.png"), CN_PLOT_LIGHT, &err), CN_OK);
    assert_int_equal(cn_word_space_map(s, f, -2, "", map, CN_PLOT_LIGHT, &err), CN_EINVAL);
    cn_region_flags_free(f);

    assert_int_equal(cn_word_space_flags(s, study, 7, &f, &err), CN_EINVAL);
    assert_null(f);
    s->site = cn_strdup("visual.layer3");
    assert_int_equal(cn_word_space_flags(s, study, 0, &f, &err), CN_EINVAL);
    cn_word_space_close(s);
    s = make(words + 1, 7, FAKE_UNITS, values); /* iceland's name is not drawn: two countries */
    err = (cn_error){0};
    assert_int_equal(cn_word_space_flags(s, study, 0, &f, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "2 countries"));
    cn_word_space_close(s);
    cn_study_close(study);
    tempdir_remove(dir);
    cn_region_flags_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_and_analogies),
        cmocka_unit_test(associations_equal_a_count_of_all_divisions),
        cmocka_unit_test(group_cosines_have_the_null_that_all_choices_give),
        cmocka_unit_test(group_cosines_of_few_words_are_not_rarer_than_their_choices),
        cmocka_unit_test(group_cosines_of_many_words_are_drawn),
        cmocka_unit_test(regions_equal_a_count_of_pairs),
        cmocka_unit_test(flags_and_names_meet_in_the_unit_that_answers_to_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
