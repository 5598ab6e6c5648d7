/* Names of sites as people write them, against the sites of a ResNet and of a ViT. */
#include "clip/sitenames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_NAMES 1024

typedef struct sites {
    char text[MAX_NAMES][72];
    const char *names[MAX_NAMES];
    size_t n;
} sites;

static sites resnet, vit;

CN_PRINTF(2, 3) static void add(sites *s, const char *fmt, ...)
{
    va_list args;
    assert_true(s->n < MAX_NAMES);
    va_start(args, fmt);
    vsnprintf(s->text[s->n], sizeof s->text[0], fmt, args);
    va_end(args);
    s->names[s->n] = s->text[s->n];
    s->n++;
}

static void add_transformer(sites *s, const char *prefix, int layers)
{
    static const char *const parts[] = {"ln_1", "attn", "ln_2", "mlp.c_fc", "mlp.gelu", "mlp.c_proj", "mlp"};
    for (int i = 0; i < layers; i++) {
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
            add(s, "%sresblocks.%d.%s", prefix, i, parts[k]);
        add(s, "%sresblocks.%d", prefix, i);
    }
    add(s, "%.*s", (int)strlen(prefix) - 1, prefix);
}

static void add_text(sites *s)
{
    add(s, "token_embedding");
    add_transformer(s, "transformer.", 12);
    add(s, "ln_final");
}

/* The sites of RN50x4 and of ViT-B/32. */
static int make_sites(void **state)
{
    static const int blocks[] = {4, 6, 10, 6};
    static const char *const parts[] = {"conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "avgpool", "conv3", "bn3"};
    (void)state;
    for (int i = 1; i <= 3; i++) {
        add(&resnet, "visual.conv%d", i);
        add(&resnet, "visual.bn%d", i);
        add(&resnet, "visual.relu%d", i);
    }
    add(&resnet, "visual.avgpool");
    for (int s = 0; s < 4; s++) {
        for (int b = 0; b < blocks[s]; b++) {
            for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
                add(&resnet, "visual.layer%d.%d.%s", s + 1, b, parts[k]);
            if (b == 0) {
                add(&resnet, "visual.layer%d.%d.downsample.-1", s + 1, b);
                add(&resnet, "visual.layer%d.%d.downsample.0", s + 1, b);
                add(&resnet, "visual.layer%d.%d.downsample.1", s + 1, b);
                add(&resnet, "visual.layer%d.%d.downsample", s + 1, b);
            }
            add(&resnet, "visual.layer%d.%d.add", s + 1, b);
            add(&resnet, "visual.layer%d.%d.relu3", s + 1, b);
            add(&resnet, "visual.layer%d.%d", s + 1, b);
        }
        add(&resnet, "visual.layer%d", s + 1);
    }
    add(&resnet, "visual.attnpool");
    add(&resnet, "visual");
    add_text(&resnet);

    add(&vit, "visual.conv1");
    add(&vit, "visual.ln_pre");
    add_transformer(&vit, "visual.transformer.", 12);
    add(&vit, "visual.ln_post");
    add(&vit, "visual");
    add_text(&vit);
    return 0;
}

static void means(const sites *s, const char *wanted, const char *site)
{
    cn_error err = {0};
    size_t index = (size_t)-1;
    if (clip_site_lookup(s->names, s->n, NULL, wanted, &index, &err) != CN_OK)
        fail_msg("%s: %s", wanted, err.text);
    if (strcmp(s->names[index], site) != 0)
        fail_msg("%s: found %s, expected %s", wanted, s->names[index], site);
}

static void means_nothing(const sites *s, const char *wanted)
{
    cn_error err = {0};
    size_t index = 7;
    assert_int_equal(clip_site_lookup(s->names, s->n, NULL, wanted, &index, &err), CN_ENOTFOUND);
    assert_int_equal(index, 7);
    assert_int_equal(err.status, CN_ENOTFOUND);
    assert_null(strchr(err.text, '\n'));
}

static void every_canonical_name_is_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < resnet.n; i++)
        means(&resnet, resnet.names[i], resnet.names[i]);
    for (size_t i = 0; i < vit.n; i++)
        means(&vit, vit.names[i], vit.names[i]);
}

