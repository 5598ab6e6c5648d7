/* nn/compile.c -- what a step needs before it can run: folded and packed weights in kernels, constants, and
 * places in the arena. Values are channels-last in the program's dtype. Nothing is computed here. */
#include "nn/program.h"

#include "base/memory.h"

#include <math.h>

/* The tower's output stays float32 where its kernel can convert and nobody else reads it. */
nn_dtype program_dtype(const nn_program *p, int node)
{
    const nn_op op = p->graph->node[node].op;
    const bool kept = node == p->graph->output && p->steps.last_use[node] < 0 && (op == NN_LINEAR || op == NN_ATTNPOOL);
    return kept ? NN_F32 : p->dtype;
}

int program_buffer(nn_program *p, size_t bytes, int first, int last)
{
    if (p->n_buffers == p->buffer_capacity) {
        int capacity = p->buffer_capacity ? 2 * p->buffer_capacity : 64;
        nn_buffer *grown = cn_reallocarray(p->buffer, (size_t)capacity, sizeof *grown);
        if (!grown)
            return -1;
        p->buffer = grown;
        p->buffer_capacity = capacity;
    }
    p->buffer[p->n_buffers] = (nn_buffer){.bytes = bytes, .first = first, .last = last};
    return p->n_buffers++;
}

/* A parameter as float32; release with cn_pages_free. Absent ones (no bias) are zeros. */
cn_status program_param(program_compiler *c, const nn_param *param, int64_t count_if_absent, float **out)
{
    const int64_t count = param->name ? param->count : count_if_absent;
    *out = cn_pages_calloc((size_t)count * sizeof(float));
    if (!*out)
        return cn_fail(c->err, CN_ENOMEM, "%lld floats for %s", (long long)count, param->name ? param->name : "zeros");
    return param->name ? c->read(c->user, param->name, count, *out, c->err) : CN_OK;
}

int program_temp(program_compiler *c, step_work *w, int index, int64_t elements, nn_dtype dtype)
{
    int b = program_forward_buffer(c->p, (size_t)elements * nn_dtype_size(dtype), index);
    if (b >= 0)
        w->temp[w->n_temps++] = b;
    return b;
}

nn_activation program_activation(const nn_graph *g, int act)
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
                          .dtype = p->dtype, .sum = s->residual >= 0, .act = program_activation(p->graph, s->act)};
}

