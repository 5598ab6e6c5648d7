/* What a checkpoint is told to be, what is refused and how, and parameters by name: on the golden
 * files in all their formats, and on small files that this test writes. */
#include "clip/params.h"

#include "base/memory.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN CN_TEST_DATA "/golden/"

/* ---- files of any shape ---- */

typedef struct stored {
    char name[160], dtype[8];
    int ndim;
    int64_t shape[8];
    const char *param;  /* values come from this parameter, ... */
    int64_t begin;      /* ... from here on, ... */
    bool transposed;    /* ... transposed */
    bool gone;
} stored;

typedef struct checkpoint_file {
    clip_checkpoint like; /* sizes and the list of parameters */
    stored t[4000];
    size_t n;
    bool sparse;          /* no values: the file is a hole behind its header */
    char config[1024], config_name[32];
    char folder[64], path[128];
} checkpoint_file;

/* A value that every dtype holds exactly. */
static float value_of(const char *param, int64_t i)
{
    uint64_t h = 1469598103934665603u;
    for (const char *c = param; *c; c++)
        h = (h ^ (unsigned char)*c) * 1099511628211u;
    h ^= (uint64_t)i * 0x9e3779b97f4a7c15u;
    return (float)((int)((h >> 33) % 97) - 48) / 32;
}

static int64_t elements(const stored *t)
{
    int64_t n = 1;
    for (int k = 0; k < t->ndim; k++)
        n *= t->shape[k];
    return n;
}

static size_t dtype_size(const char *dtype)
{
    return !strcmp(dtype, "F64") || !strcmp(dtype, "I64") ? 8 : !strcmp(dtype, "F32") ? 4 : !strcmp(dtype, "U8") ? 1 : 2;
}

static void put_value(FILE *f, const char *dtype, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint16_t half = 0;
    if (v != 0) /* normal numbers only */
        half = (uint16_t)((bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | (bits >> 13 & 0x3ff));
    uint16_t brain = (uint16_t)(bits >> 16);
    double wide = (double)v;
    int64_t whole = (int64_t)v;
    uint8_t byte = (uint8_t)whole;
    if (!strcmp(dtype, "F32"))
        fwrite(&v, 4, 1, f);
    else if (!strcmp(dtype, "F16"))
        fwrite(&half, 2, 1, f);
    else if (!strcmp(dtype, "BF16"))
        fwrite(&brain, 2, 1, f);
    else if (!strcmp(dtype, "F64"))
        fwrite(&wide, 8, 1, f);
    else if (!strcmp(dtype, "I64"))
        fwrite(&whole, 8, 1, f);
    else
        fwrite(&byte, 1, 1, f);
}

static stored *add(checkpoint_file *m, const char *name, const char *param, int ndim, const int64_t *shape)
{
    assert_true(m->n < sizeof m->t / sizeof m->t[0]);
    stored *t = &m->t[m->n++];
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    strcpy(t->dtype, "F32");
    t->param = param;
    t->ndim = ndim;
    for (int k = 0; k < ndim; k++)
        t->shape[k] = shape[k];
    return t;
}

static stored *find(checkpoint_file *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->t[i].name, name))
            return &m->t[i];
    fail_msg("the test has no tensor %s", name);
    return NULL;
}

static void drop(checkpoint_file *m, const char *part)
{
    size_t dropped = 0;
    for (size_t i = 0; i < m->n; i++)
        if (strstr(m->t[i].name, part))
            m->t[i].gone = true, dropped++;
    assert_true(dropped > 0);
}

/* All parameters of a CLIP of these sizes, under OpenAI's names. */
static checkpoint_file *model_file(const cn_model_info *info, int image_mlp, int text_mlp)
{
    checkpoint_file *m = calloc(1, sizeof *m);
    cn_error err = {0};
    assert_non_null(m);
    m->like.info = *info;
    m->like.has_image = info->image_width > 0;
    m->like.has_text = info->text_width > 0;
    m->like.image_mlp = image_mlp, m->like.text_mlp = text_mlp;
    assert_int_equal(clip_params_list(&m->like, &err), CN_OK);
    for (size_t i = 0; i < m->like.n_params; i++)
        add(m, m->like.params[i].name, m->like.params[i].name, m->like.params[i].ndim, m->like.params[i].shape);
    strcpy(m->folder, "/tmp/clip-checkpoint-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    snprintf(m->path, sizeof m->path, "%s/model.safetensors", m->folder);
    return m;
}

static void free_file(checkpoint_file *m)
{
    char name[128];
    unlink(m->path);
    snprintf(name, sizeof name, "%s/config.json", m->folder);
    unlink(name);
    snprintf(name, sizeof name, "%s/open_clip_config.json", m->folder);
    unlink(name);
    assert_int_equal(rmdir(m->folder), 0);
    cn_free(m->like.params);
    free(m);
}

static void write_values(FILE *f, const stored *t)
{
    int64_t n = elements(t);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        if (t->transposed)
            at = i % t->shape[1] * t->shape[0] + i / t->shape[1];
        put_value(f, t->dtype, t->param ? value_of(t->param, t->begin + at) : 0);
    }
}

static void write_file(const checkpoint_file *m)
{
    static char header[1 << 20];
    size_t at = 0;
    long long offset = 0;
    at += (size_t)sprintf(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < m->n; i++) {
        const stored *t = &m->t[i];
        long long bytes = (long long)elements(t) * (long long)dtype_size(t->dtype);
        if (t->gone)
            continue;
        at += (size_t)sprintf(header + at, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
        for (int k = 0; k < t->ndim; k++)
            at += (size_t)sprintf(header + at, "%s%lld", k ? "," : "", (long long)t->shape[k]);
        at += (size_t)sprintf(header + at, "],\"data_offsets\":[%lld,%lld]}", offset, offset + bytes);
        offset += bytes;
        assert_true(at < sizeof header - 1000);
    }
    at += (size_t)sprintf(header + at, "}");
    while (at % 8)
        header[at++] = ' ';
    FILE *f = fopen(m->path, "wb");
    uint64_t length = at;
    assert_non_null(f);
    fwrite(&length, 8, 1, f);
    fwrite(header, 1, at, f);
    for (size_t i = 0; i < m->n && !m->sparse; i++)
        if (!m->t[i].gone)
            write_values(f, &m->t[i]);
    if (m->sparse) {
        fflush(f);
        assert_int_equal(ftruncate(fileno(f), (off_t)(8 + (long long)at + offset)), 0);
    }
    assert_int_equal(fclose(f), 0);
    if (m->config[0]) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", m->folder, m->config_name);
        f = fopen(name, "wb");
        assert_non_null(f);
        fputs(m->config, f);
        fclose(f);
    }
}

