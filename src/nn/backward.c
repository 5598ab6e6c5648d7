/* nn/backward.c -- gradients of the fast program. Every step of the forward program that lies between what is read and
 * what gradients are wanted for has a backward step; they run in the opposite order, over gradients that are
 * channels-last in the program's dtype, as values are.
 *
 * What makes it cheap:
 * - The gradient of a convolution of stride 1 is a convolution with the kernel turned around and its channels
 *   swapped, so it runs on the library's forward kernels, which can add to what is there and are its best.
 * - A ReLU is remembered as a mask of a byte a value, so a ResNet keeps no activations at all; a transformer keeps what
 *   its norms, GELUs and attentions read, and computes attention weights again.
 * - The gradient of a sum is the sum's own, in the same memory; the other branch adds to it. */
#include "nn/gradrows.h"
#include "nn/ops.h"
#include "nn/program.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

void program_mark_gradients(const nn_graph *g, const nn_program_options *options, bool *depends, bool *keep)
{
    for (int j = 0; j < options->n_wrt; j++)
        depends[options->wrt[j]] = true;
    for (int i = 0; i < g->count; i++) {
        const nn_node *node = &g->node[i];
        for (int j = 0; j < 2; j++)
            if (node->in[j] >= 0 && depends[node->in[j]] && nn_ops[node->op].backward_ref)
                depends[i] = true;
        const bool reads_again = node->op == NN_GELU || node->op == NN_LAYERNORM || node->op == NN_ATTENTION ||
                                 node->op == NN_ATTNPOOL;
        if (reads_again && depends[node->in[0]])
            keep[node->in[0]] = true;
    }
}

/* ---- compiling ---- */

static int seed_time(const nn_program *p)
{
    return p->steps.count;
}

static int grad_time(const nn_program *p, int index)
{
    return p->back_time[index];
}

int program_grad_temp(program_compiler *c, grad_step *b, int index, int64_t elements)
{
    const int time = grad_time(c->p, index);
    const int buffer = program_buffer(c->p, (size_t)elements * nn_dtype_size(c->p->dtype), time, time);
    if (buffer >= 0)
        b->temp[b->n_temps++] = buffer;
    return buffer;
}

/* Ops whose input's gradient may take the place of their output's. */
static bool works_in_place(nn_op op)
{
    return op == NN_RELU || op == NN_GELU || op == NN_ADD || op == NN_BATCHNORM || op == NN_POSITION;
}

/* The buffer of a node's gradient, alive from `first` until the backward of the step that gives the node. */
static cn_status new_gradient(nn_program *p, int node, int first, cn_error *err)
{
    const size_t bytes = (size_t)(p->batch * nn_elements(&p->graph->node[node].shape)) * nn_dtype_size(p->dtype);
    p->grad[node] = program_buffer(p, bytes, first, grad_time(p, p->step_of[node]));
    return p->grad[node] >= 0 ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory while compiling gradients");
}

/* Edges and gradient buffers of all steps, from the last on. */
static cn_status place_gradients(nn_program *p, const bool *depends, cn_error *err)
{
    cn_status st = CN_OK;
    for (int t = 0; t < p->n_taps; t++) {
        const int node = p->tap[t].node;
        if (depends[node] && p->grad[node] < 0)
            CN_TRY(new_gradient(p, node, seed_time(p), err));
    }
    for (int i = p->steps.count - 1; i >= 0; i--) {
        const nn_step *s = &p->steps.step[i];
        const nn_node *head = &p->graph->node[s->head];
        const int into[EDGE_COUNT] = {head->in[0], head->in[1], s->residual};
        grad_step *b = &p->back[i];
        bool inherited = false;
        for (int e = 0; e < EDGE_COUNT; e++)
            b->edge[e].node = -1;
        b->mask = b->scratch = -1;
        b->active = depends[s->out] && p->grad[s->out] >= 0; /* no gradient: nobody above it reads it or is read */
        if (!b->active || !nn_ops[head->op].backward_ref)
            continue;
        for (int e = EDGE_COUNT - 1; e >= 0; e--) { /* the residual first: it is the one to inherit */
            const int node = into[e];
            if (node < 0 || !depends[node])
                continue;
            b->edge[e].node = node;
            b->edge[e].add = p->grad[node] >= 0;
            if (b->edge[e].add)
                continue;
            if (!inherited && (e == EDGE_RESIDUAL || works_in_place(head->op))) {
                nn_buffer *mine = &p->buffer[p->grad[s->out]];
                const int last = grad_time(p, p->step_of[node]);
                b->edge[e].inherit = inherited = true;
                p->grad[node] = p->grad[s->out];
                mine->last = mine->last > last ? mine->last : last;
            } else {
                CN_TRY(new_gradient(p, node, grad_time(p, i), err));
            }
        }
    }
done:
    return st;
}

