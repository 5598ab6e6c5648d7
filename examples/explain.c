/* examples/explain.c -- a sentence as a sum of units, and what one sentence has beyond another.
 *
 *     explain MODEL STUDY TEXT [OTHER TEXT]
 *
 * With one text: the units that it calls on beyond the average word. With two: those that tell them apart, positive ones for the first.
 * A study without matrices does as well, but says nothing of how far to trust the sum. */
#include "clipneuron/clipneuron.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN = 8 };

static void show(const cn_study *study, const cn_explanation *x, const char *text, const char *minus)
{
    printf("%s%s%s, on about %.1f units\n", text, minus ? " - " : "", minus ? minus : "", x->effective);
    for (size_t i = 0; i < x->n && i < SHOWN; i++) {
        const cn_text_unit *u = &x->units[i];
        printf("  %+.4f  %s:%" PRId64 "  %s\n", u->weight, cn_study_site_at(study, u->ref.site)->short_name, u->ref.unit, u->name);
    }
    if (x->fit.pictures > 0) /* nothing was fitted: R2 is how much of the true cosines the sum explains */
        printf("on %" PRId64 " pictures: r = %.3f, R2 = %.3f\n", x->fit.pictures, x->fit.r, x->fit.r2);
    else
        printf("how far this holds is not known: %s\n", x->fit.why);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: explain MODEL STUDY TEXT [OTHER TEXT]\n");
        return 2;
    }
    cn_error err = {0};
    cn_model *model = NULL;
    cn_study *study = NULL;
    cn_explanation *x = NULL;
    const char *minus = argc > 4 ? argv[4] : NULL;
    cn_status st = cn_model_open(&model, argv[1], NULL, &err);
    if (st == CN_OK)
        st = cn_study_open(&study, argv[2], &err);
    if (st == CN_OK)
        st = cn_text_explain(study, model, argv[3], &(cn_explain_options){.minus = minus}, &x, &err);
    if (st == CN_OK)
        show(study, x, argv[3], minus);
    else
        fprintf(stderr, "explain: %s\n", err.text);
    cn_explanation_free(x); /* closers accept NULL */
    cn_study_close(study);
    cn_model_close(model);
    return st == CN_OK ? 0 : 1;
}
