/* study/areaplot.c -- stacked areas of P(category | activation): shares, intervals, counts, base rates, agreement. */
#include "study/areaplot.h"

#include "base/memory.h"
#include "study/carddata.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFT 70.0
#define RIGHT 744.0
#define TOP 76.0
#define BOTTOM 356.0
#define STRIP_TOP 424.0
#define STRIP_BOTTOM 466.0
#define NAME_HEIGHT 20.0

typedef struct rectangle {
    double x, y, width, height;
} rectangle;

typedef struct interval {
    double x, low, high; /* points: low lies further down */
} interval;

typedef struct area {
    const cn_category_table *t;
    plot_scale x, y;
    interval intervals[CN_MAX_CATEGORY_BINS * CN_MAX_CATEGORIES];
    size_t n_intervals;
    rectangle taken[CN_MAX_CATEGORIES + CN_MAX_CATEGORY_BINS]; /* where words stand among the areas */
    size_t n_taken;
} area;

/* Where the first of some bins begins and the last ends, in points. */
static double left_of(const area *a, size_t bin)
{
    return plot_at(&a->x, a->t->bins[bin].low);
}

static double right_of(const area *a, size_t bin)
{
    return plot_at(&a->x, a->t->bins[bin].high);
}

/* The last of the bins from this one on that are, like it, with pictures or without. */
static size_t run_end(const area *a, size_t bin)
{
    const bool has = a->t->bins[bin].images > 0;
    while (bin + 1 < a->t->n_bins && (a->t->bins[bin + 1].images > 0) == has)
        bin++;
    return bin;
}

static double middle(const area *a, size_t bin)
{
    return plot_at(&a->x, (a->t->bins[bin].low + a->t->bins[bin].high) / 2);
}

/* The look of a category: "other" is grey. */
static size_t series(const area *a, size_t category)
{
    size_t n = category;
    bool grey = false;
    for (size_t c = 0; c < a->t->n_categories; c++) {
        const bool other = strcmp(a->t->categories[c], "other") == 0;
        grey = grey || other;
        if (other && c < category)
            n--;
        if (other && c == category)
            return PLOT_SERIES - 1;
    }
    return grey && n >= PLOT_SERIES - 1 ? n + 1 : n;
}

/* The edges of a category's area at a bin, in points. */
static double upper(const area *a, size_t bin, size_t category)
{
    return plot_at(&a->y, a->t->bins[bin].shares[category].below);
}

static double lower(const area *a, size_t bin, size_t category)
{
    return category ? upper(a, bin, category - 1) : plot_at(&a->y, 0);
}

/* ---- areas ---- */

/* Bins first..last have pictures: their areas join at their middles and reach flat to the outer borders. */
static void draw_run(plot *p, const area *a, size_t first, size_t last)
{
    double x[CN_MAX_CATEGORY_BINS + 2], low[CN_MAX_CATEGORY_BINS + 2], high[CN_MAX_CATEGORY_BINS + 2];
    for (size_t c = 0; c < a->t->n_categories; c++) {
        size_t n = 0;
        for (size_t k = 0; k < last - first + 3; k++, n++) {
            const size_t bin = k == 0 ? first : k == last - first + 2 ? last : first + k - 1;
            x[n] = k == 0 ? left_of(a, first) : k == last - first + 2 ? right_of(a, last) : middle(a, bin);
            low[n] = lower(a, bin, c);
            high[n] = upper(a, bin, c);
        }
        plot_area(p, series(a, c), x, low, high, n);
        if (c == 0)
            continue;
        plot_ink(p, p->colours->edge, 0.9); /* areas that meet are told apart in grey, too */
        cairo_set_line_width(p->cr, 1.2);
        for (size_t i = 0; i < n; i++)
            cairo_line_to(p->cr, x[i], low[i]);
        cairo_stroke(p->cr);
    }
}

/* Bins first..last have no picture: one word for all of them, and no grid behind it. */
static void draw_gap(plot *p, area *a, size_t first, size_t last)
{
    const plot_style style = {PLOT_TEXT, false, p->colours->soft, 0.5, 0};
    const double x = (left_of(a, first) + right_of(a, last)) / 2, y = (TOP + BOTTOM) / 2;
    const rectangle r = {.width = plot_text_width(p, style, "none") + 8, .height = 16};
    if (right_of(a, last) - left_of(a, first) < r.width)
        return;
    plot_box(p, x - r.width / 2, y - r.height / 2, r.width, r.height, p->colours->page);
    plot_text(p, x, y, style, "none");
    a->taken[a->n_taken++] = (rectangle){x - r.width / 2, y - r.height / 2, r.width, r.height};
}

