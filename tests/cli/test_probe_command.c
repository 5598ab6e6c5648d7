/* `probe` on a study of a few demo pictures: what it prints, keeps and refuses. */
#include "shell.h"

static int make_study(void **state)
{
    const int failed = shell_begin_study(state, "grapes bread bathtub helicopter bomb");
    return failed ? failed : shell("clipneuron probe study -u 1 -o probe.npz --json");
}

static void equations_are_printed_with_the_path(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron probe study -u 1 -n 5"), 0);
    assert_non_null(strstr(shell_out, "label of p: 5 classes from units of visual.layer4.3.add; "));
    assert_non_null(strstr(shell_out, "units/class"));
    assert_non_null(strstr(shell_out, "zero-shot"));
    assert_non_null(strstr(shell_out, "5 of 5 names known"));
    assert_non_null(strstr(shell_out, "\ngrapes ="));
    assert_non_null(strstr(shell_out, "its units at their mean: logit predicted"));
    static char first[1 << 16];
    snprintf(first, sizeof first, "%s", shell_out);
    assert_int_equal(shell("clipneuron probe study -u 1 -n 5 -t 1"), 0); /* threads do not matter, */
    assert_string_equal(shell_out, first);
    assert_int_equal(shell("clipneuron probe probe.npz -n 5"), 0); /* nor whether it comes from a file */
    assert_string_equal(shell_out, first);
    assert_int_equal(shell("clipneuron probe study -u 1 --seed 1"), 0);
    assert_string_not_equal(shell_out, first);
}

static void a_probe_tells_what_a_unit_serves_and_draws(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron probe probe.npz -c grapes --json --direction d.npy --graph g.dot"), 0);
    const int unit = (int)shell_number("\"terms\": [\n        {\"unit\":");
    assert_true(shell_exists("d.npy"));
    assert_int_equal(shell("cat g.dot"), 0);
    assert_non_null(strstr(shell_out, "label=\"grapes\""));
    assert_null(strstr(shell_out, "bread\"]"));
    assert_int_equal(shell("clipneuron probe probe.npz --unit %d", unit), 0);
    assert_non_null(strstr(shell_out, " of 5 classes:\n"));
    assert_non_null(strstr(shell_out, "  grapes  ("));
    assert_int_equal(shell("clipneuron probe probe.npz --unit %d --json", unit), 0);
    assert_non_null(strstr(shell_out, "\"serves\": ["));
    assert_int_equal(shell("clipneuron probe probe.npz --graph g.svg --theme print -n 0 && grep -c '<title>Classes of label' g.svg"), 0);
    assert_int_equal(shell("clipneuron probe probe.npz --graph g.png > /dev/null && head -c 4 g.png | tail -c 3"), 0);
    assert_string_equal(shell_out, "PNG");
}

static void a_class_of_a_probe_is_an_objective(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron probe probe.npz -c grapes --direction grapes.npy > /dev/null\n"
                           "clipneuron gradient -q --objective 'logit:\"grapes\"@probe.npz' cat.png -o a.npy\n"
                           "clipneuron gradient -q --objective layer4.3.add:grapes.npy cat.png -o b.npy\n"
                           "cmp a.npy b.npy && clipneuron see 'logit:\"grapes\"@probe.npz' --steps 1 -q -o grapes.png && ls -l grapes.png"),
                     0);
    assert_int_equal(shell("clipneuron see 'logit:\"graps\"@probe.npz' --steps 1 -o graps.png"), 1);
    assert_non_null(strstr(shell_err, "probe.npz: the probe has no class \"graps\"; nearest of 5: \"grapes\", "));
}

