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
        a->out[i] = (nn_real)(x * gate);
    }
}

void relu_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const int64_t count = nn_elements(&f->node->shape);
    for (int64_t n = 0; n < f->n; n++) {
        const nn_real *x = f->in[0] + n * count, *dout = a->dout + n * count;
        nn_real *dx = a->dx[0] + n * count;
        bool stopped = a->relu.redirect; /* nothing of the gradient passes this ReLU */
        for (int64_t i = 0; i < count && stopped; i++)
            stopped = !(x[i] > 0 && dout[i] != 0);
        for (int64_t i = 0; i < count; i++)
            if (x[i] > 0 || (stopped && dout[i] > 0))
                dx[i] += dout[i];
            else if (dout[i] > 0)
                dx[i] += (nn_real)a->relu.leak * dout[i];
    }
}

void add_backward_ref(const nn_ref_grad_args *a)
{
    const int64_t count = a->forward->n * nn_elements(&a->forward->node->shape);
    for (int j = 0; j < 2; j++)
        for (int64_t i = 0; i < count && a->dx[j]; i++)
            a->dx[j][i] += a->dout[i];
}

/* g = sigmoid(1.702 x): (x g)' = g + 1.702 x g (1 - g); (x Phi(x))' = Phi(x) + x phi(x). Left of about -0.75 the slope is below zero, and what
 * would switch a unit on pushes it further off: there the leak is a slope. */
void gelu_backward_ref(const nn_ref_grad_args *a)
{
    const int64_t count = a->forward->n * nn_elements(&a->forward->node->shape);
    for (int64_t i = 0; i < count; i++) {
        const double x = a->forward->in[0][i];
        double slope;
        if (a->forward->node->quick) {
            const double gate = 1 / (1 + exp(-1.702 * x));
            slope = gate + 1.702 * x * gate * (1 - gate);
        } else {
            slope = 0.5 * (1 + erf(x * 0.70710678118654752440)) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
        }
        if (a->relu.leak > 0 && a->dout[i] > 0 && slope < (double)a->relu.leak)
            slope = (double)a->relu.leak;
        a->dx[0][i] += (nn_real)(slope * a->dout[i]);
    }
}
