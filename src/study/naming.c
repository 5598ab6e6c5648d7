/* study/naming.c -- names for units: words by block against all units, the best few of each kept; then how well the names' shares
 * go with the activations on the other half of the pictures. */
#include "study/finder.h"

#include "base/memory.h"
#include "base/order.h"
#include "base/rng.h"
#include "study/dissect.h"
#include "study/product.h"
#include "study/store.h"
#include "study/wordlist.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 256, /* words at a time */
    KEPT = 64,   /* candidates of a method for each unit: ranks beyond count as 0 */
    SHOWN = 3,   /* names of a unit: the name and two others */
    LEAST = 8,   /* pictures in a half */
    SHUFFLES = 200,
    STRONGEST_PART = 20 /* AUC: one picture of so many */
};
#define PURE 0.7

enum { DISSECT, LINEAR, NEAREST, METHODS };

typedef struct candidate {
    double score;
    int32_t word; /* -1 behind the last */
} candidate;

typedef struct naming {
    cn_study *study;
    const finder_model *model;
    cn_name_options o;
    const char *template;
    corpus_units units;
    corpus_pictures pictures;
    corpus_words words;
    corpus_labels labels;
    share_scale *scales;         /* (pictures) */
    float *choosing, *measuring; /* (units, even), (units, n - even): activations; standardised when they are no longer ordered */
    float *directions;           /* (units, width) of length 1 */
    int64_t k;
    int32_t *top; /* (units, k) of the even half */
    bool uses[METHODS];
    candidate *best[METHODS]; /* (units, KEPT), best first */
    candidate *named;         /* (units, SHOWN) */
} naming;

const char *cn_name_method_text(cn_name_method method)
{
    static const char *const names[CN_NAME_METHODS] = {"consensus", "dissect", "linear", "nearest"};
    return (unsigned)method < CN_NAME_METHODS ? names[method] : NULL;
}

static cn_status tell(const naming *g, const char *what, int64_t done, int64_t total, cn_error *err)
{
    if (g->o.progress && !g->o.progress(what, done, total, g->o.user))
        return cn_fail(err, CN_ECANCELED, "naming was cancelled");
    return CN_OK;
}

/* ---- preparing ---- */

static bool texts_go_on(void *user, size_t done, size_t total)
{
    const naming *g = user;
    return !g->o.progress || g->o.progress("texts", (int64_t)done, (int64_t)total, g->o.user);
}

static cn_status read_words(naming *g, cn_error *err)
{
    cn_status st = CN_OK;
    wordlist list = {0};
    corpus_words own = {0};
    const char *usual = g->study->info.word_template ? g->study->info.word_template : "{}";
    g->template = g->o.word_template ? g->o.word_template : usual;
    CN_TRY(corpus_check_template(g->template, err));
    if (!g->o.words && strcmp(g->template, usual) == 0) {
        CN_TRY(corpus_words_read(&g->words, g->study, err));
    } else {
        CN_CHECK(g->model->from, CN_EINVAL, "other words than the study's need the model");
        if (g->o.words) {
            CN_TRY(wordlist_add_file(&list, g->o.words, err));
            wordlist_finish(&list);
            CN_TRY(corpus_words_embed(&g->words, g->model->from, (const char *const *)list.words, list.count, g->template, texts_go_on, g, err));
        } else {
            CN_TRY(corpus_words_read(&own, g->study, err));
            CN_TRY(
                corpus_words_embed(&g->words, g->model->from, (const char *const *)own.word, (size_t)own.n, g->template, texts_go_on, g, err));
            g->words.unknown += own.unknown;
        }
    }
    CN_CHECK(g->words.n >= 2, CN_EINVAL, "%s: names need two words at least that the model knows, there %s %" PRId64,
             g->o.words ? g->o.words : g->study->path, g->words.n == 1 ? "is" : "are", g->words.n);
done:
    wordlist_free(&list);
    corpus_words_free(&own);
    return st;
}