static void draw_areas(plot *p, area *a)
{
    for (size_t b = 0, last; b < a->t->n_bins; b = last + 1) {
        last = run_end(a, b);
        if (a->t->bins[b].images)
            draw_run(p, a, b, last);
        else
            draw_gap(p, a, b, last);
    }
}

/* Intervals stand at the upper edges of areas that are there; an edge at the top is shown where it is the only one. Several at
 * one level stand beside each other. */
static void find_intervals(area *a)
{
    for (size_t b = 0; b < a->t->n_bins; b++) {
        const cn_category_bin *bin = &a->t->bins[b];
        size_t shown[CN_MAX_CATEGORIES], n = 0;
        if (!bin->images)
            continue;
        for (size_t c = 0; c < a->t->n_categories; c++)
            if (bin->shares[c].share > 1e-9 && (bin->shares[c].below < 1 - 1e-9 || n == 0))
                shown[n++] = c;
        const double room = 0.7 * (right_of(a, b) - left_of(a, b)), step = fmin(9, room / (double)(n + 1));
        for (size_t k = 0; k < n; k++)
            a->intervals[a->n_intervals++] = (interval){.x = middle(a, b) + ((double)k - (double)(n - 1) / 2) * step,
                                                        .low = plot_at(&a->y, bin->shares[shown[k]].below_low),
                                                        .high = plot_at(&a->y, bin->shares[shown[k]].below_high)};
    }
}

static void draw_intervals(plot *p, const area *a)
{
    for (size_t i = 0; i < a->n_intervals; i++)
        plot_interval(p, a->intervals[i].x, a->intervals[i].low, a->intervals[i].high);
}

/* ---- names ---- */

static bool apart(const rectangle *a, const rectangle *b)
{
    return a->x + a->width < b->x || b->x + b->width < a->x || a->y + a->height < b->y || b->y + b->height < a->y;
}

/* How well a name would stand at a bin: its neighbours count a little. */
static double thickness(const area *a, size_t bin, size_t category)
{
    double sum = 0;
    for (size_t b = bin > 0 ? bin - 1 : 0; b <= bin + 1 && b < a->t->n_bins; b++)
        if (a->t->bins[b].images && a->t->bins[bin].images)
            sum += (b == bin ? 1 : 0.2) * a->t->bins[b].shares[category].share;
    return sum;
}

/* A name on the page's colour, with a thin line around it: on an area or beside it. */
static void draw_name(plot *p, const rectangle *r, plot_style style, const char *name)
{
    const double radius = r->height / 2;
    cairo_new_sub_path(p->cr);
    cairo_arc(p->cr, r->x + radius, r->y + radius, radius, M_PI / 2, 1.5 * M_PI);
    cairo_arc(p->cr, r->x + r->width - radius, r->y + radius, radius, -M_PI / 2, M_PI / 2);
    cairo_close_path(p->cr);
    plot_ink(p, p->colours->page, 0.88);
    cairo_fill_preserve(p->cr);
    plot_ink(p, p->colours->soft, 1);
    cairo_set_line_width(p->cr, 0.8);
    cairo_stroke(p->cr);
    plot_text(p, r->x + r->width / 2, r->y + r->height / 2, style, name);
}

static int crossed(const area *a, const rectangle *r)
{
    int n = 0;
    for (size_t i = 0; i < a->n_intervals; i++) {
        const interval *v = &a->intervals[i];
        n += v->x > r->x - 3 && v->x < r->x + r->width + 3 && v->high < r->y + r->height && v->low > r->y; /* low is further down */
    }
    return n;
}

static bool is_free(const area *a, const rectangle *r)
{
    bool free = true;
    for (size_t k = 0; k < a->n_taken; k++)
        free = free && apart(r, &a->taken[k]);
    return free;
}

/* Looks for the place of a name in its area, at a bin or (`between`) at its border with the next: within the bins that have pictures, in the
 * middle of the area's height or near it, and rather where no interval crosses it. Better places than *score are kept. */
