/* clip/params.h -- steps of reading a checkpoint, for checkpoint.c and tests only. */
#ifndef CLIP_PARAMS_H
#define CLIP_PARAMS_H

#include "clip/checkpoint.h"

/* params.c: names and shapes of all parameters of a CLIP with the sizes in c->info, without sources.
 * Sets c->params (sorted), c->n_params and the parameter counts of c->info. */
CN_MUST_CHECK cn_status clip_params_list(clip_checkpoint *c, cn_error *err);

/* names.c: which tensors hold a parameter. */
#define CLIP_STORED_NAME 160
typedef struct clip_stored {
    int count;                        /* 1 or 3 */
    bool transposed;
    char name[3][CLIP_STORED_NAME];
} clip_stored;
void clip_stored_names(const clip_checkpoint *c, const char *openai_name, clip_stored *out);
/* Fills scheme, text_prefix, has_image, has_text and info.architecture; refuses what is not CLIP. */
CN_MUST_CHECK cn_status clip_recognise(clip_checkpoint *c, cn_error *err);
/* One more than the largest N in names that begin with the stored form of the OpenAI prefix + N. */
CN_MUST_CHECK cn_status clip_count_blocks(const clip_checkpoint *c, const char *openai_prefix, int *out, cn_error *err);
/* Refuses float tensors inside a block that no parameter uses: they would change the result. */
CN_MUST_CHECK cn_status clip_refuse_extras(const clip_checkpoint *c, cn_error *err);

/* architectures.c: "RN50x4" and so on, or "RN", "ViT", "text" for other shapes; static storage. */
const char *clip_architecture_name(const clip_checkpoint *c);

/* config.c */
typedef struct clip_config {
    const char *source;           /* "config.json", "open_clip_config.json", or NULL when there is none */
    cn_gelu image_gelu, text_gelu; /* AUTO: not said */
    int image_heads, text_heads;  /* 0: not said */
    int image_heads_default, text_heads_default; /* what the writer of such configs leaves out; 0: none */
    int head_width;               /* open_clip: of the image tower; 0: not said */
    float mean[3], std[3];        /* of pixels; OpenAI's where the config says nothing */
} clip_config;
/* text may be NULL. */
CN_MUST_CHECK cn_status clip_config_parse(clip_config *out, const char *text, const char *path, cn_error *err);

#endif
