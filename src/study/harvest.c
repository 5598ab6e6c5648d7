/* study/harvest.c -- from what parts gathered to the tables of the study: examples from every bucket,
 * nearest words, labels, ranking, matrices. */
#include "study/harvest.h"

#include "base/memory.h"
#include "base/order.h"
#include "clipneuron/array.h"
#include "clipneuron/clipneuron.h"
#include "study/carried.h"
#include "study/coarse.h"
#include "study/finebins.h"
#include "study/float16.h"
#include "study/gather.h"
#include "study/matrix.h"
#include "study/product.h"
#include "study/ranking.h"
#include "study/reader.h"
#include "study/reduction.h"
#include "study/studyfolder.h"
#include "study/unitfile.h"
#include "study/wordlist.h"
#include "study/wordsample.h"
#include "study/wordscore.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_KEPT 24                  /* of a unit, by z */
#define MAPPED_BYTES ((int64_t)1 << 25) /* of matrices that are copied: what they take in memory at a time */

typedef struct words {
    wordlist list;
    char **prompts;
    float *texts; /* (count, embedding) */
    bool *known;
} words;

/* The pictures that words are scored on: in the order of the study. */
typedef struct sample {
    matrix *rows; /* [part] */
    int32_t *image;
    const float **row; /* embedding, then the sites' activations */
    int64_t n;
} sample;

typedef struct work {
    source *source;
    const cn_scan_options *options;
    reporter *report;
    gathered all;
    folder folder;
    carried carried; /* from a study that is replaced */
    store *store;
    site_geometry sites[CN_MAX_STUDY_SITES];
    unitstats stats; /* of the site in work */
    bool *used;      /* (images): is it an example? */
    bool *written;   /* (media) */
    words words;
    bool has_words;
    int64_t unknown_words;
    sample sample;
} work;

/* ---- sites ---- */

cn_status site_geometry_of(site_geometry *g, const cn_site *site, cn_error *err)
{
    memset(g, 0, sizeof *g);
    g->site = site;
    g->short_name = strncmp(site->name, "visual.", 7) == 0 ? site->name + 7 : site->name;
    if (site->positions > INT16_MAX)
        return cn_fail(err, CN_ELIMIT, "%s: %lld positions, the limit is %d", site->name, (long long)site->positions, INT16_MAX);
    if (site->layout == CN_SITE_MAP) {
        g->height = site->height;
        g->width = site->width;
    } else if (site->layout == CN_SITE_TOKENS) {
        for (g->offset = 1; g->offset >= 0; g->offset--) {
            const int64_t tokens = site->positions - g->offset, side = (int64_t)floor(sqrt((double)tokens) + 0.5);
            if (tokens > 0 && side * side == tokens) {
                g->height = g->width = side;
                return CN_OK;
            }
        }
        g->offset = 0;
    }
    return CN_OK;
}

unit_shape site_shape(const site_geometry *g, const cn_scan_options *o, int64_t labels, int64_t media)
{
    return (unit_shape){.units = g->site->units,
                        .map = g->height * g->width,
                        .top = o->top,
                        .bottom = o->bottom,
                        .buckets = o->buckets,
                        .per_bucket = o->per_bucket,
                        .groups = {[UNIT_LABELS] = labels, [UNIT_MEDIA] = media, [UNIT_PAIRS] = gather_pairs(labels, media, g->site->units)}};
}

/* How a part's pairs of label and medium are called here: owned by the caller (cn_free). */
static int64_t *pair_numbers(const gathered *g, size_t p)
{
    const int64_t labels = g->part_labels[p], media = g->part_media[p];
    int64_t *numbers = cn_calloc((size_t)(labels * media) + 1, sizeof *numbers);
    for (int64_t i = 0; numbers && i < labels * media; i++)
        numbers[i] = g->label[p][i / media] * (int64_t)g->n_media + g->medium[p][i % media];
    return numbers;
}

static cn_status add_part(work *w, size_t site, size_t p, cn_error *err)
{
    cn_status st = CN_OK;
    const gathered *g = &w->all;
    const part *from = g->parts[p];
    const unit_shape shape = site_shape(&w->sites[site], w->options, g->part_labels[p], g->part_media[p]);
    cn_arrays *arrays = NULL;
    unitstats stats = {0};
    int64_t *pairs = NULL;
    char *path = part_arrays(from, false);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_TRY(cn_arrays_open(&arrays, path, err));
    CN_TRY(unitfile_load(&stats, (int)site, &shape, from->state.images, arrays, path, err));
    CN_CHECK(stats.count == from->state.images, CN_EFORMAT, "%s: damaged: of %lld pictures, not %lld", path, (long long)stats.count,
             (long long)from->state.images);
    unit_numbers numbers = {g->number[p], {g->label[p], g->medium[p], NULL}};
    if (shape.groups[UNIT_PAIRS] && w->stats.partition[UNIT_PAIRS].groups) {
        pairs = pair_numbers(g, p);
        CN_CHECK(pairs, CN_ENOMEM, "out of memory for labels and media");
        numbers.group[UNIT_PAIRS] = pairs;
    }
    CN_TRY(unitstats_merge(&w->stats, &stats, &numbers, err));
done:
    unitstats_free(&stats);
    cn_arrays_close(arrays);
    cn_free(pairs);
    cn_free(path);
    return st;
}

