/* clip/text.c -- CLIP's text tower: a causal transformer whose last word is the end mark's. */
#include "clip/graphs.h"

nn_graph *clip_text_graph(const clip_checkpoint *c, bool pooled, int64_t text_length)
{
    const cn_model_info *info = &c->info;
    nn_graph *g = nn_graph_new();
    if (!g)
        return NULL;
    const int tokens = nn_add_tokens(g, text_length);
    int x = nn_add_token_embed(g, tokens, info->text_width, info->vocabulary, "token_embedding.weight");
    nn_add_site(g, x, "token_embedding");
    x = nn_add_position(g, x, info->context_length, "positional_embedding");
    const clip_transformer blocks = {.path = "transformer", .layers = info->text_layers, .heads = info->text_heads,
                                     .mlp = c->text_mlp, .causal = true, .quick = info->gelu == CN_GELU_QUICK,
                                     .pooled = pooled, .tokens = tokens};
    x = clip_add_transformer(g, x, &blocks);
    if (pooled && blocks.layers > 0) {
        x = nn_add_layernorm(g, x, "ln_final");
    } else {
        x = nn_add_layernorm(g, x, "ln_final");
        nn_add_site(g, x, "ln_final");
        x = nn_add_select(g, x, tokens, true);
    }
    g->output = nn_add_linear(g, x, info->embedding, "text_projection", NULL, true);
    return clip_graph_done(g);
}
