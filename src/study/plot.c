/* study/plot.c -- the canvas, text and marks of plots. */
#include "study/plot.h"

#include "base/memory.h"
#include "base/path.h"
#include "file/output.h"
#include "study/carddata.h"
#include "study/html.h"

#include <cairo-svg.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RGB(x)                                                                 \
    {                                                                          \
        ((x) >> 16 & 255) / 255.0, ((x) >> 8 & 255) / 255.0, ((x)&255) / 255.0 \
    }

#define OKABE_ITO                                                                                                              \
    {                                                                                                                          \
        RGB(0xd55e00), RGB(0x56b4e9), RGB(0x009e73), RGB(0xf0e442), RGB(0xcc79a7), RGB(0x0072b2), RGB(0xe69f00), RGB(0x9a9a9a) \
    }

static const plot_colours themes[] = {
    [CN_PLOT_LIGHT] = {RGB(0xffffff), RGB(0x1c1b19), RGB(0x5f5c56), RGB(0xd6d3cb), RGB(0xffffff), OKABE_ITO, 0.35, false},
    [CN_PLOT_DARK] = {RGB(0x1c1e22), RGB(0xeceae6), RGB(0xb0aea8), RGB(0x3c4047), RGB(0x1c1e22), OKABE_ITO, 0.35, false},
    [CN_PLOT_PRINT] = {RGB(0xffffff),
                       RGB(0x000000),
                       RGB(0x333333),
                       RGB(0xb0b0b0),
                       RGB(0x000000),
                       {RGB(0x555555), RGB(0xe8e8e8), RGB(0xa8a8a8), RGB(0xffffff), RGB(0x808080), RGB(0xd2d2d2), RGB(0xbcbcbc),
                        RGB(0xf4f4f4)},
                       0.8,
                       true},
};

/* ---- the canvas ---- */

typedef struct bytes {
    char *data;
    size_t size, room;
    bool failed;
} bytes;

static cairo_status_t append(void *to, const unsigned char *data, unsigned length)
{
    bytes *b = to;
    size_t need;
    if (!cn_add_size(b->size, length, &need) || need > SIZE_MAX / 4) {
        b->failed = true;
        return CAIRO_STATUS_NO_MEMORY;
    }
    if (need > b->room) {
        char *grown = cn_realloc(b->data, 2 * need + 4096);
        if (!grown) {
            b->failed = true;
            return CAIRO_STATUS_NO_MEMORY;
        }
        b->data = grown;
        b->room = 2 * need + 4096;
    }
    memcpy(b->data + b->size, data, length);
    b->size = need;
    return CAIRO_STATUS_SUCCESS;
}

static cn_status translate(cairo_status_t status, cn_error *err)
{
    if (status == CAIRO_STATUS_SUCCESS)
        return CN_OK;
    return cn_fail(err, status == CAIRO_STATUS_NO_MEMORY ? CN_ENOMEM : CN_EINVAL, "a plot cannot be drawn: %s",
                   cairo_status_to_string(status));
}

/* Numbers with two decimals in place of six: a hundredth of a point is enough, and the file is half as long. Cairo's SVG has no
 * text of anybody's in it yet. */
static void round_numbers(bytes *b)
{
    size_t to = 0, from = 0;
    while (from < b->size) {
        const char c = b->data[from];
        size_t n = 0, digits = 0;
        if (c >= '0' && c <= '9') {
            while (from + n < b->size && b->data[from + n] >= '0' && b->data[from + n] <= '9')
                n++;
            if (from + n < b->size && b->data[from + n] == '.')
                while (from + n + 1 + digits < b->size && b->data[from + n + 1 + digits] >= '0' && b->data[from + n + 1 + digits] <= '9')
                    digits++;
        }
        if (digits < 3 || n > 6) {
            b->data[to++] = b->data[from++];
            continue;
        }
        char number[32] = {0}, rounded[32];
        memcpy(number, b->data + from, n + 1 + (digits < 9 ? digits : 9));
        size_t length = (size_t)snprintf(rounded, sizeof rounded, "%.2f", strtod(number, NULL));
        while (rounded[length - 1] == '0')
            length--;
        length -= rounded[length - 1] == '.';
        memcpy(b->data + to, rounded, length);
        to += length;
        from += n + 1 + digits;
    }
    b->size = to;
}

