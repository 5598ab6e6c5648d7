/* vis/facet.c -- facets trained, written and read again; see clipneuron/facet.h. */
#include "clipneuron/facet.h"
#include "vis/logistic.h"

#include "base/memory.h"
#include "clip/grid.h"
#include "clipneuron/array.h"
#include "clipneuron/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABOUT "clipneuron-facets" /* the array of bytes that describes the others, and the first word in it */
#define VERSION 1
#define MAX_ABOUT ((size_t)1 << 20)
#define MAX_KEPT ((size_t)1 << 30) /* bytes of decoded pictures */
#define FEWEST_PICTURES 8 /* of a facet, and of generic ones */

struct cn_facets {
    const cn_model *model;
    cn_arrays *arrays;
    cn_facet_info *info;
    char (*name)[CN_MAX_FACET_NAME + 1];
    size_t n;
    const cn_site *site[CN_MAX_FACET_SITES];
    size_t n_sites;
    float **weights;          /* (facet, site); owned */
    int64_t (*size)[2];       /* height and width, per site */
};

/* ---- sites ---- */

size_t cn_facet_default_sites(const cn_model *model, const cn_site **sites)
{
    const cn_model_info *info = cn_model_get_info(model);
    const bool resnet = info->architecture == CN_ARCH_RESNET;
    const int blocks = resnet ? info->blocks[2] : info->blocks[0];
    const int from = resnet ? 0 : blocks / 3, to = resnet ? blocks : blocks - blocks / 3;
    size_t n = 0;
    for (int b = to - 1; b >= from && n < CN_MAX_FACET_SITES; b -= 2) {
        char name[80];
        snprintf(name, sizeof name, resnet ? "visual.layer3.%d" : "visual.transformer.resblocks.%d", b);
        if (cn_model_find_site(model, name, &sites[n], NULL) == CN_OK)
            n++;
    }
    for (size_t i = 0; i < n / 2; i++) { /* lowest first */
        const cn_site *swap = sites[i];
        sites[i] = sites[n - 1 - i], sites[n - 1 - i] = swap;
    }
    return n;
}

/* ---- training ---- */

typedef struct trainer {
    const cn_model *model;
    const cn_facet_options *o;
    const cn_site *site[CN_MAX_FACET_SITES];
    size_t n_sites;
    const char **path;       /* facets one after the other, then the generic ones; borrowed strings */
    size_t *facet;           /* per picture: its facet, n_facets for generic */
    bool *readable, *held;
    bool *own;               /* (n_facets, n): the picture is one of the facet's, under whatever heading it stands */
    size_t n, n_facets, done;
    bool has_generic;        /* else the pictures of the other facets are */
    float *x;                /* (n, d) of the present site */
    uint8_t *rgb;            /* (n, R, R, 3), decoded once; NULL where they are too many to keep */
    bool decoded;
} trainer;

/* Whether a picture is held out depends on its path alone. */
static bool is_held_out(const char *path, double share)
{
    uint64_t h = 1469598103934665603u;
    for (const char *c = path; *c; c++)
        h = (h ^ (unsigned char)*c) * 1099511628211u;
    h ^= h >> 33, h *= 0xff51afd7ed558ccdu, h ^= h >> 33;
    return (double)(h >> 11) / 9007199254740992.0 < share;
}

