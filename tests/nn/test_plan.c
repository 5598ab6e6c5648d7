/* Memory planning and fusion: buffers that live together never overlap, and nothing deeper than the
 * taps is computed. */
#include "synthetic.h"

#include "nn/fuse.h"
#include "nn/plan.h"

static bool lives_at(const nn_buffer *b, int step)
{
    return (b->first <= step && step <= b->last) || (b->again_first <= step && step < b->again_end);
}

/* Every second round, some live a second time. */
static void buffers_that_live_together_do_not_overlap(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 200; round++) {
        enum { COUNT = 60, STEPS = 120 };
        nn_buffer b[COUNT];
        size_t total = 0, live_peak = 0;
        cn_error err = {0};
        for (int i = 0; i < COUNT; i++) {
            const int first = (int)((noise(round, (uint64_t)i) + 1) * 20);
            b[i] = (nn_buffer){.bytes = (size_t)((noise(round + 1000, (uint64_t)i) + 1) * 5000), .first = first,
                               .last = first + (int)((noise(round + 2000, (uint64_t)i) + 1) * 6)};
            if (round % 2 && i % 3) {
                b[i].again_first = 60 + (int)((noise(round + 3000, (uint64_t)i) + 1) * 20);
                b[i].again_end = b[i].again_first + (int)((noise(round + 4000, (uint64_t)i) + 1) * 6);
            }
        }
        assert_int_equal(nn_plan(b, COUNT, &total, &err), CN_OK);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(b[i].offset % 64, 0);
            assert_true(b[i].offset + b[i].bytes <= total);
            for (int j = 0; j < i; j++)
                for (int step = 0; step < STEPS; step++)
                    if (lives_at(&b[i], step) && lives_at(&b[j], step))
                        assert_true(b[i].offset + b[i].bytes <= b[j].offset || b[j].offset + b[j].bytes <= b[i].offset);
        }
        for (int step = 0; step < STEPS; step++) {
            size_t live = 0;
            for (int i = 0; i < COUNT; i++)
                if (lives_at(&b[i], step))
                    live += (b[i].bytes + 63) / 64 * 64;
            live_peak = live > live_peak ? live : live_peak;
        }
        assert_true(total >= live_peak);
        if (round % 2 == 0)
            assert_true((double)total <= 1.4 * (double)live_peak); /* greedy, not optimal */
    }
}

static nn_graph *small_block(int nodes[5])
{
    nn_graph *g = nn_graph_new();
    nodes[0] = nn_add_relu(g, nn_add_conv(g, nn_add_pixels(g, 8), 16, 1, 1, 0, "stem"));
    const int inner = nn_add_relu(g, nn_add_conv(g, nodes[0], 16, 1, 1, 0, "conv0"));
    const int x = nn_add_conv(g, inner, 16, 3, 1, 1, "conv1");
    nodes[1] = nn_add_batchnorm(g, x, "bn1");
    nodes[2] = nn_add_sum(g, nodes[1], nodes[0]);
    nodes[3] = nn_add_relu(g, nodes[2]);
    nodes[4] = nn_add_conv(g, nodes[3], 4, 1, 1, 0, "conv2");
    g->output = nodes[4];
    return g;
}

static void a_block_becomes_one_step(void **state)
{
    (void)state;
    int n[5];
    nn_graph *g = small_block(n);
    bool tapped[32] = {0};
    nn_steps s;
    cn_error err = {0};
    tapped[n[3]] = true;
    assert_int_equal(nn_fuse(&s, g, tapped, NULL, &err), CN_OK);
    assert_int_equal(s.count, 4); /* input, stem + ReLU, conv0 + ReLU, conv1 + norm + sum + ReLU; conv2 is deeper */
    assert_int_equal(s.step[3].norm, n[1]);
    assert_int_equal(s.step[3].residual, n[0]);
    assert_int_equal(s.step[3].act, n[3]);
    assert_int_equal(s.step[3].out, n[3]);
    assert_int_equal(s.last_use[n[0]], 3);
    nn_steps_clear(&s);

    tapped[n[2]] = true; /* the sum before the ReLU must exist on its own now */
    assert_int_equal(nn_fuse(&s, g, tapped, NULL, &err), CN_OK);
    assert_int_equal(s.count, 5);
    assert_int_equal(s.step[3].out, n[2]);
    assert_int_equal(s.step[3].act, -1);
    nn_steps_clear(&s);
    nn_graph_free(g);
}

/* A kernel cannot add onto the very value that it reads. */
static void a_sum_with_the_input_of_the_same_step_stays_its_own_step(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    const int x = nn_add_relu(g, nn_add_conv(g, nn_add_pixels(g, 8), 16, 1, 1, 0, "stem"));
    const int sum = nn_add_sum(g, nn_add_conv(g, x, 16, 3, 1, 1, "conv1"), x);
    bool tapped[8] = {0};
    nn_steps s;
    cn_error err = {0};
    tapped[sum] = true;
    assert_int_equal(nn_fuse(&s, g, tapped, NULL, &err), CN_OK);
    assert_int_equal(s.count, 4);
    assert_int_equal(s.step[2].residual, -1);
    nn_steps_clear(&s);
    nn_graph_free(g);
}

/* A kernel may write over a summand only if nobody reads it later -- also no branch that stands between
 * the kernel's node and the sum, for that runs after the whole step. */
