/* compose/regions.c -- which units answer to the written names of countries and capitals. */
#include "base/memory.h"
#include "compose/wordspace.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_NAMES = 8 };

typedef struct valued {
    float value;
    size_t word;
} valued;

static int falling(const void *a, const void *b)
{
    const valued *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->word < y->word ? -1 : x->word > y->word;
}

/* Which words of the space are names of places; returns how many. */
static size_t mark_names(const cn_word_space *s, bool *is_name)
{
    size_t n, count = 0;
    const cn_place *places = cn_places(&n);
    for (size_t i = 0; i < n; i++) {
        const int64_t country = cn_word_space_find(s, places[i].country), capital = cn_word_space_find(s, places[i].capital);
        if (country >= 0)
            is_name[country] = true;
        if (capital >= 0)
            is_name[capital] = true;
    }
    for (size_t i = 0; i < s->list.count; i++)
        count += is_name[i];
    return count;
}

/* words: (n) sorted falling. AUC by ranks with ties at their mean, its error, and p. */
static void measure(cn_region_unit *u, const valued *words, size_t n, const bool *is_name, size_t names)
{
    const double m = (double)names, k = (double)(n - names), all = (double)n;
    double ranks = 0, ties = 0; /* rank 1 is the lowest */
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && words[end].value == words[i].value)
            end++;
        const double t = (double)(end - i), rank = all - ((double)i + (double)end - 1) / 2;
        ties += t * t * t - t;
        for (size_t j = i; j < end; j++)
            ranks += is_name[words[j].word] ? rank : 0;
        i = end;
    }
    const double wins = ranks - m * (m + 1) / 2, variance = m * k / 12 * (all + 1 - ties / (all * (all - 1)));
    const double a = wins / (m * k), q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
    const double error = sqrt(fmax(0, (a * (1 - a) + (m - 1) * (q1 - a * a) + (k - 1) * (q2 - a * a)) / (m * k)));
    u->auc = a;
    u->auc_low = fmax(0, a - 1.96 * error);
    u->auc_high = fmin(1, a + 1.96 * error);
    u->p = variance > 0 ? erfc(fabs(wins - m * k / 2) / sqrt(2 * variance)) : 1;
    for (int i = 0; i < 5; i++) {
        u->first[i] = words[i].word;
        u->top += is_name[words[i].word];
    }
}

static int by_p(const void *a, const void *b)
{
    const cn_region_unit *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static int by_auc(const void *a, const void *b)
{
    const cn_region_unit *x = a, *y = b;
    if (x->auc != y->auc)
        return x->auc > y->auc ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

cn_status cn_word_space_regions(const cn_word_space *s, cn_region_unit **list, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t words = s->list.count, units = (size_t)s->units;
    bool *is_name = cn_calloc(words, sizeof *is_name);
    valued *order = cn_calloc(words, sizeof *order);
    cn_region_unit *found = cn_calloc(units, sizeof *found);
    *list = NULL;
    *n = 0;
    CN_CHECK(is_name && order && found, CN_ENOMEM, "out of memory for %zu units", units);
    const size_t names = mark_names(s, is_name);
    CN_CHECK(names >= LEAST_NAMES && words - names >= LEAST_NAMES, CN_EINVAL,
             "%zu names of places and %zu other words are too few: %d of each are needed", names, words - names, LEAST_NAMES);
    for (size_t u = 0; u < units; u++) {
        for (size_t i = 0; i < words; i++)
            order[i] = (valued){s->values[i * units + u], i};
        qsort(order, words, sizeof *order, falling);
        found[u].unit = (int64_t)u;
        measure(&found[u], order, words, is_name, names);
    }
    qsort(found, units, sizeof *found, by_p);
    double q = 1;
    for (size_t i = units; i-- > 0;) { /* Benjamini and Hochberg's step-up */
        q = fmin(q, found[i].p * (double)units / (double)(i + 1));
        found[i].q = q;
    }
    qsort(found, units, sizeof *found, by_auc);
    *list = found, found = NULL;
    *n = units;
done:
    cn_free(is_name);
    cn_free(order);
    cn_free(found);
    return st;
}

void cn_region_units_free(cn_region_unit *list)
{
    cn_free(list);
}
