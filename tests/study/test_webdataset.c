/* Pictures in archives: what is found, what the files beside them say, and that a scan of shards is a scan of their pictures. */
#include "../tarball.h"
#include "base/memory.h"
#include "dump.h"
#include "fake.h"
#include "study/braces.h"
#include "study/listing.h"
#include "tempdir.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int setup(void **state)
{
    *state = tempdir_make();
    return 0;
}

static int teardown(void **state)
{
    tempdir_remove(*state);
    return 0;
}

static void make(const char *dir, const char *name, int format, const struct member *members, size_t n)
{
    tempdir_text(dir, name, ""); /* makes the folders in its name */
    assert_true(write_archive(tempdir_path(dir, name), format, ARCHIVE_FILTER_NONE, members, n));
}

static listing read_ok(const char *dir, const char *name, int shard, int shards)
{
    listing l;
    cn_error err = {0};
    const char *path = tempdir_path(dir, name);
    if (listing_read(&l, &path, 1, NULL, shard, shards, &err) != CN_OK)
        fail_msg("%s", err.text);
    return l;
}

/* All of an item in one line: path|label|medium|caption|field=value,... */
static void expect(const listing *l, size_t i, const char *line)
{
    char got[2048];
    assert_true(i < l->count);
    const listing_item *item = &l->items[i];
    size_t at = (size_t)snprintf(got, sizeof got, "%s|%s|%s|%s|", item->path, item->label ? item->label : "-", item->medium ? item->medium : "-",
                                 item->caption ? item->caption : "-");
    for (const char *f = item->fields; f && *f;) {
        const char *value = f + strlen(f) + 1;
        at += (size_t)snprintf(got + at, sizeof got - at, "%s=%s,", f, value);
        f = value + strlen(value) + 1;
    }
    assert_string_equal(got, line);
}

/* ---- braces ---- */

static void expands(const char *pattern, const char *all)
{
    name_list list = {0};
    char got[1024] = "";
    assert_int_equal(braces_expand(&list, pattern, NULL), CN_OK);
    for (size_t i = 0; i < list.count; i++)
        strcat(strcat(got, i ? " " : ""), list.items[i]);
    assert_string_equal(got, all);
    name_list_free(&list);
}

static void braces_expand_as_in_shells(void **state)
{
    (void)state;
    expands("s-{000..003}.tar", "s-000.tar s-001.tar s-002.tar s-003.tar");
    expands("s-{8..11}", "s-8 s-9 s-10 s-11");
    expands("s-{08..11}", "s-08 s-09 s-10 s-11");
    expands("{2..0}", "2 1 0");
    expands("{a,b}{0..1}", "a0 a1 b0 b1");
    expands("x{a,{1..2},c}y", "xay x1y x2y xcy");
    expands("{a,}z", "az z");
    expands("plain", "plain");
    expands("{one}{1..2}", "{one}1 {one}2");
    expands("{1..}", "{1..}");
    expands("{1..2", "{1..2");
    expands("a}b{", "a}b{");
    name_list list = {0};
    cn_error err = {0};
    assert_int_equal(braces_expand(&list, "{0..999999999}", &err), CN_ELIMIT);
    assert_non_null(strstr(err.text, "more than"));
    name_list_free(&list);
    memset(&err, 0, sizeof err);
    assert_int_equal(braces_expand(&list, "{0..2000}{0..2000}", &err), CN_ELIMIT);
    name_list_free(&list);
}

/* ---- listing ---- */