/* The activations of either half, in rows of their own. */
static cn_status split(naming *g, cn_error *err)
{
    cn_status st = CN_OK;
    corpus_pictures *p = &g->pictures;
    const int64_t odd = p->n - p->even;
    CN_CHECK(p->even >= LEAST && odd >= LEAST, CN_EINVAL,
             "%s: names are chosen on one half of the pictures and measured on the other: %" PRId64 " and %" PRId64
             " are too few, %d each it takes",
             g->study->path, p->even, odd, LEAST);
    g->choosing = product_floats(p->units, p->even);
    g->measuring = product_floats(p->units, odd);
    CN_CHECK(g->choosing && g->measuring, CN_ENOMEM, "out of memory for the activations of %" PRId64 " pictures", p->n);
    for (int64_t u = 0; u < p->units; u++) {
        memcpy(g->choosing + u * p->even, p->values + u * p->n, (size_t)p->even * sizeof *p->values);
        memcpy(g->measuring + u * odd, p->values + u * p->n + p->even, (size_t)odd * sizeof *p->values);
    }
    cn_free(p->values);
    p->values = NULL;
done:
    return st;
}

static cn_status prepare(naming *g, cn_error *err)
{
    cn_status st = CN_OK;
    cn_study *s = g->study;
    const int64_t width = s->info.embedding;
    CN_CHECK(g->o.site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, g->o.site, s->n_sites);
    CN_CHECK(cn_name_method_text(g->o.method), CN_EINVAL, "no such method");
    CN_CHECK(g->o.pictures >= 0 && g->o.pictures <= CN_MAX_FIND_PICTURES, CN_EINVAL, "%" PRId64 " pictures, the limit is %d", g->o.pictures,
             CN_MAX_FIND_PICTURES);
    const bool all = g->o.method == CN_NAME_CONSENSUS;
    g->uses[DISSECT] = all || g->o.method == CN_NAME_DISSECT;
    g->uses[NEAREST] = all || g->o.method == CN_NAME_NEAREST;
    g->uses[LINEAR] = (all && g->model->directions) || g->o.method == CN_NAME_LINEAR;
    CN_CHECK(!g->uses[LINEAR] || g->model->directions, CN_EUNSUPPORTED, "%s",
             g->model->no_directions && *g->model->no_directions ? g->model->no_directions : "the site has no directions");
    CN_CHECK(!g->model->from || g->model->from->embedding == s->info.embedding, CN_EMISMATCH, "%s: embeddings of %d values, the model's have %d",
             s->path, s->info.embedding, g->model->from->embedding);
    CN_TRY(corpus_units_read(&g->units, s, g->o.site, err));
    CN_TRY(corpus_labels_read(&g->labels, s, err));
    CN_TRY(corpus_pictures_read(&g->pictures, s, g->o.site, g->o.pictures ? g->o.pictures : CORPUS_PICTURES, err));
    CN_TRY(split(g, err));
    CN_TRY(read_words(g, err));
    g->scales = cn_calloc((size_t)g->pictures.n, sizeof *g->scales);
    g->k = dissect_pictures(g->pictures.even);
    g->top = cn_calloc((size_t)g->units.n, (size_t)g->k * sizeof *g->top);
    g->named = cn_calloc((size_t)g->units.n, SHOWN * sizeof *g->named);
    CN_CHECK(g->scales && g->top && g->named, CN_ENOMEM, "out of memory for the names of %" PRId64 " units", g->units.n);
    for (int m = 0; m < METHODS; m++)
        if (g->uses[m]) {
            g->best[m] = cn_calloc((size_t)g->units.n, KEPT * sizeof *g->best[m]);
            CN_CHECK(g->best[m], CN_ENOMEM, "out of memory for the names of %" PRId64 " units", g->units.n);
            for (int64_t i = 0; i < g->units.n * KEPT; i++)
                g->best[m][i].word = -1;
        }
    CN_TRY(share_scales(g->pictures.embedding, g->pictures.n, g->words.text, g->words.n, width, g->scales, err));
    dissect_strongest(g->choosing, g->units.n, g->pictures.even, g->k, g->top);
    product_standardise(g->choosing, g->units.n, g->pictures.even);
    if (g->uses[LINEAR]) {
        g->directions = product_floats(g->units.n, width);
        CN_CHECK(g->directions, CN_ENOMEM, "out of memory for the directions of units");
        for (int64_t u = 0; u < g->units.n; u++)
            product_normalise(g->model->directions + u * width, g->directions + u * width, width);
    }
done:
    return st;
}

