/* vis/transform.h -- small random changes of place, size and angle, so that what is optimised cannot rest on single
 * pixels ("transformation robustness"; Olah et al. 2017). All geometric transforms of a set are one affine map, and one bilinear
 * sampling puts it into effect: sharper and cheaper than one after the other. Outside the picture is grey (0.5), as
 * Lucid's padding is. */
#ifndef VIS_TRANSFORM_H
#define VIS_TRANSFORM_H

#include "base/check.h"
#include "base/rng.h"

#include <stdbool.h>

#define VIS_MAX_TRANSFORMS 32

typedef enum vis_move { VIS_JITTER, VIS_SCALE, VIS_ROTATE, VIS_CROP, VIS_PAD } vis_move;

/* One step of a set. JITTER: a shift of up to `high` px in whole px, uniform over its high + 1 places; SCALE: a factor
 * base^k with k uniform in low..high, or 1 + k/base when `linear`; ROTATE: an angle in degrees, uniform over low..high in whole
 * degrees; CROP: a part of the picture with a side of low..high hundredths, anywhere inside it; PAD: so many px of grey around it, low..high. */
typedef struct vis_transform {
    vis_move move;
    double low, high, base;
    bool linear;
} vis_transform;

typedef struct vis_transforms {
    vis_transform step[VIS_MAX_TRANSFORMS];
    int count;
    double noise; /* standard deviation added to pixels */
} vis_transforms;

/** "standard" (Lucid's), "mild" (half of it), "paper", "crops" (MACO's), "none", or steps: "pad 12, jitter 8, scale 0.8-1.2, rotate -10-10, crop 50-90,
 * noise 0.05" (scale: uniform between the factors).
 * @return CN_OK; CN_EINVAL with what can be written, CN_ELIMIT */
cn_status vis_transforms_parse(vis_transforms *out, const char *text, cn_error *err);

/* From a place in what the network sees to a place in the picture, both in px from the centre: p = m q + c. */
typedef struct vis_affine {
    double m[2][2], c[2];
} vis_affine;

/* A draw of all steps. side: px of the picture; seen: px of what the network sees, which shows the whole picture when no
 * step changes that. */
vis_affine vis_transforms_draw(const vis_transforms *t, rng *r, int side, int seen);

/* n pictures (channels, side, side) into (channels, seen, seen), each by its map; outside: grey. */
void vis_sample(const float *pictures, float *out, int64_t n, int channels, int side, int seen, const vis_affine *map, float grey);
/* The adjoint: adds to d pictures. */
void vis_sample_gradient(float *d_pictures, const float *d_out, int64_t n, int channels, int side, int seen, const vis_affine *map);

#endif