static void every_name_may_be_written_as_lucent_users_do(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const sites *s = k ? &vit : &resnet;
        for (size_t i = 0; i < s->n; i++) {
            char name[72];
            size_t n = strlen(s->names[i]);
            for (size_t j = 0; j <= n; j++)
                name[j] = s->names[i][j] == '.' ? '_' : s->names[i][j];
            means(s, name, s->names[i]);
            if (!strncmp(name, "visual_l", 8))
                means(s, name + 7, s->names[i]);
        }
    }
    means(&resnet, "layer4_5_relu3", "visual.layer4.5.relu3");
    means(&resnet, "visual_layer4_5_relu3", "visual.layer4.5.relu3");
    means(&vit, "visual_transformer_resblocks_9_mlp_gelu", "visual.transformer.resblocks.9.mlp.gelu");
    means(&vit, "visual_transformer_resblocks_9_mlp_c_fc", "visual.transformer.resblocks.9.mlp.c_fc");
}

static void the_visual_prefix_may_be_left_out_or_named_otherwise(void **state)
{
    (void)state;
    means(&resnet, "layer4", "visual.layer4");
    means(&resnet, "layer4.5", "visual.layer4.5");
    means(&resnet, "layer3.0.downsample.0", "visual.layer3.0.downsample.0");
    means(&resnet, "attnpool", "visual.attnpool");
    means(&resnet, "image.layer4.5", "visual.layer4.5");
    means(&resnet, "vision.relu3", "visual.relu3");
    means(&resnet, "image", "visual");
    means(&resnet, "Layer4.5.ReLU3", "visual.layer4.5.relu3");
    means(&vit, "image.transformer.resblocks.3", "visual.transformer.resblocks.3");
    means(&vit, "resblocks.3.mlp", "visual.transformer.resblocks.3.mlp");
    means(&vit, "transformer.resblocks.3", "transformer.resblocks.3"); /* the text tower's own name */
    means(&vit, "text.transformer.resblocks.3", "transformer.resblocks.3");
    means(&vit, "text.ln_final", "ln_final");
    means(&resnet, "resblocks.3.mlp", "transformer.resblocks.3.mlp"); /* only the text tower has it */
}

static void blocks_count_from_the_end_and_stages_stand_for_their_last_block(void **state)
{
    (void)state;
    means(&resnet, "layer4.-1", "visual.layer4.5");
    means(&resnet, "layer4.-6", "visual.layer4.0");
    means(&resnet, "visual.layer3.-1.relu2", "visual.layer3.9.relu2");
    means(&resnet, "layer1_-2_add", "visual.layer1.2.add");
    means(&resnet, "layer4.add", "visual.layer4.5.add");
    means(&resnet, "layer4.relu3", "visual.layer4.5.relu3");
    means(&vit, "resblocks.-1.mlp.gelu", "visual.transformer.resblocks.11.mlp.gelu");
    means(&vit, "transformer.resblocks.-2", "transformer.resblocks.10");
    means(&resnet, "layer4.0.downsample.-1", "visual.layer4.0.downsample.-1"); /* a name of its own */
    means_nothing(&resnet, "layer4.-7");
    means_nothing(&resnet, "layer4.6");
    means_nothing(&resnet, "layer4.99999999999999999999");
    means_nothing(&resnet, "layer4.");
    means_nothing(&resnet, "layer5.-1");
}

static void pre_means_what_goes_into_the_activation(void **state)
{
    (void)state;
    means(&resnet, "pre:visual.layer4.5.relu3", "visual.layer4.5.add");
    means(&resnet, "pre:layer4_5_relu3", "visual.layer4.5.add");
    means(&resnet, "pre:layer4.5", "visual.layer4.5.add");
    means(&resnet, "pre:layer4", "visual.layer4.5.add");
    means(&resnet, "pre:layer4.-2", "visual.layer4.4.add");
    means(&resnet, "pre:layer2.1.relu2", "visual.layer2.1.bn2");
    means(&resnet, "pre:visual.relu3", "visual.bn3");
    means(&vit, "pre:resblocks.9.mlp.gelu", "visual.transformer.resblocks.9.mlp.c_fc");
    means(&resnet, "pre:transformer.resblocks.9.mlp.gelu", "transformer.resblocks.9.mlp.c_fc");
    means_nothing(&resnet, "pre:visual");
    means_nothing(&resnet, "pre:layer4.5.bn3");
    means_nothing(&resnet, "pre:pre:layer4");
    means_nothing(&resnet, "pre:");
    means_nothing(&vit, "pre:ln_final");
}

