/* image/gif.c -- the first frame of a GIF, on its logical screen, as Pillow shows it: outside the frame lies
 * the transparent index, or index 0; indices beyond the palette are grey. An own decoder: one allocation,
 * and the corner cases are Pillow's. Not: animation. */
#include "image/picture.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

#define LZW_CODES 4096 /* 12 bits */

typedef struct gif_reader {
    const uint8_t *at, *end;
} gif_reader;

typedef struct gif_frame {
    int x, y, width, height;
    bool interlaced;
    int transparent; /* index or -1 */
    int palette_size;
    uint8_t palette[256][3];
} gif_frame;

static size_t left(const gif_reader *r)
{
    return (size_t)(r->end - r->at);
}

static int le16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

/* Steps over sub-blocks up to and with the empty one. false: the file ends first. */
static bool skip_blocks(gif_reader *r)
{
    while (left(r) > 0) {
        size_t n = *r->at++;
        if (n == 0)
            return true;
        if (n > left(r))
            return false;
        r->at += n;
    }
    return false;
}

static bool read_palette(gif_reader *r, int flags, gif_frame *frame)
{
    frame->palette_size = 2 << (flags & 7);
    if (left(r) < (size_t)frame->palette_size * 3)
        return false;
    memcpy(frame->palette, r->at, (size_t)frame->palette_size * 3);
    r->at += frame->palette_size * 3;
    return true;
}

/* Reads all up to the first image's data. */
static cn_status read_header(gif_reader *r, gif_frame *frame, int64_t *width, int64_t *height,
                             const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(left(r) >= 13, CN_EFORMAT, "%s: truncated GIF", src->name);
    *width = le16(r->at + 6);
    *height = le16(r->at + 8);
    int flags = r->at[10];
    r->at += 13;
    frame->transparent = -1;
    if (flags & 0x80)
        CN_CHECK(read_palette(r, flags, frame), CN_EFORMAT, "%s: truncated GIF", src->name);
    for (;;) {
        CN_CHECK(left(r) > 0, CN_EFORMAT, "%s: truncated GIF: no picture", src->name);
        int block = *r->at++;
        CN_CHECK(block != ';', CN_EFORMAT, "%s: a GIF without a picture", src->name);
        if (block == ',')
            break;
        if (block != '!') /* Pillow passes over what it does not know */
            continue;
        CN_CHECK(left(r) >= 2, CN_EFORMAT, "%s: truncated GIF", src->name);
        if (r->at[0] == 0xf9 && r->at[1] >= 4 && left(r) >= 6 && (r->at[2] & 1))
            frame->transparent = r->at[5];
        r->at++;
        CN_CHECK(skip_blocks(r), CN_EFORMAT, "%s: truncated GIF", src->name);
    }
    CN_CHECK(left(r) >= 9, CN_EFORMAT, "%s: truncated GIF", src->name);
    frame->x = le16(r->at);
    frame->y = le16(r->at + 2);
    frame->width = le16(r->at + 4);
    frame->height = le16(r->at + 6);
    flags = r->at[8];
    r->at += 9;
    frame->interlaced = flags & 0x40;
    if (flags & 0x80)
        CN_CHECK(read_palette(r, flags, frame), CN_EFORMAT, "%s: truncated GIF", src->name);
    CN_CHECK(frame->width > 0 && frame->height > 0, CN_EFORMAT, "%s: damaged GIF: an empty frame", src->name);
    if (frame->x + frame->width > *width) /* the screen grows, as in Pillow */
        *width = frame->x + frame->width;
    if (frame->y + frame->height > *height)
        *height = frame->y + frame->height;
done:
    return st;
}

/* Pillow takes a picture whose palette is the grey ramp 0, 1, 2... (or that has none) for grey. */
static bool is_grey(const gif_frame *frame)
{
    for (int i = 0; i < frame->palette_size; i++)
        for (int c = 0; c < 3; c++)
            if (frame->palette[i][c] != i)
                return false;
    return true;
}

typedef struct lzw {
    gif_reader *in;
    size_t block_left;
    uint32_t bits;
    int bit_count;
    int min_bits, clear, next, width, previous; /* previous: code, -1 after a clear */
    uint8_t first;                              /* byte of the previous string */
    uint16_t prefix[LZW_CODES];
    uint8_t suffix[LZW_CODES];
    uint8_t string[LZW_CODES + 1]; /* backwards */
} lzw;

enum { LZW_TRUNCATED = -1, LZW_DAMAGED = -2, LZW_END = -3 };

static int next_code(lzw *z)
{
    while (z->bit_count < z->width) {
        if (z->block_left == 0) {
            if (left(z->in) == 0)
                return LZW_TRUNCATED;
            z->block_left = *z->in->at++;
            if (z->block_left == 0)
                return LZW_END;
        }
        if (left(z->in) == 0)
            return LZW_TRUNCATED;
        z->bits |= (uint32_t)*z->in->at++ << z->bit_count;
        z->bit_count += 8;
        z->block_left--;
    }
    int code = (int)(z->bits & ((1u << z->width) - 1));
    z->bits >>= z->width;
    z->bit_count -= z->width;
    return code;
}

