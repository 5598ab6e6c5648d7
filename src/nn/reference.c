/* nn/reference.c -- the specification: runs a graph node by node with the plain-C ops, float32 values,
 * nothing fused and nothing shared. Slow on purpose; it says what the fast program must give. */
#include "nn/backend.h"
#include "nn/ops.h"

#include "base/memory.h"

#include <string.h>

struct nn_program {
    const nn_graph *graph;
    int64_t batch;
    bool *needed;       /* per node */
    float **value;      /* per node, NULL where not needed */
    float *(*param)[NN_MAX_PARAMS];
    float *scratch, *gradient_scratch;
    int *tap, *wrt;
    int n_taps, n_wrt;
    float **gradient;   /* per node, NULL where no gradient can be asked for */
    int32_t *tokens_kept; /* of the last run */
    int64_t n;          /* images of the last run */
    nn_edit *edit;      /* owned */
    int n_edits;
    nn_program_memory memory;
};

static void reference_free(nn_program *p)
{
    if (!p)
        return;
    for (int i = 0; p->value && i < p->graph->count; i++)
        cn_free(p->value[i]);
    for (int i = 0; p->gradient && i < p->graph->count; i++)
        cn_free(p->gradient[i]);
    for (int i = 0; p->param && i < p->graph->count; i++)
        for (int j = 0; j < NN_MAX_PARAMS; j++)
            cn_free(p->param[i][j]);
    cn_free(p->value);
    cn_free(p->param);
    cn_free(p->needed);
    cn_free(p->scratch);
    cn_free(p->gradient_scratch);
    cn_free(p->gradient);
    cn_free(p->tokens_kept);
    cn_free(p->tap);
    cn_free(p->wrt);
    cn_free(p->edit);
    cn_free(p);
}

/* Marks the nodes that depend on a wanted one of the n_wrt. */
static void mark_dependents(const nn_program *p, const bool *wanted, bool *depends)
{
    for (int i = 0; i < p->graph->count; i++)
        depends[i] = false;
    for (int j = 0; j < p->n_wrt; j++)
        if (!wanted || wanted[j])
            depends[p->wrt[j]] = true;
    for (int i = 0; i < p->graph->count; i++)
        for (int j = 0; j < 2; j++)
            if (p->graph->node[i].in[j] >= 0 && depends[p->graph->node[i].in[j]] && nn_ops[p->graph->node[i].op].backward_ref)
                depends[i] = true;
}

static bool is_wrt(const nn_program *p, int node)
{
    for (int j = 0; j < p->n_wrt; j++)
        if (p->wrt[j] == node)
            return true;
    return false;
}

/* A place for the gradient of every value that may get one. */
static cn_status make_gradients(nn_program *p, const nn_program_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_graph *g = p->graph;
    size_t scratch_floats = 0;
    bool *depends = cn_calloc((size_t)g->count, sizeof *depends);
    p->gradient = cn_calloc((size_t)g->count, sizeof *p->gradient);
    p->wrt = cn_calloc((size_t)options->n_wrt + 1, sizeof *p->wrt);
    CN_CHECK(depends && p->gradient && p->wrt, CN_ENOMEM, "out of memory for gradients");
    p->n_wrt = options->n_wrt;
    for (int j = 0; j < options->n_wrt; j++)
        p->wrt[j] = options->wrt[j];
    mark_dependents(p, NULL, depends);
    for (int i = 0; i < g->count; i++) {
        const nn_node *node = &g->node[i];
        if (!depends[i] || !(p->needed[i] || is_wrt(p, i)))
            continue;
        const size_t bytes = (size_t)(p->batch * nn_elements(&node->shape)) * sizeof(float);
        p->gradient[i] = cn_aligned_calloc(bytes);
        CN_CHECK(p->gradient[i], CN_ENOMEM, "%zu bytes for gradients", bytes);
        p->memory.activation_bytes += bytes;
        if (p->needed[i] && nn_ops[node->op].gradient_scratch_floats) {
            const size_t wanted = (size_t)nn_ops[node->op].gradient_scratch_floats(node, &g->node[node->in[0]].shape);
            scratch_floats = wanted > scratch_floats ? wanted : scratch_floats;
        }
    }
    p->gradient_scratch = cn_malloc(scratch_floats * sizeof(float));
    CN_CHECK(p->gradient_scratch, CN_ENOMEM, "%zu bytes of scratch", scratch_floats * sizeof(float));
done:
    cn_free(depends);
    return st;
}

