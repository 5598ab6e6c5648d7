/* nn/gradrows.h -- the small steps of the backward pass that need no library: element-wise and row-wise work on
 * channels-last gradients in float32 or bfloat16. Each is the fast program's version of a backward of ops.h, and runs on
 * the threads that kernels use.
 *
 * `add`: add to what dx holds; else it is overwritten. With add unset, dx may be dy where both have one size. */
#ifndef NN_GRADROWS_H
#define NN_GRADROWS_H

#include "nn/graph.h"
#include "nn/kernels.h"

/* mask[i] = 0xff where y[i] > 0, else 0: all that the gradient of a ReLU needs to know. */
void gradrows_positive(uint8_t *mask, const void *y, int64_t count, nn_dtype t);
/* dy of n images of `size` values each, in place: zero where the mask is. override: see there. */
void gradrows_relu(void *dy, const uint8_t *mask, int64_t n, int64_t size, nn_dtype t, nn_relu_override override);
/* dx = dy times the slope of GELU at x, for a gradient above zero at least `leak`; quick: QuickGELU. dx may be dy. */
void gradrows_leaky_gelu(void *dx, const void *x, const void *dy, int64_t count, nn_dtype t, bool quick, float leak, bool add);
/* dx = scale[c] dy over `rows` rows of c values; scale NULL: 1. */
void gradrows_scale(void *dx, const void *dy, int64_t rows, int64_t c, nn_dtype t, const float *scale, bool add);
/* dx (n, in_h, in_w, c) of an average pool whose output is (n, h, w, c). */
typedef struct gradrows_pool {
    int64_t n, c, in_h, in_w, h, w;
    int kernel;
} gradrows_pool;
void gradrows_avgpool(void *dx, const void *dy, const gradrows_pool *s, nn_dtype t, bool add);
void gradrows_layernorm(void *dx, const void *x, const void *dy, int64_t rows, int64_t c, nn_dtype t, float eps,
                        const float *gamma, bool add);
/* dp, the gradient of softmax weights p over rows of `width`, becomes that of the scores. */
void gradrows_softmax(void *dp, const void *p, int64_t rows, int64_t width, nn_dtype t);
/* dx (n, cells, c) from tokens dt (n, 1 + cells, c); mean: the first token was the mean of the cells. */
void gradrows_tokens(void *dx, const void *dt, int64_t n, int64_t cells, int64_t c, nn_dtype t, bool mean, bool add);
/* Float32 values in a graph's layout (n, c, rows) to and from (n, rows, c); c = 1 or rows = 1 copies. */
void gradrows_from_planes(void *dx, const float *x, int64_t n, int64_t c, int64_t rows, nn_dtype t, bool add);
void gradrows_to_planes(float *y, const void *dy, int64_t n, int64_t c, int64_t rows, nn_dtype t);

#endif
