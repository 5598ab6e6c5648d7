/* The commands that ask a study, on one scan of a few demo pictures: what they print agrees with each other and with the library,
 * and what is wrong is said in one line. */
#include "shell.h"

#include <clipneuron/array.h>
#include <clipneuron/ask.h>
#include <math.h>

#define RUNS(...)                                     \
    do {                                              \
        int code = shell(__VA_ARGS__);                \
        if (code)                                     \
            fail_msg("exit %d: %s", code, shell_err); \
    } while (0)

#define FAILS(code, message, ...)                     \
    do {                                              \
        assert_int_equal(shell(__VA_ARGS__), code);   \
        assert_string_equal(shell_err, message "\n"); \
        assert_string_equal(shell_out, "");           \
    } while (0)

static int begin(void **state)
{
    if (shell_begin(state))
        return -1;
    return shell("cd photos && for f in *.png; do mkdir -p ${f%%%%-*} && mv $f ${f%%%%-*}; done && cd .. && " /* labels */
                 "clipneuron scan -q photos -o study --show 0 && clipneuron scan -q photos -o bare --matrices none --show 0");
}

static cn_study *open_study(void)
{
    cn_study *s;
    cn_error err = {0};
    if (cn_study_open(&s, shell_path("study"), &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

/* Lines of shell_out that have something in them. */
static int lines(void)
{
    int n = 0;
    for (const char *c = shell_out; *c; c++)
        n += *c == '\n' && c > shell_out && c[-1] != '\n';
    return n;
}

/* The number behind a JSON key, from `at` on, which moves behind it. */
static double number(const char **at, const char *key)
{
    char quoted[64];
    char *end;
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *found = strstr(*at, quoted);
    assert_non_null(found);
    const double value = strtod(found + strlen(quoted), &end);
    assert_true(end > found + strlen(quoted));
    *at = end;
    return value;
}

static void stats_of_a_study_count_what_the_scan_met(void **state)
{
    (void)state;
    RUNS("clipneuron stats study");
    assert_non_null(strstr(shell_out, "pictures    30: "));
    assert_non_null(strstr(shell_out, "layer4.3.add   1024"));
    assert_non_null(strstr(shell_out, "\nRuns\n"));
    RUNS("clipneuron stats study --json");
    const char *at = shell_out;
    assert_true(number(&at, "images") == 30 && number(&at, "failed") == 0);
    assert_non_null(strstr(shell_out, "\"matrices\": \"f32\""));
    RUNS("clipneuron stats bare --json");
    at = shell_out;
    assert_true(number(&at, "matrix_bytes") == 0);
}

static void stats_of_units_give_their_numbers(void **state)
{
    (void)state;
    cn_study *s = open_study();
    cn_unit_row *row;
    RUNS("clipneuron stats study 7 layer4:12 --json");
    const char *at = shell_out;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, i ? 12 : 7}, &row, NULL), CN_OK);
        assert_true(number(&at, "unit") == (double)row->ref.unit);
        assert_true(fabs(number(&at, "mean") - row->mean) <= 1e-8 * fabs(row->mean));
        const double min = number(&at, "min"), max = number(&at, "max");
        double last = min - 1e-6;
        for (int q = 0; q < 8; q++) {
            const double value = number(&at, "value"), low = number(&at, "low"), high = number(&at, "high");
            assert_true(low <= value + 1e-9 && value <= high + 1e-9 && value >= last - 1e-9);
            last = value;
        }
        assert_true(last <= max + 1e-6);
        cn_unit_rows_free(row);
    }
    RUNS("clipneuron stats study 7");
    assert_int_equal(strncmp(shell_out, "unit        layer4.3.add:7 in 30 pictures\n", 42), 0);
    assert_non_null(strstr(shell_out, "\n99.9%"));
    cn_study_close(s);
}

