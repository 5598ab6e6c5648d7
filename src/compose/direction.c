/* compose/direction.c -- see direction.h. All pictures that take part are rows of one matrix, standardised anew for every fold. */
#include "clipneuron/direction.h"

#include "base/check.h"
#include "base/cores.h"
#include "base/memory.h"
#include "base/order.h"
#include "nn/kernels.h"
#include "study/corpus.h"
#include "study/rowfile.h"
#include "vis/logistic.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FOLDS = 5, PICTURES = 16384, REPLICATES = 1000, EXAMPLES = 16, FEW = 16, LARGEST = 256 };

typedef struct picture {
    int64_t image, first; /* first: of those with the same bytes */
    uint64_t key;         /* of first */
    bool positive;
    int fold;
} picture;

typedef struct seeker {
    cn_study *study;
    const cn_direction_options *o;
    int folds;
    double l2;
    picture *pictures; /* (n) */
    int64_t n, units;
    float *x;          /* (n, units) */
    float *train;      /* (n, units): rows of a fold's training pictures, standardised */
    float *some;       /* (n, size): columns of it */
    bool *positive;    /* (n): of these rows */
    double *mean, *sd; /* (units): of them */
    float *w[2];       /* (units): standardised weights by means, by regression */
    double *score[3 + CN_DIRECTION_SIZES]; /* (n): means, logistic, single unit, sizes */
} seeker;

enum { BY_MEANS, BY_LOGISTIC, BY_UNIT, BY_SIZE };

static void seeker_close(seeker *s)
{
    cn_free(s->pictures);
    cn_free(s->x);
    cn_free(s->train);
    cn_free(s->some);
    cn_free(s->positive);
    cn_free(s->mean);
    cn_free(s->sd);
    cn_free(s->w[0]);
    cn_free(s->w[1]);
    for (size_t i = 0; i < sizeof s->score / sizeof *s->score; i++)
        cn_free(s->score[i]);
}

/* ---- which pictures ---- */

static bool holds(const char *caption, const char *text)
{
    const size_t n = strlen(text);
    for (; *caption; caption++)
        if (strncasecmp(caption, text, n) == 0)
            return true;
    return false;
}

/* wanted (labels): those that the options name. */
static cn_status find_labels(const seeker *s, const corpus_labels *labels, bool *wanted, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < s->o->n_labels; i++) {
        const int64_t label = corpus_labels_find(labels, s->o->labels[i]);
        CN_CHECK(label >= 0, CN_ENOTFOUND, "%s: the study has no label \"%.80s\"; it has %" PRId64 ", such as %.40s, %.40s", s->study->path,
                 s->o->labels[i], labels->n, labels->n > 0 ? labels->name[0] : "none", labels->n > 1 ? labels->name[labels->n / 2] : "none");
        wanted[label] = true;
    }
done:
    return st;
}

static int by_key(const void *a, const void *b)
{
    const picture *x = a, *y = b;
    if (x->positive != y->positive)
        return x->positive ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x->image > y->image) - (x->image < y->image);
}

