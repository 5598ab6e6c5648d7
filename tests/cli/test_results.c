/* What the commands compute and write: against the golden values, and against each other. */
#include "shell.h"

#include <clipneuron/array.h>
#include <clipneuron/image.h>
#include <clipneuron/weights.h>
#include <math.h>

#define PICTURES GOLDEN "/astronaut.png " GOLDEN "/rocket.jpg " GOLDEN "/chelsea.png"

/* A tensor as float32; owned by the caller. */
static float *floats(const cn_tensor *t)
{
    assert_non_null(t);
    float *values = malloc((size_t)t->count * sizeof *values + 1);
    assert_non_null(values);
    cn_tensor_read_f32(t, values);
    return values;
}

static double worst(const float *a, const float *b, size_t n)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        difference = d > difference || isnan(d) ? d : difference;
        largest = fabs((double)b[i]) > largest ? fabs((double)b[i]) : largest;
    }
    return difference / largest;
}

/* An array in a file of the temporary folder against a golden tensor. */
static void assert_golden(const char *file, const char *array, const char *expected, const char *tensor,
                          double bound)
{
    cn_arrays *arrays = NULL;
    cn_weights *golden = NULL;
    assert_int_equal(cn_arrays_open(&arrays, shell_path(file), NULL), CN_OK);
    assert_int_equal(cn_weights_open(&golden, expected, NULL), CN_OK);
    const cn_tensor *have = cn_arrays_find(arrays, array), *want = cn_weights_find(golden, tensor);
    assert_non_null(have);
    assert_non_null(want);
    assert_int_equal(have->ndim, want->ndim);
    assert_memory_equal(have->shape, want->shape, (size_t)want->ndim * sizeof *want->shape);
    float *a = floats(have), *b = floats(want);
    double error = worst(a, b, (size_t)want->count);
    if (!(error <= bound))
        fail_msg("%s: %g is more than %g", tensor, error, bound);
    free(a);
    free(b);
    cn_weights_close(golden);
    cn_arrays_close(arrays);
}

static float *read_array(const char *file, const char *array, int64_t *shape, int ndim)
{
    cn_arrays *arrays = NULL;
    assert_int_equal(cn_arrays_open(&arrays, shell_path(file), NULL), CN_OK);
    const cn_tensor *t = cn_arrays_find(arrays, array);
    assert_non_null(t);
    assert_int_equal(t->ndim, ndim);
    memcpy(shape, t->shape, (size_t)ndim * sizeof *shape);
    float *values = floats(t);
    cn_arrays_close(arrays);
    return values;
}

#define RUNS(...)                                     \
    do {                                              \
        int code = shell(__VA_ARGS__);                \
        if (code)                                     \
            fail_msg("exit %d: %s", code, shell_err); \
    } while (0)

static void tokens_print_a_row_a_line(void **state)
{
    (void)state;
    RUNS("clipneuron tokens 'a photo of a dog' '' 'Hello World!'");
    assert_string_equal(shell_out,
                        "[49406,320,1125,539,320,1929,49407]\n[49406,49407]\n[49406,3306,1002,256,49407]\n");
    RUNS("printf 'a photo of a dog\\n\\nHello World!' | clipneuron tokens -");
    assert_string_equal(shell_out,
                        "[49406,320,1125,539,320,1929,49407]\n[49406,49407]\n[49406,3306,1002,256,49407]\n");
    RUNS("clipneuron tokens --text 'a photo'");
    assert_string_equal(shell_out, "[\"<|startoftext|>\",\"a \",\"photo \",\"<|endoftext|>\"]\n");
}

