/* file/output.c -- atomic output files: temporary file, fsync, rename. */
#include "file/output.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_BUFFER ((size_t)64 << 10) /* bytes; small enough for many outputs at once */

struct output {
    char *path;   /* as given */
    char *target; /* path with links resolved; where the rename goes */
    char *temp;   /* NULL when a device is written directly */
    int fd;
    cn_status status; /* the first failure */
    int saved_errno;
    uint64_t position;
    size_t fill;
    uint8_t buffer[OUTPUT_BUFFER];
};

static void output_free(output *o)
{
    if (!o)
        return;
    if (o->fd >= 0)
        close(o->fd);
    cn_free(o->path);
    cn_free(o->target);
    cn_free(o->temp);
    cn_free(o);
}

void output_discard(output *o)
{
    if (o && o->temp)
        (void)unlink(o->temp);
    output_free(o);
}

static cn_status failed(output *o, int error, cn_error *err)
{
    o->status = CN_EIO;
    o->saved_errno = error;
    return cn_fail(err, CN_EIO, "%s: cannot be written: %s", o->path, strerror(error));
}

/* The file that a chain of links ends at, also when that one does not exist yet; owned. */
static cn_status resolve(char **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    char *current = cn_strdup(path), *next = NULL;
    CN_CHECK(current, CN_ENOMEM, "%s: out of memory", path);
    for (int hops = 0;; hops++) {
        char link[4096];
        ssize_t length = readlink(current, link, sizeof link);
        if (length < 0)
            break; /* not a link, or not there: this is the name */
        CN_CHECK(hops < 40 && (size_t)length < sizeof link, CN_EIO, "%s: %s", path, strerror(ELOOP));
        const char *slash = strrchr(current, '/');
        size_t folder = link[0] == '/' || !slash ? 0 : (size_t)(slash - current) + 1;
        next = cn_malloc(folder + (size_t)length + 1);
        CN_CHECK(next, CN_ENOMEM, "%s: out of memory", path);
        memcpy(next, current, folder);
        memcpy(next + folder, link, (size_t)length);
        next[folder + (size_t)length] = '\0';
        cn_free(current);
        current = next, next = NULL;
    }
    *out = current, current = NULL;
done:
    cn_free(current);
    return st;
}

/* Opens a new file `.clipneuron-<random>.part` beside the target. Its name does not depend on the
 * target's, which may be as long as the file system allows already. */
static cn_status open_temp(output *o, const struct stat *old, cn_error *err)
{
    cn_status st = CN_OK;
    const char *slash = strrchr(o->target, '/');
    size_t folder = slash ? (size_t)(slash - o->target) + 1 : 0;
    size_t room = folder + 48;
    o->temp = cn_malloc(room);
    CN_CHECK(o->temp, CN_ENOMEM, "%s: out of memory", o->path);
    memcpy(o->temp, o->target, folder);
    for (int attempt = 0; o->fd < 0; attempt++) {
        uint64_t random = (uint64_t)getpid() << 32 | (uint64_t)attempt;
        (void)!getrandom(&random, sizeof random, 0);
        snprintf(o->temp + folder, room - folder, ".clipneuron-%016llx.part", (unsigned long long)random);
        o->fd = open(o->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (o->fd < 0 && (errno != EEXIST || attempt == 100)) {
            st = failed(o, errno, err);
            cn_free(o->temp); /* not ours: nothing to unlink */
            o->temp = NULL;
            goto done;
        }
    }
    if (old) /* keep the permissions of the file that will be replaced, as far as we may */
        (void)!fchmod(o->fd, old->st_mode & 07777);
done:
    return st;
}

cn_status output_open(output **out, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    output *o = cn_calloc(1, sizeof *o);
    CN_CHECK(o, CN_ENOMEM, "%s: out of memory", path);
    o->fd = -1;
    o->path = cn_strdup(path);
    CN_CHECK(o->path, CN_ENOMEM, "%s: out of memory", path);
    CN_CHECK(path[0], CN_EIO, "an output file has an empty name");

    struct stat info;
    bool exists = stat(path, &info) == 0;
    CN_CHECK(!(exists && S_ISDIR(info.st_mode)), CN_EIO, "%s: cannot be written: %s", path, strerror(EISDIR));
    if (exists && !S_ISREG(info.st_mode)) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (o->fd < 0)
            CN_TRY(failed(o, errno, err));
    } else {
        /* Replacing a file that its owner has write-protected would succeed; that is not what was meant. */
        if (exists && access(path, W_OK) != 0)
            CN_TRY(failed(o, errno, err));
        CN_TRY(resolve(&o->target, path, err));
        CN_TRY(open_temp(o, exists ? &info : NULL, err));
    }
    *out = o, o = NULL;
done:
    output_discard(o);
    return st;
}

