/* image/load.c -- from a file or bytes to a picture: reads, recognises the format by content, decodes, turns.
 * The file is read rather than mapped: a mapping of a file that someone shortens meanwhile kills the process. */
#include "image/picture.h"

#include "base/check.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool starts_with(const uint8_t *bytes, size_t size, const char *magic, size_t length)
{
    return size >= length && memcmp(bytes, magic, length) == 0;
}

cn_status cn_image_decode(cn_image **out, const void *bytes, size_t size, const char *name,
                          const cn_image_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    cn_image *image = NULL;
    picture_source src = {.bytes = bytes, .size = size, .name = name ? name : "(memory)"};
    if (options)
        src.options = *options;
    *out = NULL;
    CN_CHECK(size > 0, CN_EFORMAT, "%s: the file is empty", src.name);
    CN_CHECK(size <= CN_MAX_IMAGE_FILE, CN_ELIMIT, "%s: %zu bytes; a picture file may have %zu", src.name,
             size, CN_MAX_IMAGE_FILE);
    if (starts_with(bytes, size, "\xff\xd8\xff", 3))
        CN_TRY(jpeg_decode(&image, &src, err));
    else if (starts_with(bytes, size, "\x89PNG\r\n\x1a\n", 8))
        CN_TRY(png_decode(&image, &src, err));
    else if (starts_with(bytes, size, "RIFF", 4) && size >= 12 && memcmp(src.bytes + 8, "WEBP", 4) == 0)
        CN_TRY(webp_decode(&image, &src, err));
    else if (starts_with(bytes, size, "GIF87a", 6) || starts_with(bytes, size, "GIF89a", 6))
        CN_TRY(gif_decode(&image, &src, err));
    else
        CN_CHECK(false, CN_EUNSUPPORTED, "%s: not a JPEG, PNG, WebP or GIF picture", src.name);
    picture_drop_opaque(image);
    if (src.options.apply_orientation)
        CN_TRY(picture_orient(image, exif_orientation(bytes, size, image->format), err));
    *out = image, image = NULL;
done:
    cn_image_free(image);
    return st;
}

cn_status picture_read(uint8_t **out, size_t *out_size, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *bytes = NULL;
    size_t size = 0, got = 0;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would wait for ever */
    *out = NULL;
    CN_CHECK(fd >= 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path, strerror(errno));
    CN_CHECK(fstat(fd, &info) == 0, CN_EIO, "%s: %s", path, strerror(errno));
    CN_CHECK(S_ISREG(info.st_mode), CN_EIO, "%s: not a regular file", path);
    CN_CHECK(info.st_size <= (off_t)CN_MAX_IMAGE_FILE, CN_ELIMIT,
             "%s: %lld bytes; a picture file may have %zu", path, (long long)info.st_size, CN_MAX_IMAGE_FILE);
    size = (size_t)info.st_size;
    bytes = cn_malloc(size);
    CN_CHECK(bytes, CN_ENOMEM, "%s: out of memory for %zu bytes", path, size);
    while (got < size) {
        ssize_t n = read(fd, bytes + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        CN_CHECK(n >= 0, CN_EIO, "%s: %s", path, strerror(errno));
        if (n == 0) /* shortened meanwhile; the decoder will say what is missing */
            break;
        got += (size_t)n;
    }
    *out = bytes, bytes = NULL;
    *out_size = got;
done:
    if (fd >= 0)
        close(fd);
    cn_free(bytes);
    return st;
}

cn_status cn_image_load(cn_image **out, const char *path, const cn_image_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *bytes = NULL;
    size_t size;
    *out = NULL;
    CN_TRY(picture_read(&bytes, &size, path, err));
    CN_TRY(cn_image_decode(out, bytes, size, path, options, err));
done:
    cn_free(bytes);
    return st;
}
