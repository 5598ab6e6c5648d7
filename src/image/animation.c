/* image/animation.c -- animated PNG files. Each frame is encoded as a picture of its own; its compressed data then goes into the
 * one file between frame headers (Animated PNG, part of the PNG specification since its third edition, 2025). Programs that know
 * still pictures only show the first frame. */
#include "clipneuron/image.h"

#include "base/check.h"
#include "base/memory.h"
#include "file/output.h"
#include "image/picture.h"

#include <string.h>
#include <zlib.h>

enum { SIGNATURE = 8, CHUNK_EXTRA = 12, MAX_FRAMES = 100000 };

typedef struct animation {
    uint8_t *bytes;
    size_t size, room;
    uint32_t sequence; /* of frame headers and their data, counted together */
} animation;

static void put_u32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static cn_status append(animation *a, const void *bytes, size_t size, cn_error *err)
{
    if (a->size + size > a->room) {
        const size_t room = 2 * a->room + size + 4096;
        uint8_t *grown = cn_realloc(a->bytes, room);
        if (!grown)
            return cn_fail(err, CN_ENOMEM, "out of memory for an animation of %zu bytes", a->size + size);
        a->bytes = grown;
        a->room = room;
    }
    memcpy(a->bytes + a->size, bytes, size);
    a->size += size;
    return CN_OK;
}

/* A chunk whose data are `head` and then `body`. */
static cn_status append_chunk(animation *a, const char *type, const uint8_t *head, size_t head_size, const uint8_t *body, size_t body_size,
                              cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t number[4];
    const size_t start = a->size + 4;
    put_u32(number, (uint32_t)(head_size + body_size));
    CN_TRY(append(a, number, 4, err));
    CN_TRY(append(a, type, 4, err));
    CN_TRY(append(a, head, head_size, err));
    if (body_size)
        CN_TRY(append(a, body, body_size, err));
    put_u32(number, (uint32_t)crc32_z(0, a->bytes + start, a->size - start));
    CN_TRY(append(a, number, 4, err));
done:
    return st;
}

static cn_status frame_header(animation *a, int width, int height, int milliseconds, cn_error *err)
{
    uint8_t d[26] = {0}; /* offsets, disposal and blending are zero: each frame takes the place of the last */
    put_u32(d, a->sequence++);
    put_u32(d + 4, (uint32_t)width);
    put_u32(d + 8, (uint32_t)height);
    d[20] = (uint8_t)(milliseconds >> 8), d[21] = (uint8_t)milliseconds;
    d[22] = 1000 >> 8, d[23] = 1000 & 255;
    return append_chunk(a, "fcTL", d, sizeof d, NULL, 0, err);
}

/* One encoded frame: the first gives all of its chunks but the end, the others their data. */
static cn_status add_frame(animation *a, const uint8_t *png, size_t size, uint32_t frames, bool first, int width, int height, int milliseconds,
                           cn_error *err)
{
    cn_status st = CN_OK;
    bool headed = false;
    if (first)
        CN_TRY(append(a, png, SIGNATURE, err));
    for (size_t at = SIGNATURE; at + CHUNK_EXTRA <= size;) {
        const size_t length = get_u32(png + at);
        const uint8_t *type = png + at + 4, *data = png + at + 8;
        const bool is_data = memcmp(type, "IDAT", 4) == 0, is_end = memcmp(type, "IEND", 4) == 0;
        if (is_data && !headed) {
            if (first) {
                uint8_t control[8] = {0}; /* plays for ever */
                put_u32(control, frames);
                CN_TRY(append_chunk(a, "acTL", control, sizeof control, NULL, 0, err));
            }
            CN_TRY(frame_header(a, width, height, milliseconds, err));
            headed = true;
        }
        if (is_data && !first) {
            uint8_t number[4];
            put_u32(number, a->sequence++);
            CN_TRY(append_chunk(a, "fdAT", number, sizeof number, data, length, err));
        } else if (first && !is_end) {
            CN_TRY(append(a, png + at, length + CHUNK_EXTRA, err));
        }
        at += length + CHUNK_EXTRA;
    }
done:
    return st;
}

cn_status cn_png_write_animation(const char *path, const uint8_t *const *frames, size_t n, int width, int height, int channels, int milliseconds,
                                 cn_error *err)
{
    cn_status st = CN_OK;
    animation a = {0};
    void *png = NULL;
    size_t size = 0;
    CN_CHECK(n >= 1 && n <= MAX_FRAMES, CN_EINVAL, "%s: an animation has 1 to %d frames, not %zu", path, MAX_FRAMES, n);
    CN_CHECK(width >= 1 && height >= 1 && width <= CN_MAX_IMAGE_SIDE && height <= CN_MAX_IMAGE_SIDE &&
                 (int64_t)width * height <= CN_MAX_IMAGE_PIXELS && (channels == 3 || channels == 4),
             CN_EINVAL, "%s: cannot write a picture of %d x %d px in %d channels", path, width, height, channels);
    CN_CHECK(milliseconds >= 1 && milliseconds <= 65535, CN_EINVAL, "%s: a frame lasts 1 to 65535 ms, not %d", path, milliseconds);
    for (size_t i = 0; i < n; i++) {
        CN_TRY(png_encode(frames[i], width, height, channels, NULL, 0, &png, &size, err));
        CN_TRY(add_frame(&a, png, size, (uint32_t)n, i == 0, width, height, i + 1 == n ? 2000 : milliseconds, err));
        cn_free(png);
        png = NULL;
    }
    CN_TRY(append_chunk(&a, "IEND", (const uint8_t *)"", 0, NULL, 0, err));
    CN_TRY(output_file(path, a.bytes, a.size, err));
done:
    cn_free(png);
    cn_free(a.bytes);
    return st;
}
