/* file/zip.c -- central-directory reader for zip archives in memory; see zip.h for what is refused. */
#include "file/zip.h"

#include "base/memory.h"
#include "clipneuron/weights.h" /* the public limits */

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL_MAGIC = 0x04034b50,
    CENTRAL_MAGIC = 0x02014b50,
    END_MAGIC = 0x06054b50,
    END64_MAGIC = 0x06064b50,
    LOCATOR64_MAGIC = 0x07064b50,
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR64_SIZE = 20,
    FLAG_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8
};
/* Deflate cannot do better than 1032:1; a directory that claims more is a lie. */
#define MAX_RATIO 1032

struct zip {
    size_t max_entries, max_directory; /* bytes of the directory */
    const uint8_t *data;
    size_t size;
    char *what;
    zip_entry *entries;
    zip_entry **by_name; /* sorted */
    char *names;
    size_t count;
};

/* Where the directory lies. */
typedef struct directory {
    uint64_t offset, size, count;
    uint64_t end; /* offset of the first end record; entries must lie before the directory */
} directory;

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}
static uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

bool zip_probe(const uint8_t *data, size_t size)
{
    return size >= END_SIZE && (le32(data) == LOCAL_MAGIC || le32(data) == END_MAGIC);
}

static cn_status read_end64(const zip *z, size_t end, directory *d, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(end >= LOCATOR64_SIZE && le32(z->data + end - LOCATOR64_SIZE) == LOCATOR64_MAGIC, CN_EFORMAT,
             "%s: damaged zip: the zip64 locator is missing", z->what);
    const uint8_t *locator = z->data + end - LOCATOR64_SIZE;
    uint64_t offset = le64(locator + 8);
    CN_CHECK(offset <= end - LOCATOR64_SIZE && end - LOCATOR64_SIZE - offset >= END64_SIZE, CN_EFORMAT,
             "%s: damaged zip: the zip64 end record lies outside the file", z->what);
    const uint8_t *p = z->data + offset;
    CN_CHECK(le32(p) == END64_MAGIC, CN_EFORMAT, "%s: damaged zip: no zip64 end record where it should be",
             z->what);
    CN_CHECK(le32(p + 16) == 0 && le32(p + 20) == 0 && le64(p + 24) == le64(p + 32), CN_EUNSUPPORTED,
             "%s: a zip of several volumes", z->what);
    *d = (directory){.count = le64(p + 32), .size = le64(p + 40), .offset = le64(p + 48), .end = offset};
done:
    return st;
}

static cn_status find_directory(const zip *z, directory *d, cn_error *err)
{
    cn_status st = CN_OK;
    size_t least = z->size > END_SIZE + 65535 ? z->size - END_SIZE - 65535 : 0, end = 0;
    bool found = false;
    if (z->size >= END_SIZE) {
        for (size_t at = z->size - END_SIZE;; at--) {
            /* The comment must reach the end of the file exactly, or this is a picture of a record. */
            if (le32(z->data + at) == END_MAGIC && le16(z->data + at + 20) == z->size - END_SIZE - at) {
                end = at;
                found = true;
                break;
            }
            if (at == least)
                break;
        }
    }
    CN_CHECK(found, CN_EFORMAT, "%s: damaged zip: no directory at the end (truncated?)", z->what);
    const uint8_t *p = z->data + end;
    *d = (directory){.count = le16(p + 10), .size = le32(p + 12), .offset = le32(p + 16), .end = end};
    bool locator = end >= LOCATOR64_SIZE && le32(z->data + end - LOCATOR64_SIZE) == LOCATOR64_MAGIC;
    if (d->count == 0xffff || d->size == 0xffffffff || d->offset == 0xffffffff || locator)
        CN_TRY(read_end64(z, end, d, err));
    else
        CN_CHECK(le16(p + 4) == 0 && le16(p + 6) == 0 && le16(p + 8) == d->count, CN_EUNSUPPORTED,
                 "%s: a zip of several volumes", z->what);
    CN_CHECK(d->count <= z->max_entries, CN_ELIMIT, "%s: the zip claims %llu entries, more than %zu",
             z->what, (unsigned long long)d->count, z->max_entries);
    CN_CHECK(d->size <= z->max_directory, CN_ELIMIT,
             "%s: the zip directory claims %llu bytes, more than %zu", z->what, (unsigned long long)d->size,
             z->max_directory);
    CN_CHECK(d->offset <= d->end && d->size <= d->end - d->offset && d->count <= d->size / CENTRAL_SIZE,
             CN_EFORMAT, "%s: damaged zip: the directory lies outside the file", z->what);
done:
    return st;
}

