/* study/scan.c -- pictures through the network: list, decode ahead, run in batches, add up. */
#include "study/scan.h"

#include "base/cores.h"
#include "base/memory.h"
#include "clipneuron/image.h"
#include "study/feed.h"
#include "study/ranking.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REPORT_EVERY 0.1             /* s */
#define RATE_OVER 5.0                /* s */
#define PAIR_BYTES ((size_t)1 << 29) /* sums by label and medium are left out beyond this */

typedef struct pending { /* a picture in the batch that is being filled */
    size_t index;
    void *thumbnail;
    size_t thumbnail_size;
    const char *thumbnail_type;
    int width, height;
    const char *format;
} pending;

double scan_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool scan_report(scan *s, cn_scan_phase phase, int64_t done, int64_t total, bool always)
{
    double now = scan_clock();
    if (!s->options.progress || (!always && now - s->last_report < REPORT_EVERY))
        return true;
    s->last_report = now;
    size_t ring = sizeof s->past / sizeof *s->past;
    cn_scan_progress p = {
        .phase = phase, .done = done, .total = total, .failed = s->failed, .seconds = now - s->started};
    if (phase == CN_SCAN_IMAGES) {
        s->past[s->n_past % ring].time = now;
        s->past[s->n_past++ % ring].done = done;
        for (size_t back = 1; back <= s->n_past && back <= ring; back++) {
            double span = now - s->past[(s->n_past - back) % ring].time;
            if (span > 0)
                p.images_per_second = (double)(done - s->past[(s->n_past - back) % ring].done) / span;
            if (span > RATE_OVER)
                break;
        }
    }
    return s->options.progress(&p, s->options.user);
}

/* ---- options ---- */

static int cores(void)
{
    const int n = cn_usable_cores();
    return n > 16 ? 16 : n;
}

static cn_status fill_options(scan *s, const cn_scan_options *options, cn_error *err)
{
    static const cn_scan_options defaults;
    cn_status st = CN_OK;
    cn_scan_options *o = &s->options;
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
        o->thumbnail = s->source->resolution < 128 ? s->source->resolution : 128;
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
    CN_CHECK(o->reduce == CN_REDUCE_MEAN || o->reduce == CN_REDUCE_MAX, CN_EINVAL,
             "reduce must be mean or max");
    const char *hole = strstr(o->word_template, "{}");
    CN_CHECK(hole && !strstr(hole + 2, "{}"), CN_EINVAL, "the template \"%s\" must contain {} once",
             o->word_template);
done:
    return st;
}

/* ---- sites ---- */

static void find_map(scan_site *s)
{
    const cn_site *site = s->site;
    if (site->layout == CN_SITE_MAP) {
        s->height = site->height;
        s->width = site->width;
    } else if (site->layout == CN_SITE_TOKENS) {
        for (s->offset = 1; s->offset >= 0; s->offset--) {
            int64_t tokens = site->positions - s->offset, side = (int64_t)floor(sqrt((double)tokens) + 0.5);
            if (tokens > 0 && side * side == tokens) {
                s->height = s->width = side;
                return;
            }
        }
        s->offset = 0;
    }
}

