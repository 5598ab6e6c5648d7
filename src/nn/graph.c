/* nn/graph.c -- building a graph: shapes, parameter names, sites, FLOPs. */
#include "nn/graph.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LAYERNORM_EPS 1e-5f /* torch.nn.LayerNorm and BatchNorm2d defaults, which CLIP uses */
#define BATCHNORM_EPS 1e-5f

nn_graph *nn_graph_new(void)
{
    return cn_calloc(1, sizeof(nn_graph));
}

void nn_graph_free(nn_graph *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->count; i++)
        for (int p = 0; p < NN_MAX_PARAMS; p++)
            cn_free(g->node[i].param[p].name);
    for (int i = 0; i < g->n_sites; i++)
        cn_free(g->site[i].name);
    cn_free(g->node);
    cn_free(g->site);
    cn_free(g);
}

static nn_node *new_node(nn_graph *g, nn_op op, int in0, int in1, nn_shape shape)
{
    if (!g->failed && g->count == g->capacity) {
        int capacity = g->capacity ? 2 * g->capacity : 64;
        nn_node *grown = cn_reallocarray(g->node, (size_t)capacity, sizeof *grown);
        if (grown) {
            g->node = grown;
            g->capacity = capacity;
        } else {
            g->failed = true;
        }
    }
    if (g->failed)
        return &g->sink;
    assert(in0 < g->count && in1 < g->count);
    nn_node *n = &g->node[g->count++];
    memset(n, 0, sizeof *n);
    n->op = op;
    n->shape = shape;
    n->in[0] = in0;
    n->in[1] = in1;
    return n;
}

static int last(const nn_graph *g)
{
    return g->failed ? 0 : g->count - 1;
}

static nn_shape shape_of(const nn_graph *g, int node)
{
    return g->failed ? (nn_shape){NN_MAP, 1, 1, 1} : g->node[node].shape;
}

static void set_param(nn_graph *g, nn_node *n, int index, int64_t count, const char *prefix, const char *suffix)
{
    if (g->failed)
        return;
    size_t length = strlen(prefix) + strlen(suffix) + 1;
    char *name = cn_malloc(length);
    if (!name) {
        g->failed = true;
        return;
    }
    snprintf(name, length, "%s%s", prefix, suffix);
    n->param[index] = (nn_param){name, count};
}

int nn_add_pixels(nn_graph *g, int64_t resolution)
{
    new_node(g, NN_PIXELS, -1, -1, (nn_shape){NN_MAP, 3, resolution, resolution});
    return last(g);
}

int nn_add_tokens(nn_graph *g, int64_t length)
{
    new_node(g, NN_TOKENS, -1, -1, (nn_shape){NN_SEQUENCE, 1, length, 1});
    return last(g);
}

int nn_add_conv(nn_graph *g, int in, int64_t out_c, int kernel, int stride, int pad, const char *prefix)
{
    nn_shape s = shape_of(g, in);
    nn_shape out = {NN_MAP, out_c, (s.h + 2 * pad - kernel) / stride + 1, (s.w + 2 * pad - kernel) / stride + 1};
    nn_node *n = new_node(g, NN_CONV, in, -1, out);
    n->kernel = kernel;
    n->stride = stride;
    n->pad = pad;
    set_param(g, n, NN_WEIGHT, out_c * s.c * kernel * kernel, prefix, ".weight");
    return last(g);
}

int nn_add_batchnorm(nn_graph *g, int in, const char *prefix)
{
    nn_shape s = shape_of(g, in);
    nn_node *n = new_node(g, NN_BATCHNORM, in, -1, s);
    n->eps = BATCHNORM_EPS;
    set_param(g, n, NN_BN_GAMMA, s.c, prefix, ".weight");
    set_param(g, n, NN_BN_BETA, s.c, prefix, ".bias");
    set_param(g, n, NN_BN_MEAN, s.c, prefix, ".running_mean");
    set_param(g, n, NN_BN_VAR, s.c, prefix, ".running_var");
    return last(g);
}

int nn_add_relu(nn_graph *g, int in)
{
    new_node(g, NN_RELU, in, -1, shape_of(g, in));
    return last(g);
}

