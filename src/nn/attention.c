/* nn/attention.c -- the steps that take several kernels: self-attention of the transformers, and the
 * attention pool of the ResNets. How each is compiled stands beside how it runs. */
#include "nn/gradrows.h"
#include "nn/program.h"
#include "nn/rows.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* kernel[0]: scores = q k^T / sqrt(D/H); [1]: softmax; [2]: scores v. temp[0]: scores (N, H, L, L). */
cn_status attention_compile(program_compiler *c, step_work *w, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    const nn_node *node = &p->graph->node[w->step.head];
    const int64_t length = node->shape.h, d = node->shape.c, heads = node->heads, head = d / heads;
    const nn_matmul_spec scores = {.ndim = 4, .batch = {p->batch, heads}, .m = length, .n = length, .k = head,
                                   .a_stride = {length * 3 * d, head, 3 * d, 1},
                                   .b_stride = {length * 3 * d, head, 1, 3 * d},
                                   .c_stride = {heads * length * length, length * length, length, 1},
                                   .a = p->dtype, .b = p->dtype, .c = p->dtype,
                                   .scale = (float)(1 / sqrt((double)head))};
    const nn_matmul_spec mix = {.ndim = 4, .batch = {p->batch, heads}, .m = length, .n = head, .k = length,
                                .a_stride = {heads * length * length, length * length, length, 1},
                                .b_stride = {length * 3 * d, head, 3 * d, 1},
                                .c_stride = {length * d, head, d, 1},
                                .a = p->dtype, .b = p->dtype, .c = p->dtype};
    if (length == 1) /* run_attention copies */
        goto done;
    CN_TRY(nn_kernel_matmul(&w->kernel[0], p->engine, &scores, NULL, NULL, err));
    CN_TRY(nn_kernel_softmax(&w->kernel[1], p->engine, p->batch * heads * length, length, p->dtype, err));
    CN_TRY(nn_kernel_matmul(&w->kernel[2], p->engine, &mix, NULL, NULL, err));
    CN_CHECK(program_temp(c, w, index, p->batch * heads * length * length, p->dtype) >= 0, CN_ENOMEM, "out of memory");
done:
    return st;
}

/* p = softmax(q k^T / sqrt(D/H)), with the mask of causal attention. */
static cn_status attention_weights(nn_program *p, const step_work *w, const char *qkv, void *weights, void *scratch, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_node *node = &p->graph->node[w->step.head];
    CN_TRY(nn_kernel_run(w->kernel[0], qkv, qkv + (size_t)node->shape.c * nn_dtype_size(p->dtype), weights, scratch, err));
    if (node->causal)
        rows_causal_mask(weights, p->batch * node->heads, node->shape.h, p->dtype);
    CN_TRY(nn_kernel_run(w->kernel[1], weights, NULL, weights, scratch, err));
done:
    return st;
}

cn_status attention_run(nn_program *p, step_work *w, const void *x, void *y, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_node *node = &p->graph->node[w->step.head];
    const size_t size = nn_dtype_size(p->dtype), d = (size_t)node->shape.c;
    const char *qkv = x;
    if (node->shape.h == 1) { /* one score, whose softmax is 1. oneDNN 3.7 gets the products of such matrices wrong */
        for (size_t n = 0; n < (size_t)p->batch; n++)
            memcpy((char *)y + n * d * size, qkv + (3 * n + 2) * d * size, d * size);
        return CN_OK;
    }
    void *scores = program_at(p, w->temp[0]), *scratch = program_at(p, w->scratch);
    CN_TRY(attention_weights(p, w, qkv, scores, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[2], scores, qkv + 2 * d * size, y, scratch, err));
done:
    return st;
}

