/* nn/program.c -- the fast program: a graph compiled into kernels over one planned arena.
 * create: fuse nodes into steps, build a kernel for each (which packs its weights), give every value
 * and scratch area a place in the arena. run: walk the steps; nothing is allocated.
 * Values are channels-last in fp32 or bf16; the tower's output stays fp32 in both. */
#include "nn/backend.h"
#include "nn/fuse.h"
#include "nn/kernels.h"
#include "nn/ops.h"
#include "nn/plan.h"
#include "nn/rows.h"

#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_STEP_KERNELS 8
#define MAX_STEP_TEMPS 6

/* One step with all that it needs. Buffers are indices into nn_program.buffer. */
typedef struct work {
    nn_step step;
    nn_kernel *kernel[MAX_STEP_KERNELS];
    float *constant[2];          /* vectors that row functions read; owned */
    int temp[MAX_STEP_TEMPS];    /* values that live within the step */
    int n_temps;
    int scratch;                 /* -1: none */
} work;

typedef struct tap {
    int node;
    nn_kernel *copy;   /* to the graph's layout in float32 */
    float *values;     /* owned */
} tap;

struct nn_program {
    const nn_graph *graph;
    int64_t batch;
    int threads;
    nn_dtype dtype;
    nn_engine *engine;
    nn_steps steps;
    work *work;
    tap *tap;
    int n_taps;
    nn_buffer *buffer;
    int n_buffers, buffer_capacity;
    int *value;              /* per node: its buffer, -1 where it has none */
    int staging;             /* buffer for a batch that is not full, of pixels */
    int32_t *tokens;         /* (batch, L) of the current run; owned */
    char *arena;
    size_t arena_bytes, constant_bytes, output_bytes;
};

/* What is only needed while a program is made. */
typedef struct compiler {
    nn_program *p;
    nn_param_reader read;
    void *user;
    cn_error *err;
} compiler;

static void program_free(nn_program *p)
{
    if (!p)
        return;
    for (int i = 0; p->work && i < p->steps.count; i++) {
        for (int k = 0; k < MAX_STEP_KERNELS; k++)
            nn_kernel_free(p->work[i].kernel[k]);
        cn_pages_free(p->work[i].constant[0]);
        cn_pages_free(p->work[i].constant[1]);
    }
    for (int i = 0; p->tap && i < p->n_taps; i++) {
        nn_kernel_free(p->tap[i].copy);
        cn_pages_free(p->tap[i].values);
    }
    nn_steps_clear(&p->steps);
    nn_engine_close(p->engine);
    cn_free(p->work);
    cn_free(p->tap);
    cn_free(p->buffer);
    cn_free(p->value);
    cn_free(p->tokens);
    cn_pages_free(p->arena);
    cn_free(p);
}

/* ---- compiling --------------------------------------------------------------------------------- */

/* The tower's output stays float32 where its kernel can convert and nobody else reads it. */
static nn_dtype dtype_of(const nn_program *p, int node)
{
    const nn_op op = p->graph->node[node].op;
    const bool kept = node == p->graph->output && p->steps.last_use[node] < 0 && (op == NN_LINEAR || op == NN_ATTNPOOL);
    return kept ? NN_F32 : p->dtype;
}

/* A new buffer alive from step `first` to step `last`; -1 when memory is short. */
static int new_buffer(nn_program *p, size_t bytes, int first, int last)
{
    if (p->n_buffers == p->buffer_capacity) {
        int capacity = p->buffer_capacity ? 2 * p->buffer_capacity : 64;
        nn_buffer *grown = cn_reallocarray(p->buffer, (size_t)capacity, sizeof *grown);
        if (!grown)
            return -1;
        p->buffer = grown;
        p->buffer_capacity = capacity;
    }
    p->buffer[p->n_buffers] = (nn_buffer){bytes, first, last, 0};
    return p->n_buffers++;
}

