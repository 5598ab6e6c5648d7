/* nn/op_conv.c -- 2-D cross-correlation with zero padding, no bias, as torch.nn.Conv2d(bias=False).
 * out[n,o,y,x] = sum_{i,r,s} weight[o,i,r,s] in[n,i, y*stride+r-pad, x*stride+s-pad] */
#include "nn/ops.h"

void conv_forward_ref(const nn_ref_args *a)
{
    const nn_node *node = a->node;
    const nn_shape *in = a->in_shape[0], *out = &node->shape;
    const nn_real *weight = a->param[NN_WEIGHT]; /* (O, I, K, K) */
    const int64_t kernel = node->kernel;
    for (int64_t n = 0; n < a->n; n++)
        for (int64_t o = 0; o < out->c; o++)
            for (int64_t y = 0; y < out->h; y++)
                for (int64_t x = 0; x < out->w; x++) {
                    double sum = 0;
                    for (int64_t i = 0; i < in->c; i++) {
                        const nn_real *plane = a->in[0] + (n * in->c + i) * in->h * in->w;
                        const nn_real *taps = weight + (o * in->c + i) * kernel * kernel;
                        for (int64_t r = 0; r < kernel; r++) {
                            int64_t row = y * node->stride + r - node->pad;
                            if (row < 0 || row >= in->h)
                                continue;
                            for (int64_t s = 0; s < kernel; s++) {
                                int64_t col = x * node->stride + s - node->pad;
                                if (col >= 0 && col < in->w)
                                    sum += (double)taps[r * kernel + s] * plane[row * in->w + col];
                            }
                        }
                    }
                    a->out[((n * out->c + o) * out->h + y) * out->w + x] = (nn_real)sum;
                }
}

/* d in[n,i, y*stride+r-pad, x*stride+s-pad] += weight[o,i,r,s] d out[n,o,y,x] */
void conv_backward_ref(const nn_ref_grad_args *a)
{
    const nn_node *node = a->forward->node;
    const nn_shape *in = a->forward->in_shape[0], *out = &node->shape;
    const nn_real *weight = a->forward->param[NN_WEIGHT]; /* (O, I, K, K) */
    const int64_t kernel = node->kernel;
    for (int64_t n = 0; n < a->forward->n; n++)
        for (int64_t i = 0; i < in->c; i++)
            for (int64_t row = 0; row < in->h; row++)
                for (int64_t col = 0; col < in->w; col++) {
                    double sum = 0;
                    for (int64_t r = 0; r < kernel; r++) {
                        const int64_t y = (row + node->pad - r) / node->stride;
                        if (row + node->pad < r || (row + node->pad - r) % node->stride || y >= out->h)
                            continue;
                        for (int64_t s = 0; s < kernel; s++) {
                            const int64_t x = (col + node->pad - s) / node->stride;
                            if (col + node->pad < s || (col + node->pad - s) % node->stride || x >= out->w)
                                continue;
                            for (int64_t o = 0; o < out->c; o++)
                                sum += (double)weight[((o * in->c + i) * kernel + r) * kernel + s] *
                                       a->dout[((n * out->c + o) * out->h + y) * out->w + x];
                        }
                    }
                    a->dx[0][((n * in->c + i) * in->h + row) * in->w + col] += (nn_real)sum;
                }
}