static void the_paper_names_are_understood(void **state)
{
    (void)state;
    means(&resnet, "image_block_4/5/Add_6", "visual.layer4.5.add");
    means(&resnet, "image_block_4/5/Add_6:0", "visual.layer4.5.add");
    means(&resnet, "image_block_3/0/Add_8", "visual.layer3.0.add");
    means(&resnet, "image_block_4/5/Relu_2", "visual.layer4.5.relu3");
    means(&resnet, "image_block_4/5/Relu_1", "visual.layer4.5.relu2");
    means(&resnet, "image_block_4/5/Relu", "visual.layer4.5.relu1");
    means(&resnet, "image_block_4/5", "visual.layer4.5");
    means_nothing(&resnet, "image_block_4/5/Add_3"); /* inside a batch norm */
    means_nothing(&resnet, "image_block_4/5/Add_8");
    means_nothing(&resnet, "image_block_4/6/Add_6");
    means_nothing(&resnet, "image_block_5/0/Add_6");
}

static void hugging_face_and_open_clip_names_are_understood(void **state)
{
    (void)state;
    means(&vit, "vision_model.encoder.layers.3.mlp.fc1", "visual.transformer.resblocks.3.mlp.c_fc");
    means(&vit, "vision_model.encoder.layers.3.mlp.activation_fn", "visual.transformer.resblocks.3.mlp.gelu");
    means(&vit, "vision_model.encoder.layers.-1", "visual.transformer.resblocks.11");
    means(&vit, "vision_model.encoder.layers.0.self_attn", "visual.transformer.resblocks.0.attn");
    means(&vit, "vision_model.encoder.layers.0.layer_norm2", "visual.transformer.resblocks.0.ln_2");
    means(&vit, "vision_model.pre_layrnorm", "visual.ln_pre");
    means(&vit, "vision_model.post_layernorm", "visual.ln_post");
    means(&vit, "text_model.encoder.layers.11.mlp.fc2", "transformer.resblocks.11.mlp.c_proj");
    means(&vit, "text_model.final_layer_norm", "ln_final");
    means(&resnet, "visual.layer4.5.act3", "visual.layer4.5.relu3");
    means(&resnet, "act1", "visual.relu1");
    means(&resnet, "visual.layer4.5.relu", "visual.layer4.5.relu3");
}

static void inner_module_paths_stand_for_the_module_around_them(void **state)
{
    (void)state;
    means(&vit, "visual.transformer.resblocks.3.attn.out_proj", "visual.transformer.resblocks.3.attn");
    means(&vit, "vision_model.encoder.layers.3.self_attn.out_proj", "visual.transformer.resblocks.3.attn");
    means(&vit, "visual.transformer.resblocks", "visual.transformer");
    means(&vit, "transformer.resblocks", "transformer");
    means(&vit, "text_model.encoder.layers", "transformer");
    means(&resnet, "visual.attnpool.c_proj", "visual.attnpool");
    means_nothing(&resnet, "visual.attnpool.q_proj"); /* the original code never runs it as a module */
    means_nothing(&resnet, "visual.my_attnpool.c_proj");
}

static void a_wrong_name_lists_the_nearest(void **state)
{
    (void)state;
    const clip_alias_context ctx = {"RN50x4.pt"};
    cn_error err = {0};
    char expected[80];
    size_t index;
    assert_int_equal(clip_site_lookup(resnet.names, resnet.n, &ctx, "layer5.0", &index, &err), CN_ENOTFOUND);
    snprintf(expected, sizeof expected, "(clipneuron info --sites lists all %zu)", resnet.n);
    assert_non_null(strstr(err.text, "no site \"layer5.0\" in RN50x4.pt; nearest: visual.layer4.0, visual.layer3.0, "));
    assert_non_null(strstr(err.text, expected));

    cn_error_clear(&err);
    assert_int_equal(clip_site_lookup(resnet.names, resnet.n, &ctx, "visual.layer4.9", &index, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "nearest: visual.layer4.5, "));

    cn_error_clear(&err);
    assert_int_equal(clip_site_lookup(resnet.names, resnet.n, &ctx, "visual.layer4.5.rleu3", &index, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "nearest: visual.layer4.5.relu3, "));

    cn_error_clear(&err);
    assert_int_equal(clip_site_lookup(vit.names, vit.n, NULL, "", &index, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "no site \"\" in the model; nearest: visual."));
    assert_int_equal(clip_site_lookup(vit.names, vit.n, NULL, "x", &index, NULL), CN_ENOTFOUND);
}

