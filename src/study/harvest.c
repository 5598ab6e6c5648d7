/* study/harvest.c -- from what a scan gathered to the tables of the study: examples from every bucket,
 * nearest words, labels, ranking, matrices. */
#include "study/scan.h"

#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/clipneuron.h"
#include "study/finebins.h"
#include "study/float16.h"
#include "study/ranking.h"
#include "study/sample.h"
#include "study/wordscore.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LABELS_KEPT 24   /* of a unit, by z */
#define WORD_IMAGES 8192 /* pictures that words are scored on, at most */

/* ---- words ---- */

typedef struct words {
    wordlist list;
    char **prompts;
    float *texts; /* (count, embedding) */
    bool *known;
    int32_t *picked; /* pictures that are looked at */
    int64_t n_picked;
} words;

static void words_free(words *w)
{
    for (size_t i = 0; w->prompts && i < w->list.count; i++)
        cn_free(w->prompts[i]);
    cn_free(w->prompts);
    cn_free(w->texts);
    cn_free(w->known);
    cn_free(w->picked);
    wordlist_free(&w->list);
}

static bool words_go_on(void *user, size_t done, size_t total)
{
    return scan_report(user, CN_SCAN_WORDS, (int64_t)done, (int64_t)total, done == total);
}

/* The words' embeddings, rows by words.id, zero for unknown ones: for asking the study later. */
static cn_status write_texts(const words *w, const scan *s, cn_error *err)
{
    int64_t shape[2] = {(int64_t)w->list.count, s->source->embedding};
    char *path = folder_path(&s->folder, "words.npy");
    cn_status st = path ? cn_npy_write(path, CN_DTYPE_F32, 2, shape, w->texts, err)
                        : cn_fail(err, CN_ENOMEM, "out of memory for a path");
    cn_free(path);
    return st;
}

static cn_status words_prepare(words *w, scan *s, const uint64_t *keys, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_scan_options *o = &s->options;
    if (o->words)
        CN_TRY(wordlist_add_file(&w->list, o->words, err));
    else
        CN_TRY(wordlist_add_common(&w->list, err));
    for (size_t i = 0; !o->no_label_words && i < s->list.n_labels; i++)
        CN_TRY(wordlist_add_label(&w->list, s->list.labels[i], err));
    wordlist_finish(&w->list);
    size_t n = w->list.count;
    w->prompts = cn_calloc(n, sizeof *w->prompts);
    w->known = cn_calloc(n, sizeof *w->known);
    w->texts = cn_calloc(n, (size_t)s->source->embedding * sizeof *w->texts);
    w->picked = cn_calloc(WORD_IMAGES, sizeof *w->picked);
    CN_CHECK(w->prompts && w->known && w->texts && w->picked, CN_ENOMEM, "out of memory for %zu words", n);
    for (size_t i = 0; i < n; i++) {
        w->prompts[i] = wordlist_prompt(o->word_template, w->list.words[i]);
        CN_CHECK(w->prompts[i], CN_ENOMEM, "out of memory for %zu words", n);
    }
    CN_TRY(s->source->texts(s->source, (const char *const *)w->prompts, n, w->texts, w->known, words_go_on, s,
                            err));
    for (size_t i = 0; i < n; i++) {
        CN_TRY(
            store_add(s->store, STORE_WORDS, err, "iti", (int64_t)i, w->list.words[i], (int64_t)w->known[i]));
        s->unknown_words += !w->known[i];
    }
    s->words = (int64_t)n;
    s->has_words = true;
    if (!o->no_matrices)
        CN_TRY(write_texts(w, s, err));
    sample_images(keys, s->images, WORD_IMAGES, w->picked, &w->n_picked);
done:
    return st;
}

static cn_status write_words(scan *s, size_t site, const words *w, cn_error *err)
{
    cn_status st = CN_OK;
    scan_site *k = &s->sites[site];
    int64_t units = k->site->units;
    const matrix *values = s->options.reduce == CN_REDUCE_MAX ? &k->peaks : &k->means;
    word_match *best = cn_calloc((size_t)units * WORDS_KEPT, sizeof *best);
    CN_CHECK(best, CN_ENOMEM, "out of memory for the words of %lld units", (long long)units);
    CN_TRY(wordscore(values->data, units, s->embeddings.data, s->source->embedding, w->picked, w->n_picked,
                     w->texts, w->known, (int64_t)w->list.count, best, err));
    for (int64_t u = 0; u < units; u++)
        for (int r = 0; r < WORDS_KEPT; r++) {
            const word_match *m = &best[u * WORDS_KEPT + r];
            if (m->word >= 0)
                CN_TRY(store_add(s->store, STORE_UNIT_WORDS, err, "iiiiddi", (int64_t)site, u, (int64_t)r,
                                 (int64_t)m->word, (double)m->score, (double)m->z, (int64_t)m->significant));
        }
done:
    cn_free(best);
    return st;
}

