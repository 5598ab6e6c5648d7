/* What the original code computes, against what this library computes: every golden tensor, in every
 * format of the checkpoints, with both backends, and from picture files and texts on. */
#include "clipneuron/image.h"
#include "clipneuron/model.h"
#include "clipneuron/tokenizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "models.h"

#define GOLDEN CN_TEST_DATA "/golden/"
#define IMAGES 3
#define TEXTS 7
#define MAX_SITES 512

/* The bounds that the project promises. */
#define FP32_BOUND 1e-4   /* of the largest reference magnitude of a tensor */
#define STABLE_BOUND 1e-5 /* the same, whatever the batch and the threads */
#define BF16_COSINE 0.999

static const char *const resnet_files[] = {"rn-small.safetensors", "rn-small.state_dict.pt", "rn-small.jit.pt",
                                           "rn-small.openclip_epoch.pt"};
static const char *const vit_files[] = {"vit-small.safetensors", "vit-small.hf"};

/* ---- expected values ---- */

static cn_weights *expected_of(const char *name)
{
    cn_error err = {0};
    cn_weights *w;
    char path[512];
    snprintf(path, sizeof path, GOLDEN "%s.expected.safetensors", name);
    if (cn_weights_open(&w, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    return w;
}

static int32_t *read_tokens(const cn_weights *w)
{
    float *v = read_tensor(w, "tokens"); /* ids are exact in float32 */
    int32_t *ids = malloc(TEXTS * CN_CONTEXT_LENGTH * sizeof *ids);
    assert_non_null(ids);
    for (int i = 0; i < TEXTS * CN_CONTEXT_LENGTH; i++)
        ids[i] = (int32_t)v[i];
    free(v);
    return ids;
}

static cn_model *open_file(const char *file)
{
    char path[512];
    snprintf(path, sizeof path, GOLDEN "%s", file);
    return open_model(path);
}

/* ---- runs ---- */

/* Values of n inputs at the sites, and the embedding behind the last of them. */
typedef struct values {
    const cn_site *site[MAX_SITES];
    size_t n_sites;
    int64_t size[MAX_SITES + 1]; /* of one input */
    float *at[MAX_SITES + 1];
} values;

static void free_values(values *v)
{
    for (size_t i = 0; i <= v->n_sites; i++)
        free(v->at[i]);
}

typedef struct how {
    cn_backend backend;
    cn_precision precision;
    int64_t batch;
    int threads;
} how;

/* v->site and v->n_sites are set by the caller; input: float pixels or int32_t tokens of n inputs. */
static void run_tower(const cn_model *model, cn_tower tower, const how *h, const void *input, int64_t n, values *v)
{
    cn_error err = {0};
    cn_runner *r;
    const cn_model_info *info = cn_model_get_info(model);
    const cn_runner_options options = {.tower = tower, .sites = v->site, .n_sites = v->n_sites, .embedding = true,
                                       .batch = h->batch, .threads = h->threads, .precision = h->precision,
                                       .backend = h->backend};
    if (cn_runner_create(&r, model, &options, &err) != CN_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i <= v->n_sites; i++) {
        v->size[i] = i < v->n_sites ? v->site[i]->units * v->site[i]->positions : info->embedding;
        v->at[i] = malloc((size_t)(n * v->size[i]) * sizeof(float));
        assert_non_null(v->at[i]);
    }
    for (int64_t begin = 0; begin < n; begin += h->batch) {
        int64_t count = n - begin < h->batch ? n - begin : h->batch;
        cn_status st = tower == CN_TOWER_IMAGE
                           ? cn_runner_images(r, (const float *)input + begin * 3 * info->resolution * info->resolution,
                                              count, &err)
                           : cn_runner_texts(r, (const int32_t *)input + begin * info->context_length, count, &err);
        if (st != CN_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i <= v->n_sites; i++) {
            const float *from = i < v->n_sites ? cn_runner_site(r, i) : cn_runner_embedding(r);
            memcpy(v->at[i] + begin * v->size[i], from, (size_t)(count * v->size[i]) * sizeof(float));
        }
    }
    cn_runner_free(r);
}

/* ---- comparison ---- */

static void close_to(const float *x, const float *reference, int64_t n, double bound, const char *file, const char *what)
{
    double w = worst(x, reference, n);
    if (!(w <= bound))
        fail_msg("%s: %s differs by %.3g of its largest value, allowed are %g", file, what, w, bound);
}

/* The site that "act:NAME" means; its reference values as (N, ...), also where the original has (L, N, D). */
static float *reference_at(const cn_weights *expected, const char *name, const cn_site *site)
{
    const cn_tensor *t = cn_weights_find(expected, name);
    float *v = read_tensor(expected, name);
    assert_int_equal(t->count, IMAGES * site->units * site->positions);
    if (site->layout != CN_SITE_TOKENS || t->shape[0] == IMAGES)
        return v;
    assert_int_equal(t->shape[0], site->positions);
    float *turned = malloc((size_t)t->count * sizeof *turned);
    assert_non_null(turned);
    for (int64_t l = 0; l < site->positions; l++)
        for (int64_t n = 0; n < IMAGES; n++)
            memcpy(turned + (n * site->positions + l) * site->units, v + (l * IMAGES + n) * site->units,
                   (size_t)site->units * sizeof *v);
    free(v);
    return turned;
}

/* All act:... tensors; names[i] is that of v->site[i]. */
static void golden_sites(const cn_model *model, const cn_weights *expected, values *v, const char **names)
{
    memset(v, 0, sizeof *v);
    for (size_t i = 0; i < cn_weights_count(expected); i++) {
        cn_error err = {0};
        const char *name = cn_weights_at(expected, i)->name;
        if (strncmp(name, "act:", 4) != 0)
            continue;
        names[v->n_sites] = name;
        if (cn_model_find_site(model, name + 4, &v->site[v->n_sites], &err) != CN_OK)
            fail_msg("%s", err.text);
        v->n_sites++;
    }
    assert_true(v->n_sites >= 4);
}

static void logits_of(const float *images, const float *texts, int64_t embedding, float scale, float *logits, float *probs)
{
    for (int i = 0; i < IMAGES; i++) {
        double sum = 0, most = -INFINITY;
        for (int t = 0; t < TEXTS; t++) {
            logits[i * TEXTS + t] = (float)(scale * cosine(images + i * embedding, texts + t * embedding, embedding));
            most = fmax(most, logits[i * TEXTS + t]);
        }
        for (int t = 0; t < TEXTS; t++)
            sum += exp(logits[i * TEXTS + t] - most);
        for (int t = 0; t < TEXTS; t++)
            probs[i * TEXTS + t] = (float)(exp(logits[i * TEXTS + t] - most) / sum);
    }
}

/* Every golden activation, embedding, logit and probability of one checkpoint. */
static void golden_holds(const char *file, const char *expected_name, const how *h)
{
    cn_weights *expected = expected_of(expected_name);
    cn_model *model = open_file(file);
    const cn_model_info *info = cn_model_get_info(model);
    const bool bf16 = h->precision == CN_PRECISION_BF16;
    float *pixels = read_tensor(expected, "pixels");
    int32_t *tokens = read_tokens(expected);
    const char *names[MAX_SITES + 1];
    static values image, text;
    golden_sites(model, expected, &image, names);
    memset(&text, 0, sizeof text);
    run_tower(model, CN_TOWER_IMAGE, h, pixels, IMAGES, &image);
    run_tower(model, CN_TOWER_TEXT, h, tokens, TEXTS, &text);

    for (size_t i = 0; i <= image.n_sites + 1; i++) {
        const bool is_text = i == image.n_sites + 1;
        const char *name = i < image.n_sites ? names[i] : is_text ? "text_features" : "image_features";
        float *reference = i < image.n_sites ? reference_at(expected, name, image.site[i]) : read_tensor(expected, name);
        const float *x = is_text ? text.at[0] : image.at[i];
        const int64_t n = is_text ? TEXTS : IMAGES, size = is_text ? text.size[0] : image.size[i];
        if (!bf16)
            close_to(x, reference, n * size, FP32_BOUND, file, name);
        for (int64_t k = 0; bf16 && k < n; k++) {
            double c = cosine(x + k * size, reference + k * size, size);
            if (!(c >= BF16_COSINE))
                fail_msg("%s: %s of input %d has cosine %.6f in bf16", file, name, (int)k, c);
        }
        free(reference);
    }
    if (!bf16) {
        float logits[IMAGES * TEXTS], probs[IMAGES * TEXTS];
        float *want_logits = read_tensor(expected, "logits_per_image"), *want_probs = read_tensor(expected, "probs");
        logits_of(image.at[image.n_sites], text.at[0], info->embedding, info->logit_scale, logits, probs);
        close_to(logits, want_logits, IMAGES * TEXTS, FP32_BOUND, file, "logits_per_image");
        for (int i = 0; i < IMAGES * TEXTS; i++)
            assert_true(fabsf(probs[i] - want_probs[i]) <= 1e-4f);
        free(want_logits), free(want_probs);
    }
    free_values(&image), free_values(&text);
    free(pixels), free(tokens);
    cn_model_close(model);
    cn_weights_close(expected);
}

static void golden_holds_for_all_formats(const how *h)
{
    for (size_t i = 0; i < sizeof resnet_files / sizeof resnet_files[0]; i++)
        golden_holds(resnet_files[i], "rn-small", h);
    for (size_t i = 0; i < sizeof vit_files / sizeof vit_files[0]; i++)
        golden_holds(vit_files[i], "vit-small", h);
}

static void the_reference_backend_computes_what_the_original_does(void **state)
{
    (void)state;
    golden_holds_for_all_formats(&(how){CN_BACKEND_REFERENCE, CN_PRECISION_F32, 3, 1});
}

static void the_fast_backend_computes_what_the_original_does(void **state)
{
    (void)state;
    golden_holds_for_all_formats(&(how){CN_BACKEND_ONEDNN, CN_PRECISION_F32, 3, 2});
}

static void bf16_keeps_the_direction_of_activations_and_embeddings(void **state)
{
    (void)state;
    if (!cn_cpu_has_bf16())
        skip();
    golden_holds("rn-small.safetensors", "rn-small", &(how){CN_BACKEND_ONEDNN, CN_PRECISION_BF16, 3, 2});
    golden_holds("vit-small.safetensors", "vit-small", &(how){CN_BACKEND_ONEDNN, CN_PRECISION_BF16, 2, 1});
}

/* ---- the same numbers however they are computed ---- */

static void batch_and_threads_change_nothing(void **state)
{
    static const how hows[] = {{CN_BACKEND_ONEDNN, CN_PRECISION_F32, 1, 1}, {CN_BACKEND_ONEDNN, CN_PRECISION_F32, 1, 2},
                               {CN_BACKEND_ONEDNN, CN_PRECISION_F32, 2, 1}, {CN_BACKEND_ONEDNN, CN_PRECISION_F32, 2, 2},
                               {CN_BACKEND_ONEDNN, CN_PRECISION_F32, 3, 2}, {CN_BACKEND_REFERENCE, CN_PRECISION_F32, 2, 2}};
    static const how first = {CN_BACKEND_ONEDNN, CN_PRECISION_F32, 3, 1};
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "vit-small" : "rn-small", *file = k ? vit_files[0] : resnet_files[0];
        static values a, b, ta, tb;
        const char *names[MAX_SITES];
        cn_weights *expected = expected_of(name);
        cn_model *model = open_file(file);
        float *pixels = read_tensor(expected, "pixels");
        int32_t *tokens = read_tokens(expected);
        golden_sites(model, expected, &a, names);
        b = a;
        memset(&ta, 0, sizeof ta);
        run_tower(model, CN_TOWER_IMAGE, &first, pixels, IMAGES, &a);
        run_tower(model, CN_TOWER_TEXT, &first, tokens, TEXTS, &ta);
        for (size_t h = 0; h < sizeof hows / sizeof hows[0]; h++) {
            run_tower(model, CN_TOWER_IMAGE, &hows[h], pixels, IMAGES, &b);
            for (size_t i = 0; i <= a.n_sites; i++)
                close_to(b.at[i], a.at[i], IMAGES * a.size[i], STABLE_BOUND, file, i < a.n_sites ? names[i] : "embedding");
            free_values(&b);
            memset(&tb, 0, sizeof tb);
            run_tower(model, CN_TOWER_TEXT, &hows[h], tokens, TEXTS, &tb);
            close_to(tb.at[0], ta.at[0], TEXTS * ta.size[0], STABLE_BOUND, file, "text embedding");
            free_values(&tb);
        }
        free_values(&a), free_values(&ta);
        free(pixels), free(tokens);
        cn_model_close(model);
        cn_weights_close(expected);
    }
}

/* Which sites are read decides what is fused and what is cut off; it must not decide the numbers. */
static void a_site_has_the_same_values_alone_and_among_all(void **state)
{
    static const how fast = {CN_BACKEND_ONEDNN, CN_PRECISION_F32, 2, 1}, plain = {CN_BACKEND_REFERENCE, CN_PRECISION_F32, 2, 1};
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "vit-small" : "rn-small", *file = k ? vit_files[0] : resnet_files[0];
        cn_weights *expected = expected_of(name);
        cn_model *model = open_file(file);
        float *pixels = read_tensor(expected, "pixels");
        int32_t *tokens = read_tokens(expected);
        for (int tower = 0; tower < 2; tower++) {
            static values all, reference, one;
            const void *input = tower == CN_TOWER_IMAGE ? (const void *)pixels : (const void *)tokens;
            memset(&all, 0, sizeof all);
            for (size_t i = 0; i < cn_model_site_count(model); i++)
                if ((int)cn_model_site_at(model, i)->tower == tower)
                    all.site[all.n_sites++] = cn_model_site_at(model, i);
            assert_true(all.n_sites > 10 && all.n_sites < MAX_SITES);
            reference = all;
            run_tower(model, (cn_tower)tower, &fast, input, 2, &all);
            run_tower(model, (cn_tower)tower, &plain, input, 2, &reference);
            for (size_t i = 0; i <= all.n_sites; i++)
                close_to(all.at[i], reference.at[i], 2 * all.size[i], FP32_BOUND, file,
                         i < all.n_sites ? all.site[i]->name : "embedding");
            for (size_t i = 0; i < all.n_sites; i++) {
                memset(&one, 0, sizeof one);
                one.site[0] = all.site[i];
                one.n_sites = 1;
                run_tower(model, (cn_tower)tower, &fast, input, 2, &one);
                close_to(one.at[0], all.at[i], 2 * all.size[i], STABLE_BOUND, file, all.site[i]->name);
                close_to(one.at[1], all.at[all.n_sites], 2 * all.size[all.n_sites], STABLE_BOUND, file, "embedding");
                free_values(&one);
            }
            free_values(&all), free_values(&reference);
        }
        free(pixels), free(tokens);
        cn_model_close(model);
        cn_weights_close(expected);
    }
}