static void top_lists_the_examples_with_their_boxes(void **state)
{
    (void)state;
    cn_study *s = open_study();
    cn_example *e;
    size_t n;
    RUNS("clipneuron top study 7 -n 3");
    assert_int_equal(lines(), 5); /* unit, head, three */
    for (int bottom = 0; bottom < 2; bottom++) {
        const cn_example_kind kind = bottom ? CN_EXAMPLE_BOTTOM : CN_EXAMPLE_TOP;
        assert_int_equal(cn_study_examples(s, (cn_unit_ref){0, 7}, kind, &e, &n, NULL), CN_OK);
        RUNS("clipneuron top study 7 --json %s", bottom ? "--bottom" : "");
        const char *at = strstr(shell_out, "\"examples\"");
        for (size_t i = 0; i < n; i++) {
            cn_region r;
            assert_int_equal(cn_example_region(s, 0, kind, &e[i], &r, NULL), CN_OK);
            assert_true(number(&at, "rank") == (double)i + 1);
            assert_true(fabs(number(&at, "sd") - e[i].sd) <= 1e-8 * fabs(e[i].sd));
            assert_true(number(&at, "row") == e[i].row && number(&at, "column") == e[i].column);
            if (r.cells) {
                assert_true(fabs(number(&at, "left") - r.picture.left) < 1e-6 && fabs(number(&at, "top") - r.picture.top) < 1e-6);
                assert_true(fabs(number(&at, "right") - r.picture.right) < 1e-6 && fabs(number(&at, "bottom") - r.picture.bottom) < 1e-6);
            }
            assert_true(number(&at, "image") == (double)e[i].image);
        }
        assert_null(strstr(at, "\"rank\""));
        cn_examples_free(e);
    }
    cn_study_close(s);
}

static void buckets_add_up_to_the_collection(void **state)
{
    (void)state;
    RUNS("clipneuron buckets study 7 --json");
    const char *at = strstr(shell_out, "\"buckets\"");
    double total = 0, last = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(number(&at, "bucket") == i);
        const double low = number(&at, "low_sd"), high = number(&at, "high_sd");
        assert_true(high > low && (i == 0 || fabs(low - last) < 1e-6));
        last = high;
        total += number(&at, "images");
    }
    assert_true(total == 30);
    RUNS("clipneuron buckets study 7 -n 1");
    assert_int_equal(lines(), 12);
    RUNS("clipneuron buckets study 7 --csv | head -n 1");
    assert_string_equal(shell_out, "bucket,low_sd,high_sd,low,high,images,sd,value,label,medium,path,image\n");
}

static void units_sort_filter_and_count(void **state)
{
    (void)state;
    RUNS("clipneuron units study -n 5");
    assert_int_equal(lines(), 6);
    RUNS("clipneuron units study --sort sd --csv | cut -d, -f11 | tail -n +2 > a; sort -gr a | cmp - a && wc -l < a");
    RUNS("clipneuron units study --sort unit --csv | tail -n +2 | wc -l");
    assert_int_equal(atoi(shell_out), 1024);
    RUNS("clipneuron units study --sort purity --min-purity 0.9 --csv | tail -n +2 | cut -d, -f4 | sort -g | head -n 1");
    assert_true(atof(shell_out) >= 0.9);
    RUNS("clipneuron units study --label airplane --sort unit --csv | tail -n +2 | cut -d, -f3 | sort -u");
    assert_string_equal(shell_out, "airplane\n");
    RUNS("clipneuron units study layer4.3.add --json -n 2");
    const char *at = shell_out;
    (void)number(&at, "unit");
    (void)number(&at, "unit");
    assert_null(strstr(at, "\"unit\""));
}