/* ---- one unit ---- */

static cn_status write_histogram(scan *s, size_t site, int64_t unit, uint8_t *scratch, cn_error *err)
{
    const uint32_t *bins = s->sites[site].stats.bins + (size_t)unit * FINEBINS;
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
    return store_add(s->store, STORE_HISTOGRAMS, err, "iib", (int64_t)site, unit, (const void *)scratch,
                     size);
}

static cn_status write_example(scan *s, size_t site, int64_t unit, int64_t kind, int64_t rank, int64_t bucket,
                               const unit_example *e, const uint16_t *map, cn_error *err)
{
    const scan_site *w = &s->sites[site];
    int64_t y = e->position >= 0 ? e->position / w->width : -1,
            x = e->position >= 0 ? e->position % w->width : -1;
    size_t bytes = map ? (size_t)(w->height * w->width) * sizeof *map : 0;
    return store_add(s->store, STORE_EXAMPLES, err, "iiiiriddrrb", (int64_t)site, unit, kind, rank, bucket,
                     e->image, (double)e->value, (double)e->peak, y, x, (const void *)map, bytes);
}

static cn_status write_examples(scan *s, size_t site, int64_t unit, const int32_t *chosen, cn_error *err)
{
    cn_status st = CN_OK;
    const scan_site *w = &s->sites[site];
    const cn_scan_options *o = &s->options;
    const matrix *values = o->reduce == CN_REDUCE_MAX ? &w->peaks : &w->means;
    int n;
    const unit_example *e = unitstats_top(&w->stats, unit, &n);
    for (int r = 0; r < n; r++)
        CN_TRY(write_example(s, site, unit, CN_EXAMPLE_TOP, r, -1, &e[r],
                             unitstats_top_map(&w->stats, unit, &e[r]), err));
    e = unitstats_bottom(&w->stats, unit, &n);
    for (int r = 0; r < n; r++)
        CN_TRY(write_example(s, site, unit, CN_EXAMPLE_BOTTOM, r, -1, &e[r],
                             unitstats_bottom_map(&w->stats, unit, &e[r]), err));
    int64_t rank = 0;
    for (int b = 0; b < o->buckets; b++)
        for (int k = 0; k < o->per_bucket; k++) {
            int32_t image = chosen[((int64_t)unit * o->buckets + b) * o->per_bucket + k];
            if (image < 0)
                continue;
            int64_t at = image * w->site->units + unit;
            unit_example x = {.image = image,
                              .value = ((const float *)values->data)[at],
                              .peak = ((const float *)w->peaks.data)[at],
                              .position = ((const int16_t *)w->places.data)[at]};
            CN_TRY(write_example(s, site, unit, CN_EXAMPLE_BUCKET, rank++, b, &x, NULL, err));
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

static cn_status write_labels(scan *s, size_t site, int64_t unit, const unit_summary *sum,
                              ranked_label *scratch, cn_error *err)
{
    cn_status st = CN_OK;
    const unitstats *stats = &s->sites[site].stats;
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
        CN_TRY(store_add(s->store, STORE_UNIT_LABELS, err, "iiiidd", (int64_t)site, unit, (int64_t)r,
                         scratch[r].label, scratch[r].mean, scratch[r].z));
    for (int64_t g = 0; g < media->groups; g++) {
        if (!media->images[g])
            continue;
        double mean = media->sums[g * stats->units + unit] / (double)media->images[g];
        CN_TRY(store_add(s->store, STORE_UNIT_MEDIA, err, "iiidid", (int64_t)site, unit, g, mean,
                         (int64_t)media->positive[g * stats->units + unit],
                         group_z(mean, media->images[g], sum->mean, sum->sd, sum->count)));
    }
done:
    return st;
}

static cn_status write_label_media(scan *s, size_t site, int64_t unit, int64_t label, const unit_summary *sum,
                                   cn_error *err)
{
    cn_status st = CN_OK;
    const unitstats *stats = &s->sites[site].stats;
    const unit_groups *pairs = &stats->partition[UNIT_PAIRS];
    int64_t media = (int64_t)s->list.n_media;
    for (int64_t m = 0; pairs->groups && m < media; m++) {
        int64_t g = label * media + m, n = pairs->images[g];
        if (!n)
            continue;
        double mean = pairs->sums[g * stats->units + unit] / (double)n;
        CN_TRY(store_add(s->store, STORE_UNIT_LABEL_MEDIA, err, "iiiidid", (int64_t)site, unit, m, n, mean,
                         (int64_t)pairs->positive[g * stats->units + unit],
                         group_z(mean, n, sum->mean, sum->sd, sum->count)));
    }
done:
    return st;
}

static rank_facts rank(const scan *s, size_t site, int64_t unit, const unit_summary *sum)
{
    const unitstats *stats = &s->sites[site].stats;
    int64_t labels[CN_STUDY_PURITY_TOP], media[CN_STUDY_PURITY_TOP];
    int n;
    const unit_example *e = unitstats_top(stats, unit, &n);
    if (n > CN_STUDY_PURITY_TOP)
        n = CN_STUDY_PURITY_TOP;
    for (int i = 0; i < n; i++) {
        const listing_item *item = &s->list.items[s->kept[e[i].image]];
        labels[i] = item->label_id;
        media[i] = item->medium_id;
    }
    return rank_unit(labels, media, n, stats->partition[UNIT_LABELS].images, sum->count, s->written,
                     (int64_t)s->list.n_media, sum->rms > 0 ? sum->max / sum->rms : 0);
}

static void media_names(const scan *s, const rank_facts *r, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t m = 0; m < s->list.n_media && m < 256; m++)
        if (r->media[m / 64] >> (m % 64) & 1 && at < room)
            at += (size_t)snprintf(text + at, room - at, "%s%s", at ? " " : "", s->list.media[m]);
}

static cn_status write_unit(scan *s, size_t site, int64_t unit, const rank_facts *facts,
                            const int32_t *chosen, uint8_t *bins, ranked_label *labels, cn_error *err)
{
    cn_status st = CN_OK;
    const unitstats *stats = &s->sites[site].stats;
    unit_summary sum = unitstats_summary(stats, unit);
    rank_facts r = *facts;
    double label_z = 0;
    char media[512] = "";
    if (!sum.dead) {
        media_names(s, &r, media, sizeof media);
        CN_TRY(write_histogram(s, site, unit, bins, err));
        CN_TRY(write_examples(s, site, unit, chosen, err));
        CN_TRY(write_labels(s, site, unit, &sum, labels, err));
    }
    if (r.label >= 0) {
        const unit_groups *g = &stats->partition[UNIT_LABELS];
        label_z = group_z(g->sums[r.label * stats->units + unit] / (double)g->images[r.label],
                          g->images[r.label], sum.mean, sum.sd, sum.count);
        CN_TRY(write_label_media(s, site, unit, r.label, &sum, err));
    }
    double none = sum.count ? 0 : NAN;
    CN_TRY(store_add(s->store, STORE_UNITS, err,
                     "iiidddddidiriddd"
                     "tiid",
                     (int64_t)site, unit, sum.count, sum.mean + none, sum.sd + none, sum.rms + none,
                     sum.min + none, sum.max + none, sum.positive, sum.kurtosis, (int64_t)sum.dead, r.label,
                     r.hits, r.purity, r.surprise, label_z, media, (int64_t)r.media_count, (int64_t)r.reads,
                     r.score));
done:
    return st;
}

/* ---- sites ---- */

static cn_status write_site_units(scan *s, size_t site, const uint64_t *keys, cn_error *err)
{
    cn_status st = CN_OK;
    scan_site *w = &s->sites[site];
    int64_t units = w->site->units;
    const cn_scan_options *o = &s->options;
    const matrix *values = o->reduce == CN_REDUCE_MAX ? &w->peaks : &w->means;
    size_t per_unit = (size_t)o->buckets * (size_t)o->per_bucket;
    int32_t *chosen = cn_calloc((size_t)units, per_unit * sizeof *chosen);
    uint8_t *bins = cn_calloc(FINEBINS, 8);
    ranked_label *labels = cn_calloc(s->list.n_labels, sizeof *labels);
    rank_facts *facts = cn_calloc((size_t)units, sizeof *facts);
    CN_CHECK(chosen && bins && labels && facts, CN_ENOMEM, "out of memory for the examples of %lld units",
             (long long)units);
    sample_buckets(values->data, s->images, units, keys, w->stats.min, w->stats.max, o->buckets,
                   o->per_bucket, chosen);
    for (int64_t u = 0; u < units; u++) {
        unit_summary sum = unitstats_summary(&w->stats, u);
        facts[u] = (rank_facts){.label = -1};
        if (!sum.dead)
            facts[u] = rank(s, site, u, &sum);
    }
    rank_spread(facts, units);
    for (int64_t u = 0; u < units; u++) {
        CN_TRY(write_unit(s, site, u, &facts[u], chosen, bins, labels, err));
        CN_CHECK(scan_report(s, CN_SCAN_WRITING, u + 1, units, u + 1 == units), CN_ECANCELED,
                 "the scan was cancelled");
    }
done:
    cn_free(chosen);
    cn_free(bins);
    cn_free(labels);
    cn_free(facts);
    return st;
}

/* (labels, units) means, rows by labels.id; a label without pictures is NaN. */
static cn_status write_label_means(const scan *s, size_t site, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    const scan_site *w = &s->sites[site];
    const unit_groups *g = &w->stats.partition[UNIT_LABELS];
    cn_npy_writer *writer = NULL;
    char *path = folder_path(&s->folder, name);
    float *row = cn_calloc((size_t)w->site->units, sizeof *row);
    int64_t shape[2] = {g->groups, w->site->units};
    CN_CHECK(path && row, CN_ENOMEM, "out of memory for the means by label");
    CN_TRY(cn_npy_writer_open(&writer, path, CN_DTYPE_F32, 2, shape, err));
    for (int64_t l = 0; l < g->groups; l++) {
        for (int64_t u = 0; u < w->site->units; u++)
            row[u] = g->images[l] ? (float)(g->sums[l * w->site->units + u] / (double)g->images[l]) : NAN;
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

static cn_status write_matrices(scan *s, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    const scan_site *w = &s->sites[site];
    char name[300];
    snprintf(name, sizeof name, "%.256s.mean.npy", w->short_name);
    CN_TRY(matrix_save(&w->means, &s->folder, name, s->options.matrices, err));
    snprintf(name, sizeof name, "%.256s.max.npy", w->short_name);
    CN_TRY(matrix_save(&w->peaks, &s->folder, name, s->options.matrices, err));
    snprintf(name, sizeof name, "%.256s.argmax.npy", w->short_name);
    CN_TRY(matrix_save(&w->places, &s->folder, name, CN_DTYPE_I16, err));
    if (s->list.n_labels) {
        snprintf(name, sizeof name, "%.256s.labels.npy", w->short_name);
        CN_TRY(write_label_means(s, site, name, err));
    }
done:
    return st;
}

static cn_status write_site(scan *s, size_t site, const uint64_t *keys, const words *w, cn_error *err)
{
    static const char *const layouts[] = {
        [CN_SITE_MAP] = "map", [CN_SITE_TOKENS] = "tokens", [CN_SITE_VECTOR] = "vector"};
    cn_status st = CN_OK;
    scan_site *k = &s->sites[site];
    CN_TRY(store_add(s->store, STORE_SITES, err, "ittiii", (int64_t)site, k->site->name,
                     layouts[k->site->layout], k->site->units, k->height, k->width));
    CN_TRY(matrix_map(&k->means, err));
    CN_TRY(matrix_map(&k->peaks, err));
    CN_TRY(matrix_map(&k->places, err));
    CN_TRY(write_site_units(s, site, keys, err));
    if (s->has_words)
        CN_TRY(write_words(s, site, w, err));
    if (!s->options.no_matrices)
        CN_TRY(write_matrices(s, site, err));
done:
    return st;
}

/* ---- the rest ---- */

static cn_status put_text(scan *s, const char *key, const char *value, cn_error *err)
{
    return store_add(s->store, STORE_META, err, "tt", key, value);
}

static cn_status put_number(scan *s, const char *key, int64_t value, cn_error *err)
{
    return store_add(s->store, STORE_META, err, "ti", key, value);
}

static void date(char text[32])
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH"); /* reproducible builds of studies, too */
    time_t now = fixed && *fixed ? (time_t)strtoll(fixed, NULL, 10) : time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
}

static cn_status write_meta(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    const source *src = s->source;
    const cn_scan_options *o = &s->options;
    char created[32], preprocessing[128];
    date(created);
    CN_TRY(put_text(s, "program", "clipneuron " CN_VERSION, err));
    CN_TRY(put_text(s, "created", created, err));
    CN_TRY(put_text(s, "fingerprint", src->fingerprint, err));
    CN_TRY(put_text(s, "model_name", src->model_name, err));
    CN_TRY(put_text(s, "model_file", src->model_file, err));
    CN_TRY(put_text(s, "backend", src->backend, err));
    CN_TRY(put_text(s, "precision", src->precision, err));
    CN_TRY(put_number(s, "resolution", src->resolution, err));
    char backdrop[40] = "";
    if (o->composite_alpha)
        snprintf(backdrop, sizeof backdrop, "over #%02x%02x%02x, ", o->background[0], o->background[1],
                 o->background[2]);
    snprintf(preprocessing, sizeof preprocessing, "%s%s%sbicubic, centre crop, CLIP mean and sd",
             o->apply_orientation ? "orientation, " : "", backdrop, o->rgb_first ? "RGB first, " : "");
    CN_TRY(put_text(s, "preprocessing", preprocessing, err));
    CN_TRY(put_number(s, "embedding", src->embedding, err));
    CN_TRY(put_text(s, "collection", s->list.origin, err));
    CN_TRY(put_text(s, "collection_name", s->list.name, err));
    CN_TRY(put_text(s, "reduce", o->reduce == CN_REDUCE_MAX ? "max" : "mean", err));
    CN_TRY(put_number(s, "thumbnail", o->thumbnail, err));
    CN_TRY(put_number(s, "images", s->images, err));
    CN_TRY(put_number(s, "failed", s->failed, err));
    CN_TRY(put_number(s, "labelled", s->labelled, err));
    CN_TRY(put_number(s, "top", o->top, err));
    CN_TRY(put_number(s, "bottom", o->bottom, err));
    CN_TRY(put_number(s, "buckets", o->buckets, err));
    CN_TRY(put_number(s, "per_bucket", o->per_bucket, err));
    CN_TRY(put_number(s, "seed", (int64_t)o->seed, err));
    CN_TRY(put_text(s, "matrices", o->no_matrices ? "none" : cn_dtype_name(o->matrices), err));
    if (s->has_words)
        CN_TRY(put_text(s, "word_template", o->word_template, err));
    CN_TRY(put_number(s, "words", s->words, err));
    CN_TRY(put_number(s, "unknown_words", s->unknown_words, err));
    CN_TRY(store_add(s->store, STORE_META, err, "td", "seconds", scan_clock() - s->started));
done:
    return st;
}

/* Labels and media with the number of their pictures that went through. */
static cn_status write_names(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n_labels = s->list.n_labels, n_media = s->list.n_media;
    int64_t *labels = cn_calloc(n_labels, sizeof *labels), *media = cn_calloc(n_media, sizeof *media);
    CN_CHECK(labels && media, CN_ENOMEM, "out of memory for %zu labels", n_labels);
    for (int64_t i = 0; i < s->images; i++) {
        const listing_item *item = &s->list.items[s->kept[i]];
        if (item->label_id >= 0)
            labels[item->label_id]++;
        if (item->medium_id >= 0)
            media[item->medium_id]++;
    }
    for (size_t i = 0; i < n_labels; i++)
        CN_TRY(store_add(s->store, STORE_LABELS, err, "iti", (int64_t)i, s->list.labels[i], labels[i]));
    for (size_t i = 0; i < n_media; i++)
        CN_TRY(store_add(s->store, STORE_MEDIA, err, "itii", (int64_t)i, s->list.media[i], media[i],
                         (int64_t)s->written[i]));
done:
    cn_free(labels);
    cn_free(media);
    return st;
}

cn_status scan_harvest(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    words w = {0};
    uint64_t *keys = cn_calloc((size_t)s->images, sizeof *keys);
    CN_CHECK(keys, CN_ENOMEM, "out of memory for %lld pictures", (long long)s->images);
    for (int64_t i = 0; i < s->images; i++)
        keys[i] = sample_key(s->options.seed, s->list.items[s->kept[i]].path);
    CN_TRY(write_names(s, err));
    CN_TRY(matrix_map(&s->embeddings, err));
    if (!s->options.no_words && s->source->texts && s->source->embedding && s->images)
        CN_TRY(words_prepare(&w, s, keys, err));
    for (size_t i = 0; i < s->n_sites; i++)
        CN_TRY(write_site(s, i, keys, &w, err));
    if (!s->options.no_matrices && s->source->embedding)
        CN_TRY(matrix_save(&s->embeddings, &s->folder, "embeddings.npy", s->options.matrices, err));
    CN_TRY(write_meta(s, err));
done:
    words_free(&w);
    cn_free(keys);
    return st;
}