static void tokens_of_a_long_text_are_refused_or_cut(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron tokens 'a' 'a photo of a dog' --context 5"), 1);
    assert_string_equal(shell_out, "");
    assert_int_equal(strncmp(shell_err, "clipneuron: ", 12), 0);
    assert_non_null(strstr(shell_err, "5"));
    RUNS("clipneuron tokens --truncate -c5 'a photo of a dog'");
    assert_string_equal(shell_out, "[49406,320,1125,539,49407]\n");
    assert_int_equal(shell("printf 'a\\na photo of a dog\\n' | clipneuron tokens --context 5"), 1);
    assert_int_equal(strncmp(shell_err, "clipneuron: standard input, line 2: ", 36), 0);
}

static void tokens_after_two_dashes_are_texts(void **state)
{
    (void)state;
    RUNS("clipneuron tokens -- --truncate - | head -c 7");
    assert_string_equal(shell_out, "[49406,");
    RUNS("clipneuron tokens '- a dog' -5");
    assert_string_equal(shell_out, "[49406,268,320,1929,49407]\n[49406,268,276,49407]\n");
}

static void pixels_equal_the_original(void **state)
{
    (void)state;
    RUNS("clipneuron pixels --size 64 %s -o pixels.npy", PICTURES);
    assert_golden("pixels.npy", "", GOLDEN "/rn-small.expected.safetensors", "pixels_u8", 0);
}

static void palettes_are_resized_as_stored_unless_rgb_comes_first(void **state)
{
    (void)state;
    enum { SIDE = 16 };
    static const char picture[] = CN_TEST_DATA "/images/mode-p.png";
    static const char *const flags[2] = {"", "--rgb-first"};
    float *written[2];
    for (int rgb_first = 0; rgb_first < 2; rgb_first++) {
        const cn_image_options options = {.rgb_first = rgb_first};
        uint8_t expected[SIDE * SIDE * 3];
        int64_t shape[4];
        cn_image *image;
        assert_int_equal(cn_image_load(&image, picture, &options, NULL), CN_OK);
        assert_int_equal(cn_image_preprocess(image, SIDE, expected, NULL), CN_OK);
        cn_image_free(image);
        RUNS("clipneuron pixels %s --size 16 %s -o palette.npy", flags[rgb_first], picture);
        written[rgb_first] = read_array("palette.npy", "", shape, 4);
        for (size_t i = 0; i < sizeof expected; i++)
            assert_true(written[rgb_first][i] == expected[i]);
    }
    assert_true(worst(written[0], written[1], SIDE * SIDE * 3) > 0);
    free(written[0]);
    free(written[1]);
}

static void embeddings_equal_the_original(void **state)
{
    (void)state;
    RUNS("clipneuron embed --model " RN " --image %s -o image.npy", PICTURES);
    assert_golden("image.npy", "", GOLDEN "/rn-small.expected.safetensors", "image_features", 1e-4);
    RUNS("clipneuron embed --model " VIT " --image %s -o image.npy --batch 2 --threads 1", PICTURES);
    assert_golden("image.npy", "", GOLDEN "/vit-small.expected.safetensors", "image_features", 1e-4);
    RUNS("clipneuron embed --model " GOLDEN
         "/vit-small.hf --image %s -o both.npz --text a b --backend reference",
         PICTURES);
    assert_golden("both.npz", "image", GOLDEN "/vit-small.expected.safetensors", "image_features", 1e-4);
}

static void sites_equal_the_original(void **state)
{
    (void)state;
    static const char *const sites[][2] = {
        {"layer1", "act:visual.layer1"},
        {"visual.relu3", "act:visual.relu3"},
        {"visual.layer4.0", "act:visual.layer4.0"},
        {"layer4.1.add", "act:pre:visual.layer4.1.relu3"},
    };
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
        RUNS("clipneuron activations --model " RN " --site %s --reduce none %s -o act.npy", sites[i][0],
             PICTURES);
        assert_golden("act.npy", "", GOLDEN "/rn-small.expected.safetensors", sites[i][1], 1e-4);
    }
    RUNS("clipneuron activations --model " VIT " --site visual.ln_pre --reduce none %s -o act.npy", PICTURES);
    assert_golden("act.npy", "", GOLDEN "/vit-small.expected.safetensors", "act:visual.ln_pre", 1e-4);
}

