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
    float *score = a->scratch;
    for (int64_t n = 0; n < a->n; n++) {
        const float *qkv = a->in[0] + n * length * 3 * d;
        for (int64_t h = 0; h < heads; h++)
            for (int64_t row = 0; row < length; row++) {
                const float *q = qkv + row * 3 * d + h * head;
                const int64_t seen = a->node->causal ? row + 1 : length;
                double largest = -INFINITY, total = 0;
                for (int64_t col = 0; col < seen; col++) {
                    const float *k = qkv + col * 3 * d + d + h * head;
                    double dot = 0;
                    for (int64_t i = 0; i < head; i++)
                        dot += (double)q[i] * k[i];
                    score[col] = (float)(dot * scale);
                    largest = score[col] > largest ? score[col] : largest;
                }
                for (int64_t col = 0; col < seen; col++)
                    total += exp(score[col] - largest);
                float *out = a->out + (n * length + row) * d + h * head;
                for (int64_t i = 0; i < head; i++) {
                    double sum = 0;
                    for (int64_t col = 0; col < seen; col++)
                        sum += exp(score[col] - largest) * qkv[col * 3 * d + 2 * d + h * head + i];
                    out[i] = (float)(sum / total);
                }
            }
    }
}
