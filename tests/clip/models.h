/* tests/clip/models.h -- models and their sites, or the end of the test. After cmocka.h. */
#ifndef TESTS_CLIP_MODELS_H
#define TESTS_CLIP_MODELS_H

#include "clipneuron/model.h"

#include <stdio.h>
#include <string.h>

#define SPECIMEN CN_SOURCE_DIR "/models/specimen.safetensors"

static inline cn_model *open_model(const char *path)
{
    cn_error err = {0};
    cn_model *m = NULL;
    if (cn_model_open(&m, path, NULL, &err) != CN_OK)
        fail_msg("%s", err.text);
    return m;
}

/* "specimen", the default model, or the name of a golden one. */
static inline cn_model *open_named(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, CN_TEST_DATA "/golden/%s.safetensors", name);
    return open_model(strcmp(name, "specimen") == 0 ? SPECIMEN : path);
}

static inline const cn_site *site_of(const cn_model *model, const char *name)
{
    cn_error err = {0};
    const cn_site *site = NULL;
    if (cn_model_find_site(model, name, &site, &err) != CN_OK)
        fail_msg("%s", err.text);
    return site;
}

#endif