static void embeddings_do_not_depend_on_how_images_are_named(void **state)
{
    (void)state;
    int64_t shape[2];
    RUNS("ls photos/*.png > list.txt; (cd photos && ls > ../photos/list.txt); "
         "clipneuron embed --model " RN " --image photos -o a.npy; "
         "clipneuron embed --model " RN " --image @list.txt -o b.npy; "
         "clipneuron embed --model " RN " --image @photos/list.txt -o c.npy --skip-bad -q --batch 3; "
         "clipneuron embed --model " RN " --image @- -o d.npy < list.txt; rm photos/list.txt; "
         "cmp a.npy b.npy && cmp a.npy d.npy");
    free(read_array("a.npy", "", shape, 2));
    size_t n = (size_t)shape[0];
    free(read_array("c.npy", "", shape, 2)); /* the list in the folder names itself: one more, and bad */
    assert_int_equal(shape[0], n + 1);
}

static void normalised_embeddings_have_length_one(void **state)
{
    (void)state;
    int64_t shape[2];
    RUNS("printf 'a dog\\na cat\\n' > t.txt; clipneuron embed --model " RN
         " --text 'a car' --texts t.txt --normalise -o n.npy");
    float *rows = read_array("n.npy", "", shape, 2);
    assert_int_equal(shape[0], 3);
    assert_int_equal(shape[1], 64);
    for (int64_t i = 0; i < 3; i++) {
        double sum = 0;
        for (int64_t k = 0; k < 64; k++)
            sum += (double)rows[i * 64 + k] * (double)rows[i * 64 + k];
        assert_float_equal(sum, 1, 1e-6);
    }
    free(rows);
}

/* The numbers of the JSON array behind the given key, from `at` on. */
static const char *numbers(const char *at, const char *key, double *out, size_t n)
{
    at = strstr(at, key);
    assert_non_null(at);
    at = strchr(at, '[') + 1;
    for (size_t i = 0; i < n; i++) {
        char *end;
        out[i] = strtod(at, &end);
        assert_true(end > at);
        at = end + (*end == ',');
    }
    return at;
}

static void probabilities_are_a_softmax_of_scaled_cosines(void **state)
{
    (void)state;
    int64_t s[2];
    double probs[2], logits[2];
    RUNS("clipneuron classify --model " RN " --text 'a cat' --text 'a \"dog\"' --json cat.png rocket.jpg");
    static char json[sizeof shell_out];
    strcpy(json, shell_out);
    RUNS("clipneuron embed --model " RN
         " --image cat.png rocket.jpg --text 'a cat' 'a \"dog\"' --normalise -o e.npz");
    float *image = read_array("e.npz", "image", s, 2), *text = read_array("e.npz", "text", s, 2);
    assert_non_null(strstr(json, "\"a \\\"dog\\\"\""));
    const char *at = json;
    double scale = 0;
    for (int i = 0; i < 2; i++) {
        numbers(at, "\"probs\": ", probs, 2);
        at = numbers(at, "\"logits\": ", logits, 2);
        assert_float_equal(probs[0] + probs[1], 1, 1e-6);
        assert_float_equal(log(probs[0] / probs[1]), logits[0] - logits[1], 1e-5);
        for (int t = 0; t < 2; t++) {
            double cosine = 0;
            for (int64_t k = 0; k < s[1]; k++)
                cosine += (double)image[i * s[1] + k] * (double)text[t * s[1] + k];
            if (scale == 0)
                scale = logits[t] / cosine;
            assert_float_equal(logits[t], scale * cosine, 1e-4);
        }
    }
    free(image);
    free(text);
}