/* The attention pool, with the products reordered so that no key or value is computed. Since one query
 * asks per head, scores q_h . (W_k t_i) = (W_k^T q_h) . t_i (the key bias shifts all scores of a head
 * alike, which softmax ignores), and sum_i p_i (W_v t_i + b_v) = W_v (sum_i p_i t_i) + b_v. That is 4 D^2
 * multiply-adds an image instead of 2 (HW + 1) D^2.
 *   temp[0] t (N, L, D)   temp[1] q (N, D)   temp[2] u (N, H, D)   temp[3] scores (N, H, L)
 *   temp[4] z (N, H, D)   temp[5] v (N, D) */
enum { POOL_Q, POOL_U, POOL_SCORES, POOL_SOFTMAX, POOL_Z, POOL_V, POOL_OUT };

cn_status attnpool_compile(program_compiler *c, step_work *w, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    const int64_t n = p->batch, d = in->c, length = in->h * in->w + 1, heads = node->heads, head = d / heads,
                  out = node->shape.c;
    const nn_dtype t = p->dtype;
    float *weight = NULL, *bias = NULL, *value_bias = NULL;

    CN_TRY(program_param(c, &node->param[NN_POOL_POS], 0, &w->constant[0]));
    p->constant_bytes += (size_t)(length * d) * sizeof(float);

    CN_TRY(program_param(c, &node->param[NN_POOL_QW], 0, &weight));
    CN_TRY(program_param(c, &node->param[NN_POOL_QB], d, &bias));
    CN_TRY(program_linear(c, &w->kernel[POOL_Q], n, length * d, d, d, false, t, (float)(1 / sqrt((double)head)), false,
                         NN_NO_ACTIVATION, weight, bias));
    cn_pages_free(weight), weight = NULL;
    cn_pages_free(bias), bias = NULL;

    CN_TRY(program_param(c, &node->param[NN_POOL_KW], 0, &weight));
    const nn_matmul_spec u = {.ndim = 3, .batch = {heads}, .m = n, .n = d, .k = head,
                              .a_stride = {head, d, 1}, .b_stride = {head * d, d, 1}, .c_stride = {d, heads * d, 1},
                              .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&w->kernel[POOL_U], p->engine, &u, weight, NULL, err));
    cn_pages_free(weight), weight = NULL;

    const nn_matmul_spec scores = {.ndim = 3, .batch = {n}, .m = heads, .n = length, .k = d,
                                   .a_stride = {heads * d, d, 1}, .b_stride = {length * d, 1, d},
                                   .c_stride = {heads * length, length, 1}, .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&w->kernel[POOL_SCORES], p->engine, &scores, NULL, NULL, err));
    CN_TRY(nn_kernel_softmax(&w->kernel[POOL_SOFTMAX], p->engine, n * heads, length, t, err));
    const nn_matmul_spec z = {.ndim = 3, .batch = {n}, .m = heads, .n = d, .k = length,
                              .a_stride = {heads * length, length, 1}, .b_stride = {length * d, d, 1},
                              .c_stride = {heads * d, d, 1}, .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&w->kernel[POOL_Z], p->engine, &z, NULL, NULL, err));

    CN_TRY(program_param(c, &node->param[NN_POOL_VW], 0, &weight));
    CN_TRY(program_param(c, &node->param[NN_POOL_VB], d, &value_bias));
    const nn_matmul_spec v = {.ndim = 3, .batch = {heads}, .m = n, .n = head, .k = d,
                              .a_stride = {d, heads * d, 1}, .b_stride = {head * d, 1, d}, .c_stride = {head, d, 1},
                              .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&w->kernel[POOL_V], p->engine, &v, weight, NULL, err));
    cn_pages_free(weight), weight = NULL;

    CN_TRY(program_param(c, &node->param[NN_POOL_CW], 0, &weight));
    CN_TRY(program_param(c, &node->param[NN_POOL_CB], out, &bias));
    for (int64_t o = 0; o < out; o++) { /* W_c (v + b_v) + b_c = W_c v + (W_c b_v + b_c) */
        double sum = bias[o];
        for (int64_t i = 0; i < d; i++)
            sum += (double)weight[o * d + i] * value_bias[i];
        bias[o] = (float)sum;
    }
    CN_TRY(program_linear(c, &w->kernel[POOL_OUT], n, d, d, out, false, program_dtype(p, w->step.out), 1, false,
                         NN_NO_ACTIVATION, weight, bias));
    const int64_t temps[] = {n * length * d, n * d, n * heads * d, n * heads * length, n * heads * d, n * d};
    for (int i = 0; i < MAX_STEP_TEMPS; i++)
        CN_CHECK(program_temp(c, w, index, temps[i], t) >= 0, CN_ENOMEM, "out of memory");