/* Sorted: those of the concept, then the others, both in random order, copies side by side; dealt to folds. */
static cn_status choose_pictures(seeker *s, cn_direction *d, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    corpus_labels labels = {0};
    bool *wanted = NULL, more;
    int64_t n = 0;
    const int64_t all = s->study->info.images, most = s->o->pictures > 0 ? s->o->pictures : PICTURES;
    CN_CHECK(all > 0 && all <= CN_MAX_STUDY_IMAGES, CN_ENOTFOUND, "%s: the study has no pictures", s->study->path);
    CN_TRY(corpus_labels_read(&labels, s->study, err));
    wanted = cn_calloc((size_t)labels.n + 1, sizeof *wanted);
    s->pictures = cn_calloc((size_t)all, sizeof *s->pictures);
    CN_CHECK(wanted && s->pictures, CN_ENOMEM, "out of memory for %" PRId64 " pictures", all);
    CN_TRY(find_labels(s, &labels, wanted, err));
    CN_TRY(reader_query(s->study, &q, err, "SELECT i.id, i.same_as, l.name, i.caption FROM images i LEFT JOIN labels l ON l.id = i.label ORDER BY i.id", ""));
    for (;; n++) {
        CN_TRY(reader_step(s->study, q, &more, err));
        if (!more)
            break;
        const int64_t first = sqlite3_column_type(q, 1) == SQLITE_NULL ? n : sqlite3_column_int64(q, 1);
        const char *label = (const char *)sqlite3_column_text(q, 2), *caption = (const char *)sqlite3_column_text(q, 3);
        CN_CHECK(n < all && sqlite3_column_int64(q, 0) == n && first >= 0 && first <= n, CN_EFORMAT,
                 "%s: the study is damaged: its images are not numbered 0, 1, 2...", s->study->path);
        picture *p = &s->pictures[n];
        rng r = rng_stream(s->o->seed, (uint64_t)first, 2);
        *p = (picture){.image = n, .first = first, .key = rng_bits(&r)};
        const int64_t number = label ? corpus_labels_find(&labels, label) : -1;
        p->positive = number >= 0 && wanted[number];
        for (size_t i = 0; i < s->o->n_captions && caption && !p->positive; i++)
            p->positive = holds(caption, s->o->captions[i]);
        d->positives += p->positive;
    }
    CN_CHECK(n == all, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " images, not %" PRId64, s->study->path, n, all);
    d->negatives = n - d->positives < most ? n - d->positives : most;
    const int least = s->folds < 4 ? 4 : s->folds;
    CN_CHECK(d->positives >= least && d->negatives >= least, CN_EINVAL,
             "%s: %" PRId64 " pictures of the concept and %" PRId64 " others: %d folds need %d of each at least", s->study->path, d->positives,
             d->negatives, s->folds, least);
    qsort(s->pictures, (size_t)n, sizeof *s->pictures, by_key);
    s->n = d->positives + d->negatives;
    int64_t group = -1;
    for (int64_t i = 0; i < s->n; i++) {
        const bool same = i > 0 && s->pictures[i].first == s->pictures[i - 1].first && s->pictures[i].positive == s->pictures[i - 1].positive;
        group = i == 0 || s->pictures[i].positive != s->pictures[i - 1].positive ? 0 : group + !same;
        s->pictures[i].fold = (int)(group % s->folds);
    }
done:
    sqlite3_finalize(q);
    corpus_labels_free(&labels);
    cn_free(wanted);
    return st;
}

static cn_status read_rows(seeker *s, cn_error *err)
{
    cn_status st = CN_OK;
    rowfile f = {0};
    size_t size;
    CN_TRY(rowfile_open_site(&f, s->study, s->o->site, cn_reduce_name(s->study->info.reduce), s->study->info.images, s->units, err));
    CN_CHECK(cn_mul_size((size_t)s->n, (size_t)s->units, &size), CN_ELIMIT, "%s: too many pictures and units", s->study->path);
    s->x = cn_calloc(size, sizeof *s->x);
    s->train = cn_calloc(size, sizeof *s->train);
    s->some = cn_calloc(size, sizeof *s->some);
    s->positive = cn_calloc((size_t)s->n, sizeof *s->positive);
    s->mean = cn_calloc((size_t)s->units, sizeof *s->mean);
    s->sd = cn_calloc((size_t)s->units, sizeof *s->sd);
    s->w[0] = cn_calloc((size_t)s->units, sizeof(float));
    s->w[1] = cn_calloc((size_t)s->units, sizeof(float));
    CN_CHECK(s->x && s->train && s->some && s->positive && s->mean && s->sd && s->w[0] && s->w[1], CN_ENOMEM,
             "out of memory for %" PRId64 " pictures and %" PRId64 " units", s->n, s->units);
    for (size_t i = 0; i < sizeof s->score / sizeof *s->score; i++) {
        s->score[i] = cn_calloc((size_t)s->n, sizeof(double));
        CN_CHECK(s->score[i], CN_ENOMEM, "out of memory for scores");
    }
    for (int64_t i = 0; i < s->n; i++)
        CN_TRY(rowfile_read(&f, s->pictures[i].image, s->x + i * s->units, err));
done:
    rowfile_close(&f);
    return st;
}

/* ---- fitting ---- */

