/* Graphs that nobody would design: random ops on random earlier values, random taps, batches that are not
 * full. Whatever fusion, in-place steps and memory planning do with them, the fast program must give
 * what the reference gives. A failure names the seed and lists the graph. */
#include "synthetic.h"

#include "nn/kernels.h"
#include "nn/ops.h"

#include <stdio.h>

#ifndef SEEDS
#define SEEDS 120
#endif
#define MAX_NODES 24
#define MAX_TAPS 4
/* Errors of one op are within 2e-5 (test_ops.c); a chain of a dozen, with layer norms of nearly constant rows
 * among them, multiplies that. A value written over too early is wrong by 0.1 to 1. */
#define FP32_ERROR 2e-3
#define BF16_COSINE 0.97
#define MAX_WRT 3
/* A ReLU whose input is nearly zero may be on in one and off in the other, which is a step in the gradient. */
#define FP32_GRADIENT_COSINE 0.9999
#define BF16_GRADIENT_COSINE 0.9

typedef struct random_source {
    uint64_t seed, drawn;
} random_source;

/* 0 .. below - 1 */
static int draw(random_source *r, int below)
{
    const int v = (int)((noise(r->seed, r->drawn++) + 1) / 2 * (float)below);
    return v < below ? v : below - 1;
}

static bool same_shape(const nn_shape *a, const nn_shape *b)
{
    return a->layout == b->layout && a->c == b->c && a->h == b->h && a->w == b->w;
}

/* The latest value often, so that chains grow long enough to fuse; any value else, so that there are branches. */
static int some_node(random_source *r, const nn_graph *g, int first)
{
    return draw(r, 3) ? g->count - 1 : first + draw(r, g->count - first);
}

/* x + some value of x's shape, if need be x itself. */
static int add_sum(random_source *r, nn_graph *g, int x, int first)
{
    int other = x;
    for (int i = first; i < g->count; i++)
        if (same_shape(&g->node[i].shape, &g->node[x].shape) && (other == x || draw(r, 2)))
            other = i;
    return draw(r, 2) ? nn_add_sum(g, x, other) : nn_add_sum(g, other, x);
}

/* A residual block whose summand a branch reads, too: before, between or behind what the kernel swallows. */
static int add_block(random_source *r, nn_graph *g, int x, const char *name)
{
    const nn_shape s = g->node[x].shape;
    char head[32], bn[32];
    snprintf(head, sizeof head, "head.%s", name);
    snprintf(bn, sizeof bn, "bn.%s", name);
    const int summand = draw(r, 3) ? nn_add_batchnorm(g, x, bn) : nn_add_conv(g, x, s.c, 1, 1, 0, name);
    const int from = draw(r, 3) ? x : summand;
    if (draw(r, 3) == 0)
        nn_add_relu(g, summand);
    int y = nn_add_conv(g, from, s.c, 3, 1, 1, head);
    if (draw(r, 2))
        nn_add_relu(g, summand);
    if (draw(r, 2))
        y = nn_add_batchnorm(g, y, bn);
    y = draw(r, 2) ? nn_add_sum(g, y, summand) : nn_add_sum(g, summand, y);
    if (draw(r, 3) == 0)
        nn_add_relu(g, summand);
    return draw(r, 2) ? nn_add_relu(g, y) : y;
}

static int add_map_op(random_source *r, nn_graph *g, int x, int first, const char *name)
{
    static const int64_t widths[] = {1, 5, 8, 15, 16, 17, 33, 48};
    const nn_shape s = g->node[x].shape;
    char bn[32], pool[32];
    snprintf(bn, sizeof bn, "bn.%s", name);
    snprintf(pool, sizeof pool, "pool.%s", name);
    switch (draw(r, 13)) {
    case 0:
    case 1:
    case 2: { /* the same grid: what residual sums need */
        const int kernel = draw(r, 2) ? 3 : 1;
        return nn_add_conv(g, x, draw(r, 3) ? s.c : widths[draw(r, 8)], kernel, 1, kernel / 2, name);
    }
    case 3: {
        const int kernel = 1 + draw(r, 3), pad = draw(r, kernel);
        if (s.h + 2 * pad < kernel)
            return nn_add_relu(g, x);
        return nn_add_conv(g, x, widths[draw(r, 8)], kernel, 1 + draw(r, 2), pad, name);
    }
    case 4:
    case 5:
        return nn_add_batchnorm(g, x, bn);
    case 6:
        return nn_add_relu(g, x);
    case 7:
        return s.h >= 2 ? nn_add_avgpool(g, x, 2) : nn_add_gelu(g, x, true);
    case 8:
    case 9:
        return add_sum(r, g, x, first);
    case 10:
    case 11:
        return add_block(r, g, x, name);
    default:
        if (draw(r, 3) == 0)
            return nn_add_attnpool(g, x, s.c % 3 == 0 ? 3 : 1, 1 + draw(r, 20), pool);
        return draw(r, 3) ? add_sum(r, g, x, first) : nn_add_patch_embed(g, x, name, bn);
    }
}

