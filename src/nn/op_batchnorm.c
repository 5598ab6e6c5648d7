/* nn/op_batchnorm.c -- batch normalisation at inference: gamma (x - mean) / sqrt(var + eps) + beta. */
#include "nn/ops.h"

#include <math.h>

void batchnorm_forward_ref(const nn_ref_args *a)
{
    const nn_shape *s = &a->node->shape;
    const int64_t plane = s->h * s->w;
    for (int64_t n = 0; n < a->n; n++)
        for (int64_t c = 0; c < s->c; c++) {
            double scale = a->param[NN_BN_GAMMA][c] / sqrt((double)a->param[NN_BN_VAR][c] + a->node->eps);
            double shift = a->param[NN_BN_BETA][c] - scale * a->param[NN_BN_MEAN][c];
            const nn_real *x = a->in[0] + (n * s->c + c) * plane;
            nn_real *y = a->out + (n * s->c + c) * plane;
            for (int64_t i = 0; i < plane; i++)
                y[i] = (nn_real)(scale * x[i] + shift);
        }
}

void batchnorm_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const nn_shape *s = &f->node->shape;
    const int64_t plane = s->h * s->w;
    for (int64_t n = 0; n < f->n; n++)
        for (int64_t c = 0; c < s->c; c++) {
            const double scale = f->param[NN_BN_GAMMA][c] / sqrt((double)f->param[NN_BN_VAR][c] + f->node->eps);
            const int64_t at = (n * s->c + c) * plane;
            for (int64_t i = 0; i < plane; i++)
                a->dx[0][at + i] += (nn_real)(scale * a->dout[at + i]);
        }
}
