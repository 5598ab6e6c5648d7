/* nn/op_avgpool.c -- mean over kernel x kernel tiles; rows and columns that fill no tile are dropped,
 * as torch.nn.AvgPool2d(kernel) does. */
#include "nn/ops.h"

void avgpool_forward_ref(const nn_ref_args *a)
{
    const nn_shape *in = a->in_shape[0], *out = &a->node->shape;
    const int64_t kernel = a->node->kernel;
    for (int64_t plane = 0; plane < a->n * out->c; plane++)
        for (int64_t y = 0; y < out->h; y++)
            for (int64_t x = 0; x < out->w; x++) {
                double sum = 0;
                for (int64_t r = 0; r < kernel; r++)
                    for (int64_t s = 0; s < kernel; s++)
                        sum += a->in[0][(plane * in->h + y * kernel + r) * in->w + x * kernel + s];
                a->out[(plane * out->h + y) * out->w + x] = (nn_real)(sum / (double)(kernel * kernel));
            }
}

void avgpool_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const nn_shape *in = f->in_shape[0], *out = &f->node->shape;
    const int64_t kernel = f->node->kernel;
    for (int64_t plane = 0; plane < f->n * out->c; plane++)
        for (int64_t row = 0; row < out->h * kernel; row++)
            for (int64_t col = 0; col < out->w * kernel; col++)
                a->dx[0][(plane * in->h + row) * in->w + col] +=
                    a->dout[(plane * out->h + row / kernel) * out->w + col / kernel] / (nn_real)(kernel * kernel);
}