static void stages_and_blocks_are_the_same_as_what_they_stand_for(void **state)
{
    static const char *const same[][2] = {{"visual.layer2", "visual.layer2.1"}, {"visual.layer2.1", "visual.layer2.1.relu3"},
                                          {"visual.attnpool", "visual"},
                                          {"visual.layer2.0.downsample", "visual.layer2.0.downsample.1"}};
    (void)state;
    cn_weights *expected = expected_of("rn-small");
    cn_model *model = open_file(resnet_files[0]);
    float *pixels = read_tensor(expected, "pixels");
    static values v;
    memset(&v, 0, sizeof v);
    for (size_t i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++)
            assert_int_equal(cn_model_find_site(model, same[i][k], &v.site[v.n_sites++], NULL), CN_OK);
    const cn_site *sum, *relu;
    assert_int_equal(cn_model_find_site(model, "layer4.add", &sum, NULL), CN_OK);
    assert_int_equal(cn_model_find_site(model, "layer4", &relu, NULL), CN_OK);
    assert_ptr_equal(cn_model_default_site(model), sum);
    v.site[v.n_sites++] = sum, v.site[v.n_sites++] = relu;
    run_tower(model, CN_TOWER_IMAGE, &(how){CN_BACKEND_ONEDNN, CN_PRECISION_F32, 3, 1}, pixels, IMAGES, &v);
    for (size_t i = 0; i < 8; i += 2)
        assert_memory_equal(v.at[i], v.at[i + 1], (size_t)(IMAGES * v.size[i]) * sizeof(float));
    int negative = 0;
    for (int64_t i = 0; i < IMAGES * v.size[8]; i++) {
        float x = v.at[8][i];
        negative += x < 0;
        assert_true(v.at[9][i] == (x > 0 ? x : 0));
    }
    assert_true(negative > 0);
    free_values(&v);
    free(pixels);
    cn_model_close(model);
    cn_weights_close(expected);
}

