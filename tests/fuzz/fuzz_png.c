/* fuzz target: rooms=image */
/* Decodes the input as a PNG file. The signature and the chunks' checksums are set right first, as hardly any
 * mutation would get past them. */
#include "clipneuron/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    while (size-- > 0) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static void mend_checksums(uint8_t *png, size_t size)
{
    size_t at = 8;
    while (at + 12 <= size) {
        const size_t length =
            (size_t)png[at] << 24 | (size_t)png[at + 1] << 16 | (size_t)png[at + 2] << 8 | png[at + 3];
        if (length > size - at - 12)
            return;
        const uint32_t crc = crc32_of(png + at + 4, length + 4);
        for (int i = 0; i < 4; i++)
            png[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const cn_image_options options = {.apply_orientation = size & 1,
                                      .composite_alpha = size & 2,
                                      .background = {1, 2, 3},
                                      .max_pixels = 1 << 20};
    cn_image *image = NULL;
    if (size < 16)
        return 0;
    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    memcpy(copy, "\x89PNG\r\n\x1a\n", 8);
    mend_checksums(copy, size);
    if (cn_image_decode(&image, copy, size, "fuzz", &options, NULL) == CN_OK) {
        static uint8_t pixels[16 * 16 * 3]; /* in the file's own mode */
        if (cn_image_preprocess(image, 16, pixels, NULL) != CN_OK)
            abort();
    } else if (image) {
        abort();
    }
    cn_image_free(image);
    free(copy);
    return 0;
}
