/* clipneuron/model.h -- a CLIP model, its sites, and runners that compute them.
 *
 * A cn_model is the checkpoint and what was found in it: read-only, shared by threads.
 * A cn_runner is one tower compiled for a batch size, a precision and a set of sites: it owns its
 * packed weights and its planned memory, and computes nothing deeper than the deepest site asked for.
 * One runner belongs to one thread at a time.
 *
 * Sites are the module paths of the original PyTorch code (docs/sites.md). */
#ifndef CLIPNEURON_MODEL_H
#define CLIPNEURON_MODEL_H

#include "clipneuron/error.h"
#include "clipneuron/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_tower { CN_TOWER_IMAGE, CN_TOWER_TEXT } cn_tower;
typedef enum cn_precision { CN_PRECISION_F32, CN_PRECISION_BF16 } cn_precision;
typedef enum cn_gelu { CN_GELU_AUTO, CN_GELU_QUICK, CN_GELU_ERF } cn_gelu;
typedef enum cn_backend {
    CN_BACKEND_ONEDNN,    /* the fast one */
    CN_BACKEND_REFERENCE  /* plain C, fp32 only: the specification */
} cn_backend;

typedef enum cn_architecture { CN_ARCH_RESNET, CN_ARCH_VIT } cn_architecture;

typedef struct cn_model_options {
    cn_gelu gelu;         /* AUTO: what the config says; QuickGELU (OpenAI's) where none does */
    int image_heads;      /* 0: what the config says, else width/64 as the original */
    int text_heads;       /* 0: the same */
} cn_model_options;

/* Everything that `clipneuron info` prints; sizes in elements unless said. */
typedef struct cn_model_info {
    cn_architecture architecture;  /* of the image tower */
    const char *name;              /* "RN50x4", ... when the shape is one of OpenAI's, else "RN", "ViT" */
    const char *format;            /* of the checkpoint */
    cn_dtype storage;              /* dtype of most parameters */
    cn_gelu gelu;                  /* never AUTO */
    const char *gelu_source;       /* "config.json", "default", "option" */
    int64_t parameters;
    int64_t image_parameters, text_parameters;
    double image_flops;            /* multiply-adds x 2 of one image */
    double text_flops;             /* of one text of full context length */
    int resolution;                /* px */
    float mean[3], std[3];         /* of RGB pixels in 0..1, for cn_pixels_normalise: CLIP's unless the config says otherwise */
    int patch;                     /* px; 0 for a ResNet */
    int image_width, image_heads;  /* ResNet: width of the stem's end; ViT: model width */
    int blocks[4];                 /* ResNet: blocks a stage; ViT: blocks[0] layers */
    int embedding;
    int text_width, text_heads, text_layers, context_length, vocabulary;
    float logit_scale;             /* exp(logit_scale), the factor on cosines */
} cn_model_info;

typedef struct cn_model cn_model;

/** @param path a file or folder that cn_weights_open accepts
 * @param options NULL for defaults
 * @param[out] out owned by the caller, cn_model_close */
CN_API CN_MUST_CHECK cn_status cn_model_open(cn_model **out, const char *path, const cn_model_options *options,
                                             cn_error *err);
CN_API void cn_model_close(cn_model *model);
/** Borrowed until close. */
CN_API const cn_model_info *cn_model_get_info(const cn_model *model);
/** The checkpoint behind the model; borrowed. */
CN_API const cn_weights *cn_model_weights(const cn_model *model);
/** cn_weights_fingerprint plus the choices that change results (gelu, heads); computed on first use, cached. */
CN_API CN_MUST_CHECK cn_status cn_model_fingerprint(const cn_model *model, char hex[65], cn_error *err);

/* How the values of one image (or text) at a site are laid out. */
typedef enum cn_site_layout {
    CN_SITE_MAP,    /* (C, H, W) */
    CN_SITE_TOKENS, /* (L, D); the first token of a ViT is the class token */
    CN_SITE_VECTOR  /* (D) */
} cn_site_layout;

typedef struct cn_site {
    const char *name;       /* canonical, e.g. "visual.layer4.5.add"; borrowed from the model */
    cn_tower tower;
    cn_site_layout layout;
    int64_t units;          /* C or D */
    int64_t height, width;  /* MAP: H, W; TOKENS: L, 1; VECTOR: 1, 1 */
    int64_t positions;      /* height * width */
    size_t index;           /* its number in the model */
} cn_site;