/* gamma (x - mean) / sqrt(var + eps) + beta = scale x + shift */
cn_status program_batchnorm(program_compiler *c, const nn_node *node, float **scale, float **shift)
{
    cn_status st = CN_OK;
    float *mean = NULL, *var = NULL;
    CN_TRY(program_param(c, &node->param[NN_BN_GAMMA], 0, scale));
    CN_TRY(program_param(c, &node->param[NN_BN_BETA], 0, shift));
    CN_TRY(program_param(c, &node->param[NN_BN_MEAN], 0, &mean));
    CN_TRY(program_param(c, &node->param[NN_BN_VAR], 0, &var));
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

static cn_status compile_conv(program_compiler *c, step_work *w)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    const nn_graph *g = c->p->graph;
    const nn_node *node = &g->node[w->step.head];
    const nn_conv_spec spec = conv_spec(c->p, &w->step);
    float *weight = NULL, *scale = NULL, *shift = NULL;
    CN_TRY(program_param(c, &node->param[NN_WEIGHT], 0, &weight));
    if (w->step.norm >= 0) {
        CN_TRY(program_batchnorm(c, &g->node[w->step.norm], &scale, &shift));
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
cn_status program_linear(program_compiler *c, nn_kernel **out, int64_t rows, int64_t row_stride, int64_t in, int64_t width,
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

static cn_status compile_linear(program_compiler *c, step_work *w)
{
    cn_status st = CN_OK;
    const nn_graph *g = c->p->graph;
    const nn_node *node = &g->node[w->step.head];
    const int64_t in = g->node[node->in[0]].shape.c;
    float *weight = NULL, *bias = NULL;
    CN_TRY(program_param(c, &node->param[NN_WEIGHT], 0, &weight));
    if (node->param[NN_BIAS].name)
        CN_TRY(program_param(c, &node->param[NN_BIAS], 0, &bias));
    CN_TRY(program_linear(c, &w->kernel[0], c->p->batch * node->shape.h * node->shape.w, in, in, node->shape.c,
                         node->weight_in_out, program_dtype(c->p, w->step.out), 1, w->step.residual >= 0,
                         program_activation(g, w->step.act), weight, bias));
done:
    cn_pages_free(weight);
    cn_pages_free(bias);
    return st;
}

static cn_status compile_layernorm(program_compiler *c, step_work *w)
{
    cn_status st = CN_OK;
    const nn_node *node = &c->p->graph->node[w->step.head];
    float *gamma = NULL, *beta = NULL;
    CN_TRY(program_param(c, &node->param[NN_WEIGHT], 0, &gamma));
    CN_TRY(program_param(c, &node->param[NN_BIAS], 0, &beta));
    CN_TRY(nn_kernel_layernorm(&w->kernel[0], c->p->engine, c->p->batch * node->shape.h * node->shape.w, node->shape.c,
                               c->p->dtype, node->eps, gamma, beta, c->err));
done:
    cn_pages_free(gamma);
    cn_pages_free(beta);
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

static cn_status keep_param(program_compiler *c, step_work *w, int which, const nn_param *param)
{
    c->p->constant_bytes += (size_t)param->count * sizeof(float);
    return program_param(c, param, 0, &w->constant[which]);
}

cn_status program_compile_step(program_compiler *c, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    step_work *w = &p->work[index];
    const nn_node *node = &p->graph->node[w->step.head];
    switch (node->op) {
    case NN_PIXELS: {
        const int64_t dims[4] = {p->batch, node->shape.c, node->shape.h, node->shape.w};
        CN_TRY(nn_kernel_copy(&w->kernel[0], p->engine, dims, graph_layout(&node->shape),
                              program_layout(&node->shape, p->dtype), err));
        p->staging = program_buffer(p, (size_t)(p->batch * nn_elements(&node->shape)) * sizeof(float), index, index);
        CN_CHECK(p->staging >= 0, CN_ENOMEM, "out of memory while compiling");
        break;
    }
    case NN_CONV:
        CN_TRY(compile_conv(c, w));
        break;
    case NN_BATCHNORM:
        CN_TRY(program_batchnorm(c, node, &w->constant[0], &w->constant[1]));
        p->constant_bytes += 2 * (size_t)node->shape.c * sizeof(float);
        break;
    case NN_AVGPOOL: {
        const nn_conv_spec spec = conv_spec(p, &w->step);
        CN_TRY(nn_kernel_avgpool(&w->kernel[0], p->engine, &spec, err));
        break;
    }
    case NN_ATTNPOOL:
        CN_TRY(attnpool_compile(c, w, index));
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
        CN_TRY(attention_compile(c, w, index));
        break;
    case NN_GELU:
        CN_TRY(nn_kernel_act(&w->kernel[0], p->engine, p->batch * nn_elements(&node->shape), p->dtype,
                             program_activation(p->graph, w->step.head), err));
        break;
    case NN_TOKENS:
    case NN_RELU:
    case NN_ADD:
    case NN_SELECT:
    case NN_OP_COUNT:
        break;
    }
    size_t scratch = 0;
    for (int k = 0; k < MAX_STEP_KERNELS; k++)
        if (w->kernel[k] && nn_kernel_scratch_bytes(w->kernel[k]) > scratch)
            scratch = nn_kernel_scratch_bytes(w->kernel[k]);
    w->scratch = scratch ? program_forward_buffer(p, scratch, index) : -1;
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
        program_dtype(p, node->in[0]) == program_dtype(p, s->out))
        return node->in[0];
    return -1;
}

/* Lets the buffer of step `index`'s value live as long as the value is read. */
static void lengthen_life(nn_program *p, int index, const bool *keep)
{
    const int node = p->steps.step[index].out, reader = p->forward_last[node];
    nn_buffer *b = &p->buffer[p->value[node]];
    int last = reader > index ? reader : index;
    if (p->cut[node] || (keep[node] && p->n_segments == 1))
        last = p->end_time; /* gradients may be asked for again */
    b->last = last > b->last ? last : b->last;
    if (p->again[index] < 0)
        return;
    int end = (reader > index && p->again[reader] >= 0 ? p->again[reader] : p->again[index]) + 1;
    for (int i = 0; keep[node] && i < p->steps.count; i++) /* up to the last gradient of its segment */
        if (p->segment[i] == p->segment[index] && p->back_time[i] >= end)
            end = p->back_time[i] + 1;
    if (b->again_first == b->again_end)
        b->again_first = p->again[index];
    b->again_end = end > b->again_end ? end : b->again_end;
}

cn_status program_place_values(program_compiler *c, const bool *keep)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    for (int i = 0; i < p->steps.count; i++) {
        const nn_step *s = &p->steps.step[i];
        const int over = overwritten_node(p, i);
        if (p->graph->node[s->head].op == NN_TOKENS)
            continue; /* ids stay where they are */
        if (over >= 0) {
            p->value[s->out] = p->value[over];
            lengthen_life(p, i, keep);
            continue;
        }
        const size_t bytes = (size_t)(p->batch * nn_elements(&p->graph->node[s->out].shape)) *
                             nn_dtype_size(program_dtype(p, s->out));
        p->value[s->out] = program_buffer(p, bytes, i, i);
        CN_CHECK(p->value[s->out] >= 0, CN_ENOMEM, "out of memory while compiling");
        lengthen_life(p, i, keep);
    }
done:
    return st;
}

cn_status program_make_taps(program_compiler *c, const nn_program_options *options)
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
        CN_TRY(nn_kernel_copy(&p->tap[i].copy, p->engine, dims, program_layout(s, program_dtype(p, options->taps[i])),
                              graph_layout(s), err));
        CN_CHECK(!nn_kernel_scratch_bytes(p->tap[i].copy), CN_EBACKEND, "reading a site wants scratch memory");
        p->output_bytes += bytes;
    }
done:
    return st;
}
