/* nn/op_embed.c -- how pictures and texts become tokens, and which token is the answer. */
#include "nn/ops.h"

#include <string.h>

/* map (C, H, W) -> tokens (1 + H W, C): class embedding first, then the cells row by row, all plus
 * the positional embedding. */
void patch_embed_forward_ref(const nn_ref_args *a)
{
    const nn_shape *in = a->in_shape[0];
    const int64_t cells = in->h * in->w, d = in->c;
    const nn_real *position = a->param[NN_PATCH_POS];
    for (int64_t n = 0; n < a->n; n++) {
        nn_real *out = a->out + n * (cells + 1) * d;
        for (int64_t c = 0; c < d; c++) {
            out[c] = a->param[NN_PATCH_CLASS][c] + position[c];
            for (int64_t i = 0; i < cells; i++)
                out[(i + 1) * d + c] = a->in[0][(n * d + c) * cells + i] + position[(i + 1) * d + c];
        }
    }
}

void token_embed_forward_ref(const nn_ref_args *a)
{
    const nn_shape *s = &a->node->shape;
    for (int64_t i = 0; i < a->n * s->h; i++)
        memcpy(a->out + i * s->c, a->param[NN_WEIGHT] + a->tokens[i] * s->c, (size_t)s->c * sizeof(nn_real));
}

void position_forward_ref(const nn_ref_args *a)
{
    const nn_shape *s = &a->node->shape;
    for (int64_t i = 0; i < a->n * s->h * s->c; i++)
        a->out[i] = a->in[0][i] + a->param[NN_WEIGHT][i % (s->h * s->c)];
}

int64_t nn_selected_token(const nn_node *node, const int32_t *row, int64_t length)
{
    int64_t best = 0;
    if (node->select_end && row)
        for (int64_t i = 1; i < length; i++)
            if (row[i] > row[best])
                best = i;
    return best;
}

void select_forward_ref(const nn_ref_args *a)
{
    const nn_shape *in = a->in_shape[0];
    for (int64_t n = 0; n < a->n; n++) {
        int64_t token = nn_selected_token(a->node, a->tokens ? a->tokens + n * in->h : NULL, in->h);
        memcpy(a->out + n * in->c, a->in[0] + (n * in->h + token) * in->c, (size_t)in->c * sizeof(nn_real));
    }
}

void patch_embed_backward_ref(const nn_ref_grad_args *a)
{
    const nn_shape *in = a->forward->in_shape[0];
    const int64_t cells = in->h * in->w, d = in->c;
    for (int64_t n = 0; n < a->forward->n; n++)
        for (int64_t c = 0; c < d; c++)
            for (int64_t i = 0; i < cells; i++)
                a->dx[0][(n * d + c) * cells + i] += a->dout[(n * (cells + 1) + i + 1) * d + c];
}

void position_backward_ref(const nn_ref_grad_args *a)
{
    const int64_t count = a->forward->n * nn_elements(&a->forward->node->shape);
    for (int64_t i = 0; i < count; i++)
        a->dx[0][i] += a->dout[i];
}

void select_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const nn_shape *in = f->in_shape[0];
    for (int64_t n = 0; n < f->n; n++) {
        const int64_t token = nn_selected_token(f->node, f->tokens ? f->tokens + n * in->h : NULL, in->h);
        for (int64_t i = 0; i < in->c; i++)
            a->dx[0][(n * in->h + token) * in->c + i] += a->dout[n * in->c + i];
    }
}