static bool good_name(const char *name)
{
    const size_t n = strlen(name);
    return n >= 1 && n <= CN_MAX_FACET_NAME &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static bool decode(const char *path, int side, uint8_t *rgb)
{
    cn_image *image = NULL;
    const bool good = cn_image_load(&image, path, NULL, NULL) == CN_OK && cn_image_preprocess(image, side, rgb, NULL) == CN_OK;
    cn_image_free(image);
    return good;
}

/* All pictures through the network; the values of one site into t->x, scaled to a root mean square of 1. */
static cn_status read_site(trainer *t, size_t index, size_t passes, double *rms, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(t->model);
    const int batch = t->o->batch > 0 ? t->o->batch : 16;
    const size_t image = 3 * (size_t)info->resolution * (size_t)info->resolution;
    const int64_t d = t->site[index]->units * t->site[index]->positions;
    const cn_runner_options run = {.tower = CN_TOWER_IMAGE, .sites = &t->site[index], .n_sites = 1, .batch = batch,
                                   .threads = t->o->threads, .precision = t->o->precision};
    float *pixels = cn_pages_calloc((size_t)batch * image * sizeof *pixels);
    uint8_t *rgb = cn_malloc(image);
    size_t *which = cn_calloc((size_t)batch, sizeof *which), waiting = 0;
    cn_runner *r = NULL;
    double square = 0;
    CN_CHECK(pixels && rgb && which, CN_ENOMEM, "out of memory for pictures");
    CN_TRY(cn_runner_create(&r, t->model, &run, err));
    for (size_t i = 0; i <= t->n; i++) {
        if (i < t->n && t->readable[i]) {
            uint8_t *to = t->rgb ? t->rgb + i * image : rgb;
            t->readable[i] = t->decoded || decode(t->path[i], info->resolution, to);
            if (t->readable[i]) {
                cn_pixels_normalise(to, 1, info->resolution, info->mean, info->std, pixels + waiting * image);
                which[waiting++] = i;
            }
        }
        if (waiting && (waiting == (size_t)batch || i == t->n)) {
            CN_TRY(cn_runner_images(r, pixels, (int64_t)waiting, err));
            for (size_t k = 0; k < waiting; k++)
                memcpy(t->x + which[k] * (size_t)d, cn_runner_site(r, 0) + k * (size_t)d, (size_t)d * sizeof *t->x);
            waiting = 0;
        }
        if (i < t->n) {
            t->done++;
            CN_CHECK(!t->o->go_on || t->o->go_on(t->o->user, t->done, passes * t->n), CN_ECANCELED, "the training was cancelled");
        }
    }
    t->decoded = t->rgb != NULL;
    int64_t values = 0;
    for (size_t i = 0; i < t->n; i++)
        for (int64_t k = 0; t->readable[i] && k < d; k++, values++)
            square += (double)t->x[i * (size_t)d + (size_t)k] * (double)t->x[i * (size_t)d + (size_t)k];
    *rms = values && square > 0 ? sqrt(square / (double)values) : 1;
    for (size_t i = 0; i < t->n * (size_t)d; i++)
        t->x[i] = (float)(t->x[i] / *rms);
done:
    cn_runner_free(r);
    cn_pages_free(pixels);
    cn_free(rgb);
    cn_free(which);
    return st;
}

/* Whether picture i is one that facet k is told apart from. */
static bool is_generic(const trainer *t, size_t i, size_t k)
{
    return !t->own[k * t->n + i] && (t->has_generic ? t->facet[i] == t->n_facets : true);
}

/* Rows of one facet and of the generic pictures, held out or not, next to each other. */
static void gather(const trainer *t, size_t facet, bool held, int64_t d, float *x, bool *positive, int64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->readable[i] || t->held[i] != held || (t->facet[i] != facet && !is_generic(t, i, facet)))
            continue;
        memcpy(x + *n * d, t->x + (int64_t)i * d, (size_t)d * sizeof *x);
        positive[(*n)++] = t->facet[i] == facet;
    }
}