static void images_are_found_by_units_by_text_and_name_their_units(void **state)
{
    (void)state;
    RUNS("clipneuron images study 7 12 -n 4 --json");
    const char *at = shell_out;
    double last = HUGE_VAL;
    for (int i = 0; i < 4; i++) {
        const double total = number(&at, "total"), sum = number(&at, "layer4.3.add:7") + number(&at, "layer4.3.add:12");
        assert_true(fabs(total - sum) < 1e-6 && total <= last);
        last = total;
    }
    RUNS("clipneuron images study --search .PNG -n 30 --csv | tail -n +2 | wc -l");
    assert_int_equal(atoi(shell_out), 30);
    RUNS("clipneuron images study --search png -n 3");
    assert_string_equal(shell_err, "clipneuron: the first 3 pictures; -n shows more\n");
    RUNS("clipneuron images study --image $(ls photos/* | sed -n 2p) -n 3 --json");
    assert_non_null(strstr(shell_out, "\"complete\": true"));
    assert_string_equal(shell_err, "");
    RUNS("clipneuron images bare --image $(ls photos/* | sed -n 2p) -n 3 --json");
    assert_non_null(strstr(shell_out, "\"complete\": false"));
    assert_non_null(strstr(shell_err, "without matrices"));
}

static void a_study_compared_with_itself_does_not_differ(void **state)
{
    (void)state;
    RUNS("clipneuron compare study bare --json -n 2 --sort ks");
    const char *at = shell_out;
    assert_true(number(&at, "d") == 0 && number(&at, "ks") < 1e-9);
    RUNS("clipneuron compare study bare --site layer4 -n 5");
    assert_int_equal(lines(), 8);
    assert_int_equal(strncmp(shell_out, "A: study, 30 pictures of photos, fp32\nB: bare, ", 47), 0);
}

static void exports_are_whole_and_exact(void **state)
{
    (void)state;
    cn_arrays *a;
    RUNS("clipneuron export study units -o u.csv && head -n 1 u.csv");
    assert_int_equal(strncmp(shell_out, "site,unit,count,mean,", 21), 0);
    assert_string_equal(shell_err, "clipneuron: 1024 rows in u.csv\n");
    RUNS("clipneuron export study --sql \"SELECT 'a,\\\"b' || char(13) AS t, 0.1 AS r, x'000102ff' AS b, NULL AS n\"");
    assert_string_equal(shell_out, "t,r,b,n\r\n\"a,\"\"b\r\",0.1,4,\r\n");
    RUNS("clipneuron export study --sql \"SELECT 'a\\\"' AS t, 1e300 AS r, x'000102ff' AS b, NULL AS n\" --json --blobs");
    assert_string_equal(shell_out, "[\n  {\"t\": \"a\\\"\", \"r\": 1e+300, \"b\": \"AAEC/w==\", \"n\": null}\n]\n");
    RUNS("clipneuron export study --sql 'SELECT 1 WHERE 0' --json");
    assert_string_equal(shell_out, "[]\n");
    RUNS("clipneuron export study histograms -q -o h.npz");
    assert_string_equal(shell_err, "");
    assert_int_equal(cn_arrays_open(&a, shell_path("h.npz"), NULL), CN_OK);
    assert_int_equal(cn_arrays_count(a), 5);
    const cn_tensor *count = cn_arrays_find(a, "count");
    assert_non_null(count);
    int64_t total = 0;
    for (int64_t i = 0, value; i < count->count; i++, total += value)
        memcpy(&value, (const char *)count->data + 8 * i, 8);
    assert_int_equal(total % 30, 0);
    cn_arrays_close(a);
    RUNS("clipneuron export study examples -o e.npz");
    assert_int_equal(strncmp(shell_err, "clipneuron: left out, as arrays have no place for them: map\n", 60), 0);
}

static void all_that_ask_a_study_may_be_told_to_be_quiet(void **state)
{
    (void)state;
    static const char *const commands[] = {"stats study", "top study 1", "buckets study 1", "units study -n 3", "compare study study",
                                           "direction study --concept airplane --folds 2 --replicates 40"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        RUNS("clipneuron %s", commands[i]);
        char *loud = strdup(shell_out);
        RUNS("clipneuron %s -q", commands[i]);
        assert_string_equal(shell_out, loud);
        assert_string_equal(shell_err, "");
        free(loud);
    }
}