/* Folders are opened as such, so that their config is seen. */
static cn_weights *open_weights(const char *path)
{
    cn_error err = {0};
    cn_weights *w;
    if (cn_weights_open(&w, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    return w;
}

static cn_weights *open_file(const checkpoint_file *m)
{
    write_file(m);
    return open_weights(m->config[0] ? m->folder : m->path);
}

static clip_checkpoint *read_ok(const cn_weights *w, const cn_model_options *opt)
{
    cn_error err = {0};
    clip_checkpoint *c;
    if (clip_checkpoint_read(&c, w, opt, &err) != CN_OK)
        fail_msg("%s", err.text);
    return c;
}

/* The file is refused with this status and a line that holds `part`. */
static void refused_with(const checkpoint_file *m, const cn_model_options *opt, cn_status status, const char *part)
{
    cn_error err = {0};
    cn_weights *w = open_file(m);
    clip_checkpoint *c = (clip_checkpoint *)&err;
    cn_status st = clip_checkpoint_read(&c, w, opt, &err);
    assert_null(c);
    if (st != status || !strstr(err.text, part))
        fail_msg("expected \"%s\" (%s), got \"%s\" (%s)", part, cn_status_name(status), err.text, cn_status_name(st));
    assert_non_null(strstr(err.text, m->folder)); /* names the file */
    assert_int_equal(clip_checkpoint_read(&c, w, opt, NULL), status);
    cn_weights_close(w);
}

/* Every parameter reads as the values that value_of gives it. */
static void values_are_right(const clip_checkpoint *c, const checkpoint_file *m)
{
    cn_error err = {0};
    assert_int_equal(c->n_params, m->like.n_params);
    for (size_t i = 0; i < m->like.n_params; i++) {
        const clip_param *p = &m->like.params[i];
        int ndim;
        int64_t shape[4];
        assert_true(clip_param_shape(c, p->name, &ndim, shape));
        assert_int_equal(ndim, p->ndim);
        assert_memory_equal(shape, p->shape, (size_t)ndim * sizeof shape[0]);
        float *values = malloc((size_t)p->count * sizeof *values);
        assert_non_null(values);
        if (clip_param_read(c, p->name, p->count, values, &err) != CN_OK)
            fail_msg("%s", err.text);
        for (int64_t k = 0; k < p->count; k++)
            if (values[k] != value_of(p->name, k))
                fail_msg("%s[%lld] is %g, expected %g", p->name, (long long)k, (double)values[k],
                         (double)value_of(p->name, k));
        free(values);
    }
}

static cn_model_info small_resnet(int width)
{
    return (cn_model_info){.architecture = CN_ARCH_RESNET, .resolution = 64, .image_width = width, .blocks = {1, 2, 1, 1},
                           .embedding = 24, .text_width = 64, .text_layers = 2, .context_length = 9, .vocabulary = 50};
}

static cn_model_info small_vit(int width)
{
    return (cn_model_info){.architecture = CN_ARCH_VIT, .resolution = 28, .patch = 14, .image_width = width, .blocks = {3},
                           .embedding = 24, .text_width = 32, .text_layers = 2, .context_length = 9, .vocabulary = 50};
}

static checkpoint_file *resnet_file(void)
{
    cn_model_info info = small_resnet(4);
    return model_file(&info, 0, 256);
}

static checkpoint_file *vit_file(void)
{
    cn_model_info info = small_vit(20);
    return model_file(&info, 52, 100);
}

/* From OpenAI's names to Hugging Face's, written out once more and independently of the reader. */
static void to_hugging_face(checkpoint_file *m)
{
    static const char *const pairs[][2] = {
        {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
        {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
        {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"},
        {"visual.ln_pre.", "vision_model.pre_layrnorm."},
        {"visual.ln_post.", "vision_model.post_layernorm."},
        {"visual.proj", "visual_projection.weight"},
        {"visual.transformer.resblocks.", "vision_model.encoder.layers."},
        {"transformer.resblocks.", "text_model.encoder.layers."},
        {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
        {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
        {"ln_final.", "text_model.final_layer_norm."},
        {"text_projection", "text_projection.weight"},
    };
    static const char *const inner[][2] = {{".ln_1.", ".layer_norm1."},  {".ln_2.", ".layer_norm2."},
                                           {".attn.out", ".self_attn.out"}, {".mlp.c_fc.", ".mlp.fc1."},
                                           {".mlp.c_proj.", ".mlp.fc2."}};
    size_t n = m->n;
    for (size_t i = 0; i < n; i++) {
        stored *t = &m->t[i];
        char name[160], *hit;
        for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++)
            if (!strncmp(t->name, pairs[k][0], strlen(pairs[k][0]))) {
                snprintf(name, sizeof name, "%s%s", pairs[k][1], t->name + strlen(pairs[k][0]));
                strcpy(t->name, name);
                break;
            }
        for (size_t k = 0; k < sizeof inner / sizeof inner[0]; k++)
            if ((hit = strstr(t->name, inner[k][0])) != NULL) {
                snprintf(name, sizeof name, "%.*s%s%s", (int)(hit - t->name), t->name, inner[k][1],
                         hit + strlen(inner[k][0]));
                strcpy(t->name, name);
            }
        if (strstr(t->name, "projection.weight")) {
            int64_t rows = t->shape[0];
            t->shape[0] = t->shape[1], t->shape[1] = rows;
            t->transposed = true;
        }
        if ((hit = strstr(t->name, ".attn.in_proj_")) != NULL) {
            t->gone = true;
            for (int q = 0; q < 3; q++) {
                snprintf(name, sizeof name, "%.*s.self_attn.%c_proj.%s", (int)(hit - t->name), t->name, "qkv"[q],
                         hit + strlen(".attn.in_proj_"));
                stored *part = add(m, name, t->param, t->ndim, t->shape);
                part->shape[0] /= 3;
                part->begin = q * elements(part);
            }
        }
    }
}

/* ---- the golden files ---- */

static void check_small_resnet(const char *path, cn_dtype storage)
{
    cn_weights *w = open_weights(path);
    clip_checkpoint *c = read_ok(w, NULL);
    const cn_model_info *m = &c->info;
    assert_int_equal(m->architecture, CN_ARCH_RESNET);
    assert_string_equal(m->name, "RN");
    assert_int_equal(m->storage, storage);
    assert_int_equal(m->gelu, CN_GELU_QUICK);
    assert_string_equal(m->gelu_source, "default");
    assert_int_equal(m->resolution, 64);
    assert_int_equal(m->patch, 0);
    assert_int_equal(m->image_width, 16);
    assert_int_equal(m->image_heads, 8);
    const int blocks[4] = {1, 2, 1, 2};
    assert_memory_equal(m->blocks, blocks, sizeof blocks);
    assert_int_equal(m->embedding, 64);
    assert_int_equal(m->text_width, 64);
    assert_int_equal(m->text_heads, 1);
    assert_int_equal(m->text_layers, 2);
    assert_int_equal(m->context_length, 77);
    assert_int_equal(m->vocabulary, 49408);
    assert_int_equal(c->text_mlp, 256);
    assert_int_equal(c->scheme, CLIP_SCHEME_OPENAI);
    assert_int_equal(m->parameters, m->image_parameters + m->text_parameters + 1);
    assert_int_equal(m->text_parameters, 49408 * 64 + 77 * 64 + 2 * (12 * 64 * 64 + 13 * 64) + 2 * 64 + 64 * 64);
    assert_true(m->logit_scale > 1 && m->logit_scale < 101);
    clip_checkpoint_free(c);
    cn_weights_close(w);
}

static void golden_resnets_are_recognised_in_safetensors(void **state)
{
    (void)state;
    check_small_resnet(GOLDEN "rn-small.safetensors", CN_DTYPE_F16);
}

static void golden_resnets_are_recognised_in_torch_files(void **state)
{
    (void)state;
    check_small_resnet(GOLDEN "rn-small.state_dict.pt", CN_DTYPE_F16);
    check_small_resnet(GOLDEN "rn-small.jit.pt", CN_DTYPE_F16);
    check_small_resnet(GOLDEN "rn-small.openclip_epoch.pt", CN_DTYPE_F16);
}

static void a_golden_vit_is_the_same_under_both_names(void **state)
{
    (void)state;
    cn_weights *w = open_weights(GOLDEN "vit-small.safetensors"), *hf_w = open_weights(GOLDEN "vit-small.hf");
    clip_checkpoint *c = read_ok(w, NULL), *hf = read_ok(hf_w, NULL);
    cn_model_info a = c->info, b = hf->info;
    assert_int_equal(c->scheme, CLIP_SCHEME_OPENAI);
    assert_int_equal(hf->scheme, CLIP_SCHEME_HF);
    assert_string_equal(a.gelu_source, "default");
    assert_string_equal(b.gelu_source, "config.json");
    assert_string_equal(c->image_heads_source, "width/64");
    assert_string_equal(hf->image_heads_source, "config.json");
    assert_int_equal(a.architecture, CN_ARCH_VIT);
    assert_int_equal(a.image_heads, 2);
    assert_int_equal(a.patch, 16);
    assert_int_equal(a.resolution, 64);
    assert_int_equal(a.blocks[0], 3);
    assert_int_equal(a.blocks[1], 0);
    assert_int_equal(a.embedding, 96);
    assert_int_equal(c->image_mlp, 512);
    b.gelu_source = a.gelu_source, b.format = a.format;
    assert_string_equal(a.name, b.name);
    assert_int_equal(a.parameters, b.parameters);
    assert_int_equal(a.image_parameters, b.image_parameters);
    assert_int_equal(a.image_heads, b.image_heads);
    assert_int_equal(a.text_heads, b.text_heads);
    assert_int_equal(a.gelu, b.gelu);
    assert_true(a.logit_scale == b.logit_scale);
    assert_int_equal(c->n_params, hf->n_params);
    for (size_t i = 0; i < c->n_params; i++) {
        const clip_param *p = &c->params[i];
        size_t bytes = (size_t)p->count * sizeof(float);
        float *x = malloc(bytes), *y = malloc(bytes);
        assert_int_equal(clip_param_read(c, p->name, p->count, x, NULL), CN_OK);
        assert_int_equal(clip_param_read(hf, p->name, p->count, y, NULL), CN_OK);
        if (memcmp(x, y, bytes) != 0)
            fail_msg("%s differs between OpenAI's and Hugging Face's file", p->name);
        free(x), free(y);
    }
    clip_checkpoint_free(c), clip_checkpoint_free(hf);
    cn_weights_close(w), cn_weights_close(hf_w);
}

static void the_default_model_and_its_control_have_the_same_shapes(void **state)
{
    static const char *const files[] = {CN_SOURCE_DIR "/models/specimen.safetensors",
                                        CN_SOURCE_DIR "/models/specimen-control.safetensors"};
    static const int blocks[4] = {2, 2, 2, 4};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        cn_weights *w = open_weights(files[i]);
        clip_checkpoint *c = read_ok(w, NULL);
        assert_int_equal(c->info.architecture, CN_ARCH_RESNET);
        assert_int_equal(c->info.storage, CN_DTYPE_F16);
        assert_int_equal(c->info.resolution, 96);
        assert_int_equal(c->info.image_width, 32);
        assert_int_equal(c->info.image_heads, 16);
        assert_memory_equal(c->info.blocks, blocks, sizeof blocks);
        assert_int_equal(c->info.embedding, 1024);
        assert_int_equal(c->info.text_width, 256);
        assert_int_equal(c->info.text_layers, 4);
        assert_int_equal(c->info.text_heads, 4);
        assert_int_equal(c->info.context_length, 77);
        assert_int_equal(c->info.vocabulary, 49408);
        clip_checkpoint_free(c);
        cn_weights_close(w);
    }
}

/* ---- the published shapes ---- */

static void published_shapes_have_their_names_and_parameter_counts(void **state)
{
    static const struct {
        const char *name;
        int64_t parameters;
        cn_model_info info;
        int heads, text_heads;
    } models[] = {
#define RESNET(w, px, e, t, ...)                                                                                       \
    {.architecture = CN_ARCH_RESNET, .resolution = px, .image_width = w, .blocks = __VA_ARGS__, .embedding = e,        \
     .text_width = t, .text_layers = 12, .context_length = 77, .vocabulary = 49408}
#define VIT(w, p, px, l, e, t)                                                                                         \
    {.architecture = CN_ARCH_VIT, .resolution = px, .patch = p, .image_width = w, .blocks = {l}, .embedding = e,       \
     .text_width = t, .text_layers = 12, .context_length = 77, .vocabulary = 49408}
        {"RN50", 102007137, RESNET(64, 224, 1024, 512, {3, 4, 6, 3}), 32, 8},
        {"RN101", 119688033, RESNET(64, 224, 512, 512, {3, 4, 23, 3}), 32, 8},
        {"RN50x4", 178300601, RESNET(80, 288, 640, 640, {4, 6, 10, 6}), 40, 10},
        {"RN50x16", 290979217, RESNET(96, 384, 768, 768, {6, 8, 18, 8}), 48, 12},
        {"RN50x64", 623258305, RESNET(128, 448, 1024, 1024, {3, 15, 36, 10}), 64, 16},
        {"ViT-B/32", 151277313, VIT(768, 32, 224, 12, 512, 512), 12, 8},
        {"ViT-B/16", 149620737, VIT(768, 16, 224, 12, 512, 512), 12, 8},
        {"ViT-L/14", 427616513, VIT(1024, 14, 224, 24, 768, 768), 16, 12},
        {"ViT-L/14@336px", 427944193, VIT(1024, 14, 336, 24, 768, 768), 16, 12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        checkpoint_file *m = model_file(&models[i].info, 4 * models[i].info.image_width, 4 * models[i].info.text_width);
        m->sparse = true;
        for (size_t k = 0; k < m->n; k++)
            strcpy(m->t[k].dtype, "F16");
        cn_weights *w = open_file(m);
        clip_checkpoint *c = read_ok(w, NULL);
        assert_string_equal(c->info.name, models[i].name);
        assert_int_equal(c->info.parameters, models[i].parameters);
        assert_int_equal(c->info.resolution, models[i].info.resolution);
        assert_int_equal(c->info.image_heads, models[i].heads);
        assert_int_equal(c->info.text_heads, models[i].text_heads);
        assert_int_equal(c->info.storage, CN_DTYPE_F16);
        assert_memory_equal(c->info.blocks, models[i].info.blocks, sizeof c->info.blocks);
        clip_checkpoint_free(c);
        cn_weights_close(w);
        free_file(m);
    }
}

/* ---- widths, dtypes, names ---- */

static void any_width_is_read(void **state)
{
    static const struct {
        int width, heads;
    } resnets[] = {{2, 1}, {5, 2}, {20, 10}}, vits[] = {{20, 1}, {80, 1}, {130, 2}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        cn_model_info info = small_resnet(resnets[i].width);
        checkpoint_file *m = model_file(&info, 0, 256);
        cn_weights *w = open_file(m);
        clip_checkpoint *c = read_ok(w, NULL);
        assert_int_equal(c->info.image_width, resnets[i].width);
        assert_int_equal(c->info.image_heads, resnets[i].heads);
        assert_string_equal(c->info.name, "RN");
        values_are_right(c, m);
        clip_checkpoint_free(c);
        cn_weights_close(w);
        free_file(m);

        info = small_vit(vits[i].width);
        m = model_file(&info, 3 * vits[i].width + 1, 7); /* the MLP has the width of its tensor */
        w = open_file(m);
        c = read_ok(w, NULL);
        assert_int_equal(c->info.image_heads, vits[i].heads);
        assert_int_equal(c->image_mlp, 3 * vits[i].width + 1);
        assert_int_equal(c->text_mlp, 7);
        assert_int_equal(c->info.text_heads, 1);
        values_are_right(c, m);
        clip_checkpoint_free(c);
        cn_weights_close(w);
        free_file(m);
    }
}

static void every_float_dtype_is_read(void **state)
{
    static const struct {
        const char *name;
        cn_dtype dtype;
    } dtypes[] = {{"F16", CN_DTYPE_F16}, {"BF16", CN_DTYPE_BF16}, {"F32", CN_DTYPE_F32}, {"F64", CN_DTYPE_F64}};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        checkpoint_file *m = vit_file();
        for (size_t k = 0; k < m->n; k++)
            strcpy(m->t[k].dtype, dtypes[i].name);
        strcpy(find(m, "visual.ln_pre.weight")->dtype, "F32"); /* one of another kind */
        cn_weights *w = open_file(m);
        clip_checkpoint *c = read_ok(w, NULL);
        assert_int_equal(c->info.storage, dtypes[i].dtype);
        values_are_right(c, m);
        clip_checkpoint_free(c);
        cn_weights_close(w);
        free_file(m);
    }
}

static void hugging_face_names_are_read_in_openai_layout(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    to_hugging_face(m);
    const int64_t ids[] = {1, 9};
    strcpy(add(m, "text_model.embeddings.position_ids", NULL, 2, ids)->dtype, "I64");
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, NULL);
    assert_int_equal(c->scheme, CLIP_SCHEME_HF);
    assert_int_equal(c->info.text_width, 32);
    assert_int_equal(c->info.embedding, 24);
    assert_int_equal(c->info.gelu, CN_GELU_QUICK);
    values_are_right(c, m);
    const clip_param *p = clip_param_find(c, "visual.transformer.resblocks.1.attn.in_proj_weight");
    assert_int_equal(p->n_sources, 3);
    assert_true(clip_param_find(c, "text_projection")->transposed);
    clip_checkpoint_free(c);
    cn_weights_close(w);
    free_file(m);
}

static void custom_text_clip_names_are_read(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    for (size_t i = 0; i < m->n; i++) {
        char name[160];
        if (!strncmp(m->t[i].name, "visual.", 7) || !strcmp(m->t[i].name, "logit_scale"))
            continue;
        snprintf(name, sizeof name, "text.%.100s", m->t[i].name);
        strcpy(m->t[i].name, name);
    }
    const int64_t one = 1, mask[] = {9, 9};
    add(m, "logit_bias", NULL, 0, NULL);
    add(m, "text.attn_mask", NULL, 2, mask);
    add(m, "visual.transformer.resblocks.0.attn_mask", NULL, 2, mask);
    find(m, "logit_scale")->ndim = 1;
    find(m, "logit_scale")->shape[0] = one;
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, NULL);
    assert_string_equal(c->text_prefix, "text.");
    values_are_right(c, m);
    assert_true(fabsf(c->info.logit_scale - expf(value_of("logit_scale", 0))) < 1e-6f);
    clip_checkpoint_free(c);
    cn_weights_close(w);
    free_file(m);
}

static void one_tower_is_enough_until_the_other_is_needed(void **state)
{
    (void)state;
    for (int hf = 0; hf < 2; hf++)
        for (int tower = 0; tower < 2; tower++) {
            checkpoint_file *m = vit_file();
            for (size_t i = 0; i < m->n; i++)
                m->t[i].gone = !strncmp(m->t[i].name, "visual.", 7) == (tower == CN_TOWER_TEXT) ||
                               !strcmp(m->t[i].name, "logit_scale");
            if (hf) {
                checkpoint_file *copy = calloc(1, sizeof *copy);
                *copy = *m;
                copy->n = 0;
                for (size_t i = 0; i < m->n; i++)
                    if (!m->t[i].gone)
                        copy->t[copy->n++] = m->t[i];
                *m = *copy;
                free(copy);
                to_hugging_face(m);
            }
            cn_weights *w = open_file(m);
            clip_checkpoint *c = read_ok(w, NULL);
            cn_error err = {0};
            cn_tower other = tower == CN_TOWER_IMAGE ? CN_TOWER_TEXT : CN_TOWER_IMAGE;
            assert_int_equal(clip_checkpoint_need(c, (cn_tower)tower, &err), CN_OK);
            assert_int_equal(clip_checkpoint_need(c, other, &err), CN_EUNSUPPORTED);
            assert_non_null(strstr(err.text, tower == CN_TOWER_IMAGE ? "has no text tower" : "has no image tower"));
            assert_int_equal(c->info.embedding, 24);
            assert_int_equal(tower == CN_TOWER_IMAGE ? c->info.text_width : c->info.image_width, 0);
            assert_int_equal(c->info.parameters, tower == CN_TOWER_IMAGE ? c->info.image_parameters : c->info.text_parameters);
            assert_true(c->info.logit_scale == 1);
            clip_checkpoint_free(c);
            cn_weights_close(w);
            free_file(m);
        }
}

static void attention_without_biases_reads_zeros(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    drop(m, "transformer.resblocks.0.attn.in_proj_bias");
    refused_with(m, NULL, CN_ENOTFOUND, "transformer.resblocks.0.attn.in_proj_bias, though other blocks have theirs");
    drop(m, "attn.in_proj_bias");
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, NULL);
    float bias[60];
    memset(bias, 1, sizeof bias);
    assert_int_equal(clip_param_read(c, "visual.transformer.resblocks.2.attn.in_proj_bias", 60, bias, NULL), CN_OK);
    for (int i = 0; i < 60; i++)
        assert_true(bias[i] == 0);
    assert_int_equal(c->info.parameters, m->like.info.parameters - 3 * 60 - 2 * 96);
    clip_checkpoint_free(c);
    cn_weights_close(w);
    free_file(m);
}

static void reading_a_parameter_checks_its_caller(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, NULL);
    cn_error err = {0};
    float x[20];
    int ndim;
    int64_t shape[4];
    assert_false(clip_param_shape(c, "visual.bn1.weight", &ndim, shape));
    assert_int_equal(clip_param_read(c, "visual.bn1.weight", 20, x, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "the model has no parameter visual.bn1.weight"));
    cn_error_clear(&err);
    assert_int_equal(clip_param_read(c, "visual.ln_pre.bias", 19, x, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "visual.ln_pre.bias has 20 values, not 19"));
    clip_checkpoint_free(c);
    cn_weights_close(w);
    free_file(m);
}

/* ---- config and options ---- */

static void config_is(checkpoint_file *m, const char *name, const char *text)
{
    snprintf(m->config_name, sizeof m->config_name, "%s", name);
    snprintf(m->config, sizeof m->config, "%s", text);
}

static void expect_choice(checkpoint_file *m, const cn_model_options *opt, cn_gelu gelu, const char *source, int image_heads,
                          int text_heads)
{
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, opt);
    assert_int_equal(c->info.gelu, gelu);
    assert_string_equal(c->info.gelu_source, source);
    assert_int_equal(c->info.image_heads, image_heads);
    assert_int_equal(c->info.text_heads, text_heads);
    clip_checkpoint_free(c);
    cn_weights_close(w);
}