static cn_status train_site(trainer *t, size_t index, cn_npz_writer *out, const cn_facet_pictures *facets, float *accuracy, double rms,
                            cn_error *err)
{
    cn_status st = CN_OK;
    const cn_site *site = t->site[index];
    const int64_t d = site->units * site->positions;
    float *rows = cn_pages_calloc(t->n * (size_t)d * sizeof *rows), *w = cn_pages_calloc((size_t)d * sizeof *w);
    bool *positive = cn_calloc(t->n + 1, sizeof *positive);
    CN_CHECK(rows && w && positive, CN_ENOMEM, "out of memory for a regression of %lld values", (long long)d);
    for (size_t k = 0; k < t->n_facets; k++) {
        const int64_t shape[3] = {site->units, site->height, site->width};
        char name[CN_MAX_FACET_NAME + 200];
        logistic_rows seen = {rows, positive, 0, d};
        const logistic_options options = {.l2 = t->o->l2};
        logistic_result result;
        gather(t, k, false, d, rows, positive, &seen.n);
        memset(w, 0, (size_t)d * sizeof *w);
        CN_TRY(logistic_fit(&seen, &options, w, &result, err));
        gather(t, k, true, d, rows, positive, &seen.n);
        accuracy[k] = (float)logistic_accuracy(&seen, w);
        /* for values as they are, and units first, which tokens are not */
        for (int64_t p = 0; p < site->positions; p++)
            for (int64_t u = 0; u < site->units; u++)
                rows[u * site->positions + p] = (float)(w[clip_value_index(site, u, p, site->positions)] / rms);
        snprintf(name, sizeof name, "%s/%s", facets[k].name, site->name);
        CN_TRY(cn_npz_writer_add(out, name, CN_DTYPE_F32, 3, shape, rows, err));
    }
done:
    cn_pages_free(rows);
    cn_pages_free(w);
    cn_free(positive);
    return st;
}

static cn_status collect(trainer *t, const cn_facet_pictures *facets, const char *const *generic, size_t n_generic, cn_error *err)
{
    cn_status st = CN_OK;
    const double share = t->o->held_out > 0 ? t->o->held_out : 0.2;
    t->n = n_generic;
    for (size_t k = 0; k < t->n_facets; k++)
        t->n += facets[k].n;
    t->path = cn_calloc(t->n, sizeof *t->path);
    t->facet = cn_calloc(t->n, sizeof *t->facet);
    t->readable = cn_calloc(t->n, sizeof *t->readable);
    t->held = cn_calloc(t->n, sizeof *t->held);
    CN_CHECK(t->path && t->facet && t->readable && t->held, CN_ENOMEM, "out of memory for %zu pictures", t->n);
    size_t at = 0;
    for (size_t k = 0; k <= t->n_facets; k++) {
        const size_t n = k < t->n_facets ? facets[k].n : n_generic;
        for (size_t i = 0; i < n; i++, at++) {
            t->path[at] = k < t->n_facets ? facets[k].paths[i] : generic[i];
            t->facet[at] = k;
            t->readable[at] = true;
            t->held[at] = is_held_out(t->path[at], share);
        }
    }
done:
    return st;
}

typedef struct named {
    const char *path;
    size_t number;
} named;

static int by_path(const void *a, const void *b)
{
    return strcmp(((const named *)a)->path, ((const named *)b)->path);
}

/* A picture of a facet may be among the generic ones, too, or belong to two facets. */
static cn_status mark_own(trainer *t, cn_error *err)
{
    cn_status st = CN_OK;
    named *sorted = cn_calloc(t->n + 1, sizeof *sorted);
    t->own = cn_calloc(t->n_facets * t->n + 1, sizeof *t->own);
    CN_CHECK(sorted && t->own, CN_ENOMEM, "out of memory for %zu pictures", t->n);
    for (size_t i = 0; i < t->n; i++)
        sorted[i] = (named){t->path[i], i};
    qsort(sorted, t->n, sizeof *sorted, by_path);
    for (size_t from = 0, to; from < t->n; from = to) {
        for (to = from + 1; to < t->n && strcmp(sorted[from].path, sorted[to].path) == 0;)
            to++;
        for (size_t a = from; a < to; a++)
            for (size_t b = from; b < to && t->facet[sorted[a].number] < t->n_facets; b++)
                t->own[t->facet[sorted[a].number] * t->n + sorted[b].number] = true;
    }
done:
    cn_free(sorted);
    return st;
}