/* Sizes and offset that do not fit 32 bits stand in the extra field, in this order, where 0xffffffff
 * stands in their place. */
static bool read_extra64(const uint8_t *extra, size_t length, zip_entry *e)
{
    bool want_size = e->size == 0xffffffff, want_packed = e->packed == 0xffffffff,
         want_header = e->header == 0xffffffff;
    while (length >= 4) {
        size_t id = le16(extra), n = le16(extra + 2);
        extra += 4, length -= 4;
        if (n > length)
            return false;
        if (id == 1) {
            const uint8_t *p = extra, *end = extra + n;
            if (want_size && end - p >= 8)
                e->size = le64(p), p += 8, want_size = false;
            if (want_packed && end - p >= 8)
                e->packed = le64(p), p += 8, want_packed = false;
            if (want_header && end - p >= 8)
                e->header = le64(p), want_header = false;
            break;
        }
        extra += n, length -= n;
    }
    return !want_size && !want_packed && !want_header;
}

/* The local header must agree with the directory, and the data must end before the directory. */
static cn_status check_local(const zip *z, const directory *d, zip_entry *e, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(e->header <= d->offset && d->offset - e->header >= LOCAL_SIZE, CN_EFORMAT,
             "%s: damaged zip: entry %s lies outside the file", z->what, e->name);
    const uint8_t *p = z->data + e->header;
    size_t left = (size_t)(d->offset - e->header) - LOCAL_SIZE, length = strlen(e->name);
    CN_CHECK(le32(p) == LOCAL_MAGIC, CN_EFORMAT, "%s: damaged zip: entry %s has no local header", z->what,
             e->name);
    CN_CHECK(!(le16(p + 6) & FLAG_ENCRYPTED), CN_EUNSUPPORTED, "%s: zip entry %s is encrypted", z->what,
             e->name);
    size_t name_length = le16(p + 26), extra_length = le16(p + 28);
    CN_CHECK(name_length + extra_length <= left, CN_EFORMAT,
             "%s: damaged zip: entry %s lies outside the file", z->what, e->name);
    CN_CHECK(name_length == length && memcmp(p + LOCAL_SIZE, e->name, length) == 0 &&
                 le16(p + 8) == (e->deflated ? METHOD_DEFLATED : METHOD_STORED),
             CN_EFORMAT, "%s: damaged zip: the local header of entry %s disagrees with the directory",
             z->what, e->name);
    CN_CHECK(e->packed <= left - name_length - extra_length, CN_EFORMAT,
             "%s: damaged zip: entry %s reaches beyond the end (%llu bytes claimed)", z->what, e->name,
             (unsigned long long)e->packed);
    e->data = p + LOCAL_SIZE + name_length + extra_length;
done:
    return st;
}

