/* cli/texts.h -- text arguments: lists of lines, rows of tokens, and embeddings of many texts. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H

#include "models.h"

#include <clipneuron/tokenizer.h>

/* Lines of a file (or of standard input for "-"), without their ends; owned by the list. */
struct lines {
    char **items;
    size_t count;
};
/* Reports; EXIT_DONE or an exit code. Empty lines are dropped when skip_empty. */
int lines_read(struct lines *lines, const char *file, bool skip_empty);
void lines_free(struct lines *lines);

struct text_batch {
    size_t first, n;
    const size_t *used; /* (n) ids of each row with both marks; the rest of a row is zeros */
};
/* Runs texts in batches. For each batch the callback gets the runner after the run; it returns an exit
 * code. Reports everything. */
typedef int text_batch_callback(cn_runner *runner, const struct text_batch *batch, void *user);
int texts_run(const cn_model *model, cn_runner_options options, const char *const *texts, size_t n,
              bool truncate, bool quiet, text_batch_callback *each, void *user);

#endif
