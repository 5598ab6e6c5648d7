/* Every op of the fast program against the plain-C reference, in float32 and bfloat16, over shapes that
 * CLIP has and shapes that it does not: odd widths, odd grids, one image, one token. */
#include "synthetic.h"

#include "nn/gradrows.h"
#include "nn/kernels.h"
#include "nn/ops.h"

/* The bounds, in one place. fp32: largest difference over largest magnitude; bf16: cosine.
 * A bf16 value has 8 bits, so one rounding alone is 4e-3 of the value: the cosine is the fair figure. */
static const struct {
    nn_op op;
    double fp32_error, bf16_cosine;
} bounds[] = {
    {NN_CONV, 2e-5, 0.9995},      /* Winograd F(4x4, 3x3) included, whose sums cancel more */
    {NN_BATCHNORM, 2e-6, 0.9995}, {NN_RELU, 0, 0.9995},         {NN_AVGPOOL, 2e-6, 0.9995},
    {NN_ADD, 2e-6, 0.9995},       {NN_ATTNPOOL, 2e-5, 0.999},   {NN_PATCH_EMBED, 2e-6, 0.9995},
    {NN_TOKEN_EMBED, 0, 0.9999},  {NN_POSITION, 2e-6, 0.9995},  {NN_LAYERNORM, 5e-6, 0.9995},
    {NN_LINEAR, 1e-5, 0.9995},    {NN_GELU, 5e-6, 0.9995},      {NN_ATTENTION, 1e-5, 0.999},
    {NN_SELECT, 1e-5, 0.999}, /* after an attention */
};

static void compare_tap(const nn_graph *g, int node, int64_t batch, int64_t n, int vocabulary)
{
    const setup plain = {g, batch, n, 1, false, &node, 1, vocabulary};
    nn_program *reference = run_backend(&nn_backend_reference, &plain);
    const float *expected = nn_backend_reference.tap(reference, 0);
    const int64_t count = n * nn_elements(&g->node[node].shape);
    double fp32_bound = -1, bf16_bound = -1;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        if (bounds[i].op == g->node[node].op)
            fp32_bound = bounds[i].fp32_error, bf16_bound = bounds[i].bf16_cosine;
    assert_true(fp32_bound >= 0);
    for (int bf16 = 0; bf16 <= (nn_cpu_has_bf16() ? 1 : 0); bf16++) {
        const setup fast = {g, batch, n, 2, bf16 != 0, &node, 1, vocabulary};
        nn_program *program = run_backend(&nn_backend_onednn, &fast);
        const float *got = nn_backend_onednn.tap(program, 0);
        if (bf16) {
            const double c = cosine(got, expected, count);
            if (!(c >= bf16_bound))
                fail_msg("%s: bf16 cosine %.6f, at least %.6f wanted", nn_ops[g->node[node].op].name, c, bf16_bound);
        } else {
            const double e = relative_error(got, expected, count);
            if (!(e <= fp32_bound + 1e-9))
                fail_msg("%s: fp32 error %.2e, at most %.2e wanted", nn_ops[g->node[node].op].name, e, fp32_bound);
        }
        nn_backend_onednn.free(program);
    }
    nn_backend_reference.free(reference);
}