static void naming_free(naming *g)
{
    corpus_units_free(&g->units);
    corpus_pictures_free(&g->pictures);
    corpus_words_free(&g->words);
    corpus_labels_free(&g->labels);
    cn_free(g->scales);
    cn_free(g->choosing);
    cn_free(g->measuring);
    cn_free(g->directions);
    cn_free(g->top);
    cn_free(g->named);
    for (int m = 0; m < METHODS; m++)
        cn_free(g->best[m]);
}

/* ---- choosing ---- */

/* Keeps the best, in order; of equal ones the first word. */
static void offer(candidate *best, int kept, int32_t word, double score)
{
    int at = kept - 1;
    if (best[at].word >= 0 && !(score > best[at].score))
        return;
    for (; at > 0 && (best[at - 1].word < 0 || score > best[at - 1].score); at--)
        best[at] = best[at - 1];
    best[at] = (candidate){score, word};
}

typedef struct scratch {
    float *shares, *turned; /* (even, BLOCK), (BLOCK, even) */
    float *texts;           /* (BLOCK, width): less the centre, of length 1 */
    float *found;           /* (units, BLOCK) */
    double *evidence;       /* (units, BLOCK) */
} scratch;

static void offer_block(naming *g, int method, int64_t first, int64_t count, const scratch *x)
{
    for (int64_t u = 0; u < g->units.n; u++)
        for (int64_t w = 0; w < count && !g->units.dead[u]; w++)
            offer(g->best[method] + u * KEPT, KEPT, (int32_t)(first + w),
                  method == DISSECT ? x->evidence[u * count + w] : (double)x->found[u * count + w]);
}

static void shares_of_block(const naming *g, int64_t first, int64_t count, float *shares)
{
    const int64_t even = g->pictures.even, width = g->words.width;
    product_rows(g->pictures.embedding, even, g->words.text + first * width, count, width, shares, count);
    for (int64_t i = 0; i < even; i++)
        for (int64_t w = 0; w < count; w++)
            shares[i * count + w] = (float)share_of_word(&g->scales[i], (double)shares[i * count + w]);
}

static void score_block(naming *g, int64_t first, int64_t count, const scratch *x)
{
    const int64_t even = g->pictures.even, width = g->words.width, units = g->units.n;
    if (g->uses[DISSECT] || g->uses[NEAREST])
        shares_of_block(g, first, count, x->shares);
    if (g->uses[DISSECT]) {
        dissect_evidence(x->shares, count, g->top, units, g->k, x->evidence);
        dissect_scores(x->evidence, units, count, g->units.dead);
        offer_block(g, DISSECT, first, count, x);
    }
    if (g->uses[NEAREST]) {
        product_transpose(x->shares, even, count, x->turned);
        product_standardise(x->turned, count, even);
        product_rows(g->choosing, units, x->turned, count, even, x->found, count);
        offer_block(g, NEAREST, first, count, x);
    }
    if (g->uses[LINEAR]) {
        for (int64_t w = 0; w < count; w++) {
            float *text = x->texts + w * width;
            for (int64_t k = 0; k < width; k++)
                text[k] = g->words.text[(first + w) * width + k] - g->words.centre[k];
            product_normalise(text, text, width);
        }
        product_rows(g->directions, units, x->texts, count, width, x->found, count);
        offer_block(g, LINEAR, first, count, x);
    }
}

static cn_status score_words(naming *g, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t even = g->pictures.even;
    scratch x = {product_floats(even, BLOCK), product_floats(BLOCK, even), product_floats(BLOCK, g->words.width),
                 product_floats(g->units.n, BLOCK), cn_calloc((size_t)g->units.n, BLOCK * sizeof(double))};
    CN_CHECK(x.shares && x.turned && x.texts && x.found && x.evidence, CN_ENOMEM, "out of memory for the scores of %" PRId64 " words",
             g->words.n);
    for (int64_t first = 0; first < g->words.n; first += BLOCK) {
        const int64_t count = g->words.n - first < BLOCK ? g->words.n - first : BLOCK;
        CN_TRY(tell(g, "words", first, g->words.n, err));
        score_block(g, first, count, &x);
    }
    CN_TRY(tell(g, "words", g->words.n, g->words.n, err));
done:
    cn_free(x.shares);
    cn_free(x.turned);
    cn_free(x.texts);
    cn_free(x.found);
    cn_free(x.evidence);
    return st;
}

