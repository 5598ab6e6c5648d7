/* compose/worldmap.c -- what units answer to the names and flags of countries, on a map of the world. */
#include "base/memory.h"
#include "compose/coastline.h"
#include "compose/regionflags.h"
#include "study/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFT 24.0
#define TOP 64.0
#define SCALE 2.2      /* points a degree: an equirectangular map */
#define TURN 6.283185307179586
#define NAME_SIZE 10.0 /* points */

/* A country on the map. */
typedef struct mark {
    double x, y;
    double name, flag; /* sd; NaN: not known */
    bool strong;       /* gets its name written */
    char text[64];
} mark;

typedef struct world {
    const char *title, *note;
    mark *marks; /* (n): those that are written first, the strongest first */
    size_t n;
    double most; /* sd at the ends of the scale */
    bool below;  /* whether anything is below zero */
    size_t missing; /* countries that nothing is known of: they are not drawn */
    bool flags;
} world;

static double map_x(double longitude)
{
    return LEFT + (longitude + 180) * SCALE;
}

static double map_y(double latitude)
{
    return TOP + (80 - latitude) * SCALE;
}

/* Red above the mean over all words or pictures, blue below it, grey at it. */
static plot_colour shade(double share)
{
    const plot_colour grey = {0.6, 0.6, 0.6}, high = {0.84, 0.37, 0}, low = {0, 0.45, 0.7};
    const plot_colour *end = share > 0 ? &high : &low;
    const double t = fmin(1, fabs(share));
    return (plot_colour){grey.r + t * (end->r - grey.r), grey.g + t * (end->g - grey.g), grey.b + t * (end->b - grey.b)};
}

/* From where to where a ring goes on beyond the edge of the map, degrees. */
static void extent(const int16_t *ring, double *west, double *east)
{
    double last = ring[1] / 10.0, around = 0;
    *west = *east = last;
    for (int i = 0; i < *ring; i++) {
        const double longitude = ring[1 + 2 * i] / 10.0;
        around += longitude - last > 180 ? -360 : longitude - last < -180 ? 360 : 0;
        last = longitude;
        *west = fmin(*west, longitude + around);
        *east = fmax(*east, longitude + around);
    }
}

