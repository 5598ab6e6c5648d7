/* The readers of all formats agree on the same model, and read small files of every kind right. */
#include "open.h"

#include <math.h>

/* Same names, shapes (a scalar may be stored as one number) and numbers. */
static void check_equal(const cn_weights *a, const cn_weights *b)
{
    assert_int_equal(cn_weights_count(a), cn_weights_count(b));
    for (size_t i = 0; i < cn_weights_count(a); i++) {
        const cn_tensor *x = cn_weights_at(a, i), *y = need(b, x->name);
        assert_int_equal(x->count, y->count);
        if (x->count != 1) {
            assert_int_equal(x->ndim, y->ndim);
            for (int k = 0; k < x->ndim; k++)
                assert_int_equal(x->shape[k], y->shape[k]);
        }
        float *p = read_numbers(x), *q = read_numbers(y);
        assert_memory_equal(p, q, (size_t)x->count * sizeof *p);
        free(p);
        free(q);
    }
}

static void golden_formats_hold_the_same_tensors(void **state)
{
    (void)state;
    static const char *const others[] = {GOLDEN("rn-small.state_dict.pt"), GOLDEN("rn-small.jit.pt"),
                                         GOLDEN("rn-small.openclip_epoch.pt")};
    cn_weights *reference = open_weights(GOLDEN("rn-small.safetensors"));
    assert_int_equal(cn_weights_count(reference), 189);
    check_shape(need(reference, "positional_embedding"), CN_DTYPE_F16, 2, 77, 64, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cn_weights *w = open_weights(others[i]);
        check_equal(reference, w);
        cn_weights_close(w);
    }
    cn_weights_close(reference);
}

static void formats_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *path, *format;
    } files[] = {
        {GOLDEN("rn-small.safetensors"), "safetensors"},
        {GOLDEN("rn-small.state_dict.pt"), "PyTorch state dict"},
        {GOLDEN("rn-small.jit.pt"), "TorchScript archive"},
        {FIXTURE("good/legacy.pt"), "legacy PyTorch file"},
        {GOLDEN("vit-small.hf"), "safetensors"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        cn_weights *w = open_weights(files[i].path);
        assert_string_equal(cn_weights_format(w), files[i].format);
        assert_string_equal(cn_weights_path(w), files[i].path);
        cn_weights_close(w);
    }
}

static void fingerprint_is_the_same_in_every_container(void **state)
{
    (void)state;
    static const char *const same[] = {FIXTURE("good/both"),          FIXTURE("good/hf_bin"),
                                       FIXTURE("good/hf_bin_shards"), FIXTURE("good/hf_shards"),
                                       FIXTURE("good/open_clip"),     FIXTURE("good/open_clip_bin")};
    cn_error err = {0};
    char first[65], hex[65];
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        cn_weights *w = open_weights(same[i]);
        assert_int_equal(cn_weights_fingerprint(w, i ? hex : first, &err), CN_OK);
        if (i)
            assert_string_equal(hex, first);
        cn_weights_close(w);
    }
    assert_int_equal(strlen(first), 64);
    cn_weights *other = open_weights(FIXTURE("good/bf16.pt"));
    assert_int_equal(cn_weights_fingerprint(other, hex, &err), CN_OK);
    assert_string_not_equal(hex, first);
    cn_weights_close(other);
}

/* A transposed view and its dense copy are one model. */
static void fingerprint_does_not_depend_on_strides(void **state)
{
    (void)state;
    cn_error err = {0};
    char a[65], b[65];
    cn_weights *zip = open_weights(FIXTURE("good/views.pt")),
               *legacy = open_weights(FIXTURE("good/legacy.pt"));
    assert_int_equal(cn_weights_fingerprint(zip, a, &err), CN_OK);
    assert_int_equal(cn_weights_fingerprint(legacy, b, &err), CN_OK);
    assert_string_equal(a, b);
    cn_weights_close(zip);
    cn_weights_close(legacy);
}

