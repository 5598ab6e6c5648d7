/* `multimodal` on a study of a few demo pictures: what it prints, keeps and refuses. */
#include "shell.h"

#include <math.h>

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

/* One unit and concept: what it answers to the word in the bundled font, whatever fonts there are. */
static void words_of_a_fonts_file_are_the_same_without_fonts(void **state)
{
    (void)state;
    static char before[1 << 16];
    static const char line[] = "clipneuron multimodal study 136 --drawings 6 --font-file " FONT " --shuffles 19 --resamples 50 --dry-run";
    assert_int_equal(shell("%s --json", line), 0);
    snprintf(before, sizeof before, "%s", strstr(shell_out, "\"units\""));
    assert_non_null(strstr(shell_out, "\"undrawn\": 0,"));
    assert_true(fabs(shell_number("\"drawn\": {\"auc\": ") - 0.892) < 0.01); /* three pairs may turn where kernels round otherwise */
    assert_int_equal(shell(WITHOUT_FONTS "%s --json", line), 0);
    assert_string_equal(strstr(shell_out, "\"units\""), before);
    assert_int_equal(shell(WITHOUT_FONTS "clipneuron multimodal study 136 --drawings 6 --shuffles 19 --resamples 50 --dry-run --json"), 0);
    assert_non_null(strstr(shell_out, "\"words\": 0,"));
    assert_non_null(strstr(shell_err, "64 words were not drawn: no font of this system has all letters"));
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
        {"study --no-draw --font-file " FONT, 2, "--font-file is for words that are drawn"},
        {"study 3 --drawings 2 --font-file labels.csv", 1, "labels.csv: cannot be read as a font"},
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

/* A study of a network whose unit 3 answers with the other sign: pictures and drawn words alike, so that every AUC turns round. Words once
 * went through the network as it is, and theirs did not. */
static void words_go_through_the_network_of_the_study(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron scan --quiet p --labels labels.csv -o turned --edit 'layer4.3.add:3*-1' > /dev/null\n"
                           "clipneuron scan --quiet p --labels labels.csv -o plain > /dev/null\n"
                           "for s in plain turned; do clipneuron multimodal $s 3 --best 16 --drawings 4 --shuffles 19 --resamples 20 --dry-run --csv |\n"
                           "  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { print $at[\"concept\"], $at[\"drawing_auc\"], "
                           "$at[\"drawn_auc\"] }' > $s.txt; done; awk 'NR == FNR { c[$1] = $2; d[$1] = $3; next } { n++; print $1, c[$1] + $2, d[$1] + $3; "
                           "bad += (c[$1] + $2 - 1) ^ 2 > 1e-5 || (d[$1] + $3 - 1) ^ 2 > 1e-5 } END { print n, \"concepts,\", bad + 0, \"differ\" }' "
                           "plain.txt turned.txt"), 0);
    if (!strstr(shell_out, "8 concepts, 0 differ"))
        fail_msg("%s", shell_out);
    /* a direction counts in a study by its hash alone */
    assert_int_equal(shell("clipneuron direction plain --concept dog --folds 2 --replicates 40 --add dog.npy > /dev/null\n"
                           "clipneuron scan --quiet p --labels labels.csv -o moved --edit layer4.3.add+dog.npy*0.1 > /dev/null"), 0);
    assert_int_equal(shell("clipneuron multimodal moved 3 --drawings 2 --dry-run"), 1);
    assert_non_null(strstr(shell_err, "moved: its network was edited (visual.layer4.3.add+dog.npy*"));
    assert_non_null(strstr(shell_err, "words cannot be drawn for it, --no-draw does without them"));
    assert_int_equal(shell("clipneuron multimodal moved 3 --no-draw --shuffles 19 --resamples 20 --dry-run"), 0);
    assert_int_equal(shell("clipneuron attack run moved --targets dog --class cat"), 1);
    assert_non_null(strstr(shell_err, "name the collection in place of the study"));
    assert_int_equal(shell("clipneuron attack draw p/dog-solid-0.png --text cat --probe moved"), 1);
    assert_non_null(strstr(shell_err, "its network was edited"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multimodal_prints_keeps_and_shows),
        cmocka_unit_test(words_of_a_fonts_file_are_the_same_without_fonts),
        cmocka_unit_test(multimodal_refuses_what_makes_no_sense),
        cmocka_unit_test(words_go_through_the_network_of_the_study),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
