/* `multimodal` on a study of a few demo pictures: what it prints, keeps and refuses. */
#include "shell.h"

/* p/LABEL/..., eight labels with their media, and `study` of them. */
static int make_study(void **state)
{
    const int failed = shell_begin(state);
    return failed ? failed
                  : shell("mkdir p; echo path,label,medium > labels.csv\n"
                          "for c in dog cat apple anchor alien bee spider canada; do for m in colour line solid word; do\n"
                          "for f in %s/demo-pictures/$c-$m-*.png; do [ -e $f ] || continue; cp $f p; echo p/${f##*/},$c,$m >> labels.csv; done; done; done\n"
                          "clipneuron scan --quiet p --labels labels.csv -o study > /dev/null",
                          CN_BINARY_DIR);
}

static void multimodal_prints_keeps_and_shows(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron multimodal study --no-draw --shuffles 99 --resamples 99 -n 3"), 0);
    assert_non_null(strstr(shell_out, "unit  concept"));
    assert_non_null(strstr(shell_out, "drawing"));
    assert_non_null(strstr(shell_out, "8 concepts, 8 with 3 pictures or more"));
    assert_null(strstr(shell_out, "words drawn"));
    int unit = -1;
    assert_int_equal(sscanf(strchr(shell_out, '\n'), "%d", &unit), 1);
    assert_int_equal(shell("clipneuron card study %d -o card.html --quiet && grep -c 'by medium: AUC and its interval' card.html", unit), 0);
    char first[8192];
    assert_int_equal(shell("clipneuron multimodal study %d --shuffles 19 --resamples 50 --drawings 2 --best 2 --dry-run --json --threads 1", unit), 0);
    assert_non_null(strstr(shell_out, "\"kept\": false"));
    assert_non_null(strstr(shell_out, "\"drawings\": 128"));
    assert_non_null(strstr(shell_out, "{\"name\": \"drawn\", \"written\": true, \"drawn\": true, \"images\": 128}"));
    assert_non_null(strstr(shell_out, "\"p_names\": "));
    snprintf(first, sizeof first, "%s", strstr(shell_out, "\"units\""));
    assert_int_equal(shell("clipneuron multimodal study %d --shuffles 19 --resamples 50 --drawings 2 --best 2 --dry-run --json --threads 2", unit), 0);
    assert_string_equal(first, strstr(shell_out, "\"units\"")); /* whatever the threads */
    assert_int_equal(shell("clipneuron multimodal study --no-draw --shuffles 19 --resamples 50 --dry-run --csv"), 0);
    assert_non_null(strstr(shell_out, "unit,concept,family,multimodal,score,p,q,matched,base_rate,drawing_auc,drawing_low"));
    assert_string_equal(shell_err, ""); /* none of them is shown to be about people */
    assert_int_equal(shell("clipneuron multimodal study --no-draw --shuffles 99 --resamples 99 --fdr 0.9 --dry-run --csv"), 0);
    assert_non_null(strstr(shell_out, ",canada,region,yes,"));
    assert_null(strstr(shell_out, "warning"));
    assert_int_equal(strncmp(shell_err, "warning: region is about people: ", 33), 0); /* beside the table */
    assert_int_equal(shell("clipneuron multimodal study --no-draw --shuffles 19 --resamples 50 --dry-run --medium icon=colour,solid --medium word --csv"), 0);
    assert_non_null(strstr(shell_out, "icon_auc"));
}

static void multimodal_refuses_what_makes_no_sense(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", 2, "no study named"},
        {"study --json --csv", 2, "either --json or --csv"},
        {"study --level 2", 2, "level"},
        {"study --best 17", 2, "best"},
        {"study layer4", 2, "is a site"},
        {"study 99999", 1, "0 to 1023"},
        {"study --site layer9", 1, "layer4"},
        {"study --no-draw --medium photo", 1, "it has: colour, line, solid, word"},
        {"study --no-draw --medium colour", 1, "no medium of the study is written"},
        {"study --concepts nothing.csv", 1, "nothing.csv"},
        {"study --model " RN, 1, "another model"},
        {"photos", 1, "no study"},
    };
    shell_refuses("clipneuron multimodal", cases, sizeof cases / sizeof *cases);
    assert_int_equal(shell("rm study/layer4*.mean.npy; clipneuron multimodal study --no-draw"), 1);
    assert_non_null(strstr(shell_err, "--matrices none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multimodal_prints_keeps_and_shows),
        cmocka_unit_test(multimodal_refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
