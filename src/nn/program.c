/* nn/program.c -- the fast program: a graph compiled into kernels over one planned arena.
 * create: fuse nodes into steps, build a kernel for each (which packs its weights), give every value
 * and scratch area a place in the arena (compile.c). run: walk the steps; nothing is allocated.
 * Values are channels-last in fp32 or bf16; the tower's output stays fp32 in both. */
#include "nn/program.h"
#include "nn/gradrows.h"
#include "nn/ops.h"
#include "nn/rows.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

static void program_free(nn_program *p)
{
    if (!p)
        return;
    for (int i = 0; p->work && i < p->steps.count; i++) {
        for (int k = 0; k < MAX_STEP_KERNELS; k++)
            nn_kernel_free(p->work[i].kernel[k]);
        cn_pages_free(p->work[i].constant[0]);
        cn_pages_free(p->work[i].constant[1]);
    }
    for (int i = 0; p->tap && i < p->n_taps; i++) {
        nn_kernel_free(p->tap[i].copy);
        cn_pages_free(p->tap[i].values);
    }
    for (int i = 0; p->back && i < p->steps.count; i++) {
        for (int k = 0; k < MAX_GRAD_KERNELS; k++)
            nn_kernel_free(p->back[i].kernel[k]);
        cn_pages_free(p->back[i].constant);
    }
    for (int i = 0; p->wrt && i < p->n_wrt; i++)
        cn_pages_free(p->wrt[i].values);
    nn_steps_clear(&p->steps);
    nn_engine_close(p->engine);
    cn_free(p->work);
    cn_free(p->back);
    cn_free(p->grad);
    cn_free(p->step_of);
    cn_free(p->segment);
    cn_free(p->again);
    cn_free(p->back_time);
    cn_free(p->forward_last);
    cn_free(p->cut);
    cn_free(p->wanted);
    cn_free(p->reached);
    cn_free(p->wrt);
    cn_free(p->tap);
    cn_free(p->buffer);
    cn_free(p->value);
    cn_free(p->tokens);
    cn_free(p->edit);
    cn_free(p->skip);
    cn_pages_free(p->arena);
    cn_free(p);
}

/* Keeps the edits, and finds the steps that need not run since what they lead to is given. */
static cn_status take_edits(nn_program *p, const nn_program_options *options, const bool *tapped, cn_error *err)
{
    cn_status st = CN_OK;
    const nn_graph *g = p->graph;
    bool *needed = cn_calloc((size_t)g->count, sizeof *needed), *given = cn_calloc((size_t)g->count, sizeof *given);
    p->edit = cn_calloc((size_t)options->n_edits + 1, sizeof *p->edit);
    p->skip = cn_calloc((size_t)p->steps.count, sizeof *p->skip);
    CN_CHECK(needed && given && p->edit && p->skip, CN_ENOMEM, "out of memory while compiling");
    p->n_edits = options->n_edits;
    for (int i = 0; i < options->n_edits; i++) {
        p->edit[i] = options->edits[i];
        given[p->edit[i].node] = given[p->edit[i].node] || p->edit[i].values;
    }
    for (int i = 0; i < g->count; i++)
        needed[i] = tapped[i];
    for (int i = p->steps.count - 1; i >= 0; i--) {
        const nn_step *s = &p->steps.step[i];
        p->skip[i] = !needed[s->out] || given[s->out];
        for (int j = 0; j < 2 && !p->skip[i]; j++)
            if (g->node[s->head].in[j] >= 0)
                needed[g->node[s->head].in[j]] = true;
        if (!p->skip[i] && s->residual >= 0)
            needed[s->residual] = true;
    }
done:
    cn_free(needed);
    cn_free(given);
    return st;
}