/* Pictures of facet k that could be read, or those that it is told apart from. */
static int64_t count_of(const trainer *t, size_t k, bool generic)
{
    int64_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->readable[i] && (generic ? is_generic(t, i, k) : t->facet[i] == k);
    return n;
}

static cn_status describe(trainer *t, cn_npz_writer *out, const cn_facet_pictures *facets, const float *accuracy, cn_error *err)
{
    cn_status st = CN_OK;
    char fingerprint[65], *text = cn_malloc(MAX_ABOUT);
    size_t n = 0;
    CN_CHECK(text, CN_ENOMEM, "out of memory for the description of facets");
    CN_TRY(cn_model_fingerprint(t->model, fingerprint, err));
    n += (size_t)snprintf(text, MAX_ABOUT, ABOUT "\t%d\t%s\nsites", VERSION, fingerprint);
    for (size_t s = 0; s < t->n_sites; s++)
        n += (size_t)snprintf(text + n, MAX_ABOUT - n, "\t%s", t->site[s]->name);
    for (size_t k = 0; k < t->n_facets; k++) {
        n += (size_t)snprintf(text + n, MAX_ABOUT - n, "\n%s\t%lld\t%lld", facets[k].name, (long long)count_of(t, k, false),
                              (long long)count_of(t, k, true));
        for (size_t s = 0; s < t->n_sites; s++)
            n += (size_t)snprintf(text + n, MAX_ABOUT - n, "\t%.6f", (double)accuracy[s * t->n_facets + k]);
    }
    n += (size_t)snprintf(text + n, MAX_ABOUT - n, "\n");
    const int64_t shape[1] = {(int64_t)n};
    CN_TRY(cn_npz_writer_add(out, ABOUT, CN_DTYPE_U8, 1, shape, text, err));
done:
    cn_free(text);
    return st;
}