CN_API size_t cn_model_site_count(const cn_model *model);
/** The i-th site in the order of computation, image tower first; borrowed. */
CN_API const cn_site *cn_model_site_at(const cn_model *model, size_t i);
/** Finds a site by module path or alias ("layer4", "layer4_5_relu3", "image_block_4/5/Add_6").
 * @return CN_OK; CN_ENOTFOUND with the nearest valid names in err */
CN_API CN_MUST_CHECK cn_status cn_model_find_site(const cn_model *model, const char *name, const cn_site **out,
                                                  cn_error *err);
/** Reads "SITE:UNIT". @return CN_EINVAL with the valid range when the unit is out of it */
CN_API CN_MUST_CHECK cn_status cn_model_parse_unit(const cn_model *model, const char *text, const cn_site **site,
                                                   int64_t *unit, cn_error *err);
/** The site whose units the tool shows by default: the pre-ReLU sum of the last block of a ResNet
 * (the paper's choice), the last MLP activation of a ViT. */
CN_API const cn_site *cn_model_default_site(const cn_model *model);

/* What a runner makes of a site's values before anything reads them, the caller included: x becomes `values` where those
 * are given, then min(max(scale x + shift, low), high) by unit, at every position. NaN stays NaN. The arrays are the caller's
 * until the runner is freed; they are read at every run, so their numbers may be others in the next one.
 * clipneuron/intervene.h makes such edits from "layer4:89=0" and the like. */
typedef struct cn_site_edit {
    const cn_site *site;
    const float *scale, *shift; /* (units); NULL: 1 and 0 */
    const float *low, *high;    /* (units); NULL: no bound. low <= high */
    bool by_image;              /* these four are (batch, units): every image of a batch has its own */
    const float *values;        /* (batch, as cn_runner_site gives them): what the site holds, whatever lies below; NULL: what was
                                   computed. What only leads to such a site is not computed, the pixels perhaps not read */
} cn_site_edit;

typedef struct cn_runner_options {
    cn_tower tower;
    const cn_site *const *sites;  /* sites to read, all of this tower; NULL for none */
    size_t n_sites;
    bool embedding;               /* compute the tower's output (before normalisation) */
    int64_t batch;                /* largest number of images or texts a run, at most 65536; 0: 8. A run of fewer
                                     costs as much as a full one */
    int64_t text_length;          /* text tower: tokens computed, marks included; 0: the context length. Shorter is
                                     faster and exact, since a text's end mark sees only what stands before it. Sites of
                                     the text tower are read at the full length only */
    int threads;                  /* 1 to 1024; 0: all cores that the process may use. The reference uses one */
    cn_precision precision;       /* of weights and activations; what is read out is float32 in both */
    cn_backend backend;
    int resolution;               /* image tower: px of a side, 0: the model's. Else the positional embeddings are
                                     interpolated, and sites have other heights and widths: cn_runner_site_size */
    bool input_gradient;          /* cn_runner_backward will be asked for the gradient of the input */
    const cn_site *const *gradient_sites; /* and of these sites' values, all of this tower; NULL for none */
    size_t n_gradient_sites;
    size_t activation_limit;      /* bytes for planned activations where gradients will be asked for; 0: no limit. What the
                                     forward run cannot keep within it, cn_runner_backward computes again, part by part */
    const cn_site_edit *edits;    /* interventions, done in this order where several are of one site; NULL for none. Of this tower.
                                     Gradients are refused below an edited site; at it they are those of its edited values */
    size_t n_edits;
} cn_runner_options;

typedef struct cn_runner cn_runner;

/** Programs with signal handlers: block those signals in the threads that run a model, and wait for them in another one. oneDNN's machine code may
 * use the stack pointer as one more register, and a handler's frame would then be written into the heap (cli/interrupt.c).
 * @param[out] out owned by the caller, cn_runner_free; the model must outlive it
 * @return CN_OK; CN_EINVAL (a site of the other tower, nothing to read, a number out of range), CN_EUNSUPPORTED (gradients below an
 *         edit, a tower that the checkpoint lacks, bf16 on a CPU or backend without it), CN_ELIMIT (a batch that needs more memory than
 *         any machine has, or than activation_limit), CN_EBACKEND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_runner_create(cn_runner **out, const cn_model *model,
                                                const cn_runner_options *options, cn_error *err);
CN_API void cn_runner_free(cn_runner *runner);

/** Runs the image tower. An image's values do not depend on what else is in the batch, NaN included.
 * @param pixels normalised float32 (n, 3, R, R) with R the runner's resolution, 1 <= n <= batch; read during the call only
 * @return CN_OK; CN_EINVAL (n, or a runner of the text tower), CN_EBACKEND */
