/* clipneuron/linear.h -- what each unit of a site adds to the embedding of an image.
 *
 * The last steps of CLIP's image tower are nearly linear: for an image that looks the same everywhere, the attention pool of a
 * ResNet is W_o W_v, whatever its queries and keys (Goh et al. 2021). So each unit of the last block has a direction in the space of
 * embeddings, and a text's cosine with it says how much the unit speaks for the text. For a ViT the direct way
 * is taken: from the class token at the end of a block (or the MLP's hidden units that are added to it) through the last layer
 * norm, without its division, and the projection. Biases and position embeddings add the same to every image and are left out.
 *
 * cn_unit_directions_at is the exact one: the derivative of the embedding of given images. */
#ifndef CLIPNEURON_LINEAR_H
#define CLIPNEURON_LINEAR_H

#include "clipneuron/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Directions of all units of a site, linearised as above.
 * @param site of a ResNet: layer4, a block of it, or what has its units (add, relu3, bn3, ...); of a ViT: the end of a block, mlp.gelu or
 *        whatever else is added to the stream
 * @param[out] directions (units, embedding), caller's
 * @return CN_OK; CN_EUNSUPPORTED (a site of other units, with those that have directions), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_unit_directions(const cn_model *model, const cn_site *site, float *directions, cn_error *err);

/** The same as derivatives: of the embedding of length 1 with respect to one unit's value at all positions together, mean over
 * images. Any site of the image tower. Costs a backward pass from the embedding to the site for each of its
 * components and images.
 * @param pixels (n, 3, R, R) normalised, of the model's resolution
 * @param threads 0: all cores
 * @return CN_OK; CN_EINVAL (a site of the text tower, no images), what cn_runner_create returns */
CN_API CN_MUST_CHECK cn_status cn_unit_directions_at(const cn_model *model, const cn_site *site, const float *pixels, int64_t n, int threads,
                                                     float *directions, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
