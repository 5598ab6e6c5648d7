/* `find` and `name` on a study of a few demo pictures: what they print, write and refuse. What the program knows of its default
 * model comes from models/facts.cmake. */
#include "shell.h"

/* p/LABEL/..., five labels, and `study` of them. */
static int make_study(void **state)
{
    return shell_begin_study(state, CN_CONCEPT " apple anchor alien bee");
}

static void find_knows_the_unit_of_a_concept(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron find study " CN_CONCEPT " -n 3"), 0);
    assert_non_null(strstr(shell_out, CN_CONCEPT ": units of visual.layer4"));
    assert_non_null(strstr(shell_out, "labels: " CN_CONCEPT ", "));
    assert_non_null(strstr(shell_out, "linear       z   rank   dissect       z   rank    labels       z   rank"));
    assert_int_equal(shell("clipneuron find study " CN_CONCEPT " --by linear -n 1 --json"), 0);
    assert_non_null(strstr(shell_out, "\"unit\": " CN_UNIT ","));
    assert_non_null(strstr(shell_out, "\"linear\": {\"score\": "));
    assert_null(strstr(shell_out, "\"dissect\""));
    assert_int_equal(shell("clipneuron find study \"a red truck in the rain\" -n 2"), 0);
    assert_non_null(strstr(shell_out, "the nearest label (cosine "));
    assert_non_null(strstr(shell_out, "it does not count for the order"));
    assert_int_equal(shell("clipneuron find study --measure"), 0);
    assert_non_null(strstr(shell_out, "linear and dissect"));
    assert_int_equal(shell("clipneuron find study --measure --by labels --json"), 0);
    assert_non_null(strstr(shell_out, "\"labels\": {"));
    assert_null(strstr(shell_out, "\"combined\""));
}

static void find_ranks_units_for_a_picture(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron find study --image p/" CN_CONCEPT "/" CN_PICTURE " -n 1 --json"), 0);
    assert_non_null(strstr(shell_out, "\"percentile\": "));
    double sd;
    assert_int_equal(sscanf(strstr(shell_out, "\"sd\": "), "\"sd\": %lf", &sd), 1);
    assert_true(sd > 1);
    assert_int_equal(shell("clipneuron find study -i p/" CN_CONCEPT "/" CN_PICTURE " -n 2 --order percentile"), 0);
    assert_non_null(strstr(shell_out, "percentile"));
    assert_int_equal(shell("clipneuron find study --image nothing.png"), 1);
    assert_non_null(strstr(shell_err, "nothing.png"));
    assert_string_equal(shell_out, "");
}

static void find_refuses_what_makes_no_sense(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", 2, "no study named"},
        {"study", 2, "no text"},
        {"study a b", 2, "one text at a time"},
        {"study a --image cat.png", 2, "no text beside"},
        {"study --measure --image cat.png", 2, "either --image or --measure"},
        {"study a --by magic", 2, "linear, dissect, labels"},
        {"study a --site layer9", 1, "layer4"},
        {"study \"\"", 1, "the text is empty"},
        {"study a --model " RN, 1, "another model"},
        {"photos a", 1, "no study"},
    };
    shell_refuses("clipneuron find", cases, sizeof cases / sizeof *cases);
    assert_int_equal(shell("i=0; t=; while [ $i -lt 90 ]; do t=\"$t word\"; i=$((i+1)); done; clipneuron find study \"$t\""), 1);
    assert_non_null(strstr(shell_err, "the limit is 77"));
}

static void name_writes_names_that_cards_show(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron name study --quiet --top 2"), 0);
    assert_non_null(strstr(shell_out, "held out: median correlation "));
    assert_non_null(strstr(shell_out, "the unit's own label: "));
    assert_int_equal(shell("clipneuron card study " CN_UNIT " -o card.html -q; grep -c 'name: " CN_CONCEPT "' card.html"), 0);
    assert_int_equal(shell("clipneuron name study --method nearest --model no-such-model --json"), 0); /* no model is needed */
    assert_non_null(strstr(shell_out, "\"method\": \"nearest\""));
    assert_non_null(strstr(shell_out, "\"unit\": " CN_UNIT ","));
    assert_non_null(strstr(shell_out, "\"kept\": true"));
    assert_int_equal(shell("printf '%%s\\n' " CN_CONCEPT " apple anchor > words.txt;"
                           " clipneuron name study --words words.txt --template 'a {}' --dry-run --json"),
                     0);
    assert_non_null(strstr(shell_out, "\"words\": 3"));
    assert_non_null(strstr(shell_out, "\"kept\": false"));
    char expected[64];
    snprintf(expected, sizeof expected, "{\"unit\": %s, \"name\": \"%s\"", CN_UNIT, CN_CONCEPT);
    assert_non_null(strstr(shell_out, expected));
    assert_int_equal(shell("clipneuron name study --words nothing.txt"), 1);
    assert_non_null(strstr(shell_err, "nothing.txt"));
    assert_int_equal(shell("clipneuron name study --template none"), 2);
    assert_int_equal(shell("clipneuron name study --pictures 4"), 1);
    assert_non_null(strstr(shell_err, "too few"));
    assert_int_equal(shell("clipneuron scan --quiet --matrices none p -o bare > /dev/null; clipneuron name bare"), 1);
    assert_non_null(strstr(shell_err, "matrices none"));
    assert_int_equal(shell("clipneuron find bare apple -n 1"), 0);
    assert_non_null(strstr(shell_out, "dissect: not computed: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_knows_the_unit_of_a_concept),
        cmocka_unit_test(find_ranks_units_for_a_picture),
        cmocka_unit_test(find_refuses_what_makes_no_sense),
        cmocka_unit_test(name_writes_names_that_cards_show),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
