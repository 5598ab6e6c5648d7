/* The zip writer's archives come back through the reader; hostile archives are in tests/weights/test_hostile.c. */
#include "folder.h"

#include "base/memory.h"
#include "file/filemap.h"
#include "file/zip.h"
#include "file/zipwriter.h"

#include <zlib.h>

static void entries_come_back(void **state)
{
    (void)state;
    folder f = make_folder();
    zipwriter *w;
    cn_error err = {0};
    assert_int_equal(zipwriter_open(&w, in(&f, "a.zip"), &err), CN_OK);
    assert_int_equal(zipwriter_add(w, "one", "head ", 5, "data", 4, &err), CN_OK);
    assert_int_equal(zipwriter_add(w, "folder/two", NULL, 0, NULL, 0, &err), CN_OK);
    assert_int_equal(zipwriter_add(w, "one", NULL, 0, "x", 1, &err), CN_EINVAL);
    cn_error_clear(&err);
    assert_int_equal(zipwriter_add(w, "", NULL, 0, "x", 1, &err), CN_EINVAL);
    assert_int_equal(zipwriter_commit(w, &err), CN_OK);

    filemap m;
    zip *z;
    assert_int_equal(filemap_open(&m, in(&f, "a.zip"), NULL), CN_OK);
    assert_true(zip_probe(m.data, m.size));
    assert_int_equal(zip_open(&z, m.data, m.size, "a.zip", NULL), CN_OK);
    assert_int_equal(zip_count(z), 2);
    assert_string_equal(zip_at(z, 1)->name, "folder/two");
    const zip_entry *e = zip_find(z, "one");
    assert_non_null(e);
    assert_null(zip_find(z, "three"));
    const uint8_t *data;
    size_t size;
    uint8_t *owned;
    assert_int_equal(zip_read(z, e, 9, &data, &size, &owned, NULL), CN_OK);
    assert_int_equal(size, 9);
    assert_memory_equal(data, "head data", 9);
    assert_null(owned); /* stored: read in place */
    assert_true(data > m.data && data < m.data + m.size);
    assert_int_equal(e->crc, crc32(0, (const Bytef *)"head data", 9));
    cn_error_clear(&err);
    assert_int_equal(zip_read(z, e, 8, &data, &size, &owned, &err), CN_ELIMIT);
    zip_close(z);
    zip_close(NULL);
    filemap_close(&m);
    remove_folder(&f);
}

static void empty_archive_comes_back(void **state)
{
    (void)state;
    folder f = make_folder();
    zipwriter *w;
    filemap m;
    zip *z;
    assert_int_equal(zipwriter_open(&w, in(&f, "a.zip"), NULL), CN_OK);
    assert_int_equal(zipwriter_commit(w, NULL), CN_OK);
    assert_int_equal(filemap_open(&m, in(&f, "a.zip"), NULL), CN_OK);
    assert_int_equal(zip_open(&z, m.data, m.size, "a.zip", NULL), CN_OK);
    assert_int_equal(zip_count(z), 0);
    assert_null(zip_find(z, "x"));
    zip_close(z);
    filemap_close(&m);
    remove_folder(&f);
}

