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
        {"study --template a --no-zero-shot", 1, "one {}"},
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
        cmocka_unit_test(it_refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