/* The convolution that takes d output to d input: (O, I, K, K) becomes (I, O, K, K), turned by half a turn, with batch norm's
 * scale in it. */
static cn_status compile_conv_gradient(program_compiler *c, const step_work *w, grad_step *b, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    const nn_graph *g = p->graph;
    const nn_node *node = &g->node[w->step.head];
    const nn_shape *in = &g->node[node->in[0]].shape, *out = &node->shape;
    const int64_t kernel = node->kernel, area = kernel * kernel;
    nn_conv_spec spec = {.n = p->batch, .in_c = in->c, .in_h = in->h, .in_w = in->w, .out_c = out->c, .out_h = out->h,
                         .out_w = out->w, .kernel = node->kernel, .stride = node->stride, .pad = node->pad, .dtype = p->dtype};
    float *weight = NULL, *scale = NULL, *shift = NULL, *turned = NULL;
    CN_TRY(program_param(c, &node->param[NN_WEIGHT], 0, &weight));
    if (w->step.norm >= 0) {
        CN_TRY(program_batchnorm(c, &g->node[w->step.norm], &scale, &shift));
        for (int64_t o = 0; o < out->c; o++)
            for (int64_t i = 0; i < in->c * area; i++)
                weight[o * in->c * area + i] *= scale[o];
    }
    if (node->stride != 1) {
        CN_TRY(nn_kernel_conv_gradient(&b->kernel[0], p->engine, &spec, weight, err));
        if (b->edge[EDGE_IN0].add)
            CN_CHECK(program_grad_temp(c, b, index, p->batch * nn_elements(in)) >= 0, CN_ENOMEM, "out of memory");
        goto done;
    }
    turned = cn_pages_calloc((size_t)(in->c * out->c * area) * sizeof *turned);
    cn_pages_free(shift);
    shift = cn_pages_calloc((size_t)in->c * sizeof *shift); /* no bias */
    CN_CHECK(turned && shift, CN_ENOMEM, "out of memory for the gradient of a convolution");
    for (int64_t o = 0; o < out->c; o++)
        for (int64_t i = 0; i < in->c; i++)
            for (int64_t k = 0; k < area; k++)
                turned[(i * out->c + o) * area + area - 1 - k] = weight[(o * in->c + i) * area + k];
    spec = (nn_conv_spec){.n = p->batch, .in_c = out->c, .in_h = out->h, .in_w = out->w, .out_c = in->c, .out_h = in->h,
                          .out_w = in->w, .kernel = node->kernel, .stride = 1, .pad = node->kernel - 1 - node->pad,
                          .dtype = p->dtype, .sum = b->edge[EDGE_IN0].add};
    CN_TRY(nn_kernel_conv(&b->kernel[0], p->engine, &spec, turned, shift, err));
done:
    cn_pages_free(weight);
    cn_pages_free(scale);
    cn_pages_free(shift);
    cn_pages_free(turned);
    return st;
}

static cn_status compile_linear_gradient(program_compiler *c, const step_work *w, grad_step *b)
{
    cn_status st = CN_OK;
    const nn_program *p = c->p;
    const nn_node *node = &p->graph->node[w->step.head];
    const int64_t in = p->graph->node[node->in[0]].shape.c, out = node->shape.c;
    float *weight = NULL;
    CN_TRY(program_param(c, &node->param[NN_WEIGHT], 0, &weight));
    CN_TRY(program_linear(c, &b->kernel[0], p->batch * node->shape.h * node->shape.w, out, out, in, !node->weight_in_out,
                          p->dtype, 1, b->edge[EDGE_IN0].add, NN_NO_ACTIVATION, weight, NULL));
done:
    cn_pages_free(weight);
    return st;
}