static int by_word_number(const void *a, const void *b)
{
    return ((const candidate *)a)->word - ((const candidate *)b)->word;
}

/* Mean of 1/rank over the methods, for every word that one of them has among its candidates. */
static void agree(const naming *g, int64_t unit, candidate *out)
{
    candidate all[METHODS * KEPT];
    int n = 0, methods = 0, merged = 0;
    for (int m = 0; m < METHODS; m++)
        methods += g->uses[m];
    for (int m = 0; m < METHODS; m++)
        for (int i = 0; g->uses[m] && i < KEPT && g->best[m][unit * KEPT + i].word >= 0; i++)
            all[n++] = (candidate){1.0 / (i + 1) / methods, g->best[m][unit * KEPT + i].word};
    qsort(all, (size_t)n, sizeof *all, by_word_number);
    for (int i = 0; i < n; i++) {
        if (merged && all[merged - 1].word == all[i].word)
            all[merged - 1].score += all[i].score;
        else
            all[merged++] = all[i];
    }
    for (int i = 0; i < merged; i++)
        offer(out, SHOWN, all[i].word, all[i].score);
}

static void choose(naming *g)
{
    for (int64_t u = 0; u < g->units.n; u++) {
        candidate *named = g->named + u * SHOWN;
        for (int i = 0; i < SHOWN; i++)
            named[i].word = -1;
        if (g->units.dead[u])
            continue;
        if (g->o.method == CN_NAME_CONSENSUS)
            agree(g, u, named);
        for (int m = 0; m < METHODS && g->o.method != CN_NAME_CONSENSUS; m++)
            if (g->uses[m])
                memcpy(named, g->best[m] + u * KEPT, SHOWN * sizeof *named);
    }
}

/* ---- measuring ---- */

typedef struct measuring {
    int64_t odd, names; /* pictures, different names */
    int32_t *name_of;   /* (words): number among the names, -1 */
    float *shares;      /* (names, odd): standardised in the end */
    float *ranks;       /* (names, odd): of the shares, from 1, equal ones their mean */
    int64_t live;
    int64_t *unit;         /* (live) */
    int32_t *name;         /* (live): of each, shuffled later */
    double *heldout, *auc; /* (live) */
} measuring;

static int by_value(const void *a, const void *b, void *values)
{
    const float *v = values, x = v[*(const int32_t *)a], y = v[*(const int32_t *)b];
    if (x != y)
        return x < y ? -1 : 1;
    return *(const int32_t *)a - *(const int32_t *)b;
}

static void rank_values(float *values, int64_t n, int32_t *order, float *ranks)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    qsort_r(order, (size_t)n, sizeof *order, by_value, values);
    for (int64_t i = 0; i < n;) {
        int64_t end = i + 1;
        while (end < n && values[order[end]] == values[order[i]])
            end++;
        for (int64_t k = i; k < end; k++)
            ranks[order[k]] = (float)(0.5 * (double)(i + 1 + end));
        i = end;
    }
}

