/* cli/edits.c -- see edits.h. */
#include "edits.h"
#include "report.h"

int edits_open(const struct edit_arguments *a, const cn_model *model, cn_edits **out)
{
    cn_error err = {0};
    cn_study *means = NULL;
    cn_status st = CN_OK;
    *out = NULL;
    if (!a->edits.count)
        return EXIT_DONE;
    if (a->means)
        st = cn_study_open(&means, a->means, &err);
    if (st == CN_OK)
        st = cn_edits_parse(out, model, means, a->edits.items, a->edits.count, &err);
    cn_study_close(means);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

void edits_apply(const cn_edits *edits, cn_runner_options *o)
{
    if (edits)
        o->edits = cn_edits_sites(edits, &o->n_edits);
}