/* ---- words ---- */

static void words_free(words *w)
{
    for (size_t i = 0; w->prompts && i < w->list.count; i++)
        cn_free(w->prompts[i]);
    cn_free(w->prompts);
    cn_free(w->texts);
    cn_free(w->known);
    wordlist_free(&w->list);
}

static bool words_go_on(void *user, size_t done, size_t total)
{
    return reporter_tell(user, CN_SCAN_WORDS, (int64_t)done, (int64_t)total, done == total);
}

/* The words' embeddings, rows by words.id, zero for unknown ones: for asking the study later. */
static cn_status write_texts(const words *w, const work *s, cn_error *err)
{
    int64_t shape[2] = {(int64_t)w->list.count, s->source->embedding};
    char *path = folder_path(&s->folder, "words.npy");
    cn_status st = path ? cn_npy_write(path, CN_DTYPE_F32, 2, shape, w->texts, err)
                        : cn_fail(err, CN_ENOMEM, "out of memory for a path");
    cn_free(path);
    return st;
}

static cn_status words_prepare(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_scan_options *o = w->options;
    words *k = &w->words;
    if (o->words)
        CN_TRY(wordlist_add_file(&k->list, o->words, err));
    else
        CN_TRY(wordlist_add_common(&k->list, err));
    for (size_t i = 0; !o->no_label_words && i < w->all.n_labels; i++)
        CN_TRY(wordlist_add_label(&k->list, w->all.labels[i], err));
    wordlist_finish(&k->list);
    const size_t n = k->list.count;
    k->prompts = cn_calloc(n, sizeof *k->prompts);
    k->known = cn_calloc(n, sizeof *k->known);
    k->texts = cn_calloc(n, (size_t)w->source->embedding * sizeof *k->texts);
    CN_CHECK(k->prompts && k->known && k->texts, CN_ENOMEM, "out of memory for %zu words", n);
    for (size_t i = 0; i < n; i++) {
        k->prompts[i] = wordlist_prompt(o->word_template, k->list.words[i]);
        CN_CHECK(k->prompts[i], CN_ENOMEM, "out of memory for %zu words", n);
    }
    CN_TRY(w->source->texts(w->source, (const char *const *)k->prompts, n, k->texts, k->known, words_go_on, w->report, err));
    for (size_t i = 0; i < n; i++) {
        CN_TRY(store_add(w->store, STORE_WORDS, err, "iti", (int64_t)i, k->list.words[i], (int64_t)k->known[i]));
        w->unknown_words += !k->known[i];
    }
    w->has_words = true;
    if (!o->no_matrices)
        CN_TRY(write_texts(k, w, err));
done:
    return st;
}

typedef struct candidate {
    uint64_t key;
    int32_t image;
    const float *row;
} candidate;

static int by_key(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->image < y->image ? -1 : x->image > y->image;
}

static int by_image(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->image < y->image ? -1 : x->image > y->image;
}

/* A part's sample: its rows stay mapped, its pictures go behind those that are there. */
static cn_status sample_of_part(work *w, size_t p, int64_t columns, candidate **all, int64_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    const part *from = w->all.parts[p];
    cn_arrays *arrays = NULL;
    wordsample held = {0};
    char *path = part_arrays(from, false);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_TRY(cn_arrays_open(&arrays, path, err));
    CN_TRY(wordsample_read(&held, from, columns, HARVEST_SAMPLE, arrays, err));
    candidate *grown = cn_reallocarray(*all, (size_t)(*n + held.count) + 1, sizeof *grown);
    CN_CHECK(grown, CN_ENOMEM, "out of memory for the sample of pictures that words are scored on");
    *all = grown;
    for (int64_t i = 0; i < held.count; i++)
        grown[(*n)++] = (candidate){held.heap[i].key, w->all.number[p][held.heap[i].image], matrix_at(&held.rows, held.heap[i].row)};
    w->sample.rows[p] = held.rows;
    memset(&held.rows, 0, sizeof held.rows);
done:
    wordsample_close(&held);
    cn_arrays_close(arrays);
    cn_free(path);
    return st;
}

static cn_status sample_prepare(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    sample *s = &w->sample;
    candidate *all = NULL;
    int64_t n = 0, columns = w->source->embedding;
    for (size_t i = 0; i < w->source->n_sites; i++)
        columns += w->source->sites[i]->units;
    s->rows = cn_calloc(w->all.n_parts, sizeof *s->rows);
    CN_CHECK(s->rows, CN_ENOMEM, "out of memory for %zu parts", w->all.n_parts);
    for (size_t p = 0; p < w->all.n_parts; p++) {
        CN_TRY(sample_of_part(w, p, columns, &all, &n, err));
        if (n > 8 * HARVEST_SAMPLE) { /* of a thousand parts, most are not needed */
            qsort(all, (size_t)n, sizeof *all, by_key);
            n = HARVEST_SAMPLE;
        }
    }
    if (n)
        qsort(all, (size_t)n, sizeof *all, by_key);
    n = n < HARVEST_SAMPLE ? n : HARVEST_SAMPLE;
    if (n)
        qsort(all, (size_t)n, sizeof *all, by_image);
    s->image = cn_calloc((size_t)n + 1, sizeof *s->image);
    s->row = cn_calloc((size_t)n + 1, sizeof *s->row);
    CN_CHECK(s->image && s->row, CN_ENOMEM, "out of memory for the sample of pictures that words are scored on");
    for (int64_t i = 0; i < n; i++) {
        s->image[i] = all[i].image;
        s->row[i] = all[i].row;
    }
    s->n = n;
done:
    cn_free(all);
    return st;
}

