/* `clipneuron scan` where something is in the way or amiss. */
#include "shell.h"

#define SCAN "clipneuron scan --model " RN " --no-words --show 0 "

static int begin(void **state)
{
    return shell_begin(state) || shell(SCAN "-q photos -o first") ? -1 : 0;
}

/* anna sorts the pictures of unit 7. */
static int answer(const char *study)
{
    return shell("cp -r first %s && clipneuron label %s 7 -q --categories 'cat, dog' --rater anna --csv-template a.csv && wc -l < a.csv &&"
                 " sed '2,10s/,$/,cat/' a.csv > b.csv && clipneuron label %s 7 -q --rater anna --csv b.csv",
                 study, study, study);
}

static void answers_outlive_a_new_scan(void **state)
{
    (void)state;
    assert_int_equal(answer("again"), 0);
    assert_string_equal(shell_out, "29\n"); /* of which she answers nine */
    assert_int_equal(shell(SCAN "--force --seed 5 photos -o again"), 0);
    assert_non_null(strstr(shell_err, "\nclipneuron: from the older study: 9 answers, 2 categories carried over\n"));
    assert_int_equal(shell("clipneuron label again 7 --list | grep -c ',cat,anna,\\|,anna,cat,'; clipneuron export again --sql"
                           " \"SELECT value FROM meta WHERE key = 'seed'\" | tr -d '\\r'"),
                     0);
    assert_string_equal(shell_out, "9\nvalue\n5\n");
}

static void answers_are_lost_only_when_that_is_said(void **state)
{
    (void)state;
    assert_int_equal(answer("lost"), 0);
    assert_int_equal(shell("mkdir few && cp photos/* few && rm few/$(sed -n '2s/^[^,]*,\\(.*\\),.*$/\\1/p' b.csv)"), 0);
    assert_int_equal(shell(SCAN "-q --force few -o lost"), 1);
    assert_string_equal(shell_out, "");
    assert_string_equal(shell_err, "clipneuron: lost: replacing it would lose 1 of 9 answers, which the new study has no place for: move it away, or give "
                                   "--discard (no picture is run again)\n");
    assert_int_equal(shell("clipneuron label lost 7 --list | tail -n +2 | wc -l"), 0);
    assert_string_equal(shell_out, "9\n");
    assert_int_equal(shell(SCAN "--force --discard --json few -o lost"), 0);
    assert_non_null(strstr(shell_err, "\nclipneuron: from the older study: 8 answers, 2 categories carried over; left out: 1 answer\n"));
    assert_true(shell_number("\"resumed\":") == 29); /* all that the refused scan had done */
    const char *left = strstr(shell_out, "\"left_out\": {");
    assert_non_null(left);
    assert_non_null(strstr(left, "\"answers\": 1,"));
    assert_int_equal(shell("clipneuron label lost 7 --list | tail -n +2 | wc -l"), 0);
    assert_string_equal(shell_out, "8\n");
}

static void a_collection_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"bad.csv -o none", 1, "/bad.csv: the first line names no column \"path\"\n"},
        {"gone.txt -o none", 1, "clipneuron: none of 2 images could be read, first "},
    };
    assert_int_equal(shell("printf 'file,label\\nphotos/a.png,cat\\n' > bad.csv; printf 'photos/no.png\\nphotos/none.png\\n' > gone.txt"), 0);
    shell_refuses(SCAN, cases, sizeof cases / sizeof *cases);
    assert_non_null(strstr(shell_err, "photos/no.png: "));
    assert_non_null(strstr(shell_err, "(the table failures in none.part/work.sqlite has all)\n"));
    assert_false(shell_exists("none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_outlive_a_new_scan),
        cmocka_unit_test(answers_are_lost_only_when_that_is_said),
        cmocka_unit_test(a_collection_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, begin, shell_end);
}
