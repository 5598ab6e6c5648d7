/* `attack` and `stroop` on a few demo pictures: what they print, write and refuse. */
#include "shell.h"

static void draw_counts_pixels_and_asks_before_and_after(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron attack draw cat.png --text rocket -o out.png --class cat --class rocket --prompt '{}' --prompt '{} saying {text}'"), 0);
    assert_non_null(strstr(shell_out, " of 9216 pixels changed ("));
    assert_non_null(strstr(shell_out, "{} saying {text}"));
    assert_true(shell_exists("out.png"));
    assert_int_equal(shell("clipneuron attack draw cat.png --text rocket --whole -o whole.png --json"), 0);
    assert_non_null(strstr(shell_out, "\"pixels\": 135300,"));
    assert_non_null(strstr(shell_out, "\"probabilities\": []"));
    /* the same text again changes what is there less than a first one */
    assert_int_equal(shell("clipneuron attack draw cat.png --text a --layout plain --size 100 --outline 0 --colour '#ff0000' -o a.png && "
                           "clipneuron attack draw a.png --text a --layout plain --size 100 --outline 0 --colour '#ff0000'"), 0);
}

/* By their first bytes. */
static void draw_writes_the_format_of_the_ending(void **state)
{
    (void)state;
    assert_int_equal(shell("for f in a.png b.jpg c.JPEG d.webp plain; do clipneuron attack draw cat.png --text rocket -o $f > /dev/null; "
                           "head -c 12 $f | tr -c A-Za-z . ; echo \" $f\"; done"), 0);
    assert_non_null(strstr(shell_out, ".PNG........ a.png\n"));
    assert_non_null(strstr(shell_out, "......JFIF.. b.jpg\n"));
    assert_non_null(strstr(shell_out, "......JFIF.. c.JPEG\n"));
    assert_non_null(strstr(shell_out, "WEBP d.webp\n"));
    assert_non_null(strstr(shell_out, ".PNG........ plain\n"));
}

static void run_goes_on_from_its_log(void **state)
{
    (void)state;
    static char first[sizeof shell_out];
    static const char line[] = "clipneuron attack run photos --targets hamburger=burger balloon --class airplane --layout label --size 90 --log log.jsonl --json";
    assert_int_equal(shell("%s -n 12", line), 0);
    strcpy(first, shell_out);
    assert_non_null(strstr(first, "\"images\": 12,"));
    assert_non_null(strstr(first, "\"text\": \"burger\","));
    assert_non_null(strstr(first, "{\"hits\": "));
    assert_int_equal(shell("wc -l < log.jsonl"), 0);
    assert_int_equal(atoi(shell_out), 13);
    assert_int_equal(shell("head -c -30 log.jsonl > cut && mv cut log.jsonl && %s -n 12", line), 0);
    char *resumed = strstr(shell_out, "\"resumed\": 11,");
    assert_non_null(resumed);
    assert_string_equal(strstr(first, "\"classes\""), strstr(shell_out, "\"classes\"")); /* the rest is the same */
    assert_int_equal(shell("clipneuron attack run photos --targets balloon --class airplane --log log.jsonl"), 1);
    assert_non_null(strstr(shell_err, "log.jsonl: a log of other settings"));
    assert_string_equal(shell_out, "");
}

/* The bundled DejaVu Sans is the system's (Debian's): the same pixels by file and by family. Pictures without labels are never right. */
static void fonts_come_from_files_and_unknown_shares_are_dashes(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron attack draw cat.png --text iPod --font-file %s/tests/data/fonts/DejaVuSans.ttf -o file.png && "
                           "clipneuron attack draw cat.png --text iPod --font 'dejavu sans' -o family.png && cmp file.png family.png", CN_SOURCE_DIR), 0);
    assert_int_equal(shell("clipneuron attack run photos --targets balloon --class airplane -n 4 --prompt '{}' --prompt 'a {}'"), 0);
    assert_non_null(strstr(shell_out, "2 classes; right without a text: -, -\n"));
    assert_null(strstr(shell_out, "nan"));
    assert_int_equal(shell("clipneuron attack defend photos --targets balloon=canada --class airplane -n 10 --steps 0"), 0);
    assert_non_null(strstr(shell_out, "\nwarning: canada (region) is "));
    assert_int_equal(shell("clipneuron attack defend photos --targets balloon=canada --class airplane -n 10 --steps 0 --json"), 0);
    assert_non_null(strstr(shell_out, "{\"name\": \"canada\", \"family\": \"region\", \"base_rate\": null, "));
    assert_int_equal(shell("clipneuron attack search photos --target canada --class airplane -n 4 --train 2 --no-genetic --top 1"), 0);
    assert_non_null(strstr(shell_out, "\nwarning: canada (region) is "));
}

