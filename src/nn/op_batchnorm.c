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
            const float *x = a->in[0] + (n * s->c + c) * plane;
            float *y = a->out + (n * s->c + c) * plane;
            for (int64_t i = 0; i < plane; i++)
                y[i] = (float)(scale * x[i] + shift);
        }
}