/* A parameter as float32; release with cn_pages_free. Absent ones (no bias) are zeros. */
static cn_status read_param(compiler *c, const nn_param *param, int64_t count_if_absent, float **out)
{
    const int64_t count = param->name ? param->count : count_if_absent;
    *out = cn_pages_calloc((size_t)count * sizeof(float));
    if (!*out)
        return cn_fail(c->err, CN_ENOMEM, "%lld floats for %s", (long long)count, param->name ? param->name : "zeros");
    return param->name ? c->read(c->user, param->name, count, *out, c->err) : CN_OK;
}

static int temp(compiler *c, work *w, int index, int64_t elements, nn_dtype dtype)
{
    int b = new_buffer(c->p, (size_t)elements * nn_dtype_size(dtype), index, index);
    if (b >= 0)
        w->temp[w->n_temps++] = b;
    return b;
}

static nn_activation activation_of(const nn_graph *g, int act)
{
    if (act < 0)
        return NN_NO_ACTIVATION;
    if (g->node[act].op == NN_RELU)
        return NN_ACT_RELU;
    return g->node[act].quick ? NN_ACT_QUICK_GELU : NN_ACT_GELU;
}

static nn_conv_spec conv_spec(const nn_program *p, const nn_step *s)
{
    const nn_node *node = &p->graph->node[s->head];
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    return (nn_conv_spec){.n = p->batch, .in_c = in->c, .in_h = in->h, .in_w = in->w,
                          .out_c = node->shape.c, .out_h = node->shape.h, .out_w = node->shape.w,
                          .kernel = node->kernel, .stride = node->stride, .pad = node->pad,
                          .dtype = p->dtype, .sum = s->residual >= 0, .act = activation_of(p->graph, s->act)};
}

/* gamma (x - mean) / sqrt(var + eps) + beta = scale x + shift */
static cn_status read_batchnorm(compiler *c, const nn_node *node, float **scale, float **shift)
{
    cn_status st = CN_OK;
    float *mean = NULL, *var = NULL;
    CN_TRY(read_param(c, &node->param[NN_BN_GAMMA], 0, scale));
    CN_TRY(read_param(c, &node->param[NN_BN_BETA], 0, shift));
    CN_TRY(read_param(c, &node->param[NN_BN_MEAN], 0, &mean));
    CN_TRY(read_param(c, &node->param[NN_BN_VAR], 0, &var));
    for (int64_t i = 0; i < node->shape.c; i++) {
        const double s = (*scale)[i] / sqrt((double)var[i] + node->eps);
        (*scale)[i] = (float)s;
        (*shift)[i] = (float)((*shift)[i] - s * mean[i]);
    }
done:
    cn_pages_free(mean);
    cn_pages_free(var);
    return st;
}

static cn_status compile_conv(compiler *c, work *w)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    const nn_graph *g = c->p->graph;
    const nn_node *node = &g->node[w->step.head];
    const nn_conv_spec spec = conv_spec(c->p, &w->step);
    float *weight = NULL, *scale = NULL, *shift = NULL;
    CN_TRY(read_param(c, &node->param[NN_WEIGHT], 0, &weight));
    if (w->step.norm >= 0) {
        CN_TRY(read_batchnorm(c, &g->node[w->step.norm], &scale, &shift));
        const int64_t row = spec.in_c * spec.kernel * spec.kernel;
        for (int64_t o = 0; o < spec.out_c; o++)
            for (int64_t i = 0; i < row; i++)
                weight[o * row + i] *= scale[o];
    } else {
        shift = cn_pages_calloc((size_t)spec.out_c * sizeof(float));
        CN_CHECK(shift, CN_ENOMEM, "out of memory for a convolution");
    }
    CN_TRY(nn_kernel_conv(&w->kernel[0], c->p->engine, &spec, weight, shift, err));
done:
    cn_pages_free(weight);
    cn_pages_free(scale);
    cn_pages_free(shift);
    return st;
}

