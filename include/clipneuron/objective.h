/* clipneuron/objective.h -- what an image is to make large, as a small expression, and its gradient.
 *
 *   layer4:89             a unit: the mean of its values over space (over the tokens of a ViT)
 *   layer4:89@4,4         its value at row 4, column 4; layer4:89@center the one in the middle (row H/2, column W/2);
 *                         on tokens @0 is the class token
 *   layer4:3,5,10-12      the sum of several units
 *   layer4:d.npy          a direction: dot product of the mean over space (or of a position) with the vector in d.npy;
 *                         a path with white space, @ or ) stands in quotes: layer4:"my d.npy"@center
 *   text:"a spider"       cosine of the image's embedding with the text's
 *   logit:"a spider"      the same times the model's logit scale: CLIP's logit for that text
 *   logit:"spider"@p.npz  a class of a linear probe of this model (probe.h; the file's name up to white space, or in quotes): its logit
 *   energy:layer4         mean of the squares of all values at a site, as DeepDream does
 *   diversity:layer4      minus the mean cosine of an image's Gram matrix of units with those of the other images of
 *                         its batch (Olah et al. 2017, "Feature visualization")
 *   l1, l2, tv            of the picture, whose values p are in 0..1: mean |p - 1/2|, mean (p - 1/2)^2, mean of the absolute
 *                         differences between neighbours
 *
 * Terms are joined by + and - with white space around them, and may have a weight: "layer4:89 - 0.5*layer4:17 - 10*l2"; so may a sum in
 * parentheses: "-(layer4:3 + layer4:5)".
 * Any site of the image tower can stand where layer4 does, also before a ReLU: layer4.5.add:89, pre:layer4:89. To
 * find what inhibits a unit, put a minus in front. */
#ifndef CLIPNEURON_OBJECTIVE_H
#define CLIPNEURON_OBJECTIVE_H

#include "clipneuron/model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_OBJECTIVE 4096       /* bytes of an expression */
#define CN_MAX_OBJECTIVE_TERMS 64
#define CN_MAX_OBJECTIVE_UNITS 65536 /* of one term */

typedef struct cn_objective cn_objective;

/** Reads an expression. Texts are embedded here, by the model's text tower in fp32.
 * @param model borrowed: must outlive the objective
 * @param threads for the text tower; 0: all cores
 * @param[out] out owned by the caller, cn_objective_free
 * @return CN_OK; CN_EINVAL (what cannot be read, with the place; a unit or position out of range, with the valid ones),
 *         CN_ENOTFOUND (no such site or class, with the nearest names; no such file), CN_EUNSUPPORTED (a text without a text tower), CN_ELIMIT,
 *         CN_EIO and CN_EFORMAT (a .npy or .npz file), CN_EMISMATCH (a direction of another length, a probe of another model) */
CN_API CN_MUST_CHECK cn_status cn_objective_parse(cn_objective **out, const cn_model *model, const char *expression, int threads,
                                                  cn_error *err);
CN_API void cn_objective_free(cn_objective *o);

/** A checksum (FNV-1a) of what the objective has from files, which its expression only names: directions and classes of probes. 0 without any. */
CN_API uint32_t cn_objective_files_sum(const cn_objective *o);

/** Sets what a runner must read and differentiate for the objective: tower, sites, embedding and input_gradient. The
 * sites are borrowed from o. */
CN_API void cn_objective_needs(const cn_objective *o, cn_runner_options *options);

/** The objective for the images of the runner's last run, and its gradient.
 * @param runner made with the options of cn_objective_needs; batch, threads, precision, backend, resolution are free
 * @param pixels (n, 3, R, R) normalised: what the run was given
 * @param[out] values (n) or NULL: the objective of each image
 * @param[out] gradient (n, 3, R, R) or NULL: d sum of values / d pixels
 * @param redirect_relu see cn_objective_gradient
 * @return CN_OK; CN_EINVAL (a position outside its site at the runner's resolution, with the site's size), CN_EBACKEND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_objective_evaluate(cn_objective *o, cn_runner *runner, const float *pixels, int64_t n, float *values,
                                                     float *gradient, bool redirect_relu, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
