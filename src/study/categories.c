/* study/categories.c -- P(category | activation): shares of categories at each level of a unit's activation. */
#include "study/ratings.h"

#include "base/memory.h"
#include "study/raterstats.h"
#include "study/sample.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_SHOWN 7 /* the others together are "other" */
#define OTHER "other"

/* The table with all that it points to. */
typedef struct whole {
    cn_category_table t; /* first: what callers hold is this */
    char unit[256];
    char *label, *model, *collection;
    const char *category_names[CN_MAX_CATEGORIES], *rater_names[CN_MAX_RATERS];
    rating_names categories, raters;
    cn_category_bin bins[CN_MAX_CATEGORY_BINS];
    cn_category_share shares[CN_MAX_CATEGORY_BINS][CN_MAX_CATEGORIES];
} whole;

/* What it is made from. */
typedef struct work {
    cn_rating_picture *pictures;
    size_t n;
    double *votes;   /* (n, CN_MAX_CATEGORIES) each picture's answers, summing to 1, or to 0 where there is none */
    double *weights; /* (n) how many pictures of the collection each stands for */
    int *answers;    /* (n, raters) for agreement */
    int *bin;        /* (n) */
} work;

static void free_work(work *w)
{
    cn_free(w->pictures);
    cn_free(w->votes);
    cn_free(w->weights);
    cn_free(w->answers);
    cn_free(w->bin);
}

static bool voted(const work *w, size_t i)
{
    double sum = 0;
    for (size_t c = 0; c < CN_MAX_CATEGORIES; c++)
        sum += w->votes[i * CN_MAX_CATEGORIES + c];
    return sum > 0;
}

/* ---- where categories come from ---- */

static cn_status from_ratings(whole *all, work *w, cn_study *s, const cn_category_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    cn_rating *ratings = NULL;
    size_t n = 0;
    CN_TRY(rating_categories(s, all->t.ref, &all->categories, err));
    CN_TRY(cn_study_ratings(s, all->t.ref, NULL, &ratings, &n, err));
    CN_CHECK(n > 0, CN_ENOTFOUND, "%s: nobody has rated the pictures of %s yet", s->path, all->unit);
    for (size_t i = 0; i < n; i++) {
        if (rating_find(&all->raters, ratings[i].rater) < 0) {
            CN_CHECK(all->raters.n < CN_MAX_RATERS, CN_ELIMIT, "%s: more than %d raters for %s", s->path, CN_MAX_RATERS, all->unit);
            rating_add(&all->raters, ratings[i].rater);
        }
        if (rating_find(&all->categories, ratings[i].category) < 0) { /* written by another program */
            CN_CHECK(all->categories.n < CN_MAX_CATEGORIES, CN_ELIMIT, "%s: more than %d categories for %s", s->path, CN_MAX_CATEGORIES,
                     all->unit);
            rating_add(&all->categories, ratings[i].category);
        }
    }
    const size_t raters = all->raters.n;
    w->answers = cn_reallocarray(NULL, w->n * raters + 1, sizeof *w->answers);
    CN_CHECK(w->answers, CN_ENOMEM, "out of memory for answers");
    for (size_t i = 0; i < w->n * raters; i++)
        w->answers[i] = -1;
    for (size_t i = 0; i < n; i++) {
        size_t p = 0;
        while (p < w->n && w->pictures[p].image != ratings[i].image)
            p++;
        if (p == w->n)
            continue; /* a picture that is rated no more */
        w->answers[p * raters + (size_t)rating_find(&all->raters, ratings[i].rater)] = rating_find(&all->categories, ratings[i].category);
        all->t.agreement.answers++;
    }
    for (size_t p = 0; p < w->n; p++) {
        double given = 0;
        for (size_t r = 0; r < raters; r++)
            given += w->answers[p * raters + r] >= 0;
        for (size_t r = 0; r < raters; r++)
            if (w->answers[p * raters + r] >= 0)
                w->votes[p * CN_MAX_CATEGORIES + (size_t)w->answers[p * raters + r]] += 1 / given;
        all->t.agreement.images += given > 0;
    }
    const stats_answers a = {w->answers, w->n, raters, all->categories.n};
    all->t.agreement.shared = stats_shared(&a);
    all->t.agreement.percent = stats_percent(&a);
    all->t.agreement.kappa = stats_kappa(&a);
    all->t.agreement.alpha = stats_alpha(&a);
    CN_TRY(stats_alpha_interval(&a, o->confidence, o->resamples, o->seed, &all->t.agreement.alpha_low, &all->t.agreement.alpha_high, err));
done:
    cn_free(ratings);
    return st;
}

