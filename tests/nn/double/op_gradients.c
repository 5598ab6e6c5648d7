/* The gradient of every op against finite differences of the op itself. Built with ops in double precision
 * (NN_REFERENCE_DOUBLE), where a central difference with step 1e-4 is exact to about nine digits. */
#include "../synthetic.h"

#include "nn/ops.h"

#define STEP 1e-4
#define BOUND 1e-6 /* of the largest gradient */

typedef struct subject {
    nn_graph *graph;
    int node;
    int64_t n;
    int32_t *tokens;
    nn_real *in[2], *param[NN_MAX_PARAMS], *out, *dout, *dx[2], *scratch, *gradient_scratch;
    nn_ref_args args;
} subject;

static nn_real *values(int64_t count, uint64_t seed)
{
    nn_real *x = calloc((size_t)count + 1, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count && seed; i++) {
        x[i] = noise(seed, (uint64_t)i);
        if (fabs(x[i]) < 0.01) /* away from the kink of the ReLU */
            x[i] += 0.05;
    }
    return x;
}

/* Inputs, parameters and a direction for the last node of a graph. */
static subject open_subject(nn_graph *g, int64_t n, int vocabulary)
{
    subject s = {.graph = g, .node = g->count - 1, .n = n};
    const nn_node *node = &g->node[s.node];
    const int64_t out = n * nn_elements(&node->shape);
    assert_false(g->failed);
    s.args = (nn_ref_args){.node = node, .n = n};
    for (int j = 0; j < 2; j++)
        if (node->in[j] >= 0 && g->node[node->in[j]].op != NN_TOKENS) {
            const nn_shape *shape = &g->node[node->in[j]].shape;
            s.args.in_shape[j] = shape;
            s.args.in[j] = s.in[j] = values(n * nn_elements(shape), 11 + (uint64_t)j);
            s.dx[j] = values(n * nn_elements(shape), 0);
        }
    for (int j = 0; j < NN_MAX_PARAMS; j++)
        if (node->param[j].name) {
            float *read = calloc((size_t)node->param[j].count, sizeof *read);
            assert_int_equal(synthetic_param(NULL, node->param[j].name, node->param[j].count, read, NULL), CN_OK);
            s.param[j] = values(node->param[j].count, 0);
            for (int64_t i = 0; i < node->param[j].count; i++)
                s.param[j][i] = read[i];
            free(read);
            s.args.param[j] = s.param[j];
        }
    if (vocabulary) {
        s.tokens = calloc((size_t)(n * s.args.in_shape[0]->h), sizeof *s.tokens);
        for (int64_t i = 0; i < n * s.args.in_shape[0]->h; i++)
            s.tokens[i] = (int32_t)((noise(5, (uint64_t)i) + 1) / 2 * (float)(vocabulary - 1));
        s.args.tokens = s.tokens;
    }
    const nn_op_info *op = &nn_ops[node->op];
    s.scratch = values(op->scratch_floats ? op->scratch_floats(node, s.args.in_shape[0], n) : 0, 0);
    s.gradient_scratch = values(op->gradient_scratch_floats ? op->gradient_scratch_floats(node, s.args.in_shape[0]) : 0, 0);
    s.args.scratch = s.scratch;
    s.args.out = s.out = values(out, 0);
    s.dout = values(out, 3);
    return s;
}

static void close_subject(subject *s)
{
    for (int j = 0; j < 2; j++)
        free(s->in[j]), free(s->dx[j]);
    for (int j = 0; j < NN_MAX_PARAMS; j++)
        free(s->param[j]);
    free(s->tokens), free(s->out), free(s->dout), free(s->scratch), free(s->gradient_scratch);
    nn_graph_free(s->graph);
}

static double objective(subject *s)
{
    double sum = 0;
    nn_ops[s->args.node->op].forward_ref(&s->args);
    for (int64_t i = 0; i < s->n * nn_elements(&s->args.node->shape); i++)
        sum += s->out[i] * s->dout[i];
    return sum;
}

