/* study/cardpng.c -- cards as pictures (PNG, for pages on the web also WebP and JPEG), by Cairo and Pango. The same content as the page, in one fixed
 * design: all lengths are points of a card of CARD_WIDTH; a first pass without pictures measures. */
#include "study/carddata.h"
#include "study/region.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/path.h"
#include "clipneuron/image.h"
#include "file/output.h"
#include "study/html.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CARD_WIDTH 900.0
#define ROW_WIDTH 764.0 /* of a gallery's rows: six optimised pictures in a line */
#define PAD 24.0
#define SIDE 232.0     /* the column of labels, media and words */
#define GAP 22.0       /* between cards of a sheet */
#define FOOT_LINE 18.0
#define MAX_SIDE 32767 /* px: Cairo's limit */
#define LOSSY_QUALITY 60

typedef struct colour {
    double r, g, b;
} colour;

typedef struct palette {
    colour page, card, ink, soft, line, hot, bar, cool;
} palette;

#define RGB(x)                                                                 \
    {                                                                          \
        ((x) >> 16 & 255) / 255.0, ((x) >> 8 & 255) / 255.0, ((x)&255) / 255.0 \
    }
static const palette light = {RGB(0xf4f3f0), RGB(0xffffff), RGB(0x1c1b19), RGB(0x5f5c56),
                              RGB(0xdedbd3), RGB(0xc2410c), RGB(0xd97742), RGB(0x7ba3cf)};
static const palette dark = {RGB(0x121316), RGB(0x1c1e22), RGB(0xeceae6), RGB(0xa3a19b),
                             RGB(0x34373d), RGB(0xfb923c), RGB(0xe08a55), RGB(0x5b87b8)};
static const colour mark_hot = RGB(0xe0430a), mark_cold = RGB(0x1d6fd1);

typedef struct painter {
    cairo_t *cr;
    PangoLayout *layout;
    const palette *p;
    bool measuring;
    bool short_ones, other_paths; /* marks that stand in rows of a gallery */
    cn_status status;
    cn_error *err;
} painter;

static void ink(painter *d, colour c)
{
    cairo_set_source_rgb(d->cr, c.r, c.g, c.b);
}

/* ---- text ---- */

enum { LEFT_ALIGNED, CENTRED, RIGHT_ALIGNED };

typedef struct style {
    double size;
    bool bold;
    colour c;
    int align;
} style;

/* Draws one line in a box of that width (ellipsis when it is too narrow; 0: no limit) with its top at y. Returns the
 * text's width. */
static double line_of_text(painter *d, double x, double y, double width, style s, const char *text)
{
    char clean[512];
    int w, h;
    utf8_clean(text, clean, sizeof clean);
    PangoFontDescription *font = pango_font_description_from_string("Noto Sans, DejaVu Sans, Sans");
    pango_font_description_set_absolute_size(font, s.size * PANGO_SCALE);
    pango_font_description_set_weight(font, s.bold ? PANGO_WEIGHT_SEMIBOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(d->layout, font);
    pango_font_description_free(font);
    pango_layout_set_single_paragraph_mode(d->layout, TRUE);
    pango_layout_set_ellipsize(d->layout, width > 0 ? PANGO_ELLIPSIZE_END : PANGO_ELLIPSIZE_NONE);
    pango_layout_set_width(d->layout, width > 0 ? (int)(width * PANGO_SCALE) : -1);
    pango_layout_set_alignment(d->layout, s.align == CENTRED         ? PANGO_ALIGN_CENTER
                                          : s.align == RIGHT_ALIGNED ? PANGO_ALIGN_RIGHT
                                                                     : PANGO_ALIGN_LEFT);
    pango_layout_set_text(d->layout, clean, -1);
    pango_layout_get_pixel_size(d->layout, &w, &h);
    if (!d->measuring) {
        ink(d, s.c);
        double left = width > 0 ? x : s.align == CENTRED ? x - w / 2.0 : s.align == RIGHT_ALIGNED ? x - w : x;
        cairo_move_to(d->cr, left, y);
        pango_cairo_show_layout(d->cr, d->layout);
    }
    return w;
}

/* The same over as many lines as it takes; returns the y below it. */
static double paragraph(painter *d, double x, double y, double width, style s, const char *text)
{
    int w, h;
    const bool measuring = d->measuring;
    d->measuring = true; /* sets the layout up */
    line_of_text(d, x, y, width, s, text);
    d->measuring = measuring;
    pango_layout_set_single_paragraph_mode(d->layout, FALSE);
    pango_layout_set_ellipsize(d->layout, PANGO_ELLIPSIZE_NONE);
    pango_layout_set_wrap(d->layout, PANGO_WRAP_WORD);
    pango_layout_get_pixel_size(d->layout, &w, &h);
    if (!d->measuring) {
        ink(d, s.c);
        cairo_move_to(d->cr, x, y);
        pango_cairo_show_layout(d->cr, d->layout);
    }
    return y + h;
}

static void box(painter *d, double x, double y, double w, double h, colour c)
{
    if (d->measuring)
        return;
    ink(d, c);
    cairo_rectangle(d->cr, x, y, w, h);
    cairo_fill(d->cr);
}

static void rule(painter *d, double x1, double y1, double x2, double y2, double width, colour c)
{
    if (d->measuring)
        return;
    ink(d, c);
    cairo_set_line_width(d->cr, width);
    cairo_move_to(d->cr, x1, y1);
    cairo_line_to(d->cr, x2, y2);
    cairo_stroke(d->cr);
}

static void rounded(cairo_t *cr, double x, double y, double w, double h, double r)
{
    cairo_new_sub_path(cr);
    cairo_arc(cr, x + w - r, y + r, r, -M_PI / 2, 0);
    cairo_arc(cr, x + w - r, y + h - r, r, 0, M_PI / 2);
    cairo_arc(cr, x + r, y + h - r, r, M_PI / 2, M_PI);
    cairo_arc(cr, x + r, y + r, r, M_PI, 1.5 * M_PI);
    cairo_close_path(cr);
}

/* ---- pictures ---- */

static cairo_surface_t *to_surface(const cn_image *image)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, image->width, image->height);
    if (cairo_surface_status(s) != CAIRO_STATUS_SUCCESS)
        return s;
    cairo_surface_flush(s);
    unsigned char *pixels = cairo_image_surface_get_data(s);
    int stride = cairo_image_surface_get_stride(s);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            const uint8_t *from = image->rgb + 3 * ((size_t)y * (size_t)image->width + (size_t)x);
            uint32_t rgb = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
            memcpy(pixels + (size_t)y * (size_t)stride + 4 * (size_t)x, &rgb, sizeof rgb);
        }
    cairo_surface_mark_dirty(s);
    return s;
}