static void clear_table(lzw *z)
{
    z->next = z->clear + 2;
    z->width = z->min_bits + 1;
    z->previous = -1;
}

/* The next string of pixels lies backwards in z->string. Returns its length or a negative mark. */
static int next_string(lzw *z)
{
    int code = next_code(z);
    while (code == z->clear) {
        clear_table(z);
        code = next_code(z);
    }
    if (code < 0)
        return code;
    if (code == z->clear + 1)
        return LZW_END;
    if (code > z->next || (code == z->next && z->previous < 0) || (z->previous < 0 && code > z->clear))
        return LZW_DAMAGED;
    int n = 0, walk = code;
    if (code == z->next) { /* not in the table yet: the previous string and its first byte */
        z->string[n++] = z->first;
        walk = z->previous;
    }
    while (walk > z->clear) {
        z->string[n++] = z->suffix[walk];
        walk = z->prefix[walk];
    }
    z->string[n++] = z->first = (uint8_t)walk;
    if (z->previous >= 0 && z->next < LZW_CODES) {
        z->prefix[z->next] = (uint16_t)z->previous;
        z->suffix[z->next] = z->first;
        z->next++;
        if (z->next == 1 << z->width && z->width < 12)
            z->width++;
    }
    z->previous = code;
    return n;
}

/* Fills the frame's rectangle of `image` through `colours`. */
static cn_status read_frame(lzw *z, const gif_frame *frame, uint8_t colours[256][3], cn_image *image,
                            const picture_source *src, cn_error *err)
{
    static const int pass_start[4] = {0, 4, 2, 1}, pass_step[4] = {8, 8, 4, 2};
    int x = 0, y = 0, pass = 0, rows_left = frame->height;
    const int step = 1;
    while (rows_left > 0) {
        int n = next_string(z);
        if (n == LZW_DAMAGED)
            return cn_fail(err, CN_EFORMAT, "%s: damaged GIF: bad compressed data", src->name);
        if (n < 0)
            return cn_fail(err, CN_EFORMAT, "%s: truncated GIF: %d of %d rows are missing", src->name,
                           rows_left, frame->height);
        while (n > 0 && rows_left > 0) {
            uint8_t *to =
                image->rgb + 3 * ((size_t)(frame->y + y) * (size_t)image->width + (size_t)(frame->x + x));
            memcpy(to, colours[z->string[--n]], 3);
            if (++x < frame->width)
                continue;
            x = 0;
            rows_left--;
            y += frame->interlaced ? pass_step[pass] : step;
            while (frame->interlaced && y >= frame->height && pass < 3)
                y = pass_start[++pass];
        }
    }
    return CN_OK;
}

cn_status gif_decode(cn_image **out, const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    gif_reader reader = {src->bytes, src->bytes + src->size};
    gif_frame frame = {0};
    int64_t width = 0, height = 0;
    cn_image *image = NULL;
    uint8_t colours[256][3];
    lzw *z = NULL;
    *out = NULL;
    CN_TRY(read_header(&reader, &frame, &width, &height, src, err));
    CN_CHECK(left(&reader) > 0, CN_EFORMAT, "%s: truncated GIF", src->name);
    CN_TRY(picture_new(&image, src, width, height, CN_IMAGE_GIF, err));
    CN_TRY(picture_store(image, is_grey(&frame) ? CN_IMAGE_MODE_RGB : CN_IMAGE_MODE_NEAREST, src, err));
    z = cn_calloc(1, sizeof *z);
    CN_CHECK(z, CN_ENOMEM, "%s: out of memory", src->name);
    z->in = &reader;
    z->min_bits = *reader.at++;
    CN_CHECK(z->min_bits >= 1 && z->min_bits <= 8, CN_EFORMAT, "%s: damaged GIF: %d bits a pixel", src->name,
             z->min_bits);
    z->clear = 1 << z->min_bits;
    clear_table(z);
    for (int i = 0; i < 256; i++) {
        memset(colours[i], i, 3);
        if (i < frame.palette_size)
            memcpy(colours[i], frame.palette[i], 3);
        if (src->options.composite_alpha && i == frame.transparent)
            memcpy(colours[i], src->options.background, 3);
    }
    const uint8_t *outside = colours[frame.transparent >= 0 ? frame.transparent : 0];
    for (int64_t i = 0; i < width * height; i++)
        memcpy(image->rgb + 3 * i, outside, 3);
    CN_TRY(read_frame(z, &frame, colours, image, src, err));
    *out = image, image = NULL;
done:
    cn_free(z);
    cn_image_free(image);
    return st;
}