static void conv_equals_reference(void **state)
{
    (void)state;
    static const struct { int64_t resolution, out; int kernel, stride, pad; } shapes[] = {
        {8, 8, 3, 2, 1}, {9, 20, 3, 2, 1}, {7, 5, 1, 1, 0}, {16, 12, 8, 8, 0}, {15, 33, 3, 1, 1}, {14, 16, 14, 14, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nn_graph *g = nn_graph_new();
        const int x = nn_add_pixels(g, shapes[i].resolution);
        const int y = nn_add_conv(g, x, shapes[i].out, shapes[i].kernel, shapes[i].stride, shapes[i].pad, "conv1");
        compare_tap(g, y, 2, 2, 0);
        nn_graph_free(g);
    }
}

static void winograd_sized_conv_equals_reference(void **state)
{
    (void)state;
    static const struct { int64_t side, channels; } shapes[] = {{14, 48}, {17, 40}, {18, 80}, {15, 41}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nn_graph *g = nn_graph_new();
        int x = nn_add_pixels(g, shapes[i].side);
        x = nn_add_conv(g, x, shapes[i].channels, 1, 1, 0, "conv1");
        x = nn_add_relu(g, x);
        x = nn_add_conv(g, x, shapes[i].channels + 16, 3, 1, 1, "conv2");
        compare_tap(g, x, 2, 2, 0);
        nn_graph_free(g);
    }
}

/* Large enough for the fast program to run it over parts of the rows. */
static void large_conv_that_adds_equals_reference(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    const int x = nn_add_pixels(g, 72);
    const int shortcut = nn_add_conv(g, x, 112, 1, 1, 0, "conv1");
    int y = nn_add_relu(g, nn_add_conv(g, x, 16, 1, 1, 0, "conv2"));
    y = nn_add_conv(g, y, 112, 1, 1, 0, "conv3");
    compare_tap(g, nn_add_sum(g, y, shortcut), 2, 2, 0);
    compare_tap(g, g->count - 1, 3, 2, 0);
    nn_graph_free(g);
}

/* What the stages of the network do, with every intermediate read in turn: reading a value changes
 * what can be fused, and must not change the numbers. */
static void bottleneck_with_any_value_tapped_equals_reference(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    int x = nn_add_pixels(g, 18);
    x = nn_add_conv(g, x, 24, 3, 1, 1, "stem");
    x = nn_add_batchnorm(g, x, "bn0");
    const int in = x = nn_add_relu(g, x);
    int s = nn_add_avgpool(g, in, 2);
    s = nn_add_conv(g, s, 40, 1, 1, 0, "downsample");
    s = nn_add_batchnorm(g, s, "bnd");
    x = nn_add_conv(g, x, 10, 1, 1, 0, "conv1");
    x = nn_add_batchnorm(g, x, "bn1");
    x = nn_add_relu(g, x);
    x = nn_add_conv(g, x, 10, 3, 1, 1, "conv2");
    x = nn_add_batchnorm(g, x, "bn2");
    x = nn_add_relu(g, x);
    x = nn_add_avgpool(g, x, 2);
    x = nn_add_conv(g, x, 40, 1, 1, 0, "conv3");
    x = nn_add_batchnorm(g, x, "bn3");
    x = nn_add_sum(g, x, s);
    x = nn_add_relu(g, x);
    const int again = x; /* a second block without a downsampled shortcut */
    x = nn_add_conv(g, x, 40, 1, 1, 0, "conv4");
    x = nn_add_batchnorm(g, x, "bn4");
    x = nn_add_sum(g, x, again);
    x = nn_add_relu(g, x);
    g->output = -1;
    for (int node = 1; node < g->count; node++) {
        const int taps[2] = {node, g->count - 1};
        const setup plain = {g, 3, 2, 1, false, taps, 2, 0}, fast = {g, 3, 2, 2, false, taps, 2, 0};
        nn_program *reference = run_backend(&nn_backend_reference, &plain), *program = run_backend(&nn_backend_onednn, &fast);
        for (int t = 0; t < 2; t++) {
            const double e = relative_error(nn_backend_onednn.tap(program, t), nn_backend_reference.tap(reference, t),
                                            2 * nn_elements(&g->node[taps[t]].shape));
            if (!(e < 2e-5))
                fail_msg("node %d (%s) tapped, tap %d: error %.2e", node, nn_ops[g->node[node].op].name, t, e);
        }
        nn_backend_reference.free(reference);
        nn_backend_onednn.free(program);
    }
    nn_graph_free(g);
}

static void avgpool_drops_what_fills_no_tile(void **state)
{
    (void)state;
    for (int64_t side = 4; side <= 9; side++) {
        nn_graph *g = nn_graph_new();
        int x = nn_add_pixels(g, side);
        x = nn_add_conv(g, x, 17, 1, 1, 0, "conv1");
        x = nn_add_avgpool(g, x, 2);
        assert_int_equal(g->node[x].shape.h, side / 2);
        compare_tap(g, x, 2, 1, 0);
        nn_graph_free(g);
    }
}

static void attnpool_equals_reference(void **state)
{
    (void)state;
    static const struct { int64_t side, width, out; int heads; } shapes[] = {
        {3, 64, 24, 4}, {2, 128, 64, 2}, {9, 40, 10, 5}, {1, 16, 5, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nn_graph *g = nn_graph_new();
        int x = nn_add_pixels(g, shapes[i].side);
        x = nn_add_conv(g, x, shapes[i].width, 1, 1, 0, "conv1");
        x = g->output = nn_add_attnpool(g, x, shapes[i].heads, shapes[i].out, "attnpool");
        compare_tap(g, x, 3, 2, 0);
        nn_graph_free(g);
    }
}

static void vit_steps_equal_reference(void **state)
{
    (void)state;
    for (int quick = 0; quick < 2; quick++) {
        nn_graph *g = nn_graph_new();
        int x = nn_add_pixels(g, 24);
        x = nn_add_conv(g, x, 48, 8, 8, 0, "conv1");
        x = nn_add_patch_embed(g, x, "class", "pos");
        const int embedded = x;
        const int normed = nn_add_layernorm(g, x, "ln");
        const int qkv = nn_add_linear(g, normed, 144, "in_weight", "in_bias", false);
        const int attended = nn_add_attention(g, qkv, 3, false);
        const int projected = nn_add_linear(g, attended, 48, "out_weight", "out_bias", false);
        const int sum = nn_add_sum(g, embedded, projected);
        const int fc = nn_add_linear(g, sum, 100, "fc_weight", "fc_bias", false);
        const int gelu = nn_add_gelu(g, fc, quick != 0);
        const int back = nn_add_linear(g, gelu, 48, "proj_weight", NULL, true);
        const int sum2 = nn_add_sum(g, sum, back);
        const int first = nn_add_select(g, sum2, -1, false);
        g->output = -1;
        const int taps[] = {embedded, normed, qkv, attended, projected, sum, fc, gelu, back, sum2, first};
        for (size_t i = 0; i < sizeof taps / sizeof taps[0]; i++) {
            const setup plain = {g, 2, 2, 1, false, &taps[i], 1, 0}, fast = {g, 2, 2, 2, false, &taps[i], 1, 0};
            nn_program *reference = run_backend(&nn_backend_reference, &plain);
            nn_program *program = run_backend(&nn_backend_onednn, &fast);
            const double e = relative_error(nn_backend_onednn.tap(program, 0), nn_backend_reference.tap(reference, 0),
                                            2 * nn_elements(&g->node[taps[i]].shape));
            if (!(e < 2e-5))
                fail_msg("%s: error %.2e", nn_ops[g->node[taps[i]].op].name, e);
            nn_backend_reference.free(reference);
            nn_backend_onednn.free(program);
        }
        compare_tap(g, embedded, 2, 2, 0);
        compare_tap(g, normed, 2, 2, 0);
        compare_tap(g, attended, 2, 1, 0);
        compare_tap(g, gelu, 2, 2, 0);
        compare_tap(g, first, 2, 2, 0);
        nn_graph_free(g);
    }
}

static void text_steps_equal_reference(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 7, 77};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        nn_graph *g = nn_graph_new();
        const int tokens = nn_add_tokens(g, lengths[i]);
        int x = nn_add_token_embed(g, tokens, 30, 50, "table.weight");
        const int embedded = x;
        const int position = nn_add_position(g, embedded, 80, "pos");
        const int qkv = nn_add_linear(g, position, 90, "in_weight", "in_bias", false);
        const int attended = nn_add_attention(g, qkv, 3, true);
        const int end = nn_add_select(g, attended, tokens, true);
        g->output = -1;
        compare_tap(g, embedded, 3, 2, 50);
        compare_tap(g, position, 3, 2, 50);
        compare_tap(g, attended, 3, 3, 50);
        compare_tap(g, end, 3, 2, 50);
        nn_graph_free(g);
    }
}

