/* fuzz target: rooms=image */
/* Decodes the input as a WEBP file; the first bytes are set so that no other decoder takes it. */
#include "picture.h"

static void mend(uint8_t *copy, size_t size)
{
    (void)size;
    memcpy(copy, "RIFF", 4);
    memcpy(copy + 8, "WEBP", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_picture(data, size, 1 << 20, mend);
}
