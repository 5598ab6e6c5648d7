/* clip/checkpoint.c -- from tensors to a checked description of a CLIP, and parameters by name.
 * The order: recognise the names, measure the sizes on a few tensors, list every parameter that a
 * model of these sizes has, and check each against the file. */
#include "clip/params.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_WIDTH 64 /* of OpenAI's models: heads = width / 64 */

static const char *path_of(const clip_checkpoint *c)
{
    return cn_weights_path(c->weights);
}

/* "[3, 64]" */
static const char *shape_text(char *text, size_t room, int ndim, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, room, "[");
    for (int i = 0; i < ndim && at < room; i++)
        at += (size_t)snprintf(text + at, room - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (at < room)
        snprintf(text + at, room - at, "]");
    return text;
}

/* ---- sizes ---- */

/* Reads one dimension of the tensor behind a parameter; axis counts in OpenAI's layout. */
static cn_status measure(const clip_checkpoint *c, const char *openai_name, int ndim, int axis, int64_t limit, int *out,
                         cn_error *err)
{
    cn_status st = CN_OK;
    char found[200];
    clip_stored stored;
    clip_stored_names(c, openai_name, &stored);
    const char *name = stored.name[0];
    const cn_tensor *t = cn_weights_find(c->weights, name);
    CN_CHECK(t, CN_ENOTFOUND, "%s: no tensor %s", path_of(c), name);
    CN_CHECK(t->ndim == ndim, CN_EFORMAT, "%s: %s has shape %s, expected %d dimension%s", path_of(c), name,
             shape_text(found, sizeof found, t->ndim, t->shape), ndim, ndim == 1 ? "" : "s");
    int64_t value = t->shape[stored.transposed ? ndim - 1 - axis : axis];
    CN_CHECK(value >= 1, CN_EFORMAT, "%s: %s has shape %s, with an empty dimension", path_of(c), name,
             shape_text(found, sizeof found, t->ndim, t->shape));
    CN_CHECK(value <= limit, CN_ELIMIT, "%s: %s has shape %s; %lld is beyond the limit of %lld", path_of(c), name,
             shape_text(found, sizeof found, t->ndim, t->shape), (long long)value, (long long)limit);
    *out = (int)value;
done:
    return st;
}

/* The side of the grid whose positions, and one more, are embedded. */
static cn_status measure_grid(const clip_checkpoint *c, const char *openai_name, int cell_px, int *resolution, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t most = CLIP_MAX_RESOLUTION / cell_px;
    int positions, side = 0;
    clip_stored stored;
    CN_TRY(measure(c, openai_name, 2, 0, most * most + 1, &positions, err));
    while ((side + 1) * (side + 1) <= positions - 1)
        side++;
    clip_stored_names(c, openai_name, &stored);
    CN_CHECK(side >= 1 && side * side == positions - 1, CN_EFORMAT,
             "%s: %s has %d positions; expected one more than a square number", path_of(c), stored.name[0], positions);
    *resolution = side * cell_px;
done:
    return st;
}

static cn_status measure_image(clip_checkpoint *c, cn_error *err)
{
    cn_status st = CN_OK;
    cn_model_info *m = &c->info;
    if (m->architecture == CN_ARCH_RESNET) {
        CN_TRY(measure(c, "visual.layer1.0.conv1.weight", 4, 0, CLIP_MAX_WIDTH / 32, &m->image_width, err));
        CN_CHECK(m->image_width >= 2, CN_EFORMAT, "%s: visual.layer1.0.conv1.weight: a ResNet of width 1 has an empty stem",
                 path_of(c));
        for (int stage = 0; stage < 4; stage++) {
            char prefix[32];
            snprintf(prefix, sizeof prefix, "visual.layer%d.", stage + 1);
            CN_TRY(clip_count_blocks(c, prefix, &m->blocks[stage], err));
            CN_CHECK(m->blocks[stage] > 0, CN_ENOTFOUND, "%s: no tensor %s0.conv1.weight", path_of(c), prefix);
        }
        CN_TRY(measure_grid(c, "visual.attnpool.positional_embedding", 32, &m->resolution, err));
        if (!c->has_text)
            CN_TRY(measure(c, "visual.attnpool.c_proj.weight", 2, 0, CLIP_MAX_EMBEDDING, &m->embedding, err));
    } else {
        CN_TRY(measure(c, "visual.conv1.weight", 4, 0, CLIP_MAX_WIDTH, &m->image_width, err));
        CN_TRY(measure(c, "visual.conv1.weight", 4, 3, CLIP_MAX_PATCH, &m->patch, err));
        CN_TRY(clip_count_blocks(c, "visual.transformer.resblocks.", &m->blocks[0], err));
        CN_TRY(measure(c, "visual.transformer.resblocks.0.mlp.c_fc.weight", 2, 0, CLIP_MAX_MLP, &c->image_mlp, err));
        CN_TRY(measure_grid(c, "visual.positional_embedding", m->patch, &m->resolution, err));
        if (!c->has_text)
            CN_TRY(measure(c, "visual.proj", 2, 1, CLIP_MAX_EMBEDDING, &m->embedding, err));
    }
done:
    return st;
}

