/* nn/op_attnpool.c -- CLIP's attention pool (AttentionPool2d of the original code).
 * Tokens t_0 = mean of the map's cells, t_1.. = the cells, all plus a positional embedding; the mean
 * token asks one question of all: out = W_c [softmax(q_h k_h^T / sqrt(D/H)) v_h]_h + b_c, with
 * q = W_q t_0 + b_q, k = W_k t + b_k, v = W_v t + b_v. */
#include "nn/ops.h"

#include <math.h>

/* tokens, q, one k or v row set, scores, pooled values */
int64_t attnpool_scratch_ref(const nn_node *node, const nn_shape *in, int64_t n)
{
    (void)node, (void)n;
    const int64_t length = in->h * in->w + 1;
    return 3 * length * in->c + 2 * in->c + length;
}

static void affine(const float *weight, const float *bias, const float *x, float *y, int64_t in, int64_t out)
{
    for (int64_t o = 0; o < out; o++) {
        double sum = bias ? bias[o] : 0;
        for (int64_t i = 0; i < in; i++)
            sum += (double)weight[o * in + i] * x[i];
        y[o] = (float)sum;
    }
}

void attnpool_forward_ref(const nn_ref_args *a)
{
    const nn_shape *in = a->in_shape[0];
    const int64_t d = in->c, cells = in->h * in->w, length = cells + 1, heads = a->node->heads, head = d / heads;
    const double scale = 1 / sqrt((double)head);
    float *token = a->scratch;         /* (L, D) */
    float *k = token + length * d;     /* (L, D) */
    float *v = k + length * d;         /* (L, D) */
    float *q = v + length * d;         /* (D) */
    float *pooled = q + d;             /* (D) */
    float *score = pooled + d;         /* (L) */
    for (int64_t n = 0; n < a->n; n++) {
        for (int64_t c = 0; c < d; c++) {
            const float *plane = a->in[0] + (n * d + c) * cells;
            double sum = 0;
            for (int64_t i = 0; i < cells; i++) {
                sum += plane[i];
                token[(i + 1) * d + c] = plane[i] + a->param[NN_POOL_POS][(i + 1) * d + c];
            }
            token[c] = (float)(sum / (double)cells) + a->param[NN_POOL_POS][c];
        }
        affine(a->param[NN_POOL_QW], a->param[NN_POOL_QB], token, q, d, d);
        for (int64_t i = 0; i < length; i++) {
            affine(a->param[NN_POOL_KW], a->param[NN_POOL_KB], token + i * d, k + i * d, d, d);
            affine(a->param[NN_POOL_VW], a->param[NN_POOL_VB], token + i * d, v + i * d, d, d);
        }
        for (int64_t h = 0; h < heads; h++) {
            double largest = -INFINITY, total = 0;
            for (int64_t i = 0; i < length; i++) {
                double dot = 0;
                for (int64_t j = 0; j < head; j++)
                    dot += (double)q[h * head + j] * k[i * d + h * head + j];
                score[i] = (float)(dot * scale);
                largest = score[i] > largest ? score[i] : largest;
            }
            for (int64_t i = 0; i < length; i++)
                total += exp(score[i] - largest);
            for (int64_t j = 0; j < head; j++) {
                double sum = 0;
                for (int64_t i = 0; i < length; i++)
                    sum += exp(score[i] - largest) * v[i * d + h * head + j];
                pooled[h * head + j] = (float)(sum / total);
            }
        }
        affine(a->param[NN_POOL_CW], a->param[NN_POOL_CB], pooled, a->out + n * a->node->shape.c, d, a->node->shape.c);
    }
}
