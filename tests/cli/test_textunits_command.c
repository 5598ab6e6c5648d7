/* `explain`, `codes` and `atlas` on a study of a few demo pictures: what they print, write and refuse. */
#include "shell.h"

#include <math.h>

/* Five labels, eight pictures each at most, and `study` of them. */
static int make_study(void **state)
{
    return shell_begin_study(state, "happy sad apple anchor bee");
}

static void explain_says_what_a_text_calls_on(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron explain study happy --tokens -n 3"), 0);
    assert_non_null(strstr(shell_out, "happy: units of visual.layer4"));
    assert_non_null(strstr(shell_out, "linear picture: predicted and true cosine on "));
    assert_non_null(strstr(shell_out, "token by token"));
    assert_int_equal(shell("clipneuron explain study happy --minus sad --at p/happy/happy-colour-0.png -n 1 --json"), 0);
    assert_non_null(strstr(shell_out, "\"name\": \"happy\""));
    assert_true(shell_number("\"r\": ") > 0.9 && shell_number("\"r2\": ") > 0.8);
    assert_true(shell_number("\"weight\": ") > 0 && shell_number("\"exact\": ") > 0 && shell_number("\"cosine\": ") < 0.9);
    assert_true(shell_number("\"p\": ") < 0.05);
    /* a difference the other way round has the opposite weights */
    const double weight = shell_number("\"weight\": "), unit = shell_number("\"unit\": ");
    assert_int_equal(shell("clipneuron explain study sad --minus happy -n 1024 --json | grep '\"unit\": %.0f,'", unit), 0);
    assert_true(shell_number("\"weight\": ") + weight < 1e-6 && shell_number("\"weight\": ") + weight > -1e-6);
}

/* The table has one unit; a token's own are named all the same. */
static void tokens_units_have_names(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron explain study \"happy apple\" --tokens -n 1"), 0);
    const char *tokens = strstr(shell_out, "token by token");
    assert_non_null(tokens);
    assert_non_null(strstr(tokens, "happy"));
    assert_null(strstr(tokens, "unit ("));
    assert_int_equal(shell("clipneuron explain study \"happy apple\" --tokens -n 1 --json"), 0);
    assert_null(strstr(shell_out, "\"name\": \"\""));
}

/* Of a ViT a study holds means over tokens, and directions are those of the class token. */
static void token_sites_come_with_a_warning(void **state)
{
    (void)state;
    static const char says[] = "clipneuron: warning: visual.transformer.resblocks.2.mlp.gelu has tokens: directions are those of the class token, ";
    assert_int_equal(shell("clipneuron scan --quiet --model " VIT " p -o vit > /dev/null && clipneuron explain vit a --model " VIT " -n 1"), 0);
    assert_non_null(strstr(shell_err, says));
    assert_ptr_equal(strchr(shell_err, '\n'), strrchr(shell_err, '\n')); /* one line */
    assert_int_equal(shell("clipneuron codes vit a photo dog --template {} --model " VIT), 0);
    assert_non_null(strstr(shell_err, says));
    assert_non_null(strstr(shell_err, "so weights do not say what its pictures get; scan with --reduce class\n"));
    assert_int_equal(shell("clipneuron explain study happy -n 1"), 0);
    assert_null(strstr(shell_err, "warning"));
}

/* Of unit 5 at the end of the last block. */
static double at_the_class_token(const char *picture)
{
    assert_int_equal(shell("clipneuron activations --model " VIT " --unit resblocks.2:5 --reduce none \"%s\" -o - | sed -n 2p", picture), 0);
    const char *value = strrchr(shell_out, ',');
    assert_non_null(value);
    return strtod(value + 1, NULL);
}

/* A study of class tokens holds what directions are of. */
static void class_tokens_fit_the_linear_picture(void **state)
{
    (void)state;
    static const char scan[] = "clipneuron scan -q --model " VIT " p --site resblocks.2";
    assert_int_equal(shell("%s -o means > /dev/null && clipneuron explain means a -q --model " VIT " -n 1 --json", scan), 0);
    assert_true(shell_number("\"r\": ") < 0.95 && shell_number("\"r2\": ") < 0);
    assert_int_equal(shell("%s --reduce class -o class > /dev/null && clipneuron explain class a --model " VIT " -n 1 --json", scan), 0);
    assert_null(strstr(shell_err, "warning"));
    assert_true(shell_number("\"r\": ") > 0.999 && shell_number("\"r2\": ") > 0.95); /* only the norm's division is left out */
    assert_int_equal(shell("clipneuron codes class a photo dog --template {} --model " VIT), 0);
    assert_null(strstr(shell_err, "warning"));
    /* a picture's activation is that of the first token, for `see`, too */
    assert_int_equal(shell("clipneuron top class 5 -n 1 --json"), 0);
    double value = shell_number("\"value\": ");
    assert_true(fabs(value - at_the_class_token("p/$(clipneuron top class 5 -n 1 --json | sed -n 's/.*\"path\": \"\\([^\"]*\\)\".*/\\1/p')")) < 1e-5);
    assert_int_equal(shell("clipneuron see --model " VIT " resblocks.2:5 --study class --steps 4 -q --json -o seen.png"), 0);
    value = shell_number("\"activation\": ");
    assert_true(fabs(value - at_the_class_token("seen.png")) < 1e-5);
    assert_int_equal(shell("clipneuron stats class | grep values"), 0);
    assert_non_null(strstr(shell_out, "at the class token\n"));
    assert_int_equal(shell("clipneuron card class 5 -o card.html -q && grep -c 'is its value at the class token (outlines' card.html"), 0);
    assert_int_equal(shell("clipneuron scan -q --reduce class p -o none"), 1);
    assert_string_equal(shell_err, "clipneuron: visual.layer4.3.add has no class token: only a ViT's visual.ln_pre and visual.transformer, with its blocks and what "
                                   "is in them, have one; scan those, or with --reduce mean\n");
}

