/* vis/magnitudes.c -- the spectrum of natural pictures, which a PHASE canvas keeps. */
#include "clipneuron/see.h"

#include "base/check.h"
#include "base/memory.h"
#include "vis/canvas.h"
#include "vis/spectrum.h"

#include <math.h>
#include <string.h>

#define INNER 0.02f /* pixels are kept this far from 0 and 1, where the inverse of the sigmoid has no end */

/* rgb = m colour, so colour = inverse rgb (Cramer's rule). */
static void invert(const float m[3][3], float inverse[3][3])
{
    const float determinant = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                              m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            const int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
            inverse[i][j] = (m[a][c] * m[b][d] - m[a][d] * m[b][c]) / determinant;
        }
}

/* What a canvas would have to hold to draw the picture: before the sigmoid, and with colours decorrelated. */
static void before_drawing(const float *picture, int64_t area, bool correlated, const float inverse[3][3], float *planes)
{
    for (int64_t k = 0; k < area; k++) {
        float v[3];
        for (int c = 0; c < 3; c++) {
            const float p = fminf(fmaxf(picture[c * area + k], INNER), 1 - INNER);
            v[c] = logf(p / (1 - p));
        }
        for (int c = 0; c < 3; c++)
            planes[c * area + k] = correlated ? v[c] : inverse[c][0] * v[0] + inverse[c][1] * v[1] + inverse[c][2] * v[2];
    }
}

cn_status cn_magnitudes(const float *pictures, int64_t n, int size, bool correlated, float *magnitude, cn_error *err)
{
    cn_status st = CN_OK;
    vis_spectrum *spectrum = NULL;
    float *planes = NULL, *spectra = NULL, inverse[3][3];
    CN_CHECK(n > 0, CN_EINVAL, "no pictures to measure magnitudes of");
    CN_CHECK(size >= 2 && size <= CN_MAX_SEE_SIZE && size % 2 == 0, CN_EINVAL, "pictures have an even side of 2 to %d px, not %d",
             CN_MAX_SEE_SIZE, size);
    CN_TRY(vis_spectrum_open(&spectrum, size, 1, err));
    const int64_t area = (int64_t)size * size, count = vis_spectrum_count(spectrum);
    planes = cn_calloc((size_t)(3 * area), sizeof *planes);
    spectra = cn_calloc((size_t)(3 * count), 2 * sizeof *spectra);
    CN_CHECK(planes && spectra, CN_ENOMEM, "out of memory for the spectra of pictures of %d px", size);
    invert(vis_colour_matrix, inverse);
    memset(magnitude, 0, (size_t)(3 * count) * sizeof *magnitude);
    for (int64_t i = 0; i < n; i++) {
        before_drawing(pictures + i * 3 * area, area, correlated, inverse, planes);
        vis_spectrum_of(spectrum, planes, spectra, 3);
        for (int64_t k = 0; k < 3 * count; k++)
            magnitude[k] += hypotf(spectra[2 * k], spectra[2 * k + 1]) / (float)n;
    }
done:
    cn_free(planes);
    cn_free(spectra);
    vis_spectrum_close(spectrum);
    return st;
}