static cn_status open_site(scan *s, scan_site *w, const cn_site *site, cn_error *err)
{
    cn_status st = CN_OK;
    char name[300];
    w->site = site;
    w->short_name = strncmp(site->name, "visual.", 7) == 0 ? site->name + 7 : site->name;
    find_map(w);
    CN_CHECK(site->positions <= INT16_MAX, CN_ELIMIT, "%s: %lld positions, the limit is %d", site->name,
             (long long)site->positions, INT16_MAX);
    size_t units = (size_t)site->units;
    w->mean = cn_calloc(units, sizeof *w->mean);
    w->peak = cn_calloc(units, sizeof *w->peak);
    w->position = cn_calloc(units, sizeof *w->position);
    w->place = cn_calloc(units, sizeof *w->place);
    CN_CHECK(w->mean && w->peak && w->position && w->place, CN_ENOMEM, "out of memory for %zu units", units);
    int64_t groups[UNIT_PARTITIONS] = {
        [UNIT_LABELS] = (int64_t)s->list.n_labels,
        [UNIT_MEDIA] = (int64_t)s->list.n_media,
        [UNIT_PAIRS] = (int64_t)(s->list.n_labels * s->list.n_media),
    };
    if ((size_t)groups[UNIT_PAIRS] > PAIR_BYTES / (units * 12))
        groups[UNIT_PAIRS] = 0;
    CN_TRY(unitstats_init(&w->stats, site->units, w->height * w->width, s->options.top, s->options.bottom,
                          groups, err));
    snprintf(name, sizeof name, "%.256s.mean.raw", w->short_name);
    CN_TRY(matrix_open(&w->means, &s->folder, name, CN_DTYPE_F32, site->units, err));
    snprintf(name, sizeof name, "%.256s.max.raw", w->short_name);
    CN_TRY(matrix_open(&w->peaks, &s->folder, name, CN_DTYPE_F32, site->units, err));
    snprintf(name, sizeof name, "%.256s.argmax.raw", w->short_name);
    CN_TRY(matrix_open(&w->places, &s->folder, name, CN_DTYPE_I16, site->units, err));
done:
    return st;
}

static void close_site(scan_site *w)
{
    cn_free(w->mean);
    cn_free(w->peak);
    cn_free(w->position);
    cn_free(w->place);
    unitstats_free(&w->stats);
    matrix_close(&w->means);
    matrix_close(&w->peaks);
    matrix_close(&w->places);
}

/* The values of picture b of the last run: element (unit u, position p) at base[u * unit + p * position]. */
static const float *values_of(const scan *s, size_t site, int64_t b, int64_t *unit, int64_t *position)
{
    const cn_site *k = s->sites[site].site;
    const float *all = s->source->site(s->source, site);
    *unit = k->layout == CN_SITE_MAP ? k->positions : 1;
    *position = k->layout == CN_SITE_MAP ? 1 : k->units;
    return all + b * k->units * k->positions;
}

/* Mean, maximum and its place over space, for every unit; false when a value is not finite. */
static bool reduce(const scan *s, size_t site, int64_t b)
{
    const scan_site *w = &s->sites[site];
    int64_t stride_u, stride_p, positions = w->site->positions;
    const float *values = values_of(s, site, b, &stride_u, &stride_p);
    bool finite = true;
    for (int64_t u = 0; u < w->site->units; u++) {
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
        w->mean[u] = (float)(sum / (double)positions);
        w->peak[u] = max;
        at -= w->offset;
        w->position[u] = w->height && at >= 0 ? (int32_t)at : -1;
        w->place[u] = (int16_t)w->position[u];
        finite = finite && isfinite(w->mean[u]) && isfinite(max);
    }
    return finite;
}

/* ---- one batch ---- */

static cn_status add_failure(scan *s, size_t index, const char *reason, cn_error *err)
{
    s->failed++;
    return store_add(s->store, STORE_FAILURES, err, "tt", s->list.items[index].path, reason);
}

