/* compose/textspace.h -- what asking for texts in units needs of a study and its model, read once: directions, deviations, words, the mean
 * picture, and how well the linear picture holds. */
#ifndef COMPOSE_TEXTSPACE_H
#define COMPOSE_TEXTSPACE_H

#include "clipneuron/textunits.h"
#include "compose/linfit.h"
#include "compose/texttower.h"
#include "study/corpus.h"

typedef struct textspace_options {
    size_t site;
    int64_t pictures; /* 0: 2048 */
    uint64_t seed;
    int threads;
    cn_precision precision;
    cn_backend backend;
} textspace_options;

typedef struct textspace {
    cn_study *study;
    const cn_model *model;
    const cn_site *found; /* the model's site */
    textspace_options o;
    int64_t n, width;     /* units; of an embedding */
    corpus_units units;       /* sd: of the rectified values, where rectified and there are pictures */
    corpus_words words;
    corpus_pictures pictures; /* n = 0: none */
    float *directions;        /* (units, width) */
    texttower tower;
    bool rectified;  /* the site is the sum before a ReLU: what comes out of that is what adds up */
    linfit fit;      /* n = 0: none */
    char why[512];   /* then */
} textspace;

/* On failure s holds what textspace_close accepts. */
cn_status textspace_open(textspace *s, cn_study *study, const cn_model *model, const textspace_options *o, cn_error *err);
void textspace_close(textspace *s);

/* Weights of all units (n) for a text or a difference of texts (width): what one standard deviation of a unit adds to the cosine of a picture
 * whose embedding has the usual length, d.t sd / mean |e|; 0 for dead units. Without pictures mean |e| counts as 1. */
void textspace_weights(const textspace *s, const float *text, double *weights);
/* The same for many texts (m, width): (m, n) as float32. */
void textspace_many_weights(const textspace *s, const float *texts, int64_t m, float *weights);
cn_status textspace_measure(const textspace *s, const float *text, cn_linear_fit *out, cn_error *err);

/* The name of a unit, and the path of its strongest picture (unless NULL); owned by the caller, cn_free. */
cn_status textspace_name(const textspace *s, int64_t unit, char **name, char **example, cn_error *err);

#endif