static cn_model_info info_of(checkpoint_file *m)
{
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, NULL);
    const cn_model_info info = c->info;
    clip_checkpoint_free(c);
    cn_weights_close(w);
    return info;
}

static void hugging_face_config_chooses_activation_and_heads(void **state)
{
    (void)state;
    cn_model_info info = small_vit(24);
    checkpoint_file *m = model_file(&info, 96, 128);
    to_hugging_face(m);
    config_is(m, "config.json",
              "{\"model_type\":\"clip\",\"text_config\":{\"hidden_act\":\"gelu\",\"num_attention_heads\":4},"
              "\"vision_config\":{\"hidden_act\":\"gelu\",\"num_attention_heads\":3,\"layer_norm_eps\":1e-05},"
              "\"text_config_dict\":{\"hidden_act\":\"silu\",\"num_attention_heads\":5}}");
    expect_choice(m, NULL, CN_GELU_ERF, "config.json", 3, 4);
    const cn_model_options opt = {CN_GELU_QUICK, 6, 2};
    expect_choice(m, &opt, CN_GELU_QUICK, "option", 6, 2);

    /* What a config leaves out has the library's default: 12 and 8 heads, quick_gelu. */
    config_is(m, "config.json", "{\"text_config\":{},\"vision_config\":null}");
    expect_choice(m, NULL, CN_GELU_QUICK, "config.json", 12, 8);
    config_is(m, "config.json", "{}");
    expect_choice(m, NULL, CN_GELU_QUICK, "default", 12, 8);

    config_is(m, "config.json", "{\"text_config\":{\"hidden_act\":\"gelu\"},\"vision_config\":{\"hidden_act\":\"quick_gelu\"}}");
    refused_with(m, NULL, CN_EUNSUPPORTED, "the towers have different activations");
    config_is(m, "config.json", "{\"text_config\":{\"hidden_act\":\"gelu_new\"}}");
    refused_with(m, NULL, CN_EUNSUPPORTED, "hidden_act \"gelu_new\" is neither");
    config_is(m, "config.json", "{\"vision_config\":{\"layer_norm_eps\":1e-6}}");
    refused_with(m, NULL, CN_EUNSUPPORTED, "layer_norm_eps is not 1e-5");
    config_is(m, "config.json", "{\"vision_config\":{\"num_attention_heads\":5}}");
    refused_with(m, NULL, CN_EFORMAT, "image tower: a width of 24 cannot be divided among 5 heads (config.json)");
    config_is(m, "config.json", "{\"vision_config\":{\"num_attention_heads\":-5}}");
    refused_with(m, NULL, CN_EFORMAT, "num_attention_heads is not a whole number");
    config_is(m, "config.json", "{\"vision_config\":{\"num_attention_heads\":\"3\"}}");
    refused_with(m, NULL, CN_EFORMAT, "num_attention_heads is not a whole number");
    config_is(m, "config.json", "{\"vision_config\":");
    refused_with(m, NULL, CN_EFORMAT, "its config is not JSON");
    config_is(m, "config.json", "[1]");
    refused_with(m, NULL, CN_EFORMAT, "not a JSON object");
    free_file(m);
}