static cn_status add_image(scan *s, const pending *p, int64_t b, cn_error *err)
{
    cn_status st = CN_OK;
    const listing_item *item = &s->list.items[p->index];
    int64_t id = s->images, media = (int64_t)s->list.n_media;
    for (size_t i = 0; i < s->n_sites; i++)
        if (!reduce(s, i, b)) {
            char reason[320];
            snprintf(reason, sizeof reason, "the model's values at %.256s are not finite",
                     s->sites[i].site->name);
            return add_failure(s, p->index, reason, err);
        }
    for (size_t i = 0; i < s->n_sites; i++) {
        scan_site *w = &s->sites[i];
        unit_values v = {.image = id,
                         .value = s->options.reduce == CN_REDUCE_MAX ? w->peak : w->mean,
                         .peak = w->peak,
                         .position = w->position,
                         .group = {item->label_id, item->medium_id, -1}};
        if (item->label_id >= 0 && item->medium_id >= 0)
            v.group[UNIT_PAIRS] = item->label_id * media + item->medium_id;
        const float *values = values_of(s, i, b, &v.unit_stride, &v.position_stride);
        v.map = w->height ? values + w->offset * v.position_stride : NULL;
        unitstats_add(&w->stats, &v);
        CN_TRY(matrix_row(&w->means, w->mean, err));
        CN_TRY(matrix_row(&w->peaks, w->peak, err));
        CN_TRY(matrix_row(&w->places, w->place, err));
    }
    if (s->source->embedding)
        CN_TRY(matrix_row(&s->embeddings, s->source->image_embedding(s->source) + b * s->source->embedding,
                          err));
    CN_TRY(store_add(s->store, STORE_IMAGES, err, "itrrtttiit", id, item->path, item->label_id,
                     item->medium_id, item->caption, item->source, item->licence, (int64_t)p->width,
                     (int64_t)p->height, p->format));
    if (p->thumbnail)
        CN_TRY(store_add(s->store, STORE_THUMBNAILS, err, "itb", id, p->thumbnail_type, p->thumbnail,
                         p->thumbnail_size));
    s->kept[s->images++] = (int64_t)p->index;
    s->labelled += item->label_id >= 0;
done:
    return st;
}

static cn_status run_batch(scan *s, const float *pixels, pending *batch, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    if (n == 0)
        return CN_OK;
    double start = scan_clock();
    CN_TRY(s->source->images(s->source, pixels, n, err));
    s->network_seconds += scan_clock() - start;
    for (int64_t b = 0; b < n; b++)
        CN_TRY(add_image(s, &batch[b], b, err));
done:
    for (int64_t b = 0; b < n; b++) {
        cn_bytes_free(batch[b].thumbnail);
        batch[b].thumbnail = NULL;
    }
    return st;
}

static cn_status run_images(scan *s, cn_error *err)
{
    cn_status st = CN_OK;
    feed *f = NULL;
    feed_item *item;
    int64_t n = 0, size = s->source->batch, total = (int64_t)s->list.count;
    size_t side = (size_t)s->source->resolution, image = 3 * side * side;
    float *pixels = cn_aligned_calloc((size_t)size * image * sizeof *pixels);
    pending *batch = cn_calloc((size_t)size, sizeof *batch);
    CN_CHECK(pixels && batch, CN_ENOMEM, "out of memory for a batch of %lld pictures", (long long)size);
    feed_options options = {.resolution = s->source->resolution,
                            .thumbnail = s->options.thumbnail,
                            .image = {.apply_orientation = s->options.apply_orientation,
                                      .rgb_first = s->options.rgb_first,
                                      .composite_alpha = s->options.composite_alpha,
                                      .background = {s->options.background[0], s->options.background[1],
                                                     s->options.background[2]}},
                            .threads = s->options.decode_threads,
                            .ahead = 2 * (size_t)size + (size_t)s->options.decode_threads};
    CN_TRY(feed_open(&f, &s->list, &options, err));
    while ((item = feed_next(f))) {
        if (item->status == CN_OK) {
            cn_pixels_normalise(item->rgb, 1, s->source->resolution, s->source->mean, s->source->std,
                                pixels + (size_t)n * image);
            batch[n++] = (pending){.index = item->index,
                                   .thumbnail = item->thumbnail,
                                   .thumbnail_size = item->thumbnail_size,
                                   .thumbnail_type = item->thumbnail_type,
                                   .width = item->width,
                                   .height = item->height,
                                   .format = item->format};
            item->thumbnail = NULL; /* it is the batch's now */
        } else {
            CN_CHECK(item->status != CN_ENOMEM, CN_ENOMEM, "%s: %s", s->list.items[item->index].path,
                     item->reason);
            CN_TRY(add_failure(s, item->index, item->reason, err));
        }
        if (n == size) {
            CN_TRY(run_batch(s, pixels, batch, n, err));
            n = 0;
        }
        CN_CHECK(scan_report(s, CN_SCAN_IMAGES, s->images + s->failed, total, false), CN_ECANCELED,
                 "the scan was cancelled");
    }
    CN_TRY(run_batch(s, pixels, batch, n, err));
    n = 0;
    CN_CHECK(scan_report(s, CN_SCAN_IMAGES, total, total, true), CN_ECANCELED, "the scan was cancelled");
done:
    feed_close(f);
    for (int64_t b = 0; batch && b < n; b++)
        cn_bytes_free(batch[b].thumbnail);
    cn_free(batch);
    cn_free(pixels);
    return st;
}