/* Consumes the surface. */
static cn_status draw_on(cairo_surface_t *surface, double scale, cn_plot_theme theme, double width, double height, plot_draw *draw,
                         const void *what, bytes *png, cn_error *err)
{
    cairo_t *cr = cairo_create(surface);
    cairo_scale(cr, scale, scale);
    plot p = {.cr = cr, .layout = pango_cairo_create_layout(cr), .colours = &themes[theme], .width = width, .height = height};
    cairo_font_options_t *fonts = cairo_font_options_create(); /* letters where they belong, not at whole pixels */
    cairo_font_options_set_hint_style(fonts, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(fonts, CAIRO_HINT_METRICS_OFF);
    pango_cairo_context_set_font_options(pango_layout_get_context(p.layout), fonts);
    pango_context_set_round_glyph_positions(pango_layout_get_context(p.layout), FALSE);
    cairo_font_options_destroy(fonts);
    plot_box(&p, 0, 0, width, height, p.colours->page);
    draw(&p, what);
    g_object_unref(p.layout);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (status == CAIRO_STATUS_SUCCESS && png)
        status = cairo_surface_write_to_png_stream(surface, append, png);
    cairo_surface_finish(surface); /* an SVG is written now */
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return translate(status, err);
}

static cn_status draw_svg(cn_plot_theme theme, double width, double height, plot_draw *draw, const void *what, bytes *out, cn_error *err)
{
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(append, out, width, height);
    if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS)
        cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
    const cn_status st = draw_on(surface, 1, theme, width, height, draw, what, NULL, err);
    if (st == CN_OK && out->failed)
        return cn_fail(err, CN_ENOMEM, "out of memory for a plot");
    if (st == CN_OK)
        round_numbers(out);
    return st;
}

cn_status plot_svg(cn_plot_theme theme, double width, double height, plot_draw *draw, const void *what, char **data, size_t *size,
                   cn_error *err)
{
    bytes b = {0};
    *data = NULL;
    *size = 0;
    const cn_status st = draw_svg(theme, width, height, draw, what, &b, err);
    if (st == CN_OK) {
        *data = b.data;
        *size = b.size;
    } else {
        cn_free(b.data);
    }
    return st;
}

/* Cairo's SVG with the texts behind its first tag. */
static cn_status write_svg(const bytes *b, const char *path, const char *title, const char *description, cn_error *err)
{
    cn_status st = CN_OK;
    output *out = NULL;
    size_t at = 0;
    while (at + 4 < b->size && memcmp(b->data + at, "<svg", 4) != 0)
        at++;
    while (at < b->size && b->data[at] != '>')
        at++;
    CN_CHECK(at < b->size, CN_EINVAL, "%s: Cairo made no SVG", path);
    CN_TRY(output_open(&out, path, err));
    html h = {.out = out, .err = err};
    CN_TRY(output_write(out, b->data, at, err));
    html_raw(&h, " role=\"img\">\n<title>");
    html_text(&h, title);
    html_raw(&h, "</title>\n<desc>");
    html_text(&h, description);
    html_raw(&h, "</desc>");
    CN_TRY(h.status);
    CN_TRY(output_write(out, b->data + at + 1, b->size - at - 1, err));
    output *complete = out;
    out = NULL;
    CN_TRY(output_commit(complete, err));
done:
    output_discard(out);
    return st;
}

cn_status plot_write(const char *path, cn_plot_theme theme, double width, double height, const char *title, const char *description,
                     plot_draw *draw, const void *what, cn_error *err)
{
    cn_status st = CN_OK;
    bytes b = {0};
    const bool png = path_has_ending(path, ".png");
    CN_CHECK(png || path_has_ending(path, ".svg"), CN_EINVAL, "%s: a plot's name ends in .svg or .png", path);
    CN_CHECK((unsigned)theme <= CN_PLOT_PRINT, CN_EINVAL, "no such theme");
    if (png) {
        cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(2 * width), (int)(2 * height));
        CN_TRY(draw_on(surface, 2, theme, width, height, draw, what, &b, err));
        CN_CHECK(!b.failed && b.data, CN_ENOMEM, "out of memory for a plot");
        CN_TRY(output_file(path, b.data, b.size, err));
    } else {
        CN_TRY(draw_svg(theme, width, height, draw, what, &b, err));
        CN_TRY(write_svg(&b, path, title, description, err));
    }
done:
    cn_free(b.data);
    return st;
}

/* ---- text ---- */

