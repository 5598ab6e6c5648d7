/* image/exif.c -- finds the orientation in a file's EXIF block. Reads nothing else of EXIF; whatever does not
 * look right means orientation 1, never an error: a picture must not be lost over its metadata. */
#include "image/picture.h"

#include <string.h>

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

static unsigned read16(const uint8_t *p, bool big)
{
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static uint32_t read32(const uint8_t *p, bool big)
{
    return big ? (uint32_t)read16(p, big) << 16 | read16(p + 2, big)
               : (uint32_t)read16(p + 2, big) << 16 | read16(p, big);
}

/* A TIFF header and its first directory. */
static int orientation_of_tiff(const uint8_t *tiff, size_t size)
{
    if (size < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0))
        return 1;
    const bool big = tiff[0] == 'M';
    const size_t directory = read32(tiff + 4, big);
    if (directory > size - 2)
        return 1;
    const size_t entries = read16(tiff + directory, big);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + 12 * i;
        if (at + 12 > size)
            break;
        const uint8_t *entry = tiff + at;
        if (read16(entry, big) == TAG_ORIENTATION && read16(entry + 2, big) == TYPE_SHORT &&
            read32(entry + 4, big) == 1) {
            const unsigned value = read16(entry + 8, big);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

/* Some writers keep JPEG's "Exif\0\0" in front in PNG and WebP too. */
static int orientation_of_block(const uint8_t *block, size_t size)
{
    if (size >= 6 && memcmp(block, "Exif\0", 5) == 0)
        return orientation_of_tiff(block + 6, size - 6);
    return orientation_of_tiff(block, size);
}

static int orientation_of_jpeg(const uint8_t *bytes, size_t size)
{
    size_t at = 2;
    while (at + 4 <= size && bytes[at] == 0xff) {
        const int marker = bytes[at + 1];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9) /* start of scan, end */
            break;
        const size_t length = read16(bytes + at + 2, true);
        if (length < 2 || length > size - at - 2)
            break;
        if (marker == 0xe1 && length >= 8 && memcmp(bytes + at + 4, "Exif\0", 5) == 0)
            return orientation_of_block(bytes + at + 4, length - 2);
        at += 2 + length;
    }
    return 1;
}

static int orientation_of_png(const uint8_t *bytes, size_t size)
{
    size_t at = 8;
    while (at + 12 <= size) {
        const size_t length = read32(bytes + at, true);
        if (length > size - at - 12)
            break;
        if (memcmp(bytes + at + 4, "eXIf", 4) == 0)
            return orientation_of_block(bytes + at + 8, length);
        at += 12 + length;
    }
    return 1;
}

static int orientation_of_webp(const uint8_t *bytes, size_t size)
{
    size_t at = 12;
    while (at + 8 <= size) {
        const size_t length = read32(bytes + at + 4, false);
        if (length > size - at - 8)
            break;
        if (memcmp(bytes + at, "EXIF", 4) == 0)
            return orientation_of_block(bytes + at + 8, length);
        at += 8 + length + (length & 1);
    }
    return 1;
}

int exif_orientation(const uint8_t *bytes, size_t size, cn_image_format format)
{
    switch (format) {
    case CN_IMAGE_JPEG: return orientation_of_jpeg(bytes, size);
    case CN_IMAGE_PNG: return orientation_of_png(bytes, size);
    case CN_IMAGE_WEBP: return orientation_of_webp(bytes, size);
    default: return 1;
    }
}