static void what_cannot_be_explained_is_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"\"I am feeling surprised\"", 2, "STUDY comes first"},
        {"study happy --minus \"\"", 2, "--minus is empty"},
        {"study \"\"", 2, "TEXT is empty"},
    };
    shell_refuses("clipneuron explain", cases, sizeof cases / sizeof *cases);
    /* a text less itself has no fit, which is not a fit of 0 */
    assert_int_equal(shell("clipneuron explain study happy --minus happy -n 1"), 0);
    assert_non_null(strstr(shell_out, "linear picture: not measured: no unit has a weight"));
    assert_int_equal(shell("clipneuron explain study happy --minus happy -n 1 --json"), 0);
    assert_non_null(strstr(shell_out, "\"r\": null"));
}

static void explain_names_words_that_were_never_seen(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron explain study \"i am happy\" --json -n 1"), 0);
    assert_non_null(strstr(shell_out, "\"unknown\": \"am\""));
    assert_int_equal(shell("clipneuron explain study am"), 1);
    assert_non_null(strstr(shell_err, "never seen a word"));
}

static void codes_are_short_sums(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron codes study happy sad angry apple bee --template {}"), 0);
    assert_non_null(strstr(shell_out, "5 words, 1 template\n"));
    assert_non_null(strstr(shell_out, " happy ("));
    assert_int_equal(shell("clipneuron codes study happy sad angry --template {} --template \"this is {}\" --json"), 0);
    assert_non_null(strstr(shell_out, "\"stability\": 1"));
    assert_true(shell_number("\"explained\": ") > 0.1);
    assert_int_equal(shell("clipneuron codes study --words nothing.txt"), 1);
    assert_non_null(strstr(shell_err, "nothing.txt"));
    assert_int_equal(shell("clipneuron codes study happy"), 1);
    assert_non_null(strstr(shell_err, "a code needs others"));
    assert_int_equal(shell("clipneuron codes study happy sad --template none"), 2);
    assert_non_null(strstr(shell_err, "one {}"));
}

static void atlas_draws_and_is_the_same_again(void **state)
{
    (void)state;
    assert_int_equal(shell("printf 'happy\\nsad\\nangry\\nlaughing\\ncrying\\nsurprised\\n' > w.txt; clipneuron atlas study --words w.txt --template {} "
                           "--factors 3 -o a.svg; clipneuron atlas study --words w.txt --template {} --factors 3 -o b.svg -t 1 > /dev/null; cmp a.svg b.svg"),
                     0);
    assert_non_null(strstr(shell_out, "3 factors after "));
    assert_int_equal(shell("grep -c '<desc>' a.svg"), 0);
    assert_int_equal(shell("clipneuron atlas study --words w.txt --json"), 0);
    assert_non_null(strstr(shell_out, "\"loads\": ["));
    assert_int_equal(shell("clipneuron atlas study --words w.txt -o a.gif"), 1);
}

static void nonsense_is_refused_in_one_line(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"explain", 2, "no study named"},
        {"explain study", 2, "STUDY comes first"},
        {"explain study a b", 2, "one text at a time"},
        {"explain study a --minus b --absolute", 2, "either"},
        {"explain study \"\"", 2, "TEXT is empty"},
        {"explain study happy --site layer9", 1, "layer4"},
        {"explain study happy --at nothing.png", 1, "nothing.png"},
        {"explain study happy --model " RN, 1, "another model"},
        {"explain photos happy", 1, "no study"},
        {"codes", 2, "no study named"},
        {"codes study a --words w.txt", 2, "either words or --words"},
        {"atlas study", 2, "where should the picture go"},
        {"atlas study study -o a.svg", 2, "one study"},
    };
    shell_refuses("clipneuron", cases, sizeof cases / sizeof *cases);
    assert_int_equal(shell("clipneuron scan --quiet --matrices none p -o bare > /dev/null; clipneuron explain bare happy"), 0);
    assert_non_null(strstr(shell_out, "linear picture: not measured: "));
    assert_int_equal(shell("clipneuron scan --quiet --reduce max p -o most > /dev/null; clipneuron explain most happy"), 1);
    assert_non_null(strstr(shell_err, "maxima"));
    /* a damaged matrix is named */
    assert_int_equal(shell("cp -r study broken; truncate -s 300 broken/embeddings.npy; clipneuron explain broken happy"), 1);
    assert_non_null(strstr(shell_err, "embeddings.npy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explain_says_what_a_text_calls_on), cmocka_unit_test(explain_names_words_that_were_never_seen),
        cmocka_unit_test(tokens_units_have_names),           cmocka_unit_test(token_sites_come_with_a_warning),
        cmocka_unit_test(class_tokens_fit_the_linear_picture),
        cmocka_unit_test(what_cannot_be_explained_is_refused),
        cmocka_unit_test(codes_are_short_sums),              cmocka_unit_test(atlas_draws_and_is_the_same_again),
        cmocka_unit_test(nonsense_is_refused_in_one_line),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