cn_status cn_facets_train(const char *path, const cn_model *model, const cn_facet_pictures *facets, size_t n_facets,
                          const char *const *generic, size_t n_generic, const cn_facet_options *options, size_t *unreadable, cn_error *err)
{
    cn_status st = CN_OK;
    static const cn_facet_options defaults = {0};
    trainer t = {.model = model, .o = options ? options : &defaults, .n_facets = n_facets, .has_generic = n_generic > 0};
    float *accuracy = NULL;
    cn_npz_writer *out = NULL;
    CN_CHECK(n_facets >= 1 && n_facets <= CN_MAX_FACETS, CN_EINVAL, "1 to %d facets can be trained, not %zu", CN_MAX_FACETS, n_facets);
    CN_CHECK(n_generic >= FEWEST_PICTURES || (n_generic == 0 && n_facets > 1), CN_EINVAL,
             "%zu generic pictures; %d at least are needed, or two facets, each of which is told from the other", n_generic, FEWEST_PICTURES);
    for (size_t k = 0; k < n_facets; k++) {
        CN_CHECK(good_name(facets[k].name), CN_EINVAL, "\"%.80s\" is no name for a facet: letters, digits, - and _, at most %d",
                 facets[k].name, CN_MAX_FACET_NAME);
        CN_CHECK(facets[k].n >= FEWEST_PICTURES, CN_EINVAL, "facet %s has %zu pictures; %d at least are needed", facets[k].name, facets[k].n,
                 FEWEST_PICTURES);
        for (size_t i = 0; i < k; i++)
            CN_CHECK(strcmp(facets[k].name, facets[i].name) != 0, CN_EINVAL, "facet %s is named twice", facets[k].name);
    }
    if (t.o->n_sites) {
        CN_CHECK(t.o->n_sites <= CN_MAX_FACET_SITES, CN_ELIMIT, "%zu sites, the limit is %d", t.o->n_sites, CN_MAX_FACET_SITES);
        for (; t.n_sites < t.o->n_sites; t.n_sites++) {
            CN_TRY(cn_model_find_site(model, t.o->sites[t.n_sites], &t.site[t.n_sites], err));
            CN_CHECK(t.site[t.n_sites]->tower == CN_TOWER_IMAGE, CN_EINVAL, "%s is a site of the text tower", t.site[t.n_sites]->name);
        }
    } else {
        t.n_sites = cn_facet_default_sites(model, t.site);
    }
    CN_CHECK(t.n_sites, CN_EINVAL, "the model has no site for facets: name one");
    CN_TRY(collect(&t, facets, generic, n_generic, err));
    CN_TRY(mark_own(&t, err));
    accuracy = cn_calloc(t.n_sites * n_facets, sizeof *accuracy);
    CN_CHECK(accuracy, CN_ENOMEM, "out of memory for facets");
    CN_TRY(cn_npz_writer_open(&out, path, err));
    const size_t side = (size_t)cn_model_get_info(model)->resolution;
    if (t.n_sites > 1 && t.n <= MAX_KEPT / (3 * side * side))
        t.rgb = cn_malloc(t.n * 3 * side * side); /* without it, pictures are decoded again for each site */
    for (size_t s = 0; s < t.n_sites; s++) {
        const size_t bytes = t.n * (size_t)(t.site[s]->units * t.site[s]->positions) * sizeof(float);
        double rms;
        cn_pages_free(t.x);
        t.x = cn_pages_calloc(bytes);
        CN_CHECK(t.x, CN_ENOMEM, "%zu bytes for %zu pictures at %s; fewer pictures need less", bytes, t.n, t.site[s]->name);
        CN_TRY(read_site(&t, s, t.n_sites, &rms, err));
        for (size_t k = 0; k < 2 * n_facets && s == 0; k++)
            CN_CHECK(count_of(&t, k / 2, k % 2) >= FEWEST_PICTURES, CN_EINVAL, "%lld pictures of %s%s can be read; %d at least are needed",
                     (long long)count_of(&t, k / 2, k % 2), k % 2 ? "what is not " : "", facets[k / 2].name, FEWEST_PICTURES);
        CN_TRY(train_site(&t, s, out, facets, accuracy + s * n_facets, rms, err));
    }
    CN_TRY(describe(&t, out, facets, accuracy, err));
    st = cn_npz_writer_finish(out, err), out = NULL;
    CN_TRY(st);
    for (size_t i = 0; unreadable && i < t.n; i++)
        *unreadable = (i ? *unreadable : 0) + !t.readable[i];
done:
    cn_npz_writer_discard(out);
    cn_pages_free(t.x);
    cn_free(t.rgb);
    cn_free(t.path), cn_free(t.facet), cn_free(t.readable), cn_free(t.held), cn_free(t.own);
    cn_free(accuracy);
    return st;
}

/* ---- reading ---- */

void cn_facets_close(cn_facets *f)
{
    if (!f)
        return;
    for (size_t i = 0; f->weights && i < f->n * f->n_sites; i++)
        cn_free(f->weights[i]);
    cn_free(f->weights);
    cn_free(f->size);
    cn_free(f->info);
    cn_free(f->name);
    cn_arrays_close(f->arrays);
    cn_free(f);
}

/* The next field of a line, cut off in place; NULL at its end. */
static char *next_field(char **at)
{
    char *begin = *at;
    if (!begin)
        return NULL;
    char *end = strchr(begin, '\t');
    *at = end ? end + 1 : NULL;
    if (end)
        *end = 0;
    return begin;
}

static cn_status read_sites(cn_facets *f, char *line, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    char *field = next_field(&line);
    CN_CHECK(field && !strcmp(field, "sites"), CN_EFORMAT, "%s: its description lacks the sites", path);
    while ((field = next_field(&line))) {
        CN_CHECK(f->n_sites < CN_MAX_FACET_SITES, CN_ELIMIT, "%s: more than %d sites", path, CN_MAX_FACET_SITES);
        CN_TRY(cn_model_find_site(f->model, field, &f->site[f->n_sites], err));
        f->n_sites++;
    }
    CN_CHECK(f->n_sites, CN_EFORMAT, "%s: its description names no site", path);
done:
    return st;
}

