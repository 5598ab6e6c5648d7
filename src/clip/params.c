/* clip/params.c -- the parameters of the original model: every name and every shape.
 * This is build_model of the original code read backwards: from sizes to tensors. */
#include "clip/params.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct list {
    clip_param *items;
    size_t n, room;
    cn_tower tower;
    cn_error *err;
    cn_status st; /* the first failure; later additions do nothing */
} list;

/* Adds one parameter; returns NULL after a failure. */
CN_PRINTF(4, 5) static clip_param *add(list *l, int ndim, const int64_t *shape, const char *fmt, ...)
{
    if (l->st != CN_OK)
        return NULL;
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        clip_param *items = cn_reallocarray(l->items, room, sizeof *items);
        if (!items) {
            l->st = cn_fail(l->err, CN_ENOMEM, "%zu parameters", room);
            return NULL;
        }
        l->items = items, l->room = room;
    }
    clip_param *p = &l->items[l->n++];
    memset(p, 0, sizeof *p);
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->name, sizeof p->name, fmt, args);
    va_end(args);
    p->tower = l->tower;
    p->ndim = ndim;
    p->count = 1;
    p->learned = true;
    for (int i = 0; i < ndim; i++) {
        p->shape[i] = shape[i];
        p->count *= shape[i];
    }
    return p;
}

#define SHAPE(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}

static void add_linear(list *l, const char *prefix, int64_t out, int64_t in)
{
    add(l, SHAPE(out, in), "%s.weight", prefix);
    add(l, SHAPE(out), "%s.bias", prefix);
}

static void add_norm(list *l, const char *prefix, int64_t width)
{
    add(l, SHAPE(width), "%s.weight", prefix);
    add(l, SHAPE(width), "%s.bias", prefix);
}

static void add_batch_norm(list *l, const char *prefix, int64_t width)
{
    static const char *const statistics[] = {"running_mean", "running_var"};
    add_norm(l, prefix, width);
    for (int i = 0; i < 2; i++) {
        clip_param *p = add(l, SHAPE(width), "%s.%s", prefix, statistics[i]);
        if (p)
            p->learned = false;
    }
}

/* A convolution without bias and its batch norm, as PREFIX.conv1 and PREFIX.bn1. */
static void add_conv_norm(list *l, const char *prefix, int number, int64_t out, int64_t in, int64_t kernel)
{
    char name[64];
    add(l, SHAPE(out, in, kernel, kernel), "%s.conv%d.weight", prefix, number);
    snprintf(name, sizeof name, "%s.bn%d", prefix, number);
    add_batch_norm(l, name, out);
}

static void list_resnet(list *l, const cn_model_info *m)
{
    int64_t width = m->image_width, grid = m->resolution / 32;
    add_conv_norm(l, "visual", 1, width / 2, 3, 3);
    add_conv_norm(l, "visual", 2, width / 2, width / 2, 3);
    add_conv_norm(l, "visual", 3, width, width / 2, 3);

    int64_t in = width;
    for (int stage = 0; stage < 4; stage++) {
        int64_t planes = width << stage;
        for (int block = 0; block < m->blocks[stage]; block++) {
            char prefix[40], name[64];
            snprintf(prefix, sizeof prefix, "visual.layer%d.%d", stage + 1, block);
            add_conv_norm(l, prefix, 1, planes, in, 1);
            add_conv_norm(l, prefix, 2, planes, planes, 3);
            add_conv_norm(l, prefix, 3, 4 * planes, planes, 1);
            if (block == 0) {
                add(l, SHAPE(4 * planes, in, 1, 1), "%s.downsample.0.weight", prefix);
                snprintf(name, sizeof name, "%s.downsample.1", prefix);
                add_batch_norm(l, name, 4 * planes);
            }
            in = 4 * planes;
        }
    }
    add(l, SHAPE(grid * grid + 1, in), "visual.attnpool.positional_embedding");
    add_linear(l, "visual.attnpool.q_proj", in, in);
    add_linear(l, "visual.attnpool.k_proj", in, in);
    add_linear(l, "visual.attnpool.v_proj", in, in);
    add_linear(l, "visual.attnpool.c_proj", m->embedding, in);
}