int nn_add_avgpool(nn_graph *g, int in, int kernel)
{
    nn_shape s = shape_of(g, in);
    nn_node *n = new_node(g, NN_AVGPOOL, in, -1, (nn_shape){NN_MAP, s.c, s.h / kernel, s.w / kernel});
    n->kernel = n->stride = kernel;
    return last(g);
}

int nn_add_sum(nn_graph *g, int a, int b)
{
    const nn_shape x = shape_of(g, a), y = shape_of(g, b);
    assert(x.layout == y.layout && x.c == y.c && x.h == y.h && x.w == y.w);
    (void)y;
    new_node(g, NN_ADD, a, b, x);
    return last(g);
}

int nn_add_attnpool(nn_graph *g, int in, int heads, int64_t out, const char *prefix)
{
    nn_shape s = shape_of(g, in);
    nn_node *n = new_node(g, NN_ATTNPOOL, in, -1, (nn_shape){NN_VECTOR, out, 1, 1});
    n->heads = heads;
    set_param(g, n, NN_POOL_POS, (s.h * s.w + 1) * s.c, prefix, ".positional_embedding");
    set_param(g, n, NN_POOL_QW, s.c * s.c, prefix, ".q_proj.weight");
    set_param(g, n, NN_POOL_QB, s.c, prefix, ".q_proj.bias");
    set_param(g, n, NN_POOL_KW, s.c * s.c, prefix, ".k_proj.weight");
    set_param(g, n, NN_POOL_KB, s.c, prefix, ".k_proj.bias");
    set_param(g, n, NN_POOL_VW, s.c * s.c, prefix, ".v_proj.weight");
    set_param(g, n, NN_POOL_VB, s.c, prefix, ".v_proj.bias");
    set_param(g, n, NN_POOL_CW, out * s.c, prefix, ".c_proj.weight");
    set_param(g, n, NN_POOL_CB, out, prefix, ".c_proj.bias");
    return last(g);
}

int nn_add_patch_embed(nn_graph *g, int in, const char *class_name, const char *pos_name)
{
    nn_shape s = shape_of(g, in);
    int64_t length = s.h * s.w + 1;
    nn_node *n = new_node(g, NN_PATCH_EMBED, in, -1, (nn_shape){NN_SEQUENCE, s.c, length, 1});
    set_param(g, n, NN_PATCH_CLASS, s.c, class_name, "");
    set_param(g, n, NN_PATCH_POS, length * s.c, pos_name, "");
    return last(g);
}

int nn_add_token_embed(nn_graph *g, int in, int64_t width, int64_t vocabulary, const char *table)
{
    nn_shape s = shape_of(g, in);
    nn_node *n = new_node(g, NN_TOKEN_EMBED, in, -1, (nn_shape){NN_SEQUENCE, width, s.h, 1});
    set_param(g, n, NN_WEIGHT, vocabulary * width, table, "");
    return last(g);
}

int nn_add_position(nn_graph *g, int in, int64_t rows, const char *name)
{
    nn_shape s = shape_of(g, in);
    assert(g->failed || rows >= s.h);
    nn_node *n = new_node(g, NN_POSITION, in, -1, s);
    set_param(g, n, NN_WEIGHT, rows * s.c, name, "");
    return last(g);
}

int nn_add_layernorm(nn_graph *g, int in, const char *prefix)
{
    nn_shape s = shape_of(g, in);
    nn_node *n = new_node(g, NN_LAYERNORM, in, -1, s);
    n->eps = LAYERNORM_EPS;
    set_param(g, n, NN_WEIGHT, s.c, prefix, ".weight");
    set_param(g, n, NN_BIAS, s.c, prefix, ".bias");
    return last(g);
}

int nn_add_linear(nn_graph *g, int in, int64_t out, const char *weight, const char *bias, bool weight_in_out)
{
    nn_shape s = shape_of(g, in);
    nn_shape o = s;
    o.c = out;
    nn_node *n = new_node(g, NN_LINEAR, in, -1, o);
    n->weight_in_out = weight_in_out;
    set_param(g, n, NN_WEIGHT, out * s.c, weight, "");
    if (bias)
        set_param(g, n, NN_BIAS, out, bias, "");
    return last(g);
}

int nn_add_gelu(nn_graph *g, int in, bool quick)
{
    nn_node *n = new_node(g, NN_GELU, in, -1, shape_of(g, in));
    n->quick = quick;
    return last(g);
}

