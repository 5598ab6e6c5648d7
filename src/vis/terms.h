/* vis/terms.h -- an objective as a list of terms, for objective.c (reading expressions) and evaluate.c (values and
 * derivatives). */
#ifndef VIS_TERMS_H
#define VIS_TERMS_H

#include "base/check.h"
#include "clipneuron/objective.h"

typedef enum term_kind {
    TERM_UNITS,     /* sum of units, at a position or as means */
    TERM_DIRECTION, /* the same with a weight for every unit of the site; a probe's class is one, with a constant */
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
    double constant;     /* DIRECTION: added to the value */
    bool relu;           /* DIRECTION of means: max(0, mean) of each unit takes the mean's place */
    int64_t y, x;        /* position; y may be POSITION_MEAN or POSITION_CENTER; tokens: x = 0 */
} term;

struct cn_objective {
    const cn_model *model; /* borrowed */
    term term[CN_MAX_OBJECTIVE_TERMS];
    size_t n_terms;
    const cn_site *site[CN_MAX_OBJECTIVE_TERMS]; /* what a runner must read, each once */
    size_t n_sites;
    bool embedding;        /* read as well */
    struct seeds *seeds;   /* of cn_objective_evaluate, made on first use; owned */
};

/* Derivatives of objectives at the sites of one runner, from which its backward pass starts. */
typedef struct seeds {
    const cn_site *const *site; /* those of the runner, in its order; borrowed */
    size_t n_sites;
    float **at;                 /* per site (n, ...); owned */
    float *embedding;           /* (n, embedding); owned, NULL unless read */
    int64_t batch, side;        /* images; px, on which the sizes of sites depend */
    bool redirect;              /* early steps of an ascent: a term's own ReLUs that are off let through what would switch them on */
} seeds;

cn_status seeds_make(seeds **out, const cn_runner *r, const cn_site *const *site, size_t n_sites, int64_t embedding, int64_t batch,
                     cn_error *err);
void seeds_free(seeds *s); /* accepts NULL */
void seeds_clear(seeds *s, const cn_runner *r, int64_t embedding, int64_t n);

/* The objective for images first .. first + n - 1 of the runner's last run: added to sums[first..], and derivatives to s where
 * `differentiate`. Penalties on the picture are left to objective_penalties. Diversity is that among these n. */
cn_status objective_at(const cn_objective *o, const cn_runner *r, seeds *s, int64_t first, int64_t n, bool differentiate, double *sums,
                       cn_error *err);
/* The rest: for normalised pixels (., 3, side, side); gradient NULL: not wanted. */
void objective_penalties(const cn_objective *o, const float *pixels, int64_t first, int64_t n, int64_t side, float *gradient, double *sums);
cn_status objective_check(const cn_objective *o, const cn_runner *r, cn_error *err);

/* cos(e, t) for t of length 1, 0 for e of length 0; `weight` times its derivative with respect to e is added to seed (NULL: not wanted). */
double cosine_with(const float *e, const float *t, int64_t width, double weight, float *seed);

#endif
