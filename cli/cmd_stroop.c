/* cli/cmd_stroop.c -- `clipneuron stroop`: colour words in other inks. */
#include "attacking.h"
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "models.h"
#include "progress.h"
#include "report.h"

#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words prompts, neutral;
    const char *plot;
    int64_t variants, seed;
    int theme;
    bool json, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "prompt", OPTION_WORDS, offsetof(struct arguments, prompts), "PROMPT",
     "With {} where the colour goes; repeat it. Default: \"{}\", \"the colour {}\", \"my favourite word, written in the color {}\"."},
    {0, "neutral", OPTION_WORDS, offsetof(struct arguments, neutral), "WORD", "A word that names no colour; repeat it. Default: table, seven, xxxx."},
    {0, "variants", OPTION_COUNT, offsetof(struct arguments, variants), "N",
     "Pictures of each word and ink: fonts, sizes, places, white and grey paper. Default: 8.", 1, 64},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of sizes and places. Default: 0.", 0, INT64_MAX},
    {0, "plot", OPTION_TEXT, offsetof(struct arguments, plot), "FILE", "The table of the first prompt as a picture, .svg or .png."},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "light, dark or print. Default: light.", 0, 0, theme_choices},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON, with all answers."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress."},
};
/* clang-format on */

static bool stroop_progress(const char *what, int64_t done, int64_t total, void *user)
{
    const struct arguments *a = user;
    if (done <= 64)
        progress_start(what, total, PROGRESS_ITEMS, a->quiet);
    progress_set(done, total, 0);
    return !interrupted();
}

static void print_share(const char *what, const cn_share *s)
{
    printf("  %-38s %5.1f%%  (%.1f to %.1f%%, %lld of %lld)\n", what, 100 * s->share, 100 * s->low, 100 * s->high, (long long)s->hits, (long long)s->of);
}

/* The colour that most pictures of a cell were answered with. */
static int commonest(const cn_stroop_cell *c)
{
    int best = 0;
    for (int i = 1; i < CN_STROOP_COLOURS; i++)
        best = c->answers[i] > c->answers[best] ? i : best;
    return best;
}

static void print_stroop(const cn_stroop_result *r)
{
    for (size_t p = 0; p < r->n_prompts; p++) {
        const cn_stroop_prompt *q = &r->prompts[p];
        printf("%s", p ? "\n" : "");
        print_safely(stdout, q->prompt);
        printf("\n");
        print_share("congruent: right", &q->congruent);
        print_share("incongruent: the ink", &q->incongruent_ink);
        print_share("incongruent: the word", &q->incongruent_word);
        print_share("neutral words: the ink", &q->neutral_ink);
        printf("\n  %-8s", "word");
        for (int i = 0; i < CN_STROOP_COLOURS; i++)
            printf("  %-11s", r->colours[i]);
        printf(" <- ink; most frequent answer, of %lld\n", (long long)r->variants);
        for (size_t c = 0; c < r->n_cells; c++) {
            const cn_stroop_cell *cell = &q->cells[c];
            if (cell->ink == 0) {
                printf("  ");
                print_safely(stdout, cell->word);
                printf("%*s", printed_width(cell->word) < 8 ? (int)(8 - printed_width(cell->word)) : 0, "");
            }
            const int answer = commonest(cell);
            printf("  %-7s %3lld", r->colours[answer], (long long)cell->answers[answer]);
            if (cell->ink == CN_STROOP_COLOURS - 1)
                putchar('\n');
        }
    }
}

static void json_stroop(const cn_stroop_result *r, int64_t seed)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_open(&j, "colours", '[');
    for (int i = 0; i < CN_STROOP_COLOURS; i++)
        json_text(&j, NULL, r->colours[i]);
    json_close(&j, ']');
    json_int(&j, "variants", r->variants);
    json_int(&j, "seed", seed);
    json_open(&j, "prompts", '[');
    for (size_t p = 0; p < r->n_prompts; p++) {
        const cn_stroop_prompt *q = &r->prompts[p];
        json_open(&j, NULL, '{');
        json_text(&j, "prompt", q->prompt);
        json_share(&j, "congruent", &q->congruent);
        json_share(&j, "incongruent_ink", &q->incongruent_ink);
        json_share(&j, "incongruent_word", &q->incongruent_word);
        json_share(&j, "neutral_ink", &q->neutral_ink);
        json_open(&j, "cells", '[');
        for (size_t c = 0; c < r->n_cells; c++) {
            j.flat = j.depth + 1;
            json_open(&j, NULL, '{');
            json_text(&j, "word", q->cells[c].word);
            json_text(&j, "ink", r->colours[q->cells[c].ink]);
            json_bool(&j, "neutral", q->cells[c].neutral);
            json_open(&j, "answers", '[');
            for (int i = 0; i < CN_STROOP_COLOURS; i++)
                json_int(&j, NULL, q->cells[c].answers[i]);
            json_close(&j, ']');
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static int stroop(struct arguments *a, const cn_model *model)
{
    cn_error err = {0};
    cn_stroop_result *r = NULL;
    const cn_attack_options o = {.prompts = a->prompts.count ? a->prompts.items : NULL,
                                 .n_prompts = a->prompts.count,
                                 .seed = (uint64_t)a->seed,
                                 .batch = a->run.batch,
                                 .threads = (int)a->run.threads,
                                 .precision = precision_of(&a->run),
                                 .backend = (cn_backend)a->run.backend,
                                 .progress = stroop_progress,
                                 .user = a};
    cn_status st = cn_stroop(&r, model, a->neutral.count ? a->neutral.items : NULL, a->neutral.count, (int)a->variants, &o, &err);
    if (st == CN_OK && a->plot)
        st = cn_stroop_plot(r, (cn_plot_theme)a->theme, a->plot, &err);
    progress_end();
    if (st == CN_OK && a->json)
        json_stroop(r, a->seed);
    else if (st == CN_OK)
        print_stroop(r);
    cn_stroop_free(r);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    cn_model *model = NULL;
    int code = options_begin(&command_stroop, argc, argv, &a);
    if (code >= 0)
        return code;
    for (size_t i = 0; i < a.prompts.count && code < 0; i++)
        if (!strstr(a.prompts.items[i], "{}"))
            code = fail_usage("stroop", "the prompt '%s' has no {} where the colour goes", a.prompts.items[i]);
    if (code < 0 && a.plot && !has_ending(a.plot, ".svg") && !has_ending(a.plot, ".png"))
        code = fail_usage("stroop", "a plot's name ends in .svg or .png, not '%s'", a.plot);
    if (code < 0)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = stroop(&a, model);
    cn_model_close(model);
    options_free(&command_stroop, &a);
    return code;
}

const struct command command_stroop = {
    .name = "stroop",
    .summary = "the Stroop test: colour words in other inks",
    .synopsis = "stroop [--model M] [--prompt P...] [--neutral WORD...] [--plot FILE] [--json]",
    .description = "Draws the words red, orange, yellow, green, blue, purple, pink and brown in each of these inks, and neutral words too, asks which of the "
                   "eight the picture is, and prints how often the answer is the ink and how often the word, with Wilson's 95% intervals, and the most "
                   "frequent answer for every word and ink.\n\n"
                   "People are slow to name the ink of \"red\" in green, but can. The paper's model answers with the word.",
    .examples = "$ clipneuron stroop --variants 2\n\n"
                "For a script, with a plot:\n\n"
                "$ clipneuron stroop --variants 1 --prompt \"the colour {}\" --neutral house --plot stroop.svg --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = NULL,
    .run = run,
};
