/* cli/drawnspace.h -- what `words` and `regions` share: the options, and the space of drawn words. */
#ifndef CLI_DRAWNSPACE_H
#define CLI_DRAWNSPACE_H

#include "models.h"
#include "options.h"

#include <clipneuron/textunits.h>

struct space_arguments {
    struct model_arguments model;
    struct run_arguments run;
    const char *site, *list;
    struct words font_files;
    int64_t versions, seed;
    bool json, quiet;
};

/* clang-format off */
#define SPACE_OPTIONS(T, member) \
    MODEL_OPTIONS(T, member.model), \
    {'s', "site", OPTION_TEXT, offsetof(T, member.site), "SITE", "Of the image tower. Default: the last block."}, \
    {0, "list", OPTION_TEXT, offsetof(T, member.list), "FILE", \
     "The words of the space, one a line; # begins a comment. Default: the words that 'scan' compares units with."}, \
    {0, "versions", OPTION_COUNT, offsetof(T, member.versions), "N", "Pictures of each word, in other fonts. Default: 2.", 1, CN_MAX_WORD_VERSIONS}, \
    {0, "font-file", OPTION_WORDS, offsetof(T, member.font_files), "FILE", \
     "A font of a file (.ttf, .otf) to draw words in, whatever the system has; repeat it, and pictures of a word go round the fonts."}, \
    {0, "seed", OPTION_COUNT, offsetof(T, member.seed), "N", "Of the permutations. Default: 0.", 0, INT64_MAX}, \
    {0, "json", OPTION_FLAG, offsetof(T, member.json), NULL, "Print JSON."}, \
    RUN_OPTIONS(T, member.run), \
    {'q', "quiet", OPTION_FLAG, offsetof(T, member.quiet), NULL, "No progress and no notes."}
/* clang-format on */

/* Reports; EXIT_DONE with *out owned by the caller. more: words that are added to the list. study: NULL, or one that the model has to be of. */
int space_open(const struct space_arguments *a, const char *const *more, size_t n_more, const cn_study *study, cn_word_space **out);

#endif
