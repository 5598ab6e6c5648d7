/* pull/pull.c -- FILE.part, its lock, its sum, and the rename at the end. */
#include "clipneuron/pull.h"

#include "base/check.h"
#include "base/memory.h"
#include "file/sha256.h"
#include "pull/transfer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPENAI "https://openaipublic.azureedge.net/clip/models"

struct job {
    const char *url, *sha256;
    char folder[CN_PULL_PATH_SIZE], path[CN_PULL_PATH_SIZE], part[CN_PULL_PATH_SIZE];
    cn_pull_options o; /* with the defaults filled in */
    int fd;            /* of the .part, locked; -1 */
    sha256 *sum;       /* of the bytes in the .part */
    int64_t have, resumed, received;
};

static cn_status make_folders(const char *folder, cn_error *err)
{
    char path[CN_PULL_PATH_SIZE];
    size_t length = strlen(folder);
    memcpy(path, folder, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        char kept = path[i];
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EISDIR)
            return cn_fail(err, CN_EIO, "%s: %s", path, strerror(errno));
        path[i] = kept;
    }
    return CN_OK;
}

static bool tell(const struct job *job, int64_t done, int64_t total, bool checking)
{
    cn_pull_progress p = {.done = done, .total = total, .checking = checking};
    return !job->o.progress || job->o.progress(&p, job->o.user);
}

/* Adds the bytes of an open file to the sum. */
static cn_status read_sum(struct job *job, int fd, const char *path, int64_t *size, cn_error *err)
{
    enum { PIECE = 1 << 20 };
    cn_status st = CN_OK;
    struct stat info;
    unsigned char *piece = cn_malloc(PIECE);
    *size = 0;
    CN_CHECK(piece, CN_ENOMEM, "%d bytes to read %s", PIECE, path);
    CN_CHECK(fstat(fd, &info) == 0 && lseek(fd, 0, SEEK_SET) == 0, CN_EIO, "%s: %s", path, strerror(errno));
    for (;;) {
        ssize_t n = read(fd, piece, PIECE);
        CN_CHECK(n >= 0, CN_EIO, "%s: %s", path, strerror(errno));
        if (n == 0)
            break;
        CN_TRY(sha256_add(job->sum, piece, (size_t)n, err));
        *size += n;
        CN_CHECK(tell(job, *size, info.st_size, true), CN_ECANCELED, "%s: stopped", path);
    }
done:
    cn_free(piece);
    return st;
}

static cn_status new_sum(struct job *job, cn_error *err)
{
    sha256_close(job->sum);
    job->sum = NULL;
    return sha256_open(&job->sum, err);
}