static void keys_bind_files_together(void **state)
{
    const char *dir = *state;
    const struct member members[] = {
        {"000.jpg", .text = "x"},
        {"000.txt", .text = "  a cat,\nsitting \n"},
        {"000.json", .text = "{\"width\": 640, \"LABEL\": \"cat\", \"tags\": [\"a\", 1], \"gone\": null, \"url\": \"http://x/\\u00e4\", \"nsfw\": false}"},
        {"001.png", .text = "x"},
        {"001.cls", .text = "17\n"},
        {"sub/002.left.png", .text = "x"},
        {"sub/002.right.png", .text = "x"},
        {"sub/002.cls", .text = "dog"},
        {"003.webp", .text = "x"},
        {"003.json", .text = "{\"label\": \"broken\","},
        {"lonely.txt", .text = "x"},
        {"README", .text = "x"},
        {".hidden.png", .text = "x"},
        {"__MACOSX/._000.jpg", .text = "x"},
    };
    for (int zip = 0; zip < 2; zip++) {
        char text[256];
        make(dir, zip ? "s.zip" : "s.tar", zip ? ARCHIVE_FORMAT_ZIP : ARCHIVE_FORMAT_TAR_USTAR, members, COUNT(members));
        listing l = read_ok(dir, zip ? "s.zip" : "s.tar", 0, 1);
        const char *s = zip ? "zip" : "tar";
        assert_int_equal(l.count, 5);
        snprintf(text, sizeof text, "s.%s/000.jpg|cat|-|a cat,\nsitting|width=640,tags=[\"a\", 1],url=http://x/\xc3\xa4,nsfw=false,", s);
        expect(&l, 0, text);
        snprintf(text, sizeof text, "s.%s/001.png|17|-|-|", s);
        expect(&l, 1, text);
        assert_string_equal(l.items[2].label, "broken"); /* as far as it could be read */
        assert_non_null(l.items[2].fields);
        assert_string_equal(l.items[2].fields, "json");
        assert_non_null(strstr(l.items[2].fields + 5, "not read: the JSON"));
        snprintf(text, sizeof text, "s.%s/sub/002.left.png|dog|-|-|", s);
        expect(&l, 3, text);
        snprintf(text, sizeof text, "s.%s/sub/002.right.png|dog|-|-|", s);
        expect(&l, 4, text);
        assert_int_equal(l.ignored, 2); /* lonely.txt, README */
        uint8_t *bytes;
        size_t size;
        assert_int_equal(listing_bytes(&l, 0, &bytes, &size, NULL), CN_OK);
        assert_int_equal(size, 1);
        assert_int_equal(bytes[0], 'x');
        cn_free(bytes);
        listing_free(&l);
    }
}

static void many_fields_are_read_and_the_first_of_a_name_counts(void **state)
{
    enum { NAMES = 30000, ROOM = 1 << 20 };
    const char *dir = *state;
    char *json = malloc(ROOM), name[16], value[16];
    size_t at = 0;
    for (int k = 0; k < 2 * NAMES; k++) /* each name twice, in another order the second time */
        at += (size_t)snprintf(json + at, ROOM - at, "%c\"k%d\":%d", k ? ',' : '{', k < NAMES ? k : (k * 7) % NAMES, k);
    assert_true(at < ROOM - 1);
    strcpy(json + at, "}");
    const struct member members[] = {{"a.jpg", .text = "x"}, {"a.json", .text = json}};
    make(dir, "many.tar", ARCHIVE_FORMAT_TAR_USTAR, members, COUNT(members));
    listing l = read_ok(dir, "many.tar", 0, 1);
    const char *f = l.items[0].fields;
    for (int k = 0; k < NAMES; k++) {
        snprintf(name, sizeof name, "k%d", k);
        snprintf(value, sizeof value, "%d", k);
        assert_string_equal(f, name);
        f += strlen(f) + 1;
        assert_string_equal(f, value);
        f += strlen(f) + 1;
    }
    assert_string_equal(f, "");
    listing_free(&l);
    free(json);
}

static void a_packed_folder_labels_as_a_folder_does(void **state)
{
    const char *dir = *state;
    const struct member members[] = {{"pics/", .text = ""},
                                     {"pics/dog/b.png", .text = "x"},
                                     {"pics/cat/tabby/a.png", .text = "x"},
                                     {"pics/labels.csv", .text = "path,label,medium,stars\ncat/tabby/a.png,,line,5\ndog/b.png,puppy,,\nnone.png,x,,\n"}};
    make(dir, "p.zip", ARCHIVE_FORMAT_ZIP, members, COUNT(members));
    listing l = read_ok(dir, "p.zip", 0, 1);
    assert_int_equal(l.count, 2);
    expect(&l, 0, "p.zip/pics/cat/tabby/a.png|cat/tabby|line|-|stars=5,");
    expect(&l, 1, "p.zip/pics/dog/b.png|puppy|-|-|");
    assert_string_equal(l.name, "p.zip");
    listing_free(&l);
    tempdir_text(dir, "more.csv", "path,label\npics/dog/b.png,from the archive's name\np.zip/pics/cat/tabby/a.png,whole path\n");
    cn_error err = {0};
    const char *path = tempdir_path(dir, "p.zip");
    assert_int_equal(listing_read(&l, &path, 1, tempdir_path(dir, "more.csv"), 0, 1, &err), CN_OK);
    expect(&l, 0, "p.zip/pics/cat/tabby/a.png|whole path|line|-|stars=5,");
    expect(&l, 1, "p.zip/pics/dog/b.png|from the archive's name|-|-|");
    listing_free(&l);
}

