/* vis/evidence.c -- channels of pictures in the blocks below a unit, and how alike they are. */
#include "clipneuron/evidence.h"

#include "base/check.h"
#include "base/memory.h"
#include "clip/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 4, MOST_BLOCKS = 256 }; /* every block of every picture is read: large networks fill memory */

#define LEAST_SPAN 0.02 /* of mean correlations, below which natural pictures do not differ in a block */

/* Spatial means of every channel of every block, one row a picture, blocks after each other. */
typedef struct rows {
    float *at;
    int64_t n;
} rows;

struct cn_evidence {
    const cn_model *model;
    cn_runner *runner;
    const cn_site *block[MOST_BLOCKS];
    size_t n_blocks;
    int64_t start[MOST_BLOCKS + 1]; /* of each block in a row */
    float *mean, *deviation;        /* of the natural pictures, a row each */
    rows driving;                   /* standardised */
    double same[MOST_BLOCKS], other[MOST_BLOCKS]; /* mean correlations of natural pictures */
};

/* Ends of blocks are the sites "visual.layer2.3" and "visual.transformer.resblocks.7". */
static bool is_block(const cn_site *s)
{
    static const char stage[] = "visual.layer", stream[] = "visual.transformer.resblocks.";
    const char *rest = NULL;
    if (strncmp(s->name, stage, strlen(stage)) == 0 && s->name[strlen(stage)] && s->name[strlen(stage) + 1] == '.')
        rest = s->name + strlen(stage) + 2;
    else if (strncmp(s->name, stream, strlen(stream)) == 0)
        rest = s->name + strlen(stream);
    return s->tower == CN_TOWER_IMAGE && rest && *rest && strspn(rest, "0123456789") == strlen(rest);
}

/* "visual.layer4.1" holds "visual.layer4.1.add" and itself, but not "visual.layer4.10". */
static bool holds(const cn_site *block, const cn_site *site)
{
    const size_t n = strlen(block->name);
    return strncmp(block->name, site->name, n) == 0 && (site->name[n] == '.' || !site->name[n]);
}

cn_status cn_evidence_open(cn_evidence **out, const cn_model *model, const cn_site *site, int threads, cn_error *err)
{
    cn_status st = CN_OK;
    cn_evidence *e = cn_calloc(1, sizeof *e);
    *out = NULL;
    CN_CHECK(e, CN_ENOMEM, "out of memory for the blocks of a network");
    CN_CHECK(site->tower == CN_TOWER_IMAGE, CN_EINVAL, "%s is a site of the text tower", site->name);
    e->model = model;
    for (size_t i = 0; i < site->index && e->n_blocks < MOST_BLOCKS; i++) {
        const cn_site *s = cn_model_site_at(model, i);
        if (!is_block(s) || holds(s, site))
            continue;
        e->block[e->n_blocks] = s;
        e->start[e->n_blocks + 1] = e->start[e->n_blocks] + s->units;
        e->n_blocks++;
    }
    /* A whole stage stands for its last block, whose end is the site itself. */
    const size_t name = strlen(site->name);
    if (e->n_blocks > 0 && strncmp(e->block[e->n_blocks - 1]->name, site->name, name) == 0 && e->block[e->n_blocks - 1]->name[name] == '.')
        e->n_blocks--;
    CN_CHECK(e->n_blocks > 0, CN_EUNSUPPORTED, "no block ends before %s, so there is no path to compare", site->name);
    const int64_t width = e->start[e->n_blocks];
    e->mean = cn_calloc((size_t)width, sizeof *e->mean);
    e->deviation = cn_calloc((size_t)width, sizeof *e->deviation);
    CN_CHECK(e->mean && e->deviation, CN_ENOMEM, "out of memory for the blocks of a network");
    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .sites = e->block, .n_sites = e->n_blocks, .batch = BATCH, .threads = threads};
    CN_TRY(cn_runner_create(&e->runner, model, &o, err));
    *out = e, e = NULL;
done:
    cn_evidence_close(e);
    return st;
}

void cn_evidence_close(cn_evidence *e)
{
    if (!e)
        return;
    cn_runner_free(e->runner);
    cn_free(e->mean);
    cn_free(e->deviation);
    cn_free(e->driving.at);
    cn_free(e);
}

size_t cn_evidence_blocks(const cn_evidence *e)
{
    return e->n_blocks;
}

const cn_site *cn_evidence_block(const cn_evidence *e, size_t i)
{
    return i < e->n_blocks ? e->block[i] : NULL;
}

/* Means over space (or tokens) of one picture at one block. */
static void mean_channels(const cn_runner *r, const cn_site *s, size_t index, int64_t picture, float *out)
{
    const int64_t count = s->units * s->positions;
    const float *a = cn_runner_site(r, index) + picture * count;
    for (int64_t u = 0; u < s->units; u++) {
        double sum = 0;
        for (int64_t p = 0; p < s->positions; p++)
            sum += a[clip_value_index(s, u, p, s->positions)];
        out[u] = (float)(sum / (double)s->positions);
    }
}

