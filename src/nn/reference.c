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
    float *scratch;
    int *tap;
    int n_taps;
    nn_program_memory memory;
};

static void reference_free(nn_program *p)
{
    if (!p)
        return;
    for (int i = 0; p->value && i < p->graph->count; i++)
        cn_free(p->value[i]);
    for (int i = 0; p->param && i < p->graph->count; i++)
        for (int j = 0; j < NN_MAX_PARAMS; j++)
            cn_free(p->param[i][j]);
    cn_free(p->value);
    cn_free(p->param);
    cn_free(p->needed);
    cn_free(p->scratch);
    cn_free(p->tap);
    cn_free(p);
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
    p->scratch = cn_malloc(scratch_floats * sizeof(float));
    CN_CHECK(p->scratch, CN_ENOMEM, "%zu bytes of scratch", scratch_floats * sizeof(float));
    *out = p, p = NULL;
done:
    reference_free(p);
    return st;
}

static cn_status reference_run(nn_program *p, const float *pixels, const int32_t *tokens, int64_t n, cn_error *err)
{
    (void)err;
    const nn_graph *g = p->graph;
    for (int i = 0; i < g->count; i++) {
        const nn_node *node = &g->node[i];
        if (!p->needed[i])
            continue;
        if (node->op == NN_PIXELS)
            memcpy(p->value[i], pixels, (size_t)(n * nn_elements(&node->shape)) * sizeof(float));
        if (!nn_ops[node->op].forward_ref)
            continue;
        nn_ref_args args = {.node = node, .n = n, .tokens = tokens, .out = p->value[i], .scratch = p->scratch};
        for (int j = 0; j < 2; j++)
            if (node->in[j] >= 0) {
                args.in[j] = p->value[node->in[j]];
                args.in_shape[j] = &g->node[node->in[j]].shape;
            }
        for (int j = 0; j < NN_MAX_PARAMS; j++)
            args.param[j] = p->param[i][j];
        nn_ops[node->op].forward_ref(&args);
    }
    return CN_OK;
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
                                         reference_run, reference_tap, reference_memory};
