/* cli/seetexts.h -- `clipneuron see --text`: texts that drive objectives. */
#ifndef CLI_SEETEXTS_H
#define CLI_SEETEXTS_H

#include "pictures.h"
#include "models.h"

struct seetexts {
    const char *list, *frame, *fluency;
    struct words at;            /* pictures at which units' directions are taken exactly */
    int64_t words, starts, best, seed;
    bool negative, json, quiet;
};

/* Reports everything; EXIT_DONE or an exit code. */
int see_texts(const cn_model *model, const struct run_arguments *run, const struct seetexts *a, const char *const *objectives, size_t n);

#endif
