/* pull/models.c -- OpenAI's released files with their published sums (openai/CLIP, clip/clip.py), and
 * where they lie on this machine. */
#include "clipneuron/pull.h"

#include "base/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cn_pull_model models[] = {
    {"RN50", "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 224, 256},
    {"RN101", "RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 224, 292},
    {"RN50x4", "RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 288, 422},
    {"RN50x16", "RN50x16.pt", "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", 384, 661},
    {"RN50x64", "RN50x64.pt", "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", 448, 1353},
    {"ViT-B/32", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 224, 354},
    {"ViT-B/16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 224, 351},
    {"ViT-L/14", "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 224, 933},
    {"ViT-L/14@336px", "ViT-L-14-336px.pt",
     "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02", 336, 934},
};

enum { N_MODELS = sizeof models / sizeof models[0] };

size_t cn_pull_count(void)
{
    return N_MODELS;
}

const cn_pull_model *cn_pull_at(size_t i)
{
    return i < N_MODELS ? &models[i] : NULL;
}

/* Letters and digits alone, in lower case, so that "vit_b-32" is "ViT-B/32". "px" at the end falls away. */
static void simplify(char out[64], const char *name)
{
    size_t n = 0;
    for (; *name && n < 63; name++)
        if (isalnum((unsigned char)*name))
            out[n++] = (char)tolower((unsigned char)*name);
    if (n > 2 && memcmp(out + n - 2, "px", 2) == 0)
        n -= 2;
    out[n] = '\0';
}

cn_status cn_pull_find(const char *name, const cn_pull_model **out, cn_error *err)
{
    char wanted[64], have[64], list[256] = "";
    simplify(wanted, name);
    for (size_t i = 0; i < N_MODELS; i++) {
        simplify(have, models[i].name);
        if (strcmp(wanted, have) == 0) {
            *out = &models[i];
            return CN_OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", models[i].name);
    }
    return cn_fail(err, CN_ENOTFOUND, "%s: not a released model; they are %s", name, list);
}

cn_status cn_pull_folder(char folder[CN_PULL_PATH_SIZE], cn_error *err)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length;
    if (cache && cache[0] == '/') /* the XDG specification has relative ones ignored */
        length = snprintf(folder, CN_PULL_PATH_SIZE, "%s/clipneuron/models", cache);
    else if (home && home[0])
        length = snprintf(folder, CN_PULL_PATH_SIZE, "%s/.cache/clipneuron/models", home);
    else
        return cn_fail(err, CN_ENOTFOUND, "no folder for downloads: neither XDG_CACHE_HOME nor HOME is set");
    if (length < 0 || length >= CN_PULL_PATH_SIZE)
        return cn_fail(err, CN_ELIMIT, "the path of the cache has more than %d bytes", CN_PULL_PATH_SIZE - 1);
    return CN_OK;
}

cn_status cn_pull_path(const cn_pull_model *model, char path[CN_PULL_PATH_SIZE], cn_error *err)
{
    char folder[CN_PULL_PATH_SIZE];
    cn_status st = cn_pull_folder(folder, err);
    if (st != CN_OK)
        return st;
    int length = snprintf(path, CN_PULL_PATH_SIZE, "%s/%s", folder, model->file);
    if (length < 0 || length >= CN_PULL_PATH_SIZE)
        return cn_fail(err, CN_ELIMIT, "the path of %s has more than %d bytes", model->file,
                       CN_PULL_PATH_SIZE - 1);
    return CN_OK;
}
