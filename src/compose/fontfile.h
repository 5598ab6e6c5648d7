/* compose/fontfile.h -- fonts of files, each read alone: letters are the same whatever fonts the system has. */
#ifndef COMPOSE_FONTFILE_H
#define COMPOSE_FONTFILE_H

#include "base/check.h"

#include <pango/pangocairo.h>

typedef struct fontfile fontfile;

/* path: borrowed until fontfile_close. CN_EFORMAT (no font), CN_EUNSUPPORTED, CN_ENOMEM. */
cn_status fontfile_open(fontfile **out, const char *path, cn_error *err);
void fontfile_close(fontfile *f); /* takes NULL */

/* A layout on cr without hinting and subpixels, so that the screen's settings do not show. f NULL: its fonts are the system's. */
PangoLayout *fontfile_layout(const fontfile *f, cairo_t *cr);
/* What a layout takes for the file's font; pango_font_description_free. */
PangoFontDescription *fontfile_description(const fontfile *f);
/* CN_EUNSUPPORTED where a letter of the layout has no glyph. */
cn_status fontfile_check_letters(const fontfile *f, PangoLayout *layout, const char *text, cn_error *err);

/* Fonts that drawings of a word go round. */
typedef struct fontset {
    fontfile **files;
    size_t n; /* 0: the system's fonts */
} fontset;

/* versions: drawings of each word; CN_EINVAL where a font would have none of them. On failure s holds what fontset_close accepts. */
cn_status fontset_open(fontset *s, const char *const *paths, size_t n, int versions, cn_error *err);
void fontset_close(fontset *s);
/* NULL: the system's. */
const fontfile *fontset_at(const fontset *s, int version);

#endif