/* Known values, so that the reference itself can fail. */
static void reference_gives_values_worked_out_by_hand(void **state)
{
    (void)state;
    const nn_shape one = {NN_VECTOR, 4, 1, 1};
    nn_node node = {.op = NN_LAYERNORM, .shape = one, .eps = 0};
    const float x[4] = {1, 2, 3, 4}, gamma[4] = {1, 1, 1, 2}, beta[4] = {0, 0, 0, 1};
    float y[4];
    nn_ref_args a = {.node = &node, .in_shape = {&one}, .n = 1, .in = {x}, .param = {gamma, beta}, .out = y};
    layernorm_forward_ref(&a);
    assert_float_equal(y[0], -1.3416408, 1e-6);
    assert_float_equal(y[3], 1 + 2 * 1.3416408, 1e-6);

    const float v[4] = {-1, 0, 1, 3};
    node.quick = true;
    a.in[0] = v;
    gelu_forward_ref(&a);
    assert_float_equal(y[0], -0.1542042, 1e-6);
    assert_float_equal(y[2], 0.8457958, 1e-6);
    node.quick = false;
    gelu_forward_ref(&a);
    assert_float_equal(y[0], -0.1586553, 1e-6);
    assert_float_equal(y[3], 2.9959503, 1e-6);

    const nn_shape map = {NN_MAP, 1, 3, 3}, out = {NN_MAP, 1, 3, 3};
    nn_node conv = {.op = NN_CONV, .shape = out, .kernel = 3, .stride = 1, .pad = 1};
    const float image[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, taps[9] = {0, 1, 0, 0, 0, 0, 0, 0, 10};
    float z[9];
    nn_ref_args c = {.node = &conv, .in_shape = {&map}, .n = 1, .in = {image}, .param = {taps}, .out = z};
    conv_forward_ref(&c);
    assert_float_equal(z[0], 50, 0);         /* nothing above; 10 x the one below right */
    assert_float_equal(z[4], 2 + 90, 0);
    assert_float_equal(z[8], 6, 0);
}

/* In the dip of a GELU, what asks for more of a unit moves it up with the leak; what asks for less, and all else, is as it was. */
static void a_leaking_gelu_lets_units_come_back(void **state)
{
    (void)state;
    const nn_shape four = {NN_VECTOR, 4, 1, 1};
    nn_node node = {.op = NN_GELU, .shape = four, .quick = true};
    const float x[4] = {-3, -3, 1, -3}, dy[4] = {1, -1, 1, 2};
    const nn_ref_args forward = {.node = &node, .in_shape = {&four}, .n = 1, .in = {x}};
    for (int quick = 0; quick < 2; quick++) {
        const float expected[4] = {0.25f, quick ? 0.0245483f : 0.0119457f, quick ? 1.0677791f : 1.0833155f, 0.5f};
        float dx[4] = {0}, fast[4];
        node.quick = quick != 0;
        const nn_ref_grad_args a = {.forward = &forward, .dout = dy, .dx = {dx}, .relu = {.leak = 0.25f}};
        gelu_backward_ref(&a);
        gradrows_leaky_gelu(fast, x, dy, 4, NN_F32, node.quick, 0.25f, false);
        for (int i = 0; i < 4; i++) {
            assert_float_equal(dx[i], expected[i], 1e-6);
            assert_float_equal(fast[i], expected[i], 1e-6);
        }
        gradrows_leaky_gelu(fast, x, dy, 4, NN_F32, node.quick, 0.25f, true);
        assert_float_equal(fast[3], 1, 1e-6);
        const nn_ref_grad_args dry = {.forward = &forward, .dout = dy, .dx = {dx}};
        memset(dx, 0, sizeof dx);
        gelu_backward_ref(&dry);
        assert_float_equal(dx[0], -expected[1], 1e-6);
    }
}

static void end_mark_is_the_first_of_the_highest_ids(void **state)
{
    (void)state;
    const nn_node node = {.op = NN_SELECT, .select_end = true};
    const int32_t row[6] = {5, 9, 2, 9, 0, 0};
    assert_int_equal(nn_selected_token(&node, row, 6), 1);
    const nn_node first = {.op = NN_SELECT};
    assert_int_equal(nn_selected_token(&first, row, 6), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_equals_reference),
        cmocka_unit_test(winograd_sized_conv_equals_reference),
        cmocka_unit_test(large_conv_that_adds_equals_reference),
        cmocka_unit_test(bottleneck_with_any_value_tapped_equals_reference),
        cmocka_unit_test(avgpool_drops_what_fills_no_tile),
        cmocka_unit_test(attnpool_equals_reference),
        cmocka_unit_test(vit_steps_equal_reference),
        cmocka_unit_test(text_steps_equal_reference),
        cmocka_unit_test(reference_gives_values_worked_out_by_hand),
        cmocka_unit_test(a_leaking_gelu_lets_units_come_back),
        cmocka_unit_test(end_mark_is_the_first_of_the_highest_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