static void try_place(const area *a, size_t bin, bool between, size_t category, double width, rectangle *best, double *score)
{
    const size_t other = bin + between;
    size_t first = bin;
    while (first > 0 && a->t->bins[first - 1].images)
        first--;
    const double from = left_of(a, first) + 4, to = right_of(a, run_end(a, bin)) - 4;
    const double top = (upper(a, bin, category) + upper(a, other, category)) / 2, bottom = (lower(a, bin, category) + lower(a, other, category)) / 2;
    rectangle r = {.width = width, .height = NAME_HEIGHT};
    const double spare = (bottom - top - r.height) / 2 - 3;
    if (spare < 0 || width > to - from)
        return;
    r.x = fmax(fmin((middle(a, bin) + middle(a, other)) / 2 - width / 2, to - width), from);
    for (int k = -4; k <= 4; k++) {
        r.y = (top + bottom) / 2 - r.height / 2 + k * spare / 4;
        const int bars = crossed(a, &r);
        const double thick = (thickness(a, bin, category) + thickness(a, other, category)) / 2, found = thick - 0.5 * bars - 0.02 * abs(k);
        if (bars <= 1 && found > *score + 1e-9 && is_free(a, &r))
            *best = r, *score = found;
    }
}

/* A category's name in its area, where there is room for it; the legend has all names. */
static void draw_names(plot *p, area *a)
{
    for (size_t c = 0; c < a->t->n_categories; c++) {
        const plot_style style = {PLOT_TEXT, true, p->colours->ink, 0.5, 150};
        const double width = plot_text_width(p, style, a->t->categories[c]) + 14;
        rectangle best = {0};
        double score = -1;
        for (size_t b = 0; b < a->t->n_bins; b++) {
            if (!a->t->bins[b].images)
                continue;
            try_place(a, b, false, c, width, &best, &score);
            if (b + 1 < a->t->n_bins && a->t->bins[b + 1].images)
                try_place(a, b, true, c, width, &best, &score);
        }
        if (!(best.width > 0))
            continue;
        a->taken[a->n_taken++] = best;
        draw_name(p, &best, style, a->t->categories[c]);
    }
}

static void draw_legend(plot *p, const area *a)
{
    const double x = RIGHT + 22, step = fmin(24, (BOTTOM - TOP) / (double)a->t->n_categories);
    for (size_t i = 0; i < a->t->n_categories; i++) { /* in the order of the stack */
        const size_t c = a->t->n_categories - 1 - i;
        const double y = TOP + step * ((double)i + 0.5);
        plot_swatch(p, series(a, c), x, y - fmin(7, 0.4 * step), 18, fmin(14, 0.8 * step));
        plot_text(p, x + 26, y, (plot_style){PLOT_TEXT, false, p->colours->ink, 0, p->width - x - 26 - 12}, a->t->categories[c]);
    }
}

/* ---- below ---- */

static const char *short_count(int64_t n, char text[32])
{
    if (n >= 10000000)
        snprintf(text, 32, "%.0fM", (double)n / 1e6);
    else if (n >= 10000)
        snprintf(text, 32, "%.0fk", (double)n / 1e3);
    else
        snprintf(text, 32, "%" PRId64, n);
    return text;
}

static void draw_counts(plot *p, const area *a)
{
    const double width = (RIGHT - LEFT) / (double)a->t->n_bins, y = BOTTOM + 34;
    const bool rated = a->t->source == CN_CATEGORIES_RATED;
    char number[32];
    plot_text(p, LEFT - 8, y, (plot_style){PLOT_TEXT, false, p->colours->soft, 1, 0}, rated ? "rated" : "sample");
    plot_text(p, LEFT - 8, y + 16, (plot_style){PLOT_TEXT, false, p->colours->soft, 1, 0}, "of");
    for (size_t b = 0; b < a->t->n_bins; b++) {
        const plot_style style = {width < 24 ? 8.5 : PLOT_TEXT, false, p->colours->ink, 0.5, 0},
                         soft = {style.size, false, p->colours->soft, 0.5, 0};
        plot_text(p, middle(a, b), y, style, short_count(a->t->bins[b].images, number));
        if (width >= 20)
            plot_text(p, middle(a, b), y + 16, soft, short_count(a->t->bins[b].population, number));
    }
    for (size_t b = 1; b < a->t->n_bins; b++) {
        const double x = plot_at(&a->x, a->t->bins[b].low);
        plot_line(p, x, BOTTOM + 26, x, STRIP_BOTTOM, 0.7, p->colours->line);
    }
}

