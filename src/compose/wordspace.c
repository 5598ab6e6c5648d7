/* compose/wordspace.c -- draws words, runs them, and finds neighbours. */
#include "compose/wordspace.h"

#include "base/memory.h"
#include "clipneuron/image.h"
#include "compose/fontfile.h"
#include "compose/wordpicture.h"
#include "study/product.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_BATCH = 32, VERSIONS = 2 };

/* The one place that knows what a word looks like: version v of it, (side, side, 3). */
static cn_status draw_word(uint8_t *rgb, int side, const char *word, int version, const fontset *fonts, cn_error *err)
{
    static const char *const names[] = {"Sans", "Serif", "Sans Bold", "Monospace"};
    static const double widths[] = {0.9, 0.8, 0.86, 0.94};
    static const uint8_t white[3] = {255, 255, 255};
    cn_status st = CN_OK;
    const wordpicture_font font = {names[version % 4], fontset_at(fonts, version)};
    const double room = widths[version % 4] * (version / 4 % 2 ? 0.8 : 1) * side;
    double one, two;
    char *broken = cn_strdup(word), *gap = broken ? strchr(broken, ' ') : NULL;
    CN_CHECK(broken, CN_ENOMEM, "out of memory for a word");
    CN_TRY(wordpicture_fit(word, font, room, 0.5 * side, &one, err));
    two = one;
    if (gap) { /* in two lines, if that makes it larger */
        *gap = '\n';
        CN_TRY(wordpicture_fit(broken, font, room, 0.8 * side, &two, err));
    }
    const wordpicture_style style = {.font = font, .size = fmax(one, two), .x = side / 2.0, .y = side / 2.0};
    wordpicture_fill(rgb, side, side, white);
    CN_TRY(wordpicture_draw(rgb, side, side, two > one ? broken : word, &style, err));
done:
    cn_free(broken);
    return st;
}

/* Adds the spatial means of one picture's units; rectified: of their values above zero. */
static void add_means(const cn_site *site, const float *values, bool rectified, float share, float *to)
{
    const int64_t n = site->units, positions = site->positions;
    for (int64_t u = 0; u < n; u++) {
        double sum = 0;
        for (int64_t p = 0; p < positions; p++) {
            const float v = site->layout == CN_SITE_MAP ? values[u * positions + p] : values[p * n + u];
            sum += rectified && v < 0 ? 0 : (double)v;
        }
        to[u] += share * (float)(sum / (double)positions);
    }
}

static cn_status run_words(cn_word_space *s, const cn_model *model, const cn_site *site, const cn_word_space_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(model);
    const int side = info->resolution, versions = o->versions ? o->versions : VERSIONS;
    const size_t one = 3 * (size_t)side * (size_t)side;
    const int64_t all = (int64_t)s->list.count * versions;
    cn_runner *runner = NULL;
    fontset fonts = {0};
    uint8_t *rgb = cn_calloc(WORD_BATCH, one);
    float *pixels = cn_calloc(WORD_BATCH, one * sizeof *pixels);
    CN_CHECK(rgb && pixels, CN_ENOMEM, "out of memory for pictures of words");
    CN_TRY(fontset_open(&fonts, o->font_files, o->n_font_files, versions, err));
    const cn_runner_options options = {.tower = CN_TOWER_IMAGE,
                                       .sites = &site,
                                       .n_sites = 1,
                                       .batch = WORD_BATCH,
                                       .threads = o->threads,
                                       .precision = o->precision,
                                       .backend = o->backend};
    CN_TRY(cn_runner_create(&runner, model, &options, err));
    for (int64_t first = 0; first < all; first += WORD_BATCH) {
        const int64_t m = all - first < WORD_BATCH ? all - first : WORD_BATCH;
        for (int64_t i = 0; i < m; i++)
            CN_TRY(draw_word(rgb + (size_t)i * one, side, s->list.words[(first + i) / versions], (int)((first + i) % versions), &fonts, err));
        cn_pixels_normalise(rgb, (size_t)m, side, info->mean, info->std, pixels);
        CN_TRY(cn_runner_images(runner, pixels, m, err));
        const float *values = cn_runner_site(runner, 0);
        for (int64_t i = 0; i < m; i++)
            add_means(site, values + i * site->units * site->positions, s->rectified, 1 / (float)versions, s->values + (first + i) / versions * s->units);
        CN_CHECK(!o->progress || o->progress("words", first + m, all, o->user), CN_ECANCELED, "cancelled");
    }
    for (int64_t i = 0; i < (int64_t)s->list.count * s->units; i++)
        CN_CHECK(isfinite(s->values[i]), CN_EFORMAT, "%s: the model gives values that are not finite", s->list.words[i / s->units]);
done:
    fontset_close(&fonts);
    cn_runner_free(runner);
    cn_free(rgb);
    cn_free(pixels);
    return st;
}