static void plots_are_written(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron attack run photos --targets balloon --class airplane -n 4 --plot bars.svg && grep -c '<svg' bars.svg"), 0);
    assert_int_equal(shell("clipneuron attack defend photos --targets balloon --class airplane -n 10 --steps 0,2 --plot curve.png --json"), 0);
    assert_true(shell_exists("curve.png"));
    assert_non_null(strstr(shell_out, "\"units_known\": ["));
    assert_non_null(strstr(shell_out, "\"projection\": ["));
    assert_int_equal(shell("clipneuron stroop --variants 1 --plot stroop.svg --json"), 0);
    assert_true(shell_exists("stroop.svg"));
    assert_non_null(strstr(shell_out, "\"incongruent_word\": {\"hits\": "));
    assert_non_null(strstr(shell_out, "{\"word\": \"red\", \"ink\": \"orange\", \"neutral\": false, \"answers\": ["));
}

static void search_uses_the_words_and_names_of_units(void **state)
{
    (void)state;
    assert_int_equal(shell("mkdir -p p/cat p/airplane p/apple; cp %s/demo-pictures/cat-*.png p/cat; cp %s/demo-pictures/airplane-*.png p/airplane; "
                           "cp %s/demo-pictures/apple-*.png p/apple; clipneuron scan -q p -o study > /dev/null",
                           CN_BINARY_DIR, CN_BINARY_DIR, CN_BINARY_DIR), 0);
    assert_int_equal(shell("printf 'kitten\\n# a comment\\npilot\\n' > words; "
                           "clipneuron attack search study --target cat --words words --no-genetic --train 4 --units 2 --top 30 --json"), 0);
    assert_non_null(strstr(shell_out, "\"from\": \"target\","));
    assert_non_null(strstr(shell_out, "\"from\": \"unit\","));
    assert_non_null(strstr(shell_out, "\"text\": \"kitten\","));
    assert_null(strstr(shell_out, "comment"));
    assert_non_null(strstr(shell_out, "\"from\": \"liked\","));
    const char *units = strstr(shell_out, "\"units\": [");
    assert_non_null(units); /* both like the same two words, each in its own order */
    assert_non_null(strstr(units, "{\"text\": \"kitten\", \"cosine\": "));
    assert_true(shell_number("\"serves\": ") > 0);
    assert_true(shell_number("\"r\": ") > 0.99 && shell_number("\"r2\": ") > 0.98); /* this model's pool is an average */
    assert_int_equal(shell("clipneuron attack search study --target cat --words words --no-genetic --train 4 --units 1 --top 1"), 0);
    assert_non_null(strstr(shell_out, "\nunit of visual.layer4.3.add that serves it, and what it likes (cosine of the word's text and the unit's direction):\n  "));
    assert_non_null(strstr(shell_out, "\nlinear picture: predicted and true cosine on "));
    assert_int_equal(shell("clipneuron attack search p --target cat --class apple --words words --no-genetic --train 4 --units 1 --top 1"), 0);
    assert_non_null(strstr(shell_out, "\nlinear picture: not measured: the collection is no study\n"));
    assert_int_equal(shell("clipneuron scan -q p -o bare --matrices none > /dev/null && clipneuron scan -q p -o most --reduce max > /dev/null && for s in bare most; do "
                           "clipneuron attack search $s --target cat --words words --no-genetic --train 4 --units 1 --top 1; done"), 0);
    assert_non_null(strstr(shell_out, "linear picture: not measured: bare: "));
    assert_non_null(strstr(shell_out, "linear picture: not measured: most: activations are maxima over space"));
    assert_int_equal(shell("clipneuron attack run study --targets cat -n 5"), 0); /* classes are its labels, pictures its collection */
    assert_non_null(strstr(shell_out, "5 pictures of p, 3 classes"));
    assert_int_equal(shell("clipneuron attack run study --targets cat -n 1"), 0);
    assert_int_equal(strncmp(shell_out, "1 picture of p, 3 classes; ", 27), 0);
    assert_int_equal(shell("clipneuron attack search study --target rocket --words words --no-genetic --train 1 -n 1 --units 2 --top 1"), 0);
    assert_non_null(strstr(shell_out, " texts tried on 1 picture, the best measured on 1 other\n"));
    assert_non_null(strstr(shell_out, "\nunits of visual.layer4.3.add that serve it, and what they like (cosine of"));
    assert_int_equal(shell("mv p q; clipneuron attack run study --targets cat"), 1);
    assert_non_null(strstr(shell_err, "its pictures are not at "));
}