CN_API CN_MUST_CHECK cn_status cn_runner_images(cn_runner *runner, const float *pixels, int64_t n, cn_error *err);
/** Runs the text tower.
 * @param tokens (n, context_length) with marks, zero-padded, 1 <= n <= batch; read during the call only. The embedding
 *        is that of the first of the highest ids, the end mark
 * @return CN_OK; CN_EINVAL (n, an id outside the vocabulary, a text beyond text_length, a runner of the image tower),
 *         CN_EBACKEND */
CN_API CN_MUST_CHECK cn_status cn_runner_texts(cn_runner *runner, const int32_t *tokens, int64_t n, cn_error *err);

/** (n, embedding) of the last run, borrowed until the next run; NULL unless asked for. */
CN_API const float *cn_runner_embedding(const cn_runner *runner);
/** Values of the i-th site asked for, of the last run: (n, C, H, W), (n, L, D) or (n, D) float32;
 * borrowed until the next run. */
CN_API const float *cn_runner_site(const cn_runner *runner, size_t i);

/* What cn_runner_backward differentiates: an objective of the values that the runner reads, given by its derivatives
 * with respect to them at the last run's values. */
typedef struct cn_objective_gradient {
    const float *const *sites;   /* for each of the runner's sites d objective / d values, shaped as cn_runner_site gives
                                    them, or NULL; NULL: none at all */
    const float *embedding;      /* the same for cn_runner_embedding, or NULL */
    bool without_input;          /* leave the gradient of the input out: cheaper when only sites are wanted */
    const bool *wanted;          /* for each of gradient_sites, whether it is wanted; NULL: all */
    bool redirect_relu;          /* Lucid's override for the first steps of an ascent: where nothing of an image's gradient
                                    would pass a ReLU, as all that matters is off, it passes except where it pushes
                                    further down */
    float relu_leak;             /* 0 to 1: this share of the gradient passes ReLUs that are off, where it would switch them on; for the
                                    first steps of an ascent, too. A GELU's slope is at least that for such a gradient: left of about -0.75 it is
                                    below zero otherwise, and an ascent switches the unit off for good */
} cn_objective_gradient;

/** Gradients of an objective through the last run, in fp32 or bf16 as the runner computes. May be called several times
 * for one run. Computes only what lies between the values and what is wanted; weights get no gradient.
 * @return CN_OK; CN_EINVAL (no run yet, a runner made without gradients, no derivative given), CN_EBACKEND, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_runner_backward(cn_runner *runner, const cn_objective_gradient *objective, cn_error *err);
/** d objective / d input of the last backward, float32: (n, 3, R, R) in the scale of the normalised pixels; for texts (n,
 * text_length, width), of the token embeddings before positions are added. Borrowed until the next backward; NULL unless asked for. */
CN_API const float *cn_runner_input_gradient(const cn_runner *runner);
/** The same of the values of the i-th of gradient_sites, shaped like them. */
CN_API const float *cn_runner_site_gradient(const cn_runner *runner, size_t i);

/** px of a side; 0 for the text tower. */
CN_API int64_t cn_runner_resolution(const cn_runner *runner);
/** Height and width of a site at the runner's resolution (MAP; TOKENS: L, 1; VECTOR: 1, 1). */
CN_API void cn_runner_site_size(const cn_runner *runner, const cn_site *site, int64_t *height, int64_t *width);

typedef struct cn_runner_memory {
    size_t weight_bytes;      /* packed weights */
    size_t activation_bytes;  /* planned activations and scratch */
    size_t output_bytes;      /* sites and embedding in plain layout */
} cn_runner_memory;
CN_API cn_runner_memory cn_runner_get_memory(const cn_runner *runner);

/** Whether this CPU computes bf16 natively. */
CN_API bool cn_cpu_has_bf16(void);
/** "oneDNN 2.6.0, avx512_core_bf16" and the like; valid until the calling thread's next call. */
CN_API const char *cn_backend_description(void);

#ifdef __cplusplus
}
#endif
#endif
