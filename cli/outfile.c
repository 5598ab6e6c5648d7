/* cli/outfile.c -- a temporary file beside the target, renamed at the end. */
#include "outfile.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int outfile_open(struct outfile *out, const char *path)
{
    memset(out, 0, sizeof *out);
    if (strcmp(path, "-") == 0) {
        out->stream = stdout;
        return EXIT_DONE;
    }
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) { /* a device or a pipe is written directly */
        out->stream = fopen(path, "we");
        out->path = need_format("%s", path);
        return out->stream ? EXIT_DONE : fail("%s: cannot be written: %s", path, strerror(errno));
    }
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash + 1 - path) : 0;
    out->path = need_format("%s", path);
    out->temporary = need_format("%.*s.%s.XXXXXX", folder, path, path + folder);
    int fd = mkostemp(out->temporary, 0);
    if (fd < 0 || !(out->stream = fdopen(fd, "w"))) {
        fail("%s: cannot be written: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        outfile_discard(out);
        return EXIT_FAILED;
    }
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    return EXIT_DONE;
}

int outfile_commit(struct outfile *out)
{
    if (!out->path)
        return EXIT_DONE; /* standard output: finish_stdout looks after it */
    errno = 0;
    bool good = fflush(out->stream) == 0 && !ferror(out->stream);
    int reason = errno;
    if (fclose(out->stream) != 0 && good) {
        good = false;
        reason = errno;
    }
    out->stream = NULL;
    if (good && out->temporary && rename(out->temporary, out->path) != 0) {
        good = false;
        reason = errno;
    }
    int code =
        good ? EXIT_DONE : fail("%s: cannot be written: %s", out->path, strerror(reason ? reason : EIO));
    if (good) {
        free(out->temporary);
        out->temporary = NULL;
    }
    outfile_discard(out);
    return code;
}

void outfile_discard(struct outfile *out)
{
    if (out->stream && out->path)
        fclose(out->stream);
    if (out->temporary)
        unlink(out->temporary);
    free(out->temporary);
    free(out->path);
    memset(out, 0, sizeof *out);
}

void csv_field(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}