static void the_last_file_of_a_name_counts(void **state)
{
    const char *dir = *state;
    const struct member members[] = {{"a.png", .text = "old"}, {"b.png", .text = "x"}, {"a.png", .text = "newer"}};
    make(dir, "s.tar", ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, members, COUNT(members));
    listing l = read_ok(dir, "s.tar", 0, 1);
    assert_int_equal(l.count, 2);
    uint8_t *bytes;
    size_t size;
    assert_int_equal(listing_bytes(&l, 0, &bytes, &size, NULL), CN_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "newer", 5);
    cn_free(bytes);
    listing_free(&l);
}

static void shards_are_read_by_range_and_divided_whole(void **state)
{
    const char *dir = *state;
    for (int i = 0; i < 5; i++) {
        char name[32], key[32];
        snprintf(name, sizeof name, "d/s-%03d.tar", i);
        snprintf(key, sizeof key, "%d.png", i);
        const struct member members[] = {{key, .text = "x"}, {"z.png", .text = "y"}};
        make(dir, name, ARCHIVE_FORMAT_TAR_USTAR, members, 2);
    }
    listing l = read_ok(dir, "d/s-{000..004}.tar", 0, 1);
    assert_int_equal(l.count, 10);
    assert_int_equal(l.n_archives, 5);
    assert_string_equal(l.name, "s-000.tar and 4 more");
    expect(&l, 0, "s-000.tar/0.png|-|-|-|");
    expect(&l, 9, "s-004.tar/z.png|-|-|-|");
    listing_free(&l);
    l = read_ok(dir, "d", 0, 1); /* a folder of shards */
    assert_int_equal(l.count, 10);
    assert_int_equal(l.ignored, 0);
    listing_free(&l);
    l = read_ok(dir, "d/s-{000..004}.tar", 1, 3); /* whole archives: 1 and 4 */
    assert_int_equal(l.count, 4);
    expect(&l, 0, "s-001.tar/1.png|-|-|-|");
    expect(&l, 3, "s-004.tar/z.png|-|-|-|");
    listing_free(&l);
    l = read_ok(dir, "d/s-{000..001}.tar", 1, 3); /* fewer archives than parts: by picture, 1 and 4 of four */
    assert_int_equal(l.count, 1);
    expect(&l, 0, "s-000.tar/z.png|-|-|-|");
    listing_free(&l);
    tempdir_text(dir, "d/loose.png", "x");
    l = read_ok(dir, "d", 0, 1); /* with pictures of its own, archives are files like others */
    assert_int_equal(l.count, 1);
    assert_int_equal(l.ignored, 5);
    listing_free(&l);
    const char *paths[] = {strdup(tempdir_path(dir, "d/s-000.tar")), strdup(tempdir_path(dir, "d/loose.png"))};
    cn_error err = {0};
    assert_int_equal(listing_read(&l, paths, 2, NULL, 0, 1, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "loose.png: several collections at a time must be archives"));
    listing_free(&l);
    free((void *)(uintptr_t)paths[1]);
    paths[1] = paths[0];
    memset(&err, 0, sizeof err);
    assert_int_equal(listing_read(&l, paths, 2, NULL, 0, 1, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "s-000.tar: is named twice"));
    listing_free(&l);
    free((void *)(uintptr_t)paths[0]);
    const char *gone = tempdir_path(dir, "d/s-{003..005}.tar");
    memset(&err, 0, sizeof err);
    assert_int_equal(listing_read(&l, &gone, 1, NULL, 0, 1, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "s-005.tar: No such file"));
    listing_free(&l);
}

