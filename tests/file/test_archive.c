/* Files in tars and zips: where they are, whatever the format, and what happens when the archive is broken. */
#include "../tarball.h"
#include "base/memory.h"
#include "file/archive.h"
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_NAME "a-folder-whose-name-alone-is-longer-than-a-hundred-bytes-which-is-all-that-the-first-tar-had-room-for-in-its-header/picture.png"

static char big[200000];

static const struct member members[] = {
    {"a.png", .text = "first"},  {"folder/", .text = ""},        {"./folder/b.jpg", .text = "second"}, {LONG_NAME, .text = "third"},
    {"empty.txt", .text = ""},   {"big.bin", .data = big, .size = sizeof big}, {"\xc3\xa4\xc3\xb6.png", .text = "fourth"},
};

static const struct {
    const char *name;
    const char *data;
    size_t size;
} expected[] = {{"a.png", "first", 5}, {"folder/b.jpg", "second", 6}, {LONG_NAME, "third", 5}, {"empty.txt", "", 0}, {"big.bin", big, sizeof big}, {"\xc3\xa4\xc3\xb6.png", "fourth", 6}};

enum { EXPECTED = sizeof expected / sizeof *expected };

typedef struct met {
    struct {
        char name[256];
        int64_t at, size;
    } entries[16];
    size_t n;
    cn_status end_with;
} met;

static cn_status meet(const bundle_entry *e, void *user, cn_error *err)
{
    met *m = user;
    (void)err;
    assert_true(m->n < 16);
    snprintf(m->entries[m->n].name, sizeof m->entries[m->n].name, "%s", e->name);
    m->entries[m->n].at = e->at;
    m->entries[m->n++].size = e->size;
    return m->end_with;
}

static bundle *open_ok(const char *path)
{
    bundle *b;
    cn_error err = {0};
    if (bundle_open(&b, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    return b;
}

static void holds_all(const char *path)
{
    met m = {0};
    cn_error err = {0};
    bundle *b = open_ok(path);
    if (bundle_list(b, meet, &m, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(m.n, EXPECTED);
    for (size_t i = EXPECTED; i-- > 0;) { /* backwards: any order */
        uint8_t *bytes;
        assert_string_equal(m.entries[i].name, expected[i].name);
        assert_int_equal(m.entries[i].size, expected[i].size);
        assert_int_equal(bundle_read(b, m.entries[i].at, m.entries[i].size, sizeof big, &bytes, &err), CN_OK);
        assert_memory_equal(bytes, expected[i].data, expected[i].size);
        cn_free(bytes);
    }
    bundle_close(b);
    b = open_ok(path); /* places hold without listing again */
    uint8_t *bytes;
    assert_int_equal(bundle_read(b, m.entries[2].at, m.entries[2].size, 100, &bytes, &err), CN_OK);
    assert_memory_equal(bytes, "third", 5);
    cn_free(bytes);
    assert_int_equal(bundle_read(b, m.entries[4].at, m.entries[4].size, 100, &bytes, &err), CN_ELIMIT);
    assert_null(bytes);
    bundle_close(b);
}

static void every_format_is_read(void **state)
{
    static const int formats[] = {ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FORMAT_ZIP};
    static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_LZ4};
    (void)state;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7 + i / 256);
    folder f = make_folder();
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < (formats[i] == ARCHIVE_FORMAT_ZIP ? 1 : 6); k++) {
            char name[32];
            snprintf(name, sizeof name, "%zu-%zu", i, k);
            const char *path = in(&f, name);
            assert_true(write_archive(path, formats[i], filters[k], members, sizeof members / sizeof *members));
            holds_all(path);
        }
    }
    remove_folder(&f);
}