static void sample_free(work *w)
{
    for (size_t p = 0; w->sample.rows && p < w->all.n_parts; p++)
        matrix_close(&w->sample.rows[p]);
    cn_free(w->sample.rows);
    cn_free(w->sample.image);
    cn_free(w->sample.row);
}

static cn_status write_words(work *w, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t units = w->sites[site].site->units;
    int64_t offset = w->source->embedding;
    word_match *best = cn_calloc((size_t)units * WORDS_KEPT, sizeof *best);
    const float **values = cn_calloc((size_t)w->sample.n + 1, sizeof *values);
    CN_CHECK(best && values, CN_ENOMEM, "out of memory for the words of %lld units", (long long)units);
    for (size_t i = 0; i < site; i++)
        offset += w->sites[i].site->units;
    for (int64_t i = 0; i < w->sample.n; i++)
        values[i] = w->sample.row[i] + offset;
    CN_TRY(wordscore(values, units, w->sample.row, w->source->embedding, w->sample.n, w->words.texts, w->words.known,
                     (int64_t)w->words.list.count, best, err));
    for (int64_t u = 0; u < units; u++)
        for (int r = 0; r < WORDS_KEPT; r++) {
            const word_match *m = &best[u * WORDS_KEPT + r];
            if (m->word >= 0)
                CN_TRY(store_add(w->store, STORE_UNIT_WORDS, err, "iiiiddi", (int64_t)site, u, (int64_t)r,
                                 (int64_t)m->word, (double)m->score, (double)m->z, (int64_t)m->significant));
        }
done:
    cn_free(best);
    cn_free(values);
    return st;
}

/* ---- one unit ---- */

static cn_status write_histogram(work *w, size_t site, int64_t unit, uint8_t *scratch, cn_error *err)
{
    const uint32_t *bins = w->stats.bins + (size_t)unit * FINEBINS;
    size_t size = 0;
    for (uint32_t i = 0; i < FINEBINS; i++) {
        if (!bins[i])
            continue;
        for (int k = 0; k < 4; k++) { /* little-endian on every machine */
            scratch[size + (size_t)k] = (uint8_t)(i >> 8 * k);
            scratch[size + 4 + (size_t)k] = (uint8_t)(bins[i] >> 8 * k);
        }
        size += 8;
    }
    return store_add(w->store, STORE_HISTOGRAMS, err, "iib", (int64_t)site, unit, (const void *)scratch,
                     size);
}

static cn_status write_example(work *w, size_t site, int64_t unit, int64_t kind, int64_t rank, int64_t bucket,
                               const unit_example *e, const uint16_t *map, cn_error *err)
{
    const site_geometry *g = &w->sites[site];
    const int64_t y = e->position >= 0 && g->width ? e->position / g->width : -1, x = e->position >= 0 && g->width ? e->position % g->width : -1;
    const size_t bytes = map ? (size_t)(g->height * g->width) * sizeof *map : 0;
    w->used[e->image] = true;
    return store_add(w->store, STORE_EXAMPLES, err, "iiiiriddrrb", (int64_t)site, unit, kind, rank, bucket,
                     (int64_t)e->image, (double)e->value, (double)e->peak, y, x, (const void *)map, bytes);
}

static cn_status write_examples(work *w, size_t site, int64_t unit, const level_picture **chosen, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_scan_options *o = w->options;
    int n;
    const unit_example *e = unitstats_top(&w->stats, unit, &n);
    for (int r = 0; r < n; r++)
        CN_TRY(write_example(w, site, unit, CN_EXAMPLE_TOP, r, -1, &e[r], unitstats_top_map(&w->stats, unit, &e[r]), err));
    e = unitstats_bottom(&w->stats, unit, &n);
    for (int r = 0; r < n; r++)
        CN_TRY(write_example(w, site, unit, CN_EXAMPLE_BOTTOM, r, -1, &e[r], unitstats_bottom_map(&w->stats, unit, &e[r]), err));
    int64_t rank = 0;
    levels_choose(&w->stats.levels, unit, chosen);
    for (int i = 0; i < o->buckets * o->per_bucket; i++) {
        if (!chosen[i])
            continue;
        const unit_example x = {.image = chosen[i]->image, .value = chosen[i]->value, .peak = chosen[i]->peak, .position = chosen[i]->position};
        CN_TRY(write_example(w, site, unit, CN_EXAMPLE_BUCKET, rank++, i / o->per_bucket, &x, NULL, err));
    }
done:
    return st;
}

typedef struct ranked_label {
    int64_t label;
    double mean, z;
} ranked_label;

