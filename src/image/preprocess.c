/* image/preprocess.c -- CLIP's preprocessing: torchvision's Resize and CenterCrop, then RGB. Pillow resizes a picture
 * in its own mode; here is what it does around the filter in each. Only what the crop keeps is computed.
 * Not: the filter itself (resize.c). */
#include "image/picture.h"
#include "image/resize.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

/* Where the crop lies in the resized picture, px. */
typedef struct fit {
    int64_t width, height; /* of the resized picture */
    int64_t left, top;
    int size;
} fit;

/* torchvision's Resize(size): the shorter side becomes size, the longer int(size * long / short). */
static int64_t long_side(int size, int longer, int shorter)
{
    return (int64_t)((double)((int64_t)size * longer) / shorter);
}

/* torchvision's CenterCrop: int(round(excess / 2)), and Python rounds halves to even. */
static int64_t crop_start(int64_t excess)
{
    return excess / 2 + (excess % 2 != 0 && excess / 2 % 2 != 0);
}

static fit fit_of(int w, int h, int size)
{
    fit f = {.size = size};
    f.width = w <= h ? size : long_side(size, w, h);
    f.height = w <= h ? long_side(size, h, w) : size;
    f.left = crop_start(f.width - size);
    f.top = crop_start(f.height - size);
    return f;
}

/* Pillow's ImagingScaleAffine: the position is a running sum, and its rounding errors count. */
static void nearest_positions(int size, int64_t total, int64_t first, int count, int *at)
{
    const double step = (double)size / (double)total;
    double position = step * 0.5;
    for (int64_t i = 0; i < first; i++)
        position += step;
    for (int i = 0; i < count; i++, position += step)
        at[i] = position < size ? (int)position : size - 1;
}

static cn_status by_nearest(const cn_image *image, const fit *f, uint8_t *rgb, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t size = (size_t)f->size;
    int *x = cn_reallocarray(NULL, size, sizeof *x), *y = cn_reallocarray(NULL, size, sizeof *y);
    CN_CHECK(x && y, CN_ENOMEM, "out of memory for the resize to %zu px", size);
    nearest_positions(image->width, f->width, f->left, f->size, x);
    nearest_positions(image->height, f->height, f->top, f->size, y);
    for (size_t i = 0; i < size; i++) {
        const uint8_t *row = image->rgb + (size_t)y[i] * (size_t)image->width * 3;
        for (size_t j = 0; j < size; j++, rgb += 3)
            memcpy(rgb, row + 3 * (size_t)x[j], 3);
    }
done:
    cn_free(x);
    cn_free(y);
    return st;
}

/* Colours times alpha, filtered beside alpha, divided by alpha again. Pillow leaves a picture alone that has
 * its size already: then nothing is weighted. */
static cn_status by_alpha(const cn_image *image, const resize_axis *x, const resize_axis *y, uint8_t *rgb,
                          cn_error *err)
{
    cn_status st = CN_OK;
    const size_t pixels = (size_t)image->width * (size_t)image->height,
                 out_pixels = (size_t)x->count * (size_t)y->count;
    const uint8_t *alpha = image->stored;
    uint8_t *weighted = NULL, *out_alpha = NULL;
    if (x->copied_from >= 0 && y->copied_from >= 0)
        return resample(image->rgb, image->width, image->height, x, y, rgb, NULL, err);
    weighted = cn_malloc(pixels * 3);
    out_alpha = cn_malloc(out_pixels);
    CN_CHECK(weighted && out_alpha, CN_ENOMEM, "out of memory for %d x %d px", image->width, image->height);
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 3 * i; c < 3 * i + 3; c++)
            weighted[c] = (uint8_t)product255(image->rgb[c], alpha[i]);
    CN_TRY(resample(weighted, image->width, image->height, x, y, rgb, NULL, err));
    CN_TRY(resample_channels(alpha, 1, image->width, image->height, x, y, out_alpha, err));
    for (size_t i = 0; i < out_pixels; i++) {
        const unsigned a = out_alpha[i];
        for (size_t c = 3 * i; a != 0 && a != 255 && c < 3 * i + 3; c++) {
            const unsigned colour = 255u * rgb[c] / a;
            rgb[c] = (uint8_t)(colour > 255 ? 255 : colour); /* the filter may leave more colour than alpha */
        }
    }
