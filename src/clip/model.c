/* clip/model.c -- a checkpoint opened as a model: its facts and its sites. */
#include "clip/model.h"

#include "base/memory.h"
#include "clip/graphs.h"
#include "clip/sitenames.h"
#include "file/sha256.h"
#include "nn/kernels.h"

#include <stdio.h>
#include <string.h>

void cn_model_close(cn_model *model)
{
    if (!model)
        return;
    pthread_mutex_destroy(&model->lock);
    nn_graph_free(model->graph[CN_TOWER_IMAGE]);
    nn_graph_free(model->graph[CN_TOWER_TEXT]);
    clip_checkpoint_free(model->checkpoint);
    cn_weights_close(model->weights);
    cn_free(model->site);
    cn_free(model->site_name);
    cn_free(model);
}

static cn_site site_of(const nn_graph *g, const nn_site *s, cn_tower tower, size_t index)
{
    static const cn_site_layout layouts[] = {
        [NN_MAP] = CN_SITE_MAP, [NN_SEQUENCE] = CN_SITE_TOKENS, [NN_VECTOR] = CN_SITE_VECTOR};
    const nn_shape *shape = &g->node[s->node].shape;
    return (cn_site){.name = s->name, .tower = tower, .layout = layouts[shape->layout], .units = shape->c,
                     .height = shape->h, .width = shape->w, .positions = shape->h * shape->w, .index = index};
}

static cn_status list_sites(cn_model *model, cn_error *err)
{
    size_t count = 0;
    for (int tower = 0; tower < 2; tower++)
        count += model->graph[tower] ? (size_t)model->graph[tower]->n_sites : 0;
    model->site = cn_calloc(count, sizeof *model->site);
    model->site_name = cn_calloc(count, sizeof *model->site_name);
    if (!model->site || !model->site_name)
        return cn_fail(err, CN_ENOMEM, "out of memory for the list of sites");
    for (int tower = 0; tower < 2; tower++) {
        const nn_graph *g = model->graph[tower];
        for (int i = 0; g && i < g->n_sites; i++, model->n_sites++) {
            model->site[model->n_sites] = site_of(g, &g->site[i], (cn_tower)tower, model->n_sites);
            model->site_name[model->n_sites] = g->site[i].name;
        }
    }
    return CN_OK;
}

cn_status cn_model_open(cn_model **out, const char *path, const cn_model_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    cn_model *model = cn_calloc(1, sizeof *model);
    *out = NULL;
    CN_CHECK(model, CN_ENOMEM, "out of memory for the model");
    pthread_mutex_init(&model->lock, NULL);
    CN_TRY(cn_weights_open(&model->weights, path, err));
    CN_TRY(clip_checkpoint_read(&model->checkpoint, model->weights, options, err));
    model->info = model->checkpoint->info;
    if (model->checkpoint->has_image) {
        nn_graph *g = model->info.architecture == CN_ARCH_RESNET ? clip_resnet_graph(model->checkpoint, model->info.resolution)
                                                                 : clip_vit_graph(model->checkpoint, false, model->info.resolution);
        CN_CHECK(g, CN_ENOMEM, "out of memory for the image tower");
        model->graph[CN_TOWER_IMAGE] = g;
        model->info.image_flops = nn_graph_flops(g);
    }
    if (model->checkpoint->has_text) {
        nn_graph *g = clip_text_graph(model->checkpoint, false, model->info.context_length);
        CN_CHECK(g, CN_ENOMEM, "out of memory for the text tower");
        model->graph[CN_TOWER_TEXT] = g;
        model->info.text_flops = nn_graph_flops(g);
    }
    CN_TRY(list_sites(model, err));
    *out = model, model = NULL;
done:
    cn_model_close(model);
    return st;
}

const cn_model_info *cn_model_get_info(const cn_model *model)
{
    return &model->info;
}

const cn_weights *cn_model_weights(const cn_model *model)
{
    return model->weights;
}

cn_status cn_model_fingerprint(const cn_model *model, char hex[65], cn_error *err)
{
    cn_status st = CN_OK;
    cn_model *m = (cn_model *)(uintptr_t)model; /* a cache behind its own lock */
    sha256 *sum = NULL;
    pthread_mutex_lock(&m->lock);
    if (!m->fingerprint[0]) {
        char text[160];
        CN_TRY(cn_weights_fingerprint(m->weights, hex, err));
        const int length = snprintf(text, sizeof text, "%s gelu %d heads %d %d", hex, (int)m->info.gelu,
                                    m->info.image_heads, m->info.text_heads);
        CN_TRY(sha256_open(&sum, err));
        CN_TRY(sha256_add(sum, text, (size_t)length, err));
        CN_TRY(sha256_hex(sum, m->fingerprint, err));
    }
    memcpy(hex, m->fingerprint, sizeof m->fingerprint);
done:
    sha256_close(sum);
    pthread_mutex_unlock(&m->lock);
    return st;
}

size_t cn_model_site_count(const cn_model *model)
{
    return model->n_sites;
}

const cn_site *cn_model_site_at(const cn_model *model, size_t i)
{
    return i < model->n_sites ? &model->site[i] : NULL;
}

cn_status cn_model_find_site(const cn_model *model, const char *name, const cn_site **out, cn_error *err)
{
    const clip_alias_context context = {cn_weights_path(model->weights)};
    size_t index;
    const cn_status st = clip_site_lookup(model->site_name, model->n_sites, &context, name, &index, err);
    if (st == CN_OK)
        *out = &model->site[index];
    return st;
}

cn_status cn_model_parse_unit(const cn_model *model, const char *text, const cn_site **site, int64_t *unit,
                              cn_error *err)
{
    cn_status st = CN_OK;
    size_t length;
    int64_t number;
    const cn_site *found = NULL;
    char *name = NULL;
    CN_TRY(clip_unit_parse(text, &length, &number, err));
    name = cn_strndup(text, length);
    CN_CHECK(name, CN_ENOMEM, "out of memory for a site name");
    CN_TRY(cn_model_find_site(model, name, &found, err));
    CN_CHECK(number < found->units, CN_EINVAL, "%s: %s has units 0 to %lld", text, found->name,
             (long long)found->units - 1);
    *site = found;
    *unit = number;
done:
    cn_free(name);
    return st;
}

const cn_site *cn_model_default_site(const cn_model *model)
{
    char name[96];
    if (!model->graph[CN_TOWER_IMAGE])
        return model->n_sites ? &model->site[model->n_sites - 1] : NULL;
    if (model->info.architecture == CN_ARCH_RESNET)
        snprintf(name, sizeof name, "visual.layer4.%d.add", model->info.blocks[3] - 1);
    else
        snprintf(name, sizeof name, "visual.transformer.resblocks.%d.mlp.gelu", model->info.blocks[0] - 1);
    const int index = nn_find_site(model->graph[CN_TOWER_IMAGE], name);
    return index < 0 ? &model->site[0] : &model->site[index];
}

bool cn_cpu_has_bf16(void)
{
    return nn_cpu_has_bf16();
}

const char *cn_backend_description(void)
{
    return nn_engine_description();
}