/* Rows that are not of the fold (-1: all), standardised; their number. */
static int64_t standardise(seeker *s, int fold)
{
    int64_t rows = 0;
    memset(s->mean, 0, (size_t)s->units * sizeof *s->mean);
    memset(s->sd, 0, (size_t)s->units * sizeof *s->sd);
    for (int64_t i = 0; i < s->n; i++) {
        if (s->pictures[i].fold == fold)
            continue;
        rows++;
        for (int64_t u = 0; u < s->units; u++) {
            const double gap = s->x[i * s->units + u] - s->mean[u];
            s->mean[u] += gap / (double)rows;
            s->sd[u] += gap * (s->x[i * s->units + u] - s->mean[u]);
        }
    }
    for (int64_t u = 0; u < s->units; u++)
        s->sd[u] = s->sd[u] > 0 ? sqrt(s->sd[u] / (double)rows) : 0;
    rows = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->pictures[i].fold == fold)
            continue;
        for (int64_t u = 0; u < s->units; u++)
            s->train[rows * s->units + u] = s->sd[u] > 0 ? (float)((s->x[i * s->units + u] - s->mean[u]) / s->sd[u]) : 0;
        s->positive[rows++] = s->pictures[i].positive;
    }
    return rows;
}

/* How many of the sorted values are below v (or, with ties, not above it). */
static int64_t count_below(const float *sorted, int64_t n, float v, bool ties)
{
    int64_t low = 0;
    while (n > 0) {
        const int64_t half = n / 2;
        if (sorted[low + half] < v || (ties && sorted[low + half] == v))
            low += half + 1, n -= half + 1;
        else
            n = half;
    }
    return low;
}

/* The area under a unit's ROC curve over the rows in s->train; the concept's are few, so that only they are sorted. */
static double unit_area(const seeker *s, int64_t rows, int64_t unit, float *sorted)
{
    int64_t n = 0;
    double pairs = 0;
    for (int64_t i = 0; i < rows; i++)
        if (s->positive[i])
            sorted[n++] = s->train[i * s->units + unit];
    qsort(sorted, (size_t)n, sizeof *sorted, order_floats);
    for (int64_t i = 0; i < rows; i++)
        if (!s->positive[i]) {
            const float v = s->train[i * s->units + unit];
            pairs += (double)n - 0.5 * (double)(count_below(sorted, n, v, false) + count_below(sorted, n, v, true));
        }
    return pairs / ((double)n * (double)(rows - n));
}

/* Both weights from the rows in s->train; *unit: the one with the largest area. */
static cn_status fit(seeker *s, int64_t rows, int64_t *unit, cn_error *err)
{
    cn_status st = CN_OK;
    double best = -INFINITY;
    double *sum[2] = {cn_calloc((size_t)s->units, sizeof(double)), cn_calloc((size_t)s->units, sizeof(double))};
    int64_t count[2] = {0, 0};
    float *sorted = cn_calloc((size_t)rows + 1, sizeof *sorted);
    CN_CHECK(sum[0] && sum[1] && sorted, CN_ENOMEM, "out of memory for means");
    for (int64_t i = 0; i < rows; i++) {
        count[s->positive[i]]++;
        for (int64_t u = 0; u < s->units; u++)
            sum[s->positive[i]][u] += s->train[i * s->units + u];
    }
    for (int64_t u = 0; u < s->units; u++) {
        const double gap = sum[1][u] / (double)count[1] - sum[0][u] / (double)count[0];
        const double area = unit_area(s, rows, u, sorted);
        s->w[BY_MEANS][u] = (float)gap;
        if (area > best)
            best = area, *unit = u;
    }
    memset(s->w[BY_LOGISTIC], 0, (size_t)s->units * sizeof(float));
    const logistic_rows all = {s->train, s->positive, rows, s->units};
    const logistic_options options = {.l2 = s->l2};
    logistic_result result;
    CN_TRY(logistic_fit(&all, &options, s->w[BY_LOGISTIC], &result, err));
done:
    cn_free(sum[0]);
    cn_free(sum[1]);
    cn_free(sorted);
    return st;
}

