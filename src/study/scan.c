/* study/scan.c -- pictures through the network: list, decode ahead, run in batches, add up, save now and then. */
#include "base/cores.h"
#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/clipneuron.h"
#include "clipneuron/image.h"
#include "study/feed.h"
#include "study/harvest.h"
#include "study/matrix.h"
#include "study/reader.h"
#include "study/reduction.h"
#include "study/sample.h"
#include "study/studyfolder.h"
#include "study/unitfile.h"
#include "study/wordsample.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SAVE_EVERY 5.0  /* s, at least... */
#define SAVE_SHARE 0.01 /* ...and not more of the time than this */

typedef struct pending { /* a picture in the batch that is being filled */
    size_t index;
    void *thumbnail;
    size_t thumbnail_size;
    const char *thumbnail_type;
    int width, height;
    const char *format;
    char digest[33];
} pending;

typedef struct scan_site {
    site_geometry geometry;
    float *values[REDUCTIONS]; /* (units) of one picture; the class token's where they are kept */
    int32_t *position;         /* of the maximum */
    int16_t *place;            /* the same as the matrix has it */
    unitstats stats;
    matrix rows[REDUCTIONS], places; /* unless there are no matrices */
} scan_site;

typedef struct scan {
    source *source;
    cn_scan_options options; /* defaults filled in */
    reporter report;
    listing list;
    part_settings settings;
    part *part;
    scan_site sites[CN_MAX_STUDY_SITES];
    size_t n_sites;
    int kept; /* reductions_kept */
    matrix embeddings;
    wordsample sample;
    float *sample_row;
    bool sampling;
    double saved, save_seconds; /* when the last save ended, how long it took */
    double resumed_seconds;
    int64_t resumed_images, resumed_failed;
    char started[32]; /* date */
} scan;

/* ---- options ---- */

static int cores(void)
{
    const int n = cn_usable_cores();
    return n > 16 ? 16 : n;
}

static cn_status fill_options(cn_scan_options *o, const source *src, const cn_scan_options *options, cn_error *err)
{
    static const cn_scan_options defaults;
    cn_status st = CN_OK;
    *o = options ? *options : defaults;
    if (!o->top)
        o->top = 24;
    if (!o->bottom)
        o->bottom = 12;
    if (!o->buckets)
        o->buckets = 10;
    if (!o->per_bucket)
        o->per_bucket = 6;
    if (!o->thumbnail)
        o->thumbnail = src->resolution < 128 ? src->resolution : 128;
    if (!o->decode_threads)
        o->decode_threads = cores();
    if (!o->word_template)
        o->word_template = "{}";
    CN_CHECK(o->top > 0 && o->top <= CN_MAX_STUDY_EXAMPLES && o->bottom > 0 &&
                 o->bottom <= CN_MAX_STUDY_EXAMPLES,
             CN_EINVAL, "the number of examples must be 1 to %d", CN_MAX_STUDY_EXAMPLES);
    CN_CHECK(o->buckets > 0 && o->per_bucket > 0 && o->buckets <= CN_MAX_STUDY_EXAMPLES &&
                 o->per_bucket <= CN_MAX_STUDY_EXAMPLES / o->buckets,
             CN_EINVAL, "buckets times pictures from each must be 1 to %d", CN_MAX_STUDY_EXAMPLES);
    CN_CHECK(o->thumbnail >= 16 && o->thumbnail <= 1024, CN_EINVAL, "thumbnails must be 16 to 1024 px");
    CN_CHECK(o->decode_threads > 0 && o->decode_threads <= 256, CN_EINVAL,
             "decoding threads must be 1 to 256");
    CN_CHECK(o->matrices == CN_DTYPE_F32 || o->matrices == CN_DTYPE_F16, CN_EINVAL,
             "matrices must be f32 or f16");
    CN_CHECK(o->reduce == CN_REDUCE_MEAN || o->reduce == CN_REDUCE_MAX || o->reduce == CN_REDUCE_CLASS, CN_EINVAL,
             "reduce must be mean, max or class");
    if (!o->shards)
        o->shards = 1, o->shard = 1;
    if (!(o->save_every > 0))
        o->save_every = SAVE_EVERY;
    CN_CHECK(o->shards >= 1 && o->shards <= CN_MAX_STUDY_SHARDS && o->shard >= 1 && o->shard <= o->shards, CN_EINVAL,
             "shard %d of %d: shards are numbered from 1, at most %d", o->shard, o->shards, CN_MAX_STUDY_SHARDS);
    const char *hole = strstr(o->word_template, "{}");
    CN_CHECK(hole && !strstr(hole + 2, "{}"), CN_EINVAL, "the template \"%s\" must contain {} once",
             o->word_template);
done:
    return st;
}

static cn_status check_class_tokens(const cn_scan_options *o, const source *src, cn_error *err)
{
    cn_status st = CN_OK;
    site_geometry g;
    for (size_t i = 0; i < src->n_sites && o->reduce == CN_REDUCE_CLASS; i++) {
        CN_TRY(site_geometry_of(&g, src->sites[i], err));
        CN_CHECK(g.offset, CN_EINVAL, "%s has no class token: only a ViT's visual.ln_pre and visual.transformer, with its blocks and what is in them, have "
                 "one; scan those, or with --reduce mean", g.site->name);
    }
done:
    return st;
}

