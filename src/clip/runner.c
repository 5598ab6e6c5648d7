/* clip/runner.c -- one tower compiled for a batch, a precision and the sites to read. */
#include "clip/graphs.h"
#include "clip/grid.h"
#include "clip/model.h"
#include "nn/backend.h"

#include "base/cores.h"
#include "base/memory.h"

#include <string.h>

#define DEFAULT_BATCH 8
#define MAX_BATCH 65536
#define MAX_THREADS 1024
/* Mapped pages of the checkpoint are given back after so many bytes of float32 have been read. */
#define DROP_PAGES_EVERY ((size_t)8 << 20)

struct cn_runner {
    const cn_model *model;
    const nn_backend *backend;
    nn_graph *graph;
    nn_program *program;
    cn_tower tower;
    int64_t batch, text_length, resolution;
    size_t n_sites;
    int output_tap;      /* -1 when the embedding was not asked for */
    size_t n_gradient_sites;
    bool input_gradient; /* the first wrt, before the sites */
    const float **seed;  /* per tap, of the present backward */
    bool *wanted;        /* per wrt */
    bool has_run;
    int32_t *tokens;     /* (batch, text_length), when shorter than the context */
};

void cn_runner_free(cn_runner *runner)
{
    if (!runner)
        return;
    if (runner->backend)
        runner->backend->free(runner->program);
    nn_graph_free(runner->graph);
    cn_free(runner->tokens);
    cn_free(runner->seed);
    cn_free(runner->wanted);
    cn_free(runner);
}

typedef struct param_source {
    const clip_checkpoint *checkpoint;
    size_t bytes_since_drop;
} param_source;

/* A positional embedding (1 + side^2, width) of another grid than the checkpoint's: the first row stays, the grid is
 * interpolated bilinearly between the centres of its cells. */
static cn_status read_positions(const clip_checkpoint *c, const clip_param *param, int64_t count, float *dst, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = param->shape[1], rows = count / width;
    int64_t from = 1, side = 1;
    float *stored = cn_malloc((size_t)param->count * sizeof *stored);
    CN_CHECK(stored, CN_ENOMEM, "%lld floats for %s", (long long)param->count, param->name);
    CN_TRY(clip_param_read(c, param->name, param->count, stored, err));
    while (from * from < param->shape[0] - 1)
        from++;
    while (side * side < rows - 1)
        side++;
    memcpy(dst, stored, (size_t)width * sizeof *dst);
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++) {
            const clip_between b = clip_between_cells(y, x, side, side, from, from);
            for (int64_t i = 0; i < width; i++)
                dst[(1 + y * side + x) * width + i] = clip_interpolate(&b, stored + width + i, width);
        }
done:
    cn_free(stored);
    return st;
}

static cn_status read_param(void *user, const char *name, int64_t count, float *dst, cn_error *err)
{
    param_source *source = user;
    const clip_param *param = clip_param_find(source->checkpoint, name);
    const size_t length = strlen(name);
    if (param && param->count != count && param->ndim == 2 && param->tower == CN_TOWER_IMAGE && length > 20 &&
        !strcmp(name + length - 20, "positional_embedding"))
        return read_positions(source->checkpoint, param, count, dst, err);
    source->bytes_since_drop += (size_t)count * sizeof *dst;
    if (source->bytes_since_drop > DROP_PAGES_EVERY) {
        cn_weights_drop_pages(source->checkpoint->weights);
        source->bytes_since_drop = 0;
    }
    return clip_param_read(source->checkpoint, name, count, dst, err);
}

static nn_graph *build(const cn_runner *r, bool pooled)
{
    const cn_model *model = r->model;
    if (r->tower == CN_TOWER_TEXT)
        return clip_text_graph(model->checkpoint, pooled, r->text_length);
    return model->info.architecture == CN_ARCH_RESNET ? clip_resnet_graph(model->checkpoint, r->resolution)
                                                      : clip_vit_graph(model->checkpoint, pooled, r->resolution);
}