/* Of a ViT a study holds means over tokens, and directions are those of the class token. */
static void token_sites_come_with_a_warning(void **state)
{
    (void)state;
    static const char says[] = "clipneuron: warning: visual.transformer.resblocks.2.mlp.gelu has tokens: directions are those of the class token, ";
    assert_int_equal(shell("clipneuron scan -q --model " VIT " photos -o vit > /dev/null && "
                           "clipneuron attack search vit --model " VIT " --target cat --class dog --train 2 -n 4 --no-genetic --units 1 --top 1"), 0);
    assert_non_null(strstr(shell_err, says));
    assert_int_equal(shell("clipneuron attack search vit --model " VIT " --target cat --class dog --train 2 -n 4 --no-genetic --units 1 --top 1 -q"), 0);
    assert_string_equal(shell_err, "");
    assert_int_equal(shell("clipneuron attack defend vit --model " VIT " --targets cat --class dog -n 10 --steps 0,2"), 0);
    assert_non_null(strstr(shell_err, says));
    assert_int_equal(shell("clipneuron attack defend photos --model " VIT " --targets cat --class dog -n 10 --steps 0,2"), 0); /* it has no activations to speak of */
    assert_null(strstr(shell_err, says));
    assert_int_equal(shell("clipneuron scan -q --reduce class --model " VIT " photos -o tokens > /dev/null && "
                           "clipneuron attack defend tokens --model " VIT " --targets cat --class dog -n 10 --steps 0,2"), 0);
    assert_null(strstr(shell_err, says));
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int code;
        const char *says;
    } cases[] = {
        {"attack", 2, "draw, run, search or defend?"},
        {"attack rum photos", 2, "did you mean 'run'?"},
        {"attack draw cat.png", 2, "--text is missing"},
        {"attack draw --text a", 2, "an image is needed"},
        {"attack run photos", 2, "--targets are missing"},
        {"attack search photos", 2, "--target is missing"},
        {"attack draw cat.png --text a --size x", 2, "--size is a number from 1 to 288"},
        {"attack draw cat.png --text a --at 2,0", 2, "--at is X,Y"},
        {"attack draw cat.png --text a --colour red", 2, "--colour is #RRGGBB"},
        {"attack draw cat.png --text a --copies 9", 2, "1 to 8 copies"},
        {"attack draw cat.png --text ''", 1, "1 to 256 bytes"},
        {"attack draw nothing.png --text a", 1, "nothing.png"},
        {"attack draw cat.png --text '   '", 1, "not blanks alone"},
        {"attack draw cat.png --text a --font NoSuchFont", 1, "no font family 'NoSuchFont' on this system; there are "},
        {"attack draw cat.png --text a --font Sans --font-file x.ttf", 2, "exclude each other"},
        {"attack draw cat.png --text a --font-file cat.png", 1, "cat.png: cannot be read as a font"},
        {"attack draw cat.png --text a -o x.gif", 2, "written as .png, .jpg, .jpeg or .webp, not 'x.gif'"},
        {"attack draw cat.png --text a --class cat", 2, "two classes are needed to choose from, not 'cat' alone"},
        {"attack draw cat.png --text a --classes /dev/null", 1, "/dev/null: has no lines"},
        {"attack draw cat.png --text a --targets cat", 2, "--targets belong to run and defend"},
        {"attack search photos --target cat --targets dog", 2, "search has one --target"},
        {"attack run photos --targets cat --target dog", 2, "--target belongs to search"},
        {"attack run photos --targets cat", 1, "its pictures have no labels"},
        {"attack run photos --targets cat dog", 1, "name classes (--class)"},
        {"attack run nowhere --targets cat", 1, "nowhere"},
        {"attack run photos --targets cat --class dog --prompt x", 2, "has no {}"},
        {"attack run photos --targets cat --class dog --plot x.pdf", 2, ".svg or .png"},
        {"attack defend photos --targets cat --class dog --steps 0,5,3", 2, "rising numbers"},
        {"attack defend photos --targets cat --class dog --steps 0,99999 -n 10", 1, "there are 1024"},
        {"attack search photos --target cat --liked 1001", 2, "--liked"},
        {"attack search photos --target cat --log x", 2, "--log belongs to run"},
        {"stroop --prompt x", 2, "has no {}"},
        {"stroop --neutral RED", 1, "is a colour"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int code = shell("clipneuron %s", cases[i].arguments);
        if (code != cases[i].code || !strstr(shell_err, cases[i].says) || *shell_out)
            fail_msg("%s: exit %d, '%s' for '%s'", cases[i].arguments, code, shell_err, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(draw_counts_pixels_and_asks_before_and_after),
        IN_A_NEW_FOLDER(draw_writes_the_format_of_the_ending),
        IN_A_NEW_FOLDER(run_goes_on_from_its_log),
        IN_A_NEW_FOLDER(fonts_come_from_files_and_unknown_shares_are_dashes),
        IN_A_NEW_FOLDER(plots_are_written),
        IN_A_NEW_FOLDER(search_uses_the_words_and_names_of_units),
        IN_A_NEW_FOLDER(token_sites_come_with_a_warning),
        IN_A_NEW_FOLDER(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
