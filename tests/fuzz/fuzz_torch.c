/* fuzz target: rooms=weights
 * PyTorch files from strangers. Inputs that start like a zip or a legacy file are opened as a file; every input is
 * also run as a bare data.pkl, in both dialects, with 4 kB of storage behind every key, so that the fuzzer need not
 * keep a zip's offsets right to reach the pickle machine. */
#include "fuzz_weights.h"

#include "weights/torchtensors.h"

#include <string.h>

static cn_status any_storage(void *context, const pickle_storage *storage, const uint8_t **data, size_t *size,
                             cn_error *err)
{
    (void)storage;
    (void)err;
    *data = context;
    *size = 4096;
    return CN_OK;
}

static void run_pickle(const uint8_t *data, size_t size, bool script)
{
    cn_error err = {0};
    pickle *p = NULL;
    cn_weights *w = calloc(1, sizeof *w);
    uint8_t *storage = calloc(1, 4096);
    if (!w || !storage)
        abort();
    if (pickle_run(&p, data, size, NULL, script, "fuzz", &err) == CN_OK &&
        torchtensors_add(w, p, any_storage, storage, &err) == CN_OK)
        for (size_t i = 0; i < cn_weights_count(w); i++)
            read_tensor(cn_weights_at(w, i));
    pickle_free(p);
    cn_weights_close(w);
    free(storage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2 &&
        (data[0] == 'P' || (data[0] == 0x80 && size >= 4 && (data[2] == 0x8a || data[2] == 0x95))))
        open_and_read(data, size);
    run_pickle(data, size, false);
    run_pickle(data, size, true);
    return 0;
}
