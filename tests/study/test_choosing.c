/* Samples, word scores and rankings against slow and obvious versions of themselves. */
#include "study/ranking.h"
#include "study/levels.h"
#include "study/sample.h"
#include "study/wordsample.h"
#include "tempdir.h"
#include "study/wordlist.h"
#include "study/wordscore.h"

#include "base/memory.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t random_bits(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static float uniform(uint32_t *state)
{
    return (float)random_bits(state) / (float)(1 << 24) - 0.5f;
}

/* ---- samples ---- */

static void keys_depend_on_path_and_seed_alone(void **state)
{
    (void)state;
    assert_true(sample_key(0, "a.png") == sample_key(0, "a.png"));
    assert_true(sample_key(0, "a.png") != sample_key(0, "b.png"));
    assert_true(sample_key(0, "a.png") != sample_key(1, "a.png"));
}

static void buckets_hold_the_pictures_with_the_smallest_keys(void **state)
{
    (void)state;
    enum { IMAGES = 300, UNITS = 3, BUCKETS = 4, PER = 5 };
    static float values[IMAGES * UNITS];
    static uint64_t keys[IMAGES];
    static int32_t chosen[UNITS * BUCKETS * PER];
    float low[UNITS], high[UNITS];
    uint32_t seed = 3;
    for (int i = 0; i < IMAGES; i++) {
        keys[i] = random_bits(&seed) % 100; /* equal keys, too */
        for (int u = 0; u < UNITS; u++) {
            float v = values[i * UNITS + u] =
                u == 2 ? 1 : powf(uniform(&seed) + 0.5f, 4); /* the last buckets are thin */
            low[u] = i && low[u] < v ? low[u] : v;
            high[u] = i && high[u] > v ? high[u] : v;
        }
    }
    levels l;
    assert_int_equal(levels_init(&l, UNITS, BUCKETS, PER, NULL), CN_OK);
    for (int i = 0; i < IMAGES * UNITS; i++) {
        const level_picture picture = {.key = keys[i / UNITS], .image = i / UNITS, .value = values[i]};
        assert_int_equal(levels_add(&l, i % UNITS, &picture, NULL), CN_OK);
    }
    for (int u = 0; u < UNITS; u++) {
        const level_picture *held[BUCKETS * PER];
        levels_choose(&l, u, held);
        for (int i = 0; i < BUCKETS * PER; i++)
            chosen[u * BUCKETS * PER + i] = held[i] ? held[i]->image : -1;
    }
    levels_free(&l);
    for (int u = 0; u < UNITS; u++)
        for (int b = 0; b < BUCKETS; b++) {
            int members = 0;
            for (int i = 0; i < IMAGES; i++)
                members += bucket_of(values[i * UNITS + u], low[u], high[u], BUCKETS) == b;
            for (int k = 0; k < PER; k++) {
                int32_t image = chosen[(u * BUCKETS + b) * PER + k];
                if (k >= members) {
                    assert_int_equal(image, -1);
                    continue;
                }
                assert_int_equal(bucket_of(values[image * UNITS + u], low[u], high[u], BUCKETS), b);
                int before = 0; /* members of the bucket that come first */
                for (int i = 0; i < IMAGES; i++)
                    before += bucket_of(values[i * UNITS + u], low[u], high[u], BUCKETS) == b &&
                              (keys[i] < keys[image] || (keys[i] == keys[image] && i < image));
                assert_int_equal(before, k);
            }
        }
}

static void bucket_borders_are_uniform(void **state)
{
    (void)state;
    assert_int_equal(bucket_of(-1, -1, 3, 4), 0);
    assert_int_equal(bucket_of(-0.001f, -1, 3, 4), 0);
    assert_int_equal(bucket_of(0, -1, 3, 4), 1);
    assert_int_equal(bucket_of(3, -1, 3, 4), 3); /* the maximum is in the last */
    assert_int_equal(bucket_of(5, 5, 5, 4), 0);
}