/* rows x in -> rows x out. */
static cn_status linear_kernel(compiler *c, nn_kernel **out, int64_t rows, int64_t row_stride, int64_t in, int64_t width,
                               bool weight_in_out, nn_dtype result, float scale, bool sum, nn_activation act,
                               const float *weight, const float *bias)
{
    const nn_matmul_spec spec = {.ndim = 2, .m = rows, .k = in, .n = width,
                                 .a_stride = {row_stride, 1}, .c_stride = {width, 1},
                                 .b_stride = {weight_in_out ? width : 1, weight_in_out ? 1 : in},
                                 .a = c->p->dtype, .b = c->p->dtype, .c = result,
                                 .scale = scale, .sum = sum, .act = act};
    return nn_kernel_matmul(out, c->p->engine, &spec, weight, bias, c->err);
}

static cn_status compile_linear(compiler *c, work *w)
{
    cn_status st = CN_OK;
    const nn_graph *g = c->p->graph;
    const nn_node *node = &g->node[w->step.head];
    const int64_t in = g->node[node->in[0]].shape.c;
    float *weight = NULL, *bias = NULL;
    CN_TRY(read_param(c, &node->param[NN_WEIGHT], 0, &weight));
    if (node->param[NN_BIAS].name)
        CN_TRY(read_param(c, &node->param[NN_BIAS], 0, &bias));
    CN_TRY(linear_kernel(c, &w->kernel[0], c->p->batch * node->shape.h * node->shape.w, in, in, node->shape.c,
                         node->weight_in_out, dtype_of(c->p, w->step.out), 1, w->step.residual >= 0,
                         activation_of(g, w->step.act), weight, bias));
done:
    cn_pages_free(weight);
    cn_pages_free(bias);
    return st;
}

static cn_status compile_layernorm(compiler *c, work *w)
{
    cn_status st = CN_OK;
    const nn_node *node = &c->p->graph->node[w->step.head];
    float *gamma = NULL, *beta = NULL;
    CN_TRY(read_param(c, &node->param[NN_WEIGHT], 0, &gamma));
    CN_TRY(read_param(c, &node->param[NN_BIAS], 0, &beta));
    CN_TRY(nn_kernel_layernorm(&w->kernel[0], c->p->engine, c->p->batch * node->shape.h * node->shape.w, node->shape.c,
                               c->p->dtype, node->eps, gamma, beta, c->err));
done:
    cn_pages_free(gamma);
    cn_pages_free(beta);
    return st;
}

/* kernel[0]: scores = q k^T / sqrt(D/H); [1]: softmax; [2]: scores v. temp[0]: scores (N, H, L, L). */
static cn_status compile_attention(compiler *c, work *w, int index)
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
    CN_CHECK(temp(c, w, index, p->batch * heads * length * length, p->dtype) >= 0, CN_ENOMEM, "out of memory");
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

static cn_status compile_attnpool(compiler *c, work *w, int index)
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

    CN_TRY(read_param(c, &node->param[NN_POOL_POS], 0, &w->constant[0]));
    p->constant_bytes += (size_t)(length * d) * sizeof(float);

    CN_TRY(read_param(c, &node->param[NN_POOL_QW], 0, &weight));
    CN_TRY(read_param(c, &node->param[NN_POOL_QB], d, &bias));
    CN_TRY(linear_kernel(c, &w->kernel[POOL_Q], n, length * d, d, d, false, t, (float)(1 / sqrt((double)head)), false,
                         NN_NO_ACTIVATION, weight, bias));
    cn_pages_free(weight), weight = NULL;
    cn_pages_free(bias), bias = NULL;

    CN_TRY(read_param(c, &node->param[NN_POOL_KW], 0, &weight));
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

    CN_TRY(read_param(c, &node->param[NN_POOL_VW], 0, &weight));
    CN_TRY(read_param(c, &node->param[NN_POOL_VB], d, &value_bias));
    const nn_matmul_spec v = {.ndim = 3, .batch = {heads}, .m = n, .n = head, .k = d,
                              .a_stride = {d, heads * d, 1}, .b_stride = {head * d, 1, d}, .c_stride = {head, d, 1},
                              .a = t, .b = t, .c = t};
    CN_TRY(nn_kernel_matmul(&w->kernel[POOL_V], p->engine, &v, weight, NULL, err));
    cn_pages_free(weight), weight = NULL;

    CN_TRY(read_param(c, &node->param[NN_POOL_CW], 0, &weight));
    CN_TRY(read_param(c, &node->param[NN_POOL_CB], out, &bias));
    for (int64_t o = 0; o < out; o++) { /* W_c (v + b_v) + b_c = W_c v + (W_c b_v + b_c) */
        double sum = bias[o];
        for (int64_t i = 0; i < d; i++)
            sum += (double)weight[o * d + i] * value_bias[i];
        bias[o] = (float)sum;
    }
    CN_TRY(linear_kernel(c, &w->kernel[POOL_OUT], n, d, d, out, false, dtype_of(p, w->step.out), 1, false,
                         NN_NO_ACTIVATION, weight, bias));
    const int64_t temps[] = {n * length * d, n * d, n * heads * d, n * heads * length, n * heads * d, n * d};
    for (int i = 0; i < MAX_STEP_TEMPS; i++)
        CN_CHECK(temp(c, w, index, temps[i], t) >= 0, CN_ENOMEM, "out of memory");