static void paint_scaled(cairo_t *cr, cairo_surface_t *s, double x, double y, double w, double h)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_scale(cr, w / cairo_image_surface_get_width(s), h / cairo_image_surface_get_height(s));
    cairo_set_source_surface(cr, s, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
    cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
    cairo_rectangle(cr, 0, 0, cairo_image_surface_get_width(s), cairo_image_surface_get_height(s));
    cairo_fill(cr);
    cairo_restore(cr);
}

static void outline_path(cairo_t *cr, const bool *inside, int64_t height, int64_t width, double x0, double y0,
                         double side)
{
    double cw = side / (double)width, ch = side / (double)height;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            double l = x0 + (double)x * cw, t = y0 + (double)y * ch;
            if (!inside[y * width + x])
                continue;
            if (y == 0 || !inside[(y - 1) * width + x])
                cairo_move_to(cr, l, t), cairo_line_to(cr, l + cw, t);
            if (y + 1 == height || !inside[(y + 1) * width + x])
                cairo_move_to(cr, l, t + ch), cairo_line_to(cr, l + cw, t + ch);
            if (x == 0 || !inside[y * width + x - 1])
                cairo_move_to(cr, l, t), cairo_line_to(cr, l, t + ch);
            if (x + 1 == width || !inside[y * width + x + 1])
                cairo_move_to(cr, l + cw, t), cairo_line_to(cr, l + cw, t + ch);
        }
}

static void stroke_mark(painter *d, int sign, double width)
{
    cairo_set_line_cap(d->cr, CAIRO_LINE_CAP_SQUARE);
    cairo_set_source_rgba(d->cr, 1, 1, 1, 0.9);
    cairo_set_line_width(d->cr, 2.2 * width);
    cairo_stroke_preserve(d->cr);
    ink(d, sign > 0 ? mark_hot : mark_cold);
    cairo_set_line_width(d->cr, width);
    cairo_stroke(d->cr);
}

static void region(painter *d, const cn_example *e, const cn_study_site *s, int sign, double x, double y,
                   double side)
{
    size_t cells = (size_t)s->height * (size_t)s->width;
    float *weight = cn_calloc(cells, sizeof *weight);
    bool *inside = cn_calloc(cells, sizeof *inside);
    if (!weight || !inside) {
        d->status = cn_fail(d->err, CN_ENOMEM, "out of memory for a map");
    } else if (region_mark(e, s, sign, weight, inside)) {
        cairo_surface_t *mask = card_mask(weight, s->height, s->width);
        paint_scaled(d->cr, mask, x, y, side, side);
        cairo_surface_destroy(mask);
        outline_path(d->cr, inside, s->height, s->width, x + 1, y + 1, side - 2);
        stroke_mark(d, sign, 1.7);
    }
    cn_free(weight);
    cn_free(inside);
}

/* sign 0: only the cell of the peak. */
static void picture(painter *d, const cn_example *e, const cn_study_site *s, int sign, double x, double y,
                    double side)
{
    cn_image *image = NULL;
    if (d->measuring || d->status != CN_OK)
        return;
    if (!e->thumbnail) {
        box(d, x, y, side, side, d->p->line);
        return;
    }
    const cn_image_options over_card = {.composite_alpha = true, /* an optimised picture may be transparent */
                                        .background = {(uint8_t)lround(255 * d->p->card.r), (uint8_t)lround(255 * d->p->card.g),
                                                       (uint8_t)lround(255 * d->p->card.b)}};
    d->status = cn_image_decode(&image, e->thumbnail, e->thumbnail_size, e->path, &over_card, d->err);
    if (d->status != CN_OK)
        return;
    cairo_surface_t *surface = to_surface(image);
    cn_image_free(image);
    cairo_save(d->cr);
    rounded(d->cr, x, y, side, side, fmin(5, side / 8));
    cairo_clip(d->cr);
    paint_scaled(d->cr, surface, x, y, side, side);
    cairo_surface_destroy(surface);
    if (sign) {
        region(d, e, s, sign, x, y, side);
    } else if (e->row >= 0 && s->height * s->width > 1 && e->peak > 0) {
        double w = (side - 2) / (double)s->width, h = (side - 2) / (double)s->height;
        cairo_rectangle(d->cr, x + 1 + e->column * w, y + 1 + e->row * h, w, h);
        stroke_mark(d, 1, 1.2);
    }
    cairo_restore(d->cr);
    ink(d, d->p->line);
    cairo_set_line_width(d->cr, 0.7);
    rounded(d->cr, x, y, side, side, fmin(5, side / 8));
    cairo_stroke(d->cr);
}