static cn_status compile_grad_step(program_compiler *c, int index)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    step_work *w = &p->work[index];
    grad_step *b = &p->back[index];
    const nn_node *node = &p->graph->node[w->step.head];
    const int64_t count = p->batch * nn_elements(&node->shape);
    const bool flows = b->edge[EDGE_IN0].node >= 0;
    if (node->op == NN_RELU || (w->step.act >= 0 && p->graph->node[w->step.act].op == NN_RELU)) {
        b->mask = p->n_segments == 1 ? program_buffer(p, (size_t)count, index, p->end_time)
                                     : program_buffer(p, (size_t)count, p->again[index], grad_time(p, index));
        CN_CHECK(b->mask >= 0, CN_ENOMEM, "out of memory while compiling gradients");
    }
    if (!flows)
        goto done;
    switch (node->op) {
    case NN_CONV:
        CN_TRY(compile_conv_gradient(c, w, b, index));
        break;
    case NN_LINEAR:
        CN_TRY(compile_linear_gradient(c, w, b));
        break;
    case NN_BATCHNORM: {
        float *shift = NULL;
        st = program_batchnorm(c, node, &b->constant, &shift);
        cn_pages_free(shift);
        p->constant_bytes += (size_t)node->shape.c * sizeof(float);
        CN_TRY(st);
        break;
    }
    case NN_LAYERNORM:
        CN_TRY(program_param(c, &node->param[NN_WEIGHT], 0, &b->constant));
        p->constant_bytes += (size_t)node->shape.c * sizeof(float);
        break;
    case NN_GELU:
        CN_TRY(nn_kernel_act_gradient(&b->kernel[0], p->engine, count, p->dtype, program_activation(p->graph, w->step.head), err));
        if (b->edge[EDGE_IN0].add)
            CN_CHECK(program_grad_temp(c, b, index, count) >= 0, CN_ENOMEM, "out of memory");
        break;
    case NN_ATTENTION:
        CN_TRY(attention_gradient_compile(c, w, b, index));
        break;
    case NN_ATTNPOOL:
        CN_TRY(attnpool_gradient_compile(c, w, b, index));
        break;
    default: /* loops of gradrows.c */
        break;
    }
    size_t scratch = 0;
    for (int k = 0; k < MAX_GRAD_KERNELS; k++)
        if (b->kernel[k] && nn_kernel_scratch_bytes(b->kernel[k]) > scratch)
            scratch = nn_kernel_scratch_bytes(b->kernel[k]);
    for (int k = 0; k < MAX_STEP_KERNELS; k++) /* attention weights are computed again */
        if (w->kernel[k] && nn_kernel_scratch_bytes(w->kernel[k]) > scratch)
            scratch = nn_kernel_scratch_bytes(w->kernel[k]);
    b->scratch = scratch ? program_buffer(p, scratch, grad_time(p, index), grad_time(p, index)) : -1;
    CN_CHECK(!scratch || b->scratch >= 0, CN_ENOMEM, "out of memory while compiling gradients");
done:
    return st;
}

cn_status program_compile_gradients(program_compiler *c, const nn_program_options *options, const bool *depends)
{
    cn_status st = CN_OK;
    cn_error *err = c->err;
    nn_program *p = c->p;
    const size_t nodes = (size_t)p->graph->count;
    p->back = cn_calloc((size_t)p->steps.count, sizeof *p->back);
    p->grad = cn_calloc(nodes, sizeof *p->grad);
    p->step_of = cn_calloc(nodes, sizeof *p->step_of);
    p->wanted = cn_calloc(nodes, sizeof *p->wanted);
    p->reached = cn_calloc(nodes, sizeof *p->reached);
    p->wrt = cn_calloc((size_t)options->n_wrt, sizeof *p->wrt);
    CN_CHECK(p->back && p->grad && p->step_of && p->wanted && p->reached && p->wrt, CN_ENOMEM,
             "out of memory while compiling gradients");
    for (int i = 0; i < p->graph->count; i++)
        p->grad[i] = p->step_of[i] = -1;
    for (int i = 0; i < p->steps.count; i++)
        p->step_of[p->steps.step[i].out] = i;
    CN_TRY(place_gradients(p, depends, err));
    for (int i = p->steps.count - 1; i >= 0; i--)
        if (p->back[i].active)
            CN_TRY(compile_grad_step(c, i));
    p->n_wrt = options->n_wrt;
    for (int j = 0; j < p->n_wrt; j++) {
        const size_t bytes = (size_t)(p->batch * nn_elements(&p->graph->node[options->wrt[j]].shape)) * sizeof(float);
        p->wrt[j].node = options->wrt[j];
        p->wrt[j].values = cn_pages_calloc(bytes);
        CN_CHECK(p->wrt[j].values, CN_ENOMEM, "%zu bytes for gradients", bytes);
        p->output_bytes += bytes;
    }
done:
    return st;
}

/* ---- running ---- */

void program_note_mask(nn_program *p, int index)
{
    if (!p->back || p->back[index].mask < 0)
        return;
    const int out = p->steps.step[index].out;
    gradrows_positive(program_at(p, p->back[index].mask), program_at(p, p->value[out]),
                      p->batch * nn_elements(&p->graph->node[out].shape), p->dtype);
}

/* Positions of a value in channels-last order. */
static int64_t rows_of(const nn_shape *s)
{
    return s->h * s->w;
}

