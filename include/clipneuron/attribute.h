/* clipneuron/attribute.h -- what units, positions and attention-pool heads add to an image's logit for a text.
 *
 * The quantity that is taken apart is f = goal . e/|e0| with e the embedding and e0 that of the image as it is: for goal the embedding of a
 * text of length 1 its cosine, times the model's logit scale its logit, for a difference of two texts the difference of their logits. The
 * length is held since a cosine says nothing about parts of a whole: it does not change when all units shrink together, and jumps
 * where they vanish. With `renormalise` f = goal . e/|e| all the same.
 * With x the values of a site for the image and b a baseline (per unit: zero, or its mean over a collection):
 *
 *   gradient     (x - b) df/dx                          first order; cheap; not complete
 *   integrated   (x - b) int_0^1 df/dx (b + a(x - b)) da   integrated gradients (Sundararajan et al. 2017): they add up to
 *                f(x) - f(b). By Gauss-Legendre quadrature on equal parts of the path
 *   exact        f(x) - f(x with the unit at its baseline everywhere): what the network itself says, for single units
 *   heads        f = sum over heads, exactly, when the attention weights, too, are taken as they are for the image (direct logit
 *                attribution; after Gandelsman et al. 2024 for ViTs): head h adds m_h . sum_i p_hi t_i + bias, with t the pool's
 *                tokens, p_h its attention and m_h = W_v,h^T W_o,h^T goal / |e0|
 *
 * At a site that a residual connection passes by (a ViT's MLP, a bn3), what passes by stays as the image has it.
 * Threads: all calls are independent. */
#ifndef CLIPNEURON_ATTRIBUTE_H
#define CLIPNEURON_ATTRIBUTE_H

#include "clipneuron/model.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_ATTRIBUTION_STEPS 4096
#define CN_ATTRIBUTION_TOLERANCE 0.01 /* of f(x) - f(b), that integrated gradients may miss */

typedef struct cn_attribution_options {
    const cn_site *site;   /* of the image tower; NULL: cn_model_default_site */
    const float *baseline; /* (units), at every position; NULL: zero */
    int steps;             /* gradients along the path, rounded up to a multiple of 4; 0: from 16 on twice as many until they
                              miss at most half of CN_ATTRIBUTION_TOLERANCE, at most 1024 */
    int ablate;            /* the strongest so many units by |integrated| are ablated exactly; 0: 16; below 0: none */
    int threads;           /* 0: all cores */
    bool renormalise;      /* do not hold the embedding's length: completeness may then take very many steps, or fail at a baseline whose
                              embedding has no length */
} cn_attribution_options;

/* A unit whose contribution was measured by taking it away. */
typedef struct cn_ablation {
    int64_t unit;
    double integrated, gradient; /* sums over positions */
    double exact;                /* change of f */
    double logit;                /* change of goal . e/|e|: the embedding's length is not held */
} cn_ablation;

typedef struct cn_attribution {
    const cn_site *site;
    int64_t units, positions, height, width; /* of the map; a ViT's class token is position 0 and no part of it */
    bool class_token;
    double value, baseline_value; /* f(x), f(b) */
    float *activation;            /* (units): mean of x over positions */
    float *gradient, *integrated; /* (units, positions) */
    double sum;                   /* of integrated: to be compared with value - baseline_value */
    double error;                 /* |sum - (value - baseline_value)| / |value - baseline_value|: completeness. Where that difference is below
                                     1e-4 of the sum of absolute contributions, relative to that sum */
    int steps;                    /* that were taken */
    cn_ablation *ablation;        /* by |integrated|, falling */
    size_t n_ablations;
} cn_attribution;

/** @param pixels normalised (3, R, R) at the model's resolution
 * @param goal (embedding)
 * @param options NULL for defaults
 * @param[out] out owned by the caller, cn_attribution_free
 * @return CN_OK; CN_EINVAL (a site of the text tower, too many steps, an embedding of length 0), CN_ENOMEM, CN_EBACKEND */
CN_API CN_MUST_CHECK cn_status cn_attribution_compute(cn_attribution **out, const cn_model *model, const float *pixels, const float *goal,
                                                      const cn_attribution_options *options, cn_error *err);
CN_API void cn_attribution_free(cn_attribution *a);
/** Sums over units, (height, width). @param unit one unit's alone; below 0: all */
CN_API void cn_attribution_map(const cn_attribution *a, int64_t unit, float *map);

typedef struct cn_head_attribution {
    int64_t heads, units, height, width;
    double value;  /* f */
    double bias;   /* of the output projection: value = bias + sum of head */
    double *head;  /* (heads) */
    double *rest;  /* (heads): the part of it from positional embeddings and biases */
    float *unit;   /* (heads, units): by the pool's input, summed over positions; head = rest + sum over units */
    float *map;    /* (heads, height, width): the same summed over units */
} cn_head_attribution;

/** For ResNets: by the heads of the attention pool, whose input is "visual.layer4" behind its last ReLU.
 * @return CN_OK; CN_EUNSUPPORTED (a ViT), CN_EINVAL, CN_ENOMEM, CN_EBACKEND */
CN_API CN_MUST_CHECK cn_status cn_attribution_heads(cn_head_attribution **out, const cn_model *model, const float *pixels, const float *goal,
                                                    int threads, cn_error *err);
CN_API void cn_head_attribution_free(cn_head_attribution *a);

/** Draws a map over a picture as a PNG: what speaks for the goal in red, against it in blue, the strongest cell the most opaque.
 * @param rgb (side, side, 3), what the network saw
 * @param map (height, width), finite */
CN_API CN_MUST_CHECK cn_status cn_heatmap_write(const char *path, const uint8_t *rgb, int side, const float *map, int64_t height, int64_t width,
                                                cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
