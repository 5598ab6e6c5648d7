/* nn/graph.h -- a network as a list of nodes in the order of computation.
 * A node is one module (or nameless step) of the original code and has one output value; nodes refer
 * to earlier nodes only. The graph knows shapes, parameter names and site names, and nothing of
 * layouts, precisions or memory: reference.c runs it as it stands, fuse.c and compile.c compile it.
 *
 * Values have a batch dimension N that the graph leaves open. Layouts are the original's, image
 * first: maps (N, C, H, W), tokens (N, L, D), vectors (N, D). */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include "base/check.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum nn_op {
    NN_PIXELS,      /* input: (3, R, R) normalised pixels */
    NN_TOKENS,      /* input: (L) token ids */
    NN_CONV,        /* 2-D convolution without bias */
    NN_BATCHNORM,   /* inference: gamma (x - mean) / sqrt(var + eps) + beta */
    NN_RELU,
    NN_AVGPOOL,     /* kernel = stride, no padding */
    NN_ADD,
    NN_ATTNPOOL,    /* CLIP's attention pool: map -> vector */
    NN_PATCH_EMBED, /* map -> tokens: class token in front, positional embedding added */
    NN_TOKEN_EMBED, /* ids -> rows of the embedding table */
    NN_POSITION,    /* adds the positional embedding */
    NN_LAYERNORM,
    NN_LINEAR,      /* x W^T + b for every position */
    NN_GELU,
    NN_ATTENTION,   /* multi-head softmax attention on (q, k, v) side by side */
    NN_SELECT,      /* one token: the first, or the one of the highest id (end mark) */
    NN_OP_COUNT
} nn_op;

typedef enum nn_layout { NN_MAP, NN_SEQUENCE, NN_VECTOR } nn_layout;

/* Of one image or text. MAP: c, h, w; SEQUENCE: c = D, h = L, w = 1; VECTOR: c = D, h = w = 1. */
typedef struct nn_shape {
    nn_layout layout;
    int64_t c, h, w;
} nn_shape;

typedef struct nn_param {
    char *name;    /* OpenAI's state-dict name, owned by the graph; NULL: absent (zeros) */
    int64_t count; /* elements */
} nn_param;

#define NN_MAX_PARAMS 9

/* Indices into nn_node.param. */
enum { NN_WEIGHT = 0, NN_BIAS = 1 };
enum { NN_BN_GAMMA, NN_BN_BETA, NN_BN_MEAN, NN_BN_VAR };
enum { NN_POOL_POS, NN_POOL_QW, NN_POOL_QB, NN_POOL_KW, NN_POOL_KB, NN_POOL_VW, NN_POOL_VB, NN_POOL_CW, NN_POOL_CB };
enum { NN_PATCH_CLASS, NN_PATCH_POS };

typedef struct nn_node {
    nn_op op;
    nn_shape shape;
    int in[2];             /* earlier nodes; -1 when unused */
    nn_param param[NN_MAX_PARAMS];
    int kernel, stride, pad;   /* CONV, AVGPOOL (px) */
    int heads;                 /* ATTENTION, ATTNPOOL */
    bool causal;               /* ATTENTION */
    bool quick;                /* GELU: x sigmoid(1.702 x) instead of the exact x Phi(x) */
    bool weight_in_out;        /* LINEAR: weight stored (in, out), not (out, in) */
    bool select_end;           /* SELECT: token of the highest id, else token 0 */
    float eps;                 /* BATCHNORM, LAYERNORM */
} nn_node;

typedef struct nn_site {
    char *name; /* owned */
    int node;
} nn_site;

typedef struct nn_graph {
    nn_node *node;
    int count, capacity;
    nn_site *site;
    int n_sites, site_capacity;
    int output;     /* the tower's embedding */
    bool failed;    /* an allocation failed while building; checked once at the end */
    nn_node sink;   /* takes the writes of a builder that goes on after a failure */
} nn_graph;

/* Building. Each adds one node and returns its index (or 0 after a failure, which `failed` tells).
 * prefix is the module path of the parameters. */
nn_graph *nn_graph_new(void);
void nn_graph_free(nn_graph *g);
int nn_add_pixels(nn_graph *g, int64_t resolution);
int nn_add_tokens(nn_graph *g, int64_t length);
int nn_add_conv(nn_graph *g, int in, int64_t out_c, int kernel, int stride, int pad, const char *prefix);
int nn_add_batchnorm(nn_graph *g, int in, const char *prefix);
int nn_add_relu(nn_graph *g, int in);
int nn_add_avgpool(nn_graph *g, int in, int kernel);
int nn_add_sum(nn_graph *g, int a, int b);
int nn_add_attnpool(nn_graph *g, int in, int heads, int64_t out, const char *prefix);
int nn_add_patch_embed(nn_graph *g, int in, const char *class_name, const char *pos_name);
int nn_add_token_embed(nn_graph *g, int in, int64_t width, int64_t vocabulary, const char *table);
int nn_add_position(nn_graph *g, int in, int64_t rows, const char *name);
int nn_add_layernorm(nn_graph *g, int in, const char *prefix);
/* bias NULL: none. */
int nn_add_linear(nn_graph *g, int in, int64_t out, const char *weight, const char *bias, bool weight_in_out);
int nn_add_gelu(nn_graph *g, int in, bool quick);
int nn_add_attention(nn_graph *g, int in, int heads, bool causal);
int nn_add_select(nn_graph *g, int in, int tokens, bool end);
/* Names the value of a node; the format is printf's. */
CN_PRINTF(3, 4) void nn_add_site(nn_graph *g, int node, const char *fmt, ...);

/* -1 when there is none of that exact name. */
int nn_find_site(const nn_graph *g, const char *name);

/* Elements of a value of one image. */
static inline int64_t nn_elements(const nn_shape *s)
{
    return s->c * s->h * s->w;
}

/* The largest value, or scratch area of one op, that a program may plan: above what any machine holds, and
 * so low that no product of sizes and no sum of areas leaves 63 bits. */
#define NN_MAX_AREA ((int64_t)1 << 44) /* bytes */

/** Refuses what cannot be planned. Sizes come from checkpoints and batches from callers: backends call this
 * first and may multiply afterwards.
 * @return CN_OK; CN_ELIMIT */
cn_status nn_check_sizes(const nn_graph *g, int64_t batch, cn_error *err);

/* Multiply-adds x 2 of a node for one image, as the original code computes it. */
double nn_node_flops(const nn_graph *g, int node);
double nn_graph_flops(const nn_graph *g);

/* Reads parameter `name` as float32; the same contract as clip_param_read. */
typedef cn_status (*nn_param_reader)(void *user, const char *name, int64_t count, float *dst, cn_error *err);

/* What ReLUs let through beside the gradient, for an ascent that begins where much is off. Both only where the gradient would switch a
 * unit on, not where it would push it further below zero.
 * redirect: all of it for images that get none otherwise, because all that matters at this ReLU is off (Lucid's override);
 * leak: this share of it for the other units that are off; also the least slope of a GELU for such a gradient. */
typedef struct nn_relu_override {
    bool redirect;
    float leak; /* 0: none */
} nn_relu_override;

#endif
