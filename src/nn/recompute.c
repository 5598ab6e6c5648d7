/* nn/recompute.c -- what gradients need of a forward run: kept, or, where memory is short, computed again part by part. Between parts
 * only one value is alive, which alone is kept; a part's inside lives once in the forward run and once more while its gradients
 * are computed. */
#include "nn/ops.h"
#include "nn/program.h"

#include "base/memory.h"

#include <string.h>

/* Bytes that a gradient needs of a step: a ReLU's mask, and what is read again (as if in float32). */
static double kept_bytes(const nn_graph *g, const nn_step *s, const bool *depends, const bool *keep)
{
    const double elements = (double)nn_elements(&g->node[s->out].shape);
    const bool relu = g->node[s->head].op == NN_RELU || (s->act >= 0 && g->node[s->act].op == NN_RELU);
    return depends[s->out] ? elements * ((relu ? 1 : 0) + (keep[s->out] ? (double)sizeof(float) : 0)) : 0;
}

/* Whether the value of step `index` is all that later steps read of it and what came before, but for cuts, which are always there,
 * as token ids are. */
static bool is_clean(const nn_graph *g, const nn_steps *steps, int index, const bool *cut)
{
    for (int j = 0; j <= index; j++) {
        const int out = steps->step[j].out;
        const bool alive = steps->last_use[out] > index && g->node[out].op != NN_TOKENS;
        if (j == index ? !alive : alive && !cut[out])
            return false;
    }
    return true;
}

bool program_choose_cuts(const nn_graph *g, const nn_steps *steps, const bool *depends, const bool *keep, int parts, bool *cut)
{
    double total = 0, part = 0, since = 0;
    bool more = false;
    int clean = -1; /* the last point where one could cut, `part` bytes after the last cut; `since` bytes came after it */
    memset(cut, 0, (size_t)g->count * sizeof *cut);
    if (parts < 2)
        return true;
    for (int i = 0; i < steps->count; i++)
        total += kept_bytes(g, &steps->step[i], depends, keep);
    for (int i = 0; i < steps->count; i++) {
        const int out = steps->step[i].out;
        if (g->node[out].op == NN_PIXELS) {
            cut[out] = true; /* the pixels are the caller's and may be gone by then */
            continue;
        }
        since += kept_bytes(g, &steps->step[i], depends, keep);
        if (i + 1 < steps->count && !is_clean(g, steps, i, cut))
            continue;
        if (clean >= 0 && part > 0 && since > 0) {
            if (part + since > total / parts) {
                cut[steps->step[clean].out] = true;
                part = 0;
            } else {
                more = true;
            }
        }
        part += since;
        since = 0;
        clean = i;
    }
    return more;
}

/* What backward never computes again: the input. */
static bool is_input(const nn_program *p, int index)
{
    const nn_op op = p->graph->node[p->steps.step[index].head].op;
    return op == NN_PIXELS || op == NN_TOKENS;
}

cn_status program_schedule(nn_program *p, cn_error *err)
{
    cn_status st = CN_OK;
    const int count = p->steps.count;
    p->segment = cn_calloc((size_t)count, sizeof *p->segment);
    p->again = cn_calloc((size_t)count, sizeof *p->again);
    p->back_time = cn_calloc((size_t)count, sizeof *p->back_time);
    p->forward_last = cn_calloc((size_t)p->graph->count, sizeof *p->forward_last);
    CN_CHECK(p->segment && p->again && p->back_time && p->forward_last, CN_ENOMEM, "out of memory while compiling");
    memcpy(p->forward_last, p->steps.last_use, (size_t)p->graph->count * sizeof *p->forward_last);
    p->n_segments = 1;
    /* Kept values are fused otherwise, so a sum may stand later than when the cuts were chosen. */
    for (int i = 0; i < count; i++) {
        const int out = p->steps.step[i].out;
        if (p->cut[out] && p->graph->node[out].op != NN_PIXELS)
            p->cut[out] = is_clean(p->graph, &p->steps, i, p->cut);
    }
    for (int i = 0; i < count; i++) {
        p->again[i] = -1;
        p->segment[i] = p->n_segments - 1;
        if (p->cut[p->steps.step[i].out])
            p->n_segments++;
    }
    int time = count + 1; /* seeds are written at count */
    for (int end = count; end > 0;) {
        int first = end - 1;
        while (first > 0 && p->segment[first - 1] == p->segment[end - 1])
            first--;
        for (int i = first; i < end && p->n_segments > 1; i++)
            if (!is_input(p, i))
                p->again[i] = time++;
        for (int i = end - 1; i >= first; i--)
            p->back_time[i] = time++;
        end = first;
    }
    p->end_time = time;
done:
    return st;
}

int program_forward_buffer(nn_program *p, size_t bytes, int index)
{
    const int b = program_buffer(p, bytes, index, index);
    if (b >= 0 && p->again[index] >= 0) {
        p->buffer[b].again_first = p->again[index];
        p->buffer[b].again_end = p->again[index] + 1;
    }
    return b;
}

cn_status program_run_again(nn_program *p, int segment, cn_error *err)
{
    cn_status st = CN_OK;
    for (int i = 0; i < p->steps.count; i++) {
        if (p->segment[i] != segment || is_input(p, i))
            continue;
        CN_TRY(program_run_step(p, &p->work[i], NULL, err));
        program_note_mask(p, i);
    }
done:
    return st;
}
