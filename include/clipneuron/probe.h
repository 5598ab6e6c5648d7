/* clipneuron/probe.h -- classes as short sums of units: a sparse linear probe on the units of a study's site.
 *
 * Multinomial logistic regression of a column of the study (its labels, its media, any of its fields) on the spatial means of units,
 * standardised over the training pictures, with an L1 or elastic-net penalty:
 *
 *   F(W, b) = 1/n sum_i [log sum_k exp(z_ik) - z_iy(i)] + s (m |W|_1 + (1 - m)/2 |W|_2^2),   z_ik = b_k + sum_u w_ku (x_iu - mean_u)/sd_u
 *
 * along a path of falling strengths s, each fit beginning where the last ended; then the strength that gives a wanted number of units a
 * class. A weight says how many nats the class's logit rises when the unit rises by one standard deviation. Pictures are held
 * out by a hash of their path, copies of a picture with the first of them, so no picture is on both sides.
 *
 * Units go together with classes in the collection: that is no proof of cause. docs/compose.md has every formula. */
#ifndef CLIPNEURON_PROBE_H
#define CLIPNEURON_PROBE_H

#include "clipneuron/rating.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_PROBE_CLASSES 16384
#define CN_MAX_PROBE_POINTS 256
#define CN_MAX_PROBE_WEIGHTS ((int64_t)1 << 24) /* of a probe's file */

/** Called from the calling thread, now and then. what: "texts", "path"; static. done: points of the path so far; total: 0, not known
 * @return false to stop (CN_ECANCELED) */
typedef bool cn_probe_callback(const char *what, int64_t done, int64_t total, void *user);

/* Zeroes (or NULL) give the defaults. Pointers are borrowed for the call. */
typedef struct cn_probe_options {
    size_t site;           /* number in the study */
    const char *column;    /* "label" (default), "medium", or a field of the study */
    bool relu;             /* max(0, .) of each spatial mean, before it is standardised. The spatial mean of what is behind a ReLU is another
                              number: for that, scan the ReLU's site */
    double mix;            /* m: 1 is L1 alone; 0: 1 */
    double held_out;       /* share of each class's pictures; 0: 0.25 */
    uint64_t seed;         /* of the hash that holds out */
    double units;          /* wanted non-zero weights a class, on average; 0: 3 */
    double most_units;     /* how far the path goes, unless the training pictures are told apart earlier (5% of the loss left); 0: twice `units` */
    int points;            /* of the path at most; 0: 60. Strengths fall by a fifth from one to the next */
    double tolerance;      /* of the conditions of optimality, in parts of s m; 0: 1e-3. The path's other points: at least 1e-2 */
    int64_t least;         /* pictures that a class must have, and keeps for training; 0: 2. Classes with fewer are left out */
    const char *word_template; /* of the zero-shot probe's prompts, with one "{}"; NULL: the study's, else "{}" */
    bool no_zero_shot;
    int threads;           /* 0: all cores. The result does not depend on it */
    cn_precision precision; /* of the text tower */
    cn_backend backend;
    cn_probe_callback *progress;
    void *user;
} cn_probe_options;

/* A share of pictures with Wilson's 95% interval; all NaN where `of` is 0. */
typedef struct cn_probe_share {
    int64_t hits, of;
    double share, low, high;
} cn_probe_share;

/* One fit. */
typedef struct cn_probe_point {
    double strength;
    int64_t weights;       /* that are not 0 */
    int64_t units;         /* that have one */
    double units_a_class;  /* weights / classes */
    double objective, loss; /* F and its first term, on the training pictures, nats */
    double violation;      /* of the conditions of optimality, in parts of s m */
    int64_t working, missed; /* weights in the working set; that the strong rule had left out wrongly, and that were taken in then */
    int passes;
    cn_probe_share top1, top5; /* of the held-out pictures */
} cn_probe_point;

/* A weight. Strings are the probe's. */
typedef struct cn_probe_term {
    size_t class_index;
    int64_t unit;
    double weight;         /* nats of the logit a standard deviation of the unit */
    double share;          /* of the sum of |weight| of the class */
    double level;          /* the unit's mean over the class's training pictures, in standard deviations */
    const char *name;      /* of the unit: from the table unit_names, else its label, else "unit 17" */
    bool named;            /* by unit_names */
} cn_probe_term;

/* What happens to the class's logit on its pictures when all units of its equation are set to their mean over the training pictures. */
typedef struct cn_probe_check {
    double predicted;      /* - sum of weight * level: from the equation and the training pictures */
    double measured, low, high; /* mean over the held-out pictures of the class, of what the matrix with those units replaced gives, and 95% interval
                                   (Student's); NaN without held-out pictures; low and high NaN with one */
    int64_t pictures;
    cn_probe_share before, after; /* held-out pictures of the class that the probe gets right, with all units and without those */
} cn_probe_check;

typedef struct cn_probe_class {
    const char *name;
    int64_t train, held_out; /* pictures */
    double intercept;
    size_t first, n;       /* its terms, by |weight|, falling */
    cn_probe_check check;
} cn_probe_class;