done:
    cn_pages_free(weight);
    cn_pages_free(bias);
    cn_pages_free(value_bias);
    return st;
}

/* The first four temporaries: tokens t, query q, u and the softmax weights, from the map x. */
static cn_status attnpool_weights(nn_program *p, const step_work *w, const void *x, const int *temp, void *scratch, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_shape *in = &p->graph->node[p->graph->node[w->step.head].in[0]].shape;
    void *t = program_at(p, temp[0]), *q = program_at(p, temp[1]), *u = program_at(p, temp[2]), *weights = program_at(p, temp[3]);
    rows_tokens(t, x, p->batch, in->h * in->w, in->c, p->dtype, NULL, w->constant[0]);
    CN_TRY(nn_kernel_run(w->kernel[POOL_Q], t, NULL, q, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_U], q, NULL, u, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_SCORES], u, t, weights, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_SOFTMAX], weights, NULL, weights, scratch, err));
done:
    return st;
}

cn_status attnpool_run(nn_program *p, step_work *w, const void *x, void *y, cn_error *err)
{
    cn_status st = CN_OK;
    void *scratch = program_at(p, w->scratch), *t = program_at(p, w->temp[0]), *weights = program_at(p, w->temp[3]),
         *z = program_at(p, w->temp[4]), *v = program_at(p, w->temp[5]);
    CN_TRY(attnpool_weights(p, w, x, w->temp, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_Z], weights, t, z, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_V], z, NULL, v, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_OUT], v, NULL, y, scratch, err));
done:
    return st;
}

/* ---- gradients ----------------------------------------------------------------------------------
 * With p = softmax(s), s = scale q k^T, out = p v:
 * dp = d out v^T, ds = p (dp - sum p dp), dv = p^T d out, dq = scale ds k, dk = scale ds^T q. */

/* kernel[0]: dp; [1]: dv; [2]: dq; [3]: dk. temp[0]: p, temp[1]: dp, then ds, both (N, H, L, L). */
cn_status attention_gradient_compile(program_compiler *c, const step_work *w, grad_step *b, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    const nn_node *node = &p->graph->node[w->step.head];
    const int64_t length = node->shape.h, d = node->shape.c, heads = node->heads, head = d / heads;
    const int64_t square = length * length;
    const nn_dtype t = p->dtype;
    const bool add = b->edge[EDGE_IN0].add;
    const float scale = (float)(1 / sqrt((double)head));
    const nn_matmul_spec dp = {.ndim = 4, .batch = {p->batch, heads}, .m = length, .n = length, .k = head,
                               .a_stride = {length * d, head, d, 1}, .b_stride = {length * 3 * d, head, 1, 3 * d},
                               .c_stride = {heads * square, square, length, 1}, .a = t, .b = t, .c = t};
    const nn_matmul_spec dv = {.ndim = 4, .batch = {p->batch, heads}, .m = length, .n = head, .k = length,
                               .a_stride = {heads * square, square, 1, length}, .b_stride = {length * d, head, d, 1},
                               .c_stride = {length * 3 * d, head, 3 * d, 1}, .a = t, .b = t, .c = t, .sum = add};
    nn_matmul_spec dq = {.ndim = 4, .batch = {p->batch, heads}, .m = length, .n = head, .k = length,
                         .a_stride = {heads * square, square, length, 1}, .b_stride = {length * 3 * d, head, 3 * d, 1},
                         .c_stride = {length * 3 * d, head, 3 * d, 1}, .a = t, .b = t, .c = t, .scale = scale, .sum = add};
    if (length == 1)
        goto done;
    CN_TRY(nn_kernel_matmul(&b->kernel[0], p->engine, &dp, NULL, NULL, err));
    CN_TRY(nn_kernel_matmul(&b->kernel[1], p->engine, &dv, NULL, NULL, err));
    CN_TRY(nn_kernel_matmul(&b->kernel[2], p->engine, &dq, NULL, NULL, err));
    dq.a_stride[2] = 1, dq.a_stride[3] = length;
    CN_TRY(nn_kernel_matmul(&b->kernel[3], p->engine, &dq, NULL, NULL, err));
    for (int i = 0; i < 2; i++)
        CN_CHECK(program_grad_temp(c, b, index, p->batch * heads * square) >= 0, CN_ENOMEM, "out of memory");
done:
    return st;
}

