/* nn/op_linear.c -- y = W x + b for every position; the weight is (out, in) as torch.nn.Linear keeps it,
 * or (in, out) for CLIP's bare projection matrices. */
#include "nn/ops.h"

void linear_forward_ref(const nn_ref_args *a)
{
    const int64_t in = a->in_shape[0]->c, out = a->node->shape.c;
    const int64_t rows = a->n * a->node->shape.h * a->node->shape.w;
    const float *weight = a->param[NN_WEIGHT];
    const int64_t step_in = a->node->weight_in_out ? out : 1, step_out = a->node->weight_in_out ? 1 : in;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = a->param[NN_BIAS] ? a->param[NN_BIAS][o] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += (double)weight[o * step_out + i * step_in] * a->in[0][r * in + i];
            a->out[r * out + o] = (float)sum;
        }
}
