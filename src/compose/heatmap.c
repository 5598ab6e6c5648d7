/* compose/heatmap.c -- a map of contributions over the picture that the network saw. */
#include "clipneuron/attribute.h"
#include "clipneuron/image.h"

#include "base/check.h"
#include "base/memory.h"
#include "clip/grid.h"

#include <math.h>

#define LEAST_SIDE 384 /* px: smaller pictures are shown larger */
#define OPACITY 0.72   /* of the strongest cell */

static const double red[3] = {214, 39, 20}, blue[3] = {24, 76, 214};

static uint8_t level(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

cn_status cn_heatmap_write(const char *path, const uint8_t *rgb, int side, const float *map, int64_t height, int64_t width, cn_error *err)
{
    cn_status st = CN_OK;
    const int times = side < LEAST_SIDE ? (LEAST_SIDE + side - 1) / side : 1, out = side * times;
    double most = 0;
    uint8_t *pixels = cn_malloc((size_t)out * (size_t)out * 3);
    CN_CHECK(pixels, CN_ENOMEM, "%s: out of memory for a picture", path);
    for (int64_t i = 0; i < height * width; i++)
        most = fmax(most, fabs((double)map[i]));
    for (int y = 0; y < out; y++)
        for (int x = 0; x < out; x++) {
            const uint8_t *from = rgb + ((size_t)(y / times) * (size_t)side + (size_t)(x / times)) * 3;
            uint8_t *to = pixels + ((size_t)y * (size_t)out + (size_t)x) * 3;
            const clip_between b = clip_between_cells(y, x, out, out, height, width);
            const double v = most > 0 ? clip_interpolate(&b, map, 1) / most : 0, share = OPACITY * fabs(v);
            const double grey = 0.299 * from[0] + 0.587 * from[1] + 0.114 * from[2];
            for (int c = 0; c < 3; c++) /* half of the picture's own colour, so that red and blue are the map's */
                to[c] = level((1 - share) * (grey + from[c]) / 2 + share * (v > 0 ? red : blue)[c]);
        }
    CN_TRY(cn_png_write(path, pixels, out, out, 3, NULL, 0, err));
done:
    cn_free(pixels);
    return st;
}
