/* image/normalise.c -- bytes to the floats that the network reads: torchvision's ToTensor and Normalize.
 * A byte has 256 values, so three tables hold the exact float32 results. */
#include "clipneuron/image.h"

const float cn_image_mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
const float cn_image_std[3] = {0.26862954f, 0.26130258f, 0.27577711f};

void cn_pixels_normalise(const uint8_t *rgb, size_t n, int size, const float *mean, const float *std,
                         float *pixels)
{
    float table[3][256];
    const size_t plane = (size_t)size * (size_t)size;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] =
                ((float)v / 255.0f - (mean ? mean : cn_image_mean)[c]) / (std ? std : cn_image_std)[c];
    for (size_t i = 0; i < n; i++, rgb += 3 * plane, pixels += 3 * plane) {
        float *red = pixels, *green = pixels + plane, *blue = pixels + 2 * plane;
        for (size_t p = 0; p < plane; p++) {
            red[p] = table[0][rgb[3 * p]];
            green[p] = table[1][rgb[3 * p + 1]];
            blue[p] = table[2][rgb[3 * p + 2]];
        }
    }
}