static cn_status write_all(output *o, const uint8_t *data, size_t size, cn_error *err)
{
    while (size) {
        ssize_t n = write(o->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(o, n < 0 ? errno : ENOSPC, err);
        data += n;
        size -= (size_t)n;
    }
    return CN_OK;
}

static cn_status flush(output *o, cn_error *err)
{
    size_t fill = o->fill;
    o->fill = 0;
    return write_all(o, o->buffer, fill, err);
}

cn_status output_write(output *o, const void *data, size_t size, cn_error *err)
{
    cn_status st = CN_OK;
    if (o->status != CN_OK)
        return failed(o, o->saved_errno, err);
    o->position += size;
    if (size > OUTPUT_BUFFER - o->fill) {
        CN_TRY(flush(o, err));
        if (size >= OUTPUT_BUFFER)
            return write_all(o, data, size, err);
    }
    if (size)
        memcpy(o->buffer + o->fill, data, size);
    o->fill += size;
done:
    return st;
}

cn_status output_text(output *o, const char *text, cn_error *err)
{
    return output_write(o, text, strlen(text), err);
}

cn_status output_printf(output *o, cn_error *err, const char *fmt, ...)
{
    cn_status st = CN_OK;
    char small[1024], *text = small;
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    CN_CHECK(length >= 0, CN_EINVAL, "%s: text cannot be formatted", o->path);
    if ((size_t)length >= sizeof small) {
        text = cn_malloc((size_t)length + 1);
        if (!text) {
            o->status = CN_EIO; /* the file has a hole: the commit must fail */
            o->saved_errno = ENOMEM;
            return cn_fail(err, CN_ENOMEM, "%s: out of memory", o->path);
        }
        va_start(args, fmt);
        vsnprintf(text, (size_t)length + 1, fmt, args);
        va_end(args);
    }
    CN_TRY(output_write(o, text, (size_t)length, err));
done:
    if (text != small)
        cn_free(text);
    return st;
}

uint64_t output_position(const output *o)
{
    return o->position;
}

const char *output_path(const output *o)
{
    return o->path;
}

cn_status output_commit(output *o, cn_error *err)
{
    cn_status st = CN_OK;
    if (o->status != CN_OK)
        CN_TRY(failed(o, o->saved_errno, err));
    CN_TRY(flush(o, err));
    if (o->temp) {
        if (fsync(o->fd) != 0 && errno != EINVAL && errno != EROFS)
            CN_TRY(failed(o, errno, err));
        int closed = close(o->fd);
        o->fd = -1;
        if (closed != 0)
            CN_TRY(failed(o, errno, err));
        if (rename(o->temp, o->target) != 0)
            CN_TRY(failed(o, errno, err));
        cn_free(o->temp);
        o->temp = NULL;
    }
done:
    output_discard(o);
    return st;
}

cn_status output_file(const char *path, const void *data, size_t size, cn_error *err)
{
    cn_status st = CN_OK;
    output *o = NULL;
    CN_TRY(output_open(&o, path, err));
    CN_TRY(output_write(o, data, size, err));
    st = output_commit(o, err);
    o = NULL;
done:
    output_discard(o);
    return st;
}