static cn_status read_entry(const zip *z, const directory *d, const uint8_t **at, const uint8_t *end,
                            char **names, zip_entry *e, cn_error *err)
{
    cn_status st = CN_OK;
    const uint8_t *p = *at;
    CN_CHECK(end - p >= CENTRAL_SIZE && le32(p) == CENTRAL_MAGIC, CN_EFORMAT,
             "%s: damaged zip: the directory is cut short", z->what);
    size_t name_length = le16(p + 28), extra_length = le16(p + 30), comment_length = le16(p + 32);
    CN_CHECK((size_t)(end - p) - CENTRAL_SIZE >= name_length + extra_length + comment_length, CN_EFORMAT,
             "%s: damaged zip: the directory is cut short", z->what);
    const uint8_t *name = p + CENTRAL_SIZE;
    CN_CHECK(memchr(name, 0, name_length) == NULL, CN_EFORMAT,
             "%s: damaged zip: an entry's name holds a zero byte", z->what);
    memcpy(*names, name, name_length);
    (*names)[name_length] = '\0';
    e->name = *names;
    *names += name_length + 1;

    unsigned flags = le16(p + 8), method = le16(p + 10);
    e->crc = le32(p + 16);
    e->packed = le32(p + 20);
    e->size = le32(p + 24);
    e->header = le32(p + 42);
    CN_CHECK(!(flags & FLAG_ENCRYPTED), CN_EUNSUPPORTED, "%s: zip entry %s is encrypted", z->what, e->name);
    CN_CHECK(method == METHOD_STORED || method == METHOD_DEFLATED, CN_EUNSUPPORTED,
             "%s: zip entry %s uses compression method %u; only stored and deflated are read", z->what,
             e->name, method);
    CN_CHECK(read_extra64(name + name_length, extra_length, e), CN_EFORMAT,
             "%s: damaged zip: entry %s lacks its 64-bit sizes", z->what, e->name);
    e->deflated = method == METHOD_DEFLATED;
    if (e->deflated)
        CN_CHECK(e->size / MAX_RATIO <= e->packed, CN_EFORMAT,
                 "%s: damaged zip: entry %s claims to inflate %llu bytes to %llu", z->what, e->name,
                 (unsigned long long)e->packed, (unsigned long long)e->size);
    else
        CN_CHECK(e->packed == e->size, CN_EFORMAT, "%s: damaged zip: stored entry %s has two sizes", z->what,
                 e->name);
    CN_TRY(check_local(z, d, e, err));
    *at = name + name_length + extra_length + comment_length;
done:
    return st;
}

static int compare_names(const void *a, const void *b)
{
    const zip_entry *x = *(zip_entry *const *)a, *y = *(zip_entry *const *)b;
    return strcmp(x->name, y->name);
}

static int compare_places(const void *a, const void *b)
{
    const zip_entry *x = *(zip_entry *const *)a, *y = *(zip_entry *const *)b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static cn_status check_overlaps(const zip *z, cn_error *err)
{
    cn_status st = CN_OK;
    qsort(z->by_name, z->count, sizeof *z->by_name, compare_places);
    for (size_t i = 1; i < z->count; i++) {
        const zip_entry *a = z->by_name[i - 1], *b = z->by_name[i];
        CN_CHECK((uint64_t)(a->data - z->data) + a->packed <= b->header, CN_EFORMAT,
                 "%s: damaged zip: entries %s and %s overlap", z->what, a->name, b->name);
    }
    qsort(z->by_name, z->count, sizeof *z->by_name, compare_names);
    for (size_t i = 1; i < z->count; i++)
        CN_CHECK(strcmp(z->by_name[i - 1]->name, z->by_name[i]->name) != 0, CN_EFORMAT,
                 "%s: damaged zip: two entries are named %s", z->what, z->by_name[i]->name);
done:
    return st;
}

cn_status zip_open(zip **out, const uint8_t *data, size_t size, const char *what, cn_error *err)
{
    return zip_open_large(out, data, size, what, CN_MAX_ZIP_ENTRIES, CN_MAX_WEIGHTS_HEADER, err);
}

cn_status zip_open_large(zip **out, const uint8_t *data, size_t size, const char *what, size_t max_entries, size_t max_directory, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    zip *z = cn_calloc(1, sizeof *z);
    CN_CHECK(z, CN_ENOMEM, "%s: out of memory", what);
    z->data = data;
    z->size = size;
    z->max_entries = max_entries;
    z->max_directory = max_directory;
    z->what = cn_strdup(what);
    CN_CHECK(z->what, CN_ENOMEM, "%s: out of memory", what);
    directory d = {0};
    CN_TRY(find_directory(z, &d, err));
    z->entries = cn_calloc((size_t)d.count, sizeof *z->entries);
    z->by_name = cn_calloc((size_t)d.count, sizeof *z->by_name);
    z->names = cn_malloc((size_t)d.size + (size_t)d.count); /* names lie within the directory, plus zeros */
    CN_CHECK(z->entries && z->by_name && z->names, CN_ENOMEM, "%s: out of memory", what);
    const uint8_t *at = data + d.offset;
    char *names = z->names;
    for (; z->count < d.count; z->count++) {
        CN_TRY(read_entry(z, &d, &at, data + d.offset + d.size, &names, &z->entries[z->count], err));
        z->by_name[z->count] = &z->entries[z->count];
    }
    CN_TRY(check_overlaps(z, err));
    *out = z, z = NULL;
done:
    zip_close(z);
    return st;
}

void zip_close(zip *z)
{
    if (!z)
        return;
    cn_free(z->what);
    cn_free(z->entries);
    cn_free(z->by_name);
    cn_free(z->names);
    cn_free(z);
}

size_t zip_count(const zip *z)
{
    return z->count;
}

const zip_entry *zip_at(const zip *z, size_t i)
{
    return &z->entries[i];
}

const zip_entry *zip_find(const zip *z, const char *name)
{
    size_t low = 0, high = z->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, z->by_name[middle]->name);
        if (order == 0)
            return z->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* zlib's memory comes from where the tests can make it fail. */
static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return cn_calloc(count, size);
}
static void zlib_free(void *opaque, void *p)
{
    (void)opaque;
    cn_free(p);
}

