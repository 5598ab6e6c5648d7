/* clipneuron/image.h -- decode pictures, and bring them to the pixels that CLIP was trained on.
 * The preprocessing is the original's: bicubic resize of the shorter side (Pillow's, to the byte, in the file's own
 * mode), centre crop, RGB, normalisation. Files are untrusted.
 * Threads: all calls are independent; an image belongs to one thread at a time. */
#ifndef CLIPNEURON_IMAGE_H
#define CLIPNEURON_IMAGE_H

#include "clipneuron/error.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_IMAGE_SIDE 65535                      /* px */
#define CN_MAX_IMAGE_PIXELS ((int64_t)178956970)     /* Pillow's decompression-bomb limit */
#define CN_MAX_IMAGE_FILE ((size_t)1 << 30)          /* bytes */

typedef enum cn_image_format { CN_IMAGE_JPEG, CN_IMAGE_PNG, CN_IMAGE_WEBP, CN_IMAGE_GIF } cn_image_format;

/* What cn_image_preprocess resizes: the original converts to RGB behind the resize, so a picture is resized
 * in the mode that Pillow 9.4 gives its file. 0 for pictures that a caller makes: rgb is all there is. */
typedef enum cn_image_mode {
    CN_IMAGE_MODE_RGB,     /* rgb, by the bicubic filter; grey of up to 8 bits, too, as it comes to the same */
    CN_IMAGE_MODE_NEAREST, /* palettes and 1-bit grey, Pillow's P and 1: rgb, each pixel from the nearest one */
    CN_IMAGE_MODE_ALPHA,   /* RGBA and LA: rgb weighted by alpha, then unweighted; stored: uint8_t (height, width) */
    CN_IMAGE_MODE_CMYK,    /* the four inks; stored: uint8_t (height, width, 4), 255 is full ink */
    CN_IMAGE_MODE_GREY16   /* 16-bit grey, Pillow's I: filtered in double; stored: uint16_t (height, width) */
} cn_image_mode;

typedef struct cn_image {
    int width, height;       /* px */
    uint8_t *rgb;            /* (height, width, 3), owned by the image: Pillow's convert("RGB") of the whole picture */
    int source_width, source_height; /* before EXIF orientation */
    cn_image_format format;  /* of the source file */
    cn_image_mode mode;      /* for cn_image_preprocess */
    void *stored;            /* what the mode needs besides rgb, owned by the image; else NULL */
} cn_image;

typedef struct cn_image_options {
    bool apply_orientation;   /* obey EXIF orientation; the original code ignores it */
    bool composite_alpha;     /* blend transparency over `background`; else alpha is dropped, as the original does.
                               * What follows works on RGB, as with rgb_first */
    uint8_t background[3];    /* RGB */
    int64_t max_pixels;       /* 0: CN_MAX_IMAGE_PIXELS */
    bool rgb_first;           /* convert to RGB before the resize, as Hugging Face's CLIPImageProcessor does;
                               * else the resize is in the file's own mode, as in the original */
} cn_image_options;

/** Decodes a file to RGB the way Pillow's Image.open(...).convert("RGB") does, and keeps what preprocessing
 * needs of pictures that are not RGB.
 * @param options NULL for the original's behaviour
 * @param[out] out owned by the caller, cn_image_free; NULL on failure
 * @return CN_OK; CN_ENOTFOUND (no such file), CN_EIO, CN_EFORMAT (damaged), CN_EUNSUPPORTED (not one of the formats),
 *         CN_ELIMIT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_image_load(cn_image **out, const char *path, const cn_image_options *options,
                                             cn_error *err);
/** The same from memory; `name` is used in messages only. */
CN_API CN_MUST_CHECK cn_status cn_image_decode(cn_image **out, const void *bytes, size_t size, const char *name,
                                               const cn_image_options *options, cn_error *err);
CN_API void cn_image_free(cn_image *image);

/** Resizes the shorter side to `size` px (bicubic with antialiasing, Pillow's arithmetic for the image's mode),
 * crops the centre and converts to RGB, as torchvision's Resize + CenterCrop on a PIL image and convert("RGB").
 * @param[out] rgb caller's buffer (size, size, 3) */
