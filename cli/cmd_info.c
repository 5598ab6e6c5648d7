/* cli/cmd_info.c -- `clipneuron info`: what a checkpoint holds. */
#include "commands.h"
#include "json.h"
#include "models.h"
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    bool json, sites, tensors, fingerprint, memory, quiet;
    struct words models;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "sites", OPTION_FLAG, offsetof(struct arguments, sites), NULL,
     "List every site: its name, tower, units and shape for one image or text."},
    {0, "tensors", OPTION_FLAG, offsetof(struct arguments, tensors), NULL,
     "List every tensor of the checkpoint: its name, dtype and shape."},
    {0, "fingerprint", OPTION_FLAG, offsetof(struct arguments, fingerprint), NULL,
     "Also print the SHA-256 over all tensors and the choices that change results, which studies keep."},
    {0, "memory", OPTION_FLAG, offsetof(struct arguments, memory), NULL,
     "Also print the memory that each tower plans for --batch, --dtype and --threads."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON."},
    RUN_OPTIONS(struct arguments, run),
    QUIET_OPTION(struct arguments, quiet),
};
/* clang-format on */

static const char *const tower_names[] = {"image", "text"};
static const char *const layout_names[] = {"map", "tokens", "vector"};

static int site_shape(const cn_site *site, int64_t shape[3])
{
    switch (site->layout) {
    case CN_SITE_MAP: shape[0] = site->units, shape[1] = site->height, shape[2] = site->width; return 3;
    case CN_SITE_TOKENS: shape[0] = site->positions, shape[1] = site->units; return 2;
    case CN_SITE_VECTOR: break;
    }
    shape[0] = site->units;
    return 1;
}

static const char *shape_text(char *out, size_t size, const int64_t *shape, int ndim)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < ndim && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? " x " : "", (long long)shape[i]);
    return ndim ? out : "scalar";
}

/* 1234567 -> "1,234,567" */
static const char *grouped(char *out, int64_t value)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)value), at = 0;
    for (int i = 0; i < length; i++) {
        out[at++] = digits[i];
        if ((length - 1 - i) % 3 == 0 && i + 1 < length && digits[i] != '-')
            out[at++] = ',';
    }
    out[at] = '\0';
    return out;
}

static const char *image_blocks(char *out, size_t size, const cn_model_info *info)
{
    if (info->architecture == CN_ARCH_VIT)
        snprintf(out, size, "%d layers, width %d, %d heads, patch %d px", info->blocks[0], info->image_width,
                 info->image_heads, info->patch);
    else
        snprintf(out, size, "blocks %d, %d, %d, %d, width %d, %d heads in the attention pool",
                 info->blocks[0], info->blocks[1], info->blocks[2], info->blocks[3], info->image_width,
                 info->image_heads);
    return out;
}

static const char *gflops(char *out, size_t size, double flops)
{
    snprintf(out, size, flops < 1e9 ? "%.3f" : "%.1f", flops / 1e9);
    return out;
}

static void row(const char *name, const char *fmt, ...) CN_PRINTF(2, 3);
static void row(const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("%-14s", name);
    print_safely(stdout, text);
    putchar('\n');
}

struct memory {
    cn_runner_memory tower[2];
    int64_t batch[2];
};

/* Builds both towers as the other commands would. */
static int plan_memory(const struct arguments *a, const cn_model *model, struct memory *memory)
{
    for (int tower = CN_TOWER_IMAGE; tower <= CN_TOWER_TEXT; tower++) {
        cn_runner_options o =
            runner_options(&a->run, (cn_tower)tower, tower == CN_TOWER_IMAGE ? 8 : 32, 65536);
        cn_runner *runner = NULL;
        cn_error err = {0};
        o.embedding = true;
        cn_status st = cn_runner_create(&runner, model, &o, &err);
        if (st != CN_OK)
            return fail_error(&err, st);
        memory->tower[tower] = cn_runner_get_memory(runner);
        memory->batch[tower] = o.batch;
        cn_runner_free(runner);
    }
    return EXIT_DONE;
}

static void print_memory(const struct arguments *a, const struct memory *memory)
{
    for (int tower = 0; tower < 2; tower++)
        row("memory", "%s tower, batch %lld, %s: weights %.1f MB, activations %.1f MB, outputs %.1f MB",
            tower_names[tower], (long long)memory->batch[tower], dtype_choices[precision_of(&a->run)],
            (double)memory->tower[tower].weight_bytes / 1e6,
            (double)memory->tower[tower].activation_bytes / 1e6,
            (double)memory->tower[tower].output_bytes / 1e6);
}