static bool has_sites(const nn_graph *g, const cn_runner_options *options)
{
    for (size_t i = 0; i < options->n_sites; i++)
        if (nn_find_site(g, options->sites[i]->name) < 0)
            return false;
    for (size_t i = 0; i < options->n_gradient_sites; i++)
        if (nn_find_site(g, options->gradient_sites[i]->name) < 0)
            return false;
    for (size_t i = 0; i < options->n_edits; i++)
        if (nn_find_site(g, options->edits[i].site->name) < 0)
            return false;
    return true;
}

static int node_of(const nn_graph *g, const cn_site *site)
{
    return g->site[nn_find_site(g, site->name)].node;
}

/* Where gradients of the input are taken: pixels, or what the token table gives. */
static int input_node(const nn_graph *g)
{
    int node = 0;
    while (g->node[node].op != NN_PIXELS && g->node[node].op != NN_TOKEN_EMBED)
        node++;
    return node;
}

static cn_status make_edits(nn_edit *edit, const nn_graph *g, const cn_runner_options *options, const int *wrt, int n_wrt, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < options->n_edits; i++) {
        const cn_site_edit *e = &options->edits[i];
        edit[i] = (nn_edit){node_of(g, e->site), e->values, e->scale, e->shift, e->low, e->high, e->by_image};
        for (int j = 0; j < n_wrt; j++)
            CN_CHECK(wrt[j] >= edit[i].node, CN_EUNSUPPORTED, "gradients are not computed through the edit of %s: only at it and above",
                     e->site->name);
    }
done:
    return st;
}

