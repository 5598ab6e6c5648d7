/* nn/kernels.h -- the arithmetic that a library does for us, behind types of our own.
 * onednn.c implements it; nothing else names oneDNN. Activations are channels-last (N, H, W, C) or
 * row-major (N, L, D), so that a map and its tokens are the same bytes and every op reads plain rows;
 * constant weights are packed in whatever blocked layout the library likes best on this CPU.
 *
 * A kernel is created for fixed shapes, owns its packed weights and allocates nothing when it runs. The caller
 * owns it and frees it before its engine. Both belong to one thread at a time. Every create returns CN_OK,
 * CN_ENOMEM, or CN_EBACKEND for what the library refuses. */
#ifndef NN_KERNELS_H
#define NN_KERNELS_H

#include "base/check.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum nn_dtype { NN_F32, NN_BF16 } nn_dtype;
typedef enum nn_activation { NN_NO_ACTIVATION, NN_ACT_RELU, NN_ACT_QUICK_GELU, NN_ACT_GELU } nn_activation;

static inline size_t nn_dtype_size(nn_dtype t)
{
    return t == NN_F32 ? 4 : 2;
}

typedef struct nn_engine nn_engine;
typedef struct nn_kernel nn_kernel;

cn_status nn_engine_open(nn_engine **out, cn_error *err);
void nn_engine_close(nn_engine *e);
/* Whether this CPU has bfloat16 dot products that the library uses. */
bool nn_cpu_has_bf16(void);
/* "oneDNN 2.6.0, avx512_core_bf16"; valid until the thread's next call. */
const char *nn_engine_description(void);
/* The number of threads that kernels created and run by the calling thread use; returns the former one. */
int nn_set_threads(int threads);

typedef struct nn_conv_spec {
    int64_t n, in_c, in_h, in_w, out_c, out_h, out_w;
    int kernel, stride, pad;
    nn_dtype dtype;           /* of source and destination */
    bool sum;                 /* add to what the destination holds */
    nn_activation act;
} nn_conv_spec;
/* weight (O, I, K, K) and bias (O) float32, copied. */
cn_status nn_kernel_conv(nn_kernel **out, nn_engine *e, const nn_conv_spec *s, const float *weight, const float *bias,
                         cn_error *err);
cn_status nn_kernel_avgpool(nn_kernel **out, nn_engine *e, const nn_conv_spec *s, cn_error *err);

/* The gradient of a convolution with respect to its source, for strides other than 1 (with stride 1 it is a convolution
 * itself, with the kernel turned around: see backward.c). The spec is the forward one; sum and act must be unset.
 * Runs from d destination to d source. */
cn_status nn_kernel_conv_gradient(nn_kernel **out, nn_engine *e, const nn_conv_spec *s, const float *weight, cn_error *err);

#define NN_MATMUL_DIMS 4
/* c = act(scale (a b + bias) [+ c]) over `ndim` dimensions of which the last two are the matrix's and
 * the others run along; strides in elements. */
typedef struct nn_matmul_spec {
    int ndim;                               /* 2..4 */
    int64_t batch[2];                       /* outer dimensions, ndim - 2 of them */
    int64_t m, n, k;
    int64_t a_stride[NN_MATMUL_DIMS], b_stride[NN_MATMUL_DIMS], c_stride[NN_MATMUL_DIMS];
    nn_dtype a, b, c;
    float scale;                            /* 0: 1 */
    bool sum;
    nn_activation act;
} nn_matmul_spec;
/* weight: float32 matrix b with b_stride, copied and packed, or NULL when b comes at run time; bias (n) or NULL. */
cn_status nn_kernel_matmul(nn_kernel **out, nn_engine *e, const nn_matmul_spec *s, const float *weight,
                           const float *bias, cn_error *err);
/* Over rows of `width`, in place or not. */
cn_status nn_kernel_softmax(nn_kernel **out, nn_engine *e, int64_t rows, int64_t width, nn_dtype dtype, cn_error *err);
cn_status nn_kernel_layernorm(nn_kernel **out, nn_engine *e, int64_t rows, int64_t width, nn_dtype dtype, float eps,
                              const float *gamma, const float *beta, cn_error *err);
/* act over `count` values, in place or not; and its gradient: src holds the act's input, b (of nn_kernel_run) d act,
 * and dst takes d input, which may be b. */
cn_status nn_kernel_act(nn_kernel **out, nn_engine *e, int64_t count, nn_dtype dtype, nn_activation act, cn_error *err);
cn_status nn_kernel_act_gradient(nn_kernel **out, nn_engine *e, int64_t count, nn_dtype dtype, nn_activation act, cn_error *err);
/* Copies (n, c, h, w) between strided arrays, converting. */
typedef struct nn_strided {
    int64_t stride[4]; /* of n, c, h, w in elements */
    nn_dtype dtype;
} nn_strided;
cn_status nn_kernel_copy(nn_kernel **out, nn_engine *e, const int64_t dims[4], nn_strided from, nn_strided to,
                         cn_error *err);

void nn_kernel_free(nn_kernel *k);
size_t nn_kernel_scratch_bytes(const nn_kernel *k);
size_t nn_kernel_weight_bytes(const nn_kernel *k);
/* "brgconv:avx512_core": which implementation the library chose; borrowed. */
const char *nn_kernel_implementation(const nn_kernel *k);
/* b: the run-time matrix of a matmul, or what a gradient of an act starts from, else NULL. scratch: nn_kernel_scratch_bytes
 * on a 64-byte boundary, NULL for none. dst must not overlap src, except for the softmax and the act, where it may be src. */
cn_status nn_kernel_run(nn_kernel *k, const void *src, const void *b, void *dst, void *scratch, cn_error *err);

/* body(data, from, to) over parts of [0, count), side by side on the threads that kernels use; `grain` items or
 * more a part. */
void nn_parallel(void (*body)(void *data, int64_t from, int64_t to), void *data, int64_t count, int64_t grain);

#endif
