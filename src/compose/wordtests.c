/* compose/wordtests.c -- cosines between groups of words, and what chance makes of them. */
#include "base/memory.h"
#include "compose/wordspace.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { DRAWS = 9999, ALL_DIVISIONS = 20000 };

static bool holds(cn_word_group g, size_t word)
{
    for (size_t i = 0; i < g.n; i++)
        if (g.words[i] == word)
            return true;
    return false;
}

static cn_status check_group(const cn_word_space *s, cn_word_group g, cn_error *err)
{
    if (!g.n)
        return cn_fail(err, CN_EINVAL, "a group without words");
    for (size_t i = 0; i < g.n; i++) {
        if (g.words[i] >= s->list.count)
            return cn_fail(err, CN_EINVAL, "word %zu of %zu", g.words[i], s->list.count);
        for (size_t k = 0; k < i; k++)
            if (g.words[k] == g.words[i])
                return cn_fail(err, CN_EINVAL, "a group has the word %.100s twice", s->list.words[g.words[i]]);
    }
    return CN_OK;
}

/* Mean cosine of a word with a group. */
static double with_group(const cn_word_space *s, size_t word, cn_word_group g)
{
    double sum = 0;
    for (size_t i = 0; i < g.n; i++)
        sum += cn_word_space_cosine(s, word, g.words[i]);
    return sum / (double)g.n;
}

/* The first k of v become a random choice of k. */
static void choose(double *v, int64_t n, int64_t k, rng *random)
{
    for (int64_t i = 0; i < k; i++) {
        const int64_t at = i + rng_below(random, n - i);
        const double x = v[i];
        v[i] = v[at];
        v[at] = x;
    }
}