static int by_number(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* The pictures that a sample of `most` takes of those with these keys, in rising order; *n of them. */
static void take_sample(const uint64_t *keys, int images, int64_t most, int32_t *picked, int64_t *n)
{
    char *dir = tempdir_make();
    const part_settings none = {0};
    part *p;
    wordsample w;
    assert_int_equal(part_begin(&p, tempdir_path(dir, "part"), &none, false, NULL), CN_OK);
    assert_int_equal(wordsample_open(&w, p, 1, most, NULL, NULL), CN_OK);
    for (int i = 0; i < images; i++)
        if (wordsample_wants(&w, keys[i]))
            assert_int_equal(wordsample_add(&w, keys[i], i, &(float){(float)i}, NULL), CN_OK);
    *n = w.count;
    for (int64_t i = 0; i < w.count; i++)
        picked[i] = w.heap[i].image;
    qsort(picked, (size_t)w.count, sizeof *picked, by_number);
    wordsample_close(&w);
    part_close(p);
    tempdir_remove(dir);
}

static void a_sample_of_images_has_the_smallest_keys(void **state)
{
    (void)state;
    const uint64_t keys[] = {50, 3, UINT64_MAX, 0, 7, 6};
    int32_t picked[6];
    int64_t n;
    take_sample(keys, 6, 3, picked, &n);
    assert_int_equal(n, 3);
    assert_int_equal(picked[0], 1);
    assert_int_equal(picked[1], 3);
    assert_int_equal(picked[2], 5);
    take_sample(keys, 6, 100, picked, &n);
    assert_int_equal(n, 6);
    assert_int_equal(picked[2], 2);
}

/* ---- words ---- */

enum { PICTURES = 60, WIDTH = 12, WORDS = 300, UNITS = 11 };

typedef struct word_case {
    float values[PICTURES * UNITS], embeddings[PICTURES * WIDTH], texts[WORDS * WIDTH];
    bool known[WORDS];
    int32_t picked[PICTURES];
    int64_t n;
    word_match best[UNITS * WORDS_KEPT];
} word_case;

static word_case *make_words(int words)
{
    word_case *c = calloc(1, sizeof *c);
    uint32_t seed = 11;
    for (int i = 0; i < PICTURES * UNITS; i++)
        c->values[i] = uniform(&seed);
    for (int i = 0; i < PICTURES * WIDTH; i++)
        c->embeddings[i] = uniform(&seed);
    for (int i = 0; i < words * WIDTH; i++)
        c->texts[i] = uniform(&seed);
    for (int w = 0; w < words; w++)
        c->known[w] = w % 7 != 3;
    for (int i = 0; i < PICTURES; i++)
        if (i % 5 != 2)
            c->picked[c->n++] = i;
    return c;
}

/* The documented formula, in double, one number at a time. */
static double share(const word_case *c, int words, int image, int word, bool sharp)
{
    double cosine[WORDS], mean = 0, power = 0, total = 0;
    int known = 0;
    for (int w = 0; w < words; w++) {
        double dot = 0, a = 0, b = 0;
        for (int k = 0; k < WIDTH; k++) {
            double x = c->embeddings[image * WIDTH + k], y = c->texts[w * WIDTH + k];
            dot += x * y, a += x * x, b += y * y;
        }
        cosine[w] = dot / sqrt(a * b);
        if (c->known[w])
            mean += cosine[w], known++;
    }
    if (!sharp)
        return cosine[word];
    mean /= known;
    for (int w = 0; w < words; w++)
        power += c->known[w] ? (cosine[w] - mean) * (cosine[w] - mean) : 0;
    for (int w = 0; w < words; w++)
        total += c->known[w] ? exp(WORDS_SHARPNESS * (cosine[w] - mean) / sqrt(power / known)) : 0;
    return exp(WORDS_SHARPNESS * (cosine[word] - mean) / sqrt(power / known)) / total;
}

static double correlation(const double *x, const double *y, int n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++)
        mx += x[i] / n, my += y[i] / n;
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xy / sqrt(xx * yy);
}

/* Through rows of the pictures that were picked. */
static cn_status score(word_case *c, int words)
{
    const float *values[PICTURES], *embeddings[PICTURES];
    for (int i = 0; i < c->n; i++) {
        values[i] = c->values + c->picked[i] * UNITS;
        embeddings[i] = c->embeddings + c->picked[i] * WIDTH;
    }
    return wordscore(values, UNITS, embeddings, WIDTH, c->n, c->texts, c->known, words, c->best, NULL);
}