static void check_views(const char *path)
{
    cn_weights *w = open_weights(path);
    assert_int_equal(cn_weights_count(w), 9);
    const cn_tensor *t = need(w, "base");
    check_shape(t, CN_DTYPE_F32, 2, 4, 6, 0);
    float *n = read_numbers(t);
    for (int i = 0; i < 24; i++)
        assert_float_equal(n[i], fixture(i), 0);
    free(n);

    t = need(w, "transposed"); /* element (r, c) is base (c, r) */
    check_shape(t, CN_DTYPE_F32, 2, 6, 4, 0);
    n = read_numbers(t);
    for (int r = 0; r < 6; r++)
        for (int c = 0; c < 4; c++)
            assert_float_equal(n[r * 4 + c], fixture(c * 6 + r), 0);
    free(n);
    assert_ptr_equal(t->data, need(w, "base")->data); /* one storage */

    t = need(w, "rows");
    check_shape(t, CN_DTYPE_F32, 2, 2, 6, 0);
    n = read_numbers(t);
    for (int i = 0; i < 12; i++)
        assert_float_equal(n[i], fixture(6 + i), 0);
    free(n);

    t = need(w, "columns");
    check_shape(t, CN_DTYPE_F32, 2, 4, 2, 0);
    n = read_numbers(t);
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 2; c++)
            assert_float_equal(n[r * 2 + c], fixture(r * 6 + 2 + c), 0);
    free(n);

    t = need(w, "cube"); /* (4, 2, 3) seen as permute(2, 0, 1) of (2, 3, 4) */
    check_shape(t, CN_DTYPE_F32, 3, 4, 2, 3);
    n = read_numbers(t);
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 2; b++)
            for (int c = 0; c < 3; c++)
                assert_float_equal(n[(a * 2 + b) * 3 + c], fixture((b * 3 + c) * 4 + a), 0);
    free(n);

    t = need(w, "half");
    check_shape(t, CN_DTYPE_F16, 1, 40, 0, 0);
    n = read_numbers(t);
    for (int i = 0; i < 40; i++)
        assert_float_equal(n[i], fixture(i), 0);
    free(n);

    float one;
    check_shape(need(w, "scalar"), CN_DTYPE_F32, 0, 0, 0, 0);
    cn_tensor_read_f32(need(w, "scalar"), &one);
    assert_float_equal(one, 0.25, 0);
    check_shape(need(w, "count"), CN_DTYPE_I64, 0, 0, 0, 0);
    cn_tensor_read_f32(need(w, "count"), &one);
    assert_float_equal(one, 7, 0);
    check_shape(need(w, "empty"), CN_DTYPE_F32, 2, 0, 3, 0);
    one = 5;
    cn_tensor_read_f32(need(w, "empty"), &one); /* writes nothing */
    assert_float_equal(one, 5, 0);
    assert_null(cn_weights_find(w, "nothing"));
    assert_null(cn_weights_find(w, ""));
    cn_weights_close(w);
}

static void torch_zip_reads_views_and_shared_storages(void **state)
{
    (void)state;
    check_views(FIXTURE("good/views.pt"));
}

static void torch_zip_reads_pickle_protocol_4(void **state)
{
    (void)state;
    check_views(FIXTURE("good/protocol4.pt"));
}

static void torch_legacy_reads_views_and_shared_storages(void **state)
{
    (void)state;
    check_views(FIXTURE("good/legacy.pt"));
    check_views(FIXTURE("good/legacy_protocol4.pt"));
}

static void torch_reads_bf16(void **state)
{
    (void)state;
    cn_weights *w = open_weights(FIXTURE("good/bf16.pt"));
    const cn_tensor *t = need(w, "w");
    check_shape(t, CN_DTYPE_BF16, 2, 5, 4, 0);
    float *n = read_numbers(t);
    for (int i = 0; i < 20; i++)
        assert_float_equal(n[i], fixture(i), 0);
    free(n);
    cn_weights_close(w);
}

