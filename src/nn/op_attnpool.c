/* nn/op_attnpool.c -- CLIP's attention pool (AttentionPool2d of the original code).
 * Tokens t_0 = mean of the map's cells, t_1.. = the cells, all plus a positional embedding; the mean
 * token asks one question of all: out = W_c [softmax(q_h k_h^T / sqrt(D/H)) v_h]_h + b_c, with
 * q = W_q t_0 + b_q, k = W_k t + b_k, v = W_v t + b_v. */
#include "nn/ops.h"

#include <math.h>
#include <string.h>

/* tokens, q, one k or v row set, scores, pooled values */
int64_t attnpool_scratch_ref(const nn_node *node, const nn_shape *in, int64_t n)
{
    (void)node, (void)n;
    const int64_t length = in->h * in->w + 1;
    return 3 * length * in->c + 2 * in->c + length;
}

static void affine(const nn_real *weight, const nn_real *bias, const nn_real *x, nn_real *y, int64_t in, int64_t out)
{
    for (int64_t o = 0; o < out; o++) {
        double sum = bias ? bias[o] : 0;
        for (int64_t i = 0; i < in; i++)
            sum += (double)weight[o * in + i] * x[i];
        y[o] = (nn_real)sum;
    }
}

/* (L, D): the mean and the cells of picture n, with their positions. */
static void tokens_of(const nn_ref_args *a, int64_t n, nn_real *token)
{
    const nn_shape *in = a->in_shape[0];
    const int64_t d = in->c, cells = in->h * in->w;
    for (int64_t c = 0; c < d; c++) {
        const nn_real *plane = a->in[0] + (n * d + c) * cells;
        double sum = 0;
        for (int64_t i = 0; i < cells; i++) {
            sum += plane[i];
            token[(i + 1) * d + c] = plane[i] + a->param[NN_POOL_POS][(i + 1) * d + c];
        }
        token[c] = (nn_real)(sum / (double)cells) + a->param[NN_POOL_POS][c];
    }
}

/* p_i = softmax(scale q . k_i) of one head; the rows of k are `stride` apart. */
static void softmax_scores(const nn_real *q, const nn_real *k, nn_real *p, int64_t length, int64_t stride, int64_t head,
                           double scale)
{
    double largest = -INFINITY, total = 0;
    for (int64_t i = 0; i < length; i++) {
        double dot = 0;
        for (int64_t j = 0; j < head; j++)
            dot += (double)q[j] * k[i * stride + j];
        p[i] = (nn_real)(dot * scale);
        largest = p[i] > largest ? p[i] : largest;
    }
    for (int64_t i = 0; i < length; i++) {
        p[i] = (nn_real)exp(p[i] - largest);
        total += p[i];
    }
    for (int64_t i = 0; i < length; i++)
        p[i] = (nn_real)(p[i] / total);
}

void attnpool_forward_ref(const nn_ref_args *a)
{
    const nn_shape *in = a->in_shape[0];
    const int64_t d = in->c, length = in->h * in->w + 1, heads = a->node->heads, head = d / heads;
    const double scale = 1 / sqrt((double)head);
    nn_real *token = a->scratch;         /* (L, D) */
    nn_real *k = token + length * d;     /* (L, D) */
    nn_real *v = k + length * d;         /* (L, D) */
    nn_real *q = v + length * d;         /* (D) */
    nn_real *pooled = q + d;             /* (D) */
    nn_real *score = pooled + d;         /* (L) */
    for (int64_t n = 0; n < a->n; n++) {
        tokens_of(a, n, token);
        affine(a->param[NN_POOL_QW], a->param[NN_POOL_QB], token, q, d, d);
        for (int64_t i = 0; i < length; i++) {
            affine(a->param[NN_POOL_KW], a->param[NN_POOL_KB], token + i * d, k + i * d, d, d);
            affine(a->param[NN_POOL_VW], a->param[NN_POOL_VB], token + i * d, v + i * d, d, d);
        }
        for (int64_t h = 0; h < heads; h++) {
            softmax_scores(q + h * head, k + h * head, score, length, d, head, scale);
            for (int64_t j = 0; j < head; j++) {
                double sum = 0;
                for (int64_t i = 0; i < length; i++)
                    sum += (double)score[i] * v[i * d + h * head + j];
                pooled[h * head + j] = (nn_real)sum;
            }
        }
        affine(a->param[NN_POOL_CW], a->param[NN_POOL_CB], pooled, a->out + n * a->node->shape.c, d, a->node->shape.c);
    }
}

