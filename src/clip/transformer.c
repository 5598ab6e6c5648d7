/* clip/transformer.c -- residual attention blocks, the same in both towers:
 * x += out_proj(attention(in_proj(ln_1(x)))); x += c_proj(gelu(c_fc(ln_2(x)))). */
#include "clip/graphs.h"

#include <stdio.h>

static int linear(nn_graph *g, int in, int64_t out, const char *path, const char *weight, const char *bias)
{
    char w[192], b[192];
    snprintf(w, sizeof w, "%s.%s", path, weight);
    snprintf(b, sizeof b, "%s.%s", path, bias);
    return nn_add_linear(g, in, out, w, b, false);
}

int clip_add_transformer(nn_graph *g, int in, const clip_transformer *t)
{
    int x = in;
    for (int layer = 0; layer < t->layers && !g->failed; layer++) {
        char path[128], name[160];
        const bool last = layer == t->layers - 1, pool = t->pooled && last;
        const int64_t width = g->node[in].shape.c;
        snprintf(path, sizeof path, "%s.resblocks.%d", t->path, layer);

        snprintf(name, sizeof name, "%s.ln_1", path);
        int a = nn_add_layernorm(g, x, name);
        nn_add_site(g, a, "%s", name);
        a = linear(g, a, 3 * width, path, "attn.in_proj_weight", "attn.in_proj_bias");
        a = nn_add_attention(g, a, t->heads, t->causal);
        if (pool) { /* everything from here on works on single tokens: keep the one that matters */
            a = nn_add_select(g, a, t->tokens, t->tokens >= 0);
            x = nn_add_select(g, x, t->tokens, t->tokens >= 0);
        }
        a = linear(g, a, width, path, "attn.out_proj.weight", "attn.out_proj.bias");
        if (!pool)
            nn_add_site(g, a, "%s.attn", path);
        x = nn_add_sum(g, x, a);

        snprintf(name, sizeof name, "%s.ln_2", path);
        int m = nn_add_layernorm(g, x, name);
        const int normed = m;
        m = linear(g, m, t->mlp, path, "mlp.c_fc.weight", "mlp.c_fc.bias");
        const int hidden = m;
        m = nn_add_gelu(g, m, t->quick);
        const int active = m;
        m = linear(g, m, width, path, "mlp.c_proj.weight", "mlp.c_proj.bias");
        x = nn_add_sum(g, x, m);
        if (!pool) {
            nn_add_site(g, normed, "%s", name);
            nn_add_site(g, hidden, "%s.mlp.c_fc", path);
            nn_add_site(g, active, "%s.mlp.gelu", path);
            nn_add_site(g, m, "%s.mlp.c_proj", path);
            nn_add_site(g, m, "%s.mlp", path);
            nn_add_site(g, x, "%s", path);
            if (last)
                nn_add_site(g, x, "%s", t->path);
        }
    }
    return x;
}

nn_graph *clip_graph_done(nn_graph *g)
{
    if (g->failed) {
        nn_graph_free(g);
        return NULL;
    }
    return g;
}
