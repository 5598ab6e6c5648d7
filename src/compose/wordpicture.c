/* compose/wordpicture.c -- a Pango layout on a Cairo surface that holds the picture. */
#include "compose/wordpicture.h"

#include "base/memory.h"
#include "compose/fontfile.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A surface to measure on, or to draw on. */
typedef struct board {
    cairo_surface_t *surface;
    cairo_t *cr;
    PangoLayout *layout;
} board;

static void board_close(board *b)
{
    if (b->layout)
        g_object_unref(b->layout);
    if (b->cr)
        cairo_destroy(b->cr);
    if (b->surface)
        cairo_surface_destroy(b->surface);
    memset(b, 0, sizeof *b);
}

static cn_status board_open(board *b, int width, int height, const char *text, wordpicture_font font, double size, cn_error *err)
{
    cn_status st = CN_OK;
    memset(b, 0, sizeof *b);
    CN_CHECK(text && *text, CN_EINVAL, "no text to draw");
    CN_CHECK(strlen(text) <= WORDPICTURE_MOST_TEXT, CN_ELIMIT, "a text of %zu bytes to draw, the limit is %d", strlen(text), WORDPICTURE_MOST_TEXT);
    CN_CHECK(g_utf8_validate(text, -1, NULL), CN_EINVAL, "the text to draw is not UTF-8");
    CN_CHECK(size >= 1 && size <= 4096, CN_EINVAL, "letters of %g px: 1 to 4096 can be drawn", size);
    b->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    b->cr = cairo_create(b->surface);
    CN_CHECK(cairo_status(b->cr) == CAIRO_STATUS_SUCCESS, CN_ENOMEM, "out of memory for a picture of %d x %d px", width, height);
    b->layout = fontfile_layout(font.file, b->cr);
    CN_CHECK(b->layout, CN_ENOMEM, "out of memory for a text");
    PangoFontDescription *description = font.file ? fontfile_description(font.file) : pango_font_description_from_string(font.name ? font.name : "Sans");
    pango_font_description_set_absolute_size(description, size * PANGO_SCALE);
    pango_layout_set_font_description(b->layout, description);
    pango_font_description_free(description);
    pango_layout_set_alignment(b->layout, PANGO_ALIGN_CENTER);
    pango_layout_set_text(b->layout, text, -1);
    CN_TRY(fontfile_check_letters(font.file, b->layout, text, err));
done:
    return st;
}

static void extent(const board *b, double *width, double *height)
{
    PangoRectangle box;
    pango_layout_get_extents(b->layout, NULL, &box);
    *width = (double)box.width / PANGO_SCALE;
    *height = (double)box.height / PANGO_SCALE;
}

cn_status wordpicture_measure(const char *text, wordpicture_font font, double size, double *width, double *height, cn_error *err)
{
    board b;
    *width = *height = 0;
    const cn_status st = board_open(&b, 1, 1, text, font, size, err);
    if (st == CN_OK)
        extent(&b, width, height);
    board_close(&b);
    return st;
}

cn_status wordpicture_fit(const char *text, wordpicture_font font, double width, double height, double *size, cn_error *err)
{
    const double trial = 100;
    double w, h;
    *size = 0;
    const cn_status st = wordpicture_measure(text, font, trial, &w, &h, err);
    if (st != CN_OK)
        return st;
    *size = trial * fmin(w > 0 ? width / w : 40, h > 0 ? height / h : 40);
    *size = fmin(fmax(*size, 1), 4096);
    return CN_OK;
}

static void ink(cairo_t *cr, const uint8_t colour[3])
{
    cairo_set_source_rgb(cr, colour[0] / 255.0, colour[1] / 255.0, colour[2] / 255.0);
}

/* The surface's words are 0x00RRGGBB in the machine's order. */
static void exchange(cairo_surface_t *surface, uint8_t *rgb, int width, int height, bool in)
{
    unsigned char *data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (size_t y = 0; y < (size_t)height; y++)
        for (size_t x = 0; x < (size_t)width; x++) {
            uint8_t *p = rgb + 3 * (y * (size_t)width + x);
            uint32_t word;
            if (in) {
                word = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
                memcpy(data + y * stride + 4 * x, &word, sizeof word);
            } else {
                memcpy(&word, data + y * stride + 4 * x, sizeof word);
                p[0] = (uint8_t)(word >> 16), p[1] = (uint8_t)(word >> 8), p[2] = (uint8_t)word;
            }
        }
}

cn_status wordpicture_draw(uint8_t *rgb, int width, int height, const char *text, const wordpicture_style *s, cn_error *err)
{
    cn_status st = CN_OK;
    board b = {0};
    double w, h;
    CN_CHECK(width > 0 && height > 0 && width <= WORDPICTURE_MOST_SIDE && height <= WORDPICTURE_MOST_SIDE, CN_ELIMIT,
             "a picture of %d x %d px: text is drawn on up to %d", width, height, WORDPICTURE_MOST_SIDE);
    CN_TRY(board_open(&b, width, height, text, s->font, s->size, err));
    cairo_surface_flush(b.surface);
    exchange(b.surface, rgb, width, height, true);
    cairo_surface_mark_dirty(b.surface);
    extent(&b, &w, &h);
    cairo_translate(b.cr, s->x, s->y);
    cairo_rotate(b.cr, s->degrees * 3.14159265358979323846 / 180);
    cairo_move_to(b.cr, -w / 2, -h / 2);
    if (s->outline > 0) {
        pango_cairo_layout_path(b.cr, b.layout);
        ink(b.cr, s->outline_ink);
        cairo_set_line_join(b.cr, CAIRO_LINE_JOIN_ROUND);
        cairo_set_line_width(b.cr, s->outline);
        cairo_stroke_preserve(b.cr);
        ink(b.cr, s->ink);
        cairo_fill(b.cr);
    } else if (s->font.file) { /* paths: how a system keeps and places glyphs takes no part, either */
        pango_cairo_layout_path(b.cr, b.layout);
        ink(b.cr, s->ink);
        cairo_fill(b.cr);
    } else {
        ink(b.cr, s->ink);
        pango_cairo_show_layout(b.cr, b.layout);
    }
    CN_CHECK(cairo_status(b.cr) == CAIRO_STATUS_SUCCESS, CN_ENOMEM, "a text cannot be drawn: %s", cairo_status_to_string(cairo_status(b.cr)));
    cairo_surface_flush(b.surface);
    exchange(b.surface, rgb, width, height, false);
done:
    board_close(&b);
    return st;
}

void wordpicture_fill(uint8_t *rgb, int width, int height, const uint8_t colour[3])
{
    for (size_t i = 0; i < (size_t)width * (size_t)height; i++)
        memcpy(rgb + 3 * i, colour, 3);
}
