/* clipneuron/direction.h -- the direction in a site's units that carries a concept, whether or not a unit does: where is San Francisco?
 *
 * From a study's matrix of activations (reduced over space as the study does). With x_u standardised over pictures and y = +-1 for pictures of the
 * concept and all others:
 *
 *   means     w_u = mean of x_u over the concept less that over the others
 *   logistic  L2-regularised logistic regression, both classes counting half
 *
 * Both are measured on pictures that had no part in them: k-fold cross-validation, the folds alike in both classes, pictures with the same bytes in one
 * fold, scores standardised by the training pictures of each fold and put together. Participation ratio: (sum w^2)^2 / sum w^4 over standardised
 * weights: 1 when a single unit carries it, their number when all carry the same. */
#ifndef CLIPNEURON_DIRECTION_H
#define CLIPNEURON_DIRECTION_H

#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_DIRECTION_CONCEPTS 1024
#define CN_DIRECTION_STRONGEST 16
#define CN_DIRECTION_SIZES 16
#define CN_DIRECTION_NEAR 0.02 /* of AUC, within which fewer units do as well as all */

typedef struct cn_direction_options {
    size_t site;
    const char *const *labels;   /* pictures with one of these labels, without regard to case, also without folders in front and with _ for a blank */
    size_t n_labels;
    const char *const *captions; /* and pictures whose caption holds one of these texts, without regard to the case of ASCII letters */
    size_t n_captions;
    int folds;                   /* 2 to 20; 0: 5 */
    double l2;                   /* of the regression, 0: 0.01 */
    int64_t pictures;            /* all of the concept and so many others at most, a random sample; 0: 16384 */
    uint64_t seed;               /* of folds, sample, bootstrap */
    int replicates;              /* of the bootstrap over pictures; 0: 1000 */
    int examples;                /* 0: 16; below 0: none */
    int threads;                 /* 0: all cores */
} cn_direction_options;

/* An area under the ROC curve, or the difference of two, with its 95% interval (percentile bootstrap over pictures of both classes). */
typedef struct cn_auc {
    double value, low, high;
} cn_auc;

typedef struct cn_direction_way {
    float *vector;        /* (units): the score of a picture is its dot product with the activations. One is the deviation of scores over the pictures.
                             As an objective (SITE:FILE.npy) and for reading */
    cn_auc auc;           /* held out */
    double participation;
    int64_t unit[CN_DIRECTION_STRONGEST]; /* by |standardised weight|, falling */
    double weight[CN_DIRECTION_STRONGEST]; /* share of sum |w|, with its sign */
    int strongest;
} cn_direction_way;

typedef enum cn_direction_kind {
    CN_DIRECTION_NONE,    /* not told from the rest: the interval of the logistic AUC reaches 0.5 */
    CN_DIRECTION_UNIT,    /* a single unit does as well: the regression's lead ends at or below CN_DIRECTION_NEAR, its interval included */
    CN_DIRECTION_FEW,     /* the lead's interval lies above CN_DIRECTION_NEAR; at most 16 units come as near, by their areas alone */
    CN_DIRECTION_DIFFUSE, /* the same, and more units are needed */
    CN_DIRECTION_UNDECIDED /* the lead's interval has CN_DIRECTION_NEAR inside: these pictures do not tell whether a unit carries it; or the regression's
                              own strongest unit alone comes as near */
} cn_direction_kind;
/** "none", "a unit", "a few units", "diffuse", "not decided"; static. */
CN_API const char *cn_direction_kind_text(cn_direction_kind kind);

typedef struct cn_direction_example {
    int64_t image;
    const char *path, *label, *medium; /* "" where unknown; owned by the direction */
    double score;                      /* held out, in deviations of the pictures that are not of the concept */
    bool positive;
} cn_direction_example;

typedef struct cn_direction {
    int64_t units, positives, negatives, folds;
    cn_direction_way means, logistic;
    float *difference;   /* (units): mean activation over the concept less that over the others: what --edit adds */
    int64_t unit;        /* the single unit with the largest area, over all pictures */
    cn_auc unit_auc;     /* held out: of the unit that is best in each fold's training pictures */
    cn_auc lead;         /* area of the regression less that of the best unit, both held out; resamples have the same pictures for both */
    int64_t unit_folds;  /* folds in which it is that very unit */
    int size[CN_DIRECTION_SIZES]; /* 1, 2, 4, ... units: those with the largest logistic weights, fitted again */
    double size_auc[CN_DIRECTION_SIZES]; /* held out */
    int n_sizes;
    int enough;          /* the smallest of them within CN_DIRECTION_NEAR of all units; 0: none */
    cn_direction_kind kind;
    cn_direction_example *example; /* by held-out logistic score, falling */
    size_t n_examples;
} cn_direction;

/** @param[out] out owned by the caller, cn_direction_free
 * @return CN_OK; CN_ENOTFOUND (no such label, with the nearest or first ones; a study without matrices), CN_EINVAL (fewer pictures of the concept, or of others, than
 *         folds, or than 4; an option out of range), CN_EFORMAT (damaged), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_direction_find(cn_direction **out, cn_study *study, const cn_direction_options *options, cn_error *err);
CN_API void cn_direction_free(cn_direction *d);

/** Of scores (n) for pictures that are positive or not: the share of pairs in the right order, ties counting half; NaN when a class is empty.
 * replicates 0: no interval (low = high = value). Order n log n, and n for each replicate. @return CN_OK; CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_auc_measure(const double *scores, const bool *positive, int64_t n, int replicates, uint64_t seed, cn_auc *out,
                                              cn_error *err);
/** The area of scores a less that of scores b of the same pictures, resampled in pairs; else as cn_auc_measure. */
CN_API CN_MUST_CHECK cn_status cn_auc_difference(const double *a, const double *b, const bool *positive, int64_t n, int replicates, uint64_t seed,
                                                 cn_auc *out, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
