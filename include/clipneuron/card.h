/* clipneuron/card.h -- neuron cards: what a study knows of a unit, on one page.
 * A card shows the strongest examples with the responding region marked, a sample from every level of
 * activation, the most inhibiting examples, the histogram in sd units, labels, media and nearest
 * words, and what the study was given later: names, optimised pictures, concepts and the unit's family (multimodal.h), the classes
 * that it serves (probe.h), whether it reads (attack.h), what raters saw. Names about people carry a warning with their base rates.
 * Cards need the study alone.
 * Writing is atomic: the file appears under its name when it is complete. */
#ifndef CLIPNEURON_CARD_H
#define CLIPNEURON_CARD_H

#include "clipneuron/error.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_CARDS 4096 /* on one page or sheet */

typedef enum cn_card_theme {
    CN_THEME_AUTO, /* HTML: the reader's; PNG: light */
    CN_THEME_LIGHT,
    CN_THEME_DARK
} cn_card_theme;

/* Zeroes (or NULL) give the defaults. */
typedef struct cn_card_options {
    const char *title;        /* of the page; NULL: one made of the model's and the collection's names */
    const char *introduction; /* a paragraph of plain text under the title; NULL: none */
    int top, bottom;          /* examples shown, as far as the study has them; 0: 12 and 6 */
    int per_bucket;           /* 0: 4 */
    int words, labels;        /* 0: 5 and 8 */
    bool no_buckets;
    bool gallery;             /* PNG: a row for each unit, its strongest pictures beside those that were made for it */
    cn_card_theme theme;
    int columns;  /* PNG: cards beside each other; 0: 1 for one unit, else 2 */
    double scale; /* PNG: pixels a point; 0: 2 */
} cn_card_options;

/** One self-contained HTML page: no network, no scripts, light and dark, printable.
 * @param units in the order of the page; n may be 0 (a page that says so) @param options NULL for defaults
 * @return CN_OK; CN_EINVAL (a unit that the study has not), CN_ELIMIT, CN_EIO, CN_EFORMAT (the study), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_card_write_html(cn_study *study, const cn_unit_ref *units, size_t n,
                                                  const cn_card_options *options, const char *path,
                                                  cn_error *err);

/** One PNG with the cards of all units, side by side and below each other. A path that ends in .webp or .jpg makes a file of that format, for
 * pages on the web: a fifth of the size, and not exact.
 * @return as above; CN_ELIMIT when the sheet would exceed 32,767 px on a side, 16,383 px for .webp: use fewer units or cn_card_write_pngs */
CN_API CN_MUST_CHECK cn_status cn_card_write_png(cn_study *study, const cn_unit_ref *units, size_t n,
                                                 const cn_card_options *options, const char *path,
                                                 cn_error *err);

/** One PNG a unit into a folder (made if missing): "layer4.3.add_319.png". */
CN_API CN_MUST_CHECK cn_status cn_card_write_pngs(cn_study *study, const cn_unit_ref *units, size_t n,
                                                  const cn_card_options *options, const char *folder,
                                                  cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
