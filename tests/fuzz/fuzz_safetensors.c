/* fuzz target: rooms=weights
 * A safetensors file from a stranger: opened, every tensor read, fingerprint taken. */
#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_and_read(data, size);
    return 0;
}
