/* clipneuron/evidence.h -- whether an optimised picture drives a unit in the way that natural pictures do.
 *
 * Feature visualisations can reach a unit along a path through the network that no natural picture takes; then they say little
 * about what the unit does (Geirhos et al. 2023, "Don't trust your eyes: on the (un)reliability of feature
 * visualizations"). For each block below the unit, pictures are compared by their channels: the spatial means,
 * standardised by the natural pictures, correlated over channels. With r(picture), the mean correlation with the
 * natural pictures that drive the unit, its similarity in the block is
 *
 *     (r(picture) - r(other natural pictures)) / (r(driving ones among themselves) - r(other natural pictures)):
 *
 * 1 where it is like pictures that drive the unit, 0 where it is like any other, below 0 where it is less so. Over all blocks, numerators
 * and denominators are summed, so that blocks in which natural pictures hardly differ count little. */
#ifndef CLIPNEURON_EVIDENCE_H
#define CLIPNEURON_EVIDENCE_H

#include "clipneuron/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The similarity over all blocks below which a picture takes another path than natural ones. */
#define CN_PATH_LOW 0.35f

typedef struct cn_evidence cn_evidence;

/** @param site of the unit, in the image tower: blocks that end before it are compared
 * @param[out] out owned by the caller, cn_evidence_close; the model must outlive it
 * @return CN_OK; CN_EINVAL (a site of the text tower), CN_EUNSUPPORTED (no block ends before the site), what cn_runner_create returns */
CN_API CN_MUST_CHECK cn_status cn_evidence_open(cn_evidence **out, const cn_model *model, const cn_site *site, int threads, cn_error *err);
CN_API void cn_evidence_close(cn_evidence *e);
/** Blocks that are compared, from the first on; their ends as sites, borrowed from the model. */
CN_API size_t cn_evidence_blocks(const cn_evidence *e);
CN_API const cn_site *cn_evidence_block(const cn_evidence *e, size_t i);

/** Sets the natural pictures of one unit, normalised (n, 3, R, R) of the model's resolution.
 * @param driving n >= 2 that drive it most @param others m >= 2 of all kinds
 * @return CN_OK; CN_EINVAL (too few), CN_EBACKEND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_evidence_natural(cn_evidence *e, const float *driving, int64_t n, const float *others, int64_t m,
                                                   cn_error *err);
/** @param pixels (n, 3, R, R) normalised
 * @param[out] similarity (n, blocks), caller's; NaN where the natural pictures do not differ in a block
 * @param[out] overall NULL, or (n): over all blocks; NaN where they differ in none
 * @return CN_OK; CN_EINVAL (no natural pictures yet), CN_EBACKEND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_evidence_measure(cn_evidence *e, const float *pixels, int64_t n, float *similarity, float *overall,
                                                   cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