static void attacks_ask_the_probe(void **state)
{
    (void)state;
    static char kept[1 << 16];
    assert_int_equal(shell("clipneuron probe study -u 1 > /dev/null; clipneuron attack draw p/grapes/grapes-colour-0.png --text bread --probe study"), 0);
    assert_non_null(strstr(shell_out, "probe of label on visual.layer4.3.add, 5 classes:\n\n"));
    assert_non_null(strstr(shell_out, "\ngrapes"));
    assert_int_equal(shell("clipneuron attack draw p/grapes/grapes-colour-0.png --text bread --layout label --size 90 --at 0.5,0.75 --probe study --json"), 0);
    snprintf(kept, sizeof kept, "%s", shell_out);
    const char *at = strstr(shell_out, "\"probe\": [");
    double before, after, sum[2] = {0};
    int n = 0, grapes = 0;
    for (at = strstr(at, "\"class\""); at; at = strstr(at + 1, "\"class\""), n++) {
        char name[64];
        assert_int_equal(sscanf(at, "\"class\": \"%63[^\"]\", \"before\": %lf, \"after\": %lf", name, &before, &after), 3);
        sum[0] += before, sum[1] += after;
        grapes += strcmp(name, "grapes") == 0 && before > 0.2 && after < before;
    }
    assert_int_equal(n, 5);
    assert_int_equal(grapes, 1);
    assert_true(sum[0] > 0.9999 && sum[0] < 1.0001 && sum[1] > 0.9999 && sum[1] < 1.0001);
    assert_int_equal(shell("clipneuron attack draw p/grapes/grapes-colour-0.png --text bread --layout label --size 90 --at 0.5,0.75 --probe probe.npz --json"), 0);
    assert_string_equal(shell_out, kept);
    assert_int_equal(shell("clipneuron attack draw p/grapes/grapes-colour-0.png --text bread --probe nothing.npz"), 1);
    assert_non_null(strstr(shell_err, "nothing.npz"));
}

static void a_direction_draws_itself(void **state)
{
    (void)state;
    double reached[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(shell("clipneuron direction study --concept grapes --folds 2 --replicates 40 --see d.png --steps %d --json", i ? 100 : 2), 0);
        assert_true(shell_exists("d.png"));
        assert_non_null(strstr(shell_out, "\"picture\": \"d.png\""));
        reached[i] = shell_number("\"reached\": ");
    }
    assert_true(reached[1] > reached[0] + 0.5);
    assert_int_equal(shell("clipneuron direction study --concept grapes --steps 4"), 2);
    assert_int_equal(shell("clipneuron direction study --concept grapes --see d.jpg"), 2);
}

static void it_refuses_what_makes_no_sense(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", 2, "no study named"},
        {"study study", 2, "one study at a time"},
        {"study --labels colour", 1, "no column \"colour\"; it has label"},
        {"study --mix 2", 2, "--mix"},
        {"study --units none", 2, "--units"},
        {"study --units 5 --most 2", 1, "before the 5"},
        {"study --least 100", 1, "a probe needs two"},
        {"study --site layer9", 1, "layer4"},
        {"study --template a --no-zero-shot", 2, "one {}"},
        {"study -o probe.txt", 2, ".npz"},
        {"probe.npz -o other.npz", 2, "is one already"},
        {"probe.npz -c graps", 1, "did you mean \"grapes\""},
        {"probe.npz --unit 5000", 1, "0 to 1023"},
        {"probe.npz -c grapes --unit 5", 2, "either --unit or --class"},
        {"probe.npz --direction d.npy", 2, "--class"},
        {"probe.npz --graph g.pdf", 1, ".svg or .png"},
        {"probe.npz --graph g.svg --graph-least 1000", 1, "no class has a weight"},
        {"nothing.npz", 1, "nothing.npz"},
        {"cat.png", 1, "is not a folder"},
        {"study --model " RN, 1, "another model"},
    };
    shell_refuses("clipneuron probe", cases, sizeof cases / sizeof *cases);
    assert_int_equal(shell("clipneuron scan --quiet --matrices none p -o bare > /dev/null; clipneuron probe bare"), 1);
    assert_non_null(strstr(shell_err, "matrices none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equations_are_printed_with_the_path),
        cmocka_unit_test(a_probe_tells_what_a_unit_serves_and_draws),
        cmocka_unit_test(a_class_of_a_probe_is_an_objective),
        cmocka_unit_test(attacks_ask_the_probe),
        cmocka_unit_test(a_direction_draws_itself),
        cmocka_unit_test(it_refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