static cn_status measuring_begin(measuring *m, const naming *g, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = g->words.width;
    float *texts = NULL;
    int32_t *order = NULL;
    m->odd = g->pictures.n - g->pictures.even;
    m->name_of = cn_calloc((size_t)g->words.n, sizeof *m->name_of);
    m->unit = cn_calloc((size_t)g->units.live + 1, sizeof *m->unit);
    m->name = cn_calloc((size_t)g->units.live + 1, sizeof *m->name);
    m->heldout = cn_calloc((size_t)g->units.live + 1, sizeof *m->heldout);
    m->auc = cn_calloc((size_t)g->units.live + 1, sizeof *m->auc);
    order = cn_calloc((size_t)m->odd, sizeof *order);
    CN_CHECK(m->name_of && m->unit && m->name && m->heldout && m->auc && order, CN_ENOMEM, "out of memory for measuring names");
    for (int64_t w = 0; w < g->words.n; w++)
        m->name_of[w] = -1;
    for (int64_t u = 0; u < g->units.n; u++) {
        const int32_t word = g->named[u * SHOWN].word;
        if (word < 0)
            continue;
        if (m->name_of[word] < 0)
            m->name_of[word] = (int32_t)m->names++;
        m->unit[m->live] = u;
        m->name[m->live++] = m->name_of[word];
    }
    texts = product_floats(m->names, width);
    m->shares = product_floats(m->names, m->odd);
    m->ranks = product_floats(m->names, m->odd);
    CN_CHECK(texts && m->shares && m->ranks, CN_ENOMEM, "out of memory for the shares of %" PRId64 " names", m->names);
    for (int64_t w = 0; w < g->words.n; w++)
        if (m->name_of[w] >= 0)
            memcpy(texts + m->name_of[w] * width, g->words.text + w * width, (size_t)width * sizeof *texts);
    product_rows(texts, m->names, g->pictures.embedding + g->pictures.even * width, m->odd, width, m->shares, m->odd);
    for (int64_t i = 0; i < m->names; i++) {
        float *row = m->shares + i * m->odd;
        for (int64_t k = 0; k < m->odd; k++)
            row[k] = (float)share_of_word(&g->scales[g->pictures.even + k], (double)row[k]);
        rank_values(row, m->odd, order, m->ranks + i * m->odd);
    }
    product_standardise(m->shares, m->names, m->odd);
done:
    cn_free(texts);
    cn_free(order);
    return st;
}

static void measuring_end(measuring *m)
{
    cn_free(m->name_of);
    cn_free(m->shares);
    cn_free(m->ranks);
    cn_free(m->unit);
    cn_free(m->name);
    cn_free(m->heldout);
    cn_free(m->auc);
}

/* AUC of a name's share for the strongest pictures of a unit against the others, by ranks (Mann and Whitney). */
static double area(const measuring *m, const float *values, const float *ranks, int32_t *top)
{
    const int64_t strong = (m->odd + STRONGEST_PART - 1) / STRONGEST_PART;
    double sum = 0;
    dissect_strongest(values, 1, m->odd, strong, top);
    for (int64_t i = 0; i < strong; i++)
        sum += (double)ranks[top[i]];
    return (sum - 0.5 * (double)strong * (double)(strong + 1)) / ((double)strong * (double)(m->odd - strong));
}

static double correlation(const naming *g, const measuring *m, int64_t i, int32_t name)
{
    float r;
    product_rows(g->measuring + m->unit[i] * m->odd, 1, m->shares + name * m->odd, 1, m->odd, &r, 1);
    return fmin(fmax((double)r, -1), 1);
}

static cn_status measure_names(naming *g, measuring *m, cn_error *err)
{
    cn_status st = CN_OK;
    int32_t *top = NULL;
    CN_TRY(measuring_begin(m, g, err));
    top = cn_calloc((size_t)m->odd, sizeof *top);
    CN_CHECK(top, CN_ENOMEM, "out of memory for measuring names");
    for (int64_t i = 0; i < m->live; i++)
        m->auc[i] = area(m, g->measuring + m->unit[i] * m->odd, m->ranks + m->name[i] * m->odd, top);
    product_standardise(g->measuring, g->units.n, m->odd);
    for (int64_t i = 0; i < m->live; i++)
        m->heldout[i] = correlation(g, m, i, m->name[i]);
done:
    cn_free(top);
    return st;
}

