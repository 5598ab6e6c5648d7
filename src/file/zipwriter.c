/* file/zipwriter.c -- stored zip archives, with zip64 where needed. */
#include "file/zipwriter.h"

#include "base/memory.h"
#include "clipneuron/weights.h" /* CN_MAX_ZIP_ENTRIES */
#include "file/output.h"

#include <string.h>
#include <zlib.h>

#define MAX_NAME 4096u /* bytes */
#define FITS32(n) ((n) < 0xffffffffu)
enum { DOS_DATE_1980 = 0x21, VERSION_ZIP64 = 45, FLAG_UTF8 = 1 << 11 };

typedef struct entry {
    char *name;
    uint64_t size, header;
    uint32_t crc;
} entry;

struct zipwriter {
    output *out;
    entry *entries;
    size_t count, room;
};

/* A record of at most 64 bytes under construction. */
typedef struct record {
    uint8_t bytes[64];
    size_t size;
} record;

static void put(record *r, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        r->bytes[r->size++] = (uint8_t)(value >> 8 * i);
}

static uint32_t clip32(uint64_t n)
{
    return FITS32(n) ? (uint32_t)n : 0xffffffffu;
}

cn_status zipwriter_open(zipwriter **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    zipwriter *z = cn_calloc(1, sizeof *z);
    CN_CHECK(z, CN_ENOMEM, "%s: out of memory", path);
    CN_TRY(output_open(&z->out, path, err));
    *out = z, z = NULL;
done:
    zipwriter_discard(z);
    return st;
}

void zipwriter_discard(zipwriter *z)
{
    if (!z)
        return;
    output_discard(z->out);
    for (size_t i = 0; i < z->count; i++)
        cn_free(z->entries[i].name);
    cn_free(z->entries);
    cn_free(z);
}

static cn_status add_entry(zipwriter *z, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    const char *path = output_path(z->out);
    size_t length = strlen(name);
    CN_CHECK(length > 0 && length <= MAX_NAME, CN_EINVAL, "%s: an entry's name has %zu bytes", path, length);
    CN_CHECK(z->count < CN_MAX_ZIP_ENTRIES, CN_ELIMIT, "%s: more than %d entries", path, CN_MAX_ZIP_ENTRIES);
    for (size_t i = 0; i < z->count; i++)
        CN_CHECK(strcmp(z->entries[i].name, name) != 0, CN_EINVAL, "%s: two entries are named %s", path,
                 name);
    if (z->count == z->room) {
        size_t room = z->room ? 2 * z->room : 16;
        entry *grown = cn_reallocarray(z->entries, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "%s: out of memory", path);
        z->entries = grown;
        z->room = room;
    }
    char *copy = cn_strdup(name);
    CN_CHECK(copy, CN_ENOMEM, "%s: out of memory", path);
    z->entries[z->count++] = (entry){.name = copy, .header = output_position(z->out)};
done:
    return st;
}

cn_status zipwriter_add(zipwriter *z, const char *name, const void *head, size_t head_size, const void *data,
                        size_t data_size, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(add_entry(z, name, err));
    entry *e = &z->entries[z->count - 1];
    e->size = (uint64_t)head_size + data_size;
    uLong crc = crc32_z(0, NULL, 0);
    if (head_size)
        crc = crc32_z(crc, head, head_size);
    if (data_size)
        crc = crc32_z(crc, data, data_size);
    e->crc = (uint32_t)crc;

    bool big = !FITS32(e->size);
    record r = {.size = 0};
    put(&r, 0x04034b50, 4);
    put(&r, big ? VERSION_ZIP64 : 20, 2);
    put(&r, FLAG_UTF8, 2);
    put(&r, 0, 2); /* stored */
    put(&r, 0, 2);
    put(&r, DOS_DATE_1980, 2);
    put(&r, e->crc, 4);
    put(&r, clip32(e->size), 4);
    put(&r, clip32(e->size), 4);
    put(&r, strlen(name), 2);
    put(&r, big ? 20 : 0, 2);
    CN_TRY(output_write(z->out, r.bytes, r.size, err));
    CN_TRY(output_text(z->out, name, err));
    if (big) {
        r.size = 0;
        put(&r, 1, 2);
        put(&r, 16, 2);
        put(&r, e->size, 8);
        put(&r, e->size, 8);
        CN_TRY(output_write(z->out, r.bytes, r.size, err));
    }
    CN_TRY(output_write(z->out, head, head_size, err));
    CN_TRY(output_write(z->out, data, data_size, err));
done:
    return st;
}

