/* `clipneuron gradient` as people run it: what is in the file, and what is said in one line in place of one. */
#include "shell.h"
#include "clipneuron/array.h"

#include <math.h>

#define SIDE 64 /* px that the model sees */
#define IMAGES 3
#define VALUES (IMAGES * 3 * SIDE * SIDE)
#define BOUND 1e-4f /* of the largest value; pixels are equal to the byte, so fp32 in another order is all that differs */

/* Float32 (n, 3, R, R), by pixels as the network takes them, of the unit's mean over space: as PyTorch has it. */
static void a_bare_unit_is_its_mean_over_space(void **state)
{
    (void)state;
    static float gradient[VALUES], want[VALUES], activations[IMAGES * 512 * 4];
    static const char *const names[IMAGES] = {"astronaut.png", "rocket.jpg", "chelsea.png"};
    const int64_t shape[] = {IMAGES, 3, SIDE, SIDE};
    cn_arrays *file;
    cn_weights *golden;
    cn_error err = {0};
    if (shell("cp " GOLDEN "/*.png .; clipneuron gradient --model " RN " --objective 'visual.layer4:89' astronaut.png rocket.jpg chelsea.png --values "
              "-q -o g.npy"))
        fail_msg("%s", shell_err);
    assert_int_equal(cn_arrays_open(&file, shell_path("g.npy"), &err), CN_OK);
    const cn_tensor *t = cn_arrays_at(file, 0);
    assert_int_equal(t->dtype, CN_DTYPE_F32);
    assert_int_equal(t->ndim, 4);
    assert_memory_equal(t->shape, shape, sizeof shape);
    cn_tensor_read_f32(t, gradient);
    cn_arrays_close(file);

    assert_int_equal(cn_weights_open(&golden, GOLDEN "/rn-small.expected.safetensors", &err), CN_OK);
    cn_tensor_read_f32(cn_weights_find(golden, "grad:visual.layer4:89:mean"), want);
    cn_tensor_read_f32(cn_weights_find(golden, "act:visual.layer4"), activations); /* (3, 512, 2, 2) */
    cn_weights_close(golden);
    float most = 0, off = 0;
    for (int k = 0; k < VALUES; k++) {
        most = fmaxf(most, fabsf(want[k]));
        off = fmaxf(off, fabsf(gradient[k] - want[k]));
    }
    assert_true(most > 0);
    if (!(off <= BOUND * most))
        fail_msg("gradients are off by %g of %g", (double)off, (double)most);
    for (int i = 0; i < IMAGES; i++) {
        const float *map = activations + (i * 512 + 89) * 4;
        assert_float_equal(shell_number(names[i]), (map[0] + map[1] + map[2] + map[3]) / 4, 1e-5);
    }
}

static void write_direction(const char *name, int64_t units, float value)
{
    static float vector[512];
    cn_error err = {0};
    for (int64_t i = 0; i < units; i++)
        vector[i] = value;
    assert_int_equal(cn_npy_write(shell_path(name), CN_DTYPE_F32, 1, &units, vector, &err), CN_OK);
}

/* One line says what is wrong, and no file is left. */
static void what_cannot_be_differentiated_is_said(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"--objective 'layer4:' cat.png -o g.npy", 1, "\"layer4:\" (at 1) is no term"},
        {"--objective 'layer4:3 + ' cat.png -o g.npy", 1, "a term is wanted at 12"},
        {"--objective '(layer4:3' cat.png -o g.npy", 1, "the parenthesis at 1 is not closed"},
        {"--objective 'layer4:3 layer4:4' cat.png -o g.npy", 1, "+ or - is wanted at 10"},
        {"--objective visual.layer9:3 cat.png -o g.npy", 1, "no site \"visual.layer9\""},
        {"--objective layer4:512 cat.png -o g.npy", 1, "units 0 to 511"},
        {"--objective layer4:3@2,0 cat.png -o g.npy", 1, "@2,0 lies outside visual.layer4, which has 2 x 2 positions at 64 px"},
        {"--objective layer4:3@0,99 cat.png -o g.npy", 1, "@0,99 lies outside visual.layer4"},
        {"--objective layer4:3@-1,0 cat.png -o g.npy", 1, "\"@-1,0\" is no position of visual.layer4"},
        {"--objective layer4:short.npy cat.png -o g.npy", 1, "short.npy: has 3 values, visual.layer4 has 512 units"},
        {"--objective layer4:nan.npy cat.png -o g.npy", 1, "nan.npy: value 0 is not a finite number"},
        {"--objective layer4:cat.png cat.png -o g.npy", 1, "\"cat.png\" names no units"},
        {"--objective layer4:none.npy cat.png -o g.npy", 1, "none.npy: No such file or directory"},
        {"--model half.safetensors --objective 'text:\"a dog\"' cat.png -o g.npy", 1,
         "half.safetensors: has no text tower, so no text: or logit: can be a goal"},
        {"--model half.safetensors --objective 'logit:\"a dog\"' cat.png -o g.npy", 1, "half.safetensors: has no text tower"},
        {"--objective layer4:3 --resolution 0 cat.png -o g.npy", 2, "--resolution must be from 1 to 8192, not 0"},
        {"--objective layer4:3 --resolution 7 cat.png -o g.npy", 1, "this model takes pictures of 32 to 8192 px, not 7"},
        {"--objective layer4:3 --resolution 100000 cat.png -o g.npy", 2, "--resolution must be from 1 to 8192, not 100000"},
        {"--objective layer4:3 cat.png -o g.txt", 2, "the output must end in .npy, not 'g.txt'"},
        {"--objective layer4:3 cat.png -o none/g.npy", 1, "none/g.npy: cannot be written"},
        {"--objective layer4:3 none.png -o g.npy", 1, "none.png: No such file or directory"},
        {"--objective layer4:3 -o g.npy", 2, "name images"},
        {"--objective layer4:3 cat.png", 2, "-o FILE is missing"},
        {"cat.png -o g.npy", 2, "--objective EXPRESSION is missing"},
    };
    write_direction("short.npy", 3, 1);
    write_direction("nan.npy", 512, NAN);
    /* The names of a text tower are gone; lengths stay, so the file is one still. */
    assert_int_equal(shell("LC_ALL=C sed 's/\"t\\(oken_embedding\\|ext_projection\\|ransformer\\)/\"_\\1/g; s/\"p\\(ositional_embedding\\)/\"_\\1/; "
                           "s/\"l\\(n_final\\)/\"_\\1/g' " RN " > half.safetensors && clipneuron gradient --model half.safetensors --objective layer4:3 "
                           "cat.png -q -o half.npy"),
                     0);
    shell_refuses("clipneuron gradient -q --model " RN, cases, sizeof cases / sizeof *cases);
    assert_false(shell_exists("g.npy"));
    if (shell("[ -e /dev/full ]") == 0) {
        assert_int_equal(shell("clipneuron gradient -q --model " RN " --objective layer4:3 cat.png -o /dev/full"), 1);
        assert_string_equal(shell_err, "clipneuron: /dev/full: cannot be written: No space left on device\n");
    }
    assert_int_equal(shell("(ulimit -f 8; clipneuron gradient -q --model " RN " --objective layer4:3 photos -o g.npy)"), 1);
    assert_non_null(strstr(shell_err, "g.npy: cannot be written: File too large\n"));
    assert_false(shell_exists("g.npy"));
    assert_int_equal(shell("ls -A | grep part"), 1); /* nothing half written either */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(a_bare_unit_is_its_mean_over_space),
        IN_A_NEW_FOLDER(what_cannot_be_differentiated_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