done:
    cn_pages_free(weight);
    cn_pages_free(bias);
    cn_pages_free(value_bias);
    return st;
}

static nn_strided graph_layout(const nn_shape *s)
{
    return s->layout == NN_MAP ? (nn_strided){{s->c * s->h * s->w, s->h * s->w, s->w, 1}, NN_F32}
                               : (nn_strided){{s->c * s->h, 1, s->c, s->c}, NN_F32};
}

static nn_strided program_layout(const nn_shape *s, nn_dtype dtype)
{
    return (nn_strided){{s->h * s->w * s->c, 1, s->w * s->c, s->c}, dtype};
}

static cn_status keep_param(compiler *c, work *w, int which, const nn_param *param)
{
    c->p->constant_bytes += (size_t)param->count * sizeof(float);
    return read_param(c, param, 0, &w->constant[which]);
}

static cn_status compile_step(compiler *c, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    work *w = &p->work[index];
    const nn_node *node = &p->graph->node[w->step.head];
    switch (node->op) {
    case NN_PIXELS: {
        const int64_t dims[4] = {p->batch, node->shape.c, node->shape.h, node->shape.w};
        CN_TRY(nn_kernel_copy(&w->kernel[0], p->engine, dims, graph_layout(&node->shape),
                              program_layout(&node->shape, p->dtype), err));
        p->staging = new_buffer(p, (size_t)(p->batch * nn_elements(&node->shape)) * sizeof(float), index, index);
        CN_CHECK(p->staging >= 0, CN_ENOMEM, "out of memory while compiling");
        break;
    }
    case NN_CONV:
        CN_TRY(compile_conv(c, w));
        break;
    case NN_BATCHNORM:
        CN_TRY(read_batchnorm(c, node, &w->constant[0], &w->constant[1]));
        p->constant_bytes += 2 * (size_t)node->shape.c * sizeof(float);
        break;
    case NN_AVGPOOL: {
        const nn_conv_spec spec = conv_spec(p, &w->step);
        CN_TRY(nn_kernel_avgpool(&w->kernel[0], p->engine, &spec, err));
        break;
    }
    case NN_ATTNPOOL:
        CN_TRY(compile_attnpool(c, w, index));
        break;
    case NN_PATCH_EMBED:
        CN_TRY(keep_param(c, w, 0, &node->param[NN_PATCH_CLASS]));
        CN_TRY(keep_param(c, w, 1, &node->param[NN_PATCH_POS]));
        break;
    case NN_TOKEN_EMBED:
    case NN_POSITION:
        CN_TRY(keep_param(c, w, 0, &node->param[NN_WEIGHT]));
        break;
    case NN_LAYERNORM:
        CN_TRY(compile_layernorm(c, w));
        break;
    case NN_LINEAR:
        CN_TRY(compile_linear(c, w));
        break;
    case NN_ATTENTION:
        CN_TRY(compile_attention(c, w, index));
        break;
    case NN_TOKENS:
    case NN_RELU:
    case NN_ADD:
    case NN_GELU:
    case NN_SELECT:
    case NN_OP_COUNT:
        break;
    }
    size_t scratch = 0;
    for (int k = 0; k < MAX_STEP_KERNELS; k++)
        if (w->kernel[k] && nn_kernel_scratch_bytes(w->kernel[k]) > scratch)
            scratch = nn_kernel_scratch_bytes(w->kernel[k]);
    w->scratch = scratch ? new_buffer(p, scratch, index, index) : -1;
    CN_CHECK(!scratch || w->scratch >= 0, CN_ENOMEM, "out of memory while compiling");
done:
    return st;
}