static int by_z(const void *a, const void *b)
{
    const ranked_label *x = a, *y = b;
    if (x->z != y->z)
        return x->z > y->z ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

static cn_status write_labels(work *w, size_t site, int64_t unit, const unit_summary *sum,
                              ranked_label *scratch, cn_error *err)
{
    cn_status st = CN_OK;
    const unitstats *stats = &w->stats;
    const unit_groups *labels = &stats->partition[UNIT_LABELS], *media = &stats->partition[UNIT_MEDIA];
    size_t n = 0;
    for (int64_t g = 0; g < labels->groups; g++) {
        if (!labels->images[g])
            continue;
        double mean = labels->sums[g * stats->units + unit] / (double)labels->images[g];
        scratch[n++] = (ranked_label){
            .label = g, .mean = mean, .z = group_z(mean, labels->images[g], sum->mean, sum->sd, sum->count)};
    }
    if (n)
        qsort(scratch, n, sizeof *scratch, by_z);
    for (size_t r = 0; r < n && r < LABELS_KEPT; r++)
        CN_TRY(store_add(w->store, STORE_UNIT_LABELS, err, "iiiidd", (int64_t)site, unit, (int64_t)r,
                         scratch[r].label, scratch[r].mean, scratch[r].z));
    for (int64_t g = 0; g < media->groups; g++) {
        if (!media->images[g])
            continue;
        double mean = media->sums[g * stats->units + unit] / (double)media->images[g];
        CN_TRY(store_add(w->store, STORE_UNIT_MEDIA, err, "iiidid", (int64_t)site, unit, g, mean,
                         (int64_t)media->positive[g * stats->units + unit],
                         group_z(mean, media->images[g], sum->mean, sum->sd, sum->count)));
    }
done:
    return st;
}

static cn_status write_label_media(work *w, size_t site, int64_t unit, int64_t label, const unit_summary *sum,
                                   cn_error *err)
{
    cn_status st = CN_OK;
    const unitstats *stats = &w->stats;
    const unit_groups *pairs = &stats->partition[UNIT_PAIRS];
    int64_t media = (int64_t)w->all.n_media;
    for (int64_t m = 0; pairs->groups && m < media; m++) {
        int64_t g = label * media + m, n = pairs->images[g];
        if (!n)
            continue;
        double mean = pairs->sums[g * stats->units + unit] / (double)n;
        CN_TRY(store_add(w->store, STORE_UNIT_LABEL_MEDIA, err, "iiiidid", (int64_t)site, unit, m, n, mean,
                         (int64_t)pairs->positive[g * stats->units + unit],
                         group_z(mean, n, sum->mean, sum->sd, sum->count)));
    }
done:
    return st;
}

static rank_facts rank(const work *w, int64_t unit, const unit_summary *sum)
{
    const unitstats *stats = &w->stats;
    int64_t labels[CN_STUDY_PURITY_TOP], media[CN_STUDY_PURITY_TOP];
    int n;
    const unit_example *e = unitstats_top(stats, unit, &n);
    if (n > CN_STUDY_PURITY_TOP)
        n = CN_STUDY_PURITY_TOP;
    for (int i = 0; i < n; i++) {
        labels[i] = w->all.image[e[i].image].label;
        media[i] = w->all.image[e[i].image].medium;
    }
    return rank_unit(labels, media, n, stats->partition[UNIT_LABELS].images, sum->count, w->written,
                     (int64_t)w->all.n_media, sum->rms > 0 ? sum->max / sum->rms : 0);
}

static void media_names(const work *w, const rank_facts *r, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t m = 0; m < w->all.n_media && m < 256; m++)
        if (r->media[m / 64] >> (m % 64) & 1 && at < room)
            at += (size_t)snprintf(text + at, room - at, "%s%s", at ? " " : "", w->all.media[m]);
}

static cn_status write_unit(work *w, size_t site, int64_t unit, const rank_facts *facts,
                            const level_picture **chosen, uint8_t *bins, ranked_label *labels, cn_error *err)
{
    cn_status st = CN_OK;
    const unitstats *stats = &w->stats;
    unit_summary sum = unitstats_summary(stats, unit);
    rank_facts r = *facts;
    double label_z = 0;
    char media[512] = "";
    if (!sum.dead) {
        media_names(w, &r, media, sizeof media);
        CN_TRY(write_histogram(w, site, unit, bins, err));
        CN_TRY(write_examples(w, site, unit, chosen, err));
        CN_TRY(write_labels(w, site, unit, &sum, labels, err));
    }
    if (r.label >= 0) {
        const unit_groups *g = &stats->partition[UNIT_LABELS];
        label_z = group_z(g->sums[r.label * stats->units + unit] / (double)g->images[r.label],
                          g->images[r.label], sum.mean, sum.sd, sum.count);
        CN_TRY(write_label_media(w, site, unit, r.label, &sum, err));
    }
    double none = sum.count ? 0 : NAN;
    CN_TRY(store_add(w->store, STORE_UNITS, err,
                     "iiidddddidiriddd"
                     "tiid",
                     (int64_t)site, unit, sum.count, sum.mean + none, sum.sd + none, sum.rms + none,
                     sum.min + none, sum.max + none, sum.positive, sum.kurtosis, (int64_t)sum.dead, r.label,
                     r.hits, r.purity, r.surprise, label_z, media, (int64_t)r.media_count, (int64_t)r.reads,
                     r.score));
done:
    return st;
}

/* ---- sites and matrices ---- */