/* ---- from files and texts on ---- */

static void pictures_become_the_pixels_of_the_original(void **state)
{
    static const char *const pictures[] = {"astronaut.png", "rocket.jpg", "chelsea.png"};
    (void)state;
    cn_weights *expected = expected_of("rn-small");
    float *want = read_tensor(expected, "pixels_u8"), *want_normal = read_tensor(expected, "pixels");
    const size_t size = 64 * 64 * 3;
    uint8_t *rgb = malloc(size);
    float *normal = malloc(size * sizeof *normal);
    assert_true(rgb && normal);
    for (size_t i = 0; i < IMAGES; i++) {
        cn_error err = {0};
        cn_image *picture;
        char path[512];
        snprintf(path, sizeof path, GOLDEN "%s", pictures[i]);
        if (cn_image_load(&picture, path, NULL, &err) != CN_OK || cn_image_preprocess(picture, 64, rgb, &err) != CN_OK)
            fail_msg("%s", err.text);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(rgb[k], (int)want[i * size + k]);
        cn_pixels_normalise(rgb, 1, 64, NULL, NULL, normal);
        for (size_t k = 0; k < size; k++)
            assert_true(fabsf(normal[k] - want_normal[i * size + k]) <= 1e-6f);
        cn_image_free(picture);
    }
    free(rgb), free(normal), free(want), free(want_normal);
    cn_weights_close(expected);
}