cn_status wordspace_finish(cn_word_space *s, cn_error *err)
{
    const int64_t n = (int64_t)s->list.count;
    double *mean = cn_calloc((size_t)s->units + 1, sizeof *mean);
    s->directions = product_floats(n, s->units);
    if (!mean || !s->directions) {
        cn_free(mean);
        return cn_fail(err, CN_ENOMEM, "out of memory for %" PRId64 " words", n);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t u = 0; u < s->units; u++)
            mean[u] += (double)s->values[i * s->units + u] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t u = 0; u < s->units; u++)
            s->values[i * s->units + u] = (float)((double)s->values[i * s->units + u] - mean[u]);
        product_normalise(s->values + i * s->units, s->directions + i * s->units, s->units);
    }
    cn_free(mean);
    return CN_OK;
}

void wordspace_deviations(const cn_word_space *s, double *sd)
{
    for (int64_t u = 0; u < s->units; u++)
        sd[u] = 0;
    for (int64_t i = 0; i < (int64_t)s->list.count; i++)
        for (int64_t u = 0; u < s->units; u++)
            sd[u] += (double)s->values[i * s->units + u] * (double)s->values[i * s->units + u]; /* their mean is 0 */
    for (int64_t u = 0; u < s->units; u++)
        sd[u] = sqrt(sd[u] / (double)s->list.count);
}

cn_status cn_word_space_open(cn_word_space **out, const cn_model *model, const char *const *words, size_t n, const char *const *more, size_t n_more,
                             const cn_word_space_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_word_space_options o = options ? *options : (cn_word_space_options){0};
    const cn_site *site = NULL;
    cn_word_space *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for a space of words");
    CN_CHECK(o.versions >= 0 && o.versions <= CN_MAX_WORD_VERSIONS, CN_EINVAL, "%d pictures of each word, the limit is %d", o.versions,
             CN_MAX_WORD_VERSIONS);
    if (o.site)
        CN_TRY(cn_model_find_site(model, o.site, &site, err));
    else
        site = cn_model_default_site(model);
    CN_CHECK(site && site->tower == CN_TOWER_IMAGE, CN_EINVAL, "words are drawn as pictures: %s is no site of the image tower",
             site ? site->name : "that");
    if (!words)
        CN_TRY(wordlist_add_common(&s->list, err));
    for (size_t i = 0; words && i < n; i++)
        CN_TRY(wordlist_add(&s->list, words[i], strlen(words[i]), err));
    for (size_t i = 0; i < n_more; i++)
        CN_TRY(wordlist_add(&s->list, more[i], strlen(more[i]), err));
    wordlist_finish(&s->list);
    CN_CHECK(s->list.count >= 3, CN_EINVAL, "%zu words: a space needs at least 3, as their mean is taken away", s->list.count);
    CN_CHECK(s->list.count <= CN_MAX_WORD_SPACE, CN_ELIMIT, "%zu words, the limit is %d", s->list.count, CN_MAX_WORD_SPACE);
    s->units = site->units;
    s->site = cn_strdup(site->name);
    CN_CHECK(s->site, CN_ENOMEM, "out of memory for a space of words");
    const size_t length = strlen(s->site);
    /* the sum before a ReLU: below zero lies little but how much ink there is, the same for all units */
    s->rectified = cn_model_get_info(model)->architecture == CN_ARCH_RESNET && length > 4 && strcmp(s->site + length - 4, ".add") == 0;
    s->values = product_floats((int64_t)s->list.count, s->units);
    CN_CHECK(s->values, CN_ENOMEM, "out of memory for %zu words", s->list.count);
    CN_TRY(run_words(s, model, site, &o, err));
    CN_TRY(wordspace_finish(s, err));
    *out = s, s = NULL;
done:
    cn_word_space_close(s);
    return st;
}