/* Scores of the fold's pictures by standardised weights of `count` units (unit NULL: all), in deviations of the training pictures that are not of the
 * concept. */
static void score_fold(seeker *s, int fold, int64_t rows, const float *w, const int64_t *unit, int64_t count, double *score)
{
    double mean = 0, square = 0;
    int64_t others = 0;
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t k = 0; k < count && !s->positive[i]; k++)
            sum += w[k] * s->train[i * s->units + (unit ? unit[k] : k)];
        if (s->positive[i])
            continue;
        others++;
        const double gap = sum - mean;
        mean += gap / (double)others;
        square += gap * (sum - mean);
    }
    const double sd = square > 0 ? sqrt(square / (double)others) : 1;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->pictures[i].fold != fold)
            continue;
        double sum = 0;
        for (int64_t k = 0; k < count; k++) {
            const int64_t u = unit ? unit[k] : k;
            sum += s->sd[u] > 0 ? w[k] * (s->x[i * s->units + u] - s->mean[u]) / s->sd[u] : 0;
        }
        score[i] = (sum - mean) / sd;
    }
}

typedef struct ranked {
    double size;
    int64_t unit;
} ranked;

static int larger_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size ? 1 : -1) : (x->unit > y->unit) - (x->unit < y->unit);
}

static void rank(const float *w, int64_t units, ranked *order)
{
    for (int64_t u = 0; u < units; u++)
        order[u] = (ranked){fabs((double)w[u]), u};
    qsort(order, (size_t)units, sizeof *order, larger_first);
}

/* The regression again with its strongest units alone. */
static cn_status fit_sizes(seeker *s, const cn_direction *d, int fold, int64_t rows, cn_error *err)
{
    cn_status st = CN_OK;
    ranked *order = cn_calloc((size_t)s->units, sizeof *order);
    float w[LARGEST];
    int64_t unit[LARGEST];
    CN_CHECK(order, CN_ENOMEM, "out of memory for weights");
    rank(s->w[BY_LOGISTIC], s->units, order);
    for (int k = 0; k < d->n_sizes; k++) {
        const int size = d->size[k];
        for (int j = 0; j < size; j++) {
            unit[j] = order[j].unit;
            w[j] = 0;
        }
        for (int64_t i = 0; i < rows; i++)
            for (int j = 0; j < size; j++)
                s->some[i * size + j] = s->train[i * s->units + unit[j]];
        const logistic_rows some = {s->some, s->positive, rows, size};
        const logistic_options options = {.l2 = s->l2};
        logistic_result result;
        CN_TRY(logistic_fit(&some, &options, w, &result, err));
        score_fold(s, fold, rows, w, unit, size, s->score[BY_SIZE + k]);
    }
done:
    cn_free(order);
    return st;
}

/* ---- what comes of it ---- */

static cn_status describe_way(const seeker *s, cn_direction_way *way, const float *w, int64_t rows, cn_error *err)
{
    cn_status st = CN_OK;
    ranked *order = cn_calloc((size_t)s->units, sizeof *order);
    double second = 0, fourth = 0, absolute = 0, mean = 0, square = 0;
    way->vector = cn_calloc((size_t)s->units, sizeof *way->vector);
    CN_CHECK(order && way->vector, CN_ENOMEM, "out of memory for a direction");
    for (int64_t u = 0; u < s->units; u++) {
        const double v = (double)w[u] * w[u];
        second += v;
        fourth += v * v;
        absolute += fabs((double)w[u]);
    }
    way->participation = fourth > 0 ? second * second / fourth : 0;
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t u = 0; u < s->units; u++)
            sum += w[u] * s->train[i * s->units + u];
        const double gap = sum - mean;
        mean += gap / (double)(i + 1);
        square += gap * (sum - mean);
    }
    const double sd = square > 0 ? sqrt(square / (double)rows) : 1;
    for (int64_t u = 0; u < s->units; u++)
        way->vector[u] = s->sd[u] > 0 ? (float)(w[u] / s->sd[u] / sd) : 0;
    rank(w, s->units, order);
    for (; way->strongest < CN_DIRECTION_STRONGEST && way->strongest < s->units && order[way->strongest].size > 0; way->strongest++) {
        way->unit[way->strongest] = order[way->strongest].unit;
        way->weight[way->strongest] = w[order[way->strongest].unit] / absolute;
    }
