/* clip/config.c -- what tensors cannot say: the activation function and the numbers of heads.
 * Reads Hugging Face's config.json and open_clip's open_clip_config.json. What such a file leaves out
 * has the default of the library that wrote it, not OpenAI's. Settings that change the computation in
 * a way that the tensors do not show are refused. */
#include "clip/params.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* Of CLIPVisionConfig, CLIPTextConfig and open_clip's CLIPTextCfg, CLIPVisionCfg. */
#define HF_IMAGE_HEADS 12
#define HF_TEXT_HEADS 8
#define OPEN_CLIP_TEXT_HEADS 8
#define OPEN_CLIP_HEAD_WIDTH 64

/* Of the pixels that OpenAI's models were trained on (clip.py, _transform). */
static const float openai_mean[3] = {0.48145466f, 0.4578275f, 0.40821073f};
static const float openai_std[3] = {0.26862954f, 0.26130258f, 0.27577711f};

typedef struct reader {
    const char *path, *source;
    cn_error *err;
} reader;

static const cJSON *member(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

/* A positive whole number; *out stays as it is when the key is absent. */
static cn_status positive(const reader *r, const cJSON *object, const char *key, int *out)
{
    const cJSON *item = member(object, key);
    if (!item)
        return CN_OK;
    double v = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (!(v >= 1 && v <= CLIP_MAX_WIDTH && v == floor(v)))
        return cn_fail(r->err, CN_EFORMAT, "%s: %s: %s is not a whole number from 1 to %d", r->path, r->source, key,
                       CLIP_MAX_WIDTH);
    *out = (int)v;
    return CN_OK;
}

/* Refuses a layer norm epsilon other than CLIP's. */
static cn_status same_epsilon(const reader *r, const cJSON *object, const char *key)
{
    const cJSON *item = member(object, key);
    if (item && !(cJSON_IsNumber(item) && fabs(item->valuedouble - (double)CLIP_LAYER_NORM_EPS) < 1e-9))
        return cn_fail(r->err, CN_EUNSUPPORTED, "%s: %s: %s is not 1e-5, CLIP's", r->path, r->source, key);
    return CN_OK;
}

static cn_status refuse_true(const reader *r, const cJSON *object, const char *key)
{
    if (cJSON_IsTrue(member(object, key)))
        return cn_fail(r->err, CN_EUNSUPPORTED, "%s: %s: %s is set, which CLIP does not have", r->path, r->source, key);
    return CN_OK;
}

/* Refuses a string other than the two given (b may be NULL). */
static cn_status one_of(const reader *r, const cJSON *object, const char *key, const char *a, const char *b)
{
    const cJSON *item = member(object, key);
    if (!item)
        return CN_OK;
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    if (strcmp(text, a) != 0 && !(b && !strcmp(text, b)))
        return cn_fail(r->err, CN_EUNSUPPORTED, "%s: %s: %s \"%.40s\" is not CLIP's \"%s\"", r->path, r->source, key, text, a);
    return CN_OK;
}

/* Three numbers from 0 (above 0 when `positive_only`) to 1. */
static cn_status channels(const reader *r, const cJSON *object, const char *key, bool positive_only, float out[3])
{
    const cJSON *array = member(object, key);
    if (!array)
        return CN_OK;
    bool good = cJSON_IsArray(array) && cJSON_GetArraySize(array) == 3;
    for (int i = 0; good && i < 3; i++) {
        const cJSON *item = cJSON_GetArrayItem(array, i);
        const double v = cJSON_IsNumber(item) ? item->valuedouble : -1;
        good = v >= 0 && v <= 1 && (v > 0 || !positive_only);
        out[i] = (float)v;
    }
    return good ? CN_OK : cn_fail(r->err, CN_EFORMAT, "%s: %s: %s is not three numbers from 0 to 1", r->path, r->source, key);
}

/* open_clip's preprocess_cfg: another mean and deviation are taken over; another way to resize is refused,
 * since the pixels would not be the model's. */
static cn_status read_preprocess(clip_config *out, const reader *r, const cJSON *preprocess)
{
    cn_status st = CN_OK;
    CN_TRY(channels(r, preprocess, "mean", false, out->mean));
    CN_TRY(channels(r, preprocess, "std", true, out->std));
    CN_TRY(one_of(r, preprocess, "interpolation", "bicubic", "random"));
    CN_TRY(one_of(r, preprocess, "resize_mode", "shortest", NULL));
    CN_TRY(one_of(r, preprocess, "mode", "RGB", NULL));
done:
    return st;
}

static cn_status hf_tower(const reader *r, const cJSON *tower, cn_gelu *gelu, int *heads)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cJSON *act = member(tower, "hidden_act");
    const char *text = !act ? "quick_gelu" : cJSON_IsString(act) ? act->valuestring : "";
    if (!strcmp(text, "quick_gelu"))
        *gelu = CN_GELU_QUICK;
    else if (!strcmp(text, "gelu"))
        *gelu = CN_GELU_ERF;
    else
        CN_CHECK(false, CN_EUNSUPPORTED, "%s: %s: hidden_act \"%.40s\" is neither \"quick_gelu\" nor \"gelu\"", r->path,
                 r->source, text);
    CN_TRY(positive(r, tower, "num_attention_heads", heads));
    CN_TRY(same_epsilon(r, tower, "layer_norm_eps"));
done:
    return st;
}

