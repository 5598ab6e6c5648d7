/* cli/coding.h -- what `codes` and `atlas` share: the options, and the codes themselves. */
#ifndef CLI_CODING_H
#define CLI_CODING_H

#include "linearfit.h"
#include "models.h"
#include "options.h"

struct coding_arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words templates;
    const char *site, *words;
    int64_t pictures, seed;
    bool json, quiet;
};

/* clang-format off */
#define CODING_OPTIONS(T, member) \
    MODEL_OPTIONS(T, member.model), \
    {'s', "site", OPTION_TEXT, offsetof(T, member.site), "SITE", "Units of this site of the study. Default: its first."}, \
    {0, "words", OPTION_TEXT, offsetof(T, member.words), "FILE", \
     "A list, one word or phrase a line; # begins a comment. Default: emotion words, models/words/emotions.txt."}, \
    {0, "template", OPTION_WORDS, offsetof(T, member.templates), "PROMPT", \
     "A prompt with {} for the word; several may be given, and embeddings are averaged. Default: seven, such as \"i feel {}\"; those " \
     "with words that the model has never seen are left out."}, \
    {0, "pictures", OPTION_COUNT, offsetof(T, member.pictures), "N", \
     "Pictures of the study on which the linear picture is measured. Default: 2048.", 1, 65536}, \
    {0, "seed", OPTION_COUNT, offsetof(T, member.seed), "N", "Of whatever is random. Default: 0.", 0, INT64_MAX}, \
    {0, "json", OPTION_FLAG, offsetof(T, member.json), NULL, "Print JSON."}, \
    RUN_OPTIONS(T, member.run), \
    {'q', "quiet", OPTION_FLAG, offsetof(T, member.quiet), NULL, "No progress and no notes."}
/* clang-format on */

/* Reports; EXIT_DONE with *out owned by the caller. levels: CN_CODE_LEVELS of them, or NULL. words: those of the command line. */
int coding_run(const char *command, const struct coding_arguments *a, const char *study, const char *const *words, size_t n_words,
               cn_codes **out);
/* What was asked, in JSON, and on standard output. */
void coding_json(struct json *j, const cn_codes *codes, const struct coding_arguments *a);
void coding_print(const cn_codes *codes);
/* Warns of names about people among the units of the codes' terms, or of the atlas' factors where there is one: a paragraph behind the
 * table, or "warnings" where j is not NULL. study: for base rates. */
void coding_warn(const cn_codes *codes, const cn_atlas *atlas, const char *study, struct json *j);

#endif
