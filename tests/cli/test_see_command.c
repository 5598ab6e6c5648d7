/* `clipneuron see` and `facet` as people run them: what is written where, what is not made again, what goes into a study, and what is
 * refused. */
#include "shell.h"
#include "clipneuron/array.h"
#include "clipneuron/image.h"

/* Pictures of the demo, few enough to scan in a moment, with labels from folders. */
static void make_collection(void)
{
    assert_int_equal(shell("mkdir -p mine/a mine/b; n=0; for f in " CN_BINARY_DIR "/demo-pictures/*.png; do n=$((n + 1)); "
                           "[ $((n %% 61)) = 0 ] || continue; if [ $((n %% 2)) = 0 ]; then d=a; else d=b; fi; ln -s $f mine/$d/; done; ln -sf " CN_BINARY_DIR "/demo-pictures/" CN_CONCEPT "-*.png mine/a; "
                           "ls mine/a mine/b | wc -l"),
                     0);
    assert_true(atoi(shell_out) > 20);
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void a_layer_is_made_once(void **state)
{
    (void)state;
    if (shell("clipneuron see --model " RN " layer1.0.conv3:0 layer1.0.conv3:1 layer1.0.conv3:2 --steps 3 -q --json --sheets 16 -o out"))
        fail_msg("%s", shell_err);
    assert_int_equal(lines(shell_out), 3);
    assert_non_null(strstr(shell_out, "\"file\": \"out/layer1.0.conv3_1.png\""));
    assert_int_equal(shell("ls out"), 0);
    assert_string_equal(shell_out, "layer1.0.conv3_0.png\nlayer1.0.conv3_1.png\nlayer1.0.conv3_2.png\nseen.jsonl\nsheet.png\nsheets.json\n");
    assert_int_equal(shell("cat out/seen.jsonl"), 0);
    assert_int_equal(lines(shell_out), 3);
    assert_non_null(strstr(shell_out, "\"file\": \"layer1.0.conv3_0.png\", \"objective\": \"layer1.0.conv3:0\", \"picture\": 0, \"steps\": 3, \"seed\": 0"));
    assert_int_equal(shell("cat out/sheets.json"), 0);
    assert_non_null(strstr(shell_out, "{\"objective\": \"layer1.0.conv3:2\", \"x\": 0, \"y\": 16}"));
    /* The same again: nothing is made. Other settings, or a picture that is gone: only that. */
    assert_int_equal(shell("rm out/layer1.0.conv3_1.png; clipneuron see --model " RN
                           " layer1.0.conv3:0 layer1.0.conv3:1 layer1.0.conv3:2 --steps 3 --json -o out"),
                     0);
    assert_int_equal(lines(shell_out), 1);
    assert_non_null(strstr(shell_out, "conv3_1.png"));
    assert_non_null(strstr(shell_err, "2 of 3 pictures were there already"));
    assert_int_equal(shell("clipneuron see --model " RN " layer1.0.conv3:0 --steps 4 --json -q -o out"), 0);
    assert_int_equal(lines(shell_out), 1);
}

static void what_inhibits_turns_every_sign(void **state)
{
    (void)state;
    if (shell("clipneuron see --model " RN " 'layer1.0.conv3:1 + layer1.0.conv3:2' --negative --steps 1 --json -q -o n && "
              "clipneuron see --model " RN " ' -layer1.0.conv3:1 - layer1.0.conv3:2' --steps 1 --json -q -o m"))
        fail_msg("%s", shell_err);
    assert_non_null(strstr(shell_out, "\"objective\": \"-(layer1.0.conv3:1 + layer1.0.conv3:2)\""));
    const char *first = strstr(shell_out, "\"value\": "), *second = first ? strstr(first + 1, "\"value\": ") : NULL;
    assert_non_null(second);
    assert_float_equal(atof(first + 9), atof(second + 9), 1e-6);
    assert_true(atof(first + 9) != 0);
}

/* Names of files are shorter than objectives: two that differ get two. */
static void objectives_do_not_share_a_file(void **state)
{
    (void)state;
    if (shell("clipneuron see --model " RN " layer1.0.conv3:5@1,2 layer1.0.conv3:5,1,2 --steps 1 -q -o c && ls c | wc -l"))
        fail_msg("%s", shell_err);
    assert_int_equal(atoi(shell_out), 3);
}

/* Every unit of a site; what Ctrl-C leaves is a picture with its steps, which a later run makes to the end. */
static void a_site_goes_on_after_an_interruption(void **state)
{
    (void)state;
    if (shell("clipneuron see --model " RN " layer1.0.conv1 --all --steps 1 -q -o all && ls all/*.png | wc -l && wc -l < all/seen.jsonl"))
        fail_msg("%s", shell_err);
    assert_string_equal(shell_out, "16\n16\n");
    assert_int_equal(shell("rm all/layer1.0.conv1_7.png; clipneuron see --model " RN " layer1.0.conv1:7 --steps 1000000 --every 1 -q -o all & "
                           "while ! [ -e all/layer1.0.conv1_7.000001.png ]; do sleep 0.05; done; kill -TERM $!; wait $!"), 130);
    assert_int_equal(shell("tail -n 1 all/seen.jsonl"), 0);
    const char *steps = strstr(shell_out, "\"steps\": ");
    assert_non_null(steps);
    assert_true(atoi(steps + 9) >= 1 && atoi(steps + 9) < 1000000);
    assert_int_equal(shell("rm all/*.00*.png; clipneuron see --model " RN " layer1.0.conv1 --all --steps 1 --json -o all"), 0);
    assert_int_equal(lines(shell_out), 1);
    assert_non_null(strstr(shell_out, "conv1_7.png"));
    assert_non_null(strstr(shell_err, "15 of 16 pictures were there already"));
}

static void the_paper_has_its_settings(void **state)
{
    (void)state;
    if (shell("clipneuron see --model " RN " layer1.0.conv1:7 --preset paper --steps 1 -q --json -o p"))
        fail_msg("%s", shell_err);
    assert_non_null(strstr(shell_out, "\"objective\": \"layer1.0.conv1:7 - 10*l2\""));
    assert_non_null(strstr(shell_out, " starts 1 steps 1 rate 0.0199999996 size 256 resolution 0 "));
    assert_non_null(strstr(shell_out, " transforms paper "));
    assert_non_null(strstr(shell_out, " early 16 leak -1 "));
    assert_int_equal(shell("clipneuron see layer4:" CN_UNIT " --preset paper --facet text --steps 1 -q --json -o f | grep -c 'strength 0.1.* to 5 '"), 0);
    assert_int_equal(atoi(shell_out), 9);
}

/* The settings that a PNG carries; owned by the caller. */
static char *settings(const char *name)
{
    char *text;
    cn_error err = {0};
    if (cn_png_read_text(&text, shell_path(name), "clipneuron-settings", &err) != CN_OK)
        fail_msg("%s", err.text);
    return text;
}

/* What was made with another override is made anew; with the default, said or not, it is not. */
static void the_override_is_part_of_the_settings(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *settings;
        bool anew;
    } cases[] = {
        {"", " early 0 leak 0 ", true},
        {"--redirect 64 --leak 0.01", " early 0 leak 0 ", false},
        {"--redirect 2", " early 2 leak 0 ", true},
        {"--redirect 2 --leak 0.05", " early 2 leak 0.0500000007 ", true},
        {"--redirect 2 --leak 0.05", " early 2 leak 0.0500000007 ", false},
        {"--redirect 0", " early -1 leak 0 ", true},
        {"--leak 0", " early 0 leak -1 ", true},
        {"--preset paper --size 32 --redirect 64 --leak 0.01", " early 0 leak 0 ", true},
        {"--preset paper --size 32 --redirect 0", " early -1 leak -1 ", true},
        {"--preset paper --size 32", " early 16 leak -1 ", true},
        {"--preset paper --size 32 --redirect 16 --leak 0", " early 16 leak -1 ", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (shell("clipneuron see --model " RN " layer1.0.conv3:0 --steps 3 --json -q -o x.png %s", cases[i].arguments))
            fail_msg("%s: %s", cases[i].arguments, shell_err);
        char *text = settings("x.png");
        if (!strstr(text, cases[i].settings) || lines(shell_out) != cases[i].anew)
            fail_msg("%s: %zu made; %s", cases[i].arguments, lines(shell_out), text);
        cn_bytes_free(text);
    }
    assert_int_equal(shell("clipneuron see --model " RN " layer1.0.conv3:0 --steps 192 --json -q -o y.png"), 0);
    assert_non_null(strstr(shell_out, " starts 3 "));
    assert_int_equal(shell("clipneuron see --model " RN " layer1.0.conv3:0 --steps 192 --redirect 65 --json -q -o y.png"), 0);
    assert_non_null(strstr(shell_out, " starts 1 ")); /* the choice would come too late */
}

/* What can go wrong at the end is tried in the beginning: a million steps would take an hour. */
static void output_and_objectives_are_tried_first(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron see --model " RN " layer1.0.conv3:5 --steps 1000000 -q -o none/x.png"), 1);
    assert_non_null(strstr(shell_err, "none/x.png: cannot be written"));
    assert_int_equal(shell("clipneuron see --model " RN " layer9:5 --steps 1 -q -o folder"), 1);
    assert_int_equal(shell("ls folder"), 2);
}

static void write_direction(const char *name, float first)
{
    char path[4200];
    cn_error err = {0};
    snprintf(path, sizeof path, "%s/%s", shell_folder, name);
    float direction[64] = {first, 1};
    const int64_t units = 64;
    assert_int_equal(cn_npy_write(path, CN_DTYPE_F32, 1, &units, direction, &err), CN_OK);
}

/* The expression only names the file of a direction: what is in it counts. */
static void a_direction_that_changes_is_drawn_again(void **state)
{
    (void)state;
    const char *command = "clipneuron see --model " RN " layer1.0.conv3:d.npy --steps 1 --json -o changed";
    write_direction("d.npy", 1);
    if (shell(command))
        fail_msg("%s", shell_err);
    assert_int_equal(lines(shell_out), 1);
    assert_int_equal(shell(command), 0);
    assert_int_equal(lines(shell_out), 0);
    write_direction("d.npy", 2);
    assert_int_equal(shell(command), 0);
    assert_int_equal(lines(shell_out), 1);
}

static void a_course_is_saved(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron see --model " RN " layer2:5 --steps 5 --every 2 -q -o out && ls out"), 0);
    assert_string_equal(shell_out, "layer2_5.000002.png\nlayer2_5.000004.png\nlayer2_5.png\nseen.jsonl\n");
    assert_int_equal(shell("clipneuron see --model " RN " layer2:6 --steps 5 --every 2 --animate --alpha -q -o b && ls b && "
                           "grep -c acTL b/layer2_6.course.png"),
                     0);
    assert_string_equal(shell_out, "layer2_6.course.png\nlayer2_6.png\nseen.jsonl\n1\n");
    /* A picture that is there without its course is made again with it. */
    assert_int_equal(shell("rm b/layer2_6.course.png out/layer2_5.000002.png; clipneuron see --model " RN " layer2:6 --steps 5 --every 2 --animate --alpha -q -o b && "
                           "clipneuron see --model " RN " layer2:5 --steps 5 --every 2 -q -o out && ls b out"), 0);
    assert_non_null(strstr(shell_out, "layer2_6.course.png"));
    assert_non_null(strstr(shell_out, "layer2_5.000002.png"));
    assert_int_equal(shell("clipneuron see --model " RN " layer2:6 --steps 2 --importance -q -o c.png && clipneuron pixels --size 32 c.png -o c.npy"), 0);
}

/* The magnitudes of natural pictures are settings, and what is drawn has them; what did not matter becomes transparent. */
static void phases_are_drawn_over_natural_magnitudes(void **state)
{
    (void)state;
    static const uint8_t flat[3 * 4] = {90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 90};
    const char *command = "clipneuron see --model " RN " layer1.0.conv3:0 --steps 2 --canvas phase --importance --json -q -o %s.png %s";
    if (shell(command, "plain", "") || shell(command, "natural", "--natural photos"))
        fail_msg("%s", shell_err);
    assert_int_equal(lines(shell_out), 1);
    assert_int_equal(shell(command, "natural", "--natural photos"), 0);
    assert_string_equal(shell_out, "");
    assert_int_equal(shell(command, "natural", "--natural photos --natural cat.png"), 0); /* other pictures, another spectrum */
    assert_int_equal(lines(shell_out), 1);
    assert_int_equal(shell("cmp plain.png natural.png"), 1);
    char *plain = settings("plain.png"), *natural = settings("natural.png");
    assert_non_null(strstr(plain, " natural 00000000 "));
    assert_null(strstr(natural, " natural 00000000 "));
    assert_non_null(strstr(natural, " importance 1 "));
    cn_bytes_free(plain);
    cn_bytes_free(natural);
    assert_int_equal(cn_png_write(shell_path("flat.png"), flat, 2, 2, 3, NULL, 0, NULL), CN_OK);
    assert_int_equal(shell(command, "none", "--natural flat.png"), 1);
    assert_string_equal(shell_err, "clipneuron: the natural pictures are flat: they have no magnitudes to keep\n");
}

static void pictures_go_into_the_study(void **state)
{
    (void)state;
    make_collection();
    if (shell("clipneuron scan mine --site layer4.add -q --no-words -o study > /dev/null && "
              "clipneuron see layer4:" CN_UNIT " --study study --steps 24 -q --json"))
        fail_msg("%s", shell_err);
    const char *sd = strstr(shell_out, "\"sd\": "), *natural = strstr(shell_out, "\"natural_sd\": "), *path = strstr(shell_out, "\"path\": ");
    assert_non_null(sd);
    assert_non_null(natural);
    assert_non_null(path);
    print_message("  %.2f sd, the strongest natural picture %.2f, path %.2f\n", atof(sd + 6), atof(natural + 14), atof(path + 8));
    assert_true(atof(natural + 14) > 0);
    assert_true(atof(path + 8) < 1.5 && atof(path + 8) > -3);
    /* Its card shows it, and it is not made again. */
    assert_int_equal(shell("clipneuron card study " CN_UNIT " -q -o card.html && grep -c 'Optimised' card.html"), 0);
    assert_int_equal(atoi(shell_out), 1);
    assert_int_equal(shell("clipneuron card study " CN_UNIT " -q -o card.png && clipneuron card study " CN_UNIT " --gallery -q -o rows.png"), 0);
    assert_int_equal(shell("clipneuron see layer4:" CN_UNIT " --study study --steps 24 --json"), 0);
    assert_string_equal(shell_out, "");
    assert_non_null(strstr(shell_err, "1 of 1 pictures were there already"));
    /* A study of another model is refused before anything is made. */
    assert_int_equal(shell("clipneuron see --model " RN " layer4:1 --study study --steps 1 -q -o x"), 1);
    assert_int_equal(shell("ls x"), 2);
}

static void texts_are_found_and_ranked(void **state)
{
    (void)state;
    if (shell("printf 'a rocket\\n" CN_CONCEPT "\\n\\na red heart\\n' > list.txt; clipneuron see layer4:" CN_UNIT " --text --list list.txt"))
        fail_msg("%s", shell_err);
    assert_int_equal(strncmp(shell_out, "layer4:" CN_UNIT "\n cosine  text\n", strlen("layer4:" CN_UNIT "\n cosine  text\n")), 0);
    const char *first = strstr(shell_out, "text\n") + 5;
    assert_non_null(strstr(first, CN_CONCEPT "\n"));
    assert_true(strstr(first, CN_CONCEPT) < strchr(first, '\n')); /* the best of the three */
    if (shell("clipneuron see layer4:" CN_UNIT " --text --words 1 --starts 3 --best 2 --json -q"))
        fail_msg("%s", shell_err);
    assert_non_null(strstr(shell_out, "\"directions\": \"linearised\""));
    assert_int_equal(shell("clipneuron see layer3:5 --text -q"), 1);
    assert_non_null(strstr(shell_err, "only the units of visual.layer4"));
    assert_int_equal(shell("clipneuron see layer3:5 --text --list list.txt --at " CN_BINARY_DIR "/demo-pictures/" CN_PICTURE " -q"), 0);
    assert_int_equal(lines(shell_out), 5);
}

static void facets_score_pictures(void **state)
{
    (void)state;
    if (shell("ls " CN_BINARY_DIR "/demo-pictures/*word-0.png | head -40 > words.txt; ls " CN_BINARY_DIR "/demo-pictures/*colour-0.png | head -40 > "
              "colours.txt; clipneuron facet train --facet text=@words.txt --facet colour=@colours.txt -q -o f.npz > /dev/null && "
              "clipneuron facet score f.npz @words.txt -q > words.tsv && clipneuron facet score f.npz @colours.txt -q > colours.tsv; "
              "head -1 words.tsv; awk 'NR > 1 { n++; a += $2 > .5 } END { print n, (a / n > .8) }' words.tsv; "
              "awk 'NR > 1 { n++; a += $2 > .5 } END { print n, (a / n < .2) }' colours.tsv"))
        fail_msg("%s", shell_err);
    assert_string_equal(shell_out, "picture\ttext\tcolour\n40 1\n40 1\n");
    /* A picture that cannot be read is left out, as in training; none at all is a failure. */
    assert_int_equal(shell("echo rubbish > bad.png; clipneuron facet score f.npz bad.png $(head -2 words.txt) gone.png > some.tsv; wc -l < some.tsv;"
                           " head -3 words.tsv | cmp - some.tsv"),
                     0);
    assert_string_equal(shell_out, "3\n");
    assert_non_null(strstr(shell_err, "clipneuron: skipped bad.png: "));
    assert_non_null(strstr(shell_err, "clipneuron: skipped gone.png: "));
    assert_int_equal(shell("clipneuron facet score f.npz bad.png gone.png --media text colour -q -o none.csv"), 1);
    assert_string_equal(shell_err, "clipneuron: none of 2 pictures could be read\n");
    assert_false(shell_exists("none.csv"));
}

static void facets_name_media_for_a_scan(void **state)
{
    (void)state;
    if (shell("mkdir -p q/cloud; cp " CN_BINARY_DIR "/demo-pictures/cloud-*.png q/cloud; "
              "ls " CN_BINARY_DIR "/demo-pictures/*word-0.png | grep -v /cloud | head -40 > w.txt; ls " CN_BINARY_DIR "/demo-pictures/*colour-0.png | "
              "grep -v /cloud | head -40 > c.txt; clipneuron facet train --facet text=@w.txt --facet colour=@c.txt -q -o m.npz > /dev/null && "
              "clipneuron facet score m.npz q --media text colour -q -o m.csv && head -1 m.csv && grep -c '^cloud/cloud-word-.*,text' m.csv && "
              "grep -c '^cloud/cloud-colour-.*,colour' m.csv; clipneuron scan -q q --labels m.csv -o qs > /dev/null && "
              "clipneuron export qs --sql \"SELECT count(*) AS n, l.name, m.name, written FROM images JOIN media m ON m.id = medium JOIN labels l ON l.id = label "
              "WHERE path LIKE '%%word%%' GROUP BY m.name\""))
        fail_msg("%s", shell_err);
    assert_string_equal(shell_out, "path,medium\r\n3\n3\nn,name,name,written\r\n3,cloud,text,1\r\n");
    assert_int_equal(shell("clipneuron facet score m.npz q --media text photo -q"), 1);
    assert_non_null(strstr(shell_err, "photo"));
    assert_int_equal(shell("clipneuron facet score m.npz q --media text -q"), 2);
    assert_int_equal(shell("clipneuron facet list m.npz --media text colour"), 2);
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *says;
        int code;
    } cases[] = {
        {"layer4:1", "-o OUT is missing", 2},
        {"layer4:1 --text -o x.png", "--text prints texts", 2},
        {"layer4:1 --list words.txt -o x.png", "--list goes with --text", 2},
        {"layer4:1 --at cat.png -o x.png", "--at goes with --text", 2},
        {"layer4:1 --animate -o x.png", "--animate goes with --every", 2},
        {"layer4:1 --sheets 32 -o x.png", "--sheets goes with a folder", 2},
        {"layer4:1 --natural . -o x.png", "--natural goes with --canvas phase", 2},
        {"layer4:1 --strength 2 -o x.png", "--strength goes with --facet", 2},
        {"layer4:1 --facet text -o x.png", "no facets lie beside the model", 1},
        {"layer4:1 --text --fluency 7", "--fluency is a number from 0 to 1", 2},
        {"layer4:1 --text --frame nothing", "no {} where the words go", 1},
        {"layer4:1 --redirect -1 -o x.png", "--redirect must be from 0 to 1000000, not -1", 2},
        {"layer4:1 --redirect some -o x.png", "--redirect needs a whole number", 2},
        {"layer4:1 --leak 1.5 -o x.png", "--leak is a number from 0 to 1, not '1.5'", 2},
        {"layer4:1 --leak 1% -o x.png", "--leak is a number from 0 to 1, not '1%'", 2},
        {"layer4:1 --redirect 0 --leak 0.1 -o x.png", "--leak goes with steps of --redirect", 2},
        {"layer4:1 --size 63 -o x.png", "even side, not 63 px", 1},
        {"layer4:1 --size 0 -o x.png", "--size must be from 2 to 4096, not 0", 2},
        {"layer4:1 --size 100000 -o x.png", "--size must be from 2 to 4096, not 100000", 2},
        {"layer4:1 --resolution 7 -o x.png", "takes pictures of 32 to 8192 px, not 7", 1},
        {"layer4:1 --images 0 -o x", "--images must be from 1 to 256, not 0", 2},
        {"layer4:1 --facets none.npz --facet text -o x.png", "none.npz: No such file or directory", 1},
        {"layer4:1 --facets cat.png --facet text -o x.png", "cat.png: neither a .npy nor a .npz file", 1},
        {"layer4:1 --facets " CN_SOURCE_DIR "/models/specimen.facets.npz --facet text -o x.png", "trained on another model", 1},
        {"layer4:1@2,0 -o x.png", "@2,0 lies outside visual.layer4, which has 2 x 2 positions at 64 px", 1},
        {"layer4:d.npy -o x.png", "d.npy: has 64 values, visual.layer4 has 512 units", 1},
        {"'layer4:1 +' -o x.png", "a term is wanted at 11", 1},
        {"layer4:1 --memory 1 -b 64 -o x.png layer4:2", "", 2},
        {"layer4:1 --steps 2 -o /nonexistent/x.png", "/nonexistent/x.png", 1},
        {"layer4:5000 -o x.png", "layer4 has units 0 to", 1},
    };
    write_direction("d.npy", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int code = shell("clipneuron see --model " RN " -q %s", cases[i].arguments);
        if (code != cases[i].code || !strstr(shell_err, cases[i].says) || lines(shell_err) > 2)
            fail_msg("see %s: %d, %s", cases[i].arguments, code, shell_err);
    }
    assert_int_equal(shell("clipneuron see layer4:1 --facet hats -q -o x.png"), 1);
    assert_non_null(strstr(shell_err, "no facet \"hats\"; there are text, "));
    assert_int_equal(lines(shell_err), 1);
    assert_false(shell_exists("x.png"));
    /* A full disk: one line, and nothing that looks like a picture. */
    assert_int_equal(shell("(ulimit -f 1; clipneuron see --model " RN " layer4:1 --steps 1 -q -o small)"), 1);
    assert_string_equal(shell_err, "clipneuron: small/layer4_1.png: cannot be written: File too large\n");
    assert_int_equal(shell("ls -A small"), 0);
    assert_string_equal(shell_out, "");
    if (shell("[ -e /dev/full ]") == 0) {
        assert_int_equal(shell("clipneuron see --model " RN " layer1:1 --steps 1 -q --json -o ok > /dev/full"), 1);
        assert_int_equal(lines(shell_err), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(a_layer_is_made_once),       IN_A_NEW_FOLDER(a_direction_that_changes_is_drawn_again),
        IN_A_NEW_FOLDER(what_inhibits_turns_every_sign),
        IN_A_NEW_FOLDER(objectives_do_not_share_a_file),
        IN_A_NEW_FOLDER(output_and_objectives_are_tried_first),
        IN_A_NEW_FOLDER(a_site_goes_on_after_an_interruption),
        IN_A_NEW_FOLDER(the_paper_has_its_settings),
        IN_A_NEW_FOLDER(the_override_is_part_of_the_settings),
        IN_A_NEW_FOLDER(a_course_is_saved),
        IN_A_NEW_FOLDER(phases_are_drawn_over_natural_magnitudes),
        IN_A_NEW_FOLDER(pictures_go_into_the_study), IN_A_NEW_FOLDER(texts_are_found_and_ranked),
        IN_A_NEW_FOLDER(facets_score_pictures),      IN_A_NEW_FOLDER(facets_name_media_for_a_scan),
        IN_A_NEW_FOLDER(what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