/* Sorts v. */
static double median(double *v, int64_t n)
{
    if (n == 0)
        return 0;
    qsort(v, (size_t)n, sizeof *v, order_doubles);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* Names dealt out anew among the units, SHUFFLES times. */
static cn_status shuffle(const naming *g, measuring *m, cn_name_result *r, cn_error *err)
{
    cn_status st = CN_OK;
    rng state = {g->o.seed};
    double *all = cn_calloc((size_t)m->live + 1, (SHUFFLES + 1) * sizeof *all), *one = NULL;
    int64_t at_least = 0;
    CN_CHECK(all, CN_ENOMEM, "out of memory for shuffled names");
    one = all + SHUFFLES * m->live;
    for (int64_t s = 0; s < SHUFFLES; s++) {
        CN_TRY(tell(g, "names", s, SHUFFLES, err));
        for (int64_t i = m->live - 1; i > 0; i--) {
            const int64_t k = (int64_t)(rng_bits(&state) % (uint64_t)(i + 1));
            const int32_t swapped = m->name[i];
            m->name[i] = m->name[k];
            m->name[k] = swapped;
        }
        for (int64_t i = 0; i < m->live; i++)
            one[i] = all[s * m->live + i] = correlation(g, m, i, m->name[i]);
        const double middle = median(one, m->live);
        r->shuffled += middle / SHUFFLES;
        at_least += middle >= r->median;
    }
    r->shuffles = SHUFFLES;
    r->p = (double)(1 + at_least) / (1 + SHUFFLES);
    const int64_t n = SHUFFLES * m->live;
    if (n) {
        qsort(all, (size_t)n, sizeof *all, order_doubles);
        r->threshold = all[(19 * n + 19) / 20 - 1];
    }
    for (int64_t i = 0; i < m->live; i++)
        r->above += m->heldout[i] > r->threshold;
    CN_TRY(tell(g, "names", SHUFFLES, SHUFFLES, err));
done:
    cn_free(all);
    return st;
}

static void compare_labels(const naming *g, cn_name_result *r)
{
    for (int64_t u = 0; u < g->units.n; u++) {
        const int64_t label = g->units.label[u];
        if (g->units.dead[u] || label < 0)
            continue;
        const int64_t word = corpus_words_find(&g->words, g->labels.word[label]);
        if (word < 0)
            continue;
        const candidate *named = g->named + u * SHOWN;
        const bool first = named[0].word == word, three = first || named[1].word == word || named[2].word == word;
        r->labelled++;
        r->label_first += first;
        r->label_three += three;
        if (g->units.purity[u] >= PURE) {
            r->pure++;
            r->pure_first += first;
            r->pure_three += three;
        }
    }
}

/* ---- the result ---- */

static int by_heldout(const void *a, const void *b)
{
    const cn_unit_name *x = a, *y = b;
    if (x->heldout != y->heldout)
        return x->heldout > y->heldout ? -1 : 1;
    return x->ref.unit < y->ref.unit ? -1 : x->ref.unit > y->ref.unit;
}

static cn_status list_names(const naming *g, const measuring *m, const char *date, cn_name_result *r, cn_error *err)
{
    static const size_t pointers[] = {offsetof(cn_unit_name, name), offsetof(cn_unit_name, others), offsetof(cn_unit_name, method),
                                      offsetof(cn_unit_name, created)};
    cn_status st = CN_OK;
    results list = {0};
    bool ok = true;
    void *block;
    const char *method = cn_name_method_text(g->o.method);
    for (int64_t i = 0; i < m->live; i++) {
        const candidate *named = g->named + m->unit[i] * SHOWN;
        char others[512] = "";
        for (int k = 1; k < SHOWN && named[k].word >= 0; k++)
            snprintf(others + strlen(others), sizeof others - strlen(others), "%s%.200s", k > 1 ? ", " : "", g->words.word[named[k].word]);
        cn_unit_name *n = results_add(&list, sizeof *n);
        CN_CHECK(n, CN_ENOMEM, "out of memory for names");
        const char *name = g->words.word[named[0].word];
        n->ref = (cn_unit_ref){g->o.site, m->unit[i]};
        n->name = results_keep(&list, name, strlen(name) + 1, &ok);
        n->others = results_keep(&list, others, strlen(others) + 1, &ok);
        n->method = results_keep(&list, method, strlen(method) + 1, &ok);
        n->created = results_keep(&list, date, strlen(date) + 1, &ok);
        n->score = named[0].score;
        n->heldout = m->heldout[i];
        n->heldout_z = atanh(fmin(fmax(m->heldout[i], -0.999999), 0.999999)) * sqrt((double)(m->odd - 3));
        n->auc = m->auc[i];
        CN_CHECK(ok, CN_ENOMEM, "out of memory for names");
    }
    CN_TRY(results_finish(&list, pointers, sizeof pointers / sizeof *pointers, &block, &r->n, err));
    r->names = block;
    if (r->n)
        qsort(r->names, r->n, sizeof *r->names, by_heldout);
done:
    results_discard(&list);
    return st;
}

static cn_status medians(const measuring *m, cn_name_result *r, cn_error *err)
{
    double *copy = cn_calloc((size_t)m->live + 1, sizeof *copy);
    if (!copy)
        return cn_fail(err, CN_ENOMEM, "out of memory for measuring names");
    memcpy(copy, m->heldout, (size_t)m->live * sizeof *copy);
    r->median = median(copy, m->live);
    memcpy(copy, m->auc, (size_t)m->live * sizeof *copy);
    r->median_auc = median(copy, m->live);
    cn_free(copy);
    return CN_OK;
}

cn_status naming_run(cn_study *s, const finder_model *model, const cn_name_options *options, cn_name_result **out, cn_error *err)
{
    cn_status st = CN_OK;
    naming g = {.study = s, .model = model};
    measuring m = {0};
    char date[32];
    cn_name_result *r = cn_calloc(1, sizeof *r);
    *out = NULL;
    CN_CHECK(r, CN_ENOMEM, "out of memory for names");
    if (options)
        g.o = *options;
    CN_TRY(prepare(&g, err));
    CN_TRY(score_words(&g, err));
    choose(&g);
    CN_TRY(measure_names(&g, &m, err));
    r->words = g.words.n;
    r->unknown_words = g.words.unknown;
    r->pictures = g.pictures.even;
    r->heldout_pictures = m.odd;
    r->strongest = g.k;
    CN_TRY(medians(&m, r, err));
    compare_labels(&g, r);
    store_date(date);
    CN_TRY(list_names(&g, &m, date, r, err));
    CN_TRY(shuffle(&g, &m, r, err));
    if (!g.o.dry) {
        const names_about about = {.site = g.o.site,
                                   .method = cn_name_method_text(g.o.method),
                                   .template = g.template,
                                   .created = date,
                                   .words = r->words,
                                   .pictures = r->pictures};
        CN_TRY(names_keep(s, &about, r->names, r->n, err));
    }
    *out = r, r = NULL;
done:
    cn_name_result_free(r);
    measuring_end(&m);
    naming_free(&g);
    return st;
}

void cn_name_result_free(cn_name_result *result)
{
    if (!result)
        return;
    cn_free(result->names);
    cn_free(result);
}

cn_status cn_study_name(cn_study *s, const cn_model *model, const cn_name_options *options, cn_name_result **out, cn_error *err)
{
    cn_status st = CN_OK;
    source from = {0};
    float *directions = NULL;
    char why[512] = "";
    const cn_name_options o = options ? *options : (cn_name_options){0};
    const cn_scan_options runners = {.threads = o.threads, .precision = o.precision, .backend = o.backend};
    *out = NULL;
    CN_CHECK(o.site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, o.site, s->n_sites);
    CN_CHECK(model || o.method == CN_NAME_DISSECT || o.method == CN_NAME_NEAREST, CN_EINVAL, "names by %s need the model",
             cn_name_method_text(o.method) ? cn_name_method_text(o.method) : "this method");
    if (model) {
        CN_TRY(cn_study_check_model(s, model, err));
        CN_TRY(source_open_model(&from, model, &runners, false, err));
        if (o.method == CN_NAME_CONSENSUS || o.method == CN_NAME_LINEAR)
            CN_TRY(finder_directions(model, s, o.site, &directions, why, err));
    }
    const finder_model m = {.from = model ? &from : NULL, .directions = directions, .no_directions = why};
    CN_TRY(naming_run(s, &m, &o, out, err));
done:
    cn_free(directions);
    if (from.close)
        from.close(&from);
    return st;
}