static void hostile_names_end_in_one_short_line(void **state)
{
    (void)state;
    static char name[70000];
    cn_error err = {0};
    size_t index;
    memset(name, 'a', sizeof name - 1);
    assert_int_equal(clip_site_lookup(resnet.names, resnet.n, NULL, name, &index, &err), CN_ENOTFOUND);
    assert_true(strlen(err.text) < 800);
    memset(name, '.', sizeof name - 1);
    means_nothing(&resnet, name);
    name[CLIP_MAX_SITE_NAME] = '\0';
    means_nothing(&resnet, name);
    memcpy(name, "pre:", 4);
    means_nothing(&resnet, name);
    means_nothing(&resnet, "\n\x01layer4");
    means_nothing(&resnet, "text");
}

static void an_empty_model_has_no_sites(void **state)
{
    (void)state;
    const sites none = {.n = 0};
    means_nothing(&none, "layer4");
    means_nothing(&none, "pre:layer4");
}

static void distances_prefer_swaps_and_near_digits(void **state)
{
    (void)state;
    assert_int_equal(clip_name_distance("layer4", "layer4"), 0);
    assert_int_equal(clip_name_distance("layer4_5", "Layer4.5"), 0);
    assert_int_equal(clip_name_distance("rleu3", "relu3"), CLIP_NAME_STEP);
    assert_int_equal(clip_name_distance("", "abc"), 3 * CLIP_NAME_STEP);
    assert_true(clip_name_distance("layer5", "layer4") < clip_name_distance("layer5", "layer1"));
    assert_true(clip_name_distance("layer9", "layer1") < clip_name_distance("layer9", "layerx"));
}

static void a_unit_is_a_site_and_a_number(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        int64_t unit;
    } good[] = {
        {"layer4:89", 6, 89},
        {"pre:visual.layer4.1.relu3:0", 25, 0},
        {"image_block_4/5/Add_6:2047", 21, 2047},
        {"image_block_4/5/Add_6:0:89", 23, 89},
        {"x:007", 1, 7},
    };
    static const char *const bad[] = {"layer4", "layer4:", ":5", "pre:layer4", "pre::5", "layer4:-1", "layer4: 5", "layer4:5 ",
                                      "layer4:5x", "layer4:99999999999999999999", "", "layer4:0x10", "layer4:1.0"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cn_error err = {0};
        size_t length = 0;
        int64_t unit = -1;
        assert_int_equal(clip_unit_parse(good[i].text, &length, &unit, &err), CN_OK);
        assert_int_equal(length, good[i].length);
        assert_int_equal(unit, good[i].unit);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cn_error err = {0};
        size_t length = 12;
        int64_t unit = -1;
        if (clip_unit_parse(bad[i], &length, &unit, &err) != CN_EINVAL)
            fail_msg("%s was accepted", bad[i]);
        assert_int_equal(unit, -1);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_canonical_name_is_itself),
        cmocka_unit_test(every_name_may_be_written_as_lucent_users_do),
        cmocka_unit_test(the_visual_prefix_may_be_left_out_or_named_otherwise),
        cmocka_unit_test(blocks_count_from_the_end_and_stages_stand_for_their_last_block),
        cmocka_unit_test(pre_means_what_goes_into_the_activation),
        cmocka_unit_test(the_paper_names_are_understood),
        cmocka_unit_test(hugging_face_and_open_clip_names_are_understood),
        cmocka_unit_test(inner_module_paths_stand_for_the_module_around_them),
        cmocka_unit_test(a_wrong_name_lists_the_nearest),
        cmocka_unit_test(hostile_names_end_in_one_short_line),
        cmocka_unit_test(an_empty_model_has_no_sites),
        cmocka_unit_test(distances_prefer_swaps_and_near_digits),
        cmocka_unit_test(a_unit_is_a_site_and_a_number),
    };
    return cmocka_run_group_tests(tests, make_sites, NULL);
}
