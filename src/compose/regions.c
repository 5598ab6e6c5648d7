/* compose/regions.c -- which units answer to the written names of countries and capitals, and a map of what one answers. */
#include "base/memory.h"
#include "compose/coastline.h"
#include "compose/wordspace.h"
#include "study/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_NAMES = 8 };

typedef struct valued {
    float value;
    size_t word;
} valued;

static int falling(const void *a, const void *b)
{
    const valued *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->word < y->word ? -1 : x->word > y->word;
}

/* Which words of the space are names of places; returns how many. */
static size_t mark_names(const cn_word_space *s, bool *is_name)
{
    size_t n, count = 0;
    const cn_place *places = cn_places(&n);
    for (size_t i = 0; i < n; i++) {
        const int64_t country = cn_word_space_find(s, places[i].country), capital = cn_word_space_find(s, places[i].capital);
        if (country >= 0)
            is_name[country] = true;
        if (capital >= 0)
            is_name[capital] = true;
    }
    for (size_t i = 0; i < s->list.count; i++)
        count += is_name[i];
    return count;
}

/* words: (n) sorted falling. AUC by ranks with ties at their mean, its error, and p. */
static void measure(cn_region_unit *u, const valued *words, size_t n, const bool *is_name, size_t names)
{
    const double m = (double)names, k = (double)(n - names), all = (double)n;
    double ranks = 0, ties = 0; /* rank 1 is the lowest */
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && words[end].value == words[i].value)
            end++;
        const double t = (double)(end - i), rank = all - ((double)i + (double)end - 1) / 2;
        ties += t * t * t - t;
        for (size_t j = i; j < end; j++)
            ranks += is_name[words[j].word] ? rank : 0;
        i = end;
    }
    const double wins = ranks - m * (m + 1) / 2, variance = m * k / 12 * (all + 1 - ties / (all * (all - 1)));
    const double a = wins / (m * k), q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
    const double error = sqrt(fmax(0, (a * (1 - a) + (m - 1) * (q1 - a * a) + (k - 1) * (q2 - a * a)) / (m * k)));
    u->auc = a;
    u->auc_low = fmax(0, a - 1.96 * error);
    u->auc_high = fmin(1, a + 1.96 * error);
    u->p = variance > 0 ? erfc(fabs(wins - m * k / 2) / sqrt(2 * variance)) : 1;
    for (int i = 0; i < 5; i++) {
        u->first[i] = words[i].word;
        u->top += is_name[words[i].word];
    }
}