static void print_table(const cn_model *model, const char *fingerprint)
{
    const cn_model_info *info = cn_model_get_info(model);
    const cn_weights *weights = cn_model_weights(model);
    const cn_site *site = cn_model_default_site(model);
    char a[64], b[64], c[64], line[256];
    int64_t shape[3];
    row("model", "%s", cn_weights_path(weights));
    row("architecture", "%s (%s)", info->name,
        info->architecture == CN_ARCH_VIT ? "vision transformer" : "ResNet");
    row("checkpoint", "%s, %s, %zu tensors", info->format, cn_dtype_name(info->storage),
        cn_weights_count(weights));
    row("parameters", "%s (image %s, text %s)", grouped(a, info->parameters),
        grouped(b, info->image_parameters), grouped(c, info->text_parameters));
    row("image tower", "%s", image_blocks(line, sizeof line, info));
    row("text tower", "%d layers, width %d, %d heads, context %d, vocabulary %d", info->text_layers,
        info->text_width, info->text_heads, info->context_length, info->vocabulary);
    row("embedding", "%d", info->embedding);
    row("computation", "%s GFLOP an image, %s GFLOP a text", gflops(a, sizeof a, info->image_flops),
        gflops(b, sizeof b, info->text_flops));
    row("gelu", "%s (%s)", gelu_choices[info->gelu], info->gelu_source);
    row("logit scale", "%.4f", (double)info->logit_scale);
    row("input", "%d px, bicubic, centre crop, mean %.4g %.4g %.4g, sd %.4g %.4g %.4g", info->resolution,
        (double)info->mean[0], (double)info->mean[1], (double)info->mean[2], (double)info->std[0],
        (double)info->std[1], (double)info->std[2]);
    row("sites", "%zu; by default %s (%s)", cn_model_site_count(model), site->name,
        shape_text(line, sizeof line, shape, site_shape(site, shape)));
    if (fingerprint)
        row("fingerprint", "%s", fingerprint);
    row("backend", "%s", cn_backend_description());
}

static void print_sites(const cn_model *model)
{
    size_t width = 0;
    for (size_t i = 0; i < cn_model_site_count(model); i++) {
        size_t length = strlen(cn_model_site_at(model, i)->name);
        width = length > width ? length : width;
    }
    printf("\n%-*s  %-5s  %6s  shape\n", (int)width, "site", "tower", "units");
    for (size_t i = 0; i < cn_model_site_count(model); i++) {
        const cn_site *site = cn_model_site_at(model, i);
        char line[96];
        int64_t shape[3];
        printf("%-*s  %-5s  %6lld  %s\n", (int)width, site->name, tower_names[site->tower],
               (long long)site->units, shape_text(line, sizeof line, shape, site_shape(site, shape)));
    }
}

static void print_tensors(const cn_weights *weights)
{
    printf("\ndtype  %-24s tensor\n", "shape");
    for (size_t i = 0; i < cn_weights_count(weights); i++) {
        const cn_tensor *t = cn_weights_at(weights, i);
        char line[256];
        printf("%-5s  %-24s ", cn_dtype_name(t->dtype), shape_text(line, sizeof line, t->shape, t->ndim));
        print_safely(stdout, t->name);
        putchar('\n');
    }
}

static void json_shape(struct json *j, const int64_t *shape, int ndim)
{
    json_open(j, "shape", '[');
    for (int i = 0; i < ndim; i++)
        json_int(j, NULL, shape[i]);
    json_close(j, ']');
}

