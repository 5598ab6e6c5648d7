/* study/wordscore.h -- which words a unit goes with: correlation, over pictures, of the unit's activation
 * with the similarity of picture and word. Pure arithmetic. */
#ifndef STUDY_WORDSCORE_H
#define STUDY_WORDSCORE_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_KEPT 8 /* a unit */
#define WORDS_SHARPNESS 3.0
#define WORDS_SHARPENED_FROM 16 /* words */

typedef struct word_match {
    int32_t word; /* -1 behind the last */
    float score;  /* correlation */
    float z;      /* atanh(score) * sqrt(n - 3) */
    bool significant;
} word_match;

/* values: each picture's activations (units), embeddings: its embedding (width), of n pictures; texts: (words, width). Words whose known[] is false are left out.
 * Similarity is the share that the picture gives the word: the softmax, over the known words, of
 * WORDS_SHARPNESS times the z-score of the cosine among them. (Plain cosines mostly tell what kind of
 * picture it is; shares tell which word wins. 3 is what CLIP's own scale, 100, makes of the usual
 * spread of its cosines, 0.03.) Fewer than WORDS_SHARPENED_FROM known words: the cosine itself.
 * best: (units, WORDS_KEPT), best first; equal scores in the order of the words. Only positive scores. */
cn_status wordscore(const float *const *values, int64_t units, const float *const *embeddings, int64_t width, int64_t n,
                    const float *texts, const bool *known, int64_t words,
                    word_match *best, cn_error *err);

#endif
