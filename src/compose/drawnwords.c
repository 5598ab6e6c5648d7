/* compose/drawnwords.c -- draws, batches, reduces. */
#include "compose/drawnwords.h"

#include "base/memory.h"
#include "clipneuron/image.h"
#include "compose/wordpicture.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

cn_status drawnwords_draw(uint8_t *rgb, int side, const char *word, int version, const fontset *fonts, cn_error *err)
{
    static const char *const names[] = {"Sans", "Serif", "Monospace", "Sans Bold", "Serif Bold"};
    static const double shares[] = {0.92, 0.72, 0.54}; /* of the side that the word is wide, at most */
    static const struct {
        uint8_t ground[3], ink[3];
    } colours[] = {{{255, 255, 255}, {0, 0, 0}}, {{0, 0, 0}, {255, 255, 255}},   {{244, 238, 214}, {40, 50, 110}}, {{200, 30, 40}, {255, 255, 255}},
                   {{160, 160, 160}, {0, 0, 0}}, {{255, 214, 0}, {20, 20, 20}}, {{20, 70, 150}, {235, 240, 250}}};
    enum { NAMES = sizeof names / sizeof *names, SHARES = sizeof shares / sizeof *shares, COLOURS = sizeof colours / sizeof *colours };
    const wordpicture_font font = {names[version % NAMES], fontset_at(fonts, version)};
    const double share = shares[version % SHARES], most = share * side;
    double size, broken, w, h;
    char lines[WORDPICTURE_MOST_TEXT + 1];
    snprintf(lines, sizeof lines, "%s", word);
    const char *text = word;
    cn_status st = wordpicture_fit(word, font, most, 0.5 * share * side, &size, err);
    for (char *c = lines; (c = strchr(c, ' ')) && st == CN_OK; c++) { /* at a blank, where that makes it larger */
        *c = '\n';
        st = wordpicture_fit(lines, font, most, most, &broken, err);
        if (broken > 1.1 * size) {
            size = broken;
            text = lines;
            break;
        }
        *c = ' ';
    }
    if (st == CN_OK)
        st = wordpicture_measure(text, font, size, &w, &h, err);
    if (st != CN_OK)
        return st;
    rng r = rng_stream(0, 0x776f7264, (uint64_t)version); /* the place, in the room that is left */
    const double roomx = fmax(side - w, 0), roomy = fmax(side - h, 0), x = rng_unit(&r), y = rng_unit(&r);
    const int colour = version % COLOURS;
    const wordpicture_style style = {.font = font,
                                     .size = size,
                                     .x = w / 2 + x * roomx,
                                     .y = h / 2 + y * roomy,
                                     .ink = {colours[colour].ink[0], colours[colour].ink[1], colours[colour].ink[2]}};
    wordpicture_fill(rgb, side, side, colours[colour].ground);
    return wordpicture_draw(rgb, side, side, text, &style, err);
}

/* All units of picture b of a run: (units). */
static cn_status reduce_row(const cn_site *site, const float *values, int64_t b, cn_reduce how, float *out, cn_error *err)
{
    values += b * site->units * site->positions;
    for (int64_t u = 0; u < site->units; u++) {
        out[u] = cn_reduce_unit(how, site, values, u);
        if (!isfinite(out[u]))
            return cn_fail(err, CN_EFORMAT, "the model gives values that are not finite on a drawn word");
    }
    return CN_OK;
}

typedef struct batch {
    source *from;
    uint8_t *rgb; /* (batch, side, side, 3) */
    float *pixels;
    int64_t *row; /* of drawnwords.values, each picture's */
    int64_t n;
} batch;

static cn_status flush(batch *b, drawnwords *out, cn_reduce reduce, cn_error *err)
{
    cn_status st = CN_OK;
    if (!b->n)
        return CN_OK;
    cn_pixels_normalise(b->rgb, (size_t)b->n, b->from->resolution, b->from->mean, b->from->std, b->pixels);
    CN_TRY(b->from->images(b->from, b->pixels, b->n, err));
    const float *values = b->from->site(b->from, 0);
    for (int64_t i = 0; i < b->n; i++)
        CN_TRY(reduce_row(b->from->sites[0], values, i, reduce, out->values + b->row[i] * out->units, err));
    b->n = 0;
done:
    return st;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

cn_status drawnwords_run(drawnwords *out, source *from, cn_reduce reduce, const char *const *words, size_t n, int each, const fontset *fonts,
                         cn_find_callback *progress, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    batch b = {.from = from};
    const size_t side = (size_t)from->resolution, picture = 3 * side * side, room = (size_t)from->batch;
    const double began = now();
    memset(out, 0, sizeof *out);
    out->words = (int64_t)n;
    out->each = each;
    out->units = from->sites[0]->units;
    size_t pictures, bytes;
    CN_CHECK(cn_mul_size(n, (size_t)each, &pictures) && cn_mul_size(pictures, (size_t)out->units * sizeof(float), &bytes), CN_ELIMIT,
             "%zu words to draw are too many", n);
    out->values = cn_calloc(pictures + 1, (size_t)out->units * sizeof *out->values);
    out->drawn = cn_calloc(n + 1, sizeof *out->drawn);
    b.rgb = cn_reallocarray(NULL, room, picture);
    b.pixels = cn_reallocarray(NULL, room, picture * sizeof *b.pixels);
    b.row = cn_reallocarray(NULL, room, sizeof *b.row);
    CN_CHECK(out->values && out->drawn && b.rgb && b.pixels && b.row, CN_ENOMEM, "out of memory for pictures of %zu words", n);
    for (size_t i = 0; i < n; i++) {
        CN_CHECK(!progress || progress("words", (int64_t)i, (int64_t)n, user), CN_ECANCELED, "cancelled");
        out->drawn[i] = true;
        for (int v = 0; v < each && out->drawn[i]; v++) {
            cn_error letters = {0};
            const cn_status drawn = drawnwords_draw(b.rgb + (size_t)b.n * picture, (int)side, words[i], v, fonts, &letters);
            if (drawn == CN_EUNSUPPORTED || drawn == CN_EINVAL || drawn == CN_ELIMIT) {
                out->drawn[i] = false;
                out->undrawn++;
                break;
            }
            CN_CHECK(drawn == CN_OK, drawn, "%s", letters.text);
            b.row[b.n++] = (int64_t)i * each + v;
            if (b.n == from->batch)
                CN_TRY(flush(&b, out, reduce, err));
        }
    }
    CN_TRY(flush(&b, out, reduce, err));
    CN_CHECK(!progress || progress("words", (int64_t)n, (int64_t)n, user), CN_ECANCELED, "cancelled");
    out->seconds = now() - began;
done:
    cn_free(b.rgb);
    cn_free(b.pixels);
    cn_free(b.row);
    return st;
}

void drawnwords_free(drawnwords *d)
{
    cn_free(d->values);
    cn_free(d->drawn);
    memset(d, 0, sizeof *d);
}