/* ---- parts: each draws at (x, y) and returns the y below it ---- */

static double heading(painter *d, double x, double y, double width, const char *title, const char *small)
{
    double w = line_of_text(d, x, y, 0, (style){12.5, true, d->p->ink, 0}, title);
    line_of_text(d, x + w + 6, y + 1, width - w - 6, (style){11, false, d->p->soft, 0}, small);
    return y + 22;
}

static double grid(painter *d, const card *c, const cn_example *e, size_t n, int sign, double x, double y,
                   double width)
{
    const double gap = 8, side = (width - 5 * gap) / 6;
    for (size_t i = 0; i < n; i++) {
        char number[32], caption[48];
        double left = x + (double)(i % 6) * (side + gap), top = y + (double)(i / 6) * (side + 50);
        picture(d, &e[i], c->site, sign, left, top, side);
        snprintf(caption, sizeof caption, "%s sd", card_number(e[i].sd, number));
        line_of_text(d, left, top + side + 3, side, (style){11.5, true, d->p->ink, 0}, caption);
        line_of_text(d, left, top + side + 17, side, (style){10.5, false, d->p->ink, 0}, e[i].label);
        line_of_text(d, left, top + side + 30, side, (style){10, false, d->p->soft, 0}, e[i].medium);
    }
    return y + (double)((n + 5) / 6) * (side + 50);
}

/* For what draws pictures: one without a responding region. */
static cn_example as_example(const cn_visualisation *v)
{
    return (cn_example){.path = v->objective, .row = -1, .thumbnail = v->png, .thumbnail_size = v->png_size};
}

/* Optimised pictures and what stands under them. */
static double visualisations(painter *d, const card *c, double x, double y, double width)
{
    const double gap = 8, side = (width - 5 * gap) / 6;
    char text[512], number[32];
    if (!c->n_seen)
        return y;
    snprintf(text, sizeof text, "pictures made to drive the unit; the strongest natural one reaches %s sd", card_number(c->row->peak_sd, number));
    y = heading(d, x, y + 4, width, "Optimised", text);
    for (size_t i = 0; i < c->n_seen; i++) {
        const cn_visualisation *v = &c->seen[i];
        const cn_example e = as_example(v);
        const double left = x + (double)(i % 6) * (side + gap), top = y + (double)(i / 6) * (side + 50);
        picture(d, &e, c->site, 0, left, top, side);
        card_seen_sd(c, v, c->n_seen == 1, text, sizeof text);
        line_of_text(d, left, top + side + 3, side, (style){11.5, true, d->p->ink, 0}, text);
        line_of_text(d, left, top + side + 17, side, (style){10.5, false, d->p->ink, 0}, *v->facet ? v->facet : "plain");
        snprintf(text, sizeof text, "path %s%s", card_number(v->path, number), card_other_path(v) && c->n_seen > 1 ? "*" : "");
        line_of_text(d, left, top + side + 30, side, (style){10, false, d->p->soft, 0}, isnan(v->path) ? "" : text);
    }
    y += (double)((c->n_seen + 5) / 6) * (side + 50);
    card_seen_note(c, text, sizeof text);
    return *text ? paragraph(d, x, y, width, (style){10.5, false, d->p->soft, 0}, text) + 6 : y;
}

static double group_bars(painter *d, const cn_group *g, size_t n, const char *own, double low, double high,
                         double x, double y, double width)
{
    const double name = 0.38 * width, number = 38, count = 38, bar = width - name - number - count;
    if (!(high > low))
        high = low + 1;
    for (size_t i = 0; i < n; i++, y += 17) {
        char text[32];
        double zero = x + name + bar * (0 - low) / (high - low),
               end = x + name + bar * (g[i].mean_sd - low) / (high - low);
        line_of_text(d, x, y, name - 6, (style){11, strcmp(own, g[i].name) == 0, d->p->ink, 0}, g[i].name);
        box(d, fmin(zero, end), y + 3, fabs(end - zero), 9, g[i].mean_sd >= 0 ? d->p->bar : d->p->cool);
        rule(d, zero, y + 1, zero, y + 14, 0.8, d->p->soft);
        line_of_text(d, x + name + bar, y, number, (style){11, false, d->p->ink, RIGHT_ALIGNED},
                     card_number(g[i].mean_sd, text));
        snprintf(text, sizeof text, "%" PRId64, g[i].images);
        line_of_text(d, x + width - count, y, count, (style){10, false, d->p->soft, RIGHT_ALIGNED}, text);
    }
    return y;
}