/* The value that step `index` may write over: the residual, or the input of an element-wise step
 * that nobody reads later. */
static int overwritten_node(const nn_program *p, int index)
{
    const nn_step *s = &p->steps.step[index];
    const nn_node *node = &p->graph->node[s->head];
    if (s->residual >= 0)
        return s->residual;
    const bool elementwise = node->op == NN_RELU || node->op == NN_GELU || node->op == NN_ADD ||
                             node->op == NN_BATCHNORM || node->op == NN_POSITION;
    if (elementwise && p->steps.last_use[node->in[0]] == index &&
        dtype_of(p, node->in[0]) == dtype_of(p, s->out))
        return node->in[0];
    return -1;
}

static cn_status place_values(compiler *c)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    for (int i = 0; i < p->steps.count; i++) {
        const nn_step *s = &p->steps.step[i];
        const int over = overwritten_node(p, i);
        const int last = p->steps.last_use[s->out] > i ? p->steps.last_use[s->out] : i;
        if (p->graph->node[s->head].op == NN_TOKENS)
            continue; /* ids stay where they are */
        if (over >= 0) {
            p->value[s->out] = p->value[over];
            if (last > p->buffer[p->value[over]].last)
                p->buffer[p->value[over]].last = last;
            continue;
        }
        const size_t bytes = (size_t)(p->batch * nn_elements(&p->graph->node[s->out].shape)) *
                             nn_dtype_size(dtype_of(p, s->out));
        p->value[s->out] = new_buffer(p, bytes, i, last);
        CN_CHECK(p->value[s->out] >= 0, CN_ENOMEM, "out of memory while compiling");
    }
done:
    return st;
}

static cn_status make_taps(compiler *c, const nn_program_options *options)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    for (int i = 0; i < options->n_taps; i++) {
        const nn_shape *s = &p->graph->node[options->taps[i]].shape;
        const int64_t dims[4] = {p->batch, s->c, s->h, s->w};
        const size_t bytes = (size_t)(p->batch * nn_elements(s)) * sizeof(float);
        p->tap[i].node = options->taps[i];
        p->tap[i].values = cn_pages_calloc(bytes);
        CN_CHECK(p->tap[i].values, CN_ENOMEM, "%zu bytes for the values of a site", bytes);
        CN_TRY(nn_kernel_copy(&p->tap[i].copy, p->engine, dims, program_layout(s, dtype_of(p, options->taps[i])),
                              graph_layout(s), err));
        CN_CHECK(!nn_kernel_scratch_bytes(p->tap[i].copy), CN_EBACKEND, "reading a site wants scratch memory");
        p->output_bytes += bytes;
    }
done:
    return st;
}