static int by_p(const void *a, const void *b)
{
    const cn_region_unit *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static int by_auc(const void *a, const void *b)
{
    const cn_region_unit *x = a, *y = b;
    if (x->auc != y->auc)
        return x->auc > y->auc ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

cn_status cn_word_space_regions(const cn_word_space *s, cn_region_unit **list, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t words = s->list.count, units = (size_t)s->units;
    bool *is_name = cn_calloc(words, sizeof *is_name);
    valued *order = cn_calloc(words, sizeof *order);
    cn_region_unit *found = cn_calloc(units, sizeof *found);
    *list = NULL;
    *n = 0;
    CN_CHECK(is_name && order && found, CN_ENOMEM, "out of memory for %zu units", units);
    const size_t names = mark_names(s, is_name);
    CN_CHECK(names >= LEAST_NAMES && words - names >= LEAST_NAMES, CN_EINVAL,
             "%zu names of places and %zu other words are too few: %d of each are needed", names, words - names, LEAST_NAMES);
    for (size_t u = 0; u < units; u++) {
        for (size_t i = 0; i < words; i++)
            order[i] = (valued){s->values[i * units + u], i};
        qsort(order, words, sizeof *order, falling);
        found[u].unit = (int64_t)u;
        measure(&found[u], order, words, is_name, names);
    }
    qsort(found, units, sizeof *found, by_p);
    double q = 1;
    for (size_t i = units; i-- > 0;) { /* Benjamini and Hochberg's step-up */
        q = fmin(q, found[i].p * (double)units / (double)(i + 1));
        found[i].q = q;
    }
    qsort(found, units, sizeof *found, by_auc);
    *list = found, found = NULL;
    *n = units;
done:
    cn_free(is_name);
    cn_free(order);
    cn_free(found);
    return st;
}

void cn_region_units_free(cn_region_unit *list)
{
    cn_free(list);
}

/* ---- the map ---- */

typedef struct world {
    const char *title;
    double *sd; /* (places): NaN for those that are not in the space */
    double most;
} world;

#define LEFT 24.0
#define TOP 64.0
#define SCALE 2.2 /* points a degree: an equirectangular map */

static double map_x(double longitude)
{
    return LEFT + (longitude + 180) * SCALE;
}

static double map_y(double latitude)
{
    return TOP + (80 - latitude) * SCALE;
}

/* Red above the mean over all words, blue below it, grey at it. */
static plot_colour shade(double share)
{
    const plot_colour grey = {0.6, 0.6, 0.6}, high = {0.84, 0.37, 0}, low = {0, 0.45, 0.7};
    const plot_colour *end = share > 0 ? &high : &low;
    const double t = fmin(1, fabs(share));
    return (plot_colour){grey.r + t * (end->r - grey.r), grey.g + t * (end->g - grey.g), grey.b + t * (end->b - grey.b)};
}

/* Land as areas, for those who read the map; what lies south of it is cut. */
static void draw_land(plot *p)
{
    cairo_save(p->cr);
    cairo_rectangle(p->cr, map_x(-180), map_y(80), 360 * SCALE, 140 * SCALE);
    cairo_clip(p->cr);
    for (const int16_t *ring = coastline; *ring; ring += 1 + 2 * *ring) {
        for (int turn = -360; turn <= 360; turn += 360) { /* a ring that crosses the edge goes on beyond it, and comes in on the other side */
            double last = ring[1] / 10.0, around = turn;
            cairo_new_sub_path(p->cr);
            for (int i = 0; i < *ring; i++) {
                const double longitude = ring[1 + 2 * i] / 10.0;
                around += longitude - last > 180 ? -360 : longitude - last < -180 ? 360 : 0;
                last = longitude;
                cairo_line_to(p->cr, map_x(longitude + around), map_y(ring[2 + 2 * i] / 10.0));
            }
            cairo_close_path(p->cr);
        }
    }
    plot_ink(p, p->colours->line, 0.7);
    cairo_fill(p->cr);
    cairo_restore(p->cr);
}

static void draw(plot *p, const void *what)
{
    const world *w = what;
    char text[64];
    size_t n;
    const cn_place *places = cn_places(&n);
    plot_box(p, 0, 0, p->width, p->height, p->colours->page);
    plot_text(p, LEFT, 24, (plot_style){.size = 15, .bold = true, .colour = p->colours->ink, .room = p->width - 48}, w->title);
    plot_text(p, LEFT, 44, (plot_style){.size = 11, .colour = p->colours->soft},
              "What the unit answers to the drawn names of each country and its capital, in standard deviations over all words; dots at capitals");
    draw_land(p);
    for (int longitude = -180; longitude <= 180; longitude += 30)
        plot_line(p, map_x(longitude), map_y(80), map_x(longitude), map_y(-60), 0.6, p->colours->line);
    for (int latitude = -60; latitude <= 80; latitude += 20)
        plot_line(p, map_x(-180), map_y(latitude), map_x(180), map_y(latitude), latitude ? 0.6 : 1.2, p->colours->line);
    for (int pass = 0; pass < 2; pass++) /* the strong ones over the others */
        for (size_t i = 0; i < n; i++) {
            const double share = w->most > 0 ? w->sd[i] / w->most : 0;
            if (isnan(w->sd[i]) || (fabs(share) > 0.5) != (pass == 1))
                continue;
            plot_ink(p, shade(share), 1);
            cairo_new_sub_path(p->cr);
            cairo_arc(p->cr, map_x(places[i].longitude), map_y(places[i].latitude), 3 + 5 * fabs(share), 0, 6.2832);
            cairo_fill(p->cr);
            if (pass == 1)
                plot_text(p, map_x(places[i].longitude) + 10, map_y(places[i].latitude), (plot_style){.size = 10, .colour = p->colours->ink},
                          places[i].country);
        }
    for (int i = -2; i <= 2; i++) {
        const double x = LEFT + 60 + 70 * (i + 2), y = map_y(-60) + 26;
        plot_ink(p, shade(i / 2.0), 1);
        cairo_new_sub_path(p->cr);
        cairo_arc(p->cr, x, y, 3 + 2.5 * abs(i), 0, 6.2832);
        cairo_fill(p->cr);
        snprintf(text, sizeof text, "%+.1f", w->most * i / 2);
        plot_text(p, x + 12, y, (plot_style){.size = 10, .colour = p->colours->ink}, text);
    }
}

cn_status cn_word_space_map(const cn_word_space *s, int64_t unit, const char *title, const char *path, cn_plot_theme theme, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n, there = 0;
    const cn_place *places = cn_places(&n);
    const size_t words = s->list.count, room = 64 * n + 256;
    world w = {.title = title};
    char *description = cn_calloc(room, 1);
    double squares = 0;
    size_t at = 0;
    w.sd = cn_calloc(n, sizeof *w.sd);
    CN_CHECK(w.sd && description, CN_ENOMEM, "out of memory for a map");
    CN_CHECK(unit >= 0 && unit < s->units, CN_EINVAL, "unit %" PRId64 ": the site has 0 to %" PRId64, unit, s->units - 1);
    for (size_t i = 0; i < words; i++)
        squares += (double)s->values[(int64_t)i * s->units + unit] * (double)s->values[(int64_t)i * s->units + unit];
    const double sd = sqrt(squares / (double)words);
    for (size_t i = 0; i < n; i++) {
        const int64_t names[2] = {cn_word_space_find(s, places[i].country), cn_word_space_find(s, places[i].capital)};
        double sum = 0;
        int count = 0;
        for (int k = 0; k < 2; k++)
            if (names[k] >= 0) {
                sum += (double)s->values[names[k] * s->units + unit];
                count++;
            }
        w.sd[i] = count ? sd > 0 ? sum / count / sd : 0 : (double)NAN;
        if (!count)
            continue;
        there++;
        w.most = fmax(w.most, fabs(w.sd[i]));
        at += (size_t)snprintf(description + at, room - at, "%s %.2f; ", places[i].country, w.sd[i]);
    }
    CN_CHECK(there, CN_EINVAL, "the space has no name of a place");
    CN_TRY(plot_write(path, theme, 2 * LEFT + 360 * SCALE, map_y(-60) + 52, title, description, draw, &w, err));
done:
    cn_free(w.sd);
    cn_free(description);
    return st;
}