static void one_template_equals_writing_it_out(void **state)
{
    (void)state;
    double a[2], b[2];
    RUNS("clipneuron classify --model " RN " --text cat --text dog --template 'a {}, a {}!' --json cat.png");
    numbers(shell_out, "\"logits\": ", a, 2);
    RUNS("clipneuron classify --model " RN " --text 'a cat, a cat!' --text 'a dog, a dog!' --json cat.png");
    numbers(shell_out, "\"logits\": ", b, 2);
    assert_float_equal(a[0], b[0], 1e-5);
    assert_float_equal(a[1], b[1], 1e-5);
}

static void table_shows_the_best_first(void **state)
{
    (void)state;
    RUNS("clipneuron classify --model " RN " --text same --text same --top 1 cat.png");
    assert_string_equal(shell_out, "cat.png\n  same   50.00%  ###############\n");
}

static void reductions_agree_with_the_full_map(void **state)
{
    (void)state;
    int64_t s[4], m[3], u;
    RUNS("clipneuron activations --model " RN " -s layer3 -r none photos -o map.npy");
    RUNS("clipneuron activations --model " RN " -s layer3 -r mean photos -o mean.npy");
    RUNS("clipneuron activations --model " RN " -s layer3 -r max photos -o max.npy");
    RUNS("clipneuron activations --model " RN " -s layer3 -u layer4:1 -u layer4:0 -r max photos -o max.npz");
    RUNS("clipneuron activations --model " RN " -s layer3 -r argmax photos -o where.npy");
    float *map = read_array("map.npy", "", s, 4), *mean = read_array("mean.npy", "", m, 2);
    float *max = read_array("max.npy", "", m, 2), *zmax = read_array("max.npz", "layer3.max", m, 2);
    float *where = read_array("where.npy", "", m, 3),
          *zwhere = read_array("max.npz", "layer3.position", m, 3);
    int64_t positions = s[2] * s[3];
    assert_int_equal(m[0], s[0]);
    assert_int_equal(m[1], s[1]);
    assert_int_equal(m[2], 2);
    for (u = 0; u < s[0] * s[1]; u++) {
        const float *x = map + u * positions;
        double sum = 0;
        int64_t at = 0;
        for (int64_t p = 0; p < positions; p++) {
            sum += (double)x[p];
            at = x[p] > x[at] ? p : at;
        }
        assert_float_equal(mean[u], sum / (double)positions, 1e-6);
        assert_float_equal(max[u], x[at], 0);
        assert_float_equal(zmax[u], x[at], 0);
        assert_int_equal((int)where[2 * u], at / s[3]);
        assert_int_equal((int)where[2 * u + 1], at % s[3]);
        assert_int_equal((int)zwhere[2 * u + 1], at % s[3]);
    }
    free(map), free(mean), free(max), free(zmax), free(where), free(zwhere);
    free(read_array("max.npz", "layer4.max", m, 2));
    assert_int_equal(m[1], 2);
}

static void one_site_under_two_names_is_read_twice(void **state)
{
    (void)state;
    int64_t s[2];
    RUNS("clipneuron activations --model " RN
         " -s layer4 -s visual.layer4 -u visual.layer4:3 cat.png -o two.npz");
    float *a = read_array("two.npz", "layer4.mean", s, 2);
    assert_int_equal(s[1], 512);
    float *b = read_array("two.npz", "visual.layer4.mean", s, 2);
    assert_int_equal(s[1], 1);
    assert_float_equal(b[0], a[3], 0);
    free(a);
    free(b);
}

static void csv_has_a_line_for_every_input_and_unit(void **state)
{
    (void)state;
    int64_t s[2];
    char expected[512];
    RUNS("cp cat.png 'a, \"b\".png'; "
         "clipneuron activations --model " RN " -u layer4:5 -u layer4:3 rocket.jpg 'a, \"b\".png' -o u.npy; "
         "clipneuron activations --model " RN " -u layer4:5 -u layer4:3 rocket.jpg 'a, \"b\".png' -o -");
    float *u = read_array("u.npy", "", s, 2);
    snprintf(expected, sizeof expected,
             "input,site,unit,y,x,value\nrocket.jpg,layer4,5,,,%.9g\nrocket.jpg,layer4,3,,,%.9g\n"
             "\"a, \"\"b\"\".png\",layer4,5,,,%.9g\n\"a, \"\"b\"\".png\",layer4,3,,,%.9g\n",
             (double)u[0], (double)u[1], (double)u[2], (double)u[3]);
    assert_string_equal(shell_out, expected);
    free(u);
}

