/* file/archive.c -- libarchive walks through tars and tells where each file's bytes are; reading takes them from there. */
#include "file/archive.h"

#include "base/memory.h"
#include "file/filemap.h"
#include "file/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)16 << 10) /* of a plain tar: headers are read, what lies between is jumped over */

struct bundle {
    char *path;
    filemap map; /* of a zip */
    zip *zip;
    int file; /* a tar, unpacked; -1: none */
};

bool archive_name(const char *name)
{
    static const char *const endings[] = {".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst",
                                          ".tar.lz4", ".zip"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(name + length - n, endings[i]) == 0)
            return true;
    }
    return false;
}

/* ---- compressed tars ---- */

static struct archive *reader(bool filters, bool tar)
{
    struct archive *a = archive_read_new();
    if (!a)
        return NULL;
    if (filters) { /* those that libarchive has without starting programs; a warning says that it has not */
        archive_read_support_filter_gzip(a);
        archive_read_support_filter_bzip2(a);
        archive_read_support_filter_xz(a);
        archive_read_support_filter_zstd(a);
        archive_read_support_filter_lz4(a);
    }
    if (tar)
        archive_read_support_format_tar(a);
    else
        archive_read_support_format_raw(a);
    return a;
}

static cn_status broken(const bundle *b, struct archive *a, cn_error *err)
{
    const char *why = archive_error_string(a);
    if (archive_errno(a) == ENOMEM)
        return cn_fail(err, CN_ENOMEM, "%s: out of memory", b->path);
    return cn_fail(err, CN_EFORMAT, "%s: the archive is damaged: %s", b->path, why ? why : "it cannot be read");
}

static bool is_compressed(int file)
{
    static const struct {
        const char *bytes;
        size_t n;
    } magics[] = {{"\x1f\x8b", 2}, {"BZh", 3}, {"\xfd" "7zXZ", 5}, {"\x28\xb5\x2f\xfd", 4}, {"\x04\x22\x4d\x18", 4}};
    char start[8];
    const ssize_t n = pread(file, start, sizeof start, 0);
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (n >= (ssize_t)magics[i].n && memcmp(start, magics[i].bytes, magics[i].n) == 0)
            return true;
    return false;
}

static cn_status write_all(const bundle *b, int file, const char *bytes, size_t size, cn_error *err)
{
    while (size) {
        const ssize_t n = write(file, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cn_fail(err, CN_EIO, "%s: cannot be unpacked into a temporary file: %s", b->path, strerror(n < 0 ? errno : ENOSPC));
        bytes += n;
        size -= (size_t)n;
    }
    return CN_OK;
}

/* A file without a name in the folder for temporary ones. */
static int temporary_file(void)
{
    const char *folder = getenv("TMPDIR");
    char name[4096];
    if (!folder || !*folder)
        folder = "/tmp";
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return file;
    if (snprintf(name, sizeof name, "%s/clipneuron-XXXXXX", folder) >= (int)sizeof name)
        return -1;
    file = mkostemp(name, O_CLOEXEC);
    if (file >= 0)
        unlink(name);
    return file;
}

/* b->file: the compressed file, afterwards what is in it. What comes behind damage is left out, and bundle_list will meet the end. */
static cn_status unpack(bundle *b, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t total = 0;
    int unpacked = -1;
    struct archive_entry *entry;
    struct archive *a = reader(true, false);
    CN_CHECK(a, CN_ENOMEM, "%s: out of memory", b->path);
    CN_CHECK(archive_read_open_fd(a, b->file, (size_t)256 << 10) == ARCHIVE_OK && archive_read_next_header(a, &entry) == ARCHIVE_OK,
             CN_EFORMAT, "%s: the archive is damaged: it cannot be unpacked", b->path);
    unpacked = temporary_file();
    CN_CHECK(unpacked >= 0, CN_EIO, "%s: a temporary file to unpack it cannot be made: %s", b->path, strerror(errno));
    for (;;) {
        const void *bytes;
        size_t size;
        la_int64_t offset;
        const int code = archive_read_data_block(a, &bytes, &size, &offset);
        if (code == ARCHIVE_EOF || code <= ARCHIVE_FAILED)
            break;
        total += (int64_t)size;
        CN_CHECK(total <= ARCHIVE_MAX_UNPACKED, CN_ELIMIT, "%s: unpacks to more than %lld bytes", b->path, (long long)ARCHIVE_MAX_UNPACKED);
        CN_TRY(write_all(b, unpacked, bytes, size, err));
    }
    close(b->file);
    b->file = unpacked, unpacked = -1;
done:
    if (unpacked >= 0)
        close(unpacked);
    archive_read_free(a);
    return st;
}

/* ---- opening ---- */

cn_status bundle_open(bundle **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    uint8_t start[4] = {0};
    bundle *b = cn_calloc(1, sizeof *b);
    *out = NULL;
    CN_CHECK(b, CN_ENOMEM, "%s: out of memory", path);
    b->file = -1;
    b->path = cn_strdup(path);
    CN_CHECK(b->path, CN_ENOMEM, "%s: out of memory", path);
    b->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    CN_CHECK(b->file >= 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path, strerror(errno));
    CN_CHECK(fstat(b->file, &info) == 0, CN_EIO, "%s: %s", path, strerror(errno));
    CN_CHECK(S_ISREG(info.st_mode), CN_EIO, "%s: not a regular file", path);
    CN_CHECK(info.st_size > 0, CN_EFORMAT, "%s: the archive is empty", path);
    if (pread(b->file, start, sizeof start, 0) == sizeof start && start[0] == 'P' && start[1] == 'K') {
        CN_TRY(filemap_open(&b->map, path, err));
        CN_TRY(zip_open_large(&b->zip, b->map.data, b->map.size, path, ARCHIVE_MAX_ENTRIES, ARCHIVE_MAX_DIRECTORY, err));
        close(b->file);
        b->file = -1;
    } else if (is_compressed(b->file)) {
        CN_TRY(unpack(b, err));
    }
    *out = b, b = NULL;
done:
    bundle_close(b);
    return st;
}

void bundle_close(bundle *b)
{
    if (!b)
        return;
    zip_close(b->zip);
    filemap_close(&b->map);
    if (b->file >= 0)
        close(b->file);
    cn_free(b->path);
    cn_free(b);
}

/* ---- listing ---- */

static const char *plain_name(const char *name)
{
    while (name[0] == '.' && name[1] == '/') {
        name += 2;
        while (*name == '/')
            name++;
    }
    return name;
}

static cn_status list_zip(const bundle *b, cn_status (*each)(const bundle_entry *, void *, cn_error *), void *user, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < zip_count(b->zip); i++) {
        const zip_entry *e = zip_at(b->zip, i);
        const char *name = plain_name(e->name);
        const size_t length = strlen(name);
        if (length == 0 || length > ARCHIVE_MAX_NAME || name[length - 1] == '/') /* a folder */
            continue;
        const bundle_entry entry = {.name = name, .size = e->size > INT64_MAX ? INT64_MAX : (int64_t)e->size, .at = (int64_t)i};
        CN_TRY(each(&entry, user, err));
    }
done:
    return st;
}

