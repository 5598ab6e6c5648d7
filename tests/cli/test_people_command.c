/* Units with names about people: every command that names them says so, with the base rates. */
#include "shell.h"

static int make_study(void **state)
{
    return shell_begin_study(state, "canada mosque cloud skull");
}

#define ABOUT                                                                                                                               \
    "about people: such units repeat what the training data and this collection associate, not what is so; read their scores beside the base " \
    "rates, and do not use them to judge anybody"

/* The output's last paragraph. */
static void warns(const char *command, const char *line)
{
    if (shell("%s", command) != 0)
        fail_msg("%s: %s", command, shell_err);
    const char *at = strstr(shell_out, "\nwarning: ");
    assert_non_null(at);
    assert_string_equal(at, line);
}

static void names_come_with_base_rates(void **state)
{
    (void)state;
    warns("clipneuron find study canada --by labels -n 1", "\nwarning: canada (region, 23% of the pictures) is " ABOUT "\n");
    warns("clipneuron find study --image p/mosque/mosque-colour-0.png -n 1", "\nwarning: mosque (religion, 26% of the pictures) is " ABOUT "\n");
    warns("clipneuron explain study mosque -n 1", "\nwarning: mosque (religion, 26% of the pictures) is " ABOUT "\n");
    warns("clipneuron probe study -u 1 -c mosque -o probe.npz", "\nwarning: mosque (religion, 26% of the pictures) is " ABOUT "\n");
    warns("clipneuron probe probe.npz -c mosque", "\nwarning: mosque (religion, 26% of the pictures) is " ABOUT "\n"); /* the study is not there to ask */
    /* which units a code has is the model's affair; that mosque's own is among them, and said to be about people, is not */
    assert_int_equal(shell("clipneuron codes study mosque cloud skull --template {} | tail -n 1"), 0);
    assert_non_null(strstr(shell_out, "mosque (religion, 26% of the pictures)"));
    assert_non_null(strstr(shell_out, ABOUT "\n"));
    assert_int_equal(shell("printf '%%s\\n' mosque cloud skull > few.txt; clipneuron atlas study --words few.txt --template {} --factors 3 --json"), 0);
    assert_non_null(strstr(shell_out, "{\"name\": \"mosque\", \"family\": \"religion\", "));
    assert_int_equal(shell("clipneuron find study canada --by labels -n 1 --json"), 0);
    assert_non_null(strstr(shell_out, "\"warnings\": [\n    {\"name\": \"canada\", \"family\": \"region\", \"base_rate\": 0.228571429, \"warning\": \"" ABOUT "\"}\n  ]"));
}

static void lists_of_units_come_with_base_rates(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron find study mosque --by labels -n 1 --json"), 0);
    const int unit = (int)shell_number("\"unit\": ");
    char command[200];
    snprintf(command, sizeof command, "clipneuron top study %d -n 1", unit);
    warns(command, "\nwarning: mosque (religion, 26% of the pictures) is " ABOUT "\n");
    assert_int_equal(shell("clipneuron top study %d -n 1 --json", unit), 0);
    assert_non_null(strstr(shell_out, "{\"name\": \"mosque\", \"family\": \"religion\", \"base_rate\": 0.257142857, "));
    assert_int_equal(shell("clipneuron top study %d -n 1 --csv", unit), 0); /* a table for programs: beside it */
    assert_null(strstr(shell_out, "warning"));
    assert_non_null(strstr(shell_err, "warning: mosque (religion, 26% of the pictures) is " ABOUT "\n"));
    assert_int_equal(shell("clipneuron units study --label mosque -n 1"), 0);
    assert_non_null(strstr(shell_out, "\nwarning: mosque (religion, 26% of the pictures)"));
    assert_int_equal(shell("clipneuron units study --label mosque -n 1 --csv"), 0);
    assert_null(strstr(shell_out, "warning"));
    assert_non_null(strstr(shell_err, "warning: mosque (religion, 26% of the pictures)"));
    assert_int_equal(shell("clipneuron attribute p/mosque/mosque-colour-0.png --text mosque --study study --ablate 0 --top 40"), 0);
    assert_non_null(strstr(shell_out, "\nwarning: "));
    assert_non_null(strstr(shell_out, "mosque (religion, 26% of the pictures)"));
    assert_int_equal(shell("clipneuron attribute p/mosque/mosque-colour-0.png --text mosque --study study --ablate 0 --top 40 --json -q"), 0);
    assert_non_null(strstr(shell_out, "{\"name\": \"mosque\", \"family\": \"religion\", "));
    assert_int_equal(shell("clipneuron attribute p/mosque/mosque-colour-0.png --text \"\""), 2);
    assert_non_null(strstr(shell_err, "--text is empty"));
    assert_int_equal(shell("clipneuron attribute p/mosque/mosque-colour-0.png --text a --versus \"\""), 2);
    assert_non_null(strstr(shell_err, "--versus is empty"));
}