static cn_status program_create(nn_program **out, const nn_graph *g, const nn_program_options *options,
                                nn_param_reader read, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    const int threads_before = nn_set_threads(options->threads);
    bool *tapped = cn_calloc((size_t)g->count, sizeof *tapped);
    nn_program *p = cn_calloc(1, sizeof *p);
    compiler c = {p, read, user, err};
    *out = NULL;
    CN_CHECK(p && tapped, CN_ENOMEM, "out of memory while compiling");
    CN_TRY(nn_check_sizes(g, options->batch, err));
    p->graph = g;
    p->batch = options->batch;
    p->threads = options->threads;
    p->dtype = options->bf16 ? NN_BF16 : NN_F32;
    p->staging = -1;
    CN_CHECK(!options->bf16 || nn_cpu_has_bf16(), CN_EUNSUPPORTED,
             "this CPU has no native bf16 arithmetic (%s); use fp32", nn_engine_description());
    for (int i = 0; i < options->n_taps; i++)
        tapped[options->taps[i]] = true;
    CN_TRY(nn_engine_open(&p->engine, err));
    CN_TRY(nn_fuse(&p->steps, g, tapped, err));
    p->work = cn_calloc((size_t)p->steps.count, sizeof *p->work);
    p->value = cn_calloc((size_t)g->count, sizeof *p->value);
    p->tap = cn_calloc((size_t)options->n_taps + 1, sizeof *p->tap);
    CN_CHECK(p->work && p->value && p->tap, CN_ENOMEM, "out of memory while compiling");
    p->n_taps = options->n_taps;
    for (int i = 0; i < g->count; i++)
        p->value[i] = -1;
    for (int i = 0; i < p->steps.count; i++) {
        p->work[i].step = p->steps.step[i];
        CN_TRY(compile_step(&c, i));
        if (g->node[p->steps.step[i].head].op == NN_TOKENS) {
            p->tokens = cn_calloc((size_t)(p->batch * g->node[p->steps.step[i].head].shape.h), sizeof *p->tokens);
            CN_CHECK(p->tokens, CN_ENOMEM, "out of memory for token ids");
        }
    }
    CN_TRY(place_values(&c));
    CN_TRY(make_taps(&c, options));
    CN_TRY(nn_plan(p->buffer, p->n_buffers, &p->arena_bytes, err));
    p->arena = cn_pages_calloc(p->arena_bytes);
    CN_CHECK(p->arena, CN_ENOMEM, "%zu bytes for activations", p->arena_bytes);
    *out = p, p = NULL;
done:
    nn_set_threads(threads_before);
    cn_free(tapped);
    program_free(p);
    return st;
}

/* ---- running ----------------------------------------------------------------------------------- */

static void *at(const nn_program *p, int buffer)
{
    return buffer < 0 ? NULL : p->arena + p->buffer[buffer].offset;
}

static cn_status run_attention(nn_program *p, work *w, const void *x, void *y, cn_error *err)
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
    void *scores = at(p, w->temp[0]), *scratch = at(p, w->scratch);
    CN_TRY(nn_kernel_run(w->kernel[0], qkv, qkv + d * size, scores, scratch, err));
    if (node->causal)
        rows_causal_mask(scores, p->batch * node->heads, node->shape.h, p->dtype);
    CN_TRY(nn_kernel_run(w->kernel[1], scores, NULL, scores, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[2], scores, qkv + 2 * d * size, y, scratch, err));
done:
    return st;
}

static cn_status run_attnpool(nn_program *p, work *w, const void *x, void *y, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_shape *in = &p->graph->node[p->graph->node[w->step.head].in[0]].shape;
    void *scratch = at(p, w->scratch), *t = at(p, w->temp[0]), *q = at(p, w->temp[1]), *u = at(p, w->temp[2]),
         *scores = at(p, w->temp[3]), *z = at(p, w->temp[4]), *v = at(p, w->temp[5]);
    rows_tokens(t, x, p->batch, in->h * in->w, in->c, p->dtype, NULL, w->constant[0]);
    CN_TRY(nn_kernel_run(w->kernel[POOL_Q], t, NULL, q, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_U], q, NULL, u, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_SCORES], u, t, scores, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_SOFTMAX], scores, NULL, scores, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_Z], scores, t, z, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_V], z, NULL, v, scratch, err));
    CN_TRY(nn_kernel_run(w->kernel[POOL_OUT], v, NULL, y, scratch, err));
done:
    return st;
}

static void run_select(const nn_program *p, const work *w, const char *x, char *y)
{
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    const size_t row = (size_t)in->c * nn_dtype_size(p->dtype);
    assert(x && y);
    for (int64_t n = 0; n < p->batch; n++) {
        const int64_t token = nn_selected_token(node, p->tokens ? p->tokens + n * in->h : NULL, in->h);
        memcpy(y + (size_t)n * row, x + (size_t)(n * in->h + token) * row, row);
    }
}