/* What work that goes on, and parts that are merged, must agree in. */
static cn_status describe(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_scan_options *o = &s->options;
    part_settings *p = &s->settings;
    char backdrop[40] = "", digest[65], *sites = NULL;
    size_t size = 1;
    CN_TRY(listing_digest(&s->list, digest, err));
    for (size_t i = 0; i < s->source->n_sites; i++)
        size += strlen(s->source->sites[i]->name) + 1;
    sites = cn_calloc(size, 1);
    CN_CHECK(sites, CN_ENOMEM, "out of memory for the names of sites");
    for (size_t i = 0; i < s->source->n_sites; i++) {
        strcat(sites, i ? " " : "");
        strcat(sites, s->source->sites[i]->name);
    }
    if (o->composite_alpha)
        snprintf(backdrop, sizeof backdrop, "over #%02x%02x%02x, ", o->background[0], o->background[1], o->background[2]);
    CN_TRY(part_set(p, err, "fingerprint", "%s", s->source->fingerprint));
    CN_TRY(part_set(p, err, "precision", "%s", s->source->precision));
    CN_TRY(part_set(p, err, "sites", "%s", sites));
    CN_TRY(part_set(p, err, "reduce", "%s", cn_reduce_name(o->reduce)));
    CN_TRY(part_set(p, err, "top", "%d", o->top));
    CN_TRY(part_set(p, err, "bottom", "%d", o->bottom));
    CN_TRY(part_set(p, err, "buckets", "%d", o->buckets));
    CN_TRY(part_set(p, err, "per_bucket", "%d", o->per_bucket));
    CN_TRY(part_set(p, err, "seed", "%llu", (unsigned long long)o->seed));
    CN_TRY(part_set(p, err, "thumbnail", "%d", o->thumbnail));
    CN_TRY(part_set(p, err, "matrices", "%s", o->no_matrices ? "none" : cn_dtype_name(o->matrices)));
    CN_TRY(part_set(p, err, "sample", "%d", s->sampling ? HARVEST_SAMPLE : 0));
    CN_TRY(part_set(p, err, "preprocessing", "%s%s%sbicubic, centre crop, CLIP mean and sd", o->apply_orientation ? "orientation, " : "",
                    backdrop, o->rgb_first ? "RGB first, " : ""));
    CN_TRY(part_set(p, err, "edits", "%s", o->n_edits ? o->edit_text : ""));
    CN_TRY(part_set(p, err, "shard", "%d/%d", o->shard, o->shards));
    CN_TRY(part_set(p, err, "collection", "%s", s->list.origin));
    CN_TRY(part_set(p, err, "collection_name", "%s", s->list.name));
    if (s->list.origins)
        CN_TRY(part_set(p, err, "archives", "%s", s->list.origins));
    CN_TRY(part_set(p, err, "listing", "%s", digest));
done:
    cn_free(sites);
    return st;
}

/* ---- sites ---- */

static cn_status open_matrix(scan *s, matrix *m, const char *name, cn_dtype dtype, int64_t columns, cn_error *err)
{
    char file[320];
    if (s->options.no_matrices)
        return CN_OK;
    snprintf(file, sizeof file, "%s.raw", name);
    return matrix_open(m, s->part, file, dtype, columns, s->part->state.images, err);
}

/* saved: what an earlier run added up, or NULL. */
static cn_status open_site(scan *s, size_t i, const cn_arrays *saved, const char *saved_path, cn_error *err)
{
    cn_status st = CN_OK;
    char name[300];
    scan_site *w = &s->sites[i];
    CN_TRY(site_geometry_of(&w->geometry, s->source->sites[i], err));
    const site_geometry *g = &w->geometry;
    const size_t units = (size_t)g->site->units;
    w->position = cn_calloc(units, sizeof *w->position);
    w->place = cn_calloc(units, sizeof *w->place);
    CN_CHECK(w->position && w->place, CN_ENOMEM, "out of memory for %zu units", units);
    const unit_shape shape = site_shape(g, &s->options, (int64_t)s->list.n_labels, (int64_t)s->list.n_media);
    CN_TRY(saved ? unitfile_load(&w->stats, (int)i, &shape, s->part->state.images, saved, saved_path, err)
                 : unitstats_init(&w->stats, &shape, err));
    for (int k = 0; k < s->kept; k++) {
        w->values[k] = cn_calloc(units, sizeof *w->values[k]);
        CN_CHECK(w->values[k], CN_ENOMEM, "out of memory for %zu units", units);
        snprintf(name, sizeof name, "%.256s.%s", g->short_name, cn_reduce_name((cn_reduce)k));
        CN_TRY(open_matrix(s, &w->rows[k], name, CN_DTYPE_F32, g->site->units, err));
    }
    snprintf(name, sizeof name, "%.256s.argmax", g->short_name);
    CN_TRY(open_matrix(s, &w->places, name, CN_DTYPE_I16, g->site->units, err));
done:
    return st;
}

