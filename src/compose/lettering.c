/* compose/lettering.c -- words drawn on pictures. Letters become paths and paths are filled: no hinting, no subpixel order, no cache of
 * glyphs, so that the same font gives the same pixels everywhere. */
#include "base/check.h"
#include "base/memory.h"
#include "clipneuron/attack.h"
#include "compose/fontfile.h"
#include "file/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where the paper's copies stand: middles, as shares of the side. The paper says that they are fixed and chosen by hand, not where. */
static const double places[8][2] = {{0.16, 0.10}, {0.62, 0.14}, {0.36, 0.32}, {0.82, 0.40}, {0.16, 0.52}, {0.58, 0.62}, {0.28, 0.80}, {0.78, 0.88}};

typedef struct pen {
    cairo_t *cr;
    fontfile *font; /* NULL: the system's */
    PangoLayout *layout;
    double scale, width, height; /* px of the picture */
    double text_width, text_height, left, top; /* of the ink, px */
    double fill[3], edge[3], outline; /* outline: px */
    bool label;
    double rotation;
} pen;

static cn_status check(const cn_lettering *l, const char *text, int width, int height, cn_error *err)
{
    const size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > CN_MAX_LETTERING)
        return cn_fail(err, CN_EINVAL, "a text to draw has 1 to %d bytes, not %zu", CN_MAX_LETTERING, length);
    if (!json_clean_text(text, length))
        return cn_fail(err, CN_EINVAL, "a text to draw is UTF-8 without control characters");
    const char *ink = text;
    while (*ink && !g_unichar_isgraph(g_utf8_get_char(ink)))
        ink = g_utf8_next_char(ink);
    if (!*ink)
        return cn_fail(err, CN_EINVAL, "a text to draw has letters, not blanks alone");
    if (l->font && l->font_file)
        return cn_fail(err, CN_EINVAL, "letters are of a family or of a font's file, not of both");
    if (width < 1 || height < 1 || width > 32767 || height > 32767)
        return cn_fail(err, CN_EINVAL, "texts are drawn on pictures of 1 to 32767 px, not %d x %d", width, height);
    if (l->layout < CN_LETTERING_PAPER || l->layout > CN_LETTERING_LABEL)
        return cn_fail(err, CN_EINVAL, "no such layout: %d", (int)l->layout);
    if (l->size != 0 && !(l->size >= 1 && l->size <= CN_LETTERING_SIDE))
        return cn_fail(err, CN_EINVAL, "letters have a size of 1 to %d px, not %g", CN_LETTERING_SIDE, l->size);
    const int most = l->layout == CN_LETTERING_PAPER ? 8 : CN_MAX_LETTERING_COPIES;
    if (l->copies < 0 || l->copies > most)
        return cn_fail(err, CN_EINVAL, "this layout has 1 to %d copies, not %d", most, l->copies);
    if (!(l->x >= 0 && l->x <= 1 && l->y >= 0 && l->y <= 1))
        return cn_fail(err, CN_EINVAL, "a text stands at 0 to 1 of the picture, not %g, %g", l->x, l->y);
    if (!(l->outline <= 32) || !(l->outline >= -1e6) || !(fabs(l->rotation) <= 360))
        return cn_fail(err, CN_EINVAL, "outlines have at most 32 px, rotations at most 360 degrees");
    return CN_OK;
}

/* ---- which font ---- */

/* Fontconfig draws with what it likes where a family is missing; nobody would know. */
static cn_status has_family(PangoContext *context, const PangoFontDescription *font, const char *asked, cn_error *err)
{
    const char *wanted = pango_font_description_get_family(font);
    PangoFontFamily **families = NULL;
    char some[160] = "";
    int n = 0;
    bool there = false;
    if (!wanted)
        return cn_fail(err, CN_EINVAL, "'%s' names no font family", asked);
    pango_context_list_families(context, &families, &n);
    char **names = g_strsplit(wanted, ",", -1); /* the first of several that is there, as in Pango */
    for (char **name = names; *name && !there; name++)
        for (int i = 0; i < n && !there; i++)
            there = g_ascii_strcasecmp(g_strstrip(*name), pango_font_family_get_name(families[i])) == 0;
    g_strfreev(names);
    for (int i = 0; i < n && !there; i++) {
        const size_t used = strlen(some);
        if (used + strlen(pango_font_family_get_name(families[i])) + 3 < sizeof some)
            snprintf(some + used, sizeof some - used, "%s%s", used ? ", " : "", pango_font_family_get_name(families[i]));
    }
    g_free(families);
    return there ? CN_OK : cn_fail(err, CN_ENOTFOUND, "no font family '%s' on this system; there are %s%s", wanted, n ? some : "none", n > 8 ? ", ..." : "");
}

