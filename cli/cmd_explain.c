/* cli/cmd_explain.c -- `clipneuron explain`: the units that a text calls on. */
#include "asking.h"
#include "commands.h"
#include "linearfit.h"
#include "models.h"
#include "people.h"
#include "progress.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 4 }; /* units of a token, printed */

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands, at;
    const char *site, *minus;
    int64_t top, pictures, seed;
    bool tokens, absolute, json, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Units of this site of the study. Default: its first."},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the table. Default: 12.", 1, INT64_MAX},
    {0, "minus", OPTION_TEXT, offsetof(struct arguments, minus), "TEXT", "A second text: what the first one calls on beyond it."},
    {0, "absolute", OPTION_FLAG, offsetof(struct arguments, absolute), NULL,
     "Take nothing away. Without it, and without --minus, weights are those beyond the mean of the study's words."},
    {0, "tokens", OPTION_FLAG, offsetof(struct arguments, tokens), NULL,
     "Token by token, too: what each adds, by leaving it out."},
    {0, "at", OPTION_GREEDY, offsetof(struct arguments, at), "PICTURE...",
     "Beside the linear weights, those by the exact derivative at these pictures, the mean over them."},
    {0, "pictures", OPTION_COUNT, offsetof(struct arguments, pictures), "N", "Pictures of the study on which the linear picture is measured. Default: 2048.",
     1, 65536},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of the bootstrap. Default: 0.", 0, INT64_MAX},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};

static const struct grid_column columns[] = {
    {"unit", "unit", GRID_INT, 0}, {"name", "name", GRID_TEXT, 0}, {"weight", "weight", GRID_REAL, 4}, {"exact", "exact", GRID_REAL, 4},
    {"z", "z", GRID_REAL, 1}, {"p", "p", GRID_REAL, -2}, {"example", "strongest picture", GRID_TEXT, 0},
};
/* clang-format on */

static void fill(struct grid *g, const cn_explanation *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const cn_text_unit *u = &x->units[i];
        grid_int(g, u->ref.unit);
        grid_text(g, u->name);
        grid_real(g, u->weight);
        if (isnan(u->exact))
            grid_none(g);
        else
            grid_real(g, u->exact);
        if (x->words) {
            grid_real(g, u->z);
            grid_real(g, u->p);
        } else {
            grid_none(g);
            grid_none(g);
        }
        grid_text(g, u->example);
    }
}

/* Units with the largest |weight| for a token, the first `most` of them. */
static size_t strongest(const cn_explanation *x, const cn_text_token *t, int64_t *units, size_t most)
{
    size_t n = 0;
    for (; n < most && n < x->n; n++) {
        units[n] = -1;
        for (size_t i = 0; i < x->n; i++) {
            const int64_t u = x->units[i].ref.unit;
            bool taken = false;
            for (size_t k = 0; k < n; k++)
                taken = taken || units[k] == u;
            if (!taken && (units[n] < 0 || fabsf(t->weights[u]) > fabsf(t->weights[units[n]])))
                units[n] = u;
        }
    }
    return n;
}

static const char *name_of(const cn_explanation *x, int64_t unit)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->units[i].ref.unit == unit)
            return x->units[i].name;
    return "";
}

static void print_tokens(const cn_explanation *x)
{
    int64_t units[SHOWN];
    if (x->n_tokens)
        puts("\ntoken by token (turn: 1 - cosine of the text with the text without it; weights that go with it):");
    for (size_t i = 0; i < x->n_tokens; i++) {
        const cn_text_token *t = &x->tokens[i];
        printf("  ");
        print_safely(stdout, t->text);
        printf("%*s turn %.3f  ", printed_width(t->text) < 14 ? (int)(14 - printed_width(t->text)) : 0, "", t->turn);
        const size_t n = strongest(x, t, units, SHOWN);
        for (size_t k = 0; k < n; k++) {
            const float w = t->weights[units[k]];
            printf("%s%.4f ", k ? w < 0 ? " - " : " + " : w < 0 ? "-" : "", (double)fabsf(w));
            print_safely(stdout, *name_of(x, units[k]) ? name_of(x, units[k]) : "unit");
            printf(" (%lld)", (long long)units[k]);
        }
        puts(t->known ? "" : "  [the model has never seen it]");
    }
}