/* Inflates exactly e->size bytes; more or less is damage. */
static cn_status inflate_entry(const zip *z, const zip_entry *e, uint8_t *dst, cn_error *err)
{
    cn_status st = CN_OK;
    enum { PIECE = 1 << 30 }; /* zlib counts in unsigned int */
    z_stream s = {.zalloc = zlib_alloc, .zfree = zlib_free};
    bool open = inflateInit2(&s, -MAX_WBITS) == Z_OK;
    CN_CHECK(open, CN_ENOMEM, "%s: out of memory", z->what);
    uint64_t in = 0, out = 0;
    int code = Z_OK;
    do {
        uint64_t in_left = e->packed - in, out_left = e->size - out;
        s.next_in = (Bytef *)(e->data + in);
        s.avail_in = (uInt)(in_left < PIECE ? in_left : PIECE);
        s.next_out = dst + out;
        s.avail_out = (uInt)(out_left < PIECE ? out_left : PIECE);
        uInt in_given = s.avail_in, out_given = s.avail_out;
        code = inflate(&s, Z_NO_FLUSH);
        in += in_given - s.avail_in;
        out += out_given - s.avail_out;
        if (in_given == s.avail_in && out_given == s.avail_out)
            break; /* no progress: too little input or too little room */
    } while (code == Z_OK);
    CN_CHECK(code != Z_MEM_ERROR, CN_ENOMEM, "%s: out of memory", z->what);
    CN_CHECK(code == Z_STREAM_END && out == e->size && in == e->packed, CN_EFORMAT,
             "%s: damaged zip: entry %s does not inflate to the %llu bytes it claims", z->what, e->name,
             (unsigned long long)e->size);
    CN_CHECK(crc32_z(0, dst, (size_t)e->size) == e->crc, CN_EFORMAT,
             "%s: damaged zip: the checksum of entry %s is wrong", z->what, e->name);
done:
    if (open)
        inflateEnd(&s);
    return st;
}

cn_status zip_read(const zip *z, const zip_entry *e, size_t limit, const uint8_t **data, size_t *size,
                   uint8_t **owned, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *buffer = NULL;
    *owned = NULL;
    CN_CHECK(e->size <= limit, CN_ELIMIT, "%s: entry %s has %llu bytes, more than %zu", z->what, e->name,
             (unsigned long long)e->size, limit);
    if (e->deflated) {
        buffer = cn_malloc((size_t)e->size);
        CN_CHECK(buffer, CN_ENOMEM, "%s: %llu bytes for entry %s", z->what, (unsigned long long)e->size,
                 e->name);
        CN_TRY(inflate_entry(z, e, buffer, err));
        *owned = buffer;
        *data = buffer;
        buffer = NULL;
    } else {
        *data = e->data;
    }
    *size = (size_t)e->size;
done:
    cn_free(buffer);
    return st;
}