static cn_status choose_font(pen *p, const cn_lettering *l, PangoFontDescription **font, cn_error *err)
{
    cn_status st = CN_OK;
    const char *asked = l->font ? l->font : "DejaVu Sans";
    if (l->font_file) {
        *font = fontfile_description(p->font);
    } else {
        *font = pango_font_description_from_string(asked);
        CN_TRY(has_family(pango_layout_get_context(p->layout), *font, asked, err));
    }
done:
    return st;
}

/* The layout's own size and look, where the caller has not said. */
static void look(pen *p, const cn_lettering *l)
{
    p->label = l->layout == CN_LETTERING_LABEL;
    for (int c = 0; c < 3; c++) {
        p->fill[c] = l->coloured ? l->colour[c] / 255.0 : p->label ? 0 : 1;
        p->edge[c] = l->coloured ? l->outline_colour[c] / 255.0 : 0;
    }
    p->outline = (l->outline < 0 ? 0 : l->outline > 0 ? l->outline : p->label ? 0 : 1) * p->scale;
    p->rotation = l->rotation;
}

/* Paper around the letters of a label. */
static double pad_of(const pen *p)
{
    return 0.25 * p->text_height + 3 * p->scale;
}

/* Letters of one line shrink until it fits the picture's width, but in the paper's layout. */
static cn_status lay_out(pen *p, const cn_lettering *l, const char *text, cn_error *err)
{
    cn_status st = CN_OK;
    PangoRectangle ink;
    PangoFontDescription *font = NULL;
    CN_TRY(choose_font(p, l, &font, err));
    double size = (l->size > 0 ? l->size : l->layout == CN_LETTERING_PAPER ? 24 : 48) * p->scale;
    pango_layout_set_single_paragraph_mode(p->layout, TRUE);
    pango_layout_set_text(p->layout, text, -1);
    for (int round = 0; round < 6; round++) {
        pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
        pango_layout_set_font_description(p->layout, font);
        pango_layout_get_extents(p->layout, &ink, NULL);
        p->left = (double)ink.x / PANGO_SCALE;
        p->top = (double)ink.y / PANGO_SCALE;
        p->text_width = (double)ink.width / PANGO_SCALE;
        p->text_height = (double)ink.height / PANGO_SCALE;
        const double most = 0.9 * p->width, needed = p->text_width + 2 * p->outline + (p->label ? 2 * 1.5 * pad_of(p) : 0);
        if (l->layout == CN_LETTERING_PAPER || needed <= most || size < 1)
            break;
        size *= 0.999 * most / needed; /* paper has edges that do not shrink with the letters: a few rounds */
    }
    CN_TRY(fontfile_check_letters(p->font, p->layout, text, err));
done:
    pango_font_description_free(font); /* takes NULL */
    return st;
}

/* One copy with the middle of its ink at x, y. */
static void draw_copy(const pen *p, double x, double y)
{
    cairo_save(p->cr);
    cairo_translate(p->cr, x, y);
    cairo_rotate(p->cr, -p->rotation * 3.14159265358979323846 / 180);
    if (p->label) {
        const double pad = pad_of(p), w = p->text_width / 2 + 1.5 * pad, h = p->text_height / 2 + pad;
        cairo_rectangle(p->cr, -w, -h, 2 * w, 2 * h);
        cairo_set_source_rgb(p->cr, 0.98, 0.98, 0.96);
        cairo_fill_preserve(p->cr);
        cairo_set_source_rgb(p->cr, 0.6, 0.6, 0.58);
        cairo_set_line_width(p->cr, p->scale);
        cairo_stroke(p->cr);
    }
    cairo_move_to(p->cr, -p->left - p->text_width / 2, -p->top - p->text_height / 2);
    pango_cairo_layout_path(p->cr, p->layout);
    if (p->outline > 0) {
        cairo_set_source_rgb(p->cr, p->edge[0], p->edge[1], p->edge[2]);
        cairo_set_line_width(p->cr, 2 * p->outline);
        cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
        cairo_stroke_preserve(p->cr);
    }
    cairo_set_source_rgb(p->cr, p->fill[0], p->fill[1], p->fill[2]);
    cairo_fill(p->cr);
    cairo_restore(p->cr);
}