/* Land as areas, for those who read the map; what lies south of it is cut. */
static void draw_land(plot *p)
{
    cairo_save(p->cr);
    cairo_rectangle(p->cr, map_x(-180), map_y(80), 360 * SCALE, 140 * SCALE);
    cairo_clip(p->cr);
    for (const int16_t *ring = coastline; *ring; ring += 1 + 2 * *ring) {
        double west, east;
        extent(ring, &west, &east);
        for (int turn = -360; turn <= 360; turn += 360) { /* a ring that crosses the edge goes on beyond it, and comes in on the other side */
            double last = ring[1] / 10.0, around = turn;
            if (west + turn >= 180 || east + turn <= -180)
                continue;
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

/* ---- marks ---- */

static double radius_of(double share)
{
    return 3 + 5 * fmin(1, fabs(share));
}

/* Radius of a mark: of its stronger half. */
static double mark_radius(const world *w, const mark *m)
{
    const double name = isnan(m->name) ? 0 : m->name / w->most, flag = isnan(m->flag) ? 0 : m->flag / w->most;
    return isnan(m->name) && isnan(m->flag) ? 0 : radius_of(fmax(fabs(name), fabs(flag)));
}

static void fill_half(plot *p, double x, double y, double radius, int half, plot_colour colour)
{
    plot_ink(p, colour, 1);
    cairo_new_sub_path(p->cr);
    cairo_arc(p->cr, x, y, radius, half ? -TURN / 4 + (half < 0 ? TURN / 2 : 0) : 0, half ? TURN / 4 + (half < 0 ? TURN / 2 : 0) : TURN);
    cairo_fill(p->cr);
}

/* Left the name, right the flag; a whole disc where there is one of them. */
static void draw_mark(plot *p, const world *w, const mark *m)
{
    const double radius = mark_radius(w, m);
    if (isnan(m->name) && isnan(m->flag)) /* a dot would look like one that was measured */
        return;
    fill_half(p, m->x, m->y, radius + 0.8, 0, p->colours->page); /* a rim, where marks lie over each other */
    if (!isnan(m->name))
        fill_half(p, m->x, m->y, radius, isnan(m->flag) ? 0 : -1, shade(m->name / w->most));
    if (!isnan(m->flag)) {
        fill_half(p, m->x, m->y, radius, isnan(m->name) ? 0 : 1, shade(m->flag / w->most));
        plot_line(p, m->x, m->y - radius, m->x, m->y + radius, 0.8, p->colours->page);
    }
}

/* ---- names, where there is room ---- */

typedef struct box {
    double x1, y1, x2, y2;
} box;

static double overlap(box a, box b)
{
    const double x = fmin(a.x2, b.x2) - fmax(a.x1, b.x1), y = fmin(a.y2, b.y2) - fmax(a.y1, b.y1);
    return x > 0 && y > 0 ? x * y : 0;
}

/* A name goes to the first of some places around its mark that hides nothing, or where it hides least. taken: (*n) boxes of marks and names. */
static void write_name(plot *p, const world *w, const mark *m, box *taken, size_t *n)
{
    static const struct {
        double x, y, align; /* of the radius and of the line's height */
    } ways[] = {{1, 0, 0}, {-1, 0, 1}, {0.8, -0.9, 0}, {0.8, 0.9, 0}, {-0.8, -0.9, 1}, {-0.8, 0.9, 1},
              {0, -1.4, 0.5}, {0, 1.4, 0.5}, {0.8, 2, 0}, {-0.8, 2, 1}, {0.8, -2, 0}, {-0.8, -2, 1}};
    const plot_style style = {.size = NAME_SIZE, .colour = m->strong ? p->colours->ink : p->colours->soft};
    const double radius = mark_radius(w, m) + 3, width = plot_text_width(p, style, m->text), height = NAME_SIZE + 2;
    double least = INFINITY, x = 0, y = 0;
    size_t way = 0;
    box best = {0};
    for (size_t i = 0; i < sizeof ways / sizeof *ways && least > 0; i++) {
        const double at = m->x + ways[i].x * radius, middle = m->y + ways[i].y * height, left = at - ways[i].align * width;
        const box b = {left, middle - height / 2, left + width, middle + height / 2};
        double hidden = b.x1 < LEFT || b.x2 > p->width - LEFT ? 1e6 : 0;
        for (size_t k = 0; k < *n; k++)
            hidden += overlap(b, taken[k]);
        if (hidden < least) {
            least = hidden;
            best = b;
            way = i;
            x = left;
            y = middle;
        }
    }
    taken[(*n)++] = best;
    if (fabs(ways[way].y) > 1) /* a line or more away from its mark */
        plot_line(p, m->x, m->y, fmin(fmax(m->x, best.x1), best.x2), fmin(fmax(m->y, best.y1), best.y2), 0.7, p->colours->soft);
    plot_text(p, x, y, style, m->text);
}

static void draw_scale(plot *p, const world *w)
{
    const double y = map_y(-60) + 26;
    char text[64];
    for (int i = w->below ? -2 : 0; i <= 2; i++) {
        const double x = LEFT + 10 + 70 * (i + (w->below ? 2 : 0));
        fill_half(p, x, y, radius_of(i / 2.0), 0, shade(i / 2.0));
        snprintf(text, sizeof text, "%+.1f", w->most * i / 2);
        plot_text(p, x + 12, y, (plot_style){.size = NAME_SIZE, .colour = p->colours->ink}, text);
    }
    if (w->missing) {
        snprintf(text, sizeof text, "%zu countries without %s are not drawn", w->missing, w->flags ? "a name or pictures" : "a name");
        plot_text(p, LEFT, y + 24, (plot_style){.size = NAME_SIZE, .colour = p->colours->soft}, text);
    }
    if (w->flags) {
        const mark example = {.x = LEFT + 430, .y = y, .name = w->most, .flag = 0};
        draw_mark(p, w, &example);
        plot_text(p, LEFT + 444, y, (plot_style){.size = NAME_SIZE, .colour = p->colours->ink}, "left half: the written name; right half: the flag");
    }
}

/* Marks move apart until no one hides more than a rim of another. */
static void spread(world *w)
{
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < w->n; i++)
            for (size_t k = i + 1; k < w->n; k++) {
                mark *a = &w->marks[i], *b = &w->marks[k];
                if (mark_radius(w, a) > 0 && mark_radius(w, b) > 0)
                    plot_move_apart(&a->x, &a->y, &b->x, &b->y, 0.85 * (mark_radius(w, a) + mark_radius(w, b)), 0);
            }
}

static void draw(plot *p, const void *what)
{
    const world *w = what;
    box *taken = cn_calloc(2 * w->n + 1, sizeof *taken);
    size_t n = 0;
    plot_box(p, 0, 0, p->width, p->height, p->colours->page);
    plot_text(p, LEFT, 24, (plot_style){.size = 15, .bold = true, .colour = p->colours->ink, .room = p->width - 48}, w->title);
    plot_text(p, LEFT, 44, (plot_style){.size = 11, .colour = p->colours->soft, .room = p->width - 48}, w->note);
    draw_land(p);
    for (int longitude = -180; longitude <= 180; longitude += 30)
        plot_line(p, map_x(longitude), map_y(80), map_x(longitude), map_y(-60), 0.6, p->colours->line);
    for (int latitude = -60; latitude <= 80; latitude += 20)
        plot_line(p, map_x(-180), map_y(latitude), map_x(180), map_y(latitude), latitude ? 0.6 : 1.2, p->colours->line);
    for (size_t i = 0; i < w->n; i++) { /* the small ones over the others: a large one would hide them */
        const double radius = mark_radius(w, &w->marks[i]);
        draw_mark(p, w, &w->marks[i]);
        if (taken && radius > 0)
            taken[n++] = (box){w->marks[i].x - radius, w->marks[i].y - radius, w->marks[i].x + radius, w->marks[i].y + radius};
    }
    for (size_t i = 0; i < w->n && taken; i++)
        if (w->marks[i].text[0])
            write_name(p, w, &w->marks[i], taken, &n);
    draw_scale(p, w);
    cn_free(taken);
}

/* ---- what is on it ---- */

static double strength(const mark *m)
{
    return fmax(isnan(m->name) ? 0 : fabs(m->name), isnan(m->flag) ? 0 : fabs(m->flag));
}

static int stronger(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    const double sx = strength(x), sy = strength(y);
    return sx != sy ? (sx > sy ? -1 : 1) : x->x != y->x ? (x->x < y->x ? -1 : 1) : 0;
}

/* What a unit answers to a place's names, the mean, sd; NaN where the space has none of them. */
static double answer_to_names(const cn_word_space *s, const cn_place *place, int64_t unit, double sd)
{
    const int64_t names[2] = {cn_word_space_find(s, place->country), cn_word_space_find(s, place->capital)};
    double sum = 0;
    int count = 0;
    for (int k = 0; k < 2; k++)
        if (names[k] >= 0) {
            sum += (double)s->values[names[k] * s->units + unit];
            count++;
        }
    return !count ? (double)NAN : sd > 0 ? sum / count / sd : 0;
}

static const cn_region_country *country_of(const cn_region_flags *flags, size_t place)
{
    for (size_t c = 0; flags && c < flags->n; c++)
        if (flags->countries[c].place == place)
            return &flags->countries[c];
    return NULL;
}

cn_status cn_word_space_map(const cn_word_space *s, const cn_region_flags *flags, int64_t unit, const char *title, const char *path, cn_plot_theme theme,
                            cn_error *err)
{
    cn_status st = CN_OK;
    size_t n, there = 0, at = 0;
    const cn_place *places = cn_places(&n);
    const size_t room = 96 * n + 256;
    world w = {.title = title, .n = n, .flags = flags != NULL};
    char *description = cn_calloc(room, 1);
    double *sd = cn_calloc((size_t)s->units + 1, sizeof *sd);
    w.marks = cn_calloc(n, sizeof *w.marks);
    CN_CHECK(w.marks && description && sd, CN_ENOMEM, "out of memory for a map");
    CN_CHECK((unit >= 0 || (unit == -1 && flags)) && unit < s->units, CN_EINVAL, "unit %" PRId64 ": the site has 0 to %" PRId64, unit, s->units - 1);
    wordspace_deviations(s, sd);
    w.note = unit < 0 ? "The unit that answers most to a country's drawn name and to its flag; standard deviations over all words and pictures; at capitals"
             : flags  ? "What the unit answers to drawn names of country and capital and to flags; standard deviations over all words and pictures; at capitals"
                      : "What the unit answers to the drawn names of each country and its capital, in standard deviations over all words; dots at capitals";
    for (size_t i = 0; i < n; i++) {
        const cn_region_country *c = country_of(flags, i);
        mark *m = &w.marks[i];
        *m = (mark){.x = map_x(places[i].longitude), .y = map_y(places[i].latitude), .name = (double)NAN, .flag = (double)NAN};
        if (unit < 0 && c) {
            m->name = c->name;
            m->flag = c->flag;
            m->strong = fmin(c->name, c->flag) >= CN_REGION_LEVEL;
            snprintf(m->text, sizeof m->text, "%s %" PRId64, places[i].country, c->unit);
        } else if (unit >= 0) {
            m->name = answer_to_names(s, &places[i], unit, sd[unit]);
            m->flag = flags && c ? (double)flags_values(flags)[(size_t)(c - flags->countries) * (size_t)s->units + (size_t)unit] : (double)NAN;
        }
        if (isnan(m->name) && isnan(m->flag)) {
            w.missing++;
            continue;
        }
        there++;
        w.below = w.below || m->name < 0 || m->flag < 0;
        w.most = fmax(w.most, strength(m));
        at += (size_t)snprintf(description + at, room - at, "%s %.2f", unit < 0 ? m->text : places[i].country, m->name);
        if (!isnan(m->flag))
            at += (size_t)snprintf(description + at, room - at, ", flag %.2f", m->flag);
        at += (size_t)snprintf(description + at, room - at, "; ");
    }
    CN_CHECK(there, CN_EINVAL, "the space has no name of a place");
    w.most = w.most > 0 ? w.most : 1;
    for (size_t i = 0; unit >= 0 && i < n; i++) {
        mark *m = &w.marks[i];
        m->strong = strength(m) > 0.5 * w.most;
        if (m->strong)
            snprintf(m->text, sizeof m->text, "%s", places[i].country);
    }
    qsort(w.marks, n, sizeof *w.marks, stronger);
    spread(&w);
    CN_TRY(plot_write(path, theme, 2 * LEFT + 360 * SCALE, map_y(-60) + (w.missing ? 70 : 52), title, description, draw, &w, err));
done:
    cn_free(w.marks);
    cn_free(description);
    cn_free(sd);
    return st;
}
