/* study/areaplot.c -- stacked areas of P(category | activation): shares, intervals, counts, base rates, agreement. */
#include "study/areaplot.h"

#include "base/memory.h"
#include "study/carddata.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LEFT 70.0
#define RIGHT 744.0
#define TOP 76.0
#define BOTTOM 356.0
#define STRIP_TOP 424.0
#define STRIP_BOTTOM 466.0

typedef struct rectangle {
    double x, y, width, height;
} rectangle;

typedef struct area {
    const cn_category_table *t;
    plot_scale x, y;
} area;

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
            x[n] = k == 0                  ? plot_at(&a->x, a->t->bins[first].low)
                   : k == last - first + 2 ? plot_at(&a->x, a->t->bins[last].high)
                                           : middle(a, bin);
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

static void draw_areas(plot *p, const area *a)
{
    for (size_t b = 0; b < a->t->n_bins; b++) {
        if (!a->t->bins[b].images) {
            const double x = plot_at(&a->x, a->t->bins[b].low), width = plot_at(&a->x, a->t->bins[b].high) - x;
            if (width > 30)
                plot_text(p, x + width / 2, (TOP + BOTTOM) / 2, (plot_style){PLOT_TEXT, false, p->colours->soft, 0.5, width}, "none");
            continue;
        }
        size_t last = b;
        while (last + 1 < a->t->n_bins && a->t->bins[last + 1].images)
            last++;
        draw_run(p, a, b, last);
        b = last;
    }
}

/* Intervals stand at the upper edges of areas that are there; an edge at the top is shown where it is the only one. Several at
 * one level stand beside each other. */
static void draw_intervals(plot *p, const area *a)
{
    for (size_t b = 0; b < a->t->n_bins; b++) {
        const cn_category_bin *bin = &a->t->bins[b];
        size_t shown[CN_MAX_CATEGORIES], n = 0;
        if (!bin->images)
            continue;
        for (size_t c = 0; c < a->t->n_categories; c++)
            if (bin->shares[c].share > 1e-9 && (bin->shares[c].below < 1 - 1e-9 || n == 0))
                shown[n++] = c;
        const double room = 0.7 * (plot_at(&a->x, bin->high) - plot_at(&a->x, bin->low)), step = fmin(9, room / (double)(n + 1));
        for (size_t k = 0; k < n; k++)
            plot_interval(p, middle(a, b) + ((double)k - (double)(n - 1) / 2) * step, plot_at(&a->y, bin->shares[shown[k]].below_low),
                          plot_at(&a->y, bin->shares[shown[k]].below_high));
    }
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

/* A category's name where its area is thickest, if there is room for it. */
static void draw_names(plot *p, const area *a)
{
    rectangle placed[CN_MAX_CATEGORIES];
    size_t n = 0;
    for (size_t c = 0; c < a->t->n_categories; c++) {
        const plot_style style = {PLOT_TEXT, true, p->colours->ink, 0.5, 150};
        size_t best = a->t->n_bins;
        double most = 0;
        for (size_t b = 0; b < a->t->n_bins; b++)
            if (thickness(a, b, c) > most + 1e-9)
                best = b, most = thickness(a, b, c);
        if (best == a->t->n_bins || a->t->bins[best].shares[c].share * (BOTTOM - TOP) < 26)
            continue;
        rectangle r = {.width = plot_text_width(p, style, a->t->categories[c]) + 14, .height = 20};
        r.x = fmin(fmax(middle(a, best) - r.width / 2, LEFT + 4), RIGHT - 4 - r.width);
        r.y = (upper(a, best, c) + lower(a, best, c)) / 2 - r.height / 2;
        bool free = true;
        for (size_t k = 0; k < n; k++)
            free = free && apart(&r, &placed[k]);
        if (!free)
            continue;
        placed[n++] = r;
        cairo_new_sub_path(p->cr);
        cairo_arc(p->cr, r.x + 10, r.y + 10, 10, M_PI / 2, 1.5 * M_PI);
        cairo_arc(p->cr, r.x + r.width - 10, r.y + 10, 10, -M_PI / 2, M_PI / 2);
        cairo_close_path(p->cr);
        plot_ink(p, p->colours->page, 0.88);
        cairo_fill(p->cr);
        plot_text(p, r.x + r.width / 2, r.y + r.height / 2, style, a->t->categories[c]);
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
    at = 0;
    const char *agreement = areaplot_agreement(t, text, sizeof text);
    plot_text(p, LEFT, STRIP_BOTTOM + 42, (plot_style){PLOT_TEXT, true, p->colours->ink, 0, p->width - LEFT - 12}, agreement);
    snprintf(text, sizeof text, "Bars: %.0f%% intervals of the upper edges of areas (Wilson), from the number of pictures at that level.",
             100 * t->confidence);
    plot_text(p, LEFT, STRIP_BOTTOM + (*agreement ? 62 : 42), (plot_style){PLOT_TEXT, false, p->colours->soft, 0, p->width - LEFT - 12},
              text);
}

void areaplot_draw(plot *p, const void *table)
{
    const cn_category_table *t = table;
    const area a = {.t = t, .x = {t->bins[0].low, t->bins[t->n_bins - 1].high, LEFT, RIGHT}, .y = {0, 1, BOTTOM, TOP}};
    plot_share_axis(p, &a.y, LEFT, RIGHT);
    draw_areas(p, &a);
    plot_x_axis(p, &a.x, BOTTOM);
    draw_intervals(p, &a);
    draw_names(p, &a);
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