static void a_summand_that_a_branch_still_reads_is_not_written_over(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    const int x = nn_add_pixels(g, 4);
    const int summand = nn_add_conv(g, x, 8, 1, 1, 0, "summand");
    const int head = nn_add_conv(g, x, 8, 3, 1, 1, "head");
    const int branch = nn_add_relu(g, summand);
    const int sum = nn_add_sum(g, head, summand);
    g->output = -1;
    const int taps[] = {branch, sum};
    const setup s = {g, 2, 2, 1, false, taps, 2, 0};
    nn_program *reference = run_backend(&nn_backend_reference, &s), *program = run_backend(&nn_backend_onednn, &s);
    for (int t = 0; t < 2; t++)
        assert_true(relative_error(nn_backend_onednn.tap(program, t), nn_backend_reference.tap(reference, t),
                                   2 * nn_elements(&g->node[taps[t]].shape)) < 2e-5);
    nn_backend_reference.free(reference);
    nn_backend_onednn.free(program);
    nn_graph_free(g);
}

/* A sum whose residual is kept between parts runs by itself, later than the convolution that it was fused with: the convolution's value
 * must not be lost in between. */
static void a_sum_that_moves_behind_a_cut_keeps_its_summands(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    const int pixels = nn_add_pixels(g, 6);
    const int x = nn_add_relu(g, nn_add_conv(g, pixels, 8, 3, 1, 1, "a"));
    const int y = nn_add_conv(g, x, 8, 3, 1, 1, "b");
    const int summand = nn_add_conv(g, y, 8, 3, 1, 1, "c");
    const int z = nn_add_relu(g, nn_add_conv(g, y, 8, 3, 1, 1, "d"));
    const int v = nn_add_conv(g, z, 8, 3, 1, 1, "e");
    const int sum = nn_add_sum(g, summand, x), last = nn_add_conv(g, v, 8, 3, 1, 1, "f");
    g->output = -1;
    const int taps[] = {sum, last}, wrt[] = {pixels};
    for (int segments = 1; segments < 12; segments++) {
        const setup s = {.graph = g, .batch = 2, .n = 2, .threads = 1, .taps = taps, .n_taps = 2, .wrt = wrt, .n_wrt = 1, .segments = segments};
        nn_program *reference = run_backend(&nn_backend_reference, &s), *program = run_backend(&nn_backend_onednn, &s);
        float seed[2][2 * 8 * 36];
        cn_error err = {0};
        for (int i = 0; i < 2 * 8 * 36; i++)
            seed[0][i] = noise(5, (uint64_t)i), seed[1][i] = noise(6, (uint64_t)i);
        const float *const seeds[] = {seed[0], seed[1]};
        for (int round = 0; round < 2; round++) {
            assert_int_equal(nn_backend_reference.backward(reference, seeds, NULL, (nn_relu_override){0}, &err), CN_OK);
            assert_int_equal(nn_backend_onednn.backward(program, seeds, NULL, (nn_relu_override){0}, &err), CN_OK);
            assert_true(relative_error(nn_backend_onednn.gradient(program, 0), nn_backend_reference.gradient(reference, 0),
                                       2 * nn_elements(&g->node[pixels].shape)) < 1e-4);
        }
        nn_backend_reference.free(reference);
        nn_backend_onednn.free(program);
    }
    nn_graph_free(g);
}

static void nothing_deeper_than_the_taps_has_weights(void **state)
{
    (void)state;
    int n[5];
    nn_graph *g = small_block(n);
    const setup shallow = {g, 1, 1, 1, false, &n[0], 1, 0}, deep = {g, 1, 1, 1, false, &n[4], 1, 0};
    nn_program *a = run_backend(&nn_backend_onednn, &shallow), *b = run_backend(&nn_backend_onednn, &deep);
    assert_true(nn_backend_onednn.memory(a).weight_bytes < 2048);
    assert_true(nn_backend_onednn.memory(b).weight_bytes > 16 * 16 * 9 * 4);
    nn_backend_onednn.free(a);
    nn_backend_onednn.free(b);
    nn_graph_free(g);
}

/* Sizes that a hostile checkpoint may claim: refused before anything multiplies or reads them. */
static void sizes_beyond_63_bits_are_refused(void **state)
{
    (void)state;
    static const nn_backend *const backends[] = {&nn_backend_reference, &nn_backend_onednn};
    for (int kind = 0; kind < 3; kind++) {
        nn_graph *g = nn_graph_new();
        int x = nn_add_pixels(g, 8192);
        x = nn_add_conv(g, x, kind == 0 ? 65536 : 2048, 1, 1, 0, "conv1");
        if (kind == 1)
            x = nn_add_attention(g, nn_add_linear(g, nn_add_patch_embed(g, x, "class", "pos"), 3 * 2048, "w", NULL, false),
                                 2048, false); /* 2^11 heads of 2^26 x 2^26 scores */
        if (kind == 2)
            x = nn_add_attnpool(g, x, 2048, 65536, "attnpool");
        g->output = x;
        for (int b = 0; b < 2; b++) {
            const nn_program_options options = {.batch = 65536, .threads = 1, .taps = &x, .n_taps = 1};
            cn_error err = {0};
            nn_program *p = (nn_program *)&err;
            assert_int_equal(backends[b]->create(&p, g, &options, synthetic_param, NULL, &err), CN_ELIMIT);
            assert_null(p);
            assert_non_null(strstr(err.text, "batch of 65536"));
        }
        nn_graph_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_that_live_together_do_not_overlap),
        cmocka_unit_test(a_block_becomes_one_step),
        cmocka_unit_test(a_sum_with_the_input_of_the_same_step_stays_its_own_step),
        cmocka_unit_test(a_summand_that_a_branch_still_reads_is_not_written_over),
        cmocka_unit_test(a_sum_that_moves_behind_a_cut_keeps_its_summands),
        cmocka_unit_test(sizes_beyond_63_bits_are_refused),
        cmocka_unit_test(nothing_deeper_than_the_taps_has_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
