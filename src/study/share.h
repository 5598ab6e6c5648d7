/* study/share.h -- how much of a picture goes to a text: the softmax, over a list of words, of WORDS_SHARPNESS times the z-score
 * of the cosine among them. The same shares as those of the nearest words (study/wordscore.h), for any text beside the list. Pure
 * arithmetic. */
#ifndef STUDY_SHARE_H
#define STUDY_SHARE_H

#include "base/check.h"

#include <stdint.h>

/* Of one picture over the list. */
typedef struct share_scale {
    double mean;   /* of its cosines with the words */
    double factor; /* WORDS_SHARPNESS / their standard deviation; 0 when they are all the same */
    double top;    /* the largest */
    double total;  /* sum of exp((cosine - top) * factor) */
} share_scale;

/* pictures (n, width) and words (m, width) of length 1, m > 0. */
cn_status share_scales(const float *pictures, int64_t n, const float *words, int64_t m, int64_t width, share_scale *out, cn_error *err);
/* Of a word of the list. */
double share_of_word(const share_scale *s, double cosine);
/* Of a text that is not in the list, as one more word; mean and factor stay the list's. without: the cosine of a word that it takes
 * the place of, or NaN. */
double share_of_text(const share_scale *s, double cosine, double without);

#endif