static cn_status run_step(nn_program *p, work *w, const float *pixels, cn_error *err)
{
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *s = &node->shape;
    const int64_t count = p->batch * nn_elements(s), rows = p->batch * s->h * s->w;
    const void *x = node->in[0] >= 0 ? at(p, p->value[node->in[0]]) : NULL;
    const void *x1 = node->in[1] >= 0 ? at(p, p->value[node->in[1]]) : NULL;
    void *y = at(p, p->value[w->step.out]), *scratch = at(p, w->scratch);
    switch (node->op) {
    case NN_PIXELS:
        return nn_kernel_run(w->kernel[0], pixels, NULL, y, scratch, err);
    case NN_CONV:
    case NN_AVGPOOL:
    case NN_LINEAR:
    case NN_LAYERNORM:
        return nn_kernel_run(w->kernel[0], x, NULL, y, scratch, err);
    case NN_ATTNPOOL:
        return run_attnpool(p, w, x, y, err);
    case NN_ATTENTION:
        return run_attention(p, w, x, y, err);
    case NN_BATCHNORM:
        rows_affine(y, x, rows, s->c, p->dtype, w->constant[0], w->constant[1]);
        break;
    case NN_RELU:
        rows_relu(y, x, count, p->dtype);
        break;
    case NN_GELU:
        rows_gelu(y, x, count, p->dtype, node->quick);
        break;
    case NN_ADD:
        rows_add(y, x, x1, count, p->dtype);
        break;
    case NN_PATCH_EMBED:
        rows_tokens(y, x, p->batch, s->h - 1, s->c, p->dtype, w->constant[0], w->constant[1]);
        break;
    case NN_TOKEN_EMBED:
        rows_lookup(y, p->tokens, p->batch * s->h, s->c, p->dtype, w->constant[0]);
        break;
    case NN_POSITION:
        rows_position(y, x, p->batch, s->h * s->c, p->dtype, w->constant[0]);
        break;
    case NN_SELECT:
        run_select(p, w, x, y);
        break;
    case NN_TOKENS:
    case NN_OP_COUNT:
        break;
    }
    return CN_OK;
}

static cn_status program_run(nn_program *p, const float *pixels, const int32_t *tokens, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    const int threads_before = nn_set_threads(p->threads);
    for (int i = 0; i < p->steps.count; i++) {
        work *w = &p->work[i];
        const nn_shape *s = &p->graph->node[w->step.head].shape;
        const float *input = pixels;
        if (p->graph->node[w->step.head].op == NN_PIXELS && n < p->batch) { /* fill up with black */
            float *full = at(p, p->staging);
            const size_t image = (size_t)nn_elements(s);
            memcpy(full, pixels, (size_t)n * image * sizeof *full);
            memset(full + (size_t)n * image, 0, (size_t)(p->batch - n) * image * sizeof *full);
            input = full;
        }
        if (p->graph->node[w->step.head].op == NN_TOKENS) {
            memset(p->tokens, 0, (size_t)(p->batch * s->h) * sizeof *p->tokens);
            memcpy(p->tokens, tokens, (size_t)(n * s->h) * sizeof *p->tokens);
        }
        CN_TRY(run_step(p, w, input, err));
        for (int t = 0; t < p->n_taps; t++) /* now, before a later step writes over the value */
            if (p->tap[t].node == w->step.out && p->value[w->step.out] >= 0)
                CN_TRY(nn_kernel_run(p->tap[t].copy, at(p, p->value[w->step.out]), NULL, p->tap[t].values, NULL, err));
    }
done:
    nn_set_threads(threads_before);
    return st;
}

static const float *program_tap(const nn_program *p, int i)
{
    return p->tap[i].values;
}

static nn_program_memory program_memory(const nn_program *p)
{
    nn_program_memory m = {p->constant_bytes, p->arena_bytes, p->output_bytes};
    for (int i = 0; i < p->steps.count; i++)
        for (int k = 0; k < MAX_STEP_KERNELS; k++)
            if (p->work[i].kernel[k])
                m.weight_bytes += nn_kernel_weight_bytes(p->work[i].kernel[k]);
    return m;
}

const nn_backend nn_backend_onednn = {"oneDNN", program_create, program_free, program_run, program_tap, program_memory};
