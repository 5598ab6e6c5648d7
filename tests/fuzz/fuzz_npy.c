/* fuzz target: rooms=weights
 * .npy and .npz files from strangers: opened, every array read. */
#include "clipneuron/array.h"
#include "fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memory_file(data, size, path);
    if (fd < 0)
        return 0;
    cn_error err = {0};
    cn_arrays *a;
    if (cn_arrays_open(&a, path, &err) == CN_OK) {
        for (size_t i = 0; i < cn_arrays_count(a); i++)
            read_tensor(cn_arrays_at(a, i));
        cn_arrays_close(a);
    } else if (err.text[0] == '\0' || a) {
        abort();
    }
    close(fd);
    return 0;
}