static void affine_transposed(const nn_real *weight, const nn_real *dy, nn_real *dx, int64_t in, int64_t out)
{
    for (int64_t i = 0; i < in; i++) {
        double sum = 0;
        for (int64_t o = 0; o < out; o++)
            sum += (double)weight[o * in + i] * dy[o];
        dx[i] += (nn_real)sum;
    }
}

/* tokens, k, v and their gradients (dt, dk, dv), then q, dq, d pooled, weights of a head, their gradients */
int64_t attnpool_gradient_scratch_ref(const nn_node *node, const nn_shape *in)
{
    (void)node;
    const int64_t length = in->h * in->w + 1;
    return 6 * length * in->c + 3 * in->c + 2 * length;
}

void attnpool_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const nn_shape *in = f->in_shape[0];
    const int64_t d = in->c, cells = in->h * in->w, length = cells + 1, heads = f->node->heads, head = d / heads;
    const int64_t out = f->node->shape.c;
    const double scale = 1 / sqrt((double)head);
    nn_real *token = a->scratch, *k = token + length * d, *v = k + length * d;           /* (L, D) */
    nn_real *dtoken = v + length * d, *dk = dtoken + length * d, *dv = dk + length * d;   /* (L, D) */
    nn_real *q = dv + length * d, *dq = q + d, *dpooled = dq + d;                         /* (D) */
    nn_real *p = dpooled + d, *dp = p + length;                                           /* (L) */
    for (int64_t n = 0; n < f->n; n++) {
        tokens_of(f, n, token);
        affine(f->param[NN_POOL_QW], f->param[NN_POOL_QB], token, q, d, d);
        for (int64_t i = 0; i < length; i++) {
            affine(f->param[NN_POOL_KW], f->param[NN_POOL_KB], token + i * d, k + i * d, d, d);
            affine(f->param[NN_POOL_VW], f->param[NN_POOL_VB], token + i * d, v + i * d, d, d);
        }
        memset(dtoken, 0, (size_t)(3 * length * d) * sizeof *dtoken);
        memset(dq, 0, (size_t)(2 * d) * sizeof *dq);
        affine_transposed(f->param[NN_POOL_CW], a->dout + n * out, dpooled, d, out);
        for (int64_t h = 0; h < heads; h++) {
            double mean = 0;
            softmax_scores(q + h * head, k + h * head, p, length, d, head, scale);
            for (int64_t i = 0; i < length; i++) {
                double dot = 0;
                for (int64_t j = 0; j < head; j++)
                    dot += (double)dpooled[h * head + j] * v[i * d + h * head + j];
                dp[i] = (nn_real)dot;
                mean += (double)p[i] * dp[i];
            }
            for (int64_t i = 0; i < length; i++) {
                const double ds = p[i] * (dp[i] - mean) * scale;
                for (int64_t j = h * head; j < (h + 1) * head; j++) {
                    dq[j] += (nn_real)(ds * k[i * d + j]);
                    dk[i * d + j] = (nn_real)(ds * q[j]);
                    dv[i * d + j] = (nn_real)((double)p[i] * dpooled[j]);
                }
            }
        }
        affine_transposed(f->param[NN_POOL_QW], dq, dtoken, d, d);
        for (int64_t i = 0; i < length; i++) {
            affine_transposed(f->param[NN_POOL_KW], dk + i * d, dtoken + i * d, d, d);
            affine_transposed(f->param[NN_POOL_VW], dv + i * d, dtoken + i * d, d, d);
        }
        for (int64_t c = 0; c < d; c++)
            for (int64_t i = 0; i < cells; i++)
                a->dx[0][(n * d + c) * cells + i] += dtoken[(i + 1) * d + c] + dtoken[c] / (nn_real)cells;
    }
}