static void text_sites_take_texts(void **state)
{
    (void)state;
    int64_t s[3], m[2];
    RUNS("clipneuron activations --model " RN
         " -s transformer.resblocks.0 --text 'a cat' dog -r none -o t.npy");
    RUNS("clipneuron activations --model " RN
         " -s transformer.resblocks.0 --text 'a cat' dog -r mean -o tm.npy");
    float *map = read_array("t.npy", "", s, 3), *mean = read_array("tm.npy", "", m, 2);
    assert_int_equal(s[0], 2);
    assert_int_equal(s[1], 77);
    const int used[2] = {4, 3}; /* with both marks; what follows the end mark does not count */
    for (int64_t i = 0; i < 2; i++)
        for (int64_t d = 0; d < s[2]; d++) {
            double sum = 0;
            for (int p = 0; p < used[i]; p++)
                sum += (double)map[(i * 77 + p) * s[2] + d];
            assert_float_equal(mean[i * s[2] + d], sum / used[i], 1e-5);
        }
    free(map), free(mean);
    assert_int_equal(
        shell("clipneuron activations --model " RN " -s transformer.resblocks.0 cat.png -o t.npy"), 2);
    assert_string_equal(shell_err,
                        "clipneuron: activations: transformer.resblocks.0 is a site of the text tower: name "
                        "texts with --text\n");
}

static void wrong_sites_and_units_are_named(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron activations --model " RN " -s layer5 cat.png -o x.npy"), 1);
    assert_non_null(strstr(shell_err, "layer5"));
    assert_non_null(strstr(shell_err, "layer4"));
    assert_int_equal(shell("clipneuron activations --model " RN " -u layer4:512 cat.png -o x.npy"), 1);
    assert_non_null(strstr(shell_err, "511"));
    assert_false(shell_exists("x.npy"));
}

static void bad_image_leaves_no_output(void **state)
{
    (void)state;
    RUNS("mkdir -p out; head -c 300 cat.png > broken.png");
    assert_int_equal(shell("clipneuron embed --model " RN " --image cat.png broken.png -o out/x.npy"), 1);
    assert_int_equal(strncmp(shell_err, "clipneuron: broken.png: ", 24), 0);
    assert_int_equal(shell("clipneuron activations --model " RN " cat.png missing.png -o out/x.csv"), 1);
    assert_string_equal(shell_err, "clipneuron: missing.png: No such file or directory\n");
    assert_int_equal(shell("clipneuron activations --model " RN " broken.png -o out/x.npz"), 1);
    assert_int_equal(shell("clipneuron pixels --size 8 broken.png cat.png -o out/x.npy"), 1);
    assert_string_equal(shell_out, "");
    RUNS("ls -A out");
    assert_string_equal(shell_out, "");
}

static void bad_image_is_skipped_when_asked(void **state)
{
    (void)state;
    int64_t s[2];
    RUNS("head -c 300 cat.png > broken.png; "
         "clipneuron embed --model " RN " --image cat.png broken.png rocket.jpg --skip-bad -o x.npy");
    assert_int_equal(strncmp(shell_err, "clipneuron: skipped broken.png: ", 32), 0);
    float *rows = read_array("x.npy", "", s, 2);
    assert_int_equal(s[0], 3);
    for (int64_t k = 0; k < s[1]; k++) {
        assert_true(isfinite(rows[k]));
        assert_true(isnan(rows[s[1] + k]));
        assert_true(isfinite(rows[2 * s[1] + k]));
    }
    free(rows);
    RUNS("clipneuron classify --model " RN " --text a --text a --skip-bad -q broken.png cat.png");
    assert_string_equal(shell_out,
                        "cat.png\n  a      50.00%  ###############\n  a      50.00%  ###############\n");
    assert_string_equal(shell_err, "");
}

