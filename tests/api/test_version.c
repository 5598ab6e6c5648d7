/* tests/api/test_version.c -- the umbrella header and the library agree on the version. */
#include "clipneuron/clipneuron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void library_and_header_have_one_version(void **state)
{
    (void)state;
    char numbers[32];
    snprintf(numbers, sizeof numbers, "%d.%d.%d", CN_VERSION_MAJOR, CN_VERSION_MINOR, CN_VERSION_PATCH);
    assert_string_equal(CN_VERSION, numbers);
    assert_string_equal(cn_version(), CN_VERSION);
}

static void version_is_that_of_the_build(void **state)
{
    (void)state;
    char line[256], want[64];
    snprintf(want, sizeof want, "project(clipneuron VERSION %s ", CN_VERSION);
    FILE *f = fopen(CN_SOURCE_DIR "/CMakeLists.txt", "r");
    assert_non_null(f);
    int found = 0;
    while (fgets(line, sizeof line, f))
        found |= strncmp(line, want, strlen(want)) == 0;
    fclose(f);
    assert_true(found);
}

static void closers_accept_null(void **state)
{
    (void)state;
    cn_weights_close(NULL);
    cn_model_close(NULL);
    cn_runner_free(NULL);
    cn_tokenizer_free(NULL);
    cn_tokens_free(NULL);
    cn_image_free(NULL);
    cn_bytes_free(NULL);
    cn_arrays_close(NULL);
    cn_npy_writer_discard(NULL);
    cn_npz_writer_discard(NULL);
    cn_error_clear(NULL);
}

static void a_missing_file_is_one_clear_line(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_model *model = (cn_model *)&err;
    assert_int_not_equal(cn_model_open(&model, "/nonexistent/model.safetensors", NULL, &err), CN_OK);
    assert_null(model);
    assert_non_null(strstr(err.text, "/nonexistent/model.safetensors"));
    assert_null(strchr(err.text, '\n'));
}

static void messages_are_optional(void **state)
{
    (void)state;
    cn_weights *w = NULL;
    cn_image *image = NULL;
    assert_int_not_equal(cn_weights_open(&w, "/nonexistent", NULL), CN_OK);
    assert_int_not_equal(cn_image_load(&image, "/nonexistent", NULL, NULL), CN_OK);
    assert_null(w);
    assert_null(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_and_header_have_one_version),
        cmocka_unit_test(version_is_that_of_the_build),
        cmocka_unit_test(closers_accept_null),
        cmocka_unit_test(a_missing_file_is_one_clear_line),
        cmocka_unit_test(messages_are_optional),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