static void lay_out(plot *p, plot_style s, const char *text, double *width, double *height)
{
    char clean[1024];
    int w, h;
    utf8_clean(text, clean, sizeof clean);
    PangoFontDescription *font = pango_font_description_from_string("Noto Sans, DejaVu Sans, Sans");
    pango_font_description_set_absolute_size(font, s.size * PANGO_SCALE);
    pango_font_description_set_weight(font, s.bold ? PANGO_WEIGHT_SEMIBOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(p->layout, font);
    pango_font_description_free(font);
    pango_layout_set_single_paragraph_mode(p->layout, TRUE);
    pango_layout_set_ellipsize(p->layout, PANGO_ELLIPSIZE_NONE);
    pango_layout_set_width(p->layout, -1);
    pango_layout_set_text(p->layout, clean, -1);
    pango_layout_get_size(p->layout, &w, &h);
    if (s.room > 0 && w > s.room * PANGO_SCALE) {
        pango_layout_set_ellipsize(p->layout, PANGO_ELLIPSIZE_END);
        pango_layout_set_width(p->layout, (int)(s.room * PANGO_SCALE));
        pango_layout_get_size(p->layout, &w, &h);
    }
    *width = (double)w / PANGO_SCALE;
    *height = (double)h / PANGO_SCALE;
}

double plot_text(plot *p, double x, double y, plot_style s, const char *text)
{
    double width, height;
    lay_out(p, s, text, &width, &height);
    plot_ink(p, s.colour, 1);
    cairo_move_to(p->cr, x - s.align * width, y - height / 2);
    pango_cairo_show_layout(p->cr, p->layout);
    return width;
}

double plot_text_width(plot *p, plot_style s, const char *text)
{
    double width, height;
    lay_out(p, s, text, &width, &height);
    return width;
}

/* ---- lines and axes ---- */

void plot_ink(plot *p, plot_colour c, double opacity)
{
    cairo_set_source_rgba(p->cr, c.r, c.g, c.b, opacity);
}

void plot_move_apart(double *x1, double *y1, double *x2, double *y2, double apart, double way)
{
    const double dx = *x2 - *x1, dy = *y2 - *y1, gap = hypot(dx, dy), step = (apart - gap) / 4;
    if (gap >= apart)
        return;
    way = gap > 1e-6 ? atan2(dy, dx) : way;
    *x1 -= step * cos(way), *y1 -= step * sin(way);
    *x2 += step * cos(way), *y2 += step * sin(way);
}

void plot_line(plot *p, double x1, double y1, double x2, double y2, double width, plot_colour c)
{
    plot_ink(p, c, 1);
    cairo_set_line_width(p->cr, width);
    cairo_move_to(p->cr, x1, y1);
    cairo_line_to(p->cr, x2, y2);
    cairo_stroke(p->cr);
}

void plot_box(plot *p, double x, double y, double width, double height, plot_colour c)
{
    plot_ink(p, c, 1);
    cairo_rectangle(p->cr, x, y, width, height);
    cairo_fill(p->cr);
}

double plot_at(const plot_scale *s, double value)
{
    return s->from + (value - s->low) / (s->high - s->low) * (s->to - s->from);
}

void plot_x_axis(plot *p, const plot_scale *x, double y)
{
    const double step = card_step(x->high - x->low, 12), first = ceil(x->low / step - 1e-9) * step;
    plot_line(p, x->from, y, x->to, y, 1, p->colours->soft);
    for (int i = 0; i < 64 && first + i * step <= x->high + 1e-6 * step; i++) {
        char number[32];
        const double value = first + i * step, at = plot_at(x, value);
        plot_line(p, at, y, at, y + 5, 1, p->colours->soft);
        const int digits = step < 0.995 ? (int)ceil(-log10(step) - 1e-9) : 0;
        snprintf(number, sizeof number, "%s%.*f", value < -step / 2 ? "\xe2\x88\x92" : "", digits, fabs(value));
        plot_text(p, at, y + 14, (plot_style){PLOT_TEXT, false, p->colours->soft, 0.5, 0}, number);
    }
}

void plot_share_axis(plot *p, const plot_scale *y, double x, double right)
{
    for (int i = 0; i <= 4; i++) {
        char number[32];
        const double at = plot_at(y, i / 4.0);
        plot_line(p, x, at, right, at, 1, p->colours->line);
        snprintf(number, sizeof number, "%d%%", 25 * i);
        plot_text(p, x - 8, at, (plot_style){PLOT_TEXT, false, p->colours->soft, 1, 0}, number);
    }
}

/* ---- areas ---- */

plot_colour plot_series(const plot *p, size_t series)
{
    return p->colours->series[series % PLOT_SERIES];
}

/* Lines (or dots) over the present clip, as far as the box reaches. */
static void hatch(plot *p, size_t kind, double x1, double y1, double x2, double y2)
{
    const double gap = 7;
    cairo_new_path(p->cr);
    if (kind == 0 || kind == 4) /* / */
        for (double x = floor((x1 - (y2 - y1)) / gap) * gap; x < x2; x += gap)
            cairo_move_to(p->cr, x, y2), cairo_line_to(p->cr, x + (y2 - y1), y1);
    if (kind == 1 || kind == 4) /* \ */
        for (double x = floor((x1 - (y2 - y1)) / gap) * gap; x < x2; x += gap)
            cairo_move_to(p->cr, x, y1), cairo_line_to(p->cr, x + (y2 - y1), y2);
    if (kind == 2 || kind == 5)
        for (double y = floor(y1 / gap) * gap; y < y2; y += gap)
            cairo_move_to(p->cr, x1, y), cairo_line_to(p->cr, x2, y);
    if (kind == 3 || kind == 5)
        for (double x = floor(x1 / gap) * gap; x < x2; x += gap)
            cairo_move_to(p->cr, x, y1), cairo_line_to(p->cr, x, y2);
    cairo_set_line_width(p->cr, 1);
    cairo_stroke(p->cr);
}

/* Fills the present path, which lies within the box, and consumes it. */
static void fill_as(plot *p, size_t series, double x1, double y1, double x2, double y2)
{
    const plot_colour c = plot_series(p, series);
    const bool hatched = p->colours->all_hatched ? series > 0 : series >= PLOT_SERIES;
    plot_ink(p, c, 1);
    cairo_fill_preserve(p->cr);
    if (!hatched) {
        cairo_new_path(p->cr);
        return;
    }
    cairo_save(p->cr);
    cairo_clip(p->cr);
    const double light = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
    plot_ink(p, light > 0.35 ? (plot_colour){0, 0, 0} : (plot_colour){1, 1, 1}, p->colours->hatch);
    hatch(p, (series + 5) % 6, x1, y1, x2, y2);
    cairo_restore(p->cr);
}

void plot_area(plot *p, size_t series, const double *x, const double *low, const double *high, size_t n)
{
    double top = INFINITY, bottom = -INFINITY;
    if (n < 2)
        return;
    cairo_new_path(p->cr);
    for (size_t i = 0; i < n; i++) {
        cairo_line_to(p->cr, x[i], high[i]);
        top = fmin(top, fmin(low[i], high[i]));
        bottom = fmax(bottom, fmax(low[i], high[i]));
    }
    for (size_t i = n; i-- > 0;)
        cairo_line_to(p->cr, x[i], low[i]);
    cairo_close_path(p->cr);
    if (bottom - top < 0.01)
        cairo_new_path(p->cr);
    else
        fill_as(p, series, x[0], top, x[n - 1], bottom);
}

void plot_swatch(plot *p, size_t series, double x, double y, double width, double height)
{
    cairo_rectangle(p->cr, x, y, width, height);
    fill_as(p, series, x, y, x + width, y + height);
    cairo_rectangle(p->cr, x, y, width, height);
    plot_ink(p, p->colours->soft, 1);
    cairo_set_line_width(p->cr, 0.8);
    cairo_stroke(p->cr);
}

void plot_interval(plot *p, double x, double low, double high)
{
    for (int k = 0; k < 2; k++) { /* a wide line of the page's colour under a thin one of ink */
        const double cap = 2.5;
        cairo_move_to(p->cr, x, low);
        cairo_line_to(p->cr, x, high);
        cairo_move_to(p->cr, x - cap, low);
        cairo_line_to(p->cr, x + cap, low);
        cairo_move_to(p->cr, x - cap, high);
        cairo_line_to(p->cr, x + cap, high);
        plot_ink(p, k ? p->colours->ink : p->colours->page, k ? 1 : 0.7);
        cairo_set_line_width(p->cr, k ? 1.1 : 2.8);
        cairo_stroke(p->cr);
    }
}