static void check_linear(const char *path, const char *weight, const char *bias, size_t count)
{
    cn_weights *w = open_weights(path);
    assert_int_equal(cn_weights_count(w), count);
    check_shape(need(w, weight), CN_DTYPE_F32, 2, 3, 4, 0);
    check_shape(need(w, bias), CN_DTYPE_F32, 1, 3, 0, 0);
    float n[12];
    cn_tensor_read_f32(need(w, weight), n);
    for (int i = 0; i < 12; i++)
        assert_float_equal(n[i], fixture(i), 0);
    cn_weights_close(w);
}

static void training_checkpoint_gives_the_model_alone(void **state)
{
    (void)state;
    check_linear(FIXTURE("good/checkpoint.pt"), "weight", "bias",
                 2); /* "module." is gone, so is the optimizer */
    check_linear(FIXTURE("good/parameters.pt"), "weight", "bias", 2);
}

static void torchscript_names_are_attribute_paths(void **state)
{
    (void)state;
    check_linear(FIXTURE("good/script.pt"), "blocks.0.fc.weight", "blocks.1.fc.bias", 7);
    cn_weights *w = open_weights(FIXTURE("good/script.pt"));
    check_shape(need(w, "scale"), CN_DTYPE_F16, 1, 2, 0, 0);
    check_shape(need(w, "blocks.1.steps"), CN_DTYPE_I64, 0, 0, 0, 0);
    cn_weights_close(w);
}

static void entries_that_are_no_tensors_are_passed_over(void **state)
{
    (void)state;
    cn_weights *w = open_weights(FIXTURE("good/odd_keys.pt"));
    assert_int_equal(cn_weights_count(w), 1);
    check_shape(need(w, "w"), CN_DTYPE_F32, 1, 3, 0, 0);
    cn_weights_close(w);
}

static void safetensors_reads_every_dtype(void **state)
{
    (void)state;
    cn_weights *w = open_weights(FIXTURE("good/dtypes.safetensors"));
    assert_int_equal(cn_weights_count(w), 13);
    static const struct {
        const char *name;
        cn_dtype dtype;
    } floats[] = {{"f32", CN_DTYPE_F32},
                  {"f16", CN_DTYPE_F16},
                  {"bf16", CN_DTYPE_BF16},
                  {"f64", CN_DTYPE_F64}},
      integers[] = {{"i64", CN_DTYPE_I64},
                    {"i32", CN_DTYPE_I32},
                    {"i16", CN_DTYPE_I16},
                    {"i8", CN_DTYPE_I8},
                    {"u8", CN_DTYPE_U8}};
    float n[21];
    for (size_t k = 0; k < 4; k++) {
        const cn_tensor *t = need(w, floats[k].name);
        check_shape(t, floats[k].dtype, 2, 3, 7, 0);
        assert_string_equal(cn_dtype_name(t->dtype), floats[k].name);
        cn_tensor_read_f32(t, n);
        for (int i = 0; i < 21; i++)
            assert_float_equal(n[i], fixture(i), 0);
    }
    for (size_t k = 0; k < 5; k++) {
        check_shape(need(w, integers[k].name), integers[k].dtype, 1, 5, 0, 0);
        cn_tensor_read_f32(need(w, integers[k].name), n);
        for (int i = 0; i < 5; i++)
            assert_float_equal(n[i], i, 0);
    }
    cn_tensor_read_f32(need(w, "bool"), n);
    assert_true(n[0] == 0 && n[1] == 1 && n[2] == 1);
    check_shape(need(w, "scalar"), CN_DTYPE_F32, 0, 0, 0, 0);
    check_shape(need(w, "empty"), CN_DTYPE_F32, 2, 0, 4, 0);
    cn_tensor_read_f32(need(w, "na\u00efve \u2603"), n); /* stored as a JSON escape */
    assert_float_equal(n[0], 7, 0);
    cn_weights_close(w);
}

