/* nn/op_layernorm.c -- layer normalisation over the last dimension: gamma (x - mean) / sqrt(var + eps) + beta,
 * with the biased variance (torch.nn.LayerNorm). */
#include "nn/ops.h"

#include <math.h>

void layernorm_forward_ref(const nn_ref_args *a)
{
    const nn_shape *s = &a->node->shape;
    const int64_t rows = a->n * s->h * s->w;
    for (int64_t r = 0; r < rows; r++) {
        const nn_real *x = a->in[0] + r * s->c;
        double sum = 0, square = 0;
        for (int64_t i = 0; i < s->c; i++)
            sum += x[i];
        const double mean = sum / (double)s->c;
        for (int64_t i = 0; i < s->c; i++)
            square += (x[i] - mean) * (x[i] - mean);
        const double scale = 1 / sqrt(square / (double)s->c + a->node->eps);
        for (int64_t i = 0; i < s->c; i++)
            a->out[r * s->c + i] = (nn_real)((x[i] - mean) * scale * a->param[NN_WEIGHT][i] + a->param[NN_BIAS][i]);
    }
}

/* With z = (x - mean) / sd and g = gamma dy: dx = (g - mean(g) - z mean(g z)) / sd. */
void layernorm_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const nn_shape *s = &f->node->shape;
    const int64_t rows = f->n * s->h * s->w;
    const double width = (double)s->c;
    for (int64_t r = 0; r < rows; r++) {
        const nn_real *x = f->in[0] + r * s->c, *dy = a->dout + r * s->c;
        double sum = 0, square = 0, g_sum = 0, gz_sum = 0;
        for (int64_t i = 0; i < s->c; i++)
            sum += x[i];
        const double mean = sum / width;
        for (int64_t i = 0; i < s->c; i++)
            square += (x[i] - mean) * (x[i] - mean);
        const double scale = 1 / sqrt(square / width + f->node->eps);
        for (int64_t i = 0; i < s->c; i++) {
            const double g = (double)f->param[NN_WEIGHT][i] * dy[i];
            g_sum += g;
            gz_sum += g * (x[i] - mean) * scale;
        }
        for (int64_t i = 0; i < s->c; i++) {
            const double g = (double)f->param[NN_WEIGHT][i] * dy[i], z = (x[i] - mean) * scale;
            a->dx[0][r * s->c + i] += (nn_real)(scale * (g - g_sum / width - z * gz_sum / width));
        }
    }
}