static void draw_strip(plot *p, const area *a)
{
    int64_t most = 1;
    char number[32];
    const double width = (RIGHT - LEFT) / CN_CATEGORY_HISTOGRAM;
    for (size_t i = 0; i < CN_CATEGORY_HISTOGRAM; i++)
        most = a->t->histogram[i] > most ? a->t->histogram[i] : most;
    for (size_t i = 0; i < CN_CATEGORY_HISTOGRAM; i++) {
        const double tall = card_height(a->t->histogram[i], most) * (STRIP_BOTTOM - STRIP_TOP);
        if (tall > 0)
            cairo_rectangle(p->cr, LEFT + (double)i * width, STRIP_BOTTOM - tall, width * 0.86, tall);
    }
    plot_ink(p, p->colours->soft, 1);
    cairo_fill(p->cr);
    plot_line(p, LEFT, STRIP_BOTTOM, RIGHT, STRIP_BOTTOM, 1, p->colours->soft);
    plot_text(p, LEFT - 8, STRIP_TOP + 4, (plot_style){PLOT_TEXT, false, p->colours->soft, 1, 0}, short_count(most, number));
    plot_text(p, LEFT - 8, STRIP_BOTTOM - 4, (plot_style){PLOT_TEXT, false, p->colours->soft, 1, 0}, "1");
    plot_text(p, RIGHT + 22, STRIP_TOP + 12, (plot_style){PLOT_TEXT, false, p->colours->soft, 0, 0}, "all pictures,");
    plot_text(p, RIGHT + 22, STRIP_TOP + 28, (plot_style){PLOT_TEXT, false, p->colours->soft, 0, 0}, "logarithmic");
}

/* Appends and never overflows. */
CN_PRINTF(4, 5) static void add(char *text, size_t room, size_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = *at < room ? vsnprintf(text + *at, room - *at, format, args) : 0;
    va_end(args);
    *at = n > 0 && *at + (size_t)n < room ? *at + (size_t)n : n > 0 ? room : *at;
}

const char *areaplot_agreement(const cn_category_table *t, char *text, size_t room)
{
    const cn_agreement *g = &t->agreement;
    size_t at = 0;
    char number[32];
    text[0] = '\0';
    if (t->source != CN_CATEGORIES_RATED)
        return text;
    if (t->n_raters == 1) {
        add(text, room, &at, "One rater: how far others would agree is not known.");
        return text;
    }
    add(text, room, &at, "%zu raters", t->n_raters);
    if (!g->shared) {
        add(text, room, &at, ", no picture in common: how far they agree is not known.");
        return text;
    }
    add(text, room, &at, " on %" PRId64 " picture%s: agreement %.0f%%", g->shared, g->shared == 1 ? "" : "s", 100 * g->percent);
    if (!isnan(g->kappa))
        add(text, room, &at, " \xc2\xb7 Cohen\xe2\x80\x99s \xce\xba %s", card_number_at(g->kappa, 0.02, number));
    if (!isnan(g->alpha))
        add(text, room, &at, " \xc2\xb7 Krippendorff\xe2\x80\x99s \xce\xb1 %s", card_number_at(g->alpha, 0.02, number));
    else
        add(text, room, &at, " \xc2\xb7 one category alone: \xce\xb1 is not defined");
    if (!isnan(g->alpha_low)) {
        add(text, room, &at, " (%.0f%%: %s", 100 * t->confidence, card_number_at(g->alpha_low, 0.02, number));
        add(text, room, &at, " to %s)", card_number_at(g->alpha_high, 0.02, number));
    }
    return text;
}