static void check_pair(const char *path, const char *config)
{
    cn_weights *w = open_weights(path);
    float n[6];
    assert_int_equal(cn_weights_count(w), 2);
    cn_tensor_read_f32(need(w, "a"), n);
    assert_float_equal(n[5], fixture(5), 0);
    cn_tensor_read_f32(need(w, "b"), n);
    assert_float_equal(n[3], fixture(3), 0);
    if (config) {
        assert_non_null(cn_weights_config(w));
        assert_non_null(strstr(cn_weights_config(w), config));
    } else {
        assert_null(cn_weights_config(w));
    }
    cn_weights_close(w);
}

static void folders_of_every_kind_are_read(void **state)
{
    (void)state;
    check_pair(FIXTURE("good/hf_shards"), "\"clip\"");
    check_pair(FIXTURE("good/hf_shards/"), "\"clip\"");
    check_pair(FIXTURE("good/hf_bin"), "\"clip\"");
    check_pair(FIXTURE("good/hf_bin_shards"), "\"clip\"");
    check_pair(FIXTURE("good/open_clip"), "\"clip\"");
    check_pair(FIXTURE("good/open_clip_bin"), "\"clip\"");
    check_pair(FIXTURE("good/both"), "\"clip\""); /* safetensors before pickles */
}

static void file_of_a_folder_takes_its_config(void **state)
{
    (void)state;
    check_pair(FIXTURE("good/open_clip/open_clip_model.safetensors"), "\"clip\"");
    check_pair(FIXTURE("good/hf_shards/model.safetensors.index.json"), "\"clip\"");
}

static void file_of_another_name_takes_no_config(void **state)
{
    (void)state;
    cn_weights *w = open_weights(GOLDEN("rn-small.safetensors"));
    assert_null(cn_weights_config(w));
    cn_weights_close(w);
}

static void dropped_pages_come_back(void **state)
{
    (void)state;
    cn_weights *w = open_weights(GOLDEN("rn-small.safetensors"));
    const cn_tensor *t = need(w, "visual.conv1.weight");
    float *before = read_numbers(t);
    cn_weights_drop_pages(w);
    float *after = read_numbers(t);
    assert_memory_equal(before, after, (size_t)t->count * sizeof *before);
    free(before);
    free(after);
    cn_weights_close(w);
}

static void missing_file_is_not_found(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_weights *w = (cn_weights *)(void *)&err;
    assert_int_equal(cn_weights_open(&w, FIXTURE("no-such-file"), &err), CN_ENOTFOUND);
    assert_null(w);
    assert_non_null(strstr(err.text, "no-such-file: No such file"));
    assert_int_equal(cn_weights_open(&w, FIXTURE("no-such-file"), NULL), CN_ENOTFOUND);
    cn_weights_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_formats_hold_the_same_tensors),
        cmocka_unit_test(formats_are_named),
        cmocka_unit_test(fingerprint_is_the_same_in_every_container),
        cmocka_unit_test(fingerprint_does_not_depend_on_strides),
        cmocka_unit_test(torch_zip_reads_views_and_shared_storages),
        cmocka_unit_test(torch_zip_reads_pickle_protocol_4),
        cmocka_unit_test(torch_legacy_reads_views_and_shared_storages),
        cmocka_unit_test(torch_reads_bf16),
        cmocka_unit_test(training_checkpoint_gives_the_model_alone),
        cmocka_unit_test(torchscript_names_are_attribute_paths),
        cmocka_unit_test(entries_that_are_no_tensors_are_passed_over),
        cmocka_unit_test(safetensors_reads_every_dtype),
        cmocka_unit_test(folders_of_every_kind_are_read),
        cmocka_unit_test(file_of_a_folder_takes_its_config),
        cmocka_unit_test(file_of_another_name_takes_no_config),
        cmocka_unit_test(dropped_pages_come_back),
        cmocka_unit_test(missing_file_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