static void span(const cn_group *g, size_t n, double *low, double *high)
{
    for (size_t i = 0; i < n; i++) {
        *low = fmin(*low, g[i].mean_sd);
        *high = fmax(*high, g[i].mean_sd);
    }
}

/* What multimodal, probe and attack defend found. */
static double found(painter *d, const card *c, double x, double y, double width)
{
    const style small = {10.5, false, d->p->soft, 0};
    char text[600], number[32];
    card_family_text(c, text, sizeof text);
    if (c->n_facts || *text) {
        y = heading(d, x, y, width, "Concepts", "AUC by medium");
        for (size_t i = 0; i < c->n_facts; i++) {
            const cn_multimodal_fact *f = &c->facts[i];
            char line[600];
            line_of_text(d, x, y, width, (style){11, f->multimodal, d->p->ink, 0}, f->concept_name);
            snprintf(line, sizeof line, "%.400s; %s (q %.2g), shown by %s of the pictures", f->media, f->multimodal ? "multimodal" : "not shown to be multimodal",
                     f->q, card_share(f->base_rate, number));
            y = paragraph(d, x, y + 15, width, small, line) + 4;
        }
        y = *text ? paragraph(d, x, y, width, small, text) : y;
        y += 10;
    }
    if (c->n_served) {
        y = heading(d, x, y, width, "Serves", "nats a sd, share of the equation");
        for (size_t i = 0; i < c->n_served && i < CARD_SERVED; i++, y += 17) {
            const cn_served_class *s = &c->served[i];
            line_of_text(d, x, y, SIDE - 94, (style){11, false, d->p->ink, 0}, s->class_name);
            snprintf(text, sizeof text, "%s%.2f", s->weight < 0 ? "\xe2\x88\x92" : "+", fabs(s->weight));
            line_of_text(d, x + SIDE - 90, y, 46, (style){11, false, d->p->ink, RIGHT_ALIGNED}, text);
            snprintf(text, sizeof text, "%.0f%%", 100 * s->share);
            line_of_text(d, x + SIDE - 38, y, 38, (style){11, false, d->p->soft, RIGHT_ALIGNED}, text);
        }
        if (c->n_served > CARD_SERVED) {
            snprintf(text, sizeof text, "and %zu more", c->n_served - CARD_SERVED);
            line_of_text(d, x, y, SIDE, small, text);
            y += 17;
        }
        y += 10;
    }
    card_reader_text(c, text, sizeof text);
    if (*text)
        y = paragraph(d, x, heading(d, x, y, width, "Reading", ""), width, small, text) + 10;
    return y;
}

static double side_column(painter *d, const card *c, double x, double y)
{
    double low = 0, high = 0;
    char text[600], number[32];
    if (c->n_labels) {
        span(c->labels, c->n_labels, &low, &high);
        y = heading(d, x, y, SIDE, "Labels", "mean in sd units, pictures");
        y = group_bars(d, c->labels, c->n_labels, c->row->label, low, high, x, y, SIDE);
        if (*c->row->label) {
            int64_t looked = c->row->count < CN_STUDY_PURITY_TOP ? c->row->count : CN_STUDY_PURITY_TOP;
            snprintf(text, sizeof text, "%" PRId64 " of the %" PRId64 " strongest; base rate %s",
                     c->row->label_hits, looked,
                     card_share((double)c->row->label_images / (double)c->row->count, number));
            line_of_text(d, x, y + 3, SIDE, (style){10.5, false, d->p->soft, 0}, text);
            y += 19;
        }
        y += 14;
    }
    if (c->n_media) {
        low = high = 0;
        span(c->media, c->n_media, &low, &high);
        span(c->label_media, c->n_label_media, &low, &high);
        y = heading(d, x, y, SIDE, "Media", "mean in sd units, pictures");
        if (c->n_label_media) {
            snprintf(text, sizeof text, "of \xe2\x80\x9c%.400s\xe2\x80\x9d", c->row->label);
            line_of_text(d, x, y, SIDE, (style){10.5, false, d->p->soft, 0}, text);
            y = group_bars(d, c->label_media, c->n_label_media, "", low, high, x, y + 16, SIDE) + 4;
            line_of_text(d, x, y, SIDE, (style){10.5, false, d->p->soft, 0}, "of everything");
            y += 16;
        }
        y = group_bars(d, c->media, c->n_media, "", low, high, x, y, SIDE) + 14;
    }
    if (c->n_words) {
        y = heading(d, x, y, SIDE, "Nearest words", "weak evidence");
        for (size_t i = 0; i < c->n_words; i++, y += 17) {
            line_of_text(d, x, y, SIDE - 44,
                         (style){11, false, c->words[i].significant ? d->p->ink : d->p->soft, 0},
                         c->words[i].word);
            snprintf(text, sizeof text, "%.2f", c->words[i].score);
            line_of_text(d, x + SIDE - 38, y, 38, (style){11, false, d->p->soft, RIGHT_ALIGNED}, text);
        }
        y += 12;
    }
    return y;
}

