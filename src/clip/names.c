/* clip/names.c -- the names that checkpoints give to the parameters of CLIP.
 * OpenAI's names are the canonical ones; open_clip uses them too (its CustomTextCLIP puts "text."
 * before the text tower's); Hugging Face has its own, splits q, k, v and transposes the projections.
 * Relatives of CLIP that compute something else are told apart here, by the names they add. */
#include "clip/params.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && !strcmp(text + n - k, suffix);
}

/* ---- from OpenAI's name to what the file stores ---- */

typedef struct rename {
    const char *from, *to;
} rename_rule;

static const rename_rule hf_whole[] = {
    {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
    {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
    {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
    {"visual.ln_pre.weight", "vision_model.pre_layrnorm.weight"}, /* sic */
    {"visual.ln_pre.bias", "vision_model.pre_layrnorm.bias"},
    {"visual.ln_post.weight", "vision_model.post_layernorm.weight"},
    {"visual.ln_post.bias", "vision_model.post_layernorm.bias"},
    {"visual.proj", "visual_projection.weight"},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.weight", "text_model.final_layer_norm.weight"},
    {"ln_final.bias", "text_model.final_layer_norm.bias"},
    {"text_projection", "text_projection.weight"},
    {"logit_scale", "logit_scale"},
};

static const rename_rule hf_in_block[] = {
    {"ln_1.", "layer_norm1."},
    {"ln_2.", "layer_norm2."},
    {"attn.out_proj.", "self_attn.out_proj."},
    {"mlp.c_fc.", "mlp.fc1."},
    {"mlp.c_proj.", "mlp.fc2."},
};

static void hf_names(const char *name, clip_stored *out)
{
    static const char image_blocks[] = "visual.transformer.resblocks.", text_blocks[] = "transformer.resblocks.";
    const size_t room = sizeof out->name[0];
    for (size_t i = 0; i < sizeof hf_whole / sizeof hf_whole[0]; i++)
        if (!strcmp(name, hf_whole[i].from)) {
            snprintf(out->name[0], room, "%s", hf_whole[i].to);
            out->transposed = !strcmp(name, "visual.proj") || !strcmp(name, "text_projection");
            return;
        }
    const char *tower, *rest;
    if (starts(name, image_blocks))
        tower = "vision_model", rest = name + strlen(image_blocks);
    else if (starts(name, text_blocks))
        tower = "text_model", rest = name + strlen(text_blocks);
    else {
        snprintf(out->name[0], room, "%s", name);
        return;
    }
    int digits = (int)strspn(rest, "0123456789");
    const char *tail = rest[digits] == '.' ? rest + digits + 1 : rest + digits;
    if (starts(tail, "attn.in_proj_")) {
        out->count = 3;
        for (int i = 0; i < 3; i++)
            snprintf(out->name[i], room, "%s.encoder.layers.%.*s.self_attn.%c_proj.%s", tower, digits, rest, "qkv"[i],
                     tail + strlen("attn.in_proj_"));
        return;
    }
    for (size_t i = 0; i < sizeof hf_in_block / sizeof hf_in_block[0]; i++)
        if (starts(tail, hf_in_block[i].from)) {
            snprintf(out->name[0], room, "%s.encoder.layers.%.*s.%s%s", tower, digits, rest, hf_in_block[i].to,
                     tail + strlen(hf_in_block[i].from));
            return;
        }
    snprintf(out->name[0], room, "%s.encoder.layers.%.*s%s%s", tower, digits, rest, *tail ? "." : "", tail);
}

void clip_stored_names(const clip_checkpoint *c, const char *name, clip_stored *out)
{
    memset(out, 0, sizeof *out);
    out->count = 1;
    if (c->scheme == CLIP_SCHEME_HF)
        hf_names(name, out);
    else if (starts(name, "visual.") || !strcmp(name, "logit_scale"))
        snprintf(out->name[0], sizeof out->name[0], "%s", name);
    else
        snprintf(out->name[0], sizeof out->name[0], "%s%s", c->text_prefix, name);
}

/* ---- what kind of checkpoint it is ---- */

/* Names that only relatives of CLIP have. */
static const struct relative {
    const char *prefix, *but_not, *what;
} relatives[] = {
    {"visual.trunk.", NULL, "a timm image tower"},
    {"visual.blocks.", NULL, "an image tower of another kind (EVA and others)"},
    {"visual.attn_pool.", NULL, "an attentional pooler (CoCa and others)"},
    {"visual.conv1.bias", NULL, "a patch embedding with a bias"},
    {"visual.head.", NULL, "an image tower with a head of another kind"},
    {"text.transformer.", "text.transformer.resblocks.", "a Hugging Face text encoder"},
    {"text.cls_emb", NULL, "a class token in the text tower (CoCa and others)"},
    {"text_decoder.", NULL, "a text decoder (CoCa)"},
    {"text_projection.bias", NULL, "a text projection with a bias"},
    {"text.text_projection.bias", NULL, "a text projection with a bias"},
    {"visual_projection.bias", NULL, "an image projection with a bias"},
    {"vision_model.head.", NULL, "SigLIP's image head"},
    {"text_model.head.", NULL, "SigLIP's text head"},
    {"vision_model.embeddings.patch_embedding.bias", NULL, "a patch embedding with a bias (SigLIP and others)"},
    {"text_model.encoder.layer.", NULL, "a BERT text encoder"},
    {"text_model.embeddings.word_embeddings.", NULL, "a BERT text encoder"},
    {"text_model.roberta.", NULL, "a RoBERTa text encoder"},
};

static cn_status refuse_relatives(const clip_checkpoint *c, cn_error *err)
{
    for (size_t i = 0; i < cn_weights_count(c->weights); i++) {
        const char *name = cn_weights_at(c->weights, i)->name;
        for (size_t k = 0; k < sizeof relatives / sizeof relatives[0]; k++)
            if (starts(name, relatives[k].prefix) && !(relatives[k].but_not && starts(name, relatives[k].but_not)))
                return cn_fail(err, CN_EUNSUPPORTED,
                               "%s: %.100s belongs to %s; only OpenAI's CLIP architectures (ResNet or ViT, under OpenAI, "
                               "open_clip or Hugging Face names) are read",
                               cn_weights_path(c->weights), name, relatives[k].what);
    }
    return CN_OK;
}

static cn_status refuse_stranger(const clip_checkpoint *c, cn_error *err)
{
    char first[3 * 90 + 8] = "";
    size_t n = cn_weights_count(c->weights), at = 0;
    for (size_t i = 0; i < n && i < 3; i++)
        at += (size_t)snprintf(first + at, sizeof first - at, "%s%.80s", i ? ", " : "", cn_weights_at(c->weights, i)->name);
    if (n == 0)
        return cn_fail(err, CN_EUNSUPPORTED, "%s: holds no tensors", cn_weights_path(c->weights));
    return cn_fail(err, CN_EUNSUPPORTED,
                   "%s: no visual.conv1.weight or vision_model...; this does not look like CLIP; first tensor%s %s%s",
                   cn_weights_path(c->weights), n > 1 ? "s are" : " is", first, n > 3 ? ", ..." : "");
}

cn_status clip_recognise(clip_checkpoint *c, cn_error *err)
{
    cn_status st = CN_OK;
    bool openai_image = false, openai_text = false, custom_text = false, hf_image = false, hf_text = false;
    bool stages = false;
    CN_TRY(refuse_relatives(c, err));
    for (size_t i = 0; i < cn_weights_count(c->weights); i++) {
        const char *name = cn_weights_at(c->weights, i)->name;
        openai_image |= starts(name, "visual.");
        stages |= starts(name, "visual.layer1.");
        openai_text |= starts(name, "transformer.resblocks.") || !strcmp(name, "token_embedding.weight");
        custom_text |= starts(name, "text.transformer.resblocks.") || !strcmp(name, "text.token_embedding.weight");
        hf_image |= starts(name, "vision_model.");
        hf_text |= starts(name, "text_model.");
    }
    c->text_prefix = "";
    if (openai_image || openai_text || custom_text) {
        c->scheme = CLIP_SCHEME_OPENAI;
        c->has_image = openai_image;
        c->has_text = openai_text || custom_text;
        if (custom_text && !openai_text)
            c->text_prefix = "text.";
    } else if (hf_image || hf_text) {
        c->scheme = CLIP_SCHEME_HF;
        c->has_image = hf_image;
        c->has_text = hf_text;
    } else {
        CN_TRY(refuse_stranger(c, err));
    }
    c->info.architecture = stages ? CN_ARCH_RESNET : CN_ARCH_VIT;
done:
    return st;
}

/* ---- blocks ---- */

/* The number at the start of text, followed by '.'; -1 when there is none, CLIP_MAX_LAYERS when it is larger. */
static int block_number(const char *text)
{
    int value = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '.')
        return -1;
    for (size_t i = 0; i < digits; i++) {
        value = 10 * value + (text[i] - '0');
        if (value >= CLIP_MAX_LAYERS)
            return CLIP_MAX_LAYERS;
    }
    return value;
}

cn_status clip_count_blocks(const clip_checkpoint *c, const char *openai_prefix, int *out, cn_error *err)
{
    clip_stored stored;
    clip_stored_names(c, openai_prefix, &stored);
    size_t length = strlen(stored.name[0]);
    *out = 0;
    for (size_t i = 0; i < cn_weights_count(c->weights); i++) {
        const char *name = cn_weights_at(c->weights, i)->name;
        if (strncmp(name, stored.name[0], length) != 0)
            continue;
        int number = block_number(name + length);
        if (number >= CLIP_MAX_LAYERS)
            return cn_fail(err, CN_ELIMIT, "%s: %.100s: more than %d blocks", cn_weights_path(c->weights), name,
                           CLIP_MAX_LAYERS);
        if (number + 1 > *out)
            *out = number + 1;
    }
    return CN_OK;
}

static bool in_block(const clip_checkpoint *c, const char *name)
{
    static const char *const prefixes[] = {"visual.layer1.", "visual.layer2.", "visual.layer3.", "visual.layer4.",
                                           "visual.transformer.resblocks.", "transformer.resblocks."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        clip_stored stored;
        clip_stored_names(c, prefixes[i], &stored);
        if (starts(name, stored.name[0]) && block_number(name + strlen(stored.name[0])) >= 0)
            return true;
    }
    return false;
}

/* Buffers that PyTorch and TorchScript save beside the parameters and that change nothing. */
static bool harmless(const char *name)
{
    return ends(name, ".num_batches_tracked") || ends(name, ".attn_mask") || ends(name, ".position_ids");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

cn_status clip_refuse_extras(const clip_checkpoint *c, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n = 0;
    const char **used = cn_malloc((3 * c->n_params + 1) * sizeof *used);
    CN_CHECK(used, CN_ENOMEM, "%zu parameter names", 3 * c->n_params);
    for (size_t i = 0; i < c->n_params; i++)
        for (int k = 0; k < c->params[i].n_sources; k++)
            used[n++] = c->params[i].source[k]->name;
    qsort(used, n, sizeof *used, by_text);
    for (size_t i = 0; i < cn_weights_count(c->weights); i++) {
        const char *name = cn_weights_at(c->weights, i)->name;
        if (harmless(name) || !in_block(c, name) || bsearch(&name, used, n, sizeof *used, by_text))
            continue;
        CN_CHECK(false, CN_EUNSUPPORTED,
                 "%s: %.100s is no part of CLIP's blocks; a model with it computes something else", cn_weights_path(c->weights),
                 name);
    }
done:
    cn_free(used);
    return st;
}