int nn_add_attention(nn_graph *g, int in, int heads, bool causal)
{
    nn_shape s = shape_of(g, in);
    assert(g->failed || (s.c % 3 == 0 && s.c / 3 % heads == 0));
    s.c /= 3;
    nn_node *n = new_node(g, NN_ATTENTION, in, -1, s);
    n->heads = heads;
    n->causal = causal;
    return last(g);
}

int nn_add_select(nn_graph *g, int in, int tokens, bool end)
{
    nn_shape s = shape_of(g, in);
    nn_node *n = new_node(g, NN_SELECT, in, tokens, (nn_shape){NN_VECTOR, s.c, 1, 1});
    n->select_end = end;
    return last(g);
}

void nn_add_site(nn_graph *g, int node, const char *fmt, ...)
{
    if (g->failed)
        return;
    if (g->n_sites == g->site_capacity) {
        int capacity = g->site_capacity ? 2 * g->site_capacity : 64;
        nn_site *grown = cn_reallocarray(g->site, (size_t)capacity, sizeof *grown);
        if (!grown) {
            g->failed = true;
            return;
        }
        g->site = grown;
        g->site_capacity = capacity;
    }
    char name[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    char *copy = cn_strdup(name);
    if (!copy) {
        g->failed = true;
        return;
    }
    g->site[g->n_sites++] = (nn_site){copy, node};
}

int nn_find_site(const nn_graph *g, const char *name)
{
    for (int i = 0; i < g->n_sites; i++)
        if (strcmp(g->site[i].name, name) == 0)
            return i;
    return -1;
}

/* Elements of the largest area of a node for one image: its value, or what an op needs in between.
 * In double, which cannot overflow and is exact enough for a limit. */
static double largest_area(const nn_graph *g, const nn_node *n)
{
    const double value = (double)n->shape.c * (double)n->shape.h * (double)n->shape.w;
    double between = 0;
    if (n->op == NN_ATTENTION) { /* scores (H, L, L) */
        between = (double)n->heads * (double)n->shape.h * (double)n->shape.h;
    } else if (n->op == NN_ATTNPOOL) { /* tokens, keys and values (L, D); one query a head (H, D); scores (H, L) */
        const nn_shape *in = &g->node[n->in[0]].shape;
        const double length = (double)in->h * (double)in->w + 1, d = (double)in->c, heads = n->heads;
        between = 4 * length * d + 2 * heads * d + heads * length;
    }
    return value > between ? value : between;
}

cn_status nn_check_sizes(const nn_graph *g, int64_t batch, cn_error *err)
{
    for (int i = 0; i < g->count; i++) {
        const double bytes = (double)batch * largest_area(g, &g->node[i]) * (double)sizeof(float);
        if (bytes > (double)NN_MAX_AREA)
            return cn_fail(err, CN_ELIMIT, "a batch of %lld needs %.3g bytes for one value, the limit is %.3g",
                           (long long)batch, bytes, (double)NN_MAX_AREA);
    }
    return CN_OK;
}

double nn_node_flops(const nn_graph *g, int node)
{
    const nn_node *n = &g->node[node];
    const nn_shape *o = &n->shape;
    const nn_shape *i = n->in[0] >= 0 ? &g->node[n->in[0]].shape : NULL;
    double positions = (double)(o->h * o->w);
    assert(i || n->op == NN_PIXELS || n->op == NN_TOKENS);
    switch (n->op) {
    case NN_CONV:
        return 2.0 * (double)n->kernel * n->kernel * (double)i->c * (double)o->c * positions;
    case NN_LINEAR:
        return 2.0 * (double)i->c * (double)o->c * positions;
    case NN_ATTENTION:
        return 4.0 * positions * positions * (double)o->c;
    case NN_ATTNPOOL: {
        double length = (double)(i->h * i->w + 1), d = (double)i->c;
        return 2.0 * d * d * (1 + 2 * length) + 4.0 * length * d + 2.0 * d * (double)o->c;
    }
    default:
        return 0; /* element-wise work is not counted, as usual */
    }
}

double nn_graph_flops(const nn_graph *g)
{
    double sum = 0;
    for (int i = 0; i < g->count; i++)
        sum += nn_node_flops(g, i);
    return sum;
}