static cn_status reference_create(nn_program **out, const nn_graph *g, const nn_program_options *options,
                                  nn_param_reader read, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t count = (size_t)g->count;
    size_t scratch_floats = 0;
    nn_program *p = cn_calloc(1, sizeof *p);
    *out = NULL;
    CN_CHECK(p, CN_ENOMEM, "out of memory for the reference program");
    CN_CHECK(!options->bf16, CN_EUNSUPPORTED, "the reference backend computes in fp32 only");
    CN_TRY(nn_check_sizes(g, options->batch, err));
    p->graph = g;
    p->batch = options->batch;
    p->needed = cn_calloc(count, sizeof *p->needed);
    p->value = cn_calloc(count, sizeof *p->value);
    p->param = cn_calloc(count, sizeof *p->param);
    p->tap = cn_calloc((size_t)options->n_taps + 1, sizeof *p->tap);
    CN_CHECK(p->needed && p->value && p->param && p->tap, CN_ENOMEM, "out of memory for the reference program");
    p->n_taps = options->n_taps;
    for (int i = 0; i < options->n_taps; i++)
        p->needed[p->tap[i] = options->taps[i]] = true;
    for (int i = g->count - 1; i >= 0; i--)
        for (int j = 0; j < 2; j++)
            if (p->needed[i] && g->node[i].in[j] >= 0)
                p->needed[g->node[i].in[j]] = true;

    for (int i = 0; i < g->count; i++) {
        const nn_node *node = &g->node[i];
        if (!p->needed[i])
            continue;
        const size_t bytes = (size_t)(p->batch * nn_elements(&node->shape)) * sizeof(float);
        p->value[i] = cn_aligned_calloc(bytes);
        CN_CHECK(p->value[i], CN_ENOMEM, "%zu bytes for activations", bytes);
        p->memory.activation_bytes += bytes;
        for (int j = 0; j < NN_MAX_PARAMS; j++) {
            if (!node->param[j].name)
                continue;
            const size_t param_bytes = (size_t)node->param[j].count * sizeof(float);
            p->param[i][j] = cn_malloc(param_bytes);
            CN_CHECK(p->param[i][j], CN_ENOMEM, "%zu bytes for %s", param_bytes, node->param[j].name);
            CN_TRY(read(user, node->param[j].name, node->param[j].count, p->param[i][j], err));
            p->memory.weight_bytes += param_bytes;
        }
        if (nn_ops[node->op].scratch_floats) {
            size_t wanted = (size_t)nn_ops[node->op].scratch_floats(node, &g->node[node->in[0]].shape, p->batch);
            scratch_floats = wanted > scratch_floats ? wanted : scratch_floats;
        }
    }
    p->edit = cn_calloc((size_t)options->n_edits + 1, sizeof *p->edit);
    CN_CHECK(p->edit, CN_ENOMEM, "out of memory for the reference program");
    p->n_edits = options->n_edits;
    for (int i = 0; i < options->n_edits; i++)
        p->edit[i] = options->edits[i];
    p->scratch = cn_malloc(scratch_floats * sizeof(float));
    CN_CHECK(p->scratch, CN_ENOMEM, "%zu bytes of scratch", scratch_floats * sizeof(float));
    if (options->n_wrt)
        CN_TRY(make_gradients(p, options, err));
    *out = p, p = NULL;
done:
    reference_free(p);
    return st;
}

static nn_ref_args args_of(const nn_program *p, int i, const int32_t *tokens, int64_t n)
{
    const nn_node *node = &p->graph->node[i];
    nn_ref_args args = {.node = node, .n = n, .tokens = tokens, .out = p->value[i], .scratch = p->scratch};
    for (int j = 0; j < 2; j++)
        if (node->in[j] >= 0) {
            args.in[j] = p->value[node->in[j]];
            args.in_shape[j] = &p->graph->node[node->in[j]].shape;
        }
    for (int j = 0; j < NN_MAX_PARAMS; j++)
        args.param[j] = p->param[i][j];
    return args;
}

