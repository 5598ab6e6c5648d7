/* study/matrix.c -- stdio to write, mmap to read. */
#include "study/matrix.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t row_bytes(const matrix *m)
{
    return (size_t)m->columns * cn_dtype_size(m->dtype);
}

static cn_status begin(matrix *m, const part *p, const char *name, cn_dtype dtype, int64_t columns, int64_t rows, cn_error *err)
{
    memset(m, 0, sizeof *m);
    m->dtype = dtype;
    m->columns = columns;
    m->rows = rows;
    m->path = part_file(p, name);
    return m->path ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for a path");
}

/* Whether the file has the rows that it should have. */
static cn_status check_size(const matrix *m, int fd, cn_error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return cn_fail(err, CN_EIO, "%s: %s", m->path, strerror(errno));
    if (info.st_size < 0 || (uint64_t)info.st_size < (uint64_t)row_bytes(m) * (uint64_t)m->rows)
        return cn_fail(err, CN_EFORMAT, "%s: damaged: too short for %lld rows", m->path, (long long)m->rows);
    return CN_OK;
}

cn_status matrix_open(matrix *m, const part *p, const char *name, cn_dtype dtype, int64_t columns, int64_t rows, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(begin(m, p, name, dtype, columns, rows, err));
    m->file = fopen(m->path, rows ? "r+be" : "w+be");
    CN_CHECK(m->file, CN_EIO, "%s: %s", m->path, strerror(errno));
    CN_TRY(check_size(m, fileno(m->file), err));
    const off_t end = (off_t)(row_bytes(m) * (size_t)rows);
    CN_CHECK(ftruncate(fileno(m->file), end) == 0 && fseeko(m->file, end, SEEK_SET) == 0, CN_EIO, "%s: %s", m->path, strerror(errno));
done:
    return st;
}

static cn_status map(matrix *m, int fd, cn_error *err)
{
    const size_t size = row_bytes(m) * (size_t)m->rows;
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->mapped);
    m->data = NULL;
    if (size == 0)
        return CN_OK;
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return cn_fail(err, CN_ENOMEM, "%s: cannot be mapped: %s", m->path, strerror(errno));
    m->data = p;
    m->mapped = size;
    return CN_OK;
}

cn_status matrix_read(matrix *m, const part *p, const char *name, cn_dtype dtype, int64_t columns, int64_t rows, cn_error *err)
{
    cn_status st = CN_OK;
    int fd = -1;
    CN_TRY(begin(m, p, name, dtype, columns, rows, err));
    fd = open(m->path, O_RDONLY | O_CLOEXEC);
    CN_CHECK(fd >= 0, errno == ENOENT ? CN_EFORMAT : CN_EIO, "%s: %s", m->path, strerror(errno));
    CN_TRY(check_size(m, fd, err));
    CN_TRY(map(m, fd, err));
done:
    if (fd >= 0)
        close(fd);
    return st;
}

cn_status matrix_row(matrix *m, const void *row, cn_error *err)
{
    if (row_bytes(m) && fwrite(row, row_bytes(m), 1, m->file) != 1)
        return cn_fail(err, CN_EIO, "%s: %s", m->path, strerror(errno));
    m->rows++;
    return CN_OK;
}

cn_status matrix_flush(matrix *m, cn_error *err)
{
    if (fflush(m->file) != 0 || fdatasync(fileno(m->file)) != 0)
        return cn_fail(err, CN_EIO, "%s: %s", m->path, strerror(errno));
    return CN_OK;
}

cn_status matrix_map(matrix *m, cn_error *err)
{
    if (fflush(m->file) != 0)
        return cn_fail(err, CN_EIO, "%s: %s", m->path, strerror(errno));
    return map(m, fileno(m->file), err);
}

const void *matrix_at(const matrix *m, int64_t row)
{
    return (const char *)m->data + (size_t)row * row_bytes(m);
}

void matrix_let_go(const matrix *m)
{
    if (m->data)
        madvise((void *)(uintptr_t)m->data, m->mapped, MADV_DONTNEED); /* shared and never written: they stay in the file */
}

void matrix_close(matrix *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->mapped);
    if (m->file)
        fclose(m->file);
    cn_free(m->path);
    memset(m, 0, sizeof *m);
}
