/* cli/linearfit.h -- how well the linear picture holds, as every command that rests on it says it; the progress that those commands share. */
#ifndef CLI_LINEARFIT_H
#define CLI_LINEARFIT_H

#include "json.h"

#include <clipneuron/textunits.h>

void linear_fit_print(const cn_linear_fit *fit);
/* One line of warning where the linear picture is of other numbers than the study's: of all tokens of a ViT. */
void linear_fit_tokens(const cn_study *study, size_t site, bool quiet);
void linear_fit_json(struct json *j, const cn_linear_fit *fit);

/* A cn_text_callback; user is a struct text_progress. */
struct text_progress {
    bool quiet;
    const char *shown;
};
bool text_progress(const char *what, int64_t done, int64_t total, void *user);

/* "2.50 a + 0.31 b - 0.20 c": one term; `first` leaves a plus out. */
void print_term(double weight, const char *name, int64_t unit, bool first);

#endif
