/* The program's options, manuals and errors, by exact output. */
#include "shell.h"

#define FAILS(code, message, ...)                     \
    do {                                              \
        assert_int_equal(shell(__VA_ARGS__), code);   \
        assert_string_equal(shell_err, message "\n"); \
        assert_string_equal(shell_out, "");           \
    } while (0)

static const char *const commands[] = {"info", "embed",  "classify", "activations", "scan",   "card",
                                       "stats", "units", "top", "buckets", "images", "compare", "export", "tokens", "pixels", "pull"};

static void version_is_one_line(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron --version"), 0);
    assert_string_equal(shell_out, "clipneuron 0.1.0\n");
    assert_string_equal(shell_err, "");
}

static void without_a_command_the_overview_goes_to_stderr(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron"), 2);
    assert_string_equal(shell_out, "");
    assert_non_null(strstr(shell_err, "usage: clipneuron COMMAND"));
}

static void overview_names_every_command(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron help"), 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n  %-12s ", commands[i]);
        assert_non_null(strstr(shell_out, line));
    }
    static char first[sizeof shell_out];
    strcpy(first, shell_out);
    assert_int_equal(shell("clipneuron --help"), 0);
    assert_string_equal(shell_out, first);
}

static void every_manual_has_its_parts_in_80_columns(void **state)
{
    (void)state;
    static const char *const parts[] = {"NAME\n",    "SYNOPSIS\n", "DESCRIPTION\n",
                                        "OPTIONS\n", "EXAMPLES\n", "EXIT STATUS\n"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_int_equal(shell("clipneuron %s --help", commands[i]), 0);
        assert_string_equal(shell_err, "");
        const char *at = shell_out;
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            at = strstr(at, parts[k]);
            assert_non_null(at);
        }
        const char *examples = strstr(shell_out, "EXAMPLES\n");
        for (const char *line = shell_out; line < examples; line += strcspn(line, "\n") + 1)
            if (strncmp(line, "    clipneuron ", 15) != 0) /* synopsis lines are not wrapped */
                assert_in_range(strcspn(line, "\n"), 0, 84);
        static char page[sizeof shell_out];
        strcpy(page, shell_out);
        assert_int_equal(shell("clipneuron help %s", commands[i]), 0);
        assert_string_equal(shell_out, page);
    }
}

static void misspelt_commands_get_a_suggestion(void **state)
{
    (void)state;
    FAILS(2, "clipneuron: unknown command 'clasify'; did you mean 'classify'?", "clipneuron clasify");
    FAILS(2, "clipneuron: unknown command 'frobnicate'; 'clipneuron help' lists the commands",
          "clipneuron frobnicate");
    FAILS(2, "clipneuron: unknown command 'imfo'; did you mean 'info'?", "clipneuron help imfo");
}

static void misspelt_options_get_a_suggestion(void **state)
{
    (void)state;
    FAILS(2, "clipneuron: embed: unknown option --modle; did you mean --model?",
          "clipneuron embed --modle x");
    FAILS(2, "clipneuron: classify: unknown option --temp; did you mean --template?",
          "clipneuron classify --temp=x");
    FAILS(2, "clipneuron: tokens: unknown option --zzzzzz; 'clipneuron help tokens' lists the options",
          "clipneuron tokens --zzzzzz");
    FAILS(2, "clipneuron: info: unknown option -x; 'clipneuron help info' lists the options",
          "clipneuron info -x");
}

static void values_are_checked(void **state)
{
    (void)state;
    FAILS(2, "clipneuron: pixels: --size needs a whole number, not '12px'", "clipneuron pixels --size 12px");
    FAILS(2, "clipneuron: pixels: --size must be from 1 to 8192, not 0", "clipneuron pixels --size 0");
    FAILS(2, "clipneuron: pixels: --size must be from 1 to 8192, not 99999999999999999999",
          "clipneuron pixels --size=99999999999999999999");
    FAILS(2, "clipneuron: embed: --dtype must be fp32, bf16 or auto, not 'fp16'", "clipneuron embed --dtype fp16");
    FAILS(2, "clipneuron: activations: --reduce must be none, mean, max or argmax, not 'sum'",
          "clipneuron activations --reduce sum");
    FAILS(2, "clipneuron: embed: --model needs a value (MODEL)", "clipneuron embed --model");
    FAILS(2, "clipneuron: embed: --output needs a value (FILE)", "clipneuron embed -o --normalise");
    FAILS(2, "clipneuron: embed: --image needs at least one FILE", "clipneuron embed --image -o x.npy");
    FAILS(2, "clipneuron: info: --json takes no value", "clipneuron info --json=yes");
}