static void json_sites(struct json *j, const cn_model *model)
{
    json_open(j, "sites", '[');
    for (size_t i = 0; i < cn_model_site_count(model); i++) {
        const cn_site *site = cn_model_site_at(model, i);
        int64_t shape[3];
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "name", site->name);
        json_text(j, "tower", tower_names[site->tower]);
        json_text(j, "layout", layout_names[site->layout]);
        json_int(j, "units", site->units);
        json_shape(j, shape, site_shape(site, shape));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_tensors(struct json *j, const cn_weights *weights)
{
    json_open(j, "tensors", '[');
    for (size_t i = 0; i < cn_weights_count(weights); i++) {
        const cn_tensor *t = cn_weights_at(weights, i);
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "name", t->name);
        json_text(j, "dtype", cn_dtype_name(t->dtype));
        json_shape(j, t->shape, t->ndim);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_floats(struct json *j, const char *key, const float *values, int n)
{
    j->flat = j->depth + 1;
    json_open(j, key, '[');
    for (int i = 0; i < n; i++)
        json_real(j, NULL, (double)values[i]);
    json_close(j, ']');
}

static void json_memory(struct json *j, const struct memory *memory)
{
    json_open(j, "memory", '{');
    for (int tower = 0; tower < 2; tower++) {
        j->flat = j->depth + 1;
        json_open(j, tower_names[tower], '{');
        json_int(j, "batch", memory->batch[tower]);
        json_int(j, "weight_bytes", (int64_t)memory->tower[tower].weight_bytes);
        json_int(j, "activation_bytes", (int64_t)memory->tower[tower].activation_bytes);
        json_int(j, "output_bytes", (int64_t)memory->tower[tower].output_bytes);
        json_close(j, '}');
    }
    json_close(j, '}');
}

static void print_json(const cn_model *model, const struct arguments *a, const char *fingerprint,
                       const struct memory *memory)
{
    const cn_model_info *info = cn_model_get_info(model);
    const cn_weights *weights = cn_model_weights(model);
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "model", cn_weights_path(weights));
    json_text(&j, "architecture", info->name);
    json_text(&j, "family", info->architecture == CN_ARCH_VIT ? "vit" : "resnet");
    json_text(&j, "format", info->format);
    json_text(&j, "storage", cn_dtype_name(info->storage));
    json_int(&j, "tensor_count", (int64_t)cn_weights_count(weights));
    json_int(&j, "parameters", info->parameters);
    json_int(&j, "image_parameters", info->image_parameters);
    json_int(&j, "text_parameters", info->text_parameters);
    json_real(&j, "image_flops", info->image_flops);
    json_real(&j, "text_flops", info->text_flops);
    json_text(&j, "gelu", gelu_choices[info->gelu]);
    json_text(&j, "gelu_source", info->gelu_source);
    json_real(&j, "logit_scale", (double)info->logit_scale);
    json_int(&j, "embedding", info->embedding);
    json_int(&j, "resolution", info->resolution);
    json_floats(&j, "mean", info->mean, 3);
    json_floats(&j, "std", info->std, 3);
    json_open(&j, "image", '{');
    json_int(&j, "width", info->image_width);
    json_int(&j, "heads", info->image_heads);
    json_int(&j, "patch", info->patch);
    j.flat = j.depth + 1;
    json_open(&j, "blocks", '[');
    for (int i = 0; i < (info->architecture == CN_ARCH_VIT ? 1 : 4); i++)
        json_int(&j, NULL, info->blocks[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    json_open(&j, "text", '{');
    json_int(&j, "width", info->text_width);
    json_int(&j, "heads", info->text_heads);
    json_int(&j, "layers", info->text_layers);
    json_int(&j, "context_length", info->context_length);
    json_int(&j, "vocabulary", info->vocabulary);
    json_close(&j, '}');
    json_text(&j, "default_site", cn_model_default_site(model)->name);
    json_int(&j, "site_count", (int64_t)cn_model_site_count(model));
    if (fingerprint)
        json_text(&j, "fingerprint", fingerprint);
    json_text(&j, "backend", cn_backend_description());
    if (a->memory)
        json_memory(&j, memory);
    if (a->sites)
        json_sites(&j, model);
    if (a->tensors)
        json_tensors(&j, weights);
    json_close(&j, '}');
    json_end(&j);
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_info, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_model *model = NULL;
    char fingerprint[65];
    struct memory memory = {0};
    if (a.models.count > 1 || (a.models.count && a.model.model)) {
        code = fail_usage("info", "one model at a time");
    } else {
        if (a.models.count)
            a.model.model = a.models.items[0];
        code = model_open(&a.model, &model);
    }
    if (code == EXIT_DONE && a.fingerprint) {
        cn_error err = {0};
        cn_status st = cn_model_fingerprint(model, fingerprint, &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
    }
    if (code == EXIT_DONE && a.memory)
        code = plan_memory(&a, model, &memory);
    if (code == EXIT_DONE && a.json)
        print_json(model, &a, a.fingerprint ? fingerprint : NULL, &memory);
    else if (code == EXIT_DONE) {
        print_table(model, a.fingerprint ? fingerprint : NULL);
        if (a.memory)
            print_memory(&a, &memory);
        if (a.sites)
            print_sites(model);
        if (a.tensors)
            print_tensors(cn_model_weights(model));
    }
    cn_model_close(model);
    options_free(&command_info, &a);
    return code;
}

const struct command command_info = {
    .name = "info",
    .summary = "what a checkpoint holds: shapes, sites, parameters, work",
    .synopsis = "info [--model M] [--sites] [--tensors] [--fingerprint] [--memory] [--json]\ninfo M",
    .description = "Opens a checkpoint of any kind that the program reads, checks every tensor that the "
                   "network needs, and prints "
                   "what it found: the architecture, the shapes of both towers, the number of parameters, "
                   "the floating-point "
                   "operations of one image and of one text of full length (a multiply-add counts as two), "
                   "which GELU is used and "
                   "who said so, and the preprocessing.",
    .examples = "The model that comes with the program:\n\n"
                "$ clipneuron info\n\n"
                "The names of all sites, for --site of the other commands:\n\n"
                "$ clipneuron info --sites\n\n"
                "The memory that images in batches of 4 take:\n\n"
                "$ clipneuron info --memory --batch 4\n\n"
                "One figure for a script:\n\n"
                "$ clipneuron info --json | grep '\"embedding\"'",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "MODEL",
    .operands_offset = offsetof(struct arguments, models),
    .run = run,
};
