/* clip/checkpoint.h -- what a CLIP checkpoint is, told from its tensors and its config.
 * Everything that a model needs is looked for, measured and checked while reading the checkpoint;
 * after that, parameters are fetched by the names of the original code and cannot be missing or of
 * another shape, whatever names the file uses (OpenAI's, open_clip's or Hugging Face's).
 * No graph is built here: see model.c, resnet.c, vit.c, text.c. */
#ifndef CLIP_CHECKPOINT_H
#define CLIP_CHECKPOINT_H

#include "base/check.h"
#include "clipneuron/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest CLIP that anybody has published is far below each of these; what is above them is a
 * damaged or hostile file. They keep every parameter's product of sizes within 63 bits; what activations
 * and batches multiply to is bounded by nn_check_sizes. */
#define CLIP_MAX_LAYERS 512        /* blocks of a transformer or of a ResNet stage */
#define CLIP_MAX_WIDTH 65536       /* channels of any residual stream, attention pool included */
#define CLIP_MAX_MLP 1048576       /* hidden units of a block's MLP */
#define CLIP_MAX_RESOLUTION 8192   /* px */
#define CLIP_MAX_PATCH 1024        /* px */
#define CLIP_MAX_EMBEDDING 65536
#define CLIP_MAX_CONTEXT 65536     /* tokens */
#define CLIP_MAX_VOCABULARY 16777216
#define CLIP_MAX_LOGIT_SCALE 20.0f /* of the stored logarithm; CLIP clips it at ln(100) = 4.6 */

#define CLIP_LAYER_NORM_EPS 1e-5f  /* of every layer norm and batch norm of CLIP */

typedef enum clip_scheme {
    CLIP_SCHEME_OPENAI, /* visual.conv1.weight, transformer.resblocks.0...: OpenAI and open_clip */
    CLIP_SCHEME_HF      /* vision_model..., text_model...: Hugging Face's CLIPModel and its halves */
} clip_scheme;

/* One parameter of the original code and the stored tensors that hold it. */
typedef struct clip_param {
    char name[64];              /* OpenAI's */
    cn_tower tower;             /* logit_scale: text, but counted in neither tower */
    int ndim;
    int64_t shape[4];           /* in OpenAI's layout */
    int64_t count;
    bool learned;               /* false: a running statistic, which is no parameter in PyTorch's sense */
    bool optional;              /* a bias of an attention that some checkpoints do without */
    bool transposed;            /* stored with its two dimensions swapped */
    int n_sources;              /* 1; 3 for Hugging Face's q, k, v; 0: absent, reads as zeros */
    const cn_tensor *source[3]; /* borrowed from the weights */
} clip_param;

typedef struct clip_checkpoint {
    const cn_weights *weights;  /* borrowed */
    clip_scheme scheme;
    const char *text_prefix;    /* "text." in open_clip's CustomTextCLIP, else ""; static */
    bool has_image, has_text;   /* half a CLIP is accepted until the other half is needed */
    cn_model_info info;         /* all but the FLOPs; sizes of a missing tower are 0 */
    int image_mlp, text_mlp;    /* hidden units of a block's MLP; image_mlp is 0 for a ResNet */
    const char *image_heads_source, *text_heads_source; /* "width/64", "config.json", "option"; static */
    clip_param *params;         /* sorted by name */
    size_t n_params;
} clip_checkpoint;

/** Recognises and checks a checkpoint.
 * @param w borrowed: must outlive *out
 * @param opt NULL for defaults
 * @param[out] out owned by the caller, clip_checkpoint_free; NULL on failure
 * @return CN_OK; CN_EUNSUPPORTED (not CLIP, or a relative of CLIP that computes something else);
 *         CN_ENOTFOUND (a tensor is missing); CN_EFORMAT (wrong shape, broken config); CN_ELIMIT; CN_EINVAL; CN_ENOMEM */
CN_MUST_CHECK cn_status clip_checkpoint_read(clip_checkpoint **out, const cn_weights *w, const cn_model_options *opt,
                                             cn_error *err);
/* Accepts NULL. */
void clip_checkpoint_free(clip_checkpoint *c);

/** @return CN_OK; CN_EUNSUPPORTED with a line that says which tower the file lacks */
CN_MUST_CHECK cn_status clip_checkpoint_need(const clip_checkpoint *c, cn_tower tower, cn_error *err);

/* The parameter of that name in the original code, or NULL. */
const clip_param *clip_param_find(const clip_checkpoint *c, const char *openai_name);
bool clip_param_shape(const clip_checkpoint *c, const char *openai_name, int *ndim, int64_t shape[4]);
/** Reads a parameter as float32, row-major, in OpenAI's layout, whatever the file's.
 * @param count elements of dst, which must be those of the parameter
 * @return CN_OK; CN_ENOTFOUND, CN_EINVAL: errors of the caller, not of the file */
CN_MUST_CHECK cn_status clip_param_read(const clip_checkpoint *c, const char *openai_name, int64_t count, float *dst,
                                        cn_error *err);

#endif
