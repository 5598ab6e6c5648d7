/* compose/atlasplot.c -- the atlas as a disc: words as dots where their factors pull them, names in a column on either side. */
#include "base/memory.h"
#include "clipneuron/textunits.h"
#include "study/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 760.0     /* points */
#define RADIUS 210.0   /* of the disc */
#define NAMES 262.0    /* from the middle to where names begin */
#define MIDDLE 84.0    /* from the top to where the columns begin */
#define TURN 6.283185307179586

typedef struct placed {
    const cn_atlas_word *word;
    double x, y;  /* of its dot, points from the middle */
    double angle; /* where it lies, then the direction that its name has in its column */
} placed;

typedef struct disc {
    const cn_atlas *atlas;
    const cn_codes *codes;
    placed *words; /* those with loads, by angle */
    size_t n;
} disc;

static int by_angle(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->angle != y->angle)
        return x->angle < y->angle ? -1 : 1;
    return strcmp(x->word->word, y->word->word);
}

/* The mixture of the factors' colours. */
static plot_colour mixture(const plot *p, const cn_atlas_word *word, int factors)
{
    plot_colour c = {0, 0, 0};
    for (int k = 0; k < factors; k++) {
        const plot_colour one = plot_series(p, (size_t)k);
        c.r += word->load[k] * one.r;
        c.g += word->load[k] * one.g;
        c.b += word->load[k] * one.b;
    }
    return c;
}

/* Half of a column's height. */
static double columns(const disc *d)
{
    return fmax(RADIUS + 18, (d->n > 100 ? 11 : 13.5) * (double)d->n / 4);
}

/* Where the line to a name ends, from the middle. */
static double name_x(double angle)
{
    return cos(angle) < 0 ? 6 - NAMES : NAMES - 6;
}

static double name_y(const disc *d, double angle)
{
    return columns(d) * asin(sin(angle)) / (TURN / 4);
}

static void draw_word(plot *p, const disc *d, const placed *at, double cx, double cy)
{
    const cn_atlas_word *word = at->word;
    const plot_colour colour = mixture(p, word, d->atlas->factors);
    const double x = cx + at->x, y = cy + at->y;
    /* Names lie level: turned ones are hard to read, and an SVG would hold the letters of every turn. Angles are at equal distances, so lines are, too. */
    const bool left = cos(at->angle) < 0;
    const double line = cy + name_y(d, at->angle), side = left ? -1 : 1;
    plot_line(p, x, y, cx + name_x(at->angle), line, 0.6, p->colours->soft);
    plot_ink(p, colour, 1);
    cairo_new_sub_path(p->cr);
    cairo_arc(p->cr, x, y, 4, 0, TURN);
    cairo_fill_preserve(p->cr);
    plot_ink(p, p->colours->page, 1);
    cairo_set_line_width(p->cr, 0.8);
    cairo_stroke(p->cr);
    plot_text(p, cx + side * NAMES, line, (plot_style){.size = d->n > 100 ? 9 : 11, .colour = p->colours->ink, .align = left ? 1 : 0, .room = 114}, word->word);
}

static void factor_name(const disc *d, int k, char *out, size_t room)
{
    *out = 0;
    for (int t = 0; t < 4 && d->atlas->factor[k].unit[t] >= 0; t++) {
        const int64_t unit = d->atlas->factor[k].unit[t];
        if (t && fabs(d->atlas->factor[k].weight[t]) < 0.15)
            break;
        const char *name = d->codes->names[unit];
        snprintf(out + strlen(out), room - strlen(out), "%s%s%s (%lld)", t ? " + " : "", d->atlas->factor[k].weight[t] < 0 ? "not " : "",
                 *name ? name : "unit", (long long)unit);
    }
}

static void draw(plot *p, const void *what)
{
    const disc *d = what;
    const double cx = p->width / 2, cy = MIDDLE + columns(d);
    char text[512];
    plot_box(p, 0, 0, p->width, p->height, p->colours->page);
    snprintf(text, sizeof text, "%zu words, %d factors of their codes", d->n, d->atlas->factors);
    plot_text(p, 24, 26, (plot_style){.size = 16, .bold = true, .colour = p->colours->ink}, text);
    snprintf(text, sizeof text, "error %.2f; %.2f where weights are shuffled among words (p = %.3g)", d->atlas->error, d->atlas->shuffled, d->atlas->p);
    plot_text(p, 24, 46, (plot_style){.size = 11, .colour = p->colours->soft}, text);
    plot_ink(p, p->colours->line, 1);
    cairo_set_line_width(p->cr, 1);
    cairo_new_sub_path(p->cr);
    cairo_arc(p->cr, cx, cy, RADIUS + 14, 0, TURN);
    cairo_stroke(p->cr);
    for (int k = 0; k < d->atlas->factors; k++) { /* each factor's part of the rim */
        const double angle = TURN * k / d->atlas->factors, half = TURN / 2 / d->atlas->factors - 0.02;
        plot_ink(p, plot_series(p, (size_t)k), 1);
        cairo_set_line_width(p->cr, 8);
        cairo_new_sub_path(p->cr);
        cairo_arc(p->cr, cx, cy, RADIUS + 14, angle - half, angle + half);
        cairo_stroke(p->cr);
    }
    for (size_t i = 0; i < d->n; i++)
        draw_word(p, d, &d->words[i], cx, cy);
    for (int k = 0; k < d->atlas->factors; k++) {
        const double x = k % 2 ? cx + 8 : 24, y = cy + columns(d) + 40 + 22 * (k / 2);
        factor_name(d, k, text, sizeof text);
        plot_swatch(p, (size_t)k, x, y - 6, 14, 12);
        plot_text(p, x + 22, y, (plot_style){.size = 11, .colour = p->colours->ink, .room = cx - 54}, text);
    }
}