cn_status attention_gradient_run(nn_program *p, step_work *w, grad_step *b, const void *x, const void *dy, void *dx,
                                 cn_error *err)
{
    cn_status st = CN_OK;
    const nn_node *node = &p->graph->node[w->step.head];
    const int64_t length = node->shape.h, d = node->shape.c;
    const size_t third = (size_t)d * nn_dtype_size(p->dtype);
    const char *q = x, *k = q + third, *v = k + third;
    char *dq = dx, *dk = dq + third, *dv = dk + third;
    void *scratch = program_at(p, b->scratch);
    if (length == 1) { /* the one weight is 1, whatever q and k are */
        const bool add = b->edge[EDGE_IN0].add;
        for (int64_t n = 0; n < p->batch; n++) {
            const size_t at = (size_t)n * 3 * third;
            if (!add)
                memset(dq + at, 0, 2 * third);
            gradrows_scale(dv + at, (const char *)dy + (size_t)n * third, 1, d, p->dtype, NULL, add);
        }
        return CN_OK;
    }
    void *weights = program_at(p, b->temp[0]), *ds = program_at(p, b->temp[1]);
    CN_TRY(attention_weights(p, w, q, weights, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[0], dy, v, ds, scratch, err));
    gradrows_softmax(ds, weights, p->batch * node->heads * length, length, p->dtype);
    CN_TRY(nn_kernel_run(b->kernel[1], weights, dy, dv, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[2], ds, k, dq, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[3], ds, q, dk, scratch, err));
done:
    return st;
}

/* The pool in the notation above, z = p t and s = u t^T by head, backwards: dv = W_c^T d out, dz_h = W_v,h^T dv_h,
 * dp = dz t^T, ds as above, du = ds t, dq_h = W_k,h du_h, and for the tokens dt = p^T dz + ds^T u, to whose first row
 * scale W_q^T dq comes.
 *   temp[0..3] t, q, u, p as in the forward pass   [4] dv (N, D)   [5] dz, then du (N, H, D)   [6] dp, then ds (N, H, L)
 *   [7] dt (N, L, D)   [8] dq (N, D)
 * dp and du are the forward pass's products of scores and z with other factors, and run on its kernels. */
enum { GRAD_V, GRAD_Z, GRAD_T_MIX, GRAD_T_SCORE, GRAD_Q, GRAD_T_QUERY };

