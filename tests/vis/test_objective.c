/* Objectives: what expressions mean, their derivatives against finite differences through whole towers, and what is
 * said about expressions that cannot be read. */
#include "clipneuron/array.h"
#include "clipneuron/objective.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../clip/models.h"

#define GOLDEN CN_TEST_DATA "/golden/"
#define IMAGES 3
/* Of a slope: between the two points ReLUs switch, and fp32 leaves few digits of their difference. A wrong term is off by
 * a factor of two or a sign; the exactness of gradients is the business of tests/nn and tests/clip. */
#define SLOPE_BOUND 0.06
#define STEP 2e-3f

static float *golden(const char *name, const char *tensor)
{
    cn_error err = {0};
    cn_weights *w;
    char path[512];
    snprintf(path, sizeof path, GOLDEN "%s.expected.safetensors", name);
    if (cn_weights_open(&w, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    const cn_tensor *t = cn_weights_find(w, tensor);
    assert_non_null(t);
    float *v = malloc((size_t)t->count * sizeof *v);
    cn_tensor_read_f32(t, v);
    cn_weights_close(w);
    return v;
}

static cn_objective *parse(const cn_model *model, const char *expression)
{
    cn_error err = {0};
    cn_objective *o;
    if (cn_objective_parse(&o, model, expression, 1, &err) != CN_OK)
        fail_msg("%s: %s", expression, err.text);
    return o;
}

/* Runs `pixels` and evaluates; gradient may be NULL. */
static void evaluate(const cn_model *model, cn_objective *o, const float *pixels, int resolution, float *values, float *gradient)
{
    cn_error err = {0};
    cn_runner_options options = {.batch = IMAGES, .threads = 2, .resolution = resolution};
    cn_runner *r;
    cn_objective_needs(o, &options);
    if (cn_runner_create(&r, model, &options, &err) != CN_OK || cn_runner_images(r, pixels, IMAGES, &err) != CN_OK ||
        cn_objective_evaluate(o, r, pixels, IMAGES, values, gradient, false, &err) != CN_OK)
        fail_msg("%s", err.text);
    cn_runner_free(r);
}

static void value_is(const cn_model *model, const char *expression, const float *pixels, const double want[IMAGES])
{
    float values[IMAGES];
    cn_objective *o = parse(model, expression);
    evaluate(model, o, pixels, 0, values, NULL);
    for (int i = 0; i < IMAGES; i++)
        if (!(fabs(values[i] - want[i]) <= 1e-5 + 1e-5 * fabs(want[i])))
            fail_msg("%s of image %d is %.8g, not %.8g", expression, i, (double)values[i], want[i]);
    cn_objective_free(o);
}

/* Every kind of term, worked out from the activations of the original code. */
static void terms_mean_what_they_say(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    float *pixels = golden("rn-small", "pixels"), *a = golden("rn-small", "act:visual.layer4");
    float *images = golden("rn-small", "image_features"), *texts = golden("rn-small", "text_features");
    const int units = 512, cells = 4, side = 2, e = cn_model_get_info(m)->embedding;
    double want[IMAGES];
#define EACH(expression, value)                 \
    do {                                        \
        for (int i = 0; i < IMAGES; i++) {      \
            const float *x = a + i * units * cells; \
            (void)x;                            \
            want[i] = (value);                  \
        }                                       \
        value_is(m, expression, pixels, want);  \
    } while (0)
#define UNIT(u) ((x[(u) * cells] + x[(u) * cells + 1] + x[(u) * cells + 2] + x[(u) * cells + 3]) / 4.0)
    EACH("layer4:89", UNIT(89));
    EACH("-layer4:89", -UNIT(89));
    EACH("  2.5 * visual.layer4:89  -  .5*layer4:3", 2.5 * UNIT(89) - 0.5 * UNIT(3));
    EACH("layer4:3,5,10-12", UNIT(3) + UNIT(5) + UNIT(10) + UNIT(11) + UNIT(12));
    EACH("-(layer4:3 + 2*layer4:5)", -UNIT(3) - 2 * UNIT(5));
    EACH("layer4:89 - 0.5*( layer4:3 - (layer4:5) )", UNIT(89) - 0.5 * UNIT(3) + 0.5 * UNIT(5));
    EACH("layer4:89@0,1", x[89 * cells + 1]);
    EACH("layer4:89@center", x[89 * cells + side + 1]);
    EACH("layer4:1,2@1,0", x[cells + side] + x[2 * cells + side]);
    double energy[IMAGES] = {0}, cosine[IMAGES] = {0};
    for (int i = 0; i < IMAGES; i++) {
        double ii = 0, tt = 0;
        for (int k = 0; k < units * cells; k++)
            energy[i] += (double)a[i * units * cells + k] * a[i * units * cells + k] / (units * cells);
        for (int k = 0; k < e; k++)
            cosine[i] += (double)images[i * e + k] * texts[e + k], ii += pow(images[i * e + k], 2), tt += pow(texts[e + k], 2);
        cosine[i] /= sqrt(ii * tt);
    }
    EACH("energy:layer4", energy[i]);
    EACH("text:\"a dog\"", cosine[i]);
    EACH("logit:\"a dog\" + layer4:89", cosine[i] * (double)cn_model_get_info(m)->logit_scale + UNIT(89));

    char path[] = "/tmp/objective-XXXXXX";
    assert_int_equal(close(mkstemp(path)), 0);
    char npy[64], expression[128];
    snprintf(npy, sizeof npy, "%s.npy", path);
    float direction[512] = {0};
    direction[3] = 2, direction[500] = -1;
    const int64_t shape[1] = {512};
    assert_int_equal(cn_npy_write(npy, CN_DTYPE_F32, 1, shape, direction, NULL), CN_OK);
    snprintf(expression, sizeof expression, "layer4:%s", npy);
    EACH(expression, 2 * UNIT(3) - UNIT(500));
    snprintf(expression, sizeof expression, "layer4:%s@1,1", npy);
    EACH(expression, 2.0 * x[3 * cells + 3] - x[500 * cells + 3]);
    snprintf(expression, sizeof expression, "layer3:%s", npy); /* 256 units */
    cn_error err = {0};
    cn_objective *o;
    assert_int_equal(cn_objective_parse(&o, m, expression, 1, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "512"));
    assert_null(o);
    unlink(npy), unlink(path);
    free(pixels), free(a), free(images), free(texts);
    cn_model_close(m);
}

static void tokens_have_a_mean_and_positions(void **state)
{
    (void)state;
    cn_model *m = open_named("vit-small");
    const char *site = "visual.transformer.resblocks.1.mlp.gelu";
    float *pixels = golden("vit-small", "pixels"), *a = golden("vit-small", "act:visual.transformer.resblocks.1.mlp.gelu");
    const int length = 17, units = 512; /* (L, N, D) in the file */
    double mean[IMAGES] = {0}, first[IMAGES], last[IMAGES];
    char text[128];
    for (int i = 0; i < IMAGES; i++) {
        for (int l = 0; l < length; l++)
            mean[i] += (double)a[(l * IMAGES + i) * units + 300] / length;
        first[i] = a[i * units + 300], last[i] = a[((length - 1) * IMAGES + i) * units + 300];
    }
    snprintf(text, sizeof text, "%s:300", site), value_is(m, text, pixels, mean);
    snprintf(text, sizeof text, "%s:300@0", site), value_is(m, text, pixels, first);
    snprintf(text, sizeof text, "%s:300@16", site), value_is(m, text, pixels, last);
    free(pixels), free(a);
    cn_model_close(m);
}

static double total(const cn_model *m, cn_objective *o, const float *pixels, int resolution)
{
    float values[IMAGES];
    double sum = 0;
    evaluate(m, o, pixels, resolution, values, NULL);
    for (int i = 0; i < IMAGES; i++)
        sum += values[i];
    return sum;
}

/* The slope of the objective along a random direction of all pixels, by central differences of the fp32 tower, against
 * the gradient. ReLUs make the slope jump, so the step is small and the bound is what fp32 leaves. */
static void slope_equals_gradient(const cn_model *m, const char *expression, const float *pictures, int resolution, float step)
{
    const int side = resolution ? resolution : cn_model_get_info(m)->resolution;
    const int64_t count = (int64_t)IMAGES * 3 * side * side;
    float *pixels = malloc((size_t)count * sizeof *pixels), *moved = malloc((size_t)count * sizeof *moved);
    float *gradient = malloc((size_t)count * sizeof *gradient), *direction = malloc((size_t)count * sizeof *direction);
    float values[IMAGES];
    cn_objective *o = parse(m, expression);
    uint32_t seed = 1;
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        pixels[i] = pictures ? pictures[i] : (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    evaluate(m, o, pixels, resolution, values, gradient);
    double predicted = 0, square = 0;
    for (int64_t i = 0; i < count; i++) { /* uphill, so that the slope is large; with noise, so that it is no special case */
        seed = seed * 1664525u + 1013904223u;
        square += (double)gradient[i] * gradient[i];
        direction[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    const double norm = sqrt(square / (double)count);
    for (int64_t i = 0; i < count; i++) {
        direction[i] = (float)(gradient[i] / norm + direction[i]);
        predicted += (double)direction[i] * gradient[i];
    }
    for (int64_t i = 0; i < count; i++)
        moved[i] = pixels[i] + step * direction[i];
    const double above = total(m, o, moved, resolution);
    for (int64_t i = 0; i < count; i++)
        moved[i] = pixels[i] - step * direction[i];
    const double slope = (above - total(m, o, moved, resolution)) / (2.0 * (double)step);
    if (!(norm > 0) || !(fabs(slope - predicted) <= SLOPE_BOUND * fabs(predicted)))
        fail_msg("%s at %d px: slope %.6g, gradient says %.6g", expression, side, slope, predicted);
    free(pixels), free(moved), free(gradient), free(direction);
    cn_objective_free(o);
}

/* The Gram matrices of a random network are nearly the same for all pictures, so their cosines need a larger step to differ
 * by more than fp32's last digits. */
static float step_of(const char *expression)
{
    return strncmp(expression, "diversity:", 10) == 0 ? 1e-2f : STEP;
}

static void gradients_are_slopes(void **state)
{
    (void)state;
    static const char *const resnet[] = {
        "layer4:89", "layer4.add:3,5", "layer3.add:7@center", "energy:layer3", "text:\"a dog\" - text:\"a cat\"", "diversity:layer2.add",
        "diversity:layer3", "l1", "l2", "tv", "layer4:89 + 3*energy:layer2 - 10*l2 - tv + 0.1*logit:\"a cat\""};
    static const char *const vit[] = {"visual.transformer.resblocks.1.mlp.gelu:300", "visual.transformer.resblocks.2:5@0",
                                      "energy:visual.transformer.resblocks.0", "diversity:visual.transformer.resblocks.1",
                                      "text:\"a dog\" + visual.ln_post:3"};
    cn_model *m = open_named("rn-small");
    float *pictures = golden("rn-small", "pixels");
    for (size_t i = 0; i < sizeof resnet / sizeof resnet[0]; i++)
        slope_equals_gradient(m, resnet[i], pictures, 0, step_of(resnet[i]));
    slope_equals_gradient(m, "layer4:89", NULL, 96, STEP);
    slope_equals_gradient(m, "text:\"a dog\"", NULL, 80, STEP);
    cn_model_close(m);
    m = open_named("vit-small");
    for (size_t i = 0; i < sizeof vit / sizeof vit[0]; i++)
        slope_equals_gradient(m, vit[i], pictures, 0, step_of(vit[i]));
    slope_equals_gradient(m, "text:\"a dog\"", NULL, 80, STEP);
    free(pictures);
    cn_model_close(m);
}

static void refused(const cn_model *m, const char *expression, cn_status want, const char *said)
{
    cn_error err = {0};
    cn_objective *o;
    const cn_status st = cn_objective_parse(&o, m, expression, 1, &err);
    assert_null(o);
    if (st != want || !strstr(err.text, said) || strchr(err.text, '\n'))
        fail_msg("\"%s\": status %d, \"%s\"; wanted %d and \"%s\"", expression, (int)st, err.text, (int)want, said);
}

static void what_cannot_be_read_is_said(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    refused(m, "", CN_EINVAL, "at 1");
    refused(m, "layer4", CN_EINVAL, "SITE:UNIT");
    refused(m, "layer4:", CN_EINVAL, "SITE:UNIT");
    refused(m, "layer4:512", CN_EINVAL, "units 0 to 511");
    refused(m, "layer4:5-3", CN_EINVAL, "range");
    refused(m, "layer4:3-l2", CN_EINVAL, "white space");
    refused(m, "layer4:99999999999999999999", CN_EINVAL, "no units");
    refused(m, "layer9:3", CN_ENOTFOUND, "layer4");
    refused(m, "layer4:3 layer4:4", CN_EINVAL, "+ or -");
    refused(m, "(layer4:3 + l2", CN_EINVAL, "parenthesis at 1 is not closed");
    refused(m, "l2 + ()", CN_EINVAL, "a term is wanted at 7");
    refused(m, "l2)", CN_EINVAL, "SITE:UNIT");
    refused(m, "((((((((((((((((((l2))))))))))))))))))", CN_ELIMIT, "16 deep");
    refused(m, "layer4:\"/nowhere/with space.npy\"@0,0", CN_ENOTFOUND, "/nowhere/with space.npy");
    refused(m, "layer4:3 +", CN_EINVAL, "a term is wanted at 11");
    refused(m, "0.5 layer4:3", CN_EINVAL, "followed by *");
    refused(m, "1e99*layer4:3", CN_EINVAL, "1e6");
    refused(m, "layer4:3@9", CN_EINVAL, "@ROW,COLUMN");
    refused(m, "layer4:3@middle", CN_EINVAL, "@center");
    refused(m, "visual:3@0,0", CN_EINVAL, "only one");
    refused(m, "transformer:3", CN_EINVAL, "text tower");
    refused(m, "text:dog", CN_EINVAL, "quotes");
    refused(m, "text:\"dog", CN_EINVAL, "no closing quote");
    refused(m, "text:\"\"", CN_EINVAL, "empty");
    refused(m, "energy:nowhere", CN_ENOTFOUND, "nearest");
    refused(m, "layer4:/nowhere/d.npy", CN_ENOTFOUND, "/nowhere/d.npy");
    char *many = malloc(20000);
    many[0] = 0;
    for (int i = 0; i < 65; i++)
        strcat(many, i ? " + l2" : "l2");
    refused(m, many, CN_ELIMIT, "64 terms");
    memset(many, 'x', 5000), many[5000] = 0;
    refused(m, many, CN_ELIMIT, "4095");
    free(many);

    cn_error err = {0};
    cn_objective *o = parse(m, "layer4:3@2,0"); /* the map is 2 x 2 */
    cn_runner_options options = {.batch = IMAGES, .threads = 1};
    cn_runner *r;
    float *pixels = golden("rn-small", "pixels"), values[IMAGES];
    cn_objective_needs(o, &options);
    assert_int_equal(cn_runner_create(&r, m, &options, &err), CN_OK);
    assert_int_equal(cn_runner_images(r, pixels, IMAGES, &err), CN_OK);
    assert_int_equal(cn_objective_evaluate(o, r, pixels, IMAGES, values, NULL, false, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "2 x 2 positions at 64 px"));
    cn_runner_free(r);
    cn_objective_free(o);
    free(pixels);
    cn_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_mean_what_they_say),
        cmocka_unit_test(tokens_have_a_mean_and_positions),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(what_cannot_be_read_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