/* A label or medium and how much of the plot it takes: the sum over bins of its share there. */
typedef struct group {
    const char *name;
    double area;
} group;

static int by_area(const void *a, const void *b)
{
    const group *x = a, *y = b;
    if (fabs(x->area - y->area) > 1e-9)
        return x->area > y->area ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const group *)a)->name, ((const group *)b)->name);
}

/* A name as the collection has it, cut to what a category may be. */
static void shortened(const char *name, char out[CN_MAX_RATING_NAME + 1])
{
    size_t n = strlen(name);
    if (n > CN_MAX_RATING_NAME)
        for (n = CN_MAX_RATING_NAME; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80;) /* not within a letter */
            n--;
    memcpy(out, name, n);
    out[n] = '\0';
}

static cn_status from_collection(whole *all, work *w, cn_study *s, const cn_category_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    const bool media = o->source == CN_CATEGORIES_MEDIUM;
    const char *what = media ? "medium" : "label";
    char name[CN_MAX_RATING_NAME + 1];
    size_t n = 0;
    double in_bin[CN_MAX_CATEGORY_BINS] = {0};
    group *groups = cn_calloc(w->n + 1, sizeof *groups);
    CN_CHECK(groups, CN_ENOMEM, "out of memory for labels");
    for (size_t i = 0; i < w->n; i++)
        in_bin[w->bin[i]] += w->weights[i];
    for (size_t i = 0; i < w->n; i++) {
        const char *of = media ? w->pictures[i].medium : w->pictures[i].label;
        size_t g = 0;
        if (!*of)
            continue;
        while (g < n && strcmp(groups[g].name, of) != 0)
            g++;
        groups[g].name = of;
        groups[g].area += in_bin[w->bin[i]] > 0 ? w->weights[i] / in_bin[w->bin[i]] : 0;
        n += g == n;
    }
    CN_CHECK(n > 0, CN_ENOTFOUND, "%s: no picture of %s has a %s in the collection", s->path, all->unit, what);
    qsort(groups, n, sizeof *groups, by_area);
    const size_t shown = n <= LABELS_SHOWN + 1 ? n : LABELS_SHOWN;
    if (media)
        qsort(groups, shown, sizeof *groups, by_name);
    for (size_t g = 0; g < shown; g++) {
        shortened(groups[g].name, name);
        if (rating_find(&all->categories, name) < 0)
            rating_add(&all->categories, name);
    }
    for (size_t i = 0; i < w->n; i++) {
        const char *of = media ? w->pictures[i].medium : w->pictures[i].label;
        bool kept = false;
        for (size_t g = 0; g < shown && !kept; g++)
            kept = strcmp(groups[g].name, of) == 0;
        if (kept)
            shortened(of, name);
        else
            snprintf(name, sizeof name, "%s", *of ? OTHER : media ? "no medium" : "no label");
        if (rating_find(&all->categories, name) < 0)
            rating_add(&all->categories, name); /* at most two more than are shown: on top of the stack */
        w->votes[i * CN_MAX_CATEGORIES + (size_t)rating_find(&all->categories, name)] = 1;
    }
    all->t.agreement = (cn_agreement){
        .percent = (double)NAN, .kappa = (double)NAN, .alpha = (double)NAN, .alpha_low = (double)NAN, .alpha_high = (double)NAN};
done:
    cn_free(groups);
    return st;
}

/* ---- shares ---- */