static void titles(plot *p, const area *a)
{
    const cn_category_table *t = a->t;
    char text[1024];
    size_t at = 0;
    snprintf(text, sizeof text, "%s of %s",
             t->source == CN_CATEGORIES_LABEL    ? "P(label | activation)"
             : t->source == CN_CATEGORIES_MEDIUM ? "P(medium | activation)"
                                                 : "P(category | activation)",
             t->unit);
    plot_text(p, LEFT, 26, (plot_style){17, true, p->colours->ink, 0, p->width - LEFT - 12}, text);
    if (t->source == CN_CATEGORIES_RATED) {
        add(text, sizeof text, &at, "%zu rater%s: ", t->n_raters, t->n_raters == 1 ? "" : "s");
        for (size_t i = 0; i < t->n_raters && i < 6; i++)
            add(text, sizeof text, &at, "%s%s", i ? ", " : "", t->raters[i]);
        add(text, sizeof text, &at, "%s", t->n_raters > 6 ? ", ..." : "");
    } else {
        add(text, sizeof text, &at, "%s of the collection", t->source == CN_CATEGORIES_LABEL ? "labels" : "media");
    }
    add(text, sizeof text, &at, " \xc2\xb7 a random sample from each level \xc2\xb7 %s on %s", t->model_file, t->collection_name);
    plot_text(p, LEFT, 50, (plot_style){PLOT_TEXT, false, p->colours->soft, 0, p->width - LEFT - 12}, text);
    plot_text(p, (LEFT + RIGHT) / 2, STRIP_BOTTOM + 16, (plot_style){PLOT_TEXT, false, p->colours->ink, 0.5, 0}, "activation, sd units");
    const bool judged = *areaplot_agreement(t, text, sizeof text) != '\0';
    plot_text(p, LEFT, STRIP_BOTTOM + 42, (plot_style){PLOT_TEXT, true, p->colours->ink, 0, p->width - LEFT - 12}, text);
    snprintf(text, sizeof text, "Bars: %.0f%% intervals of the upper edges of areas (Wilson), from the number of pictures at that level.",
             100 * t->confidence);
    plot_text(p, LEFT, STRIP_BOTTOM + (judged ? 62 : 42), (plot_style){PLOT_TEXT, false, p->colours->soft, 0, p->width - LEFT - 12},
              text);
}

void areaplot_draw(plot *p, const void *table)
{
    const cn_category_table *t = table;
    area a = {.t = t, .x = {t->bins[0].low, t->bins[t->n_bins - 1].high, LEFT, RIGHT}, .y = {0, 1, BOTTOM, TOP}};
    plot_share_axis(p, &a.y, LEFT, RIGHT);
    find_intervals(&a);
    draw_areas(p, &a);
    plot_x_axis(p, &a.x, BOTTOM);
    draw_names(p, &a);
    draw_intervals(p, &a);
    draw_legend(p, &a);
    draw_counts(p, &a);
    draw_strip(p, &a);
    titles(p, &a);
}

/* The table as words, for those who do not see it. */
static char *describe(const cn_category_table *t)
{
    const size_t room = 64 + t->n_bins * (96 + t->n_categories * (CN_MAX_RATING_NAME + 24)) + 512;
    char *text = cn_malloc(room), line[512];
    size_t at = 0;
    if (!text)
        return NULL;
    for (size_t b = 0; b < t->n_bins; b++) {
        const cn_category_bin *bin = &t->bins[b];
        add(text, room, &at, "%.2f to %.2f sd, %" PRId64 " of %" PRId64 " pictures:", bin->low, bin->high, bin->images, bin->population);
        for (size_t c = 0; c < t->n_categories && bin->images; c++)
            add(text, room, &at, "%s %s %.0f%%", c ? "," : "", t->categories[c], 100 * bin->shares[c].share);
        add(text, room, &at, ".\n");
    }
    add(text, room, &at, "%s", areaplot_agreement(t, line, sizeof line));
    return text;
}

cn_status cn_category_plot(const cn_category_table *t, cn_plot_theme theme, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    char title[512];
    char *description = describe(t);
    CN_CHECK(description, CN_ENOMEM, "out of memory for a plot");
    snprintf(title, sizeof title, "P(%s | activation) of %s",
             t->source == CN_CATEGORIES_LABEL    ? "label"
             : t->source == CN_CATEGORIES_MEDIUM ? "medium"
                                                 : "category",
             t->unit);
    CN_TRY(plot_write(path, theme, AREAPLOT_WIDTH, AREAPLOT_HEIGHT, title, description, areaplot_draw, t, err));
done:
    cn_free(description);
    return st;
}
