/* clipneuron/see.h -- pictures of what an objective looks for, by gradient ascent (feature visualisation).
 *
 * A cn_see holds a batch of pictures that are optimised side by side, each for its objective. Every step draws them from
 * their parameters, moves them about (so that nothing rests on single pixels), runs the network forward and
 * backward, and lets Adam take a step uphill. Stop whenever the pictures are good enough.
 *
 * The same options and seed give the same pictures on one machine with one number of threads. The k-th picture of every objective
 * has the same random numbers, so it does not matter what is optimised beside it but for rounding.
 * Threads: one at a time. */
#ifndef CLIPNEURON_SEE_H
#define CLIPNEURON_SEE_H

#include "clipneuron/facet.h"
#include "clipneuron/objective.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_SEE_IMAGES 4096
#define CN_MAX_SEE_SIZE 4096 /* px */
#define CN_MAX_SEE_STARTS 16
#define CN_SEE_REDIRECT_STEPS 64 /* unless told otherwise */
#define CN_SEE_RELU_LEAK 0.01f    /* the same */

/* What is optimised in place of pixels. */
typedef enum cn_canvas {
    CN_CANVAS_FOURIER, /* Fourier coefficients scaled by 1/f, decorrelated colours (Olah et al. 2017) */
    CN_CANVAS_PIXELS,  /* pixels */
    CN_CANVAS_PHASE    /* phases only, with the magnitudes of natural pictures (MACO; Fel et al. 2023) */
} cn_canvas;

typedef struct cn_see_options {
    int images_each;        /* pictures for each objective, among which diversity is measured; 0: 1 */
    int size;               /* px of a side; 0: the model's resolution. Even, unless the canvas is PIXELS */
    int resolution;         /* px that the network sees, the whole picture before transforms; 0: the model's */
    float rate;             /* of Adam; 0: 0.05 */
    uint64_t seed;
    cn_canvas canvas;
    bool correlated;        /* leave the colours as they are */
    float decay;            /* FOURIER: exponent of 1/f; 0: 1 */
    float start;            /* deviation of the parameters in the beginning; 0: 0.01 */
    bool alpha;             /* also how opaque each pixel is: what does not matter becomes transparent */
    const char *transforms; /* "standard", "mild", "paper", "crops", "none" or steps such as "pad 4, jitter 8, scale 0.9-1.1, rotate -5-5, crop
                               50-100, noise 0.02"; NULL: "standard", for ResNets below 160 px "mild", for PHASE "crops" */
    const float *magnitude; /* PHASE: (3, size, size/2 + 1) mean magnitudes of natural pictures, from cn_magnitudes; size must be given; NULL: 1/f */
    const cn_facets *facets; /* borrowed; NULL: plain */
    const char *facet;      /* its name, for all pictures */
    float weakest, strongest; /* the facet's strength runs from one to the other over the pictures of an objective; the weakest alone if
                               there is one picture. Both 0: 5 to 50; 20 for one picture. The paper's range is 0.1 to 5 */
    bool importance;        /* sum up where the objective's gradient was large: cn_see_importance */
    int starts;             /* up to CN_MAX_SEE_STARTS; 0: 1. Each picture climbs from so many for the first redirect_steps
                               (CN_SEE_REDIRECT_STEPS where they are none), whose steps cost as many times as much, and goes on from the one
                               that drives its objective most by then: an ascent may stay where the unit is barely on, and by that time
                               it is seen. importance then sums up the steps behind */
    int redirect_steps;     /* steps in the beginning in which ReLUs let more through; 0: CN_SEE_REDIRECT_STEPS, below 0: none */
    float relu_leak;        /* in them, this share of the gradient, up to 1, passes ReLUs that are off where it would switch them on, and GELUs at least; 0:
                               CN_SEE_RELU_LEAK, below 0: none, only Lucid's override where nothing else passes */
    size_t activation_limit; /* of the ascent's runner, see cn_runner_options; 0: none */
    int threads;            /* 0: all cores */
    cn_precision precision; /* of the ascent; pictures are measured in fp32 */
    cn_backend backend;
} cn_see_options;

typedef struct cn_see cn_see;

/** @param objectives n of them; picture i is for objective i / images_each
 * @param options NULL for defaults
 * @param[out] out owned by the caller, cn_see_close; the model must outlive it
 * @return CN_OK; what cn_objective_parse, cn_facets_find and cn_runner_create return; CN_EINVAL, CN_ELIMIT for an option out of range */
CN_API CN_MUST_CHECK cn_status cn_see_open(cn_see **out, const cn_model *model, const char *const *objectives, size_t n,
                                           const cn_see_options *options, cn_error *err);
CN_API void cn_see_close(cn_see *see);

/** So many more steps. @return CN_OK; CN_EBACKEND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_see_run(cn_see *see, int64_t steps, cn_error *err);
/** Steps made so far. */
CN_API int64_t cn_see_steps(const cn_see *see);
/** Pictures, px of a side, channels (3, or 4 with alpha). */
CN_API size_t cn_see_count(const cn_see *see);
CN_API int cn_see_size(const cn_see *see);
CN_API int cn_see_channels(const cn_see *see);
/** The objective of picture i at the last step, transforms and the facet's share included; NaN before the first. */
CN_API float cn_see_value(const cn_see *see, size_t i);
/** Picture i as it is now. @param[out] pixels (size, size, channels), 8 bits */
CN_API void cn_see_picture(cn_see *see, size_t i, uint8_t *pixels);
/** Where picture i mattered, summed over all steps: |d objective / d pixel|, mean over channels, from 0 to the 80th percentile as
 * 0..1 (MACO shows it as transparency). All 1 unless options.importance. @param[out] map (size, size) */
CN_API CN_MUST_CHECK cn_status cn_see_importance(const cn_see *see, size_t i, float *map, cn_error *err);
/** The objectives of all pictures as they are now, rounded to 8 bits, without transforms and facet, in fp32, alpha over grey.
 * @param[out] values cn_see_count floats */
CN_API CN_MUST_CHECK cn_status cn_see_measure(cn_see *see, float *values, cn_error *err);

/** The mean magnitudes of the spectra of natural pictures, in the colours of a canvas and before its sigmoid, for CN_CANVAS_PHASE.
 * @param pictures (n, 3, size, size), 0..1; size even
 * @param correlated as in the options
 * @param[out] magnitude (3, size, size/2 + 1), caller's
 * @return CN_OK; CN_EINVAL (no pictures, a size out of range), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_magnitudes(const float *pictures, int64_t n, int size, bool correlated, float *magnitude, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