static cn_status read_facet(cn_facets *f, char *line, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    char *name = next_field(&line), *pictures = next_field(&line), *generic = next_field(&line);
    CN_CHECK(name && pictures && generic && good_name(name), CN_EFORMAT, "%s: its description is damaged", path);
    CN_CHECK(f->n < CN_MAX_FACETS, CN_ELIMIT, "%s: more than %d facets", path, CN_MAX_FACETS);
    cn_facet_info *info = &f->info[f->n];
    memcpy(f->name[f->n], name, strlen(name) + 1);
    info->name = f->name[f->n];
    info->pictures = strtoll(pictures, NULL, 10);
    info->generic = strtoll(generic, NULL, 10);
    for (size_t s = 0; s < f->n_sites; s++) {
        const char *field = next_field(&line);
        CN_CHECK(field, CN_EFORMAT, "%s: its description is damaged", path);
        info->accuracy[s] = (float)strtod(field, NULL);
    }
    f->n++;
done:
    return st;
}

static cn_status read_weights(cn_facets *f, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    f->weights = cn_calloc(f->n * f->n_sites, sizeof *f->weights);
    f->size = cn_calloc(f->n_sites, sizeof *f->size);
    CN_CHECK(f->weights && f->size, CN_ENOMEM, "out of memory for facets");
    for (size_t k = 0; k < f->n; k++)
        for (size_t s = 0; s < f->n_sites; s++) {
            char name[CN_MAX_FACET_NAME + 200];
            snprintf(name, sizeof name, "%s/%s", f->name[k], f->site[s]->name);
            const cn_tensor *t = cn_arrays_find(f->arrays, name);
            CN_CHECK(t, CN_EFORMAT, "%s: no array %s", path, name);
            CN_CHECK(t->ndim == 3 && t->shape[0] == f->site[s]->units && t->count > 0 &&
                         (k == 0 || (t->shape[1] == f->size[s][0] && t->shape[2] == f->size[s][1])),
                     CN_EFORMAT, "%s: %s has another shape than its site", path, name);
            f->size[s][0] = t->shape[1], f->size[s][1] = t->shape[2];
            float *w = f->weights[k * f->n_sites + s] = cn_malloc((size_t)t->count * sizeof *w);
            CN_CHECK(w, CN_ENOMEM, "out of memory for facets");
            cn_tensor_read_f32(t, w);
            for (int64_t i = 0; i < t->count; i++)
                CN_CHECK(isfinite(w[i]), CN_EFORMAT, "%s: %s holds what is no number", path, name);
        }
done:
    return st;
}