static cn_status write_central(zipwriter *z, const entry *e, cn_error *err)
{
    cn_status st = CN_OK;
    bool big = !FITS32(e->size), far = !FITS32(e->header);
    record r = {.size = 0};
    put(&r, 0x02014b50, 4);
    put(&r, big || far ? VERSION_ZIP64 : 20, 2); /* made by */
    put(&r, big || far ? VERSION_ZIP64 : 20, 2); /* needed */
    put(&r, FLAG_UTF8, 2);
    put(&r, 0, 2);
    put(&r, 0, 2);
    put(&r, DOS_DATE_1980, 2);
    put(&r, e->crc, 4);
    put(&r, clip32(e->size), 4);
    put(&r, clip32(e->size), 4);
    put(&r, strlen(e->name), 2);
    put(&r, big || far ? 4u + (big ? 16u : 0u) + (far ? 8u : 0u) : 0u, 2);
    put(&r, 0, 2); /* comment */
    put(&r, 0, 2); /* volume */
    put(&r, 0, 2); /* internal attributes */
    put(&r, 0, 4); /* external attributes */
    put(&r, clip32(e->header), 4);
    CN_TRY(output_write(z->out, r.bytes, r.size, err));
    CN_TRY(output_text(z->out, e->name, err));
    if (big || far) {
        r.size = 0;
        put(&r, 1, 2);
        put(&r, (big ? 16u : 0u) + (far ? 8u : 0u), 2);
        if (big) {
            put(&r, e->size, 8);
            put(&r, e->size, 8);
        }
        if (far)
            put(&r, e->header, 8);
        CN_TRY(output_write(z->out, r.bytes, r.size, err));
    }
done:
    return st;
}

cn_status zipwriter_commit(zipwriter *z, cn_error *err)
{
    cn_status st = CN_OK;
    uint64_t start = output_position(z->out);
    for (size_t i = 0; i < z->count; i++)
        CN_TRY(write_central(z, &z->entries[i], err));
    uint64_t end = output_position(z->out), size = end - start;
    record r = {.size = 0};
    if (z->count >= 0xffff || !FITS32(start) || !FITS32(size)) {
        put(&r, 0x06064b50, 4);
        put(&r, 44, 8); /* size of the rest of this record */
        put(&r, VERSION_ZIP64, 2);
        put(&r, VERSION_ZIP64, 2);
        put(&r, 0, 4);
        put(&r, 0, 4);
        put(&r, z->count, 8);
        put(&r, z->count, 8);
        put(&r, size, 8);
        put(&r, start, 8);
        CN_TRY(output_write(z->out, r.bytes, r.size, err));
        r.size = 0;
        put(&r, 0x07064b50, 4);
        put(&r, 0, 4);
        put(&r, end, 8);
        put(&r, 1, 4);
        CN_TRY(output_write(z->out, r.bytes, r.size, err));
        r.size = 0;
    }
    put(&r, 0x06054b50, 4);
    put(&r, 0, 4);
    put(&r, z->count < 0xffff ? z->count : 0xffff, 2);
    put(&r, z->count < 0xffff ? z->count : 0xffff, 2);
    put(&r, clip32(size), 4);
    put(&r, clip32(start), 4);
    put(&r, 0, 2);
    CN_TRY(output_write(z->out, r.bytes, r.size, err));
    st = output_commit(z->out, err);
    z->out = NULL;
done:
    zipwriter_discard(z);
    return st;
}