static void texts_become_the_tokens_of_the_original(void **state)
{
    static const char *const texts[TEXTS] = {
        "a diagram", "a dog", "a cat", "Hello World!", "a photo of the number 7, drawn by hand",
        "it's spider-man's web &amp; more", "surprised  \n celebration"};
    (void)state;
    cn_error err = {0};
    cn_tokenizer *tok;
    cn_weights *expected = expected_of("vit-small");
    int32_t *want = read_tokens(expected), row[CN_CONTEXT_LENGTH];
    if (cn_tokenizer_create(&tok, &err) != CN_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < TEXTS; i++) {
        assert_int_equal(cn_tokenizer_row(tok, texts[i], CN_CONTEXT_LENGTH, false, row, NULL, &err), CN_OK);
        assert_memory_equal(row, want + i * CN_CONTEXT_LENGTH, sizeof row);
    }
    cn_tokenizer_free(tok);
    free(want);
    cn_weights_close(expected);
}

/* Computing only as many tokens as the longest text has is exact. */
static void a_shorter_text_length_gives_the_same_embedding(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_weights *expected = expected_of("rn-small");
    cn_model *model = open_file(resnet_files[0]);
    int32_t *tokens = read_tokens(expected);
    float *want = read_tensor(expected, "text_features");
    int64_t used = 0;
    for (int i = 0; i < TEXTS * CN_CONTEXT_LENGTH; i++)
        if (tokens[i] != 0 && i % CN_CONTEXT_LENGTH >= used)
            used = i % CN_CONTEXT_LENGTH + 1;
    assert_true(used > 4 && used < 30);
    for (int backend = 0; backend < 2; backend++) {
        cn_runner *r;
        const cn_runner_options options = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = TEXTS, .text_length = used,
                                           .threads = 1, .backend = (cn_backend)backend};
        if (cn_runner_create(&r, model, &options, &err) != CN_OK || cn_runner_texts(r, tokens, TEXTS, &err) != CN_OK)
            fail_msg("%s", err.text);
        close_to(cn_runner_embedding(r), want, TEXTS * 64, FP32_BOUND, resnet_files[0], "text_features");
        cn_runner_free(r);
        const cn_runner_options short_by_one = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = TEXTS,
                                                .text_length = used - 1, .threads = 1, .backend = (cn_backend)backend};
        assert_int_equal(cn_runner_create(&r, model, &short_by_one, &err), CN_OK);
        assert_int_equal(cn_runner_texts(r, tokens, TEXTS, NULL), CN_EINVAL);
        cn_runner_free(r);
    }
    free(tokens), free(want);
    cn_model_close(model);
    cn_weights_close(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_backend_computes_what_the_original_does),
        cmocka_unit_test(the_fast_backend_computes_what_the_original_does),
        cmocka_unit_test(bf16_keeps_the_direction_of_activations_and_embeddings),
        cmocka_unit_test(batch_and_threads_change_nothing),
        cmocka_unit_test(a_site_has_the_same_values_alone_and_among_all),
        cmocka_unit_test(stages_and_blocks_are_the_same_as_what_they_stand_for),
        cmocka_unit_test(pictures_become_the_pixels_of_the_original),
        cmocka_unit_test(texts_become_the_tokens_of_the_original),
        cmocka_unit_test(a_shorter_text_length_gives_the_same_embedding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
