/* clip/architectures.c -- the nine shapes that OpenAI published, to give a model its name. */
#include "clip/params.h"

#include <string.h>

static const struct shape {
    const char *name;
    int patch, resolution, width, blocks[4], embedding;
    int text_width, text_layers;
} published[] = {
    /* name             patch  px  width blocks           embedding  text */
    {"RN50", 0, 224, 64, {3, 4, 6, 3}, 1024, 512, 12},
    {"RN101", 0, 224, 64, {3, 4, 23, 3}, 512, 512, 12},
    {"RN50x4", 0, 288, 80, {4, 6, 10, 6}, 640, 640, 12},
    {"RN50x16", 0, 384, 96, {6, 8, 18, 8}, 768, 768, 12},
    {"RN50x64", 0, 448, 128, {3, 15, 36, 10}, 1024, 1024, 12},
    {"ViT-B/32", 32, 224, 768, {12}, 512, 512, 12},
    {"ViT-B/16", 16, 224, 768, {12}, 512, 512, 12},
    {"ViT-L/14", 14, 224, 1024, {24}, 768, 768, 12},
    {"ViT-L/14@336px", 14, 336, 1024, {24}, 768, 768, 12},
};

const char *clip_architecture_name(const clip_checkpoint *c)
{
    const cn_model_info *m = &c->info;
    if (!c->has_image)
        return "text";
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const struct shape *s = &published[i];
        if (s->patch == m->patch && s->resolution == m->resolution && s->width == m->image_width &&
            !memcmp(s->blocks, m->blocks, sizeof s->blocks) && s->embedding == m->embedding &&
            (!c->has_text || (s->text_width == m->text_width && s->text_layers == m->text_layers)))
            return s->name;
    }
    return m->architecture == CN_ARCH_RESNET ? "RN" : "ViT";
}