static cn_status measure_text(clip_checkpoint *c, cn_error *err)
{
    cn_status st = CN_OK;
    cn_model_info *m = &c->info;
    CN_TRY(measure(c, "token_embedding.weight", 2, 0, CLIP_MAX_VOCABULARY, &m->vocabulary, err));
    CN_TRY(measure(c, "positional_embedding", 2, 0, CLIP_MAX_CONTEXT, &m->context_length, err));
    CN_TRY(measure(c, "ln_final.weight", 1, 0, CLIP_MAX_WIDTH, &m->text_width, err));
    CN_TRY(measure(c, "text_projection", 2, 1, CLIP_MAX_EMBEDDING, &m->embedding, err));
    CN_TRY(clip_count_blocks(c, "transformer.resblocks.", &m->text_layers, err));
    CN_TRY(measure(c, "transformer.resblocks.0.mlp.c_fc.weight", 2, 0, CLIP_MAX_MLP, &c->text_mlp, err));
done:
    return st;
}

/* ---- what tensors cannot say ---- */

/* Chooses the heads of one attention of `width` channels. */
static cn_status choose_heads(const clip_checkpoint *c, const char *tower, int width, int option, int config,
                              int config_default, const char *config_source, int *heads, const char **source, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(option >= 0, CN_EINVAL, "%d heads asked for in the %s tower", option, tower);
    if (option > 0) {
        *heads = option, *source = "option";
    } else if (config > 0) {
        *heads = config, *source = config_source;
    } else if (config_default > 0 && width % config_default == 0) {
        *heads = config_default, *source = config_source;
    } else {
        *heads = width / HEAD_WIDTH > 1 ? width / HEAD_WIDTH : 1, *source = "width/64";
    }
    CN_CHECK(*heads <= width && width % *heads == 0, option > 0 ? CN_EINVAL : CN_EFORMAT,
             "%s: %s tower: a width of %d cannot be divided among %d heads (%s)", path_of(c), tower, width, *heads, *source);
done:
    return st;
}

static cn_status choose(clip_checkpoint *c, const cn_model_options *opt, cn_error *err)
{
    cn_status st = CN_OK;
    cn_model_info *m = &c->info;
    clip_config config;
    CN_TRY(clip_config_parse(&config, cn_weights_config(c->weights), path_of(c), err));
    memcpy(m->mean, config.mean, sizeof m->mean);
    memcpy(m->std, config.std, sizeof m->std);

    cn_gelu image = c->has_image ? config.image_gelu : CN_GELU_AUTO, text = c->has_text ? config.text_gelu : CN_GELU_AUTO;
    m->gelu = image != CN_GELU_AUTO ? image : text;
    m->gelu_source = config.source;
    if (opt && opt->gelu != CN_GELU_AUTO) {
        m->gelu = opt->gelu;
        m->gelu_source = "option";
    } else if (m->gelu == CN_GELU_AUTO) {
        m->gelu = CN_GELU_QUICK;
        m->gelu_source = "default";
    } else {
        bool resnet = m->architecture == CN_ARCH_RESNET; /* has no GELU: its towers cannot disagree */
        if (resnet && text != CN_GELU_AUTO)
            m->gelu = text;
        CN_CHECK(resnet || image == CN_GELU_AUTO || text == CN_GELU_AUTO || image == text, CN_EUNSUPPORTED,
                 "%s: %s: the towers have different activations; choose one by option", path_of(c), config.source);
    }

    if (c->has_image) {
        int width = m->architecture == CN_ARCH_RESNET ? 32 * m->image_width : m->image_width;
        int by_width = config.head_width;
        if (by_width > 0)
            config.image_heads = width / by_width > 1 ? width / by_width : 1;
        CN_TRY(choose_heads(c, "image", width, opt ? opt->image_heads : 0, config.image_heads, config.image_heads_default,
                            config.source, &m->image_heads, &c->image_heads_source, err));
    }
    if (c->has_text)
        CN_TRY(choose_heads(c, "text", m->text_width, opt ? opt->text_heads : 0, config.text_heads,
                            config.text_heads_default, config.source, &m->text_heads, &c->text_heads_source, err));
done:
    return st;
}