static cn_status run(cn_evidence *e, const float *pixels, int64_t n, rows *out, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = e->start[e->n_blocks], side = cn_model_get_info(e->model)->resolution, size = 3 * side * side;
    out->n = n;
    out->at = cn_calloc((size_t)(n * width) + 1, sizeof *out->at);
    CN_CHECK(out->at, CN_ENOMEM, "out of memory for the channels of %lld pictures", (long long)n);
    for (int64_t first = 0; first < n; first += BATCH) {
        const int64_t some = n - first < BATCH ? n - first : BATCH;
        CN_TRY(cn_runner_images(e->runner, pixels + first * size, some, err));
        for (int64_t i = 0; i < some; i++)
            for (size_t b = 0; b < e->n_blocks; b++)
                mean_channels(e->runner, e->block[b], b, i, out->at + (first + i) * width + e->start[b]);
    }
done:
    return st;
}

static void standardise(const cn_evidence *e, rows *r)
{
    const int64_t width = e->start[e->n_blocks];
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t k = 0; k < width; k++) {
            float *x = &r->at[i * width + k];
            *x = e->deviation[k] > 0 ? (*x - e->mean[k]) / e->deviation[k] : 0;
        }
}

/* Of the channels from..to of two rows; NaN where one does not vary. */
static double correlation(const float *a, const float *b, int64_t from, int64_t to)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    const double n = (double)(to - from);
    for (int64_t k = from; k < to; k++) {
        sa += a[k], sb += b[k];
        saa += (double)a[k] * a[k], sbb += (double)b[k] * b[k], sab += (double)a[k] * b[k];
    }
    const double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
    return va > 0 && vb > 0 ? (sab - sa * sb / n) / sqrt(va * vb) : NAN;
}

/* Mean correlation of row `a` with the driving pictures but `without`; NaN where none can be had. */
static double with_driving(const cn_evidence *e, const float *a, size_t block, int64_t without)
{
    const int64_t width = e->start[e->n_blocks];
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < e->driving.n; i++) {
        const double r = i == without ? NAN : correlation(a, e->driving.at + i * width, e->start[block], e->start[block + 1]);
        if (!isnan(r))
            sum += r, n++;
    }
    return n ? sum / (double)n : NAN;
}

static double mean_with_driving(const cn_evidence *e, const rows *r, size_t block, bool themselves)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const double c = with_driving(e, r->at + i * e->start[e->n_blocks], block, themselves ? i : -1);
        if (!isnan(c))
            sum += c, n++;
    }
    return n ? sum / (double)n : NAN;
}

/* Means and deviations of channels over the other natural pictures, which are of all kinds. */
static void measure_natural(cn_evidence *e, const rows *others)
{
    const int64_t width = e->start[e->n_blocks];
    for (int64_t k = 0; k < width; k++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < others->n; i++)
            sum += others->at[i * width + k];
        const double mean = sum / (double)others->n;
        for (int64_t i = 0; i < others->n; i++) {
            const double d = others->at[i * width + k] - mean;
            square += d * d;
        }
        e->mean[k] = (float)mean;
        e->deviation[k] = (float)sqrt(square / (double)others->n);
    }
}

cn_status cn_evidence_natural(cn_evidence *e, const float *drivers, int64_t n, const float *others, int64_t m, cn_error *err)
{
    cn_status st = CN_OK;
    rows rest = {0}, driving = {0};
    CN_CHECK(n >= 2 && m >= 2, CN_EINVAL, "%lld pictures that drive the unit and %lld others are too few to compare with: two of each are needed",
             (long long)n, (long long)m);
    cn_free(e->driving.at);
    e->driving = (rows){0};
    CN_TRY(run(e, others, m, &rest, err));
    CN_TRY(run(e, drivers, n, &driving, err));
    measure_natural(e, &rest);
    standardise(e, &rest);
    standardise(e, &driving);
    e->driving = driving, driving = (rows){0};
    for (size_t b = 0; b < e->n_blocks; b++) {
        e->same[b] = mean_with_driving(e, &e->driving, b, true);
        e->other[b] = mean_with_driving(e, &rest, b, false);
    }
done:
    cn_free(rest.at);
    cn_free(driving.at);
    return st;
}

cn_status cn_evidence_measure(cn_evidence *e, const float *pixels, int64_t n, float *similarity, float *overall, cn_error *err)
{
    cn_status st = CN_OK;
    rows r = {0};
    CN_CHECK(e->driving.n > 0, CN_EINVAL, "no natural pictures to compare with");
    CN_TRY(run(e, pixels, n, &r, err));
    standardise(e, &r);
    for (int64_t i = 0; i < n; i++) {
        double above = 0, below = 0;
        for (size_t b = 0; b < e->n_blocks; b++) {
            const double own = with_driving(e, r.at + i * e->start[e->n_blocks], b, -1), span = e->same[b] - e->other[b];
            const bool differ = span > LEAST_SPAN && !isnan(own);
            similarity[i * (int64_t)e->n_blocks + (int64_t)b] = differ ? (float)((own - e->other[b]) / span) : NAN;
            above += differ ? own - e->other[b] : 0;
            below += differ ? span : 0;
        }
        if (overall)
            overall[i] = below > 0 ? (float)(above / below) : NAN;
    }
done:
    cn_free(r.at);
    return st;
}