done:
    cn_free(weighted);
    cn_free(out_alpha);
    return st;
}

static cn_status by_inks(const cn_image *image, const resize_axis *x, const resize_axis *y, uint8_t *rgb,
                         cn_error *err)
{
    cn_status st = CN_OK;
    const size_t out_pixels = (size_t)x->count * (size_t)y->count;
    uint8_t *inks = cn_reallocarray(NULL, out_pixels, 4);
    CN_CHECK(inks, CN_ENOMEM, "out of memory for %d x %d px", x->count, y->count);
    CN_TRY(resample_channels(image->stored, 4, image->width, image->height, x, y, inks, err));
    for (size_t i = 0; i < out_pixels; i++)
        cmyk_to_rgb(inks + 4 * i, rgb + 3 * i);
done:
    cn_free(inks);
    return st;
}

/* convert("RGB") clips what does not fit into a byte. */
static cn_status by_grey16(const cn_image *image, const fit *f, uint8_t *rgb, cn_error *err)
{
    cn_status st = CN_OK;
    resize_axis x = {0}, y = {0};
    const size_t out_pixels = (size_t)f->size * (size_t)f->size;
    const int w = image->width, h = image->height;
    int32_t *grey = cn_reallocarray(NULL, out_pixels, sizeof *grey);
    CN_CHECK(grey, CN_ENOMEM, "out of memory for %d x %d px", f->size, f->size);
    CN_TRY(axis_make_exact(&x, w, 0, (float)w, f->width, f->left, f->size, err));
    CN_TRY(axis_make_exact(&y, h, 0, (float)h, f->height, f->top, f->size, err));
    CN_TRY(resample_grey16(image->stored, w, &x, &y, grey, err));
    for (size_t i = 0; i < out_pixels; i++)
        memset(rgb + 3 * i, grey[i] < 0 ? 0 : grey[i] > 255 ? 255 : grey[i], 3);
done:
    cn_free(grey);
    axis_free(&x);
    axis_free(&y);
    return st;
}

cn_status cn_image_preprocess(const cn_image *image, int size, uint8_t *rgb, cn_error *err)
{
    cn_status st = CN_OK;
    resize_axis x = {0}, y = {0};
    const int w = image->width, h = image->height;
    CN_TRY(check_output(size, size, err));
    const fit f = fit_of(w, h, size);
    if (image->mode == CN_IMAGE_MODE_NEAREST)
        return by_nearest(image, &f, rgb, err);
    if (image->mode == CN_IMAGE_MODE_GREY16)
        return by_grey16(image, &f, rgb, err);
    CN_TRY(axis_make(&x, w, 0, (float)w, f.width, f.left, size, err));
    CN_TRY(axis_make(&y, h, 0, (float)h, f.height, f.top, size, err));
    switch (image->mode) {
    case CN_IMAGE_MODE_ALPHA: CN_TRY(by_alpha(image, &x, &y, rgb, err)); break;
    case CN_IMAGE_MODE_CMYK: CN_TRY(by_inks(image, &x, &y, rgb, err)); break;
    default: CN_TRY(resample(image->rgb, w, h, &x, &y, rgb, NULL, err));
    }
done:
    axis_free(&x);
    axis_free(&y);
    return st;
}

void picture_crop(int width, int height, int size, double *left, double *top, double *right, double *bottom)
{
    const fit f = fit_of(width, height, size);
    const double across = (double)width / (double)f.width, down = (double)height / (double)f.height;
    *left = (double)f.left * across;
    *right = (double)(f.left + size) * across;
    *top = (double)f.top * down;
    *bottom = (double)(f.top + size) * down;
}

void cn_image_crop_box(const cn_image *image, int size, double *left, double *top, double *side)
{
    const fit f = fit_of(image->width, image->height, size);
    *left = (double)f.left * image->width / (double)f.width;
    *top = (double)f.top * image->height / (double)f.height;
    *side = image->width < image->height ? image->width : image->height;
}