/* Names in the table, and those of each token's `most` strongest units. */
static void note_people(struct people *people, cn_study *study, const struct arguments *a, const cn_explanation *x, size_t most)
{
    int64_t units[CN_TOKEN_NAMED];
    people_begin(people, study);
    for (size_t i = 0; i < x->n && i < (size_t)a->top; i++)
        people_note(people, x->units[i].name);
    for (size_t i = 0; i < x->n_tokens; i++) {
        const size_t n = strongest(x, &x->tokens[i], units, most);
        for (size_t k = 0; k < n; k++)
            people_note(people, name_of(x, units[k]));
    }
}

static void print_explanation(const struct arguments *a, cn_study *study, size_t site, const cn_explanation *x, const struct grid *g)
{
    print_safely(stdout, a->operands.items[1]);
    if (a->minus) {
        printf(" less ");
        print_safely(stdout, a->minus);
    }
    printf(": units of %s\n", cn_study_site_at(study, site)->name);
    if (a->minus)
        printf("cosine of the two texts: %.3f\n", x->cosine);
    if (*x->unknown && !a->quiet) {
        printf("never seen by the model: ");
        print_safely(stdout, x->unknown);
        putchar('\n');
    }
    linear_fit_print(&x->fit);
    printf("the weight lies on the equivalent of %.0f of %zu units", x->effective, x->n);
    if (!isnan(x->exact_r))
        printf("; linear and exact weights correlate at %.3f", x->exact_r);
    puts("\n");
    grid_print(g, stdout);
    printf("\nweight: change of the cosine for one standard deviation of the unit");
    if (x->words)
        printf("; z and p: among the weights of %lld %s", (long long)x->words, a->minus ? "pairs of words" : "words");
    putchar('\n');
    print_tokens(x);
    struct people people;
    note_people(&people, study, a, x, SHOWN);
    people_print(&people);
}

static void json_tokens(struct json *j, const cn_explanation *x)
{
    int64_t units[CN_TOKEN_NAMED];
    json_open(j, "tokens", '[');
    for (size_t i = 0; i < x->n_tokens; i++) {
        const size_t n = strongest(x, &x->tokens[i], units, CN_TOKEN_NAMED);
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "token", x->tokens[i].text);
        json_bool(j, "known", x->tokens[i].known);
        json_real(j, "turn", x->tokens[i].turn);
        json_open(j, "units", '[');
        for (size_t k = 0; k < n; k++) {
            json_open(j, NULL, '{');
            json_int(j, "unit", units[k]);
            json_text(j, "name", name_of(x, units[k]));
            json_real(j, "weight", (double)x->tokens[i].weights[units[k]]);
            json_close(j, '}');
        }
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_explanation(const struct arguments *a, cn_study *study, size_t site, const cn_explanation *x, const struct grid *g)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "text", a->operands.items[1]);
    json_text(&j, "minus", a->minus);
    json_text(&j, "site", cn_study_site_at(study, site)->name);
    json_real(&j, "cosine", x->cosine);
    json_text(&j, "unknown", x->unknown);
    json_int(&j, "words", x->words);
    json_int(&j, "live_units", (int64_t)x->n);
    json_real(&j, "effective_units", x->effective);
    json_real(&j, "exact_r", x->exact_r);
    json_int(&j, "seed", a->seed);
    linear_fit_json(&j, &x->fit);
    grid_json(g, &j, "units");
    if (a->tokens)
        json_tokens(&j, x);
    struct people people;
    note_people(&people, study, a, x, CN_TOKEN_NAMED);
    people_json(&people, &j);
    json_close(&j, '}');
    json_end(&j);
}