static void half_a_hugging_face_model_has_its_settings_at_the_top(void **state)
{
    (void)state;
    cn_model_info info = small_vit(24);
    info.text_width = 0;
    checkpoint_file *m = model_file(&info, 96, 0);
    to_hugging_face(m);
    config_is(m, "config.json", "{\"model_type\":\"clip_vision_model\",\"hidden_act\":\"gelu\",\"num_attention_heads\":2}");
    expect_choice(m, NULL, CN_GELU_ERF, "config.json", 2, 0);
    free_file(m);
}

static void open_clip_config_chooses_activation_and_heads(void **state)
{
    (void)state;
    cn_model_info info = small_vit(24);
    checkpoint_file *m = model_file(&info, 96, 128);
    config_is(m, "open_clip_config.json",
              "{\"model_cfg\":{\"embed_dim\":24,\"vision_cfg\":{\"head_width\":8},\"text_cfg\":{\"heads\":2}},"
              "\"preprocess_cfg\":{}}");
    expect_choice(m, NULL, CN_GELU_ERF, "open_clip_config.json", 3, 2); /* its models are GELU unless it says */
    config_is(m, "open_clip_config.json", "{\"model_cfg\":{\"quick_gelu\":true,\"vision_cfg\":{},\"text_cfg\":{}}}");
    expect_choice(m, NULL, CN_GELU_QUICK, "open_clip_config.json", 1, 8);
    cn_model_info found = small_vit(24);
    config_is(m, "open_clip_config.json",
              "{\"model_cfg\":{},\"preprocess_cfg\":{\"mean\":[0.5,0.25,0.125],\"std\":[0.5,0.5,1],\"interpolation\":\"bicubic\"}}");
    found = info_of(m);
    assert_float_equal(found.mean[2], 0.125, 0);
    assert_float_equal(found.std[2], 1, 0);
    config_is(m, "open_clip_config.json", "{\"model_cfg\":{}}");
    found = info_of(m);
    assert_float_equal(found.mean[0], 0.48145466, 1e-7);
    assert_float_equal(found.std[2], 0.27577711, 1e-7);
    config_is(m, "open_clip_config.json", "{\"model_cfg\":{},\"preprocess_cfg\":{\"std\":[0,1,1]}}");
    refused_with(m, NULL, CN_EFORMAT, "std is not three numbers");
    config_is(m, "open_clip_config.json", "{\"model_cfg\":{},\"preprocess_cfg\":{\"interpolation\":\"bilinear\"}}");
    refused_with(m, NULL, CN_EUNSUPPORTED, "interpolation \"bilinear\"");
    config_is(m, "open_clip_config.json", "{\"model_cfg\":{\"vision_cfg\":{\"pool_type\":\"avg\"}}}");
    refused_with(m, NULL, CN_EUNSUPPORTED, "pool_type \"avg\" is not CLIP's \"tok\"");
    config_is(m, "open_clip_config.json", "{\"model_cfg\":{\"text_cfg\":{\"no_causal_mask\":true}}}");
    refused_with(m, NULL, CN_EUNSUPPORTED, "no_causal_mask is set");
    free_file(m);
}

