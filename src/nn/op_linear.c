/* nn/op_linear.c -- y = W x + b for every position; the weight is (out, in) as torch.nn.Linear keeps it,
 * or (in, out) for CLIP's bare projection matrices. */
#include "nn/ops.h"

void linear_forward_ref(const nn_ref_args *a)
{
    const int64_t in = a->in_shape[0]->c, out = a->node->shape.c;
    const int64_t rows = a->n * a->node->shape.h * a->node->shape.w;
    const nn_real *weight = a->param[NN_WEIGHT];
    const int64_t step_in = a->node->weight_in_out ? out : 1, step_out = a->node->weight_in_out ? 1 : in;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = a->param[NN_BIAS] ? a->param[NN_BIAS][o] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += (double)weight[o * step_out + i * step_in] * a->in[0][r * in + i];
            a->out[r * out + o] = (nn_real)sum;
        }
}

/* dx = W^T dy */
void linear_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const int64_t in = f->in_shape[0]->c, out = f->node->shape.c;
    const int64_t rows = f->n * f->node->shape.h * f->node->shape.w;
    const nn_real *weight = f->param[NN_WEIGHT];
    const int64_t step_in = f->node->weight_in_out ? out : 1, step_out = f->node->weight_in_out ? 1 : in;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < in; i++) {
            double sum = 0;
            for (int64_t o = 0; o < out; o++)
                sum += (double)weight[o * step_out + i * step_in] * a->dout[r * out + o];
            a->dx[0][r * in + i] += (nn_real)sum;
        }
}