cn_status cn_runner_create(cn_runner **out, const cn_model *model, const cn_runner_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    param_source source = {model->checkpoint, 0};
    const size_t n_wrt = options->n_gradient_sites + 1;
    int *taps = cn_calloc(options->n_sites + 1, sizeof *taps), *wrt = cn_calloc(n_wrt, sizeof *wrt);
    int wrt_count = 0;
    nn_edit *edit = cn_calloc(options->n_edits + 1, sizeof *edit);
    cn_runner *r = cn_calloc(1, sizeof *r);
    *out = NULL;
    CN_CHECK(r && taps && wrt && edit, CN_ENOMEM, "out of memory for a runner");
    r->seed = cn_calloc(options->n_sites + 1, sizeof *r->seed);
    r->wanted = cn_calloc(n_wrt, sizeof *r->wanted);
    CN_CHECK(r->seed && r->wanted, CN_ENOMEM, "out of memory for a runner");
    r->n_gradient_sites = options->n_gradient_sites;
    r->input_gradient = options->input_gradient;
    r->model = model;
    r->tower = options->tower;
    r->backend = options->backend == CN_BACKEND_REFERENCE ? &nn_backend_reference : &nn_backend_onednn;
    r->batch = options->batch ? options->batch : DEFAULT_BATCH;
    r->n_sites = options->n_sites;
    r->resolution = options->resolution ? options->resolution : model->info.resolution;
    r->text_length = options->text_length ? options->text_length : model->info.context_length;
    const int threads = options->threads ? options->threads : cn_usable_cores();
    CN_TRY(clip_checkpoint_need(model->checkpoint, options->tower, err));
    CN_CHECK(r->batch >= 1 && r->batch <= MAX_BATCH, CN_EINVAL, "a batch holds 1 to %d, not %lld", MAX_BATCH,
             (long long)r->batch);
    CN_CHECK(threads >= 1 && threads <= MAX_THREADS, CN_EINVAL, "threads go from 1 to %d, not %d", MAX_THREADS, threads);
    const int least = model->info.architecture == CN_ARCH_RESNET ? 32 : model->info.patch;
    CN_CHECK(options->tower == CN_TOWER_TEXT || (r->resolution >= least && r->resolution <= CLIP_MAX_RESOLUTION), CN_EINVAL,
             "this model takes pictures of %d to %d px, not %lld", least, CLIP_MAX_RESOLUTION, (long long)r->resolution);
    CN_CHECK(options->tower == CN_TOWER_IMAGE || (r->text_length >= 1 && r->text_length <= model->info.context_length),
             CN_EINVAL, "texts have 1 to %d tokens, not %lld", model->info.context_length, (long long)r->text_length);
    CN_CHECK(options->tower == CN_TOWER_IMAGE || options->n_sites == 0 ||
                 r->text_length == model->info.context_length,
             CN_EINVAL, "sites of the text tower are read at the full context length");
    CN_CHECK(options->tower == CN_TOWER_IMAGE || options->n_gradient_sites == 0 ||
                 r->text_length == model->info.context_length,
             CN_EINVAL, "sites of the text tower are differentiated at the full context length");
    CN_CHECK(options->n_sites || options->embedding, CN_EINVAL, "a runner needs a site to read, or the embedding");
    for (size_t i = 0; i < options->n_sites; i++)
        CN_CHECK(options->sites[i]->tower == options->tower, CN_EINVAL, "%s belongs to the other tower",
                 options->sites[i]->name);
    for (size_t i = 0; i < options->n_gradient_sites; i++)
        CN_CHECK(options->gradient_sites[i]->tower == options->tower, CN_EINVAL, "%s belongs to the other tower",
                 options->gradient_sites[i]->name);
    for (size_t i = 0; i < options->n_edits; i++)
        CN_CHECK(options->edits[i].site->tower == options->tower, CN_EINVAL, "%s belongs to the other tower", options->edits[i].site->name);
    CN_CHECK(options->tower == CN_TOWER_IMAGE || options->n_edits == 0 || r->text_length == model->info.context_length, CN_EINVAL,
             "sites of the text tower are edited at the full context length");

    r->graph = build(r, true);
    if (r->graph && !has_sites(r->graph, options)) {
        nn_graph_free(r->graph);
        r->graph = build(r, false);
    }
    CN_CHECK(r->graph, CN_ENOMEM, "out of memory for the graph of a tower");
    for (size_t i = 0; i < options->n_sites; i++)
        taps[i] = node_of(r->graph, options->sites[i]);
    if (options->input_gradient)
        wrt[wrt_count++] = input_node(r->graph);
    for (size_t i = 0; i < options->n_gradient_sites; i++)
        wrt[wrt_count++] = node_of(r->graph, options->gradient_sites[i]);
    CN_TRY(make_edits(edit, r->graph, options, wrt, wrt_count, err));
    taps[options->n_sites] = r->graph->output;
    r->output_tap = options->embedding ? (int)options->n_sites : -1;
    if (options->tower == CN_TOWER_TEXT) {
        r->tokens = cn_calloc((size_t)(r->batch * r->text_length), sizeof *r->tokens);
        CN_CHECK(r->tokens, CN_ENOMEM, "out of memory for token ids");
    }
    const nn_program_options program = {.batch = r->batch, .threads = threads,
                                        .bf16 = options->precision == CN_PRECISION_BF16, .taps = taps,
                                        .n_taps = (int)options->n_sites + (options->embedding ? 1 : 0),
                                        .wrt = wrt, .n_wrt = wrt_count, .activation_limit = options->activation_limit,
                                        .edits = edit, .n_edits = (int)options->n_edits};
    CN_TRY(r->backend->create(&r->program, r->graph, &program, read_param, &source, err));
    cn_weights_drop_pages(model->weights);
    *out = r, r = NULL;
done:
    cn_free(taps);
    cn_free(wrt);
    cn_free(edit);
    cn_runner_free(r);
    return st;
}

cn_status cn_runner_images(cn_runner *runner, const float *pixels, int64_t n, cn_error *err)
{
    if (runner->tower != CN_TOWER_IMAGE)
        return cn_fail(err, CN_EINVAL, "this runner computes the text tower");
    if (n < 1 || n > runner->batch)
        return cn_fail(err, CN_EINVAL, "a run takes 1 to %lld images, not %lld", (long long)runner->batch, (long long)n);
    runner->has_run = true;
    return runner->backend->run(runner->program, pixels, NULL, n, err);
}

