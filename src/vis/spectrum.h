/* vis/spectrum.h -- planes of pixels from their Fourier coefficients, and gradients the other way.
 * A plane is (side, side) float32 with an even side; its spectrum is (side, side/2 + 1) complex, rows being vertical
 * frequencies 0, 1, .. side/2, .. -1 and columns horizontal ones 0 .. side/2. kissfft does the transform. */
#ifndef VIS_SPECTRUM_H
#define VIS_SPECTRUM_H

#include "base/check.h"

#include <stdint.h>

typedef struct vis_spectrum vis_spectrum;

/** @param threads side by side transforms
 * @return CN_OK; CN_EINVAL for an odd side, CN_ENOMEM */
cn_status vis_spectrum_open(vis_spectrum **out, int side, int threads, cn_error *err);
void vis_spectrum_close(vis_spectrum *s); /* accepts NULL */

/* Complex values of a spectrum: side * (side/2 + 1). */
int64_t vis_spectrum_count(const vis_spectrum *s);
/* |frequency| of each, in cycles a pixel: 0 .. sqrt(1/2). */
void vis_spectrum_frequencies(const vis_spectrum *s, float *frequency);

/* n planes of the inverse transform, with the factor 1/side that makes it keep lengths ("ortho"). spectra: n spectra of
 * (re, im) pairs, overwritten. */
void vis_spectrum_to_planes(vis_spectrum *s, float *spectra, float *planes, int64_t n);
/* The adjoint: d objective / d (re, im) from d objective / d planes. */
void vis_spectrum_gradient(vis_spectrum *s, const float *planes, float *spectra, int64_t n);
/* The plain forward transform with the same factor, for measuring magnitudes. */
void vis_spectrum_of(vis_spectrum *s, const float *planes, float *spectra, int64_t n);

#endif
