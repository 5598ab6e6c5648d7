/* bench/bench_scale.c -- a study of many pictures and units, with invented activations in place of a network: what scanning,
 * and merging cost by themselves. bench/scale.py drives it.
 * usage: bench_scale tars FOLDER COUNT EACH          COUNT tars of EACH tiny PNGs, FOLDER/0000.tar ..., with a label and a number each
 *        bench_scale scan IMAGES UNITS STUDY [SHARD SHARDS]
 *        bench_scale merge UNITS STUDY PART...
 * scan and merge print a JSON line: images, seconds of the whole, seconds of the pass, peak resident bytes. */
#include <clipneuron/image.h>

#include "study/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum { RESOLUTION = 16, SIDE = 3, POSITIONS = SIDE * SIDE, EMBEDDING = 64, LABELS = 200 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_scale: %s: %s\n", what, why);
    exit(1);
}

/* ---- pictures ---- */

static void add_member(struct archive *a, const char *name, const void *data, size_t size)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)size);
    if (archive_write_header(a, e) != ARCHIVE_OK || archive_write_data(a, data, size) != (la_ssize_t)size)
        die("cannot write a tar", archive_error_string(a));
    archive_entry_free(e);
}

static void make_tar(const char *folder, int number, int each)
{
    char path[1024], name[64], text[64];
    snprintf(path, sizeof path, "%s/%04d.tar", folder, number);
    struct archive *a = archive_write_new();
    archive_write_set_format_ustar(a);
    if (archive_write_open_filename(a, path) != ARCHIVE_OK)
        die(path, archive_error_string(a));
    for (int i = 0; i < each; i++) {
        const uint32_t id = (uint32_t)(number * each + i);
        uint8_t rgb[RESOLUTION * RESOLUTION * 3];
        void *png;
        size_t size;
        for (int p = 0; p < RESOLUTION * RESOLUTION * 3; p++) /* a few colours, all of them telling the number */
            rgb[p] = (uint8_t)((id >> (p / 48 % 4 * 8)) * 37 + (uint32_t)(p % 3) * 20);
        if (cn_image_encode(rgb, RESOLUTION, RESOLUTION, CN_IMAGE_PNG, 0, &png, &size, NULL) != CN_OK)
            die("cannot make a picture", "out of memory");
        snprintf(name, sizeof name, "%06d.png", i);
        add_member(a, name, png, size);
        snprintf(name, sizeof name, "%06d.cls", i);
        snprintf(text, sizeof text, "label %u", id * 2654435761u % LABELS);
        add_member(a, name, text, strlen(text));
        cn_bytes_free(png);
    }
    if (archive_write_close(a) != ARCHIVE_OK)
        die(path, archive_error_string(a));
    archive_write_free(a);
}

/* ---- activations ---- */

typedef struct invention {
    float *values, *embedding;
    cn_site site;
} invention;

/* Sparse, as behind many ReLUs, and different on every picture. */
static cn_status invent(source *s, const float *pixels, int64_t n, cn_error *err)
{
    invention *v = s->self;
    (void)err;
    for (int64_t b = 0; b < n; b++) {
        uint32_t state = 1;
        const float *image = pixels + b * 3 * RESOLUTION * RESOLUTION;
        for (int p = 0; p < 3 * RESOLUTION * RESOLUTION; p += 16)
            state = (state ^ (uint32_t)(int32_t)(1000 * image[p])) * 16777619u;
        float *to = v->values + b * v->site.units * POSITIONS;
        for (int64_t i = 0; i < v->site.units * POSITIONS; i++) {
            state = state * 1664525u + 1013904223u;
            to[i] = (float)(int32_t)(state >> 8 & 0xffff) / 32768.0f - 1.2f;
        }
        for (int k = 0; k < EMBEDDING; k++)
            v->embedding[b * EMBEDDING + k] = to[k];
    }
    return CN_OK;
}