static void close_site(scan_site *w)
{
    for (int k = 0; k < REDUCTIONS; k++) {
        cn_free(w->values[k]);
        matrix_close(&w->rows[k]);
    }
    cn_free(w->position);
    cn_free(w->place);
    unitstats_free(&w->stats);
    matrix_close(&w->places);
}

/* The values of picture b of the last run: element (unit u, position p) at base[u * unit + p * position]. */
static const float *values_of(const scan *s, size_t site, int64_t b, int64_t *unit, int64_t *position)
{
    const cn_site *k = s->sites[site].geometry.site;
    const float *all = s->source->site(s->source, site);
    *unit = k->layout == CN_SITE_MAP ? k->positions : 1;
    *position = k->layout == CN_SITE_MAP ? 1 : k->units;
    return all + b * k->units * k->positions;
}

/* All of cn_reduce that is kept, and the maximum's place, for every unit: cn_reduce_unit in one pass. false when a value is not finite. */
static bool reduce(const scan *s, size_t site, int64_t b)
{
    const scan_site *w = &s->sites[site];
    int64_t stride_u, stride_p, positions = w->geometry.site->positions;
    const float *values = values_of(s, site, b, &stride_u, &stride_p);
    bool finite = true;
    for (int64_t u = 0; u < w->geometry.site->units; u++) {
        const float *v = values + u * stride_u;
        double sum = 0;
        float max = v[0];
        int64_t at = 0;
        for (int64_t p = 0; p < positions; p++) {
            float x = v[p * stride_p];
            sum += x;
            if (x > max)
                max = x, at = p;
        }
        w->values[CN_REDUCE_MEAN][u] = (float)(sum / (double)positions);
        w->values[CN_REDUCE_MAX][u] = max;
        if (w->values[CN_REDUCE_CLASS])
            w->values[CN_REDUCE_CLASS][u] = v[0];
        at -= w->geometry.offset;
        w->position[u] = w->geometry.height && at >= 0 ? (int32_t)at : -1;
        w->place[u] = (int16_t)w->position[u];
        finite = finite && isfinite(w->values[CN_REDUCE_MEAN][u]) && isfinite(max);
    }
    return finite;
}

/* ---- saving ---- */

static cn_status save(scan *s, bool complete, cn_error *err)
{
    cn_status st = CN_OK;
    const double start = reporter_clock();
    part *p = s->part;
    cn_npz_writer *out = NULL;
    char shard[32], *path = part_arrays(p, true);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    for (size_t i = 0; i < s->n_sites && !s->options.no_matrices; i++) {
        for (int k = 0; k < s->kept; k++)
            CN_TRY(matrix_flush(&s->sites[i].rows[k], err));
        CN_TRY(matrix_flush(&s->sites[i].places, err));
    }
    if (!s->options.no_matrices && s->source->embedding)
        CN_TRY(matrix_flush(&s->embeddings, err));
    CN_TRY(cn_npz_writer_open(&out, path, err));
    for (size_t i = 0; i < s->n_sites; i++)
        CN_TRY(unitfile_save(&s->sites[i].stats, (int)i, out, err));
    if (s->sampling)
        CN_TRY(wordsample_save(&s->sample, p, out, err));
    cn_npz_writer *finished = out;
    out = NULL;
    CN_TRY(cn_npz_writer_finish(finished, err));
    p->state.complete = complete;
    p->state.seconds = s->resumed_seconds + start - s->report.started;
    snprintf(shard, sizeof shard, "%d/%d", s->options.shard, s->options.shards);
    CN_TRY(store_add(p->store, STORE_RUNS, err, "itdiittt", p->state.runs, s->started, start - s->report.started,
                     p->state.images - s->resumed_images, p->state.failed - s->resumed_failed, shard, "clipneuron " CN_VERSION,
                     s->source->backend));
    CN_TRY(part_commit(p, err));
    if (s->sampling)
        wordsample_saved(&s->sample, p);
    s->saved = reporter_clock();
    s->save_seconds = s->saved - start;
done:
    cn_npz_writer_discard(out);
    cn_free(path);
    return st;
}

static cn_status save_now_and_then(scan *s, cn_error *err)
{
    const double since = reporter_clock() - s->saved;
    const bool due = since >= s->options.save_every && since * SAVE_SHARE >= s->save_seconds;
    return due ? save(s, false, err) : CN_OK;
}

/* ---- one batch ---- */

static cn_status add_failure(scan *s, size_t index, const char *reason, cn_error *err)
{
    s->part->state.failed++;
    s->part->state.next++;
    s->report.failed++;
    return store_add(s->part->store, STORE_FAILURES, err, "tt", s->list.items[index].path, reason);
}

static cn_status add_to_sample(scan *s, uint64_t key, int32_t id, const float *embedding, cn_error *err)
{
    float *row = s->sample_row;
    if (!wordsample_wants(&s->sample, key))
        return CN_OK;
    memcpy(row, embedding, (size_t)s->source->embedding * sizeof *row);
    row += s->source->embedding;
    for (size_t i = 0; i < s->n_sites; i++) {
        const scan_site *w = &s->sites[i];
        memcpy(row, w->values[s->options.reduce], (size_t)w->geometry.site->units * sizeof *row);
        row += w->geometry.site->units;
    }
    return wordsample_add(&s->sample, key, id, s->sample_row, err);
}