/* With the forward run in `segments` parts, or about so many. *more: whether it can be cut further. */
static cn_status create_in_segments(nn_program **out, const nn_graph *g, const nn_program_options *options, int segments, bool *more,
                                    nn_param_reader read, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    const int threads_before = nn_set_threads(options->threads);
    const size_t nodes = (size_t)g->count;
    bool *tapped = cn_calloc(nodes, sizeof *tapped), *depends = cn_calloc(nodes, sizeof *depends);
    bool *keep = cn_calloc(nodes, sizeof *keep), *read_out = cn_calloc(nodes, sizeof *read_out);
    nn_program *p = cn_calloc(1, sizeof *p);
    program_compiler c = {p, read, user, err};
    *out = NULL;
    CN_CHECK(p && tapped && depends && keep && read_out, CN_ENOMEM, "out of memory while compiling");
    CN_TRY(nn_check_sizes(g, options->batch, err));
    p->graph = g;
    p->batch = options->batch;
    p->threads = options->threads;
    p->dtype = options->bf16 ? NN_BF16 : NN_F32;
    p->staging = -1;
    CN_CHECK(!options->bf16 || nn_cpu_has_bf16(), CN_EUNSUPPORTED,
             "this CPU has no native bf16 arithmetic (%s); use fp32", nn_engine_description());
    for (int i = 0; i < options->n_taps; i++)
        tapped[options->taps[i]] = true;
    program_mark_gradients(g, options, depends, keep);
    for (int i = 0; i < options->n_wrt; i++) /* a value of its own, as if it were read */
        tapped[options->wrt[i]] = true;
    memcpy(read_out, tapped, nodes * sizeof *tapped);
    for (int i = 0; i < options->n_edits; i++)
        tapped[options->edits[i].node] = true;
    CN_TRY(nn_engine_open(&p->engine, err));
    CN_TRY(nn_fuse(&p->steps, g, tapped, keep, err));
    p->cut = cn_calloc(nodes, sizeof *p->cut);
    CN_CHECK(p->cut, CN_ENOMEM, "out of memory while compiling");
    *more = program_choose_cuts(g, &p->steps, depends, keep, segments, p->cut);
    if (segments > 1) { /* cuts are values of their own */
        for (int i = 0; i < g->count; i++)
            keep[i] = keep[i] || p->cut[i];
        nn_steps_clear(&p->steps);
        CN_TRY(nn_fuse(&p->steps, g, tapped, keep, err));
    }
    CN_TRY(program_schedule(p, err));
    CN_TRY(take_edits(p, options, read_out, err));
    for (int i = 0; i < g->count; i++)
        if (keep[i])
            p->steps.last_use[i] = p->end_time; /* no step may write over it */
    p->work = cn_calloc((size_t)p->steps.count, sizeof *p->work);
    p->value = cn_calloc((size_t)g->count, sizeof *p->value);
    p->tap = cn_calloc((size_t)options->n_taps + 1, sizeof *p->tap);
    CN_CHECK(p->work && p->value && p->tap, CN_ENOMEM, "out of memory while compiling");
    p->n_taps = options->n_taps;
    for (int i = 0; i < g->count; i++)
        p->value[i] = -1;
    /* From the end: the widest layers are there, and a weight is packed beside its float32 copy; while little
     * else is packed yet, that pair does not raise the peak. */
    for (int i = p->steps.count - 1; i >= 0; i--) {
        p->work[i].step = p->steps.step[i];
        CN_TRY(program_compile_step(&c, i));
        if (g->node[p->steps.step[i].head].op == NN_TOKENS) {
            p->tokens = cn_calloc((size_t)(p->batch * g->node[p->steps.step[i].head].shape.h), sizeof *p->tokens);
            CN_CHECK(p->tokens, CN_ENOMEM, "out of memory for token ids");
        }
    }
    CN_TRY(program_place_values(&c, keep));
    CN_TRY(program_make_taps(&c, options));
    if (options->n_wrt)
        CN_TRY(program_compile_gradients(&c, options, depends));
    CN_TRY(nn_plan(p->buffer, p->n_buffers, &p->arena_bytes, err));
    p->arena = cn_pages_calloc(p->arena_bytes);
    CN_CHECK(p->arena, CN_ENOMEM, "%zu bytes for activations", p->arena_bytes);
    *out = p, p = NULL;
done:
    nn_set_threads(threads_before);
    cn_free(tapped);
    cn_free(depends);
    cn_free(keep);
    cn_free(read_out);
    program_free(p);
    return st;
}