static void histogram_axes(painter *d, const card *c, double x, double y, double w, double h)
{
    char text[32];
    for (int64_t n = 1; n <= c->most; n *= 10) {
        double at = y + h - card_height(n, c->most) * h;
        rule(d, x, at, x + w, at, 0.7, d->p->line);
        snprintf(text, sizeof text, n >= 1000 ? "%" PRId64 "k" : "%" PRId64, n >= 1000 ? n / 1000 : n);
        line_of_text(d, x - 6, at - 8, 0, (style){10, false, d->p->soft, RIGHT_ALIGNED}, text);
    }
    double step = card_step(c->high - c->low, 12);
    double first = ceil(c->low / step) * step;
    for (int i = 0; i < 32 && first + i * step <= c->high + 1e-3 * step; i++) {
        double sd = first + i * step;
        double at = x + (sd - c->low) / (c->high - c->low) * w;
        rule(d, at, y + h, at, y + h + 4, 0.8, d->p->soft);
        snprintf(text, sizeof text, "%s%.*f", sd < -step / 2 ? "\xe2\x88\x92" : "",
                 step < 0.1 ? 2
                 : step < 1 ? 1
                            : 0,
                 fabs(sd));
        line_of_text(d, at, y + h + 5, 0, (style){10, false, d->p->soft, CENTRED}, text);
    }
    line_of_text(d, x + w / 2, y + h + 20, 0, (style){10, false, d->p->soft, CENTRED},
                 "activation, sd units");
}

static double histogram(painter *d, const card *c, double x, double y, double w)
{
    const double h = 110, top = y + 20;
    char text[96], number[32];
    histogram_axes(d, c, x, top, w, h);
    double bin = w / (double)c->bins, zero = x + (0 - c->low) / (c->high - c->low) * w;
    for (size_t i = 0; i < c->bins; i++) {
        double tall = card_height(c->counts[i], c->most) * h;
        double middle = c->low + ((double)i + 0.5) / (double)c->bins * (c->high - c->low);
        box(d, x + (double)i * bin + 0.4, top + h - tall, bin - 0.8, tall,
            middle > 0 ? d->p->bar : d->p->cool);
    }
    rule(d, x, top + h, x + w, top + h, 0.8, d->p->soft);
    double mean = x + (c->row->mean / c->row->rms - c->low) / (c->high - c->low) * w;
    if (!d->measuring) {
        const double dashes[] = {4, 3};
        cairo_set_dash(d->cr, dashes, 2, 0);
        rule(d, mean, top - 5, mean, top + h, 1, d->p->ink);
        cairo_set_dash(d->cr, NULL, 0, 0);
    }
    bool crosses = c->low < 0 && c->high > 0, right = x + w - zero > 160;
    if (crosses) {
        rule(d, zero, top - 5, zero, top + h, 1.2, d->p->ink);
        snprintf(text, sizeof text, "%s above zero", card_share(c->row->share_positive, number));
        line_of_text(d, right ? zero + 5 : zero - 5, y - 2, 0,
                     (style){11, true, d->p->ink, right ? LEFT_ALIGNED : RIGHT_ALIGNED}, text);
    }
    if (!crosses || (right && mean < zero && mean - x > 30))
        line_of_text(
            d, crosses || mean > x + w / 2 ? mean - 5 : mean + 5, y - 2, 0,
            (style){11, false, d->p->soft, crosses || mean > x + w / 2 ? RIGHT_ALIGNED : LEFT_ALIGNED},
            "mean");
    snprintf(text, sizeof text, "strongest %s", card_number(c->high, number));
    line_of_text(d, x + w, fmax(top - 2, top + h - 17 - card_right_height(c) * h), 0,
                 (style){11, true, d->p->ink, RIGHT_ALIGNED}, text);
    return top + h + 38;
}

static double bucket_columns(painter *d, const card *c, double x, double y, double w)
{
    int n = c->info->buckets;
    double column = w / n, side = (column - 9) / 2, most = 0;
    size_t at = 0;
    for (int b = 0; b < n; b++) {
        char low[32], high[32], text[96];
        double left = x + b * column, width = (c->high - c->low) / n;
        snprintf(text, sizeof text, "%s to %s", card_number_at(c->low + b * width, width, low),
                 card_number_at(c->low + (b + 1) * width, width, high));
        line_of_text(d, left + 1, y + 2, column - 2, (style){fmin(10, column / 8), true, d->p->ink, CENTRED},
                     text);
        snprintf(text, sizeof text, "%" PRId64, c->bucket_counts[b]);
        line_of_text(d, left + 1, y + 16, column - 2,
                     (style){fmin(10, column / 8), false, d->p->soft, CENTRED}, text);
        int k = 0;
        for (; at < c->n_bucket && c->bucket[at].bucket <= b; at++, k++)
            picture(d, &c->bucket[at], c->site, 0, left + 3 + (k % 2) * (side + 3),
                    y + 34 + (k / 2) * (side + 3), side);
        most = fmax(most, (k + 1) / 2 * (side + 3));
    }
    for (int b = 0; b <= n; b++)
        rule(d, x + b * column, y, x + b * column, y + 34 + most, 0.7, d->p->line);
    return y + 36 + most;
}