/* Frees the graph. */
static void gradient_equals_differences(nn_graph *g, int64_t n, int vocabulary)
{
    subject s = open_subject(g, n, vocabulary);
    const nn_op_info *op = &nn_ops[s.args.node->op];
    nn_ref_grad_args grad = {.forward = &s.args, .dout = s.dout, .dx = {s.dx[0], s.dx[1]}, .scratch = s.gradient_scratch};
    assert_non_null(op->backward_ref);
    op->backward_ref(&grad);
    for (int j = 0; j < 2; j++) {
        if (!s.in[j])
            continue;
        const int64_t count = n * nn_elements(s.args.in_shape[j]);
        double largest = 0, worst = 0;
        for (int64_t i = 0; i < count; i++) {
            const nn_real x = s.in[j][i];
            s.in[j][i] = x + STEP;
            const double above = objective(&s);
            s.in[j][i] = x - STEP;
            const double below = objective(&s);
            s.in[j][i] = x;
            const double slope = (above - below) / (2 * STEP);
            worst = fmax(worst, fabs(slope - s.dx[j][i]));
            largest = fmax(largest, fabs(s.dx[j][i]));
        }
        assert_true(largest > 0);
        if (!(worst <= BOUND * largest))
            fail_msg("%s, input %d: differs by %.2e of %.2e", op->name, j, worst, largest);
    }
    /* once more on top: gradients are added to */
    nn_real *before = values(n * nn_elements(s.args.in_shape[0]), 0);
    memcpy(before, s.dx[0], (size_t)(n * nn_elements(s.args.in_shape[0])) * sizeof *before);
    op->backward_ref(&grad);
    for (int64_t i = 0; i < n * nn_elements(s.args.in_shape[0]); i++)
        assert_float_equal(s.dx[0][i], 2 * before[i], 1e-9 + 1e-9 * fabs(before[i]));
    free(before);
    close_subject(&s);
}

static void conv(void **state)
{
    (void)state;
    static const struct { int64_t side, out; int kernel, stride, pad; } shapes[] = {
        {6, 5, 3, 2, 1}, {7, 4, 3, 2, 1}, {5, 4, 1, 1, 0}, {8, 6, 4, 4, 0}, {5, 3, 3, 1, 1}, {9, 3, 4, 4, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nn_graph *g = nn_graph_new();
        nn_add_conv(g, nn_add_pixels(g, shapes[i].side), shapes[i].out, shapes[i].kernel, shapes[i].stride, shapes[i].pad, "conv");
        gradient_equals_differences(g, 2, 0);
    }
}

static void batchnorm(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    nn_add_batchnorm(g, nn_add_pixels(g, 4), "bn1");
    gradient_equals_differences(g, 2, 0);
}

static void relu_and_sum(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    nn_add_relu(g, nn_add_pixels(g, 4));
    gradient_equals_differences(g, 2, 0);
    g = nn_graph_new();
    const int a = nn_add_pixels(g, 4), b = nn_add_conv(g, a, 3, 1, 1, 0, "conv");
    nn_add_sum(g, a, b);
    gradient_equals_differences(g, 2, 0);
}

static void avgpool(void **state)
{
    (void)state;
    for (int64_t side = 4; side <= 5; side++) {
        nn_graph *g = nn_graph_new();
        nn_add_avgpool(g, nn_add_pixels(g, side), 2);
        gradient_equals_differences(g, 2, 0);
    }
}

static void attnpool(void **state)
{
    (void)state;
    static const struct { int64_t side, width, out; int heads; } shapes[] = {{3, 12, 5, 3}, {1, 8, 8, 1}, {2, 10, 4, 5}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nn_graph *g = nn_graph_new();
        const int x = nn_add_conv(g, nn_add_pixels(g, shapes[i].side), shapes[i].width, 1, 1, 0, "conv");
        nn_add_attnpool(g, x, shapes[i].heads, shapes[i].out, "attnpool");
        gradient_equals_differences(g, 2, 0);
    }
}

/* A sequence of (length, width) to start from. */
static int sequence(nn_graph *g, int64_t length, int64_t width)
{
    return nn_add_token_embed(g, nn_add_tokens(g, length), width, 20, "table.weight");
}

static void embeddings(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    nn_add_patch_embed(g, nn_add_pixels(g, 3), "class", "pos");
    gradient_equals_differences(g, 2, 0);
    g = nn_graph_new();
    nn_add_position(g, sequence(g, 4, 6), 9, "pos");
    gradient_equals_differences(g, 2, 0);
}

static void layernorm(void **state)
{
    (void)state;
    nn_graph *g = nn_graph_new();
    nn_add_layernorm(g, sequence(g, 3, 10), "ln");
    gradient_equals_differences(g, 2, 0);
}

static void linear(void **state)
{
    (void)state;
    for (int in_out = 0; in_out < 2; in_out++) {
        nn_graph *g = nn_graph_new();
        nn_add_linear(g, sequence(g, 3, 7), 5, "w", in_out ? NULL : "b", in_out != 0);
        gradient_equals_differences(g, 2, 0);
    }
}

static void gelu(void **state)
{
    (void)state;
    for (int quick = 0; quick < 2; quick++) {
        nn_graph *g = nn_graph_new();
        nn_add_gelu(g, sequence(g, 3, 7), quick != 0);
        gradient_equals_differences(g, 2, 0);
    }
}

static void attention(void **state)
{
    (void)state;
    static const struct { int64_t length, width; int heads; bool causal; } shapes[] = {
        {5, 12, 3, false}, {5, 12, 2, true}, {1, 6, 1, false}, {4, 5, 1, true}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        nn_graph *g = nn_graph_new();
        nn_add_attention(g, sequence(g, shapes[i].length, 3 * shapes[i].width), shapes[i].heads, shapes[i].causal);
        gradient_equals_differences(g, 2, 0);
    }
}

static void select_token(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        nn_graph *g = nn_graph_new();
        const int x = sequence(g, 5, 4);
        nn_add_select(g, x, end ? 0 : -1, end != 0);
        gradient_equals_differences(g, 3, end ? 20 : 0);
    }
}