static void attacks_come_with_base_rates(void **state)
{
    (void)state;
    warns("clipneuron attack run study --targets mosque=cloud -n 4", "\nwarning: mosque (religion, 26% of the pictures) is " ABOUT "\n");
    warns("clipneuron attack run study --targets cloud=canada -n 4", "\nwarning: canada (region, 23% of the pictures) is " ABOUT "\n");
    assert_int_equal(shell("clipneuron attack run study --targets mosque -n 4 --json"), 0);
    assert_non_null(strstr(shell_out, "{\"name\": \"mosque\", \"family\": \"religion\", \"base_rate\": 0.257142857, "));
    warns("clipneuron attack draw cat.png --text canada", "\nwarning: canada (region) is " ABOUT "\n");
    warns("clipneuron attack draw cat.png --text cloud --class mosque --class cloud", "\nwarning: mosque (religion) is " ABOUT "\n");
    assert_int_equal(shell("clipneuron attack draw cat.png --text canada --json"), 0);
    assert_non_null(strstr(shell_out, "{\"name\": \"canada\", \"family\": \"region\", \"base_rate\": null, "));
    assert_int_equal(shell("clipneuron probe study -u 1 -o attacked.npz > /dev/null && clipneuron attack draw cat.png --text cloud --probe attacked.npz"), 0);
    assert_non_null(strstr(shell_out, "mosque (religion)")); /* a class of the probe, which is in its table */
    assert_int_equal(shell("clipneuron attack draw cat.png --text cloud --probe study"), 0);
    assert_non_null(strstr(shell_out, "mosque (religion, 26% of the pictures)"));
    assert_int_equal(shell("clipneuron attack run study --targets cloud -n 4 && clipneuron attack draw cat.png --text cloud"), 0);
    assert_null(strstr(shell_out, "warning"));
}

static void other_names_do_not(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron find study cloud --by labels -n 1"), 0);
    assert_null(strstr(shell_out, "warning"));
    assert_int_equal(shell("clipneuron probe study -u 1 -c skull --json --dry-run"), 0);
    assert_non_null(strstr(shell_out, "\"warnings\": []"));
}

static void names_that_are_no_label_have_none(void **state)
{
    (void)state;
    assert_int_equal(shell("printf '%%s\\n' islam brazil > words.txt; clipneuron name study --words words.txt --dry-run -q --top 0"), 0);
    assert_non_null(strstr(shell_out, " (religion, label of no picture)"));
    assert_non_null(strstr(shell_out, "brazil (region, label of no picture)"));
    assert_non_null(strstr(shell_out, " are " ABOUT "\n"));
}

static void places_are_counted_among_the_words(void **state)
{
    (void)state;
    assert_int_equal(shell("printf '%%s\\n' dog car puppy house bird pizza bread horse > list.txt; clipneuron regions --list list.txt --versions 1 -n 1"), 0);
    assert_non_null(strstr(shell_out, "\nwarning: names of places ("));
    assert_non_null(strstr(shell_out, "%) are " ABOUT "\n"));
}

static void cards_say_what_was_found(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron probe study -u 1 > /dev/null && clipneuron find study mosque --by labels -n 1 --json"), 0);
    const int unit = (int)shell_number("\"unit\": ");
    assert_int_equal(shell("clipneuron card study %d -q -o card.html && cat card.html", unit), 0);
    assert_int_equal(shell("grep 'about people' card.html"), 0);
    assert_non_null(strstr(shell_out, "<p class=\"warning\"><b>Warning:</b> "));
    assert_non_null(strstr(shell_out, "mosque (religion, 26% of the pictures)"));
    assert_non_null(strstr(shell_out, ABOUT ".</p>"));
    assert_int_equal(shell("clipneuron card study %d -q -o card.png && test -s card.png", unit), 0);
    /* a unit of some equation has its class on the card */
    assert_int_equal(shell("clipneuron export study --sql 'SELECT unit, class, weight FROM unit_classes ORDER BY weight DESC LIMIT 1' -o -"), 0);
    char class[64];
    int served;
    double weight;
    assert_int_equal(sscanf(shell_out, "unit,class,weight\r\n%d,%63[^,],%lf", &served, class, &weight), 3);
    assert_int_equal(shell("clipneuron card study %d -q -o card.html && grep -A4 '<h3>Serves' card.html", served), 0);
    char expected[128];
    snprintf(expected, sizeof expected, "%s <span class=\"soft\">+%.2f, ", class, weight);
    assert_non_null(strstr(shell_out, expected));
    /* and the study keeps the probe */
    assert_int_equal(shell("clipneuron probe study/probe.npz -n 0"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_with_base_rates),        cmocka_unit_test(other_names_do_not),
        cmocka_unit_test(names_that_are_no_label_have_none), cmocka_unit_test(places_are_counted_among_the_words),
        cmocka_unit_test(cards_say_what_was_found),          cmocka_unit_test(lists_of_units_come_with_base_rates),
        cmocka_unit_test(attacks_come_with_base_rates),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