static double title(painter *d, const card *c, double x, double y, double width)
{
    const cn_unit_row *r = c->row;
    char text[900], number[32], share[32], mean[32], multimodal[256];
    snprintf(text, sizeof text, "%.300s : %" PRId64, c->site->short_name, r->ref.unit);
    double w = line_of_text(d, x, y, 0.6 * width, (style){20, true, d->p->ink, 0}, text);
    w += 14 + line_of_text(d, x + w + 14, y, 0.5 * (width - w), (style){20, true, d->p->hot, 0},
                           *r->label                               ? r->label
                           : c->n_words && c->words[0].significant ? c->words[0].word
                                                                   : "");
    card_multimodal_text(c, multimodal, sizeof multimodal);
    int used = snprintf(text, sizeof text, "%.300s%s%s", r->media, *r->media && *multimodal ? " \xc2\xb7 " : "", multimodal);
    if (c->n_names)
        snprintf(text + used, sizeof text - (size_t)used, "%sname: %.120s %s", used ? " \xc2\xb7 " : "", c->names[0].name,
                 card_number_at(c->names[0].heldout, 0.03, number));
    line_of_text(d, x + w + 14, y + 7, width - w - 14, (style){12, false, d->p->soft, 0}, text);
    y += 32;
    if (r->dead)
        snprintf(text, sizeof text,
                 r->count ? "dead: the same value on every picture of the collection"
                          : "the collection has no picture that could be read");
    else
        snprintf(text, sizeof text,
                 "strongest %s sd \xc2\xb7 above zero on %s of %" PRId64
                 " pictures \xc2\xb7 mean %s sd \xc2\xb7 kurtosis %.1f \xc2\xb7 1 sd = %.3g",
                 card_number(r->peak_sd, number), card_share(r->share_positive, share), r->count,
                 card_number(r->rms > 0 ? r->mean / r->rms : 0, mean), r->kurtosis, r->rms);
    line_of_text(d, x, y, width, (style){12, false, d->p->soft, 0}, text);
    if (c->warning) { /* before anything that it is about */
        const double w2 = line_of_text(d, x, y + 22, 90, (style){12, true, d->p->hot, 0}, "Warning") + 8;
        y = paragraph(d, x + w2, y + 22, width - w2, (style){12, false, d->p->ink, 0}, c->warning) - 16;
    }
    rule(d, x, y + 24, x + width, y + 24, 0.8, d->p->line);
    return y + 38;
}

/* A whole card with its upper left corner at (x, y); returns its height. */
static double draw_card(painter *d, const card *c, double x, double y)
{
    const double left = x + PAD, width = CARD_WIDTH - 2 * PAD, main_width = width - SIDE - 26;
    double at = title(d, c, left, y + PAD - 4, width);
    if (c->row->dead)
        return at + PAD - y - 14;
    double below = heading(d, left, at, main_width, "Strongest", "what responds is bright and outlined");
    below = grid(d, c, c->top, c->n_top, 1, left, below, main_width) + 4;
    below = heading(d, left, below, main_width, "Most inhibiting", "what pushes the unit down is outlined");
    below = grid(d, c, c->bottom, c->n_bottom, -1, left, below, main_width);
    below = visualisations(d, c, left, below, main_width);
    double side = side_column(d, c, left + width - SIDE, at);
    if (below < side) /* where there is room */
        below = found(d, c, left, below + 6, main_width);
    else
        side = found(d, c, left + width - SIDE, side, SIDE);
    at = fmax(below, side) + 8;
    at = heading(d, left, at, width, "The whole range",
                 "pictures by activation (logarithmic), and a sample from each part of the range");
    at = histogram(d, c, left + 34, at, width - 34);
    if (c->n_bucket)
        at = bucket_columns(d, c, left + 34, at, width - 34);
    return at + PAD - 6 - y;
}

/* ---- galleries ---- */

enum { ROW_NATURAL = 4, NATURAL_COLUMNS = 2 }; /* natural pictures of a row, and of one of its lines */

/* A picture with two short lines under it. */
static void captioned(painter *d, const card *c, const cn_example *e, double x, double y, double side, const char *first, const char *second)
{
    picture(d, e, c->site, e->map ? 1 : 0, x, y, side);
    line_of_text(d, x, y + side + 2, side, (style){10, true, d->p->ink, 0}, first);
    line_of_text(d, x, y + side + 15, side, (style){9.5, false, d->p->soft, 0}, second);
}

/* One unit: its name, its strongest pictures, and those that were made for it, as many of these in a line as there is room for. Two lines of
 * each, so that a page can show the row at a size at which pictures tell something. */