static cn_status add_image(scan *s, const pending *p, int64_t b, cn_error *err)
{
    cn_status st = CN_OK;
    part_state *state = &s->part->state;
    const listing_item *item = &s->list.items[p->index];
    const int64_t media = (int64_t)s->list.n_media;
    const int32_t id = (int32_t)state->images;
    const uint64_t key = sample_key(s->options.seed, item->path);
    for (size_t i = 0; i < s->n_sites; i++) {
        if (reduce(s, i, b))
            continue;
        char reason[320];
        snprintf(reason, sizeof reason, "the model's values at %.256s are not finite", s->sites[i].geometry.site->name);
        return add_failure(s, p->index, reason, err);
    }
    for (size_t i = 0; i < s->n_sites; i++) {
        scan_site *w = &s->sites[i];
        unit_values v = {.image = id,
                         .key = key,
                         .value = w->values[s->options.reduce],
                         .peak = w->values[CN_REDUCE_MAX],
                         .position = w->position,
                         .group = {item->label_id, item->medium_id, -1}};
        if (item->label_id >= 0 && item->medium_id >= 0)
            v.group[UNIT_PAIRS] = item->label_id * media + item->medium_id;
        const float *values = values_of(s, i, b, &v.unit_stride, &v.position_stride);
        v.map = w->geometry.height ? values + w->geometry.offset * v.position_stride : NULL;
        CN_TRY(unitstats_add(&w->stats, &v, err));
        if (s->options.no_matrices)
            continue;
        for (int k = 0; k < s->kept; k++)
            CN_TRY(matrix_row(&w->rows[k], w->values[k], err));
        CN_TRY(matrix_row(&w->places, w->place, err));
    }
    if (s->source->embedding) {
        const float *embedding = s->source->image_embedding(s->source) + b * s->source->embedding;
        if (!s->options.no_matrices)
            CN_TRY(matrix_row(&s->embeddings, embedding, err));
        if (s->sampling)
            CN_TRY(add_to_sample(s, key, id, embedding, err));
    }
    CN_TRY(store_add(s->part->store, STORE_IMAGES, err, "itrrtttiittr", (int64_t)id, item->path, item->label_id, item->medium_id, item->caption,
                     item->source, item->licence, (int64_t)p->width, (int64_t)p->height, p->format, p->digest, (int64_t)-1));
    for (const char *name = item->fields; name && *name;) {
        const char *value = name + strlen(name) + 1;
        CN_TRY(store_add(s->part->store, STORE_FIELDS, err, "itt", (int64_t)id, name, value));
        name = value + strlen(value) + 1;
    }
    if (p->thumbnail)
        CN_TRY(store_add(s->part->store, STORE_THUMBNAILS, err, "itb", (int64_t)id, p->thumbnail_type, p->thumbnail, p->thumbnail_size));
    state->images++;
    state->next++;
    state->labelled += item->label_id >= 0;
done:
    return st;
}

static cn_status run_batch(scan *s, const float *pixels, pending *batch, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    if (n == 0)
        return CN_OK;
    const double start = reporter_clock();
    CN_TRY(s->source->images(s->source, pixels, n, err));
    s->part->state.network_seconds += reporter_clock() - start;
    for (int64_t b = 0; b < n; b++)
        CN_TRY(add_image(s, &batch[b], b, err));
done:
    for (int64_t b = 0; b < n; b++) {
        cn_bytes_free(batch[b].thumbnail);
        batch[b].thumbnail = NULL;
    }
    return st;
}

/* How a picture that failed waits its turn: behind those of its batch that came before it, so that the count of pictures done
 * is a place in the listing at every save. */
typedef struct failure {
    size_t index;
    char *reason;
} failure;

typedef struct batch {
    float *pixels;
    pending *items;
    failure *failures;
    int64_t n, n_failures, size, room;
} batch;

static void batch_free(batch *b)
{
    for (int64_t i = 0; b->items && i < b->n; i++)
        cn_bytes_free(b->items[i].thumbnail);
    for (int64_t i = 0; i < b->n_failures; i++)
        cn_free(b->failures[i].reason);
    cn_free(b->items);
    cn_free(b->failures);
    cn_free(b->pixels);
}

static cn_status finish_batch(scan *s, batch *b, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t n = b->n;
    b->n = 0; /* run_batch lets go of the thumbnails */
    CN_TRY(run_batch(s, b->pixels, b->items, n, err));
    for (int64_t i = 0; i < b->n_failures; i++)
        CN_TRY(add_failure(s, b->failures[i].index, b->failures[i].reason, err));
done:
    for (int64_t i = 0; i < b->n_failures; i++)
        cn_free(b->failures[i].reason);
    b->n_failures = 0;
    return st;
}

static cn_status keep_failure(batch *b, const feed_item *item, cn_error *err)
{
    cn_status st = CN_OK;
    if (b->n_failures == b->room) {
        const int64_t room = b->room ? 2 * b->room : 16;
        failure *more = cn_reallocarray(b->failures, (size_t)room, sizeof *more);
        CN_CHECK(more, CN_ENOMEM, "out of memory for failures");
        b->failures = more;
        b->room = room;
    }
    char *reason = cn_strdup(item->reason);
    CN_CHECK(reason, CN_ENOMEM, "out of memory for failures");
    b->failures[b->n_failures++] = (failure){item->index, reason};
done:
    return st;
}