static int add_row_op(random_source *r, nn_graph *g, int x, int first, int tokens, const char *name)
{
    static const int64_t widths[] = {1, 7, 16, 30, 33, 48};
    const nn_shape s = g->node[x].shape;
    char weight[40], bias[40];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    switch (draw(r, 12)) {
    case 0:
    case 1:
    case 2:
        return nn_add_linear(g, x, draw(r, 3) ? s.c : widths[draw(r, 6)], weight, draw(r, 3) ? bias : NULL, draw(r, 2));
    case 3:
    case 4:
        return nn_add_gelu(g, x, draw(r, 2));
    case 5:
        return nn_add_layernorm(g, x, name);
    case 6:
    case 7:
    case 8:
        return add_sum(r, g, x, first);
    case 9:
        return s.layout == NN_SEQUENCE ? nn_add_position(g, x, s.h + draw(r, 3), name) : nn_add_relu(g, x);
    case 10:
        if (s.layout != NN_SEQUENCE)
            return nn_add_relu(g, x);
        x = nn_add_layernorm(g, x, name);
        x = nn_add_linear(g, x, 3 * s.c, weight, bias, false);
        return nn_add_attention(g, x, s.c % 3 == 0 ? 3 : s.c % 7 == 0 ? 7 : 1, draw(r, 2));
    default:
        if (s.layout != NN_SEQUENCE || draw(r, 2))
            return nn_add_relu(g, x);
        return nn_add_select(g, x, tokens, tokens >= 0 && draw(r, 2));
    }
}

/* first: the first node that is a value to compute with. */
static nn_graph *random_graph(random_source *r, int vocabulary, int *first)
{
    nn_graph *g = nn_graph_new();
    int tokens = -1;
    if (vocabulary) {
        tokens = nn_add_tokens(g, 1 + draw(r, 9));
        *first = nn_add_token_embed(g, tokens, 3 * (1 + draw(r, 10)), vocabulary, "table.weight");
    } else {
        const bool wide = draw(r, 12) == 0; /* enough for Winograd's kernels */
        *first = nn_add_pixels(g, wide ? 14 + draw(r, 6) : 1 + draw(r, 9));
        if (wide)
            *first = nn_add_conv(g, *first, 41, 1, 1, 0, "wide");
    }
    const int wanted = 4 + draw(r, MAX_NODES - 4);
    while (g->count < wanted) {
        char name[16];
        snprintf(name, sizeof name, "n%d", g->count);
        const int x = some_node(r, g, *first);
        if (g->node[x].shape.layout == NN_MAP)
            add_map_op(r, g, x, *first, name);
        else
            add_row_op(r, g, x, *first, tokens, name);
    }
    assert_false(g->failed);
    const nn_op last = g->node[g->count - 1].op;
    g->output = (last == NN_LINEAR || last == NN_ATTNPOOL) && draw(r, 2) ? g->count - 1 : -1;
    return g;
}

static void print_graph(const nn_graph *g, const setup *s)
{
    for (int i = 0; i < g->count; i++) {
        const nn_node *n = &g->node[i];
        print_message("  %2d = %s(%d, %d) -> (%lld, %lld, %lld)", i, nn_ops[n->op].name, n->in[0], n->in[1],
                      (long long)n->shape.c, (long long)n->shape.h, (long long)n->shape.w);
        for (int t = 0; t < s->n_taps; t++)
            print_message(s->taps[t] == i ? " tap" : "");
        print_message("\n");
    }
}

/* Gradients of a random objective: seeds on some taps, some of the gradients wanted, sometimes past ReLUs. Asked for
 * twice, since the first must leave what the second reads. */