static double draw_row(painter *d, const card *c, double x, double y)
{
    const double name = 132, side = 68, step = side + 6, line = side + 32, left = x + 14, top = y + 12;
    const double pictures = left + name, made = pictures + NATURAL_COLUMNS * step + 14;
    const size_t columns = (size_t)((x + ROW_WIDTH - 8 - made) / step);
    const size_t natural = c->n_top < ROW_NATURAL ? c->n_top : ROW_NATURAL;
    const size_t lines_natural = (natural + NATURAL_COLUMNS - 1) / NATURAL_COLUMNS, lines_made = (c->n_seen + columns - 1) / columns;
    const size_t most = lines_made > lines_natural ? lines_made : lines_natural, lines = most ? most : 1;
    const double height = 12 + (double)lines * line;
    char text[400], number[32];
    snprintf(text, sizeof text, "%.200s : %" PRId64, c->site->short_name, c->row->ref.unit);
    line_of_text(d, left, top, name - 8, (style){14, true, d->p->hot, 0}, *c->row->label ? c->row->label : c->n_words ? c->words[0].word : "");
    line_of_text(d, left, top + 21, name - 8, (style){10.5, false, d->p->ink, 0}, text);
    snprintf(text, sizeof text, "strongest %s sd", card_number(c->row->peak_sd, number));
    line_of_text(d, left, top + 36, name - 8, (style){10.5, false, d->p->soft, 0}, text);
    paragraph(d, left, top + 53, name - 8, (style){10, false, d->p->soft, 0}, c->row->media);
    for (size_t i = 0; i < natural; i++) {
        snprintf(text, sizeof text, "%s sd", card_number(c->top[i].sd, number));
        captioned(d, c, &c->top[i], pictures + (double)(i % NATURAL_COLUMNS) * step, top + (double)(i / NATURAL_COLUMNS) * line, side, text, c->top[i].label);
    }
    rule(d, made - 10, top, made - 10, y + height - 20, 0.8, d->p->line);
    for (size_t i = 0; i < c->n_seen; i++) {
        const cn_visualisation *v = &c->seen[i];
        const cn_example e = as_example(v);
        card_seen_sd(c, v, false, text, sizeof text);
        strcat(text, card_other_path(v) ? "*" : "");
        d->short_ones |= card_falls_short(c, v);
        d->other_paths |= card_other_path(v);
        captioned(d, c, &e, made + (double)(i % columns) * step, top + (double)(i / columns) * line, side, text, *v->facet ? v->facet : "plain");
    }
    return height;
}

static double draw_one(painter *d, const card *c, const cn_card_options *o, double x, double y)
{
    return o->gallery ? draw_row(d, c, x, y) : draw_card(d, c, x, y);
}

static double width_of(const cn_card_options *o)
{
    return o->gallery ? ROW_WIDTH : CARD_WIDTH;
}

/* ---- sheets ---- */

/* What marks mean, where there are any, and what the sheet was made from. Returns the y below it. */
static double foot(painter *d, const cn_study_info *info, double x, double y, double width)
{
    char text[700];
    card_legend(d->short_ones, d->other_paths, text, sizeof text);
    if (*text) {
        line_of_text(d, x, y, width, (style){10.5, false, d->p->ink, 0}, text);
        y += FOOT_LINE;
    }
    snprintf(text, sizeof text, "%.200s (%s, %.12s) on %.200s, %" PRId64 " pictures, %.10s \xc2\xb7 %s",
             info->model_file, info->model_name, info->fingerprint, info->collection_name, info->images,
             info->created, info->program);
    line_of_text(d, x, y, width, (style){10.5, false, d->p->soft, 0}, text);
    return y + FOOT_LINE;
}

static void paper(painter *d, double x, double y, double w, double h)
{
    ink(d, d->p->card);
    rounded(d->cr, x, y, w, h, 12);
    cairo_fill_preserve(d->cr);
    ink(d, d->p->line);
    cairo_set_line_width(d->cr, 0.8);
    cairo_stroke(d->cr);
}

static void painter_open(painter *d, cairo_surface_t *s, double scale, bool measuring)
{
    d->cr = cairo_create(s);
    cairo_scale(d->cr, scale, scale);
    d->layout = pango_cairo_create_layout(d->cr);
    d->measuring = measuring;
}

static void painter_close(painter *d)
{
    if (d->layout)
        g_object_unref(d->layout);
    if (d->cr)
        cairo_destroy(d->cr);
    d->layout = NULL;
    d->cr = NULL;
}

static cn_status measure(cn_study *study, const cn_unit_ref *units, size_t n, const cn_card_options *o,
                         painter *d, double *heights, cn_error *err)
{
    cn_status st = CN_OK;
    card c = {0};
    cairo_surface_t *nothing = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    painter_open(d, nothing, 1, true);
    for (size_t i = 0; i < n; i++) {
        CN_TRY(card_read(&c, study, units[i], o, err));
        heights[i] = draw_one(d, &c, o, 0, 0);
        card_free(&c);
    }
done:
    painter_close(d);
    cairo_surface_destroy(nothing);
    card_free(&c);
    return st;
}

static cairo_status_t to_output(void *out, const unsigned char *data, unsigned int size)
{
    return output_write(out, data, size, NULL) == CN_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* WebP and JPEG are small and not exact. */
static cn_status save_lossy(cairo_surface_t *s, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    const int width = cairo_image_surface_get_width(s), height = cairo_image_surface_get_height(s), stride = cairo_image_surface_get_stride(s);
    const unsigned char *pixels = cairo_image_surface_get_data(s);
    uint8_t *rgb = cn_reallocarray(NULL, (size_t)width * (size_t)height, 3);
    CN_CHECK(rgb, CN_ENOMEM, "%s: out of memory for the picture", path);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint32_t pixel;
            uint8_t *to = rgb + 3 * ((size_t)y * (size_t)width + (size_t)x);
            memcpy(&pixel, pixels + (size_t)y * (size_t)stride + 4 * (size_t)x, sizeof pixel);
            to[0] = (uint8_t)(pixel >> 16), to[1] = (uint8_t)(pixel >> 8), to[2] = (uint8_t)pixel;
        }
    CN_TRY(cn_image_write(path, rgb, width, height, LOSSY_QUALITY, err));
done:
    cn_free(rgb);
    return st;
}