/* ---- every tensor against its parameter ---- */

static bool is_float(cn_dtype dtype)
{
    return dtype == CN_DTYPE_F16 || dtype == CN_DTYPE_BF16 || dtype == CN_DTYPE_F32 || dtype == CN_DTYPE_F64;
}

/* The shape that each of a parameter's stored tensors has. */
static void stored_shape(const clip_param *p, int parts, int64_t shape[4])
{
    memcpy(shape, p->shape, sizeof p->shape);
    shape[0] /= parts;
    if (p->transposed)
        shape[0] = p->shape[1], shape[1] = p->shape[0];
}

static cn_status find_sources(const clip_checkpoint *c, clip_param *p, cn_error *err)
{
    cn_status st = CN_OK;
    char found[200], wanted[100];
    int64_t shape[4];
    clip_stored stored;
    const cn_tensor *t[3] = {NULL};
    int present = 0;
    clip_stored_names(c, p->name, &stored);
    p->transposed = stored.transposed;
    stored_shape(p, stored.count, shape);
    shape_text(wanted, sizeof wanted, p->ndim, shape);
    for (int i = 0; i < stored.count; i++)
        present += (t[i] = cn_weights_find(c->weights, stored.name[i])) != NULL;
    if (present == 0 && p->optional)
        return CN_OK; /* one_rule checks that no other block has it */

    for (int i = 0; i < stored.count; i++) {
        const char *name = stored.name[i];
        CN_CHECK(t[i], CN_ENOTFOUND, "%s: no tensor %s (expected with shape %s)", path_of(c), name, wanted);
        bool same = t[i]->ndim == p->ndim;
        for (int k = 0; same && k < p->ndim; k++)
            same = t[i]->shape[k] == shape[k];
        if (p->ndim == 0) /* PyTorch writes scalars with and without a dimension */
            same = t[i]->count == 1 && t[i]->ndim <= 1;
        CN_CHECK(same, CN_EFORMAT, "%s: %s has shape %s, expected %s", path_of(c), name,
                 shape_text(found, sizeof found, t[i]->ndim, t[i]->shape), wanted);
        CN_CHECK(is_float(t[i]->dtype), CN_EUNSUPPORTED, "%s: %s holds %s, expected f16, bf16, f32 or f64", path_of(c), name,
                 cn_dtype_name(t[i]->dtype));
        p->source[i] = t[i];
    }
    p->n_sources = stored.count;
done:
    return st;
}

/* A bias is absent from all blocks of a tower or from none: one missing bias is a damaged file. */
static cn_status one_rule(const clip_checkpoint *c, cn_error *err)
{
    static const char *const tails[] = {".attn.in_proj_bias", ".attn.out_proj.bias"};
    for (int tower = CN_TOWER_IMAGE; tower <= CN_TOWER_TEXT; tower++)
        for (size_t k = 0; k < 2; k++) {
            const clip_param *absent = NULL;
            bool any = false;
            for (size_t i = 0; i < c->n_params; i++) {
                const clip_param *p = &c->params[i];
                if (!p->optional || (int)p->tower != tower || !strstr(p->name, tails[k]))
                    continue;
                any |= p->n_sources > 0;
                if (p->n_sources == 0 && !absent)
                    absent = p;
            }
            if (any && absent) {
                clip_stored stored;
                clip_stored_names(c, absent->name, &stored);
                return cn_fail(err, CN_ENOTFOUND, "%s: no tensor %s, though other blocks have theirs", path_of(c),
                               stored.name[0]);
            }
        }
    return CN_OK;
}

/* The dtype that holds most elements. */
static cn_dtype usual_dtype(const clip_checkpoint *c)
{
    int64_t count[CN_DTYPE_BOOL + 1] = {0};
    cn_dtype best = CN_DTYPE_F32;
    for (size_t i = 0; i < c->n_params; i++)
        for (int k = 0; k < c->params[i].n_sources; k++)
            count[c->params[i].source[k]->dtype] += c->params[i].source[k]->count;
    for (int d = 0; d <= CN_DTYPE_BOOL; d++)
        if (count[d] > count[best])
            best = (cn_dtype)d;
    return best;
}

static void discount_absent(clip_checkpoint *c)
{
    for (size_t i = 0; i < c->n_params; i++) {
        const clip_param *p = &c->params[i];
        if (p->n_sources > 0)
            continue;
        c->info.parameters -= p->count;
        *(p->tower == CN_TOWER_IMAGE ? &c->info.image_parameters : &c->info.text_parameters) -= p->count;
    }
}

