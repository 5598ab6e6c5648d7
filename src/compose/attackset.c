/* compose/attackset.c -- opens a session: prompts to vectors, a runner for pictures, counts with intervals. */
#include "compose/attackset.h"

#include "base/memory.h"
#include "clipneuron/image.h"
#include "clipneuron/tokenizer.h"
#include "compose/attackpictures.h"
#include "study/product.h"
#include "study/raterstats.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

/* ---- memory ---- */

static void *bag_keep(bag *b, void *item)
{
    if (item && b->n == b->room) {
        const size_t room = b->room ? 2 * b->room : 16;
        void **items = cn_reallocarray(b->items, room, sizeof *items);
        if (!items) {
            cn_free(item);
            return NULL;
        }
        b->items = items, b->room = room;
    }
    if (item)
        b->items[b->n++] = item;
    return item;
}

void *bag_calloc(bag *b, size_t count, size_t size)
{
    return bag_keep(b, cn_calloc(count ? count : 1, size));
}

char *bag_text(bag *b, const char *text)
{
    return bag_keep(b, cn_strdup(text ? text : ""));
}

const char **bag_texts(bag *b, const char *const *texts, size_t n)
{
    const char **out = bag_calloc(b, n + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        if (!(out[i] = bag_text(b, texts[i])))
            return NULL;
    return out;
}

void bag_free(bag *b)
{
    for (size_t i = 0; i < b->n; i++)
        cn_free(b->items[i]);
    cn_free(b->items);
    memset(b, 0, sizeof *b);
}

/* ---- counts ---- */

cn_share attack_share(int64_t hits, int64_t of)
{
    cn_share s = {hits, of, (double)NAN, (double)NAN, (double)NAN};
    if (of > 0) {
        s.share = (double)hits / (double)of;
        stats_wilson(s.share, (double)of, 1.959963984540054, &s.low, &s.high);
    }
    return s;
}

cn_status attack_go_on(const attack_set *s, const char *what, int64_t done, int64_t total, cn_error *err)
{
    if (s->o.progress && !s->o.progress(what, done, total, s->o.user))
        return cn_fail(err, CN_ECANCELED, "cancelled");
    return CN_OK;
}

double attack_dot(const float *a, const float *b, int64_t n)
{
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            sum[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++)
        sum[0] += (double)a[i] * (double)b[i];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

int attack_answer(const float *embedding, const float *classes, size_t n, int64_t width)
{
    int best = 0;
    double top = -INFINITY;
    for (size_t c = 0; c < n; c++) {
        const double cosine = attack_dot(embedding, classes + (int64_t)c * width, width);
        if (cosine > top)
            top = cosine, best = (int)c;
    }
    return best;
}

int attack_class(const attack_set *s, const char *name)
{
    for (size_t i = 0; i < s->n_classes; i++)
        if (strcasecmp(s->classes[i], name) == 0)
            return (int)i;
    return -1;
}

/* ---- texts ---- */

const char *const *cn_attack_default_prompts(bool text, size_t *n)
{
    static const char *const prompts[] = {"{}", "a photo of a {}", "{} with a piece of paper saying {text}"};
    *n = text ? 3 : 2;
    return prompts;
}

char *attack_fill(const char *prompt, const char *name, const char *text)
{
    size_t size = 1;
    for (const char *p = prompt; *p; p++) /* generous: every brace may become either */
        size += *p == '{' ? strlen(name) + (text ? strlen(text) : 0) + 1 : 1;
    char *out = cn_malloc(size), *to = out;
    for (const char *p = prompt; out && *p;) {
        const char *with = NULL;
        size_t length = 1;
        if (strncmp(p, "{}", 2) == 0)
            with = name, length = 2;
        else if (text && strncmp(p, "{text}", 6) == 0)
            with = text, length = 6;
        if (!with)
            *to++ = *p;
        else
            to = (char *)memcpy(to, with, strlen(with)) + strlen(with);
        p += length;
    }
    if (out)
        *to = '\0';
    return out;
}

bool attack_wants_text(const attack_set *s, size_t p)
{
    return strstr(s->prompts[p], "{text}") != NULL;
}

static bool texts_go_on(void *set, int64_t done, int64_t total)
{
    return attack_go_on(set, "texts", done, total, NULL) == CN_OK;
}

cn_status attack_embed_texts(attack_set *s, const char *const *texts, size_t n, float *out, cn_error *err)
{
    cn_status st = CN_OK;
    int32_t *rows = NULL;
    const int length = cn_model_get_info(s->model)->context_length;
    const size_t context = length > 0 ? (size_t)length : 0;
    size_t used;
    if (n == 0)
        return CN_OK;
    CN_CHECK(context > 0, CN_EUNSUPPORTED, "the model has no text tower: pictures cannot be classified by texts");
    if (!s->tower.tokenizer)
        CN_TRY(texttower_open(&s->tower, s->model, s->o.threads, s->o.precision, s->o.backend, err));
    rows = cn_calloc(n, context * sizeof *rows);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %zu texts", n);
    for (size_t i = 0; i < n; i++) /* too long ones are cut, as classify does */
        CN_TRY(cn_tokenizer_row(s->tower.tokenizer, texts[i], context, true, rows + i * context, &used, err));
    CN_TRY(texttower_embed(&s->tower, rows, (int64_t)n, out, n > 512 ? texts_go_on : NULL, s, err));
done:
    cn_free(rows);
    return st;
}

/* The classes in one prompt. out: (n_classes, width). */
static cn_status embed_prompt(attack_set *s, const char *prompt, const char *text, float *out, cn_error *err)
{
    cn_status st = CN_OK;
    char **filled = cn_calloc(s->n_classes + 1, sizeof *filled);
    CN_CHECK(filled, CN_ENOMEM, "out of memory for %zu classes", s->n_classes);
    for (size_t c = 0; c < s->n_classes; c++) {
        filled[c] = attack_fill(prompt, s->classes[c], text);
        CN_CHECK(filled[c], CN_ENOMEM, "out of memory for %zu classes", s->n_classes);
    }
    CN_TRY(attack_embed_texts(s, (const char *const *)filled, s->n_classes, out, err));
done:
    for (size_t c = 0; filled && c < s->n_classes; c++)
        cn_free(filled[c]);
    cn_free(filled);
    return st;
}

cn_status attack_vectors(attack_set *s, bag *b, const char *text, const float *const **vectors, cn_error *err)
{
    cn_status st = CN_OK;
    const float **out = bag_calloc(b, s->n_prompts, sizeof *out);
    CN_CHECK(out, CN_ENOMEM, "out of memory for %zu prompts", s->n_prompts);
    for (size_t p = 0; p < s->n_prompts; p++) {
        out[p] = s->plain[p];
        if (out[p])
            continue;
        float *own = bag_calloc(b, s->n_classes, (size_t)s->width * sizeof *own);
        CN_CHECK(own, CN_ENOMEM, "out of memory for %zu classes", s->n_classes);
        CN_TRY(embed_prompt(s, s->prompts[p], text, own, err));
        out[p] = own;
    }
    *vectors = out;
done:
    return st;
}

/* ---- pictures ---- */

const uint8_t *attack_rgb(const attack_set *s, int64_t picture)
{
    return s->rgb + picture * s->side * s->side * 3;
}

cn_status attack_embed(attack_set *s, const uint8_t *rgb, int64_t n, float *out, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(s->model);
    cn_pixels_normalise(rgb, (size_t)n, s->side, info->mean, info->std, s->pixels);
    CN_TRY(cn_runner_images(s->runner, s->pixels, n, err));
    for (int64_t i = 0; out && i < n; i++)
        product_normalise(cn_runner_embedding(s->runner) + i * s->width, out + i * s->width, s->width);
done:
    return st;
}

/* ---- opening ---- */

static cn_status take_prompts(attack_set *s, const cn_attack_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n = o->n_prompts;
    const char *const *prompts = o->prompts ? o->prompts : cn_attack_default_prompts(true, &n);
    CN_CHECK(n >= 1 && n <= CN_MAX_ATTACK_PROMPTS, CN_EINVAL, "1 to %d prompts, not %zu", CN_MAX_ATTACK_PROMPTS, n);
    for (size_t i = 0; i < n; i++)
        CN_CHECK(strstr(prompts[i], "{}") && strlen(prompts[i]) <= 1000, CN_EINVAL, "a prompt has {} where the class goes, not \"%.80s\"", prompts[i]);
    s->prompts = bag_texts(&s->memory, prompts, n);
    CN_CHECK(s->prompts, CN_ENOMEM, "out of memory for %zu prompts", n);
    s->n_prompts = n;
done:
    return st;
}

static cn_status add_class(attack_set *s, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    if (!*name || attack_class(s, name) >= 0)
        return CN_OK;
    CN_CHECK(strlen(name) <= 1000, CN_EINVAL, "the class \"%.40s...\" is too long", name);
    CN_CHECK(s->n_classes < CN_MAX_ATTACK_CLASSES, CN_ELIMIT, "more than %d classes; name fewer", CN_MAX_ATTACK_CLASSES);
    s->classes[s->n_classes] = bag_text(&s->memory, name);
    CN_CHECK(s->classes[s->n_classes], CN_ENOMEM, "out of memory for the class %.80s", name);
    s->n_classes++;
done:
    return st;
}

static cn_status embed_prompts(attack_set *s, cn_error *err)
{
    cn_status st = CN_OK;
    s->plain = bag_calloc(&s->memory, s->n_prompts, sizeof *s->plain);
    CN_CHECK(s->plain, CN_ENOMEM, "out of memory for %zu prompts", s->n_prompts);
    for (size_t p = 0; p < s->n_prompts; p++) {
        if (attack_wants_text(s, p))
            continue;
        s->plain[p] = bag_calloc(&s->memory, s->n_classes, (size_t)s->width * sizeof(float));
        CN_CHECK(s->plain[p], CN_ENOMEM, "out of memory for %zu classes", s->n_classes);
        CN_TRY(embed_prompt(s, s->prompts[p], NULL, s->plain[p], err));
    }
done:
    return st;
}

cn_status attack_set_open(attack_set *s, const cn_model *model, const char *collection, const char *const *more, size_t n_more,
                          bool all_of_more, const cn_site *site, const cn_attack_options *options, cn_error *err)
{
    static const cn_attack_options defaults;
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(model);
    const char *path = cn_weights_path(cn_model_weights(model)), *slash = strrchr(path, '/');
    memset(s, 0, sizeof *s);
    s->model = model;
    s->o = options ? *options : defaults;
    s->o.batch = s->o.batch ? s->o.batch : 32;
    s->o.images = s->o.images ? s->o.images : 1000;
    s->side = info->resolution;
    s->width = info->embedding;
    s->site = site;
    CN_CHECK(s->side > 0, CN_EUNSUPPORTED, "the model has no image tower");
    CN_CHECK(s->o.batch > 0 && s->o.batch <= 65536, CN_EINVAL, "a batch of 1 to 65536, not %" PRId64, s->o.batch);
    CN_CHECK(s->o.images > 0 && s->o.images <= CN_MAX_ATTACK_IMAGES, CN_EINVAL, "1 to %d pictures, not %" PRId64, CN_MAX_ATTACK_IMAGES, s->o.images);
    s->model_file = bag_text(&s->memory, slash && slash[1] ? slash + 1 : path);
    s->classes = bag_calloc(&s->memory, CN_MAX_ATTACK_CLASSES, sizeof *s->classes);
    CN_CHECK(s->model_file && s->classes, CN_ENOMEM, "out of memory for classes");
    CN_TRY(take_prompts(s, &s->o, err));
    for (size_t i = 0; i < s->o.n_classes && s->o.classes; i++)
        CN_TRY(add_class(s, s->o.classes[i], err));
    if (collection)
        CN_TRY(attack_pictures_read(s, collection, more, all_of_more ? n_more : 0, add_class, err));
    CN_CHECK(!collection || s->n_classes > 0, CN_EINVAL, "%s: its pictures have no labels, so the targets alone could be answered; name classes (--class)",
             collection);
    for (size_t i = 0; i < n_more; i++)
        CN_TRY(add_class(s, more[i], err));
    CN_CHECK(s->n_classes >= 2, CN_EINVAL, "there is nothing to choose from: %s", collection ? "the collection has no labels; name classes" : "name classes");
    CN_TRY(embed_prompts(s, err));
    cn_runner_options run = {.tower = CN_TOWER_IMAGE,
                             .sites = site ? &s->site : NULL,
                             .n_sites = site ? 1 : 0,
                             .embedding = true,
                             .batch = s->o.batch,
                             .threads = s->o.threads,
                             .precision = s->o.precision,
                             .backend = s->o.backend};
    CN_TRY(cn_runner_create(&s->runner, model, &run, err));
    s->pixels = product_floats(s->o.batch, 3 * (int64_t)s->side * s->side);
    CN_CHECK(s->pixels, CN_ENOMEM, "out of memory for a batch of %" PRId64 " pictures", s->o.batch);
done:
    return st;
}

void attack_set_close(attack_set *s)
{
    texttower_close(&s->tower);
    cn_runner_free(s->runner);
    cn_free(s->pixels);
    cn_free(s->rgb);
    bag_free(&s->memory);
    memset(s, 0, sizeof *s);
}

/* ---- probabilities ---- */

cn_status cn_attack_probabilities(const cn_model *model, const uint8_t *rgb, int64_t n, const char *text, const cn_attack_options *options,
                                  double *probabilities, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set s = {0};
    cn_attack_options o = options ? *options : (cn_attack_options){0};
    const float *const *vectors = NULL;
    float *embedding = NULL;
    const double scale = (double)cn_model_get_info(model)->logit_scale;
    if (!o.prompts)
        o.prompts = cn_attack_default_prompts(text != NULL, &o.n_prompts);
    o.batch = n > 0 && n < 32 ? n : 32;
    CN_CHECK(n > 0, CN_EINVAL, "no pictures");
    for (size_t p = 0; p < o.n_prompts; p++)
        CN_CHECK(text || !strstr(o.prompts[p], "{text}"), CN_EINVAL, "the prompt \"%.80s\" asks for a text, and there is none", o.prompts[p]);
    CN_TRY(attack_set_open(&s, model, NULL, NULL, 0, false, NULL, &o, err));
    CN_CHECK(s.n_classes == o.n_classes, CN_EINVAL, "a class is named twice, or is empty");
    CN_TRY(attack_vectors(&s, &s.memory, text ? text : "", &vectors, err));
    embedding = product_floats(s.o.batch, s.width);
    CN_CHECK(embedding, CN_ENOMEM, "out of memory for embeddings");
    for (int64_t first = 0; first < n; first += s.o.batch) {
        const int64_t count = n - first < s.o.batch ? n - first : s.o.batch;
        CN_TRY(attack_embed(&s, rgb + first * s.side * s.side * 3, count, embedding, err));
        for (int64_t i = 0; i < count; i++)
            for (size_t p = 0; p < s.n_prompts; p++) {
                double *out = probabilities + ((first + i) * (int64_t)s.n_prompts + (int64_t)p) * (int64_t)s.n_classes;
                double top = -INFINITY, sum = 0;
                for (size_t c = 0; c < s.n_classes; c++) {
                    out[c] = scale * attack_dot(embedding + i * s.width, vectors[p] + (int64_t)c * s.width, s.width);
                    top = fmax(top, out[c]);
                }
                for (size_t c = 0; c < s.n_classes; c++)
                    sum += out[c] = exp(out[c] - top);
                for (size_t c = 0; c < s.n_classes; c++)
                    out[c] /= sum;
            }
    }
done:
    cn_free(embedding);
    attack_set_close(&s);
    return st;
}
