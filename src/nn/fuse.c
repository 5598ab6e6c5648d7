/* nn/fuse.c -- which nodes are needed, and which of them a kernel can swallow. */
#include "nn/fuse.h"

#include "base/memory.h"

void nn_steps_clear(nn_steps *s)
{
    cn_free(s->step);
    cn_free(s->last_use);
    *s = (nn_steps){0};
}

typedef struct use_count {
    int readers;     /* needed nodes that read this one */
    int reader;      /* the last of them */
    int earlier;     /* the one before it, -1 if none */
} use_count;

/* Values that are read from outside must exist; kept ones must also survive. */
typedef struct claims {
    const bool *tapped, *kept;
} claims;

static bool is_kept(const claims *c, int node)
{
    return c->kept && c->kept[node];
}

/* The only reader of `node`, when its value need not exist on its own; else -1. */
static int sole_reader(const use_count *use, const claims *c, int node)
{
    return !c->tapped[node] && !is_kept(c, node) && use[node].readers == 1 ? use[node].reader : -1;
}

/* Tries to grow the step by ADD: the other summand must be there before the step starts, be read by
 * nobody after it, and not be what the step itself reads. "After" counts from the head: a branch that
 * stands between the head and the ADD runs when the step has written over the summand. */
static bool swallow_sum(nn_step *s, const nn_graph *g, const use_count *use, const claims *c)
{
    const int add = sole_reader(use, c, s->out);
    if (add < 0 || g->node[add].op != NN_ADD)
        return false;
    const int other = g->node[add].in[0] == s->out ? g->node[add].in[1] : g->node[add].in[0];
    if (other == s->out || other >= s->head || other == g->node[s->head].in[0] || use[other].reader != add ||
        use[other].earlier >= s->head || is_kept(c, other))
        return false;
    s->residual = other;
    s->sum = s->out = add;
    return true;
}

static bool swallow(nn_step *s, const nn_graph *g, const use_count *use, const claims *c, nn_op op, int *field)
{
    const int next = sole_reader(use, c, s->out);
    if (next < 0 || g->node[next].op != op)
        return false;
    *field = next;
    s->out = next;
    return true;
}

cn_status nn_fuse(nn_steps *out, const nn_graph *g, const bool *tapped, const bool *kept, cn_error *err)
{
    cn_status st = CN_OK;
    const claims claimed = {tapped, kept};
    const size_t count = (size_t)g->count;
    bool *needed = cn_calloc(count, sizeof *needed);
    bool *covered = cn_calloc(count, sizeof *covered);
    use_count *use = cn_calloc(count, sizeof *use);
    *out = (nn_steps){cn_calloc(count, sizeof *out->step), 0, cn_calloc(count, sizeof *out->last_use)};
    CN_CHECK(needed && covered && use && out->step && out->last_use, CN_ENOMEM, "out of memory while compiling");

    for (int i = g->count - 1; i >= 0; i--) {
        needed[i] = needed[i] || tapped[i];
        for (int j = 0; j < 2 && needed[i]; j++)
            if (g->node[i].in[j] >= 0)
                needed[g->node[i].in[j]] = true;
    }
    for (int i = 0; i < g->count; i++)
        use[i].reader = use[i].earlier = -1;
    for (int i = 0; i < g->count; i++)
        for (int j = 0; j < 2 && needed[i]; j++)
            if (g->node[i].in[j] >= 0) {
                use_count *u = &use[g->node[i].in[j]];
                u->readers++;
                u->earlier = u->reader;
                u->reader = i;
            }

    for (int i = 0; i < g->count; i++) {
        if (!needed[i] || covered[i])
            continue;
        nn_step s = {.head = i, .out = i, .norm = -1, .residual = -1, .sum = -1, .act = -1};
        if (g->node[i].op == NN_CONV) {
            swallow(&s, g, use, &claimed, NN_BATCHNORM, &s.norm);
            swallow_sum(&s, g, use, &claimed);
            swallow(&s, g, use, &claimed, NN_RELU, &s.act);
        } else if (g->node[i].op == NN_LINEAR) {
            if (!swallow_sum(&s, g, use, &claimed))
                swallow(&s, g, use, &claimed, NN_GELU, &s.act);
        }
        covered[i] = true;
        const int swallowed[] = {s.norm, s.sum, s.act};
        for (int k = 0; k < 3; k++)
            if (swallowed[k] >= 0)
                covered[swallowed[k]] = true;
        out->step[out->count++] = s;
    }

    for (int i = 0; i < g->count; i++)
        out->last_use[i] = -1;
    for (int i = 0; i < out->count; i++) {
        const nn_step *s = &out->step[i];
        for (int j = 0; j < 2; j++)
            if (g->node[s->head].in[j] >= 0)
                out->last_use[g->node[s->head].in[j]] = i;
        if (s->residual >= 0)
            out->last_use[s->residual] = i;
    }
done:
    cn_free(needed);
    cn_free(covered);
    cn_free(use);
    return st;
}