static void options_are_checked(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    const cn_model_options five = {CN_GELU_ERF, 5, 0}, three = {CN_GELU_AUTO, 3, 0}, many = {CN_GELU_AUTO, 0, 64},
                           negative = {CN_GELU_AUTO, 0, -1};
    expect_choice(m, &five, CN_GELU_ERF, "option", 5, 1);
    refused_with(m, &three, CN_EINVAL, "image tower: a width of 20 cannot be divided among 3 heads (option)");
    refused_with(m, &many, CN_EINVAL, "text tower: a width of 32 cannot be divided among 64 heads (option)");
    cn_weights *w = open_file(m);
    clip_checkpoint *c;
    assert_int_equal(clip_checkpoint_read(&c, w, &negative, NULL), CN_EINVAL);
    cn_weights_close(w);
    free_file(m);
}

/* ---- what is refused ---- */

static void every_missing_tensor_is_named(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        checkpoint_file *m = k == 1 ? resnet_file() : vit_file();
        if (k == 2)
            to_hugging_face(m);
        m->sparse = true;
        for (size_t i = 0; i < m->n; i++) {
            char part[200];
            if (m->t[i].gone)
                continue;
            m->t[i].gone = true;
            snprintf(part, sizeof part, "no tensor %.160s", m->t[i].name);
            refused_with(m, NULL, CN_ENOTFOUND, part);
            m->t[i].gone = false;
        }
        free_file(m);
    }
}