/* ---- all of it ---- */

static cn_status prepare(scan *s, const char *images, const char *study, cn_error *err)
{
    cn_status st = CN_OK;
    char *path = NULL;
    CN_CHECK(scan_report(s, CN_SCAN_LISTING, 0, 0, true), CN_ECANCELED, "the scan was cancelled");
    CN_TRY(listing_read(&s->list, images, s->options.labels, err));
    CN_CHECK(scan_report(s, CN_SCAN_LISTING, (int64_t)s->list.count, (int64_t)s->list.count, true),
             CN_ECANCELED, "the scan was cancelled");
    CN_TRY(folder_begin(&s->folder, study, s->source->fingerprint, s->options.force, err));
    path = folder_path(&s->folder, "study.sqlite");
    s->kept = cn_calloc(s->list.count, sizeof *s->kept);
    s->written = cn_calloc(s->list.n_media, sizeof *s->written);
    CN_CHECK(path && s->kept && s->written, CN_ENOMEM, "out of memory for a list of %zu pictures",
             s->list.count);
    for (size_t m = 0; m < s->list.n_media; m++)
        s->written[m] = medium_is_written(s->list.media[m]);
    CN_TRY(store_open(&s->store, path, err));
    for (; s->n_sites < s->source->n_sites;) {
        scan_site *w = &s->sites[s->n_sites];
        s->n_sites++;
        CN_TRY(open_site(s, w, s->source->sites[s->n_sites - 1], err));
    }
    CN_TRY(
        matrix_open(&s->embeddings, &s->folder, "embeddings.raw", CN_DTYPE_F32, s->source->embedding, err));
done:
    cn_free(path);
    return st;
}

static void finish(scan *s)
{
    for (size_t i = 0; i < s->n_sites; i++)
        close_site(&s->sites[i]);
    matrix_close(&s->embeddings);
    store_close(s->store);
    folder_discard(&s->folder);
    listing_free(&s->list);
    cn_free(s->kept);
    cn_free(s->written);
    cn_free(s);
}

cn_status scan_source(source *src, const char *images, const char *study, const cn_scan_options *options,
                      cn_scan_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    scan *s = cn_calloc(1, sizeof *s);
    CN_CHECK(s, CN_ENOMEM, "out of memory for a scan");
    s->source = src;
    s->started = scan_clock();
    CN_TRY(fill_options(s, options, err));
    CN_TRY(prepare(s, images, study, err));
    CN_TRY(run_images(s, err));
    CN_TRY(scan_harvest(s, err));
    store *complete = s->store;
    s->store = NULL;
    CN_TRY(store_finish(complete, err));
    for (size_t i = 0; i < s->n_sites; i++) { /* the growing files must be gone before the folder moves */
        matrix_close(&s->sites[i].means);
        matrix_close(&s->sites[i].peaks);
        matrix_close(&s->sites[i].places);
    }
    matrix_close(&s->embeddings);
    CN_TRY(folder_commit(&s->folder, err));
    if (result)
        *result = (cn_scan_result){.images = s->images,
                                   .failed = s->failed,
                                   .ignored = (int64_t)s->list.ignored,
                                   .labelled = s->labelled,
                                   .labels = (int64_t)s->list.n_labels,
                                   .media = (int64_t)s->list.n_media,
                                   .words = s->words,
                                   .seconds = scan_clock() - s->started,
                                   .network_seconds = s->network_seconds};
done:
    if (s)
        finish(s);
    return st;
}