static int explain(const struct arguments *a)
{
    cn_study *study = NULL;
    cn_model *model = NULL;
    cn_explanation *x = NULL;
    cn_error err = {0};
    size_t site = 0;
    struct text_progress shown = {a->quiet, NULL};
    cn_status st = cn_study_open(&study, a->operands.items[0], &err);
    int code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    if (code == EXIT_DONE)
        code = ask_site("explain", study, a->site, &site);
    if (code == EXIT_DONE)
        linear_fit_tokens(study, site, a->quiet);
    if (code == EXIT_DONE)
        code = model_open(&a->model, &model);
    if (code == EXIT_DONE) {
        const cn_explain_options o = {.site = site,
                                      .minus = a->minus,
                                      .absolute = a->absolute,
                                      .tokens = a->tokens,
                                      .at = a->at.items,
                                      .n_at = a->at.count,
                                      .named = a->top > 40 ? (size_t)a->top : 40,
                                      .pictures = a->pictures,
                                      .seed = (uint64_t)a->seed,
                                      .threads = (int)a->run.threads,
                                      .precision = precision_of(&a->run),
                                      .backend = (cn_backend)a->run.backend,
                                      .progress = text_progress,
                                      .user = &shown};
        st = cn_text_explain(study, model, a->operands.items[1], &o, &x, &err);
        progress_end();
        if (st == CN_OK) {
            struct grid g;
            grid_begin(&g, columns, CN_COUNT(columns));
            fill(&g, x, x->n < (size_t)a->top ? x->n : (size_t)a->top);
            (a->json ? json_explanation : print_explanation)(a, study, site, x, &g);
            grid_free(&g);
        } else {
            code = fail_error(&err, st);
        }
    }
    cn_explanation_free(x);
    cn_model_close(model);
    cn_study_close(study);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 12};
    int code = options_begin(&command_explain, argc, argv, &a);
    if (code >= 0)
        return code;
    if (!a.operands.count)
        code = fail_usage("explain", "no study named");
    else if (a.operands.count == 1)
        code = fail_usage("explain", "STUDY comes first, then a text in quotes: one of the two is missing");
    else if (a.operands.count > 2)
        code = fail_usage("explain", "one text at a time: put a sentence in quotes, a second one behind --minus");
    else if (!*a.operands.items[1])
        code = fail_usage("explain", "TEXT is empty");
    else if (a.minus && !*a.minus)
        code = fail_usage("explain", "--minus is empty");
    else if (a.minus && a.absolute)
        code = fail_usage("explain", "either --minus or --absolute");
    else
        code = explain(&a);
    options_free(&command_explain, &a);
    return code;
}

const struct command command_explain = {
    .name = "explain",
    .summary = "the units that a sentence calls on, or two sentences' difference",
    .synopsis = "explain STUDY TEXT [--minus TEXT] [--tokens] [--at PICTURE...] [-n N] [--json]",
    .description =
        "Towards its end CLIP's image tower is nearly linear, so that the cosine of a picture with a text is nearly a sum over units. A unit's weight is "
        "what one standard deviation of its activation adds to the cosine of a picture of usual length, beyond what the mean of the study's words would get; with "
        "--minus beyond what a second text gets.\n\n"
        "How far the linear picture holds is measured on the study's pictures and printed first: the correlation and R2 of predicted and true cosines, on "
        "pictures that nothing was taken from. z and p compare a weight with those that the study's words have on the same unit.\n\n"
        "--tokens leaves out each token of the text in turn. --at computes the exact derivative at pictures of yours and prints it beside the linear weight.",
    .examples = "What a sentence calls on:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron explain study \"a happy face\" --tokens\n\n"
                "What one text has beyond another, beside the exact derivative at a picture, for a script:\n\n"
                "$ clipneuron explain study happy --minus sad --at cat.png -n 5 --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY TEXT",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
