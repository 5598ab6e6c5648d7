/* clip/vit.c -- CLIP's vision transformer: patches, class token, blocks, projection of the class token. */
#include "clip/graphs.h"

nn_graph *clip_vit_graph(const clip_checkpoint *c, bool pooled, int64_t resolution)
{
    const cn_model_info *info = &c->info;
    nn_graph *g = nn_graph_new();
    if (!g)
        return NULL;
    int x = nn_add_pixels(g, resolution);
    x = nn_add_conv(g, x, info->image_width, info->patch, info->patch, 0, "visual.conv1");
    nn_add_site(g, x, "visual.conv1");
    x = nn_add_patch_embed(g, x, "visual.class_embedding", "visual.positional_embedding");
    x = nn_add_layernorm(g, x, "visual.ln_pre");
    nn_add_site(g, x, "visual.ln_pre");
    const clip_transformer blocks = {.path = "visual.transformer", .layers = info->blocks[0], .heads = info->image_heads,
                                     .mlp = c->image_mlp, .quick = info->gelu == CN_GELU_QUICK, .pooled = pooled,
                                     .tokens = -1};
    x = clip_add_transformer(g, x, &blocks);
    if (!pooled || blocks.layers == 0)
        x = nn_add_select(g, x, -1, false);
    x = nn_add_layernorm(g, x, "visual.ln_post");
    nn_add_site(g, x, "visual.ln_post");
    g->output = nn_add_linear(g, x, info->embedding, "visual.proj", NULL, true);
    nn_add_site(g, g->output, "visual");
    return clip_graph_done(g);
}