static cn_status read_logit_scale(clip_checkpoint *c, cn_error *err)
{
    cn_status st = CN_OK;
    float logarithm = 0;
    c->info.logit_scale = 1;
    if (!clip_param_find(c, "logit_scale"))
        return CN_OK; /* half a CLIP has no logits */
    CN_TRY(clip_param_read(c, "logit_scale", 1, &logarithm, err));
    CN_CHECK(fabsf(logarithm) <= CLIP_MAX_LOGIT_SCALE, CN_EFORMAT, "%s: logit_scale is %g; expected a logarithm such as 4.6052",
             path_of(c), (double)logarithm);
    c->info.logit_scale = expf(logarithm);
done:
    return st;
}

cn_status clip_checkpoint_read(clip_checkpoint **out, const cn_weights *w, const cn_model_options *opt, cn_error *err)
{
    cn_status st = CN_OK;
    clip_checkpoint *c = cn_calloc(1, sizeof *c);
    *out = NULL;
    CN_CHECK(c, CN_ENOMEM, "%zu bytes for a checkpoint", sizeof *c);
    c->weights = w;
    c->info.format = cn_weights_format(w);
    CN_TRY(clip_recognise(c, err));
    if (c->has_text)
        CN_TRY(measure_text(c, err));
    if (c->has_image)
        CN_TRY(measure_image(c, err));
    CN_TRY(choose(c, opt, err));

    CN_TRY(clip_params_list(c, err));
    for (size_t i = 0; i < c->n_params; i++)
        CN_TRY(find_sources(c, &c->params[i], err));
    CN_TRY(one_rule(c, err));
    CN_TRY(clip_refuse_extras(c, err));
    discount_absent(c);
    c->info.storage = usual_dtype(c);
    c->info.name = clip_architecture_name(c);
    CN_TRY(read_logit_scale(c, err));
    *out = c, c = NULL;
done:
    clip_checkpoint_free(c);
    return st;
}

void clip_checkpoint_free(clip_checkpoint *c)
{
    if (!c)
        return;
    cn_free(c->params);
    cn_free(c);
}

cn_status clip_checkpoint_need(const clip_checkpoint *c, cn_tower tower, cn_error *err)
{
    if (tower == CN_TOWER_IMAGE ? c->has_image : c->has_text)
        return CN_OK;
    return cn_fail(err, CN_EUNSUPPORTED, "%s: has no %s tower (no %s...), only the %s tower", path_of(c),
                   tower == CN_TOWER_IMAGE ? "image" : "text",
                   c->scheme == CLIP_SCHEME_HF ? tower == CN_TOWER_IMAGE ? "vision_model." : "text_model."
                   : tower == CN_TOWER_IMAGE   ? "visual."
                                               : "transformer.resblocks.",
                   tower == CN_TOWER_IMAGE ? "text" : "image");
}

/* ---- parameters by name ---- */

static int name_against_param(const void *name, const void *param)
{
    return strcmp(name, ((const clip_param *)param)->name);
}

const clip_param *clip_param_find(const clip_checkpoint *c, const char *openai_name)
{
    return c->n_params ? bsearch(openai_name, c->params, c->n_params, sizeof *c->params, name_against_param) : NULL;
}

bool clip_param_shape(const clip_checkpoint *c, const char *openai_name, int *ndim, int64_t shape[4])
{
    const clip_param *p = clip_param_find(c, openai_name);
    if (!p)
        return false;
    *ndim = p->ndim;
    memcpy(shape, p->shape, sizeof p->shape);
    return true;
}

cn_status clip_param_read(const clip_checkpoint *c, const char *openai_name, int64_t count, float *dst, cn_error *err)
{
    cn_status st = CN_OK;
    const clip_param *p = clip_param_find(c, openai_name);
    CN_CHECK(p, CN_ENOTFOUND, "%s: the model has no parameter %s", path_of(c), openai_name);
    CN_CHECK(count == p->count, CN_EINVAL, "%s: %s has %lld values, not %lld", path_of(c), openai_name, (long long)p->count,
             (long long)count);
    if (p->n_sources == 0)
        memset(dst, 0, (size_t)count * sizeof *dst);
    for (int i = 0; i < p->n_sources; i++) {
        cn_tensor view = *p->source[i];
        if (p->transposed) { /* a transposed view costs nothing: readers follow strides */
            view.shape[0] = p->source[i]->shape[1], view.shape[1] = p->source[i]->shape[0];
            view.stride[0] = p->source[i]->stride[1], view.stride[1] = p->source[i]->stride[0];
        }
        cn_tensor_read_f32(&view, dst);
        dst += view.count;
    }
done:
    return st;
}