/* The probe at the chosen strength, and the path to it. */
typedef struct cn_probe {
    const char *model_name, *fingerprint, *site, *column, *collection, *created; /* site: "visual.layer4.3.add" */
    const char *zero_shot_template, *zero_shot_why; /* why there is none; NULL where there is one */
    bool relu;
    double mix, held_out, tolerance, wanted;
    uint64_t seed;
    int64_t units;         /* of the site */
    double *mean, *sd;     /* (units) over the training pictures; sd 0: constant there, never in an equation */
    int64_t train, test;   /* pictures */
    int64_t without;       /* pictures without a value in the column */
    int64_t left_classes, left_pictures; /* classes with too few pictures, and their pictures */
    cn_probe_class *classes;
    size_t n_classes;
    cn_probe_term *terms;  /* class after class */
    size_t n_terms;
    cn_probe_point *points; /* by strength, falling */
    size_t n_points, chosen;
    cn_probe_share zero1, zero5; /* the zero-shot probe on the same held-out pictures; of: 0 where there is none */
    int64_t zero_known;    /* classes whose names the model knows */
    double check_slope, check_r; /* measured against predicted over the classes: slope through 0, correlation; NaN for fewer than 2 */
} cn_probe;

/** Fits a probe.
 * @param model the study's, for the zero-shot probe's texts; NULL: those among the study's words alone
 * @param[out] out owned by the caller with all it points to, cn_probe_free; NULL on failure
 * @return CN_OK; CN_ENOTFOUND (no such column, with those that there are; a study without matrices), CN_EINVAL (an option out of its range;
 *         fewer than two classes with enough pictures), CN_ELIMIT, CN_EMISMATCH (another model), CN_EFORMAT (a damaged study), CN_ECANCELED,
 *         CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_probe(cn_study *study, const cn_model *model, const cn_probe_options *options, cn_probe **out,
                                              cn_error *err);
CN_API void cn_probe_free(cn_probe *probe);

/** The class of that name, without regard to case. @return its number, or n_classes */
CN_API size_t cn_probe_find_class(const cn_probe *probe, const char *name);

/** The logits of all classes for one picture. @param activations (units): spatial means at the site @param[out] logits (n_classes) */
CN_API void cn_probe_logits(const cn_probe *probe, const float *activations, double *logits);

/** Probabilities of a probe's classes for pictures: the model runs up to the probe's site, and its units' spatial means go through the probe.
 * @param rgb (n, R, R, 3), of the model's resolution
 * @param threads 0: all cores
 * @param[out] probabilities (n, n_classes), caller's: softmax of the logits
 * @return CN_OK; CN_EMISMATCH (another model; a site that it has not), CN_EINVAL (no pictures), what cn_runner_create returns */
CN_API CN_MUST_CHECK cn_status cn_probe_pictures(const cn_probe *probe, const cn_model *model, const uint8_t *rgb, int64_t n, int threads,
                                                 double *probabilities, cn_error *err);

/** Writes a probe as a .npz (docs/compose.md has its arrays). */
CN_API CN_MUST_CHECK cn_status cn_probe_save(const cn_probe *probe, const char *path, cn_error *err);
/** Reads it back; files are untrusted. Checks and levels are kept; the names of units, too. @param[out] out cn_probe_free */
CN_API CN_MUST_CHECK cn_status cn_probe_load(cn_probe **out, const char *path, cn_error *err);
/** @return CN_EMISMATCH with both fingerprints unless the probe is of this model */
CN_API CN_MUST_CHECK cn_status cn_probe_check_model(const cn_probe *probe, const cn_model *model, cn_error *err);

#define CN_STUDY_PROBE "probe.npz" /* the kept probe's file in the study */

/** Keeps a probe in the study that it was fitted on: the file CN_STUDY_PROBE, and the table unit_classes, which cards show. Those of another probe are gone.
 * @return CN_OK; CN_EMISMATCH (a probe of another model, or of a site that the study has not), CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_keep_probe(cn_study *study, const cn_probe *probe, cn_error *err);
/** @return as cn_probe_load; CN_ENOTFOUND: the study keeps none, or one from before it was scanned again */
CN_API CN_MUST_CHECK cn_status cn_study_kept_probe(cn_probe **out, cn_study *study, cn_error *err);

/* A class that a unit serves in the kept probe. */
typedef struct cn_served_class {
    const char *class_name, *column;
    double weight, share; /* as in cn_probe_term */
    const char *created;  /* "2026-11-24T02:30:00Z" */
} cn_served_class;

/** By |weight|, falling; at most 64. @param[out] list owned by the caller, cn_served_classes_free; NULL when n is 0 */
CN_API CN_MUST_CHECK cn_status cn_study_served_classes(cn_study *study, cn_unit_ref ref, cn_served_class **list, size_t *n, cn_error *err);
CN_API void cn_served_classes_free(cn_served_class *list);

/** Writes the direction of a class in the units' own scale, weight / sd, as a .npy (units): "SITE:FILE.npy" is an objective of `see`
 * (objective.h) that is the class's logit but for a constant. @return CN_EUNSUPPORTED for a probe with `relu` */
CN_API CN_MUST_CHECK cn_status cn_probe_write_direction(const cn_probe *probe, size_t class_index, const char *path, cn_error *err);

typedef struct cn_probe_graph_options {
    const size_t *classes; /* which; NULL: all that have an equation */
    size_t n_classes;
    double least;          /* weights below it in size are left out */
    cn_plot_theme theme;
} cn_probe_graph_options;

#define CN_MAX_PROBE_GRAPH 2000 /* classes and units of a drawing */

/** Writes the graph of classes and the units in their equations, by the file's ending: .svg or .png (a drawing), .dot (Graphviz).
 * @return CN_EINVAL for another ending or an empty graph; CN_ELIMIT; CN_EIO */
CN_API CN_MUST_CHECK cn_status cn_probe_write_graph(const cn_probe *probe, const char *path, const cn_probe_graph_options *options,
                                                    cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