/* Names stand at equal distances, in the order of their words' angles, turned so that they are as near as can be. */
static cn_status place(disc *d, cn_error *err)
{
    double x = 0, y = 0;
    d->words = cn_calloc(d->atlas->n + 1, sizeof *d->words);
    if (!d->words)
        return cn_fail(err, CN_ENOMEM, "out of memory for an atlas");
    for (size_t i = 0; i < d->atlas->n; i++) {
        const cn_atlas_word *word = &d->atlas->words[i];
        double sum = 0;
        for (int k = 0; k < d->atlas->factors; k++)
            sum += word->load[k];
        if (sum > 0)
            d->words[d->n++] = (placed){word, RADIUS * word->x, RADIUS * word->y, atan2(word->y, word->x)};
    }
    qsort(d->words, d->n, sizeof *d->words, by_angle);
    for (size_t i = 0; i < d->n; i++) {
        x += cos(d->words[i].angle - TURN * (double)i / (double)d->n);
        y += sin(d->words[i].angle - TURN * (double)i / (double)d->n);
    }
    for (size_t i = 0; i < d->n; i++)
        d->words[i].angle = atan2(y, x) + TURN * (double)i / (double)d->n;
    return CN_OK;
}

/* Words with the same loads have one spot: their dots move apart until each is seen. */
static void spread(disc *d)
{
    const double apart = 8; /* as wide as a dot */
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < d->n; i++)
            for (size_t k = i + 1; k < d->n; k++) {
                placed *a = &d->words[i], *b = &d->words[k];
                plot_move_apart(&a->x, &a->y, &b->x, &b->y, apart, TURN * (double)(i + k) / 7);
            }
}

static double line_length(const disc *d, const placed *word, double angle)
{
    return hypot(word->x - name_x(angle), word->y - name_y(d, angle));
}

/* Two names change places where that makes their lines shorter together: lines of the least length do not cross. */
static void uncross(disc *d)
{
    bool moved = true;
    for (int round = 0; moved && round < 50; round++) {
        moved = false;
        for (size_t i = 0; i < d->n; i++)
            for (size_t k = i + 1; k < d->n; k++) {
                placed *a = &d->words[i], *b = &d->words[k];
                const double now = line_length(d, a, a->angle) + line_length(d, b, b->angle);
                if (line_length(d, a, b->angle) + line_length(d, b, a->angle) < now - 1e-6) {
                    const double angle = a->angle;
                    a->angle = b->angle, b->angle = angle;
                    moved = true;
                }
            }
    }
}

/* What the picture shows, for those who do not see it. Owned by the caller. */
static char *describe(const disc *d)
{
    const size_t room = 1024 * (size_t)d->atlas->factors + 200 * (d->n + 1);
    char *text = cn_calloc(room, 1);
    size_t at = 0;
    for (int k = 0; text && k < d->atlas->factors; k++) {
        char name[512];
        factor_name(d, k, name, sizeof name);
        at += (size_t)snprintf(text + at, room - at, "%sFactor %d: %s:", k ? ". " : "", k + 1, name);
        for (size_t i = 0; i < d->n && at < room - 220; i++)
            if (d->words[i].word->load[k] >= 0.5)
                at += (size_t)snprintf(text + at, room - at, " %.100s %.2f;", d->words[i].word->word, d->words[i].word->load[k]);
    }
    return text;
}

cn_status cn_atlas_write(const cn_atlas *atlas, const cn_codes *codes, const char *path, cn_plot_theme theme, cn_error *err)
{
    cn_status st = CN_OK;
    disc d = {.atlas = atlas, .codes = codes};
    char *description = NULL;
    CN_CHECK(atlas->n <= CN_MAX_ATLAS_WORDS, CN_EINVAL, "%zu words: no more than %d fit around the disc", atlas->n, CN_MAX_ATLAS_WORDS);
    CN_TRY(place(&d, err));
    spread(&d);
    uncross(&d);
    description = describe(&d);
    CN_CHECK(description, CN_ENOMEM, "out of memory for an atlas");
    CN_TRY(plot_write(path, theme, SIDE, MIDDLE + 2 * columns(&d) + 50 + 22 * ((atlas->factors + 1) / 2), "An atlas of words by the units that they call on", description,
                      draw, &d, err));
done:
    cn_free(description);
    cn_free(d.words);
    return st;
}
