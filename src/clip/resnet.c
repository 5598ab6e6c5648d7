/* clip/resnet.c -- CLIP's ResNet image tower (ModifiedResNet of the original code): a stem of three
 * convolutions, four stages of bottlenecks that downsample by averaging, and an attention pool. */
#include "clip/graphs.h"

#include <stdio.h>

typedef struct names {
    char path[128], full[160];
} names;

/* "path.suffix", valid until the next call. */
static const char *join(names *n, const char *suffix)
{
    snprintf(n->full, sizeof n->full, "%s.%s", n->path, suffix);
    return n->full;
}

/* conv -> batch norm -> ReLU number `k` under n->path, each a site. */
static int conv_bn_relu(nn_graph *g, int x, names *n, int k, int64_t out_c, int kernel, int stride)
{
    char suffix[16];
    snprintf(suffix, sizeof suffix, "conv%d", k);
    x = nn_add_conv(g, x, out_c, kernel, stride, kernel / 2, join(n, suffix));
    nn_add_site(g, x, "%s", n->full);
    snprintf(suffix, sizeof suffix, "bn%d", k);
    x = nn_add_batchnorm(g, x, join(n, suffix));
    nn_add_site(g, x, "%s", n->full);
    x = nn_add_relu(g, x);
    nn_add_site(g, x, "%s.relu%d", n->path, k);
    return x;
}

/* The shortcut comes first in our order, so that the last convolution can add onto it. */
static int bottleneck(nn_graph *g, int x, int stage, int block, int64_t planes, int stride, int64_t in_c)
{
    names n;
    int shortcut = x;
    snprintf(n.path, sizeof n.path, "visual.layer%d.%d", stage, block);
    if (stride > 1 || in_c != planes * 4) {
        if (stride > 1)
            shortcut = nn_add_avgpool(g, shortcut, stride);
        nn_add_site(g, shortcut, "%s.downsample.-1", n.path);
        shortcut = nn_add_conv(g, shortcut, planes * 4, 1, 1, 0, join(&n, "downsample.0"));
        nn_add_site(g, shortcut, "%s", n.full);
        shortcut = nn_add_batchnorm(g, shortcut, join(&n, "downsample.1"));
        nn_add_site(g, shortcut, "%s", n.full);
        nn_add_site(g, shortcut, "%s.downsample", n.path);
    }
    x = conv_bn_relu(g, x, &n, 1, planes, 1, 1);
    x = conv_bn_relu(g, x, &n, 2, planes, 3, 1);
    if (stride > 1)
        x = nn_add_avgpool(g, x, stride);
    nn_add_site(g, x, "%s.avgpool", n.path);
    x = nn_add_conv(g, x, planes * 4, 1, 1, 0, join(&n, "conv3"));
    nn_add_site(g, x, "%s", n.full);
    x = nn_add_batchnorm(g, x, join(&n, "bn3"));
    nn_add_site(g, x, "%s", n.full);
    x = nn_add_sum(g, x, shortcut);
    nn_add_site(g, x, "%s.add", n.path);
    x = nn_add_relu(g, x);
    nn_add_site(g, x, "%s.relu3", n.path);
    nn_add_site(g, x, "%s", n.path);
    return x;
}

nn_graph *clip_resnet_graph(const clip_checkpoint *c, int64_t resolution)
{
    const cn_model_info *info = &c->info;
    nn_graph *g = nn_graph_new();
    names stem = {.path = "visual"};
    if (!g)
        return NULL;
    int x = nn_add_pixels(g, resolution);
    x = conv_bn_relu(g, x, &stem, 1, info->image_width / 2, 3, 2);
    x = conv_bn_relu(g, x, &stem, 2, info->image_width / 2, 3, 1);
    x = conv_bn_relu(g, x, &stem, 3, info->image_width, 3, 1);
    x = nn_add_avgpool(g, x, 2);
    nn_add_site(g, x, "visual.avgpool");
    int64_t channels = info->image_width;
    for (int stage = 1; stage <= 4; stage++) {
        const int64_t planes = (int64_t)info->image_width << (stage - 1);
        for (int block = 0; block < info->blocks[stage - 1]; block++) {
            x = bottleneck(g, x, stage, block, planes, stage > 1 && block == 0 ? 2 : 1, channels);
            channels = planes * 4;
        }
        nn_add_site(g, x, "visual.layer%d", stage);
    }
    g->output = nn_add_attnpool(g, x, info->image_heads, info->embedding, "visual.attnpool");
    nn_add_site(g, g->output, "visual.attnpool");
    nn_add_site(g, g->output, "visual");
    return clip_graph_done(g);
}
