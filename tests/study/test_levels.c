/* The sample from every level against one that knows all values: any distribution, order and division. */
#include "study/levels.h"

#include "study/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 30000, KINDS = 8, BUCKETS = 10, PER = 6 };

static float values[IMAGES][KINDS];
static uint64_t keys[IMAGES];

static double uniform(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) / 9007199254740992.0;
}

static int setup(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int i = 0; i < IMAGES; i++) {
        char path[32];
        const double x = uniform(&random), y = uniform(&random);
        const double normal = sqrt(-2 * log(x + 1e-12)) * cos(6.283185307 * y);
        snprintf(path, sizeof path, "n/%05d.jpg", i);
        keys[i] = sample_key(1, path);
        const float of[KINDS] = {
            (float)x,                                    /* even */
            (float)normal,                               /* most in the middle */
            (float)exp(2 * normal),                      /* far out on one side */
            normal > 1.5 ? (float)(normal - 1.5) : 0,    /* behind a ReLU */
            (float)floor(4 * x),                         /* few values */
            (float)(1000 + floor(256 * normal) / 65536), /* neighbouring floats */
            (float)(i / (double)IMAGES),                 /* the range grows with every picture */
            2.5f,                                        /* constant */
        };
        memcpy(values[i], of, sizeof of);
    }
    return 0;
}

static void add(levels *l, int64_t i, int32_t number)
{
    for (int k = 0; k < KINDS; k++) {
        const level_picture p = {.key = keys[i], .image = number, .value = values[i][k], .peak = (float)i, .position = k};
        assert_int_equal(levels_add(l, k, &p, NULL), CN_OK);
    }
}

/* From all values at once: (KINDS, BUCKETS, PER) picture numbers, rising by key, -1 behind the last. */
static void sample_buckets(int64_t images, const float *low, const float *high, int32_t *chosen)
{
    for (int64_t i = 0; i < KINDS * BUCKETS * PER; i++)
        chosen[i] = -1;
    for (int64_t i = 0; i < images; i++)
        for (int64_t u = 0; u < KINDS; u++) {
            int b = bucket_of(values[i][u], low[u], high[u], BUCKETS);
            int32_t *list = chosen + (u * BUCKETS + b) * PER;
            int at = PER - 1;
            if (list[at] >= 0 && keys[list[at]] <= keys[i])
                continue;
            for (; at > 0 && (list[at - 1] < 0 || keys[list[at - 1]] > keys[i]); at--)
                list[at] = list[at - 1];
            list[at] = (int32_t)i;
        }
}

/* `of` is the number of images at the head that were added; picture numbers are theirs. */
static void same_as_all(const levels *l, int64_t of)
{
    static int32_t chosen[KINDS * BUCKETS * PER];
    float low[KINDS], high[KINDS];
    const level_picture *mine[BUCKETS * PER];
    for (int k = 0; k < KINDS; k++) {
        low[k] = high[k] = values[0][k];
        for (int64_t i = 0; i < of; i++) {
            low[k] = fminf(low[k], values[i][k]);
            high[k] = fmaxf(high[k], values[i][k]);
        }
    }
    sample_buckets(of, low, high, chosen);
    for (int k = 0; k < KINDS; k++) {
        levels_choose(l, k, mine);
        for (int i = 0; i < BUCKETS * PER; i++) {
            const int32_t right = chosen[k * BUCKETS * PER + i], got = mine[i] ? mine[i]->image : -1;
            if (got != right)
                fail_msg("kind %d, bucket %d, rank %d of %lld pictures: %d, not %d", k, i / PER, i % PER, (long long)of, got, right);
            if (mine[i]) {
                assert_true(mine[i]->value == values[right][k]);
                assert_true(mine[i]->peak == (float)right);
                assert_int_equal(mine[i]->position, k);
            }
        }
    }
}

static void any_number_of_pictures(void **state)
{
    (void)state;
    levels l;
    assert_int_equal(levels_init(&l, KINDS, BUCKETS, PER, NULL), CN_OK);
    int64_t next = 1;
    for (int64_t i = 0; i < IMAGES; i++) {
        add(&l, i, (int32_t)i);
        if (i + 1 == next || i + 1 == IMAGES) {
            same_as_all(&l, i + 1);
            next = next * 3 / 2 + 1;
        }
    }
    for (int k = 0; k < KINDS; k++) { /* not everything was kept */
        assert_int_equal(levels_prune(&l, k, NULL), CN_OK);
        if (l.unit[k].count > 600)
            fail_msg("kind %d: %d pictures kept", k, l.unit[k].count);
    }
    same_as_all(&l, IMAGES);
    levels_free(&l);
}

static void any_order(void **state)
{
    (void)state;
    static int32_t order[IMAGES];
    uint64_t random = 11;
    for (int round = 0; round < 3; round++) {
        levels l;
        assert_int_equal(levels_init(&l, KINDS, BUCKETS, PER, NULL), CN_OK);
        for (int i = 0; i < IMAGES; i++)
            order[i] = round == 0 ? IMAGES - 1 - i : i;
        for (int i = IMAGES - 1; round && i > 0; i--) {
            const int other = (int)(uniform(&random) * (i + 1));
            const int32_t swap = order[i];
            order[i] = order[other];
            order[other] = swap;
        }
        for (int i = 0; i < IMAGES; i++)
            add(&l, order[i], order[i]);
        same_as_all(&l, IMAGES);
        levels_free(&l);
    }
}

static void any_division(void **state)
{
    (void)state;
    enum { MOST = 64 };
    uint64_t random = 5;
    static const int parts[] = {1, 2, 7, MOST};
    static int32_t numbers[MOST][IMAGES], count[MOST];
    for (size_t round = 0; round < sizeof parts / sizeof *parts; round++) {
        levels l, part[MOST];
        memset(count, 0, sizeof count);
        assert_int_equal(levels_init(&l, KINDS, BUCKETS, PER, NULL), CN_OK);
        for (int p = 0; p < parts[round]; p++)
            assert_int_equal(levels_init(&part[p], KINDS, BUCKETS, PER, NULL), CN_OK);
        for (int i = 0; i < IMAGES; i++) { /* uneven: the first has most, some have nothing */
            const int p = (int)(pow(uniform(&random), 8) * parts[round]);
            add(&part[p], i, count[p]);
            numbers[p][count[p]++] = i;
        }
        for (int p = parts[round] - 1; p >= 0; p--) {
            assert_int_equal(levels_merge(&l, &part[p], numbers[p], NULL), CN_OK);
            levels_free(&part[p]);
        }
        same_as_all(&l, IMAGES);
        levels_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_pictures),
        cmocka_unit_test(any_order),
        cmocka_unit_test(any_division),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