/* How many pictures of its bucket each rated picture stands for. Weights are only used within a bin, so their scale is free. */
static cn_status weigh(work *w, cn_study *s, cn_unit_ref ref, const cn_unit_row *row, bool all, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t buckets = (size_t)s->info.buckets;
    int64_t *population = cn_calloc(buckets, sizeof *population), *rated = cn_calloc(buckets, sizeof *rated);
    CN_CHECK(population && rated, CN_ENOMEM, "out of memory for %zu buckets", buckets);
    CN_TRY(cn_study_histogram(s, ref, row->min / row->rms, row->max / row->rms, buckets, population, err));
    for (size_t i = 0; i < w->n; i++)
        rated[w->pictures[i].bucket] += all || voted(w, i);
    for (size_t i = 0; i < w->n; i++) {
        const int b = w->pictures[i].bucket;
        /* A histogram may put a picture at a border into the next bucket. */
        const double of = (double)(population[b] > rated[b] ? population[b] : rated[b]);
        w->weights[i] = all || voted(w, i) ? of / (double)rated[b] : 0;
    }
done:
    cn_free(population);
    cn_free(rated);
    return st;
}

static void fill_bin(whole *all, const work *w, size_t b, double z)
{
    cn_category_bin *bin = &all->bins[b];
    double sum = 0, squares = 0, upto = 0;
    double weighted[CN_MAX_CATEGORIES] = {0};
    for (size_t i = 0; i < w->n; i++) {
        if ((size_t)w->bin[i] != b || !voted(w, i))
            continue;
        bin->images++;
        sum += w->weights[i];
        squares += w->weights[i] * w->weights[i];
        for (size_t c = 0; c < all->categories.n; c++) {
            weighted[c] += w->weights[i] * w->votes[i * CN_MAX_CATEGORIES + c];
            all->shares[b][c].images += w->votes[i * CN_MAX_CATEGORIES + c];
        }
    }
    bin->effective = squares > 0 ? sum * sum / squares : 0;
    for (size_t c = 0; c < all->categories.n; c++) {
        cn_category_share *x = &all->shares[b][c];
        if (!(sum > 0)) {
            x->share = x->low = x->high = x->below = x->below_low = x->below_high = (double)NAN;
            continue;
        }
        x->share = fmin(weighted[c] / sum, 1);
        upto += weighted[c];
        x->below = c + 1 == all->categories.n ? 1 : fmin(upto / sum, 1);
        stats_wilson(x->share, bin->effective, z, &x->low, &x->high);
        stats_wilson(x->below, bin->effective, z, &x->below_low, &x->below_high);
    }
}

static cn_status fill(whole *all, work *w, cn_study *s, const cn_unit_row *row, const cn_category_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    cn_category_table *t = &all->t;
    int64_t population[CN_MAX_CATEGORY_BINS];
    const double low = row->min / row->rms, high = row->max / row->rms, width = (high - low) / (double)t->n_bins;
    for (size_t i = 0; i < w->n; i++) /* the sample's own bucket, where bins are buckets */
        w->bin[i] = (int)t->n_bins == s->info.buckets
                        ? w->pictures[i].bucket
                        : bucket_of((float)w->pictures[i].value, (float)row->min, (float)row->max, (int)t->n_bins);
    if (o->source == CN_CATEGORIES_RATED) {
        CN_TRY(from_ratings(all, w, s, o, err));
        CN_TRY(weigh(w, s, t->ref, row, false, err));
    } else {
        CN_TRY(weigh(w, s, t->ref, row, true, err));
        CN_TRY(from_collection(all, w, s, o, err));
    }
    CN_TRY(cn_study_histogram(s, t->ref, low, high, t->n_bins, population, err));
    CN_TRY(cn_study_histogram(s, t->ref, low, high, CN_CATEGORY_HISTOGRAM, t->histogram, err));
    for (size_t b = 0; b < t->n_bins; b++) {
        all->bins[b] = (cn_category_bin){.low = low + (double)b * width,
                                         .high = b + 1 == t->n_bins ? high : low + (double)(b + 1) * width,
                                         .population = population[b],
                                         .shares = all->shares[b]};
        fill_bin(all, w, b, stats_z(o->confidence));
    }
    t->n_categories = all->categories.n;
    t->n_raters = all->raters.n;
    for (size_t i = 0; i < t->n_categories; i++)
        all->category_names[i] = all->categories.name[i];
    for (size_t i = 0; i < t->n_raters; i++)
        all->rater_names[i] = all->raters.name[i];
done:
    return st;
}