static void common_options_are_checked_by_every_command(void **state)
{
    (void)state;
    FAILS(2, "clipneuron: tokens: --threads must be from 1 to 1024, not 0", "clipneuron tokens --threads 0 a");
    FAILS(2, "clipneuron: pixels: --batch must be from 1 to 65536, not 0",
          "clipneuron pixels --threads 2 --dtype bf16 --batch 0");
    FAILS(2, "clipneuron: card: no study named", "clipneuron card --threads 2 --dtype fp32 --batch 4 -o x.html");
}

/* Every command of the overview, but `help`, whose words are commands' names. */
static void every_command_may_be_told_to_be_quiet(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron help | awk '/^  [a-z]+ +[a-z]/ && $1 != \"help\" { print $1 }' > names; wc -l < names; "
                           "for c in $(cat names); do clipneuron $c --help | grep -q '^    -q, --quiet ' || echo \"not $c\"; done"), 0);
    assert_null(strstr(shell_out, "not "));
    assert_true(atoi(shell_out) >= 35);
    assert_int_equal(shell("clipneuron tokens -q cat dog && clipneuron info --quiet | grep -c '^sites '"), 0);
    assert_string_equal(shell_out, "[49406,2368,49407]\n[49406,1929,49407]\n1\n");
    assert_string_equal(shell_err, "");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    FAILS(2, "clipneuron: embed: -o FILE is missing", "clipneuron embed --text a");
    FAILS(2, "clipneuron: embed: name images with --image or texts with --text", "clipneuron embed -o x.npy");
    FAILS(2, "clipneuron: embed: images and texts together need -o OUT.npz",
          "clipneuron embed --image cat.png --text a -o x.npy");
    FAILS(2, "clipneuron: embed: unexpected argument 'cat.png'", "clipneuron embed cat.png -o x.npy");
    FAILS(2, "clipneuron: classify: no classes; name them with --text", "clipneuron classify cat.png");
    FAILS(2, "clipneuron: classify: no image named", "clipneuron classify --text a");
    FAILS(2, "clipneuron: classify: the template 'a photo' has no {} where the class goes",
          "clipneuron classify --text a --template 'a photo' cat.png");
    FAILS(2, "clipneuron: activations: no image named", "clipneuron activations -o x.npy");
    FAILS(2, "clipneuron: activations: the output must end in .npy, .npz or .csv, not 'x.txt'",
          "clipneuron activations cat.png -o x.txt");
    FAILS(2, "clipneuron: pull: no model named; 'clipneuron pull --list' has the names", "clipneuron pull");
    FAILS(2, "clipneuron: pull: an address needs --sha256 HEX: nothing is taken unchecked",
          "clipneuron pull http://localhost/x.pt");
    FAILS(2, "clipneuron: scan: no folder named", "clipneuron scan -o s");
    FAILS(2, "clipneuron: card: no study named", "clipneuron card -o x.html");
}

static void names_cannot_command_the_terminal(void **state)
{
    (void)state;
    FAILS(1, "clipneuron: a?[31mb?.png: No such file or directory",
          "clipneuron pixels --size 8 \"$(printf 'a\\033[31mb\\n.png')\" -o x.npy");
    /* C1 controls and direction overrides, and bytes that are no text */
    FAILS(1, "clipneuron: a\\xc2\\x9b31m\\xe2\\x80\\xae\\xff\xc3\xa4.png: No such file or directory",
          "clipneuron pixels --size 8 \"$(printf 'a\\302\\23331m\\342\\200\\256\\377\\303\\244.png')\" -o "
          "x.npy");
}

static void full_disks_are_noticed_on_standard_output(void **state)
{
    (void)state;
    FAILS(1, "clipneuron: standard output: No space left on device", "clipneuron tokens a > /dev/full");
}

static void progress_stays_off_when_stderr_is_no_terminal(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron pixels --size 8 photos -o x.npy"), 0);
    assert_string_equal(shell_err, "");
    assert_string_equal(shell_out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_is_one_line),
        cmocka_unit_test(without_a_command_the_overview_goes_to_stderr),
        cmocka_unit_test(overview_names_every_command),
        cmocka_unit_test(every_manual_has_its_parts_in_80_columns),
        cmocka_unit_test(misspelt_commands_get_a_suggestion),
        cmocka_unit_test(misspelt_options_get_a_suggestion),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(common_options_are_checked_by_every_command),
        cmocka_unit_test(every_command_may_be_told_to_be_quiet),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(names_cannot_command_the_terminal),
        cmocka_unit_test(full_disks_are_noticed_on_standard_output),
        cmocka_unit_test(progress_stays_off_when_stderr_is_no_terminal),
    };
    return cmocka_run_group_tests(tests, shell_begin, shell_end);
}