/* prefix: "visual.transformer" or "transformer". */
static void list_transformer(list *l, const char *prefix, int layers, int64_t width, int64_t mlp)
{
    for (int i = 0; i < layers; i++) {
        char block[48], name[64];
        clip_param *p;
        snprintf(block, sizeof block, "%s.resblocks.%d", prefix, i);
        add(l, SHAPE(3 * width, width), "%s.attn.in_proj_weight", block);
        if ((p = add(l, SHAPE(3 * width), "%s.attn.in_proj_bias", block)) != NULL)
            p->optional = true;
        add(l, SHAPE(width, width), "%s.attn.out_proj.weight", block);
        if ((p = add(l, SHAPE(width), "%s.attn.out_proj.bias", block)) != NULL)
            p->optional = true;
        snprintf(name, sizeof name, "%s.ln_1", block);
        add_norm(l, name, width);
        snprintf(name, sizeof name, "%s.ln_2", block);
        add_norm(l, name, width);
        snprintf(name, sizeof name, "%s.mlp.c_fc", block);
        add_linear(l, name, mlp, width);
        snprintf(name, sizeof name, "%s.mlp.c_proj", block);
        add_linear(l, name, width, mlp);
    }
}

static void list_vit(list *l, const cn_model_info *m, int64_t mlp)
{
    int64_t width = m->image_width, grid = m->resolution / m->patch;
    add(l, SHAPE(width), "visual.class_embedding");
    add(l, SHAPE(grid * grid + 1, width), "visual.positional_embedding");
    add(l, SHAPE(width, 3, m->patch, m->patch), "visual.conv1.weight");
    add_norm(l, "visual.ln_pre", width);
    list_transformer(l, "visual.transformer", m->blocks[0], width, mlp);
    add_norm(l, "visual.ln_post", width);
    add(l, SHAPE(width, m->embedding), "visual.proj");
}

static void list_text(list *l, const cn_model_info *m, int64_t mlp)
{
    int64_t width = m->text_width;
    add(l, SHAPE(m->vocabulary, width), "token_embedding.weight");
    add(l, SHAPE(m->context_length, width), "positional_embedding");
    list_transformer(l, "transformer", m->text_layers, width, mlp);
    add_norm(l, "ln_final", width);
    add(l, SHAPE(width, m->embedding), "text_projection");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const clip_param *)a)->name, ((const clip_param *)b)->name);
}

cn_status clip_params_list(clip_checkpoint *c, cn_error *err)
{
    cn_model_info *m = &c->info;
    list l = {.err = err};
    if (c->has_image) {
        l.tower = CN_TOWER_IMAGE;
        if (m->architecture == CN_ARCH_RESNET)
            list_resnet(&l, m);
        else
            list_vit(&l, m, c->image_mlp);
    }
    l.tower = CN_TOWER_TEXT;
    if (c->has_text)
        list_text(&l, m, c->text_mlp);
    if (c->has_image && c->has_text)
        add(&l, 0, NULL, "logit_scale");
    if (l.st != CN_OK) {
        cn_free(l.items);
        return l.st;
    }
    if (l.n)
        qsort(l.items, l.n, sizeof *l.items, by_name);

    m->parameters = m->image_parameters = m->text_parameters = 0;
    for (size_t i = 0; i < l.n; i++) {
        const clip_param *p = &l.items[i];
        if (!p->learned)
            continue;
        m->parameters += p->count;
        if (p->ndim == 0)
            continue;
        *(p->tower == CN_TOWER_IMAGE ? &m->image_parameters : &m->text_parameters) += p->count;
    }
    cn_free(c->params);
    c->params = l.items;
    c->n_params = l.n;
    return CN_OK;
}
