/* file/filemap.c -- read-only memory maps of regular files. */
#include "file/filemap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

cn_status filemap_open(filemap *m, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    *m = (filemap){0};
    /* O_NONBLOCK: opening a pipe without a writer must not hang before fstat can refuse it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    CN_CHECK(fd >= 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path, strerror(errno));
    struct stat info;
    CN_CHECK(fstat(fd, &info) == 0, CN_EIO, "%s: %s", path, strerror(errno));
    CN_CHECK(!S_ISDIR(info.st_mode), CN_EUNSUPPORTED, "%s: this is a folder, a file is needed", path);
    CN_CHECK(S_ISREG(info.st_mode), CN_EUNSUPPORTED, "%s: not a regular file", path);
    CN_CHECK(info.st_size > 0, CN_EFORMAT, "%s: the file is empty", path);
    CN_CHECK((uint64_t)info.st_size <= PTRDIFF_MAX, CN_ELIMIT, "%s: too large for this machine", path);
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    CN_CHECK(data != MAP_FAILED, CN_EIO, "%s: cannot be mapped: %s", path, strerror(errno));
    m->data = data;
    m->size = (size_t)info.st_size;
done:
    if (fd >= 0)
        close(fd);
    return st;
}

void filemap_close(filemap *m)
{
    if (m->data)
        munmap((void *)m->data, m->size);
    *m = (filemap){0};
}

void filemap_drop(const filemap *m)
{
    if (m->data)
        (void)madvise((void *)m->data, m->size, MADV_DONTNEED);
}