static void full_disk_leaves_no_output(void **state)
{
    (void)state;
    assert_int_equal(shell("mkdir full; (ulimit -f 8; clipneuron pixels --size 224 photos -o full/x.npy)"),
                     1);
    assert_string_equal(shell_err, "clipneuron: full/x.npy: cannot be written: File too large\n");
    assert_int_equal(shell("(ulimit -f 8; clipneuron activations --model " RN " photos -o full/x.csv)"), 1);
    assert_string_equal(shell_err, "clipneuron: full/x.csv: cannot be written: File too large\n");
    RUNS("ls -A full");
    assert_string_equal(shell_out, "");
    assert_int_equal(shell("clipneuron pixels --size 8 cat.png -o no/such/x.npy"), 1);
    assert_string_equal(shell_err,
                        "clipneuron: no/such/x.npy: cannot be written: No such file or directory\n");
}

static void interruption_leaves_no_output(void **state)
{
    (void)state;
    RUNS("mkdir -p stopped; for i in $(seq 4000); do echo cat.png; done > many.txt");
    /* the unfinished file says that the program is at work */
    assert_int_equal(
        shell("clipneuron pixels --size 224 @many.txt -o stopped/x.npy & p=$!\n"
              "for i in $(seq 1000); do test -n \"$(ls -A stopped)\" && break; sleep 0.01; done\n"
              "kill -INT $p; wait $p"),
        130);
    assert_string_equal(shell_err, "");
    RUNS("ls -A stopped");
    assert_string_equal(shell_out, "");
}

static void interrupted_scan_leaves_no_study_and_goes_on(void **state)
{
    (void)state;
    RUNS("mkdir in; for i in $(seq 400); do cp cat.png in/$i.png; done");
    assert_int_equal(
        shell("clipneuron scan --save-every 1 --batch 4 in -o made/study & p=$!\n" /* there is no folder made yet */
              "wait $p"),
        1);
    assert_non_null(strstr(shell_err, "made/study.part: cannot make a folder here"));
    const int ended = shell("mkdir made; clipneuron scan --save-every 1 --batch 4 in -o made/study & p=$!\n"
                           "for i in $(seq 1000); do test -e made/study.part/work.sqlite && break; sleep 0.01; done\n"
                           "sleep 0.1; kill -INT $p; wait $p");
    if (ended != 130)
        fail_msg("exit %d: %s", ended, shell_err);
    assert_string_equal(shell_out, "");
    RUNS("ls -A made");
    assert_true(strcmp(shell_out, "study.part\n") == 0 || shell_out[0] == '\0'); /* before a picture was through */
    RUNS("clipneuron scan --json --show 0 in -o made/study; ls -A made");
    assert_non_null(strstr(shell_out, "\"images\": 400"));
    assert_non_null(strstr(shell_out, "\nstudy\n"));
    assert_null(strstr(shell_out, "study.part"));
}

/* A picture that is transparent everywhere takes the colour that it is laid over. */
static void transparency_takes_the_background(void **state)
{
    (void)state;
    static const struct {
        const char *colour;
        uint8_t rgb[3];
    } cases[] = {{"white", {255, 255, 255}}, {"black", {0, 0, 0}}, {"#0a80Ff", {10, 128, 255}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t shape[4];
        RUNS("clipneuron pixels --size 8 --background '%s' %s -o bg.npy", cases[i].colour,
             CN_TEST_DATA "/images/mode-rgba-clear.png");
        float *pixels = read_array("bg.npy", "", shape, 4);
        for (size_t j = 0; j < 8 * 8 * 3; j++)
            assert_true(pixels[j] == cases[i].rgb[j % 3]);
        free(pixels);
    }
    assert_int_equal(shell("clipneuron pixels --size 8 --background blue cat.png -o bg2.npy"), 2);
    assert_string_equal(shell_err,
                        "clipneuron: pixels: --background is white, black, grey or #RRGGBB, not 'blue'\n");
    assert_int_equal(shell("ls bg2.npy 2>/dev/null"), 2);
}

static void scan_of_no_pictures_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    RUNS("mkdir bare; echo hello > bare/readme.txt");
    assert_int_equal(shell("clipneuron scan bare -o bare-study"), 1);
    assert_string_equal(shell_err, "clipneuron: bare: no images in this collection\n");
    assert_string_equal(shell_out, "");
    assert_int_equal(shell("ls bare-study 2>/dev/null"), 2);
}