done:
    cn_free(order);
    return st;
}

static cn_status add_examples(const seeker *s, cn_direction *d, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    const int64_t wanted = s->o->examples ? s->o->examples : EXAMPLES;
    ranked *order = cn_calloc((size_t)s->n, sizeof *order);
    CN_CHECK(order, CN_ENOMEM, "out of memory for examples");
    if (wanted < 0)
        goto done;
    d->example = cn_calloc((size_t)(wanted < s->n ? wanted : s->n) + 1, sizeof *d->example);
    CN_CHECK(d->example, CN_ENOMEM, "out of memory for examples");
    for (int64_t i = 0; i < s->n; i++)
        order[i] = (ranked){s->score[BY_LOGISTIC][i], i};
    qsort(order, (size_t)s->n, sizeof *order, larger_first);
    CN_TRY(reader_query(s->study, &q, err,
                        "SELECT i.path, coalesce(l.name, ''), coalesce(m.name, '') FROM images i LEFT JOIN labels l ON l.id = i.label "
                        "LEFT JOIN media m ON m.id = i.medium WHERE i.id = ?1",
                        ""));
    for (int64_t i = 0; i < wanted && i < s->n; i++) {
        cn_direction_example *e = &d->example[d->n_examples];
        e->image = s->pictures[order[i].unit].image;
        sqlite3_reset(q);
        sqlite3_bind_int64(q, 1, e->image);
        CN_TRY(reader_step(s->study, q, &more, err));
        CN_CHECK(more, CN_EFORMAT, "%s: the study is damaged: image %" PRId64 " is missing", s->study->path, e->image);
        const char *text[3];
        d->n_examples++;
        for (int k = 0; k < 3; k++) {
            const char *found = (const char *)sqlite3_column_text(q, k);
            text[k] = cn_strdup(found ? found : "");
        }
        e->path = text[0], e->label = text[1], e->medium = text[2];
        CN_CHECK(text[0] && text[1] && text[2], CN_ENOMEM, "out of memory for examples");
        e->score = order[i].size;
        e->positive = s->pictures[order[i].unit].positive;
    }
done:
    sqlite3_finalize(q);
    cn_free(order);
    return st;
}

static cn_status measure(seeker *s, cn_direction *d, cn_error *err)
{
    cn_status st = CN_OK;
    const int replicates = s->o->replicates > 0 ? s->o->replicates : REPLICATES;
    cn_auc auc;
    for (int64_t i = 0; i < s->n; i++)
        s->positive[i] = s->pictures[i].positive;
    CN_TRY(cn_auc_measure(s->score[BY_MEANS], s->positive, s->n, replicates, s->o->seed, &d->means.auc, err));
    CN_TRY(cn_auc_measure(s->score[BY_LOGISTIC], s->positive, s->n, replicates, s->o->seed, &d->logistic.auc, err));
    CN_TRY(cn_auc_measure(s->score[BY_UNIT], s->positive, s->n, replicates, s->o->seed, &d->unit_auc, err));
    const double good = d->logistic.auc.value - CN_DIRECTION_NEAR;
    for (int k = 0; k < d->n_sizes; k++) {
        CN_TRY(cn_auc_measure(s->score[BY_SIZE + k], s->positive, s->n, 0, 0, &auc, err));
        d->size_auc[k] = auc.value;
        if (!d->enough && auc.value >= good)
            d->enough = d->size[k];
    }
    CN_TRY(cn_auc_difference(s->score[BY_LOGISTIC], s->score[BY_UNIT], s->positive, s->n, replicates, s->o->seed, &d->lead, err));
    d->kind = !(d->logistic.auc.low > 0.5)                                ? CN_DIRECTION_NONE
              : d->lead.high <= CN_DIRECTION_NEAR                         ? CN_DIRECTION_UNIT
              : !(d->lead.low > CN_DIRECTION_NEAR) || d->enough == 1      ? CN_DIRECTION_UNDECIDED
              : d->enough && d->enough <= FEW                             ? CN_DIRECTION_FEW
                                                                          : CN_DIRECTION_DIFFUSE;
done:
    return st;
}