static cn_status save(cairo_surface_t *s, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    output *out = NULL;
    if (path_has_ending(path, ".webp") || path_has_ending(path, ".jpg"))
        return save_lossy(s, path, err);
    CN_TRY(output_open(&out, path, err));
    cairo_status_t status = cairo_surface_write_to_png_stream(s, to_output, out);
    CN_CHECK(status != CAIRO_STATUS_NO_MEMORY, CN_ENOMEM, "%s: out of memory for the picture", path);
    output *complete = out; /* an output that failed to write reports it at commit */
    out = NULL;
    CN_TRY(output_commit(complete, err));
    CN_CHECK(status == CAIRO_STATUS_SUCCESS, CN_EIO, "%s: %s", path, cairo_status_to_string(status));
done:
    output_discard(out);
    return st;
}

cn_status cn_card_write_png(cn_study *study, const cn_unit_ref *units, size_t n,
                            const cn_card_options *options, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    cairo_surface_t *surface = NULL;
    card c = {0};
    cn_card_options o;
    painter d = {.err = err};
    double *heights = NULL, sheet_height = GAP, gap = GAP;
    CN_TRY(card_options(&o, options, err));
    gap = o.gallery ? 4 : GAP; /* between rows */
    CN_CHECK(n <= CN_MAX_CARDS, CN_ELIMIT, "%zu cards on one sheet, the limit is %d", n, CN_MAX_CARDS);
    d.p = o.theme == CN_THEME_DARK ? &dark : &light;
    heights = cn_calloc(n + 1, sizeof *heights);
    CN_CHECK(heights, CN_ENOMEM, "out of memory for %zu cards", n);
    CN_TRY(measure(study, units, n, &o, &d, heights, err));
    size_t columns = o.columns ? (size_t)o.columns : n > 1 && !o.gallery ? 2 : 1;
    if (columns > n && n > 0)
        columns = n;
    for (size_t i = 0; i < n; i += columns) { /* cards of a row are as tall as the tallest */
        double tall = 0;
        for (size_t k = i; k < n && k < i + columns; k++)
            tall = fmax(tall, heights[k]);
        for (size_t k = i; k < n && k < i + columns; k++)
            heights[k] = tall;
        sheet_height += tall + gap;
    }
    sheet_height += 20 + GAP - gap + (d.short_ones || d.other_paths ? FOOT_LINE : 0);
    double sheet_width = GAP + (double)columns * (width_of(&o) + GAP);
    double px = ceil(sheet_width * o.scale), py = ceil(sheet_height * o.scale);
    CN_CHECK(px <= MAX_SIDE && py <= MAX_SIDE, CN_ELIMIT,
             "%s: %zu cards make a sheet of %.0f x %.0f px, the limit is %d: use fewer cards, more columns "
             "or a smaller scale",
             path, n, px, py, MAX_SIDE);
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)px, (int)py);
    CN_CHECK(cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS, CN_ENOMEM,
             "out of memory for a sheet of %.0f x %.0f px", px, py);
    painter_open(&d, surface, o.scale, false);
    ink(&d, d.p->page);
    cairo_paint(d.cr);
    double y = GAP;
    for (size_t i = 0; i < n; i++) {
        double x = GAP + (double)(i % columns) * (width_of(&o) + GAP);
        CN_TRY(card_read(&c, study, units[i], &o, err));
        paper(&d, x, y, width_of(&o), heights[i]);
        draw_one(&d, &c, &o, x, y);
        card_free(&c);
        CN_TRY(d.status);
        if (i % columns + 1 == columns || i + 1 == n)
            y += heights[i] + gap;
    }
    foot(&d, cn_study_get_info(study), GAP + 2, y + GAP / 2 - gap, sheet_width - 2 * GAP);
    cairo_surface_flush(surface);
    CN_TRY(save(surface, path, err));
done:
    painter_close(&d);
    if (surface)
        cairo_surface_destroy(surface);
    card_free(&c);
    cn_free(heights);
    return st;
}

cn_status cn_card_write_pngs(cn_study *study, const cn_unit_ref *units, size_t n,
                             const cn_card_options *options, const char *to, cn_error *err)
{
    cn_status st = CN_OK;
    char *path = NULL;
    CN_CHECK(mkdir(to, 0777) == 0 || errno == EEXIST, CN_EIO, "%s: %s", to, strerror(errno));
    for (size_t i = 0; i < n; i++) {
        const cn_study_site *site = cn_study_site_at(study, units[i].site);
        CN_CHECK(site, CN_EINVAL, "site %zu: the study has %zu", units[i].site, cn_study_site_count(study));
        size_t size = strlen(to) + strlen(site->short_name) + 40;
        cn_free(path);
        path = cn_malloc(size);
        CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
        int start = snprintf(path, size, "%s/", to);
        snprintf(path + start, size - (size_t)start, "%s_%" PRId64 ".png", site->short_name, units[i].unit);
        for (char *slash = path + start; *slash; slash++)
            if (*slash == '/') /* a study from a stranger may have any name for a site */
                *slash = '_';
        CN_TRY(cn_card_write_png(study, &units[i], 1, options, path, err));
    }
done:
    cn_free(path);
    return st;
}