static void zero_bytes_in_lists_are_refused(void **state)
{
    (void)state;
    assert_int_equal(shell("printf 'a\\0b\\n' | clipneuron tokens"), 1);
    assert_string_equal(shell_err, "clipneuron: standard input, line 1: a zero byte\n");
    assert_int_equal(shell("printf 'a\\n\\0b\\n' | clipneuron classify --texts - cat.png"), 1);
    assert_string_equal(shell_err, "clipneuron: standard input: line 2 has a zero byte\n");
}

static void models_are_found_by_name(void **state)
{
    (void)state;
    RUNS("clipneuron info | head -1; mkdir -p clipneuron/models; cp " RN
         " clipneuron/models/mine.safetensors; "
         "clipneuron info --model mine --json | grep '\"embedding\"'; "
         "cp " RN " clipneuron/models/RN50x4.pt; clipneuron info --model rn50X4 --json | grep '\"model\"'; "
         "CLIPNEURON_MODEL=mine clipneuron info --json | grep '\"embedding\"'; "
         "clipneuron info --model specimen-control | head -1; rm clipneuron/models/RN50x4.pt");
    char expected[1024];
    snprintf(expected, sizeof expected,
             "model         %s/models/specimen.safetensors\n  \"embedding\": 64,\n"
             "  \"model\": \"%s/clipneuron/models/RN50x4.pt\",\n  \"embedding\": 64,\n"
             "model         %s/models/specimen-control.safetensors\n",
             CN_SOURCE_DIR, shell_folder, CN_SOURCE_DIR);
    assert_string_equal(shell_out, expected);
    assert_int_equal(shell("clipneuron info --model RN50x4"), 1);
    assert_string_equal(shell_err,
                        "clipneuron: RN50x4: not downloaded yet; 'clipneuron pull RN50x4' fetches it\n");
    assert_int_equal(shell("clipneuron info --model RN51"), 1);
    assert_string_equal(shell_err,
                        "clipneuron: RN51: no file, folder or model of that name; did you mean RN50?\n");
    assert_int_equal(shell("clipneuron info --model specimen-contrl"), 1);
    assert_string_equal(shell_err,
                        "clipneuron: specimen-contrl: no file, folder or model of that name; did you mean "
                        "specimen-control?\n");
    assert_int_equal(shell("clipneuron info --model ./RN50x4"), 1);
    assert_string_equal(shell_err, "clipneuron: ./RN50x4: No such file or directory\n");
    assert_int_equal(shell("clipneuron info --model cat.png"), 1);
    assert_int_equal(strncmp(shell_err, "clipneuron: cat.png: ", 21), 0);
}

