/* nn/op_pointwise.c -- ops on single elements: ReLU, GELU, sum of two values. */
#include "nn/ops.h"

#include <math.h>

void relu_forward_ref(const nn_ref_args *a)
{
    const int64_t count = a->n * nn_elements(&a->node->shape);
    for (int64_t i = 0; i < count; i++)
        a->out[i] = a->in[0][i] > 0 ? a->in[0][i] : 0;
}

void add_forward_ref(const nn_ref_args *a)
{
    const int64_t count = a->n * nn_elements(&a->node->shape);
    for (int64_t i = 0; i < count; i++)
        a->out[i] = a->in[0][i] + a->in[1][i];
}

/* QuickGELU x sigmoid(1.702 x) (OpenAI's), or GELU x Phi(x) with the error function (torch.nn.GELU). */
void gelu_forward_ref(const nn_ref_args *a)
{
    const int64_t count = a->n * nn_elements(&a->node->shape);
    for (int64_t i = 0; i < count; i++) {
        double x = a->in[0][i];
        double gate = a->node->quick ? 1 / (1 + exp(-1.702 * x)) : 0.5 * (1 + erf(x * 0.70710678118654752440));
        a->out[i] = (float)(x * gate);
    }
}