static const float *invented_site(const source *s, size_t i)
{
    (void)i;
    return ((const invention *)s->self)->values;
}

static const float *invented_embedding(const source *s)
{
    return ((const invention *)s->self)->embedding;
}

static void forget(source *s)
{
    invention *v = s->self;
    free(v->values);
    free(v->embedding);
}

static void open_invention(source *s, invention *v, int64_t units)
{
    memset(s, 0, sizeof *s);
    v->site = (cn_site){.name = "visual.layer4.5.add", .layout = CN_SITE_MAP, .units = units, .height = SIDE, .width = SIDE, .positions = POSITIONS};
    s->batch = 32;
    v->values = calloc((size_t)(s->batch * units * POSITIONS), sizeof(float));
    v->embedding = calloc((size_t)(s->batch * EMBEDDING), sizeof(float));
    if (!v->values || !v->embedding)
        die("activations", "out of memory");
    snprintf(s->model_name, sizeof s->model_name, "invented");
    snprintf(s->model_file, sizeof s->model_file, "none");
    snprintf(s->fingerprint, sizeof s->fingerprint, "%064d", 0);
    snprintf(s->backend, sizeof s->backend, "none");
    s->precision = "fp32";
    s->resolution = RESOLUTION;
    s->embedding = EMBEDDING;
    s->n_sites = 1;
    s->sites[0] = &v->site;
    s->images = invent;
    s->site = invented_site;
    s->image_embedding = invented_embedding;
    s->close = forget;
    s->self = v;
}

/* ---- what is measured ---- */

typedef struct marks {
    double first, last;
} marks;

static bool mark(const cn_scan_progress *p, void *user)
{
    marks *m = user;
    if (p->phase == CN_SCAN_IMAGES && m->first == 0)
        m->first = now();
    if (p->phase == CN_SCAN_IMAGES)
        m->last = now();
    return true;
}

static void tell(const cn_scan_result *r, double begin, const marks *m)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"images\": %lld, \"seconds\": %.3f, \"pass\": %.3f, \"resident\": %lld}\n", (long long)r->images, now() - begin, m->last - m->first,
           (long long)usage.ru_maxrss * 1024);
}

static void scan(int argc, char **argv)
{
    source s;
    invention v;
    marks m = {0};
    cn_error err = {0};
    cn_scan_result r;
    cn_scan_options o = {.no_words = true, .force = true, .progress = mark, .user = &m, .thumbnail = 16};
    if (argc > 6) {
        o.shard = atoi(argv[5]);
        o.shards = atoi(argv[6]);
        o.no_matrices = true;
    }
    open_invention(&s, &v, atoi(argv[3]));
    const double begin = now();
    if (scan_source(&s, argv[2], argv[4], &o, &r, &err) != CN_OK)
        die("scan", err.text);
    tell(&r, begin, &m);
    s.close(&s);
}

static void merge(int argc, char **argv)
{
    source s;
    invention v;
    marks m = {0};
    cn_error err = {0};
    cn_scan_result r;
    const cn_scan_options o = {.no_words = true, .force = true};
    open_invention(&s, &v, atoi(argv[2]));
    const double begin = now();
    if (merge_source(&s, (const char *const *)argv + 4, (size_t)(argc - 4), argv[3], &o, &r, &err) != CN_OK)
        die("merge", err.text);
    tell(&r, begin, &m);
    s.close(&s);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "tars") == 0 && argc == 5) {
        mkdir(argv[2], 0777);
        for (int i = 0; i < atoi(argv[3]); i++)
            make_tar(argv[2], i, atoi(argv[4]));
    } else if (strcmp(what, "scan") == 0 && (argc == 5 || argc == 7)) {
        scan(argc, argv);
    } else if (strcmp(what, "merge") == 0 && argc > 4) {
        merge(argc, argv);
    } else {
        die("usage", "bench_scale tars|scan|merge ...; see the top of its source");
    }
    return 0;
}
