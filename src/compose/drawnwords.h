/* compose/drawnwords.h -- words as pictures, and what a model's units answer to them. */
#ifndef COMPOSE_DRAWNWORDS_H
#define COMPOSE_DRAWNWORDS_H

#include "clipneuron/multimodal.h"
#include "compose/fontfile.h"
#include "study/source.h"

/* Drawing `version` of a word, (side, side, 3): fonts, sizes, places and colours go round with the version, the same for every word. The word keeps within
 * the picture, two words stand in two lines where that makes them larger. Fails as wordpicture_draw does. */
cn_status drawnwords_draw(uint8_t *rgb, int side, const char *word, int version, const fontset *fonts, cn_error *err);

typedef struct drawnwords {
    int64_t words, each, units;
    float *values; /* (words * each, units): reduced over space; zero for words that cannot be drawn */
    bool *drawn;   /* (words): false when a font that it would be drawn in lacks a letter */
    int64_t undrawn;
    double seconds;
} drawnwords;

/* Draws `each` versions of n words at the source's resolution and runs them; the source has one site. On failure out holds what drawnwords_free accepts. */
cn_status drawnwords_run(drawnwords *out, source *from, cn_reduce reduce, const char *const *words, size_t n, int each, const fontset *fonts,
                         cn_find_callback *progress, void *user, cn_error *err);
void drawnwords_free(drawnwords *d);

#endif