static void what_is_wrong_is_said_in_one_line(void **state)
{
    (void)state;
    FAILS(2, "clipneuron: stats: no study named", "clipneuron stats");
    FAILS(1, "clipneuron: none: No such file or directory", "clipneuron stats none");
    FAILS(1, "clipneuron: photos: is no study: it has no study.sqlite", "clipneuron units photos");
    FAILS(1, "clipneuron: \"1024\": layer4.3.add has units 0 to 1023", "clipneuron top study 1024");
    FAILS(2, "clipneuron: top: no unit named", "clipneuron top study");
    FAILS(2, "clipneuron: buckets: one unit at a time", "clipneuron buckets study 1 2");
    FAILS(2, "clipneuron: top: 'layer4' is a site; a unit is written layer4:NUMBER, with numbers 0 to 1023", "clipneuron top study layer4");
    FAILS(1, "clipneuron: \"layer9\" is no site of the study, which has layer4.3.add", "clipneuron units study layer9");
    FAILS(2, "clipneuron: units: --min-purity is a number from 0 to 1, not '7'", "clipneuron units study --min-purity 7");
    FAILS(2, "clipneuron: images: ask for UNITs, for --image PATH or for --search TEXT", "clipneuron images study 1 --search a");
    FAILS(2, "clipneuron: images: ask for UNITs, for --image PATH or for --search TEXT", "clipneuron images study");
    FAILS(1,
          "clipneuron: bare: was made without matrices: scan again without '--matrices none' to ask about all pictures ('clipneuron top' has "
          "each unit's strongest)",
          "clipneuron images bare 1");
    FAILS(2, "clipneuron: compare: two studies are compared, not 1", "clipneuron compare study");
    FAILS(2, "clipneuron: export: no table named; 'clipneuron export STUDY' lists them", "clipneuron export study -o x.csv");
    FAILS(2, "clipneuron: export: the output must end in .csv, .json or .npz, not 'x.xls'", "clipneuron export study units -o x.xls");
    FAILS(1, "clipneuron: study: a query may only read the study (SELECT)", "clipneuron export study --sql 'DELETE FROM units'");
    FAILS(1, "clipneuron: study: near \"SELEC\": syntax error", "clipneuron export study --sql SELEC");
    assert_int_equal(shell("clipneuron export study unitz -o x.csv"), 1);
    assert_non_null(strstr(shell_err, "has no table \"unitz\", but examples, failures, "));
    assert_false(shell_exists("x.csv"));
    assert_int_equal(shell("clipneuron units study --label nothing-at-all"), 1);
    assert_non_null(strstr(shell_err, "no picture has the label \"nothing-at-all\"; there are "));
}

static void a_damaged_study_is_an_error_and_not_a_crash(void **state)
{
    (void)state;
    assert_int_equal(shell("cp -r study cut && truncate -s 40000 cut/study.sqlite && clipneuron stats cut 7"), 1);
    assert_int_equal(strncmp(shell_err, "clipneuron: cut: ", 17), 0);
    assert_int_equal(shell("cp -r study short && truncate -s 1000 short/layer4.3.add.mean.npy && clipneuron images short 7"), 1);
    assert_int_equal(strncmp(shell_err, "clipneuron: short/layer4.3.add.mean.npy: ", 41), 0);
    assert_string_equal(shell_out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats_of_a_study_count_what_the_scan_met),
        cmocka_unit_test(stats_of_units_give_their_numbers),
        cmocka_unit_test(top_lists_the_examples_with_their_boxes),
        cmocka_unit_test(buckets_add_up_to_the_collection),
        cmocka_unit_test(units_sort_filter_and_count),
        cmocka_unit_test(images_are_found_by_units_by_text_and_name_their_units),
        cmocka_unit_test(a_study_compared_with_itself_does_not_differ),
        cmocka_unit_test(exports_are_whole_and_exact),
        cmocka_unit_test(all_that_ask_a_study_may_be_told_to_be_quiet),
        cmocka_unit_test(what_is_wrong_is_said_in_one_line),
        cmocka_unit_test(a_damaged_study_is_an_error_and_not_a_crash),
    };
    return cmocka_run_group_tests(tests, begin, shell_end);
}
