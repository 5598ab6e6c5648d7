/* cli/edits.h -- the options --edit and --means of the commands that run the image tower. */
#ifndef CLI_EDITS_H
#define CLI_EDITS_H

#include "models.h"

#include <clipneuron/intervene.h>

struct edit_arguments {
    struct words edits;
    const char *means;
};

/* clang-format off */
#define EDIT_OPTIONS(T, member) \
    {0, "edit", OPTION_WORDS, offsetof(T, member.edits), "EDIT", \
     "Intervene while the network runs; may be repeated. SITE:UNITS=V sets units (5 or 3,7-9 or *), *V scales, <=V and >=V bound, ~ takes " \
     "them to their mean in --means; SITE+D.npy*V adds a direction."}, \
    {0, "means", OPTION_TEXT, offsetof(T, member.means), "STUDY", "The study that has the means for edits with ~."}
/* clang-format on */

/* NULL where nothing is edited. Reports; EXIT_DONE or an exit code. *out: cn_edits_free. */
int edits_open(const struct edit_arguments *a, const cn_model *model, cn_edits **out);
/* Sets a runner's edits; NULL: none. */
void edits_apply(const cn_edits *edits, cn_runner_options *o);

#endif