static void a_damaged_shard_is_one_more_failure(void **state)
{
    const char *dir = *state;
    const struct member members[] = {{"a.png", .text = "x"}, {"b.png", .text = "y"}};
    make(dir, "d/0.tar", ARCHIVE_FORMAT_TAR_USTAR, members, 2);
    make(dir, "d/1.tar", ARCHIVE_FORMAT_TAR_USTAR, members, 2);
    tempdir_text(dir, "d/2.tar", "no archive at all, though long enough to look at");
    assert_int_equal(truncate(tempdir_path(dir, "d/1.tar"), 1400), 0);
    listing l = read_ok(dir, "d", 0, 1);
    assert_int_equal(l.count, 5);
    expect(&l, 2, "1.tar|-|-|-|");
    assert_non_null(strstr(l.items[2].fault, "the archive is damaged"));
    assert_int_equal(strncmp(l.items[2].fault, "the archive", 11), 0); /* without the path, which stands beside it */
    expect(&l, 3, "1.tar/a.png|-|-|-|");
    expect(&l, 4, "2.tar|-|-|-|");
    uint8_t *bytes;
    size_t size;
    cn_error err = {0};
    assert_int_equal(listing_bytes(&l, 2, &bytes, &size, &err), CN_EFORMAT);
    listing_free(&l);
    const char *alone = tempdir_path(dir, "d/2.tar");
    memset(&err, 0, sizeof err);
    assert_int_equal(listing_read(&l, &alone, 1, NULL, 0, 1, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "2.tar: the archive is damaged"));
    listing_free(&l);
}

/* ---- scans ---- */

static cn_status scan(const char *dir, const char *images, const char *study, cn_scan_options o, cn_error *err)
{
    source s;
    memset(err, 0, sizeof *err);
    o.no_words = true;
    fake_open(&s, "f00d", 4);
    const cn_status st = scan_source(&s, tempdir_path(dir, images), tempdir_path(dir, study), &o, NULL, err);
    s.close(&s);
    return st;
}

static void must_scan(const char *dir, const char *images, const char *study, cn_scan_options o)
{
    cn_error err;
    if (scan(dir, images, study, o, &err) != CN_OK)
        fail_msg("%s", err.text);
}

/* Packs pictures of fake_collection into three shards with labels as JSON; shard 1 compressed, shard 2 a zip. */
static void pack(const char *dir, int each)
{
    static const char *const names[] = {"shards/s-0.tar", "shards/s-1.tar.gz", "shards/s-2.zip"};
    for (int s = 0; s < 3; s++) {
        struct member *members = calloc((size_t)each * 4 + 1, sizeof *members);
        size_t n = 0;
        for (int i = s; i < 2 * each; i += 3) {
            char name[64], *text = malloc(128), *png = malloc(64), *json = malloc(64);
            size_t size;
            snprintf(name, sizeof name, "pics/%s/%03d.png", i % 2 ? "green" : "red", i);
            char *bytes = tempdir_read(tempdir_path(dir, name), &size);
            snprintf(png, 64, "%05d.png", i);
            snprintf(json, 64, "%05d.json", i);
            snprintf(text, 128, "{\"label\": \"%s\", \"number\": %d}", i % 2 ? "green" : "red", i);
            members[n++] = (struct member){png, .data = bytes, .size = size};
            members[n++] = (struct member){json, .text = text};
        }
        tempdir_text(dir, names[s], "");
        assert_true(write_archive(tempdir_path(dir, names[s]), s == 2 ? ARCHIVE_FORMAT_ZIP : ARCHIVE_FORMAT_TAR_USTAR,
                                  s == 1 ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_NONE, members, n));
        for (size_t i = 0; i < n; i++) {
            free((void *)(uintptr_t)members[i].name);
            free((void *)(uintptr_t)members[i].data);
            free((void *)(uintptr_t)members[i].text);
        }
        free(members);
    }
}

