/* cli/linearfit.c -- the fit in words and in JSON. */
#include "linearfit.h"
#include "interrupt.h"
#include "progress.h"
#include "report.h"

#include <math.h>

void linear_fit_print(const cn_linear_fit *fit)
{
    printf("linear picture: ");
    if (!fit->pictures) {
        printf("not measured: ");
        print_safely(stdout, fit->why);
        putchar('\n');
        return;
    }
    printf("predicted and true cosine on %lld pictures: r %.3f (%.3f to %.3f), R2 %.3f (%.3f to %.3f)\n", (long long)fit->pictures, fit->r,
           fit->r_low, fit->r_high, fit->r2, fit->r2_low, fit->r2_high);
    if (fit->words)
        printf("  median of %lld words: r %.3f, R2 %.3f\n", (long long)fit->words, fit->words_r, fit->words_r2);
}

void linear_fit_tokens(const cn_study *study, size_t site, bool quiet)
{
    const cn_study_site *s = cn_study_site_at(study, site);
    if (s->layout == CN_SITE_TOKENS && cn_study_get_info(study)->reduce != CN_REDUCE_CLASS)
        note(quiet, "clipneuron: warning: %s has tokens: directions are those of the class token, the study's activations are of all tokens, so weights do not "
                    "say what its pictures get; scan with --reduce class", s->name);
}

void linear_fit_json(struct json *j, const cn_linear_fit *fit)
{
    json_open(j, "linear_fit", '{');
    json_int(j, "pictures", fit->pictures);
    const double none = (double)NAN;
    const bool there = fit->pictures > 0;
    json_real(j, "r", there ? fit->r : none);
    json_real(j, "r_low", there ? fit->r_low : none);
    json_real(j, "r_high", there ? fit->r_high : none);
    json_real(j, "r2", there ? fit->r2 : none);
    json_real(j, "r2_low", there ? fit->r2_low : none);
    json_real(j, "r2_high", there ? fit->r2_high : none);
    json_int(j, "words", fit->words);
    json_real(j, "words_r", there ? fit->words_r : none);
    json_real(j, "words_r2", there ? fit->words_r2 : none);
    json_text(j, "missing", there ? NULL : fit->why);
    json_close(j, '}');
}

bool text_progress(const char *what, int64_t done, int64_t total, void *user)
{
    struct text_progress *p = user;
    if (p->shown != what)
        progress_start(what, total, PROGRESS_ITEMS, p->quiet);
    p->shown = what;
    progress_set(done, total, 0);
    return !interrupted();
}

void print_term(double weight, const char *name, int64_t unit, bool first)
{
    printf("%s%.2f ", first ? weight < 0 ? "-" : "" : weight < 0 ? " - " : " + ", fabs(weight));
    print_safely(stdout, *name ? name : "unit");
    printf(" (%lld)", (long long)unit);
}