static cn_status write_site_units(work *w, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t units = w->sites[site].site->units;
    const cn_scan_options *o = w->options;
    const level_picture **chosen = cn_calloc((size_t)o->buckets * (size_t)o->per_bucket, sizeof *chosen);
    uint8_t *bins = cn_calloc(FINEBINS, 8);
    ranked_label *labels = cn_calloc(w->all.n_labels, sizeof *labels);
    rank_facts *facts = cn_calloc((size_t)units, sizeof *facts);
    CN_CHECK(chosen && bins && labels && facts, CN_ENOMEM, "out of memory for the examples of %lld units", (long long)units);
    for (int64_t u = 0; u < units; u++) {
        unit_summary sum = unitstats_summary(&w->stats, u);
        facts[u] = (rank_facts){.label = -1};
        if (!sum.dead)
            facts[u] = rank(w, u, &sum);
    }
    rank_spread(facts, units);
    for (int64_t u = 0; u < units; u++) {
        CN_TRY(write_unit(w, site, u, &facts[u], chosen, bins, labels, err));
        CN_CHECK(reporter_tell(w->report, CN_SCAN_WRITING, u + 1, units, u + 1 == units), CN_ECANCELED, "the scan was cancelled");
    }
done:
    cn_free(chosen);
    cn_free(bins);
    cn_free(labels);
    cn_free(facts);
    return st;
}

/* (labels, units) means, rows by labels.id; a label without pictures is NaN. */
static cn_status write_label_means(const work *k, size_t site, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_site *w = k->sites[site].site;
    const unit_groups *g = &k->stats.partition[UNIT_LABELS];
    cn_npy_writer *writer = NULL;
    char *path = folder_path(&k->folder, name);
    float *row = cn_calloc((size_t)w->units, sizeof *row);
    int64_t shape[2] = {g->groups, w->units};
    CN_CHECK(path && row, CN_ENOMEM, "out of memory for the means by label");
    CN_TRY(cn_npy_writer_open(&writer, path, CN_DTYPE_F32, 2, shape, err));
    for (int64_t l = 0; l < g->groups; l++) {
        for (int64_t u = 0; u < w->units; u++)
            row[u] = g->images[l] ? (float)(g->sums[l * w->units + u] / (double)g->images[l]) : NAN;
        CN_TRY(cn_npy_writer_rows(writer, row, 1, err));
    }
    cn_npy_writer *finished = writer;
    writer = NULL;
    CN_TRY(cn_npy_writer_finish(finished, err));
done:
    cn_npy_writer_discard(writer);
    cn_free(row);
    cn_free(path);
    return st;
}

/* SITE.coarse.npy of what units are measured by. On failure coarse holds what coarse_close accepts. */
static cn_status open_coarse(const work *w, size_t site, coarse_writer *coarse, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t units = w->sites[site].site->units;
    char file[320];
    char *path = NULL;
    float *ends = product_floats(2, units);
    snprintf(file, sizeof file, "%.256s.coarse.npy", w->sites[site].short_name);
    path = folder_path(&w->folder, file);
    CN_CHECK(ends && path, CN_ENOMEM, "out of memory for the extremes of %lld units", (long long)units);
    for (int64_t u = 0; u < units; u++) {
        const unit_summary sum = unitstats_summary(&w->stats, u);
        ends[u] = (float)sum.min;
        ends[units + u] = (float)sum.max;
    }
    CN_TRY(coarse_open(coarse, path, units, w->all.images, ends, ends + units, err));
done:
    cn_free(ends);
    cn_free(path);
    return st;
}

/* The rows of all parts' files NAME.raw, in the order of the study, as NAME.npy; float32 as `dtype`. coarse: NULL, or gets them too. */
static cn_status write_matrix(work *w, const char *name, cn_dtype from, cn_dtype dtype, int64_t columns, coarse_writer *coarse, cn_error *err)
{
    cn_status st = CN_OK;
    char file[320];
    cn_npy_writer *writer = NULL;
    uint16_t *half = NULL;
    char *path = NULL;
    const gathered *g = &w->all;
    const int64_t shape[2] = {g->images, columns};
    const int64_t many = MAPPED_BYTES / (columns * (int64_t)cn_dtype_size(from)) + 1; /* rows */
    matrix *rows = cn_calloc(g->n_parts, sizeof *rows);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %zu parts", g->n_parts);
    snprintf(file, sizeof file, "%s.raw", name);
    for (size_t p = 0; p < g->n_parts; p++)
        CN_TRY(matrix_read(&rows[p], g->parts[p], file, from, columns, g->parts[p]->state.images, err));
    snprintf(file, sizeof file, "%s.npy", name);
    path = folder_path(&w->folder, file);
    half = cn_calloc((size_t)columns, sizeof *half);
    CN_CHECK(path && half, CN_ENOMEM, "out of memory for a row of %lld values", (long long)columns);
    CN_TRY(cn_npy_writer_open(&writer, path, from == CN_DTYPE_F32 ? dtype : from, 2, shape, err));
    for (int64_t i = 0; i < g->images; i++) {
        const void *row = matrix_at(&rows[g->image[i].part], g->image[i].image);
        const bool convert = from == CN_DTYPE_F32 && dtype == CN_DTYPE_F16;
        if (convert)
            float16_row(half, row, (size_t)columns);
        CN_TRY(cn_npy_writer_rows(writer, convert ? (const void *)half : row, 1, err));
        if (coarse)
            CN_TRY(coarse_add(coarse, row, err));
        for (size_t p = 0; i % many == many - 1 && p < g->n_parts; p++)
            matrix_let_go(&rows[p]);
    }
    cn_npy_writer *finished = writer;
    writer = NULL;
    CN_TRY(cn_npy_writer_finish(finished, err));
done:
    cn_npy_writer_discard(writer);
    for (size_t p = 0; rows && p < g->n_parts; p++)
        matrix_close(&rows[p]);
    cn_free(rows);
    cn_free(half);
    cn_free(path);
    return st;
}

