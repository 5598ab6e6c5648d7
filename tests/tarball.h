/* tests/tarball.h -- archives for tests, written by libarchive. */
#ifndef TESTS_TARBALL_H
#define TESTS_TARBALL_H

#include <archive.h>
#include <archive_entry.h>
#include <stddef.h>
#include <string.h>

struct member {
    const char *name;
    const void *data; /* NULL: zero-terminated text in `text` */
    size_t size;
    const char *text;
    const char *link; /* a hard link to this name, without data */
};

/* format: ARCHIVE_FORMAT_TAR_USTAR, ...; filter: ARCHIVE_FILTER_NONE, ... 0 when it could not be written. */
static inline int write_archive(const char *path, int format, int filter, const struct member *members, size_t n)
{
    struct archive *a = archive_write_new();
    int ok = archive_write_set_format(a, format) == ARCHIVE_OK && archive_write_add_filter(a, filter) == ARCHIVE_OK &&
             archive_write_open_filename(a, path) == ARCHIVE_OK;
    for (size_t i = 0; ok && i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        const void *data = members[i].data ? members[i].data : members[i].text;
        const size_t size = members[i].data ? members[i].size : members[i].text ? strlen(members[i].text) : 0;
        const size_t length = strlen(members[i].name);
        archive_entry_set_pathname(e, members[i].name);
        archive_entry_set_filetype(e, members[i].name[length - 1] == '/' ? AE_IFDIR : AE_IFREG);
        archive_entry_set_perm(e, 0644);
        if (members[i].link)
            archive_entry_set_hardlink(e, members[i].link);
        else
            archive_entry_set_size(e, (la_int64_t)size);
        ok = archive_write_header(a, e) >= ARCHIVE_WARN && /* a warning: a name in no locale */
             (members[i].link || size == 0 || archive_write_data(a, data, size) == (la_ssize_t)size);
        archive_entry_free(e);
    }
    ok = archive_write_close(a) == ARCHIVE_OK && ok;
    archive_write_free(a);
    return ok;
}

#endif