const char *cn_direction_kind_text(cn_direction_kind kind)
{
    static const char *const texts[] = {"none", "a unit", "a few units", "diffuse", "not decided"};
    return texts[kind];
}

static cn_status find(seeker *s, cn_direction *d, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t best[20] = {0};
    for (int size = 1; size <= LARGEST && size < s->units; size *= 2)
        d->size[d->n_sizes++] = size;
    for (int fold = 0; fold < s->folds; fold++) {
        const float one = 1;
        const int64_t rows = standardise(s, fold);
        CN_TRY(fit(s, rows, &best[fold], err));
        score_fold(s, fold, rows, s->w[BY_MEANS], NULL, s->units, s->score[BY_MEANS]);
        score_fold(s, fold, rows, s->w[BY_LOGISTIC], NULL, s->units, s->score[BY_LOGISTIC]);
        score_fold(s, fold, rows, &one, &best[fold], 1, s->score[BY_UNIT]);
        CN_TRY(fit_sizes(s, d, fold, rows, err));
    }
    const int64_t rows = standardise(s, -1);
    CN_TRY(fit(s, rows, &d->unit, err));
    for (int fold = 0; fold < s->folds; fold++)
        d->unit_folds += best[fold] == d->unit;
    CN_TRY(describe_way(s, &d->means, s->w[BY_MEANS], rows, err));
    CN_TRY(describe_way(s, &d->logistic, s->w[BY_LOGISTIC], rows, err));
    d->difference = cn_calloc((size_t)s->units, sizeof *d->difference);
    CN_CHECK(d->difference, CN_ENOMEM, "out of memory for a direction");
    for (int64_t u = 0; u < s->units; u++)
        d->difference[u] = (float)(s->w[BY_MEANS][u] * s->sd[u]);
    CN_TRY(measure(s, d, err));
    CN_TRY(add_examples(s, d, err));
done:
    return st;
}

cn_status cn_direction_find(cn_direction **out, cn_study *study, const cn_direction_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    seeker s = {.study = study, .o = options, .folds = options->folds ? options->folds : FOLDS, .l2 = options->l2 > 0 ? options->l2 : 0.01};
    const int threads_before = nn_set_threads(options->threads > 0 ? options->threads : cn_usable_cores());
    cn_direction *d = cn_calloc(1, sizeof *d);
    *out = NULL;
    CN_CHECK(d, CN_ENOMEM, "out of memory for a direction");
    CN_CHECK(options->site < study->n_sites, CN_EINVAL, "%s: the study has %zu sites, not site %zu", study->path, study->n_sites, options->site);
    CN_CHECK(options->n_labels + options->n_captions > 0, CN_EINVAL, "a direction needs the labels or captions of its concept");
    CN_CHECK(options->n_labels <= CN_MAX_DIRECTION_CONCEPTS && options->n_captions <= CN_MAX_DIRECTION_CONCEPTS, CN_ELIMIT,
             "at most %d labels or captions", CN_MAX_DIRECTION_CONCEPTS);
    CN_CHECK(s.folds >= 2 && s.folds <= 20, CN_EINVAL, "2 to 20 folds, not %d", s.folds);
    s.units = study->sites[options->site].units;
    d->units = s.units;
    d->folds = s.folds;
    CN_TRY(choose_pictures(&s, d, err));
    CN_TRY(read_rows(&s, err));
    CN_TRY(find(&s, d, err));
    *out = d, d = NULL;
done:
    nn_set_threads(threads_before);
    seeker_close(&s);
    cn_direction_free(d);
    return st;
}

void cn_direction_free(cn_direction *d)
{
    if (!d)
        return;
    cn_free(d->means.vector);
    cn_free(d->logistic.vector);
    cn_free(d->difference);
    for (size_t i = 0; d->example && i < d->n_examples; i++) {
        cn_free((void *)(uintptr_t)d->example[i].path);
        cn_free((void *)(uintptr_t)d->example[i].label);
        cn_free((void *)(uintptr_t)d->example[i].medium);
    }
    cn_free(d->example);
    cn_free(d);
}