static void edit_value(nn_program *p, int node, int64_t n)
{
    const nn_shape *s = &p->graph->node[node].shape;
    const int64_t size = nn_elements(s), positions = s->h * s->w;
    for (int i = 0; i < p->n_edits; i++) {
        const nn_edit *e = &p->edit[i];
        if (e->node != node)
            continue;
        if (e->values)
            memcpy(p->value[node], e->values, (size_t)(n * size) * sizeof(float));
        for (int64_t b = 0; b < n; b++)
            for (int64_t k = 0; k < size; k++)
                p->value[node][b * size + k] =
                    nn_edited(e, b, s->c, s->layout == NN_MAP ? k / positions : k % s->c, p->value[node][b * size + k]);
    }
}

static cn_status reference_run(nn_program *p, const float *pixels, const int32_t *tokens, int64_t n, cn_error *err)
{
    const nn_graph *g = p->graph;
    for (int i = 0; i < g->count; i++) {
        const nn_node *node = &g->node[i];
        if (!p->needed[i])
            continue;
        if (node->op == NN_PIXELS)
            memcpy(p->value[i], pixels, (size_t)(n * nn_elements(&node->shape)) * sizeof(float));
        if (node->op == NN_TOKENS && p->n_wrt) { /* backward asks for them again */
            const size_t bytes = (size_t)(n * nn_elements(&node->shape)) * sizeof *tokens;
            if (!p->tokens_kept)
                p->tokens_kept = cn_calloc((size_t)(p->batch * nn_elements(&node->shape)), sizeof *tokens);
            if (!p->tokens_kept)
                return cn_fail(err, CN_ENOMEM, "%zu bytes for token ids", bytes);
            memcpy(p->tokens_kept, tokens, bytes);
        }
        if (nn_ops[node->op].forward_ref) {
            const nn_ref_args args = args_of(p, i, tokens, n);
            nn_ops[node->op].forward_ref(&args);
        }
        edit_value(p, i, n);
    }
    p->n = n;
    return CN_OK;
}

static cn_status reference_backward(nn_program *p, const float *const *seed, const bool *wanted, nn_relu_override relu, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_graph *g = p->graph;
    bool *depends = cn_calloc((size_t)g->count, sizeof *depends);
    bool *reached = cn_calloc((size_t)g->count, sizeof *reached); /* has a gradient that is not zero */
    CN_CHECK(depends && reached, CN_ENOMEM, "out of memory for gradients");
    mark_dependents(p, wanted, depends);
    for (int i = 0; i < g->count; i++)
        if (p->gradient[i])
            memset(p->gradient[i], 0, (size_t)(p->n * nn_elements(&g->node[i].shape)) * sizeof(float));
    for (int t = 0; t < p->n_taps; t++) {
        const int node = p->tap[t];
        for (int64_t i = 0; seed[t] && depends[node] && i < p->n * nn_elements(&g->node[node].shape); i++)
            p->gradient[node][i] += seed[t][i];
        reached[node] |= seed[t] != NULL;
    }
    for (int i = g->count - 1; i >= 0; i--) {
        const nn_node *node = &g->node[i];
        if (!depends[i] || !reached[i] || !nn_ops[node->op].backward_ref)
            continue;
        const nn_ref_args forward = args_of(p, i, p->tokens_kept, p->n);
        nn_ref_grad_args args = {.forward = &forward, .dout = p->gradient[i], .scratch = p->gradient_scratch,
                                 .relu = relu};
        bool any = false;
        for (int j = 0; j < 2; j++)
            if (node->in[j] >= 0 && depends[node->in[j]]) {
                args.dx[j] = p->gradient[node->in[j]];
                any = reached[node->in[j]] = true;
            }
        if (any)
            nn_ops[node->op].backward_ref(&args);
    }
done:
    cn_free(depends);
    cn_free(reached);
    return st;
}

static const float *reference_gradient(const nn_program *p, int j)
{
    return p->gradient[p->wrt[j]];
}

static const float *reference_tap(const nn_program *p, int i)
{
    return p->value[p->tap[i]];
}

static nn_program_memory reference_memory(const nn_program *p)
{
    return p->memory;
}

const nn_backend nn_backend_reference = {"reference", reference_create, reference_free,
                                         reference_run, reference_tap, reference_memory,
                                         reference_backward, reference_gradient};
