/* clip/grid.h -- where values lie at a site; and bilinear interpolation of values on a grid, between the centres of its cells and constant beyond the outermost
 * ones: for positional embeddings and facets at other resolutions than their own. */
#ifndef CLIP_GRID_H
#define CLIP_GRID_H

#include "clipneuron/model.h"

#include <stdint.h>

/* Where a unit's value at a position lies among those of one image at a site, of which there are `positions`. */
static inline int64_t clip_value_index(const cn_site *site, int64_t unit, int64_t position, int64_t positions)
{
    return site->layout == CN_SITE_MAP ? unit * positions + position : position * site->units + unit;
}

/* Four cells of the source grid (row-major), and the weights of the lower and the right ones. */
typedef struct clip_between {
    int64_t cell[4];
    double wy, wx;
} clip_between;

static inline void clip_between_axis(int64_t i, int64_t side, int64_t from, int64_t at[2], double *weight)
{
    double x = ((double)i + 0.5) * (double)from / (double)side - 0.5;
    x = x < 0 ? 0 : x > (double)(from - 1) ? (double)(from - 1) : x;
    at[0] = (int64_t)x;
    at[1] = at[0] + 1 < from ? at[0] + 1 : at[0];
    *weight = x - (double)at[0];
}

/* Where cell (y, x) of a (height, width) grid lies on a (h, w) one. */
static inline clip_between clip_between_cells(int64_t y, int64_t x, int64_t height, int64_t width, int64_t h, int64_t w)
{
    clip_between b;
    int64_t ys[2], xs[2];
    clip_between_axis(y, height, h, ys, &b.wy);
    clip_between_axis(x, width, w, xs, &b.wx);
    for (int k = 0; k < 4; k++)
        b.cell[k] = ys[k / 2] * w + xs[k % 2];
    return b;
}

/* The value there; those of neighbouring cells are `step` apart. */
static inline float clip_interpolate(const clip_between *b, const float *value, int64_t step)
{
    return (float)((1 - b->wy) * ((1 - b->wx) * value[b->cell[0] * step] + b->wx * value[b->cell[1] * step]) +
                   b->wy * ((1 - b->wx) * value[b->cell[2] * step] + b->wx * value[b->cell[3] * step]));
}

#endif
