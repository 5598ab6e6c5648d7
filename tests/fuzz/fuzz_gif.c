/* fuzz target: rooms=image */
/* Decodes the input as a GIF file; the first bytes are set so that no other decoder takes it. */
#include "clipneuron/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char magic[] = "GIF89a";
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
    memcpy(copy, magic, sizeof magic - 1);
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