static cn_status program_create(nn_program **out, const nn_graph *g, const nn_program_options *options,
                                nn_param_reader read, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t limit = options->n_wrt ? options->activation_limit : 0;
    size_t least = SIZE_MAX;
    *out = NULL;
    for (int segments = options->n_wrt && options->segments > 1 ? options->segments : 1;;) {
        nn_program *p = NULL;
        bool more;
        CN_TRY(create_in_segments(&p, g, options, segments, &more, read, user, err));
        least = p->arena_bytes < least ? p->arena_bytes : least;
        if (!limit || p->arena_bytes <= limit) {
            *out = p;
            break;
        }
        program_free(p);
        CN_CHECK(more, CN_ELIMIT,
                 "gradients of %lld inputs at once need %zu MiB for activations at the least, the limit is %zu MiB: take a smaller batch",
                 (long long)options->batch, (least >> 20) + 1, limit >> 20);
        segments += segments < 8 ? 1 : segments / 4;
    }
done:
    return st;
}

/* ---- running ----------------------------------------------------------------------------------- */

static void run_select(const nn_program *p, const step_work *w, const char *x, char *y)
{
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *in = &p->graph->node[node->in[0]].shape;
    const size_t row = (size_t)in->c * nn_dtype_size(p->dtype);
    assert(x && y);
    for (int64_t n = 0; n < p->batch; n++) {
        const int64_t token = nn_selected_token(node, p->tokens ? p->tokens + n * in->h : NULL, in->h);
        memcpy(y + (size_t)n * row, x + (size_t)(n * in->h + token) * row, row);
    }
}

static cn_status compute_step(nn_program *p, step_work *w, const float *pixels, cn_error *err)
{
    const nn_node *node = &p->graph->node[w->step.head];
    const nn_shape *s = &node->shape;
    const int64_t count = p->batch * nn_elements(s), rows = p->batch * s->h * s->w;
    const void *x = node->in[0] >= 0 ? program_at(p, p->value[node->in[0]]) : NULL;
    const void *x1 = node->in[1] >= 0 ? program_at(p, p->value[node->in[1]]) : NULL;
    void *y = program_at(p, p->value[w->step.out]), *scratch = program_at(p, w->scratch);
    switch (node->op) {
    case NN_PIXELS:
        return nn_kernel_run(w->kernel[0], pixels, NULL, y, scratch, err);
    case NN_CONV:
    case NN_AVGPOOL:
    case NN_LINEAR:
    case NN_LAYERNORM:
        return nn_kernel_run(w->kernel[0], x, NULL, y, scratch, err);
    case NN_ATTNPOOL:
        return attnpool_run(p, w, x, y, err);
    case NN_ATTENTION:
        return attention_run(p, w, x, y, err);
    case NN_BATCHNORM:
        rows_affine(y, x, rows, s->c, p->dtype, w->constant[0], w->constant[1]);
        break;
    case NN_RELU:
        rows_relu(y, x, count, p->dtype);
        break;
    case NN_GELU:
        return nn_kernel_run(w->kernel[0], x, NULL, y, scratch, err);
    case NN_ADD:
        rows_add(y, x, x1, count, p->dtype);
        break;
    case NN_PATCH_EMBED:
        rows_tokens(y, x, p->batch, s->h - 1, s->c, p->dtype, w->constant[0], w->constant[1]);
        break;
    case NN_TOKEN_EMBED:
        rows_lookup(y, p->tokens, p->batch * s->h, s->c, p->dtype, w->constant[0]);
        break;
    case NN_POSITION:
        rows_position(y, x, p->batch, s->h * s->c, p->dtype, w->constant[0]);
        break;
    case NN_SELECT:
        run_select(p, w, x, y);
        break;
    case NN_TOKENS:
    case NN_OP_COUNT:
        break;
    }
    return CN_OK;
}