static cn_status write_matrices(work *w, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    const site_geometry *g = &w->sites[site];
    const int64_t units = g->site->units;
    const int kept = reductions_kept(w->options->reduce);
    coarse_writer coarse = {0};
    char name[300];
    CN_TRY(open_coarse(w, site, &coarse, err));
    for (int k = 0; k < kept; k++) {
        const cn_reduce how = (cn_reduce)k;
        snprintf(name, sizeof name, "%.256s.%s", g->short_name, cn_reduce_name(how));
        CN_TRY(write_matrix(w, name, CN_DTYPE_F32, w->options->matrices, units, how == w->options->reduce ? &coarse : NULL, err));
    }
    CN_TRY(coarse_finish(&coarse, err));
    snprintf(name, sizeof name, "%.256s.argmax", g->short_name);
    CN_TRY(write_matrix(w, name, CN_DTYPE_I16, CN_DTYPE_I16, units, NULL, err));
    if (w->all.n_labels) {
        snprintf(name, sizeof name, "%.256s.labels.npy", g->short_name);
        CN_TRY(write_label_means(w, site, name, err));
    }
done:
    coarse_close(&coarse);
    return st;
}

static cn_status write_site(work *w, size_t site, cn_error *err)
{
    static const char *const layouts[] = {[CN_SITE_MAP] = "map", [CN_SITE_TOKENS] = "tokens", [CN_SITE_VECTOR] = "vector"};
    cn_status st = CN_OK;
    const site_geometry *g = &w->sites[site];
    const unit_shape shape = site_shape(g, w->options, (int64_t)w->all.n_labels, (int64_t)w->all.n_media);
    CN_TRY(store_add(w->store, STORE_SITES, err, "ittiii", (int64_t)site, g->site->name, layouts[g->site->layout], g->site->units, g->height,
                     g->width));
    CN_TRY(unitstats_init(&w->stats, &shape, err));
    for (size_t p = 0; p < w->all.n_parts; p++) {
        CN_TRY(add_part(w, site, p, err));
        CN_CHECK(reporter_tell(w->report, CN_SCAN_WRITING, 0, g->site->units, false), CN_ECANCELED, "the scan was cancelled");
    }
    CN_TRY(write_site_units(w, site, err));
    if (w->has_words)
        CN_TRY(write_words(w, site, err));
    if (!w->options->no_matrices)
        CN_TRY(write_matrices(w, site, err));
done:
    unitstats_free(&w->stats);
    return st;
}

/* ---- pictures ---- */

enum copied { COPY_IMAGES, COPY_FIELDS, COPY_THUMBNAILS, COPY_RUNS };

static const struct {
    const char *read, *write; /* as many columns */
} copied[] = {
    [COPY_IMAGES] = {"SELECT id, path, label, medium, caption, source, licence, width, height, format, digest, NULL FROM images ORDER BY id",
                     "INSERT INTO images VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"},
    [COPY_FIELDS] = {"SELECT image, field, value FROM fields ORDER BY image, field", "INSERT INTO fields VALUES (?,?,?)"},
    [COPY_THUMBNAILS] = {"SELECT image, type, data FROM thumbnails ORDER BY image", "INSERT INTO thumbnails VALUES (?,?,?)"},
    [COPY_RUNS] = {"SELECT NULL, started, seconds, images, failed, shard, program, backend FROM runs ORDER BY id",
                   "INSERT INTO runs VALUES (?,?,?,?,?,?,?,?)"},
};

/* What a row of a part is called here, over its own values: pictures, labels and media have other numbers. *wanted = false: a
 * thumbnail of a picture that is no example. */
static cn_status renumber(const work *w, size_t p, enum copied table, sqlite3_stmt *read, sqlite3_stmt *write, bool *wanted, cn_error *err)
{
    cn_status st = CN_OK;
    const gathered *g = &w->all;
    const part *from = g->parts[p];
    const int64_t image = sqlite3_column_int64(read, 0);
    CN_CHECK(image >= 0 && image < from->state.images, CN_EFORMAT, "%s: the part is damaged: a picture's number", from->path);
    const int32_t number = g->number[p][image];
    sqlite3_bind_int64(write, 1, number);
    *wanted = table != COPY_THUMBNAILS || w->used[number];
    if (table == COPY_IMAGES && g->image[number].label >= 0)
        sqlite3_bind_int64(write, 3, g->image[number].label);
    if (table == COPY_IMAGES && g->image[number].medium >= 0)
        sqlite3_bind_int64(write, 4, g->image[number].medium);
done:
    return st;
}

