/* fuzz target: rooms=image */
/* Decodes the input as a JPEG file; the first bytes are set so that no other decoder takes it. */
#include "picture.h"

static void mend(uint8_t *copy, size_t size)
{
    (void)size;
    memcpy(copy, "\xff\xd8\xff", 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* few pixels: progressive scans each walk over all of them */
    return fuzz_picture(data, size, 1 << 18, mend);
}
