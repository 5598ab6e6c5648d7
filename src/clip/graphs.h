/* clip/graphs.h -- the towers of a checkpoint as graphs, with every site named.
 * A graph borrows nothing: parameters are names, resolved when a program is made. */
#ifndef CLIP_GRAPHS_H
#define CLIP_GRAPHS_H

#include "clip/checkpoint.h"
#include "nn/graph.h"

/* `pooled`: build for the embedding. After the last attention of a transformer only the token that
 * becomes the embedding is carried on; the sites behind it then hold one vector and are not named.
 * `resolution`: px, the model's or another: then the positional embeddings have other sizes than the checkpoint's.
 * `text_length`: tokens a text, at most the context length. NULL when memory is short. */
nn_graph *clip_resnet_graph(const clip_checkpoint *c, int64_t resolution);
nn_graph *clip_vit_graph(const clip_checkpoint *c, bool pooled, int64_t resolution);
nn_graph *clip_text_graph(const clip_checkpoint *c, bool pooled, int64_t text_length);

/* The residual blocks shared by vit.c and text.c: `layers` blocks on `in` under the module path `path`.
 * tokens and end say which token the pooled form keeps. Returns the last value: tokens, or a vector if pooled. */
typedef struct clip_transformer {
    const char *path;
    int layers, heads, mlp;
    bool causal, quick, pooled;
    int tokens;      /* the node of token ids, -1 for images */
} clip_transformer;
int clip_add_transformer(nn_graph *g, int in, const clip_transformer *t);

/* g, or NULL (and g freed) when building failed. */
nn_graph *clip_graph_done(nn_graph *g);

#endif