static void names_tell_archives(void **state)
{
    (void)state;
    assert_true(archive_name("shard-000.tar"));
    assert_true(archive_name("x/PICS.ZIP"));
    assert_true(archive_name("a.tar.gz"));
    assert_true(archive_name("a.b.tgz"));
    assert_false(archive_name("tar"));
    assert_false(archive_name(".tar"));
    assert_false(archive_name("a.gz"));
    assert_false(archive_name("a.tar.txt"));
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

/* Cuts the file to `size` bytes. */
static void cut(const char *path, off_t size)
{
    assert_int_equal(truncate(path, size), 0);
}

static void what_is_broken_is_told(void **state)
{
    (void)state;
    folder f = make_folder();
    const char *path = in(&f, "x.tar");
    cn_error err = {0};
    bundle *b;
    uint8_t *bytes;
    const struct member two[] = {{"a.png", .text = "first"}, {"b.png", .text = "second"}};
    assert_true(write_archive(path, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, two, 2));
    cut(path, 512 + 512 + 512 + 3); /* in the middle of b's data */
    b = open_ok(path);
    met m = {0};
    assert_int_equal(bundle_list(b, meet, &m, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "x.tar: the archive is damaged"));
    assert_int_equal(m.n, 2);
    memset(&err, 0, sizeof err);
    assert_int_equal(bundle_read(b, m.entries[0].at, 5, 100, &bytes, &err), CN_OK);
    cn_free(bytes);
    assert_int_equal(bundle_read(b, m.entries[1].at, 6, 100, &bytes, &err), CN_EFORMAT);
    assert_string_equal(err.text, "the archive ends too early: 3 of 6 bytes are there");
    bundle_close(b);

    memset(&err, 0, sizeof err);
    m = (met){.end_with = CN_ECANCELED};
    b = open_ok(path);
    assert_int_equal(bundle_list(b, meet, &m, &err), CN_ECANCELED);
    assert_int_equal(m.n, 1);
    bundle_close(b);

    write_file(path, "this is no archive, but long enough to be asked whether it is one", 65);
    b = open_ok(path); /* nobody has looked yet */
    memset(&err, 0, sizeof err);
    m = (met){0};
    assert_int_equal(bundle_list(b, meet, &m, &err), CN_EFORMAT);
    assert_int_equal(m.n, 0);
    bundle_close(b);

    memset(&err, 0, sizeof err);
    write_file(path, "", 0);
    assert_int_equal(bundle_open(&b, path, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "is empty"));
    memset(&err, 0, sizeof err);
    write_file(path, "\x1f\x8b\x08\x00 rubbish behind a good start", 30);
    assert_int_equal(bundle_open(&b, path, &err), CN_EFORMAT);
    memset(&err, 0, sizeof err);
    write_file(path, "PK\x03\x04 rubbish behind a good start, long enough", 40);
    assert_int_equal(bundle_open(&b, path, &err), CN_EFORMAT);
    memset(&err, 0, sizeof err);
    unlink(path);
    assert_int_equal(bundle_open(&b, path, &err), CN_ENOTFOUND);
    memset(&err, 0, sizeof err);
    assert_int_equal(bundle_open(&b, f.path, &err), CN_EIO);
    remove_folder(&f);
}

static void links_are_passed_over(void **state)
{
    (void)state;
    folder f = make_folder();
    const char *path = in(&f, "x.tar");
    const struct member linked[] = {{"a.png", .text = "first"}, {"b.png", .link = "a.png"}, {"c.png", .text = "third"}};
    met m = {0};
    assert_true(write_archive(path, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, linked, 3));
    bundle *b = open_ok(path);
    assert_int_equal(bundle_list(b, meet, &m, NULL), CN_OK);
    assert_int_equal(m.n, 2);
    assert_string_equal(m.entries[1].name, "c.png");
    bundle_close(b);
    remove_folder(&f);
}

static void a_full_disk_is_told_when_unpacking(void **state)
{
    (void)state;
    folder f = make_folder();
    const char *path = in(&f, "x.tar");
    cn_error err = {0};
    bundle *b;
    const char *was = getenv("TMPDIR");
    char *kept = was ? strdup(was) : NULL;
    path = in(&f, "x.tar.gz");
    assert_true(write_archive(path, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_GZIP, members, sizeof members / sizeof *members));
    setenv("TMPDIR", "/nowhere/at/all", 1);
    assert_int_equal(bundle_open(&b, path, &err), CN_EIO);
    assert_non_null(strstr(err.text, "x.tar.gz: a temporary file to unpack it cannot be made"));
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    remove_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_is_read),
        cmocka_unit_test(names_tell_archives),
        cmocka_unit_test(what_is_broken_is_told),
        cmocka_unit_test(links_are_passed_over),
        cmocka_unit_test(a_full_disk_is_told_when_unpacking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
