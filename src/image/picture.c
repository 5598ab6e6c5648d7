/* image/picture.c -- making, turning and freeing pictures. Knows no file format. */
#include "image/picture.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

cn_status picture_new(cn_image **out, const picture_source *src, int64_t width, int64_t height,
                      cn_image_format format, cn_error *err)
{
    cn_status st = CN_OK;
    cn_image *image = NULL;
    int64_t max_pixels = src->options.max_pixels > 0 && src->options.max_pixels < CN_MAX_IMAGE_PIXELS
                             ? src->options.max_pixels
                             : CN_MAX_IMAGE_PIXELS;
    *out = NULL;
    CN_CHECK(width > 0 && height > 0, CN_EFORMAT, "%s: the picture is empty (%lld x %lld px)", src->name,
             (long long)width, (long long)height);
    CN_CHECK(width <= CN_MAX_IMAGE_SIDE && height <= CN_MAX_IMAGE_SIDE, CN_ELIMIT,
             "%s: %lld x %lld px; a side may have %d", src->name, (long long)width, (long long)height,
             CN_MAX_IMAGE_SIDE);
    CN_CHECK(width * height <= max_pixels, CN_ELIMIT, "%s: %lld x %lld px; a picture may have %lld pixels",
             src->name, (long long)width, (long long)height, (long long)max_pixels);
    image = cn_calloc(1, sizeof *image);
    CN_CHECK(image, CN_ENOMEM, "%s: out of memory", src->name);
    image->width = image->source_width = (int)width;
    image->height = image->source_height = (int)height;
    image->format = format;
    image->rgb = cn_malloc((size_t)(width * height) * 3);
    CN_CHECK(image->rgb, CN_ENOMEM, "%s: out of memory for %lld x %lld px", src->name, (long long)width,
             (long long)height);
    *out = image, image = NULL;
done:
    cn_image_free(image);
    return st;
}

size_t stored_bytes(cn_image_mode mode)
{
    switch (mode) {
    case CN_IMAGE_MODE_ALPHA: return 1;
    case CN_IMAGE_MODE_CMYK: return 4;
    case CN_IMAGE_MODE_GREY16: return sizeof(uint16_t);
    default: return 0;
    }
}

cn_status picture_store(cn_image *image, cn_image_mode mode, const picture_source *src, cn_error *err)
{
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    if (src->options.rgb_first || src->options.composite_alpha)
        return CN_OK;
    if (stored_bytes(mode)) {
        image->stored = cn_reallocarray(NULL, pixels, stored_bytes(mode));
        if (!image->stored)
            return cn_fail(err, CN_ENOMEM, "%s: out of memory for %d x %d px", src->name, image->width,
                           image->height);
    }
    image->mode = mode;
    return CN_OK;
}

/* Alpha 255 everywhere stays 255 through the filter, and then neither weighting changes a byte. Its weights are
 * rounded: of a filter longer than that of a side of 4096 px to 1 px they might not sum up to 255. */
void picture_drop_opaque(cn_image *image)
{
    const size_t pixels = (size_t)image->width * (size_t)image->height;
    const uint8_t *alpha = image->stored;
    if (image->mode != CN_IMAGE_MODE_ALPHA || (image->width > 4096 && image->height > 4096))
        return;
    for (size_t i = 0; i < pixels; i++)
        if (alpha[i] != 255)
            return;
    cn_free(image->stored);
    image->stored = NULL;
    image->mode = CN_IMAGE_MODE_RGB;
}

void cn_image_free(cn_image *image)
{
    if (image) {
        cn_free(image->stored);
        cn_free(image->rgb);
        cn_free(image);
    }
}

/* Orientation o says where the stored picture's first row and column belong:
 * bit 2 of o-1 swaps the axes, and the target's x or y may run backwards. */
cn_status picture_orient(cn_image *image, int orientation, cn_error *err)
{
    static const struct {
        bool swap, flip_x, flip_y; /* flips of the stored picture's axes, before the swap */
    } turns[9] = {
        [2] = {false, true, false}, [3] = {false, true, true}, [4] = {false, false, true},
        [5] = {true, false, false}, [6] = {true, false, true}, [7] = {true, true, true},
        [8] = {true, true, false},
    };
    if (orientation < 2 || orientation > 8)
        return CN_OK;
    const int w = image->width, h = image->height;
    const int out_w = turns[orientation].swap ? h : w, out_h = turns[orientation].swap ? w : h;
    const size_t pixels = (size_t)w * (size_t)h, kept = stored_bytes(image->mode);
    uint8_t *turned = cn_malloc(pixels * 3), *stored = kept ? cn_malloc(pixels * kept) : NULL;
    if (!turned || (kept && !stored)) {
        cn_free(turned);
        cn_free(stored);
        return cn_fail(err, CN_ENOMEM, "out of memory for %d x %d px", w, h);
    }
    /* Source step for one target pixel to the right and one target row down, in pixels. */
    ptrdiff_t step_x = turns[orientation].flip_x ? -1 : 1, step_y = turns[orientation].flip_y ? -w : w;
    ptrdiff_t right = turns[orientation].swap ? step_y : step_x,
              down = turns[orientation].swap ? step_x : step_y;
    ptrdiff_t first =
        (turns[orientation].flip_x ? w - 1 : 0) + (turns[orientation].flip_y ? (ptrdiff_t)(h - 1) * w : 0);
    uint8_t *to = turned, *to_stored = stored;
    for (int y = 0; y < out_h; y++) {
        ptrdiff_t at = first + y * down;
        for (int x = 0; x < out_w; x++, at += right, to += 3)
            memcpy(to, image->rgb + 3 * at, 3);
        at = first + y * down;
        for (int x = 0; kept && x < out_w; x++, at += right, to_stored += kept)
            memcpy(to_stored, (const uint8_t *)image->stored + kept * (size_t)at, kept);
    }
    cn_free(image->rgb);
    cn_free(image->stored);
    image->rgb = turned;
    image->stored = stored;
    image->width = out_w;
    image->height = out_h;
    return CN_OK;
}