/* Whether the file is there under its name with the right sum. */
static cn_status already_there(struct job *job, bool *there, int64_t *size, cn_error *err)
{
    cn_status st = CN_OK;
    char hex[65];
    *there = false;
    int fd = open(job->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return CN_OK;
    CN_CHECK(fd >= 0, CN_EIO, "%s: %s", job->path, strerror(errno));
    CN_TRY(new_sum(job, err));
    CN_TRY(read_sum(job, fd, job->path, size, err));
    CN_TRY(sha256_hex(job->sum, hex, err));
    *there = strcasecmp(hex, job->sha256) == 0;
done:
    if (fd >= 0)
        close(fd);
    return st;
}

/* Opens and locks the .part. The lock is on the file itself; since the one before us may have renamed
 * it between our open and our lock, the name is looked at again under the lock. */
static cn_status open_part(struct job *job, cn_error *err)
{
    for (int tries = 0; tries < 8; tries++) {
        struct stat ours, named;
        job->fd = open(job->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (job->fd < 0)
            return cn_fail(err, CN_EIO, "%s: %s", job->part, strerror(errno));
        if (flock(job->fd, LOCK_EX | LOCK_NB) != 0)
            goto busy;
        if (fstat(job->fd, &ours) == 0 && stat(job->part, &named) == 0 && ours.st_ino == named.st_ino &&
            ours.st_dev == named.st_dev)
            return CN_OK;
        close(job->fd);
        job->fd = -1;
    }
    return cn_fail(err, CN_EIO, "%s: this file keeps changing", job->part);
busy:
    close(job->fd); /* not ours: the end of the call shall not touch it */
    job->fd = -1;
    return cn_fail(err, CN_EINVAL, "%s: another process is fetching this file", job->part);
}

static cn_status empty_part(struct job *job, cn_error *err)
{
    job->have = job->resumed = 0;
    if (ftruncate(job->fd, 0) != 0 || lseek(job->fd, 0, SEEK_SET) != 0)
        return cn_fail(err, CN_EIO, "%s: %s", job->part, strerror(errno));
    return new_sum(job, err);
}

/* Waits, asking now and then whether to go on. */
static cn_status wait_ms(const struct job *job, int64_t ms, cn_error *err)
{
    for (; ms > 0; ms -= 100) {
        int64_t now = ms < 100 ? ms : 100;
        struct timespec t = {.tv_sec = 0, .tv_nsec = (long)now * 1000000};
        nanosleep(&t, NULL);
        if (!tell(job, job->have, -1, false))
            return cn_fail(err, CN_ECANCELED, "%s: stopped; what has arrived is kept", job->part);
    }
    return CN_OK;
}

/* Requests until the whole file is there. An attempt that brought bytes does not count. */
static cn_status fetch(struct job *job, cn_error *err)
{
    int left = job->o.attempts;
    int64_t pause = job->o.wait_ms;
    for (;;) {
        cn_error reason = {0};
        transfer t = {.url = job->url,
                      .path = job->part,
                      .fd = job->fd,
                      .have = job->have,
                      .resumed = job->resumed,
                      .total = -1,
                      .sum = &job->sum,
                      .options = &job->o};
        int64_t before = job->have;
        cn_status st = transfer_run(&t, &reason);
        job->have = t.have;
        job->resumed = t.resumed;
        job->received += t.received;
        if (st == CN_OK)
            return CN_OK;
        if (t.end != TRANSFER_BROKEN || (--left <= 0))
            return cn_fail(err, st, "%s", reason.text);
        if (job->have > before) {
            left = job->o.attempts;
            pause = job->o.wait_ms;
        }
        cn_status waited = wait_ms(job, pause, err);
        if (waited != CN_OK)
            return waited;
        pause = pause * 2 < 60000 ? pause * 2 : 60000;
    }
}

/* Fills the .part and checks it. *right tells of the sum; nothing else is an error of the sum. */
static cn_status fill_part(struct job *job, bool *right, char hex[65], cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(fetch(job, err));
    CN_TRY(sha256_hex(job->sum, hex, err));
    *right = strcasecmp(hex, job->sha256) == 0;
done:
    return st;
}

static cn_status give_name(struct job *job, cn_error *err)
{
    cn_status st = CN_OK;
    int folder = -1;
    CN_CHECK(fsync(job->fd) == 0, CN_EIO, "%s: %s", job->part, strerror(errno));
    CN_CHECK(rename(job->part, job->path) == 0, CN_EIO, "%s: %s", job->path, strerror(errno));
    folder = open(job->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder); /* so that the name survives a power cut; the file is good without */
        close(folder);
    }
done:
    return st;
}

static cn_status run(struct job *job, cn_pull_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    bool there = false, right = false;
    int64_t size = 0;
    char hex[65];
    CN_TRY(make_folders(job->folder, err));
    CN_TRY(open_part(job, err));
    if (!job->o.force)
        CN_TRY(already_there(job, &there, &size, err));
    if (there) {
        unlink(job->part); /* empty, or left from another time */
    } else {
        CN_TRY(new_sum(job, err));
        if (job->o.force)
            CN_TRY(empty_part(job, err));
        CN_TRY(read_sum(job, job->fd, job->part, &job->have, err));
        int64_t kept = job->resumed = job->have;
        CN_TRY(fill_part(job, &right, hex, err));
        if (!right && kept > 0 && job->resumed > 0) {
            /* what an earlier call left may have been damaged (a power cut): once from the start */
            CN_TRY(empty_part(job, err));
            CN_TRY(fill_part(job, &right, hex, err));
        }
        if (!right)
            unlink(job->part);
        CN_CHECK(right, CN_EMISMATCH, "%s: wrong sum: SHA-256 is %s and must be %s; the file is removed",
                 job->url, hex, job->sha256);
        CN_TRY(give_name(job, err));
        size = job->have;
    }
    if (result) {
        memset(result, 0, sizeof *result);
        memcpy(result->path, job->path, sizeof result->path);
        result->bytes = size;
        result->received = job->received;
        result->resumed = there ? 0 : job->resumed;
    }
done:
    return st;
}

static cn_status set_names(struct job *job, const char *file, cn_error *err)
{
    cn_status st = CN_OK;
    if (job->o.folder) {
        CN_CHECK(job->o.folder[0] && strlen(job->o.folder) < CN_PULL_PATH_SIZE, CN_EINVAL,
                 "the folder's name is empty or longer than %d bytes", CN_PULL_PATH_SIZE - 1);
        snprintf(job->folder, sizeof job->folder, "%s", job->o.folder);
    } else {
        CN_TRY(cn_pull_folder(job->folder, err));
    }
    int a = snprintf(job->path, sizeof job->path, "%.3800s/%.250s", job->folder, file);
    int b = snprintf(job->part, sizeof job->part, "%.4080s.part", job->path);
    CN_CHECK(strlen(job->folder) <= 3800 && strlen(file) <= 250 && a > 0 && b > 0, CN_ELIMIT,
             "%s: the path is longer than %d bytes", file, CN_PULL_PATH_SIZE - 1);
done:
    return st;
}

static cn_status pull(const char *url, const char *file, const char *sum, const cn_pull_options *options,
                      cn_pull_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    struct job *job = cn_calloc(1, sizeof *job);
    CN_CHECK(job, CN_ENOMEM, "%zu bytes for a download", sizeof *job);
    job->fd = -1;
    job->url = url;
    job->sha256 = sum;
    if (options)
        job->o = *options;
    job->o.max_bytes = job->o.max_bytes > 0 ? job->o.max_bytes : CN_MAX_PULL_BYTES;
    job->o.attempts = job->o.attempts > 0 ? job->o.attempts : 5;
    job->o.wait_ms = job->o.wait_ms > 0 ? job->o.wait_ms : 1000;
    job->o.stall_s = job->o.stall_s > 0 ? job->o.stall_s : 60;
    CN_TRY(set_names(job, file, err));
    CN_TRY(run(job, result, err));
done:
    if (job) {
        struct stat info;
        if (st != CN_OK && job->fd >= 0 && fstat(job->fd, &info) == 0 && info.st_size == 0)
            unlink(job->part); /* nothing came: nothing to go on from */
        if (job->fd >= 0)
            close(job->fd); /* and the lock with it */
        sha256_close(job->sum);
        cn_free(job);
    }
    return st;
}

cn_status cn_pull(const cn_pull_model *model, const cn_pull_options *options, cn_pull_result *result,
                  cn_error *err)
{
    char url[CN_PULL_PATH_SIZE];
    const char *base = options && options->url_base ? options->url_base : OPENAI;
    size_t end = strlen(base);
    while (end > 0 && base[end - 1] == '/')
        end--;
    int length = snprintf(url, sizeof url, "%.*s/%s/%s", (int)end, base, model->sha256, model->file);
    if (length < 0 || (size_t)length >= sizeof url)
        return cn_fail(err, CN_ELIMIT, "the address has more than %zu bytes", sizeof url - 1);
    return pull(url, model->file, model->sha256, options, result, err);
}

cn_status cn_pull_url(const char *url, const char *sum, const cn_pull_options *options,
                      cn_pull_result *result, cn_error *err)
{
    char file[256];
    size_t digits = strspn(sum, "0123456789abcdefABCDEF");
    if (digits != 64 || sum[64])
        return cn_fail(err, CN_EINVAL, "%s: a SHA-256 has 64 hexadecimal digits", sum);
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
        return cn_fail(err, CN_EUNSUPPORTED, "%s: only http and https addresses are fetched", url);
    const char *path = strchr(strstr(url, "//") + 2, '/');
    size_t length = path ? strcspn(path, "?#") : 0;
    size_t first = length;
    while (first > 0 && path[first - 1] != '/')
        first--;
    length -= first;
    if (length == 0 || length > 250 || path[first] == '.')
        return cn_fail(err, CN_EINVAL, "%s: the address does not end in a file's name", url);
    memcpy(file, path + first, length);
    file[length] = '\0';
    return pull(url, file, sum, options, result, err);
}
