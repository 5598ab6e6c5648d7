/* tests/fuzz/picture.h -- what the fuzz targets of the picture decoders share: copy the input, let the
 * target set right what hardly any mutation would, decode it and bring it to a model's pixels. */
#ifndef TESTS_FUZZ_PICTURE_H
#define TESTS_FUZZ_PICTURE_H

#include "clipneuron/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* mend: changes the copy, which has at least 16 bytes, so that no other decoder takes it. */
static inline int fuzz_picture(const uint8_t *data, size_t size, int64_t max_pixels,
                               void (*mend)(uint8_t *copy, size_t size))
{
    const cn_image_options options = {.apply_orientation = size & 1,
                                      .composite_alpha = size & 2,
                                      .background = {1, 2, 3},
                                      .max_pixels = max_pixels};
    cn_image *image = NULL;
    if (size < 16)
        return 0;
    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    mend(copy, size);
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

#endif
