/* image/resize.h -- the inside of the bicubic resize: filter weights of one axis, and the kernels that apply them.
 * Tests run every kernel against the plain one; everybody else calls cn_image_resize and its sisters. */
#ifndef IMAGE_RESIZE_H
#define IMAGE_RESIZE_H

#include "clipneuron/image.h"

/* Pillow's fixed point: weights are integers of 1 << 22, sums are rounded and clipped to a byte. */
#define WEIGHT_BITS 22
#define WEIGHT_HALF (1 << (WEIGHT_BITS - 1))

/* The weights of `count` neighbouring output positions along one axis.
 * Output i = sum over t < length[i] of weight[i*taps + t] * source[start[i] + t]. */
typedef struct resize_axis {
    int count, taps;
    int copied_from; /* at scale 1: output i is source copied_from + i; else -1 */
    int *start, *length;
    int32_t *weight;
    double *exact; /* the same weights before they were rounded; NULL unless asked for */
} resize_axis;

/* Output positions first .. first+count-1 of `total`, which cover the source positions in0 .. in1 (of `size`). */
cn_status axis_make(resize_axis *axis, int size, float in0, float in1, int64_t total, int64_t first,
                    int count, cn_error *err);
/* The same with `exact`. */
cn_status axis_make_exact(resize_axis *axis, int size, float in0, float in1, int64_t total, int64_t first,
                          int count, cn_error *err);
void axis_free(resize_axis *axis);
/* CN_EINVAL when no picture may have this size. */
cn_status check_output(int width, int height, cn_error *err);

/* The same weights for the vector kernels: source positions in groups of four ("quads") that start at multiples
 * of four. Output i uses quads first[i] .. first[i]+quads[i]-1; their packed weights begin at word offset[i]. */
typedef struct quad_axis {
    int count;
    int *first, *quads;
    size_t *offset;
    int32_t *words;
    int lowest, highest; /* quads in use by any output */
    int most;            /* quads of one output */
} quad_axis;

typedef struct resize_kernel {
    const char *name;
    bool (*supported)(void);
    /* The plain kernel does it all at once and has the members below NULL. */
    int words_per_quad;
    void (*pack_weights)(const int32_t weight[4], int32_t *words);
    /* Filters 4 rows along x, where all outputs have x->most quads. scratch: 64 bytes a quad in use.
     * out: for each output x and channel the bytes of the 4 rows side by side; 16 bytes of slack behind. */
    void (*rows)(const uint8_t *const row[4], int width, const quad_axis *x, uint8_t *scratch, uint8_t *out);
    /* Filters along y: quads[b][i] are 4 rows' bytes of column i; n columns to n bytes. Reads up to 63 bytes more. */
    void (*column)(const uint8_t *const *quads, int count, const int32_t *words, int n, uint8_t *out);
} resize_kernel;

/* Fastest first, the plain one last. */
extern const resize_kernel *const resize_kernels[];
extern const size_t resize_kernel_count;
extern const resize_kernel resize_plain, resize_avx2, resize_vnni;

/* Resamples an interleaved RGB picture. kernel NULL: the fastest that this processor has. */
cn_status resample(const uint8_t *rgb, int width, int height, const resize_axis *x, const resize_axis *y,
                   uint8_t *out, const resize_kernel *kernel, cn_error *err);
/* The specification of all kernels, in plain C. */
cn_status resample_plain(const uint8_t *rgb, int width, int height, const resize_axis *x,
                         const resize_axis *y, uint8_t *out, cn_error *err);
/* The same for interleaved pixels of 1, 3 or 4 channels. */
cn_status resample_channels(const uint8_t *pixels, int channels, int width, int height, const resize_axis *x,
                            const resize_axis *y, uint8_t *out, cn_error *err);
/* For 16-bit grey, as Pillow filters its 32-bit modes: in double, each pass rounded to integers, which may leave
 * 16 bits. The axes are exact ones. */
cn_status resample_grey16(const uint16_t *grey, int width, const resize_axis *x, const resize_axis *y,
                          int32_t *out, cn_error *err);

#endif