cn_status cn_runner_texts(cn_runner *runner, const int32_t *tokens, int64_t n, cn_error *err)
{
    const int64_t context = runner->model->info.context_length, length = runner->text_length;
    if (runner->tower != CN_TOWER_TEXT)
        return cn_fail(err, CN_EINVAL, "this runner computes the image tower");
    if (n < 1 || n > runner->batch)
        return cn_fail(err, CN_EINVAL, "a run takes 1 to %lld texts, not %lld", (long long)runner->batch, (long long)n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < context; j++) {
            const int32_t id = tokens[i * context + j];
            if (id < 0 || id >= runner->model->info.vocabulary)
                return cn_fail(err, CN_EINVAL, "token id %d is outside this model's vocabulary of %d", id,
                               runner->model->info.vocabulary);
            if (j >= length && id != 0)
                return cn_fail(err, CN_EINVAL, "a text has more than the %lld tokens this runner was made for",
                               (long long)length);
        }
        memcpy(runner->tokens + i * length, tokens + i * context, (size_t)length * sizeof *tokens);
    }
    runner->has_run = true;
    return runner->backend->run(runner->program, NULL, runner->tokens, n, err);
}

cn_status cn_runner_backward(cn_runner *runner, const cn_objective_gradient *objective, cn_error *err)
{
    cn_status st = CN_OK;
    size_t seeds = 0, wrt = 0;
    CN_CHECK(runner->input_gradient || runner->n_gradient_sites, CN_EINVAL, "this runner was made without gradients");
    CN_CHECK(runner->has_run, CN_EINVAL, "a gradient is that of a run, and there was none yet");
    CN_CHECK(!objective->embedding || runner->output_tap >= 0, CN_EINVAL, "this runner does not compute the embedding");
    for (size_t i = 0; i < runner->n_sites; i++)
        seeds += (runner->seed[i] = objective->sites ? objective->sites[i] : NULL) != NULL;
    if (runner->output_tap >= 0)
        seeds += (runner->seed[runner->output_tap] = objective->embedding) != NULL;
    CN_CHECK(seeds, CN_EINVAL, "an objective needs a derivative to start from");
    if (runner->input_gradient)
        runner->wanted[wrt++] = !objective->without_input;
    for (size_t i = 0; i < runner->n_gradient_sites; i++)
        runner->wanted[wrt++] = !objective->wanted || objective->wanted[i];
    CN_TRY(runner->backend->backward(runner->program, runner->seed, runner->wanted,
                                     (nn_relu_override){objective->redirect_relu, objective->relu_leak}, err));
done:
    return st;
}

const float *cn_runner_input_gradient(const cn_runner *runner)
{
    return runner->input_gradient ? runner->backend->gradient(runner->program, 0) : NULL;
}

const float *cn_runner_site_gradient(const cn_runner *runner, size_t i)
{
    return i < runner->n_gradient_sites ? runner->backend->gradient(runner->program, (int)i + runner->input_gradient) : NULL;
}

const float *cn_runner_embedding(const cn_runner *runner)
{
    return runner->output_tap < 0 ? NULL : runner->backend->tap(runner->program, runner->output_tap);
}

const float *cn_runner_site(const cn_runner *runner, size_t i)
{
    return i < runner->n_sites ? runner->backend->tap(runner->program, (int)i) : NULL;
}

int64_t cn_runner_resolution(const cn_runner *runner)
{
    return runner->tower == CN_TOWER_IMAGE ? runner->resolution : 0;
}

void cn_runner_site_size(const cn_runner *runner, const cn_site *site, int64_t *height, int64_t *width)
{
    const int index = nn_find_site(runner->graph, site->name);
    const nn_shape *s = index < 0 ? NULL : &runner->graph->node[runner->graph->site[index].node].shape;
    *height = s ? s->h : site->height;
    *width = s ? s->w : site->width;
}

cn_runner_memory cn_runner_get_memory(const cn_runner *runner)
{
    const nn_program_memory m = runner->backend->memory(runner->program);
    return (cn_runner_memory){m.weight_bytes, m.activation_bytes, m.output_bytes};
}