CN_API CN_MUST_CHECK cn_status cn_image_preprocess(const cn_image *image, int size, uint8_t *rgb, cn_error *err);

/** The part of the source that preprocessing keeps, in source pixels (of the decoded image). */
CN_API void cn_image_crop_box(const cn_image *image, int size, double *left, double *top, double *side);

/** Bicubic resize (Pillow) of a whole picture, of its rgb, to (width, height). @param[out] rgb caller's buffer */
CN_API CN_MUST_CHECK cn_status cn_image_resize(const cn_image *image, int width, int height, uint8_t *rgb,
                                               cn_error *err);

/** Bicubic resize of a part of a picture, of its rgb, as Pillow's resize(size, BICUBIC, box=...): the part may start between
 * pixels, and pixels around it do not count towards its edges more than the filter reaches.
 * @param left,top,width,height source px, within the picture (rounded to float32 as in Pillow)
 * @param[out] rgb caller's buffer (out_height, out_width, 3) */
CN_API CN_MUST_CHECK cn_status cn_image_crop(const cn_image *image, double left, double top, double width,
                                             double height, int out_width, int out_height, uint8_t *rgb,
                                             cn_error *err);

/* CLIP's channel means and standard deviations, RGB, of pixels scaled to 0..1. */
extern CN_API const float cn_image_mean[3];
extern CN_API const float cn_image_std[3];

/** uint8 (n, size, size, 3) -> float32 (n, 3, size, size), (p/255 - mean)/std.
 * @param mean,std NULL for CLIP's */
CN_API void cn_pixels_normalise(const uint8_t *rgb, size_t n, int size, const float *mean, const float *std,
                                float *pixels);

/** Encodes RGB pixels. @param[out] bytes owned by the caller, cn_bytes_free.
 * @param quality JPEG/WebP quality 1..100, ignored for PNG */
CN_API CN_MUST_CHECK cn_status cn_image_encode(const uint8_t *rgb, int width, int height, cn_image_format format,
                                               int quality, void **bytes, size_t *size, cn_error *err);
CN_API void cn_bytes_free(void *bytes);
/** The same into a file, which appears under its name when it is complete.
 * @param path ends in .png, .jpg, .jpeg or .webp, in any case; a name without an ending is PNG
 * @return CN_OK; CN_EINVAL (another ending, a size, the quality), CN_ELIMIT, CN_ENOMEM, CN_EIO with the file's name and the system's reason */
CN_API CN_MUST_CHECK cn_status cn_image_write(const char *path, const uint8_t *rgb, int width, int height, int quality, cn_error *err);

/* A text chunk of a PNG: a Latin keyword of 1 to 79 bytes and UTF-8. */
typedef struct cn_png_text {
    const char *keyword, *text;
} cn_png_text;
/** Writes a PNG file with texts in it; it appears under its name when it is complete.
 * @param pixels (height, width, channels), 8 bits; channels 3 or 4 (alpha)
 * @param texts n of them, NULL for none
 * @return CN_OK; CN_EINVAL, CN_ENOMEM, CN_EIO with the file's name and the system's reason */
CN_API CN_MUST_CHECK cn_status cn_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels,
                                            const cn_png_text *texts, size_t n, cn_error *err);

/** Writes frames as an animated PNG that plays for ever; the last frame stays for two seconds.
 * @param frames n of (height, width, channels), 8 bits; channels 3 or 4
 * @param milliseconds that each frame but the last is shown, 1 to 65535
 * @return as cn_png_write */
CN_API CN_MUST_CHECK cn_status cn_png_write_animation(const char *path, const uint8_t *const *frames, size_t n, int width, int height,
                                                      int channels, int milliseconds, cn_error *err);

/** The text of a PNG file under a keyword.
 * @param[out] text owned by the caller, cn_bytes_free; NULL when there is none
 * @return CN_OK, also without such a text; CN_ENOTFOUND (no such file), CN_EIO, CN_EFORMAT, CN_ELIMIT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_png_read_text(char **text, const char *path, const char *keyword, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