/* An image that is off everywhere gets the gradient that would switch units on; one unit that is on and gets a
 * gradient keeps its image as it was. */
static void redirected_relu_opens_images_that_are_off(void **state)
{
    (void)state;
    const nn_shape shape = {NN_VECTOR, 4, 1, 1};
    const nn_node node = {.op = NN_RELU, .shape = shape};
    const nn_real x[12] = {-1, -2, -3, 0, /* off */ 1, -1, 2, -2, /* on */ 3, -1, -1, -1 /* on, but no gradient there */};
    const nn_real dout[12] = {1, -1, 2, 3, 1, 1, -1, 1, 0, 1, -1, 2};
    const double plain[12] = {0, 0, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0}, redirected[12] = {1, 0, 2, 3, 1, 0, -1, 0, 0, 1, 0, 2};
    const nn_ref_args forward = {.node = &node, .in_shape = {&shape}, .n = 3, .in = {x}};
    const double leaky[12] = {.25, 0, .5, .75, 1, .25, -1, .25, 0, .25, 0, .5}, both[12] = {1, 0, 2, 3, 1, .25, -1, .25, 0, 1, 0, 2};
    const struct {
        nn_relu_override relu;
        const double *right;
    } cases[] = {{{false, 0}, plain}, {{true, 0}, redirected}, {{false, .25f}, leaky}, {{true, .25f}, both}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        nn_real dx[12] = {0};
        const nn_ref_grad_args a = {.forward = &forward, .dout = dout, .dx = {dx}, .relu = cases[k].relu};
        relu_backward_ref(&a);
        for (int i = 0; i < 12; i++)
            assert_float_equal(dx[i], cases[k].right[i], 0);
    }
}

static void every_op_behind_an_input_has_a_gradient(void **state)
{
    (void)state;
    for (int op = 0; op < NN_OP_COUNT; op++)
        assert_int_equal(nn_ops[op].backward_ref != NULL, op != NN_PIXELS && op != NN_TOKENS && op != NN_TOKEN_EMBED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv),       cmocka_unit_test(batchnorm), cmocka_unit_test(relu_and_sum), cmocka_unit_test(avgpool),
        cmocka_unit_test(attnpool),   cmocka_unit_test(embeddings), cmocka_unit_test(layernorm),   cmocka_unit_test(linear),
        cmocka_unit_test(gelu),       cmocka_unit_test(attention), cmocka_unit_test(select_token),
        cmocka_unit_test(redirected_relu_opens_images_that_are_off), cmocka_unit_test(every_op_behind_an_input_has_a_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
