/* cli/see.h -- what the parts of `clipneuron see` share: cmd_see.c reads the command line, seepictures.c makes pictures,
 * seestudy.c measures them in the units of a study, seesheets.c lays them out on sheets, seetexts.c finds texts. */
#ifndef CLI_SEE_H
#define CLI_SEE_H

#include "models.h"
#include "seetexts.h"

#include <clipneuron/see.h>

enum { PRESET_NONE, PRESET_PAPER };
enum { UNSAID = -1 };

struct see_arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands;
    const char *output, *study, *rate, *decay, *leak, *transforms, *facets, *strength;
    struct words facet, natural;
    int64_t redirect; /* UNSAID: as the preset has it */
    int64_t steps, size, resolution, images, starts, seed, every, sheets, memory;
    int canvas, preset;
    struct seetexts texts;
    bool text, all, negative, alpha, correlated, importance, animate, json, quiet;
};

/* The objective of an operand, with every sign turned where --negative says so; owned by the caller. */
char *see_objective(const char *operand, bool negative);

extern const char *const see_canvases[]; /* names, by cn_canvas; NULL at the end */

/* Reports everything; EXIT_DONE or an exit code. */
int see_pictures(const cn_model *model, const struct see_arguments *a, const char *const *operands, size_t n);

#endif