cn_status attnpool_gradient_compile(program_compiler *c, const step_work *w, grad_step *b, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    const int64_t n = p->batch, d = in->c, length = in->h * in->w + 1, heads = node->heads, head = d / heads,
                  out = node->shape.c;
    const nn_dtype t = p->dtype;
    float *weight = NULL;

    CN_TRY(program_param(c, &node->param[NN_POOL_CW], 0, &weight));
    CN_TRY(program_linear(c, &b->kernel[GRAD_V], n, out, out, d, true, t, 1, false, NN_NO_ACTIVATION, weight, NULL));
    cn_pages_free(weight), weight = NULL;

    CN_TRY(program_param(c, &node->param[NN_POOL_VW], 0, &weight));
    const nn_matmul_spec z = {.ndim = 3, .batch = {heads}, .m = n, .n = d, .k = head,
                              .a_stride = {head, d, 1}, .b_stride = {head * d, d, 1}, .c_stride = {d, heads * d, 1},
                              .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&b->kernel[GRAD_Z], p->engine, &z, weight, NULL, err));
    cn_pages_free(weight), weight = NULL;

    nn_matmul_spec tokens = {.ndim = 3, .batch = {n}, .m = length, .n = d, .k = heads,
                             .a_stride = {heads * length, 1, length}, .b_stride = {heads * d, d, 1},
                             .c_stride = {length * d, d, 1}, .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&b->kernel[GRAD_T_MIX], p->engine, &tokens, NULL, NULL, err));
    tokens.sum = true;
    CN_TRY(nn_kernel_matmul(&b->kernel[GRAD_T_SCORE], p->engine, &tokens, NULL, NULL, err));

    CN_TRY(program_param(c, &node->param[NN_POOL_KW], 0, &weight));
    const nn_matmul_spec q = {.ndim = 3, .batch = {heads}, .m = n, .n = head, .k = d,
                              .a_stride = {d, heads * d, 1}, .b_stride = {head * d, 1, d}, .c_stride = {head, d, 1},
                              .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&b->kernel[GRAD_Q], p->engine, &q, weight, NULL, err));
    cn_pages_free(weight), weight = NULL;

    CN_TRY(program_param(c, &node->param[NN_POOL_QW], 0, &weight));
    const nn_matmul_spec query = {.ndim = 2, .m = n, .n = d, .k = d, .a_stride = {d, 1}, .b_stride = {d, 1},
                                  .c_stride = {length * d, 1}, .a = t, .b = t, .c = t,
                                  .scale = (float)(1 / sqrt((double)head)), .sum = true};
    CN_TRY(nn_kernel_matmul(&b->kernel[GRAD_T_QUERY], p->engine, &query, weight, NULL, err));

    const int64_t temps[] = {n * length * d, n * d, n * heads * d, n * heads * length, n * d,
                             n * heads * d, n * heads * length, n * length * d, n * d};
    for (size_t i = 0; i < sizeof temps / sizeof temps[0]; i++)
        CN_CHECK(program_grad_temp(c, b, index, temps[i]) >= 0, CN_ENOMEM, "out of memory");
done:
    cn_pages_free(weight);
    return st;
}

cn_status attnpool_gradient_run(nn_program *p, step_work *w, grad_step *b, const void *x, const void *dy, void *dx,
                                cn_error *err)
{
    cn_status st = CN_OK;
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    const int64_t cells = in->h * in->w;
    void *scratch = program_at(p, b->scratch), *t = program_at(p, b->temp[0]),
         *u = program_at(p, b->temp[2]), *weights = program_at(p, b->temp[3]), *dv = program_at(p, b->temp[4]),
         *dz = program_at(p, b->temp[5]), *ds = program_at(p, b->temp[6]), *dt = program_at(p, b->temp[7]),
         *dq = program_at(p, b->temp[8]);
    CN_TRY(attnpool_weights(p, w, x, b->temp, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[GRAD_V], dy, NULL, dv, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[GRAD_Z], dv, NULL, dz, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_SCORES], dz, t, ds, scratch, err));
    gradrows_softmax(ds, weights, p->batch * node->heads, cells + 1, p->dtype);
    CN_TRY(nn_kernel_run(b->kernel[GRAD_T_MIX], weights, dz, dt, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[GRAD_T_SCORE], ds, u, dt, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_Z], ds, t, dz, scratch, err)); /* du */
    CN_TRY(nn_kernel_run(b->kernel[GRAD_Q], dz, NULL, dq, scratch, err));
    CN_TRY(nn_kernel_run(b->kernel[GRAD_T_QUERY], dq, NULL, dt, scratch, err));
    gradrows_tokens(dx, dt, p->batch, cells, in->c, p->dtype, true, b->edge[EDGE_IN0].add);
done:
    return st;
}