static cn_status list_tar(bundle *b, cn_status (*each)(const bundle_entry *, void *, cn_error *), void *user, cn_error *err)
{
    cn_status st = CN_OK;
    struct archive_entry *e;
    int code;
    struct archive *a = reader(false, true);
    CN_CHECK(a, CN_ENOMEM, "%s: out of memory", b->path);
    CN_CHECK(lseek(b->file, 0, SEEK_SET) == 0, CN_EIO, "%s: %s", b->path, strerror(errno));
    if (archive_read_open_fd(a, b->file, BLOCK) != ARCHIVE_OK)
        CN_TRY(broken(b, a, err));
    for (size_t n = 0; (code = archive_read_next_header(a, &e)) == ARCHIVE_OK || code == ARCHIVE_WARN; n++) {
        CN_CHECK(n < ARCHIVE_MAX_ENTRIES, CN_ELIMIT, "%s: more than %zu entries", b->path, ARCHIVE_MAX_ENTRIES);
        const char *name = archive_entry_pathname(e);
        if (!name) /* one that cannot be said in the program's locale */
            name = archive_entry_pathname_utf8(e);
        if (!name || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) || archive_entry_sparse_count(e) > 0)
            continue;
        name = plain_name(name);
        const size_t length = strlen(name);
        if (length == 0 || length > ARCHIVE_MAX_NAME || name[length - 1] == '/')
            continue;
        const bundle_entry entry = {.name = name, .size = archive_entry_size(e), .at = archive_filter_bytes(a, 0)};
        CN_TRY(each(&entry, user, err));
    }
    if (code != ARCHIVE_EOF)
        CN_TRY(broken(b, a, err));
done:
    archive_read_free(a);
    return st;
}

cn_status bundle_list(bundle *b, cn_status (*each)(const bundle_entry *, void *, cn_error *), void *user, cn_error *err)
{
    return b->zip ? list_zip(b, each, user, err) : list_tar(b, each, user, err);
}

/* ---- reading ---- */

static cn_status read_zip(const bundle *b, int64_t at, size_t limit, int64_t size, uint8_t **bytes, cn_error *err)
{
    cn_status st = CN_OK;
    const uint8_t *data;
    size_t n;
    uint8_t *owned = NULL;
    CN_CHECK(at >= 0 && (size_t)at < zip_count(b->zip) && zip_at(b->zip, (size_t)at)->size == (uint64_t)size, CN_EFORMAT,
             "%s: the archive has changed", b->path);
    CN_TRY(zip_read(b->zip, zip_at(b->zip, (size_t)at), limit, &data, &n, &owned, err));
    if (!owned) {
        owned = cn_malloc(n ? n : 1);
        CN_CHECK(owned, CN_ENOMEM, "%s: out of memory for %zu bytes", b->path, n);
        memcpy(owned, data, n);
    }
    *bytes = owned, owned = NULL;
done:
    cn_free(owned);
    return st;
}

cn_status bundle_read(const bundle *b, int64_t at, int64_t size, size_t limit, uint8_t **out, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *bytes = NULL;
    *out = NULL;
    CN_CHECK(size >= 0 && (uint64_t)size <= limit, CN_ELIMIT, "%lld bytes; %zu are allowed", (long long)size, limit);
    if (b->zip)
        return read_zip(b, at, limit, size, out, err);
    bytes = cn_malloc(size ? (size_t)size : 1);
    CN_CHECK(bytes, CN_ENOMEM, "%s: out of memory for %lld bytes", b->path, (long long)size);
    for (size_t got = 0; got < (size_t)size;) {
        const ssize_t n = pread(b->file, bytes + got, (size_t)size - got, at + (int64_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        CN_CHECK(n >= 0, CN_EIO, "%s: %s", b->path, strerror(errno));
        CN_CHECK(n > 0, CN_EFORMAT, "the archive ends too early: %zu of %lld bytes are there", got, (long long)size);
        got += (size_t)n;
    }
    *out = bytes, bytes = NULL;
done:
    cn_free(bytes);
    return st;
}