static void check_words(int words, bool sharp)
{
    word_case *c = make_words(words);
    static double shares[WORDS][PICTURES];
    assert_int_equal(score(c, words),
                     CN_OK);
    for (int w = 0; w < words; w++)
        for (int i = 0; i < c->n; i++)
            shares[w][i] = c->known[w] ? share(c, words, c->picked[i], w, sharp) : 0;
    for (int u = 0; u < UNITS; u++) {
        double all[WORDS], x[PICTURES];
        for (int i = 0; i < c->n; i++)
            x[i] = c->values[c->picked[i] * UNITS + u];
        for (int w = 0; w < words; w++)
            all[w] = c->known[w] ? correlation(x, shares[w], (int)c->n) : -1;
        for (int r = 0; r < WORDS_KEPT; r++) {
            const word_match *m = &c->best[u * WORDS_KEPT + r];
            int better = 0, positive = 0;
            for (int w = 0; w < words; w++)
                positive += all[w] > 0;
            if (m->word < 0) {
                assert_true(positive <= r);
                continue;
            }
            assert_true(c->known[m->word]);
            assert_true(fabs(m->score - all[m->word]) < 1e-5);
            for (int w = 0; w < words; w++)
                better += all[w] > all[m->word] + 1e-5;
            assert_true(better <= r);
            assert_true(fabs(m->z - atanh(m->score) * sqrt((double)c->n - 3)) < 1e-3);
        }
    }
    free(c);
}

static void word_scores_equal_the_formula(void **state)
{
    (void)state;
    check_words(WORDS, true); /* more than one tile */
    check_words(WORDS_SHARPENED_FROM - 4, false);
}

static void equal_words_rank_by_name_and_unknown_ones_never(void **state)
{
    (void)state;
    word_case *c = make_words(40);
    memcpy(c->texts + 20 * WIDTH, c->texts + 5 * WIDTH, WIDTH * sizeof(float)); /* 5 and 20 are the same */
    for (int i = 0; i < PICTURES; i++)
        c->values[i * UNITS] = (float)share(c, 40, i, 5, true);
    assert_int_equal(score(c, 40),
                     CN_OK);
    assert_int_equal(c->best[0].word, 5);
    assert_int_equal(c->best[1].word, 20);
    assert_true(c->best[0].score > 0.99f && c->best[0].significant);
    free(c);
}

static void a_constant_unit_has_no_words(void **state)
{
    (void)state;
    word_case *c = make_words(40);
    for (int i = 0; i < PICTURES; i++)
        c->values[i * UNITS + 1] = 3;
    assert_int_equal(score(c, 40),
                     CN_OK);
    assert_int_equal(c->best[WORDS_KEPT].word, -1);
    free(c);
}

static void chance_rarely_passes_for_significant(void **state)
{
    (void)state;
    word_case *c = make_words(WORDS);
    int significant = 0;
    assert_int_equal(score(c, WORDS),
                     CN_OK);
    for (int u = 0; u < UNITS; u++)
        significant += c->best[u * WORDS_KEPT].significant;
    assert_true(significant <= 2); /* 5% of the units expected */
    free(c);
}

static void word_lists_drop_doubles_comments_and_blanks(void **state)
{
    (void)state;
    char *dir = tempdir_make();
    wordlist l = {0};
    tempdir_text(dir, "w.txt", "# words\nzebra\r\n  Apple \n\nhot dog\napple");
    assert_int_equal(wordlist_add_file(&l, tempdir_path(dir, "w.txt"), NULL), CN_OK);
    assert_int_equal(wordlist_add_label(&l, "animals/sea_lion", NULL), CN_OK);
    wordlist_finish(&l);
    assert_int_equal(l.count, 4);
    assert_string_equal(l.words[0], "Apple");
    assert_string_equal(l.words[1], "hot dog");
    assert_string_equal(l.words[2], "sea lion");
    assert_string_equal(l.words[3], "zebra");
    wordlist_free(&l);
    tempdir_remove(dir);
    assert_true(wordlist_common_count > 500);
    char *prompt = wordlist_prompt("a photo of a {}.", "cat");
    assert_string_equal(prompt, "a photo of a cat.");
    cn_free(prompt);
}

/* ---- ranking ---- */

static double choose(int n, int k)
{
    double c = 1;
    if (k < 0 || k > n)
        return 0;
    for (int i = 1; i <= k; i++)
        c = c * (n - k + i) / i;
    return c;
}

