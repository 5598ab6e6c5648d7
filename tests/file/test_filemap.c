/* Maps of regular files; everything else is refused by name. */
#include "folder.h"

#include "file/filemap.h"
#include "file/output.h"
#include "file/sha256.h"

static void file_is_mapped_and_dropped(void **state)
{
    (void)state;
    folder f = make_folder();
    filemap m;
    assert_int_equal(output_file(in(&f, "a"), "hello", 5, NULL), CN_OK);
    assert_int_equal(filemap_open(&m, in(&f, "a"), NULL), CN_OK);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "hello", 5);
    filemap_drop(&m);
    assert_memory_equal(m.data, "hello", 5);
    filemap_close(&m);
    assert_null(m.data);
    filemap_close(&m);
    filemap_drop(&m);
    remove_folder(&f);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    folder f = make_folder();
    assert_int_equal(output_file(in(&f, "empty"), "", 0, NULL), CN_OK);
    assert_int_equal(mkfifo(in(&f, "pipe"), 0600), 0);
    const struct {
        const char *path;
        cn_status status;
        const char *words;
    } cases[] = {
        {in(&f, "empty"), CN_EFORMAT, "empty: the file is empty"},
        {in(&f, "pipe"), CN_EUNSUPPORTED, "pipe: not a regular file"},
        {in(&f, "none"), CN_ENOTFOUND, "none: No such file or directory"},
        {f.path, CN_EUNSUPPORTED, "this is a folder"},
        {"/dev/zero", CN_EUNSUPPORTED, "not a regular file"},
        {in(&f, "empty/x"), CN_EIO, "Not a directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cn_error err = {0};
        filemap m;
        assert_int_equal(filemap_open(&m, cases[i].path, &err), cases[i].status);
        assert_non_null(strstr(err.text, cases[i].words));
        assert_null(m.data);
    }
    remove_folder(&f);
}

static void sha256_matches_the_published_examples(void **state)
{
    (void)state;
    static const char *const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char hex[65];
    folder f = make_folder();
    sha256 *s;
    assert_int_equal(sha256_open(&s, NULL), CN_OK);
    assert_int_equal(sha256_add(s, "a", 1, NULL), CN_OK);
    assert_int_equal(sha256_add(s, NULL, 0, NULL), CN_OK);
    assert_int_equal(sha256_add(s, "bc", 2, NULL), CN_OK);
    assert_int_equal(sha256_hex(s, hex, NULL), CN_OK);
    assert_string_equal(hex, abc);
    sha256_close(s);
    sha256_close(NULL);
    assert_int_equal(output_file(in(&f, "abc"), "abc", 3, NULL), CN_OK);
    assert_int_equal(sha256_file(in(&f, "abc"), hex, NULL), CN_OK);
    assert_string_equal(hex, abc);
    assert_int_equal(output_file(in(&f, "abc"), "", 0, NULL), CN_OK);
    assert_int_equal(sha256_file(in(&f, "abc"), hex, NULL), CN_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cn_error err = {0};
    assert_int_equal(sha256_file(in(&f, "none"), hex, &err), CN_ENOTFOUND);
    assert_int_equal(sha256_file(f.path, hex, NULL), CN_EIO);
    remove_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_is_mapped_and_dropped),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(sha256_matches_the_published_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