static void draw_copies(const pen *p, const cn_lettering *l)
{
    if (l->layout == CN_LETTERING_PAPER) {
        for (int i = 0; i < (l->copies ? l->copies : 8); i++)
            draw_copy(p, places[i][0] * p->width, places[i][1] * p->height);
        return;
    }
    const bool middle = l->x == 0 && l->y == 0;
    const int copies = l->copies ? l->copies : 1;
    const double x = (middle ? 0.5 : l->x) * p->width, y = (middle ? 0.5 : l->y) * p->height;
    const double step = p->text_height + 2 * p->outline + (p->label ? p->text_height + 10 * p->scale : 6 * p->scale);
    for (int i = 0; i < copies; i++)
        draw_copy(p, x, y + (i - 0.5 * (copies - 1)) * step);
}

/* To Cairo's pixels and back; returns how many differ. */
static void to_surface(const uint8_t *rgb, int width, int height, unsigned char *data, int stride)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const uint8_t *from = rgb + ((size_t)y * (size_t)width + (size_t)x) * 3;
            const uint32_t pixel = 0xff000000u | (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
            memcpy(data + (size_t)y * (size_t)stride + (size_t)x * 4, &pixel, 4);
        }
}

static int64_t from_surface(uint8_t *rgb, int width, int height, const unsigned char *data, int stride)
{
    int64_t changed = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint32_t pixel;
            uint8_t *to = rgb + ((size_t)y * (size_t)width + (size_t)x) * 3;
            memcpy(&pixel, data + (size_t)y * (size_t)stride + (size_t)x * 4, 4);
            const uint8_t now[3] = {(uint8_t)(pixel >> 16), (uint8_t)(pixel >> 8), (uint8_t)pixel};
            changed += memcmp(now, to, 3) != 0;
            memcpy(to, now, 3);
        }
    return changed;
}

cn_status cn_lettering_draw(uint8_t *rgb, int width, int height, const char *text, const cn_lettering *lettering, int64_t *changed, cn_error *err)
{
    static const cn_lettering paper;
    cn_status st = CN_OK;
    cairo_surface_t *surface = NULL;
    pen p = {.width = width, .height = height, .scale = (width < height ? width : height) / (double)CN_LETTERING_SIDE};
    if (!lettering)
        lettering = &paper;
    CN_TRY(check(lettering, text, width, height, err));
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    CN_CHECK(cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS, CN_ENOMEM, "out of memory for a picture of %d x %d px", width, height);
    to_surface(rgb, width, height, cairo_image_surface_get_data(surface), cairo_image_surface_get_stride(surface));
    cairo_surface_mark_dirty(surface);
    p.cr = cairo_create(surface);
    cairo_set_antialias(p.cr, CAIRO_ANTIALIAS_GRAY);
    cairo_set_tolerance(p.cr, 0.05);
    if (lettering->font_file)
        CN_TRY(fontfile_open(&p.font, lettering->font_file, err));
    p.layout = fontfile_layout(p.font, p.cr);
    look(&p, lettering);
    CN_TRY(lay_out(&p, lettering, text, err));
    draw_copies(&p, lettering);
    CN_CHECK(cairo_status(p.cr) == CAIRO_STATUS_SUCCESS, CN_EBACKEND, "cannot draw a text: %s", cairo_status_to_string(cairo_status(p.cr)));
    cairo_surface_flush(surface);
    const int64_t n = from_surface(rgb, width, height, cairo_image_surface_get_data(surface), cairo_image_surface_get_stride(surface));
    if (changed)
        *changed = n;
done:
    if (p.layout)
        g_object_unref(p.layout);
    fontfile_close(p.font);
    if (p.cr)
        cairo_destroy(p.cr);
    if (surface)
        cairo_surface_destroy(surface);
    return st;
}