static cn_status read_hf(clip_config *out, const reader *r, const cJSON *root)
{
    cn_status st = CN_OK;
    const cJSON *image = member(root, "vision_config"), *text = member(root, "text_config");
    const cJSON *type = member(root, "model_type");
    const char *kind = cJSON_IsString(type) ? type->valuestring : "";
    if (!strcmp(kind, "clip_vision_model")) /* half a model has its settings at the top */
        image = root;
    else if (!strcmp(kind, "clip_text_model"))
        text = root;
    out->image_heads_default = HF_IMAGE_HEADS;
    out->text_heads_default = HF_TEXT_HEADS;
    if (cJSON_IsObject(image))
        CN_TRY(hf_tower(r, image, &out->image_gelu, &out->image_heads));
    if (cJSON_IsObject(text))
        CN_TRY(hf_tower(r, text, &out->text_gelu, &out->text_heads));
done:
    return st;
}

static cn_status read_open_clip(clip_config *out, const reader *r, const cJSON *model)
{
    cn_status st = CN_OK;
    const cJSON *image = member(model, "vision_cfg"), *text = member(model, "text_cfg");
    out->image_gelu = out->text_gelu = cJSON_IsTrue(member(model, "quick_gelu")) ? CN_GELU_QUICK : CN_GELU_ERF;
    out->head_width = OPEN_CLIP_HEAD_WIDTH;
    out->text_heads_default = OPEN_CLIP_TEXT_HEADS;

    CN_TRY(positive(r, image, "head_width", &out->head_width));
    CN_TRY(one_of(r, image, "pool_type", "tok", NULL));
    CN_TRY(refuse_true(r, image, "global_average_pool"));
    CN_TRY(refuse_true(r, image, "input_patchnorm"));
    CN_TRY(same_epsilon(r, member(image, "norm_kwargs"), "eps"));
    CN_TRY(one_of(r, member(image, "act_kwargs"), "approximate", "none", NULL));

    CN_TRY(positive(r, text, "heads", &out->text_heads));
    CN_TRY(one_of(r, text, "pool_type", "argmax", "eos"));
    CN_TRY(refuse_true(r, text, "no_causal_mask"));
    CN_TRY(refuse_true(r, text, "embed_cls"));
    CN_TRY(same_epsilon(r, member(text, "norm_kwargs"), "eps"));
    CN_TRY(one_of(r, member(text, "act_kwargs"), "approximate", "none", NULL));
done:
    return st;
}

cn_status clip_config_parse(clip_config *out, const char *text, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    const char *end = NULL;
    cJSON *root = NULL;
    memset(out, 0, sizeof *out);
    memcpy(out->mean, openai_mean, sizeof out->mean);
    memcpy(out->std, openai_std, sizeof out->std);
    if (!text)
        return CN_OK;
    root = cJSON_ParseWithOpts(text, &end, 1);
    CN_CHECK(root, CN_EFORMAT, "%s: its config is not JSON (byte %td)", path, end ? end - text : (ptrdiff_t)0);
    CN_CHECK(cJSON_IsObject(root), CN_EFORMAT, "%s: its config is not a JSON object", path);

    const cJSON *model = member(root, "model_cfg");
    if (!model && member(root, "vision_cfg"))
        model = root;
    reader r = {path, model ? "open_clip_config.json" : "config.json", err};
    out->source = r.source;
    CN_TRY(model ? read_open_clip(out, &r, model) : read_hf(out, &r, root));
    CN_TRY(read_preprocess(out, &r, member(root, "preprocess_cfg")));
done:
    cJSON_Delete(root);
    return st;
}
