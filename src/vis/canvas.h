/* vis/canvas.h -- what is optimised in place of pixels. A canvas holds parameters for a batch of pictures, draws them, and
 * turns gradients of pixels into gradients of parameters.
 *
 * FOURIER: coefficients, each scaled by 1/max(f, 1/side) so that all frequencies move alike, inverse transform, / 4, colours
 *          decorrelated, sigmoid (Olah et al. 2017; the constants are Lucid's).
 * PIXELS:  the same without the transform.
 * PHASE:   coefficients with the magnitudes of natural pictures, whose phases are optimised (MACO; Fel et al. 2023): the
 *          picture is brought to mean 0 and deviation 1, decorrelated, sigmoid. */
#ifndef VIS_CANVAS_H
#define VIS_CANVAS_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum vis_canvas_kind { VIS_FOURIER, VIS_PIXELS, VIS_PHASE } vis_canvas_kind;

typedef struct vis_canvas_options {
    vis_canvas_kind kind;
    int side, n, threads;   /* px, pictures */
    bool alpha;             /* a fourth channel: how opaque each pixel is */
    bool decorrelate;
    float decay;            /* FOURIER: the exponent of 1/f */
    float start;            /* deviation of the parameters in the beginning */
    uint64_t seed;
    int each;               /* picture i begins as number i % each of the seed, whatever is beside it */
    int number;             /* another one: another start with the same seed */
    const float *magnitude; /* PHASE: (3, side, side/2 + 1), of natural pictures; copied. NULL: 1/f */
} vis_canvas_options;

typedef struct vis_canvas vis_canvas;

/* CN_OK; CN_EINVAL (an odd side with frequencies), CN_ENOMEM */
cn_status vis_canvas_open(vis_canvas **out, const vis_canvas_options *options, cn_error *err);
void vis_canvas_close(vis_canvas *c); /* accepts NULL */

int vis_canvas_channels(const vis_canvas *c); /* 3, or 4 with alpha */
/* Draws into pictures (n, channels, side, side), in 0..1. */
void vis_canvas_draw(vis_canvas *c, float *pictures);
/* Gradients of what was drawn last, into the parameters' own buffer. */
void vis_canvas_gradient(vis_canvas *c, const float *d_pictures);
/* One step of Adam uphill (Kingma and Ba 2015, beta 0.9 and 0.999, epsilon 1e-8). */
void vis_canvas_step(vis_canvas *c, float rate);
/* (n, parameters of one) -- what a checkpoint keeps: parameters and both moments; and the steps made. */
int64_t vis_canvas_parameters(const vis_canvas *c);
float *vis_canvas_state(vis_canvas *c, int which); /* 0 parameters, 1 and 2 Adam's moments, 3 the gradient */
/* Picture i goes on as it is on another canvas of the same options, at the same step. */
void vis_canvas_take(vis_canvas *c, vis_canvas *from, int64_t i);
int64_t *vis_canvas_steps(vis_canvas *c);

/* Lucid's matrix that takes decorrelated colours to RGB, as it is applied: rgb = m * colour. */
extern const float vis_colour_matrix[3][3];

#endif