void cn_word_space_close(cn_word_space *s)
{
    if (!s)
        return;
    wordlist_free(&s->list);
    cn_free(s->values);
    cn_free(s->directions);
    cn_free(s->site);
    cn_free(s);
}

size_t cn_word_space_count(const cn_word_space *s)
{
    return s->list.count;
}

int64_t cn_word_space_units(const cn_word_space *s)
{
    return s->units;
}

const char *cn_word_space_word(const cn_word_space *s, size_t i)
{
    return s->list.words[i];
}

int64_t cn_word_space_find(const cn_word_space *s, const char *word)
{
    for (size_t i = 0; i < s->list.count; i++)
        if (strcasecmp(s->list.words[i], word) == 0)
            return (int64_t)i;
    return -1;
}

const float *cn_word_space_values(const cn_word_space *s)
{
    return s->values;
}

double cn_word_space_cosine(const cn_word_space *s, size_t a, size_t b)
{
    const float *x = s->directions + (int64_t)a * s->units, *y = s->directions + (int64_t)b * s->units;
    double sum = 0;
    for (int64_t u = 0; u < s->units; u++)
        sum += (double)x[u] * (double)y[u];
    return sum;
}

static int by_cosine(const void *a, const void *b)
{
    const cn_near_word *x = a, *y = b;
    if (x->cosine != y->cosine)
        return x->cosine > y->cosine ? -1 : 1;
    return x->word < y->word ? -1 : x->word > y->word;
}

cn_status cn_word_space_nearest(const cn_word_space *s, const size_t *plus, size_t n_plus, const size_t *minus, size_t n_minus, cn_near_word *out,
                                size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t room = *n;
    size_t found = 0;
    float *sum = product_floats(1, s->units);
    cn_near_word *all = cn_calloc(s->list.count, sizeof *all);
    *n = 0;
    CN_CHECK(sum && all, CN_ENOMEM, "out of memory for neighbours");
    for (size_t k = 0; k < n_plus + n_minus; k++) {
        const size_t word = k < n_plus ? plus[k] : minus[k - n_plus];
        CN_CHECK(word < s->list.count, CN_EINVAL, "word %zu of %zu", word, s->list.count);
        for (int64_t u = 0; u < s->units; u++)
            sum[u] += (k < n_plus ? 1.0f : -1.0f) * s->directions[(int64_t)word * s->units + u];
    }
    product_normalise(sum, sum, s->units);
    for (size_t i = 0; i < s->list.count; i++) {
        bool given = false;
        double cosine = 0;
        for (size_t k = 0; k < n_plus + n_minus; k++)
            given = given || (k < n_plus ? plus[k] : minus[k - n_plus]) == i;
        for (int64_t u = 0; u < s->units && !given; u++)
            cosine += (double)sum[u] * (double)s->directions[(int64_t)i * s->units + u];
        if (!given)
            all[found++] = (cn_near_word){i, cosine};
    }
    qsort(all, found, sizeof *all, by_cosine);
    *n = found < room ? found : room;
    memcpy(out, all, *n * sizeof *out);
done:
    cn_free(sum);
    cn_free(all);
    return st;
}