/* Whether the graph's layout of a value has channels in planes; tokens and vectors are channels-last as they are. */
static bool has_planes(const nn_shape *s)
{
    return s->layout == NN_MAP;
}

static void write_seed(nn_program *p, int node, const float *seed)
{
    const nn_shape *s = &p->graph->node[node].shape;
    const int64_t rows = rows_of(s), count = nn_elements(s);
    char *to = program_at(p, p->grad[node]);
    if (has_planes(s))
        gradrows_from_planes(to, seed, p->n, s->c, rows, p->dtype, p->reached[node]);
    else
        gradrows_from_planes(to, seed, p->n, count, 1, p->dtype, p->reached[node]);
    if (!p->reached[node]) /* pictures that fill the batch up */
        memset(to + (size_t)(p->n * count) * nn_dtype_size(p->dtype), 0,
               (size_t)((p->batch - p->n) * count) * nn_dtype_size(p->dtype));
    p->reached[node] = true;
}

static void read_out(nn_program *p, wrt_copy *wrt)
{
    const nn_shape *s = &p->graph->node[wrt->node].shape;
    const void *from = program_at(p, p->grad[wrt->node]);
    if (has_planes(s))
        gradrows_to_planes(wrt->values, from, p->n, s->c, rows_of(s), p->dtype);
    else
        gradrows_to_planes(wrt->values, from, p->n, nn_elements(s), 1, p->dtype);
}

/* Nodes below which something is wanted. */
static void mark_wanted(nn_program *p, const bool *wanted)
{
    const nn_graph *g = p->graph;
    memset(p->wanted, 0, (size_t)g->count * sizeof *p->wanted);
    memset(p->reached, 0, (size_t)g->count * sizeof *p->reached);
    for (int j = 0; j < p->n_wrt; j++)
        if (!wanted || wanted[j])
            p->wanted[p->wrt[j].node] = true;
    for (int i = 0; i < g->count; i++)
        for (int j = 0; j < 2; j++)
            if (g->node[i].in[j] >= 0 && p->wanted[g->node[i].in[j]] && nn_ops[g->node[i].op].backward_ref)
                p->wanted[i] = true;
}

static void select_gradient(nn_program *p, const nn_node *node, const char *dy, char *dx, bool add)
{
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    const size_t row = (size_t)in->c * nn_dtype_size(p->dtype);
    if (!add)
        memset(dx, 0, (size_t)(p->batch * in->h) * row);
    for (int64_t n = 0; n < p->batch; n++) {
        const int64_t token = nn_selected_token(node, p->tokens ? p->tokens + n * in->h : NULL, in->h);
        gradrows_scale(dx + (size_t)(n * in->h + token) * row, dy + (size_t)n * row, 1, in->c, p->dtype, NULL, add);
    }
}

/* dx (+)= the gradient through the op of a step's head, of dz, which is that of the op's output. */
static cn_status head_gradient(nn_program *p, int index, const void *dz, void *dx, nn_relu_override relu, cn_error *err)
{
    cn_status st = CN_OK;
    step_work *w = &p->work[index];
    grad_step *b = &p->back[index];
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *s = &node->shape, *in = &p->graph->node[node->in[0]].shape;
    const bool add = b->edge[EDGE_IN0].add;
    const int64_t rows = p->batch * rows_of(s);
    const void *x = p->value[node->in[0]] >= 0 ? program_at(p, p->value[node->in[0]]) : NULL;
    void *scratch = program_at(p, b->scratch), *own = b->n_temps ? program_at(p, b->temp[0]) : NULL;
    switch (node->op) {
    case NN_CONV:
        CN_TRY(nn_kernel_run(b->kernel[0], dz, NULL, own ? own : dx, scratch, err));
        if (own)
            gradrows_scale(dx, own, p->batch * rows_of(in), in->c, p->dtype, NULL, true);
        break;
    case NN_LINEAR:
        CN_TRY(nn_kernel_run(b->kernel[0], dz, NULL, dx, scratch, err));
        break;
    case NN_GELU:
        if (relu.leak > 0) {
            gradrows_leaky_gelu(dx, x, dz, rows * s->c, p->dtype, node->quick, relu.leak, add);
            break;
        }
        CN_TRY(nn_kernel_run(b->kernel[0], x, dz, own ? own : dx, scratch, err));
        if (own)
            gradrows_scale(dx, own, rows, s->c, p->dtype, NULL, true);
        break;
    case NN_AVGPOOL: {
        const gradrows_pool pool = {p->batch, s->c, in->h, in->w, s->h, s->w, node->kernel};
        gradrows_avgpool(dx, dz, &pool, p->dtype, add);
        break;
    }
    case NN_BATCHNORM:
        gradrows_scale(dx, dz, rows, s->c, p->dtype, b->constant, add);
        break;
    case NN_RELU: /* masked already */
    case NN_POSITION:
        if (!b->edge[EDGE_IN0].inherit)
            gradrows_scale(dx, dz, rows, s->c, p->dtype, NULL, add);
        break;
    case NN_LAYERNORM:
        gradrows_layernorm(dx, x, dz, rows, s->c, p->dtype, node->eps, b->constant, add);
        break;
    case NN_PATCH_EMBED:
        gradrows_tokens(dx, dz, p->batch, s->h - 1, s->c, p->dtype, false, add);
        break;
    case NN_SELECT:
        select_gradient(p, node, dz, dx, add);
        break;
    case NN_ATTENTION:
        CN_TRY(attention_gradient_run(p, w, b, x, dz, dx, err));
        break;
    case NN_ATTNPOOL:
        CN_TRY(attnpool_gradient_run(p, w, b, x, dz, dx, err));
        break;
    default:
        assert(!"an op with a gradient");
    }
done:
    return st;
}