static void surprise_is_the_hypergeometric_tail(void **state)
{
    (void)state;
    for (int all = 1; all < 24; all += 4)
        for (int marked = 0; marked <= all; marked += 3)
            for (int drawn = 1; drawn <= all; drawn += 2)
                for (int hits = 1; hits <= marked && hits <= drawn; hits++) {
                    double p = 0;
                    for (int k = hits; k <= drawn; k++)
                        p += choose(marked, k) * choose(all - marked, drawn - k) / choose(all, drawn);
                    double surprise = chance_surprise(hits, drawn, marked, all);
                    assert_true(fabs(surprise + log10(p > 1 ? 1 : p)) < 1e-9);
                }
    assert_true(chance_surprise(0, 16, 10, 100) == 0);
    assert_true(chance_surprise(16, 16, 10, 5) == 0); /* nonsense is no surprise */
}

static void the_label_is_the_one_that_chance_explains_least(void **state)
{
    (void)state;
    /* Ten of the twelve strongest are label 0, but so is most of the collection. */
    const int64_t labels[] = {0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0},
                  media[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    const int64_t images[] = {900, 2};
    const bool written[] = {false, true};
    rank_facts r = rank_unit(labels, media, 12, images, 1000, written, 2, 5);
    assert_int_equal(r.label, 1);
    assert_int_equal(r.hits, 2);
    assert_true(r.purity == 1); /* both that exist */
    assert_int_equal(r.media_count, 2);
    assert_true(r.reads);
}

static void multimodal_units_rank_before_pure_ones(void **state)
{
    (void)state;
    int64_t labels[16], one[16], both[16];
    for (int i = 0; i < 16; i++) {
        labels[i] = 0;
        one[i] = 0;
        both[i] = i % 2;
    }
    const int64_t images[] = {16};
    const bool written[] = {false, true};
    rank_facts pure = rank_unit(labels, one, 16, images, 1000, written, 2, 50);
    labels[15] = labels[14] = labels[13] = -1;
    rank_facts multimodal = rank_unit(labels, both, 16, images, 1000, written, 2, 5);
    assert_true(pure.purity == 1 && multimodal.purity < 1);
    assert_true(multimodal.score > pure.score);
    assert_false(pure.reads);
}

static void a_unit_without_labels_ranks_by_its_peak(void **state)
{
    (void)state;
    const int64_t none[] = {-1, -1};
    rank_facts weak = rank_unit(none, none, 2, NULL, 2, NULL, 0, 2),
               strong = rank_unit(none, none, 2, NULL, 2, NULL, 0, 20);
    assert_int_equal(weak.label, -1);
    assert_true(strong.score > weak.score && weak.score > 0);
}

static void further_units_of_a_label_are_lowered(void **state)
{
    (void)state;
    rank_facts r[] = {{.label = 1, .score = 1.0},
                      {.label = 1, .score = 1.5},
                      {.label = 2, .score = 0.9},
                      {.label = -1, .score = 0.2},
                      {.label = 1, .score = 1.0}};
    rank_spread(r, 5);
    assert_true(r[1].score == 1.5);
    assert_true(fabs(r[0].score - 0.8) < 1e-12);
    assert_true(r[2].score == 0.9);
    assert_true(r[3].score == 0.2);
    assert_true(fabs(r[4].score - 0.64) < 1e-12); /* equal to unit 0, which is lower */
}

static void written_media_are_known_by_name(void **state)
{
    (void)state;
    assert_true(medium_is_written("word"));
    assert_true(medium_is_written("Written"));
    assert_false(medium_is_written("line"));
    assert_false(medium_is_written(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_depend_on_path_and_seed_alone),
        cmocka_unit_test(buckets_hold_the_pictures_with_the_smallest_keys),
        cmocka_unit_test(bucket_borders_are_uniform),
        cmocka_unit_test(a_sample_of_images_has_the_smallest_keys),
        cmocka_unit_test(word_scores_equal_the_formula),
        cmocka_unit_test(equal_words_rank_by_name_and_unknown_ones_never),
        cmocka_unit_test(a_constant_unit_has_no_words),
        cmocka_unit_test(chance_rarely_passes_for_significant),
        cmocka_unit_test(word_lists_drop_doubles_comments_and_blanks),
        cmocka_unit_test(surprise_is_the_hypergeometric_tail),
        cmocka_unit_test(the_label_is_the_one_that_chance_explains_least),
        cmocka_unit_test(multimodal_units_rank_before_pure_ones),
        cmocka_unit_test(a_unit_without_labels_ranks_by_its_peak),
        cmocka_unit_test(further_units_of_a_label_are_lowered),
        cmocka_unit_test(written_media_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