static void every_wrong_shape_and_dtype_is_named(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        checkpoint_file *m = k == 1 ? resnet_file() : vit_file();
        if (k == 2)
            to_hugging_face(m);
        m->sparse = true;
        for (size_t i = 0; i < m->n; i++) {
            cn_error err = {0};
            const stored kept = m->t[i];
            if (kept.gone)
                continue;
            for (int change = 0; change < 4; change++) {
                stored *t = &m->t[i];
                if (change == 0 || t->ndim == 0)
                    t->shape[t->ndim++] = 2;
                else if (change == 1)
                    t->shape[t->ndim - 1] += 1;
                else if (change == 2)
                    t->shape[0] = 0;
                else
                    strcpy(t->dtype, "I64");
                cn_weights *w = open_file(m);
                clip_checkpoint *c;
                cn_error_clear(&err);
                cn_status st = clip_checkpoint_read(&c, w, NULL, &err);
                if (st == CN_OK || !strstr(err.text, m->folder))
                    fail_msg("%s: change %d gave %s: %s", kept.name, change, cn_status_name(st), err.text);
                cn_weights_close(w);
                *t = kept;
            }
        }
        free_file(m);
    }
}

static void messages_name_the_tensor_and_both_shapes(void **state)
{
    (void)state;
    checkpoint_file *m = resnet_file();
    find(m, "visual.layer2.0.bn1.weight")->shape[0] = 3;
    refused_with(m, NULL, CN_EFORMAT, "model.safetensors: visual.layer2.0.bn1.weight has shape [3], expected [8]");
    find(m, "visual.layer2.0.bn1.weight")->shape[0] = 8;

    strcpy(find(m, "visual.bn1.running_var")->dtype, "I64");
    refused_with(m, NULL, CN_EUNSUPPORTED, "visual.bn1.running_var holds i64, expected f16, bf16, f32 or f64");
    strcpy(find(m, "visual.bn1.running_var")->dtype, "F32");

    find(m, "visual.attnpool.positional_embedding")->shape[0] = 6;
    refused_with(m, NULL, CN_EFORMAT,
                 "visual.attnpool.positional_embedding has 6 positions; expected one more than a square number");
    find(m, "visual.attnpool.positional_embedding")->shape[0] = 5;

    drop(m, "visual.layer3.0.downsample.0.weight");
    refused_with(m, NULL, CN_ENOTFOUND, "no tensor visual.layer3.0.downsample.0.weight (expected with shape [64, 32, 1, 1])");
    free_file(m);

    m = vit_file();
    to_hugging_face(m);
    find(m, "visual_projection.weight")->shape[1] = 21;
    refused_with(m, NULL, CN_EFORMAT, "visual_projection.weight has shape [24, 21], expected [24, 20]");
    find(m, "visual_projection.weight")->shape[1] = 20;
    find(m, "vision_model.encoder.layers.2.self_attn.k_proj.bias")->shape[0] = 7;
    refused_with(m, NULL, CN_EFORMAT, "vision_model.encoder.layers.2.self_attn.k_proj.bias has shape [7], expected [20]");
    free_file(m);
}