cn_status cn_facets_open(cn_facets **out, const char *path, const cn_model *model, cn_error *err)
{
    cn_status st = CN_OK;
    char fingerprint[65], *text = NULL;
    cn_facets *f = cn_calloc(1, sizeof *f);
    *out = NULL;
    CN_CHECK(f, CN_ENOMEM, "out of memory for facets");
    f->model = model;
    f->info = cn_calloc(CN_MAX_FACETS, sizeof *f->info);
    f->name = cn_calloc(CN_MAX_FACETS, sizeof *f->name);
    CN_CHECK(f->info && f->name, CN_ENOMEM, "out of memory for facets");
    CN_TRY(cn_arrays_open(&f->arrays, path, err));
    const cn_tensor *about = cn_arrays_find(f->arrays, ABOUT);
    CN_CHECK(about && about->dtype == CN_DTYPE_U8 && about->ndim == 1 && (size_t)about->count < MAX_ABOUT, CN_EFORMAT,
             "%s: no facets: it lacks the array " ABOUT, path);
    text = cn_strndup(about->data, (size_t)about->count);
    CN_CHECK(text, CN_ENOMEM, "out of memory for facets");
    CN_TRY(cn_model_fingerprint(model, fingerprint, err));
    char *line = text, *end = NULL;
    for (int number = 0; line && *line; number++, line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        if (number == 0) {
            const char *word = next_field(&line), *version = next_field(&line), *made_for = next_field(&line);
            CN_CHECK(word && version && made_for && !strcmp(word, ABOUT), CN_EFORMAT, "%s: its description is damaged", path);
            CN_CHECK(atoi(version) == VERSION, CN_EUNSUPPORTED, "%s: facets of version %.10s, this program reads %d", path, version, VERSION);
            CN_CHECK(!strcmp(made_for, fingerprint), CN_EMISMATCH, "%s: these facets were trained on another model", path);
        } else if (number == 1) {
            CN_TRY(read_sites(f, line, path, err));
        } else {
            CN_TRY(read_facet(f, line, path, err));
        }
    }
    CN_CHECK(f->n, CN_EFORMAT, "%s: holds no facet", path);
    CN_TRY(read_weights(f, path, err));
    *out = f, f = NULL;
done:
    cn_free(text);
    cn_facets_close(f);
    return st;
}

size_t cn_facets_count(const cn_facets *f)
{
    return f->n;
}

const cn_facet_info *cn_facets_info(const cn_facets *f, size_t i)
{
    return i < f->n ? &f->info[i] : NULL;
}

cn_status cn_facets_find(const cn_facets *f, const char *name, size_t *index, cn_error *err)
{
    char names[512] = "";
    size_t at = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (!strcmp(f->name[i], name)) {
            *index = i;
            return CN_OK;
        }
        if (at < sizeof names)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", f->name[i]);
    }
    return cn_fail(err, CN_ENOTFOUND, "no facet \"%.80s\"; there are %s", name, names);
}

size_t cn_facets_site_count(const cn_facets *f)
{
    return f->n_sites;
}

const cn_site *cn_facets_site(const cn_facets *f, size_t i)
{
    return i < f->n_sites ? f->site[i] : NULL;
}

const float *cn_facets_weights(const cn_facets *f, size_t facet, size_t site, int64_t *height, int64_t *width)
{
    if (facet >= f->n || site >= f->n_sites)
        return NULL;
    *height = f->size[site][0];
    *width = f->size[site][1];
    return f->weights[facet * f->n_sites + site];
}

/* ---- using ---- */

/* Adds a regression's value for picture i at one site; weights are (units, positions), values as the site's layout has them. */
static double regression(const cn_site *site, const float *w, const float *a)
{
    double sum = 0;
    for (int64_t u = 0; u < site->units; u++)
        for (int64_t p = 0; p < site->positions; p++)
            sum += (double)w[u * site->positions + p] * a[clip_value_index(site, u, p, site->positions)];
    return sum;
}

cn_status cn_facets_score(const cn_facets *f, const cn_runner *runner, int64_t n, float *share, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t s = 0; s < f->n_sites; s++) {
        int64_t height, width;
        cn_runner_site_size(runner, f->site[s], &height, &width);
        CN_CHECK(f->size[s][0] == height && f->size[s][1] == width, CN_EMISMATCH, "the facets are %lld x %lld at %s, the pictures %lld x %lld",
                 (long long)f->size[s][0], (long long)f->size[s][1], f->site[s]->name, (long long)height, (long long)width);
    }
    for (int64_t i = 0; i < n; i++)
        for (size_t k = 0; k < f->n; k++) {
            double sum = 0;
            for (size_t s = 0; s < f->n_sites; s++)
                sum += regression(f->site[s], f->weights[k * f->n_sites + s], cn_runner_site(runner, s) + i * f->site[s]->units * f->site[s]->positions);
            share[i * (int64_t)f->n + (int64_t)k] = (float)(1 / (1 + exp(-sum / (double)f->n_sites)));
        }
done:
    return st;
}
