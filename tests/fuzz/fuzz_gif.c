/* fuzz target: rooms=image */
/* Decodes the input as a GIF file; the first bytes are set so that no other decoder takes it. */
#include "picture.h"

static void mend(uint8_t *copy, size_t size)
{
    (void)size;
    memcpy(copy, "GIF89a", 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_picture(data, size, 1 << 20, mend);
}