static void a_hole_between_blocks_is_a_missing_tensor(void **state)
{
    (void)state;
    checkpoint_file *m = resnet_file();
    drop(m, "visual.layer2.0.");
    refused_with(m, NULL, CN_ENOTFOUND, "no tensor visual.layer2.0.");
    drop(m, "visual.layer2.");
    refused_with(m, NULL, CN_ENOTFOUND, "no tensor visual.layer2.0.conv1.weight");
    free_file(m);
}

static void what_is_not_clip_is_refused_with_its_first_tensors(void **state)
{
    static const char *const names[] = {"features.0.weight", "features.0.bias", "classifier.weight", "classifier.bias"};
    (void)state;
    checkpoint_file *m = vit_file();
    m->n = 0;
    const int64_t two = 2;
    for (int i = 0; i < 4; i++)
        add(m, names[i], NULL, 1, &two);
    refused_with(m, NULL, CN_EUNSUPPORTED,
                 "no visual.conv1.weight or vision_model...; this does not look like CLIP; first tensors are ");
    m->n = 1;
    refused_with(m, NULL, CN_EUNSUPPORTED, "first tensor is features.0.weight");
    free_file(m);
}

static void relatives_of_clip_are_refused_by_what_they_add(void **state)
{
    static const struct {
        const char *name, *what;
    } extras[] = {
        {"visual.trunk.patch_embed.proj.weight", "a timm image tower"},
        {"text.transformer.embeddings.word_embeddings.weight", "a Hugging Face text encoder"},
        {"text_decoder.ln_final.weight", "a text decoder (CoCa)"},
        {"vision_model.head.probe", "SigLIP's image head"},
        {"visual.blocks.0.attn.qkv.weight", "EVA"},
        {"visual.transformer.resblocks.1.ls_1.gamma", "is no part of CLIP's blocks"},
        {"transformer.resblocks.0.attn.ln.weight", "is no part of CLIP's blocks"},
        {"visual.conv1.bias", "a patch embedding with a bias"},
    };
    const int64_t twenty = 20;
    (void)state;
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
        checkpoint_file *m = vit_file();
        char part[200];
        add(m, extras[i].name, NULL, 1, &twenty);
        refused_with(m, NULL, CN_EUNSUPPORTED, extras[i].name);
        snprintf(part, sizeof part, "%s", extras[i].what);
        refused_with(m, NULL, CN_EUNSUPPORTED, part);
        free_file(m);
    }
}