static void info_prints_what_the_checkpoint_holds(void **state)
{
    (void)state;
    RUNS("clipneuron info --model " RN " --gelu erf | grep -v -e backend -e GFLOP");
    assert_string_equal(
        shell_out,
        "model         " RN "\n"
        "architecture  RN (ResNet)\n"
        "checkpoint    safetensors, f16, 189 tensors\n"
        "parameters    4,898,457 (image 1,627,224, text 3,271,232)\n"
        "image tower   blocks 1, 2, 1, 2, width 16, 8 heads in the attention pool\n"
        "text tower    2 layers, width 64, 1 heads, context 77, vocabulary 49408\n"
        "embedding     64\n"
        "gelu          erf (option)\n"
        "logit scale   14.2985\n"
        "input         64 px, bicubic, centre crop, mean 0.4815 0.4578 0.4082, sd 0.2686 0.2613 0.2758\n"
        "sites         123; by default visual.layer4.1.add (512 x 2 x 2)\n");
    RUNS("clipneuron info --model " RN " --sites | grep 'layer4.1.add '; clipneuron info --model " RN
         " --tensors | tail -1; clipneuron info --model " RN " --fingerprint | grep -c fingerprint");
}

static void scan_makes_a_study_and_card_pages_from_it(void **state)
{
    (void)state;
    RUNS("clipneuron scan --quiet --show 3 photos -o study");
    int lines = 0;
    for (const char *c = shell_out; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 6); /* site, empty, head, three units */
    assert_int_equal(
        strncmp(shell_out, "visual.layer4.3.add: 1024 units, the most interesting 3\n\n unit  label", 69), 0);
    assert_string_equal(shell_err, "");
    assert_int_equal(shell("clipneuron scan --quiet photos -o study"), 1);
    assert_int_equal(strncmp(shell_err, "clipneuron: study: ", 19), 0);
    RUNS("clipneuron card study 5 layer4.3.add:7 -o two.html --json");
    assert_non_null(strstr(shell_out, "\"unit\": 5,"));
    assert_non_null(strstr(shell_out, "\"unit\": 7,"));
    assert_string_equal(shell_err, "clipneuron: 2 cards in two.html\n");
    RUNS("grep -ci '<!doctype html' two.html");
    assert_int_equal(shell("clipneuron card study 1024 -o three.html"), 1);
    assert_non_null(strstr(shell_err, "1023"));
    assert_false(shell_exists("three.html"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_print_a_row_a_line),
        cmocka_unit_test(tokens_of_a_long_text_are_refused_or_cut),
        cmocka_unit_test(tokens_after_two_dashes_are_texts),
        cmocka_unit_test(pixels_equal_the_original),
        cmocka_unit_test(palettes_are_resized_as_stored_unless_rgb_comes_first),
        cmocka_unit_test(embeddings_equal_the_original),
        cmocka_unit_test(sites_equal_the_original),
        cmocka_unit_test(embeddings_do_not_depend_on_how_images_are_named),
        cmocka_unit_test(normalised_embeddings_have_length_one),
        cmocka_unit_test(probabilities_are_a_softmax_of_scaled_cosines),
        cmocka_unit_test(one_template_equals_writing_it_out),
        cmocka_unit_test(table_shows_the_best_first),
        cmocka_unit_test(reductions_agree_with_the_full_map),
        cmocka_unit_test(one_site_under_two_names_is_read_twice),
        cmocka_unit_test(csv_has_a_line_for_every_input_and_unit),
        cmocka_unit_test(text_sites_take_texts),
        cmocka_unit_test(wrong_sites_and_units_are_named),
        cmocka_unit_test(bad_image_leaves_no_output),
        cmocka_unit_test(bad_image_is_skipped_when_asked),
        cmocka_unit_test(full_disk_leaves_no_output),
        cmocka_unit_test(interruption_leaves_no_output),
        cmocka_unit_test(interrupted_scan_leaves_no_study_and_goes_on),
        cmocka_unit_test(zero_bytes_in_lists_are_refused),
        cmocka_unit_test(models_are_found_by_name),
        cmocka_unit_test(info_prints_what_the_checkpoint_holds),
        cmocka_unit_test(transparency_takes_the_background),
        cmocka_unit_test(scan_of_no_pictures_is_an_error_and_leaves_nothing),
        cmocka_unit_test(scan_makes_a_study_and_card_pages_from_it),
    };
    return cmocka_run_group_tests(tests, shell_begin, shell_end);
}
