/* nn/op_attention.c -- multi-head attention between the projections of nn.MultiheadAttention:
 * in (L, 3D) holds q, k, v side by side; head h uses columns [h D/H, (h+1) D/H) of each;
 * out_h = softmax(q_h k_h^T / sqrt(D/H) [+ causal mask]) v_h. */
#include "nn/ops.h"

#include <math.h>

int64_t attention_scratch_ref(const nn_node *node, const nn_shape *in, int64_t n)
{
    (void)in, (void)n;
    return node->shape.h; /* one row of scores */
}

void attention_forward_ref(const nn_ref_args *a)
{
    const int64_t length = a->node->shape.h, d = a->node->shape.c, heads = a->node->heads, head = d / heads;
    const double scale = 1 / sqrt((double)head);
    nn_real *score = a->scratch;
    for (int64_t n = 0; n < a->n; n++) {
        const nn_real *qkv = a->in[0] + n * length * 3 * d;
        for (int64_t h = 0; h < heads; h++)
            for (int64_t row = 0; row < length; row++) {
                const nn_real *q = qkv + row * 3 * d + h * head;
                const int64_t seen = a->node->causal ? row + 1 : length;
                double largest = -INFINITY, total = 0;
                for (int64_t col = 0; col < seen; col++) {
                    const nn_real *k = qkv + col * 3 * d + d + h * head;
                    double dot = 0;
                    for (int64_t i = 0; i < head; i++)
                        dot += (double)q[i] * k[i];
                    score[col] = (nn_real)(dot * scale);
                    largest = score[col] > largest ? score[col] : largest;
                }
                for (int64_t col = 0; col < seen; col++)
                    total += exp(score[col] - largest);
                nn_real *out = a->out + (n * length + row) * d + h * head;
                for (int64_t i = 0; i < head; i++) {
                    double sum = 0;
                    for (int64_t col = 0; col < seen; col++)
                        sum += exp(score[col] - largest) * qkv[col * 3 * d + 2 * d + h * head + i];
                    out[i] = (nn_real)(sum / total);
                }
            }
    }
}

/* one row of softmax weights, and of their gradients */
int64_t attention_gradient_scratch_ref(const nn_node *node, const nn_shape *in)
{
    (void)in;
    return 2 * node->shape.h;
}

/* With p = softmax(s), s = q k^T / sqrt(D/H), out = p v:
 * dv_c += p_rc do_r; dp_rc = do_r . v_c; ds = p (dp - sum_c p dp); dq_r += ds_rc k_c / sqrt, dk_c += ds_rc q_r / sqrt. */
void attention_backward_ref(const nn_ref_grad_args *a)
{
    const nn_ref_args *f = a->forward;
    const int64_t length = f->node->shape.h, d = f->node->shape.c, heads = f->node->heads, head = d / heads;
    const double scale = 1 / sqrt((double)head);
    nn_real *p = a->scratch, *dp = p + length;
    for (int64_t n = 0; n < f->n; n++) {
        const nn_real *qkv = f->in[0] + n * length * 3 * d;
        nn_real *dqkv = a->dx[0] + n * length * 3 * d;
        for (int64_t h = 0; h < heads; h++)
            for (int64_t row = 0; row < length; row++) {
                const int64_t seen = f->node->causal ? row + 1 : length, q_at = row * 3 * d + h * head;
                const nn_real *dout = a->dout + (n * length + row) * d + h * head;
                double largest = -INFINITY, total = 0, mean = 0;
                for (int64_t col = 0; col < seen; col++) {
                    const int64_t k_at = col * 3 * d + d + h * head;
                    double dot = 0;
                    for (int64_t i = 0; i < head; i++)
                        dot += (double)qkv[q_at + i] * qkv[k_at + i];
                    p[col] = (nn_real)(dot * scale);
                    largest = p[col] > largest ? p[col] : largest;
                }
                for (int64_t col = 0; col < seen; col++) {
                    p[col] = (nn_real)exp(p[col] - largest);
                    total += p[col];
                }
                for (int64_t col = 0; col < seen; col++) {
                    const nn_real *v = qkv + col * 3 * d + 2 * d + h * head;
                    double dot = 0;
                    for (int64_t i = 0; i < head; i++)
                        dot += (double)dout[i] * v[i];
                    p[col] = (nn_real)(p[col] / total);
                    dp[col] = (nn_real)dot;
                    mean += (double)p[col] * dp[col];
                }
                for (int64_t col = 0; col < seen; col++) {
                    const int64_t k_at = col * 3 * d + d + h * head, v_at = k_at + d;
                    const double ds = p[col] * (dp[col] - mean) * scale;
                    for (int64_t i = 0; i < head; i++) {
                        dqkv[q_at + i] += (nn_real)(ds * qkv[k_at + i]);
                        dqkv[k_at + i] += (nn_real)(ds * qkv[q_at + i]);
                        dqkv[v_at + i] += (nn_real)((double)p[col] * dout[i]);
                    }
                }
            }
    }
}
