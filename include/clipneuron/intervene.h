/* clipneuron/intervene.h -- interventions: what a network does when units are set, scaled, bounded or taken to their means, or a direction is
 * added at a site; and how large the effect is on named texts.
 *
 *   layer4:89=0           the unit's value at every position; a list 3,5 or range 10-12 of units, or * for all of them
 *   layer4:89*2           times a number
 *   layer4:89<=1          not above a number;  layer4:89>=0 not below
 *   layer4:89~            its mean over a study's pictures
 *   layer4+d.npy*3        adds the vector in d.npy (one value for each unit) times 3 at every position; *3 may be left out, and - takes away
 *
 * Edits are done in the order in which they are given; what reads the site, the caller included, reads the edited values. */
#ifndef CLIPNEURON_INTERVENE_H
#define CLIPNEURON_INTERVENE_H

#include "clipneuron/model.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_EDITS 256
#define CN_MAX_EDIT_TEXT 4096 /* bytes */

typedef struct cn_edits cn_edits;

/** @param means a study of the model, for edits with ~; else NULL
 * @param[out] out owned by the caller, cn_edits_free; borrows nothing but the model's sites
 * @return CN_OK; CN_EINVAL (what cannot be read; a unit out of range, with the valid ones; no study for ~, or one of maxima), CN_ENOTFOUND (no such site,
 *         file, or site of the study), CN_EMISMATCH (a study of another model; a direction of another length), CN_EFORMAT, CN_ELIMIT, CN_EIO */
CN_API CN_MUST_CHECK cn_status cn_edits_parse(cn_edits **out, const cn_model *model, cn_study *means, const char *const *texts, size_t n,
                                              cn_error *err);
CN_API void cn_edits_free(cn_edits *edits);
/** For cn_runner_options.edits; borrowed until free. */
CN_API const cn_site_edit *cn_edits_sites(const cn_edits *edits, size_t *n);
/** All that decides what the edits do, joined by "; ": sites by their full names, means as numbers, directions with the start of their sha256; at most CN_MAX_EDITS * CN_MAX_EDIT_TEXT bytes. Borrowed. */
CN_API const char *cn_edits_text(const cn_edits *edits);
/** The edits that a study's network ran with, made again from what the study keeps: a direction counts there by its hash and means by their sum, which is not
 * enough.
 * @param[out] out NULL where the study has none
 * @return CN_OK; CN_EUNSUPPORTED (edits with directions or means: the message says which), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_edits_of_study(cn_edits **out, const cn_model *model, const cn_study *study, cn_error *err);

/* ---- effects ---- */

/* Of edits on one text, over images. Intervals: percentile bootstrap over images (pairs of before and after), 95%. */
typedef struct cn_effect {
    double before, after;        /* mean logit */
    double change, low, high;    /* of the logit */
    double share_before, share_after; /* mean softmax probability among the texts */
    double share_change, share_low, share_high;
    double best_before, best_after;   /* share of images whose best text this is */
} cn_effect;

typedef struct cn_effect_options {
    int replicates; /* 0: 2000 */
    uint64_t seed;
} cn_effect_options;

/** @param before,after (n, width) embeddings of the same images without and with the edits; need no length
 * @param texts (k, width) of length 1
 * @param scale logit scale
 * @param[out] effects caller's buffer of k
 * @param[out] changed NULL, or the share of images whose best text is another one afterwards
 * @return CN_OK; CN_EINVAL (no images, no texts, an embedding that is not finite or has no length), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_effects_measure(const float *before, const float *after, int64_t n, int64_t width, const float *texts, int64_t k,
                                                  double scale, const cn_effect_options *options, cn_effect *effects, double *changed,
                                                  cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
