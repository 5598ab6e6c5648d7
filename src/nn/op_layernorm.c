/* nn/op_layernorm.c -- layer normalisation over the last dimension: gamma (x - mean) / sqrt(var + eps) + beta,
 * with the biased variance (torch.nn.LayerNorm). */
#include "nn/ops.h"

#include <math.h>

void layernorm_forward_ref(const nn_ref_args *a)
{
    const nn_shape *s = &a->node->shape;
    const int64_t rows = a->n * s->h * s->w;
    for (int64_t r = 0; r < rows; r++) {
        const float *x = a->in[0] + r * s->c;
        double sum = 0, square = 0;
        for (int64_t i = 0; i < s->c; i++)
            sum += x[i];
        const double mean = sum / (double)s->c;
        for (int64_t i = 0; i < s->c; i++)
            square += (x[i] - mean) * (x[i] - mean);
        const double scale = 1 / sqrt(square / (double)s->c + a->node->eps);
        for (int64_t i = 0; i < s->c; i++)
            a->out[r * s->c + i] = (float)((x[i] - mean) * scale * a->param[NN_WEIGHT][i] + a->param[NN_BIAS][i]);
    }
}