static cn_status copy_rows(work *w, size_t p, enum copied table, cn_error *err)
{
    cn_status st = CN_OK;
    const part *from = w->all.parts[p];
    sqlite3 *db = store_db(w->store);
    sqlite3_stmt *read = NULL, *write = NULL;
    bool more, wanted = true;
    CN_TRY(part_query(from, &read, copied[table].read, err));
    if (sqlite3_prepare_v2(db, copied[table].write, -1, &write, NULL) != SQLITE_OK)
        CN_TRY(store_failed(db, w->folder.temporary, err));
    for (;;) {
        CN_TRY(part_step(from, read, &more, err));
        if (!more)
            break;
        for (int c = 0; c < sqlite3_column_count(read); c++)
            sqlite3_bind_value(write, c + 1, sqlite3_column_value(read, c));
        if (table != COPY_RUNS)
            CN_TRY(renumber(w, p, table, read, write, &wanted, err));
        const int wrote = wanted ? sqlite3_step(write) : SQLITE_DONE;
        sqlite3_reset(write);
        if (wrote != SQLITE_DONE)
            CN_TRY(store_failed(db, w->folder.temporary, err));
    }
done:
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return st;
}

static cn_status copy_failures(work *w, size_t p, results *list, cn_error *err)
{
    cn_status st = CN_OK;
    bool more, ok = true;
    const part *from = w->all.parts[p];
    sqlite3_stmt *q = NULL;
    CN_TRY(part_query(from, &q, "SELECT path, reason FROM failures", err));
    for (;;) {
        CN_TRY(part_step(from, q, &more, err));
        if (!more)
            break;
        const char **row = results_add(list, 2 * sizeof *row);
        CN_CHECK(row, CN_ENOMEM, "out of memory for failures");
        row[0] = results_text(list, q, 0, &ok);
        row[1] = results_text(list, q, 1, &ok);
        CN_CHECK(ok, CN_ENOMEM, "out of memory for failures");
    }
done:
    sqlite3_finalize(q);
    return st;
}

/* All that parts hold row by row. */
static cn_status write_rows(work *w, cn_error *err)
{
    static const size_t pointers[] = {0, sizeof(char *)};
    cn_status st = CN_OK;
    results failures = {0};
    void *rows = NULL;
    size_t n = 0;
    const gathered *g = &w->all;
    for (size_t p = 0; p < g->n_parts; p++) {
        CN_TRY(part_resume(g->parts[p], err));
        for (int table = COPY_IMAGES; table <= COPY_RUNS; table++)
            CN_TRY(copy_rows(w, p, (enum copied)table, err));
        CN_TRY(copy_failures(w, p, &failures, err));
        part_suspend(g->parts[p]);
    }
    CN_TRY(results_finish(&failures, pointers, 2, &rows, &n, err));
    if (n)
        qsort(rows, n, 2 * sizeof(char *), order_texts);
    for (size_t i = 0; i < n; i++)
        CN_TRY(store_add(w->store, STORE_FAILURES, err, "tt", ((char **)rows)[2 * i], ((char **)rows)[2 * i + 1]));
done:
    results_discard(&failures);
    cn_free(rows);
    return st;
}

/* ---- the rest ---- */

static cn_status put_text(work *w, const char *key, const char *value, cn_error *err)
{
    return store_add(w->store, STORE_META, err, "tt", key, value);
}

static cn_status put_number(work *w, const char *key, int64_t value, cn_error *err)
{
    return store_add(w->store, STORE_META, err, "ti", key, value);
}

/* What the first part says, the others say as well. */
static cn_status put_setting(work *w, const char *key, cn_error *err)
{
    char *value = NULL;
    cn_status st = part_setting(w->all.parts[0], key, &value, err);
    if (st == CN_OK)
        st = put_text(w, key, value, err);
    cn_free(value);
    return st;
}

/* Of several archives; older parts do not say. */
static cn_status put_archives(work *w, cn_error *err)
{
    char *value = NULL;
    cn_status st = part_setting_if_there(w->all.parts[0], "archives", &value, err);
    if (st == CN_OK && value)
        st = put_text(w, "archives", value, err);
    cn_free(value);
    return st;
}

static cn_status write_meta(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const source *src = w->source;
    const cn_scan_options *o = w->options;
    char created[32];
    double seconds = 0;
    for (size_t p = 0; p < w->all.n_parts; p++)
        seconds += w->all.parts[p]->state.seconds;
    store_date(created);
    CN_TRY(part_resume(w->all.parts[0], err));
    CN_TRY(put_text(w, "program", "clipneuron " CN_VERSION, err));
    CN_TRY(put_text(w, "created", created, err));
    CN_TRY(put_text(w, "fingerprint", src->fingerprint, err));
    CN_TRY(put_text(w, "model_name", src->model_name, err));
    CN_TRY(put_text(w, "model_file", src->model_file, err));
    CN_TRY(put_text(w, "backend", src->backend, err));
    CN_TRY(put_setting(w, "precision", err));
    CN_TRY(put_number(w, "resolution", src->resolution, err));
    CN_TRY(put_setting(w, "preprocessing", err));
    CN_TRY(put_setting(w, "edits", err));
    CN_TRY(put_number(w, "embedding", src->embedding, err));
    CN_TRY(put_setting(w, "collection", err));
    CN_TRY(put_setting(w, "collection_name", err));
    CN_TRY(put_archives(w, err));
    CN_TRY(put_text(w, "reduce", cn_reduce_name(o->reduce), err));
    CN_TRY(put_number(w, "thumbnail", o->thumbnail, err));
    CN_TRY(put_number(w, "images", w->all.images, err));
    CN_TRY(put_number(w, "failed", w->all.failed, err));
    CN_TRY(put_number(w, "labelled", w->all.labelled, err));
    CN_TRY(put_number(w, "top", o->top, err));
    CN_TRY(put_number(w, "bottom", o->bottom, err));
    CN_TRY(put_number(w, "buckets", o->buckets, err));
    CN_TRY(put_number(w, "per_bucket", o->per_bucket, err));
    CN_TRY(put_number(w, "seed", (int64_t)o->seed, err));
    CN_TRY(put_text(w, "matrices", o->no_matrices ? "none" : cn_dtype_name(o->matrices), err));
    if (w->has_words)
        CN_TRY(put_text(w, "word_template", o->word_template, err));
    CN_TRY(put_number(w, "words", (int64_t)w->words.list.count, err));
    CN_TRY(put_number(w, "unknown_words", w->unknown_words, err));
    CN_TRY(store_add(w->store, STORE_META, err, "td", "seconds", seconds));
done:
    part_suspend(w->all.parts[0]);
    return st;
}