static cn_status run_images(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    feed *f = NULL;
    feed_item *item;
    batch b = {.size = s->source->batch};
    part_state *state = &s->part->state;
    const int64_t total = (int64_t)s->list.count;
    const size_t side = (size_t)s->source->resolution, image = 3 * side * side;
    b.pixels = cn_aligned_calloc((size_t)b.size * image * sizeof *b.pixels);
    b.items = cn_calloc((size_t)b.size, sizeof *b.items);
    CN_CHECK(b.pixels && b.items, CN_ENOMEM, "out of memory for a batch of %lld pictures", (long long)b.size);
    CN_CHECK(reporter_tell(&s->report, CN_SCAN_IMAGES, state->next, total, true), CN_ECANCELED, "the scan was cancelled");
    const feed_options options = {.resolution = s->source->resolution,
                                  .thumbnail = s->options.thumbnail,
                                  .image = {.apply_orientation = s->options.apply_orientation,
                                            .rgb_first = s->options.rgb_first,
                                            .composite_alpha = s->options.composite_alpha,
                                            .background = {s->options.background[0], s->options.background[1], s->options.background[2]}},
                                  .threads = s->options.decode_threads,
                                  .ahead = 2 * (size_t)b.size + (size_t)s->options.decode_threads,
                                  .first = (size_t)state->next};
    CN_TRY(feed_open(&f, &s->list, &options, err));
    while ((item = feed_next(f))) {
        if (item->status == CN_OK) {
            cn_pixels_normalise(item->rgb, 1, s->source->resolution, s->source->mean, s->source->std, b.pixels + (size_t)b.n * image);
            b.items[b.n] = (pending){.index = item->index,
                                     .thumbnail = item->thumbnail,
                                     .thumbnail_size = item->thumbnail_size,
                                     .thumbnail_type = item->thumbnail_type,
                                     .width = item->width,
                                     .height = item->height,
                                     .format = item->format};
            memcpy(b.items[b.n++].digest, item->digest, sizeof item->digest);
            item->thumbnail = NULL; /* it is the batch's now */
        } else {
            CN_CHECK(item->status != CN_ENOMEM, CN_ENOMEM, "%s: %s", s->list.items[item->index].path, item->reason);
            CN_TRY(keep_failure(&b, item, err));
        }
        if (b.n == b.size || b.n_failures >= b.size) {
            CN_TRY(finish_batch(s, &b, err));
            CN_TRY(save_now_and_then(s, err));
        }
        CN_CHECK(reporter_tell(&s->report, CN_SCAN_IMAGES, state->next, total, false), CN_ECANCELED, "the scan was cancelled");
    }
    CN_TRY(finish_batch(s, &b, err));
    CN_CHECK(reporter_tell(&s->report, CN_SCAN_IMAGES, total, total, true), CN_ECANCELED, "the scan was cancelled");
done:
    feed_close(f);
    batch_free(&b);
    return st;
}

/* ---- all of it ---- */

static cn_status write_names(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < s->list.n_labels; i++)
        CN_TRY(store_add(s->part->store, STORE_LABELS, err, "iti", (int64_t)i, s->list.labels[i], (int64_t)0));
    for (size_t i = 0; i < s->list.n_media; i++)
        CN_TRY(store_add(s->part->store, STORE_MEDIA, err, "itii", (int64_t)i, s->list.media[i], (int64_t)0, (int64_t)0));
done:
    return st;
}