/* More entries than a plain end record can count. */
static void zip64_counts_are_read(void **state)
{
    (void)state;
    /* Built by hand: the writer compares each new name with all others, too slow for a test. */
    size_t room = (size_t)70000 * 120, fill = 0, directory, count = 65537;
    uint8_t *bytes = calloc(1, room);
    assert_non_null(bytes);
#define PUT16(v) (bytes[fill] = (uint8_t)(v), bytes[fill + 1] = (uint8_t)((v) >> 8), fill += 2)
#define PUT32(v) (PUT16((uint32_t)(v)&0xffff), PUT16((uint32_t)(v) >> 16))
#define PUT64(v) (PUT32((uint64_t)(v)&0xffffffff), PUT32((uint64_t)(v) >> 32))
    for (size_t i = 0; i < count; i++) {
        PUT32(0x04034b50);
        fill += 22;
        PUT16(5);
        PUT16(0);
        fill += (size_t)sprintf((char *)bytes + fill, "%05x", (unsigned)i);
    }
    directory = fill;
    for (size_t i = 0; i < count; i++) {
        PUT32(0x02014b50);
        fill += 24;
        PUT16(5);
        fill += 12;
        PUT32(i * 35);
        fill += (size_t)sprintf((char *)bytes + fill, "%05x", (unsigned)i);
    }
    size_t end = fill;
    PUT32(0x06064b50);
    PUT64(44);
    fill += 12;
    PUT64(count);
    PUT64(count);
    PUT64(end - directory);
    PUT64(directory);
    PUT32(0x07064b50);
    PUT32(0);
    PUT64(end);
    PUT32(1);
    PUT32(0x06054b50);
    PUT32(0);
    PUT16(0xffff);
    PUT16(0xffff);
    PUT32(0xffffffff);
    PUT32(0xffffffff);
    PUT16(0);
    assert_true(fill <= room);
    cn_error err = {0};
    zip *z = NULL;
    if (zip_open(&z, bytes, fill, "many.zip", &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(zip_count(z), count);
    assert_non_null(zip_find(z, "10000"));
    zip_close(z);
    free(bytes);
}

/* One deflated entry "x" of size bytes, as an archive; free() it. */
static uint8_t *deflated_zip(const uint8_t *data, size_t size, size_t *total)
{
    size_t room = compressBound(size) + 300;
    uint8_t *bytes = calloc(1, room);
    assert_non_null(bytes);
    z_stream s = {0};
    assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (Bytef *)(uintptr_t)data;
    s.avail_in = (uInt)size;
    s.next_out = bytes + 31;
    s.avail_out = (uInt)(room - 200);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    size_t packed = s.total_out, fill = 0, directory;
    deflateEnd(&s);
    uint32_t crc = (uint32_t)crc32_z(0, data, size);
    PUT32(0x04034b50);
    fill += 4;
    PUT16(8);
    fill += 16;
    PUT16(1);
    PUT16(0);
    bytes[fill] = 'x';
    fill += 1 + packed;
    directory = fill;
    PUT32(0x02014b50);
    fill += 6;
    PUT16(8);
    fill += 4;
    PUT32(crc);
    PUT32(packed);
    PUT32(size);
    PUT16(1);
    fill += 16;
    bytes[fill++] = 'x';
    PUT32(0x06054b50);
    fill += 4;
    PUT16(1);
    PUT16(1);
    PUT32(47);
    PUT32(directory);
    PUT16(0);
    *total = fill;
    return bytes;
}

static void deflated_entries_are_inflated_within_the_limit(void **state)
{
    (void)state;
    size_t size = (size_t)4 << 20, total;
    uint8_t *content = calloc(1, size); /* zeros: the best case of a bomb, about 1000:1 */
    assert_non_null(content);
    uint8_t *bytes = deflated_zip(content, size, &total);
    assert_true(total < size / 900);
    zip *z;
    cn_error err = {0};
    assert_int_equal(zip_open(&z, bytes, total, "bomb.zip", &err), CN_OK);
    const uint8_t *data;
    uint8_t *owned;
    size_t read;
    assert_int_equal(zip_read(z, zip_at(z, 0), size - 1, &data, &read, &owned, &err), CN_ELIMIT);
    assert_null(owned);
    assert_non_null(strstr(err.text, "bomb.zip: entry x has 4194304 bytes, more than 4194303"));
    assert_int_equal(zip_read(z, zip_at(z, 0), size, &data, &read, &owned, NULL), CN_OK);
    assert_int_equal(read, size);
    assert_ptr_equal(data, owned);
    assert_memory_equal(data, content, size);
    cn_free(owned);
    for (size_t n = 1; n < 5; n++) { /* zlib's own memory, too */
        cn_memory_fail_at(n, false);
        cn_status st = zip_read(z, zip_at(z, 0), size, &data, &read, &owned, NULL);
        cn_memory_fail_at(0, false);
        assert_true(st == CN_ENOMEM || st == CN_OK);
        assert_true((st == CN_OK) == (owned != NULL));
        assert_true(n > 1 || st == CN_ENOMEM);
        cn_free(owned);
    }
    zip_close(z);
    free(bytes);
    free(content);
}

static void what_is_no_zip_is_told(void **state)
{
    (void)state;
    cn_error err = {0};
    zip *z;
    assert_false(zip_probe((const uint8_t *)"PK", 2));
    assert_int_equal(zip_open(&z, (const uint8_t *)"PK\3\4 but nothing more at all", 29, "x", &err),
                     CN_EFORMAT);
    assert_null(z);
    assert_non_null(strstr(err.text, "truncated?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back),
        cmocka_unit_test(empty_archive_comes_back),
        cmocka_unit_test(zip64_counts_are_read),
        cmocka_unit_test(deflated_entries_are_inflated_within_the_limit),
        cmocka_unit_test(what_is_no_zip_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