/* Whether a share flows along an edge now; makes its target ready to be added to. */
static bool open_edge(nn_program *p, const grad_edge *e)
{
    if (e->node < 0 || !p->wanted[e->node])
        return false;
    if (e->add && !p->reached[e->node])
        memset(program_at(p, p->grad[e->node]), 0,
               (size_t)(p->batch * nn_elements(&p->graph->node[e->node].shape)) * nn_dtype_size(p->dtype));
    p->reached[e->node] = true;
    return true;
}

static cn_status run_grad_step(nn_program *p, int index, nn_relu_override relu, cn_error *err)
{
    cn_status st = CN_OK;
    grad_step *b = &p->back[index];
    const nn_step *s = &p->steps.step[index];
    const nn_shape *shape = &p->graph->node[s->out].shape;
    const nn_op op = p->graph->node[s->head].op;
    void *dy = program_at(p, p->grad[s->out]);
    const int64_t rows = p->batch * rows_of(shape);
    if (b->mask >= 0)
        gradrows_relu(dy, program_at(p, b->mask), p->batch, nn_elements(shape), p->dtype, relu);
    for (int e = 0; e < EDGE_COUNT; e++) /* first: of x + x, the other edge adds to what this one has */
        if (b->edge[e].inherit && p->wanted[b->edge[e].node])
            p->reached[b->edge[e].node] = true;
    for (int e = 0; e < EDGE_COUNT; e++) {
        const grad_edge *edge = &b->edge[e];
        if (!open_edge(p, edge))
            continue;
        void *dx = program_at(p, p->grad[edge->node]);
        if (e == EDGE_IN0 && op != NN_ADD)
            CN_TRY(head_gradient(p, index, dy, dx, relu, err));
        else if (!edge->inherit) /* a summand takes all of it */
            gradrows_scale(dx, dy, rows, shape->c, p->dtype, NULL, edge->add);
    }
done:
    return st;
}

cn_status program_backward(nn_program *p, const float *const *seed, const bool *wanted, nn_relu_override relu, cn_error *err)
{
    cn_status st = CN_OK;
    const int threads_before = nn_set_threads(p->threads);
    mark_wanted(p, wanted);
    for (int t = 0; t < p->n_taps; t++)
        if (seed[t] && p->wanted[p->tap[t].node])
            write_seed(p, p->tap[t].node, seed[t]);
    int computed = -1; /* the segment whose inside is there, where there are several */
    for (int i = p->steps.count - 1; i >= 0; i--) {
        const int out = p->steps.step[i].out;
        if (!p->back[i].active || !p->reached[out])
            continue;
        if (p->n_segments > 1 && p->segment[i] != computed) {
            computed = p->segment[i];
            CN_TRY(program_run_again(p, computed, err));
        }
        for (int j = 0; j < p->n_wrt; j++) /* before the step works on it in place */
            if (p->wrt[j].node == out && (!wanted || wanted[j]))
                read_out(p, &p->wrt[j]);
        CN_TRY(run_grad_step(p, i, relu, err));
    }
    for (int j = 0; j < p->n_wrt; j++)
        if (!p->reached[p->wrt[j].node] && (!wanted || wanted[j]))
            memset(p->wrt[j].values, 0,
                   (size_t)(p->n * nn_elements(&p->graph->node[p->wrt[j].node].shape)) * sizeof(float));
done:
    nn_set_threads(threads_before);
    return st;
}