static cn_status options(cn_category_options *o, const cn_category_options *given, const cn_study *s, cn_error *err)
{
    static const cn_category_options defaults;
    cn_status st = CN_OK;
    *o = given ? *given : defaults;
    if (o->bins == 0)
        o->bins = s->info.buckets < CN_MAX_CATEGORY_BINS ? s->info.buckets : CN_MAX_CATEGORY_BINS;
    if (o->confidence == 0)
        o->confidence = 0.95;
    if (o->resamples == 0)
        o->resamples = 1000;
    CN_CHECK(o->bins >= 1 && o->bins <= CN_MAX_CATEGORY_BINS, CN_EINVAL, "%d bins; there may be 1 to %d", o->bins, CN_MAX_CATEGORY_BINS);
    CN_CHECK(o->confidence > 0 && o->confidence < 1, CN_EINVAL, "a confidence lies between 0 and 1");
    CN_CHECK(o->resamples > 0 && o->resamples <= 100000, CN_EINVAL, "a bootstrap draws 1 to 100000 times");
    CN_CHECK((unsigned)o->source <= CN_CATEGORIES_MEDIUM, CN_EINVAL, "no such source of categories");
done:
    return st;
}

cn_status cn_study_category_table(cn_study *s, cn_unit_ref ref, const cn_category_options *given, cn_category_table **out, cn_error *err)
{
    cn_status st = CN_OK;
    cn_category_options o;
    cn_unit_row *row = NULL;
    work w = {0};
    whole *all = NULL;
    *out = NULL;
    CN_TRY(options(&o, given, s, err));
    CN_TRY(cn_study_unit(s, ref, &row, err));
    all = cn_calloc(1, sizeof *all);
    CN_CHECK(all, CN_ENOMEM, "out of memory for a table of categories");
    rating_unit(s, ref, all->unit, sizeof all->unit);
    CN_CHECK(!row->dead, CN_EINVAL, "%s: %s is dead: it has the same value on every picture", s->path, all->unit);
    all->label = cn_strdup(row->label);
    all->model = cn_strdup(s->info.model_file);
    all->collection = cn_strdup(s->info.collection_name);
    CN_CHECK(all->label && all->model && all->collection, CN_ENOMEM, "out of memory for a table of categories");
    CN_TRY(rating_pictures(s, ref, NULL, false, &w.pictures, &w.n, err));
    w.votes = cn_calloc(w.n + 1, CN_MAX_CATEGORIES * sizeof *w.votes);
    w.weights = cn_calloc(w.n + 1, sizeof *w.weights);
    w.bin = cn_calloc(w.n + 1, sizeof *w.bin);
    CN_CHECK(w.votes && w.weights && w.bin, CN_ENOMEM, "out of memory for a table of categories");
    all->t = (cn_category_table){.ref = ref,
                                 .source = o.source,
                                 .unit = all->unit,
                                 .label = all->label,
                                 .model_file = all->model,
                                 .collection_name = all->collection,
                                 .n_bins = (size_t)o.bins,
                                 .categories = all->category_names,
                                 .raters = all->rater_names,
                                 .bins = all->bins,
                                 .confidence = o.confidence,
                                 .pictures = (int64_t)w.n};
    CN_TRY(fill(all, &w, s, row, &o, err));
    *out = &all->t, all = NULL;
done:
    if (all)
        cn_category_table_free(&all->t);
    free_work(&w);
    cn_unit_rows_free(row);
    return st;
}

void cn_category_table_free(cn_category_table *t)
{
    whole *all = (whole *)(void *)t;
    if (!t)
        return;
    cn_free(all->label);
    cn_free(all->model);
    cn_free(all->collection);
    cn_free(all);
}