static void compare_gradients(uint64_t seed, const setup *s, nn_program *reference, nn_program *fast, bool bf16)
{
    const nn_graph *g = s->graph;
    random_source r = {seed + 1000, 0};
    for (int round = 0; round < 2; round++) {
        cn_error err = {0};
        float *seeds[MAX_TAPS] = {NULL};
        bool wanted[MAX_WRT];
        const bool all = draw(&r, 2);
        const nn_relu_override relu = {.redirect = draw(&r, 4) == 0, .leak = draw(&r, 4) == 0 ? 0.25f : 0};
        for (int t = 0; t < s->n_taps; t++) {
            const int64_t count = s->n * nn_elements(&g->node[s->taps[t]].shape);
            if (t && draw(&r, 3) == 0)
                continue;
            seeds[t] = malloc((size_t)count * sizeof(float));
            for (int64_t i = 0; i < count; i++)
                seeds[t][i] = noise(seed + 77 + (uint64_t)t, (uint64_t)i);
        }
        for (int j = 0; j < s->n_wrt; j++)
            wanted[j] = all || draw(&r, 2);
        const float *const *start = (const float *const *)seeds;
        assert_int_equal(nn_backend_reference.backward(reference, start, all ? NULL : wanted, relu, &err), CN_OK);
        if (nn_backend_onednn.backward(fast, start, all ? NULL : wanted, relu, &err) != CN_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
        for (int j = 0; j < s->n_wrt; j++) {
            const int64_t count = s->n * nn_elements(&g->node[s->wrt[j]].shape);
            const float *got = nn_backend_onednn.gradient(fast, j), *expected = nn_backend_reference.gradient(reference, j);
            const double c = wanted[j] ? cosine(got, expected, count) : 1;
            const double e = wanted[j] ? relative_error(got, expected, count) : 0;
            if (!(c >= (bf16 ? BF16_GRADIENT_COSINE : FP32_GRADIENT_COSINE)) && !(e <= 1e-6)) {
                print_graph(g, s);
                fail_msg("seed %llu, batch %lld of %lld, round %d, gradient of node %d: %s cosine %.6f, error %.3g, redirect %d, leak %g",
                         (unsigned long long)seed, (long long)s->n, (long long)s->batch, round, s->wrt[j],
                         bf16 ? "bf16" : "fp32", c, e, relu.redirect, (double)relu.leak);
            }
        }
        for (int t = 0; t < s->n_taps; t++)
            free(seeds[t]);
    }
}

static void compare(uint64_t seed, const setup *plain, setup fast)
{
    const nn_graph *g = plain->graph;
    nn_program *reference = run_backend(&nn_backend_reference, plain);
    for (int bf16 = 0; bf16 <= (nn_cpu_has_bf16() ? 1 : 0); bf16++) {
        fast.bf16 = bf16 != 0;
        nn_program *program = run_backend(&nn_backend_onednn, &fast);
        for (int t = 0; t < plain->n_taps; t++) {
            const float *got = nn_backend_onednn.tap(program, t), *expected = nn_backend_reference.tap(reference, t);
            const int64_t count = plain->n * nn_elements(&g->node[plain->taps[t]].shape);
            const double measured = bf16 ? cosine(got, expected, count) : relative_error(got, expected, count);
            const bool good = bf16 ? measured >= BF16_COSINE : measured <= FP32_ERROR;
            if (!good) {
                print_graph(g, plain);
                fail_msg("seed %llu, batch %lld of %lld, node %d: %s %.3g", (unsigned long long)seed, (long long)plain->n,
                         (long long)plain->batch, plain->taps[t], bf16 ? "bf16 cosine" : "fp32 error", measured);
            }
        }
        if (plain->n_wrt)
            compare_gradients(seed, plain, reference, program, bf16 != 0);
        nn_backend_onednn.free(program);
    }
    nn_backend_reference.free(reference);
}

static void random_graphs_give_what_the_reference_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        random_source r = {seed, 0};
        const int vocabulary = draw(&r, 2) ? 40 : 0;
        int first, taps[MAX_TAPS], wrt[MAX_WRT];
        nn_graph *g = random_graph(&r, vocabulary, &first);
        const int n_taps = 1 + draw(&r, MAX_TAPS);
        for (int t = 0; t < n_taps; t++)
            taps[t] = t ? first + draw(&r, g->count - first) : g->count - 1;
        const int64_t batch = draw(&r, 8) || g->node[0].shape.h > 9 ? 1 + draw(&r, 3) : 33;
        const int64_t n = batch - draw(&r, (int)batch);
        const int n_wrt = draw(&r, MAX_WRT + 1);
        for (int j = 0; j < n_wrt; j++) /* the input, or any value */
            wrt[j] = j ? first + draw(&r, g->count - first) : vocabulary ? first : 0;
        const setup plain = {g, batch, n, 1, false, taps, n_taps, vocabulary, wrt, n_wrt};
        setup fast = plain;
        fast.threads = 1 + draw(&r, 2);
        fast.segments = draw(&r, 5); /* often what gradients need is computed again */
        compare(seed, &plain, fast);
        nn_graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_give_what_the_reference_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