static int64_t ask(const char *dir, const char *study, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/study.sqlite", dir, study);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

static bool stop_at(const cn_scan_progress *p, void *user)
{
    return !(p->phase == CN_SCAN_IMAGES && p->done >= *(const int64_t *)user && p->done < p->total);
}

static void shards_give_the_study_of_their_pictures(void **state)
{
    enum { EACH = 40 };
    const char *dir = *state;
    fake_collection(dir, EACH);
    pack(dir, EACH);
    must_scan(dir, "shards", "whole", (cn_scan_options){0});
    assert_int_equal(ask(dir, "whole", "SELECT count(*) FROM images"), 2 * EACH);
    assert_int_equal(ask(dir, "whole", "SELECT count(*) FROM fields WHERE field = 'number'"), 2 * EACH);
    assert_int_equal(ask(dir, "whole", "SELECT count(*) FROM images i JOIN fields f ON f.image = i.id JOIN labels l ON l.id = i.label"
                                       " WHERE f.field = 'number' AND (CAST(f.value AS INTEGER) % 2 = 1) = (l.name = 'green')"),
                     2 * EACH);
    /* the same pictures in a folder: the same sums */
    must_scan(dir, "pics", "folder", (cn_scan_options){0});
    for (int unit = 0; unit < FAKE_UNITS; unit++) {
        char sql[256];
        snprintf(sql, sizeof sql, "SELECT positive FROM units WHERE site = 0 AND unit = %d", unit);
        assert_int_equal(ask(dir, "whole", sql), ask(dir, "folder", sql));
        snprintf(sql, sizeof sql, "SELECT round(1e6 * max) FROM units WHERE site = 0 AND unit = %d", unit);
        assert_int_equal(ask(dir, "whole", sql), ask(dir, "folder", sql));
    }
    /* interrupted, and divided: three parts are whole archives, five are not */
    char *whole = dump_study(dir, "whole");
    for (int64_t at = 1;; at += 15) {
        cn_error err;
        const cn_status st = scan(dir, "shards", "again", (cn_scan_options){.progress = stop_at, .user = &at}, &err);
        if (st == CN_OK)
            break;
        assert_int_equal(st, CN_ECANCELED);
    }
    char *again = dump_study(dir, "again");
    dump_same(again, whole, 0);
    free(again);
    for (int shards = 3; shards <= 5; shards += 2) {
        const char *parts[5];
        char names[5][32], paths[5][512], study[32];
        source s;
        cn_error err = {0};
        for (int k = 0; k < shards; k++) {
            snprintf(names[k], sizeof names[k], "parts-%d/%d", shards, k);
            tempdir_text(dir, "parts-3/none", "");
            tempdir_text(dir, "parts-5/none", "");
            must_scan(dir, "shards", names[k], (cn_scan_options){.shard = k + 1, .shards = shards});
            snprintf(paths[k], sizeof paths[k], "%s", tempdir_path(dir, names[k]));
            parts[k] = paths[k];
        }
        snprintf(study, sizeof study, "merged-%d", shards);
        fake_open(&s, "f00d", 4);
        if (merge_source(&s, parts, (size_t)shards, tempdir_path(dir, study), &(cn_scan_options){.no_words = true}, NULL, &err) != CN_OK)
            fail_msg("%s", err.text);
        s.close(&s);
        char *merged = dump_study(dir, study);
        dump_same(merged, whole, 1e-6);
        free(merged);
    }
    free(whole);
}

static void each_failing_allocation_of_archives_is_survived(void **state)
{
    const char *dir = *state;
    const struct member members[] = {{"a/x.png", .text = "x"}, {"a/x.json", .text = "{\"label\": \"y\", \"z\": 1}"}, {"a/labels.csv", .text = "path,stars\nx.png,5\n"}};
    make(dir, "d/0.tar", ARCHIVE_FORMAT_TAR_USTAR, members, 3);
    make(dir, "d/1.zip", ARCHIVE_FORMAT_ZIP, members, 3);
    for (size_t n = 1;; n++) {
        listing l;
        cn_error err = {0};
        const char *path = tempdir_path(dir, "d/{0.tar,1.zip}");
        cn_memory_fail_at(n, false);
        cn_status st = listing_read(&l, &path, 1, NULL, 0, 1, &err);
        cn_memory_fail_at(0, false);
        const size_t count = l.count;
        listing_free(&l);
        if (st == CN_OK) {
            assert_int_equal(count, 2);
            break;
        }
        assert_int_equal(st, CN_ENOMEM);
        assert_true(n < 400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(braces_expand_as_in_shells),
        cmocka_unit_test_setup_teardown(keys_bind_files_together, setup, teardown),
        cmocka_unit_test_setup_teardown(many_fields_are_read_and_the_first_of_a_name_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_packed_folder_labels_as_a_folder_does, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_file_of_a_name_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(shards_are_read_by_range_and_divided_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_shard_is_one_more_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(shards_give_the_study_of_their_pictures, setup, teardown),
        cmocka_unit_test_setup_teardown(each_failing_allocation_of_archives_is_survived, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