cn_status program_run_step(nn_program *p, step_work *w, const float *pixels, cn_error *err)
{
    const int out = w->step.out;
    const nn_shape *s = &p->graph->node[out].shape;
    const bool skipped = p->skip[w - p->work];
    const cn_status st = skipped ? CN_OK : compute_step(p, w, pixels, err);
    for (int i = 0; i < p->n_edits && st == CN_OK; i++) {
        const nn_edit *e = &p->edit[i];
        const nn_dtype t = program_dtype(p, out);
        void *y = program_at(p, p->value[out]);
        if (e->node != out || !y || (skipped && !e->values))
            continue;
        if (e->values && s->layout == NN_MAP)
            gradrows_from_planes(y, e->values, p->n, s->c, s->h * s->w, t, false);
        else if (e->values)
            gradrows_from_planes(y, e->values, p->n, nn_elements(s), 1, t, false);
        if (e->scale || e->shift || e->low || e->high)
            rows_edit(y, p->n, s->h * s->w, s->c, t, e);
    }
    return st;
}

static cn_status program_run(nn_program *p, const float *pixels, const int32_t *tokens, int64_t n, cn_error *err)
{
    cn_status st = CN_OK;
    const int threads_before = nn_set_threads(p->threads);
    p->n = n;
    for (int i = 0; i < p->steps.count; i++) {
        step_work *w = &p->work[i];
        const nn_shape *s = &p->graph->node[w->step.head].shape;
        const float *input = pixels;
        if (p->graph->node[w->step.head].op == NN_PIXELS && n < p->batch && !p->skip[i]) { /* fill up with black */
            float *full = program_at(p, p->staging);
            const size_t image = (size_t)nn_elements(s);
            memcpy(full, pixels, (size_t)n * image * sizeof *full);
            memset(full + (size_t)n * image, 0, (size_t)(p->batch - n) * image * sizeof *full);
            input = full;
        }
        if (p->graph->node[w->step.head].op == NN_TOKENS) {
            memset(p->tokens, 0, (size_t)(p->batch * s->h) * sizeof *p->tokens);
            memcpy(p->tokens, tokens, (size_t)(n * s->h) * sizeof *p->tokens);
        }
        CN_TRY(program_run_step(p, w, input, err));
        if (p->n_segments == 1)
            program_note_mask(p, i);
        for (int t = 0; t < p->n_taps; t++) /* now, before a later step writes over the value */
            if (p->tap[t].node == w->step.out && p->value[w->step.out] >= 0)
                CN_TRY(nn_kernel_run(p->tap[t].copy, program_at(p, p->value[w->step.out]), NULL, p->tap[t].values, NULL, err));
    }
done:
    nn_set_threads(threads_before);
    return st;
}

static const float *program_gradient(const nn_program *p, int j)
{
    return p->wrt[j].values;
}

static const float *program_tap(const nn_program *p, int i)
{
    return p->tap[i].values;
}

static nn_program_memory program_memory(const nn_program *p)
{
    nn_program_memory m = {p->constant_bytes, p->arena_bytes, p->output_bytes};
    for (int i = 0; i < p->steps.count; i++) {
        for (int k = 0; k < MAX_STEP_KERNELS; k++)
            if (p->work[i].kernel[k])
                m.weight_bytes += nn_kernel_weight_bytes(p->work[i].kernel[k]);
        for (int k = 0; p->back && k < MAX_GRAD_KERNELS; k++)
            if (p->back[i].kernel[k])
                m.weight_bytes += nn_kernel_weight_bytes(p->back[i].kernel[k]);
    }
    return m;
}

const nn_backend nn_backend_onednn = {"oneDNN",       program_create,   program_free,    program_run,
                                      program_tap,    program_memory,   program_backward, program_gradient};
