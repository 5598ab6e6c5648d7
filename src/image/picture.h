/* image/picture.h -- what the decoders share: the input bytes, a fresh picture within the limits,
 * alpha blending, and EXIF orientation. One decoder a file: jpeg.c, png.c, webp.c, gif.c. */
#ifndef IMAGE_PICTURE_H
#define IMAGE_PICTURE_H

#include "clipneuron/image.h"

typedef struct picture_source {
    const uint8_t *bytes;
    size_t size;
    const char *name; /* for messages */
    cn_image_options options;
} picture_source;

/* A picture whose pixels the decoder fills; CN_ELIMIT when its size is outside the limits, CN_EFORMAT when it is empty. */
cn_status picture_new(cn_image **out, const picture_source *src, int64_t width, int64_t height,
                      cn_image_format format, cn_error *err);

/* Bytes of `stored` that a pixel has in this mode. */
size_t stored_bytes(cn_image_mode mode);
/* Sets the picture's mode and makes room for what it needs; nothing when the options ask for RGB first. */
cn_status picture_store(cn_image *image, cn_image_mode mode, const picture_source *src, cn_error *err);
/* An opaque picture is as good as RGB, and faster. */
void picture_drop_opaque(cn_image *image);

/* Each decodes what load.c has recognised by its first bytes. *out is NULL on failure. */
cn_status jpeg_decode(cn_image **out, const picture_source *src, cn_error *err);
cn_status png_decode(cn_image **out, const picture_source *src, cn_error *err);
cn_status webp_decode(cn_image **out, const picture_source *src, cn_error *err);
cn_status gif_decode(cn_image **out, const picture_source *src, cn_error *err);

/* The part of a picture that preprocessing keeps, px of the picture: within it, and square but for the rounding of the resize. */
void picture_crop(int width, int height, int size, double *left, double *top, double *right, double *bottom);

/* The one PNG encoder (encode.c): 8 bits in 3 or 4 channels, with n text chunks (NULL for none). *bytes: cn_free. */
struct spng_text;
cn_status png_encode(const uint8_t *pixels, int width, int height, int channels, struct spng_text *texts, size_t n, void **bytes,
                     size_t *size, cn_error *err);

/* a*b / 255, rounded the way Pillow does. */
static inline unsigned product255(unsigned a, unsigned b)
{
    const unsigned product = a * b + 128;
    return (product + (product >> 8)) >> 8;
}

/* Pillow: R = clip(255 - K - C*(255-K)/255), division rounded. */
static inline void cmyk_to_rgb(const uint8_t cmyk[4], uint8_t rgb[3])
{
    const unsigned white = 255u - cmyk[3];
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(white - product255(cmyk[c], white));
}

/* alpha*over + (255-alpha)*under, divided by 255 and rounded the way Pillow's paste() does. */
static inline uint8_t blend(uint8_t over, uint8_t under, unsigned alpha)
{
    unsigned sum = over * alpha + under * (255 - alpha) + 128;
    return (uint8_t)((sum + (sum >> 8)) >> 8);
}

/* EXIF orientation, 1..8, of a whole file of that format; 1 when it has none or a broken one. */
int exif_orientation(const uint8_t *bytes, size_t size, cn_image_format format);
/* Turns the picture upright; on failure it is unchanged. */
cn_status picture_orient(cn_image *image, int orientation, cn_error *err);

/* A picture file's bytes, owned by the caller (cn_free): fewer than its size when it was shortened meanwhile. */
cn_status picture_read(uint8_t **out, size_t *size, const char *path, cn_error *err);

#endif