/* The runs that a study or a part comes from, to the microsecond; owned by the caller (cn_free). NULL: it has none, or cannot be read. */
static char *runs_of(sqlite3 *db)
{
    sqlite3_stmt *q = NULL;
    char *runs = NULL;
    if (sqlite3_prepare_v2(db, "SELECT group_concat(started || ' ' || seconds || ' ' || images || ' ' || failed) FROM (SELECT * FROM runs ORDER BY id)",
                           -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW && sqlite3_column_text(q, 0))
        runs = cn_strdup((const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    return runs;
}

/* Was the study made of this part? When it was last written says nothing: people may have answered into an older one since. */
static cn_status is_made(const part *p, const char *study, bool *made, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    sqlite3 *db = NULL;
    char *mine = NULL, *theirs = NULL, *file = reader_file(study);
    *made = false;
    CN_CHECK(file, CN_ENOMEM, "out of memory for a path");
    if (stat(file, &info) != 0 || reader_open(&db, file, NULL) != CN_OK)
        goto done;
    mine = runs_of(p->db);
    theirs = runs_of(db);
    *made = mine && theirs && strcmp(mine, theirs) == 0;
done:
    sqlite3_close(db);
    cn_free(mine);
    cn_free(theirs);
    cn_free(file);
    return st;
}

/* The part, as far as it is, and everything that grows in it. */
static cn_status open_work(scan *s, const char *path, const char *study, cn_error *err)
{
    cn_status st = CN_OK;
    cn_arrays *saved = NULL;
    char *arrays = NULL;
    int64_t columns = s->source->embedding;
    bool made = false;
    CN_TRY(part_begin(&s->part, path, &s->settings, s->options.restart, err));
    if (s->part->state.complete)
        CN_TRY(is_made(s->part, study, &made, err));
    if (made || (s->part->state.complete && !s->part->state.images && s->part->state.failed)) {
        part_remove(s->part); /* its study was made, and then there was no time to remove it; or none can be made of it (check_any) */
        CN_TRY(part_begin(&s->part, path, &s->settings, true, err));
    }
    part_state *state = &s->part->state;
    CN_CHECK(state->next <= (int64_t)s->list.count, CN_EFORMAT, "%s: damaged: it is at %lld of %zu pictures", path, (long long)state->next,
             s->list.count);
    s->resumed_seconds = state->seconds;
    s->resumed_images = state->images;
    s->resumed_failed = state->failed;
    s->report.failed = state->failed;
    if (state->complete)
        goto done;
    if (s->part->generation) {
        arrays = part_arrays(s->part, false);
        CN_CHECK(arrays, CN_ENOMEM, "out of memory for a path");
        CN_TRY(cn_arrays_open(&saved, arrays, err));
    } else {
        CN_TRY(write_names(s, err));
    }
    for (; s->n_sites < s->source->n_sites;) {
        const size_t i = s->n_sites++;
        CN_TRY(open_site(s, i, saved, arrays, err));
        columns += s->sites[i].geometry.site->units;
    }
    if (s->source->embedding)
        CN_TRY(open_matrix(s, &s->embeddings, "embeddings", CN_DTYPE_F32, s->source->embedding, err));
    if (s->sampling) {
        s->sample_row = cn_calloc((size_t)columns, sizeof *s->sample_row);
        CN_CHECK(s->sample_row, CN_ENOMEM, "out of memory for a row of %lld values", (long long)columns);
        CN_TRY(wordsample_open(&s->sample, s->part, columns, HARVEST_SAMPLE, saved, err));
    }
    s->saved = reporter_clock();
done:
    cn_arrays_close(saved);
    cn_free(arrays);
    return st;
}

/* What only the pass over the pictures needs. */
static void close_work(scan *s)
{
    for (size_t i = 0; i < s->n_sites; i++)
        close_site(&s->sites[i]);
    s->n_sites = 0;
    matrix_close(&s->embeddings);
    wordsample_close(&s->sample);
    cn_free(s->sample_row);
    s->sample_row = NULL;
}

static cn_status pass(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    if (s->part->state.complete)
        return CN_OK;
    s->part->state.runs++;
    store_date(s->started);
    st = run_images(s, err);
    if (st == CN_OK)
        st = save(s, true, err);
    else if (st == CN_ECANCELED && s->part->state.images) {
        cn_error second = {0};
        if (save(s, false, &second) != CN_OK) /* what was saved before holds */
            *err = second;
    }
    return st;
}

/* TARGET.part; owned by the caller. */
static char *part_path(const char *target)
{
    char *name = path_trimmed(target), *path = name ? cn_malloc(strlen(name) + sizeof ".part") : NULL;
    if (path)
        strcat(strcpy(path, name), ".part");
    cn_free(name);
    return path;
}

/* A shard that is done already: a job that is started again has nothing to do. */
static cn_status find_done(scan *s, const char *study, bool *done, cn_error *err)
{
    cn_status st = CN_OK;
    part *p = NULL;
    *done = false;
    if (!part_is_there(study) || s->options.restart)
        return CN_OK;
    CN_TRY(part_read(&p, study, err));
    CN_TRY(part_compare(p, &s->settings, err));
    s->part = p, p = NULL;
    *done = true;
done:
    part_close(p);
    return st;
}

/* `images` and options->more_images. */
static cn_status read_listing(scan *s, const char *images, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_scan_options *o = &s->options;
    const char **all = cn_calloc(o->n_more_images + 1, sizeof *all);
    CN_CHECK(all, CN_ENOMEM, "out of memory for %zu names", o->n_more_images);
    all[0] = images;
    for (size_t i = 0; i < o->n_more_images; i++)
        all[i + 1] = o->more_images[i];
    CN_TRY(listing_read(&s->list, all, o->n_more_images + 1, o->labels, o->shard - 1, o->shards, err));
done:
    cn_free(all);
    return st;
}

static cn_status prepare(scan *s, const char *images, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(reporter_tell(&s->report, CN_SCAN_LISTING, 0, 0, true), CN_ECANCELED, "the scan was cancelled");
    CN_TRY(read_listing(s, images, err));
    CN_CHECK(reporter_tell(&s->report, CN_SCAN_LISTING, (int64_t)s->list.count, (int64_t)s->list.count, true), CN_ECANCELED,
             "the scan was cancelled");
    s->sampling = !s->options.no_words && s->source->texts && s->source->embedding;
    CN_TRY(describe(s, err));
done:
    return st;
}

static void fill_result(const scan *s, cn_scan_result *result)
{
    const part_state *state = &s->part->state;
    *result = (cn_scan_result){.images = state->images,
                               .failed = state->failed,
                               .ignored = (int64_t)s->list.ignored,
                               .labelled = state->labelled,
                               .labels = (int64_t)s->list.n_labels,
                               .media = (int64_t)s->list.n_media,
                               .resumed = s->resumed_images + s->resumed_failed,
                               .seconds = state->seconds,
                               .network_seconds = state->network_seconds};
}

/* When no picture at all could be read, a study would have nothing to show: CN_EFORMAT with the first reason. The parts stay, to look. */
static cn_status check_any(part *const *parts, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int64_t failed = 0;
    part *first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (parts[i]->state.images)
            return CN_OK;
        failed += parts[i]->state.failed;
        first = !first && parts[i]->state.failed ? parts[i] : first;
    }
    if (!first)
        return CN_OK;
    CN_TRY(part_resume(first, err));
    CN_TRY(part_query(first, &q, "SELECT path, reason FROM failures ORDER BY rowid LIMIT 1", err));
    CN_TRY(part_step(first, q, &more, err));
    const char *path = more ? (const char *)sqlite3_column_text(q, 0) : NULL, *reason = more ? (const char *)sqlite3_column_text(q, 1) : NULL;
    st = cn_fail(err, CN_EFORMAT, "none of %lld images could be read, first %s: %s (the table failures in %s/" PART_FILE " has all)", (long long)failed,
                 path ? path : "one", reason ? reason : "no reason", first->path);
done:
    sqlite3_finalize(q);
    return st;
}

/* Moves a complete shard to its place. */
static cn_status keep_part(scan *s, const char *study, cn_error *err)
{
    cn_status st = CN_OK;
    part *p = s->part;
    s->part = NULL;
    char *path = cn_strdup(p->path);
    part_close(p);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    if (s->options.restart && part_is_there(study))
        folder_empty(study, NULL);
    rmdir(study); /* an empty folder is taken */
    CN_CHECK(rename(path, study) == 0, CN_EIO, "%s: cannot be made: %s", study, strerror(errno));
done:
    cn_free(path);
    return st;
}

cn_status scan_source(source *src, const char *images, const char *study, const cn_scan_options *options,
                      cn_scan_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    char *path = NULL;
    bool done_already = false;
    scan *s = cn_calloc(1, sizeof *s);
    CN_CHECK(s, CN_ENOMEM, "out of memory for a scan");
    s->source = src;
    CN_TRY(fill_options(&s->options, src, options, err));
    CN_TRY(check_class_tokens(&s->options, src, err));
    s->kept = reductions_kept(s->options.reduce);
    reporter_begin(&s->report, s->options.progress, s->options.user);
    const bool whole = s->options.shards == 1;
    CN_TRY(prepare(s, images, err));
    if (!whole)
        CN_TRY(find_done(s, study, &done_already, err));
    if (done_already) {
        if (result) {
            fill_result(s, result);
            result->resumed = result->images + result->failed;
        }
        goto done;
    }
    CN_TRY(folder_check(study, src->fingerprint, s->options.force, err));
    path = part_path(study);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_TRY(open_work(s, path, study, err));
    CN_TRY(pass(s, err));
    close_work(s);
    if (result)
        fill_result(s, result);
    if (whole)
        CN_TRY(check_any(&s->part, 1, err));
    if (whole)
        CN_TRY(harvest(src, &s->options, &s->part, 1, study, &s->report, result, err));
    else
        CN_TRY(keep_part(s, study, err));
done:
    if (s) {
        close_work(s);
        /* An unfinished scan stays, to go on from; one that has nothing to go on from does not. */
        if (s->part && !done_already && (st == CN_OK || s->part->generation == 0))
            part_remove(s->part);
        else
            part_close(s->part);
        listing_free(&s->list);
        part_settings_free(&s->settings);
        cn_free(s);
    }
    cn_free(path);
    return st;
}

/* ---- merging ---- */

static cn_status read_number(const part *p, const char *key, int *out, cn_error *err)
{
    cn_status st = CN_OK;
    char *text = NULL, *end;
    CN_TRY(part_setting(p, key, &text, err));
    const long value = strtol(text, &end, 10);
    CN_CHECK(*text && !*end && value >= 0 && value <= INT32_MAX, CN_EFORMAT, "%s: the part is damaged: its setting %s", p->path, key);
    *out = (int)value;
done:
    cn_free(text);
    return st;
}

/* The options that the parts were made with, into those of the merge. */
static cn_status read_options(const part *p, cn_scan_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    int sample;
    char *reduce = NULL, *matrices = NULL, *seed = NULL;
    CN_TRY(part_setting(p, "reduce", &reduce, err));
    CN_TRY(part_setting(p, "matrices", &matrices, err));
    CN_TRY(part_setting(p, "seed", &seed, err));
    CN_CHECK(reduction_named(&o->reduce, reduce), CN_EUNSUPPORTED, "%s: a part with --reduce \"%.60s\", which this program does not know", p->path, reduce);
    o->no_matrices = strcmp(matrices, "none") == 0;
    o->matrices = strcmp(matrices, cn_dtype_name(CN_DTYPE_F16)) == 0 ? CN_DTYPE_F16 : CN_DTYPE_F32;
    o->seed = strtoull(seed, NULL, 10);
    CN_TRY(read_number(p, "top", &o->top, err));
    CN_TRY(read_number(p, "bottom", &o->bottom, err));
    CN_TRY(read_number(p, "buckets", &o->buckets, err));
    CN_TRY(read_number(p, "per_bucket", &o->per_bucket, err));
    CN_TRY(read_number(p, "thumbnail", &o->thumbnail, err));
    CN_TRY(read_number(p, "sample", &sample, err));
    CN_CHECK(o->top > 0 && o->top <= CN_MAX_STUDY_EXAMPLES && o->bottom > 0 && o->bottom <= CN_MAX_STUDY_EXAMPLES && o->buckets > 0 &&
                 o->per_bucket > 0 && o->buckets <= CN_MAX_STUDY_EXAMPLES && o->per_bucket <= CN_MAX_STUDY_EXAMPLES / o->buckets,
             CN_EFORMAT, "%s: the part is damaged: its numbers of examples", p->path);
    o->no_words = o->no_words || !sample;
done:
    cn_free(reduce);
    cn_free(matrices);
    cn_free(seed);
    return st;
}

/* All parts agree, each is there once, and none is missing. */
static cn_status check_parts(part *const *parts, size_t n, cn_error *err)
{
    static const char *const keys[] = {"fingerprint", "precision", "sites", "edits", "reduce", "top", "bottom", "buckets", "per_bucket", "seed",
                                       "thumbnail", "matrices", "sample", "preprocessing"};
    cn_status st = CN_OK;
    char *first[sizeof keys / sizeof *keys] = {NULL}, *theirs = NULL;
    int shards = 0;
    size_t *of = NULL; /* the part that has the shard, from 1 */
    for (size_t i = 0; i < n; i++) {
        int shard = 0, all = 0;
        CN_TRY(part_resume(parts[i], err));
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            CN_TRY(part_setting(parts[i], keys[k], i ? &theirs : &first[k], err));
            CN_CHECK(i == 0 || strcmp(first[k], theirs) == 0, CN_EMISMATCH, "%s and %s are of scans with another %s: %.60s and %.60s",
                     parts[0]->path, parts[i]->path, keys[k], first[k], theirs);
            cn_free(theirs), theirs = NULL;
        }
        CN_TRY(part_setting(parts[i], "shard", &theirs, err));
        CN_CHECK(sscanf(theirs, "%d/%d", &shard, &all) == 2 && shard >= 1 && shard <= all && all <= CN_MAX_STUDY_SHARDS, CN_EFORMAT,
                 "%s: the part is damaged: its shard", parts[i]->path);
        cn_free(theirs), theirs = NULL;
        if (i == 0) {
            shards = all;
            of = cn_calloc((size_t)shards, sizeof *of);
            CN_CHECK(of, CN_ENOMEM, "out of memory for %d shards", shards);
        }
        part_suspend(parts[i]);
        CN_CHECK(all == shards, CN_EMISMATCH, "%s is one of %d parts, %s one of %d", parts[0]->path, shards, parts[i]->path, all);
        CN_CHECK(!of[shard - 1], CN_EINVAL, "%s and %s are both part %d of %d", parts[of[shard - 1] - 1]->path, parts[i]->path, shard, shards);
        of[shard - 1] = i + 1;
    }
    for (int k = 0; k < shards; k++)
        CN_CHECK(of[k], CN_EINVAL, "part %d of %d is missing: %zu are there", k + 1, shards, n);
done:
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        cn_free(first[k]);
    cn_free(theirs);
    cn_free(of);
    return st;
}

cn_status merge_source(source *src, const char *const *paths, size_t n, const char *study, const cn_scan_options *options,
                       cn_scan_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    cn_scan_options o;
    reporter report;
    char *fingerprint = NULL;
    part **parts = cn_calloc(n, sizeof *parts);
    CN_CHECK(parts, CN_ENOMEM, "out of memory for %zu parts", n);
    CN_TRY(fill_options(&o, src, options, err));
    reporter_begin(&report, o.progress, o.user);
    for (size_t i = 0; i < n; i++) {
        CN_TRY(part_read(&parts[i], paths[i], err));
        part_suspend(parts[i]);
    }
    CN_TRY(check_parts(parts, n, err));
    CN_TRY(check_any(parts, n, err));
    CN_TRY(part_resume(parts[0], err));
    CN_TRY(part_setting(parts[0], "fingerprint", &fingerprint, err));
    CN_CHECK(strcmp(fingerprint, src->fingerprint) == 0, CN_EMISMATCH, "%s: is of another model (%.12s, this one is %.12s)", paths[0],
             fingerprint, src->fingerprint);
    CN_TRY(read_options(parts[0], &o, err));
    part_suspend(parts[0]);
    if (result)
        *result = (cn_scan_result){0};
    CN_TRY(harvest(src, &o, parts, n, study, &report, result, err));
    if (result) {
        for (size_t i = 0; i < n; i++)
            result->network_seconds += parts[i]->state.network_seconds;
        result->seconds = reporter_clock() - report.started;
    }
done:
    for (size_t i = 0; parts && i < n; i++)
        part_close(parts[i]);
    cn_free(parts);
    cn_free(fingerprint);
    return st;
}
