/* compose/wordpicture.h -- text drawn onto RGB pictures by Pango and Cairo: font, size, place, colour, outline. With a font of the system
 * the pixels are those of this system; with a font's file they are the same on every system. */
#ifndef COMPOSE_WORDPICTURE_H
#define COMPOSE_WORDPICTURE_H

#include "base/check.h"

#include <stdint.h>

#define WORDPICTURE_MOST_TEXT 1024 /* bytes */
#define WORDPICTURE_MOST_SIDE 8192 /* px */

typedef struct wordpicture_font {
    const char *name;            /* as Pango names fonts, without a size: "Sans", "Serif Bold"; NULL: "Sans" */
    const struct fontfile *file; /* in its place (compose/fontfile.h); NULL: a font of the system */
} wordpicture_font;

typedef struct wordpicture_style {
    wordpicture_font font;
    double size;    /* px of an em */
    double x, y;    /* px of the middle of the text; may lie outside */
    double degrees; /* turned clockwise about the middle */
    uint8_t ink[3];
    double outline; /* px of its width; 0: none. Half of it lies under the letters */
    uint8_t outline_ink[3];
} wordpicture_style;

/* Size of the text as it would be drawn, px: the box of its advances, all lines. Lines end at "\n" and are centred.
 * CN_EINVAL (no text, not UTF-8, size not within 1 to 4096), CN_ELIMIT, CN_EUNSUPPORTED (no font has a letter), CN_ENOMEM. */
cn_status wordpicture_measure(const char *text, wordpicture_font font, double size, double *width, double *height, cn_error *err);
/* The size at which the text is as wide or as high as may be: at most (width, height) px. */
cn_status wordpicture_fit(const char *text, wordpicture_font font, double width, double height, double *size, cn_error *err);
/* Draws onto rgb (height, width, 3). Pixels that no letter touches stay as they are. Fails as wordpicture_measure does. */
cn_status wordpicture_draw(uint8_t *rgb, int width, int height, const char *text, const wordpicture_style *style, cn_error *err);
/* All pixels of one colour. */
void wordpicture_fill(uint8_t *rgb, int width, int height, const uint8_t colour[3]);

#endif
