/* `words` and `regions` with the default model: what they print, write and refuse. */
#include "shell.h"

#include <math.h>

static int make_list(void **state)
{
    const int failed = shell_begin(state);
    return failed ? failed : shell("printf 'dog\\ncar\\npuppy\\nhouse\\nbird\\npizza\\nbread\\nhorse\\ncake\\ncheese\\n# no word\\n' > list.txt");
}

static void words_have_neighbours(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron words cat --list list.txt -n 3"), 0);
    assert_non_null(strstr(shell_out, "nearest of 11 drawn words:\ncat: car ")); /* the model reads letters */
    assert_int_equal(shell("clipneuron words cat dog cow --analogy --list list.txt --json"), 0);
    assert_non_null(strstr(shell_out, "\"of\": ["));
    assert_int_equal(shell("clipneuron words --group a=cat,dog --group b=pizza,bread --list list.txt --draws 99"), 1);
    assert_non_null(strstr(shell_err, "too few to draw"));
    assert_int_equal(shell("clipneuron words --group a=cat,dog --group b=pizza --list list.txt --draws 99"), 0);
    assert_non_null(strstr(shell_out, "not about people."));
    assert_non_null(strstr(shell_out, "a and b: mean cosine "));
    assert_non_null(strstr(shell_out, " (all 45 draws)\n")); /* two of ten words */
    assert_int_equal(shell("clipneuron words --group x=cat,dog --group y=pizza,bread --group a=bird,horse --group b=cake,cheese --list list.txt --json"), 0);
    assert_non_null(strstr(shell_out, "\"divisions\": 6"));
    assert_non_null(strstr(shell_out, "\"exact\": true"));
}

/* With a font's file the answers are these numbers, whatever fonts there are. */
static void words_of_a_fonts_file_are_the_same_without_fonts(void **state)
{
    (void)state;
    static char before[1 << 14];
    static const char words[] = "clipneuron words cat --list list.txt -n 3 --font-file " FONT " --json";
    static const char regions[] = "clipneuron regions --list list.txt --versions 1 -n 3 --font-file " FONT " --json";
    assert_int_equal(shell("%s", words), 0);
    assert_non_null(strstr(shell_out, "{\"word\": \"car\", "));
    assert_true(fabs(shell_number("\"cosine\":") - 0.74467) < 1e-3); /* kernels of other machines round otherwise */
    snprintf(before, sizeof before, "%s", shell_out);
    assert_int_equal(shell(WITHOUT_FONTS "%s", words), 0);
    assert_string_equal(shell_out, before);
    assert_int_equal(shell("%s", regions), 0);
    assert_true(fabs(shell_number("\"auc\":") - 0.8286) < 5e-3);
    snprintf(before, sizeof before, "%s", shell_out);
    assert_int_equal(shell(WITHOUT_FONTS "%s", regions), 0);
    assert_string_equal(shell_out, before);
    assert_int_equal(shell(WITHOUT_FONTS "clipneuron words cat --list list.txt"), 1);
    assert_non_null(strstr(shell_err, "no font of this system has all letters of '"));
}

static void regions_draw_a_map(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron regions --list list.txt --versions 1 -n 2 -o map.svg && grep -c 'kenya [-0-9]' map.svg"), 0);
    assert_non_null(strstr(shell_out, "drawn words; "));
    assert_int_equal(shell("clipneuron regions --list list.txt --versions 1 -u 5000 -o b.svg"), 1);
    assert_false(shell_exists("b.svg"));
}

static void regions_ask_a_study_for_flags(void **state)
{
    (void)state;
    assert_int_equal(shell("for c in brazil cuba croatia cat; do mkdir -p p/$c; cp " CN_BINARY_DIR "/demo-pictures/$c-[cs3]*.png p/$c; done\n"
                           "clipneuron scan --quiet p -o study > /dev/null"),
                     0);
    assert_int_equal(shell("clipneuron regions study --list list.txt --versions 1 -n 1 -o c.svg && grep -c 'brazil [0-9]* [-0-9.]*, flag [-0-9]' c.svg"), 0);
    assert_non_null(strstr(shell_out, "\n3 countries have pictures that are no writing; "));
    assert_int_equal(shell("clipneuron regions study --list list.txt --versions 1 -n 1 --json -u 0 -o u.png"), 0);
    assert_non_null(strstr(shell_out, "\"country\": \"cuba\", \"pictures\": 5,"));
    assert_true(shell_number("\"by_chance\":") >= 0);
    const double words = shell_number("\"words\":"), names = shell_number("\"names\":"); /* 1024 units: how often would 5 of 5 words be names? */
    double chance = 1024;
    for (int i = 0; i < 5; i++)
        chance *= (names - i) / (words - i);
    assert_true(names > 5 && fabs(shell_number("\"geographic_by_chance\":") - chance) < 1e-6 * chance);
    assert_int_equal(shell("clipneuron scan --quiet p -o edited --edit 'layer4.3.add:3=0' > /dev/null; clipneuron regions edited --list list.txt --versions 1"), 1);
    assert_non_null(strstr(shell_err, "edited: its network was edited (visual.layer4.3.add:3=0), that of the drawn words was not"));
    assert_int_equal(shell("rm -r p/cuba && clipneuron scan --quiet p -o two > /dev/null && clipneuron regions two --list list.txt --versions 1"), 1);
    assert_non_null(strstr(shell_err, "2 countries"));
}

static void nonsense_is_refused_in_one_line(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"words", 2, "no words"},
        {"words ''", 2, "an empty word"},
        {"words a b --analogy", 2, "three words"},
        {"words a --group b=c", 2, "either words or --group"},
        {"words --group b=c", 2, "two groups or four"},
        {"words --group b --group c=d", 2, "NAME=WORD"},
        {"words --group b=, --group c=d", 2, "has no words"},
        {"words cat --list nothing.txt", 1, "nothing.txt"},
        {"words cat --list list.txt --site layer9", 1, "layer"},
        {"words cat --list list.txt --font-file list.txt", 1, "list.txt: cannot be read as a font"},
        {"regions --list list.txt --versions 1 --font-file " FONT " --font-file " FONT, 1, "2 fonts are too many for 1 drawing of each word"},
        {"regions --unit 3", 2, "for a map"},
        {"regions a b", 2, "one study"},
        {"regions nothing", 1, "nothing"},
    };
    shell_refuses("clipneuron", cases, sizeof cases / sizeof *cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_have_neighbours),
        cmocka_unit_test(words_of_a_fonts_file_are_the_same_without_fonts),
        cmocka_unit_test(regions_draw_a_map),
        cmocka_unit_test(regions_ask_a_study_for_flags),
        cmocka_unit_test(nonsense_is_refused_in_one_line),
    };
    return cmocka_run_group_tests(tests, make_list, shell_end);
}