/* Labels and media with the number of their pictures that went through. */
static cn_status write_names(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const gathered *g = &w->all;
    int64_t *labels = cn_calloc(g->n_labels, sizeof *labels), *media = cn_calloc(g->n_media, sizeof *media);
    CN_CHECK(labels && media, CN_ENOMEM, "out of memory for %zu labels", g->n_labels);
    for (int64_t i = 0; i < g->images; i++) {
        if (g->image[i].label >= 0)
            labels[g->image[i].label]++;
        if (g->image[i].medium >= 0)
            media[g->image[i].medium]++;
    }
    for (size_t i = 0; i < g->n_labels; i++)
        CN_TRY(store_add(w->store, STORE_LABELS, err, "iti", (int64_t)i, g->labels[i], labels[i]));
    for (size_t i = 0; i < g->n_media; i++) {
        w->written[i] = medium_is_written(g->media[i]);
        CN_TRY(store_add(w->store, STORE_MEDIA, err, "itii", (int64_t)i, g->media[i], media[i], (int64_t)w->written[i]));
    }
done:
    cn_free(labels);
    cn_free(media);
    return st;
}

/* The older study stays as it is until all of the new one is on the disk, with what people made in the old. */
static cn_status replace(work *w, const char *fresh, cn_error *err)
{
    cn_status st = CN_OK;
    char *old = reader_file(w->folder.target);
    CN_CHECK(old, CN_ENOMEM, "out of memory for a path");
    CN_TRY(folder_flush(&w->folder, err)); /* may take a while, which nobody should wait for who is answering into the old one */
    CN_TRY(carried_over(&w->carried, fresh, old, w->folder.target, w->options->discard, err));
done:
    cn_free(old);
    return st;
}

cn_status harvest(source *s, const cn_scan_options *options, part *const *parts, size_t n, const char *study, reporter *report,
                  cn_scan_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    char *path = NULL;
    work *w = cn_calloc(1, sizeof *w);
    CN_CHECK(w, CN_ENOMEM, "out of memory for a study");
    w->source = s;
    w->options = options;
    w->report = report;
    CN_TRY(gather(&w->all, parts, n, err));
    CN_TRY(folder_begin(&w->folder, study, s->fingerprint, options->force, err));
    path = folder_path(&w->folder, "study.sqlite");
    w->used = cn_calloc((size_t)w->all.images + 1, sizeof *w->used);
    w->written = cn_calloc(w->all.n_media + 1, sizeof *w->written);
    CN_CHECK(path && w->used && w->written, CN_ENOMEM, "out of memory for %lld pictures", (long long)w->all.images);
    CN_TRY(store_open(&w->store, path, STORE_STUDY, err));
    CN_TRY(write_names(w, err));
    if (!options->no_words && s->texts && s->embedding && w->all.images) {
        CN_TRY(words_prepare(w, err));
        CN_TRY(sample_prepare(w, err));
    }
    for (size_t i = 0; i < s->n_sites; i++) {
        CN_TRY(site_geometry_of(&w->sites[i], s->sites[i], err));
        CN_TRY(write_site(w, i, err));
    }
    if (!options->no_matrices && s->embedding)
        CN_TRY(write_matrix(w, "embeddings", CN_DTYPE_F32, options->matrices, s->embedding, NULL, err));
    CN_TRY(write_rows(w, err));
    CN_TRY(write_meta(w, err));
    store *complete = w->store;
    w->store = NULL;
    CN_TRY(store_finish(complete, err));
    if (w->folder.replaces)
        CN_TRY(replace(w, path, err));
    CN_TRY(folder_commit(&w->folder, err));
    if (result) {
        result->images = w->all.images;
        result->failed = w->all.failed;
        result->labelled = w->all.labelled;
        result->labels = (int64_t)w->all.n_labels;
        result->media = (int64_t)w->all.n_media;
        result->words = (int64_t)w->words.list.count;
        result->carried = w->carried.taken;
        result->left_out = w->carried.left;
    }
done:
    if (w) {
        sample_free(w);
        words_free(&w->words);
        store_close(w->store);
        carried_end(&w->carried);
        folder_discard(&w->folder);
        cn_free(w->used);
        cn_free(w->written);
        gather_free(&w->all);
        cn_free(w);
    }
    cn_free(path);
    return st;
}
