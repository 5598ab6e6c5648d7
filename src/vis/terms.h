/* vis/terms.h -- an objective as a list of terms, for objective.c (reading expressions) and evaluate.c (values and
 * derivatives). */
#ifndef VIS_TERMS_H
#define VIS_TERMS_H

#include "base/check.h"
#include "clipneuron/objective.h"

typedef enum term_kind {
    TERM_UNITS,     /* sum of units, at a position or as means */
    TERM_DIRECTION, /* the same with a weight for every unit of the site */
    TERM_TEXT,      /* cosine with a text; LOGIT is a weight on it */
    TERM_ENERGY,
    TERM_DIVERSITY,
    TERM_L1,
    TERM_L2,
    TERM_TV
} term_kind;

enum { POSITION_MEAN = -1, POSITION_CENTER = -2 };

typedef struct term {
    term_kind kind;
    float weight;
    size_t site;         /* index among the objective's sites */
    int64_t *unit;       /* UNITS: n_units of them; owned */
    size_t n_units;
    float *vector;       /* DIRECTION: of the site's units; TEXT: of length 1 in the embedding; owned */
    int64_t y, x;        /* position; y may be POSITION_MEAN or POSITION_CENTER; tokens: x = 0 */
} term;

struct cn_objective {
    const cn_model *model; /* borrowed */
    term term[CN_MAX_OBJECTIVE_TERMS];
    size_t n_terms;
    const cn_site *site[CN_MAX_OBJECTIVE_TERMS]; /* what a runner must read, each once */
    size_t n_sites;
    bool embedding;        /* read as well */
    float *seed[CN_MAX_OBJECTIVE_TERMS]; /* per site, grown as needed; owned */
    float *embedding_seed;
    size_t seed_room[CN_MAX_OBJECTIVE_TERMS], embedding_room; /* floats */
};

#endif