static double mean_of(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

/* How many ways to choose k of n; `most` + 1 when there are more than that. */
static int64_t ways(size_t n, size_t k, int64_t most)
{
    double w = 1;
    for (size_t i = 0; i < k; i++) {
        w = w * (double)(n - i) / (double)(i + 1);
        if (w > 4.0 * (double)most)
            return most + 1;
    }
    return (int64_t)(w + 0.5);
}

/* All choices of k of n in lexicographic order; at holds the present one. False behind the last. */
static bool next_choice(size_t *at, size_t n, size_t k)
{
    size_t i = k;
    while (i > 0 && at[i - 1] == n - k + i - 1)
        i--;
    if (!i)
        return false;
    at[i - 1]++;
    for (; i < k; i++)
        at[i] = at[i - 1] + 1;
    return true;
}

cn_status cn_word_space_compare(const cn_word_space *s, cn_word_group x, cn_word_group a, int draws, uint64_t seed, cn_group_cosine *out,
                                cn_error *err)
{
    cn_status st = CN_OK;
    double *pool = NULL, sum = 0, squares = 0;
    size_t *at = NULL;
    size_t n = 0;
    int64_t as_high = 0;
    memset(out, 0, sizeof *out);
    draws = draws ? draws : DRAWS;
    CN_CHECK(draws > 0 && draws <= CN_MAX_WORD_DRAWS, CN_EINVAL, "%d draws, the limit is %d", draws, CN_MAX_WORD_DRAWS);
    CN_TRY(check_group(s, x, err));
    CN_TRY(check_group(s, a, err));
    for (size_t i = 0; i < x.n; i++)
        CN_CHECK(!holds(a, x.words[i]), CN_EINVAL, "%.100s is in both groups", s->list.words[x.words[i]]);
    pool = cn_calloc(s->list.count, sizeof *pool);
    at = cn_calloc(x.n, sizeof *at);
    CN_CHECK(pool && at, CN_ENOMEM, "out of memory for a comparison");
    /* The first group's words are in the pool too: what was observed is one of the choices, so that p is never below 1 in their number. */
    for (size_t i = 0; i < s->list.count; i++)
        if (!holds(a, i))
            pool[n++] = with_group(s, i, a);
    CN_CHECK(n >= 3 * x.n && n >= 8 + x.n, CN_EINVAL, "%zu other words are too few to draw groups of %zu from", n - x.n, x.n);
    for (size_t i = 0; i < x.n; i++)
        out->cosine += with_group(s, x.words[i], a) / (double)x.n;
    const int64_t count = ways(n, x.n, ALL_DIVISIONS);
    out->exact = count <= ALL_DIVISIONS;
    out->draws = out->exact ? (int)count : draws;
    for (size_t i = 0; i < x.n; i++)
        at[i] = i;
    rng random = rng_stream(seed, 0xc05, x.n);
    for (int d = 0; d < out->draws; d++) {
        double one = 0;
        if (!out->exact)
            choose(pool, (int64_t)n, (int64_t)x.n, &random);
        for (size_t i = 0; i < x.n; i++)
            one += pool[at[i]] / (double)x.n;
        sum += one;
        squares += one * one;
        as_high += one >= out->cosine - 1e-12;
        if (out->exact)
            next_choice(at, n, x.n);
    }
    out->null_mean = sum / out->draws;
    out->null_sd = sqrt(fmax(0, squares / out->draws - out->null_mean * out->null_mean));
    out->p = out->exact ? (double)as_high / out->draws : (double)(1 + as_high) / (1 + (double)out->draws);
done:
    cn_free(pool);
    cn_free(at);
    return st;
}

/* ---- association ---- */

cn_status cn_word_space_associate(const cn_word_space *s, cn_word_group x, cn_word_group y, cn_word_group a, cn_word_group b, int draws,
                                  uint64_t seed, cn_word_association *out, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_word_group groups[4] = {x, y, a, b};
    const size_t n = x.n + y.n;
    double *score = NULL;
    size_t *at = NULL;
    int64_t as_high = 0;
    memset(out, 0, sizeof *out);
    draws = draws ? draws : DRAWS;
    CN_CHECK(draws > 0 && draws <= CN_MAX_WORD_DRAWS, CN_EINVAL, "%d draws, the limit is %d", draws, CN_MAX_WORD_DRAWS);
    for (int g = 0; g < 4; g++) {
        CN_TRY(check_group(s, groups[g], err));
        for (int h = 0; h < g; h++)
            for (size_t i = 0; i < groups[g].n; i++)
                CN_CHECK(!holds(groups[h], groups[g].words[i]), CN_EINVAL, "%.100s is in two groups", s->list.words[groups[g].words[i]]);
    }
    CN_CHECK(x.n >= 2 && y.n >= 2, CN_EINVAL, "groups of %zu and %zu words: a test needs at least 2 in each", x.n, y.n);
    score = cn_calloc(n, sizeof *score);
    at = cn_calloc(n, sizeof *at);
    CN_CHECK(score && at, CN_ENOMEM, "out of memory for a test");
    for (size_t i = 0; i < n; i++) {
        const size_t word = i < x.n ? x.words[i] : y.words[i - x.n];
        score[i] = with_group(s, word, a) - with_group(s, word, b);
    }
    const double first = mean_of(score, x.n), all = mean_of(score, n);
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (score[i] - all) * (score[i] - all);
    const double sd = sqrt(squares / (double)(n - 1)); /* Caliskan's: of a sample */
    out->effect = sd > 0 ? (first - mean_of(score + x.n, y.n)) / sd : 0;
    /* the sum over all words is the same in every division: the mean of the first group orders them */
    const int64_t count = ways(n, x.n, ALL_DIVISIONS);
    out->exact = count <= ALL_DIVISIONS;
    out->divisions = out->exact ? count : draws;
    if (out->exact) {
        for (size_t i = 0; i < x.n; i++)
            at[i] = i;
        do {
            double sum = 0;
            for (size_t i = 0; i < x.n; i++)
                sum += score[at[i]];
            as_high += sum / (double)x.n >= first - 1e-12;
        } while (next_choice(at, n, x.n));
        out->p = (double)as_high / (double)count;
    } else {
        rng random = rng_stream(seed, 0x3ea7, n);
        for (int d = 0; d < draws; d++) {
            choose(score, (int64_t)n, (int64_t)x.n, &random);
            as_high += mean_of(score, x.n) >= first - 1e-12;
        }
        out->p = (double)(1 + as_high) / (double)(1 + draws);
    }
done:
    cn_free(score);
    cn_free(at);
    return st;
}