static void unknown_tensors_elsewhere_are_ignored(void **state)
{
    (void)state;
    checkpoint_file *m = resnet_file();
    const int64_t one = 1;
    add(m, "input_resolution", NULL, 0, NULL);
    add(m, "logit_bias", NULL, 1, &one);
    add(m, "my.own.probe", NULL, 1, &one);
    strcpy(add(m, "visual.layer1.0.bn1.num_batches_tracked", NULL, 1, &one)->dtype, "I64");
    cn_weights *w = open_file(m);
    clip_checkpoint *c = read_ok(w, NULL);
    assert_int_equal(c->info.parameters, m->like.info.parameters);
    values_are_right(c, m);
    clip_checkpoint_free(c);
    cn_weights_close(w);
    free_file(m);
}

static void absurd_sizes_are_beyond_named_limits(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    const int64_t one = 1;
    m->sparse = true;
    add(m, "visual.transformer.resblocks.512.ln_1.weight", NULL, 1, &one);
    refused_with(m, NULL, CN_ELIMIT, "visual.transformer.resblocks.512.ln_1.weight: more than 512 blocks");
    strcpy(m->t[m->n - 1].name, "visual.transformer.resblocks.99999999999999999999.ln_1.weight");
    refused_with(m, NULL, CN_ELIMIT, "more than 512 blocks");
    m->n--;
    find(m, "ln_final.weight")->shape[0] = 65537;
    refused_with(m, NULL, CN_ELIMIT, "65537 is beyond the limit of 65536");
    find(m, "ln_final.weight")->shape[0] = 32;
    find(m, "visual.conv1.weight")->shape[3] = 1025;
    refused_with(m, NULL, CN_ELIMIT, "1025 is beyond the limit of 1024");
    find(m, "visual.conv1.weight")->shape[3] = 14;
    find(m, "visual.positional_embedding")->shape[0] = 585 * 586 + 1;
    find(m, "visual.positional_embedding")->shape[1] = 1;
    refused_with(m, NULL, CN_ELIMIT, "beyond the limit of 342226");
    free_file(m);
}

static void a_broken_logit_scale_is_refused(void **state)
{
    (void)state;
    checkpoint_file *m = vit_file();
    cn_error err = {0};
    clip_checkpoint *c;
    write_file(m);
    cn_weights *w = open_weights(m->path);
    const char *base = cn_weights_find(w, "logit_scale")->data, *first = cn_weights_find(w, m->t[0].name)->data;
    long at = (long)(base - first);
    cn_weights_close(w);
    const float bad[] = {NAN, INFINITY, -INFINITY, 21};
    for (size_t i = 0; i < 4; i++) {
        FILE *f = fopen(m->path, "r+b");
        uint64_t header;
        assert_int_equal(fread(&header, 8, 1, f), 1);
        fseek(f, (long)header + 8 + at, SEEK_SET);
        fwrite(&bad[i], 4, 1, f);
        fclose(f);
        w = open_weights(m->path);
        cn_error_clear(&err);
        assert_int_equal(clip_checkpoint_read(&c, w, NULL, &err), CN_EFORMAT);
        assert_non_null(strstr(err.text, "logit_scale is "));
        cn_weights_close(w);
    }
    free_file(m);
}

static void each_failing_allocation_is_reported(void **state)
{
    (void)state;
    checkpoint_file *m = resnet_file();
    cn_weights *w = open_file(m);
    size_t n = 0;
    for (;;) {
        cn_error err = {0};
        clip_checkpoint *c;
        cn_memory_fail_at(++n, true);
        cn_status st = clip_checkpoint_read(&c, w, NULL, &err);
        cn_memory_fail_at(0, false);
        if (st == CN_OK) {
            clip_checkpoint_free(c);
            break;
        }
        assert_int_equal(st, CN_ENOMEM);
        assert_null(c);
        assert_true(n < 1000);
    }
    assert_true(n >= 3);
    cn_weights_close(w);
    free_file(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_resnets_are_recognised_in_safetensors),
        cmocka_unit_test(golden_resnets_are_recognised_in_torch_files),
        cmocka_unit_test(a_golden_vit_is_the_same_under_both_names),
        cmocka_unit_test(the_default_model_and_its_control_have_the_same_shapes),
        cmocka_unit_test(published_shapes_have_their_names_and_parameter_counts),
        cmocka_unit_test(any_width_is_read),
        cmocka_unit_test(every_float_dtype_is_read),
        cmocka_unit_test(hugging_face_names_are_read_in_openai_layout),
        cmocka_unit_test(custom_text_clip_names_are_read),
        cmocka_unit_test(one_tower_is_enough_until_the_other_is_needed),
        cmocka_unit_test(attention_without_biases_reads_zeros),
        cmocka_unit_test(reading_a_parameter_checks_its_caller),
        cmocka_unit_test(hugging_face_config_chooses_activation_and_heads),
        cmocka_unit_test(half_a_hugging_face_model_has_its_settings_at_the_top),
        cmocka_unit_test(open_clip_config_chooses_activation_and_heads),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(every_missing_tensor_is_named),
        cmocka_unit_test(every_wrong_shape_and_dtype_is_named),
        cmocka_unit_test(messages_name_the_tensor_and_both_shapes),
        cmocka_unit_test(a_hole_between_blocks_is_a_missing_tensor),
        cmocka_unit_test(what_is_not_clip_is_refused_with_its_first_tensors),
        cmocka_unit_test(relatives_of_clip_are_refused_by_what_they_add),
        cmocka_unit_test(unknown_tensors_elsewhere_are_ignored),
        cmocka_unit_test(absurd_sizes_are_beyond_named_limits),
        cmocka_unit_test(a_broken_logit_scale_is_refused),
        cmocka_unit_test(each_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
